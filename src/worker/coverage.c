/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* See coverage.h. */

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/digest.h"
#include "base/fd-util.h"
#include "base/string-util.h"
#include "worker/coverage.h"
#include "worker/cursor.h"
#include "worker/item-db.h"
#include "worker/settle.h"

#define VOID_FILE_NAME "void.cursor" /* in the state directory: the cursor that does not hold */

/* Return: 1 if it is another than that of the run before, or none is known of; 0; negative errno. */
static int is_elsewhere(const char *state_directory, const char *path)
{
        _cleanup_free_ char *before = NULL;
        int r;

        r = settle_recall(state_directory, &before);
        if (r == -ENOENT)
                return path != NULL;
        return r < 0 ? r : !streq_null(before, path);
}

int coverage_digest(const char *cursor, char ret[static COVERAGE_DIGEST_SIZE])
{
        uint8_t digest[SHA256_SIZE];
        int r;

        *ret = 0;
        if (isempty(cursor))
                return 0;
        r = sha256(cursor, strlen(cursor), digest);
        if (r >= 0)
                hex_encode(digest, COVERAGE_DIGEST_SIZE / 2, ret);
        return MIN(r, 0);
}

/* By the destination's own marks. Return: 1; 0; -ENOMEM; other negative errnos: they say nothing, or cannot be read.
 */
static int has_all(DestinationType type, const char *path, const char *cursor)
{
        char digest[COVERAGE_DIGEST_SIZE];
        int r;

        r = coverage_digest(cursor, digest);
        if (r < 0)
                return -ENOMEM;
        return path ? item_db_covers(path, destination_type_to_string(type), digest) : -ENODATA;
}

int coverage_check(const char *state_directory, DestinationType type, const char *path, const char *cursor)
{
        _cleanup_free_ char *file = asprintf_or_null("%s/" VOID_FILE_NAME, state_directory), *text = NULL;
        bool noted;
        int r;

        if (!file)
                return -ENOMEM;
        if (isempty(cursor))
                return 0;
        r = read_file(file, CURSOR_BYTES_MAX, &text, NULL);
        if (r < 0 && r != -ENOENT)
                return r;
        noted = r >= 0 && streq(text, cursor);
        r = has_all(type, path, cursor);
        if (r == -ENOMEM)
                return r;
        if (r > 0) /* also where it was away for a time, as a disk that was not mounted */
                return noted ? coverage_renew(state_directory) : 0;
        if (noted)
                return 1;
        if (r < 0) { /* what cannot be read now is not opened either */
                r = is_elsewhere(state_directory, path);
                if (r <= 0)
                        return r;
        }
        r = write_file_atomic(file, cursor, strlen(cursor), 0600);
        return r < 0 ? r : 1;
}

int coverage_renew(const char *state_directory)
{
        _cleanup_free_ char *file = asprintf_or_null("%s/" VOID_FILE_NAME, state_directory);

        if (!file)
                return -ENOMEM;
        return unlink(file) < 0 && errno != ENOENT ? -errno : 0;
}
