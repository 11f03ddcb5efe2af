# SPDX-License-Identifier: LGPL-2.1-or-later
"""API keys on the bus: made, told once, checked, revoked; limits, kills, and that the secret stays in its one reply."""

import hashlib
import json
import re
import sqlite3

import pytest
from harness import MANAGER, PATH, CallError, frozen, options, wait_for

USER = "7f9c0d5e-1111-4222-8333-444455556666"
OTHER = "7f9c0d5e-2222-4222-8333-444455556666"
READ = {"scopes": ["sync:read"]}


def digest(key):
    return hashlib.sha256(key.encode()).hexdigest()


def add(client, name, **values):
    return client.manager("AddApiKey", "(sa{sv})", name, options(**(values or READ)))


def check(client, key):
    return client.manager("CheckApiKey", "(s)", digest(key))


def revoke(client, name):
    client.manager("RevokeApiKey", "(s)", name)


def keys(client, **values):
    return client.describe("DescribeApiKeys", **values)["keys"]


def names(client, **values):
    return [key["name"] for key in keys(client, **values)]


def refused(error, call, *args, **kwargs):
    with pytest.raises(CallError) as raised:
        call(*args, **kwargs)
    assert raised.value.name == error
    return raised.value.message


def test_key_from_making_to_revoking(daemon, client):
    key = add(client, "page", scopes=["sync:admin", "sync:read", "sync:read"], user=USER.upper())
    assert re.fullmatch("sk-[0-9a-f]{32}", key)
    assert keys(client) == [{"name": "page", "scopes": ["sync:read", "sync:admin"], "user_id": USER,
                             "created_at": keys(client)[0]["created_at"], "created_by": "uid:0", "last_used_at": None}]
    assert check(client, key) == ("page", ["sync:read", "sync:admin"], USER)
    assert keys(client)[0]["last_used_at"] is not None
    signals = client.signals(MANAGER, "ApiKeyRevoked")
    revoke(client, "page")
    wait_for(lambda: signals, "the news")
    assert [arguments for _, _, arguments in signals] == [("page",)]
    assert "no such API key" in refused("NoSuchKey", check, client, key)
    refused("NoSuchKey", revoke, client, "page")
    assert keys(client) == []


def test_keys_are_told_apart(daemon, client):
    made = {name: add(client, name, scopes=["sync:write"]) for name in "abcdefgh"}
    assert len(set(made.values())) == len(made)
    for name, key in made.items():
        assert check(client, key) == (name, ["sync:write"], "")
    for key in made.values():
        refused("NoSuchKey", check, client, key[:-1] + ("0" if key[-1] != "0" else "1"))


def test_name_that_is_given_anew_is_another_key(daemon, client):
    first = add(client, "page")
    refused("AlreadyExists", add, client, "page")
    revoke(client, "page")
    second = add(client, "page", scopes=["sync:admin"])
    refused("NoSuchKey", check, client, first)
    assert check(client, second)[:2] == ("page", ["sync:admin"])


def test_filters(daemon, client):
    add(client, "b", **READ, user=USER)
    add(client, "c", **READ, user=OTHER)
    add(client, "a")
    assert names(client) == ["a", "b", "c"]
    assert names(client, user=USER.upper()) == ["b"]
    assert names(client, name="c") == ["c"]
    assert names(client, name="d") == []
    assert "UUID" in refused("InvalidArgument", keys, client, user="me")


def test_user_of_a_key_is_known(daemon, client):
    add(client, "page", **READ, user=USER)
    assert [user["id"] for user in client.describe("DescribeUsers")["users"]] == [USER]


@pytest.mark.parametrize("name", ["a", "0", "A.b_c-d@e", "x" * 64])
def test_good_names(daemon, client, name):
    add(client, name)
    assert names(client) == [name]


@pytest.mark.parametrize("name", ["", "x" * 65, "-a", ".a", "a b", "a/b", "ü", "a\nb", "sk-a", "jwt:a"])
def test_bad_names(daemon, client, name):
    assert "name: 1 to 64" in refused("InvalidArgument", add, client, name)
    assert names(client) == []


@pytest.mark.parametrize("values, words", [
    ({}, "at least one of sync:read"), ({"scopes": []}, "at least one of sync:read"),
    ({"scopes": ["sync:read", "root"]}, "there is no 'root'"), ({"scopes": "sync:read"}, "wrong type"),
    ({**READ, "user": "me"}, "'me' is not a UUID"), ({**READ, "key": "sk-"}, "no option 'key'")])
def test_bad_options(daemon, client, values, words):
    assert words in refused("InvalidArgument", client.manager, "AddApiKey", "(sa{sv})", "page", options(**values))
    assert names(client) == []


@pytest.mark.parametrize("text", ["", "0" * 63, "0" * 65, "0" * 63 + "g", "A" * 64, "sk-" + "0" * 32])
def test_bad_hashes(daemon, client, text):
    message = refused("InvalidArgument", client.manager, "CheckApiKey", "(s)", text)
    assert message.endswith(".InvalidArgument: sha256: 64 lower-case hexadecimal digits.")


def test_limit(daemon, client):
    """1000 keys hold; the next one is refused until one is revoked."""
    answers = []
    for begin in range(0, 1000, 100):  # the bus lets a client wait for 128 answers
        answers += [client.start_call(PATH, MANAGER, "AddApiKey", "(sa{sv})", f"k{begin + i}", options(**READ))
                    for i in range(100)]
        wait_for(lambda: all(answers), "a hundred keys")
    assert len({answer[0][0] for answer in answers}) == 1000
    assert "1000" in refused("LimitExceeded", add, client, "one-more")
    assert check(client, answers[-1][0][0])[0] == "k999"
    revoke(client, "k0")
    assert check(client, add(client, "one-more"))[0] == "one-more"
    refused("LimitExceeded", add, client, "and-another")
    assert len(names(client)) == 1000


# ---- What is on disk


def test_keys_outlive_the_daemon(daemon, client):
    key = add(client, "page", scopes=["sync:write"], user=USER)
    add(client, "gone")
    revoke(client, "gone")
    before = keys(client)
    daemon.restart()
    assert keys(client) == before
    assert check(client, key) == ("page", ["sync:write"], USER)


def test_kill_behind_each_answer(daemon, client):
    """What was answered is on disk; what was not is there or not, as a whole."""
    made = {}
    for n in range(5):
        answers = {f"{n}-{i}": client.start_call(PATH, MANAGER, "AddApiKey", "(sa{sv})", f"{n}-{i}",
                                                 options(**READ)) for i in range(20)}
        revoked = list(made)[:5]
        ends = [client.start_call(PATH, MANAGER, "RevokeApiKey", "(s)", name) for name in revoked]
        wait_for(lambda: sum(bool(answer) for answer in answers.values()) > 4 * n, "some answers")
        daemon.kill9()
        wait_for(lambda: all(answers.values()) and all(ends), "the end of the calls")
        made |= {name: answer[0][0] for name, answer in answers.items() if not isinstance(answer[0], CallError)}
        daemon.start()
        for name, end in zip(revoked, ends):
            key = made.pop(name)
            if not isinstance(end[0], CallError):
                refused("NoSuchKey", check, client, key)
                assert name not in names(client)
        for name, key in made.items():
            assert check(client, key)[0] == name
    assert made


def test_secret_is_nowhere(daemon, client, tmp_path):
    """Not in the log at its most talkative, nor on the disk, nor in any answer but the one."""
    said = []
    key = add(client, "canary")
    secret = key.removeprefix("sk-")
    check(client, key)
    said.append(client.manager("DescribeApiKeys", "(a{sv})", {}))
    # What a confused client may send.
    said.append(refused("InvalidArgument", client.manager, "CheckApiKey", "(s)", key))
    said.append(refused("InvalidArgument", add, client, key))
    said.append(refused("NoSuchKey", revoke, client, key))
    said.append(refused("NoSuchKey", client.start, "bank", on_behalf_of=key))
    said.append(json.dumps(client.describe("DescribeRuns")))
    refused("AlreadyExists", add, client, "canary")
    files = list((tmp_path / "state").rglob("history*"))
    assert any(path.name.endswith("-wal") for path in files)
    for _ in range(2):
        data = b"".join(path.read_bytes() for path in (tmp_path / "state").rglob("*") if path.is_file())
        assert b"canary" in data and bytes.fromhex(digest(key)) in data
        assert secret.encode() not in data and bytes.fromhex(secret) not in data
        daemon.restart()
    revoke(client, "canary")
    assert daemon.stop() == 0
    said.append(daemon.log())
    assert "API key canary made by uid:0" in daemon.log() and "API key canary revoked by uid:0" in daemon.log()
    for text in said:
        assert secret not in text and digest(key) not in text


def memory(pid):
    """All that a process that stands still can write to."""
    with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb", buffering=0) as mem:
        for line in maps:
            span, rights, *_, name = (line.rstrip("\n") + " ").split(" ", 5)
            begin, end = (int(number, 16) for number in span.split("-"))
            # A sanitizer's shadow is huge, and holds no data.
            if rights.startswith("rw") and "[v" not in name and end - begin < 1 << 28:
                mem.seek(begin)
                yield mem.read(end - begin)


def test_secret_is_wiped_from_memory(new_daemon, client):
    """Where freed memory is left as it was, and many keys at once leave much of it."""
    new_daemon.start(MALLOC_PERTURB_="0")
    answers = [client.start_call(PATH, MANAGER, "AddApiKey", "(sa{sv})", f"name-{i}", options(**READ)) for i in range(100)]
    wait_for(lambda: all(answers), "the keys")
    made = [answer[0][0].removeprefix("sk-") for answer in answers]
    client.manager("DescribeApiKeys", "(a{sv})", {})  # answered in a later turn: what the last answer was sent from is gone
    with frozen(new_daemon.process):
        data = b"".join(memory(new_daemon.process.pid))
    assert b"name-99" in data
    assert [secret for secret in made if secret.encode() in data or bytes.fromhex(secret) in data] == []


def test_what_is_kept(daemon, client, tmp_path):
    key = add(client, "page", scopes=["sync:read", "sync:write"], user=USER)
    assert daemon.stop() == 0
    database, = (path for path in (tmp_path / "state").rglob("*") if path.is_file() and path.read_bytes()[:6] == b"SQLite")
    row = sqlite3.connect(database).execute("SELECT name, hash, may_read, may_write, may_admin, created_by FROM api_keys")
    assert row.fetchall() == [("page", bytes.fromhex(digest(key)), 1, 1, 0, "uid:0")]
