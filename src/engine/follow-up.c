/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "engine/follow-up.h"

#include <stdlib.h>

#include "base/json-util.h"
#include "base/json-writer.h"
#include "engine/connector-table.h"

static bool has_string(struct json_object *array, const char *text)
{
        for (size_t i = 0; i < json_object_array_length(array); i++)
                if (streq(json_object_get_string(json_object_array_get_idx(array, i)), text))
                        return true;
        return false;
}

/* Those of @b that @a has not are added to it. */
static int join(struct json_object *a, struct json_object *b)
{
        for (size_t i = 0; i < json_object_array_length(b); i++) {
                struct json_object *name = json_object_array_get_idx(b, i);

                if (has_string(a, json_object_get_string(name)))
                        continue;
                if (json_object_array_length(a) >= ACCOUNTS_PER_RUN_MAX)
                        return -E2BIG;
                if (json_object_array_add(a, json_object_get(name)) < 0) {
                        json_object_put(name);
                        return -ENOMEM;
                }
        }
        return 0;
}

static int write_names(struct json_object *names, char **ret)
{
        _cleanup_buffer_ Buffer buffer = {};
        JsonWriter w = JSON_WRITER_INIT(&buffer);

        json_open_array(&w, NULL);
        for (size_t i = 0; i < json_object_array_length(names); i++)
                json_write_string(&w, NULL, json_object_get_string(json_object_array_get_idx(names, i)));
        json_close_array(&w);
        return buffer_take(&buffer, ret);
}

/* NULL: all accounts. */
static int join_accounts(const char *a, const char *b, char **ret)
{
        _cleanup_json_ struct json_object *first = NULL, *second = NULL;
        int r;

        if (!a || !b)
                return 0;
        r = json_parse(a, strlen(a), &first);
        if (r >= 0)
                r = json_parse(b, strlen(b), &second);
        if (r >= 0)
                r = join(first, second);
        return r < 0 ? r : write_names(first, ret);
}

static int set_words(ConnectorRecord *record, const RunRequest *request)
{
        if (free_and_strdup(&record->pending_requested_by, request->requested_by) < 0 ||
            free_and_strdup(&record->pending_reason, request->reason) < 0)
                return -ENOMEM;
        record->pending_trigger = request->trigger;
        return 0;
}

int follow_up_add(ConnectorEntry *c, const RunRequest *request)
{
        bool scheduled = request->trigger == RUN_TRIGGER_SCHEDULE || request->trigger == RUN_TRIGGER_CATCH_UP;
        ConnectorRecord *record = &c->record;
        _cleanup_free_ char *accounts = NULL;
        int r;

        if (record->pending)
                r = join_accounts(record->pending_accounts, request->only_accounts, &accounts);
        else
                r = free_and_strdup(&accounts, request->only_accounts);
        if (r >= 0 && (!record->pending || !scheduled))
                r = set_words(record, request);
        if (r < 0)
                return r;
        free(record->pending_accounts);
        record->pending_accounts = TAKE_PTR(accounts);
        record->pending = true;
        record->pending_full_resync = record->pending_full_resync || request->full_resync;
        return 0;
}

int follow_up_begin(ConnectorEntry *c)
{
        ConnectorRecord *record = &c->record;
        _cleanup_free_ char *requested_by = NULL, *reason = NULL, *accounts = NULL;
        RunRequest request = { .trigger = record->pending_trigger, .full_resync = record->pending_full_resync };
        EngineRun *r;

        if (!record->pending)
                return 0;
        request.requested_by = requested_by = TAKE_PTR(record->pending_requested_by);
        request.reason = reason = TAKE_PTR(record->pending_reason);
        request.only_accounts = accounts = TAKE_PTR(record->pending_accounts);
        record->pending = false;
        record->pending_trigger = _RUN_TRIGGER_INVALID;
        if (connector_may_run(c))
                return run_begin(c, &request, &r);
        connector_save(c, 0);
        return 0;
}
