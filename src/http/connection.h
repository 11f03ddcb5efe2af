/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The connections that clients have, as far as limits go: how many there are, from where, and how long each may take
 * for what it does. What is sent over them is not known here. */

#include <systemd/sd-event.h>

#include "http/http-settings.h"
#include "http/peer.h"

/* What a connection is at. */
typedef enum ConnectionPhase {
        CONNECTION_HEAD, /* a request is being read, or the first one is waited for */
        CONNECTION_BODY, /* its body is */
        CONNECTION_IDLE, /* between two requests */
        CONNECTION_WORK, /* an answer is being made: no deadline of ours */
        CONNECTION_SEND, /* it is being sent */
        _CONNECTION_PHASE_MAX,
} ConnectionPhase;

typedef struct Connections Connections;
typedef struct Connection Connection;
typedef struct Request Request;

struct Connection {
        Connections *all;
        Connection *prev, *next; /* of the same phase, in the order of their deadlines */
        int fd;                  /* borrowed */
        Peer peer;
        bool counted; /* by its address */
        ConnectionPhase phase;
        usec_t deadline_usec; /* CLOCK_MONOTONIC */
        usec_t still_usec;    /* CLOCK_MONOTONIC: since when nothing of its body has come; 0: it was not looked at */
        size_t still_bytes;   /* of the body, then */
        int still_unread;     /* in its socket, then */
        Request *request;     /* the one at hand: the server's */
        Request *waiting;     /* for its answer; borrowed */
};

int connections_new(sd_event *event, const HttpSettings *settings, void (*idle_changed)(void *userdata),
                    void *userdata, Connections **ret) _must_check_;
Connections *connections_free(Connections *all);

/**
 * connections_admit() - take a socket in
 * @ret: set where 0 is returned; freed by connection_free()
 *
 * Return: 0; an HTTP status with which it is to be refused: 429 (too many from its address), 503 (too many).
 */
unsigned connections_admit(Connections *all, int fd, const Peer *peer, Connection **ret);

/* Forgets it. NULL is fine; returns NULL. */
Connection *connection_free(Connection *connection);

/* Begins a phase and its deadline. A connection that is at a request's head already goes on with its deadline. */
void connection_set_phase(Connection *connection, ConnectionPhase phase);

/* @request: NULL: it waits no longer. */
/**
 * connections_cut_stuck() - end those whose body comes in chunks that libmicrohttpd can not go on with
 * @is_stuck: whether there is one, as far as libmicrohttpd tells; then this is called again and again
 *
 * One whose socket holds what is not read, or has been closed at its other end, is ended in a moment; any other as
 * soon as nothing has come of it for a second.
 */
void connections_cut_stuck(Connections *all, bool is_stuck);

void connection_set_waiting(Connection *connection, Request *request);
Request *connections_first_waiting(const Connections *all);

unsigned connections_count(const Connections *all);
bool connections_are_sending(const Connections *all);
uint64_t connections_timeouts(const Connections *all);
