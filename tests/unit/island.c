/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "unit/expect.h"

#include "unit/island.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/fd-util.h"
#include "base/names.h"
#include "bus/bus.h"
#include "engine/engine-internal.h"
#include "unit/engine-fixture.h"
#include "unit/failing-alloc.h"

#define CLIENTS_MAX 16U
#define DRIVER      "org.freedesktop.DBus"
#define DAEMON      ":1.1"

typedef struct Guest {
        sd_bus *bus;
        char name[16];
        bool greeted; /* before, it wants nothing but the answer to Hello() */
} Guest;

typedef struct Island {
        EngineFixture *fixture;
        Bus *face;
        sd_bus *near, *far; /* the daemon's connection, and the bus's end of it */
        Guest guests[CLIENTS_MAX];
        unsigned n_guests; /* ever */
        int listen_fd, stop_fd;
        pthread_t thread;
        pthread_barrier_t ready;
        bool stops;
} Island;

static Island island;

/* ---- The bus */

/* The daemon's answer, for the call that it is to; a guest may have gone meanwhile. */
static int on_answer_of_daemon(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        sd_bus_message *call = userdata, *answer;
        const sd_bus_error *refused = sd_bus_message_get_error(m);

        if (sd_bus_is_open(sd_bus_message_get_bus(call)) > 0) {
                if (refused)
                        expect_ok(sd_bus_message_new_method_error(call, &answer, refused));
                else
                        expect_ok(sd_bus_message_new_method_return(call, &answer));
                expect_ok(sd_bus_message_rewind(m, true));
                if (!refused)
                        expect_ok(sd_bus_message_copy(answer, m, true));
                (void) sd_bus_send(NULL, answer, NULL);
                sd_bus_message_unref(answer);
        }
        return 0;
}

static void unref_call(void *call)
{
        sd_bus_message_unref(call);
}

static int ask_daemon(sd_bus_message *m, const Guest *guest)
{
        sd_bus_message *call;
        sd_bus_slot *slot;

        expect_ok(sd_bus_message_new_method_call(island.far, &call, SYNCRUN_BUS_NAME, sd_bus_message_get_path(m),
                                                 sd_bus_message_get_interface(m), sd_bus_message_get_member(m)));
        expect_ok(sd_bus_message_set_sender(call, guest->name));
        expect_ok(sd_bus_message_copy(call, m, true));
        expect_ok(sd_bus_call_async(island.far, &slot, call, on_answer_of_daemon, sd_bus_message_ref(m), 0));
        expect_ok(sd_bus_slot_set_destroy_callback(slot, unref_call));
        expect_ok(sd_bus_slot_set_floating(slot, true));
        sd_bus_slot_unref(slot);
        sd_bus_message_unref(call);
        return 1;
}

static int answer_worker(sd_bus_message *m)
{
        sd_bus_message *answer;

        expect_ok(sd_bus_message_new_method_return(m, &answer));
        if (sd_bus_message_is_method_call(m, NULL, "Attach"))
                expect_ok(sd_bus_message_append(answer, "stba(sss)sa{sv}", "r1", UINT64_C(0), 0, 2, "Pipeline",
                                                "ExecPull", "/bin/true", "Run", "RetryMax", "0", "{\"n\":5}", 4,
                                                "accounts", "as", 2, "a", "b", "webhook_allow_http", "b", 1,
                                                "webhook_ca_file", "s", "/etc/ca.pem", "webhook_private_networks", "s",
                                                "10.0.0.0/8"));
        expect_ok(sd_bus_send(NULL, answer, NULL));
        sd_bus_message_unref(answer);
        return 1;
}

static int on_message_of_guest(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        Guest *guest = userdata;

        if (sd_bus_message_is_method_call(m, DRIVER, "Hello")) {
                guest->greeted = true;
                return sd_bus_reply_method_return(m, "s", guest->name);
        }
        if (sd_bus_message_is_method_call(m, DRIVER, "GetNameOwner"))
                return sd_bus_reply_method_return(m, "s", DAEMON);
        if (sd_bus_message_is_method_call(m, DRIVER, "StartServiceByName"))
                return sd_bus_reply_method_return(m, "u", 2);
        if (sd_bus_message_is_method_call(m, DRIVER, NULL))
                return sd_bus_reply_method_return(m, NULL);
        if (streq_null(sd_bus_message_get_path(m), SYNCRUN_PATH_CONNECTOR "/" ISLAND_PLAYED))
                return answer_worker(m);
        return sd_bus_message_is_method_call(m, NULL, NULL) ? ask_daemon(m, guest) : 0;
}

static void tell_guests(sd_bus_message *m)
{
        for (size_t i = 0; i < CLIENTS_MAX; i++) {
                sd_bus *bus = island.guests[i].bus;
                sd_bus_message *copy;

                if (!bus || !island.guests[i].greeted)
                        continue;
                expect_ok(sd_bus_message_new_signal(bus, &copy, sd_bus_message_get_path(m),
                                                    sd_bus_message_get_interface(m), sd_bus_message_get_member(m)));
                expect_ok(sd_bus_message_set_sender(copy, SYNCRUN_BUS_NAME));
                expect_ok(sd_bus_message_rewind(m, true));
                expect_ok(sd_bus_message_copy(copy, m, true));
                (void) sd_bus_send(bus, copy, NULL);
                sd_bus_message_unref(copy);
        }
}

static int on_message_of_daemon(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        uint8_t type;

        expect_ok(sd_bus_message_get_type(m, &type));
        if (sd_bus_message_is_method_call(m, DRIVER, "Hello"))
                return sd_bus_reply_method_return(m, "s", DAEMON);
        if (sd_bus_message_is_method_call(m, DRIVER, "GetConnectionCredentials"))
                return sd_bus_reply_method_return(m, "a{sv}", 1, "UnixUserID", "u", (unsigned) geteuid());
        if (type == SD_BUS_MESSAGE_METHOD_CALL)
                return sd_bus_reply_method_return(m, NULL);
        if (type == SD_BUS_MESSAGE_SIGNAL)
                tell_guests(m);
        return 0;
}

static sd_bus *serve(int fd)
{
        sd_id128_t id;
        sd_bus *bus;

        expect_ok(sd_id128_randomize(&id));
        expect_ok(sd_bus_new(&bus));
        expect_ok(sd_bus_set_fd(bus, fd, fd));
        expect_ok(sd_bus_set_server(bus, true, id));
        expect_ok(sd_bus_negotiate_fds(bus, true));
        return bus;
}

static void begin(sd_bus *bus)
{
        expect_ok(sd_bus_start(bus));
        expect_ok(sd_bus_attach_event(bus, island.fixture->event, SD_EVENT_PRIORITY_NORMAL));
}

static void see_off(Guest *guest)
{
        guest->bus = sd_bus_close_unref(guest->bus);
}

static int on_connection(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
        Guest *guest = NULL;
        int client;

        client = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        assert_true(client >= 0);
        for (size_t i = 0; i < CLIENTS_MAX; i++) {
                if (island.guests[i].bus && sd_bus_is_open(island.guests[i].bus) <= 0)
                        see_off(&island.guests[i]);
                if (!island.guests[i].bus)
                        guest = &island.guests[i];
        }
        assert_non_null(guest);
        (void) snprintf(guest->name, sizeof(guest->name), ":1.%u", 7 + island.n_guests++);
        guest->greeted = false;
        guest->bus = serve(client);
        expect_ok(sd_bus_add_filter(guest->bus, NULL, on_message_of_guest, guest));
        begin(guest->bus);
        return 0;
}

/* ---- The daemon */

static int on_stop(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
        island.stops = true;
        return 0;
}

static int on_reload(void *userdata)
{
        return engine_reload(island.fixture->engine, &island.fixture->settings);
}

static void write_connection(void)
{
        static const char text[] = "[Connection]\nProvider=acme\nUser=" ISLAND_USER "\nAccounts=a b\n";
        _cleanup_free_ char *path = asprintf_or_null("%s/acme.connection", island.fixture->config_dirs[0]);

        expect_ok(write_file_atomic(path, text, strlen(text), 0600));
}

static void connect_daemon(void)
{
        int fds[2];

        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), 0);
        island.far = serve(fds[0]);
        expect_ok(sd_bus_add_filter(island.far, NULL, on_message_of_daemon, NULL));
        begin(island.far);
        expect_ok(sd_bus_new(&island.near));
        expect_ok(sd_bus_set_fd(island.near, fds[1], fds[1]));
        expect_ok(sd_bus_set_bus_client(island.near, true));
        expect_ok(sd_bus_negotiate_fds(island.near, true));
        begin(island.near);
        while (sd_bus_is_ready(island.near) == 0)
                fixture_turn(island.fixture);
        expect_ok(bus_new(&(BusOptions){ .event = island.fixture->event, .bus = island.near, .reload = on_reload },
                          &island.face));
        island.fixture->engine->observer = *bus_observer(island.face);
        expect_ok(bus_publish(island.face, island.fixture->engine));
}

static void open_daemon(void)
{
        const RunReport report = report_success();
        char id[RUN_ID_MAX + 1];
        void *fixture;

        assert_int_equal(engine_fixture_setup(&fixture), 0);
        island.fixture = fixture;
        write_connection();
        fixture_write_connector(fixture, "bank", CONNECTOR("[Connector]\nUser=" ISLAND_USER "\nConnection=acme\n"));
        fixture_open(fixture);
        island.fixture->quiet = true;
        connect_daemon();
        fixture_whole_run(fixture, "bank", &report, id);
        expect_ok(sd_event_add_io(island.fixture->event, NULL, island.listen_fd, EPOLLIN, on_connection, NULL));
        expect_ok(sd_event_add_io(island.fixture->event, NULL, island.stop_fd, EPOLLIN, on_stop, NULL));
}

static void *live(void *userdata)
{
        RunReport report = report_success();
        void *fixture;

        alloc_pause();
        open_daemon();
        (void) pthread_barrier_wait(&island.ready);
        while (!island.stops) {
                expect_ok(sd_event_run(island.fixture->event, UINT64_MAX));
                if (fixture_worker_alive(island.fixture, "bank"))
                        fixture_run_to_end(island.fixture, "bank", &report);
        }
        fixture = island.fixture;
        island.fixture->engine = engine_free(island.fixture->engine);
        bus_free(island.face);
        for (size_t i = 0; i < CLIENTS_MAX; i++)
                see_off(&island.guests[i]);
        sd_bus_close_unref(island.near);
        sd_bus_close_unref(island.far);
        (void) engine_fixture_teardown(&fixture);
        return NULL;
}

void island_start(void)
{
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        socklen_t size = sizeof(sa_family_t);
        char text[64];

        island = (Island){ .stop_fd = eventfd(0, EFD_CLOEXEC) };
        assert_true(island.stop_fd >= 0);
        island.listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        /* A name of the kernel's choice that is no file. */
        assert_int_equal(bind(island.listen_fd, (struct sockaddr *) &address, size), 0);
        assert_int_equal(listen(island.listen_fd, CLIENTS_MAX), 0);
        size = sizeof(address);
        assert_int_equal(getsockname(island.listen_fd, (struct sockaddr *) &address, &size), 0);
        (void) snprintf(text, sizeof(text), "unix:abstract=%.*s",
                        (int) (size - offsetof(struct sockaddr_un, sun_path) - 1), address.sun_path + 1);
        assert_int_equal(setenv(SYNCRUN_ENV_BUS_ADDRESS, text, true), 0);
        assert_int_equal(pthread_barrier_init(&island.ready, NULL, 2), 0);
        assert_int_equal(pthread_create(&island.thread, NULL, live, NULL), 0);
        (void) pthread_barrier_wait(&island.ready);
        alloc_count_here();
}

void island_stop(void)
{
        const uint64_t one = 1;

        assert_int_equal(write(island.stop_fd, &one, sizeof(one)), sizeof(one));
        assert_int_equal(pthread_join(island.thread, NULL), 0);
        (void) safe_close(island.stop_fd);
        (void) safe_close(island.listen_fd);
        (void) pthread_barrier_destroy(&island.ready);
}
