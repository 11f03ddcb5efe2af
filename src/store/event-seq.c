/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Which events are kept: the sequence numbers from which a reader may go on. */

#include "store/store-private.h"

int store_first_seq(Store *store, uint64_t *ret)
{
        static const char sql[] = "SELECT ifnull((SELECT min(seq) FROM events),"
                                  " (SELECT value + 1 FROM meta WHERE name = 'last_seq'))";

        return query_number(store->reader, sql, ret);
}

/* The first event at @seq or above. Return: 1; 0 (none); negative errno. */
static int find_from(Query *query, uint64_t seq, uint64_t *ret_seq, usec_t *ret_usec)
{
        int r;

        query_again(query);
        query_bind_uint(query, seq);
        r = query_step(query);
        if (r <= 0)
                return r;
        *ret_seq = query_get_uint(query);
        *ret_usec = query_get_uint(query);
        return query_error(query) < 0 ? query_error(query) : 1;
}

/* Before all is halved so many are looked at, one behind the other: few have become too old since the last time. */
#define STEPS_BEFORE_HALVING 8U

/* All below @low are too old. Return: 1: @ret is the first that is not, or what comes after all; 0: not found, and
 * @low is higher; negative errno. */
static int step(Query *query, usec_t since_usec, uint64_t *low, uint64_t *ret)
{
        for (unsigned i = 0; i < STEPS_BEFORE_HALVING; i++) {
                uint64_t seq = *low;
                usec_t usec = USEC_INFINITY;
                int r;

                r = find_from(query, *low, &seq, &usec);
                if (r < 0)
                        return r;
                if (usec >= since_usec) {
                        *ret = seq;
                        return 1;
                }
                *low = seq + 1;
        }
        return 0;
}

/* All below @low are too old, @high and above are not. */
static int halve(Query *query, usec_t since_usec, uint64_t low, uint64_t high, uint64_t *ret)
{
        uint64_t seq;
        usec_t usec;
        int r;

        while (low < high) {
                uint64_t middle = low + (high - low) / 2;

                r = find_from(query, middle, &seq, &usec);
                if (r < 0)
                        return r;
                if (r > 0 && seq < high && usec < since_usec)
                        low = seq + 1;
                else
                        high = middle;
        }
        r = find_from(query, low, &seq, &usec);
        if (r < 0)
                return r;
        *ret = r > 0 ? seq : low;
        return 0;
}

int store_first_seq_since(Store *store, usec_t since_usec, uint64_t *ret)
{
        static const char sql[] = "SELECT seq, time_usec FROM events WHERE seq >= ? ORDER BY seq LIMIT 1";
        _cleanup_query_ Query query = query_begin(store->reader, sql);
        uint64_t low, seq = 0;
        int r;

        r = store_first_seq(store, &low);
        if (r < 0)
                return r;
        if (since_usec >= store->young_since_usec)
                low = MAX(low, store->young_seq);
        r = step(&query, since_usec, &low, &seq);
        if (r == 0)
                r = halve(&query, since_usec, low, store->last_seq + 1, &seq);
        if (r < 0)
                return r;
        store->young_seq = seq;
        store->young_since_usec = since_usec;
        *ret = seq;
        return 0;
}

int store_has_given_seq(Store *store, uint64_t seq)
{
        static const char sql[] = "SELECT ?1 <= (SELECT value FROM meta WHERE name = 'last_seq')"
                                  " OR EXISTS (SELECT 1 FROM events WHERE seq IN (?1, ?1 + 1))";
        _cleanup_query_ Query query = query_begin(store->reader, sql);
        bool given;
        int r;

        query_bind_uint(&query, seq);
        r = query_step(&query);
        if (r < 0)
                return r;
        given = query_get_uint(&query) > 0;
        return query_error(&query) < 0 ? query_error(&query) : given;
}
