# SPDX-License-Identifier: LGPL-2.1-or-later
"""What changes something, and is not answered: who is told to try again may do so, and nobody else is."""

import contextlib
import json

import pytest
from gi.repository import GLib
from harness import wait_for
from server import ALICE
from stand_in import KEY, StandIn, answer_of, ask

CONNECTOR = "c0000000-0000-4000-8000-000000000001"
UNSURE = "Service did not answer: whether this was done is not known"

WRITES = [
    ("StartRun", "POST", "/v1/sync-runs", {"connectorId": CONNECTOR}, "error"),
    ("StartRun", "POST", "/v1/connectors/bank/sync-now", None, "error"),
    ("WithdrawConsent", "POST", "/v1/connections/bank/withdraw", {}, "error"),
    ("ReportEventsWithOptions", "POST", f"/api/v1/users/{ALICE}/sync/events", [], "detail"),
    ("RemoveWebhookEndpoint", "DELETE", "/api/v1/webhooks/endpoints/ep_1", None, "detail"),
]
SYNC_NOW = ("POST", "/v1/connectors/bank/sync-now")


class SilentDaemon(StandIn):
    """It knows one key, answers the first reads, and says nothing when it is to change something, or all changes but one."""

    METHODS = {"CheckApiKey": "s(sass)", "StartRun": "sa{sv}(soba{sv})", "WithdrawConsent": "sa{sv}()",
               "ReportEventsWithOptions": "sa{sv}()", "RemoveWebhookEndpoint": "sa{sv}()", "DescribeBytes": "sa{sv}(ay)",
               "CancelRunWithOptions": "sa{sv}()"}

    def __init__(self, address, answered=()):
        super().__init__(address)
        self.heard = []
        self.answered = answered

    def on_call(self, method, invocation):
        self.heard.append(method)
        if method == "CheckApiKey":
            invocation.return_value(GLib.Variant("(sass)", ("key", ["sync:read", "sync:write", "sync:admin"], "")))
        elif method == "DescribeBytes" and self.heard.count(method) == 1:
            invocation.return_value(GLib.Variant("(ay)", (b"{}\0",)))
        elif method in self.answered:
            invocation.return_value(None)


@pytest.fixture
def silent(bus, daemon):
    daemon.stop()
    made = SilentDaemon(bus.address, answered=["CancelRunWithOptions"])
    yield made
    with contextlib.suppress(GLib.Error):
        made.close()


def ask_until(silent, last, shim, *request):
    """The same, when its last call to the daemon is there."""
    answers = ask(shim, *request)
    wait_for(lambda: silent.heard[-1:] == [last], last)
    return answers


def expect_unsure(answer, key="error"):
    assert (answer.status, answer.json(), answer.headers["Retry-After"]) == (504, {key: UNSURE}, None)


@pytest.mark.parametrize("member, method, path, body, key", WRITES, ids=[path for _, _, path, _, _ in WRITES])
def test_the_daemon_dies_over_it(new_shim, silent, member, method, path, body, key):
    answers = ask_until(silent, member, new_shim(), method, path, body)
    silent.close()
    expect_unsure(answer_of(answers), key)


def test_the_bus_dies_over_it(new_shim, bus, silent):
    answers = ask_until(silent, "StartRun", new_shim(), *SYNC_NOW)
    bus.process.kill()
    expect_unsure(answer_of(answers))


def test_the_server_stops_over_it(new_shim, silent):
    """Those who only read are told to come again."""
    shim = new_shim()
    writer = ask_until(silent, "StartRun", shim, *SYNC_NOW)
    assert answer_of(ask(shim, "GET", "/v1/connectors")).status == 200
    reader = ask(shim, "GET", "/v1/connectors")
    wait_for(lambda: silent.heard.count("DescribeBytes") == 2, "the second read")
    assert shim.stop() == 0
    expect_unsure(answer_of(writer))
    assert (answer_of(reader).status, reader[0].headers["Retry-After"]) == (503, "1")


def test_what_was_done_cannot_be_shown(new_shim, silent):
    """The run is cancelled, and the daemon dies before it has told how it is now."""
    answers = ask(new_shim(), "POST", "/v1/sync-runs/x/cancel")
    wait_for(lambda: silent.heard[-2:] == ["CancelRunWithOptions", "DescribeBytes"], "the last read")
    silent.close()
    expect_unsure(answer_of(answers))


def test_what_is_not_begun_may_be_tried_again(new_shim, silent):
    """The daemon dies before it was asked to change something."""
    shim = new_shim()
    assert answer_of(ask(shim, "GET", "/v1/connectors")).status == 200
    silent.close()
    answer = answer_of(ask(shim, *SYNC_NOW))
    assert (answer.status, answer.json(), answer.headers["Retry-After"]) == (503, {"error": "Service is unavailable"}, "1")
    assert "StartRun" not in silent.heard


def test_all_that_changes_something_says_so(new_shim, daemon):
    """/openapi.json has 504 where it may come, and nowhere else."""
    described = json.loads(new_shim().get("/openapi.json").body)
    for path, operations in described["paths"].items():
        for method, operation in operations.items():
            changes = method in ("post", "patch", "put", "delete") and path != "/v1/session"
            assert ("504" in operation["responses"]) == changes, (method, path)
