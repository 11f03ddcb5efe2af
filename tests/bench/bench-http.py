# SPDX-License-Identifier: LGPL-2.1-or-later
"""syncrun-http beside others, in one run: Server-Sent Events beside nginx with nchan and a bare loop of send(), requests
beside FastAPI with Redis, the first byte of a cold start, and a report's way to the wire. What is measured has the first
processor, what measures it the last. Each figure is the median of rounds that go from one server to the next; beside what
came through a second stands the processor time that a unit took of all processes of a server, which a busy machine changes
least. What is printed is docs/FIGURES.md's."""

import argparse
import contextlib
import json
import os
import resource
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "bus"), str(HERE.parent / "http")]

from harness import Client, Daemon, PrivateBus  # noqa: E402
from server import Shim, add_key  # noqa: E402

LOAD, BARE = os.environ["HTTP_LOAD"], os.environ["BARE_LOOP"]
USER = "a11ce000-0000-4000-8000-000000000000"
KEY = "sk-0123456789abcdef0123456789abcdef"
CPUS = sorted(os.sched_getaffinity(0))
SERVER_CPU, LOAD_CPU = CPUS[0], CPUS[-1]

UNLIMITED = """[Server]
IdleExitSec=infinity
[Limits]
ConnectionsMax=infinity
ConnectionsPerAddressMax=infinity
RequestsPerMinute=infinity
[Streams]
StreamsMax=infinity
StreamsPerKeyMax=infinity
"""

NGINX = """load_module /usr/lib/nginx/modules/ngx_nchan_module.so;
daemon off;
user root;
worker_processes 1;
worker_rlimit_nofile 32768;
error_log {folder}/error.log;
pid {folder}/pid;
events {{ worker_connections 32768; }}
http {{
    access_log off;
    nchan_shared_memory_size 512M;
    keepalive_requests 1000000000;
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        location ~ /pub/(\\d+)$ {{
            nchan_publisher;
            nchan_channel_id $1;
            nchan_message_buffer_length 64;
        }}
        location ~ /sub/(\\d+)$ {{
            nchan_subscriber eventsource;
            nchan_channel_id $1;
            nchan_subscriber_first_message newest;
        }}
    }}
}}
"""


def on_cpu(cpu, *command):
    return ["taskset", "-c", str(cpu), *map(str, command)]


def pin(*processes):
    for process in processes:
        subprocess.run(["taskset", "-acp", str(SERVER_CPU), str(process.pid)], check=True, stdout=subprocess.DEVNULL)


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as end:
        return end.getsockname()[1]


def wait_port(port):
    while True:
        try:
            return socket.create_connection(("127.0.0.1", port)).close()
        except ConnectionRefusedError:
            time.sleep(0.02)


def scheduled_usec(pid, which):
    return sum(int(task.read_text().split()[which]) for task in Path(f"/proc/{pid}/task").glob("*/schedstat")) / 1000


def cpu_usec(pid):
    """What a process has had of processors, with all its threads."""
    return scheduled_usec(pid, 0)


def waited_usec(pid):
    """How long its threads were ready and had none."""
    return scheduled_usec(pid, 1)


def disk_usec(folder, n=30):
    """A write of what a small commit puts into a log that is used again, and fdatasync(); without waiting for a processor."""
    pages, times = bytes(4 * 4120), []
    with open(folder / "probe", "wb", buffering=0) as file:
        file.write(pages * n)
        os.fdatasync(file.fileno())
        for i in range(n):
            begin, waited = time.monotonic(), waited_usec(os.getpid())
            os.pwrite(file.fileno(), pages, i * len(pages))
            os.fdatasync(file.fileno())
            times.append(1e6 * (time.monotonic() - begin) - waited_usec(os.getpid()) + waited)
    return statistics.median(times)


def pss_bytes(pid):
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return int(text.split("\nPss:")[1].split()[0]) * 1024


def with_children(pid):
    return [pid, *map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())]


class Server:
    """Processes, what they use, and what is started for them. Closed with all of it."""

    environment = {}
    listener = None

    def __init__(self):
        self.folder = Path(tempfile.mkdtemp(prefix="bench-"))
        self.processes = []

    def spawn(self, *command, **more):
        self.processes.append(subprocess.Popen(on_cpu(SERVER_CPU, *command), **more))
        return self.processes[-1]

    def pids(self):
        return [pid for process in self.processes for pid in with_children(process.pid)]

    def memory(self):
        """Bytes: what is shared counts once."""
        return sum(map(pss_bytes, self.pids()))

    def cpu_usec(self):
        return sum(map(cpu_usec, self.pids()))

    def connected(self):
        """The load has what it needs of this."""

    def close(self):
        for process in reversed(self.processes):
            process.terminate()
            process.wait()
        shutil.rmtree(self.folder)


class Syncrun(Server):
    """Its bus is a socket of the load's, which plays the daemon, too: events come to it as directly as to the others."""

    kind = "syncrun"

    def __init__(self):
        super().__init__()
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(self.folder / "bus"))
        self.listener.listen()
        self.address = f"unix:path={self.folder}/bus"
        self.shim = Shim(self, None, UNLIMITED)
        self.shim.environment["SYNCRUN_LOG_LEVEL"] = "err"
        self.shim.start()
        pin(self.shim.process)
        self.port = self.shim.port

    def pids(self):
        return [self.shim.process.pid]

    def connected(self):
        self.listener.close()

    def close(self):
        self.shim.close()
        super().close()


class Nchan(Server):
    kind = "nchan"

    def __init__(self):
        super().__init__()
        self.port = free_port()
        (self.folder / "nginx.conf").write_text(NGINX.format(folder=self.folder, port=self.port))
        self.spawn("nginx", "-c", self.folder / "nginx.conf", "-p", self.folder, stderr=subprocess.DEVNULL)
        wait_port(self.port)


class Bare(Server):
    kind = "bare"

    def __init__(self):
        super().__init__()
        listener = socket.create_server(("127.0.0.1", 0), backlog=4096)
        listener.setblocking(False)
        self.port = listener.getsockname()[1]
        self.spawn(BARE, listener.fileno(), pass_fds=[listener.fileno()])
        listener.close()


class FastApi(Server):
    """Events and runs as JSON in Redis's lists: read, decoded and encoded, without validation."""

    def __init__(self, recent, runs):
        super().__init__()
        redis, self.port = free_port(), free_port()
        self.spawn("redis-server", "--port", redis, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no",
                   stdout=subprocess.DEVNULL)
        wait_port(redis)
        environment = {**os.environ, "REDIS_PORT": str(redis), "PYTHONPATH": str(HERE)}
        subprocess.run([sys.executable, HERE / "peer_rest.py", str(redis)], input=json.dumps({"recent": recent, "runs": runs}),
                       text=True, check=True)
        self.spawn(sys.executable, "-m", "uvicorn", "--app-dir", HERE, "--loop", "uvloop", "--http", "httptools", "--port",
                   self.port, "--no-access-log", "--log-level", "error", "peer_rest:app", env=environment)
        wait_port(self.port)


class Load:
    def __init__(self, server, *arguments, listener=None, environment=None):
        self.server = server
        fds = [listener.fileno()] if listener else []
        self.process = subprocess.Popen(on_cpu(LOAD_CPU, LOAD, *arguments), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        text=True, env={**os.environ, **(environment or {})}, pass_fds=fds)
        assert self.process.stdout.readline() == ("ready\n" if arguments[0] == "rest" else "one\n")

    def open_all(self):
        """All streams but the first, which is there."""
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        assert self.process.stdout.readline() == "ready\n"
        return self

    def run(self, window, msec):
        """What the load says, and the processor time for one of what it counts."""
        before = self.server.cpu_usec()
        self.process.stdin.write(f"{window} {msec}\n")
        self.process.stdin.flush()
        said = json.loads(self.process.stdout.readline())
        return {**said, "cpu": (self.server.cpu_usec() - before) / said["n"]}

    def close(self):
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait()


def medians(rounds):
    return {key: statistics.median(one[key] for one in rounds) for key in rounds[0]}


def title(text):
    load = " ".join(f"{one:.1f}" for one in os.getloadavg())
    print(f"\n### {text}\n\nLoad of the machine before: {load}.\n", flush=True)


def table(*columns):
    print(f"| {' | '.join(columns)} |\n|{'---|' * len(columns)}", flush=True)


def row(*cells):
    print(f"| {' | '.join(map(str, cells))} |", flush=True)


# ---- Streams

KINDS = (Syncrun, Nchan, Bare)


class Streams:
    """All three servers with so many streams each: one is measured while the others are idle."""

    def __init__(self, n_streams, n_users):
        self.opened = contextlib.ExitStack()
        self.loads, self.memory = {}, {}
        for kind in KINDS:
            server = self.opened.enter_context(contextlib.closing(kind()))
            load = Load(server, "sse", kind.kind, server.port, n_streams, n_users, KEY,
                        server.listener.fileno() if server.listener else -1, listener=server.listener)
            self.loads[kind.kind] = self.opened.enter_context(contextlib.closing(load))
            server.connected()
            before = server.memory()
            load.open_all()
            self.memory[kind.kind] = (server.memory() - before) / (n_streams - 1)

    def measure(self, window, args):
        rounds = {kind: [] for kind in self.loads}
        for kind, load in self.loads.items():
            load.run(window, args.msec // 4)
        for _ in range(args.rounds):
            for kind, load in self.loads.items():
                rounds[kind].append(load.run(window, args.msec))
        return {kind: medians(each) for kind, each in rounds.items()}

    def close(self):
        self.opened.close()


def measure_streams(args, opened):
    title("Streams")
    table("streams", "users", "events outstanding", "deliveries a second", "of nchan's", "of the bare loop's", "bytes a stream",
          "nchan's")
    many, costs = 1000 if args.quick else 10000, []
    for n_streams, n_users, windows in ((100, 1, (1, 16)), (1000, 1, (1, 16)), (many, 1, (1, 16)), (many, many, (1, 64))):
        with contextlib.closing(Streams(n_streams, n_users)) as streams:
            for window in windows:
                seen = list(streams.measure(window, args).values())
                ours, nchan, bare = (one["per_sec"] for one in seen)
                row(n_streams, n_users, window, f"{ours:,.0f}", f"{ours / nchan:.2f}", f"{ours / bare:.2f}",
                    *(f"{streams.memory[kind]:,.0f}" for kind in ("syncrun", "nchan")))
                costs.append((n_streams, n_users, window, *(f"{one['cpu']:.2f}" for one in seen),
                              *(f"{one['p50']:,} ({one['p99']:,})" for one in seen)))
    print("\nThe processor time of a delivery, and when the last client has an event or a burst, in µs: p50 (p99).\n")
    table("streams", "users", "events outstanding", "processor", "nchan's", "the bare loop's", "last client", "nchan's",
          "the bare loop's")
    for cost in costs:
        row(*cost)


# ---- With the daemon


class World(Server):
    """The bus, the daemon with a history, and the server before it."""

    def __init__(self, n_runs=200):
        super().__init__()
        self.bus = PrivateBus()
        self.client = Client(self.bus.address)
        self.daemon = Daemon(self.bus, self.folder)
        self.daemon.start(SYNCRUN_LOG_LEVEL="err")
        events = [{"run_id": f"run-{i}", "user_id": USER, "provider": "oura", "source": "sdk", "stage": stage, "status": status,
                   "message": "Fetching page 12 of 40"}
                  for i in range(n_runs) for stage, status in (("fetching", "in_progress"), ("completed", "success"))]
        self.client.manager("ReportEvents", "(s)", json.dumps(events))
        self.key = add_key(self.client)
        self.shim = Shim(self.bus, self.daemon.config, UNLIMITED)
        self.shim.environment["SYNCRUN_LOG_LEVEL"] = "err"
        self.environment = {"SYNCRUN_BUS_ADDRESS": self.bus.address}

    def start(self):
        self.shim.start()
        self.parts = {"syncrun-http": self.shim.process, "dbus-daemon": self.bus.process, "syncrund": self.daemon.process}
        pin(*self.parts.values())
        return self

    def pids(self):
        return [process.pid for process in self.parts.values()]

    def cpu_parts(self):
        return {name: cpu_usec(process.pid) for name, process in self.parts.items()}

    def waited_parts(self):
        return {name: waited_usec(process.pid) for name, process in self.parts.items()}

    def close(self):
        self.shim.close()
        self.daemon.close()
        self.client.close()
        self.bus.close()
        super().close()


RUNS, RECENT = "/v1/sync-runs?limit=20", f"/api/v1/users/{USER}/sync/recent"

# No two alike: each is asked of the daemon.
RUNS_SINCE = RUNS + "&since=2020-01-01T00:00:00.######Z"


def measure_requests(args, opened):
    world = opened.enter_context(contextlib.closing(World())).start()
    recent, runs = world.shim.get(RECENT, world.key).json(), world.shim.get(RUNS, world.key).json()["syncRuns"]
    peer = opened.enter_context(contextlib.closing(FastApi(recent, runs)))
    title("Requests")
    table("", "under way", "a second", "FastAPI's", "ratio", "p50 (p99)", "FastAPI's", "processor", "FastAPI's", "ratio")
    costs = []
    for path in (RUNS, RECENT, RUNS_SINCE):
        loads = [Load(server, "rest", server.port if server is peer else world.shim.port, path, world.key)
                 for server in (world, peer)]
        for window in (1, 64):
            for load in loads:
                load.run(window, args.msec // 4)
            rounds, parts = [[], []], world.cpu_parts()
            for _ in range(args.rounds):
                for load, seen in zip(loads, rounds):
                    seen.append(load.run(window, args.msec))
            n_done = sum(one["n"] for one in rounds[0])
            parts = [(usec - parts[name]) / n_done for name, usec in world.cpu_parts().items()]
            ours, theirs = map(medians, rounds)
            name = f"`{path.replace(USER, '…').replace('######', '…')}`"
            row(name, window, f"{ours['per_sec']:,.0f}", f"{theirs['per_sec']:,.0f}", f"{ours['per_sec'] / theirs['per_sec']:.1f}",
                *(f"{one['p50']:,} ({one['p99']:,}) µs" for one in (ours, theirs)), f"{ours['cpu']:.0f} µs", f"{theirs['cpu']:.0f} µs",
                f"{theirs['cpu'] / ours['cpu']:.1f}")
            costs.append((name, window, *(f"{usec:.0f}" for usec in parts)))
        for load in loads:
            load.close()
    print("\nThe processor time of a request, in µs:\n")
    table("", "under way", *world.parts)
    for cost in costs:
        row(*cost)


def measure_end_to_end(args, opened):
    world = opened.enter_context(contextlib.closing(World(1))).start()
    title("From a report over D-Bus to the last client, one report at a time")
    table("streams", "committed and signalled, p50", "the reporter's answer", "the last client", "p99",
          "from the signal to the last client", *(f"processor: {part}" for part in world.parts),
          *(f"waits for one: {part}" for part in world.parts), "a write and fdatasync() beside it")
    for n_streams in (1, 100, 1000) if args.quick else (1, 100, 1000, 10000):
        with contextlib.closing(Load(world, "end-to-end", world.shim.port, n_streams, world.key,
                                     environment=world.environment)) as load:
            load.open_all().run(1, args.msec // 4)
            parts, waited, rounds, disk = world.cpu_parts(), world.waited_parts(), [], []
            for _ in range(args.rounds):
                rounds.append(load.run(1, args.msec))
                disk.append(disk_usec(world.folder))
        n_done = sum(one["n"] for one in rounds)
        parts = [(usec - parts[name]) / n_done for name, usec in world.cpu_parts().items()]
        parts += [(usec - waited[name]) / n_done for name, usec in world.waited_parts().items()]
        parts.append(statistics.median(disk))
        seen = medians(rounds)
        row(n_streams, *(f"{seen[key]:,} µs" for key in ("to_signal", "to_answer", "p50", "p99", "from_signal")),
            *(f"{usec:,.0f} µs" for usec in parts))


def measure_cold_start(args, opened):
    """From the process's beginning, with a client that waits in the socket, to its first byte."""
    world = opened.enter_context(contextlib.closing(World()))
    seen = {path: [] for path in ("/openapi.json", RUNS)}
    title("First byte of a cold start, the daemon running")
    for _ in range(max(args.rounds, 3 if args.quick else 9)):
        for path, times in seen.items():
            with world.shim.connect() as end:
                end.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nX-API-Key: {world.key}\r\n\r\n".encode())
                begin = time.monotonic()
                world.shim.start()
                assert end.recv(12) == b"HTTP/1.1 200"
                times.append(1000 * (time.monotonic() - begin))
            world.shim.stop()
    for path, times in seen.items():
        print(f"- `{path}`: {statistics.median(times):.1f} ms (least {min(times):.1f})", flush=True)


PARTS = {"streams": measure_streams, "requests": measure_requests, "end-to-end": measure_end_to_end, "cold-start": measure_cold_start}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--msec", type=int, help="of one measurement")
    parser.add_argument("--quick", action="store_true", help="one short round of each, with 1,000 streams at most")
    parser.add_argument("parts", nargs="*", default=list(PARTS), help=" ".join(PARTS))
    args = parser.parse_args()
    args.rounds = args.rounds or (1 if args.quick else 5)
    args.msec = args.msec or (100 if args.quick else 400)
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    begin = time.monotonic()
    print(f"{len(CPUS)} processors; medians of {args.rounds} rounds of {args.msec} ms; servers on processor {SERVER_CPU}, "
          f"the load on {LOAD_CPU}.", flush=True)
    for part in args.parts:
        with contextlib.ExitStack() as opened:
            PARTS[part](args, opened)
    print(f"\nTook {time.monotonic() - begin:.0f} s.", flush=True)


if __name__ == "__main__":
    main()
