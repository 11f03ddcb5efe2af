/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* SQLite's usual VFS, but for writes that fail when a test says so: a full or broken disk. What it writes is told to
 * power.h. */

/* Makes it the default one; once per process, before any database is opened. */
void fault_vfs_register(void);

/* From the @after-th write, sync or truncation from now on (1: the next), each fails with SQLite's @code. */
void fault_vfs_arm(unsigned after, int code);

/* Calls @meet once, on the thread that does the @after-th write, sync or truncation from now on, just before it. */
void fault_vfs_meet(unsigned after, void (*meet)(void *userdata), void *userdata);

/* Return: how many were made to fail. */
unsigned fault_vfs_disarm(void);
