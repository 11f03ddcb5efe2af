/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What /proc says of a process. */

#include <sys/types.h>

#include "base/macros.h"

#define PROC_NAME_MAX 64U

typedef struct ProcStat {
        char name[PROC_NAME_MAX]; /* as the process has set it, cut; the kernel takes 15 bytes */
        pid_t parent;
        uint64_t start_ticks; /* since the machine's start; with the pid it tells one process from all others */
} ProcStat;

/** proc_stat_read() - read /proc/@pid/stat. Return: 0; -ENOENT or -ESRCH (no such process); -EIO (not understood). */
int proc_stat_read(pid_t pid, ProcStat *ret) _must_check_;
