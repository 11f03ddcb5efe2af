# SPDX-License-Identifier: LGPL-2.1-or-later
"""syncrun-packages, on status files of our own and on this machine's."""

import json
import os
import subprocess

import pytest
from harness import Connector

STATUS = """\
Package: hello
Status: install ok installed
Installed-Size: 280
Maintainer: Santiago Vila <sanvila@debian.org>
Architecture: amd64
Version: 2.10-3
Section: devel
Description: example package based on GNU hello
 The GNU hello program produces a familiar, friendly greeting.
 .
Conffiles:
 /etc/hello 0123

Package: libc6
Status: install ok installed
Architecture: amd64
Version: 2.36-9

Package: libc6
Status: install ok installed
Architecture: i386
Version: 2.36-9
"""


@pytest.fixture
def status_file(tmp_path):
    path = tmp_path / "status"
    path.write_text(STATUS)
    return path


@pytest.fixture
def packages(status_file, tmp_path):
    return Connector("syncrun-packages", "--status-file", status_file, state=tmp_path / "state")


def test_first_run_sends_every_package(packages):
    outcome = packages.run()
    assert outcome.status == os.EX_OK
    assert outcome.records[0] == {
        "name": "hello", "architecture": "amd64", "version": "2.10-3", "status": "installed", "section": "devel",
        "installed_size": 280, "maintainer": "Santiago Vila <sanvila@debian.org>",
        "summary": "example package based on GNU hello"}
    assert [(record["name"], record["architecture"]) for record in outcome.records[1:]] == [
        ("libc6", "amd64"), ("libc6", "i386")]
    last = outcome.of("PROGRESS")[-1]
    assert (last["processed"], last["total"]) == (3, 3)


def test_nothing_changed_sends_nothing(packages):
    packages.run()
    outcome = packages.run()
    assert outcome.status == os.EX_OK
    assert outcome.records == []


def test_sends_what_was_upgraded_added_and_removed(packages, status_file):
    packages.run()
    hello, libc6_amd64, _ = STATUS.split("\n\n")
    added = "Package: cowsay\nStatus: install ok installed\nArchitecture: all\nVersion: 3.03\n"
    status_file.write_text("\n\n".join([hello.replace("2.10-3", "2.10-4"), libc6_amd64, added]))
    outcome = packages.run()
    assert {(record["name"], record["version"], record["status"]) for record in outcome.records} == {
        ("hello", "2.10-4", "installed"), ("cowsay", "3.03", "installed"), ("libc6", "", "not-installed")}
    assert packages.run().records == []


def test_full_resync_sends_all_again(packages):
    packages.run()
    assert len(packages.run(full_resync=True).records) == 3


@pytest.mark.parametrize("state", ["", "{}"])
def test_empty_state_is_a_first_run(packages, state):
    packages.state.write_text(state)
    assert len(packages.run().records) == 3


def test_broken_state_is_refused(packages):
    packages.state.write_text("[1]")
    outcome = packages.run()
    assert outcome.status == os.EX_CONFIG
    assert "not a JSON object" in outcome.log


def test_no_dpkg_asks_for_attention(packages, status_file):
    status_file.unlink()
    outcome = packages.run()
    assert outcome.status == os.EX_CONFIG
    assert [message["category"] for message in outcome.of("ATTENTION")] == ["configuration_error"]


def test_options_come_from_the_configuration(status_file, tmp_path):
    config = tmp_path / "config.json"
    config.write_text(json.dumps({"status_file": str(status_file)}))
    outcome = Connector("syncrun-packages", "--config", config, state=tmp_path / "state").run()
    assert len(outcome.records) == 3


def test_command_line_wins_over_configuration(status_file, tmp_path):
    config = tmp_path / "config.json"
    config.write_text('{"status_file": "/nonexistent"}')
    connector = Connector("syncrun-packages", "--config", config, "--status-file", status_file, state=tmp_path / "state")
    assert len(connector.run().records) == 3


@pytest.mark.parametrize("text", ['{"statusfile": "x"}', "{", "[]"])
def test_wrong_configuration_asks_for_attention(tmp_path, text):
    config = tmp_path / "config.json"
    config.write_text(text)
    outcome = Connector("syncrun-packages", "--config", config, state=tmp_path / "state").run()
    assert outcome.status == os.EX_CONFIG
    assert outcome.of("ATTENTION")[0]["category"] == "configuration_error"


def test_unknown_argument_is_a_usage_error(tmp_path):
    outcome = Connector("syncrun-packages", "--nonsense", state=tmp_path / "state").run()
    assert outcome.status == os.EX_USAGE


def test_agrees_with_dpkg_on_this_machine(tmp_path):
    query = subprocess.run(["dpkg-query", "-W", "-f", "${Package} ${Architecture} ${Version} ${db:Status-Status}\n"],
                           capture_output=True, text=True, check=True)
    outcome = Connector("syncrun-packages", state=tmp_path / "state").run()
    seen = [f"{record['name']} {record['architecture']} {record['version']} {record['status']}"
            for record in outcome.records]
    assert sorted(seen) == sorted(query.stdout.splitlines())


def test_reader_that_goes_away_is_no_crash(packages):
    with subprocess.Popen(packages.command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.close()
        log = process.stderr.read().decode()
    assert process.returncode == os.EX_IOERR
    assert "Traceback" not in log
