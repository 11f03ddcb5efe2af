/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "engine/deliveries.h"

#include <stdlib.h>

#include "engine/publication.h"
#include "engine/run-record.h"
#include "engine/webhooks.h"
#include "engine/worker-calls.h"

int engine_describe_deliveries(Engine *engine, const Connector *connector, const char *user_id, unsigned limit,
                               char **ret_json)
{
        _cleanup_buffer_ Buffer buffer = {};
        JsonWriter w = JSON_WRITER_INIT(&buffer);
        DeliveryAttempt *attempts;
        size_t n;
        int r;

        r = store_list_deliveries(engine->store, connector->record.name, user_id, limit, &attempts, &n);
        if (r < 0)
                return r;
        json_open_object(&w, NULL);
        json_open_array(&w, "deliveries");
        for (size_t i = 0; i < n; i++)
                view_delivery_attempt(&w, NULL, &attempts[i]);
        json_close_array(&w);
        json_close_object(&w);
        delivery_attempts_free(attempts, n);
        return buffer_take(&buffer, ret_json);
}

/* ---- Once more */

typedef struct ResendReply {
        EngineReply reply;
        void *userdata;
} ResendReply;

static void on_started(int error, const StartReply *start, void *userdata)
{
        _cleanup_free_ ResendReply *resend = userdata;

        resend->reply(error, resend->userdata);
}

static int start_run(Engine *engine, const Connector *connector, const StartOptions *options, EngineReply reply,
                     void *userdata)
{
        ResendReply *resend = calloc(1, sizeof(ResendReply));
        int r;

        if (!resend)
                return -ENOMEM;
        *resend = (ResendReply) { reply, userdata };
        r = engine_start_run(engine, connector->record.name, options, on_started, resend);
        if (r < 0)
                free(resend);
        return r;
}

int engine_delivery_kind(Engine *engine, const Connector *connector, const char *user_id, const char *id)
{
        _cleanup_(found_delivery_done) FoundDelivery found = {};
        int r;

        r = store_find_delivery(engine->store, connector->record.name, user_id, id, &found);
        return r > 0 ? (int) found.kind : r < 0 ? r : -ENOMSG;
}

int engine_resend_delivery(Engine *engine, const Connector *connector, const char *user_id, const char *id,
                           const StartOptions *options, EngineReply reply, void *userdata)
{
        _cleanup_(found_delivery_done) FoundDelivery found = {};
        int r;

        r = store_find_delivery(engine->store, connector->record.name, user_id, id, &found);
        if (r <= 0)
                return r < 0 ? r : -ENOMSG;
        if (found.kind == DELIVERY_LIFECYCLE)
                return engine_resend_webhook(engine, found.endpoint_id, found.message_id, reply, userdata);
        return found.succeeded ? -EEXIST : start_run(engine, connector, options, reply, userdata);
}

/* ---- What workers tell */

/* Of a run whose worker has died: the next one tells what it had noted. */
static int settle_deliveries(Engine *engine, const char *connector, const char *run_id,
                             const DeliveryAttempt *attempts, size_t n)
{
        _cleanup_(run_freep) Run *stored = NULL;
        int r;

        r = store_get_run(engine->store, run_id, false, &stored);
        if (r < 0)
                return r;
        if (!streq_null(stored->connector, connector))
                return -ESRCH;
        return store_put_record_attempts(engine->store, connector, run_id, attempts, n);
}

int engine_worker_report_deliveries(Engine *engine, const char *connector, const char *run_id, uint64_t sequence,
                                    const DeliveryAttempt *attempts, size_t n, EngineReply reply, void *userdata)
{
        _cleanup_(reply_freep) Reply *answer = NULL;
        EngineRun *r = NULL;
        int k;

        k = reply_new(engine, reply, userdata, &answer);
        if (k >= 0)
                k = sequence == 0 ? settle_deliveries(engine, connector, run_id, attempts, n)
                                  : worker_calls_take(engine, connector, run_id, sequence, &r);
        if (k < 0)
                return k;
        if (r) {
                r->run->report_sequence = sequence;
                k = store_put_record_attempts(engine->store, connector, run_id, attempts, n);
                if (k < 0)
                        engine_break(engine, k);
                statistics_count_records(&engine->statistics, attempts, n);
                run_record(r, 0, 0, RUN_LOG_NONE);
        }
        reply_queue(engine, TAKE_PTR(answer), 0);
        return 0;
}
