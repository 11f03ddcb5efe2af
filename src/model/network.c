/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "model/network.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>

#include "base/buffer.h"
#include "base/string-util.h"

static const uint8_t ipv4_start[NETWORK_IPV4_START] = { [10] = 0xff, [11] = 0xff };

/* As IPAddressAllow= of systemd.resource-control(5) knows them. */
static const struct {
        const char *word;
        const char *networks;
} named[] = {
        { "localhost", "127.0.0.0/8 ::1/128" },
        { "link-local", "169.254.0.0/16 fe80::/10" },
};

static uint8_t mask(unsigned bits)
{
        return (uint8_t) (0xff << (8 - MIN(bits, 8U)));
}

bool network_has(const Network *network, const uint8_t *address)
{
        for (unsigned bit = 0; bit < network->bits; bit += 8)
                if ((address[bit / 8] & mask(network->bits - bit)) != network->bytes[bit / 8])
                        return false;
        return true;
}

static bool is_ipv4(const uint8_t *address)
{
        return memcmp(address, ipv4_start, sizeof(ipv4_start)) == 0;
}

bool networks_have(const Networks *networks, const uint8_t *address)
{
        bool ipv4 = is_ipv4(address);

        for (size_t i = 0; i < networks->n; i++)
                if (network_has(&networks->items[i], address) &&
                    (!ipv4 || networks->items[i].bits >= NETWORK_IPV4_BITS))
                        return true;
        return false;
}

static bool parse_address(const char *text, Network *network)
{
        (void) memcpy(network->bytes, ipv4_start, sizeof(ipv4_start));
        if (inet_pton(AF_INET, text, network->bytes + sizeof(ipv4_start)) == 1) {
                network->bits = NETWORK_IPV4_BITS;
                return true;
        }
        network->bits = 0;
        return inet_pton(AF_INET6, text, network->bytes) == 1;
}

/* Bits of the host may stand in it: they are cleared. */
static bool parse_network(char *word, Network *ret)
{
        unsigned all = 8 * sizeof(ret->bytes);
        char *slash = strchr(word, '/');
        Network network = {};
        uint64_t bits;
        bool good;

        if (slash)
                *slash = '\0';
        good = parse_address(word, &network);
        if (slash)
                *slash = '/';
        if (!good)
                return false;
        bits = all - network.bits;
        if (slash && (parse_uint64(slash + 1, &bits) < 0 || bits > all - network.bits))
                return false;
        network.bits += (unsigned) bits;
        for (unsigned i = 0; i < sizeof(network.bytes); i++)
                network.bytes[i] &= 8 * i < network.bits ? mask(network.bits - 8 * i) : 0;
        *ret = network;
        return true;
}

static int add_word(Networks *networks, char *word, char **ret_why)
{
        if (networks->n == NETWORKS_MAX) {
                *ret_why = asprintf_or_null("There are at most %u networks.", NETWORKS_MAX);
                return *ret_why ? -E2BIG : -ENOMEM;
        }
        if (!parse_network(word, &networks->items[networks->n])) {
                *ret_why = asprintf_or_null("'%s' is no network such as 10.0.0.0/8 or fd00::/8, not localhost and not "
                                            "link-local.", word);
                return *ret_why ? -EINVAL : -ENOMEM;
        }
        networks->n++;
        return 0;
}

static const char *find_named(const char *word)
{
        for (size_t i = 0; i < ELEMENTSOF(named); i++)
                if (streq(word, named[i].word))
                        return named[i].networks;
        return NULL;
}

int networks_add(Networks *networks, const char *text, char **ret_why)
{
        _cleanup_strv_free_ char **words = NULL;
        Networks all = *networks;
        int r;

        if (strv_split(text, WHITESPACE, &words) < 0)
                return -ENOMEM;
        STRV_FOREACH(word, words) {
                const char *meant = find_named(*word);

                r = meant ? networks_add(&all, meant, ret_why) : add_word(&all, *word, ret_why);
                if (r < 0)
                        return r;
        }
        *networks = all;
        return 0;
}

int networks_to_text(const Networks *networks, char **ret)
{
        _cleanup_buffer_ Buffer text = {};

        for (size_t i = 0; i < networks->n; i++) {
                const Network *network = &networks->items[i];
                bool ipv4 = network->bits >= NETWORK_IPV4_BITS && is_ipv4(network->bytes);
                unsigned start = ipv4 ? NETWORK_IPV4_START : 0;
                char address[INET6_ADDRSTRLEN];

                (void) inet_ntop(ipv4 ? AF_INET : AF_INET6, network->bytes + start, address, sizeof(address));
                buffer_append_format(&text, "%s%s/%u", i > 0 ? " " : "", address, network->bits - 8 * start);
        }
        return buffer_take(&text, ret);
}
