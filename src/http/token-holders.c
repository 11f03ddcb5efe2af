/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "http/token-holders.h"

#include <stdlib.h>

#define uthash_nonfatal_oom(element) ((element)->lost = true)
#include <uthash.h>

#include "base/log.h"
#include "base/string-util.h"
#include "base/time-util.h"

/* What the requests of a token's subject are counted by: with each of his tokens. */
typedef struct Subject {
        Allowance *allowance; /* a reference */
        bool lost;
        UT_hash_handle hh;
        char key[]; /* issuer and subject */
} Subject;

/* A token that was verified. */
typedef struct KnownToken {
        uint8_t hash[SHA256_SIZE]; /* of its text, which is not kept */
        Principal *holder;         /* a reference */
        bool lost;
        UT_hash_handle hh;
} KnownToken;

struct TokenHolders {
        const HttpSettings *settings;
        TokenKeys *keys;
        Subject *subjects;  /* in the order in which they came */
        KnownToken *tokens; /* the same */
        void (*gone)(void *userdata);
        void *userdata;
};

/* ---- Subjects */

static void forget_subject(TokenHolders *holders, Subject *subject)
{
        HASH_DELETE(hh, holders->subjects, subject);
        allowance_unref(subject->allowance);
        free(subject);
}

static void evict_subject(TokenHolders *holders)
{
        Subject *subject, *next;

        if (HASH_COUNT(holders->subjects) < SUBJECTS_MAX)
                return;
        HASH_ITER(hh, holders->subjects, subject, next) {
                if (subject->allowance->n_ref > 1)
                        continue;
                forget_subject(holders, subject);
                return;
        }
}

/* Return: it; NULL when out of memory. */
static Subject *get_subject(TokenHolders *holders, const Token *token)
{
        /* Neither has a control character, or may be mistaken for the other. */
        _cleanup_free_ char *key = asprintf_or_null("%s\n%s", token->issuer, token->subject);
        Subject *subject;

        if (!key)
                return NULL;
        HASH_FIND_STR(holders->subjects, key, subject);
        if (subject)
                return subject;
        evict_subject(holders);
        subject = calloc(1, sizeof(*subject) + strlen(key) + 1);
        if (!subject)
                return NULL;
        memcpy(subject->key, key, strlen(key) + 1);
        subject->allowance = allowance_new();
        if (subject->allowance)
                HASH_ADD_STR(holders->subjects, key, subject);
        if (subject->allowance && !subject->lost)
                return subject;
        allowance_unref(subject->allowance);
        free(subject);
        return NULL;
}

/* ---- Tokens */

static void forget_token(TokenHolders *holders, KnownToken *token)
{
        HASH_DELETE(hh, holders->tokens, token);
        principal_unref(token->holder);
        free(token);
}

/* Before its subject is looked for: a subject that a known token is of is not forgotten. */
static void evict_token(TokenHolders *holders)
{
        if (HASH_COUNT(holders->tokens) >= TOKENS_MAX)
                forget_token(holders, holders->tokens);
}

/* A token that cannot be kept is verified each time. */
static void remember_token(TokenHolders *holders, const uint8_t hash[static SHA256_SIZE], Principal *holder)
{
        KnownToken *token;

        token = calloc(1, sizeof(*token));
        if (!token)
                return;
        memcpy(token->hash, hash, sizeof(token->hash));
        HASH_ADD(hh, holders->tokens, hash, sizeof(token->hash), token);
        if (token->lost)
                free(token);
        else
                token->holder = principal_ref(holder);
}

int token_holders_find(TokenHolders *holders, const char *text, uint8_t ret_hash[static SHA256_SIZE], Principal **ret)
{
        KnownToken *token;
        int r;

        r = sha256(text, strlen(text), ret_hash);
        if (r < 0)
                return r;
        HASH_FIND(hh, holders->tokens, ret_hash, SHA256_SIZE, token);
        if (!token)
                return 0;
        if (token->holder->expires_usec <= now_usec(CLOCK_REALTIME))
                return -ETIME;
        *ret = principal_ref(token->holder);
        return 1;
}

int token_holders_verify(TokenHolders *holders, const char *text, const uint8_t hash[static SHA256_SIZE],
                         Principal **ret, const char **ret_why)
{
        const HttpSettings *settings = holders->settings;
        const TokenRules rules = {
                .issuers = settings->token_issuer,
                .audiences = settings->token_audience,
                .user_claim = settings->token_user_claim ?: TOKEN_USER_CLAIM,
                .leeway_usec = settings->token_leeway_usec,
        };
        _cleanup_token_ Token token = {};
        Principal *holder;
        Subject *subject;
        int r;

        r = token_read(holders->keys, &rules, text, now_usec(CLOCK_REALTIME), &token, ret_why);
        if (r < 0)
                return r;
        evict_token(holders);
        subject = get_subject(holders, &token);
        holder = subject ? principal_new_subject(&token, subject->allowance) : NULL;
        if (!holder)
                return -ENOMEM;
        remember_token(holders, hash, holder);
        *ret = holder;
        return 0;
}

/* ---- The whole */

static void on_keys_gone(void *userdata)
{
        TokenHolders *holders = userdata;
        KnownToken *token, *next;

        HASH_ITER(hh, holders->tokens, token, next)
                if (token->holder->token_key->gone)
                        forget_token(holders, token);
        holders->gone(holders->userdata);
}

/* Of the settings' folder, or of credentials that the unit has. */
static int open_keys(sd_event *event, TokenHolders *holders)
{
        const HttpSettings *settings = holders->settings;
        const char *folder = settings->token_keys_folder, *prefix = "";
        int r;

        if (!folder) {
                folder = getenv("CREDENTIALS_DIRECTORY");
                prefix = TOKEN_CREDENTIAL_PREFIX;
        }
        r = token_keys_open(event, folder, prefix, on_keys_gone, holders, &holders->keys);
        if (r >= 0 && holders->keys->n > 0 && (!settings->token_issuer || !settings->token_audience))
                log_warning("All tokens are refused: Issuer= and Audience= do not say whose they are, and for whom.");
        return r;
}

int token_holders_new(sd_event *event, const HttpSettings *settings, void (*gone)(void *userdata), void *userdata,
                      TokenHolders **ret)
{
        TokenHolders *holders = calloc(1, sizeof(*holders));
        int r;

        if (!holders)
                return -ENOMEM;
        holders->settings = settings;
        holders->gone = gone;
        holders->userdata = userdata;
        r = open_keys(event, holders);
        if (r < 0) {
                token_holders_free(holders);
                return r;
        }
        *ret = holders;
        return 0;
}

TokenHolders *token_holders_free(TokenHolders *holders)
{
        if (!holders)
                return NULL;
        while (holders->tokens)
                forget_token(holders, holders->tokens);
        while (holders->subjects)
                forget_subject(holders, holders->subjects);
        token_keys_free(holders->keys);
        free(holders);
        return NULL;
}
