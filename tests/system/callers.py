#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Clients of the system bus that ask for more than is decent; run by tests in their machine, as any user.

callers.py flood|flood-anew CONNECTIONS CALLS CONNECTOR...: on each connection so many calls of StartRun() are under way at all
times; anew: it makes so many calls and gives way to a fresh one, whom nobody knows yet.
callers.py ask MSEC daemon|bus: one call that reads a property, so long after the answer to the one before.

Both say "ready" once all connections have had an answer, go on until their stdin is closed, wait for the answers that are out, and
print what they were: how many of each kind; how long one waited, in ms: p50, p99, longest. Messages are laid out here:
a library would take longer for each than the daemon does.
"""

import json
import os
import re
import select
import socket
import struct
import sys
import time
from collections import Counter

BUS = "/run/dbus/system_bus_socket"
DRIVER = ("org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus")
MANAGER = ("org.syncrun1", "/org/syncrun1", "org.syncrun1.Manager")
SERIAL = struct.Struct("<I")
HEAD = struct.Struct("<cBBBIII")
RETURN, ERROR = 2, 3


def say(text):
    print(text, flush=True)


def padded(data, n):
    return data + bytes(-len(data) % n)


def string(text):
    return struct.pack("<I", len(text)) + text.encode() + b"\0"


def message(destination, path, interface, member, signature="", body=b""):
    """A method call; its serial is set as it is sent."""
    fields = b""
    for code, kind, text in ((1, "o", path), (2, "s", interface), (3, "s", member), (6, "s", destination)):
        fields = padded(fields, 8) + bytes((code, 1)) + kind.encode() + b"\0" + string(text)
    if signature:
        fields = padded(fields, 8) + b"\x08\x01g\0" + bytes((len(signature),)) + signature.encode() + b"\0"
    return bytearray(HEAD.pack(b"l", 1, 0, 1, len(body), 1, len(fields)) + padded(fields, 8) + body)


def start_run(connector):
    """Without options: an empty a{sv} is its length, and the gap before its first entry."""
    name = padded(string(connector), 4) + SERIAL.pack(0)
    return message(*MANAGER, "StartRun", "sa{sv}", padded(name, 8))


class Connection:
    def __init__(self):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(BUS)
        self.socket.sendall(b"\0AUTH EXTERNAL " + str(os.geteuid()).encode().hex().encode() + b"\r\n")
        assert self.socket.recv(4096).startswith(b"OK"), "the bus does not let us in"
        self.socket.sendall(b"BEGIN\r\n")
        self.serial, self.data = 0, b""
        self.send(message(*DRIVER, "Hello"))
        while not any(kind == RETURN for kind, _ in self.receive()):
            pass

    def fileno(self):
        return self.socket.fileno()

    def send(self, call):
        self.serial += 1
        SERIAL.pack_into(call, 8, self.serial)
        self.socket.sendall(call)

    def receive(self):
        """(type, name of the error) of each answer that has come, at least one message; waits for it."""
        answers = []
        data = self.socket.recv(1 << 16)
        assert data, "the bus has hung up"
        self.data += data
        while len(self.data) >= HEAD.size:
            _, kind, _, _, n_body, _, n_fields = HEAD.unpack_from(self.data)
            end = HEAD.size + n_fields + -n_fields % 8 + n_body
            if len(self.data) < end:
                break
            if kind in (RETURN, ERROR):
                name = re.search(rb"\x04\x01s\0....([\w.]+)\0", self.data[:end], re.S)
                answers.append((kind, name[1].decode() if kind == ERROR else None))
            self.data = self.data[end:]
        return answers


class Flood:
    def __init__(self, anew, n_connections, n_calls, *connectors):
        self.calls = [start_run(name) for name in connectors]
        self.anew, self.n_calls = anew, int(n_calls)
        self.n_sent, self.counts, self.under_way = 0, Counter(), {}
        for _ in range(int(n_connections)):
            self.connect()

    def connect(self):
        connection = Connection()
        self.under_way[connection] = 0
        for _ in range(self.n_calls):
            self.send(connection)

    def send(self, connection):
        connection.send(self.calls[self.n_sent % len(self.calls)])
        self.n_sent += 1
        self.under_way[connection] += 1

    def take(self, connection, again):
        answers = connection.receive()
        for _, error in answers:
            self.counts[error or "done"] += 1
            self.under_way[connection] -= 1
            if again and not self.anew:
                self.send(connection)
        if again and not self.under_way[connection]:
            del self.under_way[connection]
            connection.socket.close()
            self.connect()
        return answers

    def run(self):
        silent, goes_on = set(self.under_way), True
        while goes_on or any(self.under_way.values()):
            readable, _, _ = select.select([*self.under_way, *([sys.stdin] if goes_on else [])], [], [])
            if sys.stdin in readable:
                goes_on = False
            for connection in self.under_way.keys() & set(readable):
                if self.take(connection, again=goes_on) and connection in silent:
                    silent.discard(connection)
                    if not silent:
                        say("ready")
        assert self.counts.total() == self.n_sent
        say(json.dumps(self.counts))


def ask(msec, whom):
    connection, waits = Connection(), []
    interface, name = {"daemon": (MANAGER[2], "NConnectors"), "bus": (DRIVER[2], "Features")}[whom]
    properties = {"daemon": MANAGER, "bus": DRIVER}[whom][:2] + ("org.freedesktop.DBus.Properties",)
    call = message(*properties, "Get", "ss", padded(string(interface), 4) + string(name))
    while not select.select([sys.stdin], [], [], float(msec) / 1000)[0]:
        begin = time.monotonic()
        connection.send(call)
        while not (answers := connection.receive()):
            pass
        waits.append(1000 * (time.monotonic() - begin))
        assert answers == [(RETURN, None)], answers
        if len(waits) == 1:
            say("ready")
    waits.sort()
    picked = {"p50": waits[len(waits) // 2], "p99": waits[len(waits) * 99 // 100], "longest": waits[-1]}
    say(json.dumps({"calls": len(waits), **{name: round(wait, 2) for name, wait in picked.items()}}))


if __name__ == "__main__":
    what, *words = sys.argv[1:]
    ask(*words) if what == "ask" else Flood(what == "flood-anew", *words).run()
