# SPDX-License-Identifier: LGPL-2.1-or-later
"""Singer BATCH messages with the sqlite destination: records in files."""

import gzip
import json
import os
import signal
from pathlib import Path

import pytest
from harness import counts, record, schema, state, wait_for

MIB = 1 << 20


def lines(*keys, **fields):
    return b"".join(json.dumps({"id": key, **fields}).encode() + b"\n" for key in keys)


def batch(*manifest, format="jsonl", compression="none", stream="tx"):
    return {"type": "BATCH", "stream": stream, "encoding": {"format": format, "compression": compression}, "manifest": list(map(str, manifest))}


def write(folder, name, data):
    (folder / name).write_bytes(data)
    return folder / name


def keys(bench):
    return [key for _, key, _ in bench.items()]


def test_plain_and_compressed_files_by_path_and_address(bench):
    folder = bench.folder
    plain = write(folder, "plain file", lines("a", "b"))
    packed = write(folder, "packed", gzip.compress(lines("c")) + gzip.compress(b"\n \t\r\n" + lines("d")[:-1]))
    write(bench.state, "relative", lines("e"))
    address = "file://" + str(plain).replace(" ", "%20")
    end = bench.pull([schema(), record("first"), batch(plain, "relative"), batch(packed, f"file://localhost{packed}", compression="gzip"),
                      batch(address, compression=None), {**batch(plain), "encoding": {"format": "JSONL"}}, batch(), state(7)])
    assert end["outcome"] == "succeeded", end
    assert counts(end) == (12, 6, 0, 6) and keys(bench) == ["a", "b", "c", "d", "e", "first"] and bench.daemon.cursor == "7"


def test_counts_of_the_next_run(bench):
    file = write(bench.folder, "file", lines(*range(1000)))
    bench.pull([schema(), batch(file)])
    bench.next_run(2)
    write(bench.folder, "file", lines(*range(500)) + lines(*range(500, 600), changed=True) + b' {"id" : 700 }\t\n' + lines(5000))
    assert counts(bench.pull([schema(), batch(file), record(0)])) == (603, 1, 100, 502)


def test_bad_lines_of_a_file_are_counted_and_named(bench):
    data = lines(*range(300)) + b"bad\n[1]\n" + b'{"id":1}x\n' + b'{"other":1}\n' + b'{"id":"' + b"x" * (16 * MIB) + b'"}\n' + lines(*range(300, 600))
    file = write(bench.folder, "file", data)
    end = bench.pull([schema(), batch(file), state(1)])
    assert end["outcome"] == "succeeded" and counts(end) == (600, 600, 0, 0) and bench.daemon.cursor == "1"
    assert end["metadata"]["bad_lines"] == 5 and end["metadata"]["lines"] == 608
    assert f"{file}: Line 301 cannot be used (no JSON): bad" in bench.last.stderr
    bench.next_run(2)
    end = bench.pull([schema(), batch(write(bench.folder, "short", b"\nbad\n"))])
    assert end["outcome"] == "failed" and end["attention"] == "data_error" and "/short: line 2: no JSON" in end["error"]


def damaged(folder):
    data = bytearray(gzip.compress(lines(*range(1000))))
    data[len(data) // 2] ^= 0xff
    return write(folder, "damaged", bytes(data))


def fifo(folder):
    os.mkfifo(folder / "fifo")
    return folder / "fifo"


FAULTS = {
    "missing": (lambda folder: batch(folder / "missing"), "missing: No such file or directory", None),
    "folder": (lambda folder: batch(folder), "is no regular file", "data_error"),
    "fifo": (lambda folder: batch(fifo(folder)), "fifo: is no regular file", "data_error"),
    "device": (lambda _: batch("/dev/zero"), "/dev/zero: is no regular file", "data_error"),
    "half": (lambda folder: batch(write(folder, "half", gzip.compress(os.urandom(99) + lines(*range(999)))[:700]), compression="gzip"),
             "half: ends in the middle", "data_error"),
    "damaged": (lambda folder: batch(damaged(folder), compression="gzip"), "damaged: is damaged", "data_error"),
    "plain": (lambda folder: batch(write(folder, "plain", lines(1)), compression="gzip"), "plain: is not compressed with gzip", "data_error"),
    "number": (lambda folder: {**batch(), "manifest": [5]}, "no string", "data_error"),
    "far": (lambda _: batch("s3://bucket/file"), "s3://bucket/file: is no file of this machine", "configuration_error"),
    "host": (lambda _: batch("file://elsewhere/file"), "file://elsewhere/file: is no file of this machine", "configuration_error"),
    "parquet": (lambda folder: batch(folder / "x", format="parquet"), "a BATCH in the format parquet cannot be read", "configuration_error"),
    "arrow": (lambda folder: batch(folder / "x", format="arrow"), "a BATCH in the format arrow cannot be read", "configuration_error"),
    "zstd": (lambda folder: batch(folder / "x", compression="zstd"), "a BATCH with the compression zstd cannot be read", "configuration_error"),
    "nameless": (lambda folder: {**batch(folder / "x"), "encoding": {}}, "that it does not name", "configuration_error"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_what_cannot_be_read_ends_the_run_before_its_state_is_saved(bench, fault):
    message, words, attention = FAULTS[fault]
    good = write(bench.folder, "good", lines(1, 2))
    end = bench.pull([schema(), batch(good), state("before"), message(bench.folder), state("after"), record("never")])
    assert end["outcome"] == "failed" and words in end["error"] and end.get("attention") == attention
    assert end.get("retry") == (attention is None or None), "what may pass by itself is tried again"
    assert "never" not in keys(bench) and {"1", "2"} <= set(keys(bench)) and bench.daemon.cursor != '"after"'
    (stored,), = bench.items("SELECT count(*) FROM items")
    assert end["added"] == stored and end["discovered"] == stored + end["deduped"]


def test_a_gigabyte_of_a_small_file_in_constant_memory(bench):
    file = write(bench.folder, "file", gzip.compress(lines(*range(1000), text="x" * 1000)) * 1000)
    bench.settings(bench.lines([schema(), batch(file, compression="gzip")]))
    run = bench.start()
    peaks = {0}

    def look(_method, _sequence):
        status = Path(f"/proc/{run.process.pid}/status").read_text()
        peaks.add(int(status.split("VmHWM:")[1].split()[0]))

    bench.daemon.before_reply = look
    assert run.wait(300) == 0
    assert counts(bench.daemon.end) == (1_000_000, 1000, 0, 999_000)
    assert max(peaks) < 150_000, "kilobytes, also under AddressSanitizer"


def test_cancel_in_the_middle_of_a_file(bench):
    """The loop has its turns, and what it came to is kept."""
    file = write(bench.folder, "file", lines(*range(1000), text="x" * 100) * 1000)
    bench.settings(bench.lines([schema(), batch(*[file] * 100), state(1)]))
    run = bench.start()
    wait_for(lambda: bench.daemon.of("Report") and bench.daemon.of("Report")[-1].get("discovered", 0) > 0, "the first report")
    run.kill(signal.SIGTERM)
    assert run.wait() == 0
    end = bench.daemon.end
    assert end["outcome"] == "cancelled" and 0 < end["discovered"] < 100_000_000 and bench.daemon.cursor == ""
