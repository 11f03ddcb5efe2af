/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Tokens: JSON Web Tokens (RFC 7519) that somebody else has signed, for whom the keys are there. What a token says
 * counts only after its signature. */

#include "base/uuid.h"
#include "http/token-keys.h"
#include "model/api-key.h"

#define TOKEN_USER_CLAIM "user_id" /* unless the settings have another */
#define TOKEN_ANY_USER   "*"

/* What is asked of a token. */
typedef struct TokenRules {
        char *const *issuers;
        char *const *audiences;
        const char *user_claim;
        usec_t leeway_usec; /* that clocks may differ by */
} TokenRules;

/* What it says. */
typedef struct Token {
        char *issuer;
        char *subject;
        unsigned scopes;             /* API_SCOPE_BIT each; may be none */
        char user_id[UUID_TEXT_MAX]; /* "": sees all users */
        usec_t expires_usec;         /* CLOCK_REALTIME, with the leeway */
        TokenKey *key;               /* a reference */
} Token;

void token_done(Token *token);
#define _cleanup_token_ _cleanup_(token_done)

/* Whether it looks like one, and like no API key. */
bool token_is_likely(const char *text) _pure_;

/**
 * token_read() - verify a token and read it
 * @now_usec: CLOCK_REALTIME
 * @ret:      set on success only; closed by token_done()
 * @ret_why:  set on -EBADMSG: a word or two of ours, without anything of the token; static
 *
 * Return: 0; -EBADMSG; -ETIME (all right, but expired); -ENOMEM.
 */
int token_read(const TokenKeys *keys, const TokenRules *rules, const char *text, usec_t now_usec, Token *ret,
               const char **ret_why) _must_check_;
