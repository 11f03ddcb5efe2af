/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A definition's life, and finding its files. What its assignments mean stands in connector-parse.c. */

#include "model/connector.h"

#include "base/string-util.h"
#include "model/connector-parse.h"
#include "model/definition.h"
#include "model/settings.h"

static const char *const overlap_policy_table[] = {
        [OVERLAP_SKIP] = "skip",
        [OVERLAP_QUEUE] = "queue",
};
DEFINE_STRING_TABLE(overlap_policy, OverlapPolicy, _OVERLAP_MAX);

static const char *const destination_type_table[] = {
        [DESTINATION_SQLITE] = "sqlite",
        [DESTINATION_EXEC] = "exec",
        [DESTINATION_WEBHOOK] = "webhook",
};
DEFINE_STRING_TABLE(destination_type, DestinationType, _DESTINATION_MAX);

static const char *const load_state_table[] = {
        [LOAD_LOADED] = "loaded",
        [LOAD_BAD_SETTING] = "bad-setting",
};
DEFINE_STRING_TABLE(load_state, LoadState, _LOAD_STATE_MAX);

static void definition_free(ConnectorDefinition *definition)
{
        free(definition->name);
        free(definition->load_error);
        conf_done(&definition->conf);
        free(definition->path);
        free(definition->description);
        free(definition->provider);
        free(definition->user_id);
        free(definition->connection);
        connector_clear_calendars(definition);
        strv_free(definition->exec_pull);
        connector_clear_transforms(definition);
        strv_free(definition->environment);
        free(definition->working_directory);
        free(definition->config_file);
        free(definition->destination_path);
        strv_free(definition->exec_store);
        free(definition->url);
        free(definition->secret_file);
        free(definition->header_prefix);
        free(definition->event_type);
        strv_free(definition->key_properties);
        free(definition);
}

ConnectorDefinition *connector_definition_ref(ConnectorDefinition *definition)
{
        definition->n_ref++;
        return definition;
}

ConnectorDefinition *connector_definition_unref(ConnectorDefinition *definition)
{
        if (definition && --definition->n_ref == 0)
                definition_free(definition);
        return NULL;
}

bool connector_definition_equal(const ConnectorDefinition *a, const ConnectorDefinition *b)
{
        if (!streq(a->name, b->name) || a->load_state != b->load_state || !conf_equal(&a->conf, &b->conf))
                return false;
        /* What is said about a file: where it is, and on which line it is wrong. */
        return !a->path || !b->path || (streq(a->path, b->path) && streq_null(a->load_error, b->load_error));
}

static int make(const char *name, Conf *conf, const char *path, Diagnostics *own, void *ret)
{
        return connector_definition_make(name, conf, path, own, ret);
}

static const DefinitionType connector_type = { ".connector", make };

int connector_definition_parse(const char *name, Conf *conf, const char *path, Diagnostics *d,
                               ConnectorDefinition **ret)
{
        return definition_parse(&connector_type, name, conf, path, d, ret);
}

int connector_definition_load(char *const *dirs, const char *name, Diagnostics *d, ConnectorDefinition **ret)
{
        return definition_load(&connector_type, dirs, name, d, ret);
}

int connector_dirs(char ***ret)
{
        return settings_dirs_below("connectors", ret);
}
