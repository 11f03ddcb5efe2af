# SPDX-License-Identifier: LGPL-2.1-or-later
"""What people read about the programs against the programs: --help, man pages, completion, names, the journal's catalog."""

import json
import os
import re
import subprocess
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from source import TOP

BUILD = Path(os.environ.get("SYNCRUN_BUILD", TOP / "build"))
CONNECTORS = ("syncrun-csv-bank", "syncrun-git-log", "syncrun-packages")
PROGRAMS = {
    "syncrund": ("src/daemon/syncrund", "syncrund.8"),
    "syncrunctl": ("src/ctl/syncrunctl", "syncrunctl.1"),
    "syncrun-worker": ("src/worker/syncrun-worker", "syncrun-worker.8"),
    "syncrun-http": ("src/http/syncrun-http", "syncrun-http.8"),
    "syncrun-userdb": ("src/userdb/syncrun-userdb", "syncrun-userdb.8"),
    **{name: (TOP / "src/connectors" / name, f"{name}.1") for name in CONNECTORS},
}
PAGES = ["syncrund.8", "syncrun-http.8", "syncrun-http.conf.5", "syncrunctl.1", "syncrun.connector.5", "syncrun.connection.5",
         "syncrun.conf.5", "syncrun.webhooks.7", "org.syncrun1.5",
         "syncrun-userdb.8", "syncrun-worker.8", *(f"{name}.1" for name in CONNECTORS)]
COMPLETION = (TOP / "src/ctl/syncrunctl.bash").read_text()
NAMES = (TOP / "src/base/names.h").read_text()

# What is told by a rule and not by its name, and where the rule stands.
UNNAMED = {
    "SYNCRUN_": "the prefix of all of them",
}


def run(*words, **kwargs):
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True, check=True, **kwargs)
    return done.stdout


def help_of(program):
    return run(BUILD / PROGRAMS[program][0], "--help", env={"PATH": "/usr/bin:/bin"})


def page(name):
    """A man page as a person reads it."""
    text = run("man", "--no-hyphenation", "--no-justification", "-l", BUILD / "docs" / name, env={**os.environ, "MANWIDTH": "200", "LC_ALL": "C.UTF-8"})
    return re.sub(r".\x08", "", text)


def page_options(name):
    """Those that the section OPTIONS begins a paragraph with."""
    block = re.search(r"^OPTIONS\n(.*?)^\S", page(name), re.M | re.S)[1]
    heads = re.findall(r"^       (-.*)$", block, re.M)
    assert len(heads) == len(set(heads)) and sum(len(options(head)) for head in heads) == len(options("\n".join(heads)))
    return options("\n".join(heads))


def options(text):
    return set(re.findall(r"(?<![\w-])--([a-z][a-z-]+)", text))


def verbs(text):
    """The names in the table of commands in syncrunctl --help, of one word or two."""
    block = re.search(r"^Commands:\n(.*?)\n\n", text, re.M | re.S)[1]
    return re.findall(r"^  ([a-z]+(?: [a-z]+)?)", block, re.M)


@pytest.mark.parametrize("program", PROGRAMS)
def test_options_of_help_and_page(program):
    assert options(help_of(program)) == page_options(PROGRAMS[program][1])


def test_verbs_of_help_and_page():
    block = re.search(r"^COMMANDS\n(.*?)^OPTIONS", page("syncrunctl.1"), re.M | re.S)[1]
    heads = re.findall(r"^       (\S.*)$", block, re.M)
    told = [verb for head in heads for verb in re.findall(r"(?:^|, )([a-z]+(?: [a-z]+)?)", head)]
    assert told == verbs(help_of("syncrunctl"))


def test_verbs_and_options_of_completion():
    names = set(verbs(help_of("syncrunctl")))
    assert set(re.search(r'local verbs="(.*?)"', COMPLETION, re.S)[1].split()) == {name.split()[0] for name in names}
    table = dict(re.findall(r'^\s+\[([\w ]+)\]="(.*)"$', COMPLETION, re.M))
    assert set(table) == names | {"__common"}
    assert options(" ".join(table.values())) == options(help_of("syncrunctl"))


def complete(*words, **kwargs):
    """What bash would offer for the last word."""
    script = ('source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMP_LINE="$*"; _syncrunctl; '
              'printf "%s\\n" "${COMPREPLY[@]}"')
    return run("bash", "-c", script, "bash", TOP / "src/ctl/syncrunctl.bash", *words, **kwargs).splitlines()


def test_completion_offers_what_the_verb_takes():
    """Every option that is offered is taken, and every other refused."""
    words = {verb: [] for verb in ("list", "connections", "users", "reload", "key list", "webhook list", "doctor")}
    words["webhook resend"] = words["redeliver"] = ["x", "y"]
    common = options(re.search(r'\[__common\]="(.*)"', COMPLETION)[1])
    for verb in verbs(help_of("syncrunctl")):
        offered = options(" ".join(complete("syncrunctl", *verb.split(), "--")))
        for option in options(help_of("syncrunctl")) - common:
            values = {"user": "00000000-0000-4000-8000-000000000000", "outcome": "failed", "source": "sdk", "since": "1h",
                      "until": "1h", "base-time": "now", "scope": "sync:read", "types": "sync.failed"}
            switch = option in ("full", "wait", "active", "attention", "enable", "disable", "at-once", "follow", "done", "delete-items")
            word = f"--{option}" if switch else f"--{option}={values.get(option, '1')}"
            done = subprocess.run([BUILD / PROGRAMS["syncrunctl"][0], *verb.split(), *words.get(verb, ["x"]), word],
                                  env={"PATH": "/nonexistent", "SYNCRUN_BUS_ADDRESS": "unix:path=/nonexistent",
                                       "SYNCRUN_WORKER": "/nonexistent"}, capture_output=True, text=True)
            assert (f"does not take --{option}." in done.stderr) == (option not in offered), (verb, option, done.stderr)


def test_completion_of_words():
    assert complete("syncrunctl", "re") == ["reconnect", "redeliver", "reload"]
    assert complete("syncrunctl", "runs", "--outcome", "=", "s") == ["succeeded", "skipped"]
    assert complete("syncrunctl", "runs", "--json", "=") == ["short", "pretty", "off"]
    assert "start" in complete("syncrunctl", "-H", "host", "st")
    assert complete("syncrunctl", "key", "") == ["add", "list", "revoke"]
    assert complete("syncrunctl", "key", "add", "x", "--scope", "=", "sync:w") == ["sync:write"]


def test_completion_of_a_value_behind_a_space():
    assert complete("syncrunctl", "runs", "--outcome", "s") == ["succeeded", "skipped"]
    assert complete("syncrunctl", "--json", "") == ["short", "pretty", "off"]
    assert complete("syncrunctl", "--json", "short", "rel") == ["reload"]
    assert complete("syncrunctl", "--json", "=", "short", "rel") == ["reload"]


def test_completion_runs_nothing_that_a_machine_sends(tmp_path):
    """A listing is data, also where another machine sends it: no name of it is expanded, and no option put in."""
    program = tmp_path / "syncrunctl"
    program.write_text(f"#!/bin/sh\necho \"$*\" >>{tmp_path}/calls\ncat <<'END'\n"
                       f"$(touch${{IFS}}{tmp_path}/a) active - -\n`touch${{IFS}}{tmp_path}/b`\n--full\n*\nbank active - -\n"
                       '{"connectors":[{"provider":"plaid"},{"provider":"$(touch${IFS}c)"},{"provider":"plaid"}]}\nEND\n')
    program.chmod(0o755)
    kwargs = {"env": {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}, "cwd": tmp_path}
    for verb in (["start"], ["cancel"], ["status"], ["show"], ["reconnect"], ["key", "revoke"], ["webhook", "show"]):
        assert set(complete("syncrunctl", "-H", "there", *verb, "", **kwargs)) == {"bank"}
    assert complete("syncrunctl", "runs", "--user", "=", "", **kwargs) == ["bank"]
    assert complete("syncrunctl", "runs", "--provider", "=", "p", **kwargs) == ["plaid"]
    assert {path.name for path in tmp_path.iterdir()} == {"syncrunctl", "calls"}
    assert "--host=there" in (tmp_path / "calls").read_text()


def test_completion_of_file_names(tmp_path):
    (tmp_path / "my bank.connector").touch()
    assert complete("syncrunctl", "verify", "m", cwd=tmp_path) == ["my bank.connector"]


@pytest.mark.parametrize("name", PAGES)
def test_pages_have_no_warnings(name):
    done = subprocess.run(["man", "--warnings", "-l", BUILD / "docs" / name], stdout=subprocess.DEVNULL,
                          stderr=subprocess.PIPE, text=True, env={**os.environ, "MANWIDTH": "200", "LC_ALL": "C.UTF-8"})
    assert (done.returncode, done.stderr) == (0, "")


def test_every_program_has_a_page():
    assert set(PAGES) == {path.name for path in (BUILD / "docs").iterdir() if re.search(r"\.[0-9]$", path.name)}
    installed = map(Path, json.loads(run("meson", "introspect", "--installed", BUILD)).values())
    programs = {path.name for path in installed if path.parent.name == "bin" or path.parent.match("lib*/syncrun")}
    assert {name for name in programs if not name.endswith(".py")} == set(PROGRAMS)
    assert {manual for _, manual in PROGRAMS.values()} <= set(PAGES)


@pytest.mark.parametrize("path", sorted((TOP / "dbus").glob("*.xml")), ids=lambda path: path.stem)
def test_every_member_of_an_interface_is_explained(path):
    """By the comment right above it, which becomes its text in the manual."""
    parser = ET.XMLParser(target=ET.TreeBuilder(insert_comments=True))
    interface = ET.parse(path, parser).getroot().find("interface")
    bare = [f"{child.tag} {child.get('name')}" for above, child in zip([None, *interface], interface)
            if child.tag is not ET.Comment and (above is None or above.tag is not ET.Comment)]
    assert len(interface) > 1 and bare == []


def test_every_message_has_an_entry_in_the_catalog():
    ids = re.findall(r'^#define MSG_\w+\s+"([0-9a-f]{32})"', NAMES, re.M)
    entries = re.findall(r"^-- ([0-9a-f]{32})$", (TOP / "systemd/syncrun.catalog").read_text(), re.M)
    assert ids and len(ids) == len(set(ids))
    assert sorted(ids) == sorted(entries)


def test_every_variable_and_field_is_documented():
    told = "".join(map(page, ("syncrund.8", "syncrun.connector.5", "syncrunctl.1", "syncrun-http.8")))
    names = set(re.findall(r'^#define (?:SYNCRUN_ENV|FIELD)_\w+\s+"(\w+)"', NAMES, re.M)) - set(UNNAMED)
    assert len(names) > 20
    missing = sorted(name for name in names if not re.search(rf"(?<!\w){name}(?!\w)", told))
    assert missing == []


def test_readme_begins_with_what_a_newcomer_needs():
    """What it is, how to try it, how to write a connector and how to install it, on the first screen."""
    screen = "\n".join((TOP / "README.md").read_text().splitlines()[:60])
    for what in ("A system daemon", "make demo", "```python", ".connector`", "make install", "enable --now syncrund"):
        assert what in screen, what
