# SPDX-License-Identifier: LGPL-2.1-or-later
"""What each route answers: keys and their order, filters, statuses, and what a key may not see."""

import json

import pytest
from server import ALICE, BOB, NOBODY, add_key

RUN_KEYS = ["id", "connectorId", "status", "fullResync", "startedAt", "finishedAt", "itemsDiscovered", "itemsIngested",
            "errorMessage", "createdAt"]
NO_ID = "00000000-0000-4000-8000-000000000000"


@pytest.fixture
def bank_id(client):
    return client.get("/org/syncrun1/connector/bank", "org.syncrun1.Connector", "Id")


@pytest.fixture
def bound(client, daemon):
    return add_key(client, "alice", user=ALICE)


def end(worker, **report):
    worker.attach()
    worker.finish(1, **{"outcome": "succeeded", **report})
    worker.exit()


# ---- Repo


def test_start_and_list(shim, key, bank_id, daemon, client):
    made = shim.post("/v1/sync-runs", key, {"connectorId": bank_id})
    assert made.status == 201
    body = made.json()
    assert list(body) == ["syncRun", "alreadyActive"]
    assert list(body["syncRun"]) == ["id", "connectorId", "status", "fullResync", "createdAt"]
    assert (body["alreadyActive"], body["syncRun"]["connectorId"], body["syncRun"]["fullResync"]) == (False, bank_id, False)
    run_id = body["syncRun"]["id"]
    assert made.headers["Location"] == f"/v1/sync-runs/{run_id}"
    worker = daemon.worker()
    worker.attach()

    again = shim.post("/v1/sync-runs", key, {"connectorId": bank_id.upper(), "fullResync": True})
    assert (again.status, again.json()["alreadyActive"], again.json()["syncRun"]["id"]) == (202, True, run_id)

    run = client.describe("DescribeRuns", id=run_id)["runs"][0]
    assert (run["requested_by"], run["trigger"]) == ("key:key", "remote")

    (listed,) = shim.get("/v1/sync-runs", key).json()["syncRuns"]
    assert list(listed)[:10] == RUN_KEYS
    assert (listed["id"], listed["finishedAt"], listed["errorMessage"]) == (run_id, None, None)
    one = shim.get(f"/v1/sync-runs/{run_id}", key).json()["syncRun"]
    assert one["id"] == run_id and "accounts" in one and "events" in one

    cancelled = shim.post(f"/v1/sync-runs/{run_id}/cancel", key)
    assert (cancelled.status, cancelled.json()["syncRun"]["id"]) == (200, run_id)
    assert worker.stream.readline() == ""  # it was told to end, and did


def test_list_filters_and_pages(shim, key, bank_id, daemon):
    ids = []
    for name in ("bank", "mail", "bank"):
        ids.insert(0, shim.post(f"/v1/connectors/{name}/sync-now", key).json()["syncRun"]["id"])
        end(daemon.worker())
        while shim.get(f"/v1/sync-runs/{ids[0]}", key).json()["syncRun"]["finishedAt"] is None:
            pass

    def listed(query=""):
        return [run["id"] for run in shim.get(f"/v1/sync-runs?{query}", key).json()["syncRuns"]]

    # A full resync that was asked for meanwhile is none of these.
    assert listed() == ids
    assert listed(f"connectorId={bank_id}") == [ids[0], ids[2]]
    assert listed("status=succeeded") == ids
    assert listed("status=failed") == []
    assert listed("since=2100-01-01T00:00:00Z") == []
    assert listed("since=2020-01-01T00%3A00%3A00%2B01:00") == ids
    seen, cursor = [], ""
    while cursor is not None:
        page = shim.get(f"/v1/sync-runs?limit=1{cursor and '&cursor=' + cursor}", key).json()
        seen += [run["id"] for run in page["syncRuns"]]
        cursor = page["nextCursor"]
    assert seen == ids


@pytest.mark.parametrize("query", ["limit=0", "limit=201", "limit=x", "status=cancelled", "connectorId=bank",
                                   "since=yesterday", "since=2020-01-01T00:00:00", "cursor=nonsense"])
def test_list_refuses(shim, key, query):
    answer = shim.get(f"/v1/sync-runs?{query}", key)
    assert answer.status == 422
    assert list(answer.json()) == ["error"]


@pytest.mark.parametrize("query, words", [
    ("limit=0", "Input should be greater than or equal to 1"), ("limit=201", "Input should be less than or equal to 200"),
    ("limit=x", "Input should be a valid integer, unable to parse string as an integer"),
    ("status=x", "Input should be 'in_progress', 'success', 'partial', 'failed', 'cancelled' or 'skipped'"),
])
def test_c9_words(shim, key, reporter, query, words):
    """As Open Wearables says it, bare; under /v1 with the parameter before it."""
    assert shim.get(f"/api/v1/users/{ALICE}/sync/runs?{query}", key).json() == {"detail": words}
    if query.startswith("limit"):
        assert shim.get(f"/v1/sync-runs?{query}", key).json() == {"error": f"limit: {words}"}


@pytest.mark.parametrize("body, status", [
    ("", 400), ("{", 400), (b'{"connectorId":"\xff"}', 400), ('{"connectorId":1} x', 400), ("[]", 422), ("null", 422),
    ("{}", 422), ('{"connectorId":null}', 422), ('{"connectorId":1}', 422), ('{"connectorId":"bank"}', 422),
    (f'{{"connectorId":"{NO_ID}","fullResync":"yes"}}', 422), (f'{{"connectorId":"{NO_ID}"}}', 404),
])
def test_start_refuses(shim, key, body, status):
    answer = shim.post("/v1/sync-runs", key, body)
    assert (answer.status, list(answer.json())) == (status, ["error"])


def test_unknown_runs(shim, key):
    for method, path in (("GET", NO_ID), ("GET", "x"), ("POST", f"{NO_ID}/cancel")):
        answer = shim.request(method, f"/v1/sync-runs/{path}", key)
        assert (answer.status, answer.json()) == (404, {"error": "Sync run not found"})


def test_cancel_of_what_has_ended(shim, key, daemon):
    run_id = shim.post("/v1/connectors/bank/sync-now", key).json()["syncRun"]["id"]
    end(daemon.worker())
    while shim.get(f"/v1/sync-runs/{run_id}", key).json()["syncRun"]["finishedAt"] is None:
        pass
    answer = shim.post(f"/v1/sync-runs/{run_id}/cancel", key)
    assert (answer.status, answer.json()) == (409, {"error": "Sync run has ended already"})


def test_bound_key_and_runs(shim, key, bound, daemon, client):
    bobs = shim.post("/v1/connectors/mail/sync-now", key).json()["syncRun"]["id"]
    worker = daemon.worker()
    worker.attach()
    mail_id = client.get("/org/syncrun1/connector/mail", "org.syncrun1.Connector", "Id")
    assert shim.get("/v1/sync-runs", bound).json()["syncRuns"] == []
    assert shim.get(f"/v1/sync-runs/{bobs}", bound).status == 404
    assert shim.post(f"/v1/sync-runs/{bobs}/cancel", bound).status == 404
    assert shim.post("/v1/sync-runs", bound, {"connectorId": mail_id}).status == 404
    assert shim.post("/v1/connectors/mail/sync-now", bound).status == 404
    assert shim.post("/v1/connectors/off/sync-now", bound).status == 404
    worker.finish(1, outcome="succeeded")
    worker.exit()
    mine = shim.post("/v1/connectors/bank/sync-now", bound)
    assert mine.status == 201
    end(daemon.worker())
    assert [run["id"] for run in shim.get("/v1/sync-runs", bound).json()["syncRuns"]] == [mine.json()["syncRun"]["id"]]


# ---- Redbark


def test_connectors(shim, key, bound):
    listed = shim.get("/v1/connectors", key).json()
    assert [(c["name"], c["status"]) for c in listed["connectors"]] == [
        ("bank", "Active"), ("mail", "Active"), ("off", "Inactive")]
    assert [c["name"] for c in shim.get("/v1/connectors", bound).json()["connectors"]] == ["bank"]
    assert [c["name"] for c in shim.get("/v1/connectors?connection=my-bank", key).json()["connectors"]] == ["bank"]
    assert [c["name"] for c in shim.get("/v1/connectors?provider=other", key).json()["connectors"]] == []
    assert [c["name"] for c in shim.get("/v1/connectors?attention=true", key).json()["connectors"]] == []
    page = shim.get("/v1/connectors?limit=2", key).json()
    assert [c["name"] for c in page["connectors"]] == ["bank", "mail"]
    rest = shim.get(f"/v1/connectors?cursor={page['nextCursor']}", key).json()
    assert [c["name"] for c in rest["connectors"]] == ["off"]
    # It is of that list alone.
    assert shim.get(f"/v1/connections?cursor={page['nextCursor']}", key).status == 422
    for query in ("limit=0", "limit=201", "outcomes=31", "attention=maybe"):
        assert shim.get(f"/v1/connectors?{query}", key).status == 422
    assert shim.get("/v1/connectors/bank", key).json()["connector"]["name"] == "bank"
    for name, as_key in (("none", key), ("mail", bound)):
        answer = shim.get(f"/v1/connectors/{name}", as_key)
        assert (answer.status, answer.json()) == (404, {"error": "Connector not found"})
        assert shim.get(f"/v1/connectors/{name}/activity", as_key).status == 404


def test_activity(shim, key, daemon):
    assert shim.get("/v1/connectors/bank/activity", key).json() == {"activity": []}
    started = shim.post("/v1/connectors/bank/sync-now", key)
    assert started.status == 201
    (entry,) = shim.get("/v1/connectors/bank/activity", key).json()["activity"]
    assert (entry["id"], entry["status"]) == (started.json()["syncRun"]["id"], "Running")
    end(daemon.worker())
    while shim.get("/v1/connectors/bank/activity", key).json()["activity"][0]["status"] == "Running":
        pass
    assert shim.get("/v1/connectors/bank/activity?limit=1", key).json()["activity"][0]["status"] == "Success"
    assert shim.get("/v1/connectors/bank/activity?limit=0", key).status == 422


def test_sync_now_while_inactive(shim, key):
    answer = shim.post("/v1/connectors/off/sync-now", key)
    assert (answer.status, answer.json()) == (409, {"error": "Connector is inactive"})


def test_connections(shim, client, key, bound, daemon):
    assert [c["name"] for c in shim.get("/v1/connections", key).json()["connections"]] == ["my-bank"]
    assert shim.get("/v1/connections/my-bank", bound).json()["connection"]["name"] == "my-bank"
    answer = shim.post("/v1/connections/none/reconnect", key)
    assert (answer.status, answer.json()) == (404, {"error": "Connection not found"})
    bobs = add_key(client, "bob", user=BOB)
    assert shim.get("/v1/connections", bobs).json()["connections"] == []
    assert shim.post("/v1/connections/my-bank/reconnect", bobs).status == 404
    answer = shim.post("/v1/connections/my-bank/reconnect", key)
    assert (answer.status, answer.json()) == (202, {"syncRuns": [], "reconnecting": False})


def test_files_of_the_machine_are_for_who_manages_it(shim, client, daemon, key, bound):
    """A key with a user, and one that may only read, see no path of it, in no part of what there is about a connector."""
    (daemon.config / "connectors" / "broken.connector").write_text(f"[Connector]\nUser={ALICE}\nProvider=p\n[Run]\nTimeoutSec=x\n")
    client.manager("Reload")
    folder = str(daemon.config)
    reader = add_key(client, "reader", scopes=["sync:read", "sync:write"])
    alices = add_key(client, "alices", user=ALICE)
    for name in ("bank", "broken"):
        shown = shim.get(f"/v1/connectors/{name}", key).json()["connector"]
        assert shown["settingsPath"] == f"{folder}/connectors/{name}.connector" and shown["destination"]["target"]
        for other in (reader, alices, bound):
            hidden = shim.get(f"/v1/connectors/{name}", other).json()["connector"]
            assert list(hidden) == list(shown)
            assert (hidden["settingsPath"], hidden["destination"]["target"]) == (None, None)
            for path in ("/v1/connectors", f"/v1/connectors/{name}"):
                assert folder not in shim.get(path, other).body.decode()
    assert hidden["loadState"] == "bad-setting"
    assert shown["loadError"] == f"{folder}/connectors/{hidden['loadError']}"
    assert hidden["attention"]["message"] == hidden["loadError"]


def test_pages_of_connections(shim, client, daemon, key):
    daemon.add("mail", User=BOB, Connection="his-mail")
    client.manager("Reload")
    page = shim.get("/v1/connections?limit=1", key).json()
    assert [c["name"] for c in page["connections"]] == ["his-mail"]
    rest = shim.get(f"/v1/connections?limit=1&cursor={page['nextCursor']}", key).json()
    assert ([c["name"] for c in rest["connections"]], rest["nextCursor"]) == (["my-bank"], None)
    # It holds when what it is the name of is gone.
    daemon.add("mail", User=BOB)
    client.manager("Reload")
    assert shim.get(f"/v1/connections?cursor={page['nextCursor']}", key).json()["connections"] == rest["connections"]


def test_reconnect_of_a_shared_connection(shim, client, daemon, key, bound):
    """All that waited for it run, but a key that is bound to a user is told of that user's alone."""
    daemon.add("mail", User=BOB, Connection="my-bank")
    client.manager("Reload")
    for name in ("mail", "bank"):
        run_id = shim.post(f"/v1/connectors/{name}/sync-now", key).json()["syncRun"]["id"]
        end(daemon.worker(), outcome="failed", error="x", attention="consent_expired", attention_message="x")
        while shim.get(f"/v1/sync-runs/{run_id}", key).json()["syncRun"]["finishedAt"] is None:
            pass
    answer = shim.post("/v1/connections/my-bank/reconnect", bound)
    assert answer.status == 202
    active = {run["connector"]: run for run in client.describe("DescribeRuns", active=True)["runs"]}
    assert {name: run["trigger"] for name, run in active.items()} == {"bank": "reconnect", "mail": "reconnect"}
    assert answer.json() == {"syncRuns": [{"connectorName": "bank", "id": active["bank"]["id"], "alreadyActive": False}],
                             "reconnecting": False}


def test_connection_with_a_file(shim, client, daemon, key):
    daemon.write("connections/my-bank.connection", "[Connection]\nAccounts=giro\nConsentExpires=2020-01-01T00:00:00Z\n"
                 "[Reconnect]\nExecReconnect=/bin/true\n")
    client.manager("Reload")
    [connection] = shim.get("/v1/connections", key).json()["connections"]
    assert (connection["status"], connection["state"], connection["accounts"]) == ("Expired", "expired", ["giro"])
    assert (connection["since"], connection["consentExpiresAt"]) == ("2020-01-01T00:00:00Z", "2020-01-01T00:00:00Z")
    assert connection["reason"] == "The consent ended 2020-01-01T00:00:00Z."
    assert shim.get("/v1/connectors/bank", key).json()["connector"]["connections"] == [connection]
    path = "/v1/connections/my-bank"
    for status, says, result in ((3, {"result": "failed", "message": "Your bank says no"}, "failed"),
                                 (0, {"result": "success", "message": "Renewed"}, "success")):
        assert shim.post(f"{path}/reconnect", key).json() == {"syncRuns": [], "reconnecting": True}
        connection = shim.get(path, key).json()["connection"]
        assert [connection[f"reconnect{name}"] for name in ("ing", "Result", "Message", "FinishedAt")] == [True, None, None, None]
        daemon.worker().exit(status, says)
        while (connection := shim.get(path, key).json()["connection"])["reconnecting"]:
            pass
        assert (connection["reconnectResult"], connection["reconnectMessage"]) == (result, says["message"])
        assert connection["reconnectFinishedAt"].endswith("Z")
    assert connection["status"] == "Active"


def test_what_a_person_says_of_a_reconnection(shim, client, daemon, key):
    """A body that is not understood begins no program; one that says that it is done makes the connection active by itself."""
    daemon.write("connections/my-bank.connection", "[Reconnect]\nExecReconnect=/bin/true\n")
    client.manager("Reload")
    path = "/v1/connections/my-bank"
    for body, status in (("garbage", 400), ("{", 400), ("[]", 422), ("null", 422), ({"nonsense": 1}, 422), ({"expires": "2100-01-01T00:00:00Z"}, 422),
                         ({"done": 1}, 422), ({"done": "yes"}, 422), ({"consentExpiresAt": 5}, 422), ({"consentExpiresAt": "soon"}, 422),
                         ({"consentExpiresAt": "2100-01-01"}, 422), ({"consentExpiresAt": "1970-01-01T00:00:00Z"}, 422)):
        answer = shim.post(f"{path}/reconnect", key, body)
        assert (answer.status, list(answer.json())) == (status, ["error"]), body
    for body, end in (({"done": True}, None), ({"consentExpiresAt": "2100-01-01T02:00:00+01:00"}, "2100-01-01T01:00:00Z"),
                      ({"done": True, "consentExpiresAt": None}, "2100-01-01T01:00:00Z")):  # null says nothing of it
        answer = shim.post(f"{path}/reconnect", key, body)
        assert (answer.status, answer.json()) == (202, {"syncRuns": [], "reconnecting": False})
        connection = shim.get(path, key).json()["connection"]
        assert (connection["consentExpiresAt"], connection["reconnecting"], connection["reconnectResult"]) == (end, False, None)
    for body in ({}, {"done": False}):  # which says nothing; the one that runs is joined
        assert shim.post(f"{path}/reconnect", key, body).json()["reconnecting"]
    daemon.worker().exit()


def test_withdraw(shim, client, key):
    admin = add_key(client, "boss", scopes=["sync:read", "sync:admin"])
    path = "/v1/connections/my-bank/withdraw"
    assert shim.post(path, add_key(client, "writer", scopes=["sync:write"]), {}).status == 403
    assert shim.post(path, admin, {"deleteItems": 1}).status == 422
    assert shim.post("/v1/connections/none/withdraw", admin, {}).status == 404
    assert shim.post(path, admin, {"deleteItems": False}).status == 204
    connection = shim.get("/v1/connections/my-bank", admin).json()["connection"]
    assert (connection["state"], connection["reason"]) == ("withdrawn", "Withdrawn by key:boss.")
    assert shim.post("/v1/connectors/bank/sync-now", key).status == 409


# ---- Open Wearables


def test_recent(shim, key, reporter):
    reporter.say(*(f"e{i}" for i in range(250)))
    path = f"/api/v1/users/{ALICE}/sync/recent"
    expected = [f"e{i}" for i in reversed(range(250))] + ["first"]
    for query, n in (("", 50), ("?limit=1", 1), ("?limit=200", 200)):
        assert [event["message"] for event in shim.get(path + query, key).json()] == expected[:n]
    for query in ("limit=0", "limit=201"):
        assert shim.get(f"{path}?{query}", key).status == 422
    assert shim.get(f"/api/v1/users/{NOBODY}/sync/recent", key).json() == {"detail": "User not found"}


def test_runs(shim, key, bound, reporter):
    reporter.say("done", run="two", stage="completed", provider="oura")
    reporter.say("his", user=BOB, run="three")
    path = f"/api/v1/users/{ALICE}/sync/runs"

    def listed(where, as_key=key):
        return [run["message"] for run in shim.get(where, as_key).json()]

    assert listed(path) == ["done", "first"]
    assert list(shim.get(path, key).json()[0]) == [
        "run_id", "user_id", "provider", "source", "stage", "status", "message", "progress", "items_processed",
        "items_total", "error", "primary_user_id", "started_at", "ended_at", "last_update"]
    assert listed(f"{path}?provider=oura") == ["done"]
    assert listed(f"{path}?status=in_progress") == ["first"]
    assert listed(f"{path}?source=pull") == []
    assert listed(f"{path}?limit=1") == ["done"]
    for query in ("limit=0", "limit=201", "status=x", "source=x"):
        assert shim.get(f"{path}?{query}", key).status == 422
    assert shim.get(path.replace(ALICE, BOB), bound).json() == {"detail": "User not found"}

    assert listed("/api/v1/sync/runs") == ["his", "done", "first", "first"]
    assert listed(f"/api/v1/sync/runs?user_id={BOB}&limit=1") == ["his"]
    assert listed(f"/api/v1/sync/runs?user_id={NOBODY}") == []
    assert listed("/api/v1/sync/runs?provider=oura&status=success&source=sdk") == ["done"]
    assert listed("/api/v1/sync/runs", bound) == ["done", "first"]
    assert listed(f"/api/v1/sync/runs?user_id={BOB}", bound) == []
    for query in ("limit=0", "limit=10001", "user_id=x", "status=x"):
        assert shim.get(f"/api/v1/sync/runs?{query}", key).status == 422


def test_report(shim, key, client, reporter):
    path = f"/api/v1/users/{ALICE}/sync/events"
    event = reporter.event(message="one", run="reported")
    del event["user_id"]
    answer = shim.post(path, key, event)
    assert (answer.status, answer.json()) == (201, {"recorded": 1})
    answer = shim.post(path, key, [dict(event, message=f"m{i}", user_id=ALICE.upper()) for i in range(3)])
    assert (answer.status, answer.json()) == (201, {"recorded": 3})
    assert [e["message"] for e in shim.get(f"/api/v1/users/{ALICE}/sync/recent", key).json()] == ["m2", "m1", "m0", "one", "first"]
    (run,) = [r for r in client.describe("DescribeRuns", user=ALICE)["runs"] if r["id"].startswith("reported")]
    assert run["requested_by"] == "key:key"


@pytest.mark.parametrize("body, status", [
    ("", 400), ("{", 400), ("[1]", 422), ("1", 422), ('{"stage":1}', 422), (f'{{"user_id":"{BOB}"}}', 422),
    ('{"user_id":1}', 422), (json.dumps([{}] * 1001), 413), (json.dumps([{}] * 1000), 422),
])
def test_report_refuses(shim, key, body, status):
    answer = shim.post(f"/api/v1/users/{ALICE}/sync/events", key, body)
    assert (answer.status, list(answer.json())) == (status, ["detail"])


def test_report_needs_the_scope(shim, client, daemon):
    path = f"/api/v1/users/{ALICE}/sync/events"
    for scopes in (["sync:read"], ["sync:admin"]):
        key = add_key(client, scopes[0].replace(":", "-"), scopes=scopes)
        answer = shim.post(path, key, "{")
        assert (answer.status, answer.json()) == (403, {"detail": "API key not allowed to perform 'sync:write' action"})
    bobs = add_key(client, "bob", user=BOB)
    assert shim.post(path, bobs, {}).status == 422
    assert shim.post(path, bobs, []).status == 404
    assert shim.post(path, bobs, "{").status == 400


def test_c27_runs_behind_very_many_events_of_another(shim, key, reporter):
    """One busy run hides no other, nor the events that the replay of a filtered stream is asked for."""
    reporter.say("rare", run="rare", provider="rare", stage="failed", user=BOB)
    for _ in range(6):
        reporter.report(*(reporter.event(ALICE, run="busy") for _ in range(1000)))

    everyone = [run["run_id"] for run in shim.get("/api/v1/sync/runs?limit=10000", key).json()]
    assert everyone[:2] == [f"busy-{ALICE}", f"rare-{BOB}"] and f"run-{ALICE}" in everyone[2:]
    for query in ("provider=rare", "status=failed", f"user_id={BOB}&status=failed"):
        assert [run["run_id"] for run in shim.get(f"/api/v1/sync/runs?{query}", key).json()] == [f"rare-{BOB}"]
    assert f"run-{ALICE}" in [run["run_id"] for run in shim.get(f"/api/v1/users/{ALICE}/sync/runs", key).json()]
    for query in ("", f"&user_id={BOB}"):
        with shim.stream(f"/api/v1/sync/stream?provider=rare{query}", key) as stream:
            assert stream.event()[1]["message"] == "rare"


@pytest.mark.parametrize("path, words", [
    ("/v1/sync-runs?cursor=zzz", "cursor: this is not what a page before gave as nextCursor."),
    *((f"/v1/{what}?cursor={cursor}", "cursor: this is not what a page before gave as nextCursor.")
      for what in ("connectors", "connections") for cursor in ("Z.z", "zzz", "", "bank", "bank.", "bank.00000000", "." * 60)),
    ("/v1/sync-runs?connectorId=bank", "connectorId: Input should be a valid UUID"),
])
def test_refusals_name_the_parameter(shim, key, path, words):
    answer = shim.get(path, key)
    assert (answer.status, answer.json()) == (422, {"error": words})
