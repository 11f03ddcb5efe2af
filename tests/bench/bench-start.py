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
# What PID 1 notes of the worker's unit, by CLOCK_MONOTONIC.
STEPS = (
    ("the unit's job, and ExecStartPre=", "Unit", "InactiveExit"),
    ("the worker's fork", "Service", "ExecMainStart"),
    ("the worker's exec, in its sandbox", "Unit", "ActiveEnter"),
)
# What the worker's unit costs by itself, with nothing in it; and that without some settings, by the beginnings of their names.
SANDBOXES = {
    "all": (),
    "no-system-call-filters": ("SystemCall", "RestrictA", "RestrictN", "RestrictR", "RestrictS", "LockP"),
    "no-user-namespace": ("PrivateUsers",),
    "no-namespaces": ("Private", "Protect", "DynamicUser", "User", "StateDirectory", "WorkingDirectory"),
    "no-sandbox": ("SystemCall", "Restrict", "LockP", "Private", "Protect", "DynamicUser", "User", "Supplementary", "StateDirectory",
                   "WorkingDirectory", "Device", "Keyring", "RemoveIPC", "Capability", "Ambient", "NoNew"),
}


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

    def unit_property(self, interface, name):
        value, = self.call("org.freedesktop.systemd1", "/org/freedesktop/systemd1/unit/syncrun_40bench_2eservice",
                           "org.freedesktop.DBus.Properties", "Get", "(ss)", "org.freedesktop.systemd1." + interface, name)
        return value

    def run(self):
        """Milliseconds until the reply, what PID 1 did, and the events of each stage."""
        self.seen, self.ended = {}, []
        begin = time.monotonic()
        self.call(NAME, MANAGER_PATH, MANAGER, "StartRun", "(sa{sv})", "bench", {})
        self.seen["reply"] = time.monotonic()
        context = self.glib.MainContext.default()
        while "saving" not in self.seen:
            context.iteration(True)
        # While it is there: PID 1 forgets it afterwards.
        for what, interface, name in STEPS:
            self.seen[what] = self.unit_property(interface, name + "TimestampMonotonic") / 1e6
        while not self.ended:
            context.iteration(True)
        assert self.ended == ["success"], self.ended
        while self.unit_property("Unit", "ActiveState") != "inactive":
            context.iteration(False)
        return dict(sorted(((stage, 1e3 * (when - begin)) for stage, when in self.seen.items()), key=lambda step: step[1]))


def took(*command):
    begin = time.monotonic()
    subprocess.run(command, check=True)
    return 1e3 * (time.monotonic() - begin)


def empty_unit(text, without, before=False):
    """The worker's unit, which does nothing; before: its ExecStartPre= stays."""
    skipped = ("Type=", "ExecStart=", "ExecStopPost=", *without) + (() if before else ("ExecStartPre=",))
    lines = [line for line in text.splitlines() if not line.startswith(skipped)]
    return "\n".join(lines).replace("[Service]\n", "[Service]\nType=oneshot\nExecStart=/bin/true\n") + "\n"


def empty_units(text):
    units = {name: empty_unit(text, without) for name, without in SANDBOXES.items()}
    return units | {"all-and-syncrun-userdb": empty_unit(text, (), before=True)}


def measure(n, names):
    rounds, runs, units, empties = Rounds(), [], [], {name: [] for name in names}
    rounds.run()
    for _ in range(n):
        runs.append(rounds.run())
        units.append(took("systemd-run", "--quiet", "--wait", "true"))
        for name, times in empties.items():
            times.append(took("systemctl", "start", f"empty-{name}@bench.service"))
    unit = statistics.median(units)
    rows = {"systemd-run --wait true": units}
    rows |= {f"systemctl start of true in the worker's unit, {name}": times for name, times in empties.items()}
    rows |= {f"StartRun to {stage}": [run[stage] for run in runs] for stage in runs[0]}
    for what, times in rows.items():
        print(f"{what}: {statistics.median(times):.1f} ms (least {min(times):.1f}), {statistics.median(times) / unit:.2f} of it")
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
            units = empty_units(unit)
            for name, text in units.items():
                machine.write(f"/etc/systemd/system/empty-{name}@.service", text)
            machine.boot()
            print(machine.output("/usr/bin/python3", "/usr/local/bin/bench-start.py", "--inside", sys.argv[1], *units, timeout=600))


if "--inside" in sys.argv:
    measure(int(sys.argv[2]), sys.argv[3:])
else:
    main()
