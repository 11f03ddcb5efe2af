/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* See server.h. Sockets are accepted here and not by libmicrohttpd, since it takes one listener alone, and says
 * nothing to clients over its limits. MHD_USE_TURBO is what lets a socket be taken over: without it, libmicrohttpd
 * shuts the connection down that it closes, and not its own descriptor only. */

#include "http/server.h"

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
#include "http/connection.h"
#include "http/farewell.h"
#include "http/head.h"
#include "http/respond.h"

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

struct Server {
        sd_event *event;
        const HttpSettings *settings;
        ServerCallbacks callbacks;
        Listeners listeners;
        sd_event_source *listen_sources[LISTENERS_MAX];
        sd_event_source *accept_timer;
        struct MHD_Daemon *mhd;
        sd_event_source *mhd_source;
        sd_event_source *mhd_timer;
        sd_event_source *mhd_turn; /* libmicrohttpd has something to do that no socket tells of */
        Connections *connections;
        Farewells *farewells;
        Connection *accepting; /* while libmicrohttpd is told of it */
        bool progressed;       /* in the last turn of libmicrohttpd's, a request was heard of */
        unsigned n_idle_turns; /* one after the other, without that */
        size_t bodies_bytes;
        size_t answers_bytes; /* of those that are being sent, but for what is there in any case */
        uint64_t n_accepted;
        uint64_t n_refused;
};

/* ---- Requests */

static void answer_done(Answer *answer)
{
        for (size_t i = 0; i < answer->n_headers; i++)
                free(answer->headers[i].value);
        free(answer->owned);
        sd_bus_message_unref(answer->message);
}

static void request_free(Request *request)
{
        request->connection->request = NULL;
        request->server->callbacks.done(request, request->server->callbacks.userdata);
        client_call_cancel(request->call);
        if (request->is_large)
                request->server->bodies_bytes -= request->body.allocated;
        request->server->answers_bytes -= request->answer_held_bytes;
        answer_done(&request->answer);
        target_done(&request->target);
        buffer_done(&request->body);
        free(request->state);
        free(request);
}

int server_dup_socket(const Request *request)
{
        int fd = fcntl(request->connection->fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);

        return fd < 0 ? -errno : fd;
}

/* Answered by other means than libmicrohttpd's, which would let the client send all of its body first, or cut it off
 * from the answer. */
static enum MHD_Result refuse_early(Request *request, unsigned status)
{
        int fd = server_dup_socket(request);

        request->answer.status = status;
        if (fd >= 0)
                farewell_say(request->server->farewells, fd, status, request);
        return MHD_NO;
}

/* The same with the answer that was given before the body came. */
static enum MHD_Result answer_early(Request *request)
{
        _cleanup_buffer_ Buffer text = {};
        int fd;

        if (respond_write(request, request->server->settings, &text) < 0)
                return MHD_NO;
        fd = server_dup_socket(request);
        if (fd >= 0)
                farewell_say_text(request->server->farewells, fd, text.data, text.size);
        return MHD_NO;
}

/* The request line has been read. Its text is not to be had later as it was. */
static void *on_request_line(void *userdata, const char *target, struct MHD_Connection *mhd)
{
        const union MHD_ConnectionInfo *info = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
        Request *request = calloc(1, sizeof(*request));

        if (!request)
                return NULL;
        request->server = userdata;
        request->server->progressed = true;
        request->connection = info->socket_context;
        request->mhd = mhd;
        request->begun_usec = now_usec(CLOCK_MONOTONIC);
        request->target_size = strlen(target);
        request->target_error = target_parse(target, &request->target);
        request->connection->request = request;
        connection_set_phase(request->connection, CONNECTION_HEAD);
        /* libmicrohttpd has room for it, and perhaps none for what comes next, which it would then wait for. */
        if (request->target_size > request->server->settings->head_max_bytes)
                (void) refuse_early(request, MHD_HTTP_URI_TOO_LONG);
        return request;
}

static enum MHD_Result begin(Request *request, const char *method, const char *version)
{
        const HttpSettings *settings = request->server->settings;
        unsigned status;
        const char *length = request_header(request, MHD_HTTP_HEADER_CONTENT_LENGTH);
        const Peer *peer = &request->connection->peer;
        uint64_t size = 0;

        request->begun = true;
        request->method = http_method_from_string(method);
        request->is_http10 = streq(version, MHD_HTTP_VERSION_1_0);
        request->peer = *peer;
        request->by_proxy = settings->trusted_proxy && peer_is_listed(peer, settings->trusted_proxy);
        if (request->by_proxy) {
                _cleanup_free_ char *forwarded = request_header_list(request, "X-Forwarded-For");

                peer_forwarded(peer, forwarded, settings->trusted_proxy, &request->peer);
        }
        connection_set_phase(request->connection, CONNECTION_BODY);
        status = head_check(request);
        if (status != 0)
                return refuse_early(request, status);
        if (length && (parse_uint64(length, &size) < 0 || size > settings->body_max_bytes))
                return refuse_early(request, MHD_HTTP_CONTENT_TOO_LARGE);
        request->is_large = size > BODY_FREE_BYTES || request_header(request, MHD_HTTP_HEADER_TRANSFER_ENCODING);
        return MHD_YES;
}

static enum MHD_Result suspend(Request *request)
{
        request->suspended = true;
        connection_set_waiting(request->connection, request);
        MHD_suspend_connection(request->mhd);
        return MHD_YES;
}

/* libmicrohttpd asks again when a request goes on that was suspended at its head. */
static enum MHD_Result wait_for_admission(Request *request)
{
        if (request->answer.status != 0)
                return answer_early(request);
        if (!request->admitted)
                return suspend(request);
        request->receiving = true;
        connection_set_phase(request->connection, CONNECTION_BODY);
        return MHD_YES;
}

static enum MHD_Result receive(Request *request, const char *data, size_t *size)
{
        Server *server = request->server;
        size_t before = request->body.allocated;

        if (*size > server->settings->body_max_bytes - request->body.size)
                return refuse_early(request, MHD_HTTP_CONTENT_TOO_LARGE);
        buffer_append(&request->body, data, *size);
        if (request->is_large)
                server->bodies_bytes += request->body.allocated - before;
        if (request->body.failed || (request->is_large && server->bodies_bytes > BODIES_MAX_BYTES))
                return refuse_early(request, MHD_HTTP_SERVICE_UNAVAILABLE);
        *size = 0;
        return MHD_YES;
}

/* One alone may be of any size. */
static bool has_room(const Server *server, size_t size)
{
        return server->answers_bytes == 0 || (size <= server->settings->answers_max_bytes &&
                                              server->answers_bytes <= server->settings->answers_max_bytes - size);
}

static enum MHD_Result send_answer(Request *request)
{
        const Answer *answer = &request->answer;
        size_t held = answer->owned || answer->message ? answer->size : 0;
        struct MHD_Response *response;
        enum MHD_Result result;
        unsigned status;

        if (held > ANSWER_FREE_BYTES && !has_room(request->server, held))
                return refuse_early(request, MHD_HTTP_SERVICE_UNAVAILABLE);
        if (held > ANSWER_FREE_BYTES) {
                request->answer_held_bytes = held;
                request->server->answers_bytes += held;
        }
        connection_set_phase(request->connection, CONNECTION_SEND);
        response = respond_make(request, request->server->settings, &status);
        if (!response)
                return MHD_NO;
        request->answer.status = status;
        result = MHD_queue_response(request->mhd, status, response);
        MHD_destroy_response(response);
        return result;
}

static enum MHD_Result on_request(void *userdata, struct MHD_Connection *mhd, const char *url, const char *method,
                                  const char *version, const char *data, size_t *size, void **context)
{
        Server *server = userdata;
        Request *request = *context;

        server->progressed = true;
        if (!request)
                return MHD_NO;
        if (!request->begun) {
                enum MHD_Result result = begin(request, method, version);

                if (result == MHD_NO || !request->is_large)
                        return result;
                connection_set_phase(request->connection, CONNECTION_WORK);
                server->callbacks.head(request, server->callbacks.userdata);
        }
        if (request->is_large && !request->receiving)
                return wait_for_admission(request);
        if (*size > 0)
                return receive(request, data, size);
        if (!request->dispatched) {
                request->dispatched = true;
                connection_set_phase(request->connection, CONNECTION_WORK);
                server->callbacks.request(request, server->callbacks.userdata);
        }
        if (request->taken)
                return MHD_NO;
        if (request->answer.status != 0)
                return send_answer(request);
        return suspend(request);
}

void server_receive(Request *request)
{
        request->admitted = true;
        server_resume(request);
}

void server_resume(Request *request)
{
        if (!request->suspended)
                return;
        request->suspended = false;
        connection_set_waiting(request->connection, NULL);
        MHD_resume_connection(request->mhd);
        (void) sd_event_source_set_enabled(request->server->mhd_turn, SD_EVENT_ONESHOT);
}

static void on_completed(void *userdata, struct MHD_Connection *mhd, void **context,
                         enum MHD_RequestTerminationCode code)
{
        Request *request = *context;

        if (!request)
                return;
        connection_set_phase(request->connection, CONNECTION_IDLE);
        request_free(request);
        *context = NULL;
}

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
                request_free(connection->request);
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
                        flags, 0, NULL, NULL, on_request, server, MHD_OPTION_EXTERNAL_LOGGER, on_mhd_log, server,
                        MHD_OPTION_NOTIFY_CONNECTION, on_mhd_connection, server, MHD_OPTION_NOTIFY_COMPLETED,
                        on_completed, server, MHD_OPTION_URI_LOG_CALLBACK, on_request_line, server,
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
