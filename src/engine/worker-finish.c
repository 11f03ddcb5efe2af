/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The worker's calls that need an answer of the launcher first: whether a caller is the worker at all, and what it has
 * used when it says how it went. */

#include <stdlib.h>

#include "engine/lifecycle.h"
#include "engine/publication.h"
#include "engine/run-end.h"
#include "engine/run-record.h"
#include "engine/worker-calls.h"

/* ---- Questions to the launcher */

static PendingCall *call_new(Engine *engine, Reply *reply)
{
        PendingCall *call = calloc(1, sizeof(PendingCall));

        if (!call)
                return NULL;
        call->engine = engine;
        call->end = (RunReport) RUN_REPORT_INIT;
        call->replies = reply;
        DL_APPEND(engine->calls, call);
        return call;
}

static void call_free(PendingCall *call)
{
        DL_DELETE(call->engine->calls, call);
        run_report_done(&call->end);
        free(call);
}

/* All who wait for it are answered: when all is committed that was put so far, or, with an error, at once. */
static void call_answer(PendingCall *call, int error, bool at_once)
{
        if (call->run)
                call->run->finishing = NULL;
        call->run = NULL;
        call->answered = true;
        while (call->replies) {
                Reply *reply = call->replies;

                call->replies = reply->next;
                if (at_once) {
                        reply->reply(error, reply->userdata);
                        reply_free(reply);
                } else
                        reply_queue(call->engine, reply, error);
        }
}

void worker_calls_refuse(Engine *engine, int error)
{
        PendingCall *call;

        DL_FOREACH(engine->calls, call)
                call_answer(call, error, true);
}

void worker_calls_free(Engine *engine)
{
        while (engine->calls)
                call_free(engine->calls);
}

static void on_verified(int error, void *userdata)
{
        PendingCall *call = userdata;

        if (!call->answered)
                call_answer(call, error, false);
        call_free(call);
}

int engine_verify_worker(Engine *engine, const char *connector, uid_t uid, pid_t pid, EngineReply reply,
                         void *userdata)
{
        Reply *answer;
        PendingCall *call;
        int k;

        k = reply_new(engine, reply, userdata, &answer);
        if (k < 0)
                return k;
        call = call_new(engine, answer);
        if (!call) {
                reply_free(answer);
                return -ENOMEM;
        }
        k = launcher_verify(engine->launcher, connector, uid, pid, on_verified, call);
        if (k < 0) {
                reply_free(answer);
                call_free(call);
        }
        return k;
}

/* ---- Finish */

/* The outcome goes to the disk; the run is finished when its worker has ended. A worker that was stopped says that it
 * was cancelled, and does not know by whom. */
static void record_end(EngineRun *r, PendingCall *call, bool shutdown)
{
        r->run->report_sequence = MAX(r->run->report_sequence, call->sequence);
        if (shutdown && call->end.outcome == RUN_CANCELLED)
                run_lose_to_shutdown(r);
        run_conclude(r, &(RunEnd) { .outcome = call->end.outcome,
                                    .message = call->end.message,
                                    .error = call->end.error,
                                    .category = call->end.attention,
                                    .lasting = ATTENTION_CONNECTION_LOST,
                                    .retry = call->end.retry,
                                    .retry_at_usec = call->end.retry_at_usec,
                                    .n_bad_lines = call->end.n_bad_lines,
                                    .read_anew = call->end.read_anew,
                                    .destination_failed = call->end.destination_failed });
        if (r->run->state == RUN_STARTING || r->run->state == RUN_RUNNING)
                (void) run_move(r, RUN_STOPPING);
        run_heard(r);
        run_record(r, 0, RUN_CHANGE_STATE, RUN_LOG_NONE);
        run_set_timer(r);
}

static void take_usage(Run *run, const RunReport *report, const WorkerExit *usage)
{
        /* The unit's own numbers hold the pipeline and the worker; the worker knows the pipeline's only, and of its
         * memory the largest process's. */
        run->cpu_usec = usage->cpu_usec != COUNT_UNKNOWN ? usage->cpu_usec : report->cpu_usec;
        run->memory_peak_bytes = usage->memory_peak_bytes != COUNT_UNKNOWN ? usage->memory_peak_bytes
                                                                           : report->memory_peak_bytes;
        run->io_read_bytes = usage->io_read_bytes;
        run->io_write_bytes = usage->io_write_bytes;
}

static void on_usage(const WorkerExit *usage, void *userdata)
{
        PendingCall *call = userdata;
        EngineRun *r = call->run;

        if (!call->answered) {
                take_usage(r->run, &call->end, usage);
                record_end(r, call, usage->shutdown);
                call_answer(call, 0, false);
        }
        call_free(call);
}

void worker_calls_finish_now(EngineRun *r, bool shutdown)
{
        PendingCall *call = r->finishing;

        r->run->cpu_usec = call->end.cpu_usec;
        r->run->memory_peak_bytes = call->end.memory_peak_bytes;
        record_end(r, call, shutdown);
        call_answer(call, 0, false);
}

/* What is needed of the report once the launcher has answered. Return: 0 or -ENOMEM. */
static int keep_end(PendingCall *call, const RunReport *report)
{
        RunReport *end = &call->end;

        end->outcome = report->outcome;
        end->attention = report->attention;
        end->retry = report->retry;
        end->retry_at_usec = report->retry_at_usec;
        end->cpu_usec = report->cpu_usec;
        end->memory_peak_bytes = report->memory_peak_bytes;
        end->n_bad_lines = report->n_bad_lines;
        end->read_anew = report->read_anew;
        end->destination_failed = report->destination_failed;
        if (free_and_strdup(&end->message, report->message) < 0)
                return -ENOMEM;
        return MIN(free_and_strdup(&end->error, report->error ?: report->attention_message), 0);
}

static int begin_finish(EngineRun *r, uint64_t sequence, const RunReport *report, Reply *answer)
{
        Engine *engine = r->engine;
        PendingCall *call = call_new(engine, NULL);
        ReportNews news;
        int k;

        if (!call)
                return -ENOMEM;
        call->sequence = sequence;
        k = keep_end(call, report);
        if (k < 0) {
                call_free(call);
                return k;
        }
        k = worker_calls_apply(r, report, &news);
        run_record(r, 0, RUN_CHANGE_PROGRESS, RUN_LOG_NONE);
        if (k >= 0)
                k = worker_calls_put_accounts(r, report);
        if (k < 0)
                engine_break(engine, k);
        call->run = r;
        call->replies = answer;
        r->finishing = call;
        k = launcher_usage(engine->launcher, r->connector->name, on_usage, call);
        if (k < 0)
                on_usage(&(WorkerExit) WORKER_EXIT_INIT, call);
        return 0;
}

int engine_worker_finish(Engine *engine, const char *connector, const char *run_id, uint64_t sequence,
                         const RunReport *report, EngineReply reply, void *userdata)
{
        _cleanup_(reply_freep) Reply *answer = NULL;
        EngineRun *r;
        int k;

        if (report->outcome < 0 || report->outcome == RUN_SKIPPED)
                return -EINVAL;
        k = reply_new(engine, reply, userdata, &answer);
        if (k >= 0)
                k = worker_calls_take(engine, connector, run_id, sequence, &r);
        if (k < 0)
                return k;
        if (!r)
                reply_queue(engine, TAKE_PTR(answer), 0);
        else if (r->finishing) { /* the same call, again */
                answer->next = r->finishing->replies;
                r->finishing->replies = TAKE_PTR(answer);
        } else {
                k = begin_finish(r, sequence, report, answer);
                if (k < 0)
                        return k;
                TAKE_PTR(answer);
        }
        return 0;
}
