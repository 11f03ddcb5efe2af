/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What doctor has found, and how it is shown. What it looks at stands in verbs-doctor.c. */

#include "ctl/ctl.h"

typedef enum Finding {
        FINDING_SKIPPED, /* it does not apply here, or cannot be told */
        FINDING_GOOD,
        FINDING_WARNING,
        FINDING_BAD,
        _FINDING_MAX,
        _FINDING_INVALID = -EINVAL,
} Finding;

typedef struct Findings {
        const Ctl *ctl;
        struct json_object *array; /* for --json; else NULL */
        unsigned n[_FINDING_MAX];
        bool lost; /* out of memory */
} Findings;

/* Return: 0; -ENOMEM. */
int findings_begin(const Ctl *ctl, Findings *ret) _must_check_;

/**
 * findings_add() - one line: at once, where it is for people
 * @check:  what was looked at, one word
 * @advice: what to do, a sentence; NULL: nothing
 */
void findings_add(Findings *findings, const char *check, Finding finding, const char *advice, const char *format, ...)
                _printf_(5, 6);

/* Prints what is left to print. Return: the exit status: 1 where something is bad. */
int findings_end(Findings *findings);
