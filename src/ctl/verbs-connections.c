/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* connections, reconnect, withdraw: what connectors share with a provider, and mending it. */

#include <stdio.h>
#include <stdlib.h>

#include "base/string-util.h"
#include "base/time-util.h"
#include "client/client-connection.h"
#include "ctl/ctl.h"

/* ---- Showing */

static Colour state_colour(const char *state)
{
        if (streq(state, "active"))
                return COLOUR_GREEN;
        return streq(state, "expiring") ? COLOUR_YELLOW : COLOUR_RED;
}

static char *words_of(struct json_object *connection, const char *key, const char *between)
{
        _cleanup_strv_free_ char **names = NULL;
        struct json_object *name;

        for (size_t i = 0; (name = json_element(connection, key, i)); i++)
                if (strv_extend(&names, json_object_get_string(name)) < 0)
                        return NULL;
        return strv_join(names, between);
}

static int add_row(Table *table, struct json_object *connection)
{
        _cleanup_free_ char *names = words_of(connection, "connectors", " ");
        char since[TIMESPAN_TEXT_MAX], expires[TIMESPAN_TEXT_MAX];
        const char *state = json_text(connection, "state");

        if (!names)
                return -ENOMEM;
        table_add(table, COLOUR_BOLD, json_text(connection, "name"));
        table_add(table, state_colour(state), json_flag(connection, "reconnecting") ? "reconnecting" : state);
        table_add(table, COLOUR_NORMAL, relative_text(since, json_time(connection, "since")));
        table_add(table, COLOUR_NORMAL, relative_text(expires, json_time(connection, "consent_expires")));
        table_add(table, COLOUR_NORMAL, names);
        table_add(table, COLOUR_NORMAL, json_text(connection, "reason"));
        return 0;
}

static int list_connections(Ctl *ctl)
{
        static const char *const titles[] = { "CONNECTION", "STATE",  "SINCE", "CONSENT ENDS",
                                              "CONNECTORS", "REASON", NULL };
        const ClientOption filter[] = {
                { "provider", 's', .s = ctl->options.provider },
                { "user", 's', .s = ctl->options.user },
        };
        _cleanup_json_ struct json_object *answer = NULL;
        _cleanup_(table_freep) Table *table = NULL;
        struct json_object *connection;
        int status;

        status = ctl_ask_all(ctl, "DescribeConnections", filter, ELEMENTSOF(filter), "connections", &answer);
        if (status != 0)
                return status;
        ctl_begin(ctl);
        if (ctl->options.json != JSON_OFF) {
                ctl_print_json(ctl, answer);
                return 0;
        }
        table = table_new(titles);
        if (!table)
                return ctl_oom();
        for (size_t i = 0; (connection = json_element(answer, "connections", i)); i++)
                if (add_row(table, connection) < 0)
                        return ctl_oom();
        if (table_print(table, ctl->options.legend) < 0)
                return ctl_oom();
        if (table_rows(table) == 0)
                ctl_hint(ctl, "No connections. Connectors name theirs with Connection=: see syncrun.connection(5).");
        return 0;
}

#define LABEL_WIDTH 14

/* @lost: set where there was no memory to show it. */
static void line(bool *lost, const char *label, Colour c, const char *text)
{
        _cleanup_free_ char *fit = text_line(text);

        *lost |= !fit;
        if (!isempty(text))
                (void) printf("%*s: %s%s%s\n", LABEL_WIDTH, label, c == COLOUR_NORMAL ? "" : colour(c), strempty(fit),
                              c == COLOUR_NORMAL ? "" : colour(COLOUR_NORMAL));
}

static void time_line(const char *label, usec_t usec)
{
        char at[TIMESTAMP_TEXT_MAX], distance[TIMESPAN_TEXT_MAX];

        if (usec > 0)
                (void) printf("%*s: %s (%s)\n", LABEL_WIDTH, label,
                              strna(timestamp_format_local(at, sizeof(at), usec)), relative_text(distance, usec));
}

static int show_connection(struct json_object *connection)
{
        _cleanup_free_ char *connectors = words_of(connection, "connectors", " ");
        _cleanup_free_ char *accounts = words_of(connection, "accounts", ", ");
        struct json_object *reconnect = json_member(connection, "reconnect");
        const char *state = json_text(connection, "state");
        bool lost = false;

        if (!connectors || !accounts)
                return ctl_oom();
        (void) printf("%s%s%s", colour(COLOUR_BOLD), json_text(connection, "name"), colour(COLOUR_NORMAL));
        (void) printf(isempty(json_text(connection, "description")) ? "%s\n" : " - %s\n",
                      json_text(connection, "description"));
        line(&lost, "State", state_colour(state), state);
        line(&lost, "Reason", COLOUR_NORMAL, json_text(connection, "reason"));
        time_line("Since", json_time(connection, "since"));
        line(&lost, "Run", COLOUR_NORMAL, json_text(connection, "run_id"));
        time_line("Consent ends", json_time(connection, "consent_expires"));
        line(&lost, "Connectors", COLOUR_NORMAL, connectors);
        line(&lost, "Accounts", COLOUR_NORMAL, accounts);
        line(&lost, "Provider", COLOUR_NORMAL, json_text(connection, "provider"));
        line(&lost, "User", COLOUR_NORMAL, json_text(connection, "user_id"));
        line(&lost, "File", COLOUR_NORMAL, json_text(connection, "path"));
        line(&lost, "Error", COLOUR_RED, json_text(connection, "load_error"));
        if (json_flag(connection, "reconnecting"))
                time_line("Reconnecting", json_time(reconnect, "begun"));
        else if (reconnect) {
                time_line("Reconnected", json_time(reconnect, "ended"));
                line(&lost, "Result", streq(json_text(reconnect, "result"), "success") ? COLOUR_GREEN : COLOUR_RED,
                     json_text(reconnect, "result"));
                line(&lost, "Said", COLOUR_NORMAL, json_text(reconnect, "message"));
        }
        return lost ? ctl_oom() : 0;
}

static int show_one(Ctl *ctl, const char *name, bool more)
{
        const ClientOption filter[] = {
                { "name", 's', .s = name },
                { "provider", 's', .s = ctl->options.provider },
                { "user", 's', .s = ctl->options.user },
        };
        _cleanup_json_ struct json_object *answer = NULL;
        struct json_object *connection;
        int status;

        status = ctl_ask(ctl, "DescribeConnections", filter, ELEMENTSOF(filter), &answer);
        if (status != 0)
                return status;
        connection = json_element(answer, "connections", 0);
        if (!connection)
                return ctl_fail_status(EXIT_NO_SUCH, "There is no connection \"%s\". See 'syncrunctl connections'.",
                                       name);
        ctl_begin(ctl);
        if (ctl->options.json != JSON_OFF) {
                ctl_print_json(ctl, connection);
                return 0;
        }
        if (more)
                (void) puts("");
        return show_connection(connection);
}

int verb_connections(Ctl *ctl, int argc, char **argv)
{
        int worst = 0, status;

        if (argc == 1)
                return list_connections(ctl);
        for (int i = 1; i < argc; i++) {
                status = show_one(ctl, argv[i], i > 1);
                worst = MAX(worst, status);
        }
        return worst;
}

/* ---- Mending */

static void tell_reconnected(const ClientReconnected *run)
{
        if (isempty(run->run_id))
                (void) printf("%s: runs when it can; 'syncrunctl status %s' tells what keeps it\n", run->connector,
                              run->connector);
        else
                (void) printf(run->already_active ? "%s: run %s is active; another follows unless it goes well\n"
                                                  : "%s: run %s\n",
                              run->connector, run->run_id);
}

static int add_reconnected(struct json_object *runs, const ClientReconnected *run)
{
        struct json_object *object = json_object_new_object();

        if (!object || json_object_array_add(runs, object) < 0) {
                json_object_put(object);
                return -ENOMEM;
        }
        if (json_add(object, "connector", json_object_new_string(run->connector)) < 0 ||
            json_add(object, "run_id", isempty(run->run_id) ? NULL : json_object_new_string(run->run_id)) < 0 ||
            json_add(object, "already_active", json_object_new_boolean(run->already_active)) < 0)
                return -ENOMEM;
        return 0;
}

/* What the answer tells, as lines or into @runs. Return: how many; an exit status < 0. */
static ssize_t take_runs(Ctl *ctl, const char *connection, sd_bus_message *answer, struct json_object *runs)
{
        bool json = ctl->options.json != JSON_OFF;
        ClientReconnected run;
        ssize_t n;
        int r;

        for (n = 0; (r = client_next_reconnected(answer, &run)) > 0; n++) {
                if (json && add_reconnected(runs, &run) < 0)
                        return -ctl_oom();
                if (!json && !ctl->options.quiet)
                        tell_reconnected(&run);
        }
        return r < 0 ? -ctl_fail_errno(r, "Could not read which runs of %s have begun", connection) : n;
}

/* A program runs. Return: the exit status. */
static int follow_program(Ctl *ctl, Client *client, const char *connection, ClientReconnectEnd *end)
{
        bool silent = ctl->options.quiet || ctl->options.json != JSON_OFF;
        int r;

        if (!option_given(&ctl->options, OPTION_WAIT)) {
                if (!silent)
                        (void) printf("%s: its program runs; 'syncrunctl connections %s' shows what comes of it.\n",
                                      connection, connection);
                return 0;
        }
        r = client_await_reconnect(client, end);
        if (r < 0)
                return ctl_fail_errno(r, "Could not wait for the program that reconnects %s", connection);
        if (!streq(end->result, "success"))
                return ctl_fail_status(EXIT_FAILURE, "%s was not reconnected (%s)%s%s", connection, end->result,
                                       isempty(end->message) ? "." : ": ", end->message);
        if (!silent)
                (void) printf("%s: reconnected%s%s\n", connection, isempty(end->message) ? "." : ": ", end->message);
        return 0;
}

static int print_reconnected(const Ctl *ctl, const char *connection, bool reconnecting,
                             const ClientReconnectEnd *end, struct json_object *runs)
{
        _cleanup_json_ struct json_object *object = json_object_new_object();

        if (!object || json_add(object, "connection", json_object_new_string(connection)) < 0 ||
            json_add(object, "reconnecting", json_object_new_boolean(reconnecting && !end->finished)) < 0 ||
            json_add(object, "result", end->finished ? json_object_new_string(end->result) : NULL) < 0 ||
            json_add(object, "message", end->finished ? json_object_new_string(end->message) : NULL) < 0 ||
            json_add(object, "runs", json_object_get(runs)) < 0)
                return ctl_oom();
        ctl_print_json(ctl, object);
        return 0;
}

static int reconnect_one(Ctl *ctl, Client *client, const char *connection)
{
        const ClientOption options[] = {
                { "done", 'b', .b = option_given(&ctl->options, OPTION_DONE) },
                { "consent_expires", 't', .t = ctl->options.expires_usec },
        };
        _cleanup_(client_reconnect_end_done) ClientReconnectEnd end = {};
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *answer = NULL;
        _cleanup_json_ struct json_object *runs = json_object_new_array();
        _cleanup_client_error_ ClientError e = {};
        int reconnecting, status = 0, printed;
        ssize_t n;

        if (!runs)
                return ctl_oom();
        if (client_listen_reconnect(client, connection, &end, &e) < 0 ||
            client_call_manager(client, "ReconnectConnection", connection, options, ELEMENTSOF(options), &answer,
                                &e) < 0)
                return ctl_fail(&e, "Could not reconnect %s", connection);
        n = take_runs(ctl, connection, answer, runs);
        if (n < 0)
                return (int) -n;
        reconnecting = client_reconnecting(answer);
        if (reconnecting < 0)
                return ctl_fail_errno(reconnecting, "Could not read whether %s is being reconnected", connection);
        if (reconnecting)
                status = follow_program(ctl, client, connection, &end);
        else if (n == 0 && ctl->options.json == JSON_OFF && !ctl->options.quiet)
                (void) printf("No connector of %s waited for it.\n", connection);
        if (ctl->options.json == JSON_OFF)
                return status;
        printed = print_reconnected(ctl, connection, reconnecting, &end, runs);
        return MAX(status, printed);
}

int verb_reconnect(Ctl *ctl, int argc, char **argv)
{
        return ctl_each(ctl, argc, argv, reconnect_one);
}

int verb_withdraw(Ctl *ctl, int argc, char **argv)
{
        const ClientOption options[] = {
                { "delete_items", 'b', .b = option_given(&ctl->options, OPTION_DELETE_ITEMS) },
        };
        int worst, status;
        Client *client;

        worst = ctl_client(ctl, &client);
        if (worst != 0)
                return worst;
        for (int i = 1; i < argc; i++) {
                _cleanup_client_error_ ClientError e = {};

                status = 0;
                if (client_call_manager(client, "WithdrawConsent", argv[i], options, ELEMENTSOF(options), NULL,
                                        &e) < 0)
                        status = ctl_fail(&e, "Could not withdraw the consent of %s", argv[i]);
                worst = MAX(worst, status);
        }
        return worst;
}
