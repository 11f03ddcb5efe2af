# SPDX-License-Identifier: LGPL-2.1-or-later
"""Runs a connector as the worker does and reads what it says, holding every line against syncrun.connector(5)."""

import json
import os
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

CONNECTORS = Path(__file__).resolve().parent.parent.parent / "src" / "connectors"
LINE_LIMIT_BYTES = 16 * 1024 * 1024

CATEGORIES = {"destination_auth_expired", "connection_lost", "consent_expired", "consent_withdrawn",
              "configuration_error", "destination_deleted", "data_error"}

# type: {key: (type, required)}
MESSAGES = {
    "RECORD": {"stream": (str, True), "record": (dict, True), "account": (str, False)},
    "SCHEMA": {"stream": (str, True), "schema": (dict, True), "key_properties": (list, True)},
    "STATE": {"value": (dict, True)},
    "PROGRESS": {"stage": (str, True), "processed": (int, True), "total": (int, True), "message": (str, False)},
    "ACCOUNT": {"account": (str, True), "status": (str, True), "error": (str, False), "category": (str, False)},
    "ATTENTION": {"category": (str, True), "message": (str, True)},
}


def check_message(message):
    keys = MESSAGES[message["type"]]
    assert set(message) - {"type"} <= set(keys), message
    for key, (kind, required) in keys.items():
        assert key in message or not required, message
        assert key not in message or isinstance(message[key], kind), message
    assert message.get("category", "data_error") in CATEGORIES, message
    if message["type"] == "PROGRESS":
        assert message["stage"] in ("fetching", "processing", "saving"), message
        assert 0 <= message["processed"] <= message["total"], message
    if message["type"] == "ACCOUNT":
        assert message["status"] in ("success", "failed", "no_data"), message
        assert (message["status"] == "failed") == ("error" in message) == ("category" in message), message


@dataclass
class Outcome:
    status: int
    messages: list
    log: str
    may_repeat: bool = False
    keys: dict = field(default_factory=dict)

    def __post_init__(self):
        """A record has the key that its stream's SCHEMA, sent before it, promised, and is sent once."""
        seen = set()
        for message in self.messages:
            check_message(message)
            if message["type"] == "SCHEMA":
                self.keys[message["stream"]] = message["key_properties"]
            if message["type"] == "RECORD" and message["stream"] in self.keys:
                key = (message["stream"], *(message["record"][name] for name in self.keys[message["stream"]]))
                assert self.may_repeat or key not in seen, message
                seen.add(key)

    def of(self, kind):
        return [message for message in self.messages if message["type"] == kind]

    @property
    def records(self):
        return [message["record"] for message in self.of("RECORD")]

    @property
    def accounts(self):
        return {message["account"]: message for message in self.of("ACCOUNT")}


class Connector:
    """A connector and its state file, which lives from run to run as the worker keeps it."""

    def __init__(self, program, *arguments, state):
        self.command = [str(CONNECTORS / program), *map(str, arguments)]
        self.state = Path(state)

    def run(self, full_resync=False, keep_state=True, may_repeat=False, accounts=None):
        """As the worker: the state file is there, with an empty object at first and for a full resync."""
        if full_resync or not self.state.exists():
            self.state.write_text("{}")
        environment = {**os.environ, "SYNCRUN_FULL_RESYNC": "1" if full_resync else "0",
                       "SYNCRUN_STATE": str(self.state), "LC_ALL": "C", "PYTHONDONTWRITEBYTECODE": "1"}
        if accounts is not None:
            environment["SYNCRUN_ACCOUNTS"] = "\n".join(accounts)
        done = subprocess.run(self.command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, timeout=120)
        assert done.stdout.endswith(b"\n") or not done.stdout
        lines = done.stdout.splitlines()
        assert max(map(len, lines), default=0) <= LINE_LIMIT_BYTES
        outcome = Outcome(done.returncode, [json.loads(line) for line in lines], done.stderr.decode(),
                          may_repeat)
        assert "Traceback" not in outcome.log, outcome.log
        if keep_state and outcome.of("STATE"):
            self.state.write_text(json.dumps(outcome.of("STATE")[-1]["value"]))
        return outcome
