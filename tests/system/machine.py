# SPDX-License-Identifier: LGPL-2.1-or-later
"""A machine for a test: a real systemd as PID 1, with journald, dbus-daemon and polkitd, booted in a container.

Its file system is an overlay: below it this machine's own, above it a tmpfs with what `meson install` installs. So it
has every program that this machine has, nothing that it does is seen outside, and it boots in well under a second.
Commands run in it by nsenter. power_loss() kills all of it at once; boot() after that finds the files as they were.

It needs root and systemd-container. Where it cannot boot a test fails, and says why: it is not skipped.
What a test wants to know about syncrun does not belong here.
"""

import contextlib
import ctypes
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import uuid
from pathlib import Path

BOOT_TIMEOUT_SEC = 120
RUN_TIMEOUT_SEC = 120
TASKS_MAX = 8192  # of a machine that counts them: what a test lets loose does not get out of it
PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
CLONE_NEWNS = 0x00020000
MS_REC, MS_PRIVATE = 0x4000, 0x40000

# What the machine boots into: basic.target with the bus, and whatever a test adds with "systemctl add-wants".
TARGET = """
[Unit]
Description=Machine of a test
Requires=basic.target dbus.service
After=basic.target dbus.service
AllowIsolate=yes
"""

# The distribution's timers would do their daily work in the middle of a test.
MASKED = ["timers.target", "systemd-networkd.service", "systemd-resolved.service", "systemd-timesyncd.service"]

# Before PID 1 on a host whose pids controller is none of cgroup2's.
PIDS_INIT = """#!/bin/sh
umount /sys/fs/cgroup/pids
mount -t cgroup -o nosuid,noexec,nodev,pids cgroup /sys/fs/cgroup/pids
exec /usr/lib/systemd/systemd-itself "$@"
"""


class MachineError(Exception):
    """The machine cannot be made or booted."""


def private_mounts():
    """Give this process mounts of its own: the kernel takes them away with its last process, however that ends."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNS) != 0 or libc.mount(None, b"/", None, MS_REC | MS_PRIVATE, None) != 0:
        raise MachineError(
            f"no mount namespace of its own ({os.strerror(ctypes.get_errno())}): the tests of the installed system"
            " boot systemd in a container and must run as root with CAP_SYS_ADMIN"
        )


def cgroup_mounts():
    """Of each hierarchy of cgroups where it is: cgroup2, and those of version 1 by their controllers or name."""
    found = {}
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        before, after = line.split(" - ")
        kind, _, options = after.split()[:3]
        for option in [kind] if kind == "cgroup2" else options.split(",") if kind == "cgroup" else []:
            found[option] = Path(before.split()[4])
    if "cgroup2" not in found:
        raise MachineError("no cgroup2 file system is mounted, and systemd needs one")
    return found


def call(*argv):
    done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode != 0:
        raise MachineError(f"{' '.join(argv)}: {done.stdout.strip()}")


def install_build(build, folder):
    """What `meson install` installs, for machines to have."""
    call("meson", "install", "-C", str(build), "--no-rebuild", "--quiet", "--destdir", str(folder))


def wait_event(cgroup, wanted):
    """Until cgroup.events has the line; the kernel tells of each change of it by POLLPRI."""
    with (cgroup / "cgroup.events").open() as events:
        poll = select.poll()
        poll.register(events, select.POLLPRI)
        while wanted not in events.read().splitlines():
            poll.poll(1000)
            events.seek(0)


class Machine:
    """One machine; use it as a context manager. The constructor lays out its files, boot() starts it."""

    def __init__(self, installed=None, counts_tasks=False):
        for program in ("systemd-nspawn", "nsenter", "dbus-daemon"):
            if not shutil.which(program, path=PATH):
                raise MachineError(f"{program} is missing (make deps installs it)")
        self.name = "syncrun-test-" + uuid.uuid4().hex[:12]
        self.process = self.leader = None
        self.hierarchies = cgroup_mounts()
        self.cgroup = self.hierarchies["cgroup2"] / self.name
        self.folder = Path(tempfile.mkdtemp(prefix="syncrun-machine-"))
        self.root = self.folder / "root"
        self.console = self.folder / "console"
        call("mount", "-t", "tmpfs", "-o", "mode=0755", "tmpfs", str(self.folder))
        for name in ("root", "upper", "work"):
            (self.folder / name).mkdir()
        layers = f"lowerdir=/,upperdir={self.folder}/upper,workdir={self.folder}/work"
        call("mount", "-t", "overlay", "overlay", "-o", layers, str(self.root))
        self.lay_out()
        if installed:
            self.install(installed)
        self.joined = [self.cgroup]
        self.unified = True
        if counts_tasks:
            self.lay_out_pids()
        for cgroup in self.joined:
            cgroup.mkdir()
        if counts_tasks:
            (self.joined[-1] / "pids.max").write_text(str(TASKS_MAX))

    def lay_out_pids(self):
        """PID 1 in there is to have the controller of pids. One of version 1 is none of cgroup2's, and nspawn gives it to
        read alone."""
        if "pids" not in self.hierarchies:
            (self.hierarchies["cgroup2"] / "cgroup.subtree_control").write_text("+pids")
            return
        if "name=systemd" not in self.hierarchies:
            raise MachineError("the controller of pids is mounted apart from cgroup2, without systemd's own hierarchy")
        self.unified = False
        self.joined += [self.hierarchies[name] / self.name for name in ("name=systemd", "pids")]
        init = Path(f"{self.root}/usr/lib/systemd/systemd")
        init.rename(init.with_name("systemd-itself"))
        self.write("/usr/lib/systemd/systemd", PIDS_INIT, mode=0o755)

    def tasks_of(self, unit):
        """The cgroup of a unit where the kernel counts its processes; only with counts_tasks."""
        (found,) = self.joined[-1].glob(f"**/{unit}")
        return found

    def install(self, tree):
        """Lay the files of a tree over its root, whether it runs or not."""
        # /lib is a link in the root, and a folder in what was installed.
        unpack = f"tar -C '{self.root}' -x --no-same-owner --no-overwrite-dir --keep-directory-symlink"
        call("sh", "-c", f"tar -C '{tree}' -c . | {unpack}")

    def lay_out(self):
        units = self.root / "etc/systemd/system"
        (units / "test.target").write_text(TARGET)
        for name in MASKED:
            (units / name).unlink(missing_ok=True)
            (units / name).symlink_to("/dev/null")
        self.write("/etc/machine-id", uuid.uuid4().hex + "\n")
        self.write("/etc/hostname", "syncrun-test\n")
        shutil.rmtree(self.root / "var/log/journal", ignore_errors=True)
        (self.root / "var/log/journal").mkdir(parents=True)  # the journal outlives a boot

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.power_loss()
        for top in set(self.hierarchies.values()):  # nspawn makes one in that of systemd, too
            for cgroup in sorted((top / self.name).glob("**/"), key=lambda path: -len(path.parts)):
                cgroup.rmdir()
        call("umount", str(self.root))
        call("umount", str(self.folder))
        self.folder.rmdir()

    def write(self, path, text, mode=0o644):
        """A file in the machine, whether it runs or not; not below /run or /tmp, which each boot makes anew."""
        target = Path(f"{self.root}{path}")
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.is_symlink():
            target.unlink()
        target.write_text(text)
        target.chmod(mode)

    def boot(self):
        """Start it, and wait until systemd says that it is up."""
        notify_path = self.folder / "notify"
        notify_path.unlink(missing_ok=True)
        notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        notify.bind(str(notify_path))
        environment = {"PATH": PATH, "NOTIFY_SOCKET": str(notify_path)}
        if self.unified:
            environment["SYSTEMD_NSPAWN_UNIFIED_HIERARCHY"] = "1"
        command = ["systemd-nspawn", "--quiet", "--directory", str(self.root), "--machine", self.name, "--boot"]
        command += ["--register=no", "--keep-unit", "--private-network", "--link-journal=no", "--notify-ready=yes"]
        command += ["systemd.unit=test.target", "systemd.show_status=no", "systemd.firstboot=no"]
        # A cgroup of its own keeps machines apart that run at the same time, and is the means to kill one as a whole.
        joins = "".join(f"echo $$ >{group}/cgroup.procs && " for group in self.joined)
        join = f'{joins}exec setpriv --pdeathsig KILL "$@"'
        with self.console.open("w") as console:
            self.process = subprocess.Popen(
                ["sh", "-c", join, "sh", *command],
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=subprocess.STDOUT,
                env=environment,
            )
        with notify:
            self.wait_ready(notify)
        return self

    def wait_ready(self, notify):
        exited = os.pidfd_open(self.process.pid)
        deadline = time.monotonic() + BOOT_TIMEOUT_SEC
        ready = False
        try:
            while not ready:
                readable, _, _ = select.select([notify, exited], [], [], max(0, deadline - time.monotonic()))
                if notify not in readable:
                    why = "it ended" if exited in readable else f"it was not up within {BOOT_TIMEOUT_SEC} s"
                    raise MachineError(
                        f"systemd does not boot in a container here: {why}. systemd-nspawn and systemd said:\n"
                        + self.console.read_text(errors="replace")[-4000:]
                    )
                lines = notify.recv(65536).decode().splitlines()
                for line in lines:
                    if line.startswith("X_NSPAWN_LEADER_PID="):
                        self.leader = int(line.partition("=")[2])
                ready = "READY=1" in lines and self.leader is not None
        finally:
            os.close(exited)

    def power_loss(self):
        """Everything in it dies at once; the files stay as they are."""
        if self.process is None:
            return
        (self.cgroup / "cgroup.kill").write_text("1")
        self.process.wait()
        self.wait_empty()

    def power_off(self):
        """An orderly shutdown."""
        self.run("systemctl", "--no-block", "poweroff")
        self.process.wait(timeout=BOOT_TIMEOUT_SEC)
        self.wait_empty()

    def wait_empty(self):
        """Until the kernel has no process of it left."""
        wait_event(self.cgroup, "populated 0")
        self.process = self.leader = None

    def units(self):
        """The cgroup below which its units have theirs."""
        lines = Path(f"/proc/{self.leader}/cgroup").read_text().splitlines()
        path, = (line.removeprefix("0::/") for line in lines if line.startswith("0::"))
        return (self.hierarchies["cgroup2"] / path).parent

    def hold_units(self):
        """PID 1 stands still: nothing is started, and what ends is not noticed, until go_on()."""
        scope = self.units() / "init.scope"
        (scope / "cgroup.freeze").write_text("1")
        wait_event(scope, "frozen 1")

    def go_on(self):
        (self.units() / "init.scope/cgroup.freeze").write_text("0")

    def argv(self, command, user=None):
        enter = ["nsenter", f"--target={self.leader}", "--mount", "--uts", "--ipc", "--net", "--pid", "--cgroup", "--"]
        clean = ["env", "-i", f"PATH={PATH}", "LC_ALL=C.UTF-8", "HOME=/root", f"SYSTEMD_BUS_TIMEOUT={RUN_TIMEOUT_SEC}s"]
        setpriv = 'exec setpriv --reuid="$0" --regid="$(id -g "$0")" --init-groups -- "$@"'
        become = ["sh", "-c", setpriv, user] if user else []
        # nsenter forks: what it runs ends with it.
        return enter + clean + become + ["setpriv", "--pdeathsig=KILL", "--", *command]

    def start(self, *command, user=None, **options):
        """A command that goes on by itself: a Popen with pipes for text."""
        options = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, **options}
        return subprocess.Popen(self.argv(command, user), text=True, cwd="/", **options)

    @staticmethod
    def end(started):
        """End what start() has started. It is a child of nsenter, which then ends by itself and leaves no zombie."""
        for child in Path(f"/proc/{started.pid}/task/{started.pid}/children").read_text().split():
            with contextlib.suppress(ProcessLookupError):  # it has ended
                os.kill(int(child), signal.SIGKILL)
        started.communicate()

    def run(self, *command, user=None, check=True, stdin="", timeout=RUN_TIMEOUT_SEC):
        """A command in the machine, as root or another user: CompletedProcess with text in stdout and stderr."""
        done = subprocess.run(
            self.argv(command, user), input=stdin, capture_output=True, text=True, timeout=timeout, cwd="/"
        )
        if check and done.returncode != 0:
            said = done.stdout + done.stderr
            raise AssertionError(f"{command} exited with {done.returncode}\n{said}\n{self.log_tail()}")
        return done

    def shell(self, script, **options):
        return self.run("sh", "-euc", script, **options)

    def output(self, *command, **options):
        return self.run(*command, **options).stdout.strip()

    def log_tail(self, lines=60):
        argv = self.argv(["journalctl", "--no-pager", "--boot", "--output=short-monotonic", f"--lines={lines}"])
        return "last lines of its journal:\n" + subprocess.run(argv, capture_output=True, text=True).stdout

    def journal(self, *matches):
        """Entries of all boots that match, oldest first, as a list of dicts."""
        self.run("journalctl", "--sync")
        text = self.output("journalctl", "--no-pager", "--output=json", *matches)
        return [json.loads(line) for line in text.splitlines()]

    def now(self):
        """A moment for wait_journal(): what was sent to the journal before has an earlier one there. The machine has the same
        monotonic clock."""
        self.run("journalctl", "--sync")
        return time.monotonic_ns() // 1000

    def wait_journal(self, *matches, after=0, timeout=RUN_TIMEOUT_SEC):
        """The first entry of this boot that matches and is younger than the moment `after`; waits for it."""
        argv = ["journalctl", "--follow", "--boot", "--lines=all", "--output=json", *matches]
        return self.wait_line(argv, lambda entry: int(entry["__MONOTONIC_TIMESTAMP"]) > after, timeout)

    def wait_line(self, argv, wanted, timeout=RUN_TIMEOUT_SEC):
        """The first line, of those of JSON that a command prints as time goes by, that is wanted; waits for it."""
        follow = self.start(*argv, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + timeout
        rest = b""
        try:
            while select.select([follow.stdout], [], [], max(0, deadline - time.monotonic()))[0]:
                data = os.read(follow.stdout.fileno(), 65536)
                if not data:
                    raise AssertionError(f"it ended: {argv}\n{self.log_tail()}")
                *lines, rest = (rest + data).split(b"\n")
                for entry in map(json.loads, lines):
                    if wanted(entry):
                        return entry
            raise AssertionError(f"no such line within {timeout} s: {argv}\n{self.log_tail()}")
        finally:
            self.end(follow)

    def properties(self, unit, *names):
        """Properties of a unit, as a dict of text."""
        text = self.output("systemctl", "show", unit, *(f"--property={name}" for name in names))
        return dict(line.split("=", 1) for line in text.splitlines())
