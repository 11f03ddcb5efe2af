/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* API keys. The text of a key leaves in one reply and is wiped behind it; nothing here repeats what a caller sent in
 * place of a hash. */

#include "bus/manager-keys.h"

#include "base/log.h"
#include "base/string-util.h"
#include "base/uuid.h"
#include "bus/access.h"
#include "bus/bus-error.h"
#include "bus/bus-private.h"
#include "bus/option.h"
#include "bus/shim.h"
#include "engine/api-keys.h"

/* ---- Add */

typedef struct AddRequest {
        char **scopes;
        const char *user;
} AddRequest;

static void add_request_done(AddRequest *request)
{
        strv_free(request->scopes);
}

static const OptionRow add_options[] = {
        { "scopes", OPTION_STRV, offsetof(AddRequest, scopes) },
        { "user", OPTION_STRING, offsetof(AddRequest, user) },
        { 0 },
};

static int send_key(sd_bus_message *m, const ApiKeyText *key)
{
        sd_bus_message *reply = NULL;
        int r;

        r = sd_bus_message_new_method_return(m, &reply);
        if (r >= 0)
                r = sd_bus_message_sensitive(reply);
        if (r >= 0)
                r = sd_bus_message_append(reply, "s", key->text);
        if (r >= 0)
                r = sd_bus_send(NULL, reply, NULL);
        sd_bus_message_unref(reply);
        return r;
}

static void add_reply(int error, const ApiKeyText *key, void *userdata)
{
        Pending *pending = userdata;

        if (error >= 0)
                error = send_key(pending->message, key);
        if (error < 0)
                pending_refuse(pending, error);
        else
                pending_free(pending);
}

static int add_request_check(const AddRequest *request, const char *name, unsigned *ret_scopes, sd_bus_error *error)
{
        const char *unknown;

        if (!api_key_name_is_valid(name))
                return bus_refuse_text(error, -EINVAL,
                                       "name: 1 to %u letters, digits and '._-@', a letter or digit first, and not "
                                       "'" API_KEY_PREFIX "'.",
                                       API_KEY_NAME_MAX);
        if (api_scopes_from_words(request->scopes, &unknown, ret_scopes) < 0)
                return bus_refuse_text(error, -EINVAL,
                                       unknown ? "scopes: there is no '%s', but sync:read, sync:write and sync:admin."
                                               : "scopes: at least one of sync:read, sync:write and sync:admin%s.",
                                       strempty(unknown));
        if (request->user && !uuid_is_valid(request->user))
                return bus_refuse_text(error, -EINVAL, "user: '%s' is not a UUID.", request->user);
        return 0;
}

static int add_granted(Bus *bus, sd_bus_message *m, const Caller *caller, sd_bus_error *error)
{
        _cleanup_(add_request_done) AddRequest request = { 0 };
        _cleanup_(pending_freep) Pending *pending = NULL;
        char requested_by[REQUESTED_BY_MAX];
        const char *name;
        unsigned scopes;
        int r;

        r = sd_bus_message_read(m, "s", &name);
        if (r < 0)
                return bus_refuse(error, r);
        r = options_read(m, add_options, &request, NULL, error);
        if (r >= 0)
                r = add_request_check(&request, name, &scopes, error);
        if (r >= 0)
                r = requested_by_read(bus, caller->uid, NULL, requested_by, error);
        if (r < 0)
                return r;
        r = pending_new(bus, m, &pending);
        if (r >= 0)
                r = engine_add_api_key(bus->engine,
                                       &(ApiKeyRequest) { .name = name,
                                                         .scopes = scopes,
                                                         .user_id = request.user,
                                                         .requested_by = requested_by },
                                       add_reply, pending);
        if (r == -E2BIG)
                return bus_refuse_text(error, r, "There are %u API keys already: revoke one.", API_KEYS_MAX);
        if (r == -EEXIST)
                return bus_refuse_text(error, r, "There is an API key '%s' already.", name);
        if (r < 0)
                return bus_refuse(error, r);
        TAKE_PTR(pending);
        return 1;
}

int method_add_api_key(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        AccessSubject subject = { 0 };

        return access_ask(userdata, m, &subject, add_granted, error);
}

/* ---- Describe */

static const OptionRow filter_options[] = {
        { "name", OPTION_STRING, offsetof(ApiKeyFilter, name) },
        { "user", OPTION_STRING, offsetof(ApiKeyFilter, user_id) },
        { 0 },
};

static int describe_granted(Bus *bus, sd_bus_message *m, const Caller *caller, sd_bus_error *error)
{
        ApiKeyFilter filter = { 0 };
        char user[UUID_TEXT_MAX];
        char *json = NULL;
        int r;

        r = options_read(m, filter_options, &filter, NULL, error);
        if (r < 0)
                return r;
        if (filter.user_id) {
                if (uuid_normalize(filter.user_id, user) < 0)
                        return bus_refuse_text(error, -EINVAL, "user: '%s' is not a UUID.", filter.user_id);
                filter.user_id = user;
        }
        r = engine_describe_api_keys(bus->engine, &filter, &json);
        return reply_json(m, r, json, error);
}

int method_describe_api_keys(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        AccessSubject subject = { 0 };

        return access_ask(userdata, m, &subject, describe_granted, error);
}

/* ---- Revoke */

static int revoke_granted(Bus *bus, sd_bus_message *m, const Caller *caller, sd_bus_error *error)
{
        _cleanup_(pending_freep) Pending *pending = NULL;
        char requested_by[REQUESTED_BY_MAX];
        const char *name;
        int r;

        r = requested_by_read(bus, caller->uid, NULL, requested_by, error);
        if (r < 0)
                return r;
        r = sd_bus_message_read(m, "s", &name);
        if (r >= 0)
                r = pending_new(bus, m, &pending);
        if (r >= 0)
                r = engine_revoke_api_key(bus->engine, name, requested_by, pending_reply, pending);
        if (r < 0)
                return bus_refuse(error, r);
        TAKE_PTR(pending);
        return 1;
}

int method_revoke_api_key(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        AccessSubject subject = { 0 };

        return access_ask(userdata, m, &subject, revoke_granted, error);
}

/* ---- Check */

static int send_checked(sd_bus_message *m, const ApiKey *key)
{
        const char *words[_API_SCOPE_MAX + 1];
        sd_bus_message *reply = NULL;
        int r;

        api_scopes_to_words(key->scopes, words);
        r = sd_bus_message_new_method_return(m, &reply);
        if (r >= 0)
                r = sd_bus_message_append(reply, "s", key->name);
        if (r >= 0)
                r = sd_bus_message_append_strv(reply, (char **) words);
        if (r >= 0)
                r = sd_bus_message_append(reply, "s", strempty(key->user_id));
        if (r >= 0)
                r = sd_bus_send(NULL, reply, NULL);
        sd_bus_message_unref(reply);
        return r;
}

static int check_granted(Bus *bus, sd_bus_message *m, const Caller *caller, sd_bus_error *error)
{
        uint8_t hash[SHA256_SIZE];
        const ApiKey *key;
        const char *hex;
        int r;

        r = sd_bus_message_read(m, "s", &hex);
        if (r < 0)
                return bus_refuse(error, r);
        if (hex_decode(hex, sizeof(hash), hash) < 0)
                return bus_refuse_text(error, -EINVAL, "sha256: %zu lower-case hexadecimal digits.", 2 * sizeof(hash));
        r = engine_check_api_key(bus->engine, hash, &key);
        if (r >= 0)
                r = send_checked(m, key);
        return r < 0 ? bus_refuse(error, r) : 1;
}

int method_check_api_key(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        AccessSubject subject = { 0 };

        return access_ask(userdata, m, &subject, check_granted, error);
}
