/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* API keys: all that hold are in memory, few as they are, so that a check touches no disk. What is not committed yet
 * does not hold, and what is being revoked holds until the commit. */

#include "engine/engine.h"

typedef struct ApiKeyRequest {
        const char *name;
        unsigned scopes;
        const char *user_id; /* NULL: all users */
        const char *requested_by;
} ApiKeyRequest;

/* @key: the text, the only time that it is seen; borrowed, and wiped when the callback returns. */
typedef void (*EngineApiKeyReply)(int error, const ApiKeyText *key, void *userdata);

/* Refusals: -EINVAL (name, scopes or user), -EEXIST (the name), -E2BIG (API_KEYS_MAX), -EROFS, -ENOBUFS, -ENOMEM. */
int engine_add_api_key(Engine *engine, const ApiKeyRequest *request, EngineApiKeyReply reply,
                       void *userdata) _must_check_;

/* Observer.api_key_revoked() comes before the reply. Refusals: -ENOKEY, -EROFS, -ENOBUFS, -ENOMEM. */
int engine_revoke_api_key(Engine *engine, const char *name, const char *requested_by, EngineReply reply,
                          void *userdata) _must_check_;

/**
 * engine_check_api_key() - the key of a hash, which is noted as used now
 * @ret: borrowed until the next turn of the loop
 *
 * Takes as long whichever key it is, or none. Return: 0; -ENOKEY.
 */
int engine_check_api_key(Engine *engine, const uint8_t hash[static SHA256_SIZE], const ApiKey **ret) _must_check_;

bool engine_has_api_key(const Engine *engine, const char *name);

typedef struct ApiKeyFilter {
        const char *name;    /* NULL: any */
        const char *user_id; /* NULL: any */
} ApiKeyFilter;

/* {"keys":[...]}, by name; neither keys nor hashes. @ret_json is freed by the caller. Return: 0; -ENOMEM. */
int engine_describe_api_keys(Engine *engine, const ApiKeyFilter *filter, char **ret_json) _must_check_;

/* ---- For engine.c and reconcile.c */

/* Memory anew from the disk; keys that are gone are told of. Return: 0; negative errno of reading. */
int api_keys_read(Engine *engine) _must_check_;
void api_keys_done(Engine *engine);
