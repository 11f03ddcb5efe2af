/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Addresses that guess keys. */

#include "http/peer.h"
#include "http/quiet-log.h"
#include "http/token-bucket.h"

typedef struct Failures Failures;

/* @max: addresses that are kept. Return: 0; -ENOMEM. */
int failures_new(unsigned max, unsigned per_minute, Failures **ret) _must_check_;
Failures *failures_free(Failures *failures);

/* Whether the address has guessed too much. */
bool failures_are_many(Failures *failures, const Peer *peer, usec_t now_usec);

/* What is known of an address that guesses. */
typedef struct Guesses {
        TokenBucket bucket;
        QuietLog log;
} Guesses;

/* Counts one. Return: what is known of the address; NULL: no memory. */
Guesses *failures_add(Failures *failures, const Peer *peer, usec_t now_usec);

/* NULL: it has not guessed. */
Guesses *failures_find(Failures *failures, const Peer *peer);
