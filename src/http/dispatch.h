/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The way of a request to its route. @app: App, as the server's callbacks have it. */

#include "http/request.h"

/* A large body is to come: it may where the route wants it and the key allows it, else the request is answered. */
void dispatch_head(Request *request, void *app);

/* Gives a request to the route that answers it. */
void dispatch_request(Request *request, void *app);

/* Answers that the service ends. */
void dispatch_refuse_stopping(Request *request);

/* Releases what the application has in a request, and counts it. */
void dispatch_done(Request *request, void *app);
