/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Parsers of values that files of connectors and of connections share. */

#include "model/conf-values.h"

#include <ctype.h>
#include <stdlib.h>

#include "base/names.h"
#include "base/string-util.h"
#include "base/word.h"
#include "model/command-line.h"
#include "model/connector.h"

int conf_parse_provider(const ConfAssignment *a, void *data, char **ret_why)
{
        if (!isempty(a->value) && !provider_slug_is_valid(a->value)) {
                *ret_why = asprintf_or_null("'%s' is no provider: up to %u of a-z, 0-9, '_' and '-' would be right.",
                                            a->value, PROVIDER_SLUG_MAX);
                return -EINVAL;
        }
        return conf_parse_string(a, data, ret_why);
}

int conf_parse_user(const ConfAssignment *a, void *data, char **ret_why)
{
        char uuid[UUID_TEXT_MAX];
        int r;

        if (isempty(a->value))
                return conf_parse_string(a, data, ret_why);
        r = uuid_normalize(a->value, uuid);
        if (r < 0) {
                *ret_why = asprintf_or_null("'%s' is no UUID: '01234567-89ab-cdef-0123-456789abcdef' would be right.",
                                            a->value);
                return r;
        }
        r = free_and_strdup(data, uuid);
        return r < 0 ? r : 0;
}

/* The rest of a sentence about an unknown specifier in one of the words; NULL if there is none. */
static const char *find_unknown_specifier(char *const *words)
{
        STRV_FOREACH(word, words) {
                const char *bad = specifiers_check(*word);

                if (bad)
                        return bad;
        }
        return NULL;
}

char *why_unknown_specifier(const char *bad)
{
        return asprintf_or_null("'%.2s' is none of %%n, %%r, %%c, %%s, %%d and %%S; '%%%%' is a percent sign.", bad);
}

int conf_split_command(const char *value, char ***ret, char **ret_why)
{
        _cleanup_strv_free_ char **words = NULL;
        const char *bad;
        int r = 0;

        if (!isempty(value)) {
                r = command_line_split(value, &words, ret_why);
                if (r < 0)
                        return r;
        }
        bad = find_unknown_specifier(words);
        if (bad) {
                free(*ret_why);
                *ret_why = why_unknown_specifier(bad);
                return -EINVAL;
        }
        *ret = TAKE_PTR(words);
        return r;
}

int conf_parse_command(const ConfAssignment *a, void *data, char **ret_why)
{
        char ***l = data, **words = NULL;
        int r = conf_split_command(a->value, &words, ret_why);

        if (r < 0)
                return r;
        strv_free(*l);
        *l = words;
        return r;
}

/* What is wrong with a word of Environment=, NULL if it is good. */
static const char *check_variable(const char *word)
{
        size_t n = strcspn(word, "=");

        if (word[n] == '\0')
                return "is no assignment: NAME=VALUE would be right";
        if (n == 0 || isdigit((unsigned char) word[0]))
                return "has no name of letters, digits and '_'";
        for (size_t i = 0; i < n; i++)
                if (!isalnum((unsigned char) word[i]) && word[i] != '_')
                        return "has no name of letters, digits and '_'";
        if (startswith(word, SYNCRUN_ENV_PREFIX) || startswith(word, "CREDENTIALS_DIRECTORY="))
                return "is for syncrun to set";
        if (!utf8_is_valid(word, strlen(word)))
                return "is not in UTF-8";
        return specifiers_check(word) ? "has an unknown specifier: '%%' is a percent sign" : NULL;
}

int conf_put_entry(char ***l, char *entry, char separator, size_t max)
{
        size_t n = (size_t) (strchr(entry, separator) - entry) + 1;

        STRV_FOREACH(old, *l)
                if (strncmp(*old, entry, n) == 0) {
                        char **place = *l + (old - *l);

                        free(*place);
                        *place = entry;
                        return 0;
                }
        if (strv_length(*l) >= max) {
                free(entry);
                return -E2BIG;
        }
        return strv_consume(l, entry);
}

int conf_parse_environment(const ConfAssignment *a, void *data, char **ret_why)
{
        char ***l = data, *word = NULL;
        const char *p = a->value;
        bool odd = false;
        int r;

        if (isempty(p)) {
                *l = strv_free(*l);
                return 0;
        }
        /* As in systemd, what is no assignment is left out, and what cannot be split ends the line. */
        while ((r = word_extract(&p, &word, &odd)) > 0) {
                const char *why = odd ? "has an unknown escape sequence: '\\\\' is a backslash"
                                      : check_variable(word);

                if (why && !*ret_why) {
                        *ret_why = asprintf_or_null("'%.*s' %s. It is ignored.", 64, word, why);
                        if (!*ret_why)
                                r = -ENOMEM;
                }
                if (!why)
                        r = conf_put_entry(l, TAKE_PTR(word), '=', ENVIRONMENT_MAX);
                word = (free(word), NULL);
                if (r < 0 || odd)
                        break;
        }
        if (r == -E2BIG || r == -EINVAL) {
                free(*ret_why);
                *ret_why = r == -E2BIG ? asprintf_or_null("There are more than %u variables.", ENVIRONMENT_MAX)
                                       : asprintf_or_null("A quote is left open in '%.*s'.", 64, p);
        }
        return r < 0 ? r : !!*ret_why;
}
