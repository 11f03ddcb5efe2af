# SPDX-License-Identifier: LGPL-2.1-or-later
"""Tokens of another's making: who is let in by one, as whom, how long; and that nothing else passes for one."""

import base64
import hmac
import json
import re
import time

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from server import ALICE, BOB, NOBODY, add_key, deadline, short_lived

RUNS = "/v1/sync-runs"
SESSION = "/v1/session"
ISSUER = "https://login.example"
SECRET = b"a secret that has thirty-two bytes, and more"
ANYBODY = {"sub": "service", "user_id": "*", "scope": "sync:read sync:write sync:admin"}


def pem(private):
    return private.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


RSA = rsa.generate_private_key(65537, 2048)
OTHER_RSA = rsa.generate_private_key(65537, 2048)
EC = ec.generate_private_key(ec.SECP256R1())
SIGNERS = {"HS256": SECRET, "RS256": RSA, "ES256": EC}
FILES = {"secret.hs256": SECRET, "2026.rs256": pem(RSA), "curve.es256": pem(EC)}


def part(value):
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def claims(**more):
    now = int(time.time())
    return {**{"iss": ISSUER, "aud": "syncrun", "exp": now + 300, "iat": now, **ANYBODY, **more}}


def token(algorithm="HS256", key=None, headers=None, without=(), **more):
    said = {name: value for name, value in claims(**more).items() if name not in without}
    return jwt.encode(said, key or SIGNERS[algorithm], algorithm, headers)


def sign(header, body, key=SECRET):
    """HMAC over anything."""
    text = f"{part(header)}.{part(body)}"
    return f"{text}.{part(hmac.new(key, text.encode(), 'sha256').digest())}"


def bearer(text):
    return {"Authorization": f"Bearer {text}"}


@pytest.fixture
def keys(tmp_path):
    folder = tmp_path / "jwt"
    folder.mkdir()
    for name, data in FILES.items():
        (folder / name).write_bytes(data)
    return folder


@pytest.fixture
def shims(new_shim, keys):
    def start(more=""):
        return new_shim(f"[Tokens]\nKeysDirectory={keys}\nIssuer={ISSUER}\nAudience=syncrun\nLeewaySec=1s\n{more}")

    return start


@pytest.fixture
def shim(shims):
    return shims()


def status(shim, text, path=RUNS):
    return shim.get(path, headers=bearer(text)).status


def why(shim):
    return re.findall(r"A token from 127.0.0.1 is refused: (.*)\.$", shim.log(), re.M)[-1]


def test_algorithms_and_key_ids(shim):
    for name in FILES:
        key_id, _, algorithm = name.partition(".")
        for headers in (None, {"kid": key_id}, {"typ": None}):
            assert status(shim, token(algorithm.upper(), headers=headers)) == 200
        assert status(shim, token(algorithm.upper(), headers={"kid": "none"})) == 401
        assert why(shim) == "no such key"


def test_who_it_is(shim, client):
    """Its subject, on the record and in the answers."""
    ends = int(time.time()) + 100
    body = shim.get(SESSION, headers=bearer(token(exp=ends, sub="anna@example.org"))).json()
    assert (body["name"], body["user"], body["scopes"]) == ("jwt:anna@example.org", None, ["sync:read", "sync:write", "sync:admin"])
    assert body["expiresAt"].startswith(time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(ends + 1)))
    answer = shim.post("/v1/connectors/bank/sync-now", headers=bearer(token(sub="anna@example.org")))
    assert answer.status == 201
    assert client.describe("DescribeRuns")["runs"][0]["requested_by"] == "jwt:anna@example.org"


def test_scopes(shim, daemon):
    for scope, allowed in (("sync:read", "GET"), ("sync:write openid  profile", "POST"), ("sync:admin", "METRICS"), ("", ""), ("openid", "")):
        headers = bearer(token(scope=scope))
        answers = {"GET": shim.get(RUNS, headers=headers), "POST": shim.post(RUNS, body={}, headers=headers),
                   "METRICS": shim.get("/metrics", headers=headers)}
        assert "".join(name for name, answer in answers.items() if answer.status != 403) == allowed
    assert answers["GET"].json() == {"error": "Token not allowed to perform 'sync:read' action"}
    assert status(shim, token(without=["scope"])) == 403


def test_users(shim, reporter):
    headers = bearer(token(user_id=ALICE.upper()))
    for user, expected in ((ALICE, 200), (BOB, 404), (NOBODY, 404)):
        assert shim.get(f"/api/v1/users/{user}/sync/recent", headers=headers).status == expected
    assert shim.get("/metrics", headers=headers).status == 403
    for wrong in ("", "none", "**", ALICE[:-1], ALICE + "0"):
        assert status(shim, token(user_id=wrong)) == 401 and why(shim) == "user"
    assert status(shim, token(without=["user_id"])) == 401 and why(shim) == "user"


def test_another_claim_for_the_user(shims, reporter):
    shim = shims("UserClaim=https://example.org/user\n")
    headers = bearer(token(**{"https://example.org/user": ALICE}))
    assert shim.get(f"/api/v1/users/{ALICE}/sync/recent", headers=headers).status == 200
    assert shim.get(f"/api/v1/users/{BOB}/sync/recent", headers=headers).status == 404
    assert status(shim, token()) == 401


def test_several_issuers_and_audiences(shims):
    shim = shims("Issuer=https://two.example\nAudience=other\n")
    for issuer in (ISSUER, "https://two.example"):
        for audience in ("syncrun", "other", ["x", "other"], ["syncrun"]):
            assert status(shim, token(iss=issuer, aud=audience)) == 200
    for more in ({"iss": "https://three.example"}, {"aud": ["x", "y"]}, {"aud": []}):
        assert status(shim, token(**more)) == 401


WRONG_CLAIMS = [
    ({"iss": ISSUER + "/"}, "iss"), ({"iss": ISSUER.upper()}, "iss"), ({"iss": ""}, "iss"), ({"aud": "other"}, "aud"),
    ({"aud": "syncrun "}, "aud"), ({"aud": {}}, "aud"), ({"aud": {"syncrun": "syncrun"}}, "aud"), ({"aud": ["syncrun", 1]}, "aud"),
    ({"sub": ""}, "sub"), ({"sub": "a\nb"}, "sub"), ({"sub": "\x7f"}, "sub"), ({"sub": "x" * 129}, "sub"), ({"sub": 1}, "sub"),
    ({"scope": ["sync:read"]}, "scope"), ({"scope": 1}, "scope"), ({"user_id": [ALICE]}, "user"), ({"user_id": True}, "user"),
    *[({"without": [name]}, name.removesuffix("_id")) for name in ("iss", "aud", "sub", "exp", "user_id")],
]


def test_wrong_claims(shim):
    """Those that must be there among them."""
    for more, reason in WRONG_CLAIMS:
        assert status(shim, sign({"alg": "HS256"}, claims(**more)) if "without" not in more else token(**more)) == 401, more
        assert why(shim) == reason


def test_bounds_of_a_subject(shim):
    for subject in ("x" * 128, "é" * 64, "auth0|5f7c8ec7c33c6c004bbafe82", " "):
        assert status(shim, token(sub=subject)) == 200


def test_dates_and_their_leeway(shims):
    shim = shims("LeewaySec=60s\n[Limits]\nFailuresPerMinute=infinity\n")
    now = time.time()
    for more, expected in (({"exp": now - 40}, 200), ({"exp": now - 80}, 401), ({"nbf": now + 40}, 200), ({"nbf": now + 80}, 401),
                           ({"iat": now + 40}, 200), ({"iat": now + 80}, 401), ({"exp": int(now) + 0.5}, 200)):
        assert status(shim, sign({"alg": "HS256"}, claims(**more))) == expected, more
    for name in ("exp", "nbf", "iat"):
        for wrong in ("2", str(int(now) + 99), None, True, [now + 99], {}, -1, 1e300, -1e300, 9223372036854775807, 1e13):
            assert status(shim, sign({"alg": "HS256"}, claims(**{name: wrong}))) == 401, (name, wrong)
            assert why(shim) == name
    assert status(shim, sign({"alg": "HS256"}, claims(exp=1e12))) == 200


def test_expired_words_and_counts(shims):
    """One that has expired is no guess."""
    shim = shims("[Limits]\nFailuresPerMinute=2\n")
    for _ in range(4):
        answer = shim.get(RUNS, headers=bearer(token(exp=int(time.time()) - 10)))
        assert (answer.status, answer.json()) == (401, {"error": "The token has expired"})
    answers = [shim.get(f"/api/v1/users/{ALICE}/sync/recent", headers=bearer(token(key=b"x" * 40))) for _ in range(3)]
    assert [answer.status for answer in answers] == [401, 401, 429]
    assert answers[0].json() == {"detail": "Invalid authentication credentials"}
    assert 'error="invalid_token"' in answers[0].headers["WWW-Authenticate"]


def test_no_signature_is_checked_for_who_guesses(shims):
    """A token that was seen valid holds on; another one of the same address waits, valid or not."""
    shim = shims("[Limits]\nFailuresPerMinute=2\n")
    seen, other = token(jti="seen"), token(jti="other")
    assert status(shim, seen) == 200
    assert [status(shim, token(key=b"x" * 40)) for _ in range(3)] == [401, 401, 429]
    assert [status(shim, seen), status(shim, other), status(shim, seen)] == [200, 429, 200]


# ---- What passes for a token elsewhere


def hostile():
    """(what, token), none of which may pass."""
    good = token()
    head, body, signature = good.split(".")
    said = claims()
    for name in ("none", "None", "NONE", "nOnE", "hs256", "HS256 ", "", None, 0, ["HS256"], {"alg": "HS256"}):
        header = {"alg": name, "typ": "JWT"}
        yield f"alg {name!r} unsigned", f"{part(header)}.{part(said)}."
        yield f"alg {name!r} with a signature", f"{part(header)}.{part(said)}.{signature}"
        yield f"alg {name!r} with an HMAC", sign(header, said)
    yield "no alg", sign({"typ": "JWT"}, said)
    for data in (pem(RSA), pem(RSA).strip(), pem(EC), pem(RSA).replace(b"\n", b"\r\n")):
        yield "a public key as the secret", sign({"alg": "HS256"}, said, data)
        yield "a public key as the secret, by its name", sign({"alg": "HS256", "kid": "2026"}, said, data)
        yield "the same said to be RS256", sign({"alg": "RS256", "kid": "2026"}, said, data)
    for data in (b"", b"\0", b"secret", b"\0" * 32, SECRET + b"\n", SECRET[:-1]):
        yield f"another secret {data!r}", sign({"alg": "HS256"}, said, data)
    yield "a secret's HMAC with a public key's name", sign({"alg": "HS256", "kid": "2026"}, said)
    yield "a secret's HMAC said to be RS256", sign({"alg": "RS256"}, said)
    yield "a secret's HMAC said to be ES256", sign({"alg": "ES256"}, said)
    for name in ("HS384", "HS512"):
        yield name, jwt.encode(said, SECRET, name)
    for name in ("RS384", "RS512", "PS256"):
        yield name, jwt.encode(said, RSA, name)
    yield "RS256 of another", jwt.encode(said, OTHER_RSA, "RS256")
    yield "ES256 of another", jwt.encode(said, ec.generate_private_key(ec.SECP256R1()), "ES256")
    yield "ES384", jwt.encode(said, ec.generate_private_key(ec.SECP384R1()), "ES384")
    yield "EdDSA", f"{part({'alg': 'EdDSA'})}.{part(said)}.{part(bytes(64))}"
    curve = f"{part({'alg': 'ES256'})}.{part(said)}."
    for data in (bytes(64), b"\xff" * 64, b"\x30\x06\x02\x01\x01\x02\x01\x01", bytes(63), bytes(65), bytes(2), bytes(128)):
        yield f"ES256 of {len(data)} bytes", curve + part(data)
    for data in (bytes(256), b"\xff" * 256, bytes(1), bytes(2048)):
        yield f"RS256 of {len(data)} bytes", f"{part({'alg': 'RS256'})}.{part(said)}.{part(data)}"
    yield "another body", f"{head}.{part({**said, 'user_id': BOB})}.{signature}"
    yield "another head", f"{part({'alg': 'HS256', 'x': 1})}.{body}.{signature}"
    for header in ({"crit": ["exp"]}, {"crit": ["b64"], "b64": False}, {"crit": []}, {"kid": 1}, {"kid": ["secret"]}, {"kid": ""},
                   {"kid": "secret.hs256"}, {"kid": "../jwt/secret"}, {"kid": "secret\0"}, {"kid": "SECRET"}, {"typ": "JWE"}):
        yield f"header {header}", sign({"alg": "HS256", **header}, said)
    own = {"kty": "oct", "k": part(b"x" * 32)}
    yield "a key that it brings", sign({"alg": "HS256", "jwk": own}, said, b"x" * 32)
    yield "a key elsewhere", sign({"alg": "HS256", "jku": "http://127.0.0.1/", "x5u": "http://127.0.0.1/"}, said, b"x" * 32)
    yield "alg twice", sign(b'{"alg": "HS256", "alg": "none"}', said)
    for data in (b"", b"[]", b"null", b"1", b'"x"', b"{", b"{}x", b"\xff", b'{"iss": "\xff"}', b'{"a":' * 3000, b"[" * 2500):
        yield f"body {data[:9]!r}", sign({"alg": "HS256"}, data)
        yield f"head {data[:9]!r}", sign(data, said)
    for text in (".", "..", "...", "a.b.c", f"{head}.{body}", f"{head}.{body}.", f".{body}.{signature}", f"{head}..{signature}",
                 f"{good}.", f".{good}", f"{good}.{signature}", f"{good}=", f"{good}==", f"{head}=.{body}.{signature}", f"{good} x",
                 f"{head} .{body}.{signature}", good.replace(".", ",", 1), f"{good}\t", good + "A", good[:-1], good[:-4],
                 f"{head}.{body}.{'A' * 3000}", f"{head}+.{body}.{signature}", f"{head}/.{body}.{signature}", "." * 3000):
        yield f"text {text[:12]!r}...", text


def test_hostile_tokens(shims):
    """On one connection, which must go on."""
    shim = shims("[Limits]\nFailuresPerMinute=infinity\nHeadMaxBytes=65536\n")
    tried = list(hostile())
    assert len(tried) > 120
    for what, text in tried:
        if text.endswith(("\t", " x")):
            continue
        answer = shim.get(RUNS, headers=bearer(text))
        assert answer.status == 401, what
        assert answer.json() in ({"error": "Invalid authentication credentials"}, {"error": "Invalid or missing API key"}), what
    assert status(shim, token()) == 200
    log = shim.log()
    for what, text in tried:
        for piece in text.split("."):
            assert len(piece) < 20 or piece not in log, what


def test_a_claim_twice(shim, reporter):
    """The last counts, as RFC 7519 has it."""
    said = json.dumps(claims(user_id=ALICE))[:-1].encode() + f', "user_id": "{BOB}"}}'.encode()
    headers = bearer(sign({"alg": "HS256"}, said))
    assert [shim.get(f"/api/v1/users/{user}/sync/recent", headers=headers).status for user in (ALICE, BOB)] == [404, 200]


def test_every_bit_of_a_signature_counts(shims):
    shim = shims("[Limits]\nFailuresPerMinute=infinity\n")
    for algorithm in SIGNERS:
        head, body, signature = token(algorithm).split(".")
        data = bytearray(base64.urlsafe_b64decode(signature + "=="))
        for i in range(0, len(data), max(1, len(data) // 16)):
            data[i] ^= 1 << i % 8
            assert status(shim, f"{head}.{body}.{part(bytes(data))}") == 401
            data[i] ^= 1 << i % 8
        assert status(shim, f"{head}.{body}.{part(bytes(data))}") == 200


def test_not_in_other_headers(shim):
    """A token is a bearer's, and no key or cookie."""
    for headers in ({"X-API-Key": token()}, {"X-Open-Wearables-API-Key": token()}, {"Cookie": f"syncrun_session={token()}"},
                    {"Authorization": token()}, {"Authorization": f"Basic {token()}"}):
        assert shim.get(RUNS, headers=headers).status == 401
    assert shim.post(SESSION, body={"key": token()}).status == 401


def test_keys_go_on(shim, client):
    key = add_key(client)
    assert status(shim, key) == 200
    assert shim.get(RUNS, key).status == 200


# ---- Limits


def test_limits_are_the_subjects(shims):
    shim = shims("[Limits]\nRequestsPerMinute=4\n[Streams]\nStreamsPerKeyMax=1\n")
    with shim.stream("/api/v1/sync/stream", None, bearer(token(jti="1"))) as stream:
        assert stream.status == 200
        assert shim.get("/api/v1/sync/stream", headers=bearer(token(jti="2"))).status == 429
        left = [shim.get(RUNS, headers=bearer(token(algorithm))).headers["X-RateLimit-Remaining"] for algorithm in SIGNERS]
        assert left == ["1", "0", "0"]
        assert status(shim, token()) == 429
        assert status(shim, token(sub="another")) == 200


def test_a_stream_ends_with_its_token(shim, reporter):
    def open_stream(end):
        return shim.stream(f"/api/v1/users/{ALICE}/sync/stream", None, bearer(token(user_id=ALICE, exp=end)))

    stream, end = short_lived(open_stream)
    with stream:
        stream.rest()
        assert stream.ended and time.time() >= end
    assert shim.get(RUNS, headers=bearer(token(user_id=ALICE, exp=end))).json() == {"error": "The token has expired"}


# ---- Keys


def wait_status(shim, text, expected):
    """Until the folder has been read again."""
    until = deadline()
    while status(shim, text) != expected:
        assert time.monotonic() < until, shim.log()


def test_keys_come_and_go(shims, keys, reporter):
    """Without a restart; what was signed with a key that went holds no more, its streams neither."""
    shim = shims("[Limits]\nFailuresPerMinute=infinity\n")
    secret, other = b"another secret, of thirty-two bytes and more", b"y" * 32
    new = token(key=secret)
    assert status(shim, new) == 401
    (keys / "new.part").write_bytes(secret + b"\n")
    (keys / "new.part").rename(keys / "new.hs256")
    wait_status(shim, new, 200)
    assert status(shim, token()) == 200
    path = f"/api/v1/users/{ALICE}/sync/stream"
    with shim.stream(path, None, bearer(new)) as gone, shim.stream(path, None, bearer(token())) as stays:
        assert gone.messages(1) == stays.messages(1) == ["first"]
        (keys / "new.hs256").unlink()
        assert gone.rest() == [] and gone.ended
        assert status(shim, new) == 401
        reporter.say("second")
        assert stays.messages(1) == ["second"]
    # Another key of the name is another key.
    (keys / "secret.part").write_bytes(other)
    (keys / "secret.part").rename(keys / "secret.hs256")
    wait_status(shim, token(key=other), 200)
    assert status(shim, token()) == 401


def other_keys():
    short = rsa.generate_private_key(65537, 1024)
    private = RSA.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return {
        "short.hs256": (b"x" * 31, "less than 32 bytes"), "empty.hs256": (b"", "less than 32 bytes"),
        "line.hs256": (b"x" * 31 + b"\n", "less than 32 bytes"), "pem.hs256": (pem(RSA), "no secret"),
        "short.rs256": (pem(short), "shorter than 2048"), "curve.rs256": (pem(EC), "no RSA key"), "text.rs256": (b"x" * 99, "no public key"),
        "private.rs256": (private, "no public key"), "rsa.es256": (pem(RSA), "curve P-256"),
        "p384.es256": (pem(ec.generate_private_key(ec.SECP384R1())), "curve P-256"), "large.rs256": (b"x" * 16385, "too large"),
    }


def test_files_that_are_no_keys(shims, keys):
    for name, (data, _) in other_keys().items():
        (keys / name).write_bytes(data)
    for name in (".hs256", ".hidden.hs256", "none", "none.pem", "x" * 65 + ".hs256", "a.hs2567", "hs256"):
        (keys / name).write_bytes(SECRET)
    (keys / ("x" * 64 + ".hs256")).write_bytes(SECRET)  # TOKEN_KEY_ID_MAX
    (keys / "folder.hs256").mkdir()
    shim = shims()
    assert "There are 4 keys of tokens" in shim.log()
    for name, (data, words) in other_keys().items():
        assert re.search(rf"{re.escape(name)}.*{words}", shim.log()), name
        assert data.decode()[:40] not in shim.log() or not data
    assert "folder.hs256" in shim.log() and "hs2567" not in shim.log()
    assert status(shim, token()) == 200


def test_most_keys(shims, keys):
    for path in keys.iterdir():
        path.unlink()
    for i in range(64):
        (keys / f"{'k' * 61}{i:03}.hs256").write_bytes(f"{i:040}".encode())
    shim = shims()
    assert "There are 64 keys of tokens" in shim.log() and "others are not used" not in shim.log()
    assert status(shim, token(key=f"{63:040}".encode())) == 200
    (keys / "more.hs256").write_bytes(SECRET)
    while "others are not used" not in shim.log():
        pass


@pytest.mark.parametrize("settings, words", [
    ("Issuer=x\n", "All tokens are refused"), ("Audience=x\n", "All tokens are refused"), ("", "All tokens are refused"),
    ("LeewaySec=x\n", "LeewaySec"), ("KeysDirectory=/nonexistent\nIssuer=x\nAudience=x\n", "Cannot read the keys of tokens"),
])
def test_settings_that_let_nobody_in(new_shim, keys, settings, words):
    shim = new_shim(f"[Tokens]\nKeysDirectory={keys}\n{settings}")
    assert words in shim.log()
    assert status(shim, token()) == 401


def test_without_settings(new_shim):
    shim = new_shim()
    assert status(shim, token()) == 401
    assert why(shim) == "no such key"


def test_keys_from_credentials(new_shim, daemon, keys):
    """As systemd hands them over, of LoadCredential=jwt:/folder."""
    for path in keys.iterdir():
        path.rename(keys / f"jwt_{path.name}")
    (keys / "other.hs256").write_bytes(b"z" * 32)
    shim = new_shim(f"[Tokens]\nIssuer={ISSUER}\nAudience=syncrun\n")
    assert shim.stop() == 0
    shim.environment["CREDENTIALS_DIRECTORY"] = str(keys)
    shim.start()
    assert status(shim, token(headers={"kid": "secret"})) == 200
    assert status(shim, token("RS256")) == 200
    assert status(shim, token(key=b"z" * 32)) == 401


def test_nothing_of_a_token_is_logged(shim, keys):
    good = token()
    for text in (good, good[:-2], token(aud="x"), token(exp=1)):
        for path in (RUNS, "/metrics", f"/v1/{text}", f"/v1/sync-runs?token={text}"):
            shim.get(path, headers=bearer(text))
    assert shim.stop() == 0
    log = shim.log()
    for piece in good.split("."):
        assert piece not in log
    assert SECRET.decode() not in log
