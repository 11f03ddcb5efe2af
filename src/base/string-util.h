/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Strings and NULL-terminated string lists (strv). NULL is an empty list. */

#include <string.h>

#include "base/macros.h"

#define WHITESPACE " \t\n\r"

static inline bool streq(const char *a, const char *b)
{
        return strcmp(a, b) == 0;
}

/* Equal, where NULL equals NULL only. */
static inline bool streq_null(const char *a, const char *b)
{
        return a == b || (a && b && strcmp(a, b) == 0);
}

static inline bool isempty(const char *s)
{
        return !s || s[0] == '\0';
}

static inline const char *strempty(const char *s)
{
        return s ? s : "";
}

static inline const char *strna(const char *s)
{
        return isempty(s) ? "-" : s;
}

static inline const char *yes_no(bool b)
{
        return b ? "yes" : "no";
}

/* The rest of @s after @prefix, or NULL if it does not begin so. */
static inline const char *startswith(const char *s, const char *prefix)
{
        size_t n = strlen(prefix);

        return strncmp(s, prefix, n) == 0 ? s + n : NULL;
}

bool endswith(const char *s, const char *suffix) _pure_;

/**
 * free_and_strdup() - replace a string by a copy
 * @p: the owned string, freed on success
 * @s: NULL gives NULL
 *
 * Return: 1 if the text changed, 0 if it was the same, -ENOMEM.
 */
int free_and_strdup(char **p, const char *s) _must_check_;

/* A formatted string that the caller frees, or NULL when out of memory. */
char *asprintf_or_null(const char *format, ...) _printf_(1, 2) _must_check_;

/* Cuts white space off both ends, in place; returns a pointer into @s. */
char *strstrip(char *s);

/**
 * parse_boolean() - what systemd takes for a boolean (1 yes y true t on, 0 no n false f off), case-insensitive
 *
 * Return: 0 or 1; -EINVAL.
 */
int parse_boolean(const char *s) _must_check_;

/**
 * parse_uint64() - a decimal number, all of the text, no sign, no white space
 * @ret: set on success only
 *
 * Return: 0; -EINVAL; -ERANGE.
 */
int parse_uint64(const char *s, uint64_t *ret) _must_check_;

/* UTF-8 that a bus carries, by sd-bus's rule: no overlong forms, surrogates, NUL, nor noncharacters (U+FFFE, U+FFFF
 * and the like of each plane, U+FDD0 to U+FDEF). */
bool utf8_is_valid(const char *s, size_t n) _pure_;

/* The same with noncharacters, which JSON may have (RFC 8259). */
bool utf8_is_well_formed(const char *s, size_t n) _pure_;

/**
 * utf8_noncharacter() - is the character at @s a noncharacter?
 * @n: bytes that are there, at least 1
 *
 * Return: its bytes; 0 if it is not one.
 */
size_t utf8_noncharacter(const char *s, size_t n, uint32_t *ret_code);

/**
 * utf8_mended() - @s, or what utf8_sanitize() makes of it where it is not valid
 * @ret_copy: always set: the copy, freed by the caller, or NULL
 *
 * Return: @s or the copy; NULL when out of memory.
 */
const char *utf8_mended(const char *s, char **ret_copy) _must_check_;

/**
 * utf8_sanitize() - a copy in which each byte that is not UTF-8, each noncharacter and each control character but tab
 *                   and newline is U+FFFD
 * @limit_bytes: longer text is cut at a character's end and closed with "…", which is within the limit; of a limit
 *               that has no room even for that, nothing is left
 *
 * Return: the copy, freed by the caller; NULL when out of memory.
 */
char *utf8_sanitize(const char *s, size_t n, size_t limit_bytes) _must_check_;

/* [a-z][a-z0-9_-]{0,27}: the names of connectors and connections, used as unit instances without escaping. */
#define CONNECTOR_NAME_MAX 28U
bool connector_name_is_valid(const char *s) _pure_;

/* [a-z0-9_-]{1,64}: a provider's slug. */
#define PROVIDER_SLUG_MAX 64U
bool provider_slug_is_valid(const char *s) _pure_;

char **strv_free(char **l);
DEFINE_TRIVIAL_CLEANUP_FUNC(char **, strv_free);
#define _cleanup_strv_free_ _cleanup_(strv_freep)

size_t strv_length(char *const *l) _pure_;

/* Appends a copy of @s. Return: 0 or -ENOMEM; the list is as it was on failure. */
int strv_extend(char ***l, const char *s) _must_check_;

/* Appends @s itself; on failure @s is freed. Return: 0 or -ENOMEM. */
int strv_consume(char ***l, char *s) _must_check_;

/* A deep copy; an empty list copies to NULL. Return: 0 or -ENOMEM. */
int strv_copy(char *const *l, char ***ret) _must_check_;

bool strv_contains(char *const *l, const char *s) _pure_;

/* Joined with @separator, freed by the caller; NULL when out of memory. */
char *strv_join(char *const *l, const char *separator) _must_check_;

/**
 * strv_split() - the words between any of @separators; empty words are left out
 * @ret: set on success only
 *
 * Return: 0; -ENOMEM.
 */
int strv_split(const char *s, const char *separators, char ***ret) _must_check_;

#define STRV_FOREACH(s, l) for (char *const *s = (l); s && *s; s++)
