/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "unit/expect.h"

#include "unit/engine-fixture.h"

#include <stdio.h>

/* The launcher's making takes no userdata. */
static EngineFixture *fixture;

void fixture_launcher_init(EngineFixture *f)
{
        fixture = f;
}

static EngineFixture *of_launcher(Launcher *launcher)
{
        return container_of(launcher, EngineFixture, launcher);
}

static void note_call(EngineFixture *f, const char *what, const char *connector)
{
        if (f->quiet)
                return;
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

static int fake_stop(Launcher *launcher, const char *connector, bool kill)
{
        EngineFixture *f = of_launcher(launcher);
        FixtureWorker *w = find_worker(f, connector, false);

        note_call(f, kill ? "kill" : "stop", connector);
        if (f->stop_error < 0)
                return f->stop_error;
        if (!w || !w->alive)
                return -ENOENT;
        w->stopping = true;
        return 0;
}

void fixture_answer_adopt(EngineFixture *f, const char *connector)
{
        FixtureWorker *w = find_worker(f, connector, false);
        WorkerExit gone = WORKER_EXIT_INIT;

        gone.gone = true;
        if (w && w->alive)
                fixture_worker_started(f, connector);
        else
                f->launcher.callbacks.ended(connector, &gone, f->launcher.userdata);
}

static int fake_adopt(Launcher *launcher, const Run *run)
{
        EngineFixture *f = of_launcher(launcher);

        note_call(f, "adopt", run->connector);
        if (!f->hold_adopt)
                fixture_answer_adopt(f, run->connector);
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
        f->usage_cb(&(WorkerExit) { .cpu_usec = 1234,
                                    .memory_peak_bytes = f->unit_tells_memory ? 9999 : COUNT_UNKNOWN,
                                    .io_read_bytes = 5678,
                                    .io_write_bytes = COUNT_UNKNOWN,
                                    .shutdown = f->shutdown },
                    f->usage_userdata);
}

static const char *task_word(TaskKind kind)
{
        return kind == TASK_RECONNECT ? "reconnect" : "delete";
}

static int fake_start_task(Launcher *launcher, TaskKind kind, const char *name, bool adopt)
{
        EngineFixture *f = of_launcher(launcher);
        char what[32];

        (void) snprintf(what, sizeof(what), "%s%s", adopt ? "adopt-" : "", task_word(kind));
        note_call(f, what, name);
        if (adopt && !f->task_runs)
                return -ECHILD;
        if (kind == TASK_RECONNECT && f->reconnects)
                return -EEXIST;
        f->reconnects |= kind == TASK_RECONNECT;
        return 0;
}

static int fake_stop_task(Launcher *launcher, TaskKind kind, const char *name)
{
        EngineFixture *f = of_launcher(launcher);
        char what[32];

        if (kind == TASK_RECONNECT && !f->reconnects)
                return -ENOENT;
        (void) snprintf(what, sizeof(what), "stop-%s", task_word(kind));
        note_call(f, what, name);
        return 0;
}

void fixture_task_ends(EngineFixture *f, TaskKind kind, const char *name, ReconnectResult result, const char *status)
{
        if (kind == TASK_RECONNECT)
                f->reconnects = false;
        f->launcher.callbacks.task_ended(kind, name,
                                         &(TaskExit){ .result = result, .status = status, .reason = "as the launcher says" },
                                         f->launcher.userdata);
        fixture_settle(f);
}

int fixture_launcher_new(const LauncherCallbacks *callbacks, void *userdata, Launcher **ret)
{
        static const LauncherVTable vtable = {
                .free = fake_free,
                .start = fake_start,
                .stop = fake_stop,
                .adopt = fake_adopt,
                .verify = fake_verify,
                .usage = fake_usage,
                .start_task = fake_start_task,
                .stop_task = fake_stop_task,
        };

        fixture->launcher = (Launcher) { .vtable = &vtable, .callbacks = *callbacks, .userdata = userdata };
        fixture->launcher_is_free = fixture->reconnects = false;
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
        f->launcher.callbacks.stopping(connector, f->shutdown, f->launcher.userdata);
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
        how.shutdown = f->shutdown;
        how.cpu_usec = 99;
        how.memory_peak_bytes = 98;
        (void) snprintf(how.reason, sizeof(how.reason), "%s", reason ?: "the worker ended with exit status 0");
        f->launcher.callbacks.ended(connector, &how, f->launcher.userdata);
        fixture_settle(f);
}

void fixture_worker_vanishes(EngineFixture *f, const char *connector)
{
        find_worker(f, connector, true)->alive = false;
}
