/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Answers by what was asked, the oldest of too many forgotten. Whether one still holds is answers' business. */

#include <systemd/sd-bus.h>

#include "http/request.h"

/* Of those that were given last; the oldest go. */
#define ANSWERS_MAX       1024U
#define ANSWERS_MAX_BYTES (16 * MIB)

typedef struct Kept Kept;
struct Kept {
        sd_bus_message *message; /* a reference */
        const char *text;        /* in it */
        size_t size;
        char tag[ETAG_TEXT_MAX];
        usec_t from_usec, until_usec; /* CLOCK_REALTIME: it holds in between */
};

typedef struct KeptAnswers {
        struct KeptEntry *entries; /* in the order in which they came */
        size_t n_bytes;
} KeptAnswers;

void kept_drop_all(KeptAnswers *all);

/* In the place of what was kept for @key. @kept: copied, and a reference to its message taken. What there is no memory
 * for is not kept. */
void kept_put(KeptAnswers *all, const char *key, const Kept *kept);

/* NULL: there is none. Borrowed until the next change. */
const Kept *kept_find(const KeptAnswers *all, const char *key);
