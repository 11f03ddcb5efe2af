# SPDX-License-Identifier: LGPL-2.1-or-later
"""syncrun-git-log, on repositories made for the test."""

import os
import subprocess

import pytest
from harness import Connector

IDENTITY = {f"GIT_{role}_{key}": value for role in ("AUTHOR", "COMMITTER")
            for key, value in (("NAME", "Ada Łęgowska"), ("EMAIL", "ada@example.org"))}


class Repository:
    def __init__(self, path):
        self.path = path
        self.git("init", "--quiet", "--initial-branch=main", str(path), folder=None)

    def git(self, *command, folder=True, stdin=None):
        prefix = ["git", *(["-C", str(self.path)] if folder else [])]
        environment = {**os.environ, **IDENTITY, "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_SYSTEM": "/dev/null"}
        done = subprocess.run([*prefix, *command], env=environment, input=stdin, capture_output=True, check=True)
        return done.stdout.decode().strip()

    def commit(self, message, *options):
        self.git("commit", "--quiet", "--allow-empty", *options, "--file=-", stdin=message.encode())
        return self.git("rev-parse", "HEAD")


@pytest.fixture
def repository(tmp_path):
    return Repository(tmp_path / "repository")


@pytest.fixture
def git_log(repository, tmp_path):
    return Connector("syncrun-git-log", "--repository", repository.path, state=tmp_path / "state")


def subjects(outcome):
    return [record["subject"] for record in outcome.records]


def test_first_run_sends_all_parents_first(repository, git_log):
    first = repository.commit("one")
    second = repository.commit("two\n\nWith a body,\nof two lines.")
    outcome = git_log.run()
    assert outcome.status == os.EX_OK
    assert subjects(outcome) == ["one", "two"]
    record = outcome.records[1]
    assert (record["id"], record["parents"], record["on_branch"]) == (second, [first], True)
    assert (record["author"], record["email"]) == ("Ada Łęgowska", "ada@example.org")
    assert record["body"] == "With a body,\nof two lines."
    assert outcome.of("STATE")[-1]["value"] == {"head": second}
    assert outcome.of("PROGRESS")[-1]["total"] == 2


def test_next_run_sends_only_new_commits(repository, git_log):
    repository.commit("one")
    git_log.run()
    assert git_log.run().records == []
    repository.commit("two")
    assert subjects(git_log.run()) == ["two"]


def test_full_resync_sends_all_again(repository, git_log):
    repository.commit("one")
    first = git_log.run().records
    assert git_log.run(full_resync=True).records == first


def test_merged_branches_are_sent_once(repository, git_log):
    repository.commit("base")
    repository.git("checkout", "--quiet", "-b", "side")
    repository.commit("side")
    repository.git("checkout", "--quiet", "main")
    repository.commit("main")
    git_log.run()
    repository.git("merge", "--quiet", "--no-ff", "-m", "merge", "side")
    outcome = git_log.run()
    assert subjects(outcome) == ["side", "merge"]
    assert len(outcome.records[1]["parents"]) == 2


def test_rewritten_history_sends_both_sides(repository, git_log):
    repository.commit("base")
    old = repository.commit("typo")
    git_log.run()
    new = repository.commit("no typo", "--amend")
    outcome = git_log.run()
    assert [(record["id"], record["on_branch"]) for record in outcome.records] == [(old, False), (new, True)]
    assert git_log.run().records == []


def test_history_that_git_forgot_is_sent_from_the_beginning(repository, git_log):
    repository.commit("base")
    old = repository.commit("typo")
    git_log.run()
    repository.commit("no typo", "--amend")
    repository.git("reflog", "expire", "--expire=now", "--all")
    repository.git("gc", "--quiet", "--prune=now")
    outcome = git_log.run()
    assert f"{old} is no longer in the repository" in outcome.log
    assert subjects(outcome) == ["base", "no typo"]


def test_cut_off_run_goes_on_from_its_checkpoint(repository, git_log):
    """What a state in the middle does not cover is sent by the next run, in a history with branches."""
    dates = (f"commit refs/heads/main\nmark :{n}\ncommitter A <a@b> {1000000000 + n} +0000\ndata 2\n{n % 10}\n"
             + (f"from :{n - 1}\n" if n > 1 else "") for n in range(1, 701))
    repository.git("fast-import", "--quiet", stdin="".join(dates).encode())
    outcome = git_log.run(keep_state=False)
    states = outcome.of("STATE")
    assert len(outcome.records) == 700 and len(states) == 2
    git_log.state.write_text('{"head": "%s"}' % states[0]["value"]["head"])
    rest = git_log.run()
    sent_before = outcome.messages.index(states[0])
    before = {message["record"]["id"] for message in outcome.messages[:sent_before] if message["type"] == "RECORD"}
    assert before | {record["id"] for record in rest.records} == {record["id"] for record in outcome.records}
    assert len(rest.records) == 200


def test_branch_other_than_head(repository, tmp_path):
    repository.commit("base")
    repository.git("branch", "other")
    repository.commit("main only")
    connector = Connector("syncrun-git-log", "--repository", repository.path, "--branch", "other",
                          state=tmp_path / "state")
    assert subjects(connector.run()) == ["base"]


def test_message_that_is_not_utf8_still_makes_json(repository, git_log):
    tree = repository.git("write-tree")
    raw = (b"tree " + tree.encode() + b"\nauthor A <a@b> 1 +0000\ncommitter A <a@b> 1 +0000\nencoding ISO-8859-1\n\n"
           b"caf\xe9 \x1f\x02 \"\\\n")
    commit = repository.git("hash-object", "-t", "commit", "-w", "--stdin", stdin=raw)
    repository.git("reset", "--quiet", commit)
    assert subjects(git_log.run()) == ['café \x1f\x02 "\\']


def test_empty_repository_has_no_commits(git_log):
    outcome = git_log.run()
    assert outcome.status == os.EX_OK
    assert [message["type"] for message in outcome.messages] == ["SCHEMA"]


@pytest.mark.parametrize("arguments", [
    [], ["--repository", "/nonexistent"], ["--repository", "{folder}"],
    ["--repository", "{repository}", "--branch", "none"], ["--repository", "{repository}", "--branch", "--all"],
])
def test_wrong_configuration_asks_for_attention(repository, tmp_path, arguments):
    repository.commit("one")
    filled = [text.format(folder=tmp_path, repository=repository.path) for text in arguments]
    outcome = Connector("syncrun-git-log", *filled, state=tmp_path / "state").run()
    assert outcome.status in (os.EX_CONFIG, os.EX_USAGE)
    assert [message["category"] for message in outcome.messages] == ["configuration_error"]
