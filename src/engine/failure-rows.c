/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* See failure-rows.h. The record has the most of all in consecutive_failures; where not all accounts have failed as
 * often, failing_accounts has {"rest":N,"accounts":{NAME:N,...}}. An array of names, as earlier versions wrote, stands
 * for accounts that have all failed as often, and no others. */

#include "engine/failure-rows.h"

#include "base/json-util.h"
#include "base/string-util.h"
#include "engine/account-set.h"

/* In memory. An account that is not named has failed as often as @rest says. */
typedef struct Rows {
        struct json_object *counts; /* of accounts, by name */
        unsigned rest;
} Rows;

static void rows_done(Rows *rows)
{
        json_object_put(rows->counts);
}

void failure_row_done(FailureRow *row)
{
        free(row->accounts);
}

static int set_count(Rows *rows, const char *name, unsigned n)
{
        struct json_object *value = json_object_new_int64(n);

        if (!value)
                return -ENOMEM;
        if (json_object_object_add(rows->counts, name, value) < 0) {
                json_object_put(value);
                return -ENOMEM;
        }
        return 0;
}

static unsigned to_count(struct json_object *value)
{
        int64_t n = json_object_get_int64(value);

        return n < 0 ? 0 : (unsigned) MIN(n, (int64_t) UINT32_MAX);
}

static unsigned count_of(const Rows *rows, const char *name)
{
        struct json_object *value;

        return json_object_object_get_ex(rows->counts, name, &value) ? to_count(value) : rows->rest;
}

static unsigned one_more(unsigned n)
{
        return n < UINT32_MAX ? n + 1 : n;
}

/* ---- In the record */

static int read_names(Rows *rows, struct json_object *names, unsigned n)
{
        int r = 0;

        for (size_t i = 0; r >= 0 && i < json_object_array_length(names); i++)
                r = set_count(rows, json_object_get_string(json_object_array_get_idx(names, i)), n);
        return r;
}

static int read_counts(Rows *rows, struct json_object *value)
{
        struct json_object *accounts = NULL;
        uint64_t rest = 0;
        int r = 0;

        if (json_get_uint(value, "rest", &rest) < 0 || json_get_object(value, "accounts", &accounts) < 0)
                return 0;
        rows->rest = (unsigned) MIN(rest, (uint64_t) UINT32_MAX);
        if (!accounts)
                return 0;
        json_object_object_foreach(accounts, name, count)
                if (r >= 0)
                        r = set_count(rows, name, to_count(count));
        return r;
}

/* What the history has else there is as good as nothing. */
static int read_rows(const ConnectorRecord *record, Rows *ret)
{
        _cleanup_json_ struct json_object *value = NULL;
        const char *text = record->failing_accounts;
        int r;

        ret->counts = json_object_new_object();
        if (!ret->counts)
                return -ENOMEM;
        if (!text) {
                ret->rest = record->consecutive_failures;
                return 0;
        }
        r = json_parse(text, strlen(text), &value);
        if (r < 0)
                return r == -EBADMSG ? 0 : r;
        if (json_object_is_type(value, json_type_array))
                return read_names(ret, value, record->consecutive_failures);
        return json_object_is_type(value, json_type_object) ? read_counts(ret, value) : 0;
}

/* The most of all is not in the counts, nor is what the rest says already. Return: how many are. */
static int write_counts(const Rows *rows, struct json_object **ret, unsigned *ret_most)
{
        Rows written = { .counts = json_object_new_object() };
        int r = written.counts ? 0 : -ENOMEM;

        *ret_most = rows->rest;
        json_object_object_foreach(rows->counts, name, value) {
                unsigned n = to_count(value);

                if (r < 0 || n == rows->rest)
                        continue;
                *ret_most = MAX(*ret_most, n);
                r = set_count(&written, name, n);
        }
        if (r < 0) {
                rows_done(&written);
                return r;
        }
        *ret = written.counts;
        return json_object_object_length(written.counts);
}

static int write_rows(const Rows *rows, ConnectorRecord *record)
{
        _cleanup_json_ struct json_object *value = json_object_new_object(), *accounts = NULL;
        struct json_object *rest = json_object_new_int64(rows->rest);
        const char *text = NULL;
        unsigned most = 0;
        int r;

        r = value && rest ? write_counts(rows, &accounts, &most) : -ENOMEM;
        if (r > 0 && (json_object_object_add(value, "rest", json_object_get(rest)) < 0 ||
                      json_object_object_add(value, "accounts", json_object_get(accounts)) < 0))
                r = -ENOMEM;
        if (r > 0) {
                text = json_object_to_json_string_ext(value, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE);
                if (!text)
                        r = -ENOMEM;
        }
        json_object_put(rest);
        if (r < 0 || (r = free_and_strdup(&record->failing_accounts, text)) < 0)
                return r;
        record->consecutive_failures = most;
        return 0;
}

/* ---- A run */

/* What of it has failed. Return: 1 and the set, NULL for all; 0 nothing. */
static int failed_of(const Run *run, char **ret)
{
        int r;

        if (run->outcome == RUN_SUCCEEDED)
                return 0;
        if (run->outcome == RUN_PARTIAL) {
                r = account_set_of(run, account_is_failed, ret);
                if (r != 0)
                        return r;
                if (!run->error)
                        return 0; /* put off by the provider */
        }
        r = free_and_strdup(ret, run->only_accounts);
        return r < 0 ? r : 1;
}

static int copy_counts(const Rows *from, bool one_up, Rows *to)
{
        int r = 0;

        json_object_object_foreach(from->counts, name, value)
                if (r >= 0)
                        r = set_count(to, name, one_up ? one_more(to_count(value)) : to_count(value));
        return r;
}

/* @after: empty; becomes @before and what the run says of those that it was of. @failed: NULL where @whole */
static int follow(const Rows *before, const Run *run, char **only, char **failed, bool whole, Rows *after)
{
        int r = 0;

        if (only || whole)
                r = copy_counts(before, whole, after);
        if (only || whole)
                after->rest = whole ? one_more(before->rest) : before->rest;
        if (r < 0)
                return r;
        STRV_FOREACH(name, only)
                if ((r = set_count(after, *name, 0)) < 0)
                        return r;
        STRV_FOREACH(name, failed)
                if ((r = set_count(after, *name, one_more(count_of(before, *name)))) < 0)
                        return r;
        for (size_t i = 0; run->outcome == RUN_PARTIAL && i < run->n_accounts; i++)
                if (account_is_got(&run->accounts[i]) && (r = set_count(after, run->accounts[i].name, 0)) < 0)
                        return r;
        return 0;
}

/* So many as can be named; past that, those of the run alone. */
static int bound(Rows *rows, char **failed)
{
        Rows few = {};
        int r = 0;

        if (json_object_object_length(rows->counts) <= (int) ACCOUNTS_PER_RUN_MAX)
                return 0;
        few.counts = json_object_new_object();
        if (!few.counts)
                return -ENOMEM;
        STRV_FOREACH(name, failed)
                if (r >= 0)
                        r = set_count(&few, *name, count_of(rows, *name));
        if (r < 0) {
                rows_done(&few);
                return r;
        }
        rows_done(rows);
        *rows = few;
        return 0;
}

/* Those of the run that have failed most often in a row. */
static int describe_row(const Rows *rows, char **failed, FailureRow *ret)
{
        _cleanup_json_ struct json_object *worst = json_object_new_array();

        if (!worst)
                return -ENOMEM;
        STRV_FOREACH(name, failed)
                ret->n = MAX(ret->n, count_of(rows, *name));
        STRV_FOREACH(name, failed) {
                struct json_object *text;

                if (count_of(rows, *name) < ret->n)
                        continue;
                text = json_object_new_string(*name);
                if (!text || json_object_array_add(worst, text) < 0) {
                        json_object_put(text);
                        return -ENOMEM;
                }
        }
        return MIN(free_and_strdup(&ret->accounts,
                                   json_object_to_json_string_ext(worst, JSON_C_TO_STRING_PLAIN |
                                                                                 JSON_C_TO_STRING_NOSLASHESCAPE)),
                   0);
}

int failure_rows_count(ConnectorRecord *record, const Run *run, FailureRow *ret)
{
        _cleanup_strv_free_ char **only = NULL, **failed = NULL;
        _cleanup_(rows_done) Rows before = {}, after = {};
        _cleanup_free_ char *set = NULL;
        bool has_failed, whole;
        int r;

        r = failed_of(run, &set);
        if (r < 0)
                return r;
        has_failed = r > 0;
        whole = has_failed && !set;
        r = account_set_names(run->only_accounts, &only);
        if (r >= 0)
                r = account_set_names(set, &failed);
        if (r >= 0)
                r = read_rows(record, &before);
        if (r >= 0 && !(after.counts = json_object_new_object()))
                r = -ENOMEM;
        if (r >= 0)
                r = follow(&before, run, only, failed, whole, &after);
        if (r >= 0)
                r = bound(&after, failed);
        if (r >= 0)
                r = write_rows(&after, record);
        if (r >= 0 && failed)
                r = describe_row(&after, failed, ret);
        if (r >= 0 && whole)
                ret->n = record->consecutive_failures;
        return r;
}
