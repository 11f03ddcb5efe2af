# SPDX-License-Identifier: LGPL-2.1-or-later
"""A hundred thousand messages that wait for an endpoint that is dead cost the others nothing. (What memory is taken beside them,
tests/bench/bench-webhooks.py says.)"""

import json
import os
import sqlite3
import time
from pathlib import Path

from harness import wait_for
from webhooks import USER

N_WAITING = 100000
N_SENT = 400

# Of each of two endpoints, as of runs of their own: all of them are due.
FILL = """
WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?1)
INSERT INTO webhook_messages (id, type, user_id, run_id, run_created_usec, created_usec, body)
SELECT 'msg_' || i, 'sync.completed', ?2, 'waiting' || i, 1, ?3, '{"n":' || i || '}' FROM n
"""
LINK = """
INSERT INTO webhook_deliveries (message, endpoint, lane, state, due_usec)
SELECT m.key, e.key, m.run_id, 'pending', m.created_usec + m.key FROM webhook_messages AS m, webhook_endpoints AS e
WHERE m.id LIKE 'msg_%' AND m.run_id LIKE 'waiting%' AND e.url = ?
"""


def cpu_sec(daemon):
    fields = Path(f"/proc/{daemon.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def send(daemon, client, receiver, prefix):
    """What the daemon takes of the processor until a receiver has so many messages more."""
    begun, before = cpu_sec(daemon), len(receiver.requests)
    client.manager("ReportEvents", "(s)", json.dumps([
        {"run_id": f"{prefix}{n}", "user_id": USER, "provider": "test", "source": "sdk", "stage": "completed", "status": "success"}
        for n in range(N_SENT)]))
    wait_for(lambda: len(receiver.requests) >= before + N_SENT, "all messages to be taken")
    return cpu_sec(daemon) - begun


def test_what_waits_for_the_dead(begin, receivers, new_daemon, client):
    alive, dead = receivers(), "http://127.0.0.1:1/"
    webhooks = begin(retry="5s 5min", more=f"MessagesMax={2 * N_WAITING}")
    webhooks.add(alive.url())
    alone = send(new_daemon, client, alive, "alone")
    dead_endpoint = webhooks.add(dead)
    new_daemon.stop()
    with sqlite3.connect(new_daemon.state / "history.db") as history:
        history.execute(FILL, (N_WAITING, USER, int((time.time() - 3600) * 1e6)))
        assert history.execute(LINK, (dead,)).rowcount == N_WAITING
    new_daemon.start()
    beside = send(new_daemon, client, alive, "beside")
    assert len({request.id for request in alive.requests}) == 2 * N_SENT
    with sqlite3.connect(f"file:{new_daemon.state / 'history.db'}?mode=ro", uri=True) as history:
        waiting, = history.execute("SELECT count(*) FROM webhook_deliveries WHERE state IN ('pending', 'waiting')").fetchone()
    assert waiting >= N_WAITING
    wait_for(lambda: webhooks.attempts(endpoint=dead_endpoint), "an attempt to reach the dead one")
    # Whoever went through what waits for each message that is sent would take eight times as much.
    assert beside < 3 * alone + 0.2, (alone, beside)
