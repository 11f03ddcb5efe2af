/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Verbs that change something. Each goes through all of its words: what fails for one keeps none of the others back,
 * and the exit status is the highest. */

#include <stdio.h>
#include <stdlib.h>

#include "base/string-util.h"
#include "base/time-util.h"
#include "ctl/ctl.h"
#include "ctl/progress.h"
#include "model/run.h"

static int print_started(const Ctl *ctl, const char *connector, const ClientStarted *started)
{
        _cleanup_json_ struct json_object *object = json_object_new_object();

        if (!object || json_add(object, "connector", json_object_new_string(connector)) < 0 ||
            json_add(object, "run_id", json_object_new_string(started->run_id)) < 0 ||
            json_add(object, "already_active", json_object_new_boolean(started->already_active)) < 0 ||
            json_add(object, "full_resync", json_object_new_boolean(started->full_resync)) < 0 ||
            json_add(object, "follow_up_pending", json_object_new_boolean(started->follow_up_pending)) < 0 ||
            json_add(object, "full_resync_pending", json_object_new_boolean(started->full_resync_pending)) < 0 ||
            json_add(object, "full_resync_owed", json_object_new_boolean(started->full_resync_owed)) < 0)
                return ctl_oom();
        ctl_print_json(ctl, object);
        return 0;
}

static bool is_stopping(Ctl *ctl, const char *run_id)
{
        _cleanup_json_ struct json_object *run = NULL;

        return ctl_ask_run(ctl, run_id, &run) == 0 && run &&
               run_state_from_string(json_text(run, "state")) == RUN_STOPPING;
}

static void tell_active(Ctl *ctl, const char *connector, const ClientStarted *started)
{
        if (started->full_resync_pending)
                (void) fprintf(stderr,
                               "%s is running already (%s). The full resync is remembered and becomes its next run.\n",
                               connector, started->run_id);
        else if (started->follow_up_pending && is_stopping(ctl, started->run_id))
                (void) fprintf(stderr,
                               "%s is stopping (%s). What was asked for is remembered and becomes its next run.\n",
                               connector, started->run_id);
        else if (started->follow_up_pending)
                (void) fprintf(stderr,
                               "%s is running already, for other accounts (%s). What was asked for is remembered and "
                               "becomes its next run.\n",
                               connector, started->run_id);
        else if (started->already_active)
                (void) fprintf(stderr, "%s is running already.\n", connector);
}

static int start_one(Ctl *ctl, Client *client, const char *connector, Progress *progress)
{
        const CtlOptions *o = &ctl->options;
        _cleanup_(client_started_done) ClientStarted started = {};
        _cleanup_client_error_ ClientError e = {};
        _cleanup_strv_free_ char **accounts = NULL;
        ClientOption options[3];

        if (o->accounts && strv_split(o->accounts, ",", &accounts) < 0)
                return ctl_oom();
        options[0] = (ClientOption){ "full_resync", 'b', .b = option_given(o, OPTION_FULL) };
        options[1] = (ClientOption){ "reason", 's', .s = o->reason };
        options[2] = (ClientOption){ "accounts", 'a', .as = accounts };
        if (client_start_run(client, connector, options, ELEMENTSOF(options), &started, &e) < 0) {
                _cleanup_free_ char *file = e.error == -ENXIO ? ctl_unread_file(ctl, connector) : NULL;

                if (file)
                        return ctl_fail_status(client_error_exit_status(&e),
                                               "Could not start %s: The service has not read %s yet: " CTL_READ_FILE,
                                               connector, file);
                return ctl_fail(&e, "Could not start %s", connector);
        }
        if (!o->quiet)
                tell_active(ctl, connector, &started);
        if (started.full_resync_owed && !o->quiet)
                (void) fprintf(stderr, "A full resync of %s is still owed. See 'syncrunctl status %s'.\n", connector,
                               connector);
        if (progress)
                return progress_add(progress, connector, &started) < 0 ? ctl_oom() : 0;
        if (o->json != JSON_OFF)
                return print_started(ctl, connector, &started);
        if (!o->quiet)
                (void) puts(started.run_id);
        return 0;
}

int verb_start(Ctl *ctl, int argc, char **argv)
{
        _cleanup_(progress_freep) Progress *progress = NULL;
        int status, worst;
        Client *client;

        worst = ctl_client(ctl, &client);
        if (worst != 0)
                return worst;
        /* Watched from before the first start, so that no event is missed. */
        if (option_given(&ctl->options, OPTION_WAIT)) {
                worst = progress_new(ctl, client, &progress);
                if (worst != 0)
                        return worst;
        }
        for (int i = 1; i < argc; i++) {
                status = start_one(ctl, client, argv[i], progress);
                worst = MAX(worst, status);
        }
        status = progress ? progress_wait(progress) : 0;
        return MAX(worst, status);
}

static int no_active_run(struct json_object *connector)
{
        struct json_object *retry = json_member(connector, "retry");
        const char *name = json_text(connector, "name");
        char when[TIMESPAN_TEXT_MAX];

        if (!retry)
                return ctl_fail_status(EXIT_WRONG_STATE, "%s has no active run.", name);
        return ctl_fail_status(EXIT_WRONG_STATE,
                               "%s has no active run, but a retry that is due %s: 'syncrunctl disable %s' keeps it "
                               "back.",
                               name, relative_text(when, json_time(retry, "at")), name);
}

/* The run that a word names, and its connector: a connector's active run, or by id. Both are freed by the caller; *ret
 * is the word itself, and *ret_connector NULL, where there is none. */
static int find_run(Ctl *ctl, const char *word, char **ret, struct json_object **ret_connector)
{
        _cleanup_json_ struct json_object *connector = NULL, *run = NULL;
        const char *id = word, *name;
        int status;

        if (connector_name_is_valid(word)) {
                status = ctl_ask_connector(ctl, word, &connector);
                if (status != 0)
                        return status;
        }
        if (connector) {
                id = json_text(json_member(connector, "active_run"), "id");
                if (isempty(id))
                        return no_active_run(connector);
        } else {
                status = ctl_ask_run(ctl, word, &run);
                name = json_text(run, "connector");
                if (status == 0 && !isempty(name))
                        status = ctl_ask_connector(ctl, name, &connector);
                if (status != 0)
                        return status;
        }
        *ret = strdup(id);
        if (!*ret)
                return ctl_oom();
        *ret_connector = TAKE_PTR(connector);
        return 0;
}

/* What was asked for while the cancelled run was active; an inactive connector forgets it. A debt, which is a retry,
 * waits for a later run. */
static void tell_what_follows(const Ctl *ctl, struct json_object *connector)
{
        struct json_object *next = json_member(connector, "follow_up");
        const char *requested_by = json_text(next, "requested_by"), *name = json_text(connector, "name");

        if (ctl->options.quiet || !next || !json_flag(connector, "active") ||
            run_trigger_from_string(json_text(next, "trigger")) == RUN_TRIGGER_RETRY)
                return;
        (void) fprintf(stderr, "%s of %s%s%s begins now: 'syncrunctl cancel %s' ends it too.\n",
                       json_flag(next, "full_resync") ? "A full resync" : "One more run", name,
                       isempty(requested_by) ? "" : " asked for by ", requested_by, name);
}

static int cancel_one(Ctl *ctl, Client *client, const char *word)
{
        _cleanup_json_ struct json_object *connector = NULL;
        _cleanup_client_error_ ClientError e = {};
        _cleanup_free_ char *id = NULL;
        int status;

        status = find_run(ctl, word, &id, &connector);
        if (status != 0)
                return status;
        if (client_cancel_run(client, id, &e) < 0)
                return e.error == -ESRCH ? ctl_no_such(ctl, word) : ctl_fail(&e, "Could not cancel %s", word);
        tell_what_follows(ctl, connector);
        return 0;
}

int verb_cancel(Ctl *ctl, int argc, char **argv)
{
        return ctl_each(ctl, argc, argv, cancel_one);
}

/* What keeps one from running that is switched on. */
static int tell_inactive(Ctl *ctl, const char *name)
{
        _cleanup_json_ struct json_object *connector = NULL;
        bool deleting, withdrawn;
        int status;

        status = ctl_ask_connector(ctl, name, &connector);
        if (status != 0 || !connector || json_flag(connector, "active"))
                return status;
        deleting = json_flag(connector, "deleting_items");
        withdrawn = streq(json_text(json_member(connector, "attention"), "category"), "consent_withdrawn");
        if (withdrawn || !deleting)
                (void) fprintf(stderr,
                               "%s is enabled, and stays inactive: the consent of %s was withdrawn. 'syncrunctl "
                               "reconnect %s' makes it active.\n",
                               name, json_text(connector, "connection"), json_text(connector, "connection"));
        if (deleting)
                (void) fprintf(stderr, "%s does not run until what it has stored is deleted.\n", name);
        return 0;
}

static int set_active_one(Ctl *ctl, Client *client, const char *connector, bool active)
{
        _cleanup_client_error_ ClientError e = {};

        if (client_set_active(client, connector, active, &e) < 0)
                return ctl_fail(&e, "Could not %s %s", active ? "enable" : "disable", connector);
        return active ? tell_inactive(ctl, connector) : 0;
}

static int enable_one(Ctl *ctl, Client *client, const char *connector)
{
        return set_active_one(ctl, client, connector, true);
}

static int disable_one(Ctl *ctl, Client *client, const char *connector)
{
        return set_active_one(ctl, client, connector, false);
}

int verb_set_active(Ctl *ctl, int argc, char **argv)
{
        return ctl_each(ctl, argc, argv, streq(argv[0], "enable") ? enable_one : disable_one);
}

int verb_reload(Ctl *ctl, int argc, char **argv)
{
        _cleanup_client_error_ ClientError e = {};
        Client *client;
        int status;

        status = ctl_client(ctl, &client);
        if (status != 0)
                return status;
        return client_reload(client, &e) < 0 ? ctl_fail(&e, "Could not reload") : 0;
}
