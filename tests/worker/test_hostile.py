# SPDX-License-Identifier: LGPL-2.1-or-later
"""Connectors that mean no good: what they can make the worker hold is bounded."""

import signal
from pathlib import Path

from harness import counts, wait_for

MEMORY_KIB_MAX = 150_000  # also under AddressSanitizer


def run_and_peak(bench):
    """The most memory that the worker of a run ever had, in KiB, and what it logged."""
    run = bench.start()
    peaks = {0}

    def look(_method, _sequence):
        status = Path(f"/proc/{run.process.pid}/status").read_text()
        peaks.add(int(status.split("VmHWM:")[1].split()[0]))

    bench.daemon.before_reply = look
    assert run.wait(120) == 0
    return max(peaks), run.stderr


def test_a_gigabyte_without_newline(bench):
    bench.settings("/usr/bin/head -c 1073741824 /dev/zero")
    peak, log = run_and_peak(bench)
    assert 0 < peak < MEMORY_KIB_MAX and len(log) < 16 << 20
    end = bench.daemon.end
    assert end["outcome"] == "failed" and end["attention"] == "data_error" and "longer than 16 MiB" in end["error"]


def test_a_hundred_thousand_accounts(bench):
    bench.settings(bench.python("""
out = "".join(json.dumps({"type": "RECORD", "stream": "s", "record": {"id": n}, "account": f"{n}" + "x" * 100}) + "\\n" for n in range(100_000))
sys.stdout.write(out)
"""))
    peak, log = run_and_peak(bench)
    assert 0 < peak < MEMORY_KIB_MAX and len(log) < 16 << 20
    assert counts(bench.daemon.end) == (100_000, 100_000, 0, 0) and len(bench.daemon.accounts_of()) == 1000


def test_a_flood_of_stderr_without_newline(bench):
    bench.settings(bench.script("#!/bin/sh\nhead -c 268435456 /dev/zero >&2\n"))
    peak, log = run_and_peak(bench)
    assert 0 < peak < MEMORY_KIB_MAX and len(log) < 16 << 20
    assert bench.daemon.end["outcome"] == "succeeded"


def test_a_program_that_is_stopped_hears_that_it_shall_end(bench):
    heard = bench.folder / "heard"
    bench.settings(bench.python(f"""
def hear(*_):
    open({str(heard)!r}, "w").close()
    sys.exit(1)
signal.signal(signal.SIGTERM, hear)
say(type="RECORD", stream="s", record={{"pid": os.getpid()}})
os.kill(os.getpid(), signal.SIGSTOP)
while True: signal.pause()
"""))
    run = bench.start()
    wait_for(lambda: any(report.get("added") for report in bench.daemon.of("Report")), "the record")
    run.kill(signal.SIGTERM)
    assert run.wait() == 0 and bench.daemon.end["outcome"] == "cancelled"
    assert heard.exists(), "it was killed"
