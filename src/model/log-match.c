/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "model/log-match.h"

#include <stdlib.h>
#include <string.h>

#include "base/fd-util.h"
#include "base/json-util.h"
#include "base/names.h"
#include "base/string-util.h"

/* A group of matches begins. */
static int begin(char ***words)
{
        return *words ? strv_extend(words, "+") : 0;
}

static int by_unit(char ***words, const char *by_run, const char *worker_unit)
{
        int r;

        r = strv_extend(words, by_run);
        if (r >= 0)
                r = strv_extend(words, "_SYSTEMD_UNIT=" SYNCRUN_DAEMON_UNIT);
        return r >= 0 && worker_unit ? strv_extend(words, worker_unit) : r;
}

static int by_user(char ***words, const char *by_run, const uid_t *uids, size_t n)
{
        int r;

        r = begin(words);
        if (r >= 0)
                r = strv_extend(words, by_run);
        for (size_t i = 0; r >= 0 && i < n; i++)
                r = strv_consume(words, asprintf_or_null("_UID=%u", (unsigned) uids[i]));
        return r;
}

static int by_invocation(char ***words, const char *invocation_id)
{
        int r;

        r = begin(words);
        if (r >= 0)
                r = strv_consume(words, asprintf_or_null("_SYSTEMD_INVOCATION_ID=%s", invocation_id));
        if (r >= 0)
                r = begin(words);
        if (r >= 0)
                r = strv_consume(words, asprintf_or_null("INVOCATION_ID=%s", invocation_id));
        return r < 0 ? r : strv_extend(words, "_PID=1");
}

int log_match_words(const LogMatch *match, char ***ret)
{
        _cleanup_free_ char *by_run = asprintf_or_null(FIELD_RUN_ID "=%s", match->run_id), *unit = NULL;
        _cleanup_strv_free_ char **words = NULL;
        uid_t uids[2];
        size_t n = 0;
        int r;

        if (!isempty(match->connector)) {
                unit = asprintf_or_null("_SYSTEMD_UNIT=" SYNCRUN_UNIT_PREFIX "%s" SYNCRUN_UNIT_SUFFIX,
                                        match->connector);
                if (!unit)
                        return -ENOMEM;
                if (match->worker_uid != (uid_t) -1)
                        uids[n++] = match->worker_uid;
        }
        if (match->daemon_uid != (uid_t) -1)
                uids[n++] = match->daemon_uid;
        if (!by_run)
                return -ENOMEM;
        r = by_unit(&words, by_run, unit);
        if (r >= 0 && n > 0)
                r = by_user(&words, by_run, uids, n);
        if (r >= 0 && !isempty(match->invocation_id))
                r = by_invocation(&words, match->invocation_id);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(words);
        return 0;
}

uid_t log_match_worker_uid(const char *directory, const char *connector)
{
        _cleanup_free_ char *name = asprintf_or_null(SYNCRUN_WORKER_USER_PREFIX "%s", connector), *path = NULL,
                            *text = NULL;
        _cleanup_json_ struct json_object *record = NULL;
        const char *recorded = "";
        uint64_t uid;

        path = name ? asprintf_or_null("%s/%s.user", directory, name) : NULL;
        if (!path || read_file(path, USER_RECORD_LIMIT_BYTES, &text, NULL) < 0 ||
            json_parse(text, strlen(text), &record) < 0)
                return (uid_t) -1;
        (void) json_get_string(record, "userName", &recorded);
        if (!streq(recorded, name) || json_get_uint(record, "uid", &uid) <= 0 || uid >= (uid_t) -1)
                return (uid_t) -1;
        return (uid_t) uid;
}
