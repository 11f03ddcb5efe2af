/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The least that a server of streams can do: an event of a user is sent to each socket of the user's, one send() each.
 * What syncrun-http is measured against. A client says GET /NUMBER and gets the stream of that user; one says PUB, and
 * then for each event the number of its user, its size, and its bytes. Never ends. */

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define USERS_MAX 16384
#define ROOM      (1024 * 1024)

static const char head[] = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
                           "e\r\n: connected\n\n\r\n";

static struct {
        int *fds;
        unsigned n;
} users[USERS_MAX];

static int publisher = -1;
static char room[ROOM];
static size_t n_room;

static void add_stream(int fd, unsigned user)
{
        users[user].fds = realloc(users[user].fds, (users[user].n + 1) * sizeof(int));
        users[user].fds[users[user].n++] = fd;
        if (send(fd, head, sizeof(head) - 1, MSG_NOSIGNAL) < 0)
                perror("send");
}

static void publish(unsigned user, const char *data, size_t size)
{
        for (unsigned i = 0; i < users[user].n; i++)
                if (send(users[user].fds[i], data, size, MSG_NOSIGNAL) < 0)
                        perror("send");
}

/* Whole events that have come. */
static void take_events(void)
{
        size_t done = 0;

        while (n_room - done >= 2 * sizeof(uint32_t)) {
                uint32_t user, size;

                memcpy(&user, room + done, sizeof(user));
                memcpy(&size, room + done + sizeof(user), sizeof(size));
                if (n_room - done - 2 * sizeof(uint32_t) < size)
                        break;
                publish(user, room + done + 2 * sizeof(uint32_t), size);
                done += 2 * sizeof(uint32_t) + size;
        }
        memmove(room, room + done, n_room - done);
        n_room -= done;
}

/* Return: whether the connection stays. */
static int on_readable(int fd)
{
        char data[4096];
        ssize_t n;

        if (fd == publisher) {
                n = recv(fd, room + n_room, ROOM - n_room, 0);
                if (n <= 0)
                        return 0;
                n_room += (size_t) n;
                take_events();
                return 1;
        }
        n = recv(fd, data, sizeof(data) - 1, 0);
        if (n <= 0)
                return 0;
        data[n] = '\0';
        if (strncmp(data, "PUB", 3) == 0)
                publisher = fd;
        else if (strncmp(data, "GET /", 5) == 0)
                add_stream(fd, (unsigned) atoi(data + 5) % USERS_MAX);
        return 1;
}

static void accept_all(int listener, int epoll)
{
        int fd, one = 1;

        while ((fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC)) >= 0) {
                struct epoll_event event = { .events = EPOLLIN, .data.fd = fd };

                (void) setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
                if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) < 0)
                        perror("epoll_ctl");
        }
}

/* @argv: the number of a listening socket that does not block. */
int main(int argc, char *argv[])
{
        int listener = argc == 2 ? atoi(argv[1]) : -1, epoll = epoll_create1(EPOLL_CLOEXEC);
        struct epoll_event event = { .events = EPOLLIN, .data.fd = listener }, events[256];

        if (epoll < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event) < 0) {
                perror("epoll_ctl");
                return EXIT_FAILURE;
        }
        for (;;) {
                int n = epoll_wait(epoll, events, 256, -1);

                for (int i = 0; i < n; i++)
                        if (events[i].data.fd == listener)
                                accept_all(listener, epoll);
                        else if (!on_readable(events[i].data.fd))
                                (void) close(events[i].data.fd);
        }
}
