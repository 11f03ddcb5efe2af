/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "http/request.h"

#include <microhttpd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/string-util.h"
#include "http/page.h"
#include "http/server.h"

static const char *const http_method_table[] = {
        [HTTP_GET] = "GET",     [HTTP_HEAD] = "HEAD",     [HTTP_POST] = "POST",       [HTTP_PUT] = "PUT",
        [HTTP_PATCH] = "PATCH", [HTTP_DELETE] = "DELETE", [HTTP_OPTIONS] = "OPTIONS",
};
DEFINE_STRING_TABLE(http_method, HttpMethod, _HTTP_METHOD_MAX);

const char *request_header(const Request *request, const char *name)
{
        return MHD_lookup_connection_value(request->mhd, MHD_HEADER_KIND, name);
}

const char *request_bearer(const Request *request)
{
        const char *authorization = request_header(request, MHD_HTTP_HEADER_AUTHORIZATION);
        size_t n = strlen("Bearer ");

        if (!authorization || strncasecmp(authorization, "Bearer ", n) != 0)
                return NULL;
        return authorization + n + strspn(authorization + n, " ");
}

typedef struct HeaderList {
        const char *name;
        Buffer values;
} HeaderList;

static enum MHD_Result add_value(void *userdata, enum MHD_ValueKind kind, const char *name, const char *value)
{
        HeaderList *list = userdata;

        if (strcasecmp(name, list->name) == 0)
                buffer_append_format(&list->values, "%s%s", list->values.size > 0 ? "," : "", strempty(value));
        return MHD_YES;
}

char *request_header_list(const Request *request, const char *name)
{
        HeaderList list = { .name = name };
        char *ret;

        (void) MHD_get_connection_values(request->mhd, MHD_HEADER_KIND, add_value, &list);
        if (list.values.size == 0) {
                buffer_done(&list.values);
                return NULL;
        }
        return buffer_take(&list.values, &ret) < 0 ? NULL : ret;
}

bool request_header_has(const Request *request, const char *name, const char *word)
{
        _cleanup_free_ char *list = request_header_list(request, name);
        char *rest = NULL;

        for (char *p = list ? strtok_r(list, ", \t", &rest) : NULL; p; p = strtok_r(NULL, ", \t", &rest))
                if (strcasecmp(p, word) == 0)
                        return true;
        return false;
}

void request_add_header(Request *request, const char *name, const char *format, ...)
{
        Answer *answer = &request->answer;
        va_list ap;
        char *value;
        int n;

        if (answer->n_headers == ANSWER_HEADERS_MAX)
                return;
        va_start(ap, format);
        n = vasprintf(&value, format, ap);
        va_end(ap);
        if (n >= 0)
                answer->headers[answer->n_headers++] = (AnswerHeader){ .name = name, .value = value };
}

static void give(Request *request, unsigned status, const char *type, const char *data, size_t size)
{
        Answer *answer = &request->answer;

        answer->status = status;
        answer->type = type;
        answer->data = data;
        answer->size = size;
        server_resume(request);
}

void request_answer(Request *request, unsigned status, const char *type, char *body)
{
        if (!body) {
                request_answer_empty(request, MHD_HTTP_INTERNAL_SERVER_ERROR);
                return;
        }
        request->answer.owned = body;
        give(request, status, type, body, strlen(body));
}

void request_answer_static(Request *request, unsigned status, const char *type, const char *text, size_t size)
{
        give(request, status, type, text, size);
}

void request_answer_prepared(Request *request, const PageFile *file)
{
        request->answer.gzip = file->gzip;
        request->answer.gzip_size = file->gzip_size;
        memcpy(request->answer.tag, file->tag, sizeof(file->tag));
        give(request, MHD_HTTP_OK, file->type, file->data, file->size);
}

void request_answer_message(Request *request, unsigned status, sd_bus_message *message, const char *text)
{
        request->answer.message = sd_bus_message_ref(message);
        give(request, status, TYPE_JSON, text, strlen(text));
}

void request_answer_empty(Request *request, unsigned status)
{
        give(request, status, NULL, "", 0);
}

int request_take_socket(Request *request)
{
        int fd = server_dup_socket(request);

        if (fd < 0)
                return fd;
        request->taken = true;
        server_resume(request);
        return fd;
}
