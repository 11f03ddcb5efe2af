/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Reading files in the syntax of systemd.syntax(7), finding objects with their drop-ins, and walking tables. */

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/conf.h"
#include "base/fd-util.h"
#include "base/string-util.h"
#include "unit/expect.h"

typedef struct Fixture {
        Conf conf;
        Diagnostics d;
        char folder[sizeof("/tmp/test-conf-XXXXXX")];
        char *dirs[4]; /* etc, run, usr below the folder */
} Fixture;

static int setup(void **state)
{
        Fixture *f = calloc(1, sizeof(Fixture));
        const char *names[] = { "etc", "run", "usr" };

        assert_non_null(f);
        memcpy(f->folder, "/tmp/test-conf-XXXXXX", sizeof(f->folder));
        assert_non_null(mkdtemp(f->folder));
        for (size_t i = 0; i < ELEMENTSOF(names); i++)
                f->dirs[i] = asprintf_or_null("%s/%s", f->folder, names[i]);
        *state = f;
        return 0;
}

static int teardown(void **state)
{
        Fixture *f = *state;
        char *command = asprintf_or_null("rm -rf '%s'", f->folder);

        assert_int_equal(system(command), 0);
        free(command);
        for (size_t i = 0; f->dirs[i]; i++)
                free(f->dirs[i]);
        conf_done(&f->conf);
        diagnostics_done(&f->d);
        free(f);
        return 0;
}

/* "Section.Key@line=value" for each assignment, each closed by "|". */
static char *show(const Conf *conf)
{
        Buffer b = {};
        char *text;

        for (size_t i = 0; i < conf->n_items; i++) {
                const ConfAssignment *a = &conf->items[i];

                buffer_append_format(&b, "%s.%s@%u=%s|", a->section, a->key, a->line, a->value);
        }
        expect_ok(buffer_take(&b, &text));
        return text;
}

static void expect_conf(const Conf *conf, const char *expected)
{
        char *text = show(conf);

        assert_string_equal(text, expected);
        free(text);
}

static void expect_diagnostic(const Diagnostics *d, size_t i, DiagnosticSeverity severity, const char *start)
{
        char *text;

        assert_true(i < d->n_items);
        text = diagnostic_format(&d->items[i]);
        if (!startswith(text, start))
                fail_msg("'%s' does not begin with '%s'", text, start);
        assert_int_equal(d->items[i].severity, severity);
        free(text);
}

static void put(Fixture *f, const char *name, const char *text)
{
        char *path = asprintf_or_null("%s/%s", f->folder, name), *slash = strrchr(path, '/');
        FILE *file;

        *slash = '\0';
        expect_ok(mkdir_p(path, 0755));
        *slash = '/';
        file = fopen(path, "we");
        assert_non_null(file);
        assert_true(fputs(text, file) >= 0);
        assert_int_equal(fclose(file), 0);
        free(path);
}

static void put_link(Fixture *f, const char *name, const char *target)
{
        char *path = asprintf_or_null("%s/%s", f->folder, name);

        put(f, name, "");
        assert_int_equal(unlink(path), 0);
        assert_int_equal(symlink(target, path), 0);
        free(path);
}

static const struct {
        const char *text;
        const char *expected;
        const char *warning; /* beginning of the only one; NULL for none */
} texts[] = {
        { "", "", NULL },
        { "[A]\nKey=value\n", "A.Key@2=value|", NULL },
        { "[A]\nKey=value", "A.Key@2=value|", NULL },
        { "  [A]  \n\t Key \t=\t a  b \t\n", "A.Key@2=a  b|", NULL },
        { "[A]\nK=1\nK=\nK=2\n[B]\nK=3\n[A]\nK=4\n", "A.K@2=1|A.K@3=|A.K@4=2|B.K@6=3|A.K@8=4|", NULL },
        { "[A]\nK=a=b [c] #d ;e\n", "A.K@2=a=b [c] #d ;e|", NULL },
        { "# c\n;c\n\n[A]\n  # c=1\n\t;c=1\nK=1\n", "A.K@7=1|", NULL },
        { "\xef\xbb\xbf[A]\nK=1\n", "A.K@2=1|", NULL },
        { "[A]\r\nK=1\\\r\n2\r\n", "A.K@2=1 2|", NULL },
        /* The example of systemd.syntax(7). */
        { "[Section B]\nSetting=\"something\" \"some thing\" \"...\"\nKeyTwo=value 2 \\\n       value 2 continued\n\n"
          "[Section C]\nKeyThree=value 3\\\n# this line is ignored\n; this line is ignored too\n       value 3 continued\n",
          "Section B.Setting@2=\"something\" \"some thing\" \"...\"|Section B.KeyTwo@3=value 2         value 2 continued|"
          "Section C.KeyThree@7=value 3        value 3 continued|", NULL },
        /* A line goes on behind an odd number of backslashes only, and only at its very end. */
        { "[A]\nK=1\\\\\nL=2\\\\\\\n3\n", "A.K@2=1\\\\|A.L@3=2\\\\ 3|", NULL },
        { "[A]\nK=1\\ \nL=2\n", "A.K@2=1\\|A.L@3=2|", NULL },
        { "[A]\nK=1\\", "A.K@2=1|", NULL },
        { "[A]\nK=1\\\n#c", "A.K@2=1|", NULL },
        { "[A]\nK=1\\\n#c\\\n2\nL=3\n", "A.K@2=1 2|A.L@5=3|", NULL },
        { "[A]\nK=1\\\n\nL=2\n", "A.K@2=1|A.L@4=2|", NULL },
        { "[A]\nK=1\\\n\\\n2\n", "A.K@2=1  2|", NULL },
        { "[A\\\n]\nK=1\n", "A .K@3=1|", NULL },
        /* Wrong lines. */
        { "K=1\nL=2\n[A]\nM=3\n", "A.M@4=3|", "f:1: This stands before the first section" },
        { "[A]\nnothing\nK=1\n", "A.K@3=1|", "f:2: 'nothing' is ignored" },
        { "[A]\n=1\nK=1\n", "A.K@3=1|", "f:2: '=1' is ignored" },
        { "[A]\nK=1\n[B\nK=2\n[C]\nK=3\n", "A.K@2=1|C.K@6=3|", "f:3: '[B' is no section header" },
        { "[]\nK=2\n[C]\nK=3\n", "C.K@4=3|", "f:1: '[]' is no section header" },
        { "[A\"]\nK=2\n[C]\nK=3\n", "C.K@4=3|", "f:1: '[A\"]' is no section header" },
        { "[A]\nK=\xff\nL=\xc3\xa9\n", "A.L@3=\xc3\xa9|", "f:2: The line is not in UTF-8" },
        { "[A]\nK=1\\\n\xff\nL=2\n", "A.L@4=2|", "f:2: The line is not in UTF-8" },
};

static void test_text(void **state)
{
        for (size_t i = 0; i < ELEMENTSOF(texts); i++) {
                Diagnostics d = {};
                Conf conf = {};

                expect_ok(conf_parse_text(&conf, "f", texts[i].text, strlen(texts[i].text), &d));
                expect_conf(&conf, texts[i].expected);
                assert_int_equal(d.n_items, texts[i].warning ? 1 : 0);
                if (texts[i].warning)
                        expect_diagnostic(&d, 0, DIAGNOSTIC_WARNING, texts[i].warning);
                conf_done(&conf);
                diagnostics_done(&d);
        }
}

static void test_text_is_binary(void **state)
{
        static const char text[] = "[A]\nK=1\0\n";
        Fixture *f = *state;

        expect_errno(conf_parse_text(&f->conf, "f", text, sizeof(text) - 1, &f->d), -EBADMSG);
        assert_int_equal(f->conf.n_items, 0);
        expect_diagnostic(&f->d, 0, DIAGNOSTIC_ERROR, "f: This is no text");
}

static void test_assignments_max(void **state)
{
        Fixture *f = *state;
        Buffer text = {};

        buffer_append_string(&text, "[A]\n");
        for (unsigned i = 0; i < CONF_ASSIGNMENTS_MAX; i++)
                buffer_append_string(&text, "K=1\n");
        expect_ok(conf_parse_text(&f->conf, "f", text.data, text.size, &f->d));
        assert_int_equal(f->conf.n_items, CONF_ASSIGNMENTS_MAX);
        assert_int_equal(f->d.n_items, 0);
        expect_errno(conf_append(&f->conf, NULL, 0, "A", "K", "2"), -E2BIG);

        conf_done(&f->conf);
        buffer_append_string(&text, "L=1\n");
        expect_errno(conf_parse_text(&f->conf, "f", text.data, text.size, &f->d), -E2BIG);
        assert_int_equal(f->conf.n_items, CONF_ASSIGNMENTS_MAX);
        expect_diagnostic(&f->d, 0, DIAGNOSTIC_ERROR, "f:4098: L=: There are more than 4096 settings");
        buffer_done(&text);
}

static void test_file_max(void **state)
{
        Fixture *f = *state;
        char *path = asprintf_or_null("%s/big", f->folder), *text = malloc(CONF_FILE_MAX + 2);

        memset(text, 'x', CONF_FILE_MAX + 1);
        memcpy(text, "[A]\nK=", 6);
        text[CONF_FILE_MAX] = '\0';
        put(f, "big", text);
        expect_ok(conf_load_file(&f->conf, path, &f->d));
        assert_int_equal(strlen(f->conf.items[0].value), CONF_FILE_MAX - 6);

        text[CONF_FILE_MAX] = 'x';
        text[CONF_FILE_MAX + 1] = '\0';
        put(f, "big", text);
        expect_errno(conf_load_file(&f->conf, path, &f->d), -EFBIG);
        expect_diagnostic(&f->d, 0, DIAGNOSTIC_ERROR, path);
        free(text);
        free(path);
}

static void test_object(void **state)
{
        Fixture *f = *state;
        char *path = NULL;

        assert_int_equal(conf_load_object(&f->conf, f->dirs, "x.c", &f->d, &path), 0);
        put(f, "usr/x.c.d/10-alone.conf", "[A]\nK=dropin alone\n");
        assert_int_equal(conf_load_object(&f->conf, f->dirs, "x.c", &f->d, &path), 0);
        assert_int_equal(f->conf.n_items, 0);
        assert_null(path);

        put(f, "usr/x.c", "[A]\nK=usr\n");
        put(f, "run/x.c", "[A]\nK=run\n");
        put(f, "run/x.c.d/20-b.conf", "[A]\nK=run 20\n");
        put(f, "etc/x.c.d/30-c.conf", "[A]\nK=etc 30\n");
        put(f, "usr/x.c.d/20-b.conf", "[A]\nK=usr 20\n");
        put(f, "etc/x.c.d/.hidden.conf", "[A]\nK=hidden\n");
        put(f, "etc/x.c.d/40-d.conf~", "[A]\nK=other suffix\n");
        put(f, "etc/x.c.d/50-folder.conf/x", "");
        put_link(f, "etc/x.c.d/60-nowhere.conf", "/nonexistent");
        assert_int_equal(conf_load_object(&f->conf, f->dirs, "x.c", &f->d, &path), 1);
        expect_conf(&f->conf, "A.K@2=run|A.K@2=dropin alone|A.K@2=run 20|A.K@2=etc 30|");
        assert_string_equal(path + strlen(f->folder), "/run/x.c");
        assert_true(endswith(f->conf.items[3].file, "/etc/x.c.d/30-c.conf"));
        assert_int_equal(f->d.n_items, 0);
        free(path);
}

static void test_object_masked(void **state)
{
        Fixture *f = *state;

        put(f, "usr/x.c", "[A]\nK=usr\n");
        put(f, "usr/x.c.d/10-a.conf", "[A]\nK=a\n");
        put(f, "usr/x.c.d/20-b.conf", "[A]\nK=b\n");
        put_link(f, "etc/x.c.d/10-a.conf", "/dev/null");
        put(f, "run/x.c.d/20-b.conf", "");
        assert_int_equal(conf_load_object(&f->conf, f->dirs, "x.c", &f->d, NULL), 1);
        expect_conf(&f->conf, "A.K@2=usr|");

        conf_done(&f->conf);
        put_link(f, "run/x.c", "/dev/null");
        assert_int_equal(conf_load_object(&f->conf, f->dirs, "x.c", &f->d, NULL), 0);
        put(f, "etc/x.c", "");
        assert_int_equal(conf_load_object(&f->conf, f->dirs, "x.c", &f->d, NULL), 0);
        put(f, "etc/x.c", "\n");
        assert_int_equal(conf_load_object(&f->conf, f->dirs, "x.c", &f->d, NULL), 1);
        assert_int_equal(f->conf.n_items, 0);
        assert_int_equal(f->d.n_items, 0);
}

static void test_object_unreadable(void **state)
{
        Fixture *f = *state;
        char *path = NULL;

        put(f, "etc/x.c/y", "");
        put(f, "usr/x.c", "[A]\nK=usr\n");
        expect_errno(conf_load_object(&f->conf, f->dirs, "x.c", &f->d, &path), -EISDIR);
        assert_int_equal(f->conf.n_items, 0);
        assert_string_equal(path + strlen(f->folder), "/etc/x.c");
        expect_diagnostic(&f->d, 0, DIAGNOSTIC_ERROR, path);
        free(path);
}

static void test_object_no_file(void **state)
{
        Fixture *f = *state;
        char *path = asprintf_or_null("%s/usr/x.c", f->folder);

        put(f, "usr/y.c", "");
        assert_int_equal(mkfifo(path, 0600), 0);
        expect_errno(conf_load_object(&f->conf, f->dirs, "x.c", &f->d, NULL), -EINVAL);
        expect_diagnostic(&f->d, 0, DIAGNOSTIC_ERROR, path);
        assert_string_equal(f->d.items[0].text, "This is no regular file.");
        free(path);
}

static void test_dropins_max(void **state)
{
        Fixture *f = *state;
        char name[64];

        put(f, "usr/x.c", "[A]\nK=main\n");
        for (unsigned i = 0; i < CONF_DROPINS_MAX; i++) {
                (void) snprintf(name, sizeof(name), "etc/x.c.d/%03u.conf", i);
                put(f, name, "[A]\nK=1\n");
        }
        assert_int_equal(conf_load_object(&f->conf, f->dirs, "x.c", &f->d, NULL), 1);
        assert_int_equal(f->conf.n_items, CONF_DROPINS_MAX + 1);

        conf_done(&f->conf);
        put(f, "etc/x.c.d/999.conf", "[A]\nK=1\n");
        expect_errno(conf_load_object(&f->conf, f->dirs, "x.c", &f->d, NULL), -E2BIG);
        assert_int_equal(f->conf.n_items, CONF_DROPINS_MAX + 1);
        assert_int_equal(f->d.n_errors, 1);
}

static void test_list(void **state)
{
        Fixture *f = *state;
        char **names = NULL, *joined;

        expect_ok(conf_list_objects(f->dirs, ".c", 10, &names));
        assert_int_equal(strv_length(names), 0);
        strv_free(names);

        put(f, "usr/b.c", "x");
        put(f, "usr/a.c", "x");
        put(f, "etc/a.c", "");
        put(f, "run/c.c", "x");
        put(f, "run/.c", "x");
        put(f, "run/d.c.d/x", "x");
        put(f, "run/e.c/x", "x");
        expect_ok(conf_list_objects(f->dirs, ".c", 4, &names));
        joined = strv_join(names, " ");
        assert_string_equal(joined, "a b c e"); /* a folder instead of a file is told when it is read */
        free(joined);
        strv_free(names);
        expect_errno(conf_list_objects(f->dirs, ".c", 3, &names), -E2BIG);
}

typedef struct Target {
        char *string;
        bool yes;
        unsigned number, count;
        usec_t span, timeout;
        char *path;
        char **list;
} Target;

#define ITEM(section, key, parse, field, severity)                                                                   \
        {                                                                                                            \
                section, key, parse, offsetof(Target, field), severity                                               \
        }

static const ConfItem items[] = {
        ITEM("A", "String", conf_parse_string, string, DIAGNOSTIC_WARNING),
        ITEM("A", "Bool", conf_parse_bool, yes, DIAGNOSTIC_ERROR),
        ITEM("A", "Number", conf_parse_unsigned, number, DIAGNOSTIC_WARNING),
        ITEM("A", "Count", conf_parse_count, count, DIAGNOSTIC_WARNING),
        ITEM("A", "Span", conf_parse_seconds, span, DIAGNOSTIC_WARNING),
        ITEM("B", "Timeout", conf_parse_timeout, timeout, DIAGNOSTIC_WARNING),
        ITEM("B", "Path", conf_parse_path, path, DIAGNOSTIC_WARNING),
        ITEM("B", "List", conf_parse_strv, list, DIAGNOSTIC_WARNING),
        {},
};

static void apply(Fixture *f, const char *text, Target *target)
{
        expect_ok(conf_parse_text(&f->conf, "f", text, strlen(text), &f->d));
        expect_ok(conf_apply(&f->conf, items, target, &f->d));
}

static void test_apply(void **state)
{
        Fixture *f = *state;
        Target t = {};

        apply(f, "[A]\nString=one\nString=two words\nBool=ON\nNumber=4294967295\nCount=1\nSpan=1h 30min\nX-Other=1\n"
                 "[X-Section]\nAnything=1\n"
                 "[B]\nTimeout=0\nPath=/a b\nList=1\nList=\nList=2 2\nList=3\n", &t);
        assert_int_equal(f->d.n_items, 0);
        assert_string_equal(t.string, "two words");
        assert_true(t.yes);
        assert_int_equal(t.number, UINT32_MAX);
        assert_int_equal(t.count, 1);
        assert_int_equal(t.span, 90 * USEC_PER_MINUTE);
        assert_true(t.timeout == USEC_INFINITY);
        assert_string_equal(t.path, "/a b");
        assert_int_equal(strv_length(t.list), 2);
        assert_string_equal(t.list[0], "2 2");
        assert_int_equal(conf_find(&f->conf, "B", "List")->line, 17);
        assert_null(conf_find(&f->conf, "A", "List"));

        conf_done(&f->conf);
        apply(f, "[A]\nString=\nCount=infinity\n[B]\nTimeout=7\nPath=\nList=\n", &t);
        assert_null(t.string);
        assert_int_equal(t.count, UINT32_MAX);
        assert_int_equal(t.timeout, 7 * USEC_PER_SEC);
        assert_null(t.path);
        assert_null(t.list);
        assert_int_equal(f->d.n_items, 0);
}

static void test_apply_wrong(void **state)
{
        static const struct {
                const char *text;
                DiagnosticSeverity severity;
                const char *start;
        } wrong[] = {
                { "[A]\nBool=maybe\n", DIAGNOSTIC_ERROR, "f:2: Bool=: 'maybe' is neither yes nor no." },
                { "[A]\nBool=\n", DIAGNOSTIC_ERROR, "f:2: Bool=: '' is neither" },
                { "[A]\nNumber=-1\n", DIAGNOSTIC_WARNING, "f:2: Number=: '-1' is no whole number" },
                { "[A]\nNumber=4294967296\n", DIAGNOSTIC_WARNING, "f:2: Number=: '4294967296' is no" },
                { "[A]\nCount=0\n", DIAGNOSTIC_WARNING, "f:2: Count=: '0' is neither" },
                { "[A]\nSpan=soon\n", DIAGNOSTIC_WARNING, "f:2: Span=: 'soon' is no time span: '90'" },
                { "[A]\nSpan=infinity\n", DIAGNOSTIC_WARNING, "f:2: Span=: 'infinity' is no" },
                { "[B]\nTimeout=1 sec ond\n", DIAGNOSTIC_WARNING, "f:2: Timeout=: '1 sec ond' is no" },
                { "[B]\nPath=a/b\n", DIAGNOSTIC_WARNING, "f:2: Path=: 'a/b' is no absolute path" },
                { "[B]\nString=1\n", DIAGNOSTIC_WARNING, "f:2: String=: The setting is ignored in [B]: it belongs into [A]." },
                { "[B]\nNothing=1\n", DIAGNOSTIC_WARNING, "f:2: Nothing=: There is no such setting in [B]" },
                { "[C]\nString=1\n", DIAGNOSTIC_WARNING, "f:2: String=: There is no section [C]" },
        };

        for (size_t i = 0; i < ELEMENTSOF(wrong); i++) {
                Target before = { .number = 7, .count = 7, .span = 7, .timeout = 7, .yes = true }, t = before;
                Fixture f = {};

                apply(&f, wrong[i].text, &t);
                assert_int_equal(f.d.n_items, 1);
                expect_diagnostic(&f.d, 0, wrong[i].severity, wrong[i].start);
                assert_memory_equal(&t, &before, sizeof(t));
                conf_done(&f.conf);
                diagnostics_done(&f.d);
        }
}

static void test_diagnostics(void **state)
{
        Fixture *f = *state;
        Diagnostics other = {};
        char *text;

        assert_null(diagnostics_first(&f->d));
        diagnostics_add(NULL, DIAGNOSTIC_ERROR, "f", 1, "K", "nobody listens");
        for (unsigned i = 0; i <= DIAGNOSTICS_MAX; i++)
                diagnostics_add(&f->d, DIAGNOSTIC_WARNING, NULL, 0, NULL, "%u", i);
        assert_int_equal(f->d.n_items, DIAGNOSTICS_MAX);
        assert_int_equal(f->d.n_dropped, 1);
        assert_string_equal(diagnostics_first(&f->d)->text, "0");

        /* Errors are not crowded out by warnings, but have their own limit. */
        for (unsigned i = 0; i <= DIAGNOSTICS_MAX; i++)
                diagnostics_add(&other, DIAGNOSTIC_ERROR, "f", 3, "K", "error %u", i);
        diagnostics_move(&f->d, &other);
        assert_int_equal(other.n_items, 0);
        assert_int_equal(f->d.n_items, 2 * DIAGNOSTICS_MAX);
        assert_int_equal(f->d.n_dropped, 2);
        assert_int_equal(f->d.n_errors, DIAGNOSTICS_MAX + 1);
        text = diagnostic_format(diagnostics_first(&f->d));
        assert_string_equal(text, "f:3: K=: error 0");
        free(text);

        diagnostics_add(&other, DIAGNOSTIC_ERROR, "\xff", 3, "K", "%*s", (int) DIAGNOSTIC_TEXT_MAX, "\x01");
        assert_string_equal(other.items[0].file, "\xef\xbf\xbd");
        assert_true(strlen(other.items[0].text) <= DIAGNOSTIC_TEXT_MAX);
        assert_true(endswith(other.items[0].text, "\xe2\x80\xa6"));
        diagnostics_move(NULL, &other);
        assert_int_equal(other.n_items, 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_text),
                cmocka_unit_test_setup_teardown(test_text_is_binary, setup, teardown),
                cmocka_unit_test_setup_teardown(test_assignments_max, setup, teardown),
                cmocka_unit_test_setup_teardown(test_file_max, setup, teardown),
                cmocka_unit_test_setup_teardown(test_object, setup, teardown),
                cmocka_unit_test_setup_teardown(test_object_masked, setup, teardown),
                cmocka_unit_test_setup_teardown(test_object_no_file, setup, teardown),
                cmocka_unit_test_setup_teardown(test_object_unreadable, setup, teardown),
                cmocka_unit_test_setup_teardown(test_dropins_max, setup, teardown),
                cmocka_unit_test_setup_teardown(test_list, setup, teardown),
                cmocka_unit_test_setup_teardown(test_apply, setup, teardown),
                cmocka_unit_test(test_apply_wrong),
                cmocka_unit_test_setup_teardown(test_diagnostics, setup, teardown),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
