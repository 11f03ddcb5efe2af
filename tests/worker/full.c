/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A disk under SQLite that takes nothing more while there is a file SYNCRUN_TEST_FULL: it holds the errno of write(2).
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <sqlite3.h>

static ssize_t write_or_not(int fd, const void *data, size_t n, off_t offset)
{
        const char *path = getenv("SYNCRUN_TEST_FULL");
        FILE *file = path ? fopen(path, "re") : NULL;
        int error = 0;

        if (file) {
                if (fscanf(file, "%d", &error) != 1)
                        error = ENOSPC;
                (void) fclose(file);
                errno = error;
                return -1;
        }
        return pwrite(fd, data, n, offset);
}

static void __attribute__((constructor)) take_place(void)
{
        sqlite3_vfs *vfs = sqlite3_vfs_find(NULL);

        if (vfs->xSetSystemCall(vfs, "pwrite", (sqlite3_syscall_ptr) write_or_not) != SQLITE_OK)
                abort();
        (void) vfs->xSetSystemCall(vfs, "pwrite64", (sqlite3_syscall_ptr) write_or_not); /* where there is one */
}
