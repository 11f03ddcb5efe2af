/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "engine/new-users.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "engine/engine-internal.h"

/* One that was put, and that the store may not see yet. In the table in the order of their tickets. */
struct NewUser {
        char id[UUID_TEXT_MAX];
        uint64_t ticket;
        bool lost; /* there was no memory to put it into the table */
        UT_hash_handle hh;
};

static void forget(Engine *engine, NewUser *user)
{
        HASH_DEL(engine->new_users, user);
        free(user);
}

static void forget_committed(Engine *engine)
{
        while (engine->new_users && engine->new_users->ticket <= engine->committed_ticket)
                forget(engine, engine->new_users);
}

int user_is_known(Engine *engine, const char *id)
{
        NewUser *user;

        HASH_FIND_STR(engine->new_users, id, user);
        return user ? 1 : store_user_exists(engine->store, id);
}

/* How many the store does not see: a commit is there before it is told of. */
static int count_unseen(Engine *engine, size_t *ret)
{
        size_t n = 0;

        for (NewUser *user = engine->new_users; user; user = user->hh.next) {
                int r = store_user_exists(engine->store, user->id);

                if (r < 0)
                        return r;
                n += r == 0;
        }
        *ret = n;
        return 0;
}

int users_have_room(Engine *engine, size_t n)
{
        unsigned max = engine->settings->max_users;
        uint64_t n_stored;
        size_t n_unseen;
        int r;

        forget_committed(engine);
        n_unseen = HASH_COUNT(engine->new_users);
        r = store_count_users(engine->store, &n_stored);
        if (r >= 0 && n_stored + n_unseen + n > max)
                r = count_unseen(engine, &n_unseen);
        if (r < 0)
                return r;
        return max == UINT_MAX || n_stored + n_unseen + n <= max ? 0 : -E2BIG;
}

int user_make_known(Engine *engine, const char *id, usec_t now_usec)
{
        NewUser *user;
        int r;

        r = user_is_known(engine, id);
        if (r != 0)
                return MIN(r, 0);
        forget_committed(engine);
        r = store_put_user(engine->store, id, now_usec);
        if (r < 0)
                return r;
        user = calloc(1, sizeof(NewUser));
        if (!user)
                return -ENOMEM;
        (void) memcpy(user->id, id, MIN(strlen(id), sizeof(user->id) - 1));
        user->ticket = store_ticket(engine->store);
        HASH_ADD_STR(engine->new_users, id, user);
        if (!user->lost)
                return 0;
        free(user);
        return -ENOMEM;
}

void new_users_done(Engine *engine)
{
        NewUser *user, *next;

        HASH_ITER(hh, engine->new_users, user, next)
                forget(engine, user);
}
