/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Calls that wait, taker by taker (a sender, a user): each has a share, all together have an end, and when that is
 * reached the taker with the most gives way to one with fewer. Takers stand in a line, first come, first served. What
 * is waited for is the owner's business. Nothing here depends on how many wait. */

#include <stdbool.h>
#include <systemd/sd-bus.h>
#include <uthash.h>

#include "base/macros.h"

#define TURNS_SHARE_MAX 128U /* of one taker, whatever the owner of the line allows */

struct Turns;
struct TurnTaker;

/* To be part of what waits; zeroed it does not. */
typedef struct Turn {
        struct TurnTaker *taker;
        struct Turn *prev, *next;
} Turn;

typedef struct TurnTaker {
        struct Turns *turns;
        char *name;
        Turn *first; /* the others follow, as they came */
        unsigned n;
        bool begun;        /* it has left the line: what its calls wait for is under way */
        sd_bus_slot *slot; /* the owner's, of what is under way; goes with the taker */
        bool lost;         /* there was no memory to put it into the table */
        UT_hash_handle hh;
        struct TurnTaker *line_prev, *line_next;
        struct TurnTaker *rank_prev, *rank_next;
} TurnTaker;

typedef struct Turns {
        void *userdata; /* the owner's */
        unsigned share, max;
        unsigned n, n_begun; /* calls; takers */
        TurnTaker *takers;
        TurnTaker *line;
        TurnTaker *ranks[TURNS_SHARE_MAX + 1]; /* the takers with so many calls */
} Turns;

/**
 * turns_add() - a call waits from now on, after all others of its taker
 * @ret_displaced: the call that had to give way, which waits no longer: its owner refuses it; NULL: none had to
 *
 * Return: 0; -ENOBUFS (the share is taken, or no taker has more than one call above this one's); -ENOMEM.
 */
int turns_add(Turns *turns, const char *name, Turn *turn, Turn **ret_displaced) _must_check_;

/* It waits no longer; one that does not wait is left alone. The taker of the last one goes, too. */
void turn_leave(Turn *turn);

/* The first in line, who has begun from now on; NULL: nobody waits. */
TurnTaker *turns_begin(Turns *turns);

/* Back to the end of the line. */
void turn_taker_again(TurnTaker *taker);

/* All calls of @taker, which wait no longer, in a list as they came; the taker goes. */
Turn *turn_taker_end(TurnTaker *taker);
