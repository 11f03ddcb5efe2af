/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* HTTP on the event loop: libmicrohttpd parses and answers; sockets are accepted, counted and timed here. What is
 * asked for and by whom is not known here. */

#include <systemd/sd-event.h>

#include "http/http-settings.h"
#include "http/listener.h"
#include "http/request.h"

/* A larger body, and one that does not say how large it is, comes only when the request is admitted. */
#define BODY_FREE_BYTES (4 * KIB)

/* Bytes of all such bodies that are being received; requests beyond are answered with 503. */
#define BODIES_MAX_BYTES (64 * MIB)

/* A larger answer counts, as long as it is being sent, among those that AnswersMaxBytes= limits. */
#define ANSWER_FREE_BYTES (4 * KIB)

typedef struct ServerCallbacks {
        /* The head of a request with a large body is there: it is answered, or server_receive() called, from within or
         * later. */
        void (*head)(Request *request, void *userdata);
        /* A whole request is there. It is answered by request_answer() and the like, from within or later. */
        void (*request)(Request *request, void *userdata);
        /* It is about to be freed, answered or not. */
        void (*done)(Request *request, void *userdata);
        /* The number of connections became zero, or is not zero any more. */
        void (*idle_changed)(void *userdata);
        void *userdata;
} ServerCallbacks;

typedef struct ServerStatus {
        unsigned n_connections;
        uint64_t n_accepted;
        uint64_t n_refused; /* connections over a limit */
        uint64_t n_timeouts;
} ServerStatus;

/**
 * server_new() - begin to serve
 * @settings:  borrowed for the server's life
 * @listeners: taken: their sockets are closed with the server
 *
 * Return: 0; negative errno.
 */
int server_new(sd_event *event, const HttpSettings *settings, Listeners *listeners, const ServerCallbacks *callbacks,
               Server **ret) _must_check_;

/* All requests must have been answered, and no connection be suspended: see server_drain(). */
Server *server_free(Server *server);
DEFINE_TRIVIAL_CLEANUP_FUNC(Server *, server_free);

void server_status(const Server *server, ServerStatus *ret);
const HttpSettings *server_settings(const Server *server);

/* Stops accepting; connections that are there go on. */
void server_close_listeners(Server *server);

/* Calls @answer for each request that waits, which must answer it. */
void server_for_each_waiting(Server *server, void (*answer)(Request *request));

/* Sends what is to be sent, for @usec at most. Context: blocks. */
void server_drain(Server *server, usec_t usec);

/* For requests: look at it again, because it is answered or taken. */
void server_resume(Request *request);
int server_dup_socket(const Request *request) _must_check_;

/* Whether its client has closed the connection; or its own side of it, which looks alike over TCP until something is
 * sent, and has waited for a while. For one that waits, since whoever goes meanwhile is not told of. */
bool server_has_gone(const Request *request);

/* Goes on at once with what was resumed, and not when the loop turns. Not from within a callback of the server's. */
void server_turn(Server *server);

/* More of an answer was made: libmicrohttpd, which asks for its next turn at once, has a use for it. */
void server_progressed(Server *server);

/* It is admitted: its body may come. */
void server_receive(Request *request);
