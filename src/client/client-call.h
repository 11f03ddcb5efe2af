/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* One call of client-async.c's, with its arguments. What becomes of it is not known here. */

#include "client/client-async.h"

struct ClientShare {
        unsigned n_ref;
        unsigned n_calls; /* under way or waiting */
        unsigned n_sent;  /* of those, on their way */
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
        ClientShare *share; /* NULL: none; a reference */
        bool repeatable;
        bool asks_alone;
        ClientAnswerCallback callback;
        void *userdata;
        usec_t begun_usec;   /* CLOCK_MONOTONIC */
        usec_t give_up_usec; /* CLOCK_MONOTONIC: while it waits for a daemon; 0: it has not begun to */
        bool ready;          /* waits for its turn, and for nothing else */
        sd_bus_slot *slot;   /* NULL: waits */
};

/* A copy of all that is asked for. Return: 0; -ENOMEM. */
int client_call_new(const ClientRequest *request, ClientCall **ret) _must_check_;

/* NULL is fine; returns NULL. */
ClientCall *client_call_free(ClientCall *call);
DEFINE_TRIVIAL_CLEANUP_FUNC(ClientCall *, client_call_free);
