/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* How often in a row each account has failed: over runs of all and of some, in whole and in part. */

#include "unit/expect.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/string-util.h"
#include "engine/failure-rows.h"

/* A run of the accounts in @only (NULL: all). In part: lower-case letters of @accounts are accounts that were got, those
 * in capitals failed. */
typedef struct Step {
        RunOutcome outcome;
        const char *only;
        const char *accounts;
        unsigned n;        /* of the run */
        const char *worst; /* of the run; NULL: as a whole */
        unsigned most;     /* of all, after it */
} Step;

static void apply(ConnectorRecord *record, const Step *step)
{
        Account accounts[8] = {};
        char names[8][2] = {};
        _cleanup_(failure_row_done) FailureRow row = {};
        Run run = {
                .outcome = step->outcome,
                .only_accounts = (char *) step->only,
                .error = (char *) "no",
                .accounts = accounts,
        };

        for (const char *c = strempty(step->accounts); *c; c++) {
                bool failed = *c < 'a';

                names[run.n_accounts][0] = (char) (failed ? *c - 'A' + 'a' : *c);
                accounts[run.n_accounts] = (Account) {
                        .name = names[run.n_accounts],
                        .status = failed ? ACCOUNT_FAILED : ACCOUNT_SUCCESS,
                };
                run.n_accounts++;
        }
        expect_ok(failure_rows_count(record, &run, &row));
        assert_int_equal(row.n, step->n);
        if (step->worst)
                assert_string_equal(row.accounts, step->worst);
        else
                assert_null(row.accounts);
        assert_int_equal(record->consecutive_failures, step->most);
}

static void apply_all(ConnectorRecord *record, const Step *steps, size_t n)
{
        for (size_t i = 0; i < n; i++)
                apply(record, steps + i);
}

static void test_rows(void **state)
{
        static const Step steps[] = {
                /* Each has a row of its own, whichever fails beside it. */
                { RUN_PARTIAL, NULL, "Ab", 1, "[\"a\"]", 1 },
                { RUN_PARTIAL, NULL, "AB", 2, "[\"a\"]", 2 },
                { RUN_PARTIAL, NULL, "aB", 2, "[\"b\"]", 2 },
                { RUN_PARTIAL, NULL, "AB", 3, "[\"b\"]", 3 },
                { RUN_PARTIAL, NULL, "Ab", 2, "[\"a\"]", 2 },
                { RUN_SUCCEEDED, NULL, NULL, 0, NULL, 0 },
                /* As a whole: for all that there are. */
                { RUN_FAILED, NULL, NULL, 1, NULL, 1 },
                { RUN_PARTIAL, NULL, "Ab", 2, "[\"a\"]", 2 },
                { RUN_FAILED, NULL, NULL, 3, NULL, 3 },
                { RUN_PARTIAL, NULL, "aBc", 2, "[\"b\"]", 2 },
                { RUN_SUCCEEDED, NULL, NULL, 0, NULL, 0 },
                /* Of some: the others' stay. */
                { RUN_FAILED, "[\"a\"]", NULL, 1, "[\"a\"]", 1 },
                { RUN_FAILED, "[\"b\"]", NULL, 1, "[\"b\"]", 1 },
                { RUN_FAILED, "[\"a\",\"b\"]", NULL, 2, "[\"a\",\"b\"]", 2 },
                { RUN_SUCCEEDED, "[\"a\"]", NULL, 0, NULL, 2 },
                { RUN_FAILED, "[\"a\"]", NULL, 1, "[\"a\"]", 2 },
                { RUN_PARTIAL, "[\"a\",\"b\"]", "Ab", 2, "[\"a\"]", 2 },
                { RUN_FAILED, "[\"b\"]", NULL, 1, "[\"b\"]", 2 },
                { RUN_SUCCEEDED, NULL, NULL, 0, NULL, 0 },
                /* Of all, without some that were got. */
                { RUN_FAILED, NULL, NULL, 1, NULL, 1 },
                { RUN_SUCCEEDED, "[\"a\"]", NULL, 0, NULL, 1 },
                { RUN_FAILED, "[\"a\"]", NULL, 1, "[\"a\"]", 1 },
                { RUN_FAILED, "[\"b\"]", NULL, 2, "[\"b\"]", 2 },
                { RUN_SUCCEEDED, NULL, NULL, 0, NULL, 0 },
                /* Something else than an account, a stream: what was got has not failed. */
                { RUN_PARTIAL, NULL, "ab", 1, NULL, 1 },
                { RUN_PARTIAL, NULL, "ab", 2, NULL, 2 },
                { RUN_PARTIAL, NULL, "Ab", 1, "[\"a\"]", 1 },
        };
        ConnectorRecord record = CONNECTOR_RECORD_INIT;

        apply_all(&record, steps, ELEMENTSOF(steps));
        connector_record_done(&record);
}

/* What earlier versions have written, and what nobody has. */
static void test_records(void **state)
{
        static const Step more = { RUN_PARTIAL, NULL, "AB", 3, "[\"a\"]", 3 };
        static const Step first = { RUN_PARTIAL, NULL, "AB", 1, "[\"a\",\"b\"]", 1 };
        static const struct {
                const char *text;
                const Step *step;
        } records[] = {
                { "[\"a\"]", &more },
                { "{\"rest\":0,\"accounts\":{\"a\":2}}", &more },
                { "{\"rest\":2,\"accounts\":{\"b\":1}}", &more },
                { "{\"rest\":-1,\"accounts\":{\"a\":2}}", &first },
                { "{\"accounts\":{\"a\":-2}}", &first },
                { "{\"accounts\":[]}", &first },
                { "{}", &first },
                { "7", &first },
                { "null", &first },
                { "{", &first },
        };

        for (size_t i = 0; i < ELEMENTSOF(records); i++) {
                ConnectorRecord record = CONNECTOR_RECORD_INIT;

                record.consecutive_failures = 2;
                record.failing_accounts = strdup(records[i].text);
                apply(&record, records[i].step);
                connector_record_done(&record);
        }
}

/* By runs of one each, ACCOUNTS_PER_RUN_MAX are known; by one more all but its own are forgotten. */
static void test_most_accounts(void **state)
{
        ConnectorRecord record = CONNECTOR_RECORD_INIT;
        char only[32];

        for (unsigned i = 0; i < ACCOUNTS_PER_RUN_MAX; i++) {
                (void) snprintf(only, sizeof(only), "[\"%u\"]", i);
                apply(&record, &(Step) { RUN_FAILED, only, NULL, 1, only, 1 });
        }
        apply(&record, &(Step) { RUN_FAILED, "[\"0\"]", NULL, 2, "[\"0\"]", 2 });
        apply(&record, &(Step) { RUN_FAILED, "[\"other\"]", NULL, 1, "[\"other\"]", 1 });
        apply(&record, &(Step) { RUN_FAILED, "[\"0\"]", NULL, 1, "[\"0\"]", 1 });
        apply(&record, &(Step) { RUN_FAILED, "[\"other\"]", NULL, 2, "[\"other\"]", 2 });
        connector_record_done(&record);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_rows),
                cmocka_unit_test(test_records),
                cmocka_unit_test(test_most_accounts),
        };

        return cmocka_run_group_tests_name("failure-rows", tests, NULL, NULL);
}
