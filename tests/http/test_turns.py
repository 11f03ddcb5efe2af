# SPDX-License-Identifier: LGPL-2.1-or-later
"""Many clients at the same moment: the bus lets a connection have 128 calls under way, and whoever comes later waits."""

import contextlib
import json
import threading

import pytest
from gi.repository import GLib
from harness import wait_for
from server import ALICE
from stand_in import KEY, StandIn, answer_of, ask

SENT = 96  # CLIENT_SENT_MAX
SENT_ALONE = 112  # CLIENT_SENT_ALONE_MAX
PRINCIPALS = 1024  # PRINCIPALS_MAX
SHARE = 1  # CLIENT_SENT_SHARE_MAX
SHARE_WAITING = 256  # CLIENT_CALLS_SHARE_MAX
RECENT = f"/api/v1/users/{ALICE}/sync/recent?limit="
RUN = "/v1/sync-runs/01980000-0000-7000-8000-000000000000"
RUNS = "/v1/sync-runs"
LIST = "/api/v1/sync/runs?limit="
SETTINGS = "[Limits]\nConnectionsMax=infinity\nConnectionsPerAddressMax=infinity\nRequestsPerMinute=infinity\n"


def get(path, key=KEY):
    return [f"GET {path} HTTP/1.1", "Host: x", f"X-API-Key: {key}"]


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

    METHODS = {"CheckApiKey": "s(sass)", "DescribeBytes": "sa{sv}(ay)", "DescribeStatistics": "(s)",
               "ReportEventsWithOptions": "sa{sv}(t)"}

    def __init__(self, address):
        self.waiting = []
        self.n_heard = 0
        super().__init__(address)  # it may be called from here on

    def on_call(self, method, invocation):
        if method == "CheckApiKey":
            invocation.return_value(GLib.Variant("(sass)", ("key", ["sync:read", "sync:write"], "")))
        else:
            answers = {"DescribeBytes": ("(ay)", (b"{}\0",)), "DescribeStatistics": ("(s)", ("{}",)),
                       "ReportEventsWithOptions": ("(t)", (1,))}
            self.n_heard += 1
            self.waiting.append((invocation, GLib.Variant(*answers[method])))

    def answer(self):
        invocation, value = self.waiting.pop(0)
        invocation.return_value(value)


@pytest.fixture
def slow(bus, daemon):
    daemon.stop()
    made = Slow(bus.address)
    yield made
    made.close()


class Generous(StandIn):
    """It knows every key."""

    METHODS = {"CheckApiKey": "s(sass)"}

    def __init__(self, address):
        self.n_asked = 0
        super().__init__(address)

    def on_call(self, method, invocation):
        self.n_asked += 1
        invocation.return_value(GLib.Variant("(sass)", ("key", ["sync:read"], "")))


def test_so_many_keys_are_known(new_shim, bus, daemon):
    """At the limit and above: the oldest is asked about again when it comes back."""
    daemon.stop()
    generous = Generous(bus.address)
    shim = new_shim()

    def come(numbers):
        """On one connection; how often the daemon is asked."""
        before = generous.n_asked
        with shim.connect() as end:
            for n in numbers:
                end.sendall(f"HEAD /v1/session HTTP/1.1\r\nHost: x\r\nX-API-Key: sk-{n:032x}\r\n\r\n".encode())
                data = b""
                while b"\r\n\r\n" not in data:
                    data += end.recv(4096)
                assert data.startswith(b"HTTP/1.1 200 ")
        return generous.n_asked - before

    def asked(*numbers):
        results = []
        threading.Thread(target=lambda: results.append(come(numbers))).start()
        wait_for(lambda: results, "the answers")
        return results[0]

    assert asked(*range(PRINCIPALS)) == PRINCIPALS
    assert asked(0, PRINCIPALS - 1) == 0
    assert asked(PRINCIPALS) == 1
    assert asked(1, 2, PRINCIPALS) == 0
    assert asked(0) == 1
    assert asked(2) == 0
    assert asked(1) == 1
    generous.close()


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
    lines = get(RUNS)
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


def test_so_many_with_those_that_wait_for_nothing(new_shim, slow):
    """Where all turns are taken, metrics have some of their own."""
    shim = new_shim(SETTINGS + "[Server]\nMetricsWithoutKey=yes\n")
    head = [" HTTP/1.1", "Host: x", f"X-API-Key: {KEY}"]
    with asking(shim, SENT, [f"GET {RUNS}{head[0]}", *head[1:]]) as ends:
        expect_heard(shim, slow, SENT)
        with asking(shim, SENT_ALONE - SENT + 1, [f"GET /metrics{head[0]}", *head[1:]]) as others:
            wait_for(lambda: slow.n_heard == SENT_ALONE, "those that have turns of their own")
            slow.answer()
            wait_for(lambda: slow.n_heard == SENT_ALONE + 1, "the one above")
            while slow.waiting:
                slow.answer()
            assert statuses(ends) == {200} and len(others) == SENT_ALONE - SENT + 1


@pytest.mark.parametrize(("large", "small_one"), [
    (LIST + "201", LIST + "200"), (LIST + "10000", LIST + "200"), ("/v1/connections", RUNS), (RECENT + "51", RECENT + "50"), (RUN, RUNS)])
def test_so_many_large_answers_of_a_key(new_shim, slow, large, small_one):
    """They are told one after the other, and hold up nothing else: neither other requests of the key nor lists of another."""
    shim = new_shim(SETTINGS)
    with asking(shim, SHARE, get(large)) as first:
        expect_heard(shim, slow, SHARE)
        with asking(shim, 3, get(large)) as later:
            expect_heard(shim, slow, SHARE)
            with asking(shim, 3, get(small_one)) as small, asking(shim, 3, get(large, KEY[:-1] + "f")) as others:
                expect_heard(shim, slow, SHARE + 3 + SHARE)
                # Who has gone counts as long as the daemon works for him.
                first[0].close()
                expect_heard(shim, slow, SHARE + 3 + SHARE)
                slow.answer()
                expect_heard(shim, slow, SHARE + 3 + SHARE + 1)
                for _ in range(SHARE + 3 + 3 + 3 - 1):
                    wait_for(lambda: slow.waiting, "a call")
                    slow.answer()
                assert statuses(later) == statuses(small) == statuses(others) == {200}
            assert slow.n_heard == SHARE + 3 + 3 + 3


def test_large_lists_over_the_end_of_the_daemon(new_shim, bus, slow):
    """Those that it has not answered are told by the next one, one after the other as before."""
    shim = new_shim(SETTINGS)
    with asking(shim, 5, get(LIST + "1000")) as ends:
        expect_heard(shim, slow, SHARE)
        slow.close()
        after = Slow(bus.address)
        expect_heard(shim, after, SHARE)
        for n in range(5):
            wait_for(lambda: len(after.waiting) == min(SHARE, 5 - n), "calls")
            after.answer()
        assert statuses(ends) == {200}
        assert after.n_heard == 5
        after.close()


def test_so_many_large_reports_of_a_key(new_shim, slow):
    """Of more than 50 events; smaller ones do not wait for them."""
    def post(n):
        body = json.dumps([{"run_id": "r", "provider": "p", "source": "upload", "stage": "fetching", "status": "in_progress"}] * n).encode()
        return [f"POST /api/v1/users/{ALICE}/sync/events HTTP/1.1", "Host: x", f"X-API-Key: {KEY}", f"Content-Length: {len(body)}"], body

    shim = new_shim(SETTINGS)
    with asking(shim, 3, *post(51)) as large:
        expect_heard(shim, slow, SHARE)
        with asking(shim, 3, *post(50)) as small:
            expect_heard(shim, slow, SHARE + 3)
            for _ in range(6):
                wait_for(lambda: slow.waiting, "a call")
                slow.answer()
            assert statuses(large) == statuses(small) == {201}


def test_so_many_of_a_key_wait(new_shim, slow):
    """At the limit and above: one key does not take the places of all."""
    shim = new_shim(SETTINGS)
    with asking(shim, SHARE_WAITING, get(LIST + "1000")) as ends:
        expect_heard(shim, slow, SHARE)
        with asking(shim, 1, get(LIST + "1000")) as above, asking(shim, 1, get(LIST + "1000", KEY[:-1] + "f")) as other:
            assert statuses(above) == {429}
            expect_heard(shim, slow, SHARE + SHARE)
            for _ in range(SHARE_WAITING + 1):
                wait_for(lambda: slow.waiting, "a call")
                slow.answer()
            assert statuses(ends) == statuses(other) == {200}


def test_a_key_that_is_revoked_while_its_requests_wait(new_shim, slow):
    """What is answered after that is for nobody."""
    shim = new_shim(SETTINGS)
    with asking(shim, 1, get(LIST + "1000")) as first, contextlib.ExitStack() as stack:
        expect_heard(shim, slow, SHARE)
        later = stack.enter_context(asking(shim, 2, get(LIST + "1000")))
        slow.answer()
        assert statuses(first) == {200}
        wait_for(lambda: slow.waiting, "the next")
        slow.client.bus.emit_signal(None, "/org/syncrun1", "org.syncrun1.Manager", "ApiKeyRevoked", GLib.Variant("(s)", ("key",)))
        for _ in range(2):
            wait_for(lambda: slow.waiting, "a call")
            slow.answer()
        assert statuses(later) == {401}
