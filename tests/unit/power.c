/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "unit/expect.h"

#include "unit/power.h"

#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fd-util.h"
#include "base/macros.h"
#include "base/string-util.h"

#define FILES_MAX 8

typedef struct Pending {
        struct Pending *next;
        sqlite3_int64 offset;
        size_t n;
        bool truncates; /* to offset */
        uint8_t data[];
} Pending;

typedef struct Bytes {
        uint8_t *data;
        size_t n;
} Bytes;

struct PowerFile {
        char name[PATH_MAX];
        Bytes durable;
        Pending *first, **last;
        Bytes left; /* after the failure */
};

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static bool active, lying, failed;
static PowerFile *files[FILES_MAX];
static unsigned countdown;
static uint64_t random_state, promised;
static const atomic_ullong *promises;

/* The same on every machine, and any thread's. */
static unsigned draw(unsigned n)
{
        random_state = random_state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        return (unsigned) (random_state >> 33) % n;
}

static void resize(Bytes *bytes, size_t n)
{
        if (n > bytes->n) {
                bytes->data = realloc(bytes->data, n);
                if (!bytes->data)
                        abort();
                memset(bytes->data + bytes->n, 0, n - bytes->n);
        }
        bytes->n = n;
}

static void put(Bytes *bytes, const uint8_t *data, size_t n, size_t offset)
{
        if (offset + n > bytes->n)
                resize(bytes, offset + n);
        memcpy(bytes->data + offset, data, n);
}

static void drop_pending(PowerFile *file)
{
        while (file->first) {
                Pending *p = file->first;

                file->first = p->next;
                free(p);
        }
        file->last = &file->first;
}

static PowerFile *find(const char *name, bool make)
{
        for (size_t i = 0; i < FILES_MAX; i++)
                if (files[i] && streq(files[i]->name, name))
                        return files[i];
        for (size_t i = 0; make && i < FILES_MAX; i++) {
                if (files[i])
                        continue;
                files[i] = calloc(1, sizeof(PowerFile));
                if (!files[i])
                        abort();
                (void) snprintf(files[i]->name, sizeof(files[i]->name), "%s", name);
                files[i]->last = &files[i]->first;
                return files[i];
        }
        if (make)
                abort();
        return NULL;
}

static void forget(PowerFile *file)
{
        drop_pending(file);
        free(file->durable.data);
        free(file->left.data);
        free(file);
}

void power_begin(bool lies)
{
        (void) pthread_mutex_lock(&mutex);
        active = true;
        lying = lies;
        (void) pthread_mutex_unlock(&mutex);
}

/* Files that are still open are not remembered from now on, either. */
void power_end(void)
{
        (void) pthread_mutex_lock(&mutex);
        active = failed = false;
        countdown = 0;
        for (size_t i = 0; i < FILES_MAX; i++)
                if (files[i]) {
                        forget(files[i]);
                        files[i] = NULL;
                }
        (void) pthread_mutex_unlock(&mutex);
}

void power_fail(unsigned after, uint64_t seed, const atomic_ullong *p)
{
        (void) pthread_mutex_lock(&mutex);
        countdown = after;
        random_state = seed;
        promises = p;
        failed = false;
        (void) pthread_mutex_unlock(&mutex);
}

bool power_has_failed(uint64_t *ret_promises)
{
        bool has;

        (void) pthread_mutex_lock(&mutex);
        has = failed;
        *ret_promises = promised;
        (void) pthread_mutex_unlock(&mutex);
        return has;
}

/* ---- The failure */

/* Of each write all sectors, none or any have come to the disk. */
static void keep_some(PowerFile *file)
{
        unsigned chance = draw(3) * 50; /* percent */

        resize(&file->left, file->durable.n);
        if (file->durable.n > 0)
                memcpy(file->left.data, file->durable.data, file->durable.n);
        for (const Pending *p = file->first; p; p = p->next) {
                if (p->truncates) {
                        if (draw(100) < chance)
                                resize(&file->left, (size_t) p->offset);
                        continue;
                }
                for (size_t i = 0; i < p->n;) {
                        size_t end = ((size_t) p->offset + i) / POWER_SECTOR * POWER_SECTOR + POWER_SECTOR -
                                     (size_t) p->offset;

                        end = MIN(end, p->n);
                        if (draw(100) < chance)
                                put(&file->left, p->data + i, end - i, (size_t) p->offset + i);
                        i = end;
                }
        }
}

/* Called with the mutex held, before an operation is done. */
static void count_down(void)
{
        if (countdown == 0 || --countdown > 0)
                return;
        failed = true;
        promised = atomic_load(promises);
        for (size_t i = 0; i < FILES_MAX; i++)
                if (files[i])
                        keep_some(files[i]);
}

static void restore_one(const char *from, const char *to)
{
        PowerFile *file = find(from, false);

        (void) unlink(to);
        if (file && file->left.n > 0)
                expect_ok(write_file_atomic(to, (const char *) file->left.data, file->left.n, 0600));
}

void power_restore(const char *from, const char *to)
{
        char from_log[PATH_MAX], to_log[PATH_MAX];

        (void) snprintf(from_log, sizeof(from_log), "%s-wal", from);
        (void) snprintf(to_log, sizeof(to_log), "%s-wal", to);
        restore_one(from, to);
        restore_one(from_log, to_log);
}

/* ---- What is done to files */

PowerFile *power_open(const char *name, int flags, sqlite3_file *real)
{
        PowerFile *file = NULL;
        sqlite3_int64 size = 0;

        if (!name || !(flags & (SQLITE_OPEN_MAIN_DB | SQLITE_OPEN_WAL)))
                return NULL;
        (void) pthread_mutex_lock(&mutex);
        if (active && !(file = find(name, false))) {
                file = find(name, true);
                if (real->pMethods->xFileSize(real, &size) != SQLITE_OK)
                        abort();
                resize(&file->durable, (size_t) size);
                if (size > 0 && real->pMethods->xRead(real, file->durable.data, (int) size, 0) != SQLITE_OK)
                        abort();
        }
        (void) pthread_mutex_unlock(&mutex);
        return file;
}

static void remember(PowerFile *file, const void *data, size_t n, sqlite3_int64 offset, bool truncates)
{
        Pending *p = malloc(sizeof(Pending) + n);

        if (!p)
                abort();
        *p = (Pending){ .offset = offset, .n = n, .truncates = truncates };
        if (n > 0)
                memcpy(p->data, data, n);
        *file->last = p;
        file->last = &p->next;
}

void power_write(PowerFile *file, const void *data, int n, sqlite3_int64 offset)
{
        (void) pthread_mutex_lock(&mutex);
        if (active) {
                count_down();
                remember(file, data, (size_t) n, offset, false);
        }
        (void) pthread_mutex_unlock(&mutex);
}

void power_truncate(PowerFile *file, sqlite3_int64 size)
{
        (void) pthread_mutex_lock(&mutex);
        if (active) {
                count_down();
                remember(file, NULL, 0, size, true);
        }
        (void) pthread_mutex_unlock(&mutex);
}

void power_sync(PowerFile *file)
{
        (void) pthread_mutex_lock(&mutex);
        if (active) {
                count_down();
                for (const Pending *p = file->first; p && !lying; p = p->next)
                        if (p->truncates)
                                resize(&file->durable, (size_t) p->offset);
                        else
                                put(&file->durable, p->data, p->n, (size_t) p->offset);
                if (!lying)
                        drop_pending(file);
        }
        (void) pthread_mutex_unlock(&mutex);
}

void power_delete(const char *name)
{
        (void) pthread_mutex_lock(&mutex);
        for (size_t i = 0; active && i < FILES_MAX; i++)
                if (files[i] && streq(files[i]->name, name)) {
                        drop_pending(files[i]);
                        files[i]->durable.n = 0;
                }
        (void) pthread_mutex_unlock(&mutex);
}
