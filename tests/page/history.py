# SPDX-License-Identifier: LGPL-2.1-or-later
"""A past for the page to show, written into a history while no daemon has it open: runs of weeks, made up, but always the
same ones."""

import random
import sqlite3
import time
import uuid

HOUR_SEC = 3600


def run_id(usec, draw):
    """A UUIDv7 of that time."""
    value = (usec // 1000) << 80 | 7 << 76 | draw.getrandbits(12) << 64 | 2 << 62 | draw.getrandbits(62)
    return str(uuid.UUID(int=value))


class History:
    def __init__(self, state, now=None):
        self.db = sqlite3.connect(state / "history.db")
        self.db.execute("PRAGMA foreign_keys = ON")
        self.now = now or time.time()
        self.draw = random.Random(7)

    def close(self):
        self.db.commit()
        self.db.close()

    def insert(self, table, **values):
        marks = ", ".join("?" * len(values))
        return self.db.execute(f"INSERT INTO {table} ({', '.join(values)}) VALUES ({marks})", tuple(values.values())).lastrowid

    def add(self, name, outcomes, every_sec=HOUR_SEC, accounts=("main",), usual_sec=20, items=120, error=None, trigger="schedule",
            ago_sec=600, attention=None, message=None, user=None):
        """Runs of a connector, oldest first, the last `ago_sec` ago. outcomes: a letter each, of s p f c k(skipped)."""
        key, = self.db.execute("SELECT key FROM connectors WHERE name = ?", (name,)).fetchone()
        owner = user and self.owner(user)
        letters = {"s": "succeeded", "p": "partial", "f": "failed", "c": "cancelled", "k": "skipped"}
        for i, letter in enumerate(outcomes):
            outcome, newest = letters[letter], i == len(outcomes) - 1
            begun = int((self.now - ago_sec - (len(outcomes) - 1 - i) * every_sec) * 1e6)
            duration = 0 if letter == "k" else int(usual_sec * 1e6 * self.draw.lognormvariate(0, 0.45) * (0.3 if letter == "f" else 1))
            ended = begun + duration
            run = {"id": run_id(begun, self.draw), "name": name, "provider": name.split("-")[0]}
            shares = [self.account(account, letter, j, len(accounts), items, error) for j, account in enumerate(accounts)] if letter in "sp" or error else []
            sums = {what: sum(share[what] for share in shares) for what in ("added", "updated", "deduped")}
            told = error if letter in "fp" else None
            row = self.insert("runs", id=run["id"], connector=key, user=owner, provider=run["provider"], source="pull",
                              trigger="retry" if i and outcomes[i - 1] == "f" else trigger, full_resync=0, attempt=1, created_usec=begun,
                              state="finished", outcome=outcome, finished_usec=ended, stage={"f": "failed", "c": "cancelled"}.get(letter, "completed"),
                              message=message if newest else None, discovered=sum(sums.values()), error=told, started_usec=begun,
                              updated_usec=ended, last_seq=0, report_sequence=0, worker_pid=0, worker_start_ticks=0, **sums)
            for share in shares:
                status = "failed" if share["error"] else "success" if share["added"] + share["updated"] + share["deduped"] else "no_data"
                self.insert("accounts", run=row, name=share["name"], status=status, discovered=share["added"] + share["updated"] + share["deduped"],
                            added=share["added"], updated=share["updated"], deduped=share["deduped"], error=share["error"], started_usec=begun,
                            finished_usec=begun + int(duration * self.draw.uniform(0.4, 1)))
        self.db.execute("UPDATE connectors SET last_finished_usec = ?, last_elapse_usec = ?, last_run_id = ?, last_outcome = ?, consecutive_failures = ? WHERE key = ?",
                        (ended, begun, run["id"], outcome, len(outcomes) - len(outcomes.rstrip("f")), key))
        if attention:
            self.db.execute("UPDATE connectors SET attention_category = ?, attention_message = ?, attention_since_usec = ?, attention_run_id = ? WHERE key = ?",
                            (attention, error, ended, run["id"], key))

    def owner(self, user):
        self.db.execute("INSERT INTO users (id, first_seen_usec) VALUES (?, 0) ON CONFLICT DO NOTHING", (user,))
        return self.db.execute("SELECT key FROM users WHERE id = ?", (user,)).fetchone()[0]

    def account(self, name, letter, i, n, items, error):
        share = max(1, items // n)
        last_fails = letter in "fp" and i == n - 1
        if last_fails or letter == "f":
            return {"name": name, "added": 0, "updated": 0, "deduped": 0, "error": error if last_fails else None}
        added = int(share * self.draw.random() ** 2)
        updated = int(share * self.draw.random() * 0.25)
        return {"name": name, "added": added, "updated": updated, "deduped": max(0, share - added - updated), "error": None}
