# SPDX-License-Identifier: LGPL-2.1-or-later
"""Requests that are made to hurt: each is answered as the table says, and the same server serves whoever comes next."""

import contextlib
import socket

import pytest
from harness import Client, Daemon, PrivateBus
from hostile import ANYTHING, CLOSE, KEY, TABLES, TOO_LATE, lines
from server import Shim, add_key, answers, read_to_end

CASES = {f"{table}: {name}": case for table, cases in TABLES.items() for name, case in cases.items()}
HALF_A_REQUEST = "pipeline: half a request behind one"


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    bus = PrivateBus()
    client = Client(bus.address)
    daemon = Daemon(bus, tmp_path_factory.mktemp("daemon"))
    daemon.start()
    yield bus, daemon, add_key(client)
    client.close()
    daemon.close()
    bus.close()


def serve(world, limits):
    """A server for many cases, that does not mind how often keys are wrong, and a key."""
    bus, daemon, key = world
    shim = Shim(bus, daemon.config, f"[Limits]\nFailuresPerMinute=infinity\nRequestsPerMinute=infinity\n{limits}")
    shim.start()
    yield shim, key
    shim.close()


SETTINGS = "HeadTimeoutSec={late}\nBodyTimeoutSec={late}\nBodyMaxBytes=262144\n[Server]\nKeepAliveSec=200ms\n"


@pytest.fixture(scope="module")
def patient(world):
    """It waits for those whom the machine holds up on their way to an answer."""
    yield from serve(world, SETTINGS.format(late="1min"))


@pytest.fixture(scope="module")
def served(world):
    """For those who may be cut: libmicrohttpd does not always see that a client says no more."""
    yield from serve(world, SETTINGS.format(late="2s"))


@pytest.fixture(scope="module")
def hasty(world):
    """For those that are to be too late."""
    yield from serve(world, "HeadTimeoutSec=200ms\nBodyTimeoutSec=200ms\n")


def filled(data, key):
    return data.replace(b"UPPER", key.upper().encode()).replace(b"KEY", key.encode())


def is_expected(seen, expected):
    if expected is ANYTHING:
        return all(200 <= status < 500 or status == 505 for status in seen)
    return seen in (expected if isinstance(expected, tuple) else [expected])


def waits_for_more(expected):
    return expected is ANYTHING or (isinstance(expected, tuple) and [] in expected)


@pytest.mark.parametrize("name", CASES)
def test_hostile(request, name):
    data, expected = CASES[name]
    shim, key = request.getfixturevalue("served" if waits_for_more(expected) or name == HALF_A_REQUEST else "patient")
    with shim.connect() as end:
        # It may have been refused, and the connection reset, already.
        with contextlib.suppress(OSError):
            end.sendall(filled(data, key))
            if waits_for_more(expected):
                end.shutdown(socket.SHUT_WR)
        seen = [status for status, _ in answers(read_to_end(end))]
    assert is_expected(seen, expected), seen
    assert shim.process.poll() is None
    assert answers(shim.raw(lines(b"GET /none HTTP/1.1", b"Host: x", CLOSE)))[0][0] == 404


@pytest.mark.parametrize("data", [
    b"", b"G", b"\r\n" * 100, b"GET / HTTP/1.1\r\nHost: x\r\nX-A: b\r\n", b"POST /v1/sync-runs HTTP/1.1\r\nHost: x\r\n" + KEY +
    b"\r\nContent-Length: 5\r\n\r\n{", b"POST /v1/sync-runs HTTP/1.1\r\nHost: x\r\n" + KEY + b"\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n",
], ids=["nothing", "a byte", "empty lines", "half a head", "half a body", "half a chunk"])
def test_who_goes_silent_is_cut(hasty, data):
    shim, key = hasty
    with shim.connect() as end:
        end.sendall(filled(data, key))
        assert [status for status, _ in answers(read_to_end(end))] == TOO_LATE


def test_who_is_slow_all_along_is_cut(hasty):
    """A byte now and then does not make a head last for ever."""
    shim, _ = hasty
    with shim.connect() as end:
        end.sendall(b"GET / HTTP/1.1\r\n")
        end.settimeout(0.02)
        data = b""
        while not data:
            with contextlib.suppress(TimeoutError):
                data = end.recv(100)
                break
            with contextlib.suppress(ConnectionError):
                end.sendall(b"X")
        assert data.startswith(b"HTTP/1.1 408 ")
