/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Connection files: every key, its default, its limits, and what is said when it is wrong; points in time. */

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/names.h"
#include "base/string-util.h"
#include "base/time-util.h"
#include "model/connection.h"
#include "model/zone.h"
#include "unit/expect.h"
#include "unit/wrong-line.h"

#define USER "01234567-89ab-cdef-0123-456789abcdef"

static ConnectionDefinition *parse(const char *text, Diagnostics *d)
{
        ConnectionDefinition *definition = NULL;
        Conf conf = {};

        expect_ok(conf_parse_text(&conf, "f", text, strlen(text), d));
        expect_ok(connection_definition_parse("bank", &conf, "f", d, &definition));
        assert_null(conf.items);
        return definition;
}

static void show_words(Buffer *b, const char *key, char *const *words)
{
        buffer_append_format(b, " %s", key);
        STRV_FOREACH(word, words)
                buffer_append_format(b, "<%s>", *word);
}

/* Every field that a file decides, in one line. */
static void expect_shown(const ConnectionDefinition *c, const char *expected)
{
        char expires[TIMESTAMP_TEXT_MAX], *text;
        Buffer b = {};

        buffer_append_format(&b, "%s %s '%s' %s %s;", c->name, load_state_to_string(c->load_state),
                             strempty(c->description), c->provider, strna(c->user_id));
        show_words(&b, "accounts", c->accounts);
        buffer_append_format(&b, " expires %s warning %ju;",
                             strna(timestamp_format_iso(expires, sizeof(expires), point_in_time_usec(&c->consent_expires))),
                             (uintmax_t) c->warning_usec / USEC_PER_SEC);
        show_words(&b, "reconnect", c->exec_reconnect);
        show_words(&b, "environment", c->environment);
        buffer_append_format(&b, " timeout %ju", c->timeout_usec == USEC_INFINITY ? 0 : (uintmax_t) c->timeout_usec / USEC_PER_SEC);
        expect_ok(buffer_take(&b, &text));
        assert_string_equal(text, expected);
        free(text);
}

static void test_defaults(void **state)
{
        Diagnostics d = {};
        ConnectionDefinition *c = parse("[Connection]\n", &d);

        expect_shown(c, "bank loaded '' bank -; accounts expires - warning 2592000; reconnect environment timeout 900");
        assert_int_equal(d.n_items, 0);
        connection_definition_unref(c);
}

static void test_everything(void **state)
{
        Diagnostics d = {};
        ConnectionDefinition *c = parse("[Connection]\nDescription=The bank\nProvider=acme\n"
                                        "User=01234567-89AB-CDEF-0123-456789ABCDEF\n"
                                        "Accounts=giro 'savings account' giro\nAccounts=depot\n"
                                        "ConsentExpires=2027-01-31 12:00 Europe/Berlin\nExpiryWarningSec=2w\n"
                                        "[Reconnect]\nExecReconnect=/bin/renew %n '%S/a b'\nEnvironment=A=1 \"B=2 3\"\n"
                                        "TimeoutSec=0\n[X-mine]\nAny=thing\n", &d);

        expect_shown(c, "bank loaded 'The bank' acme " USER "; accounts<giro><savings account><depot>"
                        " expires 2027-01-31T11:00:00Z warning 1209600;"
                        " reconnect</bin/renew><%n><%S/a b> environment<A=1><B=2 3> timeout 0");
        assert_int_equal(d.n_items, 0);
        connection_definition_unref(c);

        c = parse("[Connection]\nAccounts=a\nAccounts=\nConsentExpires=2027-01-31\nConsentExpires=\n"
                  "[Reconnect]\nExecReconnect=/bin/a\nExecReconnect=\n", &d);
        expect_shown(c, "bank loaded '' bank -; accounts expires - warning 2592000; reconnect environment timeout 900");
        assert_int_equal(d.n_items, 0);
        connection_definition_unref(c);
}

/* One wrong line each; what is said begins with the text. */
static const WrongLine wrong[] = {
        { "[Connection]\nProvider=Bank\n", DIAGNOSTIC_ERROR, "f:2: Provider=: 'Bank' is no provider: up to 64 of a-z" },
        { "[Connection]\nUser=me\n", DIAGNOSTIC_ERROR, "f:2: User=: 'me' is no UUID" },
        { "[Connection]\nAccounts=a 'b\n", DIAGNOSTIC_WARNING, "f:2: Accounts=: A quote is left open in ''b'." },
        { "[Connection]\nAccounts=a ''\n", DIAGNOSTIC_WARNING, "f:2: Accounts=: '' is empty. It is ignored." },
        { "[Connection]\nAccounts=\\xff\n", DIAGNOSTIC_WARNING, "f:2: Accounts=: '\xef\xbf\xbd' is not in UTF-8" },
        { "[Connection]\nConsentExpires=soon\n", DIAGNOSTIC_ERROR,
          "f:2: ConsentExpires=: 'soon' is no point in time: '2027-01-31'" },
        { "[Connection]\nConsentExpires=daily\n", DIAGNOSTIC_ERROR, "f:2: ConsentExpires=: 'daily' is no point in time" },
        { "[Connection]\nConsentExpires=2027-02-29\n", DIAGNOSTIC_ERROR, "f:2: ConsentExpires=: '2027-02-29' is no point" },
        { "[Connection]\nConsentExpires=2027-13-01\n", DIAGNOSTIC_ERROR, "f:2: ConsentExpires=: '2027-13-01' is no point" },
        { "[Connection]\nConsentExpires=2027-03-28 02:30 Europe/Berlin\n", DIAGNOSTIC_ERROR,
          "f:2: ConsentExpires=: '2027-03-28 02:30 Europe/Berlin' is no point" },
        { "[Connection]\nConsentExpires=2027-01-31 Middle/Earth\n", DIAGNOSTIC_ERROR,
          "f:2: ConsentExpires=: '2027-01-31 Middle/Earth' names a time zone" },
        { "[Connection]\nExpiryWarningSec=infinity\n", DIAGNOSTIC_WARNING, "f:2: ExpiryWarningSec=: 'infinity' is no time span" },
        { "[Connection]\nTimeoutSec=1\n", DIAGNOSTIC_WARNING,
          "f:2: TimeoutSec=: The setting is ignored in [Connection]: it belongs into [Reconnect]." },
        { "[Reconnect]\nTimeoutSec=x\n", DIAGNOSTIC_WARNING, "f:2: TimeoutSec=: 'x' is no time span" },
        { "[Reconnect]\nExecReconnect=./renew\n", DIAGNOSTIC_ERROR, "f:2: ExecReconnect=: The program './renew' is neither" },
        { "[Reconnect]\nExecReconnect=/bin/renew %Y\n", DIAGNOSTIC_ERROR, "f:2: ExecReconnect=: '%Y' is none of" },
        { "[Reconnect]\nExecReconnect=/bin/renew \\q\n", DIAGNOSTIC_WARNING, "f:2: ExecReconnect=: An unknown escape" },
        { "[Reconnect]\nEnvironment=SYNCRUN_A=x\n", DIAGNOSTIC_WARNING, "f:2: Environment=: 'SYNCRUN_A=x' is for syncrun" },
        { "[Connection]\nExecPull=x\n", DIAGNOSTIC_WARNING, "f:2: ExecPull=: " },
};

static void test_wrong(void **state)
{
        for (size_t i = 0; i < ELEMENTSOF(wrong); i++) {
                ConnectionDefinition *c;
                Diagnostics d = {};

                c = parse(wrong[i].text, &d);
                expect_wrong(&wrong[i], &d, c->load_state, c->load_error);
                connection_definition_unref(c);
        }
}

static void test_limits(void **state)
{
        char name[ACCOUNT_NAME_MAX + 2];
        ConnectionDefinition *c;
        Diagnostics d = {};
        Buffer text = {};

        buffer_append_string(&text, "[Connection]\n");
        for (unsigned i = 0; i < CONNECTION_ACCOUNTS_MAX; i++)
                buffer_append_format(&text, "Accounts=a%u\n", i);
        c = parse(text.data, &d);
        assert_int_equal(d.n_items, 0);
        assert_int_equal(strv_length(c->accounts), CONNECTION_ACCOUNTS_MAX);
        connection_definition_unref(c);
        buffer_append_string(&text, "Accounts=one-more\n");
        c = parse(text.data, &d);
        assert_int_equal(d.n_items, 1);
        assert_string_equal(d.items[0].text, "There are more than 1000 accounts.");
        assert_int_equal(strv_length(c->accounts), CONNECTION_ACCOUNTS_MAX);
        connection_definition_unref(c);
        diagnostics_done(&d);
        buffer_done(&text);

        for (size_t length = ACCOUNT_NAME_MAX; length <= ACCOUNT_NAME_MAX + 1; length++) {
                (void) memset(name, 'a', length);
                name[length] = '\0';
                buffer_append_format(&text, "[Connection]\nAccounts=%s\n", name);
                c = parse(text.data, &d);
                assert_int_equal(strv_length(c->accounts), length <= ACCOUNT_NAME_MAX);
                assert_int_equal(d.n_items, length > ACCOUNT_NAME_MAX);
                connection_definition_unref(c);
                diagnostics_done(&d);
                buffer_done(&text);
        }
}

static void expect_point(const char *text, const char *expected)
{
        PointInTime point = POINT_IN_TIME_INIT;
        char buf[TIMESTAMP_TEXT_MAX];

        expect_ok(point_in_time_parse(text, &point));
        assert_string_equal(timestamp_format_iso(buf, sizeof(buf), point_in_time_usec(&point)), expected);
        point_in_time_done(&point);
        assert_true(point_in_time_usec(&point) == USEC_INFINITY);
}

/* One without a zone moves when the machine does. */
static void test_points_in_time(void **state)
{
        PointInTime point = POINT_IN_TIME_INIT;
        char buf[TIMESTAMP_TEXT_MAX];

        expect_point("2027-01-31T12:00:00Z", "2027-01-31T12:00:00Z");
        expect_point("2027-01-31T12:00:00.25+02:00", "2027-01-31T10:00:00.250000Z");
        expect_point("2027-01-31 UTC", "2027-01-31T00:00:00Z");
        expect_point("2027-07-31 12:30 Europe/Berlin", "2027-07-31T10:30:00Z");
        expect_point("2020-01-01 UTC", "2020-01-01T00:00:00Z");

        expect_ok(setenv("TZ", "Asia/Tokyo", true));
        expect_ok(zone_reload_all());
        expect_ok(point_in_time_parse("2027-01-31", &point));
        assert_string_equal(timestamp_format_iso(buf, sizeof(buf), point_in_time_usec(&point)), "2027-01-30T15:00:00Z");
        expect_ok(setenv("TZ", "America/New_York", true));
        assert_int_equal(zone_reload_all(), 1);
        assert_string_equal(timestamp_format_iso(buf, sizeof(buf), point_in_time_usec(&point)), "2027-01-31T05:00:00Z");
        point_in_time_done(&point);
        expect_ok(unsetenv("TZ"));
        expect_ok(zone_reload_all());
}

static void write_file(const char *dir, const char *name, const char *text)
{
        char *path = asprintf_or_null("%s/%s", dir, name);
        FILE *f = fopen(path, "we");

        assert_non_null(f);
        assert_true(fputs(text, f) >= 0);
        assert_int_equal(fclose(f), 0);
        free(path);
}

/* As connector files: drop-ins add, an empty file masks, a file that cannot be read is a bad setting. */
static void test_load(void **state)
{
        char dir[] = "/tmp/test-connection-XXXXXX", *dirs[] = { dir, NULL }, *dropins, *folder;
        ConnectionDefinition *c, *other;

        assert_non_null(mkdtemp(dir));
        expect_errno(connection_definition_load(dirs, "bank", NULL, &c), -ENOENT);
        write_file(dir, "bank.connection", "[Connection]\nProvider=acme\nAccounts=a\n");
        expect_ok(connection_definition_load(dirs, "bank", NULL, &c));
        assert_string_equal(c->provider, "acme");
        assert_true(endswith(c->path, "/bank.connection"));

        dropins = asprintf_or_null("%s/bank.connection.d", dir);
        assert_int_equal(mkdir(dropins, 0755), 0);
        write_file(dropins, "10-more.conf", "[Connection]\nAccounts=b\nProvider=other\n");
        expect_ok(connection_definition_load(dirs, "bank", NULL, &other));
        assert_string_equal(other->provider, "other");
        assert_int_equal(strv_length(other->accounts), 2);
        assert_false(connection_definition_equal(c, other));
        connection_definition_unref(c);
        expect_ok(connection_definition_load(dirs, "bank", NULL, &c));
        assert_true(connection_definition_equal(c, other));
        connection_definition_unref(other);
        connection_definition_unref(c);

        write_file(dir, "bank.connection", "");
        expect_errno(connection_definition_load(dirs, "bank", NULL, &c), -ENOENT);
        folder = asprintf_or_null("%s/odd.connection", dir);
        assert_int_equal(mkdir(folder, 0755), 0);
        expect_ok(connection_definition_load(dirs, "odd", NULL, &c));
        assert_int_equal(c->load_state, LOAD_BAD_SETTING);
        connection_definition_unref(c);

        free(folder);
        folder = asprintf_or_null("rm -r %s", dir);
        assert_int_equal(system(folder), 0);
        free(folder);
        free(dropins);
}

static void test_dirs(void **state)
{
        char **dirs;

        expect_ok(unsetenv(SYNCRUN_ENV_CONFIG_DIRS));
        expect_ok(connection_dirs(&dirs));
        assert_int_equal(strv_length(dirs), 3);
        assert_string_equal(dirs[0], "/etc/syncrun/connections");
        strv_free(dirs);
}

/* Categories and states are each other's words. */
static void test_categories(void **state)
{
        for (AttentionCategory category = 0; category < _ATTENTION_MAX; category++) {
                ConnectionState by = connection_state_by_category(category);

                assert_int_equal(connection_state_category(by), by == CONNECTION_ACTIVE ? _ATTENTION_INVALID : category);
        }
        assert_int_equal(connection_state_by_category(_ATTENTION_INVALID), CONNECTION_ACTIVE);
        assert_int_equal(connection_state_category(CONNECTION_EXPIRING), _ATTENTION_INVALID);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_defaults),
                cmocka_unit_test(test_everything),
                cmocka_unit_test(test_wrong),
                cmocka_unit_test(test_limits),
                cmocka_unit_test(test_points_in_time),
                cmocka_unit_test(test_load),
                cmocka_unit_test(test_dirs),
                cmocka_unit_test(test_categories),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
