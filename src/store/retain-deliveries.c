/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Retention of what is sent out: messages of webhooks, and attempts of destinations. */

#include "store/retain-step.h"

#include "base/time-util.h"

/* A message goes, and with it its way to each endpoint that has not been told of it. */
static int count_lost(Step *step, int64_t message)
{
        static const char sql[] = "SELECT count(*) FROM webhook_deliveries"
                                  " WHERE message = ? AND state IN ('waiting', 'pending', 'held')";
        _cleanup_query_ Query query = query_begin(step->db, sql);
        int r;

        query_bind_int(&query, message);
        r = query_step(&query);
        if (r > 0)
                step->n_lost += query_get_uint(&query);
        return MIN(r, 0);
}

/* From the oldest on, so that keys have no gaps and their number is the newest less the oldest. */
int retain_webhook_messages(Step *step)
{
        static const char sql[] = "SELECT key, created_usec, (SELECT max(key) FROM webhook_messages)"
                                  " FROM webhook_messages ORDER BY key LIMIT ?";
        static const char delete_sql[] = "DELETE FROM webhook_messages WHERE key = ?";
        const RetentionPolicy *policy = step->policy;
        usec_t max_age_usec = policy->webhook_messages_max_age_usec;
        _cleanup_query_ Query query = query_begin(step->db, sql);
        int r = 0;

        query_bind_uint(&query, step->budget);
        while (step->budget > 0 && (r = query_step(&query)) > 0) {
                int64_t key = query_get_int(&query);
                uint64_t created_usec = query_get_uint(&query);
                int64_t n = query_get_int(&query) - key + 1;
                bool old = max_age_usec > 0 && created_usec < usec_sub(step->now_usec, max_age_usec);

                if (!old && (policy->webhook_messages_max == 0 || n <= (int64_t) policy->webhook_messages_max))
                        return 1;
                r = count_lost(step, key);
                if (r >= 0)
                        r = retain_delete_row(step, delete_sql, key);
                if (r < 0)
                        return r;
        }
        return r < 0 ? r : step->budget > 0;
}

/* As old as webhook messages may get. */
int retain_record_attempts(Step *step)
{
        static const char sql[] = "SELECT key, started_usec FROM record_attempts ORDER BY key LIMIT ?";
        static const char delete_sql[] = "DELETE FROM record_attempts WHERE key = ?";
        usec_t max_age_usec = step->policy->webhook_messages_max_age_usec;
        _cleanup_query_ Query query = query_begin(step->db, sql);
        int r = 0;

        query_bind_uint(&query, step->budget);
        while (step->budget > 0 && (r = query_step(&query)) > 0) {
                int64_t key = query_get_int(&query);

                if (max_age_usec == 0 || query_get_uint(&query) >= usec_sub(step->now_usec, max_age_usec))
                        return 1;
                r = retain_delete_row(step, delete_sql, key);
                if (r < 0)
                        return r;
        }
        return r < 0 ? r : step->budget > 0;
}
