/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Allocations that fail, one at a time: put between our code and libc by the linker (--wrap), so that those of other
 * libraries go on; SQLite's go through the same count where a test asks for it. */

#include <stdbool.h>

/* The n-th allocation from now on fails (1: the next), of any thread. */
void alloc_fail_at(unsigned n);
/* Return: whether it was come to. */
bool alloc_end(void);

/* What a test allocates for itself does not count. May be nested. */
void alloc_pause(void);
void alloc_resume(void);

/* Of all threads only this one's count from now on. */
void alloc_count_here(void);

/* SQLite's can be counted, too. Before SQLite is first used. */
void alloc_include_sqlite(void);
void alloc_count_sqlite(bool count);

/* Calls @f with its allocations failing in turn: each, or one in @stride. It has to return -ENOMEM, or to do without
 * the memory; and to succeed in the end. It frees what it got. */
void fail_allocations(const char *what, int (*f)(void), unsigned stride);
