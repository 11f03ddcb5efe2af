/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* How events come to the servers, each over one socket straight from here: as requests to nchan, as bytes to the bare
 * loop, as D-Bus signals to syncrun-http. To the latter this is the bus itself, so that it has no process between it
 * and the events that the others do not have. */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <systemd/sd-id128.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/names.h"
#include "base/string-util.h"
#include "load.h"

#define DAEMON_NAME ":1.0" /* as the bus would call the daemon */
#define SERVER_NAME ":1.1"

#define EVENT_FORMAT                                                                             \
        "{\"event_id\":\"0b9c4e7e-6d1f-4a3c-9a53-%012" PRIu64                                    \
        "\",\"run_id\":\"run-%u\",\"user_id\":\"%s\",\"provider\":\"oura\",\"source\":\"pull\"," \
        "\"stage\":\"fetching\",\"status\":\"in_progress\",\"message\":\"Fetching page 12 of "   \
        "40\",\"progress\":0.3,\"items_processed\":1200,"                                        \
        "\"items_total\":4000,\"error\":null,\"metadata\":{},\"started_at\":\"2026-01-01T00:00:00Z\"}"

static const char *const publisher_kind_table[] = {
        [PUBLISHER_SYNCRUN] = "syncrun",
        [PUBLISHER_NCHAN] = "nchan",
        [PUBLISHER_BARE] = "bare",
};
DEFINE_STRING_TABLE(publisher_kind, PublisherKind, _PUBLISHER_KIND_MAX);

const char *user_id(unsigned user)
{
        static char text[64];

        (void) snprintf(text, sizeof(text), "a11ce000-0000-4000-8000-%012u", user);
        return text;
}

/* ---- The bus and the daemon, as far as streams need them */

static int answer(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        Publisher *publisher = userdata;
        sd_bus_message *reply = NULL;
        uint8_t type;
        int r;

        if (sd_bus_message_get_type(m, &type) < 0 || type != SD_BUS_MESSAGE_METHOD_CALL)
                return 0;
        r = sd_bus_message_new_method_return(m, &reply);
        if (r >= 0 && sd_bus_message_is_method_call(m, NULL, "Hello"))
                r = sd_bus_message_append(reply, "s", SERVER_NAME);
        else if (r >= 0 && sd_bus_message_is_method_call(m, NULL, "GetNameOwner"))
                r = sd_bus_message_append(reply, "s", DAEMON_NAME);
        else if (r >= 0 && sd_bus_message_is_method_call(m, NULL, "CheckApiKey"))
                r = sd_bus_message_append(reply, "sass", "bench", 3, "sync:read", "sync:write", "sync:admin", "");
        else if (r >= 0 && sd_bus_message_is_method_call(m, NULL, "ListEvents"))
                r = sd_bus_message_append(reply, "a(tsss)ttt", 0, UINT64_C(1), publisher->seq, publisher->seq);
        else if (r >= 0 && sd_bus_message_is_method_call(m, NULL, "DescribeEvents"))
                r = sd_bus_message_append(reply, "s", "[]");
        else if (r >= 0 && sd_bus_message_is_method_call(m, NULL, "Get")) /* the history's name */
                r = sd_bus_message_append(reply, "v", "s", "bench");
        if (r >= 0)
                r = sd_bus_send(publisher->bus, reply, NULL);
        sd_bus_message_unref(reply);
        return r < 0 ? r : 1;
}

static void be_bus(Publisher *publisher, int listener)
{
        sd_id128_t id;
        int r;

        publisher->fd = accept(listener, NULL, NULL);
        if (publisher->fd < 0)
                die("accept");
        /* Whoever connects again when this has ended shall not wait for an answer. */
        (void) close(listener);
        r = sd_id128_randomize(&id);
        if (r >= 0)
                r = sd_bus_new(&publisher->bus);
        if (r >= 0)
                r = sd_bus_set_fd(publisher->bus, publisher->fd, publisher->fd);
        if (r >= 0)
                r = sd_bus_set_server(publisher->bus, true, id);
        if (r >= 0)
                r = sd_bus_add_filter(publisher->bus, NULL, answer, publisher);
        if (r >= 0)
                r = sd_bus_start(publisher->bus);
        if (r >= 0)
                r = sd_bus_flush(publisher->bus);
        if (r < 0)
                die_errno(r, "bus");
        publisher_listen(publisher);
}

static void publish_signal(Publisher *publisher, const unsigned *users, unsigned n)
{
        sd_bus_message *m = NULL;
        char json[1024];
        int r;

        r = sd_bus_message_new_signal(publisher->bus, &m, SYNCRUN_PATH, SYNCRUN_IFACE_MANAGER, "EventsCommitted");
        if (r >= 0)
                r = sd_bus_message_set_sender(m, DAEMON_NAME);
        if (r >= 0)
                r = sd_bus_message_open_container(m, 'a', "(tsss)");
        for (unsigned i = 0; r >= 0 && i < n; i++) {
                const char *id = user_id(users[i]);

                (void) snprintf(json, sizeof(json), EVENT_FORMAT, ++publisher->seq, users[i], id);
                r = sd_bus_message_append(m, "(tsss)", publisher->seq, id, "run", json);
        }
        if (r >= 0)
                r = sd_bus_message_close_container(m);
        if (r >= 0)
                r = sd_bus_send(publisher->bus, m, NULL);
        if (r >= 0)
                r = sd_bus_flush(publisher->bus);
        sd_bus_message_unref(m);
        if (r < 0)
                die_errno(r, "signal");
}

/* ---- The others */

static void append_frame(Buffer *out, uint64_t seq, unsigned user, const char *json)
{
        char frame[1536], chunk[2048];
        int size = snprintf(frame, sizeof(frame), "event: sync.status\nid: %" PRIu64 "\ndata: %s\n\n", seq, json);
        uint32_t numbers[2] = { user };

        numbers[1] = (uint32_t) snprintf(chunk, sizeof(chunk), "%x\r\n%s\r\n", size, frame);
        buffer_append(out, (char *) numbers, sizeof(numbers));
        buffer_append_string(out, chunk);
}

static void publish_bytes(Publisher *publisher, const unsigned *users, unsigned n)
{
        char json[1024];
        Buffer all = {};

        for (unsigned i = 0; i < n; i++) {
                (void) snprintf(json, sizeof(json), EVENT_FORMAT, ++publisher->seq, users[i], user_id(users[i]));
                if (publisher->kind == PUBLISHER_BARE)
                        append_frame(&all, publisher->seq, users[i], json);
                else
                        buffer_append_format(&all,
                                             "POST /pub/%u HTTP/1.1\r\nHost: x\r\nX-EventSource-Event: sync.status\r\n"
                                             "Content-Length: %zu\r\n\r\n%s",
                                             users[i], strlen(json), json);
        }
        send_all(publisher->fd, all.data, all.size);
        buffer_done(&all);
}

/* ---- All of them */

void publisher_open(Publisher *publisher, PublisherKind kind, int port, int listener)
{
        *publisher = (Publisher){ .kind = kind };
        if (kind == PUBLISHER_SYNCRUN) {
                be_bus(publisher, listener);
                return;
        }
        publisher->fd = connect_server(port);
        if (kind == PUBLISHER_BARE)
                send_all(publisher->fd, "PUB", 3);
}

void publisher_listen(Publisher *publisher)
{
        static char dropped[65536];
        int r;

        if (publisher->bus) {
                while ((r = sd_bus_process(publisher->bus, NULL)) > 0)
                        ;
                if (r < 0)
                        die_errno(r, "bus");
        } else
                (void) !recv(publisher->fd, dropped, sizeof(dropped), MSG_DONTWAIT);
}

void publish(Publisher *publisher, const unsigned *users, unsigned n)
{
        if (publisher->bus)
                publish_signal(publisher, users, n);
        else
                publish_bytes(publisher, users, n);
}
