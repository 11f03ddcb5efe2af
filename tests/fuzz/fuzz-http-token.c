/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Any text as a token, as what a key signs to be one (a head and a body, parted by a line's end), and as a page's
 * session: nothing passes that was not signed, and what passes says who asks, whose data it is for, and how long. */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/digest.h"
#include "base/string-util.h"
#include "http/session.h"
#include "http/token.h"

#define NOW (1800000000 * USEC_PER_SEC)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char secret[] = "a secret that has thirty-two bytes, and more";
static TokenKey key = {
        .n_ref = 1, .id = (char *) "main", .algorithm = TOKEN_HS256, .data = secret, .size = sizeof(secret) - 1
};
static char *issuers[] = { (char *) "login", NULL }, *audiences[] = { (char *) "syncrun", NULL };

static void check(bool holds)
{
        if (!holds)
                abort();
}

/* Whether it passes. */
static bool test_token(const char *text)
{
        const TokenRules rules = { issuers, audiences, TOKEN_USER_CLAIM, USEC_PER_MINUTE };
        const TokenKeys keys = { .keys = { &key }, .n = 1 };
        char user_id[UUID_TEXT_MAX];
        const char *why = NULL;
        Token token;
        int r;

        r = token_read(&keys, &rules, text, NOW, &token, &why);
        check(r == 0 || r == -ETIME || (r == -EBADMSG && why && strlen(why) < 20));
        if (r < 0)
                return r == -ETIME;
        check(token_is_likely(text));
        check(token.key == &key && streq(token.issuer, "login") && token_subject_is_valid(token.subject));
        check(token.expires_usec > NOW && token.scopes < API_SCOPE_BIT(_API_SCOPE_MAX));
        check(token.user_id[0] == '\0' ||
              (uuid_normalize(token.user_id, user_id) == 0 && streq(user_id, token.user_id)));
        token_done(&token);
        return true;
}

static void append_base64(Buffer *out, const char *data, size_t size)
{
        static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        unsigned bits = 0, n_bits = 0;

        for (size_t i = 0; i < size; i++) {
                bits = bits << 8 | (unsigned char) data[i];
                for (n_bits += 8; n_bits >= 6; n_bits -= 6)
                        buffer_append_char(out, letters[bits >> (n_bits - 6) & 63]);
        }
        if (n_bits > 0)
                buffer_append_char(out, letters[bits << (6 - n_bits) & 63]);
}

static void test_signed(const char *text)
{
        size_t n = strcspn(text, "\n");
        _cleanup_buffer_ Buffer token = {};
        uint8_t digest[SHA256_SIZE];
        size_t size;

        append_base64(&token, text, n);
        buffer_append_char(&token, '.');
        append_base64(&token, text + n + (text[n] == '\n'), strlen(text + n + (text[n] == '\n')));
        check(hmac_sha256(secret, sizeof(secret) - 1, token.data, token.size, digest) == 0);
        buffer_append_char(&token, '.');
        size = token.size;
        append_base64(&token, (const char *) digest, sizeof(digest));
        if (!test_token(token.data))
                return;
        /* The same by another's hand. */
        digest[0] ^= 1;
        token.size = size;
        append_base64(&token, (const char *) digest, sizeof(digest));
        check(!test_token(token.data));
}

static void test_session(const char *text)
{
        static const SessionKey session_key = { "the key that signs" };
        char again[SESSION_TEXT_MAX];
        Session session;
        int r;

        r = session_read(&session_key, text, NOW, &session);
        check(r == 0 || r == -EBADMSG || r == -ETIME);
        if (r == 0)
                check(session_write(&session_key, &session, again) == 0 && streq(again, text));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        _cleanup_free_ char *text = strndup((const char *) data, size);

        check(text);
        (void) test_token(text);
        test_signed(text);
        test_session(text);
        return 0;
}
