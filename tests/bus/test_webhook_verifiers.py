# SPDX-License-Identifier: LGPL-2.1-or-later
"""What is sent, as those see it whom it is made for: the verifiers of Standard Webhooks and of Svix, from npm."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from harness import TIMEOUT_SEC
from receiver import answer
from webhooks import report

HERE = Path(__file__).resolve().parent.parent / "webhooks"
REFUSED = {"standardwebhooks": "WebhookVerificationError", "svix": "WebhookVerificationError",
           "svix, unbranded": "WebhookVerificationError"}


@pytest.fixture(scope="module")
def verify():
    """The packages of the lock file, installed into the build folder once."""
    folder = Path(os.environ["SYNCRUN_VERIFIERS"])
    lock = (HERE / "package-lock.json").read_bytes()
    if not (folder / "installed").exists() or (folder / "installed").read_bytes() != lock:
        folder.mkdir(parents=True, exist_ok=True)
        for name in ("package.json", "package-lock.json"):
            shutil.copy(HERE / name, folder)
        subprocess.run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"], cwd=folder, check=True)
        (folder / "installed").write_bytes(lock)
    process = subprocess.Popen(["node", HERE / "verify.js"], env={**os.environ, "NODE_PATH": str(folder / "node_modules")},
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(request, secret, **changes):
        process.stdin.write(json.dumps({"secret": secret, "headers": request.headers, "body": request.body.decode(),
                                        **changes}) + "\n")
        process.stdin.flush()
        return json.loads(process.stdout.readline())

    yield ask
    process.stdin.close()
    process.stdout.close()
    assert process.wait(TIMEOUT_SEC) == 0


def all_say(word):
    return dict.fromkeys(REFUSED, word)


def test_signatures(begin, receivers, client, verify):
    receiver = receivers(answer(500))
    webhooks = begin()
    endpoint = webhooks.add(receiver.url())
    secret = webhooks.secret(endpoint)
    report(client, "r1", "started")
    report(client, "r1", "failed", error="the bank's café says „no“ \\ \u2028 \U0001f4b8")
    webhooks.wait_attempts(3)
    assert [verify(request, secret) for request in receiver.requests] == [
        all_say("sync.started"), all_say("sync.started"), all_say("sync.failed")]
    other = webhooks.call("RotateWebhookSecret", endpoint, at_once=True)
    request = receiver.requests[2]
    assert verify(request, other) == REFUSED
    assert verify(request, secret, body=request.body.decode().replace("no", "yes")) == REFUSED
    assert verify(request, secret, headers={**request.headers, "webhook-id": "msg_1", "svix-id": "msg_1"}) == REFUSED


def test_both_secrets_while_they_change(begin, receivers, client, verify):
    receiver = receivers()
    webhooks = begin()
    endpoint = webhooks.add(receiver.url())
    secrets = [webhooks.secret(endpoint)] + [webhooks.call("RotateWebhookSecret", endpoint) for _ in range(3)]
    webhooks.call("TestWebhook", endpoint)
    webhooks.wait_attempts(1)
    assert [verify(receiver.requests[0], secret) for secret in secrets] == [all_say("webhook.test")] * 4
    fifth = webhooks.call("RotateWebhookSecret", endpoint)
    webhooks.call("TestWebhook", endpoint)
    webhooks.wait_attempts(2)
    assert verify(receiver.requests[1], secrets[0]) == REFUSED
    assert verify(receiver.requests[1], fifth) == verify(receiver.requests[1], secrets[1]) == all_say("webhook.test")
