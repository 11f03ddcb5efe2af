# SPDX-License-Identifier: LGPL-2.1-or-later
"""The daemon is killed at each step of a delivery, whatever the receiver answers, and of what is done with many deliveries:
nothing is lost, the messages of a run come in order, and what comes twice has the same id."""

import json
import os
import signal
import sqlite3
import threading

import pytest
from harness import TIMEOUT_SEC, wait_for
from receiver import answer, hang, reset
from webhooks import USER, report

ANSWERS = {
    "taken": answer(),
    "refused": answer(500),
    "reset": reset,
    "throttled": answer(429, Retry_After="1"),
    "gone": answer(410),
    "aborted": answer(400, webhook_delivery="abort-message"),
}
# When the first request has come; right behind its answer; when what came of it was told; when the next one has come, which
# a receiver that wants to be left alone, or is gone, does not get.
STEPS = ["arrived", "answered", "recorded", "next"]
CASES = [(how, step) for how in ANSWERS for step in STEPS if step != "next" or how not in ("throttled", "gone")]

N_RUNS = 275  # with two messages each more than is held, or sent again, in one step


def query(daemon, sql, *values):
    with sqlite3.connect(f"file:{daemon.state / 'history.db'}?mode=ro", uri=True, timeout=TIMEOUT_SEC) as db:
        return db.execute(sql, values).fetchall()


def events(run_id):
    base = {"run_id": run_id, "user_id": USER, "provider": "test", "source": "sdk"}
    return [{**base, "stage": "started", "status": "in_progress"}, {**base, "stage": "completed", "status": "success"}]


def on_its_way(daemon, endpoint):
    return query(daemon, "SELECT count(*) FROM webhook_deliveries AS d JOIN webhook_endpoints AS e ON e.key = d.endpoint"
                 " WHERE e.id = ? AND d.state <> 'succeeded'", endpoint)[0][0]


def ask(call, *words, **values):
    """Of a daemon that may be killed over it; what it has promised is not of interest."""
    try:
        call(*words, **values)
    except Exception:
        pass


class Killer:
    """Kills the daemon once, when the step comes."""

    def __init__(self, daemon, receiver, step):
        self.daemon, self.step = daemon, step
        self.killed = threading.Event()
        self.receiver = receiver
        receiver.notice = self.on_request
        if step == "answered":
            (how,) = receiver.script
            receiver.script[:] = [lambda connection, closing: (how(connection, closing), self.kill())]

    def kill(self):
        if not self.killed.is_set():
            os.kill(self.daemon.process.pid, signal.SIGKILL)
            self.killed.set()

    def on_request(self, request):
        if len(self.receiver.requests) == {"arrived": 1, "next": 2}.get(self.step):
            self.kill()


def check(daemon, receiver):
    """All that the history has is there, byte for byte, and of each run in order."""
    bodies = dict(query(daemon, "SELECT id, body FROM webhook_messages"))
    assert {request.id: request.body.decode() for request in receiver.requests} == bodies
    order = {}
    for request in receiver.requests:
        types = order.setdefault(request.message["data"]["run_id"], [])
        if request.message["type"] not in types:
            types.append(request.message["type"])
    assert set(map(tuple, order.values())) == {("sync.started", "sync.completed")}


def count(daemon, *states):
    return query(daemon, f"SELECT count(*) FROM webhook_deliveries WHERE state IN ({', '.join('?' * len(states))})",
                 *states)[0][0]


def let_time_pass(daemon):
    """While there is no daemon: the next attempt is due when it comes back."""
    with sqlite3.connect(daemon.state / "history.db") as db:
        db.execute("UPDATE webhook_deliveries SET due_usec = 1 WHERE state = 'pending'")


@pytest.mark.parametrize("how", ["refused", "reset", "throttled"])
def test_killed_before_a_retry(begin, receivers, new_daemon, client, how):
    """It comes all the same, and nobody has to ask for it."""
    receiver = receivers(ANSWERS[how])
    webhooks = begin(retry="1h")
    endpoint = webhooks.add(receiver.url())
    client.manager("ReportEvents", "(s)", json.dumps(events("r1")))
    webhooks.wait_attempts(1)
    new_daemon.kill9()
    assert query(new_daemon, "SELECT state FROM webhook_deliveries ORDER BY key") == [("pending",), ("waiting",)]
    let_time_pass(new_daemon)
    new_daemon.start()
    wait_for(lambda: on_its_way(new_daemon, endpoint) == 0, "both messages to be taken")
    check(new_daemon, receiver)
    assert receiver.types == ["sync.started", "sync.started", "sync.completed"]
    assert receiver.ids[0] == receiver.ids[1]


@pytest.mark.parametrize("how, step", CASES)
def test_killed_at_a_step(begin, receivers, new_daemon, client, how, step):
    receiver = receivers(ANSWERS[how])
    webhooks = begin(retry="1ms")
    endpoint = webhooks.add(receiver.url())
    killer = Killer(new_daemon, receiver, step)
    ask(client.manager, "ReportEvents", "(s)", json.dumps(events("r1")))
    if step == "recorded":
        webhooks.wait_attempts(1)
        killer.kill()
    assert killer.killed.wait(TIMEOUT_SEC)
    new_daemon.process.wait()
    # Only what the receiver has given up is: whatever else there is comes by itself.
    given_up = count(new_daemon, "failed", "held")
    assert given_up == 0 or (how in ("gone", "aborted") and step != "arrived")
    let_time_pass(new_daemon)
    new_daemon.start()
    wait_for(lambda: count(new_daemon, "succeeded") == 2 - given_up, f"{2 - given_up} messages to be taken")
    if given_up:
        webhooks.call("UpdateWebhookEndpoint", endpoint, disabled=False)
        client.manager("RecoverWebhook", "(sta{sv})", endpoint, 0, {})
    wait_for(lambda: on_its_way(new_daemon, endpoint) == 0, "both messages to be taken")
    check(new_daemon, receiver)


def test_killed_before_its_request(begin, receivers, new_daemon, client):
    """The message is committed, and its turn has not come: another endpoint has the only place there is."""
    held, arrived = receivers(then=hang), threading.Event()
    held.notice = lambda request: arrived.set()
    receiver = receivers()
    webhooks = begin(more="MaxRequests=1\nTimeoutSec=1h")
    blocking = webhooks.add(held.url(), types=["sync.failed"])
    endpoint = webhooks.add(receiver.url(), types=["sync.started", "sync.completed"])
    report(client, "r0", "failed")
    assert arrived.wait(TIMEOUT_SEC)
    client.manager("ReportEvents", "(s)", json.dumps(events("r1")))
    new_daemon.kill9()
    assert receiver.requests == [] and count(new_daemon, "pending", "waiting") == 3
    new_daemon.start()
    webhooks.call("RemoveWebhookEndpoint", blocking)
    wait_for(lambda: on_its_way(new_daemon, endpoint) == 0, "both messages to be taken")
    assert receiver.types == ["sync.started", "sync.completed"]


@pytest.mark.parametrize("status", [200, 500, 410])
def test_killed_between_the_answer_and_its_commit(begin, receivers, new_daemon, client, status):
    """It was answered, the daemon has read that, and the disk does not know: it is sent again, with the same id."""
    answered = threading.Event()

    def close_behind(connection, closing):
        answer(status, Connection="close")(connection, closing)
        assert connection.recv(1) == b""  # the other end has read all of it, and closed
        answered.set()

    arrived, go = threading.Event(), threading.Event()
    receiver = receivers(lambda connection, closing: (arrived.set(), go.wait(TIMEOUT_SEC), close_behind(connection, closing)))
    webhooks = begin(retry="1h")
    locked = sqlite3.connect(new_daemon.state / "history.db", isolation_level=None, timeout=TIMEOUT_SEC)
    endpoint = webhooks.add(receiver.url())
    client.manager("ReportEvents", "(s)", json.dumps(events("r1")))
    assert arrived.wait(TIMEOUT_SEC)
    locked.execute("BEGIN IMMEDIATE")  # nothing is committed but by us
    go.set()
    assert answered.wait(TIMEOUT_SEC)
    new_daemon.kill9()
    locked.rollback()
    locked.close()
    assert query(new_daemon, "SELECT count(*) FROM webhook_attempts") == [(0,)]
    new_daemon.start()
    wait_for(lambda: on_its_way(new_daemon, endpoint) == 0, "both messages to be taken")
    assert receiver.ids[0] == receiver.ids[1] and len(set(receiver.ids)) == 2
    check(new_daemon, receiver)


def test_killed_while_many_are_held_and_sent_again(begin, receivers, new_daemon, client):
    """What is done in steps is gone on with, where it was."""
    blocked = threading.Event()
    receiver = receivers(then=lambda connection, closing: blocked.wait(TIMEOUT_SEC) and answer()(connection, closing))
    arrived = threading.Event()
    receiver.notice = lambda request: arrived.set()
    webhooks = begin(more="MaxRequestsPerEndpoint=16")
    endpoint = webhooks.add(receiver.url())
    client.manager("ReportEvents", "(s)", json.dumps([event for n in range(N_RUNS) for event in events(f"r{n}")]))
    assert arrived.wait(TIMEOUT_SEC)
    for call in (lambda: webhooks.call("UpdateWebhookEndpoint", endpoint, disabled=True),
                 lambda: webhooks.call("UpdateWebhookEndpoint", endpoint, disabled=False),
                 lambda: client.manager("RecoverWebhook", "(sta{sv})", endpoint, 0, {})):
        call()
        new_daemon.kill9()
        new_daemon.start()
    blocked.set()
    wait_for(lambda: on_its_way(new_daemon, endpoint) == 0, "all messages to be taken")
    check(new_daemon, receiver)
