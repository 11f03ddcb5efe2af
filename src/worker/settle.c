/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* See settle.h. */

#include <stdlib.h>
#include <unistd.h>

#include "base/fd-util.h"
#include "base/log.h"
#include "base/string-util.h"
#include "worker/reporter.h"
#include "worker/settle.h"
#include "worker/setup.h"

/* In the state directory: the path of the destination's file. */
#define PLACE_FILE_NAME  "destination.path"
#define FORMER_FILE_NAME "destination.former" /* where it was before */
#define PLACE_MAX        (64 * KIB)

typedef struct Settlement {
        sd_event *event;
        Destination *destination;
        WorkerProxy *proxy;
        char *settling;
} Settlement;

/* One a line: a setting is a line, too. Past PLACE_MAX, which takes hundreds of changes, no more are noted, which a
 * person has to know. */
static int note_former(const char *state_directory, const char *path)
{
        _cleanup_free_ char *file = asprintf_or_null("%s/" FORMER_FILE_NAME, state_directory), *text = NULL;
        _cleanup_strv_free_ char **paths = NULL;
        int r;

        r = file ? settle_recall_former(state_directory, &paths) : -ENOMEM;
        if (r < 0 || strv_contains(paths, path))
                return r;
        r = strv_extend(&paths, path);
        if (r < 0)
                return r;
        text = strv_join(paths, "\n");
        if (!text)
                return -ENOMEM;
        if (strlen(text) > PLACE_MAX) {
                log_warning("Path= has changed too often: %s will not be deleted with the connector's items.", path);
                return 0;
        }
        return write_file_atomic(file, text, strlen(text), 0600);
}

int settle_remember(const char *state_directory, const char *path)
{
        _cleanup_free_ char *file = asprintf_or_null("%s/" PLACE_FILE_NAME, state_directory), *before = NULL;
        int r;

        if (!file)
                return -ENOMEM;
        r = settle_recall(state_directory, &before);
        if (r >= 0) {
                if (streq_null(before, path))
                        return 0;
                r = note_former(state_directory, before);
        }
        if (r < 0 && r != -ENOENT)
                return r; /* else what is stored there would be forgotten */
        if (!path)
                return unlink(file) < 0 && errno != ENOENT ? -errno : 0;
        return write_file_atomic(file, path, strlen(path), 0600);
}

int settle_recall_former(const char *state_directory, char ***ret_paths)
{
        _cleanup_free_ char *file = asprintf_or_null("%s/" FORMER_FILE_NAME, state_directory), *text = NULL;
        int r;

        r = file ? read_file(file, PLACE_MAX, &text, NULL) : -ENOMEM;
        if (r == -ENOENT) {
                *ret_paths = NULL;
                return 0;
        }
        return r < 0 ? r : strv_split(text, "\n", ret_paths);
}

int settle_forget_former(const char *state_directory)
{
        _cleanup_free_ char *file = asprintf_or_null("%s/" FORMER_FILE_NAME, state_directory);

        if (!file)
                return -ENOMEM;
        return unlink(file) < 0 && errno != ENOENT ? -errno : 0;
}

int settle_recall(const char *state_directory, char **ret_path)
{
        _cleanup_free_ char *file = asprintf_or_null("%s/" PLACE_FILE_NAME, state_directory);

        return file ? read_file(file, PLACE_MAX, ret_path, NULL) : -ENOMEM;
}

/* Return: as settle_call(). */
static int tell_attempts(Destination *destination, WorkerProxy *proxy, char **settling)
{
        _cleanup_free_ char *text = NULL, *run_id = NULL;
        int r;

        r = destination_next_attempts(destination, &run_id, &text);
        if (r <= 0)
                return r;
        r = worker_proxy_call(proxy, WORKER_REPORT_DELIVERIES, run_id, 0, text);
        if (r < 0)
                return r;
        *settling = TAKE_PTR(run_id);
        return 1;
}

int settle_call(Destination *destination, WorkerProxy *proxy, char **settling)
{
        _cleanup_free_ char *text = NULL, *run_id = NULL;
        Ledger ledger;
        int r;

        free(*settling);
        *settling = NULL;
        r = tell_attempts(destination, proxy, settling);
        if (r != 0)
                return r;
        ledger_init(&ledger);
        r = destination_next_unsettled(destination, &run_id, &ledger);
        if (r > 0)
                r = reporter_write_settlement(&ledger, &text);
        ledger_done(&ledger);
        if (r < 0 || !run_id)
                return r;
        r = worker_proxy_call(proxy, WORKER_SETTLE, run_id, 0, text);
        if (r < 0)
                return r;
        *settling = TAKE_PTR(run_id);
        return 1;
}

int settle_reply(Destination *destination, WorkerMethod method, int r, const char *error, char **settling)
{
        /* A run that the daemon has forgotten, or knows the end of, need not be told again. */
        bool known = r >= 0 || r == -ESRCH || r == -EALREADY || r == -ESTALE;
        /* What it will never take must not stand before all runs to come. */
        bool hopeless = r == -EBADMSG || r == -EINVAL || r == -E2BIG;

        if (hopeless)
                log_warning("The daemon will never take the counts of run %s, which stay as it has them: %s",
                            *settling, strna(error));
        else if (!known) {
                log_warning("The daemon does not take the counts of run %s: %s", *settling, strna(error));
                return 0;
        }
        if ((method == WORKER_SETTLE ? destination_settled(destination, *settling)
                                     : destination_attempts_told(destination, *settling)) < 0) {
                log_warning("The destination could not note that run %s is recorded: %s", *settling,
                            strna(destination->error));
                return 0;
        }
        return 1;
}

static void proceed(Settlement *settlement)
{
        int r = settle_call(settlement->destination, settlement->proxy, &settlement->settling);

        if (r < 0)
                log_error("Untold runs cannot be read: %s", settlement->destination->error ?: strerror(-r));
        if (r <= 0)
                (void) sd_event_exit(settlement->event, r);
}

static void on_reply(WorkerMethod method, int r, const char *error, WorkerAttachment *attachment, void *userdata)
{
        Settlement *settlement = userdata;

        if (settle_reply(settlement->destination, method, r, error, &settlement->settling) > 0)
                proceed(settlement);
        else
                (void) sd_event_exit(settlement->event, 0);
}

static int on_timeout(sd_event_source *source, uint64_t usec, void *userdata)
{
        Settlement *settlement = userdata;

        log_info("The daemon is away; the next run will tell it the counts of this one.");
        return sd_event_exit(settlement->event, 0);
}

static int settle_all(Settlement *settlement, const char *connector)
{
        int r;

        r = sd_event_new(&settlement->event);
        if (r >= 0)
                r = sd_event_add_time_relative(settlement->event, NULL, CLOCK_MONOTONIC, SETTLE_USEC, USEC_PER_MSEC,
                                               on_timeout, settlement);
        if (r >= 0)
                r = worker_proxy_new(settlement->event, connector, on_reply, settlement, &settlement->proxy);
        if (r < 0)
                return log_error_errno(r, "Untold runs cannot be told: %m");
        proceed(settlement);
        return sd_event_loop(settlement->event);
}

int settle_connector(const char *connector)
{
        _cleanup_free_ char *directory = setup_state_directory(connector), *path = NULL;
        DestinationContext context = { .type = DESTINATION_SQLITE };
        Settlement settlement = {};
        int r;

        if (!directory)
                return log_oom();
        r = settle_recall(directory, &path);
        if (r == -ENOENT)
                return 0; /* it never had a file */
        if (r < 0)
                return log_error_errno(r, "Could not read %s/" PLACE_FILE_NAME ": %m", directory);
        context.path = path;
        r = destination_open(&context, NULL, &settlement.destination);
        if (r == -ENOENT)
                r = 0;
        else if (r < 0)
                log_error("Untold runs cannot be read: %s", settlement.destination && settlement.destination->error
                                                                            ? settlement.destination->error
                                                                            : strerror(-r));
        else
                r = settle_all(&settlement, connector);
        worker_proxy_free(settlement.proxy);
        destination_free(settlement.destination);
        sd_event_unref(settlement.event);
        free(settlement.settling);
        return r;
}
