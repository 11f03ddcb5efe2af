/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "unit/expect.h"

#include "unit/engine-fixture.h"

#include <ftw.h>
#include <inttypes.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/fd-util.h"
#include "base/log.h"
#include "base/time-util.h"
#include "engine/engine-internal.h"

#define DEADLINE_USEC (20 * USEC_PER_SEC) /* a test whose condition is not met by then has failed */

/* The launcher's making takes no userdata, and the clock has none. */
static EngineFixture *fixture;
static int64_t clock_offset;

/* ---- The clock */

usec_t fixture_now(clockid_t clock)
{
        usec_t now = now_usec(clock);

        return clock == CLOCK_REALTIME ? now + (usec_t) clock_offset : now;
}

void fixture_set_clock(usec_t usec)
{
        clock_offset = (int64_t) (usec - now_usec(CLOCK_REALTIME));
}

void fixture_advance_clock(usec_t usec)
{
        clock_offset += (int64_t) usec;
}

/* ---- The launcher */

static EngineFixture *of_launcher(Launcher *launcher)
{
        return container_of(launcher, EngineFixture, launcher);
}

static void note_call(EngineFixture *f, const char *what, const char *connector)
{
        expect_ok(strv_consume(&f->calls, asprintf_or_null("%s %s", what, connector)));
}

static FixtureWorker *find_worker(EngineFixture *f, const char *connector, bool add)
{
        for (size_t i = 0; i < f->n_workers; i++)
                if (streq(f->workers[i].connector, connector))
                        return &f->workers[i];
        if (!add)
                return NULL;
        assert_true(f->n_workers < FIXTURE_WORKERS_MAX);
        (void) strcpy(f->workers[f->n_workers].connector, connector);
        return &f->workers[f->n_workers++];
}

bool fixture_worker_alive(EngineFixture *f, const char *connector)
{
        FixtureWorker *w = find_worker(f, connector, false);

        return w && w->alive;
}

static void fake_free(Launcher *launcher)
{
        of_launcher(launcher)->launcher_is_free = true;
}

static int fake_start(Launcher *launcher, const char *connector)
{
        EngineFixture *f = of_launcher(launcher);
        FixtureWorker *w = find_worker(f, connector, true);

        note_call(f, "start", connector);
        if (f->start_error < 0)
                return f->start_error;
        if (w->alive)
                return -EEXIST;
        w->alive = true;
        w->stopping = false;
        w->generation = ++f->n_started;
        if (!f->start_slowly)
                fixture_worker_started(f, connector);
        return 0;
}

static int fake_stop(Launcher *launcher, const char *connector)
{
        EngineFixture *f = of_launcher(launcher);
        FixtureWorker *w = find_worker(f, connector, false);

        note_call(f, "stop", connector);
        if (!w || !w->alive)
                return -ENOENT;
        w->stopping = true;
        return 0;
}

static int fake_adopt(Launcher *launcher, const Run *run)
{
        EngineFixture *f = of_launcher(launcher);
        FixtureWorker *w = find_worker(f, run->connector, false);

        note_call(f, "adopt", run->connector);
        if (w && w->alive)
                fixture_worker_started(f, run->connector);
        else
                f->launcher.callbacks.ended(run->connector,
                                            &(WorkerExit) { .gone = true,
                                                            .exit_status = -1,
                                                            .cpu_usec = COUNT_UNKNOWN,
                                                            .io_read_bytes = COUNT_UNKNOWN,
                                                            .io_write_bytes = COUNT_UNKNOWN },
                                            f->launcher.userdata);
        return 0;
}

static int fake_verify(Launcher *launcher, const char *connector, uid_t uid, pid_t pid, LauncherVerifyCallback cb,
                       void *userdata)
{
        cb(fixture_worker_alive(of_launcher(launcher), connector) && uid == 4711 ? 0 : -EACCES, userdata);
        return 0;
}

static int fake_usage(Launcher *launcher, const char *connector, LauncherUsageCallback cb, void *userdata)
{
        EngineFixture *f = of_launcher(launcher);

        f->usage_cb = cb;
        f->usage_userdata = userdata;
        if (!f->hold_usage)
                fixture_answer_usage(f);
        return 0;
}

void fixture_answer_usage(EngineFixture *f)
{
        f->usage_cb(&(WorkerExit) { .cpu_usec = 1234, .io_read_bytes = 5678, .io_write_bytes = COUNT_UNKNOWN },
                    f->usage_userdata);
}

static int fake_launcher_new(const LauncherCallbacks *callbacks, void *userdata, Launcher **ret)
{
        static const LauncherVTable vtable = {
                .free = fake_free,
                .start = fake_start,
                .stop = fake_stop,
                .adopt = fake_adopt,
                .verify = fake_verify,
                .usage = fake_usage,
        };

        fixture->launcher = (Launcher) { .vtable = &vtable, .callbacks = *callbacks, .userdata = userdata };
        fixture->launcher_is_free = false;
        *ret = &fixture->launcher;
        return 0;
}

void fixture_worker_started(EngineFixture *f, const char *connector)
{
        FixtureWorker *w = find_worker(f, connector, true);
        char invocation[33];

        (void) snprintf(invocation, sizeof(invocation), "%032x", w->generation);
        f->launcher.callbacks.started(connector, invocation, 0, 0, f->launcher.userdata);
}

void fixture_worker_start_failed(EngineFixture *f, const char *connector, const char *why)
{
        find_worker(f, connector, true)->alive = false;
        f->launcher.callbacks.start_failed(connector, why, f->launcher.userdata);
        fixture_settle(f);
}

void fixture_worker_stopping(EngineFixture *f, const char *connector)
{
        find_worker(f, connector, true)->stopping = true;
        f->launcher.callbacks.stopping(connector, f->launcher.userdata);
        fixture_settle(f);
}

void fixture_worker_ends(EngineFixture *f, const char *connector, const char *reason)
{
        FixtureWorker *w = find_worker(f, connector, true);
        WorkerExit how = WORKER_EXIT_INIT;

        assert_true(w->alive);
        w->alive = false;
        how.clean = !reason;
        how.exit_status = 0;
        how.stop_requested = w->stopping;
        how.cpu_usec = 99;
        (void) snprintf(how.reason, sizeof(how.reason), "%s", reason ?: "the worker ended with exit status 0");
        f->launcher.callbacks.ended(connector, &how, f->launcher.userdata);
        fixture_settle(f);
}

void fixture_worker_vanishes(EngineFixture *f, const char *connector)
{
        find_worker(f, connector, true)->alive = false;
}

/* ---- The observer */

static void note(EngineFixture *f, char *line)
{
        expect_ok(strv_consume(&f->news, line));
}

static void on_run_added(const Run *run, void *userdata)
{
        note(userdata, asprintf_or_null("run+ %s %s", strna(run->connector), run_state_to_string(run->state)));
}

static void on_run_changed(const Run *run, RunChange changes, void *userdata)
{
        note(userdata,
             asprintf_or_null("run %s %s %s%s", strna(run->connector), run_state_to_string(run->state),
                              changes & RUN_CHANGE_STATE ? "S" : "", changes & RUN_CHANGE_PROGRESS ? "P" : ""));
}

static void on_run_removed(const char *run_id, const char *connector, void *userdata)
{
        note(userdata, asprintf_or_null("run- %s %s", strna(connector), run_id));
}

/* The words of an event that tests look at. */
static char *event_line(const CommittedEvent *event)
{
        static const char *const keys[] = { "stage", "status", "run_id" };
        char words[ELEMENTSOF(keys)][RUN_ID_MAX + 1];

        for (size_t i = 0; i < ELEMENTSOF(keys); i++) {
                _cleanup_free_ char *key = asprintf_or_null("\"%s\":\"", keys[i]);
                const char *p = strstr(event->json, key);

                assert_non_null(p);
                p += strlen(key);
                (void) snprintf(words[i], sizeof(words[i]), "%.*s", (int) strcspn(p, "\""), p);
        }
        return asprintf_or_null("event %s %s %s", words[0], words[1], words[2]);
}

static void on_events(const CommittedEvent *events, size_t n, void *userdata)
{
        EngineFixture *f = userdata;

        f->n_events_calls++;
        for (size_t i = 0; i < n; i++) {
                assert_true(events[i].seq > f->last_seq);
                f->last_seq = events[i].seq;
                note(f, event_line(&events[i]));
        }
}

static void on_attention(const Connector *c, void *userdata)
{
        note(userdata, asprintf_or_null("attention %s %s", c->record.name,
                                        strna(attention_category_to_string(c->record.attention.category))));
}

static void on_connector_added(const Connector *c, void *userdata)
{
        note(userdata, asprintf_or_null("connector+ %s", c->record.name));
}

static void on_connector_changed(const Connector *c, void *userdata)
{
        note(userdata, asprintf_or_null("connector %s", c->record.name));
}

static void on_connector_removed(const char *name, void *userdata)
{
        note(userdata, asprintf_or_null("connector- %s", name));
}

static void on_status(void *userdata)
{
        note(userdata, asprintf_or_null("status"));
}

bool fixture_has(char *const *lines, const char *begin)
{
        return fixture_count(lines, begin) > 0;
}

size_t fixture_count(char *const *lines, const char *begin)
{
        size_t n = 0;

        STRV_FOREACH(line, lines)
                n += startswith(*line, begin) != NULL;
        return n;
}

void fixture_forget(EngineFixture *f)
{
        f->news = strv_free(f->news);
        f->calls = strv_free(f->calls);
        f->n_events_calls = 0;
}

void fixture_expect_order(char *const *lines, const char *first, const char *second)
{
        bool seen = false;

        STRV_FOREACH(line, lines) {
                if (startswith(*line, first))
                        seen = true;
                else if (startswith(*line, second)) {
                        assert_true(seen);
                        return;
                }
        }
        fail_msg("'%s' was not told of", second);
}

/* ---- Opening and closing */

int engine_fixture_setup(void **state)
{
        EngineFixture *f = calloc(1, sizeof(EngineFixture));

        if (!f)
                return -1;
        *state = fixture = f;
        clock_offset = 0;
        log_set_target(LOG_TARGET_NULL);
        (void) strcpy(f->folder, "/tmp/syncrun-test-engine-XXXXXX");
        if (!mkdtemp(f->folder))
                return -1;
        (void) snprintf(f->database, sizeof(f->database), "%s/history.db", f->folder);
        f->config_dirs[0] = asprintf_or_null("%s/connectors", f->folder);
        if (!f->config_dirs[0] || mkdir(f->config_dirs[0], 0700) < 0)
                return -1;
        settings_init(&f->settings);
        return sd_event_new(&f->event) < 0 ? -1 : 0;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
        return remove(path);
}

int engine_fixture_teardown(void **state)
{
        EngineFixture *f = *state;

        engine_free(f->engine);
        sd_event_unref(f->event);
        settings_done(&f->settings);
        strv_free(f->news);
        strv_free(f->calls);
        (void) nftw(f->folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
        free(f->config_dirs[0]);
        free(f);
        return 0;
}

void fixture_open(EngineFixture *f)
{
        const EngineObserver observer = {
                .run_added = on_run_added,
                .run_changed = on_run_changed,
                .run_removed = on_run_removed,
                .events_committed = on_events,
                .attention_changed = on_attention,
                .connector_added = on_connector_added,
                .connector_changed = on_connector_changed,
                .connector_removed = on_connector_removed,
                .status_changed = on_status,
                .userdata = f,
        };
        const EngineOptions options = {
                .event = f->event,
                .settings = &f->settings,
                .config_dirs = f->config_dirs,
                .database = f->database,
                .now = fixture_now,
                .launcher_new = fake_launcher_new,
                .store_retry_usec = 5 * USEC_PER_MSEC,
        };

        expect_ok(engine_new(&options, &observer, NULL, &f->engine));
        expect_ok(engine_start(f->engine));
        fixture_settle(f);
}

void fixture_close(EngineFixture *f)
{
        f->engine = engine_free(f->engine);
        assert_true(f->launcher_is_free);
}

void fixture_turn(EngineFixture *f)
{
        usec_t deadline = now_usec(CLOCK_MONOTONIC) + DEADLINE_USEC;
        int r;

        r = sd_event_run(f->event, DEADLINE_USEC);
        expect_ok(r);
        if (r == 0 || now_usec(CLOCK_MONOTONIC) > deadline)
                fail_msg("nothing happens any more");
}

void fixture_settle(EngineFixture *f)
{
        while (f->engine &&
               (f->engine->publications || f->engine->announced_ticket < store_ticket(f->engine->store)) &&
               !f->engine->store_failed)
                fixture_turn(f);
}

void fixture_write_connector(EngineFixture *f, const char *name, const char *text)
{
        _cleanup_free_ char *path = asprintf_or_null("%s/%s.connector", f->config_dirs[0], name);

        if (text)
                expect_ok(write_file_atomic(path, text, strlen(text), 0600));
        else
                expect_ok(-unlink(path));
}

void fixture_load_connector(EngineFixture *f, const char *name, const char *text)
{
        fixture_write_connector(f, name, text);
        expect_ok(engine_reload(f->engine, &f->settings));
        fixture_settle(f);
}

/* ---- Calls */

void on_answer(int error, void *userdata)
{
        Answer *a = userdata;

        a->n++;
        a->error = error;
}

void on_start_answer(int error, const StartReply *reply, void *userdata)
{
        Answer *a = userdata;

        on_answer(error, userdata);
        if (error >= 0) {
                a->start = *reply;
                (void) strcpy(a->run_id, reply->run_id);
        }
}

void on_attach_answer(int error, const AttachReply *reply, void *userdata)
{
        Answer *a = userdata;
        size_t n = 0;

        on_answer(error, userdata);
        if (error < 0)
                return;
        (void) strcpy(a->run_id, reply->run->id);
        a->sequence = reply->sequence;
        a->full_resync = reply->run->full_resync;
        (void) snprintf(a->cursor, sizeof(a->cursor), "%s", reply->cursor);
        for (size_t i = 0; i < reply->settings->n_items && n < sizeof(a->settings); i++)
                n += (size_t) snprintf(a->settings + n, sizeof(a->settings) - n, "%s=%s;",
                                       reply->settings->items[i].key, reply->settings->items[i].value);
}

/* Not from within the call, and once. */
static int wait_for(EngineFixture *f, Answer *a, int r)
{
        if (r < 0) {
                assert_int_equal(a->n, 0);
                return r;
        }
        assert_int_equal(a->n, 0);
        fixture_run_until(f, a->n > 0);
        assert_int_equal(a->n, 1);
        return a->error;
}

Answer fixture_start(EngineFixture *f, const char *connector, bool full_resync)
{
        const StartOptions options = { .full_resync = full_resync,
                                       .trigger = RUN_TRIGGER_MANUAL,
                                       .requested_by = "uid:0" };
        Answer a = {};

        a.error = wait_for(f, &a, engine_start_run(f->engine, connector, &options, on_start_answer, &a));
        return a;
}

Answer fixture_attach(EngineFixture *f, const char *connector)
{
        Answer a = {};

        a.error = wait_for(f, &a, engine_worker_attach(f->engine, connector, on_attach_answer, &a));
        return a;
}

int fixture_report(EngineFixture *f, const char *connector, const char *run_id, uint64_t sequence,
                   const RunReport *report)
{
        Answer a = {};

        return wait_for(f, &a, engine_worker_report(f->engine, connector, run_id, sequence, report, on_answer, &a));
}

int fixture_save_cursor(EngineFixture *f, const char *connector, const char *run_id, uint64_t sequence,
                        const char *cursor)
{
        Answer a = {};

        return wait_for(f, &a,
                        engine_worker_save_cursor(f->engine, connector, run_id, sequence, cursor, on_answer, &a));
}

int fixture_finish(EngineFixture *f, const char *connector, const char *run_id, uint64_t sequence,
                   const RunReport *report)
{
        Answer a = {};

        return wait_for(f, &a, engine_worker_finish(f->engine, connector, run_id, sequence, report, on_answer, &a));
}

int fixture_settle_run(EngineFixture *f, const char *connector, const char *run_id, const RunReport *report)
{
        Answer a = {};

        return wait_for(f, &a, engine_worker_settle(f->engine, connector, run_id, report, on_answer, &a));
}

int fixture_cancel(EngineFixture *f, const char *run_id)
{
        Answer a = {};

        return wait_for(f, &a, engine_cancel_run(f->engine, run_id, "uid:0", on_answer, &a));
}

int fixture_set_active(EngineFixture *f, const char *connector, bool active)
{
        Answer a = {};

        return wait_for(f, &a, engine_set_active(f->engine, connector, active, on_answer, &a));
}

int fixture_outside(EngineFixture *f, const OutsideEvent *events, size_t n)
{
        Answer a = {};

        return wait_for(f, &a, engine_report_outside(f->engine, events, n, "uid:0", on_answer, &a, NULL));
}

void fixture_run_to_end(EngineFixture *f, const char *connector, const RunReport *report)
{
        Answer a;

        fixture_run_until(f, fixture_worker_alive(f, connector));
        a = fixture_attach(f, connector);
        expect_ok(a.error);
        expect_ok(fixture_finish(f, connector, a.run_id, a.sequence + 1, report));
        fixture_worker_ends(f, connector, NULL);
}

void fixture_whole_run(EngineFixture *f, const char *connector, const RunReport *report,
                       char ret_id[static RUN_ID_MAX + 1])
{
        Answer a = fixture_start(f, connector, false);

        expect_ok(a.error);
        assert_false(a.start.already_active);
        (void) strcpy(ret_id, a.run_id);
        fixture_run_to_end(f, connector, report);
}

/* ---- Looking */

const Run *fixture_run(EngineFixture *f, const char *run_id)
{
        const Run *run = engine_find_run(f->engine, run_id);

        assert_non_null(run);
        return run;
}

Run *fixture_stored(EngineFixture *f, const char *run_id)
{
        Run *run;

        expect_ok(store_get_run(engine_store(f->engine), run_id, true, &run));
        return run;
}

const Connector *fixture_connector(EngineFixture *f, const char *name)
{
        const Connector *c = engine_find_connector(f->engine, name);

        assert_non_null(c);
        return c;
}

int64_t fixture_sql(EngineFixture *f, const char *sql)
{
        sqlite3_stmt *stmt = NULL;
        sqlite3 *db = NULL;
        int64_t value = -1;

        assert_int_equal(sqlite3_open_v2(f->database, &db, SQLITE_OPEN_READWRITE, NULL), SQLITE_OK);
        (void) sqlite3_busy_timeout(db, 10000);
        assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &stmt, NULL), SQLITE_OK);
        if (sqlite3_step(stmt) == SQLITE_ROW)
                value = sqlite3_column_int64(stmt, 0);
        assert_int_equal(sqlite3_finalize(stmt), SQLITE_OK);
        assert_int_equal(sqlite3_close(db), SQLITE_OK);
        return value;
}
