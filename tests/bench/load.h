/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the parts of http-load share: sockets, samples of time, and the one who publishes. Whatever goes wrong ends the
 * process. */

#include <stdnoreturn.h>
#include <systemd/sd-bus.h>

#include "base/string-table.h"
#include "base/time-util.h"

noreturn void die(const char *what);
noreturn void die_errno(int error, const char *what);

int connect_server(int port);
void send_all(int fd, const char *data, size_t size);
void watch(int epoll, int fd, void *what);

/* ---- Times that something took */

#define SAMPLES_MAX 1000000U

typedef struct Samples {
        uint32_t *usec;
        size_t n;
} Samples;

void samples_reset(Samples *samples);
void samples_add(Samples *samples, usec_t usec);

/* Sorts them; 0 where there are none. */
uint32_t samples_quantile(Samples *samples, double q);

/* ---- Events */

#define TARGETS_MAX 1024U

typedef enum PublisherKind {
        PUBLISHER_SYNCRUN, /* we are the bus and the daemon on it */
        PUBLISHER_NCHAN,
        PUBLISHER_BARE,
        _PUBLISHER_KIND_MAX,
        _PUBLISHER_KIND_INVALID = -EINVAL,
} PublisherKind;

typedef struct Publisher {
        PublisherKind kind;
        sd_bus *bus; /* of syncrun's server; NULL: of the others */
        int fd;
        uint64_t seq;
} Publisher;

DECLARE_STRING_TABLE(publisher_kind, PublisherKind);

/* Connects to the server, or lets it connect to us: its bus is the first connection to @listener. */
void publisher_open(Publisher *publisher, PublisherKind kind, int port, int listener);

/* Takes what the server has to say: calls are answered. */
void publisher_listen(Publisher *publisher);

/* An event for each of these users, all at once: one signal, or requests in a row. */
void publish(Publisher *publisher, const unsigned *users, unsigned n);

/* Borrowed until the next call. */
const char *user_id(unsigned user);
