# SPDX-License-Identifier: LGPL-2.1-or-later
"""A desktop applet: GDBus' object manager client, its proxies' cached properties and signals, and nothing else."""

import pytest
from gi.repository import Gio, GLib
from harness import (CONNECTION, CONNECTOR, MANAGER, NAME, PATH, RUN, TIMEOUT_SEC, connector_path, path_of, run_path,
                     wait_for)


class Applet:
    """What it knows, it was told: no property is asked for."""

    def __init__(self, client):
        self.objects = Gio.DBusObjectManagerClient.new_sync(client.bus, Gio.DBusObjectManagerClientFlags.NONE, NAME, PATH,
                                                            None, None, None)
        self.told = []
        self.changes = []
        self.manager = Gio.DBusProxy.new_sync(client.bus, Gio.DBusProxyFlags.NONE, None, NAME, PATH, MANAGER, None)
        self.manager.connect("g-signal", lambda _proxy, _sender, signal, arguments: self.told.append((signal, arguments.unpack())))
        self.objects.connect("interface-proxy-properties-changed", self.on_change)

    def on_change(self, _manager, _object, proxy, changed, _invalidated):
        self.changes.append((proxy.get_object_path(), changed.unpack()))

    def proxy(self, path, interface):
        return self.objects.get_interface(path, interface)

    def get(self, path, interface, name):
        proxy = self.manager if path == PATH else self.proxy(path, interface)
        value = proxy and proxy.get_cached_property(name)
        return None if value is None else value.unpack()

    def call(self, path, interface, method):
        return self.proxy(path, interface).call_sync(method, None, Gio.DBusCallFlags.NONE, TIMEOUT_SEC * 1000, None).unpack()

    def seen(self, path, name):
        return [changed[name] for changed_path, changed in self.changes if changed_path == path and name in changed]


@pytest.fixture
def applet(daemon, client):
    daemon.add("bank", Connection="home", Description="My bank")
    daemon.write("connections/home.connection", "[Connection]\nDescription=Home\nAccounts=giro\n")
    client.manager("Reload")
    return Applet(client)


BANK, HOME = connector_path("bank"), path_of("connection", "home")


def attention(applet):
    return tuple(applet.get(BANK, CONNECTOR, f"Attention{name}") for name in ("Category", "Message", "Advice"))


def test_a_day_in_its_life(daemon, client, applet):
    """Start, live progress, attention raised, reconnect, recovered."""
    assert applet.get(BANK, CONNECTOR, "Description") == "My bank" and attention(applet) == ("", "", "")
    assert applet.get(HOME, CONNECTION, "Accounts") == ["giro"] and applet.get(HOME, CONNECTION, "State") == "active"
    assert applet.get(PATH, MANAGER, "NAttention") == 0

    run = applet.proxy(BANK, CONNECTOR).call_sync("Start", GLib.Variant("(a{sv})", ({},)), Gio.DBusCallFlags.NONE,
                                                   TIMEOUT_SEC * 1000, None).unpack()[0]
    worker = daemon.worker()
    worker.attach()
    path = run_path(run)
    wait_for(lambda: applet.get(path, RUN, "State") == "running", "the run")
    wait_for(lambda: (applet.get(PATH, MANAGER, "NActiveRuns"), applet.get(BANK, CONNECTOR, "ActiveRun")) == (1, path), "the run")
    for sequence, progress in enumerate((0.25, 0.5), 1):
        worker.report(sequence, processed=25 * sequence, total=100, discovered=10 * sequence, message=f"page {sequence}")
        wait_for(lambda: applet.get(path, RUN, "Progress") == progress, "progress")
    wait_for(lambda: (applet.get(path, RUN, "Message"), applet.get(path, RUN, "Discovered")) == ("page 2", 20), "the rest")

    worker.finish(3, outcome="failed", error="log in again", attention="connection_lost", attention_message="log in again")
    worker.exit()
    wait_for(lambda: attention(applet)[0] == "connection_lost", "the need for attention")
    assert attention(applet)[1] == "log in again" and "Reconnect" in attention(applet)[2]
    assert applet.get(BANK, CONNECTOR, "AttentionSinceUSec") > 0 and applet.get(BANK, CONNECTOR, "AttentionRunId") == run
    wait_for(lambda: applet.get(HOME, CONNECTION, "State") == "lost", "the loss")
    assert applet.get(HOME, CONNECTION, "Reason") == "log in again" and "Reconnect" in applet.get(HOME, CONNECTION, "Advice")
    wait_for(lambda: applet.get(PATH, MANAGER, "NAttention") == 1, "the count")
    wait_for(lambda: ("AttentionChanged", ("bank", BANK, "connection_lost", "log in again")) in applet.told, "the signal")
    wait_for(lambda: applet.get(path, RUN, "Outcome") == "failed", "the outcome")

    runs, reconnecting = applet.call(HOME, CONNECTION, "Reconnect")
    assert not reconnecting and [entry[0] for entry in runs] == ["bank"]
    wait_for(lambda: applet.get(HOME, CONNECTION, "State") == "active", "the connection")
    worker = daemon.worker()
    worker.attach()
    wait_for(lambda: applet.get(runs[0][2], RUN, "Trigger") == "reconnect", "the new run")
    worker.finish(1, outcome="succeeded", added=1)
    worker.exit()
    wait_for(lambda: attention(applet) == ("", "", ""), "the recovery")
    wait_for(lambda: applet.get(PATH, MANAGER, "NAttention") == 0, "the count")
    wait_for(lambda: [arguments[2] for signal, arguments in applet.told if signal == "AttentionChanged"]
             == ["connection_lost", ""], "the signals")
    assert applet.seen(HOME, "State") == ["lost", "active"]
    wait_for(lambda: applet.get(BANK, CONNECTOR, "LastOutcome") == "succeeded", "the outcome")


def test_connections_come_and_go(daemon, client, applet):
    daemon.write("connections/fresh.connection", "[Connection]\nDescription=Fresh\nConsentExpires=2020-01-01 UTC\n")
    client.manager("Reload")
    path = path_of("connection", "fresh")
    wait_for(lambda: applet.get(path, CONNECTION, "State") == "expired", "the new connection")
    assert applet.get(path, CONNECTION, "ConsentExpiresUSec") > 0
    daemon.write("connections/fresh.connection", "[Connection]\nDescription=Fresh\n")
    wait_for(lambda: applet.get(path, CONNECTION, "State") == "active", "the file's change, which nobody told of")
    (daemon.config / "connections/fresh.connection").unlink()
    wait_for(lambda: applet.proxy(path, CONNECTION) is None, "its end")


def test_attention_by_what_a_run_says(daemon, client, applet):
    """At once where only the user can mend it; after NotifyAfter= failures in a row where not; cleared by a success."""
    daemon.add("patient", Connection="home", text="[Pipeline]\nExecPull=/bin/true\n[Run]\nRetryMax=0\nNotifyAfter=2\n")
    client.manager("Reload")
    path = connector_path("patient")

    def run(**how):
        started = client.start("patient")[1]
        worker = daemon.worker()
        worker.attach()
        worker.finish(1, **how)
        worker.exit()
        wait_for(lambda: applet.get(started, RUN, "State") == "finished", "the end")
        wait_for(lambda: applet.get(path, CONNECTOR, "ActiveRun") == "/", "the end, as the connector has it")

    run(outcome="failed", error="no answer")
    assert applet.get(path, CONNECTOR, "AttentionCategory") == ""
    run(outcome="failed", error="no answer")
    wait_for(lambda: applet.get(path, CONNECTOR, "AttentionCategory") != "", "the second failure's")
    run(outcome="succeeded")
    wait_for(lambda: applet.get(path, CONNECTOR, "AttentionCategory") == "", "the success")
    run(outcome="failed", error="gone", attention="destination_deleted")
    wait_for(lambda: applet.get(path, CONNECTOR, "AttentionCategory") == "destination_deleted", "at once")
