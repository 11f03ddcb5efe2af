/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* See session.h. The value is "v2.HASH.SECONDS.ID.HMAC", the last over all before its dot. */

#include "http/session.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/fd-util.h"
#include "base/string-util.h"
#include "base/time-util.h"

#define PREFIX   "v2."
#define KEY_FILE "session-key"

int session_key_renew(const char *folder, SessionKey *ret)
{
        _cleanup_free_ char *path = NULL;
        int r;

        r = secret_new(ret->bytes, sizeof(ret->bytes));
        if (r < 0 || !folder)
                return r;
        path = asprintf_or_null("%s/" KEY_FILE, folder);
        if (!path)
                return -ENOMEM;
        return write_file_atomic(path, ret->bytes, sizeof(ret->bytes), S_IRUSR | S_IWUSR) < 0 ? 1 : 0;
}

int session_key_load(const char *folder, SessionKey *ret)
{
        _cleanup_free_ char *path = NULL, *text = NULL;
        size_t size = 0;

        if (folder) {
                path = asprintf_or_null("%s/" KEY_FILE, folder);
                if (!path)
                        return -ENOMEM;
                if (read_file(path, SESSION_KEY_BYTES, &text, &size) >= 0 && size == SESSION_KEY_BYTES) {
                        memcpy(ret->bytes, text, size);
                        explicit_bzero(text, size);
                        return 0;
                }
        }
        return session_key_renew(folder, ret);
}

static int sign(const SessionKey *key, const char *text, size_t size, char ret[static SHA256_HEX_MAX])
{
        uint8_t digest[SHA256_SIZE];
        int r;

        r = hmac_sha256(key->bytes, sizeof(key->bytes), text, size, digest);
        if (r >= 0)
                hex_encode(digest, sizeof(digest), ret);
        return r;
}

int session_begin(const char *hash, usec_t now_usec, Session *ret)
{
        uint8_t id[SESSION_ID_BYTES];
        int r;

        r = secret_new(id, sizeof(id));
        if (r < 0)
                return r;
        hex_encode(id, sizeof(id), ret->id);
        memcpy(ret->hash, hash, sizeof(ret->hash));
        ret->expires_usec = (now_usec + SESSION_USEC) / USEC_PER_SEC * USEC_PER_SEC;
        return 0;
}

int session_write(const SessionKey *key, const Session *session, char ret[static SESSION_TEXT_MAX])
{
        int n = snprintf(ret, SESSION_TEXT_MAX, PREFIX "%s.%llu.%s", session->hash,
                         (unsigned long long) (session->expires_usec / USEC_PER_SEC), session->id);

        ret[n] = '.';
        return sign(key, ret, (size_t) n, ret + n + 1);
}

/* What was signed by us is as we write it. */
static int take_apart(const char *text, Session *ret)
{
        const char *hash = text + strlen(PREFIX), *seconds = hash + 2 * SHA256_SIZE + 1;
        _cleanup_free_ char *number = strndup(seconds, strcspn(seconds, "."));
        uint64_t sec;

        if (!number)
                return -ENOMEM;
        if (parse_uint64(number, &sec) < 0)
                return -EBADMSG;
        (void) snprintf(ret->hash, sizeof(ret->hash), "%.*s", (int) (2 * SHA256_SIZE), hash);
        (void) snprintf(ret->id, sizeof(ret->id), "%.*s", (int) (2 * SESSION_ID_BYTES), seconds + strlen(number) + 1);
        ret->expires_usec = sec * USEC_PER_SEC;
        return 0;
}

int session_read(const SessionKey *key, const char *text, usec_t now_usec, Session *ret)
{
        const char *dot = strrchr(text, '.');
        char expected[SHA256_HEX_MAX];
        Session session;
        int r;

        if (!dot || strlen(text) >= SESSION_TEXT_MAX || strlen(dot + 1) != 2 * SHA256_SIZE)
                return -EBADMSG;
        r = sign(key, text, (size_t) (dot - text), expected);
        if (r < 0)
                return r;
        if (!secrets_equal(expected, dot + 1, 2 * SHA256_SIZE))
                return -EBADMSG;
        r = take_apart(text, &session);
        if (r < 0)
                return r;
        if (session.expires_usec <= now_usec || session.expires_usec - now_usec > SESSION_USEC)
                return -ETIME;
        *ret = session;
        return 0;
}
