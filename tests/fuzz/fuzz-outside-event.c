/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Any text as an event from outside: what is taken is within its limits and makes an event of seventeen keys, that is
 * JSON; what is refused is so with a reason. */

#include <stdint.h>
#include <stdlib.h>

#include "base/json-util.h"
#include "base/string-util.h"
#include "model/event.h"
#include "model/outside-event.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
        if (!holds)
                abort();
}

static void check_text(const char *text, size_t limit_bytes)
{
        check(!text || (strlen(text) <= limit_bytes && utf8_is_valid(text, strlen(text))));
}

static void check_values(const OutsideEvent *event)
{
        check(!isempty(event->run_id) && uuid_is_valid(event->user_id) && provider_slug_is_valid(event->provider));
        check(!event->primary_user_id || uuid_is_valid(event->primary_user_id));
        check_text(event->run_id, RUN_ID_MAX);
        check_text(event->message, MESSAGE_TEXT_MAX);
        check_text(event->error, ERROR_TEXT_MAX);
        check_text(event->metadata, METADATA_JSON_MAX);
        check(event->progress == PROGRESS_UNKNOWN || (event->progress >= 0 && event->progress <= 1));
        check(event->items_processed <= INT64_MAX || event->items_processed == COUNT_UNKNOWN);
        check(event->items_total <= INT64_MAX || event->items_total == COUNT_UNKNOWN);
        check(sync_status_is_terminal(event->status) == (event->stage >= SYNC_STAGE_COMPLETED));
}

/* A run that stands as the event says borrows its texts. */
static void check_event(const OutsideEvent *outside)
{
        Run run = {
                .id = outside->run_id,
                .user_id = outside->user_id,
                .primary_user_id = outside->primary_user_id,
                .provider = outside->provider,
                .source = outside->source,
                .stage = outside->stage,
                .outcome = run_outcome_from_status(outside->status),
                .message = outside->message,
                .progress = outside->progress,
                .items_processed = outside->items_processed,
                .items_total = outside->items_total,
                .error = outside->error,
                .metadata = outside->metadata,
                .category = _ATTENTION_INVALID,
                .started_usec = outside->started_usec,
                .finished_usec = outside->ended_usec,
        };
        struct json_object *object = NULL;
        Event event;

        check(event_make(&run, 1, 1780171200 * USEC_PER_SEC, &event) == 0);
        check(json_parse(event.json, strlen(event.json), &object) == 0);
        check(json_object_object_length(object) == 17);
        json_object_put(object);
        event_done(&event);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct json_object *object = NULL;
        OutsideEvent event = {};
        char *why = NULL;
        int r;

        if (json_parse((const char *) data, size, &object) < 0)
                return 0;
        r = outside_event_parse(object, &event, &why);
        check(r == 0 || ((r == -EINVAL || r == -E2BIG) && why && strstr(why, ": ")));
        if (r == 0) {
                check(!why);
                check_values(&event);
                check_event(&event);
        }
        outside_event_done(&event);
        json_object_put(object);
        free(why);
        return 0;
}
