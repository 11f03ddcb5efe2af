# SPDX-License-Identifier: LGPL-2.1-or-later
"""What becomes of records: counts, keys, content, versions, cursors."""

import contextlib
import json
import sqlite3

import pytest
from harness import ROOT, counts, record, schema, state


def test_folders_of_the_destination(bench):
    """Below the state directory, where nobody else writes, they are made; elsewhere it is said why there is no file."""
    end = bench.pull([record(1)], destination=[("Path", "%S/deep/er/a.db")])
    assert end["outcome"] == "succeeded" and (bench.state / "deep/er/a.db").exists()
    assert (bench.state / "deep/er").stat().st_mode & 0o777 == 0o700
    bench.next_run(2)
    end = bench.pull([record(1)], destination=[("Path", f"{bench.folder}/none/a.db")])
    assert (end["outcome"], end["attention"]) == ("failed", "configuration_error")
    assert f"{bench.folder}/none/a.db: unable to open database file: No such file or directory ('syncrunctl verify'" in end["error"]
    bench.next_run(3)
    (bench.state / "plain").write_text("")
    assert "plain/er: Not a directory" in bench.pull([record(1)], destination=[("Path", "%S/plain/er/a.db")])["error"]


def test_first_run(bench):
    end = bench.pull([schema(), record(1, amount="4.20"), record(2), state({"since": 2})])
    assert end["outcome"] == "succeeded", bench.last.stderr
    assert counts(end) == (2, 2, 0, 0)
    assert bench.items() == [("tx", "1", '{"id": 1, "amount": "4.20"}'), ("tx", "2", '{"id": 2}')]
    assert json.loads(bench.daemon.cursor) == {"since": 2}


def test_second_run_counts_added_updated_deduped_exactly(bench):
    bench.pull([schema(), record(1), record(2), record(3)])
    bench.next_run(2)
    end = bench.pull([schema(), record(2), record(3, changed=True), record(4), record(5)])
    assert counts(end) == (4, 2, 1, 1)
    rows = bench.items("SELECT key, first_run = run, first_seen <= updated FROM items ORDER BY key")
    assert rows == [("1", 1, 1), ("2", 1, 1), ("3", 0, 1), ("4", 1, 1), ("5", 1, 1)]


def test_the_same_record_twice_in_a_run(bench):
    assert counts(bench.pull([schema(), record(1), record(1), record(1, x=1)])) == (3, 1, 1, 1)


@pytest.mark.parametrize("other", ['{"a":"ä\\n","id":1}', '{ "id" : 1.0 , "a" : "\\u00e4\\u000a" }', '{"id":1,"a":7,"a":"ä\\n"}'])
def test_another_spelling_is_the_same_content(bench, other):
    bench.pull([schema(), '{"type":"RECORD","stream":"tx","record":{"id":1,"a":"ä\\n"}}'])
    bench.next_run(2)
    assert counts(bench.pull([schema(), f'{{"type":"RECORD","stream":"tx","record":{other}}}'])) == (1, 0, 0, 1)


def test_full_resync_stores_everything_again(bench):
    bench.pull([schema(), record(1), record(2), state(2)])
    bench.next_run(2)
    bench.daemon.full_resync = True
    program = bench.python("""
for line in open(sys.argv[1]): print(line, end="")
json.dump([os.environ["SYNCRUN_FULL_RESYNC"], open(os.environ["SYNCRUN_STATE"]).read()], open(sys.argv[2], "w"))
""")
    bench.lines([schema(), record(1), record(2), record(2), record(3)])
    bench.settings(f"{program} {bench.folder}/lines {bench.folder}/seen")
    bench.run()
    assert counts(bench.daemon.end) == (4, 1, 2, 1)
    assert json.loads((bench.folder / "seen").read_text()) == ["1", "{}"]


def test_keys(bench):
    bench.pull([
        schema("one", ["id"]), record("1", "one"), record(1, "one"), record("b c", "one"), record(True, "one"),
        schema("two", ["id", "day"]), record(1, "two", day="x"), record(1, "two", day="y"), record(1, "two"),
        schema("none", []), record(1, "none"), record(2, "none"), record(1, "none"),
    ])
    keys = {}
    for stream, key, _ in bench.items():
        keys.setdefault(stream, []).append(key)
    assert keys["one"] == ['"1"', "1", "b c", "true"]
    assert keys["two"] == ['[1,"x"]', '[1,"y"]', "[1,null]"]
    assert all(key.startswith("sha256:") and len(key) == 71 for key in keys["none"]) and len(keys["none"]) == 2
    assert counts(bench.daemon.end) == (10, 9, 0, 1)


def test_key_properties_setting_wins(bench):
    end = bench.pull([schema("tx", ["id"]), record(1, name="a"), record(2, name="a")],
                     destination=[("Type", "sqlite"), ("KeyProperties", "tx:name")])
    assert counts(end) == (2, 1, 1, 0)
    assert [key for _, key, _ in bench.items()] == ["a"]


def test_airbyte_primary_key_of_a_catalog(bench):
    catalog = {"streams": [{"name": "tx", "namespace": "eu", "json_schema": {}, "supported_sync_modes": ["full_refresh"],
                            "source_defined_primary_key": [["meta", "id"]]}]}
    data = [{"type": "RECORD", "record": {"stream": "tx", "namespace": "eu", "emitted_at": 0, "data": {"meta": {"id": n}}}}
            for n in (7, 8, 7)]
    assert counts(bench.pull([{"type": "CATALOG", "catalog": catalog}, *data])) == (3, 2, 0, 1)
    assert [(stream, key) for stream, key, _ in bench.items()] == [("eu.tx", "7"), ("eu.tx", "8")]


def test_a_record_without_its_key_is_a_bad_line(bench):
    end = bench.pull([schema(), *[record(n) for n in range(200)], {"type": "RECORD", "stream": "tx", "record": {"id": None}}])
    assert end["outcome"] == "succeeded" and end["metadata"]["bad_lines"] == 1
    assert counts(end) == (200, 200, 0, 0)


def test_activate_version(bench):
    def versioned(number, version):
        return {**record(number), "version": version}

    bench.pull([schema(), versioned(1, 1), versioned(2, 1), versioned(3, 1), schema("other"), record(9, "other")])
    bench.next_run(2)
    end = bench.pull([schema(), versioned(1, 2), versioned(3, 2), {"type": "ACTIVATE_VERSION", "stream": "tx", "version": 2}])
    assert counts(end) == (2, 0, 0, 2)
    assert bench.items("SELECT stream, key, version FROM items ORDER BY stream, key") == [
        ("other", "9", None), ("tx", "1", 2), ("tx", "3", 2)]


def versions(first, last, version, stream="tx"):
    return [{**record(n, stream), "version": version} for n in range(first, last)]


def activate(version, stream="tx"):
    return {"type": "ACTIVATE_VERSION", "stream": stream, "version": version}


def count_items(bench):
    return bench.items("SELECT count(*) FROM item")[0][0]


@pytest.mark.parametrize("bad, kept", [
    ("{no JSON", 2), ({"type": "RECORD", "stream": "tx", "record": {"id": None}}, 2),
    ({"type": "RECORD", "stream": "tx", "record": 7}, 2), ({"type": "RECORD", "stream": "other", "record": {"no": "id"}}, 1),
    ({"type": "STATE", "value": "x" * (5 << 20)}, 1)])
def test_items_are_not_taken_for_gone_while_lines_cannot_be_used(bench, bad, kept):
    """One of the bad lines may have been the item."""
    bench.pull([schema(), *versions(1, 3, 1)])
    bench.next_run(2)
    bench.pull([schema(), schema("other"), *versions(1, 2, 2), bad, activate(2)])
    assert count_items(bench) == kept
    assert ("Items of stream tx that are gone at the provider are kept for now" in bench.last.stderr) == (kept == 2)
    bench.next_run(3)
    bench.pull([schema(), *versions(1, 2, 3), activate(3)])
    assert bench.items("SELECT key, version FROM items") == [("1", 3)] and "are kept for now" not in bench.last.stderr


def test_a_bad_line_of_a_batch_may_have_been_an_item_of_its_stream(bench):
    bench.pull([schema(), *versions(1, 3, 1), schema("other"), *versions(7, 9, 1, "other")])
    bench.next_run(2)
    (bench.folder / "batch").write_text('{"id": 1}\n{"id": \n')
    bench.pull([schema(), schema("other"), {"type": "BATCH", "stream": "tx", "encoding": {"format": "jsonl"},
                                            "manifest": [str(bench.folder / "batch")]},
                *versions(7, 8, 2, "other"), activate(2), activate(2, "other")])
    assert bench.items("SELECT stream, key FROM items ORDER BY stream, key") == [("other", "7"), ("tx", "1"), ("tx", "2")]


def test_a_target_does_not_hear_that_items_are_gone_while_lines_cannot_be_used(bench):
    to = {"destination": (("Type", "exec"), ("ExecStore", bench.script("#!/bin/sh\ngrep -c ACTIVATE >&2; true\n", "target")))}
    bench.pull([schema(), *versions(1, 300, 2), activate(2)], **to)
    assert "target: 1\n" in bench.last.stderr
    bench.next_run(2)
    bench.pull([schema(), *versions(1, 300, 2), "{", activate(2)], **to)
    assert "target: 0\n" in bench.last.stderr


def test_versions_go_in_steps_which_a_crash_may_come_between(bench):
    """The destination fails in the middle, as if killed there: what is gone is gone, the state behind it is not saved, and the
    next run does the rest. (2000 items are looked at in a step.)"""
    n = 7000
    bench.pull([schema(), *versions(0, n, 1), schema("other"), *versions(0, 10, 1, "other"), state(1)])
    with sqlite3.connect(bench.state / "items.db") as database:
        database.execute("CREATE TRIGGER stop BEFORE DELETE ON item WHEN OLD.key = '55' BEGIN SELECT RAISE(ABORT, 'stop'); END")
    bench.next_run(2)
    again = [schema(), *versions(0, n, 2)[::1000], activate(2), state(2)]
    bench.settings(bench.lines(again))
    assert bench.run() and bench.daemon.end["outcome"] == "failed" and bench.daemon.end["error"].endswith("stop")
    keys = sorted(str(key) for key in range(n))
    gone = [key for key in keys[:keys.index("55") // 2000 * 2000] if int(key) % 1000]
    assert gone and bench.daemon.cursor == "1" and count_items(bench) == n + 10 - len(gone)
    with sqlite3.connect(bench.state / "items.db") as database:
        database.execute("DROP TRIGGER stop")
    bench.next_run(3)
    end = bench.pull(again)
    assert end["outcome"] == "succeeded" and bench.daemon.cursor == "2"
    assert bench.items("SELECT stream, count(*) FROM items GROUP BY stream") == [("other", 10), ("tx", 7)]


def test_an_item_that_goes_to_another_account_is_updated(bench):
    def of(account, number=1):
        return {**record(number), **({"account": account} if account else {})}

    bench.pull([schema(), of("checking"), of("checking", 2)])
    bench.next_run(2)
    assert counts(bench.pull([schema(), of("savings"), of(None, 2)])) == (2, 0, 1, 1)
    assert counts(bench.daemon.accounts_of()["savings"]) == (1, 0, 1, 0)
    assert bench.items("SELECT key, account FROM items ORDER BY key") == [("1", "savings"), ("2", "checking")]
    bench.next_run(3)
    assert counts(bench.pull([schema(), of("savings"), of("checking", 2)])) == (2, 0, 0, 2)


def test_without_key_fields_the_content_alone_is_the_item(bench):
    lines = [{**record(1, "notes"), "account": name} for name in ("a", "b")]
    assert counts(bench.pull(lines)) == (2, 1, 0, 1)
    bench.next_run(2)
    assert counts(bench.pull(lines)) == (2, 0, 0, 2)


def test_accounts(bench):
    lines = [schema(), {**record(1), "account": "checking"}, {**record(2), "account": "checking"}, {**record(3), "account": "visa"},
             record(4), {"type": "ACCOUNT", "account": "checking", "status": "success"},
             {"type": "ACCOUNT", "account": "savings", "status": "no_data"},
             {"type": "ACCOUNT", "account": "visa", "status": "failed", "error": "HTTP 500", "category": "connection_lost"}]
    end = bench.pull(lines)
    assert end["outcome"] == "partial" and end["attention"] == "connection_lost" and end["error"] == "HTTP 500"
    assert counts(end) == (4, 4, 0, 0)
    accounts = bench.daemon.accounts_of()
    assert {name: account["status"] for name, account in accounts.items()} == {
        "checking": "success", "savings": "no_data", "visa": "failed"}
    assert counts(accounts["checking"]) == (2, 2, 0, 0) and counts(accounts["visa"]) == (1, 1, 0, 0)
    assert accounts["visa"]["error"] == "HTTP 500" and accounts["visa"]["category"] == "connection_lost"
    assert all(0 < account["started_usec"] <= account["finished_usec"] for account in accounts.values())
    assert accounts["checking"]["started_usec"] <= accounts["visa"]["started_usec"] <= accounts["savings"]["started_usec"]
    assert accounts["checking"]["finished_usec"] <= accounts["savings"]["finished_usec"] <= accounts["visa"]["finished_usec"]
    bench.next_run(2)
    bench.pull(lines[:5] + lines[5:6])
    accounts = bench.daemon.accounts_of()
    assert accounts["checking"]["status"] == "no_data" and counts(accounts["checking"]) == (2, 0, 0, 2)
    assert bench.items("SELECT key, account FROM items WHERE key < 3 OR key = 4 ORDER BY key") == [
        ("1", "checking"), ("2", "checking"), ("4", None)]


def test_an_account_that_is_told_no_end_ends_as_another_is_heard_of(bench):
    bench.pull([schema(), *[{**record(n), "account": name} for n, name in enumerate(("checking", "checking", "visa"))]])
    accounts = bench.daemon.accounts_of()
    checking, visa = accounts["checking"], accounts["visa"]
    assert 0 < checking["started_usec"] <= checking["finished_usec"] == visa["started_usec"] <= visa["finished_usec"]


def test_all_accounts_failed(bench):
    end = bench.pull([{"type": "ACCOUNT", "account": name, "status": "failed", "error": f"{name} is closed"} for name in ("a", "b")])
    assert end["outcome"] == "failed" and end["error"] == "a is closed"


def test_more_accounts_than_a_run_has_rows_for(bench):
    end = bench.pull([schema(), *[{**record(n), "account": f"account {n}"} for n in range(1100)]])
    assert counts(end) == (1100, 1100, 0, 0)
    assert len(bench.daemon.accounts_of()) == 1000


def test_the_accounts_that_were_asked_for(bench):
    bench.daemon.accounts = ["checking", "visa"]
    bench.settings(bench.python(f"open({str(bench.folder / 'seen')!r}, 'w').write(os.environ['SYNCRUN_ACCOUNTS'])"))
    bench.run()
    assert (bench.folder / "seen").read_text() == "checking\nvisa"


def test_the_state_file_is_what_was_saved(bench):
    program = bench.python("print(json.dumps({'type': 'STATE', 'value': [open(sys.argv[1]).read()]}))")
    bench.settings(f"{program} %s")
    bench.run()
    assert bench.daemon.cursor == json.dumps(["{}"])
    bench.next_run(2)
    bench.run()
    assert bench.daemon.cursor == json.dumps([json.dumps(["{}"])])


def test_environment_and_specifiers(bench):
    program = bench.python("""
names = "SYNCRUN_CONNECTOR", "SYNCRUN_RUN_ID", "SYNCRUN_FULL_RESYNC", "SYNCRUN_STATE", "GREETING", "SYNCRUN_BUS_ADDRESS"
json.dump([sys.argv[1:], [os.environ.get(name) for name in names], os.getcwd()], open("seen", "w"))
""")
    bench.settings(f"{program} %n %r %c %s %S 100%% 'a b'",
                   pipeline=[("Environment", '"GREETING=hello there" SYNCRUN_RUN_ID=7'), ("Config", "%S/config.json")])
    bench.run()
    state_folder = str(bench.state)
    assert json.loads((bench.state / "seen").read_text()) == [
        ["bank", bench.daemon.run_id, f"{state_folder}/config.json", f"{state_folder}/state.json", state_folder, "100%", "a b"],
        ["bank", bench.daemon.run_id, "0", f"{state_folder}/state.json", "hello there", None], state_folder]


def test_another_place_for_the_file(bench):
    bench.pull([schema(), record(1)], destination=[("Type", "sqlite"), ("Path", f"{bench.folder}/here.db")])
    with sqlite3.connect(bench.folder / "here.db") as database:
        assert database.execute("SELECT key FROM items").fetchall() == [("1",)]


@pytest.mark.parametrize("sql, words", [
    ("CREATE TABLE theirs (a); PRAGMA application_id = 7", "not a database of items"),
    ("CREATE TABLE x (a); PRAGMA application_id = 0x73794974; PRAGMA user_version = 99", "newer version"),
])
def test_a_file_that_is_not_ours_is_left_alone(bench, sql, words):
    with sqlite3.connect(bench.state / "items.db") as database:
        database.executescript(sql)
    before = (bench.state / "items.db").read_bytes()
    end = bench.pull([schema(), record(1)])
    assert end["outcome"] == "failed" and end["attention"] == "configuration_error" and words in end["error"]
    assert (bench.state / "items.db").read_bytes() == before


def test_settings_that_cannot_run(bench):
    bench.settings("")
    bench.run()
    assert bench.daemon.end["outcome"] == "failed" and bench.daemon.end["attention"] == "configuration_error"
    bench.next_run(2)
    bench.settings("/nonexistent/program")
    bench.run()
    assert "/nonexistent/program" in bench.daemon.end["error"] and bench.daemon.end["attention"] == "configuration_error"


def test_the_schema_in_the_manual_is_the_file_s(bench):
    """Every column of the view is documented."""
    bench.pull([schema(), record(1)])
    columns = [row[1] for row in bench.items("PRAGMA table_info(items)")]
    manual = (ROOT / "docs/syncrun.connector.5.scd").read_text()
    assert columns and all(f"*{column}*" in manual for column in columns), columns


def test_items_of_former_destinations_are_deleted_too(bench):
    """The file in the state directory, then one elsewhere, then a program: nothing that was stored on the way is left."""
    elsewhere = bench.folder / "here.db"
    bench.pull([schema(), record(1)])
    bench.next_run(2)
    bench.pull([schema(), record(1)], destination=[("Type", "sqlite"), ("Path", str(elsewhere))])
    bench.next_run(3)
    bench.pull([schema(), record(1)], destination=[("Type", "exec"), ("ExecStore", "/bin/cat")])
    assert (bench.state / "items.db").exists() and elsewhere.exists()
    assert bench.start("--delete-items").wait() == 0
    assert not list(bench.state.glob("items.db*")) and not list(bench.folder.glob("here.db*"))
    assert bench.start("--delete-items").wait() == 0, "again, as after a crash"
    bench.next_run(4)
    bench.pull([schema(), record(1)])
    with sqlite3.connect(bench.state / "items.db") as database:
        assert database.execute("SELECT key FROM items").fetchall() == [("1",)]


def test_the_database_of_another_is_not_deleted(bench):
    """A destination that was somebody else's, and refused, is still there when a connector's items are deleted."""
    others = bench.folder / "others.db"
    with sqlite3.connect(others) as database:
        database.execute("CREATE TABLE theirs (a)")
    bench.pull([schema(), record(1)], destination=[("Type", "sqlite"), ("Path", str(others))])
    bench.next_run(2)
    notes = bench.folder / "notes.txt"
    notes.write_text("short")
    bench.pull([schema(), record(1)], destination=[("Type", "sqlite"), ("Path", str(notes))])
    assert bench.start("--delete-items").wait() == 0
    assert notes.read_text() == "short"
    with sqlite3.connect(others) as database:
        assert database.execute("SELECT count(*) FROM theirs").fetchall() == [(0,)]


def test_the_database_of_another_connector(bench):
    """Whose an item is the file does not say: one connector stores there, and it is deleted with that one's items alone."""
    theirs = bench.folder / "theirs.db"
    bench.pull([schema(), record(1)], destination=[("Type", "sqlite"), ("Path", str(theirs))])
    with contextlib.closing(sqlite3.connect(theirs, isolation_level=None)) as database:
        assert database.execute("UPDATE connector SET name = 'another'").rowcount == 1
    bench.next_run(2)
    end = bench.pull([schema(), record(2)], destination=[("Type", "sqlite"), ("Path", str(theirs))])
    assert end["outcome"] == "failed" and end["attention"] == "configuration_error"
    assert f"{theirs} holds the items of connector another" in end["error"]
    assert bench.start("--delete-items").wait() == 0
    with contextlib.closing(sqlite3.connect(theirs)) as database:
        assert database.execute("SELECT key FROM items").fetchall() == [("1",)]
