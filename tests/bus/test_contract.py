# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the daemon says of itself is what dbus/*.xml says: methods, signals, properties, arguments and annotations."""

import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from gi.repository import GLib
from harness import CONNECTION, CONNECTOR, MANAGER, PATH, RUN, WORKER, connector_path, path_of

TOP = Path(__file__).resolve().parents[2]
EMITS = "org.freedesktop.DBus.Property.EmitsChangedSignal"


def arguments(member):
    """(name, type, direction) of each; a signal's have no direction, or "out"."""
    default = "out" if member.tag == "signal" else "in"
    return [(arg.get("name"), arg.get("type"), arg.get("direction", default)) for arg in member.findall("arg")]


def members(interface):
    found = {}
    for member in interface:
        if member.tag in ("method", "signal"):
            found[member.tag, member.get("name")] = arguments(member)
        elif member.tag == "property":
            notes = {note.get("name"): note.get("value") for note in member.findall("annotation")}
            found[member.tag, member.get("name")] = (member.get("type"), member.get("access"), notes.get(EMITS, "true"))
    return found


def interfaces(xml):
    return {node.get("name"): members(node) for node in ET.fromstring(xml).findall("interface")}


@pytest.fixture
def introspect(daemon, client):
    daemon.write("connectors/bank.connector", "[Connector]\nConnection=shared\n[Pipeline]\nExecPull=/bin/true\n")
    client.manager("Reload")
    run, *_ = client.start("bank")
    paths = {
        MANAGER: PATH,
        CONNECTOR: connector_path("bank"),
        WORKER: connector_path("bank"),
        RUN: path_of("run", run),
        CONNECTION: path_of("connection", "shared"),
    }
    return lambda name: interfaces(client.call(paths[name], "org.freedesktop.DBus.Introspectable", "Introspect"))


@pytest.mark.parametrize("name", [MANAGER, CONNECTOR, WORKER, RUN, CONNECTION])
def test_live_interface_is_the_one_in_xml(introspect, name):
    contract = interfaces((TOP / "dbus" / f"{name}.xml").read_text())
    assert list(contract) == [name]
    assert introspect(name)[name] == contract[name]


def test_every_interface_of_ours_has_xml(introspect):
    live = set().union(*(introspect(name) for name in (MANAGER, CONNECTOR, RUN, CONNECTION)))
    ours = {name for name in live if name.startswith("org.syncrun1.")}
    assert ours == {path.stem for path in (TOP / "dbus").glob("*.xml")}


def test_log_control_is_systemds(client, daemon):
    live = interfaces(client.call("/org/freedesktop/LogControl1", "org.freedesktop.DBus.Introspectable", "Introspect"))
    assert live["org.freedesktop.LogControl1"] == {
        ("property", "LogLevel"): ("s", "readwrite", "false"),
        ("property", "LogTarget"): ("s", "readwrite", "false"),
        ("property", "SyslogIdentifier"): ("s", "read", "const"),
    }


def test_getters_answer_with_the_types_of_the_contract(introspect, client):
    """GetAll() of each object, whose variants carry types: none is missing, none is another."""
    for name, path in ((MANAGER, PATH), (CONNECTOR, connector_path("bank")),
                       (CONNECTION, path_of("connection", "shared"))):
        contract = interfaces((TOP / "dbus" / f"{name}.xml").read_text())[name]
        wanted = {member for kind, member in contract if kind == "property"}
        assert set(client.get_all(path, name)) == wanted
        for member in wanted:
            answer = client.bus.call_sync("org.syncrun1", path, "org.freedesktop.DBus.Properties", "Get",
                                          GLib.Variant("(ss)", (name, member)), None, 0, -1, None)
            assert answer.get_child_value(0).get_variant().get_type_string() == contract["property", member][0]
