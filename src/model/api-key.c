/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "model/api-key.h"

#include <ctype.h>
#include <stdlib.h>

#include "base/string-util.h"

static const char *const api_scope_table[_API_SCOPE_MAX] = {
        [API_SCOPE_READ] = "sync:read",
        [API_SCOPE_WRITE] = "sync:write",
        [API_SCOPE_ADMIN] = "sync:admin",
};
DEFINE_STRING_TABLE(api_scope, ApiScope, _API_SCOPE_MAX);

bool token_subject_is_valid(const char *subject)
{
        if (isempty(subject) || strlen(subject) > TOKEN_SUBJECT_MAX || !utf8_is_valid(subject, strlen(subject)))
                return false;
        for (const char *p = subject; *p; p++)
                if ((unsigned char) *p < 0x20 || *p == 0x7f)
                        return false;
        return true;
}

int api_scopes_from_words(char *const *words, const char **ret_unknown, unsigned *ret)
{
        unsigned scopes = 0;

        STRV_FOREACH(word, words) {
                ApiScope scope = api_scope_from_string(*word);

                if (scope < 0) {
                        if (ret_unknown)
                                *ret_unknown = *word;
                        return -EINVAL;
                }
                scopes |= API_SCOPE_BIT(scope);
        }
        if (scopes == 0) {
                if (ret_unknown)
                        *ret_unknown = NULL;
                return -EINVAL;
        }
        *ret = scopes;
        return 0;
}

void api_scopes_to_words(unsigned scopes, const char *ret[static _API_SCOPE_MAX + 1])
{
        size_t n = 0;

        for (int i = 0; i < _API_SCOPE_MAX; i++)
                if (scopes & API_SCOPE_BIT(i))
                        ret[n++] = api_scope_table[i];
        ret[n] = NULL;
}

static bool is_ascii_alnum(char c)
{
        return (unsigned char) c < 0x80 && isalnum((unsigned char) c);
}

bool api_key_name_is_valid(const char *s)
{
        size_t n = 0;

        if (!s || !is_ascii_alnum(s[0]) || startswith(s, API_KEY_PREFIX))
                return false;
        while (s[n] && (is_ascii_alnum(s[n]) || strchr("._-@", s[n])))
                n++;
        return !s[n] && n <= API_KEY_NAME_MAX;
}

int api_key_text_new(ApiKeyText *ret)
{
        uint8_t secret[API_KEY_SECRET_BYTES];
        int r;

        r = secret_new(secret, sizeof(secret));
        if (r >= 0) {
                (void) memcpy(ret->text, API_KEY_PREFIX, strlen(API_KEY_PREFIX));
                hex_encode(secret, sizeof(secret), ret->text + strlen(API_KEY_PREFIX));
        }
        explicit_bzero(secret, sizeof(secret));
        return r;
}

bool api_key_text_is_valid(const char *s)
{
        uint8_t secret[API_KEY_SECRET_BYTES];
        const char *digits = s ? startswith(s, API_KEY_PREFIX) : NULL;
        bool valid = digits && hex_decode(digits, sizeof(secret), secret) >= 0;

        explicit_bzero(secret, sizeof(secret));
        return valid;
}

void api_key_text_erase(ApiKeyText *text)
{
        explicit_bzero(text, sizeof(*text));
}

int api_key_hash(const char *text, uint8_t ret[static SHA256_SIZE])
{
        return sha256(text, strlen(text), ret);
}

void api_key_done(ApiKey *key)
{
        free(key->name);
        free(key->user_id);
        free(key->created_by);
        *key = (ApiKey){};
}

int api_key_copy(const ApiKey *key, ApiKey *ret)
{
        ApiKey copy = *key;

        copy.name = strdup(key->name);
        copy.user_id = key->user_id ? strdup(key->user_id) : NULL;
        copy.created_by = key->created_by ? strdup(key->created_by) : NULL;
        if (!copy.name || !copy.user_id != !key->user_id || !copy.created_by != !key->created_by) {
                api_key_done(&copy);
                return -ENOMEM;
        }
        *ret = copy;
        return 0;
}

void api_keys_free(ApiKey *keys, size_t n)
{
        for (size_t i = 0; i < n; i++)
                api_key_done(&keys[i]);
        free(keys);
}
