# SPDX-License-Identifier: LGPL-2.1-or-later
"""A saved cursor is good for the destination whose items it covers, and for no other."""

import os
import shutil

import pytest
from harness import counts, wait_for

# `pull.py TOTAL [HOW]`: what the state does not know of TOTAL items, and the state then.
PULL = """
total, how = int(sys.argv[1]), sys.argv[2:]
begin = json.load(open(os.environ["SYNCRUN_STATE"])).get("n", 0)
for i in range(begin, total):
    say(type="RECORD", stream="s", record={"id": i})
    if how == ["fail"]:
        sys.exit(1)
say(type="STATE", value={"n": total})
if how == ["wait"]:
    say(type="PROGRESS", stage="waiting")
    open(os.environ["SYNCRUN_STATE"] + ".gate").close()
    say(type="RECORD", stream="s", record={"id": total})
    say(type="STATE", value={"n": total + 1})
"""
SAID = "begins without the saved cursor"
STORES = {
    "items.db": [("Type", "sqlite")],
    "other.db": [("Path", "%S/other.db")],
    "webhook": [("Type", "webhook"), ("Path", "%S/hook.db"), ("Url", "http://127.0.0.1:1/")],
    "exec": [("Type", "exec"), ("ExecStore", "/bin/cat")],
}


class Runs:
    def __init__(self, bench):
        self.bench = bench
        self.n = 0

    def __call__(self, total, *how, store="items.db"):
        """A run; how many records it was given, and whether it says that it began without the cursor."""
        self.n += 1
        self.bench.next_run(self.n)
        program = self.bench.python(PULL)
        self.bench.settings(" ".join([program, str(total), *how]), destination=STORES[store])
        run = self.bench.run()
        return counts(self.bench.daemon.end)[0], SAID in run.stderr


@pytest.fixture
def runs(bench):
    return Runs(bench)


def test_the_same_one_goes_on(runs):
    assert runs(10) == (10, False)
    assert runs(20) == (10, False)
    assert runs(20) == (0, False)


def test_one_that_was_lost_gets_all(runs, bench):
    runs(10)
    for path in bench.state.glob("items.db*"):
        path.unlink()
    assert runs(20) == (20, True)
    assert len(bench.items()) == 20
    assert runs(30) == (10, False)


def test_until_it_has_all(runs, bench):
    """Also where the run that found it empty failed, and where the cursor is the same as before in the end."""
    runs(10)
    for path in bench.state.glob("items.db*"):
        path.unlink()
    assert runs(10, "fail") == (1, True)
    assert runs(10) == (10, True)
    assert runs(10) == (0, False)
    assert len(bench.items()) == 10


@pytest.mark.parametrize("store", ["other.db", "exec"])
def test_another_one_and_back(runs, bench, store):
    runs(10)
    assert runs(20, store=store) == (20, True)
    assert runs(30, store=store) == (10, False)
    assert runs(40) == (40, True)
    assert len(bench.items()) == 40
    assert runs(50) == (10, False)


def test_another_type_of_another_file(runs):
    runs(10)
    assert runs(20, store="webhook")[1]


def test_one_that_does_not_open_changes_nothing(runs, bench):
    """What is void stays so until a run could store something there."""
    runs(10)
    (bench.state / "other.db").write_bytes(b"no database" * 100)
    assert runs(20, store="other.db")[0] == 0
    (bench.state / "other.db").unlink()
    assert runs(20, store="other.db") == (20, True)


def test_removed_under_a_run(bench):
    """Nothing that went into it is said to be stored."""
    bench.settings(" ".join([bench.python(PULL), "5", "wait"]))
    gate = bench.state / "state.json.gate"
    bench.next_run(1)
    os.mkfifo(gate)
    run = bench.start()
    wait_for(lambda: bench.daemon.of("SaveCursor"), "the first cursor")
    shutil.move(bench.state / "items.db", bench.state / "taken.db")
    gate.open("w").close()
    assert run.wait() == 0
    end = bench.daemon.end
    assert end["outcome"] == "failed" and "items.db was removed or replaced while the run wrote to it" in end["error"]
    assert bench.daemon.of("SaveCursor") == [{"n": 5}]
    gate.unlink()
    bench.next_run(2)
    bench.settings(" ".join([bench.python(PULL), "7"]))
    run = bench.run()
    assert SAID in run.stderr and len(bench.items()) == 7
