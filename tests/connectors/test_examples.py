# SPDX-License-Identifier: LGPL-2.1-or-later
"""The ten-line examples work, are ten lines, and stand in the manual word for word."""

import json
import os
import re

import pytest
from harness import CONNECTORS, Connector

EXAMPLES = CONNECTORS / "examples"
MANUAL = CONNECTORS.parent.parent / "docs" / "syncrun.connector.5.scd"


@pytest.fixture
def files(tmp_path):
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "plain").write_text("hello")
    (folder / 'with "quotes" and \\').write_text("")
    connector = Connector("examples/changed-files", folder, state=tmp_path / "state")
    return folder, connector


def test_shell_sends_every_file_at_first(files):
    outcome = files[1].run()
    assert outcome.status == os.EX_OK
    assert {record["path"]: record["size"] for record in outcome.records} == {
        "plain": 5, 'with "quotes" and \\': 0}


def test_shell_then_sends_only_changed_ones(files):
    folder, connector = files
    connector.run()
    for path in folder.iterdir():
        os.utime(path, (1000000000, 1000000000))
    assert connector.run().records == []
    (folder / "plain").write_text("hello again")
    assert [record["path"] for record in connector.run().records] == ["plain"]
    assert len(connector.run(full_resync=True).records) == 2


def test_shell_without_folder_asks_for_attention(tmp_path):
    outcome = Connector("examples/changed-files", tmp_path / "none", state=tmp_path / "state").run()
    assert outcome.status == os.EX_CONFIG


@pytest.fixture
def feed(tmp_path):
    path = tmp_path / "feed.json"
    path.write_text(json.dumps({"version": "https://jsonfeed.org/version/1.1", "items": [
        {"id": "2", "date_published": "2026-02-01T00:00:00Z", "title": "Zwei"},
        {"id": "1", "date_published": "2026-01-01T00:00:00Z", "title": "Eins"}]}))
    return path, Connector("examples/json-feed", path.as_uri(), state=tmp_path / "state")


def test_python_sends_new_items(feed):
    path, connector = feed
    assert [record["id"] for record in connector.run().records] == ["2", "1"]
    document = json.loads(path.read_text())
    document["items"].insert(0, {"id": "3", "date_published": "2026-03-01T00:00:00Z"})
    path.write_text(json.dumps(document))
    assert [record["id"] for record in connector.run().records] == ["3", "2"]
    assert len(connector.run(full_resync=True).records) == 3


def test_python_empty_feed_keeps_the_cursor(feed):
    path, connector = feed
    connector.run()
    path.write_text('{"items": []}')
    outcome = connector.run()
    assert outcome.of("STATE")[0]["value"] == {"newest": "2026-02-01T00:00:00Z"}


def test_python_unreachable_feed_is_tried_again_later(feed):
    path, connector = feed
    path.unlink()
    assert connector.run().status == os.EX_TEMPFAIL


@pytest.mark.parametrize("name", ["changed-files", "json-feed"])
def test_stands_in_the_manual(name):
    text = (EXAMPLES / name).read_text()
    code = [line for line in text.splitlines() if not re.match(r"#|\"\"\"", line)]
    assert len(code) == 10
    assert f"```\n{text}```\n".replace("\\", "\\\\") in MANUAL.read_text()
