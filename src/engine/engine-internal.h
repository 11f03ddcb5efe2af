/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the engine's files share: its structs. Each file's functions stand in a header of its own name.
 *
 * There are two copies of what is known of a run and of a connector's past: the working one, which runs ahead of the
 * disk, and the published one, which is what is committed and all that anybody outside sees. A change goes to the
 * working copy, to the store, and into the queue of publications (publication.h); when its commit is announced, the
 * published copy follows and news goes up. When a commit fails, the working copies are worth nothing and are read anew
 * (reconcile.h). */

#define uthash_nonfatal_oom(elt) ((elt)->lost = true)
#include <systemd/sd-id128.h>
#include <uthash.h>
#include <utlist.h>

#include "base/heap.h"
#include "base/string-util.h"
#include "base/time-util.h"
#include "engine/engine.h"
#include "engine/statistics.h"
#include "model/schedule.h"

#define TIMER_ACCURACY_USEC (50 * USEC_PER_MSEC) /* timers of many runs fire together within it */

typedef struct ApiKeyEntry ApiKeyEntry;
typedef struct ConnectorEntry ConnectorEntry;
typedef struct EngineRun EngineRun;
typedef struct PendingCall PendingCall;
typedef struct ProviderQueue ProviderQueue;
typedef struct Publication Publication;
typedef struct Webhooks Webhooks;

/* A run in memory: active, or finished some minutes ago. */
struct EngineRun {
        Engine *engine;
        char *id;
        Run *run;                        /* working copy */
        Run *published;                  /* NULL until its first commit; without accounts */
        ConnectorEntry *connector;       /* NULL: from outside */
        ConnectorDefinition *definition; /* what it began with; NULL: from outside */

        ProviderQueue *provider; /* where it waits, or whose slot it holds */
        bool waiting;

        sd_event_source *timer;
        usec_t deadline_usec; /* CLOCK_MONOTONIC, of TimeoutSec= */
        usec_t heard_usec;    /* CLOCK_MONOTONIC, last word from its worker, or from outside */
        usec_t stopping_usec; /* CLOCK_MONOTONIC, since when its worker should end */
        usec_t stop_usec;     /* CLOCK_MONOTONIC, when it is asked to, again */
        usec_t stop_delay_usec; /* between attempts to ask it */
        usec_t event_usec;    /* CLOCK_MONOTONIC, of its newest event */
        sd_event_source *event_timer; /* the end of PROGRESS_INTERVAL_USEC after it */
        bool owes_event;              /* there was progress since */
        usec_t ended_usec;    /* CLOCK_MONOTONIC */

        bool read;               /* from the store, and to be taken up */
        bool adopting;           /* it is not known yet whether its worker still runs */
        PendingCall *finishing;  /* Finish() came and waits for the resource use */
        unsigned n_publications; /* that point here */
        bool lingering;          /* in the list of finished runs */
        bool lost;               /* could not be put into the table */
        bool outlived;           /* its connection was reconnected after it began */
        EngineRun *prev, *next;  /* in the provider's queue, or in the list of finished runs */
        UT_hash_handle hh;
};

/* A connector in memory. Kept, once made, as long as the engine: without a file it has no definition and is not seen.
 */
struct ConnectorEntry {
        Connector published;
        char *name;
        char *id;
        ConnectorDefinition *definition; /* NULL: there is no file and no active run */
        bool has_file;
        bool in_files;          /* seen by the reading of files under way */
        bool stored;            /* the history has its record, or will with what is put */
        bool was_read;          /* the history had its record when it was read last */
        bool announced;         /* connector_added() was told */
        bool unsaved;           /* the schedule has changed the record: it is saved when it is published */
        bool save_waits;        /* see connector_save_waiting() */
        unsigned waiting_news;  /* ConnectorNews of it */
        ConnectorEntry *save_prev, *save_next;
        ConnectorRecord record; /* working copy */
        EngineRun *run;         /* the active one, or NULL */

        ScheduleNext schedule;
        double random_fraction; /* of RandomizedDelaySec=, until the schedule is acted on; negative: not drawn yet */
        usec_t next_elapse_usec;
        HeapNode due; /* when it is looked at next */

        struct ConnectionEntry *connection; /* NULL: none */
        ConnectorEntry *prev, *next;        /* in its connection */
        sd_event_source *deletion_timer;
        bool recovered_in_vain; /* ran because its connection was active again, and needs it still */
        bool lost;
        UT_hash_handle hh;
        UT_hash_handle hh_id;
};

/* A connection in memory. Kept, once made, as long as the engine: without a file and connectors it is not seen. */
typedef struct ConnectionEntry {
        Engine *engine;
        char *name;
        ConnectionDefinition *definition; /* NULL: there is no file */
        ConnectionDefinition *definition_gone; /* of a file that was there last, and perhaps is in a moment; NULL */
        bool in_files;                    /* seen by the reading of files under way */
        bool stored;                      /* the history has its record, or will with what is put */
        bool abandoned; /* a program of it may run still, and what comes of that is of no interest any more */
        ConnectionRecord record; /* working copy */
        ConnectionRecord published;
        char words[128]; /* what its consent's end says, as engine_find_connection() gives it */
        ConnectorEntry *members;
        bool lost;
        UT_hash_handle hh;
} ConnectionEntry;

/* Runs of one provider: those that wait, first come first served, and how many have a slot. */
struct ProviderQueue {
        char *name;
        EngineRun *waiting;
        unsigned n_active;
        bool in_turn; /* has a waiting run that its own limit lets start */
        bool lost;
        ProviderQueue *prev, *next; /* in the round of providers */
        UT_hash_handle hh;
};

struct Engine {
        sd_event *event;
        const Settings *settings;
        char **config_dirs;
        char **connection_dirs;
        EngineObserver observer;
        usec_t (*now)(clockid_t clock);
        char boot_id[SD_ID128_STRING_MAX];
        Store *store;
        Launcher *launcher;

        ConnectorEntry *connectors;
        ConnectorEntry *connectors_by_id;
        Heap due; /* connectors, by the time */
        sd_event_source *due_timer;
        bool serving_due; /* the timer is set, and records are saved, when all have been served */
        ConnectorEntry *waiting_saves;
        ConnectionEntry *connections;
        usec_t connections_due_usec;
        sd_event_source *connections_timer; /* the next end of a consent, or of the time before it is expiring */

        Webhooks *webhooks;

        ApiKeyEntry *api_keys; /* by name */
        unsigned n_api_keys;

        EngineRun *runs;
        EngineRun *finished; /* oldest first */
        unsigned n_finished;
        sd_event_source *finished_timer;
        unsigned n_outside; /* active runs from outside */
        struct NewUser *new_users; /* those that are on their way to the disk */

        ProviderQueue *providers;
        ProviderQueue *turn; /* round of those with something to start */
        unsigned n_slots;    /* runs that hold a slot */
        unsigned n_waiting;
        bool owes_runs; /* some connector waits, without a run, for room in the queue */

        Publication *publications, *publications_tail;
        Publication *events, *events_tail; /* committed, not yet told */
        size_t n_events;
        sd_event_source *publish_source;
        bool publishing;
        unsigned n_replies;
        PendingCall *calls;

        uint64_t announced_ticket; /* as the store says */
        uint64_t committed_ticket; /* as publications go by: stands still while broken */
        uint64_t events_after_seq; /* numbers of events are above this one */
        uint64_t last_seq;         /* given to the newest event, committed or not */
        uint64_t published_seq;    /* of the newest that was told */

        int64_t clock_offset_usec; /* CLOCK_REALTIME less CLOCK_BOOTTIME, as last seen */
        int64_t slept_usec;        /* likewise CLOCK_BOOTTIME less CLOCK_MONOTONIC: how long the machine slept */
        bool started;
        bool files_read; /* once at least: before that, what has no file is not known to have none */
        bool store_failed;
        int broken; /* negative errno: the working copies are worth nothing */
        sd_event_source *break_source;
        sd_event_source *recover_timer;

        sd_event_source *retention_source;
        sd_event_source *retention_timer;

        struct LogRead *log_reads;
        unsigned n_log_reads;

        EngineStatus status; /* of what is published */
        Statistics statistics;
        bool status_changed;
};

static inline usec_t engine_now(const Engine *engine, clockid_t clock)
{
        return engine->now(clock);
}

/* A random fraction, [0, 1). */
double engine_random(void);

/**
 * engine_set_timer() - arm, move or (USEC_INFINITY) stop a one-shot timer
 * @source: made when it is first needed; unref'd by the caller
 * @usec:   on @clock as the engine sees it
 *
 * Return: 0; negative errno.
 */
int engine_set_timer(Engine *engine, sd_event_source **source, clockid_t clock, usec_t usec, usec_t accuracy_usec,
                     sd_event_time_handler_t handler, void *userdata);

/* The clock may have been set since this was asked last: what waits for a span of time, and not for a time, moves with
 * it, and schedules are computed anew. */
void engine_take_clock_step(Engine *engine);

/**
 * engine_break() - the working copies are no longer what the disk will have
 * @error: negative; of a commit, or of a write that could not be put
 *
 * From now on every change is refused with -EROFS; what waits for a commit is refused in the next turn of the loop.
 */
void engine_break(Engine *engine, int error);
