/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "ctl/time-parse.h"

#include <stdlib.h>
#include <time.h>

#include "base/string-util.h"
#include "base/time-util.h"

/* The start of a day, some days from that of @now. */
static int parse_day(usec_t now, int days, struct tm *tm)
{
        time_t seconds = (time_t) (now / USEC_PER_SEC);

        if (!localtime_r(&seconds, tm))
                return -ERANGE;
        tm->tm_hour = tm->tm_min = tm->tm_sec = 0;
        tm->tm_mday += days;
        return 0;
}

/* What strptime() made of a text must be a day that exists: mktime() would take February 30 for March 2. */
static int to_usec(struct tm *tm, bool utc, bool exact, usec_t *ret)
{
        struct tm wanted = *tm;
        time_t seconds;

        tm->tm_isdst = -1;
        seconds = utc ? timegm(tm) : mktime(tm);
        if (exact && (tm->tm_mday != wanted.tm_mday || tm->tm_mon != wanted.tm_mon))
                return -EINVAL;
        if (seconds < 0)
                return -ERANGE;
        *ret = (usec_t) seconds * USEC_PER_SEC;
        return 0;
}

static int parse_calendar(const char *text, usec_t now, usec_t *ret)
{
        static const char *const formats[] = { "%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M", "%Y-%m-%d", "%H:%M:%S",
                                               "%H:%M" };
        int r;

        for (size_t i = 0; i < ELEMENTSOF(formats); i++) {
                bool has_day = startswith(formats[i], "%Y");
                struct tm tm = {};
                const char *end;
                bool utc;

                if (!has_day && (r = parse_day(now, 0, &tm)) < 0)
                        return r;
                end = strptime(text, formats[i], &tm);
                if (!end)
                        continue;
                utc = streq(end, " UTC");
                if (end[0] == '\0' || (utc && has_day))
                        return to_usec(&tm, utc, has_day, ret);
        }
        return -EINVAL;
}

static int parse_word(const char *text, usec_t now, usec_t *ret)
{
        static const struct {
                const char *word;
                int days;
        } words[] = { { "today", 0 }, { "yesterday", -1 }, { "tomorrow", 1 } };
        struct tm tm;
        int r;

        if (streq(text, "now")) {
                *ret = now;
                return 0;
        }
        for (size_t i = 0; i < ELEMENTSOF(words); i++)
                if (streq(text, words[i].word)) {
                        r = parse_day(now, words[i].days, &tm);
                        return r < 0 ? r : to_usec(&tm, false, false, ret);
                }
        return -EINVAL;
}

/* "2h ago", "-2h", "2h"; "+2h", "2h left". */
static int parse_distance(const char *text, usec_t now, usec_t *ret)
{
        bool later = text[0] == '+', sign = later || text[0] == '-', left = !sign && endswith(text, " left");
        _cleanup_free_ char *copy = strdup(text + sign);
        usec_t span, usec;
        int r;

        if (!copy)
                return -ENOMEM;
        if (left || (!sign && endswith(text, " ago")))
                *strrchr(copy, ' ') = '\0';
        r = timespan_parse(copy, USEC_PER_SEC, &span);
        if (r < 0)
                return r;
        if (span == USEC_INFINITY)
                return -ERANGE;
        usec = later || left ? usec_add(now, span) : usec_sub(now, span);
        if (usec == USEC_INFINITY)
                return -ERANGE;
        *ret = usec;
        return 0;
}

int time_parse(const char *text, usec_t now, usec_t *ret_usec)
{
        uint64_t seconds;
        int r;

        if (timestamp_parse_iso(text, ret_usec) >= 0)
                return 0;
        if (text[0] == '@') {
                r = parse_uint64(text + 1, &seconds);
                if (r >= 0 && seconds >= USEC_INFINITY / USEC_PER_SEC)
                        r = -ERANGE;
                if (r >= 0)
                        *ret_usec = seconds * USEC_PER_SEC;
                return r;
        }
        r = parse_word(text, now, ret_usec);
        if (r == -EINVAL)
                r = parse_calendar(text, now, ret_usec);
        return r == -EINVAL ? parse_distance(text, now, ret_usec) : r;
}
