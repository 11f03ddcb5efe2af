/* SPDX-License-Identifier: LGPL-2.1-or-later */

#define uthash_nonfatal_oom(element) ((element)->lost = true)
#include "bus/turns.h"

#include <stdlib.h>
#include <utlist.h>

#include "base/string-util.h"

static void set_count(TurnTaker *taker, unsigned n)
{
        Turns *turns = taker->turns;

        if (taker->n > 0)
                DL_DELETE2(turns->ranks[taker->n], taker, rank_prev, rank_next);
        turns->n += n - taker->n;
        taker->n = n;
        if (n > 0)
                DL_APPEND2(turns->ranks[n], taker, rank_prev, rank_next);
}

static void leave_line(TurnTaker *taker)
{
        if (taker->begun)
                taker->turns->n_begun--;
        else
                DL_DELETE2(taker->turns->line, taker, line_prev, line_next);
}

static void taker_free(TurnTaker *taker)
{
        sd_bus_slot_unref(taker->slot);
        free(taker->name);
        free(taker);
}

static void taker_remove(TurnTaker *taker)
{
        set_count(taker, 0);
        leave_line(taker);
        HASH_DEL(taker->turns->takers, taker);
        taker_free(taker);
}

static TurnTaker *taker_new(Turns *turns, const char *name)
{
        TurnTaker *taker = calloc(1, sizeof(*taker));

        if (!taker)
                return NULL;
        taker->turns = turns;
        taker->name = strdup(name);
        if (taker->name)
                HASH_ADD_KEYPTR(hh, turns->takers, taker->name, strlen(taker->name), taker);
        if (!taker->name || taker->lost) {
                taker_free(taker);
                return NULL;
        }
        DL_APPEND2(turns->line, taker, line_prev, line_next);
        return taker;
}

/* Where the whole is full: the newest call of who has the most, unless that is fair already. */
static int displace(Turns *turns, unsigned n_own, Turn **ret_displaced)
{
        unsigned most = turns->share;
        Turn *newest;

        while (most > 0 && !turns->ranks[most])
                most--;
        if (most <= n_own + 1)
                return -ENOBUFS;
        newest = turns->ranks[most]->first->prev;
        turn_leave(newest);
        *ret_displaced = newest;
        return 0;
}

int turns_add(Turns *turns, const char *name, Turn *turn, Turn **ret_displaced)
{
        Turn *displaced = NULL;
        TurnTaker *taker;

        HASH_FIND_STR(turns->takers, name, taker);
        if (taker && taker->n >= turns->share)
                return -ENOBUFS;
        if (!taker)
                taker = taker_new(turns, name);
        if (!taker)
                return -ENOMEM;
        if (turns->n >= turns->max && displace(turns, taker->n, &displaced) < 0) {
                if (taker->n == 0)
                        taker_remove(taker);
                return -ENOBUFS;
        }
        DL_APPEND(taker->first, turn);
        turn->taker = taker;
        set_count(taker, taker->n + 1);
        *ret_displaced = displaced;
        return 0;
}

void turn_leave(Turn *turn)
{
        TurnTaker *taker = turn->taker;

        if (!taker)
                return;
        DL_DELETE(taker->first, turn);
        turn->taker = NULL;
        if (taker->first)
                set_count(taker, taker->n - 1);
        else
                taker_remove(taker);
}

TurnTaker *turns_begin(Turns *turns)
{
        TurnTaker *taker = turns->line;

        if (!taker)
                return NULL;
        DL_DELETE2(turns->line, taker, line_prev, line_next);
        taker->begun = true;
        turns->n_begun++;
        return taker;
}

void turn_taker_again(TurnTaker *taker)
{
        assert(taker->begun);
        leave_line(taker);
        taker->begun = false;
        DL_APPEND2(taker->turns->line, taker, line_prev, line_next);
}

Turn *turn_taker_end(TurnTaker *taker)
{
        Turn *first = taker->first, *turn;

        DL_FOREACH(first, turn)
                turn->taker = NULL;
        taker_remove(taker);
        return first;
}
