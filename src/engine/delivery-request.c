/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "engine/delivery-request.h"

#include <inttypes.h>
#include <netdb.h>
#include <stdlib.h>
#include <strings.h>

#include "base/buffer.h"
#include "base/string-util.h"
#include "base/time-util.h"
#include "config.h"
#include "engine/delivery-address.h"
#include "model/signature.h"

#define CONNECTION_LIFETIME_SEC 60L
#define TIMEOUT_MSEC_MIN        100 /* 0 would be none */

#define ADDRESS_TEXT_MAX 80U

#define USER_AGENT "syncrun/" SYNCRUN_VERSION

struct DeliveryRequest {
        bool allow_private;
        CURL *handle;
        struct curl_slist *headers;
        char *body;
        char error[CURL_ERROR_SIZE];
        char refused[ADDRESS_TEXT_MAX]; /* an address that may not be connected to */
        bool too_large; /* the headers alone */
        Buffer answer;
        size_t n_read;
        bool cut; /* the body is longer than what we read */
        char *retry_after;
        bool abort;
};

/* ---- What libcurl asks */

static curl_socket_t on_open_socket(void *userdata, curlsocktype purpose, struct curl_sockaddr *address)
{
        DeliveryRequest *request = userdata;

        if (purpose != CURLSOCKTYPE_IPCXN || !delivery_address_is_allowed(request->allow_private, &address->addr)) {
                (void) getnameinfo(&address->addr, address->addrlen, request->refused, sizeof(request->refused), NULL,
                                   0, NI_NUMERICHOST);
                return CURL_SOCKET_BAD;
        }
        return socket(address->family, address->socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, address->protocol);
}

static bool may_read(DeliveryRequest *request, size_t n)
{
        request->n_read += n;
        return request->n_read <= DELIVERY_ANSWER_READ_MAX;
}

/* The value of a header, without the white space around it; NULL if the line is another header's. */
static char *header_value(const char *line, size_t n, const char *name)
{
        size_t length = strlen(name);
        char *copy, *value;

        if (n <= length || strncasecmp(line, name, length) != 0 || line[length] != ':')
                return NULL;
        copy = strndup(line + length + 1, n - length - 1);
        value = copy ? strdup(strstrip(copy)) : NULL;
        free(copy);
        return value;
}

static size_t on_header(char *line, size_t size, size_t n, void *userdata)
{
        DeliveryRequest *request = userdata;
        _cleanup_free_ char *wish = NULL;
        char *value;

        n *= size;
        value = header_value(line, n, "retry-after");
        if (value) {
                free(request->retry_after);
                request->retry_after = value;
        }
        wish = header_value(line, n, "webhook-delivery");
        if (wish && streq(wish, "abort-message"))
                request->abort = true;
        request->too_large = !may_read(request, n);
        return request->too_large ? 0 : n;
}

static size_t on_body(char *data, size_t size, size_t n, void *userdata)
{
        DeliveryRequest *request = userdata;
        size_t room = WEBHOOK_ANSWER_MAX + 1 - MIN(request->answer.size, (size_t) WEBHOOK_ANSWER_MAX + 1);

        n *= size;
        buffer_append(&request->answer, data, MIN(n, room));
        request->cut = !may_read(request, n);
        return request->cut ? 0 : n;
}

/* ---- Making */

static int add_header(DeliveryRequest *request, const char *name, const char *value)
{
        _cleanup_free_ char *line = asprintf_or_null("%s: %s", name, value);
        struct curl_slist *longer = line ? curl_slist_append(request->headers, line) : NULL;

        if (!longer)
                return -ENOMEM;
        request->headers = longer;
        return 0;
}

/* Those of Standard Webhooks, and the names that Svix gives the same. */
static int add_signature(DeliveryRequest *request, const WebhookEndpoint *endpoint, const char *message_id,
                         usec_t now_usec)
{
        const char *secrets[WEBHOOK_SECRETS_MAX];
        _cleanup_free_ char *signature = NULL;
        char seconds[24];
        size_t n = 0;
        int r;

        for (size_t i = 0; i < endpoint->n_secrets; i++)
                if (endpoint->secrets[i].expires_usec == 0 || endpoint->secrets[i].expires_usec > now_usec)
                        secrets[n++] = endpoint->secrets[i].text;
        r = signature_make(secrets, n, message_id, now_usec / USEC_PER_SEC, request->body, strlen(request->body),
                           &signature);
        if (r < 0)
                return r;
        (void) snprintf(seconds, sizeof(seconds), "%" PRIu64, now_usec / USEC_PER_SEC);
        return add_header(request, "webhook-id", message_id) < 0 ||
                               add_header(request, "webhook-timestamp", seconds) < 0 ||
                               add_header(request, "webhook-signature", signature) < 0 ||
                               add_header(request, "svix-id", message_id) < 0 ||
                               add_header(request, "svix-timestamp", seconds) < 0 ||
                               add_header(request, "svix-signature", signature) < 0
                       ? -ENOMEM
                       : 0;
}

#define SET(option, value)                                                                                           \
        do {                                                                                                         \
                CURLcode _code = curl_easy_setopt(request->handle, CURLOPT_##option, value);                         \
                                                                                                                     \
                if (_code != CURLE_OK)                                                                               \
                        return _code == CURLE_OUT_OF_MEMORY ? -ENOMEM : -EIO;                                        \
        } while (false)

/* Nothing from the environment and no surprises: no proxy, no password file, no redirects, nothing but HTTP. */
static int set_where(DeliveryRequest *request, const Settings *settings, const char *url)
{
        SET(URL, url);
        SET(PROTOCOLS_STR, settings->webhook_allow_http ? "http,https" : "https");
        SET(FOLLOWLOCATION, 0L);
        SET(PROXY, "");
        SET(NETRC, (long) CURL_NETRC_IGNORED);
        SET(DISALLOW_USERNAME_IN_URL, 1L);
        SET(OPENSOCKETFUNCTION, on_open_socket);
        SET(OPENSOCKETDATA, request);
        SET(SSL_VERIFYPEER, 1L);
        SET(SSL_VERIFYHOST, 2L);
        SET(SSLVERSION, (long) CURL_SSLVERSION_TLSv1_2);
        if (settings->webhook_ca_file)
                SET(CAINFO, settings->webhook_ca_file);
        /* How long an answer of a name server holds is for the system's resolver to know. */
        SET(DNS_CACHE_TIMEOUT, 0L);
        /* A connection that is kept open has been checked when it was made: not for long. */
        SET(MAXLIFETIME_CONN, CONNECTION_LIFETIME_SEC);
        return 0;
}

static int set_what(DeliveryRequest *request, usec_t timeout_usec)
{
        SET(HTTP_VERSION, (long) CURL_HTTP_VERSION_1_1);
        SET(HTTPHEADER, request->headers);
        SET(USERAGENT, USER_AGENT);
        SET(POSTFIELDSIZE_LARGE, (curl_off_t) strlen(request->body));
        SET(POSTFIELDS, request->body);
        SET(HEADERFUNCTION, on_header);
        SET(HEADERDATA, request);
        SET(WRITEFUNCTION, on_body);
        SET(WRITEDATA, request);
        SET(ERRORBUFFER, request->error);
        SET(PRIVATE, request);
        SET(TIMEOUT_MS, (long) CLAMP(timeout_usec / USEC_PER_MSEC, (usec_t) TIMEOUT_MSEC_MIN, (usec_t) INT32_MAX));
        SET(NOSIGNAL, 1L);
        /* A name server that does not answer is waited for by its thread alone, not by us when we give up. */
        SET(QUICK_EXIT, 1L);
        return 0;
}

static int fill(DeliveryRequest *request, const Settings *settings, const WebhookEndpoint *endpoint,
                const char *message_id, usec_t now_usec)
{
        int r;

        request->handle = curl_easy_init();
        if (!request->handle)
                return -ENOMEM;
        r = add_header(request, "Content-Type", "application/json");
        if (r >= 0)
                r = add_signature(request, endpoint, message_id, now_usec);
        if (r >= 0)
                r = set_where(request, settings, endpoint->url);
        if (r >= 0)
                r = set_what(request, settings->webhook_timeout_usec);
        return r;
}

int delivery_request_new(const Settings *settings, const WebhookEndpoint *endpoint, const char *message_id, char *body,
                         usec_t now_usec, DeliveryRequest **ret)
{
        _cleanup_(delivery_request_freep) DeliveryRequest *request = calloc(1, sizeof(DeliveryRequest));
        int r;

        if (!request)
                return -ENOMEM;
        request->allow_private = settings->webhook_allow_private;
        request->body = body;
        r = fill(request, settings, endpoint, message_id, now_usec);
        if (r < 0) {
                request->body = NULL;
                return r;
        }
        *ret = TAKE_PTR(request);
        return 0;
}

DeliveryRequest *delivery_request_free(DeliveryRequest *request)
{
        if (!request)
                return NULL;
        curl_easy_cleanup(request->handle);
        curl_slist_free_all(request->headers);
        buffer_done(&request->answer);
        free(request->retry_after);
        free(request->body);
        free(request);
        return NULL;
}

CURL *delivery_request_handle(DeliveryRequest *request)
{
        return request->handle;
}

/* ---- What came of it */

static char *error_text(const DeliveryRequest *request, CURLcode code, long status)
{
        if (request->refused[0] != '\0' && code != CURLE_OK && status == 0)
                return asprintf_or_null("%s is no public address (AllowPrivateAddresses= is off).", request->refused);
        if (request->too_large)
                return strdup("The headers of the answer are too large.");
        if (code != CURLE_OK && !request->cut) {
                const char *text = request->error[0] != '\0' ? request->error : curl_easy_strerror(code);

                return utf8_sanitize(text, strlen(text), WEBHOOK_ANSWER_MAX);
        }
        if (status >= 300 && status < 400)
                return asprintf_or_null("HTTP status %ld: redirects are not followed.", status);
        return asprintf_or_null("HTTP status %ld.", status);
}

int delivery_request_outcome(DeliveryRequest *request, CURLcode code, usec_t now_usec, DeliveryOutcome *ret)
{
        DeliveryOutcome outcome = { .abort = request->abort, .timed_out = code == CURLE_OPERATION_TIMEDOUT };
        curl_off_t duration = 0;
        bool good;
        long status = 0;

        (void) curl_easy_getinfo(request->handle, CURLINFO_RESPONSE_CODE, &status);
        (void) curl_easy_getinfo(request->handle, CURLINFO_TOTAL_TIME_T, &duration);
        outcome.http_status = status > 0 ? (unsigned) status : 0;
        outcome.complete = status > 0 && (code == CURLE_OK || request->cut);
        outcome.duration_usec = (usec_t) MAX(duration, (curl_off_t) 0);
        if (request->retry_after)
                outcome.retry_after_usec = delivery_parse_retry_after(request->retry_after, now_usec);
        good = delivery_outcome_is_good(&outcome);
        if (!good)
                outcome.error = error_text(request, code, status);
        if (request->answer.size > 0)
                outcome.answer = utf8_sanitize(request->answer.data, request->answer.size, WEBHOOK_ANSWER_MAX);
        if ((!good && !outcome.error) || (request->answer.size > 0 && !outcome.answer)) {
                delivery_outcome_done(&outcome);
                return -ENOMEM;
        }
        *ret = outcome;
        return 0;
}
