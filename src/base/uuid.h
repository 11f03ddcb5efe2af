/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* UUIDs as text (RFC 9562), lower case, 36 characters. */

#include "base/macros.h"

#define UUID_TEXT_MAX 37U /* with the closing NUL */

/* Version 4, random. Return: 0; negative errno where the system has no randomness. */
int uuid_new_v4(char ret[static UUID_TEXT_MAX]) _must_check_;

/* Version 7: sorts by @now_usec (milliseconds, and the rest of them in the twelve bits that follow), then random. */
int uuid_new_v7(usec_t now_usec, char ret[static UUID_TEXT_MAX]) _must_check_;

/* 8-4-4-4-12 hexadecimal digits, either case. */
bool uuid_is_valid(const char *s) _pure_;

/**
 * uuid_normalize() - the lower-case form
 *
 * Return: 0; -EINVAL.
 */
int uuid_normalize(const char *s, char ret[static UUID_TEXT_MAX]) _must_check_;
