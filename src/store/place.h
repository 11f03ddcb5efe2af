/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Whether the files that are open are still those at their paths. SQLite does not ask, and goes on writing to a
 * database or a log that somebody has removed or replaced: what it calls committed is then gone with the last
 * descriptor. Private to the store; what comes of it is the writer's. */

#include <sys/types.h>

#include "base/macros.h"

typedef struct Place {
        int fd; /* of the database; borrowed */
        char *database, *log, *index; /* paths */
        dev_t database_dev, log_dev, index_dev;
        ino_t database_ino, log_ino, index_ino;
} Place;

/**
 * place_init() - remember which files these are
 * @path: of the database
 * @fd:   of the database, open; borrowed until place_done()
 *
 * To be called when log and index are there. @place is zeroed.
 * Return: 0; -ESTALE (they are not there, or the database not any more); -ENOMEM; errno of stat(2).
 */
int place_init(Place *place, const char *path, int fd) _must_check_;
void place_done(Place *place);

/* Context: any thread. Return: 0; -EIDRM: there is no database; -ESTALE: there is another one, or log or index is
 * another one or gone; errno of stat(2): nobody knows. */
int place_check(const Place *place) _must_check_;

/* Whether the index alone is not ours any more. By another one others share the log without our knowing: they may have
 * moved it, and written it anew. */
bool place_is_divided(const Place *place);

/* Whether the database has a name somewhere. */
bool place_is_linked(const Place *place);

/* Where the database is not at its path any more, takes the log from there, which would be taken for that of the file
 * that is, or comes. What it has must be in the database by now. */
void place_leave(const Place *place);
