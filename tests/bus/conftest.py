# SPDX-License-Identifier: LGPL-2.1-or-later

import subprocess
import sys

import pytest
from harness import Client, Daemon, PrivateBus
from receiver import Receiver
from webhooks import LOCAL, USER, Webhooks


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
def new_daemon(bus, tmp_path):
    """A daemon that is not started yet."""
    instance = Daemon(bus, tmp_path)
    yield instance
    instance.close()


@pytest.fixture
def daemon(new_daemon):
    """A daemon with connectors bank, books and mail, none of which runs by itself."""
    for name in ("bank", "books", "mail"):
        new_daemon.add(name)
    return new_daemon.start()


@pytest.fixture
def polkit(bus, client):
    """polkit as python3-dbusmock plays it; everything is refused until told otherwise."""
    process = subprocess.Popen([sys.executable, "-m", "dbusmock", "--template", "polkitd"],
                               env={"DBUS_SYSTEM_BUS_ADDRESS": bus.address, "PATH": "/usr/bin:/bin"},
                               stdout=subprocess.DEVNULL)
    client.wait_name("org.freedesktop.PolicyKit1")

    def tell(method, signature, *args):
        return client.call("/org/freedesktop/PolicyKit1/Authority", "org.freedesktop.DBus.Mock", method, signature, *args,
                           destination="org.freedesktop.PolicyKit1")

    yield tell
    process.terminate()
    process.wait()


@pytest.fixture
def receivers():
    made = []

    def make(*script, **kwargs):
        made.append(Receiver(list(script), **kwargs))
        return made[-1]

    yield make
    for receiver in made:
        receiver.close()


@pytest.fixture
def begin(new_daemon, client):
    """Starts the daemon with settings for webhooks; gives its manager's webhook methods."""

    def start(retry="100ms 100ms 100ms 100ms", more=""):
        new_daemon.add("bank", User=USER)
        new_daemon.write("syncrun.conf", LOCAL.format(retry=retry, more=more))
        new_daemon.start()
        return Webhooks(client)

    return start
