/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "http/listener.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "base/fd-util.h"
#include "base/log.h"
#include "base/string-util.h"

void listeners_done(Listeners *listeners)
{
        while (listeners->n > 0)
                (void) safe_close(listeners->fds[--listeners->n]);
}

static int take_activated(Listeners *listeners)
{
        int n = sd_listen_fds(true);

        if (n < 0)
                return log_error_errno(n, "Cannot take the sockets that systemd hands over: %m");
        if (n == 0)
                return log_error_errno(EDESTADDRREQ, "No sockets: start syncrun-http.socket, or use --listen=.");
        if (n > (int) LISTENERS_MAX)
                return log_error_errno(E2BIG, "%d sockets are more than %u.", n, LISTENERS_MAX);
        for (int i = 0; i < n; i++) {
                int fd = SD_LISTEN_FDS_START + i;

                if (sd_is_socket(fd, AF_UNSPEC, SOCK_STREAM, 1) <= 0)
                        return log_error_errno(ENOTSOCK, "What systemd hands over is no listening stream socket.");
                listeners->fds[listeners->n++] = fd;
        }
        listeners->activated = true;
        return 0;
}

typedef union Address {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
        struct sockaddr_un local;
} Address;

static int parse_port(const char *s, uint16_t *ret)
{
        uint64_t port;

        if (parse_uint64(s, &port) < 0 || port > UINT16_MAX)
                return -EINVAL;
        *ret = htons((uint16_t) port);
        return 0;
}

/* The size of the address; -EINVAL. */
static int parse_address(const char *text, Address *ret)
{
        _cleanup_free_ char *copy = strdup(text);
        char *colon = copy ? strrchr(copy, ':') : NULL;

        *ret = (Address){};
        if (!copy)
                return -ENOMEM;
        if (copy[0] == '/') {
                if (strlen(copy) >= sizeof(ret->local.sun_path))
                        return -EINVAL;
                ret->local.sun_family = AF_UNIX;
                memcpy(ret->local.sun_path, copy, strlen(copy) + 1);
                return sizeof(ret->local);
        }
        if (colon)
                *colon = '\0';
        if (copy[0] == '[') {
                size_t n = strlen(copy);

                ret->v6.sin6_family = AF_INET6;
                if (!colon || copy[n - 1] != ']')
                        return -EINVAL;
                copy[n - 1] = '\0';
                if (inet_pton(AF_INET6, copy + 1, &ret->v6.sin6_addr) <= 0)
                        return -EINVAL;
                return parse_port(colon + 1, &ret->v6.sin6_port) < 0 ? -EINVAL : (int) sizeof(ret->v6);
        }
        ret->v4.sin_family = AF_INET;
        if (inet_pton(AF_INET, colon ? copy : "127.0.0.1", &ret->v4.sin_addr) <= 0)
                return -EINVAL;
        return parse_port(colon ? colon + 1 : copy, &ret->v4.sin_port) < 0 ? -EINVAL : (int) sizeof(ret->v4);
}

static int listen_at(const char *text, int *ret)
{
        _cleanup_close_ int fd = -EBADF;
        Address address;
        int size, one = 1;

        size = parse_address(text, &address);
        if (size < 0)
                return log_error_errno(size, "'%s' is none of PORT, ADDRESS:PORT, [ADDRESS]:PORT, /PATH.", text);
        fd = socket(address.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (fd < 0)
                return log_error_errno(errno, "Cannot make a socket for %s: %m", text);
        if (address.any.sa_family == AF_UNIX)
                (void) unlink(address.local.sun_path);
        else
                (void) setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
        if (address.any.sa_family == AF_INET6)
                (void) setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one));
        if (bind(fd, &address.any, (socklen_t) size) < 0 || listen(fd, SOMAXCONN) < 0)
                return log_error_errno(errno, "Cannot listen at %s: %m", text);
        *ret = TAKE_FD(fd);
        return 0;
}

int listeners_open(char *const *addresses, Listeners *ret)
{
        Listeners listeners = {};
        int r = 0;

        if (!addresses)
                r = take_activated(&listeners);
        STRV_FOREACH(address, addresses) {
                if (r >= 0 && listeners.n == LISTENERS_MAX)
                        r = log_error_errno(E2BIG, "More than %u addresses to listen at.", LISTENERS_MAX);
                if (r >= 0)
                        r = listen_at(*address, &listeners.fds[listeners.n]);
                if (r >= 0)
                        listeners.n++;
        }
        if (r < 0) {
                listeners_done(&listeners);
                return r;
        }
        *ret = listeners;
        return 0;
}
