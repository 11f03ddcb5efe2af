# SPDX-License-Identifier: LGPL-2.1-or-later
"""The exec destination: a Singer target, or any program."""

import json
import os
import signal

import pytest

from harness import counts, record, schema, state, wait_for

STATE_TRAIL_MAX = 1024
TARGET = """
kept = open(sys.argv[1], "w")
for line in sys.stdin:
    kept.write(line); kept.flush()
    message = json.loads(line)
    if message["type"] == "STATE": print(json.dumps(message), flush=True)
"""


def to(program, *arguments):
    return [("Type", "exec"), ("ExecStore", " ".join([program, *map(str, arguments)]))]


def test_what_a_target_gets_and_gives_back(bench):
    lines = [schema(), record(1), {"type": "PROGRESS", "stage": "saving"}, record(2), {"type": "NEWS"},
             {"type": "ACTIVATE_VERSION", "stream": "tx", "version": 1}, "bad", state({"n": 2}), *[record(n) for n in range(200)]]
    end = bench.pull(lines, destination=to(bench.python(TARGET, "target.py"), "%S/kept"))
    assert end["outcome"] == "succeeded" and counts(end) == (202, 202, 0, 0)
    kept = [json.loads(line)["type"] for line in (bench.state / "kept").read_text().splitlines()]
    assert kept == ["SCHEMA", "RECORD", "RECORD", "ACTIVATE_VERSION", "STATE", *["RECORD"] * 200]
    assert json.loads(bench.daemon.cursor) == {"n": 2}


def test_batches_are_handed_on(bench):
    batch = {"type": "BATCH", "stream": "tx", "encoding": {"format": "jsonl", "compression": "gzip"}, "manifest": ["file:///x"]}
    end = bench.pull([schema(), batch], destination=to(bench.python(TARGET, "target.py"), "%S/kept"))
    assert end["outcome"] == "succeeded" and "BATCH" in (bench.state / "kept").read_text()


def test_a_state_counts_when_the_target_has_given_it_back(bench):
    target = bench.python("""
for line in sys.stdin:
    message = json.loads(line)
    if message["type"] == "STATE" and message["value"] == 1: print(json.dumps(message), flush=True)
log("ERROR disk full"); sys.exit(1)
""", "target.py")
    end = bench.pull([schema(), record(1), state(1), record(2), state(2)], destination=to(target))
    assert end["outcome"] == "failed" and end["error"] == "disk full" and bench.daemon.cursor == "1"


def test_a_program_that_gives_nothing_back_has_stored_all_when_it_succeeds(bench):
    end = bench.pull([schema(), record(1), state(1)], destination=to("/bin/cat"))
    assert end["outcome"] == "succeeded" and bench.daemon.cursor == "1"
    bench.next_run(2)
    end = bench.pull([schema(), record(1), state(2)], destination=to(bench.script("#!/bin/sh\nwc -l >&2\n", "count")))
    assert end["outcome"] == "succeeded" and bench.daemon.cursor == "2" and "count: 3" in bench.last.stderr


def test_what_the_target_says_of_the_records(bench):
    target = bench.python("""
n = sum('"RECORD"' in line for line in sys.stdin)
say(type="PROGRESS", added=n - 3, updated=1, deduped=2)
say(type="PROGRESS", account="a", added=0, updated=0, deduped=1)
""", "target.py")
    end = bench.pull([schema(), *[record(n) for n in range(10)], {**record(10), "account": "a"}], destination=to(target))
    assert counts(end) == (11, 8, 1, 3)
    account = bench.daemon.accounts_of()["a"]
    assert counts(account) == (1, 0, 0, 1) and account["status"] == "no_data"


def test_a_target_that_dies_ends_the_run(bench):
    """Which would not end by itself."""
    bench.settings(bench.python("n = 0\nwhile True:\n    say(type='RECORD', stream='s', record={'id': n}); n += 1"),
                   destination=to(bench.python("for _ in range(5): sys.stdin.readline()\nlog('CRITICAL No such table'); sys.exit(78)", "target.py")))
    bench.run()
    end = bench.daemon.end
    assert (end["outcome"], end["error"], end["attention"]) == ("failed", "No such table", "configuration_error")


def test_a_target_that_ends_content_before_its_input_does(bench):
    bench.settings(bench.python("say(type='RECORD', stream='s', record={})\nwhile True: signal.pause()"), destination=to("/bin/true"))
    bench.run()
    assert bench.daemon.end["outcome"] == "failed" and bench.daemon.end["error"] == "true ended before its input did"


def test_what_a_target_leaves_behind_may_write_for_ever(bench):
    target = bench.script("#!/bin/sh\ncat >/dev/null\n(trap '' TERM HUP; exec yes) &\nprintf '%s' '{\"type\":\"STATE\",\"value\":2}'\n", "target")
    end = bench.pull([schema(), record(1), state(2)], destination=to(target))
    assert end["outcome"] == "succeeded" and counts(end) == (1, 1, 0, 0)


def test_a_target_that_does_not_start(bench):
    end = bench.pull([record(1)], destination=to("/nonexistent/target"))
    assert end["outcome"] == "failed" and "/nonexistent/target" in end["error"] and end["attention"] == "configuration_error"


def test_a_target_whose_access_has_expired(bench):
    end = bench.pull([record(1)], destination=to(bench.script("#!/bin/sh\ncat >/dev/null\necho 'ERROR token expired' >&2\nexit 77\n", "t")))
    assert (end["outcome"], end["attention"], end["error"]) == ("failed", "destination_auth_expired", "token expired")


def test_a_slow_target_holds_the_pipeline_up(bench):
    """Lines wait in pipes and not in memory; all arrive."""
    target = bench.python("""
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
open("pid", "w").write(str(os.getpid())); sys.stdin.readline(); log("waiting")
signal.sigwait([signal.SIGUSR1])
n = 1
while line := sys.stdin.buffer.readline(): n += 1
log(f"lines: {n}")
""", "target.py")
    bench.settings(bench.python("for n in range(300): say(type='RECORD', stream='s', record={'id': n, 'x': 'x' * 100_000})\nlog('all said')"),
                   destination=to(target))
    run = bench.start()
    wait_for(lambda: "waiting" in run.stderr and any(r.get("added") for r in bench.daemon.of("Report")) or run.status is not None, "the target")
    assert "all said" not in run.stderr
    os.kill(int((bench.state / "pid").read_text()), signal.SIGUSR1)
    assert run.wait() == 0 and "lines: 300" in run.stderr and counts(bench.daemon.end) == (300, 300, 0, 0)


def test_what_waits_for_a_slow_target_after_the_tap_has_ended(bench):
    """It stands in the pipe, for longer than what is left behind may hold the pipe open."""
    target = bench.python("""
sys.stdin.buffer.readline(); signal.sigtimedwait([signal.SIGUSR1], 4)
log(f"lines: {1 + len(sys.stdin.buffer.readlines())}")
""", "target.py")
    bench.settings(bench.lines([record(n, x="x" * 1000) for n in range(1700)]), destination=to(target))
    run = bench.run()
    assert "lines: 1700" in run.stderr and "left behind" not in run.stderr and counts(bench.daemon.end) == (1700, 1700, 0, 0)


def test_cancel_ends_the_target_too(bench):
    bench.settings(bench.python("say(type='RECORD', stream='s', record={})\nwhile True: signal.pause()"),
                   destination=to(bench.python("sys.stdin.read(); log('told')", "target.py")))
    run = bench.start()
    wait_for(lambda: any(r.get("added") for r in bench.daemon.of("Report")), "the record")
    run.kill(signal.SIGTERM)
    assert run.wait() == 0 and bench.daemon.end["outcome"] == "cancelled"


def test_a_long_line_and_a_last_one_without_newline(bench):
    long = json.dumps(record(1, x="x" * (15 << 20)))
    bench.settings(bench.lines((json.dumps(schema()) + "\n" + long + "\n" + json.dumps(record(2))).encode()),
                   destination=to(bench.script("#!/bin/sh\nexec wc -lc >kept\n", "count")))
    bench.run()
    lines, size = map(int, (bench.state / "kept").read_text().split())
    assert lines == 3 and size == len(json.dumps(schema())) + len(long) + len(json.dumps(record(2))) + 3


def test_a_line_of_the_target_that_is_too_long_is_told_once(bench):
    target = bench.python("""
for line in sys.stdin:
    print("x" * (16 << 20)); print("y" * (1 + (16 << 20))); print("z" * (17 << 20)); print(line, flush=True)
""", "target.py")
    end = bench.pull([state(1)], destination=to(target))
    assert end["outcome"] == "succeeded" and bench.daemon.cursor == "1"
    assert bench.last.stderr.count("A line of target.py cannot be used (longer than 16 MiB)") == 1


def test_what_comes_back_after_a_bad_line_is_saved_at_the_end_or_never(bench):
    target = to(bench.python(TARGET, "target.py"), "%S/kept")
    end = bench.pull([record(1), state(1), "garbage", state(2)], destination=target)
    assert end["outcome"] == "failed" and bench.daemon.cursor == "1"
    bench.next_run(2)
    end = bench.pull([record(1), "garbage", *[state(n) for n in range(200)]], destination=target)
    assert end["outcome"] == "succeeded" and bench.daemon.of("SaveCursor") == [199]


@pytest.mark.parametrize("back", ["message", "json.dumps(message['value'])", "json.dumps(message['value'], separators=(',', ':'), sort_keys=True)"])
def test_the_last_state_that_a_target_gives_back_is_its_last_word(bench, back):
    """Singer's targets print the value alone, however they spell it."""
    target = bench.python(f"""
given = 0
for line in sys.stdin:
    message = json.loads(line)
    if message["type"] == "STATE" and not given:
        given = 1
        print('{{"rows": 1}}')
        print({back if back != "message" else "line"}, flush=True)
""", "target.py")
    end = bench.pull([schema(), record(1), state({"n": 1, "a": 2}), record(2), state({"n": 2})], destination=to(target))
    assert end["outcome"] == "succeeded" and bench.daemon.of("SaveCursor") == [{"n": 1, "a": 2}]


def test_a_target_with_a_state_of_its_own(bench):
    target = bench.python("""
for line in sys.stdin:
    message = json.loads(line)
    if message["type"] == "STATE": say(type="STATE", value={"wrapped": message["value"]})
""", "target.py")
    bench.pull([schema(), record(1), state({"n": 1})], destination=to(target))
    assert bench.daemon.of("SaveCursor") == [{"wrapped": {"n": 1}}]


@pytest.mark.parametrize("n, known", [(STATE_TRAIL_MAX, True), (STATE_TRAIL_MAX + 1, False)])
def test_so_many_states_are_known_again(bench, n, known):
    target = bench.python("sys.stdin.read(); print('{\"n\": 0}', flush=True); sys.exit(1)", "target.py")
    bench.pull([state({"n": i}) for i in range(n)], destination=to(target))
    assert bench.daemon.of("SaveCursor") == ([{"n": 0}] if known else [])


@pytest.mark.parametrize("program", ["/bin/true", "/usr/bin/head -n 1"])
def test_a_target_that_leaves_something_unread(bench, program):
    """However little it is: the pipe would have taken it."""
    end = bench.pull([schema(), *[record(n, x="x" * 5000) for n in range(3)], state(1)], destination=to(*program.split()))
    assert (end["outcome"], end["error"]) == ("failed", program.split("/")[-1].split()[0] + " ended before its input did")
    assert bench.daemon.of("SaveCursor") == []


def test_a_target_that_closes_its_input(bench):
    """What it did not take is not stored, though it ends with 0 when there is nothing left to write."""
    closed, over = bench.folder / "closed", bench.folder / "over"
    for gate in closed, over:
        os.mkfifo(gate)
    target = bench.python(f"os.close(0); open('{closed}', 'w').close(); open('{over}').read()", "target.py")
    bench.settings(bench.python(f"open('{closed}').read()\nsay(type='RECORD', stream='s', record={{}})\nsay(type='STATE', value=1)"),
                   destination=to(target))
    run = bench.start()
    wait_for(lambda: any(report.get("stage") == "saving" for report in bench.daemon.of("Report")), "the end of the input")
    over.open("w").close()
    assert run.wait() == 0 and bench.daemon.of("SaveCursor") == []
    assert (bench.daemon.end["outcome"], bench.daemon.end["error"]) == ("failed", "target.py ended before its input did")
