/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The values of Singer's STATE messages that were handed to a destination. Targets say which one they have stored by
 * printing the bare value, not the message, and among whatever else a program prints this is how it is known. */

#include "base/digest.h"
#include "worker/json-scan.h"

/* So many of the newest are known. */
#define STATE_TRAIL_MAX 1024U

typedef struct StateTrail {
        uint8_t (*digests)[SHA256_SIZE]; /* of canonical texts; NULL: none was handed on */
        uint64_t n;             /* were handed on; the newest stands at (n - 1) % STATE_TRAIL_MAX */
} StateTrail;

void state_trail_done(StateTrail *trail);

/** state_trail_add() - a value is handed on. Return: 0; -ENOMEM. */
int state_trail_add(StateTrail *trail, JsonSlice value) _must_check_;

/** state_trail_has() - whether an equal value was. @value: checked by json_scan(). Return: 1; 0; -ENOMEM. */
int state_trail_has(const StateTrail *trail, JsonSlice value) _must_check_;
