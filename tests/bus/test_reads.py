# SPDX-License-Identifier: LGPL-2.1-or-later
"""Large answers take turns: limits, order and departure. The order in which the daemon answers is that of its messages' serial
numbers, whenever they are read."""

import json
import re
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

from gi.repository import Gio, GLib
from harness import CONNECTOR, MANAGER, NAME, PATH, TIMEOUT_SEC, connector_path, frozen, options, path_of, wait_for

SOURCE = Path(__file__).resolve().parents[2] / "src/bus/reads.h"
NOBODY = 65534
OTHERS = (1, 2, 3, 6)  # daemon, bin, sys, games: the bus lets in only users with a name
USER = "7f9c0d5e-1111-4222-8333-444455556666"

# One large call, so that the daemon knows who asks; when told to, so many, then the word that the bus has passed them on, then
# (error, serial) of each answer.
ASKER = """
import json, sys
from gi.repository import Gio, GLib
flags = Gio.DBusConnectionFlags
bus = Gio.DBusConnection.new_for_address_sync(sys.argv[1], flags.AUTHENTICATION_CLIENT | flags.MESSAGE_BUS_CONNECTION)
loop, answers, n = GLib.MainLoop(), [], int(sys.argv[2])
def done(bus, result):
    message = bus.send_message_with_reply_finish(result)
    answers.append((message.get_error_name(), message.get_serial()))
    if len(answers) == n:
        loop.quit()
def large():
    call = Gio.DBusMessage.new_method_call("org.syncrun1", "/org/syncrun1", "org.syncrun1.Manager", "DescribeRuns")
    call.set_body(GLib.Variant("(a{sv})", [{"limit": GLib.Variant("u", 10000)}]))
    return call
bus.send_message_with_reply_sync(large(), Gio.DBusSendMessageFlags.NONE, 120000, None)
print("known", flush=True)
sys.stdin.readline()
for _ in range(n):
    bus.send_message_with_reply(large(), Gio.DBusSendMessageFlags.NONE, 120000, None, done)
bus.call_sync("org.freedesktop.DBus", "/", "org.freedesktop.DBus", "GetId", None, None, 0, -1, None)
print("sent", flush=True)
loop.run()
print(json.dumps(answers), flush=True)
"""


def limit(name):
    return int(re.search(rf"#define {name} +(\d+)U", SOURCE.read_text())[1])


class Asker:
    def __init__(self, daemon, n, uid=NOBODY):
        self.process = subprocess.Popen([sys.executable, "-c", ASKER, daemon.address, str(n)], user=uid, group=uid,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.await_line("known")

    def ask(self):
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        self.await_line("sent")

    def await_line(self, text):
        assert self.process.stdout.readline() == f"{text}\n"

    def answers(self):
        out, _ = self.process.communicate(timeout=TIMEOUT_SEC)
        assert self.process.returncode == 0
        return [(error and error.rsplit(".")[-1], serial) for error, serial in json.loads(out.splitlines()[-1])]


@contextmanager
def all_at_once(daemon, *asking):
    """All calls, of callers whom it knows, reach the daemon before it does anything."""
    askers = [Asker(daemon, n, uid) for n, uid in asking]
    with frozen(daemon.process):
        for asker in askers:
            asker.ask()
        yield askers


def large(client):
    return small(client, "DescribeRuns", "(a{sv})", options(limit=1000))


def message(method="GetConnector", signature="(s)", argument="bank"):
    call = Gio.DBusMessage.new_method_call(NAME, PATH, MANAGER, method)
    call.set_body(GLib.Variant(signature, [argument]))
    return call


def small(client, *what):
    """The serial number of the answer."""
    return client.bus.send_message_with_reply_sync(message(*what), Gio.DBusSendMessageFlags.NONE, TIMEOUT_SEC * 1000, None)[0].get_serial()


def begin_small(client):
    """The same, in a list when it comes; the bus has passed the call on."""
    serials = []
    client.bus.send_message_with_reply(message(), Gio.DBusSendMessageFlags.NONE, TIMEOUT_SEC * 1000, None,
                                       lambda bus, result: serials.append(bus.send_message_with_reply_finish(result).get_serial()))
    names(client)
    return serials


def test_of_one_user(daemon):
    most = limit("READS_PER_USER_MAX")
    with all_at_once(daemon, (most, NOBODY)) as askers:
        pass
    assert [error for error, _ in askers[0].answers()] == [None] * most
    # Some may have had their turn before the last has come.
    with all_at_once(daemon, (most, NOBODY), (most, NOBODY)) as askers:
        pass
    errors = [error for asker in askers for error, _ in asker.answers()]
    assert set(errors) == {None, "QueueFull"} and errors.count("QueueFull") <= most


def test_of_all_users(daemon):
    """One above READS_MAX takes the place of a call of the user with the most, one call of one more user's among them."""
    each, whole = limit("READS_PER_USER_MAX"), limit("READS_MAX")
    users = [NOBODY, *OTHERS]
    assert len(users) * each > whole
    with all_at_once(daemon, *((each, uid) for uid in users), (1, 0)) as askers:
        pass
    *flooding, last = [[error for error, _ in asker.answers()] for asker in askers]
    assert last == [None]
    # Of them all some may have had their turn before the last has come; unit/test-bus-turns.c has the limit itself.
    refused = [errors.count("QueueFull") for errors in flooding]
    assert sum(refused) <= len(users) * each + 1 - whole and max(refused) < each


def test_users_take_turns_and_what_is_small_does_not_wait(daemon, client):
    each = limit("READS_PER_USER_MAX")
    client.get(connector_path("bank"), CONNECTOR, "Name")
    with all_at_once(daemon, (each, NOBODY), (1, OTHERS[0])) as askers:
        serials = begin_small(client)
    flooding, other = (asker.answers() for asker in askers)
    wait_for(lambda: serials, "the small answer")
    last = max(serial for _, serial in flooding)
    assert other[0][1] < last and serials[0] < last


def report(client, n):
    client.manager("ReportEvents", "(s)", json.dumps([
        {"run_id": f"r{i}", "user_id": USER, "provider": "garmin", "source": "sdk", "stage": "fetching", "status": "in_progress"}
        for i in range(n)]))


def names(client):
    return len(client.bus.call_sync("org.freedesktop.DBus", "/", "org.freedesktop.DBus", "ListNames", None, None, 0, -1, None).unpack()[0])


def test_who_leaves_is_not_answered(daemon, client):
    calls = 20
    report(client, 1000)
    there = names(client)
    with all_at_once(daemon, (limit("READS_PER_USER_MAX"), NOBODY)) as askers:
        pass
    small(client)  # behind the daemon's question who asks
    small(client)  # behind the answer: all calls wait, and the bus knows that the daemon wants to know who leaves
    askers[0].process.kill()
    askers[0].process.communicate()
    wait_for(lambda: names(client) == there, "that the bus knows it")
    first = small(client)
    for _ in range(calls):
        last = large(client)  # each in turn with one of the other user's, if there were any
    # Besides those calls' own answers: that it watches nobody any more.
    assert last - first <= calls + 1


def test_managed_objects_are_what_each_object_says(daemon, client):
    daemon.add("mail", Connection="shared")
    client.manager("Reload")
    report(client, 1)
    client.start("mail")
    objects, = client.bus.call_sync(NAME, PATH, "org.freedesktop.DBus.ObjectManager", "GetManagedObjects", None, None, 0, -1,
                                    None).unpack()
    assert {path_of("connection", "shared"), connector_path("mail")} < set(objects)
    assert len([path for path in objects if path.startswith(f"{PATH}/run/")]) == 2
    for path, interfaces in objects.items():
        text, = client.bus.call_sync(NAME, path, "org.freedesktop.DBus.Introspectable", "Introspect", None, None, 0, -1, None).unpack()
        assert set(interfaces) == set(re.findall(r'<interface name="([^"]+)"', text))
        for interface, properties in interfaces.items():
            if interface.startswith("org.syncrun1."):
                assert client.bus.call_sync(NAME, path, "org.freedesktop.DBus.Properties", "GetAll",
                                            GLib.Variant("(s)", [interface]), None, 0, -1, None).unpack()[0] == properties
