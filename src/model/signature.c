/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "model/signature.h"

#include <inttypes.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdlib.h>
#include <sys/random.h>

#include "base/buffer.h"
#include "base/string-util.h"

#define SECRET_PREFIX     "whsec_"
#define BASE64_TEXT(n)    (((n) + 2) / 3 * 4)
#define SHA256_SIZE       32U

static_assert(sizeof(SECRET_PREFIX) + BASE64_TEXT(SIGNATURE_SECRET_BYTES_MAX) <= SIGNATURE_SECRET_TEXT_MAX,
              "the longest secret fits");

int signature_secret_new(char ret[static SIGNATURE_SECRET_TEXT_MAX])
{
        uint8_t key[SIGNATURE_SECRET_BYTES];
        size_t n = strlen(SECRET_PREFIX);

        if (getrandom(key, sizeof(key), 0) != (ssize_t) sizeof(key))
                return errno > 0 ? -errno : -EIO;
        (void) memcpy(ret, SECRET_PREFIX, sizeof(SECRET_PREFIX));
        (void) EVP_EncodeBlock((uint8_t *) ret + n, key, sizeof(key));
        OPENSSL_cleanse(key, sizeof(key));
        return 0;
}

/* Bytes that the base64 stands for, less than what EVP_DecodeBlock() says where it is filled up with '='. Return: -1:
 * it is no base64. */
static int decode(const char *text, uint8_t key[static SIGNATURE_SECRET_BYTES_MAX + 3])
{
        size_t n = strlen(text), n_fill = 0;
        int size;

        if (n == 0 || n % 4 != 0 || n > BASE64_TEXT(SIGNATURE_SECRET_BYTES_MAX))
                return -1;
        while (n_fill < 2 && text[n - 1 - n_fill] == '=')
                n_fill++;
        if (strcspn(text, "= \t\r\n-") != n - n_fill)
                return -1;
        size = EVP_DecodeBlock(key, (const uint8_t *) text, (int) n);
        return size < 0 ? -1 : size - (int) n_fill;
}

/* Return: bytes of the key; -EINVAL. */
static int secret_key(const char *secret, uint8_t key[static SIGNATURE_SECRET_BYTES_MAX + 3])
{
        const char *text = startswith(secret, SECRET_PREFIX);
        int size = text ? decode(text, key) : -1;

        if (size < (int) SIGNATURE_SECRET_BYTES_MIN || size > (int) SIGNATURE_SECRET_BYTES_MAX)
                return -EINVAL;
        return size;
}

bool signature_secret_is_valid(const char *secret)
{
        uint8_t key[SIGNATURE_SECRET_BYTES_MAX + 3];
        bool valid = secret_key(secret, key) > 0;

        OPENSSL_cleanse(key, sizeof(key));
        return valid;
}

static int append_signature(Buffer *out, const char *secret, const Buffer *content)
{
        uint8_t key[SIGNATURE_SECRET_BYTES_MAX + 3], digest[SHA256_SIZE];
        char text[BASE64_TEXT(SHA256_SIZE) + 1];
        int size = secret_key(secret, key);

        if (size < 0)
                return size;
        if (!HMAC(EVP_sha256(), key, size, (const uint8_t *) content->data, content->size, digest, NULL))
                size = -ENOMEM;
        OPENSSL_cleanse(key, sizeof(key));
        if (size < 0)
                return size;
        (void) EVP_EncodeBlock((uint8_t *) text, digest, sizeof(digest));
        buffer_append_format(out, "%sv1,%s", out->size > 0 ? " " : "", text);
        return 0;
}

int signature_make(const char *const *secrets, size_t n_secrets, const char *id, uint64_t seconds, const char *body,
                   size_t size, char **ret)
{
        _cleanup_buffer_ Buffer content = {}, signatures = {};
        int r;

        if (n_secrets == 0)
                return -EINVAL;
        buffer_append_format(&content, "%s.%" PRIu64 ".", id, seconds);
        buffer_append(&content, body, size);
        if (content.failed)
                return -ENOMEM;
        for (size_t i = 0; i < n_secrets; i++) {
                r = append_signature(&signatures, secrets[i], &content);
                if (r < 0)
                        return r;
        }
        return buffer_take(&signatures, ret);
}
