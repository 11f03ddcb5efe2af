/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The daemon's command line. What can be set in syncrun.conf has no option here. */

#include "base/macros.h"

typedef struct Arguments {
        char **config_dirs; /* NULL: as usual */
        char *worker_path;  /* never NULL after arguments_parse() */
} Arguments;

void arguments_done(Arguments *arguments);

/**
 * arguments_parse() - read the command line; prints help, version, or what is wrong
 *
 * Return: 1; 0 where all is done and the program shall end with success; -EINVAL; -ENOMEM.
 */
int arguments_parse(int argc, char **argv, Arguments *ret) _must_check_;
