/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* See token.h. libjwt takes the token's own word for the algorithm: so it is only given a token together with a key
 * that is for that algorithm, and its JSON is read by our own, strict, reader. */

#include "http/token.h"

#include <jwt.h>
#include <stdlib.h>

#include "base/json-util.h"
#include "base/string-util.h"
#include "base/time-util.h"

/* Seconds since 1970 that still make microseconds; far more than any date. */
#define SECONDS_MAX 1e12

DEFINE_TRIVIAL_CLEANUP_FUNC(jwt_t *, jwt_free);
#define _cleanup_jwt_ _cleanup_(jwt_freep)

void token_done(Token *token)
{
        free(token->issuer);
        free(token->subject);
        token_key_unref(token->key);
        *token = (Token){};
}

bool token_is_likely(const char *text)
{
        return strchr(text, '.') && !api_key_text_is_valid(text);
}

/* Three parts of base64url, none of them empty: libjwt is more lenient. */
static bool is_well_formed(const char *text)
{
        static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

        for (unsigned part = 0; part < 3; part++) {
                size_t n = strspn(text, letters);

                if (n == 0 || n % 4 == 1 || text[n] != (part < 2 ? '.' : '\0'))
                        return false;
                text += n + (part < 2);
        }
        return true;
}

static int malformed(const char *why, const char **ret_why)
{
        *ret_why = why;
        return -EBADMSG;
}

/* ---- The signature */

static const jwt_alg_t algorithms[_TOKEN_ALGORITHM_MAX] = {
        [TOKEN_HS256] = JWT_ALG_HS256,
        [TOKEN_RS256] = JWT_ALG_RS256,
        [TOKEN_ES256] = JWT_ALG_ES256,
};

static bool has_header(jwt_t *jwt, const char *name)
{
        _cleanup_free_ char *json = jwt_get_headers_json(jwt, name);

        return json;
}

/* Return: 0; as token_read(). */
static int verify(const TokenKey *key, const char *text, jwt_t **ret)
{
        _cleanup_jwt_ jwt_t *jwt = NULL;
        int r;

        r = jwt_decode(&jwt, text, (const unsigned char *) key->data, (int) key->size);
        if (r != 0)
                return r == ENOMEM ? -ENOMEM : -EBADMSG;
        if (jwt_get_alg(jwt) != algorithms[key->algorithm])
                return -EBADMSG;
        *ret = TAKE_PTR(jwt);
        return 0;
}

/* Tries the keys of the token's algorithm: the one that it names, or each. */
static int find_and_verify(const TokenKeys *keys, const char *text, jwt_t **ret, TokenKey **ret_key,
                           const char **ret_why)
{
        _cleanup_jwt_ jwt_t *unverified = NULL;
        const char *id, *algorithm;
        bool tried = false;
        int r;

        r = jwt_decode(&unverified, text, NULL, 0);
        if (r != 0)
                return r == ENOMEM ? -ENOMEM : malformed("malformed", ret_why);
        /* What must be understood, and is not. */
        if (has_header(unverified, "crit"))
                return malformed("critical header", ret_why);
        id = jwt_get_header(unverified, "kid");
        if (!id && has_header(unverified, "kid"))
                return malformed("malformed", ret_why);
        algorithm = jwt_get_header(unverified, "alg"); /* jwt_get_alg() says none, without a key */
        for (size_t i = 0; algorithm && i < keys->n; i++) {
                TokenKey *key = keys->keys[i];

                if (!streq(algorithm, token_algorithm_to_string(key->algorithm)) || (id && !streq(id, key->id)))
                        continue;
                tried = true;
                r = verify(key, text, ret);
                if (r == -EBADMSG)
                        continue;
                if (r == 0)
                        *ret_key = key;
                return r;
        }
        return malformed(tried ? "signature" : "no such key", ret_why);
}

/* ---- The claims */

/* A NumericDate, of which fractions are allowed. Return: 1; 0: there is none; -EINVAL. */
static int read_date(struct json_object *claims, const char *name, usec_t *ret)
{
        struct json_object *value;
        double seconds;

        if (!json_object_object_get_ex(claims, name, &value))
                return 0;
        if (!json_object_is_type(value, json_type_int) && !json_object_is_type(value, json_type_double))
                return -EINVAL;
        seconds = json_object_get_double(value);
        if (!(seconds >= 0 && seconds <= SECONDS_MAX))
                return -EINVAL;
        *ret = (usec_t) (seconds * (double) USEC_PER_SEC);
        return 1;
}

/* A string, or an array of strings of which one will do. */
static bool names_one_of(struct json_object *claims, const char *name, char *const *wanted)
{
        struct json_object *value;
        bool found = false;

        if (!json_object_object_get_ex(claims, name, &value))
                return false;
        if (json_object_is_type(value, json_type_string))
                return strv_contains(wanted, json_object_get_string(value));
        if (!json_object_is_type(value, json_type_array))
                return false;
        for (size_t i = 0; i < json_object_array_length(value); i++) {
                struct json_object *element = json_object_array_get_idx(value, i);

                if (!json_object_is_type(element, json_type_string))
                        return false;
                found |= strv_contains(wanted, json_object_get_string(element));
        }
        return found;
}

/* Words of others, "openid" and the like, are passed over. Return: 0; -EINVAL; -ENOMEM. */
static int read_scopes(struct json_object *claims, unsigned *ret)
{
        _cleanup_strv_free_ char **words = NULL;
        const char *text = "";
        int r;

        r = json_get_string(claims, "scope", &text);
        if (r >= 0)
                r = strv_split(text, " ", &words);
        if (r < 0)
                return r;
        *ret = 0;
        STRV_FOREACH(word, words) {
                ApiScope scope = api_scope_from_string(*word);

                if (scope >= 0)
                        *ret |= API_SCOPE_BIT(scope);
        }
        return 0;
}

/* Whose data it may see must be said: a token for something else shall not see all. */
static bool read_user(struct json_object *claims, const char *name, char ret[static UUID_TEXT_MAX])
{
        const char *user_id;

        if (json_get_string(claims, name, &user_id) <= 0)
                return false;
        if (streq(user_id, TOKEN_ANY_USER)) {
                ret[0] = '\0';
                return true;
        }
        return uuid_normalize(user_id, ret) >= 0;
}

/* Return: 0; as token_read(). */
static int check_dates(struct json_object *claims, const TokenRules *rules, usec_t now_usec, usec_t *ret_expires_usec,
                       const char **ret_why)
{
        usec_t expires = 0, earliest = 0, issued = 0;

        if (read_date(claims, "exp", &expires) <= 0)
                return malformed("exp", ret_why);
        if (read_date(claims, "nbf", &earliest) < 0 || earliest > usec_add(now_usec, rules->leeway_usec))
                return malformed("nbf", ret_why);
        if (read_date(claims, "iat", &issued) < 0 || issued > usec_add(now_usec, rules->leeway_usec))
                return malformed("iat", ret_why);
        *ret_expires_usec = usec_add(expires, rules->leeway_usec);
        return *ret_expires_usec <= now_usec ? -ETIME : 0;
}

static int read_claims(struct json_object *claims, const TokenRules *rules, usec_t now_usec, Token *ret,
                       const char **ret_why)
{
        const char *issuer, *subject;
        int r;

        if (json_get_string(claims, "iss", &issuer) <= 0 || !strv_contains(rules->issuers, issuer))
                return malformed("iss", ret_why);
        if (!names_one_of(claims, "aud", rules->audiences))
                return malformed("aud", ret_why);
        if (json_get_string(claims, "sub", &subject) <= 0 || !token_subject_is_valid(subject))
                return malformed("sub", ret_why);
        if (!read_user(claims, rules->user_claim, ret->user_id))
                return malformed("user", ret_why);
        r = read_scopes(claims, &ret->scopes);
        if (r == -EINVAL)
                return malformed("scope", ret_why);
        if (r >= 0)
                r = check_dates(claims, rules, now_usec, &ret->expires_usec, ret_why);
        if (r >= 0)
                r = free_and_strdup(&ret->issuer, issuer);
        if (r >= 0)
                r = free_and_strdup(&ret->subject, subject);
        return MIN(r, 0);
}

int token_read(const TokenKeys *keys, const TokenRules *rules, const char *text, usec_t now_usec, Token *ret,
               const char **ret_why)
{
        _cleanup_json_ struct json_object *claims = NULL;
        _cleanup_jwt_ jwt_t *jwt = NULL;
        _cleanup_free_ char *json = NULL;
        _cleanup_token_ Token token = {};
        TokenKey *key = NULL;
        int r;

        if (!is_well_formed(text))
                return malformed("malformed", ret_why);
        r = find_and_verify(keys, text, &jwt, &key, ret_why);
        if (r < 0)
                return r;
        json = jwt_get_grants_json(jwt, NULL);
        if (!json)
                return -ENOMEM;
        if (json_parse(json, strlen(json), &claims) < 0 || !json_object_is_type(claims, json_type_object))
                return malformed("malformed", ret_why);
        r = read_claims(claims, rules, now_usec, &token, ret_why);
        if (r < 0)
                return r;
        token.key = token_key_ref(key);
        *ret = token;
        token = (Token){};
        return 0;
}
