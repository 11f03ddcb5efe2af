# SPDX-License-Identifier: LGPL-2.1-or-later
"""When a calendar event elapses, found by trying one wall clock time after the other.

Slow and simple, to judge between syncrun and systemd: it shares no method with either (zones come from Python's
zoneinfo), and takes events in their normal form only.
"""

import bisect
import calendar
import re
from datetime import date, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
MICROSECOND = timedelta(microseconds=1)
DAYS = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]
RANGE = re.compile(r"(\d+(?:\.\d+)?)(?:\.\.(\d+(?:\.\d+)?))?(?:/(\d+(?:\.\d+)?))?")


def ranges(text, unit):
    """(first, last or None, step or None) of each range in a field."""
    for part in text.split(","):
        match = RANGE.fullmatch(part)
        yield tuple(None if number is None else round(float(number) * unit) for number in match.groups())


def values(text, least, greatest, unit=1):
    """All values of a field, ascending."""
    if text == "*":
        return range(least, greatest + 1, unit)
    found = set()
    for first, last, step in ranges(text, unit):
        if last is None:
            last = first if step is None else greatest
        found.update(range(first, last + 1, step or unit))
    return sorted(found)


def days_from_end(text):
    found = set()
    for first, last, step in ranges(text, 1):
        if last is None:
            found.update(range(first, 0, -step) if step else [first])
        else:
            found.update(range(last, first - 1, -(step or 1)))
    return found


def weekdays(text):
    found = set()
    for part in text.split(","):
        first, _, last = part.partition("..")
        found.update(range(DAYS.index(first), DAYS.index(last or first) + 1))
    return found


class Event:
    """A calendar event, read from its normal form."""

    def __init__(self, normal, local_zone):
        words = normal.split(" ")
        self.weekdays = weekdays(words.pop(0)) if words[0][:3] in DAYS else set(range(7))
        year, month, self.separator, day = re.fullmatch(r"([^-]+)-([^-~]+)([-~])(.+)", words[0]).groups()
        hour, minute, second = words[1].split(":")
        self.years, self.months = values(year, 1969, 2199), values(month, 1, 12)
        self.days = days_from_end(day) if self.separator == "~" else set(values(day, 1, 31))
        self.hours, self.minutes = values(hour, 0, 23), values(minute, 0, 59)
        self.seconds = values(second, 0, 60_000_000 - 1, 1_000_000)
        self.zone = ZoneInfo(words[2] if len(words) > 2 else local_zone)

    def dates(self, start):
        for year in self.years:
            for month in self.months if year >= start.year else ():
                n_days = calendar.monthrange(year, month)[1]
                for number in range(1, n_days + 1):
                    day = date(year, month, number)
                    if day < start or day.weekday() not in self.weekdays:
                        continue
                    if (n_days - number + 1 if self.separator == "~" else number) in self.days:
                        yield day

    def wall_times(self, start):
        for day in self.dates(start.date()):
            for hour in self.hours:
                for minute in self.minutes:
                    begin = datetime(day.year, day.month, day.day, hour, minute)
                    passed = max(0, (start - begin) // MICROSECOND)
                    for second in self.seconds[bisect.bisect_left(self.seconds, passed) :]:
                        yield begin + timedelta(microseconds=second)

    def elapses(self, after):
        """Points in time: the first showing of each wall clock time that is shown after where the search has come."""
        start = (after + MICROSECOND).astimezone(self.zone).replace(tzinfo=None)
        for wall in self.wall_times(start):
            showings = [wall.replace(tzinfo=self.zone, fold=fold).astimezone(timezone.utc) for fold in (0, 1)]
            showings = [t for t in showings if t > after and t.astimezone(self.zone).replace(tzinfo=None) == wall]
            if showings:
                after = min(showings)
                yield after
