# SPDX-License-Identifier: LGPL-2.1-or-later
"""A key that is bound to a user never sees anything of another: on no route, in no stream, and not in the past of a
connector that has changed hands."""

import json
import re
import time
from pathlib import Path

import pytest
from server import ALICE, BOB, add_key

DOCUMENT = json.loads((Path(__file__).resolve().parents[2] / "src/http/openapi.json").read_text())
SECRET = "what-only-alice-may-know"


@pytest.fixture
def alice(client, daemon):
    return add_key(client, "alice", user=ALICE)


@pytest.fixture
def bob(client, daemon):
    return add_key(client, "bob", user=BOB)


def fail_run(shim, key, daemon, name):
    """A run that leaves as much behind as one can."""
    run_id = shim.post(f"/v1/connectors/{name}/sync-now", key).json()["syncRun"]["id"]
    worker = daemon.worker()
    worker.attach()
    end_run(worker)
    while shim.get(f"/v1/sync-runs/{run_id}", key).json()["syncRun"]["finishedAt"] is None:
        pass
    return run_id


def end_run(worker):
    worker.report(1, message=SECRET, accounts=[{"account": SECRET, "status": "failed", "error": SECRET, "discovered": 3}])
    worker.call("ReportDeliveries", "(sts)", worker.run, 2, json.dumps([{
        "id": f"datt_{worker.run}", "type": "records.synced", "url": "https://hooks.example.net", "duration_usec": 1000, "retry": 0,
        "records": 2, "succeeded": False, "http_status": 503, "started_usec": int(time.time() * 1000000), "error": SECRET, "answer": SECRET}]))
    worker.finish(3, outcome="failed", error=SECRET, attention="consent_expired", attention_message=SECRET)
    worker.exit()


def hand_over(daemon, client, name, user, restart):
    if restart:
        daemon.stop()
    daemon.add(name, User=user, Connection="my-bank")
    if restart:
        daemon.start()
    else:
        client.manager("Reload")


def see_all(shim, key, **names):
    """The text of every answer to a GET of the document, and of every stream from the beginning."""
    seen = {}
    for path, methods in DOCUMENT["paths"].items():
        if "get" not in methods or methods["get"].get("security") == []:
            continue
        url = re.sub(r"\{(\w+)\}", lambda m: names.get(m[1], "none"), path)
        if path.endswith("stream"):
            answer = None
            with shim.stream(url + "?last_event_id=0", key) as stream:
                if stream.status == 200:
                    # A word of this user's own is the last: what came before it is all there is.
                    answer = ""
                    while f'"run_id":"end-{names["user_id"]}"' not in answer:
                        answer += stream.block()
            seen[path] = answer
            continue
        for query in ("", "?outcomes=30") if path == "/v1/connectors" else ("",):
            answer = shim.get(url + query, key)
            seen[path + query] = answer.body.decode() if answer.status == 200 else None
    return seen


def sees_nothing(seen, *words):
    for path, text in seen.items():
        for word in words:
            assert not text or word not in text, (path, word, text)


@pytest.mark.parametrize("restart", [False, True])
def test_a_connector_that_changes_hands(shim, client, daemon, key, alice, bob, reporter, restart):
    run_id = fail_run(shim, key, daemon, "bank")
    before = shim.get("/v1/connectors/bank?outcomes=30", alice).json()["connector"]
    assert (before["status"], before["attention"]["message"], before["lastRun"]["id"]) == ("Needs attention", SECRET, run_id)
    hand_over(daemon, client, "bank", BOB, restart)
    reporter.say("end", user=BOB, run="end")
    seen = see_all(shim, bob, id=run_id, name="bank", user_id=BOB)
    sees_nothing(seen, SECRET, run_id, ALICE, "consent_expired", "Failed", "Expired")
    assert seen["/v1/sync-runs/{id}"] is None
    after = json.loads(seen["/v1/connectors/{name}"])["connector"]
    assert (after["status"], after["lastRun"], after["attention"], after["activeRunId"]) == ("Active", None, None, None)
    assert after["consecutiveFailures"] == 0
    assert json.loads(seen["/v1/connectors/{name}/activity"]) == {"activity": []}
    assert json.loads(seen["/v1/connectors/{name}/deliveries"]) == {"deliveries": []}
    for delivery in (f"datt_{run_id}", "datt_none"):
        answer = shim.post(f"/v1/connectors/bank/deliveries/{delivery}/resend", bob)
        assert (answer.status, answer.json()) == (404, {"error": "Delivery not found"})
    assert json.loads(seen["/v1/connectors?outcomes=30"])["connectors"][0]["outcomes"] == []
    assert shim.post(f"/v1/sync-runs/{run_id}/cancel", bob).status == 404
    # Who may see all, does; and what was hers stays hers.
    assert shim.get("/v1/connectors/bank/activity", key).json()["activity"][0]["id"] == run_id
    assert [run["id"] for run in shim.get("/v1/sync-runs", alice).json()["syncRuns"]].count(run_id) == 1
    # What he does from now on is nothing to her.
    his = fail_run(shim, bob, daemon, "bank")
    reporter.say("end", user=ALICE, run="end")
    sees_nothing(see_all(shim, alice, id=his, name="bank", user_id=ALICE), his, BOB)
    assert shim.get("/v1/connectors/bank", alice).status == 404
    assert shim.get("/v1/connectors/bank", bob).json()["connector"]["lastRun"]["id"] == his


def test_a_run_that_is_active_meanwhile(shim, client, daemon, key, alice, bob, reporter):
    run_id = shim.post("/v1/connectors/bank/sync-now", alice).json()["syncRun"]["id"]
    worker = daemon.worker()
    worker.attach()
    with shim.stream(f"/api/v1/users/{BOB}/sync/stream", bob) as his, shim.stream("/api/v1/sync/stream", bob) as all_of_his:
        assert his.messages(1) == all_of_his.messages(1) == ["first"]
        hand_over(daemon, client, "bank", BOB, restart=False)
        connector = shim.get("/v1/connectors/bank", bob).json()["connector"]
        assert (connector["status"], connector["activeRunId"]) == ("Active", None)
        assert shim.get("/v1/connectors/bank", key).json()["connector"]["activeRunId"] == run_id
        answer = shim.post("/v1/connectors/bank/sync-now", bob)
        assert (answer.status, answer.json()) == (429, {"error": "Too much is waiting already"})
        assert shim.post("/v1/sync-runs", bob, {"connectorId": connector["id"], "fullResync": True}).status == 429
        end_run(worker)
        while shim.get(f"/v1/sync-runs/{run_id}", alice).json()["syncRun"]["finishedAt"] is None:
            pass
        reporter.say("end", user=BOB, run="end")
        assert his.messages(1) == all_of_his.messages(1) == ["end"]
    seen = see_all(shim, bob, id=run_id, name="bank", user_id=BOB)
    sees_nothing(seen, SECRET, run_id, ALICE)
    connector = json.loads(seen["/v1/connectors/{name}"])["connector"]
    assert (connector["status"], connector["lastRun"], connector["consecutiveFailures"]) == ("Active", None, 0)
    assert shim.post("/v1/connectors/bank/sync-now", bob).status == 201


def test_nobodys_becomes_somebodys(shim, client, daemon, key, bob, reporter):
    """Nor does what happened while it was nobody's become his."""
    daemon.add("bank", Connection="my-bank")
    client.manager("Reload")
    run_id = fail_run(shim, key, daemon, "bank")
    hand_over(daemon, client, "bank", BOB, restart=False)
    reporter.say("end", user=BOB, run="end")
    sees_nothing(see_all(shim, bob, id=run_id, name="bank", user_id=BOB), SECRET, run_id)


def test_a_shared_connection(shim, client, daemon, key, alice, bob, reporter):
    """Two users at one bank: what the one's sync says of the connection is not told to the other."""
    daemon.add("mail", User=BOB, Connection="my-bank")
    client.manager("Reload")
    run_id = fail_run(shim, key, daemon, "bank")
    reporter.say("end", user=BOB, run="end")
    seen = see_all(shim, bob, id=run_id, name="my-bank", user_id=BOB)
    sees_nothing(seen, SECRET, run_id, ALICE, '"bank"')
    assert json.loads(seen["/v1/connections/{name}"])["connection"]["status"] == "Active"
    assert shim.get("/v1/connections/my-bank", alice).json()["connection"]["status"] == "Expired"


# ---- Ids of runs that reporters choose


def told(shim, key, user):
    """The runs of a user, as reporters know them."""
    return sorted(run["run_id"] for run in shim.get(f"/api/v1/users/{user}/sync/runs", key).json())


def test_ids_of_runs_are_each_users_own(shim, client, daemon, key, alice, bob, reporter):
    """A key with a user neither learns which ids others have, nor takes any away."""
    his = shim.post("/v1/connectors/mail/sync-now", bob).json()["syncRun"]["id"]
    worker = daemon.worker()
    worker.attach()
    path = "/api/v1/users/{}/sync/events"

    def post(as_key, user, run_id, **more):
        answer = shim.post(path.format(user), as_key, {**reporter.event(user), "run_id": run_id, **more})
        return answer.status, answer.body

    fresh = post(alice, ALICE, "x" * 128)
    assert fresh[0] == 201
    assert post(bob, BOB, "his") == fresh
    # Of a bound key, of one that sees all, of a connector, and one that nobody has: all the same to her.
    for run_id in ("his", f"run-{BOB}", his, "nobodys"):
        assert post(alice, ALICE, run_id) == fresh, run_id
        assert post(alice, ALICE, run_id, stage="completed", status="success") == fresh, run_id
        assert post(alice, ALICE, run_id)[0] == 409
    # And nobody is hindered by it.
    for run_id in ("his", f"run-{BOB}"):
        assert post(bob, BOB, run_id) == fresh
    assert post(key, BOB, "nobodys") == fresh
    assert told(shim, alice, ALICE) == sorted(["x" * 128, "his", f"run-{BOB}", his, "nobodys", f"run-{ALICE}"])
    assert told(shim, bob, BOB) == sorted(["his", f"run-{BOB}", his, "nobodys"])
    with shim.stream(f"/api/v1/users/{ALICE}/sync/stream?replay=1", alice) as stream:
        assert stream.event()[1]["run_id"] == "nobodys"
    ids = {run["id"] for run in shim.get("/v1/sync-runs", alice).json()["syncRuns"]}
    assert f"his@{ALICE}" in ids
    assert shim.get(f"/v1/sync-runs/his@{ALICE}", alice).status == 200
    assert shim.get("/v1/sync-runs/nobodys", alice).status == shim.get("/v1/sync-runs/none", alice).status == 404
    worker.finish(1, outcome="succeeded")
    worker.exit()


def test_whoever_reports_a_run_reports_the_same(shim, client, daemon, key, alice, reporter):
    """What was begun with the one key goes on with the other, of the same user."""
    events = f"/api/v1/users/{ALICE}/sync/events"
    for first, second, run_id in ((alice, key, "one"), (key, alice, "two")):
        for as_key, message in ((first, "a"), (second, "b")):
            assert shim.post(events, as_key, dict(reporter.event(ALICE, message), run_id=run_id)).status == 201
    assert told(shim, key, ALICE) == ["one", f"run-{ALICE}", "two"]
    for as_key in (alice, key):
        answer = shim.post(events, as_key, dict(reporter.event(ALICE), run_id=f"one@{ALICE}"))
        assert (answer.status, answer.json()) == (422, {"detail": "run_id: must not end in @ and a UUID"})
