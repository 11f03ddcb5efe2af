/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "http/head.h"

#include <ctype.h>
#include <microhttpd.h>

#include "base/string-util.h"
#include "http/server.h"

/* What libmicrohttpd needs to keep a header. */
#define HEADER_BYTES 64U

/* What is counted of a head. */
typedef struct HeadCount {
        const char *behind; /* the part that was looked at last */
        size_t size;
        unsigned n_headers;
        unsigned n_hosts;
        unsigned n_lengths;
        unsigned n_codings;
        unsigned n_authorizations;
        unsigned n_keys;
        unsigned n_other_keys;
        bool is_odd; /* something that others may read in another way */
} HeadCount;

/* What names of headers are made of: RFC 9110's tokens. */
static bool is_token(const char *name)
{
        for (const char *p = name; *p; p++)
                if (!isalnum((unsigned char) *p) && !strchr("!#$%&'*+-.^_`|~", *p))
                        return false;
        return name[0] != '\0';
}

/* ---- NUL. libmicrohttpd takes the head apart where it lies, by writing a NUL behind each part, and so takes a part
 * that has one in it for a shorter one. It shows in that the next part does not begin where it should. Nor does it for
 * a line that is folded: those are put together elsewhere. */

/* Whether all from @from up to @to, which is not far, is NUL or one of @blanks. */
static bool is_gap(const char *from, const char *to, size_t min, size_t max, const char *blanks)
{
        if ((uintptr_t) to < (uintptr_t) from + min || (uintptr_t) to - (uintptr_t) from > max)
                return false;
        for (const char *p = from; p < to; p++)
                if (*p != '\0' && !strchr(blanks, *p))
                        return false;
        return true;
}

/* The end of a line: CR and LF, or one of them. */
static bool is_line_end(const char *from, const char *to)
{
        return is_gap(from, to, 1, 2, "");
}

/* One NUL, in the place of a blank or a colon, and any number of blanks. */
static bool is_separator(const char *from, const char *to, size_t max, const char *blanks)
{
        return is_gap(from, to, 1, max, blanks) && memchr(from + 1, '\0', (size_t) (to - from) - 1) == NULL;
}

/* Blanks behind a value are none of it (RFC 9110), and libmicrohttpd leaves them. It has looked at the length and the
 * coding of the body by now, where nothing but their very words counts. */
static void trim(char *value)
{
        char *end = strchr(value, '\0');

        while (end > value && (end[-1] == ' ' || end[-1] == '\t'))
                *--end = '\0';
}

/* A name or an address, and perhaps a port: none of what stands around those in a target (RFC 3986). Empty where there
 * is none. */
static bool is_host(const char *text)
{
        for (const char *p = text; *p; p++)
                if (!isalnum((unsigned char) *p) && !strchr("-._~%!$&'()*+,;=:[]", *p))
                        return false;
        return true;
}

static enum MHD_Result count_header(void *userdata, enum MHD_ValueKind kind, const char *name, const char *value)
{
        HeadCount *count = userdata;
        uint64_t length;

        count->n_headers++;
        if (strcasecmp(name, MHD_HTTP_HEADER_HOST) == 0)
                count->n_hosts++;
        else if (strcasecmp(name, MHD_HTTP_HEADER_CONTENT_LENGTH) == 0) {
                count->n_lengths++;
                count->is_odd |= parse_uint64(strempty(value), &length) == -EINVAL;
        } else if (strcasecmp(name, MHD_HTTP_HEADER_TRANSFER_ENCODING) == 0) {
                count->n_codings++;
                count->is_odd |= strcasecmp(strempty(value), "chunked") != 0;
        } else if (strcasecmp(name, MHD_HTTP_HEADER_AUTHORIZATION) == 0)
                count->n_authorizations++;
        else if (strcasecmp(name, "X-API-Key") == 0)
                count->n_keys++;
        else if (strcasecmp(name, "X-Open-Wearables-API-Key") == 0)
                count->n_other_keys++;
        /* A blank before the colon, or a line that begins with one. */
        count->is_odd |= !is_token(name);
        count->is_odd |= !is_line_end(count->behind, name) ||
                         !is_separator(strchr(name, '\0'), strempty(value), count->size, " \t");
        count->behind = strchr(strempty(value), '\0');
        if (value)
                trim((char *) value);
        if (strcasecmp(name, MHD_HTTP_HEADER_HOST) == 0)
                count->is_odd |= !is_host(strempty(value));
        return MHD_YES;
}

unsigned head_check(const Request *request, const char *method, const char *target, const char *version)
{
        const union MHD_ConnectionInfo *info =
                        MHD_get_connection_info(request->mhd, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);
        size_t limit = server_settings(request->server)->head_max_bytes;
        HeadCount count = { .behind = strchr(version, '\0'), .size = info->header_size };

        count.is_odd = !is_separator(strchr(method, '\0'), target, count.size, " ") ||
                       version != target + request->target_size + 1;
        (void) MHD_get_connection_values(request->mhd, MHD_HEADER_KIND, count_header, &count);
        if (info->header_size + (size_t) count.n_headers * HEADER_BYTES > limit)
                return request->target_size > limit / 2 ? MHD_HTTP_URI_TOO_LONG
                                                        : MHD_HTTP_REQUEST_HEADER_FIELDS_TOO_LARGE;
        /* HTTP/1.0 knows no chunks, nor does who passes it on (RFC 9112, 6.1). */
        count.is_odd |= request->is_http10 && count.n_codings > 0;
        /* Behind the last line is an empty one. */
        count.is_odd |= !is_gap(count.behind, method + info->header_size, 2, 4, "");
        return count.is_odd || count.n_hosts > 1 || (count.n_hosts == 0 && !request->is_http10) ||
                                               count.n_lengths + count.n_codings > 1 || count.n_authorizations > 1 ||
                                               count.n_keys > 1 || count.n_other_keys > 1
                               ? MHD_HTTP_BAD_REQUEST
                               : 0;
}
