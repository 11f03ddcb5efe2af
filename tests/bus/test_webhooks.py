# SPDX-License-Identifier: LGPL-2.1-or-later
"""Lifecycle webhooks: what is sent, to whom, and what happens when nobody takes it."""

import json
import threading
import time
from datetime import datetime

import pytest
from harness import TIMEOUT_SEC, wait_for
from receiver import answer, drip, hang, pour, pour_headers, reset
from webhooks import LOCAL, OTHER, USER, refusal, report

# ---- What is sent

def test_a_connectors_run(begin, receivers, new_daemon, client):
    receiver = receivers()
    webhooks = begin()
    secret = webhooks.secret(webhooks.add(receiver.url()))
    run, *_ = client.start("bank")
    worker = new_daemon.worker()
    worker.attach()
    worker.finish(1, outcome="succeeded", discovered=3, added=2, updated=1, deduped=0)
    worker.exit()
    webhooks.wait_attempts(2)
    assert receiver.types == ["sync.started", "sync.completed"]
    started, completed = receiver.requests
    for request in receiver.requests:
        assert request.path == "/hook"
        assert request.headers["content-type"] == "application/json"
        assert request.headers["user-agent"].startswith("syncrun/")
        assert request.is_signed_by(secret)
        assert not request.is_signed_by("whsec_" + "A" * 32)
        for name in ("id", "timestamp", "signature"):
            assert request.headers[f"svix-{name}"] == request.headers[f"webhook-{name}"]
        assert request.id.startswith("msg_") and "." not in request.id
        assert abs(request.timestamp - time.time()) < 60
    assert started.id != completed.id
    data = completed.message["data"]
    assert (data["run_id"], data["user_id"], data["connector"], data["status"]) == (run, USER, "bank", "success")
    assert (data["discovered"], data["inserted"], data["updated"]) == (3, 2, 1)
    # The message is the one that the history has.
    assert {m["id"]: m["payload"] for m in webhooks.messages()} == {r.id: r.message for r in receiver.requests}


def test_every_end_and_attention(begin, receivers, new_daemon, client):
    receiver = receivers()
    webhooks = begin()
    webhooks.add(receiver.url())
    for run, stage in (("r1", "completed"), ("r2", "failed"), ("r3", "cancelled")):
        report(client, run, "started")
        report(client, run, "fetching")
        report(client, run, stage, **({"error": "no money"} if stage == "failed" else {}))
    runs = ["r1", "r2", "r3"]
    for outcome, more in (("failed", {"attention": "consent_expired", "error": "too old"}), ("succeeded", {})):
        runs.append(client.start("bank")[0])
        worker = new_daemon.worker()
        worker.attach()
        worker.finish(1, outcome=outcome, **more)
        worker.exit()
        wait_for(lambda: not client.describe("DescribeRuns", active=True)["runs"], "the end of the run")
    webhooks.wait_attempts(12)
    by_run = {}
    for request in receiver.requests:
        by_run.setdefault(request.message["data"]["run_id"], []).append(request.message)
    assert sorted(by_run) == sorted(runs)
    assert [[m["type"] for m in by_run[run]] for run in runs] == [
        ["sync.started", "sync.completed"], ["sync.started", "sync.failed"], ["sync.started", "sync.cancelled"],
        ["sync.started", "sync.failed", "sync.needs_attention"], ["sync.started", "sync.completed", "sync.recovered"]]
    assert by_run["r2"][1]["data"]["error"] == "no money"
    attention = by_run[runs[3]][2]["data"]
    assert (attention["category"], attention["message"], attention["connector"]) == ("consent_expired", "too old", "bank")


def test_who_is_told(begin, receivers, client):
    everybody, failures, of_user, nobody = (receivers() for _ in range(4))
    webhooks = begin()
    webhooks.add(everybody.url())
    webhooks.add(failures.url(), types=["sync.failed"])
    webhooks.add(of_user.url(), user=USER.upper())
    webhooks.add(nobody.url(), disabled=True)
    report(client, "r1", "failed")
    report(client, "r2", "failed", user=OTHER)
    report(client, "r3", "completed")
    webhooks.wait_attempts(3 + 2 + 2)
    runs = {name: sorted(request.message["data"]["run_id"] for request in receiver.requests)
            for name, receiver in (("all", everybody), ("failures", failures), ("user", of_user), ("none", nobody))}
    assert runs == {"all": ["r1", "r2", "r3"], "failures": ["r1", "r2"], "user": ["r1", "r3"], "none": []}


def test_secrets_take_turns(begin, receivers, client):
    receiver = receivers()
    webhooks = begin()
    endpoint = webhooks.add(receiver.url())
    first = webhooks.secret(endpoint)
    second = webhooks.call("RotateWebhookSecret", endpoint)
    assert webhooks.secret(endpoint) == second != first
    webhooks.call("TestWebhook", endpoint)
    webhooks.wait_attempts(1)
    assert receiver.requests[0].is_signed_by(first) and receiver.requests[0].is_signed_by(second)
    third = webhooks.call("RotateWebhookSecret", endpoint, at_once=True)
    webhooks.call("TestWebhook", endpoint)
    webhooks.wait_attempts(2)
    assert receiver.requests[1].headers["webhook-signature"].count("v1,") == 1
    assert receiver.requests[1].is_signed_by(third)


# ---- What happens when it is not taken

def test_failures_are_tried_again(begin, receivers, client):
    receiver = receivers(reset, answer(500, b"broken \xff"), answer(302, Location="http://127.0.0.1:1/"), answer(201, b"fine"))
    webhooks = begin()
    endpoint = webhooks.add(receiver.url())
    message = webhooks.call("TestWebhook", endpoint)
    outcomes = webhooks.wait_attempts(4)
    assert outcomes == [(endpoint, message, False, 0), (endpoint, message, False, 500), (endpoint, message, False, 302),
                        (endpoint, message, True, 201)]
    assert receiver.ids == [message] * 4
    attempts = webhooks.attempts(endpoint=endpoint)[::-1]
    assert [a["status"] for a in attempts] == [2, 2, 2, 0]
    assert [a["response"] for a in attempts] == ["", "broken \ufffd", "", "fine"]
    assert [a["triggerType"] for a in attempts] == [0] * 4
    assert "redirects are not followed" in attempts[2]["statusText"]
    assert all(a["msgId"] == message and a["endpointId"] == endpoint and a["url"] == receiver.url() for a in attempts)
    assert webhooks.describe(endpoint)["failing_since"] is None
    assert webhooks.messages(endpoint=endpoint)[0]["status"] == 0


def test_timestamps_are_fresh_and_ids_stay(begin, receivers, client):
    receiver = receivers(answer(500))
    webhooks = begin(retry="1500ms")
    endpoint = webhooks.add(receiver.url())
    webhooks.call("TestWebhook", endpoint)
    webhooks.wait_attempts(2)
    one, other = receiver.requests
    assert one.id == other.id and one.body == other.body
    assert other.timestamp > one.timestamp
    assert other.is_signed_by(webhooks.secret(endpoint))


def test_the_schedule_comes_to_an_end(begin, receivers, new_daemon, client):
    receiver = receivers(then=answer(500))
    webhooks = begin(retry="10ms 10ms")
    endpoint = webhooks.add(receiver.url())
    webhooks.call("TestWebhook", endpoint)
    webhooks.wait_attempts(3)
    message = webhooks.messages(endpoint=endpoint)[0]
    assert (message["status"], message["statusText"], message["nextAttempt"]) == (2, "failed", None)
    assert webhooks.describe(endpoint)["failing_since"]
    wait_for(lambda: f"Message {message['id']} to webhook endpoint {endpoint} is given up: HTTP status 500" in new_daemon.log(),
             "the entry")
    # Once more, because somebody asks.
    webhooks.call("ResendWebhookMessage", endpoint, message["id"])
    webhooks.wait_attempts(4)
    assert webhooks.attempts()[0]["triggerType"] == 1
    # That it fails was told once, and that another was given up is not told within the hour; then that it works again.
    receiver.then = answer()
    webhooks.call("TestWebhook", endpoint)
    wait_for(lambda: f"Webhook endpoint {endpoint} works again" in new_daemon.log(), "the entry")
    log = new_daemon.log()
    assert log.count(f"Webhook endpoint {endpoint} has begun to fail: HTTP status 500") == 1
    assert log.count("is given up") == 1


@pytest.mark.parametrize("how, within, said", [
    (hang, "500ms", "timed out"), (drip, "500ms", "timed out"), (pour_headers, "1h", "too large")])
def test_what_does_not_answer(begin, receivers, client, how, within, said):
    receiver = receivers(how)
    webhooks = begin(retry="", more=f"TimeoutSec={within}")
    endpoint = webhooks.add(receiver.url())
    webhooks.call("TestWebhook", endpoint)
    webhooks.wait_attempts(1)
    attempt = webhooks.attempts()[0]
    assert attempt["status"] == 2
    assert said in attempt["statusText"].lower(), attempt


def test_a_huge_answer_is_cut(begin, receivers, client):
    receiver = receivers(pour)
    webhooks = begin(more="TimeoutSec=1h")
    webhooks.call("TestWebhook", webhooks.add(receiver.url()))
    webhooks.wait_attempts(1)
    attempt = webhooks.attempts()[0]
    assert attempt["status"] == 0
    assert len(attempt["response"].encode()) <= 1024 and attempt["response"].startswith("yyy")


def test_gone_disables(begin, receivers, new_daemon, client):
    receiver = receivers(answer(410))
    webhooks = begin()
    endpoint = webhooks.add(receiver.url())
    report(client, "r1", "started")
    report(client, "r1", "completed")
    assert webhooks.wait_change("disabled") == [(endpoint, "disabled")]
    described = webhooks.describe(endpoint)
    assert (described["disabled"], described["disabled_reason"]) == (True, "gone")
    wait_for(lambda: f"Webhook endpoint {endpoint} is disabled" in new_daemon.log(), "the log")
    assert [m["statusText"] for m in webhooks.messages(endpoint=endpoint)] in (["held", "failed"], ["held", "held"])
    assert refusal(webhooks.call, "TestWebhook", endpoint).name == "EndpointDisabled"
    # Enabled again it gets what is new, and what was held when somebody says so.
    webhooks.call("UpdateWebhookEndpoint", endpoint, disabled=False)
    webhooks.call("TestWebhook", endpoint)
    webhooks.wait_attempts(2)
    assert receiver.types[1:] == ["webhook.test"]
    client.manager("RecoverWebhook", "(sta{sv})", endpoint, 0, {})
    webhooks.wait_attempts(4)
    assert receiver.types[2:] == ["sync.started", "sync.completed"]


def test_long_failing_disables(begin, receivers, client):
    receiver = receivers(then=answer(500))
    webhooks = begin(retry="10ms 10ms 10ms 10ms 10ms 10ms", more="DisableAfterSec=10ms")
    endpoint = webhooks.add(receiver.url())
    webhooks.call("TestWebhook", endpoint)
    webhooks.wait_change("disabled")
    assert webhooks.describe(endpoint)["disabled_reason"] == "failing"
    assert len(receiver.requests) == 2


def test_retry_after_is_honoured_within_bounds(begin, receivers, client):
    receiver = receivers(answer(503, Retry_After="110"), then=answer(429, Retry_After="100000"))
    webhooks = begin(retry="100s 100s")
    endpoint = webhooks.add(receiver.url())
    for n, wanted in ((1, 110), (2, 200)):
        message = webhooks.call("TestWebhook", endpoint)
        webhooks.wait_attempts(n)
        told = time.time()
        [described] = webhooks.messages(endpoint=endpoint, message=message)
        attempt = webhooks.attempts(message=message)[0]
        assert seconds(attempt["timestamp"]) + wanted <= seconds(described["nextAttempt"]) < told + wanted + 1


def seconds(timestamp):
    return datetime.fromisoformat(timestamp).timestamp()


def test_an_endpoint_that_never_wants_a_message(begin, receivers, client):
    receiver = receivers(answer(500, Webhook_Delivery="abort-message"))
    webhooks = begin()
    endpoint = webhooks.add(receiver.url())
    for _ in range(2):
        webhooks.call("TestWebhook", endpoint)
    webhooks.wait_attempts(2)
    assert sorted(m["statusText"] for m in webhooks.messages(endpoint=endpoint)) == ["failed", "succeeded"]


# ---- Who waits for whom


def test_removing_one_that_holds_all_places(begin, receivers, client):
    """Others that waited for its requests to end are sent to, though none of these has ended."""
    held, other = receivers(then=hang), receivers()
    arrived = threading.Event()
    held.notice = lambda request: arrived.set()
    webhooks = begin(more="MaxRequests=1\nTimeoutSec=1h")
    endpoint = webhooks.add(held.url(), types=["sync.started"])
    report(client, "r1", "started")
    assert arrived.wait(TIMEOUT_SEC)
    webhooks.add(other.url(), types=["sync.failed"])
    report(client, "r1", "failed")
    webhooks.call("RemoveWebhookEndpoint", endpoint)
    webhooks.wait_attempts(1)
    assert other.types == ["sync.failed"]


def test_asked_for_once_more_during_its_attempt(begin, receivers, client):
    receiver = receivers()
    webhooks = begin()
    endpoint = webhooks.add(receiver.url(), types=["sync.started"])
    held, release = threading.Event(), threading.Event()
    receiver.script.append(lambda connection, closing: (held.set(), release.wait(TIMEOUT_SEC), answer()(connection, closing)))
    report(client, "r1", "started")
    assert held.wait(TIMEOUT_SEC)
    (message,) = webhooks.messages()
    webhooks.call("ResendWebhookMessage", endpoint, message["id"])
    release.set()
    webhooks.wait_attempts(2)
    assert receiver.ids == [message["id"]] * 2


def test_edited_while_a_request_is_under_way(begin, receivers):
    """What the old address says is nothing that the new one says, and its failures are not those of the new one."""
    arrived, go_on = threading.Event(), threading.Event()

    def gone(connection, closing):
        arrived.set()
        assert go_on.wait(TIMEOUT_SEC)
        answer(410)(connection, closing)

    old, new = receivers(then=gone), receivers()
    webhooks = begin(retry="")
    endpoint = webhooks.add(old.url())
    message = webhooks.call("TestWebhook", endpoint)
    assert arrived.wait(TIMEOUT_SEC)
    webhooks.call("UpdateWebhookEndpoint", endpoint, url=new.url())
    go_on.set()
    webhooks.wait_attempts(2)
    assert new.ids == [message]
    described = webhooks.describe(endpoint)
    assert (described["disabled"], described["failing_since"]) == (False, None)
    assert [(a["url"], a["responseStatusCode"]) for a in webhooks.attempts()] == [(new.url(), 200), (old.url(), 410)]


def test_what_is_deleted_unsent_is_told(begin, receivers, new_daemon, client):
    """In the journal, with its number, and in the statistics."""
    receiver = receivers(then=answer(500))
    webhooks = begin(retry="1h")
    webhooks.add(receiver.url())
    for n in range(5):
        report(client, f"r{n}", "completed")
    webhooks.wait_attempts(1)
    statistics = lambda: json.loads(client.manager("DescribeStatistics"))  # noqa: E731
    assert statistics()["messages_lost"] == 0 and "deleted before they were sent" not in new_daemon.log()
    new_daemon.write("syncrun.conf", LOCAL.format(retry="1h", more="MessagesMax=2"))
    client.manager("Reload")
    wait_for(lambda: "Webhook messages deleted before they were sent: 3." in new_daemon.log(), "the entry")
    assert statistics()["messages_lost"] == 3
    assert len(webhooks.messages()) == 2
