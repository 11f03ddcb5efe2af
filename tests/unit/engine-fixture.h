/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* An engine on a history and connector files of its own, with a launcher whose workers are entries in a table, and a
 * clock that can be set. Everything that the engine tells is kept as a line of text. */

#include <systemd/sd-event.h>

#include "base/string-util.h"
#include "engine/describe.h"
#include "engine/engine.h"
#include "engine/launcher-impl.h"

#define FIXTURE_WORKERS_MAX 32U

typedef struct FixtureWorker {
        char connector[CONNECTOR_NAME_MAX + 1];
        bool alive;
        bool stopping;
        unsigned generation; /* of it, as invocation id */
} FixtureWorker;

/* What is outside of the daemon, and stays when the engine is closed and opened again. */
typedef struct EngineFixture {
        sd_event *event;
        char folder[64];
        char database[96];
        char *config_dirs[2];
        Settings settings;
        Engine *engine;

        char **news;  /* what the observer was told */
        char **calls; /* what the launcher was asked */
        uint64_t last_seq;
        size_t n_events_calls;

        bool quiet; /* nothing of it is kept as text */

        Launcher launcher;
        bool launcher_is_free;
        bool task_runs;    /* one that is adopted is there */
        bool reconnects;   /* a program that reconnects runs, as far as the launcher knows */
        int start_error;   /* what launcher_start() returns */
        int stop_error;    /* what launcher_stop() returns */
        bool start_slowly; /* started() is told by the test */
        bool shutdown; /* the machine goes down */
        bool unit_tells_memory; /* with launcher_usage() */
        bool hold_usage;   /* launcher_usage() is answered by the test */
        bool hold_adopt;   /* launcher_adopt() is answered by the test */
        LauncherUsageCallback usage_cb;
        void *usage_userdata;
        FixtureWorker workers[FIXTURE_WORKERS_MAX];
        size_t n_workers;
        unsigned n_started;
} EngineFixture;

/* An answer to a call. */
typedef struct Answer {
        unsigned n; /* how often it came */
        int error;
        StartReply start;
        char run_id[RUN_ID_MAX + 1];
        uint64_t sequence;
        bool full_resync;
        char cursor[256];
        char settings[1024]; /* "Key=value;" each */
        bool reconnecting; /* a program runs */
        char reconnected[256]; /* "connector run;" each, "connector after run;" where it was active */
} Answer;

int engine_fixture_setup(void **state);
int engine_fixture_teardown(void **state);
#define ENGINE_TEST(test) cmocka_unit_test_setup_teardown(test, engine_fixture_setup, engine_fixture_teardown)

void fixture_launcher_init(EngineFixture *f);
int fixture_launcher_new(const LauncherCallbacks *callbacks, void *userdata, Launcher **ret);

/* The least that runs. */
#define CONNECTOR(rest) "[Connector]\nProvider=acme\n[Pipeline]\nExecPull=/bin/true\n" rest

/* How a run went, for Finish(). */
RunReport report_success(void); /* 10 discovered: 3 added, 2 updated, 5 deduped */
RunReport report_failure(const char *error, bool retry);
RunReport report_category(AttentionCategory category);

void fixture_open(EngineFixture *f);  /* engine_new() and engine_start(), until all is told */
void fixture_close(EngineFixture *f); /* in order */
void fixture_kill(EngineFixture *f);  /* without a word: what is committed stays, what waits is lost */

/* The clock: now is @usec, and it goes on from there, or stands, as all clocks then do, until it is set. Told to the
 * engine by the test. */
void fixture_set_clock(usec_t usec);
void fixture_stop_clock(usec_t usec);
void fixture_advance_clock(usec_t usec); /* it is set */
void fixture_let_pass(usec_t usec);      /* it goes on, as all clocks; timers that are armed already do not notice */
usec_t fixture_now(clockid_t clock);
void fixture_sleep(usec_t usec);         /* likewise, and the machine sleeps meanwhile */
void fixture_come_near(EngineFixture *f, usec_t usec); /* set just before a time, and the engine was told */

void fixture_write_connector(EngineFixture *f, const char *name, const char *text); /* NULL removes it */
void fixture_load_connector(EngineFixture *f, const char *name, const char *text);  /* and reloads */

/* One turn of the loop, and turns until nothing waits for the disk any more. */
void fixture_turn(EngineFixture *f);
void fixture_settle(EngineFixture *f);
#define fixture_run_until(f, condition)  \
        do {                             \
                while (!(condition))     \
                        fixture_turn(f); \
        } while (false)

/* News and calls. A line is found if it begins with the text. */
bool fixture_has(char *const *lines, const char *begin);
size_t fixture_count(char *const *lines, const char *begin);
void fixture_forget(EngineFixture *f); /* all lines */
void fixture_expect_order(char *const *lines, const char *first, const char *second);

/* ---- Workers */
bool fixture_worker_alive(EngineFixture *f, const char *connector);
void fixture_worker_started(EngineFixture *f, const char *connector);
void fixture_worker_start_failed(EngineFixture *f, const char *connector, const char *why);
void fixture_worker_stopping(EngineFixture *f, const char *connector);                 /* systemctl stop */
void fixture_worker_ends(EngineFixture *f, const char *connector, const char *reason); /* NULL: well */
void fixture_worker_vanishes(EngineFixture *f, const char *connector);                 /* while nobody looks */
void fixture_task_ends(EngineFixture *f, TaskKind kind, const char *name, ReconnectResult result, const char *status);
void fixture_answer_usage(EngineFixture *f);
void fixture_answer_adopt(EngineFixture *f, const char *connector);

/* ---- Calls, each until its answer */
void on_answer(int error, void *userdata);
/* As "uid:7", for all users. */
int fixture_ask_reconnect(EngineFixture *f, const char *connection, Answer *a);
void on_reconnect_answer(int error, const ReconnectReply *reply, void *userdata);
void on_start_answer(int error, const StartReply *reply, void *userdata);
void on_attach_answer(int error, const AttachReply *reply, void *userdata);

Answer fixture_start(EngineFixture *f, const char *connector, bool full_resync);
/* Of one account or two; NULL: all. */
Answer fixture_start_of(EngineFixture *f, const char *connector, bool full_resync, const char *first, const char *second);
Answer fixture_attach(EngineFixture *f, const char *connector);
int fixture_report(EngineFixture *f, const char *connector, const char *run_id, uint64_t sequence,
                   const RunReport *report);
int fixture_save_cursor(EngineFixture *f, const char *connector, const char *run_id, uint64_t sequence,
                        const char *cursor);
int fixture_finish(EngineFixture *f, const char *connector, const char *run_id, uint64_t sequence,
                   const RunReport *report);
int fixture_settle_run(EngineFixture *f, const char *connector, const char *run_id, const RunReport *report);
int fixture_cancel(EngineFixture *f, const char *run_id);
int fixture_set_active(EngineFixture *f, const char *connector, bool active);
int fixture_outside(EngineFixture *f, const OutsideEvent *events, size_t n);

/* A run from start to end: started, attached, finished with @report, ended. */
void fixture_whole_run(EngineFixture *f, const char *connector, const RunReport *report,
                       char ret_id[static RUN_ID_MAX + 1]);
/* The rest of it, from a run that is being started. */
void fixture_run_to_end(EngineFixture *f, const char *connector, const RunReport *report);

const Run *fixture_run(EngineFixture *f, const char *run_id); /* as published; must be there */
Run *fixture_stored(EngineFixture *f, const char *run_id); /* as in the history, with accounts; freed by the caller */
const Connector *fixture_connector(EngineFixture *f, const char *name);
int64_t fixture_sql(EngineFixture *f, const char *sql); /* by another connection */
