/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What an event has to look like is model/outside-event's business; a dictionary is made into the same JSON object. */

#include "bus/report-event.h"

#include "base/json-util.h"
#include "base/string-util.h"
#include "bus/access.h"
#include "bus/bus-error.h"
#include "bus/bus-private.h"
#include "bus/describe-filter.h"
#include "bus/option.h"
#include "bus/shim.h"
#include "engine/outside-ids.h"
#include "model/outside-event.h"

typedef struct ReportedEvent {
        const char *run_id;
        const char *user_id;
        const char *primary_user_id;
        const char *provider;
        const char *source;
        const char *stage;
        const char *status;
        const char *message;
        const char *error;
        const char *metadata; /* JSON */
        const char *started_at;
        const char *ended_at;
        double progress;
        uint64_t items_processed;
        uint64_t items_total;
} ReportedEvent;

static const OptionRow event_options[] = {
        { "run_id", OPTION_STRING, offsetof(ReportedEvent, run_id) },
        { "user_id", OPTION_STRING, offsetof(ReportedEvent, user_id) },
        { "primary_user_id", OPTION_STRING, offsetof(ReportedEvent, primary_user_id) },
        { "provider", OPTION_STRING, offsetof(ReportedEvent, provider) },
        { "source", OPTION_STRING, offsetof(ReportedEvent, source) },
        { "stage", OPTION_STRING, offsetof(ReportedEvent, stage) },
        { "status", OPTION_STRING, offsetof(ReportedEvent, status) },
        { "message", OPTION_STRING, offsetof(ReportedEvent, message) },
        { "error", OPTION_STRING, offsetof(ReportedEvent, error) },
        { "metadata", OPTION_STRING, offsetof(ReportedEvent, metadata) },
        { "started_at", OPTION_STRING, offsetof(ReportedEvent, started_at) },
        { "ended_at", OPTION_STRING, offsetof(ReportedEvent, ended_at) },
        { "progress", OPTION_DOUBLE, offsetof(ReportedEvent, progress) },
        { "items_processed", OPTION_UINT64, offsetof(ReportedEvent, items_processed) },
        { "items_total", OPTION_UINT64, offsetof(ReportedEvent, items_total) },
        { 0 },
};

static int metadata_to_json(const char *text, struct json_object **ret, sd_bus_error *error)
{
        int r;

        if (strlen(text) > METADATA_JSON_MAX)
                return bus_refuse_text(error, -E2BIG, "metadata: at most %u bytes.", METADATA_JSON_MAX);
        r = json_parse(text, strlen(text), ret);
        if (r == -EBADMSG)
                return bus_refuse_text(error, -EINVAL, "metadata: this is not JSON.");
        return r < 0 ? bus_refuse(error, r) : 0;
}

/* One member of the JSON object. Return: 0; negative errno. */
static int member_to_json(const OptionRow *row, const ReportedEvent *event, struct json_object *object,
                          sd_bus_error *error)
{
        const void *field = (const char *) event + row->offset;
        struct json_object *value = NULL;
        int r;

        if (streq(row->name, "metadata")) {
                r = metadata_to_json(event->metadata, &value, error);
                if (r < 0)
                        return r;
        } else if (row->type == OPTION_STRING)
                value = json_object_new_string(*(const char *const *) field);
        else if (row->type == OPTION_DOUBLE)
                value = json_object_new_double(*(const double *) field);
        else
                value = json_object_new_uint64(*(const uint64_t *) field);
        if (json_object_object_add(object, row->name, value) < 0) {
                json_object_put(value);
                return bus_refuse(error, -ENOMEM);
        }
        return 0;
}

static int dictionary_to_json(sd_bus_message *m, struct json_object **ret, sd_bus_error *error)
{
        _cleanup_json_ struct json_object *object = json_object_new_object();
        ReportedEvent event = { 0 };
        uint64_t given;
        int r;

        if (!object)
                return bus_refuse(error, -ENOMEM);
        r = options_read(m, event_options, &event, &given, error);
        for (size_t i = 0; r >= 0 && event_options[i].name; i++)
                if (given & UINT64_C(1) << i)
                        r = member_to_json(&event_options[i], &event, object, error);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(object);
        return 0;
}

/* ---- To the engine */

typedef struct OutsideEvents {
        OutsideEvent *events;
        size_t n;
} OutsideEvents;

static void outside_events_done(OutsideEvents *list)
{
        for (size_t i = 0; i < list->n; i++)
                outside_event_done(&list->events[i]);
        free(list->events);
}

static int parse_events(struct json_object *const *objects, size_t n, OutsideEvents *ret, sd_bus_error *error)
{
        _cleanup_free_ char *why = NULL;

        ret->events = calloc(n, sizeof(OutsideEvent));
        if (!ret->events)
                return bus_refuse(error, -ENOMEM);
        for (; ret->n < n; ret->n++) {
                int r;

                r = outside_event_parse(objects[ret->n], &ret->events[ret->n], &why);
                if (r < 0 && why && n > 1)
                        return bus_refuse_text(error, r, "Event %zu: %s", ret->n, why);
                if (r < 0)
                        return why ? bus_refuse_text(error, r, "%s", why) : bus_refuse(error, r);
        }
        return 0;
}

/* @for_user: the only user that the reporter may see; NULL: any. */
static int report(Bus *bus, sd_bus_message *m, const char *requested_by, const char *for_user,
                  struct json_object *const *objects, size_t n, sd_bus_error *error)
{
        _cleanup_(outside_events_done) OutsideEvents list = { 0 };
        _cleanup_(pending_freep) Pending *pending = NULL;
        _cleanup_free_ char *why = NULL;
        int r;

        r = parse_events(objects, n, &list, error);
        if (r < 0)
                return r;
        r = engine_name_outside_runs(bus->engine, for_user, list.events, list.n);
        if (r >= 0)
                r = pending_new(bus, m, &pending);
        if (r >= 0)
                r = engine_report_outside(bus->engine, list.events, list.n, requested_by, pending_reply, pending,
                                          &why);
        if (r < 0)
                return why ? bus_refuse_text(error, r, "%s", why) : bus_refuse(error, r);
        TAKE_PTR(pending);
        return 1;
}

static int report_event_granted(Bus *bus, sd_bus_message *m, const Caller *caller, sd_bus_error *error)
{
        _cleanup_json_ struct json_object *object = NULL;
        char requested_by[REQUESTED_BY_MAX];
        int r;

        r = dictionary_to_json(m, &object, error);
        if (r >= 0)
                r = requested_by_read(bus, caller->uid, NULL, requested_by, error);
        return r < 0 ? r : report(bus, m, requested_by, NULL, &object, 1, error);
}

/* ReportEvents(s events) or ReportEventsWithOptions(s events, a{sv} options) */
typedef struct ReportOptions {
        const char *on_behalf_of;
        const char *user;
        char user_id[UUID_TEXT_MAX];
} ReportOptions;

static const OptionRow report_options[] = {
        { "on_behalf_of", OPTION_STRING, offsetof(ReportOptions, on_behalf_of) },
        { "user", OPTION_STRING, offsetof(ReportOptions, user) },
        { 0 },
};

static int report_events_read(sd_bus_message *m, const char **json, ReportOptions *options, sd_bus_error *error)
{
        int r;

        *options = (ReportOptions) { 0 };
        r = sd_bus_message_read(m, "s", json);
        if (r < 0)
                return bus_refuse(error, r);
        if (sd_bus_message_at_end(m, true))
                return 0;
        r = options_read(m, report_options, options, NULL, error);
        return r < 0 ? r : filter_user(&options->user, options->user_id, error);
}

static int report_events_granted(Bus *bus, sd_bus_message *m, const Caller *caller, sd_bus_error *error)
{
        _cleanup_json_ struct json_object *array = NULL;
        _cleanup_free_ struct json_object **objects = NULL;
        char requested_by[REQUESTED_BY_MAX];
        ReportOptions options;
        const char *json;
        size_t n;
        int r;

        r = report_events_read(m, &json, &options, error);
        if (r >= 0)
                r = requested_by_read(bus, caller->uid, options.on_behalf_of, requested_by, error);
        if (r < 0)
                return r;
        if (strlen(json) > REPORTED_EVENTS_BYTES_MAX)
                return bus_refuse_text(error, -E2BIG, "At most %llu bytes at a time.", REPORTED_EVENTS_BYTES_MAX);
        r = json_parse(json, strlen(json), &array);
        if (r < 0)
                return bus_refuse(error, r);
        if (!json_object_is_type(array, json_type_array))
                return bus_refuse_text(error, -EBADMSG, "This is not a JSON array of events.");
        n = json_object_array_length(array);
        if (n > REPORTED_EVENTS_MAX)
                return bus_refuse_text(error, -E2BIG, "At most %u events at a time.", REPORTED_EVENTS_MAX);
        if (n == 0)
                return sd_bus_reply_method_return(m, NULL);
        objects = calloc(n, sizeof(struct json_object *));
        if (!objects)
                return bus_refuse(error, -ENOMEM);
        for (size_t i = 0; i < n; i++)
                objects[i] = json_object_array_get_idx(array, i);
        return report(bus, m, requested_by, options.user, objects, n, error);
}

int method_report_event(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        AccessSubject subject = { 0 };

        return access_ask(userdata, m, &subject, report_event_granted, error);
}

int method_report_events(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        ReportOptions options;
        const char *json;
        AccessSubject subject;
        int r;

        r = report_events_read(m, &json, &options, error);
        if (r < 0)
                return r;
        subject = (AccessSubject) { .on_behalf = options.on_behalf_of != NULL };
        return access_ask(userdata, m, &subject, report_events_granted, error);
}
