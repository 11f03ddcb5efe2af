/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* See stream.h. */

#include <stdlib.h>

/* A failed insertion is noticed by the item's missing table. */
#define uthash_nonfatal_oom(item) ((item)->hh.tbl = NULL)

#include "base/json-util.h"
#include "base/string-util.h"
#include "worker/json-canonical.h"
#include "worker/stream.h"

static const char *const key_source_table[_KEY_SOURCE_MAX] = {
        [KEY_SOURCE_CONTENT] = "content",
        [KEY_SOURCE_CATALOG] = "catalog",
        [KEY_SOURCE_SCHEMA] = "schema",
        [KEY_SOURCE_SETTING] = "setting",
};
DEFINE_STRING_TABLE(key_source, KeySource, _KEY_SOURCE_MAX);

static void free_fields(char ***fields, size_t n)
{
        for (size_t i = 0; i < n; i++)
                strv_free(fields[i]);
        free(fields);
}

static Stream *stream_free(Stream *stream)
{
        if (!stream)
                return NULL;
        free_fields(stream->key_fields, stream->n_key_fields);
        free(stream->name);
        free(stream);
        return NULL;
}

int streams_init(Streams *streams, char *const *settings)
{
        *streams = (Streams){
                .settings = settings,
                .sha256 = EVP_MD_fetch(NULL, "SHA256", NULL),
                .digest = EVP_MD_CTX_new(),
        };
        if (streams->sha256 && streams->digest)
                return 0;
        streams_done(streams);
        return -ENOMEM;
}

void streams_done(Streams *streams)
{
        Stream *stream, *next;

        HASH_ITER(hh, streams->by_name, stream, next) {
                HASH_DEL(streams->by_name, stream);
                stream_free(stream);
        }
        EVP_MD_free(streams->sha256);
        EVP_MD_CTX_free(streams->digest);
        buffer_done(&streams->last_raw);
        buffer_done(&streams->scratch);
        *streams = (Streams){};
}

/* Takes the fields over. */
static void replace_keys(Stream *stream, KeySource source, char ***fields, size_t n)
{
        free_fields(stream->key_fields, stream->n_key_fields);
        stream->key_fields = fields;
        stream->n_key_fields = n;
        stream->key_source = source;
}

static int set_keys_by_setting(Stream *stream, char *const *settings)
{
        STRV_FOREACH(setting, settings) {
                size_t size = strlen(stream->name);
                _cleanup_strv_free_ char **names = NULL;
                char ***fields;
                size_t n;
                int r;

                if (strncmp(*setting, stream->name, size) != 0 || (*setting)[size] != ':')
                        continue;
                r = strv_split(*setting + size + 1, ", ", &names);
                if (r < 0)
                        return r;
                n = strv_length(names);
                fields = calloc(MAX(n, (size_t) 1), sizeof(*fields));
                if (!fields)
                        return -ENOMEM;
                for (size_t i = 0; i < n; i++) {
                        r = strv_extend(&fields[i], names[i]);
                        if (r < 0) {
                                free_fields(fields, n);
                                return r;
                        }
                }
                replace_keys(stream, n > 0 ? KEY_SOURCE_SETTING : KEY_SOURCE_CONTENT, fields, n);
        }
        return 0;
}

static int stream_new(Streams *streams, const char *name, Stream **ret)
{
        Stream *stream;
        int r;

        if (HASH_COUNT(streams->by_name) >= STREAMS_MAX)
                return -E2BIG;
        stream = calloc(1, sizeof(*stream));
        if (!stream)
                return -ENOMEM;
        stream->estimate = COUNT_UNKNOWN;
        stream->name = strdup(name);
        r = stream->name ? set_keys_by_setting(stream, streams->settings) : -ENOMEM;
        if (r >= 0) {
                HASH_ADD_KEYPTR(hh, streams->by_name, stream->name, strlen(stream->name), stream);
                if (!stream->hh.tbl)
                        r = -ENOMEM;
        }
        if (r < 0) {
                stream_free(stream);
                return r;
        }
        *ret = stream;
        return 0;
}

/* Appends the text of a string slice; one that is empty adds nothing. */
static int append_decoded(Buffer *out, JsonSlice string)
{
        int r = buffer_reserve(out, string.size + 1);

        if (r >= 0 && string.size > 0)
                out->size += json_string_decode(string, out->data + out->size);
        return r;
}

static bool raw_is(const Buffer *raw, JsonSlice name, JsonSlice namespace_)
{
        return raw->size == name.size + namespace_.size && memcmp(raw->data, name.data, name.size) == 0 &&
               (namespace_.size == 0 || memcmp(raw->data + name.size, namespace_.data, namespace_.size) == 0);
}

int streams_get(Streams *streams, JsonSlice name, JsonSlice namespace_, Stream **ret)
{
        Buffer *text = &streams->scratch;
        Stream *stream = NULL;
        int r;

        /* both slices have quotes, so that the bytes side by side are never ambiguous */
        if (_likely_(streams->last && raw_is(&streams->last_raw, name, namespace_))) {
                *ret = streams->last;
                return 0;
        }
        if (name.size + namespace_.size > 6 * STREAM_NAME_MAX) /* all escapes */
                return -E2BIG;

        buffer_reset(text);
        if (namespace_.size > 2) {
                r = append_decoded(text, namespace_);
                if (r < 0)
                        return r;
                buffer_append_char(text, '.');
        }
        r = append_decoded(text, name);
        if (r < 0)
                return r;
        if (text->failed)
                return -ENOMEM;
        if (text->size > STREAM_NAME_MAX || strlen(text->data) != text->size)
                return -E2BIG;

        HASH_FIND(hh, streams->by_name, text->data, text->size, stream);
        if (!stream) {
                r = stream_new(streams, text->data, &stream);
                if (r < 0)
                        return r;
        }
        buffer_reset(&streams->last_raw);
        buffer_append(&streams->last_raw, name.data, name.size);
        if (namespace_.size > 0)
                buffer_append(&streams->last_raw, namespace_.data, namespace_.size);
        streams->last = streams->last_raw.failed ? NULL : stream;
        *ret = stream;
        return 0;
}

/* One key field: a name, or the list of names that lead to it. Return: 0; -EBADMSG; -ENOMEM. */
static int read_path(struct json_object *field, char ***ret)
{
        _cleanup_strv_free_ char **path = NULL;
        int r;

        if (json_object_is_type(field, json_type_string)) {
                r = strv_extend(&path, json_object_get_string(field));
                if (r < 0)
                        return r;
        } else if (json_object_is_type(field, json_type_array))
                for (size_t i = 0; i < json_object_array_length(field); i++) {
                        struct json_object *name = json_object_array_get_idx(field, i);

                        if (!json_object_is_type(name, json_type_string))
                                return -EBADMSG;
                        r = strv_extend(&path, json_object_get_string(name));
                        if (r < 0)
                                return r;
                }
        if (!path)
                return -EBADMSG;
        *ret = TAKE_PTR(path);
        return 0;
}

static bool same_fields(const Stream *stream, char ***fields, size_t n)
{
        if (stream->n_key_fields != n)
                return false;
        for (size_t i = 0; i < n; i++) {
                if (strv_length(stream->key_fields[i]) != strv_length(fields[i]))
                        return false;
                for (size_t j = 0; fields[i][j]; j++)
                        if (!streq(stream->key_fields[i][j], fields[i][j]))
                                return false;
        }
        return true;
}

static int set_keys(Stream *stream, KeySource source, struct json_object *list)
{
        size_t n = json_object_array_length(list);
        char ***fields;

        if (stream->key_source > source)
                return 0;
        if (n > KEY_FIELDS_MAX)
                return -E2BIG;
        fields = calloc(n + 1, sizeof(*fields));
        if (!fields)
                return -ENOMEM;
        for (size_t i = 0; i < n; i++) {
                int r = read_path(json_object_array_get_idx(list, i), fields + i);

                if (r < 0) {
                        free_fields(fields, i);
                        return r;
                }
        }
        if (same_fields(stream, fields, n)) {
                free_fields(fields, n);
                return 0;
        }
        replace_keys(stream, n > 0 ? source : KEY_SOURCE_CONTENT, fields, n);
        return 1;
}

int stream_set_keys(Stream *stream, KeySource source, JsonSlice keys)
{
        _cleanup_json_ struct json_object *list = NULL;
        int r;

        r = json_parse(keys.data, keys.size, &list);
        if (r < 0)
                return r;
        if (!json_object_is_type(list, json_type_array))
                return -EBADMSG;
        return set_keys(stream, source, list);
}

/* Finds a stream by its plain text. */
static int get_by_text(Streams *streams, const char *name, const char *namespace_, Stream **ret)
{
        _cleanup_free_ char *full =
                        asprintf_or_null("%s%s%s", strempty(namespace_), isempty(namespace_) ? "" : ".", name);

        if (!full)
                return -ENOMEM;
        HASH_FIND_STR(streams->by_name, full, *ret);
        return *ret ? 0 : stream_new(streams, full, ret);
}

int streams_set_catalog(Streams *streams, JsonSlice catalog)
{
        _cleanup_json_ struct json_object *object = NULL;
        struct json_object *list, *keys;
        int r;

        if (json_parse(catalog.data, catalog.size, &object) < 0 || json_get_array(object, "streams", &list) <= 0)
                return 0;
        for (size_t i = 0; i < json_object_array_length(list); i++) {
                struct json_object *item = json_object_array_get_idx(list, i);
                const char *name, *namespace_ = NULL;
                Stream *stream = NULL;

                if (!json_object_is_type(item, json_type_object) || json_get_string(item, "name", &name) <= 0 ||
                    json_get_string(item, "namespace", &namespace_) < 0 ||
                    json_get_array(item, "source_defined_primary_key", &keys) <= 0)
                        continue;
                r = get_by_text(streams, name, namespace_, &stream);
                if (r >= 0)
                        r = set_keys(stream, KEY_SOURCE_CATALOG, keys);
                if (r == -ENOMEM)
                        return r;
        }
        return 0;
}

/* Return: 1 and the value; 0 if it is missing or null. */
static int find_field(char *const *path, const JsonIndex *index, uint32_t place, JsonSlice record, JsonSlice *ret)
{
        JsonKind kind = JSON_KIND_OBJECT;
        JsonSlice value = record;

        STRV_FOREACH(name, path) {
                int found = place != JSON_PARENT_NONE ? json_index_find(index, place, *name, &kind, &value, NULL)
                                                      : json_slice_find(value, *name, &kind, &value);

                if (!found)
                        return 0;
                place = JSON_PARENT_NONE;
        }
        *ret = value;
        return kind != JSON_KIND_NULL;
}

static int append_hash(Streams *streams, JsonSlice record, Buffer *out)
{
        unsigned char hash[EVP_MAX_MD_SIZE];
        unsigned size = 0;

        buffer_reset(&streams->scratch);
        json_canonical_append(&streams->scratch, record);
        if (streams->scratch.failed)
                return -ENOMEM;
        if (!EVP_DigestInit_ex2(streams->digest, streams->sha256, NULL) ||
            !EVP_DigestUpdate(streams->digest, streams->scratch.data, streams->scratch.size) ||
            !EVP_DigestFinal_ex(streams->digest, hash, &size))
                return -EIO;

        buffer_append_string(out, "sha256:");
        for (unsigned i = 0; i < size; i++) {
                static const char digits[] = "0123456789abcdef";

                buffer_append_char(out, digits[hash[i] >> 4]);
                buffer_append_char(out, digits[hash[i] & 15]);
        }
        return out->failed ? -ENOMEM : 0;
}

int stream_key(Streams *streams, const Stream *stream, const JsonIndex *index, uint32_t place, JsonSlice record,
               Buffer *out)
{
        JsonSlice value;
        bool any = false;

        buffer_reset(out);
        if (stream->n_key_fields == 0)
                return append_hash(streams, record, out);
        if (stream->n_key_fields == 1) {
                if (!find_field(stream->key_fields[0], index, place, record, &value))
                        return -ENODATA;
                json_key_append(out, value);
                return out->failed ? -ENOMEM : 0;
        }
        for (size_t i = 0; i < stream->n_key_fields; i++) {
                buffer_append_char(out, i == 0 ? '[' : ',');
                if (find_field(stream->key_fields[i], index, place, record, &value)) {
                        json_canonical_append(out, value);
                        any = true;
                } else
                        buffer_append_string(out, "null");
        }
        buffer_append_char(out, ']');
        if (!any)
                return -ENODATA;
        return out->failed ? -ENOMEM : 0;
}
