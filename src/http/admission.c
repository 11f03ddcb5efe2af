/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "http/admission.h"

#include <limits.h>
#include <microhttpd.h>

#include "base/log.h"
#include "base/string-util.h"
#include "base/time-util.h"
#include "http/app.h"
#include "http/server.h"
#include "http/session-cookie.h"
#include "http/surface.h"

#define CHALLENGE "Bearer realm=\"syncrun\""

/* Where it is kept what was said of its sender's refusals. */
static QuietLog *log_of(Request *request)
{
        Guesses *guesses = auth_guesses(request->app->auth, request);

        return request->principal ? &request->principal->allowance->log
               : guesses          ? &guesses->log
                                  : &request->app->refusal_log;
}

void admission_note(Request *request, RefusalReason reason)
{
        unsigned n_unsaid;

        metrics_count_refusal(request->app->metrics, reason);
        if (quiet_log_may(log_of(request), reason, now_usec(CLOCK_MONOTONIC), &n_unsaid))
                log_info("Refused %s %s from %s: %s%s%s%s%s. %u like it were not told of.",
                         strna(http_method_to_string(request->method)), request->route->pattern, request->peer.text,
                         refusal_reason_to_string(reason), request->why ? ", " : "", strempty(request->why),
                         request->principal ? ", key " : "", request->principal ? request->principal->name : "",
                         n_unsaid);
}

static bool is_api(const Request *request)
{
        return request->target.n_segments > 0 && streq(request->target.segments[0], "api");
}

static void refuse_missing(Request *request)
{
        admission_note(request, REFUSAL_MISSING);
        request_add_header(request, MHD_HTTP_HEADER_WWW_AUTHENTICATE, CHALLENGE);
        surface_refuse(request, MHD_HTTP_UNAUTHORIZED, "%s",
                       is_api(request) ? "Authentication required: provide JWT token or API key"
                                       : "Authentication required");
}

/* A cookie that is refused is taken away, too: the browser would send it with each request. */
static void refuse_unknown(Request *request, RefusalReason reason, const char *words)
{
        admission_note(request, reason);
        if (request->by_cookie)
                session_cookie_clear(request);
        request_add_header(request, MHD_HTTP_HEADER_WWW_AUTHENTICATE, CHALLENGE ", error=\"invalid_token\"");
        surface_refuse(request, MHD_HTTP_UNAUTHORIZED, "%s", words);
}

/* Tells the client how a limit stands. */
static void add_rate(Request *request, TokenBucket *bucket, unsigned limit, usec_t now)
{
        char text[TIMESTAMP_TEXT_MAX];
        usec_t reset = now_usec(CLOCK_REALTIME) / USEC_PER_SEC + token_bucket_full_sec(bucket, limit, now);

        request_add_header(request, "X-RateLimit-Limit", "%u", limit);
        request_add_header(request, "X-RateLimit-Remaining", "%u", token_bucket_left(bucket, limit, now));
        request_add_header(request, "X-RateLimit-Reset", "%s",
                           strempty(timestamp_format_iso(text, sizeof(text), reset * USEC_PER_SEC)));
}

static void refuse_guesses(Request *request)
{
        unsigned limit = request->app->settings.failures_per_minute;
        Guesses *guesses = auth_guesses(request->app->auth, request);
        usec_t now = now_usec(CLOCK_MONOTONIC);

        admission_note(request, REFUSAL_TOO_MANY);
        if (guesses)
                add_rate(request, &guesses->bucket, limit, now);
        surface_refuse_rate(request, limit, guesses ? token_bucket_next_sec(&guesses->bucket, limit, now) : 1);
}

/* Takes from what the key has. */
static bool within_rate(Request *request)
{
        unsigned limit = request->app->settings.requests_per_minute;
        TokenBucket *bucket = &request->principal->allowance->requests;
        usec_t now = now_usec(CLOCK_MONOTONIC);
        bool taken;

        if (limit == UINT_MAX)
                return true;
        taken = token_bucket_take(bucket, limit, now);
        add_rate(request, bucket, limit, now);
        if (taken)
                return true;
        admission_note(request, REFUSAL_RATE);
        surface_refuse_rate(request, limit, token_bucket_next_sec(bucket, limit, now));
        return false;
}

static void refuse(Request *request, AuthResult result)
{
        switch (result) {
        case AUTH_GRANTED:
                break;
        case AUTH_MISSING:
                refuse_missing(request);
                break;
        case AUTH_UNKNOWN:
                refuse_unknown(request, REFUSAL_UNKNOWN, "Invalid or missing API key");
                break;
        case AUTH_EXPIRED:
                refuse_unknown(request, REFUSAL_EXPIRED, "The session has ended");
                break;
        case AUTH_BAD_TOKEN:
                refuse_unknown(request, REFUSAL_TOKEN, "Invalid authentication credentials");
                break;
        case AUTH_OLD_TOKEN:
                refuse_unknown(request, REFUSAL_EXPIRED, "The token has expired");
                break;
        case AUTH_TOO_MANY:
                refuse_guesses(request);
                break;
        case AUTH_AMBIGUOUS:
                admission_note(request, REFUSAL_AMBIGUOUS);
                surface_refuse(request, MHD_HTTP_BAD_REQUEST, "The request has more than one key, token or session");
                break;
        }
}

bool admission_check(Request *request, AuthResult result)
{
        if (result == AUTH_GRANTED)
                return within_rate(request);
        refuse(request, result);
        return false;
}

void admission_refuse_ended(Request *request)
{
        const TokenKey *token_key = request->principal->token_key;

        if (token_key)
                refuse(request, token_key->gone ? AUTH_BAD_TOKEN : AUTH_OLD_TOKEN);
        else
                refuse(request, request->by_cookie ? AUTH_EXPIRED : AUTH_UNKNOWN);
}

/* ---- Requests that another site's page makes a browser send */

/* The host and port of an origin; NULL where it is none ("null"). */
static const char *origin_authority(const char *origin)
{
        const char *p = strstr(origin, "://");

        return p ? p + strlen("://") : NULL;
}

/* Browsers say it themselves, and no page can make them say something else. */
static bool is_of_own_page(const Request *request)
{
        const char *site = request_header(request, "Sec-Fetch-Site");
        const char *origin = request_header(request, MHD_HTTP_HEADER_ORIGIN);
        const char *host = request->by_proxy ? request_header(request, "X-Forwarded-Host") : NULL;
        const char *authority;

        if (site)
                return streq(site, "same-origin") || streq(site, "none");
        if (!origin)
                return true;
        authority = origin_authority(origin);
        return authority && strcasecmp(authority, strempty(host ?: request_header(request, "Host"))) == 0;
}

bool admission_check_page(Request *request)
{
        const char *page = request_header(request, SESSION_PAGE_HEADER), *why = NULL;

        if (!is_of_own_page(request))
                why = "This is for the service's own page alone";
        else if (request->by_cookie && !(page && streq(page, "1")))
                why = "With a session this needs the header " SESSION_PAGE_HEADER ": 1";
        if (!why)
                return true;
        admission_note(request, REFUSAL_FOREIGN);
        surface_refuse(request, MHD_HTTP_FORBIDDEN, "%s", why);
        return false;
}

/* ---- All of it */

void admission_enter(Request *request, AuthResult result)
{
        bool changes = request->method != HTTP_GET && request->method != HTTP_HEAD;
        const Route *route = request->route;

        if (!admission_check(request, result))
                return;
        if (request->by_cookie && changes && !admission_check_page(request))
                return;
        if (route->scope != ANY_KEY && !principal_may(request->principal, route->scope)) {
                admission_note(request, REFUSAL_SCOPE);
                surface_refuse(request, MHD_HTTP_FORBIDDEN, "%s not allowed to perform '%s' action",
                               request->principal->token_key ? "Token" : "API key", api_scope_to_string(route->scope));
                return;
        }
        if (request->is_large && !request->admitted)
                server_receive(request);
        else
                route->handle(request);
}

void admission_enter_again(Request *request)
{
        /* A session ends whatever has become of its key. */
        if (request->route->ends_session || auth_is_valid(request->principal))
                request->route->handle(request);
        else
                admission_refuse_ended(request);
}
