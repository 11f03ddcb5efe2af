/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The options of syncrunctl's command line: what they are, and which of them were given. What they mean is the verbs'
 * business, and which verb takes which is the table's in main.c. */

#include "base/macros.h"

#define LINES_MAX      10000U /* --lines=: as many rows as one answer of the daemon holds */
#define ITERATIONS_MAX 1000U

typedef enum JsonMode {
        JSON_OFF,
        JSON_SHORT,
        JSON_PRETTY,
        _JSON_MODE_MAX,
        _JSON_MODE_INVALID = -EINVAL,
} JsonMode;

/* Options that only some verbs take. How an answer looks (--json, --no-pager, --no-legend, --quiet) any verb accepts,
 * so that they can stand in an alias; one that has nothing to show does not mind. */
typedef enum CtlOption {
        OPTION_HOST,
        OPTION_FULL,
        OPTION_WAIT,
        OPTION_REASON,
        OPTION_ACCOUNTS,
        OPTION_PROVIDER,
        OPTION_USER,
        OPTION_SOURCE,
        OPTION_OUTCOME,
        OPTION_ACTIVE,
        OPTION_ATTENTION,
        OPTION_SINCE,
        OPTION_UNTIL,
        OPTION_LINES,
        OPTION_FOLLOW,
        OPTION_PAGE,
        OPTION_BASE_TIME,
        OPTION_ITERATIONS,
        OPTION_SCOPE,
        OPTION_URL,
        OPTION_DESCRIPTION,
        OPTION_TYPES,
        OPTION_ENABLE,
        OPTION_DISABLE,
        OPTION_AT_ONCE,
        OPTION_DONE,
        OPTION_EXPIRES,
        OPTION_DELETE_ITEMS,
        _CTL_OPTION_MAX,
        _CTL_OPTION_INVALID = -EINVAL,
} CtlOption;

typedef struct CtlOptions {
        uint32_t given; /* a bit for each CtlOption */
        JsonMode json;
        bool pager;
        bool legend;
        bool quiet;
        bool help;
        bool version;
        const char *host;
        const char *reason;
        const char *accounts; /* comma-separated */
        const char *provider;
        const char *user;
        const char *source;
        const char *outcome;
        const char *page;
        const char *scope; /* comma-separated */
        const char *url;
        const char *description;
        const char *types; /* comma-separated */
        usec_t since_usec;
        usec_t expires_usec;
        usec_t until_usec;
        usec_t base_usec;
        uint32_t lines;
        uint32_t iterations;
} CtlOptions;

static inline bool option_given(const CtlOptions *options, CtlOption option)
{
        return options->given & (1U << option);
}

/* The number after -n, or @otherwise. */
static inline uint32_t option_lines(const CtlOptions *options, uint32_t otherwise)
{
        return option_given(options, OPTION_LINES) ? options->lines : otherwise;
}

/**
 * options_parse() - read the command line
 * @ret_first: index of the first word that is no option; the words are moved to the end
 *
 * Return: 0; an exit status > 0 with the error printed.
 */
int options_parse(int argc, char **argv, CtlOptions *ret, int *ret_first) _must_check_;

/**
 * options_of_host() - what was given but --host, each as one word
 * @argc: as given to options_parse()
 *
 * Return: 0; -ENOMEM. The list is the caller's to free.
 */
int options_of_host(int argc, char **argv, char ***ret) _must_check_;

/**
 * options_check() - refuse what a verb does not take, rather than do something else than was asked for
 * @taken: a bit for each CtlOption
 *
 * Return: 0; an exit status > 0 with the error printed.
 */
int options_check(const CtlOptions *options, const char *verb, uint32_t taken) _must_check_;
