# SPDX-License-Identifier: LGPL-2.1-or-later
"""Who may call what: three users without a right of their own try everything that permissions.table has, which has everything
that there is. polkit, the bus, the policy of each and logind's sessions are those of the system."""

import hashlib
import re
import shlex
import xml.etree.ElementTree as ET
from pathlib import Path
from string import Template

import pytest
from syncrun import Syncrun

HERE = Path(__file__).resolve().parent
PATHS = {"Manager": "/org/syncrun1", "Connector": "/org/syncrun1/connector/bank", "Connection": "/org/syncrun1/connection/acme",
         "Run": "/org/syncrun1/run/$run_label", "Worker": "/org/syncrun1/connector/bank",
         "LogControl1": "/org/freedesktop/LogControl1"}
PROPERTIES = "org.freedesktop.DBus.Properties"
PAM = "account required pam_permit.so\nsession required pam_systemd.so\n"
SHIM = "syncrun-http.service"
URL = "http://127.0.0.1:8377"


def rows():
    """(interface and method, call, {who: answer}, words where it is done)"""
    for line in (HERE / "permissions.table").read_text().splitlines():
        if not line.startswith("#"):
            call, anybody, local, shim, words = (field.strip() for field in line.split("|"))
            yield call.split()[0], call, {"anybody": anybody, "local": local, "shim": shim}, words


def interface_of(member):
    name, _, method = member.rpartition(".")
    return (PROPERTIES if name == "LogControl1" else name if "." in name else f"org.syncrun1.{name}"), method


@pytest.fixture(scope="module")
def syncrun(machine):
    machine.write("/etc/pam.d/syncrun-test", PAM)
    machine.run("useradd", "--system", "anna")
    machine.write("/etc/syncrun/connectors/acme.connection", "[Connection]\nProvider=test\n")
    service = Syncrun(machine)
    service.add("bank", "/bin/true", connector="Connection=acme")
    return service


@pytest.fixture(scope="module")
def key(machine, syncrun):
    return machine.output("syncrunctl", "key", "add", "page", "--scope=sync:read", "--scope=sync:write", "--scope=sync:admin")


@pytest.fixture(scope="module")
def names(syncrun, key):
    """What the table has with a dollar sign."""
    run = syncrun.wait_end(syncrun.start("bank"))["id"]
    label = syncrun.data("GetRun", "s", run)[0].rpartition("/")[2]
    return {"run": run, "run_label": label, "hash": hashlib.sha256(key.encode()).hexdigest()}


def filled(text, names):
    return Template(text).substitute(names)


def script_of(names):
    """All calls, one after the other; of each its end and what it complained of."""
    lines = []
    for member, call, _, _ in rows():
        name = member.rpartition(".")[0]
        interface, method = interface_of(member)
        words = [filled(word, names) for word in call.split()[1:]]
        command = ["busctl", "call", "org.syncrun1", filled(PATHS.get(name, PATHS["Manager"]), names), interface, method, *words]
        lines.append(f"said=$({shlex.join(command)} 2>&1 >/dev/null); echo \"$? $said\"")
    return "\n".join(lines) + "\n"


def answer_of(line, words):
    status, _, said = line.partition(" ")
    if status == "0":
        return "yes" if not words else f"done, without {words}"
    if asked := re.search(r"Authentication is required for org\.syncrun1\.([\w-]+)\.", said):
        return f"asks {asked[1]}"
    if "Access denied" in said:
        return "denied"
    if re.search(r"Only syncrun-http\.service may do this|not writable|read-only|Access to .* not permitted", said):
        return "no"
    return "yes" if words and words in said else said


def expect_answers(who, output):
    lines = output.splitlines()
    table = list(rows())
    assert len(lines) == len(table)
    wrong = [(call, answer, expected[who]) for line, (_, call, expected, words) in zip(lines, table)
             if (answer := answer_of(line, words)) != expected[who]]
    assert not wrong


def test_anybody(machine, names):
    expect_answers("anybody", machine.output("sh", stdin=script_of(names), user="nobody"))


def test_who_sits_at_the_machine(machine, names):
    """The session is logind's, on the seat, and active."""
    script = 'test "$(loginctl show-session --property=Active --property=Seat --property=Remote --value $XDG_SESSION_ID | xargs)" = "seat0 no yes" || exit\n'
    enter = ["systemd-run", "--pipe", "--wait", "--quiet", "--collect", "--uid=anna", "--property=PAMName=syncrun-test",
             "--setenv=XDG_SEAT=seat0", "sh"]
    expect_answers("local", machine.output(*enter, stdin=script + script_of(names)))


def test_the_user_of_the_http_server(machine, names, key):
    machine.run("systemctl", "start", "syncrun-http.socket")
    stream = machine.start("curl", "-sSN", "-H", f"X-API-Key: {key}", f"{URL}/api/v1/sync/stream")
    assert stream.stdout.readline().startswith(": connected")
    uid = machine.properties(SHIM, "UID")["UID"]
    output = machine.output("setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups", "sh", stdin=script_of(names))
    machine.end(stream)
    expect_answers("shim", output)


# ---- The table


def test_it_has_every_method_of_every_interface():
    """Those of our own, as the XML has them, and the policy of the bus names the same for workers."""
    methods = set()
    for path in (HERE.parents[1] / "dbus").glob("*.xml"):
        interface = ET.parse(path).find("interface")
        methods |= {(interface.get("name"), method.get("name")) for method in interface.findall("method")}
    assert {interface_of(member) for member, *_ in rows() if not member.startswith(("org.freedesktop", "LogControl1"))} == methods
    policy = ET.parse(HERE.parents[1] / "dbus" / "org.syncrun1.conf")
    denied = {(rule.get("send_interface"), rule.get("send_member")) for rule in policy.iter("deny")}
    assert denied == {interface_of(member) for member, *_ in rows() if member.startswith("Worker.")}


def test_it_has_what_the_daemon_tells_of_itself(machine, names):
    """Methods, and properties that can be set, of all that can be asked of all objects."""
    table = {interface_of(member) for member, *_ in rows()}
    settable = {tuple(call.split()[2:4]) for member, call, *_ in rows() if interface_of(member) == (PROPERTIES, "Set")}
    for path in sorted(set(PATHS.values())):
        text = machine.output("busctl", "--xml-interface", "introspect", "org.syncrun1", filled(path, names))
        for interface in ET.fromstring(text).findall("interface"):
            name = interface.get("name")
            told = {(name, method.get("name")) for method in interface.findall("method")}
            assert told <= table, f"{path}: {told - table}"
            assert {(name, entry.get("name")) for entry in interface.findall("property") if entry.get("access") != "read"} <= settable


def test_where_acting_for_others_is_taken(names):
    """Each call that takes on_behalf_of has a row with it: those that the sources say."""
    source = (HERE.parents[1] / "src/bus/access.c").read_text()
    found = re.findall(r'\{ SYNCRUN_IFACE_(\w+), "(\w+)",([^}]*)\}', source)
    on_behalf = {(f"org.syncrun1.{interface.capitalize()}", method) for interface, method, rest in found if "SHIM_ON_BEHALF" in rest}
    assert on_behalf == {interface_of(member) for member, call, *_ in rows() if "on_behalf_of" in call}
