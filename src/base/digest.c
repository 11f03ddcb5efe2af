/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "base/digest.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <string.h>
#include <sys/random.h>

int sha256(const void *data, size_t size, uint8_t ret[static SHA256_SIZE])
{
        return EVP_Digest(data, size, ret, NULL, EVP_sha256(), NULL) == 1 ? 0 : -ENOMEM;
}

int hmac_sha256(const void *key, size_t key_size, const void *data, size_t size, uint8_t ret[static SHA256_SIZE])
{
        return HMAC(EVP_sha256(), key, (int) key_size, data, size, ret, NULL) ? 0 : -ENOMEM;
}

void hex_encode(const void *data, size_t size, char *ret)
{
        static const char digits[] = "0123456789abcdef";
        const uint8_t *bytes = data;

        for (size_t i = 0; i < size; i++) {
                *ret++ = digits[bytes[i] >> 4];
                *ret++ = digits[bytes[i] & 0xf];
        }
        *ret = '\0';
}

static int digit_value(char c)
{
        if (c >= '0' && c <= '9')
                return c - '0';
        return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -EINVAL;
}

int hex_decode(const char *text, size_t size, void *ret)
{
        uint8_t *bytes = ret;

        if (strlen(text) != 2 * size)
                return -EINVAL;
        for (size_t i = 0; i < size; i++) {
                int high = digit_value(text[2 * i]), low = digit_value(text[2 * i + 1]);

                if (high < 0 || low < 0)
                        return -EINVAL;
                bytes[i] = (uint8_t) (high << 4 | low);
        }
        return 0;
}

bool secrets_equal(const void *a, const void *b, size_t size)
{
        return CRYPTO_memcmp(a, b, size) == 0;
}

int secret_new(void *ret, size_t size)
{
        ssize_t n = getrandom(ret, size, 0);

        if (n < 0)
                return -errno;
        return (size_t) n == size ? 0 : -EIO; /* only for more than 256 bytes */
}
