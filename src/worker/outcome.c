/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* See outcome.h. The reasons are asked in order, and the first that holds decides. */

#include <signal.h>
#include <sysexits.h>

#include "base/string-util.h"
#include "worker/outcome.h"

/* What an exit status of sysexits.h says; others are a failure that may pass by itself. */
static const struct {
        int status;
        AttentionCategory category;
        bool retry;
} statuses[] = {
        { EX_USAGE, ATTENTION_CONFIGURATION_ERROR, false },
        { EX_DATAERR, ATTENTION_DATA_ERROR, false },
        { EX_NOPERM, ATTENTION_CONNECTION_LOST, false },
        { EX_CONFIG, ATTENTION_CONFIGURATION_ERROR, false },
};

static int set_error(RunReport *report, const char *words)
{
        return MIN(free_and_strdup(&report->error, isempty(words) ? NULL : words), 0);
}

static int fail(RunReport *report, const char *words, AttentionCategory category, bool retry)
{
        report->outcome = RUN_FAILED;
        report->attention = category;
        report->retry = retry;
        return set_error(report, words);
}

/* What the messages asked a person to do, which comes before what can be guessed. */
static AttentionCategory told_category(const Intake *intake)
{
        if (intake->attention >= 0)
                return intake->attention;
        for (const LedgerAccount *row = intake->ledger.accounts; row; row = row->hh.next)
                if (row->account.status == ACCOUNT_FAILED && row->account.category >= 0)
                        return row->account.category;
        return _ATTENTION_INVALID;
}

static const char *first_account_error(const Intake *intake)
{
        for (const LedgerAccount *row = intake->ledger.accounts; row; row = row->hh.next)
                if (row->account.status == ACCOUNT_FAILED && row->account.error)
                        return row->account.error;
        return NULL;
}

static char *describe_exit(const PipelineFailure *failure)
{
        if (failure->reader)
                return asprintf_or_null("%s stopped reading before %s had ended", failure->reader, failure->program);
        if (failure->signal > 0)
                return asprintf_or_null("%s was killed by signal %d (%s)", failure->program, failure->signal,
                                        strsignal(failure->signal));
        return asprintf_or_null("%s ended with status %d", failure->program, failure->status);
}

/* The provider's own words: as a message has them, else as the program's log has them, else how the program ended. */
static int failure_words(const RunFacts *facts, char **ret)
{
        const Intake *intake = facts->intake;
        const char *words = intake->trace_error ?: intake->attention_message ?: intake->fatal;

        if (!words && facts->failed && !facts->failure.reader && facts->failure.signal != SIGPIPE)
                words = facts->failure.words;
        if (!words)
                words = intake->stream_error;
        *ret = words ? strdup(words) : describe_exit(&facts->failure);
        return *ret ? 0 : -ENOMEM;
}

/* The connector itself says to try again. */
static bool says_to_try_again(const RunFacts *facts)
{
        return facts->failure.status == EX_TEMPFAIL || facts->intake->failure == FAILURE_TRANSIENT_ERROR;
}

static char *describe_bad_lines(const Intake *intake)
{
        return asprintf_or_null("%llu of %llu lines cannot be used; the first: %s", (unsigned long long) intake->n_bad,
                                (unsigned long long) intake->n_lines, strna(intake->first_bad));
}

/* Bad lines that came again when they were asked for again: they do not pass by themselves. */
static bool has_lasting_bad_lines(const RunFacts *facts)
{
        return facts->held_back && facts->intake->n_bad > 0;
}

static int prepend_bad_lines(const Intake *intake, char **words)
{
        _cleanup_free_ char *lines = describe_bad_lines(intake);
        char *text = lines ? asprintf_or_null("%s. %s", lines, *words) : NULL;

        if (!text)
                return -ENOMEM;
        free(*words);
        *words = text;
        return 0;
}

static int decide_by_exit(const RunFacts *facts, RunReport *report)
{
        const Intake *intake = facts->intake;
        AttentionCategory category = told_category(intake);
        _cleanup_free_ char *words = NULL;
        bool retry = true;
        int r;

        r = failure_words(facts, &words);
        if (r < 0)
                return r;
        for (size_t i = 0; i < ELEMENTSOF(statuses) && facts->failed; i++)
                if (facts->failure.status == statuses[i].status) {
                        retry = statuses[i].retry;
                        if (category < 0)
                                category = statuses[i].category;
                }
        if (intake->failure == FAILURE_CONFIG_ERROR) {
                retry = false;
                if (category < 0)
                        category = ATTENTION_CONFIGURATION_ERROR;
        }
        if (category < 0 && intake->n_bad > 0 && (!says_to_try_again(facts) || has_lasting_bad_lines(facts)))
                category = ATTENTION_DATA_ERROR;
        if (has_lasting_bad_lines(facts) && prepend_bad_lines(intake, &words) < 0)
                return -ENOMEM;
        /* What a person must mend does not mend itself; but who says to try again is believed. */
        if (category >= 0 && !says_to_try_again(facts))
                retry = false;
        return fail(report, words, category, retry);
}

static bool has_too_many_bad_lines(const Intake *intake)
{
        return intake->n_bad > 0 && intake->n_bad * BAD_LINES_ONE_IN > intake->n_lines;
}

static int decide_by_bad_lines(const Intake *intake, RunReport *report)
{
        _cleanup_free_ char *words = describe_bad_lines(intake);

        return words ? fail(report, words, ATTENTION_DATA_ERROR, false) : -ENOMEM;
}

/* The programs are content. */
static int decide_by_messages(const Intake *intake, RunReport *report)
{
        const char *stream = NULL, *words;
        size_t n_accounts, n_failed = ledger_failed(&intake->ledger, &n_accounts), n_incomplete;
        AttentionCategory category = told_category(intake);

        n_incomplete = intake_incomplete(intake, &stream);
        if (n_failed > 0 && n_failed == n_accounts)
                return fail(report, first_account_error(intake), category, category < 0);
        if (n_failed == 0 && n_incomplete == 0 && category < 0 && intake_retry_at(intake) == 0) {
                report->outcome = RUN_SUCCEEDED;
                return 0;
        }

        report->outcome = RUN_PARTIAL;
        report->attention = category;
        report->retry = (n_failed > 0 || n_incomplete > 0) && category < 0;
        words = first_account_error(intake) ?: intake->attention_message ?: intake->stream_error;
        if (words || n_incomplete == 0)
                return set_error(report, words);
        report->error = asprintf_or_null("stream %s is incomplete%s", stream, n_incomplete > 1 ? ", and others" : "");
        return report->error ? 0 : -ENOMEM;
}

static int decide(const RunFacts *facts, RunReport *report)
{
        const Intake *intake = facts->intake;

        if (facts->cancelled) {
                report->outcome = RUN_CANCELLED;
                return 0;
        }
        if (facts->start_error)
                return fail(report, facts->start_error, ATTENTION_CONFIGURATION_ERROR, false);
        if (facts->destination_error) {
                report->destination_failed = facts->undelivered;
                report->retry_at_usec = facts->destination_category < 0 ? facts->destination_retry_at_usec : 0;
                return fail(report, facts->destination_error, facts->destination_category,
                            facts->destination_category < 0);
        }
        if (facts->failed || intake->trace_error)
                return decide_by_exit(facts, report);
        if (intake->cursor_refused)
                return fail(report, intake->first_bad, ATTENTION_DATA_ERROR, false);
        if (has_too_many_bad_lines(intake))
                return decide_by_bad_lines(intake, report);
        return decide_by_messages(intake, report);
}

bool outcome_passes_bad_lines(const RunFacts *facts)
{
        const Intake *intake = facts->intake;

        if (!intake || intake->n_bad == 0)
                return true;
        if (facts->cancelled || has_too_many_bad_lines(intake) || intake->cursor_refused)
                return false;
        /* Who fails is tried again from before them, once: what they should have said may come then. */
        return (!facts->failed && !intake->trace_error) || has_lasting_bad_lines(facts);
}

int outcome_decide(const RunFacts *facts, RunReport *report)
{
        const Intake *intake = facts->intake;
        usec_t retry_at_usec;
        int r = decide(facts, report);

        if (r < 0 || !intake)
                return r;
        retry_at_usec = intake_retry_at(intake);
        if (retry_at_usec > 0 && report->outcome != RUN_SUCCEEDED && report->outcome != RUN_CANCELLED) {
                report->retry = true;
                report->retry_at_usec = MAX(report->retry_at_usec, retry_at_usec);
        }
        if (report->attention >= 0) {
                const char *words = report->attention == intake->attention ? intake->attention_message : NULL;

                r = free_and_strdup(&report->attention_message, words ?: report->error);
        }
        return MIN(r, 0);
}
