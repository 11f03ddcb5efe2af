# SPDX-License-Identifier: LGPL-2.1-or-later
"""The commands of syncrunctl webhook, against a receiver of the test's own."""

import re

import pytest
from receiver import Receiver, answer

USER = "7f9c0d5e-1111-4222-8333-444455556666"
LOCAL = "[Webhooks]\nAllowHTTP=yes\nAllowAddressLiterals=yes\nAllowPrivateAddresses=yes\nRetrySec=\n"


@pytest.fixture
def daemon(world):
    world.daemon.write("syncrun.conf", LOCAL)
    return world.start()


@pytest.fixture
def receiver():
    instance = Receiver()
    yield instance
    instance.close()


@pytest.fixture
def endpoint(daemon, ctl, receiver):
    return ctl.run("webhook", "add", receiver.url(), "-q").strip()


def test_add_and_list(daemon, ctl, receiver):
    status, out, err = ctl.both("webhook", "add", receiver.url(), "--types=sync.failed,sync.recovered", f"--user={USER}")
    assert status == 0 and re.fullmatch(r"ep_[0-9a-f]{32}\n", out)
    assert f"syncrunctl webhook secret {out.strip()}" in err
    other = ctl.json("webhook", "add", receiver.url(path="/other"), "--disable", "--description=mine")["id"]
    assert ctl.rows("webhook", "list") == [
        [out.strip(), "active", "sync.failed,sync.recovered", USER, receiver.url()],
        [other, "disabled", "all", "-", receiver.url(path="/other")]]
    data = ctl.json("webhook", "list")["data"]
    assert [(e["id"], e["filter_types"], e["user_id"], e["disabled"]) for e in data] == [
        (out.strip(), ["sync.failed", "sync.recovered"], USER, False), (other, None, None, True)]
    shown = ctl.run("webhook", "show", other)
    assert "Description: mine" in shown and "State: disabled" in shown
    assert ctl.json("webhook", "show", other)["description"] == "mine"


def test_none_says_how_to_make_one(daemon, ctl):
    assert "syncrunctl webhook add https://" in ctl.run("webhook", "list")


def test_update_and_remove(endpoint, ctl, receiver):
    ctl.run("webhook", "update", endpoint, f"--url={receiver.url(path='/new')}", "--types=sync.started", "--disable")
    assert ctl.rows("webhook", "list") == [[endpoint, "disabled", "sync.started", "-", receiver.url(path="/new")]]
    ctl.run("webhook", "update", endpoint, "--enable")
    assert ctl.rows("webhook", "list") == [[endpoint, "active", "sync.started", "-", receiver.url(path="/new")]]
    assert ctl.both("webhook", "update", endpoint, "--enable", "--disable")[0] == 2
    ctl.run("webhook", "update", endpoint, f"--user={USER}", "--description=mine")
    assert ctl.rows("webhook", "list") == [[endpoint, "active", "sync.started", USER, receiver.url(path="/new")]]
    ctl.run("webhook", "update", endpoint, "--user=", "--types=all", "--description=")
    assert ctl.rows("webhook", "list") == [[endpoint, "active", "all", "-", receiver.url(path="/new")]]
    assert not ctl.json("webhook", "show", endpoint)["description"]
    status, _, err = ctl.both("webhook", "update", endpoint)
    assert status == 2 and "Change what?" in err
    ctl.run("webhook", "remove", endpoint)
    assert ctl.json("webhook", "list")["data"] == []
    status, _, err = ctl.both("webhook", "remove", endpoint)
    assert status == 4 and "no such webhook endpoint" in err


def test_secret_and_rotate(endpoint, ctl, receiver):
    first = ctl.run("webhook", "secret", endpoint).strip()
    assert first.startswith("whsec_")
    second = ctl.json("webhook", "rotate", endpoint)["secret"]
    assert ctl.json("webhook", "secret", endpoint) == {"secret": second} and second != first
    ctl.run("webhook", "test", endpoint)
    assert receiver.requests[0].is_signed_by(first) and receiver.requests[0].is_signed_by(second)
    ctl.run("webhook", "rotate", endpoint, "--at-once")
    ctl.run("webhook", "test", endpoint)
    assert not receiver.requests[1].is_signed_by(second)


def test_test(endpoint, ctl, receiver):
    assert re.match(r"It was taken: HTTP status 200, after \d+ms\.\n", ctl.run("webhook", "test", endpoint))
    assert receiver.types == ["webhook.test"]
    receiver.script.append(answer(503, b"not now"))
    status, out, err = ctl.both("webhook", "test", endpoint)
    assert (status, out) == (1, "") and "It was not taken: HTTP status 503." in err
    assert ctl.json("webhook", "test", endpoint)["responseStatusCode"] == 200
    assert ctl.both("webhook", "test", "ep_lost")[0] == 4


def test_messages_and_attempts(endpoint, ctl, receiver):
    receiver.script.append(answer(500))
    ctl.run("webhook", "test", endpoint, status=1)
    [row] = ctl.rows("webhook", "messages", endpoint)
    message = row[0]
    assert row[1:2] + row[3:] == ["webhook.test", "failed", "-", "-"]
    ctl.run("webhook", "test", endpoint)
    assert [r[0] for r in ctl.rows("webhook", "messages")][1] == message
    assert [r["id"] for r in ctl.json("webhook", "messages", message)["data"]] == [message]
    rows = ctl.rows("webhook", "attempts", endpoint)
    assert [(r[2], r[3]) for r in rows] == [(endpoint, "200"), (endpoint, "500")]
    assert rows[0][5] == "success" and "500" in " ".join(rows[1])
    assert "--page=" in ctl.run("webhook", "attempts", endpoint, "-n1")
    page = ctl.json("webhook", "attempts", endpoint, "-n1")["iterator"]
    assert ctl.json("webhook", "attempts", endpoint, "-n1", f"--page={page}")["data"][0]["msgId"] == message
    assert ctl.both("webhook", "messages", "--page=x")[0] == 2
    assert ctl.both("webhook", "messages", "msg_lost")[0] == 4


def test_resend_and_recover(endpoint, ctl, receiver, world):
    receiver.script.append(answer(500))
    ctl.run("webhook", "test", endpoint, status=1)
    message = ctl.json("webhook", "messages")["data"][0]["id"]
    attempted = world.client.signals("org.syncrun1.Manager", "WebhookAttempted")
    ctl.run("webhook", "resend", endpoint, message)
    wait(attempted, 1)
    receiver.script.append(answer(500))
    ctl.run("webhook", "test", endpoint, status=1)
    wait(attempted, 2)
    ctl.run("webhook", "recover", endpoint, "--since=1h ago")
    wait(attempted, 3)
    assert [succeeded for _, _, (_, _, succeeded, _) in attempted] == [True, False, True]
    assert receiver.ids[0] == receiver.ids[1] == message and receiver.ids[2] == receiver.ids[3]
    assert ctl.both("webhook", "recover", endpoint)[0] == 2
    status, _, err = ctl.both("webhook", "recover", endpoint, "--since=2099-01-01")
    assert status == 2 and "lies in the future" in err
    assert ctl.both("webhook", "resend", endpoint, "msg_lost")[0] == 4
    ctl.run("webhook", "update", endpoint, "--disable")
    assert ctl.both("webhook", "recover", endpoint, "--since=1h")[0] == 5


def wait(signals, n):
    from harness import wait_for

    wait_for(lambda: len(signals) >= n, f"{n} attempts")


def test_what_is_refused(daemon, ctl):
    for url in ("ftp://example.com/", "https://user:word@example.com/", "https://example.com/#x", "nowhere"):
        status, out, err = ctl.both("webhook", "add", url)
        assert (status, out) == (2, "") and "URL" in err
    assert ctl.both("webhook", "add", "https://example.com/", "--types=sync.eaten")[0] == 2
    assert ctl.both("webhook", "add", "https://example.com/", "--user=me")[0] == 2
