# SPDX-License-Identifier: LGPL-2.1-or-later
"""Where the world's daemon and workers live, here on a private bus as our children; booted.py has a machine for them. The world
starts and kills them, and finds the bus and the files, by a place alone."""

import ctypes
import os
import select
import signal
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "bus"))
import harness
from harness import Daemon, PrivateBus

PR_SET_CHILD_SUBREAPER = 36
SOURCE = HERE / "source"


class Process:
    """One that may be killed: what is known of it stays true, as its descriptor was opened before it was looked at."""

    def __init__(self, pid):
        self.pid = int(pid)
        self.fd = os.pidfd_open(self.pid)

    def kill(self):
        try:
            signal.pidfd_send_signal(self.fd, signal.SIGKILL)
        except ProcessLookupError:
            pass

    def wait_end(self):
        select.select([self.fd], [], [], harness.TIMEOUT_SEC)

    def has_ended(self):
        return bool(select.select([self.fd], [], [], 0)[0])

    def close(self):
        os.close(self.fd)


class Worker(Process):
    def __init__(self, pid, command):
        super().__init__(pid)
        self.connector, self.settles = command[-2].decode(), b"--settle" in command


def find_workers(pids, program, wanted=lambda pid: True):
    """Those that live. To be closed by the caller."""
    found = []
    for pid in pids:
        try:
            command = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
            if command[0] != program.encode() or not wanted(pid):
                continue
            worker = Worker(pid, command)
        except OSError:
            continue
        (found.append if not worker.has_ended() else Worker.close)(worker)
    return found


class PrivatePlace:
    wakes = False  # nobody starts the daemon for a caller
    starting_sec = 0.06  # until it has done all that comes before the first call
    batches = 1  # of what each connector fetches, as many times
    source = SOURCE

    def __init__(self, folder):
        # Workers whose daemon was killed are adopted by us, and not left to a PID 1 that may not wait for them.
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        self.folder = folder
        self.bus = PrivateBus()
        self.program = os.environ["SYNCRUN_WORKER_PROGRAM"]
        self.daemon = self.config = Daemon(self.bus, folder, worker=self.program)
        self.daemon.environment["SYNCRUN_LOG_LEVEL"] = "info"
        self.history_path = self.daemon.state / "history.db"

    @property
    def address(self):
        return self.bus.address

    def items_path(self, name):
        return self.daemon.state / "connectors" / name / "items.db"

    def spawn(self):
        self.daemon.spawn()

    def kill_daemon(self):
        self.daemon.kill9()

    def workers(self):
        state = str(self.daemon.state).encode()
        return find_workers(filter(str.isdigit, os.listdir("/proc")), self.program,
                            lambda pid: state in Path(f"/proc/{pid}/environ").read_bytes())

    @staticmethod
    def kill_worker(worker, _rng):
        worker.kill()

    def lose_power(self):
        """First the workers, so that no cursor was told after the last item was stored."""
        workers = self.workers()
        for worker in workers:
            worker.kill()
        for worker in workers:
            worker.wait_end()
            worker.close()
        self.kill_daemon()

    def left_over(self):
        """What workers have started and left; here, where they have no units, it is nobody's to end."""
        return []

    def check_end(self):
        pass

    def reap(self):
        """Those that became ours because their daemon was killed."""
        try:
            while os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None:
                pid = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT).si_pid
                if pid in (self.daemon.process.pid, self.bus.process.pid):
                    return
                os.waitpid(pid, os.WNOHANG)
        except ChildProcessError:
            pass

    def log(self):
        return self.daemon.log().splitlines()[-60:]

    def close(self):
        if self.daemon.process and self.daemon.process.poll() is None:
            self.kill_daemon()
        for worker in self.workers():
            worker.kill()
            worker.wait_end()
            worker.close()
        self.reap()
        self.daemon.process = None
        self.daemon.close()
        self.bus.close()
