/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The command line of syncrun-http. */

#include "base/macros.h"

typedef struct HttpArguments {
        char **listen; /* NULL: what systemd hands over */
} HttpArguments;

void http_arguments_done(HttpArguments *arguments);

/* Return: 1; 0 all is said (--help); negative errno, logged. */
int http_arguments_parse(int argc, char **argv, HttpArguments *ret) _must_check_;
