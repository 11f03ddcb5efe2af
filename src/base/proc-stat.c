/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "base/proc-stat.h"

#include <stdio.h>
#include <string.h>

#include "base/fd-util.h"
#include "base/string-util.h"

int proc_stat_read(pid_t pid, ProcStat *ret)
{
        _cleanup_free_ char *text = NULL;
        unsigned long long ticks;
        ProcStat stat = {};
        const char *p, *name;
        char path[64];
        int parent, r;

        (void) snprintf(path, sizeof(path), "/proc/%d/stat", pid);
        r = read_file(path, 4 * KIB, &text, NULL);
        if (r < 0)
                return r;
        /* Fields 4 and 22; the command's name, field 2, may hold anything, so count from its closing parenthesis. */
        name = strchr(text, '(');
        p = strrchr(text, ')');
        if (!name || !p ||
            sscanf(p + 1, " %*c %d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d %llu", &parent,
                   &ticks) != 2)
                return -EIO;
        stat.parent = parent;
        stat.start_ticks = ticks;
        (void) snprintf(stat.name, sizeof(stat.name), "%.*s", (int) (p - name - 1), name + 1);
        *ret = stat;
        return 0;
}
