/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* See reporter.h. One call is under way at a time; what comes next is decided when it has ended, from what has changed
 * by then. */

#include <stdlib.h>
#include <string.h>

#include "base/json-writer.h"
#include "base/log.h"
#include "base/time-util.h"
#include "worker/coverage.h"
#include "worker/reporter.h"

struct Reporter {
        sd_event *event;
        WorkerProxy *proxy;
        const char *run_id;
        uint64_t sequence; /* of the call under way, or of the last one */
        Intake *intake;
        ReporterCallbacks callbacks;
        usec_t alive_usec;

        bool changed;
        bool alive;
        char *cursor;  /* waits to be saved */
        char sent[REPORT_CURSORS][COVERAGE_DIGEST_SIZE]; /* digests of cursors, the last one last */
        DeliveryAttempt attempts[REPORT_ATTEMPTS_MAX]; /* wait to be told */
        size_t n_attempts;
        RunReport end; /* waits until all else was said */
        bool ending;
        bool ended;           /* recorded, or refused */
        usec_t reported_usec; /* CLOCK_MONOTONIC of the last report */
        sd_event_source *timer;
};

static void proceed(Reporter *reporter);

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
        proceed(userdata);
        return 0;
}

int reporter_new(sd_event *event, WorkerProxy *proxy, const char *run_id, uint64_t sequence, Intake *intake,
                 usec_t stall_usec, const ReporterCallbacks *callbacks, Reporter **ret)
{
        _cleanup_(reporter_freep) Reporter *reporter = calloc(1, sizeof(*reporter));
        int r;

        if (!reporter)
                return -ENOMEM;
        *reporter = (Reporter){
                .event = sd_event_ref(event),
                .proxy = proxy,
                .run_id = run_id,
                .sequence = sequence,
                .intake = intake,
                .callbacks = *callbacks,
                .alive_usec = MIN(stall_usec / 4, (usec_t) REPORT_ALIVE_USEC),
                .end = RUN_REPORT_INIT,
        };
        r = sd_event_add_time(event, &reporter->timer, CLOCK_MONOTONIC, 0, 10 * USEC_PER_MSEC, on_timer, reporter);
        if (r >= 0)
                r = sd_event_source_set_enabled(reporter->timer, SD_EVENT_OFF);
        if (r < 0)
                return r;
        (void) sd_event_source_set_description(reporter->timer, "report");
        *ret = TAKE_PTR(reporter);
        return 0;
}

static void forget_attempts(Reporter *reporter, size_t n)
{
        for (size_t i = 0; i < n; i++)
                delivery_attempt_done(&reporter->attempts[i]);
        reporter->n_attempts -= n;
        memmove(reporter->attempts, reporter->attempts + n, reporter->n_attempts * sizeof(*reporter->attempts));
}

Reporter *reporter_free(Reporter *reporter)
{
        if (!reporter)
                return NULL;
        sd_event_source_disable_unref(reporter->timer);
        sd_event_unref(reporter->event);
        run_report_done(&reporter->end);
        forget_attempts(reporter, reporter->n_attempts);
        free(reporter->cursor);
        free(reporter);
        return NULL;
}

/* The accounts that have changed, as many as one report takes. Their texts are borrowed. */
static size_t collect_accounts(Ledger *ledger, Account *accounts)
{
        size_t n = 0;

        for (LedgerAccount *row = ledger->accounts; row && n < REPORT_ACCOUNTS_MAX; row = row->hh.next) {
                if (!row->unreported)
                        continue;
                accounts[n] = row->account;
                accounts[n++].counts = row->durable;
                row->unreported = false;
        }
        return n;
}

static bool has_unreported_accounts(const Ledger *ledger)
{
        for (const LedgerAccount *row = ledger->accounts; row; row = row->hh.next)
                if (row->unreported)
                        return true;
        return false;
}

static int write_report(Ledger *ledger, RunReport *report, char **ret)
{
        _cleanup_free_ Account *accounts = calloc(REPORT_ACCOUNTS_MAX, sizeof(*accounts));
        Buffer text = {};

        if (!accounts)
                return -ENOMEM;
        report->counts = ledger->total_durable;
        report->accounts = accounts;
        report->n_accounts = collect_accounts(ledger, accounts);
        run_report_write(report, &text);
        report->accounts = NULL;
        report->n_accounts = 0;
        return buffer_take(&text, ret);
}

int reporter_write_settlement(Ledger *ledger, char **ret)
{
        RunReport report = RUN_REPORT_INIT;
        Buffer text = {};
        LedgerAccount *row;
        size_t n = 0;

        report.accounts = calloc(ACCOUNTS_PER_RUN_MAX, sizeof(*report.accounts));
        if (!report.accounts)
                return -ENOMEM;
        report.counts = ledger->total_durable;
        for (row = ledger->accounts; row && n < ACCOUNTS_PER_RUN_MAX; row = row->hh.next)
                report.accounts[n++] = row->account; /* names and counts alone, which are short */
        report.n_accounts = n;
        run_report_write(&report, &text);
        free(report.accounts);
        return buffer_take(&text, ret);
}

/* What a report says of the run as it stands. The message is borrowed. */
static void fill_progress(const Intake *intake, RunReport *report)
{
        report->stage = intake->stage;
        report->message = intake->message;
        report->items_processed = intake->processed != COUNT_UNKNOWN ? intake->processed
                                                                     : intake->ledger.total_durable.discovered;
        report->items_total = intake_total(intake);
}

static int call(Reporter *reporter, WorkerMethod method, const char *text)
{
        return worker_proxy_call(reporter->proxy, method, reporter->run_id, ++reporter->sequence, text);
}

static int send_report(Reporter *reporter)
{
        RunReport report = RUN_REPORT_INIT;
        _cleanup_free_ char *text = NULL;
        int r;

        reporter->changed = reporter->alive = false;
        reporter->reported_usec = now_usec(CLOCK_MONOTONIC);
        fill_progress(reporter->intake, &report);
        report.stage = intake_take_stage(reporter->intake);
        r = write_report(&reporter->intake->ledger, &report, &text);
        return r < 0 ? r : call(reporter, WORKER_REPORT, text);
}

static int send_cursor(Reporter *reporter)
{
        _cleanup_free_ char *cursor = TAKE_PTR(reporter->cursor);
        int r;

        memmove(reporter->sent, reporter->sent + 1, sizeof(reporter->sent) - sizeof(reporter->sent[0]));
        r = coverage_digest(cursor, reporter->sent[REPORT_CURSORS - 1]);
        return r < 0 ? r : call(reporter, WORKER_SAVE_CURSOR, cursor);
}

static int send_attempts(Reporter *reporter)
{
        size_t n = MIN(reporter->n_attempts, (size_t) DELIVERIES_REPORT_MAX);
        _cleanup_free_ char *text = NULL;
        Buffer buffer = {};
        int r;

        delivery_attempts_write(reporter->attempts, n, &buffer);
        forget_attempts(reporter, n);
        r = buffer_take(&buffer, &text);
        return r < 0 ? r : call(reporter, WORKER_REPORT_DELIVERIES, text);
}

static int send_end(Reporter *reporter)
{
        RunReport *report = &reporter->end;
        _cleanup_free_ char *text = NULL;
        int r;

        fill_progress(reporter->intake, report);
        r = write_report(&reporter->intake->ledger, report, &text);
        report->message = NULL; /* the intake's */
        return r < 0 ? r : call(reporter, WORKER_FINISH, text);
}

/* When the next report may go out; USEC_INFINITY: there is nothing to say. */
static usec_t report_due(const Reporter *reporter)
{
        if (reporter->intake->n_untold > 0)
                return 0;
        if (reporter->changed)
                return reporter->reported_usec + REPORT_INTERVAL_USEC;
        if (reporter->alive)
                return reporter->reported_usec + reporter->alive_usec;
        return USEC_INFINITY;
}

static void proceed(Reporter *reporter)
{
        usec_t due;
        int r = 0;

        if (reporter->ended || worker_proxy_is_busy(reporter->proxy))
                return;
        due = report_due(reporter);
        if (reporter->cursor)
                r = send_cursor(reporter);
        else if (reporter->n_attempts > 0)
                r = send_attempts(reporter);
        else if (reporter->ending) {
                /* The end carries the last counts; only what it has no room for goes before. */
                bool crowded = HASH_COUNT(reporter->intake->ledger.accounts) > REPORT_ACCOUNTS_MAX &&
                               has_unreported_accounts(&reporter->intake->ledger);

                r = crowded || reporter->intake->n_untold > 0 ? send_report(reporter) : send_end(reporter);
        } else if (due <= now_usec(CLOCK_MONOTONIC))
                r = send_report(reporter);
        else if (due != USEC_INFINITY) {
                (void) sd_event_source_set_time(reporter->timer, due);
                (void) sd_event_source_set_enabled(reporter->timer, SD_EVENT_ONESHOT);
        }
        if (r < 0) {
                reporter->ended = true;
                reporter->callbacks.refused(r, strerror(-r), reporter->callbacks.userdata);
        }
}

void reporter_changed(Reporter *reporter)
{
        reporter->changed = true;
        proceed(reporter);
}

void reporter_alive(Reporter *reporter)
{
        if (reporter->alive && reporter->intake->n_untold == 0)
                return;
        reporter->alive = true;
        proceed(reporter);
}

const char *reporter_sent_cursor(const Reporter *reporter, size_t i)
{
        return reporter->sent[i];
}

void reporter_save_cursor(Reporter *reporter, char *cursor)
{
        free(reporter->cursor);
        reporter->cursor = cursor;
        proceed(reporter);
}

void reporter_attempted(Reporter *reporter, const DeliveryAttempt *attempt)
{
        if (reporter->n_attempts == REPORT_ATTEMPTS_MAX)
                forget_attempts(reporter, 1);
        if (delivery_attempt_copy(attempt, &reporter->attempts[reporter->n_attempts]) < 0) {
                log_debug("Without memory an attempt is not told of.");
                return;
        }
        reporter->n_attempts++;
        proceed(reporter);
}

void reporter_finish(Reporter *reporter, RunReport *report)
{
        reporter->end = *report;
        *report = (RunReport) RUN_REPORT_INIT;
        reporter->ending = true;
        proceed(reporter);
}

void reporter_reply(Reporter *reporter, WorkerMethod method, int r, const char *error)
{
        if (r < 0) {
                reporter->ended = true;
                reporter->callbacks.refused(r, error, reporter->callbacks.userdata);
                return;
        }
        if (method == WORKER_FINISH) {
                reporter->ended = true;
                reporter->callbacks.finished(reporter->callbacks.userdata);
                return;
        }
        proceed(reporter);
}
