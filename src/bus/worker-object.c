/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* org.syncrun1.Worker at /org/syncrun1/connector/NAME: what the worker of an active run says. The first call of a
 * sender is answered after the engine has found out that it is that worker; further calls of the same sender for the
 * same run are taken at once. The bus never gives a unique name to another, so that nothing has to be forgotten when a
 * worker goes. */

#include <systemd/sd-bus.h>

#define uthash_nonfatal_oom(element) ((element)->lost = true)
#include <utlist.h>

#include "base/log.h"
#include "base/string-util.h"
#include "bus/bus-error.h"
#include "bus/bus-private.h"
#include "bus/sender.h"
#include "engine/account-set.h"

/* Calls of one sender that wait until it is verified, and senders that do; more are refused with QueueFull. */
#define WORKER_WAITING_MAX 16U
#define WORKER_CHECKS_MAX  4096U

/* Of those so many are asked about at a time: after the daemon's restart all workers come at once, and the bus lets a
 * connection wait for 128 answers. */
#define WORKER_CHECKS_AT_ONCE_MAX 32U

/* Who speaks for a connector's active run. */
typedef struct TrustedWorker {
        char *connector;
        char *sender;
        char *run_id;
        bool lost; /* there was no memory to put it into the table */
        UT_hash_handle hh;
} TrustedWorker;

/* A sender that is being verified, with its calls in order. */
typedef struct WorkerCheck {
        Bus *bus;
        char *connector;
        char *sender;
        sd_bus_message *waiting[WORKER_WAITING_MAX];
        size_t n_waiting;
        bool begun;
        sd_bus_slot *slot; /* of the question to the bus driver */
        struct WorkerCheck *prev, *next;
} WorkerCheck;

typedef int (*WorkerHandler)(Bus *bus, sd_bus_message *m, const char *connector, Pending *pending,
                             sd_bus_error *error);

/* ---- The calls */

static int append_settings(sd_bus_message *reply, const Conf *settings)
{
        int r;

        r = sd_bus_message_open_container(reply, 'a', "(sss)");
        for (size_t i = 0; r >= 0 && settings && i < settings->n_items; i++)
                r = sd_bus_message_append(reply, "(sss)", settings->items[i].section, settings->items[i].key,
                                          settings->items[i].value);
        return r < 0 ? r : sd_bus_message_close_container(reply);
}

/* What the administrator allows to requests that go out. */
static int append_rules(sd_bus_message *reply, const WebhookRules *rules)
{
        _cleanup_free_ char *private = NULL;
        int r;

        r = networks_to_text(&rules->private_networks, &private);
        if (r >= 0)
                r = sd_bus_message_append(reply, "{sv}{sv}{sv}{sv}", "webhook_allow_http", "b",
                                          (int) rules->allow_http, "webhook_allow_literals", "b",
                                          (int) rules->allow_literals, "webhook_private_networks", "s", private,
                                          "webhook_timeout_usec", "t", rules->timeout_usec);
        if (r >= 0 && rules->ca_file)
                r = sd_bus_message_append(reply, "{sv}", "webhook_ca_file", "s", rules->ca_file);
        return r;
}

static int append_run_options(sd_bus_message *reply, const AttachReply *attach)
{
        _cleanup_strv_free_ char **accounts = NULL;
        int r;

        r = account_set_names(attach->run->only_accounts, &accounts);
        if (r >= 0)
                r = sd_bus_message_open_container(reply, 'a', "{sv}");
        if (r >= 0 && accounts) {
                r = sd_bus_message_open_container(reply, 'e', "sv");
                if (r >= 0)
                        r = sd_bus_message_append(reply, "s", "accounts");
                if (r >= 0)
                        r = sd_bus_message_open_container(reply, 'v', "as");
                if (r >= 0)
                        r = sd_bus_message_append_strv(reply, accounts);
                if (r >= 0)
                        r = sd_bus_message_close_container(reply);
                if (r >= 0)
                        r = sd_bus_message_close_container(reply);
        }
        if (r >= 0 && attach->rules)
                r = append_rules(reply, attach->rules);
        return r < 0 ? r : sd_bus_message_close_container(reply);
}

static int send_attach_reply(sd_bus_message *m, const AttachReply *attach)
{
        sd_bus_message *reply = NULL;
        int r;

        r = sd_bus_message_new_method_return(m, &reply);
        if (r >= 0)
                r = sd_bus_message_append(reply, "stb", attach->run->id, attach->sequence,
                                          (int) attach->run->full_resync);
        if (r >= 0)
                r = append_settings(reply, attach->settings);
        if (r >= 0)
                r = sd_bus_message_append(reply, "s", strempty(attach->cursor));
        if (r >= 0)
                r = append_run_options(reply, attach);
        if (r >= 0)
                r = sd_bus_send(NULL, reply, NULL);
        sd_bus_message_unref(reply);
        return r;
}

static void attach_reply(int error, const AttachReply *attach, void *userdata)
{
        Pending *pending = userdata;

        if (error >= 0)
                error = send_attach_reply(pending->message, attach);
        if (error < 0)
                pending_refuse(pending, error);
        else
                pending_free(pending);
}

static int handle_attach(Bus *bus, sd_bus_message *m, const char *connector, Pending *pending, sd_bus_error *error)
{
        int r;

        r = engine_worker_attach(bus->engine, connector, attach_reply, pending);
        return r < 0 ? bus_refuse(error, r) : 0;
}

static int read_report(const char *json, RunReport *ret, sd_bus_error *error)
{
        int r;

        r = run_report_parse(json, strlen(json), ret);
        if (r == -EBADMSG)
                return bus_refuse_text(error, r, "The report is not what run reports are.");
        return r < 0 ? bus_refuse(error, r) : 0;
}

static int handle_report(Bus *bus, sd_bus_message *m, const char *connector, Pending *pending, sd_bus_error *error)
{
        bool last = streq(sd_bus_message_get_member(m), "Finish");
        _cleanup_run_report_ RunReport report = RUN_REPORT_INIT;
        const char *run_id, *json;
        uint64_t sequence;
        int r;

        r = sd_bus_message_read(m, "sts", &run_id, &sequence, &json);
        if (r < 0)
                return bus_refuse(error, r);
        r = read_report(json, &report, error);
        if (r < 0)
                return r;
        if (last && report.outcome < 0)
                return bus_refuse_text(error, -EBADMSG, "outcome: a report that finishes a run has one.");
        if (last)
                r = engine_worker_finish(bus->engine, connector, run_id, sequence, &report, pending_reply, pending);
        else
                r = engine_worker_report(bus->engine, connector, run_id, sequence, &report, pending_reply, pending);
        return r < 0 ? bus_refuse(error, r) : 0;
}

static int handle_save_cursor(Bus *bus, sd_bus_message *m, const char *connector, Pending *pending,
                              sd_bus_error *error)
{
        const char *run_id, *cursor;
        uint64_t sequence;
        int r;

        r = sd_bus_message_read(m, "sts", &run_id, &sequence, &cursor);
        if (r < 0)
                return bus_refuse(error, r);
        if (strlen(cursor) > CURSOR_MAX)
                return bus_refuse_text(error, -E2BIG, "cursor: at most %llu bytes.", CURSOR_MAX);
        r = engine_worker_save_cursor(bus->engine, connector, run_id, sequence, cursor, pending_reply, pending);
        return r < 0 ? bus_refuse(error, r) : 0;
}

static int handle_report_deliveries(Bus *bus, sd_bus_message *m, const char *connector, Pending *pending,
                                    sd_bus_error *error)
{
        const char *run_id, *json;
        DeliveryAttempt *attempts;
        uint64_t sequence;
        size_t n;
        int r;

        r = sd_bus_message_read(m, "sts", &run_id, &sequence, &json);
        if (r < 0)
                return bus_refuse(error, r);
        r = delivery_attempts_parse(json, strlen(json), &attempts, &n);
        if (r == -EBADMSG)
                return bus_refuse_text(error, r, "The deliveries are not what reports of deliveries are.");
        if (r < 0)
                return bus_refuse(error, r);
        r = engine_worker_report_deliveries(bus->engine, connector, run_id, sequence, attempts, n, pending_reply,
                                            pending);
        delivery_attempts_free(attempts, n);
        return r < 0 ? bus_refuse(error, r) : 0;
}

static int handle_settle(Bus *bus, sd_bus_message *m, const char *connector, Pending *pending, sd_bus_error *error)
{
        _cleanup_run_report_ RunReport report = RUN_REPORT_INIT;
        const char *run_id, *json;
        int r;

        r = sd_bus_message_read(m, "ss", &run_id, &json);
        if (r < 0)
                return bus_refuse(error, r);
        r = read_report(json, &report, error);
        if (r < 0)
                return r;
        r = engine_worker_settle(bus->engine, connector, run_id, &report, pending_reply, pending);
        return r < 0 ? bus_refuse(error, r) : 0;
}

static const struct {
        const char *member;
        WorkerHandler handle;
} worker_calls[] = {
        { "Attach", handle_attach }, { "Report", handle_report }, { "SaveCursor", handle_save_cursor },
        { "Finish", handle_report }, { "Settle", handle_settle }, { "ReportDeliveries", handle_report_deliveries },
};

static int worker_call(Bus *bus, sd_bus_message *m, const char *connector, sd_bus_error *error)
{
        _cleanup_(pending_freep) Pending *pending = NULL;
        size_t i = 0;
        int r;

        while (!streq(worker_calls[i].member, sd_bus_message_get_member(m)))
                i++;
        r = pending_new(bus, m, &pending);
        if (r < 0)
                return bus_refuse(error, r);
        r = worker_calls[i].handle(bus, m, connector, pending, error);
        if (r < 0)
                return r;
        TAKE_PTR(pending);
        return 1;
}

/* ---- Who calls */

static TrustedWorker *trusted_worker_free(TrustedWorker *worker)
{
        if (!worker)
                return NULL;
        free(worker->connector);
        free(worker->sender);
        free(worker->run_id);
        free(worker);
        return NULL;
}
DEFINE_TRIVIAL_CLEANUP_FUNC(TrustedWorker *, trusted_worker_free);

static bool worker_is_trusted(Bus *bus, const Connector *connector, const char *sender)
{
        TrustedWorker *worker;

        HASH_FIND_STR(bus->trusted_workers, connector->definition->name, worker);
        return worker && connector->run && streq(worker->sender, sender) && streq(worker->run_id, connector->run->id);
}

static int worker_trust(Bus *bus, const char *connector, const char *sender, const char *run_id)
{
        _cleanup_(trusted_worker_freep) TrustedWorker *worker = calloc(1, sizeof(*worker));
        TrustedWorker *before;

        if (!worker || !(worker->connector = strdup(connector)) || !(worker->sender = strdup(sender)) ||
            !(worker->run_id = strdup(run_id)))
                return -ENOMEM;
        HASH_FIND_STR(bus->trusted_workers, connector, before);
        if (before) {
                HASH_DEL(bus->trusted_workers, before);
                trusted_worker_free(before);
        }
        HASH_ADD_KEYPTR(hh, bus->trusted_workers, worker->connector, strlen(worker->connector), worker);
        if (worker->lost)
                return -ENOMEM;
        TAKE_PTR(worker);
        return 0;
}

static WorkerCheck *worker_check_free(WorkerCheck *check)
{
        if (!check)
                return NULL;
        DL_DELETE(check->bus->worker_checks, check);
        if (check->begun)
                check->bus->n_worker_checks_begun--;
        for (size_t i = 0; i < check->n_waiting; i++)
                sd_bus_message_unref(check->waiting[i]);
        sd_bus_slot_unref(check->slot);
        free(check->connector);
        free(check->sender);
        free(check);
        return NULL;
}
DEFINE_TRIVIAL_CLEANUP_FUNC(WorkerCheck *, worker_check_free);

static void worker_checks_begin(Bus *bus);

/* While it is not, what was read at the start may not be shown: that a connector or run is not there says nothing. */
static bool history_can_be_written(const Bus *bus)
{
        EngineStatus status;

        engine_status(bus->engine, &status);
        return status.storage_error == 0;
}

/* All waiting calls are answered here and now, so that none that comes later gets before them. */
static void worker_check_end(WorkerCheck *check, int result)
{
        Bus *bus = check->bus;

        if (result >= 0) {
                const Connector *connector = engine_find_connector(bus->engine, check->connector);

                result = connector && connector->run
                                 ? worker_trust(bus, check->connector, check->sender, connector->run->id)
                         : history_can_be_written(bus) ? -ESRCH
                                                       : -EROFS;
        }
        for (size_t i = 0; i < check->n_waiting; i++) {
                _cleanup_bus_error_ sd_bus_error error = SD_BUS_ERROR_NULL;
                int r = result;

                if (r == -EACCES)
                        r = bus_refuse_text(&error, r, "The caller is not the worker of %s's active run.",
                                            check->connector);
                else if (r >= 0)
                        r = sd_bus_message_rewind(check->waiting[i], true);
                if (r >= 0)
                        r = worker_call(bus, check->waiting[i], check->connector, &error);
                bus_finish_call(check->waiting[i], r, &error);
        }
        worker_check_free(check);
}

static void on_verified(int error, void *userdata)
{
        WorkerCheck *check = userdata;
        Bus *bus = check->bus;

        worker_check_end(check, error);
        if (error != -ESHUTDOWN)
                worker_checks_begin(bus);
}

static int on_credentials(sd_bus_message *reply, void *userdata, sd_bus_error *unused)
{
        WorkerCheck *check = userdata;
        Caller caller;
        int r;

        r = sender_read(check->bus, check->sender, reply, &caller);
        if (r >= 0)
                r = engine_verify_worker(check->bus->engine, check->connector, caller.uid, caller.pid, on_verified,
                                         check);
        if (r < 0)
                on_verified(r, check);
        return 0;
}

static int worker_check_new(Bus *bus, const char *connector, const char *sender, WorkerCheck **ret)
{
        _cleanup_(worker_check_freep) WorkerCheck *check = NULL;
        WorkerCheck *other;
        size_t n = 0;

        DL_COUNT(bus->worker_checks, other, n);
        if (n >= WORKER_CHECKS_MAX)
                return -ENOBUFS;
        check = calloc(1, sizeof(*check));
        if (!check)
                return -ENOMEM;
        check->bus = bus;
        DL_APPEND(bus->worker_checks, check);
        check->connector = strdup(connector);
        check->sender = strdup(sender);
        if (!check->connector || !check->sender)
                return -ENOMEM;
        *ret = TAKE_PTR(check);
        return 0;
}

/* Begins to find out whether the sender is the worker. The check is the callback's on success. */
static int worker_check_begin(WorkerCheck *check)
{
        const Caller *caller = sender_find(check->bus, check->sender);

        check->begun = true;
        check->bus->n_worker_checks_begun++;
        if (caller)
                return engine_verify_worker(check->bus->engine, check->connector, caller->uid, caller->pid,
                                            on_verified, check);
        return sender_ask(check->bus, check->sender, on_credentials, check, &check->slot);
}

/* The next ones in line. */
static void worker_checks_begin(Bus *bus)
{
        WorkerCheck *check = bus->worker_checks;

        while (check && bus->n_worker_checks_begun < WORKER_CHECKS_AT_ONCE_MAX) {
                WorkerCheck *next = check->next;
                int r = check->begun ? 0 : worker_check_begin(check);

                if (r < 0)
                        worker_check_end(check, r);
                check = next;
        }
}

static int worker_verify(Bus *bus, sd_bus_message *m, const char *connector, sd_bus_error *error)
{
        const char *sender = sd_bus_message_get_sender(m);
        WorkerCheck *check;
        int r;

        DL_FOREACH(bus->worker_checks, check)
                if (streq(check->sender, sender) && streq(check->connector, connector))
                        break;
        if (!check) {
                r = worker_check_new(bus, connector, sender, &check);
                if (r < 0)
                        return bus_refuse(error, r);
        }
        if (check->n_waiting >= WORKER_WAITING_MAX)
                return bus_refuse(error, -ENOBUFS);
        check->waiting[check->n_waiting++] = sd_bus_message_ref(m);
        worker_checks_begin(bus);
        return 1;
}

static int method_worker(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        Bus *bus = bus_current(sd_bus_message_get_bus(m));
        const char *sender = sd_bus_message_get_sender(m);
        const Connector *connector = userdata;

        if (!sender)
                return bus_refuse(error, -EACCES);
        if (worker_is_trusted(bus, connector, sender))
                return worker_call(bus, m, connector->definition->name, error);
        return worker_verify(bus, m, connector->definition->name, error);
}

static int worker_find(sd_bus *b, const char *path, const char *interface, void *userdata, void **ret,
                       sd_bus_error *error)
{
        _cleanup_free_ char *name = NULL;
        Bus *bus = userdata;
        int r;

        r = object_name(path, SYNCRUN_PATH_CONNECTOR, &name);
        if (r <= 0)
                return r;
        *ret = engine_find_connector(bus->engine, name);
        if (*ret)
                return 1;
        return history_can_be_written(bus) ? 0 : bus_refuse(error, -EROFS);
}

void workers_free(Bus *bus)
{
        WorkerCheck *check, *next_check;
        TrustedWorker *worker, *next;

        DL_FOREACH_SAFE(bus->worker_checks, check, next_check)
                worker_check_free(check);
        HASH_ITER(hh, bus->trusted_workers, worker, next) {
                HASH_DEL(bus->trusted_workers, worker);
                trusted_worker_free(worker);
        }
}

static const sd_bus_vtable vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_METHOD_WITH_ARGS("Attach", SD_BUS_NO_ARGS,
                                SD_BUS_RESULT("s", run_id, "t", sequence, "b", full_resync, "a(sss)", settings, "s",
                                              cursor, "a{sv}", options),
                                method_worker, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("Report", SD_BUS_ARGS("s", run_id, "t", sequence, "s", report), SD_BUS_NO_RESULT,
                                method_worker, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("SaveCursor", SD_BUS_ARGS("s", run_id, "t", sequence, "s", cursor), SD_BUS_NO_RESULT,
                                method_worker, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("ReportDeliveries", SD_BUS_ARGS("s", run_id, "t", sequence, "s", deliveries),
                                SD_BUS_NO_RESULT, method_worker, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("Finish", SD_BUS_ARGS("s", run_id, "t", sequence, "s", report), SD_BUS_NO_RESULT,
                                method_worker, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("Settle", SD_BUS_ARGS("s", run_id, "s", report), SD_BUS_NO_RESULT, method_worker,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_VTABLE_END,
};

const BusObject worker_object = {
        .path = SYNCRUN_PATH_CONNECTOR,
        .interface = SYNCRUN_IFACE_WORKER,
        .vtable = vtable,
        .find = worker_find,
};
