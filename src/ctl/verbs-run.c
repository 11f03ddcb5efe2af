/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Verbs that change something. Each goes through all of its words: what fails for one keeps none of the others back,
 * and the exit status is the highest. */

#include <stdio.h>
#include <stdlib.h>

#include "base/string-util.h"
#include "ctl/ctl.h"
#include "ctl/progress.h"

static int print_started(const Ctl *ctl, const char *connector, const ClientStarted *started)
{
        _cleanup_json_ struct json_object *object = json_object_new_object();

        if (!object || json_add(object, "connector", json_object_new_string(connector)) < 0 ||
            json_add(object, "run_id", json_object_new_string(started->run_id)) < 0 ||
            json_add(object, "already_active", json_object_new_boolean(started->already_active)) < 0 ||
            json_add(object, "full_resync", json_object_new_boolean(started->full_resync)) < 0 ||
            json_add(object, "full_resync_pending", json_object_new_boolean(started->full_resync_pending)) < 0 ||
            json_add(object, "full_resync_owed", json_object_new_boolean(started->full_resync_owed)) < 0)
                return ctl_oom();
        ctl_print_json(ctl, object);
        return 0;
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
        options[0] = (ClientOption) { "full_resync", 'b', .b = option_given(o, OPTION_FULL) };
        options[1] = (ClientOption) { "reason", 's', .s = o->reason };
        options[2] = (ClientOption) { "accounts", 'a', .as = accounts };
        if (client_start_run(client, connector, options, ELEMENTSOF(options), &started, &e) < 0)
                return ctl_fail(&e, "Could not start %s", connector);
        if (started.full_resync_pending && !o->quiet)
                (void) fprintf(stderr,
                               "%s is running already (%s). The full resync is remembered and becomes its next run.\n",
                               connector, started.run_id);
        else if (started.already_active && !o->quiet)
                (void) fprintf(stderr, "%s is running already.\n", connector);
        if (started.full_resync_owed && !o->quiet)
                (void) fprintf(stderr, "A full resync of %s is still owed. See 'syncrunctl status %s'.\n", connector,
                               connector);
        if (progress)
                return progress_add(progress, connector, started.run_id, started.full_resync_pending) < 0 ? ctl_oom()
                                                                                                          : 0;
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

/* The id of the run that a word names, freed by the caller: a connector's active run, or the word itself. */
static int find_run(Ctl *ctl, const char *word, char **ret)
{
        _cleanup_json_ struct json_object *connector = NULL;
        struct json_object *run;
        int status;

        if (connector_name_is_valid(word)) {
                status = ctl_ask_connector(ctl, word, &connector);
                if (status != 0)
                        return status;
        }
        run = json_member(connector, "active_run");
        if (connector && !run)
                return ctl_fail_status(EXIT_WRONG_STATE, "%s has no active run.", word);
        *ret = strdup(run ? json_text(run, "id") : word);
        return *ret ? 0 : ctl_oom();
}

static int cancel_one(Ctl *ctl, Client *client, const char *word)
{
        _cleanup_client_error_ ClientError e = {};
        _cleanup_free_ char *id = NULL;
        int status;

        status = find_run(ctl, word, &id);
        if (status != 0)
                return status;
        if (client_cancel_run(client, id, &e) >= 0)
                return 0;
        return e.error == -ESRCH ? ctl_no_such(word) : ctl_fail(&e, "Could not cancel %s", word);
}

int verb_cancel(Ctl *ctl, int argc, char **argv)
{
        int status, worst;
        Client *client;

        worst = ctl_client(ctl, &client);
        if (worst != 0)
                return worst;
        for (int i = 1; i < argc; i++) {
                status = cancel_one(ctl, client, argv[i]);
                worst = MAX(worst, status);
        }
        return worst;
}

int verb_set_active(Ctl *ctl, int argc, char **argv)
{
        bool active = streq(argv[0], "enable");
        int status, worst;
        Client *client;

        worst = ctl_client(ctl, &client);
        if (worst != 0)
                return worst;
        for (int i = 1; i < argc; i++) {
                _cleanup_client_error_ ClientError e = {};

                if (client_set_active(client, argv[i], active, &e) >= 0)
                        continue;
                status = ctl_fail(&e, "Could not %s %s", argv[0], argv[i]);
                worst = MAX(worst, status);
        }
        return worst;
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
