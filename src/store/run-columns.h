/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The columns of a run, for run-store.c and run-list.c. */

#include "store/store-private.h"

/* Never changes. */
#define RUN_IDENTITY(P, W)                                                                                           \
        P(id, id, TEXT)                                                                                              \
        P(provider, provider, TEXT)                                                                                  \
        W(source, source, run_source)                                                                                \
        W(trigger, trigger, run_trigger)                                                                             \
        P(requested_by, requested_by, TEXT)                                                                          \
        P(reason, reason, TEXT)                                                                                      \
        P(full_resync, full_resync, BOOL)                                                                            \
        P(only_accounts, only_accounts, TEXT)                                                                        \
        P(attempt, attempt, UNSIGNED)                                                                                \
        P(retry_of, retry_of, TEXT)                                                                                  \
        P(created_usec, created_usec, UINT)

/* In indexes and checks: written only when it changed. */
#define RUN_PHASE(P, W)                                                                                              \
        W(state, state, run_state)                                                                                   \
        W(outcome, outcome, run_outcome)                                                                             \
        P(finished_usec, finished_usec, USEC)

#define RUN_TELLING(P, W)                                                                                            \
        W(stage, stage, sync_stage)                                                                                  \
        P(primary_user_id, primary_user_id, TEXT)                                                                    \
        P(message, message, TEXT)                                                                                    \
        P(progress, progress, PROGRESS)                                                                              \
        P(items_processed, items_processed, COUNT)                                                                   \
        P(items_total, items_total, COUNT)                                                                           \
        P(discovered, counts.discovered, UINT)                                                                       \
        P(added, counts.added, UINT)                                                                                 \
        P(updated, counts.updated, UINT)                                                                             \
        P(deduped, counts.deduped, UINT)                                                                             \
        P(error, error, TEXT)                                                                                        \
        W(category, category, attention_category)                                                                    \
        P(metadata, metadata, TEXT)                                                                                  \
        P(started_usec, started_usec, USEC)                                                                          \
        P(updated_usec, updated_usec, USEC)                                                                          \
        P(last_seq, last_seq, UINT)                                                                                  \
        P(report_sequence, report_sequence, UINT)                                                                    \
        P(invocation_id, invocation_id, TEXT)                                                                        \
        P(worker_pid, worker_pid, INT)                                                                               \
        P(worker_start_ticks, worker_start_ticks, UINT)                                                              \
        P(clock_boot_id, clock_boot_id, TEXT)                                                                        \
        P(clock_usec, clock_usec, USEC)                                                                              \
        P(cpu_usec, cpu_usec, COUNT)                                                                                 \
        P(memory_peak_bytes, memory_peak_bytes, COUNT)                                                               \
        P(io_read_bytes, io_read_bytes, COUNT)                                                                       \
        P(io_write_bytes, io_write_bytes, COUNT)

#define SQL_COMMA_RUNS(name, ...) ", runs." #name

/* What run_read() reads, up to FROM and the tables' names. @runs: "runs", perhaps with INDEXED BY. */
#define RUN_SELECT(runs)                                                                                             \
        "SELECT runs.row, connectors.name, connectors.id, users.id" RUN_IDENTITY(SQL_COMMA_RUNS, SQL_COMMA_RUNS)     \
                RUN_PHASE(SQL_COMMA_RUNS, SQL_COMMA_RUNS) RUN_TELLING(SQL_COMMA_RUNS, SQL_COMMA_RUNS)                \
        " FROM " runs " LEFT JOIN connectors ON connectors.key = runs.connector"                                     \
        " LEFT JOIN users ON users.key = runs.user"

/* What lists in the documents' words show: half of it, in two thirds of the time. */
#define RUN_BRIEF(P, W)                                                                                              \
        P(id, id, TEXT)                                                                                              \
        P(provider, provider, TEXT)                                                                                  \
        W(source, source, run_source)                                                                                \
        W(trigger, trigger, run_trigger)                                                                             \
        P(requested_by, requested_by, TEXT)                                                                          \
        P(reason, reason, TEXT)                                                                                      \
        P(full_resync, full_resync, BOOL)                                                                            \
        P(created_usec, created_usec, UINT)                                                                          \
        RUN_PHASE(P, W)                                                                                              \
        W(stage, stage, sync_stage)                                                                                  \
        P(message, message, TEXT)                                                                                    \
        P(items_processed, items_processed, COUNT)                                                                   \
        P(discovered, counts.discovered, UINT)                                                                       \
        P(added, counts.added, UINT)                                                                                 \
        P(updated, counts.updated, UINT)                                                                             \
        P(deduped, counts.deduped, UINT)                                                                             \
        P(error, error, TEXT)                                                                                        \
        P(started_usec, started_usec, USEC)

/* As RUN_SELECT, for run_read_brief(). */
#define RUN_SELECT_BRIEF(runs)                                                                                       \
        "SELECT runs.row, connectors.name, connectors.id, users.id" RUN_BRIEF(SQL_COMMA_RUNS, SQL_COMMA_RUNS)        \
        " FROM " runs " LEFT JOIN connectors ON connectors.key = runs.connector"                                     \
        " LEFT JOIN users ON users.key = runs.user"

/* What the newest event of a run says. */
#define RUN_NEWS(P, W)                                                                                               \
        P(id, id, TEXT)                                                                                              \
        P(provider, provider, TEXT)                                                                                  \
        W(source, source, run_source)                                                                                \
        RUN_PHASE(P, W)                                                                                              \
        W(stage, stage, sync_stage)                                                                                  \
        P(primary_user_id, primary_user_id, TEXT)                                                                    \
        P(message, message, TEXT)                                                                                    \
        P(progress, progress, PROGRESS)                                                                              \
        P(items_processed, items_processed, COUNT)                                                                   \
        P(items_total, items_total, COUNT)                                                                           \
        P(error, error, TEXT)                                                                                        \
        P(started_usec, started_usec, USEC)                                                                          \
        P(updated_usec, updated_usec, USEC)                                                                          \
        P(last_seq, last_seq, UINT)

/* As RUN_SELECT, for run_borrow_news(). */
#define RUN_SELECT_NEWS(runs)                                                                                        \
        "SELECT runs.row, connectors.name, connectors.id, users.id" RUN_NEWS(SQL_COMMA_RUNS, SQL_COMMA_RUNS)         \
        " FROM " runs " LEFT JOIN connectors ON connectors.key = runs.connector"                                     \
        " LEFT JOIN users ON users.key = runs.user"

/* The row that @query stands at. Return: 0; -ENOMEM; -EUCLEAN. */
int run_read_brief(Query *query, Run **ret) _must_check_;

/* The same into @run, whose texts are the row's: see query_borrow_columns(). */
int run_borrow_brief(Query *query, Run *run) _must_check_;
int run_borrow_news(Query *query, Run *run) _must_check_;
int run_read(Query *query, Run **ret) _must_check_;
