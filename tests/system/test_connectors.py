# SPDX-License-Identifier: LGPL-2.1-or-later
"""The connectors that come with syncrun, as installed and under the unit's sandbox, on real data of the machine."""

import pytest
from syncrun import Syncrun

EXAMPLES = "/usr/share/doc/syncrun/examples"


@pytest.fixture(scope="module")
def syncrun(machine):
    return Syncrun(machine)


def use_example(syncrun, name):
    syncrun.machine.shell(f"cp {EXAMPLES}/{name}.connector /etc/syncrun/connectors/")
    syncrun.call("Reload")


def test_packages(machine, syncrun):
    use_example(syncrun, "packages")
    run = syncrun.wait_end(syncrun.start("packages"))
    installed = machine.output("dpkg-query", "-W", "-f", "${db:Status-Status}\n").split().count("installed")
    assert run["outcome"] == "succeeded"
    assert run["counts"]["added"] == installed
    assert syncrun.items("packages") == str(installed)
    again = syncrun.wait_end(syncrun.start("packages"))
    assert (again["outcome"], again["counts"]["ingested"]) == ("succeeded", 0)


def test_bank_statements(syncrun):
    use_example(syncrun, "bank")
    run = syncrun.wait_end(syncrun.start("bank"))
    # One of the accounts has an error in it, which is the point of the example.
    assert run["outcome"] == "partial"
    assert run["counts"]["added"] > 0


def test_commits(machine, syncrun):
    machine.shell(
        """
        mkdir -p /srv/git
        git init --quiet --bare /srv/git/project.git
        tree=$(git -C /srv/git/project.git write-tree)
        export GIT_AUTHOR_NAME=A GIT_AUTHOR_EMAIL=a@example.org GIT_COMMITTER_NAME=A GIT_COMMITTER_EMAIL=a@example.org
        commit=$(git -C /srv/git/project.git commit-tree -m one "$tree")
        commit=$(git -C /srv/git/project.git commit-tree -m two -p "$commit" "$tree")
        git -C /srv/git/project.git update-ref HEAD "$commit"
        """
    )
    use_example(syncrun, "commits")
    run = syncrun.wait_end(syncrun.start("commits"))
    assert (run["outcome"], run["counts"]["added"]) == ("succeeded", 2)
