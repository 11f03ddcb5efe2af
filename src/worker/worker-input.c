/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* From the pipeline's output into the destination, in batches; see worker-internal.h. */

#include <stdlib.h>

#include "base/log.h"
#include "base/string-util.h"
#include "base/time-util.h"
#include "worker/worker-internal.h"

/* How much of the pipeline's output, or of a batch's files, is taken before the other sources get their turn. */
#define FILLS_PER_TURN            4
#define BATCH_FILE_BYTES_PER_TURN MIB

static void set_input(Worker *worker, bool on)
{
        if (worker->input_source)
                (void) sd_event_source_set_enabled(worker->input_source, on ? SD_EVENT_ON : SD_EVENT_OFF);
}

/* Sees to on_continue() at the next turn of the loop. */
static void go_on_later(Worker *worker)
{
        if (worker->continue_source)
                (void) sd_event_source_set_enabled(worker->continue_source, SD_EVENT_ONESHOT);
}

void worker_end_input(Worker *worker)
{
        if (worker->input_ended)
                return;
        worker->input_ended = true;
        ledger_hear(&worker->intake->ledger, NULL, now_usec(CLOCK_MONOTONIC));
        worker->input_source = sd_event_source_disable_unref(worker->input_source);
        worker->continue_source = sd_event_source_disable_unref(worker->continue_source);
}

void worker_fail_destination(Worker *worker, int r)
{
        const char *words = worker->destination->error;

        if (worker->destination_error)
                return;
        worker->destination_error = strdup(!isempty(words) ? words : strerror(-r));
        worker->destination_category = worker->destination->category;
        worker_end_input(worker);
        if (worker->pipeline) {
                pipeline_output_ended(worker->pipeline);
                pipeline_stop(worker->pipeline);
        }
}

/* The destination's next commit says that it has all of the cursor, and of those that the daemon may have till then.
 * Return: 1; 0 (there is nothing to save); negative errno. */
static int take_cursor(Worker *worker, CursorScope scope, char **ret)
{
        _cleanup_free_ char *cursor = NULL, *digests = NULL;
        char digest[COVERAGE_DIGEST_SIZE];
        int r;

        r = intake_take_cursor(worker->intake, scope, &cursor);
        if (r <= 0)
                return r;
        r = coverage_digest(cursor, digest);
        if (r < 0)
                return r;
        digests = asprintf_or_null("%s %s %s %s", worker->covered, reporter_sent_cursor(worker->reporter, 0),
                                   reporter_sent_cursor(worker->reporter, 1), digest);
        if (!digests)
                return -ENOMEM;
        r = destination_cover(worker->destination, digests);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(cursor);
        return 1;
}

/* @cursor: taken over; NULL: there is none. */
static void give_cursor(Worker *worker, char *cursor)
{
        if (!cursor)
                return;
        reporter_save_cursor(worker->reporter, cursor);
        worker->cursor_saved = true;
}

void worker_save_cursor(Worker *worker, CursorScope scope)
{
        _cleanup_free_ char *cursor = NULL;
        int r = take_cursor(worker, scope, &cursor);

        if (r > 0)
                r = destination_commit(worker->destination);
        if (r < 0)
                worker_fail_destination(worker, r);
        else
                give_cursor(worker, TAKE_PTR(cursor));
}

void worker_commit(Worker *worker)
{
        _cleanup_free_ char *cursor = NULL;
        int r;

        if (worker->commit_source)
                (void) sd_event_source_set_enabled(worker->commit_source, SD_EVENT_OFF);
        if (worker->destination_error)
                return;
        r = take_cursor(worker, 0, &cursor);
        if (r >= 0)
                r = destination_commit(worker->destination);
        if (r < 0) {
                worker_fail_destination(worker, r);
                return;
        }
        log_debug("%llu records are stored.", (unsigned long long) worker->intake->ledger.total.discovered);
        worker->batch_bytes = 0;
        worker->batch_records = worker->intake->ledger.total.discovered;
        reporter_changed(worker->reporter);
        give_cursor(worker, TAKE_PTR(cursor));
}

static int on_commit(sd_event_source *source, uint64_t usec, void *userdata)
{
        worker_commit(userdata);
        worker_conclude(userdata);
        return 0;
}

/* Called after each line: commits a batch that is full, and sees to it that a smaller one does not wait long. */
static void consider_commit(Worker *worker, size_t line_size)
{
        int enabled = SD_EVENT_OFF;

        worker->batch_bytes += line_size;
        if (worker->intake->ledger.total.discovered - worker->batch_records >= BATCH_RECORDS_MAX ||
            worker->batch_bytes >= BATCH_BYTES_MAX) {
                worker_commit(worker);
                return;
        }
        (void) sd_event_source_get_enabled(worker->commit_source, &enabled);
        if (enabled == SD_EVENT_OFF) {
                (void) sd_event_source_set_time_relative(worker->commit_source, BATCH_USEC);
                (void) sd_event_source_set_enabled(worker->commit_source, SD_EVENT_ONESHOT);
        }
}

/* ---- Reading */

static void write_new_config(Worker *worker)
{
        JsonSlice config = worker->intake->new_config;
        int r = setup_write_config(&worker->setup, config.data, config.size);

        worker->intake->new_config = (JsonSlice){};
        if (r < 0)
                log_warning_errno(r, "The connector's new settings could not be kept: %m");
}

static void take_line(Worker *worker, const Line *line)
{
        JsonSlice text = { line->data, line->size };
        int r = 0;

        if (line->too_long) {
                worker->intake->n_lines++;
                intake_bad_line(worker->intake, text, LINE_TOO_LONG);
                intake_miss_items(worker->intake, NULL);
        } else
                r = intake_line(worker->intake, text);
        if (r < 0)
                worker_fail_destination(worker, r);
        else if (worker->intake->new_config.size > 0)
                write_new_config(worker);
        consider_commit(worker, line->size);
}

/* Takes lines of a batch's files. Return: true if all were taken; else it is gone on with at the next turn. */
static bool take_batch(Worker *worker)
{
        size_t taken = 0;

        while (worker->intake->batch && !worker->input_ended) {
                size_t size = 0;
                int r;

                if (taken >= BATCH_FILE_BYTES_PER_TURN) {
                        set_input(worker, false);
                        go_on_later(worker);
                        return false;
                }
                r = intake_take_batch(worker->intake, &size);
                if (r < 0)
                        worker_fail_destination(worker, r);
                else if (r > 0)
                        consider_commit(worker, size);
                taken += size + 1;
        }
        return true;
}

/* Has the destination do what takes long. Return: true if it is done; else it is gone on with at the next turn. */
static bool finish_work(Worker *worker)
{
        int r = worker->input_ended ? 0 : destination_work(worker->destination);

        if (r < 0)
                worker_fail_destination(worker, r);
        if (r <= 0)
                return true;
        worker_commit(worker);
        set_input(worker, false);
        go_on_later(worker);
        return false;
}

/* Takes the lines that are in the buffer. Return: true if all were taken. */
static bool take_lines(Worker *worker)
{
        Line line;

        while (!worker->input_ended) {
                if (destination_is_full(worker->destination)) {
                        set_input(worker, false);
                        return false;
                }
                if (!take_batch(worker) || !finish_work(worker))
                        return false;
                if (worker->input_ended)
                        break;
                if (line_reader_next(worker->reader, &line) <= 0)
                        return true;
                take_line(worker, &line);
        }
        return true;
}

/* Reads once. Return: whether to go on; if not, then until there is more, or because that was all. */
static bool fill(Worker *worker)
{
        int r = line_reader_fill(worker->reader);

        if (r > 0 || (r == -EAGAIN && !worker->input_abandoned))
                return r > 0;
        if (r < 0 && r != -EAGAIN)
                log_error_errno(r, "The pipeline's output cannot be read: %m");
        if (take_lines(worker)) {
                worker_end_input(worker);
                pipeline_output_ended(worker->pipeline);
        }
        return false;
}

static void read_input(Worker *worker)
{
        for (unsigned i = 0; i < FILLS_PER_TURN && take_lines(worker) && !worker->input_ended; i++)
                if (!fill(worker))
                        break;
        /* The last fill may have left lines; the descriptor alone would not tell. */
        if (!worker->input_ended && !destination_is_full(worker->destination) && !worker->intake->batch)
                (void) take_lines(worker);
        if (worker->input_abandoned && !destination_is_full(worker->destination))
                go_on_later(worker); /* it may be empty now, and that is its end */
        reporter_alive(worker->reporter);
        worker_conclude(worker);
}

static int on_input(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
        read_input(userdata);
        return 0;
}

static int on_continue(sd_event_source *source, void *userdata)
{
        Worker *worker = userdata;

        if (!worker->input_ended && take_lines(worker)) {
                set_input(worker, true);
                read_input(worker);
                return 0;
        }
        reporter_alive(worker->reporter);
        worker_conclude(worker);
        return 0;
}

static void on_drained(void *userdata)
{
        go_on_later(userdata);
}

static void on_returned_state(JsonSlice line, void *userdata)
{
        Worker *worker = userdata;
        int r = intake_returned_state(worker->intake, line);

        if (r < 0)
                worker_fail_destination(worker, r);
        else
                worker_save_cursor(worker, 0);
}

static void on_told_counts(const Message *message, void *userdata)
{
        Worker *worker = userdata;
        int r = intake_told_counts(worker->intake, message);

        if (r < 0)
                worker_fail_destination(worker, r);
        else
                worker_commit(worker);
}

static void on_attempted(const DeliveryAttempt *attempt, void *userdata)
{
        Worker *worker = userdata;

        if (worker->reporter)
                reporter_attempted(worker->reporter, attempt);
}

static void on_destination_ended(int r, void *userdata)
{
        Worker *worker = userdata;

        worker->destination_ended = true;
        if (r < 0)
                worker_fail_destination(worker, r);
        worker_conclude(worker);
}

static void on_pipeline_ended(void *userdata)
{
        worker_conclude(userdata);
}

static void on_pipeline_abandoned(void *userdata)
{
        Worker *worker = userdata;

        log_warning("A process that the pipeline left behind kept its output open; it was ended.");
        worker->input_abandoned = true;
        go_on_later(worker);
}

const PipelineCallbacks worker_pipeline_callbacks = {
        .ended = on_pipeline_ended,
        .abandoned = on_pipeline_abandoned,
};

const DestinationCallbacks worker_destination_callbacks = {
        .drained = on_drained,
        .state = on_returned_state,
        .counts = on_told_counts,
        .attempted = on_attempted,
        .ended = on_destination_ended,
};

int worker_input_open(Worker *worker)
{
        int r;

        r = line_reader_new(pipeline_fd(worker->pipeline), &worker->reader);
        if (r >= 0)
                r = sd_event_add_io(worker->event, &worker->input_source, pipeline_fd(worker->pipeline), EPOLLIN,
                                    on_input, worker);
        if (r >= 0)
                r = sd_event_add_defer(worker->event, &worker->continue_source, on_continue, worker);
        if (r >= 0)
                r = sd_event_source_set_enabled(worker->continue_source, SD_EVENT_OFF);
        /* after all others: it asks for its next turn in each, and would take all of them */
        if (r >= 0)
                r = sd_event_source_set_priority(worker->continue_source, SD_EVENT_PRIORITY_NORMAL + 2);
        if (r >= 0)
                r = sd_event_add_time(worker->event, &worker->commit_source, CLOCK_MONOTONIC, 0, 10 * USEC_PER_MSEC,
                                      on_commit, worker);
        if (r >= 0)
                r = sd_event_source_set_enabled(worker->commit_source, SD_EVENT_OFF);
        return r;
}

void worker_input_close(Worker *worker)
{
        worker->input_source = sd_event_source_disable_unref(worker->input_source);
        worker->continue_source = sd_event_source_disable_unref(worker->continue_source);
        worker->commit_source = sd_event_source_disable_unref(worker->commit_source);
        worker->reader = line_reader_free(worker->reader);
}
