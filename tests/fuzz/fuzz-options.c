/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Dictionaries of options as a hostile client may send them: any names, any types, nested, twice. The input is a program
 * that builds the a{sv}; it goes over a socket's worth of sd-bus, but to no bus. */

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <systemd/sd-bus.h>

#include "base/fd-util.h"
#include "base/string-util.h"
#include "bus/option.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define NESTING_MAX 8U

typedef struct Input {
        const uint8_t *data;
        size_t size;
} Input;

typedef struct Options {
        bool boolean;
        int tristate;
        const char *string;
        char **list;
        unsigned number;
        uint64_t large;
        double fraction;
} Options;

static const OptionRow rows[] = {
        { "boolean", OPTION_BOOL, offsetof(Options, boolean) },   { "tristate", OPTION_TRISTATE, offsetof(Options, tristate) },
        { "string", OPTION_STRING, offsetof(Options, string) },   { "list", OPTION_STRV, offsetof(Options, list) },
        { "number", OPTION_UNSIGNED, offsetof(Options, number) }, { "large", OPTION_UINT64, offsetof(Options, large) },
        { "fraction", OPTION_DOUBLE, offsetof(Options, fraction) }, { 0 },
};

static void check(bool holds)
{
        if (!holds)
                abort();
}

static uint8_t next(Input *in)
{
        if (in->size == 0)
                return 0;
        in->size--;
        return *in->data++;
}

/* Text of up to 255 bytes; what is no UTF-8 would not get past the bus. */
static const char *next_text(Input *in, char buf[static 256])
{
        size_t n = MIN((size_t) next(in), in->size);

        memcpy(buf, in->data, n);
        buf[n] = '\0';
        in->data += n;
        in->size -= n;
        return utf8_is_valid(buf, strlen(buf)) ? buf : "?";
}

static const char *next_name(Input *in, char buf[static 256])
{
        uint8_t which = next(in);

        return which < ELEMENTSOF(rows) - 1 ? rows[which].name : next_text(in, buf);
}

static int append_value(sd_bus_message *m, Input *in, unsigned depth);

static int append_container(sd_bus_message *m, Input *in, char type, unsigned depth)
{
        const char *contents = type == 'l' ? "as" : "v";
        char buf[256];
        int r;

        r = sd_bus_message_open_container(m, 'v', contents);
        if (r >= 0 && type == 'v')
                r = append_value(m, in, depth + 1);
        if (r >= 0 && type == 'l') {
                r = sd_bus_message_open_container(m, 'a', "s");
                for (uint8_t n = next(in) % 8; r >= 0 && n > 0; n--)
                        r = sd_bus_message_append(m, "s", next_text(in, buf));
                if (r >= 0)
                        r = sd_bus_message_close_container(m);
        }
        return r < 0 ? r : sd_bus_message_close_container(m);
}

static int append_value(sd_bus_message *m, Input *in, unsigned depth)
{
        static const char types[] = "bynqiuxtdslv";
        char type = types[next(in) % (sizeof(types) - 1)], buf[256];
        union {
                uint64_t bits;
                uint8_t bytes[sizeof(uint64_t)];
                double fraction;
                int boolean;
        } value;
        const char signature[] = { type, '\0' };
        int r;

        if (type == 'l' || (type == 'v' && depth < NESTING_MAX))
                return append_container(m, in, type, depth);
        if (type == 's' || type == 'v')
                return sd_bus_message_append(m, "v", "s", next_text(in, buf));
        for (size_t i = 0; i < sizeof(value.bytes); i++)
                value.bytes[i] = next(in);
        if (type == 'b')
                value.boolean &= 1;
        r = sd_bus_message_open_container(m, 'v', signature);
        if (r >= 0)
                r = sd_bus_message_append_basic(m, type, &value);
        return r < 0 ? r : sd_bus_message_close_container(m);
}

static int build(sd_bus *bus, Input *in, sd_bus_message **ret)
{
        sd_bus_message *m;
        char buf[256];
        int r;

        r = sd_bus_message_new_method_call(bus, &m, NULL, "/x", NULL, "X");
        if (r < 0)
                return r;
        r = sd_bus_message_open_container(m, 'a', "{sv}");
        while (r >= 0 && in->size > 0) {
                r = sd_bus_message_open_container(m, 'e', "sv");
                if (r >= 0)
                        r = sd_bus_message_append(m, "s", next_name(in, buf));
                if (r >= 0)
                        r = append_value(m, in, 0);
                if (r >= 0)
                        r = sd_bus_message_close_container(m);
        }
        if (r >= 0)
                r = sd_bus_message_close_container(m);
        if (r >= 0)
                r = sd_bus_message_seal(m, 1, 0);
        if (r < 0) {
                sd_bus_message_unref(m);
                return r;
        }
        *ret = m;
        return 0;
}

static sd_bus *open_bus(void)
{
        _cleanup_close_ int other = -EBADF;
        sd_bus *bus;
        int fds[2];

        check(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) >= 0);
        other = fds[1];
        check(sd_bus_new(&bus) >= 0);
        check(sd_bus_set_fd(bus, fds[0], fds[0]) >= 0);
        check(sd_bus_start(bus) >= 0);
        return bus;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        static sd_bus *bus;
        Input in = { .data = data, .size = size };
        sd_bus_error error = SD_BUS_ERROR_NULL;
        Options options = { .tristate = -1 };
        uint64_t given = UINT64_MAX;
        sd_bus_message *m;
        int r;

        if (!bus)
                bus = open_bus();
        if (build(bus, &in, &m) < 0)
                return 0;
        r = options_read(m, rows, &options, &given, &error);
        check((r < 0) == (sd_bus_error_is_set(&error) > 0));
        if (r >= 0) {
                check(given < UINT64_C(1) << (ELEMENTSOF(rows) - 1));
                check(!(given & 1) == !options.boolean || !options.boolean);
                check((given & 2) ? options.tristate >= 0 && options.tristate <= 1 : options.tristate == -1);
                check((given & 4) ? options.string != NULL : options.string == NULL);
                check(sd_bus_message_at_end(m, true) > 0);
        }
        strv_free(options.list);
        sd_bus_error_free(&error);
        sd_bus_message_unref(m);
        return 0;
}
