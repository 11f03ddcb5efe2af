/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* DescribeRuns(): a filter in, one JSON text out, in the words that the caller asks for. How it looks is the business
 * of engine/describe and engine/views. Reading is open to everyone on the bus: nothing here is secret. */

#include "base/json-writer.h"
#include "base/string-util.h"
#include "bus/bus-error.h"
#include "bus/describe-filter.h"
#include "bus/manager-describe.h"
#include "bus/reads.h"
#include "engine/describe.h"
#include "engine/views-redbark.h"
#include "engine/views.h"
#include "model/view-open-wearables.h"

typedef struct RunsRequest {
        RunFilter filter;
        View view;
        const char *view_word;
        const char *id;
        const char *connector;
        const char *source;
        const char *outcome;
        const char *status;
        bool check_user;
        SyncStatus sync_status;
        char user[UUID_TEXT_MAX];
        char connector_id[UUID_TEXT_MAX];
} RunsRequest;

#define FILTER_OF RunsRequest
#define RUNS_OPTIONS(ROW)                                                                  \
        ROW("view", STRING, view_word, IN_ALL)                                             \
        ROW("id", STRING, id, IN_SYNCRUN | IN_REPO)                                        \
        ROW("connector", STRING, connector, IN_SYNCRUN | IN_REPO | IN_REDBARK)             \
        ROW("user", STRING, filter.user_id, IN_ALL)                                        \
        ROW("check_user", BOOL, check_user, IN_OPEN_WEARABLES)                             \
        ROW("provider", STRING, filter.provider, IN_SYNCRUN | IN_REPO | IN_OPEN_WEARABLES) \
        ROW("source", STRING, source, IN_SYNCRUN | IN_REPO | IN_OPEN_WEARABLES)            \
        ROW("status", STRING, status, IN_REPO | IN_OPEN_WEARABLES)                         \
        ROW("outcome", STRING, outcome, IN_SYNCRUN)                                        \
        ROW("active", TRISTATE, filter.active, IN_SYNCRUN)                                 \
        ROW("since", UINT64, filter.since_usec, IN_SYNCRUN | IN_REPO)                      \
        ROW("until", UINT64, filter.until_usec, IN_SYNCRUN | IN_REPO)                      \
        ROW("limit", UNSIGNED, filter.limit, IN_ALL)                                       \
        ROW("page", STRING, filter.page, IN_SYNCRUN | IN_REPO)                             \
        ROW("accounts", BOOL, filter.with_accounts, IN_SYNCRUN)

static const OptionRow options[] = { RUNS_OPTIONS(FILTER_ROW){ 0 } };
static const uint8_t option_views[] = { RUNS_OPTIONS(FILTER_VIEWS) };
#undef FILTER_OF

static const LimitRange limits[_VIEW_MAX] = {
        [VIEW_SYNCRUN] = { 50, RUNS_PAGE_MAX },
        [VIEW_REPO] = { REPO_RUNS_DEFAULT, REPO_RUNS_MAX },
        [VIEW_OPEN_WEARABLES] = { WEARABLES_RUNS_DEFAULT, WEARABLES_RUNS_MAX },
};

static LimitRange limit_range(Bus *bus, const RunsRequest *request)
{
        if (request->view == VIEW_REDBARK)
                return (LimitRange){ engine_activity_max(bus->engine), engine_activity_max(bus->engine) };
        if (request->view == VIEW_OPEN_WEARABLES && (!request->filter.user_id || !request->check_user))
                return (LimitRange){ WEARABLES_ALL_RUNS_DEFAULT, WEARABLES_ALL_RUNS_MAX };
        return limits[request->view];
}

/* The words of the request as the store wants them. */
static int request_check(Bus *bus, RunsRequest *request, sd_bus_error *error)
{
        RunFilter *filter = &request->filter;
        LimitRange range;
        int r;

        r = filter_word(run_source, "source", request->source, &filter->source, error);
        if (r >= 0)
                r = filter_word(run_outcome, "outcome", request->outcome, &filter->outcome, error);
        if (r >= 0 && request->view == VIEW_REPO)
                r = filter_word(repo_status, "status", request->status, &filter->status, error);
        else if (r >= 0)
                r = filter_word(sync_status, "status", request->status, &request->sync_status, error);
        if (r >= 0)
                r = filter_user(&filter->user_id, request->user, error);
        if (r < 0)
                return r;
        if (request->connector && uuid_normalize(request->connector, request->connector_id) >= 0)
                filter->connector_id = request->connector_id;
        else
                filter->connector = request->connector;
        if (request->view == VIEW_REDBARK && !request->connector)
                return bus_refuse_text(error, -EINVAL, "connector: the view 'redbark' is of one.");
        range = limit_range(bus, request);
        return filter_limit("limit", &filter->limit, &range, error);
}

/* Whether a run found by its id is also all else that the filter wants. */
static bool run_matches(const Run *run, const RunFilter *filter)
{
        return (!filter->connector || streq_null(run->connector, filter->connector)) &&
               (!filter->connector_id || streq_null(run->connector_id, filter->connector_id)) &&
               (!filter->user_id || streq_null(run->user_id, filter->user_id)) &&
               (!filter->provider || streq_null(run->provider, filter->provider)) &&
               (filter->source < 0 || run->source == filter->source) &&
               (filter->outcome < 0 || run->outcome == filter->outcome) &&
               (filter->status < 0 || repo_status_of(run) == filter->status) &&
               (filter->active < 0 || run_is_active(run) == (filter->active > 0)) &&
               run->created_usec >= filter->since_usec &&
               (filter->until_usec == 0 || run->created_usec < filter->until_usec);
}

/* Return: 0 and the run, or NULL; negative errno. */
static int find_run(Bus *bus, const RunsRequest *request, Run **ret)
{
        bool with_accounts = request->view == VIEW_REPO || request->filter.with_accounts;
        _cleanup_(run_freep) Run *run = NULL;
        int r;

        r = store_get_run(engine_store(bus->engine), request->id, with_accounts, &run);
        if (r < 0 && r != -ESRCH)
                return r;
        *ret = run && run_matches(run, &request->filter) ? TAKE_PTR(run) : NULL;
        return 0;
}

/* {"runs":[...],"next":null} with one run or none. */
static int describe_one_run(Bus *bus, const RunsRequest *request, char **ret_json)
{
        _cleanup_buffer_ Buffer json = { 0 };
        JsonWriter w = JSON_WRITER_INIT(&json);
        _cleanup_(run_freep) Run *run = NULL;
        char advice[ATTENTION_ADVICE_MAX];
        int r;

        r = find_run(bus, request, &run);
        if (r < 0)
                return r;
        json_open_object(&w, NULL);
        json_open_array(&w, "runs");
        if (run)
                view_run(&w, NULL, run, engine_run_advice(bus->engine, run, advice), request->filter.with_accounts);
        json_close_array(&w);
        json_write_null(&w, "next");
        json_close_object(&w);
        return buffer_take(&json, ret_json);
}

static int describe_syncrun(Bus *bus, const RunsRequest *request, char **ret_json)
{
        return request->id ? describe_one_run(bus, request, ret_json)
                           : engine_describe_runs(bus->engine, &request->filter, ret_json);
}

static int describe_repo(Bus *bus, const RunsRequest *request, char **ret_json)
{
        _cleanup_(run_freep) Run *run = NULL;
        int r;

        if (!request->id)
                return engine_view_repo_runs(bus->engine, &request->filter, ret_json);
        r = find_run(bus, request, &run);
        if (r < 0)
                return r;
        return run ? engine_view_repo_run(bus->engine, run, ret_json) : -ESRCH;
}

static int describe_wearables(Bus *bus, const RunsRequest *request, char **ret_json)
{
        const NewsFilter filter = {
                .user_id = request->filter.user_id,
                .provider = request->filter.provider,
                .source = request->filter.source,
                .status = request->sync_status,
                .limit = request->filter.limit,
        };

        return engine_view_wearables_runs(bus->engine, &filter, ret_json);
}

static int describe_redbark(Bus *bus, const RunsRequest *request, char **ret_json)
{
        const Connector *connector = describe_find_connector(bus, request->connector, request->filter.user_id);

        if (!connector)
                return -ENXIO;
        return engine_view_redbark_activity(bus->engine, connector, request->filter.user_id, request->filter.limit,
                                            ret_json);
}

static bool is_large(const RunsRequest *request)
{
        const RunFilter *filter = &request->filter;

        return !request->id && filter->limit > (filter->with_accounts ? READ_LARGE_ACCOUNTS : READ_LARGE_ROWS);
}

int method_describe_runs(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        static int (*const describe[_VIEW_MAX])(Bus *, const RunsRequest *, char **) = {
                [VIEW_SYNCRUN] = describe_syncrun,
                [VIEW_REPO] = describe_repo,
                [VIEW_OPEN_WEARABLES] = describe_wearables,
                [VIEW_REDBARK] = describe_redbark,
        };
        RunsRequest request = { .filter = RUN_FILTER_INIT, .check_user = true, .sync_status = _SYNC_STATUS_INVALID };
        Bus *bus = userdata;
        char *json = NULL;
        int r;

        request.filter.limit = LIMIT_USUAL;
        r = filter_read(m, options, option_views, &request, &request.view_word, &request.view, error);
        if (r >= 0)
                r = request_check(bus, &request, error);
        if (r >= 0 && request.view == VIEW_OPEN_WEARABLES && request.filter.user_id && request.check_user)
                r = filter_user_is_known(bus, request.filter.user_id, error);
        if (r >= 0 && is_large(&request))
                r = read_waits(bus, m, error);
        if (r != 0)
                return r;
        r = describe[request.view](bus, &request, &json);
        if (r == -EINVAL)
                return filter_refuse_page(request.view, error);
        return reply_json(m, r, json, error);
}
