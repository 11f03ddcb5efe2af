# SPDX-License-Identifier: LGPL-2.1-or-later
"""From StartRun() to the worker's first report, beside `systemd-run --wait true`: a unit with a process in it, and back.

bench-start.py ROUNDS: in the machine of tests/system, where syncrun is installed, both in turn, by this very file, which runs
itself in there. A report is seen when its event is committed and signalled. Before the next round the unit has ended.
"""

import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve()
NAME, MANAGER_PATH, MANAGER = "org.syncrun1", "/org/syncrun1", "org.syncrun1.Manager"
CONNECTOR = """[Connector]
Provider=test
[Run]
RetryMax=0
[Pipeline]
ExecPull=/bin/true
"""
# What the worker's unit costs by itself: with its user and sandbox, and nothing in it.
EMPTY_UNIT = "empty@.service"


class Rounds:
    """In the machine."""

    def __init__(self):
        from gi.repository import Gio, GLib

        self.glib = GLib
        self.bus = Gio.bus_get_sync(Gio.BusType.SYSTEM)
        self.seen = {}  # of the run under way, by stage: when its event came
        self.ended = []
        self.bus.signal_subscribe(NAME, MANAGER, "EventsCommitted", None, None, Gio.DBusSignalFlags.NONE, self.on_events)
        self.bus.signal_subscribe("org.freedesktop.systemd1", "org.freedesktop.systemd1.Manager", "JobRemoved", None, None,
                                  Gio.DBusSignalFlags.NONE, lambda *_: None)
        self.call("org.freedesktop.systemd1", "/org/freedesktop/systemd1", "org.freedesktop.systemd1.Manager", "Subscribe", "()")
        self.call("org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus", "GetId", "()")

    def call(self, name, path, interface, method, signature, *arguments):
        from gi.repository import Gio

        return self.bus.call_sync(name, path, interface, method, self.glib.Variant(signature, arguments), None,
                                  Gio.DBusCallFlags.NONE, 60000, None).unpack()

    def on_events(self, _bus, _sender, _path, _interface, _name, parameters):
        now = time.monotonic()
        for _, _, _, text in parameters.unpack()[0]:
            event = json.loads(text)
            self.seen.setdefault(event["stage"], now)
            if event["status"] != "in_progress":
                self.ended.append(event["status"])

    def is_inactive(self):
        state, = self.call("org.freedesktop.systemd1", "/org/freedesktop/systemd1/unit/syncrun_40bench_2eservice",
                           "org.freedesktop.DBus.Properties", "Get", "(ss)", "org.freedesktop.systemd1.Unit", "ActiveState")
        return state == "inactive"

    def run(self):
        """Milliseconds until the reply, the events of each stage, and the end."""
        self.seen, self.ended = {}, []
        begin = time.monotonic()
        self.call(NAME, MANAGER_PATH, MANAGER, "StartRun", "(sa{sv})", "bench", {})
        self.seen["reply"] = time.monotonic()
        context = self.glib.MainContext.default()
        while not self.ended:
            context.iteration(True)
        assert self.ended == ["success"], self.ended
        while not self.is_inactive():
            context.iteration(False)
        return {stage: 1e3 * (when - begin) for stage, when in self.seen.items()}


def took(*command):
    begin = time.monotonic()
    subprocess.run(command, check=True)
    return 1e3 * (time.monotonic() - begin)


def empty_unit(text):
    lines = [line for line in text.splitlines() if not re.match(r"(Exec\w+|Type|BusName)=", line)]
    return "\n".join(lines).replace("[Service]\n", "[Service]\nType=oneshot\nExecStart=/bin/true\n") + "\n"


def measure(n):
    rounds, runs, units, empties = Rounds(), [], [], []
    rounds.run()
    for _ in range(n):
        runs.append(rounds.run())
        units.append(took("systemd-run", "--quiet", "--wait", "true"))
        empties.append(took("systemctl", "start", EMPTY_UNIT.replace("@", "@bench")))
    unit, empty = statistics.median(units), statistics.median(empties)
    print(f"systemd-run --wait true: {unit:.1f} ms (least {min(units):.1f})")
    print(f"systemctl start of true in the worker's sandbox: {empty:.1f} ms (least {min(empties):.1f}), {empty / unit:.2f} of it")
    for stage in runs[0]:
        times = [run[stage] for run in runs]
        print(f"StartRun to {stage}: {statistics.median(times):.1f} ms (least {min(times):.1f}), {statistics.median(times) / unit:.2f} of it")
    print(f"medians of {n}; load {os.getloadavg()[0]:.1f}")


def main():
    sys.path.insert(0, str(HERE.parent.parent / "system"))
    from machine import Machine, private_mounts

    private_mounts()
    with tempfile.TemporaryDirectory(prefix="syncrun-installed-") as folder:
        subprocess.run(["meson", "install", "-C", os.environ["SYNCRUN_BUILD"], "--no-rebuild", "--quiet", "--destdir", folder], check=True)
        with Machine(folder) as machine:
            machine.write("/etc/syncrun/connectors/bench.connector", CONNECTOR)
            machine.write("/usr/local/bin/bench-start.py", HERE.read_text())
            unit = next(Path(folder).glob("**/syncrun@.service")).read_text()
            machine.write(f"/etc/systemd/system/{EMPTY_UNIT}", empty_unit(unit))
            machine.boot()
            print(machine.output("/usr/bin/python3", "/usr/local/bin/bench-start.py", "--inside", sys.argv[1], timeout=600))


if "--inside" in sys.argv:
    measure(int(sys.argv[2]))
else:
    main()
