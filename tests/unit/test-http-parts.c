/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The pure parts of the HTTP server: targets, addresses, what is left of a minute's worth, frames of a stream. */

#include <arpa/inet.h>
#include <limits.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/string-util.h"
#include "http/peer.h"
#include "http/session.h"
#include "http/sse-hub.h"
#include "http/sse-text.h"
#include "http/target.h"
#include "http/token-bucket.h"
#include "unit/expect.h"

/* ---- Targets */

static void expect_target(const char *text, const char *path, const char *query)
{
        _cleanup_buffer_ Buffer got = {};
        Target target;

        expect_ok(target_parse(text, &target));
        for (size_t i = 0; i < target.n_segments; i++)
                buffer_append_format(&got, "/%s", target.segments[i]);
        assert_string_equal(strempty(got.data), path);
        buffer_reset(&got);
        for (size_t i = 0; i < target.n_parameters; i++)
                buffer_append_format(&got, "[%s=%s]", target.parameters[i].name, target.parameters[i].value);
        assert_string_equal(strempty(got.data), query);
        target_done(&target);
}

static void test_targets(void **state)
{
        expect_target("/", "", "");
        expect_target("/a", "/a", "");
        expect_target("/a/", "/a/", "");
        expect_target("//", "//", "");
        expect_target("/a/b?c=d", "/a/b", "[c=d]");
        expect_target("/a%2fb/%41", "/a/b/A", "");
        expect_target("/?a&b=&=c&&d=e=f", "", "[a=][b=][=c][d=e=f]");
        expect_target("/a+b?a+b=c+d%2B", "/a+b", "[a b=c d+]");
        expect_target("/gr%C3%BC%C3%9Fe", "/grüße", "");
        expect_target("http://host/a?b", "/a", "[b=]");
        expect_target("HTTP://host:1/a", "/a", "");
        expect_target("/a#b?c", "/a", "");
        expect_target("*", "", "");
}

static void test_wrong_targets(void **state)
{
        static const char *const texts[] = {
                "",     "a",    "**",      "?a",    "/%",   "/%4",  "/%4g",    "/%g4",     "/%00",     "/%0a",
                "/%7f", "/%c3", "/%c0%af", "/\xff", "/a b", "/a?%", "/a?b=%1", "http://h", "/?%e2%82", "/\x01",
        };
        Target target;

        for (size_t i = 0; i < ELEMENTSOF(texts); i++)
                expect_errno(target_parse(texts[i], &target), -EINVAL);
}

static void test_limits_of_targets(void **state)
{
        _cleanup_buffer_ Buffer text = {};
        Target target;

        for (size_t i = 0; i < TARGET_SEGMENTS_MAX; i++)
                buffer_append_string(&text, "/a");
        expect_ok(target_parse(text.data, &target));
        target_done(&target);
        buffer_append_string(&text, "/a");
        expect_errno(target_parse(text.data, &target), -E2BIG);
        buffer_reset(&text);
        buffer_append_string(&text, "/?a");
        for (size_t i = 1; i < TARGET_PARAMETERS_MAX; i++)
                buffer_append_string(&text, "&a");
        buffer_append_string(&text, "&");
        expect_ok(target_parse(text.data, &target));
        target_done(&target);
        buffer_append_string(&text, "a");
        expect_errno(target_parse(text.data, &target), -E2BIG);
}

static void test_the_last_parameter_counts(void **state)
{
        Target target;

        expect_ok(target_parse("/?a=1&b=2&a=3", &target));
        assert_string_equal(target_get(&target, "a"), "3");
        assert_string_equal(target_get(&target, "b"), "2");
        assert_null(target_get(&target, "c"));
        target_done(&target);
}

/* ---- Addresses */

static void test_peers(void **state)
{
        struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(0xc0000201) };
        struct sockaddr_in6 v6 = { .sin6_family = AF_INET6 };
        struct sockaddr_un local = { .sun_family = AF_UNIX };
        Peer a, b, c;

        peer_from_address((struct sockaddr *) &v4, &a);
        assert_string_equal(a.text, "192.0.2.1");
        expect_ok(peer_from_text("::ffff:192.0.2.1", &b));
        assert_memory_equal(a.key, b.key, sizeof(a.key));
        assert_int_equal(inet_pton(AF_INET6, "2001:db8:1:2:3::4", &v6.sin6_addr), 1);
        peer_from_address((struct sockaddr *) &v6, &a);
        assert_string_equal(a.text, "2001:db8:1:2:3::4");
        /* Of one network of 64 bits, all are one. */
        expect_ok(peer_from_text("2001:db8:1:2::1", &b));
        expect_ok(peer_from_text("2001:db8:1:3::1", &c));
        assert_memory_equal(a.key, b.key, sizeof(a.key));
        assert_memory_not_equal(a.key, c.key, sizeof(a.key));
        peer_from_address((struct sockaddr *) &local, &a);
        assert_true(a.is_local);
        expect_errno(peer_from_text("example.org", &a), -EINVAL);
        expect_errno(peer_from_text("", &a), -EINVAL);
}

static void expect_forwarded(const char *from, const char *header, const char *expected)
{
        char *trusted[] = { (char *) "10.0.0.1", (char *) "fd00::1", NULL };
        Peer proxy, got;

        expect_ok(peer_from_text(from, &proxy));
        peer_forwarded(&proxy, header, trusted, &got);
        assert_string_equal(got.text, expected);
}

static void test_forwarded(void **state)
{
        expect_forwarded("10.0.0.1", NULL, "10.0.0.1");
        expect_forwarded("10.0.0.1", "", "10.0.0.1");
        expect_forwarded("10.0.0.1", "192.0.2.1", "192.0.2.1");
        expect_forwarded("10.0.0.1", "192.0.2.9,192.0.2.1", "192.0.2.1");
        expect_forwarded("10.0.0.1", "192.0.2.1, fd00::1 , 10.0.0.1", "192.0.2.1");
        expect_forwarded("10.0.0.1", "192.0.2.1, unknown", "10.0.0.1");
        expect_forwarded("10.0.0.1", "unknown, fd00::1", "fd00::1");
}

/* ---- A minute's worth */

static void test_token_bucket(void **state)
{
        usec_t now = 100 * USEC_PER_SEC;
        TokenBucket bucket = {};

        for (unsigned i = 0; i < 6; i++) {
                assert_int_equal(token_bucket_left(&bucket, 6, now), 6 - i);
                assert_true(token_bucket_take(&bucket, 6, now));
        }
        assert_false(token_bucket_has(&bucket, 6, now));
        assert_false(token_bucket_take(&bucket, 6, now));
        assert_int_equal(token_bucket_next_sec(&bucket, 6, now), 10);
        assert_int_equal(token_bucket_full_sec(&bucket, 6, now), 60);
        assert_false(token_bucket_take(&bucket, 6, now + 10 * USEC_PER_SEC - USEC_PER_MSEC));
        assert_true(token_bucket_take(&bucket, 6, now + 10 * USEC_PER_SEC));
        assert_false(token_bucket_take(&bucket, 6, now + 10 * USEC_PER_SEC));
        /* Never more than a minute's worth, however long nobody asks; and a clock that stands still gives none. */
        now += USEC_PER_DAY;
        assert_int_equal(token_bucket_left(&bucket, 6, now), 6);
        assert_int_equal(token_bucket_full_sec(&bucket, 6, now), 0);
        for (unsigned i = 0; i < 1000; i++)
                assert_true(token_bucket_take(&bucket, UINT_MAX, now));
        assert_int_equal(token_bucket_left(&bucket, 6, now), 6);
}

/* ---- Frames */

static void expect_text(const SseText *text, bool chunked, const char *expected)
{
        const char *data;
        size_t size;

        data = sse_text_data(text, chunked, &size);
        assert_int_equal(size, strlen(expected));
        assert_memory_equal(data, expected, size);
}

static void test_frames(void **state)
{
        SseText *text = sse_text_new();

        assert_non_null(text);
        assert_true(sse_text_is_empty(text));
        for (int i = 0; i < 2; i++) {
                sse_text_add_comment(text, "connected");
                sse_text_add_event(text, 7, "{\"a\":1}");
                assert_false(sse_text_is_empty(text));
                expect_ok(sse_text_finish(text));
                expect_text(text, true,
                            "00000035\r\n: connected\n\nevent: sync.status\nid: 7\ndata: {\"a\":1}\n\n\r\n");
                expect_text(text, false, ": connected\n\nevent: sync.status\nid: 7\ndata: {\"a\":1}\n\n");
                sse_text_reset(text);
                assert_true(sse_text_is_empty(text));
        }
        sse_text_unref(text);
        text = sse_text_new_raw();
        assert_non_null(text);
        buffer_append_string(&text->buffer, "HTTP/1.1 200 OK\r\n\r\n");
        expect_ok(sse_text_finish(text));
        expect_text(text, true, "HTTP/1.1 200 OK\r\n\r\n");
        expect_text(text, false, "HTTP/1.1 200 OK\r\n\r\n");
        sse_text_unref(text);
}

static void test_filters(void **state)
{
        static const char event[] = "{\"provider\":\"oura\",\"metadata\":{\"connector\":\"bank\"}}";

        assert_true(sse_filter_matches(&(SseFilter){}, "not looked at"));
        assert_true(sse_filter_matches(&(SseFilter){ .provider = "oura" }, event));
        assert_true(sse_filter_matches(&(SseFilter){ .connector = "bank" }, event));
        assert_true(sse_filter_matches(&(SseFilter){ .provider = "oura", .connector = "bank" }, event));
        assert_false(sse_filter_matches(&(SseFilter){ .provider = "our" }, event));
        assert_false(sse_filter_matches(&(SseFilter){ .provider = "oura", .connector = "mail" }, event));
        assert_false(sse_filter_matches(&(SseFilter){ .connector = "bank" }, "{\"metadata\":{}}"));
        assert_false(sse_filter_matches(&(SseFilter){ .connector = "bank" }, "{\"metadata\":null}"));
        assert_false(sse_filter_matches(&(SseFilter){ .provider = "oura" }, "{"));
}

/* ---- Sessions */

#define NOW   (1800000000 * USEC_PER_SEC)
#define UNTIL (NOW + SESSION_USEC)

static void make_session(usec_t expires_usec, char text[static SESSION_TEXT_MAX])
{
        static const SessionKey key = { "the key that signs" };
        Session session = { .expires_usec = expires_usec, .id = "0123456789abcdef" };

        memset(session.hash, 'a', 2 * SHA256_SIZE);
        expect_ok(session_write(&key, &session, text));
}

static int read_session(const char *text, usec_t now_usec, Session *ret)
{
        static const SessionKey key = { "the key that signs" };

        return session_read(&key, text, now_usec, ret);
}

static void test_sessions(void **state)
{
        char text[SESSION_TEXT_MAX];
        Session session;

        make_session(UNTIL, text);
        expect_ok(read_session(text, NOW, &session));
        assert_int_equal(session.expires_usec, UNTIL);
        assert_int_equal(strspn(session.hash, "a"), 2 * SHA256_SIZE);
        assert_string_equal(session.id, "0123456789abcdef");
        expect_ok(read_session(text, UNTIL - 1, &session));
        expect_errno(read_session(text, UNTIL, &session), -ETIME);
        expect_errno(read_session(text, NOW - 1, &session), -ETIME); /* the clock was set back */
        make_session(0, text);
        expect_errno(read_session(text, NOW, &session), -ETIME);
        make_session(UINT64_MAX, text);
        expect_errno(read_session(text, NOW, &session), -ETIME);
}

static void test_forged_sessions(void **state)
{
        static const char *const texts[] = { "", ".", "v2", "v2....", "a.b.c.d" };
        static const SessionKey other = { "another key" };
        char text[SESSION_TEXT_MAX + 1], digest[SHA256_HEX_MAX];
        Session session;
        size_t n;

        make_session(UNTIL, text);
        expect_errno(session_read(&other, text, NOW, &session), -EBADMSG);
        n = strlen(text);
        for (size_t i = 0; i < n; i++)
                for (unsigned bit = 0; bit < 8; bit++) {
                        text[i] = (char) (text[i] ^ 1 << bit);
                        expect_errno(read_session(text, NOW, &session), -EBADMSG);
                        text[i] = (char) (text[i] ^ 1 << bit);
                }
        text[n - 1] = '\0';
        expect_errno(read_session(text, NOW, &session), -EBADMSG);
        make_session(UNTIL, text);
        memcpy(text + n, "0", 2);
        expect_errno(read_session(text, NOW, &session), -EBADMSG);
        for (size_t i = 0; i < ELEMENTSOF(texts); i++)
                expect_errno(read_session(texts[i], NOW, &session), -EBADMSG);
        /* As long as a signature, but none. */
        memset(digest, 'f', 2 * SHA256_SIZE);
        digest[2 * SHA256_SIZE] = '\0';
        (void) snprintf(text, sizeof(text), ".%s", digest);
        expect_errno(read_session(text, NOW, &session), -EBADMSG);
}

static void test_session_keys(void **state)
{
        char folder[] = "/tmp/syncrun-test-XXXXXX", path[sizeof(folder) + 16];
        SessionKey first, second, third;
        struct stat st;
        FILE *file;

        assert_non_null(mkdtemp(folder));
        (void) snprintf(path, sizeof(path), "%s/session-key", folder);
        assert_int_equal(session_key_load(folder, &first), 0);
        assert_int_equal(stat(path, &st), 0);
        assert_int_equal(st.st_mode & 07777, 0600);
        assert_int_equal(session_key_load(folder, &second), 0);
        assert_memory_equal(&first, &second, sizeof(first));
        assert_int_equal(session_key_load(NULL, &second), 0);
        assert_memory_not_equal(&first, &second, sizeof(first));
        assert_int_equal(session_key_load("/nonexistent", &third), 1);
        assert_memory_not_equal(&second, &third, sizeof(second));
        /* One byte less, or more, is none. */
        file = fopen(path, "w");
        assert_non_null(file);
        assert_int_equal(fwrite(&first, 1, sizeof(first) - 1, file), sizeof(first) - 1);
        assert_int_equal(fclose(file), 0);
        assert_int_equal(session_key_load(folder, &second), 0);
        assert_memory_not_equal(&first, &second, sizeof(first));
        file = fopen(path, "a");
        assert_non_null(file);
        assert_int_equal(fputc('x', file), 'x');
        assert_int_equal(fclose(file), 0);
        assert_int_equal(session_key_load(folder, &third), 0);
        assert_memory_not_equal(&second, &third, sizeof(second));
        assert_int_equal(unlink(path), 0);
        assert_int_equal(rmdir(folder), 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_targets),
                cmocka_unit_test(test_wrong_targets),
                cmocka_unit_test(test_limits_of_targets),
                cmocka_unit_test(test_the_last_parameter_counts),
                cmocka_unit_test(test_peers),
                cmocka_unit_test(test_forwarded),
                cmocka_unit_test(test_token_bucket),
                cmocka_unit_test(test_frames),
                cmocka_unit_test(test_filters),
                cmocka_unit_test(test_sessions),
                cmocka_unit_test(test_forged_sessions),
                cmocka_unit_test(test_session_keys),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
