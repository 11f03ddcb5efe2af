/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "model/report.h"

#include "base/json-util.h"
#include "base/json-writer.h"
#include "base/string-util.h"

void run_report_done(RunReport *report)
{
        free(report->message);
        for (size_t i = 0; i < report->n_accounts; i++)
                account_done(&report->accounts[i]);
        free(report->accounts);
        free(report->attention_message);
        free(report->metadata);
        free(report->error);
        *report = (RunReport) RUN_REPORT_INIT;
}

static void write_if_known(JsonWriter *w, const char *key, uint64_t value)
{
        if (value != COUNT_UNKNOWN)
                json_write_uint(w, key, value);
}

static void write_if_set(JsonWriter *w, const char *key, const char *value)
{
        if (value)
                json_write_string(w, key, value);
}

static void write_counts(JsonWriter *w, const Counts *counts)
{
        json_write_uint(w, "discovered", counts->discovered);
        json_write_uint(w, "added", counts->added);
        json_write_uint(w, "updated", counts->updated);
        json_write_uint(w, "deduped", counts->deduped);
}

static void write_account(JsonWriter *w, const Account *account)
{
        json_open_object(w, NULL);
        json_write_string(w, "account", account->name);
        json_write_string(w, "status", account_status_to_string(account->status));
        write_counts(w, &account->counts);
        write_if_set(w, "error", account->error);
        write_if_set(w, "category", attention_category_to_string(account->category));
        if (account->started_usec > 0)
                json_write_uint(w, "started_usec", account->started_usec);
        if (account->finished_usec > 0)
                json_write_uint(w, "finished_usec", account->finished_usec);
        json_close_object(w);
}

void run_report_write(const RunReport *report, Buffer *out)
{
        JsonWriter w = JSON_WRITER_INIT(out);

        json_open_object(&w, NULL);
        write_if_set(&w, "stage", sync_stage_to_string(report->stage));
        write_if_set(&w, "message", report->message);
        write_if_known(&w, "processed", report->items_processed);
        write_if_known(&w, "total", report->items_total);
        if (report->counts.discovered != COUNT_UNKNOWN)
                write_counts(&w, &report->counts);
        if (report->n_accounts > 0) {
                json_open_array(&w, "accounts");
                for (size_t i = 0; i < report->n_accounts; i++)
                        write_account(&w, &report->accounts[i]);
                json_close_array(&w);
        }
        write_if_set(&w, "attention", attention_category_to_string(report->attention));
        write_if_set(&w, "attention_message", report->attention_message);
        if (report->metadata)
                json_write_raw(&w, "metadata", report->metadata);
        write_if_set(&w, "outcome", run_outcome_to_string(report->outcome));
        write_if_set(&w, "error", report->error);
        if (report->retry)
                json_write_bool(&w, "retry", true);
        if (report->retry_at_usec > 0)
                json_write_uint(&w, "retry_at_usec", report->retry_at_usec);
        write_if_known(&w, "cpu_usec", report->cpu_usec);
        write_if_known(&w, "memory_peak_bytes", report->memory_peak_bytes);
        if (report->n_bad_lines > 0)
                json_write_uint(&w, "bad_lines", report->n_bad_lines);
        if (report->read_anew)
                json_write_bool(&w, "read_anew", true);
        if (report->destination_failed)
                json_write_bool(&w, "destination_failed", true);
        json_close_object(&w);
}

/* Getters that turn json_get_...() into 0 or the errno of a refused report. */

static int get_text(struct json_object *object, const char *key, size_t limit_bytes, char **ret)
{
        const char *s;
        int r;

        r = json_get_string(object, key, &s);
        if (r <= 0)
                return r == -EINVAL ? -EBADMSG : r;
        *ret = utf8_sanitize(s, strlen(s), limit_bytes);
        return *ret ? 0 : -ENOMEM;
}

/* A number that is no count becomes the nearest one: a run is worth more than one of its numbers. */
static int get_count(struct json_object *object, const char *key, uint64_t *ret)
{
        struct json_object *value;
        double number;

        if (!json_object_object_get_ex(object, key, &value) || !value)
                return 0;
        if (json_object_is_type(value, json_type_int)) {
                if (json_object_get_int64(value) < 0)
                        *ret = 0;
                else
                        *ret = MIN(json_object_get_uint64(value), COUNT_MAX);
                return 0;
        }
        if (!json_object_is_type(value, json_type_double))
                return -EBADMSG;
        number = json_object_get_double(value);
        if (number >= 0x1p63)
                *ret = COUNT_MAX;
        else
                *ret = number > 0 ? (uint64_t) number : 0;
        return 0;
}

/* @from_string returns the enum as int; an unknown word refuses the report. */
#define get_word(object, key, from_string, ret)                                                                      \
        ({                                                                                                           \
                const char *_word = NULL;                                                                            \
                int _r = json_get_string(object, key, &_word);                                                       \
                if (_r > 0)                                                                                          \
                        *(ret) = from_string(_word);                                                                 \
                _r > 0 && (int) *(ret) < 0 ? -EBADMSG : _r == -EINVAL ? -EBADMSG : MIN(_r, 0);                       \
        })

static int get_counts(struct json_object *object, Counts *ret)
{
        Counts counts = { .discovered = COUNT_UNKNOWN };
        int r;

        if ((r = get_count(object, "discovered", &counts.discovered)) < 0 ||
            (r = get_count(object, "added", &counts.added)) < 0 ||
            (r = get_count(object, "updated", &counts.updated)) < 0 ||
            (r = get_count(object, "deduped", &counts.deduped)) < 0)
                return r;
        *ret = counts;
        return 0;
}

static int parse_account(struct json_object *object, Account *ret)
{
        Account account = { .status = ACCOUNT_RUNNING, .category = _ATTENTION_INVALID };
        int r;

        if (!json_object_is_type(object, json_type_object))
                return -EBADMSG;
        if ((r = get_text(object, "account", ACCOUNT_NAME_MAX, &account.name)) < 0 ||
            (r = get_word(object, "status", account_status_from_string, &account.status)) < 0 ||
            (r = get_counts(object, &account.counts)) < 0 ||
            (r = get_text(object, "error", ERROR_TEXT_MAX, &account.error)) < 0 ||
            (r = get_word(object, "category", attention_category_from_string, &account.category)) < 0 ||
            (r = get_count(object, "started_usec", &account.started_usec)) < 0 ||
            (r = get_count(object, "finished_usec", &account.finished_usec)) < 0)
                goto fail;
        if (isempty(account.name)) {
                r = -EBADMSG;
                goto fail;
        }
        if (account.counts.discovered == COUNT_UNKNOWN)
                account.counts.discovered = 0;
        *ret = account;
        return 0;
fail:
        account_done(&account);
        return r;
}

static int parse_accounts(struct json_object *object, RunReport *report)
{
        struct json_object *array;
        size_t n;
        int r;

        r = json_get_array(object, "accounts", &array);
        if (r <= 0)
                return r < 0 ? -EBADMSG : 0;
        n = MIN(json_object_array_length(array), (size_t) ACCOUNTS_PER_RUN_MAX);
        if (n == 0)
                return 0;
        report->accounts = calloc(n, sizeof(Account));
        if (!report->accounts)
                return -ENOMEM;
        for (size_t i = 0; i < n; i++) {
                r = parse_account(json_object_array_get_idx(array, i), &report->accounts[i]);
                if (r < 0)
                        return r;
                report->n_accounts++;
        }
        return 0;
}

static int parse_metadata(struct json_object *object, RunReport *report)
{
        _cleanup_free_ char *text = NULL;
        struct json_object *metadata;
        int r;

        r = json_get_object(object, "metadata", &metadata);
        if (r <= 0)
                return r < 0 ? -EBADMSG : 0;
        if (json_is_deeper(metadata, METADATA_DEPTH_MAX))
                return -E2BIG;
        text = json_to_text(metadata);
        if (!text)
                return -ENOMEM;
        if (strlen(text) > METADATA_JSON_MAX)
                return -E2BIG;
        report->metadata = TAKE_PTR(text);
        return 0;
}

int run_report_parse(const char *json, size_t n, RunReport *ret)
{
        _cleanup_run_report_ RunReport report = RUN_REPORT_INIT;
        _cleanup_json_ struct json_object *object = NULL;
        int r;

        if (n > REPORT_JSON_MAX)
                return -E2BIG;
        r = json_parse(json, n, &object);
        if (r < 0)
                return r;
        if (!json_object_is_type(object, json_type_object))
                return -EBADMSG;
        if ((r = get_word(object, "stage", sync_stage_from_string, &report.stage)) < 0 ||
            (r = get_text(object, "message", MESSAGE_TEXT_MAX, &report.message)) < 0 ||
            (r = get_count(object, "processed", &report.items_processed)) < 0 ||
            (r = get_count(object, "total", &report.items_total)) < 0 ||
            (r = get_counts(object, &report.counts)) < 0 || (r = parse_accounts(object, &report)) < 0 ||
            (r = get_word(object, "attention", attention_category_from_string, &report.attention)) < 0 ||
            (r = get_text(object, "attention_message", ERROR_TEXT_MAX, &report.attention_message)) < 0 ||
            (r = parse_metadata(object, &report)) < 0 ||
            (r = get_word(object, "outcome", run_outcome_from_string, &report.outcome)) < 0 ||
            (r = get_text(object, "error", ERROR_TEXT_MAX, &report.error)) < 0 ||
            (r = get_count(object, "retry_at_usec", &report.retry_at_usec)) < 0 ||
            (r = get_count(object, "cpu_usec", &report.cpu_usec)) < 0 ||
            (r = get_count(object, "memory_peak_bytes", &report.memory_peak_bytes)) < 0 ||
            (r = get_count(object, "bad_lines", &report.n_bad_lines)) < 0)
                return r;
        if (json_get_bool(object, "retry", &report.retry) < 0 ||
            json_get_bool(object, "read_anew", &report.read_anew) < 0 ||
            json_get_bool(object, "destination_failed", &report.destination_failed) < 0)
                return -EBADMSG;
        *ret = report;
        report = (RunReport) RUN_REPORT_INIT;
        return 0;
}
