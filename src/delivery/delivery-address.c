/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "delivery/delivery-address.h"

#include <curl/curl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdlib.h>

#include "base/string-util.h"
#include "model/webhook.h"

/* Of the IANA's special-purpose registries, what is not globally reachable, and multicast. */
static const Network ipv4_networks[] = {
        { { 0 }, 8 },
        { { 10 }, 8 },
        { { 100, 64 }, 10 },
        { { 127 }, 8 },
        { { 169, 254 }, 16 },
        { { 172, 16 }, 12 },
        { { 192, 0, 0 }, 24 },
        { { 192, 0, 2 }, 24 },
        { { 192, 88, 99 }, 24 },
        { { 192, 168 }, 16 },
        { { 198, 18 }, 15 },
        { { 198, 51, 100 }, 24 },
        { { 203, 0, 113 }, 24 },
        { { 224 }, 4 },
        { { 240 }, 4 },
};

/* Global unicast is 2000::/3; in it, what is not for everybody. */
static const Network ipv6_global = { { 0x20 }, 3 };
static const Network ipv6_networks[] = {
        { { 0x20, 0x01 }, 23 },
        { { 0x20, 0x01, 0x0d, 0xb8 }, 32 },
        { { 0x20, 0x02 }, 16 },
        { { 0x3f, 0xff }, 20 },
};

/* The last 32 bits are an IPv4 address: mapped, and translated. */
static const Network ipv6_mapped[] = {
        { { [10] = 0xff, [11] = 0xff }, 96 },
        { { 0x00, 0x64, 0xff, 0x9b }, 96 },
};

static bool is_in_any(const uint8_t *address, const Network *networks, size_t n)
{
        for (size_t i = 0; i < n; i++)
                if (network_has(&networks[i], address))
                        return true;
        return false;
}

bool address_is_public(const struct sockaddr *address)
{
        const uint8_t *bytes;

        switch (address->sa_family) {
        case AF_INET:
                bytes = (const uint8_t *) &((const struct sockaddr_in *) (const void *) address)->sin_addr;
                return !is_in_any(bytes, ipv4_networks, ELEMENTSOF(ipv4_networks));
        case AF_INET6:
                bytes = (const uint8_t *) &((const struct sockaddr_in6 *) (const void *) address)->sin6_addr;
                if (is_in_any(bytes, ipv6_mapped, ELEMENTSOF(ipv6_mapped)))
                        return !is_in_any(bytes + 12, ipv4_networks, ELEMENTSOF(ipv4_networks));
                return network_has(&ipv6_global, bytes) && !is_in_any(bytes, ipv6_networks, ELEMENTSOF(ipv6_networks));
        default:
                return false;
        }
}

bool delivery_address_is_allowed(const Networks *private, const struct sockaddr *address)
{
        uint8_t bytes[16] = { [10] = 0xff, [11] = 0xff };

        switch (address->sa_family) {
        case AF_INET:
                (void) memcpy(bytes + NETWORK_IPV4_START,
                              &((const struct sockaddr_in *) (const void *) address)->sin_addr, 4);
                break;
        case AF_INET6:
                (void) memcpy(bytes, &((const struct sockaddr_in6 *) (const void *) address)->sin6_addr, 16);
                break;
        default:
                return false;
        }
        return address_is_public(address) || networks_have(private, bytes);
}

/* ---- URLs */

static int refuse(char **ret_why, const char *sentence)
{
        char *why = ret_why ? strdup(sentence) : NULL;

        if (!ret_why)
                return -EINVAL;
        if (!why)
                return -ENOMEM;
        *ret_why = why;
        return -EINVAL;
}

/* As the resolver understands it, which takes more than inet_pton(3) does: "127.1", "0x7f000001". */
static bool is_address(const char *host)
{
        const struct addrinfo hints = { .ai_flags = AI_NUMERICHOST, .ai_socktype = SOCK_STREAM };
        struct addrinfo *found;

        if (host[0] == '[')
                return true;
        if (getaddrinfo(host, NULL, &hints, &found) != 0)
                return false;
        freeaddrinfo(found);
        return true;
}

/* Return: 1; 0; -ENOMEM. */
static int has(CURLU *parsed, CURLUPart part)
{
        char *text = NULL;
        CURLUcode code = curl_url_get(parsed, part, &text, 0);

        curl_free(text);
        return code == CURLUE_OUT_OF_MEMORY ? -ENOMEM : code == CURLUE_OK;
}

/* libcurl takes less for one, and undoes escapes: "https:/x", "https://127.0.0.1%2e/". What is looked at here is what
 * resolvers and proxies see later. */
static bool is_plain(const char *url)
{
        const char *host = strstr(url, ":");
        size_t n;

        if (!host || !startswith(host, "://"))
                return false;
        host += strlen("://");
        n = strcspn(host, "/?#");
        return n > 0 && !memchr(host, '%', n) && !memchr(host, '\\', n);
}

/* No empty label, but for the last one of a name that ends with a dot; an address has none at all. Return: 1; 0;
 * -ENOMEM. */
static int is_host(const char *host)
{
        _cleanup_free_ char *address = NULL;
        size_t n = strlen(host);

        if (host[0] == '.' || strstr(host, ".."))
                return 0;
        if (n == 0 || host[n - 1] != '.')
                return 1;
        address = strndup(host, n - 1);
        return address ? !is_address(address) : -ENOMEM;
}

static int refuse_parsed(CURLUcode code, char **ret_why)
{
        return code == CURLUE_OUT_OF_MEMORY ? -ENOMEM : refuse(ret_why, "This is not a URL.");
}

static int check_parsed(const WebhookRules *rules, CURLU *parsed, char **ret_why)
{
        int has_user = has(parsed, CURLUPART_USER), has_password = has(parsed, CURLUPART_PASSWORD),
            has_fragment = has(parsed, CURLUPART_FRAGMENT), host_is_good = 0, r = 0;
        char *scheme = NULL, *host = NULL;
        CURLUcode code;

        code = curl_url_get(parsed, CURLUPART_SCHEME, &scheme, 0);
        if (code == CURLUE_OK)
                code = curl_url_get(parsed, CURLUPART_HOST, &host, 0);
        if (code == CURLUE_OK)
                host_is_good = is_host(host);
        if (has_user < 0 || has_password < 0 || has_fragment < 0 || host_is_good < 0)
                r = -ENOMEM;
        else if (code != CURLUE_OK)
                r = refuse_parsed(code, ret_why);
        else if (!streq(scheme, "https") && !streq(scheme, "http"))
                r = refuse(ret_why, "The URL of a webhook begins with https://.");
        else if (streq(scheme, "http") && !rules->allow_http)
                r = refuse(ret_why, "The URL of a webhook begins with https:// (AllowHTTP= is off).");
        else if (has_user || has_password)
                r = refuse(ret_why, "The URL of a webhook has no user name and no password.");
        else if (has_fragment)
                r = refuse(ret_why, "The URL of a webhook has no fragment (#).");
        else if (!host_is_good)
                r = refuse(ret_why, "The host of this URL is neither a name nor an address.");
        else if (is_address(host) && !rules->allow_literals)
                r = refuse(ret_why, "The URL of a webhook has a name for its host, no address "
                                    "(AllowAddressLiterals= is off).");
        curl_free(scheme);
        curl_free(host);
        return r;
}

int delivery_check_url(const WebhookRules *rules, const char *url, char **ret_why)
{
        CURLU *parsed;
        CURLUcode code;
        int r;

        if (strlen(url) > WEBHOOK_URL_MAX)
                return refuse(ret_why, "This URL is too long: 2048 bytes at most.");
        for (const char *c = url; *c; c++)
                if (*c <= ' ' || *c >= 0x7f)
                        return refuse(ret_why, "A URL has no blanks, control characters or letters beyond ASCII.");
        parsed = curl_url();
        if (!parsed)
                return -ENOMEM;
        code = is_plain(url) ? curl_url_set(parsed, CURLUPART_URL, url, CURLU_NON_SUPPORT_SCHEME)
                             : CURLUE_MALFORMED_INPUT;
        if (code != CURLUE_OK)
                r = refuse_parsed(code, ret_why);
        else
                r = check_parsed(rules, parsed, ret_why);
        curl_url_cleanup(parsed);
        return r;
}
