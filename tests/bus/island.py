# SPDX-License-Identifier: LGPL-2.1-or-later
"""A network of the test's own: a loopback that has whatever addresses it is given, and a name server that says what the
test wants. Nothing in it reaches the world, and the world is the same. Needs root."""

import ctypes
import os
import socket
import struct
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor

CLONE_NEWNET = 0x40000000
TYPE_A, TYPE_AAAA = 1, 28


class NameServer:
    """`names` says for each name what its addresses are: a list, or (None) nothing at all, not even an answer; or a tuple of
    lists, one for each time that it is asked, of which the last one stays."""

    def __init__(self):
        self.names = {}
        self.questions = []
        self.turns = {}
        self.asked = threading.Condition()
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 53))
        self.closing = False
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def serve(self):
        while True:
            question, sender = self.socket.recvfrom(4096)
            if self.closing:
                return
            if answer := self.answer(question):
                self.socket.sendto(answer, sender)

    def answer(self, question):
        labels, at = [], 12
        while question[at]:
            labels.append(question[at + 1:at + 1 + question[at]].decode())
            at += 1 + question[at]
        end = at + 5
        kind, = struct.unpack(">H", question[at + 1:at + 3])
        name = ".".join(labels).lower()
        with self.asked:
            self.questions.append(name)
            self.asked.notify_all()
        addresses = self.names.get(name, [])
        if addresses is None:
            return None
        if isinstance(addresses, tuple):
            asked = self.turns.setdefault((name, kind), 0)
            self.turns[name, kind] += 1
            addresses = addresses[min(asked, len(addresses) - 1)]
        records = [self.record(kind, address) for address in addresses if (":" in address) == (kind == TYPE_AAAA)]
        if kind not in (TYPE_A, TYPE_AAAA):
            records = []
        head = question[:2] + struct.pack(">HHHHH", 0x8180, 1, len(records), 0, 0)
        return head + question[12:end] + b"".join(records)

    @staticmethod
    def record(kind, address):
        data = socket.inet_pton(socket.AF_INET6 if kind == TYPE_AAAA else socket.AF_INET, address)
        return struct.pack(">HHHIH", 0xc00c, kind, 1, 0, len(data)) + data

    def wait_question(self, name):
        with self.asked:
            assert self.asked.wait_for(lambda: name in self.questions, 120), name

    def close(self):
        self.closing = True
        # Not by close(): a thread that waits in recvfrom() would not hear of it.
        self.socket.sendto(b"", self.socket.getsockname())
        self.thread.join()
        self.socket.close()


class Island:
    """`certificates`: a folder that stands for /etc/ssl/certs, where the system's authorities are."""

    def __init__(self, folder, addresses, certificates):
        # Namespaces are a thread's own: this one stays there and makes the sockets.
        self.executor = ThreadPoolExecutor(1)
        self.run(self.settle, addresses)
        self.server = self.run(NameServer)
        (folder / "resolv.conf").write_text("nameserver 127.0.0.1\noptions timeout:30 attempts:5\n")
        (folder / "nsswitch.conf").write_text("hosts: files dns\n")
        self.program = folder / "syncrund-on-the-island"
        self.program.write_text(f"""#!/bin/sh
exec nsenter --net=/proc/{os.getpid()}/fd/{self.network} unshare --mount sh -c '
mount --bind {folder}/resolv.conf /etc/resolv.conf &&
mount --bind {folder}/nsswitch.conf /etc/nsswitch.conf &&
mount --bind {certificates} /etc/ssl/certs &&
exec "$0" "$@"' {os.environ["SYNCRUND"]} "$@"
""")
        self.program.chmod(0o755)

    def settle(self, addresses):
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.unshare(CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), "unshare")
        self.network = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        for address in addresses:
            subprocess.run(["ip", "address", "add", f"{address}/32", "dev", "lo"], check=True)

    def run(self, function, *args, **kwargs):
        """On the island."""
        return self.executor.submit(function, *args, **kwargs).result()

    def close(self):
        self.run(self.server.close)
        self.executor.shutdown()
        os.close(self.network)
