/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What a disk still has after the power failed: all that was synced and, of what was written since, any sectors and
 * not others, in no order. Files that are opened by fault-vfs are remembered while power_begin() is in force. */

#include <sqlite3.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define POWER_SECTOR 512U

/* @lies: the disk says that it has synced, and has not. */
void power_begin(bool lies);
void power_end(void);

/* The power fails at the @after-th write, sync or truncation from now on (1: before the next one is done). What then
 * stands in @promises is what the disk owes. The process goes on: nobody looks at its files any more. */
void power_fail(unsigned after, uint64_t seed, const atomic_ullong *promises);
bool power_has_failed(uint64_t *ret_promises);

/* Writes what is left of the file that was @from, and of its log, to @to. */
void power_restore(const char *from, const char *to);

/* ---- For fault-vfs. */
typedef struct PowerFile PowerFile;

PowerFile *power_open(const char *name, int flags, sqlite3_file *real); /* NULL: not remembered */
void power_write(PowerFile *file, const void *data, int n, sqlite3_int64 offset);
void power_truncate(PowerFile *file, sqlite3_int64 size);
void power_sync(PowerFile *file);
void power_delete(const char *name);
