/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A request from its first line to the end of its answer, as libmicrohttpd tells of it: what is taken of it, when it
 * waits, and what is refused before anybody has looked at what it asks for. Connections and turns are server.c's. */

#include <fcntl.h>
#include <microhttpd.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/string-util.h"
#include "base/time-util.h"
#include "http/head.h"
#include "http/respond.h"
#include "http/server-internal.h"

static void answer_done(Answer *answer)
{
        for (size_t i = 0; i < answer->n_headers; i++)
                free(answer->headers[i].value);
        free(answer->owned);
        sd_bus_message_unref(answer->message);
}

void server_free_request(Request *request)
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

bool server_has_gone(const Request *request)
{
        struct pollfd poll_fd = { .fd = request->connection->fd, .events = POLLRDHUP };

        if (poll(&poll_fd, 1, 0) <= 0)
                return false;
        /* Its own side alone is closed by some who wait for the answer, too: those have a while, as long as a daemon
         * may take that is started for them. */
        return poll_fd.revents & (POLLHUP | POLLERR) ||
               now_usec(CLOCK_MONOTONIC) - request->begun_usec >= CLIENT_WAIT_USEC;
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

void *server_begin_request(void *userdata, const char *target, struct MHD_Connection *mhd)
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

static enum MHD_Result begin(Request *request, const char *method, const char *target, const char *version)
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
        status = head_check(request, method, target, version);
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
        size_t held = respond_held_bytes(request);
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

enum MHD_Result server_go_on(void *userdata, struct MHD_Connection *mhd, const char *url, const char *method,
                             const char *version, const char *data, size_t *size, void **context)
{
        Server *server = userdata;
        Request *request = *context;

        server->progressed = true;
        if (!request)
                return MHD_NO;
        if (!request->begun) {
                enum MHD_Result result = begin(request, method, url, version);

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

void server_end_request(void *userdata, struct MHD_Connection *mhd, void **context,
                        enum MHD_RequestTerminationCode code)
{
        Request *request = *context;

        if (!request)
                return;
        connection_set_phase(request->connection, CONNECTION_IDLE);
        server_free_request(request);
        *context = NULL;
}
