# SPDX-License-Identifier: LGPL-2.1-or-later
"""Programs that end, die, hang, or close what they should not; what they write to stderr; cancelling."""

import os
import select
import signal
import time
from pathlib import Path

import pytest
from harness import TIMEOUT_SEC, counts, record, schema, state, wait_for

FLOW = """
n = 0
while True:
    say(type="RECORD", stream="s", record={"id": n}); n += 1
"""


def test_transforms_change_records_in_their_order(bench):
    bench.settings(bench.lines([schema(), record("a"), record("b")]), bench.script("#!/bin/sh\nexec sed 's/\"a\"/\"c\"/'\n", "t1"),
                   bench.script("#!/bin/sh\nexec sed 's/\"c\"/\"d\"/'\n", "t2"))
    bench.run()
    assert [key for _, key, _ in bench.items()] == ["b", "d"]


@pytest.mark.parametrize("status, attention, retry", [
    (1, None, True), (64, "configuration_error", None), (65, "data_error", None), (69, None, True), (75, None, True),
    (77, "connection_lost", None), (78, "configuration_error", None)])
def test_exit_status(bench, status, attention, retry):
    bench.settings(bench.python(f"say(type='RECORD', stream='s', record={{'id': 1}}); log('The words.'); sys.exit({status})"))
    bench.run()
    end = bench.daemon.end
    assert (end["outcome"], end["error"], end.get("attention"), end.get("retry")) == ("failed", "The words.", attention, retry)
    assert counts(end) == (1, 1, 0, 0), "what came before is stored"


def test_a_category_that_was_told_comes_before_the_status(bench):
    bench.settings(bench.python("say(type='ATTENTION', category='consent_withdrawn', message='By the user.'); sys.exit(77)"))
    bench.run()
    end = bench.daemon.end
    assert (end["outcome"], end["attention"], end["error"]) == ("failed", "consent_withdrawn", "By the user.")


def test_bad_lines_and_an_exit_status(bench):
    """Those of a run that began elsewhere are not those that came again."""
    bench.pull([state("a")])
    bench.next_run(2)
    bench.settings(bench.python("for n in range(1000): say(type='RECORD', stream='s', record={'id': n})\nprint('bad'); sys.exit(1)"))
    bench.run()
    assert bench.daemon.end["attention"] == "data_error"
    bench.next_run(3, keep_cursor=False)
    bench.settings(bench.python("print('bad'); sys.exit(75)"))
    bench.run()
    assert "attention" not in bench.daemon.end and bench.daemon.end["retry"]


def test_the_words_of_a_singer_tap(bench):
    bench.settings(bench.python("""
log("INFO Starting sync")
log("CRITICAL 401 Client Error: Unauthorized for url")
log("Traceback (most recent call last):")
log("  File tap.py, line 1")
log("requests.exceptions.HTTPError: 401")
sys.exit(1)"""))
    bench.run()
    assert bench.daemon.end["error"] == "401 Client Error: Unauthorized for url"


def test_singer_metrics_are_added_up(bench):
    run = bench.pull([])
    bench.next_run(2)
    bench.settings(bench.python("""
def metric(**m): log("INFO METRIC: " + json.dumps(m))
metric(type="counter", metric="record_count", value=10, tags={"endpoint": "a"})
metric(type="counter", metric="record_count", value=5, tags={"endpoint": "b"})
metric(type="timer", metric="http_request_duration", value=0.5, tags={"http_status_code": 200, "status": "succeeded"})
metric(type="timer", metric="http_request_duration", value=0.25, tags={"http_status_code": 503, "status": "failed"})
log("INFO METRIC: nonsense")"""))
    bench.run()
    assert run["outcome"] == "succeeded"
    assert bench.daemon.end["metadata"]["metrics"] == {
        "record_count": 15, "http_requests": 2, "http_requests_failed": 1, "http_request_seconds": 0.75}


def test_killed_by_a_signal(bench):
    bench.settings(bench.python("os.kill(os.getpid(), signal.SIGSEGV)"))
    bench.run()
    assert "pull.py was killed by signal 11" in bench.daemon.end["error"] and bench.daemon.end["retry"]


def test_a_transform_that_dies_is_to_blame(bench):
    bench.settings(bench.python(FLOW), bench.python("sys.stdin.readline(); log('ERROR no more'); sys.exit(3)", "filter.py"))
    bench.run()
    assert bench.daemon.end["outcome"] == "failed" and bench.daemon.end["error"] == "no more"


@pytest.mark.parametrize("manners", ["", "signal.signal(signal.SIGPIPE, signal.SIG_DFL)\n"], ids=["exception", "signal"])
def test_a_transform_that_stops_reading(bench, manners):
    bench.settings(bench.python(manners + FLOW), "/usr/bin/head -n 5")
    bench.run()
    end = bench.daemon.end
    assert end["outcome"] == "failed" and counts(end) == (5, 5, 0, 0)
    assert end["error"] == "head stopped reading before pull.py had ended"


@pytest.mark.parametrize("manners", ["", "signal.signal(signal.SIGPIPE, signal.SIG_DFL)\n"], ids=["exception", "signal"])
def test_the_last_of_those_that_lost_their_readers_tells_it(bench, manners):
    through = "for line in sys.stdin: print(line, end='', flush=True)"
    bench.settings(bench.python(manners + FLOW), bench.python(manners + through, "filter.py"), "/usr/bin/head -n 5")
    bench.run()
    assert bench.daemon.end["error"] == "head stopped reading before filter.py had ended"


def test_a_broken_pipe_of_one_s_own(bench):
    """The next program still reads: whatever pipe it was that broke, it was another."""
    os.mkfifo(bench.folder / "go")
    bench.settings(bench.python("log('BrokenPipeError: [Errno 32] Broken pipe'); sys.exit(1)"),
                   bench.python(f"sys.stdin.read(); open({str(bench.folder / 'go')!r}).read()", "filter.py"))
    run = bench.start()
    wait_for(lambda: "pull.py has ended." in run.stderr, "the first end")
    (bench.folder / "go").write_text("")
    assert run.wait() == 0 and bench.daemon.end["error"] == "BrokenPipeError: [Errno 32] Broken pipe"


def test_a_transform_that_dies_before_one_that_says_nothing(bench):
    """The one that pulls would never notice: it is told to end."""
    bench.settings("/bin/sleep infinity", "/bin/false")
    began = time.monotonic()
    bench.run()
    assert time.monotonic() - began > 9
    assert bench.daemon.end["outcome"] == "failed" and "false ended with status 1" in bench.daemon.end["error"]


def test_a_program_that_closes_its_output_and_goes_on(bench):
    bench.settings(bench.python("say(type='RECORD', stream='s', record={'id': 1}); os.close(1); log('tidying'); sys.exit(0)"))
    bench.run()
    assert bench.daemon.end["outcome"] == "succeeded" and counts(bench.daemon.end) == (1, 1, 0, 0)


def test_a_process_left_behind_that_holds_the_output(bench):
    bench.settings(bench.script("#!/bin/sh\nsleep infinity &\necho '{\"type\":\"RECORD\",\"stream\":\"s\",\"record\":{}}'\n"))
    bench.run()
    assert bench.daemon.end["outcome"] == "succeeded" and counts(bench.daemon.end) == (1, 1, 0, 0)


def test_stderr_that_floods(bench):
    bench.settings(bench.python("""
for n in range(200_000): sys.stderr.write(f"line {n} " + "x" * 50 + "\\n")
say(type="RECORD", stream="s", record={"id": 1})
sys.stderr.write("y" * 100_000); sys.stderr.flush()
sys.stderr.buffer.write(b"\\xff\\xfe\\n"); sys.stderr.flush()
log("ERROR the last word"); sys.exit(1)"""))
    run = bench.run()
    logged = run.stderr.splitlines()
    assert len(logged) < 3000 and "pull.py: line 0 " + "x" * 50 in logged
    assert any("lines of the connector's programs were not logged" in line for line in logged)
    assert bench.daemon.end["error"] == "the last word" and counts(bench.daemon.end) == (1, 1, 0, 0)


def test_stderr_lines_have_their_program_s_name(bench):
    bench.settings(bench.python("log('from the first')"), bench.python("log('from the second')", "filter.py"))
    run = bench.run()
    assert "pull.py: from the first" in run.stderr and "filter.py: from the second" in run.stderr


def test_cancel(bench):
    bench.settings(bench.python("""
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
say(type="RECORD", stream="s", account="a", record={"id": 1}); say(type="STATE", value=1)
signal.sigwait([signal.SIGTERM])
log("told to stop")"""))
    run = bench.start()
    wait_for(lambda: bench.daemon.of("SaveCursor"), "the first cursor")
    run.kill(signal.SIGTERM)
    assert run.wait() == 0
    assert bench.daemon.end["outcome"] == "cancelled" and counts(bench.daemon.end) == (1, 1, 0, 0)
    assert bench.daemon.cursor == "1" and "told to stop" in run.stderr and len(bench.items()) == 1
    # It may have been TimeoutSec= as well.
    assert bench.daemon.accounts_of()["a"]["error"] == "the run was stopped before its end"


def test_cancel_kills_what_does_not_listen(bench):
    bench.settings(bench.python("""
signal.signal(signal.SIGTERM, signal.SIG_IGN)
say(type="RECORD", stream="s", record={"id": 1, "pid": os.getpid()})
while True: signal.pause()"""))
    run = bench.start()
    wait_for(lambda: any(report.get("added") for report in bench.daemon.of("Report")), "the first record")
    run.kill(signal.SIGTERM)
    assert run.wait() == 0 and bench.daemon.end["outcome"] == "cancelled"
    pid = bench.items("SELECT json_extract(json, '$.pid') FROM items")[0][0]
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_programs_die_with_the_worker(bench):
    bench.settings(bench.python("say(type='RECORD', stream='s', record={'id': 1, 'pid': os.getpid()})\nwhile True: signal.pause()"))
    run = bench.start()
    wait_for(lambda: any(report.get("added") for report in bench.daemon.of("Report")), "the first record")
    pid = bench.items("SELECT json_extract(json, '$.pid') FROM items")[0][0]
    pidfd = os.pidfd_open(pid)
    run.kill()
    run.wait()
    ended = select.poll()
    ended.register(pidfd, select.POLLIN)
    assert ended.poll(TIMEOUT_SEC * 1000)
    os.close(pidfd)


def test_usage_is_told(bench):
    bench.settings(bench.python("sum(range(3_000_000))"))
    bench.run()
    assert bench.daemon.end["cpu_usec"] > 10_000 and bench.daemon.end["memory_peak_bytes"] > 1 << 20


def test_a_million_records_in_constant_memory(bench):
    """Read by a program that is no slower than the worker; 200 bytes each."""
    block = b"".join(b'{"type":"RECORD","stream":"s","record":{"id":%d,"pad":"%s"}}\n' % (n, b"x" * 120) for n in range(20_000))
    (bench.folder / "block").write_bytes(b'{"type":"SCHEMA","stream":"s","schema":{},"key_properties":["id"]}\n' + block)
    bench.settings(bench.script(f"#!/bin/sh\nfor i in $(seq 50); do cat {bench.folder}/block; done\n"))
    run = bench.start()
    peaks = {0}

    def look(_method, _sequence):
        status = Path(f"/proc/{run.process.pid}/status").read_text()
        peaks.add(int(status.split("VmHWM:")[1].split()[0]))

    bench.daemon.before_reply = look
    assert run.wait(300) == 0
    assert counts(bench.daemon.end) == (1_000_000, 20_000, 0, 980_000)
    assert max(peaks) < 150_000, "kilobytes, also under AddressSanitizer"


def test_cursors_come_after_their_items(bench):
    """Whenever a cursor is saved, what stands before it can be read."""
    bench.settings(bench.python("""
for n in range(1, 4001):
    say(type="RECORD", stream="s", record={"id": n})
    if n % 100 == 0: say(type="STATE", value=n)
"""))
    seen = []

    def look(method, _sequence):
        if method == "SaveCursor":
            (stored,), = bench.items("SELECT count(*) FROM items")
            seen.append((int(bench.daemon.cursor), stored))

    bench.daemon.before_reply = look
    bench.run()
    assert seen and seen[-1] == (4000, 4000) and all(cursor <= stored for cursor, stored in seen)


def test_state_of_a_failed_run_is_kept(bench):
    bench.settings(bench.python("say(type='RECORD', stream='s', record={}); say(type='STATE', value=7); sys.exit(1)"))
    bench.run()
    assert bench.daemon.end["outcome"] == "failed" and bench.daemon.cursor == "7"
