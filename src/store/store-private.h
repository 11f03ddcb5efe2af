/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the files of the store share, and nobody else. */

#include "store/place.h"
#include "store/query.h"
#include "store/store.h"
#include "store/writer.h"

/* Of a run whose write is in the same turn, once that write is applied. @user: 0 for none: keys begin at 1. */
typedef struct RunKeys {
        int64_t row;
        int64_t user;
} RunKeys;

struct Store {
        sd_event *event;
        StoreCallbacks callbacks;
        void *userdata;

        int lock_fd; /* the database file, for its lock; closed last, because that drops SQLite's own locks */
        Place place;
        Db *reader;
        Writer *writer;
        Changes *changes; /* what the writer has committed, for other processes */
        int event_fd;
        sd_event_source *news_source;
        sd_event_source *place_sources[3]; /* the database, its log and its index */
        sd_event_source *turn_source; /* hands the turn's writes to the writer */

        Write *turn_first, *turn_last;
        struct RunWrite *turn_runs; /* by id: those of the turn that may still take a run's later state */
        uint64_t ticket;    /* last given */
        uint64_t handed;    /* last that the writer has */
        uint64_t committed; /* last announced, or dropped */
        uint64_t last_seq;
        uint64_t history;
        uint64_t young_seq;      /* the last answer of store_first_seq_since() */
        usec_t young_since_usec; /* to this question */
        bool failed;        /* told so, and not yet told of the recovery */
        bool abandoned;     /* by the owner */
        bool retain_more;
        bool is_new;
};

/* A zeroed write of a noun, whose structure begins with a Write. NULL when out of memory. */
#define store_write_new(structure, write_type)                                                                       \
        ({                                                                                                           \
                structure *_write = calloc(1, sizeof(structure));                                                    \
                if (_write)                                                                                          \
                        _write->write.type = (write_type);                                                           \
                _write;                                                                                              \
        })

/* Return: 0; -EROFS; -ENOBUFS. Asked before the work of copying is done. */
int store_may_put(const Store *store) _must_check_;

/* Queues a write, which is taken over in any case. Return: 0; negative errno. */
int store_put(Store *store, Write *write) _must_check_;

/* The keys that the writes before the next one will have found, of a run that is written in this turn; NULL: of none.
 * Borrowed from the turn. */
const RunKeys *store_turn_run_keys(Store *store, const char *run_id);

/* No write of the turn takes a later state any more. */
void store_turn_runs_clear(Store *store);

/* Frees a write that has not been queued. */
static inline void store_write_free(Write *write)
{
        write_list_free(write);
}

/* A growing array of @size bytes each; @p_n elements are used. Return: 0; -ENOMEM. */
int store_array_grow(void **p_array, size_t *p_allocated, size_t n, size_t size) _must_check_;
void store_array_reverse(void *array, size_t n, size_t size);

/* In one transaction, for run-store.c: rows that a run refers to. Return: 0; negative errno. */
int user_ensure(Db *db, const char *id, usec_t first_seen_usec) _must_check_;
int connector_ensure(Db *db, const char *name, const char *id, usec_t first_seen_usec) _must_check_;
int accounts_write(Db *db, const char *run_id, const Account *accounts, size_t n) _must_check_;

/* For retain.c: a user whom nothing names any more goes, with at most @limit rows. Return: 0; negative errno. */
int user_forget_idle(Db *db, int64_t key, size_t limit, size_t *ret_n) _must_check_;
const char *user_idle_sql(void) _const_; /* static; of a key: whether nothing names the user */

const char *message_list_sql(bool of_endpoint, bool is_one, bool oldest_first) _const_; /* static; message-list.c */
const char *message_deliver_sql(bool to_one) _const_;                                   /* message-store.c */

/* For run-list.c and run-store.c. */
int accounts_read(Db *db, Run *run) _must_check_;
int64_t store_find_key(Db *db, const char *sql, const char *text) _must_check_; /* 0: none; negative errno */
