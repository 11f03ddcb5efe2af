/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the tests of the documents' views share: a run, and its view as text beside the expected bytes. */

#include "unit/expect.h"

#include <stdlib.h>

#include "base/json-writer.h"
#include "model/run.h"

#define A_TIME       ((usec_t) 1780171200 * USEC_PER_SEC) /* 2026-05-30T20:00:00Z */
#define RUN_ID       "01973000-0000-7000-8000-000000000000"
#define CONNECTOR_ID "c0000000-0000-4000-8000-000000000000"
#define USER_ID      "11111111-1111-4111-8111-111111111111"

static inline char *copy(const char *s)
{
        char *c = strdup(s);

        assert_non_null(c);
        return c;
}

/* Queued just now. */
static inline Run *queued_run(void)
{
        Run *run = run_new();

        assert_non_null(run);
        run->id = copy(RUN_ID);
        run->connector = copy("bank");
        run->connector_id = copy(CONNECTOR_ID);
        run->provider = copy("giro");
        run->user_id = copy(USER_ID);
        run->created_usec = A_TIME - 5 * USEC_PER_SEC;
        return run;
}

/* ... that ended so, after fourteen seconds. */
static inline Run *ended_run(RunOutcome outcome)
{
        Run *run = queued_run();

        run->state = RUN_FINISHED;
        run->outcome = outcome;
        run->stage = sync_stage_from_outcome(outcome);
        run->started_usec = A_TIME;
        run->finished_usec = A_TIME + 14 * USEC_PER_SEC;
        run->updated_usec = run->finished_usec + 250;
        run->counts = (Counts) { .discovered = 18, .added = 2, .updated = 1, .deduped = 15 };
        return run;
}

/* What @statement writes with the JsonWriter `w` is @expected, byte for byte. */
#define expect_json(statement, expected)                           \
        do {                                                       \
                Buffer _buffer = { 0 };                            \
                JsonWriter w = JSON_WRITER_INIT(&_buffer);         \
                char *_text;                                       \
                                                                   \
                statement;                                         \
                expect_ok(buffer_take(&_buffer, &_text));          \
                assert_string_equal(_text, expected);              \
                free(_text);                                       \
        } while (false)
