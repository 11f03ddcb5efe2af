# SPDX-License-Identifier: LGPL-2.1-or-later
"""Many clients at the same moment: the bus lets a connection have 128 calls under way, and whoever comes later waits."""

import contextlib
import http.client
import json
import socket
import threading
import time

import pytest
from gi.repository import GLib
from harness import wait_for
from server import ALICE
from stand_in import KEY, StandIn, answer_of, ask

SENT = 96  # CLIENT_SENT_MAX
SENT_ALONE = 16  # CLIENT_SENT_ALONE_MAX
WAIT_SEC = 3  # CLIENT_WAIT_USEC
PRINCIPALS = 1024  # PRINCIPALS_MAX
SHARE = 16  # CLIENT_SENT_SHARE_MAX
LARGE = 1  # CLIENT_SENT_LARGE_MAX
RECENT = f"/api/v1/users/{ALICE}/sync/recent?limit="
RUN = "/v1/sync-runs/01980000-0000-7000-8000-000000000000"
RUNS = "/v1/sync-runs"
LIST = "/api/v1/sync/runs?limit="
SETTINGS = "[Limits]\nConnectionsMax=infinity\nConnectionsPerAddressMax=infinity\nRequestsPerMinute=infinity\n"


def get(path, key=KEY):
    return [f"GET {path} HTTP/1.1", "Host: x", f"X-API-Key: {key}"]


def other_key(n):
    return f"sk-{n:032x}"


def post(n, *headers):
    body = json.dumps([{"run_id": "r", "provider": "p", "source": "upload", "stage": "fetching", "status": "in_progress"}] * n).encode()
    return [f"POST /api/v1/users/{ALICE}/sync/events HTTP/1.1", "Host: x", *(headers or [f"X-API-Key: {KEY}"]),
            f"Content-Length: {len(body)}"], body


@contextlib.contextmanager
def asking(shim, n, lines, body=b"", local=False):
    """So many connections, each with this request on its way."""
    with contextlib.ExitStack() as stack:
        ends = [stack.enter_context(shim.connect(local)) for _ in range(n)]
        for end in ends:
            end.sendall("\r\n".join([*lines, "", ""]).encode() + body)
        yield ends


def statuses(ends):
    return {int(end.recv(65536).split()[1]) for end in ends}


def read_answer(end):
    response = http.client.HTTPResponse(end)
    response.begin()
    return response.status, response.headers, json.loads(response.read())


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
        self.limits = []  # of what was heard
        self.n_heard = 0
        super().__init__(address)  # it may be called from here on

    def on_call(self, method, invocation):
        if method == "CheckApiKey":
            invocation.return_value(GLib.Variant("(sass)", ("key", ["sync:read", "sync:write"], "")))
        else:
            answers = {"DescribeBytes": ("(ay)", (b"{}\0",)), "DescribeStatistics": ("(s)", ("{}",)),
                       "ReportEventsWithOptions": ("(t)", (1,))}
            self.n_heard += 1
            self.limits.append(invocation.get_parameters().unpack()[1].get("limit") if method == "DescribeBytes" else None)
            self.waiting.append((invocation, GLib.Variant(*answers[method])))

    def answer(self, which=0):
        invocation, value = self.waiting.pop(which)
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


@contextlib.contextmanager
def all_turns_taken(shim, slow):
    """By as many keys as it takes."""
    with contextlib.ExitStack() as stack:
        ends = []
        for n in range(SENT // SHARE):
            ends += stack.enter_context(asking(shim, SHARE, get(RUNS, other_key(n))))
            expect_heard(shim, slow, len(ends))
        assert len(ends) == SENT
        yield ends


def answer_all(slow, n):
    for _ in range(n):
        wait_for(lambda: slow.waiting, "a call")
        slow.answer()


def test_so_many_are_on_their_way(new_shim, slow):
    """At the limit and above. A client that goes away makes no room as long as the bus counts its call."""
    shim = new_shim(SETTINGS)
    with all_turns_taken(shim, slow) as ends, asking(shim, 2, get(RUNS)) as later:
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
    with all_turns_taken(shim, slow) as ends, asking(shim, SENT_ALONE + 1, get("/metrics")) as others:
        wait_for(lambda: slow.n_heard == SENT + SENT_ALONE, "those that have turns of their own")
        slow.answer(SENT)
        wait_for(lambda: slow.n_heard == SENT + SENT_ALONE + 1, "the one above")
        while slow.waiting:
            slow.answer()
        assert statuses(ends) == {200} and len(others) == SENT_ALONE + 1


@pytest.mark.parametrize("path", [RUNS, RUN, LIST + "50"])
def test_so_many_of_a_key(new_shim, slow, path):
    """At the limit and above; others' come at once."""
    shim = new_shim(SETTINGS)
    with asking(shim, SHARE + 2, get(path)) as ends:
        expect_heard(shim, slow, SHARE)
        with asking(shim, 1, get(path, other_key(1))) as other:
            expect_heard(shim, slow, SHARE + 1)
            slow.answer()
            expect_heard(shim, slow, SHARE + 2)
            answer_all(slow, SHARE + 2)
            assert statuses(ends) == statuses(other) == {200}


def test_keys_take_turns(new_shim, slow):
    """Whoever has most waiting is not before who came later with little."""
    shim = new_shim(SETTINGS)
    assert answer_of(ask(shim, "GET", "/v1/session")).status == 200  # it is known from here on
    with all_turns_taken(shim, slow), asking(shim, 3, get(RUNS + "?limit=3", other_key(0))), \
         asking(shim, 1, get(RUNS + "?limit=7")):
        expect_heard(shim, slow, SENT)
        for n in range(2):
            slow.answer()
            expect_heard(shim, slow, SENT + n + 1)
        assert 7 in slow.limits


@pytest.mark.parametrize(("large", "small_one"), [
    (LIST + "51", LIST + "50"), (LIST + "10000", LIST + "50"), ("/v1/connections", RUNS), (RECENT + "51", RECENT + "50")])
def test_so_many_large_answers_of_a_key(new_shim, slow, large, small_one):
    """They are told one after the other, and hold up nothing else: neither other requests of the key nor lists of another."""
    shim = new_shim(SETTINGS)
    with asking(shim, LARGE, get(large)) as first:
        expect_heard(shim, slow, LARGE)
        with asking(shim, 3, get(large)) as later:
            expect_heard(shim, slow, LARGE)
            with asking(shim, 3, get(small_one)) as small, asking(shim, 3, get(large, other_key(1))) as others:
                expect_heard(shim, slow, LARGE + 3 + LARGE)
                # Who has gone counts as long as the daemon works for him.
                first[0].close()
                expect_heard(shim, slow, LARGE + 3 + LARGE)
                slow.answer()
                expect_heard(shim, slow, LARGE + 3 + LARGE + 1)
                answer_all(slow, LARGE + 3 + 3 + 3 - 1)
                assert statuses(later) == statuses(small) == statuses(others) == {200}
            assert slow.n_heard == LARGE + 3 + 3 + 3


def test_large_lists_over_the_end_of_the_daemon(new_shim, bus, slow):
    """Those that it has not answered are told by the next one, one after the other as before."""
    shim = new_shim(SETTINGS)
    with asking(shim, 5, get(LIST + "1000")) as ends:
        expect_heard(shim, slow, LARGE)
        slow.close()
        after = Slow(bus.address)
        expect_heard(shim, after, LARGE)
        for n in range(5):
            wait_for(lambda: len(after.waiting) == min(LARGE, 5 - n), "calls")
            after.answer()
        assert statuses(ends) == {200}
        assert after.n_heard == 5
        after.close()


def test_so_many_large_reports_of_a_key(new_shim, slow):
    """Of more than 50 events; smaller ones do not wait for them."""
    shim = new_shim(SETTINGS)
    with asking(shim, 3, *post(51)) as large:
        expect_heard(shim, slow, LARGE)
        with asking(shim, 3, *post(50)) as small:
            expect_heard(shim, slow, LARGE + 3)
            answer_all(slow, 6)
            assert statuses(large) == statuses(small) == {201}


def test_who_has_gone_has_no_turn(new_shim, slow):
    """Nothing is done for those who went while they waited, over AF_UNIX, where that is known at once."""
    shim = new_shim(SETTINGS)
    with asking(shim, LARGE, get(LIST + "1000")) as first:
        expect_heard(shim, slow, LARGE)
        with asking(shim, 20, get(LIST + "1000"), local=True) as waiting, asking(shim, 1, get(LIST + "1001")) as last:
            expect_heard(shim, slow, LARGE)
            for end in waiting:
                end.close()
            slow.answer()
            expect_heard(shim, slow, LARGE + 1)
            assert slow.limits[-1] == 1001
            slow.answer()
            assert statuses(first) == statuses(last) == {200}
            assert slow.n_heard == LARGE + 1


def test_who_has_closed_his_side_may_wait_for_a_while(new_shim, slow):
    """As `nc -N` does; over TCP that looks like having gone. He is asked for; whether the library writes to him is its matter."""
    shim = new_shim(SETTINGS)
    with asking(shim, LARGE, get(LIST + "1000")) as first:
        expect_heard(shim, slow, LARGE)
        begin = time.monotonic()
        with asking(shim, 1, get(LIST + "1001")) as waiting:
            expect_heard(shim, slow, LARGE)
            waiting[0].shutdown(socket.SHUT_WR)
            slow.answer()
            wait_for(lambda: slow.waiting or time.monotonic() > begin + WAIT_SEC, "his turn")
            assert statuses(first) == {200}
            assert slow.waiting or time.monotonic() > begin + WAIT_SEC
            if slow.waiting:
                slow.answer()


def test_a_key_that_is_revoked_while_its_requests_wait(new_shim, slow):
    """What is answered after that is for nobody, and what has not been asked yet is not asked."""
    shim = new_shim(SETTINGS)
    with asking(shim, 1, get(LIST + "1000")) as first, contextlib.ExitStack() as stack:
        expect_heard(shim, slow, LARGE)
        later = stack.enter_context(asking(shim, 2, get(LIST + "1000")))
        slow.answer()
        assert statuses(first) == {200}
        wait_for(lambda: slow.waiting, "the next")
        slow.client.bus.emit_signal(None, "/org/syncrun1", "org.syncrun1.Manager", "ApiKeyRevoked", GLib.Variant("(s)", ("key",)))
        slow.answer()
        for end in later:
            status, headers, body = read_answer(end)
            assert (status, body) == (401, {"detail": "Invalid or missing API key"})
            assert headers["WWW-Authenticate"].startswith("Bearer ")
        assert slow.n_heard == 2
        assert "Refused GET /api/v1/sync/runs from 127.0.0.1: unknown-key, key key." in shim.log()


def test_a_session_that_ends_while_its_requests_wait(new_shim, slow):
    """What it reports is not recorded any more."""
    shim = new_shim(SETTINGS)
    cookie = answer_of(ask(shim, "POST", "/v1/session", {"key": KEY})).headers["Set-Cookie"].partition(";")[0]
    sent = [f"Cookie: {cookie}", "X-Syncrun-Page: 1"]
    with asking(shim, LARGE, *post(51, *sent)) as first:
        expect_heard(shim, slow, LARGE)
        with asking(shim, 2, *post(51, *sent)) as later:
            expect_heard(shim, slow, LARGE)
            with asking(shim, 1, ["DELETE /v1/session HTTP/1.1", "Host: x", *sent]) as ending:
                assert statuses(ending) == {204}
            slow.answer()
            assert statuses(first) == {201}
            for end in later:
                status, headers, body = read_answer(end)
                assert (status, body) == (401, {"detail": "The session has ended"})
                assert headers["WWW-Authenticate"].startswith("Bearer ")
                assert headers["Set-Cookie"].startswith("syncrun_session=; ")
            assert slow.n_heard == LARGE
