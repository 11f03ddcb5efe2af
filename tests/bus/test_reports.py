# SPDX-License-Identifier: LGPL-2.1-or-later
"""ReportEvent() and ReportEvents(): syncs that run elsewhere."""

import json

import pytest
from gi.repository import GLib
from harness import MANAGER, RUN, CallError, options, run_path, wait_for

USER = "7f9c0d5e-1111-4222-8333-444455556666"
METADATA_MAX = 16384
EVENTS_MAX = 1000  # REPORTED_EVENTS_MAX
BYTES_MAX = 4 * 1024 * 1024  # REPORTED_EVENTS_BYTES_MAX


def event(run_id="r1", stage="fetching", status="in_progress", **more):
    return {"run_id": run_id, "user_id": USER, "provider": "garmin", "source": "sdk", "stage": stage, "status": status,
            **more}


def report(client, *args, **values):
    client.manager("ReportEvent", "(a{sv})", options(**event(*args, **values)))


def report_all(client, events):
    client.manager("ReportEvents", "(s)", events if isinstance(events, str) else json.dumps(events))


def refusal(call, *args, **kwargs):
    with pytest.raises(CallError) as caught:
        call(*args, **kwargs)
    return caught.value


def stages(client, run_id):
    return [entry["event"]["stage"] for entry in client.describe("DescribeEvents", run=run_id)["events"]]


def test_unknown_run_id_begins_a_run_and_a_terminal_status_ends_it(daemon, client):
    new = client.signals(MANAGER, "RunNew")
    report(client, "garmin_webhook_01", stage="started", started_at="2026-05-30T20:00:00Z")
    wait_for(lambda: new, "the run")
    path = run_path("garmin_webhook_01")
    assert new[0][2] == ("garmin_webhook_01", path)
    properties = client.get_all(path, RUN)
    assert (properties["Id"], properties["Connector"], properties["UserId"]) == ("garmin_webhook_01", "", USER)
    assert (properties["Provider"], properties["Source"], properties["State"]) == ("garmin", "sdk", "running")
    assert properties["RequestedBy"] == "uid:0"
    assert properties["Trigger"] == "remote"
    report(client, "garmin_webhook_01", progress=0.5, items_processed=21, items_total=42, message="half",
           metadata='{"device":"watch"}')
    assert client.get(path, RUN, "Progress") == 0.5
    assert client.get(path, RUN, "ItemsProcessed") == 21
    report(client, "garmin_webhook_01", "completed", "success", ended_at="2026-05-30T20:00:10Z")
    assert client.get(path, RUN, "State") == "finished"
    assert client.get(path, RUN, "Outcome") == "succeeded"
    assert stages(client, "garmin_webhook_01") == ["started", "fetching", "completed"]
    told = client.describe("DescribeEvents", run="garmin_webhook_01")["events"][1]["event"]
    assert (told["message"], told["progress"], told["metadata"]["device"]) == ("half", 0.5, "watch")


def test_events_after_the_end_are_refused(daemon, client):
    report(client, "r1", "failed", "failed", error="no")
    assert refusal(report, client, "r1").name == "EventAfterEnd"
    daemon.restart()
    assert refusal(report, client, "r1").name == "EventAfterEnd"
    assert stages(client, "r1") == ["failed"]


def test_run_goes_on_after_a_restart(daemon, client):
    report(client, "r1")
    daemon.kill9()
    daemon.start()
    report(client, "r1", "completed", "partial")
    assert client.get(run_path("r1"), RUN, "Outcome") == "partial"


def test_cancel_is_not_ours(daemon, client):
    report(client, "r1")
    error = refusal(client.manager, "CancelRun", "(s)", "r1")
    assert error.name == "NotSupported"
    assert "elsewhere" in error.message and "SilenceTimeoutSec=" in error.message


@pytest.mark.parametrize("change, field", [
    ({"stage": "dancing"}, "stage"),
    ({"status": "great"}, "status"),
    ({"source": "moon"}, "source"),
    ({"user_id": "me"}, "user_id"),
    ({"provider": "No Slug"}, "provider"),
    ({"run_id": ""}, "run_id"),
    ({"progress": 1.5}, "progress"),
    ({"started_at": "yesterday"}, 'started_at: "yesterday"'),
    ({"started_at": "9999-12-31T23:59:59Z"}, 'started_at: "9999-12-31T23:59:59Z" is more than 5min ahead'),
    ({"ended_at": "9999-12-31T23:59:59Z"}, "ended_at: "),
    ({"metadata": "[1]"}, "metadata"),
    ({"metadata": "{"}, "metadata"),
    ({"stage": "completed", "status": "failed"}, "status"),
    ({"colour": "red"}, "colour"),
    ({"progress": "0.5"}, "progress"),
    ({"items_total": GLib.Variant("x", -1)}, "items_total"),
])
def test_wrong_fields_are_named(daemon, client, change, field):
    error = refusal(client.manager, "ReportEvent", "(a{sv})", options(**{**event(), **change}))
    assert error.name == "InvalidArgument"
    assert field in error.message
    assert client.describe("DescribeRuns")["runs"] == []


@pytest.mark.parametrize("missing", ["run_id", "user_id", "provider", "source", "stage", "status"])
def test_missing_fields_are_named(daemon, client, missing):
    values = event()
    del values[missing]
    error = refusal(client.manager, "ReportEvent", "(a{sv})", options(**values))
    assert error.name == "InvalidArgument"
    assert missing in error.message


@pytest.mark.parametrize("change, allowed", [
    ({"run_id": "r" * 128}, True),
    ({"run_id": "r" * 129}, False),
    ({"metadata": json.dumps({"x": "y" * (METADATA_MAX - 8)}, separators=(",", ":"))}, True),
    ({"metadata": json.dumps({"x": "y" * (METADATA_MAX - 7)}, separators=(",", ":"))}, False),
])
def test_limits_of_an_event(daemon, client, change, allowed):
    if allowed:
        report(client, **change)
    else:
        assert refusal(report, client, **change).name == "LimitExceeded"


def test_many_events_are_recorded_all_or_none(daemon, client):
    report_all(client, [event("r1", stage="started"), event("r1"), event("r2"), event("r1", "completed", "success")])
    assert stages(client, "r1") == ["started", "fetching", "completed"]
    error = refusal(report_all, client, [event("r3"), event("r4", stage="dancing")])
    assert error.name == "InvalidArgument"
    assert "Event 1" in error.message
    assert refusal(report_all, client, [event("r5"), event("r1")]).name == "EventAfterEnd"
    assert {run["id"] for run in client.describe("DescribeRuns")["runs"]} == {"r1", "r2"}
    report_all(client, [])


@pytest.mark.parametrize("text", ["", "{", "{}", "null", "[1]"])
def test_what_is_no_array_of_events(daemon, client, text):
    assert refusal(report_all, client, text).name in ("InvalidMessage", "InvalidArgument")


@pytest.mark.parametrize("number, allowed", [(EVENTS_MAX, True), (EVENTS_MAX + 1, False)])
def test_limit_of_events_at_a_time(daemon, client, number, allowed):
    events = [event(f"r{i % 10}") for i in range(number)]
    if allowed:
        report_all(client, events)
        assert len(stages(client, "r1")) > 0
    else:
        assert refusal(report_all, client, events).name == "LimitExceeded"


@pytest.mark.parametrize("excess, allowed", [(0, True), (1, False)])
def test_limit_of_bytes_at_a_time(daemon, client, excess, allowed):
    text = json.dumps([event()])
    text += " " * (BYTES_MAX + excess - len(text))
    if allowed:
        report_all(client, text)
    else:
        assert refusal(report_all, client, text).name == "LimitExceeded"


def test_silence_is_a_failure(new_daemon, client):
    new_daemon.write("syncrun.conf", "[Reports]\nSilenceTimeoutSec=1s\n")
    new_daemon.start()
    report(client, "r1")
    wait_for(lambda: client.get(run_path("r1"), RUN, "State") == "finished", "the end")
    assert client.get(run_path("r1"), RUN, "Outcome") == "failed"
    assert client.get(run_path("r1"), RUN, "Error")
