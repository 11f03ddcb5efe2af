# SPDX-License-Identifier: LGPL-2.1-or-later
"""The demo's remote client, and what goes on while somebody watches. Nothing but Python's own library."""

import contextlib
import http.client
import json
import textwrap
import threading
import uuid
from urllib.parse import urlsplit

import shown

TIMEOUT_SEC = 30

# How often the connectors run while somebody watches, and something changes for them.
EVERY_SEC = {"commits": 10, "bank": 15, "packages": 60, "photos": 90, "orders": 20}
CHANGE_SEC = 5

# A sync elsewhere, of which the demo reports the progress: so many steps.
STEPS = 12


class Events:
    """Of a stream, as they come."""

    def __init__(self, response):
        self._response = response

    def __iter__(self):
        for line in self._response:
            if line.startswith(b"data: "):
                yield json.loads(line.removeprefix(b"data: "))

    def until(self, is_last):
        events = []
        for event in self:
            events.append(event)
            if is_last(event):
                break
        return events


class Remote:
    def __init__(self, url, key):
        self.url = url
        self.key = key
        self._address = urlsplit(url).netloc

    def _open(self, method, path, key, body=None):
        connection = http.client.HTTPConnection(self._address, timeout=TIMEOUT_SEC)
        connection.request(method, path, body, {"X-API-Key": key} if key else {})
        return connection, connection.getresponse()

    def request(self, method, path, key, body=None):
        connection, response = self._open(method, path, key, body)
        with contextlib.closing(connection):
            answer = response.read()
        if response.status >= 400:
            raise OSError(f"{method} {path}: {response.status} {answer.decode(errors='replace')}")
        return answer

    def get(self, path):
        return json.loads(self.request("GET", path, self.key))

    def post(self, path, body=None):
        return json.loads(self.request("POST", path, self.key, json.dumps(body or {})))

    @contextlib.contextmanager
    def stream(self, path):
        connection, response = self._open("GET", path, self.key)
        with contextlib.closing(connection):
            yield Events(response)


def report_step(remote, user, n):
    """What a watch on somebody's wrist would tell of its own sync."""
    step = n % (STEPS + 4)
    if step > STEPS:
        return
    stage = "started" if step == 0 else "completed" if step == STEPS else "fetching" if step < STEPS / 2 else "saving"
    remote.post(f"/api/v1/users/{user}/sync/events", {
        "run_id": f"watch-{n // (STEPS + 4)}", "provider": "garmin", "source": "sdk", "stage": stage,
        "status": "success" if step == STEPS else "in_progress", "message": f"{step * 40} of {STEPS * 40} samples",
        "progress": step / STEPS, "items_processed": step * 40, "items_total": STEPS * 40,
    })


def schedule(stage):
    """From here on syncrund runs the connectors by itself, and two more that are made to be watched."""
    shown.add(stage.instance)
    for name, every_sec in EVERY_SEC.items():
        folder = stage.instance.connectors / f"{name}.connector.d"
        folder.mkdir()
        (folder / "watch.conf").write_text(f"[Schedule]\nEvery={every_sec}s\n")
    stage.output("reload")
    stage.output("start", "photos")  # so that there is something to watch at once


def tell(stage, user):
    url, key = stage.remote.url, stage.remote.key
    stage.heading("Have a look yourself")
    stage.tell("""The connectors now run every few seconds, and what they sync changes; one takes its time, one sends what it has to a
        webhook, and now and then a consent expires. Open the page in a browser and sign in with the key.""")
    print(textwrap.dedent(f"""
        page   {url}/
        key    {key}
        syncs  {", ".join(sorted(EVERY_SEC))}
        """), flush=True)
    stage.tell("""Or try these. The last stream is of somebody's watch, which syncs elsewhere and reports it: it is no sync of this
        machine, so the page does not list it.""")
    print(textwrap.dedent(f"""
        curl -H 'X-API-Key: {key}' {url}/v1/connectors
        curl -H 'X-API-Key: {key}' '{url}/v1/sync-runs?limit=3'
        curl -X POST -H 'X-API-Key: {key}' {url}/v1/connectors/packages/sync-now
        curl -N -H 'X-API-Key: {key}' {url}/api/v1/sync/stream
        curl -H 'X-API-Key: {key}' {url}/metrics
        curl {url}/openapi.json
        curl -N -H 'X-API-Key: {key}' {url}/api/v1/users/{user}/sync/stream

        Ctrl+C ends all of it."""), flush=True)


def watch(stage, change):
    """Until somebody interrupts. @change makes the n-th change to what is synced."""
    user = str(uuid.uuid4())
    never = threading.Event()
    schedule(stage)
    tell(stage, user)
    n = 0
    with contextlib.suppress(KeyboardInterrupt):
        while not never.wait(1):
            report_step(stage.remote, user, n)
            n += 1
            if n % CHANGE_SEC == 0:
                change(n // CHANGE_SEC)
    with contextlib.suppress(OSError):  # the terminal may be gone
        print("\nAll of it ends, and its files with it.", flush=True)
