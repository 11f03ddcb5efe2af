/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "http/respond.h"

#include <microhttpd.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/digest.h"
#include "base/string-util.h"
#include "http/gzip.h"
#include "http/server.h"

#define PREFLIGHT_MAX_AGE "600" /* seconds that a browser may keep the answer to a preflight */
#define ALLOWED_HEADERS \
        "Authorization, Content-Type, If-None-Match, Last-Event-ID, X-API-Key, X-Open-Wearables-API-Key"
#define EXPOSED_HEADERS                                                                                    \
        "Allow, ETag, Location, Retry-After, WWW-Authenticate, X-RateLimit-Limit, X-RateLimit-Remaining, " \
        "X-RateLimit-Reset"

/* ---- Lists in headers */

/* The next element of a list that commas part, without white space; false at its end. */
static bool next_element(const char **list, const char **ret, size_t *ret_size)
{
        size_t n;

        *list += strspn(*list, ", \t");
        if (**list == '\0')
                return false;
        n = strcspn(*list, ",");
        *ret = *list;
        *list += n;
        while (n > 0 && ((*ret)[n - 1] == ' ' || (*ret)[n - 1] == '\t'))
                n--;
        *ret_size = n;
        return true;
}

/* The weight of an element's coding, if it is that one: 0 for q=0, else 1; -1 if it is another. */
static int coding_weight(const char *element, size_t size, const char *coding)
{
        size_t n = strlen(coding);
        const char *p = element + n, *end = element + size;

        if (size < n || strncasecmp(element, coding, n) != 0)
                return -1;
        while (p < end && (*p == ' ' || *p == '\t'))
                p++;
        if (p == end)
                return 1;
        if (*p++ != ';')
                return -1;
        while (p < end && (*p == ' ' || *p == '\t'))
                p++;
        if (end - p < 3 || strncasecmp(p, "q=0", 3) != 0)
                return 1;
        for (p += 3; p < end; p++)
                if (*p >= '1' && *p <= '9')
                        return 1;
        return 0;
}

static bool takes_gzip(const Request *request)
{
        const char *list = request_header(request, MHD_HTTP_HEADER_ACCEPT_ENCODING), *element;
        int named = -1, any = -1;
        size_t size;

        while (list && next_element(&list, &element, &size)) {
                named = MAX(named, coding_weight(element, size, "gzip"));
                any = MAX(any, coding_weight(element, size, "*"));
        }
        return named > 0 || (named < 0 && any > 0);
}

/* Whether If-None-Match names the tag, weakly compared. @tag: with its quotes; "-gzip" within them does not count. */
static bool is_known(const Request *request, const char *tag)
{
        const char *list = request_header(request, MHD_HTTP_HEADER_IF_NONE_MATCH), *element;
        size_t size, n = strlen(tag) - 1;

        while (list && next_element(&list, &element, &size)) {
                if (size == 1 && *element == '*')
                        return true;
                if (size > 2 && strncmp(element, "W/", 2) == 0) {
                        element += 2;
                        size -= 2;
                }
                if (size > n && strncmp(element, tag, n) == 0 &&
                    (strncmp(element + n, "\"", size - n) == 0 || strncmp(element + n, "-gzip\"", size - n) == 0))
                        return true;
        }
        return false;
}

/* ---- The body */

int respond_tag(const char *data, size_t size, char buf[static ETAG_TEXT_MAX])
{
        uint8_t hash[SHA256_SIZE];
        int r;

        r = sha256(data, size, hash);
        if (r < 0)
                return r;
        buf[0] = '"';
        hex_encode(hash, ETAG_BYTES, buf + 1);
        memcpy(buf + 1 + 2 * ETAG_BYTES, "\"", sizeof("\""));
        return 0;
}

/* One that is compressed as it is sent, and what its text is in. */
typedef struct SlicedBody {
        Server *server;
        GzipSlices *slices;
        char *owned;
        sd_bus_message *message;
} SlicedBody;

static bool is_sliced(const Answer *answer)
{
        return answer->size > GZIP_AT_ONCE_MAX && !answer->gzip;
}

size_t respond_held_bytes(const Request *request)
{
        const Answer *answer = &request->answer;

        if (!answer->owned && !answer->message)
                return 0;
        return answer->size + (is_sliced(answer) && takes_gzip(request) ? GZIP_SLICES_HELD_BYTES : 0);
}

/* The answer's data compressed; whether that made it smaller. */
static bool compress_body(Answer *answer)
{
        char *data;
        size_t size;

        if (answer->gzip) {
                answer->data = answer->gzip;
                answer->size = answer->gzip_size;
                return true;
        }
        if (gzip_text(answer->data, answer->size, GZIP_LEVEL_QUICK, &data, &size) < 0)
                return false;
        free(answer->owned);
        answer->message = sd_bus_message_unref(answer->message);
        answer->owned = data;
        answer->data = data;
        answer->size = size;
        return true;
}

/* ---- CORS */

/* The origin that an answer may be given to: "*", the request's, or NULL. */
static const char *allowed_origin(const Request *request, const HttpSettings *settings)
{
        const char *origin = request_header(request, MHD_HTTP_HEADER_ORIGIN);

        if (!origin)
                return NULL;
        if (strv_contains(settings->allow_origin, "*"))
                return "*";
        return strv_contains(settings->allow_origin, origin) ? origin : NULL;
}

int respond_preflight(Request *request, const HttpSettings *settings, const char *methods)
{
        if (!request_header(request, MHD_HTTP_HEADER_ACCESS_CONTROL_REQUEST_METHOD) ||
            !allowed_origin(request, settings))
                return -EINVAL;
        request_add_header(request, MHD_HTTP_HEADER_ACCESS_CONTROL_ALLOW_METHODS, "%s", methods);
        request_add_header(request, MHD_HTTP_HEADER_ACCESS_CONTROL_ALLOW_HEADERS, ALLOWED_HEADERS);
        request_add_header(request, MHD_HTTP_HEADER_ACCESS_CONTROL_MAX_AGE, PREFLIGHT_MAX_AGE);
        return 0;
}

/* Its head may not have come that far. What is answered then is the same to everybody, and so for everybody. */
static bool is_origin_known(const Request *request)
{
        return request && (request->begun || request_header(request, MHD_HTTP_HEADER_ORIGIN));
}

char *respond_cors_lines(const Request *request, const HttpSettings *settings)
{
        const char *origin;

        if (!settings->allow_origin)
                return strdup("");
        origin = is_origin_known(request) ? allowed_origin(request, settings) : "*";
        if (!origin)
                return strdup("Vary: Origin\r\n");
        return asprintf_or_null("Access-Control-Allow-Origin: %s\r\n"
                                "Access-Control-Expose-Headers: " EXPOSED_HEADERS "\r\nVary: Origin\r\n",
                                origin);
}

/* ---- All of it */

const char *respond_date(char buf[static HTTP_DATE_TEXT_MAX])
{
        time_t now = time(NULL);
        struct tm tm;

        (void) strftime(buf, HTTP_DATE_TEXT_MAX, "%a, %d %b %Y %H:%M:%S GMT", gmtime_r(&now, &tm));
        return buf;
}

static void add(struct MHD_Response *response, const char *name, const char *value)
{
        (void) MHD_add_response_header(response, name, value);
}

static void free_body(void *text)
{
        free(text);
}

static void free_message(void *message)
{
        sd_bus_message_unref(message);
}

static ssize_t read_nothing(void *userdata, uint64_t position, char *buffer, size_t size)
{
        return MHD_CONTENT_READER_END_OF_STREAM;
}

static ssize_t read_slice(void *userdata, uint64_t position, char *buffer, size_t size)
{
        SlicedBody *body = userdata;
        ssize_t n = gzip_slices_next(body->slices, buffer, size);

        server_progressed(body->server);
        if (n < 0)
                return MHD_CONTENT_READER_END_WITH_ERROR;
        return n == 0 ? MHD_CONTENT_READER_END_OF_STREAM : n;
}

static void free_slices(void *userdata)
{
        SlicedBody *body = userdata;

        gzip_slices_free(body->slices);
        free(body->owned);
        sd_bus_message_unref(body->message);
        free(body);
}

/* How long it becomes is not known before it is sent. Who knows nothing of chunks is sent it by blocks. */
static struct MHD_Response *make_sliced_response(Request *request)
{
        Answer *answer = &request->answer;
        SlicedBody *body = calloc(1, sizeof(*body));
        struct MHD_Response *response;

        if (!body)
                return NULL;
        if (gzip_slices_new(answer->data, answer->size, &body->slices) < 0) {
                free(body);
                return NULL;
        }
        response =
                MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, GZIP_SLICE_MAX, read_slice, body, free_slices);
        if (!response) {
                free_slices(body);
                return NULL;
        }
        body->server = request->server;
        body->owned = TAKE_PTR(answer->owned);
        body->message = TAKE_PTR(answer->message);
        return response;
}

static struct MHD_Response *make_response(Answer *answer)
{
        struct MHD_Response *response;
        void *data = (void *) answer->data;

        if (answer->is_stream)
                return MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, 1, read_nothing, NULL, NULL);
        if (answer->owned) {
                response = MHD_create_response_from_buffer_with_free_callback_cls(answer->size, data, free_body,
                                                                                  answer->owned);
                if (response)
                        TAKE_PTR(answer->owned);
                return response;
        }
        if (answer->message) {
                response = MHD_create_response_from_buffer_with_free_callback_cls(answer->size, data, free_message,
                                                                                  answer->message);
                if (response)
                        TAKE_PTR(answer->message);
                return response;
        }
        return MHD_create_response_from_buffer(answer->size, data, MHD_RESPMEM_PERSISTENT);
}

static void add_cors(struct MHD_Response *response, const Request *request, const HttpSettings *settings)
{
        const char *origin;

        if (!settings->allow_origin)
                return;
        add(response, MHD_HTTP_HEADER_VARY, MHD_HTTP_HEADER_ORIGIN);
        origin = allowed_origin(request, settings);
        if (!origin)
                return;
        add(response, MHD_HTTP_HEADER_ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        add(response, MHD_HTTP_HEADER_ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED_HEADERS);
}

struct MHD_Response *respond_make(Request *request, const HttpSettings *settings, unsigned *ret_status)
{
        bool cachable = request->answer.status == MHD_HTTP_OK && !request->answer.is_stream &&
                        (request->method == HTTP_GET || request->method == HTTP_HEAD);
        Answer *answer = &request->answer;
        struct MHD_Response *response;
        char *tag = answer->tag;
        bool known = false, compressed = false, sliced = false, varies = answer->size >= GZIP_MIN_BYTES;
        unsigned status = answer->status;

        if (cachable && (tag[0] || respond_tag(answer->data, answer->size, tag) >= 0))
                known = is_known(request, tag);
        if (known)
                status = MHD_HTTP_NOT_MODIFIED;
        else if (varies && takes_gzip(request)) {
                sliced = is_sliced(answer);
                compressed = sliced || compress_body(answer);
        }
        response = known    ? MHD_create_response_from_buffer(0, (void *) "", MHD_RESPMEM_PERSISTENT)
                   : sliced ? make_sliced_response(request)
                            : make_response(answer);
        if (!response)
                return NULL;
        if (compressed)
                add(response, MHD_HTTP_HEADER_CONTENT_ENCODING, "gzip");
        if (tag[0] && (compressed || (known && varies && takes_gzip(request))))
                (void) snprintf(tag + strlen(tag) - 1, sizeof("-gzip\""), "-gzip\"");
        if (varies)
                add(response, MHD_HTTP_HEADER_VARY, MHD_HTTP_HEADER_ACCEPT_ENCODING);
        if (tag[0])
                add(response, MHD_HTTP_HEADER_ETAG, tag);
        if (cachable)
                add(response, MHD_HTTP_HEADER_CACHE_CONTROL, request->principal ? "private, no-cache" : "no-cache");
        else if (request->principal && !answer->is_stream)
                add(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
        if (answer->type && !known)
                add(response, MHD_HTTP_HEADER_CONTENT_TYPE, answer->type);
        add(response, "X-Content-Type-Options", "nosniff");
        for (size_t i = 0; i < answer->n_headers; i++)
                add(response, answer->headers[i].name, answer->headers[i].value);
        add_cors(response, request, settings);
        *ret_status = status;
        return response;
}

int respond_write(const Request *request, const HttpSettings *settings, Buffer *out)
{
        _cleanup_free_ char *cors = respond_cors_lines(request, settings);
        const Answer *answer = &request->answer;
        char date[HTTP_DATE_TEXT_MAX];

        buffer_append_format(out,
                             "HTTP/1.1 %u %s\r\nDate: %s\r\nConnection: close\r\n"
                             "X-Content-Type-Options: nosniff\r\n%s%s",
                             answer->status, MHD_get_reason_phrase_for(answer->status), respond_date(date),
                             request->principal ? "Cache-Control: no-store\r\n" : "", strempty(cors));
        if (answer->type)
                buffer_append_format(out, "Content-Type: %s\r\n", answer->type);
        for (size_t i = 0; i < answer->n_headers; i++)
                buffer_append_format(out, "%s: %s\r\n", answer->headers[i].name, answer->headers[i].value);
        buffer_append_format(out, "Content-Length: %zu\r\n\r\n", answer->size);
        if (request->method != HTTP_HEAD)
                buffer_append(out, answer->data, answer->size);
        return cors && !out->failed ? 0 : -ENOMEM;
}
