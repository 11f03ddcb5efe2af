/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Command lines of ExecPull=, ExecTransform= and ExecStore=: split as systemd splits ExecStart= (quotes, C escapes, no
 * shell), then specifiers expanded in each word. */

#include "base/macros.h"

#define COMMAND_WORDS_MAX 1024U /* words of one command line */

/**
 * command_line_split() - the words of a command line
 * @ret:     strv; set on success only; caller frees
 * @ret_why: set on -EINVAL: what is wrong, with the place; freed by the caller; may be NULL
 *
 * The first word must be an absolute path or a plain name that is looked up in the usual folders at launch.
 *
 * Return: 0; -EINVAL (empty, open quote, bad escape, bad first word); -E2BIG; -ENOMEM.
 */
int command_line_split(const char *text, char ***ret, char **ret_why) _must_check_;

/* Values of the specifiers of interfaces.md section 1; a NULL value expands to nothing. */
typedef struct Specifiers {
        const char *connector;             /* %n */
        const char *run_id;                /* %r */
        const char *config_file;           /* %c */
        const char *state_file;            /* %s */
        const char *credentials_directory; /* %d */
        const char *state_directory;       /* %S */
} Specifiers;

/**
 * specifiers_expand() - one word with its specifiers replaced; "%%" is "%"
 * @ret: set on success only; caller frees
 *
 * Return: 0; -EINVAL (unknown specifier, or a "%" at the end); -ENOMEM.
 */
int specifiers_expand(const char *word, const Specifiers *specifiers, char **ret) _must_check_;

/* All words of a list. Return: as specifiers_expand(). */
int specifiers_expand_strv(char *const *words, const Specifiers *specifiers, char ***ret) _must_check_;
