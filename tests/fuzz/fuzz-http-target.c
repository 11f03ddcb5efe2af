/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Any text as a request's target, and as what a proxy says of its client: what is taken is within its limits, is text
 * that the daemon can be given, and means the same when it is written again. */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/string-util.h"
#include "http/peer.h"
#include "http/route.h"
#include "http/target.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
        if (!holds)
                abort();
}

static void check_text(const char *text)
{
        check(utf8_is_valid(text, strlen(text)));
        for (; *text; text++)
                check((unsigned char) *text >= ' ' && *text != 0x7f);
}

static void write_escaped(Buffer *buffer, const char *text)
{
        for (; *text; text++)
                buffer_append_format(buffer, "%%%02x", (unsigned char) *text);
}

static void write_target(Buffer *buffer, const Target *target)
{
        if (target->n_segments == 0)
                buffer_append_string(buffer, "/");
        for (size_t i = 0; i < target->n_segments; i++) {
                buffer_append_string(buffer, "/");
                write_escaped(buffer, target->segments[i]);
        }
        for (size_t i = 0; i < target->n_parameters; i++) {
                buffer_append_string(buffer, i == 0 ? "?" : "&");
                write_escaped(buffer, target->parameters[i].name);
                buffer_append_string(buffer, "=");
                write_escaped(buffer, target->parameters[i].value);
        }
}

static void check_again(const Target *target)
{
        _cleanup_buffer_ Buffer text = {};
        Target again;

        write_target(&text, target);
        check(target_parse(text.data, &again) == 0);
        check(again.n_segments == target->n_segments && again.n_parameters == target->n_parameters);
        for (size_t i = 0; i < target->n_segments; i++)
                check(streq(again.segments[i], target->segments[i]));
        for (size_t i = 0; i < target->n_parameters; i++) {
                check(streq(again.parameters[i].name, target->parameters[i].name));
                check(streq(again.parameters[i].value, target->parameters[i].value));
        }
        target_done(&again);
}

static void check_route(Target *target)
{
        for (HttpMethod method = _HTTP_METHOD_INVALID; method < _HTTP_METHOD_MAX; method = MAX((int) method, -1) + 1) {
                Request request = { .method = method, .target = *target };
                const Route *route = NULL;
                unsigned methods = 0;
                int r;

                r = route_find(&request, &route, &methods);
                check(r == -ENOENT || (methods & 1U << HTTP_OPTIONS));
                if (r <= 0)
                        continue;
                check(methods & 1U << method);
                for (size_t i = 0; i < REQUEST_ARGUMENTS_MAX && request.arguments[i]; i++)
                        check(!isempty(request.arguments[i]));
        }
}

static void test_target(const char *text)
{
        Target target = {};
        int r;

        r = target_parse(text, &target);
        check(r == 0 || r == -EINVAL || r == -E2BIG);
        if (r < 0)
                return;
        check(target.n_segments <= TARGET_SEGMENTS_MAX && target.n_parameters <= TARGET_PARAMETERS_MAX);
        for (size_t i = 0; i < target.n_segments; i++)
                check_text(target.segments[i]);
        for (size_t i = 0; i < target.n_parameters; i++) {
                check_text(target.parameters[i].name);
                check_text(target.parameters[i].value);
                check(target_get(&target, target.parameters[i].name));
        }
        check_again(&target);
        check_route(&target);
        target_done(&target);
}

static void test_peer(const char *text)
{
        char *trusted[] = { (char *) "127.0.0.1", (char *) "::1", NULL };
        Peer proxy, peer, again;

        check(peer_from_text("127.0.0.1", &proxy) == 0);
        peer_forwarded(&proxy, text, trusted, &peer);
        check(peer_from_text(peer.text, &again) == 0);
        check(memcmp(peer.key, again.key, sizeof(peer.key)) == 0 && streq(peer.text, again.text));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        _cleanup_free_ char *text = strndup((const char *) data, size);

        check(text);
        test_target(text);
        test_peer(text);
        return 0;
}
