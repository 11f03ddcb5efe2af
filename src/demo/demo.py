#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""syncrun in two minutes: three connectors on real local data, in a private instance that touches nothing else.

Every claim that the demo makes is checked against the source of the data and against the database that holds the items;
it exits with 0 only if all of them held. On a terminal it then goes on syncing, and serves the page, until it is interrupted.
"""

import argparse
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import textwrap
from pathlib import Path

from instance import Instance, InstanceError
from remote import Remote, watch

TOP = Path(__file__).resolve().parent.parent.parent
CONNECTORS = TOP / "src" / "connectors"

EXIT_FAILED = 1
EXIT_PARTIAL = 3

FILES = {
    "packages": """\
        [Connector]
        Description=Packages installed on this machine
        Provider=dpkg
        [Pipeline]
        ExecPull={connectors}/syncrun-packages --state %s
        """,
    "bank": """\
        [Connector]
        Description=Bank statements
        Provider=csv-bank
        Connection=my-bank
        [Run]
        RetryMax=0
        [Pipeline]
        ExecPull={connectors}/syncrun-csv-bank --folder {folder}/bank --state %s
        """,
    "commits": """\
        [Connector]
        Description=Commits of a git repository
        Provider=git
        [Pipeline]
        ExecPull={connectors}/syncrun-git-log --repository {folder}/repository --state %s
        """,
}


class Stage:
    """What is shown, and whether it held."""

    def __init__(self, instance):
        self.instance = instance
        self.remote = None
        self.failures = 0
        self.colours = sys.stdout.isatty() and os.environ.get("TERM") != "dumb" and "NO_COLOR" not in os.environ

    def paint(self, code, text):
        return f"\033[{code}m{text}\033[0m" if self.colours else text

    def heading(self, text):
        print(f"\n{self.paint('1;34', '── ' + text + ' ')}{self.paint('34', '─' * (90 - len(text)))}\n", flush=True)

    def tell(self, text):
        print(textwrap.fill(" ".join(text.split()), 96), flush=True)

    def check(self, held, claim):
        mark = self.paint("1;32", "✔") if held else self.paint("1;31", "✘")
        print(f"  {mark} {claim if held else self.paint('31', claim + ': NOT SO')}", flush=True)
        self.failures += not held

    def equal(self, seen, expected, claim):
        self.check(seen == expected, claim if seen == expected else f"{claim} (expected {expected}, seen {seen})")

    def syncrunctl(self, *arguments):
        """Run as the reader would, output and all; its exit status."""
        print(f"\n{self.paint('1', '$ syncrunctl ' + ' '.join(arguments))}", flush=True)
        done = subprocess.run([self.instance.program("syncrunctl"), "--no-pager", *arguments],
                              env=self.instance.environment, stdin=subprocess.DEVNULL)
        print(flush=True)
        return done.returncode

    def ask(self, *arguments):
        """The same as JSON, unseen."""
        done = subprocess.run([self.instance.program("syncrunctl"), "--json=short", *arguments],
                              env=self.instance.environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=True)
        return json.loads(done.stdout)

    def output(self, *arguments):
        """What it prints, unseen."""
        return subprocess.run([self.instance.program("syncrunctl"), *arguments], env=self.instance.environment,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True,
                              text=True).stdout.strip()

    def last_run(self, connector):
        run = self.ask("runs", connector)["runs"][0]
        return self.ask("show", run["id"])

    def needing_attention(self):
        connectors = self.ask("list")["connectors"]
        return [connector["name"] for connector in connectors if connector["attention"]]

    def stored(self, connector):
        """How many items the destination holds, asked of the database itself."""
        with sqlite3.connect(f"file:{self.instance.state}/connectors/{connector}/items.db?mode=ro", uri=True) as database:
            return database.execute("SELECT count(*) FROM items").fetchone()[0]


def git(folder, *command):
    identity = {f"GIT_{role}_{key}": value for role in ("AUTHOR", "COMMITTER")
                for key, value in (("NAME", "syncrun demo"), ("EMAIL", "demo@example.org"))}
    environment = {**os.environ, **identity, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
    done = subprocess.run(["git", "-C", folder, *command], env=environment, check=True,
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    return done.stdout.decode().strip()


def prepare(instance):
    """Sources to sync from: copies, where the story changes them."""
    shutil.copytree(CONNECTORS / "sample" / "bank", instance.folder / "bank")
    repository = instance.folder / "repository"
    try:
        git(TOP, "clone", "--quiet", "--no-hardlinks", str(TOP), str(repository))
    except subprocess.CalledProcessError:
        # Not a clone of syncrun but its bare files: a repository of them will do.
        repository.mkdir()
        git(repository, "init", "--quiet")
        shutil.copy(__file__, repository)
        git(repository, "add", ".")
        git(repository, "commit", "--quiet", "-m", "The demo")
    for name, text in FILES.items():
        path = instance.connectors / f"{name}.connector"
        path.write_text(textwrap.dedent(text).format(connectors=CONNECTORS, folder=instance.folder))


def installed_packages():
    done = subprocess.run(["dpkg-query", "-W", "-f", "x\n"], stdout=subprocess.PIPE, check=True)
    return done.stdout.count(b"x\n")


def first_sync(stage):
    stage.heading("1. The first sync")
    stage.tell("""Three connectors: the packages of this machine, bank statements in CSV (one account has a broken line),
        and the commits of a git repository. None has run yet.""")
    stage.syncrunctl("list")

    n_packages = installed_packages()
    status = stage.syncrunctl("start", "--wait", "packages")
    run = stage.last_run("packages")
    stage.equal((run["outcome"], status), ("succeeded", 0), "packages succeeded, and the exit status is 0")
    stage.equal(run["counts"]["added"], n_packages, f"all {n_packages} packages that dpkg-query knows were added")
    stage.equal(stage.stored("packages"), n_packages, f"its database holds {n_packages} items")

    status = stage.syncrunctl("start", "--wait", "bank")
    run = stage.last_run("bank")
    accounts = {account["account"]: account for account in run["accounts"]}
    stage.equal((run["outcome"], status), ("partial", EXIT_PARTIAL), "bank succeeded in part, and the exit status is 3")
    stage.equal({name: (account["status"], account["counts"]["added"]) for name, account in accounts.items()},
                {"checking": ("success", 84), "savings": ("success", 11), "credit-card": ("failed", 0)},
                "84 transactions of checking and 11 of savings were added, none of the credit card")
    stage.equal(accounts["credit-card"]["error"], 'credit-card_2026-10.csv, line 8: "-18,9O" is not an amount',
                "the run says which line is wrong")

    n_commits = int(git(stage.instance.folder / "repository", "rev-list", "--count", "HEAD"))
    stage.syncrunctl("start", "--wait", "commits")
    stage.equal(stage.last_run("commits")["counts"]["added"], n_commits,
                f"every commit that git counts was added: {n_commits}")


def second_sync(stage):
    stage.heading("2. A second sync knows what it has")
    stage.tell("""The bank connector asks for the last days again, since banks book late: what is known is deduped. A full
        resync of the packages stores every item anew, but none twice.""")
    stage.syncrunctl("start", "--wait", "bank")
    counts = stage.last_run("bank")["counts"]
    stage.check(counts["deduped"] == counts["discovered"] > 0 == counts["ingested"],
                f"all {counts['discovered']} transactions were known, none was added or updated")

    n_packages = installed_packages()
    stage.syncrunctl("start", "--wait", "--full", "packages")
    counts = stage.last_run("packages")["counts"]
    stage.equal((counts["added"], counts["updated"]), (0, n_packages), f"{n_packages} packages were ingested again")
    stage.equal(stage.stored("packages"), n_packages, f"its database still holds {n_packages} items")


def change(stage):
    stage.heading("3. A change is picked up")
    stage.tell("A new commit, a new bank statement, and a booking that the bank has corrected.")
    git(stage.instance.folder / "repository", "commit", "--quiet", "--allow-empty", "-m", "Seen by the demo")
    bank = stage.instance.folder / "bank"
    (bank / "checking_2026-11.csv").write_text(
        "date,amount,currency,description,reference\n2026-11-02,-1240.00,EUR,Rent Schellingstr. 14,TX110001\n")
    october = bank / "checking_2026-10.csv"
    october.write_text(october.read_text().replace("Kino Monopol,TX100023", "Kino Monopol (2 tickets),TX100023"))

    stage.syncrunctl("start", "--wait", "commits")
    counts = stage.last_run("commits")["counts"]
    stage.equal((counts["discovered"], counts["added"]), (1, 1), "just the new commit was asked for, and added")
    stage.syncrunctl("start", "--wait", "bank")
    counts = stage.last_run("bank")["counts"]
    stage.equal((counts["added"], counts["updated"]), (1, 1), "one transaction was added, one updated")


def attention(stage):
    stage.heading("4. A sync needs attention, and recovers")
    stage.tell("The consent to read the statements has expired. No retry can mend that; a person can.")
    consent = stage.instance.folder / "bank" / "consent.json"
    granted = consent.read_text()
    consent.write_text('{"granted": "2025-01-01", "expires": "2026-01-01"}\n')
    status = stage.syncrunctl("start", "--wait", "bank")
    run = stage.last_run("bank")
    stage.equal((run["outcome"], run["category"], status), ("failed", "consent_expired", EXIT_FAILED),
                "the run failed as consent_expired, and the exit status is 1")
    stage.syncrunctl("list")
    stage.equal(stage.needing_attention(), ["bank"], "bank needs attention, and it alone")

    stage.tell("A fresh consent is given, the broken line is mended, and the connection is said to work again.")
    consent.write_text(granted)
    card = stage.instance.folder / "bank" / "credit-card_2026-10.csv"
    card.write_text(card.read_text().replace('"-18,9O"', "-18.90"))
    stage.syncrunctl("reconnect", "my-bank")
    stage.syncrunctl("start", "--wait", "bank")
    ended = [(run["trigger"], run["outcome"]) for run in stage.ask("runs", "bank")["runs"]]
    stage.check(("reconnect", "succeeded") in ended, "reconnecting made it run at once, and it succeeded")
    stage.equal(stage.stored("bank"), 84 + 11 + 10 + 1, "its database has all transactions of all three accounts")
    stage.equal(stage.needing_attention(), [], "nothing needs attention any more")


def history(stage):
    stage.heading("5. The history")
    stage.syncrunctl("runs")
    runs = stage.ask("runs")["runs"]
    stage.check(len(runs) >= 9 and all(run["state"] == "finished" for run in runs),
                f"all {len(runs)} runs have ended and are recorded")


def remote(stage):
    stage.heading("6. Remote clients")
    stage.tell("""The HTTP server on a port of this machine, an API key for it, and a client that follows the events of all users
        (Server-Sent Events) while a sync runs.""")
    url = stage.instance.start_http()
    key = stage.output("key", "add", "demo", "--scope=sync:read,sync:write,sync:admin")
    stage.remote = client = Remote(url, key)
    listed = client.get("/v1/sync-runs?limit=200")["syncRuns"]
    stage.equal({run["id"] for run in listed}, {run["id"] for run in stage.ask("runs")["runs"]},
                f"GET /v1/sync-runs answers with the same {len(listed)} runs")
    with client.stream("/api/v1/sync/stream?replay=1") as events:
        answer = client.post("/v1/connectors/commits/sync-now")
        stage.equal((answer["alreadyActive"], answer["syncRun"]["status"]), (False, "queued"),
                    "POST /v1/connectors/commits/sync-now began a run")
        run_id = answer["syncRun"]["id"]
        stages = [event["stage"] for event in events.until(lambda e: e["run_id"] == run_id and e["stage"] == "completed")
                  if event["run_id"] == run_id]
        stage.check(stages[0] == "queued" and stages[-1] == "completed", f"its events came as they happened: {', '.join(stages)}")
    stage.check(b"<!doctype html>" in client.request("GET", "/", key=None).lower(), "the page is served at /")


SCENES = (first_sync, second_sync, change, attention, history, remote)


def play(stage, scenes):
    """The scenes; whether everything that was claimed held."""
    try:
        for scene in scenes:
            scene(stage)
    except subprocess.CalledProcessError as error:
        stage.check(False, f"{' '.join(map(str, error.cmd))} succeeds")
    if stage.failures:
        print(f"\nThe log of bus and daemon:\n{stage.instance.log.read_text(errors='replace')}")
        print(stage.paint("1;31", f"Claims that did not hold: {stage.failures}"))
    else:
        print(f"\n{stage.paint('1;32', 'Everything that was claimed was seen.')}")
    return stage.failures == 0


def go_on(stage, n):
    """The n-th change to what is synced, so that there is something to watch."""
    git(stage.instance.folder / "repository", "commit", "--quiet", "--allow-empty", "-m", f"While you watch: {n}")
    with open(stage.instance.folder / "bank" / "checking_2026-12.csv", "a") as statement:
        if n == 1:
            statement.write("date,amount,currency,description,reference\n")
        statement.write(f"2026-12-01,-{n}.00,EUR,While you watch,TX12{n:04}\n")
    # Every other minute the consent is gone for a while.
    consent = {"granted": "2026-01-01", "expires": "2026-02-01" if n % 24 >= 20 else "2099-01-01"}
    (stage.instance.folder / "bank" / "consent.json").write_text(json.dumps(consent))


def interrupt(*_):
    raise KeyboardInterrupt


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=Path, default=TOP / "build", help="folder of the compiled programs")
    parser.add_argument("--remote-only", action="store_true", help="show the last scene alone, after a first sync")
    args = parser.parse_args()
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, interrupt)
    scenes = (first_sync, remote) if args.remote_only else SCENES
    try:
        instance = Instance(args.build)
        prepare(instance)
        with instance:
            stage = Stage(instance)
            held = play(stage, scenes)
            if held and sys.stdin.isatty() and sys.stdout.isatty():
                watch(stage, lambda n: go_on(stage, n))
    except InstanceError as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        sys.exit(130)
    sys.exit(0 if held else 1)


if __name__ == "__main__":
    main()
