/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Any bytes from a client, to the whole of the HTTP server: libmicrohttpd, the checks of heads and bodies, routes,
 * keys and streams. What is behind it, the daemon, is played: it answers every call in its form, or refuses. The first
 * byte of an input says how, and where the rest is cut in two pieces that come one after the other.
 *
 * What it must hold to: every answer is one of HTTP, with a head that nobody outside wrote into, and none is 500 where
 * the daemon is well; the daemon is asked nothing that is not text; and nothing is left of a client that has gone. */

#include <ctype.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <utlist.h>

#include "base/fd-util.h"
#include "base/log.h"
#include "base/string-util.h"
#include "client/client-async.h"
#include "http/answers.h"
#include "http/app.h"
#include "http/auth.h"
#include "http/dispatch.h"
#include "http/health.h"
#include "http/metrics.h"
#include "http/page.h"
#include "http/server.h"
#include "http/sse-hub.h"

#define ALICE      "a11ce000-0000-4000-8000-000000000001"
#define LAST_EVENT UINT64_C(7)
#define WAITS_MAX  100U       /* for its end */
#define TURNS_MAX  10000U     /* of the loop for one input: more is a loop without end */
#define PIECE_MAX  (64 * KIB) /* fits into a socket that nobody reads yet */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
        if (!holds)
                abort();
}

static void check_text(const char *text)
{
        check(!text || utf8_is_valid(text, strlen(text)));
}

/* ---- The daemon */

struct ClientCall {
        ClientCall *prev, *next;
        ClientAnswerCallback callback;
        void *userdata;
        char member[64];
        uint64_t after; /* ListEvents' option */
};

static struct {
        ClientCall *calls;
        sd_bus *bus; /* that messages can be made with: nobody listens */
        int error;   /* with which it refuses all but to know keys */
} the_daemon;

int client_async_call(ClientAsync *client, const ClientRequest *request, ClientAnswerCallback callback, void *userdata,
                      ClientCall **ret_call)
{
        ClientCall *call = calloc(1, sizeof(*call));

        check(call && strlen(request->member) < sizeof(call->member));
        check_text(request->text);
        check_text(request->second_text);
        for (size_t i = 0; i < request->n_options; i++) {
                if (request->options[i].type == 's')
                        check_text(request->options[i].s);
                if (streq(request->options[i].name, "after"))
                        call->after = request->options[i].t;
        }
        strcpy(call->member, request->member);
        call->callback = callback;
        call->userdata = userdata;
        DL_APPEND(the_daemon.calls, call);
        if (ret_call)
                *ret_call = call;
        return 0;
}

ClientCall *client_call_cancel(ClientCall *call)
{
        if (!call)
                return NULL;
        DL_DELETE(the_daemon.calls, call);
        free(call);
        return NULL;
}

bool client_call_may_be_done(const ClientCall *call)
{
        return call;
}

bool client_async_is_up(const ClientAsync *client)
{
        return false;
}

static int append_events(sd_bus_message *m, uint64_t after)
{
        int r;

        r = sd_bus_message_open_container(m, 'a', "(tsss)");
        if (r >= 0 && after < LAST_EVENT)
                r = sd_bus_message_append(m, "(tsss)", LAST_EVENT, ALICE, "run", "{\"provider\":\"test\"}");
        if (r >= 0)
                r = sd_bus_message_close_container(m);
        return r < 0 ? r : sd_bus_message_append(m, "ttt", UINT64_C(1), LAST_EVENT, LAST_EVENT);
}

static int append_reply(sd_bus_message *m, const ClientCall *call)
{
        const char *member = call->member;
        static const char json[] = "{\"syncRun\":{},\"connections\":[{\"accounts\":[]}]}";
        static const char statistics[] = "{\"connectors\":1,\"runs\":{\"failed\":2},\"durations\":{\"bounds_sec\":[1],"
                                         "\"runs\":[1,1],\"sum_usec\":7},"
                                         "\"deliveries\":{\"records\":{\"refused\":1}}}";

        if (streq(member, "CheckApiKey"))
                return sd_bus_message_append(m, "sass", "key", 3, "sync:read", "sync:write", "sync:admin", "");
        if (streq(member, "ListEvents"))
                return append_events(m, call->after);
        if (streq(member, "StartRun"))
                return sd_bus_message_append(m, "soba{sv}", "id", "/org/syncrun1/run/id", 0, 1, "body", "s", json);
        if (streq(member, "DescribeStatistics"))
                return sd_bus_message_append(m, "s", statistics);
        if (streq(member, "AddWebhookEndpoint"))
                return sd_bus_message_append(m, "ss", "id", json);
        return sd_bus_message_append(m, "s", json);
}

static void answer_call(ClientCall *call)
{
        bool refuses = the_daemon.error != 0 && !streq(call->member, "CheckApiKey");
        ClientAnswer answer = {
                .error = refuses ? -the_daemon.error : 0,
                .refusal = refuses ? refusal_by_errno(the_daemon.error) : NULL,
                .message = refuses ? "no \"such\" thing" : NULL,
        };
        sd_bus_message *m = NULL;

        DL_DELETE(the_daemon.calls, call);
        if (!refuses) {
                check(sd_bus_message_new_method_call(the_daemon.bus, &m, NULL, "/", NULL, "Reply") >= 0);
                check(append_reply(m, call) >= 0 && sd_bus_message_seal(m, 1, 0) >= 0);
                check(sd_bus_message_rewind(m, true) >= 0);
                answer.reply = m;
        }
        call->callback(&answer, call->userdata);
        sd_bus_message_unref(m);
        free(call);
}

static void start_daemon(void)
{
        int ends[2];

        check(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) == 0);
        check(sd_bus_new(&the_daemon.bus) >= 0 && sd_bus_set_fd(the_daemon.bus, ends[0], ends[0]) >= 0);
        check(sd_bus_start(the_daemon.bus) >= 0);
}

/* ---- The server */

static App app;
static struct sockaddr_un address = { .sun_family = AF_UNIX };
static socklen_t address_size = sizeof(address);

static void on_idle_changed(App *unused)
{
}

static void on_connections_idle_changed(void *unused)
{
}

static void on_revoked(App *unused)
{
}

static void set_up(void)
{
        static char *trusted[] = { (char *) "unix", NULL }, *origins[] = { (char *) "https://app.example.org", NULL };
        const ServerCallbacks callbacks = {
                .head = dispatch_head,
                .request = dispatch_request,
                .done = dispatch_done,
                .idle_changed = on_connections_idle_changed,
                .userdata = &app,
        };
        Listeners listeners = { .n = 1 };

        log_set_level(LOG_EMERG);
        start_daemon();
        http_settings_init(&app.settings);
        app.settings.requests_per_minute = app.settings.failures_per_minute = UINT32_MAX;
        /* libmicrohttpd does not always see that a client has closed behind requests in a pipeline. */
        app.settings.keep_alive_usec = app.settings.head_timeout_usec = app.settings.body_timeout_usec =
                        10 * USEC_PER_MSEC;
        app.settings.trusted_proxy = trusted;
        app.settings.allow_origin = origins;
        app.idle_changed = on_idle_changed;
        listeners.fds[0] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        check(listeners.fds[0] >= 0);
        check(bind(listeners.fds[0], (struct sockaddr *) &address, sizeof(sa_family_t)) == 0);
        check(listen(listeners.fds[0], 16) == 0);
        check(getsockname(listeners.fds[0], (struct sockaddr *) &address, &address_size) == 0);
        check(sd_event_default(&app.event) >= 0 && metrics_new(&app.metrics) >= 0);
        check(page_load("/nonexistent", &app.page) >= 0);
        check(health_new(&app, &app.health) >= 0 && answers_new(&app, &app.answers) >= 0);
        check(auth_new(&app, on_revoked, &app.auth) >= 0 && sse_hub_new(&app, &app.hub) >= 0);
        check(server_new(app.event, &app.settings, &listeners, &callbacks, &app.server) >= 0);
}

/* Until there is nothing to do. */
static void run(void)
{
        for (unsigned turns = 0; turns < TURNS_MAX; turns++) {
                int r = sd_event_run(app.event, 0);

                check(r >= 0);
                if (the_daemon.calls)
                        answer_call(the_daemon.calls);
                else if (r == 0)
                        return;
        }
        abort();
}

/* ---- The client */

static void say(int fd, const uint8_t *data, size_t size)
{
        /* Who was refused may be cut off. */
        for (size_t n; size > 0; data += n, size -= n) {
                n = MIN(size, PIECE_MAX);
                if (send(fd, data, n, MSG_NOSIGNAL | MSG_DONTWAIT) != (ssize_t) n)
                        return;
                run();
        }
}

/* Until the end. Some of it may be left to a timer of the server's. */
static void hear(int fd, Buffer *ret)
{
        char data[4096];
        ssize_t n;

        for (unsigned waits = 0; waits < WAITS_MAX;) {
                n = recv(fd, data, sizeof(data), MSG_DONTWAIT);
                if (n > 0)
                        buffer_append(ret, data, (size_t) n);
                else if (n == 0 || errno != EAGAIN)
                        return;
                else {
                        check(sd_event_run(app.event, 10 * USEC_PER_MSEC) >= 0);
                        waits++;
                }
                run();
        }
        abort();
}

/* A line of a head; returns what is behind it. */
static const char *check_header(const char *line)
{
        const char *end = strstr(line, "\r\n"), *p = line;

        check(end);
        while (isalnum((unsigned char) *p) || *p == '-')
                p++;
        check(p > line && p[0] == ':' && p[1] == ' ');
        for (; p < end; p++)
                check((unsigned char) *p >= ' ' && *p != 0x7f);
        return end + 2;
}

/* The first answer: those behind it begin where its own body ends, which a client that asked for HEAD would know. */
static void check_answer(const char *text)
{
        unsigned status;

        if (isempty(text))
                return;
        check(startswith(text, "HTTP/1.1 ") || startswith(text, "HTTP/1.0 "));
        status = (unsigned) strtoul(text + strlen("HTTP/1.1 "), NULL, 10);
        check(status >= 100 && status < 600);
        check(status != 500 || the_daemon.error == EIO);
        text = strstr(text, "\r\n");
        check(text);
        text += 2;
        while (!startswith(text, "\r\n"))
                text = check_header(text);
}

static int connect_client(void)
{
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

        check(fd >= 0 && connect(fd, (struct sockaddr *) &address, address_size) == 0);
        return fd;
}

static void wait_until_nothing_is_left(void)
{
        for (unsigned waits = 0; waits < WAITS_MAX; waits++) {
                ServerStatus status;
                SseStatus sse;

                run();
                server_status(app.server, &status);
                sse_hub_status(app.hub, &sse);
                if (status.n_connections == 0 && sse.n_streams == 0 && !the_daemon.calls)
                        return;
                check(sd_event_run(app.event, 10 * USEC_PER_MSEC) >= 0);
        }
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        static const int errors[] = { 0, 0, 0, ENXIO, EIO, ENOBUFS, EINVAL, EHOSTUNREACH };
        _cleanup_buffer_ Buffer heard = {};
        size_t first;
        int fd;

        if (size == 0)
                return 0;
        if (!app.server)
                set_up();
        the_daemon.error = errors[data[0] % ELEMENTSOF(errors)];
        first = data[0] / ELEMENTSOF(errors) * 8;
        data++;
        size--;
        first = MIN(first, size);

        fd = connect_client();
        run();
        say(fd, data, first);
        say(fd, data + first, size - first);
        check(shutdown(fd, SHUT_WR) == 0 || errno == ENOTCONN);
        run();
        hear(fd, &heard);
        check_answer(heard.data);
        (void) safe_close(fd);
        wait_until_nothing_is_left();
        return 0;
}
