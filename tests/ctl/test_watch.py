# SPDX-License-Identifier: LGPL-2.1-or-later
"""watch: the events of others' runs, live, chosen, and as JSON."""

import json
import signal

import pytest
from conftest import until
from harness import TIMEOUT_SEC, PrivateBus, frozen

ALICE = "7f9c0d5e-1111-4222-8333-444455556666"


@pytest.fixture
def three(world):
    world.script("bank", "exit 0", Provider="bank", User=ALICE)
    world.script("mail", "exit 0", Provider="mail")
    return world.start()


def watch(ctl, *words, **environment):
    """A watcher that is known to watch: -n 1 of a past event has been printed."""
    ctl.run("start", "--wait", "-q", "bank")
    process = ctl.begin("watch", "-n1", *words, **environment)
    first = process.stdout.readline()
    assert "bank" in first, process.stderr.read()
    return process


def end(process):
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=TIMEOUT_SEC)
    assert (process.returncode, err) == (0, "")
    return out


def test_events_in_order(three, ctl):
    process = watch(ctl)
    ctl.run("start", "mail")
    lines = until(process, " mail success")
    stages = [line.split(" mail ")[1].split()[0] for line in lines]
    assert stages[0] == "queued" and stages[-1] == "success" and "started" in stages
    assert end(process) == ""


def test_json_lines(three, ctl):
    process = watch(ctl, "--json=short")
    run = ctl.run("start", "mail").strip()
    events = [json.loads(line) for line in until(process, '"status":"success"')]
    assert {event["run_id"] for event in events} == {run}
    end(process)


@pytest.mark.parametrize("words", [["bank"], ["--provider=bank"], [f"--user={ALICE.upper()}"]], ids=str)
def test_chosen(three, ctl, words):
    process = watch(ctl, *words)
    ctl.run("start", "--wait", "-q", "mail")
    ctl.run("start", "--wait", "-q", "bank")
    lines = until(process, " bank success")
    assert not any(" mail " in line for line in lines)
    end(process)


def test_goes_on_when_the_daemon_comes_back(three, ctl):
    process = watch(ctl)
    three.daemon.restart()
    ctl.run("start", "mail")
    until(process, " mail success")
    end(process)


def test_what_was_missed_is_shown(three, ctl):
    """Committed by a daemon that we did not hear: here one on another bus."""
    process = watch(ctl, "--provider=bank")
    three.daemon.stop()
    elsewhere = PrivateBus()
    three.daemon.start(SYNCRUN_BUS_ADDRESS=elsewhere.address)
    ctl.run("start", "--wait", "-q", "bank", SYNCRUN_BUS_ADDRESS=elsewhere.address)
    three.daemon.stop()
    elsewhere.close()
    three.daemon.start()
    lines = until(process, " bank success")
    ctl.run("start", "--wait", "-q", "bank")
    lines += until(process, " bank success")
    assert sum(" bank started" in line for line in lines) == 2
    end(process)


def test_daemon_hangs(three, ctl):
    process = watch(ctl, SYSTEMD_BUS_TIMEOUT="10s")
    with frozen(three.daemon.process):
        _, err = process.communicate(timeout=TIMEOUT_SEC)
    assert process.returncode == 69 and "does not answer" in err and "systemctl restart syncrund" in err


def test_unknown_connector(three, ctl):
    status, out, err = ctl.both("watch", "nobody")
    assert (status, out) == (4, "") and "syncrunctl list" in err


def test_bus_goes_away(three, ctl):
    process = watch(ctl)
    three.bus.process.kill()
    _, err = process.communicate(timeout=TIMEOUT_SEC)
    assert process.returncode == 69 and "Lost the connection" in err
    # The daemon ends too, as a failure, for systemd to start it anew.
    assert three.daemon.process.wait(timeout=TIMEOUT_SEC) != 0


def test_the_past_behind_very_many_events_of_others(three, ctl):
    """What one answer does not come to is asked for in the next."""
    report = {"user_id": ALICE, "source": "sdk", "status": "in_progress", "stage": "fetching"}
    client = three.client
    client.manager("ReportEvents", "(s)", json.dumps([{**report, "run_id": "rare", "provider": "rare"}]))
    for _ in range(101):
        client.manager("ReportEvents", "(s)",
                       json.dumps([{**report, "run_id": "common", "provider": "common"} for _ in range(50)]))
    process = ctl.begin("watch", "-n1", "--provider", "rare")
    assert " rare" in process.stdout.readline(), process.stderr.read()
    client.manager("ReportEvents", "(s)", json.dumps([{**report, "run_id": "rare", "provider": "rare", "stage": "saving"}]))
    assert " saving" in process.stdout.readline()  # it listens now
    end(process)
