/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* One call of client-async.c's, with its arguments. What becomes of it is not known here. */

#include "client/client-async.h"

/* client-queue.c's: calls that wait. */
typedef struct ClientLine {
        ClientCall *calls; /* the oldest first */
        bool newest_next;  /* where the oldest has waited too long */
} ClientLine;

struct ClientShare {
        unsigned n_ref;
        unsigned n_calls; /* under way or waiting */
        bool is_limited;  /* in how many are on their way */

        /* client-queue.c's */
        ClientLine small, large; /* calls that wait */
        bool large_next;         /* whose turn it is, where both lines have one that may go */
        unsigned n_sent;         /* on their way */
        unsigned n_sent_large;   /* of those */
        bool listed;             /* waits for its turn */
        ClientShare *prev, *next;
};

struct ClientCall {
        ClientAsync *client;
        ClientCall *prev, *next;
        char *path;
        char *interface;
        char *member;
        char *text;
        char *second_text;
        bool with_number;
        uint64_t number;
        bool dictionary;
        ClientOption *options; /* their strings are ours */
        size_t n_options;
        ClientShare *share; /* a reference */
        bool is_large;
        bool repeatable;
        bool asks_alone;
        bool (*is_wanted)(void *userdata); /* or NULL */
        ClientAnswerCallback callback;
        void *userdata;
        usec_t begun_usec;   /* CLOCK_MONOTONIC */
        usec_t give_up_usec; /* CLOCK_MONOTONIC: while it waits for a daemon; 0: it has not begun to */
        sd_bus_slot *slot;   /* NULL: waits */

        /* client-queue.c's */
        bool waits; /* for its turn, and for nothing else */
        ClientCall *prev_waiting, *next_waiting;
};

/* A copy of all that is asked for. @share: that it is of; a reference is taken. Return: 0; -ENOMEM. */
int client_call_new(const ClientRequest *request, ClientShare *share, ClientCall **ret) _must_check_;

/* NULL is fine; returns NULL. */
ClientCall *client_call_free(ClientCall *call);
DEFINE_TRIVIAL_CLEANUP_FUNC(ClientCall *, client_call_free);
