# SPDX-License-Identifier: LGPL-2.1-or-later
"""Webhooks to a receiver on this machine: alone, over TLS, and beside dead endpoints whose queues are long, of which one refuses and one
takes connections and never answers. Messages a second, the daemon's memory and CPU, and how long a call of the bus waits
meanwhile, which is how long its loop has something else to do."""

import json
import os
import sys
import tempfile
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "bus"))

from harness import MANAGER, PATH, Client, Daemon, PrivateBus  # noqa: E402
from receiver import Authority, Receiver, hang  # noqa: E402
from webhooks import LOCAL, USER, Webhooks  # noqa: E402

BATCH = 1000


class Bench:
    def __init__(self, folder):
        self.bus = PrivateBus()
        self.client = Client(self.bus.address)
        self.daemon = Daemon(self.bus, folder)
        authority = Authority(folder / "authority")
        self.certificate = authority.certificate("IP:127.0.0.1")
        self.daemon.write("syncrun.conf", LOCAL.format(retry="5s 5min 30min 2h 5h 10h 10h",
                                                       more=f"CertificateAuthorityFile={authority.file}"))
        self.daemon.start(SYNCRUN_LOG_LEVEL="warning")
        self.webhooks = Webhooks(self.client)
        self.n_runs = 0

    def report(self, n):
        for _ in range(n // BATCH):
            events = [{"run_id": f"r{self.n_runs + i}", "user_id": USER, "provider": "test", "source": "sdk",
                       "stage": "completed", "status": "success"} for i in range(BATCH)]
            self.n_runs += BATCH
            self.client.manager("ReportEvents", "(s)", json.dumps(events))

    def memory_kib(self):
        status = Path(f"/proc/{self.daemon.process.pid}/status").read_text()
        return int(status.split("VmRSS:")[1].split()[0])

    def cpu_sec(self):
        fields = Path(f"/proc/{self.daemon.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def measure(self, what, n, certificate=None):
        """So many messages to an endpoint that takes them."""
        taken = threading.Semaphore(0)
        receiver = Receiver(notice=lambda request: taken.release(), certificate=certificate)
        endpoint = self.webhooks.add(receiver.url(), disabled=True)
        self.report(n)
        self.webhooks.call("UpdateWebhookEndpoint", endpoint, disabled=False)
        begin, cpu, waits, n_taken = time.monotonic(), self.cpu_sec(), [], 0
        self.client.manager("RecoverWebhook", "(sta{sv})", endpoint, 0, {})
        while n_taken < n:
            asked = time.monotonic()
            self.client.get(PATH, MANAGER, "NConnectors")
            waits.append(time.monotonic() - asked)
            # Asked again every millisecond, or after some messages.
            while taken.acquire(timeout=0.001):
                n_taken += 1
                if n_taken % 20 == 0:
                    break
        seconds = time.monotonic() - begin
        waits.sort()
        print(f"{what}: {n / seconds:.0f} messages/s, {1e6 * (self.cpu_sec() - cpu) / n:.0f} µs of CPU each, "
              f"{self.memory_kib()} KiB, of {len(waits)} calls p50 {1e3 * waits[len(waits) // 2]:.1f} ms, "
              f"p99 {1e3 * waits[len(waits) * 99 // 100]:.1f} ms, longest {1e3 * waits[-1]:.0f} ms; {len(receiver.connections)} connections; load {os.getloadavg()[0]:.0f}")
        self.webhooks.call("RemoveWebhookEndpoint", endpoint)
        receiver.close()

    def close(self):
        self.daemon.close()
        self.client.close()
        self.bus.close()


def main():
    n_queued, n_taken = int(sys.argv[1]), int(sys.argv[2])
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder))
        bench.measure("alone", n_taken)
        bench.measure("over TLS", n_taken, bench.certificate)
        bench.webhooks.add("http://127.0.0.1:1/")
        hanging = Receiver(then=hang)
        bench.webhooks.add(hanging.url())
        bench.report(n_queued)
        bench.measure(f"beside two dead endpoints with {n_queued} messages each, of which one hangs", n_taken)
        assert hanging.requests, "nothing hangs"
        bench.close()
        hanging.close()


main()
