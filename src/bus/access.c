/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "bus/access.h"

#include <unistd.h>
#include <utlist.h>

#include "base/log.h"
#include "base/string-util.h"
#include "bus/bus-error.h"
#include "bus/bus-private.h"
#include "bus/polkit.h"
#include "bus/sender.h"
#include "bus/shim.h"

const AccessRow access_table[] = {
        { SYNCRUN_IFACE_MANAGER, "StartRun", POLKIT_ACTION_TRIGGER, POLKIT_ACTION_FULL_RESYNC, SHIM_ON_BEHALF },
        { SYNCRUN_IFACE_MANAGER, "CancelRun", POLKIT_ACTION_CANCEL },
        { SYNCRUN_IFACE_MANAGER, "CancelRunWithOptions", POLKIT_ACTION_CANCEL, NULL, SHIM_ON_BEHALF },
        { SYNCRUN_IFACE_MANAGER, "ReconnectConnection", POLKIT_ACTION_RECONNECT, NULL, SHIM_ON_BEHALF },
        { SYNCRUN_IFACE_MANAGER, "WithdrawConsent", POLKIT_ACTION_CONFIGURE, NULL, SHIM_ON_BEHALF },
        { SYNCRUN_IFACE_MANAGER, "CancelReconnect", POLKIT_ACTION_RECONNECT, NULL, SHIM_ON_BEHALF },
        { SYNCRUN_IFACE_MANAGER, "Reload", POLKIT_ACTION_CONFIGURE },
        { SYNCRUN_IFACE_MANAGER, "ReportEvent", POLKIT_ACTION_REPORT },
        { SYNCRUN_IFACE_MANAGER, "ReportEvents", POLKIT_ACTION_REPORT },
        { SYNCRUN_IFACE_MANAGER, "ReportEventsWithOptions", POLKIT_ACTION_REPORT, NULL, SHIM_ON_BEHALF },
        { SYNCRUN_IFACE_MANAGER, "AddApiKey", POLKIT_ACTION_MANAGE_KEYS },
        { SYNCRUN_IFACE_MANAGER, "DescribeApiKeys", POLKIT_ACTION_MANAGE_KEYS },
        { SYNCRUN_IFACE_MANAGER, "RevokeApiKey", POLKIT_ACTION_MANAGE_KEYS },
        { SYNCRUN_IFACE_MANAGER, "CheckApiKey", NULL, NULL, SHIM_ALONE },
        { SYNCRUN_IFACE_MANAGER, "AddWebhookEndpoint", POLKIT_ACTION_MANAGE_WEBHOOKS, NULL, SHIM_ON_BEHALF },
        { SYNCRUN_IFACE_MANAGER, "UpdateWebhookEndpoint", POLKIT_ACTION_MANAGE_WEBHOOKS, NULL, SHIM_ON_BEHALF },
        { SYNCRUN_IFACE_MANAGER, "RemoveWebhookEndpoint", POLKIT_ACTION_MANAGE_WEBHOOKS, NULL, SHIM_ON_BEHALF },
        { SYNCRUN_IFACE_MANAGER, "DescribeWebhookEndpoints", POLKIT_ACTION_MANAGE_WEBHOOKS, NULL, SHIM_ON_BEHALF },
        { SYNCRUN_IFACE_MANAGER, "GetWebhookSecret", POLKIT_ACTION_MANAGE_WEBHOOKS, NULL, SHIM_ON_BEHALF },
        { SYNCRUN_IFACE_MANAGER, "RotateWebhookSecret", POLKIT_ACTION_MANAGE_WEBHOOKS, NULL, SHIM_ON_BEHALF },
        { SYNCRUN_IFACE_MANAGER, "TestWebhook", POLKIT_ACTION_MANAGE_WEBHOOKS, NULL, SHIM_ON_BEHALF },
        { SYNCRUN_IFACE_MANAGER, "ResendWebhookMessage", POLKIT_ACTION_MANAGE_WEBHOOKS, NULL, SHIM_ON_BEHALF },
        { SYNCRUN_IFACE_MANAGER, "RecoverWebhook", POLKIT_ACTION_MANAGE_WEBHOOKS, NULL, SHIM_ON_BEHALF },
        { SYNCRUN_IFACE_MANAGER, "DescribeWebhookMessages", POLKIT_ACTION_MANAGE_WEBHOOKS, NULL, SHIM_ON_BEHALF },
        { SYNCRUN_IFACE_MANAGER, "DescribeWebhookAttempts", POLKIT_ACTION_MANAGE_WEBHOOKS, NULL, SHIM_ON_BEHALF },
        { SYNCRUN_IFACE_MANAGER, "DescribeWebhookEventTypes" },
        { SYNCRUN_IFACE_MANAGER, "DescribeLog", POLKIT_ACTION_READ_LOG, NULL, SHIM_ON_BEHALF },
        { SYNCRUN_IFACE_MANAGER, "GetRun" },
        { SYNCRUN_IFACE_MANAGER, "GetConnector" },
        { SYNCRUN_IFACE_MANAGER, "DescribeRuns" },
        { SYNCRUN_IFACE_MANAGER, "DescribeEvents" },
        { SYNCRUN_IFACE_MANAGER, "DescribeBytes" },
        { SYNCRUN_IFACE_MANAGER, "DescribeConnectors" },
        { SYNCRUN_IFACE_MANAGER, "DescribeConnections" },
        { SYNCRUN_IFACE_MANAGER, "DescribeStatistics" },
        { SYNCRUN_IFACE_MANAGER, "DescribeUsers" },
        { SYNCRUN_IFACE_MANAGER, "ListEvents" },
        { SYNCRUN_IFACE_MANAGER, "WatchChanges" },
        { SYNCRUN_IFACE_MANAGER, "DescribeDeliveries" },
        { SYNCRUN_IFACE_MANAGER, "ResendDelivery", POLKIT_ACTION_TRIGGER, POLKIT_ACTION_MANAGE_WEBHOOKS,
          SHIM_ON_BEHALF },
        { SYNCRUN_IFACE_CONNECTOR, "Start", POLKIT_ACTION_TRIGGER, POLKIT_ACTION_FULL_RESYNC, SHIM_ON_BEHALF },
        { SYNCRUN_IFACE_CONNECTOR, "SetActive", POLKIT_ACTION_CONFIGURE },
        { SYNCRUN_IFACE_CONNECTOR, "Describe" },
        { SYNCRUN_IFACE_RUN, "Cancel", POLKIT_ACTION_CANCEL },
        { SYNCRUN_IFACE_RUN, "Describe" },
        { SYNCRUN_IFACE_CONNECTION, "Reconnect", POLKIT_ACTION_RECONNECT },
        { SYNCRUN_IFACE_CONNECTION, "CancelReconnect", POLKIT_ACTION_RECONNECT },
        { SYNCRUN_IFACE_CONNECTION, "Describe" },
        { SYNCRUN_IFACE_WORKER, "Attach" },
        { SYNCRUN_IFACE_WORKER, "Report" },
        { SYNCRUN_IFACE_WORKER, "SaveCursor" },
        { SYNCRUN_IFACE_WORKER, "ReportDeliveries" },
        { SYNCRUN_IFACE_WORKER, "Finish" },
        { SYNCRUN_IFACE_WORKER, "Settle" },
        { 0 },
};

/* What a query waits for. */
typedef enum QueryState {
        QUERY_WAITING, /* its turn */
        QUERY_LOOKUP,  /* the bus driver: who calls? */
        QUERY_SHIM,    /* PID 1: which uid has the shim? */
        QUERY_ASKED,   /* polkit: may the caller? */
} QueryState;

typedef struct AccessQuery {
        Bus *bus;
        QueryState state;
        sd_bus_message *message;
        const char *action;
        bool for_shim;
        char *connector;
        char *run;
        Caller caller;
        AccessGranted granted;
        sd_bus_slot *slot;        /* of what the bus driver or PID 1 is being asked */
        PolkitQuestion *question; /* ... or polkit */
        struct AccessQuery *prev, *next;
} AccessQuery;

static AccessQuery *query_free(AccessQuery *query)
{
        if (!query)
                return NULL;
        DL_DELETE(query->bus->queries, query);
        sd_bus_slot_unref(query->slot);
        polkit_question_free(query->question);
        sd_bus_message_unref(query->message);
        free(query->connector);
        free(query->run);
        free(query);
        return NULL;
}
DEFINE_TRIVIAL_CLEANUP_FUNC(AccessQuery *, query_free);

const AccessRow *access_find(const char *interface, const char *member)
{
        for (const AccessRow *row = access_table; row->interface; row++)
                if (streq(row->interface, interface) && streq(row->member, member))
                        return row;
        return NULL;
}

static bool caller_is_trusted(const Caller *caller)
{
        return caller->uid == 0 || caller->uid == geteuid();
}

static int query_refuse(PolkitAnswer answer, const char *action, sd_bus_error *error)
{
        switch (answer) {
        case POLKIT_CHALLENGE:
                return sd_bus_error_setf(error, SD_BUS_ERROR_INTERACTIVE_AUTHORIZATION_REQUIRED,
                                         "Authentication is required for %s.", action);
        case POLKIT_MISSING:
                return bus_refuse_text(error, -EACCES, "polkit is not running, so that only root may do this (%s).",
                                       action);
        case POLKIT_TIMEOUT:
                return bus_refuse_text(error, -ETIME, "Nobody gave the permission in time (%s).", action);
        default:
                return bus_refuse_text(error, -EACCES, "polkit does not allow this to the caller (%s).", action);
        }
}

static int refuse_others(sd_bus_error *error)
{
        return bus_refuse_text(error, -EACCES, "Only " SYNCRUN_HTTP_UNIT " may do this.");
}

static int query_grant(AccessQuery *query, sd_bus_error *error)
{
        int r;

        r = sd_bus_message_rewind(query->message, true);
        if (r < 0)
                return r;
        return query->granted(query->bus, query->message, &query->caller, error);
}

static void on_polkit_answer(PolkitAnswer answer, void *userdata)
{
        _cleanup_(query_freep) AccessQuery *query = userdata;
        _cleanup_bus_error_ sd_bus_error error = SD_BUS_ERROR_NULL;
        int r;

        if (answer == POLKIT_GONE)
                return;
        r = answer == POLKIT_YES ? query_grant(query, &error) : query_refuse(answer, query->action, &error);
        bus_finish_call(query->message, r, &error);
}

/* Of one caller, or (NULL) of all. */
static unsigned count_queries(Bus *bus, QueryState state, const char *sender)
{
        AccessQuery *query;
        unsigned n = 0;

        DL_FOREACH(bus->queries, query)
                n += query->state == state && (!sender || streq(sd_bus_message_get_sender(query->message), sender));
        return n;
}

static unsigned count_questions_about(Bus *bus, uid_t uid)
{
        AccessQuery *query;
        unsigned n = 0;

        DL_FOREACH(bus->queries, query)
                n += query->state == QUERY_ASKED && query->caller.uid == uid;
        return n;
}

static void lookups_begin(Bus *bus);

static int on_shim_answer(sd_bus_message *reply, void *userdata, sd_bus_error *unused)
{
        _cleanup_(query_freep) AccessQuery *query = userdata;
        _cleanup_bus_error_ sd_bus_error error = SD_BUS_ERROR_NULL;
        Bus *bus = query->bus;
        uid_t uid;
        int r;

        r = shim_read(reply, &uid);
        query->caller.is_shim = r >= 0 && uid == query->caller.uid;
        /* Where PID 1 did not answer, the next call asks again. */
        if (r >= 0 || r == -ENOENT)
                sender_set_shim(bus, sd_bus_message_get_sender(query->message), query->caller.is_shim);
        if (query->caller.is_shim)
                r = query_grant(query, &error);
        else
                r = r >= 0 || r == -ENOENT ? refuse_others(&error) : bus_refuse(&error, r);
        bus_finish_call(query->message, r, &error);
        query = query_free(query);
        lookups_begin(bus);
        return 0;
}

/* Only the shim may. Return: as query_proceed(). */
static int query_shim(AccessQuery *query, sd_bus_error *error)
{
        int r;

        if (query->caller.is_shim >= 0) {
                r = query->caller.is_shim ? query_grant(query, error) : refuse_others(error);
                return MIN(r, 0);
        }
        /* One question for all calls of a sender: the others wait for what it finds. */
        query->state = QUERY_WAITING;
        if (count_queries(query->bus, QUERY_SHIM, sd_bus_message_get_sender(query->message)) > 0 ||
            count_queries(query->bus, QUERY_SHIM, NULL) >= ACCESS_LOOKUPS_AT_ONCE_MAX)
                return 1;
        query->state = QUERY_SHIM;
        r = shim_ask(query->bus, on_shim_answer, query, &query->slot);
        return r < 0 ? bus_refuse(error, r) : 1;
}

/* The caller is known. Return: 1, and the query is kept; 0 it is done; negative errno. */
static int query_proceed(AccessQuery *query, sd_bus_error *error)
{
        AccessSubject subject = { .connector = query->connector, .run = query->run };
        int r;

        query->slot = sd_bus_slot_unref(query->slot);
        if (caller_is_trusted(&query->caller)) {
                r = query_grant(query, error);
                return r < 0 ? r : 0;
        }
        if (query->for_shim)
                return query_shim(query, error);
        if (count_queries(query->bus, QUERY_ASKED, NULL) >= ACCESS_QUESTIONS_MAX ||
            count_questions_about(query->bus, query->caller.uid) >= ACCESS_QUESTIONS_PER_USER_MAX)
                return bus_refuse(error, -ENOBUFS);
        query->state = QUERY_ASKED;
        r = polkit_ask(query->bus, query->message, query->action, &subject, on_polkit_answer, query,
                       &query->question);
        return r < 0 ? bus_refuse(error, r) : 1;
}

static int on_sender_answer(sd_bus_message *reply, void *userdata, sd_bus_error *unused)
{
        _cleanup_(query_freep) AccessQuery *query = userdata;
        _cleanup_bus_error_ sd_bus_error error = SD_BUS_ERROR_NULL;
        Bus *bus = query->bus;
        int r;

        r = sender_read(bus, sd_bus_message_get_sender(query->message), reply, &query->caller);
        if (r >= 0)
                r = query_proceed(query, &error);
        if (r > 0)
                TAKE_PTR(query);
        else {
                bus_finish_call(query->message, r, &error);
                query = query_free(query);
        }
        lookups_begin(bus);
        return 0;
}

/* Return: as query_proceed(). */
static int query_begin(AccessQuery *query, sd_bus_error *error)
{
        const char *sender = sd_bus_message_get_sender(query->message);
        const Caller *caller = sender_find(query->bus, sender);
        int r;

        if (caller) {
                query->caller = *caller;
                return query_proceed(query, error);
        }
        if (count_queries(query->bus, QUERY_LOOKUP, NULL) >= ACCESS_LOOKUPS_AT_ONCE_MAX)
                return 1;
        query->state = QUERY_LOOKUP;
        r = sender_ask(query->bus, sender, on_sender_answer, query, &query->slot);
        return r < 0 ? bus_refuse(error, r) : 1;
}

/* The next ones in line. */
static void lookups_begin(Bus *bus)
{
        AccessQuery *query, *next;

        DL_FOREACH_SAFE(bus->queries, query, next) {
                _cleanup_bus_error_ sd_bus_error error = SD_BUS_ERROR_NULL;
                int r = query->state == QUERY_WAITING ? query_begin(query, &error) : 1;

                if (r > 0)
                        continue;
                bus_finish_call(query->message, r, &error);
                query_free(query);
        }
}

static int query_new(Bus *bus, sd_bus_message *m, const char *action, const AccessSubject *subject,
                     AccessGranted granted, AccessQuery **ret)
{
        _cleanup_(query_freep) AccessQuery *query = NULL;

        if (count_queries(bus, QUERY_WAITING, NULL) >= ACCESS_WAITING_MAX)
                return -ENOBUFS;
        query = calloc(1, sizeof(*query));
        if (!query)
                return -ENOMEM;
        query->bus = bus;
        query->message = sd_bus_message_ref(m);
        query->action = action;
        query->granted = granted;
        DL_APPEND(bus->queries, query);
        if ((subject->connector && !(query->connector = strdup(subject->connector))) ||
            (subject->run && !(query->run = strdup(subject->run))))
                return -ENOMEM;
        *ret = TAKE_PTR(query);
        return 0;
}

int access_ask(Bus *bus, sd_bus_message *m, const AccessSubject *subject, AccessGranted granted, sd_bus_error *error)
{
        const AccessRow *row = access_find(sd_bus_message_get_interface(m), sd_bus_message_get_member(m));
        const char *sender = sd_bus_message_get_sender(m);
        bool full = subject->full_resync || subject->lifecycle;
        _cleanup_(query_freep) AccessQuery *query = NULL;
        int r;

        if (!row || !sender || (row->shim == SHIM_AS_OTHERS && (!row->action || subject->on_behalf)))
                return bus_refuse(error, -EACCES);
        r = query_new(bus, m, full && row->action_full ? row->action_full : row->action, subject, granted, &query);
        if (r < 0)
                return bus_refuse(error, r);
        query->for_shim = row->shim == SHIM_ALONE || subject->on_behalf;
        r = query_begin(query, error);
        if (r > 0)
                TAKE_PTR(query);
        return r < 0 ? r : 1;
}

void access_free(Bus *bus)
{
        AccessQuery *query, *next;

        DL_FOREACH_SAFE(bus->queries, query, next)
                query_free(query);
}
