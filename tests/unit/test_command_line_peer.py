# SPDX-License-Identifier: LGPL-2.1-or-later
"""Our words of ExecPull= and Environment= against those of the systemd that is installed.

`systemd --test` loads unit files without starting anything and prints what it has read. It gets random command lines, each
with its number as the second word, in random unit files (comments, continued lines, blanks), and so do we.
"""

import os
import random
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

TOOL = os.environ["COMMAND_LINE_TOOL"]
SYSTEMD = "/lib/systemd/systemd"
LINES = 400
NOBODY = 65534

ESCAPES = [rf"\{c}" for c in "abfnrtv\\\"'sqxuU018; $c"] + [
    r"\x41", r"\xff", r"\x00", r"\x4", r"\x4g", r"\101", r"\377", r"\400", r"\000", r"\08", r"\u00e9", r"\u20AC", r"\u0000",
    r"\ud800", r"\u12", r"\U0001f600", r"\U00110000", r"\U0000fffe", r"\U0000d800", r"\U00000000", r"\U0000fdd0",
]  # fmt: skip
PIECES = ["a", "bc", "=", "A=", "é", "€", "$", "${X}", "#", ";", "\\;", "|", ">", "/", ".", "-"] + ESCAPES
BLANKS = [" ", "  ", "\t", " \\\n", " \\\n  # a comment\n", "\\\n;comment \\\n\t", "\t\\\n \\\n "]


def random_word(rng):
    text = "".join(rng.choice(PIECES) for _ in range(rng.randrange(5)))
    quote = rng.choice(["", "", '"', "'"])
    if rng.random() < 0.05:
        return text + quote
    word = f"{quote}{text}{rng.choice(['', ' ', ' x', quote and chr(9)])}{quote}"
    return word if rng.random() < 0.8 else rng.choice("ab") + word


def random_command(rng, number):
    words = [random_word(rng) for _ in range(rng.randrange(6))]
    program = rng.choice(["/t", "t", "/a/b", r"/a\sb", r"/a\x41b", '"/a b"', "a/b", "..", "/t/", "/é", r"/a\nb", r"\;"])
    if rng.random() < 0.7:
        program = "/t"
    line = " ".join([program, str(number)])
    for word in words:
        # A word of ";" alone begins a second command there, and is refused here; at the beginning of a line it, and "#",
        # would make a comment of the rest.
        line += rng.choice(BLANKS) + ("x" if word.startswith((";", "#")) else "") + word
    return line + rng.choice(["", "", " ", " \\\\", " \\ "])


def random_environment(rng):
    words = [f"{rng.choice(['A', 'B', 'C', 'D_1', '1A', 'A-B', ''])}={random_word(rng)}" for _ in range(3)]
    words.insert(rng.randrange(9), "nothing")
    # It prints a line break in there as it is.
    return rng.choice(BLANKS).join(words).replace("\\n", "\\t") if rng.random() < 0.9 else ""


def unquote(text):
    """The words of a command line as systemd prints it: in double quotes where needed, with C escapes."""
    words = []
    for plain, quoted in re.findall(rb'([^ "]+)|"((?:[^"\\]|\\.)*)"', text, re.S):
        if plain:
            words.append(plain)
            continue
        letters = dict(zip(b"abfnrtvs", b"\a\b\f\n\r\t\v "))
        words.append(
            re.sub(
                rb"\\(?:([0-7]{3})|(.))",
                lambda m: bytes([int(m[1], 8) if m[1] else letters.get(m[2][0], m[2][0])]),
                quoted,
            )
        )
    return words


def run_systemd(unit):
    folder = Path(tempfile.mkdtemp())
    try:
        (folder / "x.service").write_text(unit)
        command = [SYSTEMD, "--test", "--user", "--unit=x.service", "--no-pager"]
        if os.geteuid() == 0:  # which it refuses to run as
            command = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", *command]
            os.chown(folder, NOBODY, NOBODY)
        environment = {"HOME": "/", "XDG_RUNTIME_DIR": str(folder), "PATH": os.environ["PATH"], "SYSTEMD_UNIT_PATH": f"{folder}:"}
        done = subprocess.run(command, env=environment, cwd="/", capture_output=True)
        assert done.returncode == 0, done.stderr
    finally:
        shutil.rmtree(folder)
    dump = re.search(rb"-> Unit x\.service:\n(.*?)(?=^-> Unit |\Z)", done.stdout, re.S | re.M)[1]
    commands = {}
    for line in re.findall(rb"^\s*Command Line: (.*)$", dump, re.M):
        words = unquote(line)
        commands[int(words[1])] = words
    return commands, re.findall(rb"^\s*Environment: (.*)$", dump, re.M)


def run_tool(unit):
    output = subprocess.run([TOOL], input=unit.encode(), capture_output=True, check=True).stdout.decode().splitlines()
    lines = [[bytes.fromhex(w) for w in re.findall(r" ([0-9a-f]*)", line)] if line != "c!" else None for line in output]
    return lines[:-1], lines[-1]


@pytest.mark.parametrize("seed", range(6))
def test_as_systemd(seed):
    rng = random.Random(seed)
    commands = [random_command(rng, number) for number in range(LINES)]
    environment = [f"Environment={random_environment(rng)}\n" for _ in range(20)]
    head = "[Unit]\nDefaultDependencies=no\n[Service]\nType=oneshot\n" + "".join(environment)

    # With "-" a command line that is wrong is left out and does not spoil the unit.
    theirs, their_environment = run_systemd(head + "".join(f"ExecStart=-{line}\n" for line in commands))
    ours, our_environment = run_tool(head + "".join(f"ExecStart={line}\n" for line in commands))

    assert len(ours) == LINES
    assert len(theirs) > LINES / 4
    for number, line in enumerate(commands):
        assert (line, ours[number]) == (line, theirs.get(number))
    assert our_environment == their_environment
