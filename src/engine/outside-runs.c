/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "engine/outside-runs.h"

#include <stdlib.h>

#include "engine/lifecycle.h"
#include "engine/new-users.h"
#include "engine/publication.h"
#include "engine/run-end.h"
#include "engine/run-record.h"

/* ---- Checking: all events of a call are looked at before the first one counts. */

/* A run as it would stand after the events that were looked at. */
typedef struct Prospect {
        const char *run_id;
        const OutsideEvent *first; /* the event that begins it; NULL: it is known */
        const Run *known;
        Run *stored; /* owned */
        bool ended;
        bool lost;
        UT_hash_handle hh;
} Prospect;

typedef struct NewName {
        const char *user_id;
        bool lost;
        UT_hash_handle hh;
} NewName;

typedef struct Check {
        Engine *engine;
        Prospect *prospects;
        NewName *names; /* of users that become known */
} Check;

static void check_done(Check *check)
{
        Prospect *prospect, *next;
        NewName *name, *next_name;

        HASH_ITER(hh, check->prospects, prospect, next) {
                HASH_DEL(check->prospects, prospect);
                run_free(prospect->stored);
                free(prospect);
        }
        HASH_ITER(hh, check->names, name, next_name) {
                HASH_DEL(check->names, name);
                free(name);
        }
}

static int find_known(Engine *engine, Prospect *prospect)
{
        EngineRun *r = engine_run_find(engine, prospect->run_id);
        int k;

        if (r) {
                prospect->known = r->run;
                return 0;
        }
        k = store_get_run(engine->store, prospect->run_id, false, &prospect->stored);
        if (k == -ESRCH)
                return 0;
        prospect->known = prospect->stored;
        return k;
}

static int get_prospect(Check *check, const OutsideEvent *event, Prospect **ret)
{
        Prospect *prospect = NULL;
        int k;

        HASH_FIND_STR(check->prospects, event->run_id, prospect);
        if (!prospect) {
                prospect = calloc(1, sizeof(Prospect));
                if (!prospect)
                        return -ENOMEM;
                prospect->run_id = event->run_id;
                HASH_ADD_KEYPTR(hh, check->prospects, prospect->run_id, strlen(prospect->run_id), prospect);
                if (prospect->lost) {
                        free(prospect);
                        return -ENOMEM;
                }
                k = find_known(check->engine, prospect);
                if (k < 0)
                        return k;
                if (prospect->known)
                        prospect->ended = !run_is_active(prospect->known);
                else
                        prospect->first = event;
        }
        *ret = prospect;
        return 0;
}

static int refuse(char **ret_why, const char *run_id, const char *field, const char *what)
{
        if (ret_why)
                *ret_why = asprintf_or_null("%s: %s run %s", field, what, run_id);
        return -EINVAL;
}

static int check_time(const Engine *engine, const OutsideEvent *event, const char *field, usec_t usec, char **ret_why)
{
        char text[TIMESTAMP_TEXT_MAX], span[TIMESPAN_TEXT_MAX];

        if (usec <= usec_add(engine_now(engine, CLOCK_REALTIME), OUTSIDE_AHEAD_MAX_USEC))
                return 0;
        if (ret_why)
                *ret_why = asprintf_or_null("%s: \"%s\" is more than %s ahead of the clock here, of run %s", field,
                                            strempty(timestamp_format_iso(text, sizeof(text), usec)),
                                            timespan_format(span, sizeof(span), OUTSIDE_AHEAD_MAX_USEC, 0),
                                            event->run_id);
        return -EINVAL;
}

static int check_event(Check *check, const OutsideEvent *event, char **ret_why)
{
        const char *user_id, *provider;
        RunSource source;
        Prospect *prospect;
        int k;

        k = check_time(check->engine, event, "started_at", event->started_usec, ret_why);
        if (k >= 0)
                k = check_time(check->engine, event, "ended_at", event->ended_usec, ret_why);
        if (k >= 0)
                k = get_prospect(check, event, &prospect);
        if (k < 0)
                return k;
        if (prospect->known && prospect->known->connector)
                return refuse(ret_why, event->run_id, "run_id", "a connector here has");
        if (prospect->ended)
                return -ESTALE;
        user_id = prospect->known ? prospect->known->user_id : prospect->first->user_id;
        provider = prospect->known ? prospect->known->provider : prospect->first->provider;
        source = prospect->known ? prospect->known->source : prospect->first->source;
        if (!streq_null(user_id, event->user_id))
                return refuse(ret_why, event->run_id, "user_id", "is not that of");
        if (!streq_null(provider, event->provider))
                return refuse(ret_why, event->run_id, "provider", "is not that of");
        if (source != event->source)
                return refuse(ret_why, event->run_id, "source", "is not that of");
        prospect->ended = sync_status_is_terminal(event->status);
        return 0;
}

/* How many runs the events open and leave open. */
static unsigned count_left_open(const Check *check)
{
        unsigned n = 0;

        for (const Prospect *p = check->prospects; p; p = p->hh.next)
                n += p->first && !p->ended;
        return n;
}

static int add_name(Check *check, const char *user_id)
{
        NewName *name;
        int k;

        HASH_FIND_STR(check->names, user_id, name);
        if (name)
                return 0;
        k = user_is_known(check->engine, user_id);
        if (k != 0)
                return MIN(k, 0);
        name = calloc(1, sizeof(NewName));
        if (!name)
                return -ENOMEM;
        name->user_id = user_id;
        HASH_ADD_KEYPTR(hh, check->names, name->user_id, strlen(name->user_id), name);
        if (!name->lost)
                return 0;
        free(name);
        return -ENOMEM;
}

static int check_users(Check *check, char **ret_why)
{
        int k = 0;

        for (const Prospect *p = check->prospects; k >= 0 && p; p = p->hh.next)
                if (p->first)
                        k = add_name(check, p->first->user_id);
        if (k >= 0 && check->names)
                k = users_have_room(check->engine, HASH_COUNT(check->names));
        if (k == -E2BIG && ret_why)
                *ret_why = asprintf_or_null("user_id: %s is new, and at most %u users may be known. Raise MaxUsers= "
                                            "in [Reports] of syncrun.conf, or report it again when users without runs "
                                            "have been forgotten.",
                                            check->names->user_id, check->engine->settings->max_users);
        return k;
}

static int check_events(Engine *engine, const OutsideEvent *events, size_t n, char **ret_why)
{
        _cleanup_(check_done) Check check = { .engine = engine };
        unsigned left_open, room = engine->settings->max_open_runs;
        int k;

        for (size_t i = 0; i < n; i++) {
                k = check_event(&check, &events[i], ret_why);
                if (k < 0)
                        return k;
        }
        left_open = count_left_open(&check);
        if (left_open > 0 && (left_open > room || engine->n_outside > room - left_open))
                return -ENOBUFS;
        return check_users(&check, ret_why);
}

/* ---- Applying */

static int begin(Engine *engine, const OutsideEvent *event, const char *requested_by, EngineRun **ret)
{
        _cleanup_(run_freep) Run *run = run_new();
        int k;

        if (!run)
                return -ENOMEM;
        if (free_and_strdup(&run->id, event->run_id) < 0 || free_and_strdup(&run->user_id, event->user_id) < 0 ||
            free_and_strdup(&run->provider, event->provider) < 0 ||
            free_and_strdup(&run->requested_by, requested_by) < 0)
                return -ENOMEM;
        run->source = event->source;
        run->trigger = RUN_TRIGGER_REMOTE;
        run->created_usec = engine_now(engine, CLOCK_REALTIME);
        k = user_make_known(engine, run->user_id, run->created_usec);
        if (k >= 0)
                k = engine_run_new(engine, run, ret);
        if (k < 0)
                return k;
        TAKE_PTR(run);
        engine->n_outside++;
        return 0;
}

static int take_words(Run *run, const OutsideEvent *event)
{
        if (free_and_strdup(&run->message, event->message) < 0 || free_and_strdup(&run->error, event->error) < 0)
                return -ENOMEM;
        if (event->primary_user_id && free_and_strdup(&run->primary_user_id, event->primary_user_id) < 0)
                return -ENOMEM;
        return event->metadata && free_and_strdup(&run->metadata, event->metadata) < 0 ? -ENOMEM : 0;
}

static void take_count(uint64_t *count, uint64_t told)
{
        if (told != COUNT_UNKNOWN)
                *count = told;
}

/* What was stored has been discovered, too, whether that is told or not. */
static void take_counts(Counts *counts, const Counts *told)
{
        take_count(&counts->added, told->added);
        take_count(&counts->updated, told->updated);
        take_count(&counts->deduped, told->deduped);
        take_count(&counts->discovered, told->discovered);
        counts->discovered = MAX(counts->discovered, counts_ingested(counts) + counts->deduped);
}

static int apply_event(EngineRun *r, const OutsideEvent *event)
{
        usec_t now = engine_now(r->engine, CLOCK_REALTIME);
        Run *run = r->run;
        RunChange changes = RUN_CHANGE_PROGRESS;
        RunLogEntry log = RUN_LOG_NONE;
        int k;

        k = take_words(run, event);
        if (k < 0)
                return k;
        if (run->stage != event->stage || !r->published)
                changes |= RUN_CHANGE_STATE;
        run->stage = event->stage;
        run->progress = event->progress;
        if (event->items_processed != COUNT_UNKNOWN)
                run->items_processed = event->items_processed;
        if (event->items_total != COUNT_UNKNOWN)
                run->items_total = event->items_total;
        take_counts(&run->counts, &event->counts);
        if (event->started_usec > 0)
                run->started_usec = event->started_usec;
        if (run->state == RUN_QUEUED && event->stage != SYNC_STAGE_QUEUED) {
                (void) run_move(r, RUN_RUNNING);
                if (run->started_usec == 0)
                        run->started_usec = event->ended_usec > 0 ? MIN(event->ended_usec, now) : now;
                log = RUN_LOG_STARTED;
        }
        if (sync_status_is_terminal(event->status)) {
                run->outcome = run_outcome_from_status(event->status);
                run->finished_usec = MAX(event->ended_usec > 0 ? event->ended_usec : now, run->started_usec);
                run_finish(r, RUN_LOG_ENDED);
                return 0;
        }
        run_record(r, RUN_RECORD_EVENT, changes, log);
        return 0;
}

static int on_silence(sd_event_source *source, uint64_t usec, void *userdata)
{
        EngineRun *r = userdata;
        usec_t timeout = r->engine->settings->silence_timeout_usec;
        char span[TIMESPAN_TEXT_MAX];
        _cleanup_free_ char *error = NULL;

        if (r->engine->broken < 0)
                return 0;
        if (engine_now(r->engine, CLOCK_MONOTONIC) < usec_add(r->heard_usec, timeout)) {
                outside_run_watch(r);
                return 0;
        }
        error = asprintf_or_null("Nothing was heard of it for %s",
                                 timespan_format(span, sizeof(span), timeout, USEC_PER_SEC));
        run_conclude(r, &(RunEnd) { .outcome = RUN_FAILED,
                                    .message = "Sync failed",
                                    .error = error ?: "Nothing was heard of it",
                                    .category = _ATTENTION_INVALID });
        run_finish(r, RUN_LOG_LOST);
        return 0;
}

void outside_run_watch(EngineRun *r)
{
        usec_t due = usec_add(r->heard_usec, r->engine->settings->silence_timeout_usec);
        int k;

        k = engine_set_timer(r->engine, &r->timer, CLOCK_MONOTONIC, due, USEC_PER_SEC, on_silence, r);
        if (k < 0)
                engine_break(r->engine, k);
}

static int record_event(Engine *engine, const OutsideEvent *event, const char *requested_by)
{
        EngineRun *r = engine_run_find(engine, event->run_id);
        bool is_new = !r;
        int k = 0;

        if (is_new)
                k = begin(engine, event, requested_by, &r);
        if (k < 0)
                return k;
        run_heard(r);
        run_count_from(r, r->heard_usec);
        k = apply_event(r, event);
        if (k >= 0 && is_new && run_is_active(r->run))
                outside_run_watch(r);
        return k;
}

int engine_report_outside(Engine *engine, const OutsideEvent *events, size_t n, const char *requested_by,
                          EngineReply reply, void *userdata, char **ret_why)
{
        _cleanup_(reply_freep) Reply *answer = NULL;
        int k;

        if (n > REPORT_EVENTS_MAX)
                return -E2BIG;
        k = reply_new(engine, reply, userdata, &answer);
        if (k >= 0)
                k = check_events(engine, events, n, ret_why);
        if (k < 0)
                return k;
        for (size_t i = 0; i < n; i++) {
                k = record_event(engine, &events[i], requested_by);
                if (k < 0) {
                        engine_break(engine, k);
                        break;
                }
        }
        reply_queue(engine, TAKE_PTR(answer), 0);
        return 0;
}
