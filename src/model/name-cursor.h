/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Where a page of connectors or connections ended, as text that a caller hands back unread: the name, which may be of
 * what is no more, with a checksum, so that a text that is not ours is refused instead of read as some place. */

#include "base/string-util.h"

typedef enum NameCursor {
        NAME_CURSOR_CONNECTORS,
        NAME_CURSOR_CONNECTIONS,
        _NAME_CURSOR_MAX,
        _NAME_CURSOR_INVALID = -EINVAL,
} NameCursor;

#define NAME_CURSOR_TEXT_MAX (CONNECTOR_NAME_MAX + sizeof(".01234567"))

/* @name: of a connector or connection. Return: @buf. */
char *name_cursor_format(char buf[static NAME_CURSOR_TEXT_MAX], NameCursor kind, const char *name);

/* Return: 0; -EINVAL. */
int name_cursor_parse(const char *text, NameCursor kind, char ret[static CONNECTOR_NAME_MAX + 1]) _must_check_;
