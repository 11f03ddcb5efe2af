# SPDX-License-Identifier: LGPL-2.1-or-later
"""Webhooks of the installed system, sent by the units as they are installed, with all that is forbidden to them: news of runs by
the daemon, records by a connector's worker."""

import json
import time

import pytest
from machine import RUN_TIMEOUT_SEC
from syncrun import Syncrun

PORT = 8099

# Says what it has got: a line of the journal for each request.
RECEIVER = f"""#!/usr/bin/python3
import http.server, json, os, socket

class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        data = body["data"]
        print(self.path, body["type"], len(data.get("new", [])), flush=True)
        self.send_response(204)
        self.end_headers()

server = http.server.ThreadingHTTPServer(("127.0.0.1", {PORT}), Handler)
socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).sendto(b"READY=1", os.environ["NOTIFY_SOCKET"])
server.serve_forever()
"""

SETTINGS = "[Webhooks]\nAllowHTTP=yes\nAllowAddressLiterals=yes\nAllowPrivateAddresses=yes\n"


@pytest.fixture
def syncrun(machine):
    machine.run("systemctl", "add-wants", "test.target", "syncrund.service")
    machine.write("/usr/local/bin/receiver", RECEIVER, mode=0o755)
    machine.write("/etc/syncrun/syncrun.conf", SETTINGS)
    machine.run("systemd-run", "--unit=receiver", "--service-type=notify", "/usr/local/bin/receiver")
    yield Syncrun(machine)
    machine.run("systemctl", "stop", "receiver.service")


def test_both_kinds_are_delivered(machine, syncrun):
    def said(text):
        return machine.wait_journal("_SYSTEMD_UNIT=receiver.service", f"MESSAGE={text}")

    url = f"http://127.0.0.1:{PORT}"
    syncrun.call("Reload")
    syncrun.call("AddWebhookEndpoint", "sa{sv}", f"{url}/news", 0)
    syncrun.add_pull("house", 1, 10, pipeline=f"[Destination]\nType=webhook\nUrl={url}/records\n")
    run = syncrun.wait_end(syncrun.start("house"))
    assert (run["outcome"], run["counts"]["added"]) == ("succeeded", 10)
    said("/records records.synced 10")
    said("/news sync.started 0")
    said("/news sync.completed 0")
    listed, until = [], time.monotonic() + RUN_TIMEOUT_SEC
    while len(listed) < 3:  # the last one may have been got, and its answer not yet
        assert time.monotonic() < until, listed
        listed = json.loads(machine.output("syncrunctl", "deliveries", "--json=short", "house"))["deliveries"]
    assert {entry["kind"] for entry in listed} == {"records", "lifecycle"}
    assert all(entry["succeeded"] for entry in listed)
