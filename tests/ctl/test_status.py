# SPDX-License-Identifier: LGPL-2.1-or-later
"""status, show, log: one thing closely."""

import json

import pytest
from conftest import schema
from harness import wait_for


@pytest.fixture
def two(world):
    world.script("bank", schema("tx", "id"), {"type": "RECORD", "stream": "tx", "record": {"id": 1}, "account": "checking"},
                 {"type": "ACCOUNT", "account": "savings", "status": "failed", "error": "locked\nuntil Monday"},
                 Description="The bank", text="[Schedule]\nOnCalendar=yearly\n[Run]\nRetryMax=0\n")
    world.script("consent", {"type": "ATTENTION", "category": "consent_expired", "message": "renew\x1b[2Jit"}, "exit 1",
                 Connection="home", text="[Schedule]\nEvery=1h\n[Run]\nRetryMax=0\n")
    return world.start()


def test_service(two, ctl):
    first = ctl.run("status").splitlines()[0]
    assert first.startswith("● syncrun ") and "2 connectors, 0 runs active, 0 need attention" in first
    ctl.run("start", "--wait", "-q", "consent", status=1)
    text = ctl.run("status")
    assert "1 needs attention" in text
    assert "● consent" in text and "● bank" not in text
    answer = ctl.json("status")
    assert answer["version"] and answer["storage_error"] is None
    assert [c["name"] for c in answer["connectors"]] == ["bank", "consent"]


def test_connector_that_has_not_run(two, ctl):
    text = ctl.run("status", "bank")
    assert text.startswith("● bank - The bank\n")
    assert "State: loaded, active" in text and "Schedule: yearly" in text and "Next: " in text
    assert "Run " not in text
    answer = ctl.json("status", "bank")
    assert answer["connector"]["name"] == "bank" and answer["run"] is None and answer["log"] == []


def test_connector_and_its_last_run(two, ctl):
    run = ctl.json("start", "--wait", "bank", status=3)["id"]
    text = ctl.run("status", "bank")
    assert f"● Run {run} of bank" in text
    assert "Outcome: partial" in text and "Why: manual, asked for by uid:" in text
    assert "1 discovered, 1 added, 0 updated, 0 deduped" in text
    assert "locked until Monday" in text, "a table's cell is one line"
    assert "ACCOUNT" in text and "ACCOUNT" not in ctl.run("status", "--no-legend", "bank")
    by_run = ctl.run("status", run)
    assert by_run.startswith(f"● Run {run} of bank") and "Schedule" not in by_run
    answer = ctl.json("status", "bank")
    assert answer["run"]["id"] == run and answer["connector"]["last_run_id"] == run


def test_attention_comes_with_advice_and_without_control_characters(two, ctl):
    ctl.run("start", "--wait", "-q", "consent", status=1)
    text = ctl.run("status", "consent")
    assert "Attention: consent_expired" in text and "What to do: " in text
    assert "Schedule: every 1h" in text and "Failures: 1 in a row" in text
    assert "\x1b" not in text and "renew" in text and "Then: " not in text
    ctl.run("disable", "consent")
    assert "Then: syncrunctl enable consent" in ctl.run("status", "consent")


def test_lost_connection_of_a_connector_without_one(world, ctl):
    """Of a run and of its connector the same: not to reconnect what there is not."""
    world.script("lost", {"type": "ATTENTION", "category": "connection_lost"}, "exit 1", text="[Run]\nRetryMax=0\n")
    world.start()
    run = ctl.json("start", "--wait", "lost", status=1)["id"]
    for what in ("lost", run):
        text = ctl.run("status", what)
        assert "Attention: connection_lost" in text and "What to do: See 'syncrunctl log lost'" in text
        assert "econnect the connection" not in text


def test_active_run(world, ctl):
    world.puppet_connector("one")
    world.start()
    ctl.run("start", "one")
    puppet = world.puppet()
    seen = world.client.signals(member="EventsCommitted")
    puppet.say(type="PROGRESS", stage="fetching", processed=3, total=9)
    wait_for(lambda: any('"fetching"' in e[3] for s in seen for e in s[2][0]), "the stage")
    text = ctl.run("status", "one")
    assert "State: running" in text and "Progress: fetching, 3 of 9" in text and "Ended" not in text
    puppet.exit()


def test_a_connector_whose_file_went(two, ctl):
    """What is known of it can be seen."""
    run = ctl.json("start", "--wait", "bank", status=3)["id"]
    (two.daemon.connectors / "bank.connector").unlink()
    ctl.run("reload")
    text = ctl.run("status", "bank")
    assert text.startswith("Connector bank has no file any more.") and f"● Run {run} of bank" in text
    answer = ctl.json("status", "bank")
    assert answer["connector"] is None and answer["run"]["id"] == run
    stored = {"STATE_DIRECTORY": str(two.daemon.state / "connectors" / "bank")}
    status, out, err = ctl.both("items", "bank", "--json=short", **stored)
    assert status == 0 and len(out.splitlines()) == 1, out
    assert err == "Connector bank has no file any more. This is what it had stored.\n"


def test_several_and_unknown(two, ctl):
    text = ctl.run("status", "bank", "consent")
    assert text.index("● bank") < text.index("\n\n● consent")
    status, out, err = ctl.both("status", "nobody", "bank")
    assert status == 4 and "● bank" in out
    assert err == 'syncrunctl: There is no run or connector "nobody". See \'syncrunctl runs\' and \'syncrunctl list\'.\n'


def test_bad_setting_says_what_is_wrong(world, ctl):
    world.daemon.write("connectors/wrong.connector", "[Connector]\nProvider=No Slug\n[Pipeline]\nExecPull=/bin/true\n")
    world.start()
    text = ctl.run("status", "wrong")
    assert "State: bad-setting" in text and "wrong.connector:2: Provider=" in text


def test_show(two, ctl):
    run = ctl.json("start", "--wait", "bank", status=3)["id"]
    text = ctl.run("show", run)
    assert text.startswith(f"● Run {run} of bank") and "checking" in text
    shown = ctl.json("show", run)
    assert shown["id"] == run and {a["account"] for a in shown["accounts"]} == {"checking", "savings"}
    assert ctl.run("show", run, "--json=pretty").count("\n") > 20
    other = "01890000-0000-7000-8000-000000000000"
    status, out, err = ctl.both("show", other, run)
    assert status == 4 and other in err and run in out
    status, out, err = ctl.both("show", other, "--json=short")
    assert (status, out) == (4, "")


def test_show_a_run_from_outside(world, ctl):
    world.start()
    event = {"run_id": "night-1", "user_id": "7f9c0d5e-1111-4222-8333-444455556666", "provider": "oura", "source": "sdk",
             "stage": "started", "status": "in_progress"}
    world.client.manager("ReportEvents", "(s)", json.dumps([event]))
    assert ctl.run("show", "night-1").startswith("● Run night-1 of oura")
    assert ctl.run("status", "night-1").startswith("● Run night-1 of oura")
    assert ctl.rows("runs")[0][:2] == ["night-1", "oura"]


def test_log_of_nothing(two, ctl):
    status, _, err = ctl.both("log", "bank")
    assert status == 4 and "has not run" in err
    status, _, err = ctl.both("log", "01890000-0000-7000-8000-000000000000")
    assert status == 4 and "no run or connector" in err
    status, _, err = ctl.both("log", "nobody")
    assert status == 4


def test_log_where_workers_are_children(two, ctl):
    """On a private instance, as this one is: what they wrote is where the daemon's lines are."""
    run = ctl.json("start", "--wait", "bank", status=3)["id"]
    told = "Workers are children of the service here: their lines go where those of syncrund do."
    status, out, err = ctl.both("log", run)
    assert (status, out) == (1, "") and told in err and "rotated" not in err
    assert told in ctl.run("status", run)


def test_status_says_which_accounts_need_attention(world, ctl):
    world.puppet_connector("bank", text="[Run]\nRetryMax=0\n")
    world.start()
    ctl.run("start", "bank", "--accounts=visa,giro")
    world.puppet().exit(1)
    wait_for(lambda: ctl.json("status", "bank")["connector"]["attention"], "attention")
    assert "Accounts: visa, giro\n" in ctl.run("status", "bank")


def test_status_says_what_is_owed_and_what_follows(world, ctl):
    world.puppet_connector("bank", text="[Run]\nRetryMax=0\n")
    world.start()
    ctl.run("start", "bank", "--full", "--accounts=visa,giro")
    world.puppet().exit(1)
    wait_for(lambda: ctl.json("status", "bank")["connector"]["full_resync_pending"], "the debt")
    assert "Pending: a full resync of visa, giro\n" in ctl.run("status", "bank")
    status, out, err = ctl.both("start", "bank")
    assert status == 0 and "is still owed" in err
    assert "Follows: a full resync (retry)\n" in ctl.run("status", "bank")
    world.puppet().exit()
    world.puppet().exit()
