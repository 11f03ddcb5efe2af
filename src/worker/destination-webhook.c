/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Records over HTTP: items are kept as the sqlite destination keeps them, which tells new ones from updated and known
 * ones, and what is new or updated goes through the outbox beside them (outbox.h), in requests, one after the other.
 * An item and its place in the outbox are one transaction, and so are a request and its bytes: whenever we are killed,
 * what was taken is known, or the same request goes out again, with the same id.
 *
 * A request is tried four times; where that does not help, nothing more is sent in this run. The pull goes on: its
 * records wait in the outbox for the next one. Who may be connected to is decided in delivery/. */

#include <inttypes.h>
#include <stdlib.h>

#include "base/digest.h"
#include "base/fd-util.h"
#include "base/log.h"
#include "base/string-util.h"
#include "base/time-util.h"
#include "delivery/delivery-address.h"
#include "delivery/delivery-loop.h"
#include "delivery/delivery-request.h"
#include "model/webhook.h"
#include "worker/destination-sqlite.h"
#include "worker/outbox.h"

#define SECRET_BYTES_MAX (64 * KIB)

/* Before each attempt, after the failure of the one before. */
static const usec_t delays[] = { 0, 1 * USEC_PER_SEC, 3 * USEC_PER_SEC, 9 * USEC_PER_SEC };

/* Who asks for more time by Retry-After gets up to this much within a run; for more, the next run waits. */
#define RETRY_AFTER_MAX_USEC USEC_PER_MINUTE

#define TIMER_ACCURACY_USEC (10 * USEC_PER_MSEC)

typedef struct WebhookDestination {
        SqliteDestination items; /* first */
        char *secret;            /* NULL: requests are not signed */
        size_t secret_size;
        char *origin; /* of the URL, for people */
        DeliveryLoop *loop;
        sd_event_source *timer;
        sd_event_source *turn; /* sees what is next, outside of all calls */
        uint64_t n_waiting; /* in the outbox, in no request yet */
        unsigned n_chunks;  /* requests made in this run */

        OutboxDelivery delivery; /* being sent, or waiting for its next attempt; key 0: none */
        DeliveryRequest *request;
        unsigned n_attempts; /* that have failed */
        usec_t started_usec; /* CLOCK_REALTIME, of the attempt under way */
        bool failed;         /* nothing more is sent in this run */
        char *failure;       /* why, for a person */
        bool finishing;
        bool ended; /* the callback was called, or is not wanted any more */
} WebhookDestination;

static WebhookDestination *webhook_destination(Destination *destination)
{
        return container_of(sqlite_destination(destination), WebhookDestination, items);
}

static Destination *base_of(WebhookDestination *d)
{
        return &d->items.destination;
}

static void call_ended(WebhookDestination *d, int r)
{
        const DestinationCallbacks *callbacks = &base_of(d)->callbacks;

        if (d->ended || !d->finishing)
                return;
        d->ended = true;
        callbacks->ended(r, callbacks->userdata);
}

/* The file, not the other end: nothing can be kept any more. */
static void break_down(WebhookDestination *d, int r)
{
        const DestinationCallbacks *callbacks = &base_of(d)->callbacks;

        d->failed = true;
        if (!d->ended) {
                d->ended = true;
                callbacks->ended(sqlite_error(&d->items, r), callbacks->userdata);
        }
}

/* ---- Sending */

static void pump(WebhookDestination *d);

static char *sign(const WebhookDestination *d, const char *seconds)
{
        _cleanup_buffer_ Buffer content = {};
        char hex[SHA256_HEX_MAX];
        uint8_t digest[SHA256_SIZE];

        buffer_append_format(&content, "%s.", seconds);
        buffer_append_string(&content, d->delivery.body);
        if (content.failed || hmac_sha256(d->secret, d->secret_size, content.data, content.size, digest) < 0)
                return NULL;
        hex_encode(digest, sizeof(digest), hex);
        return asprintf_or_null("sha256=%s", hex);
}

static int make_request(WebhookDestination *d)
{
        const DestinationContext *context = &base_of(d)->context;
        const char *prefix = context->header_prefix;
        _cleanup_free_ char *signature = NULL, *signature_name = asprintf_or_null("%s-Signature", prefix),
                            *time_name = asprintf_or_null("%s-Timestamp", prefix),
                            *id_name = asprintf_or_null("%s-Delivery-Id", prefix), *body = strdup(d->delivery.body);
        char seconds[24];
        int r;

        (void) snprintf(seconds, sizeof(seconds), "%" PRIu64, d->started_usec / USEC_PER_SEC);
        if (d->secret)
                signature = sign(d, seconds);
        if (!signature_name || !time_name || !id_name || !body || (d->secret && !signature))
                return -ENOMEM;

        const DeliveryHeader headers[] = {
                { id_name, d->delivery.id },
                { time_name, seconds },
                { signature_name, signature },
        };

        r = delivery_request_new(context->rules, context->url, headers, d->secret ? 3 : 2, body, &d->request);
        if (r >= 0)
                body = NULL;
        return r;
}

static void send_delivery(WebhookDestination *d)
{
        int r;

        d->started_usec = now_usec(CLOCK_REALTIME);
        r = make_request(d);
        if (r >= 0)
                r = delivery_loop_add(d->loop, delivery_request_handle(d->request));
        if (r < 0)
                break_down(d, r);
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
        send_delivery(userdata);
        return 0;
}

/* ---- What came of it */

static bool may_pass(const DeliveryOutcome *outcome)
{
        if (outcome->refused)
                return false;
        return !outcome->complete || outcome->http_status == 429 || outcome->http_status >= 500;
}

static AttentionCategory category_of(const DeliveryOutcome *outcome)
{
        if (may_pass(outcome))
                return _ATTENTION_INVALID;
        switch (outcome->http_status) {
        case 401:
        case 403:
                return ATTENTION_DESTINATION_AUTH_EXPIRED;
        case 404:
        case 410:
                return ATTENTION_DESTINATION_DELETED;
        default:
                return ATTENTION_CONFIGURATION_ERROR;
        }
}

/* To be committed with what follows from it. */
static int tell_attempt(WebhookDestination *d, const DeliveryOutcome *outcome)
{
        const Destination *destination = base_of(d);
        char id[WEBHOOK_ID_MAX];
        DeliveryAttempt attempt = {
                .id = id,
                .kind = DELIVERY_RECORDS,
                .type = (char *) destination->context.event_type,
                .url = d->origin,
                .succeeded = delivery_outcome_is_good(outcome),
                .http_status = outcome->http_status,
                .started_usec = d->started_usec,
                .duration_usec = outcome->duration_usec,
                .n_before = d->n_attempts,
                .n_records = d->delivery.n_records,
                .error = outcome->error,
                .answer = outcome->answer,
        };

        int r;

        r = webhook_id_new("datt_", d->started_usec, id);
        if (r >= 0)
                r = sqlite_begin(&d->items);
        if (r >= 0)
                r = outbox_note_attempt(&d->items.db, destination->context.run_id, &attempt);
        if (r >= 0)
                destination->callbacks.attempted(&attempt, destination->callbacks.userdata);
        return r;
}

/* Puts what was just changed in the outbox onto the disk, with the records that came meanwhile. */
static int commit(WebhookDestination *d)
{
        return sqlite_commit(base_of(d));
}

/* To be committed. */
static int forget_delivery(WebhookDestination *d, bool taken)
{
        int64_t key = d->delivery.key;
        int r;

        outbox_delivery_done(&d->delivery);
        d->n_attempts = 0;
        r = sqlite_begin(&d->items);
        if (r >= 0)
                r = taken ? outbox_delivered(&d->items.db, key) : outbox_return(&d->items.db, key);
        if (r >= 0 && !taken)
                r = outbox_count(&d->items.db, &d->n_waiting);
        return MIN(r, 0);
}

static void give_up(WebhookDestination *d, const DeliveryOutcome *outcome)
{
        Destination *destination = base_of(d);
        uint64_t n = d->delivery.n_records;
        int r = 0;

        d->failed = destination->undelivered = true;
        destination->category = category_of(outcome);
        if (outcome->retry_after_usec > RETRY_AFTER_MAX_USEC)
                destination->retry_at_usec = usec_add(now_usec(CLOCK_REALTIME), outcome->retry_after_usec);
        d->failure = asprintf_or_null("%s did not take %" PRIu64 " %s (%u %s): %s", d->origin, n,
                                      n == 1 ? "record" : "records", d->n_attempts,
                                      d->n_attempts == 1 ? "attempt" : "attempts", strna(outcome->error));
        log_warning("%s", strna(d->failure));
        /* Who says that a request is wrong has taken nothing of it, and may like what its items are by then. Of others
         * nobody knows what they have taken: they get the same again. */
        if (!may_pass(outcome))
                r = forget_delivery(d, false);
        else
                outbox_delivery_done(&d->delivery);
        if (r >= 0)
                r = commit(d);
        if (r < 0)
                break_down(d, r);
        else
                call_ended(d, destination_error(destination, -EREMOTEIO, "%s", strempty(d->failure)));
}

/* Return: whether there is another attempt. */
static bool try_again(WebhookDestination *d, const DeliveryOutcome *outcome)
{
        usec_t delay;

        d->n_attempts++;
        if (!may_pass(outcome) || d->n_attempts >= ELEMENTSOF(delays) ||
            outcome->retry_after_usec > RETRY_AFTER_MAX_USEC)
                return false;
        delay = MAX(delays[d->n_attempts], outcome->retry_after_usec);
        log_debug("Trying again: %s", strna(outcome->error));
        return sd_event_source_set_time_relative(d->timer, delay) >= 0 &&
               sd_event_source_set_enabled(d->timer, SD_EVENT_ONESHOT) >= 0;
}

static void on_request_done(CURL *handle, CURLcode code, void *userdata)
{
        _cleanup_(delivery_outcome_done) DeliveryOutcome outcome = {};
        WebhookDestination *d = userdata;
        int r;

        r = delivery_request_outcome(d->request, code, now_usec(CLOCK_REALTIME), &outcome);
        d->request = delivery_request_free(d->request);
        if (r >= 0)
                r = tell_attempt(d, &outcome);
        if (r < 0) {
                break_down(d, r);
                return;
        }
        if (!delivery_outcome_is_good(&outcome)) {
                if (!try_again(d, &outcome))
                        give_up(d, &outcome);
                else if ((r = commit(d)) < 0)
                        break_down(d, r);
                return;
        }
        r = forget_delivery(d, true);
        if (r < 0)
                break_down(d, r);
        else
                pump(d);
}

/* ---- Which is next */

/* Makes a request of what waits, if there is enough for a full one, or no more comes; to be committed. Return: 1; 0;
 * negative errno. */
static int freeze(WebhookDestination *d)
{
        OutboxEnvelope envelope = {
                .type = base_of(d)->context.event_type,
                .run_id = base_of(d)->context.run_id,
                .now_usec = now_usec(CLOCK_REALTIME),
                .chunk = d->n_chunks + 1,
        };
        int r, n;

        if (d->n_waiting == 0 || (!d->finishing && d->n_waiting < OUTBOX_RECORDS_MAX))
                return 0;
        r = sqlite_begin(&d->items);
        if (r < 0)
                return r;
        n = outbox_freeze(&d->items.db, &envelope);
        if (n < 0)
                return n;
        d->n_waiting -= MIN((uint64_t) n, d->n_waiting);
        d->n_chunks++;
        return n > 0;
}

static void pump(WebhookDestination *d)
{
        int r, k;

        if (d->failed || d->ended || d->delivery.key > 0)
                return;
        r = outbox_first(&d->items.db, &d->delivery); /* one of an earlier run, or of a worker that died */
        if (r == 0) {
                r = freeze(d);
                if (r > 0)
                        r = outbox_first(&d->items.db, &d->delivery);
        }
        /* That the one before was taken, and the bytes of this one, are on the disk before it is sent. */
        k = r >= 0 ? commit(d) : 0;
        r = k < 0 ? k : r;
        if (r < 0)
                break_down(d, r);
        else if (r > 0)
                send_delivery(d);
        else
                call_ended(d, 0);
}

static int on_turn(sd_event_source *source, void *userdata)
{
        pump(userdata);
        return 0;
}

static int pump_later(WebhookDestination *d)
{
        return d->turn ? sd_event_source_set_enabled(d->turn, SD_EVENT_ONESHOT) : 0;
}

/* ---- The destination */

static int on_changed(SqliteDestination *items, int64_t item, int64_t stream_id, bool added)
{
        WebhookDestination *d = container_of(items, WebhookDestination, items);
        int r;

        r = outbox_add(&items->db, item, stream_id, added);
        if (r < 0)
                return sqlite_error(items, r);
        d->n_waiting += (uint64_t) r;
        return 0;
}

static int refuse(Destination *destination, int r, const char *what, const char *why)
{
        destination->category = ATTENTION_CONFIGURATION_ERROR;
        destination->undelivered = true;
        return destination_error(destination, r, "%s: %s", what, why);
}

/* The file's bytes but for the line's end, which editors put there. */
static int read_secret(WebhookDestination *d)
{
        Destination *destination = base_of(d);
        const char *path = destination->context.secret_file;
        int r;

        if (!path)
                return 0;
        r = read_file(path, SECRET_BYTES_MAX, &d->secret, &d->secret_size);
        if (r < 0)
                return r == -ENOMEM ? r : refuse(destination, r, path, strerror(-r));
        while (d->secret_size > 0 && strchr("\r\n", d->secret[d->secret_size - 1]))
                d->secret_size--;
        return d->secret_size > 0 ? 0 : refuse(destination, -ENODATA, path, "the file of the secret is empty");
}

static int open_outbox(WebhookDestination *d)
{
        sd_event *event = base_of(d)->context.event;
        int r;

        r = sqlite_begin(&d->items);
        if (r < 0)
                return r;
        r = item_db_open_outbox(&d->items.db);
        if (r >= 0)
                r = outbox_count(&d->items.db, &d->n_waiting);
        if (r < 0)
                return sqlite_error(&d->items, r);
        r = commit(d);
        if (r >= 0)
                r = delivery_loop_new(event, 1, on_request_done, d, &d->loop);
        if (r >= 0)
                r = sd_event_add_time(event, &d->timer, CLOCK_MONOTONIC, 0, TIMER_ACCURACY_USEC, on_timer, d);
        if (r >= 0)
                r = sd_event_source_set_enabled(d->timer, SD_EVENT_OFF);
        if (r >= 0)
                r = sd_event_add_defer(event, &d->turn, on_turn, d);
        if (r >= 0)
                r = sd_event_source_set_enabled(d->turn, SD_EVENT_OFF); /* what comes of it cannot be told yet */
        return r;
}

static int webhook_open(Destination *destination)
{
        WebhookDestination *d = webhook_destination(destination);
        const DestinationContext *context = &destination->context;
        _cleanup_free_ char *why = NULL;
        int r;

        r = sqlite_open(destination);
        if (r < 0)
                return r;
        d->items.changed = on_changed;
        r = delivery_check_url(context->rules, context->url, &why);
        if (r == -ENOMEM)
                return r;
        d->origin = url_origin(context->url);
        if (r < 0)
                return refuse(destination, r, d->origin ?: "Url=", strna(why));
        if (!d->origin) /* what has been checked has one */
                return -ENOMEM;
        r = read_secret(d);
        return r < 0 ? r : open_outbox(d);
}

static int webhook_commit(Destination *destination)
{
        int r = sqlite_commit(destination);

        return r < 0 ? r : pump_later(webhook_destination(destination));
}

static int webhook_finish(Destination *destination)
{
        WebhookDestination *d = webhook_destination(destination);
        int r;

        d->finishing = true;
        r = webhook_commit(destination);
        if (r < 0)
                return r;
        return d->failed ? destination_error(destination, -EREMOTEIO, "%s", strempty(d->failure)) : 1;
}

/* The daemon was told of all its attempts before it was told of its end. */
static int webhook_settled(Destination *destination, const char *run_id)
{
        WebhookDestination *d = webhook_destination(destination);
        int r;

        r = sqlite_begin(&d->items);
        if (r >= 0)
                r = outbox_forget_attempts(&d->items.db, run_id, INT64_MAX);
        if (r >= 0)
                r = sqlite_settled(destination, run_id);
        return r < 0 ? r : commit(d);
}

static void stop(WebhookDestination *d)
{
        if (d->request)
                delivery_loop_remove(d->loop, delivery_request_handle(d->request));
        d->request = delivery_request_free(d->request);
        d->timer = sd_event_source_disable_unref(d->timer);
        d->turn = sd_event_source_disable_unref(d->turn);
}

/* What is under way may be taken or not: it is sent again. */
static void webhook_cancel(Destination *destination)
{
        WebhookDestination *d = webhook_destination(destination);

        d->ended = true;
        stop(d);
}

static void webhook_done(Destination *destination)
{
        WebhookDestination *d = webhook_destination(destination);

        stop(d);
        delivery_loop_free(d->loop);
        outbox_delivery_done(&d->delivery);
        if (d->secret)
                explicit_bzero(d->secret, d->secret_size);
        free(d->secret);
        free(d->failure);
        free(d->origin);
        sqlite_done(destination);
}

const DestinationOps destination_webhook_ops = {
        .type = DESTINATION_WEBHOOK,
        .size = sizeof(WebhookDestination),
        .open = webhook_open,
        .schema = sqlite_schema,
        .expected = sqlite_expected,
        .record = sqlite_record,
        .activate_version = sqlite_activate_version,
        .work = sqlite_work,
        .cover = sqlite_cover,
        .commit = webhook_commit,
        .finish = webhook_finish,
        .cancel = webhook_cancel,
        .settled = webhook_settled,
        .next_unsettled = sqlite_next_unsettled,
        .next_attempts = sqlite_next_attempts,
        .attempts_told = sqlite_attempts_told,
        .done = webhook_done,
};
