# SPDX-License-Identifier: LGPL-2.1-or-later
"""verify, calendar, items: what needs no daemon."""

import json
import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from conftest import Ctl, record, schema

GOOD = "[Connector]\nProvider=p\n[Pipeline]\nExecPull=/bin/true\n"


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "connectors").mkdir()
    return tmp_path


@pytest.fixture
def local(folder):
    """A command line without a bus."""
    instance = Ctl(f"unix:path={folder}/none", folder)
    yield instance
    instance.close()


def write(path, text):
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    return str(path)


# ---- verify


def test_good_connector(folder, local):
    path = write(folder / "bank.connector", GOOD)
    assert local.run("verify", path) == f"{path}: good\n"
    assert local.json("verify", path) == {"file": path, "verdict": "good", "diagnostics": []}
    assert local.run("verify", "-q", path) == ""


def test_warning(folder, local):
    path = write(folder / "bank.connector", GOOD + "[Run]\nRetryMux=3\n")
    out = local.run("verify", path)
    assert out.startswith(f"warning: {path}:6: RetryMux=") and "look at the warnings" in out
    answer = local.json("verify", path)
    assert answer["verdict"] == "warnings"
    assert answer["diagnostics"][0]["severity"] == "warning"
    assert (answer["diagnostics"][0]["line"], answer["diagnostics"][0]["key"]) == (6, "RetryMux")


def test_bad_ones_and_good_ones(folder, local):
    bad = write(folder / "bad.connector", "[Connector]\nProvider=p\n[Schedule]\nOnCalendar=someday\n")
    good = write(folder / "good.connector", GOOD)
    out = local.run("verify", bad, good, status=1)
    assert f"error: {bad}:4: OnCalendar=" in out and f"{good}: good" in out


def test_dropin_counts_with_its_file(folder, local):
    write(folder / "bank.connector", GOOD)
    path = write(folder / "bank.connector.d" / "50.conf", "[Schedule]\nEvery=often\n")
    out = local.run("verify", path, status=1)
    assert f"error: {path}:2: Every=" in out
    assert local.run("verify", str(folder / "bank.connector"), status=1) == out


def test_connection(folder, local):
    path = write(folder / "bank.connection", "[Connection]\nConsentExpires=2027-01-31\n")
    assert local.run("verify", path) == f"{path}: good\n"
    dropin = write(folder / "bank.connection.d" / "50.conf", "[Reconnect]\nExecReconnect=./renew\n")
    for name in (path, dropin):
        assert f"error: {dropin}:2: ExecReconnect=: The program './renew'" in local.run("verify", name, status=1)


@pytest.mark.parametrize("key", ["ExecPull", "ExecTransform"])
@pytest.mark.parametrize("program", ["/nonexistent/x", "no-such-program", "/etc/passwd", "/usr"])
def test_program_that_is_not_there(folder, local, key, program):
    path = write(folder / "bank.connector", f"{GOOD}{key}={program}\n")
    out = local.run("verify", path)
    assert out.startswith(f"warning: {path}: {key}=: ") and f"'{program}'" in out


def test_programs_that_are_there_or_cannot_be_told(folder, local):
    for program in ("sh", "%S/pull", "%d/pull", "/bin/sh -c 'a | b'"):
        assert local.run("verify", write(folder / "a.connector", GOOD + f"ExecPull={program}\n")).endswith("a.connector: good\n")
    store = write(folder / "b.connector", GOOD + "[Destination]\nType=exec\nExecStore=/nonexistent/x\n")
    assert f"warning: {store}: ExecStore=: " in local.run("verify", store)
    renew = write(folder / "bank.connection", "[Reconnect]\nExecReconnect=/nonexistent/x\n")
    assert f"warning: {renew}: ExecReconnect=: " in local.run("verify", renew)


@pytest.fixture
def installed(local):
    """As on a machine where runs are units, and whose systemd cannot be asked."""
    del local.environment["SYNCRUN_BUS_ADDRESS"]
    local.environment["DBUS_SYSTEM_BUS_ADDRESS"] = "unix:path=/nonexistent"
    return local


PROGRAM = "[Pipeline]\nExecPull={}\n"


@pytest.mark.parametrize("text, key, value, setting", [
    (PROGRAM.format("/home/me/pull"), "ExecPull", "/home/me/pull", "ProtectHome=yes"),
    (PROGRAM.format("/bin/true /root/papers"), "ExecPull", "/root/papers", "ProtectHome=yes"),
    (PROGRAM.format("/bin/true --folder=/home/me"), "ExecPull", "/home/me", "ProtectHome=yes"),
    (PROGRAM.format("/bin/true {there}"), "ExecPull", "{there}", "PrivateTmp=yes"),
    (PROGRAM.format("/bin/true /dev/no-such-device"), "ExecPull", "/dev/no-such-device", "PrivateDevices=yes"),
    (GOOD + "ExecTransform=/run/user/1000/filter\n", "ExecTransform", "/run/user/1000/filter", "ProtectHome=yes"),
    (GOOD + "Environment=VAULT=/root/vault\n", "Environment", "/root/vault", "ProtectHome=yes"),
    (GOOD + "WorkingDirectory=/home\n", "WorkingDirectory", "/home", "ProtectHome=yes"),
    (GOOD + "Config=/home/me/config.json\n", "Config", "/home/me/config.json", "ProtectHome=yes"),
    (GOOD + "[Destination]\nType=exec\nExecStore=/home/me/store\n", "ExecStore", "/home/me/store", "ProtectHome=yes"),
    (GOOD + "[Destination]\nPath=/srv/items.db\n", "Path", "/srv/items.db", "ProtectSystem=strict"),
    (GOOD + "[Destination]\nPath=/home/me/items.db\n", "Path", "/home/me/items.db", "ProtectHome=yes"),
])
def test_what_the_unit_does_not_see(folder, installed, text, key, value, setting):
    there = write(folder / "there", "")
    path = write(folder / "bank.connector", text.format(there=there))
    out = installed.run("verify", path)
    (line,) = [line for line in out.splitlines() if "syncrun@bank.service" in line]
    assert line.startswith(f"warning: {path}: {key}=: '{value.format(there=there)}' ") and f"({setting})" in line
    assert "'systemctl edit syncrun@bank.service' with [Service] and " in line


def test_what_the_unit_does_see(folder, installed):
    for words in ("%S/home", "/homes/me", "/tmp", "/tmp/not-yet-there", "/dev/null", "/srv", "x=/srv", "/bin/.."):
        path = write(folder / "a.connector", PROGRAM.format(f"/bin/true {words}"))
        assert installed.run("verify", path) == f"{path}: good\n"
    path = write(folder / "b.connector", GOOD + "[Destination]\nPath=%S/x.db\n")
    assert installed.run("verify", path) == f"{path}: good\n"
    path = write(folder / "bank.connection", "[Reconnect]\nExecReconnect=/root/renew\n")
    assert "is not seen by syncrun-reconnect@bank.service" in installed.run("verify", path)


def test_runs_of_a_private_bus_see_all(folder, local):
    path = write(folder / "bank.connector", PROGRAM.format("/bin/true /root /home/me") + "[Destination]\nPath=/srv/x.db\n")
    assert local.run("verify", path) == f"{path}: good\n"


@pytest.mark.parametrize("mode, text, warns", [
    (0o755, "#!/bin/sh\n", None),
    (0o711, "\x7fELF", None),
    (0o700, "\x7fELF", "'chmod a+rx {real}'"),
    (0o711, "#!/bin/sh\n", "'chmod a+rx {real}'"),
    (0o755, "#! /root/venv/bin/python -s\n", "What runs it: '/root/venv/bin/python' is not seen by"),
])
def test_program_as_another_user_finds_it(folder, installed, mode, text, warns):
    real = folder / "real"
    real.write_text(text)
    real.chmod(mode)
    link = folder / "link"
    link.symlink_to(real)
    path = write(folder / "bank.connector", PROGRAM.format(link))
    out = installed.run("verify", path)
    assert f"What it is a link to: '{real}' is not seen by syncrun@bank.service" in out
    assert out.count("warning: ") == 2 + bool(warns) and (warns or "").format(real=real) in out


@pytest.mark.parametrize("line", ["ExecPull=/bin/cat a | /bin/sort", "ExecTransform=/bin/cat > x"])
def test_words_of_a_shell(folder, local, line):
    path = write(folder / "bank.connector", f"{GOOD}{line}\n")
    out = local.run("verify", path)
    assert out.startswith(f"warning: {path}:5: {line.split('=')[0]}=: There is no shell") and "ExecTransform=" in out


def test_folder(folder, local):
    place = folder / "place"
    bad = write(place / "bad.connector", GOOD + "[Schedule]\nEvery=often\n")
    good = write(place / "good.connection", "[Connection]\n")
    write(place / "README", "no file of ours")
    out = local.run("verify", str(place), status=1)
    assert f"error: {bad}:6: Every=" in out and f"{good}: good\n" in out and "README" not in out
    settings = write(place / "syncrun.conf", "[Daemon]\n")
    assert f"{settings}: good\n" in local.run("verify", str(place), status=1)
    (folder / "bare").mkdir()
    assert "no file of syncrun" in local.run("verify", str(folder / "bare"), status=1)


def test_settings(folder, local):
    path = write(folder / "syncrun.conf", "[Daemon]\nMaxConcurrentRuns=4\n")
    assert local.run("verify", path) == f"{path}: good\n"
    dropin = write(folder / "syncrun.conf.d" / "1.conf", "[Daemon]\nMaxConcurrentRuns=many\n")
    for name in (path, dropin):
        assert f"warning: {dropin}:2: MaxConcurrentRuns=" in local.run("verify", name)


@pytest.mark.parametrize("name", ["Bank.connector", "Bank.connection", "x.conf", "connector", "a" * 29 + ".connector"])
def test_names_that_cannot_be(folder, local, name):
    path = write(folder / name, GOOD)
    assert local.run("verify", path, status=1).startswith(f"error: {path}: ")


def test_missing_and_empty(folder, local):
    assert "No such file" in local.run("verify", str(folder / "no.connector"), status=1)
    assert "empty" in local.run("verify", write(folder / "e.connector", ""), status=1)


def test_all_of_it(folder, local):
    write(folder / "syncrun.conf", "[Daemon]\n")
    write(folder / "connectors" / "b.connector", GOOD)
    a = write(folder / "connectors" / "a.connector", GOOD)
    out = local.run("verify")
    assert [line.rsplit(": ", 1)[1] for line in out.splitlines()] == ["good"] * 3
    assert out.splitlines()[1].startswith(a)
    write(folder / "connectors" / "c.connector", "[Connector]\nEnabled=perhaps\n")
    assert [v["verdict"] for v in local.lines("verify", status=1)] == ["good", "good", "good", "bad"]
    write(folder / "connections" / "x.connection", "[Connection]\nConsentExpires=someday\n")
    assert [v["verdict"] for v in local.lines("verify", status=1)] == ["good", "good", "good", "bad", "bad"]


# ---- calendar


def test_calendar(local):
    out = local.run("calendar", "weekly", "--base-time=2026-11-22 00:00 UTC", "--iterations=2")
    assert "Normalized form: Mon *-*-* 00:00:00" in out
    assert "Mon 2026-11-23 00:00:00 UTC" in out and "2026-11-30T00:00:00Z" in out
    assert local.json("calendar", "weekly", "--base-time=2026-11-22T00:00:00Z", "--iterations=2") == {
        "expression": "weekly", "normalized": "Mon *-*-* 00:00:00",
        "elapses": ["2026-11-23T00:00:00Z", "2026-11-30T00:00:00Z"]}


def test_calendar_has_its_times_below_one_another(local):
    out = local.run("calendar", "daily", "--iterations=1000").splitlines()
    assert {line.index(": ") for line in out} == {15}
    assert "      Iter. #10: " in "\n".join(out) and "    Iter. #1000: " in "\n".join(out)


def test_calendar_without_an_end_to_come(local):
    out = local.run("calendar", "2020-01-01")
    assert "Next elapse: never" in out
    assert local.json("calendar", "2020-01-01")["elapses"] == []
    out = local.run("calendar", "2020-01-01", "--base-time=2019-01-01", "--iterations=5")
    assert out.count("Next elapse") == 1 and "never" not in out, "as systemd-analyze does"


def test_several_calendars(local):
    assert local.run("calendar", "daily", "hourly").count("Normalized form") == 2
    status, out, err = local.both("calendar", "someday", "hourly")
    assert status == 2 and "someday" in err and "systemd.time(7)" in err and "hourly" in out


@pytest.mark.parametrize("n", ["0", "1001", "-1", "x", ""])
def test_iterations_have_limits(local, n):
    status, _, err = local.both("calendar", "daily", f"--iterations={n}")
    assert status == 2 and "1 to 1000" in err


def test_iterations_at_the_limit(local):
    assert len(local.json("calendar", "minutely", "--iterations=1000")["elapses"]) == 1000


# ---- items


@pytest.fixture
def stored(world):
    world.script("bank", schema("tx", "id"), record("tx", id=1, text="ä/ö"), record("tx", id=2), schema("acc", "n"),
                 record("acc", n="checking"))
    world.start()
    world.ctl.run("start", "--wait", "-q", "bank")
    return {"STATE_DIRECTORY": str(world.daemon.state / "connectors" / "bank")}


def items(ctl, stored, *words, **kwargs):
    return ctl.run("items", "bank", *words, **stored, **kwargs)


def test_items(ctl, stored):
    lines = items(ctl, stored).splitlines()
    assert lines[0].split() == ["STREAM", "KEY", "ACCOUNT", "UPDATED", "RECORD"]
    assert sorted(line.split()[0] for line in lines[1:]) == ["acc", "tx", "tx"]
    assert '{"id":1,"text":"ä/ö"}' in "".join(lines).replace(" ", "")
    assert len(items(ctl, stored, "acc", "--no-legend").splitlines()) == 1
    assert len(items(ctl, stored, "--no-legend", "-n2").splitlines()) == 2
    assert "No items in this stream." in items(ctl, stored, "nothing")


def test_items_have_numbers_of_any_size(ctl, world):
    world.script("bank", schema("tx", "id"), {
            "type": "RECORD", "stream": "tx", "account": 'a,"record":',
            "record": {"id": 20000000000000000000001, "neg": -9223372036854775809, "text": 'x, {"record":1}', "list": [{}, 0.5]}})
    world.start()
    ctl.run("start", "--wait", "-q", "bank")
    stored = {"STATE_DIRECTORY": str(world.daemon.state / "connectors" / "bank")}
    short = items(ctl, stored, "--json=short")
    for text in short, items(ctl, stored, "--no-legend"), items(ctl, stored, "--json=pretty"):
        assert ('"id":20000000000000000000001,"neg":-9223372036854775809,' in "".join(text.split()))
    pretty = items(ctl, stored, "--json=pretty")
    assert '\n    "neg": -9223372036854775809,\n' in pretty
    assert json.loads(pretty) == json.loads(short)


def test_items_are_where_the_daemon_says(ctl, stored, world):
    for environment in {}, {"STATE_DIRECTORY": str(world.daemon.state)}, {"STATE_DIRECTORY": "/nonexistent"}:
        assert len(items(ctl, environment, "--no-legend").splitlines()) == 3
    connector, = ctl.json("list")["connectors"]
    assert connector["state_directory"] == stored["STATE_DIRECTORY"]


def test_items_while_the_daemon_is_away(folder, local, stored):
    assert len(items(local, stored, "--no-legend").splitlines()) == 3


def test_items_of_a_connector_that_is_not_there(ctl, stored):
    status, out, err = ctl.both("items", "bnak", **stored)
    assert (status, out) == (4, "") and '"bnak"' in err and "'syncrunctl list'" in err


def test_items_as_json(ctl, stored):
    short = [json.loads(line) for line in items(ctl, stored, "--json=short").splitlines()]
    assert {item["stream"] for item in short} == {"tx", "acc"}
    assert set(short[0]) == {"stream", "key", "account", "first_seen", "updated", "first_run", "run", "record"}
    pretty = items(ctl, stored, "acc", "--json=pretty")
    assert pretty.count("\n") > 5 and json.loads(pretty)["record"] == {"n": "checking"}


def refused_items(ctl, stored):
    status, out, err = ctl.both("items", "bank", **stored)
    assert (status, out) == (1, "")
    return err


def test_items_in_what_is_no_file(ctl, stored):
    """What the connector's user made of its folder neither keeps root waiting nor is a device opened."""
    folder = Path(stored["STATE_DIRECTORY"])
    place, file = folder / "destination.path", folder / "items.db"
    for path in (folder / "items.db-journal", file):
        path.unlink(missing_ok=True)
        os.mkfifo(path)
        assert "is no regular file" in refused_items(ctl, stored)
    place.write_text("/dev/zero")
    assert "/dev/zero, or what is beside it, is no regular file" in refused_items(ctl, stored)
    place.write_text(f"{folder}/none.db")
    assert "none.db: No such file or directory" in refused_items(ctl, stored)
    place.write_text("/a\x1b[2J\nb")
    assert "no readable name" in refused_items(ctl, stored)


def test_items_that_others_wrote(ctl, stored):
    """Nothing of it steers the terminal, and each line is JSON."""
    with closing(sqlite3.connect(Path(stored["STATE_DIRECTORY"]) / "items.db")) as database:
        database.execute("UPDATE item SET key = id || char(27) || '[31m', json = 'no json ' || char(27) || '[2J' || char(10)")
        database.commit()
    for words in ((), ("--json=short",), ("--json=pretty",)):
        out = items(ctl, stored, *words)
        assert "no json" in out and "\x1b" not in out
    assert len([json.loads(line) for line in items(ctl, stored, "--json=short").splitlines()]) == 3


def test_items_of_nobody(folder, local):
    status, out, err = local.both("items", "bank", STATE_DIRECTORY=str(folder / "none"))
    assert status == 1 and out == "" and "has not run" in err
    assert local.both("items", "No Name")[0] == 2
    status, _, err = local.both("items", "bank", SYNCRUN_WORKER="/nonexistent/worker")
    assert status == 127 and "/nonexistent/worker" in err
