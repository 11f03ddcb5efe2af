/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Lists of webhook messages, of all or of those that an endpoint was told of. */

#include <stdlib.h>

#include "store/store-private.h"
#include "store/webhook-store.h"

/* ?1 before, ?2 after, ?3 limit, ?4 the message, ?5 the endpoint */
#define MESSAGE_COLUMNS "m.key, m.id, m.type, m.user_id, m.run_id, m.created_usec, m.body"
#define IN_RANGE        " WHERE m.key < ?1 AND m.key > ?2"

#define ALL_SQL(order)                                                                                               \
        "SELECT " MESSAGE_COLUMNS ", NULL, NULL FROM webhook_messages AS m" IN_RANGE " ORDER BY m.key " order        \
        " LIMIT ?3"
#define ENDPOINT_SQL(order)                                                                                          \
        "SELECT " MESSAGE_COLUMNS ", d.state, d.due_usec"                                                            \
        " FROM webhook_deliveries AS d INDEXED BY webhook_deliveries_by_endpoint"                                    \
        " JOIN webhook_messages AS m ON m.key = d.message" IN_RANGE                                                  \
        " AND d.endpoint = (SELECT key FROM webhook_endpoints WHERE id = ?5) AND d.message < ?1 AND d.message > ?2"  \
        " ORDER BY d.message " order " LIMIT ?3"
#define BY_ID " WHERE m.id = ?4 AND +m.key < ?1 AND +m.key > ?2 LIMIT ?3"
#define ONE_SQL "SELECT " MESSAGE_COLUMNS ", NULL, NULL FROM webhook_messages AS m" BY_ID
#define ONE_OF_ENDPOINT_SQL                                                                                          \
        "SELECT " MESSAGE_COLUMNS ", d.state, d.due_usec"                                                            \
        " FROM webhook_messages AS m CROSS JOIN webhook_deliveries AS d"                                             \
        " ON d.message = m.key AND d.endpoint = (SELECT key FROM webhook_endpoints WHERE id = ?5)" BY_ID

/* [endpoint][oldest first] */
static const char *const list_sql[2][2] = {
        { ALL_SQL("DESC"), ALL_SQL("ASC") },
        { ENDPOINT_SQL("DESC"), ENDPOINT_SQL("ASC") },
};
static const char *const one_sql[2] = { ONE_SQL, ONE_OF_ENDPOINT_SQL };

const char *message_list_sql(bool of_endpoint, bool is_one, bool oldest_first)
{
        return is_one ? one_sql[of_endpoint] : list_sql[of_endpoint][oldest_first];
}

void stored_webhook_messages_free(StoredWebhookMessage *messages, size_t n)
{
        for (size_t i = 0; i < n; i++)
                webhook_message_done(&messages[i].message);
        free(messages);
}

static void read_message(Query *query, StoredWebhookMessage *stored)
{
        WebhookMessage *message = &stored->message;

        stored->key = query_get_int(query);
        message->id = query_get_text(query);
        message->type = webhook_type_from_string(query_get_borrowed(query));
        message->user_id = query_get_text(query);
        message->run_id = query_get_text(query);
        message->created_usec = query_get_uint(query);
        message->body = query_get_text(query);
        stored->state = delivery_state_from_string(query_get_borrowed(query));
        stored->due_usec = query_get_uint(query);
}

static int read_messages(Query *query, StoredWebhookMessage **messages, size_t *n)
{
        size_t allocated = 0;
        int r;

        while ((r = query_step(query)) > 0) {
                r = store_array_grow((void **) messages, &allocated, *n, sizeof(StoredWebhookMessage));
                if (r < 0)
                        return r;
                (*messages)[*n] = (StoredWebhookMessage) {};
                read_message(query, &(*messages)[(*n)++]);
                if (query_error(query) < 0)
                        return query_error(query);
        }
        return r;
}

int store_list_webhook_messages(Store *store, const WebhookListFilter *filter, StoredWebhookMessage **ret,
                                size_t *ret_n, bool *ret_more)
{
        bool oldest_first = filter->after > 0;
        StoredWebhookMessage *messages = NULL;
        _cleanup_query_ Query query = {};
        size_t n = 0;
        int r;

        if (filter->limit == 0 || filter->limit > WEBHOOK_PAGE_MAX)
                return -EINVAL;
        query = query_begin(store->reader, message_list_sql(filter->endpoint_id, filter->message_id, oldest_first));
        query_bind_int(&query, filter->before > 0 ? filter->before : INT64_MAX);
        query_bind_int(&query, filter->after);
        query_bind_uint(&query, filter->limit + 1);
        if (filter->message_id || filter->endpoint_id)
                query_bind_text(&query, filter->message_id);
        if (filter->endpoint_id)
                query_bind_text(&query, filter->endpoint_id);
        r = read_messages(&query, &messages, &n);
        if (r < 0) {
                stored_webhook_messages_free(messages, n);
                return r;
        }
        *ret_more = n > filter->limit;
        if (*ret_more)
                webhook_message_done(&messages[--n].message);
        if (oldest_first)
                store_array_reverse(messages, n, sizeof(StoredWebhookMessage));
        *ret = messages;
        *ret_n = n;
        return 0;
}
