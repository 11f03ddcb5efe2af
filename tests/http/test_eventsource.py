# SPDX-License-Identifier: LGPL-2.1-or-later
"""Clients of Server-Sent Events that others have written: npm's `eventsource`, and a page in Chromium. Both come back by
themselves with Last-Event-ID when the server or the daemon was killed, and have seen every event once."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from server import ALICE, TIMEOUT_SEC

HERE = Path(__file__).resolve().parent.parent / "eventsource"
STREAM = f"/api/v1/users/{ALICE}/sync/stream"
BROWSER = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
           "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage"]

FOLLOW = """
    const [key, path, done] = arguments;
    window.seen = [];
    window.waiting = null;
    const told = event => {
        window.seen.push({id: event.lastEventId, data: event.data});
        if (window.waiting && window.seen.length >= window.waiting.n) {
            window.waiting.done(window.seen);
            window.waiting = null;
        }
    };
    fetch('/v1/session', {method: 'POST', headers: {'Content-Type': 'application/json'}, body: JSON.stringify({key})})
        .then(answer => {
            if (!answer.ok)
                throw new Error(answer.status);
            window.source = new EventSource(path);
            window.source.addEventListener('sync.status', told);
            window.source.addEventListener('message', event => window.seen.push({unnamed: event.data}));
            window.source.addEventListener('open', () => done(null), {once: true});
        })
        .catch(error => done(String(error)));
"""

WAIT = """
    const [n, done] = arguments;
    if (window.seen.length >= n)
        done(window.seen);
    else
        window.waiting = {n, done};
"""


class Node:
    """npm's client, in a process."""

    def __init__(self, url, key, modules):
        self.process = subprocess.Popen(["node", HERE / "follow.js", url, key], env={**os.environ, "NODE_PATH": str(modules)},
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.seen = []

    def wait(self, n):
        while len(self.seen) < n:
            self.seen.append(json.loads(self.process.stdout.readline()))
        return self.seen

    def close(self):
        self.process.stdin.close()
        self.process.stdout.close()
        assert self.process.wait(TIMEOUT_SEC) == 0


class Page:
    """A page of the server's own origin: signed in by a cookie, since a browser's EventSource sends no headers."""

    def __init__(self, origin, key, folder):
        options = Options()
        for argument in [*BROWSER, f"--user-data-dir={folder}"]:
            options.add_argument(argument)
        self.driver = webdriver.Chrome(service=Service("/usr/bin/chromedriver"), options=options)
        self.driver.set_script_timeout(TIMEOUT_SEC)
        self.driver.get(origin + "/healthz")
        assert self.driver.execute_async_script(FOLLOW, key, STREAM) is None

    def wait(self, n):
        return self.driver.execute_async_script(WAIT, n)

    def close(self):
        self.driver.quit()


@pytest.fixture(scope="module")
def modules():
    """The packages of the lock file, installed into the build folder once."""
    folder = Path(os.environ["SYNCRUN_EVENTSOURCE"])
    lock = (HERE / "package-lock.json").read_bytes()
    if not (folder / "installed").exists() or (folder / "installed").read_bytes() != lock:
        folder.mkdir(parents=True, exist_ok=True)
        for name in ("package.json", "package-lock.json"):
            shutil.copy(HERE / name, folder)
        subprocess.run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"], cwd=folder, check=True)
        (folder / "installed").write_bytes(lock)
    return folder / "node_modules"


def kill_and_follow(client, shim, daemon, reporter, key, rounds):
    """Events before, while and after each of them is away. What was seen is what a stream of bytes has, byte for byte."""
    expected = ["first"]
    for i in range(rounds):
        batch = [f"{i}.{j} „grüße\" \\ \U0001f4b8 \u2028" for j in range(20)]
        reporter.say(*batch[:10])
        shim.kill9()
        if i % 2:
            daemon.kill9()
            daemon.start()
        reporter.say(*batch[10:])
        shim.start()
        expected += batch
        client.wait(len(expected))
    reporter.say("last")
    expected.append("last")
    seen = client.wait(len(expected))
    assert [json.loads(one["data"])["message"] for one in seen] == expected
    with shim.stream(f"{STREAM}?last_event_id=0", key) as stream:
        raw = []
        while len(raw) < len(expected):
            block = stream.block()
            if not block.startswith(":"):
                raw.append(block)
    assert raw == [f"event: sync.status\nid: {one['id']}\ndata: {one['data']}" for one in seen]


def test_npm_eventsource(shim, daemon, reporter, key, modules):
    client = Node(f"http://127.0.0.1:{shim.port}{STREAM}", key, modules)
    try:
        client.wait(1)
        kill_and_follow(client, shim, daemon, reporter, key, 6)
    finally:
        client.close()


def test_a_page_in_a_browser(shim, daemon, reporter, key, tmp_path):
    page = Page(f"http://127.0.0.1:{shim.port}", key, tmp_path / "browser")
    try:
        page.wait(1)
        kill_and_follow(page, shim, daemon, reporter, key, 2)
    finally:
        page.close()


def validate(document, modules):
    script = Path(shutil.copy(HERE / "validate.mjs", modules.parent))
    return json.loads(subprocess.run(["node", script], input=json.dumps(document), capture_output=True, text=True, check=True).stdout)


def test_openapi(shim, modules):
    document = shim.get("/openapi.json").json()
    assert validate(document, modules) == {"version": "3.1", "valid": True}
    for broken in (document["paths"]["/v1/sync-runs"]["get"], document["webhooks"]["sync.failed"]["post"]):
        responses, broken["responses"] = broken["responses"], {"200": {}}
        assert not validate(document, modules)["valid"]
        broken["responses"] = responses
