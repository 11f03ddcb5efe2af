# SPDX-License-Identifier: LGPL-2.1-or-later
"""The installed system beside those who mean no good: what they do is held, and others are served meanwhile.

What a hostile connector makes its worker hold: tests/worker/test_hostile.py. How long a call waits: tests/bench/bench-hostile.py.
"""

import errno
import select

import pytest
from machine import Machine
from syncrun import Syncrun

TASKS_MAX = 512  # of syncrun@.service

# Each process of it forks on, as soon as it can. None hears SIGTERM, but for the first one if it shall.
BOMB = """#!/usr/bin/perl
$SIG{TERM} = 'IGNORE';
if (@ARGV and fork()) {
        $SIG{TERM} = 'DEFAULT';
        sleep;
}
while (1) {
        fork() // select(undef, undef, undef, 1);
}
"""

RULE = """
polkit.addRule(function(action, subject) {
        if (action.id == "org.syncrun1.trigger" && subject.user == "bin")
                return polkit.Result.YES;
});
"""
FLOOD = ("16", "16")  # connections, calls under way on each


@pytest.fixture(scope="module")
def own(installed):
    with Machine(installed, counts_tasks=True) as machine:
        machine.write("/usr/local/bin/bomb", BOMB, mode=0o755)
        machine.write("/etc/polkit-1/rules.d/10-bin.rules", RULE)
        machine.boot()
        machine.run("systemctl", "add-wants", "test.target", "syncrund.service")
        yield Syncrun(machine)


def wait_change(path, condition):
    """Until that is so; the kernel tells of each change of such a file by POLLPRI."""
    with path.open() as events:
        poll = select.poll()
        poll.register(events, select.POLLPRI)
        while not condition(events.read()):
            poll.poll(1000)
            events.seek(0)


def wait_held(tasks):
    """Until the kernel has refused it another process from now on."""
    before = int((tasks / "pids.events").read_text().split()[1])
    wait_change(tasks / "pids.events", lambda text: int(text.split()[1]) > before)
    numbers = {path.name: int(path.read_text()) for path in tasks.glob("pids.*") if path.name != "pids.events"}
    # Not pids.current, which counts one that is being refused until it is.
    assert numbers["pids.max"] == TASKS_MAX
    assert numbers.get("pids.peak", TASKS_MAX) == TASKS_MAX  # older kernels do not tell


def wait_gone(machine, unit):
    """Until no process of it is left; PID 1 may have taken its cgroup away by now."""
    for group in machine.cgroup.glob(f"**/{unit}"):
        try:
            wait_change(group / "cgroup.events", lambda text: "populated 0" in text)
        except OSError as error:
            assert error.errno in (errno.ENOENT, errno.ENODEV)


def others_run(own):
    """Runs of others succeed: one that is started by hand, and one by its schedule."""
    before = own.machine.now()
    own.add_pull("timed", 1, 10, provider="other", schedule="OnCalendar=*:*:*", reload=False)
    own.add_pull("asked", 1, 10, provider="other")
    assert own.wait_end(own.start("asked"))["outcome"] == "succeeded"
    assert own.wait("RUN_SUCCEEDED", "SYNCRUN_CONNECTOR=timed", after=before)["SYNCRUN_TRIGGER"] == "schedule"
    own.remove("timed")


# ---- A connector that forks without end


def test_connectors_that_fork_without_end(own):
    """TasksMax= holds them, others are served meanwhile; one is cancelled, of the other nobody cares."""
    own.add("fuse", "/usr/local/bin/bomb hears", reload=False)
    own.add("bomb", "/usr/local/bin/bomb", run="TimeoutSec=2")
    assert own.machine.properties("syncrun@fuse.service", "TasksMax") == {"TasksMax": str(TASKS_MAX)}
    cancelled = own.start("fuse")
    own.wait("RUN_STARTED", f"SYNCRUN_RUN_ID={cancelled}")
    tasks = own.machine.tasks_of("syncrun@fuse.service")
    wait_held(tasks)
    forgotten = own.start("bomb")
    others_run(own)
    wait_held(tasks)
    assert own.run(cancelled)["state"] == "running"
    own.call("CancelRun", "s", cancelled)
    assert own.wait_end(cancelled)["outcome"] == "cancelled"
    wait_gone(own.machine, "syncrun@fuse.service")
    own.add_pull("fuse", 1, 10)
    assert own.wait_end(own.start("fuse"))["outcome"] == "succeeded"

    ended = own.wait_end(forgotten)
    assert ended["outcome"] == "failed" and "TimeoutSec=" in ended["error"]
    wait_gone(own.machine, "syncrun@bomb.service")
    own.add_pull("bomb", 1, 10)
    assert own.wait_end(own.start("bomb"))["outcome"] == "succeeded"


# ---- A flood of calls


def flood_beside(own, what, user, capsys):
    """How many of its calls were answered in which way; others' runs succeed meanwhile, and others' calls are answered."""
    names = [own.add_pull(f"flooded{i}", 1, 10, reload=False) for i in range(4)]
    own.call("Reload")
    with own.caller(what, *FLOOD, *names, user=user) as answers, own.caller("ask", "2", "daemon", user="daemon") as waits:
        others_run(own)
    with capsys.disabled():
        print(f"\nbeside a {what} of StartRun() by {user}, {dict(*answers)}: a call of another waits, in ms: {dict(*waits)}")
    assert own.machine.properties("syncrund.service", "NRestarts")["NRestarts"] == "0"
    return answers[0], names


def test_a_flood_that_polkit_refuses(own, capsys):
    """Over fresh connections again and again, of which the daemon has to ask first whose they are."""
    answers, names = flood_beside(own, "flood-anew", "nobody", capsys)
    assert answers.keys() <= {"org.freedesktop.DBus.Error.InteractiveAuthorizationRequired", "org.syncrun1.Error.QueueFull"}
    assert [own.runs(name) for name in names] == [[]] * len(names)


def test_a_flood_that_is_allowed(own, capsys):
    answers, names = flood_beside(own, "flood", "bin", capsys)
    assert answers["done"] > 0 and answers.keys() <= {"done", "org.syncrun1.Error.QueueFull"}
    for name in names:
        for run in own.runs(name):
            assert own.wait_end(run["id"])["outcome"] == "succeeded"
