# SPDX-License-Identifier: LGPL-2.1-or-later
"""The command line, a daemon with real workers, and connectors that a test holds by the hand."""

import fcntl
import json
import os
import pty
import re
import select
import signal
import socket
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "bus"))

from harness import TIMEOUT_SEC, Client, Daemon, PrivateBus  # noqa: E402

# A connector that writes what it is told to over a socket, and ends as it is told to.
PUPPET = """#!/usr/bin/python3
import os, socket, sys
control = socket.socket(socket.AF_UNIX)
control.connect({path!r})
stream = control.makefile("rw")
print(os.environ["SYNCRUN_CONNECTOR"], os.environ["SYNCRUN_FULL_RESYNC"], file=stream, flush=True)
for line in stream:
    if line.startswith("exit "):
        sys.exit(int(line.split()[1]))
    sys.stdout.write(line)
    sys.stdout.flush()
"""

COLOURS = re.compile(r"\x1b\[[0-9;]*m")


class Puppet:
    """The test's end of one process of the connector `puppet`."""

    def __init__(self, connection):
        self.connection = connection
        self.stream = connection.makefile("rw")
        self.name, full = self.stream.readline().split()
        self.full_resync = full == "1"

    def worker(self):
        """The process that runs it."""
        pid, _, _ = struct.unpack("3i", self.connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
        return int(re.search(r"^PPid:\s+(\d+)$", Path(f"/proc/{pid}/status").read_text(), re.M)[1])

    def say(self, **message):
        self.stream.write(json.dumps(message) + "\n")
        self.stream.flush()

    def exit(self, status=0):
        self.stream.write(f"exit {status}\n")
        self.stream.flush()
        self.stream.close()
        self.connection.close()


class Screen:
    """A program on a pseudo-terminal, and what it has written there so far."""

    def __init__(self, words, environment, columns=100, rows=24):
        self.primary, secondary = pty.openpty()
        fcntl.ioctl(secondary, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self.process = subprocess.Popen(words, stdin=secondary, stdout=secondary, stderr=secondary, env=environment,
                                        start_new_session=True, preexec_fn=self.take_terminal)
        os.close(secondary)
        self.text = ""

    @staticmethod
    def take_terminal():
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)

    def read(self, deadline):
        """More text; False at the end."""
        ready, _, _ = select.select([self.primary], [], [], max(0, deadline - time.monotonic()))
        assert ready, f"nothing more came on the terminal:\n{self.text!r}"
        try:
            data = os.read(self.primary, 65536)
        except OSError:  # the other end is closed
            data = b""
        self.text += data.decode(errors="replace")
        return bool(data)

    def wait_for(self, pattern):
        """Until the terminal has shown it; the match."""
        deadline = time.monotonic() + TIMEOUT_SEC
        while not (match := re.search(pattern, self.text)):
            assert self.read(deadline), f"ended without {pattern!r}:\n{self.text!r}"
        return match

    def type(self, text):
        os.write(self.primary, text.encode())

    def wait(self):
        """Everything to the end; the exit status."""
        deadline = time.monotonic() + TIMEOUT_SEC
        while self.read(deadline):
            pass
        return self.process.wait(TIMEOUT_SEC)

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self.primary)


class Ctl:
    """syncrunctl as the daemon's user would call it."""

    def __init__(self, address, config):
        self.environment = {
            "PATH": os.environ["PATH"],
            "LANG": "C.UTF-8",
            "TZ": "UTC",
            "SYNCRUN_BUS_ADDRESS": address,
            "SYNCRUN_CONFIG_DIRS": str(config),
            "SYNCRUN_WORKER": os.environ["SYNCRUN_WORKER"],
            "SYSTEMD_BUS_TIMEOUT": f"{TIMEOUT_SEC}s",
            **{key: os.environ[key] for key in ("ASAN_OPTIONS", "UBSAN_OPTIONS") if key in os.environ},
        }
        self.screens = []
        self.processes = []

    def words(self, words):
        return [os.environ["SYNCRUNCTL"], *words]

    def run(self, *words, status=0, **environment):
        """Standard output; the exit status must be as expected, and standard error empty where it is 0."""
        result = subprocess.run(self.words(words), env={**self.environment, **environment}, capture_output=True,
                                text=True, timeout=TIMEOUT_SEC, stdin=subprocess.DEVNULL)
        assert result.returncode == status, (result.stdout, result.stderr)
        if status == 0:
            assert result.stderr == ""
        return result.stdout

    def both(self, *words, **environment):
        """Exit status, standard output, standard error."""
        result = subprocess.run(self.words(words), env={**self.environment, **environment}, capture_output=True,
                                text=True, timeout=TIMEOUT_SEC, stdin=subprocess.DEVNULL)
        return result.returncode, result.stdout, result.stderr

    def json(self, *words, **kwargs):
        return json.loads(self.run(*words, "--json=short", **kwargs))

    def lines(self, *words, **kwargs):
        return [json.loads(line) for line in self.run(*words, "--json=short", **kwargs).splitlines()]

    def rows(self, *words):
        """A table without its titles, as lists of its words."""
        return [line.split() for line in self.run(*words, "--no-legend").splitlines()]

    def begin(self, *words, **environment):
        """A process that is left alone, with its output in a pipe."""
        process = subprocess.Popen(self.words(words), env={**self.environment, **environment}, stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True)
        self.processes.append(process)
        return process

    def screen(self, *words, columns=100, rows=24, **environment):
        screen = Screen(self.words(words), {**self.environment, "TERM": "xterm-256color", **environment}, columns, rows)
        self.screens.append(screen)
        return screen

    def close(self):
        for process in self.processes:
            if process.poll() is None:
                process.send_signal(signal.SIGKILL)
            process.communicate()
        for screen in self.screens:
            screen.close()


def until(process, text):
    """The lines of a process up to one with the text."""
    lines = []
    while text not in (line := process.stdout.readline()):
        assert line, (lines, process.stderr.read())
        lines.append(line)
    return [*lines, line]


class World:
    """A private bus, the daemon on it, and connectors: `puppet` waits for the test's words, others are scripts."""

    def __init__(self, folder, limits=""):
        self.folder = folder
        self.bus = PrivateBus(limits)
        self.client = Client(self.bus.address)
        self.daemon = Daemon(self.bus, folder, worker=os.environ["SYNCRUN_WORKER"])
        self.ctl = Ctl(self.bus.address, self.daemon.config)
        self.control = socket.socket(socket.AF_UNIX)
        self.control.bind(str(self.bus.folder / "puppet"))
        self.control.listen()
        self.control.settimeout(TIMEOUT_SEC)

    def program(self, name, text):
        path = self.folder / name
        path.write_text(text)
        path.chmod(0o755)
        return path

    def puppet_connector(self, name, text="", **connector):
        path = self.program("puppet", PUPPET.format(path=str(self.bus.folder / "puppet")))
        self.daemon.add(name, f"{text}[Pipeline]\nExecPull={path}\n", **connector)

    def script(self, name, *lines, text="", **connector):
        """A connector of shell lines; a dictionary is a message."""
        body = "".join(f"cat <<'END'\n{json.dumps(line)}\nEND\n" if isinstance(line, dict) else f"{line}\n"
                       for line in lines)
        path = self.program(name, f"#!/bin/sh\n{body}")
        self.daemon.add(name, f"{text}[Pipeline]\nExecPull={path}\n", **connector)

    def puppet(self):
        """The next process of a puppet connector."""
        connection, _ = self.control.accept()
        connection.settimeout(TIMEOUT_SEC)
        return Puppet(connection)

    def start(self):
        self.daemon.start()
        return self

    def close(self):
        self.ctl.close()
        self.daemon.close()
        self.control.close()
        self.client.close()
        self.bus.close()


def record(stream, **record):
    return {"type": "RECORD", "stream": stream, "record": record}


def schema(stream, *keys):
    return {"type": "SCHEMA", "stream": stream, "schema": {}, "key_properties": list(keys)}


def plain(text):
    """Without colours."""
    return COLOURS.sub("", text)


@pytest.fixture
def world(tmp_path):
    instance = World(tmp_path)
    yield instance
    instance.close()


@pytest.fixture
def ctl(world):
    return world.ctl
