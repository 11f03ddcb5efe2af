# SPDX-License-Identifier: LGPL-2.1-or-later
"""Type=webhook: what a receiver of the test's own gets, and what is sent again when it does not take it."""

import hashlib
import hmac
import json
import random
import sqlite3
import sys
import threading
import time
from pathlib import Path

import pytest
from gi.repository import GLib
from harness import TIMEOUT_SEC, Run, counts, record, schema, state, wait_for

sys.path.append(str(Path(__file__).resolve().parents[1] / "bus"))
from receiver import Receiver, answer, drip, hang, pour, reset  # noqa: E402

SECRET = b"a secret, as it is: whsec_not_decoded"
ALLOWED = {"webhook_allow_http": True, "webhook_allow_literals": True, "webhook_private_networks": "10.0.0.0/8 127.0.0.0/8",
           "webhook_timeout_usec": TIMEOUT_SEC * 1000000}
GIVE_UP = answer(503, Retry_After="3600")  # more time than a run has: no further attempt


@pytest.fixture
def receivers():
    made = []
    yield lambda *script, **more: made.append(Receiver(list(script), **more)) or made[-1]
    for receiver in made:
        receiver.close()


@pytest.fixture
def hook(bench, receivers):
    """Settings for a receiver with this script."""

    def make(*script, rules=None, url=None, **settings):
        receiver = receivers(*script)
        receiver.notice = lambda request: GLib.MainContext.default().wakeup()  # for wait_for()
        secret = bench.folder / "secret"
        secret.write_bytes(SECRET + b"\n")
        bench.daemon.rules = {**ALLOWED, **(rules or {})}
        bench.destination = [("Type", "webhook"), ("Url", url or receiver.url(path="/in?token=hidden")),
                             ("SecretFile", str(secret)), *settings.items()]
        return receiver

    return make


def pull(bench, lines, **more):
    return bench.pull(lines, destination=bench.destination, **more)


def ids(receiver):
    """Of each request, the ids of its new and of its updated records."""
    return [tuple([entry["id"] for entry in request.message["data"][part]] for part in ("new", "updated"))
            for request in receiver.requests]


def waiting(bench):
    with sqlite3.connect(f"file:{bench.state}/items.db?mode=ro", uri=True) as database:
        return database.execute("SELECT count(*) FROM outbox").fetchone()[0]


def attempts(bench):
    return [attempt for told in bench.daemon.of("ReportDeliveries") for attempt in told]


def test_envelope_and_signature(bench, hook):
    receiver = hook()
    before = int(time.time())
    end = pull(bench, [schema(), record("a", text="café"), record("b"), state(1)])
    assert (end["outcome"], counts(end)) == ("succeeded", (2, 2, 0, 0))
    (request,) = receiver.requests
    body = request.message
    assert list(body) == ["id", "object", "type", "api_version", "created", "data", "metadata"]
    assert (body["object"], body["type"]) == ("event", "records.synced")
    assert before <= body["created"] <= time.time()
    assert body["data"] == {"new": [{"id": "a", "text": "café"}, {"id": "b"}], "updated": []}
    assert body["metadata"] == {"sync_run_id": bench.daemon.run_id, "stream": "tx", "new_count": 2, "updated_count": 0, "chunk": 1}
    assert request.path == "/in?token=hidden"
    assert request.headers["content-type"] == "application/json"
    assert request.headers["x-syncrun-delivery-id"] == body["id"] and body["id"].startswith("dlv_")
    timestamp = request.headers["x-syncrun-timestamp"]
    assert before <= int(timestamp) <= time.time()
    # as receivers of Redbark do it
    expected = hmac.new(SECRET, timestamp.encode() + b"." + request.body, hashlib.sha256).hexdigest()
    assert request.headers["x-syncrun-signature"] == f"sha256={expected}"
    assert bench.daemon.cursor == "1"
    (told,) = attempts(bench)
    assert (told["succeeded"], told["http_status"], told["retry"], told["records"]) == (True, 200, 0, 2)
    assert (told["type"], told["url"], told["error"]) == ("records.synced", receiver.url(path=""), None)
    assert "hidden" not in json.dumps(bench.daemon.calls) and "hidden" not in bench.last.stderr
    assert SECRET.decode() not in bench.last.stderr


def test_prefix_type_and_no_secret(bench, hook):
    receiver = hook(HeaderPrefix="X-Redbark", EventType="transactions.synced")
    bench.destination = [setting for setting in bench.destination if setting[0] != "SecretFile"]
    pull(bench, [schema(), record("a")])
    (request,) = receiver.requests
    assert request.message["type"] == "transactions.synced"
    assert request.headers["x-redbark-delivery-id"] == request.message["id"]
    assert "x-redbark-timestamp" in request.headers and "x-redbark-signature" not in request.headers


def test_new_updated_and_known(bench, hook):
    """What was delivered is not sent again; what has changed is, as updated."""
    receiver = hook()
    pull(bench, [schema(), record("a"), record("b"), record("c")])
    bench.next_run(2)
    end = pull(bench, [schema(), record("a"), record("b", amount=1), record("d"), record("c")])
    assert counts(end) == (4, 1, 1, 2)
    bench.next_run(3)
    assert counts(pull(bench, [schema(), record("a"), record("d")])) == (2, 0, 0, 2)
    assert ids(receiver) == [(["a", "b", "c"], []), (["d"], ["b"])]
    bench.next_run(4)
    bench.daemon.full_resync = True
    pull(bench, [schema(), record("a"), record("b", amount=1)])
    assert ids(receiver)[2:] == [([], ["a", "b"])]


def test_requests_have_500_records_at_most(bench, hook):
    receiver = hook()
    end = pull(bench, [schema(), *(record(n) for n in range(1001)), schema("other"), record("x", "other")])
    assert counts(end) == (1002, 1002, 0, 0)
    assert [request.message["metadata"]["stream"] for request in receiver.requests] == ["tx", "tx", "tx", "other"]
    assert [request.message["metadata"]["chunk"] for request in receiver.requests] == [1, 2, 3, 4]
    sizes = [len(new) for new, _ in ids(receiver)]
    assert sizes == [500, 500, 1, 1]
    assert [key for new, _ in ids(receiver)[:3] for key in new] == list(range(1001))
    assert len(receiver.connections) == 1  # one after the other


def test_large_records_go_in_smaller_requests(bench, hook):
    receiver = hook()
    pull(bench, [schema(), *(record(n, text="x" * 1500000) for n in range(4)), record(4, text="x" * 6000000), record(5)])
    assert [len(new) for new, _ in ids(receiver)] == [2, 2, 1, 1]


def test_attempts_at_0_1_3_9_seconds(bench, hook):
    """Four, with ever longer breaks; the same request each time, with a fresh timestamp."""
    times = []
    receiver = hook(reset, answer(500), answer(429), answer(502, b"bad gateway"))
    receiver.notice = lambda request: times.append(time.monotonic())
    end = pull(bench, [schema(), record("a"), state(5)])
    assert (end["outcome"], end.get("retry"), end["destination_failed"]) == ("failed", True, True)
    assert end["error"] == f"{receiver.url(path='')} did not take 1 record (4 attempts): HTTP status 502."
    assert "attention" not in end
    assert bench.daemon.cursor == "5"  # the record is kept
    for pause, expected in zip((b - a for a, b in zip(times, times[1:])), (1, 3, 9)):
        assert pause >= expected
    assert len({request.body for request in receiver.requests}) == 1
    assert len({request.headers["x-syncrun-timestamp"] for request in receiver.requests}) == 4
    assert [(told["http_status"], told["retry"], told["answer"]) for told in attempts(bench)] == [
        (0, 0, None), (500, 1, None), (429, 2, None), (502, 3, "bad gateway")]
    # The next run sends it again, with the same id; and nothing is sent twice after that.
    bench.next_run(2)
    assert pull(bench, [schema(), record("a"), record("b")])["outcome"] == "succeeded"
    assert ids(receiver)[4:] == [(["a"], []), (["b"], [])]
    assert receiver.requests[4].body == receiver.requests[0].body
    bench.next_run(3)
    pull(bench, [schema(), record("a"), record("b")])
    assert len(receiver.requests) == 6 and waiting(bench) == 0


@pytest.mark.parametrize("status, category", [
    (400, "configuration_error"), (401, "destination_auth_expired"), (403, "destination_auth_expired"),
    (404, "destination_deleted"), (410, "destination_deleted"), (422, "configuration_error"), (301, "configuration_error")])
def test_other_answers_are_not_tried_again(bench, hook, status, category):
    receiver = hook(answer(status, b"words", Location="http://127.0.0.1:1/"))
    end = pull(bench, [schema(), record("a")])
    assert (end["outcome"], end["attention"], end.get("retry", False)) == ("failed", category, False)
    assert end["destination_failed"] is True and f"HTTP status {status}" in end["error"]
    assert len(receiver.requests) == 1 and waiting(bench) == 1
    # Refused, the record goes as it is by then, in a request of its own.
    bench.next_run(2)
    assert pull(bench, [schema(), record("a", better=True)])["outcome"] == "succeeded"
    assert ids(receiver)[1:] == [(["a"], [])]
    assert receiver.requests[1].message["data"]["new"] == [{"id": "a", "better": True}]
    assert receiver.requests[1].message["id"] != receiver.requests[0].message["id"]


def test_retry_after(bench, hook):
    """Up to a minute it is waited for; who wants more is asked by a later run."""
    receiver = hook(answer(503, Retry_After="2"), answer(200))
    begun = time.monotonic()
    assert pull(bench, [schema(), record("a")])["outcome"] == "succeeded"
    assert time.monotonic() - begun >= 2
    bench.next_run(2)
    receiver.script[:] = [GIVE_UP]
    end = pull(bench, [schema(), record("b")])
    assert (end["outcome"], end["retry"]) == ("failed", True)
    assert 3500e6 < end["retry_at_usec"] - time.time() * 1e6 < 3700e6
    assert len(receiver.requests) == 3


def test_the_pull_goes_on_when_the_receiver_does_not(bench, hook):
    receiver = hook(GIVE_UP)
    end = pull(bench, [schema(), *(record(n) for n in range(1200)), state(9)])
    assert (end["outcome"], counts(end)) == ("failed", (1200, 1200, 0, 0))
    assert len(receiver.requests) == 1 and bench.daemon.cursor == "9" and waiting(bench) == 1200
    bench.next_run(2)
    assert pull(bench, [state(10)])["outcome"] == "succeeded"
    assert [key for new, _ in ids(receiver)[1:] for key in new] == list(range(1200))
    assert receiver.requests[1].body == receiver.requests[0].body


def test_changed_while_it_waits(bench, hook):
    """A request that may have been taken goes out as it was; what has changed since comes after it, as updated."""
    receiver = hook(GIVE_UP)
    pull(bench, [schema(), record("a"), record("b")])
    bench.next_run(2)
    receiver.script[:] = [GIVE_UP]
    pull(bench, [schema(), record("b", amount=2), record("c")])
    bench.next_run(3)
    pull(bench, [schema(), record("b", amount=3)])
    assert ids(receiver)[2:] == [(["a", "b"], []), (["c"], ["b"])]
    assert receiver.requests[3].message["data"]["updated"] == [{"id": "b", "amount": 3}]


def test_gone_at_the_provider_before_it_was_sent(bench, hook):
    receiver = hook(answer(400))
    versioned = {"version": 1}
    pull(bench, [schema(), {**record("a"), **versioned}, {**record("b"), **versioned}])
    bench.next_run(2)
    pull(bench, [schema(), {**record("b"), "version": 2}, {"type": "ACTIVATE_VERSION", "stream": "tx", "version": 2}])
    assert ids(receiver)[1:] == [(["b"], [])]


@pytest.mark.parametrize("how, error", [(hang, "timed out"), (drip, "timed out"), (reset, "")])
def test_receivers_that_do_not_answer(bench, hook, how, error):
    receiver = hook(how, rules={} if how is reset else {"webhook_timeout_usec": 2000000})
    assert pull(bench, [schema(), record("a")])["outcome"] == "succeeded"
    first, *others = attempts(bench)  # one more, where this machine answers it in time
    assert not first["succeeded"] and error in first["error"]
    assert others[-1]["succeeded"] and [told["retry"] for told in others] == list(range(1, len(others) + 1))
    assert len(receiver.requests) == 1 + len(others)


def test_huge_answers_are_cut(bench, hook):
    hook(pour)
    assert pull(bench, [schema(), record("a")])["outcome"] == "succeeded"
    (told,) = attempts(bench)
    assert told["answer"].startswith("yyy") and len(told["answer"].encode()) <= 1024


def test_earlier_records_are_told_of(bench, hook):
    """What is open is sent at once, but not before the daemon can be told what comes of it."""
    receiver = hook(GIVE_UP)
    pull(bench, [schema(), record("a")])
    bench.next_run(2)
    settled = []
    receiver.notice = lambda request: settled.append(dict(bench.daemon.told))
    assert pull(bench, [])["outcome"] == "succeeded"
    assert settled == [bench.daemon.told] and bench.daemon.told  # of the earlier run
    (told,) = attempts(bench)
    assert (told["succeeded"], told["records"]) == (True, 1)


# ---- Where it may go


@pytest.mark.parametrize("rules, words", [
    ({"webhook_allow_http": False}, "AllowHTTP= is off"), ({"webhook_allow_literals": False}, "AllowAddressLiterals= is off"),
    ({"webhook_private_networks": "10.0.0.0/8"}, "AllowPrivateAddresses= does not name it")])
def test_rules(bench, hook, rules, words):
    receiver = hook(rules=rules)
    end = pull(bench, [schema(), record("a")])
    assert (end["outcome"], end["attention"], end["destination_failed"]) == ("failed", "configuration_error", True)
    assert words in end["error"]
    assert receiver.requests == [] and receiver.connections == []


def test_nothing_is_taken_from_the_environment(bench, hook, receivers):
    """No proxy, no password file."""
    receiver, proxy = hook(), receivers()
    bench.settings(bench.lines([schema(), record("a")]), destination=bench.destination)
    (bench.folder / ".netrc").write_text("default login me password mine\n")
    bench.run(env={"http_proxy": proxy.url(), "all_proxy": proxy.url(), "HOME": str(bench.folder)})
    assert proxy.requests == [] and len(receiver.requests) == 1
    assert "authorization" not in receiver.requests[0].headers


@pytest.mark.parametrize("content", [None, b"", b"\n"])
def test_secret_that_cannot_be_read(bench, hook, content):
    receiver = hook()
    path = bench.folder / "secret"
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    end = pull(bench, [schema(), record("a")])
    assert (end["outcome"], end["attention"]) == ("failed", "configuration_error")
    assert str(path) in end["error"] and receiver.requests == []


def test_secret_of_the_credentials(bench, hook):
    receiver = hook()
    bench.destination = [(key, "%d/hook" if key == "SecretFile" else value) for key, value in bench.destination]
    (bench.folder / "hook").write_bytes(b"other")
    bench.settings(bench.lines([schema(), record("a")]), destination=bench.destination)
    bench.run(env={"CREDENTIALS_DIRECTORY": str(bench.folder)})
    (request,) = receiver.requests
    content = request.headers["x-syncrun-timestamp"].encode() + b"." + request.body
    assert request.headers["x-syncrun-signature"] == "sha256=" + hmac.new(b"other", content, hashlib.sha256).hexdigest()


# ---- Killed


def test_killed_while_a_request_is_under_way(bench, hook):
    """It may have been taken or not: the same goes out again, and what was taken before does not."""
    receiver = hook(answer(), hang)
    lines = [schema(), *(record(n) for n in range(700))]
    bench.settings(bench.lines(lines), destination=bench.destination)
    run = bench.start()
    wait_for(lambda: len(receiver.requests) == 2, "the second request")
    run.kill()
    assert run.wait() < 0
    bench.next_run(2)
    assert pull(bench, lines)["outcome"] == "succeeded"
    assert [len(new) for new, _ in ids(receiver)] == [500, 200, 200]
    assert receiver.requests[2].body == receiver.requests[1].body


def untold(bench):
    with sqlite3.connect(f"file:{bench.state}/items.db?mode=ro", uri=True) as database:
        return database.execute("SELECT run_id, json ->> 'http_status' FROM attempt ORDER BY key").fetchall()


@pytest.mark.parametrize("by", ["the next run", "--settle"])
def test_attempts_of_a_worker_that_was_killed(bench, hook, by):
    """What the daemon did not hear of is told by who comes after, and then forgotten; in the transaction that knows what was
    taken it was noted."""
    gone = threading.Event()
    receiver = hook(lambda connection, closing: (gone.wait(TIMEOUT_SEC), answer(500)(connection, closing)), answer(), hang)
    lines = [schema(), *(record(n) for n in range(700))]
    bench.settings(bench.lines(lines), destination=bench.destination)
    run = bench.start()
    wait_for(lambda: receiver.requests, "the first request")
    bench.daemon.vanish()
    gone.set()
    wait_for(lambda: len(receiver.requests) == 3, "the third request")
    run.kill()
    run.wait()
    first = bench.daemon.run_id
    assert untold(bench) == [(first, 500), (first, 200)]
    assert waiting(bench) == 200
    bench.daemon.appear()
    if by == "--settle":
        assert Run(bench, ["--settle"]).wait() == 0
    else:
        bench.next_run(2)
        assert pull(bench, [schema()])["outcome"] == "succeeded"
    assert [attempt["http_status"] for attempt in bench.daemon.told[first]] == [500, 200]
    assert untold(bench) == []


def test_cancelled_while_a_request_is_under_way(bench, hook):
    receiver = hook(hang)
    bench.settings(bench.lines([schema(), record("a")]), destination=bench.destination)
    run = bench.start()
    wait_for(lambda: receiver.requests, "the request")
    run.kill(15)
    assert run.wait() == 0 and bench.daemon.end["outcome"] == "cancelled"
    bench.next_run(2)
    assert pull(bench, [schema(), record("a")])["outcome"] == "succeeded"
    assert receiver.requests[1].body == receiver.requests[0].body


def test_daemon_killed_while_a_request_is_under_way(bench, hook):
    """Sending goes on; what came of it is told when the daemon is back."""
    receiver = hook()
    released = threading.Event()
    receiver.script.append(lambda connection, closing: (released.wait(TIMEOUT_SEC), answer()(connection, closing)))
    bench.settings(bench.lines([schema(), *(record(n) for n in range(700))]), destination=bench.destination)
    run = bench.start()
    wait_for(lambda: receiver.requests, "the request")
    bench.daemon.vanish()
    released.set()
    wait_for(lambda: len(receiver.requests) == 2, "the second request")
    bench.daemon.appear()
    assert run.wait() == 0 and bench.daemon.end["outcome"] == "succeeded"
    assert [told["records"] for told in attempts(bench)] == [500, 200]


def test_killed_at_any_moment(bench, hook):
    """Nothing is lost, the order is kept, and nothing comes in a second request once the first was taken."""
    receiver = hook()
    chance = random.Random(20261122)
    lines, longest, n_killed = [schema()], 0.1, 0
    for number in range(2, 14):
        lines += [record(n) for n in range(100 * number, 100 * number + 1300)]
        bench.settings(bench.lines(lines), destination=bench.destination)
        run = Run(bench)
        begun = time.monotonic()
        moment = begun + chance.random() * longest
        GLib.timeout_add(int((moment - begun) * 1000) + 1, lambda: False)  # looked at then
        wait_for(lambda: time.monotonic() >= moment or run.status is not None, "the moment")
        if run.status is None:
            run.kill()
            longest *= 1.1
            n_killed += 1
        else:
            longest = time.monotonic() - begun
        run.wait()
        bench.next_run(number)
    assert n_killed > 2
    assert pull(bench, lines)["outcome"] == "succeeded"
    bodies, order = {}, []
    for request in receiver.requests:
        entry = request.message
        assert bodies.setdefault(entry["id"], request.body) == request.body
        if entry["id"] not in [known for known, _ in order]:
            order.append((entry["id"], [r["id"] for r in entry["data"]["new"] + entry["data"]["updated"]]))
    assert [key for _, keys in order for key in keys] == list(range(200, 2600))
    assert waiting(bench) == 0
