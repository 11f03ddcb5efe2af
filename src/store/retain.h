/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Retention on the writer's thread: what is past its time or number is deleted in small steps. Remembers which users
 * and connectors got something since they were last looked at, so that a round looks at these only; the first round
 * after opening, and one after the policy has changed, looks at all. */

#include "store/db.h"
#include "store/store.h"
#include "store/writer.h"

/* Rows looked at and deleted in one step. */
#define RETAIN_STEP_ROWS 64U

/* So often it is looked which users nothing names any more. */
#define IDLE_USERS_INTERVAL_USEC USEC_PER_DAY

Retention *retention_new(void);
Retention *retention_free(Retention *retention);

/* After a rollback: begin a full round. */
void retention_reset(Retention *retention);

/* An event of a user (0: none) was added; a run has ended. */
void retention_event_added(Retention *retention, int64_t user);
int retention_run_ended(Retention *retention, Db *db, const Run *run) _must_check_;

/* Messages of webhooks that were deleted before they were sent, counted for each endpoint, since it was asked last; to
 * be asked after the commit. */
uint64_t retention_take_lost(Retention *retention);

/* The last step used up its rows. */
bool retention_more(const Retention *retention) _pure_;

/* Static SQL with the parameters: key, kind, how many; user (NULL: of nobody), then how many to keep, or for @list up
 * to which number and how many. */
const char *retain_oldest_run_sql(bool outside) _const_;
const char *retain_event_sql(bool list) _const_;

int retention_step(Retention *retention, Db *db, const RetentionPolicy *policy, usec_t now_usec) _must_check_;
