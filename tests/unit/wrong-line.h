/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A wrong line of a definition's file, and what is to be said about it. */

#include <stdlib.h>

#include "base/string-util.h"
#include "model/connector.h"
#include "unit/expect.h"

typedef struct WrongLine {
        const char *text;            /* the file */
        DiagnosticSeverity severity; /* an error keeps the definition from being used, a warning does not */
        const char *start;           /* of what is said */
} WrongLine;

/* Just one thing was said, which begins as it should, and a definition that it makes useless has it as its error. */
static inline void expect_wrong(const WrongLine *wrong, Diagnostics *said, LoadState load_state, const char *load_error)
{
        bool fatal = wrong->severity == DIAGNOSTIC_ERROR;
        char *text;

        if (said->n_items != 1)
                fail_msg("%zu things said, not one, about:\n%s", said->n_items, wrong->text);
        text = diagnostic_format(&said->items[0]);
        if (!startswith(text, wrong->start))
                fail_msg("'%s' does not begin with '%s'", text, wrong->start);
        assert_int_equal(said->items[0].severity, wrong->severity);
        assert_int_equal(load_state, fatal ? LOAD_BAD_SETTING : LOAD_LOADED);
        if (fatal)
                assert_string_equal(load_error, text);
        else
                assert_null(load_error);
        free(text);
        diagnostics_done(said);
}
