/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Connector files: every key, its default, its limits, and what is said when it is wrong. */

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/string-util.h"
#include "model/connector.h"
#include "unit/expect.h"
#include "unit/wrong-line.h"

#define USER "01234567-89ab-cdef-0123-456789abcdef"

static ConnectorDefinition *parse(const char *text, Diagnostics *d)
{
        ConnectorDefinition *definition = NULL;
        Conf conf = {};

        expect_ok(conf_parse_text(&conf, "f", text, strlen(text), d));
        expect_ok(connector_definition_parse("bank", &conf, "f", d, &definition));
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
static char *show(const ConnectorDefinition *c)
{
        Buffer b = {};
        char *text;

        buffer_append_format(&b, "%s %s '%s' %s %s %s %s %s;", c->name, load_state_to_string(c->load_state),
                             strempty(c->description), c->provider, run_source_to_string(c->source), strna(c->user_id),
                             strna(c->connection), yes_no(c->enabled));
        for (size_t i = 0; i < c->n_calendars; i++)
                buffer_append_format(&b, " <%s>", c->calendars[i].text);
        buffer_append_format(&b, " every %ju delay %ju persistent %s %s;", (uintmax_t) c->every_usec / USEC_PER_SEC,
                             (uintmax_t) c->randomized_delay_usec / USEC_PER_SEC, yes_no(c->persistent),
                             overlap_policy_to_string(c->overlap));
        buffer_append_format(&b, " timeout %ju stall %ju retry %u %ju %ju notify %u;",
                             (uintmax_t) c->timeout_usec / USEC_PER_SEC, (uintmax_t) c->stall_timeout_usec / USEC_PER_SEC,
                             c->retry_max, (uintmax_t) c->retry_usec / USEC_PER_SEC,
                             (uintmax_t) c->retry_max_usec / USEC_PER_SEC, c->notify_after);
        show_words(&b, "pull", c->exec_pull);
        for (size_t i = 0; i < c->n_transforms; i++)
                show_words(&b, "transform", c->exec_transforms[i]);
        show_words(&b, "environment", c->environment);
        buffer_append_format(&b, " in %s config %s;", c->working_directory, strna(c->config_file));
        buffer_append_format(&b, " %s %s", destination_type_to_string(c->destination), strna(c->destination_path));
        show_words(&b, "store", c->exec_store);
        buffer_append_format(&b, " %s %s", strna(c->url), strna(c->secret_file));
        show_words(&b, "keys", c->key_properties);
        expect_ok(buffer_take(&b, &text));
        return text;
}

static void expect_shown(const ConnectorDefinition *c, const char *expected)
{
        char *text = show(c);

        assert_string_equal(text, expected);
        free(text);
}

static void test_defaults(void **state)
{
        Diagnostics d = {};
        ConnectorDefinition *c = parse("[Pipeline]\nExecPull=/bin/pull\n", &d);

        expect_shown(c, "bank loaded '' bank pull - - yes; every 0 delay 0 persistent yes skip;"
                        " timeout 3600 stall 600 retry 3 30 3600 notify 1; pull</bin/pull> environment in %S config -;"
                        " sqlite %S/items.db store - - keys");
        assert_int_equal(d.n_items, 0);
        assert_null(c->load_error);
        assert_string_equal(c->path, "f");
        connector_definition_unref(c);
}

static const char everything[] =
        "[Connector]\nDescription=My  bank\nProvider=some_bank-2\nSource=backfill\n"
        "User=01234567-89AB-CDEF-0123-456789ABCDEF\nConnection=my-bank\nEnabled=off\n"
        "[Schedule]\nOnCalendar=monthly\nOnCalendar=\nOnCalendar=Mon..Fri 09:00 Europe/Berlin\nOnCalendar=weekly\n"
        "Every=1h 30min\nRandomizedDelaySec=5min\nPersistent=no\nOverlap=queue\n"
        "[Run]\nTimeoutSec=2h\nStallTimeoutSec=infinity\nRetryMax=0\nRetrySec=1\nRetryMaxSec=1d\nNotifyAfter=5\n"
        "[Pipeline]\nExecPull=/bin/old\nExecPull=pull --state %s \\\n  --config=\"%c\"\n"
        "ExecTransform=gone\nExecTransform=\nExecTransform=jq -c .\nExecTransform=/bin/cat 'a b'\n"
        "Environment=X=0\nEnvironment=\nEnvironment=A=1 \"B=two words\"  'C=\\x41%%'\nEnvironment=A=3 D=%S/x E=\n"
        "WorkingDirectory=/srv\nConfig=%d/config.json\n"
        "[Destination]\nType=exec\nExecStore=/bin/target \"\"\n"
        "KeyProperties=old:x\nKeyProperties=\nKeyProperties= tx :id\nKeyProperties=acc:a b , c\nKeyProperties=tx:id, n:o\n";

static void test_everything(void **state)
{
        Diagnostics d = {};
        ConnectorDefinition *c = parse(everything, &d);

        expect_shown(c, "bank loaded 'My  bank' some_bank-2 backfill " USER " my-bank no;"
                        " <Mon..Fri 09:00 Europe/Berlin> <weekly> every 5400 delay 300 persistent no queue;"
                        " timeout 7200 stall 18446744073709 retry 0 1 86400 notify 5;"
                        " pull<pull><--state><%s><--config=%c> transform<jq><-c><.> transform</bin/cat><a b>"
                        " environment<A=3><B=two words><C=A%%><D=%S/x><E=> in /srv config %d/config.json;"
                        " exec - store</bin/target><> - - keys<tx:id,n:o><acc:a b,c>");
        assert_true(c->stall_timeout_usec == USEC_INFINITY);
        assert_int_equal(d.n_items, 0);
        connector_definition_unref(c);

        c = parse("[Pipeline]\nExecPull=/bin/pull\n[Destination]\nType=webhook\nUrl=HTTPS://a.example:8443/x?y#z\n"
                  "SecretFile=/etc/secret\nHeaderPrefix=X-Redbark\nEventType=transactions.synced\nDisableAfter=0\n", &d);
        assert_int_equal(d.n_items, 0);
        assert_string_equal(c->header_prefix, "X-Redbark");
        assert_string_equal(c->event_type, "transactions.synced");
        assert_int_equal(c->disable_after, 0);
        assert_string_equal(c->url, "HTTPS://a.example:8443/x?y#z");
        assert_string_equal(c->secret_file, "/etc/secret");
        assert_string_equal(c->destination_path, "%S/items.db");
        connector_definition_unref(c);
}

/* What Worker.Attach hands over makes the same connector. */
static void test_from_assignments(void **state)
{
        ConnectorDefinition *c = parse(everything, NULL), *other;
        char *text = show(c);
        Conf conf = {};

        for (size_t i = 0; i < c->conf.n_items; i++) {
                const ConfAssignment *a = &c->conf.items[i];

                expect_ok(conf_append(&conf, NULL, 0, a->section, a->key, a->value));
        }
        expect_ok(connector_definition_parse("bank", &conf, NULL, NULL, &other));
        expect_shown(other, text);
        assert_true(connector_definition_equal(c, other));
        assert_null(other->path);
        free(text);
        connector_definition_unref(c);
        connector_definition_unref(other);
}

#define PULL "[Pipeline]\nExecPull=/bin/pull\n"

/* One wrong line each; what is said begins with the text. */
static const WrongLine wrong[] = {
        { PULL "[Connector]\nProvider=Bank\n", DIAGNOSTIC_ERROR, "f:4: Provider=: 'Bank' is no provider: up to 64 of a-z" },
        { PULL "[Connector]\nSource=push\n", DIAGNOSTIC_ERROR,
          "f:4: Source=: 'push' is none of pull, webhook, sdk, backfill, xml_import, linked_account." },
        { PULL "[Connector]\nUser=me\n", DIAGNOSTIC_ERROR, "f:4: User=: 'me' is no UUID" },
        { PULL "[Connector]\nConnection=1st\n", DIAGNOSTIC_WARNING, "f:4: Connection=: '1st' is no connection" },
        { PULL "[Connector]\nEnabled=nope\n", DIAGNOSTIC_ERROR, "f:4: Enabled=: 'nope' is neither yes nor no." },
        { PULL "[Connector]\nTimeoutSec=1\n", DIAGNOSTIC_WARNING,
          "f:4: TimeoutSec=: The setting is ignored in [Connector]: it belongs into [Run]." },
        { PULL "[Schedule]\nOnCalendar=now and then\n", DIAGNOSTIC_ERROR,
          "f:4: OnCalendar=: 'now and then' is no calendar event: 'daily'" },
        { PULL "[Schedule]\nOnCalendar=25:00\n", DIAGNOSTIC_ERROR, "f:4: OnCalendar=: '25:00' has a number" },
        { PULL "[Schedule]\nOnCalendar=09:00 Middle/Earth\n", DIAGNOSTIC_ERROR, "f:4: OnCalendar=: '09:00 Middle/Earth' " },
        { PULL "[Schedule]\nEvery=often\n", DIAGNOSTIC_ERROR, "f:4: Every=: 'often' is no time span" },
        { PULL "[Schedule]\nEvery=infinity\n", DIAGNOSTIC_ERROR, "f:4: Every=: 'infinity' is no time span" },
        { PULL "[Schedule]\nEvery=0.999999s\n", DIAGNOSTIC_ERROR, "f:4: Every=: '0.999999s' is less than a second." },
        { PULL "[Schedule]\nRandomizedDelaySec=infinity\n", DIAGNOSTIC_WARNING, "f:4: RandomizedDelaySec=: 'infinity'" },
        { PULL "[Schedule]\nPersistent=2\n", DIAGNOSTIC_WARNING, "f:4: Persistent=: '2' is neither" },
        { PULL "[Schedule]\nOverlap=drop\n", DIAGNOSTIC_WARNING, "f:4: Overlap=: 'drop' is none of skip, queue." },
        { PULL "[Run]\nTimeoutSec=x\n", DIAGNOSTIC_WARNING, "f:4: TimeoutSec=: 'x' is no time span" },
        { PULL "[Run]\nStallTimeoutSec=\n", DIAGNOSTIC_WARNING, "f:4: StallTimeoutSec=: '' is no time span" },
        { PULL "[Run]\nRetryMax=many\n", DIAGNOSTIC_WARNING, "f:4: RetryMax=: 'many' is no whole number" },
        { PULL "[Run]\nRetrySec=infinity\n", DIAGNOSTIC_WARNING, "f:4: RetrySec=: 'infinity' is no time span" },
        { PULL "[Run]\nRetryMaxSec=29s\n", DIAGNOSTIC_WARNING, "f:4: RetryMaxSec=: The longest wait is shorter" },
        { PULL "[Run]\nRetrySec=2h\n", DIAGNOSTIC_WARNING, "f: RetryMaxSec=: The longest wait is shorter" },
        { PULL "[Run]\nNotifyAfter=0\n", DIAGNOSTIC_WARNING, "f:4: NotifyAfter=: '0' is neither" },
        { "[Pipeline]\nExecPull=/bin/pull 'x\n", DIAGNOSTIC_ERROR, "f:2: ExecPull=: A quote is left open in ''x'." },
        { "[Pipeline]\nExecPull=/bin/pull \\q\n", DIAGNOSTIC_WARNING, "f:2: ExecPull=: An unknown escape" },
        { "[Pipeline]\nExecPull=/bin/pull +%Y \\q\n", DIAGNOSTIC_ERROR, "f:2: ExecPull=: '%Y' is none of %n, %r, %c, %s, %d" },
        { "[Pipeline]\nExecPull=/bin/pull\nExecPull=\n", DIAGNOSTIC_ERROR, "f:3: ExecPull=: The setting is missing" },
        { "[Pipeline]\n", DIAGNOSTIC_ERROR, "f: ExecPull=: The setting is missing: it names the program that pulls." },
        { "[Connector]\nSource=sdk\n[Schedule]\nEvery=1h\n", DIAGNOSTIC_WARNING, "f: ExecPull=: The setting is missing, so" },
        { PULL "ExecTransform=./x\n", DIAGNOSTIC_ERROR, "f:3: ExecTransform=: The program './x' is neither" },
        { PULL "ExecTransform=x \\q\n", DIAGNOSTIC_WARNING, "f:3: ExecTransform=: An unknown escape" },
        { PULL "Environment=A\n", DIAGNOSTIC_WARNING, "f:3: Environment=: 'A' is no assignment: NAME=VALUE would" },
        { PULL "Environment==x\n", DIAGNOSTIC_WARNING, "f:3: Environment=: '=x' has no name" },
        { PULL "Environment=1A=x\n", DIAGNOSTIC_WARNING, "f:3: Environment=: '1A=x' has no name" },
        { PULL "Environment=A-B=x\n", DIAGNOSTIC_WARNING, "f:3: Environment=: 'A-B=x' has no name" },
        { PULL "Environment=A=%x\n", DIAGNOSTIC_WARNING, "f:3: Environment=: 'A=%x' has an unknown specifier" },
        { PULL "Environment=A=\\q\n", DIAGNOSTIC_WARNING, "f:3: Environment=: 'A=\\q' has an unknown escape" },
        { PULL "Environment=A=\\xff\n", DIAGNOSTIC_WARNING, "f:3: Environment=: 'A=\xef\xbf\xbd' is not in UTF-8" },
        { PULL "Environment=A='x\n", DIAGNOSTIC_WARNING, "f:3: Environment=: A quote is left open in 'A='x'" },
        { PULL "Environment=SYNCRUN_STATE=x\n", DIAGNOSTIC_WARNING, "f:3: Environment=: 'SYNCRUN_STATE=x' is for syncrun" },
        { PULL "Environment=CREDENTIALS_DIRECTORY=x\n", DIAGNOSTIC_WARNING, "f:3: Environment=: 'CREDENTIALS_DIRECTORY=x' is" },
        { PULL "WorkingDirectory=srv\n", DIAGNOSTIC_ERROR, "f:3: WorkingDirectory=: 'srv' is no absolute path" },
        { PULL "Config=%n.json\n", DIAGNOSTIC_ERROR, "f:3: Config=: '%n.json' is no absolute path" },
        { PULL "Config=/%z\n", DIAGNOSTIC_ERROR, "f:3: Config=: '%z' is none of" },
        { PULL "[Destination]\nType=csv\n", DIAGNOSTIC_ERROR, "f:4: Type=: 'csv' is none of sqlite, exec, webhook." },
        { PULL "[Destination]\nPath=items.db\n", DIAGNOSTIC_ERROR, "f:4: Path=: 'items.db' is no absolute path" },
        { PULL "[Destination]\nType=exec\n", DIAGNOSTIC_ERROR, "f: ExecStore=: The setting is missing: Type=exec needs it." },
        { PULL "[Destination]\nExecStore=a\n", DIAGNOSTIC_WARNING, "f:4: ExecStore=: The setting is for Type=exec and" },
        { PULL "[Destination]\nSecretFile=/a\n", DIAGNOSTIC_WARNING, "f:4: SecretFile=: The setting is for Type=webhook and" },
        { PULL "[Destination]\nType=exec\nExecStore=a\nPath=/a\n", DIAGNOSTIC_WARNING, "f:6: Path=: The setting is for Type=sqlite" },
        { PULL "[Destination]\nType=webhook\nSecretFile=/a\n", DIAGNOSTIC_ERROR, "f: Url=: The setting is missing: Type=webhook" },
        { PULL "[Destination]\nType=webhook\nUrl=https://a\n", DIAGNOSTIC_WARNING, "f: SecretFile=: The setting is missing: deliv" },
        { PULL "[Destination]\nType=webhook\nSecretFile=/a\nUrl=http://a\n", DIAGNOSTIC_WARNING, "f:6: Url=: Anybody" },
        { PULL "[Destination]\nType=webhook\nSecretFile=/a\nUrl=https://a\nHeaderPrefix=X:\n", DIAGNOSTIC_ERROR,
          "f:7: HeaderPrefix=: 'X:' is no name" },
        { PULL "[Destination]\nType=webhook\nSecretFile=/a\nUrl=https://a\nHeaderPrefix=X-\n", DIAGNOSTIC_ERROR,
          "f:7: HeaderPrefix=: 'X-' is no name" },
        { PULL "[Destination]\nType=webhook\nSecretFile=/a\nUrl=https://a\nEventType=a b\n", DIAGNOSTIC_ERROR,
          "f:7: EventType=: 'a b' is no name" },
        { PULL "[Destination]\nType=webhook\nSecretFile=/a\nUrl=https://a\nDisableAfter=-1\n", DIAGNOSTIC_WARNING,
          "f:7: DisableAfter=: " },
        { PULL "[Destination]\nEventType=a\n", DIAGNOSTIC_WARNING, "f:4: EventType=: The setting is for Type=webhook and" },
        { PULL "[Destination]\nKeyProperties=tx\n", DIAGNOSTIC_ERROR, "f:4: KeyProperties=: 'tx' is no key" },
        { PULL "[Destination]\nKeyProperties=:id\n", DIAGNOSTIC_ERROR, "f:4: KeyProperties=: ':id' is no key" },
        { PULL "[Destination]\nKeyProperties=tx:\n", DIAGNOSTIC_ERROR, "f:4: KeyProperties=: 'tx:' is no key" },
        { PULL "[Destination]\nKeyProperties=tx:a,,b\n", DIAGNOSTIC_ERROR, "f:4: KeyProperties=: 'tx:a,,b' is no key" },
};

static void test_wrong(void **state)
{
        for (size_t i = 0; i < ELEMENTSOF(wrong); i++) {
                ConnectorDefinition *c;
                Diagnostics d = {};

                c = parse(wrong[i].text, &d);
                expect_wrong(&wrong[i], &d, c->load_state, c->load_error);
                connector_definition_unref(c);
        }
}

static void test_url(void **state)
{
        static const char *const good[] = { "https://a", "https://a/", "https://1.example-x.org:65535", "https://[::1]:1/",
                                            "https://a?b", "https://a#b", "https://a/%41~:@!$&'()*+,;=" };
        static const char *const bad[] = { "ftp://a", "http:/a", "http://", "https:/a", "https://", "https:///a", "https://a b", "https://u@a/",
                                           "https://u:p@a/", "https://a:0", "https://a:65536", "https://a:", "https://a:x",
                                           "https://a:000001", "https://[::1", "https://[]", "https://-a", "https://.a",
                                           "https://a\\b", "https://\xc3\xa9", "https://a/\xc3\xa9", "https://a:+1" };
        char text[128];

        for (size_t i = 0; i < ELEMENTSOF(good) + ELEMENTSOF(bad); i++) {
                const char *url = i < ELEMENTSOF(good) ? good[i] : bad[i - ELEMENTSOF(good)];
                ConnectorDefinition *c;

                (void) snprintf(text, sizeof(text), PULL "[Destination]\nType=webhook\nUrl=%s\n", url);
                c = parse(text, NULL);
                if ((c->load_state == LOAD_LOADED) != (i < ELEMENTSOF(good)))
                        fail_msg("%s: %s", url, strna(c->load_error));
                connector_definition_unref(c);
        }
}

/* @max lines PREFIX NUMBER SUFFIX are taken without a word; of one more, something is said. */
static void expect_limit(const char *section, const char *prefix, const char *suffix, unsigned max, const char *said)
{
        Buffer text = {};
        Diagnostics d = {};

        buffer_append_format(&text, "%s%s\n", PULL, section);
        for (unsigned i = 0; i < max; i++)
                buffer_append_format(&text, "%s%u%s\n", prefix, 2000 + i, suffix);
        connector_definition_unref(parse(text.data, &d));
        assert_int_equal(d.n_items, 0);

        buffer_append_format(&text, "%s%u%s\n", prefix, 2000 + max, suffix);
        connector_definition_unref(parse(text.data, &d));
        assert_int_equal(d.n_items, 1);
        assert_string_equal(d.items[0].text, said);
        diagnostics_done(&d);
        buffer_done(&text);
}

static void test_limits(void **state)
{
        expect_limit("[Schedule]", "OnCalendar=", "-01-01", CALENDAR_SPECS_MAX, "There are more than 64 calendar events.");
        expect_limit("", "ExecTransform=a", "", TRANSFORMS_MAX, "There are more than 16 filters.");
        expect_limit("", "Environment=A", "=", ENVIRONMENT_MAX, "There are more than 256 variables.");
        expect_limit("[Destination]", "KeyProperties=a", ":x", KEY_STREAMS_MAX, "There are more than 256 streams.");
}

static void test_key_fields_max(void **state)
{
        Buffer text = {};
        ConnectorDefinition *c;

        buffer_append_string(&text, PULL "[Destination]\nKeyProperties=a:0");
        for (unsigned i = 1; i < KEY_FIELDS_MAX; i++)
                buffer_append_format(&text, ",%u", i);
        c = parse(text.data, NULL);
        assert_int_equal(c->load_state, LOAD_LOADED);
        connector_definition_unref(c);
        buffer_append_string(&text, ",x");
        c = parse(text.data, NULL);
        assert_int_equal(c->load_state, LOAD_BAD_SETTING);
        connector_definition_unref(c);
        buffer_done(&text);
}

/* A value that does not count leaves what stood before it. */
static void test_wrong_leaves_value(void **state)
{
        ConnectorDefinition *c = parse(PULL "[Run]\nTimeoutSec=5\nTimeoutSec=x\n[Pipeline]\nEnvironment=A=1\n"
                                            "Environment=A=2 B C=3\n", NULL);

        assert_int_equal(c->timeout_usec, 5 * USEC_PER_SEC);
        assert_int_equal(strv_length(c->environment), 2);
        assert_string_equal(c->environment[0], "A=2");
        assert_string_equal(c->environment[1], "C=3");
        connector_definition_unref(c);
}

static void test_equal(void **state)
{
        static const struct {
                const char *text;
                bool equal;
        } others[] = {
                { "# comment\n" PULL "\n", true },
                { "[Pipeline]\nExecPull=/bin/pull\nX-A=1\n", false },
                { "[Pipeline]\nExecPull=/bin/pull \n", true },
                { "[Pipeline]\nExecPull=/bin/push\n", false },
                { "[Connector]\nExecPull=/bin/pull\n", false },
        };
        ConnectorDefinition *c = parse(PULL, NULL), *bad = parse("[Pipeline]\n\nExecPull='\n", NULL), *other;
        Conf conf = {};

        for (size_t i = 0; i < ELEMENTSOF(others); i++) {
                other = parse(others[i].text, NULL);
                assert_int_equal(connector_definition_equal(c, other), others[i].equal);
                connector_definition_unref(other);
        }
        /* The line that an error stands on is part of what is told. */
        other = parse("[Pipeline]\n\nExecPull='\n", NULL);
        assert_true(connector_definition_equal(bad, other));
        connector_definition_unref(other);
        other = parse("[Pipeline]\nExecPull='\n", NULL);
        assert_false(connector_definition_equal(bad, other));
        connector_definition_unref(other);

        expect_ok(conf_append(&conf, NULL, 0, "Pipeline", "ExecPull", "/bin/pull"));
        expect_ok(connector_definition_parse("bank2", &conf, NULL, NULL, &other));
        assert_false(connector_definition_equal(c, other));
        connector_definition_unref(other);
        connector_definition_unref(bad);

        assert_ptr_equal(connector_definition_ref(c), c);
        assert_null(connector_definition_unref(c));
        assert_string_equal(c->name, "bank");
        connector_definition_unref(c);
        assert_null(connector_definition_unref(NULL));
}

typedef struct Folders {
        char *base;
        char **dirs;
} Folders;

static int setup(void **state)
{
        Folders *f = calloc(1, sizeof(Folders));

        f->base = strdup("/tmp/test-connector-XXXXXX");
        assert_non_null(mkdtemp(f->base));
        expect_ok(strv_consume(&f->dirs, asprintf_or_null("%s/etc", f->base)));
        expect_ok(strv_consume(&f->dirs, asprintf_or_null("%s/usr", f->base)));
        *state = f;
        return 0;
}

static int teardown(void **state)
{
        Folders *f = *state;
        char *command = asprintf_or_null("rm -rf '%s'", f->base);

        assert_int_equal(system(command), 0);
        free(command);
        free(f->base);
        strv_free(f->dirs);
        free(f);
        return 0;
}

static void put(const Folders *f, const char *name, const char *text)
{
        char *command = asprintf_or_null("mkdir -p \"$(dirname '%s/%s')\" && printf '%%s' '%s' > '%s/%s'", f->base, name, text,
                                         f->base, name);

        assert_int_equal(system(command), 0);
        free(command);
}

static void test_load(void **state)
{
        Folders *f = *state;
        ConnectorDefinition *c = NULL;
        Diagnostics d = {};

        expect_errno(connector_definition_load(f->dirs, "bank", &d, &c), -ENOENT);
        put(f, "usr/bank.connector", PULL);
        put(f, "etc/bank.connector.d/10-name.conf", "[Connector]\nDescription=drop-in\nNope=1\n");
        expect_ok(connector_definition_load(f->dirs, "bank", &d, &c));
        assert_int_equal(c->load_state, LOAD_LOADED);
        assert_string_equal(c->description, "drop-in");
        assert_string_equal(c->path + strlen(f->base), "/usr/bank.connector");
        assert_int_equal(d.n_items, 1);
        assert_string_equal(d.items[0].file + strlen(f->base), "/etc/bank.connector.d/10-name.conf");
        assert_int_equal(d.items[0].line, 3);
        c = connector_definition_unref(c);
        diagnostics_done(&d);

        put(f, "etc/bank.connector", "");
        expect_errno(connector_definition_load(f->dirs, "bank", &d, &c), -ENOENT);
        assert_null(c);
        assert_int_equal(d.n_items, 0);
}

/* What cannot be read is visible, and says just that. */
static void test_load_unreadable(void **state)
{
        Folders *f = *state;
        ConnectorDefinition *c = NULL;

        put(f, "etc/bank.connector/x", "");
        expect_ok(connector_definition_load(f->dirs, "bank", NULL, &c));
        assert_int_equal(c->load_state, LOAD_BAD_SETTING);
        assert_non_null(strstr(c->load_error, "/etc/bank.connector: The file cannot be read: Is a directory."));
        assert_string_equal(c->provider, "bank");
        connector_definition_unref(c);

        put(f, "usr/shop.connector", PULL);
        put(f, "etc/shop.connector.d/x.conf", "[Connector]\nEnabled=no\n");
        put(f, "etc/shop.connector.d/y.conf/x", "");
        expect_ok(connector_definition_load(f->dirs, "shop", NULL, &c));
        assert_int_equal(c->load_state, LOAD_LOADED); /* a folder is no drop-in */
        assert_false(c->enabled);
        connector_definition_unref(c);

        assert_int_equal(chdir(f->base), 0);
        assert_int_equal(symlink("/", "etc/shop.connector.d/z.conf"), 0);
        expect_ok(connector_definition_load(f->dirs, "shop", NULL, &c));
        assert_int_equal(c->load_state, LOAD_BAD_SETTING);
        assert_non_null(strstr(c->load_error, "/z.conf: The file cannot be read: Is a directory."));
        connector_definition_unref(c);
}

static void test_dirs(void **state)
{
        char **dirs = NULL, *joined;

        expect_ok(connector_dirs(&dirs));
        assert_int_equal(strv_length(dirs), 3);
        assert_string_equal(dirs[0], "/etc/syncrun/connectors");
        assert_string_equal(dirs[1], "/run/syncrun/connectors");
        assert_string_equal(dirs[2], "/usr/lib/syncrun/connectors");
        strv_free(dirs);

        assert_int_equal(setenv("SYNCRUN_CONFIG_DIRS", "/a:/b", 1), 0);
        expect_ok(connector_dirs(&dirs));
        assert_int_equal(unsetenv("SYNCRUN_CONFIG_DIRS"), 0);
        joined = strv_join(dirs, " ");
        assert_string_equal(joined, "/a/connectors /b/connectors");
        free(joined);
        strv_free(dirs);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_defaults),
                cmocka_unit_test(test_everything),
                cmocka_unit_test(test_from_assignments),
                cmocka_unit_test(test_wrong),
                cmocka_unit_test(test_url),
                cmocka_unit_test(test_limits),
                cmocka_unit_test(test_key_fields_max),
                cmocka_unit_test(test_wrong_leaves_value),
                cmocka_unit_test(test_equal),
                cmocka_unit_test_setup_teardown(test_load, setup, teardown),
                cmocka_unit_test_setup_teardown(test_load_unreadable, setup, teardown),
                cmocka_unit_test(test_dirs),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
