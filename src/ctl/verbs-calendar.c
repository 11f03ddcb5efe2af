/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* calendar: what a calendar event means and when it elapses. Needs no daemon. */

#include <inttypes.h>
#include <stdio.h>

#include "base/string-util.h"
#include "base/time-util.h"
#include "ctl/ctl.h"
#include "model/calendar.h"

typedef struct Elapses {
        usec_t times[ITERATIONS_MAX];
        uint32_t n;
} Elapses;

/* The next times; fewer than were asked for where there are no more. Return: 0; -ENOMEM. */
static int find_elapses(const CalendarSpec *spec, usec_t from, uint32_t iterations, Elapses *ret)
{
        int r;

        for (ret->n = 0; ret->n < iterations; ret->n++) {
                r = calendar_spec_next(spec, from, &from);
                if (r == -ENOENT)
                        return 0;
                if (r < 0)
                        return r;
                ret->times[ret->n] = from;
        }
        return 0;
}

static int print_json(const Ctl *ctl, const char *text, const char *normal, const Elapses *elapses)
{
        _cleanup_json_ struct json_object *object = json_object_new_object();
        struct json_object *array = json_object_new_array(), *item;
        char iso[TIMESTAMP_TEXT_MAX];

        if (!object || json_add(object, "expression", json_object_new_string(text)) < 0 ||
            json_add(object, "normalized", json_object_new_string(normal)) < 0 ||
            json_add(object, "elapses", array) < 0 || !array)
                return ctl_oom();
        for (uint32_t i = 0; i < elapses->n; i++) {
                item = json_object_new_string(strempty(timestamp_format_iso(iso, sizeof(iso), elapses->times[i])));
                if (!item || json_object_array_add(array, item) < 0) {
                        json_object_put(item);
                        return ctl_oom();
                }
        }
        ctl_print_json(ctl, object);
        return 0;
}

static void print_elapses(const Elapses *elapses)
{
        usec_t now = now_usec(CLOCK_REALTIME);

        for (uint32_t i = 0; i < elapses->n; i++) {
                char local[TIMESTAMP_TEXT_MAX], iso[TIMESTAMP_TEXT_MAX], span[TIMESPAN_TEXT_MAX];

                char label[sizeof("Iter. #4294967295")] = "Next elapse";

                if (i > 0)
                        (void) snprintf(label, sizeof(label), "Iter. #%" PRIu32, i + 1);
                (void) printf("%15s: %s%s%s\n       (in UTC): %s\n       From now: %s\n", label, colour(COLOUR_BLUE),
                              strempty(timestamp_format_local(local, sizeof(local), elapses->times[i])),
                              colour(COLOUR_NORMAL),
                              strempty(timestamp_format_iso(iso, sizeof(iso), elapses->times[i])),
                              timespan_relative(span, sizeof(span), elapses->times[i], now));
        }
        if (elapses->n == 0)
                (void) puts("    Next elapse: never");
}

static int show_calendar(const Ctl *ctl, const char *text, bool first)
{
        const CtlOptions *o = &ctl->options;
        _cleanup_(calendar_spec_freep) CalendarSpec *spec = NULL;
        _cleanup_free_ char *normal = NULL;
        Elapses elapses;
        int r;

        r = calendar_spec_parse(text, &spec);
        if (r == -ENOMEM)
                return ctl_oom();
        if (r < 0)
                return ctl_usage_error("\"%s\" is no calendar event%s. See systemd.time(7), CALENDAR EVENTS.", text,
                                       r == -ENOENT   ? ": there is no such time zone"
                                       : r == -ERANGE ? ": a field is out of its range"
                                                      : "");
        if (calendar_spec_format(spec, &normal) < 0 ||
            find_elapses(spec, option_given(o, OPTION_BASE_TIME) ? o->base_usec : now_usec(CLOCK_REALTIME),
                         o->iterations, &elapses) < 0)
                return ctl_oom();
        if (o->json != JSON_OFF)
                return print_json(ctl, text, normal, &elapses);
        (void) printf("%s  Original form: %s\nNormalized form: %s%s%s\n", first ? "" : "\n", text, colour(COLOUR_BOLD),
                      normal, colour(COLOUR_NORMAL));
        print_elapses(&elapses);
        return 0;
}

int verb_calendar(Ctl *ctl, int argc, char **argv)
{
        int worst = 0, status;

        for (int i = 1; i < argc; i++) {
                status = show_calendar(ctl, argv[i], i == 1);
                worst = MAX(worst, status);
        }
        return worst;
}
