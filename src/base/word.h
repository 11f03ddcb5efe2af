/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Words of a line by the quoting rules of systemd.syntax(7): "...", '...' and C escapes. */

#include "base/macros.h"

/**
 * word_extract() - the next word, as systemd 252 takes it from ExecStart= and Environment=
 * @p:          where to begin; on success behind the word and the white space that follows it
 * @ret:        the word without its quotes, which may be empty; set when 1 is returned; caller frees
 * @ret_odd:    set to true where a backslash begins no known escape and was kept as it stands; else left alone; may be
 *              NULL
 *
 * Return: 1; 0 there is no further word; -EINVAL (a quote is left open); -ENOMEM.
 */
int word_extract(const char **p, char **ret, bool *ret_odd) _must_check_;
