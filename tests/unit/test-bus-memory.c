/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Every method and signal of the bus with each allocation failing in turn: a call is answered, by what was asked for
 * or by "Out of memory", the next one is answered well, and a run goes its way. Beside it is an engine on a history of
 * its own; the bus driver, the callers and a worker are played at the other end of a socket. */

#include "unit/expect.h"

#include "unit/engine-fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fd-util.h"
#include "base/names.h"
#include "bus/bus.h"
#include "engine/engine-internal.h"
#include "unit/failing-alloc.h"

#define CALLER     ":1.7"
#define WORKER     ":1.9"
#define WORKER_UID 4711U /* whom the fixture's launcher takes for the worker */
#define BANK       SYNCRUN_PATH_CONNECTOR "/bank"
#define ACME       SYNCRUN_PATH_CONNECTION "/acme"
#define PROPERTIES "org.freedesktop.DBus.Properties"
#define USER       "6f1ed002-ab5d-4f2b-9c3b-000000000001"
#define EVERYTHING CONNECTOR("[Connector]\nUser=" USER "\nConnection=acme\n[Run]\nRetryMax=0\n")

typedef struct World {
        EngineFixture *fixture;
        Bus *bus;
        sd_bus *near, *far;
        sd_bus_message *answer; /* to the call under way */
        char run[RUN_ID_MAX + 1], path[sizeof(SYNCRUN_PATH_RUN) + 3 * RUN_ID_MAX + 1];
        bool run_may_end; /* for want of memory */
        int (*reader)(void);
        char *expected;         /* of it */
        const char *refused_as; /* with memory enough; NULL: the call is not */
        uint64_t last_seq;
        unsigned n_signals, n_events, n_names; /* names: so that each is another */
} World;

static World world;

/* ---- Everybody else on the bus */

static int tell_who(sd_bus_message *m)
{
        const char *name;

        expect_ok(sd_bus_message_read(m, "s", &name));
        return sd_bus_reply_method_return(m, "a{sv}", 1, "UnixUserID", "u",
                                          strcmp(name, WORKER) == 0 ? WORKER_UID : (unsigned) geteuid());
}

static void take_events(sd_bus_message *m)
{
        const char *user, *run, *json;
        uint64_t seq;

        expect_ok(sd_bus_message_enter_container(m, 'a', "(tsss)"));
        while (sd_bus_message_read(m, "(tsss)", &seq, &user, &run, &json) > 0) {
                assert_true(seq > world.last_seq);
                world.last_seq = seq;
                world.n_events++;
        }
}

static int on_message(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        uint8_t type;

        alloc_pause();
        expect_ok(sd_bus_message_get_type(m, &type));
        if (sd_bus_message_is_method_call(m, NULL, "Hello"))
                expect_ok(sd_bus_reply_method_return(m, "s", ":1.1"));
        else if (sd_bus_message_is_method_call(m, NULL, "GetConnectionCredentials"))
                expect_ok(tell_who(m));
        else if (type == SD_BUS_MESSAGE_METHOD_CALL)
                expect_ok(sd_bus_reply_method_return(m, NULL));
        else if (sd_bus_message_is_signal(m, SYNCRUN_IFACE_MANAGER, "EventsCommitted"))
                take_events(m);
        world.n_signals += type == SD_BUS_MESSAGE_SIGNAL;
        alloc_resume();
        return type == SD_BUS_MESSAGE_METHOD_CALL;
}

static int on_answer_message(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        world.answer = sd_bus_message_ref(m);
        return 1;
}

/* ---- Calls */

static void turn(void)
{
        fixture_turn(world.fixture);
}

static void engine_mend(void)
{
        Engine *engine = world.fixture->engine;

        while (engine->broken < 0 || engine->store_failed) {
                if (engine->recover_timer)
                        expect_ok(sd_event_source_set_time(engine->recover_timer, 0));
                turn();
        }
        fixture_settle(world.fixture);
}

/* Return: 0; -ENOMEM, however it was put; a failure where it is anything else. */
static int read_answer(const char *member)
{
        const sd_bus_error *error = sd_bus_message_get_error(world.answer);

        if (!sd_bus_message_is_method_error(world.answer, NULL)) {
                assert_null(world.refused_as);
                return 0;
        }
        if (strcmp(error->name, SYNCRUN_ERROR_PREFIX "NoMemory") == 0 ||
            strcmp(error->name, SD_BUS_ERROR_NO_MEMORY) == 0)
                return -ENOMEM;
        /* The history could not be written for want of memory: it is read anew. */
        if (world.fixture->engine->broken < 0 || world.fixture->engine->store_failed)
                return -ENOMEM;
        if (world.refused_as && strcmp(error->name + strlen(SYNCRUN_ERROR_PREFIX), world.refused_as) == 0)
                return 0;
        if (world.run_may_end && (strcmp(error->name, SYNCRUN_ERROR_PREFIX "NoSuchRun") == 0 ||
                                  strcmp(error->name, SYNCRUN_ERROR_PREFIX "RunFinished") == 0))
                return -ESRCH;
        fail_msg("%s: %s: %s", member, error->name, error->message);
        return -EIO;
}

static int call_as(const char *sender, const char *path, const char *interface, const char *member, const char *types,
                   ...)
{
        sd_bus_message *m;
        va_list ap;

        alloc_pause();
        world.answer = sd_bus_message_unref(world.answer);
        expect_ok(sd_bus_message_new_method_call(world.far, &m, SYNCRUN_BUS_NAME, path, interface, member));
        expect_ok(sd_bus_message_set_sender(m, sender));
        va_start(ap, types);
        expect_ok(sd_bus_message_appendv(m, types, ap));
        va_end(ap);
        expect_ok(sd_bus_call_async(world.far, NULL, m, on_answer_message, NULL, 0));
        sd_bus_message_unref(m);
        alloc_resume();
        while (!world.answer)
                turn();
        return read_answer(member);
}
#define manager(...) call_as(CALLER, SYNCRUN_PATH, SYNCRUN_IFACE_MANAGER, __VA_ARGS__)

/* Calls @f with its allocations failing in turn, until none is left. */
static void fail_each(const char *what, int (*f)(void))
{
        for (unsigned n = 1;; n++) {
                bool reached;
                int r;

                alloc_fail_at(n);
                r = f();
                engine_mend();
                reached = alloc_end();
                if (r < 0 && !reached)
                        print_error("%s, allocation %u: %s\n", what, n, strerror(-r));
                assert_true(r >= 0 || reached);
                if (!reached)
                        return;
        }
}

/* ---- What only reads */

#define CASE(name, ...)             \
        static int name(void)       \
        {                           \
                return __VA_ARGS__; \
        }                           \
        struct CONCATENATE(case_, name)
#define OBJECT(member, ...) call_as(CALLER, member, PROPERTIES, "GetAll", "s", __VA_ARGS__)

CASE(get_manager, OBJECT(SYNCRUN_PATH, SYNCRUN_IFACE_MANAGER));
CASE(get_connector, OBJECT(BANK, SYNCRUN_IFACE_CONNECTOR));
CASE(get_connection, OBJECT(ACME, SYNCRUN_IFACE_CONNECTION));
CASE(get_objects, call_as(CALLER, SYNCRUN_PATH, "org.freedesktop.DBus.ObjectManager", "GetManagedObjects", ""));
CASE(introspect, call_as(CALLER, SYNCRUN_PATH_CONNECTOR, "org.freedesktop.DBus.Introspectable", "Introspect", ""));
CASE(find_connector, manager("GetConnector", "s", "bank"));
CASE(find_run, manager("GetRun", "s", world.run));
CASE(describe_connector, call_as(CALLER, BANK, SYNCRUN_IFACE_CONNECTOR, "Describe", ""));
CASE(describe_connection, call_as(CALLER, ACME, SYNCRUN_IFACE_CONNECTION, "Describe", ""));
CASE(describe_runs, manager("DescribeRuns", "a{sv}", 4, "connector", "s", "bank", "user", "s", USER, "limit", "u", 5,
                            "accounts", "b", 1));
CASE(describe_run, manager("DescribeRuns", "a{sv}", 1, "id", "s", world.run));
CASE(describe_runs_repo, manager("DescribeRuns", "a{sv}", 2, "view", "s", "repo", "provider", "s", "acme"));
CASE(describe_runs_wearables, manager("DescribeRuns", "a{sv}", 2, "view", "s", "open-wearables", "user", "s", USER));
CASE(describe_runs_redbark, manager("DescribeRuns", "a{sv}", 2, "view", "s", "redbark", "connector", "s", "bank"));
CASE(describe_events, manager("DescribeEvents", "a{sv}", 2, "user", "s", USER, "newest_first", "b", 1));
CASE(describe_bytes, manager("DescribeBytes", "sa{sv}", "DescribeEvents", 1, "limit", "u", 3));
CASE(describe_connectors, manager("DescribeConnectors", "a{sv}", 1, "user", "s", USER));
CASE(describe_connectors_redbark, manager("DescribeConnectors", "a{sv}", 1, "view", "s", "redbark"));
CASE(describe_connections, manager("DescribeConnections", "a{sv}", 0));
CASE(describe_connections_redbark, manager("DescribeConnections", "a{sv}", 1, "view", "s", "redbark"));
CASE(describe_statistics, manager("DescribeStatistics", ""));
CASE(describe_users, manager("DescribeUsers", "a{sv}", 1, "limit", "u", 2));
CASE(describe_deliveries, manager("DescribeDeliveries", "a{sv}", 1, "connector", "s", "bank"));
CASE(describe_keys, manager("DescribeApiKeys", "a{sv}", 0));
CASE(describe_endpoints, manager("DescribeWebhookEndpoints", "a{sv}", 0));
CASE(describe_messages, manager("DescribeWebhookMessages", "a{sv}", 1, "limit", "u", 3));
CASE(describe_attempts, manager("DescribeWebhookAttempts", "a{sv}", 0));
CASE(describe_types, manager("DescribeWebhookEventTypes", ""));
CASE(list_events, manager("ListEvents", "a{sv}", 2, "user", "s", USER, "newest", "b", 1));
CASE(watch_changes, manager("WatchChanges", ""));

/* What is refused anyway. */
static int ask_for_what_is_not_there(void)
{
        int r;

        world.refused_as = "InvalidArgument";
        r = manager("DescribeUsers", "a{sv}", 1, "colour", "s", "red");
        world.refused_as = NULL;
        return r;
}

/* Of whom nothing is known: the bus driver is asked. */
static int ask_as_newcomer(void)
{
        char name[32];
        int r;

        (void) snprintf(name, sizeof(name), ":2.%u", world.n_names++);
        world.refused_as = "NoSuchRun";
        r = call_as(name, SYNCRUN_PATH, SYNCRUN_IFACE_MANAGER, "CancelRun", "s", "nothing");
        world.refused_as = NULL;
        return r;
}

static char *answer_dump(void)
{
        char *text = NULL;
        size_t size;
        FILE *file;

        alloc_pause();
        file = open_memstream(&text, &size);
        expect_ok(sd_bus_message_rewind(world.answer, true));
        expect_ok(sd_bus_message_dump(world.answer, file, SD_BUS_MESSAGE_DUMP_SUBTREE_ONLY));
        assert_int_equal(fclose(file), 0);
        alloc_resume();
        return text;
}

/* What has been read is what is there, or nothing. */
static int read_same(void)
{
        _cleanup_free_ char *text = NULL;
        int r;

        r = world.reader();
        if (r < 0)
                return r;
        text = answer_dump();
        assert_string_equal(text, world.expected);
        return 0;
}

static void fail_reader(const char *what, int (*reader)(void))
{
        world.reader = reader;
        expect_ok(reader());
        world.expected = answer_dump();
        fail_each(what, read_same);
        free(world.expected);
        world.expected = NULL;
}

static void test_reading(void **state)
{
        static int (*const cases[])(void) = {
                get_manager, get_connector, get_connection, get_objects, introspect, find_connector, find_run,
                describe_connector, describe_connection, describe_runs, describe_run, describe_runs_repo,
                describe_runs_wearables, describe_runs_redbark, describe_events, describe_bytes, describe_connectors,
                describe_connectors_redbark, describe_connections, describe_connections_redbark, describe_statistics,
                describe_users, describe_deliveries, describe_keys, describe_endpoints, describe_messages,
                describe_attempts, describe_types, list_events, watch_changes, ask_for_what_is_not_there, ask_as_newcomer,
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_free_ char *what = asprintf_or_null("reader %zu", i);

                fail_reader(what, cases[i]);
        }
}

/* ---- What changes something */

/* A text out of the answer that is kept for the next call. */
static void answered_text(char *ret, size_t n)
{
        const char *text;

        expect_ok(sd_bus_message_read(world.answer, "s", &text));
        (void) snprintf(ret, n, "%s", text);
}

static int keep_keys(void)
{
        char name[32];
        int r;

        (void) snprintf(name, sizeof(name), "key-%u", world.n_names++);
        r = manager("AddApiKey", "sa{sv}", name, 2, "scopes", "as", 1, "sync:read", "user", "s", USER);
        return r < 0 ? r : manager("RevokeApiKey", "s", name);
}

static int keep_endpoints(void)
{
        char id[64], url[64];
        int r;

        (void) snprintf(url, sizeof(url), "https://example.com/%u", world.n_names++);
        r = manager("AddWebhookEndpoint", "sa{sv}", url, 3, "types", "as", 1, "sync.failed", "user", "s", USER,
                    "disabled", "b", 1);
        if (r < 0)
                return r;
        answered_text(id, sizeof(id));
        r = manager("UpdateWebhookEndpoint", "sa{sv}", id, 1, "description", "s", "for tests");
        if (r >= 0)
                r = manager("GetWebhookSecret", "sa{sv}", id, 0);
        if (r >= 0)
                r = manager("RotateWebhookSecret", "sa{sv}", id, 1, "at_once", "b", 1);
        world.refused_as = "EndpointDisabled";
        if (r >= 0)
                r = manager("RecoverWebhook", "sta{sv}", id, UINT64_C(1), 0);
        world.refused_as = NULL;
        while (manager("RemoveWebhookEndpoint", "sa{sv}", id, 0) == -ENOMEM)
                engine_mend();
        return r;
}

static int report_events(void)
{
        char id[32], json[512];
        int r;

        (void) snprintf(id, sizeof(id), "outside-%u", world.n_names++);
        (void) snprintf(json, sizeof(json),
                        "[{\"run_id\":\"%s\",\"user_id\":\"" USER "\",\"provider\":\"garmin\",\"source\":\"sdk\","
                        "\"stage\":\"fetching\",\"status\":\"in_progress\",\"metadata\":{\"a\":[1,2]}}]",
                        id);
        r = manager("ReportEvents", "s", json);
        if (r >= 0)
                r = manager("ReportEventsWithOptions", "sa{sv}", json, 0);
        if (r >= 0)
                r = manager("ReportEvent", "a{sv}", 7, "run_id", "s", id, "user_id", "s", USER, "provider", "s",
                            "garmin", "source", "s", "sdk", "stage", "s", "completed", "status", "s", "success",
                            "metadata", "s", "{}");
        return r;
}

static int switch_off_and_on(void)
{
        int r = call_as(CALLER, BANK, SYNCRUN_IFACE_CONNECTOR, "SetActive", "b", 0);

        return r < 0 ? r : call_as(CALLER, BANK, SYNCRUN_IFACE_CONNECTOR, "SetActive", "b", 1);
}

static int reconnect(void)
{
        return manager("ReconnectConnection", "sa{sv}", "other", 1, "done", "b", 1);
}

static int withdraw(void)
{
        int r = manager("WithdrawConsent", "sa{sv}", "other", 0);

        return r < 0 ? r : reconnect();
}

static int reload(void)
{
        return manager("Reload", "");
}

static void test_changing(void **state)
{
        fail_each("keys", keep_keys);
        fail_each("endpoints", keep_endpoints);
        fail_each("events from outside", report_events);
        fail_each("SetActive()", switch_off_and_on);
        fail_each("ReconnectConnection()", reconnect);
        fail_each("WithdrawConsent()", withdraw);
        fail_each("Reload()", reload);
}

/* ---- A run */

/* Who is refused for want of memory asks again. Return: whether it is done; not, where the run has ended. */
static bool persist(int (*call)(void))
{
        int r;

        while ((r = call()) == -ENOMEM)
                engine_mend();
        return r >= 0;
}

#define WORKER_CALL(...) call_as(WORKER, BANK, SYNCRUN_IFACE_WORKER, __VA_ARGS__)
#define REPORT           "{\"stage\":\"fetching\",\"discovered\":5,\"added\":5,\"accounts\":[{\"account\":\"a\",\"added\":5}]}"
#define LAST_REPORT                                                                               \
        "{\"outcome\":\"partial\",\"discovered\":5,\"added\":5,\"accounts\":[{\"account\":\"b\"," \
        "\"status\":\"failed\",\"error\":\"no\",\"category\":\"consent_expired\"}]}"

CASE(start, manager("StartRun", "sa{sv}", "bank", 3, "full_resync", "b", 1, "accounts", "as", 2, "a", "b", "reason",
                    "s", "a test"));
CASE(attach, WORKER_CALL("Attach", ""));
CASE(report, WORKER_CALL("Report", "sts", world.run, UINT64_C(1), REPORT));
CASE(save_cursor, WORKER_CALL("SaveCursor", "sts", world.run, UINT64_C(2), "{\"n\":5}"));
CASE(finish, WORKER_CALL("Finish", "sts", world.run, UINT64_C(3), LAST_REPORT));
CASE(get_run, call_as(CALLER, world.path, PROPERTIES, "GetAll", "s", SYNCRUN_IFACE_RUN));
CASE(get_accounts, call_as(CALLER, world.path, PROPERTIES, "Get", "ss", SYNCRUN_IFACE_RUN, "Accounts"));
CASE(describe_run_object, call_as(CALLER, world.path, SYNCRUN_IFACE_RUN, "Describe", ""));
CASE(cancel, manager("CancelRun", "s", world.run));

static void start_run(void)
{
        const char *id, *path;

        assert_true(persist(start));
        expect_ok(sd_bus_message_read(world.answer, "so", &id, &path));
        (void) snprintf(world.run, sizeof(world.run), "%s", id);
        (void) snprintf(world.path, sizeof(world.path), "%s", path);
}

static bool worker_begins(void)
{
        EngineFixture *f = world.fixture;

        while (!fixture_worker_alive(f, "bank") && fixture_connector(f, "bank")->run)
                if (f->engine->broken < 0)
                        engine_mend();
                else
                        turn();
        return fixture_worker_alive(f, "bank");
}

static void run_ends(void)
{
        EngineFixture *f = world.fixture;

        if (fixture_worker_alive(f, "bank"))
                fixture_worker_ends(f, "bank", NULL);
        while (fixture_connector(f, "bank")->run)
                if (f->engine->broken < 0)
                        engine_mend();
                else
                        turn();
}

/* Return: whether the n-th allocation was come to. */
static bool live(unsigned n)
{
        _cleanup_(run_freep) Run *run = NULL;
        bool reached;

        world.run_may_end = true;
        alloc_fail_at(n);
        start_run();
        if (worker_begins() && persist(attach) && persist(report) && persist(save_cursor))
                (void) persist(finish);
        run_ends();
        reached = alloc_end();
        world.run_may_end = false;
        engine_mend();
        run = fixture_stored(world.fixture, world.run);
        assert_int_equal(run->state, RUN_FINISHED);
        assert_true(run->outcome == RUN_PARTIAL || (reached && run->outcome == RUN_FAILED && run->error));
        return reached;
}

static void test_run(void **state)
{
        unsigned n = 1, before;

        while (live(n))
                n++;
        assert_true(n > 100);
        /* The last one had all memory: all of it was told. */
        expect_ok(get_manager()); /* comes after all signals */
        before = world.n_signals;
        world.n_events = 0;
        assert_false(live(0));
        expect_ok(get_manager()); /* comes after all signals */
        assert_true(world.n_signals > before);
        assert_int_equal(world.last_seq, fixture_sql(world.fixture, "SELECT max(seq) FROM events"));
        assert_int_equal(world.n_events, fixture_sql(world.fixture, "SELECT count(*) FROM events WHERE run ="
                                                                    " (SELECT max(row) FROM runs)"));
        fail_reader("a run that has ended", get_run);
        fail_reader("its accounts", get_accounts);
        fail_reader("its description", describe_run_object);
}

static int start_and_cancel(void)
{
        start_run();
        while (cancel() == -ENOMEM)
                engine_mend();
        run_ends();
        return 0;
}

static void test_cancel(void **state)
{
        fail_each("Cancel()", start_and_cancel);
}

/* ---- */

static int on_reload(void *userdata)
{
        return engine_reload(world.fixture->engine, &world.fixture->settings);
}

static void connect_bus(World *w)
{
        sd_id128_t id;
        int fds[2];

        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), 0);
        expect_ok(sd_id128_randomize(&id));
        expect_ok(sd_bus_new(&w->far));
        expect_ok(sd_bus_set_fd(w->far, fds[0], fds[0]));
        expect_ok(sd_bus_set_server(w->far, true, id));
        expect_ok(sd_bus_negotiate_fds(w->far, true));
        expect_ok(sd_bus_add_filter(w->far, NULL, on_message, NULL));
        expect_ok(sd_bus_start(w->far));
        expect_ok(sd_bus_attach_event(w->far, w->fixture->event, SD_EVENT_PRIORITY_NORMAL));
        expect_ok(sd_bus_new(&w->near));
        expect_ok(sd_bus_set_fd(w->near, fds[1], fds[1]));
        expect_ok(sd_bus_set_bus_client(w->near, true));
        expect_ok(sd_bus_negotiate_fds(w->near, true));
        expect_ok(sd_bus_start(w->near));
        expect_ok(sd_bus_attach_event(w->near, w->fixture->event, SD_EVENT_PRIORITY_NORMAL));
        while (sd_bus_is_ready(w->near) == 0)
                turn();
}

static int setup(void **state)
{
        static const char connection[] = "[Connection]\nProvider=acme\nUser=" USER "\nAccounts=a b\n";
        _cleanup_free_ char *path = NULL;
        void *fixture;

        if (engine_fixture_setup(&fixture) < 0)
                return -1;
        world = (World){ .fixture = fixture };
        path = asprintf_or_null("%s/acme.connection", world.fixture->config_dirs[0]);
        expect_ok(write_file_atomic(path, connection, strlen(connection), 0600));
        fixture_write_connector(fixture, "bank", EVERYTHING);
        fixture_write_connector(fixture, "mail", CONNECTOR("[Connector]\nConnection=other\n"));
        fixture_open(fixture);
        world.fixture->quiet = true;
        connect_bus(&world);
        expect_ok(bus_new(&(BusOptions){ .event = world.fixture->event, .bus = world.near, .reload = on_reload },
                          &world.bus));
        world.fixture->engine->observer = *bus_observer(world.bus);
        expect_ok(bus_publish(world.bus, world.fixture->engine));
        assert_false(live(0));
        return 0;
}

static int teardown(void **state)
{
        world.fixture->engine = engine_free(world.fixture->engine);
        bus_free(world.bus);
        sd_bus_message_unref(world.answer);
        sd_bus_close_unref(world.near);
        sd_bus_close_unref(world.far);
        return engine_fixture_teardown(&(void *){ world.fixture });
}

#define BUS_TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
        static const struct CMUnitTest tests[] = {
                BUS_TEST(test_reading), BUS_TEST(test_changing), BUS_TEST(test_run), BUS_TEST(test_cancel),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
