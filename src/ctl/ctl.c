/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "ctl/ctl.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/string-util.h"
#include "base/time-util.h"
#include "model/connector.h"
#include "model/run.h"

/* ---- Errors */

#define OUT_OF_MEMORY "Out of memory."

static void print_error(const char *text)
{
        _cleanup_free_ char *line = text_line(text);

        (void) fflush(stdout);
        (void) fprintf(stderr, "%ssyncrunctl: %s%s\n", error_colour(COLOUR_RED), line ?: OUT_OF_MEMORY,
                       error_colour(COLOUR_NORMAL));
}

_printf_(1, 0) static void print_error_format(const char *format, va_list ap)
{
        _cleanup_free_ char *text = NULL;

        if (vasprintf(&text, format, ap) < 0)
                text = NULL;
        print_error(text ?: OUT_OF_MEMORY);
}

int ctl_fail_status(int status, const char *format, ...)
{
        va_list ap;

        va_start(ap, format);
        print_error_format(format, ap);
        va_end(ap);
        return status;
}

int ctl_usage_error(const char *format, ...)
{
        va_list ap;

        va_start(ap, format);
        print_error_format(format, ap);
        va_end(ap);
        return EXIT_USAGE;
}

int ctl_oom(void)
{
        return ctl_fail_status(refusal_by_errno(ENOMEM)->exit_status, OUT_OF_MEMORY);
}

/* @format, ": ", @why */
_printf_(2, 0) static void print_error_why(const char *why, const char *format, va_list ap)
{
        _cleanup_free_ char *what = NULL, *text = NULL;

        if (vasprintf(&what, format, ap) < 0)
                what = NULL;
        text = what ? asprintf_or_null("%s: %s", what, why) : NULL;
        print_error(text ?: why);
}

int ctl_fail(const ClientError *e, const char *format, ...)
{
        va_list ap;

        va_start(ap, format);
        print_error_why(client_error_text(e), format, ap);
        va_end(ap);
        return client_error_exit_status(e);
}

int ctl_fail_errno(int error, const char *format, ...)
{
        va_list ap;

        va_start(ap, format);
        print_error_why(abs(error) == ENOMEM ? OUT_OF_MEMORY : strerror(abs(error)), format, ap);
        va_end(ap);
        switch (abs(error)) {
        case ENOMEM:
                return refusal_by_errno(ENOMEM)->exit_status;
        case EACCES:
        case EPERM:
                return refusal_by_errno(EACCES)->exit_status;
        default:
                return EXIT_FAILURE;
        }
}

int ctl_unanswered(const char *what)
{
        _cleanup_client_error_ ClientError e = {};

        (void) client_fail_unanswered(&e);
        return ctl_fail(&e, "%s", what);
}

char *ctl_unread_file(const Ctl *ctl, const char *connector)
{
        _cleanup_strv_free_ char **dirs = NULL;
        struct stat st;

        if (ctl->options.host || !connector_name_is_valid(connector) || connector_dirs(&dirs) < 0)
                return NULL;
        STRV_FOREACH(dir, dirs) {
                _cleanup_free_ char *path = asprintf_or_null("%s/%s.connector", *dir, connector);

                if (path && stat(path, &st) >= 0)
                        return S_ISREG(st.st_mode) && st.st_size > 0 ? TAKE_PTR(path) : NULL; /* else masked */
        }
        return NULL;
}

int ctl_no_such(const Ctl *ctl, const char *name)
{
        _cleanup_free_ char *path = ctl_unread_file(ctl, name);

        if (path)
                return ctl_fail_status(EXIT_NO_SUCH, "The service has not read %s yet: " CTL_READ_FILE, path);
        return ctl_fail_status(EXIT_NO_SUCH,
                               "There is no run or connector \"%s\". See 'syncrunctl runs' and 'syncrunctl list'.",
                               name);
}

/* ---- The daemon's answers */

static void say_waits(void *userdata)
{
        const Ctl *ctl = userdata;

        if (isatty(STDERR_FILENO) && !ctl->options.quiet)
                (void) fprintf(stderr, "Waiting for the sync service, which is being started...\n");
}

int ctl_client(Ctl *ctl, Client **ret)
{
        _cleanup_client_error_ ClientError e = {};

        if (!ctl->client && client_open(ctl->options.host, &ctl->client, &e) < 0)
                return ctl_fail_status(client_error_exit_status(&e), "%s", client_error_text(&e));
        client_on_waits(ctl->client, say_waits, ctl);
        *ret = ctl->client;
        return 0;
}

int ctl_each(Ctl *ctl, int argc, char **argv, int (*act)(Ctl *ctl, Client *client, const char *argument))
{
        Client *client = NULL; /* for compilers that do not see when it is used */
        int status, worst;

        worst = ctl_client(ctl, &client);
        if (worst != 0)
                return worst;
        for (int i = 1; i < argc; i++) {
                status = act(ctl, client, argv[i]);
                worst = MAX(worst, status);
        }
        return worst;
}

void ctl_begin(Ctl *ctl)
{
        if (ctl->pager)
                pager_open();
}

void ctl_hint(const Ctl *ctl, const char *format, ...)
{
        va_list ap;

        if (!ctl->options.legend || ctl->options.quiet)
                return;
        (void) printf("\n%s", colour(COLOUR_GREY));
        va_start(ap, format);
        (void) vprintf(format, ap);
        va_end(ap);
        (void) printf("%s\n", colour(COLOUR_NORMAL));
}

void ctl_print_json(const Ctl *ctl, struct json_object *value)
{
        int flags = JSON_C_TO_STRING_NOSLASHESCAPE;
        const char *text;

        flags |= ctl->options.json == JSON_PRETTY ? JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED
                                                  : JSON_C_TO_STRING_PLAIN;
        text = json_object_to_json_string_ext(value, flags);
        if (text)
                (void) puts(text);
        else
                (void) ctl_oom();
}

int json_add(struct json_object *object, const char *key, struct json_object *value)
{
        if (json_object_object_add(object, key, value) < 0) {
                json_object_put(value);
                return -ENOMEM;
        }
        return 0;
}

int ctl_ask(Ctl *ctl, const char *member, const ClientOption *filter, size_t n, struct json_object **ret)
{
        _cleanup_client_error_ ClientError e = {};
        _cleanup_free_ char *json = NULL;
        Client *client = NULL; /* for compilers that do not see when it is used */
        int r, status;

        status = ctl_client(ctl, &client);
        if (status != 0)
                return status;
        if (client_describe(client, member, filter, n, &json, &e) < 0)
                return ctl_fail(&e, "Could not read from the sync service");
        r = json_parse(json, strlen(json), ret);
        if (r == -ENOMEM)
                return ctl_oom();
        return r < 0 ? ctl_fail_status(EXIT_FAILURE, "The sync service gave an answer that is not JSON.") : 0;
}

int ctl_ask_all(Ctl *ctl, const char *member, const ClientOption *filter, size_t n, const char *array,
                struct json_object **ret)
{
        _cleanup_json_ struct json_object *all = json_object_new_object(), *list = json_object_new_array();
        _cleanup_free_ char *page = NULL;
        int status;

        if (!all || !list)
                return ctl_oom();
        do {
                _cleanup_json_ struct json_object *answer = NULL;
                ClientOption options[ASK_OPTIONS_MAX + 1];
                struct json_object *element;

                if (n > 0)
                        memcpy(options, filter, n * sizeof(*filter));
                options[n] = (ClientOption) { "page", 's', .s = page };
                status = ctl_ask(ctl, member, options, n + 1, &answer);
                if (status != 0)
                        return status;
                for (size_t i = 0; (element = json_element(answer, array, i)); i++)
                        if (json_object_array_add(list, json_object_get(element)) < 0) {
                                json_object_put(element);
                                return ctl_oom();
                        }
                if (free_and_strdup(&page, json_text(answer, "next")) < 0)
                        return ctl_oom();
        } while (!isempty(page));
        if (json_add(all, array, TAKE_PTR(list)) < 0)
                return ctl_oom();
        *ret = TAKE_PTR(all);
        return 0;
}

int ctl_describe(Ctl *ctl, const char *member, const ClientOption *filter, size_t n, struct json_object **ret)
{
        struct json_object *answer;
        int status;

        status = ctl_ask(ctl, member, filter, n, &answer);
        if (status != 0)
                return status;
        ctl_begin(ctl);
        if (ctl->options.json != JSON_OFF) {
                ctl_print_json(ctl, answer);
                json_object_put(answer);
                answer = NULL;
        }
        *ret = answer;
        return 0;
}

static int ask_one(Ctl *ctl, const char *member, const ClientOption *filter, size_t n, const char *array,
                   struct json_object **ret)
{
        _cleanup_json_ struct json_object *answer = NULL;
        int status;

        status = ctl_ask(ctl, member, filter, n, &answer);
        if (status != 0)
                return status;
        *ret = json_object_get(json_element(answer, array, 0));
        return 0;
}

int ctl_ask_connector(Ctl *ctl, const char *name, struct json_object **ret)
{
        const ClientOption filter[] = { { "name", 's', .s = name } };

        return ask_one(ctl, "DescribeConnectors", filter, ELEMENTSOF(filter), "connectors", ret);
}

int ctl_ask_run(Ctl *ctl, const char *id, struct json_object **ret)
{
        const ClientOption filter[] = {
                { "id", 's', .s = id },
                { "accounts", 'b', .b = true },
        };

        return ask_one(ctl, "DescribeRuns", filter, ELEMENTSOF(filter), "runs", ret);
}

int ctl_ask_last_run(Ctl *ctl, const char *connector, struct json_object **ret)
{
        const ClientOption filter[] = {
                { "connector", 's', .s = connector },
                { "limit", 'u', .u = 1 },
                { "accounts", 'b', .b = true },
        };

        return ask_one(ctl, "DescribeRuns", filter, ELEMENTSOF(filter), "runs", ret);
}

int ctl_find_run(Ctl *ctl, const char *word, struct json_object **ret_connector, struct json_object **ret_run)
{
        _cleanup_json_ struct json_object *connector = NULL;
        const char *id = word;
        int status;

        if (connector_name_is_valid(word)) {
                status = ctl_ask_connector(ctl, word, &connector);
                if (status != 0)
                        return status;
        }
        if (connector) {
                id = json_text(json_member(connector, "active_run"), "id");
                if (isempty(id))
                        id = json_text(connector, "last_run_id");
        }
        *ret_run = NULL;
        if (!isempty(id)) {
                status = ctl_ask_run(ctl, id, ret_run);
                if (status != 0)
                        return status;
        }
        if (!connector && !*ret_run && connector_name_is_valid(word)) {
                status = ctl_ask_last_run(ctl, word, ret_run);
                if (status != 0)
                        return status;
        }
        *ret_connector = TAKE_PTR(connector);
        return 0;
}

const char *json_text(struct json_object *object, const char *key)
{
        const char *s = "";

        (void) json_get_string(object, key, &s);
        return s;
}

uint64_t json_count(struct json_object *object, const char *key)
{
        uint64_t value = COUNT_UNKNOWN;

        (void) json_get_uint(object, key, &value);
        return value;
}

bool json_flag(struct json_object *object, const char *key)
{
        bool value = false;

        (void) json_get_bool(object, key, &value);
        return value;
}

usec_t json_time(struct json_object *object, const char *key)
{
        const char *s = NULL;
        usec_t usec;

        return json_get_string(object, key, &s) > 0 && timestamp_parse_iso(s, &usec) >= 0 ? usec : 0;
}

struct json_object *json_member(struct json_object *object, const char *key)
{
        struct json_object *member = NULL;

        (void) json_get_object(object, key, &member);
        return member;
}

struct json_object *json_element(struct json_object *object, const char *key, size_t i)
{
        struct json_object *array = NULL;

        if (json_get_array(object, key, &array) <= 0 || i >= json_object_array_length(array))
                return NULL;
        return json_object_array_get_idx(array, i);
}

/* ---- Values as people read them */

Colour outcome_colour(const char *outcome)
{
        static const Colour colours[_RUN_OUTCOME_MAX] = {
                [RUN_SUCCEEDED] = COLOUR_GREEN,  [RUN_PARTIAL] = COLOUR_YELLOW, [RUN_FAILED] = COLOUR_RED,
                [RUN_CANCELLED] = COLOUR_YELLOW, [RUN_SKIPPED] = COLOUR_GREY,
        };
        RunOutcome o = run_outcome_from_string(outcome);

        return o >= 0 ? colours[o] : COLOUR_NORMAL;
}

const char *run_state_text(struct json_object *run, Colour *ret)
{
        const char *state = json_text(run, "state");

        if (!streq(state, "finished") && !isempty(state)) {
                *ret = streq(state, "queued") ? COLOUR_GREY : COLOUR_BLUE;
                return state;
        }
        *ret = outcome_colour(json_text(run, "outcome"));
        return json_text(run, "outcome");
}

const char *run_name(struct json_object *run)
{
        const char *connector = json_text(run, "connector");

        return isempty(connector) ? json_text(run, "provider") : connector;
}

const char *relative_text(char *buf, usec_t usec)
{
        return usec == 0 ? "-" : timespan_relative(buf, TIMESPAN_TEXT_MAX, usec, now_usec(CLOCK_REALTIME));
}

const char *duration_text(char *buf, usec_t from_usec, usec_t to_usec)
{
        usec_t span = usec_sub(to_usec, from_usec);
        usec_t accuracy = span > USEC_PER_MINUTE ? USEC_PER_SEC
                          : span > USEC_PER_SEC  ? 100 * USEC_PER_MSEC
                                                 : USEC_PER_MSEC;

        if (from_usec == 0 || to_usec == 0)
                return "-";
        return timespan_format(buf, TIMESPAN_TEXT_MAX, span, accuracy);
}
