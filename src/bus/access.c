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

/* A call that has not been let through yet. */
typedef struct AccessQuery {
        Turn turn; /* among newcomers, then claimants */
        Bus *bus;
        sd_bus_message *message;
        const char *action;
        bool for_shim;
        char *connector;
        char *run;
        Caller caller;
        AccessGranted granted;
        PolkitQuestion *question; /* then it is in the bus's list */
        struct AccessQuery *prev, *next;
} AccessQuery;

static AccessQuery *query_free(AccessQuery *query)
{
        if (!query)
                return NULL;
        turn_leave(&query->turn);
        if (query->question)
                DL_DELETE(query->bus->questions, query);
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

static int query_ask_polkit(AccessQuery *query, sd_bus_error *error)
{
        AccessSubject subject = { .connector = query->connector, .run = query->run };
        unsigned n = 0, n_about_user = 0;
        AccessQuery *other;
        int r;

        DL_FOREACH(query->bus->questions, other) {
                n++;
                n_about_user += other->caller.uid == query->caller.uid;
        }
        if (n >= ACCESS_QUESTIONS_MAX || n_about_user >= ACCESS_QUESTIONS_PER_USER_MAX)
                return bus_refuse(error, -ENOBUFS);
        r = polkit_ask(query->bus, query->message, query->action, &subject, on_polkit_answer, query, &query->question);
        if (r < 0)
                return bus_refuse(error, r);
        DL_APPEND(query->bus->questions, query);
        return 1;
}

/* ---- Waiting for what is asked about the sender */

static void query_finish(AccessQuery *query, int r, const sd_bus_error *error)
{
        bus_finish_call(query->message, r, error);
        query_free(query);
}

static void query_give_way(Turn *turn)
{
        if (turn)
                query_finish(container_of(turn, AccessQuery, turn), -ENOBUFS, NULL);
}

static int query_wait(AccessQuery *query, Turns *turns, sd_bus_error *error)
{
        Turn *displaced;
        int r;

        r = turns_add(turns, sd_bus_message_get_sender(query->message), &query->turn, &displaced);
        if (r < 0)
                return bus_refuse(error, r);
        query_give_way(displaced);
        return 1;
}

static void refuse_all(TurnTaker *taker, int r)
{
        Turn *turn, *next, *first = turn_taker_end(taker);

        DL_FOREACH_SAFE(first, turn, next)
        query_finish(container_of(turn, AccessQuery, turn), r, NULL);
}

static int query_proceed(AccessQuery *query, sd_bus_error *error);
static void claimants_begin(Bus *bus);
static void newcomers_begin(Bus *bus);

static void proceed_all(TurnTaker *taker, const Caller *caller)
{
        Turn *turn, *next, *first = turn_taker_end(taker);

        DL_FOREACH_SAFE(first, turn, next)
        {
                _cleanup_bus_error_ sd_bus_error error = SD_BUS_ERROR_NULL;
                AccessQuery *query = container_of(turn, AccessQuery, turn);
                int r;

                query->caller = *caller;
                r = query_proceed(query, &error);
                if (r <= 0)
                        query_finish(query, r, &error);
        }
}

/* ---- Is it the HTTP shim? */

static int on_shim_answer(sd_bus_message *reply, void *userdata, sd_bus_error *unused)
{
        TurnTaker *taker = userdata;
        Bus *bus = taker->turns->userdata;
        Caller caller = container_of(taker->first, AccessQuery, turn)->caller;
        uid_t uid;
        int r;

        r = shim_read(reply, &uid);
        /* Where PID 1 did not answer, the next call asks again. */
        if (r >= 0 || r == -ENOENT) {
                caller.is_shim = r >= 0 && uid == caller.uid;
                sender_set_shim(bus, taker->name, caller.is_shim);
                proceed_all(taker, &caller);
        } else
                refuse_all(taker, r);
        claimants_begin(bus);
        return 0;
}

static void claimants_begin(Bus *bus)
{
        while (bus->claimants.line && bus->claimants.n_begun < ACCESS_LOOKUPS_AT_ONCE_MAX) {
                TurnTaker *taker = turns_begin(&bus->claimants);
                int r = shim_ask(bus, on_shim_answer, taker, &taker->slot);

                if (r < 0)
                        refuse_all(taker, r);
        }
}

/* Only the shim may. One question for all calls of a sender. Return: as query_proceed(). */
static int query_shim(AccessQuery *query, sd_bus_error *error)
{
        int r;

        if (query->caller.is_shim == 0)
                return refuse_others(error);
        if (query->caller.is_shim > 0)
                return MIN(query_grant(query, error), 0);
        r = query_wait(query, &query->bus->claimants, error);
        if (r > 0)
                claimants_begin(query->bus);
        return r;
}

/* ---- Who is it? */

/* The caller is known. Return: 1, and the query is kept; 0 it is done; negative errno. */
static int query_proceed(AccessQuery *query, sd_bus_error *error)
{
        if (caller_is_trusted(&query->caller) || (!query->action && !query->for_shim))
                return MIN(query_grant(query, error), 0);
        return query->for_shim ? query_shim(query, error) : query_ask_polkit(query, error);
}

static int on_sender_answer(sd_bus_message *reply, void *userdata, sd_bus_error *unused)
{
        TurnTaker *taker = userdata;
        Bus *bus = taker->turns->userdata;
        Caller caller;
        int r;

        r = sender_read(bus, taker->name, reply, &caller);
        if (r >= 0)
                proceed_all(taker, &caller);
        else
                refuse_all(taker, r);
        newcomers_begin(bus);
        return 0;
}

static void newcomers_begin(Bus *bus)
{
        while (bus->newcomers.line && bus->newcomers.n_begun < ACCESS_LOOKUPS_AT_ONCE_MAX) {
                TurnTaker *taker = turns_begin(&bus->newcomers);
                int r = sender_ask(bus, taker->name, on_sender_answer, taker, &taker->slot);

                if (r < 0)
                        refuse_all(taker, r);
        }
}

/* Return: as query_proceed(). */
static int query_begin(AccessQuery *query, sd_bus_error *error)
{
        const Caller *caller = sender_find(query->bus, sd_bus_message_get_sender(query->message));
        int r;

        if (caller) {
                query->caller = *caller;
                return query_proceed(query, error);
        }
        r = query_wait(query, &query->bus->newcomers, error);
        if (r > 0)
                newcomers_begin(query->bus);
        return r;
}

static int query_new(Bus *bus, sd_bus_message *m, const char *action, const AccessSubject *subject,
                     AccessGranted granted, AccessQuery **ret)
{
        _cleanup_(query_freep) AccessQuery *query = calloc(1, sizeof(*query));

        if (!query)
                return -ENOMEM;
        query->bus = bus;
        query->message = sd_bus_message_ref(m);
        query->action = action;
        query->granted = granted;
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

int access_identify(Bus *bus, sd_bus_message *m, AccessGranted granted, sd_bus_error *error)
{
        const AccessSubject subject = {};
        _cleanup_(query_freep) AccessQuery *query = NULL;
        int r;

        if (!sd_bus_message_get_sender(m))
                return bus_refuse(error, -EACCES);
        r = query_new(bus, m, NULL, &subject, granted, &query);
        if (r < 0)
                return bus_refuse(error, r);
        r = query_begin(query, error);
        if (r > 0)
                TAKE_PTR(query);
        return r < 0 ? r : 1;
}

static void turns_init(Turns *turns, Bus *bus)
{
        *turns = (Turns){ .userdata = bus, .share = ACCESS_WAITING_PER_SENDER_MAX, .max = ACCESS_WAITING_MAX };
}

void access_init(Bus *bus)
{
        turns_init(&bus->newcomers, bus);
        turns_init(&bus->claimants, bus);
}

static void turns_free(Turns *turns)
{
        while (turns->takers)
                query_free(container_of(turns->takers->first, AccessQuery, turn));
}

void access_free(Bus *bus)
{
        turns_free(&bus->newcomers);
        turns_free(&bus->claimants);
        while (bus->questions)
                query_free(bus->questions);
}
