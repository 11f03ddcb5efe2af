# SPDX-License-Identifier: LGPL-2.1-or-later
"""The world's daemon and workers as they are installed: units of a real systemd in a container (tests/system/machine.py), which
starts them, and the daemon again after each kill, by Restart= or because somebody calls it. The campaign calls from outside, by
the socket of the machine's bus.

PID 1 stands still from just before a kill of the daemon until the history has been looked at, so that the next daemon does not
change it meanwhile. Neither unit has a start limit that kills could reach (StartLimitIntervalSec=0).
"""

import os
import shutil
import sys
from pathlib import Path

from place import SOURCE, Process, find_workers

from harness import Config, wait_for
from promises import expect

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "system"))
from machine import Machine, install_build, private_mounts
from syncrun import MSG

MSG_UNIT_PROCESS_EXIT = "98e322203f7a4ed290d09fe03c09fe15"  # systemd's own


class Booted:
    wakes = True
    starting_sec = 0.3
    batches = 5  # a run takes so much longer to start that kills would seldom meet one that stores items
    source = "/usr/local/bin/source"

    def __init__(self, folder, build):
        self.folder = folder
        private_mounts()
        tree = folder / "installed"
        install_build(build, tree)
        for variable, name in (("SYNCRUND", "syncrund"), ("SYNCRUN_WORKER_PROGRAM", "syncrun-worker")):
            program, = tree.rglob(name)
            if variable in os.environ:
                shutil.copy2(os.environ[variable], program)
        self.program = f"/{program.relative_to(tree)}"
        self.machine = Machine(tree)
        self.machine.write(self.source, SOURCE.read_text(), mode=0o755)
        wants = self.machine.root / "etc/systemd/system/test.target.wants"
        wants.mkdir(exist_ok=True)
        (wants / "syncrund.service").symlink_to("/lib/systemd/system/syncrund.service")
        self.config = Config(self.machine.root / "etc/syncrun")
        self.history_path = self.machine.root / "var/lib/syncrun/history.db"

    @property
    def address(self):
        return f"unix:path=/proc/{self.machine.leader}/root/run/dbus/system_bus_socket"

    def items_path(self, name):
        return self.machine.root / f"var/lib/private/syncrun-connector/{name}/items.db"

    # ---- The daemon

    def daemons(self):
        """Its main process; those that it has started are not PID 1's children."""
        for pid in pids(self.machine.units() / "system.slice/syncrund.service"):
            try:
                parent = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
                if parent == self.machine.leader:
                    return [Process(pid)]
            except OSError:
                continue
        return []

    def spawn(self):
        """The machine, if it is off; else PID 1 may go on, and starts what it finds dead."""
        if not self.machine.process:
            self.machine.boot()
            return
        self.machine.go_on()
        found, = wait_for(self.daemons, "the daemon's process")
        found.close()

    def kill_daemon(self):
        self.machine.hold_units()
        for daemon in self.daemons():
            daemon.kill()
            daemon.wait_end()
            daemon.close()

    # ---- Workers

    def slice(self):
        return self.machine.units() / "system.slice/system-syncrun.slice"

    def left_over(self):
        """All of the runs' processes."""
        return [pid for unit in self.slice().glob("syncrun@*.service") for pid in pids(unit)]

    def workers(self):
        return find_workers(self.left_over(), self.program)

    def kill_worker(self, worker, rng):
        """Itself, whose connector PID 1 has to end; or all of its unit."""
        if rng.random() < 0.5:
            worker.kill()
        else:
            # It may have ended.
            self.machine.run("systemctl", "kill", "--signal=KILL", f"syncrun@{worker.connector}.service", check=False)

    # ---- All of it

    def lose_power(self):
        self.machine.power_loss()

    def check_end(self):
        """Nothing of the daemon's has ended but by our kills, and each run that failed says why."""
        exits = self.machine.journal(f"MESSAGE_ID={MSG_UNIT_PROCESS_EXIT}", "UNIT=syncrund.service")
        others = {entry["MESSAGE"] for entry in exits if entry["EXIT_CODE"] != "killed" or entry["EXIT_STATUS"] not in ("9", "KILL")}
        expect(not others, "the daemon ended by itself:", others)
        for what in ("RUN_FAILED", "RUN_LOST"):
            silent = [entry for entry in self.machine.journal(f"MESSAGE_ID={MSG[what]}") if not entry.get("SYNCRUN_ERROR")]
            expect(not silent, "a run failed without a reason:", silent[:1])

    def reap(self):
        pass

    def log(self):
        return self.machine.log_tail().splitlines() if self.machine.process else []

    def close(self):
        self.machine.__exit__()


def pids(unit):
    """Of a unit's processes; none where the unit is gone."""
    try:
        return (unit / "cgroup.procs").read_text().split()
    except OSError:
        return []
