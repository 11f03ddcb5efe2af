# SPDX-License-Identifier: LGPL-2.1-or-later
"""Who may do what: keys in each header, refusals in their order and words, revocation, and what is kept of a key."""

import hashlib
import os
import re
import resource
import signal
import subprocess

import pytest
from harness import options
from server import ALICE, BOB, NOBODY, add_key

RUNS = "/v1/sync-runs"
RECENT = f"/api/v1/users/{ALICE}/sync/recent"
UNKNOWN = "sk-" + "0" * 32


@pytest.mark.parametrize("name, prefix", [("X-API-Key", ""), ("x-api-key", ""), ("X-Open-Wearables-API-Key", ""),
                                          ("Authorization", "Bearer "), ("Authorization", "bearer  ")])
def test_headers(shim, key, name, prefix):
    assert shim.get(RUNS, headers={name: prefix + key}).status == 200
    assert shim.get(RUNS, headers={name: prefix + UNKNOWN}).status == 401


def test_words_of_refusals(shim, key, reporter):
    answer = shim.get(RUNS)
    assert (answer.status, answer.json()) == (401, {"error": "Authentication required"})
    assert answer.headers["WWW-Authenticate"] == 'Bearer realm="syncrun"'
    answer = shim.get(RECENT)
    assert (answer.status, answer.json()) == (401, {"detail": "Authentication required: provide JWT token or API key"})
    for wrong in (UNKNOWN, "x", "sk-" + "0" * 31, "sk-" + "0" * 33, "SK-" + "0" * 32, key.upper(), key[:-1], key + "0", "é"):
        answer = shim.get(RECENT, wrong)
        assert (answer.status, answer.json()) == (401, {"detail": "Invalid or missing API key"})
        assert "invalid_token" in answer.headers["WWW-Authenticate"]
    # An empty one is one, and none.
    assert shim.get(RECENT, headers={"X-API-Key": ""}).status == 401


def test_order_of_refusals(shim, client, key, reporter):
    reader = add_key(client, "reader", scopes=["sync:read"])
    events = f"/api/v1/users/{NOBODY}/sync/events"
    stream = f"/api/v1/users/{NOBODY}/sync/stream?replay=0"
    assert shim.post(events, None, "{").status == 401
    assert shim.post(events, reader, "{").status == 403
    assert shim.post(events, key, "{").status == 400
    assert shim.post(events, key, "[1]").status == 422
    assert shim.get(stream).status == 401
    assert shim.get(stream, reader).status == 422
    assert shim.get(stream.replace("=0", "=1"), reader).status == 404


def test_c10_what_is_wrong_is_said_before_what_is_not_there(shim, client, reporter):
    """422 comes before 404, also where a user is there but not this key's to see."""
    key = add_key(client, "hers", user=ALICE)
    for user in (BOB, NOBODY):
        for path, query in ((f"/api/v1/users/{user}/sync/stream", "replay=0"), (f"/api/v1/users/{user}/sync/stream", "last_event_id=x"),
                            (f"/api/v1/users/{user}/sync/recent", "limit=0"), (f"/api/v1/users/{user}/sync/runs", "status=x"),
                            (f"/api/v1/sync/stream?user_id={user}", "replay=0")):
            mark = "&" if "?" in path else "?"
            assert shim.get(f"{path}{mark}{query}", key).status == 422, path
            if "sync/stream?" not in path or user == BOB:
                assert shim.get(path, key).status == 404, path
        events = f"/api/v1/users/{user}/sync/events"
        good = dict(reporter.event(user), run_id="never-begun")
        assert [shim.post(events, key, body).status for body in ("{", [{}], [good, {"run_id": 1}], dict(good, user_id=ALICE), good)] \
            == [400, 422, 422, 422, 404]
        assert shim.post(events, key, dict(good, run_id="x" * 129)).json() == \
            shim.post(events.replace(user, ALICE), key, dict(good, run_id="x" * 129, user_id=ALICE)).json()


@pytest.mark.parametrize("scopes, allowed", [
    (["sync:read"], {"GET"}), (["sync:write"], {"POST"}), (["sync:admin"], {"METRICS"}),
    (["sync:read", "sync:admin"], {"GET", "METRICS"}),
])
def test_scopes(shim, client, daemon, scopes, allowed):
    key = add_key(client, scopes=scopes)
    answers = {"GET": shim.get(RUNS, key), "POST": shim.post(RUNS, key, "{}"), "METRICS": shim.get("/metrics", key)}
    assert {name for name, answer in answers.items() if answer.status != 403} == allowed
    for name, answer in answers.items():
        if name not in allowed:
            wanted = {"GET": "read", "POST": "write", "METRICS": "admin"}[name]
            assert answer.json() == {"error": f"API key not allowed to perform 'sync:{wanted}' action"}


def test_revocation_and_a_new_key_of_the_name(shim, client, key):
    assert shim.get(RUNS, key).status == 200
    client.manager("RevokeApiKey", "(s)", "key")
    assert shim.get(RUNS, key).status == 401
    new = add_key(client)
    assert shim.get(RUNS, new).status == 200
    assert shim.get(RUNS, key).status == 401


def test_a_key_made_after_it_was_refused(shim, client, daemon):
    """What is refused is not kept: the next look may be another."""
    assert shim.get(RUNS, UNKNOWN).status == 401
    key = add_key(client)
    assert shim.get(RUNS, key).status == 200


def test_a_daemon_that_was_away_is_asked_again(shim, client, daemon, key):
    assert shim.get(RUNS, key).status == 200
    daemon.stop()
    daemon.start()
    assert shim.get(RUNS, key).status == 200
    client.manager("RevokeApiKey", "(s)", "key")
    assert shim.get(RUNS, key).status == 401


def test_the_use_is_noted(shim, client, key):
    def used():
        return client.describe("DescribeApiKeys")["keys"][0]["last_used_at"]

    assert used() is None
    assert shim.get(RUNS, key).status == 200
    assert used() is not None


def sha256(key):
    return hashlib.sha256(key.encode()).hexdigest()


@pytest.fixture
def asked(bus, daemon):
    """The hash of each key that the daemon is asked about, which is told so of its use."""
    rule = "type='method_call',member='CheckApiKey'"
    watch = subprocess.Popen(["dbus-monitor", "--address", bus.address, rule], stdout=subprocess.PIPE, text=True)
    while "NameLost" not in watch.stdout.readline():  # it has become a monitor
        pass
    yield (match[1] for line in watch.stdout if (match := re.match(r' +string "([0-9a-f]{64})"', line)))
    watch.kill()
    watch.wait()
    watch.stdout.close()


@pytest.fixture
def later(monkeypatch, new_shim):
    monkeypatch.setenv("SYNCRUN_HTTP", os.environ["SYNCRUN_HTTP_LATER"])
    return new_shim()


def test_each_use_is_told(later, asked, key):
    """Also those of a key that is known, and no more often than the time of the last use is exact."""
    for _ in range(3):
        for _ in range(3):
            assert later.get(RUNS, key).status == 200
        # One that is not known is asked about each time.
        assert later.get(RUNS, UNKNOWN).status == 401
        assert [next(asked), next(asked)] == [sha256(key), sha256(UNKNOWN)]
        later.process.send_signal(signal.SIGUSR1)


def test_a_stream_is_a_use(later, asked, key, reporter):
    """As long as it lasts."""
    with later.stream(RECENT.replace("recent", "stream"), key) as stream:
        assert stream.messages(1) == ["first"]
        for _ in range(3):
            assert next(asked) == sha256(key)


def test_keys_are_not_logged(shim, client, key, reporter):
    for each in (key, UNKNOWN, key + "x"):
        shim.get(RUNS, each)
        shim.get(RUNS, headers={"Authorization": f"Bearer {each}"})
        shim.get("/metrics?key=" + each, each)
    assert shim.stop() == 0
    assert key[3:] not in shim.log()
    assert UNKNOWN[3:] not in shim.log()
    assert "unknown-key" in shim.log()


def test_a_log_is_not_flooded(shim, daemon):
    """Refusals are counted, all of them; each reason is said once a minute."""
    request = b"GET /v1/sync-runs HTTP/1.1\r\nHost: x\r\n\r\n"
    answers = shim.raw(request * 999 + request.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
    assert answers.count(b"HTTP/1.1 401") == 1000
    assert 1 <= shim.log().count("no-key") <= 3


def test_memory_is_not_dumped(shim, bus, key):
    """Keys are in it."""
    _, most = resource.getrlimit(resource.RLIMIT_CORE)
    assert shim.get(RUNS, key).status == 200
    resource.prlimit(shim.process.pid, resource.RLIMIT_CORE, (most, most))
    shim.process.send_signal(signal.SIGABRT)
    _, status = os.waitpid(shim.process.pid, 0)
    assert os.WTERMSIG(status) == signal.SIGABRT and not os.WCOREDUMP(status)
    shim.process = None


def test_more_keys_than_are_kept(shim, client, daemon):
    """The table of known keys is bounded; those that fell out are asked about anew."""
    keys = [add_key(client, f"k{i}") for i in range(30)]
    for _ in range(2):
        for key in keys:
            assert shim.get(RUNS, key).status == 200


def test_a_bound_key_sees_its_user(shim, client, reporter):
    key = client.manager("AddApiKey", "(sa{sv})", "hers", options(scopes=["sync:read"], user=ALICE.upper()))
    assert shim.get(RECENT, key).status == 200
    assert shim.get(RECENT.replace(ALICE, ALICE.upper()), key).status == 200
