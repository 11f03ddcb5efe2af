# SPDX-License-Identifier: LGPL-2.1-or-later
"""Events that the server was not told: by a bus that drops signals, and by one that is another."""

import pytest
from harness import Client, PrivateBus, frozen
from server import ALICE, Reporter

PATH = f"/api/v1/users/{ALICE}/sync/stream"
ALL = "/api/v1/sync/stream"

# What a program does not read is kept for it up to here; further signals to it are dropped without a word.
KEPT_BYTES = 65536


@pytest.fixture
def bus():
    private_bus = PrivateBus(f'<limit name="max_outgoing_bytes">{KEPT_BYTES}</limit>')
    yield private_bus
    private_bus.close()


def drop_signals(shim, reporter, n, begin=0):
    """Many times what the bus and the kernel keep for a server that stands still."""
    with frozen(shim.process):
        return reporter.big(n, begin)


def test_what_the_bus_dropped_comes_before_what_follows(shim, key, reporter):
    with shim.stream(PATH, key) as stream, shim.stream(ALL, key) as wide:
        assert stream.messages(1) == ["first"] and wide.messages(2) == ["first"] * 2
        for begin in (0, 200):
            messages = [*drop_signals(shim, reporter, 200, begin), f"live {begin}"]
            reporter.say(messages[-1])
            assert stream.messages(201) == wide.messages(201) == messages


def test_the_newest_events_that_the_bus_dropped(shim, key, reporter):
    """Nothing comes after them that would show it: the server looks at each heartbeat."""
    with shim.stream(PATH, key) as stream:
        assert stream.messages(1) == ["first"]
        messages = drop_signals(shim, reporter, 200)
        assert stream.messages(200) == messages


def test_another_bus(shim, bus, daemon, key, reporter):
    """The bus is gone and comes back, and the daemon with it: streams stay open, and have all that was committed."""
    with shim.stream(PATH, key) as stream:
        assert stream.messages(1) == ["first"]
        for i in range(2):
            with frozen(shim.process):
                bus.process.kill()
                bus.process.wait()
                bus.process.stdout.close()
                daemon.process.wait()
                daemon.process = None
                bus.start()
                daemon.start()
                client = Client(bus.address)
                messages = [f"{i}.{n}" for n in range(600)]
                Reporter(client).say(*messages)
            Reporter(client).say(f"live {i}")
            assert stream.messages(601) == [*messages, f"live {i}"]
            client.close()
