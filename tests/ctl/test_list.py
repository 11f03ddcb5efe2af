# SPDX-License-Identifier: LGPL-2.1-or-later
"""list, runs, connections, users, enable, disable, reconnect, reload: for people and as JSON."""

import json

import pytest
from conftest import record, schema

ALICE = "7f9c0d5e-1111-4222-8333-444455556666"


@pytest.fixture
def five(world):
    """One of each kind; zebra is the first file and the last name."""
    world.script("zebra", "exit 0", Provider="zoo", User=ALICE)
    world.script("bank", schema("tx", "id"), record("tx", id=1), record("tx", id=2), Provider="bank", Connection="home")
    world.script("broken", "echo 'the vault is closed' >&2", "exit 77", Provider="bank", Connection="home",
                 text="[Run]\nRetryMax=0\n")
    world.script("off", "exit 0", Enabled="no")
    world.daemon.write("connectors/wrong.connector", "[Connector]\nProvider=Not A Slug\n[Pipeline]\nExecPull=/bin/true\n")
    return world.start()


def test_empty_list_says_how_to_begin(world, ctl):
    world.start()
    titles, hint = ctl.run("list").strip().split("\n\n")
    assert titles.split() == ["CONNECTOR", "STATUS", "NEXT", "LAST", "OUTCOME", "PROVIDER", "ATTENTION"]
    assert "syncrun.connector(5)" in hint
    assert ctl.run("list", "--no-legend") == ""
    assert ctl.json("list") == {"connectors": []}


def test_list_by_pattern(five, ctl):
    assert [row[0] for row in ctl.rows("list", "b*", "zebr?")] == ["bank", "broken", "zebra"]
    assert [c["name"] for c in ctl.json("list", "[o-w]*", "--attention")["connectors"]] == []
    assert [c["name"] for c in ctl.json("list", "[o-w]*")["connectors"]] == ["off", "wrong"]
    assert "No such connectors." in ctl.run("list", "nobody")


def test_list_is_alphabetical_and_tells_states(five, ctl):
    ctl.run("start", "--wait", "-q", "bank")
    ctl.run("start", "--wait", "-q", "broken", status=1)
    rows = ctl.rows("list")
    assert [row[0] for row in rows] == ["bank", "broken", "off", "wrong", "zebra"]
    bank, broken, off, wrong, zebra = rows
    assert bank[1] == "active" and "succeeded" in bank and bank[-2:] == ["bank", "-"]
    assert broken[1:3] == ["needs", "attention"] and "failed" in broken
    assert broken[-1] == "configuration_error" or broken[-1].endswith(("expired", "lost", "withdrawn"))
    assert off[1] == "inactive"
    assert wrong[1] == "bad-setting"
    assert zebra[1:] == ["active", "-", "-", "-", "zoo", "-"]
    assert "syncrunctl status" in ctl.run("list")


def test_without_a_command_list_is_meant(five, ctl):
    assert ctl.run("--no-legend") == ctl.run("list", "--no-legend")


def test_list_chooses(five, ctl):
    ctl.run("start", "--wait", "-q", "broken", status=1)
    assert [row[0] for row in ctl.rows("list", "--provider=bank")] == ["bank", "broken"]
    assert [row[0] for row in ctl.rows("list", f"--user={ALICE.upper()}")] == ["zebra"]
    assert [row[0] for row in ctl.rows("list", "--attention")] == ["broken"]
    assert ctl.rows("list", "--active") == []
    assert ctl.json("list", "--active") == {"connectors": []}
    assert [c["name"] for c in ctl.json("list", "--attention")["connectors"]] == ["broken"]
    assert "No such connectors." in ctl.run("list", "--provider=nobody")


def test_list_shows_what_is_active_and_due(world, ctl):
    world.puppet_connector("puppet")
    world.script("later", "exit 0", text="[Schedule]\nOnCalendar=*-01-01\n")
    world.start()
    ctl.run("start", "puppet")
    puppet = world.puppet()
    later, active = ctl.rows("list")
    assert later[:3] == ["later", "active", "in"]
    assert active[:3] == ["puppet", "syncing", "now"]
    assert [row[0] for row in ctl.rows("list", "--active")] == ["puppet"]
    puppet.exit()


def test_json_is_the_daemons_answer(five, ctl):
    short = ctl.run("list", "--json=short")
    assert short.count("\n") == 1
    pretty = ctl.run("list", "--json=pretty")
    assert pretty.count("\n") > 10
    answer = five.client.describe("DescribeConnectors")
    assert answer.pop("next") is None  # the list is of all pages
    assert json.loads(short) == json.loads(pretty) == answer
    assert ctl.run("list", "--json=off") == ctl.run("list")


# ---- runs


def test_runs_newest_first_and_by_page(five, ctl):
    ids = [ctl.json("start", "bank", "--wait")["id"] for _ in range(3)]
    rows = ctl.rows("runs")
    assert [row[0] for row in rows] == ids[::-1]
    assert rows[0][1:4] == ["bank", "manual", "succeeded"]
    first = ctl.run("runs", "-n", "2")
    assert "ADDED UPDATED DEDUPED" in first
    token = first.strip().rsplit("--page=", 1)[1]
    assert [row[0] for row in ctl.rows("runs", "-n2", f"--page={token}")] == ids[:1]
    assert "--page=" not in ctl.run("runs", "-n", "3")
    assert "--page=" not in ctl.run("runs", "-n", "2", "--no-legend")


def test_runs_counts(five, ctl):
    ctl.run("start", "bank", "--wait", "-q")
    ctl.run("start", "bank", "--wait", "-q")
    second, first = ctl.json("runs")["runs"]
    assert (first["counts"]["added"], second["counts"]["added"], second["counts"]["deduped"]) == (2, 0, 2)
    lines = ctl.run("runs").splitlines()
    at = lines[0].index("DEDUPED")
    assert lines[1][at:at + 7].split() == ["2"]


def test_runs_choose(five, ctl):
    good = ctl.json("start", "bank", "--wait")["id"]
    bad = ctl.json("start", "broken", "--wait", status=1)["id"]

    def ids(*words):
        return {row[0] for row in ctl.rows("runs", *words)}

    assert ids("--outcome=failed") == {bad}
    assert ids("bank") == {good}
    assert ids("--provider=bank") == {good, bad}
    assert ids("--source=sdk") == set()
    assert ids("--since=1h") == {good, bad}
    assert ids("--until=1h ago") == set()
    assert ids("--since=yesterday", "--until=tomorrow") == {good, bad}
    assert ids("--active", "--since=1h", "--until=+1h", "--provider=bank", "--source=pull", "--outcome=failed",
               f"--user={ALICE}", "-n5", "bank") == set()
    assert "No runs." in ctl.run("runs", "--active")


def test_runs_of_a_connector_that_is_not_there(five, ctl):
    for words in (["runs", "nosuch"], ["runs", "nosuch", "--json=short"]):
        status, out, err = ctl.both(*words)
        assert (status, out) == (4, "") and 'There is no connector "nosuch"' in err
    assert "No runs." in ctl.run("runs", "off")
    ctl.run("start", "--wait", "-q", "bank")
    (five.daemon.config / "connectors/bank.connector").unlink()
    ctl.run("reload")
    assert len(ctl.rows("runs", "bank")) == 1


def test_a_provider_that_can_be_none_is_refused(five, ctl):
    for verb in ("list", "runs", "connections"):
        status, out, err = ctl.both(verb, "--provider=ZZZ!")
        assert (status, out) == (2, "") and "--provider=" in err


# ---- connections and users


def test_connections_and_reconnect(five, ctl):
    assert ctl.rows("connections")[0][:2] == ["home", "active"]
    assert "bank broken" in ctl.run("connections")
    assert ctl.json("connections")["connections"][0]["connectors"] == ["bank", "broken"]
    assert ctl.rows("connections", "--provider=zoo") == []
    assert ctl.run("reconnect", "home") == "No connector of home waited for it.\n"
    status, out, err = ctl.both("reconnect", "nowhere", "home")
    assert (status, out) == (4, "No connector of home waited for it.\n") and "syncrunctl connections" in err
    assert ctl.run("reconnect", "home", "-q") == ""


def test_reconnect_tells_which_runs_it_began(five, ctl):
    ctl.run("start", "--wait", "-q", "broken", status=1)  # 77: the connection is lost
    line, = ctl.run("reconnect", "home").splitlines()
    name, run = line.split(": run ")
    assert name == "broken" and run == ctl.rows("runs", "broken")[0][0]
    assert ctl.json("show", run)["trigger"] == "reconnect"


def test_reconnect_as_json(five, ctl):
    assert ctl.json("reconnect", "home") == {"connection": "home", "reconnecting": False, "result": None, "message": None,
                                             "runs": []}
    ctl.run("start", "--wait", "-q", "broken", status=1)
    run, = ctl.json("reconnect", "home")["runs"]
    assert (run["connector"], run["already_active"]) == ("broken", False)
    assert ctl.json("show", run["run_id"])["trigger"] == "reconnect"


def test_no_connections(world, ctl):
    world.start()
    assert "Connection=" in ctl.run("connections")


def test_users(five, ctl):
    ctl.run("start", "--wait", "-q", "zebra")
    row, = ctl.rows("users")
    assert row[:2] == [ALICE, "1"]
    assert ctl.json("users")["users"][0]["id"] == ALICE
    paged = ctl.run("users", "-n1")
    assert f"--page={ALICE}" in paged
    assert ctl.rows("users", f"--page={ALICE}") == []


# ---- enable, disable, reload


def test_enable_and_disable(five, ctl):
    assert ctl.run("enable", "off") == ""
    assert dict(row[:2] for row in ctl.rows("list"))["off"] == "active"
    assert ctl.run("disable", "off", "bank") == ""
    states = dict(row[:2] for row in ctl.rows("list"))
    assert (states["off"], states["bank"]) == ("inactive", "inactive")


def test_one_wrong_name_keeps_no_other_back(five, ctl):
    status, _, err = ctl.both("disable", "nobody", "bank")
    assert status == 4 and "nobody" in err and "syncrunctl list" in err
    assert dict(row[:2] for row in ctl.rows("list"))["bank"] == "inactive"


def test_reload_finds_new_files(five, ctl):
    five.script("fresh", "exit 0")
    assert ctl.run("reload") == ""
    assert "fresh" in [row[0] for row in ctl.rows("list")]


def test_list_asks_for_all_pages(world, ctl):
    for n in range(1001):
        world.daemon.write(f"connectors/c{n:04}.connector",
                           f"[Connector]\nProvider=many\nConnection=h{n:04}\n[Pipeline]\nExecPull=/bin/true\n")
    world.start()
    assert [connector["name"] for connector in ctl.json("list")["connectors"]] == [f"c{n:04}" for n in range(1001)]
    assert [connection["name"] for connection in ctl.json("connections")["connections"]] == [f"h{n:04}" for n in range(1001)]
    assert "1001 connectors" in ctl.run("status")
