# SPDX-License-Identifier: LGPL-2.1-or-later
"""start and cancel: run ids, outcomes as exit statuses, waiting for one and for several."""

import json
import signal
import uuid

import pytest
from conftest import record, schema, until
from harness import TIMEOUT_SEC, frozen


@pytest.fixture
def puppets(world):
    world.puppet_connector("one")
    world.puppet_connector("two")
    return world.start()


def test_a_file_that_is_not_read_yet(puppets, ctl, tmp_path):
    """It is in a folder that the service does not look into."""
    file = tmp_path / "more/connectors/fresh.connector"
    file.parent.mkdir(parents=True)
    file.write_text("[Connector]\n")
    more = {"SYNCRUN_CONFIG_DIRS": f"{ctl.environment['SYNCRUN_CONFIG_DIRS']}:{tmp_path}/more"}
    says = f"The service has not read {file} yet: 'syncrunctl reload' has it read, or says why it cannot be.\n"
    assert ctl.both("start", "fresh", **more) == (4, "", f"syncrunctl: Could not start fresh: {says}")
    assert ctl.both("status", "fresh", **more) == (4, "", f"syncrunctl: {says}")
    file.write_text("")  # masked
    assert "no such connector" in ctl.both("start", "fresh", **more)[2]


def test_start_prints_the_run(puppets, ctl):
    run = ctl.run("start", "one").strip()
    assert uuid.UUID(run).version == 7
    status, out, err = ctl.both("start", "one")
    assert (status, out.strip(), err) == (0, run, "one is running already.\n")
    assert ctl.both("start", "one", "-q") == (0, "", "")
    assert ctl.both("start", "one", "--json=short")[1] == (
        f'{{"connector":"one","run_id":"{run}","already_active":true,"full_resync":false,"follow_up_pending":false,'
        '"full_resync_pending":false,"full_resync_owed":false}\n')
    puppets.puppet().exit()


def test_reason_accounts_and_full_are_passed_on(puppets, ctl):
    run = ctl.run("start", "one", "--full", "--reason=new bank", "--accounts=a,b").strip()
    puppet = puppets.puppet()
    assert puppet.full_resync
    shown = ctl.json("show", run)
    assert (shown["reason"], shown["only_accounts"], shown["full_resync"]) == ("new bank", ["a", "b"], True)
    puppet.exit()


OUTCOMES = [
    ("succeeded", 0, [record("s", id=1)], "exit 0"),
    ("failed", 1, [], "exit 1"),
    ("partial", 3, [{"type": "ACCOUNT", "account": "a", "status": "success"},
                    {"type": "ACCOUNT", "account": "b", "status": "failed", "error": "no"}], "exit 0"),
]


@pytest.mark.parametrize("outcome, status, messages, end", OUTCOMES, ids=[o[0] for o in OUTCOMES])
def test_exit_status_tells_the_outcome(world, ctl, outcome, status, messages, end):
    world.script("bank", *messages, end, text="[Run]\nRetryMax=0\n")
    world.start()
    code, out, err = ctl.both("start", "--wait", "bank")
    assert (code, err) == (status, "")
    last = out.splitlines()[-1]
    assert " bank " in last and (outcome if outcome != "succeeded" else "success") in last
    assert ctl.json("start", "--wait", "bank", status=status)["outcome"] == outcome
    assert ctl.run("start", "--wait", "-q", "bank", status=status) == ""


def test_cancelled_is_4(puppets, ctl):
    waiting = ctl.begin("start", "--wait", "one")
    puppet = puppets.puppet()
    assert ctl.run("cancel", "one") == ""
    out, _ = waiting.communicate(timeout=TIMEOUT_SEC)
    assert waiting.returncode == 4
    assert "cancelled" in out.splitlines()[-1]
    puppet.connection.close()


def test_wait_without_a_terminal_prints_a_line_for_each_stage(puppets, ctl):
    waiting = ctl.begin("start", "--wait", "one")
    puppet = puppets.puppet()
    puppet.say(type="PROGRESS", stage="fetching", processed=1, total=4)
    puppet.say(type="PROGRESS", stage="fetching", processed=2, total=4)
    puppet.say(type="PROGRESS", stage="processing", processed=3, total=4)
    puppet.say(**schema("s", "id"))
    puppet.say(**record("s", id=1))
    puppet.exit()
    out, err = waiting.communicate(timeout=TIMEOUT_SEC)
    assert (waiting.returncode, err) == (0, "")
    stages = [line.split(" one ")[1].split()[0] for line in out.splitlines()]
    assert stages.index("fetching") < stages.index("processing") < stages.index("success")
    assert stages.count("fetching") == 1
    assert "1 added, 0 updated, 0 deduped" in out.splitlines()[-1]
    assert "\x1b" not in out


def test_several_are_started_together_and_the_worst_counts(puppets, ctl):
    waiting = ctl.begin("start", "--wait", "one", "two")
    both = {p.name: p for p in (puppets.puppet(), puppets.puppet())}
    assert set(both) == {"one", "two"}, "the second does not wait for the end of the first"
    both["two"].exit(1)
    both["one"].exit(0)
    out, _ = waiting.communicate(timeout=TIMEOUT_SEC)
    assert waiting.returncode == 1
    assert " one success" in out and " two failed" in out


def test_one_that_cannot_start_keeps_no_other_back(puppets, ctl):
    waiting = ctl.begin("start", "--wait", "nobody", "one")
    puppets.puppet().exit()
    out, err = waiting.communicate(timeout=TIMEOUT_SEC)
    assert waiting.returncode == 4
    assert "nobody" in err and " one success" in out


def test_wait_for_one_that_runs_already(puppets, ctl):
    run = ctl.run("start", "one").strip()
    puppet = puppets.puppet()
    waiting = ctl.begin("start", "--wait", "one", "--json=short")
    assert waiting.stderr.readline() == "one is running already.\n"
    puppet.exit()
    out, _ = waiting.communicate(timeout=TIMEOUT_SEC)
    assert waiting.returncode == 0 and json.loads(out)["id"] == run


def test_full_resync_asked_meanwhile_is_waited_for(puppets, ctl):
    """B13: the incremental run ends, the full one follows, and that is the one that was asked for."""
    first = ctl.run("start", "one").strip()
    puppet = puppets.puppet()
    waiting = ctl.begin("start", "--wait", "--full", "one", "--json=short")
    assert "becomes its next run" in waiting.stderr.readline()
    puppet.exit()
    following = puppets.puppet()
    assert following.full_resync
    following.exit()
    out, _ = waiting.communicate(timeout=TIMEOUT_SEC)
    run = json.loads(out)
    assert waiting.returncode == 0 and run["id"] != first and run["full_resync"]


def test_other_accounts_asked_for_meanwhile_are_waited_for(puppets, ctl):
    first = ctl.run("start", "one", "--accounts=visa").strip()
    puppet = puppets.puppet()
    waiting = ctl.begin("start", "--wait", "--accounts=giro", "one", "--json=short")
    assert "for other accounts" in waiting.stderr.readline()
    puppet.exit()
    puppets.puppet().exit()
    out, _ = waiting.communicate(timeout=TIMEOUT_SEC)
    run = json.loads(out)
    assert waiting.returncode == 0 and run["id"] != first and run["only_accounts"] == ["giro"]


def test_owed_resync_is_not_what_was_asked_for(world, ctl):
    """What is owed goes before the other accounts that were asked for meanwhile, and may fail as it likes."""
    world.puppet_connector("one", text="[Run]\nRetryMax=0\n")
    world.start()
    failing = ctl.begin("start", "--wait", "-q", "--full", "--accounts=loan", "one")
    world.puppet().exit(1)
    assert failing.wait(TIMEOUT_SEC) == 1
    ctl.both("start", "--accounts=visa", "one")
    puppet = world.puppet()
    waiting = ctl.begin("start", "--wait", "--accounts=giro", "one", "--json=short")
    assert "for other accounts" in waiting.stderr.readline()
    puppet.exit()
    owed = world.puppet()
    assert owed.full_resync
    owed.exit(1)
    own = world.puppet()
    assert not own.full_resync
    own.exit()
    out, err = waiting.communicate(timeout=TIMEOUT_SEC)
    assert (waiting.returncode, json.loads(out)["only_accounts"]) == (0, ["giro"]), err


def test_what_follows_may_be_taken_back(puppets, ctl):
    ctl.run("start", "one")
    puppet = puppets.puppet()
    waiting = ctl.begin("start", "--wait", "--full", "one")
    assert "becomes its next run" in waiting.stderr.readline()
    ctl.run("disable", "one")
    puppet.exit()
    _, err = waiting.communicate(timeout=TIMEOUT_SEC)
    assert (waiting.returncode, err) == (
        4, "What was asked for of one was taken back meanwhile. See 'syncrunctl status one'.\n")


def test_interrupt_leaves_the_run_alone(puppets, ctl):
    waiting = ctl.begin("start", "--wait", "one")
    puppet = puppets.puppet()
    puppet.say(type="PROGRESS", stage="fetching", processed=1)
    until(waiting, "fetching")
    waiting.send_signal(signal.SIGINT)
    _, err = waiting.communicate(timeout=TIMEOUT_SEC)
    assert waiting.returncode == 130 and "goes on" in err
    assert len(ctl.rows("runs", "--active")) == 1
    puppet.exit()


def test_wait_outlives_the_daemon(puppets, ctl):
    waiting = ctl.begin("start", "--wait", "one")
    puppet = puppets.puppet()
    puppet.say(type="PROGRESS", stage="fetching", processed=1)
    until(waiting, "fetching")
    puppets.daemon.restart()
    puppet.exit()
    out, _ = waiting.communicate(timeout=TIMEOUT_SEC)
    assert waiting.returncode == 0 and "success" in out


def test_an_end_that_somebody_made_up(puppets, ctl):
    """As anybody on the bus can, by sending it to syncrunctl by name."""
    waiting = ctl.begin("start", "--wait", "one")
    puppet = puppets.puppet()
    puppet.say(type="PROGRESS", stage="fetching", processed=1)
    until(waiting, "fetching")
    event = puppets.client.describe("DescribeEvents")["events"][-1]["event"]
    forged = (2 ** 62, "", event["run_id"], json.dumps({**event, "stage": "completed", "status": "success"}))
    puppets.client.forge(waiting, "/org/syncrun1", "org.syncrun1.Manager.EventsCommitted", "(a(tsss))", [forged])
    puppet.exit(1)
    out, _ = waiting.communicate(timeout=TIMEOUT_SEC)
    assert waiting.returncode == 1 and "success" not in out


def test_wait_for_a_daemon_that_hangs(puppets, ctl):
    waiting = ctl.begin("start", "--wait", "one", SYSTEMD_BUS_TIMEOUT="10s")
    puppet = puppets.puppet()
    puppet.say(type="PROGRESS", stage="fetching", processed=1)
    until(waiting, "fetching")
    with frozen(puppets.daemon.process):
        _, err = waiting.communicate(timeout=TIMEOUT_SEC)
    assert waiting.returncode == 69 and "does not answer" in err and "running syncs go on" in err
    puppet.exit()


# ---- cancel


def test_cancel_by_connector_and_by_run(puppets, ctl):
    run = ctl.run("start", "one").strip()
    ctl.run("start", "two")
    held = [puppets.puppet(), puppets.puppet()]
    assert ctl.run("cancel", run, "two") == ""
    for puppet in held:
        puppet.connection.close()


@pytest.mark.parametrize("by", ["connector", "run"])
def test_cancel_tells_what_begins_then(puppets, ctl, by):
    run = ctl.run("start", "one").strip()
    held = puppets.puppet()
    ctl.both("start", "one", "--full")
    status, out, err = ctl.both("cancel", run if by == "run" else "one")
    assert (status, out) == (0, "") and err.startswith("A full resync of one asked for by ")
    assert err.endswith(" begins now: 'syncrunctl cancel one' ends it too.\n")
    held.connection.close()
    following = puppets.puppet()
    assert following.full_resync and ctl.run("cancel", "one") == "", "nothing follows this one"
    following.connection.close()


def test_cancel_of_a_retry_that_is_to_come(world, ctl):
    world.script("flaky", "exit 1", text="[Run]\nRetrySec=1h\n")
    world.start()
    ctl.run("start", "--wait", "flaky", status=1)
    status, _, err = ctl.both("cancel", "flaky")
    assert status == 5 and "no active run, but a retry that is due in " in err and "'syncrunctl disable flaky'" in err


def test_cancel_of_nothing(puppets, ctl):
    status, _, err = ctl.both("cancel", "one")
    assert status == 5 and "no active run" in err
    status, _, err = ctl.both("cancel", "nobody")
    assert status == 4 and "no run or connector" in err
    status, _, err = ctl.both("cancel", "01890000-0000-7000-8000-000000000000")
    assert status == 4 and "syncrunctl runs" in err


def test_cancel_of_a_run_that_has_ended(puppets, ctl):
    waiting = ctl.begin("start", "--wait", "one", "--json=short")
    puppets.puppet().exit()
    run = json.loads(waiting.communicate(timeout=TIMEOUT_SEC)[0])["id"]
    status, _, err = ctl.both("cancel", run)
    assert status == 5 and "ended" in err
