/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the verbs of syncrunctl share: the options of the command line, the connection, and how JSON and errors are
 * shown. A verb is one function that takes its words and returns the exit status. */

#include "base/json-util.h"
#include "client/client.h"
#include "ctl/table.h"

typedef enum JsonMode {
        JSON_OFF,
        JSON_SHORT,
        JSON_PRETTY,
        _JSON_MODE_MAX,
        _JSON_MODE_INVALID = -EINVAL,
} JsonMode;

typedef struct CtlOptions {
        const char *host;
        JsonMode json;
        bool pager;
        bool legend;
        bool quiet;
        bool full;        /* start --full */
        bool wait;        /* start --wait */
        bool force;
        bool base_set;    /* calendar --base-time */
        usec_t base_usec;
        const char *reason;
        const char *accounts; /* comma-separated */
        const char *connector;
        const char *provider;
        const char *user;
        const char *outcome;
        const char *since;
        const char *until;
        const char *page;
        uint64_t lines;       /* -n; UINT64_MAX: not given */
        uint64_t iterations;
        bool active;
} CtlOptions;

typedef struct Ctl {
        CtlOptions options;
        Client *client; /* opened by ctl_client() */
} Ctl;

/* The connection, opened at the first call. Return: 0; an exit status > 0 with the error printed. */
int ctl_client(Ctl *ctl, Client **ret) _must_check_;

/* Prints "syncrunctl: ..." with what to do next. Return: the exit status for it. */
int ctl_fail(const ClientError *e, const char *format, ...) _printf_(2, 3);
int ctl_usage_error(const char *format, ...) _printf_(1, 2);
int ctl_oom(void);

/**
 * ctl_describe() - a bulk read of the daemon
 * @ret: the parsed answer, the caller's reference; set when 0 is returned
 *
 * With --json the answer is printed, and *ret is NULL: the verb has nothing more to do.
 *
 * Return: 0; an exit status > 0 with the error printed.
 */
int ctl_describe(Ctl *ctl, const char *member, const ClientOption *filter, size_t n, struct json_object **ret)
        _must_check_;

/* Prints a value as --json asks for. */
void ctl_print_json(const Ctl *ctl, struct json_object *value);

/* "2026-11-21T23:06:15Z", "2h ago", "yesterday"... for --since and --until. Return: 0; an exit status > 0, printed. */
int ctl_parse_time(const char *option, const char *text, usec_t *ret) _must_check_;

/* ---- Members of the daemon's answers, with "" and 0 for what is not there. */
const char *json_text(struct json_object *object, const char *key);
uint64_t json_count(struct json_object *object, const char *key); /* COUNT_UNKNOWN for null */
usec_t json_time(struct json_object *object, const char *key);    /* of an ISO timestamp; 0 for null */

/* "succeeded" in green, ...; the text and its colour for a run's state and outcome. */
const char *run_state_text(struct json_object *run, Colour *ret);

/* "3min ago", "in 2h 5min"; "-" for 0. @buf: TIMESPAN_TEXT_MAX. */
const char *relative_text(char *buf, usec_t usec);
const char *duration_text(char *buf, usec_t from_usec, usec_t to_usec);

/* ---- The verbs. argv[0] is the verb's name. */
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
int verb_items(Ctl *ctl, int argc, char **argv);
int verb_users(Ctl *ctl, int argc, char **argv);
int verb_verify(Ctl *ctl, int argc, char **argv);
int verb_calendar(Ctl *ctl, int argc, char **argv);
int verb_reload(Ctl *ctl, int argc, char **argv);
