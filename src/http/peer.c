/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "http/peer.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "base/string-util.h"

static const unsigned char mapped_prefix[12] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff };

static void set_v4(const struct in_addr *address, Peer *ret)
{
        *ret = (Peer){};
        memcpy(ret->key, mapped_prefix, sizeof(mapped_prefix));
        memcpy(ret->key + sizeof(mapped_prefix), address, sizeof(*address));
        (void) inet_ntop(AF_INET, address, ret->text, sizeof(ret->text));
}

static void set_v6(const struct in6_addr *address, Peer *ret)
{
        if (memcmp(address, mapped_prefix, sizeof(mapped_prefix)) == 0) {
                struct in_addr v4;

                memcpy(&v4, (const char *) address + sizeof(mapped_prefix), sizeof(v4));
                set_v4(&v4, ret);
                return;
        }
        *ret = (Peer){};
        memcpy(ret->key, address, sizeof(ret->key) / 2);
        (void) inet_ntop(AF_INET6, address, ret->text, sizeof(ret->text));
}

void peer_from_address(const struct sockaddr *address, Peer *ret)
{
        if (address->sa_family == AF_INET)
                set_v4(&((const struct sockaddr_in *) (const void *) address)->sin_addr, ret);
        else if (address->sa_family == AF_INET6)
                set_v6(&((const struct sockaddr_in6 *) (const void *) address)->sin6_addr, ret);
        else
                *ret = (Peer){ .is_local = true, .text = "unix" };
}

int peer_from_text(const char *text, Peer *ret)
{
        struct in6_addr v6;
        struct in_addr v4;

        if (inet_pton(AF_INET, text, &v4) > 0)
                set_v4(&v4, ret);
        else if (inet_pton(AF_INET6, text, &v6) > 0)
                set_v6(&v6, ret);
        else
                return -EINVAL;
        return 0;
}

bool peer_is_listed(const Peer *peer, char *const *list)
{
        STRV_FOREACH(entry, list) {
                Peer listed;

                if (peer->is_local ? streq(*entry, "unix")
                                   : peer_from_text(*entry, &listed) >= 0 && streq(listed.text, peer->text))
                        return true;
        }
        return false;
}

void peer_forwarded(const Peer *proxy, const char *header, char *const *trusted, Peer *ret)
{
        _cleanup_strv_free_ char **words = NULL;

        *ret = *proxy;
        if (!header || strv_split(header, ", \t", &words) < 0)
                return;
        for (size_t i = strv_length(words); i > 0; i--) {
                Peer peer;

                if (peer_from_text(words[i - 1], &peer) < 0)
                        return;
                *ret = peer;
                if (!peer_is_listed(&peer, trusted))
                        return;
        }
}
