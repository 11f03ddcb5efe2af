# SPDX-License-Identifier: LGPL-2.1-or-later
"""syncrun in a machine, as the tests of the installed system use it: connectors made for a test, calls, runs, news."""

import json
import re
import subprocess
from contextlib import contextmanager
from pathlib import Path

CALLERS = (Path(__file__).resolve().parent / "callers.py").read_text()
NAMES = (Path(__file__).resolve().parents[2] / "src/base/names.h").read_text()
MSG = {name: value for name, value in re.findall(r'#define MSG_(\w+)\s+"([0-9a-f]{32})"', NAMES)}

# A connector's program: `pull FIRST LAST [GATE]` prints items FIRST to LAST. In the middle it waits until somebody has
# opened and closed the FIFO GATE, and says on stderr that it does.
PULL = r"""#!/usr/bin/python3
import json, sys

def say(**message):
    print(json.dumps(message), flush=message["type"] != "RECORD")

first, last = int(sys.argv[1]), int(sys.argv[2])
say(type="SCHEMA", stream="items", schema={}, key_properties=["id"])
for i in range(first, last + 1):
    say(type="RECORD", stream="items", record={"id": i, "name": f"item {i}"})
    if i % 100 == 0:
        say(type="STATE", value={"last": i})
    if i == (first + last) // 2 and len(sys.argv) > 3:
        sys.stdout.flush()
        print("at the gate", file=sys.stderr, flush=True)
        open(sys.argv[3]).close()
say(type="STATE", value={"last": last})
print("done", file=sys.stderr)
"""

CONNECTOR = """[Connector]
Description=Made for a test
Provider={provider}
{connector}
[Schedule]
{schedule}
[Run]
RetryMax=0
{run}
[Pipeline]
ExecPull={pull}
{pipeline}
"""


class Syncrun:
    """The service in a machine."""

    PULL_PATH = "/usr/local/bin/pull"
    CALLERS_PATH = "/usr/local/bin/callers"

    def __init__(self, machine):
        self.machine = machine
        machine.write(self.PULL_PATH, PULL, mode=0o755)
        machine.write(self.CALLERS_PATH, CALLERS, mode=0o755)
        machine.shell("mkdir -p /usr/local/share/gates")

    def call(self, method, *arguments, path="/org/syncrun1", interface="org.syncrun1.Manager", **options):
        """A method call: what `busctl call` exits with. Arguments as busctl takes them, signature first."""
        command = ["busctl", "--json=short", "call", "org.syncrun1", path, interface, method, *map(str, arguments)]
        ask = self.read if method.startswith(("Get", "Describe")) else self.machine.run
        done = ask(*command, **{**options, "check": False})
        if options.get("check", True) and done.returncode != 0:
            raise AssertionError(f"{command} exited with {done.returncode}\n{done.stderr}\n{self.machine.log_tail()}")
        return done

    def read(self, *command, **options):
        """What changes nothing. One that met a daemon which was just killed is put to the next one, as any client would."""
        while True:
            done = self.machine.run(*command, **{**options, "check": False})
            if "without replying" not in done.stderr:
                return done

    def data(self, *arguments, **options):
        """The values of a method's reply."""
        return json.loads(self.call(*arguments, **options).stdout)["data"]

    def property(self, name, path="/org/syncrun1", interface="org.syncrun1.Manager"):
        command = ["busctl", "--json=short", "get-property", "org.syncrun1", path, interface, name]
        done = self.read(*command)
        assert done.returncode == 0, f"{command}: {done.stderr}\n{self.machine.log_tail()}"
        return json.loads(done.stdout)["data"]

    def add(self, name, pull, provider="test", reload=True, **sections):
        """A connector, loaded; sections: lines for connector, schedule, run, pipeline."""
        lines = {key: "" for key in ("connector", "schedule", "run", "pipeline")} | sections
        text = CONNECTOR.format(provider=provider, pull=pull, **lines)
        self.machine.write(f"/etc/syncrun/connectors/{name}.connector", text)
        if reload:
            self.call("Reload")
        return name

    def add_pull(self, name, first, last, gate=False, **options):
        command = f"{self.PULL_PATH} {first} {last}"
        if gate:
            self.machine.shell(f"rm -f {self.gate(name)}; mkfifo -m 0666 {self.gate(name)}")
            command += " " + self.gate(name)
        return self.add(name, command, **options)

    def remove(self, name):
        self.machine.shell(f"rm -f /etc/syncrun/connectors/{name}.connector")
        self.call("Reload")

    @staticmethod
    def gate(name):
        return f"/usr/local/share/gates/{name}"

    def open_gate(self, name):
        """Let the connector go on; waits until it is there."""
        self.machine.shell(f": >{self.gate(name)}")

    def start(self, name, *options, **more):
        """Start a run: its id."""
        arguments = options or ("0",)
        return self.data("StartRun", "sa{sv}", name, *arguments, **more)[0]

    def runs(self, name):
        """All runs of a connector, newest first."""
        return json.loads(self.data("DescribeRuns", "a{sv}", 1, "connector", "s", name)[0])["runs"]

    def run(self, run_id):
        (run,) = json.loads(self.data("DescribeRuns", "a{sv}", 1, "id", "s", run_id)[0])["runs"]
        return run

    def wait(self, what, *matches, **options):
        """The journal entry with message id MSG_<what>."""
        return self.machine.wait_journal(f"MESSAGE_ID={MSG[what]}", *matches, **options)

    def wait_end(self, run_id, **options):
        """Until a run has ended: the run. By the history, which a daemon that is killed has written before it tells of it."""
        if self.run(run_id)["state"] != "finished":
            watch = ["syncrunctl", "watch", "--json=short", "--lines=10000"]
            self.machine.wait_line(watch, lambda event: event["run_id"] == run_id and event["status"] != "in_progress", **options)
        return self.run(run_id)

    def wait_gate(self, run_id, **options):
        """Until the connector of a run waits at its gate."""
        return self.machine.wait_journal(f"SYNCRUN_RUN_ID={run_id}", "MESSAGE=at the gate", **options)

    def said(self, run_id):
        """What the connector of a run, or its worker, wrote to the journal."""
        entries = self.machine.journal(f"SYNCRUN_RUN_ID={run_id}")
        # Of one that was gone when journald came to its line, the unit is not known.
        return [entry["MESSAGE"] for entry in entries if entry.get("_SYSTEMD_UNIT") != "syncrund.service"]

    @contextmanager
    def caller(self, *words, user=None, by=()):
        """What callers.py does meanwhile, started by a command or by itself; what it said of it is in the list afterwards."""
        started = self.machine.start(*by, self.CALLERS_PATH, *words, user=user, stdin=subprocess.PIPE)
        said = []
        try:
            first = started.stdout.readline()
            assert first == "ready\n", first + started.stdout.read()
            yield said
            said.append(json.loads(started.communicate()[0]))
        finally:
            if started.poll() is None:
                self.machine.end(started)

    def items(self, name):
        """How many items the connector's destination has."""
        database = f"/var/lib/private/syncrun-connector/{name}/items.db"
        return self.machine.output("sqlite3", database, "SELECT count(*) FROM items")
