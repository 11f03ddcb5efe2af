# SPDX-License-Identifier: LGPL-2.1-or-later
"""The daemon with real workers under load: dozens of connectors, people who start, cancel and switch them, reports from outside,
files that change. Every answer and every signal becomes a promise (promises.py)."""

import json
import re

from gi.repository import Gio, GLib
import place  # noqa: F401  it knows where the harness is

import harness
from harness import CONNECTOR, MANAGER, NAME, PATH, PROPERTIES, RUN, Client, connector_path, options, wait_for
from promises import Broken, Promises

USER = "6f1ed002-ab5d-4f2b-9c3b-{:012d}"
TICK_MSEC = 50

SETTINGS = """[Daemon]
MaxConcurrentRuns=10
MaxConcurrentRunsPerProvider=3
[History]
RunsMaxPerConnector=infinity
FailedRunsMaxPerConnector=infinity
SkippedRunsMaxPerConnector=infinity
EventsMaxPerUser=infinity
"""

# Batches, arguments and sections, by turns: by schedule, by hand, failing, long, with a follow-up, with a catch-up.
KINDS = [
    ((2, 5), "[Schedule]\nEvery=2s\n"),
    ((3, 10), ""),
    ((2, 5, "fail"), "[Schedule]\nEvery=3s\n[Run]\nRetryMax=2\nRetrySec=100ms\n"),
    ((20, 20), "[Schedule]\nEvery=5s\n"),
    ((4, 5), "[Schedule]\nEvery=1s\nOverlap=queue\n"),
    ((1, 50), "[Schedule]\nOnCalendar=*:*:0/3\nPersistent=yes\n"),
]


def is_scheduled(index):
    return "[Schedule]" in KINDS[index % len(KINDS)][1]


class World:
    def __init__(self, place, rng, n_connectors):
        self.rng = rng
        self.place = place
        self.history_path = place.history_path
        self.names = [f"c{index}" for index in range(n_connectors)]
        self.promises = Promises()
        self.diary = []  # what was done, the newest last
        self.n_answers = self.n_events = self.n_refused = self.n_reports = 0
        self.open_reports = []  # runs from outside
        self.n_outside = 0
        place.config.write("syncrun.conf", SETTINGS)
        for index in range(n_connectors):
            self.write_connector(index)
        self.client = None
        self.owner = ""
        self.dies = False  # and is meant to
        self.broken = []  # what a handler has found
        GLib.timeout_add(TICK_MSEC, lambda: True)  # what is waited for is looked at, also where nobody says anything

    def note(self, *words):
        self.diary.append(" ".join(map(str, words)))
        del self.diary[:-80]

    # ---- Files

    def write_connector(self, index, description=""):
        (batches, *size), sections = KINDS[index % len(KINDS)]
        command = " ".join(map(str, [self.place.source, batches * self.place.batches, *size]))
        self.place.config.add(self.names[index], f"[Pipeline]\nExecPull={command}\n{sections}", Provider=f"p{index % 5}",
                              Description=description, User=USER.format(index % 7))

    # ---- Signals

    def _subscribe(self, sender, interface, member, handler):
        def on_signal(_bus, _sender, path, _interface, _member, parameters):
            handler(path, *parameters.unpack())

        self.client.bus.signal_subscribe(sender, interface, member, None, None, Gio.DBusSignalFlags.NONE, on_signal)

    def _listen(self):
        def on_events(_path, events):
            self.n_events += len(events)
            try:
                self.promises.signalled(events)
            except AssertionError as error:
                self.broken.append(error)

        def on_properties(path, interface, changed, _):
            if interface == RUN and changed.get("State") == "finished" and changed.get("Outcome"):
                self.promises.ends[run_of(path)] = changed["Outcome"]

        def on_owner(_path, name, _old, new):
            if name == NAME:
                self.owner = new
            if name == NAME and not new:
                self.promises.daemon_gone()
                if not self.dies:
                    self.broken.append(Broken("the daemon has ended by itself"))

        self._subscribe(NAME, MANAGER, "EventsCommitted", on_events)
        self._subscribe(NAME, PROPERTIES, "PropertiesChanged", on_properties)
        self._subscribe("org.freedesktop.DBus", "org.freedesktop.DBus", "NameOwnerChanged", on_owner)
        if not self.owner and self.client.bus_call("NameHasOwner", "(s)", NAME):
            self.owner = self.owner or self.client.bus_call("GetNameOwner", "(s)", NAME)

    # ---- Calls: their answers become promises

    def ask(self, on_success, path, interface, method, signature="()", *args):
        """`on_success` gets what was answered. An error promises nothing."""

        def done(bus, result):
            self.n_answers += 1
            try:
                answer = bus.call_finish(result).unpack()
            except GLib.Error:
                self.n_refused += 1
                return
            on_success(*answer)

        flags = Gio.DBusCallFlags.NONE if self.place.wakes else Gio.DBusCallFlags.NO_AUTO_START
        self.client.bus.call(NAME, path, interface, method, GLib.Variant(signature, args), None, flags,
                             harness.TIMEOUT_SEC * 1000, None, done)

    def start_run(self):
        name = self.rng.choice(self.names)
        full = self.rng.random() < 0.1

        def answered(run, _path, _already, result):
            self.promises.runs[run] = name
            if result.get("full_resync_pending"):
                self.promises.resyncs[name] += 1

        self.ask(answered, PATH, MANAGER, "StartRun", "(sa{sv})", name, options(full_resync=full, reason="campaign"))

    def cancel_run(self):
        runs = list(self.promises.runs)[-20:]
        if runs:
            run = self.rng.choice(runs)
            self.ask(lambda: self.promises.cancelled.add(run), PATH, MANAGER, "CancelRun", "(s)", run)

    def set_active(self, name=None, active=None):
        name = name or self.rng.choice(self.names)
        active = self.rng.random() < 0.8 if active is None else active
        number = self.promises.switch_asked(name, active)
        self.ask(lambda: self.promises.switch_answered(name, number), connector_path(name), CONNECTOR, "SetActive", "(b)", active)

    def report(self):
        """One to four events of runs from outside, in one call."""
        events = []
        for _ in range(self.rng.randint(1, 4)):
            if not self.open_reports or self.rng.random() < 0.3:
                self.n_outside += 1
                self.open_reports.append(f"outside_{self.n_outside}")
            run = self.rng.choice(self.open_reports)
            ends = self.rng.random() < 0.3
            if ends:
                self.open_reports.remove(run)
            self.n_reports += 1
            events.append({"run_id": run, "user_id": USER.format(1), "provider": "garmin", "source": "sdk",
                           "stage": "completed" if ends else "fetching", "status": "success" if ends else "in_progress",
                           "message": f"m{self.n_reports}"})
        told = {event["message"]: event["run_id"] for event in events}
        self.ask(lambda: self.promises.reports.update(told), PATH, MANAGER, "ReportEvents", "(s)", json.dumps(events))

    def reload(self):
        index = self.rng.randrange(len(self.names))
        self.write_connector(index, f"version {self.rng.randrange(1000)}")
        if self.rng.random() < 0.5:  # else it is noticed by itself
            self.ask(lambda: None, PATH, MANAGER, "Reload")

    def come_and_go(self):
        """A connector whose file is not always there."""
        path = self.place.config.connectors / "volatile.connector"
        if path.exists():
            path.unlink()
        else:
            self.place.config.add("volatile", f"[Pipeline]\nExecPull={self.place.source} 3 5\n[Schedule]\nEvery=1s\n")

    def load(self):
        """Some of what people and programs ask, all at once."""
        does = {self.start_run: 10, self.report: 8, self.cancel_run: 3, self.set_active: 2, self.reload: 1, self.come_and_go: 1}
        for _ in range(self.rng.randint(1, 6)):
            self.rng.choices(list(does), does.values())[0]()

    # ---- The daemon

    def begin_start(self):
        """Until it lives."""
        self.dies = False
        self.place.spawn()
        if not self.client:
            self.client = Client(self.place.address)
            self._listen()

    def wait_started(self):
        """Not by its notification: one of its predecessor's may still be under way."""
        wait_for(lambda: self.owner, "the daemon's name")

    def start_daemon(self):
        self.begin_start()
        self.wait_started()

    def kill_daemon(self):
        """Until all that it had said has come."""
        self.dies = True
        self.place.kill_daemon()
        wait_for(lambda: not self.client.bus_call("NameHasOwner", "(s)", NAME), "the end of the daemon's name")
        wait_for(lambda: not self.owner, "word of that")

    def lose_power(self):
        self.dies = True
        self.place.lose_power()
        if self.place.wakes:  # the bus has gone with it
            wait_for(self.client.bus.is_closed, "the end of the bus")
            self.run_loop(0)
            self.client, self.owner = None, ""
            self.promises.daemon_gone()
        else:
            wait_for(lambda: not self.owner, "the end of the daemon's name")

    def describe_runs(self):
        return self.client.describe("DescribeRuns", active=True, limit=1000)["runs"]

    def run_loop(self, seconds):
        """Let time pass: the load needs it, no check waits for it."""
        expired = []
        GLib.timeout_add(int(seconds * 1000), expired.append, True)
        while not expired:
            GLib.MainContext.default().iteration(True)

    def close(self):
        if self.client:
            self.client.close()
        self.place.close()


def run_of(path):
    """sd_bus_path_decode() of a run's path."""
    label = path.rsplit("/", 1)[1]
    return re.sub("_([0-9a-f]{2})", lambda match: chr(int(match[1], 16)), label)
