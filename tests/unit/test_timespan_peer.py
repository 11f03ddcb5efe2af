# SPDX-License-Identifier: LGPL-2.1-or-later
"""syncrun's time spans against `systemd-analyze timespan`: what is one, how long it is, how it is written.

Known differences: a negative span is EINVAL here and ERANGE there, both refuse it. systemd's numbers have 63 bits, and
its largest unit is refused one too early, so that it cannot read all that it writes; here the whole of 64 bits can be.
"""

import os
import random
import re
import subprocess

import pytest

TOOL = os.environ["TIMESPAN_TOOL"]
SEED = 20261121
N_SPANS = 3000
UNITS = [
    "", "seconds", "second", "sec", "s", "minutes", "minute", "min", "m", "months", "month", "M", "hours", "hour",
    "hr", "h", "days", "day", "d", "weeks", "week", "w", "years", "year", "y", "msec", "ms", "usec", "us", "µs", "μs",
]  # fmt: skip

REFUSED = [
    "", " ", "s", "x", "1.", "1.s", "1. 5s", ".", "1.5.5", "1 x", "1 Min", "1S", "1e3", "0x10", "1,5s", "-5", "5 -5",
    "- 5", "+", "+.5", "+ 5", "++5", "1ns", "1smaller", "infinity5", "1 infinity", "2.-5", "µs", "5-5", "5+5", "5 5.",
    "18446744073709551615us", "18446744073709551616us", "99999999999999y", "99999999999999999999",
]  # fmt: skip


def ask_systemd(spans):
    environment = {**os.environ, "LC_ALL": "C.UTF-8", "SYSTEMD_COLORS": "0"}
    answer = subprocess.run(
        ["systemd-analyze", "timespan", "--", *spans], env=environment, capture_output=True, text=True
    )
    return re.findall(r"^ *μs: (\d+)\n *Human: (.*)$", answer.stdout, re.M)


def ask_syncrun(spans):
    answer = subprocess.run([TOOL], input="".join(f"{s}\n" for s in spans), capture_output=True, text=True, check=True)
    return [tuple(line.split("\t")) for line in answer.stdout.splitlines()]


def random_span(generator):
    parts = []
    for _ in range(generator.choice([1, 1, 2, 3])):
        number = str(generator.randrange(10 ** generator.randint(1, 3)))
        if generator.random() < 0.4:
            number += "." + "".join(generator.choices("0123456789", k=generator.randint(1, 12)))
        if generator.random() < 0.1:
            number = "+" + number
        parts.append(number + generator.choice(["", " ", "\t"]) + generator.choice(UNITS))
    return generator.choice(["", " "]) + generator.choice([" ", "  "]).join(parts)


def test_random_spans():
    generator = random.Random(SEED)
    spans = [random_span(generator) for _ in range(N_SPANS)] + ["infinity", " infinity ", "0", ".5", "1 .5s"]
    theirs, ours = ask_systemd(spans), ask_syncrun(spans)
    assert len(theirs) == len(ours) == len(spans)
    differ = [row for row in zip(spans, theirs, ours) if row[1] != row[2]]
    assert differ == []


@pytest.mark.parametrize("span", REFUSED)
def test_refused(span):
    assert ask_systemd([span]) == []
    assert ask_syncrun([span])[0][0].startswith("!")
