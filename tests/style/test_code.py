# SPDX-License-Identifier: LGPL-2.1-or-later
"""Sizes, names and small habits of the C sources."""

import re

import pytest

from source import TOP, files

FILE_LINES_MAX = 600
FUNCTION_LINES_MAX = 80
NESTING_MAX = 4
LINE_COLUMNS_MAX = 119

# Files and functions that may be longer, and why.
LONG_FILES = {
    "engine/launcher-unit.c": "one machine of states that PID 1's signals move, and the calls that set it going",
}
LONG_FUNCTIONS = {}

# What goes wrong more often than right.
BANNED = {
    "strcpy", "strcat", "strncpy", "strncat", "sprintf", "vsprintf", "gets", "strtok", "atoi", "atol", "atoll", "atof",
    "alloca", "strdupa", "rand", "srand", "system", "popen", "tmpnam", "mktemp", "tempnam", "gmtime", "localtime", "ctime",
    "asctime", "usleep", "sleep", "vfork",
}  # fmt: skip

each_file = pytest.mark.parametrize("file", files(), ids=lambda file: file.name)


def test_files_are_not_long():
    long = {file.name: len(file.lines) for file in files() if len(file.lines) > FILE_LINES_MAX}
    assert set(long) == set(LONG_FILES), f"files of more than {FILE_LINES_MAX} lines: {long}"


def test_functions_are_not_long():
    long = {
        f"{file.name}: {name}": len(lines)
        for file in files()
        for _, name, lines in file.functions()
        if len(lines) > FUNCTION_LINES_MAX
    }
    assert set(long) == set(LONG_FUNCTIONS), f"functions of more than {FUNCTION_LINES_MAX} lines: {long}"


CONTROL = re.compile(r"( +)(?:\} )?(?:if|else|for|while|do|switch|[A-Z]+_FOREACH|HASH_ITER)\b")


@each_file
def test_nesting(file):
    for start, name, lines in file.functions():
        for number, line in enumerate(lines, start):
            control = CONTROL.match(line)
            depth = len(control[1]) // 8 if control else 0
            assert depth <= NESTING_MAX, f"{file.name}:{number}: {name}() is nested {depth} deep"


@each_file
def test_lines(file):
    for number, line in enumerate(file.lines, 1):
        assert len(line) <= LINE_COLUMNS_MAX, f"{file.name}:{number} has {len(line)} columns"
        assert line == line.rstrip() and "\t" not in line, f"{file.name}:{number} has a tab, or a blank at its end"
    assert file.text.endswith("\n") and not file.text.endswith("\n\n"), f"{file.name} does not end in one line break"


@each_file
def test_head(file):
    assert file.lines[0] == "/* SPDX-License-Identifier: LGPL-2.1-or-later */", f"{file.name}: no SPDX line"
    if file.name.endswith(".h"):
        assert file.lines[1] == "#pragma once", f"{file.name}: no #pragma once"
    assert not re.search(r"\b(TODO|FIXME|XXX|HACK)\b", file.text), f"{file.name}: something is left to do"


@each_file
def test_order_of_includes(file):
    """A source's own header, the system's, ours; each group sorted, with an empty line between them."""
    groups, last = [], 0
    for line, kind, name in file.includes:
        if line != last + 1:
            groups.append([])
        groups[-1].append((kind, name))
        last = line
    if file.name.endswith(".c") and groups and len(groups[0]) == 1 and groups[0][0][0] == '"':
        groups.pop(0)
    kinds = [kind for group in groups for kind, _ in group]
    assert kinds == sorted(kinds, key='<"'.index), f"{file.name}: the system's headers come before ours"
    for group in groups:
        assert len({kind for kind, _ in group}) == 1, f"{file.name}: no empty line between the system's headers and ours"
        assert group == sorted(group), f"{file.name}: headers are not in the order of the alphabet"


@each_file
def test_banned(file):
    for match in re.finditer(r"(?<![\w.>])(\w+)\s*\(", file.code):
        assert match[1] not in BANNED, f"{file.name}:{file.line_of(match.start())}: {match[1]}() is banned"


@each_file
def test_asserts_do_nothing(file):
    for match in re.finditer(r"(?<!static_)\bassert\s*\((.*)\);", file.code):
        effect = re.search(r"\+\+|--|(?<![=!<>])=(?!=)", match[1])
        assert not effect, f"{file.name}:{file.line_of(match.start())}: an assert has an effect"


def test_outside_names_stand_in_one_place():
    """Names of the bus, the journal and the environment, and message ids."""
    outside = re.compile(r"[./]org[./]syncrun1|^org\.syncrun1|^SYNCRUN_[A-Z_]+=?$|^[0-9a-f]{32}$")
    found = [f"{file.name}:{line}: {text}" for file in files() for line, text in file.strings() if outside.search(text)]
    assert [text for text in found if text.startswith("base/names.h:")]
    assert not [text for text in found if not text.startswith("base/names.h:")]


def test_every_table_is_tested():
    """Each enum with words is in tests/unit/test-tables.c, and nothing else is."""
    declared = {
        name
        for file in files()
        for name in re.findall(r"^DE(?:CLARE|FINE)_STRING_TABLE\((\w+),", file.code, re.M)
        if file.name != "base/string-table.h"
    }
    tested = set(re.findall(r"^ +TABLE\((\w+),", (TOP / "tests/unit/test-tables.c").read_text(), re.M))
    assert declared and tested == declared
