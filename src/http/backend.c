/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "http/backend.h"

#include <microhttpd.h>

#include "base/log.h"
#include "base/string-util.h"
#include "http/admission.h"
#include "http/app.h"
#include "http/auth.h"
#include "http/server.h"
#include "http/surface.h"

/* It may have waited for its turn longer than the key was valid. */
static bool has_ended(const Request *request)
{
        return !request->changed && request->principal && !auth_is_valid(request->principal);
}

static bool is_wanted(void *userdata)
{
        const Request *request = userdata;

        return !has_ended(request) && !server_has_gone(request);
}

static void on_answer(const ClientAnswer *answer, void *userdata)
{
        Request *request = userdata;
        Server *server = request->server;

        request->call = NULL;
        request->changed |= request->changes && answer->error >= 0;
        if ((answer->error >= 0 || answer->error == -ECANCELED) && has_ended(request))
                admission_refuse_ended(request);
        else
                request->next(request, answer);
        server_turn(server);
}

void backend_call(Request *request, const ClientRequest *call,
                  void (*next)(Request *request, const ClientAnswer *answer))
{
        ClientRequest asked = *call;
        int r;

        request->next = next;
        request->changes = !call->repeatable;
        asked.share = request->principal ? request->principal->allowance->calls : NULL;
        asked.is_wanted = is_wanted;
        r = client_async_call(request->app->client, &asked, on_answer, request, &request->call);
        if (r < 0)
                backend_refuse(request, &(ClientAnswer){ .error = r });
}

void backend_refuse_reply(Request *request)
{
        surface_refuse(request, MHD_HTTP_BAD_GATEWAY, "The answer cannot be read");
}

int backend_read_text(sd_bus_message *reply, const char **ret)
{
        const void *data;
        size_t size;
        int r;

        if (sd_bus_message_has_signature(reply, "ay") <= 0)
                return sd_bus_message_read(reply, "s", ret);
        r = sd_bus_message_read_array(reply, 'y', &data, &size);
        if (r < 0)
                return r;
        if (size == 0 || ((const char *) data)[size - 1] != '\0')
                return -EBADMSG;
        *ret = data;
        return 0;
}

void backend_pass(Request *request, const ClientAnswer *answer)
{
        const char *text;

        if (answer->error < 0)
                backend_refuse(request, answer);
        else if (backend_read_text(answer->reply, &text) < 0)
                backend_refuse_reply(request);
        else
                request_answer_message(request, MHD_HTTP_OK, answer->reply, text);
}

/* What remote clients are told: the sentences of the table are for who sits at the machine. NULL: as the daemon says.
 */
static const char *words(const Refusal *refusal)
{
        static const struct {
                int error;
                const char *text;
        } table[] = {
                { ENXIO, "Connector not found" },
                { ESRCH, "Sync run not found" },
                { ENOLINK, "Connection not found" },
                { ENODEV, "User not found" },
                { EHOSTUNREACH, "Webhook endpoint not found" },
                { ENOMSG, "Webhook message not found" },
                { ENETDOWN, "Webhook endpoint is disabled" },
                { ENOKEY, "Invalid or missing API key" },
                { EHOSTDOWN, "Connector is inactive" },
                { ENOEXEC, "Connector is not configured correctly" },
                { EALREADY, "Sync run has ended already" },
                { EACCES, "The service does not allow this to its HTTP server" },
                { ENOBUFS, "Too much is waiting already" },
                { EROFS, "Storage is unavailable" },
                { ESHUTDOWN, "Service is stopping" },
                { ENOMEM, "Internal server error" },
                { EIO, "Internal server error" },
        };

        for (size_t i = 0; i < ELEMENTSOF(table); i++)
                if (table[i].error == refusal->error)
                        return table[i].text;
        return NULL;
}

void backend_refuse_unsure(Request *request)
{
        surface_refuse(request, MHD_HTTP_GATEWAY_TIMEOUT,
                       "Service did not answer: whether this was done is not known");
}

bool backend_may_be_done(const Request *request)
{
        return request->changed || client_call_may_be_done(request->call);
}

/* Who is told to try again shall not do twice what was done. */
static bool is_unsure(const Request *request, const ClientAnswer *answer)
{
        const Refusal *refusal = answer->refusal;

        if (refusal)
                return request->changed && (refusal->http_status == MHD_HTTP_SERVICE_UNAVAILABLE ||
                                            refusal->http_status == MHD_HTTP_TOO_MANY_REQUESTS);
        return answer->error == -ETIMEDOUT || request->changed;
}

void backend_refuse(Request *request, const ClientAnswer *answer)
{
        const Refusal *refusal = answer->refusal;
        unsigned status;

        if (is_unsure(request, answer)) {
                backend_refuse_unsure(request);
                return;
        }
        if (!refusal && answer->error == -EHOSTUNREACH) {
                request_add_header(request, MHD_HTTP_HEADER_RETRY_AFTER, RETRY_AFTER_SEC);
                surface_refuse(request, MHD_HTTP_SERVICE_UNAVAILABLE, "Service is unavailable");
                return;
        }
        if (!refusal && answer->error == -ECANCELED) {
                /* Who has closed one side alone may still hear it. */
                request_add_header(request, MHD_HTTP_HEADER_RETRY_AFTER, RETRY_AFTER_SEC);
                surface_refuse(request, MHD_HTTP_SERVICE_UNAVAILABLE, "The client has gone before its turn came");
                return;
        }
        if (!refusal)
                refusal = refusal_by_errno(answer->error);
        if (refusal->error == ENOKEY && request->principal) {
                admission_refuse_ended(request);
                return;
        }
        if (refusal->error == EIO || refusal->error == EACCES)
                (void) log_error_errno(answer->error, "The daemon refuses: %s", answer->message ?: "-");
        status = refusal->http_status;
        if (status == MHD_HTTP_SERVICE_UNAVAILABLE || status == MHD_HTTP_TOO_MANY_REQUESTS)
                request_add_header(request, MHD_HTTP_HEADER_RETRY_AFTER, RETRY_AFTER_SEC);
        surface_refuse(request, status, "%s", words(refusal) ?: answer->message ?: refusal->sentence);
}

ClientRequest backend_describes(const char *member, const ClientOption *options, size_t n)
{
        /* What all may read comes as bytes. */
        static const char *const open[] = { "DescribeRuns", "DescribeEvents", "DescribeConnectors",
                                            "DescribeConnections" };
        bool is_open = false;

        for (size_t i = 0; i < ELEMENTSOF(open); i++)
                is_open |= streq(member, open[i]);
        return (ClientRequest){
                .member = is_open ? "DescribeBytes" : member,
                .text = is_open ? member : NULL,
                .dictionary = true,
                .options = options,
                .n_options = n,
                .repeatable = true,
        };
}

void backend_describe(Request *request, const char *member, const ClientOption *options, size_t n)
{
        const ClientRequest call = backend_describes(member, options, n);

        backend_call(request, &call, backend_pass);
}

void backend_describe_list(Request *request, const char *member, const ClientOption *options, size_t n, bool is_large)
{
        ClientRequest call = backend_describes(member, options, n);

        call.is_large = is_large;
        backend_call(request, &call, backend_pass);
}
