/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Each command of syncrunctl with each of its allocations failing in turn, before a daemon in a thread: it does what
 * it does, or ends with the exit status of "Out of memory" and says so; and then it works again. */

#include "unit/expect.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/fd-util.h"
#include "base/string-util.h"
#include "ctl/ctl.h"
#include "unit/failing-alloc.h"
#include "unit/island.h"

#define WORDS_MAX 8

typedef struct Command {
        int (*run)(Ctl *ctl, int argc, char **argv);
        const char *words[WORDS_MAX]; /* with the verb, NULL at the end */
        JsonMode json;
        uint32_t given;
        bool varies; /* what is printed: a run may be active or not */
} Command;

static const Command *command;
static size_t n_lines;      /* that it prints; 0: not known yet */
static int out_fd = -EBADF; /* what is printed */

/* ---- */

static const char *printed(void)
{
        static char text[65536];
        ssize_t n = pread(out_fd, text, sizeof(text) - 1, 0);

        assert_true(n >= 0);
        text[n] = '\0';
        return text;
}

static void forget_printed(void)
{
        assert_int_equal(ftruncate(out_fd, 0), 0);
        assert_int_equal(lseek(out_fd, 0, SEEK_SET), 0);
}

/* ---- Some together, since each needs what the one before has made */

static int call_verb(Ctl *ctl, int (*run)(Ctl *ctl, int argc, char **argv), const char *verb, const char *word)
{
        char *argv[] = { (char *) verb, (char *) word, NULL };

        return run(ctl, 2, argv);
}

static int keep_key(Ctl *ctl, int argc, char **argv)
{
        static unsigned n;
        char name[32];
        int status;

        (void) snprintf(name, sizeof(name), "key-%u", n++);
        ctl->options.scope = "sync:read,sync:write";
        status = call_verb(ctl, verb_key_add, "add", name);
        return status != 0 ? status : call_verb(ctl, verb_key_revoke, "revoke", name);
}

static int keep_endpoint(Ctl *ctl, int argc, char **argv)
{
        static int (*const verbs[])(Ctl * ctl, int argc, char **argv) = { verb_webhook_update, verb_webhook_show,
                                                                          verb_webhook_secret, verb_webhook_rotate };
        static unsigned n;
        char url[64], id[64];
        const char *printed_id;
        int status, last;

        (void) snprintf(url, sizeof(url), "https://example.com/%u", n++);
        ctl->options.types = "sync.failed";
        ctl->options.description = "for tests";
        status = call_verb(ctl, verb_webhook_add, "add", url);
        (void) fflush(stdout);
        printed_id = strstr(printed(), "ep_");
        if (status != 0 || !printed_id)
                return status;
        (void) snprintf(id, sizeof(id), "%.*s", (int) strspn(printed_id + 3, "0123456789abcdef") + 3, printed_id);
        for (size_t i = 0; status == 0 && i < ELEMENTSOF(verbs); i++)
                status = call_verb(ctl, verbs[i], "verb", id);
        while ((last = call_verb(ctl, verb_webhook_remove, "remove", id)) != 0)
                assert_int_equal(last, refusal_by_errno(ENOMEM)->exit_status);
        return status;
}

/* Run and end of the newest run. */
static int look_at_run(Ctl *ctl, int argc, char **argv)
{
        const char *at;
        char id[64];
        int status;

        status = call_verb(ctl, verb_start, "start", "bank");
        (void) fflush(stdout);
        at = strstr(printed(), "run ");
        if (status != 0 || !at)
                return status;
        (void) snprintf(id, sizeof(id), "%.*s", (int) strspn(at + 4, "0123456789abcdef-"), at + 4);
        return call_verb(ctl, verb_show, "show", id);
}

static size_t count_lines(void)
{
        size_t n = 0;

        for (const char *p = printed(); (p = strchr(p, '\n')); p++)
                n++;
        return n;
}

static int run_command(void)
{
        Ctl ctl = { .options = { .json = command->json, .legend = true, .given = command->given, .lines = 5 } };
        int saved_out = dup(STDOUT_FILENO), saved_err = dup(STDERR_FILENO), argc = 0, status;
        char *argv[WORDS_MAX];

        while (command->words[argc]) {
                argv[argc] = (char *) command->words[argc];
                argc++;
        }
        argv[argc] = NULL;
        (void) fflush(stdout);
        forget_printed();
        (void) dup2(out_fd, STDOUT_FILENO);
        (void) dup2(out_fd, STDERR_FILENO);
        status = command->run(&ctl, argc, argv);
        client_free(ctl.client);
        (void) fflush(stdout);
        (void) dup2(saved_out, STDOUT_FILENO);
        (void) dup2(saved_err, STDERR_FILENO);
        (void) close(saved_out);
        (void) close(saved_err);
        if (status == 0) {
                if (n_lines > 0 && count_lines() != n_lines)
                        fail_msg("%s: less than it prints: %s", command->words[0], printed());
                return 0;
        }
        if (status != refusal_by_errno(ENOMEM)->exit_status || !strstr(printed(), "Out of memory.")) {
                print_error("%s: status %d: %s\n", command->words[0], status, printed());
                return -EIO;
        }
        return -ENOMEM;
}

static void test_commands(void **state)
{
        static const Command commands[] = {
                { verb_list, { "list" } },
                { verb_list, { "list" }, .json = JSON_PRETTY },
                { verb_status, { "status" } },
                { verb_status, { "status", "bank" } },
                { verb_runs, { "runs", "bank" } },
                { verb_runs, { "runs" }, .json = JSON_SHORT },
                { verb_connections, { "connections" } },
                { verb_connections, { "connections", "acme" } },
                { verb_users, { "users" } },
                { verb_deliveries, { "deliveries", "bank" } },
                { verb_start, { "start", "bank" }, .varies = true },
                { verb_set_active, { "enable", "bank" } },
                { verb_reconnect, { "reconnect", "acme" }, .given = 1U << OPTION_DONE },
                { verb_key_list, { "list" } },
                { verb_webhook_list, { "list" } },
                { verb_webhook_messages, { "messages" } },
                { verb_webhook_attempts, { "attempts" } },
                { verb_calendar, { "calendar", "Mon..Fri *-*-1..7 08,12:30 Europe/Berlin" } },
                { verb_reload, { "reload" } },
                { verb_verify, { "verify", TESTS_CORPUS "/conf/everything.connector" } },
                { keep_key, { "key" }, .given = 1U << OPTION_SCOPE },
                { keep_endpoint,
                  { "webhook" },
                  .given = 1U << OPTION_DISABLE | 1U << OPTION_TYPES | 1U << OPTION_DESCRIPTION },
                { look_at_run, { "show" }, .varies = true },
        };

        for (size_t i = 0; i < ELEMENTSOF(commands); i++) {
                command = &commands[i];
                n_lines = 0;
                expect_ok(run_command());
                n_lines = command->varies ? 0 : count_lines();
                fail_allocations(command->words[0], run_command, 1);
                assert_true(strlen(printed()) > 0 || command->run == verb_set_active || command->run == verb_reload);
        }
}

static int setup(void **state)
{
        out_fd = memfd_create("output", MFD_CLOEXEC);
        assert_true(out_fd >= 0);
        assert_int_equal(setenv("COLUMNS", "80", true), 0);
        island_start();
        return 0;
}

static int teardown(void **state)
{
        island_stop();
        out_fd = safe_close(out_fd);
        return 0;
}

int main(void)
{
        static const struct CMUnitTest tests[] = { cmocka_unit_test(test_commands) };

        return cmocka_run_group_tests(tests, setup, teardown);
}
