/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Tells the daemon how a run goes: at most four times a second, and at each change of stage; cursors when their items
 * are durable; the end when all before it is recorded. While the daemon is away, what is to be said is gathered, so
 * that nothing is said twice. */

#include "client/worker-proxy.h"
#include "model/report.h"
#include "worker/intake.h"

/* Reports are no closer than this. */
#define REPORT_INTERVAL_USEC (250 * USEC_PER_MSEC)

/* Where nothing has changed but messages come, it is said this often that the run lives; oftener where
 * StallTimeoutSec= is short. */
#define REPORT_ALIVE_USEC (10 * USEC_PER_SEC)

/* Accounts in one report; others come with the next. Keeps a report well below REPORT_JSON_MAX. */
#define REPORT_ACCOUNTS_MAX 200U

typedef struct Reporter Reporter;

typedef struct ReporterCallbacks {
        void (*finished)(void *userdata);                          /* Finish() is recorded */
        void (*refused)(int r, const char *error, void *userdata); /* the daemon does not want this run any more */
        void *userdata;
} ReporterCallbacks;

/**
 * reporter_new() - begin to report
 * @proxy:      idle; borrowed. Its replies must be handed to reporter_reply()
 * @run_id:     borrowed
 * @sequence:   of the last call that is recorded
 * @intake:     whose counts and stage are reported; borrowed
 * @stall_usec: StallTimeoutSec=, or USEC_INFINITY
 *
 * Return: 0; -ENOMEM; another errno of the loop.
 */
int reporter_new(sd_event *event, WorkerProxy *proxy, const char *run_id, uint64_t sequence, Intake *intake,
                 usec_t stall_usec, const ReporterCallbacks *callbacks, Reporter **ret) _must_check_;
Reporter *reporter_free(Reporter *reporter);
DEFINE_TRIVIAL_CLEANUP_FUNC(Reporter *, reporter_free);

/** reporter_changed() - counts, stage or an account have changed: say it when it is time */
void reporter_changed(Reporter *reporter);

/** reporter_alive() - a message came */
void reporter_alive(Reporter *reporter);

/** reporter_save_cursor() - everything that the cursor covers is durable; replaces one that waits. @cursor: taken over
 */
void reporter_save_cursor(Reporter *reporter, char *cursor);

#define REPORT_CURSORS 2U /* the one that is sent now, and the one before, which the daemon has */

/** reporter_sent_cursor() - digest of a cursor that was sent last; "" for none. @i: below REPORT_CURSORS */
const char *reporter_sent_cursor(const Reporter *reporter, size_t i);

/* Attempts that wait to be told; of more, while the daemon is away, the oldest are forgotten. */
#define REPORT_ATTEMPTS_MAX 256U

/** reporter_attempted() - a request to the destination has ended. @attempt: copied */
void reporter_attempted(Reporter *reporter, const DeliveryAttempt *attempt);

/** reporter_finish() - say the end, after all else. @report: the end's fields are set; taken over (emptied) */
void reporter_finish(Reporter *reporter, RunReport *report);

/** reporter_reply() - a call that the reporter has made has ended, by WorkerReply */
void reporter_reply(Reporter *reporter, WorkerMethod method, int r, const char *error);

/**
 * reporter_write_settlement() - the report of a dead run's counts for Settle()
 * @ret: set on success only; caller frees
 *
 * Return: 0; -ENOMEM.
 */
int reporter_write_settlement(Ledger *ledger, char **ret) _must_check_;
