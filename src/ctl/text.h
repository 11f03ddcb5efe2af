/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Text on its way to a terminal: how wide it is, where it is cut, and what must not get there. Only the locale matters
 * here; what the terminal itself can do is in ctl/terminal. */

#include <stdio.h>

#include "base/macros.h"

#define LINE_BYTES_MAX (64 * KIB) /* more of one text is cut before it reaches the terminal */

/* Columns that @s takes. Colour sequences take none; a byte that the locale's encoding does not know takes one. */
unsigned text_width(const char *s) _pure_;

/**
 * text_print() - write at most @width columns of a text
 * @width: more is cut, and the cut shown by "…" within the width; UINT_MAX: no limit
 *
 * Colour sequences are written even behind the cut, so that the last one, which ends the colour, has its effect.
 *
 * Return: the columns written.
 */
unsigned text_print(FILE *out, const char *s, unsigned width);

/**
 * text_line() - a copy fit for one line of a terminal: line breaks and tabs are blanks, other control characters and
 * broken UTF-8 are U+FFFD
 *
 * Return: the copy, freed by the caller; NULL when out of memory.
 */
char *text_line(const char *s) _must_check_;

/* Characters beyond ASCII, and what stands for them where the locale has no UTF-8. */
typedef enum Glyph {
        GLYPH_BULLET,
        GLYPH_DOT,
        GLYPH_ELLIPSIS,
        GLYPH_BAR_FULL,
        GLYPH_BAR_EMPTY,
        _GLYPH_MAX,
        _GLYPH_INVALID = -EINVAL,
} Glyph;

const char *glyph(Glyph g);
