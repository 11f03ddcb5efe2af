/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* API keys in the engine: what holds is what is committed, with a disk that fails; the time of the last use. */

#include "unit/expect.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>

#include "engine/api-keys.h"
#include "engine/engine-internal.h"
#include "unit/engine-fixture.h"
#include "unit/fault-vfs.h"

typedef struct KeyAnswer {
        unsigned n;
        int error;
        ApiKeyText key;
} KeyAnswer;

static void on_key(int error, const ApiKeyText *key, void *userdata)
{
        KeyAnswer *a = userdata;

        a->n++;
        a->error = error;
        assert_true((error >= 0) == (key != NULL));
        if (key)
                a->key = *key;
}

static int begin_add(EngineFixture *f, const char *name, KeyAnswer *a)
{
        const ApiKeyRequest request = { .name = name,
                                        .scopes = API_SCOPE_BIT(API_SCOPE_READ),
                                        .requested_by = "uid:0" };

        *a = (KeyAnswer) {};
        return engine_add_api_key(f->engine, &request, on_key, a);
}

static KeyAnswer add_key(EngineFixture *f, const char *name)
{
        KeyAnswer a;
        int r = begin_add(f, name, &a);

        if (r >= 0) {
                assert_int_equal(a.n, 0);
                fixture_run_until(f, a.n > 0);
                assert_int_equal(a.n, 1);
        } else
                a.error = r;
        return a;
}

static int revoke_key(EngineFixture *f, const char *name)
{
        Answer a = {};
        int r;

        r = engine_revoke_api_key(f->engine, name, "uid:0", on_answer, &a);
        if (r < 0)
                return r;
        fixture_run_until(f, a.n > 0);
        return a.error;
}

static int check_key(EngineFixture *f, const ApiKeyText *key)
{
        uint8_t hash[SHA256_SIZE];
        const ApiKey *found;

        expect_ok(api_key_hash(key->text, hash));
        return engine_check_api_key(f->engine, hash, &found);
}

static void expect_described(EngineFixture *f, const char *part, bool is_there)
{
        _cleanup_free_ char *json = NULL;

        expect_ok(engine_describe_api_keys(f->engine, &(ApiKeyFilter) {}, &json));
        assert_true((strstr(json, part) != NULL) == is_there);
}

/* Memory says what the disk says. */
static void expect_on_disk(EngineFixture *f)
{
        _cleanup_free_ char *json = NULL;
        int64_t n = 0;

        expect_ok(engine_describe_api_keys(f->engine, &(ApiKeyFilter) {}, &json));
        for (const char *p = json; (p = strstr(p, "\"name\"")); p++)
                n++;
        assert_int_equal(fixture_sql(f, "SELECT count(*) FROM api_keys"), n);
}

static void test_holds_from_its_commit_on(void **state)
{
        EngineFixture *f = *state;
        KeyAnswer a, b;

        fixture_open(f);
        expect_ok(begin_add(f, "page", &a));
        assert_false(engine_has_api_key(f->engine, "page"));
        expect_described(f, "page", false);
        expect_errno(begin_add(f, "page", &b), -EEXIST);
        expect_errno(engine_revoke_api_key(f->engine, "page", "uid:0", on_answer, NULL), -ENOKEY);
        fixture_run_until(f, a.n > 0);
        expect_ok(a.error);
        assert_true(engine_has_api_key(f->engine, "page"));
        expect_described(f, "\"name\":\"page\"", true);
        expect_described(f, a.key.text, false);
        expect_ok(check_key(f, &a.key));
        a.key.text[10] ^= 1;
        expect_errno(check_key(f, &a.key), -ENOKEY);
}

static void test_holds_until_its_end_is_committed(void **state)
{
        EngineFixture *f = *state;
        Answer first = {}, second = {};
        KeyAnswer a, again;

        fixture_open(f);
        a = add_key(f, "page");
        fixture_forget(f);
        expect_ok(engine_revoke_api_key(f->engine, "page", "uid:0", on_answer, &first));
        expect_ok(engine_revoke_api_key(f->engine, "page", "uid:0", on_answer, &second));
        expect_ok(check_key(f, &a.key));
        assert_true(engine_has_api_key(f->engine, "page"));
        expect_errno(begin_add(f, "page", &again), -EEXIST);
        assert_false(fixture_has(f->news, "key-"));
        fixture_run_until(f, first.n > 0);
        expect_ok(first.error);
        assert_int_equal(fixture_count(f->news, "key- page"), 1);
        fixture_settle(f);
        assert_true(second.n == 1 && second.error >= 0);
        assert_int_equal(fixture_count(f->news, "key- page"), 1);
        expect_errno(check_key(f, &a.key), -ENOKEY);
        assert_false(engine_has_api_key(f->engine, "page"));
        expect_errno(revoke_key(f, "page"), -ENOKEY);
        again = add_key(f, "page");
        expect_ok(check_key(f, &again.key));
        expect_errno(check_key(f, &a.key), -ENOKEY);
}

static void test_wrong_requests(void **state)
{
        EngineFixture *f = *state;
        ApiKeyRequest request = { .name = "no name", .scopes = 1, .requested_by = "uid:0" };

        fixture_open(f);
        expect_errno(engine_add_api_key(f->engine, &request, on_key, NULL), -EINVAL);
        request.name = "name";
        request.scopes = 0;
        expect_errno(engine_add_api_key(f->engine, &request, on_key, NULL), -EINVAL);
        request.scopes = 1;
        request.user_id = "me";
        expect_errno(engine_add_api_key(f->engine, &request, on_key, NULL), -EINVAL);
        expect_on_disk(f);
}

static void test_limit(void **state)
{
        EngineFixture *f = *state;
        KeyAnswer *answers = test_calloc(API_KEYS_MAX, sizeof(KeyAnswer)), more;
        char name[16];

        fixture_open(f);
        for (unsigned i = 0; i < API_KEYS_MAX; i++) {
                (void) snprintf(name, sizeof(name), "k%u", i);
                expect_ok(begin_add(f, name, &answers[i]));
        }
        expect_errno(begin_add(f, "more", &more), -E2BIG);
        fixture_settle(f);
        for (unsigned i = 0; i < API_KEYS_MAX; i++)
                assert_true(answers[i].n == 1 && answers[i].error >= 0);
        expect_errno(begin_add(f, "more", &more), -E2BIG);
        expect_ok(revoke_key(f, "k7"));
        expect_ok(add_key(f, "more").error);
        expect_errno(begin_add(f, "again", &more), -E2BIG);
        assert_int_equal(fixture_sql(f, "SELECT count(*) FROM api_keys"), API_KEYS_MAX);
        test_free(answers);
}

/* ---- Use */

/* Whoever tells of it does so seldom (API_KEY_TELL_USEC): what he tells between is not written. */
static void test_use_is_not_written_twice_shortly(void **state)
{
        static const char sql[] = "SELECT last_used_usec FROM api_keys";
        EngineFixture *f = *state;
        usec_t begin = (usec_t) 1780171200 * USEC_PER_SEC;
        uint64_t ticket;
        KeyAnswer a;

        fixture_open(f);
        fixture_stop_clock(begin);
        a = add_key(f, "page");
        assert_int_equal(fixture_sql(f, sql), 0);
        expect_ok(check_key(f, &a.key));
        fixture_settle(f);
        begin = (usec_t) fixture_sql(f, sql);
        assert_true(begin > 0);
        ticket = store_ticket(f->engine->store);
        for (int i = 0; i < 5; i++) {
                fixture_advance_clock(API_KEY_NOTE_USEC / 6);
                expect_ok(check_key(f, &a.key));
        }
        assert_int_equal(store_ticket(f->engine->store), ticket);
        fixture_advance_clock(API_KEY_NOTE_USEC / 4);
        expect_ok(check_key(f, &a.key));
        assert_int_equal(store_ticket(f->engine->store), ticket + 1);
        fixture_settle(f);
        assert_true((usec_t) fixture_sql(f, sql) >= begin + API_KEY_NOTE_USEC);
        /* A clock that is set back is followed. */
        fixture_set_clock(begin - USEC_PER_HOUR);
        expect_ok(check_key(f, &a.key));
        fixture_settle(f);
        assert_true((usec_t) fixture_sql(f, sql) < begin);
}

static void test_unknown_key_writes_nothing(void **state)
{
        EngineFixture *f = *state;
        ApiKeyText key;
        uint64_t ticket;

        fixture_open(f);
        (void) add_key(f, "page");
        ticket = store_ticket(f->engine->store);
        expect_ok(api_key_text_new(&key));
        expect_errno(check_key(f, &key), -ENOKEY);
        assert_int_equal(store_ticket(f->engine->store), ticket);
}

/* ---- The disk */

static void test_restart(void **state)
{
        EngineFixture *f = *state;
        KeyAnswer a, b, lost;

        fixture_open(f);
        a = add_key(f, "a");
        b = add_key(f, "b");
        expect_ok(revoke_key(f, "b"));
        expect_ok(begin_add(f, "lost", &lost));
        fixture_kill(f);
        assert_int_equal(lost.error, -ESHUTDOWN);
        fixture_open(f);
        expect_ok(check_key(f, &a.key));
        expect_errno(check_key(f, &b.key), -ENOKEY);
        assert_false(engine_has_api_key(f->engine, "lost"));
        expect_on_disk(f);
}

static void test_disk_is_full(void **state)
{
        EngineFixture *f = *state;
        KeyAnswer a;

        fixture_open(f);
        a = add_key(f, "page");
        fault_vfs_arm(1, SQLITE_FULL);
        assert_int_equal(add_key(f, "other").error, -EROFS);
        expect_errno(revoke_key(f, "page"), -EROFS);
        /* Clients are let in all the same, and nothing is noted. */
        expect_ok(check_key(f, &a.key));
        assert_false(engine_has_api_key(f->engine, "other"));
        (void) fault_vfs_disarm();
        fixture_run_until(f, f->engine->broken == 0);
        fixture_settle(f);
        expect_on_disk(f);
        assert_false(fixture_has(f->news, "key-"));
        expect_ok(add_key(f, "other").error);
        expect_ok(revoke_key(f, "page"));
        expect_on_disk(f);
}

static void test_revocation_that_fails(void **state)
{
        EngineFixture *f = *state;
        KeyAnswer a;

        fixture_open(f);
        a = add_key(f, "page");
        fault_vfs_arm(1, SQLITE_FULL);
        expect_errno(revoke_key(f, "page"), -EROFS);
        expect_ok(check_key(f, &a.key));
        (void) fault_vfs_disarm();
        fixture_run_until(f, f->engine->broken == 0);
        expect_ok(check_key(f, &a.key));
        expect_ok(revoke_key(f, "page"));
        expect_errno(check_key(f, &a.key), -ENOKEY);
        assert_int_equal(fixture_count(f->news, "key- page"), 1);
}

/* It was reported as failed and has reached the disk: told of when memory is read anew. */
static void test_revocation_that_failed_and_did_not(void **state)
{
        EngineFixture *f = *state;
        KeyAnswer a, b;

        fixture_open(f);
        a = add_key(f, "a");
        b = add_key(f, "b");
        fault_vfs_arm(1, SQLITE_FULL);
        expect_errno(revoke_key(f, "a"), -EROFS);
        (void) fault_vfs_disarm();
        (void) fixture_sql(f, "DELETE FROM api_keys WHERE name = 'a'");
        fixture_run_until(f, f->engine->broken == 0);
        assert_int_equal(fixture_count(f->news, "key- a"), 1);
        assert_int_equal(fixture_count(f->news, "key-"), 1);
        expect_errno(check_key(f, &a.key), -ENOKEY);
        expect_ok(check_key(f, &b.key));
}

/* Each write may be the one that fails: what was answered with success is so. */
static void test_each_write_may_fail(void **state)
{
        EngineFixture *f = *state;
        unsigned n_refused = 0;

        fixture_open(f);
        for (unsigned n = 1; n < 25; n++) {
                KeyAnswer a;
                int r;

                fault_vfs_arm(n, SQLITE_FULL);
                for (unsigned i = 0; i < 4; i++) {
                        while ((a = add_key(f, "page")).error == -EROFS) {
                                n_refused++;
                                (void) fault_vfs_disarm();
                                fixture_run_until(f, f->engine->broken == 0);
                        }
                        expect_ok(a.error);
                        expect_ok(check_key(f, &a.key));
                        while ((r = revoke_key(f, "page")) == -EROFS) {
                                n_refused++;
                                (void) fault_vfs_disarm();
                                fixture_run_until(f, f->engine->broken == 0);
                        }
                        expect_ok(r);
                        expect_errno(check_key(f, &a.key), -ENOKEY);
                }
                (void) fault_vfs_disarm();
                fixture_run_until(f, f->engine->broken == 0);
                expect_on_disk(f);
        }
        assert_true(n_refused > 10);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                ENGINE_TEST(test_holds_from_its_commit_on),
                ENGINE_TEST(test_holds_until_its_end_is_committed),
                ENGINE_TEST(test_wrong_requests),
                ENGINE_TEST(test_limit),
                ENGINE_TEST(test_use_is_not_written_twice_shortly),
                ENGINE_TEST(test_unknown_key_writes_nothing),
                ENGINE_TEST(test_restart),
                ENGINE_TEST(test_disk_is_full),
                ENGINE_TEST(test_revocation_that_fails),
                ENGINE_TEST(test_revocation_that_failed_and_did_not),
                ENGINE_TEST(test_each_write_may_fail),
        };

        fault_vfs_register();
        return cmocka_run_group_tests(tests, NULL, NULL);
}
