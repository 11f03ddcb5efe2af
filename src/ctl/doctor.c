/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "ctl/doctor.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/string-util.h"

#define CHECK_WIDTH 10

static const struct {
        const char *word; /* for --json */
        Colour colour;
} looks[_FINDING_MAX] = {
        [FINDING_SKIPPED] = { "skipped", COLOUR_GREY },
        [FINDING_GOOD] = { "good", COLOUR_GREEN },
        [FINDING_WARNING] = { "warning", COLOUR_YELLOW },
        [FINDING_BAD] = { "bad", COLOUR_RED },
};

int findings_begin(const Ctl *ctl, Findings *ret)
{
        *ret = (Findings){ .ctl = ctl };
        if (ctl->options.json == JSON_OFF)
                return 0;
        ret->array = json_object_new_array();
        return ret->array ? 0 : -ENOMEM;
}

static void print(const Findings *findings, const char *check, Finding finding, const char *text, const char *advice)
{
        if (findings->ctl->options.quiet)
                return;
        (void) printf("%s%s%s %-*s %s\n", colour(looks[finding].colour), glyph(GLYPH_BULLET), colour(COLOUR_NORMAL),
                      CHECK_WIDTH, check, text);
        if (advice)
                (void) printf("  %-*s %s%s%s\n", CHECK_WIDTH, "", colour(COLOUR_BOLD), advice, colour(COLOUR_NORMAL));
}

static int remember(Findings *findings, const char *check, Finding finding, const char *text, const char *advice)
{
        _cleanup_json_ struct json_object *object = json_object_new_object();

        if (!object || json_add(object, "check", json_object_new_string(check)) < 0 ||
            json_add(object, "finding", json_object_new_string(looks[finding].word)) < 0 ||
            json_add(object, "text", json_object_new_string(text)) < 0 ||
            json_add(object, "advice", advice ? json_object_new_string(advice) : NULL) < 0 ||
            json_object_array_add(findings->array, object) < 0)
                return -ENOMEM;
        TAKE_PTR(object);
        return 0;
}

void findings_add(Findings *findings, const char *check, Finding finding, const char *advice, const char *format, ...)
{
        _cleanup_free_ char *text = NULL, *fit = NULL;
        va_list ap;

        findings->n[finding]++;
        va_start(ap, format);
        if (vasprintf(&text, format, ap) < 0)
                text = NULL;
        va_end(ap);
        fit = text ? text_line(text) : NULL;
        if (!fit)
                findings->lost = true;
        else if (!findings->array)
                print(findings, check, finding, fit, advice);
        else if (remember(findings, check, finding, fit, advice) < 0)
                findings->lost = true;
}

int findings_end(Findings *findings)
{
        unsigned n_bad = findings->n[FINDING_BAD], n_warnings = findings->n[FINDING_WARNING];

        if (findings->array) {
                _cleanup_json_ struct json_object *answer = json_object_new_object();

                if (!answer || json_add(answer, "findings", TAKE_PTR(findings->array)) < 0)
                        return ctl_oom();
                ctl_print_json(findings->ctl, answer);
        } else if (n_bad + n_warnings > 0)
                ctl_hint(findings->ctl, "%u thing%s to mend, %u to look at.", n_bad, n_bad == 1 ? "" : "s",
                         n_warnings);
        if (findings->lost)
                return ctl_oom();
        return n_bad > 0;
}
