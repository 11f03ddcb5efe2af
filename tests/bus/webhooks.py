# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the tests of webhooks share: settings, and the manager's methods."""

import json

import pytest
from harness import MANAGER, CallError, options, wait_for

USER = "11111111-1111-4111-8111-111111111111"
OTHER = "22222222-2222-4222-8222-222222222222"

# Receivers are on this machine; no test waits for a schedule made for the world.
LOCAL = """[Webhooks]
AllowHTTP=yes
AllowAddressLiterals=yes
AllowPrivateAddresses=yes
RetrySec={retry}
{more}
"""


class Webhooks:
    def __init__(self, client):
        self.client = client
        self.attempted = client.signals(MANAGER, "WebhookAttempted")
        self.changed = client.signals(MANAGER, "WebhookEndpointChanged")

    def call(self, method, *words, signature="", **values):
        return self.client.manager(method, f"({'s' * len(words)}{signature}a{{sv}})", *words, options(**values))

    def add(self, url, **values):
        endpoint, _ = self.call("AddWebhookEndpoint", url, **values)
        return endpoint

    def secret(self, endpoint):
        return self.call("GetWebhookSecret", endpoint)

    def describe(self, endpoint, **values):
        return json.loads(self.call("DescribeWebhookEndpoints", id=endpoint, **values))

    def messages(self, **values):
        return json.loads(self.call("DescribeWebhookMessages", **values))["data"]

    def attempts(self, **values):
        return json.loads(self.call("DescribeWebhookAttempts", **values))["data"]

    def wait_attempts(self, n):
        wait_for(lambda: len(self.attempted) >= n, f"{n} attempts: {self.attempted}")
        return [arguments for _, _, arguments in self.attempted]

    def wait_change(self, what):
        return wait_for(lambda: [arguments for _, _, arguments in self.changed if arguments[1] == what], what)


def report(client, run_id, stage, user=USER, **more):
    status = {"completed": "success", "failed": "failed", "cancelled": "cancelled"}.get(stage, "in_progress")
    event = {"run_id": run_id, "user_id": user, "provider": "test", "source": "sdk", "stage": stage, "status": status,
             **more}
    client.manager("ReportEvents", "(s)", json.dumps([event]))


def refusal(call, *args, **kwargs):
    with pytest.raises(CallError) as caught:
        call(*args, **kwargs)
    return caught.value
