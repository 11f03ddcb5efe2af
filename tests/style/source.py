# SPDX-License-Identifier: LGPL-2.1-or-later
"""The C sources as the style tests see them."""

import re
from functools import cache
from pathlib import Path

TOP = Path(__file__).resolve().parent.parent.parent
SRC = TOP / "src"

_TOKENS = re.compile(
    r"""(?P<comment> /\*.*?\*/ | //[^\n]* )
      | (?P<string> "(?:[^"\\\n]|\\.)*" | '(?:[^'\\\n]|\\.)*' )""",
    re.S | re.X,
)


def _blank(text):
    """Spaces in place of all but the line breaks, so that lines and columns stay."""
    return re.sub(r"[^\n]", " ", text)


class File:
    def __init__(self, path):
        self.path = path
        self.name = str(path.relative_to(SRC if path.is_relative_to(SRC) else TOP))
        self.room = self.name.split("/")[0]
        self.text = path.read_text()
        self.lines = self.text.splitlines()
        # Without comments, and without what stands in quotes.
        self.no_comments = _TOKENS.sub(lambda m: _blank(m[0]) if m["comment"] else m[0], self.text)
        self.code = _TOKENS.sub(lambda m: _blank(m[0]) if m["comment"] else m[0][0] + _blank(m[0][1:-1]) + m[0][-1], self.text)
        # (line, "<" or '"', name)
        self.includes = [
            (self.line_of(m.start()), m[1], m[2])
            for m in re.finditer(r'^#include ([<"])([^>"]+)[>"]', self.no_comments, re.M)
        ]

    def line_of(self, offset):
        return self.text.count("\n", 0, offset) + 1

    def strings(self):
        """(line, content) of each string literal."""
        return [(self.line_of(m.start()), m[0][1:-1]) for m in _TOKENS.finditer(self.text) if m["string"] and m[0][0] == '"']

    def functions(self):
        """(line of the first brace, name, lines from the first to the last brace) of each function that is defined."""
        lines = self.code.splitlines()
        start = None
        for i, line in enumerate(lines):
            if line == "{":
                start = i
            elif line == "}" and start is not None:
                head = start - 1
                while head > 0 and lines[head].startswith(" "):
                    head -= 1
                name = re.search(r"(\w+)\s*\(", " ".join(lines[head:start]))
                yield start + 1, name[1] if name else "?", lines[start : i + 1]
                start = None


@cache
def files():
    return [File(path) for path in sorted(SRC.rglob("*.[ch]"))]


@cache
def unit_files():
    return [File(path) for path in sorted((TOP / "tests/unit").glob("*.[ch]"))]
