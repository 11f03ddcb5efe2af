# SPDX-License-Identifier: LGPL-2.1-or-later
"""A private syncrun: a bus, a daemon, an HTTP server and their files in one folder, gone when it is closed. Needs no root."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

READY_TIMEOUT_SEC = 20
STOP_TIMEOUT_SEC = 20

BUS_CONFIG = """\
<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-BUS Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>session</type>
  <listen>unix:path={folder}/bus</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow send_destination="*"/>
    <allow receive_sender="*"/>
    <allow own="*"/>
  </policy>
</busconfig>
"""


# What systemd does for a service with a socket: the socket is descriptor 3, and two variables say so.
ACTIVATE = """\
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="1")
os.execv(sys.argv[2], sys.argv[2:])
"""


class InstanceError(Exception):
    """The private instance did not come up; the text says which part and what it printed."""


class Instance:
    def __init__(self, build):
        self._temporary = tempfile.TemporaryDirectory(prefix="syncrun-demo-")
        self.folder = Path(self._temporary.name)
        self.connectors = self.folder / "etc" / "connectors"
        self.state = self.folder / "state"
        self.log = self.folder / "log"
        self._build = Path(build).resolve()
        self._processes = []
        self.connectors.mkdir(parents=True)
        self.state.mkdir()
        (self.folder / "etc" / "syncrun.conf").write_text(
            f"[Daemon]\nLauncher=child\nStateDirectory={self.state}\n"
            "[Webhooks]\nAllowHTTP=yes\nAllowAddressLiterals=yes\nAllowPrivateAddresses=localhost\n")
        self.environment = {
            **{name: value for name, value in os.environ.items() if name != "STATE_DIRECTORY"},
            "SYNCRUN_BUS_ADDRESS": f"unix:path={self.folder}/bus",
            "SYNCRUN_CONFIG_DIRS": str(self.folder / "etc"),
            "SYNCRUN_WORKER": self.program("syncrun-worker"),
            "SYNCRUN_LOG_TARGET": "console",
            "SYNCRUN_WEB_DIR": str(Path(__file__).resolve().parent.parent / "web"),
        }

    def __enter__(self):
        try:
            self._start_bus()
            self._start_daemon()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_):
        self.close()

    def program(self, name):
        room = {"syncrund": "daemon", "syncrunctl": "ctl", "syncrun-worker": "worker", "syncrun-http": "http"}[name]
        return str(self._build / "src" / room / name)

    def _start(self, command, **options):
        """A process in a group of its own, so that what it starts ends with it."""
        try:
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True, **options)
        except FileNotFoundError as error:
            raise InstanceError(f"{error.filename} is not there; `make deps build` brings it") from error
        self._processes.append(process)
        return process

    def _start_bus(self):
        config = self.folder / "bus.conf"
        config.write_text(BUS_CONFIG.format(folder=self.folder))
        command = ["dbus-daemon", "--nofork", "--nopidfile", "--print-address=1", f"--config-file={config}"]
        with open(self.log, "ab") as log:
            bus = self._start(command, stdout=subprocess.PIPE, stderr=log)
        if not bus.stdout.readline():
            raise InstanceError(f"dbus-daemon does not start:\n{self.log.read_text(errors='replace')}")

    def _start_daemon(self):
        self._start_service("syncrund", [self.program("syncrund")])

    def start_http(self):
        """The HTTP server on a port that is free; its URL."""
        (self.folder / "etc" / "syncrun-http.conf").write_text("[Server]\nIdleExitSec=infinity\n")
        runtime = self.folder / "run"
        runtime.mkdir(mode=0o700)
        with socket.create_server(("127.0.0.1", 0)) as listener:
            command = [sys.executable, "-c", ACTIVATE, str(listener.fileno()), self.program("syncrun-http")]
            self._start_service("syncrun-http", command, {"RUNTIME_DIRECTORY": str(runtime)}, pass_fds=[listener.fileno()])
            return f"http://127.0.0.1:{listener.getsockname()[1]}"

    def _start_service(self, name, command, environment=None, **options):
        """Ready is what the program says it is, over the notify socket, as systemd would hear it."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify, open(self.log, "ab") as log:
            path = self.folder / f"notify-{name}"
            notify.bind(str(path))
            notify.settimeout(READY_TIMEOUT_SEC)
            service = self._start(command, stdout=log, stderr=log, **options,
                                  env={**self.environment, **(environment or {}), "NOTIFY_SOCKET": str(path)})
            try:
                while b"READY=1" not in notify.recv(4096).split(b"\n"):
                    pass
            except TimeoutError:
                state = "does not get ready" if service.poll() is None else f"ended with status {service.returncode}"
                raise InstanceError(f"{name} {state}:\n{self.log.read_text(errors='replace')}") from None

    def close(self):
        for process in reversed(self._processes):
            process.terminate()
            try:
                process.wait(STOP_TIMEOUT_SEC)
            except subprocess.TimeoutExpired:
                pass
            try:
                os.killpg(process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            process.wait()
            if process.stdout:
                process.stdout.close()
        self._processes.clear()
        self._temporary.cleanup()
