/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Verbs about API keys: key add, key list, key revoke. */

#include <stdio.h>

#include "base/string-util.h"
#include "base/time-util.h"
#include "ctl/ctl.h"

static int print_key(const Ctl *ctl, const char *name, const ApiKeyText *key)
{
        _cleanup_json_ struct json_object *object = NULL;

        if (ctl->options.json == JSON_OFF) {
                (void) puts(key->text);
                return 0;
        }
        object = json_object_new_object();
        if (!object || json_add(object, "name", json_object_new_string(name)) < 0 ||
            json_add(object, "key", json_object_new_string(key->text)) < 0)
                return ctl_oom();
        ctl_print_json(ctl, object);
        return 0;
}

int verb_key_add(Ctl *ctl, int argc, char **argv)
{
        _cleanup_client_error_ ClientError e = {};
        _cleanup_api_key_text_ ApiKeyText key = {};
        _cleanup_strv_free_ char **scopes = NULL;
        ClientOption options[2];
        Client *client;
        int status;

        if (!option_given(&ctl->options, OPTION_SCOPE))
                return ctl_usage_error(
                                "What is the key good for? Add --scope=sync:read, sync:write or sync:admin, with "
                                "commas between several.");
        if (strv_split(ctl->options.scope, ",", &scopes) < 0)
                return ctl_oom();
        status = ctl_client(ctl, &client);
        if (status != 0)
                return status;
        options[0] = (ClientOption) { "scopes", 'a', .as = scopes };
        options[1] = (ClientOption) { "user", 's', .s = ctl->options.user };
        if (client_add_api_key(client, argv[1], options, ELEMENTSOF(options), &key, &e) < 0)
                return ctl_fail(&e, "Could not make key %s", argv[1]);
        status = print_key(ctl, argv[1], &key);
        if (status == 0 && !ctl->options.quiet)
                (void) fprintf(stderr,
                               "This is the only time that the key is shown: put it where it is safe. Clients send it "
                               "as "
                               "\"X-API-Key: KEY\" or \"Authorization: Bearer KEY\"; 'syncrunctl key revoke %s' ends "
                               "it.\n",
                               argv[1]);
        return status;
}

static char *scope_list(struct json_object *key)
{
        _cleanup_strv_free_ char **words = NULL;
        struct json_object *word;

        for (size_t i = 0; (word = json_element(key, "scopes", i)); i++)
                if (strv_extend(&words, json_object_get_string(word)) < 0)
                        return NULL;
        return strv_join(words, ",");
}

int verb_key_list(Ctl *ctl, int argc, char **argv)
{
        static const char *const titles[] = { "KEY", "SCOPES", "USER", "CREATED", "BY", "LAST USED", NULL };
        const ClientOption filter[] = { { "user", 's', .s = ctl->options.user } };
        _cleanup_json_ struct json_object *answer = NULL;
        _cleanup_(table_freep) Table *table = NULL;
        struct json_object *key;
        int status;

        status = ctl_describe(ctl, "DescribeApiKeys", filter, ELEMENTSOF(filter), &answer);
        if (status != 0 || !answer)
                return status;
        table = table_new(titles);
        if (!table)
                return ctl_oom();
        for (size_t i = 0; (key = json_element(answer, "keys", i)); i++) {
                char created[TIMESPAN_TEXT_MAX], used[TIMESPAN_TEXT_MAX];
                _cleanup_free_ char *scopes = scope_list(key);

                if (!scopes)
                        return ctl_oom();
                table_add(table, COLOUR_BOLD, json_text(key, "name"));
                table_add(table, COLOUR_NORMAL, scopes);
                table_add(table, COLOUR_NORMAL, json_text(key, "user_id"));
                table_add(table, COLOUR_NORMAL, relative_text(created, json_time(key, "created_at")));
                table_add(table, COLOUR_NORMAL, json_text(key, "created_by"));
                table_add(table, COLOUR_NORMAL, relative_text(used, json_time(key, "last_used_at")));
        }
        if (table_print(table, ctl->options.legend) < 0)
                return ctl_oom();
        if (table_rows(table) == 0)
                ctl_hint(ctl, "No keys. 'syncrunctl key add NAME --scope=sync:read' makes one.");
        return 0;
}

static int revoke_one(Ctl *ctl, Client *client, const char *name)
{
        _cleanup_client_error_ ClientError e = {};

        return client_revoke_api_key(client, name, &e) >= 0 ? 0 : ctl_fail(&e, "Could not revoke key %s", name);
}

int verb_key_revoke(Ctl *ctl, int argc, char **argv)
{
        return ctl_each(ctl, argc, argv, revoke_one);
}
