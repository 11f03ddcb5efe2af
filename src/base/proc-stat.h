/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What /proc says of a process. */

#include <sys/types.h>

#include "base/macros.h"

typedef struct ProcStat {
        pid_t parent;
        uint64_t start_ticks; /* since the machine's start; with the pid it tells one process from all others */
} ProcStat;

/** proc_stat_read() - read /proc/@pid/stat. Return: 0; -ENOENT or -ESRCH (no such process); -EIO (not understood). */
int proc_stat_read(pid_t pid, ProcStat *ret) _must_check_;
