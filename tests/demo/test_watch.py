# SPDX-License-Identifier: LGPL-2.1-or-later
"""On a terminal the demo stays: syncs go on, whoever has the key that it prints can watch, and an interrupt ends it all."""

import json
import os
import pty
import re
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
TIMEOUT_SEC = 120


def read_until(end, words):
    text = ""
    while words not in text:
        text += os.read(end, 65536).decode(errors="replace")
    return text


def ask(url, key=None):
    request = urllib.request.Request(url, headers={"X-API-Key": key} if key else {})
    return urllib.request.urlopen(request, timeout=TIMEOUT_SEC)


def test_it_stays_until_it_is_interrupted(tmp_path):
    end, terminal = pty.openpty()
    command = [sys.executable, TOP / "src/demo/demo.py", "--remote-only", "--build", os.environ["BUILD"]]
    demo = subprocess.Popen(command, stdin=terminal, stdout=terminal, stderr=terminal, start_new_session=True,
                            env={**os.environ, "TMPDIR": str(tmp_path), "TERM": "dumb"})
    os.close(terminal)
    try:
        told = read_until(end, "Ctrl+C")
        url = re.search(r"page +(http://127\.0\.0\.1:\d+)/", told)[1]
        key = re.search(r"key +(sk-[0-9a-f]{32})", told)[1]
        assert b"<!doctype html>" in ask(url + "/").read().lower()
        lines = re.findall(r"^curl .*$", told.replace("\r", ""), re.M)
        assert len(lines) >= 6 and all(f"{url}/" in line for line in lines)
        for line in lines:
            if " -N " not in line:
                subprocess.run(f"{line} -fsS -o /dev/null --max-time {TIMEOUT_SEC}", shell=True, check=True)
        listed = json.load(ask(url + "/v1/connectors", key))["connectors"]
        assert re.search(r"syncs +(\S.*)", told)[1].strip() == ", ".join(sorted(c["name"] for c in listed))  # as the page lists them
        assert any(c["nextRunAt"] for c in listed)
        with ask(url + "/api/v1/sync/stream?replay=1", key) as events:
            wanted = {b'"provider":"garmin"', b'"message":"Album Garden"', b'"connector":"orders"'}
            for line in events:
                wanted -= {part for part in wanted if part in line and (b"orders" not in part or b'"completed"' in line)}
                if not wanted:
                    break
        assert json.load(ask(url + "/v1/connectors/orders/deliveries", key))["deliveries"]
        os.killpg(demo.pid, signal.SIGINT)
        told = ""
        try:
            while part := os.read(end, 65536):
                told += part.decode()
        except OSError:
            pass  # the other side of the terminal is gone
        assert "All of it ends" in told
        assert demo.wait(TIMEOUT_SEC) == 0
        assert list(tmp_path.iterdir()) == []
    finally:
        # It ends what it has started, if it still runs.
        demo.send_signal(signal.SIGINT)
        demo.wait(TIMEOUT_SEC)
        os.close(end)
