# SPDX-License-Identifier: LGPL-2.1-or-later
"""syncrun-http beside others, in one run: Server-Sent Events beside nginx with nchan and a bare loop of send(), requests
beside FastAPI with Redis, the first byte of a cold start, and a report's way to the wire. Medians of interleaved rounds;
where there are two processors, servers run on the one and the load on the other."""

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


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as end:
        return end.getsockname()[1]


def wait_port(port):
    while True:
        try:
            return socket.create_connection(("127.0.0.1", port)).close()
        except ConnectionRefusedError:
            time.sleep(0.02)


class Server:
    """A process, and what it holds in memory. Closed with all that it has started."""

    def __init__(self):
        self.folder = Path(tempfile.mkdtemp(prefix="bench-"))
        self.processes = []

    def spawn(self, *command, **more):
        self.processes.append(subprocess.Popen(on_cpu(SERVER_CPU, *command), **more))
        return self.processes[-1]

    def pids(self):
        return [process.pid for process in self.processes]

    def memory(self):
        """Bytes, with those of all children: what is shared counts once."""
        total = 0
        for pid in self.pids():
            children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
            for each in [pid, *children]:
                text = Path(f"/proc/{each}/smaps_rollup").read_text()
                total += int(text.split("\nPss:")[1].split()[0]) * 1024
        return total

    def close(self):
        for process in reversed(self.processes):
            process.terminate()
            process.wait()
        shutil.rmtree(self.folder)


class Syncrun(Server):
    kind = "syncrun"

    def __init__(self):
        super().__init__()
        self.bus = PrivateBus()
        self.shim = Shim(self.bus, None, UNLIMITED)
        self.shim.environment["SYNCRUN_LOG_LEVEL"] = "err"
        self.shim.start()
        subprocess.run(["taskset", "-acp", str(SERVER_CPU), str(self.shim.process.pid)], check=True, stdout=subprocess.DEVNULL)
        self.port = self.shim.port
        self.environment = {"SYNCRUN_BUS_ADDRESS": self.bus.address}

    def pids(self):
        return [self.shim.process.pid]

    def close(self):
        self.shim.close()
        self.bus.close()
        super().close()


class Nchan(Server):
    kind = "nchan"
    environment = {}

    def __init__(self):
        super().__init__()
        self.port = free_port()
        (self.folder / "nginx.conf").write_text(NGINX.format(folder=self.folder, port=self.port))
        self.spawn("nginx", "-c", self.folder / "nginx.conf", "-p", self.folder, stderr=subprocess.DEVNULL)
        wait_port(self.port)


class Bare(Server):
    kind = "bare"
    environment = {}

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
    def __init__(self, *arguments, environment=None):
        self.process = subprocess.Popen(on_cpu(LOAD_CPU, LOAD, *arguments), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        text=True, env={**os.environ, **(environment or {})})
        assert self.process.stdout.readline() == "ready\n"

    def run(self, window, msec):
        self.process.stdin.write(f"{window} {msec}\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def close(self):
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait()


def median(values):
    return statistics.median(values)


# ---- Streams

ROWS = [  # streams, users, windows
    (100, 1, (1, 16)),
    (1000, 1, (1, 16)),
    (10000, 1, (1, 16)),
    (10000, 10000, (1, 64)),
]


def measure_streams(args, opened):
    print(f"\n## Streams ({args.rounds} rounds of {args.msec} ms)\n")
    print("| streams | users | events outstanding | | a second | of it: syncrun-http | p50 | p99 | bytes a stream |")
    print("|---|---|---|---|---|---|---|---|---|")
    for n_streams, n_users, windows in ROWS:
        seen = {}
        for _ in range(args.rounds):
            for kind in (Syncrun, Nchan, Bare):
                with contextlib.closing(kind()) as server:
                    before = server.memory()
                    load = Load("sse", kind.kind, server.port, n_streams, n_users, KEY, environment=server.environment)
                    memory = (server.memory() - before) / n_streams
                    for window in windows:
                        load.run(window, args.msec // 5)
                        seen.setdefault((window, kind.kind), []).append({**load.run(window, args.msec), "memory": memory})
                    load.close()
        for window in windows:
            ours = median([one["per_sec"] for one in seen[window, "syncrun"]])
            for kind in ("syncrun", "nchan", "bare"):
                rounds = seen[window, kind]
                rate, p50, p99, memory = (median([one[key] for one in rounds]) for key in ("per_sec", "p50", "p99", "memory"))
                print(f"| {n_streams} | {n_users} | {window} | {kind} | {rate:.0f} | {ours / rate:.2f} | {p50:.0f} µs | {p99:.0f} µs "
                      f"| {memory:.0f} |", flush=True)


# ---- With the daemon


class World:
    """The daemon with a history, and the server before it."""

    def __init__(self, n_runs=200):
        self.folder = tempfile.mkdtemp(prefix="bench-")
        self.bus = PrivateBus()
        self.client = Client(self.bus.address)
        self.daemon = Daemon(self.bus, Path(self.folder))
        self.daemon.start(SYNCRUN_LOG_LEVEL="err")
        events = [{"run_id": f"run-{i}", "user_id": USER, "provider": "oura", "source": "sdk", "stage": stage, "status": status,
                   "message": "Fetching page 12 of 40"}
                  for i in range(n_runs) for stage, status in (("fetching", "in_progress"), ("completed", "success"))]
        self.client.manager("ReportEvents", "(s)", json.dumps(events))
        self.key = add_key(self.client)
        self.shim = Shim(self.bus, self.daemon.config, UNLIMITED)
        self.shim.environment["SYNCRUN_LOG_LEVEL"] = "err"

    def close(self):
        self.shim.close()
        self.daemon.close()
        self.client.close()
        self.bus.close()
        shutil.rmtree(self.folder)


RUNS, RECENT = "/v1/sync-runs?limit=20", f"/api/v1/users/{USER}/sync/recent"


def measure_requests(args, opened):
    world = opened.enter_context(contextlib.closing(World()))
    world.shim.start()
    for process in (world.shim.process, world.daemon.process):
        subprocess.run(["taskset", "-acp", str(SERVER_CPU), str(process.pid)], check=True, stdout=subprocess.DEVNULL)
    recent, runs = world.shim.get(RECENT, world.key).json(), world.shim.get(RUNS, world.key).json()["syncRuns"]
    peer = opened.enter_context(contextlib.closing(FastApi(recent, runs)))
    print(f"\n## Requests ({args.rounds} rounds of {args.msec} ms)\n")
    print("| | under way | syncrun a second | FastAPI a second | ratio | syncrun p50 | p99 | FastAPI p50 | p99 |")
    print("|---|---|---|---|---|---|---|---|---|")
    for path in (RUNS, RECENT):
        loads = [Load("rest", port, path, world.key) for port in (world.shim.port, peer.port)]
        for window in (1, 64):
            rounds = [[load.run(window, args.msec) for load in loads] for _ in range(args.rounds)]
            ours, theirs = ({key: median([one[i][key] for one in rounds]) for key in ("per_sec", "p50", "p99")} for i in (0, 1))
            print(f"| `{path.replace(USER, '…')}` | {window} | {ours['per_sec']:.0f} | {theirs['per_sec']:.0f} "
                  f"| {ours['per_sec'] / theirs['per_sec']:.1f} | {ours['p50']:.0f} µs | {ours['p99']:.0f} µs | {theirs['p50']:.0f} µs "
                  f"| {theirs['p99']:.0f} µs |", flush=True)
        for load in loads:
            load.close()


def measure_end_to_end(args, opened):
    world = opened.enter_context(contextlib.closing(World(1)))
    world.shim.start()
    load = Load("end-to-end", world.shim.port, world.key, environment={"SYNCRUN_BUS_ADDRESS": world.bus.address})
    rounds = [load.run(1, args.msec) for _ in range(args.rounds)]
    to_signal, to_answer, p50, p99 = (median([one[key] for one in rounds]) for key in ("to_signal", "to_answer", "p50", "p99"))
    print("\n## From a report over D-Bus to the wire, one at a time\n")
    print(f"p50 {p50:.0f} µs, p99 {p99:.0f} µs; committed and signalled after {to_signal:.0f} µs (mean), the reporter's answer after "
          f"{to_answer:.0f} µs; the rest is the server's and the wire's.", flush=True)
    load.close()


def measure_cold_start(args, opened):
    """From the process's beginning, with a client that waits in the socket, to its first byte."""
    world = opened.enter_context(contextlib.closing(World()))
    seen = {path: [] for path in ("/openapi.json", RUNS)}
    for _ in range(max(args.rounds, 5)):
        for path, times in seen.items():
            with world.shim.connect() as end:
                end.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nX-API-Key: {world.key}\r\n\r\n".encode())
                begin = time.monotonic()
                world.shim.start()
                assert end.recv(12) == b"HTTP/1.1 200"
                times.append(1000 * (time.monotonic() - begin))
            world.shim.stop()
    print("\n## First byte of a cold start, the daemon running\n")
    for path, times in seen.items():
        print(f"- `{path}`: {median(times):.1f} ms", flush=True)


PARTS = {"streams": measure_streams, "requests": measure_requests, "end-to-end": measure_end_to_end, "cold-start": measure_cold_start}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--msec", type=int, default=1000, help="of one measurement")
    parser.add_argument("parts", nargs="*", default=list(PARTS), help=" ".join(PARTS))
    args = parser.parse_args()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    print(f"{len(CPUS)} processors, load {os.getloadavg()[0]:.1f}", flush=True)
    for part in args.parts:
        with contextlib.ExitStack() as opened:
            PARTS[part](args, opened)


if __name__ == "__main__":
    main()
