/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Each state of a connection that bank and mail share, and what each event makes of it. */

#include "unit/expect.h"

#include <stdio.h>
#include <stdlib.h>

#include "engine/connection-state.h"
#include "unit/connection-fixture.h"

#define ENDS_SOON  "[Connection]\nConsentExpires=2027-01-11T12:00:00Z\n"
#define ENDED      "[Connection]\nConsentExpires=2027-01-01T11:00:00Z\n"
#define ENDS_LATER "[Connection]\nConsentExpires=2028-01-01T12:00:00Z\n"
#define PROGRAM    "[Reconnect]\nExecReconnect=/bin/renew\n"

/* ---- States */

typedef enum Begin {
        ACTIVE,
        EXPIRING,
        LOST,          /* a run of bank has said so */
        SAID_EXPIRED,  /* the same */
        ENDED_BY_TIME, /* ConsentExpires= */
        WITHDRAWN,     /* by a person */
        _BEGIN_MAX,
} Begin;

static const char *const files[_BEGIN_MAX] = { [EXPIRING] = ENDS_SOON, [ENDED_BY_TIME] = ENDED };

static void begin(EngineFixture *f, Begin begin)
{
        static const AttentionCategory said[_BEGIN_MAX] = {
                [LOST] = ATTENTION_CONNECTION_LOST,
                [SAID_EXPIRED] = ATTENTION_CONSENT_EXPIRED,
        };

        f->settings.max_concurrent_runs = f->settings.max_concurrent_runs_per_provider = 9;
        fixture_open_two(f);
        fixture_load_connection(f, files[begin] ?: "[Connection]\n");
        if (said[begin] > 0)
                fixture_fail_run(f, "bank", said[begin]);
        if (begin == WITHDRAWN)
                fixture_withdraw(f, false);
        fixture_advance_clock(USEC_PER_MINUTE);
}

/* ---- Events */

static void bank_succeeds(EngineFixture *f, Begin begin)
{
        fixture_succeed_run(f, "bank");
}

static void mail_succeeds(EngineFixture *f, Begin begin)
{
        fixture_succeed_run(f, "mail");
}

static void mail_is_lost(EngineFixture *f, Begin begin)
{
        fixture_fail_run(f, "mail", ATTENTION_CONNECTION_LOST);
}

static void mail_is_expired(EngineFixture *f, Begin begin)
{
        fixture_fail_run(f, "mail", ATTENTION_CONSENT_EXPIRED);
}

static void mail_is_withdrawn(EngineFixture *f, Begin begin)
{
        fixture_fail_run(f, "mail", ATTENTION_CONSENT_WITHDRAWN);
}

static void bank_has_bad_data(EngineFixture *f, Begin begin)
{
        fixture_fail_run(f, "bank", ATTENTION_DATA_ERROR);
}

static void bank_just_fails(EngineFixture *f, Begin begin)
{
        RunReport report = report_failure("no answer", true);
        char id[RUN_ID_MAX + 1];

        fixture_whole_run(f, "bank", &report, id);
        fixture_settle(f);
}

static void person_reconnects(EngineFixture *f, Begin begin)
{
        fixture_reconnect(f);
}

static void program_reconnects(EngineFixture *f, Begin begin)
{
        _cleanup_free_ char *text = asprintf_or_null("%s" PROGRAM, files[begin] ?: "[Connection]\n");

        assert_non_null(text);
        fixture_load_connection(f, text);
        fixture_reconnect(f);
        fixture_task_ends(f, TASK_RECONNECT, "acme", RECONNECT_SUCCESS, "");
}

/* Two runs that were active when it was reconnected, and say then that it is not. */
static void reconnected_beside_runs(EngineFixture *f, Begin begin)
{
        static const char *const names[] = { "bank", "mail" };
        RunReport lost = report_category(ATTENTION_CONNECTION_LOST);
        Answer answers[ELEMENTSOF(names)];

        for (size_t i = 0; i < ELEMENTSOF(names); i++) {
                expect_ok(fixture_start(f, names[i], false).error);
                answers[i] = fixture_attach(f, names[i]);
        }
        fixture_advance_clock(USEC_PER_MINUTE);
        fixture_reconnect(f);
        for (size_t i = 0; i < ELEMENTSOF(names); i++) {
                expect_ok(fixture_finish(f, names[i], answers[i].run_id, 1, &lost));
                fixture_worker_ends(f, names[i], NULL);
                fixture_settle(f);
        }
}

/* Of one that was cancelled and has not ended yet. */
static void reconnected_beside_a_stop(EngineFixture *f, Begin begin)
{
        Answer a;

        expect_ok(fixture_start(f, "bank", false).error);
        a = fixture_attach(f, "bank");
        expect_ok(fixture_cancel(f, a.run_id));
        fixture_reconnect(f);
        fixture_worker_ends(f, "bank", NULL);
        fixture_settle(f);
}

static void reconnected_before_a_retry(EngineFixture *f, Begin begin)
{
        bank_just_fails(f, begin);
        assert_true(fixture_connector(f, "bank")->record.retry_at_usec > 0);
        fixture_reconnect(f);
}

static void resync_beside_reconnection(EngineFixture *f, Begin begin)
{
        RunReport success = report_success();
        Answer a;

        expect_ok(fixture_start(f, "bank", false).error);
        a = fixture_attach(f, "bank");
        assert_true(fixture_start(f, "bank", true).start.full_resync_pending);
        fixture_reconnect(f);
        expect_ok(fixture_finish(f, "bank", a.run_id, 1, &success));
        fixture_worker_ends(f, "bank", NULL);
        fixture_settle(f);
        assert_true(fixture_connector(f, "bank")->run->full_resync);
        fixture_run_to_end(f, "bank", &success);
        fixture_settle(f);
        assert_null(fixture_connector(f, "bank")->run);
}

static void end_comes(EngineFixture *f, Begin begin)
{
        fixture_load_connection(f, ENDS_SOON);
        fixture_step_to(f, NOON + 11 * USEC_PER_DAY);
}

static void file_says_later(EngineFixture *f, Begin begin)
{
        fixture_load_connection(f, ENDS_LATER);
}

static void file_is_wrong(EngineFixture *f, Begin begin)
{
        fixture_load_connection(f, "[Connection]\nConsentExpires=soon\n");
}

static void file_goes(EngineFixture *f, Begin begin)
{
        fixture_load_connection(f, NULL);
}

static void restart(EngineFixture *f, Begin begin)
{
        fixture_kill(f);
        fixture_open(f);
        fixture_settle(f);
}

static void mail_leaves(EngineFixture *f, Begin begin)
{
        fixture_load_connector(f, "mail", CONNECTOR());
}

static void bank_goes(EngineFixture *f, Begin begin)
{
        fixture_load_connector(f, "bank", NULL);
}

static void mail_joins_again(EngineFixture *f, Begin begin)
{
        mail_leaves(f, begin);
        fixture_load_connector(f, "mail", SHARED);
}

static void bank_is_off_and_on(EngineFixture *f, Begin begin)
{
        expect_ok(fixture_set_active(f, "bank", false));
        expect_ok(fixture_set_active(f, "bank", true));
        fixture_settle(f);
}

static void reconnected_while_off(EngineFixture *f, Begin begin)
{
        expect_ok(fixture_set_active(f, "bank", false));
        fixture_reconnect(f);
        fixture_step_to(f, fixture_now(CLOCK_REALTIME) + USEC_PER_MINUTE);
        expect_ok(fixture_set_active(f, "bank", true));
        fixture_settle(f);
}

static void person_withdraws(EngineFixture *f, Begin begin)
{
        fixture_withdraw(f, false);
}

static void person_withdraws_and_deletes(EngineFixture *f, Begin begin)
{
        fixture_withdraw(f, true);
        fixture_task_ends(f, TASK_DELETE_ITEMS, "bank", RECONNECT_SUCCESS, "");
        fixture_task_ends(f, TASK_DELETE_ITEMS, "mail", RECONNECT_SUCCESS, "");
}

/* ---- What becomes of it */

/* The state; +bank: runs by a reconnection have begun; ?bank: it needs a person for its connection. */
static void describe(EngineFixture *f, char *buf, size_t size)
{
        static const char *const names[] = { "bank", "mail" };
        int n = snprintf(buf, size, "%s", connection_state_to_string(fixture_acme(f).state));

        for (size_t i = 0; i < ELEMENTSOF(names); i++) {
                _cleanup_free_ char *sql = asprintf_or_null(
                                "SELECT count(*) FROM runs WHERE \"trigger\" = 'reconnect'"
                                " AND connector = (SELECT key FROM connectors WHERE name = '%s')",
                                names[i]);
                const Connector *c = engine_find_connector(f->engine, names[i]);
                int64_t n_runs = fixture_sql(f, sql);

                for (; n_runs > 0; n_runs--)
                        n += snprintf(buf + n, size - (size_t) n, " +%s", names[i]);
                if (c && connection_concerns(c->record.attention.category))
                        n += snprintf(buf + n, size - (size_t) n, " ?%s", names[i]);
        }
}

static const struct {
        const char *name;
        void (*event)(EngineFixture *f, Begin begin);
        const char *expected[_BEGIN_MAX]; /* as of describe(), in the order of Begin; NULL: none can run */
} rows[] = {
        { "bank_succeeds", bank_succeeds,
          { "active", "expiring", "active", "active", "expired ?bank ?mail", NULL } },
        { "mail_succeeds", mail_succeeds,
          { "active", "expiring", "active +bank ?bank", "active +bank ?bank", "expired ?bank ?mail", NULL } },
        { "mail_is_lost", mail_is_lost,
          { "lost ?mail", "lost ?mail", "lost ?bank ?mail", "lost ?bank ?mail", "expired ?bank ?mail",
            NULL } },
        { "mail_is_expired", mail_is_expired,
          { "expired ?mail", "expired ?mail", "expired ?bank ?mail", "expired ?bank ?mail",
            "expired ?bank ?mail", NULL } },
        { "mail_is_withdrawn", mail_is_withdrawn,
          { "withdrawn ?mail", "withdrawn ?mail", "withdrawn ?bank ?mail", "withdrawn ?bank ?mail",
            "withdrawn ?bank ?mail", NULL } },
        { "bank_has_bad_data", bank_has_bad_data,
          { "active", "expiring", "lost", "expired", "expired ?bank ?mail", NULL } },
        { "bank_just_fails", bank_just_fails,
          { "lost ?bank", "lost ?bank", "lost ?bank", "expired ?bank", "expired ?bank ?mail", NULL } },
        { "person_reconnects", person_reconnects,
          { "active", "expiring", "active +bank ?bank", "active +bank ?bank", "active +bank +mail",
            "active +bank +mail" } },
        { "program_reconnects", program_reconnects,
          { "active", "expiring", "active +bank ?bank", "active +bank ?bank", "active +bank +mail",
            "active +bank +mail" } },
        { "reconnected_beside_runs", reconnected_beside_runs,
          { "active +bank +mail", "expiring +bank +mail", "active +bank ?bank +mail",
            "active +bank ?bank +mail", "active +bank +mail", NULL } },
        { "reconnected_beside_a_stop", reconnected_beside_a_stop,
          { "active", "expiring", "active +bank ?bank", "active +bank ?bank", "active +bank +mail", NULL } },
        { "reconnected_before_a_retry", reconnected_before_a_retry,
          { "active +bank ?bank", "expiring +bank ?bank", "active +bank ?bank", "active +bank ?bank",
            "active +bank +mail", NULL } },
        { "resync_beside_reconnection", resync_beside_reconnection,
          { "active", "expiring", "active", "active", "active +mail", NULL } },
        { "end_comes", end_comes,
          { "expired ?bank ?mail", "expired ?bank ?mail", "expired ?bank ?mail", "expired ?bank ?mail",
            "expired +bank ?bank +mail ?mail", "withdrawn ?bank ?mail" } },
        { "file_says_later", file_says_later,
          { "active", "active", "lost ?bank", "expired ?bank", "active +bank +mail",
            "withdrawn ?bank ?mail" } },
        { "file_is_wrong", file_is_wrong,
          { "active", "expiring", "lost ?bank", "expired ?bank", "expired ?bank ?mail",
            "withdrawn ?bank ?mail" } },
        { "file_goes", file_goes,
          { "active", "active", "lost ?bank", "expired ?bank", "active +bank +mail",
            "withdrawn ?bank ?mail" } },
        { "restart", restart,
          { "active", "expiring", "lost ?bank", "expired ?bank", "expired ?bank ?mail",
            "withdrawn ?bank ?mail" } },
        { "mail_leaves", mail_leaves,
          { "active", "expiring", "lost ?bank", "expired ?bank", "expired ?bank", "withdrawn ?bank" } },
        { "bank_goes", bank_goes,
          { "active", "expiring", "active", "active", "expired ?mail", "withdrawn ?mail" } },
        { "mail_joins_again", mail_joins_again,
          { "active", "expiring", "lost ?bank", "expired ?bank", "expired ?bank ?mail",
            "withdrawn ?bank ?mail" } },
        { "bank_is_off_and_on", bank_is_off_and_on,
          { "active", "expiring", "lost ?bank", "expired ?bank", "expired ?bank ?mail",
            "withdrawn ?bank ?mail" } },
        { "reconnected_while_off", reconnected_while_off,
          { "active", "expiring", "active +bank ?bank", "active +bank ?bank", "active +bank +mail",
            "active +bank +mail" } },
        { "person_withdraws", person_withdraws,
          { "withdrawn ?bank ?mail", "withdrawn ?bank ?mail", "withdrawn ?bank ?mail", "withdrawn ?bank ?mail",
            "withdrawn ?bank ?mail", "withdrawn ?bank ?mail" } },
        { "person_withdraws_and_deletes", person_withdraws_and_deletes,
          { "withdrawn ?bank ?mail", "withdrawn ?bank ?mail", "withdrawn ?bank ?mail", "withdrawn ?bank ?mail",
            "withdrawn ?bank ?mail", "withdrawn ?bank ?mail" } },
};

static void test_states(void **state)
{
        unsigned n_wrong = 0;

        for (size_t i = 0; i < ELEMENTSOF(rows); i++)
                for (Begin b = 0; b < _BEGIN_MAX; b++) {
                        EngineFixture *f;
                        char found[256];
                        void *fixture;

                        if (!rows[i].expected[b])
                                continue;
                        expect_ok(engine_fixture_setup(&fixture));
                        f = fixture;
                        begin(f, b);
                        rows[i].event(f, b);
                        describe(f, found, sizeof(found));
                        if (!streq(found, rows[i].expected[b])) {
                                print_error("%s, %u: \"%s\" is not \"%s\"\n", rows[i].name, (unsigned) b, found,
                                            rows[i].expected[b]);
                                n_wrong++;
                        }
                        (void) engine_fixture_teardown(&fixture);
                }
        assert_int_equal(n_wrong, 0);
}

int main(void)
{
        static const struct CMUnitTest tests[] = { cmocka_unit_test(test_states) };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
