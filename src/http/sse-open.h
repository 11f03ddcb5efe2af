/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* How a request becomes a stream. */

#include "http/sse-hub.h"

#define SSE_REPLAY_DEFAULT 20U
#define SSE_REPLAY_MAX     200U

/**
 * sse_open() - answer with the events that a filter wants: those of the past that are asked for, then all that come
 * @filter: borrowed
 *
 * The query and the headers say from where: Last-Event-ID, last_event_id, replay. What is wrong with them is said
 * before it is looked whether there is the user, and whether the key sees that user.
 */
void sse_open(Request *request, const SseFilter *filter);
