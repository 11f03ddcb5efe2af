/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The streams of a run: their names, what identifies a record in each, and that identity for a record. */

#include <openssl/evp.h>
#include <uthash.h>

#include "model/connector.h"
#include "worker/message.h"

#define STREAMS_MAX     10000U /* streams in a run; records of further ones are refused */
#define STREAM_NAME_MAX 512U   /* bytes of a name with its namespace; records of longer ones are refused */

/* Where the key comes from; a better source is never replaced by a lesser one. */
typedef enum KeySource {
        KEY_SOURCE_CONTENT, /* nobody names key fields: a hash of the record */
        KEY_SOURCE_CATALOG, /* Airbyte's source_defined_primary_key */
        KEY_SOURCE_SCHEMA,  /* Singer's key_properties */
        KEY_SOURCE_SETTING, /* KeyProperties= */
        _KEY_SOURCE_MAX,
        _KEY_SOURCE_INVALID = -EINVAL,
} KeySource;
DECLARE_STRING_TABLE(key_source, KeySource);

typedef struct Stream {
        char *name; /* "name", or "namespace.name" */
        KeySource key_source;
        char ***key_fields; /* n_key_fields paths of member names */
        size_t n_key_fields;
        int64_t id;           /* the destination's own, 0 until it knows the stream */
        int64_t keyed_from;   /* likewise: items from this id on have keys of these fields */
        unsigned n_new;       /* records in a row that the destination did not know */
        uint64_t estimate;    /* rows, COUNT_UNKNOWN */
        bool misses_items;    /* a bad line was, or may have been, an item of it */
        bool kept_versions;   /* for that reason, which was said */
        bool incomplete;      /* STREAM_STATUS INCOMPLETE was its last word */
        usec_t retry_at_usec; /* STREAM_STATUS with RATE_LIMITED, and no COMPLETE since; 0 */
        UT_hash_handle hh;
} Stream;

typedef struct Streams {
        Stream *by_name;
        Stream *last; /* found last, by these very bytes */
        Buffer last_raw;
        Buffer scratch;
        char *const *settings; /* KeyProperties=, borrowed */
        EVP_MD *sha256;
        EVP_MD_CTX *digest;
} Streams;

/**
 * streams_init() - no streams yet
 * @settings: "stream:field,field" each, checked; borrowed
 *
 * Return: 0; -ENOMEM.
 */
int streams_init(Streams *streams, char *const *settings) _must_check_;
void streams_done(Streams *streams);

/**
 * streams_get() - the stream that a message names, made where it is new
 * @name:      a string slice
 * @namespace_: likewise, or empty
 *
 * Return: 0; -E2BIG (STREAMS_MAX or STREAM_NAME_MAX); -ENOMEM.
 */
int streams_get(Streams *streams, JsonSlice name, JsonSlice namespace_, Stream **ret) _must_check_;

/**
 * stream_set_keys() - name the key fields
 * @keys: a list of names (Singer) or of lists of names (Airbyte); an empty one says that there are none
 *
 * Return: 1 if the key is another now; 0; -EBADMSG (not such a list); -E2BIG (KEY_FIELDS_MAX); -ENOMEM.
 */
int stream_set_keys(Stream *stream, KeySource source, JsonSlice keys) _must_check_;

/** streams_set_catalog() - take the primary keys of an Airbyte catalog; what is not understood is passed over. Return:
 * 0; -ENOMEM. */
int streams_set_catalog(Streams *streams, JsonSlice catalog) _must_check_;

/**
 * stream_key() - a record's key
 * @record:  the object
 * @place:   its member in @index, or JSON_PARENT_NONE
 * @out:     emptied, then set to the key: json_key_append() of the field's value, of several fields a JSON list of
 * their canonical texts, of none "sha256:" and the hash of the record's canonical text in hexadecimal
 *
 * Return: 0; -ENODATA (all key fields are missing or null); -EIO (the hash); -ENOMEM.
 */
int stream_key(Streams *streams, const Stream *stream, const JsonIndex *index, uint32_t place, JsonSlice record,
               Buffer *out) _must_check_;
