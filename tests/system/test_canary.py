# SPDX-License-Identifier: LGPL-2.1-or-later
"""Secrets of an installed system, each where it belongs, and nowhere else: not in command lines, environments, the journal, files,
error texts, nor in what processes leave behind that crash with secrets in their memory. (tests/bus/test_canary.py looks at the
daemon at its most talkative.)"""

import json
import re
from pathlib import Path

import pytest
from syncrun import Syncrun

URL = "http://127.0.0.1:8377"
SHIM = "syncrun-http.service"
EXITED = "MESSAGE_ID=98e322203f7a4ed290d09fe03c09fe15"  # of a unit's main process, as PID 1 says
CREDENTIAL, SIGNING, TOKEN, PASSWORD = (f"canary-{what}-5e1f0a" for what in ("of-the-credential", "of-the-signature", "in-the-query", "of-the-user"))
UNKNOWN = "sk-" + "c0ffee0a" * 4
PLANTED = {"/etc/secrets/token", "/etc/secrets/signing", "/etc/syncrun/connectors/secret.connector"}
HISTORY = {"/var/lib/syncrun/history.db", "/var/lib/syncrun/history.db-wal"}

PULL = """#!/bin/sh
read -r token <"$CREDENTIALS_DIRECTORY/token"
echo '{"type":"RECORD","stream":"items","record":{"id":1}}'
echo "at the gate" >&2
read -r go <"$1"
echo "ERROR 401: the token was not taken" >&2
exit 77
"""
DROP_IN = "[Service]\nLoadCredential=token:/etc/secrets/token\nLoadCredential=signing:/etc/secrets/signing\n"
DESTINATION = f"""[Destination]
Type=webhook
Url={URL}/none?token={TOKEN}
SecretFile=%d/signing
KeyProperties=items:id
"""


@pytest.fixture(scope="module")
def syncrun(machine):
    for name, secret in (("token", CREDENTIAL), ("signing", SIGNING)):
        machine.write(f"/etc/secrets/{name}", secret + "\n", mode=0o600)
    machine.write("/etc/systemd/system/syncrun@secret.service.d/secrets.conf", DROP_IN)
    machine.write("/etc/syncrun/syncrun.conf", "[Webhooks]\nAllowHTTP=yes\nAllowAddressLiterals=yes\nAllowPrivateAddresses=yes\n")
    machine.write("/usr/local/bin/secretive", PULL, mode=0o755)
    machine.run("systemctl", "daemon-reload")
    machine.run("systemctl", "start", "syncrun-http.socket")
    service = Syncrun(machine)
    machine.shell(f"mkfifo -m 0666 {service.gate('secret')}")
    return service


def web(machine, path, header="", body=""):
    """What the server answers, headers included; neither stands in a command line."""
    data = ["--data-binary", "@-", "-H", "Content-Type: application/json"] if body else ["-H", "@-"]
    return machine.output("curl", "-sSi", *data, URL + path, stdin=body or header)


def refusals(syncrun, signing):
    calls = (("AddWebhookEndpoint", "sa{sv}", f"http://me:{PASSWORD}@127.0.0.1/", 0), ("GetWebhookSecret", "sa{sv}", signing, 0),
             ("CheckApiKey", "s", UNKNOWN))
    for call in calls:
        done = syncrun.call(*call, check=False)
        assert done.returncode == 1, call
        yield done.stderr


def crash(machine, unit, whom):
    before = machine.now()
    machine.run("systemctl", "kill", f"--kill-whom={whom}", "--signal=SEGV", unit)
    machine.wait_journal(f"UNIT={unit}", EXITED, after=before)


def files_with(machine, secret):
    """Of all that was ever written, whether it runs or not; and where it runs, of what is in memory only."""
    upper = machine.folder / "upper"
    written = {f"/{path.relative_to(upper)}" for path in upper.rglob("*") if path.is_file() and not path.is_symlink() and secret in path.read_bytes()}
    volatile = machine.run("grep", "-rlF", "--devices=skip", "-e", secret.decode(), "/run", "/tmp", "/dev/shm", check=False).stdout
    return written, set(volatile.split())


def test_secrets_are_nowhere_else(machine, syncrun):
    syncrun.add("secret", f"/usr/local/bin/secretive {syncrun.gate('secret')}", pipeline=DESTINATION)
    key = syncrun.data("AddApiKey", "sa{sv}", "page", 1, "scopes", "as", 2, "sync:read", "sync:write")[0]
    endpoint = syncrun.data("AddWebhookEndpoint", "sa{sv}", "http://127.0.0.1:9/end", 0)[0]
    signing = syncrun.data("GetWebhookSecret", "sa{sv}", endpoint, 0)[0].removeprefix("whsec_")
    said = list(refusals(syncrun, signing))
    assert " 200 " in web(machine, "/v1/sync-runs", f"X-API-Key: {key}\n").splitlines()[0]
    assert " 401 " in web(machine, "/v1/sync-runs", f"X-API-Key: {UNKNOWN}\n").splitlines()[0]
    cookie = re.search(r"syncrun_session=([^;]+);", web(machine, "/v1/session", body=json.dumps({"key": key})))[1]
    secrets = [CREDENTIAL, SIGNING, TOKEN, PASSWORD, UNKNOWN.removeprefix("sk-"), key.removeprefix("sk-"), signing, cookie]

    run = syncrun.start("secret")
    syncrun.wait_gate(run)
    processes = machine.shell("cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ | tr '\\0' '\\n'").stdout
    assert "/usr/local/bin/secretive" in processes and "CREDENTIALS_DIRECTORY=/run/credentials/syncrun@secret.service" in processes
    held = files_with(machine, CREDENTIAL.encode())
    assert held == ({"/etc/secrets/token"}, {"/run/credentials/syncrun@secret.service/token"})

    # A run that fails at both its ends (the receiver is our own server, which has no such path), and one that crashes, as all
    # that know secrets do then.
    syncrun.open_gate("secret")
    first = syncrun.wait_end(run)
    assert first["outcome"] == "failed" and "HTTP status 404" in first["error"]
    second = syncrun.start("secret")
    machine.wait_journal(f"SYNCRUN_RUN_ID={second}", "MESSAGE=at the gate")
    crash(machine, "syncrun@secret.service", "all")
    assert syncrun.wait_end(second)["outcome"] == "failed"
    web(machine, "/v1/sync-runs", f"X-API-Key: {key}\n")
    for unit in (SHIM, "syncrund.service"):
        crash(machine, unit, "main")
    said += [json.dumps(syncrun.runs("secret")), syncrun.data("DescribeConnectors", "a{sv}", 0)[0],
             syncrun.data("DescribeDeliveries", "a{sv}", 1, "connector", "s", "secret")[0]]
    machine.run("journalctl", "--sync")
    said += [processes, machine.output("journalctl", "--no-pager", "--output=export", "--all", "-x")]

    for secret in secrets:
        assert not [text[max(0, text.index(secret) - 200):text.index(secret) + 40] for text in said if secret in text]
        written, volatile = files_with(machine, secret.encode())
        # The history has what signs its own messages: without it none could be signed.
        assert written <= (HISTORY if secret == signing else PLANTED), (secret, written)
        assert volatile == set(), (secret, volatile)
    assert not list(Path(machine.folder / "upper").rglob("core"))
