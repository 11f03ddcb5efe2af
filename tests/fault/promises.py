# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the daemon has promised (calls that it answered, events that it signalled), and whether the history keeps it.

The history is looked at as it was when the daemon was killed: a copy that SQLite recovers, so that the original is left as it
was for the daemon to recover.
"""

import json
import shutil
import sqlite3
from collections import defaultdict
from contextlib import closing, contextmanager

RECENT_RUNS = 400  # looked at closely after a kill; at the end all are

# Each selects what must not be there.
NEVER = {
    "a connector with two active runs":
        "SELECT connector, count(*) FROM runs WHERE state <> 'finished' AND connector IS NOT NULL GROUP BY connector"
        " HAVING count(*) > 1",
    "a finished run without exactly one last event":
        "SELECT id FROM runs WHERE row > :recent AND state = 'finished' AND"
        " (SELECT count(*) FROM events WHERE run = row AND json ->> 'status' <> 'in_progress') <> 1",
    "an end that was told of a run that has not ended":
        "SELECT id FROM runs WHERE row > :recent AND state <> 'finished' AND"
        " EXISTS (SELECT 1 FROM events WHERE run = row AND json ->> 'status' <> 'in_progress')",
    "an event after the end":
        "SELECT seq FROM runs JOIN events ON run = row WHERE row > :recent AND seq < last_seq"
        " AND json ->> 'status' <> 'in_progress'",
    "a run that does not know its last event":
        "SELECT id FROM runs WHERE row > :recent AND last_seq <> (SELECT ifnull(max(seq), 0) FROM events WHERE run = row)",
    # Each start goes on from the time of day in microseconds; from then on they are given in a row.
    "a gap in the sequence":
        "SELECT seq FROM (SELECT seq, seq - lag(seq) OVER (ORDER BY seq) AS step FROM events) WHERE step BETWEEN 2 AND 1000",
    "accounts that do not add up":
        "SELECT id FROM runs WHERE row > :recent AND connector IS NOT NULL AND state = 'finished' AND added <>"
        " (SELECT ifnull(sum(added), 0) FROM accounts WHERE run = row)",
}


class Broken(AssertionError):
    """The daemon did not keep a promise."""


def expect(condition, *words):
    if not condition:
        raise Broken(" ".join(map(str, words)))


@contextmanager
def frozen(path, folder):
    """A copy of a database whose writer has been killed."""
    copy = folder / f"frozen-{path.name}"
    for suffix in ("", "-wal"):
        source, target = path.with_name(path.name + suffix), copy.with_name(copy.name + suffix)
        target.unlink(missing_ok=True)
        if source.exists():
            shutil.copyfile(source, target)
    copy.with_name(copy.name + "-shm").unlink(missing_ok=True)
    with closing(sqlite3.connect(copy)) as database:
        yield database


def live(path):
    return closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=30))


class Promises:
    def __init__(self):
        self.events = {}  # sequence number → (run, JSON)
        self.unchecked = []  # sequence numbers
        self.last_seq = 0
        self.contiguous = False  # the daemon has signalled since its start
        self.runs = {}  # id → connector
        self.cancelled = set()
        self.resyncs = defaultdict(int)  # connector → full resyncs that were promised as the next run
        self.reports = {}  # message → run
        self.ends = {}  # run → outcome, as its properties said
        self.switches = {}  # connector → [(number, active)]: what was answered last, and what was asked since

    # ---- What is promised

    def daemon_gone(self):
        self.contiguous = False

    def signalled(self, events):
        for seq, _, run, text in events:
            expect(seq > self.last_seq, "event", seq, "was signalled after", self.last_seq)
            expect(not self.contiguous or seq == self.last_seq + 1, "event", seq, "was signalled next after", self.last_seq)
            self.events[seq] = (run, text)
            self.unchecked.append(seq)
            self.last_seq, self.contiguous = seq, True

    def switch_asked(self, name, active):
        """Calls are done in order; one without an answer may have been done."""
        switches = self.switches.setdefault(name, [(0, True)])
        number = switches[-1][0] + 1
        switches.append((number, active))
        return number

    def switch_answered(self, name, number):
        self.switches[name] = [switch for switch in self.switches[name] if switch[0] >= number]

    # ---- Whether it is kept

    def check(self, database, whole=False):
        expect(database.execute("PRAGMA quick_check").fetchone() == ("ok",), "the history is damaged")
        self._check_shape(database, whole)
        self._check_events(database, whole)
        self._check_calls(database, whole)

    def _check_shape(self, database, whole):
        newest, = database.execute("SELECT ifnull(max(row), 0) FROM runs").fetchone()
        for what, sql in NEVER.items():
            found = database.execute(sql, {"recent": 0 if whole else newest - RECENT_RUNS}).fetchall()
            expect(not found, f"{what}:", found[:5])

    def _check_events(self, database, whole):
        wanted = sorted(self.events) if whole else self.unchecked
        if not wanted:
            return
        rows = {seq: (run, text) for seq, run, text in database.execute(
            "SELECT seq, id, json FROM events JOIN runs ON run = row WHERE seq BETWEEN ? AND ?", (wanted[0], wanted[-1]))}
        for seq in wanted:
            expect(seq in rows, "event", seq, "was signalled and is not in the history")
            expect(rows[seq] == self.events[seq], "event", seq, "was signalled as", self.events[seq], "and is", rows[seq])
        self.unchecked = []

    def _check_calls(self, database, whole):
        outcomes = dict(database.execute("SELECT id, outcome FROM runs"))
        for run in self.runs:
            expect(run in outcomes, "run", run, "was answered and is not in the history")
        for run in self.cancelled:
            expect(outcomes.get(run) == "cancelled", "run", run, "was cancelled and is", outcomes.get(run))
        for run, outcome in self.ends.items():
            expect(outcomes.get(run) == outcome, "run", run, "ended as", outcome, "and is", outcomes.get(run))
        self._check_reports(database, whole)
        self._check_connectors(database)

    def _check_reports(self, database, whole):
        if not self.reports:
            return
        rows = database.execute("SELECT json ->> 'message', id FROM events JOIN runs ON run = row WHERE runs.connector IS NULL"
                                " AND json ->> 'message' IS NOT NULL").fetchall()
        told = dict(rows)
        expect(len(told) == len(rows), "a report from outside is in the history twice")
        for message, run in self.reports.items():
            expect(told.get(message) == run, "report", message, "was answered and is not in the history")

    def _check_connectors(self, database):
        for name, override, owed, resyncs in database.execute(
                "SELECT name, active_override, resync_pending + owes_resync,"
                " (SELECT count(*) FROM runs WHERE connector = connectors.key AND full_resync) FROM connectors"):
            allowed = {active for _, active in self.switches.get(name, [])}
            expect(not allowed or (override != 0) in allowed, "connector", name, "was set to", allowed, "and is", override)
            expect(resyncs + owed >= (1 if self.resyncs[name] else 0), "connector", name, "forgot a full resync")


# ---- Items: what the destination has beside what the history says


@contextmanager
def worker_items(path):
    """The database of a connector's items, None where there is none yet."""
    if not path.exists():
        yield None
        return
    with live(path) as database:
        try:
            made = database.execute("SELECT 1 FROM sqlite_schema WHERE name = 'run'").fetchone()
        except sqlite3.OperationalError as error:
            # Killed while the file became one with a write-ahead log: the journal of that is not for a reader to roll back.
            if error.sqlite_errorname != "SQLITE_READONLY_ROLLBACK":
                raise
            made = None
        yield database if made else None  # killed before its first word


def number_and_highest(items):
    return items.execute("SELECT count(*), ifnull(max(json ->> 'id'), 0) FROM item").fetchone() if items else (0, 0)


def check_cursor(history, name, path):
    """The cursor was read before the items, and its worker is dead: it must not be ahead of them."""
    row = history.execute("SELECT cursor FROM cursors JOIN connectors ON key = connector WHERE name = ?", (name,)).fetchone()
    cursor = json.loads(row[0])["n"] if row else 0
    with worker_items(path) as items:
        _, highest = number_and_highest(items)
    expect(cursor <= highest, "the cursor of", name, "is", cursor, "and its items end at", highest)


def check_items(history, name, path, exact):
    """Counts equal the items: of runs whose end the worker knows to be recorded, or (exact) of all. Its worker may run on: what
    follows is read after what it follows."""
    with worker_items(path) as items:
        number, highest = number_and_highest(items)
        expect(highest == number, name, "has", number, "items up to", highest)
        if not items:
            return
        settled = {run for run, in items.execute("SELECT run_id FROM run WHERE settled")}
        told = dict(history.execute("SELECT runs.id, added FROM runs JOIN connectors ON key = connector WHERE name = ?", (name,)))
        added = items.execute("SELECT run_id, count(item.id) FROM run LEFT JOIN item ON first_run = run.id GROUP BY run.id")
        for run, n in added.fetchall():
            counts = ("run", run, "of", name, "stored", n, "items and is recorded with", told.get(run))
            expect(told.get(run) == n if exact or run in settled else told.get(run, 0) <= n, *counts)
