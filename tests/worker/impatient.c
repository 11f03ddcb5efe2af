/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Put between syncrun-worker's files by the linker: a bus that is not there is taken for gone after a moment. */

#include "base/time-util.h"
#include "client/worker-proxy.h"

#define MOMENT_USEC (300 * USEC_PER_MSEC)

int __real_worker_proxy_new(sd_event *event, const char *connector, WorkerReply reply, void *userdata,
                            WorkerProxy **ret);
int __wrap_worker_proxy_new(sd_event *event, const char *connector, WorkerReply reply, void *userdata,
                            WorkerProxy **ret);

int __wrap_worker_proxy_new(sd_event *event, const char *connector, WorkerReply reply, void *userdata,
                            WorkerProxy **ret)
{
        int r = __real_worker_proxy_new(event, connector, reply, userdata, ret);

        if (r >= 0)
                worker_proxy_set_patience(*ret, MOMENT_USEC);
        return r;
}
