/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The page, for browsers: files without a secret, given to everybody. What it shows it asks for as any client does. */

#include <microhttpd.h>

#include "http/app.h"
#include "http/page.h"
#include "http/route.h"
#include "http/surface.h"

/* What the page may do in a browser: load its own files, talk to this server, and nothing else. */
#define CONTENT_SECURITY_POLICY                                                               \
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "       \
        "img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; " \
        "require-trusted-types-for 'script'; trusted-types 'none'"

static void answer_file(Request *request, const char *prefix, const char *name)
{
        const PageFile *file = page_find(request->app->page, prefix, name);

        if (!file) {
                surface_refuse(request, MHD_HTTP_NOT_FOUND, "Not Found");
                return;
        }
        request_add_header(request, "Content-Security-Policy", CONTENT_SECURITY_POLICY);
        request_add_header(request, "Cross-Origin-Opener-Policy", "same-origin");
        request_add_header(request, "Cross-Origin-Resource-Policy", "same-origin");
        request_add_header(request, "Referrer-Policy", "no-referrer");
        request_answer_prepared(request, file);
}

static void get_page(Request *request)
{
        answer_file(request, "", "index.html");
}

static void get_file(Request *request)
{
        answer_file(request, "", request->arguments[0]);
}

static void get_view(Request *request)
{
        answer_file(request, PAGE_VIEWS, request->arguments[0]);
}

const Route page_routes[] = {
        { HTTP_GET, "/", _API_SCOPE_INVALID, get_page },
        { HTTP_GET, "/web/{file}", _API_SCOPE_INVALID, get_file },
        { HTTP_GET, "/web/views/{file}", _API_SCOPE_INVALID, get_view },
        {},
};
