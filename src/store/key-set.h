/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Keys of a table that retention is to look at: those that were named, or, where there was no memory for one and at
 * first, all of the table in turn. */

#include "store/query.h"

typedef struct Key Key;

typedef struct KeySet {
        Key *keys;
        bool all;
        int64_t position; /* of the round through all of them */
} KeySet;

/* Forgets the keys: all are to be looked at. */
void key_set_clear(KeySet *set);
void key_set_add(KeySet *set, int64_t value);

/* The key to look at; in a round through all, the next one of the table. Return: 1; 0 none is left; negative errno. */
int key_set_peek(KeySet *set, Db *db, const char *next_sql, int64_t *ret) _must_check_;

/* It has been looked at. */
void key_set_pop(KeySet *set, int64_t value);
