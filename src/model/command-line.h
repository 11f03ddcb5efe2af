/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Command lines of ExecPull=, ExecTransform= and ExecStore=: split as systemd splits ExecStart= (quotes, C escapes, no
 * shell), then specifiers expanded in each word. */

#include "base/macros.h"

#define COMMAND_WORDS_MAX 1024U /* words of one command line */

/**
 * command_line_split() - the words of a command line
 * @text:    as in ExecStart=, but for what systemd does besides splitting: "$" stands for itself, the first word has
 *           no prefix ("-", "@", ...), and a word of ";" alone, which would begin a second command, is refused ("\;"
 *           is the word ";")
 * @ret:     strv; set on success only; caller frees
 * @ret_why: set on -EINVAL, -E2BIG and 1: what is wrong, a sentence; freed by the caller; may be NULL
 *
 * The first word must be an absolute path (it may begin with %S or %d), or a plain name that is looked up in the usual
 * folders at launch.
 *
 * Return: 0; 1 where an unknown escape sequence was kept as it stands, as systemd does, or where an unquoted word is
 * one of a shell ("|", ">", "&&", ...); -EINVAL (empty, open quote, ";", bad first word); -E2BIG (COMMAND_WORDS_MAX);
 * -ENOMEM.
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

/**
 * specifiers_check() - whether specifiers_expand() would know them all
 *
 * Return: NULL if so; else the "%" in question, within @word.
 */
const char *specifiers_check(const char *word) _pure_;

/* "/...", or "%S" or "%d" and what is below them: an absolute path once it is expanded. */
bool specifier_path_is_absolute(const char *path) _pure_;
