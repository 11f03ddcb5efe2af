/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* One use of a prepared statement: parameters are bound and columns read in the order in which the SQL has them, and
 * an error on the way is remembered until it is asked for. Also tables of columns that carry a struct's members to and
 * fro. */

#include "store/db.h"

typedef struct Query {
        Db *db;
        sqlite3_stmt *stmt;
        int n_bound;
        int n_read;
        int error; /* first failure, negative errno; 0 */
} Query;

/* @sql is static, see db_statement(). A failure is remembered. Closed by query_end(), which _cleanup_query_ does. */
Query query_begin(Db *db, const char *sql);
void query_end(Query *query);
#define _cleanup_query_ _cleanup_(query_end)

/* Text and blobs are borrowed until query_end() or the next query_again(). */
void query_bind_text(Query *query, const char *value); /* NULL: NULL */
void query_bind_int(Query *query, int64_t value);
void query_bind_uint(Query *query, uint64_t value);    /* more than INT64_MAX becomes that */
void query_bind_null(Query *query);
void query_bind_blob(Query *query, const void *value, size_t size);

/* Return: 1 there is a row; 0 no more; negative errno, also a remembered one. */
int query_step(Query *query) _must_check_;

/* Runs a statement that returns no rows. Return: how many rows it changed; negative errno. */
int query_run(Query *query) _must_check_;

/* The number that a statement without parameters gives, in one row (0: in none); @sql is static. Return: 0;
 * negative errno. */
int query_number(Db *db, const char *sql, uint64_t *ret) _must_check_;

/* Reset for other parameters. */
void query_again(Query *query);

int64_t query_get_int(Query *query);
uint64_t query_get_uint(Query *query);
char *query_get_text(Query *query);             /* a copy, freed by the caller; NULL for NULL */
void query_get_blob(Query *query, void *ret, size_t size); /* exactly so many bytes, else -EUCLEAN is remembered */
const char *query_get_borrowed(Query *query);   /* until the next step */

/* A failure of a getter: -ENOMEM, or -EUCLEAN for a value that cannot be. */
static inline int query_error(const Query *query)
{
        return query->error;
}

typedef enum ColumnKind {
        COLUMN_TEXT,     /* char *; NULL is NULL */
        COLUMN_UINT,     /* uint64_t */
        COLUMN_COUNT,    /* uint64_t; COUNT_UNKNOWN is NULL */
        COLUMN_USEC,     /* usec_t; 0 is NULL */
        COLUMN_UNSIGNED, /* unsigned */
        COLUMN_INT,      /* int */
        COLUMN_BOOL,     /* bool */
        COLUMN_PROGRESS, /* double; negative is NULL */
        COLUMN_WORD,     /* an enum; out of range is NULL */
} ColumnKind;

typedef struct Column {
        size_t offset; /* of the member */
        ColumnKind kind;
        const char *(*to_string)(int value);
        int (*from_string)(const char *word);
} Column;

void query_bind_columns(Query *query, const Column *columns, size_t n, const void *object);

/* Reads into @object, whose text members are NULL before. */
void query_get_columns(Query *query, const Column *columns, size_t n, void *object);

/* The same with texts of the row itself, which are there until the next step, and not to be freed. */
void query_borrow_columns(Query *query, const Column *columns, size_t n, void *object);

/* A noun lists its columns once, as X macros of P(name, member, KIND) for plain values and W(name, member, table) for
 * words; the rest is made from the list, so that SQL and struct cannot go apart. */
#define COLUMN_PLAIN(name, member, column_kind) \
        { .offset = offsetof(COLUMNS_OF, member), .kind = COLUMN_##column_kind },
#define COLUMN_WORDS(name, member, table)                                                                            \
        { .offset = offsetof(COLUMNS_OF, member),                                                                    \
          .kind = COLUMN_WORD,                                                                                       \
          .to_string = table##_to_string,                                                                            \
          .from_string = table##_from_string },
#define SQL_COMMA_NAME(name, ...)  ", " #name
#define SQL_COMMA_SET(name, ...)   ", " #name " = ?"
#define SQL_COMMA_VALUE(name, ...) ", ?"
