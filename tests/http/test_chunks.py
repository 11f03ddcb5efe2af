# SPDX-License-Identifier: LGPL-2.1-or-later
"""Bodies in chunks that libmicrohttpd can not go on with: each of its turns would read all of them again."""

from time import monotonic

import pytest
from server import ALICE, deadline, read_to_end

EVENTS = f"/api/v1/users/{ALICE}/sync/events"
N = 20


@pytest.fixture
def patient(new_shim):
    """No deadline of a body's own ends one."""
    return new_shim("[Limits]\nBodyTimeoutSec=1h\nSendTimeoutSec=1h\n")


def begin(shim, key, chunk):
    end = shim.connect()
    end.sendall(f"POST {EVENTS} HTTP/1.1\r\nHost: x\r\nX-API-Key: {key}\r\nTransfer-Encoding: chunked\r\n\r\n".encode() + chunk)
    return end


@pytest.mark.parametrize("chunk", (b"0" * 6000, b"1;" + b"x" * 6000, b"2\r\n[]\r\n" + b"0" * 6000))
def test_a_chunk_that_does_not_begin_is_refused(patient, key, chunk):
    ends = [begin(patient, key, chunk) for _ in range(N)]
    for end in ends:
        # What was not read of it may take the last word away.
        assert read_to_end(end)[:13] in (b"HTTP/1.1 400 ", b"")
        end.close()


def test_clients_that_went_amid_a_chunk(patient, key):
    for end in [begin(patient, key, b"0" * 6000) for _ in range(N)]:
        end.close()
    until = deadline()
    while patient.metric(key, "syncrun_http_connections") > 1:
        assert monotonic() < until
    with begin(patient, key, b"1\r\n[\r\n") as end:
        end.sendall(b"1\r\n]\r\n0\r\n\r\n")
        assert end.recv(12) == b"HTTP/1.1 201"
