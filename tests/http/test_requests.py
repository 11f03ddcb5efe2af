# SPDX-License-Identifier: LGPL-2.1-or-later
"""HTTP itself: methods, conditions, compression, origins, keep-alive, bodies, sizes. Requests that are made to hurt: test_hostile.py."""

import contextlib
import gzip
import json
import os
import re
import socket
import struct
import subprocess
import time
from email.utils import parsedate_to_datetime

import pytest
from server import ALICE, TIMEOUT_SEC, answers, read_to_end

RUNS = "/v1/sync-runs"
ALL_RUNS = "/api/v1/sync/runs?limit=300"
RECENT = f"/api/v1/users/{ALICE}/sync/recent"


# ---- Methods


@pytest.mark.parametrize("path, allow", [
    (RUNS, "GET, HEAD, POST, OPTIONS"),
    (RUNS + "/x/cancel", "POST, OPTIONS"),
    (RECENT, "GET, HEAD, OPTIONS"),
    ("/healthz", "GET, HEAD, OPTIONS"),
])
def test_methods(shim, key, path, allow):
    wanted = set(allow.split(", "))
    for method in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "TRACE", "BREW"):
        answer = shim.request(method, path)
        if method not in wanted:
            assert (answer.status, answer.headers["Allow"]) == (405, allow), method
        else:
            assert answer.status in (401, 200), method
    answer = shim.request("OPTIONS", path)
    assert (answer.status, answer.headers["Allow"], answer.body) == (204, allow, b"")


def test_the_server_as_a_whole(shim):
    """OPTIONS * asks for nothing in particular; nothing else is asked of *."""
    with shim.connect() as end:
        end.sendall(b"OPTIONS * HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        data = read_to_end(end)
    assert data.startswith(b"HTTP/1.1 204") and b"\r\nAllow: GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS\r\n" in data
    for method in ("GET", "POST", "TRACE"):
        with shim.connect() as end:
            end.sendall(f"{method} * HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
            assert read_to_end(end).startswith(b"HTTP/1.1 400")


def test_unknown_paths(shim, key):
    for path in ("/v1", "/v1/sync-runs/", "/v1//sync-runs", "/V1/sync-runs", "/v1/sync-runs/a/b", "/v1/sync-runs%2F",
                 "/v1/sync-runs/../connectors", "/api", "/api/v1/users//sync/runs", "/" + "a/" * 15):
        for method in ("GET", "POST", "OPTIONS"):
            answer = shim.request(method, path, key)
            assert answer.status == 404, path
            assert list(answer.json()) == ["detail" if path.startswith("/api") else "error"]


def test_head(shim, key):
    get, head = shim.get(RUNS, key), shim.request("HEAD", RUNS, key)
    assert (head.status, head.body) == (200, b"")
    for name in ("Content-Length", "Content-Type", "ETag"):
        assert head.headers[name] == get.headers[name]


# ---- Conditions and compression


def test_conditions(shim, key, reporter):
    first = shim.get(RECENT, key)
    tag = first.headers["ETag"]
    for sent in (tag, f"W/{tag}", f'"other", {tag}', "*", f'"a" ,W/{tag} ', tag[:-1] + '-gzip"'):
        answer = shim.get(RECENT, key, headers={"If-None-Match": sent})
        assert (answer.status, answer.body, answer.headers["ETag"]) == (304, b"", tag), sent
    for sent in ('"other"', tag[1:], tag[:-2] + '"', "", tag[:-1]):
        assert shim.get(RECENT, key, headers={"If-None-Match": sent}).status == 200, sent
    reporter.say("new")
    answer = shim.get(RECENT, key, headers={"If-None-Match": tag})
    assert answer.status == 200 and answer.headers["ETag"] != tag
    # Not of what changes something, nor of errors.
    assert shim.get("/v1/none", key).headers["ETag"] is None
    assert shim.post(RECENT.replace("recent", "events"), key, reporter.event()).headers["ETag"] is None


@pytest.mark.parametrize("sent, compressed", [
    ("gzip", True), ("deflate, gzip;q=0.5", True), ("*", True), ("GZIP", True), ("gzip; q=0.001", True),
    ("identity", False), ("gzip;q=0", False), ("gzip;q=0.000, *", False), ("*;q=0", False), ("", False), ("xgzip", False),
])
def test_compression(shim, key, reporter, sent, compressed):
    reporter.say(*(f"e{i}" for i in range(20)))
    plain = shim.get(RECENT, key)
    answer = shim.get(RECENT, key, headers={"Accept-Encoding": sent})
    assert answer.headers["Vary"] == plain.headers["Vary"] == "Accept-Encoding"
    if compressed:
        assert answer.headers["Content-Encoding"] == "gzip"
        assert len(answer.body) < len(plain.body) / 4
        assert gzip.decompress(answer.body) == plain.body
        assert answer.headers["ETag"] == plain.headers["ETag"][:-1] + '-gzip"'
        again = shim.get(RECENT, key, headers={"Accept-Encoding": sent, "If-None-Match": answer.headers["ETag"]})
        assert again.status == 304
    else:
        assert answer.headers["Content-Encoding"] is None
        assert answer.body == plain.body


AT_ONCE = 128 * 1024  # GZIP_AT_ONCE_MAX


@pytest.mark.parametrize("n, sliced", [(6, False), (20, True)])
def test_large_answers_are_compressed_as_they_are_sent(shim, key, reporter, n, sliced):
    """Nobody waits until all of one is: how long it becomes is not known when it begins."""
    reporter.big(n)
    plain = shim.get(RECENT, key)
    assert (len(plain.body) > AT_ONCE) == sliced
    tag = plain.headers["ETag"][:-1] + '-gzip"'
    packed = shim.get(RECENT, key, headers={"Accept-Encoding": "gzip"})
    assert gzip.decompress(packed.body) == plain.body and packed.headers["ETag"] == tag
    assert (packed.headers["Content-Length"], packed.headers["Transfer-Encoding"]) == (
        (None, "chunked") if sliced else (str(len(packed.body)), None))
    assert shim.get(RECENT, key, headers={"Accept-Encoding": "gzip", "If-None-Match": tag}).status == 304
    # Who knows nothing of chunks has it until the end of the connection.
    head, _, body = shim.raw(f"GET {RECENT} HTTP/1.0\r\nX-API-Key: {key}\r\nAccept-Encoding: gzip\r\n\r\n".encode()).partition(b"\r\n\r\n")
    assert b"chunked" not in head and gzip.decompress(body) == plain.body
    empty = shim.request("HEAD", RECENT, key, headers={"Accept-Encoding": "gzip"})
    assert (empty.status, empty.body, empty.headers["ETag"]) == (200, b"", tag)


SEGMENTS_IN = struct.Struct("140xI")  # of linux/tcp.h's tcp_info: tcpi_segs_in


def test_a_large_answer_without_chunks_is_sent_by_blocks(shim, key, reporter):
    reporter.report(*(reporter.event(message=os.urandom(700).hex(), run=f"run-{i}") for i in range(300)))
    with shim.connect() as end:
        end.sendall(f"GET {ALL_RUNS} HTTP/1.0\r\nX-API-Key: {key}\r\nAccept-Encoding: gzip\r\n\r\n".encode())
        data = read_to_end(end)
        segments, = SEGMENTS_IN.unpack(end.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, SEGMENTS_IN.size))
    assert len(gzip.decompress(data.partition(b"\r\n\r\n")[2])) > 2 * AT_ONCE
    assert 0 < segments < len(data) / 1000


def test_who_may_keep_an_answer(shim, key, reporter):
    """What depends on who asks is for nobody else, and what changes something or fails is not kept at all."""
    for path, as_key, control in ((RECENT, key, "private, no-cache"), (RUNS, key, "private, no-cache"),
                                  ("/openapi.json", None, "no-cache"), (RUNS + "/x", key, "no-store"), (RUNS, None, None)):
        for method in ("GET", "HEAD"):
            assert shim.request(method, path, as_key).headers["Cache-Control"] == control, path
    answer = shim.post(RECENT.replace("recent", "events"), key, reporter.event())
    assert (answer.status, answer.headers["Cache-Control"]) == (201, "no-store")


def test_304_has_the_tag_of_200(shim, key, reporter):
    reporter.say(*(f"e{i}" for i in range(20)))
    for headers in ({}, {"Accept-Encoding": "gzip"}):
        tag = shim.get(RECENT, key, headers=headers).headers["ETag"]
        again = shim.get(RECENT, key, headers={**headers, "If-None-Match": tag})
        assert (again.status, again.headers["ETag"]) == (304, tag)


LATE_HEAD = "GET /v1/sync-runs HTTP/1.1\r\nHost: x\r\n"


@pytest.mark.parametrize("data, status", [
    (LATE_HEAD + "Host: y\r\n\r\n", 400), (f"GET /{'a' * 1100} HTTP/1.1\r\nHost: x\r\n\r\n", 414),
    (LATE_HEAD + f"X-A: {'a' * 1100}\r\n\r\n", 431), (LATE_HEAD + "Content-Length: 99999999\r\n\r\n", 413),
    (LATE_HEAD + "Content-Length: 5000\r\n\r\n", 401), (LATE_HEAD, 408), ("GET /none HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", 404),
], ids=["400", "414", "431", "413", "401", "408", "404"])
def test_heads_of_refusals(new_shim, data, status):
    """Whoever writes them, they have what all answers have."""
    head = new_shim("[Limits]\nHeadMaxBytes=1024\nHeadTimeoutSec=300ms\n").raw(data.encode()).partition(b"\r\n\r\n")[0].decode()
    assert int(head.split()[1]) == status
    headers = dict(line.split(": ", 1) for line in head.split("\r\n")[1:])
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert abs(parsedate_to_datetime(headers["Date"]).timestamp() - time.time()) < TIMEOUT_SEC


def test_small_answers_are_not_compressed(shim, key):
    answer = shim.get(RUNS, key, headers={"Accept-Encoding": "gzip"})
    assert answer.headers["Content-Encoding"] is None and answer.headers["Vary"] is None


# ---- Origins

ORIGIN = {"Origin": "https://app.example.org"}
PREFLIGHT = {**ORIGIN, "Access-Control-Request-Method": "POST"}


def test_no_origin_may_by_default(shim, key):
    for answer in (shim.get(RUNS, key, headers=ORIGIN), shim.request("OPTIONS", RUNS, headers=PREFLIGHT)):
        assert not [name for name in answer.headers if name.lower().startswith("access-control")]


def test_origins(new_shim, key, reporter):
    shim = new_shim("[Server]\nAllowOrigin=https://app.example.org\nAllowOrigin=https://other.example.org\n")
    answer = shim.get(RUNS, key, headers=ORIGIN)
    assert answer.headers["Access-Control-Allow-Origin"] == "https://app.example.org"
    exposed = answer.headers["Access-Control-Expose-Headers"]
    assert {"ETag", "Location", "Retry-After", "WWW-Authenticate", "X-RateLimit-Remaining"} <= set(exposed.split(", "))
    assert "Origin" in answer.headers["Vary"]
    answer = shim.request("OPTIONS", RUNS, headers=PREFLIGHT)
    assert answer.status == 204
    assert answer.headers["Access-Control-Allow-Methods"] == "GET, HEAD, POST, OPTIONS"
    allowed = set(answer.headers["Access-Control-Allow-Headers"].split(", "))
    assert {"Authorization", "Content-Type", "If-None-Match", "Last-Event-ID", "X-API-Key"} <= allowed
    for origin in ("https://evil.example.org", "null", "https://app.example.org.evil"):
        answer = shim.get(RUNS, key, headers={"Origin": origin})
        assert (answer.status, answer.headers["Access-Control-Allow-Origin"]) == (200, None)
        assert shim.request("OPTIONS", RUNS, headers={**PREFLIGHT, "Origin": origin}).headers["Access-Control-Allow-Methods"] is None
    with shim.stream(RECENT.replace("recent", "stream"), key, headers=ORIGIN) as stream:
        assert stream.headers["Access-Control-Allow-Origin"] == "https://app.example.org"
        assert stream.headers["Access-Control-Expose-Headers"] == exposed
    # An error is to be read by the page, too.
    assert shim.get(RUNS, headers=ORIGIN).headers["Access-Control-Allow-Origin"] == "https://app.example.org"
    # What is refused before its body, and what is over a limit that is looked at before anything else.
    for answer in (shim.post(RUNS, None, "x" * 10000, headers=ORIGIN),
                   shim.post(RUNS, key, headers={**ORIGIN, "Content-Length": "99999999"})):
        assert answer.status in (401, 413)
        assert (answer.headers["Access-Control-Allow-Origin"], answer.headers["Access-Control-Expose-Headers"]) == (
            "https://app.example.org", exposed)


EARLY = [  # settings; what is sent; the status of what is answered by other means than the rest; whether Origin was read
    ("[Limits]\nHeadTimeoutSec=100ms\n", [
        (b"GET / HTTP/1.1\r\nHost: x\r\nOrigin: %s\r\nX-A", 408, False),
        (b"", 408, False)]),
    ("[Limits]\nBodyTimeoutSec=100ms\nHeadMaxBytes=2000\n", [
        (b"POST /v1/session HTTP/1.1\r\nHost: x\r\nOrigin: %s\r\nContent-Length: 9\r\n\r\n1", 408, True),
        (b"POST /v1/session HTTP/1.1\r\nHost: x\r\nOrigin: %s\r\nContent-Length: 99999999\r\n\r\n", 413, True),
        (b"GET /" + b"a" * 2048 + b" HTTP/1.1\r\nHost: x\r\nOrigin: %s\r\n\r\n", 414, False),
        (b"GET / HTTP/1.1\r\nHost: x\r\nOrigin: %s\r\nX-A: " + b"a" * 2048 + b"\r\n\r\n", 431, True),
        (b"GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\nOrigin: %s\r\n\r\n", 400, True)]),
    ("[Limits]\nConnectionsPerAddressMax=1\n", [(None, 429, False)]),
    ("[Limits]\nConnectionsMax=1\n", [(None, 503, False)]),
]


@pytest.mark.parametrize("settings, cases", EARLY, ids=["head", "body", "address", "connections"])
def test_origins_of_early_errors(new_shim, settings, cases):
    """All errors are to be read by the page; those that come before its Origin was read hold nothing but their status."""
    shim = new_shim("[Server]\nAllowOrigin=https://app.example.org\nAllowOrigin=https://other.example.org\n" + settings)
    with contextlib.ExitStack() as held:
        if cases[0][0] is None:
            held.enter_context(shim.connect())
        for data, status, is_read in cases:
            for origin in (b"https://other.example.org", b"https://evil.example.org"):
                fields, _, body = shim.raw((data or b"").replace(b"%s", origin)).partition(b"\r\n\r\n")
                assert int(fields.split()[1]) == status
                allowed = re.findall(rb"^Access-Control-Allow-Origin: (.*)\r$", fields, re.M)
                assert allowed == ([b"*"] if not is_read else [origin] if b"other" in origin else [])
                assert b"\r\nVary: Origin\r\n" in fields
                assert list(json.loads(body)) == (["error"] if data else ["error", "detail"])


def test_early_errors_without_origins(new_shim):
    shim = new_shim("[Limits]\nHeadTimeoutSec=100ms\n")
    answer = shim.raw(b"GET / HTTP/1.1\r\nOrigin: https://app.example.org\r\n")
    assert answer.startswith(b"HTTP/1.1 408 ") and b"Access-Control" not in answer and b"Vary" not in answer


def test_all_origins(new_shim, key):
    shim = new_shim("[Server]\nAllowOrigin=*\n")
    assert shim.get(RUNS, key, headers=ORIGIN).headers["Access-Control-Allow-Origin"] == "*"


# ---- Connections


def head(path, key, *lines, method="GET", version="1.1"):
    return "\r\n".join([f"{method} {path} HTTP/{version}", "Host: x", f"X-API-Key: {key}", *lines, "", ""]).encode()


def test_pipelining(shim, key):
    data = shim.raw(head(RUNS, key) * 3 + head("/healthz", key) + head("/none", key, "Connection: close"))
    seen = answers(data)
    assert [status for status, _ in seen] == [200, 200, 200, 200, 404]
    assert seen[0][1] == b'{"syncRuns":[],"nextCursor":null}'


def test_keep_alive(shim, key):
    with shim.connect() as end:
        for _ in range(20):
            end.sendall(head("/healthz", key))
            data = b""
            while not data.endswith(b'{"status":"ok"}'):
                data += end.recv(4096)
    assert shim.raw(head("/healthz", key, version="1.0")).endswith(b'{"status":"ok"}')


def test_a_request_in_single_bytes(shim, key):
    with shim.connect() as end:
        end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in head(RUNS, key, "Connection: close"):
            end.sendall(bytes([byte]))
        assert answers(read_to_end(end))[0][0] == 200


def test_chunked_bodies(shim, key, reporter):
    body = json.dumps(reporter.event()).encode()
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in (body[:10], body[10:11], body[11:]))
    request = head(RECENT.replace("recent", "events"), key, "Transfer-Encoding: chunked", "Connection: close", method="POST")
    assert answers(shim.raw(request + chunks + b"0\r\n\r\n")) == [(201, b'{"recorded":1}')]


def test_expect_continue(shim, key, reporter):
    body = json.dumps(reporter.event()).encode()
    with shim.connect() as end:
        end.sendall(head(RECENT.replace("recent", "events"), key, f"Content-Length: {len(body)}", "Expect: 100-continue",
                         "Connection: close", method="POST"))
        assert end.recv(4096).startswith(b"HTTP/1.1 100 Continue\r\n\r\n")
        end.sendall(body)
        assert answers(read_to_end(end)) == [(201, b'{"recorded":1}')]


def test_absolute_targets(shim, key):
    assert answers(shim.raw(head(f"http://example.org{RUNS}", key, "Connection: close")))[0][0] == 200


def test_curl(shim, key, reporter):
    def curl(*arguments):
        command = ["curl", "-sS", "--max-time", "100", "-H", f"Authorization: Bearer {key}", *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    url = f"http://127.0.0.1:{shim.port}"
    assert len(json.loads(curl(f"{url}{RUNS}"))["syncRuns"]) == 2
    assert len(json.loads(curl("--unix-socket", shim.local_path, "http://x" + RUNS))["syncRuns"]) == 2
    assert json.loads(curl("--compressed", f"{url}{RECENT}"))[0]["message"] == "first"
    assert curl("-d", json.dumps(reporter.event()), f"{url}{RECENT.replace('recent', 'events')}") == '{"recorded":1}'


# ---- Sizes


def test_heads_of_every_size(shim, key):
    """Around the limit, with few headers and with many: always an answer."""
    for n_headers in (1, 5, 20, 40):
        seen = set()
        for size in [*range(100, 3000, 300), *range(3000, 6400, 97), 20000]:
            each = max(1, size // n_headers)
            lines = [f"X-{i}: {'a' * each}" for i in range(n_headers)]
            status = answers(shim.raw(head("/healthz", key, *lines, "Connection: close")))[0][0]
            assert status in (200, 431), (n_headers, size)
            seen.add(status)
        assert seen == {200, 431}, n_headers


def test_heads_that_never_end_are_forgotten(new_shim, key):
    """What was read of them goes with their connections: a sanitizer would say so."""
    shim = new_shim("[Limits]\nHeadTimeoutSec=200ms\n")
    for data in (b"GET / HTTP/1.1\r\n", b"GET / HTTP/1.1\r\nHost: x\r\nA", b"GET /v1?a=b HTTP/1.1\r\nA: b\r\n"):
        assert answers(shim.raw(data))[0][0] == 408
        with shim.connect() as end:
            end.sendall(data)
    assert shim.stop() == 0


def test_targets_of_every_size(shim, key):
    seen = set()
    for size in [*range(100, 3600, 300), *range(3600, 6400, 97), 20000, 100000]:
        status = answers(shim.raw(head("/healthz?" + "a" * size, key, "Connection: close")))[0][0]
        assert status in (200, 414, 431), size
        seen.add(status)
    assert {200, 414} <= seen
