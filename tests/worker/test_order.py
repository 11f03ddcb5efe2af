# SPDX-License-Identifier: LGPL-2.1-or-later
"""Whatever the order in which records come, run after run: what is stored and counted is what a model of a few lines says."""

import json
import random
import sqlite3

import pytest
from harness import counts, record, schema


class Model:
    """Items as the destination must keep them: (stream, key) → content, version."""

    def __init__(self):
        self.items = {}

    def run(self, lines, full_resync=False):
        tally = [0, 0, 0, 0]
        seen = set()
        for line in lines:
            if line["type"] == "ACTIVATE_VERSION":
                self.items = {place: item for place, item in self.items.items()
                              if place[0] != line["stream"] or item[1] == line["version"]}
                seen &= self.items.keys()
            if line["type"] != "RECORD":
                continue
            place = line["stream"], str(line["record"]["id"])
            content, version = line["record"], line.get("version")
            before = self.items.get(place)
            outcome = 1 if not before else 2 if before[0] != content or (full_resync and place not in seen) else 3
            tally[0] += 1
            tally[outcome] += 1
            if before and version is None and outcome == 3:
                version = before[1]
            self.items[place] = content, version
            if outcome != 3:
                seen.add(place)
        return tuple(tally)

    def rows(self):
        return sorted((stream, key, content, version) for (stream, key), (content, version) in self.items.items())


def answer(rng, lines):
    """What a provider may say the next time: the same again, with this and that of it other."""
    for how in rng.sample(["drop", "change", "insert", "repeat", "swap", "shuffle", "reverse", "stream", "rotate"], rng.randrange(4)):
        at = rng.randrange(len(lines) + 1)
        some = lines[at:at + rng.choice([1, 3, 40])]
        if how == "drop":
            del lines[at:at + len(some)]
        elif how == "change":
            lines[at:at + len(some)] = [record(x["record"]["id"], x["stream"], changed=rng.random()) for x in some]
        elif how == "insert":
            lines[at:at] = [record(rng.randrange(10**6, 10**9), rng.choice("ab")) for _ in range(rng.choice([1, 20]))]
        elif how == "repeat":
            lines[at:at] = some
        elif how == "swap":
            lines[at:at + len(some)] = reversed(some)
        elif how == "shuffle":
            rng.shuffle(lines)
        elif how == "reverse":
            lines.reverse()
        elif how == "stream":
            lines.sort(key=lambda x: x["stream"])
        elif how == "rotate":
            lines[:] = lines[at:] + lines[:at]
    return lines


@pytest.mark.parametrize("seed", range(6))
def test_any_order_counts_exactly(bench, seed):
    rng = random.Random(seed)
    model = Model()
    lines = [record(n, rng.choice("aab"), text="x" * rng.randrange(300)) for n in rng.sample(range(10**6), 300)]
    for number in range(1, 9):
        bench.next_run(number)
        bench.daemon.full_resync = rng.random() < 0.2
        lines = answer(rng, lines)
        said = [dict(line, version=number // 3) if rng.random() < 0.7 and seed % 2 else line for line in lines]
        if seed % 2 and said:
            place = rng.randrange(len(said) // 2, len(said) + 1)
            said.insert(place, {"type": "ACTIVATE_VERSION", "stream": "a", "version": number // 3})
        end = bench.pull([schema("a"), schema("b"), *said])
        assert counts(end) == model.run(said, bench.daemon.full_resync), f"run {number}"
        rows = bench.items("SELECT stream, key, json, version FROM items")
        assert sorted((stream, key, json.loads(text), version) for stream, key, text, version in rows) == model.rows(), f"run {number}"


def test_the_same_bytes_under_another_key_are_another_item(bench):
    lines = [record(n, name=f"name {n}") for n in range(50)]
    assert counts(bench.pull([schema(keys=["id"]), *lines])) == (50, 50, 0, 0)
    bench.next_run(2)
    assert counts(bench.pull([schema(keys=["id"]), *lines])) == (50, 0, 0, 50)
    bench.next_run(3)
    assert counts(bench.pull([schema(keys=["name"]), *lines, *lines])) == (100, 50, 0, 50)
    bench.next_run(4)
    assert counts(bench.pull([schema(keys=["name"]), *lines, schema(keys=["id"]), *lines, *lines])) == (150, 0, 0, 150)
    bench.next_run(5)
    assert counts(bench.pull([schema(keys=["id"]), *lines[:25], schema(keys=["id", "name"]), *lines])) == (75, 50, 0, 25)


def test_the_same_bytes_in_another_stream_are_another_item(bench):
    lines = [record(n, "a") for n in range(50)]
    bench.pull([schema("a"), *lines])
    bench.next_run(2)
    others = [dict(line, stream="b") for line in lines[10:]]
    assert counts(bench.pull([schema("a"), schema("b"), *lines[:10], *others, *lines[10:]])) == (90, 40, 0, 50)


def test_airbyte_records_in_the_order_of_before(bench):
    lines = [{"type": "RECORD", "record": {"stream": "s", "emitted_at": n, "data": {"id": n}}} for n in range(50)]
    bench.pull(lines)
    bench.next_run(2)
    assert counts(bench.pull([dict(line, record=dict(line["record"], emitted_at=99)) for line in lines])) == (50, 0, 0, 50)


def test_bytes_that_stand_in_the_file_but_are_no_json(bench):
    """Somebody has edited it by hand; nothing worse comes of it than a line that is not refused."""
    bench.pull([schema(), *[record(n) for n in range(200)]])
    with sqlite3.connect(bench.state / "items.db") as database:
        database.execute("UPDATE item SET json = '{\"id\":' WHERE key = '100'")
    bench.next_run(2)
    end = bench.pull([schema(), *[record(n) for n in range(200)]])
    assert end["outcome"] == "succeeded" and counts(end) == (200, 0, 1, 199)


def test_a_file_of_the_first_version(bench):
    """It is brought up to date; what its keys were made of is not known, so that they are made again."""
    lines = [record(n, name=f"name {n}") for n in range(50)]
    bench.pull([schema(), *lines])
    with sqlite3.connect(bench.state / "items.db") as database:
        database.executescript("ALTER TABLE stream DROP COLUMN keyed_from; PRAGMA user_version = 1")
    bench.next_run(2)
    assert counts(bench.pull([schema(keys=["name"]), *lines])) == (50, 50, 0, 0)
    bench.next_run(3)
    assert counts(bench.pull([schema(keys=["name"]), *lines])) == (50, 0, 0, 50)
    assert bench.items("PRAGMA user_version") == [(2,)]
