/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The load of bench-http.py: a client that holds streams, or sends requests, to a server on this machine, and says how
 * fast it was.
 *
 *     http-load sse syncrun|nchan|bare PORT STREAMS USERS KEY LISTENER
 *     http-load rest PORT PATH KEY
 *     http-load end-to-end PORT STREAMS KEY
 *
 * With streams it says "one" when it has the first, and waits for a line: what a server needs once can be told from
 * what it needs for each. LISTENER is the number of the socket to which syncrun-http connects as to its bus; the
 * others have none (-1). It says "ready", then takes lines of a window (events, or requests, that are under way) and
 * milliseconds, and answers each with a line of JSON. */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/names.h"
#include "base/string-util.h"
#include "client/client-bus.h"
#include "load.h"

#define OPENING_MAX 64 /* streams that are being opened at a time */
#define NEEDLE      "\ndata: "
#define NEEDLE_SIZE (sizeof(NEEDLE) - 1)

typedef struct Stream {
        int fd;
        unsigned user;
        char tail[NEEDLE_SIZE - 1]; /* of what was read last */
        size_t n_tail;
        bool is_open;
} Stream;

static struct {
        PublisherKind kind; /* of the server whose streams they are */
        const char *key;
        int port;
        int epoll;
        Publisher publisher;
        Stream *streams;
        unsigned n_streams;
        unsigned n_users;
        unsigned n_open;
        uint64_t n_received;
        usec_t *published; /* by user: when its event was sent; 0: none is under way */
        unsigned n_under_way;
        bool targeted;
        Samples samples;
} load;

/* ---- Streams */

static void received(Stream *stream, unsigned n)
{
        load.n_received += n;
        if (load.targeted && load.published[stream->user] > 0) {
                samples_add(&load.samples, now_usec(CLOCK_MONOTONIC) - load.published[stream->user]);
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
        int n;

        n = epoll_wait(load.epoll, events, 256, timeout_msec);
        for (int i = 0; i < n; i++)
                if (events[i].data.ptr == &load.publisher)
                        publisher_listen(&load.publisher);
                else
                        read_stream(events[i].data.ptr);
}

static void open_stream(Stream *stream, unsigned user)
{
        char request[1024];
        int n;

        stream->user = user;
        stream->fd = connect_server(load.port);
        if (load.kind == PUBLISHER_SYNCRUN)
                n = snprintf(request, sizeof(request),
                             "GET /api/v1/users/%s/sync/stream HTTP/1.1\r\nHost: x\r\nX-API-Key: %s\r\n\r\n",
                             user_id(user), load.key);
        else
                n = snprintf(request, sizeof(request),
                             "GET /%s%u HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\n\r\n",
                             load.kind == PUBLISHER_NCHAN ? "sub/" : "", user);
        watch(load.epoll, stream->fd, stream);
        send_all(stream->fd, request, (size_t) n);
}

static void say(const char *word)
{
        (void) puts(word);
        (void) fflush(stdout);
}

static void open_streams(void)
{
        load.streams = calloc(load.n_streams, sizeof(Stream));
        load.published = calloc(load.n_users, sizeof(usec_t));
        if (!load.streams || !load.published)
                die("calloc");
        open_stream(&load.streams[0], 0);
        while (load.n_open == 0)
                turn(1000);
        say("one");
        (void) getchar();
        for (unsigned i = 1; i < load.n_streams; i++) {
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
        static const unsigned targets[TARGETS_MAX];
        uint64_t expected = load.n_received;

        while (now_usec(CLOCK_MONOTONIC) < until) {
                usec_t begin = now_usec(CLOCK_MONOTONIC);

                expected += (uint64_t) window * load.n_streams;
                publish(&load.publisher, targets, window);
                while (load.n_received < expected)
                        turn(1000);
                samples_add(&load.samples, now_usec(CLOCK_MONOTONIC) - begin);
        }
}

/* One user each: so many events under way. */
static void run_targeted(unsigned window, usec_t until)
{
        unsigned targets[TARGETS_MAX], next = 0;
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
                        publish(&load.publisher, targets, n);
                turn(1000);
        }
}

static void report(uint64_t n, usec_t begin)
{
        usec_t took = now_usec(CLOCK_MONOTONIC) - begin;

        printf("{\"n\":%" PRIu64 ",\"per_sec\":%.0f,\"p50\":%u,\"p99\":%u}\n", n,
               (double) n * (double) USEC_PER_SEC / (double) took, samples_quantile(&load.samples, 0.5),
               samples_quantile(&load.samples, 0.99));
}

static void run_streams(unsigned window, usec_t usec)
{
        uint64_t before = load.n_received;
        usec_t begin = now_usec(CLOCK_MONOTONIC);

        samples_reset(&load.samples);
        load.targeted = load.n_users > 1;
        if (load.targeted)
                run_targeted(window, begin + usec);
        else
                run_bursts(window, begin + usec);
        report(load.n_received - before, begin);
}

/* ---- Requests */

typedef struct Client {
        int fd;
        usec_t begun;
        size_t missing; /* of the body; SIZE_MAX: the head has not ended */
} Client;

#define COUNTER "######" /* in a path: digits that no two requests have alike */

static char rest_request[1024];
static char *rest_counter; /* in it; NULL: there is none */

static void begin_request(Client *client)
{
        static unsigned n;
        char digits[sizeof(COUNTER)];

        if (rest_counter) {
                (void) snprintf(digits, sizeof(digits), "%06u", n++ % 1000000);
                memcpy(rest_counter, digits, strlen(COUNTER));
        }
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
        samples_reset(&load.samples);
        for (unsigned i = 0; i < window; i++) {
                clients[i].fd = connect_server(load.port);
                watch(load.epoll, clients[i].fd, &clients[i]);
                begin_request(&clients[i]);
        }
        /* Until each has its answer: nothing of this is left to be done when something else is measured. */
        for (unsigned n_waiting = window; n_waiting > 0;) {
                int n = epoll_wait(load.epoll, events, 256, 1000);

                now = now_usec(CLOCK_MONOTONIC);
                for (int i = 0; i < n; i++) {
                        Client *client = events[i].data.ptr;

                        if (!read_answer(client))
                                continue;
                        n_done++;
                        samples_add(&load.samples, now - client->begun);
                        if (now < until)
                                begin_request(client);
                        else
                                n_waiting--;
                }
        }
        for (unsigned i = 0; i < window; i++)
                (void) close(clients[i].fd);
        free(clients);
        report(n_done, begin);
}

/* ---- From a report to the last client, through the real bus and daemon */

typedef struct EndToEnd {
        sd_bus *bus;
        usec_t signalled;
        usec_t answered;
        uint64_t n_reports;
        Samples to_signal, to_answer, to_last, from_signal;
} EndToEnd;

static EndToEnd way;

static int on_signal(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        way.signalled = now_usec(CLOCK_MONOTONIC);
        return 0;
}

static int on_answer(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        if (sd_bus_message_is_method_error(m, NULL)) {
                (void) fprintf(stderr, "%s\n", sd_bus_message_get_error(m)->message);
                exit(EXIT_FAILURE);
        }
        way.answered = now_usec(CLOCK_MONOTONIC);
        return 0;
}

static void turn_way(void)
{
        struct epoll_event events[256];
        int n;

        while ((n = sd_bus_process(way.bus, NULL)) > 0)
                ;
        if (n < 0)
                die_errno(n, "bus");
        n = epoll_wait(load.epoll, events, 256, 1000);
        for (int i = 0; i < n; i++)
                if (events[i].data.ptr != &way)
                        read_stream(events[i].data.ptr);
}

static void send_report(void)
{
        char text[1024];

        (void) snprintf(text, sizeof(text),
                        "[{\"run_id\":\"bench\",\"user_id\":\"%s\",\"provider\":\"test\",\"source\":\"sdk\","
                        "\"stage\":\"fetching\",\"status\":\"in_progress\",\"message\":\"Fetching page %" PRIu64
                        " of 40\"}]",
                        user_id(0), ++way.n_reports);
        way.signalled = way.answered = 0;
        if (sd_bus_call_method_async(way.bus, NULL, SYNCRUN_BUS_NAME, SYNCRUN_PATH, SYNCRUN_IFACE_MANAGER,
                                     "ReportEvents", on_answer, NULL, "s", text) < 0 ||
            sd_bus_flush(way.bus) < 0)
                die("report");
}

static void run_end_to_end(usec_t usec)
{
        usec_t until = now_usec(CLOCK_MONOTONIC) + usec, begin;

        samples_reset(&way.to_signal);
        samples_reset(&way.to_answer);
        samples_reset(&way.to_last);
        samples_reset(&way.from_signal);
        while ((begin = now_usec(CLOCK_MONOTONIC)) < until) {
                uint64_t expected = load.n_received + load.n_streams;
                usec_t last = 0;

                send_report();
                while (last == 0 || way.answered == 0 || way.signalled == 0) {
                        turn_way();
                        if (last == 0 && load.n_received >= expected)
                                last = now_usec(CLOCK_MONOTONIC);
                }
                samples_add(&way.to_signal, way.signalled - begin);
                samples_add(&way.to_answer, way.answered - begin);
                samples_add(&way.to_last, last - begin);
                samples_add(&way.from_signal, usec_sub(last, way.signalled));
        }
        printf("{\"n\":%zu,\"to_signal\":%u,\"to_answer\":%u,\"p50\":%u,\"p99\":%u,\"from_signal\":%u}\n",
               way.to_last.n, samples_quantile(&way.to_signal, 0.5), samples_quantile(&way.to_answer, 0.5),
               samples_quantile(&way.to_last, 0.5), samples_quantile(&way.to_last, 0.99),
               samples_quantile(&way.from_signal, 0.5));
}

/* ---- All of it */

static void set_up_streams(char *argv[])
{
        load.kind = publisher_kind_from_string(argv[2]);
        load.port = atoi(argv[3]);
        load.n_streams = (unsigned) atoi(argv[4]);
        load.n_users = (unsigned) atoi(argv[5]);
        load.key = argv[6];
        if (load.kind < 0)
                exit(EXIT_FAILURE);
        publisher_open(&load.publisher, load.kind, load.port, atoi(argv[7]));
        watch(load.epoll, load.publisher.fd, &load.publisher);
        open_streams();
}

static void set_up_requests(char *argv[])
{
        load.port = atoi(argv[2]);
        (void) snprintf(rest_request, sizeof(rest_request), "GET %s HTTP/1.1\r\nHost: x\r\nX-API-Key: %s\r\n\r\n",
                        argv[3], argv[4]);
        rest_counter = strstr(rest_request, COUNTER);
}

static void set_up_end_to_end(char *argv[])
{
        int r;

        load.kind = PUBLISHER_SYNCRUN;
        load.port = atoi(argv[2]);
        load.n_streams = (unsigned) atoi(argv[3]);
        load.n_users = 1;
        load.key = argv[4];
        r = client_bus_open(&way.bus);
        if (r >= 0)
                r = sd_bus_match_signal(way.bus, NULL, SYNCRUN_BUS_NAME, SYNCRUN_PATH, SYNCRUN_IFACE_MANAGER,
                                        "EventsCommitted", on_signal, NULL);
        if (r < 0)
                die_errno(r, "bus");
        watch(load.epoll, sd_bus_get_fd(way.bus), &way);
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
        if (argc == 8 && streq(argv[1], "sse"))
                set_up_streams(argv);
        else if (argc == 5 && streq(argv[1], "rest"))
                set_up_requests(argv);
        else if (argc == 5 && streq(argv[1], "end-to-end"))
                set_up_end_to_end(argv);
        else
                return EXIT_FAILURE;
        say("ready");
        while (scanf("%u %u", &window, &msec) == 2) {
                if (streq(argv[1], "sse"))
                        run_streams(MIN(window, TARGETS_MAX), msec * USEC_PER_MSEC);
                else if (streq(argv[1], "rest"))
                        run_requests(window, msec * USEC_PER_MSEC);
                else
                        run_end_to_end(msec * USEC_PER_MSEC);
                (void) fflush(stdout);
        }
        return EXIT_SUCCESS;
}
