/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Tokens that are known, and subjects whose requests are counted: at their limits and one above. */

#include "unit/expect.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <systemd/sd-event.h>
#include <unistd.h>

#include "base/string-util.h"
#include "base/time-util.h"
#include "http/token-holders.h"

#define SECRET     "a secret of at least thirty-two bytes"
#define PER_MINUTE 5U
#define MORE       3U /* than are kept */

static TokenHolders *holders;

static void append_base64(Buffer *out, const void *data, size_t size)
{
        unsigned char text[512];
        int n;

        assert_true(size < sizeof(text) / 2);
        n = EVP_EncodeBlock(text, data, (int) size);
        for (int i = 0; i < n && text[i] != '='; i++)
                buffer_append_char(out, text[i] == '+' ? '-' : text[i] == '/' ? '_' : (char) text[i]);
}

/* Of a subject of its own. */
static char *make_token(unsigned i)
{
        static const char head[] = "{\"alg\":\"HS256\"}";
        uint64_t now_sec = now_usec(CLOCK_REALTIME) / USEC_PER_SEC;
        uint8_t digest[SHA256_SIZE];
        Buffer token = {};
        char body[200], *text;

        (void) snprintf(body, sizeof(body),
                        "{\"iss\":\"login\",\"aud\":\"syncrun\",\"exp\":%llu,\"sub\":\"s%u\",\"user_id\":\"*\","
                        "\"scope\":\"sync:read\"}",
                        (unsigned long long) now_sec + 36000, i);
        append_base64(&token, head, strlen(head));
        buffer_append_char(&token, '.');
        append_base64(&token, body, strlen(body));
        expect_ok(hmac_sha256(SECRET, strlen(SECRET), token.data, token.size, digest));
        buffer_append_char(&token, '.');
        append_base64(&token, digest, sizeof(digest));
        expect_ok(buffer_take(&token, &text));
        return text;
}

static bool is_known(const char *text)
{
        uint8_t hash[SHA256_SIZE];
        Principal *holder = NULL;
        int r;

        r = token_holders_find(holders, text, hash, &holder);
        assert_true(r >= 0);
        principal_unref(holder);
        return r > 0;
}

/* Comes with the token, once. Return: how many requests its subject may make after it. */
static unsigned come(const char *text)
{
        uint8_t hash[SHA256_SIZE];
        Principal *holder = NULL;
        const char *why = NULL;
        unsigned left;

        if (token_holders_find(holders, text, hash, &holder) == 0)
                expect_ok(token_holders_verify(holders, text, hash, &holder, &why));
        assert_true(token_bucket_take(&holder->allowance->requests, PER_MINUTE, USEC_PER_DAY));
        left = token_bucket_left(&holder->allowance->requests, PER_MINUTE, USEC_PER_DAY);
        principal_unref(holder);
        return left;
}

static void test_so_many_are_known(void **state)
{
        static char *texts[TOKENS_MAX + MORE];

        static_assert(TOKENS_MAX == SUBJECTS_MAX, "each token is of another subject");
        for (unsigned i = 0; i < ELEMENTSOF(texts); i++)
                texts[i] = make_token(i);
        for (unsigned i = 0; i < TOKENS_MAX; i++)
                assert_int_equal(come(texts[i]), PER_MINUTE - 1);
        assert_true(is_known(texts[0]) && is_known(texts[TOKENS_MAX - 1]));
        assert_int_equal(come(texts[0]), PER_MINUTE - 2);
        /* One more: the oldest is forgotten, and its subject begins anew when it comes back; then the next is the oldest. */
        assert_int_equal(come(texts[TOKENS_MAX]), PER_MINUTE - 1);
        assert_true(!is_known(texts[0]) && is_known(texts[1]) && is_known(texts[TOKENS_MAX]));
        assert_int_equal(come(texts[0]), PER_MINUTE - 1);
        assert_true(is_known(texts[0]) && !is_known(texts[1]) && is_known(texts[2]));
        assert_int_equal(come(texts[2]), PER_MINUTE - 2);
        assert_int_equal(come(texts[1]), PER_MINUTE - 1);
        for (unsigned i = 0; i < ELEMENTSOF(texts); i++)
                free(texts[i]);
}

static void on_gone(void *userdata)
{
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_so_many_are_known),
        };
        char folder[] = "/tmp/test-http-holders-XXXXXX", path[sizeof(folder) + 16];
        char *login[] = { (char *) "login", NULL }, *syncrun[] = { (char *) "syncrun", NULL };
        HttpSettings settings = { .token_keys_folder = folder, .token_issuer = login, .token_audience = syncrun };
        sd_event *event;
        FILE *file;
        int r;

        if (!mkdtemp(folder) || sd_event_new(&event) < 0)
                return EXIT_FAILURE;
        (void) snprintf(path, sizeof(path), "%s/key.hs256", folder);
        file = fopen(path, "w");
        if (!file || fputs(SECRET, file) < 0 || fclose(file) != 0 ||
            token_holders_new(event, &settings, on_gone, NULL, &holders) < 0)
                return EXIT_FAILURE;
        r = cmocka_run_group_tests(tests, NULL, NULL);
        token_holders_free(holders);
        sd_event_unref(event);
        (void) unlink(path);
        (void) rmdir(folder);
        return r;
}
