# SPDX-License-Identifier: LGPL-2.1-or-later
"""What waits in the daemon for an answer of the bus is limited: each limit, and one above."""

import re
from pathlib import Path

import pytest
from harness import MANAGER, PATH, WORKER, CallError, Client, connector_path, frozen, wait_for

# Fewer than answers that the bus lets a connection wait for.
CALLS_PER_CLIENT = 64

SOURCE = Path(__file__).resolve().parents[2] / "src/bus"


def limit(file, name):
    return int(re.search(rf"#define {name} +(\d+)U", (SOURCE / file).read_text())[1])


@pytest.fixture
def newcomer(daemon):
    """Of whom the daemon knows nothing yet: it has to ask the bus."""
    clients = []

    def make():
        clients.append(Client(daemon.address))
        return clients[-1]

    yield make
    for client in clients:
        client.close()


def all_at_once(daemon, batches):
    """The calls of each batch reach the daemon before any answer that it asks the bus for."""
    with frozen(daemon.process):
        answers = []
        for client, calls in batches:
            answers += [client.start_call(*call) for call in calls]
            client.bus.flush_sync(None)
            # the bus answers in order: it has passed on all that came before
            client.bus.call_sync("org.freedesktop.DBus", "/", "org.freedesktop.DBus", "GetId", None, None, 0, -1, None)
    wait_for(lambda: all(answers), "all answers")
    assert all(isinstance(answer, CallError) for answer, in answers)
    return [answer.name for answer, in answers]


def test_calls_of_one_that_may_be_the_worker(daemon, newcomer):
    most = limit("worker-object.c", "WORKER_WAITING_MAX")
    call = (connector_path("bank"), WORKER, "Attach")
    assert all_at_once(daemon, [(newcomer(), [call] * most)]) == ["NotAllowed"] * most
    assert sorted(all_at_once(daemon, [(newcomer(), [call] * (most + 1))])) == ["NotAllowed"] * most + ["QueueFull"]


def test_checks_of_those_that_may_be_workers(daemon, client, newcomer):
    most = limit("worker-object.c", "WORKER_CHECKS_MAX")
    for n in range(CALLS_PER_CLIENT):
        daemon.add(f"c{n}")
    client.manager("Reload")

    def batches(n):
        calls = [(connector_path(f"c{i}"), WORKER, "Attach") for i in range(CALLS_PER_CLIENT)]
        return [(newcomer(), calls[:min(CALLS_PER_CLIENT, n - at)]) for at in range(0, n, CALLS_PER_CLIENT)]

    assert set(all_at_once(daemon, batches(most))) == {"NotAllowed"}
    names = all_at_once(daemon, batches(most + 1))
    assert names.count("QueueFull") == 1 and names[-1] == "QueueFull" and set(names[:-1]) == {"NotAllowed"}


NOTHING = (PATH, MANAGER, "CancelRun", "(s)", "nothing")


def test_calls_of_one_of_whom_nobody_knows_who_it_is(daemon, newcomer):
    most = limit("access.h", "ACCESS_WAITING_PER_SENDER_MAX")
    assert all_at_once(daemon, [(newcomer(), [NOTHING] * most)]) == ["NoSuchRun"] * most
    names = all_at_once(daemon, [(newcomer(), [NOTHING] * (most + 1)), (newcomer(), [NOTHING])])
    assert names[:most] == ["NoSuchRun"] * most and names[most:] == ["QueueFull", "NoSuchRun"]


def test_calls_of_all_of_whom_nobody_knows_who_they_are(daemon, newcomer):
    """One who comes with little has a place, and one who is known needs none. More come than ACCESS_LOOKUPS_AT_ONCE_MAX."""
    each = CALLS_PER_CLIENT // 2
    whole = limit("access.h", "ACCESS_WAITING_MAX")
    known = newcomer()
    assert all_at_once(daemon, [(known, [NOTHING])]) == ["NoSuchRun"]

    def flood():
        return [(newcomer(), [NOTHING] * each) for _ in range(whole // each)]

    assert set(all_at_once(daemon, flood())) == {"NoSuchRun"}
    names = all_at_once(daemon, [*flood(), (newcomer(), [NOTHING]), (known, [NOTHING] * CALLS_PER_CLIENT)])
    flooding, others = names[:whole], names[whole:]
    assert flooding.count("QueueFull") == 1 and flooding.count("NoSuchRun") == whole - 1
    assert set(others) == {"NoSuchRun"}
