# SPDX-License-Identifier: LGPL-2.1-or-later
"""What an idle daemon costs. Not for builds with sanitizers, which have memory of their own."""

ANONYMOUS_KIB_MAX = 8 * 1024


def test_thousand_idle_connectors(new_daemon):
    for i in range(1000):
        new_daemon.add(f"c{i}", "[Schedule]\nOnCalendar=2199-01-01\n[Pipeline]\nExecPull=/bin/true\n", Description=f"Number {i}")
    new_daemon.start(SYNCRUN_LOG_LEVEL="warning")
    with open(f"/proc/{new_daemon.process.pid}/status", encoding="ascii") as file:
        status = dict(line.split(":", 1) for line in file)
    assert int(status["RssAnon"].split()[0]) <= ANONYMOUS_KIB_MAX
