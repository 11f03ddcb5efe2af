# SPDX-License-Identifier: LGPL-2.1-or-later
"""The daemon with real workers under load: dozens of connectors, people who start, cancel and switch them, reports from outside,
files that change. Every answer and every signal becomes a promise (promises.py)."""

import ctypes
import json
import os
import re
import select
import signal
import sys
from pathlib import Path

from gi.repository import Gio, GLib

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "bus"))
import harness
from harness import (CONNECTOR, MANAGER, NAME, PATH, PROPERTIES, RUN, Client, Daemon, PrivateBus, connector_path, options,
                     wait_for)
from promises import Promises

USER = "6f1ed002-ab5d-4f2b-9c3b-{:012d}"
PR_SET_CHILD_SUBREAPER = 36
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

# Command line and sections, by turns: by schedule, by hand, failing, long, with a follow-up, with a catch-up.
KINDS = [
    ("2 5", "[Schedule]\nEvery=2s\n"),
    ("3 10", ""),
    ("2 5 fail", "[Schedule]\nEvery=3s\n[Run]\nRetryMax=2\nRetrySec=100ms\n"),
    ("20 20", "[Schedule]\nEvery=5s\n"),
    ("4 5", "[Schedule]\nEvery=1s\nOverlap=queue\n"),
    ("1 50", "[Schedule]\nOnCalendar=*:*:0/3\nPersistent=yes\n"),
]


def is_scheduled(index):
    return "[Schedule]" in KINDS[index % len(KINDS)][1]


class Process:
    """A worker that may be killed: what is known of it stays true, as its descriptor was opened before it was looked at."""

    def __init__(self, pid, connector, settles):
        self.pid, self.connector, self.settles = pid, connector, settles
        self.fd = os.pidfd_open(pid)

    def kill(self):
        try:
            signal.pidfd_send_signal(self.fd, signal.SIGKILL)
        except ProcessLookupError:
            pass

    def wait_end(self):
        select.select([self.fd], [], [], harness.TIMEOUT_SEC)

    def has_ended(self):
        return bool(select.select([self.fd], [], [], 0)[0])

    def close(self):
        os.close(self.fd)


class World:
    def __init__(self, folder, rng, n_connectors):
        self.rng = rng
        self.folder = folder
        # Workers whose daemon was killed are adopted by us, and not left to a PID 1 that may not wait for them.
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        self.bus = PrivateBus()
        self.daemon = Daemon(self.bus, folder, worker=os.environ["SYNCRUN_WORKER_PROGRAM"])
        self.daemon.environment["SYNCRUN_LOG_LEVEL"] = "info"
        self.history_path = self.daemon.state / "history.db"
        self.names = [f"c{index}" for index in range(n_connectors)]
        self.promises = Promises()
        self.diary = []  # what was done, the newest last
        self.n_answers = self.n_events = self.n_refused = self.n_reports = 0
        self.open_reports = []  # runs from outside
        self.n_outside = 0
        self.daemon.write("syncrun.conf", SETTINGS)
        for index in range(n_connectors):
            self.write_connector(index)
        self.client = Client(self.bus.address)
        self._listen()
        GLib.timeout_add(TICK_MSEC, lambda: True)  # what is waited for is looked at, also where nobody says anything

    def note(self, *words):
        self.diary.append(" ".join(map(str, words)))
        del self.diary[:-80]

    # ---- Files

    def write_connector(self, index, description=""):
        command, sections = KINDS[index % len(KINDS)]
        self.daemon.add(self.names[index], f"[Pipeline]\nExecPull={HERE}/source {command}\n{sections}", Provider=f"p{index % 5}",
                        Description=description, User=USER.format(index % 7))

    def items_path(self, name):
        return self.daemon.state / "connectors" / name / "items.db"

    # ---- Signals

    def _subscribe(self, sender, interface, member, handler):
        def on_signal(_bus, _sender, path, _interface, _member, parameters):
            handler(path, *parameters.unpack())

        self.client.bus.signal_subscribe(sender, interface, member, None, None, Gio.DBusSignalFlags.NONE, on_signal)

    def _listen(self):
        self.owner = ""
        self.broken = []  # what a handler has found

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

        self._subscribe(NAME, MANAGER, "EventsCommitted", on_events)
        self._subscribe(NAME, PROPERTIES, "PropertiesChanged", on_properties)
        self._subscribe("org.freedesktop.DBus", "org.freedesktop.DBus", "NameOwnerChanged", on_owner)
        self.client.call("/org/freedesktop/DBus", "org.freedesktop.DBus", "GetId", destination="org.freedesktop.DBus")

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

        self.client.bus.call(NAME, path, interface, method, GLib.Variant(signature, args), None, Gio.DBusCallFlags.NO_AUTO_START,
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
        path = self.daemon.connectors / "volatile.connector"
        if path.exists():
            path.unlink()
        else:
            self.daemon.add("volatile", f"[Pipeline]\nExecPull={HERE}/source 3 5\n[Schedule]\nEvery=1s\n")

    def load(self):
        """Some of what people and programs ask, all at once."""
        does = {self.start_run: 10, self.report: 8, self.cancel_run: 3, self.set_active: 2, self.reload: 1, self.come_and_go: 1}
        for _ in range(self.rng.randint(1, 6)):
            self.rng.choices(list(does), does.values())[0]()

    # ---- Processes

    def workers(self):
        """The workers that live now. To be closed by the caller."""
        program = os.environ["SYNCRUN_WORKER_PROGRAM"].encode()
        found = []
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                command = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
                if command[0] != program or str(self.daemon.state).encode() not in Path(f"/proc/{pid}/environ").read_bytes():
                    continue
                process = Process(int(pid), command[-2].decode(), b"--settle" in command)
            except OSError:
                continue
            (found.append if not process.has_ended() else Process.close)(process)
        return found

    def reap(self):
        """Those that became ours because their daemon was killed."""
        try:
            while os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None:
                pid = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT).si_pid
                if pid in (self.daemon.process.pid, self.bus.process.pid):
                    return
                os.waitpid(pid, os.WNOHANG)
        except ChildProcessError:
            pass

    def start_daemon(self):
        """Not by its notification: one of its predecessor's may still be under way."""
        self.daemon.spawn()
        wait_for(lambda: self.owner, "the daemon's name")

    def kill_daemon(self):
        """Until all that it had said has come."""
        self.daemon.kill9()
        wait_for(lambda: not self.owner, "the end of the daemon's name")
        self.promises.daemon_gone()

    def describe_runs(self):
        return self.client.describe("DescribeRuns", active=True, limit=1000)["runs"]

    def run_loop(self, seconds):
        """Let time pass: the load needs it, no check waits for it."""
        expired = []
        GLib.timeout_add(int(seconds * 1000), expired.append, True)
        while not expired:
            GLib.MainContext.default().iteration(True)

    def close(self):
        self.client.close()
        if self.daemon.process and self.daemon.process.poll() is None:
            self.daemon.kill9()
        for worker in self.workers():
            worker.kill()
            worker.wait_end()
            worker.close()
        self.reap()
        self.daemon.process = None
        self.daemon.close()
        self.bus.close()


def run_of(path):
    """sd_bus_path_decode() of a run's path."""
    label = path.rsplit("/", 1)[1]
    return re.sub("_([0-9a-f]{2})", lambda match: chr(int(match[1], 16)), label)
