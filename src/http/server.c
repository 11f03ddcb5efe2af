/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* See server.h. Sockets are accepted here and not by libmicrohttpd, since it takes one listener alone, and says
 * nothing to clients over its limits. MHD_USE_TURBO is what lets a socket be taken over: without it, libmicrohttpd
 * shuts the connection down that it closes, and not its own descriptor only. */

#include <fcntl.h>
#include <microhttpd.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fd-util.h"
#include "base/log.h"
#include "base/string-util.h"
#include "base/time-util.h"
#include "http/server-internal.h"

/* Sockets accepted in a turn, for the sake of those that are served; and a pause when there are no descriptors left.
 */
#define ACCEPTS_PER_TURN  64U
#define ACCEPT_PAUSE_USEC (500 * USEC_PER_MSEC)

/* Of the memory for a request's head, what libmicrohttpd itself and the head of the answer need; and how it grows. */
#define HEAD_EXTRA_BYTES 1536U
#define HEAD_STEP_BYTES  1024U

/* A turn that is due at once shall not wait for others; a defer source would let nobody else have one. */
#define MHD_ACCURACY_USEC 1U

/* libmicrohttpd asks for another turn at once also where it can do nothing, see connections_cut_stuck(): it gets one
 * so often, and after a few in a row less often. */
#define IDLE_TURN_USEC     (1 * USEC_PER_MSEC)
#define IDLE_TURNS         16U
#define IDLE_TURN_MAX_USEC (10 * USEC_PER_MSEC)

/* In one of the loop's: one that answers, one that begins anew, and one that finds that there is no next request. */
#define MHD_TURNS_MAX 3U

/* ---- libmicrohttpd on the loop */

/* A timer that is to go off sooner stays, and finds then for how long there is to be waited: each request puts the
 * deadline of its connection off. */
static void wait_for_mhd(Server *server)
{
        MHD_UNSIGNED_LONG_LONG msec;
        usec_t when = now_usec(CLOCK_MONOTONIC);
        uint64_t set;
        int enabled, r;

        if (MHD_get_timeout(server->mhd, &msec) != MHD_YES) {
                (void) sd_event_source_set_enabled(server->mhd_timer, SD_EVENT_OFF);
                return;
        }
        if (msec > 0)
                when = usec_add(when, msec * USEC_PER_MSEC);
        else if (!server->progressed)
                when = usec_add(when, server->n_idle_turns > IDLE_TURNS ? IDLE_TURN_MAX_USEC : IDLE_TURN_USEC);
        if (sd_event_source_get_enabled(server->mhd_timer, &enabled) >= 0 && enabled != SD_EVENT_OFF &&
            sd_event_source_get_time(server->mhd_timer, &set) >= 0 && set <= when)
                return;
        r = sd_event_source_set_time(server->mhd_timer, when);
        if (r >= 0)
                r = sd_event_source_set_enabled(server->mhd_timer, SD_EVENT_ONESHOT);
        if (r < 0)
                (void) log_debug_errno(r, "Cannot wait for clients: %m");
}

static int on_mhd(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
        MHD_UNSIGNED_LONG_LONG msec;
        Server *server = userdata;
        bool at_once = true;

        (void) sd_event_source_set_enabled(server->mhd_turn, SD_EVENT_OFF);
        for (unsigned i = 0; i < MHD_TURNS_MAX && at_once; i++) {
                server->progressed = false;
                (void) MHD_run(server->mhd);
                at_once = MHD_get_timeout(server->mhd, &msec) == MHD_YES && msec == 0;
        }
        server->n_idle_turns = server->progressed ? 0 : MIN(server->n_idle_turns + 1, IDLE_TURNS + 1);
        if (!at_once || !server->progressed)
                connections_cut_stuck(server->connections, at_once);
        wait_for_mhd(server);
        return 0;
}

void server_progressed(Server *server)
{
        server->progressed = true;
}

void server_turn(Server *server)
{
        int enabled;

        if (sd_event_source_get_enabled(server->mhd_turn, &enabled) >= 0 && enabled != SD_EVENT_OFF)
                (void) on_mhd(NULL, -EBADF, 0, server);
}

static int on_mhd_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
        return on_mhd(NULL, -EBADF, 0, userdata);
}

static int on_mhd_turn(sd_event_source *source, void *userdata)
{
        return on_mhd(NULL, -EBADF, 0, userdata);
}

static void on_mhd_connection(void *userdata, struct MHD_Connection *mhd, void **context,
                              enum MHD_ConnectionNotificationCode code)
{
        Connection *connection = *context;
        Server *server = userdata;

        if (code == MHD_CONNECTION_NOTIFY_STARTED) {
                *context = TAKE_PTR(server->accepting);
                return;
        }
        /* One whose head never came as a whole is not told of otherwise. */
        if (connection->request)
                server_free_request(connection->request);
        connection_free(connection);
}

static void _printf_(2, 0) on_mhd_log(void *userdata, const char *format, va_list ap)
{
        _cleanup_free_ char *text = NULL;

        if (log_get_level() >= LOG_DEBUG && vasprintf(&text, format, ap) >= 0)
                log_debug("libmicrohttpd: %s", strstrip(text));
}

static int start_mhd(Server *server)
{
        unsigned flags = MHD_USE_EPOLL | MHD_USE_NO_LISTEN_SOCKET | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_TURBO |
                         MHD_USE_ERROR_LOG;
        const union MHD_DaemonInfo *info;
        unsigned timeout_sec = server->settings->send_timeout_usec == USEC_INFINITY
                                               ? 0
                                               : (unsigned) (server->settings->send_timeout_usec / USEC_PER_SEC);
        int r;

        server->mhd = MHD_start_daemon(
                        flags, 0, NULL, NULL, server_go_on, server, MHD_OPTION_EXTERNAL_LOGGER, on_mhd_log, server,
                        MHD_OPTION_NOTIFY_CONNECTION, on_mhd_connection, server, MHD_OPTION_NOTIFY_COMPLETED,
                        server_end_request, server, MHD_OPTION_URI_LOG_CALLBACK, server_begin_request, server,
                        MHD_OPTION_CONNECTION_LIMIT, UINT32_MAX, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
                        (size_t) server->settings->head_max_bytes + HEAD_EXTRA_BYTES,
                        MHD_OPTION_CONNECTION_MEMORY_INCREMENT, (size_t) HEAD_STEP_BYTES,
                        MHD_OPTION_CONNECTION_TIMEOUT, timeout_sec, MHD_OPTION_STRICT_FOR_CLIENT, 0, MHD_OPTION_END);
        if (!server->mhd)
                return log_error_errno(ENOMEM, "Cannot start libmicrohttpd: %m");
        info = MHD_get_daemon_info(server->mhd, MHD_DAEMON_INFO_EPOLL_FD);
        r = sd_event_add_io(server->event, &server->mhd_source, info->epoll_fd, EPOLLIN, on_mhd, server);
        if (r >= 0)
                r = sd_event_add_time(server->event, &server->mhd_timer, CLOCK_MONOTONIC, 0, MHD_ACCURACY_USEC,
                                      on_mhd_timer, server);
        if (r >= 0)
                r = sd_event_source_set_enabled(server->mhd_timer, SD_EVENT_OFF);
        if (r >= 0)
                r = sd_event_add_defer(server->event, &server->mhd_turn, on_mhd_turn, server);
        return r < 0 ? r : sd_event_source_set_enabled(server->mhd_turn, SD_EVENT_OFF);
}

/* ---- Accepting */

static void add_connection(Server *server, int fd, const struct sockaddr *address, socklen_t size)
{
        unsigned status;
        Peer peer;

        peer_from_address(address, &peer);
        status = connections_admit(server->connections, fd, &peer, &server->accepting);
        if (status != 0) {
                server->n_refused++;
                farewell_say(server->farewells, fd, status, NULL);
                return;
        }
        server->n_accepted++;
        if (MHD_add_connection(server->mhd, fd, address, size) != MHD_YES)
                log_debug("libmicrohttpd does not take a connection.");
        server->accepting = connection_free(server->accepting);
}

static void listen_again(Server *server, bool on)
{
        for (size_t i = 0; i < server->listeners.n; i++)
                (void) sd_event_source_set_enabled(server->listen_sources[i], on ? SD_EVENT_ON : SD_EVENT_OFF);
}

static int on_accept_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
        listen_again(userdata, true);
        return 0;
}

static void pause_accepting(Server *server, int error)
{
        (void) log_warning_errno(error, "Cannot take a connection, pausing: %m");
        listen_again(server, false);
        if (sd_event_source_set_time_relative(server->accept_timer, ACCEPT_PAUSE_USEC) < 0 ||
            sd_event_source_set_enabled(server->accept_timer, SD_EVENT_ONESHOT) < 0)
                listen_again(server, true);
}

static int on_connect(sd_event_source *source, int listener, uint32_t revents, void *userdata)
{
        Server *server = userdata;

        for (unsigned i = 0; i < ACCEPTS_PER_TURN; i++) {
                struct sockaddr_storage address = {};
                socklen_t size = sizeof(address);
                int fd;

                fd = accept4(listener, (struct sockaddr *) &address, &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
                if (fd >= 0)
                        add_connection(server, fd, (struct sockaddr *) &address, size);
                else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
                        pause_accepting(server, errno);
                        break;
                } else if (errno == EAGAIN)
                        break;
        }
        return on_mhd(NULL, -EBADF, 0, server);
}

void server_close_listeners(Server *server)
{
        for (size_t i = 0; i < server->listeners.n; i++)
                server->listen_sources[i] = sd_event_source_disable_unref(server->listen_sources[i]);
        listeners_done(&server->listeners);
}

static int listen_to_all(Server *server)
{
        int r = 0;

        for (size_t i = 0; r >= 0 && i < server->listeners.n; i++) {
                int fd = server->listeners.fds[i], flags = fcntl(fd, F_GETFL);

                if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
                        return -errno;
                r = sd_event_add_io(server->event, &server->listen_sources[i], fd, EPOLLIN, on_connect, server);
        }
        if (r >= 0)
                r = sd_event_add_time(server->event, &server->accept_timer, CLOCK_MONOTONIC, 0, 0, on_accept_timer,
                                      server);
        return r < 0 ? r : sd_event_source_set_enabled(server->accept_timer, SD_EVENT_OFF);
}

/* ---- The whole */

int server_new(sd_event *event, const HttpSettings *settings, Listeners *listeners, const ServerCallbacks *callbacks,
               Server **ret)
{
        _cleanup_(server_freep) Server *server = calloc(1, sizeof(*server));
        int r;

        if (!server)
                return -ENOMEM;
        server->event = sd_event_ref(event);
        server->settings = settings;
        server->callbacks = *callbacks;
        server->listeners = *listeners;
        *listeners = (Listeners){};
        r = farewells_new(event, settings, &server->farewells);
        if (r >= 0)
                r = connections_new(event, settings, callbacks->idle_changed, callbacks->userdata,
                                    &server->connections);
        if (r >= 0)
                r = start_mhd(server);
        if (r >= 0)
                r = listen_to_all(server);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(server);
        return 0;
}

Server *server_free(Server *server)
{
        if (!server)
                return NULL;
        server_close_listeners(server);
        sd_event_source_disable_unref(server->accept_timer);
        sd_event_source_disable_unref(server->mhd_source);
        sd_event_source_disable_unref(server->mhd_timer);
        sd_event_source_disable_unref(server->mhd_turn);
        if (server->mhd)
                MHD_stop_daemon(server->mhd);
        connections_free(server->connections);
        farewells_free(server->farewells);
        sd_event_unref(server->event);
        free(server);
        return NULL;
}

const HttpSettings *server_settings(const Server *server)
{
        return server->settings;
}

void server_status(const Server *server, ServerStatus *ret)
{
        *ret = (ServerStatus){
                .n_connections = connections_count(server->connections),
                .n_accepted = server->n_accepted,
                .n_refused = server->n_refused,
                .n_timeouts = connections_timeouts(server->connections),
        };
}

void server_for_each_waiting(Server *server, void (*answer)(Request *request))
{
        Request *request;

        while ((request = connections_first_waiting(server->connections)))
                answer(request);
}

void server_drain(Server *server, usec_t usec)
{
        usec_t until = usec_add(now_usec(CLOCK_MONOTONIC), usec), now;
        const union MHD_DaemonInfo *info = MHD_get_daemon_info(server->mhd, MHD_DAEMON_INFO_EPOLL_FD);

        (void) MHD_run(server->mhd);
        while (connections_are_sending(server->connections) && (now = now_usec(CLOCK_MONOTONIC)) < until) {
                struct epoll_event event;
                MHD_UNSIGNED_LONG_LONG msec;
                usec_t left = (until - now) / USEC_PER_MSEC + 1;

                if (MHD_get_timeout(server->mhd, &msec) == MHD_YES)
                        left = MIN(left, msec);
                (void) epoll_wait(info->epoll_fd, &event, 1, (int) left);
                (void) MHD_run(server->mhd);
        }
}
