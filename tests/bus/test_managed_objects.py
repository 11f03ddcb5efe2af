# SPDX-License-Identifier: LGPL-2.1-or-later
"""GetManagedObjects() is bounded: a bus throws out who sends more than it takes, and anybody may ask."""

import json

from gi.repository import Gio, GLib
from harness import CONNECTOR, MANAGER, NAME, PATH, connector_path

USER = "7f9c0d5e-1111-4222-8333-444455556666"
BYTES_MAX = 8 * 1024 * 1024  # MANAGED_OBJECTS_BYTES_MAX
METADATA = {"a": "x" * 16300}
AT_A_TIME = 200


def report(client, first, number):
    events = [{"run_id": f"r{i}", "user_id": USER, "provider": "garmin", "source": "sdk", "stage": "fetching",
               "status": "in_progress", "metadata": METADATA} for i in range(first, first + number)]
    client.manager("ReportEvents", "(s)", json.dumps(events))


def managed_bytes(client):
    """The size of the reply, or None where it is refused."""
    try:
        reply = client.bus.call_sync(NAME, PATH, "org.freedesktop.DBus.ObjectManager", "GetManagedObjects", None, None,
                                     Gio.DBusCallFlags.NONE, 30000, None)
        return reply.get_size()
    except GLib.Error as error:
        assert Gio.DBusError.get_remote_error(error) == "org.freedesktop.DBus.Error.LimitsExceeded"
        assert f"{MANAGER}" in error.message and "DescribeConnectors()" in error.message
        return None


def test_at_the_limit_and_one_above(daemon, client):
    empty = managed_bytes(client)
    report(client, 0, 1)
    each = managed_bytes(client) - empty
    first = (BYTES_MAX - empty) // each * 9 // 10 # what it is thought to be is above what is sent, by little
    done = 1
    while done < first:
        number = min(AT_A_TIME, first - done)
        report(client, done, number)
        done += number
    for done in range(first, first + 100):
        report(client, done, 1)
        now = managed_bytes(client)
        if now is None:
            break
        assert now <= BYTES_MAX
    assert now is None and done > first, "the limit is further away"
    assert client.get(connector_path("bank"), CONNECTOR, "Name") == "bank"
    assert len(client.describe("DescribeRuns", limit=10)["runs"]) == 10
