# SPDX-License-Identifier: LGPL-2.1-or-later
"""Text with Unicode noncharacters, which JSON may have and sd-bus refuses, comes in wherever text does: nothing that
anybody says may make a run, an object or the history unreadable."""

import contextlib
import json
import os
import sqlite3

import pytest
from harness import CONNECTOR, MANAGER, PATH, RUN, CallError, Daemon, connector_path, options, run_path, wait_for

USER = "7f9c0d5e-1111-4222-8333-444455556666"
LAST = "\uffff"
MENDED = "\ufffd"


@pytest.fixture
def real(bus, tmp_path):
    instance = Daemon(bus, tmp_path, worker=os.environ["SYNCRUN_WORKER_PROGRAM"])
    yield instance
    instance.close()


def managed(client):
    return client.call(PATH, "org.freedesktop.DBus.ObjectManager", "GetManagedObjects")


def tell(client, run_id, **more):
    client.manager("ReportEvent", "(a{sv})", options(run_id=run_id, user_id=USER, provider="garmin", source="sdk",
                                                     stage="fetching", status="in_progress", **more))


def finished(client, name):
    run = client.start(name)[0]
    wait_for(lambda: client.get(run_path(run), RUN, "State") == "finished", "the end")
    return client.get_all(run_path(run), RUN) | {"Accounts": client.get(run_path(run), RUN, "Accounts")}


@pytest.mark.parametrize("ascii_only", [True, False], ids=["escaped", "raw"])
def test_a_connector_may_say_them_anywhere(real, client, tmp_path, ascii_only):
    seen = tmp_path / "seen"
    lines = [{"type": "RECORD", "stream": f"s{LAST}", "record": {"id": 1, "text": LAST}, "account": f"a{LAST}"},
             {"type": "PROGRESS", "message": f"half{LAST}"},
             {"type": "ATTENTION", "category": "configuration_error", "message": f"late{LAST}"},
             {"type": "STATE", "value": {"since": f"z{LAST}\U0010ffff"}}]
    (tmp_path / "lines").write_text("".join(json.dumps(line, ensure_ascii=ascii_only) + "\n" for line in lines))
    (tmp_path / "program").write_text(f"#!/bin/sh\ncat \"$SYNCRUN_STATE\" >>{seen}; echo >>{seen}\ncat {tmp_path}/lines\n")
    (tmp_path / "program").chmod(0o700)
    real.add("last", f"[Pipeline]\nExecPull={tmp_path}/program\n")
    real.start()
    for _ in range(2):
        run = finished(client, "last")
        assert (run["Outcome"], run["Discovered"]) == ("partial", 1), run["Error"]
        attention = client.get(connector_path("last"), CONNECTOR, "AttentionMessage")
        assert attention == f"late{MENDED}"
        assert [account[0] for account in run["Accounts"]] == [f"a{MENDED}"]
    assert [json.loads(line) for line in seen.read_text().splitlines()] == [{}, {"since": f"z{LAST}\U0010ffff"}]
    assert "(null)" not in real.log()


def test_a_line_of_a_connector_file_is_refused_by_name(daemon, client):
    daemon.write("connectors/desc.connector",
                 f"[Connector]\nDescription=caf{LAST}\nProvider=x\n[Pipeline]\nExecPull=/bin/true\n")
    client.manager("Reload")
    assert "desc.connector:2: The line is not in UTF-8, or has a Unicode noncharacter" in daemon.log()
    assert client.get(connector_path("desc"), CONNECTOR, "Description") == ""
    assert client.get_all(connector_path("desc"), CONNECTOR)["Provider"] == "x"
    assert connector_path("desc") in managed(client)


def test_a_report_with_escapes(daemon, client):
    new = client.signals(MANAGER, "RunNew")
    committed = client.signals(MANAGER, "EventsCommitted")
    tell(client, "z1", metadata='{"a\\ufffe":"\\uffff\\udbff\\udfff"}')
    client.manager("ReportEvents", "(s)", json.dumps([{
            "run_id": "z1", "user_id": USER, "provider": "garmin", "source": "sdk", "stage": "fetching",
            "status": "in_progress", "message": f"m{LAST}"}]))
    wait_for(lambda: new and len(committed) > 1, "the signals")
    assert json.loads(managed(client)[run_path("z1")][RUN]["Metadata"]) == {"a\ufffe": "\uffff\U0010ffff"}
    assert client.get(run_path("z1"), RUN, "Message") == f"m{MENDED}"
    for _ in range(2):
        assert client.describe("DescribeRuns", id="z1")["runs"][0]["metadata"]["a\ufffe"] == "\uffff\U0010ffff"
        events = client.describe("DescribeEvents", run="z1")["events"]
        assert events[0]["event"]["metadata"]["a\ufffe"] == "\uffff\U0010ffff"
        daemon.restart()


def test_a_history_that_has_them_is_readable(daemon, client):
    """As versions wrote it that took them for text like any other."""
    tell(client, "old", metadata='{"a":"MARK"}', message="MARK", error="MARK")
    daemon.stop()
    with contextlib.closing(sqlite3.connect(daemon.state / "history.db")) as db, db:
        for table, column in (("runs", "metadata"), ("runs", "message"), ("runs", "error"), ("events", "json")):
            changed = db.execute(f"UPDATE {table} SET {column} = replace({column}, 'MARK', ?)", (LAST,)).rowcount
            assert changed > 0
    daemon.start()
    properties = managed(client)[run_path("old")][RUN]
    assert (json.loads(properties["Metadata"]), properties["Message"]) == ({"a": MENDED}, MENDED)
    assert client.describe("DescribeRuns", id="old")["runs"][0]["metadata"] == {"a": LAST}
    assert client.describe("DescribeEvents", run="old")["events"][0]["event"]["message"] == LAST
    listed = client.manager("ListEvents", "(a{sv})", {})
    assert MENDED in str(listed)


def test_words_of_a_caller_are_refused_where_they_stand(daemon, client):
    with pytest.raises(CallError) as caught:
        tell(client, "z2", metadata='{"a":"\\uffff"')
    assert "metadata" in caught.value.message
