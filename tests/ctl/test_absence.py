# SPDX-License-Identifier: LGPL-2.1-or-later
"""A service that the bus starts and that does not come: it is started once, waited for, and told what is wrong."""

import select
import time

import pytest
from conftest import World
from gi.repository import Gio, GLib
from harness import Client, wait_for

UNIT = "/org/freedesktop/systemd1/unit/syncrund_2eservice"
PROPERTIES = """<node><interface name="org.freedesktop.DBus.Properties"><method name="Get">
    <arg type="s" direction="in"/><arg type="s" direction="in"/><arg type="v" direction="out"/>
    </method></interface></node>"""
# service_start_timeout, in ms: the one in which the daemon's start is given up by the bus, the other in which it is not.
SOON, NEVER = 500, 600000


class FakeSystemd:
    """PID 1 as it tells of syncrund.service."""

    def __init__(self, address):
        self.values = {"Job": GLib.Variant("(uo)", (0, "/")), "ActiveState": GLib.Variant("s", "failed"),
                       "StatusText": GLib.Variant("s", "The history is damaged. Bring back a backup.")}
        self.n_asked = 0
        self.client = Client(address)
        interface = Gio.DBusNodeInfo.new_for_xml(PROPERTIES).interfaces[0]
        self.client.bus.register_object(UNIT, interface, self.on_call, None, None)
        self.client.call("/org/freedesktop/DBus", "org.freedesktop.DBus", "RequestName", "(su)",
                         "org.freedesktop.systemd1", 0, destination="org.freedesktop.DBus")

    def on_call(self, _bus, _sender, _path, _interface, _method, parameters, invocation):
        self.n_asked += 1
        invocation.return_value(GLib.Variant("(v)", (self.values[parameters[1]],)))

    def close(self):
        self.client.close()


class Absent(World):
    """A bus that starts a service which never takes its name, and a line in `starts` for each time."""

    def __init__(self, folder, timeout_msec):
        self.starts = folder / "starts"
        program = folder / "service"
        program.write_text(f"#!/bin/sh\necho started >>{self.starts}\nexec tail -f --pid=$PPID /dev/null\n")
        program.chmod(0o755)
        (folder / "services").mkdir()
        (folder / "services/org.syncrun1.service").write_text(
            f"[D-BUS Service]\nName=org.syncrun1\nUser=root\nExec={program}\n")
        super().__init__(folder, f"<servicedir>{folder}/services</servicedir>"
                                 f"<limit name=\"service_start_timeout\">{timeout_msec}</limit>")

    def n_starts(self):
        """The bus may have ended it before it could write its line."""
        return self.starts.read_text().count("started\n") if self.starts.exists() else 0

    def expect_one_start(self):
        wait_for(self.n_starts, "the start")
        assert self.n_starts() == 1


@pytest.fixture
def absent(request, tmp_path):
    instance = Absent(tmp_path, request.param)
    yield instance
    instance.close()


def more(screen):
    """Reads what has come by now."""
    ready, _, _ = select.select([screen.primary], [], [], 0)
    if ready:
        screen.read(time.monotonic())


def both(absent, *words):
    """While PID 1 is asked, too."""
    process = absent.ctl.begin(*words)
    wait_for(lambda: process.poll() is not None, words)
    out, err = process.communicate()
    return process.returncode, out, err


by_words = pytest.mark.parametrize("words", [["list"], ["start", "bank"], ["reload"]], ids="-".join)


@by_words
@pytest.mark.parametrize("absent", [SOON], indirect=True)
def test_a_start_that_the_bus_gives_up(absent, words):
    status, out, err = absent.ctl.both(*words)
    assert (status, out) == (69, "")
    assert "could not be started" in err and "syncrunctl doctor" in err and err.count("\n") == 1
    assert absent.n_starts() <= 1


@pytest.fixture
def systemd(absent):
    instance = FakeSystemd(absent.bus.address)
    yield instance
    instance.close()


@by_words
@pytest.mark.parametrize("absent", [NEVER], indirect=True)
def test_a_start_that_failed(absent, systemd, words):
    status, out, err = both(absent, *words)
    assert (status, out) == (69, "")
    assert "could not be started. It says: The history is damaged. Bring back a backup." in err
    assert "systemctl status syncrund" in err and "journalctl -xu syncrund" in err and err.count("\n") == 1
    absent.expect_one_start()


@pytest.mark.parametrize("absent", [NEVER], indirect=True)
def test_a_start_that_takes_its_time(absent, systemd):
    """A failure of old is none while there is a job, and a person at a terminal is told once what is waited for."""
    systemd.values["Job"] = GLib.Variant("(uo)", (7, "/org/freedesktop/systemd1/job/7"))
    screen = absent.ctl.screen("list")
    line = "Waiting for the sync service, which is being started...\r\n"
    wait_for(lambda: line in screen.text or more(screen), line)
    systemd.values["ActiveState"] = GLib.Variant("s", "activating")
    n_asked = systemd.n_asked
    wait_for(lambda: systemd.n_asked > n_asked + 2, "questions")
    systemd.values["ActiveState"] = GLib.Variant("s", "failed")
    n_asked = systemd.n_asked
    wait_for(lambda: systemd.n_asked > n_asked + 14, "questions")
    assert screen.process.poll() is None
    systemd.values["Job"] = GLib.Variant("(uo)", (0, "/"))
    wait_for(lambda: screen.process.poll() is not None, "the end")
    assert screen.wait() == 69
    assert screen.text.startswith(line) and screen.text.count("Waiting") == 1
    assert "could not be started" in screen.text
    absent.expect_one_start()


@pytest.mark.parametrize("absent", [NEVER], indirect=True)
def test_a_doctor_is_told_soon(absent, systemd):
    assert "could not be started. It says: The history is damaged." in both(absent, "doctor")[1]
    absent.expect_one_start()
