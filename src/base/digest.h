/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* SHA-256 and its HMAC by libcrypto, hexadecimal digits, and what secrets need. */

#include "base/macros.h"

#define SHA256_SIZE    32U
#define SHA256_HEX_MAX (2 * SHA256_SIZE + 1) /* as text, with the closing NUL */

/* Return: 0; -ENOMEM. */
int sha256(const void *data, size_t size, uint8_t ret[static SHA256_SIZE]) _must_check_;

/* HMAC of RFC 2104 with SHA-256. Return: 0; -ENOMEM. */
int hmac_sha256(const void *key, size_t key_size, const void *data, size_t size,
                uint8_t ret[static SHA256_SIZE]) _must_check_;

/* Lower-case digits, 2 * @size + 1 bytes with the closing NUL. */
void hex_encode(const void *data, size_t size, char *ret);

/* Exactly 2 * @size lower-case digits. Return: 0; -EINVAL. */
int hex_decode(const char *text, size_t size, void *ret) _must_check_;

/* Takes as long whatever differs, and where. */
bool secrets_equal(const void *a, const void *b, size_t size);

/* Random bytes that nobody can guess. Return: 0; negative errno where the system has none. */
int secret_new(void *ret, size_t size) _must_check_;
