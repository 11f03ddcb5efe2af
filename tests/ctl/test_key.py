# SPDX-License-Identifier: LGPL-2.1-or-later
"""key add, key list, key revoke."""

import hashlib
import re

import pytest

USER = "7f9c0d5e-1111-4222-8333-444455556666"
KEY = re.compile(r"sk-[0-9a-f]{32}")


@pytest.fixture
def daemon(world):
    return world.start()


def check(world, key):
    """What the shim is told of a key."""
    return world.client.manager("CheckApiKey", "(s)", hashlib.sha256(key.encode()).hexdigest())


def test_key_is_alone_on_standard_output(daemon, world, ctl):
    status, out, err = ctl.both("key", "add", "page", "--scope", "sync:read,sync:admin")
    assert status == 0
    assert KEY.fullmatch(out.removesuffix("\n"))
    assert not KEY.search(err) and "only time" in err and "syncrunctl key revoke page" in err
    assert check(world, out.strip()) == ("page", ["sync:read", "sync:admin"], "")


def test_quiet_and_json(daemon, world, ctl):
    assert KEY.fullmatch(ctl.run("key", "add", "one", "--scope=sync:write", "--quiet").strip())
    made = ctl.json("key", "add", "two", "--scope=sync:write", f"--user={USER.upper()}", "--quiet")
    assert list(made) == ["name", "key"] and made["name"] == "two"
    assert check(world, made["key"]) == ("two", ["sync:write"], USER)


def test_list(daemon, world, ctl):
    key = ctl.run("key", "add", "b", "--scope=sync:write,sync:read", "-q").strip()
    ctl.run("key", "add", "a", "--scope=sync:admin", f"--user={USER}", "-q")
    rows = ctl.rows("key", "list")
    assert [(row[:3], row[-2:]) for row in rows] == [(["a", "sync:admin", USER], ["uid:0", "-"]),
                                                     (["b", "sync:read,sync:write", "-"], ["uid:0", "-"])]
    assert all(row[-3] in ("now", "ago") for row in rows)
    check(world, key)
    keys = ctl.json("key", "list")["keys"]
    assert [(k["name"], k["last_used_at"] is None) for k in keys] == [("a", True), ("b", False)]
    assert ctl.rows("key", "list", f"--user={USER}")[0][0] == "a"
    assert not KEY.search(ctl.run("key", "list", "--json=pretty"))


def test_list_of_none_says_how_to_make_one(daemon, ctl):
    assert "syncrunctl key add NAME" in ctl.run("key", "list")
    assert ctl.json("key", "list") == {"keys": []}


def test_revoke(daemon, world, ctl):
    for name in ("a", "b", "c"):
        ctl.run("key", "add", name, "--scope=sync:read", "-q")
    status, out, err = ctl.both("key", "revoke", "a", "lost", "c")
    assert (status, out) == (4, "")
    assert err == "syncrunctl: Could not revoke key lost: There is no such API key. See 'syncrunctl key list'.\n"
    assert [row[0] for row in ctl.rows("key", "list")] == ["b"]


def test_what_is_wrong_is_said(daemon, ctl):
    def wrong(*words, status=2):
        result, out, err = ctl.both("key", "add", *words)
        assert (result, out) == (status, "") and err.count("\n") == 1
        return err

    assert "--scope=sync:read" in wrong("page")
    assert 'not "sync:all"' in wrong("page", "--scope=sync:all")
    assert "commas" in wrong("page", "--scope=")
    assert "UUID" in wrong("page", "--scope=sync:read", "--user=me")
    assert "letters, digits" in wrong("no name", "--scope=sync:read")
    ctl.run("key", "add", "page", "--scope=sync:read", "-q")
    assert "an API key 'page' already" in wrong("page", "--scope=sync:read", status=5)
