/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* See client-async.h. A call is kept with its arguments until it is answered, because a message belongs to one
 * connection and can not be sent on the next. The bus would keep one for a daemon that it has to start, for as long as
 * that takes, and deliver it when it was long given up: so calls start nothing, and that is asked for apart. */

#include "client/client-async.h"

#include <stdlib.h>
#include <utlist.h>

#include "base/log.h"
#include "base/names.h"
#include "base/string-util.h"
#include "base/time-util.h"
#include "client/client-bus.h"
#include "client/client-call.h"
#include "client/client-queue.h"

/* Pause before the bus is tried again, or a daemon that is away; doubled each time up to the second. */
#define RETRY_USEC          (100 * USEC_PER_MSEC)
#define RETRY_MAX_USEC      (5 * USEC_PER_SEC)
#define RETRY_ACCURACY_USEC (10 * USEC_PER_MSEC)

struct ClientAsync {
        sd_event *event;
        ClientAsyncCallbacks callbacks;
        sd_bus *bus;
        sd_bus_slot *slots[6]; /* matches and the question for the name's owner */
        size_t n_slots;
        sd_bus_slot *start; /* the daemon is being started */
        bool up;
        ClientCall *calls;
        ClientQueue queue;      /* of those, what waits for its turn and what is on its way */
        ClientShare *own;       /* of calls that have no other */
        sd_event_source *timer; /* the next attempt: to connect, or to send what waits */
        sd_event_source *exit;
        usec_t retry_usec;
};

static void attempt_later(ClientAsync *client, usec_t usec);
static void send_ready(ClientAsync *client);

/* ---- One call */

/* It is not on its way any more. */
static void set_unsent(ClientCall *call)
{
        if (call->slot)
                client_queue_unsent(&call->client->queue, call);
        call->slot = sd_bus_slot_unref(call->slot);
}

static void drop(ClientCall *call)
{
        set_unsent(call);
        client_queue_leave(&call->client->queue, call);
        DL_DELETE(call->client->calls, call);
        call->share->n_calls--;
        client_call_free(call);
}

/* The bus counts one that is on its way until it is answered, whoever has forgotten it. */
ClientCall *client_call_cancel(ClientCall *call)
{
        if (call && call->slot)
                call->callback = NULL;
        else if (call)
                drop(call);
        return NULL;
}

static void finish(ClientCall *call, const ClientAnswer *answer)
{
        ClientAnswerCallback callback = call->callback;
        void *userdata = call->userdata;

        drop(call);
        if (callback)
                callback(answer, userdata);
}

static void finish_error(ClientCall *call, int error)
{
        finish(call, &(ClientAnswer){ .error = error });
}

/* ---- Sending, and what comes back */

/* What becomes of it is told by the name's owner. */
static int on_started(sd_bus_message *m, void *userdata, sd_bus_error *unused)
{
        ClientAsync *client = userdata;

        client->start = sd_bus_slot_unref(client->start);
        if (sd_bus_message_is_method_error(m, NULL))
                log_debug("The daemon is not started: %s", sd_bus_message_get_error(m)->message);
        return 0;
}

static void start_daemon(ClientAsync *client)
{
        if (!client->bus || client->up || client->start)
                return;
        (void) sd_bus_call_method_async(client->bus, &client->start, "org.freedesktop.DBus", "/org/freedesktop/DBus",
                                        "org.freedesktop.DBus", "StartServiceByName", on_started, client, "su",
                                        SYNCRUN_BUS_NAME, 0U);
}

/* As where too many of this connection's calls are not answered yet. The daemon itself has other words. */
static bool is_refused_by_bus(sd_bus_message *m, const sd_bus_error *error)
{
        return sd_bus_error_has_name(error, SD_BUS_ERROR_LIMITS_EXCEEDED) &&
               streq_null(sd_bus_message_get_sender(m), "org.freedesktop.DBus");
}

static void wait_for_daemon(ClientCall *call)
{
        ClientAsync *client = call->client;
        usec_t now = now_usec(CLOCK_MONOTONIC);

        set_unsent(call);
        client_queue_leave(&client->queue, call);
        if (call->give_up_usec == 0)
                call->give_up_usec = usec_add(now, CLIENT_WAIT_USEC);
        if (call->give_up_usec <= now || !call->callback)
                finish_error(call, -EHOSTUNREACH);
        else
                attempt_later(client, MIN(client->retry_usec, call->give_up_usec - now));
}

static void take_reply(ClientCall *call, sd_bus_message *m)
{
        const sd_bus_error *error = sd_bus_message_get_error(m);
        const Refusal *refusal;

        if (!error) {
                finish(call, &(ClientAnswer){ .reply = m });
                return;
        }
        refusal = refusal_by_name(error->name);
        if (client_error_is_undelivered(error) || is_refused_by_bus(m, error) ||
            (client_error_is_absence(error) && call->repeatable))
                wait_for_daemon(call);
        else if (client_error_is_absence(error))
                finish_error(call, -ETIMEDOUT);
        else
                finish(call, &(ClientAnswer){
                                             .error = refusal ? -refusal->error : -sd_bus_error_get_errno(error),
                                             .refusal = refusal,
                                             .message = error->message,
                             });
}

static int on_reply(sd_bus_message *m, void *userdata, sd_bus_error *unused)
{
        ClientCall *call = userdata;
        ClientAsync *client = call->client;

        take_reply(call, m);
        send_ready(client);
        return 0;
}

/* That it had to wait for its turn makes all of it no longer. */
static usec_t answer_timeout(const ClientCall *call)
{
        usec_t now = now_usec(CLOCK_MONOTONIC), until = call->begun_usec + CLIENT_CALL_TIMEOUT_USEC;

        if (!call->asks_alone)
                return until > now + CLIENT_WAIT_USEC ? until - now : CLIENT_WAIT_USEC;
        return call->give_up_usec > now ? call->give_up_usec - now : 1; /* 0 would be the bus's own */
}

static int send_call(ClientCall *call)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        sd_bus *bus = call->client->bus;
        int r;

        if (!call->asks_alone)
                start_daemon(call->client);
        r = sd_bus_message_new_method_call(bus, &m, SYNCRUN_BUS_NAME, call->path, call->interface, call->member);
        if (r >= 0 && call->text)
                r = sd_bus_message_append(m, "s", call->text);
        if (r >= 0 && call->second_text)
                r = sd_bus_message_append(m, "s", call->second_text);
        if (r >= 0 && call->with_number)
                r = sd_bus_message_append(m, "t", call->number);
        if (r >= 0 && call->dictionary)
                r = client_append_options(m, call->options, call->n_options);
        if (r >= 0)
                r = sd_bus_message_set_auto_start(m, false);
        if (r >= 0)
                r = sd_bus_call_async(bus, &call->slot, m, on_reply, call, answer_timeout(call));
        if (r < 0)
                return r;
        client_queue_sent(&call->client->queue, call);
        return 0;
}

/* Whether it ends here: one that has waited for its turn for so long was not begun. */
static bool finish_stale(ClientCall *call, usec_t now)
{
        bool is_late = now - call->begun_usec >= CLIENT_CALL_TIMEOUT_USEC;

        if (!is_late && (!call->is_wanted || call->is_wanted(call->userdata)))
                return false;
        finish_error(call, is_late ? -EHOSTUNREACH : -ECANCELED);
        return true;
}

/* A callback may make calls and cancel others: after each, the queue is looked at anew. Where the newest goes first,
 * the oldest ends when it is not wanted any more. */
static void send_ready(ClientAsync *client)
{
        ClientCall *call;
        usec_t now;

        while ((call = client_queue_next(&client->queue, now = now_usec(CLOCK_MONOTONIC)))) {
                if (finish_stale(client_queue_oldest(&client->queue, call), now) || finish_stale(call, now))
                        continue;
                if (!client->bus || send_call(call) < 0)
                        wait_for_daemon(call);
        }
}

static ClientCall *next_overdue(ClientAsync *client, usec_t now)
{
        ClientCall *call;

        DL_FOREACH2(client->queue.alone.calls, call, next_waiting)
        if (call->give_up_usec <= now)
                return call;
        return NULL;
}

/* Those that wait for a daemon, too, in the order in which they came. */
static void send_waiting(ClientAsync *client)
{
        usec_t now = now_usec(CLOCK_MONOTONIC);
        ClientCall *call;

        DL_FOREACH(client->calls, call) {
                if (call->slot)
                        continue;
                client_queue_leave(&client->queue, call);
                client_queue_enter(&client->queue, call);
        }
        send_ready(client);
        /* What may not take longer is not waited with for its turn. */
        while ((call = next_overdue(client, now)))
                finish_error(call, -EHOSTUNREACH);
}

int client_async_call(ClientAsync *client, const ClientRequest *request, ClientAnswerCallback callback, void *userdata,
                      ClientCall **ret_call)
{
        _cleanup_(client_call_freep) ClientCall *call = NULL;
        ClientShare *share = request->share ?: client->own;
        bool has_room;
        int r;

        if (share->n_calls >= CLIENT_CALLS_MAX && !request->asks_alone)
                return -ENOBUFS;
        r = client_call_new(request, share, &call);
        if (r < 0)
                return r;
        call->client = client;
        call->callback = callback;
        call->userdata = userdata;
        call->begun_usec = now_usec(CLOCK_MONOTONIC);
        if (call->asks_alone)
                call->give_up_usec = usec_add(call->begun_usec, CLIENT_WAIT_USEC);
        /* Its line has none before it: that would be the next. */
        has_room = client_queue_has_room(&client->queue, call);
        if (client->bus && has_room && !client_queue_next(&client->queue, call->begun_usec)) {
                r = send_call(call);
                if (r < 0 && r != -ENOTCONN && r != -ECONNRESET && r != -ENOBUFS)
                        return r;
        }
        if (!call->slot && (!client->bus || has_room))
                attempt_later(client, client->retry_usec);
        else if (!call->slot && call->asks_alone)
                attempt_later(client, CLIENT_WAIT_USEC);
        if (!call->slot)
                client_queue_enter(&client->queue, call);
        DL_APPEND(client->calls, call);
        share->n_calls++;
        if (ret_call)
                *ret_call = call;
        TAKE_PTR(call);
        return 0;
}

/* ---- Whether the daemon is there */

bool client_async_is_up(const ClientAsync *client)
{
        return client->up;
}

static void set_up(ClientAsync *client, bool up)
{
        bool was = client->up;

        client->up = up;
        if (was && client->callbacks.lost)
                client->callbacks.lost(client->callbacks.userdata);
        if (!up)
                return;
        client->retry_usec = RETRY_USEC;
        send_waiting(client);
        if (client->callbacks.returned)
                client->callbacks.returned(client->callbacks.userdata);
}

static int on_owner_changed(sd_bus_message *m, void *userdata, sd_bus_error *unused)
{
        const char *name, *before, *after;

        if (sd_bus_message_read(m, "sss", &name, &before, &after) >= 0)
                set_up(userdata, !isempty(after));
        return 0;
}

static int on_owner(sd_bus_message *m, void *userdata, sd_bus_error *unused)
{
        ClientAsync *client = userdata;

        /* It may have come since the question was asked, and been told of. */
        if (!sd_bus_message_is_method_error(m, NULL) && !client->up)
                set_up(client, true);
        return 0;
}

static int on_events(sd_bus_message *m, void *userdata, sd_bus_error *unused)
{
        ClientAsync *client = userdata;
        const char *user_id, *run_id, *json;
        uint64_t seq;

        if (!client->callbacks.event || sd_bus_message_enter_container(m, 'a', "(tsss)") < 0)
                return 0;
        while (sd_bus_message_read(m, "(tsss)", &seq, &user_id, &run_id, &json) > 0)
                client->callbacks.event(seq, user_id, run_id, json, client->callbacks.userdata);
        if (client->callbacks.events_end)
                client->callbacks.events_end(client->callbacks.userdata);
        return 0;
}

static int on_key_revoked(sd_bus_message *m, void *userdata, sd_bus_error *unused)
{
        ClientAsync *client = userdata;
        const char *name;

        if (client->callbacks.key_revoked && sd_bus_message_read(m, "s", &name) >= 0)
                client->callbacks.key_revoked(name, client->callbacks.userdata);
        return 0;
}

/* ---- The connection */

bool client_call_may_be_done(const ClientCall *call)
{
        return call && call->slot && !call->repeatable;
}

/* What cannot be sent once more, or need not. */
static ClientCall *next_lost(ClientAsync *client)
{
        ClientCall *call;

        DL_FOREACH(client->calls, call)
                if (call->slot && (!call->repeatable || !call->callback))
                        return call;
        return NULL;
}

static void close_bus(ClientAsync *client)
{
        ClientCall *call;

        for (; client->n_slots > 0; client->n_slots--)
                client->slots[client->n_slots - 1] = sd_bus_slot_unref(client->slots[client->n_slots - 1]);
        client->start = sd_bus_slot_unref(client->start);
        if (!client->bus)
                return;
        (void) sd_bus_detach_event(client->bus);
        client->bus = sd_bus_close_unref(client->bus);
        while ((call = next_lost(client)))
                finish_error(call, -ETIMEDOUT);
        DL_FOREACH(client->calls, call)
                set_unsent(call);
}

static int on_connectors_changed(sd_bus_message *m, void *userdata, sd_bus_error *unused)
{
        ClientAsync *client = userdata;

        if (client->callbacks.connectors_changed)
                client->callbacks.connectors_changed(client->callbacks.userdata);
        return 0;
}

static int on_disconnected(sd_bus_message *m, void *userdata, sd_bus_error *unused)
{
        ClientAsync *client = userdata;

        log_warning("The connection to the bus is lost; it is tried again.");
        /* Not from here: the connection is at work on this message. */
        attempt_later(client, 0);
        return 0;
}

static int watch_signal(ClientAsync *client, const char *member, sd_bus_message_handler_t handler)
{
        int r;

        r = sd_bus_match_signal_async(client->bus, &client->slots[client->n_slots], SYNCRUN_BUS_NAME, SYNCRUN_PATH,
                                      SYNCRUN_IFACE_MANAGER, member, handler, NULL, client);
        if (r >= 0)
                client->n_slots++;
        return r;
}

static int watch_owner(ClientAsync *client)
{
        static const char rule[] = "type='signal',sender='org.freedesktop.DBus',path='/org/freedesktop/DBus',"
                                   "interface='org.freedesktop.DBus',member='NameOwnerChanged',"
                                   "arg0='" SYNCRUN_BUS_NAME "'";
        int r;

        r = sd_bus_add_match_async(client->bus, &client->slots[client->n_slots], rule, on_owner_changed, NULL, client);
        if (r < 0)
                return r;
        client->n_slots++;
        r = sd_bus_call_method_async(client->bus, &client->slots[client->n_slots], "org.freedesktop.DBus",
                                     "/org/freedesktop/DBus", "org.freedesktop.DBus", "GetNameOwner", on_owner, client,
                                     "s", SYNCRUN_BUS_NAME);
        if (r >= 0)
                client->n_slots++;
        return r;
}

static int open_bus(ClientAsync *client)
{
        int r;

        r = client_bus_open(&client->bus);
        if (r >= 0)
                r = sd_bus_attach_event(client->bus, client->event, SD_EVENT_PRIORITY_NORMAL);
        if (r >= 0)
                r = sd_bus_match_signal(client->bus, &client->slots[0], "org.freedesktop.DBus.Local",
                                        "/org/freedesktop/DBus/Local", "org.freedesktop.DBus.Local", "Disconnected",
                                        on_disconnected, client);
        if (r < 0)
                return r;
        client->n_slots = 1;
        r = watch_signal(client, "EventsCommitted", on_events);
        if (r >= 0)
                r = watch_signal(client, "ApiKeyRevoked", on_key_revoked);
        if (r >= 0)
                r = watch_signal(client, "ConnectorsChanged", on_connectors_changed);
        /* After the others: who hears that the daemon is there hears all else, too. */
        return r < 0 ? r : watch_owner(client);
}

static int on_attempt(sd_event_source *source, uint64_t usec, void *userdata)
{
        ClientAsync *client = userdata;

        client->retry_usec = MIN(client->retry_usec * 2, RETRY_MAX_USEC);
        if (client->bus && sd_bus_is_open(client->bus) <= 0) {
                close_bus(client);
                if (client->up)
                        set_up(client, false);
        }
        if (!client->bus) {
                int r = open_bus(client);

                if (r < 0) {
                        (void) log_debug_errno(r, "Cannot connect to the bus: %m");
                        close_bus(client);
                        attempt_later(client, client->retry_usec);
                }
        }
        send_waiting(client);
        return 0;
}

/* @usec from now, or when it was to be anyway, if that is sooner. */
static void attempt_later(ClientAsync *client, usec_t usec)
{
        usec_t when = usec_add(now_usec(CLOCK_MONOTONIC), usec);
        uint64_t set;
        int enabled, r;

        if (sd_event_source_get_enabled(client->timer, &enabled) >= 0 && enabled != SD_EVENT_OFF &&
            sd_event_source_get_time(client->timer, &set) >= 0 && set <= when)
                return;
        r = sd_event_source_set_time(client->timer, when);
        if (r >= 0)
                r = sd_event_source_set_enabled(client->timer, SD_EVENT_ONESHOT);
        if (r < 0)
                (void) log_debug_errno(r, "Cannot wait for the bus: %m");
}

/* Before the connection's own turn, in which it would wait until all is sent: for a bus that says nothing, until that
 * is given up. */
static int on_exit_loop(sd_event_source *source, void *userdata)
{
        ClientAsync *client = userdata;

        return sd_bus_detach_event(client->bus);
}

int client_async_new(sd_event *event, const ClientAsyncCallbacks *callbacks, ClientAsync **ret)
{
        _cleanup_(client_async_freep) ClientAsync *client = calloc(1, sizeof(*client));
        int r;

        if (!client)
                return -ENOMEM;
        client->event = sd_event_ref(event);
        client->callbacks = *callbacks;
        client->retry_usec = RETRY_USEC;
        client->own = client_share_new();
        if (!client->own)
                return -ENOMEM;
        client->own->is_limited = false;
        r = sd_event_add_time(event, &client->timer, CLOCK_MONOTONIC, 0, RETRY_ACCURACY_USEC, on_attempt, client);
        if (r >= 0)
                r = sd_event_add_exit(event, &client->exit, on_exit_loop, client);
        if (r >= 0)
                r = sd_event_source_set_priority(client->exit, SD_EVENT_PRIORITY_IMPORTANT - 1);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(client);
        return 0;
}

ClientAsync *client_async_free(ClientAsync *client)
{
        if (!client)
                return NULL;
        while (client->calls)
                drop(client->calls);
        close_bus(client);
        sd_event_source_disable_unref(client->timer);
        sd_event_source_disable_unref(client->exit);
        sd_event_unref(client->event);
        client_share_unref(client->own);
        free(client);
        return NULL;
}
