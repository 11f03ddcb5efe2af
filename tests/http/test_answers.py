# SPDX-License-Identifier: LGPL-2.1-or-later
"""Answers that are kept are what the daemon would answer: never one of before a commit, nor one with an event that is
too old."""

import time
from datetime import datetime

import pytest
from server import ALICE, BOB, add_key, deadline

RUNS = "/v1/sync-runs?limit=20"
RECENT = f"/api/v1/users/{ALICE}/sync/recent"


def n_kept(shim, key):
    return shim.metric(key, "syncrun_http_kept_answers_total")


def get_kept(shim, key, path, bound=None, **more):
    """An answer that was kept: what the daemon has to do besides is committed some time, and then it is."""
    until = deadline()
    while time.monotonic() < until:
        before = n_kept(shim, key)
        answer = shim.get(path, bound or key, **more)
        if n_kept(shim, key) > before:
            return answer
    raise AssertionError(f"{path} is never answered with what is kept")


@pytest.mark.parametrize("path", [RUNS, RECENT])
def test_an_answer_is_kept_as_it_was(shim, key, reporter, path):
    reporter.say("one", "two")
    asked = shim.get(path, key)
    kept = get_kept(shim, key, path)
    assert (kept.status, kept.body) == (200, asked.body)
    assert (kept.headers["ETag"], kept.headers["Content-Type"]) == (asked.headers["ETag"], asked.headers["Content-Type"])
    assert get_kept(shim, key, path, headers={"If-None-Match": kept.headers["ETag"]}).status == 304
    zipped = get_kept(shim, key, path, headers={"Accept-Encoding": "gzip"})
    assert zipped.headers.get("Content-Encoding") in (None, "gzip")


def test_what_is_committed_is_answered(shim, key, reporter):
    """Whoever has heard that it is committed, and by whatever way, finds it."""
    for i in range(100):
        message = f"number {i}"
        reporter.say(message, run=f"run-{i}")
        assert shim.get(RECENT, key).json()[0]["message"] == message
        assert shim.get(RUNS, key).json()["syncRuns"][0]["id"].startswith(f"run-{i}-")


def test_what_is_asked_for_makes_the_answer(shim, key, client, reporter):
    """`reporter` has said something of Alice and of Bob."""
    def ids(path=RUNS, bound=None):
        return [run["id"] for run in get_kept(shim, key, path, bound).json()["syncRuns"]]

    reporter.say("news", run="late")
    bound = add_key(client, "bob", user=BOB)
    assert sorted(ids()) == sorted([f"late-{ALICE}", f"run-{ALICE}", f"run-{BOB}"])
    assert ids(bound=bound) == [f"run-{BOB}"]
    assert ids("/v1/sync-runs?limit=1") == [f"late-{ALICE}"]
    assert shim.get(RECENT, bound).status == 404
    assert get_kept(shim, key, RECENT + "?limit=1").json() == get_kept(shim, key, RECENT).json()[:1]


def test_nothing_outlives_the_daemon(shim, daemon, key, client, reporter):
    for i in range(5):
        get_kept(shim, key, RECENT) if i else reporter.say("first")
        daemon.kill9()
        daemon.start()
        reporter.say(f"after {i}")
        assert shim.get(RECENT, key).json()[0]["message"] == f"after {i}"


def test_events_grow_too_old_without_a_commit(daemon, shim, key, reporter):
    daemon.write("syncrun.conf", "[History]\nEventsMaxAgeSec=1s\n")
    daemon.restart()
    reporter.say("one", "two", "three")
    until = deadline()
    while time.monotonic() < until:
        before = time.time()
        events = shim.get(RECENT, key).json()
        assert all(datetime.fromisoformat(event["timestamp"]).timestamp() + 1 >= before for event in events), events
        if not events:
            return
    raise AssertionError("events never grow too old")
