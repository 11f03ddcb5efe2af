#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Kill the daemon and its workers at random moments under load, and see after each kill that nothing is lost, stuck or doubled.

campaign.py --kills 200 --seed 7 draws the same kills as the last time with seed 7; what the programs do between two of them is
theirs to decide, so a finding may need some rounds to come back.
"""

import argparse
import random
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from pathlib import Path

from booted import Booted
from place import PrivatePlace
from promises import Broken, check_cursor, check_items, expect, frozen, live
from world import World, is_scheduled, wait_for

QUIET_EVERY = 50  # kills, until all runs are let end and everything is compared
EVENTUALLY_SEC = 120
SCHEDULES_SEC = 120  # also where the machine is busy with others


class Campaign:
    def __init__(self, world):
        self.world = world
        self.rng = world.rng
        self.kills = Counter()
        self.slowest_start = 0.0

    # ---- Moments

    def moment(self):
        """Let some time pass: until an answer comes, an event comes, or a while has gone."""
        world, kind = self.world, self.rng.choice(("answer", "answer", "event", "time"))
        if kind == "time":
            world.run_loop(self.rng.uniform(0, 0.15))
            return
        counter = "n_answers" if kind == "answer" else "n_events"
        before = getattr(world, counter)
        limit = time.monotonic() + 1
        wait_for(lambda: getattr(world, counter) > before or time.monotonic() > limit, kind)

    # ---- Kills

    def start(self):
        begin = time.monotonic()
        self.world.begin_start()
        if self.world.place.wakes:
            self.world.load()
        self.world.wait_started()
        self.slowest_start = max(self.slowest_start, time.monotonic() - begin)

    def check_history(self, whole=False):
        with frozen(self.world.history_path, self.world.place.folder) as history:
            self.world.promises.check(history, whole)

    def kill_daemon(self):
        self.world.kill_daemon()
        self.check_history()
        while self.rng.random() < 0.2:
            self.kill_while_starting()
        self.start()

    def kill_while_starting(self):
        self.kills["daemon, starting"] += 1
        self.world.begin_start()
        self.world.run_loop(self.rng.uniform(0, self.world.place.starting_sec))
        self.world.kill_daemon()
        self.check_history()

    def kill_worker(self):
        world = self.world
        workers = world.place.workers()
        if workers:
            victim = self.rng.choice(workers)
            world.place.kill_worker(victim, self.rng)
            victim.wait_end()
            with live(world.history_path) as history:
                check_cursor(history, victim.connector, world.place.items_path(victim.connector))
            world.note("killed", "--settle of" if victim.settles else "worker of", victim.connector)
        for worker in workers:
            worker.close()
        return bool(workers)

    def kill_all(self):
        """As a power failure."""
        world = self.world
        world.lose_power()
        self.check_history()
        with frozen(world.history_path, world.place.folder) as history:
            for name in world.names:
                path = world.place.items_path(name)
                check_cursor(history, name, path)
                check_items(history, name, path, exact=False)
        self.start()

    def kill(self):
        kind = self.rng.choices(("daemon", "worker", "all"), (6, 3, 1))[0]
        self.world.note("kill", kind, "after event", self.world.promises.last_seq)
        if kind == "worker" and not self.kill_worker():
            return
        if kind == "daemon":
            self.kill_daemon()
        elif kind == "all":
            self.kill_all()
        self.kills[kind] += 1
        self.world.place.reap()

    # ---- Workers and runs belong together

    def strays(self):
        """Workers of connectors without an active run, and runs under way without a worker."""
        workers = self.world.place.workers()
        active = {run["connector"]: run["state"] for run in self.world.describe_runs() if run["connector"]}
        # What has ended since may have been right.
        stray = {worker.connector for worker in workers if worker.connector not in active and not worker.has_ended()}
        for worker in workers:
            worker.close()
        here = {worker.connector for worker in workers}
        return stray | {name for name, state in active.items() if state != "queued" and name not in here}

    def check_strays(self):
        """Some are in between; but none for long."""
        suspects, limit = self.strays(), time.monotonic() + EVENTUALLY_SEC
        while suspects:
            expect(time.monotonic() < limit, "worker without run, or run without worker:", suspects)
            self.world.run_loop(0.02)
            suspects &= self.strays()

    # ---- Quiet

    def settle(self):
        """No connector runs any more, and all that was asked is answered."""
        world = self.world
        (world.place.config.connectors / "volatile.connector").unlink(missing_ok=True)
        for name in world.names:
            world.set_active(name, False)
        world.client.manager("Reload")
        wait_for(lambda: not [run for run in world.describe_runs() if run["connector"]], "the end of all runs")
        wait_for(lambda: not self.strays(), "the end of all workers")
        wait_for(lambda: not world.place.left_over(), "the end of all that they had started")

    def check_quiet(self, exact):
        world = self.world
        with live(world.history_path) as history:
            world.promises.check(history, whole=True)
            for name in world.names:
                check_cursor(history, name, world.place.items_path(name))
                check_items(history, name, world.place.items_path(name), exact)

    def check_schedules(self):
        """They go on."""
        world = self.world
        due = {name for index, name in enumerate(world.names) if is_scheduled(index)}
        with live(world.history_path) as history:
            last, = history.execute("SELECT ifnull(max(row), 0) FROM runs").fetchone()
        for name in world.names:
            world.set_active(name, True)

        def began():
            with live(world.history_path) as history:
                return due <= {name for name, in history.execute(
                    "SELECT name FROM runs JOIN connectors ON connectors.key = connector WHERE row > ? AND"
                    " trigger IN ('schedule', 'catch-up')", (last,))}

        wait_for(began, f"a run by schedule of each of {sorted(due)}", SCHEDULES_SEC)

    def be_quiet(self):
        self.settle()
        self.check_quiet(exact=False)
        self.check_schedules()

    def finish(self):
        """The next worker tells what is still untold of those that were killed, so that all is exact in the end."""
        world = self.world
        self.be_quiet()
        for name in world.names:
            world.client.start(name)
        self.settle()
        self.check_quiet(exact=True)
        expect(world.n_answers > world.n_refused, "nothing was answered")
        expect(not world.broken, world.broken[:1])
        world.place.check_end()

    # ---- All of it

    def run(self, n_kills):
        self.start()
        while self.kills.total() < n_kills:
            before = self.kills.total()
            self.world.load()
            self.moment()
            self.kill()
            self.check_strays()
            expect(not self.world.broken, self.world.broken[:1])
            if before // QUIET_EVERY != self.kills.total() // QUIET_EVERY:
                self.be_quiet()
                print(self.figures(), flush=True)
        self.finish()

    def figures(self):
        world = self.world
        with live(world.history_path) as history:
            runs = dict(history.execute("SELECT ifnull(outcome, state), count(*) FROM runs GROUP BY 1"))
            n_events, = history.execute("SELECT count(*) FROM events").fetchone()
        kills = ", ".join(f"{n} {what}" for what, n in sorted(self.kills.items()))
        return (f"{self.kills.total()} kills ({kills}); {world.n_answers} calls answered, {world.n_refused} of them refused or cut"
                f" off; {n_events} events; runs: {runs}; slowest start {self.slowest_start:.2f} s")


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--connectors", type=int, default=24)
    parser.add_argument("--machine", metavar="BUILD", type=Path, help="in a container, with what is installed from there")
    parser.add_argument("--expect-broken", action="store_true", help="succeed only if a broken promise is found")
    return parser.parse_args()


def tell(campaign, error):
    traceback.print_exception(error)
    print("what was done last:", *campaign.world.diary, sep="\n  ")
    print("the daemon's last words:", *campaign.world.place.log(), sep="\n  ")


def main():
    arguments = parse_arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("terminated"))
    seed = random.SystemRandom().randrange(1 << 32) if arguments.seed is None else arguments.seed
    print(f"seed {seed}", flush=True)
    begin = time.monotonic()
    found = None
    with tempfile.TemporaryDirectory(prefix="syncrun-fault-") as folder:
        place = Booted(Path(folder), arguments.machine) if arguments.machine else PrivatePlace(Path(folder))
        campaign = Campaign(World(place, random.Random(seed), arguments.connectors))
        try:
            campaign.run(arguments.kills)
        except AssertionError as error:
            found = error
            if not arguments.expect_broken or not isinstance(error, Broken):
                tell(campaign, error)
        finally:
            print(f"{campaign.figures()}; {time.monotonic() - begin:.0f} s", flush=True)
            campaign.world.close()
    if arguments.expect_broken:
        print(f"found: {found}")
        return 0 if isinstance(found, Broken) else 1
    if found:
        print(f"seed {seed}: {found}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
