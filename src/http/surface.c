/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "http/surface.h"

#include <microhttpd.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/json-util.h"
#include "base/json-writer.h"
#include "base/string-util.h"
#include "base/time-util.h"
#include "http/auth.h"

const char *surface_error_key(const Request *request)
{
        if (request->target_error == 0)
                return request->target.n_segments > 0 && streq(request->target.segments[0], "api") ? "detail"
                                                                                                   : "error";
        return NULL;
}

/* Where it is not known, as where there is nothing. */
static const char *error_key(const Request *request)
{
        return surface_error_key(request) ?: "error";
}

static void answer_json(Request *request, unsigned status, Buffer *json)
{
        char *text;

        request_answer(request, status, TYPE_JSON, buffer_take(json, &text) < 0 ? NULL : text);
}

static void refuse_oom(Request *request)
{
        request_answer(request, MHD_HTTP_INTERNAL_SERVER_ERROR, TYPE_JSON, NULL);
}

void surface_refuse(Request *request, unsigned status, const char *format, ...)
{
        _cleanup_buffer_ Buffer json = {};
        JsonWriter w = JSON_WRITER_INIT(&json);
        char *text = NULL;
        va_list ap;

        va_start(ap, format);
        if (vasprintf(&text, format, ap) < 0) {
                text = NULL;
                json.failed = true;
        }
        va_end(ap);
        json_open_object(&w, NULL);
        json_write_string(&w, error_key(request), text);
        json_close_object(&w);
        free(text);
        answer_json(request, status, &json);
}

void surface_refuse_rate(Request *request, unsigned limit, unsigned retry_sec)
{
        _cleanup_buffer_ Buffer json = {};
        JsonWriter w = JSON_WRITER_INIT(&json);

        request_add_header(request, MHD_HTTP_HEADER_RETRY_AFTER, "%u", MAX(retry_sec, 1U));
        json_open_object(&w, NULL);
        json_write_string(&w, error_key(request), "Rate limit exceeded");
        json_write_uint(&w, "limit", limit);
        json_write_uint(&w, "retryAfterSeconds", MAX(retry_sec, 1U));
        json_write_timestamp(&w, "resetAt", now_usec(CLOCK_REALTIME) + retry_sec * USEC_PER_SEC);
        json_close_object(&w);
        answer_json(request, MHD_HTTP_TOO_MANY_REQUESTS, &json);
}

/* ---- Checks, in the words of Open Wearables' own validation */

#define UNPROCESSABLE MHD_HTTP_UNPROCESSABLE_CONTENT

/* Under /api the words stand alone (C9); elsewhere it is said before them what they are about. */
static void refuse_value(Request *request, const char *name, const char *format, ...) _printf_(3, 4);
static void refuse_value(Request *request, const char *name, const char *format, ...)
{
        bool bare = streq(error_key(request), "detail");
        _cleanup_free_ char *text = NULL;
        va_list ap;

        va_start(ap, format);
        if (vasprintf(&text, format, ap) < 0)
                text = NULL;
        va_end(ap);
        if (text)
                surface_refuse(request, UNPROCESSABLE, "%s%s%s", bare ? "" : name, bare ? "" : ": ", text);
        else
                refuse_oom(request);
}

bool surface_number(Request *request, const char *name, uint64_t min, uint64_t max, uint64_t *ret)
{
        const char *text = target_get(&request->target, name);
        bool negative;
        uint64_t value;
        int r;

        if (!text)
                return true;
        negative = text[0] == '-';
        r = parse_uint64(text + negative, &value);
        if (r == -EINVAL)
                refuse_value(request, name, "Input should be a valid integer, unable to parse string as an integer");
        else if (r == -ERANGE ? negative : value < min || (negative && value > 0))
                refuse_value(request, name, "Input should be greater than or equal to %llu", (unsigned long long) min);
        else if (r == -ERANGE || value > max)
                refuse_value(request, name, "Input should be less than or equal to %llu", (unsigned long long) max);
        else {
                *ret = value;
                return true;
        }
        return false;
}

bool surface_uuid(Request *request, const char *name, const char *text, char ret[static UUID_TEXT_MAX])
{
        if (!text || uuid_normalize(text, ret) >= 0)
                return true;
        refuse_value(request, name, "Input should be a valid UUID");
        return false;
}

bool surface_word(Request *request, const char *name, const char *const *words, const char **ret)
{
        const char *text = target_get(&request->target, name);
        _cleanup_buffer_ Buffer all = {};

        for (size_t i = 0; text && words[i]; i++) {
                if (streq(words[i], text)) {
                        *ret = text;
                        return true;
                }
                buffer_append_format(&all, "%s'%s'", i == 0 ? "" : words[i + 1] ? ", " : " or ", words[i]);
        }
        if (text && all.failed)
                refuse_oom(request);
        else if (text)
                refuse_value(request, name, "Input should be %s", strempty(all.data));
        return !text;
}

bool surface_time(Request *request, const char *name, usec_t *ret)
{
        const char *text = target_get(&request->target, name);

        if (!text || timestamp_parse_iso(text, ret) >= 0)
                return true;
        refuse_value(request, name, "Input should be a valid datetime with a time zone");
        return false;
}

bool surface_body(Request *request, enum json_type type, struct json_object **ret)
{
        _cleanup_json_ struct json_object *value = NULL;
        int r;

        r = json_parse(strempty(request->body.data), request->body.size, &value);
        if (r < 0)
                surface_refuse(request, r == -EBADMSG ? MHD_HTTP_BAD_REQUEST : MHD_HTTP_INTERNAL_SERVER_ERROR,
                               r == -EBADMSG ? "The body is not valid JSON" : "Internal server error");
        else if (!json_object_is_type(value, type))
                surface_refuse(request, UNPROCESSABLE, "The body should be a JSON %s", json_type_to_name(type));
        else {
                *ret = TAKE_PTR(value);
                return true;
        }
        return false;
}

bool surface_user(Request *request, const char *user_id)
{
        if (principal_sees(request->principal, user_id))
                return true;
        surface_refuse(request, MHD_HTTP_NOT_FOUND, "User not found");
        return false;
}
