/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "store/query.h"

#include <stdlib.h>
#include <string.h>

#include "model/run.h"

Query query_begin(Db *db, const char *sql)
{
        Query query = { .db = db };

        query.error = db_statement(db, sql, &query.stmt);
        return query;
}

int query_number(Db *db, const char *sql, uint64_t *ret)
{
        _cleanup_query_ Query query = query_begin(db, sql);
        int r;

        r = query_step(&query);
        if (r < 0)
                return r;
        *ret = query_get_uint(&query);
        return query_error(&query);
}

void query_again(Query *query)
{
        if (!query->stmt)
                return;
        (void) sqlite3_reset(query->stmt);
        query->n_bound = query->n_read = 0;
}

void query_end(Query *query)
{
        if (!query->stmt)
                return;
        (void) sqlite3_reset(query->stmt);
        (void) sqlite3_clear_bindings(query->stmt);
        query->stmt = NULL;
}

static void check_bind(Query *query, int code)
{
        if (code != SQLITE_OK && query->error == 0)
                query->error = db_error(query->db, code);
}

void query_bind_text(Query *query, const char *value)
{
        query->n_bound++;
        if (query->error < 0)
                return;
        if (value)
                check_bind(query, sqlite3_bind_text(query->stmt, query->n_bound, value, -1, SQLITE_STATIC));
        else
                check_bind(query, sqlite3_bind_null(query->stmt, query->n_bound));
}

void query_bind_int(Query *query, int64_t value)
{
        query->n_bound++;
        if (query->error == 0)
                check_bind(query, sqlite3_bind_int64(query->stmt, query->n_bound, value));
}

void query_bind_uint(Query *query, uint64_t value)
{
        query_bind_int(query, (int64_t) MIN(value, (uint64_t) INT64_MAX));
}

void query_bind_null(Query *query)
{
        query_bind_text(query, NULL);
}

void query_bind_blob(Query *query, const void *value, size_t size)
{
        query->n_bound++;
        if (query->error == 0)
                check_bind(query, sqlite3_bind_blob(query->stmt, query->n_bound, value, (int) size, SQLITE_STATIC));
}

static void bind_double(Query *query, double value)
{
        query->n_bound++;
        if (query->error == 0)
                check_bind(query, sqlite3_bind_double(query->stmt, query->n_bound, value));
}

int query_step(Query *query)
{
        int code;

        if (query->error < 0)
                return query->error;
        query->n_read = 0;
        code = sqlite3_step(query->stmt);
        if (code == SQLITE_ROW)
                return 1;
        if (code == SQLITE_DONE)
                return 0;
        query->error = db_error(query->db, code);
        return query->error;
}

int query_run(Query *query)
{
        int r;

        r = query_step(query);
        if (r < 0)
                return r;
        return sqlite3_changes(query->db->sqlite);
}

int64_t query_get_int(Query *query)
{
        return sqlite3_column_int64(query->stmt, query->n_read++);
}

uint64_t query_get_uint(Query *query)
{
        int64_t value = query_get_int(query);

        if (value < 0 && query->error == 0)
                query->error = -EUCLEAN;
        return value < 0 ? 0 : (uint64_t) value;
}

void query_get_blob(Query *query, void *ret, size_t size)
{
        int column = query->n_read++;
        const void *bytes = sqlite3_column_blob(query->stmt, column);

        if (bytes && (size_t) sqlite3_column_bytes(query->stmt, column) == size)
                (void) memcpy(ret, bytes, size);
        else if (query->error == 0)
                query->error = -EUCLEAN;
}

const char *query_get_borrowed(Query *query)
{
        int column = query->n_read++;
        const char *text;

        if (sqlite3_column_type(query->stmt, column) == SQLITE_NULL)
                return NULL;
        text = (const char *) sqlite3_column_text(query->stmt, column);
        if (!text && query->error == 0)
                query->error = -ENOMEM;
        return text;
}

char *query_get_text(Query *query)
{
        const char *text = query_get_borrowed(query);
        char *copy;

        if (!text)
                return NULL;
        copy = strdup(text);
        if (!copy && query->error == 0)
                query->error = -ENOMEM;
        return copy;
}

#define MEMBER(type, object, column) (*(type *) (void *) ((char *) (object) + (column)->offset))

static void bind_column(Query *query, const Column *column, void *object)
{
        uint64_t number;

        switch (column->kind) {
        case COLUMN_TEXT:
                query_bind_text(query, MEMBER(char *, object, column));
                break;
        case COLUMN_UINT:
                query_bind_uint(query, MEMBER(uint64_t, object, column));
                break;
        case COLUMN_COUNT:
        case COLUMN_USEC:
                number = MEMBER(uint64_t, object, column);
                if (number == (column->kind == COLUMN_COUNT ? COUNT_UNKNOWN : 0))
                        query_bind_null(query);
                else
                        query_bind_uint(query, number);
                break;
        case COLUMN_UNSIGNED:
                query_bind_uint(query, MEMBER(unsigned, object, column));
                break;
        case COLUMN_INT:
                query_bind_int(query, MEMBER(int, object, column));
                break;
        case COLUMN_BOOL:
                query_bind_int(query, MEMBER(bool, object, column));
                break;
        case COLUMN_PROGRESS:
                if (MEMBER(double, object, column) < 0)
                        query_bind_null(query);
                else
                        bind_double(query, MEMBER(double, object, column));
                break;
        case COLUMN_WORD:
                query_bind_text(query, column->to_string(MEMBER(int, object, column)));
                break;
        }
}

void query_bind_columns(Query *query, const Column *columns, size_t n, const void *object)
{
        for (size_t i = 0; i < n; i++)
                bind_column(query, &columns[i], (void *) object);
}

static int get_word(Query *query, const Column *column)
{
        const char *word = query_get_borrowed(query);
        int value = column->from_string(word);

        if (word && value < 0 && query->error == 0)
                query->error = -EUCLEAN;
        return value;
}

static bool is_null(const Query *query)
{
        return sqlite3_column_type(query->stmt, query->n_read) == SQLITE_NULL;
}

static void get_column(Query *query, const Column *column, bool borrow, void *object)
{
        bool null;

        switch (column->kind) {
        case COLUMN_TEXT:
                MEMBER(char *, object, column) = borrow ? (char *) query_get_borrowed(query) : query_get_text(query);
                break;
        case COLUMN_UINT:
        case COLUMN_USEC:
                MEMBER(uint64_t, object, column) = query_get_uint(query);
                break;
        case COLUMN_COUNT:
                null = is_null(query);
                MEMBER(uint64_t, object, column) = query_get_uint(query);
                if (null)
                        MEMBER(uint64_t, object, column) = COUNT_UNKNOWN;
                break;
        case COLUMN_UNSIGNED:
                MEMBER(unsigned, object, column) = (unsigned) query_get_uint(query);
                break;
        case COLUMN_INT:
                MEMBER(int, object, column) = (int) query_get_int(query);
                break;
        case COLUMN_BOOL:
                MEMBER(bool, object, column) = query_get_int(query) != 0;
                break;
        case COLUMN_PROGRESS:
                MEMBER(double, object, column) =
                                is_null(query) ? PROGRESS_UNKNOWN : sqlite3_column_double(query->stmt, query->n_read);
                query->n_read++;
                break;
        case COLUMN_WORD:
                MEMBER(int, object, column) = get_word(query, column);
                break;
        }
}

void query_get_columns(Query *query, const Column *columns, size_t n, void *object)
{
        for (size_t i = 0; i < n; i++)
                get_column(query, &columns[i], false, object);
}

void query_borrow_columns(Query *query, const Column *columns, size_t n, void *object)
{
        for (size_t i = 0; i < n; i++)
                get_column(query, &columns[i], true, object);
}
