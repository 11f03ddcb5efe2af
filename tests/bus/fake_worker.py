#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Stands for syncrun-worker: the daemon starts it, the test tells it over a socket which calls to make and when to end."""

import json
import os
import signal
import socket
import sys

from harness import NAME, WORKER, CallError, Client, connector_path

AWAY = tuple(f"org.freedesktop.DBus.Error.{name}" for name in ("ServiceUnknown", "NameHasNoOwner", "NoReply", "Disconnected"))


def call(client, request):
    """As the real one does, it waits for a daemon that is away, and asks once more a daemon that died over the question."""
    while True:
        try:
            client.wait_name(NAME)
            return client.call(connector_path(request["connector"]), WORKER, request["method"], request["signature"],
                               *request["args"])
        except CallError as error:
            if error.full_name not in AWAY:
                raise


def main():
    if sys.argv[1] == "--settle":
        return 0
    name = sys.argv[-1]  # it keeps itself
    control = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    control.connect(os.environ["SYNCRUN_TEST_CONTROL"])
    stream = control.makefile("rw")
    client = Client(os.environ["SYNCRUN_BUS_ADDRESS"])
    print(json.dumps({"name": name, "pid": os.getpid()}), file=stream, flush=True)
    for line in stream:
        request = json.loads(line)
        if "exit" in request:
            if request.get("says"):  # what it says of itself, as the keeper of a program does
                print(json.dumps(request["says"]), flush=True)
            return request["exit"]
        if "lingers" in request:  # asked to end, it takes its time
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            print(json.dumps({"value": None}), file=stream, flush=True)
            continue
        try:
            answer = {"value": call(client, request)}
        except CallError as error:
            answer = {"error": error.full_name, "message": error.message}
        print(json.dumps(answer), file=stream, flush=True)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (BrokenPipeError, ConnectionResetError):
        pass  # the test has ended
