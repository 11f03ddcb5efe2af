# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the bus tests share: a private bus, a client of it, the real daemon, and a worker whose every call the test makes.

Nothing here sleeps: readiness and progress come by the notify socket, by signals of the bus, by sockets and by the ends of
processes. Sockets live in a short folder of their own, because their paths are limited to 108 bytes.
"""

import json
import os
import queue
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import textwrap
import threading
from contextlib import contextmanager
from pathlib import Path

from gi.repository import Gio, GLib

TIMEOUT_SEC = 120  # guards against hanging alone
TICK_MSEC = 50
HERE = Path(__file__).resolve().parent

NAME = "org.syncrun1"
PATH = "/org/syncrun1"
MANAGER = "org.syncrun1.Manager"
CONNECTOR = "org.syncrun1.Connector"
RUN = "org.syncrun1.Run"
CONNECTION = "org.syncrun1.Connection"
WORKER = "org.syncrun1.Worker"
PROPERTIES = "org.freedesktop.DBus.Properties"
ERROR = "org.syncrun1.Error."

BUS_CONFIG = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-BUS Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>system</type>
  <listen>unix:path={folder}/bus</listen>
  {limits}
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow user="*"/>
    <allow own="*"/>
    <allow send_destination="*"/>
    <allow receive_sender="*"/>
    <allow receive_type="signal"/>
  </policy>
</busconfig>
"""


class CallError(Exception):
    """A D-Bus error: its name without the prefix that all of ours have, and its words."""

    def __init__(self, name, message):
        super().__init__(f"{name}: {message}")
        self.full_name = name
        self.name = name.removeprefix(ERROR)
        self.message = message


def wait_for(condition, what, timeout=TIMEOUT_SEC):
    """Run the loop until the condition is true; its value. It is looked at after each message that comes in and, since files
    and other threads send none, now and then."""
    context = GLib.MainContext.default()
    expired = []
    source = GLib.timeout_add(int(timeout * 1000), expired.append, True)
    tick = GLib.timeout_add(TICK_MSEC, lambda: True)
    try:
        while not (value := condition()):
            if expired:
                raise AssertionError(f"waited in vain for {what}")
            context.iteration(True)
        return value
    finally:
        GLib.source_remove(tick)
        if not expired:
            GLib.source_remove(source)


@contextmanager
def frozen(process):
    """A child does nothing meanwhile."""
    process.send_signal(signal.SIGSTOP)
    os.waitid(os.P_PID, process.pid, os.WSTOPPED)
    try:
        yield
    finally:
        process.send_signal(signal.SIGCONT)


def variant(value):
    """Python's value as what a{sv} would carry: True b, 1 t, 1.5 d, "x" s, ["x"] as."""
    if isinstance(value, GLib.Variant):
        return value
    if isinstance(value, bool):
        return GLib.Variant("b", value)
    if isinstance(value, int):
        return GLib.Variant("t", value)
    if isinstance(value, float):
        return GLib.Variant("d", value)
    if isinstance(value, list):
        return GLib.Variant("as", value)
    return GLib.Variant("s", value)


def options(**values):
    return {key: variant(value) for key, value in values.items()}


class Client:
    """A connection to the private bus."""

    def __init__(self, address):
        self.bus = Gio.DBusConnection.new_for_address_sync(
            address,
            Gio.DBusConnectionFlags.AUTHENTICATION_CLIENT | Gio.DBusConnectionFlags.MESSAGE_BUS_CONNECTION,
            None, None)
        self.bus.set_exit_on_close(False)
        # Each signal of the daemon's wakes the loop, so that wait_for() looks again at what it waits for.
        self.bus.signal_subscribe(NAME, None, None, None, None, Gio.DBusSignalFlags.NONE, lambda *_: None)

    def close(self):
        if not self.bus.is_closed():
            self.bus.close_sync()

    def start_call(self, path, interface, method, signature="()", *args, destination=NAME,
                   flags=Gio.DBusCallFlags.NONE):
        """A call under way: a list that gets its answer, or its CallError."""
        answers = []

        def done(bus, result):
            try:
                answers.append(bus.call_finish(result).unpack())
            except GLib.Error as error:
                if not Gio.DBusError.is_remote_error(error):
                    raise
                name = Gio.DBusError.get_remote_error(error)
                Gio.DBusError.strip_remote_error(error)
                answers.append(CallError(name, error.message))

        self.bus.call(destination, path, interface, method, GLib.Variant(signature, args), None, flags,
                      TIMEOUT_SEC * 1000, None, done)
        return answers

    def call(self, path, interface, method, signature="()", *args, **kwargs):
        """The answer: nothing, the one value, or a tuple of them."""
        answers = self.start_call(path, interface, method, signature, *args, **kwargs)
        wait_for(lambda: answers, f"the answer to {method}()")
        if isinstance(answers[0], CallError):
            raise answers[0]
        return answers[0][0] if len(answers[0]) == 1 else answers[0] or None

    def manager(self, method, signature="()", *args, **kwargs):
        return self.call(PATH, MANAGER, method, signature, *args, **kwargs)

    def get(self, path, interface, name):
        return self.call(path, PROPERTIES, "Get", "(ss)", interface, name)

    def get_all(self, path, interface):
        return self.call(path, PROPERTIES, "GetAll", "(s)", interface)

    def set(self, path, interface, name, value):
        self.call(path, PROPERTIES, "Set", "(ssv)", interface, name, variant(value))

    def describe(self, method, **values):
        return json.loads(self.manager(method, "(a{sv})", options(**values)))

    def start(self, connector, **values):
        return self.manager("StartRun", "(sa{sv})", connector, options(**values))

    def signals(self, interface=None, member=None, path=None, sender=NAME):
        """A list that grows by (path, member, arguments) of each signal that matches."""
        seen = []

        def on_signal(_bus, _sender, object_path, _interface, name, parameters):
            seen.append((object_path, name, parameters.unpack()))

        self.bus.signal_subscribe(sender, interface, member, path, None, Gio.DBusSignalFlags.NONE, on_signal)
        # The bus answers this after it has taken the match.
        self.call("/org/freedesktop/DBus", "org.freedesktop.DBus", "GetId", destination="org.freedesktop.DBus")
        return seen

    def property_changes(self, path, interface):
        """A list that grows by the dictionary of each PropertiesChanged of an object."""
        changes = []

        def on_signal(_bus, _sender, _path, _interface, _name, parameters):
            changed_interface, changed, _ = parameters.unpack()
            if changed_interface == interface:
                changes.append(changed)

        self.bus.signal_subscribe(NAME, PROPERTIES, "PropertiesChanged", path, None, Gio.DBusSignalFlags.NONE, on_signal)
        self.call("/org/freedesktop/DBus", "org.freedesktop.DBus", "GetId", destination="org.freedesktop.DBus")
        return changes

    def names(self):
        return self.call("/org/freedesktop/DBus", "org.freedesktop.DBus", "ListNames",
                         destination="org.freedesktop.DBus")

    def bus_call(self, method, signature="()", *args):
        """A call of the bus's own."""
        return self.call("/org/freedesktop/DBus", "org.freedesktop.DBus", method, signature, *args,
                         destination="org.freedesktop.DBus")

    def forge(self, process, path, signal, signature, *args):
        """A signal sent by name to all connections of a process, which gets it before what anybody sends from now on."""
        interface, member = signal.rsplit(".", 1)
        sent = []
        for name in self.names():
            try:
                if name.startswith(":") and self.bus_call("GetConnectionUnixProcessID", "(s)", name) == process.pid:
                    sent.append(self.bus.emit_signal(name, path, interface, member, GLib.Variant(signature, args)))
            except CallError:  # it has just left
                pass
        assert sent, "it is not on the bus"
        self.bus_call("GetId")

    def wait_name(self, name):
        """Until somebody has the name."""
        owners = []
        watch = Gio.bus_watch_name_on_connection(self.bus, name, Gio.BusNameWatcherFlags.NONE,
                                                 lambda *_: owners.append(True), None)
        wait_for(lambda: owners, name)
        Gio.bus_unwatch_name(watch)


class PrivateBus:
    def __init__(self, limits=""):
        self.folder = Path(tempfile.mkdtemp(prefix="syncrun-bus-", dir="/tmp"))
        self.folder.chmod(0o755)
        self.config = self.folder / "bus.conf"
        self.config.write_text(BUS_CONFIG.format(folder=self.folder, limits=limits))
        self.start()

    def start(self):
        """Also once more, after process was killed."""
        self.process = subprocess.Popen(
            ["dbus-daemon", "--nofork", "--nopidfile", "--print-address=1", f"--config-file={self.config}"],
            stdout=subprocess.PIPE, text=True)
        # Without its number, which is another each time.
        self.address = self.process.stdout.readline().strip().split(",")[0]
        assert self.address, "dbus-daemon does not start"

    def close(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()
        shutil.rmtree(self.folder)


class Worker:
    """The test's end of a worker process (fake_worker.py), which makes the calls that the test asks for."""

    def __init__(self, connection):
        self.connection = connection
        self.stream = connection.makefile("rw")
        hello = json.loads(self.stream.readline())
        self.name, self.pid = hello["name"], hello["pid"]
        self.run = None

    def send(self, connector=None, **request):
        self.stream.write(json.dumps({"connector": connector or self.name, **request}) + "\n")
        self.stream.flush()

    def receive(self):
        answer = json.loads(self.stream.readline())
        if "error" in answer:
            raise CallError(answer["error"], answer["message"])
        return answer["value"]

    def call(self, method, signature="()", *args, connector=None):
        self.send(connector, method=method, signature=signature, args=args)
        return self.receive()

    def attach(self):
        """run id, sequence, full resync, settings, cursor, options"""
        answer = self.call("Attach")
        self.run = answer[0]
        return answer

    def report(self, sequence, **values):
        self.call("Report", "(sts)", self.run, sequence, json.dumps(values))

    def save_cursor(self, sequence, cursor):
        self.call("SaveCursor", "(sts)", self.run, sequence, cursor)

    def finish(self, sequence, **values):
        self.call("Finish", "(sts)", self.run, sequence, json.dumps(values))

    def linger(self):
        """It does not end when it is asked to, but by exit()."""
        self.send(lingers=True)
        self.receive()

    def exit(self, status=0, says=None):
        self.stream.write(json.dumps({"exit": status, "says": says}) + "\n")
        self.stream.flush()
        self.stream.close()
        self.connection.close()


class Config:
    """A folder with syncrun.conf and connectors."""

    def __init__(self, folder):
        self.config = folder
        self.connectors = folder / "connectors"
        self.connectors.mkdir(parents=True, exist_ok=True)

    def add(self, name, text="", **connector):
        """A connector file: `connector` are keys of [Connector], `text` is what comes after."""
        lines = "".join(f"{key}={value}\n" for key, value in {"Provider": "test", **connector}.items())
        text = textwrap.dedent(text) or "[Pipeline]\nExecPull=/bin/true\n"
        self.write(f"connectors/{name}.connector", f"[Connector]\n{lines}{text}")

    def write(self, path, text):
        """Whole at once, as editors do it."""
        path = self.config / path
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.tmp")
        temporary.write_text(text)
        temporary.rename(path)


class Daemon(Config):
    """syncrund on the private bus, with folders of its own and workers that the test plays."""

    def __init__(self, bus, folder, worker=None):
        self.address = bus.address
        self.sockets = Path(tempfile.mkdtemp(prefix="d-", dir=bus.folder))
        super().__init__(folder / "config")
        self.state = folder / "state"
        self.log_path = folder / "syncrund.log"
        self.state.mkdir(exist_ok=True)
        self.program = os.environ["SYNCRUND"]
        self.process = None
        self.notifications = queue.Queue()
        self.notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.notify.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        self.notify.bind(str(self.sockets / "notify"))
        # Somebody has to listen all the time, as systemd does: sd_notify() waits where the socket is full.
        self.listener = threading.Thread(target=self.listen, daemon=True)
        self.listener.start()
        self.control = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.control.bind(str(self.sockets / "control"))
        self.control.listen()
        self.control.settimeout(TIMEOUT_SEC)
        self.environment = {
            **os.environ,
            "SYNCRUN_BUS_ADDRESS": bus.address,
            "SYNCRUN_CONFIG_DIRS": str(self.config),
            "SYNCRUN_LOG_LEVEL": "debug",
            "SYNCRUN_LOG_TARGET": "console",
            "STATE_DIRECTORY": str(self.state),
            "NOTIFY_SOCKET": str(self.sockets / "notify"),
            "SYNCRUN_WORKER": worker or str(HERE / "fake_worker.py"),
            "SYNCRUN_TEST_CONTROL": str(self.sockets / "control"),
        }

    # ---- life

    def spawn(self, *arguments, **environment):
        log = open(self.log_path, "ab")
        with log:
            self.process = subprocess.Popen([self.program, *arguments], stdin=subprocess.DEVNULL, stdout=log,
                                            stderr=log, env={**self.environment, **environment})

    def start(self, *arguments, **environment):
        self.spawn(*arguments, **environment)
        self.wait_notification(lambda message: "READY=1" in message)
        return self

    def listen(self):
        while True:
            message, ((_, _, credentials),), _, _ = self.notify.recvmsg(4096, socket.CMSG_SPACE(12))
            if not message:
                return
            pid, _, _ = struct.unpack("3i", credentials)
            self.notifications.put((pid, message.decode().split("\n")))

    def wait_notification(self, wanted):
        """The next message to the notify socket that is wanted, as its lines. What a predecessor has left unread, as that a
        reload is done, is none of this process."""
        while True:
            try:
                pid, message = self.notifications.get(timeout=TIMEOUT_SEC)
            except queue.Empty:
                state = self.process.poll()
                raise AssertionError(f"no such notification; exit status {state}\n{self.log()}") from None
            if pid == self.process.pid and wanted(message):
                return message

    def wait_status(self, text):
        return self.wait_notification(lambda message: f"STATUS={text}" in message)

    def stop(self):
        self.process.terminate()
        return self.process.wait(TIMEOUT_SEC)

    def kill9(self):
        self.process.kill()
        self.process.wait(TIMEOUT_SEC)

    def close_process(self):
        """Whatever state it is in."""
        if self.process and self.process.poll() is None:
            self.kill9()
        self.process = None

    def restart(self):
        assert self.stop() == 0, self.log()
        return self.start()

    def log(self):
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def worker(self):
        """The next worker that has been started."""
        connection, _ = self.control.accept()
        connection.settimeout(TIMEOUT_SEC)
        return Worker(connection)

    def no_worker(self):
        """Whether none has been started; to be asked after something that comes later has been seen."""
        self.control.setblocking(False)
        try:
            self.control.accept()
        except BlockingIOError:
            return True
        finally:
            self.control.settimeout(TIMEOUT_SEC)
        return False

    def close(self):
        status = 0
        if self.process and self.process.poll() is None:
            self.process.terminate()
            try:
                status = self.process.wait(TIMEOUT_SEC)
            except subprocess.TimeoutExpired:
                self.process.kill()
                status = self.process.wait()
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as end:
            end.sendto(b"", str(self.sockets / "notify"))
        self.listener.join()
        self.notify.close()
        self.control.close()
        # A sanitizer that has found something says so at the end.
        assert status == 0, self.log()


class Question:
    def __init__(self, arguments, invocation):
        self.arguments = arguments
        self.sender = arguments[0][1]["name"]
        self.cancellation = arguments[4]
        self.invocation = invocation

    def answer(self, authorized, challenge=False):
        self.invocation.return_value(GLib.Variant("((bba{ss}))", ((authorized, challenge, {}),)))


class SlowPolkit:
    """polkit whose every answer the test gives."""

    XML = """<node><interface name="org.freedesktop.PolicyKit1.Authority"><method name="CheckAuthorization">
        <arg type="(sa{sv})" direction="in"/><arg type="s" direction="in"/><arg type="a{ss}" direction="in"/>
        <arg type="u" direction="in"/><arg type="s" direction="in"/><arg type="(bba{ss})" direction="out"/>
        </method><method name="CancelCheckAuthorization"><arg type="s" direction="in"/></method></interface></node>"""

    def __init__(self, address):
        self.questions = []
        self.taken_back = []  # cancellation ids
        self.client = Client(address)
        interface = Gio.DBusNodeInfo.new_for_xml(self.XML).interfaces[0]
        self.client.bus.register_object("/org/freedesktop/PolicyKit1/Authority", interface, self.on_call, None, None)
        self.client.call("/org/freedesktop/DBus", "org.freedesktop.DBus", "RequestName", "(su)",
                         "org.freedesktop.PolicyKit1", 0, destination="org.freedesktop.DBus")

    def on_call(self, _bus, _sender, _path, _interface, method, parameters, invocation):
        if method == "CancelCheckAuthorization":
            self.taken_back += parameters.unpack()
            invocation.return_value(None)
        else:
            self.questions.append(Question(parameters.unpack(), invocation))

    def wait_question(self):
        wait_for(lambda: self.questions, "a question to polkit")
        return self.questions.pop(0)

    def close(self):
        self.client.close()


class FakeSystemd:
    """PID 1 as the daemon asks it for the uid of the HTTP shim's unit: one that is set, or (hold) answers by the test."""

    PATH = "/org/freedesktop/systemd1/unit/syncrun_2dhttp_2eservice"
    XML = """<node><interface name="org.freedesktop.DBus.Properties"><method name="Get">
        <arg type="s" direction="in"/><arg type="s" direction="in"/><arg type="v" direction="out"/>
        </method></interface></node>"""
    NO_UID = 0xffffffff

    def __init__(self, address):
        self.uid = self.NO_UID
        self.hold = False
        self.n_questions = 0
        self.held = []
        self.client = Client(address)
        interface = Gio.DBusNodeInfo.new_for_xml(self.XML).interfaces[0]
        self.client.bus.register_object(self.PATH, interface, self.on_call, None, None)
        self.client.call("/org/freedesktop/DBus", "org.freedesktop.DBus", "RequestName", "(su)",
                         "org.freedesktop.systemd1", 0, destination="org.freedesktop.DBus")

    def on_call(self, _bus, _sender, _path, _interface, _method, parameters, invocation):
        assert parameters.unpack() == ("org.freedesktop.systemd1.Service", "UID")
        self.n_questions += 1
        self.held.append(invocation)
        if not self.hold:
            self.answer()

    def answer(self):
        for invocation in self.held:
            if self.uid is None:
                invocation.return_dbus_error("org.freedesktop.DBus.Error.Failed", "no")
            else:
                invocation.return_value(GLib.Variant("(v)", (GLib.Variant("u", self.uid),)))
        self.held = []

    def close(self):
        self.client.close()


def path_of(kind, name):
    """sd_bus_path_encode(): letters and digits stand for themselves, but no digit begins."""
    label = "".join(c if c.isascii() and c.isalnum() and not (i == 0 and c.isdigit()) else f"_{ord(c):02x}"
                    for i, c in enumerate(name))
    return f"{PATH}/{kind}/{label or '_'}"


def connector_path(name):
    return path_of("connector", name)


def run_path(run_id):
    return path_of("run", run_id)
