/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Points in time and time spans as text, in and out. Nothing here waits or sets a timer. */

#include <ctype.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/civil.h"
#include "base/time-util.h"

#define USEC_PER_WEEK   (7ULL * USEC_PER_DAY)
#define USEC_PER_MONTH  (2629800ULL * USEC_PER_SEC)  /* a twelfth of a year */
#define USEC_PER_YEAR   (31557600ULL * USEC_PER_SEC) /* 365.25 days */
#define SPAN_WHITESPACE " \t\n\r"
#define DIGITS          "0123456789"
#define YEAR_10000_SEC  INT64_C(253402300800) /* the first second that has no four-digit year */

usec_t now_usec(clockid_t clock)
{
        struct timespec ts = {};

        (void) clock_gettime(clock, &ts); /* cannot fail for a clock that exists */
        return (usec_t) ts.tv_sec * USEC_PER_SEC + (usec_t) ts.tv_nsec / NSEC_PER_USEC;
}

/* The unit that text begins with and where it ends; the longest name wins ("msec" before "ms" before "m"). */
static const char *span_unit_parse(const char *text, usec_t *ret_usec)
{
        static const struct {
                const char *name;
                usec_t usec;
        } units[] = {
                { "seconds", USEC_PER_SEC },
                { "second", USEC_PER_SEC },
                { "sec", USEC_PER_SEC },
                { "s", USEC_PER_SEC },
                { "minutes", USEC_PER_MINUTE },
                { "minute", USEC_PER_MINUTE },
                { "min", USEC_PER_MINUTE },
                { "m", USEC_PER_MINUTE },
                { "months", USEC_PER_MONTH },
                { "month", USEC_PER_MONTH },
                { "M", USEC_PER_MONTH },
                { "hours", USEC_PER_HOUR },
                { "hour", USEC_PER_HOUR },
                { "hr", USEC_PER_HOUR },
                { "h", USEC_PER_HOUR },
                { "days", USEC_PER_DAY },
                { "day", USEC_PER_DAY },
                { "d", USEC_PER_DAY },
                { "weeks", USEC_PER_WEEK },
                { "week", USEC_PER_WEEK },
                { "w", USEC_PER_WEEK },
                { "years", USEC_PER_YEAR },
                { "year", USEC_PER_YEAR },
                { "y", USEC_PER_YEAR },
                { "msec", USEC_PER_MSEC },
                { "ms", USEC_PER_MSEC },
                { "usec", 1 },
                { "us", 1 },
                { "\u03bcs", 1 }, /* the Greek letter */
                { "\u00b5s", 1 }, /* the micro sign */
        };
        size_t best = 0;

        for (size_t i = 0; i < ELEMENTSOF(units); i++) {
                size_t length = strlen(units[i].name);

                if (length > best && strncmp(text, units[i].name, length) == 0) {
                        best = length;
                        *ret_usec = units[i].usec;
                }
        }
        return text + best;
}

/* Digits, up to the first other character: "" gives 0. */
static int digits_parse(const char **text, uint64_t *ret_value)
{
        uint64_t value = 0;

        for (; isdigit((unsigned char) **text); (*text)++)
                if (__builtin_mul_overflow(value, 10U, &value) ||
                    __builtin_add_overflow(value, (unsigned) (**text - '0'), &value))
                        return -ERANGE;

        *ret_value = value;
        return 0;
}

/* One number with an optional unit, e.g. "5.25 s". Digits of a fraction finer than the unit allows are cut. */
static int span_part_parse(const char **text, usec_t default_unit, usec_t *ret_usec)
{
        const char *p = *text, *fraction = NULL, *number_end, *unit_start;
        usec_t unit = default_unit, usec;
        uint64_t whole;
        size_t n_fraction = 0, n_whole;

        if (*p == '+' && isdigit((unsigned char) p[1]))
                p++;
        n_whole = strspn(p, DIGITS);
        if (digits_parse(&p, &whole) < 0)
                return -ERANGE;

        if (*p == '.') {
                fraction = p + 1;
                n_fraction = strspn(fraction, DIGITS);
                p = fraction + n_fraction;
                if (n_fraction == 0)
                        return -EINVAL;
        } else if (n_whole == 0)
                return -EINVAL;

        number_end = p;
        unit_start = p + strspn(p, SPAN_WHITESPACE);
        p = span_unit_parse(unit_start, &unit);
        if (p == unit_start && p == number_end && *p != '\0') /* "5-5", "1.5.5" */
                return -EINVAL;

        if (__builtin_mul_overflow(whole, unit, &usec))
                return -ERANGE;
        for (size_t i = 0; i < n_fraction && unit > 0; i++) {
                unit /= 10;
                if (__builtin_add_overflow(usec, unit * (unsigned) (fraction[i] - '0'), &usec))
                        return -ERANGE;
        }

        *text = p;
        *ret_usec = usec;
        return 0;
}

int timespan_parse(const char *text, usec_t default_unit, usec_t *ret_usec)
{
        static const char infinity[] = "infinity";
        const char *p = text + strspn(text, SPAN_WHITESPACE);
        usec_t sum = 0, part;
        int r;

        if (strncmp(p, infinity, strlen(infinity)) == 0) {
                p += strlen(infinity);
                if (p[strspn(p, SPAN_WHITESPACE)] != '\0')
                        return -EINVAL;
                *ret_usec = USEC_INFINITY;
                return 0;
        }

        do {
                r = span_part_parse(&p, default_unit, &part);
                if (r < 0)
                        return r;
                if (__builtin_add_overflow(sum, part, &sum) || sum == USEC_INFINITY)
                        return -ERANGE;
                p += strspn(p, SPAN_WHITESPACE);
        } while (*p != '\0');

        *ret_usec = sum;
        return 0;
}

typedef struct SpanUnit {
        const char *suffix;
        usec_t usec;
} SpanUnit;

static const SpanUnit span_units[] = {
        { "y", USEC_PER_YEAR }, { "month", USEC_PER_MONTH }, { "w", USEC_PER_WEEK },
        { "d", USEC_PER_DAY },  { "h", USEC_PER_HOUR },      { "min", USEC_PER_MINUTE },
        { "s", USEC_PER_SEC },  { "ms", USEC_PER_MSEC },     { "us", 1 },
};

/* How many digits the parts below a unit take, e.g. 6 for seconds, less those that are finer than accuracy. */
static int fraction_digits(usec_t unit, usec_t accuracy)
{
        int digits = 0;

        for (; unit > 1; unit /= 10)
                digits++;
        for (; accuracy > 1; accuracy /= 10)
                digits--;
        return digits;
}

static usec_t drop_digits(usec_t value, usec_t accuracy)
{
        for (; accuracy > 1; accuracy /= 10)
                value /= 10;
        return value;
}

static _printf_(3, 4) size_t append(char *buf, size_t size, const char *format, ...)
{
        size_t length = strnlen(buf, size);
        va_list args;

        if (length + 1 >= size)
                return length;
        va_start(args, format);
        (void) vsnprintf(buf + length, size - length, format, args);
        va_end(args);
        return strlen(buf);
}

char *timespan_format(char *buf, size_t size, usec_t usec, usec_t accuracy)
{
        if (size == 0)
                return buf;
        buf[0] = '\0';
        if (usec == USEC_INFINITY || usec == 0) {
                append(buf, size, "%s", usec == 0 ? "0" : "infinity");
                return buf;
        }

        for (size_t i = 0; i < ELEMENTSOF(span_units) && usec > 0; i++) {
                const SpanUnit *unit = &span_units[i];
                const char *space = buf[0] != '\0' ? " " : "";
                usec_t whole = usec / unit->usec, rest = usec % unit->usec;
                int digits = fraction_digits(unit->usec, accuracy);

                if (usec < accuracy && buf[0] != '\0')
                        break;
                if (whole == 0)
                        continue;

                /* Below a minute the rest is the unit's fraction, not a further unit. */
                if (usec < USEC_PER_MINUTE && rest > 0 && digits > 0) {
                        append(buf, size, "%s%" PRIu64 ".%0*" PRIu64 "%s", space, whole, digits,
                               drop_digits(rest, accuracy), unit->suffix);
                        break;
                }
                append(buf, size, "%s%" PRIu64 "%s", space, whole, unit->suffix);
                usec = rest;
        }
        return buf;
}

char *timespan_relative(char *buf, size_t size, usec_t usec, usec_t now)
{
        /* The finer unit that says enough beside a unit of span_units[]: months beside years, days beside weeks. */
        static const uint8_t finer[] = { 1, 3, 3, 4, 5, 6 };
        usec_t distance = usec > now ? usec - now : now - usec;
        size_t i = 0;

        if (size == 0)
                return buf;
        buf[0] = '\0';
        if (usec == USEC_INFINITY || distance < USEC_PER_SEC) {
                append(buf, size, "%s", usec == USEC_INFINITY ? "never" : "now");
                return buf;
        }

        while (distance < span_units[i].usec)
                i++;
        append(buf, size, "%s%" PRIu64 "%s", usec > now ? "in " : "", distance / span_units[i].usec,
               span_units[i].suffix);
        if (i < ELEMENTSOF(finer)) {
                const SpanUnit *unit = &span_units[finer[i]];
                usec_t rest = distance % span_units[i].usec / unit->usec;

                if (rest > 0)
                        append(buf, size, " %" PRIu64 "%s", rest, unit->suffix);
        }
        if (usec < now)
                append(buf, size, " ago");
        return buf;
}

/* @n digits and what comes after them. Return: behind it. */
static char *fixed_format(char *p, unsigned value, size_t n, char separator)
{
        for (size_t i = n; i > 0; i--, value /= 10)
                p[i - 1] = (char) ('0' + value % 10);
        p[n] = separator;
        return p + n + 1;
}

char *timestamp_format_iso(char *buf, size_t size, usec_t usec)
{
        unsigned fraction = (unsigned) (usec % USEC_PER_SEC);
        char text[TIMESTAMP_TEXT_MAX], *p = text;
        CivilTime civil;
        size_t n;

        if (usec / USEC_PER_SEC >= (usec_t) YEAR_10000_SEC || size == 0)
                return NULL;
        civil_from_seconds((int64_t) (usec / USEC_PER_SEC), &civil);
        p = fixed_format(p, (unsigned) civil.year, 4, '-');
        p = fixed_format(p, (unsigned) civil.month, 2, '-');
        p = fixed_format(p, (unsigned) civil.day, 2, 'T');
        p = fixed_format(p, (unsigned) civil.hour, 2, ':');
        p = fixed_format(p, (unsigned) civil.minute, 2, ':');
        p = fixed_format(p, (unsigned) civil.second, 2, fraction > 0 ? '.' : 'Z');
        if (fraction > 0)
                p = fixed_format(p, fraction, 6, 'Z');
        n = MIN((size_t) (p - text), size - 1);
        memcpy(buf, text, n);
        buf[n] = '\0';
        return buf;
}

/* Exactly n digits, then the separator (0: none). */
static int fixed_parse(const char **text, size_t n, char separator, int *ret_value)
{
        int value = 0;

        for (size_t i = 0; i < n; i++) {
                if (!isdigit((unsigned char) (*text)[i]))
                        return -EINVAL;
                value = value * 10 + ((*text)[i] - '0');
        }
        if (separator != '\0' && (*text)[n] != separator)
                return -EINVAL;

        *text += n + (separator != '\0');
        *ret_value = value;
        return 0;
}

/* "Z", "+02:00", "-00:30": how far the wall clock is ahead of UTC. */
static int offset_parse(const char **text, int *ret_seconds)
{
        const char *p = *text;
        int sign, hours, minutes;

        if (*p == 'Z' || *p == 'z') {
                *text = p + 1;
                *ret_seconds = 0;
                return 0;
        }
        if (*p != '+' && *p != '-')
                return -EINVAL;
        sign = *p++ == '-' ? -1 : 1;
        if (fixed_parse(&p, 2, ':', &hours) < 0 || fixed_parse(&p, 2, '\0', &minutes) < 0 || hours > 23 ||
            minutes > 59)
                return -EINVAL;

        *text = p;
        *ret_seconds = sign * (hours * 3600 + minutes * 60);
        return 0;
}

/* ".5" as microseconds; nothing there is 0. */
static int fraction_parse(const char **text, usec_t *ret_usec)
{
        usec_t usec = 0, digit = USEC_PER_SEC;
        const char *p = *text;

        if (*p == '.') {
                if (!isdigit((unsigned char) *++p))
                        return -EINVAL;
                for (; isdigit((unsigned char) *p); p++) {
                        digit /= 10;
                        usec += digit * (unsigned) (*p - '0');
                }
        }

        *text = p;
        *ret_usec = usec;
        return 0;
}

int timestamp_parse_iso(const char *text, usec_t *ret_usec)
{
        const char *p = text;
        int year, offset;
        CivilTime civil;
        int64_t seconds;
        usec_t fraction;

        if (fixed_parse(&p, 4, '-', &year) < 0 || fixed_parse(&p, 2, '-', &civil.month) < 0 ||
            fixed_parse(&p, 2, '\0', &civil.day) < 0)
                return -EINVAL;
        if (*p == '\0' || !strchr("Tt ", *p))
                return -EINVAL;
        p++;
        if (fixed_parse(&p, 2, ':', &civil.hour) < 0 || fixed_parse(&p, 2, ':', &civil.minute) < 0 ||
            fixed_parse(&p, 2, '\0', &civil.second) < 0 || fraction_parse(&p, &fraction) < 0 ||
            offset_parse(&p, &offset) < 0 || *p != '\0')
                return -EINVAL;

        civil.year = year;
        if (civil.month < 1 || civil.month > 12 || civil.day < 1 || civil.day > civil_month_days(year, civil.month) ||
            civil.hour > 23 || civil.minute > 59)
                return -EINVAL;
        if (civil.second > 59 + (civil.minute == 59)) /* a leap second counts as the second after it, as in POSIX */
                return -EINVAL;

        seconds = civil_to_seconds(&civil) - offset;
        if (seconds < 0 || seconds >= YEAR_10000_SEC)
                return -ERANGE;

        *ret_usec = (usec_t) seconds * USEC_PER_SEC + fraction;
        return 0;
}

char *timestamp_format_local(char *buf, size_t size, usec_t usec)
{
        /* strftime()'s %a would follow the locale */
        static const char weekdays[][4] = { "Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat" };
        time_t seconds = (time_t) (usec / USEC_PER_SEC);
        struct tm tm;

        if (usec / USEC_PER_SEC >= (usec_t) YEAR_10000_SEC || size == 0)
                return NULL;
        tzset(); /* localtime_r() need not notice that the zone has changed */
        if (!localtime_r(&seconds, &tm) || tm.tm_year + 1900 > 9999)
                return NULL;

        buf[0] = '\0';
        append(buf, size, "%s %04d-%02d-%02d %02d:%02d:%02d %s", weekdays[tm.tm_wday], tm.tm_year + 1900,
               tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, tm.tm_zone);
        return buf;
}
