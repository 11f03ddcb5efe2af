/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "http/token-bucket.h"

#include <limits.h>
#include <math.h>

/* Sums of small fractions are never quite whole. */
#define ROUNDING 1e-6

static void reckon(TokenBucket *bucket, unsigned per_minute, usec_t now_usec)
{
        if (now_usec > bucket->at_usec) {
                double filled = (double) (now_usec - bucket->at_usec) * per_minute / (double) USEC_PER_MINUTE;

                bucket->used = fmax(0, bucket->used - filled);
        }
        bucket->at_usec = now_usec;
}

bool token_bucket_has(TokenBucket *bucket, unsigned per_minute, usec_t now_usec)
{
        if (per_minute == UINT_MAX)
                return true;
        reckon(bucket, per_minute, now_usec);
        return bucket->used + 1 <= per_minute + ROUNDING;
}

bool token_bucket_take(TokenBucket *bucket, unsigned per_minute, usec_t now_usec)
{
        if (!token_bucket_has(bucket, per_minute, now_usec))
                return false;
        if (per_minute != UINT_MAX)
                bucket->used++;
        return true;
}

unsigned token_bucket_left(TokenBucket *bucket, unsigned per_minute, usec_t now_usec)
{
        reckon(bucket, per_minute, now_usec);
        return (unsigned) fmax(0, floor(per_minute - bucket->used + ROUNDING));
}

static unsigned seconds_until(const TokenBucket *bucket, unsigned per_minute, double used)
{
        double sec = (bucket->used - used) * 60 / per_minute;

        return (unsigned) fmax(0, ceil(sec - ROUNDING));
}

unsigned token_bucket_next_sec(TokenBucket *bucket, unsigned per_minute, usec_t now_usec)
{
        reckon(bucket, per_minute, now_usec);
        return seconds_until(bucket, per_minute, per_minute - 1.0);
}

unsigned token_bucket_full_sec(TokenBucket *bucket, unsigned per_minute, usec_t now_usec)
{
        reckon(bucket, per_minute, now_usec);
        return seconds_until(bucket, per_minute, 0);
}
