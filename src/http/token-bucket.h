/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* So much a minute: a bucket that holds a minute's worth, and is filled steadily. Pure; the clock is passed in. */

#include "base/macros.h"

typedef struct TokenBucket {
        double used;    /* of the minute's worth */
        usec_t at_usec; /* when that was reckoned */
} TokenBucket;

/* Takes one, if there is one. @per_minute: UINT_MAX: there always is. */
bool token_bucket_take(TokenBucket *bucket, unsigned per_minute, usec_t now_usec);

/* Whether there is one. */
bool token_bucket_has(TokenBucket *bucket, unsigned per_minute, usec_t now_usec);

/* Whole ones that are left. */
unsigned token_bucket_left(TokenBucket *bucket, unsigned per_minute, usec_t now_usec);

/* How long until there is one, or until it is full; both rounded up to seconds. */
unsigned token_bucket_next_sec(TokenBucket *bucket, unsigned per_minute, usec_t now_usec);
unsigned token_bucket_full_sec(TokenBucket *bucket, unsigned per_minute, usec_t now_usec);
