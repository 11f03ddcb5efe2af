/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "model/outside-event.h"

#include "base/json-util.h"
#include "base/string-util.h"
#include "base/time-util.h"

#define SHOWN_VALUE_MAX 64U /* bytes of a value that a refusal repeats */

void outside_event_done(OutsideEvent *event)
{
        free(event->run_id);
        free(event->user_id);
        free(event->primary_user_id);
        free(event->provider);
        free(event->message);
        free(event->error);
        free(event->metadata);
        *event = (OutsideEvent) {};
}

static int refuse(char **ret_why, const char *key, const char *why)
{
        if (ret_why)
                *ret_why = asprintf_or_null("%s: %s", key, why);
        return -EINVAL;
}

/* With the value, in part where it is long. */
static int refuse_value(char **ret_why, const char *key, const char *value, const char *why)
{
        _cleanup_free_ char *shown = utf8_sanitize(value, strlen(value), SHOWN_VALUE_MAX);

        if (ret_why)
                *ret_why = asprintf_or_null("%s: \"%s\" %s", key, strempty(shown), why);
        return -EINVAL;
}

static int refuse_size(char **ret_why, const char *key, unsigned limit_bytes)
{
        if (ret_why)
                *ret_why = asprintf_or_null("%s: is longer than %u bytes", key, limit_bytes);
        return -E2BIG;
}

/* A string member: required ones must be there and not empty; longer text than the limit is cut. */
static int get_text(struct json_object *object, const char *key, bool required, size_t limit_bytes, char **ret,
                    char **ret_why)
{
        const char *s = NULL;
        int r;

        r = json_get_string(object, key, &s);
        if (r == -ENOMEM)
                return r;
        if (r < 0)
                return refuse(ret_why, key, "must be a string");
        if (isempty(s))
                return required ? refuse(ret_why, key, "is required") : 0;
        *ret = utf8_sanitize(s, strlen(s), limit_bytes);
        return *ret ? 0 : -ENOMEM;
}

static int get_uuid(struct json_object *object, const char *key, bool required, char **ret, char **ret_why)
{
        char normal[UUID_TEXT_MAX];
        int r;

        r = get_text(object, key, required, 64, ret, ret_why);
        if (r < 0 || !*ret)
                return r;
        if (uuid_normalize(*ret, normal) < 0)
                return refuse_value(ret_why, key, *ret, "is no UUID");
        return MIN(free_and_strdup(ret, normal), 0);
}

#define get_word(object, key, from_string, ret, ret_why)                                                             \
        ({                                                                                                           \
                const char *_word = NULL;                                                                            \
                int _r = json_get_string(object, key, &_word);                                                       \
                if (_r > 0)                                                                                          \
                        *(ret) = from_string(_word);                                                                 \
                _r == -ENOMEM                       ? _r                                                             \
                : _r <= 0                           ? refuse(ret_why, key, "is required, and a string")              \
                : (int) *(ret) < 0                  ? refuse_value(ret_why, key, _word, "is no word for it")         \
                                                    : 0;                                                             \
        })

static int get_count(struct json_object *object, const char *key, uint64_t *ret, char **ret_why)
{
        uint64_t value;
        int r;

        r = json_get_uint(object, key, &value);
        if (r < 0 || (r > 0 && value > INT64_MAX))
                return refuse(ret_why, key, "must be a whole number, not negative");
        if (r > 0)
                *ret = value;
        return 0;
}

static int get_timestamp(struct json_object *object, const char *key, usec_t *ret, char **ret_why)
{
        const char *s;
        int r;

        r = json_get_string(object, key, &s);
        if (r == 0 || r == -ENOMEM)
                return r;
        if (r < 0)
                return refuse(ret_why, key, "must be a string");
        if (timestamp_parse_iso(s, ret) < 0)
                return refuse_value(ret_why, key, s,
                                    "is no ISO 8601 time with a zone, such as 2026-05-30T20:00:00Z");
        return 0;
}

static int get_progress(struct json_object *object, double *ret, char **ret_why)
{
        double value;
        int r;

        r = json_get_double(object, "progress", &value);
        if (r < 0 || (r > 0 && !(value >= 0.0 && value <= 1.0)))
                return refuse(ret_why, "progress", "must be a number from 0 to 1");
        if (r > 0)
                *ret = value;
        return 0;
}

static uint64_t metadata_count(struct json_object *metadata, const char *key)
{
        uint64_t value;

        return json_get_uint(metadata, key, &value) > 0 && value <= METADATA_COUNT_MAX ? value : COUNT_UNKNOWN;
}

static int get_metadata(struct json_object *object, char **ret, Counts *ret_counts, char **ret_why)
{
        _cleanup_free_ char *text = NULL;
        struct json_object *metadata;
        int r;

        r = json_get_object(object, "metadata", &metadata);
        if (r < 0)
                return refuse(ret_why, "metadata", "must be an object");
        if (r == 0)
                return 0;
        if (json_is_deeper(metadata, METADATA_DEPTH_MAX)) {
                (void) refuse(ret_why, "metadata", "is nested too deeply");
                return -E2BIG;
        }
        /* Streams and lists of a connector go by it: nobody puts his own among another's. */
        if (json_object_object_get_ex(metadata, "connector", NULL))
                return refuse(ret_why, "metadata", "connector is a key of the service's own");
        if (json_has_cut_number(metadata))
                return refuse(ret_why, "metadata",
                              "has a whole number below -9223372036854775807 or above 18446744073709551614");
        text = json_to_text(metadata);
        if (!text)
                return -ENOMEM;
        if (strlen(text) > METADATA_JSON_MAX)
                return refuse_size(ret_why, "metadata", METADATA_JSON_MAX);
        *ret_counts = (Counts) {
                .discovered = metadata_count(metadata, "discovered"),
                .added = metadata_count(metadata, "inserted"),
                .updated = metadata_count(metadata, "updated"),
                .deduped = metadata_count(metadata, "deduped"),
        };
        *ret = TAKE_PTR(text);
        return 0;
}

static bool stage_fits_status(SyncStage stage, SyncStatus status)
{
        if (!sync_status_is_terminal(status))
                return stage < SYNC_STAGE_COMPLETED;
        return sync_stage_from_outcome(run_outcome_from_status(status)) == stage;
}

/* Such ids are given here, see RUN_ID_USER_MARK. */
static bool ends_in_user(const char *run_id)
{
        const char *mark = strrchr(run_id, RUN_ID_USER_MARK[0]);
        char id[UUID_TEXT_MAX];

        return mark && uuid_normalize(mark + 1, id) >= 0;
}

static int check(const OutsideEvent *event, char **ret_why)
{
        if (!provider_slug_is_valid(event->provider))
                return refuse_value(ret_why, "provider", event->provider, "is no slug of a-z, 0-9, _ and -");
        for (const char *p = event->run_id; *p; p++)
                if (*p <= ' ' || *p > '~')
                        return refuse(ret_why, "run_id", "must be printable ASCII without blanks");
        if (ends_in_user(event->run_id))
                return refuse(ret_why, "run_id", "must not end in @ and a UUID");
        if (!stage_fits_status(event->stage, event->status))
                return refuse_value(ret_why, "status", sync_status_to_string(event->status), "does not fit the stage");
        return 0;
}

static int parse(struct json_object *object, OutsideEvent *event, char **ret_why)
{
        const char *run_id = NULL;
        int r;

        if (json_get_string(object, "run_id", &run_id) > 0 && strlen(run_id) > RUN_ID_MAX)
                return refuse_size(ret_why, "run_id", RUN_ID_MAX);
        if ((r = get_text(object, "run_id", true, RUN_ID_MAX, &event->run_id, ret_why)) < 0 ||
            (r = get_uuid(object, "user_id", true, &event->user_id, ret_why)) < 0 ||
            (r = get_uuid(object, "primary_user_id", false, &event->primary_user_id, ret_why)) < 0 ||
            (r = get_text(object, "provider", true, PROVIDER_SLUG_MAX + 4, &event->provider, ret_why)) < 0 ||
            (r = get_word(object, "source", run_source_from_string, &event->source, ret_why)) < 0 ||
            (r = get_word(object, "stage", sync_stage_from_string, &event->stage, ret_why)) < 0 ||
            (r = get_word(object, "status", sync_status_from_string, &event->status, ret_why)) < 0 ||
            (r = get_text(object, "message", false, MESSAGE_TEXT_MAX, &event->message, ret_why)) < 0 ||
            (r = get_progress(object, &event->progress, ret_why)) < 0 ||
            (r = get_count(object, "items_processed", &event->items_processed, ret_why)) < 0 ||
            (r = get_count(object, "items_total", &event->items_total, ret_why)) < 0 ||
            (r = get_text(object, "error", false, ERROR_TEXT_MAX, &event->error, ret_why)) < 0 ||
            (r = get_metadata(object, &event->metadata, &event->counts, ret_why)) < 0 ||
            (r = get_timestamp(object, "started_at", &event->started_usec, ret_why)) < 0 ||
            (r = get_timestamp(object, "ended_at", &event->ended_usec, ret_why)) < 0)
                return r;
        return check(event, ret_why);
}

int outside_event_parse(struct json_object *object, OutsideEvent *ret, char **ret_why)
{
        OutsideEvent event = {
                .progress = PROGRESS_UNKNOWN,
                .items_processed = COUNT_UNKNOWN,
                .items_total = COUNT_UNKNOWN,
                .counts = { COUNT_UNKNOWN, COUNT_UNKNOWN, COUNT_UNKNOWN, COUNT_UNKNOWN },
        };
        int r;

        if (!json_object_is_type(object, json_type_object))
                return refuse(ret_why, "event", "must be an object");
        r = parse(object, &event, ret_why);
        if (r < 0) {
                outside_event_done(&event);
                return r;
        }
        *ret = event;
        return 0;
}
