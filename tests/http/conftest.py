# SPDX-License-Identifier: LGPL-2.1-or-later

import pytest
from server import ALICE, BOB, Reporter, Shim, add_key
from harness import Client, Daemon, PrivateBus


@pytest.fixture
def bus():
    private_bus = PrivateBus()
    yield private_bus
    private_bus.close()


@pytest.fixture
def client(bus):
    connection = Client(bus.address)
    yield connection
    connection.close()


@pytest.fixture
def daemon(bus, tmp_path):
    """A daemon with a connector of Alice's, one of Bob's and one of nobody's."""
    instance = Daemon(bus, tmp_path)
    instance.add("bank", User=ALICE, Connection="my-bank")
    instance.add("mail", User=BOB)
    instance.add("off", Enabled="no")
    yield instance.start()
    instance.close()


@pytest.fixture
def new_shim(bus, daemon):
    """Starts a server with these settings."""
    shims = []

    def start(settings=""):
        shims.append(Shim(bus, daemon.config, settings))
        return shims[-1].start()

    yield start
    for shim in shims:
        shim.close()


@pytest.fixture
def shim(new_shim):
    return new_shim()


@pytest.fixture
def key(daemon, client):
    """A key that may do everything."""
    return add_key(client)


@pytest.fixture
def reporter(daemon, client):
    made = Reporter(client)
    made.say("first", user=ALICE)
    made.say("first", user=BOB)
    return made
