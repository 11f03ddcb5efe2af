# SPDX-License-Identifier: LGPL-2.1-or-later
"""Deliveries by HTTP: the list of a connector's page, and the button that sends one again."""

import json
import time

import pytest
from server import ALICE, BOB, add_key
from test_service import check
from webhooks import LOCAL, Webhooks

LIST = "/v1/connectors/{name}/deliveries"
RESEND = f"{LIST}/{{id}}/resend"


@pytest.fixture
def told(daemon, client):
    """One attempt that was taken, and one that was not."""
    client.start("bank")
    worker = daemon.worker()
    worker.attach()
    now = int(time.time() * 1000000)  # what is old is deleted
    entry = {"type": "records.synced", "url": "https://hooks.example.net", "duration_usec": 1000, "retry": 0, "records": 2,
             "error": None, "answer": None}
    worker.call("ReportDeliveries", "(sts)", worker.run, 1, json.dumps([
        {**entry, "id": "datt_1", "succeeded": True, "http_status": 200, "started_usec": now - 2},
        {**entry, "id": "datt_2", "succeeded": False, "http_status": 503, "started_usec": now - 1, "error": "HTTP status 503."}]))
    yield worker
    worker.exit()


def ask(shim, method, path, key, delivery="none", connector="bank"):
    got = shim.request(method, path.format(name=connector, id=delivery), key)
    check(got, method, path)
    return got


def test_list(shim, key, told):
    listed = ask(shim, "GET", LIST, key).json()["deliveries"]
    assert [(entry["id"], entry["kind"], entry["statusCode"], entry["records"]) for entry in listed] == [
        ("datt_2", "records", 503, 2), ("datt_1", "records", 200, 2)]
    assert ask(shim, "GET", LIST, key, connector="mail").json() == {"deliveries": []}
    assert ask(shim, "GET", LIST, key, connector="nobody").status == 404


def test_resend(shim, key, told):
    made = ask(shim, "POST", RESEND, key, "datt_2")
    assert (made.status, made.body) == (202, b"")
    assert ask(shim, "POST", RESEND, key, "datt_1").status == 409
    missing = ask(shim, "POST", RESEND, key, "datt_9")
    assert (missing.status, missing.json()["error"]) == (404, "Delivery not found")


def test_news_are_sent_again_by_who_manages_webhooks(daemon, client, shim, key):
    """Others see that there was an attempt, but neither what came back, nor may they have it made again."""
    daemon.write("syncrun.conf", LOCAL.format(retry="1h", more=""))
    client.manager("Reload", "()")
    hooks = Webhooks(client)
    hooks.add("http://127.0.0.1:1/", types=["sync.started"])
    client.start("bank")
    worker = daemon.worker()
    worker.attach()
    hooks.wait_attempts(1)
    (news,) = ask(shim, "GET", LIST, key).json()["deliveries"]
    assert (news["kind"], news["response"]) == ("lifecycle", None)
    writer = add_key(client, "writer", scopes=["sync:read", "sync:write"])
    alice = add_key(client, "alice", user=ALICE, scopes=["sync:read", "sync:write", "sync:admin"])
    for other in (writer, alice):
        assert ask(shim, "POST", RESEND, other, news["id"]).status == 403
    assert ask(shim, "POST", RESEND, key, news["id"]).status == 202
    hooks.wait_attempts(2)
    worker.exit()


def test_who_may(shim, client, told):
    reader = add_key(client, "reader", scopes=["sync:read"])
    assert ask(shim, "GET", LIST, reader).status == 200
    assert ask(shim, "POST", RESEND, reader, "datt_2").status == 403
    alice, bob = add_key(client, "alice", user=ALICE), add_key(client, "bob", user=BOB)
    assert len(ask(shim, "GET", LIST, alice).json()["deliveries"]) == 2
    assert ask(shim, "GET", LIST, bob).status == 404
    assert ask(shim, "POST", RESEND, bob, "datt_2").status == 404
