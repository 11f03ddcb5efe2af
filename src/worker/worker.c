/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* See worker.h. Everything happens in callbacks of the loop; worker_conclude() is asked after each that may have
 * brought the end nearer. */

#include <signal.h>
#include <stdlib.h>

#include "base/json-writer.h"
#include "base/log.h"
#include "base/string-util.h"
#include "worker/hold.h"
#include "worker/worker-internal.h"

static Worker *worker_free(Worker *worker)
{
        if (!worker)
                return NULL;
        worker_input_close(worker);
        sd_event_source_disable_unref(worker->goodbye_source);
        reporter_free(worker->reporter);
        worker_proxy_free(worker->proxy);
        pipeline_free(worker->pipeline);
        destination_free(worker->destination);
        log_relay_free(worker->relay);
        if (worker->intake)
                intake_done(worker->intake);
        free(worker->intake);
        setup_done(&worker->setup);
        connector_definition_unref(worker->definition);
        worker_attachment_done(&worker->attachment);
        free(worker->settling);
        free(worker->start_error);
        free(worker->destination_error);
        sd_event_unref(worker->event);
        free(worker);
        return NULL;
}
DEFINE_TRIVIAL_CLEANUP_FUNC(Worker *, worker_free);

/* The loop ends: with 0 when the daemon knows how the run did, else the unit's result has to tell it. */
static void leave(Worker *worker, int r)
{
        (void) sd_event_exit(worker->event, r);
}

static int write_metadata(Worker *worker, RunReport *report)
{
        const Intake *intake = worker->intake;
        const LogMetrics *metrics = log_relay_metrics(worker->relay);
        Buffer text = {};
        JsonWriter w = JSON_WRITER_INIT(&text);

        if (intake->n_bad == 0 && intake->n_unknown == 0 && metrics->n_metrics == 0)
                return 0;
        json_open_object(&w, NULL);
        json_write_uint(&w, "lines", intake->n_lines);
        json_write_uint(&w, "bad_lines", intake->n_bad);
        json_write_uint(&w, "unknown_messages", intake->n_unknown);
        if (metrics->n_metrics > 0) {
                json_open_object(&w, "metrics");
                json_write_uint(&w, "record_count", metrics->n_records);
                json_write_uint(&w, "http_requests", metrics->n_requests);
                json_write_uint(&w, "http_requests_failed", metrics->n_requests_failed);
                json_write_double(&w, "http_request_seconds", metrics->request_seconds);
                json_close_object(&w);
        }
        json_close_object(&w);
        return buffer_take(&text, &report->metadata);
}

/* For the next run: whether it begins where bad lines held this one's cursor back. A run that has failed before it
 * came to them again says nothing of them. */
static void note_bad_lines(const Worker *worker, bool passed, bool failed)
{
        const Intake *intake = worker->intake;
        int r = 0;

        if (!passed)
                r = hold_remember(worker->setup.state_directory, strempty(intake->before_bad));
        else if (intake->n_bad > 0 || !failed)
                r = hold_remember(worker->setup.state_directory, NULL);
        if (r < 0)
                log_warning_errno(r, "It cannot be noted which bad lines held the cursor back: %m");
}

static int make_end(Worker *worker, RunReport *report, CursorScope *ret_scope)
{
        RunFacts facts = {
                .intake = worker->intake,
                .cancelled = worker->cancelled,
                .start_error = worker->start_error,
                .destination_error = worker->destination_error,
                .destination_category = worker->destination_category,
                .undelivered = worker->destination && worker->destination->undelivered,
                .destination_retry_at_usec = worker->destination ? worker->destination->retry_at_usec : 0,
                .held_back = worker->intake->n_bad > 0 &&
                             hold_recall(worker->setup.state_directory, worker->attachment.cursor),
        };
        bool failed;
        int r;

        if (worker->pipeline) {
                facts.failed = pipeline_failure(worker->pipeline, &facts.failure);
                if (facts.failed && pipeline_critical(worker->pipeline))
                        facts.failure.words = pipeline_critical(worker->pipeline);
                pipeline_usage(worker->pipeline, &report->cpu_usec, &report->memory_peak_bytes);
        }
        r = outcome_decide(&facts, report);
        if (r < 0)
                return r;
        report->n_bad_lines = worker->intake->n_bad;
        report->read_anew = worker->read_anew;
        failed = report->outcome == RUN_FAILED || report->outcome == RUN_CANCELLED;
        /* By whom, and why, the daemon alone knows: a person, TimeoutSec=, systemctl stop. */
        r = ledger_settle(&worker->intake->ledger, failed,
                          report->outcome == RUN_CANCELLED ? "the run was stopped before its end" : report->error);
        if (r >= 0)
                r = write_metadata(worker, report);
        if (r < 0)
                return r;
        *ret_scope = (!facts.destination_error && !facts.cancelled && !facts.start_error ? CURSOR_ALL_DURABLE : 0) |
                     (outcome_passes_bad_lines(&facts) ? CURSOR_OVER_BAD_LINES : 0);
        if (*ret_scope & CURSOR_ALL_DURABLE)
                note_bad_lines(worker, *ret_scope & CURSOR_OVER_BAD_LINES, failed);
        return 0;
}

/* Everything has ended: tell it. */
static void finish(Worker *worker)
{
        RunReport report = RUN_REPORT_INIT;
        CursorScope scope;
        int r;

        worker->concluded = true;
        if (worker->abandoned) {
                leave(worker, -EHOSTUNREACH);
                return;
        }
        if (worker->goodbye_source)
                (void) sd_event_source_set_time_relative(worker->goodbye_source, GOODBYE_USEC);
        worker_input_close(worker);
        r = make_end(worker, &report, &scope);
        if (r < 0) {
                run_report_done(&report);
                leave(worker, log_oom());
                return;
        }
        if (worker->destination && !worker->destination_error)
                worker_save_cursor(worker, scope);
        if (report.outcome == RUN_FAILED)
                log_error("The run has failed: %s", strna(report.error));
        reporter_finish(worker->reporter, &report);
}

/* Takes the next step towards the end, if it is time: input, then destination, then the daemon. */
void worker_conclude(Worker *worker)
{
        int r;

        if (worker->concluded || !worker->reporter)
                return;
        if (worker->pipeline && !(worker->input_ended && pipeline_has_ended(worker->pipeline)))
                return;
        if (worker->destination && !worker->destination_error && !worker->destination_finishing) {
                worker->destination_finishing = true;
                worker_commit(worker);
                intake_set_stage(worker->intake, SYNC_STAGE_SAVING);
                reporter_changed(worker->reporter);
                r = worker->destination_error ? 0 : destination_finish(worker->destination);
                if (r < 0)
                        worker_fail_destination(worker, r);
                else if (r == 0)
                        worker->destination_ended = true;
        }
        if (worker->destination && !worker->destination_error && !worker->destination_ended) {
                if (!worker->cancelled)
                        return;
                destination_cancel(worker->destination);
        }
        finish(worker);
}

static int on_goodbye(sd_event_source *source, uint64_t usec, void *userdata)
{
        Worker *worker = userdata;

        log_warning("The daemon could not be told how the run ended.");
        leave(worker, -ETIMEDOUT);
        return 0;
}

/* Ends the programs in order; what they say from now on is not read. */
static void stop_pulling(Worker *worker)
{
        worker->cancelled = true;
        if (worker->pipeline) {
                worker_end_input(worker);
                pipeline_output_ended(worker->pipeline);
                pipeline_stop(worker->pipeline);
        }
        worker_conclude(worker);
}

static void arm_goodbye(Worker *worker)
{
        usec_t wait_usec = GOODBYE_USEC + (worker->pipeline ? 2 * PIPELINE_GRACE_USEC : 0);

        (void) sd_event_add_time_relative(worker->event, &worker->goodbye_source, CLOCK_MONOTONIC, wait_usec,
                                          USEC_PER_MSEC, on_goodbye, worker);
}

static int on_signal(sd_event_source *source, const struct signalfd_siginfo *info, void *userdata)
{
        Worker *worker = userdata;

        if (!worker->attached) {
                leave(worker, -ECANCELED);
                return 0;
        }
        if (worker->goodbye_source) {
                if (worker->pipeline)
                        pipeline_stop(worker->pipeline);
                return 0;
        }
        arm_goodbye(worker);
        if (!worker->concluded) /* else it is too late to cancel: it is over, and only has to be told */
                stop_pulling(worker);
        return 0;
}

static void on_finished(void *userdata)
{
        Worker *worker = userdata;
        int r = 0;

        if (worker->destination && !worker->destination_error)
                r = destination_settled(worker->destination, worker->attachment.run_id);
        if (r < 0)
                log_warning("The destination could not note that the run is recorded: %s",
                            strna(worker->destination->error));
        r = worker->cursor_saved ? coverage_renew(worker->setup.state_directory) : 0;
        if (r < 0)
                log_warning_errno(r, "It cannot be noted that the saved cursor is of this destination: %m");
        leave(worker, 0);
}

static void on_refused(int r, const char *error, void *userdata)
{
        Worker *worker = userdata;

        if (worker->abandoned)
                return;
        log_error("The daemon takes no more of this run: %s", strna(error));
        if (worker->destination && !worker->destination_error && destination_commit(worker->destination) < 0)
                log_error("%s", strna(worker->destination->error));
        /* A daemon has its reasons, and has ended the run. Where none is heard of, nobody else ends the programs. */
        worker->abandoned = r == -EHOSTUNREACH && worker->reporter && !worker->concluded;
        if (!worker->abandoned) {
                leave(worker, r);
                return;
        }
        if (!worker->goodbye_source)
                arm_goodbye(worker);
        stop_pulling(worker);
}

/* ---- The beginning */

static int start_pipeline(Worker *worker)
{
        PipelineSpec spec = {
                .commands = worker->setup.commands,
                .n_commands = worker->setup.n_commands,
                .environment = worker->setup.environment,
                .working_directory = worker->setup.working_directory,
                .relay = worker->relay,
        };
        PipelineCallbacks callbacks = worker_pipeline_callbacks;
        size_t failed = 0;
        int r;

        callbacks.userdata = worker;
        r = setup_write_state(&worker->setup, worker->attachment.cursor);
        if (r < 0) {
                worker->start_error = asprintf_or_null("%s: %s", worker->setup.state_file, strerror(-r));
                return r;
        }
        r = pipeline_start(worker->event, &spec, &callbacks, &worker->pipeline, &failed);
        if (r < 0) {
                worker->start_error = asprintf_or_null("cannot run %s: %s%s", worker->setup.commands[failed][0],
                                                       strerror(-r), process_hint(r));
                return r;
        }
        return worker_input_open(worker);
}

/* Earlier runs are settled: now ours. */
static void begin(Worker *worker)
{
        ReporterCallbacks callbacks = { .finished = on_finished, .refused = on_refused, .userdata = worker };
        int r;

        r = reporter_new(worker->event, worker->proxy, worker->attachment.run_id, worker->attachment.sequence,
                         worker->intake, worker->definition->stall_timeout_usec, &callbacks, &worker->reporter);
        if (r < 0) {
                leave(worker, log_error_errno(r, "The run cannot be reported: %m"));
                return;
        }
        if (!worker->start_error && !worker->destination_error && !worker->cancelled) {
                r = start_pipeline(worker);
                if (r < 0 && !worker->start_error)
                        worker->start_error = strdup(strerror(-r));
                if (r >= 0) {
                        intake_set_stage(worker->intake, SYNC_STAGE_FETCHING);
                        worker_commit(worker); /* from now on what is open of earlier runs may go out */
                }
        }
        worker_conclude(worker);
}

/* Tells the counts of an earlier run of which the daemon heard no end, one after another; then begins. */
static void settle_next(Worker *worker)
{
        int r = settle_call(worker->destination, worker->proxy, &worker->settling);

        if (r > 0)
                return;
        if (r < 0)
                worker_fail_destination(worker, r);
        begin(worker);
}

static int open_destination(Worker *worker)
{
        DestinationContext context = {
                .type = worker->definition->destination,
                .connector = worker->connector,
                .run_id = worker->attachment.run_id,
                .full_resync = worker->attachment.full_resync,
                .covered = worker->covered,
                .path = worker->setup.destination_path,
                .working_directory = worker->setup.working_directory,
                .command = worker->setup.store_command,
                .environment = worker->setup.environment,
                .rules = &worker->attachment.rules,
                .url = worker->definition->url,
                .secret_file = worker->setup.secret_file,
                .header_prefix = worker->definition->header_prefix ?: CONNECTOR_HEADER_PREFIX_DEFAULT,
                .event_type = worker->definition->event_type ?: CONNECTOR_EVENT_TYPE_DEFAULT,
                .ledger = &worker->intake->ledger,
                .streams = &worker->intake->streams,
                .relay = worker->relay,
                .event = worker->event,
        };
        DestinationCallbacks callbacks = worker_destination_callbacks;
        int r;

        callbacks.userdata = worker;
        r = settle_remember(worker->setup.state_directory, worker->setup.destination_path);
        if (r >= 0)
                r = destination_open(&context, &callbacks, &worker->destination);
        worker->intake->destination = worker->destination;
        if (r == -EOPNOTSUPP)
                worker->start_error = asprintf_or_null("Type=%s: there is no such destination in this version",
                                                       destination_type_to_string(context.type));
        else if (r < 0) {
                worker->destination_error =
                                strdup(worker->destination && worker->destination->error ? worker->destination->error
                                                                                         : strerror(-r));
                worker->destination_category =
                                worker->destination ? worker->destination->category : _ATTENTION_INVALID;
        }
        return r;
}

/* As a full resync: what is stored already is none the worse for it. */
static int begin_anew(Worker *worker)
{
        log_notice("The destination is new, another than before or an older copy: it lacks what the saved cursor "
                   "covers. The run begins without the saved cursor, and reads everything again.");
        worker->attachment.cursor[0] = 0;
        worker->attachment.full_resync = worker->read_anew = true;
        return setup_begin_anew(&worker->setup);
}

static int drop_void_cursor(Worker *worker)
{
        const Setup *setup = &worker->setup;
        int r;

        r = coverage_check(setup->state_directory, worker->definition->destination, setup->destination_path,
                           worker->attachment.cursor);
        if (r > 0)
                r = begin_anew(worker);
        else if (r < 0 && r != -ENOMEM) {
                log_warning_errno(r, "It cannot be told whether the saved cursor is of this destination: %m");
                r = 0;
        }
        return r < 0 ? r : coverage_digest(worker->attachment.cursor, worker->covered);
}

/* A cursor that cannot be read again is as good as none. A full resync begins with none, and where it failed it is
 * gone on with its own: the daemon knows which. */
static int load_cursor(Worker *worker)
{
        WorkerAttachment *attachment = &worker->attachment;
        int r;

        r = cursor_load(&worker->intake->seen, attachment->cursor);
        if (r >= 0)
                r = cursor_load(&worker->intake->returned, attachment->cursor);
        if (r == -EBADMSG) {
                log_warning("The saved cursor is not JSON; the run begins without it.");
                attachment->cursor[0] = 0;
                r = 0;
        }
        return r;
}

/* What the daemon gave becomes a run. Return: 0, also with worker->start_error or destination_error; -ENOMEM. */
static int prepare(Worker *worker)
{
        WorkerAttachment *attachment = &worker->attachment;
        ConnectorDefinition *definition;
        int r;

        r = connector_definition_parse(worker->connector, &attachment->settings, NULL, NULL, &worker->definition);
        if (r < 0)
                return r;
        definition = worker->definition;
        worker->intake = malloc(sizeof(*worker->intake));
        if (!worker->intake)
                return -ENOMEM;
        r = intake_init(worker->intake, worker->connector, definition->key_properties);
        if (r >= 0)
                r = log_relay_new(worker->connector, attachment->run_id, definition->provider, &worker->relay);
        if (r < 0)
                return r;
        worker->intake->relay = worker->relay;

        if (definition->load_state != LOAD_LOADED) {
                worker->start_error = strdup(strna(definition->load_error));
                return worker->start_error ? 0 : -ENOMEM;
        }
        r = setup_make(definition, attachment->run_id, attachment->full_resync, attachment->accounts, &worker->setup,
                       &worker->start_error);
        if (r >= 0)
                r = drop_void_cursor(worker);
        if (r >= 0)
                r = load_cursor(worker);
        if (r >= 0)
                r = open_destination(worker);
        return r == -ENOMEM ? r : 0;
}

static void on_attached(Worker *worker, WorkerAttachment *attachment)
{
        int r;

        worker->attached = true;
        worker->attachment = *attachment;
        *attachment = (WorkerAttachment) {};
        r = prepare(worker);
        if (r < 0) {
                leave(worker, log_error_errno(r, "The run cannot be prepared: %m"));
                return;
        }
        if (worker->destination && !worker->destination_error && !worker->start_error)
                settle_next(worker);
        else
                begin(worker);
}

static void on_reply(WorkerMethod method, int r, const char *error, WorkerAttachment *attachment, void *userdata)
{
        Worker *worker = userdata;

        switch (method) {
        case WORKER_ATTACH:
                if (r >= 0) {
                        on_attached(worker, attachment);
                        break;
                }
                log_error("The daemon has no run for connector %s: %s", worker->connector, strna(error));
                leave(worker, r);
                break;
        default:
                if (worker->settling && r == -EHOSTUNREACH)
                        on_refused(r, error, worker);
                else if (worker->settling) {
                        r = settle_reply(worker->destination, method, r, error, &worker->settling);
                        if (r > 0)
                                settle_next(worker);
                        else
                                begin(worker);
                } else
                        reporter_reply(worker->reporter, method, r, error);
        }
}

int worker_run(const char *connector)
{
        _cleanup_(worker_freep) Worker *worker = calloc(1, sizeof(*worker));
        int r;

        if (!worker)
                return log_oom();
        worker->connector = connector;
        worker->destination_category = _ATTENTION_INVALID;
        r = sd_event_new(&worker->event);
        if (r >= 0)
                r = sd_event_add_signal(worker->event, NULL, SIGTERM, on_signal, worker);
        if (r >= 0)
                r = sd_event_add_signal(worker->event, NULL, SIGINT, on_signal, worker);
        if (r >= 0)
                r = worker_proxy_new(worker->event, connector, on_reply, worker, &worker->proxy);
        if (r >= 0)
                r = worker_proxy_call(worker->proxy, WORKER_ATTACH, NULL, 0, NULL);
        if (r < 0)
                return log_error_errno(r, "The worker cannot begin: %m");
        return sd_event_loop(worker->event);
}
