# SPDX-License-Identifier: LGPL-2.1-or-later
"""Connections of the installed system: ExecReconnect= is a unit with a user of its own, who may reconnect and withdraw is
polkit's business, and items are deleted by the unit whose files they are, also over a power loss."""

import json
from pathlib import Path

import pytest
from machine import Machine
from syncrun import Syncrun

RENEW = """#!/bin/sh
echo "$(id -un) $(id -u) $1 $PWD" >said
echo consent-expires=2097-03-04T05:06:07Z
echo "Thank you"
[ ! -e /etc/syncrun/refuse ]
"""

CONNECTION = """[Connection]
Accounts=giro
[Reconnect]
ExecReconnect=/usr/local/bin/renew %n
"""

ALICE_MAY_RECONNECT = """
polkit.addRule(function(action, subject) {
        if (action.id == "org.syncrun1.reconnect" && subject.user == "alice")
                return polkit.Result.YES;
});
"""

HOME = {"path": "/org/syncrun1/connection/home", "interface": "org.syncrun1.Connection"}


@pytest.fixture(scope="module")
def syncrun(machine):
    machine.run("systemctl", "add-wants", "test.target", "syncrund.service")
    return Syncrun(machine)


def prepare(syncrun):
    syncrun.machine.write("/usr/local/bin/renew", RENEW, mode=0o755)
    syncrun.machine.write("/etc/syncrun/connections/home.connection", CONNECTION)
    syncrun.add_pull("house", 1, 10, connector="Connection=home")


def reconnect(syncrun, **options):
    """Until its program has ended: how it went, and what it said."""
    before = syncrun.machine.now()
    assert syncrun.data("ReconnectConnection", "sa{sv}", "home", 0, **options)[1] is True
    syncrun.wait("RECONNECT_ENDED", "SYNCRUN_CONNECTION=home", after=before)
    return syncrun.property("ReconnectResult", **HOME), syncrun.property("ReconnectMessage", **HOME)


def items_path(name):
    return f"/var/lib/private/syncrun-connector/{name}/items.db"


def exists(machine, path):
    return machine.run("test", "-e", path, check=False).returncode == 0


def state(syncrun):
    return syncrun.property("State", **HOME)


def test_program_is_a_unit_with_its_own_user(machine, syncrun):
    prepare(syncrun)
    assert reconnect(syncrun) == ("success", "Thank you")
    said = machine.output("cat", "/var/lib/private/syncrun-connection/home/said").split()
    assert (said[0], said[2], said[3]) == ("sc-home", "home", "/var/lib/private/syncrun-connection/home")
    assert 61184 <= int(said[1]) <= 65519
    assert machine.output("stat", "-c", "%u %a", "/var/lib/private/syncrun-connection/home") == f"{said[1]} 700"
    assert syncrun.property("ConsentExpiresUSec", **HOME) == 4013211967 * 10**6
    assert syncrun.property("Reconnecting", **HOME) is False
    entries = machine.journal("_SYSTEMD_UNIT=syncrun-reconnect@home.service")
    assert any(entry["MESSAGE"] == "Thank you" for entry in entries)

    machine.write("/etc/syncrun/refuse", "")
    assert reconnect(syncrun) == ("failed", "Thank you")
    machine.shell("rm /etc/syncrun/refuse")
    machine.run("systemctl", "mask", "--runtime", "syncrun-reconnect@home.service")
    result, message = reconnect(syncrun)
    assert result == "failed" and "systemctl unmask" in message
    machine.run("systemctl", "unmask", "--runtime", "syncrun-reconnect@home.service")


def test_program_goes_on_while_the_daemon_is_away(machine, syncrun):
    """It is taken up again, and its end is told."""
    prepare(syncrun)
    machine.write("/usr/local/bin/renew", "#!/bin/sh\necho waiting\nread line </run/renew.gate\necho \"$line\"\n", mode=0o755)
    machine.shell("rm -f /run/renew.gate; mkfifo -m 0666 /run/renew.gate")
    before = machine.now()
    syncrun.call("ReconnectConnection", "sa{sv}", "home", 0)
    machine.wait_journal("_SYSTEMD_UNIT=syncrun-reconnect@home.service", "MESSAGE=waiting", after=before)
    machine.run("systemctl", "kill", "--signal=KILL", "syncrund.service")
    assert syncrun.property("Reconnecting", **HOME) is True
    machine.shell("echo back again >/run/renew.gate")
    syncrun.wait("RECONNECT_ENDED", "SYNCRUN_CONNECTION=home", after=before)
    assert syncrun.property("ReconnectMessage", **HOME) == "back again"
    # Stopped by an administrator, it is cancelled.
    before = machine.now()
    syncrun.call("ReconnectConnection", "sa{sv}", "home", 0)
    machine.wait_journal("_SYSTEMD_UNIT=syncrun-reconnect@home.service", "MESSAGE=waiting", after=before)
    machine.run("systemctl", "stop", "syncrun-reconnect@home.service")
    syncrun.wait("RECONNECT_ENDED", "SYNCRUN_CONNECTION=home", after=before)
    assert syncrun.property("ReconnectResult", **HOME) == "cancelled"


def test_polkit_denies_and_allows(machine, syncrun):
    prepare(syncrun)
    machine.run("useradd", "--system", "alice", check=False)
    withdrawal = ("WithdrawConsent", "sa{sv}", "home", 1, "delete_items", "b", "true")
    for call in (("ReconnectConnection", "sa{sv}", "home", 0), ("CancelReconnect", "sa{sv}", "home", 0), withdrawal):
        done = syncrun.call(*call, user="alice", check=False)
        assert done.returncode == 1 and "Authentication is required for org.syncrun1" in done.stderr
    machine.write("/etc/polkit-1/rules.d/10-alice.rules", ALICE_MAY_RECONNECT)
    machine.run("systemctl", "restart", "polkit.service")
    assert reconnect(syncrun, user="alice")[0] == "success"
    # One action does not bring another.
    done = syncrun.call(*withdrawal, user="alice", check=False)
    assert done.returncode == 1 and "Authentication is required for org.syncrun1.configure" in done.stderr
    assert state(syncrun) == "active"
    machine.shell("rm /etc/polkit-1/rules.d/10-alice.rules; systemctl restart polkit.service")


def test_withdrawn_and_deleted(machine, syncrun):
    prepare(syncrun)
    syncrun.wait_end(syncrun.start("house"))
    assert syncrun.items("house") == "10"
    before = machine.now()
    syncrun.call("WithdrawConsent", "sa{sv}", "home", 1, "delete_items", "b", "true")
    assert state(syncrun) == "withdrawn"
    syncrun.wait("ITEMS_DELETED", "SYNCRUN_CONNECTOR=house", after=before)
    assert not exists(machine, items_path("house"))
    refused = syncrun.call("StartRun", "sa{sv}", "house", 0, check=False)
    assert refused.returncode == 1 and "'syncrunctl reconnect'" in refused.stderr
    syncrun.call("ReconnectConnection", "sa{sv}", "home", 1, "done", "b", "true")
    (run,) = [run for run in syncrun.runs("house") if run["trigger"] == "reconnect"]
    assert syncrun.wait_end(run["id"])["counts"]["added"] == 10


@pytest.fixture
def own(installed):
    with Machine(installed) as machine:
        machine.boot()
        machine.run("systemctl", "add-wants", "test.target", "syncrund.service")
        yield Syncrun(machine)


def test_power_loss_before_items_are_deleted(own):
    """What was promised is remembered: withdrawn it stays, and the items go."""
    machine = own.machine
    prepare(own)
    own.wait_end(own.start("house"))
    machine.write("/etc/systemd/system/syncrun-delete@house.service.d/hang.conf", "[Service]\nExecStartPre=/bin/sleep infinity\n")
    machine.run("systemctl", "daemon-reload")
    own.call("WithdrawConsent", "sa{sv}", "home", 1, "delete_items", "b", "true")
    machine.power_loss()
    machine.boot()
    assert exists(machine, items_path("house"))
    assert state(own) == "withdrawn"
    described = json.loads(own.data("DescribeConnectors", "a{sv}", 1, "name", "s", "house")[0])["connectors"][0]
    assert described["deleting_items"] is True and described["active"] is False
    machine.power_loss()
    (Path(machine.root) / "etc/systemd/system/syncrun-delete@house.service.d/hang.conf").unlink()
    machine.boot()
    own.wait("ITEMS_DELETED", "SYNCRUN_CONNECTOR=house")
    assert not exists(machine, items_path("house"))
    assert state(own) == "withdrawn"
