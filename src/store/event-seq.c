/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Which events are kept: the sequence numbers from which a reader may go on. */

#include "store/store-private.h"

int store_first_seq(Store *store, uint64_t *ret)
{
        static const char sql[] = "SELECT ifnull((SELECT min(seq) FROM events),"
                                  " (SELECT value + 1 FROM meta WHERE name = 'last_seq'))";
        _cleanup_query_ Query query = query_begin(store->reader, sql);
        int r;

        r = query_step(&query);
        if (r < 0)
                return r;
        *ret = query_get_uint(&query);
        return query_error(&query);
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

int store_first_seq_since(Store *store, usec_t since_usec, uint64_t *ret)
{
        static const char sql[] = "SELECT seq, time_usec FROM events WHERE seq >= ? ORDER BY seq LIMIT 1";
        _cleanup_query_ Query query = query_begin(store->reader, sql);
        uint64_t low, high = store->last_seq + 1, seq;
        usec_t usec;
        int r;

        r = store_first_seq(store, &low);
        /* Halving: all below @low are too old, @high and above are not. */
        while (r >= 0 && low < high) {
                uint64_t middle = low + (high - low) / 2;

                r = find_from(&query, middle, &seq, &usec);
                if (r > 0 && seq < high && usec < since_usec)
                        low = seq + 1;
                else
                        high = middle;
        }
        if (r < 0)
                return r;
        r = find_from(&query, low, &seq, &usec);
        if (r < 0)
                return r;
        *ret = r > 0 ? seq : low;
        return 0;
}
