/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Verbs about webhooks: where messages about syncs are sent, and what became of them. */

#include <inttypes.h>
#include <stdio.h>

#include "base/names.h"
#include "base/string-util.h"
#include "base/time-util.h"
#include "ctl/ctl.h"
#include "model/run.h"

#define MESSAGES_SHOWN 25U
#define PAGE_MAX       250U /* as many as one answer holds */

/* How long to wait for what comes of a test: longer than a request may take, unless somebody has set much more. */
#define TEST_WAIT_USEC (30 * USEC_PER_SEC)

/* Makes a call. Return: 0; an exit status > 0 with the error printed. */
static int call(Ctl *ctl, const ClientWebhookCall *what, char **ret_text)
{
        _cleanup_client_error_ ClientError e = {};
        Client *client;
        int status;

        status = ctl_client(ctl, &client);
        if (status != 0)
                return status;
        if (client_call_webhook(client, what, ret_text, &e) < 0)
                return ctl_fail(&e, "%s", what->words[0]);
        return 0;
}

/* Prints the one text that a call answers with. */
static int call_and_print(Ctl *ctl, const ClientWebhookCall *what, const char *key)
{
        _cleanup_json_ struct json_object *object = NULL;
        _cleanup_free_ char *text = NULL;
        int status;

        status = call(ctl, what, &text);
        if (status != 0)
                return status;
        if (ctl->options.json == JSON_OFF) {
                (void) puts(text);
                return 0;
        }
        object = json_object_new_object();
        if (!object || json_add(object, key, json_object_new_string(text)) < 0)
                return ctl_oom();
        ctl_print_json(ctl, object);
        return 0;
}

/* ---- Endpoints */

/* The options that add and update share. */
#define WISHES_MAX 5U

static size_t wishes(const Ctl *ctl, char **types, ClientOption ret[static WISHES_MAX])
{
        const CtlOptions *o = &ctl->options;
        size_t n = 0;

        ret[n++] = (ClientOption) { "url", 's', .s = o->url };
        ret[n++] = (ClientOption) { "description", 's', .s = o->description };
        ret[n++] = (ClientOption) { "user", 's', .s = o->user };
        ret[n++] = (ClientOption) { "types", 'a', .as = types, .even_empty = o->types };
        if (option_given(o, OPTION_ENABLE) || option_given(o, OPTION_DISABLE))
                ret[n++] = (ClientOption) { "disabled", 'b', .b = option_given(o, OPTION_DISABLE) };
        return n;
}

static int change_endpoint(Ctl *ctl, const char *member, const char *word, char **ret_text)
{
        _cleanup_strv_free_ char **types = NULL;
        ClientOption options[WISHES_MAX];
        ClientWebhookCall what = { .member = member, .words = { word }, .options = options };

        if (option_given(&ctl->options, OPTION_ENABLE) && option_given(&ctl->options, OPTION_DISABLE))
                return ctl_usage_error("--enable and --disable do not go together.");
        if (ctl->options.types && !streq(ctl->options.types, "all") &&
            strv_split(ctl->options.types, ",", &types) < 0)
                return ctl_oom();
        what.n_options = wishes(ctl, types, options);
        return call(ctl, &what, ret_text);
}

int verb_webhook_add(Ctl *ctl, int argc, char **argv)
{
        _cleanup_json_ struct json_object *object = NULL;
        _cleanup_free_ char *id = NULL;
        int status;

        status = change_endpoint(ctl, "AddWebhookEndpoint", argv[1], &id);
        if (status != 0)
                return status;
        if (ctl->options.json != JSON_OFF) {
                object = json_object_new_object();
                if (!object || json_add(object, "id", json_object_new_string(id)) < 0)
                        return ctl_oom();
                ctl_print_json(ctl, object);
                return 0;
        }
        (void) puts(id);
        if (!ctl->options.quiet)
                (void) fprintf(stderr,
                               "'syncrunctl webhook secret %s' shows what its messages are signed with; 'syncrunctl "
                               "webhook test %s' tries it out.\n",
                               id, id);
        return 0;
}

int verb_webhook_update(Ctl *ctl, int argc, char **argv)
{
        const CtlOptions *o = &ctl->options;

        if (!o->url && !o->description && !o->types && !o->user && !option_given(o, OPTION_ENABLE) &&
            !option_given(o, OPTION_DISABLE))
                return ctl_usage_error("Change what? Add --url=, --types=, --user=, --description=, --enable or "
                                       "--disable.");
        return change_endpoint(ctl, "UpdateWebhookEndpoint", argv[1], NULL);
}

int verb_webhook_remove(Ctl *ctl, int argc, char **argv)
{
        int worst = 0;

        for (int i = 1; i < argc; i++) {
                const ClientWebhookCall what = { .member = "RemoveWebhookEndpoint", .words = { argv[i] } };
                int status = call(ctl, &what, NULL);

                worst = MAX(worst, status);
        }
        return worst;
}

static const char *endpoint_state(struct json_object *endpoint, Colour *ret)
{
        bool failing = json_time(endpoint, "failing_since") > 0;

        if (json_flag(endpoint, "disabled")) {
                bool by_hand = streq(json_text(endpoint, "disabled_reason"), "by-hand");

                *ret = by_hand ? COLOUR_GREY : COLOUR_RED;
                return by_hand ? "disabled" : json_text(endpoint, "disabled_reason");
        }
        *ret = failing ? COLOUR_YELLOW : COLOUR_GREEN;
        return failing ? "failing" : "active";
}

static char *type_list(struct json_object *endpoint)
{
        _cleanup_strv_free_ char **words = NULL;
        struct json_object *word;

        for (size_t i = 0; (word = json_element(endpoint, "filter_types", i)); i++)
                if (strv_extend(&words, json_object_get_string(word)) < 0)
                        return NULL;
        return words ? strv_join(words, ",") : strdup("all");
}

int verb_webhook_list(Ctl *ctl, int argc, char **argv)
{
        static const char *const titles[] = { "ENDPOINT", "STATE", "TYPES", "USER", "URL", NULL };
        _cleanup_json_ struct json_object *answer = NULL;
        _cleanup_(table_freep) Table *table = NULL;
        struct json_object *endpoint;
        int status;

        status = ctl_describe(ctl, "DescribeWebhookEndpoints", NULL, 0, &answer);
        if (status != 0 || !answer)
                return status;
        table = table_new(titles);
        if (!table)
                return ctl_oom();
        for (size_t i = 0; (endpoint = json_element(answer, "data", i)); i++) {
                _cleanup_free_ char *types = type_list(endpoint);
                Colour colour;
                const char *state = endpoint_state(endpoint, &colour);

                if (!types)
                        return ctl_oom();
                table_add(table, COLOUR_BOLD, json_text(endpoint, "id"));
                table_add(table, colour, state);
                table_add(table, COLOUR_NORMAL, types);
                table_add(table, COLOUR_NORMAL, json_text(endpoint, "user_id"));
                table_add(table, COLOUR_NORMAL, json_text(endpoint, "url"));
        }
        if (table_print(table, ctl->options.legend) < 0)
                return ctl_oom();
        if (table_rows(table) == 0)
                ctl_hint(ctl, "No endpoints. 'syncrunctl webhook add https://...' makes one.");
        return 0;
}

int verb_webhook_show(Ctl *ctl, int argc, char **argv)
{
        const ClientOption filter[] = { { "id", 's', .s = argv[1] } };
        _cleanup_json_ struct json_object *endpoint = NULL;
        char when[TIMESPAN_TEXT_MAX];
        _cleanup_free_ char *types = NULL;
        Colour colour;
        int status;

        status = ctl_describe(ctl, "DescribeWebhookEndpoints", filter, ELEMENTSOF(filter), &endpoint);
        if (status != 0 || !endpoint)
                return status;
        types = type_list(endpoint);
        if (!types)
                return ctl_oom();
        ctl_begin(ctl);
        (void) printf("   Endpoint: %s\n", json_text(endpoint, "id"));
        (void) printf("        URL: %s\n", json_text(endpoint, "url"));
        (void) printf("Description: %s\n", strna(json_text(endpoint, "description")));
        (void) printf("      Types: %s\n", types);
        (void) printf("       User: %s\n", strna(json_text(endpoint, "user_id")));
        (void) printf("      State: %s\n", endpoint_state(endpoint, &colour));
        if (json_time(endpoint, "failing_since") > 0)
                (void) printf("    Failing: since %s\n", relative_text(when, json_time(endpoint, "failing_since")));
        (void) printf("       Made: %s\n", relative_text(when, json_time(endpoint, "created_at")));
        return 0;
}

/* ---- Secrets */

int verb_webhook_secret(Ctl *ctl, int argc, char **argv)
{
        const ClientWebhookCall what = { .member = "GetWebhookSecret", .words = { argv[1] } };

        return call_and_print(ctl, &what, "secret");
}

int verb_webhook_rotate(Ctl *ctl, int argc, char **argv)
{
        const ClientOption options[] = {
                { "at_once", 'b', .b = option_given(&ctl->options, OPTION_AT_ONCE) },
        };

        return call_and_print(ctl,
                              &(ClientWebhookCall) { .member = "RotateWebhookSecret",
                                                     .words = { argv[1] },
                                                     .options = options,
                                                     .n_options = ELEMENTSOF(options) },
                              "secret");
}

/* ---- Messages */

static size_t page_filter(const Ctl *ctl, const char *name, ClientOption ret[static 3])
{
        size_t n = 0;

        ret[n++] = (ClientOption) { "limit", 'u', .u = MIN(option_lines(&ctl->options, MESSAGES_SHOWN), PAGE_MAX) };
        ret[n++] = (ClientOption) { "iterator", 's', .s = ctl->options.page };
        if (name)
                ret[n++] = (ClientOption) { startswith(name, "msg_") ? "message" : "endpoint", 's', .s = name };
        return n;
}

static void page_hint(const Ctl *ctl, struct json_object *answer)
{
        if (!json_flag(answer, "done"))
                ctl_hint(ctl, "There are more: --page=%s", json_text(answer, "iterator"));
}

int verb_webhook_messages(Ctl *ctl, int argc, char **argv)
{
        static const char *const titles[] = { "MESSAGE", "TYPE", "WHEN", "STATE", "NEXT", "EVENT", NULL };
        _cleanup_json_ struct json_object *answer = NULL;
        _cleanup_(table_freep) Table *table = NULL;
        struct json_object *message;
        ClientOption filter[3];
        int status;

        status = ctl_describe(ctl, "DescribeWebhookMessages", filter,
                              page_filter(ctl, argc > 1 ? argv[1] : NULL, filter), &answer);
        if (status != 0 || !answer)
                return status;
        table = table_new(titles);
        if (!table)
                return ctl_oom();
        for (size_t i = 0; (message = json_element(answer, "data", i)); i++) {
                char when[TIMESPAN_TEXT_MAX], next[TIMESPAN_TEXT_MAX];

                table_add(table, COLOUR_BOLD, json_text(message, "id"));
                table_add(table, COLOUR_NORMAL, json_text(message, "eventType"));
                table_add(table, COLOUR_NORMAL, relative_text(when, json_time(message, "timestamp")));
                table_add(table, outcome_colour(json_text(message, "statusText")), json_text(message, "statusText"));
                table_add(table, COLOUR_NORMAL, relative_text(next, json_time(message, "nextAttempt")));
                table_add(table, COLOUR_NORMAL, json_text(message, "eventId"));
        }
        if (table_print(table, ctl->options.legend) < 0)
                return ctl_oom();
        page_hint(ctl, answer);
        return 0;
}

int verb_webhook_attempts(Ctl *ctl, int argc, char **argv)
{
        static const char *const titles[] = { "WHEN", "MESSAGE", "ENDPOINT", "HTTP", "TOOK", "RESULT", NULL };
        _cleanup_json_ struct json_object *answer = NULL;
        _cleanup_(table_freep) Table *table = NULL;
        struct json_object *attempt;
        ClientOption filter[3];
        int status;

        status = ctl_describe(ctl, "DescribeWebhookAttempts", filter,
                              page_filter(ctl, argc > 1 ? argv[1] : NULL, filter), &answer);
        if (status != 0 || !answer)
                return status;
        table = table_new(titles);
        if (!table)
                return ctl_oom();
        for (size_t i = 0; (attempt = json_element(answer, "data", i)); i++) {
                uint64_t http_status = json_count(attempt, "responseStatusCode");
                char when[TIMESPAN_TEXT_MAX];

                table_add(table, COLOUR_NORMAL, relative_text(when, json_time(attempt, "timestamp")));
                table_add(table, COLOUR_BOLD, json_text(attempt, "msgId"));
                table_add(table, COLOUR_NORMAL, json_text(attempt, "endpointId"));
                table_add_count(table, http_status > 0 ? http_status : COUNT_UNKNOWN);
                table_add_format(table, COLOUR_NORMAL, "%" PRIu64 "ms", json_count(attempt, "responseDurationMs"));
                table_add(table, json_count(attempt, "status") == 0 ? COLOUR_GREEN : COLOUR_RED,
                          json_text(attempt, "statusText"));
        }
        if (table_print(table, ctl->options.legend) < 0)
                return ctl_oom();
        page_hint(ctl, answer);
        return 0;
}

int verb_webhook_resend(Ctl *ctl, int argc, char **argv)
{
        int worst = 0;

        for (int i = 2; i < argc; i++) {
                int status = call(ctl,
                                  &(ClientWebhookCall) { .member = "ResendWebhookMessage",
                                                         .words = { argv[1], argv[i] } },
                                  NULL);

                worst = MAX(worst, status);
        }
        return worst;
}

int verb_webhook_recover(Ctl *ctl, int argc, char **argv)
{
        if (!option_given(&ctl->options, OPTION_SINCE))
                return ctl_usage_error("Since when? Add --since=TIME.");
        if (ctl->options.since_usec > now_usec(CLOCK_REALTIME))
                return ctl_usage_error("--since= lies in the future: nothing was sent since then.");
        return call(ctl,
                    &(ClientWebhookCall) { .member = "RecoverWebhook",
                                           .words = { argv[1] },
                                           .with_since = true,
                                           .since_usec = ctl->options.since_usec },
                    NULL);
}

/* ---- Test */

typedef struct TestWatch {
        const char *message_id; /* NULL: not known yet */
        bool told;
} TestWatch;

static int on_attempted(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        const char *endpoint, *message;
        TestWatch *watch = userdata;

        if (sd_bus_message_read(m, "ss", &endpoint, &message) >= 0 && watch->message_id &&
            streq(message, watch->message_id))
                watch->told = true;
        return 0;
}

/* Until the attempt is told of, or for so long. Return: 0; negative errno of the bus. */
static int wait_for_attempt(sd_bus *bus, TestWatch *watch)
{
        usec_t now = now_usec(CLOCK_MONOTONIC), end = now + TEST_WAIT_USEC;
        int r;

        while (!watch->told && now < end) {
                r = sd_bus_process(bus, NULL);
                if (r == 0)
                        r = sd_bus_wait(bus, end - now);
                if (r < 0)
                        return r;
                now = now_usec(CLOCK_MONOTONIC);
        }
        return 0;
}

static int print_result(Ctl *ctl, const char *message_id)
{
        const ClientOption filter[] = { { "message", 's', .s = message_id } };
        _cleanup_json_ struct json_object *answer = NULL;
        struct json_object *attempt;
        int status;

        status = ctl_ask(ctl, "DescribeWebhookAttempts", filter, ELEMENTSOF(filter), &answer);
        if (status != 0)
                return status;
        attempt = json_element(answer, "data", 0);
        if (!attempt)
                return ctl_fail_status(EXIT_FAILURE,
                                       "No answer yet. 'syncrunctl webhook attempts %s' shows it when it comes.",
                                       message_id);
        if (ctl->options.json != JSON_OFF)
                ctl_print_json(ctl, attempt);
        if (json_count(attempt, "status") != 0)
                return ctl_fail_status(EXIT_FAILURE, "It was not taken: %s", json_text(attempt, "statusText"));
        if (ctl->options.json == JSON_OFF && !ctl->options.quiet)
                (void) printf("It was taken: HTTP status %" PRIu64 ", after %" PRIu64 "ms.\n",
                              json_count(attempt, "responseStatusCode"), json_count(attempt, "responseDurationMs"));
        return 0;
}

int verb_webhook_test(Ctl *ctl, int argc, char **argv)
{
        _cleanup_(sd_bus_slot_unrefp) sd_bus_slot *slot = NULL;
        _cleanup_free_ char *message_id = NULL;
        TestWatch watch = {};
        Client *client;
        int status, r;

        status = ctl_client(ctl, &client);
        if (status != 0)
                return status;
        r = sd_bus_match_signal(client_bus(client), &slot, SYNCRUN_BUS_NAME, SYNCRUN_PATH, SYNCRUN_IFACE_MANAGER,
                                "WebhookAttempted", on_attempted, &watch);
        if (r < 0)
                return ctl_fail_errno(r, "Could not listen to the service");
        status = call(ctl, &(ClientWebhookCall) { .member = "TestWebhook", .words = { argv[1] } }, &message_id);
        if (status != 0)
                return status;
        watch.message_id = message_id;
        r = wait_for_attempt(client_bus(client), &watch);
        if (r < 0)
                return ctl_fail_errno(r, "Could not listen to the service");
        return print_result(ctl, message_id);
}
