/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Webhooks. All calls are alike: some words, then options, of which one may say on whose behalf. So there is one
 * handler and a table of what each takes and does. URLs and bodies are told to nobody who may not manage webhooks:
 * many a URL is a secret itself. */

#include "bus/manager-webhooks.h"

#include <string.h>

#include "base/log.h"
#include "base/string-util.h"
#include "bus/access.h"
#include "bus/bus-error.h"
#include "bus/describe-filter.h"
#include "bus/shim.h"
#include "engine/webhooks.h"

#define WEBHOOK_WORDS_MAX 2U

typedef struct WebhookRequest {
        const char *words[WEBHOOK_WORDS_MAX];
        uint64_t since_usec;
        WebhookWish wish;
        char **types;
        bool at_once;
        const char *view;
        bool of_document;
        WebhookPage page;
        const char *on_behalf_of;
        uint64_t given;
} WebhookRequest;

typedef int (*WebhookAct)(Bus *bus, sd_bus_message *m, const WebhookRequest *request, sd_bus_error *error);

typedef struct WebhookMethod {
        const char *member;
        const char *signature; /* of the arguments before the options: "s" for a word, "t" for since */
        const OptionRow *options;
        WebhookAct act;
} WebhookMethod;

static void request_done(WebhookRequest *request)
{
        strv_free(request->types);
}

/* ---- Answers */

/* Secrets are wiped from the memory that they left by. */
static int send_texts(sd_bus_message *m, const char *first, const char *second)
{
        sd_bus_message *reply = NULL;
        int r;

        r = sd_bus_message_new_method_return(m, &reply);
        if (r >= 0)
                r = sd_bus_message_sensitive(reply);
        if (r >= 0)
                r = sd_bus_message_append(reply, "s", first);
        if (r >= 0 && second)
                r = sd_bus_message_append(reply, "s", second);
        if (r >= 0)
                r = sd_bus_send(NULL, reply, NULL);
        sd_bus_message_unref(reply);
        return r;
}

static void finish(Pending *pending, int r)
{
        if (r < 0)
                pending_refuse(pending, r);
        else
                pending_free(pending);
}

/* The view that the message of the call asked for is read once more: nothing else of the request is kept. */
static bool asked_of_document(const Pending *pending);

static void on_added_or_updated(int error, const WebhookEndpoint *endpoint, void *userdata)
{
        _cleanup_free_ char *json = NULL;
        Pending *pending = userdata;
        bool added = streq(sd_bus_message_get_member(pending->message), "AddWebhookEndpoint");

        if (error >= 0)
                error = engine_describe_webhook(endpoint, asked_of_document(pending), &json);
        if (error >= 0)
                error = send_texts(pending->message, added ? endpoint->id : json, added ? json : NULL);
        finish(pending, error);
}

static void on_rotated(int error, const WebhookEndpoint *endpoint, void *userdata)
{
        Pending *pending = userdata;

        finish(pending, error >= 0 ? send_texts(pending->message, endpoint->secrets[0].text, NULL) : error);
}

static void on_tested(int error, const char *message_id, void *userdata)
{
        Pending *pending = userdata;

        finish(pending, error >= 0 ? send_texts(pending->message, message_id, NULL) : error);
}

/* @r: of the engine's function, which has taken the pending call over where it is not negative. */
static int asked(int r, Pending *pending, char *why, sd_bus_error *error)
{
        _cleanup_free_ char *words = why;

        if (r >= 0)
                return 1;
        pending_free(pending);
        if (words)
                return bus_refuse_text(error, r, "%s", words);
        if (r == -E2BIG)
                return bus_refuse_text(error, r, "There are %u webhook endpoints already: remove one.",
                                       WEBHOOK_ENDPOINTS_MAX);
        return bus_refuse(error, r);
}

/* ---- What each does */

static int act_add(Bus *bus, sd_bus_message *m, const WebhookRequest *request, sd_bus_error *error)
{
        WebhookWish wish = request->wish;
        Pending *pending = NULL;
        char *why = NULL;
        int r;

        wish.url = request->words[0];
        r = pending_new(bus, m, &pending);
        if (r >= 0)
                r = engine_add_webhook(bus->engine, &wish, on_added_or_updated, pending, &why);
        return asked(r, pending, why, error);
}

static int act_update(Bus *bus, sd_bus_message *m, const WebhookRequest *request, sd_bus_error *error)
{
        Pending *pending = NULL;
        char *why = NULL;
        int r;

        r = pending_new(bus, m, &pending);
        if (r >= 0)
                r = engine_update_webhook(bus->engine, request->words[0], &request->wish, on_added_or_updated, pending,
                                          &why);
        return asked(r, pending, why, error);
}

static int act_remove(Bus *bus, sd_bus_message *m, const WebhookRequest *request, sd_bus_error *error)
{
        Pending *pending = NULL;
        int r;

        r = pending_new(bus, m, &pending);
        if (r >= 0)
                r = engine_remove_webhook(bus->engine, request->words[0], pending_reply, pending);
        return asked(r, pending, NULL, error);
}

static int act_rotate(Bus *bus, sd_bus_message *m, const WebhookRequest *request, sd_bus_error *error)
{
        Pending *pending = NULL;
        int r;

        r = pending_new(bus, m, &pending);
        if (r >= 0)
                r = engine_rotate_webhook(bus->engine, request->words[0], request->at_once, on_rotated, pending);
        return asked(r, pending, NULL, error);
}

static int act_test(Bus *bus, sd_bus_message *m, const WebhookRequest *request, sd_bus_error *error)
{
        Pending *pending = NULL;
        int r;

        r = pending_new(bus, m, &pending);
        if (r >= 0)
                r = engine_test_webhook(bus->engine, request->words[0], on_tested, pending);
        return asked(r, pending, NULL, error);
}

static int act_resend(Bus *bus, sd_bus_message *m, const WebhookRequest *request, sd_bus_error *error)
{
        Pending *pending = NULL;
        int r;

        r = pending_new(bus, m, &pending);
        if (r >= 0)
                r = engine_resend_webhook(bus->engine, request->words[0], request->words[1], pending_reply, pending);
        return asked(r, pending, NULL, error);
}

static int act_recover(Bus *bus, sd_bus_message *m, const WebhookRequest *request, sd_bus_error *error)
{
        Pending *pending = NULL;
        int r;

        r = pending_new(bus, m, &pending);
        if (r >= 0)
                r = engine_recover_webhook(bus->engine, request->words[0], request->since_usec, pending_reply,
                                           pending);
        return asked(r, pending, NULL, error);
}

static int act_secret(Bus *bus, sd_bus_message *m, const WebhookRequest *request, sd_bus_error *error)
{
        _cleanup_(webhook_endpoint_done) WebhookEndpoint endpoint = {};
        int r;

        r = engine_get_webhook(bus->engine, request->words[0], &endpoint);
        if (r >= 0)
                r = send_texts(m, endpoint.secrets[0].text, NULL);
        return r < 0 ? bus_refuse(error, r) : 1;
}

static int reply_page(sd_bus_message *m, int r, char *json, sd_bus_error *error)
{
        if (r == -EINVAL)
                return bus_refuse_text(error, r, "iterator: this is not what a page before gave.");
        return reply_json(m, r, json, error);
}

static int act_describe(Bus *bus, sd_bus_message *m, const WebhookRequest *request, sd_bus_error *error)
{
        const LimitRange range = { .usual = WEBHOOK_ENDPOINTS_MAX, .max = WEBHOOK_PAGE_MAX };
        WebhookPage page = request->page;
        char *json = NULL;
        int r;

        r = filter_limit("limit", &page.limit, &range, error);
        if (r < 0)
                return r;
        r = engine_describe_webhooks(bus->engine, &page, request->of_document, &json);
        return reply_page(m, r, json, error);
}

static int describe_page(Bus *bus, sd_bus_message *m, const WebhookRequest *request,
                         int (*describe)(Engine *engine, const WebhookPage *page, char **ret_json),
                         sd_bus_error *error)
{
        const LimitRange range = { .usual = 50, .max = WEBHOOK_PAGE_MAX };
        WebhookPage page = request->page;
        char *json = NULL;
        int r;

        r = filter_limit("limit", &page.limit, &range, error);
        if (r < 0)
                return r;
        r = describe(bus->engine, &page, &json);
        return reply_page(m, r, json, error);
}

static int act_messages(Bus *bus, sd_bus_message *m, const WebhookRequest *request, sd_bus_error *error)
{
        return describe_page(bus, m, request, engine_describe_webhook_messages, error);
}

static int act_attempts(Bus *bus, sd_bus_message *m, const WebhookRequest *request, sd_bus_error *error)
{
        return describe_page(bus, m, request, engine_describe_webhook_attempts, error);
}

/* ---- What each takes */

#define OPTION(name, type, field) { name, OPTION_##type, offsetof(WebhookRequest, field) }
#define ON_BEHALF                 OPTION("on_behalf_of", STRING, on_behalf_of)
#define TYPES_ROW                 0 /* stands first where it is */

static const OptionRow no_options[] = { ON_BEHALF, {} };

static const OptionRow endpoint_options[] = {
        [TYPES_ROW] = OPTION("types", STRV, types),
        OPTION("url", STRING, wish.url),
        OPTION("description", STRING, wish.description),
        OPTION("user", STRING, wish.user_id),
        OPTION("disabled", TRISTATE, wish.disabled),
        OPTION("view", STRING, view),
        ON_BEHALF,
        {},
};

static const OptionRow rotate_options[] = { OPTION("at_once", BOOL, at_once), ON_BEHALF, {} };

static const OptionRow describe_options[] = {
        OPTION("id", STRING, page.endpoint_id),
        OPTION("limit", UNSIGNED, page.limit),
        OPTION("iterator", STRING, page.iterator),
        OPTION("view", STRING, view),
        ON_BEHALF,
        {},
};

static const OptionRow page_options[] = {
        OPTION("endpoint", STRING, page.endpoint_id),
        OPTION("message", STRING, page.message_id),
        OPTION("limit", UNSIGNED, page.limit),
        OPTION("iterator", STRING, page.iterator),
        ON_BEHALF,
        {},
};

static const WebhookMethod methods[] = {
        { "AddWebhookEndpoint", "s", endpoint_options, act_add },
        { "UpdateWebhookEndpoint", "s", endpoint_options, act_update },
        { "RemoveWebhookEndpoint", "s", no_options, act_remove },
        { "DescribeWebhookEndpoints", "", describe_options, act_describe },
        { "GetWebhookSecret", "s", no_options, act_secret },
        { "RotateWebhookSecret", "s", rotate_options, act_rotate },
        { "TestWebhook", "s", no_options, act_test },
        { "ResendWebhookMessage", "ss", no_options, act_resend },
        { "RecoverWebhook", "st", no_options, act_recover },
        { "DescribeWebhookMessages", "", page_options, act_messages },
        { "DescribeWebhookAttempts", "", page_options, act_attempts },
};

static const WebhookMethod *find_method(sd_bus_message *m)
{
        const char *member = sd_bus_message_get_member(m);

        for (size_t i = 0; i < ELEMENTSOF(methods); i++)
                if (streq(methods[i].member, member))
                        return &methods[i];
        return NULL;
}

static int read_arguments(sd_bus_message *m, const WebhookMethod *method, WebhookRequest *request)
{
        size_t n = 0;
        int r = 0;

        for (const char *type = method->signature; *type && r >= 0; type++)
                r = sd_bus_message_read_basic(m, *type, *type == 't' ? (void *) &request->since_usec
                                                                     : (void *) &request->words[n++]);
        return r;
}

static int request_read(sd_bus_message *m, const WebhookMethod *method, WebhookRequest *request, sd_bus_error *error)
{
        int r;

        *request = (WebhookRequest) { .wish.disabled = -1, .page.limit = LIMIT_USUAL };
        r = read_arguments(m, method, request);
        if (r < 0)
                return bus_refuse(error, r);
        r = options_read(m, method->options, request, &request->given, error);
        if (r < 0)
                return r;
        request->wish.types = request->types;
        request->wish.types_given = method->options == endpoint_options && request->given & UINT64_C(1) << TYPES_ROW;
        request->of_document = request->view && view_from_string(request->view) == VIEW_OPEN_WEARABLES;
        if (request->view && !request->of_document && view_from_string(request->view) != VIEW_SYNCRUN)
                return bus_refuse_text(error, -EINVAL, "view: 'syncrun' or 'open-wearables', not '%s'.",
                                       request->view);
        return 0;
}

static bool asked_of_document(const Pending *pending)
{
        _cleanup_bus_error_ sd_bus_error error = SD_BUS_ERROR_NULL;
        _cleanup_(request_done) WebhookRequest request = {};

        return sd_bus_message_rewind(pending->message, true) >= 0 &&
               request_read(pending->message, find_method(pending->message), &request, &error) >= 0 &&
               request.of_document;
}

static int webhook_granted(Bus *bus, sd_bus_message *m, const Caller *caller, sd_bus_error *error)
{
        _cleanup_(request_done) WebhookRequest request = {};
        const WebhookMethod *method = find_method(m);
        char requested_by[REQUESTED_BY_MAX];
        int r;

        r = request_read(m, method, &request, error);
        if (r >= 0)
                r = requested_by_read(bus, caller->uid, request.on_behalf_of, requested_by, error);
        return r < 0 ? r : method->act(bus, m, &request, error);
}

int method_webhook(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        _cleanup_(request_done) WebhookRequest request = {};
        AccessSubject subject = {};
        int r;

        r = request_read(m, find_method(m), &request, error);
        if (r < 0)
                return r;
        subject.on_behalf = request.on_behalf_of != NULL;
        return access_ask(userdata, m, &subject, webhook_granted, error);
}

int method_describe_webhook_event_types(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        char *json = NULL;
        int r = engine_describe_webhook_types(&json);

        return reply_json(m, r, json, error);
}

/* ---- Signals */

static void on_webhook_changed(const WebhookEndpoint *endpoint, WebhookChange change, void *userdata)
{
        Bus *bus = userdata;
        int r;

        if (!bus->published)
                return;
        r = sd_bus_emit_signal(bus->options.bus, SYNCRUN_PATH, SYNCRUN_IFACE_MANAGER, "WebhookEndpointChanged", "ss",
                               endpoint->id, webhook_change_to_string(change));
        if (r < 0)
                (void) log_warning_errno(r, "Cannot tell the bus of endpoint %s: %m", endpoint->id);
}

static void on_webhook_attempted(const WebhookAttempt *attempt, void *userdata)
{
        Bus *bus = userdata;
        int r;

        if (!bus->published)
                return;
        r = sd_bus_emit_signal(bus->options.bus, SYNCRUN_PATH, SYNCRUN_IFACE_MANAGER, "WebhookAttempted", "ssbu",
                               attempt->endpoint_id, attempt->message_id, (int) attempt->succeeded,
                               attempt->http_status);
        if (r < 0)
                (void) log_warning_errno(r, "Cannot tell the bus of an attempt of %s: %m", attempt->message_id);
}

void webhook_signals_init(EngineObserver *observer)
{
        observer->webhook_changed = on_webhook_changed;
        observer->webhook_attempted = on_webhook_attempted;
}
