/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* org.syncrun1.Connector at /org/syncrun1/connector/NAME. What its worker calls there is worker-object.c. */

#include "base/string-util.h"
#include "bus/access.h"
#include "bus/bus-error.h"
#include "bus/bus-private.h"
#include "bus/describe-filter.h"
#include "bus/shim.h"
#include "engine/account-set.h"
#include "engine/describe.h"
#include "engine/views.h"

#define READ(name, member, expression)                                  \
        static int read_##name(const void *object, PropertyValue *ret)  \
        {                                                               \
                const Connector *c = object;                            \
                ret->member = expression;                               \
                return 0;                                               \
        }                                                               \
        struct CONCATENATE(read_property_, name)
READ(name, text, c->definition->name);
READ(id, text, c->record.id);
READ(description, text, c->definition->description);
READ(provider, text, c->definition->provider);
READ(source, text, run_source_to_string(c->definition->source));
READ(user_id, text, c->definition->user_id);
READ(connection, text, c->definition->connection);
READ(load_state, text, load_state_to_string(c->definition->load_state));
READ(load_error, text, c->definition->load_error);
READ(next_elapse, number, c->next_elapse_usec == USEC_INFINITY ? 0 : c->next_elapse_usec);
READ(retrying, number, c->record.retry_at_usec > 0);
READ(retry_at, number, c->record.retry_at_usec);
READ(retry_attempt, number, c->record.retry_at_usec > 0 ? c->record.retry_attempt : 0);
READ(last_run_id, text, c->record.last_run_id);
READ(last_outcome, text, run_outcome_to_string(c->record.last_outcome));
READ(last_finished, number, c->record.last_finished_usec);
READ(failures, number, c->record.consecutive_failures);
READ(attention_category, text, attention_category_to_string(c->record.attention.category));
READ(attention_message, text, c->record.attention.category >= 0 ? c->record.attention.message : NULL);
READ(attention_run, text, c->record.attention.run_id);
READ(deleting, number, c->record.deleting);
READ(attention_since, number, c->record.attention.category >= 0 ? c->record.attention.since_usec : 0);

static int read_attention_advice(const void *object, PropertyValue *ret)
{
        const Connector *c = object;

        static_assert(sizeof(ret->buffer) >= ATTENTION_ADVICE_MAX, "advice fits a property");
        ret->text = attention_advice_for(ret->buffer, c->record.attention.category,
                                         c->definition->connection ? NULL : c->record.name);
        return 0;
}

static int read_active_run(const void *object, PropertyValue *ret)
{
        const Connector *c = object;
        _cleanup_free_ char *path = NULL;
        int r;

        ret->text = "/";
        if (!c->run)
                return 0;
        r = sd_bus_path_encode(SYNCRUN_PATH_RUN, c->run->id, &path);
        if (r < 0)
                return r;
        (void) snprintf(ret->buffer, sizeof(ret->buffer), "%s", path);
        ret->text = ret->buffer;
        return 0;
}

static int read_account_set(const char *set, PropertyValue *ret)
{
        ret->own_strings = true;
        return account_set_names(set, &ret->list);
}

static int read_resync_owed(const void *object, PropertyValue *ret)
{
        const char *accounts;

        ret->number = connector_owes_resync(object, &accounts);
        return 0;
}

static int read_resync_accounts(const void *object, PropertyValue *ret)
{
        const char *accounts;

        return connector_owes_resync(object, &accounts) ? read_account_set(accounts, ret) : 0;
}

static int read_retry_accounts(const void *object, PropertyValue *ret)
{
        return read_account_set(((const Connector *) object)->record.retry_accounts, ret);
}

static int read_attention_accounts(const void *object, PropertyValue *ret)
{
        const Attention *attention = &((const Connector *) object)->record.attention;

        return attention->category >= 0 ? read_account_set(attention->accounts, ret) : 0;
}

static int read_follow_up(const void *object, PropertyValue *ret)
{
        NextRun next;

        if (connector_follow_up(object, &next))
                ret->text = run_trigger_to_string(next.trigger);
        return 0;
}

static int read_follow_up_by(const void *object, PropertyValue *ret)
{
        NextRun next;

        if (connector_follow_up(object, &next))
                ret->text = next.requested_by;
        return 0;
}

/* ROW(flag of the vtable, name, type, rest of the PropertyRow) */
#define CONNECTOR_PROPERTIES(ROW)                                               \
        ROW(CONST, "Name", "s", 0, read_name)                                   \
        ROW(CONST, "Id", "s", 0, read_id)                                       \
        ROW(EMITS_CHANGE, "Description", "s", 0, read_description)              \
        ROW(EMITS_CHANGE, "Provider", "s", 0, read_provider)                    \
        ROW(EMITS_CHANGE, "Source", "s", 0, read_source)                        \
        ROW(EMITS_CHANGE, "UserId", "s", 0, read_user_id)                       \
        ROW(EMITS_CHANGE, "Connection", "s", 0, read_connection)                \
        ROW(EMITS_CHANGE, "Active", "b", offsetof(Connector, active))           \
        ROW(EMITS_CHANGE, "LoadState", "s", 0, read_load_state)                 \
        ROW(EMITS_CHANGE, "LoadError", "s", 0, read_load_error)                 \
        ROW(EMITS_CHANGE, "NextElapseUSec", "t", 0, read_next_elapse)           \
        ROW(EMITS_CHANGE, "Retrying", "b", 0, read_retrying)                    \
        ROW(EMITS_CHANGE, "RetryUSec", "t", 0, read_retry_at)                   \
        ROW(EMITS_CHANGE, "RetryAttempt", "u", 0, read_retry_attempt)           \
        ROW(EMITS_CHANGE, "RetryAccounts", "as", 0, read_retry_accounts)        \
        ROW(EMITS_CHANGE, "FullResyncPending", "b", 0, read_resync_owed)         \
        ROW(EMITS_CHANGE, "FullResyncAccounts", "as", 0, read_resync_accounts)  \
        ROW(EMITS_CHANGE, "FollowUp", "s", 0, read_follow_up)                   \
        ROW(EMITS_CHANGE, "FollowUpRequestedBy", "s", 0, read_follow_up_by)     \
        ROW(EMITS_CHANGE, "ActiveRun", "o", 0, read_active_run)                 \
        ROW(EMITS_CHANGE, "LastRunId", "s", 0, read_last_run_id)                \
        ROW(EMITS_CHANGE, "LastOutcome", "s", 0, read_last_outcome)             \
        ROW(EMITS_CHANGE, "LastFinishedUSec", "t", 0, read_last_finished)       \
        ROW(EMITS_CHANGE, "ConsecutiveFailures", "u", 0, read_failures)         \
        ROW(EMITS_CHANGE, "AttentionCategory", "s", 0, read_attention_category) \
        ROW(EMITS_CHANGE, "AttentionMessage", "s", 0, read_attention_message)   \
        ROW(EMITS_CHANGE, "AttentionAdvice", "s", 0, read_attention_advice)     \
        ROW(EMITS_CHANGE, "AttentionRunId", "s", 0, read_attention_run)         \
        ROW(EMITS_CHANGE, "AttentionAccounts", "as", 0, read_attention_accounts) \
        ROW(EMITS_CHANGE, "DeletingItems", "b", 0, read_deleting)               \
        ROW(EMITS_CHANGE, "AttentionSinceUSec", "t", 0, read_attention_since)

static const PropertyRow rows[] = { CONNECTOR_PROPERTIES(PROPERTY_TABLE_ENTRY) };
const PropertyTable connector_properties = { rows, ELEMENTSOF(rows) };

static int property_get(sd_bus *b, const char *path, const char *interface, const char *property,
                        sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
        return property_append(&connector_properties, property, userdata, reply);
}

int connector_find(sd_bus *b, const char *path, const char *interface, void *userdata, void **ret, sd_bus_error *error)
{
        _cleanup_free_ char *name = NULL;
        Bus *bus = userdata;
        int r;

        r = object_name(path, SYNCRUN_PATH_CONNECTOR, &name);
        if (r <= 0)
                return r;
        *ret = engine_find_connector(bus->engine, name);
        return *ret ? 1 : 0;
}

static int connector_enumerate(sd_bus *b, const char *prefix, void *userdata, char ***ret, sd_bus_error *error)
{
        _cleanup_free_ char **nodes = NULL;
        Connector *connector = NULL;
        Bus *bus = userdata;
        EngineStatus status;
        size_t n = 0;
        int r;

        /* One allocation: appending to a list of 200,000 one by one takes its time. */
        engine_status(bus->engine, &status);
        nodes = calloc((size_t) status.n_connectors + 1, sizeof(char *));
        if (!nodes)
                return -ENOMEM;
        while (n < status.n_connectors && (connector = engine_next_connector(bus->engine, connector))) {
                r = sd_bus_path_encode(SYNCRUN_PATH_CONNECTOR, connector->definition->name, &nodes[n]);
                if (r < 0) {
                        strv_free(TAKE_PTR(nodes));
                        return r;
                }
                n++;
        }
        *ret = TAKE_PTR(nodes);
        return 0;
}

/* ---- Start */

typedef struct StartRequest {
        char *connector;
        bool full_resync;
        char **accounts;
        const char *reason;
        const char *trigger;
        const char *on_behalf_of;
        const char *view;
        const char *user;
        char user_id[UUID_TEXT_MAX];
} StartRequest;

static void start_request_done(StartRequest *request)
{
        free(request->connector);
        strv_free(request->accounts);
}

static const OptionRow start_options[] = {
        { "full_resync", OPTION_BOOL, offsetof(StartRequest, full_resync) },
        { "accounts", OPTION_STRV, offsetof(StartRequest, accounts) },
        { "reason", OPTION_STRING, offsetof(StartRequest, reason) },
        { "trigger", OPTION_STRING, offsetof(StartRequest, trigger) },
        { "on_behalf_of", OPTION_STRING, offsetof(StartRequest, on_behalf_of) },
        { "view", OPTION_STRING, offsetof(StartRequest, view) },
        { "user", OPTION_STRING, offsetof(StartRequest, user) },
        { 0 },
};

static int start_request_check(StartRequest *request, sd_bus_error *error)
{
        size_t n_bytes = 0;

        if (request->reason && strlen(request->reason) > MESSAGE_TEXT_MAX)
                return bus_refuse_text(error, -E2BIG, "reason: at most %u bytes.", MESSAGE_TEXT_MAX);
        if (strv_length(request->accounts) > ACCOUNTS_PER_RUN_MAX)
                return bus_refuse_text(error, -E2BIG, "accounts: at most %u.", ACCOUNTS_PER_RUN_MAX);
        STRV_FOREACH(account, request->accounts) {
                if (strlen(*account) > ACCOUNT_NAME_MAX)
                        return bus_refuse_text(error, -E2BIG, "accounts: a name has at most %u bytes.",
                                               ACCOUNT_NAME_MAX);
                n_bytes += strlen(*account) + 1;
        }
        if (n_bytes > ACCOUNTS_BYTES_MAX)
                return bus_refuse_text(error, -E2BIG, "accounts: at most %u bytes together, and one for each name.",
                                       ACCOUNTS_BYTES_MAX);
        if (request->trigger && !streq(request->trigger, "manual") && !streq(request->trigger, "remote"))
                return bus_refuse_text(error, -EINVAL, "trigger: 'manual' or 'remote', not '%s'.", request->trigger);
        if (request->view && view_from_string(request->view) != VIEW_REPO)
                return bus_refuse_text(error, -EINVAL, "view: 'repo', not '%s'.", request->view);
        return filter_user(&request->user, request->user_id, error);
}

/* Manager.StartRun(s connector, a{sv} options) or Connector.Start(a{sv} options) */
static int start_request_read(sd_bus_message *m, StartRequest *request, sd_bus_error *error)
{
        int r;

        r = object_of_call(m, SYNCRUN_PATH_CONNECTOR, &request->connector, error);
        if (r < 0)
                return r;
        r = options_read(m, start_options, request, NULL, error);
        return r < 0 ? r : start_request_check(request, error);
}

static int send_started(sd_bus_message *m, const StartReply *reply, const char *body)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *answer = NULL;
        _cleanup_free_ char *path = NULL;
        int r;

        r = sd_bus_path_encode(SYNCRUN_PATH_RUN, reply->run_id, &path);
        if (r < 0)
                return r;
        r = sd_bus_message_new_method_return(m, &answer);
        if (r >= 0)
                r = sd_bus_message_append(answer, "sob", reply->run_id, path, (int) reply->already_active);
        if (r >= 0)
                r = sd_bus_message_open_container(answer, 'a', "{sv}");
        if (r >= 0)
                r = sd_bus_message_append(answer, "{sv}{sv}{sv}{sv}", "full_resync", "b", (int) reply->full_resync,
                                          "follow_up_pending", "b", (int) reply->follow_up_pending,
                                          "full_resync_pending", "b", (int) reply->full_resync_pending,
                                          "full_resync_owed", "b", (int) reply->full_resync_owed);
        if (r >= 0 && body)
                r = sd_bus_message_append(answer, "{sv}", "body", "s", body);
        if (r >= 0)
                r = sd_bus_message_close_container(answer);
        return r < 0 ? r : sd_bus_send(NULL, answer, NULL);
}

static void start_reply(int error, const StartReply *reply, void *userdata)
{
        Pending *pending = userdata;

        if (error < 0)
                pending_refuse(pending, error);
        else
                pending_answered(pending, send_started(pending->message, reply, NULL));
}

/* The same with the body of Repo's answer. */
static void start_reply_repo(int error, const StartReply *reply, void *userdata)
{
        _cleanup_free_ char *body = NULL;
        Pending *pending = userdata;
        int r = error;

        if (r >= 0)
                r = engine_view_repo_started(pending->bus->engine, reply->run_id, reply->already_active, &body);
        if (r >= 0)
                r = send_started(pending->message, reply, body);
        if (r < 0)
                pending_refuse(pending, r);
        else
                pending_free(pending);
}

static int start_granted(Bus *bus, sd_bus_message *m, const Caller *caller, sd_bus_error *error)
{
        _cleanup_(start_request_done) StartRequest request = { 0 };
        _cleanup_(pending_freep) Pending *pending = NULL;
        char requested_by[REQUESTED_BY_MAX];
        Connector *connector;
        StartOptions options;
        int r;

        r = start_request_read(m, &request, error);
        if (r >= 0)
                r = requested_by_read(bus, caller->uid, request.on_behalf_of, requested_by, error);
        if (r < 0)
                return r;
        /* It may have gone while polkit was asked. */
        connector = describe_find_connector(bus, request.connector, request.user);
        if (!connector)
                return bus_refuse(error, -ENXIO);
        options = (StartOptions) {
                .full_resync = request.full_resync,
                .trigger = request.on_behalf_of ? RUN_TRIGGER_REMOTE
                           : request.trigger    ? run_trigger_from_string(request.trigger)
                                                : RUN_TRIGGER_MANUAL,
                .requested_by = requested_by,
                .reason = request.reason,
                .accounts = request.accounts,
                .user_id = request.user,
        };
        r = pending_new(bus, m, &pending);
        if (r >= 0)
                r = engine_start_run(bus->engine, connector->definition->name, &options,
                                     request.view ? start_reply_repo : start_reply, pending);
        if (r < 0)
                return bus_refuse(error, r);
        TAKE_PTR(pending);
        return 1;
}

int method_start_run(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        _cleanup_(start_request_done) StartRequest request = { 0 };
        Bus *bus = bus_current(sd_bus_message_get_bus(m));
        AccessSubject subject;
        Connector *connector;
        int r;

        r = start_request_read(m, &request, error);
        if (r < 0)
                return r;
        connector = describe_find_connector(bus, request.connector, request.user);
        if (!connector)
                return bus_refuse(error, -ENXIO);
        subject = (AccessSubject) {
                .connector = connector->definition->name,
                .full_resync = request.full_resync,
                .on_behalf = request.on_behalf_of != NULL,
        };
        return access_ask(bus, m, &subject, start_granted, error);
}

/* ---- SetActive, Describe */

static int set_active_granted(Bus *bus, sd_bus_message *m, const Caller *caller, sd_bus_error *error)
{
        _cleanup_(pending_freep) Pending *pending = NULL;
        _cleanup_free_ char *name = NULL;
        int active, r;

        r = object_name(sd_bus_message_get_path(m), SYNCRUN_PATH_CONNECTOR, &name);
        if (r >= 0)
                r = sd_bus_message_read(m, "b", &active);
        if (r >= 0)
                r = pending_new(bus, m, &pending);
        if (r >= 0)
                r = engine_set_active(bus->engine, name, active, pending_reply, pending);
        if (r < 0)
                return bus_refuse(error, r);
        TAKE_PTR(pending);
        return 1;
}

static int method_set_active(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        const Connector *connector = userdata;
        AccessSubject subject = { .connector = connector->definition->name };

        return access_ask(bus_current(sd_bus_message_get_bus(m)), m, &subject, set_active_granted, error);
}

static int method_describe(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        const Connector *connector = userdata;
        char *json = NULL;
        int r;

        r = engine_describe_connector(connector->engine, connector->definition->name, &json);
        return reply_json(m, r, json, error);
}

static const sd_bus_vtable vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_METHOD_WITH_ARGS("Start", SD_BUS_ARGS("a{sv}", options),
                                SD_BUS_RESULT("s", id, "o", run, "b", already_active, "a{sv}", result),
                                method_start_run, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("SetActive", SD_BUS_ARGS("b", active), SD_BUS_NO_RESULT, method_set_active,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("Describe", SD_BUS_NO_ARGS, SD_BUS_RESULT("s", connector), method_describe,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        CONNECTOR_PROPERTIES(PROPERTY_VTABLE_ENTRY) SD_BUS_VTABLE_END,
};

const BusObject connector_object = {
        .path = SYNCRUN_PATH_CONNECTOR,
        .interface = SYNCRUN_IFACE_CONNECTOR,
        .vtable = vtable,
        .find = connector_find,
        .enumerate = connector_enumerate,
};
