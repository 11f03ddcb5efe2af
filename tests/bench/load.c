/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "load.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>

noreturn void die(const char *what)
{
        perror(what);
        exit(EXIT_FAILURE);
}

noreturn void die_errno(int error, const char *what)
{
        errno = error < 0 ? -error : error;
        die(what);
}

int connect_server(int port)
{
        struct sockaddr_in address = { .sin_family = AF_INET,
                                       .sin_port = htons((uint16_t) port),
                                       .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;

        if (fd < 0 || connect(fd, (struct sockaddr *) &address, sizeof(address)) < 0)
                die("connect");
        (void) setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
        return fd;
}

void send_all(int fd, const char *data, size_t size)
{
        while (size > 0) {
                ssize_t n = send(fd, data, size, MSG_NOSIGNAL);

                if (n < 0)
                        die("send");
                data += n;
                size -= (size_t) n;
        }
}

void watch(int epoll, int fd, void *what)
{
        struct epoll_event event = { .events = EPOLLIN, .data.ptr = what };

        if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) < 0)
                die("epoll_ctl");
}

void samples_reset(Samples *samples)
{
        if (!samples->usec)
                samples->usec = calloc(SAMPLES_MAX, sizeof(*samples->usec));
        if (!samples->usec)
                die("calloc");
        samples->n = 0;
}

void samples_add(Samples *samples, usec_t usec)
{
        if (samples->n < SAMPLES_MAX)
                samples->usec[samples->n++] = (uint32_t) usec;
}

static int compare(const void *a, const void *b)
{
        uint32_t x = *(const uint32_t *) a, y = *(const uint32_t *) b;

        return x < y ? -1 : x > y;
}

uint32_t samples_quantile(Samples *samples, double q)
{
        if (samples->n == 0)
                return 0;
        qsort(samples->usec, samples->n, sizeof(*samples->usec), compare);
        return samples->usec[(size_t) ((double) (samples->n - 1) * q)];
}
