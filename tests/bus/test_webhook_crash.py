# SPDX-License-Identifier: LGPL-2.1-or-later
"""What was committed is sent, whatever happens to the daemon: at least once, with the same id, in order."""

import os
import signal
import sqlite3
import threading

import pytest
from harness import TIMEOUT_SEC, wait_for
from receiver import answer, hang
from webhooks import OTHER, USER, report


def history(daemon):
    return sqlite3.connect(f"file:{daemon.state / 'history.db'}?mode=ro", uri=True, timeout=TIMEOUT_SEC)


def query(daemon, sql):
    with history(daemon) as db:
        return db.execute(sql).fetchall()


def wait_taken(daemon, client, n):
    """Until so many deliveries have succeeded."""
    done = "SELECT count(*) FROM webhook_deliveries WHERE state = 'succeeded'"
    wait_for(lambda: query(daemon, done) == [(n,)], f"{n} messages to be taken")


def first_seen(receiver):
    """The order in which messages came first, by run."""
    runs = {}
    for request in receiver.requests:
        message = request.message
        types = runs.setdefault(message["data"]["run_id"], [])
        if message["type"] not in types:
            types.append(message["type"])
    return runs


def test_sent_again_after_a_kill(begin, receivers, new_daemon, client):
    """Killed while the receiver has the request and has not answered."""
    receiver = receivers(hang)
    arrived = threading.Event()
    receiver.notice = lambda request: arrived.set()
    webhooks = begin()
    webhooks.add(receiver.url())
    report(client, "r1", "started")
    report(client, "r1", "completed")
    assert arrived.wait(TIMEOUT_SEC)
    new_daemon.kill9()
    new_daemon.start()
    wait_taken(new_daemon, client, 2)
    assert receiver.types == ["sync.started", "sync.started", "sync.completed"]
    assert receiver.ids[0] == receiver.ids[1]
    assert receiver.requests[0].body == receiver.requests[1].body


def test_kills_at_every_step(begin, receivers, new_daemon, client):
    """The receiver kills the daemon when a request has come, or right behind its answer; others come meanwhile."""
    receiver = receivers()
    webhooks = begin()
    webhooks.add(receiver.url())
    killed = threading.Event()
    count = [0]

    def kill():
        if not killed.is_set():
            killed.set()
            os.kill(new_daemon.process.pid, signal.SIGKILL)

    def notice(request):
        count[0] += 1
        if count[0] % 3 == 1:
            kill()

    def take_and_kill(connection, closing):
        answer()(connection, closing)
        if count[0] % 3 == 2:
            kill()

    receiver.notice = notice
    receiver.then = take_and_kill
    n_runs = 0
    for _ in range(8):
        killed.clear()
        for stage in ("started", "failed"):
            try:
                report(client, f"r{n_runs}", stage)
            except Exception:  # killed in the middle of the call
                break
        n_runs += 1
        assert killed.wait(TIMEOUT_SEC)
        new_daemon.process.wait()
        new_daemon.start()
    killed.set()
    n, = query(new_daemon, "SELECT count(*) FROM webhook_deliveries")[0]
    wait_taken(new_daemon, client, n)
    # No event without its message, and no message without its event.
    told = {(run, kind) for run, kind in query(new_daemon, "SELECT run_id, type FROM webhook_messages")}
    events = {(run, stage) for run, stage in query(
        new_daemon, "SELECT runs.id, json ->> 'stage' FROM events JOIN runs ON runs.row = events.run")}
    assert told == {(run, f"sync.{stage}") for run, stage in events}
    # Nothing is lost, the bytes are those of the history, and what is repeated is known by its id.
    bodies = dict(query(new_daemon, "SELECT id, body FROM webhook_messages"))
    assert {request.id: request.body.decode() for request in receiver.requests} == bodies
    for run, types in first_seen(receiver).items():
        assert types == ["sync.started", "sync.failed"][:len(types)], run


def test_order_of_a_run_while_it_fails(begin, receivers, new_daemon, client):
    receiver = receivers(answer(500), answer(500))
    webhooks = begin()
    webhooks.add(receiver.url())
    for stage in ("started", "completed"):
        report(client, "r1", stage)
    webhooks.wait_attempts(4)
    assert receiver.types == ["sync.started"] * 3 + ["sync.completed"]


def test_order_of_attention_while_it_fails(begin, receivers, new_daemon, client):
    """The last word of a connector's attention is how it is, though an earlier one was not taken at first."""
    receiver = receivers(answer(500))
    webhooks = begin(retry="1h")
    endpoint = webhooks.add(receiver.url(), types=["sync.needs_attention", "sync.recovered"])
    for outcome, more in (("failed", {"attention": "consent_expired", "error": "too old"}), ("succeeded", {})):
        run, *_ = client.start("bank")
        worker = new_daemon.worker()
        worker.attach()
        worker.finish(1, outcome=outcome, **more)
        worker.exit()
        wait_for(lambda: not client.describe("DescribeRuns", active=True)["runs"], "the end of the run")
        webhooks.wait_attempts(1)
    recovered, attention = webhooks.messages(endpoint=endpoint)
    assert (attention["eventType"], attention["statusText"]) == ("sync.needs_attention", "pending")
    assert (recovered["eventType"], recovered["statusText"]) == ("sync.recovered", "waiting")
    webhooks.call("ResendWebhookMessage", endpoint, attention["id"])
    webhooks.wait_attempts(3)
    assert receiver.types == ["sync.needs_attention", "sync.needs_attention", "sync.recovered"]


def test_what_waits_survives_a_restart(begin, receivers, new_daemon, client):
    receiver = receivers(answer(500))
    webhooks = begin(retry="1h")
    endpoint = webhooks.add(receiver.url())
    message = webhooks.call("TestWebhook", endpoint)
    webhooks.wait_attempts(1)
    before = webhooks.messages(endpoint=endpoint)
    assert before[0]["statusText"] == "pending"
    new_daemon.restart()
    assert webhooks.messages(endpoint=endpoint) == before
    webhooks.call("ResendWebhookMessage", endpoint, message)
    webhooks.wait_attempts(2)
    assert receiver.ids == [message, message]


def test_what_is_no_longer_wanted_is_not_sent(begin, receivers, new_daemon, client):
    """The endpoint has another user by now, or other types; what was on its way says so, and does not count against it."""
    receiver = receivers(answer(500))
    webhooks = begin(retry="1s")
    endpoint = webhooks.add(receiver.url(), user=USER, types=["sync.started", "sync.failed"], disabled=True)
    for run in ("r1", "r2"):
        report(client, run, "started" if run == "r1" else "failed")
    webhooks.call("UpdateWebhookEndpoint", endpoint, disabled=False, user=OTHER)
    client.manager("RecoverWebhook", "(sta{sv})", endpoint, 0, {})
    webhooks.wait_attempts(2)
    webhooks.call("UpdateWebhookEndpoint", endpoint, user=USER, types=["sync.failed"])
    client.manager("RecoverWebhook", "(sta{sv})", endpoint, 0, {})
    webhooks.wait_attempts(5)  # of which two are the one that is taken at last
    assert receiver.types == ["sync.failed"] * 2
    dropped = [attempt for attempt in webhooks.attempts() if attempt["statusText"].startswith("Not sent")]
    assert len(dropped) == 3 and {attempt["responseStatusCode"] for attempt in dropped} == {0}
    states = {message["eventType"]: message["statusText"] for message in webhooks.messages(endpoint=endpoint)}
    assert states == {"sync.started": "failed", "sync.failed": "succeeded"}
    assert webhooks.describe(endpoint)["failing_since"] is None


def test_one_that_hangs_holds_up_nobody(begin, receivers, new_daemon, client):
    dead, alive = receivers(then=hang), receivers()
    webhooks = begin(more="TimeoutSec=1h")
    webhooks.add(dead.url())
    webhooks.add(alive.url())
    for n in range(40):
        report(client, f"r{n}", "completed")
    webhooks.wait_attempts(40)
    assert len(alive.requests) == 40
    wait_for(lambda: dead.requests, "a request to the one that hangs")
    assert len(dead.requests) <= 4


@pytest.mark.parametrize("limit", [1, 3])
def test_requests_at_the_same_time(begin, receivers, client, limit):
    """No more than so many, and as many as that."""
    full = threading.Barrier(limit)
    lock, now, most = threading.Lock(), [0], [0]

    def count(connection, closing):
        with lock:
            now[0] += 1
            most[0] = max(most[0], now[0])
        full.wait(TIMEOUT_SEC)
        with lock:
            now[0] -= 1
        answer()(connection, closing)

    receiver = receivers(then=count)
    webhooks = begin(more=f"MaxRequestsPerEndpoint={limit}")
    endpoint = webhooks.add(receiver.url(), disabled=True)
    for n in range(6 * limit):
        report(client, f"r{n}", "completed")
    webhooks.call("UpdateWebhookEndpoint", endpoint, disabled=False)
    client.manager("RecoverWebhook", "(sta{sv})", endpoint, 0, {})
    webhooks.wait_attempts(6 * limit)
    assert most[0] == limit


def test_a_daemon_without_a_network_to_speak_of(begin, client):
    """Nobody listens there: the attempt fails, and all else goes on."""
    webhooks = begin(retry="")
    endpoint = webhooks.add("http://127.0.0.1:1/")
    webhooks.call("TestWebhook", endpoint)
    webhooks.wait_attempts(1)
    assert webhooks.attempts()[0]["responseStatusCode"] == 0
    run, *_ = client.start("bank")
    assert client.describe("DescribeRuns", id=run)["runs"]
