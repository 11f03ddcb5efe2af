/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What is wrong with a configuration file, in words that name file, line and key. Collected while reading, printed by
 * `syncrunctl verify`, logged by the daemon. */

#include "base/macros.h"

/* Kept for one set of files, and as many errors again, so that warnings do not hide them; others are counted only. */
#define DIAGNOSTICS_MAX 256U

#define DIAGNOSTIC_TEXT_MAX 1024U /* bytes of each string; longer ones are cut */

typedef enum DiagnosticSeverity {
        DIAGNOSTIC_WARNING, /* the line is ignored, the rest counts */
        DIAGNOSTIC_ERROR,   /* the object cannot run: load state bad-setting */
        _DIAGNOSTIC_SEVERITY_MAX,
        _DIAGNOSTIC_SEVERITY_INVALID = -EINVAL,
} DiagnosticSeverity;

typedef struct Diagnostic {
        DiagnosticSeverity severity;
        char *file;
        unsigned line; /* from 1; 0 where the file as a whole is meant */
        char *key;     /* NULL where no key is meant */
        char *text;
} Diagnostic;

typedef struct Diagnostics {
        Diagnostic *items;
        size_t n_items;
        size_t n_dropped; /* past DIAGNOSTICS_MAX, or for lack of memory */
        size_t n_errors;
        bool lost; /* some of those dropped were for lack of memory: it is not known what they were */
} Diagnostics;

void diagnostics_done(Diagnostics *d);

/* Strings are made valid UTF-8. @d may be NULL: nothing is kept. @file and @key may be NULL. Never fails; see
 * n_dropped. */
void diagnostics_add(Diagnostics *d, DiagnosticSeverity severity, const char *file, unsigned line, const char *key,
                     const char *format, ...) _printf_(6, 7);

/* Appends all of @from, which is empty then. @to may be NULL. */
void diagnostics_move(Diagnostics *to, Diagnostics *from);

/* "FILE:LINE: KEY=: text", freed by the caller; NULL when out of memory. */
char *diagnostic_format(const Diagnostic *d) _must_check_;

/* The first error, the first warning if there is no error, NULL if there is neither; borrowed. */
const Diagnostic *diagnostics_first(const Diagnostics *d) _pure_;

/* Each with its file and line as fields of its journal entry: for the programs at the top, which log. */
void diagnostics_log(const Diagnostics *d);
