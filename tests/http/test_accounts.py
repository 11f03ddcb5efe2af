# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the routes say of the accounts of a run of the real worker."""

import json
import os
import stat

import pytest
from harness import RUN, Daemon, run_path, wait_for

STATUSES = {"checking": "success", "savings": "no_data", "visa": "failed", "depot": "success"}
SHOWN = {"success": "Success", "no_data": "No data", "failed": "Failed"}


def said():
    """Of one account after the other, the last of which is told no end."""
    yield {"type": "SCHEMA", "stream": "items", "schema": {}, "key_properties": ["id"]}
    for number, (name, status) in enumerate(STATUSES.items()):
        if status != "no_data":
            yield {"type": "RECORD", "stream": "items", "account": name, "record": {"id": number}}
        if name != "depot":
            yield {"type": "ACCOUNT", "account": name, "status": status, **({"error": "no"} if status == "failed" else {})}


@pytest.fixture
def daemon(bus, tmp_path):
    program = tmp_path / "pull"
    program.write_text("#!/bin/sh\n" + "".join(f"echo '{json.dumps(line)}'\n" for line in said()))
    program.chmod(stat.S_IRWXU)
    instance = Daemon(bus, tmp_path, worker=os.environ["SYNCRUN_WORKER_PROGRAM"])
    instance.add("bank", f"[Pipeline]\nExecPull={program}\n")
    yield instance.start()
    instance.close()


def test_each_account_has_its_duration(shim, client, key):
    run_id = client.start("bank")[0]
    wait_for(lambda: client.get(run_path(run_id), RUN, "State") == "finished", "the end")
    (entry,) = shim.get("/v1/connectors/bank/activity", key).json()["activity"]
    assert {row["account"]: row["status"] for row in entry["accounts"]} == {name: SHOWN[status] for name, status in STATUSES.items()}
    durations = [row["durationMs"] for row in entry["accounts"]]
    assert all(type(duration) is int and duration >= 0 for duration in durations)
    assert sum(durations) <= entry["durationMs"]
