/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What every unit test needs: cmocka with the headers that it wants first, and checks of our results.
 * A failed check longjmps past _cleanup_: what a test must give back stands in its fixture. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "base/macros.h"

/* Zero or positive, as every function of ours that has succeeded. */
#define expect_ok(expression)                                                      \
        do {                                                                       \
                intmax_t _r = (expression);                                        \
                if (_r < 0) {                                                      \
                        print_error("%s: %s\n", #expression, strerror((int) -_r)); \
                        _fail(__FILE__, __LINE__);                                 \
                }                                                                  \
        } while (false)

/* Failed, and with just this negative errno. */
#define expect_errno(expression, error)                                                 \
        do {                                                                            \
                intmax_t _r = (expression);                                             \
                if (_r != (error)) {                                                    \
                        print_error("%s: %jd (%s), expected %s\n", #expression, _r,     \
                                    _r < 0 ? strerror((int) -_r) : "no error", #error); \
                        _fail(__FILE__, __LINE__);                                      \
                }                                                                       \
        } while (false)
