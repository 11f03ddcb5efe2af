# SPDX-License-Identifier: LGPL-2.1-or-later
"""syncrun.webhooks(7) beside what is really sent: every type of message, every key, the headers, the signature."""

import base64
import hashlib
import hmac
import json
import re
from pathlib import Path

import jsonschema
import pytest
from harness import wait_for
from webhooks import LOCAL, USER, Webhooks, report

TOP = Path(__file__).resolve().parents[2]
PAGE = (TOP / "docs/syncrun.webhooks.7.scd").read_text()
DOCUMENT = json.loads((TOP / "src/http/openapi.json").read_text())

# What differs from run to run, in an example and in what is sent: told by its form.
FORMS = [
    (r'"(?:run_|connector_)id":"([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})"', "UUID"),
    (r'"endpoint_id":"(ep_[0-9a-f]{32})"', "ENDPOINT"),
    (r'":"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{6})?Z)"', "TIME"),
]


def section(title):
    return re.search(rf"^#+ {re.escape(title)}$(.*?)(?=^#|\Z)", PAGE, re.M | re.S)[1]


def literals(text):
    return re.findall(r"^```\n(.*?)^```$", text, re.M | re.S)


def joined(example):
    """The bytes that the example stands for: its line breaks, with the blanks behind them, are the page's."""
    return re.sub(r"\n *", "", example)


def examples():
    found = {title: joined(literals(section(title))[0])
             for title in re.findall(r"^## ((?:sync|webhook)\.\w+)$", PAGE, re.M)}
    assert len(found) == 7
    return found


def masked(body):
    for form, word in FORMS:
        body = re.sub(form, lambda match, word=word: match[0].replace(match[1], word), body)
    return body


def run_bank(new_daemon, client, **end):
    client.start("bank")
    worker = new_daemon.worker()
    worker.attach()
    worker.report(1, **({"processed": 50} if "discovered" in end else {}))
    worker.finish(2, **end)
    worker.exit()
    wait_for(lambda: not client.describe("DescribeRuns", active=True)["runs"], "the end of the run")


@pytest.fixture
def receiver(receivers):
    return receivers()


@pytest.fixture
def webhooks(receiver, new_daemon, client):
    new_daemon.write("syncrun.conf", LOCAL.format(retry="", more=""))
    new_daemon.add("bank", User=USER, Provider="plaid")
    new_daemon.start()
    made = Webhooks(client)
    made.endpoint = made.add(receiver.url())
    return made


def newest(receiver):
    return {request.message["type"]: request for request in receiver.requests}


def check_schema(request):
    """The request is as the section webhooks of the OpenAPI document has it, and has no key beside."""
    operation = DOCUMENT["webhooks"][request.message["type"]]["post"]
    name = operation["requestBody"]["content"]["application/json"]["schema"]["$ref"].rsplit("/", 1)[1]
    schema = DOCUMENT["components"]["schemas"][name]
    jsonschema.Draft202012Validator(schema, format_checker=jsonschema.FormatChecker()).validate(request.message)
    known = schema["properties"]["data"]["properties"]
    assert list(request.message) == list(schema["properties"])
    assert list(request.message["data"]) == [key for key in known if key in request.message["data"]]
    for reference in operation["parameters"]:
        parameter = DOCUMENT["components"]["parameters"][reference["$ref"].rsplit("/", 1)[1]]
        assert (parameter["in"], parameter["required"]) == ("header", True)
        jsonschema.Draft202012Validator(parameter["schema"]).validate(request.headers[parameter["name"]])
    return {reference["$ref"].rsplit("/", 1)[1] for reference in operation["parameters"]}


def test_every_type(webhooks, receiver, new_daemon, client):
    run_bank(new_daemon, client, outcome="failed", attention="consent_expired", error="The consent has expired.")
    run_bank(new_daemon, client, outcome="succeeded", discovered=50, added=3, updated=1, deduped=46)
    run, *_ = client.start("bank")
    worker = new_daemon.worker()  # lives for as long as somebody has it
    worker.attach()
    client.manager("CancelRun", "(s)", run)
    webhooks.call("TestWebhook", webhooks.endpoint)
    webhooks.wait_attempts(9)
    sent = newest(receiver)
    assert {name: masked(request.body.decode()) for name, request in sent.items()} == {
        name: masked(body) for name, body in examples().items()}
    for request in receiver.requests:
        assert check_schema(request) == set(DOCUMENT["components"]["parameters"])
    assert set(DOCUMENT["webhooks"]) == set(sent)


def test_a_sync_that_runs_elsewhere(webhooks, receiver, client):
    elsewhere = joined(literals(section("sync.completed"))[1])
    shown = json.loads(elsewhere)["data"]
    report(client, shown["run_id"], "completed", provider="garmin", items_processed=shown["items_processed"],
           started_at=shown["started_at"], ended_at=shown["ended_at"], metadata=shown["metadata"])
    webhooks.wait_attempts(1)
    assert masked(receiver.requests[0].body.decode()) == masked(elsewhere)
    check_schema(receiver.requests[0])


def test_a_consent_that_is_withdrawn(webhooks, receiver, new_daemon, client):
    """No run has said it: its id is null. Who reconnects ends it."""
    new_daemon.add("bank", User=USER, Provider="plaid", Connection="acme")
    client.manager("Reload")
    client.manager("WithdrawConsent", "(sa{sv})", "acme", {})
    client.manager("ReconnectConnection", "(sa{sv})", "acme", {})
    webhooks.wait_attempts(2)
    sent = newest(receiver)
    assert sent["sync.needs_attention"].message["data"]["category"] == "consent_withdrawn"
    for name in ("sync.needs_attention", "sync.recovered"):
        assert sent[name].message["data"]["run_id"] is None
        assert check_schema(sent[name])


def test_headers(webhooks, receiver):
    """Those of the page, those of HTTP, and no others."""
    webhooks.call("TestWebhook", webhooks.endpoint)
    webhooks.wait_attempts(1)
    told = {name.lower() for line in re.findall(r"^\*.*\*$", section("REQUESTS"), re.M)
            for name in re.findall(r"\*([\w-]+)\*", line)}
    headers = receiver.requests[0].headers
    assert set(headers) == told | {"host", "accept", "content-length"} and len(told) == 8
    assert headers["content-type"] in section("REQUESTS")


def test_every_key_is_explained():
    heads = {key for line in re.findall(r"^\*.*\*$", section("DATA"), re.M) for key in re.findall(r"\*(\w+)\*", line.replace("\\", ""))}
    sent = {key for body in examples().values() for key in json.loads(body)["data"]}
    schemas = {key for name in ("SyncStarted", "SyncCompleted", "SyncFailed", "SyncCancelled", "SyncNeedsAttention",
                                "SyncRecovered", "WebhookTest")
               for key in DOCUMENT["components"]["schemas"][name]["properties"]["data"]["properties"]}
    assert heads == sent == schemas


def test_signature():
    """The page's own receiver takes the page's own example, and nothing else."""
    inputs, outputs, program = literals(section("SIGNATURES"))
    secret, message_id, timestamp, body = inputs.splitlines()
    headers = dict(line.split(": ") for line in outputs.splitlines())
    assert (headers["webhook-id"], headers["webhook-timestamp"]) == (message_id, timestamp)
    names = {"base64": base64, "hashlib": hashlib, "hmac": hmac}
    exec(program, names)

    def verify(secret=secret, body=body, late=0, **changes):
        names["verify"](secret, headers | changes, body.encode(), int(timestamp) + late)

    for late in (-300, 0, 300):
        verify(late=late)
    for wrong in ({"late": 301}, {"late": -301}, {"body": body + " "}, {"secret": "whsec_" + "A" * 32}, {"webhook-id": "msg_2"}):
        with pytest.raises(ValueError):
            verify(**wrong)


def test_the_pages_receiver_takes_what_is_sent(webhooks, receiver):
    names = {"base64": base64, "hashlib": hashlib, "hmac": hmac}
    exec(literals(section("SIGNATURES"))[2], names)
    old = webhooks.secret(webhooks.endpoint)
    new = webhooks.call("RotateWebhookSecret", webhooks.endpoint)
    webhooks.call("TestWebhook", webhooks.endpoint)
    webhooks.wait_attempts(1)
    (request,) = receiver.requests
    for secret in (old, new):
        names["verify"](secret, request.headers, request.body, request.timestamp)


def test_the_schedule_is_that_of_the_settings():
    schedule = re.search(r"^\t\*(5s [^*]+)\*$", section("WHEN IT IS NOT TAKEN"), re.M)[1]
    assert f"*{schedule}*" in re.sub(r"\n\t", " ", (TOP / "docs/syncrun.conf.5.scd").read_text())
