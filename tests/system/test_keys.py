# SPDX-License-Identifier: LGPL-2.1-or-later
"""API keys on an installed system: polkit for people, and for the HTTP shim the uid that PID 1 says its unit runs with.

The unit here is a stand-in that makes calls as the test wants them; its user is one that other programs may run as, so
that it can be seen that the uid alone is not enough.
"""

import hashlib

import pytest
from syncrun import Syncrun

UNIT = """
[Unit]
StartLimitIntervalSec=0
[Service]
Type=oneshot
User=games
ExecStart={command}
"""
CALL = "/usr/bin/busctl --json=short call org.syncrun1 /org/syncrun1 org.syncrun1.Manager "


@pytest.fixture(scope="module")
def syncrun(machine):
    machine.run("systemctl", "add-wants", "test.target", "syncrund.service")
    return Syncrun(machine)


@pytest.fixture
def key(machine):
    yield machine.output("syncrunctl", "key", "add", "page", "--scope=sync:write")
    machine.run("syncrunctl", "key", "revoke", "page")


@pytest.fixture
def unit(machine):
    """Run the unit with a call: the SYSTEMD result of it."""

    def start(call):
        machine.write("/etc/systemd/system/syncrun-http.service", UNIT.format(command=CALL + call))
        machine.run("systemctl", "daemon-reload")
        return machine.run("systemctl", "start", "syncrun-http.service", check=False).returncode == 0

    yield start
    machine.shell("rm /etc/systemd/system/syncrun-http.service; systemctl daemon-reload")


def check(key):
    return f"CheckApiKey s {hashlib.sha256(key.encode()).hexdigest()}"


def test_people_are_asked_for_a_password(machine, syncrun, key):
    for words in (["key", "list"], ["key", "add", "mine", "--scope=sync:admin"], ["key", "revoke", "page"]):
        done = machine.run("syncrunctl", *words, user="nobody", check=False)
        assert done.returncode == 77, done
        assert done.stdout == ""
    assert machine.output("syncrunctl", "key", "list", "--no-legend").split()[:2] == ["page", "sync:write"]


def test_keys_are_checked_for_the_unit(machine, syncrun, key, unit):
    assert unit(check(key))
    last_use = machine.output("syncrunctl", "key", "list", "--no-legend").split()[-1]
    assert last_use in ("now", "ago")


def test_uid_alone_is_not_enough(machine, syncrun, key, unit):
    name = syncrun.add("remote", "/bin/true")
    assert unit(check(key))
    for user in ("games", "nobody"):
        done = syncrun.call(*check(key).split(), user=user, check=False)
        assert "Only syncrun-http.service may do this" in done.stderr, user
        done = syncrun.call("StartRun", "sa{sv}", name, 1, "on_behalf_of", "s", "page", user=user, check=False)
        assert "Only syncrun-http.service may do this" in done.stderr, user
    assert syncrun.runs(name) == []
    syncrun.remove(name)


def test_unit_acts_for_a_key_and_no_further(machine, syncrun, key, unit):
    name = syncrun.add("behalf", "/bin/true")
    before = machine.now()
    assert unit(f"StartRun sa{{sv}} {name} 1 on_behalf_of s page")
    entry = syncrun.wait("RUN_SUCCEEDED", f"SYNCRUN_CONNECTOR={name}", after=before)
    assert (entry["SYNCRUN_REQUESTED_BY"], entry["SYNCRUN_TRIGGER"]) == ("key:page", "remote")
    assert not unit(f"StartRun sa{{sv}} {name} 1 on_behalf_of s another")
    assert not unit(f"StartRun sa{{sv}} {name} 0")
    assert not unit("AddApiKey sa{sv} mine 1 scopes as 1 sync:admin")
    assert not unit("Reload")
    assert len(syncrun.runs(name)) == 1
    syncrun.remove(name)


def test_journal_tells_of_keys(machine, syncrun):
    before = machine.now()
    key = machine.output("syncrunctl", "key", "add", "told", "--scope=sync:read")
    made = syncrun.wait("KEY_ADDED", after=before)
    machine.run("syncrunctl", "key", "revoke", "told")
    revoked = syncrun.wait("KEY_REVOKED", after=before)
    assert [entry["SYNCRUN_KEY_NAME"] for entry in (made, revoked)] == ["told", "told"]
    assert made["SYNCRUN_REQUESTED_BY"] == revoked["SYNCRUN_REQUESTED_BY"] == "uid:0"
    machine.run("journalctl", "--sync")
    text = machine.output("journalctl", "--no-pager", "--output=export", "--all", "-x")
    assert "told" in text and key.removeprefix("sk-") not in text
