/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Which handler answers what. Each surface has a table of its own; what a handler does is not known here. */

#include "http/request.h"
#include "model/api-key.h"

#define NO_KEY  _API_SCOPE_INVALID /* none is asked for */
#define ANY_KEY _API_SCOPE_MAX     /* one is, whatever it is good for */

struct Route {
        HttpMethod method;   /* GET answers HEAD, too */
        const char *pattern; /* "/v1/sync-runs/{id}" */
        ApiScope scope;      /* what a key must be good for; or one of those above */
        void (*handle)(Request *request);
        bool (*is_open)(const App *app); /* whether it is for everybody after all; NULL: no */
        bool asks_alone;                 /* as in ClientRequest, for its key, too */
        bool ends_session;               /* nobody is asked whether a session's key is still valid */
};

/* Closed by an entry whose pattern is NULL. */
extern const Route repo_routes[];
extern const Route open_wearables_routes[];
extern const Route redbark_routes[];
extern const Route webhook_routes[];
extern const Route session_routes[];
extern const Route service_routes[];
extern const Route page_routes[];

/* The i-th route of all surfaces together; NULL behind the last. */
const Route *route_at(size_t i) _pure_;

/**
 * route_find() - whose request it is
 * @ret_route:   set where 1 is returned
 * @ret_methods: what the path takes, a mask of 1 << HttpMethod; set where 0 or 1 is returned
 *
 * The request's arguments are set to what stands in place of the pattern's names.
 *
 * Return: 1; 0 the path is known, the method is not; -ENOENT.
 */
int route_find(Request *request, const Route **ret_route, unsigned *ret_methods) _must_check_;
