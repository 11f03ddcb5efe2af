/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* org.syncrun1.Run at /org/syncrun1/run/ID: active runs, and finished ones for some minutes. */

#include <stdlib.h>

#include "base/string-util.h"
#include "bus/access.h"
#include "bus/bus-error.h"
#include "bus/bus-private.h"
#include "bus/shim.h"
#include "engine/describe.h"

#define READ_WORD(field, to_string)                                      \
        static int read_##field(const void *object, PropertyValue *ret)  \
        {                                                                \
                ret->text = to_string(((const Run *) object)->field);    \
                return 0;                                                \
        }                                                                \
        struct CONCATENATE(read_word_, field)
READ_WORD(source, run_source_to_string);
READ_WORD(trigger, run_trigger_to_string);
READ_WORD(state, run_state_to_string);
READ_WORD(outcome, run_outcome_to_string);
READ_WORD(stage, sync_stage_to_string);
READ_WORD(category, attention_category_to_string);

/* ROW(flag of the vtable, name, type, rest of the PropertyRow) */
#define RUN_PROPERTIES(ROW)                                                         \
        ROW(CONST, "Id", "s", offsetof(Run, id))                                    \
        ROW(CONST, "Connector", "s", offsetof(Run, connector))                      \
        ROW(CONST, "Provider", "s", offsetof(Run, provider))                        \
        ROW(CONST, "UserId", "s", offsetof(Run, user_id))                           \
        ROW(CONST, "Source", "s", 0, read_source)                                   \
        ROW(CONST, "Trigger", "s", 0, read_trigger)                                 \
        ROW(CONST, "RequestedBy", "s", offsetof(Run, requested_by))                 \
        ROW(CONST, "Reason", "s", offsetof(Run, reason))                            \
        ROW(CONST, "FullResync", "b", offsetof(Run, full_resync))                   \
        ROW(CONST, "Attempt", "u", offsetof(Run, attempt))                          \
        ROW(CONST, "RetryOf", "s", offsetof(Run, retry_of))                         \
        ROW(CONST, "CreatedUSec", "t", offsetof(Run, created_usec))                 \
        ROW(EMITS_CHANGE, "State", "s", 0, read_state)                              \
        ROW(EMITS_CHANGE, "Outcome", "s", 0, read_outcome)                          \
        ROW(EMITS_CHANGE, "Stage", "s", 0, read_stage)                              \
        ROW(EMITS_CHANGE, "Message", "s", offsetof(Run, message))                   \
        ROW(EMITS_CHANGE, "Progress", "d", offsetof(Run, progress))                 \
        ROW(EMITS_CHANGE, "ItemsProcessed", "t", offsetof(Run, items_processed))    \
        ROW(EMITS_CHANGE, "ItemsTotal", "t", offsetof(Run, items_total))            \
        ROW(EMITS_CHANGE, "Discovered", "t", offsetof(Run, counts.discovered))      \
        ROW(EMITS_CHANGE, "Added", "t", offsetof(Run, counts.added))                \
        ROW(EMITS_CHANGE, "Updated", "t", offsetof(Run, counts.updated))            \
        ROW(EMITS_CHANGE, "Deduped", "t", offsetof(Run, counts.deduped))            \
        ROW(EMITS_CHANGE, "Error", "s", offsetof(Run, error))                       \
        ROW(EMITS_CHANGE, "Category", "s", 0, read_category)                        \
        ROW(EMITS_CHANGE, "Metadata", "s", offsetof(Run, metadata))                 \
        ROW(EMITS_CHANGE, "StartedUSec", "t", offsetof(Run, started_usec))          \
        ROW(EMITS_CHANGE, "FinishedUSec", "t", offsetof(Run, finished_usec))        \
        ROW(EMITS_CHANGE, "InvocationId", "s", offsetof(Run, invocation_id))        \
        ROW(EMITS_CHANGE, "CPUUsageUSec", "t", offsetof(Run, cpu_usec))             \
        ROW(EMITS_CHANGE, "MemoryPeakBytes", "t", offsetof(Run, memory_peak_bytes)) \
        ROW(EMITS_CHANGE, "IOReadBytes", "t", offsetof(Run, io_read_bytes))         \
        ROW(EMITS_CHANGE, "IOWriteBytes", "t", offsetof(Run, io_write_bytes))

/* Which state of the accounts it is, not they themselves, which are in the history alone: for property_changes(). */
static int read_accounts_version(const void *object, PropertyValue *ret)
{
        const Run *run = object;

        ret->number = run->report_sequence * _RUN_STATE_MAX + (uint64_t) run->state;
        return 0;
}

static const PropertyRow rows[] = {
        RUN_PROPERTIES(PROPERTY_TABLE_ENTRY){ "Accounts", "a(ssttttss)", 0, read_accounts_version },
};
const PropertyTable run_properties = { rows, ELEMENTSOF(rows) };

static int property_get(sd_bus *b, const char *path, const char *interface, const char *property,
                        sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
        return property_append(&run_properties, property, userdata, reply);
}

static int append_account(sd_bus_message *reply, const Account *account)
{
        const Counts *counts = &account->counts;
        int r;

        r = sd_bus_message_open_container(reply, 'r', "ssttttss");
        if (r >= 0)
                r = text_append(reply, account->name);
        if (r >= 0)
                r = sd_bus_message_append(reply, "stttts", account_status_to_string(account->status),
                                          counts->discovered, counts->added, counts->updated, counts->deduped,
                                          strempty(attention_category_to_string(account->category)));
        if (r >= 0)
                r = text_append(reply, account->error);
        return r < 0 ? r : sd_bus_message_close_container(reply);
}

static int property_get_accounts(sd_bus *b, const char *path, const char *interface, const char *property,
                                 sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
        const Run *run = userdata;
        _cleanup_(run_freep) Run *stored = NULL;
        int r;

        r = store_get_run(engine_store(bus_current(b)->engine), run->id, true, &stored);
        if (r < 0)
                return bus_refuse(error, r);
        r = sd_bus_message_open_container(reply, 'a', "(ssttttss)");
        for (size_t i = 0; r >= 0 && i < stored->n_accounts; i++)
                r = append_account(reply, &stored->accounts[i]);
        return r < 0 ? r : sd_bus_message_close_container(reply);
}

static int run_find(sd_bus *b, const char *path, const char *interface, void *userdata, void **ret,
                    sd_bus_error *error)
{
        _cleanup_free_ char *id = NULL;
        Bus *bus = userdata;
        int r;

        r = object_name(path, SYNCRUN_PATH_RUN, &id);
        if (r <= 0)
                return r;
        *ret = (void *) engine_find_run(bus->engine, id);
        return *ret ? 1 : 0;
}

static int run_enumerate(sd_bus *b, const char *prefix, void *userdata, char ***ret, sd_bus_error *error)
{
        _cleanup_strv_free_ char **nodes = NULL;
        const Run *run = NULL;
        Bus *bus = userdata;
        int r;

        while ((run = engine_next_run(bus->engine, run))) {
                r = node_list_add(&nodes, SYNCRUN_PATH_RUN, run->id);
                if (r < 0)
                        return r;
        }
        *ret = TAKE_PTR(nodes);
        return 0;
}

/* ---- Methods */

typedef struct CancelRequest {
        char *id;
        const char *on_behalf_of;
} CancelRequest;

static void cancel_request_done(CancelRequest *request)
{
        free(request->id);
}

/* Run.Cancel(), Manager.CancelRun(s id) or Manager.CancelRunWithOptions(s id, a{sv} options) */
static int cancel_request_read(sd_bus_message *m, CancelRequest *request, sd_bus_error *error)
{
        int r;

        r = object_of_call(m, SYNCRUN_PATH_RUN, &request->id, error);
        if (r < 0)
                return r;
        return sd_bus_message_at_end(m, true) ? 0 : on_behalf_of_read(m, &request->on_behalf_of, error);
}

static int cancel_granted(Bus *bus, sd_bus_message *m, const Caller *caller, sd_bus_error *error)
{
        _cleanup_(cancel_request_done) CancelRequest request = { 0 };
        _cleanup_(pending_freep) Pending *pending = NULL;
        char requested_by[REQUESTED_BY_MAX];
        int r;

        r = cancel_request_read(m, &request, error);
        if (r >= 0)
                r = requested_by_read(bus, caller->uid, request.on_behalf_of, requested_by, error);
        if (r < 0)
                return r;
        r = pending_new(bus, m, &pending);
        if (r >= 0)
                r = engine_cancel_run(bus->engine, request.id, requested_by, pending_reply, pending);
        if (r == -EOPNOTSUPP)
                return bus_refuse_text(error, r,
                                       "This run is not one of syncrun's: it runs elsewhere and is only reported "
                                       "here. Cancel it there; it ends here when that is reported, or when nothing is "
                                       "heard of it for SilenceTimeoutSec=.");
        if (r < 0)
                return bus_refuse(error, r);
        TAKE_PTR(pending);
        return 1;
}

int method_cancel_run(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        Bus *bus = bus_current(sd_bus_message_get_bus(m));
        _cleanup_(cancel_request_done) CancelRequest request = { 0 };
        AccessSubject subject;
        const Run *run;
        int r;

        r = cancel_request_read(m, &request, error);
        if (r < 0)
                return r;
        run = engine_find_run(bus->engine, request.id);
        subject = (AccessSubject) {
                .run = request.id,
                .connector = run ? run->connector : NULL,
                .on_behalf = request.on_behalf_of != NULL,
        };
        return access_ask(bus, m, &subject, cancel_granted, error);
}

static int method_describe(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        Bus *bus = bus_current(sd_bus_message_get_bus(m));
        const Run *run = userdata;
        char *json = NULL;
        int r;

        r = engine_describe_run(bus->engine, run->id, &json);
        return reply_json(m, r, json, error);
}

static const sd_bus_vtable vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_METHOD("Cancel", NULL, NULL, method_cancel_run, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("Describe", SD_BUS_NO_ARGS, SD_BUS_RESULT("s", run), method_describe,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        RUN_PROPERTIES(PROPERTY_VTABLE_ENTRY)
        SD_BUS_PROPERTY("Accounts", "a(ssttttss)", property_get_accounts, 0,
                        SD_BUS_VTABLE_PROPERTY_EMITS_INVALIDATION | SD_BUS_VTABLE_PROPERTY_EXPLICIT),
        SD_BUS_VTABLE_END,
};

const BusObject run_object = {
        .path = SYNCRUN_PATH_RUN,
        .interface = SYNCRUN_IFACE_RUN,
        .vtable = vtable,
        .find = run_find,
        .enumerate = run_enumerate,
};
