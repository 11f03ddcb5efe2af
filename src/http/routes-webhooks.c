/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The surface of Open Wearables for webhooks: endpoints, and what was sent to them (C32). It is for keys that see all
 * users: an endpoint may be told of anybody. */

#include <microhttpd.h>

#include "base/json-util.h"
#include "base/json-writer.h"
#include "base/string-util.h"
#include "base/time-util.h"
#include "http/auth.h"
#include "http/backend.h"
#include "http/route.h"
#include "http/surface.h"
#include "model/webhook.h"

#define VIEW        "open-wearables"
#define LIMIT_USUAL 50U
#define LIMIT_MAX   250U

static bool may_manage(Request *request)
{
        if (!request->principal->user_id[0])
                return true;
        surface_refuse(request, MHD_HTTP_FORBIDDEN, "A key of one user may not manage webhooks");
        return false;
}

static ClientOption on_behalf(const Request *request)
{
        return (ClientOption){ .name = "on_behalf_of", .type = 's', .s = request->principal->name };
}

/* What is done to the endpoint of the path, and perhaps to the message behind it. */
static void act(Request *request, const char *member, void (*next)(Request *request, const ClientAnswer *answer))
{
        const ClientOption option = on_behalf(request);

        if (may_manage(request))
                backend_call(request,
                             &(ClientRequest){
                                             .member = member,
                                             .text = request->arguments[0],
                                             .second_text = request->arguments[1],
                                             .dictionary = true,
                                             .options = &option,
                                             .n_options = 1,
                                             .repeatable = request->method != HTTP_POST &&
                                                           request->method != HTTP_DELETE,
                             },
                             next);
}

/* ---- Answers */

static void on_deleted(Request *request, const ClientAnswer *answer)
{
        if (answer->error < 0)
                backend_refuse(request, answer);
        else
                request_answer_empty(request, MHD_HTTP_NO_CONTENT);
}

static void on_accepted(Request *request, const ClientAnswer *answer)
{
        if (answer->error < 0)
                backend_refuse(request, answer);
        else
                request_answer_empty(request, MHD_HTTP_ACCEPTED);
}

static void on_added(Request *request, const ClientAnswer *answer)
{
        const char *id, *json;

        if (answer->error < 0)
                backend_refuse(request, answer);
        else if (sd_bus_message_read(answer->reply, "ss", &id, &json) < 0)
                surface_refuse(request, MHD_HTTP_BAD_GATEWAY, "The answer cannot be read");
        else {
                request_add_header(request, MHD_HTTP_HEADER_LOCATION, "/api/v1/webhooks/endpoints/%s", id);
                request_answer_message(request, MHD_HTTP_CREATED, answer->reply, json);
        }
}

/* A reply of type s as {"key": s}. */
static void answer_wrapped(Request *request, unsigned status, const char *key, const ClientAnswer *answer)
{
        _cleanup_buffer_ Buffer json = {};
        JsonWriter w = JSON_WRITER_INIT(&json);
        const char *text;
        char *body;

        if (answer->error < 0) {
                backend_refuse(request, answer);
                return;
        }
        if (sd_bus_message_read(answer->reply, "s", &text) < 0) {
                surface_refuse(request, MHD_HTTP_BAD_GATEWAY, "The answer cannot be read");
                return;
        }
        json_open_object(&w, NULL);
        json_write_string(&w, key, text);
        json_close_object(&w);
        request_answer(request, status, TYPE_JSON, buffer_take(&json, &body) < 0 ? NULL : body);
}

static void on_secret(Request *request, const ClientAnswer *answer)
{
        request_add_header(request, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
        answer_wrapped(request, MHD_HTTP_OK, "key", answer);
}

static void on_tested(Request *request, const ClientAnswer *answer)
{
        answer_wrapped(request, MHD_HTTP_ACCEPTED, "id", answer);
}

/* ---- What a body says of an endpoint */

#define WISHES_MAX 7U

typedef struct Wish {
        struct json_object *body; /* has the strings */
        const char *url;
        const char *description;
        const char *user_id;
        char user_buf[UUID_TEXT_MAX];
        char **types;
        bool types_given;
        int disabled; /* -1: not given */
} Wish;

static void wish_done(Wish *wish)
{
        strv_free(wish->types);
        json_object_put(wish->body);
}

/* null is "", which clears; what is not there is left alone. */
static bool read_text(Request *request, struct json_object *body, const char *key, const char **ret)
{
        struct json_object *value;

        if (!json_object_object_get_ex(body, key, &value) || json_get_string(body, key, ret) > 0)
                return true;
        if (!value)
                *ret = "";
        else
                surface_refuse(request, MHD_HTTP_UNPROCESSABLE_CONTENT, "%s: Input should be a valid string", key);
        return !value;
}

static bool read_types(Request *request, Wish *wish)
{
        struct json_object *array;
        unsigned types;
        size_t n = 0;
        int r = 0;

        wish->types_given = json_object_object_get_ex(wish->body, "filter_types", &array);
        if (!wish->types_given || !array)
                return true;
        if (json_object_is_type(array, json_type_array))
                n = json_object_array_length(array);
        else
                r = -EINVAL;
        for (size_t i = 0; r >= 0 && i < n; i++) {
                struct json_object *word = json_object_array_get_idx(array, i);
                const char *text = json_object_is_type(word, json_type_string) ? json_object_get_string(word) : NULL;

                r = text && strlen(text) == (size_t) json_object_get_string_len(word) ? strv_extend(&wish->types, text)
                                                                                      : -EINVAL;
        }
        if (r >= 0)
                r = webhook_types_from_words(wish->types, &types);
        if (r == -EINVAL)
                surface_refuse(request, MHD_HTTP_UNPROCESSABLE_CONTENT,
                               "filter_types: Input should be a list of names that /api/v1/webhooks/event-types has");
        else if (r < 0)
                backend_refuse(request, &(ClientAnswer){ .error = r });
        return r >= 0;
}

static bool wish_read(Request *request, Wish *wish)
{
        bool disabled = false;
        int r;

        *wish = (Wish){};
        if (!surface_body(request, json_type_object, &wish->body) ||
            !read_text(request, wish->body, "url", &wish->url) ||
            !read_text(request, wish->body, "description", &wish->description) ||
            !read_text(request, wish->body, "user_id", &wish->user_id) || !read_types(request, wish))
                return false;
        r = json_get_bool(wish->body, "disabled", &disabled);
        if (r < 0) {
                surface_refuse(request, MHD_HTTP_UNPROCESSABLE_CONTENT, "disabled: Input should be a valid boolean");
                return false;
        }
        wish->disabled = r > 0 ? disabled : -1;
        if (json_object_object_get(wish->body, "user_id")) {
                if (!surface_uuid(request, "user_id", wish->user_id, wish->user_buf))
                        return false;
                wish->user_id = wish->user_buf;
        }
        return true;
}

static size_t wish_options(const Request *request, const Wish *wish, ClientOption options[static WISHES_MAX])
{
        size_t n = 0;

        options[n++] = on_behalf(request);
        options[n++] = (ClientOption){ .name = "view", .type = 's', .s = VIEW };
        options[n++] = (ClientOption){ .name = "description", .type = 's', .s = wish->description };
        options[n++] = (ClientOption){ .name = "user", .type = 's', .s = wish->user_id };
        if (wish->types_given)
                options[n++] = (ClientOption){ .name = "types", .type = 'a', .as = wish->types, .even_empty = true };
        if (wish->disabled >= 0)
                options[n++] = (ClientOption){ .name = "disabled", .type = 'b', .b = wish->disabled > 0 };
        return n;
}

/* ---- Endpoints */

static void list_endpoints(Request *request)
{
        uint64_t limit = LIMIT_USUAL;
        ClientOption options[] = {
                on_behalf(request),
                { .name = "view", .type = 's', .s = VIEW },
                { .name = "iterator", .type = 's', .s = target_get(&request->target, "iterator") },
                { .name = "limit", .type = 'u' },
        };

        if (!may_manage(request) || !surface_number(request, "limit", 1, LIMIT_MAX, &limit))
                return;
        options[ELEMENTSOF(options) - 1].u = (uint32_t) limit;
        backend_describe(request, "DescribeWebhookEndpoints", options, ELEMENTSOF(options));
}

static void get_endpoint(Request *request)
{
        const ClientOption options[] = {
                on_behalf(request),
                { .name = "view", .type = 's', .s = VIEW },
                { .name = "id", .type = 's', .s = request->arguments[0] },
        };

        if (may_manage(request))
                backend_describe(request, "DescribeWebhookEndpoints", options, ELEMENTSOF(options));
}

static void add_endpoint(Request *request)
{
        _cleanup_(wish_done) Wish wish = {};
        ClientOption options[WISHES_MAX];

        if (!may_manage(request) || !wish_read(request, &wish))
                return;
        if (!wish.url) {
                surface_refuse(request, MHD_HTTP_UNPROCESSABLE_CONTENT, "url: Field required");
                return;
        }
        backend_call(request,
                     &(ClientRequest){
                                     .member = "AddWebhookEndpoint",
                                     .text = wish.url,
                                     .dictionary = true,
                                     .options = options,
                                     .n_options = wish_options(request, &wish, options),
                     },
                     on_added);
}

static void update_endpoint(Request *request)
{
        _cleanup_(wish_done) Wish wish = {};
        ClientOption options[WISHES_MAX];
        size_t n;

        if (!may_manage(request) || !wish_read(request, &wish))
                return;
        n = wish_options(request, &wish, options);
        options[n++] = (ClientOption){ .name = "url", .type = 's', .s = wish.url };
        backend_call(request,
                     &(ClientRequest){
                                     .member = "UpdateWebhookEndpoint",
                                     .text = request->arguments[0],
                                     .dictionary = true,
                                     .options = options,
                                     .n_options = n,
                     },
                     backend_pass);
}

static void delete_endpoint(Request *request)
{
        act(request, "RemoveWebhookEndpoint", on_deleted);
}

/* ---- Secrets */

static void get_secret(Request *request)
{
        act(request, "GetWebhookSecret", on_secret);
}

static void rotate_secret(Request *request)
{
        _cleanup_json_ struct json_object *body = NULL;
        bool at_once = false;

        if (!may_manage(request) || (request->body.size > 0 && !surface_body(request, json_type_object, &body)))
                return;
        if (body && json_get_bool(body, "at_once", &at_once) < 0) {
                surface_refuse(request, MHD_HTTP_UNPROCESSABLE_CONTENT, "at_once: Input should be a valid boolean");
                return;
        }
        backend_call(request,
                     &(ClientRequest){
                                     .member = "RotateWebhookSecret",
                                     .text = request->arguments[0],
                                     .dictionary = true,
                                     .options = (ClientOption[]){ on_behalf(request),
                                                                  { .name = "at_once", .type = 'b', .b = at_once } },
                                     .n_options = 2,
                     },
                     on_secret);
}

/* ---- Messages */

/* Of the path's endpoint, or of all. */
static void describe_page(Request *request, const char *member)
{
        uint64_t limit = LIMIT_USUAL;
        ClientOption options[] = {
                on_behalf(request),
                { .name = "endpoint", .type = 's', .s = request->arguments[0] },
                { .name = "message", .type = 's', .s = target_get(&request->target, "msg_id") },
                { .name = "iterator", .type = 's', .s = target_get(&request->target, "iterator") },
                { .name = "limit", .type = 'u' },
        };

        if (!may_manage(request) || !surface_number(request, "limit", 1, LIMIT_MAX, &limit))
                return;
        options[ELEMENTSOF(options) - 1].u = (uint32_t) limit;
        backend_describe(request, member, options, ELEMENTSOF(options));
}

static void list_messages(Request *request)
{
        describe_page(request, "DescribeWebhookMessages");
}

static void list_attempts(Request *request)
{
        describe_page(request, "DescribeWebhookAttempts");
}

static void list_types(Request *request)
{
        backend_call(request, &(ClientRequest){ .member = "DescribeWebhookEventTypes", .repeatable = true },
                     backend_pass);
}

static void test_endpoint(Request *request)
{
        act(request, "TestWebhook", on_tested);
}

static void resend_message(Request *request)
{
        act(request, "ResendWebhookMessage", on_accepted);
}

static void recover_messages(Request *request)
{
        _cleanup_json_ struct json_object *body = NULL;
        const ClientOption option = on_behalf(request);
        const char *since = NULL;
        usec_t since_usec;

        if (!may_manage(request) || !surface_body(request, json_type_object, &body))
                return;
        if (json_get_string(body, "since", &since) <= 0 || timestamp_parse_iso(since, &since_usec) < 0) {
                surface_refuse(request, MHD_HTTP_UNPROCESSABLE_CONTENT,
                               "since: Input should be a valid datetime with a time zone");
                return;
        }
        backend_call(request,
                     &(ClientRequest){
                                     .member = "RecoverWebhook",
                                     .text = request->arguments[0],
                                     .number = &since_usec,
                                     .dictionary = true,
                                     .options = &option,
                                     .n_options = 1,
                     },
                     on_accepted);
}

const Route webhook_routes[] = {
        { HTTP_GET, "/api/v1/webhooks/endpoints", API_SCOPE_ADMIN, list_endpoints },
        { HTTP_POST, "/api/v1/webhooks/endpoints", API_SCOPE_ADMIN, add_endpoint },
        { HTTP_GET, "/api/v1/webhooks/endpoints/{endpoint_id}", API_SCOPE_ADMIN, get_endpoint },
        { HTTP_PATCH, "/api/v1/webhooks/endpoints/{endpoint_id}", API_SCOPE_ADMIN, update_endpoint },
        { HTTP_DELETE, "/api/v1/webhooks/endpoints/{endpoint_id}", API_SCOPE_ADMIN, delete_endpoint },
        { HTTP_GET, "/api/v1/webhooks/endpoints/{endpoint_id}/secret", API_SCOPE_ADMIN, get_secret },
        { HTTP_POST, "/api/v1/webhooks/endpoints/{endpoint_id}/secret/rotate", API_SCOPE_ADMIN, rotate_secret },
        { HTTP_GET, "/api/v1/webhooks/endpoints/{endpoint_id}/attempts", API_SCOPE_ADMIN, list_attempts },
        { HTTP_GET, "/api/v1/webhooks/endpoints/{endpoint_id}/messages", API_SCOPE_ADMIN, list_messages },
        { HTTP_POST, "/api/v1/webhooks/endpoints/{endpoint_id}/messages/{message_id}/resend", API_SCOPE_ADMIN,
          resend_message },
        { HTTP_POST, "/api/v1/webhooks/endpoints/{endpoint_id}/test", API_SCOPE_ADMIN, test_endpoint },
        { HTTP_POST, "/api/v1/webhooks/endpoints/{endpoint_id}/recover", API_SCOPE_ADMIN, recover_messages },
        { HTTP_GET, "/api/v1/webhooks/messages", API_SCOPE_ADMIN, list_messages },
        { HTTP_GET, "/api/v1/webhooks/event-types", API_SCOPE_ADMIN, list_types },
        {},
};
