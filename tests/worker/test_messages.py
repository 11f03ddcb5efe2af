# SPDX-License-Identifier: LGPL-2.1-or-later
"""Every type of message of the three dialects, and lines that are none."""

import json
import signal
import time

import pytest
from harness import counts, record, schema, state, wait_for

MIB = 1 << 20


def airbyte(kind, payload, key=None):
    return {"type": kind, key or kind.lower(): payload}


def trace(kind, payload):
    return airbyte("TRACE", {"type": kind, "emitted_at": 1.5, kind.lower(): payload})


def status(name, word, reasons=None, namespace=None):
    payload = {"stream_descriptor": {"name": name, **({"namespace": namespace} if namespace else {})}, "status": word}
    return trace("STREAM_STATUS", {**payload, **({"reasons": reasons} if reasons else {})})


def stream_state(name, value, namespace=None):
    descriptor = {"name": name, **({"namespace": namespace} if namespace else {})}
    return airbyte("STATE", {"type": "STREAM", "stream": {"stream_descriptor": descriptor, "stream_state": value},
                             "sourceStats": {"recordCount": 1.0}})


def test_singer_types_in_any_case_with_what_they_may_carry(bench):
    end = bench.pull([
        {"type": "schema", "stream": "tx", "schema": {}, "key_properties": ["id"], "bookmark_properties": ["day"], "more": 1},
        {"type": "Record", "stream": "tx", "record": {"id": 1}, "time_extracted": "2026-01-01T00:00:00Z", "version": 3},
        {"type": "STATE", "value": None},
    ])
    assert end["outcome"] == "succeeded" and counts(end) == (1, 1, 0, 0) and "metadata" not in end
    assert bench.daemon.cursor == "null"


def test_airbyte_records_with_all_that_they_may_carry(bench):
    end = bench.pull([airbyte("RECORD", {
        "stream": "users", "namespace": "public", "emitted_at": 1700000000000, "data": {"id": 1, "stream": "x"},
        "meta": {"changes": [{"field": "a", "change": "NULLED", "reason": "SOURCE_SERIALIZATION_ERROR"}]},
        "file_reference": {"staging_file_url": "/x", "source_file_relative_path": "x", "file_size_bytes": 1}})])
    assert counts(end) == (1, 1, 0, 0)
    assert bench.items("SELECT stream, json FROM items") == [("public.users", '{"id": 1, "stream": "x"}')]


def test_the_other_airbyte_types_say_nothing_bad(bench):
    end = bench.pull([
        airbyte("SPEC", {"connectionSpecification": {}}),
        airbyte("CONNECTION_STATUS", {"status": "SUCCEEDED"}, "connectionStatus"),
        airbyte("CATALOG", {"streams": []}),
        airbyte("DESTINATION_CATALOG", {"operations": []}),
        trace("ANALYTICS", {"type": "x", "value": "1"}),
        airbyte("TRACE", {"type": "SOMETHING_NEW", "emitted_at": 1}),
        airbyte("LOG", {"level": "INFO", "message": "hello from the connector"}),
        airbyte("LOG", {"level": "WARN", "message": "mind the gap", "stack_trace": "x"}),
    ])
    assert end["outcome"] == "succeeded" and "metadata" not in end
    assert "bank: hello from the connector" in bench.last.stderr and "bank: mind the gap" in bench.last.stderr


def test_airbyte_stream_states_are_merged(bench):
    bench.pull([stream_state("a", {"n": 1}), stream_state("b", {"n": 1}), stream_state("a", {"n": 1}, "eu"), stream_state("a", {"n": 2})])
    bench.next_run(2)
    bench.pull([stream_state("b", {"n": 12345678901234567890123})])
    assert json.loads(bench.daemon.cursor) == [
        {"type": "STREAM", "stream": {"stream_descriptor": {"name": "a"}, "stream_state": {"n": 2}}},
        {"type": "STREAM", "stream": {"stream_descriptor": {"name": "b"}, "stream_state": {"n": 12345678901234567890123}}},
        {"type": "STREAM", "stream": {"stream_descriptor": {"name": "a", "namespace": "eu"}, "stream_state": {"n": 1}}}]


def test_airbyte_global_and_legacy_states(bench):
    payload = {"shared_state": {"lsn": 7}, "stream_states": [{"stream_descriptor": {"name": "a"}, "stream_state": {}}]}
    bench.pull([stream_state("a", {}), airbyte("STATE", {"type": "GLOBAL", "global": payload})])
    assert json.loads(bench.daemon.cursor) == [{"type": "GLOBAL", "global": payload}]
    bench.next_run(2)
    bench.pull([airbyte("STATE", {"data": {"old": True}})])
    assert json.loads(bench.daemon.cursor) == {"old": True}
    bench.next_run(3)
    bench.pull([airbyte("STATE", {"type": "LEGACY", "data": [1]})])
    assert json.loads(bench.daemon.cursor) == [1]


def test_trace_error_of_the_whole(bench):
    for number, (failure, attention, retry) in enumerate([("config_error", "configuration_error", None), ("transient_error", None, True),
                                                          ("system_error", None, True)], 2):
        bench.next_run(number)
        end = bench.pull([trace("ERROR", {"message": "It broke.", "internal_message": "x", "stack_trace": "y", "failure_type": failure})])
        assert (end["outcome"], end["error"], end.get("attention"), end.get("retry")) == ("failed", "It broke.", attention, retry)


def test_trace_error_of_a_stream_is_partial(bench):
    end = bench.pull([schema(), record(1), trace("ERROR", {"message": "No access.", "stream_descriptor": {"name": "b"}}),
                      status("b", "INCOMPLETE"), status("tx", "COMPLETE")])
    assert end["outcome"] == "partial" and end["error"] == "No access."


def test_stream_status(bench):
    end = bench.pull([status("a", "STARTED"), status("a", "RUNNING"), status("a", "INCOMPLETE"), status("a", "COMPLETE")])
    assert end["outcome"] == "succeeded"
    bench.next_run(2)
    reset = int(time.time() * 1000) + 3_600_000
    end = bench.pull([status("a", "COMPLETE"), status("b", "INCOMPLETE", [{"type": "RATE_LIMITED", "rate_limited": {"quota_reset": reset}}])])
    assert end["outcome"] == "partial" and end["retry"] and end["retry_at_usec"] == reset * 1000
    bench.next_run(3)
    limited = [{"type": "RATE_LIMITED", "rate_limited": {"quota_reset": reset}}]
    end = bench.pull([status("a", "RUNNING", limited), status("a", "RUNNING"), status("a", "COMPLETE")])
    assert end["outcome"] == "succeeded" and not end.get("retry")
    bench.next_run(4)
    end = bench.pull([status("a", "RUNNING", limited)])
    assert end["outcome"] == "partial" and end["retry_at_usec"] == reset * 1000


def test_estimates_and_progress(bench):
    bench.pull([trace("ESTIMATE", {"name": "a", "type": "STREAM", "row_estimate": 30}),
                trace("ESTIMATE", {"name": "b", "type": "STREAM", "row_estimate": 12, "byte_estimate": 5})])
    assert bench.daemon.end["total"] == 42
    bench.next_run(2)
    bench.pull([trace("ESTIMATE", {"name": "x", "type": "SYNC", "row_estimate": 50}), schema(), record(1)])
    assert bench.daemon.end["total"] == 50 and bench.daemon.end["processed"] == 1
    bench.next_run(3)
    bench.pull([{"type": "PROGRESS", "stage": "processing", "processed": 21, "total": 50, "message": "half"}])
    assert (bench.daemon.end["processed"], bench.daemon.end["total"], bench.daemon.end["message"]) == (21, 50, "half")


@pytest.mark.parametrize("number", ["9223372036854775808", "18446744073709551615", "1" + "0" * 30, "1e300", "-1", "1.5"])
def test_a_number_that_is_no_count_is_a_bad_line(bench, number):
    estimate = '{"type":"TRACE","trace":{"type":"ESTIMATE","emitted_at":1,"estimate":{"name":"a","type":"STREAM","row_estimate":%s}}}'
    bad = [estimate % number] + ['{"type":"PROGRESS","%s":%s}' % (key, number) for key in ("processed", "total", "added")]
    end = bench.pull([schema(), *(record(n) for n in range(1000)), {"type": "PROGRESS", "processed": 5, "total": 7}, *bad])
    assert end["outcome"] == "succeeded" and counts(end) == (1000, 1000, 0, 0)
    assert (end["processed"], end["total"], end["bad_lines"]) == (5, 7, len(bad))


def test_estimates_add_up_to_what_a_count_may_be_at_most(bench):
    most = 2**63 - 1
    bench.pull([trace("ESTIMATE", {"name": name, "type": "STREAM", "row_estimate": most}) for name in "abc"])
    assert bench.daemon.end["total"] == most and bench.daemon.end["outcome"] == "succeeded"


def test_each_change_of_stage_is_reported_and_no_more_than_four_a_second(bench):
    program = bench.python("""
for stage in "fetching", "processing", "saving":
    say(type="PROGRESS", stage=stage)
    end = time.monotonic() + 0.6
    while time.monotonic() < end: say(type="RECORD", stream="s", record={"id": time.monotonic()})
""")
    bench.settings(program)
    began = time.monotonic()
    bench.run()
    took = time.monotonic() - began
    stages = [report["stage"] for report in bench.daemon.of("Report") if "stage" in report]
    assert list(dict.fromkeys(stages)) == ["fetching", "processing", "saving"]
    assert len(bench.daemon.of("Report")) <= took * 4 + 5


def test_connection_status_failed(bench):
    end = bench.pull([airbyte("CONNECTION_STATUS", {"status": "FAILED", "message": "Bad token."}, "connectionStatus")])
    assert (end["outcome"], end["error"], end["attention"]) == ("failed", "Bad token.", "configuration_error")


def test_attention(bench):
    end = bench.pull([{"type": "ATTENTION", "category": "consent_expired", "message": "Ended today"}])
    assert (end["outcome"], end["attention"], end["attention_message"]) == ("partial", "consent_expired", "Ended today")


def test_control_keeps_the_new_settings(bench):
    config = bench.folder / "config.json"
    config.write_text('{"token": "old"}')
    bench.pull([airbyte("CONTROL", {"type": "CONNECTOR_CONFIG", "emitted_at": 1, "connectorConfig": {"config": {"token": "new"}}})],
               pipeline=[("Config", str(config))])
    assert json.loads(config.read_text()) == {"token": "new"}
    bench.next_run(2)
    bench.pull([airbyte("CONTROL", {"type": "CONNECTOR_CONFIG", "connectorConfig": {"config": {"token": "own"}}})],
               pipeline=[("Config", "/proc/config-that-is-not-there.json")])
    assert json.loads((bench.state / "config.json").read_text()) == {"token": "own"}


def test_unknown_types_and_keys_are_counted_and_ignored(bench):
    end = bench.pull([schema(), record(1, new="x"), {"type": "NEWS"}, {"no": "type"}, {"type": "X" * 100}, {"type": None}])
    assert end["outcome"] == "succeeded" and end["metadata"]["unknown_messages"] == 4 and end["metadata"]["bad_lines"] == 0


BAD = [
    b"hello", b"{", b"[1]", b"42", b"null", b'{"type":"RECORD"', b'{"type":5}', b'{"type":"RECORD","stream":"s"}',
    b'{"type":"RECORD","stream":5,"record":{}}', b'{"type":"RECORD","stream":"s","record":[]}', b'{"type":"RECORD","record":{"stream":"s"}}',
    b'{"type":"RECORD","record":{"stream":"s","data":1}}', b'{"type":"RECORD","stream":"s","record":{},"account":1}',
    b'{"type":"RECORD","stream":"s","record":{},"version":1.5}', b'{"type":"SCHEMA","stream":"s"}',
    b'{"type":"SCHEMA","stream":"s","schema":{},"key_properties":"id"}', b'{"type":"SCHEMA","stream":"s","schema":{},"key_properties":[1]}',
    b'{"type":"STATE"}', b'{"type":"STATE","state":1}', b'{"type":"STATE","state":{"type":"STREAM"}}',
    b'{"type":"STATE","state":{"type":"SHAPED"}}', b'{"type":"ACTIVATE_VERSION","stream":"s"}', b'{"type":"LOG"}', b'{"type":"LOG","log":{}}',
    b'{"type":"TRACE","trace":{}}', b'{"type":"TRACE","trace":{"type":"ERROR"}}', b'{"type":"TRACE","trace":{"type":"ESTIMATE","estimate":{}}}',
    b'{"type":"TRACE","trace":{"type":"ESTIMATE","estimate":{"type":"SYNC","row_estimate":-1}}}',
    b'{"type":"TRACE","trace":{"type":"STREAM_STATUS","stream_status":{"status":1}}}', b'{"type":"SPEC"}', b'{"type":"CONTROL","control":1}',
    b'{"type":"CONTROL","control":{"type":"CONNECTOR_CONFIG"}}', b'{"type":"PROGRESS","processed":"1"}', b'{"type":"PROGRESS","total":1.5}',
    b'{"type":"PROGRESS","stage":"completed"}', b'{"type":"ACCOUNT","account":"a"}', b'{"type":"ACCOUNT","account":"a","status":"good"}',
    b'{"type":"ATTENTION"}', b'{"type":"ATTENTION","category":"sadness"}',
    b'{"type":"RECORD","stream":"s","record":{"a":"\xff"}}', b'{"type":"RECORD","stream":"s","record":{"a":"\xed\xa0\x80"}}',
    b'{"type":"RECORD","stream":"s","record":{"a":"x\x00y"}}', b"\x00", b'{"type":"RECORD","stream":"s","record":{"a":NaN}}',
    b'{"type":"RECORD","stream":"s","record":' + b'{"a":' * 70 + b"1" + b"}" * 70 + b"}",
]


def test_bad_lines_are_counted_one_by_one_and_harm_nothing(bench):
    good = [schema(), *[record(n) for n in range(100 * len(BAD))]]
    end = bench.pull([*good, *BAD, record("last")])
    assert end["outcome"] == "succeeded", end
    assert end["metadata"]["bad_lines"] == end["bad_lines"] == len(BAD) and counts(end)[0] == 100 * len(BAD) + 1
    assert f"Line {100 * len(BAD) + 2} cannot be used (no JSON): hello" in bench.last.stderr


@pytest.mark.parametrize("line", BAD, ids=range(len(BAD)))
def test_one_bad_line_of_two_is_a_data_error(bench, line):
    end = bench.pull([{"type": "NEWS"}, line])
    assert (end["outcome"], end["attention"]) == ("failed", "data_error") and "1 of 2 lines" in end["error"]


def test_one_percent_is_still_good_and_one_more_is_not(bench):
    assert bench.pull([schema(), *[record(n) for n in range(98)], "bad"])["outcome"] == "succeeded"
    bench.next_run(2)
    assert bench.pull([schema(), *[record(n) for n in range(97)], "bad"])["outcome"] == "failed"


def test_shapes_of_lines(bench):
    lines = b'\n\r\n  \n{"type":"RECORD","stream":"s","record":{"id":1}}\r\n\n{"type":"RECORD","stream":"s","record":{"id":2}}'
    bench.settings(bench.lines(lines))
    bench.run()
    assert counts(bench.daemon.end) == (2, 2, 0, 0) and "metadata" not in bench.daemon.end


def test_the_longest_line_and_one_byte_more(bench):
    def of_size(size, key):
        head = '{"type":"RECORD","stream":"s","record":{"id":%d,"a":"' % key
        return head + "x" * (size - len(head) - 3) + '"}}'

    lines = [schema("s"), of_size(16 * MIB, 1), of_size(16 * MIB + 1, 2), of_size(40 * MIB, 3), *[record(n, "s") for n in range(10, 400)]]
    end = bench.pull(lines)
    assert end["outcome"] == "succeeded" and end["metadata"]["bad_lines"] == 2
    assert bench.items("SELECT key FROM items WHERE length(json) > 1000") == [("1",)]
    assert counts(end) == (391, 391, 0, 0)


def test_a_state_that_is_larger_than_a_cursor_may_be(bench):
    end = bench.pull([state("x" * (4 * MIB - 2))])
    assert end["outcome"] == "succeeded" and len(bench.daemon.cursor) == 4 * MIB
    bench.next_run(2)
    end = bench.pull([state("kept"), state("x" * (4 * MIB - 1))])
    assert end["outcome"] == "failed" and "cursor" in end["error"] and bench.daemon.cursor == '"kept"'


def good(n, start=0):
    return [record(key) for key in range(start, start + n)]


def test_a_cursor_is_not_saved_over_the_lines_that_failed_the_run(bench):
    end = bench.pull([record(1), state(1), "garbage", state(2)])
    assert (end["outcome"], end["attention"]) == ("failed", "data_error")
    assert bench.daemon.of("SaveCursor") == [1]


def test_a_cursor_waits_for_the_verdict_over_bad_lines(bench):
    end = bench.pull([state(1), "garbage", *good(20000), state(2), *good(20000), state(3)])
    assert end["outcome"] == "succeeded"
    assert bench.daemon.of("SaveCursor") in ([1, 3], [3])


@pytest.mark.parametrize("status, cursor", [(1, "1"), (65, "1"), (75, "1"), (0, "2")])
def test_a_few_bad_lines_and_an_exit_status(bench, status, cursor):
    """Who says to try again did not fail of them."""
    bench.settings(bench.python(f"""
say(type="STATE", value=1)
print("garbage", flush=True)
for n in range(200): say(type="RECORD", stream="s", record={{"id": n}})
say(type="STATE", value=2)
sys.exit({status})"""))
    bench.run()
    assert bench.daemon.cursor == cursor


QUOTA = """
begin = json.load(open(os.environ["SYNCRUN_STATE"])).get("n", 0)
for n in range(begin + 1, min(begin + 500, 2000) + 1):
    if n == 450: print('{"broken')
    else: say(type="RECORD", stream="s", record={"id": n})
    if n % 100 == 0: say(type="STATE", value={"n": n})
if begin + 500 >= 2000: sys.exit(0)
log("quota used up")
sys.exit(75)"""


def test_a_line_that_stays_broken_holds_a_connector_of_small_steps_back_once(bench):
    bench.settings(bench.python(QUOTA))
    cursors, ends = [], []
    for number in range(1, 7):
        bench.next_run(number)
        bench.run()
        cursors.append(json.loads(bench.daemon.cursor)["n"])
        ends.append(bench.daemon.end)
        assert (bench.state / "held-back.cursor").exists() == (number == 1)
        if ends[-1]["outcome"] == "succeeded":
            break
    assert cursors == [400, 900, 1400, 1900, 2000]
    assert "attention" not in ends[0] and ends[0]["retry"] and ends[0]["error"] == "quota used up"
    assert ends[1]["attention"] == "data_error" and ends[1]["retry"]
    assert ends[1]["error"] == "1 of 505 lines cannot be used; the first: line 50: no JSON: it ends too early. quota used up"
    assert "attention" not in ends[2]
    assert len(bench.items()) == 1999


def test_what_holds_back_is_forgotten_when_the_line_is_whole_again(bench):
    broken = """
print("garbage", flush=True)
for n in range(200): say(type="RECORD", stream="s", record={"id": n})
say(type="STATE", value=2)
sys.exit(75)"""
    for number, (text, cursor) in enumerate([(broken, ""), ("sys.exit(75)", ""), (broken, "2")], 1):
        bench.next_run(number)
        bench.settings(bench.python(text))
        bench.run()
        assert bench.daemon.cursor == cursor
    bench.next_run(4, keep_cursor=False)
    bench.run()
    assert bench.daemon.cursor == ""
    bench.next_run(5)
    bench.settings(bench.python("say(type='RECORD', stream='s', record={'id': 1})"))
    bench.run()
    assert not (bench.state / "held-back.cursor").exists()


def test_a_run_that_was_cancelled_had_no_verdict(bench):
    bench.settings(bench.python("""
say(type="STATE", value=1)
print("garbage", flush=True)
for n in range(200): say(type="RECORD", stream="s", record={"id": n})
say(type="STATE", value=2)
while True: signal.pause()"""))
    run = bench.start()
    wait_for(lambda: any(report["discovered"] == 200 for report in bench.daemon.of("Report")), "the records")
    run.kill(signal.SIGTERM)
    assert run.wait() == 0 and bench.daemon.end["outcome"] == "cancelled"
    assert bench.daemon.of("SaveCursor") == [1]
