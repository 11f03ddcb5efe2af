/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What the HTTP server keeps of others, at each limit and one above. Limits of requests: http/test_limits.py. */

#include "unit/expect.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>
#include <zlib.h>

#include "base/buffer.h"
#include "base/string-util.h"
#include "base/time-util.h"
#include "http/auth.h"
#include "http/ended-sessions.h"
#include "http/failures.h"
#include "http/farewell.h"
#include "http/gzip.h"
#include "http/kept.h"
#include "http/token-keys.h"

/* ---- Answers */

static void put(KeptAnswers *all, unsigned i, size_t size)
{
        char key[32];

        (void) snprintf(key, sizeof(key), "answer %u", i);
        kept_put(all, key, &(Kept){ .text = "text", .size = size, .from_usec = i });
}

static bool has(const KeptAnswers *all, unsigned i)
{
        const Kept *kept;
        char key[32];

        (void) snprintf(key, sizeof(key), "answer %u", i);
        kept = kept_find(all, key);
        return kept && kept->from_usec == i;
}

static void test_so_many_answers_are_kept(void **state)
{
        KeptAnswers all = {};

        for (unsigned i = 0; i < ANSWERS_MAX; i++)
                put(&all, i, 1);
        assert_true(has(&all, 0) && has(&all, ANSWERS_MAX - 1));
        assert_int_equal(all.n_bytes, ANSWERS_MAX);
        /* What is kept already takes no more room, and is the newest now. */
        put(&all, 0, 3);
        assert_true(has(&all, 1));
        assert_int_equal(all.n_bytes, ANSWERS_MAX + 2);
        put(&all, ANSWERS_MAX, 1);
        assert_false(has(&all, 1));
        assert_true(has(&all, 0) && has(&all, 2) && has(&all, ANSWERS_MAX));
        kept_drop_all(&all);
        assert_false(has(&all, 0));
        assert_int_equal(all.n_bytes, 0);
}

static void test_so_many_bytes_of_answers_are_kept(void **state)
{
        KeptAnswers all = {};

        put(&all, 0, 1);
        put(&all, 1, ANSWERS_MAX_BYTES - 1);
        assert_true(has(&all, 0) && has(&all, 1));
        put(&all, 2, 1);
        assert_true(!has(&all, 0) && has(&all, 1) && has(&all, 2));
        put(&all, 5, 2);
        assert_true(!has(&all, 1) && has(&all, 2) && has(&all, 5));
        put(&all, 3, ANSWERS_MAX_BYTES + 1);
        assert_true(has(&all, 2) && !has(&all, 3));
        put(&all, 4, ANSWERS_MAX_BYTES);
        assert_true(has(&all, 4) && !has(&all, 2));
        kept_drop_all(&all);
        assert_int_equal(all.n_bytes, 0);
}

/* ---- Addresses that guess */

static Peer peer(unsigned i)
{
        char text[32];
        Peer peer;

        (void) snprintf(text, sizeof(text), "10.0.%u.%u", i / 256, i % 256);
        expect_ok(peer_from_text(text, &peer));
        return peer;
}

static void test_so_many_guessers_are_known(void **state)
{
        Failures *failures;

        expect_ok(failures_new(FAILURES_MAX, 1, &failures));
        for (unsigned i = 0; i < FAILURES_MAX; i++) {
                const Peer one = peer(i);

                assert_non_null(failures_add(failures, &one, 1));
        }
        assert_true(failures_are_many(failures, &(Peer[]){ peer(0) }[0], 1));
        assert_non_null(failures_add(failures, &(Peer[]){ peer(FAILURES_MAX) }[0], 1));
        assert_false(failures_are_many(failures, &(Peer[]){ peer(0) }[0], 1));
        assert_true(failures_are_many(failures, &(Peer[]){ peer(1) }[0], 1));
        assert_true(failures_are_many(failures, &(Peer[]){ peer(FAILURES_MAX) }[0], 1));
        failures_free(failures);
}

/* ---- Last words */

static void test_so_many_last_words_are_under_way(void **state)
{
        static int ends[FAREWELLS_MAX + 1];
        struct rlimit room;
        const HttpSettings settings = {};
        Farewells *farewells;
        sd_event *event;

        expect_ok(getrlimit(RLIMIT_NOFILE, &room));
        room.rlim_cur = 3 * FAREWELLS_MAX;
        expect_ok(setrlimit(RLIMIT_NOFILE, &room));
        expect_ok(sd_event_new(&event));
        expect_ok(farewells_new(event, &settings, &farewells));
        for (unsigned i = 0; i < ELEMENTSOF(ends); i++) {
                char text[256];
                int pair[2];

                expect_ok(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair));
                ends[i] = pair[0];
                farewell_say(farewells, pair[1], 503, NULL);
                assert_true(recv(ends[i], text, sizeof(text), 0) > 0); /* all hear it */
                /* The last one is closed at once: what it sends is not taken any more. */
                assert_int_equal(send(ends[i], "more", 4, MSG_NOSIGNAL), i < FAREWELLS_MAX ? 4 : -1);
        }
        for (unsigned i = 0; i < ELEMENTSOF(ends); i++)
                (void) close(ends[i]);
        farewells_free(farewells);
        sd_event_unref(event);
}

/* ---- Compressing */

static char *random_text(size_t size)
{
        char *text = malloc(size + 1);
        unsigned seed = 1;

        assert_non_null(text);
        for (size_t i = 0; i < size; i++) {
                seed = seed * 1103515245U + 12345U;
                text[i] = (char) ('a' + (seed >> 16) % 16);
        }
        text[size] = '\0';
        return text;
}

static char *plain_of(const char *packed, size_t size, size_t plain_size)
{
        z_stream z = { .next_in = (unsigned char *) packed, .avail_in = (unsigned) size };
        char *plain = malloc(plain_size + 1);

        assert_non_null(plain);
        z.next_out = (unsigned char *) plain;
        z.avail_out = (unsigned) plain_size;
        assert_int_equal(inflateInit2(&z, 15 + 16), Z_OK);
        assert_int_equal(inflate(&z, Z_FINISH), Z_STREAM_END);
        assert_int_equal(z.total_out, plain_size);
        plain[plain_size] = '\0';
        (void) inflateEnd(&z);
        return plain;
}

/* What is compressed at a time, into a buffer of @room bytes. */
static void expect_slices(const char *text, size_t size, size_t room)
{
        _cleanup_free_ char *buffer = malloc(room), *plain = NULL;
        _cleanup_buffer_ Buffer packed = {};
        size_t left = size, most = 0;
        GzipSlices *slices;
        ssize_t n;

        assert_non_null(buffer);
        expect_ok(gzip_slices_new(text, size, &slices));
        while ((n = gzip_slices_next(slices, buffer, room)) > 0) {
                buffer_append(&packed, buffer, (size_t) n);
                most = MAX(most, left - gzip_slices_left(slices));
                left = gzip_slices_left(slices);
        }
        assert_int_equal(n, 0);
        assert_int_equal(left, 0);
        assert_int_equal(gzip_slices_next(slices, buffer, room), 0);
        gzip_slices_free(slices);
        assert_true(most <= GZIP_SLICE_MAX);
        assert_true(room < GZIP_SLICE_MAX || most == MIN(size, GZIP_SLICE_MAX));
        plain = plain_of(packed.data, packed.size, size);
        assert_string_equal(plain, text);
}

static void test_so_much_is_compressed_at_a_time(void **state)
{
        _cleanup_free_ char *text = random_text(40 * GZIP_SLICE_MAX);

        for (size_t room = 128; room <= 4 * GZIP_SLICE_MAX; room *= 4) {
                expect_slices(text, 40 * GZIP_SLICE_MAX, room);
                expect_slices(text + 40 * GZIP_SLICE_MAX - 1, 1, room);
        }
}

/* A slice that comes to nothing yet is not taken for the end. */
static void test_dull_text_is_compressed_to_its_end(void **state)
{
        size_t size = 64 * GZIP_SLICE_MAX;
        _cleanup_free_ char *text = malloc(size), *plain = NULL;
        char packed[16 * KIB];
        GzipSlices *slices;
        size_t used = 0;
        ssize_t n;

        assert_non_null(text);
        memset(text, ' ', size);
        expect_ok(gzip_slices_new(text, size, &slices));
        while ((n = gzip_slices_next(slices, packed + used, sizeof(packed) - used)) > 0)
                used += (size_t) n;
        assert_int_equal(n, 0);
        gzip_slices_free(slices);
        plain = plain_of(packed, used, size);
        assert_memory_equal(plain, text, size);
}

/* ---- Sessions that were signed out of */

#define NOW   (1800000000 * USEC_PER_SEC)
#define UNTIL (NOW + SESSION_USEC)

/* Of those of a key, the first expires first. */
static Session session_of(unsigned key, unsigned i)
{
        Session session = { .expires_usec = UNTIL + i * USEC_PER_SEC };

        (void) snprintf(session.hash, sizeof(session.hash), "%064u", key);
        (void) snprintf(session.id, sizeof(session.id), "%016u", i);
        return session;
}

static void end_session_of(EndedSessions *ended, unsigned key, unsigned i, usec_t now_usec)
{
        const Session session = session_of(key, i);

        expect_ok(ended_sessions_add(ended, &session, now_usec));
}

static bool has_ended_of(const EndedSessions *ended, unsigned key, unsigned i)
{
        const Session session = session_of(key, i);

        return ended_sessions_has(ended, &session);
}

static void end_session(EndedSessions *ended, unsigned i, usec_t now_usec)
{
        end_session_of(ended, 0, i, now_usec);
}

static bool has_ended(const EndedSessions *ended, unsigned i)
{
        return has_ended_of(ended, 0, i);
}

static void test_so_many_sessions_are_ended(void **state)
{
        EndedSessions *ended;

        expect_ok(ended_sessions_load(NULL, NOW, &ended));
        /* 0 and 2 are not. */
        end_session(ended, 1, NOW);
        for (unsigned i = 3; i < ENDED_SESSIONS_PER_KEY_MAX + 2; i++)
                end_session(ended, i, NOW);
        assert_true(has_ended(ended, 1) && has_ended(ended, 3) && has_ended(ended, ENDED_SESSIONS_PER_KEY_MAX + 1));
        assert_true(!has_ended(ended, 0) && !has_ended(ended, 2));
        /* Once more is no more. */
        end_session(ended, 1, NOW);
        assert_true(!has_ended(ended, 0));
        /* The first is forgotten, and has ended all the same, with what expires before it. */
        end_session(ended, ENDED_SESSIONS_PER_KEY_MAX + 2, NOW);
        assert_true(has_ended(ended, 0) && has_ended(ended, 1) && !has_ended(ended, 2));
        assert_true(has_ended(ended, 3) && has_ended(ended, ENDED_SESSIONS_PER_KEY_MAX + 2));
        /* Those that have expired take no room. */
        end_session(ended, ENDED_SESSIONS_PER_KEY_MAX + 3, UNTIL + 3 * USEC_PER_SEC);
        assert_true(!has_ended(ended, 2) && !has_ended(ended, 3) && has_ended(ended, 4));
        ended_sessions_free(ended);
}

static void test_a_key_ends_its_own_sessions_alone(void **state)
{
        EndedSessions *ended;

        expect_ok(ended_sessions_load(NULL, NOW, &ended));
        end_session_of(ended, 1, 1, NOW);
        for (unsigned i = 0; i < 4097; i++)
                end_session_of(ended, 2, i, NOW);
        assert_true(has_ended_of(ended, 1, 1) && has_ended_of(ended, 2, 0) && has_ended_of(ended, 2, 4096));
        assert_true(!has_ended_of(ended, 1, 0) && !has_ended_of(ended, 3, 0));
        ended_sessions_free(ended);
}

static void test_so_many_keys_have_ended_sessions(void **state)
{
        EndedSessions *ended;

        expect_ok(ended_sessions_load(NULL, NOW, &ended));
        for (unsigned key = 0; key < ENDED_KEYS_MAX; key++)
                end_session_of(ended, key, key == 7 ? 1 : 3, NOW);
        assert_true(has_ended_of(ended, 7, 1) && !has_ended_of(ended, 7, 0) && !has_ended_of(ended, 8, 0));
        /* One more of a key that is known needs no room. */
        end_session_of(ended, 8, 4, NOW);
        assert_true(!has_ended_of(ended, 7, 0));
        end_session_of(ended, ENDED_KEYS_MAX, 3, NOW);
        assert_true(has_ended_of(ended, 7, 1) && has_ended_of(ended, 8, 0) && has_ended_of(ended, 8, 3));
        assert_true(!has_ended_of(ended, 7, 2) && has_ended_of(ended, ENDED_KEYS_MAX, 3));
        /* Keys whose sessions have all expired take no room. */
        end_session_of(ended, 8, 5, UNTIL + 3 * USEC_PER_SEC);
        end_session_of(ended, 7, 6, UNTIL + 3 * USEC_PER_SEC);
        assert_true(!has_ended_of(ended, 9, 3) && has_ended_of(ended, 8, 4) && has_ended_of(ended, 8, 5));
        assert_true(!has_ended_of(ended, 9, 2));
        ended_sessions_free(ended);
}

static void test_ended_sessions_are_kept(void **state)
{
        char folder[] = "/tmp/test-http-bounds-XXXXXX", path[sizeof(folder) + 16];
        EndedSessions *ended;
        FILE *file;

        assert_non_null(mkdtemp(folder));
        expect_ok(ended_sessions_load(folder, NOW, &ended));
        for (unsigned i = 1; i <= 3; i++)
                end_session(ended, i, NOW);
        ended_sessions_free(ended);
        expect_ok(ended_sessions_load(folder, NOW, &ended));
        assert_true(!has_ended(ended, 0) && has_ended(ended, 1) && has_ended(ended, 3) && !has_ended(ended, 4));
        ended_sessions_free(ended);
        /* What has expired meanwhile is not read. */
        expect_ok(ended_sessions_load(folder, UNTIL + 2 * USEC_PER_SEC, &ended));
        assert_true(!has_ended(ended, 1) && !has_ended(ended, 2) && has_ended(ended, 3));
        ended_sessions_free(ended);
        /* What was forgotten has ended. */
        (void) snprintf(path, sizeof(path), "%s/sessions-ended", folder);
        file = fopen(path, "w");
        assert_non_null(file);
        (void) fprintf(file, "all all %llu\n", (unsigned long long) ((UNTIL + 2 * USEC_PER_SEC) / USEC_PER_SEC));
        assert_int_equal(fclose(file), 0);
        expect_ok(ended_sessions_load(folder, NOW, &ended));
        assert_true(has_ended(ended, 0) && has_ended(ended, 2) && !has_ended(ended, 3));
        end_session(ended, 4, NOW);
        ended_sessions_free(ended);
        expect_ok(ended_sessions_load(folder, NOW, &ended));
        assert_true(has_ended(ended, 2) && !has_ended(ended, 3) && has_ended(ended, 4));
        ended_sessions_free(ended);
        /* So it has where a key had too many of them. */
        expect_ok(ended_sessions_load(folder, NOW, &ended));
        for (unsigned i = 0; i <= ENDED_SESSIONS_PER_KEY_MAX; i++)
                end_session_of(ended, 1, 6 + 2 * i, NOW);
        ended_sessions_free(ended);
        expect_ok(ended_sessions_load(folder, NOW, &ended));
        assert_true(has_ended_of(ended, 1, 5) && has_ended_of(ended, 1, 6) && !has_ended_of(ended, 1, 7));
        assert_true(has_ended_of(ended, 1, 8) && !has_ended(ended, 3) && has_ended(ended, 4) && !has_ended(ended, 5));
        ended_sessions_free(ended);
        ended_sessions_remove(folder);
        expect_ok(rmdir(folder));
        /* Where it cannot be kept it holds nevertheless. */
        expect_ok(ended_sessions_load(folder, NOW, &ended));
        assert_int_equal(ended_sessions_add(ended, &(Session[]){ session_of(0, 1) }[0], NOW), 1);
        assert_true(has_ended(ended, 1));
        ended_sessions_free(ended);
}

/* ---- Keys of tokens */

static void write_key(const char *folder, unsigned i)
{
        _cleanup_free_ char *path = asprintf_or_null("%s/key%u.hs256", folder, i);
        FILE *file = fopen(path, "w");

        assert_non_null(file);
        (void) fprintf(file, "%032u", i);
        assert_int_equal(fclose(file), 0);
}

static void remove_key(const char *folder, unsigned i)
{
        _cleanup_free_ char *path = asprintf_or_null("%s/key%u.hs256", folder, i);

        expect_ok(unlink(path));
}

static void on_gone(void *userdata)
{
}

static size_t count_keys(sd_event *event, const char *folder)
{
        TokenKeys *keys;
        size_t n;

        expect_ok(token_keys_open(event, folder, "", on_gone, NULL, &keys));
        n = keys->n;
        token_keys_free(keys);
        return n;
}

static void test_so_many_keys_of_a_folder_are_read(void **state)
{
        char folder[] = "/tmp/test-http-bounds-XXXXXX";
        sd_event *event;

        assert_non_null(mkdtemp(folder));
        expect_ok(sd_event_new(&event));
        for (unsigned i = 0; i < TOKEN_KEYS_MAX - 1; i++)
                write_key(folder, i);
        assert_int_equal(count_keys(event, folder), TOKEN_KEYS_MAX - 1);
        write_key(folder, TOKEN_KEYS_MAX - 1);
        assert_int_equal(count_keys(event, folder), TOKEN_KEYS_MAX);
        write_key(folder, TOKEN_KEYS_MAX);
        assert_int_equal(count_keys(event, folder), TOKEN_KEYS_MAX);
        for (unsigned i = 0; i <= TOKEN_KEYS_MAX; i++)
                remove_key(folder, i);
        expect_ok(rmdir(folder));
        sd_event_unref(event);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_so_many_answers_are_kept),
                cmocka_unit_test(test_so_many_bytes_of_answers_are_kept),
                cmocka_unit_test(test_so_many_guessers_are_known),
                cmocka_unit_test(test_so_many_last_words_are_under_way),
                cmocka_unit_test(test_so_much_is_compressed_at_a_time),
                cmocka_unit_test(test_dull_text_is_compressed_to_its_end),
                cmocka_unit_test(test_so_many_sessions_are_ended),
                cmocka_unit_test(test_a_key_ends_its_own_sessions_alone),
                cmocka_unit_test(test_so_many_keys_have_ended_sessions),
                cmocka_unit_test(test_ended_sessions_are_kept),
                cmocka_unit_test(test_so_many_keys_of_a_folder_are_read),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
