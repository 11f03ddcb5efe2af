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

#define DEADLINE_USEC (120 * USEC_PER_SEC) /* of a turn: a test in which nothing happens for so long has failed */

/* The clock's reading takes no userdata. */
static int64_t clock_offset;
static usec_t let_pass; /* by the clocks that nobody sets, too */
static usec_t slept;    /* so much of that */
/* 0: they go. */
static usec_t clock_stands_at, boot_stands_at, monotonic_stands_at;

/* ---- The clock */

usec_t fixture_now(clockid_t clock)
{
        bool stands = clock_stands_at > 0;

        if (clock == CLOCK_REALTIME)
                return stands ? clock_stands_at : now_usec(clock) + (usec_t) clock_offset;
        if (stands)
                return let_pass + (clock == CLOCK_BOOTTIME ? boot_stands_at : monotonic_stands_at - slept);
        return let_pass + now_usec(clock) - (clock == CLOCK_MONOTONIC ? slept : 0);
}

void fixture_set_clock(usec_t usec)
{
        clock_stands_at = 0;
        clock_offset = (int64_t) (usec - now_usec(CLOCK_REALTIME));
}

void fixture_stop_clock(usec_t usec)
{
        clock_stands_at = usec;
        boot_stands_at = now_usec(CLOCK_BOOTTIME);
        monotonic_stands_at = now_usec(CLOCK_MONOTONIC);
}

void fixture_advance_clock(usec_t usec)
{
        if (clock_stands_at > 0)
                clock_stands_at += usec;
        else
                clock_offset += (int64_t) usec;
}

void fixture_let_pass(usec_t usec)
{
        let_pass += usec;
        fixture_advance_clock(usec);
}

void fixture_sleep(usec_t usec)
{
        slept += usec;
        fixture_let_pass(usec);
}

/* The clock stands while the engine arms its timers, so that a slow machine does not miss the time. */
void fixture_come_near(EngineFixture *f, usec_t usec)
{
        fixture_stop_clock(usec - 20 * USEC_PER_MSEC);
        engine_clock_changed(f->engine);
        fixture_set_clock(clock_stands_at);
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

static void on_connection_changed(const char *name, void *userdata)
{
        EngineFixture *f = userdata;
        Connection connection;

        if (engine_find_connection(f->engine, name, &connection) >= 0)
                note(f, asprintf_or_null("connection %s %s", name, connection_state_to_string(connection.state)));
        else
                note(f, asprintf_or_null("connection- %s", name));
}

static void on_connection_reconnected(const ConnectionRecord *record, void *userdata)
{
        note(userdata, asprintf_or_null("reconnected %s %s", record->name,
                                        reconnect_result_to_string(record->reconnect_result)));
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

static void on_api_key_revoked(const char *name, void *userdata)
{
        note(userdata, asprintf_or_null("key- %s", name));
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

/* What is old is deleted when nothing else is to be done, by the clock of that moment: tests that set the clock would
 * have no say in which one that is. Those that want it set an age. */
static void keep_what_is_old(Settings *settings)
{
        settings->events_max_age_usec = USEC_INFINITY;
        settings->runs_max_age_usec = USEC_INFINITY;
        settings->failed_runs_max_age_usec = USEC_INFINITY;
        settings->skipped_runs_max_age_usec = USEC_INFINITY;
        settings->webhook_messages_max_age_usec = USEC_INFINITY;
}

int engine_fixture_setup(void **state)
{
        EngineFixture *f = calloc(1, sizeof(EngineFixture));

        if (!f)
                return -1;
        *state = f;
        fixture_launcher_init(f);
        clock_offset = 0;
        clock_stands_at = let_pass = slept = 0;
        log_set_target(LOG_TARGET_NULL);
        /* In memory where that can be: the tests commit often. */
        (void) snprintf(f->folder, sizeof(f->folder), "%s/syncrun-test-engine-XXXXXX",
                        access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
        if (!mkdtemp(f->folder))
                return -1;
        (void) snprintf(f->database, sizeof(f->database), "%s/history.db", f->folder);
        f->config_dirs[0] = asprintf_or_null("%s/connectors", f->folder);
        if (!f->config_dirs[0] || mkdir(f->config_dirs[0], 0700) < 0)
                return -1;
        settings_init(&f->settings);
        keep_what_is_old(&f->settings);
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
                .connection_changed = on_connection_changed,
                .connection_reconnected = on_connection_reconnected,
                .connector_added = on_connector_added,
                .connector_changed = on_connector_changed,
                .connector_removed = on_connector_removed,
                .api_key_revoked = on_api_key_revoked,
                .status_changed = on_status,
                .userdata = f,
        };
        const EngineOptions options = {
                .event = f->event,
                .settings = &f->settings,
                .config_dirs = f->config_dirs,
                .connection_dirs = f->config_dirs,
                .database = f->database,
                .now = fixture_now,
                .launcher_new = fixture_launcher_new,
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

static void copy_database(EngineFixture *f, const char *from, const char *to)
{
        static const char *const suffixes[] = { "", "-wal" };

        for (size_t i = 0; i < ELEMENTSOF(suffixes); i++) {
                _cleanup_free_ char *source = asprintf_or_null("%s%s%s", f->database, from, suffixes[i]);
                _cleanup_free_ char *target = asprintf_or_null("%s%s%s", f->database, to, suffixes[i]);
                _cleanup_free_ char *text = NULL;
                size_t size;
                int r;

                (void) unlink(target);
                r = read_file(source, 64 * MIB, &text, &size);
                if (r == -ENOENT)
                        continue;
                expect_ok(r);
                expect_ok(write_file_atomic(target, text, size, 0600));
        }
}

/* The writer is idle when the loop is within a turn of its own: what was put in this turn is what gets lost. */
void fixture_kill(EngineFixture *f)
{
        copy_database(f, "", ".killed");
        f->engine = engine_free(f->engine);
        copy_database(f, ".killed", "");
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
