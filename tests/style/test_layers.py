# SPDX-License-Identifier: LGPL-2.1-or-later
"""Who may know whom: every #include and every library against the table of docs/ARCHITECTURE.md."""

import re
from functools import cache

import pytest

from source import SRC, TOP, files

# Where sd_bus_error may stand besides bus/ and client/, and why.
BUS_ERROR_EXCEPTIONS = {
    "engine/pid1.c": "asks PID 1 for units, and tells its refusals apart by their names",
}
BUS_ERROR_ROOMS = {"bus", "client"}
SQLITE_ROOMS = {"store", "worker"}


@cache
def rooms():
    """Each room and all that it may include."""
    text = (TOP / "docs/ARCHITECTURE.md").read_text()
    block = re.search(r"^## Rooms\n.*?```\n(.*?)```", text, re.M | re.S)[1]
    direct = {}
    for room, row in re.findall(r"^src/(\w+)/(.*?)(?=^\S|\Z)", block, re.M | re.S):
        if "→" not in row:
            continue  # no C
        below = row.rsplit("→", 1)[1].replace(",", " ").split()
        direct[room] = {word for word in below if not word.startswith(("lib", "json"))}
    assert {"base", "model", "store"} <= set(direct)
    assert all(below <= set(direct) for below in direct.values())

    def closure(room):
        return {room}.union(*(closure(lower) for lower in direct[room]))

    return {room: closure(room) for room in direct}


def test_every_folder_with_c_is_a_room():
    assert {file.room for file in files()} <= set(rooms())


def test_includes():
    faults = []
    for file in files():
        for line, kind, name in file.includes:
            if kind == "<" or name == "config.h":
                continue
            room = name.split("/")[0]
            if not (SRC / name).exists():
                faults.append(f"{file.name}:{line}: {name} must be included with its room")
            elif room not in rooms()[file.room]:
                faults.append(f"{file.name}:{line}: {file.room}/ may not know {room}/")
    assert not faults, "\n".join(["", *faults])


def test_headers_have_no_cycle():
    graph = {file.name: [name for _, kind, name in file.includes if kind == '"'] for file in files() if file.name.endswith(".h")}
    done = set()

    def visit(name, way):
        assert name not in way, " → ".join([*way[way.index(name) :], name])
        if name in done:
            return
        for below in graph.get(name, []):
            visit(below, [*way, name])
        done.add(name)

    for name in graph:
        visit(name, [])


@pytest.mark.parametrize("room", sorted({file.room for file in files()}))
def test_libraries_link_lower_rooms_only(room):
    text = (SRC / room / "meson.build").read_text()
    linked = set(re.findall(r"\b([a-z]+)_dep\b(?! *=)", text)) & set(rooms())
    assert linked <= rooms()[room], f"src/{room}/meson.build links {linked - rooms()[room]}"


def test_sqlite_stays_where_it_is():
    users = {file.room for file in files() if any(name == "sqlite3.h" for _, _, name in file.includes)}
    assert users <= SQLITE_ROOMS


def test_bus_errors_stay_at_the_top():
    users = set()
    for file in files():
        code = re.sub(r"\(sd_bus_message \*\w+, void \*\w+, sd_bus_error \*\w+\)", "", file.code)  # every callback's
        if file.room not in BUS_ERROR_ROOMS and re.search(r"\bsd_bus_error\b|SD_BUS_ERROR", code):
            users.add(file.name)
    assert users == set(BUS_ERROR_EXCEPTIONS), "sd_bus_error stands in other files than those that are listed with a reason"
