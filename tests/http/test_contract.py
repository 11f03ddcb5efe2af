# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the source documents of the three surfaces say, by the ids of CONTRACT.md, over HTTP; and that the table there
names a test for each id, and tests that there are."""

import json
import re
from pathlib import Path

from server import ALICE, NOBODY, add_key

HERE = Path(__file__).resolve().parent
TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{6})?Z"
EVENT_KEYS = ["event_id", "run_id", "user_id", "provider", "source", "stage", "status", "message", "progress",
              "items_processed", "items_total", "error", "primary_user_id", "metadata", "started_at", "ended_at",
              "timestamp"]


def test_table():
    rows = re.findall(r"^\| ([ABC]\d+) \| .+? \| (.+) \|$", (HERE / "CONTRACT.md").read_text(), re.M)
    expected = [f"A{i}" for i in range(1, 13)] + [f"B{i}" for i in range(1, 14)] + [f"C{i}" for i in range(1, 36)]
    assert [name for name, _ in rows] == expected
    for name, tests in rows:
        named = re.findall(r"`([\w/.-]+):(\w+)`", tests)
        assert named, name
        for path, test in named:
            assert re.search(rf"\b{test}\(", (HERE.parent / path).read_text()), (name, path, test)


def test_b6_b8_b9_b11_b13_starting(shim, client, key, daemon):
    bank = client.get("/org/syncrun1/connector/bank", "org.syncrun1.Connector", "Id")
    fresh = shim.post("/v1/sync-runs", key, {"connectorId": bank})
    assert fresh.status == 201
    started = fresh.json()
    assert list(started) == ["syncRun", "alreadyActive"] and started["alreadyActive"] is False
    run = started["syncRun"]
    assert list(run) == ["id", "connectorId", "status", "fullResync", "createdAt"]
    assert (run["connectorId"], run["status"], run["fullResync"]) == (bank, "queued", False)
    assert re.fullmatch(TIME, run["createdAt"])
    worker = daemon.worker()
    worker.attach()
    # B13: a full resync that is asked for meanwhile gets the run that is there.
    again = shim.post("/v1/sync-runs", key, {"connectorId": bank, "fullResync": True})
    assert (again.status, again.json()["alreadyActive"]) == (202, True)
    assert (again.json()["syncRun"]["id"], again.json()["syncRun"]["fullResync"]) == (run["id"], False)
    assert shim.post("/v1/sync-runs", add_key(client, "reader", scopes=["sync:read"]), {"connectorId": bank}).status == 403


def test_b1_b2_b3_b12_list(shim, client, key, daemon):
    first, second = (shim.post(f"/v1/connectors/{name}/sync-now", key).json()["syncRun"]["id"] for name in ("bank", "mail"))
    listed = shim.get("/v1/sync-runs", key).json()
    assert list(listed) == ["syncRuns", "nextCursor"]
    assert [run["id"] for run in listed["syncRuns"]] == [second, first]
    for run in listed["syncRuns"]:
        assert list(run)[:10] == ["id", "connectorId", "status", "fullResync", "startedAt", "finishedAt", "itemsDiscovered",
                                  "itemsIngested", "errorMessage", "createdAt"]
        assert run["status"] in ("queued", "running") and run["finishedAt"] is None and run["errorMessage"] is None


def test_c11_c12_c15_c16_c17_events(shim, key, reporter):
    """Every key in its order, compact, unescaped, in UTC."""
    reporter.say("grüße", run="new", stage="started", progress=1, items_processed=0, metadata={"b": 1, "a": "ü"}, started_at="2026-05-30T22:00:00+02:00")
    text = shim.get(f"/api/v1/users/{ALICE}/sync/recent?limit=1", key).body.decode()
    (event,) = json.loads(text)
    assert list(event) == EVENT_KEYS
    assert '"message":"grüße"' in text and '"progress":1.0,"items_processed":0,"items_total":null,' in text
    assert '"metadata":{"b":1,"a":"ü"}' in text and '"started_at":"2026-05-30T20:00:00Z"' in text
    assert text == json.dumps(json.loads(text), ensure_ascii=False, separators=(",", ":"))
    assert re.fullmatch(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", event["event_id"])
    assert re.fullmatch(TIME, event["timestamp"]) and event["user_id"] == ALICE


def test_c20_c21_bytes_of_a_stream(shim, key, reporter):
    (event,) = json.loads(shim.get(f"/api/v1/users/{ALICE}/sync/recent", key).body)
    with shim.stream(f"/api/v1/users/{ALICE}/sync/stream", key) as stream:
        seq, told = stream.event()
        assert told == event
        data = json.dumps(event, ensure_ascii=False, separators=(",", ":"))
        assert b"".join(stream.chunks) == f": connected\n\nevent: sync.status\nid: {seq}\ndata: {data}\n\n".encode()
        assert [stream.headers[name] for name in ("Content-Type", "Cache-Control", "X-Accel-Buffering", "Connection")] == [
            "text/event-stream; charset=utf-8", "no-cache, no-transform", "no", "keep-alive"]


def test_c1_c2_c3_c4_bounds(shim, key, reporter):
    """Each limit at its bounds and one beyond."""
    user = f"/api/v1/users/{ALICE}/sync"
    for path, name, most in ((f"{user}/recent", "limit", 200), (f"{user}/runs", "limit", 200), ("/api/v1/sync/runs", "limit", 10000)):
        for value, status in ((0, 422), (1, 200), (most, 200), (most + 1, 422)):
            assert shim.get(f"{path}?{name}={value}", key).status == status, (path, value)
    for value, status in ((0, 422), (1, 200), (200, 200), (201, 422)):
        assert shim.request("HEAD", f"{user}/stream?replay={value}", key).status == status
    assert shim.get(f"/api/v1/sync/runs?user_id={NOBODY}", key).json() == []


def test_c5_c6_c7_c8_who_asks(shim, key, reporter):
    path = f"/api/v1/users/{ALICE}/sync/recent"
    for headers in ({"X-API-Key": key}, {"X-Open-Wearables-API-Key": key}, {"Authorization": f"Bearer {key}"}):
        assert shim.get(path, headers=headers).status == 200
    assert shim.get(path).json() == {"detail": "Authentication required: provide JWT token or API key"}
    assert shim.get(path, "sk-" + "0" * 32).json() == {"detail": "Invalid or missing API key"}
    assert shim.get(path.replace(ALICE, NOBODY), key).json() == {"detail": "User not found"}
