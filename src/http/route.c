/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "http/route.h"

#include "base/string-util.h"

static const Route *const tables[] = { repo_routes,    open_wearables_routes, redbark_routes, webhook_routes,
                                       session_routes, service_routes,        page_routes };

const Route *route_at(size_t i)
{
        for (size_t t = 0; t < ELEMENTSOF(tables); t++)
                for (const Route *route = tables[t]; route->pattern; route++)
                        if (i-- == 0)
                                return route;
        return NULL;
}

/* Sets the arguments where it matches. */
static bool matches(const char *pattern, const Target *target, const char *arguments[static REQUEST_ARGUMENTS_MAX])
{
        size_t n_arguments = 0, i = 0;

        for (pattern++; *pattern; i++) {
                size_t n = strcspn(pattern, "/");

                if (i == target->n_segments)
                        return false;
                if (*pattern == '{') {
                        if (isempty(target->segments[i]))
                                return false;
                        arguments[n_arguments++] = target->segments[i];
                } else if (strlen(target->segments[i]) != n || strncmp(target->segments[i], pattern, n) != 0)
                        return false;
                pattern += n + (pattern[n] == '/');
        }
        return i == target->n_segments;
}

int route_find(Request *request, const Route **ret_route, unsigned *ret_methods)
{
        HttpMethod wanted = request->method == HTTP_HEAD ? HTTP_GET : request->method;
        unsigned methods = 0;
        const Route *route, *found = NULL;

        for (size_t i = 0; (route = route_at(i)); i++) {
                const char *arguments[REQUEST_ARGUMENTS_MAX] = {};

                if (!matches(route->pattern, &request->target, arguments))
                        continue;
                methods |= 1U << route->method;
                if (route->method == HTTP_GET)
                        methods |= 1U << HTTP_HEAD;
                if (route->method == wanted && !found) {
                        found = route;
                        memcpy(request->arguments, arguments, sizeof(arguments));
                }
        }
        if (methods == 0)
                return -ENOENT;
        *ret_methods = methods | 1U << HTTP_OPTIONS;
        if (!found)
                return 0;
        *ret_route = found;
        return 1;
}
