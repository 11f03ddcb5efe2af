/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "store/retain.h"

#include <stdlib.h>

#include "base/time-util.h"
#include "store/event-loss.h"
#include "store/key-set.h"
#include "store/retain-step.h"
#include "store/store-private.h"

/* Among the keys of users: whose events and runs have none. */
#define NOBODY 0

typedef enum RetainPhase {
        RETAIN_OLD_EVENTS,
        RETAIN_USERS_EVENTS,
        RETAIN_OLD_RUNS,
        RETAIN_CONNECTORS_RUNS,
        RETAIN_USERS_RUNS, /* from outside */
        RETAIN_IDLE_USERS,
        RETAIN_WEBHOOK_MESSAGES,
        RETAIN_RECORD_ATTEMPTS,
        RETAIN_LOSSES,
        _RETAIN_PHASE_MAX,
} RetainPhase;

struct Retention {
        RetentionPolicy policy;
        bool more;
        RetainPhase phase;
        uint64_t event_position; /* RETAIN_OLD_EVENTS: looked at up to here */
        RunOutcome outcome;      /* RETAIN_OLD_RUNS: of this one, looked at up to the next two */
        uint64_t run_created_usec;
        int64_t run_row;
        KeySet event_users;
        KeySet run_connectors;
        KeySet run_users;
        KeySet idle_users;
        usec_t idle_users_usec; /* when all were looked at last */
        uint64_t n_lost;        /* see retention_take_lost() */
};

Retention *retention_new(void)
{
        Retention *retention = calloc(1, sizeof(Retention));

        if (retention)
                retention_reset(retention);
        return retention;
}

Retention *retention_free(Retention *retention)
{
        if (!retention)
                return NULL;
        retention_reset(retention);
        free(retention);
        return NULL;
}

static void start_round(Retention *retention)
{
        retention->phase = RETAIN_OLD_EVENTS;
        retention->event_position = 0;
        retention->outcome = 0;
        retention->run_created_usec = 0;
        retention->run_row = 0;
}

void retention_reset(Retention *retention)
{
        key_set_clear(&retention->event_users);
        key_set_clear(&retention->run_connectors);
        key_set_clear(&retention->run_users);
        key_set_clear(&retention->idle_users);
        retention->more = false;
        retention->n_lost = 0;
        start_round(retention);
}

uint64_t retention_take_lost(Retention *retention)
{
        uint64_t n = retention->n_lost;

        retention->n_lost = 0;
        return n;
}

void retention_event_added(Retention *retention, int64_t user)
{
        key_set_add(&retention->event_users, user);
}

int retention_run_ended(Retention *retention, Db *db, const Run *run)
{
        static const char connector[] = "SELECT key FROM connectors WHERE name = ?";
        static const char user[] = "SELECT key FROM users WHERE id = ?";
        int64_t key = 0;

        if (run->connector)
                key = store_find_key(db, connector, run->connector);
        else if (run->user_id)
                key = store_find_key(db, user, run->user_id);
        if (key > 0)
                key_set_add(run->connector ? &retention->run_connectors : &retention->run_users, key);
        return (int) MIN(key, 0);
}

bool retention_more(const Retention *retention)
{
        return retention->more;
}

int retain_delete_row(Step *step, const char *sql, int64_t row)
{
        _cleanup_query_ Query query = query_begin(step->db, sql);
        int r;

        query_bind_int(&query, row);
        r = query_run(&query);
        if (step->budget > 0)
                step->budget--;
        return r;
}

static int delete_event(Step *step, int64_t seq)
{
        static const char delete_sql[] = "DELETE FROM events WHERE seq = ?";
        int r;

        r = event_loss_remember(step->db, seq);
        return r < 0 ? r : retain_delete_row(step, delete_sql, seq);
}

static int losses(Step *step)
{
        size_t n;
        int r;

        r = event_loss_trim(step->db, step->budget, &n);
        if (r < 0)
                return r;
        step->budget -= n;
        return step->budget > 0;
}

/* From the oldest number on, until one that is young. The few from a time when the clock was ahead are passed over. */
static int old_events(Step *step)
{
        static const char sql[] = "SELECT seq, time_usec FROM events WHERE seq > ? ORDER BY seq LIMIT ?";
        usec_t max_age_usec = step->retention->policy.events_max_age_usec;
        _cleanup_query_ Query query = {};
        int r = 0;

        if (max_age_usec == 0 || max_age_usec >= step->now_usec)
                return 1;
        query = query_begin(step->db, sql);
        query_bind_uint(&query, step->retention->event_position);
        query_bind_uint(&query, step->budget);
        while (step->budget > 0 && (r = query_step(&query)) > 0) {
                int64_t seq = query_get_int(&query);
                uint64_t time_usec = query_get_uint(&query);

                if (time_usec < step->now_usec - max_age_usec) {
                        r = delete_event(step, seq);
                        if (r < 0)
                                return r;
                } else if (time_usec <= step->now_usec) {
                        return 1;
                } else {
                        step->budget--;
                }
                step->retention->event_position = (uint64_t) seq;
        }
        return r < 0 ? r : step->budget > 0;
}

const char *retain_event_sql(bool list)
{
        return list ? "SELECT seq FROM events INDEXED BY events_by_user WHERE user IS ? AND seq <= ?"
                      " ORDER BY seq LIMIT ?"
                    : "SELECT seq FROM events INDEXED BY events_by_user WHERE user IS ?"
                      " ORDER BY seq DESC LIMIT 1 OFFSET ?";
}

static void bind_user(Query *query, int64_t user)
{
        if (user == NOBODY)
                query_bind_null(query);
        else
                query_bind_int(query, user);
}

/* The newest of one user are kept, and those of nobody as of one user. */
static int events_of_user(Step *step, int64_t user)
{
        _cleanup_query_ Query first = query_begin(step->db, retain_event_sql(false)),
                              list = query_begin(step->db, retain_event_sql(true));
        int r;

        bind_user(&first, user);
        query_bind_uint(&first, step->retention->policy.events_max_per_user);
        r = query_step(&first);
        if (r <= 0)
                return r;
        bind_user(&list, user);
        query_bind_int(&list, query_get_int(&first));
        query_bind_uint(&list, step->budget);
        while (step->budget > 0 && (r = query_step(&list)) > 0) {
                r = delete_event(step, query_get_int(&list));
                if (r < 0)
                        return r;
        }
        return r;
}

/* Calls @trim for each key until the step's rows are used up. Return: 1 done; 0 there is more; negative errno. */
static int each_key(Step *step, KeySet *set, const char *next_sql, int (*trim)(Step *step, int64_t key))
{
        int64_t key;
        int r;

        while (step->budget > 0) {
                r = key_set_peek(set, step->db, next_sql, &key);
                if (r <= 0)
                        return r < 0 ? r : 1;
                step->budget--;
                r = trim(step, key);
                if (r < 0)
                        return r;
                if (step->budget > 0)
                        key_set_pop(set, key);
        }
        return 0;
}

static const char next_user_sql[] = "SELECT key FROM users WHERE key > ? ORDER BY key LIMIT 1";
static const char next_user_or_nobody_sql[] = "SELECT 0 AS key WHERE ?1 < 0 UNION ALL"
                                              " SELECT key FROM users WHERE key > ?1 ORDER BY key LIMIT 1";
static const char next_connector_sql[] = "SELECT key FROM connectors WHERE key > ? ORDER BY key LIMIT 1";

static int users_events(Step *step)
{
        if (step->retention->policy.events_max_per_user == 0)
                return 1;
        return each_key(step, &step->retention->event_users, next_user_or_nobody_sql, events_of_user);
}

/* What speaks for a run that is past its time: that it is the newest of its connector, or one that the connector's
 * record names. */
#define RUN_IS_NEEDED                                                                                                \
        "(runs.row IS (SELECT newest.row FROM runs AS newest WHERE newest.connector = runs.connector"                \
        "              ORDER BY newest.created_usec DESC, newest.row DESC LIMIT 1) OR"                               \
        " EXISTS (SELECT 1 FROM connectors WHERE connectors.key = runs.connector"                                    \
        "         AND runs.id IN (last_run_id, attention_run_id, retry_of)))"

/* With its events, which go first. Return: 1; 0 the step's rows are used up; negative errno. */
static int delete_run(Step *step, int64_t row)
{
        static const char events_sql[] = "SELECT seq FROM events INDEXED BY events_by_run WHERE run = ?"
                                         " ORDER BY seq LIMIT ?";
        static const char delete_sql[] = "DELETE FROM runs WHERE row = ?";
        _cleanup_query_ Query query = query_begin(step->db, events_sql);
        int r = 0;

        query_bind_int(&query, row);
        query_bind_uint(&query, step->budget);
        while (step->budget > 0 && (r = query_step(&query)) > 0) {
                r = delete_event(step, query_get_int(&query));
                if (r < 0)
                        return r;
        }
        if (r < 0 || step->budget == 0)
                return MIN(r, 0);
        query_end(&query);
        r = retain_delete_row(step, delete_sql, row);
        return r < 0 ? r : 1;
}

/* Runs have limits by kind. The database counts the kinds in this order, as RUN_KIND does. */
typedef enum RunKind {
        RUN_KIND_ENDED,
        RUN_KIND_FAILED,
        RUN_KIND_SKIPPED,
        _RUN_KIND_MAX,
} RunKind;

#define RUN_KIND    "CASE outcome WHEN 'failed' THEN 1 WHEN 'partial' THEN 1 WHEN 'skipped' THEN 2 ELSE 0 END"
#define KIND_COUNTS "n_ended, n_failed, n_skipped"

typedef struct KindLimit {
        usec_t max_age_usec;
        unsigned max;
} KindLimit;

static KindLimit kind_limit(const RetentionPolicy *policy, RunKind kind)
{
        switch (kind) {
        case RUN_KIND_FAILED:
                return (KindLimit) { policy->failed_runs_max_age_usec, policy->failed_runs_max_per_connector };
        case RUN_KIND_SKIPPED:
                return (KindLimit) { policy->skipped_runs_max_age_usec, policy->skipped_runs_max_per_connector };
        default:
                return (KindLimit) { policy->runs_max_age_usec, policy->runs_max_per_connector };
        }
}

static RunKind kind_of(RunOutcome outcome)
{
        return outcome == RUN_SKIPPED                               ? RUN_KIND_SKIPPED
               : outcome == RUN_FAILED || outcome == RUN_PARTIAL ? RUN_KIND_FAILED
                                                                    : RUN_KIND_ENDED;
}

static int old_runs_of_outcome(Step *step)
{
        static const char sql[] = "SELECT row, created_usec, " RUN_IS_NEEDED
                                  " FROM runs INDEXED BY runs_by_outcome"
                                  " WHERE outcome = ? AND created_usec < ? AND (created_usec, row) > (?, ?) AND state "
                                  "= 'finished'"
                                  " ORDER BY created_usec, row LIMIT ?";
        Retention *retention = step->retention;
        usec_t max_age_usec = kind_limit(&retention->policy, kind_of(retention->outcome)).max_age_usec;
        _cleanup_query_ Query query = {};
        int r = 0;

        if (max_age_usec == 0 || max_age_usec >= step->now_usec)
                return 1;
        query = query_begin(step->db, sql);
        query_bind_text(&query, run_outcome_to_string(retention->outcome));
        query_bind_uint(&query, step->now_usec - max_age_usec);
        query_bind_uint(&query, retention->run_created_usec);
        query_bind_int(&query, retention->run_row);
        query_bind_uint(&query, step->budget);
        while (step->budget > 0 && (r = query_step(&query)) > 0) {
                int64_t row = query_get_int(&query);
                uint64_t created_usec = query_get_uint(&query);

                if (query_get_int(&query))
                        step->budget--;
                else if ((r = delete_run(step, row)) <= 0)
                        return r;
                retention->run_row = row;
                retention->run_created_usec = created_usec;
        }
        return r < 0 ? r : step->budget > 0;
}

static int old_runs(Step *step)
{
        Retention *retention = step->retention;
        int r;

        for (; retention->outcome < _RUN_OUTCOME_MAX; retention->outcome++) {
                r = old_runs_of_outcome(step);
                if (r <= 0)
                        return r;
                retention->run_created_usec = 0;
                retention->run_row = 0;
        }
        return 1;
}

typedef struct RunQuota {
        const char *count_sql;  /* of a key: how many of each kind */
        const char *oldest_sql; /* of a key: the oldest of a kind, so many */
} RunQuota;

/* The oldest runs of one kind beyond its limit. */
static int runs_beyond(Step *step, const RunQuota *quota, int64_t key, RunKind kind, int64_t n)
{
        unsigned max = kind_limit(&step->retention->policy, kind).max;
        _cleanup_query_ Query query = {};
        int r = 0;

        if (max == 0 || n <= (int64_t) max)
                return 0;
        query = query_begin(step->db, quota->oldest_sql);
        query_bind_int(&query, key);
        query_bind_int(&query, kind);
        query_bind_uint(&query, MIN((uint64_t) n - max, (uint64_t) step->budget));
        while (step->budget > 0 && (r = query_step(&query)) > 0) {
                r = delete_run(step, query_get_int(&query));
                if (r <= 0)
                        return r;
        }
        return r;
}

static int runs_of_key(Step *step, const RunQuota *quota, int64_t key)
{
        _cleanup_query_ Query query = query_begin(step->db, quota->count_sql);
        int64_t n[_RUN_KIND_MAX];
        int r;

        query_bind_int(&query, key);
        r = query_step(&query);
        if (r <= 0)
                return r;
        for (RunKind kind = 0; kind < _RUN_KIND_MAX; kind++)
                n[kind] = query_get_int(&query);
        query_end(&query);
        for (RunKind kind = 0; r >= 0 && kind < _RUN_KIND_MAX; kind++)
                r = runs_beyond(step, quota, key, kind, n[kind]);
        return r;
}

/* RUN_KIND stands in the indexes as it does here. */
#define OLDEST_SQL(from)                                                                                             \
        "SELECT row FROM runs INDEXED BY " from " AND " RUN_KIND " = ? AND state = 'finished' AND NOT " RUN_IS_NEEDED \
        " ORDER BY created_usec, row LIMIT ?"

const char *retain_oldest_run_sql(bool outside)
{
        return outside ? OLDEST_SQL("runs_by_user_kind WHERE user = ? AND connector IS NULL")
                       : OLDEST_SQL("runs_by_connector_kind WHERE connector = ?");
}

static int runs_of_connector(Step *step, int64_t connector)
{
        const RunQuota quota = {
                "SELECT " KIND_COUNTS " FROM connectors WHERE key = ?",
                retain_oldest_run_sql(false),
        };

        return runs_of_key(step, &quota, connector);
}

static int outside_runs_of_user(Step *step, int64_t user)
{
        const RunQuota quota = {
                "SELECT " KIND_COUNTS " FROM users WHERE key = ?",
                retain_oldest_run_sql(true),
        };

        return runs_of_key(step, &quota, user);
}

static int connectors_runs(Step *step)
{
        return each_key(step, &step->retention->run_connectors, next_connector_sql, runs_of_connector);
}

static int users_runs(Step *step)
{
        return each_key(step, &step->retention->run_users, next_user_sql, outside_runs_of_user);
}

static int idle_user(Step *step, int64_t user)
{
        size_t n;
        int r;

        r = user_forget_idle(step->db, user, step->budget, &n);
        if (r < 0)
                return r;
        step->budget -= n;
        return 0;
}

/* All of them once a day, since many things name users. */
static int idle_users(Step *step)
{
        Retention *retention = step->retention;
        usec_t then = retention->idle_users_usec;

        if (step->now_usec < then || step->now_usec - then >= IDLE_USERS_INTERVAL_USEC) {
                key_set_clear(&retention->idle_users);
                retention->idle_users_usec = step->now_usec;
        }
        return each_key(step, &retention->idle_users, next_user_sql, idle_user);
}

static bool policy_equal(const RetentionPolicy *a, const RetentionPolicy *b)
{
        return a->events_max_age_usec == b->events_max_age_usec &&
               a->events_max_per_user == b->events_max_per_user && a->runs_max_age_usec == b->runs_max_age_usec &&
               a->runs_max_per_connector == b->runs_max_per_connector &&
               a->failed_runs_max_age_usec == b->failed_runs_max_age_usec &&
               a->failed_runs_max_per_connector == b->failed_runs_max_per_connector &&
               a->skipped_runs_max_age_usec == b->skipped_runs_max_age_usec &&
               a->skipped_runs_max_per_connector == b->skipped_runs_max_per_connector &&
               a->webhook_messages_max_age_usec == b->webhook_messages_max_age_usec &&
               a->webhook_messages_max == b->webhook_messages_max;
}

int retention_step(Retention *retention, Db *db, const RetentionPolicy *policy, usec_t now_usec)
{
        static int (*const phases[])(Step *step) = {
                [RETAIN_OLD_EVENTS] = old_events,           [RETAIN_USERS_EVENTS] = users_events,
                [RETAIN_OLD_RUNS] = old_runs,               [RETAIN_CONNECTORS_RUNS] = connectors_runs,
                [RETAIN_USERS_RUNS] = users_runs,           [RETAIN_IDLE_USERS] = idle_users,
                [RETAIN_LOSSES] = losses,
                [RETAIN_WEBHOOK_MESSAGES] = retain_webhook_messages,
                [RETAIN_RECORD_ATTEMPTS] = retain_record_attempts,
        };
        Step step = { .retention = retention,
                      .policy = policy,
                      .db = db,
                      .now_usec = now_usec,
                      .budget = RETAIN_STEP_ROWS };
        int r;

        if (!policy_equal(&retention->policy, policy)) {
                retention_reset(retention);
                retention->policy = *policy;
        }
        for (; retention->phase < _RETAIN_PHASE_MAX; retention->phase++) {
                r = phases[retention->phase](&step);
                if (r < 0)
                        return r;
                if (r == 0)
                        break;
        }
        retention->n_lost += step.n_lost;
        retention->more = retention->phase < _RETAIN_PHASE_MAX;
        if (!retention->more)
                start_round(retention);
        return 0;
}

typedef struct RetainWrite {
        Write write;
        RetentionPolicy policy;
        usec_t now_usec;
} RetainWrite;

static int apply_retain(Write *write, Db *db, Retention *retention)
{
        RetainWrite *w = container_of(write, RetainWrite, write);

        return retention_step(retention, db, &w->policy, w->now_usec);
}

static void free_retain(Write *write)
{
}

static const WriteType retain_write = { apply_retain, free_retain };

int store_retain(Store *store, const RetentionPolicy *policy, usec_t now_usec)
{
        RetainWrite *w;
        int r;

        r = store_may_put(store);
        if (r < 0)
                return r;
        w = store_write_new(RetainWrite, &retain_write);
        if (!w)
                return -ENOMEM;
        w->policy = *policy;
        w->now_usec = now_usec;
        return store_put(store, &w->write);
}
