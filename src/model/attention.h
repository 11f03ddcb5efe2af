/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Why a sync needs a person (A8, A9): only failures that the user can mend. */

#include "base/string-table.h"

typedef enum AttentionCategory {
        ATTENTION_DESTINATION_AUTH_EXPIRED,
        ATTENTION_CONNECTION_LOST,
        ATTENTION_CONSENT_EXPIRED,
        ATTENTION_CONSENT_WITHDRAWN,
        ATTENTION_CONFIGURATION_ERROR,
        ATTENTION_DESTINATION_DELETED,
        ATTENTION_DATA_ERROR,
        _ATTENTION_MAX,
        _ATTENTION_INVALID = -EINVAL, /* none */
} AttentionCategory;
DECLARE_STRING_TABLE(attention_category, AttentionCategory);

/* What the person does about it, one sentence; NULL for _ATTENTION_INVALID. */
const char *attention_advice(AttentionCategory category) _const_;

#define ATTENTION_ADVICE_MAX 256

/* The same of a connector, which may have no connection that could be renewed. @buf: for a text that names it.
 * @unconnected: that connector's name; NULL: it has a connection, or is not one of ours. */
const char *attention_advice_for(char buf[static ATTENTION_ADVICE_MAX], AttentionCategory category,
                                 const char *unconnected);

/* The same for who is not at the machine, where nobody can type a command. */
const char *attention_advice_afar(AttentionCategory category, bool connected) _const_;

/* Attention as a connector has it. */
typedef struct Attention {
        AttentionCategory category; /* _ATTENTION_INVALID: none is needed */
        char *message;              /* provider's words; NULL */
        usec_t since_usec;          /* CLOCK_REALTIME of the first failure that raised it */
        char *run_id;               /* the run that raised it last; NULL: its connection's consent did */
        char *accounts;             /* which accounts need it: a JSON array of names; NULL: all */
} Attention;

void attention_done(Attention *attention);
