/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What is remembered of events that are deleted, for store_lost_seq(). On the writer's thread. */

#include <stddef.h>

#include "store/db.h"

/* Before the event is deleted. Return: 0; negative errno. */
int event_loss_remember(Db *db, int64_t seq) _must_check_;

/* Forgets whose the oldest losses were beyond LOST_EVENTS_MAX, at most @limit of them. Return: 0; negative errno. */
int event_loss_trim(Db *db, size_t limit, size_t *ret_n) _must_check_;

/* Forgets whose the losses of a user were, at most @limit of them. Return: 0; negative errno. */
int event_loss_forget_user(Db *db, int64_t user, size_t limit, size_t *ret_n) _must_check_;
