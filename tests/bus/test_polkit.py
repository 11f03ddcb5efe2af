# SPDX-License-Identifier: LGPL-2.1-or-later
"""Who may do what. Callers are root, and user nobody by way of busctl; polkit is python3-dbusmock's, or a slow one."""

import json
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from harness import (CONNECTION, CONNECTOR, MANAGER, NAME, PATH, RUN, TIMEOUT_SEC, SlowPolkit, connector_path, frozen, path_of,
                     run_path, wait_for)
from webhooks import LOCAL, Webhooks

TOP = Path(__file__).resolve().parents[2]
NOBODY = 65534
OTHERS = (1, 2, 3)  # daemon, bin, sys: the bus lets in only users with a name
EVENT = {"run_id": "r1", "user_id": "7f9c0d5e-1111-4222-8333-444455556666", "provider": "garmin", "source": "sdk",
         "stage": "fetching", "status": "in_progress"}
EVENT_WORDS = ["a{sv}", str(len(EVENT)), *(word for key, value in EVENT.items() for word in (key, "s", value))]


@pytest.fixture
def nobody(bus):
    """A call of busctl's as nobody, under way."""
    started = []

    def call(path, interface, method, *words, interactive=False):
        command = ["busctl", f"--address={bus.address}", f"--timeout={TIMEOUT_SEC}",
                   f"--allow-interactive-authorization={'yes' if interactive else 'no'}", "call", NAME, path, interface,
                   method, *words]
        process = subprocess.Popen(command, user=NOBODY, group=NOBODY, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                   text=True)
        started.append(process)
        return process

    yield call
    for process in started:
        process.kill()
        process.communicate()


def error_of(process):
    _, error = process.communicate(timeout=TIMEOUT_SEC)
    assert process.returncode != 0
    return error


ENDPOINT = "ep_1"


def changing_calls(run):
    return [
        ("org.syncrun1.trigger", (PATH, MANAGER, "StartRun", "sa{sv}", "bank", "0")),
        ("org.syncrun1.full-resync", (PATH, MANAGER, "StartRun", "sa{sv}", "bank", "1", "full_resync", "b", "true")),
        ("org.syncrun1.trigger", (connector_path("bank"), CONNECTOR, "Start", "a{sv}", "0")),
        ("org.syncrun1.full-resync", (connector_path("bank"), CONNECTOR, "Start", "a{sv}", "1", "full_resync", "b",
                                      "true")),
        ("org.syncrun1.configure", (connector_path("bank"), CONNECTOR, "SetActive", "b", "true")),
        ("org.syncrun1.configure", (PATH, MANAGER, "Reload")),
        ("org.syncrun1.report", (PATH, MANAGER, "ReportEvent", *EVENT_WORDS)),
        ("org.syncrun1.report", (PATH, MANAGER, "ReportEvents", "s", json.dumps([EVENT]))),
        ("org.syncrun1.report", (PATH, MANAGER, "ReportEventsWithOptions", "sa{sv}", json.dumps([EVENT]), "0")),
        ("org.syncrun1.reconnect", (path_of("connection", "shared"), CONNECTION, "Reconnect")),
        ("org.syncrun1.reconnect", (PATH, MANAGER, "ReconnectConnection", "sa{sv}", "shared", "0")),
        ("org.syncrun1.reconnect", (PATH, MANAGER, "CancelReconnect", "sa{sv}", "shared", "0")),
        ("org.syncrun1.reconnect", (path_of("connection", "shared"), CONNECTION, "CancelReconnect")),
        ("org.syncrun1.configure", (PATH, MANAGER, "WithdrawConsent", "sa{sv}", "nothing", "0")),
        ("org.syncrun1.manage-keys", (PATH, MANAGER, "AddApiKey", "sa{sv}", "page", "1", "scopes", "as", "1", "sync:read")),
        ("org.syncrun1.manage-keys", (PATH, MANAGER, "DescribeApiKeys", "a{sv}", "0")),
        ("org.syncrun1.manage-keys", (PATH, MANAGER, "RevokeApiKey", "s", "page")),
        ("org.syncrun1.manage-webhooks", (PATH, MANAGER, "AddWebhookEndpoint", "sa{sv}", "https://example.com/", "0")),
        *(("org.syncrun1.manage-webhooks", (PATH, MANAGER, method, "a{sv}", "0"))
          for method in ("DescribeWebhookEndpoints", "DescribeWebhookMessages", "DescribeWebhookAttempts")),
        *(("org.syncrun1.manage-webhooks", (PATH, MANAGER, method, "sa{sv}", ENDPOINT, "0"))
          for method in ("UpdateWebhookEndpoint", "GetWebhookSecret", "RotateWebhookSecret", "TestWebhook",
                         "RemoveWebhookEndpoint")),
        ("org.syncrun1.manage-webhooks", (PATH, MANAGER, "ResendWebhookMessage", "ssa{sv}", ENDPOINT, "msg_1", "0")),
        ("org.syncrun1.manage-webhooks", (PATH, MANAGER, "RecoverWebhook", "sta{sv}", ENDPOINT, "0", "0")),
        ("org.syncrun1.trigger", (PATH, MANAGER, "ResendDelivery", "ssa{sv}", "bank", "datt_1", "0")),
        ("org.syncrun1.read-log", (PATH, MANAGER, "DescribeLog", "sa{sv}", run, "0")),
        ("org.syncrun1.cancel", (PATH, MANAGER, "CancelRunWithOptions", "sa{sv}", run, "0")),
        ("org.syncrun1.cancel", (PATH, MANAGER, "CancelRun", "s", run)),
        ("org.syncrun1.cancel", (run_path(run), RUN, "Cancel")),
    ]


@pytest.fixture
def run(daemon, client):
    daemon.add("bank", Connection="shared")
    client.manager("Reload")
    return client.start("bank")[0]


def test_every_changing_method_is_refused_without_the_right(run, polkit, nobody):
    for action, words in changing_calls(run):
        error = error_of(nobody(*words))
        assert "polkit does not allow this" in error and f"({action})" in error, words


def test_each_method_asks_for_its_action_and_no_other(run, daemon, polkit, nobody):
    actions = {action for action, _ in changing_calls(run)}
    for action, words in changing_calls(run):
        polkit("SetAllowed", "(as)", sorted(actions - {action}))
        assert f"({action})" in error_of(nobody(*words)), words
        polkit("SetAllowed", "(as)", [action])
        process = nobody(*words)
        _, error = process.communicate(timeout=TIMEOUT_SEC)
        refusals = ("No program reconnects", "has ended", "There is no such", "no such webhook endpoint")
        assert process.returncode == 0 or any(text in error for text in refusals), (words, error)


def test_a_lifecycle_delivery_is_sent_again_by_who_manages_webhooks(run, daemon, client, polkit, nobody):
    daemon.write("syncrun.conf", LOCAL.format(retry="1h", more=""))
    client.manager("Reload")
    hooks = Webhooks(client)
    hooks.add("http://127.0.0.1:1/", types=["sync.started"])
    worker = daemon.worker()
    worker.attach()
    hooks.wait_attempts(1)
    (delivery,) = client.describe("DescribeDeliveries", connector="bank")["deliveries"]
    words = (PATH, MANAGER, "ResendDelivery", "ssa{sv}", "bank", delivery["id"], "0")
    polkit("SetAllowed", "(as)", ["org.syncrun1.trigger"])
    assert "(org.syncrun1.manage-webhooks)" in error_of(nobody(*words))
    polkit("SetAllowed", "(as)", ["org.syncrun1.manage-webhooks"])
    _, error = (process := nobody(*words)).communicate(timeout=TIMEOUT_SEC)
    assert process.returncode == 0, error
    hooks.wait_attempts(2)
    worker.exit()


def test_every_method_is_a_reader_or_asks(run):
    """The calls above, and readers, are all methods that there are."""
    methods = set()
    for path in (TOP / "dbus").glob("*.xml"):
        interface = ET.parse(path).find("interface")
        methods |= {(interface.get("name"), method.get("name")) for method in interface.findall("method")}
    asking = {(words[1], words[2]) for _, words in changing_calls(run)}
    reading = {(name, method) for name, method in methods if method.startswith(("Describe", "Get", "List", "Watch"))} - asking
    shim = {(MANAGER, "CheckApiKey")}
    worker = {(name, method) for name, method in methods if name == "org.syncrun1.Worker"}
    assert methods == asking | reading | worker | shim


def test_each_action_exists(run):
    policy = ET.parse(TOP / "polkit" / "org.syncrun1.policy")
    actions = {action.get("id") for action in policy.iter("action")}
    assert {action for action, _ in changing_calls(run)} <= actions


def test_readers_need_no_right(run, nobody):
    for words in ((PATH, MANAGER, "DescribeRuns", "a{sv}", "0"), (PATH, MANAGER, "DescribeEvents", "a{sv}", "0"),
                  (PATH, MANAGER, "DescribeConnectors", "a{sv}", "0"), (PATH, MANAGER, "GetRun", "s", run),
                  (PATH, MANAGER, "DescribeConnections", "a{sv}", "0"), (PATH, MANAGER, "DescribeUsers", "a{sv}", "0"),
                  (PATH, MANAGER, "GetConnector", "s", "bank"), (run_path(run), RUN, "Describe"),
                  (PATH, MANAGER, "ListEvents", "a{sv}", "0"),
                  (connector_path("bank"), CONNECTOR, "Describe"),
                  (path_of("connection", "shared"), CONNECTION, "Describe"),
                  (PATH, "org.freedesktop.DBus.ObjectManager", "GetManagedObjects")):
        process = nobody(*words)
        _, error = process.communicate(timeout=TIMEOUT_SEC)
        assert process.returncode == 0, error


def test_without_polkit_only_root_may(run, nobody):
    for _, words in changing_calls(run):
        assert "polkit is not running" in error_of(nobody(*words))


def test_who_asked_is_recorded(daemon, client, polkit, nobody):
    polkit("SetAllowed", "(as)", ["org.syncrun1.trigger"])
    new = client.signals(MANAGER, "RunNew")
    process = nobody(PATH, MANAGER, "StartRun", "sa{sv}", "bank", "0")
    wait_for(lambda: new, "the run")
    assert process.wait(TIMEOUT_SEC) == 0
    assert client.get(new[0][2][1], RUN, "RequestedBy") == f"uid:{NOBODY}"


@pytest.fixture
def slow_polkit(bus):
    """polkit that answers when the test says so."""
    mock = SlowPolkit(bus.address)
    yield mock
    mock.close()


def test_others_are_served_while_polkit_thinks(daemon, client, slow_polkit, nobody):
    process = nobody(PATH, MANAGER, "StartRun", "sa{sv}", "bank", "0")
    question = slow_polkit.wait_question()
    assert client.start("mail")[2] is False
    assert process.poll() is None
    question.answer(True)
    assert process.wait(TIMEOUT_SEC) == 0


def test_run_that_ends_while_polkit_thinks(daemon, client, slow_polkit, nobody):
    _, path, *_ = client.start("bank")
    worker = daemon.worker()
    worker.attach()
    process = nobody(path, RUN, "Cancel")
    question = slow_polkit.wait_question()
    worker.finish(1, outcome="succeeded")
    worker.exit()
    wait_for(lambda: client.get(path, RUN, "State") == "finished", "the end")
    question.answer(True)
    assert "has ended" in error_of(process)
    assert client.get(path, RUN, "Outcome") == "succeeded"


@pytest.mark.parametrize("words", [("Start", "a{sv}", "0"), ("SetActive", "b", "false")])
def test_connector_that_vanishes_while_polkit_thinks(daemon, client, slow_polkit, nobody, words):
    process = nobody(connector_path("bank"), CONNECTOR, *words)
    question = slow_polkit.wait_question()
    (daemon.connectors / "bank.connector").unlink()
    client.manager("Reload")
    question.answer(True)
    assert "There is no such connector" in error_of(process)


def test_connection_that_vanishes_while_polkit_thinks(daemon, client, slow_polkit, nobody):
    daemon.add("bank", Connection="shared")
    client.manager("Reload")
    process = nobody(path_of("connection", "shared"), CONNECTION, "Reconnect")
    question = slow_polkit.wait_question()
    daemon.add("bank")
    client.manager("Reload")
    question.answer(True)
    assert "There is no such connection" in error_of(process)


def test_daemon_that_ends_while_polkit_thinks(daemon, slow_polkit, nobody):
    process = nobody(PATH, MANAGER, "StartRun", "sa{sv}", "bank", "0")
    question = slow_polkit.wait_question()
    assert daemon.stop() == 0
    assert error_of(process)
    question.answer(True)


def test_polkit_that_ends_while_it_thinks(daemon, client, slow_polkit, nobody):
    process = nobody(PATH, MANAGER, "StartRun", "sa{sv}", "bank", "0")
    slow_polkit.wait_question()
    slow_polkit.close()
    assert "polkit is not running" in error_of(process)
    assert client.describe("DescribeRuns")["runs"] == []


def test_caller_that_leaves_while_polkit_thinks(daemon, client, slow_polkit, nobody):
    process = nobody(PATH, MANAGER, "StartRun", "sa{sv}", "bank", "0")
    question = slow_polkit.wait_question()
    process.kill()
    process.wait()
    wait_for(lambda: slow_polkit.taken_back == [question.cancellation], "the end of the question")
    question.answer(True)
    assert client.start("mail")[2] is False
    assert [run["connector"] for run in client.describe("DescribeRuns")["runs"]] == ["mail"]


def test_departure_that_another_made_up(daemon, client, slow_polkit, nobody):
    """As anybody on the bus can, by sending it to the daemon by name."""
    process = nobody(PATH, MANAGER, "StartRun", "sa{sv}", "bank", "0")
    question = slow_polkit.wait_question()
    gone = (question.sender, question.sender, "")
    client.forge(daemon.process, "/org/freedesktop/DBus", "org.freedesktop.DBus.NameOwnerChanged", "(sss)", *gone)
    client.start("mail")
    assert slow_polkit.taken_back == []
    question.answer(True)
    assert process.wait(TIMEOUT_SEC) == 0


def test_caller_that_has_left_when_polkit_is_asked(daemon, slow_polkit, many):
    """The daemon knows the caller from before, and gets its second call when it has gone."""
    process = many(2, in_turn=True)
    question = slow_polkit.wait_question()
    with frozen(daemon.process):
        question.answer(False)
        assert process.stdin.write("go\n") and not process.stdin.flush()
        assert process.stdout.readline() == "sent\n"
        process.kill()
        process.wait()
        wait_for(lambda: question.sender not in slow_polkit.client.names(), "the caller's departure")
    second = slow_polkit.wait_question()
    wait_for(lambda: second.cancellation in slow_polkit.taken_back, "the end of the question")


def test_question_that_nobody_answers(daemon, client, slow_polkit, nobody):
    daemon.write("syncrun.conf", "[Daemon]\nAuthorizationTimeoutSec=1ms\n")
    client.manager("Reload")
    process = nobody(PATH, MANAGER, "StartRun", "sa{sv}", "bank", "0", interactive=True)
    question = slow_polkit.wait_question()
    assert "Nobody gave the permission in time" in error_of(process)
    wait_for(lambda: slow_polkit.taken_back == [question.cancellation], "the end of the question")
    question.answer(True)
    assert client.start("mail")[2] is False
    assert [run["connector"] for run in client.describe("DescribeRuns")["runs"]] == ["mail"]


@pytest.mark.parametrize("interactive", [False, True])
def test_what_polkit_is_asked(daemon, client, slow_polkit, nobody, interactive):
    run, path, *_ = client.start("bank")
    process = nobody(path, RUN, "Cancel", interactive=interactive)
    question = slow_polkit.wait_question()
    subject, action, details, flags, cancellation = question.arguments
    assert subject[0] == "system-bus-name"
    assert subject[1]["name"].startswith(":1.")
    assert (action, details, flags, cancellation) == (
        "org.syncrun1.cancel", {"connector": "bank", "run": run}, int(interactive), "syncrun-1")
    question.answer(False, challenge=True)
    assert "uthentication is required" in error_of(process) or "uthentication required" in error_of(process)


CALLER = """
import sys
from gi.repository import Gio, GLib
flags = Gio.DBusConnectionFlags
bus = Gio.DBusConnection.new_for_address_sync(sys.argv[1], flags.AUTHENTICATION_CLIENT | flags.MESSAGE_BUS_CONNECTION)
loop, waiting = GLib.MainLoop(), int(sys.argv[2])
def done(bus, result):
    global waiting
    try:
        bus.call_finish(result)
        print("ok", flush=True)
    except GLib.Error as error:
        print(Gio.DBusError.get_remote_error(error), flush=True)
    waiting -= 1
    if waiting == 0:
        loop.quit()
def call():
    bus.call("org.syncrun1", "/org/syncrun1", "org.syncrun1.Manager", "StartRun",
             GLib.Variant("(sa{sv})", ("bank", {})), None, 0, 120000, None, done)
for i in range(waiting):
    if sys.argv[3:] and i > 0:
        sys.stdin.readline()
    call()
    if sys.argv[3:] and i > 0:
        bus.flush_sync(None)
        bus.call_sync("org.freedesktop.DBus", "/", "org.freedesktop.DBus", "GetId", None, None, 0, -1, None)
        print("sent", flush=True)
loop.run()
"""


@pytest.fixture
def many(bus):
    """A process (nobody's, where nothing is said) that makes so many calls at once, or each further one when it is told
    to, and prints how each ended."""
    started = []

    def start(number, user=NOBODY, in_turn=False):
        started.append(subprocess.Popen([sys.executable, "-c", CALLER, bus.address, str(number),
                                         *(["in turn"] if in_turn else [])], user=user, group=NOBODY,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.communicate()


def test_limit_of_questions_of_one_user(daemon, slow_polkit, many):
    """16 (ACCESS_QUESTIONS_PER_USER_MAX) wait, whatever number of connections they come by; the next one is refused at once, another user's is not."""
    first = many(8)
    questions = [slow_polkit.wait_question() for _ in range(8)]
    second = many(9)
    questions += [slow_polkit.wait_question() for _ in range(8)]
    assert second.stdout.readline() == "org.syncrun1.Error.QueueFull\n"
    other = many(1, OTHERS[0])
    questions.append(slow_polkit.wait_question())
    for question in questions:
        question.answer(True)
    for process, n in ((first, 8), (second, 8), (other, 1)):
        assert process.communicate(timeout=TIMEOUT_SEC)[0].split() == ["ok"] * n


def test_who_leaves_makes_room(daemon, slow_polkit, many):
    process = many(16)
    for _ in range(16):
        slow_polkit.wait_question()
    process.kill()
    wait_for(lambda: len(slow_polkit.taken_back) == 16, "the end of the questions")
    process = many(1)
    slow_polkit.wait_question().answer(True)
    assert process.communicate(timeout=TIMEOUT_SEC)[0] == "ok\n"


def test_limit_of_questions_of_all_callers(daemon, client, slow_polkit, many):
    """48 (ACCESS_QUESTIONS_MAX) wait; one of another user is refused, root is not."""
    processes = [many(16, user) for user in (NOBODY, *OTHERS[:2])]
    questions = [slow_polkit.wait_question() for _ in range(48)]
    late = many(1, OTHERS[2])
    assert late.communicate(timeout=TIMEOUT_SEC)[0] == "org.syncrun1.Error.QueueFull\n"
    client.start("bank")
    for question in questions:
        question.answer(True)
    for process in processes:
        assert process.communicate(timeout=TIMEOUT_SEC)[0].split() == ["ok"] * 16
