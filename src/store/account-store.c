/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The accounts of runs, in the order in which they were first seen. */

#include <stdlib.h>
#include <string.h>

#include "base/string-util.h"
#include "store/store-private.h"

#define ACCOUNT_COLUMNS(P, W)                                                                                        \
        W(status, status, account_status)                                                                            \
        P(discovered, counts.discovered, UINT)                                                                       \
        P(added, counts.added, UINT)                                                                                 \
        P(updated, counts.updated, UINT)                                                                             \
        P(deduped, counts.deduped, UINT)                                                                             \
        P(error, error, TEXT)                                                                                        \
        W(category, category, attention_category)                                                                    \
        P(started_usec, started_usec, USEC)                                                                          \
        P(finished_usec, finished_usec, USEC)

#define COLUMNS_OF Account
static const Column columns[] = { ACCOUNT_COLUMNS(COLUMN_PLAIN, COLUMN_WORDS) };
#undef COLUMNS_OF

#define SQL_COMMA_EXCLUDED(column, ...) ", " #column " = excluded." #column

#define INSERT_ACCOUNT                                                                                               \
        "INSERT INTO accounts (run, name" ACCOUNT_COLUMNS(SQL_COMMA_NAME, SQL_COMMA_NAME) ")"                        \
        " VALUES (?, ?" ACCOUNT_COLUMNS(SQL_COMMA_VALUE, SQL_COMMA_VALUE) ")"                                        \
        " ON CONFLICT (run, name) DO UPDATE SET "

typedef struct AccountWrite {
        Write write;
        char *run_id;
        Account account;
        bool counts_only;
} AccountWrite;

static int write_accounts(Db *db, const char *sql, const char *run_id, const Account *accounts, size_t n)
{
        static const char find_sql[] = "SELECT row FROM runs WHERE id = ?";
        _cleanup_query_ Query query = {};
        int64_t run;
        int r = 0;

        if (n == 0)
                return 0;
        run = store_find_key(db, find_sql, run_id);
        if (run <= 0)
                return run < 0 ? (int) run : -ENOENT;
        query = query_begin(db, sql);
        for (size_t i = 0; i < n && r >= 0; i++) {
                query_again(&query);
                query_bind_int(&query, run);
                query_bind_text(&query, accounts[i].name);
                query_bind_columns(&query, columns, ELEMENTSOF(columns), &accounts[i]);
                r = query_run(&query);
        }
        return MIN(r, 0);
}

int accounts_write(Db *db, const char *run_id, const Account *accounts, size_t n)
{
        static const char sql[] =
                INSERT_ACCOUNT "status = status" ACCOUNT_COLUMNS(SQL_COMMA_EXCLUDED, SQL_COMMA_EXCLUDED);

        return write_accounts(db, sql, run_id, accounts, n);
}

static int apply_account(Write *write, Db *db, Retention *retention)
{
        static const char correct_sql[] =
                INSERT_ACCOUNT "status = CASE status WHEN 'running' THEN excluded.status ELSE status END,"
                " discovered = excluded.discovered, added = excluded.added, updated = excluded.updated,"
                " deduped = excluded.deduped, finished_usec = ifnull(finished_usec, excluded.finished_usec)";
        AccountWrite *a = container_of(write, AccountWrite, write);

        if (a->counts_only)
                return write_accounts(db, correct_sql, a->run_id, &a->account, 1);
        return accounts_write(db, a->run_id, &a->account, 1);
}

static void free_account(Write *write)
{
        AccountWrite *a = container_of(write, AccountWrite, write);

        free(a->run_id);
        account_done(&a->account);
}

static const WriteType account_write = { apply_account, free_account, .keeps_runs = true };

static int put_account(Store *store, const char *run_id, const Account *account, bool counts_only)
{
        AccountWrite *a;
        int r;

        r = store_may_put(store);
        if (r < 0)
                return r;
        a = store_write_new(AccountWrite, &account_write);
        if (!a)
                return -ENOMEM;
        a->counts_only = counts_only;
        r = MIN(free_and_strdup(&a->run_id, run_id), 0);
        if (r >= 0)
                r = account_copy(account, &a->account);
        if (r < 0) {
                store_write_free(&a->write);
                return r;
        }
        return store_put(store, &a->write);
}

int store_put_account(Store *store, const char *run_id, const Account *account)
{
        return put_account(store, run_id, account, false);
}

int store_correct_account(Store *store, const char *run_id, const Account *account)
{
        return put_account(store, run_id, account, true);
}

int accounts_read(Db *db, Run *run)
{
        static const char sql[] = "SELECT name" ACCOUNT_COLUMNS(SQL_COMMA_NAME, SQL_COMMA_NAME)
                                  " FROM accounts WHERE run = ? ORDER BY key";
        _cleanup_query_ Query query = query_begin(db, sql);
        size_t allocated = 0;
        int r;

        query_bind_int(&query, run->row);
        while ((r = query_step(&query)) > 0) {
                Account *account;

                r = store_array_grow((void **) &run->accounts, &allocated, run->n_accounts, sizeof(Account));
                if (r < 0)
                        return r;
                account = &run->accounts[run->n_accounts++];
                *account = (Account) {};
                account->name = query_get_text(&query);
                query_get_columns(&query, columns, ELEMENTSOF(columns), account);
                if (query_error(&query) < 0)
                        return query_error(&query);
        }
        return r;
}

int store_read_accounts(Store *store, Run *run)
{
        return accounts_read(store->reader, run);
}
