/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Command lines: words, specifiers. tests/unit/test_command_line_peer.py holds the words against systemd's own. */

#include <limits.h>
#include <stdlib.h>

#include "base/string-util.h"
#include "base/word.h"
#include "model/command-line.h"
#include "unit/expect.h"

#define BAR "\x1e" /* stands in no word of the tables below */

static void expect_words(const char *text, char **words, const char *expected)
{
        char *joined = strv_join(words, BAR);

        if (!streq(joined, expected))
                fail_msg("'%s': words '%s', expected '%s'", text, joined, expected);
        free(joined);
}

static const struct {
        const char *text;
        const char *words; /* joined by BAR */
        int r;
} good[] = {
        { "a", "a", 0 },
        { " \t/bin/a  b\tc\n", "/bin/a" BAR "b" BAR "c", 0 },
        { "a \"b c\" 'd e'", "a" BAR "b c" BAR "d e", 0 },
        { "a \"b'c\" 'd\"e'", "a" BAR "b'c" BAR "d\"e", 0 },
        { "a b\"c d\"e'f g'", "a" BAR "bc def g", 0 },
        { "a \"\" '' b", "a" BAR "" BAR "" BAR "b", 0 },
        { "\"/a b\" c", "/a b" BAR "c", 0 },
        { "a \\a\\b\\f\\n\\r\\t\\v", "a" BAR "\a\b\f\n\r\t\v", 0 },
        { "a \\\\ \\\" \\' x\\sy", "a" BAR "\\" BAR "\"" BAR "'" BAR "x y", 0 },
        { "a \"\\\"\\n\" '\\'\\n'", "a" BAR "\"\n" BAR "'\n", 0 },
        { "a \\x41 \\x4a\\x4A \\101\\0611", "a" BAR "A" BAR "JJ" BAR "A11", 0 },
        { "a \\xc3\\xa9 \\303\\251 \\u00e9 \\U000000e9", "a" BAR "\xc3\xa9" BAR "\xc3\xa9" BAR "\xc3\xa9" BAR "\xc3\xa9", 0 },
        { "a \\u20ac \\U0001f600 \\u0041", "a" BAR "\xe2\x82\xac" BAR "\xf0\x9f\x98\x80" BAR "A", 0 },
        { "a \xc3\xa9", "a" BAR "\xc3\xa9", 0 },
        { "a # $HOME ${HOME} $$ * ? ~ a|b x>y", "a" BAR "#" BAR "$HOME" BAR "${HOME}" BAR "$$" BAR "*" BAR "?" BAR "~" BAR "a|b"
          BAR "x>y", 0 },
        { "a '|' \">\" '&&' -c 'b | c > d'", "a" BAR "|" BAR ">" BAR "&&" BAR "-c" BAR "b | c > d", 0 },
        /* Words of a shell stay, too, with a warning. */
        { "a | b", "a" BAR "|" BAR "b", 1 },
        { "a > b", "a" BAR ">" BAR "b", 1 },
        { "a 2>&1", "a" BAR "2>&1", 1 },
        { "a < & && || >> \\q", "a" BAR "<" BAR "&" BAR "&&" BAR "||" BAR ">>" BAR "\\q", 1 },
        { "a \\; b", "a" BAR ";" BAR "b", 0 },
        { "a \\;", "a" BAR ";", 0 },
        { "a \";\" ';' x; ;x", "a" BAR ";" BAR ";" BAR "x;" BAR ";x", 0 },
        { "%S/bin/a %n", "%S/bin/a" BAR "%n", 0 },
        { "%d/a", "%d/a", 0 },
        /* Unknown escapes stay as they are, with a warning. */
        { "a \\q", "a" BAR "\\q", 1 },
        { "a \\x4 \\xzz \\18 \\u12 \\U0000d800 \\U00110000 \\U0000fffe", "a" BAR "\\x4" BAR "\\xzz" BAR "\\18" BAR "\\u12" BAR
          "\\U0000d800" BAR "\\U00110000" BAR "\\U0000fffe", 1 },
        { "a \\x00 \\000 \\u0000 \\U00000000 \\400 \\777", "a" BAR "\\x00" BAR "\\000" BAR "\\u0000" BAR "\\U00000000" BAR
          "\\400" BAR "\\777", 1 },
        { "a b\\", "a" BAR "b\\", 1 },
        { "a b\\ c", "a" BAR "b\\ c", 1 },
        { "a \\;b", "a" BAR "\\;b", 1 },
        { "a \"\\q\"", "a" BAR "\\q", 1 },
};

static void test_good(void **state)
{
        for (size_t i = 0; i < ELEMENTSOF(good); i++) {
                char **words = NULL, *why = NULL;

                assert_int_equal(command_line_split(good[i].text, &words, &why), good[i].r);
                assert_int_equal(!!why, good[i].r);
                expect_words(good[i].text, words, good[i].words);
                strv_free(words);
                free(why);
        }
}

static const struct {
        const char *text;
        const char *why; /* beginning */
} bad[] = {
        { "", "There is no command" },
        { " \t\n", "There is no command" },
        { "a \"b", "A quote is left open in '\"b'" },
        { "a b'c", "A quote is left open in 'b'c'" },
        { "a \"b\\\"", "A quote is left open" },
        { "a \"b\\", "A quote is left open" },
        { "a ; b", "A line is one command" },
        { "a ;", "A line is one command" },
        { "; a", "A line is one command" },
        { "';' a", "The program ';' is neither" },
        { "-/bin/a", "The program '-/bin/a' begins with a prefix" },
        { "@/bin/a b", "The program '@/bin/a' begins with a prefix" },
        { "\"\" a", "The program '' is empty" },
        { "bin/a", "The program 'bin/a' is neither" },
        { "./a", "The program './a' is neither" },
        { "..", "The program '..' is neither" },
        { "%n/a", "The program '%n/a' is neither" },
        { "%Sa/b", "The program '%Sa/b' is neither" },
        { "/bin/", "The program '/bin/' is a folder" },
        { "a\\nb", "The program 'a\nb' holds a quote" },
        { "\\; a", "The program '\\;' holds a quote" },
};

static void test_bad(void **state)
{
        for (size_t i = 0; i < ELEMENTSOF(bad); i++) {
                char **words = NULL, *why = NULL;

                expect_errno(command_line_split(bad[i].text, &words, &why), -EINVAL);
                assert_null(words);
                if (!startswith(why, bad[i].why))
                        fail_msg("'%s': '%s'", bad[i].text, why);
                free(why);
                expect_errno(command_line_split(bad[i].text, &words, NULL), -EINVAL);
        }
}

static void test_limits(void **state)
{
        char text[2 * COMMAND_WORDS_MAX + 3], path[PATH_MAX + 1], **words = NULL, *why = NULL;

        for (size_t i = 0; i <= COMMAND_WORDS_MAX; i++)
                memcpy(text + 2 * i, "a ", 3);
        text[2 * COMMAND_WORDS_MAX] = '\0';
        expect_ok(command_line_split(text, &words, &why));
        assert_int_equal(strv_length(words), COMMAND_WORDS_MAX);
        strv_free(words);
        text[2 * COMMAND_WORDS_MAX] = 'a';
        expect_errno(command_line_split(text, &words, &why), -E2BIG);
        assert_string_equal(why, "There are more than 1024 words.");
        free(why);

        memset(path, '/', sizeof(path));
        memset(path + 1, 'a', sizeof(path) - 1);
        path[PATH_MAX - 1] = '\0';
        expect_ok(command_line_split(path, &words, &why));
        strv_free(words);
        path[PATH_MAX - 1] = 'a';
        path[PATH_MAX] = '\0';
        expect_errno(command_line_split(path, &words, NULL), -EINVAL);
        path[NAME_MAX + 1] = '\0';
        expect_ok(command_line_split(path + 1, &words, &why));
        strv_free(words);
        path[NAME_MAX + 1] = 'a';
        path[NAME_MAX + 2] = '\0';
        expect_errno(command_line_split(path + 1, &words, NULL), -EINVAL);
}

static const Specifiers specifiers = {
        .connector = "bank",
        .run_id = "run-1",
        .config_file = NULL,
        .state_file = "/s/state",
        .credentials_directory = "/run/cred",
        .state_directory = "/s",
};

static void test_specifiers(void **state)
{
        static const struct {
                const char *word, *expanded;
        } table[] = {
                { "", "" },
                { "plain", "plain" },
                { "%n", "bank" },
                { "--run=%r,%r", "--run=run-1,run-1" },
                { "x%cy", "xy" },
                { "%s %d %S", "/s/state /run/cred /s" },
                { "100%% %%n %%%n", "100% %n %bank" },
        };
        char *const list[] = { (char *) "a", (char *) "%n", (char *) "%c", NULL };
        char *const wrong[] = { (char *) "a", (char *) "%x", NULL };
        char **expanded;

        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                char *word = NULL;

                expect_ok(specifiers_expand(table[i].word, &specifiers, &word));
                assert_string_equal(word, table[i].expanded);
                assert_null(specifiers_check(table[i].word));
                free(word);
        }
        expect_ok(specifiers_expand_strv(list, &specifiers, &expanded));
        expect_words("list", expanded, "a" BAR "bank" BAR "");
        strv_free(expanded);
        expect_errno(specifiers_expand_strv(wrong, &specifiers, &expanded), -EINVAL);
}

static void test_specifiers_unknown(void **state)
{
        static const char *const words[] = { "%", "a%", "%x", "%N", "%%%", "% n", "%n%q%n" };
        char *expanded = NULL;

        for (size_t i = 0; i < ELEMENTSOF(words); i++) {
                expect_errno(specifiers_expand(words[i], &specifiers, &expanded), -EINVAL);
                assert_non_null(specifiers_check(words[i]));
        }
        assert_string_equal(specifiers_check("%n%q%n"), "%q%n");
        assert_null(expanded);
}

static void test_absolute(void **state)
{
        assert_true(specifier_path_is_absolute("/"));
        assert_true(specifier_path_is_absolute("%S"));
        assert_true(specifier_path_is_absolute("%S/a"));
        assert_true(specifier_path_is_absolute("%d/a"));
        assert_false(specifier_path_is_absolute(""));
        assert_false(specifier_path_is_absolute("a/b"));
        assert_false(specifier_path_is_absolute("%Sa"));
        assert_false(specifier_path_is_absolute("%s/a"));
        assert_false(specifier_path_is_absolute("%%S/a"));
}

static void test_word_extract(void **state)
{
        const char *text = "  one 'two", *p = text;
        char *word = NULL;
        bool odd = false;

        assert_int_equal(word_extract(&p, &word, &odd), 1);
        assert_string_equal(word, "one");
        assert_string_equal(p, "'two");
        free(word);
        expect_errno(word_extract(&p, &word, &odd), -EINVAL);
        assert_string_equal(p, "'two");
        assert_false(odd);
        p = " \n";
        assert_int_equal(word_extract(&p, &word, &odd), 0);
        p = "\\q";
        assert_int_equal(word_extract(&p, &word, NULL), 1);
        free(word);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_good), cmocka_unit_test(test_bad),
                cmocka_unit_test(test_limits), cmocka_unit_test(test_specifiers),
                cmocka_unit_test(test_specifiers_unknown), cmocka_unit_test(test_absolute),
                cmocka_unit_test(test_word_extract),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
