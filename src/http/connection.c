/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "http/connection.h"

#include <microhttpd.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <utlist.h>

#define uthash_nonfatal_oom(element) ((element)->n = 0)
#include <uthash.h>

#include "base/log.h"
#include "base/string-util.h"
#include "base/time-util.h"
#include "http/farewell.h"

/* Deadlines are looked at so often, at most. */
#define TICK_USEC (50 * USEC_PER_MSEC)

/* A body whose next chunk does not begin, such as one that says its size with thousands of zeros, fills all memory
 * that libmicrohttpd has for it: it waits for more, has no room for that, and each turn reads all again. Where there
 * is such a one it is ended as soon as this; and where none can be told from those that pause, all that pause for so
 * long. */
#define STUCK_USEC     (20 * USEC_PER_MSEC)
#define STUCK_MAX_USEC (1 * USEC_PER_SEC)

/* How many connections an address has. */
typedef struct Origin {
        unsigned char key[sizeof(((Peer *) 0)->key)];
        unsigned n;
        UT_hash_handle hh;
} Origin;

struct Connections {
        const HttpSettings *settings;
        void (*idle_changed)(void *userdata);
        void *userdata;
        Connection *phases[_CONNECTION_PHASE_MAX];
        unsigned n;
        Origin *origins;
        sd_event_source *timer;
        usec_t looked_usec; /* CLOCK_MONOTONIC: when those that are stuck were looked for */
        bool looked;        /* and noted */
        uint64_t n_timeouts;
};

/* ---- By address */

static bool is_counted(const Connections *all, const Peer *peer)
{
        return !peer->is_local && !peer_is_listed(peer, all->settings->trusted_proxy);
}

/* Return: 0; an HTTP status. */
static unsigned count_origin(Connections *all, const Peer *peer)
{
        Origin *origin;

        HASH_FIND(hh, all->origins, peer->key, sizeof(peer->key), origin);
        if (!origin) {
                origin = calloc(1, sizeof(*origin));
                if (!origin)
                        return 503;
                memcpy(origin->key, peer->key, sizeof(origin->key));
                origin->n = 1;
                HASH_ADD(hh, all->origins, key, sizeof(origin->key), origin);
                if (origin->n == 0) { /* out of memory */
                        free(origin);
                        return 503;
                }
                return 0;
        }
        if (origin->n >= all->settings->connections_per_address_max)
                return 429;
        origin->n++;
        return 0;
}

static void discount_origin(Connections *all, const Peer *peer)
{
        Origin *origin;

        HASH_FIND(hh, all->origins, peer->key, sizeof(peer->key), origin);
        if (!origin || --origin->n > 0)
                return;
        HASH_DELETE(hh, all->origins, origin);
        free(origin);
}

/* ---- Deadlines */

static usec_t phase_timeout(const Connections *all, ConnectionPhase phase)
{
        switch (phase) {
        case CONNECTION_HEAD:
                return all->settings->head_timeout_usec;
        case CONNECTION_BODY:
                return all->settings->body_timeout_usec;
        case CONNECTION_IDLE:
                return all->settings->keep_alive_usec;
        case CONNECTION_SEND:
                return all->settings->answer_timeout_usec;
        default:
                return USEC_INFINITY;
        }
}

static void arm(Connections *all)
{
        usec_t first = USEC_INFINITY;
        int r = 0;

        for (ConnectionPhase phase = 0; phase < _CONNECTION_PHASE_MAX; phase++)
                if (all->phases[phase])
                        first = MIN(first, all->phases[phase]->deadline_usec);
        if (first != USEC_INFINITY)
                r = sd_event_source_set_time(all->timer, first);
        if (r >= 0)
                r = sd_event_source_set_enabled(all->timer, first != USEC_INFINITY ? SD_EVENT_ONESHOT : SD_EVENT_OFF);
        if (r < 0)
                (void) log_debug_errno(r, "Cannot wait for clients: %m");
}

/* libmicrohttpd sees the end of the connection and closes it. */
static void cut(Connection *connection, unsigned status)
{
        if (connection->phase != CONNECTION_IDLE && connection->phase != CONNECTION_SEND) {
                _cleanup_free_ char *text = farewell_write(status, connection->request, connection->all->settings);

                (void) send(connection->fd, strempty(text), strlen(strempty(text)), MSG_DONTWAIT | MSG_NOSIGNAL);
        }
        (void) shutdown(connection->fd, SHUT_RDWR);
        connection_set_phase(connection, CONNECTION_WORK);
}

static void time_out(Connection *connection)
{
        connection->all->n_timeouts++;
        cut(connection, MHD_HTTP_REQUEST_TIMEOUT);
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
        Connections *all = userdata;

        for (ConnectionPhase phase = 0; phase < _CONNECTION_PHASE_MAX; phase++)
                while (all->phases[phase] && all->phases[phase]->deadline_usec <= usec)
                        time_out(all->phases[phase]);
        arm(all);
        return 0;
}

/* The timer is not moved where another connection is due sooner: this is called for every request. */
static void enter_phase(Connection *connection, ConnectionPhase phase)
{
        Connections *all = connection->all;
        bool first = !all->phases[phase];

        connection->phase = phase;
        connection->deadline_usec = usec_add(now_usec(CLOCK_MONOTONIC), phase_timeout(all, phase));
        DL_APPEND(all->phases[phase], connection);
        if (first && connection->deadline_usec != USEC_INFINITY) {
                int enabled;
                uint64_t set;

                if (sd_event_source_get_enabled(all->timer, &enabled) < 0 || enabled == SD_EVENT_OFF ||
                    sd_event_source_get_time(all->timer, &set) < 0 || set > connection->deadline_usec)
                        arm(all);
        }
}

void connection_set_phase(Connection *connection, ConnectionPhase phase)
{
        if (connection->phase == phase)
                return;
        DL_DELETE(connection->all->phases[connection->phase], connection);
        enter_phase(connection, phase);
}

/* ---- Those that can not go on */

static bool takes_chunks(const Connection *connection)
{
        const Request *request = connection->request;

        return request && request->receiving && request_header(request, MHD_HTTP_HEADER_TRANSFER_ENCODING);
}

/* What has come since the last time, or since it began. */
static bool has_moved(Connection *connection, int unread)
{
        size_t bytes = connection->request->body.size;

        if (connection->still_usec > 0 && connection->still_bytes == bytes && connection->still_unread == unread)
                return false;
        connection->still_bytes = bytes;
        connection->still_unread = unread;
        return true;
}

static bool is_stuck_since(Connection *connection, usec_t now)
{
        struct pollfd poll_fd = { .fd = connection->fd, .events = POLLRDHUP };
        int unread = 0;
        bool more;

        (void) ioctl(connection->fd, FIONREAD, &unread);
        if (has_moved(connection, unread)) {
                connection->still_usec = now;
                return false;
        }
        more = unread > 0 || poll(&poll_fd, 1, 0) > 0;
        return now - connection->still_usec >= (more ? STUCK_USEC : STUCK_MAX_USEC);
}

void connections_cut_stuck(Connections *all, bool is_stuck)
{
        usec_t now = now_usec(CLOCK_MONOTONIC);
        Connection *connection, *next;

        if (is_stuck && now < all->looked_usec + STUCK_USEC / 2)
                return;
        if (!is_stuck && !all->looked)
                return;
        all->looked_usec = now;
        all->looked = is_stuck;
        DL_FOREACH_SAFE(all->phases[CONNECTION_BODY], connection, next)
        {
                if (!is_stuck)
                        connection->still_usec = 0;
                else if (takes_chunks(connection) && is_stuck_since(connection, now)) {
                        /* It does not look at the socket of one that it has no room for. */
                        (void) MHD_set_connection_option(connection->request->mhd, MHD_CONNECTION_OPTION_TIMEOUT, 1U);
                        cut(connection, MHD_HTTP_BAD_REQUEST);
                }
        }
}

/* ---- Coming and going */

unsigned connections_admit(Connections *all, int fd, const Peer *peer, Connection **ret)
{
        bool counted = is_counted(all, peer);
        Connection *connection;
        unsigned status;

        if (all->n >= all->settings->connections_max)
                return 503;
        status = counted ? count_origin(all, peer) : 0;
        if (status != 0)
                return status;
        connection = calloc(1, sizeof(*connection));
        if (!connection) {
                if (counted)
                        discount_origin(all, peer);
                return 503;
        }
        connection->all = all;
        connection->fd = fd;
        connection->peer = *peer;
        connection->counted = counted;
        enter_phase(connection, CONNECTION_HEAD);
        if (all->n++ == 0)
                all->idle_changed(all->userdata);
        *ret = connection;
        return 0;
}

Connection *connection_free(Connection *connection)
{
        Connections *all;

        if (!connection)
                return NULL;
        all = connection->all;
        DL_DELETE(all->phases[connection->phase], connection);
        if (connection->counted)
                discount_origin(all, &connection->peer);
        free(connection);
        if (--all->n == 0)
                all->idle_changed(all->userdata);
        return NULL;
}

void connection_set_waiting(Connection *connection, Request *request)
{
        connection->waiting = request;
}

Request *connections_first_waiting(const Connections *all)
{
        Connection *connection;

        DL_FOREACH(all->phases[CONNECTION_WORK], connection)
                if (connection->waiting)
                        return connection->waiting;
        return NULL;
}

unsigned connections_count(const Connections *all)
{
        return all->n;
}

bool connections_are_sending(const Connections *all)
{
        return all->phases[CONNECTION_WORK] || all->phases[CONNECTION_SEND];
}

uint64_t connections_timeouts(const Connections *all)
{
        return all->n_timeouts;
}

int connections_new(sd_event *event, const HttpSettings *settings, void (*idle_changed)(void *userdata),
                    void *userdata, Connections **ret)
{
        Connections *all = calloc(1, sizeof(*all));
        int r;

        if (!all)
                return -ENOMEM;
        all->settings = settings;
        all->idle_changed = idle_changed;
        all->userdata = userdata;
        r = sd_event_add_time(event, &all->timer, CLOCK_MONOTONIC, 0, TICK_USEC, on_timer, all);
        if (r >= 0)
                r = sd_event_source_set_enabled(all->timer, SD_EVENT_OFF);
        if (r < 0) {
                connections_free(all);
                return r;
        }
        *ret = all;
        return 0;
}

Connections *connections_free(Connections *all)
{
        if (!all)
                return NULL;
        sd_event_source_disable_unref(all->timer);
        free(all);
        return NULL;
}
