/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Who calls: what the bus driver's answers mean. The driver is played, at the other end of a socket. And which text
 * sd-bus takes. */

#include "unit/expect.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <systemd/sd-bus.h>
#include <unistd.h>

#include "base/string-util.h"
#include "bus/bus-private.h"
#include "bus/sender.h"

#define SENDER ":1.7"

typedef struct Fixture {
        Bus bus;
        sd_bus *driver;
        int result;
        unsigned n_answers;
        Caller caller;
} Fixture;

static int setup(void **state)
{
        Fixture *f = calloc(1, sizeof(*f));
        sd_id128_t id;
        int fds[2];

        assert_non_null(f);
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), 0);
        expect_ok(sd_id128_randomize(&id));
        expect_ok(sd_bus_new(&f->driver));
        expect_ok(sd_bus_set_fd(f->driver, fds[0], fds[0]));
        expect_ok(sd_bus_set_server(f->driver, true, id));
        expect_ok(sd_bus_start(f->driver));
        expect_ok(sd_bus_new(&f->bus.options.bus));
        expect_ok(sd_bus_set_fd(f->bus.options.bus, fds[1], fds[1]));
        expect_ok(sd_bus_start(f->bus.options.bus));
        *state = f;
        return 0;
}

static int teardown(void **state)
{
        Fixture *f = *state;

        senders_free(&f->bus);
        sd_bus_close_unref(f->bus.options.bus);
        sd_bus_close_unref(f->driver);
        free(f);
        return 0;
}

static int on_answer(sd_bus_message *reply, void *userdata, sd_bus_error *unused)
{
        Fixture *f = userdata;

        f->n_answers++;
        f->result = sender_read(&f->bus, SENDER, reply, &f->caller);
        return 0;
}

/* The question, as the driver gets it; the caller unreferences. */
static sd_bus_message *ask(Fixture *f, sd_bus_slot **slot)
{
        sd_bus_message *question = NULL;

        expect_ok(sender_ask(&f->bus, SENDER, on_answer, f, slot));
        while (!question) {
                expect_ok(sd_bus_process(f->bus.options.bus, NULL));
                expect_ok(sd_bus_process(f->driver, &question));
                if (question && !sd_bus_message_is_method_call(question, NULL, "GetConnectionCredentials"))
                        question = sd_bus_message_unref(question);
        }
        return question;
}

static void await_answer(Fixture *f)
{
        unsigned before = f->n_answers;

        while (f->n_answers == before) {
                expect_ok(sd_bus_process(f->driver, NULL));
                expect_ok(sd_bus_process(f->bus.options.bus, NULL));
        }
}

static void test_refusals(void **state)
{
        static const struct {
                const char *name;
                int expected;
        } cases[] = {
                { SD_BUS_ERROR_NAME_HAS_NO_OWNER, -EACCES }, { SD_BUS_ERROR_NO_MEMORY, -EAGAIN },
                { SD_BUS_ERROR_LIMITS_EXCEEDED, -EAGAIN },   { SD_BUS_ERROR_NO_REPLY, -EAGAIN },
                { SD_BUS_ERROR_TIMEOUT, -EAGAIN },           { SD_BUS_ERROR_DISCONNECTED, -EAGAIN },
                { SD_BUS_ERROR_ACCESS_DENIED, -EAGAIN },     { SD_BUS_ERROR_FAILED, -EAGAIN },
        };
        Fixture *f = *state;

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                sd_bus_slot *slot = NULL;
                sd_bus_message *question = ask(f, &slot);

                expect_ok(sd_bus_reply_method_errorf(question, cases[i].name, "So it is."));
                sd_bus_message_unref(question);
                await_answer(f);
                sd_bus_slot_unref(slot);
                expect_errno(f->result, cases[i].expected);
                assert_null(sender_find(&f->bus, SENDER));
        }
}

static void test_answers(void **state)
{
        Fixture *f = *state;
        sd_bus_message *question;
        sd_bus_slot *slot = NULL;

        /* The bus does not vouch for a uid. */
        question = ask(f, &slot);
        expect_ok(sd_bus_reply_method_return(question, "a{sv}", 1, "ProcessID", "u", 7));
        sd_bus_message_unref(question);
        await_answer(f);
        slot = sd_bus_slot_unref(slot);
        expect_errno(f->result, -EACCES);

        /* It is not an answer at all. */
        question = ask(f, &slot);
        expect_ok(sd_bus_reply_method_return(question, "s", "nobody"));
        sd_bus_message_unref(question);
        await_answer(f);
        slot = sd_bus_slot_unref(slot);
        expect_errno(f->result, -EAGAIN);
        assert_null(sender_find(&f->bus, SENDER));

        question = ask(f, &slot);
        expect_ok(sd_bus_reply_method_return(question, "a{sv}", 3, "UnixUserID", "u", 1000, "Label", "s", "x",
                                             "ProcessID", "u", 7));
        sd_bus_message_unref(question);
        await_answer(f);
        slot = sd_bus_slot_unref(slot);
        expect_ok(f->result);
        assert_int_equal(f->caller.uid, 1000);
        assert_int_equal(f->caller.pid, 7);
        assert_non_null(sender_find(&f->bus, SENDER));
}

static void remember(Fixture *f, unsigned uid, unsigned number)
{
        sd_bus_message *question, *answer = NULL;
        sd_bus_slot *slot = NULL;
        Caller caller;
        char name[32];

        question = ask(f, &slot);
        expect_ok(sd_bus_message_new_method_return(question, &answer));
        expect_ok(sd_bus_message_append(answer, "a{sv}", 2, "UnixUserID", "u", uid, "ProcessID", "u", 7));
        expect_ok(sd_bus_message_seal(answer, 1, 0));
        (void) snprintf(name, sizeof(name), ":%u.%u", uid, number);
        expect_ok(sender_read(&f->bus, name, answer, &caller));
        assert_int_equal(caller.uid, uid);
        sd_bus_message_unref(answer);
        sd_bus_message_unref(question);
        sd_bus_slot_unref(slot);
}

/* Of one more than can be remembered, who has not asked for the longest is forgotten, and asked for anew. */
static void test_many(void **state)
{
        Fixture *f = *state;

        for (unsigned i = 0; i < SENDERS_MAX; i++)
                remember(f, 1000, i);
        assert_non_null(sender_find(&f->bus, ":1000.0"));
        remember(f, 1000, SENDERS_MAX);
        assert_null(sender_find(&f->bus, ":1000.1"));
        assert_non_null(sender_find(&f->bus, ":1000.0"));
        assert_non_null(sender_find(&f->bus, ":1000.2"));
        assert_non_null(sender_find(&f->bus, ":1000.512"));
}

/* Ever new names of one user leave those of others known, however long these have been quiet. */
static void test_many_of_one_user(void **state)
{
        Fixture *f = *state;

        remember(f, 0, 0);
        remember(f, 990, 0);
        remember(f, 990, 1);
        for (unsigned i = 0; i < 2 * SENDERS_MAX; i++)
                remember(f, 65534, i);
        assert_non_null(sender_find(&f->bus, ":0.0"));
        assert_non_null(sender_find(&f->bus, ":990.0"));
        assert_non_null(sender_find(&f->bus, ":990.1"));
        assert_null(sender_find(&f->bus, ":65534.514"));
        assert_non_null(sender_find(&f->bus, ":65534.515"));
        assert_non_null(sender_find(&f->bus, ":65534.1023"));
}

/* A bus that takes no questions says nothing about who calls either. */
static void test_no_bus(void **state)
{
        Fixture *f = *state;
        sd_bus_slot *slot = NULL;

        sd_bus_close(f->bus.options.bus);
        expect_errno(sender_ask(&f->bus, SENDER, on_answer, f, &slot), -EAGAIN);
}

static size_t encode(uint32_t code, char text[static 5])
{
        static const uint8_t first[] = { 0, 0, 0xc0, 0xe0, 0xf0 };
        size_t n = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;

        for (size_t i = n; i-- > 1; code >>= 6)
                text[i] = (char) (0x80 | (code & 0x3f));
        text[0] = (char) (first[n > 1 ? n : 0] | code);
        text[n] = '\0';
        return n;
}

static void test_valid_text_is_what_sd_bus_takes(void **state)
{
        Fixture *f = *state;
        sd_bus_message *m = NULL;
        char text[5];

        expect_ok(sd_bus_message_new_signal(f->bus.options.bus, &m, "/a", "a.b", "C"));
        for (uint32_t code = 1; code <= 0x110000; code++) {
                size_t n;

                if (code > 0x10000 && (code & 0xffff) == 0x10)
                        code |= 0xfff0; /* of the higher planes, the ends */
                n = encode(code, text);
                if (utf8_is_valid(text, n) != (sd_bus_message_append_basic(m, 's', text) >= 0))
                        fail_msg("U+%04X", code);
        }
        sd_bus_message_unref(m);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_refusals, setup, teardown),
                cmocka_unit_test_setup_teardown(test_answers, setup, teardown),
                cmocka_unit_test_setup_teardown(test_many, setup, teardown),
                cmocka_unit_test_setup_teardown(test_many_of_one_user, setup, teardown),
                cmocka_unit_test_setup_teardown(test_no_bus, setup, teardown),
                cmocka_unit_test_setup_teardown(test_valid_text_is_what_sd_bus_takes, setup, teardown),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
