# SPDX-License-Identifier: LGPL-2.1-or-later
"""Connectors, runs and connections as objects: properties, their signals, methods, and all of them as an object manager."""

import json

import pytest
from gi.repository import Gio
from harness import CONNECTION, CONNECTOR, MANAGER, NAME, PATH, RUN, CallError, connector_path, path_of, run_path, wait_for

UNKNOWN = 2**64 - 1


def run_to_end(daemon, client, connector, **report):
    run, path, *_ = client.start(connector)
    worker = daemon.worker()
    worker.attach()
    worker.finish(1, **{"outcome": "succeeded", **report})
    worker.exit()
    wait_for(lambda: client.get(path, RUN, "State") == "finished", "the end")
    return run


# ---- Connectors


def test_connector_properties(daemon, client):
    daemon.add("full", "[Schedule]\nOnCalendar=2199-01-01\n[Pipeline]\nExecPull=/bin/true\n", Provider="lender",
               Description="All of it", User="7F9C0D5E-1111-4222-8333-444455556666", Connection="shared")
    client.manager("Reload")
    properties = client.get_all(connector_path("full"), CONNECTOR)
    assert properties.pop("Id")
    assert properties == {
        "Name": "full", "Description": "All of it", "Provider": "lender", "Source": "pull",
        "UserId": "7f9c0d5e-1111-4222-8333-444455556666", "Connection": "shared", "Active": True, "LoadState": "loaded",
        "LoadError": "", "NextElapseUSec": properties["NextElapseUSec"], "Retrying": False, "RetryUSec": 0, "RetryAttempt": 0,
        "RetryAccounts": [], "FullResyncPending": False, "FullResyncAccounts": [], "FollowUp": "", "FollowUpRequestedBy": "", "ActiveRun": "/",
        "LastRunId": "", "LastOutcome": "", "LastFinishedUSec": 0, "ConsecutiveFailures": 0, "AttentionCategory": "",
        "AttentionMessage": "", "AttentionAdvice": "", "AttentionSinceUSec": 0, "AttentionRunId": "",
        "AttentionAccounts": [], "DeletingItems": False,
    }
    assert properties["NextElapseUSec"] // 10**6 >= 7226582400 - 86400
    assert client.get(connector_path("bank"), CONNECTOR, "NextElapseUSec") == 0


def test_connector_id_is_kept(daemon, client):
    before = client.get(connector_path("bank"), CONNECTOR, "Id")
    daemon.restart()
    assert client.get(connector_path("bank"), CONNECTOR, "Id") == before


def test_bad_connector_is_visible(daemon, client):
    daemon.add("broken", "[Schedule]\nOnCalendar=never ever\n[Pipeline]\nExecPull=/bin/true\n")
    client.manager("Reload")
    path = connector_path("broken")
    assert client.get(path, CONNECTOR, "LoadState") == "bad-setting"
    assert "broken.connector:4" in client.get(path, CONNECTOR, "LoadError")
    (daemon.connectors / "folder.connector").mkdir()
    client.manager("Reload")
    path = connector_path("folder")
    assert client.get(path, CONNECTOR, "LoadState") == "bad-setting"
    assert "Is a directory" in client.get(path, CONNECTOR, "LoadError")


def test_connector_changes_are_told(daemon, client):
    path = connector_path("bank")
    changes = client.property_changes(path, CONNECTOR)
    run = client.start("bank")[0]
    wait_for(lambda: any(change.get("ActiveRun") == run_path(run) for change in changes), "the active run")
    worker = daemon.worker()
    worker.attach()
    worker.finish(1, outcome="failed", error="no consent", attention="consent_expired", attention_message="no consent")
    worker.exit()
    wait_for(lambda: any(change.get("ActiveRun") == "/" for change in changes), "no active run")
    wait_for(lambda: any("LastRunId" in change for change in changes), "the last run")
    merged = {key: value for change in changes for key, value in change.items()}
    assert merged["LastRunId"] == run
    assert merged["LastOutcome"] == "failed"
    assert merged["LastFinishedUSec"] > 0
    assert merged["ConsecutiveFailures"] == 1
    assert merged["AttentionCategory"] == "consent_expired"
    assert merged["AttentionMessage"] == "no consent"
    assert "consent" in merged["AttentionAdvice"]
    assert merged["AttentionSinceUSec"] > 0
    assert not {"Name", "Id", "Provider", "Description"} & merged.keys()
    assert client.get_all(path, CONNECTOR).items() >= merged.items()


def test_connector_tells_what_it_waits_for(daemon, client):
    path = connector_path("patient")
    daemon.add("patient", "[Run]\nRetrySec=1h\nRetryMaxSec=1h\n[Pipeline]\nExecPull=/bin/true\n")
    client.manager("Reload")
    client.start("patient")
    worker = daemon.worker()
    worker.attach()
    assert client.get(path, CONNECTOR, "FullResyncPending") is False
    assert client.start("patient", full_resync=True)[3]["full_resync_pending"]
    assert client.get(path, CONNECTOR, "FullResyncPending") is True
    assert client.get(path, CONNECTOR, "FullResyncAccounts") == []
    assert [client.get(path, CONNECTOR, name) for name in ("FollowUp", "FollowUpRequestedBy")] == ["manual", "uid:0"]
    worker.finish(1, outcome="failed", error="later", retry=True)
    worker.exit()
    worker = daemon.worker()  # the full resync's
    worker.attach()
    assert client.get(path, CONNECTOR, "FullResyncPending") is False
    worker.finish(1, outcome="failed", error="later", retry=True)
    worker.exit()
    wait_for(lambda: client.get(path, CONNECTOR, "NextElapseUSec") > 0, "the retry")
    properties = client.get_all(path, CONNECTOR)
    assert properties["RetryAttempt"] == 2 and properties["Retrying"] is True
    assert properties["FullResyncPending"] is True  # it did not end well
    assert properties["NextElapseUSec"] == properties["RetryUSec"]


def test_full_resync_of_some_accounts_is_owed(daemon, client):
    path = connector_path("bank")
    result = client.start("bank", full_resync=True, accounts=["visa", "giro"])[3]
    assert result == {"full_resync": True, "follow_up_pending": False, "full_resync_pending": False, "full_resync_owed": False}
    worker = daemon.worker()
    worker.attach()
    worker.finish(1, outcome="failed", error="no", attention="data_error")
    worker.exit()
    wait_for(lambda: client.get(path, CONNECTOR, "FullResyncPending"), "the debt")
    assert client.get(path, CONNECTOR, "FullResyncAccounts") == ["visa", "giro"]
    wait_for(lambda: client.get(path, CONNECTOR, "AttentionAccounts") == ["visa", "giro"], "the accounts in need")
    result = client.start("bank")[3]
    assert result == {"full_resync": False, "follow_up_pending": False, "full_resync_pending": False, "full_resync_owed": True}
    described = client.describe("DescribeConnectors", name="bank")["connectors"][0]
    assert described["full_resync_pending"] is True and described["full_resync_accounts"] == ["visa", "giro"]
    assert described["follow_up"] == {"trigger": "retry", "full_resync": True, "accounts": ["visa", "giro"], "requested_by": None,
                                      "reason": "The full resync has not ended well yet"}
    worker = daemon.worker()
    worker.attach()
    worker.finish(1, outcome="succeeded")
    worker.exit()
    worker = daemon.worker()
    assert worker.attach()[2] is True
    worker.finish(1, outcome="succeeded")
    worker.exit()
    wait_for(lambda: client.get(path, CONNECTOR, "FullResyncPending") is False, "its payment")
    assert client.describe("DescribeConnectors", name="bank")["connectors"][0]["follow_up"] is None


def test_set_active(daemon, client):
    path = connector_path("bank")
    changes = client.property_changes(path, CONNECTOR)
    client.call(path, CONNECTOR, "SetActive", "(b)", False)
    assert client.get(path, CONNECTOR, "Active") is False
    wait_for(lambda: {"Active": False}.items() <= (changes[-1] if changes else {}).items(), "the change")
    with pytest.raises(CallError) as caught:
        client.call(path, CONNECTOR, "Start", "(a{sv})", {})
    assert caught.value.name == "ConnectorInactive"
    daemon.restart()
    assert client.get(path, CONNECTOR, "Active") is False
    client.call(path, CONNECTOR, "SetActive", "(b)", True)
    client.call(path, CONNECTOR, "Start", "(a{sv})", {})
    daemon.worker().exit()


def test_connector_start_and_describe(daemon, client):
    path = connector_path("bank")
    run, run_object, already_active, _ = client.call(path, CONNECTOR, "Start", "(a{sv})", {})
    assert (run_object, already_active) == (run_path(run), False)
    description = json.loads(client.call(path, CONNECTOR, "Describe"))
    assert description["name"] == "bank"
    assert description["active_run"]["id"] == run
    daemon.worker().exit()


@pytest.mark.parametrize("name", ["nothing", "_", "bank/worker"])
def test_no_such_object(daemon, client, name):
    with pytest.raises(CallError) as caught:
        client.call(f"{PATH}/connector/{name}", CONNECTOR, "Describe")
    assert caught.value.full_name == "org.freedesktop.DBus.Error.UnknownObject"


# ---- Runs


def test_run_properties_follow_its_life(daemon, client):
    run, path, *_ = client.start("bank")
    changes = client.property_changes(path, RUN)
    worker = daemon.worker()
    worker.attach()
    wait_for(lambda: client.get(path, RUN, "State") == "running", "running")
    properties = client.get_all(path, RUN)
    assert properties["Outcome"] == ""
    assert properties["Progress"] == -1
    assert properties["ItemsProcessed"] == properties["ItemsTotal"] == UNKNOWN
    assert properties["CPUUsageUSec"] == properties["MemoryPeakBytes"] == UNKNOWN
    assert properties["FinishedUSec"] == 0
    assert properties["StartedUSec"] >= properties["CreatedUSec"]
    worker.report(1, stage="processing", processed=21, total=42, discovered=21, added=20, updated=1, deduped=0,
                  message="half")
    wait_for(lambda: any(change.get("Stage") == "processing" for change in changes), "the stage")
    properties = client.get_all(path, RUN)
    assert (properties["ItemsProcessed"], properties["ItemsTotal"], properties["Progress"]) == (21, 42, 0.5)
    assert [properties[key] for key in ("Discovered", "Added", "Updated", "Deduped")] == [21, 20, 1, 0]
    assert properties["Message"] == "half"
    worker.finish(2, outcome="failed", error="it broke", cpu_usec=5, memory_peak_bytes=6)
    worker.exit()
    wait_for(lambda: any(change.get("State") == "finished" for change in changes), "the end")
    properties = client.get_all(path, RUN)
    assert (properties["Outcome"], properties["Error"]) == ("failed", "it broke")
    assert properties["FinishedUSec"] >= properties["StartedUSec"]
    assert properties["MemoryPeakBytes"] == 6
    merged = {key: value for change in changes for key, value in change.items()}
    assert client.get_all(path, RUN).items() >= merged.items()
    assert not {"Id", "Connector", "CreatedUSec", "Trigger"} & merged.keys()


def test_run_describe_has_accounts(daemon, client):
    _, path, *_ = client.start("bank")
    worker = daemon.worker()
    worker.attach()
    worker.report(1, accounts=[{"account": "checking", "status": "success", "added": 3, "updated": 0, "deduped": 1,
                                "discovered": 4}])
    account = json.loads(client.call(path, RUN, "Describe"))["accounts"][0]
    assert (account["account"], account["status"], account["counts"]["added"]) == ("checking", "success", 3)
    worker.finish(2, outcome="succeeded")
    worker.exit()


def test_run_accounts_are_read_by_name_and_told_to_have_changed(daemon, client):
    _, path, *_ = client.start("bank")
    signals = client.signals("org.freedesktop.DBus.Properties", "PropertiesChanged", path)
    worker = daemon.worker()
    worker.attach()
    assert client.get(path, RUN, "Accounts") == []
    worker.report(1, accounts=[{"account": "checking", "status": "failed", "added": 3, "updated": 0, "deduped": 1,
                                "discovered": 4, "error": "HTTP 403", "category": "connection_lost"}])
    assert client.get(path, RUN, "Accounts") == [("checking", "failed", 4, 3, 0, 1, "connection_lost", "HTTP 403")]
    wait_for(lambda: any("Accounts" in invalid for *_, (_, _, invalid) in signals), "the news")
    assert "Accounts" not in client.get_all(path, RUN)
    worker.finish(2, outcome="partial", metadata={"bad_lines": 0})
    worker.exit()
    wait_for(lambda: client.get(path, RUN, "State") == "finished", "the end")
    assert client.get_all(path, RUN)["Metadata"] == '{"bad_lines":0}'
    assert client.get(path, RUN, "Accounts")[0][0] == "checking"


def test_run_cancel(daemon, client):
    _, path, *_ = client.start("bank")
    worker = daemon.worker()  # lives for as long as somebody has it
    worker.attach()
    client.call(path, RUN, "Cancel")
    wait_for(lambda: client.get(path, RUN, "State") == "finished", "the end")
    assert client.get(path, RUN, "Outcome") == "cancelled"


# ---- Connections


def test_connection_follows_its_connectors(daemon, client):
    for name in ("bank", "mail"):
        daemon.add(name, Connection="shared")
    client.manager("Reload")
    path = path_of("connection", "shared")
    changes = client.property_changes(path, CONNECTION)
    assert client.get_all(path, CONNECTION) == {
        "Name": "shared", "Description": "", "Provider": "", "UserId": "", "LoadState": "", "LoadError": "",
        "Accounts": [], "State": "active", "Reason": "", "Advice": "", "SinceUSec": 0, "RunId": "",
        "ConsentExpiresUSec": 0, "HasProgram": False, "Reconnecting": False, "ReconnectResult": "",
        "ReconnectMessage": "", "Connectors": ["bank", "mail"]}
    run_to_end(daemon, client, "bank", outcome="failed", error="gone", attention="connection_lost",
               attention_message="gone")
    wait_for(lambda: any(change.get("State") == "lost" for change in changes), "the loss")
    properties = client.get_all(path, CONNECTION)
    assert (properties["State"], properties["Reason"]) == ("lost", "gone")
    assert properties["SinceUSec"] > 0
    run_to_end(daemon, client, "mail", outcome="failed", error="no", attention="consent_withdrawn",
               attention_message="no")
    wait_for(lambda: any(change.get("State") == "withdrawn" for change in changes), "the withdrawal")
    described = client.describe("DescribeConnections")["connections"]
    assert [(entry["name"], entry["state"], entry["connectors"]) for entry in described] == [
        ("shared", "withdrawn", ["bank", "mail"])]
    assert json.loads(client.call(path, CONNECTION, "Describe")) == described[0]
    assert client.describe("DescribeConnections", provider="test")["connections"] == described
    assert client.describe("DescribeConnections", provider="other")["connections"] == []


def test_reconnect_runs_what_waits_for_it(daemon, client):
    """A12: the affected syncs, and no others."""
    for name in ("bank", "mail", "books"):
        daemon.add(name, Connection="shared")
    client.manager("Reload")
    run_to_end(daemon, client, "bank", outcome="failed", error="gone", attention="connection_lost")
    run_to_end(daemon, client, "mail", outcome="failed", error="bad", attention="data_error")
    new = client.signals(MANAGER, "RunNew")
    begun = client.call(path_of("connection", "shared"), CONNECTION, "Reconnect")
    worker = daemon.worker()
    assert worker.name == "bank"
    run = worker.attach()[0]
    assert begun == ([("bank", run, run_path(run), False)], False)
    assert client.get(run_path(run), RUN, "Trigger") == "reconnect"
    worker.finish(1, outcome="succeeded")
    worker.exit()
    assert client.get(path_of("connection", "shared"), CONNECTION, "State") == "active"
    wait_for(lambda: client.get(path_of("connector", "bank"), CONNECTOR, "AttentionCategory") == "", "the recovery")
    assert client.manager("ReconnectConnection", "(sa{sv})", "shared", {}) == ([], False)
    assert [arguments[0] for _, _, arguments in new] == [run]


def test_reconnect_of_no_connection(daemon, client):
    with pytest.raises(CallError) as caught:
        client.call(path_of("connection", "nothing"), CONNECTION, "Reconnect")
    assert caught.value.full_name == "org.freedesktop.DBus.Error.UnknownObject"


# ---- All of them


def test_managed_objects(daemon, client):
    daemon.add("bank", Connection="shared")
    client.manager("Reload")
    run = client.start("bank")[0]
    objects = client.call(PATH, "org.freedesktop.DBus.ObjectManager", "GetManagedObjects")
    assert set(objects) >= {connector_path("bank"), connector_path("books"), connector_path("mail"), run_path(run),
                            path_of("connection", "shared")}
    assert objects[run_path(run)][RUN]["Connector"] == "bank"
    assert objects[connector_path("mail")][CONNECTOR]["Name"] == "mail"
    daemon.worker().exit()


def test_object_manager_of_gio_keeps_up(daemon, client):
    """A client library's own view, made by InterfacesAdded, InterfacesRemoved and PropertiesChanged alone."""
    manager = Gio.DBusObjectManagerClient.new_sync(client.bus, Gio.DBusObjectManagerClientFlags.NONE, NAME, PATH, None,
                                                   None, None)
    assert manager.get_object(connector_path("bank"))
    daemon.add("fourth", Connection="fresh")
    client.manager("Reload")
    wait_for(lambda: manager.get_object(connector_path("fourth")), "the new connector")
    wait_for(lambda: manager.get_object(path_of("connection", "fresh")), "the new connection")
    run = client.start("fourth")[0]
    wait_for(lambda: manager.get_object(run_path(run)), "the new run")
    proxy = manager.get_interface(connector_path("fourth"), CONNECTOR)
    wait_for(lambda: proxy.get_cached_property("ActiveRun").unpack() == run_path(run), "the property")
    worker = daemon.worker()
    worker.attach()
    worker.finish(1, outcome="succeeded")
    worker.exit()
    wait_for(lambda: proxy.get_cached_property("LastOutcome").unpack() == "succeeded", "the outcome")
    (daemon.connectors / "fourth.connector").unlink()
    client.manager("Reload")
    wait_for(lambda: manager.get_object(connector_path("fourth")) is None, "the end of the connector")
    wait_for(lambda: manager.get_object(path_of("connection", "fresh")) is None, "the end of the connection")


def test_connector_without_file_stays_until_its_run_ends(daemon, client):
    run = client.start("bank")[0]
    worker = daemon.worker()
    worker.attach()
    (daemon.connectors / "bank.connector").unlink()
    client.manager("Reload")
    assert client.get(connector_path("bank"), CONNECTOR, "ActiveRun") == run_path(run)
    removed = client.signals("org.freedesktop.DBus.ObjectManager", "InterfacesRemoved")
    worker.finish(1, outcome="succeeded")
    worker.exit()
    wait_for(lambda: any(arguments[0] == connector_path("bank") for _, _, arguments in removed), "its removal")
    assert client.get(run_path(run), RUN, "Outcome") == "succeeded"
