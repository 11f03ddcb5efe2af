/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The load of bench-http.py: a client that holds streams, or sends requests, to a server on this machine, and says how
 * fast it was. For syncrun-http it is the daemon, too, so that nothing but the server is measured.
 *
 *     http-load sse syncrun|nchan|bare PORT STREAMS USERS KEY
 *     http-load rest PORT PATH KEY
 *     http-load end-to-end PORT KEY
 *
 * It says "ready", then takes lines of a window (events, or requests, that are under way) and milliseconds, and
 * answers each with a line of JSON. */

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <systemd/sd-bus.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/names.h"
#include "base/string-util.h"
#include "base/time-util.h"

#define OPENING_MAX 64 /* streams that are being opened at a time */
#define NEEDLE      "\ndata: "
#define NEEDLE_SIZE (sizeof(NEEDLE) - 1)
#define SAMPLES_MAX 1000000
#define EVENT_FORMAT                                                                             \
        "{\"event_id\":\"0b9c4e7e-6d1f-4a3c-9a53-%012" PRIu64                                    \
        "\",\"run_id\":\"run-%u\",\"user_id\":\"%s\",\"provider\":\"oura\",\"source\":\"pull\"," \
        "\"stage\":\"fetching\",\"status\":\"in_progress\",\"message\":\"Fetching page 12 of "   \
        "40\",\"progress\":0.3,\"items_processed\":1200,"                                        \
        "\"items_total\":4000,\"error\":null,\"metadata\":{},\"started_at\":\"2026-01-01T00:00:00Z\"}"

typedef struct Stream {
        int fd;
        unsigned user;
        uint64_t n_events;
        char tail[NEEDLE_SIZE - 1]; /* of what was read last */
        size_t n_tail;
        bool is_open;
} Stream;

static struct {
        const char *kind;
        const char *key;
        int port;
        int epoll;
        int publisher;
        sd_bus *bus;
        Stream *streams;
        unsigned n_streams;
        unsigned n_users;
        unsigned n_open;
        uint64_t seq;
        uint64_t n_received;
        usec_t *published; /* by user: when its event was sent; 0: none is under way */
        unsigned n_under_way;
        bool targeted;
        uint32_t *samples; /* µs */
        size_t n_samples;
} load;

static void die(const char *what)
{
        perror(what);
        exit(EXIT_FAILURE);
}

static int connect_server(void)
{
        struct sockaddr_in address = { .sin_family = AF_INET,
                                       .sin_port = htons((uint16_t) load.port),
                                       .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;

        if (fd < 0 || connect(fd, (struct sockaddr *) &address, sizeof(address)) < 0)
                die("connect");
        (void) setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
        return fd;
}

static void send_all(int fd, const char *data, size_t size)
{
        while (size > 0) {
                ssize_t n = send(fd, data, size, MSG_NOSIGNAL);

                if (n < 0)
                        die("send");
                data += n;
                size -= (size_t) n;
        }
}

static void watch(int fd, void *what)
{
        struct epoll_event event = { .events = EPOLLIN, .data.ptr = what };

        if (epoll_ctl(load.epoll, EPOLL_CTL_ADD, fd, &event) < 0)
                die("epoll_ctl");
}

static void add_sample(usec_t usec)
{
        if (load.n_samples < SAMPLES_MAX)
                load.samples[load.n_samples++] = (uint32_t) usec;
}

static int compare_samples(const void *a, const void *b)
{
        uint32_t x = *(const uint32_t *) a, y = *(const uint32_t *) b;

        return x < y ? -1 : x > y;
}

static uint32_t quantile(double q)
{
        return load.n_samples > 0 ? load.samples[(size_t) ((double) (load.n_samples - 1) * q)] : 0;
}

/* ---- Publishing */

static const char *user_id(unsigned user)
{
        static char text[64];

        (void) snprintf(text, sizeof(text), "a11ce000-0000-4000-8000-%012u", user);
        return text;
}

static void publish_signal(const unsigned *targets, unsigned n)
{
        sd_bus_message *m = NULL;
        char json[1024];
        int r;

        r = sd_bus_message_new_signal(load.bus, &m, SYNCRUN_PATH, SYNCRUN_IFACE_MANAGER, "EventsCommitted");
        if (r >= 0)
                r = sd_bus_message_open_container(m, 'a', "(tsss)");
        for (unsigned i = 0; r >= 0 && i < n; i++) {
                const char *id = user_id(targets[i]);

                load.seq++;
                (void) snprintf(json, sizeof(json), EVENT_FORMAT, load.seq, targets[i], id);
                r = sd_bus_message_append(m, "(tsss)", load.seq, id, "run", json);
        }
        if (r >= 0)
                r = sd_bus_message_close_container(m);
        if (r >= 0)
                r = sd_bus_send(load.bus, m, NULL);
        if (r >= 0)
                r = sd_bus_flush(load.bus);
        sd_bus_message_unref(m);
        if (r < 0) {
                errno = -r;
                die("signal");
        }
}

static void publish_bytes(const unsigned *targets, unsigned n)
{
        bool bare = streq(load.kind, "bare");
        char json[1024], text[2048];
        Buffer all = {};

        for (unsigned i = 0; i < n; i++) {
                load.seq++;
                (void) snprintf(json, sizeof(json), EVENT_FORMAT, load.seq, targets[i], user_id(targets[i]));
                if (bare) {
                        char frame[1536];
                        int size = snprintf(frame, sizeof(frame), "event: sync.status\nid: %" PRIu64 "\ndata: %s\n\n",
                                            load.seq, json);
                        uint32_t numbers[2] = { targets[i] };

                        numbers[1] = (uint32_t) snprintf(text, sizeof(text), "%x\r\n%s\r\n", size, frame);
                        buffer_append(&all, (char *) numbers, sizeof(numbers));
                } else
                        (void) snprintf(text, sizeof(text),
                                        "POST /pub/%u HTTP/1.1\r\nHost: x\r\nX-EventSource-Event: sync.status\r\n"
                                        "Content-Length: %zu\r\n\r\n%s",
                                        targets[i], strlen(json), json);
                buffer_append_string(&all, text);
        }
        send_all(load.publisher, all.data, all.size);
        buffer_done(&all);
}

static void publish(const unsigned *targets, unsigned n)
{
        if (load.bus)
                publish_signal(targets, n);
        else
                publish_bytes(targets, n);
}

/* ---- Streams */

static void received(Stream *stream, unsigned n)
{
        stream->n_events += n;
        load.n_received += n;
        if (load.targeted && load.published[stream->user] > 0) {
                add_sample(now_usec(CLOCK_MONOTONIC) - load.published[stream->user]);
                load.published[stream->user] = 0;
                load.n_under_way--;
        }
}

static unsigned count_events(const char *data, size_t size)
{
        const char *end = data + size, *p = data;
        unsigned n = 0;

        while ((p = memmem(p, (size_t) (end - p), NEEDLE, NEEDLE_SIZE))) {
                p += NEEDLE_SIZE;
                n++;
        }
        return n;
}

static void read_stream(Stream *stream)
{
        static char data[256 * 1024];
        size_t kept = stream->n_tail, size;
        unsigned n_events;
        ssize_t n;

        memcpy(data, stream->tail, kept);
        n = recv(stream->fd, data + kept, sizeof(data) - kept, MSG_DONTWAIT);
        if (n < 0 && errno == EAGAIN)
                return;
        if (n <= 0)
                die("a stream ended");
        size = kept + (size_t) n;
        if (!stream->is_open && strncmp(data, "HTTP/1.1 200", MIN(size, 12U)) != 0) {
                (void) fprintf(stderr, "%.*s\n", (int) size, data);
                exit(EXIT_FAILURE);
        }
        if (!stream->is_open) {
                stream->is_open = true;
                load.n_open++;
        }
        n_events = count_events(data, size);
        if (n_events > 0)
                received(stream, n_events);
        stream->n_tail = MIN(size, NEEDLE_SIZE - 1);
        memcpy(stream->tail, data + size - stream->n_tail, stream->n_tail);
}

static void turn(int timeout_msec)
{
        struct epoll_event events[256];
        static char dropped[65536];
        int n;

        if (load.bus)
                while (sd_bus_process(load.bus, NULL) > 0)
                        ;
        n = epoll_wait(load.epoll, events, 256, timeout_msec);
        for (int i = 0; i < n; i++)
                if (events[i].data.ptr == &load.publisher)
                        (void) !recv(load.publisher, dropped, sizeof(dropped), MSG_DONTWAIT);
                else if (events[i].data.ptr != &load.bus)
                        read_stream(events[i].data.ptr);
}

static void open_stream(Stream *stream, unsigned user)
{
        char request[1024];
        int n;

        stream->user = user;
        stream->fd = connect_server();
        if (streq(load.kind, "syncrun"))
                n = snprintf(request, sizeof(request),
                             "GET /api/v1/users/%s/sync/stream HTTP/1.1\r\nHost: x\r\nX-API-Key: %s\r\n\r\n",
                             user_id(user), load.key);
        else
                n = snprintf(request, sizeof(request),
                             "GET /%s%u HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\n\r\n",
                             streq(load.kind, "nchan") ? "sub/" : "", user);
        watch(stream->fd, stream);
        send_all(stream->fd, request, (size_t) n);
}

static void open_streams(void)
{
        load.streams = calloc(load.n_streams, sizeof(Stream));
        load.published = calloc(load.n_users, sizeof(usec_t));
        load.samples = calloc(SAMPLES_MAX, sizeof(uint32_t));
        if (!load.streams || !load.published || !load.samples)
                die("calloc");
        for (unsigned i = 0; i < load.n_streams; i++) {
                open_stream(&load.streams[i], i % load.n_users);
                while (i + 1 - load.n_open >= OPENING_MAX)
                        turn(1000);
        }
        while (load.n_open < load.n_streams)
                turn(1000);
}

/* All streams of one user: bursts, each when the one before has come to everybody. */
static void run_bursts(unsigned window, usec_t until)
{
        static const unsigned targets[1024];
        uint64_t expected = load.n_received;

        while (now_usec(CLOCK_MONOTONIC) < until) {
                usec_t begin = now_usec(CLOCK_MONOTONIC);

                expected += (uint64_t) window * load.n_streams;
                publish(targets, window);
                while (load.n_received < expected)
                        turn(1000);
                add_sample(now_usec(CLOCK_MONOTONIC) - begin);
        }
}

/* One user each: so many events under way. */
static void run_targeted(unsigned window, usec_t until)
{
        unsigned targets[1024], next = 0;
        usec_t now;

        while ((now = now_usec(CLOCK_MONOTONIC)) < until || load.n_under_way > 0) {
                unsigned n = 0;

                while (now < until && load.n_under_way < window) {
                        /* Far from each other. */
                        next = (next + 7919) % load.n_users;
                        if (load.published[next] > 0)
                                break;
                        load.published[next] = now;
                        load.n_under_way++;
                        targets[n++] = next;
                }
                if (n > 0)
                        publish(targets, n);
                turn(1000);
        }
}

static void run_streams(unsigned window, usec_t usec)
{
        uint64_t before = load.n_received;
        usec_t begin = now_usec(CLOCK_MONOTONIC), took;

        load.n_samples = 0;
        load.targeted = load.n_users > 1;
        if (load.targeted)
                run_targeted(window, begin + usec);
        else
                run_bursts(window, begin + usec);
        took = now_usec(CLOCK_MONOTONIC) - begin;
        qsort(load.samples, load.n_samples, sizeof(uint32_t), compare_samples);
        printf("{\"per_sec\":%.0f,\"p50\":%u,\"p99\":%u}\n",
               (double) (load.n_received - before) * (double) USEC_PER_SEC / (double) took, quantile(0.5),
               quantile(0.99));
}

/* ---- The daemon, as far as streams need it */

static int on_call(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        sd_bus_message *reply = NULL;
        uint8_t type;
        int r;

        if (sd_bus_message_get_type(m, &type) < 0 || type != SD_BUS_MESSAGE_METHOD_CALL)
                return 0;
        r = sd_bus_message_new_method_return(m, &reply);
        if (r >= 0 && sd_bus_message_is_method_call(m, NULL, "CheckApiKey"))
                r = sd_bus_message_append(reply, "sass", "bench", 3, "sync:read", "sync:write", "sync:admin", "");
        else if (r >= 0 && sd_bus_message_is_method_call(m, NULL, "ListEvents"))
                r = sd_bus_message_append(reply, "a(tsss)ttt", 0, UINT64_C(1), load.seq, load.seq);
        else if (r >= 0)
                r = sd_bus_message_append(reply, "s", "[]");
        if (r >= 0)
                r = sd_bus_send(load.bus, reply, NULL);
        sd_bus_message_unref(reply);
        return r < 0 ? r : 1;
}

static sd_bus *open_bus(void)
{
        sd_bus *bus = NULL;
        int r;

        r = sd_bus_new(&bus);
        if (r >= 0)
                r = sd_bus_set_address(bus, getenv(SYNCRUN_ENV_BUS_ADDRESS));
        if (r >= 0)
                r = sd_bus_set_bus_client(bus, true);
        if (r >= 0)
                r = sd_bus_start(bus);
        if (r < 0) {
                errno = -r;
                die("bus");
        }
        return bus;
}

static void be_daemon(void)
{
        load.bus = open_bus();
        if (sd_bus_add_filter(load.bus, NULL, on_call, NULL) < 0 ||
            sd_bus_request_name(load.bus, SYNCRUN_BUS_NAME, 0) < 0)
                die("bus name");
        watch(sd_bus_get_fd(load.bus), &load.bus);
}

/* ---- Requests */

typedef struct Client {
        int fd;
        usec_t begun;
        size_t missing; /* of the body; SIZE_MAX: the head has not ended */
} Client;

static char rest_request[1024];

static void begin_request(Client *client)
{
        client->begun = now_usec(CLOCK_MONOTONIC);
        client->missing = SIZE_MAX;
        send_all(client->fd, rest_request, strlen(rest_request));
}

/* Return: whether the answer is whole. The head comes in one piece. */
static bool read_answer(Client *client)
{
        static char data[256 * 1024];
        ssize_t n = recv(client->fd, data, sizeof(data) - 1, 0);
        const char *length, *end;

        if (n <= 0)
                die("an answer");
        data[n] = '\0';
        if (client->missing == SIZE_MAX) {
                length = strcasestr(data, "\r\ncontent-length:");
                end = strstr(data, "\r\n\r\n");
                if (strncmp(data, "HTTP/1.1 200", 12) != 0 || !length || !end) {
                        (void) fprintf(stderr, "%s\n", data);
                        exit(EXIT_FAILURE);
                }
                client->missing =
                                strtoull(length + strlen("\r\ncontent-length:"), NULL, 10) + (size_t) (end + 4 - data);
        }
        client->missing -= (size_t) n;
        return client->missing == 0;
}

static void run_requests(unsigned window, usec_t usec)
{
        usec_t begin = now_usec(CLOCK_MONOTONIC), until = begin + usec, now = begin;
        Client *clients = calloc(window, sizeof(Client));
        struct epoll_event events[256];
        uint64_t n_done = 0;

        if (!clients)
                die("calloc");
        load.n_samples = 0;
        for (unsigned i = 0; i < window; i++) {
                clients[i].fd = connect_server();
                watch(clients[i].fd, &clients[i]);
                begin_request(&clients[i]);
        }
        while (now < until) {
                int n = epoll_wait(load.epoll, events, 256, 1000);

                now = now_usec(CLOCK_MONOTONIC);
                for (int i = 0; i < n; i++) {
                        Client *client = events[i].data.ptr;

                        if (!read_answer(client))
                                continue;
                        n_done++;
                        add_sample(now - client->begun);
                        begin_request(client);
                }
        }
        for (unsigned i = 0; i < window; i++)
                (void) close(clients[i].fd);
        free(clients);
        qsort(load.samples, load.n_samples, sizeof(uint32_t), compare_samples);
        printf("{\"per_sec\":%.0f,\"p50\":%u,\"p99\":%u}\n",
               (double) n_done * (double) USEC_PER_SEC / (double) (now - begin), quantile(0.5), quantile(0.99));
}

/* ---- From a report to the wire, through the real daemon */

static usec_t signalled, answered;

static int on_signal(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        signalled = now_usec(CLOCK_MONOTONIC);
        return 0;
}

static int on_answer(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        if (sd_bus_message_is_method_error(m, NULL))
                die(sd_bus_message_get_error(m)->message);
        answered = now_usec(CLOCK_MONOTONIC);
        return 0;
}

static void run_end_to_end(usec_t usec)
{
        usec_t until = now_usec(CLOCK_MONOTONIC) + usec, begin;
        double to_signal = 0, to_answer = 0;
        char report[1024];

        load.n_samples = 0;
        while ((begin = now_usec(CLOCK_MONOTONIC)) < until) {
                uint64_t expected = load.n_received + 1;

                signalled = answered = 0;
                (void) snprintf(report, sizeof(report),
                                "[{\"run_id\":\"bench\",\"user_id\":\"%s\",\"provider\":\"test\",\"source\":\"sdk\","
                                "\"stage\":"
                                "\"fetching\",\"status\":\"in_progress\",\"message\":\"Fetching page %" PRIu64
                                " of 40\"}]",
                                user_id(0), ++load.seq);
                if (sd_bus_call_method_async(load.bus, NULL, SYNCRUN_BUS_NAME, SYNCRUN_PATH, SYNCRUN_IFACE_MANAGER,
                                             "ReportEvents", on_answer, NULL, "s", report) < 0)
                        die("call");
                (void) sd_bus_flush(load.bus);
                while (load.n_received < expected)
                        turn(1000);
                add_sample(now_usec(CLOCK_MONOTONIC) - begin);
                while (answered == 0 || signalled == 0)
                        turn(1);
                to_signal += (double) (signalled - begin);
                to_answer += (double) (answered - begin);
        }
        qsort(load.samples, load.n_samples, sizeof(uint32_t), compare_samples);
        printf("{\"per_sec\":%.0f,\"p50\":%u,\"p99\":%u,\"to_signal\":%.0f,\"to_answer\":%.0f}\n",
               (double) load.n_samples * (double) USEC_PER_SEC / (double) usec, quantile(0.5), quantile(0.99),
               to_signal / (double) load.n_samples, to_answer / (double) load.n_samples);
}

/* ---- All of it */

static void set_up_streams(char *argv[])
{
        load.kind = argv[2];
        load.port = atoi(argv[3]);
        load.n_streams = (unsigned) atoi(argv[4]);
        load.n_users = (unsigned) atoi(argv[5]);
        load.key = argv[6];
        if (streq(load.kind, "syncrun"))
                be_daemon();
        else {
                load.publisher = connect_server();
                watch(load.publisher, &load.publisher);
                if (streq(load.kind, "bare"))
                        send_all(load.publisher, "PUB", 3);
        }
        open_streams();
}

static void set_up_requests(char *argv[])
{
        load.port = atoi(argv[2]);
        load.samples = calloc(SAMPLES_MAX, sizeof(uint32_t));
        (void) snprintf(rest_request, sizeof(rest_request), "GET %s HTTP/1.1\r\nHost: x\r\nX-API-Key: %s\r\n\r\n",
                        argv[3], argv[4]);
}

static void set_up_end_to_end(char *argv[])
{
        load.kind = "syncrun";
        load.port = atoi(argv[2]);
        load.key = argv[3];
        load.n_streams = load.n_users = 1;
        load.bus = open_bus();
        if (sd_bus_match_signal(load.bus, NULL, SYNCRUN_BUS_NAME, SYNCRUN_PATH, SYNCRUN_IFACE_MANAGER,
                                "EventsCommitted", on_signal, NULL) < 0)
                die("match");
        watch(sd_bus_get_fd(load.bus), &load.bus);
        open_streams();
}

int main(int argc, char *argv[])
{
        struct rlimit limit;
        unsigned window, msec;

        if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
                limit.rlim_cur = limit.rlim_max;
                (void) setrlimit(RLIMIT_NOFILE, &limit);
        }
        load.epoll = epoll_create1(EPOLL_CLOEXEC);
        if (argc == 7 && streq(argv[1], "sse"))
                set_up_streams(argv);
        else if (argc == 5 && streq(argv[1], "rest"))
                set_up_requests(argv);
        else if (argc == 4 && streq(argv[1], "end-to-end"))
                set_up_end_to_end(argv);
        else
                return EXIT_FAILURE;
        printf("ready\n");
        (void) fflush(stdout);
        while (scanf("%u %u", &window, &msec) == 2) {
                if (streq(argv[1], "sse"))
                        run_streams(MIN(window, 1024U), msec * USEC_PER_MSEC);
                else if (streq(argv[1], "rest"))
                        run_requests(window, msec * USEC_PER_MSEC);
                else
                        run_end_to_end(msec * USEC_PER_MSEC);
                (void) fflush(stdout);
        }
        return EXIT_SUCCESS;
}
