# SPDX-License-Identifier: LGPL-2.1-or-later
"""What receivers hear of syncs that need a person: of runs that were lost, of failures in a row, and of consents."""

import os
import signal
import time

import pytest
from harness import CallError, options, run_path, wait_for
from webhooks import USER

PATIENT = "[Pipeline]\nExecPull=/bin/true\n[Run]\nRetryMax=0\nNotifyAfter={n}\n"
CONNECTION = "[Connection]\nConsentExpires={expires}\n"


class Ear:
    """An endpoint, whose messages are all signed."""

    def __init__(self, webhooks, receiver):
        self.receiver = receiver
        self.secret = webhooks.secret(webhooks.add(receiver.url()))

    def messages(self):
        """Each once, though it may come twice where the daemon has ended before it was written that it was taken."""
        messages = {}
        for request in list(self.receiver.requests):
            assert request.is_signed_by(self.secret)
            assert request.message.keys() == {"type", "timestamp", "data"}
            messages.setdefault(request.id, (request.message["type"], request.message["data"]))
        return list(messages.values())

    def hear(self, n):
        """The types and bodies of its first n messages."""
        wait_for(lambda: len(self.messages()) >= n, f"{n} messages")
        return self.messages()


@pytest.fixture
def ear(new_daemon, receivers, begin):
    """Of a daemon with the connectors bank, alone (NotifyAfter=1), patient (2), and three of the connection home."""
    new_daemon.write("connections/home.connection", CONNECTION.format(expires="never"))
    new_daemon.add("alone", PATIENT.format(n=1), User=USER)
    new_daemon.add("patient", PATIENT.format(n=2), User=USER)
    new_daemon.add("books", User=USER, Connection="home")
    new_daemon.add("mail", User=USER, Connection="home")
    new_daemon.add("off", User=USER, Connection="home", Enabled="no")
    return Ear(begin(), receivers())


def check_lost(ear, run):
    (started, _), (failed, of_run), (attention, of_sync) = ear.hear(3)
    assert (started, failed, attention) == ("sync.started", "sync.failed", "sync.needs_attention")
    assert of_run["error"].startswith("The run was lost: ")
    assert (of_run["run_id"], of_run["status"], of_run["connector"], of_run["user_id"]) == (run, "failed", "alone", USER)
    assert of_run["started_at"] <= of_run["ended_at"]
    assert (of_sync["run_id"], of_sync["connector"], of_sync["category"]) == (run, "alone", "configuration_error")
    assert of_sync["message"] == of_run["error"] and of_sync["advice"] and of_sync["since"] == of_run["ended_at"]


def test_a_worker_that_is_killed(ear, new_daemon, client):
    run, *_ = client.start("alone")
    worker = new_daemon.worker()
    worker.attach()
    os.kill(worker.pid, signal.SIGKILL)
    check_lost(ear, run)


def test_a_run_that_ended_while_nobody_looked_on(ear, new_daemon, client):
    run, *_ = client.start("alone")
    worker = new_daemon.worker()
    worker.attach()
    ear.hear(1)
    new_daemon.kill9()
    os.kill(worker.pid, signal.SIGKILL)
    new_daemon.start()
    check_lost(ear, run)


def test_failures_in_a_row(ear, new_daemon, client):
    """Each that fails is told; that it needs a person only with the second, and once."""
    runs = []
    for _ in range(3):
        runs.append(client.start("patient")[0])
        worker = new_daemon.worker()
        worker.attach()
        worker.finish(1, outcome="failed", error="no answer")
        worker.exit()
        wait_for(lambda: client.get(run_path(runs[-1]), "org.syncrun1.Run", "State") == "finished", "the end")
    heard = ear.hear(7)
    assert [(data["run_id"], kind) for kind, data in heard if kind != "sync.started"] == [
        (runs[0], "sync.failed"), (runs[1], "sync.failed"), (runs[1], "sync.needs_attention"), (runs[2], "sync.failed")]
    (needed,) = [data for kind, data in heard if kind == "sync.needs_attention"]
    assert (needed["category"], needed["message"]) == ("connection_lost", "Failed 2 times in a row: no answer")


def check_consent(heard, kind, **wanted):
    """Of each connector that is on, and of no run."""
    assert [kind_ for kind_, _ in heard] == [kind] * 2
    assert {data["connector"] for _, data in heard} == {"books", "mail"}
    for _, data in heard:
        assert data["run_id"] is None and data["user_id"] == USER
        assert {name: data[name] for name in wanted} == wanted


def test_a_consent_that_has_expired(ear, new_daemon, client):
    new_daemon.write("connections/home.connection", CONNECTION.format(expires="2020-01-01 UTC"))
    client.manager("Reload")
    check_consent(ear.hear(2), "sync.needs_attention", category="consent_expired", since="2020-01-01T00:00:00Z")
    new_daemon.write("connections/home.connection", CONNECTION.format(expires="2099-01-01 UTC"))
    client.manager("Reload")
    check_consent(ear.hear(4)[2:], "sync.recovered")


def test_a_consent_that_expires_while_nobody_looks_on(ear, new_daemon, client):
    """It is told when the daemon is there again, and not once more by the next one."""
    new_daemon.kill9()
    new_daemon.write("connections/home.connection", CONNECTION.format(expires="2020-01-01 UTC"))
    new_daemon.start()
    check_consent(ear.hear(2), "sync.needs_attention", category="consent_expired")
    new_daemon.restart()
    client.manager("WithdrawConsent", "(sa{sv})", "home", options())
    check_consent(ear.hear(4)[2:], "sync.needs_attention", category="consent_withdrawn")


def test_a_consent_that_expires(ear, client):
    """By itself, at its time."""
    while True:
        end = int(time.time() + 2)
        try:
            client.manager("ReconnectConnection", "(sa{sv})", "home", options(consent_expires=end * 1000000))
            break
        except CallError:
            assert time.time() >= end  # it was over before it was said
    heard = wait_for(lambda: [data for kind, data in ear.messages() if kind == "sync.needs_attention"], "its end")
    assert time.time() >= end
    assert {(data["category"], data["run_id"]) for data in heard} == {("consent_expired", None)}
