/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Addresses that guess keys. */

#include "http/peer.h"
#include "http/token-bucket.h"

typedef struct Failures Failures;

/* @max: addresses that are kept. Return: 0; -ENOMEM. */
int failures_new(unsigned max, unsigned per_minute, Failures **ret) _must_check_;
Failures *failures_free(Failures *failures);

/* Whether the address has guessed too much. */
bool failures_are_many(Failures *failures, const Peer *peer, usec_t now_usec);
void failures_add(Failures *failures, const Peer *peer, usec_t now_usec);
unsigned failures_retry_sec(Failures *failures, const Peer *peer, usec_t now_usec);
