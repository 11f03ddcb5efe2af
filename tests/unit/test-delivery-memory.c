/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What goes out of the machine, with each allocation failing in turn: addresses are never taken for wrong, nor for
 * good, for lack of memory (libcurl's included); records that were not sent wait, and those that were are known; what
 * a program says is heard, or the run fails. */

#include "unit/expect.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fd-util.h"
#include "base/log.h"
#include "base/string-util.h"
#include "delivery/delivery-address.h"
#include "unit/failing-alloc.h"
#include "worker/destination-sqlite.h"
#include "worker/intake.h"
#include "worker/outbox.h"

static char folder[64];
static char items[96], secret[96], counts[96], url[64];
static WebhookRules rules = { .timeout_usec = USEC_PER_MINUTE, .allow_http = true, .allow_literals = true };

/* ---- libcurl's own allocations, which count where addresses are read. A request that fails for one is tried again.
 */

static bool counts_curl;

#define DEFINE_FOR_CURL(type, name, parameters, arguments) \
        static type curl_##name parameters                 \
        {                                                  \
                type result;                               \
                                                           \
                if (!counts_curl)                          \
                        alloc_pause();                     \
                result = name arguments;                   \
                if (!counts_curl)                          \
                        alloc_resume();                    \
                return result;                             \
        }

DEFINE_FOR_CURL(void *, malloc, (size_t n), (n))
DEFINE_FOR_CURL(void *, calloc, (size_t n, size_t size), (n, size))
DEFINE_FOR_CURL(void *, realloc, (void *p, size_t n), (p, n))
DEFINE_FOR_CURL(char *, strdup, (const char *s), (s))

/* ---- Addresses */

static int check_urls(void)
{
        static const struct {
                const char *url;
                int r;
        } cases[] = {
                { "https://example.com./a?b=c", 0 },      { "https://me:secret@example.com/", -EINVAL },
                { "https://example.com/#part", -EINVAL }, { "https://example..com/", -EINVAL },
                { "gopher://example.com/", -EINVAL },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_free_ char *why = NULL;
                int r = delivery_check_url(&rules, cases[i].url, &why);

                if (r == -ENOMEM)
                        return r;
                assert_int_equal(r, cases[i].r);
                assert_int_equal(!!why, r < 0);
        }
        return 0;
}

/* ---- A receiver that takes everything */

static int listener;

static void *receive(void *userdata)
{
        static const char answer[] =
                        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nRetry-After: 1\r\nConnection: close\r\n\r\nok";

        for (;;) {
                char data[8192];
                size_t n = 0;
                ssize_t k;
                int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

                if (fd < 0)
                        return NULL;
                while (n < sizeof(data) - 1 && (k = read(fd, data + n, sizeof(data) - 1 - n)) > 0) {
                        n += (size_t) k;
                        data[n] = '\0';
                        if (strstr(data, "\"chunk\":1}}")) /* the end of the body */
                                break;
                }
                (void) !write(fd, answer, strlen(answer));
                (void) close(fd);
        }
}

static void open_listener(void)
{
        struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
        socklen_t n = sizeof(address);

        listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_int_equal(bind(listener, (struct sockaddr *) &address, n), 0);
        assert_int_equal(listen(listener, 16), 0);
        assert_int_equal(getsockname(listener, (struct sockaddr *) &address, &n), 0);
        (void) snprintf(url, sizeof(url), "http://127.0.0.1:%u/", ntohs(address.sin_port));
}

/* ---- A run into a destination, without the programs and the daemon */

typedef struct Told {
        bool ended;
        int r;
        unsigned n_states, n_counts, n_attempts;
} Told;

static Told told;

static void on_drained(void *userdata)
{
}

static void on_state(JsonSlice line, void *userdata)
{
        told.n_states++;
}

static void on_counts(const Message *message, void *userdata)
{
        told.n_counts++;
}

static void on_attempted(const DeliveryAttempt *attempt, void *userdata)
{
        told.n_attempts++;
}

static void on_ended(int r, void *userdata)
{
        assert_false(told.ended); /* once */
        told.ended = true;
        told.r = r;
}

static const char *const lines[] = {
        "{\"type\":\"SCHEMA\",\"stream\":\"tx\",\"schema\":{},\"key_properties\":[\"id\"]}",
        "{\"type\":\"RECORD\",\"stream\":\"tx\",\"record\":{\"id\":1}}",
        "{\"type\":\"RECORD\",\"stream\":\"tx\",\"record\":{\"id\":2}}",
        "{\"type\":\"STATE\",\"value\":{\"n\":2}}",
        "{\"type\":\"PROGRESS\",\"added\":2}",
};

static int feed(Intake *intake, Destination *destination, sd_event *event)
{
        int r = 0;

        for (size_t i = 0; r >= 0 && i < ELEMENTSOF(lines); i++)
                r = intake_line(intake, (JsonSlice){ lines[i], strlen(lines[i]) });
        if (r >= 0)
                r = destination_commit(destination);
        if (r >= 0)
                r = destination_finish(destination);
        while (r > 0 && !told.ended)
                expect_ok(sd_event_run(event, USEC_PER_MINUTE));
        return r < 0 ? r : told.r;
}

static int run_into(DestinationContext *context)
{
        static const DestinationCallbacks callbacks = {
                .drained = on_drained,
                .state = on_state,
                .counts = on_counts,
                .attempted = on_attempted,
                .ended = on_ended,
        };
        Intake *intake = calloc(1, sizeof(Intake));
        LogRelay *relay = NULL;
        int r;

        told = (Told){};
        if (!intake)
                return -ENOMEM;
        expect_ok(sd_event_new(&context->event));
        r = intake_init(intake, "bank", NULL);
        if (r >= 0) {
                r = log_relay_new("bank", "r1", "acme", &relay);
                intake->relay = context->relay = relay;
                context->connector = "bank";
                context->run_id = "r1";
                context->ledger = &intake->ledger;
                context->streams = &intake->streams;
                if (r >= 0)
                        r = destination_open(context, &callbacks, &intake->destination);
                if (r >= 0)
                        r = feed(intake, intake->destination, context->event);
                destination_free(intake->destination);
                log_relay_free(relay);
                intake_done(intake);
        }
        free(intake);
        sd_event_unref(context->event);
        return r;
}

/* ---- Type=webhook: an item is in the outbox, or it was delivered; and what was begun is finished by the next run. */

static int deliver(void)
{
        DestinationContext context = {
                .type = DESTINATION_WEBHOOK,
                .path = items,
                .rules = &rules,
                .url = url,
                .secret_file = secret,
                .header_prefix = "X-Test",
                .event_type = "items.synced",
        };
        int r;

        r = run_into(&context);
        if (r < 0)
                return r;
        assert_true(told.ended);
        return 0;
}

/* Refused by us, before it goes out: an attempt to be told, and the items wait again. */
static int deliver_nowhere(void)
{
        static const WebhookRules strict = { .timeout_usec = USEC_PER_MINUTE,
                                             .allow_http = true,
                                             .allow_literals = true };
        DestinationContext context = {
                .type = DESTINATION_WEBHOOK,
                .path = items,
                .rules = &strict,
                .url = url,
                .header_prefix = "X-Test",
                .event_type = "items.synced",
        };
        int r;

        (void) unlink(items);
        r = run_into(&context);
        if (r == -EREMOTEIO) {
                assert_int_equal(told.n_attempts, 1);
                return 0;
        }
        assert_true(r < 0);
        return r;
}

/* ---- The outbox, with SQLite's allocations */

static const char *const fill_outbox[] = {
        "DELETE FROM outbox",
        "DELETE FROM delivery",
        "DELETE FROM attempt",
};

static int use_outbox(ItemDb *db, unsigned *ret_sent)
{
        static const DeliveryAttempt attempt = { .id = (char *) "datt_1",
                                                 .type = (char *) "t",
                                                 .url = (char *) "https://x" };
        const OutboxEnvelope envelope = {
                .type = "t", .run_id = "r2", .now_usec = 1780000000 * USEC_PER_SEC, .chunk = 1
        };
        _cleanup_free_ char *run_id = NULL, *json = NULL;
        OutboxDelivery delivery;
        int64_t last = 0;
        uint64_t n;
        int r;

        r = outbox_add(db, 1, 1, true);
        if (r >= 0)
                r = outbox_add(db, 2, 1, false);
        if (r >= 0)
                r = outbox_count(db, &n);
        if (r >= 0)
                r = outbox_freeze(db, &envelope);
        if (r >= 0)
                r = outbox_first(db, &delivery);
        if (r < 0)
                return r;
        assert_int_equal(delivery.n_records, 2);
        *ret_sent = (unsigned) delivery.n_records;
        r = outbox_return(db, delivery.key);
        outbox_delivery_done(&delivery);
        if (r >= 0)
                r = outbox_note_attempt(db, "r1", &attempt);
        if (r >= 0)
                r = outbox_untold_attempts(db, "r2", &run_id, &json, &last);
        if (r < 0)
                return r;
        assert_string_equal(run_id, "r1");
        return outbox_forget_attempts(db, run_id, last);
}

static int hold_in_outbox(void)
{
        unsigned n_sent = 0;
        ItemDb db = {};
        int r;

        r = item_db_open(&db, items, NULL);
        if (r >= 0)
                r = sqlite3_exec(db.sqlite, "BEGIN", NULL, NULL, NULL) == SQLITE_OK ? item_db_open_outbox(&db)
                                                                                    : -ENOMEM;
        for (size_t i = 0; r >= 0 && i < ELEMENTSOF(fill_outbox); i++)
                r = sqlite3_exec(db.sqlite, fill_outbox[i], NULL, NULL, NULL) == SQLITE_OK ? 0 : -ENOMEM;
        if (r >= 0)
                r = use_outbox(&db, &n_sent);
        item_db_close(&db);
        return MIN(r, 0);
}

/* ---- Type=exec: what the program gave back has been heard, or the run has failed. */

static int give_to_program(void)
{
        static const char *const command[] = {
                "/bin/sh", "-c", "exec cat - \"$0\"", counts, NULL,
        };
        DestinationContext context = { .type = DESTINATION_EXEC, .command = (char *const *) command };
        int r;

        r = run_into(&context);
        if (r >= 0) {
                assert_int_equal(told.n_states, 1);
                assert_int_equal(told.n_counts, 1);
        }
        return r;
}

/* ---- */

static int make_files(void **state)
{
        pthread_t thread;
        char *why = NULL;

        /* Thousands of commits that no disk need know of. */
        (void) snprintf(folder, sizeof(folder), "%s/test-delivery-memory-XXXXXX",
                        access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
        assert_non_null(mkdtemp(folder));
        (void) snprintf(items, sizeof(items), "%s/items.db", folder);
        (void) snprintf(secret, sizeof(secret), "%s/secret", folder);
        (void) snprintf(counts, sizeof(counts), "%s/counts", folder);
        expect_ok(write_file_atomic(counts, lines[4], strlen(lines[4]), 0600));
        expect_ok(write_file_atomic(secret, "whsec\n", 6, 0600));
        expect_ok(networks_add(&rules.private_networks, "127.0.0.0/8", &why));
        open_listener();
        assert_int_equal(pthread_create(&thread, NULL, receive, NULL), 0);
        assert_int_equal(pthread_detach(thread), 0);
        return 0;
}

static int remove_files(void **state)
{
        char command[128];

        (void) shutdown(listener, SHUT_RDWR);
        (void) snprintf(command, sizeof(command), "rm -rf '%s'", folder);
        return system(command);
}

static void test_check_urls(void **state)
{
        counts_curl = true;
        fail_allocations("check_urls", check_urls, 1);
        counts_curl = false;
}

static void test_deliver(void **state)
{
        fail_allocations("deliver", deliver, 1);
}

static void test_deliver_nowhere(void **state)
{
        fail_allocations("deliver_nowhere", deliver_nowhere, 1);
}

static void test_hold_in_outbox(void **state)
{
        alloc_count_sqlite(true);
        fail_allocations("hold_in_outbox", hold_in_outbox, 1);
        alloc_count_sqlite(false);
}

static void test_give_to_program(void **state)
{
        fail_allocations("give_to_program", give_to_program, 1);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_check_urls),      cmocka_unit_test(test_deliver),
                cmocka_unit_test(test_hold_in_outbox),  cmocka_unit_test(test_deliver_nowhere),
                cmocka_unit_test(test_give_to_program),
        };

        (void) setenv("SYNCRUN_LOG_TARGET", "null", true);
        log_open("test-delivery-memory");
        alloc_count_here();
        alloc_include_sqlite();
        if (curl_global_init_mem(CURL_GLOBAL_DEFAULT, curl_malloc, free, curl_realloc, curl_strdup, curl_calloc) !=
            CURLE_OK)
                return EXIT_FAILURE;
        return cmocka_run_group_tests(tests, make_files, remove_files);
}
