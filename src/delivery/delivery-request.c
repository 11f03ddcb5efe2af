/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "delivery/delivery-request.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "base/buffer.h"
#include "base/string-util.h"
#include "base/time-util.h"
#include "config.h"
#include "delivery/delivery-address.h"
#include "model/webhook.h"

#define CONNECTION_LIFETIME_SEC 60L
#define TIMEOUT_MSEC_MIN        100 /* 0 would be none */

#define ADDRESS_TEXT_MAX 80U

#define USER_AGENT "syncrun/" SYNCRUN_VERSION

struct DeliveryRequest {
        Networks private_networks; /* of the rules */
        CURL *handle;
        struct curl_slist *headers;
        char *body;
        char error[CURL_ERROR_SIZE];
        bool tried;                     /* an address that may be connected to */
        char refused[ADDRESS_TEXT_MAX]; /* the last one that may not */
        bool too_large;                 /* the headers alone */
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

        if (purpose != CURLSOCKTYPE_IPCXN ||
            !delivery_address_is_allowed(&request->private_networks, &address->addr)) {
                (void) getnameinfo(&address->addr, address->addrlen, request->refused, sizeof(request->refused), NULL,
                                   0, NI_NUMERICHOST);
                return CURL_SOCKET_BAD;
        }
        request->tried = true;
        return socket(address->family, address->socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, address->protocol);
}

static bool may_be_peer(const DeliveryRequest *request, const char *text)
{
        struct sockaddr_in ipv4 = { .sin_family = AF_INET };
        struct sockaddr_in6 ipv6 = { .sin6_family = AF_INET6 };

        if (inet_pton(AF_INET, text, &ipv4.sin_addr) == 1)
                return delivery_address_is_allowed(&request->private_networks, (const struct sockaddr *) &ipv4);
        return inet_pton(AF_INET6, text, &ipv6.sin6_addr) == 1 &&
               delivery_address_is_allowed(&request->private_networks, (const struct sockaddr *) &ipv6);
}

/* Also of a connection that was kept, and made when more was allowed. */
static int on_connected(void *userdata, char *peer, char *local, int peer_port, int local_port)
{
        DeliveryRequest *request = userdata;

        if (may_be_peer(request, peer))
                return CURL_PREREQFUNC_OK;
        request->tried = false;
        (void) snprintf(request->refused, sizeof(request->refused), "%s", peer);
        return CURL_PREREQFUNC_ABORT;
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

static int add_line(DeliveryRequest *request, const char *line)
{
        struct curl_slist *longer = curl_slist_append(request->headers, line);

        if (!longer)
                return -ENOMEM;
        request->headers = longer;
        return 0;
}

static int add_header(DeliveryRequest *request, const DeliveryHeader *header)
{
        _cleanup_free_ char *line = asprintf_or_null("%s: %s", header->name, header->value);

        return line ? add_line(request, line) : -ENOMEM;
}

#define SET(option, value)                                                                   \
        do {                                                                                 \
                CURLcode _code = curl_easy_setopt(request->handle, CURLOPT_##option, value); \
                                                                                             \
                if (_code != CURLE_OK)                                                       \
                        return _code == CURLE_OUT_OF_MEMORY ? -ENOMEM : -EIO;                \
        } while (false)

/* Nothing from the environment and no surprises: no proxy, no password file, no redirects, nothing but HTTP. */
static int set_where(DeliveryRequest *request, const WebhookRules *rules, const char *url)
{
        SET(URL, url);
        SET(PROTOCOLS_STR, rules->allow_http ? "http,https" : "https");
        SET(FOLLOWLOCATION, 0L);
        SET(PROXY, "");
        SET(NETRC, (long) CURL_NETRC_IGNORED);
        SET(DISALLOW_USERNAME_IN_URL, 1L);
        SET(OPENSOCKETFUNCTION, on_open_socket);
        SET(OPENSOCKETDATA, request);
        SET(PREREQFUNCTION, on_connected);
        SET(PREREQDATA, request);
        SET(SSL_VERIFYPEER, 1L);
        SET(SSL_VERIFYHOST, 2L);
        SET(SSLVERSION, (long) CURL_SSLVERSION_TLSv1_2);
        if (rules->ca_file)
                SET(CAINFO, rules->ca_file);
        /* The system's authorities are in its file, too, which libcurl reads once a day and not for each connection
         * if there is no folder (cached X509 stores, CURLOPT_CA_CACHE_TIMEOUT(3)): reading them takes 40 ms. */
        SET(CAPATH, NULL);
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

static int fill(DeliveryRequest *request, const WebhookRules *rules, const char *url, const DeliveryHeader *headers,
                size_t n_headers)
{
        int r;

        request->handle = curl_easy_init();
        if (!request->handle)
                return -ENOMEM;
        r = add_header(request, &(DeliveryHeader){ "Content-Type", "application/json" });
        /* No question first whether a large body is welcome: receivers that do not know it cost a second each time. */
        if (r >= 0)
                r = add_line(request, "Expect:");
        for (size_t i = 0; r >= 0 && i < n_headers; i++)
                r = add_header(request, &headers[i]);
        if (r >= 0)
                r = set_where(request, rules, url);
        if (r >= 0)
                r = set_what(request, rules->timeout_usec);
        return r;
}

int delivery_request_new(const WebhookRules *rules, const char *url, const DeliveryHeader *headers, size_t n_headers,
                         char *body, DeliveryRequest **ret)
{
        _cleanup_(delivery_request_freep) DeliveryRequest *request = calloc(1, sizeof(DeliveryRequest));
        int r;

        if (!request)
                return -ENOMEM;
        request->private_networks = rules->private_networks;
        request->body = body;
        r = fill(request, rules, url, headers, n_headers);
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

void delivery_outcome_done(DeliveryOutcome *outcome)
{
        free(outcome->error);
        free(outcome->answer);
        *outcome = (DeliveryOutcome){};
}

bool delivery_outcome_is_good(const DeliveryOutcome *outcome)
{
        return outcome->complete && outcome->http_status >= 200 && outcome->http_status < 300;
}

usec_t delivery_parse_retry_after(const char *value, usec_t now_usec)
{
        uint64_t seconds;
        time_t date;

        if (parse_uint64(value, &seconds) >= 0)
                return MIN(seconds, (uint64_t) (USEC_PER_DAY / USEC_PER_SEC)) * USEC_PER_SEC;
        date = curl_getdate(value, NULL);
        return date > 0 ? usec_sub((usec_t) date * USEC_PER_SEC, now_usec) : 0;
}

static char *error_text(const DeliveryRequest *request, CURLcode code, long status, bool refused)
{
        if (refused)
                return asprintf_or_null("%s is no public address, and AllowPrivateAddresses= does not name it.",
                                        request->refused);
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
        outcome.refused = status == 0 && code != CURLE_OK && !request->tried && request->refused[0] != '\0';
        outcome.complete = status > 0 && (code == CURLE_OK || request->cut);
        outcome.duration_usec = (usec_t) MAX(duration, (curl_off_t) 0);
        if (request->retry_after)
                outcome.retry_after_usec = delivery_parse_retry_after(request->retry_after, now_usec);
        good = delivery_outcome_is_good(&outcome);
        if (!good)
                outcome.error = error_text(request, code, status, outcome.refused);
        if (request->answer.size > 0)
                outcome.answer = utf8_sanitize(request->answer.data, request->answer.size, WEBHOOK_ANSWER_MAX);
        if ((!good && !outcome.error) || (request->answer.size > 0 && !outcome.answer)) {
                delivery_outcome_done(&outcome);
                return -ENOMEM;
        }
        *ret = outcome;
        return 0;
}
