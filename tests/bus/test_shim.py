# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the HTTP shim may do on the bus and nobody else, and that it may do no more. The shim is user nobody wherever the
PID 1 that the test plays says that its unit runs as nobody."""

import hashlib
import json
import os
import subprocess
import sys

import pytest
from gi.repository import GLib
from harness import (CONNECTION, CONNECTOR, MANAGER, PATH, RUN, CallError, FakeSystemd, connector_path, options, path_of,
                     run_path, wait_for)

NOBODY = 65534
OTHER = 1  # daemon: the bus lets in only users with a name
EVENT = {"run_id": "r1", "user_id": "7f9c0d5e-1111-4222-8333-444455556666", "provider": "garmin", "source": "sdk",
         "stage": "fetching", "status": "in_progress"}
HASH = "0" * 64

# Calls of one connection: a line with a list of them comes in, a line with the list of their answers goes out.
CALLER = """
import json, sys
from gi.repository import Gio, GLib
flags = Gio.DBusConnectionFlags
bus = Gio.DBusConnection.new_for_address_sync(sys.argv[1], flags.AUTHENTICATION_CLIENT | flags.MESSAGE_BUS_CONNECTION)
loop = GLib.MainLoop()
for line in sys.stdin:
    calls = json.loads(line)
    answers = [None] * len(calls)
    def done(bus, result, i):
        try:
            answers[i] = {"value": bus.call_finish(result).unpack()}
        except GLib.Error as error:
            answers[i] = {"error": Gio.DBusError.get_remote_error(error), "message": error.message}
        if all(answers):
            loop.quit()
    for i, (path, interface, method, signature, args) in enumerate(calls):
        args = [{k: GLib.Variant(*v) for k, v in a.items()} if isinstance(a, dict) else a for a in args]
        bus.call("org.syncrun1", path, interface, method, GLib.Variant(signature, tuple(args)), None, 0, 120000, None, done, i)
    loop.run()
    print(json.dumps(answers), flush=True)
"""


class Caller:
    def __init__(self, address, uid):
        self.process = subprocess.Popen([sys.executable, "-c", CALLER, address], user=uid, group=uid,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.data = b""
        # PID 1 and polkit are played on the same loop.
        self.watch = GLib.unix_fd_add_full(GLib.PRIORITY_DEFAULT, self.process.stdout.fileno(),
                                           GLib.IOCondition.IN | GLib.IOCondition.HUP, self.on_data)

    def on_data(self, fd, _condition):
        data = os.read(fd, 65536)
        self.data += data
        return bool(data)

    def begin(self, *calls):
        self.process.stdin.write(json.dumps(calls).encode() + b"\n")
        self.process.stdin.flush()

    def end(self):
        """How each call ended: its values, or the name of its error."""
        wait_for(lambda: b"\n" in self.data, "the answers")
        line, self.data = self.data.split(b"\n", 1)
        return [tuple(answer["value"]) if "value" in answer else answer["error"].removeprefix("org.syncrun1.Error.")
                for answer in json.loads(line)]

    def call(self, *calls):
        self.begin(*calls)
        return self.end()

    def close(self):
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        wait_for(lambda: not GLib.MainContext.default().find_source_by_id(self.watch), "the end of the caller")
        self.process.stdout.close()


@pytest.fixture
def caller(bus):
    started = []

    def start(uid=NOBODY):
        started.append(Caller(bus.address, uid))
        return started[-1]

    yield start
    for process in started:
        process.close()


@pytest.fixture
def pid1(bus):
    systemd = FakeSystemd(bus.address)
    systemd.uid = NOBODY
    yield systemd
    systemd.close()


@pytest.fixture
def shared(daemon, client):
    """Connector bank with a connection, and API key page."""
    daemon.add("bank", Connection="shared")
    client.manager("Reload")
    return client.manager("AddApiKey", "(sa{sv})", "page", options(scopes=["sync:write"]))


CHECK = (PATH, MANAGER, "CheckApiKey", "(s)", [HASH])


def on_behalf(name, run="no-such-run"):
    """Each call that may be made on another's behalf."""
    dictionary = {"on_behalf_of": ("s", name)} if name else {}
    return [
        (PATH, MANAGER, "StartRun", "(sa{sv})", ["mail", dictionary]),
        (PATH, MANAGER, "StartRun", "(sa{sv})", ["books", {"full_resync": ("b", True), **dictionary}]),
        (connector_path("bank"), CONNECTOR, "Start", "(a{sv})", [dictionary]),
        (PATH, MANAGER, "ReconnectConnection", "(sa{sv})", ["shared", dictionary]),
        (PATH, MANAGER, "ReportEventsWithOptions", "(sa{sv})", [json.dumps([EVENT]), dictionary]),
        (PATH, MANAGER, "CancelRunWithOptions", "(sa{sv})", [run, dictionary]),
    ]


# ---- Who is the shim


def test_keys_are_checked_for_the_shim(daemon, shared, caller, pid1):
    digest = hashlib.sha256(shared.encode()).hexdigest()
    assert caller().call((PATH, MANAGER, "CheckApiKey", "(s)", [digest]), CHECK) == [("page", ["sync:write"], ""),
                                                                                   "NoSuchKey"]


def test_another_user_is_not_the_shim(daemon, caller, pid1):
    assert caller(OTHER).call(CHECK) == ["NotAllowed"]


@pytest.mark.parametrize("uid", [FakeSystemd.NO_UID, 0, OTHER])
def test_nobody_is_the_shim_where_pid1_says_otherwise(daemon, caller, pid1, uid):
    pid1.uid = uid
    assert caller().call(CHECK, *on_behalf("page")) == ["NotAllowed"] * 7


def test_nobody_is_the_shim_without_pid1(daemon, caller):
    assert caller().call(CHECK, *on_behalf("page")) == ["NotAllowed"] * 7


def test_polkit_has_no_say_in_who_is_the_shim(daemon, caller, pid1, polkit):
    """Whatever polkit would allow: nobody but the shim may ask about keys, or say that it calls for another."""
    polkit("AllowUnknown", "(b)", True)
    assert caller(OTHER).call(CHECK, *on_behalf("page")) == ["NotAllowed"] * 7


def test_pid1_is_asked_once_for_a_caller(daemon, caller, pid1):
    shim, other = caller(), caller(OTHER)
    for _ in range(3):
        assert shim.call(CHECK) == ["NoSuchKey"]
        assert other.call(CHECK) == ["NotAllowed"]
    assert pid1.n_questions == 2


def test_pid1_is_asked_again_where_it_did_not_answer(daemon, caller, pid1):
    pid1.uid = None
    shim = caller()
    assert shim.call(CHECK) == ["TryAgain"]
    pid1.uid = NOBODY
    assert shim.call(CHECK) == ["NoSuchKey"]
    assert pid1.n_questions == 2


def test_many_calls_at_once_wait_for_one_answer(daemon, client, caller, pid1):
    pid1.hold = True
    shim = caller()
    shim.begin(*[CHECK] * 100)
    wait_for(lambda: pid1.n_questions, "the question")
    assert client.describe("DescribeRuns")["runs"] == []  # others are served meanwhile
    pid1.answer()
    assert shim.end() == ["NoSuchKey"] * 100
    assert pid1.n_questions == 1


def test_many_callers_at_once(daemon, caller, pid1):
    """Some are asked about at a time, and every one is."""
    pid1.hold = True
    callers = [caller(NOBODY if i % 2 else OTHER) for i in range(20)]
    for each in callers:
        each.begin(CHECK)
    wait_for(lambda: pid1.n_questions == 16, "as many questions as there may be")
    pid1.answer()
    pid1.hold = False
    pid1.answer()
    wait_for(lambda: pid1.n_questions == 20, "the other questions")
    assert [each.end() for each in callers] == [["NoSuchKey"] if i % 2 else ["NotAllowed"] for i in range(20)]


def test_caller_that_leaves_while_pid1_thinks(daemon, client, caller, pid1):
    pid1.hold = True
    shim = caller()
    shim.begin(CHECK)
    wait_for(lambda: pid1.n_questions, "the question")
    shim.process.kill()
    shim.process.wait()
    pid1.answer()
    assert client.describe("DescribeRuns")["runs"] == []


def test_daemon_that_ends_while_pid1_thinks(daemon, caller, pid1):
    pid1.hold = True
    shim = caller()
    shim.begin(CHECK, CHECK)
    wait_for(lambda: pid1.n_questions, "the question")
    assert daemon.stop() == 0
    pid1.answer()
    assert all(isinstance(answer, str) for answer in shim.end())


# ---- What it may do


def test_shim_acts_for_a_key(daemon, client, shared, caller, pid1, polkit):
    """polkit would refuse all of it."""
    shim = caller()
    answers = shim.call(*on_behalf("page"))
    assert answers[5] == "NoSuchRun" and all(isinstance(answer, tuple) for answer in answers[:5])
    runs = client.describe("DescribeRuns")["runs"]
    assert sorted((run["connector"] or "", run["requested_by"], run["trigger"], run["full_resync"]) for run in runs) == [
        ("", "key:page", "remote", False), ("bank", "key:page", "remote", False), ("books", "key:page", "remote", True),
        ("mail", "key:page", "remote", False)]
    run, path, *_ = answers[0]
    assert shim.call(on_behalf("page", run)[5]) == [()]
    wait_for(lambda: client.get(path, RUN, "State") == "finished", "the end")
    assert client.get(path, RUN, "Message") == "Cancelled by key:page"


def test_trigger_on_behalf_is_remote(daemon, client, shared, caller, pid1):
    (run, path, *_), = caller().call((PATH, MANAGER, "StartRun", "(sa{sv})", [
        "mail", {"trigger": ("s", "manual"), "on_behalf_of": ("s", "page")}]))
    assert client.get(path, RUN, "Trigger") == "remote"


def test_without_on_behalf_of_the_shim_is_as_others(daemon, shared, caller, pid1, polkit):
    shim = caller()
    assert shim.call(*on_behalf(None)) == ["NotAllowed"] * 6
    assert pid1.n_questions == 0
    polkit("SetAllowed", "(as)", ["org.syncrun1.trigger"])
    assert isinstance(shim.call(on_behalf(None)[0])[0], tuple)


def test_shim_may_do_no_more(daemon, shared, caller, pid1, polkit):
    behalf = {"on_behalf_of": ("s", "page")}
    shim = caller()
    assert shim.call(CHECK) == ["NoSuchKey"]
    assert shim.call(
        (PATH, MANAGER, "AddApiKey", "(sa{sv})", ["mine", {"scopes": ("as", ["sync:admin"])}]),
        (PATH, MANAGER, "DescribeApiKeys", "(a{sv})", [{}]),
        (PATH, MANAGER, "RevokeApiKey", "(s)", ["page"]),
        (PATH, MANAGER, "Reload", "()", []),
        (PATH, MANAGER, "ReportEvents", "(s)", [json.dumps([EVENT])]),
        (PATH, MANAGER, "CancelRun", "(s)", ["x"]),
        (connector_path("bank"), CONNECTOR, "SetActive", "(b)", [False]),
        (path_of("connection", "shared"), CONNECTION, "Reconnect", "()", []),
    ) == ["NotAllowed"] * 8
    assert shim.call((PATH, MANAGER, "AddApiKey", "(sa{sv})", ["mine", {"scopes": ("as", ["sync:admin"]), **behalf}]),
                     (PATH, MANAGER, "DescribeApiKeys", "(a{sv})", [behalf])) == ["NotAllowed"] * 2


# ---- On whose behalf


@pytest.mark.parametrize("name, error", [
    ("page", None), ("nopage", "NoSuchKey"), ("", "NoSuchKey"), ("sk-0", "NoSuchKey"), ("key:page", "NoSuchKey"),
    ("jwt:", "InvalidArgument"), ("jwt:anna@example.org", None), ("jwt:" + "x" * 128, None),  # TOKEN_SUBJECT_MAX
    ("jwt:" + "x" * 129, "InvalidArgument"), ("jwt:a\nb", "InvalidArgument"), ("jwt:" + "é" * 64, None)])
def test_names(daemon, client, shared, name, error):
    """Root may say it, too: a private instance's shim is the daemon's own user."""
    if error:
        with pytest.raises(CallError) as raised:
            client.start("mail", on_behalf_of=name)
        assert raised.value.name == error
        assert client.describe("DescribeRuns")["runs"] == []
    else:
        _, path, *_ = client.start("mail", on_behalf_of=name)
        assert client.get(path, RUN, "RequestedBy") == (name if name.startswith("jwt:") else f"key:{name}")


def test_key_that_is_revoked_acts_no_more(daemon, client, shared, caller, pid1):
    shim = caller()
    assert isinstance(shim.call(on_behalf("page")[0])[0], tuple)
    client.manager("RevokeApiKey", "(s)", "page")
    assert shim.call(*on_behalf("page")) == ["NoSuchKey"] * 6


def test_run_that_is_remembered_knows_who_asked(daemon, client, shared):
    client.start("bank")
    _, _, active, result = client.start("bank", full_resync=True, on_behalf_of="page")
    assert active and result["full_resync_pending"]
    worker = daemon.worker()
    worker.attach()
    worker.finish(1, outcome="succeeded")
    worker.exit()
    second = daemon.worker()
    run, *_ = second.attach()
    assert client.get(run_path(run), RUN, "RequestedBy") == "key:page"
    assert client.get(run_path(run), RUN, "Trigger") == "remote"


# ---- Webhooks

def webhook_calls(name):
    dictionary = {"on_behalf_of": ("s", name)} if name else {}
    lost = ["ep_lost", dictionary]
    return [
        (PATH, MANAGER, "DescribeWebhookEndpoints", "(a{sv})", [{"view": ("s", "open-wearables"), **dictionary}]),
        (PATH, MANAGER, "AddWebhookEndpoint", "(sa{sv})", ["ftp://example.com/", dictionary]),
        *((PATH, MANAGER, method, "(sa{sv})", lost) for method in (
            "UpdateWebhookEndpoint", "RemoveWebhookEndpoint", "GetWebhookSecret", "RotateWebhookSecret", "TestWebhook")),
        (PATH, MANAGER, "ResendWebhookMessage", "(ssa{sv})", ["ep_lost", "msg_lost", dictionary]),
        (PATH, MANAGER, "RecoverWebhook", "(sta{sv})", ["ep_lost", 0, dictionary]),
        (PATH, MANAGER, "DescribeWebhookMessages", "(a{sv})", [{"endpoint": ("s", "ep_lost"), **dictionary}]),
        (PATH, MANAGER, "DescribeWebhookAttempts", "(a{sv})", [{"message": ("s", "msg_lost"), **dictionary}]),
    ]


def test_webhooks_for_a_client(daemon, shared, caller, pid1):
    """Granted, and then refused for what is asked."""
    empty = ('{"data":[],"done":true,"iterator":null,"prevIterator":null}',)
    assert caller().call(*webhook_calls("page")) == [empty, "InvalidArgument", *["NoSuchEndpoint"] * 8, "NoSuchMessage"]
    assert caller().call(*webhook_calls("lost")) == ["NoSuchKey"] * 11
    assert caller().call(*webhook_calls(None)) == ["NotAllowed"] * 11
    assert caller(OTHER).call(*webhook_calls("page")) == ["NotAllowed"] * 11
