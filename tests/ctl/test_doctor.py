# SPDX-License-Identifier: LGPL-2.1-or-later
"""doctor on a private bus: what it finds, and what it says to do. What is the system's is in tests/system."""

import sqlite3
import sys
from contextlib import closing
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "bus"))
from harness import MANAGER, PATH, wait_for  # noqa: E402
from receiver import Receiver, answer  # noqa: E402


@pytest.fixture
def diagnose(world):
    """{check: [(finding, text, advice)]}"""

    def run(status, **environment):
        found = {}
        environment = {"STATE_DIRECTORY": str(world.daemon.state), **environment}
        for entry in world.ctl.json("doctor", status=status, **environment)["findings"]:
            assert set(entry) == {"check", "finding", "text", "advice"}
            assert entry["finding"] not in ("good", "skipped") or entry["advice"] is None
            found.setdefault(entry["check"], []).append((entry["finding"], entry["text"], entry["advice"]))
        return found

    return run


def test_all_is_well(world, diagnose):
    world.script("bank", "exit 0")
    world.start()
    found = diagnose(0)
    assert set(found) == {"bus", "daemon", "storage", "space", "clock", "files", "attention", "consents", "webhooks"}
    for check in ("bus", "daemon", "storage", "files", "attention", "consents", "webhooks"):
        assert found[check][0][0] == "good", found[check]
    assert "1 of 1" in found["files"][0][1]


def test_for_people(world):
    world.script("bank", "exit 0")
    world.daemon.add("wrong", "[Pipeline]\n", Provider="No Slug")
    world.start()
    out = world.ctl.run("doctor", status=1)
    assert "* daemon     syncrund " in out.replace("●", "*")
    assert "Connector wrong cannot run: " in out
    assert "'syncrunctl verify' tells file and line." in out
    assert "1 thing to mend, " in out
    assert world.ctl.run("doctor", "--quiet", status=1) == ""
    assert "to mend" not in world.ctl.run("doctor", "--no-legend", status=1)


def test_no_bus(world, diagnose):
    found = diagnose(1, SYNCRUN_BUS_ADDRESS="unix:path=/nonexistent")
    assert found["bus"][0][0] == "bad" and "Is D-Bus running?" in found["bus"][0][1]
    assert "daemon" not in found and "files" in found


def test_no_daemon(diagnose):
    found = diagnose(1)
    assert found["daemon"][0][0] == "bad" and found["daemon"][0][2]
    assert "storage" not in found
    assert found["files"][0][0] == "warning"


def test_history_that_cannot_be_written(world, diagnose):
    world.script("bank", "exit 0")
    world.start()
    with closing(sqlite3.connect(world.daemon.state / "history.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        call = world.client.start_call(PATH, MANAGER, "StartRun", "(sa{sv})", "bank", {})
        wait_for(lambda: call, "its refusal")
        wait_for(lambda: world.client.get(PATH, MANAGER, "StorageError"), "what is wrong")
        (finding, text, advice), = diagnose(1)["storage"]
    assert finding == "bad" and "cannot be written" in text and "journalctl" in advice


def test_files_and_attention(world, diagnose):
    world.script("bank", "echo 'let me in' >&2", "exit 77", text="[Run]\nRetryMax=0\n")
    world.daemon.write("connectors/Bad.connector", "[Pipeline]\nExecPull=/bin/true\n")
    world.script("odd", "exit 0", text="[Run]\nRetryMax=many\n")
    world.start()
    world.ctl.both("start", "--wait", "bank")
    found = diagnose(1)
    assert {finding for finding, _, _ in found["files"]} == {"good", "warning", "bad"}
    assert any("\"Bad\"" in text and "Rename" in advice for _, text, advice in found["files"] if advice)
    (finding, text, advice), = found["attention"]
    assert finding == "warning" and text.startswith("Connector bank: ") and advice


def test_consents_and_webhooks(world, diagnose):
    soon = (datetime.now(timezone.utc) + timedelta(days=12, hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    world.script("bank", "exit 0", Connection="home")
    world.daemon.write("connections/home.connection", f"[Connection]\nConsentExpires={soon}\n")
    world.daemon.write("syncrun.conf", "[Webhooks]\nAllowHTTP=yes\nAllowAddressLiterals=yes\n"
                                       "AllowPrivateAddresses=yes\nRetrySec=1h\n")
    world.start()
    with closing(Receiver(then=answer(500))) as receiver:
        ids = [world.ctl.run("webhook", "add", receiver.url(), "--quiet").strip() for _ in range(3)]
        world.ctl.both("webhook", "test", ids[0])
        receiver.then = answer(410)
        world.ctl.both("webhook", "test", ids[1])
    world.ctl.run("webhook", "update", ids[2], "--disable")
    found = diagnose(0)
    (finding, text, advice), = found["consents"]
    assert finding == "warning" and "connection home ends" in text and "in 1w 5d" in text and "reconnect home" in advice
    failing, gone = sorted(found["webhooks"], key=lambda entry: ids[1] in entry[1])
    assert failing[0] == "warning" and f"{ids[0]} fails since" in failing[1] and f"attempts {ids[0]}" in failing[2]
    assert gone[0] == "warning" and f"{ids[1]} was disabled" in gone[1] and f"update {ids[1]} --enable" in gone[2]


def test_attention_beyond_a_page(world, diagnose):
    """A page ends when it has a mebibyte."""
    for n in range(100):
        world.daemon.add(f"c{n:02}", Description="x" * 16000)
    world.start()
    assert world.daemon.stop() == 0
    with closing(sqlite3.connect(world.daemon.state / "history.db")) as history, history:
        changed = history.execute("UPDATE connectors SET attention_category = 'connection_lost',"
                                  " attention_message = 'Log in again.', attention_since_usec = 1, attention_run_id = 'gone'")
        assert changed.rowcount == 100
    world.start()
    assert world.client.describe("DescribeConnectors", attention=True)["next"]
    found = [text for _, text, _ in diagnose(0)["attention"]]
    assert found == [f"Connector c{n:02}: Log in again." for n in range(100)]


def test_it_takes_no_words_and_no_host(ctl):
    assert "Usage: syncrunctl doctor" in ctl.both("doctor", "bank")[2]
    assert ctl.both("doctor", "--host=h")[0] == 2
