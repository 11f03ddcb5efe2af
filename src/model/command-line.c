/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Splitting and expanding only: nothing is looked up or run here. */

#include "model/command-line.h"

#include <limits.h>
#include <stdlib.h>

#include "base/buffer.h"
#include "base/string-util.h"
#include "base/word.h"

static int refuse(char **ret_why, char *why, int error)
{
        if (!why)
                return -ENOMEM;
        if (ret_why)
                *ret_why = why;
        else
                free(why);
        return error;
}

bool specifier_path_is_absolute(const char *path)
{
        const char *rest = startswith(path, "%S");

        if (!rest)
                rest = startswith(path, "%d");
        return path[0] == '/' || (rest && (*rest == '/' || *rest == '\0'));
}

/* What is wrong with a program's name, NULL if it is good. */
static const char *check_program(const char *word)
{
        if (strchr("-@:+!|", word[0]))
                return word[0] == '\0' ? "is empty" : "begins with a prefix, which has no meaning here";
        for (const char *c = word; *c; c++)
                if ((*c > 0 && *c < ' ') || strchr("\"'\\\x7f", *c))
                        return "holds a quote, a backslash or a control character";
        if (endswith(word, "/"))
                return "is a folder";
        if (specifier_path_is_absolute(word) ? strlen(word) >= PATH_MAX
                                             : strchr(word, '/') || streq(word, ".") || streq(word, "..") ||
                                                       streq(word, ";") || strlen(word) > NAME_MAX)
                return "is neither an absolute path nor the name of a program";
        return NULL;
}

/* "\;" and nothing else before the next blank; word_extract() could not tell it from an unknown escape. */
static bool take_semicolon(const char **p)
{
        if ((*p)[0] != '\\' || (*p)[1] != ';' || ((*p)[2] != '\0' && !strchr(WHITESPACE, (*p)[2])))
                return false;
        *p += 2;
        *p += strspn(*p, WHITESPACE);
        return true;
}

static bool is_separator(const char *p)
{
        return p[0] == ';' && (p[1] == '\0' || strchr(WHITESPACE, p[1]));
}

/* A word that a shell would not hand on, before its quotes are gone: mostly somebody took this for a shell's line. */
static bool is_shell_word(const char *p)
{
        static const char *const words[] = { "|",   "||", "|&", "&",  "&&",   "<", "<<",
                                             "<<<", ">",  ">>", "2>", "2>&1", "&>" };
        size_t n = strcspn(p, WHITESPACE);

        for (size_t i = 0; i < ELEMENTSOF(words); i++)
                if (strlen(words[i]) == n && strncmp(p, words[i], n) == 0)
                        return true;
        return false;
}

/* What is to be looked at in a line that is good. Return: 0: nothing; 1; -ENOMEM. */
static int warn(bool shell, bool odd, char **ret_why)
{
        if (shell)
                return refuse(ret_why,
                              asprintf_or_null("There is no shell: an argument such as '|', '>' or '&&' goes to the "
                                               "program as it stands. For a pipe use ExecTransform=, for a shell sh "
                                               "-c '...'; quote the word where it is meant."),
                              1);
        if (odd)
                return refuse(ret_why, asprintf_or_null("An unknown escape sequence is kept; '\\\\' is a backslash."),
                              1);
        return 0;
}

int command_line_split(const char *text, char ***ret, char **ret_why)
{
        _cleanup_strv_free_ char **words = NULL;
        const char *p = text + strspn(text, WHITESPACE);
        size_t n_words = 0, allocated = 0;
        bool odd = false, shell = false;
        int r;

        while (*p != '\0') {
                _cleanup_free_ char *word = NULL;
                const char *why;

                if (is_separator(p))
                        return refuse(ret_why, asprintf_or_null("A line is one command; '\\;' is the word ';'."),
                                      -EINVAL);
                shell = shell || is_shell_word(p);
                if (n_words > 0 && take_semicolon(&p))
                        r = (word = strdup(";")) ? 1 : -ENOMEM;
                else
                        r = word_extract(&p, &word, &odd);
                if (r == -EINVAL)
                        return refuse(ret_why, asprintf_or_null("A quote is left open in '%.*s'.", 64, p), r);
                if (r < 0)
                        return r;
                why = n_words == 0 ? check_program(word) : NULL;
                if (why)
                        return refuse(ret_why, asprintf_or_null("The program '%.*s' %s.", 64, word, why), -EINVAL);
                if (n_words >= COMMAND_WORDS_MAX)
                        return refuse(ret_why, asprintf_or_null("There are more than %u words.", COMMAND_WORDS_MAX),
                                      -E2BIG);
                if (n_words + 1 >= allocated) {
                        char **longer = reallocarray(words, allocated * 2 + 8, sizeof(char *));

                        if (!longer)
                                return -ENOMEM;
                        words = longer;
                        allocated = allocated * 2 + 8;
                }
                words[n_words++] = TAKE_PTR(word);
                words[n_words] = NULL;
        }
        if (n_words == 0)
                return refuse(ret_why, asprintf_or_null("There is no command."), -EINVAL);
        r = warn(shell, odd, ret_why);
        if (r >= 0)
                *ret = TAKE_PTR(words);
        return r;
}

/* The value of a specifier: false where there is no such one. */
static bool specifier_find(char letter, const Specifiers *s, const char **ret)
{
        switch (letter) {
        case '%':
                *ret = "%";
                return true;
        case 'n':
                *ret = s->connector;
                return true;
        case 'r':
                *ret = s->run_id;
                return true;
        case 'c':
                *ret = s->config_file;
                return true;
        case 's':
                *ret = s->state_file;
                return true;
        case 'd':
                *ret = s->credentials_directory;
                return true;
        case 'S':
                *ret = s->state_directory;
                return true;
        default:
                return false;
        }
}

int specifiers_expand(const char *word, const Specifiers *specifiers, char **ret)
{
        _cleanup_buffer_ Buffer out = {};

        for (const char *p = word; *p; p++) {
                const char *value;

                if (*p != '%') {
                        buffer_append_char(&out, *p);
                        continue;
                }
                if (!specifier_find(*++p, specifiers, &value))
                        return -EINVAL;
                buffer_append_string(&out, strempty(value));
        }
        return buffer_take(&out, ret);
}

int specifiers_expand_strv(char *const *words, const Specifiers *specifiers, char ***ret)
{
        _cleanup_strv_free_ char **expanded = NULL;
        int r;

        STRV_FOREACH(word, words) {
                char *one = NULL;

                r = specifiers_expand(*word, specifiers, &one);
                if (r < 0)
                        return r;
                r = strv_consume(&expanded, one);
                if (r < 0)
                        return r;
        }
        *ret = TAKE_PTR(expanded);
        return 0;
}

const char *specifiers_check(const char *word)
{
        static const Specifiers none = {};
        const char *value;

        for (const char *p = strchr(word, '%'); p; p = strchr(p + 2, '%'))
                if (!specifier_find(p[1], &none, &value))
                        return p;
        return NULL;
}
