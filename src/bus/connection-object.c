/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* org.syncrun1.Connection at /org/syncrun1/connection/NAME: what connectors with the same Connection= share. */

#include <stdlib.h>

#include "base/string-util.h"
#include "bus/access.h"
#include "bus/bus-error.h"
#include "bus/bus-private.h"
#include "bus/option.h"
#include "bus/shim.h"
#include "engine/describe.h"

static int compare_strings(const void *a, const void *b)
{
        return strcmp(*(char *const *) a, *(char *const *) b);
}

/* The names of its connectors, sorted; caller frees the list, not the names. NULL when out of memory. */
static char **connector_names(Engine *engine, const char *connection)
{
        const Connector *connector = NULL;
        char **names;
        size_t n = 0;

        while ((connector = engine_next_of_connection(engine, connection, connector)))
                n++;
        names = calloc(n + 1, sizeof(char *));
        if (!names)
                return NULL;
        n = 0;
        while ((connector = engine_next_of_connection(engine, connection, connector)))
                names[n++] = connector->definition->name;
        qsort(names, n, sizeof(char *), compare_strings);
        return names;
}

static bool find(const void *object, Connection *ret)
{
        const PublishedConnection *published = object;

        return engine_find_connection(published->bus->engine, published->name, ret) >= 0;
}

#define READ(function, member, expression)                                                \
        static int function(const void *object, PropertyValue *ret)                       \
        {                                                                                 \
                Connection c;                                                             \
                                                                                          \
                if (find(object, &c))                                                     \
                        ret->member = (expression);                                       \
                return 0;                                                                 \
        }                                                                                 \
        struct CONCATENATE(read_property_, function)

READ(read_name, text, ((const PublishedConnection *) object)->name);
READ(read_description, text, c.definition ? c.definition->description : NULL);
READ(read_provider, text, c.definition ? c.definition->provider : NULL);
READ(read_user_id, text, c.definition ? c.definition->user_id : NULL);
READ(read_load_state, text, c.definition ? load_state_to_string(c.definition->load_state) : NULL);
READ(read_load_error, text, c.definition ? c.definition->load_error : NULL);
READ(read_state, text, connection_state_to_string(c.state));
READ(read_reason, text, c.reason);
READ(read_since, number, c.since_usec);
READ(read_run_id, text, c.record->run_id);
READ(read_expires, number, c.consent_expires_usec == USEC_INFINITY ? 0 : c.consent_expires_usec);
READ(read_has_program, number, c.definition && c.definition->exec_reconnect);
READ(read_reconnecting, number, connection_is_reconnecting(&c));
READ(read_result, text, reconnect_result_to_string(c.record->reconnect_result));
READ(read_message, text, c.record->reconnect_message);
READ(read_advice, text, c.state == CONNECTION_EXPIRING ? "Reconnect and give a fresh consent before this one ends."
                                                       : attention_advice(connection_state_category(c.state)));

static int read_accounts(const void *object, PropertyValue *ret)
{
        size_t n = 0;
        Connection c;

        if (!find(object, &c) || !c.definition)
                return 0;
        ret->list = calloc(strv_length(c.definition->accounts) + 1, sizeof(char *));
        if (!ret->list)
                return -ENOMEM;
        STRV_FOREACH(account, c.definition->accounts)
                ret->list[n++] = *account;
        return 0;
}

static int read_connectors(const void *object, PropertyValue *ret)
{
        const PublishedConnection *published = object;

        ret->list = connector_names(published->bus->engine, published->name);
        return ret->list ? 0 : -ENOMEM;
}

/* ROW(flag of the vtable, name, type, rest of the PropertyRow) */
#define CONNECTION_PROPERTIES(ROW)                                      \
        ROW(CONST, "Name", "s", 0, read_name)                           \
        ROW(EMITS_CHANGE, "Description", "s", 0, read_description)      \
        ROW(EMITS_CHANGE, "Provider", "s", 0, read_provider)            \
        ROW(EMITS_CHANGE, "UserId", "s", 0, read_user_id)               \
        ROW(EMITS_CHANGE, "LoadState", "s", 0, read_load_state)         \
        ROW(EMITS_CHANGE, "LoadError", "s", 0, read_load_error)         \
        ROW(EMITS_CHANGE, "Accounts", "as", 0, read_accounts)           \
        ROW(EMITS_CHANGE, "State", "s", 0, read_state)                  \
        ROW(EMITS_CHANGE, "Reason", "s", 0, read_reason)                \
        ROW(EMITS_CHANGE, "Advice", "s", 0, read_advice)                \
        ROW(EMITS_CHANGE, "SinceUSec", "t", 0, read_since)              \
        ROW(EMITS_CHANGE, "RunId", "s", 0, read_run_id)                 \
        ROW(EMITS_CHANGE, "ConsentExpiresUSec", "t", 0, read_expires)   \
        ROW(EMITS_CHANGE, "HasProgram", "b", 0, read_has_program)       \
        ROW(EMITS_CHANGE, "Reconnecting", "b", 0, read_reconnecting)    \
        ROW(EMITS_CHANGE, "ReconnectResult", "s", 0, read_result)       \
        ROW(EMITS_CHANGE, "ReconnectMessage", "s", 0, read_message)     \
        ROW(EMITS_CHANGE, "Connectors", "as", 0, read_connectors)

static const PropertyRow rows[] = { CONNECTION_PROPERTIES(PROPERTY_TABLE_ENTRY) };
const PropertyTable connection_properties = { rows, ELEMENTSOF(rows) };

static int property_get(sd_bus *b, const char *path, const char *interface, const char *property,
                        sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
        return property_append(&connection_properties, property, userdata, reply);
}

static int connection_find(sd_bus *b, const char *path, const char *interface, void *userdata, void **ret,
                           sd_bus_error *error)
{
        _cleanup_free_ char *name = NULL;
        int r;

        r = object_name(path, SYNCRUN_PATH_CONNECTION, &name);
        if (r <= 0)
                return r;
        *ret = published_connection_find(userdata, name);
        return *ret ? 1 : 0;
}

static int connection_enumerate(sd_bus *b, const char *prefix, void *userdata, char ***ret, sd_bus_error *error)
{
        _cleanup_strv_free_ char **nodes = NULL;
        const char *name = NULL;
        Bus *bus = userdata;
        int r;

        while ((name = engine_next_connection(bus->engine, name))) {
                r = node_list_add(&nodes, SYNCRUN_PATH_CONNECTION, name);
                if (r < 0)
                        return r;
        }
        *ret = TAKE_PTR(nodes);
        return 0;
}

/* ---- Methods */

typedef struct ReconnectOptions {
        const char *on_behalf_of;
        const char *user_id; /* NULL: everybody's connectors */
        uint64_t consent_expires_usec;
        bool done;
        bool delete_items;
} ReconnectOptions;

static const OptionRow withdraw_options[] = {
        { "on_behalf_of", OPTION_STRING, offsetof(ReconnectOptions, on_behalf_of) },
        { "user", OPTION_STRING, offsetof(ReconnectOptions, user_id) },
        { "delete_items", OPTION_BOOL, offsetof(ReconnectOptions, delete_items) },
        {},
};

static const OptionRow reconnect_options[] = {
        { "on_behalf_of", OPTION_STRING, offsetof(ReconnectOptions, on_behalf_of) },
        { "user", OPTION_STRING, offsetof(ReconnectOptions, user_id) },
        { "consent_expires", OPTION_UINT64, offsetof(ReconnectOptions, consent_expires_usec) },
        { "done", OPTION_BOOL, offsetof(ReconnectOptions, done) },
        {},
};

static bool is_withdrawal(sd_bus_message *m)
{
        return startswith(sd_bus_message_get_member(m), "Withdraw");
}

/* Connection.Reconnect() or Manager.ReconnectConnection(s connection, a{sv} options) */
static int reconnect_request_read(sd_bus_message *m, char **name, ReconnectOptions *options, sd_bus_error *error)
{
        int r;

        *options = (ReconnectOptions){};
        r = object_of_call(m, SYNCRUN_PATH_CONNECTION, name, error);
        if (r < 0 || sd_bus_message_at_end(m, true))
                return r;
        return options_read(m, is_withdrawal(m) ? withdraw_options : reconnect_options, options, NULL, error);
}

static int append_runs(sd_bus_message *m, const ReconnectedRun *runs, size_t n)
{
        int r;

        r = sd_bus_message_open_container(m, 'a', "(ssob)");
        for (size_t i = 0; r >= 0 && i < n; i++) {
                _cleanup_free_ char *path = NULL;

                r = isempty(runs[i].run_id) ? 0 : sd_bus_path_encode(SYNCRUN_PATH_RUN, runs[i].run_id, &path);
                if (r >= 0)
                        r = sd_bus_message_append(m, "(ssob)", runs[i].connector, runs[i].run_id, path ?: "/",
                                                  (int) runs[i].already_active);
        }
        return r < 0 ? r : sd_bus_message_close_container(m);
}

static void reconnect_reply(int error, const ReconnectReply *reply, void *userdata)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        Pending *pending = userdata;
        int r = error;

        if (r >= 0)
                r = sd_bus_message_new_method_return(pending->message, &m);
        if (r >= 0)
                r = append_runs(m, reply->runs, reply->n_runs);
        if (r >= 0)
                r = sd_bus_message_append(m, "b", (int) reply->reconnecting);
        if (r < 0)
                pending_refuse(pending, r);
        else
                pending_answered(pending, sd_bus_send(NULL, m, NULL));
}

static int reconnect_granted(Bus *bus, sd_bus_message *m, const Caller *caller, sd_bus_error *error)
{
        _cleanup_(pending_freep) Pending *pending = NULL;
        char requested_by[REQUESTED_BY_MAX];
        _cleanup_free_ char *name = NULL;
        ReconnectOptions options;
        int r;

        r = reconnect_request_read(m, &name, &options, error);
        if (r >= 0)
                r = requested_by_read(bus, caller->uid, options.on_behalf_of, requested_by, error);
        if (r < 0)
                return r;
        r = pending_new(bus, m, &pending);
        if (r >= 0)
                r = engine_reconnect(bus->engine, name,
                                     &(ReconnectWish){ .user_id = options.user_id,
                                                       .requested_by = requested_by,
                                                       .done = options.done || options.consent_expires_usec > 0,
                                                       .consent_expires_usec = options.consent_expires_usec },
                                     reconnect_reply, pending);
        if (r == -EINVAL)
                return bus_refuse_text(error, r, "consent_expires lies in the past.");
        if (r == -ENOEXEC)
                return bus_refuse_text(error, r, "The file of connection %s has an error: see its LoadError.", name);
        if (r == -EACCES)
                return bus_refuse_text(error, r, "Others have a part in connection %s: its program is not one user's "
                                                 "to run.", name);
        if (r < 0)
                return bus_refuse(error, r);
        TAKE_PTR(pending);
        return 1;
}

static int cancel_granted(Bus *bus, sd_bus_message *m, const Caller *caller, sd_bus_error *error)
{
        _cleanup_(pending_freep) Pending *pending = NULL;
        _cleanup_free_ char *name = NULL;
        ReconnectOptions options;
        int r;

        r = reconnect_request_read(m, &name, &options, error);
        if (r < 0)
                return r;
        r = pending_new(bus, m, &pending);
        if (r >= 0)
                r = engine_cancel_reconnect(bus->engine, name, options.user_id, pending_reply, pending);
        if (r == -EALREADY)
                return bus_refuse_text(error, r, "No program reconnects %s.", name);
        if (r < 0)
                return bus_refuse(error, r);
        TAKE_PTR(pending);
        return 1;
}

static int withdraw_granted(Bus *bus, sd_bus_message *m, const Caller *caller, sd_bus_error *error)
{
        _cleanup_(pending_freep) Pending *pending = NULL;
        char requested_by[REQUESTED_BY_MAX];
        _cleanup_free_ char *name = NULL;
        ReconnectOptions options;
        int r;

        r = reconnect_request_read(m, &name, &options, error);
        if (r >= 0)
                r = requested_by_read(bus, caller->uid, options.on_behalf_of, requested_by, error);
        if (r < 0)
                return r;
        r = pending_new(bus, m, &pending);
        if (r >= 0)
                r = engine_withdraw_consent(bus->engine, name,
                                            &(WithdrawWish){ .user_id = options.user_id,
                                                             .requested_by = requested_by,
                                                             .delete_items = options.delete_items },
                                            pending_reply, pending);
        if (r == -EACCES)
                return bus_refuse_text(error, r, "Others have a part in connection %s.", name);
        if (r < 0)
                return bus_refuse(error, r);
        TAKE_PTR(pending);
        return 1;
}

/* All three go by the same arguments. */
int method_reconnect(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        _cleanup_free_ char *name = NULL;
        ReconnectOptions options;
        AccessSubject subject;
        AccessGranted granted = reconnect_granted;
        int r;

        r = reconnect_request_read(m, &name, &options, error);
        if (r < 0)
                return r;
        subject = (AccessSubject) { .on_behalf = options.on_behalf_of != NULL };
        if (startswith(sd_bus_message_get_member(m), "Cancel"))
                granted = cancel_granted;
        else if (is_withdrawal(m))
                granted = withdraw_granted;
        return access_ask(bus_current(sd_bus_message_get_bus(m)), m, &subject, granted, error);
}

static int method_describe(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        const PublishedConnection *published = userdata;
        char *json = NULL;
        int r;

        r = engine_describe_connection(published->bus->engine, published->name, &json);
        return reply_json(m, r, json, error);
}

static const sd_bus_vtable vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_METHOD_WITH_ARGS("Reconnect", SD_BUS_NO_ARGS, SD_BUS_RESULT("a(ssob)", runs, "b", reconnecting),
                                method_reconnect, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("CancelReconnect", SD_BUS_NO_ARGS, SD_BUS_NO_RESULT, method_reconnect,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("Describe", SD_BUS_NO_ARGS, SD_BUS_RESULT("s", connection), method_describe,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        CONNECTION_PROPERTIES(PROPERTY_VTABLE_ENTRY)
        SD_BUS_SIGNAL_WITH_ARGS("ReconnectFinished", SD_BUS_ARGS("s", result, "s", message), 0),
        SD_BUS_VTABLE_END,
};

const BusObject connection_object = {
        .path = SYNCRUN_PATH_CONNECTION,
        .interface = SYNCRUN_IFACE_CONNECTION,
        .vtable = vtable,
        .find = connection_find,
        .enumerate = connection_enumerate,
};
