/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* FNV-1a of 32 bits: for texts that callers hand back to us, so that one which is not ours is noticed. No secret is in
 * it: who wants to make one can. */

#include <stddef.h>
#include <stdint.h>

#define FNV1A_INIT UINT32_C(2166136261)

/* Goes on from @sum with @size bytes. */
static inline uint32_t fnv1a(uint32_t sum, const void *data, size_t size)
{
        const uint8_t *bytes = data;

        for (size_t i = 0; i < size; i++)
                sum = (sum ^ bytes[i]) * UINT32_C(16777619);
        return sum;
}
