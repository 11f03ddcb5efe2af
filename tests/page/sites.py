# SPDX-License-Identifier: LGPL-2.1-or-later
"""The real daemon and the real server, with syncs of every kind and a past."""

import collections
import json
import os
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "bus"), str(HERE.parent / "http")]

from harness import Client, Daemon, PrivateBus  # noqa: E402
from history import HOUR_SEC, History  # noqa: E402
from server import ALICE, BOB, Shim, add_key  # noqa: E402

CAROL = "ca401000-0000-4000-8000-000000000003"
DAY_SEC = 86400
N_SYNCS = 18  # of the full site
LONG_TEXT = "The provider says: " + "the answer of the server was not what anybody could have expected of it, and it went on. " * 60
# Nothing begins by itself while the tests last, not even once more.
PULL = "[Run]\nRetryMax=0\n[Pipeline]\nExecPull=/bin/true\n"


# What the journal is taken to say of each run: its lines come newest first, and are of the time that is in the run's id.
JOURNALCTL = r"""#!/bin/sh
for match; do case $match in SYNCRUN_RUN_ID=*) id=${match#*=};; esac; done
at=$((0x$(echo "$id" | cut -c 1-8,10-13)))
cat <<END
{"__REALTIME_TIMESTAMP":"$((at + 2300))000","PRIORITY":"3","SYSLOG_IDENTIFIER":"connector","_PID":"7","MESSAGE":"HTTP 401: consent_expired"}
{"__REALTIME_TIMESTAMP":"$((at + 1800))000","PRIORITY":"4","SYSLOG_IDENTIFIER":"connector","_PID":"7","MESSAGE":"The token is <b>old</b>, trying anyway"}
{"__REALTIME_TIMESTAMP":"$((at + 40))000","PRIORITY":"6","SYSLOG_IDENTIFIER":"syncrund","_PID":"1","MESSAGE":"connector: run $id started"}
END
"""


class Site:
    def __init__(self):
        self.temporary = tempfile.TemporaryDirectory(prefix="syncrun-page-")
        self.folder = Path(self.temporary.name)
        self.bus = PrivateBus()
        self.client = Client(self.bus.address)
        self.daemon = Daemon(self.bus, self.folder)
        self.shim = None
        self.workers = collections.defaultdict(list)  # that have begun, and that no test has asked for yet
        journalctl = self.folder / "journalctl"
        journalctl.write_text(JOURNALCTL)
        journalctl.chmod(0o755)
        self.daemon.environment["PATH"] = f"{self.folder}:{os.environ['PATH']}"

    def start(self):
        self.daemon.start()
        self.shim = Shim(self.bus, self.daemon.config).start()
        return self

    def close(self):
        if self.shim:
            self.shim.close()
        self.daemon.close()
        self.client.close()
        self.bus.close()
        self.temporary.cleanup()

    @property
    def address(self):
        return f"http://127.0.0.1:{self.shim.port}/"

    def key(self, name, *scopes, user=None):
        return add_key(self.client, name, [f"sync:{scope}" for scope in scopes], user)

    def session(self, key):
        """A session of the key's: the cookie's name and value."""
        answer = self.shim.post("/v1/session", body={"key": key}, headers={"Content-Type": "application/json", "X-Syncrun-Page": "1"})
        return answer.headers["Set-Cookie"].split(";")[0].split("=", 1)

    def run(self, connector):
        """A run that has begun, and its worker, which the test plays."""
        self.client.start(connector)
        worker = self.worker(connector)
        worker.attach()
        return worker

    def worker(self, connector):
        """That one's next worker, whichever begin before it."""
        while not self.workers[connector]:
            worker = self.daemon.worker()
            self.workers[worker.name].append(worker)
        return self.workers[connector].pop(0)


def deliver(worker, sequence, *attempts):
    """Attempts to deliver records that the worker has made: (id, status, error)."""
    worker.call("ReportDeliveries", "(sts)", worker.run, sequence, json.dumps([
        {"id": name, "type": "records.synced", "url": "https://hooks.example.net", "started_usec": int((time.time() - len(attempts) + i) * 1e6),
         "duration_usec": 183_000, "retry": i, "records": 250, "succeeded": status == 200, "http_status": status or 0, "error": error, "answer": None}
        for i, (name, status, error) in enumerate(attempts)]))


def finish(worker, sequence, **values):
    worker.finish(sequence, **values)
    worker.exit()


def full_site():
    """Syncs in every state. `live...` are for tests to run; no other's time comes while they last."""
    site = Site()
    add = site.daemon.add
    add("giro-account", "[Schedule]\nEvery=2h\n" + PULL, Description="Transactions of the household accounts", Provider="finbridge", User=ALICE, Connection="first-bank")
    add("savings", "[Schedule]\nEvery=1d\n" + PULL, Description="Savings and depot", Provider="finbridge", User=ALICE, Connection="first-bank")
    add("watch", "[Schedule]\nEvery=3h\n" + PULL, Description="Heart rate, sleep and workouts", Provider="garmin", User=BOB)
    add("issues", "[Schedule]\nEvery=4h\n" + PULL, Description="Issues and pull requests of all repositories", Provider="github")
    add("notes", "[Schedule]\nEvery=1d\n" + PULL, Description="Pages of the team's notebook", Provider="notion")
    add("photos", "[Schedule]\nEvery=7d\n" + PULL, Description="Albums that are shared with the family", Provider="immich", User=BOB)
    add("ledger", "[Schedule]\nEvery=2h\n" + PULL + "[Destination]\nType=exec\nExecStore=/usr/bin/store-ledger\n", Description="Bookings into the budget", Provider="finbridge", Connection="budget")
    add("loan", "[Schedule]\nEvery=1d\n" + PULL, Description="The loan on the house", Provider="finbridge", User=CAROL, Connection="second-bank")
    add("letters", "[Schedule]\nEvery=1d\n" + PULL, Description="Letters of the insurance", Provider="imap", User=CAROL)
    add("cellar", PULL, Description="Sensors in the cellar", Provider="mqtt", User=CAROL, Enabled="no")
    add("invoices", "[Schedule]\nEvery=1d\n" + PULL, Description="Invoices of the shop", Provider="stripe")
    add("old-mail", PULL, Description="The mailbox of the former provider", Provider="imap", Enabled="no")
    add("quiet", PULL, Description="Has never run", Provider="imap")
    add("many-accounts", "[Schedule]\nEvery=1d\n" + PULL, Description="A description that is so long that it cannot be shown whole in any row, " * 4, Provider="finbridge")
    add("broken", "[Pipeline]\nExecPull=relative/path\n", Description="Its file has a mistake", Provider="imap")
    add("live-one", PULL, Description="Runs when it is told to", Provider="test", User=ALICE, Connection="live-connection")
    add("hooks", PULL + "[Destination]\nType=webhook\nUrl=https://hooks.example.net/secret-path\nSecretFile=/dev/null\n", Description="Orders to the warehouse", Provider="shop")
    add("live-two", PULL, Description="Runs when it is told to", Provider="test", User=BOB)
    files = {path: path.read_text() for path in site.daemon.connectors.iterdir()}
    for path, text in files.items():  # what has never run would run at once
        path.write_text(text.replace("Every=", "#Every="))
    site.daemon.start()
    assert site.daemon.stop() == 0
    for path, text in files.items():
        path.write_text(text)
    history = History(site.daemon.state, site.daemon.connectors)
    accounts = ("Giro", "Joint account", "Credit card")
    history.add("giro-account", "sssssssfsssssssssssspsssssssff", every_sec=2 * HOUR_SEC, user=ALICE, accounts=accounts, error='The consent for "First Bank" ended on 21 November (HTTP 401: consent_expired)', attention="consent_expired", usual_sec=14)
    history.add("savings", "ssssssssssssssssssssssssssssss", user=ALICE, every_sec=DAY_SEC, accounts=("Savings", "Depot"), usual_sec=6, ago_sec=7 * 3600)
    history.add("watch", "ssssssssspsssssssscssssssssssp", every_sec=3 * HOUR_SEC, user=BOB, accounts=("steps", "sleep", "workouts"), usual_sec=48, items=900, error="workouts: the service is being maintained", ago_sec=900)
    history.add("issues", "sssssssssssssssssssssssksssss", every_sec=4 * HOUR_SEC, accounts=("core", "web", "infra", "docs"), usual_sec=9, items=60, ago_sec=240, message="4 repositories, 31 issues")
    history.add("notes", "sssssssssssssss", every_sec=DAY_SEC, usual_sec=95, items=2400, ago_sec=9 * 3600)
    history.add("photos", "sssfsssss", user=BOB, every_sec=7 * DAY_SEC, accounts=[f"Album {i}" for i in range(130)], usual_sec=1800, items=5200, ago_sec=3 * DAY_SEC)
    history.add("ledger", "ssssssssssssssssssssssssssssff", every_sec=2 * HOUR_SEC, accounts=("Household",), error="The budget that is written to is gone", attention="destination_deleted", usual_sec=5)
    history.add("invoices", "ssssssssssssssssssssssssssssss", every_sec=DAY_SEC, usual_sec=31, items=300, ago_sec=11 * 3600)
    history.add("old-mail", "sssssss", every_sec=DAY_SEC, usual_sec=12, ago_sec=90 * DAY_SEC)
    history.add("many-accounts", "pp", every_sec=DAY_SEC, accounts=[f"Account {i:02} of a person with a rather long name" for i in range(40)], error=LONG_TEXT, usual_sec=200, items=4000, ago_sec=5000)
    history.add("loan", "spckf", every_sec=DAY_SEC, user=CAROL, accounts=("Loan", "Interest"), error="The consent for \"Second Bank\" has been withdrawn (HTTP 403)", attention="consent_withdrawn", usual_sec=14)
    history.add("letters", "ssspsscs", user=CAROL, every_sec=DAY_SEC, usual_sec=20, ago_sec=5 * 3600, error="One letter could not be read", message="12 letters")
    history.add("live-two", "ssss", user=BOB, usual_sec=3)
    history.undelivered("ledger", 2)
    history.consent("budget", 3.5 * DAY_SEC)
    history.close()
    return site.start()
