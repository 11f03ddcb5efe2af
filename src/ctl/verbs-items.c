/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* items: what a connector has stored. The destination belongs to the worker, so the worker's program is asked; it
 * answers with one JSON object a line. Where to look, the daemon knows, if it is there. */

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd-util.h"
#include "base/names.h"
#include "base/string-util.h"
#include "base/time-util.h"
#include "config.h"
#include "ctl/ctl.h"

#define ITEMS_SHOWN 50U /* without --lines= */

/* What a connector without a file has stored is where it was. Return: 0, where it once ran; an exit status > 0 with
 * the error printed. */
static int say_file_is_gone(Ctl *ctl, const char *connector)
{
        _cleanup_json_ struct json_object *run = NULL;
        int status;

        status = ctl_ask_last_run(ctl, connector, &run);
        if (status != 0)
                return status;
        if (!run)
                return ctl_no_such(ctl, connector);
        if (!ctl->options.quiet)
                (void) fprintf(stderr, "Connector %s has no file any more. This is what it had stored.\n", connector);
        return 0;
}

/* Where the connector's worker keeps its state: *ret is NULL where the daemon is not there, or does not know; freed by
 * the caller. Return: 0; an exit status > 0 with the error printed. */
static int ask_state_directory(Ctl *ctl, const char *connector, char **ret)
{
        const ClientOption filter[] = { { .name = "name", .type = 's', .s = connector } };
        _cleanup_client_error_ ClientError e = {};
        _cleanup_json_ struct json_object *answer = NULL;
        _cleanup_free_ char *json = NULL;
        struct json_object *known;
        const char *directory;

        if (!ctl->client && client_open(NULL, &ctl->client, &e) < 0)
                return 0;
        if (client_describe(ctl->client, "DescribeConnectors", filter, ELEMENTSOF(filter), &json, &e) < 0 ||
            json_parse(json, strlen(json), &answer) < 0)
                return 0;
        known = json_element(answer, "connectors", 0);
        if (!known)
                return say_file_is_gone(ctl, connector);
        directory = json_text(known, "state_directory");
        *ret = isempty(directory) ? NULL : strdup(directory);
        return 0;
}

/* Starts the worker's program, with its answer in a pipe. @state_directory: NULL: as in our environment. Return: 0;
 * negative errno. */
static int spawn_worker(const char *worker, char **words, const char *state_directory, pid_t *ret_pid,
                        FILE **ret_answer)
{
        FILE *answer;
        int fds[2];
        pid_t pid;

        if (pipe2(fds, O_CLOEXEC) < 0)
                return -errno;
        answer = fdopen(fds[0], "re");
        pid = answer ? fork() : -1;
        if (pid < 0) {
                int error = errno;

                if (answer)
                        (void) fclose(answer);
                else
                        (void) safe_close(fds[0]);
                (void) safe_close(fds[1]);
                return -error;
        }
        if (pid == 0) {
                if (dup2(fds[1], STDOUT_FILENO) >= 0 &&
                    (!state_directory || setenv("STATE_DIRECTORY", state_directory, true) >= 0))
                        (void) execv(worker, words);
                (void) fprintf(stderr, "syncrunctl: Could not run %s: %m\n", worker);
                _exit(127);
        }
        (void) safe_close(fds[1]);
        *ret_pid = pid;
        *ret_answer = answer;
        return 0;
}

/* The record's own bytes, for those whose numbers json-c would change. It is the last member of the worker's line, and
 * no text has this without a backslash. NULL: it is not there, or there is no memory. */
static char *cut_record(const char *line, size_t n)
{
        const char *before = strstr(line, ",\"record\":");

        size_t skip = strlen(",\"record\":");

        return before ? strndup(before + skip, n - (size_t) (before - line) - skip - strlen("}")) : NULL;
}

static void print_line_end(unsigned depth)
{
        (void) printf("\n%*s", (int) (2 * depth), "");
}

/* As json-c would print it, each member on a line of its own, with nothing changed. */
static void print_pretty(const char *json, size_t n)
{
        bool in_string = false;
        unsigned depth = 0;

        for (const char *p = json; p < json + n; p++) {
                if (!in_string && strchr(WHITESPACE, *p))
                        continue;
                if (!in_string && strchr("}]", *p))
                        print_line_end(--depth);
                (void) putchar(*p);
                if (in_string && *p == '\\' && p + 1 < json + n)
                        (void) putchar(*++p);
                else if (*p == '"')
                        in_string = !in_string;
                else if (in_string)
                        continue;
                else if (strchr("{[", *p))
                        print_line_end(++depth);
                else if (*p == ',')
                        print_line_end(depth);
                else if (*p == ':')
                        (void) putchar(' ');
        }
        (void) putchar('\n');
}

static void add_item(Table *table, struct json_object *item, const char *own)
{
        struct json_object *record = NULL;
        char updated[TIMESPAN_TEXT_MAX];

        (void) json_object_object_get_ex(item, "record", &record);

        table_add(table, COLOUR_BOLD, json_text(item, "stream"));
        table_add(table, COLOUR_NORMAL, json_text(item, "key"));
        table_add(table, COLOUR_NORMAL, json_text(item, "account"));
        table_add(table, COLOUR_NORMAL, relative_text(updated, json_time(item, "updated")));
        if (!own)
                own = json_object_to_json_string_ext(record, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE);
        table_add(table, COLOUR_GREY, own);
}

/* Line by line into the table, or out as JSON. */
static int show_items(Ctl *ctl, FILE *answer, Table *table)
{
        _cleanup_free_ char *line = NULL;
        size_t size = 0;
        ssize_t n;

        while ((n = getline(&line, &size, answer)) > 0) {
                _cleanup_json_ struct json_object *item = NULL;
                _cleanup_free_ char *own = NULL;

                ctl_begin(ctl);
                if (ctl->options.json == JSON_SHORT) { /* as it is: exactly what is stored */
                        (void) fputs(line, stdout);
                        continue;
                }
                if (line[n - 1] == '\n')
                        line[--n] = '\0';
                if (json_parse(line, (size_t) n, &item) < 0)
                        return ctl_fail_status(EXIT_FAILURE, "%s gave an answer that is not JSON.",
                                               SYNCRUN_ENV_WORKER);
                if (json_has_cut_number(item) && !(own = cut_record(line, (size_t) n)))
                        return ctl_oom();
                if (ctl->options.json == JSON_OFF)
                        add_item(table, item, own);
                else if (own)
                        print_pretty(line, (size_t) n);
                else
                        ctl_print_json(ctl, item);
        }
        if (ctl->options.json != JSON_OFF)
                return 0;
        if (table_rows(table) > 0 && table_print(table, ctl->options.legend) < 0)
                return ctl_oom();
        return 0;
}

static int wait_worker(pid_t pid)
{
        int status;

        while (waitpid(pid, &status, 0) < 0)
                if (errno != EINTR)
                        return EXIT_FAILURE;
        return WIFEXITED(status) ? WEXITSTATUS(status) : EXIT_FAILURE;
}

int verb_items(Ctl *ctl, int argc, char **argv)
{
        static const char *const titles[] = { "STREAM", "KEY", "ACCOUNT", "UPDATED", "RECORD", NULL };
        const char *worker = getenv(SYNCRUN_ENV_WORKER) ?: SYNCRUN_LIBEXECDIR "/syncrun-worker";
        _cleanup_free_ char *limit = NULL, *stream = NULL, *state_directory = NULL;
        _cleanup_(table_freep) Table *table = table_new(titles);
        char *words[] = { (char *) worker, (char *) "--items", NULL, NULL, NULL, NULL };
        int status, ended;
        FILE *answer = NULL;
        pid_t pid = 0;

        if (!connector_name_is_valid(argv[1]))
                return ctl_usage_error("\"%s\" is no connector's name. See 'syncrunctl list'.", argv[1]);
        status = ask_state_directory(ctl, argv[1], &state_directory);
        if (status != 0)
                return status;
        words[2] = argv[1];
        words[3] = limit = asprintf_or_null("--limit=%u", option_lines(&ctl->options, ITEMS_SHOWN));
        if (argc > 2)
                words[4] = stream = asprintf_or_null("--stream=%s", argv[2]);
        if (!table || !limit || (argc > 2 && !stream))
                return ctl_oom();
        status = spawn_worker(worker, words, state_directory, &pid, &answer);
        if (status < 0)
                return ctl_fail_errno(status, "Could not run %s", worker);
        status = show_items(ctl, answer, table);
        (void) fclose(answer);
        ended = wait_worker(pid);
        if (status == 0 && ended == 0 && ctl->options.json == JSON_OFF && table_rows(table) == 0)
                ctl_hint(ctl, argc > 2 ? "No items in this stream." : "No items.");
        return MAX(status, ended);
}
