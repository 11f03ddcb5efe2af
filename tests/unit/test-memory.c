/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* base, model and the worker's readers, with each allocation failing in turn: -ENOMEM, and nothing lost. Memory that
 * leaks on the way is found by the build with sanitizers. */

#include "unit/expect.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fd-util.h"
#include "base/json-util.h"
#include "base/log.h"
#include "base/string-util.h"
#include "model/command-line.h"
#include "model/connector.h"
#include "model/event.h"
#include "model/outside-event.h"
#include "model/report.h"
#include "model/settings.h"
#include "model/view.h"
#include "unit/failing-alloc.h"
#include "worker/destination.h"
#include "worker/intake.h"
#include "worker/line-reader.h"

#define EVERYTHING TESTS_CORPUS "/conf/everything.connector"
#define USER       "6f1ed002-ab5d-4f2b-9c3b-000000000001"
#define A_TIME     ((usec_t) 1780171200 * USEC_PER_SEC)

/* ---- base */

static int read_connector(void)
{
        _cleanup_(connector_definition_unrefp) ConnectorDefinition *definition = NULL;
        _cleanup_(diagnostics_done) Diagnostics d = {};
        _cleanup_conf_ Conf conf = {};
        int r;

        r = conf_load_file(&conf, EVERYTHING, &d);
        if (r < 0)
                return r;
        r = connector_definition_parse("bank", &conf, EVERYTHING, &d, &definition);
        if (r < 0)
                return r;
        assert_non_null(definition->exec_pull);
        for (size_t i = 0; i < d.n_items; i++)
                free(diagnostic_format(&d.items[i]));
        return 0;
}

static int read_wrong_connector(void)
{
        _cleanup_(connector_definition_unrefp) ConnectorDefinition *definition = NULL;
        _cleanup_(diagnostics_done) Diagnostics d = {};
        _cleanup_conf_ Conf conf = {};
        int r;

        r = conf_load_file(&conf, TESTS_CORPUS "/conf/wrong.connector", &d);
        if (r < 0)
                return r;
        r = connector_definition_parse("bank", &conf, "wrong", &d, &definition);
        if (r >= 0)
                assert_int_equal(definition->load_state, LOAD_BAD_SETTING);
        return r;
}

static int read_settings(void)
{
        char *dirs[] = { (char *) TESTS_CORPUS "/nowhere", NULL };
        _cleanup_settings_ Settings settings = {};
        _cleanup_(diagnostics_done) Diagnostics d = {};
        _cleanup_conf_ Conf conf = {};
        Settings other;
        int r;

        r = settings_load(dirs, &d, &settings);
        if (r >= 0)
                r = conf_load_file(&conf, TESTS_CORPUS "/conf/settings.conf", &d);
        if (r >= 0)
                r = settings_apply(&conf, &d, &other);
        if (r >= 0)
                settings_done(&other);
        return r;
}

static int write_json(void)
{
        _cleanup_buffer_ Buffer buffer = {};
        JsonWriter w = JSON_WRITER_INIT(&buffer);
        _cleanup_free_ char *text = NULL;

        json_open_object(&w, NULL);
        for (unsigned i = 0; i < 100; i++) {
                json_write_string(&w, "key", "a text with \"quotes\" and \xc3\xa9");
                json_write_double(&w, "number", 0.1);
                json_write_timestamp(&w, "time", A_TIME);
        }
        json_close_object(&w);
        return buffer_take(&buffer, &text);
}

static int use_lists(void)
{
        _cleanup_strv_free_ char **list = NULL, **copy = NULL;
        _cleanup_free_ char *joined = NULL, *clean = NULL;
        int r;

        r = strv_split("one two  three four", " ", &list);
        if (r >= 0)
                r = strv_extend(&list, "five");
        if (r >= 0)
                r = strv_consume(&list, strdup("six"));
        if (r >= 0)
                r = strv_copy(list, &copy);
        if (r < 0)
                return r;
        joined = strv_join(copy, ", ");
        clean = utf8_sanitize("not \xff valid", 11, 1000);
        return joined && clean ? 0 : -ENOMEM;
}

static int write_file(void)
{
        static char path[] = "/tmp/syncrun-test-memory-XXXXXX";
        static bool made;
        _cleanup_free_ char *text = NULL;
        int r;

        if (!made)
                assert_int_equal(safe_close(mkstemp(path)), -EBADF);
        made = true;
        r = write_file_atomic(path, "text", 4, 0600);
        if (r >= 0)
                r = read_file(path, 1000, &text, NULL);
        if (r >= 0)
                (void) unlink(path);
        return r;
}

/* ---- model */

static int split_commands(void)
{
        static const Specifiers specifiers = { .connector = "a",
                                               .state_directory = "/s",
                                               .credentials_directory = "/d" };
        _cleanup_strv_free_ char **words = NULL, **expanded = NULL;
        _cleanup_free_ char *why = NULL;
        int r;

        r = command_line_split("/bin/sh -c 'a \"b\" c' %S/x%% \"d e\"", &words, &why);
        return r < 0 ? r : specifiers_expand_strv(words, &specifiers, &expanded);
}

static int parse_calendar(void)
{
        CalendarSpec *spec;
        char *text = NULL;
        usec_t usec;
        int r;

        r = calendar_spec_parse("Mon..Fri *-*-1..7,15/2 08,12..18/2:30 Europe/Berlin", &spec);
        if (r < 0)
                return r;
        r = calendar_spec_format(spec, &text);
        if (r >= 0)
                r = calendar_spec_next(spec, A_TIME, &usec);
        free(text);
        calendar_spec_free(spec);
        return r;
}

static int parse_report(void)
{
        static const char text[] =
                        "{\"stage\":\"saving\",\"message\":\"m\",\"metadata\":{\"a\":[1,2]},\"error\":\"e\","
                        "\"discovered\":5,\"added\":3,\"accounts\":[{\"account\":\"a\",\"status\":\"failed\","
                        "\"error\":\"no\"},{\"account\":\"b\",\"status\":\"success\",\"added\":3}]}";
        _cleanup_buffer_ Buffer buffer = {};
        RunReport report = RUN_REPORT_INIT;
        _cleanup_free_ char *again = NULL;
        int r;

        r = run_report_parse(text, strlen(text), &report);
        if (r < 0)
                return r;
        run_report_write(&report, &buffer);
        run_report_done(&report);
        return buffer_take(&buffer, &again);
}

static Run *make_run(void)
{
        Run *run = run_new();
        Account *account;

        if (!run)
                return NULL;
        if (free_and_strdup(&run->id, "r1") < 0 || free_and_strdup(&run->connector, "bank") < 0 ||
            free_and_strdup(&run->provider, "acme") < 0 || free_and_strdup(&run->user_id, USER) < 0 ||
            free_and_strdup(&run->connector_id, USER) < 0 || free_and_strdup(&run->metadata, "{\"a\":1}") < 0 ||
            run_find_account(run, "savings", true, &account) < 0)
                return run_free(run);
        run->created_usec = run->updated_usec = A_TIME;
        return run;
}

static int tell_run(void)
{
        _cleanup_(run_freep) Run *run = make_run(), *copy = NULL;
        _cleanup_buffer_ Buffer buffer = {};
        JsonWriter w = JSON_WRITER_INIT(&buffer);
        _cleanup_free_ char *text = NULL;
        Event event;
        int r;

        if (!run)
                return -ENOMEM;
        r = run_copy(run, true, &copy);
        if (r < 0)
                return r;
        r = event_make(copy, 7, A_TIME, &event);
        if (r < 0)
                return r;
        event_done(&event);
        view_run(&w, NULL, copy, NULL, true);
        return buffer_take(&buffer, &text);
}

/* Text that json-c reads is not counted here: what is made of it is. */
static int parse_outside_event(void)
{
        static const char text[] =
                        "{\"run_id\":\"r\",\"user_id\":\"" USER "\",\"provider\":\"garmin\",\"source\":\"sdk\","
                        "\"stage\":\"fetching\",\"status\":\"in_progress\",\"message\":\"m\",\"error\":null,"
                        "\"metadata\":{\"device\":\"watch\"},\"started_at\":\"2026-05-30T20:00:00Z\"}";
        _cleanup_json_ struct json_object *object = NULL;
        _cleanup_free_ char *why = NULL;
        OutsideEvent event = {};
        int r;

        r = json_parse(text, strlen(text), &object);
        if (r < 0)
                return r;
        r = outside_event_parse(object, &event, &why);
        outside_event_done(&event);
        return r;
}

/* ---- worker */

static char items_path[] = "/tmp/syncrun-test-memory-XXXXXX";

static const char *const lines[] = {
        "{\"type\":\"SCHEMA\",\"stream\":\"tx\",\"schema\":{},\"key_properties\":[\"id\",\"date\"]}",
        "{\"type\":\"RECORD\",\"stream\":\"tx\",\"account\":\"savings\",\"record\":{\"id\":1,\"date\":\"2026-05-30\"}"
        "}",
        "{\"type\":\"RECORD\",\"stream\":\"new\",\"record\":{\"a\":1.50,\"b\":\"\\u00e9\"}}",
        "{\"type\":\"STATE\",\"value\":{\"bookmarks\":{\"tx\":{\"id\":9}}}}",
        "{\"type\":\"STATE\",\"state\":{\"type\":\"STREAM\",\"stream\":{\"stream_descriptor\":{\"name\":\"u\"},"
        "\"stream_state\":{\"n\":1}}}}",
        "{\"type\":\"PROGRESS\",\"stage\":\"saving\",\"processed\":3,\"total\":9,\"message\":\"half\"}",
        "{\"type\":\"ACCOUNT\",\"account\":\"savings\",\"status\":\"failed\",\"error\":\"no\"}",
        "{\"type\":\"ATTENTION\",\"category\":\"consent_expired\",\"message\":\"ask again\"}",
        "{\"type\":\"LOG\",\"log\":{\"level\":\"INFO\",\"message\":\"hello\"}}",
        "not JSON",
};

static int take_all(Intake *intake)
{
        _cleanup_free_ char *cursor = NULL;
        int r = 0;

        for (size_t i = 0; r >= 0 && i < ELEMENTSOF(lines); i++) {
                r = intake_line(intake, (JsonSlice){ lines[i], strlen(lines[i]) });
                if (r == -EBADMSG)
                        r = 0;
        }
        if (r >= 0)
                r = destination_commit(intake->destination);
        if (r >= 0)
                r = intake_take_cursor(intake, true, &cursor);
        return MIN(r, 0);
}

/* Into a file of the worker's own. */
static int take_lines(void)
{
        char *keys[] = { (char *) "tx:id", (char *) "other:a,b", NULL };
        Intake *intake = calloc(1, sizeof(Intake));
        DestinationContext context = {
                .type = DESTINATION_SQLITE,
                .run_id = "r1",
                .path = items_path,
        };
        int r;

        if (!intake)
                return -ENOMEM;
        r = intake_init(intake, "bank", keys);
        if (r < 0) {
                free(intake);
                return r;
        }
        r = log_relay_new("bank", "r1", "acme", &intake->relay);
        context.ledger = &intake->ledger;
        context.streams = &intake->streams;
        context.relay = intake->relay;
        if (r >= 0)
                r = destination_open(&context, NULL, &intake->destination);
        if (r >= 0)
                r = take_all(intake);
        destination_free(intake->destination);
        log_relay_free(intake->relay);
        intake_done(intake);
        free(intake);
        return r;
}

static int read_lines(void)
{
        static const char text[] = "one\ntwo\nthree";
        LineReader *reader = NULL;
        Line line;
        int fds[2], r;

        assert_int_equal(pipe(fds), 0);
        assert_int_equal(write(fds[1], text, strlen(text)), strlen(text));
        (void) close(fds[1]);
        r = line_reader_new(fds[0], &reader);
        while (r >= 0 && !line_reader_ended(reader)) {
                r = line_reader_fill(reader);
                while (r >= 0 && line_reader_next(reader, &line) > 0)
                        continue;
        }
        if (!reader)
                (void) close(fds[0]);
        line_reader_free(reader);
        return MIN(r, 0);
}

#define EACH(f)                             \
        static void test_##f(void **state)  \
        {                                   \
                fail_allocations(#f, f, 1); \
        }

#define FOR_EACH_FUNCTION(X)                                                                                          \
        X(read_connector)                                                                                             \
        X(read_wrong_connector)                                                                                       \
        X(read_settings) X(write_json) X(use_lists) X(write_file) X(split_commands) X(parse_calendar) X(parse_report) \
                        X(tell_run) X(parse_outside_event) X(take_lines) X(read_lines)

FOR_EACH_FUNCTION(EACH)

static int make_items(void **state)
{
        int fd = mkstemp(items_path);

        return fd >= 0 ? close(fd) : -1;
}

static int remove_items(void **state)
{
        return unlink(items_path);
}

#define UNIT_TEST(f) cmocka_unit_test(test_##f),

int main(void)
{
        const struct CMUnitTest tests[] = { FOR_EACH_FUNCTION(UNIT_TEST) };

        (void) setenv("SYNCRUN_LOG_TARGET", "null", true);
        log_open("test-memory");
        alloc_include_sqlite();
        alloc_count_sqlite(true);
        return cmocka_run_group_tests(tests, make_items, remove_items);
}
