# SPDX-License-Identifier: LGPL-2.1-or-later
"""The page's session: signing in and out, what its cookie is good for, how long, and what other sites can make of it."""

import hashlib
import hmac
import json
import re
import time
from datetime import datetime, timezone

import pytest
from server import ALICE, BOB, NOBODY, add_key, deadline, short_lived

SESSION = "/v1/session"
RUNS = "/v1/sync-runs"
HOURS_12 = 12 * 3600
PAGE = {"X-Syncrun-Page": "1"}
REPORT = f"/api/v1/users/{ALICE}/sync/events"


def sign_in(shim, key, **headers):
    return shim.post(SESSION, body={"key": key}, headers=headers)


def cookie_of(answer):
    return re.fullmatch(r"syncrun_session=([^;]+); Path=/; Max-Age=43200; HttpOnly; SameSite=Strict(; Secure)?",
                        answer.headers["Set-Cookie"])[1]


def with_cookie(value, **more):
    return {"Cookie": f"syncrun_session={value}", **more}


@pytest.fixture
def cookie(shim, key):
    return cookie_of(sign_in(shim, key))


def forge(shim, key, seconds, version="v2", session="0123456789abcdef"):
    """As the server makes it, with its own key."""
    text = f"{version}.{hashlib.sha256(key.encode()).hexdigest()}.{seconds}.{session}"
    secret = (shim.folder / "run" / "session-key").read_bytes()
    return f"{text}.{hmac.new(secret, text.encode(), 'sha256').hexdigest()}"


def is_cleared(answer):
    return answer.headers["Set-Cookie"] == "syncrun_session=; Path=/; Max-Age=0; HttpOnly; SameSite=Strict"


def test_sign_in(shim, key):
    answer = sign_in(shim, key)
    assert answer.status == 200
    body = answer.json()
    assert list(body) == ["name", "scopes", "user", "expiresAt"]
    assert (body["name"], body["scopes"], body["user"]) == ("key", ["sync:read", "sync:write", "sync:admin"], None)
    ends = datetime.fromisoformat(body["expiresAt"]) - datetime.now(timezone.utc)
    assert HOURS_12 - 60 < ends.total_seconds() <= HOURS_12
    headers = with_cookie(cookie_of(answer))
    assert shim.get(SESSION, headers=headers).json() == body
    assert shim.get(RUNS, headers=headers).status == 200
    # Beside those of others.
    assert shim.get(RUNS, headers={"Cookie": f"a=b; {headers['Cookie']}; c=\"d\""}).status == 200
    assert key[3:] not in answer.headers["Set-Cookie"]


def test_whose_key_is_it(shim, client, key):
    assert shim.get(SESSION).status == 401
    assert shim.get(SESSION, key).json() == {"name": "key", "scopes": ["sync:read", "sync:write", "sync:admin"], "user": None,
                                             "expiresAt": None}


WRONG_SIGN_INS = [
    ('{"key": "sk-00000000000000000000000000000000"}', 401), ('{"key": ""}', 401), ('{"key": "x"}', 401), ('{"key": "\\u00e9"}', 401),
    ('{"key": null}', 422), ('{"key": 1}', 422), ("{}", 422), ("[]", 422), ("{", 400), ("", 400), ('{"key": "a\\u0000b"}', 422),
]


def test_wrong_sign_ins(shim, daemon):
    for body, status in WRONG_SIGN_INS:
        answer = shim.post(SESSION, body=body)
        assert (answer.status, answer.headers["Set-Cookie"]) == (status, None), body


def test_secure_behind_tls(new_shim, key):
    """Where a proxy that is trusted says so, and no other."""
    tls = {"X-Forwarded-Proto": "https"}
    assert "Secure" not in sign_in(new_shim(), key, **tls).headers["Set-Cookie"]
    shim = new_shim("[Server]\nTrustedProxy=127.0.0.1\n")
    answer = sign_in(shim, key, **tls)
    assert answer.headers["Set-Cookie"].endswith("; Secure") and cookie_of(answer)
    assert "Secure" not in sign_in(shim, key, **{"X-Forwarded-Proto": "http"}).headers["Set-Cookie"]


def test_sign_out(shim, cookie):
    assert shim.request("DELETE", SESSION, headers=with_cookie(cookie)).status == 403
    answer = shim.request("DELETE", SESSION, headers=with_cookie(cookie, **PAGE))
    assert (answer.status, answer.body) == (204, b"")
    assert is_cleared(answer)


def sign_out(shim, cookie):
    assert shim.request("DELETE", SESSION, headers=with_cookie(cookie, **PAGE)).status == 204


def expect_ended(shim, *cookies):
    for cookie in cookies:
        answer = shim.get(RUNS, headers=with_cookie(cookie))
        assert (answer.status, answer.json()) == (401, {"error": "The session has ended"}) and is_cleared(answer)


def test_who_was_signed_out_stays_out(shim, key, cookie, reporter):
    """Whoever has the cookie; what was signed in elsewhere with the same key goes on. So it is in the next process."""
    other = cookie_of(sign_in(shim, key))
    path = f"/api/v1/users/{ALICE}/sync/stream"
    with shim.stream(path, None, with_cookie(cookie)) as ends, shim.stream(path, None, with_cookie(other)) as stays:
        assert ends.messages(1) == stays.messages(1) == ["first"]
        sign_out(shim, cookie)
        assert ends.rest() == [] and ends.ended
        reporter.say("more")
        assert stays.messages(1) == ["more"]
    expect_ended(shim, cookie)
    shim.kill9()
    shim.start()
    expect_ended(shim, cookie)
    sign_out(shim, other)
    assert shim.stop() == 0
    shim.start()
    expect_ended(shim, cookie, other)
    # A key ends no session.
    third = cookie_of(sign_in(shim, key))
    assert shim.request("DELETE", SESSION, key).status == 204
    assert shim.get(RUNS, headers=with_cookie(third)).status == 200


@pytest.mark.parametrize("is_known", [True, False])
def test_sign_out_while_the_service_is_away(shim, daemon, cookie, reporter, is_known):
    """Nobody but the server itself is needed for it, whether it has seen the session's key before or not."""
    if not is_known:
        assert shim.stop() == 0
        shim.start()
    daemon.stop()
    assert shim.request("DELETE", SESSION, headers=with_cookie(cookie)).status == 403
    answer = shim.request("DELETE", SESSION, headers=with_cookie(cookie, **PAGE))
    assert answer.status == 204 and is_cleared(answer)
    expect_ended(shim, cookie)
    daemon.start()
    expect_ended(shim, cookie)
    assert shim.request("DELETE", SESSION, headers=with_cookie(cookie, **PAGE)).status == 401


def test_sign_out_with_a_body_while_the_service_is_away(shim, daemon, cookie, key):
    """One that comes only when it is admitted: the key of the session is not known then, which is no reason to keep it."""
    assert shim.stop() == 0
    shim.start()
    daemon.stop()
    answer = shim.request("DELETE", SESSION, body="x" * 5000, headers=with_cookie(cookie, **PAGE))
    assert answer.status == 204 and is_cleared(answer)
    expect_ended(shim, cookie)


@pytest.mark.parametrize("text", [
    "", "x", "x y\n", "x y 1\n", "all all\n", "all 1\n", "all all 1\nx all 1\n", "all all 1\n" + 64 * "0" + " x 1\n", "all all 1",
    "all x 1\n", "all all -1\n", "all all 99999999999999999999\n", 64 * "0" + " all 1\n",
])
def test_all_end_when_it_is_not_known_which_have(shim, key, text):
    first, second = (cookie_of(sign_in(shim, key)) for _ in range(2))
    sign_out(shim, first)
    assert shim.stop() == 0
    ended = shim.folder / "run" / "sessions-ended"
    assert ended.stat().st_mode & 0o7777 == 0o600
    ended.write_text(text)
    shim.start()
    assert [shim.get(RUNS, headers=with_cookie(cookie)).status for cookie in (first, second)] == [401, 401]
    assert "cannot be read which sessions" in shim.log()
    third = cookie_of(sign_in(shim, key))
    sign_out(shim, third)
    expect_ended(shim, third)


def test_it_holds_over_restarts(shim, client, daemon, cookie):
    shim.kill9()
    shim.start()
    assert shim.get(RUNS, headers=with_cookie(cookie)).status == 200
    assert shim.stop() == 0
    shim.start()
    daemon.restart()
    assert shim.get(RUNS, headers=with_cookie(cookie)).status == 200
    assert (shim.folder / "run" / "session-key").stat().st_mode & 0o7777 == 0o600


def test_another_key_of_sessions_ends_them(shim, cookie):
    assert shim.stop() == 0
    (shim.folder / "run" / "session-key").unlink()
    shim.start()
    answer = shim.get(RUNS, headers=with_cookie(cookie))
    assert answer.status == 401 and is_cleared(answer)


def test_forged(shim, key, cookie):
    """Every byte counts, and a signature by anything but the server's key is none."""
    version, digest, seconds, session, signature = cookie.split(".")
    other = hmac.new(b"", f"{version}.{digest}.{seconds}.{session}".encode(), "sha256").hexdigest()
    for wrong in ("x", "....", key, digest, cookie[:-1], cookie + "0",
                  f"{version}.{digest}.{int(seconds) + 1}.{session}.{signature}",
                  f"{version}.{digest[::-1]}.{seconds}.{session}.{signature}", f"{version}.{digest}.{seconds}.{session}.{other}",
                  f"{version}.{digest}.{seconds}.{session[::-1]}.{signature}", f"{version}.{digest}.{seconds}.{signature}",
                  f"{version}.{digest}.{seconds}.{session}.", f"{version}.{digest}.{seconds}.{session}", cookie.upper(), "A" * 2000):
        answer = shim.get(RUNS, headers=with_cookie(wrong))
        assert answer.status == 401 and is_cleared(answer), wrong
    assert shim.get(RUNS, headers={"Cookie": "syncrun_session="}).json() == {"error": "Authentication required"}
    assert shim.get(RUNS, headers=with_cookie(cookie)).status == 200


def test_ended(shim, key):
    now = int(time.time())
    assert shim.get(RUNS, headers=with_cookie(forge(shim, key, now + 60))).status == 200
    for seconds in (now - 1, 0, now + HOURS_12 + 60):
        answer = shim.get(RUNS, headers=with_cookie(forge(shim, key, seconds)))
        assert (answer.status, answer.json()) == (401, {"error": "The session has ended"}) and is_cleared(answer)


def test_guesses_count_but_not_what_has_ended(new_shim, key):
    shim = new_shim("[Limits]\nFailuresPerMinute=3\n")
    for _ in range(5):
        assert shim.get(RUNS, headers=with_cookie(forge(shim, key, 1))).status == 401
    statuses = [shim.get(RUNS, headers=with_cookie("forged")).status for _ in range(5)]
    assert statuses == [401, 401, 401, 429, 429]
    assert shim.get(RUNS, headers=with_cookie(forge(shim, key, int(time.time()) + 60))).status == 200


def test_revoked_at_once(shim, client, cookie, reporter):
    headers = with_cookie(cookie)
    with shim.stream(f"/api/v1/users/{ALICE}/sync/stream", None, headers) as stream:
        assert stream.messages(1) == ["first"]
        client.manager("RevokeApiKey", "(s)", "key")
        assert stream.rest() == [] and stream.ended
    answer = shim.get(RUNS, headers=headers)
    assert answer.status == 401 and is_cleared(answer)
    # A new key of the name is another.
    add_key(client)
    assert shim.get(RUNS, headers=headers).status == 401


def test_revoked_while_nobody_served(shim, client, cookie):
    shim.kill9()
    client.manager("RevokeApiKey", "(s)", "key")
    shim.start()
    assert shim.get(RUNS, headers=with_cookie(cookie)).status == 401


def test_a_stream_ends_with_its_session(shim, key, reporter):
    def open_stream(end):
        return shim.stream(f"/api/v1/users/{ALICE}/sync/stream", None, with_cookie(forge(shim, key, end)))

    stream, end = short_lived(open_stream)
    with stream:
        stream.rest()
        assert stream.ended and time.time() >= end
    until = deadline()
    while shim.metric(key, "syncrun_http_streams") != 0:
        assert time.monotonic() < until


def test_of_one_user(shim, client, reporter):
    cookie = cookie_of(sign_in(shim, add_key(client, "hers", user=ALICE)))
    body = shim.get(SESSION, headers=with_cookie(cookie)).json()
    assert (body["name"], body["user"]) == ("hers", ALICE)
    for user, status in ((ALICE, 200), (BOB, 404), (NOBODY, 404)):
        for path in ("recent", "runs"):
            assert shim.get(f"/api/v1/users/{user}/sync/{path}", headers=with_cookie(cookie)).status == status
    assert shim.get(f"/api/v1/users/{BOB}/sync/stream", headers=with_cookie(cookie)).status == 404
    assert shim.get("/metrics", headers=with_cookie(cookie)).status == 403


def test_scopes_are_the_keys(shim, client, daemon):
    cookie = cookie_of(sign_in(shim, add_key(client, "reader", scopes=["sync:read"])))
    assert shim.get(RUNS, headers=with_cookie(cookie)).status == 200
    answer = shim.post(RUNS, body={}, headers=with_cookie(cookie, **PAGE))
    assert (answer.status, answer.json()) == (403, {"error": "API key not allowed to perform 'sync:write' action"})


def test_it_acts_as_the_key(shim, client, cookie):
    answer = shim.post("/v1/connectors/bank/sync-now", headers=with_cookie(cookie, **PAGE))
    assert answer.status == 201
    assert client.describe("DescribeRuns")["runs"][0]["requested_by"] == "key:key"


def test_limits_are_the_keys(new_shim, key):
    shim = new_shim("[Limits]\nRequestsPerMinute=5\n[Streams]\nStreamsPerKeyMax=1\n")
    cookies = [cookie_of(sign_in(shim, key)) for _ in range(2)]
    left = [int(shim.get(RUNS, headers=with_cookie(cookie)).headers["X-RateLimit-Remaining"]) for cookie in cookies]
    assert left == [2, 1]
    with shim.stream("/api/v1/sync/stream", None, with_cookie(cookies[0])) as stream:
        assert stream.status == 200
        assert shim.get(RUNS, key).status == 429
        assert sign_in(shim, key).status == 429


def test_streams_are_counted_for_the_key(new_shim, key):
    shim = new_shim("[Streams]\nStreamsPerKeyMax=1\n")
    cookie = cookie_of(sign_in(shim, key))
    with shim.stream("/api/v1/sync/stream", None, with_cookie(cookie)) as stream:
        assert stream.status == 200
        assert shim.get("/api/v1/sync/stream", key).status == 429


# ---- What other sites make a browser send


CROSS_SITE = [
    ({}, 403), ({"X-Syncrun-Page": "0"}, 403), ({"X-Syncrun-Page": ""}, 403), (PAGE, 201),
    ({**PAGE, "Origin": "https://evil.example"}, 403), ({**PAGE, "Origin": "null"}, 403), ({**PAGE, "Origin": ""}, 403),
    ({**PAGE, "Origin": "http://sync.example"}, 201), ({**PAGE, "Origin": "http://sync.example:81"}, 403),
    ({**PAGE, "Sec-Fetch-Site": "same-origin", "Origin": "https://behind.a.proxy"}, 201),
    ({**PAGE, "Sec-Fetch-Site": "same-site"}, 403), ({**PAGE, "Sec-Fetch-Site": "cross-site"}, 403),
    ({**PAGE, "Sec-Fetch-Site": "cross-site", "Origin": "http://sync.example"}, 403),
]


def test_cross_site(shim, cookie, reporter):
    for headers, status in CROSS_SITE:
        answer = shim.post(REPORT, body=reporter.event(), headers=with_cookie(cookie, Host="sync.example", **headers))
        assert answer.status == status, headers
        # Reading is for every request that has the cookie: no answer is given to another site's script.
        answer = shim.get(RUNS, headers=with_cookie(cookie, Host="sync.example", **headers))
        assert answer.status == 200 and answer.headers["Access-Control-Allow-Origin"] is None


def test_a_key_needs_no_header_of_the_page(shim, key, cookie, reporter):
    """It is no cookie: no browser sends it by itself."""
    assert shim.post(REPORT, key, reporter.event()).status == 201
    # Beside a session it is not known whose request it is.
    for given in (key, "x"):
        answer = shim.post(REPORT, given, reporter.event(), headers=with_cookie(cookie, **PAGE))
        assert (answer.status, answer.json()) == (400, {"detail": "The request has more than one key, token or session"})


def test_nobody_is_signed_in_by_another_site(shim, key):
    for headers, status in (({"Origin": "https://evil.example"}, 403), ({"Sec-Fetch-Site": "cross-site"}, 403),
                            ({"Origin": "null"}, 403), ({"Sec-Fetch-Site": "same-origin"}, 200)):
        answer = sign_in(shim, key, **headers)
        assert answer.status == status
        assert bool(answer.headers["Set-Cookie"]) == (status == 200)


def test_the_host_that_a_proxy_tells(new_shim, key):
    """Of those that are trusted."""
    headers = {"Origin": "https://sync.example", "X-Forwarded-Host": "sync.example"}
    assert sign_in(new_shim(), key, **headers).status == 403
    assert sign_in(new_shim("[Server]\nTrustedProxy=127.0.0.1\n"), key, **headers).status == 200


def test_cors_is_not_for_cookies(new_shim, key):
    """A page that may read answers still cannot use the session of another's."""
    shim = new_shim("[Server]\nAllowOrigin=https://app.example\n")
    cookie = cookie_of(sign_in(shim, key))
    headers = with_cookie(cookie, Origin="https://app.example", **PAGE)
    assert shim.get(RUNS, headers=headers).headers["Access-Control-Allow-Credentials"] is None
    assert shim.post(REPORT, body={}, headers=headers).status == 403
    preflight = {"Origin": "https://app.example", "Access-Control-Request-Method": "POST"}
    assert "page" not in shim.request("OPTIONS", RUNS, headers=preflight).headers["Access-Control-Allow-Headers"].lower()


# ---- What is told of it


def test_refusals_are_counted_and_logged(shim, client, key, cookie):
    reader = add_key(client, "reader", scopes=["sync:read"])
    wrong = "sk-" + "5" * 32
    asked = [(RUNS, {}), (RUNS, {"X-API-Key": wrong}), (RUNS, with_cookie(forge(shim, key, 1))), ("/metrics", {"X-API-Key": reader})]
    for path, headers in asked:
        assert shim.get(path, headers=headers).status in (401, 403)
    assert shim.post(REPORT, body={}, headers=with_cookie(cookie)).status == 403
    text = shim.get("/metrics", key).body.decode()
    counted = dict(re.findall(r'^syncrun_http_refusals_total\{reason="(.*)"\} (\d+)$', text, re.M))
    assert counted == {"no-key": "1", "unknown-key": "1", "bad-token": "0", "expired": "1", "too-many-failures": "0", "rate": "0",
                       "scope": "1", "foreign-page": "1", "streams": "0", "several-keys": "0"}
    log = shim.log()
    for reason in ("no-key", "unknown-key", "expired", "scope, key reader", "foreign-page, key key"):
        assert re.search(rf"Refused (GET|POST) /\S+ from 127\.0\.0\.1: {reason}\.", log), reason
    for secret in (key[3:], reader[3:], wrong[3:], cookie, *cookie.split(".")[1::3]):
        assert secret not in log


def test_no_secret_is_anywhere(shim, daemon, key, reporter):
    """Not in any log at its most talkative, nor in what refusals say, nor on the disk."""
    said = []
    cookie = cookie_of(sign_in(shim, key))
    for body in (json.dumps({"key": key + "x"}), json.dumps({"key": [key]}), json.dumps(key), '{"key": "' + key, f"{key}: 1"):
        said.append(shim.post(SESSION, body=body).body)
    for value in (cookie + "x", key, cookie[:-1]):
        said.append(shim.get(RUNS + "?status=x", headers=with_cookie(value)).body)
        said.append(shim.get(f"/v1/{value}", headers={"Authorization": f"Bearer {value}"}).body)
        said.append(shim.post(REPORT, body={}, headers=with_cookie(value)).body)
    assert shim.stop() == 0
    assert daemon.stop() == 0
    said += [shim.log().encode(), daemon.log().encode()]
    said += [path.read_bytes() for path in shim.folder.rglob("*") if path.is_file()]
    for text in said:
        for secret in (key[3:], *cookie.split(".")[1::3]):
            assert secret.encode() not in text


def test_sessions_without_a_place_for_their_key(bus, new_shim, key):
    """They then hold as long as the process."""
    shim = new_shim()
    assert shim.stop() == 0
    for folder in (None, "/nonexistent"):
        shim.environment.pop("RUNTIME_DIRECTORY", None)
        if folder:
            shim.environment["RUNTIME_DIRECTORY"] = folder
        shim.start()
        cookie = cookie_of(sign_in(shim, key))
        assert shim.get(RUNS, headers=with_cookie(cookie)).status == 200
        assert shim.stop() == 0
        shim.start()
        assert shim.get(RUNS, headers=with_cookie(cookie)).status == 401
        assert shim.stop() == 0
        assert ("cannot be kept" in shim.log()) == bool(folder)
