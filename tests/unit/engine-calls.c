/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "unit/expect.h"

#include "unit/engine-fixture.h"

#include <stdio.h>

void on_answer(int error, void *userdata)
{
        Answer *a = userdata;

        a->n++;
        a->error = error;
}

void on_start_answer(int error, const StartReply *reply, void *userdata)
{
        Answer *a = userdata;

        on_answer(error, userdata);
        if (error >= 0) {
                a->start = *reply;
                (void) strcpy(a->run_id, reply->run_id);
        }
}

int fixture_ask_reconnect(EngineFixture *f, const char *connection, Answer *a)
{
        const ReconnectWish wish = { .requested_by = "uid:7" };

        return engine_reconnect(f->engine, connection, &wish, on_reconnect_answer, a);
}

void on_reconnect_answer(int error, const ReconnectReply *reply, void *userdata)
{
        Answer *a = userdata;
        size_t used = 0;

        on_answer(error, userdata);
        a->reconnected[0] = '\0';
        a->reconnecting = error >= 0 && reply->reconnecting;
        for (size_t i = 0; error >= 0 && i < reply->n_runs; i++)
                used += (size_t) snprintf(a->reconnected + used, sizeof(a->reconnected) - used, "%s %s%s;",
                                          reply->runs[i].connector, reply->runs[i].already_active ? "after " : "",
                                          reply->runs[i].run_id);
}

void on_attach_answer(int error, const AttachReply *reply, void *userdata)
{
        Answer *a = userdata;
        size_t n = 0;

        on_answer(error, userdata);
        if (error < 0)
                return;
        (void) strcpy(a->run_id, reply->run->id);
        a->sequence = reply->sequence;
        a->full_resync = reply->run->full_resync;
        (void) snprintf(a->cursor, sizeof(a->cursor), "%s", reply->cursor);
        for (size_t i = 0; i < reply->settings->n_items && n < sizeof(a->settings); i++)
                n += (size_t) snprintf(a->settings + n, sizeof(a->settings) - n, "%s=%s;",
                                       reply->settings->items[i].key, reply->settings->items[i].value);
}

/* Not from within the call, and once. */
static int wait_for(EngineFixture *f, Answer *a, int r)
{
        if (r < 0) {
                assert_int_equal(a->n, 0);
                return r;
        }
        assert_int_equal(a->n, 0);
        fixture_run_until(f, a->n > 0);
        assert_int_equal(a->n, 1);
        return a->error;
}

Answer fixture_start(EngineFixture *f, const char *connector, bool full_resync)
{
        const StartOptions options = { .full_resync = full_resync,
                                       .trigger = RUN_TRIGGER_MANUAL,
                                       .requested_by = "uid:0" };
        Answer a = {};

        a.error = wait_for(f, &a, engine_start_run(f->engine, connector, &options, on_start_answer, &a));
        return a;
}

Answer fixture_start_of(EngineFixture *f, const char *connector, bool full_resync, const char *first, const char *second)
{
        char *accounts[] = { (char *) first, (char *) second, NULL };
        const StartOptions options = {
                .full_resync = full_resync,
                .trigger = RUN_TRIGGER_MANUAL,
                .requested_by = "uid:0",
                .accounts = accounts,
        };
        Answer a = {};

        a.error = wait_for(f, &a, engine_start_run(f->engine, connector, &options, on_start_answer, &a));
        return a;
}

Answer fixture_attach(EngineFixture *f, const char *connector)
{
        Answer a = {};

        a.error = wait_for(f, &a, engine_worker_attach(f->engine, connector, on_attach_answer, &a));
        return a;
}

int fixture_report(EngineFixture *f, const char *connector, const char *run_id, uint64_t sequence,
                   const RunReport *report)
{
        Answer a = {};

        return wait_for(f, &a, engine_worker_report(f->engine, connector, run_id, sequence, report, on_answer, &a));
}

int fixture_save_cursor(EngineFixture *f, const char *connector, const char *run_id, uint64_t sequence,
                        const char *cursor)
{
        Answer a = {};

        return wait_for(f, &a,
                        engine_worker_save_cursor(f->engine, connector, run_id, sequence, cursor, on_answer, &a));
}

int fixture_finish(EngineFixture *f, const char *connector, const char *run_id, uint64_t sequence,
                   const RunReport *report)
{
        Answer a = {};

        return wait_for(f, &a, engine_worker_finish(f->engine, connector, run_id, sequence, report, on_answer, &a));
}

int fixture_settle_run(EngineFixture *f, const char *connector, const char *run_id, const RunReport *report)
{
        Answer a = {};

        return wait_for(f, &a, engine_worker_settle(f->engine, connector, run_id, report, on_answer, &a));
}

int fixture_cancel(EngineFixture *f, const char *run_id)
{
        Answer a = {};

        return wait_for(f, &a, engine_cancel_run(f->engine, run_id, "uid:0", on_answer, &a));
}

int fixture_set_active(EngineFixture *f, const char *connector, bool active)
{
        Answer a = {};

        return wait_for(f, &a, engine_set_active(f->engine, connector, active, on_answer, &a));
}

int fixture_outside(EngineFixture *f, const OutsideEvent *events, size_t n)
{
        Answer a = {};

        return wait_for(f, &a, engine_report_outside(f->engine, events, n, "uid:0", on_answer, &a, NULL));
}

void fixture_run_to_end(EngineFixture *f, const char *connector, const RunReport *report)
{
        Answer a;

        fixture_run_until(f, fixture_worker_alive(f, connector));
        a = fixture_attach(f, connector);
        expect_ok(a.error);
        expect_ok(fixture_finish(f, connector, a.run_id, a.sequence + 1, report));
        fixture_worker_ends(f, connector, NULL);
}

void fixture_whole_run(EngineFixture *f, const char *connector, const RunReport *report,
                       char ret_id[static RUN_ID_MAX + 1])
{
        Answer a = fixture_start(f, connector, false);

        expect_ok(a.error);
        assert_false(a.start.already_active);
        (void) strcpy(ret_id, a.run_id);
        fixture_run_to_end(f, connector, report);
}

/* ---- Reports */

RunReport report_success(void)
{
        RunReport report = RUN_REPORT_INIT;

        report.outcome = RUN_SUCCEEDED;
        report.counts = (Counts) { .discovered = 10, .added = 3, .updated = 2, .deduped = 5 };
        report.cpu_usec = 77;
        report.memory_peak_bytes = 4096;
        return report;
}

RunReport report_failure(const char *error, bool retry)
{
        RunReport report = RUN_REPORT_INIT;

        report.outcome = RUN_FAILED;
        report.error = (char *) error;
        report.retry = retry;
        return report;
}

RunReport report_category(AttentionCategory category)
{
        RunReport report = report_failure("the bank wants to see you", false);

        report.attention = category;
        return report;
}
