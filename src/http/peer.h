/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Who is at the other end of a connection. */

#include <sys/socket.h>

#include "base/macros.h"

#define PEER_TEXT_MAX 48U

typedef struct Peer {
        unsigned char key[16]; /* what limits go by: an IPv4 address, or the first 64 bits of an IPv6 one */
        bool is_local;         /* AF_UNIX: there is no address, and no limit by it */
        char text[PEER_TEXT_MAX];
} Peer;

/* @address: as accept(2) gives it. */
void peer_from_address(const struct sockaddr *address, Peer *ret);

/* Return: 0; -EINVAL where @text is no address. */
int peer_from_text(const char *text, Peer *ret) _must_check_;

/* Whether it is in a list of addresses ("unix": AF_UNIX). */
bool peer_is_listed(const Peer *peer, char *const *list) _pure_;

/**
 * peer_forwarded() - whom a trusted proxy speaks for
 * @header: X-Forwarded-For; NULL: there is none
 *
 * The last address that is not one of the proxies themselves; the peer itself where there is none.
 */
void peer_forwarded(const Peer *proxy, const char *header, char *const *trusted, Peer *ret);
