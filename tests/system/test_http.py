# SPDX-License-Identifier: LGPL-2.1-or-later
"""Remote access as it is installed: the socket starts it, it ends when idle, and it may do nothing but what it is for."""

import contextlib
import json
import re
import time
from pathlib import Path

import pytest
from syncrun import Syncrun

URL = "http://127.0.0.1:8377"
USER = "a11ce000-0000-4000-8000-000000000001"
UNIT = "syncrun-http.service"


@pytest.fixture(scope="module")
def syncrun(machine):
    machine.write("/etc/syncrun/syncrun-http.conf", "[Server]\nIdleExitSec=500ms\n")
    machine.run("systemctl", "start", "syncrun-http.socket")
    return Syncrun(machine)


@pytest.fixture(scope="module")
def key(syncrun):
    scopes = ["as", "3", "sync:read", "sync:write", "sync:admin"]
    return syncrun.data("AddApiKey", "sa{sv}", "app", "1", "scopes", *scopes)[0]


def curl(machine, path, key=None, *arguments, url=URL):
    command = ["curl", "-sSg", "--max-time", "100", "-w", "\n%{http_code}", *arguments]
    command += ["-H", f"X-API-Key: {key}"] if key else []
    body, _, status = machine.output(*command, url + path).rpartition("\n")
    return int(status), body


def wait_idle(machine):
    """Until it has ended by itself, if it runs."""
    before = machine.properties(UNIT, "ActiveState", "InvocationID")
    if before["ActiveState"] != "inactive":
        machine.wait_journal(f"UNIT={UNIT}", "MESSAGE_ID=7ad2d189f7e94e70a38c781354912448", f"INVOCATION_ID={before['InvocationID']}")
    assert machine.properties(UNIT, "Result") == {"Result": "success"}


def read_until(stream, words):
    while words not in (line := stream.stdout.readline()):
        assert line, f"it ended without {words}"


@contextlib.contextmanager
def held(machine, key):
    """It runs, and does not end for being idle."""
    stream = machine.start("curl", "-sSN", "-H", f"X-API-Key: {key}", f"{URL}/api/v1/sync/stream")
    try:
        read_until(stream, ": connected")
        yield
    finally:
        machine.end(stream)


def test_a_cold_system(machine, syncrun, key):
    """Neither the server nor the daemon runs: the first request starts both."""
    wait_idle(machine)
    machine.run("systemctl", "stop", "syncrund.service")
    status, body = curl(machine, "/v1/sync-runs", key)
    assert (status, json.loads(body)) == (200, {"syncRuns": [], "nextCursor": None})
    assert machine.properties("syncrund.service", "ActiveState") == {"ActiveState": "active"}


def test_both_addresses(machine, syncrun):
    for url in (URL, "http://[::1]:8377"):
        assert curl(machine, "/healthz", url=url) == (200, '{"status":"ok"}')


def test_where_ipv6_is_switched_off(machine, syncrun):
    """The socket starts with the address that is there; the other one is served as soon as it is."""
    switch = "/proc/sys/net/ipv6/conf/lo/disable_ipv6"
    machine.run("systemctl", "stop", "syncrun-http.socket", UNIT)
    machine.shell(f"echo 1 >{switch}")
    try:
        machine.run("systemctl", "start", "syncrun-http.socket")
        assert curl(machine, "/openapi.json")[0] == 200
    finally:
        machine.shell(f"echo 0 >{switch}")
    assert curl(machine, "/openapi.json", url="http://[::1]:8377")[0] == 200


def test_it_acts_for_its_clients(machine, syncrun, key):
    """Without polkit, and on the record as the key."""
    name = syncrun.add_pull("http-pull", 1, 10)
    status, body = curl(machine, f"/v1/connectors/{name}/sync-now", key, "-X", "POST")
    assert status == 201, body
    run_id = json.loads(body)["syncRun"]["id"]
    run = syncrun.wait_end(run_id)
    assert (run["outcome"], run["requested_by"], run["trigger"]) == ("succeeded", "key:app", "remote")
    event = {"run_id": "http-1", "provider": "test", "source": "sdk", "stage": "started", "status": "in_progress"}
    status, body = curl(machine, f"/api/v1/users/{USER}/sync/events", key, "-d", json.dumps(event))
    assert (status, body) == (201, '{"recorded":1}')
    status, body = curl(machine, f"/api/v1/users/{USER}/sync/recent", key)
    assert json.loads(body)[0]["run_id"] == "http-1"


def test_it_ends_and_begins_again_under_load(machine, syncrun, key):
    script = f"""
        for i in $(seq 40); do
            curl -sS --max-time 100 -o /dev/null -w '%{{http_code}}\\n' -H 'X-API-Key: {key}' {URL}/v1/sync-runs
            case $i in *0) while systemctl -q is-active {UNIT}; do :; done ;; esac
        done
    """
    before = len(machine.journal(f"UNIT={UNIT}", "MESSAGE_ID=39f53479d3a045ac8e11786248231fbf"))
    assert machine.shell(script).stdout.split() == ["200"] * 40
    after = len(machine.journal(f"UNIT={UNIT}", "MESSAGE_ID=39f53479d3a045ac8e11786248231fbf"))
    assert after - before >= 3


def test_clients_that_come_as_it_ends(machine, syncrun, key):
    """Four at a time, at moments around the one in which it has been idle for long enough: none is refused."""
    script = f"""
        ask() {{ curl -sS --max-time 100 -o /dev/null -w '%{{http_code}}\\n' -H 'X-API-Key: {key}' {URL}/v1/sync-runs; }}
        for pause in .48 .50 .52 .54 .56 .58 .60 .62 .64; do
            for i in 1 2 3 4; do ask & done
            wait
            sleep $pause
        done
        while systemctl -q is-active {UNIT}; do :; done
        ask
    """
    before = len(machine.journal(f"UNIT={UNIT}", "MESSAGE_ID=39f53479d3a045ac8e11786248231fbf"))
    assert machine.shell(script).stdout.split() == ["200"] * 37
    assert len(machine.journal(f"UNIT={UNIT}", "MESSAGE_ID=39f53479d3a045ac8e11786248231fbf")) > before


def test_limits_of_the_unit(machine, syncrun, key):
    """They are those of the file, and the process has them."""
    with held(machine, key):
        shown = machine.properties(UNIT, "MainPID", "LimitNOFILE", "MemoryMax")
        limits = machine.output("cat", f"/proc/{shown['MainPID']}/limits")
    assert (shown["LimitNOFILE"], shown["MemoryMax"]) == ("65536", str(1 << 30))
    # As many as there may be where the test itself is held to fewer.
    most = min(65536, int(machine.shell("ulimit -Hn").stdout))
    assert re.search(rf"^Max open files +{most} +{most} ", limits, re.M), limits


def test_a_session_outlives_the_server(machine, syncrun, key):
    """Its key is kept where it alone may read."""
    done = machine.output("curl", "-sS", "-D", "-", "-d", json.dumps({"key": key}), f"{URL}/v1/session")
    cookie = re.search(r"^Set-Cookie: (syncrun_session=[^;]+); .*HttpOnly; SameSite=Strict\s*$", done, re.M | re.I)[1]
    wait_idle(machine)
    status, body = curl(machine, "/v1/session", None, "-H", f"Cookie: {cookie}")
    assert (status, json.loads(body)["name"]) == (200, "app")
    machine.run("systemctl", "stop", UNIT)
    assert curl(machine, "/v1/sync-runs", None, "-H", f"Cookie: {cookie}")[0] == 200
    shown = machine.output("stat", "-L", "-c", "%a %s", "/run/syncrun-http", "/run/syncrun-http/session-key")
    assert [line.split()[0] for line in shown.splitlines()] == ["700", "600"] and shown.endswith(" 32")
    assert machine.run("cat", "/run/syncrun-http/session-key", user="nobody", check=False).returncode != 0


def test_a_stream_keeps_it(machine, syncrun, key):
    """Longer than it would be idle; it ends in order when it is stopped."""
    stream = machine.start("curl", "-sSN", "-H", f"X-API-Key: {key}", f"{URL}/api/v1/sync/stream")
    read_until(stream, "event: sync.status")
    invocation = machine.properties(UNIT, "InvocationID")
    until = time.monotonic() + 1.5
    while time.monotonic() < until:
        assert machine.properties(UNIT, "ActiveState", "InvocationID") == {"ActiveState": "active", **invocation}
    machine.run("systemctl", "stop", UNIT)
    stream.communicate(timeout=100)
    assert stream.returncode == 0


JWT = """
import base64, hmac, json, sys, time
part = lambda data: base64.urlsafe_b64encode(data).rstrip(b"=")
claims = {"iss": "login", "aud": "syncrun", "sub": "anna", "user_id": "*", "scope": "sync:read", "exp": time.time() + 3600}
text = part(b'{"alg": "HS256", "kid": "main"}') + b"." + part(json.dumps(claims).encode())
print((text + b"." + part(hmac.new(sys.argv[1].encode(), text, "sha256").digest())).decode())
"""


def test_tokens_by_a_secret_that_it_alone_may_read(machine, syncrun):
    """As the manual page has it: a credential of the unit."""
    secret = "s" * 40
    machine.write("/etc/syncrun/jwt/main.hs256", secret)
    machine.run("chmod", "-R", "go=", "/etc/syncrun/jwt")
    machine.write("/etc/syncrun/syncrun-http.conf.d/tokens.conf", "[Tokens]\nIssuer=login\nAudience=syncrun\n")
    machine.write(f"/etc/systemd/system/{UNIT}.d/tokens.conf", "[Service]\nLoadCredential=jwt:/etc/syncrun/jwt\n")
    machine.run("systemctl", "daemon-reload")
    machine.run("systemctl", "stop", UNIT)
    token = machine.output("python3", "-c", JWT, secret)
    status, body = curl(machine, "/v1/session", None, "-H", f"Authorization: Bearer {token}")
    assert (status, json.loads(body)["name"]) == (200, "jwt:anna")
    machine.run("rm", "-r", f"/etc/systemd/system/{UNIT}.d", "/etc/syncrun/jwt", "/etc/syncrun/syncrun-http.conf.d")
    machine.run("systemctl", "daemon-reload")
    machine.run("systemctl", "stop", UNIT)
    assert curl(machine, "/v1/session", None, "-H", f"Authorization: Bearer {token}")[0] == 401


def test_another_address(machine, syncrun):
    """README's drop-in of the socket."""
    (text,) = re.findall(r"^```systemd\n(.*?)^```$", (Path(__file__).resolve().parents[2] / "README.md").read_text(), re.M | re.S)
    folder = "/etc/systemd/system/syncrun-http.socket.d"
    machine.write(f"{folder}/override.conf", text.replace("10.0.0.2", "127.0.0.2"))
    machine.run("systemctl", "daemon-reload")
    machine.run("systemctl", "stop", UNIT, "syncrun-http.socket")
    machine.run("systemctl", "start", "syncrun-http.socket")
    for url in (URL, "http://127.0.0.2:8377"):
        assert curl(machine, "/healthz", url=url)[0] == 200
    machine.run("rm", "-r", folder)
    machine.run("systemctl", "daemon-reload")
    machine.run("systemctl", "stop", UNIT, "syncrun-http.socket")
    machine.run("systemctl", "start", "syncrun-http.socket")


def test_it_has_a_user_of_its_own_and_sees_nothing(machine, syncrun, key):
    with held(machine, key):
        shown = machine.properties(UNIT, "MainPID", "UID", "MemoryMax", "LimitNOFILE")
        pid, uid = shown["MainPID"], shown["UID"]
        assert (shown["MemoryMax"], shown["LimitNOFILE"]) == (str(1 << 30), "65536")
        assert 61184 <= int(uid) <= 65519
        assert machine.output("stat", "-c", "%u", f"/proc/{pid}") == uid
        status = machine.output("cat", f"/proc/{pid}/status")
        assert re.search(r"^CapEff:\s+0+$", status, re.M) and re.search(r"^NoNewPrivs:\s+1$", status, re.M)
        assert re.search(r"^Seccomp:\s+2$", status, re.M)
        # Not its user's: nobody but root may look into its memory, and the kernel dumps none of it.
        assert machine.output("stat", "-c", "%u", f"/proc/{pid}/environ") == "0"
        # What is not for it is not there: even root would not find it.
        see = ["nsenter", f"--target={pid}", "--mount", "--"]
        for path in ("/var/lib/syncrun", "/etc/shadow", "/etc/passwd", "/etc/syncrun/connectors", "/etc/ssl", "/var/log"):
            machine.run("test", "-e", path)
            assert machine.run(*see, "test", "-e", path, check=False).returncode == 1, path
        assert machine.output(*see, "ls", "/etc").split() == ["ld.so.cache", "nsswitch.conf", "syncrun"]
        assert machine.output(*see, "ls", "/etc/syncrun").split() == ["syncrun-http.conf"]
        assert machine.output(*see, "ls", "/var").split() == ["tmp"]
        inside = [*see, "setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups"]
        for folder in ("/home", "/root", "/opt", "/srv"):
            assert "Permission denied" in machine.run(*inside, "ls", folder, check=False).stderr, folder
        done = machine.run(*inside, "touch", "/var/tmp/x", "/etc/x", "/run/syncrun/x", check=False)
        assert done.stderr.count("cannot touch") >= 2
        # It has sockets that it was given, and no network to make others in.
        assert machine.output("nsenter", f"--target={pid}", "--net", "--", "ip", "-o", "link").count("\n") == 0


def test_it_comes_back_after_a_kill(machine, syncrun, key):
    with held(machine, key):
        machine.run("systemctl", "kill", "--signal=KILL", UNIT)
    assert curl(machine, "/healthz")[0] == 200
