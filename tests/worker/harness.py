# SPDX-License-Identifier: LGPL-2.1-or-later
"""syncrun-worker with everything around it: a private bus, a daemon that a test writes the answers of, connectors of a line or two.

The daemon keeps sequence numbers as the real one must: what it has recorded, it answers and ignores. Nothing here sleeps; progress
comes by calls on the bus and by the ends of processes.
"""

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import tempfile
from pathlib import Path

from gi.repository import Gio, GLib

TIMEOUT_SEC = 120
TICK_MSEC = 50
ROOT = Path(__file__).resolve().parents[2]
WORKER = Path(os.environ["SYNCRUN_WORKER"])
CONTRACT = Gio.DBusNodeInfo.new_for_xml((ROOT / "dbus/org.syncrun1.Worker.xml").read_text()).interfaces[0]
RUN_ID = "0193f1d2-0000-7000-8000-000000000001"

BUS_CONFIG = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-BUS Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>system</type>
  <listen>unix:path={path}</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow user="*"/> <allow own="*"/> <allow send_destination="*"/> <allow receive_sender="*"/>
  </policy>
</busconfig>
"""


def wait_for(condition, what, timeout=TIMEOUT_SEC):
    """Run the loop until the condition is true; its value. It is looked at after each event and, since files and other threads
    make none, now and then."""
    context = GLib.MainContext.default()
    expired = []
    source = GLib.timeout_add(int(timeout * 1000), lambda: expired.append(True))
    tick = GLib.timeout_add(TICK_MSEC, lambda: True)
    try:
        while not (value := condition()):
            assert not expired, f"waited in vain for {what}"
            context.iteration(True)
        return value
    finally:
        GLib.source_remove(tick)
        if not expired:
            GLib.source_remove(source)


class PrivateBus:
    def __init__(self):
        self.folder = Path(tempfile.mkdtemp(prefix="syncrun-bus-", dir="/tmp"))
        self.process = None
        self.start()

    def start(self):
        path = self.folder / "bus"
        path.unlink(missing_ok=True)
        config = self.folder / "bus.conf"
        config.write_text(BUS_CONFIG.format(path=path))
        self.process = subprocess.Popen(["dbus-daemon", "--nofork", "--nopidfile", "--print-address=1", f"--config-file={config}"],
                                        stdout=subprocess.PIPE, text=True)
        self.process.stdout.readline()
        self.address = f"unix:path={path}"

    def stop(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()

    def close(self):
        self.stop()
        shutil.rmtree(self.folder)


class FakeDaemon:
    """org.syncrun1 with the Worker interface of one connector. `calls` has (method, sequence, content) of all that is recorded, in
    order; `received` counts what came, repetitions included."""

    def __init__(self, bus, connector="bank"):
        self.address = bus.address
        self.path = "/org/syncrun1/connector/" + "".join(c if c.isalnum() else f"_{ord(c):02x}" for c in connector)
        self.run_id = RUN_ID
        self.settings = []
        self.full_resync = False
        self.cursor = ""
        self.accounts = None
        self.rules = {}        # of Attach()'s options: what is allowed to requests that go out
        self.sequence = 0
        self.calls = []
        self.received = []
        self.settled = {}
        self.told = {}         # run → attempts that a later worker, or --settle, told of it
        self.refuse = {}       # method → (error name, words)
        self.before_reply = None  # called with (method, sequence) after it was recorded; True: there is no answer
        self.connection = None
        self.appear()

    def appear(self):
        self.connection = Gio.DBusConnection.new_for_address_sync(
            self.address, Gio.DBusConnectionFlags.AUTHENTICATION_CLIENT | Gio.DBusConnectionFlags.MESSAGE_BUS_CONNECTION, None, None)
        self.connection.set_exit_on_close(False)
        self.connection.register_object(self.path, CONTRACT, self._on_call, None, None)
        self.connection.call_sync("org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus", "RequestName",
                                  GLib.Variant("(su)", ("org.syncrun1", 4)), None, Gio.DBusCallFlags.NONE, -1, None)

    def vanish(self):
        """As if it was killed: the name goes, and calls that it has not answered get an error from the bus."""
        if self.connection and not self.connection.is_closed():
            self.connection.close_sync()
        self.connection = None

    def _on_call(self, _connection, _sender, _path, _interface, method, parameters, invocation):
        self.received.append(method)
        if method in self.refuse:
            invocation.return_dbus_error(*self.refuse[method])
            return
        answer = self._attach() if method == "Attach" else self._record(method, parameters.unpack())
        sequence = None if method in ("Attach", "Settle") else parameters.unpack()[1]
        if self.before_reply and self.before_reply(method, sequence):
            return
        if isinstance(answer, tuple):
            invocation.return_dbus_error(*answer)
        else:
            invocation.return_value(answer)

    def _attach(self):
        options = {} if self.accounts is None else {"accounts": GLib.Variant("as", self.accounts)}
        kinds = {bool: "b", int: "t", str: "s"}
        options.update({name: GLib.Variant(kinds[type(value)], value) for name, value in self.rules.items()})
        return GLib.Variant("(stba(sss)sa{sv})", (self.run_id, self.sequence, self.full_resync, self.settings,
                                                  "" if self.full_resync else self.cursor, options))

    def _record(self, method, arguments):
        if method == "Settle":
            self.settled[arguments[0]] = json.loads(arguments[1])
            return None
        run_id, sequence, content = arguments
        if method == "ReportDeliveries" and sequence == 0:
            self.told.setdefault(run_id, []).extend(json.loads(content))
            return None
        if run_id != self.run_id:
            return ("org.syncrun1.Error.NoSuchRun", "no such run")
        if sequence > self.sequence:
            assert sequence == self.sequence + 1, f"{method} {sequence} after {self.sequence}"
            self.sequence = sequence
            self.calls.append((method, sequence, json.loads(content)))
            if method == "SaveCursor":
                self.cursor = content
        return None

    def of(self, method):
        return [content for name, _, content in self.calls if name == method]

    @property
    def end(self):
        ends = self.of("Finish")
        assert len(ends) == 1, self.calls
        return ends[0]

    def accounts_of(self):
        """The last word on each account, over all reports."""
        accounts = {}
        for content in self.of("Report") + self.of("Finish"):
            for account in content.get("accounts", []):
                accounts[account.pop("account" if "account" in account else "name")] = account
        return accounts


class Run:
    """A worker that runs."""

    def __init__(self, bench, arguments=(), env=None, program=WORKER):
        self.bench = bench
        self.log = b""
        environment = {"PATH": "/usr/local/bin:/usr/bin:/bin", "SYNCRUN_BUS_ADDRESS": bench.bus.address,
                       "STATE_DIRECTORY": str(bench.state), "SYNCRUN_LOG_TARGET": "console", "SYNCRUN_LOG_LEVEL": "debug",
                       "ASAN_OPTIONS": "quarantine_size_mb=8", "LC_ALL": "C.UTF-8", **(env or {})}
        self.process = subprocess.Popen([program, *arguments, bench.connector], stderr=subprocess.PIPE, env=environment)
        os.set_blocking(self.process.stderr.fileno(), False)
        GLib.io_add_watch(self.process.stderr.fileno(), GLib.PRIORITY_DEFAULT, GLib.IO_IN | GLib.IO_HUP, self._on_log)
        self.status = None
        GLib.child_watch_add(GLib.PRIORITY_DEFAULT, self.process.pid, self._on_exit)

    def _on_log(self, fd, _condition):
        while chunk := self._read(fd):
            self.log += chunk
        return chunk is None

    @staticmethod
    def _read(fd):
        """None: nothing now."""
        try:
            return os.read(fd, 1 << 16)
        except BlockingIOError:
            return None

    def _on_exit(self, _pid, status):
        self._on_log(self.process.stderr.fileno(), None)
        self.status = os.waitstatus_to_exitcode(status)
        self.process.returncode = self.status

    def wait(self, timeout=TIMEOUT_SEC):
        try:
            wait_for(lambda: self.status is not None, "the worker's end", timeout)
        except AssertionError:
            self.process.kill()
            print(self.stderr)
            raise
        return self.status

    def kill(self, number=signal.SIGKILL):
        os.kill(self.process.pid, number)

    @property
    def stderr(self):
        return self.log.decode(errors="replace")


class Bench:
    """One connector with its daemon, folder and runs."""

    def __init__(self, bus, folder, connector="bank"):
        self.bus = bus
        self.folder = folder
        self.connector = connector
        self.state = folder / "state"
        self.state.mkdir()
        self.daemon = FakeDaemon(bus, connector)

    def settings(self, pull, *transforms, destination=(("Type", "sqlite"),), pipeline=(), run=()):
        self.daemon.settings = [("Pipeline", "ExecPull", pull), *(("Pipeline", "ExecTransform", t) for t in transforms),
                                *(("Pipeline", *p) for p in pipeline), *(("Run", *p) for p in run),
                                *(("Destination", *d) for d in destination)]

    def script(self, text, name="pull.py"):
        """A program; its command line."""
        path = self.folder / name
        path.write_text(text)
        path.chmod(0o755)
        return str(path)

    def python(self, text, name="pull.py"):
        prelude = ("#!/usr/bin/python3\nimport json, os, signal, sys, time\n"
                   "def say(**m): print(json.dumps(m), flush=True)\n"
                   "def log(t): print(t, file=sys.stderr, flush=True)\n")
        return self.script(prelude + text, name)

    def lines(self, lines, name="lines"):
        """A connector that prints just this: a list of messages (objects, or text or bytes as they are), or bytes."""
        if not isinstance(lines, bytes):
            lines = b"".join((line if isinstance(line, bytes) else line.encode() if isinstance(line, str) else
                              json.dumps(line, ensure_ascii=False).encode()) + b"\n" for line in lines)
        path = self.folder / name
        path.write_bytes(lines)
        return f"/bin/cat {path}"

    def start(self, *arguments, **kwargs):
        return Run(self, arguments, **kwargs)

    def run(self, *arguments, **kwargs):
        """One run of a worker, from Attach to Finish."""
        run = self.start(*arguments, **kwargs)
        assert run.wait() == 0, run.stderr
        return run

    def next_run(self, number, keep_cursor=True):
        """The daemon has a new run."""
        self.daemon.run_id = RUN_ID[:-4] + f"{number:04d}"
        self.daemon.sequence = 0
        self.daemon.calls.clear()
        if not keep_cursor:
            self.daemon.cursor = ""

    def pull(self, lines, **kwargs):
        """Settings for the lines, and one run; how it ended."""
        self.settings(self.lines(lines), **kwargs)
        self.last = self.run()
        return self.daemon.end

    def items(self, sql="SELECT stream, key, json FROM items ORDER BY stream, key"):
        with sqlite3.connect(f"file:{self.state}/items.db?mode=ro", uri=True) as database:
            return database.execute(sql).fetchall()

    def close(self):
        self.daemon.vanish()


def record(key, stream="tx", **fields):
    message = {"type": "RECORD", "stream": stream, "record": {"id": key, **fields}}
    return message


def schema(stream="tx", keys=("id",)):
    return {"type": "SCHEMA", "stream": stream, "schema": {}, "key_properties": list(keys)}


def state(value):
    return {"type": "STATE", "value": value}


def counts(report):
    return tuple(report[name] for name in ("discovered", "added", "updated", "deduped"))
