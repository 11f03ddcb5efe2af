# SPDX-License-Identifier: LGPL-2.1-or-later
"""Somebody in the daemon's place, who answers as a test wants it, or not at all."""

import re
import threading

from gi.repository import Gio
from harness import Client, wait_for

KEY = "sk-" + "1" * 32


def arguments(signature, direction):
    return "".join(f'<arg type="{kind}" direction="{direction}"/>' for kind in re.findall(r"a\{sv\}|a?\w", signature))


class StandIn:
    METHODS: dict = {}  # name → types of the arguments, and in brackets of the answer

    def __init__(self, address):
        self.client = Client(address)
        methods = "".join(f'<method name="{name}">{arguments(types.partition("(")[0], "in")}'
                          f'{arguments(types.partition("(")[2][:-1], "out")}</method>' for name, types in self.METHODS.items())
        xml = f'<node><interface name="org.syncrun1.Manager">{methods}</interface></node>'
        interface = Gio.DBusNodeInfo.new_for_xml(xml).interfaces[0]
        self.client.bus.register_object("/org/syncrun1", interface, self.on_bus_call, None, None)
        self.client.call("/org/freedesktop/DBus", "org.freedesktop.DBus", "RequestName", "(su)", "org.syncrun1", 0,
                         destination="org.freedesktop.DBus")

    def on_bus_call(self, _bus, _sender, _path, _interface, method, _parameters, invocation):
        self.on_call(method, invocation)

    def on_call(self, method, invocation):
        raise NotImplementedError

    def close(self):
        self.client.close()


def ask(shim, method, path, body=None):
    """A request, and the list that gets its answer: the stand-in has its turns in this thread."""
    answers = []
    threading.Thread(target=lambda: answers.append(shim.request(method, path, KEY, body))).start()
    return answers


def answer_of(answers):
    wait_for(lambda: answers, "the answer")
    return answers[0]
