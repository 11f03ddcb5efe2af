/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "http/principal.h"

#include <stdlib.h>

#include "base/string-util.h"

Allowance *allowance_new(void)
{
        Allowance *allowance = calloc(1, sizeof(*allowance));

        if (!allowance)
                return NULL;
        allowance->n_ref = 1;
        allowance->calls = client_share_new();
        return allowance->calls ? allowance : allowance_unref(allowance);
}

Allowance *allowance_unref(Allowance *allowance)
{
        if (!allowance || --allowance->n_ref > 0)
                return NULL;
        client_share_unref(allowance->calls);
        free(allowance);
        return NULL;
}

Principal *principal_new(void)
{
        _cleanup_(principal_unrefp) Principal *principal = calloc(1, sizeof(*principal));

        if (!principal)
                return NULL;
        principal->n_ref = 1;
        principal->expires_usec = USEC_INFINITY;
        principal->allowance = allowance_new();
        return principal->allowance ? TAKE_PTR(principal) : NULL;
}

Principal *principal_new_session(Principal *key, const Session *session)
{
        _cleanup_(principal_unrefp) Principal *holder = calloc(1, sizeof(*holder));

        if (!holder)
                return NULL;
        holder->n_ref = 1;
        holder->scopes = key->scopes;
        memcpy(holder->user_id, key->user_id, sizeof(key->user_id));
        holder->session = *session;
        holder->expires_usec = session->expires_usec;
        holder->allowance = key->allowance;
        holder->allowance->n_ref++;
        holder->of = principal_ref(key);
        holder->name = strdup(key->name);
        return holder->name ? TAKE_PTR(holder) : NULL;
}

Principal *principal_new_lone_session(const Session *session)
{
        _cleanup_(principal_unrefp) Principal *holder = principal_new();

        if (!holder)
                return NULL;
        holder->session = *session;
        holder->expires_usec = session->expires_usec;
        holder->name = strdup("-");
        return holder->name ? TAKE_PTR(holder) : NULL;
}

Principal *principal_new_subject(const Token *token, Allowance *allowance)
{
        _cleanup_(principal_unrefp) Principal *subject = calloc(1, sizeof(*subject));

        if (!subject)
                return NULL;
        subject->n_ref = 1;
        subject->scopes = token->scopes;
        memcpy(subject->user_id, token->user_id, sizeof(token->user_id));
        subject->expires_usec = token->expires_usec;
        subject->allowance = allowance;
        subject->allowance->n_ref++;
        subject->token_key = token_key_ref(token->key);
        subject->name = asprintf_or_null(TOKEN_PREFIX "%s", token->subject);
        return subject->name ? TAKE_PTR(subject) : NULL;
}

Principal *principal_ref(Principal *principal)
{
        principal->n_ref++;
        return principal;
}

Principal *principal_unref(Principal *principal)
{
        if (!principal || --principal->n_ref > 0)
                return NULL;
        principal_unref(principal->of);
        token_key_unref(principal->token_key);
        allowance_unref(principal->allowance);
        free(principal->name);
        free(principal);
        return NULL;
}

bool principal_may(const Principal *principal, ApiScope scope)
{
        return principal->scopes & API_SCOPE_BIT(scope);
}

bool principal_sees(const Principal *principal, const char *user_id)
{
        return principal->user_id[0] == '\0' || streq(principal->user_id, user_id);
}
