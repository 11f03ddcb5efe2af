# SPDX-License-Identifier: LGPL-2.1-or-later
"""syncrun's calendar events against `systemd-analyze calendar`: what is an event, its normal form, its next elapses.

Where the two differ, tests/unit/calendar_oracle.py must agree with syncrun, and the difference must be one of the
known faults of systemd 252:

step   A step without an end ("1/14") that runs past the end of its unit carries over into the next coarser unit, and
       only the unit just below that one begins anew: from 12-29 "*-*-01/14" goes to January 12 and misses the 1st.
clock  Where clocks are changed, the C library's mktime() guesses; its guess depends on what was computed before. The
       search then takes the second showing of a repeated hour although the first is still to come, goes past an elapse
       just after a change, or gives up ("Infinite loop in calendar calculation") and says "never".
star   "*:*:0/1,0.5" elapses twice in the first second of a minute, but its normal form is written as "*-*-* *:*:*".
limit  It gives up after 1000 steps, also where a little more would have shown that there is no such day.
sign   "@+5", "@ 5" and "@-18446744073709551611" are taken for @5.
abbreviation
       "12:00 CET" in a zone that has daylight saving time now elapses until summer and then never again (and in summer
       not at all). Here it means UTC+1 all year.

TZ is set for each call: events without a zone are in it.
"""

import os
import random
import re
import subprocess
from datetime import datetime, timedelta, timezone
from itertools import islice
from zoneinfo import ZoneInfo

import pytest
from calendar_oracle import EPOCH, Event

TOOL = os.environ["CALENDAR_TOOL"]
N_ELAPSES = 6
N_BATCHES = 12
N_EVENTS = 60
SEED = 20261121

ZONES = [
    "UTC",
    "Europe/Berlin",
    "Europe/Dublin",  # winter time is its daylight saving time
    "America/New_York",
    "America/St_Johns",
    "America/Havana",  # changes at midnight
    "America/Sao_Paulo",  # did so, now changes no more
    "Africa/Casablanca",  # changes twice around each Ramadan
    "Asia/Kathmandu",  # moved by a quarter of an hour at the turn of a year
    "Australia/Lord_Howe",  # changes by half an hour
    "Pacific/Apia",  # left out a day
    "Pacific/Chatham",
    "Antarctica/Troll",  # changes by two hours
]

FIXED = [
    "minutely", "hourly", "daily", "weekly", "monthly", "quarterly", "semiannually", "semi-annually", "biannually",
    "bi-annually", "yearly", "annually", "anually", "DAILY", "Sat,Thu,Mon..Wed,Sat..Sun", "Mon,Sun 12-*-* 2,1:23",
    "Wed *-1", "Wed..Wed,Wed *-1", "Wed, 17:48", "Wed..Sat,Tue 27-10-15 1:2:3", "*-*-7 0:0:0", "10-15",
    "monday *-12-* 17:00", "Mon,Fri *-*-3,1,2 *:30:45", "12,14,13,12:20,10,30", "12..14:10,20,30",
    "mon,fri *-1/2-1,3 *:30:45", "03-05 08:05:40", "08:05:40", "05:40", "Sat,Sun 12-05 08:05:40", "Sat,Sun 08:05:40",
    "2027-03-05 05:40", "05:40:23.4200004/3.1700005", "2027-02..04-05", "2027-03-05 05:40 UTC", "2027-03-05",
    "daily UTC", "Mon *-*-* 09:00 utc", "weekly Pacific/Auckland", "*-02-29", "Mon *-02-29", "*-02~03", "*-02~1..7/2",
    "Mon *-05~07/1", "*-*~28", "*-02-30", "*-4,6,9,11-31", "*:0/15", "*:*:*", "*:*:7,0/1,0.5", "*:*:0/1,60",
    "*:*:0/0.3",
    "*:*:59.9999994", "0..0:0..0", "*:5..5/3", "*-*-1..11/3", "70-1-1", "69-1-1", "99..2030-1-1", "2199-12-31 23:59",
    "2198/1-12-31", "@2000000000", "@2000000000 Europe/Berlin", "Mon @2000000000", "*:0 EST5EDT", "*:0 Etc/GMT+5",
    # refused
    "", "test", " daily", "daily ", "daily  UTC", " UTC", "UTC", "Europe/Berlin", "5", "*", "7/", "2027-03-05 05:40 ",
    "2027-03-05 05", "2027-03", "05:40:23:5", "05:40:", "05:", ":05", "*-*-*,5", "*5:00", "1,:00", "1,,2:00", "1..:00",
    "1...2:00", "1.5:00", "*:*:1.", "*/5:00", "Mon..", "Mon-", "Mon.", "Mon.Tue", "Mon,,Tue", ",Mon", "Wed..Mon",
    "Mon..Wed..Fri", "Mondays", "Mon12:00", "00:00:00/0.00000001", "*:0/0", "*:*:0..0", "*:*:5..5", "*:*:5..3",
    "5..3:00", "24:00", "23:60", "23:59:60", "*:*:59.9999995", "23/1:00", "*:0/60", "*-0-1", "*-13-1", "*-*-0",
    "*-*-32", "*-*~29", "*-*~1/1", "2027~03-05", "*-*~3..1", "100-1-1", "1969-1-1", "2200-1-1", "20000000000-1-1", "@",
    "@5.5", "@5 ", "@7258118400", "@99999999999999999999", "daily Europe/Nowhere", "09:00 europe/berlin",
    "daily ../Europe/Berlin", "daily Europe/Berlin/", "daily CEST CEST",
]  # fmt: skip


def run(zone, command, **options):
    environment = {**os.environ, "TZ": zone, "LC_ALL": "C", "SYSTEMD_COLORS": "0"}
    return subprocess.run(command, env=environment, capture_output=True, text=True, **options)


def seconds(text):
    moment = datetime.strptime(text, "%a %Y-%m-%d %H:%M:%S UTC").replace(tzinfo=timezone.utc)
    return (moment - EPOCH) // timedelta(seconds=1)


def block_elapses(block):
    """Of "Next elapse: ..." and "Iter. #2: ...", each with "(in UTC): ..." below unless that is where it is."""
    lines = block.splitlines()
    for line, below in zip(lines, [*lines[1:], ""]):
        label, _, text = line.strip().partition(": ")
        if label == "Next elapse" or label.startswith("Iter. #"):
            if below.strip().startswith("(in UTC): "):
                text = below.strip().removeprefix("(in UTC): ")
            if text != "never":
                yield seconds(text)


def ask_systemd(zone, base, events):
    """For each event: None (refused), or its normal form (None if systemd failed later) and its elapses."""
    options = [f"--base-time=@{base}", f"--iterations={N_ELAPSES}"]
    answer = run(zone, ["systemd-analyze", "calendar", *options, "--", *events])
    refused = set(re.findall(r"^Failed to parse calendar specification '(.*)': ", answer.stderr, re.M))
    gave_up = set(re.findall(r"^Failed to determine next elapse for '(.*)': ", answer.stderr, re.M))
    blocks = iter(re.split(r"^Normalized form: ", answer.stdout, flags=re.M)[1:])
    results = []
    for event in events:
        if event in refused:
            results.append(None)
        elif event in gave_up:
            results.append((None, []))
        else:
            block = next(blocks)
            results.append((block.splitlines()[0], list(block_elapses(block))))
    assert next(blocks, None) is None
    return results


def ask_syncrun(zone, base, events):
    answer = run(zone, [TOOL, str(base * 1_000_000), str(N_ELAPSES)], input="".join(f"{e}\n" for e in events))
    assert answer.returncode == 0, answer.stderr
    lines = [line.split("\t") for line in answer.stdout.splitlines()]
    assert len(lines) == len(events)
    return [None if normal[0] == "!" else (normal, [int(t) // 1_000_000 for t in times]) for normal, *times in lines]


def ask_oracle(zone, base, normal):
    elapses = Event(normal, zone).elapses(EPOCH + timedelta(seconds=base))
    return [(t - EPOCH) // timedelta(seconds=1) for t in islice(elapses, N_ELAPSES)]


def clocks_change(zone, begin, end):
    offsets = {(EPOCH + timedelta(seconds=t)).astimezone(zone).utcoffset() for t in [*range(begin, end, 86400), end]}
    return len(offsets) > 1


def known_fault(zone, base, theirs, ours):
    """Which of systemd's faults explains a difference, if any does; both are a normal form and elapses."""
    normal, elapses = ours
    if theirs[0] not in (None, normal):
        return "star" if theirs[0] == re.sub(r":00/1,[^ ]+", ":*", normal) else None
    if not elapses and not theirs[1]:
        return "limit"
    if any(re.search(r"(?<!\.\.)\b[\d.]+/", field) for field in re.split(r"[-~: ,]", normal)):
        return "step"
    n_same = len(os.path.commonprefix([theirs[1], elapses]))
    begin = elapses[n_same - 1] if n_same > 0 else base
    end = max(elapses[n_same : n_same + 1] + theirs[1][n_same : n_same + 1])
    return "clock" if clocks_change(Event(normal, zone).zone, begin - 86400, end + 86400) else None


def is_refused_list(normal):
    """systemd 252 allows days from the month's end 3 less with each further one of a list, and refuses '*~28,1'."""
    days = re.search(r"~([^ ]+)", normal)
    numbers = [[int(n) for n in re.findall(r"\d+", item)] for item in days[1].split(",")] if days else []
    return len(numbers) > 1 and max(max(item, default=0) for item in numbers) > 28 - 3 * (len(numbers) - 1)


def compare(zone, base, events):
    """Fails on what no known fault explains; returns how many differ."""
    n_differ = 0
    for event, theirs, ours in zip(events, ask_systemd(zone, base, events), ask_syncrun(zone, base, events)):
        if theirs == ours:
            continue
        what = f"TZ={zone} --base-time=@{base} '{event}': systemd {theirs}, syncrun {ours}"
        assert ours is not None and (theirs is not None or is_refused_list(ours[0])), what
        assert ask_oracle(zone, base, ours[0]) == ours[1], what
        assert theirs is None or known_fault(zone, base, theirs, ours), what
        n_differ += 1
    return n_differ


def clock_changes(zone):
    """The minute of each change of a zone's clocks until the year 2099."""
    zone = ZoneInfo(zone)
    weeks = [EPOCH + timedelta(days=n) for n in range(1, 130 * 365, 7)]
    offsets = [week.astimezone(zone).utcoffset() for week in weeks]
    found = []
    for before, after, old, new in zip(weeks, weeks[1:], offsets, offsets[1:]):
        if old == new:
            continue
        while after - before > timedelta(minutes=1):
            middle = before + (after - before) / 2
            before, after = (middle, after) if middle.astimezone(zone).utcoffset() == old else (before, middle)
        found.append((after - EPOCH) // timedelta(minutes=1) * 60)
    return found


class Generator:
    """Random events; most are right, some are not."""

    def __init__(self, seed):
        self.random = random.Random(seed)

    def number(self, least, greatest, fraction=False):
        text = self.random.choice(["%d", "%02d"]) % self.random.randint(least, greatest)
        return f"{text}.{self.random.randint(0, 999)}" if fraction and self.random.random() < 0.2 else text

    def range(self, least, greatest, fraction):
        kind = self.random.random()
        if kind < 0.5:
            text = self.number(least, greatest, fraction)
        elif kind < 0.75:
            text = "%d..%d" % tuple(sorted(self.random.randint(least, greatest) for _ in range(2)))
        else:
            text = self.number(least, (least + greatest) // 2, fraction)
        if self.random.random() < 0.3:
            if fraction and self.random.random() < 0.2:
                text += f"/0.{self.random.randint(1, 999)}"
            else:
                text += f"/{self.number(1, max(1, (greatest - least) // 2))}"
        return text

    def field(self, least, greatest, fraction=False):
        if self.random.random() < 0.3:
            return "*"
        n = self.random.choice([1, 1, 1, 1, 2, 2, 3, 5])
        return ",".join(self.range(least, greatest, fraction) for _ in range(n))

    def weekdays(self):
        names = self.random.choice(
            [
                ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"],
                ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"],
            ]
        )
        parts = []
        for _ in range(self.random.choice([1, 1, 2, 3])):
            first, last = sorted(self.random.randint(0, 6) for _ in range(2))
            part = names[first]
            if self.random.random() < 0.4:
                part += self.random.choice(["..", "..", "-"]) + names[last]
            parts.append(self.random.choice([str, str.lower, str.upper])(part))
        return ",".join(parts)

    def date(self, year):
        separator = self.random.choice("---~")
        text = self.field(1, 12) + separator + self.field(1, 12 if separator == "~" else 31)
        kind = self.random.random()
        if kind < 0.35:
            return text
        if kind < 0.85:
            return f"*-{text}"
        if kind < 0.95:
            return f"{self.field(max(1970, year - 2), min(2199, year + 4))}-{text}"
        return f"{self.random.randint(0, 99):02}-{text}"

    def event(self, year):
        words = []
        if self.random.random() < 0.3:
            words.append(self.weekdays())
        if self.random.random() < 0.7:
            words.append(self.date(year))
        if not words or self.random.random() < 0.75:
            time = f"{self.field(0, 23)}:{self.field(0, 59)}"
            if self.random.random() < 0.5:
                time += f":{self.field(0, 59, fraction=True)}"
            words.append(time)
        if self.random.random() < 0.1:
            words.append(self.random.choice(ZONES))
        return " ".join(words)

    def spoil(self, text):
        """One or two characters more, less or other."""
        letters = list(text)
        for _ in range(self.random.choice([1, 1, 2])):
            i = self.random.randrange(len(letters) + 1)
            letters[i : i + self.random.randint(0, 1)] = self.random.choice(["", *"0123456789*-~.,:/ MonTue@U"])
        return "".join(letters)

    def base(self, changes):
        """Mostly shortly before a change of clocks, or in the hours around it."""
        if not changes or self.random.random() < 0.3:
            return self.random.randint(0, 4102444800)
        around = [(-7200, 7200), (-90000, 3600), (-90 * 86400, 0)]
        return max(0, self.random.choice(changes) + self.random.randint(*self.random.choice(around)))

    def batch(self, base):
        year = (EPOCH + timedelta(seconds=base)).year
        events = [self.event(year) for _ in range(N_EVENTS)]
        return sorted({self.spoil(e) if self.random.random() < 0.15 else e for e in events})


@pytest.mark.parametrize("zone", ZONES)
def test_fixed(zone):
    for base in (0, 1764700000, 1779566400, 1792888200, 7258000000):
        compare(zone, base, FIXED)


@pytest.mark.parametrize("zone", ZONES)
def test_generated(zone):
    generator = Generator(f"{SEED} {zone}")
    changes = clock_changes(zone)
    n_differ = 0
    for _ in range(N_BATCHES):
        base = generator.base(changes)
        n_differ += compare(zone, base, generator.batch(base))
    assert n_differ < N_BATCHES * N_EVENTS / 10


@pytest.mark.parametrize(
    "fault, zone, base, event",
    [
        ("step", "UTC", 1798502400, "*-*-01/14"),
        ("step", "UTC", 1798502398, "*-*-* *:*:0..27/3,13/0.685"),
        ("clock", "America/Havana", 1769558400, "*-11-01 00:30"),
        ("clock", "Europe/Berlin", 1667065086, "*-*~02 *:05"),
        ("clock", "Europe/Dublin", 859676765, "15..19,01:*:*"),
        ("clock", "America/St_Johns", 702443451, "*:29..37:*"),
        ("clock", "Africa/Casablanca", 3703456430, "19,2..3:*:08.965"),
        ("clock", "Asia/Kathmandu", 504846989, "*-3..12~03"),
        ("star", "UTC", 0, "*:*:0/1,0.5"),
        ("limit", "UTC", 0, "*-4,6,9,11-31"),
    ],
)
def test_known_faults(fault, zone, base, event):
    (ours,) = ask_syncrun(zone, base, [event])
    (theirs,) = ask_systemd(zone, base, [event])  # a later systemd may have been repaired
    assert ours[1] == ask_oracle(zone, base, ours[0])
    assert theirs == ours or known_fault(zone, base, theirs, ours) == fault


@pytest.mark.parametrize("event", ["*~28,1", "*~1,28", "*~12/2,28"])
def test_days_from_the_end_that_systemd_refuses(event):
    assert is_refused_list(ask_syncrun("UTC", 0, [event])[0][0])
    compare("UTC", 0, [event])


@pytest.mark.parametrize("event", ["@+5", "@ 5", "@-18446744073709551611"])
def test_signed_unix_time(event):
    assert ask_syncrun("UTC", 0, [event]) == [None]


def test_abbreviation():
    """In its season "CET" is the same for both; out of season it is the same offset here."""
    winter, summer = 1768435200, 1784073600
    assert ask_syncrun("Europe/Berlin", winter, ["12:00 CET"]) == ask_systemd("Europe/Berlin", winter, ["12:00 CET"])
    assert ask_syncrun("Europe/Berlin", summer, ["12:00 CEST"]) == ask_systemd("Europe/Berlin", summer, ["12:00 CEST"])
    ((normal, elapses),) = ask_syncrun("Europe/Berlin", summer, ["12:00 CET"])
    assert normal == "*-*-* 12:00:00 CET"
    assert elapses == ask_syncrun("Europe/Berlin", summer, ["11:00 UTC"])[0][1]
