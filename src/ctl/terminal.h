/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What a person's terminal can do: colours, size, and a pager. */

#include "base/macros.h"

typedef enum Colour {
        COLOUR_NORMAL,
        COLOUR_BOLD,
        COLOUR_GREY,
        COLOUR_GREEN,
        COLOUR_YELLOW,
        COLOUR_RED,
        COLOUR_BLUE,
        _COLOUR_MAX,
        _COLOUR_INVALID = -EINVAL,
} Colour;

/* Standard output is a terminal (asked once, before a pager takes its place). */
bool terminal_on(void);

/* What is on a line may be written over: a terminal that knows the usual sequences. */
bool terminal_can_redraw(void);

/* The sequence that turns a colour on; "" where there are no colours (no terminal, NO_COLOR, TERM=dumb). */
const char *colour(Colour c);

/* The same for standard error. */
const char *error_colour(Colour c);

/* $COLUMNS, or the terminal's; 80 where unknown, and UINT_MAX where standard output is no terminal. */
unsigned terminal_width(void);

/* 24 where unknown. */
unsigned terminal_height(void);

/**
 * pager_open() - send standard output through $SYNCRUN_PAGER, $PAGER or less
 *
 * Does nothing where standard output is no terminal, or a pager is open, or it is "cat" or "". Under sudo it is less,
 * and that without its commands that run others.
 */
void pager_open(void);

/* Closes our side and waits until the person has left the pager. Safe to call without an open pager. */
void pager_close(void);
