# SPDX-License-Identifier: LGPL-2.1-or-later
"""A bus that starts the daemon: who has it started, and that nobody waits for as long as that takes."""

import os
import subprocess

import pytest
from harness import PrivateBus, frozen
from server import ALICE, answers, read_to_end

RUNS = "/v1/sync-runs"
EVENTS = f"/api/v1/users/{ALICE}/sync/events"


@pytest.fixture
def never(tmp_path):
    """What is started for the daemon ends only when this is written to."""
    os.mkfifo(tmp_path / "never")
    return tmp_path / "never"


@pytest.fixture
def bus(tmp_path_factory, never):
    services = tmp_path_factory.mktemp("services")
    (services / "org.syncrun1.service").write_text(f"[D-BUS Service]\nName=org.syncrun1\nExec=/bin/cat {never}\n")
    private_bus = PrivateBus(f"<servicedir>{services}</servicedir><limit name='service_start_timeout'>600000</limit>")
    yield private_bus
    os.close(os.open(never, os.O_RDWR | os.O_NONBLOCK))
    private_bus.close()


class Monitor:
    """All that passes over the bus, as lines of dbus-monitor."""

    def __init__(self, bus, client):
        self.client = client
        self.n = 0
        self.process = subprocess.Popen(["dbus-monitor", "--address", bus.address], stdout=subprocess.PIPE, text=True)
        # It gives its name up when it begins.
        assert any("member=NameLost" in line for line in self.process.stdout)

    def lines(self):
        """Those since the last time, until now."""
        self.n += 1
        mark = f"/mark/{self.n}"
        self.client.call(mark, "org.freedesktop.DBus", "GetId", destination="org.freedesktop.DBus")
        seen = []
        for line in self.process.stdout:
            if f"path={mark};" in line:
                return seen
            seen.append(line)
        raise AssertionError("dbus-monitor has ended")

    def close(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()


def look(shim, key):
    """What /healthz and /metrics say, asked at once."""
    ends = [shim.connect(), shim.connect()]
    for end, path in zip(ends, ("/healthz", "/metrics")):
        end.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nX-API-Key: {key}\r\nConnection: close\r\n\r\n".encode())
    said = [answers(read_to_end(end))[0] for end in ends]
    for end in ends:
        end.close()
    return said


@pytest.fixture
def monitor(bus, client):
    made = Monitor(bus, client)
    yield made
    made.close()


def test_a_request_starts_the_daemon_and_does_not_wait_for_it_for_long(shim, daemon, key, reporter, monitor):
    """The bus keeps no call for it, which would be delivered whenever it is there."""
    assert shim.get(RUNS, key).status == 200
    daemon.kill9()
    monitor.lines()
    answer = shim.post(EVENTS, key, reporter.event())
    assert (answer.status, answer.headers["Retry-After"]) == (503, "1")
    seen = monitor.lines()
    assert any("member=StartServiceByName" in line for line in seen)
    assert any(line.startswith("error ") for line in seen)
    daemon.start()
    assert shim.post(EVENTS, key, reporter.event()).status == 201


def test_who_looks_starts_nothing(shim, daemon, key, monitor):
    with shim.stream(f"/api/v1/users/{ALICE}/sync/stream", key):
        assert daemon.stop() == 0
        monitor.lines()
        assert [status for status, _ in look(shim, key)] == [503, 503]
        seen = monitor.lines()
        # The bus answers what asks it to start nothing, and holds back what does not say so.
        assert not any("member=StartServiceByName" in line for line in seen)
        assert any("member=Ping" in line for line in seen)
        assert sum(line.startswith("error ") for line in seen) >= 2


def test_who_looks_does_not_wait_for_a_daemon_that_hangs(shim, daemon, key):
    """Where others do: the answer comes while they still wait."""
    assert shim.get(RUNS, key).status == 200
    with frozen(daemon.process), shim.connect() as end:
        end.sendall(f"GET {RUNS}?limit=7 HTTP/1.1\r\nHost: x\r\nX-API-Key: {key}\r\n\r\n".encode())
        (health, _), (metrics, text) = look(shim, key)
        assert (health, metrics) == (503, 200) and b"syncrun_up 0" in text
        end.setblocking(False)
        with pytest.raises(BlockingIOError):
            end.recv(1)
