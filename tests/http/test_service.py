# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the server says of itself, and its life: OpenAPI against the routes and the answers, metrics, health, idle."""

import json
import os
import re
import select
import socket
import subprocess
import time
from pathlib import Path
from types import SimpleNamespace

import jsonschema
import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from harness import frozen
from server import ALICE, TIMEOUT_SEC, Shim, add_key, deadline, free_port

TOP = Path(__file__).resolve().parents[2]
DOCUMENT = json.loads((TOP / "src/http/openapi.json").read_text())
HEALTH_SEC = 1  # HEALTH_USEC


def routes_of_source():
    text = "".join(path.read_text() for path in (TOP / "src/http").glob("routes-*.c"))
    rows = re.findall(r'\{ HTTP_([A-Z]+), "(/\S*)", (API_SCOPE_\w+|NO_KEY|ANY_KEY),', text)
    return {(method, path, scope.removeprefix("API_SCOPE_")) for method, path, scope in rows}


def is_open(operation):
    return operation.get("security") == []


def test_document_has_every_route():
    told = set()
    for path, methods in DOCUMENT["paths"].items():
        for method, operation in methods.items():
            named = re.search(r"sync:(\w+)", operation.get("description", ""))
            scope = named[1].upper() if named else "NO_KEY" if is_open(operation) else "ANY_KEY"
            names = {p["name"] for p in operation.get("parameters", []) if p["in"] == "path"}
            assert names == set(re.findall(r"\{(\w+)\}", path))
            told.add((method.upper(), path, scope))
    assert told == routes_of_source() and len(told) > 15


def test_references_of_the_document():
    text = json.dumps(DOCUMENT)
    for kind in ("schemas", "responses", "parameters"):
        used = set(re.findall(rf'"#/components/{kind}/(\w+)"', text))
        assert used == set(DOCUMENT["components"][kind])
    for schema in DOCUMENT["components"]["schemas"].values():
        jsonschema.Draft202012Validator.check_schema(schema)


@pytest.mark.parametrize("option", ["--help", "--version"])
@pytest.mark.parametrize("program", ["SYNCRUND", "SYNCRUN_HTTP"])
def test_what_cannot_be_said_is_an_error(program, option):
    with open("/dev/full", "w") as full:
        result = subprocess.run([os.environ[program], option], stdout=full, stderr=subprocess.PIPE, text=True)
    assert result.returncode == 1 and "Could not write the answer: No space left" in result.stderr


def test_document_is_served(shim):
    answer = shim.get("/openapi.json")
    assert (answer.status, answer.headers["Content-Type"]) == (200, "application/json")
    served = answer.json()
    version = subprocess.run([os.environ["SYNCRUN_HTTP"], "--version"], capture_output=True, text=True, check=True).stdout
    assert served["info"].pop("version") == version.split()[1]
    expected = json.loads(json.dumps(DOCUMENT))
    del expected["info"]["version"]
    assert served == expected


def resolve(value):
    while "$ref" in value:
        target = DOCUMENT
        for part in value["$ref"].split("/")[1:]:
            target = target[part]
        value = target
    return value


def check(answer, method, path):
    """The answer is one that the document has for the operation."""
    response = resolve(DOCUMENT["paths"][path][method.lower()]["responses"][str(answer.status)])
    for name in response.get("headers", {}):
        assert answer.headers[name], name
    if "content" not in response:
        assert answer.body == b""
        return
    ((kind, content),) = response["content"].items()
    assert answer.headers["Content-Type"] == kind
    if kind == "application/json":
        schema = {**content["schema"], "components": DOCUMENT["components"]}
        validator = jsonschema.Draft202012Validator(schema, format_checker=jsonschema.FormatChecker())
        validator.validate(answer.json())


def error_of(path):
    return {**resolve({"$ref": f"#/components/schemas/{'Detail' if path.startswith('/api') else 'Error'}"}),
            "components": DOCUMENT["components"]}


@pytest.mark.parametrize("path", (f"/api/v1/users/{ALICE}/sync/events", "/v1/sync-runs"))
@pytest.mark.parametrize("line, status", (("Content-Length: 4194305", 413), ("Host: y", 400), ("X-A: " + "a" * 4096, 431)))
@pytest.mark.parametrize("method", ("POST", "HEAD"))
def test_early_refusals_are_as_the_document_says(shim, path, line, status, method):
    data = shim.raw(f"{method} {path} HTTP/1.1\r\nHost: x\r\n{line}\r\n\r\n".encode())
    head, _, body = data.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 %d " % status)
    if method == "HEAD":
        assert body == b""
    else:
        jsonschema.Draft202012Validator(error_of(path)).validate(json.loads(body))


def test_answers_are_as_the_document_says(shim, client, daemon, key, reporter):
    """Every operation and every status that can be had without breaking something."""
    client.start("bank")
    worker = daemon.worker()
    worker.attach()
    worker.report(1, accounts=[{"account": "a", "status": "success", "discovered": 3, "added": 1, "updated": 1, "deduped": 1},
                               {"account": "b", "status": "failed", "error": "no"}])
    worker.finish(2, outcome="failed", error="lost", category="connection_lost", counts={"discovered": 3})
    worker.exit()
    reader = add_key(client, "reader", scopes=["sync:read"])
    writer = add_key(client, "writer", scopes=["sync:write"])
    bank_id = shim.get("/v1/connectors/bank", key).json()["connector"]["id"]
    while (runs := shim.get("/v1/sync-runs?connectorId=" + bank_id, key).json()["syncRuns"])[0]["status"] != "failed":
        pass
    run_id = runs[0]["id"]
    endpoint = shim.post("/api/v1/webhooks/endpoints", key, {"url": "https://hooks.example.net/", "disabled": True})
    names = {"id": run_id, "name": "bank", "user_id": ALICE, "endpoint_id": endpoint.json()["id"], "message_id": "none"}
    seen = set()

    def ask(method, path, as_key=key, body=None, query="", **more):
        url = re.sub(r"\{(\w+)\}", lambda m: {**names, **more}[m[1]], path)
        answer = shim.request(method, url + query, as_key, body)
        check(answer, method, path)
        seen.add((method, path, answer.status))
        return answer

    for body, status in (({"key": key}, 200), ({"key": "sk-"}, 401), ("{", 400), ("[]", 422), ({}, 422)):
        assert ask("POST", "/v1/session", None, body).status == status
    for as_key, statuses in ((key, [200, 204]), (None, [401, 401])):
        assert [ask(method, "/v1/session", as_key).status for method in ("GET", "DELETE")] == statuses
    for path, methods in DOCUMENT["paths"].items():
        for method in map(str.upper, methods if path != "/v1/session" else []):
            operation = DOCUMENT["paths"][path][method.lower()]
            if is_open(operation):
                assert ask(method, path).status == 200
                continue
            assert ask(method, path, None).status == 401
            needs = re.search(r"sync:(\w+)", operation["description"])[1]
            assert ask(method, path, writer if needs != "write" else reader).status == 403
            if path.endswith("stream"):
                continue
            if method == "GET":
                assert ask(method, path, name="my-bank" if "connections" in path else "bank").status == 200
                etag = ask(method, path, name="my-bank" if "connections" in path else "bank").headers["ETag"]
                assert etag or path == "/metrics"
    missing = {"id": "none", "name": "none", "user_id": "00000000-0000-4000-8000-00000000dead", "endpoint_id": "none"}
    for method, path in (("GET", "/v1/sync-runs/{id}"), ("POST", "/v1/sync-runs/{id}/cancel"), ("GET", "/v1/connectors/{name}"),
                         ("GET", "/v1/connectors/{name}/activity"), ("POST", "/v1/connectors/{name}/sync-now"),
                         ("GET", "/v1/connections/{name}"), ("POST", "/v1/connections/{name}/reconnect"),
                         ("GET", "/api/v1/users/{user_id}/sync/stream"), ("GET", "/api/v1/users/{user_id}/sync/recent"),
                         ("GET", "/api/v1/users/{user_id}/sync/runs")):
        assert ask(method, path, **missing).status == 404
    for path in ("/v1/sync-runs", "/v1/connectors", "/v1/connectors/{name}/activity", "/api/v1/sync/runs",
                 "/api/v1/users/{user_id}/sync/recent", "/api/v1/users/{user_id}/sync/runs"):
        assert ask("GET", path, query="?limit=0").status == 422
    for path in ("/api/v1/sync/stream", "/api/v1/users/{user_id}/sync/stream"):
        assert ask("GET", path, query="?replay=0").status == 422
    assert ask("POST", "/v1/sync-runs/{id}/cancel").status == 409
    assert ask("POST", "/v1/connectors/{name}/sync-now", name="off").status == 409
    assert ask("POST", "/v1/connectors/{name}/sync-now").status == 201
    assert ask("POST", "/v1/connectors/{name}/sync-now").status == 202
    worker = daemon.worker()
    worker.attach()
    for body, status in (({"connectorId": bank_id}, 202), ("{", 400), ({}, 422), ({"connectorId": missing["user_id"]}, 404)):
        assert ask("POST", "/v1/sync-runs", body=body).status == status
    run_id = ask("POST", "/v1/sync-runs", body={"connectorId": bank_id}).json()["syncRun"]["id"]
    assert ask("GET", "/v1/sync-runs/{id}", id=run_id).status == 200
    assert ask("GET", "/v1/connectors/{name}").json()["connector"]["status"] in ("Syncing", "Needs attention")
    assert ask("POST", "/v1/sync-runs/{id}/cancel", id=run_id).status == 200
    events = "/api/v1/users/{user_id}/sync/events"
    for body, status in ((reporter.event(), 201), ([reporter.event()], 201), ("{", 400), ("[1]", 422), ([{}] * 1001, 413)):
        assert ask("POST", events, body=body).status == status
    done = reporter.event(run="ended", stage="completed")
    assert [ask("POST", events, body=done).status for _ in range(2)] == [201, 409]
    for body, status in ((None, 202), ({"done": True}, 202), ("{", 400), ({"done": 1}, 422)):
        assert ask("POST", "/v1/connections/{name}/reconnect", body=body, name="my-bank").status == status
    assert len(seen) > 80


def test_metrics(shim, client, key, reporter):
    with shim.stream(f"/api/v1/users/{ALICE}/sync/stream", key) as stream:
        assert stream.messages(1) == ["first"]
        reporter.say("one", "two")
        assert stream.messages(2) == ["one", "two"]
        shim.get("/v1/sync-runs")
        answer = shim.get("/metrics", key)
    assert answer.headers["Content-Type"] == "application/openmetrics-text; version=1.0.0; charset=utf-8"
    families = {family.name: family for family in text_string_to_metric_families(answer.body.decode())}
    values = {sample.name: sample.value for family in families.values() for sample in family.samples if not sample.labels}
    assert values["syncrun_up"] == 1
    assert values["syncrun_connectors"] == 3
    assert values["syncrun_last_event"] == client.get("/org/syncrun1", "org.syncrun1.Manager", "LastSequence")
    assert (values["syncrun_http_streams"], values["syncrun_http_streams_opened_total"]) == (1, 1)
    assert (values["syncrun_http_events_total"], values["syncrun_http_deliveries_total"]) == (2, 2)
    requests = {(s.labels["route"], s.labels["status"]): s.value for s in families["syncrun_http_requests"].samples}
    assert requests[("/v1/sync-runs", "401")] == 1
    assert requests[("/api/v1/users/{user_id}/sync/stream", "200")] == 1
    assert all(family.documentation for family in families.values())


def families_of(shim, key):
    text = shim.get("/metrics", key).body.decode()
    return {family.name: family for family in text_string_to_metric_families(text)}


def labelled(family, label):
    return {sample.labels[label]: sample.value for sample in family.samples if label in sample.labels}


def test_metrics_of_runs(shim, client, daemon, key, reporter):
    """What the daemon counts as it happens: by outcome, how long, what came of it, and what is going on."""
    before = families_of(shim, key)
    assert set(labelled(before["syncrun_runs"], "outcome")) == {"succeeded", "partial", "failed", "cancelled", "skipped"}
    assert set(labelled(before["syncrun_runs"], "outcome").values()) == {0}
    assert before["syncrun_active_runs"].samples[0].value == 2  # those of the reporter
    for outcome in ("succeeded", "failed"):
        shim.post("/v1/connectors/bank/sync-now", key)
        worker = daemon.worker()
        worker.attach()
        assert families_of(shim, key)["syncrun_active_runs"].samples[0].value == 3
        worker.report(1, discovered=7, added=4, updated=2, deduped=1)
        worker.finish(2, outcome=outcome,
                      **({"error": "x", "attention": "data_error", "attention_message": "x"} if outcome == "failed" else {}))
        worker.exit()
        while families_of(shim, key)["syncrun_active_runs"].samples[0].value != 2:
            pass
    reporter.say("done", stage="completed")
    after = families_of(shim, key)
    assert labelled(after["syncrun_runs"], "outcome") == {"succeeded": 2, "partial": 0, "failed": 1, "cancelled": 0, "skipped": 0}
    assert labelled(after["syncrun_items"], "result") == {"discovered": 14, "added": 8, "updated": 4, "deduped": 2}
    durations = after["syncrun_run_seconds"]
    assert durations.type == "histogram"
    values = {sample.name: sample.value for sample in durations.samples if not sample.labels}
    assert values["syncrun_run_seconds_count"] == 3 and values["syncrun_run_seconds_sum"] < 3600
    buckets = labelled(durations, "le")
    assert list(buckets.values()) == sorted(buckets.values()) and buckets["+Inf"] == 3 and len(buckets) == 11
    assert after["syncrun_attention"].samples[0].value == 1
    assert after["syncrun_queued_runs"].samples[0].value == 0
    told = client.describe("DescribeEvents", limit=1000)["events"]
    assert (after["syncrun_events"].samples[0].value, after["syncrun_last_event"].samples[0].value) == (len(told), told[-1]["seq"])
    requests = {(s.labels["kind"], s.labels["result"]): s.value for s in after["syncrun_webhook_requests"].samples}
    assert requests == {("lifecycle", "delivered"): 0, ("lifecycle", "refused"): 0,
                        ("records", "delivered"): 0, ("records", "refused"): 0}
    assert after["syncrun_webhook_messages_lost"].samples[0].value == 0
    # They are of this life of the daemon's, as counters may be.
    daemon.restart()
    again = families_of(shim, key)
    assert labelled(again["syncrun_runs"], "outcome")["succeeded"] == 0
    assert again["syncrun_last_event"].samples[0].value == after["syncrun_last_event"].samples[0].value


def test_health_is_asked_once_for_all(shim, daemon, bus, client):
    """However many ask, the daemon hears one question at a time, and none for a moment after its answer."""
    watch = subprocess.Popen(["dbus-monitor", "--address", bus.address, "type='method_call',member='Ping'"],
                             stdout=subprocess.PIPE, text=True)
    while "NameLost" not in watch.stdout.readline():  # it has become a monitor
        pass
    begun = time.monotonic()
    with frozen(daemon.process):
        ends = [shim.connect() for _ in range(200)]
        for end in ends:
            end.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        for end in ends[:50]:
            end.close()
        assert shim.get("/none").status == 404
    for end in ends[50:]:
        assert end.recv(4096).startswith(b"HTTP/1.1 200")
        end.close()
    assert [shim.get("/healthz").status for _ in range(20)] == [200] * 20
    took = time.monotonic() - begun
    client.call("/org/freedesktop/DBus", "org.freedesktop.DBus.Peer", "Ping", destination="org.freedesktop.DBus")
    asked = []
    while "destination=org.freedesktop.DBus " not in (line := watch.stdout.readline()):
        asked += re.findall(r"member=Ping", line)
    watch.terminate()
    watch.wait()
    watch.stdout.close()
    assert 1 <= len(asked) <= 2 + took / HEALTH_SEC
    # What it was is not believed over the daemon's end.
    daemon.stop()
    assert shim.get("/healthz").status == 503
    daemon.start()
    while shim.get("/healthz").status != 200:
        pass


def test_metrics_are_not_one_users(shim, client):
    assert shim.get("/metrics", add_key(client, "alice", user=ALICE)).status == 403


def test_metrics_for_everybody(new_shim):
    assert new_shim().get("/metrics").status == 401
    assert new_shim("[Server]\nMetricsWithoutKey=yes\n").get("/metrics").status == 200


def test_metrics_without_a_daemon(new_shim, daemon):
    shim = new_shim("[Server]\nMetricsWithoutKey=yes\n")
    daemon.stop()
    text = shim.get("/metrics").body.decode()
    assert "\nsyncrun_up 0\n" in text and text.endswith("# EOF\n")
    daemon.start()


# ---- Life


def wait_exit(shim):
    assert shim.process.wait(TIMEOUT_SEC) == 0, shim.log()


def test_idle_exit(new_shim, key, reporter):
    """It ends with nothing to do, and what comes while nobody serves is served by the next."""
    shim = new_shim("[Server]\nIdleExitSec=200ms\nKeepAliveSec=100ms\n")
    wait_exit(shim)
    waiting = shim.connect()
    waiting.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    shim.start()
    assert waiting.recv(65536).startswith(b"HTTP/1.1 200")
    waiting.close()
    wait_exit(shim)
    # Not while there is a connection, or a stream.
    with shim.stream(f"/api/v1/users/{ALICE}/sync/stream", key, sent=shim.start) as stream:
        assert stream.messages(1) == ["first"]
        for i in range(3):
            with pytest.raises(subprocess.TimeoutExpired):
                shim.process.wait(0.15)
            reporter.say(f"m{i}")
            assert stream.messages(1) == [f"m{i}"]
    wait_exit(shim)
    shim.process = None


def test_nothing_is_refused_between_two_lives(new_shim):
    """It ends all the time, and is started again whenever somebody connects, as systemd does it."""
    shim = new_shim("[Server]\nIdleExitSec=1ms\nKeepAliveSec=1ms\n")
    lives = 0
    for i in range(30):
        if i % 3 == 0:
            wait_exit(shim)
        with shim.connect() as end:
            end.sendall(b"GET /none HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            until = deadline()
            while not select.select([end], [], [], 0.01)[0]:
                assert time.monotonic() < until, shim.log()
                if shim.process.poll() is not None:
                    shim.start()
                    lives += 1
            assert end.recv(4096).startswith(b"HTTP/1.1 404")
    assert lives >= 10


def test_listen(bus, daemon, tmp_path):
    """Without systemd: addresses of the command line."""
    port = free_port()
    path = str(tmp_path / "socket")
    notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    notify.bind(str(tmp_path / "notify"))
    environment = {**os.environ, "SYNCRUN_BUS_ADDRESS": bus.address, "NOTIFY_SOCKET": str(tmp_path / "notify")}
    command = [os.environ["SYNCRUN_HTTP"], f"--listen={port}", f"--listen=[::1]:{port}", f"--listen={path}"]
    process = subprocess.Popen(command, env=environment)
    try:
        notify.settimeout(TIMEOUT_SEC)
        assert b"READY=1" in notify.recv(4096)
        for url in (f"http://127.0.0.1:{port}", f"http://[::1]:{port}"):
            done = subprocess.run(["curl", "-sSg", "--max-time", str(TIMEOUT_SEC), url + "/healthz"], capture_output=True, text=True, check=True)
            assert done.stdout == '{"status":"ok"}'
        done = subprocess.run(["curl", "-sS", "--unix-socket", path, "http://x/healthz"], capture_output=True, text=True, check=True)
        assert done.stdout == '{"status":"ok"}'
    finally:
        process.terminate()
        assert process.wait(TIMEOUT_SEC) == 0
        notify.close()


def read_until(end, words):
    data = b""
    while words not in data:
        data += end.recv(4096)
    return data


def test_ends_where_the_bus_says_nothing(bus, tmp_path):
    """What is still to be sent to the bus, and what it is asked for, is not waited for."""
    path = bus.folder / "silent"
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(path))
        silent.listen()
        silent.settimeout(TIMEOUT_SEC)
        shim = Shim(SimpleNamespace(folder=bus.folder, address=f"unix:path={path}"), tmp_path)
        shim.environment["SYSTEMD_BUS_TIMEOUT"] = "1h"
        shim.start()
        try:
            end, _ = silent.accept()
            with end:
                end.settimeout(TIMEOUT_SEC)
                assert b"AUTH EXTERNAL" in read_until(end, b"BEGIN")
                end.sendall(b"DATA\r\nOK " + b"0" * 31 + b"1\r\nAGREE_UNIX_FD\r\n")
                read_until(end, b"Hello")
                assert shim.stop() == 0
        finally:
            shim.close()


@pytest.mark.parametrize("arguments, words", [
    (["--listen=x"], "is none of"), (["--listen=70000"], "is none of"), (["--listen=[::1:8"], "is none of"),
    (["--listen=1.2.3:4"], "is none of"), (["--listen=/" + "x" * 200], "is none of"), ([], "No sockets"), (["x"], "no arguments"),
    (["--nonsense"], "unrecognized"),
])
def test_wrong_arguments(arguments, words):
    done = subprocess.run([os.environ["SYNCRUN_HTTP"], *arguments], capture_output=True, text=True)
    assert done.returncode == 1
    assert words in done.stderr
