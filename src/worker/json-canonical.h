/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* One spelling for each JSON value, so that equal values have equal bytes: members sorted by name, of a repeated name
 * the last, no space, numbers and strings in one form. It serves to compare and to make keys; what is stored is what
 * came. */

#include "base/buffer.h"
#include "worker/json-scan.h"

/**
 * json_canonical_append() - append the canonical text of a value
 * @value: checked by json_scan()
 *
 * Names sort by their bytes. Numbers are exact decimals, however many digits they have: 1.0, 10e-1 and 1 are one
 * value, so are 0 and -0. Zeros at the end become an exponent (12e30) where the number would have more than 21 digits,
 * fractions are written with one (15e-1). Strings keep surrogates that have no partner as escapes. Out of memory is
 * remembered by the buffer.
 */
void json_canonical_append(Buffer *out, JsonSlice value);

/**
 * json_key_append() - append a value as it stands in a key column
 *
 * The canonical text; but a string stands bare, without quotes, unless it would then look like another value or has
 * control characters: "tx-1" is tx-1, 1 is 1, and "1" is "1".
 */
void json_key_append(Buffer *out, JsonSlice value);
