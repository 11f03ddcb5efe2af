/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Keys of remote clients. A key is shown once, when it is made; what is kept is its SHA-256. */

#include "base/digest.h"
#include "base/string-table.h"

/* What a key is good for. None contains another. */
typedef enum ApiScope {
        API_SCOPE_READ,
        API_SCOPE_WRITE,
        API_SCOPE_ADMIN,
        _API_SCOPE_MAX,
        _API_SCOPE_INVALID = -EINVAL,
} ApiScope;
DECLARE_STRING_TABLE(api_scope, ApiScope);

/* A set of them: a bit each. */
#define API_SCOPE_BIT(scope) (1U << (scope))

/* ---- Tokens, which stand for a subject in place of a key */

#define TOKEN_PREFIX      "jwt:" /* of "jwt:SUBJECT", where else a key's name stands; no name begins so */
#define TOKEN_SUBJECT_MAX 128U   /* bytes */

/* 1 to TOKEN_SUBJECT_MAX bytes, none a control character. */
bool token_subject_is_valid(const char *subject) _pure_;

/* ---- Scopes */

/* Return: 0; -EINVAL (none, or an unknown word: @ret_unknown, borrowed; NULL for none; may be NULL). */
int api_scopes_from_words(char *const *words, const char **ret_unknown, unsigned *ret) _must_check_;

/* The words of a set, NULL-terminated, into @ret. */
void api_scopes_to_words(unsigned scopes, const char *ret[static _API_SCOPE_MAX + 1]);

/* ---- Keys */

#define API_KEYS_MAX         1000U /* that there are at a time */
#define API_KEY_NAME_MAX     64U
#define API_KEY_PREFIX       "sk-"
#define API_KEY_SECRET_BYTES 16U
#define API_KEY_TEXT_MAX     (sizeof(API_KEY_PREFIX) + 2 * API_KEY_SECRET_BYTES) /* with the closing NUL */

/* One minute: how exact the time of the last use is, so that a busy key costs few writes. Who keeps what was said of a
 * key tells of its use so often, and what comes shortly after the last that was noted is not noted: both together make
 * the minute. */
#define API_KEY_USE_ACCURACY_USEC USEC_PER_MINUTE
#define API_KEY_TELL_USEC         (50 * USEC_PER_SEC)
#define API_KEY_NOTE_USEC         (API_KEY_USE_ACCURACY_USEC - API_KEY_TELL_USEC)

/* 1 to API_KEY_NAME_MAX letters, digits and "._-@"; begins with a letter or a digit, and not as keys do: one that is
 * given for a name by mistake is not to be kept. */
bool api_key_name_is_valid(const char *s) _pure_;

/* The key itself: "sk-" and 32 lower-case hexadecimal digits. */
typedef struct ApiKeyText {
        char text[API_KEY_TEXT_MAX];
} ApiKeyText;

/* A new one. Return: 0; negative errno where the system has no randomness. */
int api_key_text_new(ApiKeyText *ret) _must_check_;
bool api_key_text_is_valid(const char *s) _pure_;
void api_key_text_erase(ApiKeyText *text);
#define _cleanup_api_key_text_ _cleanup_(api_key_text_erase)

/* Of the whole text, prefix and all. Return: 0; -ENOMEM. */
int api_key_hash(const char *text, uint8_t ret[static SHA256_SIZE]) _must_check_;

/* What is kept of a key. Strings are owned. */
typedef struct ApiKey {
        char *name;
        uint8_t hash[SHA256_SIZE];
        unsigned scopes;
        char *user_id; /* the only user that it may see, UUID; NULL: all */
        usec_t created_usec;
        char *created_by;      /* "uid:1000" */
        usec_t last_used_usec; /* 0: never */
} ApiKey;

void api_key_done(ApiKey *key);
int api_key_copy(const ApiKey *key, ApiKey *ret) _must_check_; /* 0 or -ENOMEM */
void api_keys_free(ApiKey *keys, size_t n);
