/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The worker with each allocation failing in turn: what it says to the daemon, the folder it lives in, what it notes
 * there of former destinations, and its orders beside the run. Either all is done, or it is done when it is tried
 * again. */

#include "unit/expect.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fd-util.h"
#include "base/log.h"
#include "base/string-util.h"
#include "unit/failing-alloc.h"
#include "worker/delete-items.h"
#include "worker/item-db.h"
#include "worker/log-relay.h"
#include "worker/reconnector.h"
#include "worker/reporter.h"
#include "worker/settle.h"
#include "worker/setup.h"

static char folder[] = "/tmp/test-worker-memory-XXXXXX";

static const char *in_folder(const char *name)
{
        static char path[128];

        (void) snprintf(path, sizeof(path), "%s/%s", folder, name);
        return path;
}

static void write_text(const char *name, const char *text)
{
        expect_ok(write_file_atomic(in_folder(name), text, strlen(text), 0700));
}

/* ---- The daemon's end, played: it takes every call. */

static unsigned n_calls[_WORKER_METHOD_MAX];
static bool busy;

int __wrap_worker_proxy_call(WorkerProxy *proxy, WorkerMethod method, const char *run_id, uint64_t sequence,
                             const char *text);
bool __wrap_worker_proxy_is_busy(const WorkerProxy *proxy);

int __wrap_worker_proxy_call(WorkerProxy *proxy, WorkerMethod method, const char *run_id, uint64_t sequence,
                             const char *text)
{
        char *copy = strdup(text); /* as the proxy does */

        if (!copy)
                return -ENOMEM;
        free(copy);
        n_calls[method]++;
        busy = true;
        return 0;
}

bool __wrap_worker_proxy_is_busy(const WorkerProxy *proxy)
{
        return busy;
}

/* ---- What it says */

static int refused;
static bool finished;

static void on_finished(void *userdata)
{
        finished = true;
}

static void on_refused(int r, const char *error, void *userdata)
{
        assert_int_equal(refused, 0); /* once */
        assert_non_null(error);
        refused = r;
}

static void answer(Reporter *reporter, WorkerMethod method)
{
        if (refused < 0)
                return;
        assert_true(busy);
        busy = false;
        reporter_reply(reporter, method, 0, NULL);
}

static int tell_all(Reporter *reporter, Intake *intake)
{
        static const DeliveryAttempt attempt = {
                .id = (char *) "datt_1",
                .type = (char *) "t",
                .url = (char *) "https://x",
                .error = (char *) "no",
        };
        RunReport end = RUN_REPORT_INIT;
        LedgerAccount *row;
        char *cursor, *text;
        int r;

        r = ledger_account(&intake->ledger, "savings", &row);
        if (r < 0)
                return r;
        ledger_add(&intake->ledger, row, 3, LEDGER_ADDED);
        ledger_commit(&intake->ledger);
        r = reporter_write_settlement(&intake->ledger, &text);
        if (r < 0)
                return r;
        free(text);
        reporter_changed(reporter);
        cursor = strdup("{\"n\":1}");
        if (!cursor)
                return -ENOMEM;
        reporter_save_cursor(reporter, cursor);
        answer(reporter, WORKER_REPORT);
        reporter_attempted(reporter, &attempt);
        answer(reporter, WORKER_SAVE_CURSOR);
        if (refused == 0 && busy)
                answer(reporter, WORKER_REPORT_DELIVERIES);
        end.error = strdup("no");
        reporter_finish(reporter, &end);
        answer(reporter, WORKER_FINISH);
        return 0;
}

/* Nothing is left out silently: the run is refused, or all was said. (An attempt may be: the destination keeps it.) */
static int report(void)
{
        static const ReporterCallbacks callbacks = { .finished = on_finished, .refused = on_refused };
        Reporter *reporter = NULL;
        sd_event *event;
        Intake intake;
        int r;

        refused = 0;
        finished = busy = false;
        memset(n_calls, 0, sizeof(n_calls));
        expect_ok(sd_event_new(&event));
        r = intake_init(&intake, "bank", NULL);
        if (r >= 0) {
                r = reporter_new(event, NULL, "r1", 0, &intake, USEC_INFINITY, &callbacks, &reporter);
                if (r >= 0)
                        r = tell_all(reporter, &intake);
                reporter_free(reporter);
                intake_done(&intake);
        }
        sd_event_unref(event);
        if (r < 0 || refused < 0)
                return r < 0 ? r : refused;
        assert_true(finished);
        assert_int_equal(n_calls[WORKER_REPORT], 1);
        assert_int_equal(n_calls[WORKER_SAVE_CURSOR], 1);
        assert_int_equal(n_calls[WORKER_FINISH], 1);
        return 0;
}

/* ---- Where it lives */

static int make_setup(void)
{
        static const char text[] =
                        "[Pipeline]\nExecPull=pull --config %c\nExecTransform=cat %n%%\nConfig=%d/config.json\n"
                        "Environment=HERE=%S/x OF=%n,%r\n[Destination]\nPath=%S/items/%n.db\n";
        char *const accounts[] = { (char *) "a", (char *) "b", NULL };
        static ConnectorDefinition *definition;
        _cleanup_free_ char *why = NULL;
        Setup setup = {};
        int r;

        if (!definition) {
                Conf conf = {};

                alloc_pause();
                expect_ok(conf_parse_text(&conf, NULL, text, strlen(text), NULL));
                expect_ok(connector_definition_parse("bank", &conf, NULL, NULL, &definition));
                conf_done(&conf);
                alloc_resume();
        }
        r = setup_make(definition, "run-1", false, accounts, &setup, &why);
        if (r >= 0)
                r = setup_begin_anew(&setup);
        if (r >= 0)
                r = setup_write_state(&setup, "{\"n\":1}");
        if (r >= 0)
                r = setup_write_config(&setup, "{}", 2);
        if (r >= 0)
                assert_int_equal(setup.n_commands, 2);
        setup_done(&setup);
        return r;
}

/* ---- What programs say */

static int relay_lines(void)
{
        static const char words[] =
                        "starting\nERROR no such account\nCRITICAL gone\nMETRIC: {\"metric\":\"record_count\","
                        "\"value\":3}\nthe last";
        LogRelay *relay = NULL;
        LogSource *source = NULL;
        sd_event *event;
        int fds[2], r;

        expect_ok(sd_event_new(&event));
        assert_int_equal(pipe(fds), 0);
        assert_int_equal(write(fds[1], words, strlen(words)), strlen(words));
        (void) close(fds[1]);
        r = log_relay_new("bank", "r1", "acme", &relay);
        if (r >= 0)
                r = log_relay_add(relay, event, "pull", 1, fds[0], &source);
        if (r < 0)
                (void) close(fds[0]); /* still the caller's */
        log_source_drain(source);
        log_source_free(source);
        log_relay_free(relay);
        sd_event_unref(event);
        return r;
}

/* ---- Where items are, and were */

static int change_destination(void)
{
        char first[64], second[64];
        char *path = NULL, **former = NULL;
        int r;

        (void) snprintf(first, sizeof(first), "%s/first.db", folder);
        (void) snprintf(second, sizeof(second), "%s/second.db", folder);
        alloc_pause();
        (void) unlink(in_folder("destination.path"));
        expect_ok(settle_forget_former(folder));
        expect_ok(settle_remember(folder, first));
        alloc_resume();
        r = settle_remember(folder, second);
        alloc_pause();
        expect_ok(settle_recall(folder, &path));
        expect_ok(settle_recall_former(folder, &former));
        assert_true(r < 0 || streq(path, second));
        if (streq(path, second)) /* the one before is not forgotten */
                assert_true(strv_contains(former, first));
        free(path);
        strv_free(former);
        alloc_resume();
        return r;
}

static const char *const stored[] = { "first.db", "second.db" };

static int delete_all(void)
{
        char former[64];
        int r;

        alloc_pause();
        for (size_t i = 0; i < ELEMENTSOF(stored); i++)
                if (access(in_folder(stored[i]), F_OK) < 0) {
                        ItemDb db = {};

                        expect_ok(item_db_open(&db, in_folder(stored[i]), "bank"));
                        item_db_close(&db);
                }
        (void) snprintf(former, sizeof(former), "%s/first.db", folder);
        expect_ok(settle_remember(folder, former));
        expect_ok(settle_remember(folder, in_folder("second.db")));
        write_text("state.json", "{}");
        alloc_resume();
        r = delete_items("bank");
        if (r < 0)
                return r;
        for (size_t i = 0; i < ELEMENTSOF(stored); i++)
                assert_int_equal(access(in_folder(stored[i]), F_OK), -1);
        assert_int_equal(access(in_folder("state.json"), F_OK), -1);
        return 0;
}

/* ---- Reconnecting */

/* It prints what came of it. */
static int reconnect(void)
{
        char told[512] = "";
        int out, fds[2], r;

        assert_int_equal(pipe(fds), 0);
        (void) fflush(stdout);
        out = dup(STDOUT_FILENO);
        assert_true(out >= 0 && dup2(fds[1], STDOUT_FILENO) >= 0);
        (void) close(fds[1]);
        r = reconnect_connection("bank");
        (void) fflush(stdout);
        assert_true(dup2(out, STDOUT_FILENO) >= 0);
        (void) close(out);
        assert_true(read(fds[0], told, sizeof(told) - 1) >= 0);
        (void) close(fds[0]);
        if (r < 0)
                assert_null(strstr(told, "\"success\""));
        else if (told[0] != '\0') /* without memory for it, the unit's result says it */
                assert_non_null(strstr(told, "\"consent_expires\":"));
        return r == -EIO ? -ENOMEM : r; /* it failed for any reason */
}

static int make_files(void **state)
{
        sigset_t mask;

        assert_non_null(mkdtemp(folder));
        assert_int_equal(setenv("STATE_DIRECTORY", folder, 1), 0);
        assert_int_equal(setenv("CREDENTIALS_DIRECTORY", "/run/cred", 1), 0);
        assert_int_equal(setenv("SYNCRUN_CONFIG_DIRS", folder, 1), 0);
        expect_ok(mkdir_p(in_folder("connections"), 0700));
        write_text("program", "#!/bin/sh\necho consent-expires=2199-01-01T00:00:00Z\necho Welcome.\n");
        write_text("connections/bank.connection",
                   "[Reconnect]\nExecReconnect=%S/program %n\nTimeoutSec=1min\nEnvironment=A=%n\n");
        (void) sigemptyset(&mask);
        (void) sigaddset(&mask, SIGTERM);
        (void) sigaddset(&mask, SIGINT);
        return sigprocmask(SIG_BLOCK, &mask, NULL);
}

static int remove_files(void **state)
{
        char command[96];

        (void) snprintf(command, sizeof(command), "rm -rf '%s'", folder);
        return system(command);
}

#define FOR_EACH_FUNCTION(X) X(reconnect) X(report) X(make_setup) X(relay_lines) X(change_destination) X(delete_all)

#define EACH(f)                             \
        static void test_##f(void **state)  \
        {                                   \
                fail_allocations(#f, f, 1); \
        }

FOR_EACH_FUNCTION(EACH)

#define UNIT_TEST(f) cmocka_unit_test(test_##f),

int main(void)
{
        const struct CMUnitTest tests[] = { FOR_EACH_FUNCTION(UNIT_TEST) };

        (void) setenv("SYNCRUN_LOG_TARGET", "null", true);
        log_open("test-worker-memory");
        return cmocka_run_group_tests(tests, make_files, remove_files);
}
