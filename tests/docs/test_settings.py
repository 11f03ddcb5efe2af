# SPDX-License-Identifier: LGPL-2.1-or-later
"""The manual pages of the configuration files name exactly the settings that the tables in the source have."""

import os
import re
import subprocess
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parent.parent.parent

FILES = [
    ("src/model/connector-parse.c", "docs/syncrun.connector.5.scd"),
    ("src/model/connection.c", "docs/syncrun.connection.5.scd"),
    ("src/model/settings.c", "docs/syncrun.conf.5.scd"),
    ("src/http/http-settings.c", "docs/syncrun-http.conf.5.scd"),
]


def settings_of_source(text):
    return set(re.findall(r'^ +(?:ITEM|WHOLE)\("(\w+)", "(\w+)"', text, re.M))


def settings_of_manual(text):
    settings = set()
    for section, body in re.findall(r"^# \[(\w+)\] SECTION$(.*?)(?=^# )", text, re.M | re.S):
        for line in re.findall(r"^\*\w+=\*.*$", body, re.M):
            settings |= {(section.capitalize(), key) for key in re.findall(r"\*(\w+)=\*", line)}
    return settings


@pytest.mark.parametrize("source, manual", FILES)
def test_manual_names_every_setting(source, manual):
    expected = settings_of_source((TOP / source).read_text())
    assert expected
    assert settings_of_manual((TOP / manual).read_text()) == expected


def test_examples_of_the_manual_are_good(tmp_path):
    manual = (TOP / "docs/syncrun.connector.5.scd").read_text()
    examples = re.findall(r"^```\n(\[.*?)^```$", manual, re.M | re.S)
    assert len(examples) == 2
    for n, text in enumerate(examples):
        path = tmp_path / f"example{n}.connector"
        path.write_text(text)
        verified = subprocess.run([os.environ["SYNCRUNCTL"], "verify", path], capture_output=True, text=True)
        assert verified.returncode == 0, verified.stdout + verified.stderr
