# SPDX-License-Identifier: LGPL-2.1-or-later
"""A saved cursor is good for the destination whose items it covers, and for no other."""

import os
import shutil
import sqlite3
import sys
from pathlib import Path

import pytest
from harness import TIMEOUT_SEC, counts, wait_for

sys.path.append(str(Path(__file__).resolve().parents[1] / "bus"))
from receiver import Receiver  # noqa: E402

# `pull.py TOTAL [HOW]`: what the state does not know of TOTAL items, and the state then.
PULL = """
log("FULL " + os.environ["SYNCRUN_FULL_RESYNC"])
total, how = int(sys.argv[1]), sys.argv[2:]
begin = json.load(open(os.environ["SYNCRUN_STATE"])).get("n", 0)
for i in range(begin, total):
    say(type="RECORD", stream="s", record={"id": i})
    if how == ["fail"]:
        sys.exit(1)
say(type="STATE", value={"n": total})
if how and how[0].startswith("wait"):
    open(os.environ["SYNCRUN_STATE"] + ".gate").close()
    if how == ["wait"]:
        say(type="RECORD", stream="s", record={"id": total})
    say(type="STATE", value={"n": total + 1})
"""
SAID = "The run begins without the saved cursor"
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
        anew = SAID in run.stderr
        assert self.bench.daemon.end.get("read_anew", False) == anew and ("FULL 1" in run.stderr) == anew or "FULL" not in run.stderr
        return counts(self.bench.daemon.end)[0], anew


@pytest.fixture
def runs(bench):
    return Runs(bench)


@pytest.fixture
def receiver(bench, monkeypatch):
    receiver = Receiver([])
    monkeypatch.setitem(STORES, "receiver", [("Type", "webhook"), ("Url", receiver.url())])
    bench.daemon.rules = {"webhook_allow_http": True, "webhook_allow_literals": True, "webhook_private_networks": "127.0.0.0/8",
                          "webhook_timeout_usec": TIMEOUT_SEC * 1000000}
    yield receiver
    receiver.close()


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


def test_one_that_was_away_for_a_run_goes_on(runs, bench):
    """As where a disk was not mounted: what it has is known by itself."""
    runs(10)
    away = bench.state / "away"
    away.mkdir()
    for path in bench.state.glob("items.db*"):
        path.rename(away / path.name)
    assert runs(20, "fail")[1]
    for path in bench.state.glob("items.db*"):
        path.unlink()
    for path in away.iterdir():
        path.rename(bench.state / path.name)
    assert runs(20) == (10, False)
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


def copy(bench, name):
    """A copy of the items as they are now, as backups are made."""
    with sqlite3.connect(bench.state / "items.db") as source, sqlite3.connect(bench.folder / name) as target:
        source.backup(target)


def restore(bench, name):
    for path in bench.state.glob("items.db*"):
        path.unlink()
    shutil.copy(bench.folder / name, bench.state / "items.db")


def test_an_older_copy_gets_all_and_a_newer_one_goes_on(runs, bench):
    """Also one that is ahead of the cursor, as after a kill, or because the daemon's history is the older copy."""
    runs(10)
    copy(bench, "older")
    cursor = bench.daemon.cursor
    runs(20)
    copy(bench, "newer")
    restore(bench, "older")
    assert runs(20) == (20, True)
    assert len(bench.items()) == 20
    restore(bench, "newer")
    assert runs(30) == (10, False)
    bench.daemon.cursor = cursor
    assert runs(30) == (20, False)


def test_killed_before_the_cursor_is_saved(bench):
    """The items are ahead, and nothing has to be read twice."""
    bench.next_run(1)
    bench.settings(" ".join([bench.python(PULL), "10"]))
    bench.run()
    bench.next_run(2)
    bench.settings(" ".join([bench.python(PULL), "20"]))
    run = bench.start()
    bench.daemon.before_reply = lambda method, _: method == "SaveCursor" and not run.kill()
    run.wait()
    bench.daemon.before_reply = None
    bench.daemon.cursor = '{"n": 10}'
    assert len(bench.items()) == 20
    bench.next_run(3)
    run = bench.run()
    assert SAID not in run.stderr and counts(bench.daemon.end) == (10, 0, 0, 10)


def test_one_from_before_it_said_what_it_covers_goes_on(runs, bench):
    runs(10)
    with sqlite3.connect(bench.state / "items.db") as database:
        database.execute("DROP TABLE mark")
    assert runs(20) == (10, False)
    assert runs(30) == (10, False)


def test_one_that_was_moved_goes_on(runs, bench):
    runs(10)
    (bench.state / "items.db").rename(bench.state / "other.db")
    assert runs(20, store="other.db") == (10, False)


@pytest.mark.parametrize("marked", [True, False])
def test_a_receiver_of_what_was_only_kept_gets_all(runs, bench, receiver, marked):
    """The file is the same, but nothing of it was sent anywhere; the other way round, all is there."""

    def sent():
        data = [request.message["data"] for request in receiver.requests]
        return sorted(entry["id"] for part in data for entry in part["new"] + part["updated"])

    runs(10)
    if not marked:
        with sqlite3.connect(bench.state / "items.db") as database:
            database.execute("DROP TABLE mark")
    assert runs(10, store="receiver") == (10, True)
    assert sent() == list(range(10))
    assert runs(20, store="receiver") == (10, False)
    assert sent() == list(range(20))
    assert runs(30) == (10, False)
    receiver.requests.clear()
    assert runs(40, store="receiver") == (40, True)
    assert sent() == list(range(40))


def test_some_accounts_alone(runs, bench):
    runs(10)
    bench.daemon.accounts = ["a"]
    assert runs(20) == (10, False)
    (bench.state / "items.db").unlink()
    assert runs(30) == (30, True)


def test_one_that_does_not_open_changes_nothing(runs, bench):
    """What is void stays so until a run could store something there."""
    runs(10)
    (bench.state / "other.db").write_bytes(b"no database" * 100)
    assert runs(20, store="other.db")[0] == 0
    (bench.state / "other.db").unlink()
    assert runs(20, store="other.db") == (20, True)


@pytest.mark.parametrize("how", ["wait", "wait-state"])
def test_removed_under_a_run(bench, how):
    """Nothing that went into it is said to be stored, nor does a state alone count."""
    bench.settings(" ".join([bench.python(PULL), "5", how]))
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
