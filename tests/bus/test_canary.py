# SPDX-License-Identifier: LGPL-2.1-or-later
"""Secrets are planted where they belong, and looked for everywhere else: command lines, environments, the log at its most
talkative, what is on the disk, answers and refusals. API keys have the same in test_keys.py."""

import json
import os
import stat
from pathlib import Path

from harness import RUN, CallError, Daemon, run_path, wait_for
from receiver import Receiver
from webhooks import LOCAL, Webhooks

CREDENTIAL = "canary-of-the-credential"
SIGNING = "canary-of-the-signing-secret"
TOKEN = "canary-in-the-query"
PASSWORD = "canary-of-the-user"
RECORD = '{"type":"RECORD","stream":"items","record":{"id":1}}'


def processes_of(daemon):
    """Command lines and environments of the daemon and all that it has started."""
    found = {}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            environment = Path(f"/proc/{pid}/environ").read_bytes()
            if str(daemon.state).encode() in environment:
                found[pid] = Path(f"/proc/{pid}/cmdline").read_bytes() + environment
        except OSError:
            pass
    return found


def refusal(call, *args, **kwargs):
    try:
        call(*args, **kwargs)
    except CallError as error:
        return str(error)
    raise AssertionError("was not refused")


def files_of(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_secrets_are_nowhere_else(bus, client, tmp_path):
    receiver = Receiver([])
    daemon = Daemon(bus, tmp_path, worker=os.environ["SYNCRUN_WORKER_PROGRAM"])
    try:
        look(daemon, client, receiver, tmp_path)
    finally:
        daemon.close()
        receiver.close()


def look(daemon, client, receiver, folder):
    secrets = folder / "secrets"
    secrets.mkdir()
    (secrets / "credential").write_text(CREDENTIAL)
    (secrets / "signing").write_text(SIGNING)
    os.mkfifo(secrets / "begun")
    program = folder / "pull"
    # It knows its credential, and waits in the middle of its run.
    program.write_text(f"#!/bin/sh\nread -r known <{secrets}/credential\necho '{RECORD}'\nread -r go <{secrets}/begun\n"
                       'echo "$known" | grep -q canary\n')
    program.chmod(stat.S_IRWXU)
    url = receiver.url(path=f"/in?token={TOKEN}")
    daemon.add("hook", f"[Pipeline]\nExecPull={program}\n[Destination]\nType=webhook\nUrl={url}\n"
                       f"SecretFile={secrets}/signing\nKeyProperties=items:id\n")
    with_password = f"http://me:{PASSWORD}@127.0.0.1/"
    daemon.add("wrong", f"[Pipeline]\nExecPull={program}\n[Destination]\nType=webhook\nUrl={with_password}\n"
                        f"SecretFile={secrets}/signing\n")
    daemon.write("syncrun.conf", LOCAL.format(retry="100ms", more=""))
    daemon.start()

    said = []
    webhooks = Webhooks(client)
    endpoint = webhooks.add(receiver.url(path="/end"))
    signing = webhooks.secret(endpoint)
    key = signing.removeprefix("whsec_")
    said.append(refusal(webhooks.add, with_password))
    said.append(refusal(webhooks.call, "GetWebhookSecret", signing))
    said.append(json.dumps(client.describe("DescribeConnectors")))

    run = client.start("hook")[0]
    wait_for(lambda: client.get(run_path(run), RUN, "State") == "running", "the worker")
    with open(secrets / "begun", "w"):  # opened when the program has, in the middle of its run
        processes = processes_of(daemon)
    assert len(processes) >= 3
    wait_for(lambda: client.get(run_path(run), RUN, "State") == "finished", "the end")
    assert client.get(run_path(run), RUN, "Outcome") == "succeeded", daemon.log()
    said.append(json.dumps(client.describe("DescribeRuns")))
    said.append(json.dumps(client.describe("DescribeDeliveries", connector="hook")))
    assert any(request.path.endswith(TOKEN) for request in receiver.requests)
    assert daemon.stop() == 0
    said.append(daemon.log())

    everywhere = [*(data.decode(errors="replace") for data in processes.values()), *said]
    for secret in (CREDENTIAL, SIGNING, TOKEN, PASSWORD, key):
        assert not [text[max(0, text.index(secret) - 200):text.index(secret) + 40] for text in everywhere if secret in text]
        # The history has what signs its own messages: without it none could be signed.
        found = [path for path, data in files_of(daemon.state).items() if secret.encode() in data]
        assert not found or (secret == key and {path.name for path in found} <= {"history.db", "history.db-wal"}), found
