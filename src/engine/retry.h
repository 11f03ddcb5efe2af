/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The retry that a connector's record promises: when, of which accounts, as which attempt. There is at most one, which
 * covers all accounts that were promised one. It holds until a run begins that covers it, until its connector is
 * another user's or its file allows no such attempt any more, its consent is withdrawn or the service has switched it
 * off. */

#include "engine/run-end.h"

/* None is promised any more. */
void retry_forget(ConnectorRecord *record);

/* A run of these accounts (NULL: all) begins: a promise that it covers is kept by it. One of other accounts stands. */
void retry_meet(ConnectorRecord *record, const char *accounts);

/* Whether one is promised of all these accounts. */
bool retry_covers(const ConnectorRecord *record, const char *accounts);

/**
 * retry_decide() - the run's outcome is known: promise a retry, where that is for @end to have
 *
 * Joined with one that is promised already of accounts which the run has not covered: at the earlier of the two times,
 * but not before either provider has allowed it, and counted as that which has been tried less often.
 *
 * Where the provider has said when to come again, that failure is none that lasts: so says the record's @lasting.
 *
 * Return: 0; -ENOMEM.
 */
int retry_decide(EngineRun *r, const RunEnd *end) _must_check_;

/* The connector's file was read: a promise that it leaves no attempt for is none any more, and one that its pauses
 * would not put off for so long comes earlier. The journal is told. Return: whether the record has changed. */
bool retry_review(ConnectorEntry *c);

/* The run has ended: the journal is told of its retry, if there is to be one. Return: 0; -ENOMEM. */
int retry_tell(EngineRun *r) _must_check_;
