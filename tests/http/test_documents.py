# SPDX-License-Identifier: LGPL-2.1-or-later
"""The source documents beside the server: what is expected is read out of their own words (tests/data/documents), and
compared with what comes over the wire, byte for byte where the document has bytes."""

import json
import re
from pathlib import Path

import pytest
from server import ALICE

DOCUMENTS = Path(__file__).resolve().parents[1] / "data" / "documents"
USER = f"/api/v1/users/{ALICE}/sync"


def document(name):
    return (DOCUMENTS / f"{name}.txt").read_text()


def compact(value):
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def wait_for_end(shim, key, run_id):
    while shim.get(f"/v1/sync-runs/{run_id}", key).json()["syncRun"]["finishedAt"] is None:
        pass


def end_run(shim, key, daemon, reports=None, **finish):
    run_id = shim.post("/v1/connectors/bank/sync-now", key).json()["syncRun"]["id"]
    worker = daemon.worker()
    worker.attach()
    if reports:
        worker.report(1, **reports)
    worker.finish(2, **{"outcome": "succeeded", **finish})
    worker.exit()
    wait_for_end(shim, key, run_id)


# ---- Repo


@pytest.fixture
def repo():
    """Its examples: the list, and what a start answers."""
    text = document("repo-sync-runs")
    return [json.JSONDecoder().raw_decode(text, text.index(f'{{\n  "{key}"'))[0] for key in ("syncRuns", "syncRun")]


def expect_like(example, value):
    """Of the same type; a time in the document's form, with microseconds where there are any."""
    assert type(value) is type(example)
    if re.match(r"\d{4}-", str(example)):
        assert re.fullmatch(re.sub(r"\d", r"\\d", example)[:-1] + r"(\.\d{6})?Z", value)


def test_repo(shim, client, daemon, key, repo):
    """The document's own example happens: only ids and times are others."""
    listed, started = repo
    (example,) = listed["syncRuns"]
    bank = client.get("/org/syncrun1/connector/bank", "org.syncrun1.Connector", "Id")
    answer = shim.post("/v1/sync-runs", key, {"connectorId": bank})
    told = answer.json()["syncRun"]
    for name, value in started["syncRun"].items():
        expect_like(value, told[name])
    started["syncRun"].update(id=told["id"], connectorId=bank, createdAt=told["createdAt"])
    assert answer.body.decode() == compact(started)

    worker = daemon.worker()
    worker.attach()
    n, taken = example["itemsDiscovered"], example["itemsIngested"]
    worker.report(1, discovered=n, added=taken - 1, updated=1, deduped=n - taken)
    worker.finish(2, outcome="succeeded")
    worker.exit()
    wait_for_end(shim, key, told["id"])
    answer = shim.get("/v1/sync-runs", key)
    (run,) = answer.json()["syncRuns"]
    for name, value in example.items():
        expect_like(value, run[name])
    example.update({name: run[name] for name in ("id", "connectorId", "startedAt", "finishedAt", "createdAt")})
    assert example["connectorId"] == bank and example["id"] == told["id"]
    # What there is beyond the document comes behind it.
    text = compact(listed)
    assert answer.body.decode() == text.replace("}]}", ',"outcome":"succeeded"}],"nextCursor":null}')


def test_repo_words(shim, key):
    line = re.search(r"^status\nstring\n(.+)$", document("repo-sync-runs"), re.M)[1]
    words = re.findall(r"queued|running|succeeded|failed", line)
    assert "".join(words) == re.sub(r"\W", "", line)
    for word in words:
        assert shim.get(f"/v1/sync-runs?status={word}", key).status == 200
    refusal = shim.get("/v1/sync-runs?status=x", key)
    assert (refusal.status, re.findall(r"'(\w+)'", refusal.json()["error"])) == (422, words)


# ---- Open Wearables


WEARABLES = document("open-wearables-sync-status")
TYPES = {"string": str, "number": (int, float), "null": type(None), "SyncSource": str, "SyncStage": str, "SyncStatus": str}


def test_wearables_event(shim, key, reporter):
    """Each field that the document has, in its order, of its types; and all words of its enumerations."""
    rows = [line.split(" | ") for line in WEARABLES.partition("|---|---|---|\n")[2].partition("\nStreaming")[0].splitlines()]
    reporter.say("plain")
    reporter.say("all", stage="started", started_at="2026-05-30T20:00:00Z", progress=0.5, items_processed=1, items_total=2)
    events = shim.get(f"{USER}/recent", key).json()
    for event in events:
        names = [row[0] for row in rows]
        assert [name for name in event if name in names] == names
        for name, *types, _ in rows:
            assert any(isinstance(event[name], TYPES[kind]) for kind in types), name
    words = {row[0]: re.search(r"One of (.+?)\.( |$)", row[-1])[1].split(", ") for row in rows if "One of" in row[-1]}
    fits = {"completed": "success", "failed": "failed", "cancelled": "cancelled"}
    for n, source in enumerate(words["source"]):
        for stage in words["stage"]:
            body = reporter.event(run=f"{n}-{stage}", stage=stage, source=source, status=fits.get(stage, "in_progress"))
            assert shim.post(f"{USER}/events", key, body).status == 201, (source, stage)
    assert set(fits.values()) | {"in_progress", "partial"} == set(words["status"])
    for name in ("source", "stage", "status"):
        assert shim.post(f"{USER}/events", key, reporter.event(**{name: "nonsense"})).status == 422


def test_wearables_parameters(shim, key, reporter):
    """Where nothing is said, and at the ends of each range. (Of runs, 200 are given where the document has 50: C3.)"""
    rows = re.findall(r"^(\w+) \| integer \| (\d+) \| (\d+)\.\.(\d+) ", WEARABLES, re.M)
    reporter.report(*(reporter.event(message=f"e{i}", run=f"r{i}") for i in range(60)))
    for path, (name, usual, least, most) in zip(("stream", "recent", "runs"), rows, strict=True):
        for value, status in ((int(least) - 1, 422), (least, 200), (most, 200), (201, 422)):
            assert shim.request("HEAD", f"{USER}/{path}?{name}={value}", key).status == status, (path, value)
        if path == "stream":
            with shim.stream(f"{USER}/{path}", key) as stream:
                assert stream.messages(int(usual)) == [f"e{i}" for i in range(60 - int(usual), 60)]
        else:
            assert len(shim.get(f"{USER}/{path}", key).json()) == int(usual)


def test_wearables_stream(shim, key, reporter):
    """Its lines as the document has them, with an id between the two of an event."""
    connected, event = re.search(r"\n(: connected)\)", WEARABLES)[1], re.search(r"\n(event: sync\.status),data: <json>", WEARABLES)[1]
    recent = shim.get(f"{USER}/recent", key).body.decode()
    with shim.stream(f"{USER}/stream", key) as stream:
        seq, _ = stream.event()
        assert b"".join(stream.chunks).decode() == f"{connected}\n\n{event}\nid: {seq}\ndata: {recent[1:-1]}\n\n"


# ---- Redbark


REDBARK = document("redbark-sync-history")


def words_of(title):
    """The first column of a table whose cells stand without anything between them."""
    lines = REDBARK.partition(f"{title}Description\n")[2].splitlines()
    found = [re.match(r"([A-Z][a-z]+(?: [a-z]+)?)[A-Z]", line) for line in lines]
    return [match[1] for match in found[:next((i for i, match in enumerate(found) if not match), len(found))]]


def test_redbark_feed(shim, key, daemon):
    running, success, failed = words_of("Run status")
    # The table of accounts begins where that of runs ends.
    assert words_of("Per-account status") == [success, failed, "No data"]
    accounts = [{"account": f"a{i}", "status": status} for i, status in enumerate(("success", "failed", "no_data"))]
    end_run(shim, key, daemon, {"accounts": accounts})
    end_run(shim, key, daemon, outcome="failed", error="x")
    assert shim.post("/v1/connectors/bank/sync-now", key).status == 201
    feed = shim.get("/v1/connectors/bank/activity", key).json()["activity"]
    assert [run["status"] for run in feed] == [running, failed, success]
    assert [row["status"] for row in feed[2]["accounts"]] == words_of("Per-account status")
    cap = int(re.search(r"most recent (\d+) entries", REDBARK)[1])
    assert [shim.get(f"/v1/connectors/bank/activity?limit={n}", key).status for n in (cap, cap + 1)] == [200, 422]


def test_redbark_attention(shim, key, daemon):
    titles = re.findall(r"• (.+?) — ", REDBARK)
    slugs = ["destination_auth_expired", "connection_lost", "consent_expired", "consent_withdrawn", "configuration_error",
             "destination_deleted", "data_error"]
    seen = []
    for slug in slugs:
        end_run(shim, key, daemon, outcome="failed", error="x", attention=slug, attention_message="x")
        shown = shim.get("/v1/connectors/bank", key).json()["connector"]
        assert (shown["status"], shown["attention"]["category"]) == ("Needs attention", slug)
        seen.append(shown["attention"]["title"])
    assert list(dict.fromkeys(seen)) == titles
