# SPDX-License-Identifier: LGPL-2.1-or-later
"""Where webhooks may go, whom they trust, and who may ask."""

import json
import re
from pathlib import Path

import pytest
from receiver import Authority
from webhooks import USER, Webhooks, refusal

SECURE = "[Webhooks]\nAllowAddressLiterals=yes\nAllowPrivateAddresses=yes\nRetrySec=\nCertificateAuthorityFile={ca}\n"


ENABLED = {"disabled": False, "disabled_reason": None, "disabled_at": None, "failing_since": None}
SYSTEM_AUTHORITIES = Path("/etc/ssl/certs/ca-certificates.crt")
CONNECTIONS = 10
DESCRIPTION = 1024  # WEBHOOK_DESCRIPTION_MAX


def bytes_read(pid):
    return int(re.search(r"rchar: (\d+)", Path(f"/proc/{pid}/io").read_text())[1])


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("ca") / "authority")


def start(daemon, client, settings, **environment):
    daemon.write("syncrun.conf", settings)
    daemon.start(**environment)
    return Webhooks(client)


def attempt(webhooks, url, n=1):
    webhooks.call("TestWebhook", webhooks.add(url))
    webhooks.wait_attempts(n)
    return webhooks.attempts()[0]


# ---- Whom they trust

def test_https(new_daemon, client, receivers, authority):
    receiver = receivers(certificate=authority.certificate("IP:127.0.0.1"))
    webhooks = start(new_daemon, client, SECURE.format(ca=authority.file))
    assert attempt(webhooks, receiver.url())["responseStatusCode"] == 200
    assert receiver.types == ["webhook.test"]


def test_another_hosts_certificate(new_daemon, client, receivers, authority):
    receiver = receivers(certificate=authority.certificate("DNS:example.com"))
    webhooks = start(new_daemon, client, SECURE.format(ca=authority.file))
    failed = attempt(webhooks, receiver.url())
    assert failed["status"] == 2 and "SSL" in failed["statusText"]
    assert receiver.requests == []


def test_a_certificate_of_nobody_we_know(new_daemon, client, receivers, authority):
    receiver = receivers(certificate=authority.certificate("IP:127.0.0.1"))
    webhooks = start(new_daemon, client, SECURE.replace("CertificateAuthorityFile={ca}\n", ""))
    failed = attempt(webhooks, receiver.url())
    assert failed["status"] == 2 and "certificate" in failed["statusText"]
    assert receiver.requests == []


def test_the_authorities_are_not_read_for_each_connection(new_daemon, client, receivers, authority):
    """The system's are 200 KB of text, which take 40 ms of the loop. (What else is read is the history.)"""
    receiver = receivers(certificate=authority.certificate("IP:127.0.0.1"))
    webhooks = start(new_daemon, client, SECURE.replace("CertificateAuthorityFile={ca}\n", ""))
    attempt(webhooks, receiver.url())
    read = bytes_read(new_daemon.process.pid)
    for n in range(CONNECTIONS):
        attempt(webhooks, receiver.url(path=f"/{n}"), 2 + n)
    assert bytes_read(new_daemon.process.pid) - read < CONNECTIONS * SYSTEM_AUTHORITIES.stat().st_size / 2


# ---- Where they may go

@pytest.mark.parametrize("host", ["127.0.0.1", "127.1", "[::ffff:127.0.0.1]"])
def test_private_addresses(new_daemon, client, receivers, host):
    receiver = receivers()
    webhooks = start(new_daemon, client, "[Webhooks]\nAllowHTTP=yes\nAllowAddressLiterals=yes\nRetrySec=\n")
    failed = attempt(webhooks, receiver.url(host))
    assert failed["status"] == 2 and "is no public address" in failed["statusText"]
    assert receiver.connections == []


def test_names_of_private_addresses(new_daemon, client, receivers):
    receiver = receivers()
    webhooks = start(new_daemon, client, "[Webhooks]\nAllowHTTP=yes\nRetrySec=\n")
    failed = attempt(webhooks, receiver.url("localhost"))
    assert "is no public address" in failed["statusText"]
    assert receiver.connections == []


def test_what_is_not_allowed_is_refused_at_once(new_daemon, client):
    webhooks = start(new_daemon, client, "")
    for url, why in (("http://example.com/", "AllowHTTP="), ("https://127.0.0.1/", "AllowAddressLiterals="),
                     ("https://0x7f.1/", "AllowAddressLiterals="), ("ftp://example.com/", "https://")):
        error = refusal(webhooks.add, url)
        assert error.name == "InvalidArgument" and why in error.message
    endpoint = webhooks.add("https://example.com/")
    assert refusal(webhooks.call, "UpdateWebhookEndpoint", endpoint, url="http://example.com/").name == "InvalidArgument"
    assert webhooks.describe(endpoint)["url"] == "https://example.com/"


def test_what_is_no_longer_allowed(new_daemon, client, receivers):
    receiver = receivers()
    webhooks = start(new_daemon, client, "[Webhooks]\nAllowHTTP=yes\nAllowAddressLiterals=yes\nAllowPrivateAddresses=yes\nRetrySec=\n")
    endpoint = webhooks.add(receiver.url())
    webhooks.call("TestWebhook", endpoint)
    webhooks.wait_attempts(1)
    new_daemon.write("syncrun.conf", "[Webhooks]\nRetrySec=\n")
    client.manager("Reload")
    webhooks.call("TestWebhook", endpoint)
    webhooks.wait_attempts(2)
    assert "AllowHTTP= is off" in webhooks.attempts()[0]["statusText"]
    assert len(receiver.requests) == 1


def test_the_environment_says_nothing(new_daemon, client, receivers, tmp_path):
    """No proxy, no password file, no authority by variables."""
    receiver, proxy = receivers(), receivers()
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login me password secret\n")
    where = proxy.url(path="")
    webhooks = start(new_daemon, client, "[Webhooks]\nAllowHTTP=yes\nAllowAddressLiterals=yes\nAllowPrivateAddresses=yes\n",
                     http_proxy=where, https_proxy=where, ALL_PROXY=where, all_proxy=where, HOME=str(tmp_path))
    assert attempt(webhooks, receiver.url())["status"] == 0
    assert proxy.connections == []
    assert "authorization" not in receiver.requests[0].headers


# ---- Limits

def test_number_of_endpoints(new_daemon, client):
    webhooks = start(new_daemon, client, "")
    endpoints = [webhooks.add(f"https://example.com/{n}") for n in range(64)]  # WEBHOOK_ENDPOINTS_MAX
    assert refusal(webhooks.add, "https://example.com/more").name == "LimitExceeded"
    webhooks.call("RemoveWebhookEndpoint", endpoints[7])
    webhooks.add("https://example.com/more")


def test_what_an_endpoint_is_made_of(new_daemon, client):
    webhooks = start(new_daemon, client, "")
    endpoint = webhooks.add("https://example.com/", description="x" * DESCRIPTION, types=["sync.failed"], user=USER)
    assert webhooks.describe(endpoint, view="open-wearables") == {
        "id": endpoint, "url": "https://example.com/", "description": "x" * DESCRIPTION, "filter_types": ["sync.failed"],
        "user_id": USER, **ENABLED}
    for values in ({"description": "x" * (DESCRIPTION + 1)}, {"types": ["webhook.test"]}, {"user": "me"}, {"view": "repo"}):
        assert refusal(webhooks.call, "UpdateWebhookEndpoint", endpoint, **values).name == "InvalidArgument"
    body = json.loads(webhooks.call("UpdateWebhookEndpoint", endpoint, description="", types=[], user="", view="open-wearables"))
    assert body == {"id": endpoint, "url": "https://example.com/", "description": "", "filter_types": None, "user_id": None,
                    **ENABLED}
    listed = json.loads(webhooks.call("DescribeWebhookEndpoints", view="open-wearables"))
    assert listed == {"data": [body], "done": True, "iterator": endpoint, "prevIterator": f"-{endpoint}"}
    for limit in (0, 251):
        assert refusal(webhooks.call, "DescribeWebhookEndpoints", limit=limit).name == "InvalidArgument"
    assert refusal(webhooks.call, "DescribeWebhookEndpoints", iterator="x").name == "InvalidArgument"
    for limit in (0, 251):
        assert refusal(webhooks.messages, limit=limit).name == "InvalidArgument"
    assert webhooks.messages(limit=250) == []  # WEBHOOK_PAGE_MAX
    types = json.loads(client.manager("DescribeWebhookEventTypes"))["data"]
    assert [t["name"] for t in types] == ["sync.started", "sync.completed", "sync.failed", "sync.cancelled",
                                          "sync.needs_attention", "sync.recovered"]


@pytest.mark.parametrize("method, more", [("UpdateWebhookEndpoint", ()), ("RemoveWebhookEndpoint", ()), ("TestWebhook", ()),
                                          ("GetWebhookSecret", ()), ("RotateWebhookSecret", ()),
                                          ("ResendWebhookMessage", ("msg_1",))])
def test_no_such_endpoint(daemon, client, method, more):
    assert refusal(Webhooks(client).call, method, "ep_lost", *more).name == "NoSuchEndpoint"


def test_pages(begin, receivers):
    webhooks = begin()
    endpoint = webhooks.add(receivers().url())
    sent = [webhooks.call("TestWebhook", endpoint) for _ in range(5)]
    webhooks.wait_attempts(5)

    def page(**values):
        answer = json.loads(webhooks.call("DescribeWebhookMessages", limit=2, endpoint=endpoint, **values))
        return [m["id"] for m in answer["data"]], answer

    newest, first = page()
    middle, second = page(iterator=first["iterator"])
    oldest, third = page(iterator=second["iterator"])
    assert newest + middle + oldest == sent[::-1]
    assert [first["done"], second["done"], third["done"]] == [False, False, True]
    assert page(iterator=third["prevIterator"])[0] == middle
    assert page(iterator=second["prevIterator"])[0] == newest
    assert refusal(page, iterator="msg_1").name == "InvalidArgument"
    assert refusal(webhooks.messages, endpoint="ep_lost").name == "NoSuchEndpoint"
    assert refusal(webhooks.attempts, message="msg_lost").name == "NoSuchMessage"
