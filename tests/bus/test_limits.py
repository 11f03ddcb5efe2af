# SPDX-License-Identifier: LGPL-2.1-or-later
"""Limits of what the daemon says at a time, and of what it has under way: at the limit, and one above."""

import json
import re
import threading

import pytest
from harness import MANAGER, TIMEOUT_SEC, CallError, options, wait_for
from receiver import answer
from webhooks import USER

DESCRIBE_BYTES_MAX = 16 * 1024 * 1024
REPO_EVENTS_MAX = 200
CONNECTIONS_KEPT_MAX = 64
DUE_AT_ONCE_MAX = 64
METADATA = {"a": "x" * 16300}
AT_A_TIME = 200


def report(client, number, metadata=None):
    """So many events more of one run."""
    event = {"run_id": "r", "user_id": USER, "provider": "garmin", "source": "sdk", "stage": "fetching", "status": "in_progress"}
    for done in range(0, number, AT_A_TIME):
        events = [{**event, "message": f"m{i}", **({"metadata": metadata} if metadata else {})} for i in range(done, min(done + AT_A_TIME, number))]
        client.manager("ReportEvents", "(s)", json.dumps(events))


def test_bytes_of_a_description(daemon, client):
    """As many events as come just below the limit, and one more."""
    report(client, 1 + DESCRIBE_BYTES_MAX // len(json.dumps(METADATA)), METADATA)

    def describe(limit):
        try:
            return len(client.manager("DescribeEvents", "(a{sv})", options(limit=limit)).encode()), None
        except CallError as error:
            assert error.name == "LimitExceeded", error
            return int(re.search(r"has (\d+) bytes", error.message)[1]), error

    first = DESCRIBE_BYTES_MAX // (describe(101)[0] - describe(100)[0])
    most = max(limit for limit in range(first - 2, first + 2) if not describe(limit)[1])
    assert describe(most)[0] <= DESCRIBE_BYTES_MAX < describe(most + 1)[0]


@pytest.mark.parametrize("number", [REPO_EVENTS_MAX, REPO_EVENTS_MAX + 1])
def test_events_of_one_run(daemon, client, number):
    report(client, number)
    told = json.loads(client.manager("DescribeRuns", "(a{sv})", options(view="repo", id="r")))["syncRun"]["events"]
    assert [event["message"] for event in told] == [f"m{i}" for i in range(number)][-REPO_EVENTS_MAX:]


class Held:
    """Answers when all have asked that were expected."""

    def __init__(self, number):
        self.barrier = threading.Barrier(number)

    def __call__(self, connection, closing):
        self.barrier.wait(TIMEOUT_SEC)
        answer()(connection, closing)


@pytest.mark.parametrize("number", [CONNECTIONS_KEPT_MAX, CONNECTIONS_KEPT_MAX + 1])
def test_requests_at_once_and_connections_that_are_kept(begin, receivers, client, number):
    """All that may be under way are, though one look at what is due begins DUE_AT_ONCE_MAX; and the next ones go over the
    connections that were kept."""
    assert DUE_AT_ONCE_MAX == CONNECTIONS_KEPT_MAX
    receiver = receivers(then=Held(number))
    webhooks = begin(more=f"MaxRequests={number}\nMaxRequestsPerEndpoint={number}")
    webhooks.add(receiver.url(), types=["sync.completed"])
    for turn in range(2):
        client.manager("ReportEvents", "(s)", json.dumps([
            {"run_id": f"{turn}-{n}", "user_id": USER, "provider": "test", "source": "sdk", "stage": "completed", "status": "success"}
            for n in range(number)]))
        webhooks.wait_attempts((turn + 1) * number)
    wait_for(lambda: len(receiver.requests) == 2 * number, "all messages")
    assert len(receiver.connections) == number + max(0, number - CONNECTIONS_KEPT_MAX)
