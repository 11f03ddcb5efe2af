/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "worker/outbox.h"

#include <stdlib.h>

#include "base/json-writer.h"
#include "base/string-util.h"
#include "model/webhook.h"

void outbox_delivery_done(OutboxDelivery *delivery)
{
        free(delivery->id);
        free(delivery->body);
        *delivery = (OutboxDelivery){};
}

/* Runs one of the statements whose only parameter is a delivery. */
static int run_for(ItemDb *db, ItemStatement number, int64_t delivery)
{
        sqlite3_stmt *statement;
        int r;

        r = item_db_statement(db, number, &statement);
        if (r < 0)
                return r;
        (void) sqlite3_bind_int64(statement, 1, delivery);
        return item_db_run(db, statement);
}

/* The number that a statement gives, which has been bound. Return: 1; 0 (no row); negative errno. */
static int read_number(sqlite3_stmt *statement, int64_t *ret)
{
        int code = sqlite3_step(statement), r;

        if (code == SQLITE_ROW)
                *ret = sqlite3_column_int64(statement, 0);
        r = item_db_errno(code);
        (void) sqlite3_reset(statement);
        return r < 0 ? r : code == SQLITE_ROW;
}

int outbox_add(ItemDb *db, int64_t item, int64_t stream_id, bool is_new)
{
        sqlite3_stmt *statement;
        int r;

        r = item_db_statement(db, OUTBOX_ADD, &statement);
        if (r < 0)
                return r;
        (void) sqlite3_bind_int64(statement, 1, item);
        (void) sqlite3_bind_int64(statement, 2, stream_id);
        (void) sqlite3_bind_int(statement, 3, is_new);
        r = item_db_run(db, statement);
        return r < 0 ? r : sqlite3_changes(db->sqlite) > 0;
}

int outbox_count(ItemDb *db, uint64_t *ret)
{
        sqlite3_stmt *statement;
        int64_t n = 0;
        int r;

        r = item_db_statement(db, OUTBOX_COUNT, &statement);
        if (r >= 0)
                r = read_number(statement, &n);
        if (r < 0)
                return r;
        *ret = (uint64_t) n;
        return 0;
}

/* ---- Requests */

typedef struct Chunk {
        int64_t stream_id;
        char *stream;
        Buffer new, updated;
        unsigned n_new, n_updated;
        int64_t last_seq;
} Chunk;

static void chunk_done(Chunk *chunk)
{
        free(chunk->stream);
        buffer_done(&chunk->new);
        buffer_done(&chunk->updated);
}

/* Return: 1; 0 (nothing waits); negative errno. */
static int find_stream(ItemDb *db, Chunk *chunk)
{
        sqlite3_stmt *statement;
        int r, code;

        r = item_db_statement(db, OUTBOX_STREAM, &statement);
        if (r < 0)
                return r;
        code = sqlite3_step(statement);
        if (code == SQLITE_ROW) {
                chunk->stream_id = sqlite3_column_int64(statement, 0);
                chunk->stream = item_db_text(statement, 1);
        }
        r = item_db_errno(code);
        (void) sqlite3_reset(statement);
        if (r < 0 || code != SQLITE_ROW)
                return r;
        return chunk->stream ? 1 : -ENOMEM;
}

static int fill(ItemDb *db, Chunk *chunk)
{
        sqlite3_stmt *statement;
        int r, code;

        r = item_db_statement(db, OUTBOX_WAITING, &statement);
        if (r < 0)
                return r;
        (void) sqlite3_bind_int64(statement, 1, chunk->stream_id);
        (void) sqlite3_bind_int64(statement, 2, OUTBOX_RECORDS_MAX);
        while ((code = sqlite3_step(statement)) == SQLITE_ROW) {
                bool is_new = sqlite3_column_int(statement, 1);
                const char *json = sqlite3_column_blob(statement, 2);
                size_t size = (size_t) sqlite3_column_bytes(statement, 2);
                Buffer *list = is_new ? &chunk->new : &chunk->updated;

                if (chunk->n_new + chunk->n_updated > 0 &&
                    chunk->new.size + chunk->updated.size + size > OUTBOX_BYTES_MAX)
                        break;
                if (list->size > 0)
                        buffer_append_char(list, ',');
                buffer_append(list, json, size);
                ++*(is_new ? &chunk->n_new : &chunk->n_updated);
                chunk->last_seq = sqlite3_column_int64(statement, 0);
        }
        r = item_db_errno(code);
        (void) sqlite3_reset(statement);
        return r;
}

static void write_list(JsonWriter *w, const char *key, const Buffer *items)
{
        json_open_array(w, key);
        if (items->size > 0)
                buffer_append(w->out, items->data, items->size);
        json_close_array(w);
}

static int write_body(const Chunk *chunk, const OutboxEnvelope *envelope, const char *id, char **ret)
{
        _cleanup_buffer_ Buffer body = {};
        JsonWriter w = JSON_WRITER_INIT(&body);

        if (chunk->new.failed || chunk->updated.failed)
                return -ENOMEM;
        json_open_object(&w, NULL);
        json_write_string(&w, "id", id);
        json_write_string(&w, "object", "event");
        json_write_string(&w, "type", envelope->type);
        json_write_string(&w, "api_version", OUTBOX_API_VERSION);
        json_write_uint(&w, "created", envelope->now_usec / USEC_PER_SEC);
        json_open_object(&w, "data");
        write_list(&w, "new", &chunk->new);
        write_list(&w, "updated", &chunk->updated);
        json_close_object(&w);
        json_open_object(&w, "metadata");
        json_write_string(&w, "sync_run_id", envelope->run_id);
        json_write_string(&w, "stream", chunk->stream);
        json_write_uint(&w, "new_count", chunk->n_new);
        json_write_uint(&w, "updated_count", chunk->n_updated);
        json_write_uint(&w, "chunk", envelope->chunk);
        json_close_object(&w);
        json_close_object(&w);
        return buffer_take(&body, ret);
}

static int add_delivery(ItemDb *db, const char *id, const char *body, int64_t *ret_key)
{
        sqlite3_stmt *statement;
        int r;

        r = item_db_statement(db, DELIVERY_ADD, &statement);
        if (r < 0)
                return r;
        (void) sqlite3_bind_text(statement, 1, id, -1, SQLITE_STATIC);
        (void) sqlite3_bind_text(statement, 2, body, -1, SQLITE_STATIC);
        r = read_number(statement, ret_key);
        return MIN(r, 0);
}

static int assign(ItemDb *db, const Chunk *chunk, int64_t delivery)
{
        sqlite3_stmt *statement;
        int r;

        r = item_db_statement(db, OUTBOX_ASSIGN, &statement);
        if (r < 0)
                return r;
        (void) sqlite3_bind_int64(statement, 1, delivery);
        (void) sqlite3_bind_int64(statement, 2, chunk->stream_id);
        (void) sqlite3_bind_int64(statement, 3, chunk->last_seq);
        return item_db_run(db, statement);
}

int outbox_freeze(ItemDb *db, const OutboxEnvelope *envelope)
{
        _cleanup_(chunk_done) Chunk chunk = {};
        _cleanup_free_ char *body = NULL;
        char id[WEBHOOK_ID_MAX];
        int64_t delivery = 0;
        int r;

        r = find_stream(db, &chunk);
        if (r <= 0)
                return r;
        r = fill(db, &chunk);
        if (r >= 0 && chunk.n_new + chunk.n_updated == 0)
                return 0;
        if (r >= 0)
                r = webhook_id_new("dlv_", envelope->now_usec, id);
        if (r >= 0)
                r = write_body(&chunk, envelope, id, &body);
        if (r >= 0)
                r = add_delivery(db, id, body, &delivery);
        if (r >= 0)
                r = assign(db, &chunk, delivery);
        return r < 0 ? r : (int) (chunk.n_new + chunk.n_updated);
}

int outbox_first(ItemDb *db, OutboxDelivery *ret)
{
        OutboxDelivery delivery = {};
        sqlite3_stmt *statement;
        int64_t n = 0;
        int r, code;

        r = item_db_statement(db, DELIVERY_FIRST, &statement);
        if (r < 0)
                return r;
        code = sqlite3_step(statement);
        if (code == SQLITE_ROW) {
                delivery.key = sqlite3_column_int64(statement, 0);
                delivery.id = item_db_text(statement, 1);
                delivery.body = item_db_text(statement, 2);
        }
        r = item_db_errno(code);
        (void) sqlite3_reset(statement);
        if (r < 0 || code != SQLITE_ROW)
                return r;
        r = delivery.id && delivery.body ? item_db_statement(db, OUTBOX_ASSIGNED, &statement) : -ENOMEM;
        if (r >= 0) {
                (void) sqlite3_bind_int64(statement, 1, delivery.key);
                r = read_number(statement, &n);
        }
        if (r < 0) {
                outbox_delivery_done(&delivery);
                return r;
        }
        delivery.n_records = (uint64_t) n;
        *ret = delivery;
        return 1;
}

int outbox_delivered(ItemDb *db, int64_t delivery)
{
        int r;

        r = run_for(db, OUTBOX_DROP, delivery);
        return r < 0 ? r : run_for(db, DELIVERY_DROP, delivery);
}

int outbox_return(ItemDb *db, int64_t delivery)
{
        static const ItemStatement steps[] = { OUTBOX_KEEP_NEW, OUTBOX_FORGET_TWICE, OUTBOX_RETURN, DELIVERY_DROP };
        int r = 0;

        for (size_t i = 0; r >= 0 && i < ELEMENTSOF(steps); i++)
                r = run_for(db, steps[i], delivery);
        return r;
}

/* ---- Attempts */

int outbox_note_attempt(ItemDb *db, const char *run_id, const DeliveryAttempt *attempt)
{
        _cleanup_buffer_ Buffer json = {};
        sqlite3_stmt *statement;
        int r;

        delivery_attempts_write(attempt, 1, &json);
        if (json.failed)
                return -ENOMEM;
        r = item_db_statement(db, ATTEMPT_ADD, &statement);
        if (r < 0)
                return r;
        (void) sqlite3_bind_text(statement, 1, run_id, -1, SQLITE_STATIC);
        /* A list of one: without its brackets */
        (void) sqlite3_bind_text(statement, 2, json.data + 1, (int) json.size - 2, SQLITE_STATIC);
        r = item_db_run(db, statement);
        return r < 0 ? r : run_for(db, ATTEMPT_TRIM, OUTBOX_ATTEMPTS_MAX);
}

/* Return: 1; 0; negative errno. */
static int find_untold_run(ItemDb *db, const char *run_id, char **ret)
{
        sqlite3_stmt *statement;
        int64_t found;
        int r, code;

        r = item_db_statement(db, ATTEMPT_TABLE, &statement);
        if (r >= 0)
                r = read_number(statement, &found);
        if (r <= 0)
                return r;
        r = item_db_statement(db, ATTEMPT_RUN, &statement);
        if (r < 0)
                return r;
        (void) sqlite3_bind_text(statement, 1, run_id, -1, SQLITE_STATIC);
        code = sqlite3_step(statement);
        if (code == SQLITE_ROW)
                *ret = item_db_text(statement, 0);
        r = item_db_errno(code);
        (void) sqlite3_reset(statement);
        if (r < 0 || code != SQLITE_ROW)
                return r;
        return *ret ? 1 : -ENOMEM;
}

int outbox_untold_attempts(ItemDb *db, const char *run_id, char **ret_run_id, char **ret_json, int64_t *ret_last)
{
        _cleanup_free_ char *untold = NULL;
        _cleanup_buffer_ Buffer json = {};
        sqlite3_stmt *statement;
        int r, code;

        r = find_untold_run(db, run_id, &untold);
        if (r <= 0)
                return r;
        r = item_db_statement(db, ATTEMPT_LIST, &statement);
        if (r < 0)
                return r;
        (void) sqlite3_bind_text(statement, 1, untold, -1, SQLITE_STATIC);
        (void) sqlite3_bind_int(statement, 2, DELIVERIES_REPORT_MAX);
        while ((code = sqlite3_step(statement)) == SQLITE_ROW) {
                const char *attempt = (const char *) sqlite3_column_text(statement, 1);

                if (!attempt)
                        break;
                buffer_append_char(&json, json.size == 0 ? '[' : ',');
                buffer_append_string(&json, attempt);
                *ret_last = sqlite3_column_int64(statement, 0);
        }
        r = code == SQLITE_ROW ? -ENOMEM : item_db_errno(code);
        (void) sqlite3_reset(statement);
        buffer_append_char(&json, ']');
        if (r >= 0)
                r = buffer_take(&json, ret_json);
        if (r < 0)
                return r;
        *ret_run_id = TAKE_PTR(untold);
        return 1;
}

int outbox_forget_attempts(ItemDb *db, const char *run_id, int64_t last)
{
        sqlite3_stmt *statement;
        int r;

        r = item_db_statement(db, ATTEMPT_DROP, &statement);
        if (r < 0)
                return r;
        (void) sqlite3_bind_text(statement, 1, run_id, -1, SQLITE_STATIC);
        (void) sqlite3_bind_int64(statement, 2, last);
        return item_db_run(db, statement);
}
