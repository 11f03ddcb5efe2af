# SPDX-License-Identifier: LGPL-2.1-or-later
"""Webhooks by HTTP: endpoints, their secrets, and what was sent to them."""

import threading

import pytest
from harness import MANAGER, TIMEOUT_SEC, wait_for
from receiver import Receiver, answer
from server import ALICE, BOB, add_key
from test_service import check
from webhooks import LOCAL

BASE = "/api/v1/webhooks"
LIST = f"{BASE}/endpoints"
ONE = f"{LIST}/{{endpoint_id}}"
PAGES = [f"{ONE}/attempts", f"{ONE}/messages", f"{BASE}/messages"]
ACTIONS = [("GET", ONE), ("PATCH", ONE), ("DELETE", ONE), ("GET", f"{ONE}/secret"), ("POST", f"{ONE}/secret/rotate"),
           ("GET", f"{ONE}/attempts"), ("GET", f"{ONE}/messages"), ("POST", f"{ONE}/messages/{{message_id}}/resend"),
           ("POST", f"{ONE}/test"), ("POST", f"{ONE}/recover")]
KEYS = ["id", "url", "description", "filter_types", "user_id"]
STATE = {"disabled": False, "disabled_reason": None, "disabled_at": None, "failing_since": None}


@pytest.fixture
def receiver():
    made = Receiver()
    yield made
    made.close()


@pytest.fixture
def ask(daemon, shim, key, client):
    """One request; that its answer is as the document has it is checked."""
    daemon.write("syncrun.conf", LOCAL.format(retry="100ms", more=""))
    client.manager("Reload", "()")

    def request(method, path, endpoint="none", body=None, query="", message="none", as_key=key):
        got = shim.request(method, path.format(endpoint_id=endpoint, message_id=message) + query, as_key, body)
        check(got, method, path)
        return got

    return request


@pytest.fixture
def wait_attempts(client):
    attempted = client.signals(MANAGER, "WebhookAttempted")
    return lambda n: wait_for(lambda: len(attempted) >= n, f"{n} attempts: {attempted}")


def add(ask, url="https://hooks.example.net/", **more):
    made = ask("POST", LIST, body={"url": url, **more})
    assert made.status == 201, made
    return made.json()["id"]


def test_endpoints(ask):
    wish = {"url": "https://hooks.example.net/a", "description": "mine", "filter_types": ["sync.failed"], "user_id": ALICE.upper()}
    made = ask("POST", LIST, body=wish)
    endpoint = made.json()
    assert (made.status, list(endpoint)) == (201, [*KEYS, *STATE])
    assert endpoint == {**wish, **STATE, "id": endpoint["id"], "user_id": ALICE}
    assert made.headers["Location"] == f"{LIST}/{endpoint['id']}"
    other = add(ask)
    page = ask("GET", LIST).json()
    assert page["data"][0] == endpoint and [e["id"] for e in page["data"]] == [endpoint["id"], other]
    assert (page["done"], page["iterator"], page["prevIterator"]) == (True, other, f"-{endpoint['id']}")
    assert ask("GET", ONE, other).json() == {
        "id": other, "url": "https://hooks.example.net/", "description": "", "filter_types": None, "user_id": None,
        **STATE}
    assert ask("DELETE", ONE, endpoint["id"]).status == 204
    assert ask("GET", ONE, endpoint["id"]).status == 404
    assert [e["id"] for e in ask("GET", LIST).json()["data"]] == [other]


def test_whether_it_is_enabled(ask, receiver, wait_attempts):
    """Switched off by hand, and by the service, which says so and why; and what comes before that."""
    endpoint = add(ask, receiver.url(), disabled=True)
    seen = ask("GET", ONE, endpoint).json()
    assert (seen["disabled"], seen["disabled_reason"], seen["failing_since"]) == (True, "by-hand", None)
    assert seen["disabled_at"] is not None
    seen_failing = threading.Event()
    receiver.script += [answer(500), lambda *them: seen_failing.wait(TIMEOUT_SEC) and answer(410)(*them)]
    assert ask("PATCH", ONE, endpoint, {"disabled": False}).json().items() >= STATE.items()
    ask("POST", f"{ONE}/test", endpoint)
    wait_attempts(1)
    failing = ask("GET", ONE, endpoint).json()
    assert not failing["disabled"] and failing["failing_since"] is not None
    seen_failing.set()
    wait_attempts(2)
    (gone,) = ask("GET", LIST).json()["data"]
    assert (gone["disabled"], gone["disabled_reason"]) == (True, "gone")
    assert gone["disabled_at"] >= gone["failing_since"] == failing["failing_since"]


def test_patch(ask, client):
    endpoint = add(ask, description="mine", filter_types=["sync.failed", "sync.completed"], user_id=ALICE)

    def patch(**body):
        got = ask("PATCH", ONE, endpoint, body)
        assert got.status == 200
        assert ask("GET", ONE, endpoint).json() == got.json()
        return [got.json()[name] for name in KEYS[1:]]

    before = ["https://hooks.example.net/", "mine", ["sync.completed", "sync.failed"], ALICE]
    assert patch() == before
    assert patch(url="https://hooks.example.net/b") == ["https://hooks.example.net/b", *before[1:]]
    assert patch(user_id=BOB)[3] == BOB
    assert patch(user_id=None) == ["https://hooks.example.net/b", *before[1:3], None]
    assert patch(filter_types=[])[2] is None
    assert patch(filter_types=["sync.started"])[2] == ["sync.started"]
    assert patch(filter_types=None)[2] is None
    assert patch(description="last \uffff")[1] == "last \ufffd"
    assert patch(description=None)[1] == ""
    patch(disabled=True)
    assert ask("POST", f"{ONE}/test", endpoint).status == 409
    patch(disabled=False)
    assert ask("POST", f"{ONE}/test", endpoint).status == 202


@pytest.mark.parametrize("body, says", [
    ({"url": None}, "url"), ({"url": ""}, "url"), ({"url": 1}, "url"), ({"url": "ftp://hooks.example.net/"}, "url"),
    ({"description": 1}, "description"), ({"description": "x" * 1025}, "description"), ({"user_id": "me"}, "UUID"),
    ({"user_id": ""}, "UUID"), ({"user_id": 1}, "user_id"), ({"filter_types": "sync.failed"}, "filter_types"),
    ({"filter_types": ["sync.lost"]}, "filter_types"), ({"filter_types": [None]}, "filter_types"),
    ({"filter_types": ["sync.failed", 1]}, "filter_types"), ({"filter_types": ["sync.failed\0x"]}, "filter_types"),
    ({"filter_types": ["webhook.test"]}, "filter_types"),
    ({"disabled": "yes"}, "disabled"), ([], "object")])
def test_what_is_refused(ask, body, says):
    endpoint = add(ask, description="x" * 1024)
    before = ask("GET", LIST).json()
    new = {"url": "https://hooks.example.net/", **body} if isinstance(body, dict) else body
    for got in (ask("POST", LIST, body=new), ask("PATCH", ONE, endpoint, body)):
        assert (got.status, list(got.json())) == (422, ["detail"])
        assert says.lower() in got.json()["detail"].lower(), got
    assert ask("GET", LIST).json() == before


def test_pages_of_endpoints(ask):
    """As Svix has them: iterators are ids, also of endpoints that have gone meanwhile."""
    empty = ask("GET", LIST).json()
    assert empty == {"data": [], "done": True, "iterator": None, "prevIterator": None}
    ids = [add(ask) for _ in range(5)]

    def page(limit=2, iterator=None):
        got = ask("GET", LIST, query=f"?limit={limit}" + (f"&iterator={iterator}" if iterator else "")).json()
        return [e["id"] for e in got["data"]], got["done"], got["iterator"], got["prevIterator"]

    first, second, third = page(), page(iterator=ids[1]), page(iterator=ids[3])
    assert first == (ids[:2], False, ids[1], f"-{ids[0]}")
    assert second == (ids[2:4], False, ids[3], f"-{ids[2]}")
    assert third == (ids[4:], True, ids[4], f"-{ids[4]}")
    assert page(iterator=ids[4]) == ([], True, None, None)
    assert page(iterator=third[3]) == (ids[2:4], False, ids[3], f"-{ids[2]}")
    assert page(iterator=second[3]) == (ids[:2], True, ids[1], f"-{ids[0]}")
    assert page(limit=250)[:2] == page(limit=5)[:2] == (ids, True)
    assert page(limit=4)[:2] == (ids[:4], False)
    for query in ("limit=0", "limit=251", "limit=x", "iterator=x", "iterator=-", "iterator=--ep_1", "iterator=7"):
        assert ask("GET", LIST, query=f"?{query}").status == 422
    assert ask("DELETE", ONE, ids[1]).status == 204
    assert page(iterator=ids[1])[0] == ids[2:4]
    assert page(iterator=f"-{ids[1]}")[0] == ids[:1]


def test_malformed(ask):
    endpoint = add(ask)
    assert ask("POST", LIST, body={"description": "no url"}).json() == {"detail": "url: Field required"}
    for method, path in (("POST", LIST), ("PATCH", ONE), ("POST", f"{ONE}/secret/rotate"), ("POST", f"{ONE}/recover")):
        assert ask(method, path, endpoint, "{").status == 400
    assert ask("POST", f"{ONE}/secret/rotate", endpoint, {"at_once": 1}).status == 422
    for since in (None, 1, "yesterday", "2020-01-01T00:00:00"):
        assert ask("POST", f"{ONE}/recover", endpoint, {"since": since}).status == 422
    for path in PAGES:
        for query, status in (("limit=0", 422), ("limit=1", 200), ("limit=250", 200), ("limit=251", 422), ("limit=x", 422),
                              ("iterator=x", 422), ("msg_id=none", 404)):
            assert ask("GET", path, endpoint, query="?" + query).status == status, (path, query)


def test_one_too_many(ask):
    for _ in range(64):
        add(ask)
    assert ask("POST", LIST, body={"url": "https://hooks.example.net/"}).status == 413
    page = ask("GET", LIST).json()
    assert (len(page["data"]), page["done"], page["iterator"]) == (50, False, page["data"][-1]["id"])
    assert len(ask("GET", LIST, query="?limit=250").json()["data"]) == 64


def test_who_may(ask, client, key):
    endpoint = add(ask)
    others = add_key(client, "others", scopes=["sync:read", "sync:write"])
    bound = add_key(client, "alice", user=ALICE)
    for method, path in [("GET", LIST), ("POST", LIST), ("GET", f"{BASE}/messages"), *ACTIONS]:
        body = {"since": "2020-01-01T00:00:00Z", "url": "https://hooks.example.net/"} if method in ("POST", "PATCH") else None
        assert ask(method, path, endpoint, body, as_key=None).status == 401
        for as_key in (others, bound):
            assert ask(method, path, endpoint, body, as_key=as_key).status == 403
    assert ask("GET", f"{BASE}/event-types", as_key=others).status == 403
    assert [e["id"] for e in ask("GET", LIST).json()["data"]] == [endpoint]


def test_what_there_is_not(ask):
    for method, path in ACTIONS:
        body = {"since": "2020-01-01T00:00:00Z"} if method in ("POST", "PATCH") else None
        got = ask(method, path, "ep_none", body)
        assert (got.status, got.json()) == (404, {"detail": "Webhook endpoint not found"})
    got = ask("POST", f"{ONE}/messages/{{message_id}}/resend", add(ask))
    assert (got.status, got.json()) == (404, {"detail": "Webhook message not found"})


def test_event_types(ask):
    page = ask("GET", f"{BASE}/event-types").json()
    assert [t["name"] for t in page["data"]] == ["sync.started", "sync.completed", "sync.failed", "sync.cancelled",
                                                 "sync.needs_attention", "sync.recovered"]


def test_secrets(ask, receiver, wait_attempts):
    endpoint = add(ask, receiver.url())
    got = ask("GET", f"{ONE}/secret", endpoint)
    assert list(got.json()) == ["key"] and "no-store" in ", ".join(got.headers.get_all("Cache-Control"))
    first = got.json()["key"]
    second = ask("POST", f"{ONE}/secret/rotate", endpoint).json()["key"]
    assert first != second == ask("GET", f"{ONE}/secret", endpoint).json()["key"]
    assert ask("POST", f"{ONE}/test", endpoint).status == 202
    wait_attempts(1)
    third = ask("POST", f"{ONE}/secret/rotate", endpoint, {"at_once": True}).json()["key"]
    assert ask("POST", f"{ONE}/test", endpoint).status == 202
    wait_attempts(2)
    signed = [[request.is_signed_by(secret) for secret in (first, second, third)] for request in receiver.requests]
    assert signed == [[True, True, False], [False, False, True]]


def test_what_was_sent(ask, receiver, wait_attempts):
    endpoint = add(ask, receiver.url())
    add(ask, disabled=True)
    sent = []
    for n in range(3):
        sent.insert(0, ask("POST", f"{ONE}/test", endpoint).json()["id"])
        wait_attempts(n + 1)
    assert [request.id for request in receiver.requests] == sent[::-1]
    page = ask("GET", f"{ONE}/attempts", endpoint).json()
    assert [a["msgId"] for a in page["data"]] == sent and page["done"] is True
    attempt = page["data"][0]
    assert (attempt["endpointId"], attempt["url"], attempt["status"], attempt["responseStatusCode"], attempt["triggerType"]) == (
        endpoint, receiver.url(), 0, 200, 0)
    for path in PAGES:
        first = ask("GET", path, endpoint, query="?limit=2").json()
        second = ask("GET", path, endpoint, query=f"?limit=2&iterator={first['iterator']}").json()
        back = ask("GET", path, endpoint, query=f"?limit=2&iterator={second['prevIterator']}").json()
        ids = [[item.get("msgId", item["id"]) for item in page["data"]] for page in (first, second, back)]
        assert ids == [sent[:2], sent[2:], sent[:2]]
        assert [first["done"], second["done"]] == [False, True]
    assert [a["msgId"] for a in ask("GET", f"{ONE}/attempts", endpoint, query=f"?msg_id={sent[1]}").json()["data"]] == [sent[1]]
    assert "status" in ask("GET", f"{ONE}/messages", endpoint).json()["data"][0]
    assert "status" not in ask("GET", f"{BASE}/messages").json()["data"][0]
    assert ask("POST", f"{ONE}/messages/{{message_id}}/resend", endpoint, message=sent[2]).status == 202
    wait_attempts(4)
    assert receiver.requests[-1].id == sent[2]
    assert ask("GET", f"{ONE}/attempts", endpoint).json()["data"][0]["triggerType"] == 1
    assert ask("DELETE", ONE, endpoint).status == 204
    assert ask("GET", f"{ONE}/attempts", endpoint).status == 404


def test_recover(ask, receiver, reporter, wait_attempts):
    endpoint = add(ask, receiver.url(), disabled=True)
    reporter.report(reporter.event(run="missed", stage="completed"))
    assert ask("POST", f"{ONE}/recover", endpoint, {"since": "2020-01-01T00:00:00Z"}).status == 409
    ask("PATCH", ONE, endpoint, {"disabled": False})
    assert ask("POST", f"{ONE}/recover", endpoint, {"since": "2100-01-01T00:00:00Z"}).status == 202
    assert receiver.requests == []
    assert ask("POST", f"{ONE}/recover", endpoint, {"since": "2020-01-01T01:00:00+01:00"}).status == 202
    wait_attempts(1)
    assert [request.message["type"] for request in receiver.requests] == ["sync.completed"]
    assert receiver.requests[0].message["data"]["run_id"].startswith("missed")
