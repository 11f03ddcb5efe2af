# SPDX-License-Identifier: LGPL-2.1-or-later
"""syncrun-http as its tests start it, and clients that see each byte. Nothing sleeps: what is waited for is read."""

import contextlib
import http.client
import json
import os
import random
import re
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "bus"))

from harness import TIMEOUT_SEC, options  # noqa: E402

TOP = Path(__file__).resolve().parents[2]

ALICE = "a11ce000-0000-4000-8000-000000000001"
BOB = "b0b00000-0000-4000-8000-000000000002"
NOBODY = "00000000-0000-4000-8000-00000000dead"
ALL_SCOPES = ["sync:read", "sync:write", "sync:admin"]


class Answer:
    def __init__(self, response):
        self.status = response.status
        self.headers = response.headers
        self.body = response.read()

    def json(self):
        return json.loads(self.body)

    def __repr__(self):
        return f"{self.status} {self.body[:200]!r}"


class Shim:
    """syncrun-http on sockets that are handed over as systemd does it: they outlive the process."""

    def __init__(self, bus, config, settings=""):
        self.folder = Path(tempfile.mkdtemp(prefix="h-", dir=bus.folder))
        (self.folder / "syncrun-http.conf").write_text(settings)
        (self.folder / "run").mkdir(mode=0o700)
        self.log_path = self.folder / "log"
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.port = self.listener.getsockname()[1]
        self.local_path = str(self.folder / "socket")
        self.local = socket.socket(socket.AF_UNIX)
        self.local.bind(self.local_path)
        self.local.listen(512)
        self.notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.notify.bind(str(self.folder / "notify"))
        self.notify.settimeout(TIMEOUT_SEC)
        self.process = None
        self.environment = {
            **os.environ,
            "SYNCRUN_BUS_ADDRESS": bus.address,
            "SYNCRUN_CONFIG_DIRS": str(self.folder),
            "SYNCRUN_LOG_LEVEL": "debug",
            "SYNCRUN_LOG_TARGET": "console",
            "SYNCRUN_WEB_DIR": str(TOP / "src" / "web"),
            "NOTIFY_SOCKET": str(self.folder / "notify"),
            "RUNTIME_DIRECTORY": str(self.folder / "run"),
        }

    def start(self):
        fds = [self.listener.fileno(), self.local.fileno()]
        # In two steps, since the one may have the other's number.
        far = " ".join(f"{90 + i}<&{fd}" for i, fd in enumerate(fds))
        moved = " ".join(f"{3 + i}<&{90 + i}" for i in range(len(fds)))
        shut = " ".join(f"{90 + i}<&-" for i in range(len(fds)))
        script = f'exec {far}; exec {moved}; exec {shut}; LISTEN_PID=$$ LISTEN_FDS={len(fds)} exec "$0"'
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(["bash", "-c", script, os.environ["SYNCRUN_HTTP"]], pass_fds=fds,
                                            stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self.environment)
        while b"READY=1" not in self.notify.recv(4096):
            pass
        return self

    def stop(self):
        self.process.terminate()
        return self.process.wait(TIMEOUT_SEC)

    def kill9(self):
        self.process.kill()
        self.process.wait(TIMEOUT_SEC)

    def log(self):
        return self.log_path.read_text(errors="replace")

    def close(self):
        status = 0
        if self.process and self.process.poll() is None:
            self.process.terminate()
            try:
                status = self.process.wait(TIMEOUT_SEC)
            except subprocess.TimeoutExpired:
                self.process.kill()
                status = self.process.wait()
        elif self.process and self.process.returncode != -9:
            status = self.process.returncode
        for end in (self.listener, self.local, self.notify):
            end.close()
        # A sanitizer that has found something says so at the end.
        assert status == 0, self.log()[-8000:]

    # ---- clients

    def request(self, method, path, key=None, body=None, headers=None, source=None):
        """One request on a connection of its own."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=TIMEOUT_SEC,
                                                source_address=(source, 0) if source else None)
        if isinstance(body, (dict, list)):
            body = json.dumps(body)
        try:
            connection.request(method, path, body, {**({"X-API-Key": key} if key else {}), **(headers or {})})
            return Answer(connection.getresponse())
        finally:
            connection.close()

    def get(self, path, key=None, **more):
        return self.request("GET", path, key, **more)

    def post(self, path, key=None, body=None, **more):
        return self.request("POST", path, key, body, **more)

    def connect(self, local=False):
        if local:
            end = socket.socket(socket.AF_UNIX)
            end.settimeout(TIMEOUT_SEC)
            end.connect(self.local_path)
            return end
        return socket.create_connection(("127.0.0.1", self.port), timeout=TIMEOUT_SEC)

    def raw(self, data, local=False):
        """What is answered until the server closes."""
        with self.connect(local) as end:
            end.sendall(data)
            return read_to_end(end)

    def stream(self, path, key, headers=None, local=False, version="1.1", receive_buffer=None, sent=None):
        """`sent` is called when the request is on its way."""
        return Stream(self, path, key, headers, local, version, receive_buffer, sent)

    def metric(self, key, name):
        text = self.get("/metrics", key).body.decode()
        return float(re.search(rf"^{re.escape(name)} (\S+)$", text, re.M)[1])


def read_to_end(end):
    data = b""
    try:
        while part := end.recv(65536):
            data += part
    except ConnectionResetError:
        pass
    return data


def answers(data):
    """The answers of a connection, one after the other: (status, body)."""
    seen = []
    while data:
        head, _, data = data.partition(b"\r\n\r\n")
        lines = head.split(b"\r\n")
        if not head.startswith(b"HTTP/"):
            break  # libmicrohttpd 0.9.75 sends some of its own refusals' heads twice
        without = 0 if lines[0].startswith(b"HTTP/1.1 100 ") else len(data)
        length = next((int(line[15:]) for line in lines if line.lower().startswith(b"content-length:")), without)
        seen.append((int(lines[0].split()[1]), data[:length]))
        data = data[length:]
    return seen


class Stream:
    """A client of Server-Sent Events, with the chunks taken apart."""

    def __init__(self, shim, path, key, headers, local, version, receive_buffer, sent):
        self.end = socket.socket(socket.AF_UNIX if local else socket.AF_INET)
        if receive_buffer:
            self.end.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.end.settimeout(TIMEOUT_SEC)
        self.end.connect(shim.local_path if local else ("127.0.0.1", shim.port))
        lines = [f"GET {path} HTTP/{version}", "Host: x", *([f"X-API-Key: {key}"] if key else [])]
        lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
        self.end.sendall("\r\n".join([*lines, "", ""]).encode())
        if sent:
            sent()
        self.file = self.end.makefile("rb")
        self.status = int(self.file.readline().split()[1])
        self.headers = http.client.parse_headers(self.file)
        self.is_chunked = self.headers["Transfer-Encoding"] == "chunked"
        self.buffer = b""
        self.chunks = []
        self.ended = False

    def read_more(self):
        if not self.is_chunked:
            data = self.file.read1(65536)
        else:
            line = self.file.readline()
            size = int(line, 16) if line else None
            data = self.file.read(size) if size else b""
            if size is not None:
                assert self.file.read(2) == b"\r\n"
            self.ended = size == 0
            self.chunks.append(data)
        self.buffer += data
        return bool(data)

    def block(self):
        """The next event or comment, without the empty line that ends it; None at the end."""
        while b"\n\n" not in self.buffer:
            if not self.read_more():
                assert self.buffer == b""
                return None
        block, _, self.buffer = self.buffer.partition(b"\n\n")
        return block.decode()

    def event(self):
        """(id, event) of the next event, comments passed over."""
        while (block := self.block()) is not None:
            if not block.startswith(":"):
                match = re.fullmatch(r"event: sync\.status\nid: (\d+)\ndata: (\{.*\})", block)
                assert match, block
                return int(match[1]), json.loads(match[2])
        return None

    def messages(self, n):
        return [self.event()[1]["message"] for _ in range(n)]

    def rest(self):
        """All blocks until the end."""
        return list(iter(self.block, None))

    def close(self):
        self.file.close()
        self.end.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Reporter:
    """Makes events, by D-Bus."""

    def __init__(self, client):
        self.client = client
        self.n = 0

    def event(self, user=ALICE, message=None, stage="fetching", run="run", provider="test", **more):
        self.n += 1
        return {"run_id": f"{run}-{user}", "user_id": user, "provider": provider, "source": "sdk", "stage": stage,
                "status": {"completed": "success", "failed": "failed"}.get(stage, "in_progress"),
                "message": message or f"m{self.n}", **more}

    def report(self, *events):
        self.client.manager("ReportEvents", "(s)", json.dumps(list(events)))

    def say(self, *messages, user=ALICE, **more):
        self.report(*(self.event(user, message, **more) for message in messages))

    def last_id(self):
        """The number of the newest event of all."""
        return self.client.get("/org/syncrun1", "org.syncrun1.Manager", "LastSequence")

    def big(self, n, begin=0):
        """Events as large as they can be, 16 KiB each, in reports as large as they may be; their messages."""
        messages = [f"{i}" for i in range(begin, begin + n)]
        for i in range(0, n, 50):
            self.report(*(self.event(ALICE, message, metadata={"k": "\x01" * 2700}) for message in messages[i:i + 50]))
        return messages


def add_key(client, name="key", scopes=ALL_SCOPES, user=None):
    return client.manager("AddApiKey", "(sa{sv})", name, options(scopes=scopes, **({"user": user} if user else {})))


def deadline():
    return time.monotonic() + TIMEOUT_SEC


def free_port():
    """One that the kernel gives to nobody: what runs beside this test does not get it before it is used."""
    given, _ = map(int, Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split())
    while True:
        port = random.randrange(10000, max(given, 20000))
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port


def short_lived(open_stream):
    """A stream by a credential that open_stream() makes to end at a second that it is given, and that second: as soon as this
    machine opens a stream in time."""
    for seconds in (2, 8, 32, 128):
        end = int(time.time()) + seconds
        stream = open_stream(end)
        if stream.status == 200:
            return stream, end
        stream.close()
    raise AssertionError(f"refused with {stream.status}")
