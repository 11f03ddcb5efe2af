# SPDX-License-Identifier: LGPL-2.1-or-later
"""A past for the page to show, written into a history while no daemon has it open: runs of weeks, made up, but always the
same ones."""

import random
import re
import sqlite3
import time
import uuid

HOUR_SEC = 3600


def run_id(usec, draw):
    """A UUIDv7 of that time."""
    value = (usec // 1000) << 80 | 7 << 76 | draw.getrandbits(12) << 64 | 2 << 62 | draw.getrandbits(62)
    return str(uuid.UUID(int=value))


OUTCOMES = {"s": "succeeded", "p": "partial", "f": "failed", "c": "cancelled", "k": "skipped"}


class History:
    def __init__(self, state, connectors):
        self.db = sqlite3.connect(state / "history.db")
        self.db.execute("PRAGMA foreign_keys = ON")
        self.connectors = connectors
        self.now = time.time()
        self.draw = random.Random(7)

    def close(self):
        self.db.commit()
        self.db.close()

    def insert(self, table, **values):
        marks = ", ".join("?" * len(values))
        return self.db.execute(f"INSERT INTO {table} ({', '.join(values)}) VALUES ({marks})", tuple(values.values())).lastrowid

    def add(self, name, outcomes, every_sec=HOUR_SEC, accounts=("main",), usual_sec=20, items=120, error="The service did not answer (HTTP 503)",
            ago_sec=600, attention=None, message=None, user=None):
        """Runs of a connector, oldest first, the last `ago_sec` ago. outcomes: a letter each, see above."""
        key, = self.db.execute("SELECT key FROM connectors WHERE name = ?", (name,)).fetchone()
        provider = re.search("^Provider=(.*)", (self.connectors / f"{name}.connector").read_text(), re.M)[1]
        always = {"connector": key, "user": user and self.owner(user), "provider": provider}
        before = None
        for i, letter in enumerate(outcomes):
            due = int((self.now - ago_sec - (len(outcomes) - 1 - i) * every_sec) * 1e6)
            if letter == "k":
                before = self.skipped(before, **always)
                continue
            duration = int(usual_sec * 1e6 * self.draw.lognormvariate(0, 0.45) * (0.3 if letter == "f" else 1))
            shares = [] if letter == "c" else [self.share(account, letter, j, len(accounts), items, error) for j, account in enumerate(accounts)]
            sums = {what: sum(share[what] for share in shares) for what in ("discovered", "added", "updated", "deduped")}
            row, run = self.run(OUTCOMES[letter], due, due + duration, **always, **sums, started_usec=due, error=error if letter in "fp" else None,
                                trigger="retry" if before and before["outcome"] == "failed" else "schedule",
                                stage={"f": "failed", "c": "cancelled"}.get(letter, "completed"),
                                message=message if message and i == len(outcomes) - 1 else words_of(letter, shares, sums))
            for share in shares:
                self.insert("accounts", run=row, **share, started_usec=due, finished_usec=due + int(duration * self.draw.uniform(0.4, 1)))
            if before is None or before["outcome"] != run["outcome"]:
                since = run["finished_usec"]
            before = run
        self.db.execute("UPDATE connectors SET last_finished_usec = ?, last_elapse_usec = ?, last_run_id = ?, last_outcome = ?, consecutive_failures = ? WHERE key = ?",
                        (before["finished_usec"], before["created_usec"], before["id"], before["outcome"], len(outcomes) - len(outcomes.rstrip("f")), key))
        if attention:
            self.db.execute("UPDATE connectors SET attention_category = ?, attention_message = ?, attention_since_usec = ?, attention_run_id = ? WHERE key = ?",
                            (attention, error, since, before["id"], key))

    def run(self, outcome, created, finished, **values):
        run = {"id": run_id(created, self.draw), "outcome": outcome, "created_usec": created, "finished_usec": finished, "updated_usec": finished, **values}
        return self.insert("runs", **run, source="pull", state="finished", full_resync=0, attempt=1, last_seq=0, report_sequence=0, worker_pid=0,
                           worker_start_ticks=0), run

    def skipped(self, before, **always):
        """What was due in the midst of the run before: it has never begun, and so has brought nothing."""
        due = (before["created_usec"] + before["finished_usec"]) // 2
        return self.run("skipped", due, due, **always, discovered=0, added=0, updated=0, deduped=0, trigger="schedule", stage="completed",
                        message=f"Skipped: run {before['id']} was still running")[1]

    def undelivered(self, name, runs):
        """So many of its last runs could not deliver."""
        self.db.execute("UPDATE connectors SET destination_failures = ? WHERE name = ?", (runs, name))

    def consent(self, connection, left_sec):
        ends = int((self.now + left_sec) * 1e6)
        self.db.execute("INSERT INTO connections (name, state, shown, withdrawn, consent_expires_usec) VALUES (?, 'active', 'active', 0, ?)"
                        " ON CONFLICT DO UPDATE SET consent_expires_usec = excluded.consent_expires_usec", (connection, ends))

    def owner(self, user):
        self.db.execute("INSERT INTO users (id, first_seen_usec) VALUES (?, 0) ON CONFLICT DO NOTHING", (user,))
        return self.db.execute("SELECT key FROM users WHERE id = ?", (user,)).fetchone()[0]

    def share(self, name, letter, i, n, items, error):
        """What of a run was an account's."""
        if letter == "f" or (letter == "p" and i == n - 1):
            return {"name": name, "status": "failed", "discovered": 0, "added": 0, "updated": 0, "deduped": 0, "error": error}
        found = max(1, items // n)
        added = int(found * self.draw.random() ** 2)
        updated = int(found * self.draw.random() * 0.25)
        deduped = max(0, found - added - updated)
        return {"name": name, "status": "success", "discovered": added + updated + deduped, "added": added, "updated": updated, "deduped": deduped, "error": None}


def words_of(letter, shares, sums):
    """As the daemon has them."""
    brought = f"{sums['added']} new, {sums['updated']} updated"
    n_failed = sum(share["status"] == "failed" for share in shares)
    return {"s": f"Sync completed · {brought}", "p": f"Sync completed in part · {brought}, {n_failed} of {len(shares)} accounts failed",
            "f": "Sync failed", "c": "Sync cancelled"}[letter]
