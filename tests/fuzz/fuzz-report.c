/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Any text as a worker's report: what is taken is within its limits, and comes back the same when it is written. */

#include <stdint.h>
#include <stdlib.h>

#include "base/string-util.h"
#include "model/report.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
        if (!holds)
                abort();
}

static void check_text(const char *text, size_t limit_bytes)
{
        check(!text || (strlen(text) <= limit_bytes && utf8_is_valid(text, strlen(text))));
}

static void check_counts(const Counts *counts)
{
        check(counts->discovered <= INT64_MAX || counts->discovered == COUNT_UNKNOWN);
        check(counts->added <= INT64_MAX && counts->updated <= INT64_MAX && counts->deduped <= INT64_MAX);
}

static void check_report(const RunReport *report)
{
        check_text(report->message, MESSAGE_TEXT_MAX);
        check_text(report->attention_message, ERROR_TEXT_MAX);
        check_text(report->error, ERROR_TEXT_MAX);
        check_text(report->metadata, METADATA_JSON_MAX);
        check_counts(&report->counts);
        check(report->n_accounts <= ACCOUNTS_PER_RUN_MAX);
        for (size_t i = 0; i < report->n_accounts; i++) {
                check(!isempty(report->accounts[i].name));
                check_text(report->accounts[i].name, ACCOUNT_NAME_MAX);
                check_text(report->accounts[i].error, ERROR_TEXT_MAX);
                check(report->accounts[i].counts.discovered <= INT64_MAX);
                check_counts(&report->accounts[i].counts);
                check(account_status_to_string(report->accounts[i].status));
        }
}

static char *write_report(const RunReport *report)
{
        Buffer buffer = {};
        char *text = NULL;

        run_report_write(report, &buffer);
        check(buffer_take(&buffer, &text) == 0);
        return text;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        RunReport report = RUN_REPORT_INIT, again = RUN_REPORT_INIT;
        char *text, *text_again;

        if (run_report_parse((const char *) data, size, &report) < 0)
                return 0;
        check_report(&report);
        text = write_report(&report);
        check(run_report_parse(text, strlen(text), &again) == 0);
        text_again = write_report(&again);
        check(streq(text, text_again));
        run_report_done(&report);
        run_report_done(&again);
        free(text);
        free(text_again);
        return 0;
}
