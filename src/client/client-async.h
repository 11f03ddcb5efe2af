/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The daemon as a program with an event loop sees it: calls that never block, news as it is committed, and a
 * connection that mends itself when the daemon or the bus goes away. What an answer means is the caller's business. */

#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>

#include "base/refusal.h"
#include "client/client.h"

typedef struct ClientAsync ClientAsync;
typedef struct ClientCall ClientCall;

#define CLIENT_WAIT_USEC         (3 * USEC_PER_SEC)  /* a call waits so long for a daemon that is away */
#define CLIENT_CALL_TIMEOUT_USEC (30 * USEC_PER_SEC) /* and so long for the answer of one that is there */

/* Calls on their way at a time; others wait for their turn. Those of asks_alone have some that no others take from
 * them, and take none from others. The bus refuses a connection's 129th that is not answered yet; a few are its own.
 */
#define CLIENT_SENT_MAX       96U
#define CLIENT_SENT_ALONE_MAX 16U

/* Calls that count together: so many of them are on their way at a time, and of those that keep the daemon for long so
 * many. Shares take turns: nobody waits for more than what is on its way of each other one. */
#define CLIENT_SENT_SHARE_MAX 16U
#define CLIENT_SENT_LARGE_MAX 1U
#define CLIENT_CALLS_MAX      4096U /* of a share, under way or waiting; further ones are refused */
typedef struct ClientShare ClientShare;

/* Return: one with a reference; NULL when out of memory. */
ClientShare *client_share_new(void) _must_check_;
ClientShare *client_share_ref(ClientShare *share);

/* NULL is fine; returns NULL. */
ClientShare *client_share_unref(ClientShare *share);

/* How a call ended. All that it points to is borrowed, for the time of the callback. */
typedef struct ClientAnswer {
        /* 0; -errno of a refusal's row; -EHOSTUNREACH: it was not done, for want of a daemon; -ETIMEDOUT: it may have
         * been done, and nobody says so; -ECANCELED: it was not wanted any more when its turn came */
        int error;
        const Refusal *refusal; /* NULL: none of ours */
        const char *message;    /* the daemon's words, or NULL */
        sd_bus_message *reply;  /* NULL on failure */
} ClientAnswer;

typedef void (*ClientAnswerCallback)(const ClientAnswer *answer, void *userdata);

/* All of it is copied. */
typedef struct ClientRequest {
        const char *path;      /* NULL: the manager's */
        const char *interface; /* NULL: the manager's */
        const char *member;
        const char *text;        /* a first argument of type s; NULL: none */
        const char *second_text; /* another; NULL: none */
        const uint64_t *number;  /* an argument t behind those; NULL: none */
        bool dictionary;         /* an argument a{sv}, of these options */
        const ClientOption *options;
        size_t n_options;
        ClientShare *share; /* that it is of; NULL: the client's own. A reference is taken. */
        bool is_large;      /* keeps the daemon for long */
        bool repeatable;    /* may be sent again when the daemon died over it */
        bool asks_alone;    /* starts no daemon, and all of it takes no longer than CLIENT_WAIT_USEC */
        /* Asked before one is sent that has waited for its turn, with the callback's userdata; NULL: it is. */
        bool (*is_wanted)(void *userdata);
} ClientRequest;

typedef struct ClientAsyncCallbacks {
        /* One event that was committed; strings are borrowed. */
        ClientEventCallback event;
        /* All that were committed together, and fit into one signal, have been told. */
        void (*events_end)(void *userdata);
        void (*key_revoked)(const char *name, void *userdata);
        /* Connectors have come, gone, or have other settings. */
        void (*connectors_changed)(void *userdata);
        /* The daemon is there, for the first time or again: what was signalled meanwhile was missed. */
        void (*returned)(void *userdata);
        /* The daemon went away: what was learnt of it may not hold any more. */
        void (*lost)(void *userdata);
        void *userdata;
} ClientAsyncCallbacks;

/**
 * client_async_new() - begin to connect
 * @callbacks: copied; any may be NULL
 * @ret:       set on success only
 *
 * A bus that is not there is tried again, in ever longer intervals up to seconds.
 *
 * Return: 0; -ENOMEM; errno of the event loop.
 */
int client_async_new(sd_event *event, const ClientAsyncCallbacks *callbacks, ClientAsync **ret) _must_check_;

/* Calls that are under way end without an answer. */
ClientAsync *client_async_free(ClientAsync *client);
DEFINE_TRIVIAL_CLEANUP_FUNC(ClientAsync *, client_async_free);

/* Whether the daemon is there, as far as the bus has told. */
bool client_async_is_up(const ClientAsync *client);

/**
 * client_async_call() - call a method
 * @callback: called once, never from within this function, unless the call is cancelled
 * @ret_call: to cancel it by; not valid any more when the callback is called. May be NULL.
 *
 * It is sent to a daemon that is there only. One that is not is started, where the bus can, and waited for.
 *
 * Return: 0; -ENOBUFS (CLIENT_CALLS_MAX; never of asks_alone); -ENOMEM; errno of the event loop.
 */
int client_async_call(ClientAsync *client, const ClientRequest *request, ClientAnswerCallback callback, void *userdata,
                      ClientCall **ret_call) _must_check_;

/* Whether the daemon may have heard it, so that it may be done, and not in vain, once it is forgotten. NULL: there is
 * none. */
bool client_call_may_be_done(const ClientCall *call);

/* Forgets the call: its callback is not called. What the daemon has heard, it does. NULL is fine; returns NULL. */
ClientCall *client_call_cancel(ClientCall *call);
