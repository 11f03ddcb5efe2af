/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A run's log lines. What a connector's programs print may be a secret, so that not everyone may read them, as not
 * everyone may read the journal. */

#include "bus/manager-log.h"

#include "base/string-util.h"
#include "base/uuid.h"
#include "bus/access.h"
#include "bus/bus-error.h"
#include "bus/bus-private.h"
#include "bus/describe-filter.h"
#include "bus/option.h"
#include "bus/shim.h"
#include "engine/log-reader.h"

typedef struct LogRequest {
        const char *user_id;
        const char *on_behalf_of;
        unsigned lines;
} LogRequest;

static const OptionRow options[] = {
        { "user", OPTION_STRING, offsetof(LogRequest, user_id) },
        { "on_behalf_of", OPTION_STRING, offsetof(LogRequest, on_behalf_of) },
        { "lines", OPTION_UNSIGNED, offsetof(LogRequest, lines) },
        { 0 },
};

static void on_read(int error, const char *json, void *userdata)
{
        Pending *pending = userdata;
        int r;

        if (error < 0) {
                pending_refuse(pending, error);
                return;
        }
        r = sd_bus_reply_method_return(pending->message, "s", json);
        if (r < 0)
                bus_reply_refusal(pending->message, r);
        pending_free(pending);
}

static int log_granted(Bus *bus, sd_bus_message *m, const Caller *caller, sd_bus_error *error)
{
        static const LimitRange limits = { LOG_LINES_DEFAULT, LOG_LINES_MAX };
        LogRequest request = { .lines = LIMIT_USUAL };
        _cleanup_(pending_freep) Pending *pending = NULL;
        _cleanup_(run_freep) Run *run = NULL;
        char requested_by[REQUESTED_BY_MAX], user[UUID_TEXT_MAX];
        const char *id;
        int r;

        r = sd_bus_message_read(m, "s", &id);
        if (r < 0)
                return bus_refuse(error, r);
        r = options_read(m, options, &request, NULL, error);
        if (r >= 0)
                r = filter_limit("lines", &request.lines, &limits, error);
        if (r >= 0)
                r = filter_user(&request.user_id, user, error);
        if (r >= 0)
                r = requested_by_read(bus, caller->uid, request.on_behalf_of, requested_by, error);
        if (r < 0)
                return r;
        r = store_get_run(engine_store(bus->engine), id, false, &run);
        if (r >= 0 && request.user_id && !streq_null(run->user_id, request.user_id))
                r = -ESRCH;
        if (r >= 0)
                r = pending_new(bus, m, &pending);
        if (r >= 0)
                r = log_read(bus->engine, run, request.lines, on_read, pending);
        if (r < 0)
                return bus_refuse(error, r);
        TAKE_PTR(pending);
        return 1;
}

int method_describe_log(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        AccessSubject subject = { 0 };
        LogRequest request = { 0 };
        const char *id;
        int r;

        r = sd_bus_message_read(m, "s", &id);
        if (r < 0)
                return bus_refuse(error, r);
        r = options_read(m, options, &request, NULL, error);
        if (r < 0)
                return r;
        subject.run = id;
        subject.on_behalf = request.on_behalf_of != NULL;
        return access_ask(userdata, m, &subject, log_granted, error);
}
