# SPDX-License-Identifier: LGPL-2.1-or-later
"""The ten-line examples work, are ten lines, and stand in the manual, word for word; so does the short one of the README work."""

import json
import os
import re
import time
from urllib.parse import unquote_to_bytes

import pytest
from harness import CONNECTORS, Connector

EXAMPLES = CONNECTORS / "examples"
README = CONNECTORS.parent.parent / "README.md"
MANUAL = CONNECTORS.parent.parent / "docs" / "syncrun.connector.5.scd"


NAMES = [b"plain", b'with "quotes" and \\', b"a\ttab", b"a\nnew line", b" blanks ", b"\xff is no UTF-8", b"%FF is no UTF-8", "Käse".encode()]


@pytest.fixture
def files(tmp_path):
    folder = tmp_path / "folder"
    folder.mkdir()
    for name in NAMES:
        (folder / os.fsdecode(name)).write_text("hello")
    connector = Connector("examples/changed-files", folder, state=tmp_path / "state")
    return folder, connector


def names_of(outcome, folder):
    prefix = folder.as_uri() + "/"
    assert all(record["uri"].startswith(prefix) for record in outcome.records)
    return [unquote_to_bytes(record["uri"].removeprefix(prefix)) for record in outcome.records]


def test_folder_sends_every_file_at_first_whatever_its_name(files):
    folder, connector = files
    (folder / "deep" / "er").mkdir(parents=True)
    (folder / "deep" / "er" / "file").write_text("")
    (folder / "link").symlink_to("plain")
    outcome = connector.run()
    assert outcome.status == os.EX_OK
    assert sorted(names_of(outcome, folder)) == sorted([*NAMES, b"deep/er/file"])
    assert {record["size"] for record in outcome.records} == {5, 0}


def test_folder_then_sends_only_changed_ones(files):
    folder, connector = files
    connector.run()
    assert json.loads(connector.state.read_text())["since"] < time.time() - 1  # the clock of files ticks coarsely
    folders = json.loads(connector.state.read_text())["folders"]
    connector.state.write_text(json.dumps({"since": time.time() + 3600, "folders": folders}))
    assert connector.run(keep_state=False).records == []
    plain = folder / "plain"
    while plain.stat().st_ctime == (folder / "Käse").stat().st_ctime:
        plain.write_text("hello again")
    os.utime(plain, (1000000000, 1000000000))  # as of an old file that is moved there
    connector.state.write_text(json.dumps({"since": plain.stat().st_ctime, "folders": folders}))
    assert names_of(connector.run(keep_state=False), folder) == [b"plain"]
    assert len(connector.run(full_resync=True).records) == len(NAMES)


def test_folder_that_is_moved_there_with_old_files(files):
    """Neither the files nor the folders below the one that is moved are changed by it."""
    folder, connector = files
    elsewhere = folder.parent / "elsewhere"
    (elsewhere / "deep").mkdir(parents=True)
    (elsewhere / "deep" / "old").write_text("")
    connector.run()
    state = json.loads(connector.state.read_text())
    connector.state.write_text(json.dumps({**state, "since": time.time() + 3600}))
    elsewhere.rename(folder / "moved")
    assert names_of(connector.run(), folder) == [b"moved/deep/old"]
    # Another in its place.
    (elsewhere / "deep").mkdir(parents=True)
    (elsewhere / "deep" / "old").write_text("")
    (folder / "moved").rename(folder.parent / "away")
    elsewhere.rename(folder / "moved")
    state = json.loads(connector.state.read_text())
    connector.state.write_text(json.dumps({**state, "since": time.time() + 3600}))
    assert names_of(connector.run(), folder) == [b"moved/deep/old"]


def test_what_vanishes_meanwhile_is_passed_over(files):
    folder, connector = files
    (folder / "gone").mkdir()
    module = connector.state.parent / "sitecustomize.py"
    module.write_text("import os, pathlib\nwalk, scandir = os.walk, os.scandir\n"
                      "def broken(path):\n    if str(path).endswith('gone'): os.rmdir(path)\n    return scandir(path)\n"
                      "os.scandir = broken\n"
                      "def short(*args, **kwargs):\n    for folder, folders, names in walk(*args, **kwargs):\n"
                      "        yield folder, folders, ['was here', *names]\nos.walk = short\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(module.parent))
        outcome = connector.run()
    assert outcome.status == os.EX_OK and outcome.of("STATE"), outcome.log
    assert sorted(names_of(outcome, folder)) == sorted(NAMES)


def test_folder_that_cannot_be_read_to_its_end_moves_no_state(files):
    """Root may read everything, so the folder goes while it is walked."""
    folder, connector = files
    (folder / "deep").mkdir()
    module = connector.state.parent / "sitecustomize.py"
    module.write_text("import os\nscandir = os.scandir\ndef broken(path):\n    if path.endswith('deep'): raise PermissionError(13, 'no', path)\n"
                      "    return scandir(path)\nos.scandir = broken\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(module.parent))
        outcome = connector.run()
    assert outcome.status == 1 and not outcome.of("STATE") and "deep" in outcome.log


def test_folder_that_is_not_there_asks_for_attention(tmp_path):
    outcome = Connector("examples/changed-files", tmp_path / "none", state=tmp_path / "state").run()
    assert outcome.status == os.EX_CONFIG and outcome.log.strip() == f"{tmp_path}/none is no folder"


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
    assert outcome.of("STATE")[0]["value"] == {"since": 1769904000.0}


def test_python_items_of_any_offset_and_without_a_date(feed):
    """The format makes the date optional, and it may have any offset."""
    path, connector = feed
    connector.run()
    path.write_text(json.dumps({"items": [
        {"id": "none"}, {"id": "null", "date_published": None},
        {"id": "later", "date_published": "2026-01-31T23:00:01-02:00"},
        {"id": "earlier", "date_published": "2026-02-01T00:30:00+01:00"},
        {"id": "same", "date_published": "2026-02-01T05:30:00+05:30"}]}))
    outcome = connector.run()
    assert [record["id"] for record in outcome.records] == ["none", "null", "later", "same"]
    assert outcome.of("STATE")[0]["value"] == {"since": 1769907601.0}


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


def test_the_short_one_of_the_readme(tmp_path):
    text = re.search(r"```python\n(.*?)```", README.read_text(), re.S)[1]
    assert max(map(len, text.splitlines())) < 100
    program, folder = tmp_path / "program", tmp_path / "folder"
    program.write_text(text)
    program.chmod(0o755)
    connector = Connector(program, folder, state=tmp_path / "state")
    outcome = connector.run()
    assert outcome.status == os.EX_CONFIG and outcome.log.strip() == f"{folder} is no folder"
    (folder / "deep").mkdir(parents=True)
    (folder / "deep" / "file").write_text("hello")
    assert names_of(connector.run(), folder) == [b"deep/file"]
    connector.state.write_text(json.dumps({"since": time.time() + 3600}))
    assert connector.run(keep_state=False).records == []
