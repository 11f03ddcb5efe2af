# SPDX-License-Identifier: LGPL-2.1-or-later
"""Every limit, at it and one above: what is answered, and that others are served nevertheless."""

import contextlib
import json
import re
import select
import time

import pytest
from harness import Client, Daemon, PrivateBus
from server import ALICE, TIMEOUT_SEC, Reporter, Shim, add_key, deadline, read_to_end

RUNS = "/v1/sync-runs"
EVENTS = f"/api/v1/users/{ALICE}/sync/events"


def status_of(data):
    return int(data.split()[1]) if data else None


def test_connections(new_shim):
    shim = new_shim("[Limits]\nConnectionsMax=3\n")
    held = [shim.connect() for _ in range(3)]
    for end in held:
        # Each of them is served.
        end.sendall(b"GET /none HTTP/1.1\r\nHost: x\r\n\r\n")
        assert status_of(end.recv(4096)) == 404
    with shim.connect() as end:
        data = read_to_end(end)
    assert status_of(data) == 503 and b"\r\nRetry-After: 1\r\n" in data
    assert json.loads(data.partition(b"\r\n\r\n")[2])["error"] == "Service Unavailable"
    held[0].close()
    until = deadline()
    while shim.get("/none").status == 503:
        assert time.monotonic() < until
    for end in held:
        end.close()


def test_connections_of_an_address(new_shim, bus):
    shim = new_shim("[Limits]\nConnectionsPerAddressMax=2\n")
    held = [shim.connect() for _ in range(2)]
    for end in held:
        end.sendall(b"GET /none HTTP/1.1\r\nHost: x\r\n\r\n")
        assert status_of(end.recv(4096)) == 404
    with shim.connect() as end:
        assert status_of(read_to_end(end)) == 429
    assert shim.get("/none", source="127.0.0.2").status == 404
    # Over AF_UNIX there is no address.
    for _ in range(4):
        held.append(shim.connect(local=True))
        held[-1].sendall(b"GET /none HTTP/1.1\r\nHost: x\r\n\r\n")
        assert status_of(held[-1].recv(4096)) == 404
    for end in held:
        end.close()


def test_trusted_proxies(new_shim, client, daemon):
    shim = new_shim("[Server]\nTrustedProxy=127.0.0.1\nTrustedProxy=unix\n"
                    "[Limits]\nConnectionsPerAddressMax=1\nFailuresPerMinute=1\n")
    held = [shim.connect() for _ in range(3)]
    for end in held:
        end.sendall(b"GET /none HTTP/1.1\r\nHost: x\r\n\r\n")
        assert status_of(end.recv(4096)) == 404
        end.close()
    # Whom it speaks for is whose failures are counted.
    wrong = "sk-" + "1" * 32

    def guess(forwarded, source=None):
        return shim.get(RUNS, wrong, headers={"X-Forwarded-For": forwarded}, source=source).status

    assert [guess("192.0.2.1"), guess("192.0.2.1"), guess("192.0.2.2"), guess("192.0.2.2")] == [401, 429, 401, 429]
    # The last address that is no proxy of ours; who is not trusted may say what he likes.
    assert [guess("192.0.2.9, 192.0.2.3"), guess("192.0.2.8, 192.0.2.3, 127.0.0.1")] == [401, 429]
    assert [guess("192.0.2.10", "127.0.0.5"), guess("192.0.2.11", "127.0.0.5")] == [401, 429]

    # Several lines are one list, and what the client wrote itself comes before what the proxy adds.
    def guess_in_lines(*lines):
        head = "".join(f"X-Forwarded-For: {line}\r\n" for line in lines)
        return status_of(shim.raw(f"GET {RUNS} HTTP/1.1\r\nHost: x\r\nX-API-Key: {wrong}\r\n{head}"
                                  "Connection: close\r\n\r\n".encode()))

    assert [guess_in_lines("198.51.100.1", "192.0.2.20"), guess_in_lines("198.51.100.2", "192.0.2.20")] == [401, 429]
    assert [guess_in_lines("192.0.2.21", "127.0.0.1"), guess_in_lines("192.0.2.20, 192.0.2.21", "127.0.0.1")] == [401, 429]


def test_slow_head(new_shim):
    shim = new_shim("[Limits]\nHeadTimeoutSec=300ms\n")
    with shim.connect() as silent, shim.connect() as slow:
        slow.sendall(b"GET / HTTP/1.1\r\nHost")
        assert status_of(read_to_end(slow)) == 408
        assert status_of(read_to_end(silent)) == 408
    # Single bytes buy no time.
    with shim.connect() as end:
        end.settimeout(0.05)
        data = b""
        until = deadline()
        while not data:
            assert time.monotonic() < until
            # It is cut in the middle of one, it may be.
            with contextlib.suppress(ConnectionError):
                end.send(b"G")
            with contextlib.suppress(TimeoutError):
                data = end.recv(4096)
        assert status_of(data) == 408


def test_slow_body(new_shim, key):
    shim = new_shim("[Limits]\nBodyTimeoutSec=300ms\n")
    with shim.connect() as end:
        end.sendall(f"POST {EVENTS} HTTP/1.1\r\nHost: x\r\nX-API-Key: {key}\r\nContent-Length: 10\r\n\r\n12345".encode())
        assert status_of(read_to_end(end)) == 408


def test_silence_between_requests(new_shim):
    shim = new_shim("[Server]\nKeepAliveSec=300ms\n")
    with shim.connect() as end:
        end.sendall(b"GET /none HTTP/1.1\r\nHost: x\r\n\r\n")
        data = read_to_end(end)
    assert status_of(data) == 404 and data.count(b"HTTP/1.1") == 1


def test_body(new_shim, key, daemon):
    shim = new_shim("[Limits]\nBodyMaxBytes=2000\n")
    assert shim.post(EVENTS, key, "[" + " " * 1998 + "]").status == 201
    with shim.connect() as end:
        end.sendall(f"POST {EVENTS} HTTP/1.1\r\nHost: x\r\nX-API-Key: {key}\r\nContent-Length: 2001\r\n\r\n".encode())
        assert status_of(read_to_end(end)) == 413
    with shim.connect() as end:
        end.sendall(f"POST {EVENTS} HTTP/1.1\r\nHost: x\r\nX-API-Key: {key}\r\nContent-Length: 2001\r\n"
                    "Expect: 100-continue\r\n\r\n".encode())
        data = read_to_end(end)
        assert status_of(data) == 413 and b"100 Continue" not in data
    for size, status in ((2000, 201), (2001, 413)):
        with shim.connect() as end:
            end.sendall(f"POST {EVENTS} HTTP/1.1\r\nHost: x\r\nX-API-Key: {key}\r\nTransfer-Encoding: chunked\r\n"
                        f"Connection: close\r\n\r\n{size:x}\r\n[{' ' * (size - 2)}]\r\n0\r\n\r\n".encode())
            assert status_of(read_to_end(end)) == status


def test_a_large_body_that_is_refused_is_answered(shim, key):
    """The client sends all of it, and reads the answer nevertheless."""
    answer = shim.post(EVENTS, key, b" " * (4 * 1024 * 1024 + 1))
    assert answer.status == 413


def test_bodies_together(shim, key):
    """Twenty bodies of nearly 4 MiB are more than all together may have: some are refused, and not all."""
    size = 4 * 1024 * 1024
    ends = []
    for _ in range(20):
        ends.append(end := shim.connect())
        end.sendall(f"POST {EVENTS} HTTP/1.1\r\nHost: x\r\nX-API-Key: {key}\r\nContent-Length: {size}\r\n\r\n".encode())
        try:
            end.sendall(b" " * (size - 1))
        except (ConnectionResetError, BrokenPipeError):
            pass
    refused, _, _ = select.select(ends, [], [], TIMEOUT_SEC)
    assert 1 <= len(refused) < len(ends)
    assert {status_of(end.recv(4096)) for end in refused} == {503}
    for end in ends:
        end.close()
    assert shim.get("/healthz").status == 200


FREE = 4096  # BODY_FREE_BYTES


def early(shim, head, body=b""):
    """What is answered to a head, and to what comes of its body."""
    with shim.connect() as end:
        end.sendall(head.encode() + b"\r\n\r\n" + body)
        return read_to_end(end)


def test_a_large_body_waits_for_the_key(shim, client, key, daemon):
    """Who may not send it is told so before it comes, with all that the answer has otherwise."""
    reader = add_key(client, "reader", scopes=["sync:read"])
    for size in ("Content-Length: 4097", "Content-Length: 4194304", "Transfer-Encoding: chunked",
                 "Content-Length: 4097\r\nExpect: 100-continue"):
        for path, as_key, status in ((EVENTS, None, 401), (EVENTS, "sk-" + "0" * 32, 401), (EVENTS, reader, 403),
                                     ("/none", key, 404), (RUNS + "/x", key, 405), (EVENTS + "?a=%zz", key, 400)):
            line = f"\r\nX-API-Key: {as_key}" if as_key else ""
            data = early(shim, f"POST {path} HTTP/1.1\r\nHost: x{line}\r\n{size}")
            assert status_of(data) == status, (path, size)
            head, _, body = data.partition(b"\r\n\r\n")
            assert status == 400 or list(json.loads(body)) == ["detail" if path.startswith("/api") else "error"]
            assert (b"WWW-Authenticate: Bearer" in head) == (status == 401) and b"100 Continue" not in data
            assert (b"Allow: GET" in head) == (status == 405)
    # Nobody answers for the body of what needs no key.
    assert status_of(early(shim, "GET /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 4097")) == 413
    assert shim.request("GET", "/healthz", body=b"x" * FREE).status == 200
    # Who may, may.
    for body in (b"[" + b" " * FREE + b"]", b"[" + b" " * (FREE - 2) + b"]"):
        assert shim.post(EVENTS, key, body).status == 201
        assert shim.post(EVENTS, reader, body).status == 403
        assert shim.post(EVENTS, None, body).status == 401


def test_a_small_body_keeps_the_connection(shim, key):
    with shim.connect() as end:
        for _ in range(2):
            end.sendall(f"POST {EVENTS} HTTP/1.1\r\nHost: x\r\nContent-Length: {FREE}\r\n\r\n".encode() + b" " * FREE)
            data = end.recv(65536)
            assert status_of(data) == 401 and b"Connection: close" not in data


def test_bodies_without_a_key_take_no_room(shim, client, daemon, key):
    """More of them than all bodies may have together, and one with a key is taken nevertheless."""
    size = 4 * 1024 * 1024
    ends = []
    for _ in range(20):
        ends.append(end := shim.connect())
        end.sendall(f"POST {EVENTS} HTTP/1.1\r\nHost: x\r\nContent-Length: {size}\r\n\r\n".encode())
        try:
            end.sendall(b" " * (size - 1))
        except (ConnectionResetError, BrokenPipeError):
            pass
    assert shim.post(EVENTS, key, b"[" + b" " * (size - 2) + b"]").status == 201
    for end in ends:
        assert status_of(end.recv(4096)) == 401
        end.close()


def test_a_key_that_is_revoked_while_its_body_comes(shim, client, key, daemon):
    with shim.connect() as end:
        end.sendall(f"POST {EVENTS} HTTP/1.1\r\nHost: x\r\nX-API-Key: {key}\r\nContent-Length: 5000\r\n"
                    "Expect: 100-continue\r\n\r\n".encode())
        assert end.recv(4096).startswith(b"HTTP/1.1 100 Continue")
        client.manager("RevokeApiKey", "(s)", "key")
        while shim.get(RUNS, key).status != 401:
            pass
        end.sendall(b"[" + b" " * 4998 + b"]")
        assert status_of(end.recv(4096)) == 401


def test_requests_of_a_key(new_shim, client, key):
    shim = new_shim("[Limits]\nRequestsPerMinute=5\n")
    for left in (4, 3, 2, 1, 0):
        answer = shim.get(RUNS, key)
        assert answer.status == 200
        assert (answer.headers["X-RateLimit-Limit"], answer.headers["X-RateLimit-Remaining"]) == ("5", str(left))
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", answer.headers["X-RateLimit-Reset"])
    answer = shim.get(RUNS, key)
    assert (answer.status, answer.headers["X-RateLimit-Remaining"]) == (429, "0")
    assert 1 <= int(answer.headers["Retry-After"]) <= 12
    body = answer.json()
    assert (body["error"], body["limit"]) == ("Rate limit exceeded", 5)
    assert 1 <= body["retryAfterSeconds"] <= 12 and body["resetAt"].endswith("Z")
    assert shim.get(f"/api/v1/users/{ALICE}/sync/recent", key).json()["detail"] == "Rate limit exceeded"
    # Another key has its own.
    assert shim.get(RUNS, add_key(client, "other")).status == 200
    # What needs no key has no limit.
    assert shim.get("/healthz").status == 200


def test_unknown_keys_of_an_address(new_shim, client, key, daemon):
    shim = new_shim("[Limits]\nFailuresPerMinute=3\n")
    assert shim.get(RUNS, key).status == 200
    wrong = "sk-" + "1" * 32
    assert [shim.get(RUNS, wrong).status for _ in range(5)] == [401, 401, 401, 429, 429]
    answer = shim.get(RUNS, "no key at all")
    assert answer.status == 429 and 1 <= int(answer.headers["Retry-After"]) <= 20
    assert (answer.headers["X-RateLimit-Limit"], answer.headers["X-RateLimit-Remaining"]) == ("3", "0")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", answer.headers["X-RateLimit-Reset"])
    # Known keys work, and other addresses.
    assert shim.get(RUNS, key).status == 200
    assert shim.get(RUNS, wrong, source="127.0.0.3").status == 401
    # None is not a wrong one.
    assert shim.get(RUNS).status == 401
    # A known key is asked about again after a restart of the daemon, and none that is guessed.
    daemon.restart()
    assert [shim.get(RUNS, wrong).status for _ in range(5)][-1] == 429  # some came back while it took
    assert shim.get(RUNS, key).status == 200


def test_refusals_are_counted_and_said_once(new_shim, client, key, daemon):
    """A client that is refused by the thousand does not fill the journal."""
    shim = new_shim("[Limits]\nFailuresPerMinute=2\nRequestsPerMinute=4\n")
    reader = add_key(client, "reader", scopes=["sync:read"])
    wrong = "sk-" + "1" * 32
    assert shim.get(RUNS, key).status == 200
    for _ in range(3):
        assert shim.post(RUNS, reader, "{}").status == 403
    assert [shim.get(RUNS, reader).status for _ in range(3)] == [200] + [429] * 2
    assert [shim.get(RUNS, wrong).status for _ in range(4)] == [401] * 2 + [429] * 2
    assert shim.get(RUNS).status == 401
    text = shim.get("/metrics", key).body.decode()
    counts = {reason: int(n) for reason, n in re.findall(r'^syncrun_http_refusals_total\{reason="(.*)"\} (\d+)$', text, re.M)}
    assert counts == {"scope": 3, "rate": 2, "unknown-key": 2, "too-many-failures": 2, "no-key": 1, "streams": 0, "expired": 0,
                      "foreign-page": 0, "bad-token": 0, "several-keys": 0}
    for reason in ("scope, key reader", "rate, key reader", "unknown-key", "too-many-failures", "no-key"):
        assert shim.log().count(f": {reason}. ") == 1, reason


@pytest.mark.parametrize("setting, said", [
    ("[Limits]\nHeadMaxBytes=1023\n", "1024"), ("[Limits]\nConnectionsMax=0\n", "ConnectionsMax"),
    ("[Server]\nNonsense=1\n", "no such setting"), ("[Nonsense]\nA=1\n", "no section"),
])
def test_wrong_settings_are_told(new_shim, setting, said):
    shim = new_shim(setting)
    assert shim.get("/none").status == 404
    assert said in shim.log()


def test_no_limits(new_shim, key):
    shim = new_shim("[Server]\nKeepAliveSec=0\nIdleExitSec=infinity\n[Limits]\nConnectionsMax=infinity\n"
                    "ConnectionsPerAddressMax=infinity\nHeadTimeoutSec=0\nBodyTimeoutSec=0\nSendTimeoutSec=0\n"
                    "RequestsPerMinute=infinity\nFailuresPerMinute=infinity\n[Streams]\nStreamsMax=infinity\n"
                    "StreamsPerKeyMax=infinity\n")
    answer = shim.get(RUNS, key)
    assert (answer.status, answer.headers["X-RateLimit-Limit"]) == (200, None)
    assert shim.log().count("syncrun-http.conf") == 0


# LIMIT_MAX of three surfaces, ALL_LIMIT_MAX, CONNECTORS_MAX, OUTCOMES_MAX, CONNECTIONS_MAX
@pytest.mark.parametrize("name, at_most", [
    ("/v1/sync-runs?limit", 200), (f"/api/v1/users/{ALICE}/sync/recent?limit", 200),
    (f"/api/v1/users/{ALICE}/sync/runs?limit", 200), ("/api/v1/sync/runs?limit", 10000), ("/v1/connectors?limit", 200),
    ("/v1/connectors?outcomes", 30), ("/v1/connectors/bank?outcomes", 30), ("/v1/connections?limit", 1000),
    ("/api/v1/webhooks/messages?limit", 250),
])
def test_of_lists(lists, name, at_most):
    shim, key = lists
    assert shim.get(f"{name}={at_most}", key).status == 200
    answer = shim.get(f"{name}={at_most + 1}", key)
    assert answer.status == 422 and f"less than or equal to {at_most}" in answer.body.decode()


@pytest.fixture(scope="module")
def lists(tmp_path_factory):
    """A server for all of them: nothing is changed by it."""
    bus = PrivateBus()
    client = Client(bus.address)
    daemon = Daemon(bus, tmp_path_factory.mktemp("lists"))
    daemon.add("bank", User=ALICE)
    daemon.start()
    shim = Shim(bus, daemon.config).start()
    key = add_key(client)
    Reporter(client).say("first")
    yield shim, key
    shim.close()
    daemon.close()
    client.close()
    bus.close()


RUNS_BYTES = 8 * 1024 * 1024  # WEARABLES_RUNS_BYTES_MAX


def test_bytes_of_a_list_of_runs(shim, key, reporter):
    """It ends with the run that comes to them; those that are given are the newest."""
    for begin in range(0, 1000, 250):
        reporter.report(*(reporter.event(message='"' * 1024, run=f"r{n}", stage="failed", error='"' * 4096)
                          for n in range(begin, begin + 250)))
    whole = shim.get("/api/v1/sync/runs?limit=700", key)
    assert whole.status == 200 and len(whole.json()) == 700 and len(whole.body) < RUNS_BYTES
    cut = shim.get("/api/v1/sync/runs?limit=10000", key)
    assert cut.status == 200 and RUNS_BYTES <= len(cut.body) < RUNS_BYTES + len(whole.body) // 350
    assert 700 < len(cut.json()) < 1000 and cut.json()[:700] == whole.json()


def ask_and_take_nothing(shim, path, key):
    """A client that has seen the beginning of its answer, and leaves the rest."""
    slow = shim.connect(local=True)
    slow.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nX-API-Key: {key}\r\n\r\n".encode())
    assert slow.recv(9) == b"HTTP/1.1 "
    return slow


def test_answers_that_are_not_taken(new_shim, key, reporter):
    """What is kept for slow clients is bounded in all; who asks for little is served."""
    shim = new_shim("[Limits]\nAnswersMaxBytes=1000000\n")
    reporter.big(50)
    path = f"/api/v1/users/{ALICE}/sync/recent?limit=50"
    whole = shim.get(path, key)
    assert whole.status == 200 and 700_000 < len(whole.body) < 1_000_000
    with ask_and_take_nothing(shim, path, key):
        answer = shim.get(path, key)
        assert (answer.status, answer.headers["Retry-After"]) == (503, "1")
        assert shim.get("/v1/sync-runs?limit=1", key).status == 200
    until = deadline()
    while shim.get(path, key).status == 503:
        assert time.monotonic() < until


def test_an_answer_has_an_end(new_shim, key, reporter):
    shim = new_shim("[Limits]\nAnswerTimeoutSec=1\n")
    reporter.big(50)
    with ask_and_take_nothing(shim, f"/api/v1/users/{ALICE}/sync/recent?limit=50", key) as slow:
        until = deadline()
        while shim.metric(key, "syncrun_http_timeouts_total") == 0:
            assert time.monotonic() < until
        assert len(read_to_end(slow)) < 700_000


@pytest.mark.parametrize("key, wrong, right", [
    ("TrustedProxy", ["localhost", "10.0.0.0/8", "127.0.0.1 ::1"], ["127.0.0.1", "::1", "unix"]),
    ("AllowOrigin", ["app.example.org", "https://ok.example.org/", "https://App.example.org", "https://", "https://x:", "https://x:y"],
     ["*", "null", "https://app.example.org", "http://127.0.0.1:8080", "http://[::1]:80", "app+x://y_z-1"]),
])
def test_what_never_fits_is_told(new_shim, key, wrong, right):
    """The line, and what it takes."""
    shim = new_shim("[Server]\n" + "".join(f"{key}={value}\n" for value in wrong + right))
    told = re.findall(rf"syncrun-http\.conf:(\d+): .*{key}", shim.log())
    assert told == [str(2 + n) for n in range(len(wrong))], shim.log()
