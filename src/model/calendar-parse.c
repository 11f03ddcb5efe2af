/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The grammar of calendar events. What values make sense is judged in calendar-normal. */

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/civil.h"
#include "base/string-util.h"
#include "model/calendar-spec.h"

#define SECOND_DIGITS 6

static CalendarChain chain_done(CalendarChain *chain)
{
        free(chain->ranges);
        return (CalendarChain){};
}

static void chain_donep(CalendarChain *chain)
{
        (void) chain_done(chain);
}

static int chain_append(CalendarChain *chain, const CalendarRange *range)
{
        CalendarRange *ranges;

        if (chain->n_ranges >= CALENDAR_RANGES_MAX)
                return -E2BIG;
        ranges = reallocarray(chain->ranges, chain->n_ranges + 1, sizeof *ranges);
        if (!ranges)
                return -ENOMEM;
        ranges[chain->n_ranges++] = *range;
        chain->ranges = ranges;
        return 0;
}

static void chain_move(CalendarChain *to, CalendarChain *from)
{
        (void) chain_done(to);
        *to = *from;
        *from = (CalendarChain){};
}

/* Digits after a decimal point as microseconds, the seventh one rounded. */
static int fraction_parse(const char **text, int64_t *ret_usec)
{
        const char *p = *text;
        int64_t usec = 0;

        if (!isdigit((unsigned char) *p))
                return -EINVAL;
        for (unsigned i = 0; i < SECOND_DIGITS; i++)
                usec = usec * 10 + (isdigit((unsigned char) *p) ? *p++ - '0' : 0);
        if (*p >= '5' && *p <= '9')
                usec++;
        while (isdigit((unsigned char) *p))
                p++;

        *text = p;
        *ret_usec = usec;
        return 0;
}

/* A number; where it counts seconds, in microseconds and possibly with a fraction. */
static int number_parse(const char **text, bool seconds, int32_t *ret_value)
{
        const char *p = *text;
        int64_t value = 0, usec = 0;
        int r;

        if (!isdigit((unsigned char) *p))
                return -EINVAL;
        for (; isdigit((unsigned char) *p); p++) {
                value = value * 10 + (*p - '0');
                if (value > INT32_MAX)
                        return -ERANGE;
        }
        if (seconds) {
                if (p[0] == '.' && p[1] != '.') { /* two are a range's */
                        p++;
                        r = fraction_parse(&p, &usec);
                        if (r < 0)
                                return r;
                }
                value = value * (int64_t) USEC_PER_SEC + usec;
                if (value > INT32_MAX)
                        return -ERANGE;
        }

        *text = p;
        *ret_value = (int32_t) value;
        return 0;
}

static int range_parse(const char **text, bool seconds, CalendarRange *ret_range)
{
        const char *p = *text;
        CalendarRange range = { .last = -1 };
        int r;

        r = number_parse(&p, seconds, &range.first);
        if (r < 0)
                return r;
        if (p[0] == '.' && p[1] == '.') {
                p += 2;
                r = number_parse(&p, seconds, &range.last);
                if (r < 0)
                        return r;
                range.step = seconds ? (int32_t) USEC_PER_SEC : 1;
                /* Less than the step that is meant where none is written. */
                if (seconds && *p != '/' && (int64_t) range.first + range.step > range.last)
                        return -EINVAL;
        }
        if (*p == '/') {
                p++;
                r = number_parse(&p, seconds, &range.step);
                if (r < 0)
                        return r;
                if (range.step == 0)
                        return -ERANGE;
        }
        if (*p != '\0' && !strchr(" ,-~:", *p))
                return -EINVAL;

        *text = p;
        *ret_range = range;
        return 0;
}

/* "*", or ranges with commas between them. */
static int chain_parse(const char **text, bool seconds, CalendarChain *ret_chain)
{
        static const CalendarRange each_second = { .last = -1, .step = (int32_t) USEC_PER_SEC };
        _cleanup_(chain_donep) CalendarChain chain = {};
        const char *p = *text;
        CalendarRange range;
        int r;

        if (*p == '*') {
                p++;
                r = seconds ? chain_append(&chain, &each_second) : 0;
                if (r < 0)
                        return r;
        } else
                for (;;) {
                        r = range_parse(&p, seconds, &range);
                        if (r >= 0)
                                r = chain_append(&chain, &range);
                        if (r < 0)
                                return r;
                        if (*p != ',')
                                break;
                        p++;
                }

        chain_move(ret_chain, &chain);
        *text = p;
        return 0;
}

/* Return: 0 (Monday) … 6; -ENOENT: no day of the week stands here; -EINVAL: one with something unfit behind it. */
static int weekday_name_parse(const char **text)
{
        static const char *const names[] = { "Monday", "Tuesday",  "Wednesday", "Thursday",
                                             "Friday", "Saturday", "Sunday" };
        const char *p = *text;

        for (size_t i = 0; i < ELEMENTSOF(names); i++) {
                if (strncasecmp(p, names[i], 3) != 0)
                        continue;
                p += strncasecmp(p, names[i], strlen(names[i])) == 0 ? strlen(names[i]) : 3;
                if (*p != '\0' && !strchr("-., ", *p))
                        return -EINVAL;
                *text = p;
                return (int) i;
        }
        return -ENOENT;
}

/* "Mon,Wed..Fri " and the spaces behind it; nothing is every day. */
static int weekdays_parse(const char **text, uint8_t *ret_weekdays)
{
        const char *p = *text;
        uint8_t weekdays = 0;
        int range_from = -1;

        for (;;) {
                int day = weekday_name_parse(&p);

                if (day == -ENOENT && weekdays == 0) {
                        *ret_weekdays = CALENDAR_ALL_WEEKDAYS;
                        return 0;
                }
                if (day < 0 || range_from > day)
                        return -EINVAL;
                for (int i = range_from >= 0 ? range_from : day; i <= day; i++)
                        weekdays |= (uint8_t) (1U << i);

                if (*p == '\0' || *p == ' ')
                        break;
                if (*p == ',') {
                        range_from = -1;
                        p++;
                        if (*p == '\0' || *p == ' ')
                                break;
                        continue;
                }
                if (range_from >= 0 || (*p == '.' && p[1] != '.')) /* "Mon..Tue..Wed", "Mon." */
                        return -EINVAL;
                range_from = day;
                p += *p == '.' ? 2 : 1; /* "Mon-Fri" is the old way */
        }

        *text = p + strspn(p, " ");
        *ret_weekdays = weekdays;
        return 0;
}

/* One value for each field. */
static int chains_from_seconds(uint64_t seconds, CalendarSpec *spec)
{
        CivilTime civil;
        int r;

        civil_from_seconds((int64_t) seconds, &civil);
        if (civil.year > CALENDAR_YEAR_MAX)
                return -ERANGE;

        const int32_t values[_CALENDAR_FIELD_MAX] = {
                [CALENDAR_YEAR] = (int32_t) civil.year,
                [CALENDAR_MONTH] = civil.month,
                [CALENDAR_DAY] = civil.day,
                [CALENDAR_HOUR] = civil.hour,
                [CALENDAR_MINUTE] = civil.minute,
                [CALENDAR_SECOND] = civil.second * (int32_t) USEC_PER_SEC,
        };
        for (CalendarField field = 0; field < _CALENDAR_FIELD_MAX; field++) {
                r = chain_append(&spec->chains[field], &(CalendarRange){ .first = values[field], .last = -1 });
                if (r < 0)
                        return r;
        }
        return 0;
}

/* "@1395716396": seconds since 1970 in UTC, whatever zone is written behind it. */
static int unix_time_parse(const char *text, CalendarSpec *spec)
{
        uint64_t seconds;
        int r;

        r = parse_uint64(text, &seconds);
        if (r < 0)
                return r;
        if (seconds > UINT32_MAX * UINT64_C(4)) /* well after the last year, and safe to compute with */
                return -ERANGE;

        spec->zone = zone_unref(spec->zone);
        r = zone_open_fixed("UTC", 0, &spec->zone);
        if (r < 0)
                return r;
        r = free_and_strdup(&spec->zone_text, "UTC");
        if (r < 0)
                return r;
        return chains_from_seconds(seconds, spec);
}

static int separator_parse(const char **text, bool *ret_from_month_end)
{
        if (**text != '-' && **text != '~')
                return -EINVAL;
        *ret_from_month_end = *(*text)++ == '~';
        return 0;
}

static bool at_word_end(const char *p)
{
        return *p == '\0' || *p == ' ';
}

/* "2026-02~01", "02-28" and the spaces behind it; nothing (a time follows, or nothing at all) is every day. */
static int date_parse(const char **text, CalendarSpec *spec)
{
        _cleanup_(chain_donep) CalendarChain first = {}, second = {}, third = {};
        const char *p = *text;
        bool from_month_end;
        int r;

        if (*p == '\0')
                return 0;
        r = chain_parse(&p, /* seconds= */ false, &first);
        if (r < 0)
                return r;
        if (*p == '\0' || *p == ':')
                return 0;

        r = separator_parse(&p, &from_month_end);
        if (r >= 0)
                r = chain_parse(&p, /* seconds= */ false, &second);
        if (r < 0)
                return r;
        if (at_word_end(p)) {
                chain_move(&spec->chains[CALENDAR_MONTH], &first);
                chain_move(&spec->chains[CALENDAR_DAY], &second);
        } else {
                if (from_month_end) /* "2026~02-28" */
                        return -EINVAL;
                r = separator_parse(&p, &from_month_end);
                if (r >= 0)
                        r = chain_parse(&p, /* seconds= */ false, &third);
                if (r < 0)
                        return r;
                if (!at_word_end(p))
                        return -EINVAL;
                chain_move(&spec->chains[CALENDAR_YEAR], &first);
                chain_move(&spec->chains[CALENDAR_MONTH], &second);
                chain_move(&spec->chains[CALENDAR_DAY], &third);
        }

        spec->from_month_end = from_month_end;
        *text = p + strspn(p, " ");
        return 0;
}

/* "HH:MM" or "HH:MM:SS" up to the end of the text; nothing is midnight. */
static int time_parse(const char *text, CalendarSpec *spec)
{
        const char *p = *text == '\0' ? "0:0:0" : text, *zero = "0";
        int r;

        r = chain_parse(&p, /* seconds= */ false, &spec->chains[CALENDAR_HOUR]);
        if (r < 0)
                return r;
        if (*p++ != ':')
                return -EINVAL;
        r = chain_parse(&p, /* seconds= */ false, &spec->chains[CALENDAR_MINUTE]);
        if (r < 0)
                return r;
        if (*p != '\0' && *p++ != ':')
                return -EINVAL;
        r = chain_parse(p[-1] == ':' ? &p : &zero, /* seconds= */ true, &spec->chains[CALENDAR_SECOND]);
        if (r < 0)
                return r;
        return *p == '\0' ? 0 : -EINVAL;
}

static const char *shorthand_expand(const char *text)
{
        static const struct {
                const char *word, *meaning;
        } shorthands[] = {
                { "minutely", "*-*-* *:*:00" },
                { "hourly", "*-*-* *:00:00" },
                { "daily", "*-*-* 00:00:00" },
                { "weekly", "Mon *-*-* 00:00:00" },
                { "monthly", "*-*-01 00:00:00" },
                { "quarterly", "*-01,04,07,10-01 00:00:00" },
                { "semiannually", "*-01,07-01 00:00:00" },
                { "semi-annually", "*-01,07-01 00:00:00" },
                { "biannually", "*-01,07-01 00:00:00" },
                { "bi-annually", "*-01,07-01 00:00:00" },
                { "yearly", "*-01-01 00:00:00" },
                { "annually", "*-01-01 00:00:00" },
                { "anually", "*-01-01 00:00:00" }, /* systemd's own old misspelling */
        };

        for (size_t i = 0; i < ELEMENTSOF(shorthands); i++)
                if (strcasecmp(text, shorthands[i].word) == 0)
                        return shorthands[i].meaning;
        return text;
}

/* An event whose zone has been cut off. */
static int event_parse(const char *text, CalendarSpec *spec)
{
        const char *p = shorthand_expand(text);
        int r;

        if (*p == '\0')
                return -EINVAL;
        r = weekdays_parse(&p, &spec->weekdays);
        if (r < 0)
                return r;
        if (*p == '@')
                return unix_time_parse(p + 1, spec);
        r = date_parse(&p, spec);
        if (r < 0)
                return r;
        return time_parse(p, spec);
}

static int spec_parse(const char *text, const char *end, Zone *zone, const char *zone_text, CalendarSpec **ret_spec)
{
        _cleanup_(calendar_spec_freep) CalendarSpec *spec = calloc(1, sizeof(CalendarSpec));
        _cleanup_free_ char *event = strndup(text, (size_t) (end - text));
        int r;

        if (!spec || !event)
                return -ENOMEM;
        spec->zone = zone_ref(zone);
        r = free_and_strdup(&spec->zone_text, zone_text);
        if (r < 0)
                return r;
        r = event_parse(event, spec);
        if (r < 0)
                return r;

        r = calendar_spec_normalize(spec);
        if (r < 0)
                return r;

        *ret_spec = TAKE_PTR(spec);
        return 0;
}

/* Where the word @suffix begins at the end of a text, with the space before it; NULL if it does not stand there. */
static const char *suffix_find(const char *text, const char *suffix)
{
        size_t n = strlen(text), n_suffix = strlen(suffix);
        const char *p;

        if (n <= n_suffix)
                return NULL;
        p = text + n - n_suffix;
        return p[-1] == ' ' && strcasecmp(p, suffix) == 0 ? p - 1 : NULL;
}

/* A zone that need not be looked up: UTC, or one of the local zone's own abbreviations, which is that offset all year.
 * Return: 1 if one stands at the end, and where that begins; else 0. */
static int fixed_zone_parse(const char *text, const Zone *local, const char **ret_end, Zone **ret_zone)
{
        ZoneSegment fixed = { .abbreviation = "UTC" };
        const char *end = suffix_find(text, fixed.abbreviation);
        int r;

        for (int is_dst = 0; !end && is_dst <= 1; is_dst++)
                if (zone_latest(local, is_dst, &fixed) >= 0)
                        end = suffix_find(text, fixed.abbreviation);
        if (!end)
                return 0;

        r = zone_open_fixed(fixed.abbreviation, fixed.offset_sec, ret_zone);
        if (r < 0)
                return r;
        *ret_end = end;
        return 1;
}

int calendar_spec_parse(const char *text, CalendarSpec **ret_spec)
{
        _cleanup_(zone_unrefp) Zone *local = NULL, *zone = NULL;
        const char *last_space = strrchr(text, ' '), *end = NULL;
        ZoneSegment segment;
        int r, q;

        r = zone_open_local(&local);
        if (r < 0)
                return r;
        r = fixed_zone_parse(text, local, &end, &zone);
        if (r < 0)
                return r;
        if (r > 0) {
                zone_segment(zone, 0, &segment);
                return spec_parse(text, end, zone, segment.abbreviation, ret_spec);
        }

        end = text + strlen(text);
        if (!last_space)
                return spec_parse(text, end, local, NULL, ret_spec);

        r = zone_open(last_space + 1, &zone);
        if (r >= 0)
                return spec_parse(text, last_space, zone, last_space + 1, ret_spec);
        if (r != -EINVAL && r != -ENOENT)
                return r;

        q = spec_parse(text, end, local, NULL, ret_spec);
        if (q < 0 && r == -ENOENT && isalpha((unsigned char) last_space[1])) {
                _cleanup_(calendar_spec_freep) CalendarSpec *rest = NULL;

                /* What stands before the word is an event, so the word was meant as a zone. */
                if (spec_parse(text, last_space, local, NULL, &rest) >= 0)
                        return -ENOENT;
        }
        return q;
}
