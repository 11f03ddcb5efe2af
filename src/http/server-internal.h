/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the files of the server know of each other's: server.c and server-request.c. */

#include <microhttpd.h>

#include "http/connection.h"
#include "http/farewell.h"
#include "http/server.h"

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
        bool progressed; /* in the last turn of libmicrohttpd's, a request was heard of, or more of an answer made */
        unsigned n_idle_turns; /* one after the other, without that */
        size_t bodies_bytes;
        size_t answers_bytes; /* of those that are being sent, but for what is there in any case */
        uint64_t n_accepted;
        uint64_t n_refused;
};

/* ---- For libmicrohttpd, of one request after the other; @userdata is the server, *@context the request */

/* The request line has been read. Its text is not to be had later as it was. Return: the request; NULL when out of
 * memory. */
void *server_begin_request(void *userdata, const char *target, struct MHD_Connection *mhd);

/* Its head is there, then what comes of its body, piece by piece, and then all of it. */
enum MHD_Result server_go_on(void *userdata, struct MHD_Connection *mhd, const char *url, const char *method,
                             const char *version, const char *data, size_t *size, void **context);

/* It was answered, or its client is gone. */
void server_end_request(void *userdata, struct MHD_Connection *mhd, void **context,
                        enum MHD_RequestTerminationCode code);

/* One that libmicrohttpd does not tell the end of. */
void server_free_request(Request *request);
