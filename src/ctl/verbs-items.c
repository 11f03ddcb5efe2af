/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* items: what a connector has stored. The destination belongs to the worker, so the worker's program is asked. */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/names.h"
#include "base/string-util.h"
#include "config.h"
#include "ctl/ctl.h"

int verb_items(Ctl *ctl, int argc, char **argv)
{
        const char *worker = getenv(SYNCRUN_ENV_WORKER) ?: SYNCRUN_LIBEXECDIR "/syncrun-worker";
        _cleanup_free_ char *limit = NULL, *stream = NULL;
        char *words[6] = { (char *) worker, (char *) "--items", argv[1] };
        size_t n = 3;

        if (ctl->options.host)
                return ctl_usage_error("Items are read on the machine that has them: 'ssh %s syncrunctl items %s'.",
                                       ctl->options.host, argv[1]);
        if (!connector_name_is_valid(argv[1]))
                return ctl_usage_error("\"%s\" is no connector's name. See 'syncrunctl list'.", argv[1]);
        limit = asprintf_or_null("--limit=%llu",
                                 (unsigned long long) (ctl->options.lines == UINT64_MAX ? 50 : ctl->options.lines));
        words[n++] = limit;
        if (argc > 2)
                words[n++] = stream = asprintf_or_null("--stream=%s", argv[2]);
        if (!words[3] || (argc > 2 && !words[4]))
                return ctl_oom();
        (void) fflush(stdout);
        (void) execv(worker, words);
        return ctl_usage_error("Could not run %s: %m", worker);
}
