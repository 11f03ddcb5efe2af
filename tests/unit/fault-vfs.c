/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "unit/fault-vfs.h"

#include <assert.h>
#include <pthread.h>
#include <sqlite3.h>
#include <string.h>

#include "unit/power.h"

typedef struct FaultFile {
        sqlite3_file base;
        sqlite3_file *real; /* in the bytes that follow */
        PowerFile *power;   /* NULL: not remembered */
} FaultFile;

static sqlite3_vfs *usual;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static unsigned countdown, n_failed;
static int failure;
static void (*meeting)(void *userdata);
static void *meeting_userdata;

static int next_result(void)
{
        int code = SQLITE_OK;

        (void) pthread_mutex_lock(&mutex);
        if (countdown > 1) {
                countdown--;
        } else if (countdown == 1 && meeting) {
                countdown = 0;
                meeting(meeting_userdata);
        } else if (countdown == 1) {
                n_failed++;
                code = failure;
        }
        (void) pthread_mutex_unlock(&mutex);
        return code;
}

static void arm(unsigned after, int code, void (*meet)(void *userdata), void *userdata)
{
        (void) pthread_mutex_lock(&mutex);
        countdown = after;
        failure = code;
        meeting = meet;
        meeting_userdata = userdata;
        n_failed = 0;
        (void) pthread_mutex_unlock(&mutex);
}

void fault_vfs_arm(unsigned after, int code)
{
        arm(after, code, NULL, NULL);
}

void fault_vfs_meet(unsigned after, void (*meet)(void *userdata), void *userdata)
{
        arm(after, SQLITE_OK, meet, userdata);
}

unsigned fault_vfs_disarm(void)
{
        unsigned n;

        (void) pthread_mutex_lock(&mutex);
        countdown = 0;
        n = n_failed;
        (void) pthread_mutex_unlock(&mutex);
        return n;
}

#define REAL(file)  (((FaultFile *) (file))->real)
#define POWER(file) (((FaultFile *) (file))->power)

static int fault_close(sqlite3_file *file)
{
        return REAL(file)->pMethods->xClose(REAL(file));
}

static int fault_read(sqlite3_file *file, void *data, int n, sqlite3_int64 offset)
{
        return REAL(file)->pMethods->xRead(REAL(file), data, n, offset);
}

static int fault_write(sqlite3_file *file, const void *data, int n, sqlite3_int64 offset)
{
        int code = next_result();

        if (POWER(file) && code == SQLITE_OK)
                power_write(POWER(file), data, n, offset);
        return code != SQLITE_OK ? code : REAL(file)->pMethods->xWrite(REAL(file), data, n, offset);
}

static int fault_truncate(sqlite3_file *file, sqlite3_int64 size)
{
        int code = next_result();

        if (POWER(file) && code == SQLITE_OK)
                power_truncate(POWER(file), size);
        return code != SQLITE_OK ? code : REAL(file)->pMethods->xTruncate(REAL(file), size);
}

static int fault_sync(sqlite3_file *file, int flags)
{
        int code = next_result();

        if (POWER(file) && code == SQLITE_OK)
                power_sync(POWER(file));
        return code != SQLITE_OK ? code : REAL(file)->pMethods->xSync(REAL(file), flags);
}

static int fault_file_size(sqlite3_file *file, sqlite3_int64 *ret)
{
        return REAL(file)->pMethods->xFileSize(REAL(file), ret);
}

static int fault_lock(sqlite3_file *file, int level)
{
        return REAL(file)->pMethods->xLock(REAL(file), level);
}

static int fault_unlock(sqlite3_file *file, int level)
{
        return REAL(file)->pMethods->xUnlock(REAL(file), level);
}

static int fault_check_reserved_lock(sqlite3_file *file, int *ret)
{
        return REAL(file)->pMethods->xCheckReservedLock(REAL(file), ret);
}

static int fault_file_control(sqlite3_file *file, int op, void *argument)
{
        return REAL(file)->pMethods->xFileControl(REAL(file), op, argument);
}

static int fault_sector_size(sqlite3_file *file)
{
        return REAL(file)->pMethods->xSectorSize(REAL(file));
}

static int fault_device_characteristics(sqlite3_file *file)
{
        return REAL(file)->pMethods->xDeviceCharacteristics(REAL(file));
}

static int fault_shm_map(sqlite3_file *file, int region, int size, int extend, void volatile **ret)
{
        return REAL(file)->pMethods->xShmMap(REAL(file), region, size, extend, ret);
}

static int fault_shm_lock(sqlite3_file *file, int offset, int n, int flags)
{
        return REAL(file)->pMethods->xShmLock(REAL(file), offset, n, flags);
}

static void fault_shm_barrier(sqlite3_file *file)
{
        REAL(file)->pMethods->xShmBarrier(REAL(file));
}

static int fault_shm_unmap(sqlite3_file *file, int delete)
{
        return REAL(file)->pMethods->xShmUnmap(REAL(file), delete);
}

static const sqlite3_io_methods methods = {
        .iVersion = 2,
        .xClose = fault_close,
        .xRead = fault_read,
        .xWrite = fault_write,
        .xTruncate = fault_truncate,
        .xSync = fault_sync,
        .xFileSize = fault_file_size,
        .xLock = fault_lock,
        .xUnlock = fault_unlock,
        .xCheckReservedLock = fault_check_reserved_lock,
        .xFileControl = fault_file_control,
        .xSectorSize = fault_sector_size,
        .xDeviceCharacteristics = fault_device_characteristics,
        .xShmMap = fault_shm_map,
        .xShmLock = fault_shm_lock,
        .xShmBarrier = fault_shm_barrier,
        .xShmUnmap = fault_shm_unmap,
};

static int fault_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags, int *ret_flags)
{
        FaultFile *f = (FaultFile *) file;
        int code;

        f->real = (sqlite3_file *) (f + 1);
        code = usual->xOpen(usual, name, f->real, flags, ret_flags);
        f->base.pMethods = f->real->pMethods ? &methods : NULL;
        f->power = code == SQLITE_OK ? power_open(name, flags, f->real) : NULL;
        return code;
}

static int fault_delete(sqlite3_vfs *vfs, const char *name, int sync_folder)
{
        power_delete(name);
        return usual->xDelete(usual, name, sync_folder);
}

void fault_vfs_register(void)
{
        static sqlite3_vfs vfs;

        usual = sqlite3_vfs_find(NULL);
        assert(usual);
        vfs = *usual;
        vfs.zName = "fault";
        vfs.szOsFile = (int) sizeof(FaultFile) + usual->szOsFile;
        vfs.xOpen = fault_open;
        vfs.xDelete = fault_delete;
        if (sqlite3_vfs_register(&vfs, 1) != SQLITE_OK)
                __builtin_trap();
}
