/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* doctor: everything that the service stands on, looked at from outside, and what to do where something is wrong. It
 * changes nothing, and goes on where one part fails. */

#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/statvfs.h>
#include <sys/timex.h>

#include "base/fd-util.h"
#include "base/names.h"
#include "base/string-util.h"
#include "base/time-util.h"
#include "client/client-system.h"
#include "config.h"
#include "ctl/doctor.h"
#include "ctl/unit-check.h"
#include "model/connector.h"
#include "model/settings.h"

/* Less room than this is little, and than this none: a commit with its log must go on for a while. */
#define SPACE_LITTLE_BYTES (256 * MIB)
#define SPACE_NONE_BYTES   (16 * MIB)
#define INODES_NONE        100U

/* This was written then: an earlier time is none. */
#define EARLIEST_USEC (UINT64_C(1767225600) * USEC_PER_SEC) /* 2026-01-01 */

#define NSSWITCH_FILE "/etc/nsswitch.conf"
#define NSSWITCH_MAX  (64 * KIB)

typedef struct Doctor {
        Ctl *ctl;
        Client *client;  /* NULL: there is no bus */
        bool is_private; /* an instance of somebody's own: nothing of the system's is asked of it */
        bool answers;
        Findings findings;
} Doctor;

static void check_bus(Doctor *d)
{
        _cleanup_client_error_ ClientError e = {};

        if (client_open(NULL, &d->ctl->client, &e) < 0) {
                findings_add(&d->findings, "bus", FINDING_BAD, "See 'systemctl status dbus.socket dbus.service'.",
                             "%s", client_error_text(&e));
                return;
        }
        d->client = d->ctl->client;
        findings_add(&d->findings, "bus", FINDING_GOOD, NULL, "The %s bus can be reached.",
                     d->is_private ? "private" : "system");
}

/* ---- The service */

static void check_units(Doctor *d)
{
        static const char *const units[] = { SYNCRUN_DAEMON_UNIT, SYNCRUN_UNIT_PREFIX "doctor" SYNCRUN_UNIT_SUFFIX };
        _cleanup_free_ char *enabled = NULL, *active = NULL, *status = NULL;

        for (size_t i = 0; i < ELEMENTSOF(units); i++) {
                _cleanup_free_ char *state = NULL;
                int r = client_unit_text(d->client, units[i], "Unit", "LoadState", &state);

                if (r < 0) {
                        findings_add(&d->findings, "units", FINDING_SKIPPED, NULL, "systemd cannot be asked: %s.",
                                     strerror(-r));
                        return;
                }
                if (!streq(state, "loaded")) {
                        findings_add(&d->findings, "units", FINDING_BAD,
                                     "Install syncrun (again), and run 'systemctl daemon-reload'.", "%s is %s.",
                                     units[i], state);
                        return;
                }
        }
        if (client_unit_text(d->client, SYNCRUN_DAEMON_UNIT, "Unit", "UnitFileState", &enabled) < 0 ||
            client_unit_text(d->client, SYNCRUN_DAEMON_UNIT, "Unit", "ActiveState", &active) < 0 ||
            client_unit_text(d->client, SYNCRUN_DAEMON_UNIT, "Service", "StatusText", &status) < 0)
                return;
        if (streq(active, "failed"))
                findings_add(&d->findings, "units", FINDING_BAD,
                             "When it is mended: 'systemctl restart syncrund'. 'journalctl -xu syncrund' has more.",
                             "The service has failed: %s", isempty(status) ? "see its log." : status);
        else if (!streq(enabled, "enabled"))
                findings_add(&d->findings, "units", FINDING_WARNING,
                             "For schedules to run after a boot: 'systemctl enable syncrund'.",
                             "The service starts when somebody calls it, and not by itself.");
        else
                findings_add(&d->findings, "units", FINDING_GOOD, NULL, "The units are installed and enabled.");
}

static void check_daemon(Doctor *d)
{
        _cleanup_client_error_ ClientError e = {};
        _cleanup_free_ char *version = NULL;

        if (client_get_text(d->client, "Version", &version, &e) < 0) {
                findings_add(&d->findings, "daemon", FINDING_BAD,
                             d->is_private ? "Start syncrund on this bus."
                                           : "See 'systemctl status syncrund' and 'journalctl -xu syncrund'.",
                             "%s", client_error_text(&e));
                return;
        }
        d->answers = true;
        if (streq(version, SYNCRUN_VERSION))
                findings_add(&d->findings, "daemon", FINDING_GOOD, NULL, "syncrund %s answers.", version);
        else
                findings_add(&d->findings, "daemon", FINDING_WARNING,
                             "'systemctl restart syncrund' starts the new one; runs go on meanwhile.",
                             "syncrund %s answers, and this is syncrunctl " SYNCRUN_VERSION ".", version);
}

static void check_storage(Doctor *d)
{
        _cleanup_client_error_ ClientError e = {};
        _cleanup_free_ char *error = NULL;

        if (client_get_text(d->client, "StorageError", &error, &e) < 0)
                findings_add(&d->findings, "storage", FINDING_SKIPPED, NULL, "%s", client_error_text(&e));
        else if (isempty(error))
                findings_add(&d->findings, "storage", FINDING_GOOD, NULL, "The history can be written.");
        else
                findings_add(&d->findings, "storage", FINDING_BAD,
                             "Make room, raise the quota, mount the disk writable, or bring the file back: the "
                             "service goes on by itself. 'journalctl -xu syncrund' has more.",
                             "The history cannot be written: %s.", error);
}

static void check_space(Doctor *d)
{
        _cleanup_strv_free_ char **dirs = NULL;
        _cleanup_settings_ Settings settings = {};
        struct statvfs st;
        uint64_t free_bytes;
        Finding finding;

        if (settings_dirs(&dirs) < 0 || settings_load(dirs, NULL, &settings) < 0) {
                d->findings.lost = true;
                return;
        }
        if (statvfs(settings.state_directory, &st) < 0) {
                findings_add(&d->findings, "space", errno == ENOENT ? FINDING_WARNING : FINDING_SKIPPED, NULL,
                             "%s: %s.", settings.state_directory, strerror(errno));
                return;
        }
        free_bytes = (uint64_t) st.f_bavail * st.f_frsize;
        if (free_bytes < SPACE_NONE_BYTES || (st.f_files > 0 && st.f_favail < INODES_NONE))
                finding = FINDING_BAD;
        else
                finding = free_bytes < SPACE_LITTLE_BYTES ? FINDING_WARNING : FINDING_GOOD;
        findings_add(&d->findings, "space", finding,
                     finding == FINDING_GOOD ? NULL : "Make room, or keep less: [History] in syncrun.conf(5).",
                     "%llu MiB and %llu files are free for %s.", (unsigned long long) (free_bytes / MIB),
                     (unsigned long long) st.f_favail, settings.state_directory);
}

/* ---- The system */

static void check_polkit(Doctor *d)
{
        static const char advice[] = "Without it root alone may steer the service, and it cannot start its workers: "
                                     "install polkitd, and see 'systemctl status polkit'.";
        _cleanup_free_ char *why = NULL;
        int n = client_count_actions(d->client, &why);

        if (n < 0)
                findings_add(&d->findings, "polkit", FINDING_BAD, advice, "polkit cannot be asked. The bus says: %s",
                             strempty(why));
        else if (n == 0)
                findings_add(&d->findings, "polkit", FINDING_BAD,
                             "Install syncrun (again), and run 'systemctl restart polkit'.",
                             "polkit does not know the service's actions.");
        else
                findings_add(&d->findings, "polkit", FINDING_GOOD, NULL, "polkit knows the service's %d actions.", n);
}

/* Whether the names of dynamic users can be looked up: "passwd: files systemd". */
static bool names_dynamic_users(void)
{
        _cleanup_free_ char *text = NULL;
        char *rest;

        if (read_file(NSSWITCH_FILE, NSSWITCH_MAX, &text, NULL) < 0)
                return false;
        rest = text;
        for (char *line; (line = strsep(&rest, "\n"));) {
                line[strcspn(line, "#")] = '\0';
                if (startswith(line, "passwd:"))
                        return strstr(line, "systemd");
        }
        return false;
}

static void check_users(Doctor *d)
{
        if (!getpwnam(SYNCRUN_USER) || !getgrnam(SYNCRUN_WORKER_GROUP))
                findings_add(&d->findings, "users", FINDING_BAD, "Run 'systemd-sysusers'.",
                             "There is no user " SYNCRUN_USER ", or no group " SYNCRUN_WORKER_GROUP ".");
        else if (!names_dynamic_users())
                findings_add(&d->findings, "users", FINDING_BAD,
                             "Install libnss-systemd: workers cannot reach the bus without it.",
                             "\"passwd\" in " NSSWITCH_FILE " has no \"systemd\": dynamic users have no names.");
        else
                findings_add(&d->findings, "users", FINDING_GOOD, NULL,
                             "Users of the service and of workers are known.");
}

static void check_clock(Doctor *d)
{
        struct timex state = {};

        if (now_usec(CLOCK_REALTIME) < EARLIEST_USEC)
                findings_add(&d->findings, "clock", FINDING_BAD, "Set it: 'timedatectl'. Schedules follow at once.",
                             "The clock is years behind.");
        else if (adjtimex(&state) == TIME_ERROR)
                findings_add(&d->findings, "clock", FINDING_WARNING,
                             "'timedatectl set-ntp yes' lets systemd-timesyncd do it.",
                             "Nothing keeps the clock right: schedules are as good as it is.");
        else
                findings_add(&d->findings, "clock", FINDING_GOOD, NULL, "The clock is kept right.");
}

/* ---- Connectors */

static const char *first_error(const Diagnostics *diagnostics)
{
        for (size_t i = 0; i < diagnostics->n_items; i++)
                if (diagnostics->items[i].severity == DIAGNOSTIC_ERROR)
                        return diagnostics->items[i].text;
        return NULL;
}

/* Return: whether something was said. */
static bool check_readable(Doctor *d, char *const *dirs, const char *name)
{
        _cleanup_free_ char *file = asprintf_or_null("%s.connector", name), *path = NULL;
        int r;

        r = file ? daemon_find_unreadable(dirs, file, &path) : -ENOMEM;
        if (r > 0)
                findings_add(&d->findings, "files", FINDING_BAD, DAEMON_MAY_NOT_READ,
                             "%s cannot be read by the service.", path);
        else if (r < 0)
                d->findings.lost = true;
        return r != 0;
}

/* Return: whether there is such a connector. */
static bool check_file(Doctor *d, char *const *dirs, const char *name, unsigned *n_good)
{
        _cleanup_(connector_definition_unrefp) ConnectorDefinition *definition = NULL;
        _cleanup_(diagnostics_done) Diagnostics diagnostics = {};
        int r;

        if (!connector_name_is_valid(name)) {
                findings_add(&d->findings, "files", FINDING_BAD, "Rename the file: [a-z][a-z0-9_-]{0,27}.connector.",
                             "No connector can be named \"%s\".", name);
                return true;
        }
        r = connector_definition_load(dirs, name, &diagnostics, &definition);
        if (r == -ENOENT)
                return false;
        if (r < 0)
                d->findings.lost = true;
        else if (definition->load_state == LOAD_BAD_SETTING)
                findings_add(&d->findings, "files", FINDING_BAD, "'syncrunctl verify' tells file and line.",
                             "Connector %s cannot run: %s", name,
                             definition->load_error ?: strna(first_error(&diagnostics)));
        else if (check_readable(d, dirs, name))
                return true;
        else if (diagnostics.n_items > 0)
                findings_add(&d->findings, "files", FINDING_WARNING, "'syncrunctl verify' tells file and line.",
                             "Connector %s has %zu line%s that do not count.", name, diagnostics.n_items,
                             diagnostics.n_items == 1 ? "" : "s");
        else
                (*n_good)++;
        return true;
}

static void check_files(Doctor *d)
{
        _cleanup_strv_free_ char **dirs = NULL, **names = NULL;
        unsigned n = 0, n_good = 0;
        int r;

        r = connector_dirs(&dirs);
        if (r >= 0)
                r = conf_list_objects(dirs, ".connector", CONNECTORS_MAX, &names);
        if (r < 0) {
                findings_add(&d->findings, "files", FINDING_BAD, NULL, "Connector files cannot be looked for: %s.",
                             strerror(-r));
                return;
        }
        STRV_FOREACH(dir, dirs)
                if (!daemon_may_read(*dir)) {
                        findings_add(&d->findings, "files", FINDING_BAD, DAEMON_MAY_NOT_READ,
                                     "%s cannot be read by the service.", *dir);
                        return;
                }
        STRV_FOREACH(name, names)
                n += check_file(d, dirs, *name, &n_good);
        if (n == 0)
                findings_add(&d->findings, "files", FINDING_WARNING,
                             "syncrun.connector(5) has examples to begin with.", "There is no connector file.");
        else if (n_good > 0)
                findings_add(&d->findings, "files", FINDING_GOOD, NULL, "%u of %u connector files are good.", n_good,
                             n);
}

/* One page; *@page (NULL: the first) becomes that of the next, NULL at the end. Return: how many connectors it has;
 * negative errno. */
static int check_attention_page(Doctor *d, char **page)
{
        const ClientOption filter[] = { { .name = "attention", .type = 'b', .b = true }, { "page", 's', .s = *page } };
        _cleanup_client_error_ ClientError e = {};
        _cleanup_json_ struct json_object *answer = NULL;
        _cleanup_free_ char *json = NULL;
        struct json_object *connector;
        int n = 0;

        if (client_describe(d->client, "DescribeConnectors", filter, ELEMENTSOF(filter), &json, &e) < 0 ||
            json_parse(json, strlen(json), &answer) < 0) {
                findings_add(&d->findings, "attention", FINDING_SKIPPED, NULL, "%s", client_error_text(&e));
                return -EIO;
        }
        for (; (connector = json_element(answer, "connectors", (size_t) n)); n++) {
                struct json_object *attention = json_member(connector, "attention");

                findings_add(&d->findings, "attention", FINDING_WARNING, json_text(attention, "advice"),
                             "Connector %s: %s", json_text(connector, "name"), json_text(attention, "message"));
        }
        if (free_and_strdup(page, json_text(answer, "next")) < 0) {
                d->findings.lost = true;
                return -ENOMEM;
        }
        return n;
}

static void check_attention(Doctor *d)
{
        _cleanup_free_ char *page = NULL;
        int n, n_all = 0;

        do {
                n = check_attention_page(d, &page);
                if (n < 0)
                        return;
                n_all += n;
        } while (!isempty(page));
        if (n_all == 0)
                findings_add(&d->findings, "attention", FINDING_GOOD, NULL, "No connector needs attention.");
}

/* ---- What is outside */

/* What the daemon lists in pages. Return: NULL: it was said that it cannot be told. */
static struct json_object *list(Doctor *d, const char *check, const char *member)
{
        _cleanup_client_error_ ClientError e = {};
        _cleanup_json_ struct json_object *answer = NULL;
        _cleanup_free_ char *json = NULL;

        if (client_describe(d->client, member, NULL, 0, &json, &e) >= 0 &&
            json_parse(json, strlen(json), &answer) >= 0)
                return TAKE_PTR(answer);
        findings_add(&d->findings, check, FINDING_SKIPPED, NULL, "%s", client_error_text(&e));
        return NULL;
}

/* Return: whether something is wrong with it. */
static bool check_endpoint(Doctor *d, struct json_object *endpoint)
{
        const char *id = json_text(endpoint, "id"), *reason = json_text(endpoint, "disabled_reason");
        usec_t failing_usec = json_time(endpoint, "failing_since");
        bool disabled = json_flag(endpoint, "disabled");
        _cleanup_free_ char *advice = NULL;
        char when[TIMESPAN_TEXT_MAX];

        if (disabled ? streq(strempty(reason), "by-hand") : failing_usec == 0)
                return false;
        if (disabled)
                advice = asprintf_or_null("Mend its receiver; then 'syncrunctl webhook update %s --enable', and "
                                          "'syncrunctl webhook recover %s --since=TIME' sends what it has missed.",
                                          id, id);
        else
                advice = asprintf_or_null("Mend its receiver: 'syncrunctl webhook attempts %s' tells what it answers.",
                                          id);
        if (!advice)
                d->findings.lost = true;
        else if (disabled)
                findings_add(&d->findings, "webhooks", FINDING_WARNING, advice,
                             "Endpoint %s was disabled (%s): nothing is sent to %s.", id, reason,
                             json_text(endpoint, "url"));
        else
                findings_add(&d->findings, "webhooks", FINDING_WARNING, advice, "Endpoint %s fails since %s: %s.", id,
                             relative_text(when, failing_usec), json_text(endpoint, "url"));
        return true;
}

static void check_webhooks(Doctor *d)
{
        _cleanup_json_ struct json_object *answer = list(d, "webhooks", "DescribeWebhookEndpoints");
        struct json_object *endpoint;
        unsigned n_wrong = 0;

        if (!answer)
                return;
        for (size_t i = 0; (endpoint = json_element(answer, "data", i)); i++)
                n_wrong += check_endpoint(d, endpoint);
        if (n_wrong == 0)
                findings_add(&d->findings, "webhooks", FINDING_GOOD, NULL, "No endpoint fails.");
}

/* That one has ended is told by the connectors, which need attention for it. */
static void check_consents(Doctor *d)
{
        _cleanup_json_ struct json_object *answer = NULL;
        struct json_object *connection;
        char when[TIMESPAN_TEXT_MAX];
        unsigned n_ending = 0;

        if (ctl_ask_all(d->ctl, "DescribeConnections", NULL, 0, "connections", &answer) != 0) {
                findings_add(&d->findings, "consents", FINDING_SKIPPED, NULL, "Connections cannot be listed.");
                return;
        }
        for (size_t i = 0; (connection = json_element(answer, "connections", i)); i++) {
                const char *name = json_text(connection, "name");
                _cleanup_free_ char *advice = NULL;

                if (!streq(strempty(json_text(connection, "state")), "expiring"))
                        continue;
                n_ending++;
                advice = asprintf_or_null("Renew it before: 'syncrunctl reconnect %s'.", name);
                findings_add(&d->findings, "consents", FINDING_WARNING, advice,
                             "The consent of connection %s ends %s.", name,
                             relative_text(when, json_time(connection, "consent_expires")));
        }
        if (n_ending == 0)
                findings_add(&d->findings, "consents", FINDING_GOOD, NULL, "No consent ends soon.");
}

int verb_doctor(Ctl *ctl, int argc, char **argv)
{
        Doctor d = { .ctl = ctl, .is_private = !isempty(getenv(SYNCRUN_ENV_BUS_ADDRESS)) };

        if (findings_begin(ctl, &d.findings) < 0)
                return ctl_oom();
        check_bus(&d);
        if (d.client && !d.is_private)
                check_units(&d);
        if (d.client)
                check_daemon(&d);
        if (d.answers)
                check_storage(&d);
        check_space(&d);
        if (d.client && !d.is_private)
                check_polkit(&d);
        if (!d.is_private)
                check_users(&d);
        check_clock(&d);
        check_files(&d);
        if (d.answers) {
                check_attention(&d);
                check_consents(&d);
                check_webhooks(&d);
        }
        return findings_end(&d.findings);
}
