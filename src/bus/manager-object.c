/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* org.syncrun1.Manager at /org/syncrun1. Its bulk reads stand in manager-describe.c, reports from outside in
 * report-event.c. */

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "bus/access.h"
#include "bus/bus-error.h"
#include "bus/bus-private.h"
#include "bus/describe-filter.h"
#include "bus/manager-deliveries.h"
#include "bus/manager-describe.h"
#include "bus/manager-keys.h"
#include "bus/manager-log.h"
#include "bus/manager-webhooks.h"
#include "bus/report-event.h"
#include "config.h"
#include "store/store.h"

static int property_get_number(sd_bus *b, const char *path, const char *interface, const char *property,
                               sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
        EngineStatus status;
        Bus *bus = userdata;
        const struct {
                const char *name;
                const unsigned *number;
        } numbers[] = {
                { "NConnectors", &status.n_connectors },
                { "NActiveRuns", &status.n_active_runs },
                { "NQueuedRuns", &status.n_queued_runs },
                { "NAttention", &status.n_attention },
        };

        engine_status(bus->engine, &status);
        for (size_t i = 0; i < ELEMENTSOF(numbers); i++)
                if (strcmp(numbers[i].name, property) == 0)
                        return sd_bus_message_append(reply, "u", *numbers[i].number);
        return -ENOENT;
}

static int property_get_version(sd_bus *b, const char *path, const char *interface, const char *property,
                                sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
        return sd_bus_message_append(reply, "s", SYNCRUN_VERSION);
}

static int property_get_storage_error(sd_bus *b, const char *path, const char *interface, const char *property,
                                      sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
        EngineStatus status;
        Bus *bus = userdata;

        engine_status(bus->engine, &status);
        return sd_bus_message_append(reply, "s",
                                     status.storage_error == 0 ? "" : store_error_text(status.storage_error));
}

static int property_get_last_sequence(sd_bus *b, const char *path, const char *interface, const char *property,
                                      sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
        Bus *bus = userdata;

        return sd_bus_message_append(reply, "t", bus->last_seq);
}

static int property_get_history(sd_bus *b, const char *path, const char *interface, const char *property,
                                sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
        char text[2 * sizeof(uint64_t) + 1];
        Bus *bus = userdata;

        (void) snprintf(text, sizeof(text), "%016" PRIx64, store_history(engine_store(bus->engine)));
        return sd_bus_message_append(reply, "s", text);
}

/* ---- Methods */

static int reply_path(sd_bus_message *m, const char *prefix, const char *id, sd_bus_error *error)
{
        _cleanup_free_ char *path = NULL;
        int r;

        r = sd_bus_path_encode(prefix, id, &path);
        return r < 0 ? bus_refuse(error, r) : sd_bus_reply_method_return(m, "o", path);
}

static int method_get_run(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        Bus *bus = userdata;
        const char *id;
        int r;

        r = sd_bus_message_read(m, "s", &id);
        if (r < 0)
                return bus_refuse(error, r);
        if (!engine_find_run(bus->engine, id))
                return bus_refuse_text(error, -ESRCH,
                                       "There is no such run, or only in the history: see DescribeRuns().");
        return reply_path(m, SYNCRUN_PATH_RUN, id, error);
}

static int method_get_connector(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        Connector *connector;
        Bus *bus = userdata;
        const char *name;
        int r;

        r = sd_bus_message_read(m, "s", &name);
        if (r < 0)
                return bus_refuse(error, r);
        connector = describe_find_connector(bus, name, NULL);
        if (!connector)
                return bus_refuse(error, -ENXIO);
        return reply_path(m, SYNCRUN_PATH_CONNECTOR, connector->definition->name, error);
}

static int reload_granted(Bus *bus, sd_bus_message *m, const Caller *caller, sd_bus_error *error)
{
        _cleanup_(pending_freep) Pending *pending = NULL;
        int r;

        r = bus->options.reload ? bus->options.reload(bus->options.userdata) : -EOPNOTSUPP;
        if (r >= 0)
                r = pending_new(bus, m, &pending);
        if (r >= 0)
                r = engine_sync(bus->engine, pending_reply, pending);
        if (r == -EROFS)
                return bus_refuse_text(error, r,
                                       "The history cannot be written: connector files are read as soon as it can be "
                                       "again. 'systemctl status syncrund' says why.");
        if (r == -EACCES) /* ours, and not the caller's */
                return bus_refuse_text(error, -ENOEXEC,
                                       "User " SYNCRUN_USER " may not read the folders of the configuration: 'chmod "
                                       "o+rx' for /etc/syncrun and those below it.");
        if (r < 0)
                return bus_refuse(error, r);
        TAKE_PTR(pending);
        return 1;
}

static int method_reload(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        AccessSubject subject = { 0 };

        return access_ask(userdata, m, &subject, reload_granted, error);
}

#define METHOD       SD_BUS_METHOD_WITH_ARGS
#define EVERYONE     SD_BUS_VTABLE_UNPRIVILEGED
#define NUMBER(name) SD_BUS_PROPERTY(name, "u", property_get_number, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE)

static const sd_bus_vtable vtable[] = {
        SD_BUS_VTABLE_START(0),
        METHOD("StartRun", SD_BUS_ARGS("s", connector, "a{sv}", options),
               SD_BUS_RESULT("s", id, "o", run, "b", already_active, "a{sv}", result), method_start_run, EVERYONE),
        METHOD("CancelRun", SD_BUS_ARGS("s", id), SD_BUS_NO_RESULT, method_cancel_run, EVERYONE),
        METHOD("CancelRunWithOptions", SD_BUS_ARGS("s", id, "a{sv}", options), SD_BUS_NO_RESULT, method_cancel_run,
               EVERYONE),
        METHOD("GetRun", SD_BUS_ARGS("s", id), SD_BUS_RESULT("o", run), method_get_run, EVERYONE),
        METHOD("GetConnector", SD_BUS_ARGS("s", name), SD_BUS_RESULT("o", connector), method_get_connector, EVERYONE),
        METHOD("DescribeLog", SD_BUS_ARGS("s", id, "a{sv}", options), SD_BUS_RESULT("s", log), method_describe_log,
               EVERYONE),
        METHOD("DescribeRuns", SD_BUS_ARGS("a{sv}", filter), SD_BUS_RESULT("s", runs), method_describe_runs, EVERYONE),
        METHOD("DescribeEvents", SD_BUS_ARGS("a{sv}", filter), SD_BUS_RESULT("s", events), method_describe_events,
               EVERYONE),
        METHOD("DescribeBytes", SD_BUS_ARGS("s", method, "a{sv}", filter), SD_BUS_RESULT("ay", json),
               method_describe_bytes, EVERYONE),
        METHOD("ListEvents", SD_BUS_ARGS("a{sv}", filter),
               SD_BUS_RESULT("a(tsss)", events, "t", whole_from, "t", next, "t", last), method_list_events, EVERYONE),
        METHOD("WatchChanges", SD_BUS_NO_ARGS, SD_BUS_RESULT("h", page, "h", life), method_watch_changes, EVERYONE),
        METHOD("DescribeConnectors", SD_BUS_ARGS("a{sv}", filter), SD_BUS_RESULT("s", connectors),
               method_describe_connectors, EVERYONE),
        METHOD("DescribeConnections", SD_BUS_ARGS("a{sv}", filter), SD_BUS_RESULT("s", connections),
               method_describe_connections, EVERYONE),
        METHOD("DescribeStatistics", SD_BUS_NO_ARGS, SD_BUS_RESULT("s", statistics), method_describe_statistics,
               EVERYONE),
        METHOD("DescribeUsers", SD_BUS_ARGS("a{sv}", filter), SD_BUS_RESULT("s", users), method_describe_users,
               EVERYONE),
        METHOD("DescribeDeliveries", SD_BUS_ARGS("a{sv}", filter), SD_BUS_RESULT("s", deliveries),
               method_describe_deliveries, EVERYONE),
        METHOD("ResendDelivery", SD_BUS_ARGS("s", connector, "s", id, "a{sv}", options), SD_BUS_NO_RESULT,
               method_resend_delivery, EVERYONE),
        METHOD("ReconnectConnection", SD_BUS_ARGS("s", connection, "a{sv}", options),
               SD_BUS_RESULT("a(ssob)", runs, "b", reconnecting), method_reconnect, EVERYONE),
        METHOD("WithdrawConsent", SD_BUS_ARGS("s", connection, "a{sv}", options), SD_BUS_NO_RESULT, method_reconnect,
               EVERYONE),
        METHOD("CancelReconnect", SD_BUS_ARGS("s", connection, "a{sv}", options), SD_BUS_NO_RESULT, method_reconnect,
               EVERYONE),
        METHOD("AddApiKey", SD_BUS_ARGS("s", name, "a{sv}", options), SD_BUS_RESULT("s", key), method_add_api_key,
               EVERYONE),
        METHOD("DescribeApiKeys", SD_BUS_ARGS("a{sv}", filter), SD_BUS_RESULT("s", keys), method_describe_api_keys,
               EVERYONE),
        METHOD("RevokeApiKey", SD_BUS_ARGS("s", name), SD_BUS_NO_RESULT, method_revoke_api_key, EVERYONE),
        METHOD("CheckApiKey", SD_BUS_ARGS("s", sha256), SD_BUS_RESULT("s", name, "as", scopes, "s", user),
               method_check_api_key, EVERYONE),
        METHOD("AddWebhookEndpoint", SD_BUS_ARGS("s", url, "a{sv}", options), SD_BUS_RESULT("s", id, "s", endpoint),
               method_webhook, EVERYONE),
        METHOD("UpdateWebhookEndpoint", SD_BUS_ARGS("s", id, "a{sv}", options), SD_BUS_RESULT("s", endpoint),
               method_webhook, EVERYONE),
        METHOD("RemoveWebhookEndpoint", SD_BUS_ARGS("s", id, "a{sv}", options), SD_BUS_NO_RESULT, method_webhook,
               EVERYONE),
        METHOD("DescribeWebhookEndpoints", SD_BUS_ARGS("a{sv}", filter), SD_BUS_RESULT("s", endpoints), method_webhook,
               EVERYONE),
        METHOD("GetWebhookSecret", SD_BUS_ARGS("s", id, "a{sv}", options), SD_BUS_RESULT("s", secret), method_webhook,
               EVERYONE),
        METHOD("RotateWebhookSecret", SD_BUS_ARGS("s", id, "a{sv}", options), SD_BUS_RESULT("s", secret),
               method_webhook, EVERYONE),
        METHOD("TestWebhook", SD_BUS_ARGS("s", id, "a{sv}", options), SD_BUS_RESULT("s", message), method_webhook,
               EVERYONE),
        METHOD("ResendWebhookMessage", SD_BUS_ARGS("s", id, "s", message, "a{sv}", options), SD_BUS_NO_RESULT,
               method_webhook, EVERYONE),
        METHOD("RecoverWebhook", SD_BUS_ARGS("s", id, "t", since, "a{sv}", options), SD_BUS_NO_RESULT, method_webhook,
               EVERYONE),
        METHOD("DescribeWebhookMessages", SD_BUS_ARGS("a{sv}", filter), SD_BUS_RESULT("s", messages), method_webhook,
               EVERYONE),
        METHOD("DescribeWebhookAttempts", SD_BUS_ARGS("a{sv}", filter), SD_BUS_RESULT("s", attempts), method_webhook,
               EVERYONE),
        METHOD("DescribeWebhookEventTypes", SD_BUS_NO_ARGS, SD_BUS_RESULT("s", types),
               method_describe_webhook_event_types, EVERYONE),
        METHOD("Reload", SD_BUS_NO_ARGS, SD_BUS_NO_RESULT, method_reload, EVERYONE),
        METHOD("ReportEvent", SD_BUS_ARGS("a{sv}", event), SD_BUS_NO_RESULT, method_report_event, EVERYONE),
        METHOD("ReportEvents", SD_BUS_ARGS("s", events), SD_BUS_NO_RESULT, method_report_events, EVERYONE),
        METHOD("ReportEventsWithOptions", SD_BUS_ARGS("s", events, "a{sv}", options), SD_BUS_NO_RESULT,
               method_report_events, EVERYONE),

        SD_BUS_PROPERTY("Version", "s", property_get_version, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        NUMBER("NConnectors"),
        NUMBER("NActiveRuns"),
        NUMBER("NQueuedRuns"),
        NUMBER("NAttention"),
        SD_BUS_PROPERTY("StorageError", "s", property_get_storage_error, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("LastSequence", "t", property_get_last_sequence, 0, 0),
        SD_BUS_PROPERTY("History", "s", property_get_history, 0, SD_BUS_VTABLE_PROPERTY_CONST),

        SD_BUS_SIGNAL_WITH_ARGS("RunNew", SD_BUS_ARGS("s", id, "o", run), 0),
        SD_BUS_SIGNAL_WITH_ARGS("RunRemoved", SD_BUS_ARGS("s", id, "o", run), 0),
        SD_BUS_SIGNAL_WITH_ARGS("AttentionChanged",
                                SD_BUS_ARGS("s", connector, "o", path, "s", category, "s", message), 0),
        SD_BUS_SIGNAL("ConnectorsChanged", "", 0),
        SD_BUS_SIGNAL_WITH_ARGS("EventsCommitted", SD_BUS_ARGS("a(tsss)", events), 0),
        SD_BUS_SIGNAL_WITH_ARGS("ApiKeyRevoked", SD_BUS_ARGS("s", name), 0),
        SD_BUS_SIGNAL_WITH_ARGS("WebhookEndpointChanged", SD_BUS_ARGS("s", id, "s", change), 0),
        SD_BUS_SIGNAL_WITH_ARGS("WebhookAttempted",
                                SD_BUS_ARGS("s", id, "s", message, "b", succeeded, "u", http_status), 0),
        SD_BUS_VTABLE_END,
};

const BusObject manager_object = {
        .path = SYNCRUN_PATH,
        .interface = SYNCRUN_IFACE_MANAGER,
        .vtable = vtable,
};
