# SPDX-License-Identifier: LGPL-2.1-or-later
"""Names that mean one address now and another one later, and name servers that say nothing, on a network of the test's
own; and the authorities that a system knows."""

import json
import os
import subprocess
import threading

import pytest
from harness import TIMEOUT_SEC, Daemon, wait_for
from island import Island
from receiver import Authority, Receiver, answer, hang
from webhooks import Webhooks

PUBLIC = "93.184.215.14"
PRIVATE = "10.9.8.7"
SETTINGS = "[Webhooks]\nAllowHTTP=yes\nRetrySec=\n{more}\n"


@pytest.fixture
def island(tmp_path, monkeypatch):
    (tmp_path / "certs").mkdir()
    instance = Island(tmp_path, [PUBLIC, PRIVATE], tmp_path / "certs")
    monkeypatch.setenv("SYNCRUND", str(instance.program))
    yield instance
    instance.close()


@pytest.fixture
def receiver(island):
    """Listens on all addresses: what it does not get was not sent."""
    instance = island.run(Receiver, then=answer(Connection="close"), address="0.0.0.0")
    yield instance
    instance.close()


@pytest.fixture
def begin(island, new_daemon, client):
    def start(more=""):
        new_daemon.write("syncrun.conf", SETTINGS.format(more=more))
        new_daemon.start()
        return Webhooks(client)

    return start


def send(webhooks, endpoint, n):
    webhooks.call("TestWebhook", endpoint)
    webhooks.wait_attempts(n)
    return webhooks.attempts(endpoint=endpoint)[0]


def test_rebinding(island, receiver, begin):
    webhooks = begin()
    endpoint = webhooks.add(receiver.url("hook.example"))
    island.server.names["hook.example"] = [PUBLIC]
    assert send(webhooks, endpoint, 1)["status"] == 0
    for n, address in enumerate(("127.0.0.1", PRIVATE, "0.0.0.0"), 2):
        island.server.names["hook.example"] = [address]
        attempt = send(webhooks, endpoint, n)
        assert (attempt["status"], attempt["responseStatusCode"]) == (2, 0)
        assert f"{address} is no public address" in attempt["statusText"]
    assert len(receiver.requests) == 1 and receiver.addresses == [PUBLIC]
    island.server.names["hook.example"] = [PUBLIC]
    assert send(webhooks, endpoint, 5)["status"] == 0


@pytest.mark.parametrize("inside", [[PRIVATE], ["127.0.0.1"], ["::1"], ["::ffff:127.0.0.1"]])
def test_rebinding_within_an_attempt(island, receiver, begin, inside):
    """What was looked at is what is connected to: another answer of the name server a moment later is of no use."""
    webhooks = begin()
    endpoint = webhooks.add(receiver.url("turns.example"))
    island.server.names["turns.example"] = ([PUBLIC], inside)
    assert send(webhooks, endpoint, 1)["status"] == 0
    assert receiver.addresses == [PUBLIC]
    attempt = send(webhooks, endpoint, 2)
    assert (attempt["status"], attempt["responseStatusCode"]) == (2, 0)
    assert "is no public address" in attempt["statusText"]
    # And the other way round.
    island.server.names["nruter.example"] = (inside, [PUBLIC])
    attempt = send(webhooks, webhooks.add(receiver.url("nruter.example")), 3)
    assert attempt["status"] == 2 and "is no public address" in attempt["statusText"]
    assert receiver.addresses == [PUBLIC] and len(receiver.requests) == 1


def test_addresses_of_both_families(island, receiver, begin):
    """That one of them is public says nothing of the other."""
    webhooks = begin()
    island.server.names |= {"six.example": ["::1", "fd00::1", "::ffff:10.9.8.7", "fe80::1"], "both.example": ["::1", PUBLIC]}
    attempt = send(webhooks, webhooks.add(receiver.url("six.example")), 1)
    assert attempt["status"] == 2 and "is no public address" in attempt["statusText"]
    assert send(webhooks, webhooks.add(receiver.url("both.example")), 2)["status"] == 0
    assert receiver.addresses == [PUBLIC]


def test_a_name_of_both(island, receiver, begin):
    """The public one is taken, whichever comes first."""
    webhooks = begin()
    endpoint = webhooks.add(receiver.url("both.example"))
    island.server.names["both.example"] = ["127.0.0.1", PRIVATE, PUBLIC]
    assert send(webhooks, endpoint, 1)["status"] == 0
    assert receiver.addresses == [PUBLIC] and len(receiver.requests) == 1


def test_a_name_of_both_where_nobody_answers(island, receiver, begin):
    """What failed is the connection that could be tried: it is not we who refuse."""
    webhooks = begin()
    island.server.names["both.example"] = [PRIVATE, PUBLIC]
    attempt = send(webhooks, webhooks.add("http://both.example:1/"), 1)
    assert attempt["status"] == 2 and "connect" in attempt["statusText"]
    assert "is no public address" not in attempt["statusText"]


@pytest.mark.parametrize("busy", [False, True])
def test_a_kept_connection_that_is_not_allowed_any_more(island, begin, new_daemon, client, busy):
    """busy: another request is under way meanwhile, so that libcurl goes on with what it has."""
    receiver, slow = (island.run(Receiver, address="0.0.0.0") for _ in range(2))
    slow.then, arrived = hang, threading.Event()
    slow.notice = lambda request: arrived.set()
    try:
        webhooks = begin("AllowPrivateAddresses=yes\nTimeoutSec=60s")
        island.server.names |= {"inside.example": [PRIVATE], "slow.example": [PUBLIC]}
        endpoint = webhooks.add(receiver.url("inside.example"))
        assert [send(webhooks, endpoint, n)["status"] for n in (1, 2)] == [0, 0]
        assert len(receiver.connections) == 1
        if busy:
            webhooks.call("TestWebhook", webhooks.add(slow.url("slow.example")))
            assert arrived.wait(TIMEOUT_SEC)
        new_daemon.write("syncrun.conf", SETTINGS.format(more="TimeoutSec=60s"))
        client.manager("Reload")
        attempt = send(webhooks, endpoint, 3)
        assert attempt["status"] == 2 and f"{PRIVATE} is no public address" in attempt["statusText"]
        assert len(receiver.requests) == 2
    finally:
        receiver.close()
        slow.close()


def test_an_authority_of_ones_own_replaces_the_systems(island, begin, tmp_path):
    """Not even who the system trusts is trusted beside it."""
    ours, theirs = (Authority(tmp_path / name) for name in ("ours", "theirs"))
    (tmp_path / "certs" / "authority.pem").write_bytes(theirs.file.read_bytes())
    (tmp_path / "certs" / "ca-certificates.crt").write_bytes(theirs.file.read_bytes())
    subprocess.run(["openssl", "rehash", tmp_path / "certs"], check=True)
    receivers = [island.run(Receiver, certificate=authority.certificate("DNS:hook.example"), address="0.0.0.0")
                 for authority in (ours, theirs)]
    island.server.names["hook.example"] = [PUBLIC]
    try:
        webhooks = begin(f"CertificateAuthorityFile={ours.file}")
        endpoints = [webhooks.add(receiver.url("hook.example")) for receiver in receivers]
        assert send(webhooks, endpoints[0], 1)["status"] == 0
        attempt = send(webhooks, endpoints[1], 2)
        assert attempt["status"] == 2 and "certificate" in attempt["statusText"]
        assert [len(receiver.requests) for receiver in receivers] == [1, 0]
    finally:
        for receiver in receivers:
            receiver.close()


def test_the_systems_authorities(island, begin, tmp_path):
    authority = Authority(tmp_path / "theirs")
    (tmp_path / "certs" / "ca-certificates.crt").write_bytes(authority.file.read_bytes())
    receiver = island.run(Receiver, certificate=authority.certificate("DNS:hook.example"), address="0.0.0.0")
    island.server.names["hook.example"] = [PUBLIC]
    try:
        webhooks = begin()
        assert send(webhooks, webhooks.add(receiver.url("hook.example")), 1)["status"] == 0
    finally:
        receiver.close()


def test_private_where_it_is_allowed(island, receiver, begin):
    webhooks = begin("AllowPrivateAddresses=yes")
    island.server.names["inside.example"] = [PRIVATE]
    assert send(webhooks, webhooks.add(receiver.url("inside.example")), 1)["status"] == 0


def test_private_of_one_network(island, receiver, begin):
    """What is named is allowed, by the address that is connected to, and nothing beside it."""
    webhooks = begin("AllowPrivateAddresses=10.9.0.0/16")
    endpoint = webhooks.add(receiver.url("inside.example"))
    for n, (address, status) in enumerate(((PRIVATE, 0), ("127.0.0.1", 2), (PUBLIC, 0)), 1):
        island.server.names["inside.example"] = [address]
        attempt = send(webhooks, endpoint, n)
        assert attempt["status"] == status
        if status:
            assert f"{address} is no public address, and AllowPrivateAddresses= does not name it" in attempt["statusText"]
    assert len(receiver.requests) == 2


def test_no_such_name(island, receiver, begin):
    webhooks = begin()
    attempt = send(webhooks, webhooks.add("http://nowhere.example/"), 1)
    assert attempt["status"] == 2 and "resolve host" in attempt["statusText"]


def test_a_name_server_that_says_nothing(island, receiver, begin, new_daemon, client):
    """Nobody waits for it: not the other endpoints, not the bus, and not the daemon's end."""
    webhooks = begin("TimeoutSec=1h")
    island.server.names |= {"silent.example": None, "hook.example": [PUBLIC]}
    silent, good = (webhooks.add(receiver.url(f"{name}.example")) for name in ("silent", "hook"))
    webhooks.call("TestWebhook", silent)
    island.server.wait_question("silent.example")
    client.manager("DescribeConnectors", "(a{sv})", {})
    webhooks.call("TestWebhook", good)
    webhooks.wait_attempts(1)
    client.manager("DescribeConnectors", "(a{sv})", {})
    # The silent one has not even timed out.
    assert [arguments[0] for _, _, arguments in webhooks.attempted] == [good]
    # The resolver asks for two and a half minutes: whoever waited for it would hang here.
    assert new_daemon.stop() == 0


def test_a_name_server_that_says_nothing_times_out(island, receiver, begin):
    webhooks = begin("TimeoutSec=1s")
    island.server.names["silent.example"] = None
    attempt = send(webhooks, webhooks.add(receiver.url("silent.example")), 1)
    assert attempt["status"] == 2 and "timed out" in attempt["statusText"].lower()


def test_rebinding_of_a_destination(island, receiver, bus, tmp_path, client):
    """A connector's own webhook goes by the same rules, in its worker."""
    daemon = Daemon(bus, tmp_path, worker=os.environ["SYNCRUN_WORKER_PROGRAM"])
    try:
        lines = "".join(f"echo '{json.dumps(line)}'\n" for line in (
            {"type": "SCHEMA", "stream": "tx", "schema": {}, "key_properties": ["id"]},
            {"type": "RECORD", "stream": "tx", "record": {"id": 1}}))
        program = tmp_path / "pull"
        program.write_text(f"#!/bin/sh\n{lines}")
        program.chmod(0o755)
        daemon.write("syncrun.conf", SETTINGS.format(more=""))
        daemon.add("bank", f"[Run]\nRetryMax=0\n[Pipeline]\nExecPull={program}\n"
                   f"[Destination]\nType=webhook\nUrl={receiver.url('hook.example')}\n")
        daemon.start()
        ended = {}
        for address in ("127.0.0.1", PRIVATE, PUBLIC):
            island.server.names["hook.example"] = [address]
            run, *_ = client.start("bank")
            wait_for(lambda: not client.describe("DescribeRuns", active=True)["runs"], "the end of the run")
            (ended[address],) = client.describe("DescribeRuns", id=run)["runs"]
    finally:
        daemon.close()
    assert [run["outcome"] for run in ended.values()] == ["failed", "failed", "succeeded"]
    assert f"{PRIVATE} is no public address" in ended[PRIVATE]["error"]
    assert [request.message["data"]["new"] for request in receiver.requests] == [[{"id": 1}]]
