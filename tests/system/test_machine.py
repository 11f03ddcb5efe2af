# SPDX-License-Identifier: LGPL-2.1-or-later
"""The harness itself: a machine boots, runs commands, keeps its files over a power loss."""

from machine import Machine


def test_boots(machine):
    assert machine.output("systemctl", "is-active", "basic.target", "dbus.service").split() == ["active", "active"]
    assert machine.output("ps", "-p", "1", "-o", "comm=") == "systemd"


def test_runs_commands(machine):
    assert machine.output("id", "-un") == "root"
    assert machine.output("id", "-un", user="nobody") == "nobody"
    assert machine.output("cat", stdin="abc") == "abc"
    assert machine.shell("echo out; echo err >&2; exit 3", check=False).returncode == 3


def test_reads_the_journal(machine):
    before = machine.now()
    machine.run("systemd-cat", "-t", "harness", "echo", "hello")
    entry = machine.wait_journal("SYSLOG_IDENTIFIER=harness", after=before)
    assert entry["MESSAGE"] == "hello"
    assert [e["MESSAGE"] for e in machine.journal("SYSLOG_IDENTIFIER=harness")] == ["hello"]


def test_keeps_its_files_over_a_power_loss(installed):
    with Machine(installed) as machine:
        machine.boot()
        machine.run("systemd-run", "--quiet", "--unit=sleeper", "sleep", "infinity")
        machine.shell("echo here >/var/lib/mark; touch /run/mark")
        machine.power_loss()
        machine.boot()
        assert machine.output("cat", "/var/lib/mark") == "here"
        assert machine.run("test", "-e", "/run/mark", check=False).returncode == 1
        assert machine.output("systemctl", "is-active", "sleeper", check=False) == "inactive"
        machine.power_off()
        assert machine.process is None
