# SPDX-License-Identifier: LGPL-2.1-or-later
"""org.syncrun1.Manager: its methods, what they refuse, its properties and bulk reads."""

import json
import uuid

import pytest
from gi.repository import GLib
from harness import CONNECTOR, MANAGER, PATH, RUN, CallError, connector_path, run_path, wait_for

USER = "7f9c0d5e-1111-4222-8333-444455556666"


def refusal(call, *args, **kwargs):
    with pytest.raises(CallError) as caught:
        call(*args, **kwargs)
    return caught.value


# ---- StartRun


def test_start_begins_a_run(daemon, client):
    run, path, already_active, result = client.start("bank", reason="by hand")
    assert uuid.UUID(run).version == 7
    assert path == run_path(run)
    assert (already_active, result) == (
        False, {"full_resync": False, "follow_up_pending": False, "full_resync_pending": False, "full_resync_owed": False})
    properties = client.get_all(path, RUN)
    assert properties["Connector"] == "bank"
    assert properties["Provider"] == "test"
    assert properties["Trigger"] == "manual"
    assert properties["Reason"] == "by hand"
    assert properties["RequestedBy"] == "uid:0"
    assert properties["FullResync"] is False
    assert properties["Attempt"] == 1
    assert properties["CreatedUSec"] > 0
    daemon.worker().exit()


def test_second_start_gives_the_active_run(daemon, client):
    """B9: alreadyActive."""
    first = client.start("bank")
    second = client.start("bank")
    assert second[:2] == first[:2]
    assert second[2] is True
    daemon.worker().exit()


def test_starts_at_once_make_one_run(daemon, client):
    """B10: calls that are under way together find one run."""
    calls = [client.start_call(PATH, MANAGER, "StartRun", "(sa{sv})", "bank", {}) for _ in range(20)]
    wait_for(lambda: all(calls), "all answers")
    assert len({answers[0][0] for answers in calls}) == 1
    assert [answers[0][2] for answers in calls].count(False) == 1
    assert len(client.describe("DescribeRuns", connector="bank")["runs"]) == 1
    daemon.worker().exit()


def test_full_resync_asked_meanwhile_becomes_the_next_run(daemon, client):
    """B13: the incremental run is returned, and the reply says that a full one follows."""
    first = client.start("bank")
    second = client.start("bank", full_resync=True)
    assert second[:3] == (first[0], first[1], True)
    assert second[3] == {"full_resync": False, "follow_up_pending": True, "full_resync_pending": True, "full_resync_owed": False}
    worker = daemon.worker()
    assert worker.attach()[2] is False
    worker.finish(1, outcome="succeeded")
    worker.exit()
    follower = daemon.worker()
    run, _, full_resync, _, cursor, _ = follower.attach()
    assert run != first[0]
    assert full_resync is True
    assert cursor == ""
    follower.finish(1, outcome="succeeded")
    follower.exit()


def test_other_accounts_asked_for_meanwhile_become_the_next_run(daemon, client):
    first = client.start("bank", accounts=["visa"])
    worker = daemon.worker()
    worker.attach()
    nothing = {"full_resync": False, "follow_up_pending": False, "full_resync_pending": False, "full_resync_owed": False}
    assert client.start("bank", accounts=["visa"])[2:] == (True, nothing)
    assert client.start("bank", accounts=["giro", "visa"])[2:] == (True, nothing | {"follow_up_pending": True})
    worker.finish(1, outcome="succeeded")
    worker.exit()
    follower = daemon.worker()
    run = follower.attach()[0]
    assert run != first[0]
    assert json.loads(client.call(run_path(run), RUN, "Describe"))["only_accounts"] == ["giro", "visa"]
    assert client.start("bank", accounts=["giro"])[3] == nothing
    follower.finish(1, outcome="succeeded")
    follower.exit()


def test_start_while_it_is_being_stopped_becomes_the_next_run(daemon, client):
    first = client.start("bank")
    worker = daemon.worker()
    worker.attach()
    worker.linger()
    client.manager("CancelRun", "(s)", first[0])
    second = client.start("bank", reason="after all")
    assert second[:3] == (first[0], first[1], True)
    assert second[3] == {"full_resync": False, "follow_up_pending": True, "full_resync_pending": False, "full_resync_owed": False}
    described = client.describe("DescribeConnectors", name="bank")["connectors"][0]
    assert (described["follow_up"]["trigger"], described["follow_up"]["reason"]) == ("manual", "after all")
    worker.exit()
    follower = daemon.worker()
    run = follower.attach()[0]
    assert run != first[0]
    assert json.loads(client.call(run_path(run), RUN, "Describe"))["reason"] == "after all"
    follower.finish(1, outcome="succeeded")
    follower.exit()


@pytest.mark.parametrize("name, error", [
    ("nothing", "NoSuchConnector"),
    ("../bank", "NoSuchConnector"),
    ("", "NoSuchConnector"),
])
def test_start_of_what_is_not_there(daemon, client, name, error):
    assert refusal(client.start, name).name == error


def test_start_of_inactive_and_bad_connectors(daemon, client):
    daemon.add("asleep", Enabled="no")
    daemon.add("broken", "[Schedule]\nOnCalendar=never ever\n[Pipeline]\nExecPull=/bin/true\n")
    client.manager("Reload")
    assert refusal(client.start, "asleep").name == "ConnectorInactive"
    assert refusal(client.start, "broken").name == "BadSetting"


def test_unknown_option_is_named(daemon, client):
    error = refusal(client.start, "bank", full_resinc=True)
    assert error.name == "InvalidArgument"
    assert "'full_resinc'" in error.message


def test_option_of_the_wrong_type_is_named(daemon, client):
    error = refusal(client.start, "bank", full_resync="yes")
    assert error.name == "InvalidArgument"
    assert "'full_resync'" in error.message


def test_option_given_twice_is_refused(daemon, client):
    builder = GLib.VariantBuilder(GLib.VariantType("a{sv}"))
    for _ in range(2):
        builder.add_value(GLib.Variant("{sv}", ("reason", GLib.Variant("s", "again"))))
    message = GLib.Variant.new_tuple(GLib.Variant("s", "bank"), builder.end())
    with pytest.raises(GLib.Error, match="given twice"):
        client.bus.call_sync("org.syncrun1", PATH, MANAGER, "StartRun", message, None, 0, -1, None)


def names_of(n_bytes):
    """Of so many bytes together, where each name counts one more."""
    names = [f"{i:0249}" for i in range(n_bytes // 250)]
    return names[:-1] + [names[-1] + "x" * (n_bytes % 250)]


@pytest.mark.parametrize("options, allowed", [
    ({"reason": "x" * 1024}, True),
    ({"reason": "x" * 1025}, False),
    ({"accounts": ["a" * 256]}, True),
    ({"accounts": ["a" * 257]}, False),
    ({"accounts": [str(i) for i in range(1000)]}, True),
    ({"accounts": [str(i) for i in range(1001)]}, False),
    ({"accounts": names_of(130000)}, True),
    ({"accounts": names_of(130001)}, False),
])
def test_limits_of_start(daemon, client, options, allowed):
    if allowed:
        client.start("bank", **options)
        daemon.worker().exit()
    else:
        assert refusal(client.start, "bank", **options).name == "LimitExceeded"


def test_trigger_is_manual_or_remote(daemon, client):
    assert refusal(client.start, "bank", trigger="schedule").name == "InvalidArgument"
    _, path, *_ = client.start("bank", trigger="remote")
    assert client.get(path, RUN, "Trigger") == "remote"
    daemon.worker().exit()


# ---- CancelRun, GetRun, GetConnector


def test_cancel_ends_the_run(daemon, client):
    run, path, *_ = client.start("bank")
    worker = daemon.worker()  # lives for as long as somebody has it
    worker.attach()
    client.manager("CancelRun", "(s)", run)
    wait_for(lambda: client.get(path, RUN, "State") == "finished", "the end")
    assert client.get(path, RUN, "Outcome") == "cancelled"
    assert refusal(client.manager, "CancelRun", "(s)", run).name == "RunFinished"


def test_cancel_of_no_run(daemon, client):
    assert refusal(client.manager, "CancelRun", "(s)", "nothing").name == "NoSuchRun"


def test_get_run(daemon, client):
    run, path, *_ = client.start("bank")
    assert client.manager("GetRun", "(s)", run) == path
    assert refusal(client.manager, "GetRun", "(s)", "nothing").name == "NoSuchRun"
    daemon.worker().exit()


def test_get_connector_by_name_and_id(daemon, client):
    path = client.manager("GetConnector", "(s)", "bank")
    assert path == connector_path("bank")
    connector_id = client.get(path, CONNECTOR, "Id")
    assert client.manager("GetConnector", "(s)", connector_id) == path
    assert client.manager("GetConnector", "(s)", connector_id.upper()) == path
    assert refusal(client.manager, "GetConnector", "(s)", "nothing").name == "NoSuchConnector"
    assert refusal(client.manager, "GetConnector", "(s)", str(uuid.uuid4())).name == "NoSuchConnector"


def test_names_with_dash_and_underscore_are_paths(daemon, client):
    daemon.add("my-bank_2")
    client.manager("Reload")
    path = client.manager("GetConnector", "(s)", "my-bank_2")
    assert path == "/org/syncrun1/connector/my_2dbank_5f2"
    assert client.get(path, CONNECTOR, "Name") == "my-bank_2"


# ---- Bulk reads


def finish_run(daemon, client, connector, **report):
    run = client.start(connector)[0]
    worker = daemon.worker()
    worker.attach()
    worker.finish(1, **{"outcome": "succeeded", **report})
    worker.exit()
    wait_for(lambda: client.get(run_path(run), RUN, "State") == "finished", "the end")
    return run


def test_describe_runs_newest_first_with_pages(daemon, client):
    runs = [finish_run(daemon, client, "bank") for _ in range(3)]
    first = client.describe("DescribeRuns", limit=2)
    assert [run["id"] for run in first["runs"]] == runs[:0:-1]
    second = client.describe("DescribeRuns", limit=2, page=first["next"])
    assert [run["id"] for run in second["runs"]] == runs[:1]
    assert second["next"] is None


def test_describe_runs_filters(daemon, client):
    good = finish_run(daemon, client, "bank")
    bad = finish_run(daemon, client, "mail", outcome="failed", error="no")
    connector_id = client.get(connector_path("bank"), CONNECTOR, "Id")

    def ids(**options):
        return [run["id"] for run in client.describe("DescribeRuns", **options)["runs"]]

    assert ids() == [bad, good]
    assert ids(connector="bank") == [good]
    assert ids(connector=connector_id) == [good]
    assert ids(outcome="failed") == [bad]
    assert ids(id=good) == [good]
    assert ids(id=good, connector="mail") == []
    assert ids(id="nothing") == []
    assert ids(active=True) == []
    assert ids(active=False) == [bad, good]
    assert ids(provider="test") == [bad, good]
    assert ids(provider="other") == []
    assert ids(source="pull") == [bad, good]
    assert ids(source="sdk") == []
    assert ids(user=USER) == []
    created = client.describe("DescribeRuns", id=bad)["runs"][0]["created_at"]
    assert created.endswith("Z")
    assert ids(since=2**62) == []
    assert ids(until=1) == []


@pytest.mark.parametrize("method, option", [
    ("DescribeRuns", {"limit": 0}),
    ("DescribeRuns", {"limit": 10001}),
    ("DescribeRuns", {"limit": 2**32}),
    ("DescribeRuns", {"limit": GLib.Variant("i", -1)}),
    ("DescribeRuns", {"outcome": "great"}),
    ("DescribeRuns", {"source": "well"}),
    ("DescribeRuns", {"user": "me"}),
    ("DescribeRuns", {"page": "?"}),
    ("DescribeRuns", {"active": "yes"}),
    ("DescribeRuns", {"colour": "red"}),
    ("DescribeEvents", {"limit": 0}),
    ("DescribeEvents", {"limit": 10001}),
    ("DescribeEvents", {"user": "me"}),
    ("DescribeConnectors", {"user": "me"}),
    ("DescribeConnectors", {"limit": 0}),
    ("DescribeConnectors", {"limit": 1001}),  # CONNECTORS_PAGE_MAX
    ("DescribeConnectors", {"page": "?"}),
    ("DescribeConnectors", {"names": "bank"}),
    ("DescribeConnections", {"user": "me"}),
    ("DescribeConnections", {"limit": 0}),
    ("DescribeConnections", {"limit": 1001}),
    ("DescribeConnections", {"page": "?"}),
    ("DescribeConnections", {"page": "", "view": "redbark"}),
    ("DescribeUsers", {"limit": 10001}),
])
def test_filters_that_are_refused(daemon, client, method, option):
    assert refusal(client.describe, method, **option).name == "InvalidArgument"


def test_a_page_that_is_none_and_an_option_that_is_not_there(daemon, client):
    words = "this is not what a page before gave as next"
    for method in ("DescribeRuns", "DescribeConnectors", "DescribeConnections"):
        assert refusal(client.describe, method, page="?").message.endswith(f"page: {words}.")
    for method in ("DescribeConnectors", "DescribeConnections"):
        assert refusal(client.describe, method, page="?", view="redbark").message.endswith(f"cursor: {words}Cursor.")
    unknown = refusal(client.describe, "DescribeUsers", page="x").message
    assert unknown.endswith("There is no option 'page' here; there are: after, limit.")
    assert " after, before," in refusal(client.describe, "DescribeEvents", page="x").message


@pytest.mark.parametrize("kind", "ynqiuxt")
def test_numbers_of_any_integer_type_are_taken(daemon, client, kind):
    assert client.describe("DescribeRuns", limit=GLib.Variant(kind, 5))["runs"] == []


def test_describe_events(daemon, client):
    run = finish_run(daemon, client, "bank")
    answer = client.describe("DescribeEvents", run=run)
    events = answer["events"]
    assert [entry["event"]["stage"] for entry in events][0] == "queued"
    assert [entry["event"]["stage"] for entry in events][-1] == "completed"
    numbers = [entry["seq"] for entry in events]
    assert numbers == sorted(set(numbers))
    assert answer["first"] <= numbers[0]
    assert answer["last"] == numbers[-1] == client.get(PATH, MANAGER, "LastSequence")
    assert all(entry["event"]["run_id"] == run for entry in events)

    def seqs(**options):
        return [entry["seq"] for entry in client.describe("DescribeEvents", **options)["events"]]

    assert seqs(after=numbers[0]) == numbers[1:]
    assert seqs(newest_first=True) == numbers[::-1]
    assert seqs(limit=1) == numbers[:1]
    assert seqs(connector="mail") == []
    assert seqs(provider="test") == numbers
    assert seqs(user=USER) == []
    assert seqs(since=2**62) == []


def test_describe_connectors(daemon, client):
    daemon.add("owned", User=USER.upper(), Provider="lender", Connection="shared", Description="Mine, all mine")
    client.manager("Reload")

    def names(**options):
        return [connector["name"] for connector in client.describe("DescribeConnectors", **options)["connectors"]]

    assert names() == ["bank", "books", "mail", "owned"]
    assert names(name="mail") == ["mail"]
    assert names(user=USER) == ["owned"]
    assert names(provider="lender") == ["owned"]
    assert names(connection="shared") == ["owned"]
    assert names(attention=True) == []
    assert names(attention=False) == ["bank", "books", "mail", "owned"]
    first = client.describe("DescribeConnectors", limit=3)
    assert [connector["name"] for connector in first["connectors"]] == ["bank", "books", "mail"]
    assert first["next"] == "mail"
    rest = client.describe("DescribeConnectors", limit=3, page=first["next"])
    assert [connector["name"] for connector in rest["connectors"]] == ["owned"]
    assert rest["next"] is None
    assert names(limit=1000) == names()
    assert client.describe("DescribeConnectors")["next"] is None
    owned = client.describe("DescribeConnectors", name="owned")["connectors"][0]
    assert owned["description"] == "Mine, all mine"
    assert owned["user_id"] == USER
    assert owned["active"] is True
    assert owned["load_state"] == "loaded"
    assert owned["overlap"] == "skip"
    assert owned["active_run"] is None
    assert owned["attention"] is None


def test_a_page_is_bounded_whether_it_is_asked_for_or_not(new_daemon, client):
    """A thousand, or a mebibyte, and next says how to go on."""
    for n in range(1001):
        new_daemon.add(f"c{n:04}", Provider="many", Connection=f"h{n:04}")
    for n in range(200):
        new_daemon.add(f"d{n:04}", Provider="long", Description="x" * 16000, Connection=f"g{n % 2}")
    new_daemon.start()

    def pages(method, array, **options):
        page = {}
        while True:
            answer = client.describe(method, **options, **page)
            yield [entry["name"] for entry in answer[array]]
            if not (following := answer.get("next") or answer.get("nextCursor")):
                return
            page = {"page": following}

    many = [f"c{n:04}" for n in range(1001)]
    assert list(pages("DescribeConnectors", "connectors", provider="many", limit=1000)) == [many[:1000], many[1000:]]
    for name, size in (("many", 1001), ("long", 200)):
        found = list(pages("DescribeConnectors", "connectors", provider=name))
        assert sum(found, []) == sorted(sum(found, [])) and len(sum(found, [])) == size
        assert 2 <= len(found) <= 5
    homes = [f"h{n:04}" for n in range(1001)]
    for view in ({}, {"view": "redbark"}):
        found = list(pages("DescribeConnections", "connections", provider="many", **view))
        assert found == [homes[:1000], homes[1000:]]
        assert list(pages("DescribeConnections", "connections", provider="long", limit=1, **view)) == [["g0"], ["g1"]]


def test_describe_keeps_commands_and_environment_to_itself(daemon, client):
    daemon.add("secret", "[Pipeline]\nExecPull=/bin/true --token=hunter2\nEnvironment=PASSWORD=hunter2\n")
    client.manager("Reload")
    assert "hunter2" not in client.manager("DescribeConnectors", "(a{sv})", {})
    assert "hunter2" not in client.call(connector_path("secret"), CONNECTOR, "Describe")


def test_describe_users(daemon, client):
    daemon.add("owned", User=USER)
    client.manager("Reload")
    finish_run(daemon, client, "owned")
    users = client.describe("DescribeUsers")["users"]
    assert [(user["id"], user["runs"]) for user in users] == [(USER, 1)]
    assert client.describe("DescribeUsers", after=USER)["users"] == []


# ---- Properties


def test_properties(daemon, client):
    properties = client.get_all(PATH, MANAGER)
    assert properties["NConnectors"] == 3
    assert properties["NActiveRuns"] == properties["NQueuedRuns"] == properties["NAttention"] == 0
    assert properties["StorageError"] == ""
    assert properties["Version"].count(".") == 2


def test_numbers_change_with_a_signal(daemon, client):
    changes = client.property_changes(PATH, MANAGER)
    client.start("bank")
    wait_for(lambda: any(change.get("NActiveRuns") == 1 for change in changes), "an active run")
    worker = daemon.worker()
    worker.attach()
    worker.finish(1, outcome="failed", error="gone", attention="connection_lost", attention_message="gone")
    worker.exit()
    wait_for(lambda: any(change.get("NActiveRuns") == 0 for change in changes), "no active run")
    wait_for(lambda: any(change.get("NAttention") == 1 for change in changes), "attention")
    daemon.add("fourth")
    client.manager("Reload")
    wait_for(lambda: any(change.get("NConnectors") == 4 for change in changes), "a fourth connector")


def test_json_is_one_object(daemon, client):
    assert json.loads(client.manager("DescribeUsers", "(a{sv})", {})) == {"users": [], "next": None}
