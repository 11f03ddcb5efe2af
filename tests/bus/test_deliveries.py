# SPDX-License-Identifier: LGPL-2.1-or-later
"""Attempts to deliver something of a connector: what a worker tells of its own, and those of webhook endpoints."""

import json
import time
from datetime import datetime, timezone

import pytest
from harness import RUN, CallError, options, run_path, wait_for
from receiver import Receiver, answer
from webhooks import LOCAL, Webhooks, refusal

KEYS = ["id", "kind", "runId", "type", "url", "attemptedAt", "succeeded", "statusCode", "responseTimeMs", "retryCount", "records",
        "error", "response"]
KEPT = 200  # RECORD_ATTEMPTS_PER_CONNECTOR_MAX
REPORTED = 32  # DELIVERIES_REPORT_MAX

# Not a date by itself: what is old is deleted, whenever the daemon finds time for it.
BEGIN = int(time.time()) - 3600


def attempt(number, **more):
    return {"id": f"datt_{number}", "type": "records.synced", "url": "https://hooks.example.net", "succeeded": True,
            "http_status": 200, "started_usec": BEGIN * 1000000 + number, "duration_usec": 12345, "retry": 0, "records": 500,
            "error": None, "answer": "ok", **more}


def deliveries(client, connector="bank", **filter_):
    return json.loads(client.manager("DescribeDeliveries", "(a{sv})", options(connector=connector, **filter_)))["deliveries"]


@pytest.fixture
def worker(daemon, client):
    client.start("bank")
    made = daemon.worker()
    made.attach()
    yield made
    made.exit()


def tell(worker, sequence, attempts):
    worker.call("ReportDeliveries", "(sts)", worker.run, sequence, json.dumps(attempts))


def test_records(worker, client):
    failed = attempt(2, succeeded=False, http_status=0, retry=1, records=3, error="Connection refused", answer=None)
    tell(worker, 1, [attempt(1), failed])
    tell(worker, 1, [attempt(9)])  # a call that was recorded already
    newest, oldest = deliveries(client)
    attempted_at = datetime.fromtimestamp(BEGIN, timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.000002Z")
    assert list(newest) == KEYS
    assert newest == {
        "id": "datt_2", "kind": "records", "runId": worker.run, "type": "records.synced", "url": "https://hooks.example.net",
        "attemptedAt": attempted_at, "succeeded": False, "statusCode": None, "responseTimeMs": 12,
        "retryCount": 1, "records": 3, "error": "Connection refused", "response": None}
    assert (oldest["id"], oldest["statusCode"], oldest["response"]) == ("datt_1", 200, "ok")
    assert deliveries(client, "mail") == []


def test_what_a_dead_worker_had_noted(daemon, client):
    """The next one tells it, of the run that it was of; what is known already is not there twice."""
    client.start("bank")
    dead = daemon.worker()
    dead.attach()
    tell(dead, 1, [attempt(1)])
    run = dead.run
    dead.exit()
    wait_for(lambda: client.get(run_path(run), "org.syncrun1.Run", "State") == "finished", "the end of the run")
    client.start("bank")
    following = daemon.worker()
    following.attach()
    for _ in range(2):
        following.call("ReportDeliveries", "(sts)", run, 0, json.dumps([attempt(1), attempt(2)]))
    assert [(entry["id"], entry["runId"]) for entry in deliveries(client)] == [("datt_2", run), ("datt_1", run)]
    error = refusal(following.call, "ReportDeliveries", "(sts)", "no-such-run", 0, json.dumps([attempt(3)]))
    assert error.name == "NoSuchRun"
    following.exit()


def test_the_newest_are_kept(worker, client):
    attempts = [attempt(number) for number in range(1, KEPT + 3)]
    for sequence, start in enumerate(range(0, len(attempts), REPORTED), 1):
        tell(worker, sequence, attempts[start:start + REPORTED])
    assert len(deliveries(client)) == 50
    listed = deliveries(client, limit=KEPT)
    assert [entry["id"] for entry in listed] == [f"datt_{number}" for number in range(KEPT + 2, 2, -1)]
    for limit in (0, KEPT + 1):
        assert refusal(deliveries, client, limit=limit).name == "InvalidArgument"
    assert refusal(deliveries, client, "nobody").name == "NoSuchConnector"
    error = refusal(client.manager, "DescribeDeliveries", "(a{sv})", options())
    assert error.name == "InvalidArgument" and "connector: whose" in error.message


@pytest.mark.parametrize("wrong, name", [
    ({}, "InvalidMessage"), ([1], "InvalidMessage"), ([attempt(1, succeeded="yes")], "InvalidMessage"),
    ([attempt(1, http_status=1000)], "InvalidMessage"), ([attempt(1, records=-1)], "InvalidMessage"),
    ([{**attempt(1), "id": "x" * 65}], "LimitExceeded"), ([attempt(n) for n in range(REPORTED + 1)], "LimitExceeded")])
def test_what_is_refused(worker, client, wrong, name):
    with pytest.raises(CallError) as caught:
        tell(worker, 1, wrong)
    assert caught.value.name == name
    assert deliveries(client) == []


def test_long_texts_are_cut(worker, client):
    tell(worker, 1, [attempt(1, error="e" * 5000, answer="é" * 5000)])
    (listed,) = deliveries(client)
    assert listed["error"].startswith("eee") and len(listed["error"].encode()) <= 1024
    assert listed["response"].startswith("ééé") and len(listed["response"].encode()) <= 1024


# ---- Both kinds, and once more


@pytest.fixture
def hooks(daemon, client):
    daemon.write("syncrun.conf", LOCAL.format(retry="1h", more=""))
    client.manager("Reload", "()")
    return Webhooks(client)


@pytest.fixture
def receiver():
    made = Receiver(script=[answer(500, b"not now")])
    yield made
    made.close()


def test_both_kinds(daemon, client, hooks, receiver):
    """News of a connector's runs, with the worker's own; the path of a URL is nobody's business."""
    hooks.add(receiver.url(path="/secret/path"), types=["sync.started"])
    client.start("bank")
    worker = daemon.worker()
    worker.attach()
    hooks.wait_attempts(1)
    tell(worker, 1, [attempt(1)])
    lifecycle, records = deliveries(client)
    assert [lifecycle["kind"], records["kind"]] == ["lifecycle", "records"]
    assert list(lifecycle) == KEYS
    assert (lifecycle["runId"], lifecycle["type"], lifecycle["url"]) == (worker.run, "sync.started", receiver.url(path=""))
    assert (lifecycle["succeeded"], lifecycle["statusCode"], lifecycle["retryCount"]) == (False, 500, 0)
    assert (lifecycle["records"], lifecycle["error"], lifecycle["response"]) == (None, "HTTP status 500.", None)
    assert hooks.attempts()[0]["response"] == "not now"  # for those who may manage webhooks

    client.manager("ResendDelivery", "(ssa{sv})", "bank", lifecycle["id"], options())
    hooks.wait_attempts(2)
    assert [request.body for request in receiver.requests] == [receiver.requests[0].body] * 2
    assert [entry["statusCode"] for entry in deliveries(client) if entry["kind"] == "lifecycle"] == [200, 500]
    assert refusal(client.manager, "ResendDelivery", "(ssa{sv})", "mail", lifecycle["id"], options()).name == "NoSuchMessage"
    worker.exit()


def test_records_once_more(daemon, client):
    """A run is started for what was not taken; what was taken is not sent again."""
    client.start("bank")
    worker = daemon.worker()
    worker.attach()
    tell(worker, 1, [attempt(1), attempt(2, succeeded=False, http_status=500)])
    assert refusal(client.manager, "ResendDelivery", "(ssa{sv})", "bank", "datt_1", options()).name == "AlreadyExists"
    assert refusal(client.manager, "ResendDelivery", "(ssa{sv})", "bank", "datt_3", options()).name == "NoSuchMessage"
    assert refusal(client.manager, "ResendDelivery", "(ssa{sv})", "none", "datt_2", options()).name == "NoSuchConnector"
    worker.finish(2, outcome="failed")
    worker.exit()
    wait_for(lambda: client.get(run_path(worker.run), "org.syncrun1.Run", "State") == "finished", "the end")
    client.manager("ResendDelivery", "(ssa{sv})", "bank", "datt_2", options())
    again = daemon.worker()
    again.attach()
    (run,) = client.describe("DescribeRuns", id=again.run)["runs"]
    assert (run["trigger"], run["reason"]) == ("manual", "a delivery is sent again")
    again.exit()


def test_records_once_more_beside_a_run(daemon, client):
    """One whose worker has not begun takes them along; one that has may have given up on them: another follows."""
    client.start("bank")
    worker = daemon.worker()
    worker.attach()
    tell(worker, 1, [attempt(1, succeeded=False, http_status=500)])
    worker.finish(2, outcome="failed")
    worker.exit()
    wait_for(lambda: client.get(run_path(worker.run), RUN, "State") == "finished", "the end")

    def follow_up():
        return client.describe("DescribeConnectors", name="bank")["connectors"][0]["follow_up"]

    run = client.start("bank")[0]
    client.manager("ResendDelivery", "(ssa{sv})", "bank", "datt_1", options())
    assert follow_up() is None and destination(client)["followUp"] is None
    worker = daemon.worker()
    worker.attach()
    assert worker.run == run
    for _ in range(2):
        client.manager("ResendDelivery", "(ssa{sv})", "bank", "datt_1", options())
    assert (follow_up()["trigger"], follow_up()["reason"]) == ("manual", "a delivery is sent again")
    assert destination(client)["followUp"] == "manual"
    worker.finish(1, outcome="failed")
    worker.exit()
    again = daemon.worker()
    again.attach()
    (described,) = client.describe("DescribeRuns", id=again.run)["runs"]
    assert again.run != run and described["reason"] == "a delivery is sent again"
    assert follow_up() is None  # both were one wish
    again.finish(1, outcome="succeeded")
    again.exit()


# ---- A destination that takes nothing


HOOK = """[Run]
RetryMax=2
RetrySec=1h
NotifyAfter=2
[Pipeline]
ExecPull=/bin/true
[Destination]
Type=webhook
Url=https://hooks.example.net/secret/path
DisableAfter=3
"""


def run_once(daemon, client, **report):
    client.start("bank")
    worker = daemon.worker()
    options_ = worker.attach()[5]
    worker.finish(1, **report)
    worker.exit()
    wait_for(lambda: client.get(run_path(worker.run), "org.syncrun1.Run", "State") == "finished", "the end")
    (run,) = client.describe("DescribeRuns", id=worker.run)["runs"]
    return run, options_


def destination(client):
    return json.loads(client.manager("DescribeConnectors", "(a{sv})", options(view="redbark", name="bank")))["connector"]


def test_switched_off_after_so_many_failures(daemon, client):
    daemon.add("bank", HOOK)
    daemon.write("syncrun.conf", "[Webhooks]\nAllowHTTP=yes\nAllowPrivateAddresses=10.1.2.3/8 fd00::/8\n"
                 "TimeoutSec=3s\nCertificateAuthorityFile=/srv/ca.pem\n")
    client.manager("Reload")
    failed = {"outcome": "failed", "error": "It did not take it.", "retry": True, "destination_failed": True}
    run, given = run_once(daemon, client, **failed)
    assert given == {"webhook_allow_http": True, "webhook_allow_literals": False, "webhook_private_networks": "10.0.0.0/8 fd00::/8",
                     "webhook_timeout_usec": 3000000, "webhook_ca_file": "/srv/ca.pem"}
    shown = destination(client)
    assert shown["destination"] == {"type": "webhook", "target": "https://hooks.example.net", "state": "failing", "failures": 1}
    assert shown["active"] and shown["attention"] is None
    # One that fails for another reason neither counts nor ends the row; one that delivers ends it.
    run_once(daemon, client, outcome="failed", error="The provider is away.")
    assert destination(client)["destination"]["failures"] == 1
    run_once(daemon, client, outcome="succeeded")
    assert destination(client)["destination"]["state"] == "active"

    run_once(daemon, client, **failed)
    run_once(daemon, client, **failed)
    daemon.restart()
    client.wait_name("org.syncrun1")
    shown = destination(client)
    assert shown["active"] and shown["attention"]["category"] == "configuration_error"
    assert shown["attention"]["message"] == "Failed 2 times in a row: It did not take it."
    run, _ = run_once(daemon, client, **failed)
    assert run["error"].startswith("It did not take it. The connector was switched off after 3 runs in a row")
    shown = destination(client)
    assert (shown["status"], shown["active"], shown["destination"]["state"]) == ("Needs attention", False, "disabled")
    assert (shown["attention"]["category"], shown["attention"]["runId"]) == ("configuration_error", run["id"])
    assert shown["nextRunAt"] is None
    assert refusal(client.start, "bank").name == "ConnectorInactive"

    client.call("/org/syncrun1/connector/bank", "org.syncrun1.Connector", "SetActive", "(b)", True)
    assert destination(client)["destination"] == {**shown["destination"], "state": "active", "failures": 0}
    run, _ = run_once(daemon, client, **{**failed, "attention": "destination_deleted", "retry": False})
    assert destination(client)["active"] and destination(client)["attention"]["category"] == "destination_deleted"
