/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Model values as JSON, as Describe...() and `syncrunctl --json` show them: syncrun's own view, with every field. The
 * views of the three documents stand beside it, one file each. Keys are in snake_case, times ISO 8601, unknown is
 * null. */

#include "base/json-writer.h"
#include "model/run.h"

/* Whose words a bulk read answers in: ours, or one of the three documents'. */
typedef enum View {
        VIEW_SYNCRUN,
        VIEW_REPO,
        VIEW_OPEN_WEARABLES,
        VIEW_REDBARK,
        _VIEW_MAX,
        _VIEW_INVALID = -EINVAL,
} View;
DECLARE_STRING_TABLE(view, View);

/* One object with everything of a run; accounts as an array under "accounts" when @with_accounts. @advice: about its
 * category; NULL: none. */
void view_run(JsonWriter *w, const char *key, const Run *run, const char *advice, bool with_accounts);
void view_account(JsonWriter *w, const char *key, const Account *account);
void view_counts(JsonWriter *w, const char *key, const Counts *counts);
void view_attention(JsonWriter *w, const char *key, const Attention *attention,
                    const char *unconnected); /* as attention_advice_for(); null where none is needed */

/* Why a run that has ended did not end well: the provider's words, or the run's message; NULL where it did. For the
 * documents, which know no other place for it. */
const char *view_error_message(const Run *run) _pure_;
