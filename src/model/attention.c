/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "model/attention.h"

#include <stdio.h>

static const char *const attention_category_table[] = {
        [ATTENTION_DESTINATION_AUTH_EXPIRED] = "destination_auth_expired",
        [ATTENTION_CONNECTION_LOST] = "connection_lost",
        [ATTENTION_CONSENT_EXPIRED] = "consent_expired",
        [ATTENTION_CONSENT_WITHDRAWN] = "consent_withdrawn",
        [ATTENTION_CONFIGURATION_ERROR] = "configuration_error",
        [ATTENTION_DESTINATION_DELETED] = "destination_deleted",
        [ATTENTION_DATA_ERROR] = "data_error",
};
DEFINE_STRING_TABLE(attention_category, AttentionCategory, _ATTENTION_MAX);

static const char *const advice_table[] = {
        [ATTENTION_DESTINATION_AUTH_EXPIRED] = "Re-authorize the destination.",
        [ATTENTION_CONNECTION_LOST] = "Reconnect the connection; its syncs then run by themselves.",
        [ATTENTION_CONSENT_EXPIRED] = "Reconnect and give a fresh consent; the syncs then run by themselves.",
        [ATTENTION_CONSENT_WITHDRAWN] = "Reconnect and give a fresh consent if the sync is to go on.",
        [ATTENTION_CONFIGURATION_ERROR] = "Open the connector's settings and mend them.",
        [ATTENTION_DESTINATION_DELETED] = "The destination was removed: make it again or choose another.",
        [ATTENTION_DATA_ERROR] = "The provider's data failed validation: look at the run's error and log.",
};
static_assert(ELEMENTSOF(advice_table) == _ATTENTION_MAX, "one advice for each AttentionCategory");

const char *attention_advice(AttentionCategory category)
{
        return category >= 0 && category < _ATTENTION_MAX ? advice_table[category] : NULL;
}

const char *attention_advice_for(char buf[static ATTENTION_ADVICE_MAX], AttentionCategory category,
                                 const char *unconnected)
{
        if (category != ATTENTION_CONNECTION_LOST || !unconnected)
                return attention_advice(category);
        (void) snprintf(buf, ATTENTION_ADVICE_MAX,
                        "See 'syncrunctl log %s', mend what it says, then 'syncrunctl start %s'.", unconnected,
                        unconnected);
        return buf;
}

const char *attention_advice_afar(AttentionCategory category, bool connected)
{
        return category == ATTENTION_CONNECTION_LOST && !connected
                               ? "Look at the log of the last run, mend what it says, then start the sync again."
                               : attention_advice(category);
}

void attention_done(Attention *attention)
{
        free(attention->message);
        free(attention->run_id);
        free(attention->accounts);
        *attention = (Attention) { .category = _ATTENTION_INVALID };
}
