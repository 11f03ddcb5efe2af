/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* See hold.h. */

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/fd-util.h"
#include "base/string-util.h"
#include "worker/cursor.h"
#include "worker/hold.h"

#define HOLD_FILE_NAME "held-back.cursor"

int hold_remember(const char *state_directory, const char *cursor)
{
        _cleanup_free_ char *file = asprintf_or_null("%s/" HOLD_FILE_NAME, state_directory);

        if (!file)
                return -ENOMEM;
        if (!cursor)
                return unlink(file) < 0 && errno != ENOENT ? -errno : 0;
        return write_file_atomic(file, cursor, strlen(cursor), 0600);
}

bool hold_recall(const char *state_directory, const char *cursor)
{
        _cleanup_free_ char *file = asprintf_or_null("%s/" HOLD_FILE_NAME, state_directory), *held = NULL;

        return file && read_file(file, CURSOR_BYTES_MAX, &held, NULL) >= 0 && streq(held, cursor);
}
