/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Signing in and out, for the page: an API key becomes a cookie that scripts cannot read. */

#include <microhttpd.h>

#include "base/json-util.h"
#include "base/json-writer.h"
#include "base/string-util.h"
#include "http/admission.h"
#include "http/app.h"
#include "http/backend.h"
#include "http/route.h"
#include "http/session-cookie.h"
#include "http/surface.h"

static void answer(Request *request, usec_t expires_usec)
{
        const Principal *principal = request->principal;
        const char *words[_API_SCOPE_MAX + 1];
        _cleanup_buffer_ Buffer json = {};
        JsonWriter w = JSON_WRITER_INIT(&json);
        char *text;

        api_scopes_to_words(principal->scopes, words);
        json_open_object(&w, NULL);
        json_write_string(&w, "name", principal->name);
        json_open_array(&w, "scopes");
        for (size_t i = 0; words[i]; i++)
                json_write_string(&w, NULL, words[i]);
        json_close_array(&w);
        json_write_string(&w, "user", principal->user_id[0] ? principal->user_id : NULL);
        json_write_timestamp(&w, "expiresAt", expires_usec);
        json_close_object(&w);
        request_answer(request, MHD_HTTP_OK, TYPE_JSON, buffer_take(&json, &text) < 0 ? NULL : text);
}

static void on_signed_in(Request *request, AuthResult result)
{
        _cleanup_free_ char *cookie = NULL;
        usec_t expires_usec;

        if (!admission_check(request, result))
                return;
        if (auth_begin_session(request->app->auth, request->principal, &cookie, &expires_usec) < 0) {
                backend_refuse(request, &(ClientAnswer){ .error = -ENOMEM });
                return;
        }
        session_cookie_set(request, cookie);
        answer(request, expires_usec);
}

/* The text of a secret in an object, wiped: json-c does not. */
static void wipe(const char *secret)
{
        explicit_bzero((char *) secret, strlen(secret));
}

static void sign_in(Request *request)
{
        _cleanup_json_ struct json_object *body = NULL;
        const char *key;

        if (!admission_check_page(request) || !surface_body(request, json_type_object, &body))
                return;
        explicit_bzero(request->body.data, request->body.size);
        if (json_get_string(body, "key", &key) <= 0) {
                surface_refuse(request, MHD_HTTP_UNPROCESSABLE_CONTENT, "key: Field required");
                return;
        }
        auth_check_key(request->app->auth, request, key, on_signed_in);
        wipe(key);
}

static void get_session(Request *request)
{
        answer(request, request->principal->expires_usec);
}

static void sign_out(Request *request)
{
        if (auth_end_session(request->app->auth, request->principal) < 0) {
                backend_refuse(request, &(ClientAnswer){ .error = -ENOMEM });
                return;
        }
        session_cookie_clear(request);
        request_answer_empty(request, MHD_HTTP_NO_CONTENT);
}

const Route session_routes[] = {
        { HTTP_POST, "/v1/session", NO_KEY, sign_in },
        { HTTP_GET, "/v1/session", ANY_KEY, get_session },
        { HTTP_DELETE, "/v1/session", ANY_KEY, sign_out, .ends_session = true },
        {},
};
