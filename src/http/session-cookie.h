/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The page's cookie in the headers of requests and answers. */

#include "http/request.h"

/* What the page sends with requests that change something; pages of other sites cannot. */
#define SESSION_PAGE_HEADER "X-Syncrun-Page"

/* Its value; NULL if there is none; borrowed. */
const char *session_cookie_get(const Request *request);

void session_cookie_set(Request *request, const char *value);
void session_cookie_clear(Request *request);
