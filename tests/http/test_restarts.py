# SPDX-License-Identifier: LGPL-2.1-or-later
"""The daemon, the bus's answers and the server itself come and go under requests and streams."""

import sqlite3
import threading
import time

import pytest
from gi.repository import GLib
from harness import TIMEOUT_SEC, Client, frozen, wait_for
from server import ALICE, add_key, deadline
from stand_in import StandIn

RUNS = "/v1/sync-runs"
WAIT_SEC = 3  # CLIENT_WAIT_USEC
PATH = f"/api/v1/users/{ALICE}/sync/stream"
ALL = "/api/v1/sync/stream"


def in_background(function):
    """A thread that runs it, and the list that gets its result."""
    results = []
    thread = threading.Thread(target=lambda: results.append(function()))
    thread.start()
    return thread, results


def test_requests_wait_for_the_daemon(shim, daemon, key):
    """As soon as this machine starts one in the time for which they wait."""
    assert shim.get(RUNS, key).status == 200
    until, in_time = deadline(), False
    while not in_time:
        assert time.monotonic() < until
        daemon.kill9()
        begun = time.monotonic()
        thread, results = in_background(lambda: shim.get(RUNS, key))
        daemon.start()
        in_time = time.monotonic() - begun < WAIT_SEC
        thread.join()
        assert results[0].status == 200 or (not in_time and results[0].status == 503)


def test_requests_do_not_wait_for_ever(shim, daemon, key):
    assert shim.get(RUNS, key).status == 200
    daemon.stop()
    threads = [in_background(lambda path=path: shim.get(path, key)) for path in (RUNS, "/healthz", PATH)]
    for thread, results in threads:
        thread.join()
        assert (results[0].status, results[0].headers["Retry-After"]) == (503, "1")
    assert threads[0][1][0].json() == {"error": "Service is unavailable"}
    daemon.start()
    assert shim.get(RUNS, key).status == 200


def test_the_server_begins_before_the_daemon(new_shim, daemon, key):
    daemon.stop()
    shim = new_shim()
    assert shim.get("/none").status == 404
    daemon.start()
    assert shim.get(RUNS, key).status == 200


def test_streams_say_whether_the_daemon_is_there(shim, daemon, client, key, reporter):
    """At once, to those who are shown their heartbeats; the others get what they always did."""
    with shim.stream(ALL + "?replay=1&heartbeat=event", key) as page, shim.stream(ALL + "?replay=1", key) as other:
        for stream in (page, other):
            assert stream.messages(1) == ["first"]
        daemon.stop()
        assert page.block() == 'event: heartbeat\ndata: {"available":false}'
        daemon.start()
        assert page.block() == 'event: heartbeat\ndata: {"available":true}'
        daemon.add("bank", Enabled="no")
        client.manager("Reload")
        assert page.block() == "event: changed\ndata: {}"
        reporter.say("last")
        assert "last" in page.block() and "last" in other.block()


def test_an_absence_that_somebody_made_up(shim, key, client, reporter):
    """As anybody on the bus can, by sending it to the server by name."""
    with shim.stream(ALL + "?replay=1&heartbeat=event", key) as stream:
        assert stream.messages(1) == ["first"]
        owner = client.bus_call("GetNameOwner", "(s)", "org.syncrun1")
        gone = ("org.syncrun1", owner, "")
        client.forge(shim.process, "/org/freedesktop/DBus", "org.freedesktop.DBus.NameOwnerChanged", "(sss)", *gone)
        reporter.say("last")
        assert "last" in stream.block()


def test_streams_stay_open(shim, daemon, key, reporter):
    """Over ten kills under load: every event, in order, none twice."""
    streams = [shim.stream(PATH, key), shim.stream(PATH, key), shim.stream(ALL + f"?user_id={ALICE}", key)]
    for stream in streams:
        assert stream.messages(1) == ["first"]
    expected = []
    for i in range(10):
        batch = [f"{i}.{j}" for j in range(30)]
        reporter.say(*batch)
        daemon.kill9()
        daemon.start()
        expected += batch
    reporter.say("last")
    for stream in streams:
        assert stream.messages(len(expected) + 1) == [*expected, "last"]
        stream.close()


def test_events_while_the_server_did_not_hear(shim, daemon, key, reporter, bus):
    """What the daemon commits before the server knows that it is back comes out of the history."""
    with shim.stream(PATH, key) as stream:
        assert stream.messages(1) == ["first"]
        expected = []
        for i in range(5):
            daemon.stop()
            with frozen(shim.process):
                daemon.start()
                batch = [f"{i}.{j}" for j in range(700)]
                reporter.say(*batch)
                reporter.say(f"{i}.end")
            expected += [*batch, f"{i}.end"]
        assert stream.messages(len(expected)) == expected


def test_clients_resume_over_kills_of_the_server(shim, daemon, key, reporter):
    """The server is killed again and again; a client that comes back with its last id sees each event once."""
    done = threading.Event()
    seen = []

    def follow():
        last = 0
        while not done.is_set() or seen[-1:] != ["last"]:
            try:
                with shim.stream(f"{PATH}?last_event_id={last}", key) as stream:
                    while event := stream.event():
                        last = event[0]
                        seen.append(event[1]["message"])
                        if event[1]["message"] == "last":
                            return
            except (OSError, AssertionError, ValueError, IndexError):
                pass

    thread = threading.Thread(target=follow)
    thread.start()
    expected = ["first"]
    for i in range(8):
        batch = [f"{i}.{j}" for j in range(50)]
        reporter.say(*batch)
        expected += batch
        if i % 3 == 2:
            daemon.kill9()
            daemon.start()
        shim.kill9()
        shim.start()
    reporter.say("last")
    done.set()
    thread.join(TIMEOUT_SEC)
    assert seen == [*expected, "last"]


def test_a_stream_that_catches_up_over_a_kill(shim, daemon, key, reporter):
    last = reporter.last_id()
    for begin in range(0, 3000, 1000):
        reporter.say(*(f"e{i}" for i in range(begin, begin + 1000)))
    with shim.stream(f"{PATH}?last_event_id={last}", key, receive_buffer=4096) as stream:
        assert stream.messages(10) == [f"e{i}" for i in range(10)]
        daemon.kill9()
        daemon.start()
        reporter.say("live")
        assert stream.messages(2991) == [*(f"e{i}" for i in range(10, 3000)), "live"]


def test_streams_that_come_and_go_over_restarts(shim, daemon, key, reporter):
    """What the server asked for on behalf of streams that have gone is not told to those that come."""
    last, expected, seen = reporter.last_id(), [], []
    for i in range(6):
        stream = shim.stream(f"{PATH}?last_event_id={last}", key)
        assert stream.block() == ": connected"
        daemon.kill9()
        daemon.start()
        if i % 2:
            stream.close()
            stream = shim.stream(f"{PATH}?last_event_id={last}", key)
        batch = [f"{i}.{j}" for j in range(600)]
        reporter.say(*batch)
        expected += batch
        for _ in batch:
            last, event = stream.event()
            seen.append(event["message"])
        stream.close()
    assert seen == expected


# As in test_streams.py.
GAP = ": gap: some of the events since then are no longer kept"


@pytest.mark.parametrize("is_copy", [True, False], ids=["an older copy", "another with more"])
def test_another_history(shim, daemon, key, reporter, is_copy):
    """Streams are told, and sent what is new: of a copy what comes after it, of another history all that there is."""
    daemon.stop()
    history = daemon.state / "history.db"
    before = history.read_bytes()
    daemon.start()
    with shim.stream(PATH, key) as told, shim.stream(ALL, key) as wide:
        assert told.messages(1) == ["first"] and wide.messages(2) == ["first", "first"]
        reporter.say("old 1", "old 2")
        with shim.stream(PATH, key) as waits:
            assert told.messages(2) == wide.messages(2) == ["old 1", "old 2"]
            assert waits.messages(3) == ["first", "old 1", "old 2"]
            with frozen(shim.process):
                daemon.stop()
                history.write_bytes(before)
                new = ["new 1"]
                if not is_copy:
                    with sqlite3.connect(history) as database:
                        database.execute("UPDATE meta SET value = value / 2 WHERE name = 'history'")
                    database.close()
                    new = ["new 1", "new 2", "new 3", "new 4"]
                daemon.start()
                reporter.say(*new)
            for stream in (told, wide, waits):
                assert stream.block() == GAP
            # A stream that came to the new history in time is not told of another.
            with shim.stream(PATH, key) as later:
                assert later.messages(1 + len(new)) == ["first", *new]
                common = [] if is_copy else ["first"]
                for stream in (told, waits):
                    assert stream.messages(len(common + new)) == common + new
                assert wide.messages(len(2 * common + new)) == 2 * common + new
                reporter.say("live")
                for stream in (told, wide, waits, later):
                    assert stream.messages(1) == ["live"]


@pytest.mark.parametrize("is_copy", [True, False], ids=["an older copy", "a new one"])
def test_a_client_that_comes_back_to_another_history(shim, daemon, key, reporter, client, is_copy):
    """It was away when the history was replaced, and this one has more events than that had: it is told, has all that came
    since, and nothing twice; what it is told last it may come back with again."""
    history = daemon.state / "history.db"
    daemon.stop()
    before = history.read_bytes()
    daemon.start()
    reporter.say("old 1", "old 2")
    last = reporter.last_id()
    daemon.stop()
    if is_copy:
        history.write_bytes(before)
    else:
        history.unlink()
    daemon.start()
    if not is_copy:
        key = add_key(client)
    new = [f"new {i}" for i in range(20)]
    reporter.say(*new)
    for path in (PATH, ALL, f"{ALL}?provider=test"):
        with shim.stream(path, key, headers={"Last-Event-ID": str(last)}) as stream:
            assert stream.block() == ": connected"
            assert stream.block() == GAP
            assert stream.messages(len(new)) == new
    for restart in (False, True):
        if restart:
            daemon.restart()
        with shim.stream(PATH, key, headers={"Last-Event-ID": str(reporter.last_id())}) as stream:
            assert stream.block() == ": connected"
            reporter.say("live")
            block = stream.block()
            assert block.startswith("event: ") and '"live"' in block


def test_a_key_that_was_revoked_unheard(shim, daemon, client, key, reporter):
    """The signal was lost with the daemon: streams of the key end when the daemon is back."""
    other = add_key(client, "other")
    with shim.stream(PATH, other) as stream, shim.stream(PATH, key) as stays:
        assert stream.messages(1) == stays.messages(1) == ["first"]
        with frozen(shim.process):
            client.manager("RevokeApiKey", "(s)", "other")
            daemon.kill9()
            daemon.start()
        stream.rest()
        assert stream.ended
        reporter.say("more")
        assert stays.messages(1) == ["more"]


class WrongDaemon(StandIn):
    """What it is asked about keys it refuses, with this error."""

    METHODS = {"CheckApiKey": "s(sass)"}

    def __init__(self, address, error):
        super().__init__(address)
        self.n_asked = 0
        self.error = error

    def on_call(self, _method, invocation):
        self.n_asked += 1
        if self.error:
            invocation.return_dbus_error(self.error, "no")
        else:
            invocation.return_value(GLib.Variant("(sass)", ("key", [], "")))


@pytest.mark.parametrize("error", ["org.syncrun1.Error.Internal", "org.syncrun1.Error.NotAllowed",
                                   "org.freedesktop.DBus.Error.UnknownMethod", None])
def test_a_key_of_which_nobody_can_say(shim, daemon, bus, key, reporter, error):
    """A stream whose key cannot be checked after a restart ends, whatever the reason; its client comes back."""
    with shim.stream(PATH, key) as stream:
        assert stream.messages(1) == ["first"]
        daemon.stop()
        wrong = WrongDaemon(bus.address, error)
        wait_for(lambda: wrong.n_asked, "the question about the key")
        assert stream.rest() == []
        assert stream.ended
        wrong.client.close()
        daemon.start()
    with shim.stream(PATH, key) as stream:
        assert stream.messages(1) == ["first"]


def test_a_key_is_checked_again_and_holds(shim, daemon, client, key, reporter):
    """Its stream goes on over a restart, and ends when it is revoked after that."""
    with shim.stream(PATH, key) as stream:
        assert stream.messages(1) == ["first"]
        daemon.kill9()
        daemon.start()
        reporter.say("more")
        assert stream.messages(1) == ["more"]
        client.manager("RevokeApiKey", "(s)", "key")
        stream.rest()
        assert stream.ended


def test_what_changes_something_is_not_sent_twice(shim, daemon, key, client, reporter):
    """A call that the daemon died over is not repeated: it may have been recorded."""
    with frozen(daemon.process):
        thread, results = in_background(lambda: shim.post(PATH.replace("stream", "events"), key, reporter.event(message="once")))
        daemon.kill9()
    daemon.start()
    thread.join()
    messages = [event["event"]["message"] for event in client.describe("DescribeEvents", user=ALICE)["events"]]
    # By what is answered: it was done; nobody knows; it was not.
    assert messages.count("once") in {201: [1], 504: [0, 1], 503: [0]}[results[0].status]


def test_stopping_answers_what_waits(shim, daemon, key):
    assert shim.get(RUNS, key).status == 200
    with frozen(daemon.process):
        ends = [shim.connect() for _ in range(3)]
        for end in ends:
            end.sendall(f"GET {RUNS} HTTP/1.1\r\nHost: x\r\nX-API-Key: {key}\r\n\r\n".encode())
        assert shim.get("/none").status == 404
        assert shim.stop() == 0
    for end in ends:
        data = end.recv(65536)
        assert data.startswith(b"HTTP/1.1 503") and b"Service is stopping" in data
        assert end.recv(1) == b""
        end.close()


def test_the_bus_goes_away(new_shim, bus, daemon, key):
    """Without a bus there is nobody to ask, and the server stays."""
    shim = new_shim()
    assert shim.get(RUNS, key).status == 200
    bus.process.kill()
    bus.process.wait()
    daemon.process.wait()
    daemon.process = None
    assert shim.get("/none").status == 404
    assert shim.get(RUNS, key).status == 503
