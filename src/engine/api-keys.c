/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "engine/api-keys.h"

#include <stdlib.h>

#include "base/json-writer.h"
#include "base/log.h"
#include "base/uuid.h"
#include "engine/publication.h"
#include "engine/run-log.h"

struct ApiKeyEntry {
        ApiKey key;
        bool committed;
        bool revoking;
        struct ApiKeyEntry *prev, *next;
};

static ApiKeyEntry *entry_free(ApiKeyEntry *entry)
{
        if (!entry)
                return NULL;
        api_key_done(&entry->key);
        free(entry);
        return NULL;
}
DEFINE_TRIVIAL_CLEANUP_FUNC(ApiKeyEntry *, entry_free);

static ApiKeyEntry *find(const Engine *engine, const char *name)
{
        ApiKeyEntry *entry;

        DL_FOREACH(engine->api_keys, entry)
                if (streq(entry->key.name, name))
                        return entry;
        return NULL;
}

static int compare_names(const ApiKeyEntry *a, const ApiKeyEntry *b)
{
        return strcmp(a->key.name, b->key.name);
}

static void insert(Engine *engine, ApiKeyEntry *entry)
{
        DL_INSERT_INORDER(engine->api_keys, entry, compare_names);
        engine->n_api_keys++;
}

static void forget(Engine *engine, ApiKeyEntry *entry)
{
        DL_DELETE(engine->api_keys, entry);
        engine->n_api_keys--;
        entry_free(entry);
}

static void tell_revoked(Engine *engine, const char *name)
{
        if (engine->observer.api_key_revoked)
                engine->observer.api_key_revoked(name, engine->observer.userdata);
}

/* ---- Add */

typedef struct AddPublication {
        Publication publication;
        EngineApiKeyReply reply;
        void *userdata;
        char *name;
        ApiKeyText text;
} AddPublication;

static AddPublication *add_publication_free(AddPublication *p)
{
        if (!p)
                return NULL;
        api_key_text_erase(&p->text);
        free(p->name);
        free(p);
        return NULL;
}
DEFINE_TRIVIAL_CLEANUP_FUNC(AddPublication *, add_publication_free);

static void on_add_publication(Engine *engine, Publication *publication, int error)
{
        _cleanup_(add_publication_freep) AddPublication *p = container_of(publication, AddPublication, publication);
        ApiKeyEntry *entry = error < 0 ? NULL : find(engine, p->name);

        engine->n_replies--;
        if (entry) {
                entry->committed = true;
                api_key_log(&entry->key, entry->key.created_by, true);
        }
        p->reply(error, error < 0 ? NULL : &p->text, p->userdata);
}

static int entry_new(Engine *engine, const ApiKeyRequest *request, const ApiKeyText *text, ApiKeyEntry **ret)
{
        _cleanup_(entry_freep) ApiKeyEntry *entry = calloc(1, sizeof(ApiKeyEntry));
        char user_id[UUID_TEXT_MAX];
        int r;

        if (!entry)
                return -ENOMEM;
        if (request->user_id) {
                r = uuid_normalize(request->user_id, user_id);
                if (r < 0)
                        return r;
        }
        r = api_key_copy(&(ApiKey) { .name = (char *) request->name,
                                    .scopes = request->scopes,
                                    .user_id = request->user_id ? user_id : NULL,
                                    .created_by = (char *) request->requested_by,
                                    .created_usec = engine_now(engine, CLOCK_REALTIME) },
                         &entry->key);
        if (r >= 0)
                r = api_key_hash(text->text, entry->key.hash);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(entry);
        return 0;
}

int engine_add_api_key(Engine *engine, const ApiKeyRequest *request, EngineApiKeyReply reply, void *userdata)
{
        _cleanup_(add_publication_freep) AddPublication *p = NULL;
        _cleanup_(entry_freep) ApiKeyEntry *entry = NULL;
        int r;

        if (!api_key_name_is_valid(request->name) || request->scopes == 0)
                return -EINVAL;
        if (find(engine, request->name))
                return -EEXIST;
        if (engine->n_api_keys >= API_KEYS_MAX)
                return -E2BIG;
        r = engine_accepts(engine);
        if (r < 0)
                return r;
        p = calloc(1, sizeof(AddPublication));
        if (!p || !(p->name = strdup(request->name)))
                return -ENOMEM;
        r = api_key_text_new(&p->text);
        if (r >= 0)
                r = entry_new(engine, request, &p->text, &entry);
        if (r >= 0)
                r = store_put_api_key(engine->store, &entry->key);
        if (r < 0)
                return r;
        insert(engine, TAKE_PTR(entry));
        p->reply = reply;
        p->userdata = userdata;
        engine->n_replies++;
        publication_queue(engine, &TAKE_PTR(p)->publication, on_add_publication);
        return 0;
}

/* ---- Revoke */

typedef struct RevokePublication {
        Publication publication;
        EngineReply reply;
        void *userdata;
        char *name;
        char *requested_by;
} RevokePublication;

static RevokePublication *revoke_publication_free(RevokePublication *p)
{
        if (!p)
                return NULL;
        free(p->name);
        free(p->requested_by);
        free(p);
        return NULL;
}
DEFINE_TRIVIAL_CLEANUP_FUNC(RevokePublication *, revoke_publication_free);

static void on_revoke_publication(Engine *engine, Publication *publication, int error)
{
        _cleanup_(revoke_publication_freep) RevokePublication *p =
                        container_of(publication, RevokePublication, publication);
        ApiKeyEntry *entry = error < 0 ? NULL : find(engine, p->name);

        engine->n_replies--;
        /* Another call for the same key may have been first, and the name given anew. */
        if (entry && entry->revoking) {
                api_key_log(&entry->key, p->requested_by, false);
                forget(engine, entry);
                tell_revoked(engine, p->name);
        }
        p->reply(error, p->userdata);
}

int engine_revoke_api_key(Engine *engine, const char *name, const char *requested_by, EngineReply reply,
                          void *userdata)
{
        _cleanup_(revoke_publication_freep) RevokePublication *p = NULL;
        ApiKeyEntry *entry = find(engine, name);
        int r;

        if (!entry || !entry->committed)
                return -ENOKEY;
        r = engine_accepts(engine);
        if (r < 0)
                return r;
        p = calloc(1, sizeof(RevokePublication));
        if (!p || !(p->name = strdup(name)) || !(p->requested_by = strdup(requested_by)))
                return -ENOMEM;
        if (!entry->revoking) {
                r = store_delete_api_key(engine->store, name);
                if (r < 0)
                        return r;
                entry->revoking = true;
        }
        p->reply = reply;
        p->userdata = userdata;
        engine->n_replies++;
        publication_queue(engine, &TAKE_PTR(p)->publication, on_revoke_publication);
        return 0;
}

/* ---- Check */

static void note_use(Engine *engine, ApiKey *key)
{
        usec_t now = engine_now(engine, CLOCK_REALTIME);
        int r;

        /* A clock that was set back is followed. */
        if (now >= key->last_used_usec && now - key->last_used_usec < API_KEY_NOTE_USEC)
                return;
        r = engine_accepts(engine);
        if (r >= 0)
                r = store_put_api_key_use(engine->store, key->name, now);
        if (r < 0)
                (void) log_debug_errno(r, "The use of key %s is not recorded: %m", key->name);
        else
                key->last_used_usec = now;
}

int engine_check_api_key(Engine *engine, const uint8_t hash[static SHA256_SIZE], const ApiKey **ret)
{
        ApiKeyEntry *entry, *found = NULL;

        DL_FOREACH(engine->api_keys, entry)
                if (secrets_equal(entry->key.hash, hash, SHA256_SIZE))
                        found = entry;
        if (!found || !found->committed)
                return -ENOKEY;
        note_use(engine, &found->key);
        *ret = &found->key;
        return 0;
}

bool engine_has_api_key(const Engine *engine, const char *name)
{
        const ApiKeyEntry *entry = find(engine, name);

        return entry && entry->committed;
}

/* ---- Describe */

static void write_key(JsonWriter *w, const ApiKey *key)
{
        const char *words[_API_SCOPE_MAX + 1];

        api_scopes_to_words(key->scopes, words);
        json_open_object(w, NULL);
        json_write_string(w, "name", key->name);
        json_open_array(w, "scopes");
        for (size_t i = 0; words[i]; i++)
                json_write_string(w, NULL, words[i]);
        json_close_array(w);
        json_write_string(w, "user_id", key->user_id);
        json_write_timestamp(w, "created_at", key->created_usec);
        json_write_string(w, "created_by", key->created_by);
        json_write_timestamp(w, "last_used_at", key->last_used_usec);
        json_close_object(w);
}

int engine_describe_api_keys(Engine *engine, const ApiKeyFilter *filter, char **ret_json)
{
        _cleanup_buffer_ Buffer buffer = {};
        JsonWriter w = JSON_WRITER_INIT(&buffer);
        const ApiKeyEntry *entry;

        json_open_object(&w, NULL);
        json_open_array(&w, "keys");
        DL_FOREACH(engine->api_keys, entry) {
                if (!entry->committed || (filter->name && !streq(filter->name, entry->key.name)) ||
                    (filter->user_id && !streq_null(filter->user_id, entry->key.user_id)))
                        continue;
                write_key(&w, &entry->key);
        }
        json_close_array(&w);
        json_close_object(&w);
        return buffer_take(&buffer, ret_json);
}

/* ---- Memory and disk */

void api_keys_done(Engine *engine)
{
        while (engine->api_keys)
                forget(engine, engine->api_keys);
}

int api_keys_read(Engine *engine)
{
        ApiKeyEntry *before = engine->api_keys, *entry, *next;
        ApiKey *keys = NULL;
        size_t n = 0;
        int r;

        r = store_load_api_keys(engine->store, &keys, &n);
        if (r < 0)
                return r;
        engine->api_keys = NULL;
        engine->n_api_keys = 0;
        for (size_t i = 0; r >= 0 && i < n; i++) {
                entry = calloc(1, sizeof(ApiKeyEntry));
                if (!entry) {
                        r = -ENOMEM;
                        break;
                }
                entry->key = keys[i];
                keys[i] = (ApiKey) {};
                entry->committed = true;
                insert(engine, entry);
        }
        api_keys_free(keys, n);
        if (r < 0) {
                api_keys_done(engine);
                engine->api_keys = before;
                DL_COUNT(engine->api_keys, entry, engine->n_api_keys);
                return r;
        }
        /* A commit that failed may have reached the disk all the same. */
        DL_FOREACH_SAFE(before, entry, next) {
                const ApiKeyEntry *now = find(engine, entry->key.name);

                if (entry->committed && (!now || !secrets_equal(now->key.hash, entry->key.hash, SHA256_SIZE)))
                        tell_revoked(engine, entry->key.name);
                DL_DELETE(before, entry);
                entry_free(entry);
        }
        return 0;
}
