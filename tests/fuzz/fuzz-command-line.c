/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Words that a command line was split into are the same when they are quoted, written and split again; specifiers are
 * checked and expanded alike. */

#include <stdint.h>
#include <stdlib.h>

#include "base/buffer.h"
#include "base/string-util.h"
#include "model/command-line.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
        if (!holds)
                abort();
}

static void check_specifiers(const char *word)
{
        static const Specifiers specifiers = { .connector = "a", .run_id = "%%", .state_file = "/s" };
        char *expanded = NULL;
        int r = specifiers_expand(word, &specifiers, &expanded);

        check(r == 0 || r == -EINVAL);
        check((r == 0) == !specifiers_check(word));
        check((r == 0) == !!expanded);
        check(!expanded || strchr(word, '%') || streq(expanded, word));
        free(expanded);
}

static void check_again(char *const *words)
{
        _cleanup_strv_free_ char **again = NULL;
        _cleanup_buffer_ Buffer line = {};
        size_t i = 0;

        STRV_FOREACH(word, words) {
                buffer_append_char(&line, '"');
                for (const char *c = *word; *c; c++)
                        buffer_append_format(&line, "\\x%02x", (unsigned char) *c);
                buffer_append_string(&line, "\"\t");
        }
        check(command_line_split(line.data, &again, NULL) == 0);
        check(strv_length(again) == strv_length(words));
        STRV_FOREACH(word, words)
                check(streq(*word, again[i++]));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        _cleanup_free_ char *text = strndup((const char *) data, size), *why = NULL;
        _cleanup_strv_free_ char **words = NULL;
        int r;

        check(text);
        r = command_line_split(text, &words, &why);
        check(r == 0 || r == 1 || r == -EINVAL || r == -E2BIG);
        check((r == 0) == !why);
        check((r >= 0) == !!words);
        check(strv_length(words) <= COMMAND_WORDS_MAX);
        if (words)
                check_again(words);
        STRV_FOREACH(word, words)
                check_specifiers(*word);
        check_specifiers(text);
        return 0;
}
