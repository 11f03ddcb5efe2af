/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "ctl/ctl.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/string-util.h"
#include "base/time-util.h"
#include "model/run.h"

_printf_(1, 0) static void print_error(const char *format, va_list ap)
{
        bool on = isatty(STDERR_FILENO) && isempty(getenv("NO_COLOR"));
        _cleanup_free_ char *text = NULL;

        if (vasprintf(&text, format, ap) < 0)
                text = NULL;
        (void) fprintf(stderr, "%ssyncrunctl: %s%s\n", on ? "\x1b[31m" : "", strempty(text), on ? "\x1b[0m" : "");
}

int ctl_usage_error(const char *format, ...)
{
        va_list ap;

        va_start(ap, format);
        print_error(format, ap);
        va_end(ap);
        return 2;
}

int ctl_oom(void)
{
        (void) ctl_usage_error("Out of memory.");
        return 71;
}

int ctl_fail(const ClientError *e, const char *format, ...)
{
        _cleanup_free_ char *what = NULL;
        va_list ap;

        va_start(ap, format);
        if (vasprintf(&what, format, ap) < 0)
                what = NULL;
        va_end(ap);
        (void) ctl_usage_error("%s: %s", strempty(what), strna(e->message));
        return client_error_exit_status(e);
}

int ctl_client(Ctl *ctl, Client **ret)
{
        _cleanup_client_error_ ClientError e = {};

        if (!ctl->client && client_open(ctl->options.host, &ctl->client, &e) < 0) {
                (void) ctl_usage_error("%s", strna(e.message));
                return client_error_exit_status(&e);
        }
        *ret = ctl->client;
        return 0;
}

void ctl_print_json(const Ctl *ctl, struct json_object *value)
{
        int flags = JSON_C_TO_STRING_NOSLASHESCAPE;

        flags |= ctl->options.json == JSON_PRETTY ? JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED
                                                  : JSON_C_TO_STRING_PLAIN;
        (void) puts(json_object_to_json_string_ext(value, flags));
}

int ctl_describe(Ctl *ctl, const char *member, const ClientOption *filter, size_t n, struct json_object **ret)
{
        _cleanup_client_error_ ClientError e = {};
        _cleanup_json_ struct json_object *object = NULL;
        _cleanup_free_ char *json = NULL;
        Client *client;
        int status;

        status = ctl_client(ctl, &client);
        if (status != 0)
                return status;
        if (client_describe(client, member, filter, n, &json, &e) < 0)
                return ctl_fail(&e, "Could not read from the sync service");
        if (json_parse(json, strlen(json), &object) < 0)
                return ctl_usage_error("The sync service gave an answer that is not JSON.");
        if (ctl->options.json != JSON_OFF) {
                ctl_print_json(ctl, object);
                *ret = NULL;
                return 0;
        }
        *ret = TAKE_PTR(object);
        return 0;
}

int ctl_parse_time(const char *option, const char *text, usec_t *ret)
{
        usec_t span, now = now_usec(CLOCK_REALTIME);

        if (timestamp_parse_iso(text, ret) >= 0)
                return 0;
        if (timespan_parse(text, USEC_PER_SEC, &span) >= 0) {
                *ret = usec_sub(now, span);
                return 0;
        }
        return ctl_usage_error("%s takes a time such as 2026-11-21T08:00:00Z, or a span before now such as 2h, not "
                               "\"%s\".",
                               option, text);
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

usec_t json_time(struct json_object *object, const char *key)
{
        const char *s = NULL;
        usec_t usec;

        return json_get_string(object, key, &s) > 0 && timestamp_parse_iso(s, &usec) >= 0 ? usec : 0;
}

const char *run_state_text(struct json_object *run, Colour *ret)
{
        static const Colour colours[_RUN_OUTCOME_MAX] = {
                [RUN_SUCCEEDED] = COLOUR_GREEN,  [RUN_PARTIAL] = COLOUR_YELLOW, [RUN_FAILED] = COLOUR_RED,
                [RUN_CANCELLED] = COLOUR_YELLOW, [RUN_SKIPPED] = COLOUR_GREY,
        };
        const char *state = json_text(run, "state"), *word = json_text(run, "outcome");
        RunOutcome outcome = run_outcome_from_string(word);

        if (!streq(state, "finished") && !isempty(state)) {
                *ret = streq(state, "queued") ? COLOUR_GREY : COLOUR_BLUE;
                return state;
        }
        *ret = outcome >= 0 ? colours[outcome] : COLOUR_NORMAL;
        return word;
}

const char *relative_text(char *buf, usec_t usec)
{
        return usec == 0 ? "-" : timespan_relative(buf, TIMESPAN_TEXT_MAX, usec, now_usec(CLOCK_REALTIME));
}

const char *duration_text(char *buf, usec_t from_usec, usec_t to_usec)
{
        usec_t span = usec_sub(to_usec, from_usec);

        if (from_usec == 0 || to_usec == 0)
                return "-";
        return timespan_format(buf, TIMESPAN_TEXT_MAX, span,
                               span > USEC_PER_MINUTE ? USEC_PER_SEC : span > USEC_PER_SEC ? 100 * USEC_PER_MSEC
                                                                                            : USEC_PER_MSEC);
}
