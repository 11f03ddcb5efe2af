/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* API keys in the history: what is put is what is loaded, and the schema takes nothing else. */

#include "unit/expect.h"

#include <sqlite3.h>
#include <stdio.h>

#include "unit/store-fixture.h"

static void put_key(StoreFixture *f, const char *name, const char *user_id, unsigned scopes, uint8_t first_byte)
{
        ApiKey key = {
                .name = (char *) name,
                .hash = { first_byte, 0, 0xff },
                .scopes = scopes,
                .user_id = (char *) user_id,
                .created_usec = A_TIME + first_byte,
                .created_by = (char *) "uid:1000",
        };

        expect_ok(store_put_api_key(f->store, &key));
}

static void expect_key(const ApiKey *key, const char *name, const char *user_id, unsigned scopes, uint8_t first_byte,
                       usec_t last_used_usec)
{
        const uint8_t hash[SHA256_SIZE] = { first_byte, 0, 0xff };

        assert_string_equal(key->name, name);
        assert_texts_equal(key->user_id, user_id);
        assert_int_equal(key->scopes, scopes);
        assert_memory_equal(key->hash, hash, sizeof(hash));
        assert_int_equal(key->created_usec, A_TIME + first_byte);
        assert_string_equal(key->created_by, "uid:1000");
        assert_int_equal(key->last_used_usec, last_used_usec);
}

static void test_put_and_load(void **state)
{
        StoreFixture *f = *state;
        ApiKey *keys;
        size_t n;

        put_key(f, "page", USER_1, API_SCOPE_BIT(API_SCOPE_READ), 2);
        put_key(f, "admin", NULL, API_SCOPE_BIT(API_SCOPE_WRITE) | API_SCOPE_BIT(API_SCOPE_ADMIN), 1);
        put_key(f, "zoo", USER_1, API_SCOPE_BIT(API_SCOPE_ADMIN), 3);
        expect_ok(store_put_api_key_use(f->store, "page", A_TIME + 77));
        store_fixture_commit(f);
        expect_ok(store_load_api_keys(f->store, &keys, &n));
        assert_int_equal(n, 3);
        expect_key(&keys[0], "admin", NULL, 6, 1, 0);
        expect_key(&keys[1], "page", USER_1, 1, 2, A_TIME + 77);
        expect_key(&keys[2], "zoo", USER_1, 4, 3, 0);
        api_keys_free(keys, n);
        expect_errno(store_user_exists(f->store, USER_1), 1);
        assert_int_equal(store_fixture_sql(f->path, "SELECT count(*) FROM users"), 1);
}

static void test_delete(void **state)
{
        StoreFixture *f = *state;
        ApiKey *keys;
        size_t n;

        put_key(f, "a", NULL, 1, 1);
        put_key(f, "b", NULL, 1, 2);
        expect_ok(store_delete_api_key(f->store, "a"));
        expect_ok(store_delete_api_key(f->store, "no such"));
        expect_ok(store_put_api_key_use(f->store, "a", A_TIME));
        put_key(f, "a", NULL, 2, 3);
        store_fixture_commit(f);
        expect_ok(store_load_api_keys(f->store, &keys, &n));
        assert_int_equal(n, 2);
        expect_key(&keys[0], "a", NULL, 2, 3, 0);
        expect_key(&keys[1], "b", NULL, 1, 2, 0);
        api_keys_free(keys, n);
}

static void test_none(void **state)
{
        StoreFixture *f = *state;
        ApiKey *keys;
        size_t n = 1;

        expect_ok(store_load_api_keys(f->store, &keys, &n));
        assert_int_equal(n, 0);
        api_keys_free(keys, n);
}

/* What the engine never does: the whole commit fails. */
static void test_schema_refuses(void **state)
{
        StoreFixture *f = *state;

        put_key(f, "a", NULL, 1, 1);
        store_fixture_commit(f);
        put_key(f, "a", NULL, 1, 2); /* the name again */
        store_fixture_await_failure(f, 1);
        store_fixture_await_recovery(f, 1);
        put_key(f, "b", NULL, 1, 1); /* the hash again */
        store_fixture_await_failure(f, 2);
        store_fixture_await_recovery(f, 2);
        put_key(f, "b", NULL, 0, 2); /* good for nothing */
        store_fixture_await_failure(f, 3);
        store_fixture_await_recovery(f, 3);
        assert_int_equal(store_fixture_sql(f->path, "SELECT count(*) FROM api_keys"), 1);
}

/* Somebody else's hand in the file. */
static void test_hash_of_another_length(void **state)
{
        StoreFixture *f = *state;
        sqlite3 *db;

        assert_int_equal(sqlite3_open(f->path, &db), SQLITE_OK);
        assert_int_equal(sqlite3_exec(db,
                                      "PRAGMA ignore_check_constraints = 1; INSERT INTO api_keys VALUES (1, 'a', "
                                      "x'00', "
                                      "NULL, 1, 0, 0, 1, NULL, NULL)",
                                      NULL, NULL, NULL),
                         SQLITE_OK);
        (void) sqlite3_close(db);
        expect_errno(store_load_api_keys(f->store, &(ApiKey *){ NULL }, &(size_t){ 0 }), -EUCLEAN);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                STORE_TEST(test_put_and_load),
                STORE_TEST(test_delete),
                STORE_TEST(test_none),
                STORE_TEST(test_schema_refuses),
                STORE_TEST(test_hash_of_another_length),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
