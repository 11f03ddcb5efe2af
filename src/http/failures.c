/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "http/failures.h"

#include <stdlib.h>
#include <string.h>

#define uthash_nonfatal_oom(element) ((element)->lost = true)
#include <uthash.h>

typedef struct Guesser {
        unsigned char key[sizeof(((Peer *) 0)->key)];
        Guesses guesses;
        bool lost;
        UT_hash_handle hh;
} Guesser;

struct Failures {
        Guesser *guessers; /* in the order of their first guess */
        unsigned max;
        unsigned per_minute;
};

int failures_new(unsigned max, unsigned per_minute, Failures **ret)
{
        Failures *f = calloc(1, sizeof(*f));

        if (!f)
                return -ENOMEM;
        f->max = max;
        f->per_minute = per_minute;
        *ret = f;
        return 0;
}

static void forget(Failures *f, Guesser *guesser)
{
        HASH_DELETE(hh, f->guessers, guesser);
        free(guesser);
}

Failures *failures_free(Failures *f)
{
        if (!f)
                return NULL;
        while (f->guessers)
                forget(f, f->guessers);
        free(f);
        return NULL;
}

static Guesser *find(Failures *f, const Peer *peer)
{
        Guesser *guesser;

        HASH_FIND(hh, f->guessers, peer->key, sizeof(peer->key), guesser);
        return guesser;
}

bool failures_are_many(Failures *f, const Peer *peer, usec_t now_usec)
{
        Guesser *guesser = find(f, peer);

        return guesser && !token_bucket_has(&guesser->guesses.bucket, f->per_minute, now_usec);
}

Guesses *failures_add(Failures *f, const Peer *peer, usec_t now_usec)
{
        Guesser *guesser = find(f, peer);

        if (!guesser) {
                if (HASH_COUNT(f->guessers) >= f->max)
                        forget(f, f->guessers);
                guesser = calloc(1, sizeof(*guesser));
                if (!guesser)
                        return NULL;
                memcpy(guesser->key, peer->key, sizeof(guesser->key));
                HASH_ADD(hh, f->guessers, key, sizeof(guesser->key), guesser);
                if (guesser->lost) {
                        free(guesser);
                        return NULL;
                }
        }
        (void) token_bucket_take(&guesser->guesses.bucket, f->per_minute, now_usec);
        return &guesser->guesses;
}

Guesses *failures_find(Failures *f, const Peer *peer)
{
        Guesser *guesser = find(f, peer);

        return guesser ? &guesser->guesses : NULL;
}
