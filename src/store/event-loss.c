/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Which events are no longer to be had: for readers that resume, who are told of those that they would have been
 * given. For each user, provider and connector (as the event's metadata name it, as readers know it) the last one that
 * was deleted is remembered. What is deleted is retain.c's business. */

#include "store/event-loss.h"

#include "store/store-private.h"

#define MARKS(where) "SELECT max(seq) FROM lost_events WHERE " where

static const char *const marks_sql[2][2][2] = {
        /* Of everybody: whatever was deleted. */
        [0][0][0] = "SELECT value FROM meta WHERE name = 'last_seq'",
        [0][0][1] = MARKS("connector = ?"),
        [0][1][0] = MARKS("provider = ?"),
        [0][1][1] = MARKS("provider = ? AND connector = ?"),
        [1][0][0] = MARKS("user = ?"),
        [1][0][1] = MARKS("user = ? AND connector = ?"),
        [1][1][0] = MARKS("user = ? AND provider = ?"),
        [1][1][1] = MARKS("user = ? AND provider = ? AND connector = ?"),
};

static int read_mark(Db *db, int64_t user, const EventFilter *filter, uint64_t *ret)
{
        static const char floor_sql[] = "SELECT value FROM meta WHERE name = 'lost_floor'";
        _cleanup_query_ Query floor = query_begin(db, floor_sql),
                              mark = query_begin(db, marks_sql[user > 0][!!filter->provider][!!filter->connector]);
        uint64_t lost;
        int r;

        r = query_step(&floor);
        if (r < 0)
                return r;
        lost = query_get_uint(&floor);
        if (user > 0)
                query_bind_int(&mark, user);
        if (filter->provider)
                query_bind_text(&mark, filter->provider);
        if (filter->connector)
                query_bind_text(&mark, filter->connector);
        r = query_step(&mark);
        if (r < 0)
                return r;
        lost = MAX(lost, query_get_uint(&mark));
        *ret = lost;
        return query_error(&mark) < 0 ? query_error(&mark) : query_error(&floor);
}

/* The newest of @user's between two, of them all, and of those that a provider and connector have. */
#define BETWEEN(from)                                                                                              \
        "SELECT count(*), min(e.seq), max(CASE WHEN (?3 IS NULL OR runs.provider = ?3) AND (?4 IS NULL OR"         \
        "  CASE WHEN json_valid(e.json) THEN json_extract(e.json, '$.metadata.connector') END = ?4)"               \
        "  THEN e.seq END)"                                                                                        \
        " FROM (SELECT seq, run, json FROM events " from " seq > ?1 AND seq < ?2 ORDER BY seq DESC LIMIT ?5) AS e" \
        " CROSS JOIN runs ON runs.row = e.run"

/* Those that are past their age, and deleted any moment. */
static int read_expired(Db *db, int64_t user, const EventFilter *filter, uint64_t first_seq, uint64_t *ret)
{
        static const char *const sql[2] = {
                BETWEEN("NOT INDEXED WHERE"),
                BETWEEN("INDEXED BY events_by_user WHERE user = ?6 AND"),
        };
        _cleanup_query_ Query query = query_begin(db, sql[user > 0]);
        uint64_t n, lowest, fits;
        int r;

        query_bind_uint(&query, filter->after_seq);
        query_bind_uint(&query, first_seq);
        query_bind_text(&query, filter->provider);
        query_bind_text(&query, filter->connector);
        query_bind_uint(&query, EVENTS_EXAMINED_MAX);
        if (user > 0)
                query_bind_int(&query, user);
        r = query_step(&query);
        if (r < 0)
                return r;
        n = query_get_uint(&query);
        lowest = query_get_uint(&query);
        fits = query_get_uint(&query);
        *ret = fits == 0 && n == EVENTS_EXAMINED_MAX ? lowest : fits;
        return query_error(&query);
}

int store_lost_seq(Store *store, const EventFilter *filter, uint64_t first_seq, uint64_t *ret)
{
        static const char user_sql[] = "SELECT key FROM users WHERE id = ?";
        int64_t user = filter->user_id ? store_find_key(store->reader, user_sql, filter->user_id) : 0;
        uint64_t lost = 0, expired = 0;
        int r = user < 0 ? (int) user : 0;

        /* Whoever is not known never had an event. */
        if (r >= 0 && (user > 0 || !filter->user_id)) {
                r = read_mark(store->reader, user, filter, &lost);
                if (r >= 0 && first_seq > filter->after_seq + 1)
                        r = read_expired(store->reader, user, filter, first_seq, &expired);
        }
        if (r < 0)
                return r;
        *ret = MAX(lost, expired);
        return 0;
}

/* ---- The writer's thread */

static int write_number(Db *db, const char *sql, int64_t seq)
{
        _cleanup_query_ Query query = query_begin(db, sql);

        query_bind_int(&query, seq);
        return query_run(&query);
}

int event_loss_remember(Db *db, int64_t seq)
{
        /* Numbers are never given again, whatever is deleted. */
        static const char number_sql[] = "UPDATE meta SET value = ?1 WHERE name = 'last_seq' AND value < ?1";
        static const char loss_sql[] =
                        "INSERT INTO lost_events SELECT ifnull(events.user, 0), runs.provider,"
                        "  CASE WHEN json_valid(json) THEN ifnull(json_extract(json, '$.metadata.connector'), '')"
                        "  ELSE '' END, seq FROM events JOIN runs ON runs.row = events.run WHERE seq = ?"
                        " ON CONFLICT DO UPDATE SET seq = excluded.seq WHERE excluded.seq > lost_events.seq";
        int r;

        r = write_number(db, number_sql, seq);
        return r < 0 ? r : write_number(db, loss_sql, seq);
}

/* Of a row: user, provider, connector, seq. */
static int forget(Db *db, Query *row)
{
        static const char floor_sql[] = "UPDATE meta SET value = ?1 WHERE name = 'lost_floor' AND value < ?1";
        static const char delete_sql[] = "DELETE FROM lost_events WHERE user = ? AND provider = ? AND connector = ?";
        _cleanup_query_ Query query = query_begin(db, delete_sql);
        int r;

        query_bind_int(&query, query_get_int(row));
        query_bind_text(&query, query_get_borrowed(row));
        query_bind_text(&query, query_get_borrowed(row));
        r = query_run(&query);
        return r < 0 ? r : write_number(db, floor_sql, query_get_int(row));
}

/* The rows that @list has. */
static int forget_each(Db *db, Query *list, size_t *ret_n)
{
        size_t n = 0;
        int r;

        while ((r = query_step(list)) > 0) {
                r = forget(db, list);
                if (r < 0)
                        return r;
                n++;
        }
        if (r < 0)
                return r;
        *ret_n = n;
        return 0;
}

int event_loss_trim(Db *db, size_t limit, size_t *ret_n)
{
        static const char count_sql[] = "SELECT count(*) FROM lost_events";
        static const char list_sql[] = "SELECT user, provider, connector, seq FROM lost_events ORDER BY seq LIMIT ?";
        _cleanup_query_ Query count = query_begin(db, count_sql), list = query_begin(db, list_sql);
        size_t n_rows;
        int r;

        r = query_step(&count);
        if (r < 0)
                return r;
        n_rows = (size_t) query_get_uint(&count);
        if (n_rows <= LOST_EVENTS_MAX) {
                *ret_n = 0;
                return 0;
        }
        query_bind_uint(&list, MIN(n_rows - LOST_EVENTS_MAX, limit));
        return forget_each(db, &list, ret_n);
}

int event_loss_forget_user(Db *db, int64_t user, size_t limit, size_t *ret_n)
{
        static const char sql[] = "SELECT user, provider, connector, seq FROM lost_events WHERE user = ?"
                                  " ORDER BY seq LIMIT ?";
        _cleanup_query_ Query list = query_begin(db, sql);

        query_bind_int(&list, user);
        query_bind_uint(&list, limit);
        return forget_each(db, &list, ret_n);
}
