/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* --host= for verbs that read files of the machine, where the bus does not help: syncrunctl runs over there. */

#include "ctl/ctl.h"

/**
 * over_ssh() - run the same command line on the host that it names
 * @argc: of main()
 * @argv: as options_parse() has left it
 * @first: index of the verb
 *
 * Return: the exit status of syncrunctl there; EXIT_UNAVAILABLE where it could not be run, with the error printed.
 */
int over_ssh(const Ctl *ctl, int argc, char **argv, int first) _must_check_;
