/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "worker/delete-items.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fd-util.h"
#include "base/log.h"
#include "base/string-util.h"
#include "worker/item-db.h"
#include "worker/settle.h"
#include "worker/setup.h"

/* The name of a file's folder is on the disk when the folder is. */
static int sync_folder_of(const char *path)
{
        const char *slash = strrchr(path, '/');
        _cleanup_free_ char *folder = strndup(path, slash == path ? 1 : (size_t) (slash - path));
        _cleanup_close_ int fd = -EBADF;

        if (!folder)
                return -ENOMEM;
        fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        return fd < 0 || fsync(fd) < 0 ? -errno : 0;
}

static int remove_file(const char *path, const char *suffix)
{
        _cleanup_free_ char *file = asprintf_or_null("%s%s", path, suffix);

        if (!file)
                return -ENOMEM;
        return unlink(file) < 0 && errno != ENOENT ? -errno : 0;
}

/* As SQLite names what belongs to a database. A destination that was somebody else's took nothing of ours. */
static int remove_database(const char *connector, const char *path)
{
        static const char *const suffixes[] = { "", "-wal", "-shm", "-journal" };
        _cleanup_free_ char *other = NULL;
        int r;

        r = item_db_may_go(path, connector, &other);
        if (r == 0) {
                log_warning("%s holds the items of connector %s: it is left alone.", path, other);
                return 0;
        }
        if (r == -EMEDIUMTYPE) {
                log_warning("%s holds no items of a connector: it is left alone.", path);
                return 0;
        }
        /* Gone before, or so damaged that nobody can read it. */
        r = r == -ENOENT || r == -EUCLEAN ? 0 : r;
        for (size_t i = 0; r >= 0 && i < ELEMENTSOF(suffixes); i++)
                r = remove_file(path, suffixes[i]);
        return r < 0 ? r : sync_folder_of(path);
}

/* What it stored before its destination became another one. */
static int remove_former(const char *connector, const char *directory)
{
        _cleanup_strv_free_ char **paths = NULL;
        int r;

        r = settle_recall_former(directory, &paths);
        STRV_FOREACH(path, paths) {
                if (r >= 0 || r == -ENOENT)
                        r = remove_database(connector, *path);
                if (r < 0 && r != -ENOENT)
                        return log_error_errno(r, "%s cannot be deleted: %m", *path);
        }
        if (r >= 0 || r == -ENOENT)
                r = settle_forget_former(directory);
        return r < 0 ? log_error_errno(r, "What was stored before in %s cannot be told: %m", directory) : 0;
}

int delete_items(const char *connector)
{
        _cleanup_free_ char *directory = setup_state_directory(connector), *path = NULL, *state = NULL;
        int r;

        if (!directory)
                return log_oom();
        state = asprintf_or_null("%s/" STATE_FILE_NAME, directory);
        if (!state)
                return log_oom();
        r = settle_recall(directory, &path);
        if (r >= 0)
                r = remove_database(connector, path);
        if (r < 0 && r != -ENOENT)
                return log_error_errno(r, "The items of connector %s, in %s, cannot be deleted: %m", connector,
                                       path ?: directory);
        r = remove_former(connector, directory);
        if (r < 0)
                return r;
        r = remove_file(state, "");
        if (r < 0)
                return log_error_errno(r, "%s cannot be deleted: %m", state);
        log_notice("The items of connector %s were deleted.", connector);
        return 0;
}
