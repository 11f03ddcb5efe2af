#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""A Singer target that does what the worker's sqlite destination does, as one writes it in Python with its own sqlite3
and json: the peer that bench-worker measures beside the worker. It is written to be quick: rows are handed to SQLite
by the batch, and what was added and updated is told by SQLite's own counts."""

import json
import sqlite3
import sys

BATCH = 10_000

LAYOUT = """
CREATE TABLE IF NOT EXISTS item (
  id INTEGER PRIMARY KEY, stream TEXT NOT NULL, key TEXT NOT NULL, json TEXT NOT NULL, UNIQUE (stream, key)
) STRICT
"""
UPSERT = """
INSERT INTO item (stream, key, json) VALUES (?, ?, ?)
ON CONFLICT (stream, key) DO UPDATE SET json = excluded.json WHERE json IS NOT excluded.json
"""


class Target:
    def __init__(self, path):
        self.database = sqlite3.connect(path, isolation_level=None)
        self.database.executescript("PRAGMA page_size = 8192; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
                                    "PRAGMA secure_delete = OFF; PRAGMA cache_size = -32768;" + LAYOUT)
        self.keys = {}
        self.rows = []
        self.state = None
        self.discovered = self.added = self.updated = 0
        self.n_items = self.count()

    def count(self):
        return self.database.execute("SELECT count(*) FROM item").fetchone()[0]

    def line(self, line):
        message = json.loads(line)
        kind = message["type"]
        if kind == "RECORD":
            record, stream = message["record"], message["stream"]
            key = json.dumps([record[name] for name in self.keys[stream]])
            self.rows.append((stream, key, json.dumps(record, sort_keys=True, ensure_ascii=False, separators=(",", ":"))))
            if len(self.rows) >= BATCH:
                self.flush()
        elif kind == "SCHEMA":
            self.keys[message["stream"]] = message["key_properties"]
        elif kind == "STATE":
            self.state = message["value"]

    def flush(self):
        before = self.database.total_changes
        self.database.execute("BEGIN IMMEDIATE")
        self.database.executemany(UPSERT, self.rows)
        self.database.execute("COMMIT")
        n_items = self.count()
        self.discovered += len(self.rows)
        self.added += n_items - self.n_items
        self.updated += self.database.total_changes - before - (n_items - self.n_items)
        self.n_items = n_items
        self.rows.clear()
        if self.state is not None:
            print(json.dumps({"type": "STATE", "value": self.state}), flush=True)
            self.state = None

    def close(self):
        self.flush()
        self.database.close()
        print(json.dumps({"type": "PROGRESS", "added": self.added, "updated": self.updated,
                          "deduped": self.discovered - self.added - self.updated}), flush=True)


def main():
    target = Target(sys.argv[1])
    for line in sys.stdin.buffer:
        target.line(line)
    target.close()


main()
