# SPDX-License-Identifier: LGPL-2.1-or-later
"""Type=webhook to a receiver on this machine: records a second of one run, all of them new, and of one in which all are known."""

import json
import sys
import tempfile
import time
from pathlib import Path

TESTS = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(TESTS / "worker"))
sys.path.append(str(TESTS / "bus"))

from harness import Bench, PrivateBus, record, schema  # noqa: E402
from receiver import Receiver  # noqa: E402

TEXT = "x" * 150  # with the rest about 200 bytes a record


def measure(bench, what, n):
    begin = time.monotonic()
    bench.run()
    took = time.monotonic() - begin
    print(f"{what}: {n} records in {took:.2f} s, {n / took:.0f} records/s")
    assert bench.daemon.end["outcome"] == "succeeded"


def main():
    n = int(sys.argv[1])
    bus = PrivateBus()
    receiver = Receiver()
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(bus, Path(folder))
        bench.daemon.rules = {"webhook_allow_http": True, "webhook_allow_literals": True, "webhook_private_networks": "localhost"}
        bench.settings(bench.lines([schema(), *(record(i, text=TEXT) for i in range(n))]),
                       destination=[("Type", "webhook"), ("Url", receiver.url())])
        measure(bench, "new", n)
        sent = sum(json.loads(request.body)["metadata"]["new_count"] for request in receiver.requests)
        assert sent == n and len(receiver.requests) == (n + 499) // 500
        bench.next_run(2)
        measure(bench, "known", n)
        assert len(receiver.requests) == (n + 499) // 500
        bench.close()
    receiver.close()
    bus.close()


if __name__ == "__main__":
    main()
