/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A last word to clients that are not served: it is sent, and what they still send is read and dropped for a moment,
 * because closing a socket with unread data takes the last word away from them. */

#include <systemd/sd-event.h>

#include "http/request.h"

#define FAREWELLS_MAX     1024U /* at a time; further sockets are closed at once */
#define FAREWELL_USEC     (2 * USEC_PER_SEC)
#define FAREWELL_BODY_MAX 256U

typedef struct Farewells Farewells;

int farewells_new(sd_event *event, const HttpSettings *settings, Farewells **ret) _must_check_;
Farewells *farewells_free(Farewells *farewells);
DEFINE_TRIVIAL_CLEANUP_FUNC(Farewells *, farewells_free);

/* Sends an answer with an error of this status, and closes. Takes @fd. @request: NULL: nothing was read of one. */
void farewell_say(Farewells *farewells, int fd, unsigned status, const Request *request);

/* That answer. NULL: there is no memory; the caller frees. */
char *farewell_write(unsigned status, const Request *request, const HttpSettings *settings) _must_check_;

/* The same with an answer that is written already. */
void farewell_say_text(Farewells *farewells, int fd, const char *text, size_t size);
