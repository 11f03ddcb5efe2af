/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Values that files of connectors and of connections share. Parsers are ConfParsers; @data points to what is named. */

#include "base/conf.h"

int conf_parse_provider(const ConfAssignment *a, void *data, char **ret_why);    /* char *, a slug; empty: NULL */
int conf_parse_user(const ConfAssignment *a, void *data, char **ret_why);        /* char *, a UUID; empty: NULL */
int conf_parse_command(const ConfAssignment *a, void *data, char **ret_why);     /* char **, words; empty: NULL */
int conf_parse_environment(const ConfAssignment *a, void *data, char **ret_why); /* char **, NAME=VALUE */

/**
 * conf_split_command() - the words of a command line, whose specifiers are known
 * @ret:     NULL for none, which is no error
 * @ret_why: as of a ConfParser
 *
 * Return: 0; 1 with a warning; as command_line_split().
 */
int conf_split_command(const char *value, char ***ret, char **ret_why) _must_check_;

/* A sentence about the "%" at @bad, as specifiers_check() gave it; NULL: no memory. */
char *why_unknown_specifier(const char *bad);

/* Adds to a list, or takes the place of the entry that has the same beginning up to @separator. Takes @entry over.
 * Return: 0; -E2BIG (@max entries); -ENOMEM. */
int conf_put_entry(char ***l, char *entry, char separator, size_t max) _must_check_;
