/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "http/session-cookie.h"

#include <microhttpd.h>

#include "base/string-util.h"
#include "http/session.h"

const char *session_cookie_get(const Request *request)
{
        const char *value = MHD_lookup_connection_value(request->mhd, MHD_COOKIE_KIND, SESSION_COOKIE);

        return isempty(value) ? NULL : value;
}

/* Whether the browser speaks TLS, as far as a proxy says so that is trusted. */
static bool is_secure(const Request *request)
{
        const char *protocol = request->by_proxy ? request_header(request, "X-Forwarded-Proto") : NULL;

        return protocol && strcasecmp(protocol, "https") == 0;
}

static void set(Request *request, const char *value, usec_t age_usec)
{
        request_add_header(request, MHD_HTTP_HEADER_SET_COOKIE,
                           SESSION_COOKIE "=%s; Path=/; Max-Age=%llu; HttpOnly; SameSite=Strict%s", value,
                           (unsigned long long) (age_usec / USEC_PER_SEC), is_secure(request) ? "; Secure" : "");
}

void session_cookie_set(Request *request, const char *value)
{
        set(request, value, SESSION_USEC);
}

void session_cookie_clear(Request *request)
{
        set(request, "", 0);
}
