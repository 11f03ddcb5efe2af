/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Whether the sync service answers: it is asked once for all who ask at the same time, and believed for a moment,
 * because anybody may ask. */

#include "http/request.h"

/* So long an answer is believed, unless the daemon comes or goes meanwhile. */
#define HEALTH_USEC (1 * USEC_PER_SEC)

typedef struct Health Health;

int health_new(App *app, Health **ret) _must_check_;
Health *health_free(Health *health);

/* Answers the request, now or later. */
void health_answer(Health *health, Request *request);

/* The request is answered otherwise, or goes. */
void health_forget(Health *health, Request *request);

/* The daemon has come, or gone. */
void health_changed(Health *health);
