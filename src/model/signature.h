/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Signatures of the Standard Webhooks: HMAC-SHA256 over `id.timestamp.body`, with the secret that `whsec_` and base64
 * show. Where a message goes, and when, is no business of this file. */

#include "base/macros.h"

#define SIGNATURE_SECRET_BYTES     32U /* of a new secret */
#define SIGNATURE_SECRET_BYTES_MIN 24U
#define SIGNATURE_SECRET_BYTES_MAX 64U
#define SIGNATURE_SECRET_TEXT_MAX  96U /* of `whsec_` with the longest one, and the closing NUL */

/* A new random secret as text. Return: 0; negative errno where the system has no randomness. */
int signature_secret_new(char ret[static SIGNATURE_SECRET_TEXT_MAX]) _must_check_;

/* `whsec_` and the base64 of 24 to 64 bytes, filled up with `=`; bits of the last letter that stand for nothing are
 * passed over, as by those who verify. */
bool signature_secret_is_valid(const char *secret);

/**
 * signature_make() - the value of the header webhook-signature
 * @secrets: valid ones, at least one; during a rotation the new one first
 * @id:      of the message, without a dot
 * @seconds: of this attempt, since 1970
 * @body:    exactly the bytes that are sent
 * @ret:     set on success only: a "v1,..." for each secret, with blanks between; caller frees
 *
 * Return: 0; -EINVAL (a secret is not valid, or there is none); -ENOMEM.
 */
int signature_make(const char *const *secrets, size_t n_secrets, const char *id, uint64_t seconds, const char *body,
                   size_t size, char **ret) _must_check_;
