# SPDX-License-Identifier: LGPL-2.1-or-later
"""A database of items on a disk that is full, beyond its quota, or has written nonsense: what is said of it, and what comes after."""

import errno
import json
import os

import pytest

from harness import record, schema, state

FULL = os.environ["SYNCRUN_WORKER_FULL"]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO])
def test_nothing_more_is_taken(bench, number):
    """What is stored stays, what is not comes again with the next run, and the cursor is never ahead of it."""
    full, env = bench.folder / "full", {"SYNCRUN_TEST_FULL": str(bench.folder / "full")}
    bench.settings(bench.lines([schema(), record(1), state({"n": 1})]))
    bench.run(program=FULL, env=env)
    assert bench.daemon.end["outcome"] == "succeeded"

    full.write_text(str(number))
    bench.next_run(2)
    bench.settings(bench.lines([schema(), *[record(n, text="x" * 1000) for n in range(2, 50)], state({"n": 49})]))
    bench.run(program=FULL, env=env)
    end = bench.daemon.end
    assert end["outcome"] == "failed" and "items.db" in end["error"]
    # SQLite has words of its own for a file that cannot grow, and none for the memory that it shares.
    assert os.strerror(number) in end["error"] or (number == errno.ENOSPC and "disk is full" in end["error"])
    assert json.loads(bench.daemon.cursor) == {"n": 1}
    assert len(bench.items()) == 1

    full.unlink()
    bench.next_run(3)
    bench.run(program=FULL, env=env)
    assert bench.daemon.end["outcome"] == "succeeded" and json.loads(bench.daemon.cursor) == {"n": 49}
    assert len(bench.items()) == 49


def test_a_damaged_database(bench):
    """It is left as it is for whoever repairs it, and somebody is asked to; a new one takes its place when it is moved away."""
    lines = [schema(), *[record(n, text="x" * 1000) for n in range(100)]]
    assert bench.pull(lines)["outcome"] == "succeeded"
    path = bench.state / "items.db"
    size = path.stat().st_size
    with open(path, "r+b") as file:
        file.seek(4096)
        file.write(b"\x55" * (size - 4096))
    damaged = path.read_bytes()
    bench.next_run(2)
    end = bench.pull(lines)
    assert end["outcome"] == "failed" and end["attention"] == "configuration_error"
    assert "items.db is damaged" in end["error"] and "syncrunctl start --full" in end["error"]
    assert path.read_bytes() == damaged

    path.rename(bench.state / "damaged.db")
    bench.next_run(3, keep_cursor=False)
    assert bench.pull(lines)["outcome"] == "succeeded"
    assert len(bench.items()) == 100
