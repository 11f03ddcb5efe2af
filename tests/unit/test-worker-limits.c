/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Limits of what the worker keeps for others: requests and their attempts, places, lines that a program does not read. At
 * the limit, and one above. */

#include "unit/expect.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/fd-util.h"
#include "base/string-util.h"
#include "worker/destination.h"
#include "worker/outbox.h"
#include "worker/settle.h"

typedef struct Fixture {
        char folder[sizeof("/tmp/test-worker-limits-XXXXXX")];
        ItemDb db;
} Fixture;

static int setup(void **state)
{
        Fixture *f = calloc(1, sizeof(Fixture));
        _cleanup_free_ char *path = NULL;

        memcpy(f->folder, "/tmp/test-worker-limits-XXXXXX", sizeof(f->folder));
        assert_non_null(mkdtemp(f->folder));
        path = asprintf_or_null("%s/items.db", f->folder);
        expect_ok(item_db_open(&f->db, path, "bank"));
        expect_ok(item_db_do(&f->db, ITEM_BEGIN));
        expect_ok(item_db_open_outbox(&f->db));
        *state = f;
        return 0;
}

static int teardown(void **state)
{
        Fixture *f = *state;
        _cleanup_free_ char *command = asprintf_or_null("rm -rf '%s'", f->folder);

        item_db_close(&f->db);
        assert_int_equal(system(command), 0);
        free(f);
        return 0;
}

static void sql(Fixture *f, const char *text)
{
        assert_int_equal(sqlite3_exec(f->db.sqlite, text, NULL, NULL, NULL), SQLITE_OK);
}

static int64_t number(Fixture *f, const char *text)
{
        sqlite3_stmt *statement;
        int64_t n;

        assert_int_equal(sqlite3_prepare_v2(f->db.sqlite, text, -1, &statement, NULL), SQLITE_OK);
        assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
        n = sqlite3_column_int64(statement, 0);
        assert_int_equal(sqlite3_finalize(statement), SQLITE_OK);
        return n;
}

/* ---- Requests */

/* @n items of so many bytes each, the last of which has @more, wait to be sent. */
static void wait_to_be_sent(Fixture *f, unsigned n, size_t bytes, size_t more)
{
        _cleanup_free_ char *items = asprintf_or_null(
                        "INSERT INTO stream (id, name) VALUES (1, 's');"
                        "INSERT INTO run (id, run_id, started_usec, full_resync) VALUES (1, 'r', 0, 0);"
                        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %u)"
                        " INSERT INTO item SELECT i, 1, i, NULL, NULL, 0, 0, 1, 1,"
                        " '\"' || printf('%%.*c', %zu - 2 + iif(i = %u, %zu, 0), 'x') || '\"' FROM n",
                        n, bytes, n, more);

        sql(f, items);
        for (unsigned i = 1; i <= n; i++)
                expect_ok(outbox_add(&f->db, i, 1, true));
        assert_int_equal(number(f, "SELECT sum(length(json)) FROM item"), n * bytes + more);
}

static void expect_requests(Fixture *f, int first, int second)
{
        const OutboxEnvelope envelope = { .type = "records.synced", .run_id = "r", .now_usec = USEC_PER_SEC };

        assert_int_equal(outbox_freeze(&f->db, &envelope), first);
        assert_int_equal(outbox_freeze(&f->db, &envelope), second);
}

static void test_records_of_a_request(void **state)
{
        wait_to_be_sent(*state, OUTBOX_RECORDS_MAX, 10, 0);
        expect_requests(*state, OUTBOX_RECORDS_MAX, 0);
}

static void test_one_record_above(void **state)
{
        wait_to_be_sent(*state, OUTBOX_RECORDS_MAX + 1, 10, 0);
        expect_requests(*state, OUTBOX_RECORDS_MAX, 1);
}

static void test_bytes_of_a_request(void **state)
{
        wait_to_be_sent(*state, 2, (size_t) OUTBOX_BYTES_MAX / 2, 0);
        expect_requests(*state, 2, 0);
}

static void test_one_byte_above(void **state)
{
        wait_to_be_sent(*state, 2, (size_t) OUTBOX_BYTES_MAX / 2, 1);
        expect_requests(*state, 1, 1);
}

static void test_a_record_that_is_too_large_for_a_request(void **state)
{
        wait_to_be_sent(*state, 1, OUTBOX_BYTES_MAX, 1);
        expect_requests(*state, 1, 0);
}

static void test_attempts(void **state)
{
        const DeliveryAttempt attempt = { .id = (char *) "dlv_1", .type = (char *) "t", .url = (char *) "u" };
        Fixture *f = *state;

        for (unsigned i = 0; i < OUTBOX_ATTEMPTS_MAX; i++)
                expect_ok(outbox_note_attempt(&f->db, "r", &attempt));
        assert_int_equal(number(f, "SELECT count(*) FROM attempt"), OUTBOX_ATTEMPTS_MAX);
        assert_int_equal(number(f, "SELECT min(key) FROM attempt"), 1);
        expect_ok(outbox_note_attempt(&f->db, "r", &attempt));
        assert_int_equal(number(f, "SELECT count(*) FROM attempt"), OUTBOX_ATTEMPTS_MAX);
        assert_int_equal(number(f, "SELECT min(key) FROM attempt"), 2);
}

/* ---- Places */

#define PLACE_MAX 65536U /* settle.c */

static char *path_of(size_t n)
{
        char *path = malloc(n + 1);

        assert_non_null(path);
        memset(path, 'p', n);
        path[0] = '/';
        path[n] = '\0';
        return path;
}

/* Two former places, with the newline between them. */
static void check_places(Fixture *f, size_t bytes, size_t n_expected)
{
        _cleanup_free_ char *first = path_of(PLACE_MAX / 2), *second = path_of(bytes - PLACE_MAX / 2 - 1);
        _cleanup_strv_free_ char **former = NULL;

        expect_ok(settle_remember(f->folder, first));
        expect_ok(settle_remember(f->folder, second));
        expect_ok(settle_remember(f->folder, "/third"));
        expect_ok(settle_recall_former(f->folder, &former));
        assert_int_equal(strv_length(former), n_expected);
        assert_string_equal(former[0], first);
        if (n_expected > 1)
                assert_string_equal(former[1], second);
}

static void test_former_places(void **state)
{
        check_places(*state, PLACE_MAX, 2);
}

/* The one that there is no room for is told in the log. */
static void test_former_places_one_above(void **state)
{
        check_places(*state, PLACE_MAX + 1, 1);
}

static void test_place(void **state)
{
        for (size_t more = 0; more < 2; more++) {
                _cleanup_free_ char *path = path_of(PLACE_MAX + more), *found = NULL;
                Fixture *f = *state;

                expect_ok(settle_remember(f->folder, path));
                expect_errno(settle_recall(f->folder, &found), more > 0 ? -EFBIG : 0);
        }
}

/* ---- Lines that a program does not read */

#define PENDING_LIMIT_BYTES MIB /* destination-exec.c */

static void ignore_end(int r, void *userdata) {}

static void ignore_room(void *userdata) {}

/* What a pipe takes comes on top. */
static size_t pipe_bytes(void)
{
        int ends[2], n;

        assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
        n = fcntl(ends[0], F_GETPIPE_SZ);
        assert_true(n > 0);
        (void) close(ends[0]);
        (void) close(ends[1]);
        return (size_t) n;
}

static void check_pending(size_t bytes, bool full)
{
        static char *command[] = { (char *) "/bin/sleep", (char *) "infinity", NULL }, *environment[] = { NULL };
        const DestinationCallbacks callbacks = { .drained = ignore_room, .ended = ignore_end };
        _cleanup_(destination_freep) Destination *d = NULL;
        _cleanup_free_ char *line = path_of(bytes);
        DestinationContext context = { .type = DESTINATION_EXEC, .command = command, .environment = environment };

        expect_ok(sd_event_new(&context.event));
        expect_ok(log_relay_new("bank", "r", NULL, &context.relay));
        expect_ok(destination_open(&context, &callbacks, &d));
        expect_ok(destination_line(d, (JsonSlice) { line, bytes - 1 })); /* and its newline */
        assert_int_equal(destination_is_full(d), full);
        d = destination_free(d);
        log_relay_free(context.relay);
        sd_event_unref(context.event);
}

static void test_pending(void **state)
{
        check_pending(PENDING_LIMIT_BYTES + pipe_bytes(), false);
        check_pending(PENDING_LIMIT_BYTES + pipe_bytes() + 1, true);
}

#define PREPARED(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
        static const struct CMUnitTest tests[] = {
                PREPARED(test_records_of_a_request),
                PREPARED(test_one_record_above),
                PREPARED(test_bytes_of_a_request),
                PREPARED(test_one_byte_above),
                PREPARED(test_a_record_that_is_too_large_for_a_request),
                PREPARED(test_attempts),
                PREPARED(test_former_places),
                PREPARED(test_former_places_one_above),
                PREPARED(test_place),
                cmocka_unit_test(test_pending),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
