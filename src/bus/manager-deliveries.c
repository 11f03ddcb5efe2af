/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Attempts to deliver something of a connector. Their URLs are shown without path: reading is open to everyone. */

#include "bus/manager-deliveries.h"

#include "bus/access.h"
#include "bus/bus-error.h"
#include "bus/describe-filter.h"
#include "bus/shim.h"
#include "engine/deliveries.h"

#define DELIVERIES_DEFAULT 50U /* A8 */

typedef struct DeliveriesRequest {
        const char *connector;
        const char *user;
        unsigned limit;
        char user_id[UUID_TEXT_MAX];
} DeliveriesRequest;

static const OptionRow describe_options[] = {
        { "connector", OPTION_STRING, offsetof(DeliveriesRequest, connector) },
        { "user", OPTION_STRING, offsetof(DeliveriesRequest, user) },
        { "limit", OPTION_UNSIGNED, offsetof(DeliveriesRequest, limit) },
        { 0 },
};

int method_describe_deliveries(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        static const LimitRange limits = { DELIVERIES_DEFAULT, DELIVERIES_PAGE_MAX };
        DeliveriesRequest request = { .limit = LIMIT_USUAL };
        const Connector *connector;
        Bus *bus = userdata;
        char *json = NULL;
        int r;

        r = options_read(m, describe_options, &request, NULL, error);
        if (r >= 0)
                r = filter_user(&request.user, request.user_id, error);
        if (r >= 0)
                r = filter_limit("limit", &request.limit, &limits, error);
        if (r < 0)
                return r;
        if (!request.connector)
                return bus_refuse_text(error, -EINVAL, "connector: whose deliveries?");
        connector = describe_find_connector(bus, request.connector, request.user);
        if (!connector)
                return bus_refuse(error, -ENXIO);
        r = engine_describe_deliveries(bus->engine, connector, request.user, request.limit, &json);
        return reply_json(m, r, json, error);
}

/* ---- ResendDelivery */

typedef struct ResendRequest {
        const char *connector;
        const char *id;
        const char *user;
        const char *on_behalf_of;
        bool only_records;
        char user_id[UUID_TEXT_MAX];
} ResendRequest;

static const OptionRow resend_options[] = {
        { "user", OPTION_STRING, offsetof(ResendRequest, user) },
        { "on_behalf_of", OPTION_STRING, offsetof(ResendRequest, on_behalf_of) },
        { "only_records", OPTION_BOOL, offsetof(ResendRequest, only_records) },
        { 0 },
};

static int resend_request_read(sd_bus_message *m, ResendRequest *request, sd_bus_error *error)
{
        int r;

        r = sd_bus_message_read(m, "ss", &request->connector, &request->id);
        if (r < 0)
                return bus_refuse(error, r);
        r = options_read(m, resend_options, request, NULL, error);
        return r < 0 ? r : filter_user(&request->user, request->user_id, error);
}

static bool is_lifecycle(Bus *bus, const Connector *connector, const ResendRequest *request)
{
        return engine_delivery_kind(bus->engine, connector, request->user, request->id) == DELIVERY_LIFECYCLE;
}

static int resend_granted(Bus *bus, sd_bus_message *m, const Caller *caller, sd_bus_error *error)
{
        _cleanup_(pending_freep) Pending *pending = NULL;
        char requested_by[REQUESTED_BY_MAX];
        const Connector *connector;
        ResendRequest request = { 0 };
        int r;

        r = resend_request_read(m, &request, error);
        if (r >= 0)
                r = requested_by_read(bus, caller->uid, request.on_behalf_of, requested_by, error);
        if (r < 0)
                return r;
        connector = describe_find_connector(bus, request.connector, request.user);
        if (!connector)
                return bus_refuse(error, -ENXIO);
        if (request.only_records && is_lifecycle(bus, connector, &request))
                return bus_refuse_text(error, -EACCES, "Only who may manage webhooks may do this.");

        const StartOptions options = {
                .trigger = request.on_behalf_of ? RUN_TRIGGER_REMOTE : RUN_TRIGGER_MANUAL,
                .requested_by = requested_by,
                .reason = "a delivery is sent again",
                .from_start = true,
        };

        r = pending_new(bus, m, &pending);
        if (r >= 0)
                r = engine_resend_delivery(bus->engine, connector, request.user, request.id, &options, pending_reply,
                                           pending);
        if (r == -EEXIST)
                return bus_refuse_text(error, r, "These records were taken. A full resync sends all of them again.");
        if (r == -ENOMSG)
                return bus_refuse_text(error, r, "There is no such delivery. See 'syncrunctl deliveries'.");
        if (r < 0)
                return bus_refuse(error, r);
        TAKE_PTR(pending);
        return 1;
}

int method_resend_delivery(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        Bus *bus = bus_current(sd_bus_message_get_bus(m));
        ResendRequest request = { 0 };
        const Connector *connector;
        AccessSubject subject;
        int r;

        r = resend_request_read(m, &request, error);
        if (r < 0)
                return r;
        connector = describe_find_connector(bus, request.connector, request.user);
        subject = (AccessSubject) { .connector = request.connector,
                                    .lifecycle = connector && is_lifecycle(bus, connector, &request),
                                    .on_behalf = request.on_behalf_of != NULL };
        return access_ask(bus, m, &subject, resend_granted, error);
}
