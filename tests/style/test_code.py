# SPDX-License-Identifier: LGPL-2.1-or-later
"""Sizes, names and small habits of the C sources."""

import re

from source import TOP, files, unit_files

FILE_LINES_MAX = 600
FUNCTION_LINES_MAX = 80
NESTING_MAX = 4
LINE_COLUMNS_MAX = 119

# Files and functions that may be longer, and why.
LONG_FILES = {}
LONG_FUNCTIONS = {}

# What goes wrong more often than right.
BANNED = {
    "strcpy", "strcat", "strncpy", "strncat", "sprintf", "vsprintf", "gets", "strtok", "atoi", "atol", "atoll", "atof",
    "alloca", "strdupa", "rand", "srand", "system", "popen", "tmpnam", "mktemp", "tempnam", "gmtime", "localtime", "ctime",
    "asctime", "usleep", "sleep", "vfork",
}  # fmt: skip

def test_files_are_not_long():
    long = {file.name: len(file.lines) for file in files() + unit_files() if len(file.lines) > FILE_LINES_MAX}
    assert set(long) == set(LONG_FILES), f"files of more than {FILE_LINES_MAX} lines: {long}"


def test_functions_are_not_long():
    long = {
        f"{file.name}: {name}": len(lines)
        for file in files() + unit_files()
        for _, name, lines in file.functions()
        if len(lines) > FUNCTION_LINES_MAX
    }
    assert set(long) == set(LONG_FUNCTIONS), f"functions of more than {FUNCTION_LINES_MAX} lines: {long}"


CONTROL = re.compile(r"( +)(?:\} )?(?:if|else|for|while|do|switch|[A-Z]+_FOREACH|HASH_ITER)\b")


def check(rule):
    """A rule yields (line, what is wrong) for a file."""
    faults = [f"{file.name}:{line}: {fault}" for file in files() for line, fault in rule(file)]
    assert not faults, "\n".join(["", *faults])


def test_nesting():
    def rule(file):
        for start, name, lines in file.functions():
            for number, line in enumerate(lines, start):
                control = CONTROL.match(line)
                depth = len(control[1]) // 8 if control else 0
                if depth > NESTING_MAX:
                    yield number, f"{name}() is nested {depth} deep"

    check(rule)


def test_lines():
    def rule(file):
        for number, line in enumerate(file.lines, 1):
            if len(line) > LINE_COLUMNS_MAX:
                yield number, f"{len(line)} columns"
            if line != line.rstrip() or "\t" in line:
                yield number, "a tab, or a blank at the end"
        if not file.text.endswith("\n") or file.text.endswith("\n\n"):
            yield len(file.lines), "the file does not end in one line break"

    check(rule)


def test_heads():
    def rule(file):
        if file.lines[0] != "/* SPDX-License-Identifier: LGPL-2.1-or-later */":
            yield 1, "no SPDX line"
        if file.name.endswith(".h") and file.lines[1] != "#pragma once":
            yield 2, "no #pragma once"
        for match in re.finditer(r"\b(TODO|FIXME|XXX|HACK)\b", file.text):
            yield file.line_of(match.start()), "something is left to do"

    check(rule)


def test_order_of_includes():
    """A source's own header, the system's, ours; each group sorted, with an empty line between them."""

    def rule(file):
        groups, last = [], 0
        for line, kind, name in file.includes:
            if line != last + 1:
                groups.append([])
            groups[-1].append((kind, name))
            last = line
        if file.name.endswith(".c") and groups and len(groups[0]) == 1 and groups[0][0][0] == '"':
            groups.pop(0)
        kinds = [kind for group in groups for kind, _ in group]
        if kinds != sorted(kinds, key='<"'.index):
            yield last, "the system's headers come before ours"
        for group in groups:
            if len({kind for kind, _ in group}) > 1:
                yield last, "no empty line between the system's headers and ours"
            if group != sorted(group):
                yield last, "headers are not in the order of the alphabet"

    check(rule)


def test_banned():
    def rule(file):
        for match in re.finditer(r"(?<![\w.>])(\w+)\s*\(", file.code):
            if match[1] in BANNED:
                yield file.line_of(match.start()), f"{match[1]}() is banned"

    check(rule)


def test_asserts_do_nothing():
    def rule(file):
        for match in re.finditer(r"(?<!static_)\bassert\s*\((.*)\);", file.code):
            if re.search(r"\+\+|--|(?<![=!<>])=(?!=)", match[1]):
                yield file.line_of(match.start()), "an assert has an effect"

    check(rule)


def test_outside_names_stand_in_one_place():
    """Names of the bus, the journal and the environment, and message ids."""
    outside = re.compile(r"[./]org[./]syncrun1|^org\.syncrun1|^SYNCRUN_[A-Z_]+=?$|^[0-9a-f]{32}$")

    def rule(file):
        names = [(line, text) for line, text in file.strings() if outside.search(text)]
        if file.name == "base/names.h":
            assert names
        else:
            yield from names

    check(rule)


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
