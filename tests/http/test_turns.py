# SPDX-License-Identifier: LGPL-2.1-or-later
"""Many clients at the same moment: the bus lets a connection have 128 calls under way, and whoever comes later waits."""

import contextlib
import json

import pytest
from gi.repository import GLib
from harness import wait_for
from server import ALICE
from stand_in import KEY, StandIn, answer_of, ask

SENT = 96  # CLIENT_SENT_MAX
RUNS = "/v1/sync-runs"
SETTINGS = "[Limits]\nConnectionsMax=infinity\nConnectionsPerAddressMax=infinity\nRequestsPerMinute=infinity\n"


@contextlib.contextmanager
def asking(shim, n, lines, body=b""):
    """So many connections, each with this request on its way."""
    with contextlib.ExitStack() as stack:
        ends = [stack.enter_context(shim.connect()) for _ in range(n)]
        for end in ends:
            end.sendall("\r\n".join([*lines, "", ""]).encode() + body)
        yield ends


def statuses(ends):
    return {int(end.recv(65536).split()[1]) for end in ends}


def test_many_at_once(new_shim, key, reporter):
    """None is refused, whatever it asks for."""
    shim = new_shim(SETTINGS + "[Streams]\nStreamsPerKeyMax=infinity\n")
    body = json.dumps(reporter.event(run="many")).encode()
    with asking(shim, 300, [f"POST /api/v1/users/{ALICE}/sync/events HTTP/1.1", "Host: x", f"X-API-Key: {key}",
                            f"Content-Length: {len(body)}"], body) as ends:
        assert statuses(ends) == {201}
    with asking(shim, 300, [f"GET /api/v1/users/{ALICE}/sync/stream HTTP/1.1", "Host: x", f"X-API-Key: {key}",
                            "Last-Event-ID: 1"]) as ends:
        assert statuses(ends) == {200}


class Slow(StandIn):
    """It answers when it is told to."""

    METHODS = {"CheckApiKey": "s(sass)", "DescribeBytes": "sa{sv}(ay)"}

    def __init__(self, address):
        super().__init__(address)
        self.waiting = []
        self.n_heard = 0

    def on_call(self, method, invocation):
        if method == "CheckApiKey":
            invocation.return_value(GLib.Variant("(sass)", ("key", ["sync:read"], "")))
        else:
            self.n_heard += 1
            self.waiting.append(invocation)

    def answer(self):
        self.waiting.pop(0).return_value(GLib.Variant("(ay)", (b"{}\0",)))


@pytest.fixture
def slow(bus, daemon):
    daemon.stop()
    made = Slow(bus.address)
    yield made
    made.close()


def expect_heard(shim, slow, n):
    """And no more: what the server has read before a request that it answers, it has acted on."""
    wait_for(lambda: slow.n_heard == n, f"{n} calls")
    for _ in range(2):
        assert answer_of(ask(shim, "GET", "/none")).status == 404
        assert answer_of(ask(shim, "GET", "/healthz")).status == 200
    assert slow.n_heard == n


def test_so_many_are_on_their_way(new_shim, slow):
    """At the limit and above. A client that goes away makes no room as long as the bus counts its call."""
    shim = new_shim(SETTINGS)
    lines = [f"GET {RUNS} HTTP/1.1", "Host: x", f"X-API-Key: {KEY}"]
    with asking(shim, SENT, lines) as ends:
        expect_heard(shim, slow, SENT)
        with asking(shim, 2, lines) as later:
            expect_heard(shim, slow, SENT)
            ends[0].close()
            expect_heard(shim, slow, SENT)
            slow.answer()
            expect_heard(shim, slow, SENT + 1)
            slow.answer()
            expect_heard(shim, slow, SENT + 2)
            while slow.waiting:
                slow.answer()
            assert statuses(ends[1:]) == statuses(later) == {200}
