/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* When a connector is due: the clock is a number here. */

#include <stdlib.h>

#include "base/string-util.h"
#include "base/time-util.h"
#include "model/schedule.h"
#include "unit/expect.h"

/* Noon of a Sunday. */
#define NOON (1795348800ULL * USEC_PER_SEC)
#define H    USEC_PER_HOUR
#define MIN_ USEC_PER_MINUTE

static ConnectorDefinition *parse(const char *schedule)
{
        char *text = asprintf_or_null("[Pipeline]\nExecPull=/bin/pull\n[Schedule]\n%s", schedule);
        ConnectorDefinition *definition;
        Diagnostics d = {};
        Conf conf = {};

        expect_ok(conf_parse_text(&conf, "f", text, strlen(text), &d));
        expect_ok(connector_definition_parse("bank", &conf, NULL, &d, &definition));
        assert_int_equal(d.n_items, 0);
        free(text);
        return definition;
}

#define NEVER UINT64_MAX

static const struct {
        const char *what;
        const char *schedule;
        SchedulePast past; /* relative to NOON where not 0 */
        int64_t now;       /* relative to NOON */
        bool starting;
        uint64_t elapse;   /* relative to NOON */
        uint64_t due;
        bool missed;
} table[] = {
#define AGO(x) (NOON - (x))
        { "no schedule", "", { .first_seen_usec = AGO(H) }, 0, true, NEVER, NEVER, false },
        { "next hour", "OnCalendar=hourly\n", { AGO(24 * H), AGO(H), AGO(H), false }, 30 * (int64_t) MIN_, false, H, H, false },
        { "strictly after now", "OnCalendar=hourly\n", { AGO(24 * H), AGO(H), 0, false }, 0, false, H, H, false },
        { "earliest of several", "OnCalendar=hourly\nOnCalendar=*:20\nOnCalendar=*:40\n", { NOON, 0, 0, false },
          (int64_t) (30 * MIN_), false, 40 * MIN_, 40 * MIN_, false },
        { "one of several never elapses again", "OnCalendar=2001-01-01\nOnCalendar=hourly\n", { NOON, 0, 0, false }, 0, true,
          H, H, false },
        { "never elapses again", "OnCalendar=2001-01-01\n", { NOON, 0, 0, false }, 0, true, NEVER, NEVER, false },
        { "new connector", "OnCalendar=hourly\n", { .first_seen_usec = NOON + 1 }, 1, true, H, H, false },
        { "nothing known", "OnCalendar=hourly\n", {}, 0, true, H, H, false },

        { "missed one", "OnCalendar=hourly\n", { AGO(24 * H), AGO(H), 0, false }, (int64_t) MIN_, true, MIN_, MIN_, true },
        { "missed many", "OnCalendar=*:*:00\n", { AGO(24 * H), AGO(20 * H), 0, false }, (int64_t) MIN_ + 1, true, MIN_ + 1,
          MIN_ + 1, true },
        { "missed since first sight", "OnCalendar=hourly\n", { AGO(90 * MIN_), 0, 0, false }, 0, true, 0, 0, true },
        { "missed just now", "OnCalendar=hourly\n", { AGO(24 * H), AGO(H), 0, false }, 0, true, 0, 0, true },
        { "missed nothing", "OnCalendar=hourly\n", { AGO(24 * H), AGO(H), 0, false }, -1, true, 0, 0, false },
        { "missed, but passed over", "OnCalendar=hourly\nPersistent=no\n", { AGO(24 * H), AGO(9 * H), 0, false }, 0, true, H, H,
          false },
        { "past times without a start", "OnCalendar=hourly\n", { AGO(24 * H), AGO(9 * H), 0, false }, 0, false, H, H, false },
        { "acted on late", "OnCalendar=hourly\n", { AGO(24 * H), AGO(5 * MIN_), 0, false }, -1, true, 0, 0, false },

        { "every from the last end", "Every=3h\n", { AGO(24 * H), AGO(2 * H), AGO(H), false }, 0, false, 2 * H, 2 * H, false },
        { "every from the last skip", "Every=3h\n", { AGO(24 * H), AGO(H), AGO(2 * H), false }, 0, false, 2 * H, 2 * H, false },
        { "every from first sight", "Every=3h\n", { .first_seen_usec = AGO(H) }, 0, true, 2 * H, 2 * H, false },
        { "every, nothing known", "Every=3h\n", {}, 0, true, 3 * H, 3 * H, false },
        { "every waits for the end", "Every=3h\n", { AGO(24 * H), AGO(9 * H), AGO(9 * H), true }, 0, true, NEVER, NEVER, false },
        { "every is over", "Every=3h\n", { AGO(24 * H), AGO(9 * H), AGO(9 * H), false }, 0, false, -6 * H,
          -6 * H, false },
        { "every missed", "Every=3h\n", { AGO(24 * H), AGO(9 * H), AGO(9 * H), false }, 0, true, 0, 0, true },
        { "every passed over", "Every=3h\nPersistent=no\n", { AGO(24 * H), AGO(9 * H), AGO(9 * H), false }, 0, true, 3 * H, 3 * H,
          false },
        { "every not yet, not persistent", "Every=3h\nPersistent=no\n", { AGO(24 * H), AGO(H), AGO(H), false }, 0, true, 2 * H,
          2 * H, false },
        { "calendar is earlier", "Every=3h\nOnCalendar=hourly\n", { AGO(24 * H), AGO(H), AGO(H), false }, 0, false, H, H, false },
        { "every is earlier", "Every=30min\nOnCalendar=hourly\n", { AGO(24 * H), 0, AGO(5 * MIN_), false }, 0, false, 25 * MIN_,
          25 * MIN_, false },
        { "calendar goes on beside a run", "Every=1h\nOnCalendar=daily\n", { AGO(24 * H), AGO(H), AGO(2 * H), true }, 0, false,
          12 * H, 12 * H, false },
        { "missed wins over what lies ahead", "Every=1h\nOnCalendar=hourly\n", { AGO(24 * H), AGO(90 * MIN_), AGO(MIN_), false },
          0, true, 0, 0, true },

        { "random delay", "OnCalendar=hourly\nRandomizedDelaySec=20min\n", { AGO(H), 0, 0, false }, 0, false, H, H + 5 * MIN_,
          false },
        { "random delay of a catch-up", "OnCalendar=hourly\nRandomizedDelaySec=20min\n", { AGO(2 * H), 0, 0, false }, 0, true, 0,
          5 * MIN_, true },

        { "set back: not again", "OnCalendar=hourly\n", { AGO(24 * H), NOON, 0, false }, -2000000, false, H, H, false },
        { "set back: not again, acted on late", "OnCalendar=hourly\n", { AGO(24 * H), NOON + MIN_, 0, false }, -2000000, false, H,
          H, false },
        { "set back further: what lies ahead", "OnCalendar=hourly\n", { AGO(24 * H), NOON + H, 0, false }, -1, false, 0, 0, false },
        { "set back for years", "OnCalendar=hourly\n", { NOON + 99999 * H, NOON + 99999 * H, 0, false }, 0, true, H, H, false },
        { "set back, every", "Every=3h\n", { AGO(24 * H), 0, NOON + 99999 * H, false }, 0, true, 3 * H, 3 * H, false },

        { "a busy calendar is slowed down", "OnCalendar=*:*:0/0.001\n", { AGO(24 * H), NOON, 0, false }, 1000, false, 501000,
          501000, false },
        { "each second, acted on late", "OnCalendar=*:*:*\n", { AGO(24 * H), NOON + 300000, 0, false }, 300000, false, 1000000,
          1000000, false },
};

static void test_table(void **state)
{
        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                ConnectorDefinition *definition = parse(table[i].schedule);
                uint64_t elapse = table[i].elapse == NEVER ? USEC_INFINITY : NOON + table[i].elapse;
                uint64_t due = table[i].due == NEVER ? USEC_INFINITY : NOON + table[i].due;
                ScheduleNext next;

                expect_ok(schedule_next(definition, &table[i].past, NOON + (usec_t) table[i].now, table[i].starting, 0.25, &next));
                if (next.elapse_usec != elapse || next.due_usec != due || next.missed != table[i].missed)
                        fail_msg("%s: elapses at %+jd, due at %+jd, %smissed", table[i].what,
                                 (intmax_t) (next.elapse_usec - NOON), (intmax_t) (next.due_usec - NOON),
                                 next.missed ? "" : "not ");
                connector_definition_unref(definition);
        }
}

static void test_bad_setting(void **state)
{
        ConnectorDefinition *definition = parse("OnCalendar=hourly\nEvery=1h\n");
        SchedulePast past = { .first_seen_usec = AGO(24 * H) };
        ScheduleNext next;

        definition->load_state = LOAD_BAD_SETTING;
        expect_ok(schedule_next(definition, &past, NOON, true, 0, &next));
        assert_true(next.elapse_usec == USEC_INFINITY && next.due_usec == USEC_INFINITY);
        connector_definition_unref(definition);
}

/* A week as the engine lives it: acts when due, is away at times, finds its clock set. Each time of the schedule is acted on
 * at most once, what was missed once after each absence, and nothing is lost while somebody looks. */
static void test_week(void **state)
{
        static const struct {
                usec_t at;
                usec_t away;    /* the daemon is down so long */
                int64_t step;   /* then the clock is set by this */
        } troubles[] = {
                { NOON + 3 * H + 1, 5 * H, 0 },          { NOON + 20 * H + MIN_, 0, -2 * (int64_t) USEC_PER_SEC },
                { NOON + 48 * H - 1, 30 * USEC_PER_SEC, 0 }, { NOON + 60 * H + 30 * MIN_, 30 * MIN_ + 1, 0 },
                { NOON + 80 * H + 5, 0, -10 },
        };
        ConnectorDefinition *definition = parse("OnCalendar=hourly\n");
        SchedulePast past = { .first_seen_usec = NOON + 1 };
        usec_t now = NOON + 1, last = 0;
        unsigned acted = 0, missed = 0;
        size_t trouble = 0;
        bool starting = true;

        while (now < NOON + 7 * 24 * H) {
                ScheduleNext next;

                expect_ok(schedule_next(definition, &past, now, starting, 0, &next));
                starting = false;
                if (trouble < ELEMENTSOF(troubles) && next.due_usec > troubles[trouble].at) {
                        now = MAX(now, troubles[trouble].at) + troubles[trouble].away + (usec_t) troubles[trouble].step;
                        starting = true;
                        trouble++;
                        continue;
                }
                now = MAX(now, next.due_usec) + 3; /* timers are late */
                assert_true(next.elapse_usec / H > last / H || next.missed);
                last = next.elapse_usec;
                past.last_elapse_usec = MAX(next.elapse_usec, now);
                acted++;
                missed += next.missed;
        }
        /* 168 hours, without those that were missed; the absences over 15:00…20:00, 12:00 and 01:00 gave one each. */
        assert_int_equal(missed, 3);
        assert_int_equal(acted, 168 - 5 - 1 - 1 + 3);
        assert_int_equal(trouble, ELEMENTSOF(troubles));
        connector_definition_unref(definition);
}

static void test_fractions(void **state)
{
        static const double fractions[] = { 0, 0.5, 0.999999999999999999, 1, -1, 2, __builtin_nan("") };
        ConnectorDefinition *definition = parse("OnCalendar=hourly\nRandomizedDelaySec=18446744073709551614us\n");
        SchedulePast past = { .first_seen_usec = NOON };
        ScheduleNext next;

        for (size_t i = 0; i < ELEMENTSOF(fractions); i++) {
                expect_ok(schedule_next(definition, &past, NOON, false, fractions[i], &next));
                assert_true(next.due_usec >= next.elapse_usec);
        }
        connector_definition_unref(definition);
}

static void test_retry_delay(void **state)
{
        ConnectorDefinition definition = { .retry_usec = 30 * USEC_PER_SEC, .retry_max_usec = USEC_PER_HOUR };
        static const usec_t ceilings[] = { 30, 60, 120, 240, 480, 960, 1920, 3600, 3600 };

        for (unsigned i = 0; i < ELEMENTSOF(ceilings); i++) {
                assert_int_equal(retry_delay(&definition, i + 1, 0.5), ceilings[i] * USEC_PER_SEC / 2);
                assert_int_equal(retry_delay(&definition, i + 1, 0), 0);
                assert_true(retry_delay(&definition, i + 1, 0.9999) < ceilings[i] * USEC_PER_SEC);
        }
        assert_int_equal(retry_delay(&definition, UINT32_MAX, 0.5), USEC_PER_HOUR / 2);

        definition.retry_max_usec = USEC_PER_SEC;
        assert_int_equal(retry_delay(&definition, 1, 0.5), USEC_PER_SEC / 2);
        definition.retry_usec = 0;
        assert_int_equal(retry_delay(&definition, UINT32_MAX, 0.5), 0);
        definition.retry_usec = USEC_INFINITY - 1;
        definition.retry_max_usec = USEC_INFINITY - 1;
        assert_true(retry_delay(&definition, 70, 0.5) <= USEC_INFINITY / 2 + 1);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_table), cmocka_unit_test(test_bad_setting), cmocka_unit_test(test_week),
                cmocka_unit_test(test_fractions), cmocka_unit_test(test_retry_delay),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
