/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the verbs of syncrunctl share: the options of the command line, the connection, and how JSON, errors and values
 * are shown. A verb is one function that takes its words and returns the exit status. */

#include "base/json-util.h"
#include "client/client.h"
#include "ctl/options.h"
#include "ctl/table.h"
#include "ctl/text.h"

/* Exit statuses of our own; the others are those of base/refusal, and of start --wait. */
#define EXIT_USAGE       2
#define EXIT_NO_SUCH     4
#define EXIT_WRONG_STATE 5
#define EXIT_UNAVAILABLE CLIENT_EXIT_UNREACHABLE

typedef struct Ctl {
        CtlOptions options;
        bool pager;     /* the verb's answer goes through one */
        Client *client; /* opened by ctl_client() */
} Ctl;

/* The connection, opened at the first call. Return: 0; an exit status > 0 with the error printed. */
int ctl_client(Ctl *ctl, Client **ret) _must_check_;

/* Does it with each argument of a verb. Return: the worst of its exit statuses. */
int ctl_each(Ctl *ctl, int argc, char **argv, int (*act)(Ctl *ctl, Client *client, const char *argument));

/* Prints what went wrong and what to do next, as "syncrunctl: ...", on standard error. Return: the exit status for it.
 */
int ctl_fail(const ClientError *e, const char *format, ...) _printf_(2, 3);
int ctl_fail_status(int status, const char *format, ...) _printf_(2, 3);
int ctl_fail_errno(int error, const char *format, ...)
                _printf_(2, 3); /* of either sign; ": No such file..." follows */
int ctl_unanswered(const char *what); /* the service hangs */
int ctl_usage_error(const char *format, ...) _printf_(1, 2);
int ctl_oom(void);

/* To be called when there is something to show and before any of it: questions and errors come without the pager. */
void ctl_begin(Ctl *ctl);

/**
 * ctl_ask() - a bulk read of the daemon
 * @ret: the parsed answer, the caller's reference; set on success only
 *
 * Return: 0; an exit status > 0 with the error printed.
 */
int ctl_ask(Ctl *ctl, const char *member, const ClientOption *filter, size_t n, struct json_object **ret) _must_check_;

/**
 * ctl_ask_all() - a bulk read in pages, until there is none any more
 * @n:     of @filter, at most ASK_OPTIONS_MAX
 * @array: what the pages have
 * @ret:   an object with the whole array, the caller's reference; set on success only
 *
 * Return: 0; an exit status > 0 with the error printed.
 */
int ctl_ask_all(Ctl *ctl, const char *member, const ClientOption *filter, size_t n, const char *array,
                struct json_object **ret) _must_check_;
#define ASK_OPTIONS_MAX 7U

/**
 * ctl_describe() - a bulk read whose answer is shown
 * @ret: as ctl_ask(), or NULL: the answer was printed as --json wants it, and the verb has nothing more to do
 */
int ctl_describe(Ctl *ctl, const char *member, const ClientOption *filter, size_t n,
                 struct json_object **ret) _must_check_;

/* One connector by name or id, one run with its accounts by id: *ret is NULL where there is none. Return as ctl_ask().
 */
int ctl_ask_connector(Ctl *ctl, const char *name, struct json_object **ret) _must_check_;
int ctl_ask_run(Ctl *ctl, const char *id, struct json_object **ret) _must_check_;

/* The newest run that the history has of a connector, also where its file has gone. Return as ctl_ask(). */
int ctl_ask_last_run(Ctl *ctl, const char *connector, struct json_object **ret) _must_check_;

/* The run that a word names: a connector's active or last one, or by id; each NULL where there is none, and freed by
 * the caller. Return as ctl_ask(). */
int ctl_find_run(Ctl *ctl, const char *word, struct json_object **ret_connector,
                 struct json_object **ret_run) _must_check_;

/* The file of a connector that the service does not know, on this machine; NULL: there is none, or no memory; freed by
 * the caller. */
char *ctl_unread_file(const Ctl *ctl, const char *connector);
#define CTL_READ_FILE "'syncrunctl reload' has it read, or says why it cannot be."

/* "There is no run or connector ...", or that its file is not read yet. Return: EXIT_NO_SUCH. */
int ctl_no_such(const Ctl *ctl, const char *name);

/* Prints a value as --json asks for. */
void ctl_print_json(const Ctl *ctl, struct json_object *value);

/* Adds to an object; @value is taken over also on failure, NULL is null. Return: 0; -ENOMEM. */
int json_add(struct json_object *object, const char *key, struct json_object *value) _must_check_;

/* Shows @text in grey, behind an empty line, unless --no-legend or --quiet. */
void ctl_hint(const Ctl *ctl, const char *format, ...) _printf_(2, 3);

/* ---- Members of the daemon's answers, with "" and 0 for what is not there. */
const char *json_text(struct json_object *object, const char *key);
uint64_t json_count(struct json_object *object, const char *key); /* COUNT_UNKNOWN for null */
bool json_flag(struct json_object *object, const char *key);
usec_t json_time(struct json_object *object, const char *key);                /* of an ISO timestamp; 0 for null */
struct json_object *json_member(struct json_object *object, const char *key); /* an object, borrowed; NULL for null */
struct json_object *json_element(struct json_object *object, const char *key,
                                 size_t i); /* of an array; NULL at its end */

/* "succeeded" in green, ...; the text and its colour for a run's state and outcome. */
const char *run_state_text(struct json_object *run, Colour *ret);
Colour outcome_colour(const char *outcome);
const char *run_name(struct json_object *run); /* of its connector; its provider where it has none */

/* "3min ago", "in 2h 5min"; "-" for 0. @buf: TIMESPAN_TEXT_MAX. */
const char *relative_text(char *buf, usec_t usec);
/* "1min 4s"; "-" where one of the ends is 0. */
const char *duration_text(char *buf, usec_t from_usec, usec_t to_usec);

/* ---- The verbs. argv[0] is the verb's name, the last word of it. */
int verb_list(Ctl *ctl, int argc, char **argv);
int verb_status(Ctl *ctl, int argc, char **argv);
int verb_start(Ctl *ctl, int argc, char **argv);
int verb_cancel(Ctl *ctl, int argc, char **argv);
int verb_runs(Ctl *ctl, int argc, char **argv);
int verb_show(Ctl *ctl, int argc, char **argv);
int verb_log(Ctl *ctl, int argc, char **argv);
int verb_watch(Ctl *ctl, int argc, char **argv);
int verb_set_active(Ctl *ctl, int argc, char **argv);
int verb_connections(Ctl *ctl, int argc, char **argv);
int verb_reconnect(Ctl *ctl, int argc, char **argv);
int verb_withdraw(Ctl *ctl, int argc, char **argv);
int verb_deliveries(Ctl *ctl, int argc, char **argv);
int verb_redeliver(Ctl *ctl, int argc, char **argv);
int verb_items(Ctl *ctl, int argc, char **argv);
int verb_key_add(Ctl *ctl, int argc, char **argv);
int verb_key_list(Ctl *ctl, int argc, char **argv);
int verb_key_revoke(Ctl *ctl, int argc, char **argv);
int verb_webhook_add(Ctl *ctl, int argc, char **argv);
int verb_webhook_list(Ctl *ctl, int argc, char **argv);
int verb_webhook_show(Ctl *ctl, int argc, char **argv);
int verb_webhook_update(Ctl *ctl, int argc, char **argv);
int verb_webhook_remove(Ctl *ctl, int argc, char **argv);
int verb_webhook_secret(Ctl *ctl, int argc, char **argv);
int verb_webhook_rotate(Ctl *ctl, int argc, char **argv);
int verb_webhook_test(Ctl *ctl, int argc, char **argv);
int verb_webhook_messages(Ctl *ctl, int argc, char **argv);
int verb_webhook_attempts(Ctl *ctl, int argc, char **argv);
int verb_webhook_resend(Ctl *ctl, int argc, char **argv);
int verb_webhook_recover(Ctl *ctl, int argc, char **argv);
int verb_users(Ctl *ctl, int argc, char **argv);
int verb_verify(Ctl *ctl, int argc, char **argv);
int verb_doctor(Ctl *ctl, int argc, char **argv);
int verb_calendar(Ctl *ctl, int argc, char **argv);
int verb_reload(Ctl *ctl, int argc, char **argv);
