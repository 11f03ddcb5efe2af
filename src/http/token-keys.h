/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Keys that tokens (JWT) are signed with, as files of a folder: ID.hs256, ID.rs256, ID.es256. The name of the file
 * says which algorithm a key is for, and it is used for no other. What a token says is not known here. */

#include <systemd/sd-event.h>

#include "base/string-table.h"

#define TOKEN_CREDENTIAL_PREFIX "jwt_" /* of credentials that are keys */

#define TOKEN_KEYS_MAX      64U          /* files in the folder that are read */
#define TOKEN_KEY_ID_MAX    64U          /* of its name, without the algorithm */
#define TOKEN_KEY_MAX_BYTES (16U * 1024) /* of one file */
#define TOKEN_SECRET_MIN    32U          /* bytes of a secret for HS256, as RFC 7518 has it */
#define TOKEN_RSA_MIN_BITS  2048
#define TOKEN_EC_GROUP      "prime256v1" /* of ES256 */

typedef enum TokenAlgorithm {
        TOKEN_HS256,
        TOKEN_RS256,
        TOKEN_ES256,
        _TOKEN_ALGORITHM_MAX,
        _TOKEN_ALGORITHM_INVALID = -EINVAL,
} TokenAlgorithm;
DECLARE_STRING_TABLE(token_algorithm, TokenAlgorithm);

typedef struct TokenKey {
        unsigned n_ref;
        char *id;
        TokenAlgorithm algorithm;
        char *data; /* a secret, or PEM */
        size_t size;
        bool gone; /* from its folder: what was signed with it holds no more */
} TokenKey;

TokenKey *token_key_ref(TokenKey *key);
TokenKey *token_key_unref(TokenKey *key);

typedef struct TokenKeys {
        TokenKey *keys[TOKEN_KEYS_MAX];
        size_t n;
        char *folder;
        const char *prefix; /* of the files' names; others are left alone */
        sd_event_source *watch;
        void (*gone)(void *userdata);
        void *userdata;
} TokenKeys;

/**
 * token_keys_open() - read the keys of a folder, and again whenever it changes
 * @folder: NULL: there are no keys
 * @prefix: static
 * @gone:   called after keys went
 *
 * What is wrong with a file is logged, and it is as if it was not there.
 *
 * Context: blocks for the disk, here and later.
 * Return: 0; negative errno of the event loop.
 */
int token_keys_open(sd_event *event, const char *folder, const char *prefix, void (*gone)(void *userdata),
                    void *userdata, TokenKeys **ret) _must_check_;
TokenKeys *token_keys_free(TokenKeys *keys);
