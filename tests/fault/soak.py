#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The daemon and the HTTP server under load for a long time: neither memory nor descriptors may grow.

Connectors run, people start, cancel and switch them, others report from outside, files change, clients of HTTP ask and follow
streams that come and go. The history is kept short, so that what is deleted balances what is added. What counts is private
memory's median in the last quarter of the time beside that in the second, and descriptors when all is at rest.
"""

import argparse
import os
import random
import signal
import statistics
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from place import PrivatePlace
from world import World, wait_for

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "http"))
from server import Shim, add_key  # noqa: E402

SETTINGS = """[Daemon]
MaxConcurrentRuns=10
MaxConcurrentRunsPerProvider=3
[History]
EventsMaxAgeSec=1min
EventsMaxPerUser=2000
RunsMaxPerConnector=50
FailedRunsMaxPerConnector=50
SkippedRunsMaxPerConnector=50
"""
STREAMS_MAX = 20
LOAD_EVERY_SEC = 0.1
SAMPLES = 240  # in all
GROWTH_MAX_PART = 0.10
GROWTH_MAX_KIB = 1024  # what small memory may grow: pieces of the heap, not ours to place
REST_SEC = 120


class Process:
    def __init__(self, name, process):
        self.name, self.pid = name, process.pid
        self.memory, self.descriptors = [], []

    def kib(self):
        status = Path(f"/proc/{self.pid}/status").read_text()
        return int(status.split("\nRssAnon:")[1].split()[0])

    def count_descriptors(self):
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def sample(self):
        self.memory.append(self.kib())
        self.descriptors.append(self.count_descriptors())

    def verdict(self, at_rest):
        """(sentence, whether it is good)"""
        quarter = len(self.memory) // 4
        before, after = (statistics.median(self.memory[n * quarter:(n + 1) * quarter]) for n in (1, 3))
        now = self.count_descriptors()
        good = after - before <= max(GROWTH_MAX_PART * before, GROWTH_MAX_KIB) and now <= at_rest
        return (f"{self.name}: {before / 1024:.1f} MiB in the second quarter, {after / 1024:.1f} MiB in the last "
                f"(at most {max(self.memory) / 1024:.1f}); descriptors: {at_rest} at rest before, {now} after, "
                f"at most {max(self.descriptors)}"), good


class Soak:
    def __init__(self, world, shim):
        self.world, self.shim = world, shim
        self.streams = []
        self.n_requests = self.n_late = 0

    def start(self):
        world = self.world
        world.place.daemon.write("syncrun.conf", SETTINGS)
        world.start_daemon()
        self.key = add_key(world.client)
        self.shim.start()
        self.processes = [Process("syncrund", world.place.daemon.process), Process("syncrun-http", self.shim.process)]

    def ask(self):
        """A request, or a stream more or less."""
        rng = self.world.rng
        if rng.random() < 0.5:
            try:
                self.shim.get(rng.choice(["/v1/sync-runs?limit=20", "/v1/connectors", "/metrics", "/nothing"]), self.key)
            except TimeoutError:  # a machine that is busy with other things; what is counted here is no time
                self.n_late += 1
            self.n_requests += 1
        elif len(self.streams) < STREAMS_MAX and rng.random() < 0.5:
            end = self.shim.connect()
            end.sendall(f"GET /api/v1/users/{rng.choice(USERS)}/sync/stream HTTP/1.1\r\nHost: x\r\nX-API-Key: {self.key}\r\n\r\n"
                        .encode())
            self.streams.append(end)
        elif self.streams:
            self.streams.pop(rng.randrange(len(self.streams))).close()
        for end in self.streams:  # all but the last are read
            if end is not self.streams[-1]:
                end.setblocking(False)
                try:
                    while end.recv(1 << 20):
                        pass
                except (BlockingIOError, ConnectionError):
                    pass

    def run(self, seconds):
        begin = time.monotonic()
        sampled = 0
        while (passed := time.monotonic() - begin) < seconds:
            self.world.load()
            self.ask()
            self.world.run_loop(LOAD_EVERY_SEC)
            self.world.diary.clear()
            self.world.open_reports = self.world.open_reports[-100:]
            if passed * SAMPLES / seconds >= sampled:
                sampled += 1
                for process in self.processes:
                    process.sample()

    def rest(self):
        """Nobody asks, nothing runs: for descriptors only, memory is looked at under load."""
        world = self.world
        while self.streams:
            self.streams.pop().close()
        for name in [*world.names, "volatile"]:
            if (world.place.daemon.connectors / f"{name}.connector").exists():
                world.set_active(name, False)
        wait_for(lambda: not [run for run in world.describe_runs() if run["connector"]] and not world.place.workers(), "rest", REST_SEC)
        wait_for(lambda: self.shim.metric(self.key, "syncrun_http_streams") == 0, "the streams' ends", REST_SEC)


USERS = [f"6f1ed002-ab5d-4f2b-9c3b-{n:012d}" for n in range(7)]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("terminated"))
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="syncrun-soak-")))
        place = PrivatePlace(folder)
        world = World(place, random.Random(arguments.seed), 24)
        stack.callback(world.close)
        shim = Shim(place.bus, place.daemon.config)
        stack.callback(shim.close)
        world.place.daemon.environment["SYNCRUN_LOG_LEVEL"] = shim.environment["SYNCRUN_LOG_LEVEL"] = "warning"
        soak = Soak(world, shim)
        soak.start()
        soak.rest()
        at_rest = [process.count_descriptors() for process in soak.processes]
        for name in world.names:
            world.set_active(name, True)
        soak.run(arguments.minutes * 60)
        soak.rest()
        verdicts = [process.verdict(n) for process, n in zip(soak.processes, at_rest)]
        print(f"{arguments.minutes:g} minutes: {world.n_answers} calls, {world.n_events} events, {soak.n_requests} requests, "
              f"{soak.n_late} of them without an answer in time")
        print(*(text for text, _ in verdicts), sep="\n", flush=True)
        return 0 if all(good for _, good in verdicts) else 1


if __name__ == "__main__":
    sys.exit(main())
