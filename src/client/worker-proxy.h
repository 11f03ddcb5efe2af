/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* org.syncrun1.Worker as the worker calls it: one call at a time, asynchronous, and again for as long as the daemon or
 * the bus is away. A call that may have been recorded is sent again unchanged, with its own sequence number, so that
 * the daemon counts it once. What is reported, and when, is the worker's business. */

#include <systemd/sd-event.h>

#include "base/conf.h"
#include "model/settings.h"

/* What Attach() gives. */
typedef struct WorkerAttachment {
        char *run_id;
        uint64_t sequence; /* of the last recorded call, 0 at first */
        bool full_resync;
        Conf settings;   /* of the connector's file */
        char *cursor;    /* "" for none */
        char **accounts; /* asked for in particular; NULL: all */
        WebhookRules rules; /* of requests to the destination; its ca_file is owned */
} WorkerAttachment;

void worker_attachment_done(WorkerAttachment *attachment);

typedef enum WorkerMethod {
        WORKER_ATTACH,
        WORKER_REPORT,
        WORKER_SAVE_CURSOR,
        WORKER_REPORT_DELIVERIES,
        WORKER_FINISH,
        WORKER_SETTLE,
        _WORKER_METHOD_MAX,
        _WORKER_METHOD_INVALID = -EINVAL,
} WorkerMethod;

typedef struct WorkerProxy WorkerProxy;

/**
 * WorkerReply - the end of a call, or, as the only answer that nobody asked for, of the bus
 * @method:     _WORKER_METHOD_INVALID: the bus has gone for good while no call was under way, @r is -EHOSTUNREACH
 * @r:          0: recorded for good; negative: refused for good, by the refusal's errno (-EACCES, -ESRCH, -EALREADY,
 * ...); -EHOSTUNREACH: the bus has been gone for WORKER_BUS_GONE_USEC
 * @error:      why, in the daemon's words; NULL on success
 * @attachment: of a successful Attach(), borrowed for the call; NULL for others
 */
typedef void (*WorkerReply)(WorkerMethod method, int r, const char *error, WorkerAttachment *attachment,
                            void *userdata);

/**
 * worker_proxy_new() - the Worker interface of a connector; the bus is opened by the first call
 * @event:     the loop; a reference is kept
 * @connector: name; copied
 *
 * Return: 0; -ENOMEM.
 */
int worker_proxy_new(sd_event *event, const char *connector, WorkerReply reply, void *userdata,
                     WorkerProxy **ret) _must_check_;
WorkerProxy *worker_proxy_free(WorkerProxy *proxy);
DEFINE_TRIVIAL_CLEANUP_FUNC(WorkerProxy *, worker_proxy_free);

/* So long a bus that is not there, or not any more, is tried; with a private one the daemon is gone, too, and nobody
 * will ever hear of the run. For a daemon that is away while its bus is there a call waits without limit. */
#define WORKER_BUS_GONE_USEC (10 * USEC_PER_MINUTE)

/** worker_proxy_set_patience() - another time than WORKER_BUS_GONE_USEC */
void worker_proxy_set_patience(WorkerProxy *proxy, usec_t usec);

/**
 * worker_proxy_call() - begin a call; the reply comes from the loop, never from in here, however long it takes
 * @run_id:   copied; unused for WORKER_ATTACH
 * @sequence: unused for WORKER_ATTACH and WORKER_SETTLE
 * @text:     report, cursor or deliveries; copied; unused for WORKER_ATTACH
 *
 * Return: 0; -EBUSY (one is under way); -ENOMEM; another errno of the loop.
 */
int worker_proxy_call(WorkerProxy *proxy, WorkerMethod method, const char *run_id, uint64_t sequence,
                      const char *text) _must_check_;

/** worker_proxy_is_busy() - whether a call is under way */
bool worker_proxy_is_busy(const WorkerProxy *proxy) _pure_;

/** worker_proxy_is_away() - whether the call under way waits for a daemon or bus that could not be reached */
bool worker_proxy_is_away(const WorkerProxy *proxy) _pure_;
