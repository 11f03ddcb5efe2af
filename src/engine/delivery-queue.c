/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Which message is sent when. What is due stands in the history alone: here is only what is being sent, and what came
 * of it until that is committed, so that any number may wait, and a daemon that is killed begins again where the disk
 * says. Endpoints take turns; one that fails gets one request at a time, after a pause. */

#include <stdlib.h>

#include "base/log.h"
#include "delivery/delivery-address.h"
#include "engine/delivery-message.h"
#include "engine/delivery-policy.h"
#include "engine/publication.h"
#include "engine/webhook-table.h"
#include "store/webhook-store.h"

#define NO_MEMORY_PAUSE_USEC USEC_PER_SEC
#define CONNECTIONS_KEPT_MAX 64U
#define HURRY_INTERVAL_USEC  USEC_PER_SEC
#define GIVEN_UP_INTERVAL_USEC USEC_PER_HOUR
#define DUE_AT_ONCE_MAX      64U /* rows that one look at the history begins */

struct Delivery {
        WebhookEntry *entry;      /* NULL: gone meanwhile */
        DeliveryRequest *request; /* NULL: it has ended, and waits for its commit */
        DueDelivery due; /* its body is the request's */
        usec_t started_usec; /* CLOCK_REALTIME */
        bool unwanted;       /* it was not sent, which says nothing of the endpoint */
        char *url;           /* that the endpoint had then */
        Delivery *prev, *next;
};

static Delivery *delivery_free(Delivery *delivery)
{
        if (!delivery)
                return NULL;
        delivery_request_free(delivery->request);
        due_delivery_done(&delivery->due);
        free(delivery->url);
        free(delivery);
        return NULL;
}
DEFINE_TRIVIAL_CLEANUP_FUNC(Delivery *, delivery_free);

static void detach(Delivery *delivery)
{
        WebhookEntry *entry = delivery->entry;

        if (!entry)
                return;
        DL_DELETE(entry->deliveries, delivery);
        entry->n_deliveries--;
        entry->engine->webhooks->n_deliveries--;
        delivery->entry = NULL;
}

static void arm(Engine *engine);

void delivery_forget(WebhookEntry *entry)
{
        Webhooks *webhooks = entry->engine->webhooks;
        Delivery *delivery, *next;

        DL_FOREACH_SAFE(entry->deliveries, delivery, next)
        {
                detach(delivery);
                if (!delivery->request)
                        continue; /* its publication frees it */
                delivery_loop_remove(webhooks->loop, delivery_request_handle(delivery->request));
                delivery_free(delivery);
        }
        /* Others may have waited for its requests to end. */
        arm(entry->engine);
}

/* ---- What came of it */

typedef struct AttemptPublication {
        Publication publication;
        Delivery *delivery;
        WebhookAttempt attempt;
        WebhookAttemptNews news;
} AttemptPublication;

static void on_attempt_publication(Engine *engine, Publication *publication, int error)
{
        AttemptPublication *p = container_of(publication, AttemptPublication, publication);
        WebhookEntry *entry = p->delivery->entry;

        detach(p->delivery);
        delivery_free(p->delivery);
        if (error >= 0) {
                if (p->attempt.succeeded)
                        engine->statistics.messages_delivered++;
                else
                        engine->statistics.messages_refused++;
                webhook_log_attempt(&p->attempt, p->news);
                if (engine->observer.webhook_attempted)
                        engine->observer.webhook_attempted(&p->attempt, engine->observer.userdata);
        }
        if (error >= 0 && entry)
                delivery_wake(entry);
        webhook_attempt_done(&p->attempt);
        free(p);
}

static int fill_attempt(const Delivery *delivery, DeliveryOutcome *outcome, WebhookAttempt *attempt)
{
        const WebhookEndpoint *endpoint = &delivery->entry->endpoint;
        char id[WEBHOOK_ID_MAX];
        int r;

        r = webhook_id_new("atmpt_", delivery->started_usec, id);
        if (r < 0)
                return r;
        attempt->succeeded = delivery_outcome_is_good(outcome);
        attempt->outdated = !streq(delivery->url, endpoint->url);
        attempt->manual = delivery->due.manual;
        attempt->http_status = outcome->http_status;
        attempt->started_usec = delivery->started_usec;
        attempt->duration_usec = outcome->duration_usec;
        attempt->n_before = delivery->due.n_attempts;
        attempt->error = TAKE_PTR(outcome->error);
        attempt->answer = TAKE_PTR(outcome->answer);
        return free_and_strdup(&attempt->id, id) < 0 || free_and_strdup(&attempt->endpoint_id, endpoint->id) < 0 ||
                                               free_and_strdup(&attempt->message_id, delivery->due.message_id) < 0 ||
                                               free_and_strdup(&attempt->url, delivery->url) < 0
                               ? -ENOMEM
                               : 0;
}

/* For how long it has been failing. Of a time without an attempt no more counts than the longest that there is between
 * two of them while something waits for it: for the rest there was nothing to send. */
static void note_failure(WebhookEndpoint *endpoint, usec_t now, usec_t longest_delay)
{
        usec_t idle = endpoint->failed_usec > 0 ? usec_sub(usec_sub(now, endpoint->failed_usec), longest_delay) : 0;

        endpoint->failing_usec = endpoint->failing_usec > 0 ? MIN(usec_add(endpoint->failing_usec, idle), now) : now;
        endpoint->failed_usec = now;
}

/* What the attempt says of the endpoint itself. */
static int judge_endpoint(WebhookEntry *entry, const DeliveryVerdict *verdict)
{
        Engine *engine = entry->engine;
        WebhookEndpoint *endpoint = &entry->endpoint;
        usec_t now = engine_now(engine, CLOCK_REALTIME);
        usec_t disable_after = engine->settings->webhook_disable_after_usec;
        bool was_failing = endpoint->failing_usec > 0;
        int r;

        if (verdict->state == DELIVERY_SUCCEEDED) {
                entry->n_failures = 0;
                endpoint->failing_usec = endpoint->failed_usec = 0;
                return was_failing ? webhook_save(entry, false) : 0;
        }
        entry->n_failures++;
        entry->paused_usec = usec_add(engine_now(engine, CLOCK_BOOTTIME),
                                      MAX(verdict->pause_usec, delivery_pause(entry->n_failures)));
        if (endpoint->disabled >= 0)
                return 0;
        note_failure(endpoint, now, delivery_longest_delay(engine->settings));
        if (verdict->gone || (was_failing && now >= usec_add(endpoint->failing_usec, disable_after))) {
                r = webhook_disable(entry, verdict->gone ? WEBHOOK_DISABLED_GONE : WEBHOOK_DISABLED_FAILING);
                return r < 0 ? r : webhook_publish(entry, WEBHOOK_CHANGE_DISABLED);
        }
        return webhook_save(entry, false);
}

/* One of many that are given up may stand for them. */
static bool is_given_up_news(WebhookEntry *entry, const DeliveryVerdict *verdict)
{
        usec_t boot = engine_now(entry->engine, CLOCK_BOOTTIME);

        if (verdict->state != DELIVERY_FAILED ||
            (entry->given_up_usec > 0 && boot < usec_add(entry->given_up_usec, GIVEN_UP_INTERVAL_USEC)))
                return false;
        entry->given_up_usec = boot;
        return true;
}

/* ... and what of that is news. */
static int judge(WebhookEntry *entry, const DeliveryVerdict *verdict, WebhookAttemptNews *ret)
{
        bool was_failing = entry->endpoint.failing_usec > 0;
        int r;

        r = judge_endpoint(entry, verdict);
        if (r < 0)
                return r;
        if ((entry->endpoint.failing_usec > 0) != was_failing)
                *ret |= was_failing ? WEBHOOK_NEWS_WORKS : WEBHOOK_NEWS_FAILING;
        if (is_given_up_news(entry, verdict))
                *ret |= WEBHOOK_NEWS_GIVEN_UP;
        return 0;
}

static int record(Delivery *delivery, DeliveryOutcome *outcome)
{
        WebhookEntry *entry = delivery->entry;
        Engine *engine = entry->engine;
        DeliveryVerdict verdict = { .state = DELIVERY_FAILED };
        AttemptPublication *p = calloc(1, sizeof(AttemptPublication));
        int r;

        if (!p)
                return -ENOMEM;
        p->delivery = delivery;
        if (!delivery->unwanted)
                verdict = delivery_judge(engine->settings, outcome, delivery->due.n_attempts, engine_random());
        r = fill_attempt(delivery, outcome, &p->attempt);
        /* What the old address says of a message, other than that it has it, is nothing that the new one says. */
        if (r >= 0 && p->attempt.outdated && !p->attempt.succeeded)
                verdict = (DeliveryVerdict) { .state = DELIVERY_PENDING };
        if (r >= 0)
                r = store_put_webhook_attempt(engine->store, &delivery->due, &p->attempt, verdict.state,
                                              usec_add(engine_now(engine, CLOCK_REALTIME), verdict.delay_usec));
        if (r >= 0 && !p->attempt.outdated && !delivery->unwanted)
                r = judge(entry, &verdict, &p->news);
        if (r < 0) {
                webhook_attempt_done(&p->attempt);
                free(p);
                return r;
        }
        publication_queue(engine, &p->publication, on_attempt_publication);
        return 0;
}

/* The request has ended, or could not be made. The delivery is freed when what came of it is committed; where that
 * cannot be, it is sent again. */
static void conclude(Delivery *delivery, DeliveryOutcome *outcome)
{
        Engine *engine = delivery->entry->engine;
        int r = engine->broken;

        delivery->request = delivery_request_free(delivery->request);
        if (r >= 0) {
                r = record(delivery, outcome);
                if (r < 0)
                        engine_break(engine, r);
        }
        if (r < 0) {
                detach(delivery);
                delivery_free(delivery);
        }
}

static void on_request_done(CURL *handle, CURLcode code, void *userdata)
{
        _cleanup_(delivery_outcome_done) DeliveryOutcome outcome = {};
        Engine *engine = userdata;
        Delivery *delivery = NULL;
        int r;

        /* What is put now is not to be moved with what was put before the clock was set. */
        if (webhooks_clock_has_stepped(engine))
                engine_clock_changed(engine);
        (void) curl_easy_getinfo(handle, CURLINFO_PRIVATE, (char **) &delivery);
        r = delivery_request_outcome(delivery->request, code, engine_now(engine, CLOCK_REALTIME), &outcome);
        if (r < 0)
                engine_break(engine, r);
        conclude(delivery, &outcome);
}

/* ---- Sending */

static int begin_request(Delivery *delivery)
{
        WebhookEntry *entry = delivery->entry;
        Engine *engine = entry->engine;
        Webhooks *webhooks = engine->webhooks;
        CURL *handle;
        int r = 0;

        if (!webhooks->loop)
                r = delivery_loop_new(engine->event, MIN(engine->settings->webhook_max_requests, CONNECTIONS_KEPT_MAX),
                                      on_request_done, engine, &webhooks->loop);
        if (r >= 0)
                r = delivery_message_request(&engine->settings->webhook_rules, &entry->endpoint,
                                             delivery->due.message_id, delivery->due.body, delivery->started_usec,
                                             &delivery->request);
        if (r < 0)
                return r;
        delivery->due.body = NULL;
        handle = delivery_request_handle(delivery->request);
        if (curl_easy_setopt(handle, CURLOPT_PRIVATE, delivery) != CURLE_OK)
                return -ENOMEM;
        return delivery_loop_add(webhooks->loop, handle);
}

/* What somebody asked for is sent whether the endpoint wants it or not. */
static bool is_wanted(const Delivery *delivery)
{
        const DueDelivery *due = &delivery->due;

        return due->manual || due->type == WEBHOOK_TEST ||
               webhook_endpoint_wants(&delivery->entry->endpoint, due->type, due->user_id);
}

/* The endpoint has another user by now, or other types. */
static int drop_unwanted(Delivery *delivery)
{
        _cleanup_(delivery_outcome_done) DeliveryOutcome outcome = {};

        if (is_wanted(delivery))
                return 0;
        outcome.error = strdup("Not sent: the endpoint does not want it any longer.");
        if (!outcome.error)
                return -ENOMEM;
        delivery->unwanted = true;
        conclude(delivery, &outcome);
        return 1;
}

/* What the administrator does not allow, or no longer, fails without a request. */
static int refuse_url(Delivery *delivery)
{
        _cleanup_(delivery_outcome_done) DeliveryOutcome outcome = {};
        int r;

        r = delivery_check_url(&delivery->entry->engine->settings->webhook_rules, delivery->entry->endpoint.url,
                               &outcome.error);
        if (r == -EINVAL) {
                conclude(delivery, &outcome);
                return 1;
        }
        return r;
}

/* Return: 0; negative errno, and nothing is under way. */
static int send_due(WebhookEntry *entry, DueDelivery *due)
{
        _cleanup_(delivery_freep) Delivery *delivery = calloc(1, sizeof(Delivery));
        int r;

        if (!delivery)
                return -ENOMEM;
        delivery->due = *due;
        *due = (DueDelivery) {};
        delivery->url = strdup(entry->endpoint.url);
        if (!delivery->url)
                return -ENOMEM;
        delivery->started_usec = engine_now(entry->engine, CLOCK_REALTIME);
        delivery->entry = entry;
        DL_APPEND(entry->deliveries, delivery);
        entry->n_deliveries++;
        entry->engine->webhooks->n_deliveries++;
        r = drop_unwanted(delivery);
        if (r == 0)
                r = refuse_url(delivery);
        if (r == 0)
                r = begin_request(delivery);
        if (r < 0) {
                detach(delivery);
                return r;
        }
        TAKE_PTR(delivery);
        return 0;
}

static bool is_under_way(const WebhookEntry *entry, int64_t key)
{
        const Delivery *delivery;

        DL_FOREACH(entry->deliveries, delivery)
                if (delivery->due.key == key)
                        return true;
        return false;
}

static int on_entry_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
        delivery_wake(userdata);
        return 0;
}

static void wake_at(WebhookEntry *entry, usec_t usec)
{
        int r;

        r = engine_set_timer(entry->engine, &entry->timer, CLOCK_REALTIME, usec, TIMER_ACCURACY_USEC, on_entry_timer,
                             entry);
        if (r < 0)
                engine_break(entry->engine, r);
}

/* Sends what is due of @n, of which some are under way already. Return: 1 if there was no room for more; 0; negative
 * errno. */
static int send_some(WebhookEntry *entry, DueDelivery *due, size_t n, unsigned room)
{
        usec_t now = engine_now(entry->engine, CLOCK_REALTIME);
        int r;

        for (size_t i = 0; i < n && room > 0; i++) {
                if (is_under_way(entry, due[i].key))
                        continue;
                if (due[i].due_usec > now) {
                        wake_at(entry, due[i].due_usec);
                        return 0;
                }
                r = send_due(entry, &due[i]);
                if (r < 0)
                        return r;
                room--;
        }
        return room == 0;
}

/* Return: 1 if there may be more to send at once; 0; -EAGAIN (all requests that there may be are under way). */
static int serve(WebhookEntry *entry)
{
        Engine *engine = entry->engine;
        const Settings *s = engine->settings;
        unsigned limit = entry->n_failures > 0 ? 1 : s->webhook_max_requests_per_endpoint, room;
        usec_t boot = engine_now(engine, CLOCK_BOOTTIME), now = engine_now(engine, CLOCK_REALTIME);
        DueDelivery *due;
        size_t n;
        int r;

        if (entry->endpoint.disabled >= 0 || entry->n_deliveries >= limit)
                return 0;
        if (entry->paused_usec > boot) {
                wake_at(entry, usec_add(now, entry->paused_usec - boot));
                return 0;
        }
        if (engine->webhooks->n_deliveries >= s->webhook_max_requests)
                return -EAGAIN;
        room = MIN(MIN(limit - entry->n_deliveries, s->webhook_max_requests - engine->webhooks->n_deliveries),
                   DUE_AT_ONCE_MAX);
        r = store_list_due_deliveries(engine->store, entry->endpoint.id, entry->n_deliveries + room, &due, &n);
        if (r >= 0) {
                r = send_some(entry, due, n, room);
                due_deliveries_free(due, n);
        }
        if (r < 0) {
                log_debug_errno(r, "Cannot send to %s now: %m", entry->endpoint.id);
                wake_at(entry, usec_add(now, NO_MEMORY_PAUSE_USEC));
                return 0;
        }
        return r > 0 && room == DUE_AT_ONCE_MAX;
}

static int on_deliver(sd_event_source *source, void *userdata)
{
        Engine *engine = userdata;
        Webhooks *webhooks = engine->webhooks;

        if (webhooks_clock_has_stepped(engine))
                engine_clock_changed(engine);
        if (webhooks->n_clock_steps > 0)
                return 0;
        for (unsigned i = 0; i < webhooks->n_entries && engine->broken >= 0; i++) {
                WebhookEntry *entry = webhooks->turn ?: webhooks->entries;
                int r = entry->ready ? serve(entry) : 0;

                if (r == -EAGAIN)
                        return 0; /* its turn again, when one has ended */
                entry->ready = r > 0;
                if (r > 0)
                        (void) sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
                webhooks->turn = entry->next;
        }
        return 0;
}

static void arm(Engine *engine)
{
        Webhooks *webhooks = engine->webhooks;
        int r;

        if (webhooks->source)
                r = sd_event_source_set_enabled(webhooks->source, SD_EVENT_ONESHOT);
        else {
                r = sd_event_add_defer(engine->event, &webhooks->source, on_deliver, engine);
                if (r >= 0)
                        (void) sd_event_source_set_description(webhooks->source, "deliver");
        }
        if (r < 0)
                engine_break(engine, r);
}

void delivery_wake(WebhookEntry *entry)
{
        entry->ready = true;
        arm(entry->engine);
}

void delivery_wake_all(Engine *engine)
{
        WebhookEntry *entry;

        DL_FOREACH(engine->webhooks->entries, entry)
                delivery_wake(entry);
}

void delivery_unpause(WebhookEntry *entry)
{
        entry->paused_usec = 0;
        delivery_wake(entry);
}

void delivery_hurry(WebhookEntry *entry)
{
        usec_t boot = engine_now(entry->engine, CLOCK_BOOTTIME);

        if (entry->n_failures > 0) {
                if (entry->hurried_usec > 0 && boot < usec_add(entry->hurried_usec, HURRY_INTERVAL_USEC)) {
                        delivery_wake(entry);
                        return;
                }
                entry->hurried_usec = boot;
        }
        delivery_unpause(entry);
}

static void on_wake_publication(Engine *engine, Publication *publication, int error)
{
        free(publication);
        if (error >= 0)
                delivery_wake_all(engine);
}

int delivery_wake_when_committed(Engine *engine)
{
        Publication *p = calloc(1, sizeof(Publication));

        if (!p)
                return -ENOMEM;
        publication_queue(engine, p, on_wake_publication);
        return 0;
}
