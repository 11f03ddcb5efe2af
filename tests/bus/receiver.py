# SPDX-License-Identifier: LGPL-2.1-or-later
"""A receiver of webhooks that does as it is told: what it is asked is kept, and how it answers is the test's to say."""

import base64
import hashlib
import hmac
import json
import socket
import ssl
import struct
import subprocess
import threading
from dataclasses import dataclass, field


@dataclass
class Request:
    path: str
    headers: dict
    body: bytes

    @property
    def id(self):
        return self.headers["webhook-id"]

    @property
    def timestamp(self):
        return int(self.headers["webhook-timestamp"])

    @property
    def message(self):
        return json.loads(self.body)

    def is_signed_by(self, secret):
        """As Standard Webhooks say it, not as we do it."""
        key = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
        content = b".".join([self.id.encode(), str(self.timestamp).encode(), self.body])
        expected = "v1," + base64.b64encode(hmac.new(key, content, hashlib.sha256).digest()).decode()
        return expected in self.headers["webhook-signature"].split(" ")


def answer(status=200, body=b"", **headers):
    """What an ordinary answer is made of; names of headers have _ for -."""
    lines = [f"HTTP/1.1 {status} x", f"Content-Length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    data = "\r\n".join(lines).encode() + b"\r\n\r\n" + body
    return lambda connection, closing: connection.sendall(data)


def hang(connection, closing):
    """Nothing, until the other end has enough of it."""
    connection.recv(1)


def reset(connection, closing):
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def drip(connection, closing):
    """An answer that never comes to its end."""
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
    while not closing.wait(0.02):
        connection.sendall(b"x")


def pour(connection, closing):
    """An answer that is larger than anybody wants."""
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")
    while True:
        connection.sendall(b"y" * 65536)


def pour_headers(connection, closing):
    connection.sendall(b"HTTP/1.1 200 OK\r\n")
    while True:
        connection.sendall(b"X-More: " + b"z" * 1000 + b"\r\n")


@dataclass
class Receiver:
    """`script` are the answers to the first requests, `then` is that to all others. `notice` is called, in another thread,
    with each request before it is answered."""

    script: list = field(default_factory=list)
    then: object = None
    certificate: tuple = None
    address: str = "127.0.0.1"
    notice: object = None

    def __post_init__(self):
        self.requests = []
        self.connections = []
        self.addresses = []  # of ours, that the connections were made to
        self.closing = threading.Event()
        self.lock = threading.Lock()
        self.then = self.then or answer()
        self.socket = socket.create_server((self.address, 0), backlog=128)
        self.port = self.socket.getsockname()[1]
        self.context = None
        if self.certificate:
            self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.context.load_cert_chain(*self.certificate)
        self.threads = [threading.Thread(target=self.listen, daemon=True)]
        self.threads[0].start()

    def url(self, host=None, path="/hook"):
        return f"{'https' if self.context else 'http'}://{host or self.address}:{self.port}{path}"

    def listen(self):
        while True:
            try:
                connection, _ = self.socket.accept()
            except OSError:
                return
            with self.lock:
                self.connections.append(connection)
                self.addresses.append(connection.getsockname()[0])
                thread = threading.Thread(target=self.serve, args=[connection], daemon=True)
                self.threads.append(thread)
            thread.start()

    def serve(self, connection):
        try:
            if self.context:
                connection = self.context.wrap_socket(connection, server_side=True)
            with connection:
                while request := self.read(connection):
                    with self.lock:
                        how = self.script.pop(0) if self.script else self.then
                        self.requests.append(request)
                    if self.notice:
                        self.notice(request)
                    how(connection, self.closing)
        except (OSError, ssl.SSLError):
            pass  # the other end has gone, as it may

    @staticmethod
    def read(connection):
        data = b""
        while b"\r\n\r\n" not in data:
            if not (more := connection.recv(65536)):
                return None
            data += more
        head, body = data.split(b"\r\n\r\n", 1)
        first, *lines = head.decode().split("\r\n")
        headers = {name.lower(): value.strip() for name, value in (line.split(":", 1) for line in lines)}
        while len(body) < int(headers.get("content-length", 0)):
            if not (more := connection.recv(65536)):
                return None
            body += more
        return Request(first.split(" ")[1], headers, body)

    @property
    def ids(self):
        return [request.id for request in self.requests]

    @property
    def types(self):
        return [request.message["type"] for request in self.requests]

    def close(self):
        self.closing.set()
        self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()
        with self.lock:
            for connection in self.connections:
                try:
                    connection.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass
                connection.close()


class Authority:
    """A certificate authority of the test's own."""

    def __init__(self, folder):
        self.folder = folder
        folder.mkdir()
        self.file = folder / "ca.pem"
        self.key = folder / "ca.key"
        self.openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
                     "-subj", f"/CN={folder.name}", "-keyout", self.key, "-out", self.file,
                     "-addext", "basicConstraints=critical,CA:TRUE")

    def openssl(self, *words):
        subprocess.run(["openssl", *map(str, words)], check=True, capture_output=True, cwd=self.folder)

    def certificate(self, name):
        """For a host by its name, or its address: "DNS:..." or "IP:..."."""
        stem = self.folder / name.replace(":", "-")
        self.openssl("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                     "-subj", "/CN=receiver", "-addext", f"subjectAltName={name}", "-keyout", f"{stem}.key",
                     "-out", f"{stem}.csr")
        self.openssl("x509", "-req", "-in", f"{stem}.csr", "-CA", self.file, "-CAkey", self.key, "-CAcreateserial",
                     "-days", "2", "-copy_extensions", "copy", "-out", f"{stem}.pem")
        return f"{stem}.pem", f"{stem}.key"
