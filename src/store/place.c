/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "store/place.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/string-util.h"

static bool is_nowhere(int error)
{
        return error == ENOENT || error == ENOTDIR;
}

/* Return: 0; -EIDRM: there is none; -ESTALE: another one; errno of stat(2). */
static int compare(const char *path, dev_t dev, ino_t ino)
{
        struct stat st;

        if (stat(path, &st) < 0)
                return is_nowhere(errno) ? -EIDRM : -errno;
        return st.st_dev == dev && st.st_ino == ino ? 0 : -ESTALE;
}

int place_init(Place *place, const char *path, int fd)
{
        struct stat st;

        place->fd = fd;
        place->database = strdup(path);
        place->log = asprintf_or_null("%s-wal", path);
        place->index = asprintf_or_null("%s-shm", path);
        if (!place->database || !place->log || !place->index)
                return -ENOMEM;
        if (fstat(fd, &st) < 0)
                return -errno;
        place->database_dev = st.st_dev;
        place->database_ino = st.st_ino;
        if (stat(place->log, &st) < 0)
                return is_nowhere(errno) ? -ESTALE : -errno;
        place->log_dev = st.st_dev;
        place->log_ino = st.st_ino;
        if (stat(place->index, &st) < 0)
                return is_nowhere(errno) ? -ESTALE : -errno;
        place->index_dev = st.st_dev;
        place->index_ino = st.st_ino;
        return compare(path, place->database_dev, place->database_ino) < 0 ? -ESTALE : 0;
}

void place_done(Place *place)
{
        free(place->database);
        free(place->log);
        free(place->index);
        *place = (Place) {};
}

int place_check(const Place *place)
{
        int r;

        r = compare(place->database, place->database_dev, place->database_ino);
        if (r < 0)
                return r;
        r = compare(place->log, place->log_dev, place->log_ino);
        if (r >= 0)
                r = compare(place->index, place->index_dev, place->index_ino);
        return r == -EIDRM ? -ESTALE : r;
}

bool place_is_divided(const Place *place)
{
        int r;

        if (compare(place->database, place->database_dev, place->database_ino) < 0 ||
            compare(place->log, place->log_dev, place->log_ino) < 0)
                return false;
        r = compare(place->index, place->index_dev, place->index_ino);
        return r == -EIDRM || r == -ESTALE;
}

bool place_is_linked(const Place *place)
{
        struct stat st;

        return fstat(place->fd, &st) < 0 || st.st_nlink > 0;
}

void place_leave(const Place *place)
{
        int r;

        r = compare(place->database, place->database_dev, place->database_ino);
        if (r != -EIDRM && r != -ESTALE)
                return;
        if (compare(place->log, place->log_dev, place->log_ino) < 0)
                return;
        (void) unlink(place->log);
        (void) unlink(place->index);
}
