# SPDX-License-Identifier: LGPL-2.1-or-later
"""connections, reconnect and withdraw with a connection that has a file: its program runs, and items are deleted."""

import datetime
import json
import re

import pytest
from conftest import record, schema
from harness import CONNECTION, CallError, path_of, wait_for

FILE = "connections/home.connection"


@pytest.fixture
def home(world):
    """One connection of two connectors, one of which has lost it, until mend()."""
    world.script("bank", schema("tx", "id"), record("tx", id=1), Provider="bank", Connection="home")
    world.script("broken", f"[ ! -e '{world.folder}/mended' ] || exit 0", "echo 'log in again' >&2", "exit 77", Provider="bank", Connection="home", text="[Run]\nRetryMax=0\n")
    world.daemon.write(FILE, "[Connection]\nDescription=My bank\nAccounts=giro savings\nConsentExpires=2098-01-31 UTC\n")
    return world.start()


def mend(world):
    (world.folder / "mended").touch()


def program(world, *lines, more=""):
    path = world.program("renew", "\n".join(["#!/bin/sh", *lines, ""]))
    world.daemon.write(FILE, f"[Reconnect]\nExecReconnect={path} %n %S\n{more}")


def state(ctl, name="home"):
    return ctl.json("connections", name)


def connector(world, name):
    return world.client.describe("DescribeConnectors", name=name)["connectors"][0]


def test_list_and_show(home, ctl):
    row, = ctl.rows("connections")
    assert row[:2] == ["home", "active"] and "in" in row
    shown = ctl.run("connections", "home")
    for pattern in (r"^home - My bank$", r"State: active", r"Consent ends: .*2098-01-31", r"Accounts: giro, savings",
                    r"Connectors: bank broken", r"File: .*home.connection"):
        assert re.search(pattern, shown, re.M), pattern
    assert state(ctl)["accounts"] == ["giro", "savings"] and state(ctl)["consent_expires"] == "2098-01-31T00:00:00Z"
    status, out, err = ctl.both("connections", "none", "home")
    assert status == 4 and '"none"' in err and "My bank" in out


def test_lost_and_mended_by_a_person(home, ctl):
    ctl.run("start", "--wait", "-q", "broken", status=1)
    lost = state(ctl)
    assert (lost["state"], lost["reason"]) == ("lost", "log in again")
    assert lost["run_id"] == connector(home, "broken")["last_run_id"] and lost["since"]
    assert "lost" in ctl.run("connections", "home")
    assert ctl.run("reconnect", "home", "--expires=2099-06-01 UTC").startswith("broken: run ")
    assert state(ctl)["consent_expires"] == "2099-06-01T00:00:00Z"
    assert ctl.both("reconnect", "home", "--expires=soon")[0] == 2
    status, _, err = ctl.both("reconnect", "home", "--expires=2020-06-01 UTC")
    assert status == 2 and "consent_expires lies in the past" in err
    assert state(ctl)["consent_expires"] == "2099-06-01T00:00:00Z"


def test_program(home, ctl):
    program(home, "echo \"$1 $SYNCRUN_CONNECTION ${NOTIFY_SOCKET:-none} $PWD\" > \"$2/said\"", "echo 'Please wait'",
            "echo consent-expires=2097-03-04T05:06:07Z", "echo 'All is well'")
    ctl.run("start", "--wait", "-q", "broken", status=1)
    ctl.run("reload")
    assert state(ctl)["has_program"] is True
    mend(home)  # or the run that follows loses it again
    out = ctl.run("reconnect", "--wait", "home")
    assert out == "home: reconnected: All is well\n"
    now = state(ctl)
    assert now["state"] == "active" and now["consent_expires"] == "2097-03-04T05:06:07Z"
    assert now["reconnect"]["result"] == "success" and now["reconnect"]["message"] == "All is well"
    said = next(home.daemon.state.rglob("said"))
    name, connection, notify, folder = said.read_text().split()
    assert (name, connection, notify, folder) == ("home", "home", "none", str(said.parent))
    assert "Result: success" in ctl.run("connections", "home")
    runs = wait_for(lambda: [run for run in ctl.json("runs", "broken")["runs"] if run["trigger"] == "reconnect"], "its run")
    assert len(runs) == 1 and ctl.json("runs", "bank")["runs"] == []


def test_program_says_an_end_that_has_passed(home, ctl):
    """It does not count, the file's does, and people see why."""
    program(home, "echo 'All is well'", "echo consent-expires=2020-03-04T05:06:07Z", more="[Connection]\nConsentExpires=2098-01-31 UTC\n")
    ctl.run("reload")
    assert ctl.run("reconnect", "--wait", "home") == "home: reconnected: consent-expires=2020-03-04T05:06:07Z\n"
    assert state(ctl)["consent_expires"] == "2098-01-31T00:00:00Z"
    assert "which is over already, and does not count" in home.daemon.log()


def test_program_fails(home, ctl):
    program(home, "echo 'The code is wrong'", "exit 3")
    ctl.run("reload")
    status, out, err = ctl.both("reconnect", "--wait", "home")
    assert (status, out) == (1, "") and "not reconnected (failed): The code is wrong" in err
    answer = json.loads(ctl.both("reconnect", "--wait", "--json=short", "home")[1])
    assert (answer["reconnecting"], answer["result"], answer["message"]) == (False, "failed", "The code is wrong")
    assert ctl.run("reconnect", "--done", "home") == "No connector of home waited for it.\n"


def test_program_cannot_be_run(home, ctl):
    home.daemon.write(FILE, "[Reconnect]\nExecReconnect=/nowhere/renew\n")
    ctl.run("reload")
    assert "/nowhere/renew cannot be run: No such file or directory ('syncrunctl verify' says " in ctl.both("reconnect", "--wait", "home")[2]
    home.daemon.write(FILE, "[Connection]\nUser=me\n[Reconnect]\nExecReconnect=/bin/true\n")
    ctl.run("reload")
    status, _, err = ctl.both("reconnect", "home")
    assert status == 6 and "LoadError" in err


def test_program_takes_too_long(home, ctl):
    program(home, "trap '' TERM", "sleep 1000", more="TimeoutSec=0.2\n")
    ctl.run("reload")
    assert "not reconnected (timeout): It took too long." in ctl.both("reconnect", "--wait", "home")[2]


def test_program_is_cancelled(home, ctl):
    program(home, "exec sleep 1000")
    ctl.run("reload")
    assert "its program runs" in ctl.run("reconnect", "home")
    assert ctl.rows("connections")[0][1] == "reconnecting"
    finished = home.client.signals(CONNECTION, "ReconnectFinished")
    home.client.manager("CancelReconnect", "(sa{sv})", "home", {})
    wait_for(lambda: [arguments[0] for _, _, arguments in finished] == ["cancelled"], "its end")
    assert home.client.get(path_of("connection", "home"), CONNECTION, "ReconnectResult") == "cancelled"
    with pytest.raises(CallError) as caught:
        home.client.call(path_of("connection", "home"), CONNECTION, "CancelReconnect")
    assert "No program reconnects home." in caught.value.message


def test_withdraw(home, ctl):
    ctl.run("start", "--wait", "-q", "bank")
    assert len(ctl.lines("items", "bank")) == 1
    assert ctl.run("withdraw", "home") == ""
    assert state(ctl)["state"] == "withdrawn" and state(ctl)["reason"] == "Withdrawn by uid:0."
    assert [row[1] for row in ctl.rows("list")] == ["inactive", "inactive"]
    status, out, err = ctl.both("start", "bank")
    assert status == 5 and err.index("'syncrunctl reconnect'") < err.index("'syncrunctl enable'")
    status, out, err = ctl.both("enable", "bank")
    assert (status, out) == (0, "") and "'syncrunctl reconnect home'" in err
    assert ctl.both("disable", "bank") == (0, "", "")
    assert "inactive: the consent of home was withdrawn" in ctl.both("enable", "bank")[2]
    assert len(ctl.lines("items", "bank")) == 1
    assert "bank: run " in ctl.run("reconnect", "home")


def test_enabled_where_nothing_keeps_it(home, ctl):
    assert ctl.both("disable", "bank") == ctl.both("enable", "bank") == (0, "", "")
    assert ctl.both("enable", "none")[0] == 4


def test_withdraw_and_delete(home, ctl):
    ctl.run("start", "--wait", "-q", "bank")
    items = next(home.daemon.state.rglob("items.db"))
    ctl.run("withdraw", "--delete-items", "home")
    wait_for(lambda: not connector(home, "bank")["deleting_items"], "the deletion")
    assert not items.exists()
    run = re.search(r"^bank: run (\S+)$", ctl.run("reconnect", "home"), re.M).group(1)
    wait_for(lambda: ctl.json("show", run)["outcome"] == "succeeded", "the run")
    assert len(ctl.lines("items", "bank")) == 1
    assert ctl.both("withdraw", "none")[0] == 4


def test_consent_that_has_ended(home, ctl):
    ctl.run("disable", "broken")  # who waited for the new consent runs, and that one would lose it
    yesterday = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(days=1)
    home.daemon.write(FILE, f"[Connection]\nConsentExpires={yesterday:%Y-%m-%dT%H:%M:%SZ}\n")
    ctl.run("reload")
    assert state(ctl)["state"] == "expired" and "The consent ended" in ctl.run("connections", "home")
    home.daemon.write(FILE, f"[Connection]\nConsentExpires={yesterday + datetime.timedelta(days=9):%Y-%m-%d}\n")
    ctl.run("reload")
    assert ctl.rows("connections")[0][1] == "expiring"
