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


@pytest.mark.parametrize("folder, setting, more", [("/home/me", "ProtectHome=yes", "ProtectHome=tmpfs"), ("/var/tmp/me", "PrivateTmp=yes", "")])
def test_what_a_run_does_not_see(machine, syncrun, folder, setting, more):
    """What verify says of it is true, and so is what it says to do."""
    machine.write(f"{folder}/pull", "#!/bin/sh\nread -r text </proc/self/mountinfo && echo \"$text\" >&2\n", mode=0o755)
    syncrun.add("hidden", f"{folder}/pull")
    verify = ["syncrunctl", "verify", "/etc/syncrun/connectors/hidden.connector"]
    assert f"ExecPull=: '{folder}/pull' is not seen by syncrun@hidden.service" in machine.output(*verify)
    assert f"({setting})" in machine.output(*verify)
    run = syncrun.wait_end(syncrun.start("hidden"))
    assert run["outcome"] == "failed" and "syncrunctl verify" in run["error"]
    machine.write("/etc/systemd/system/syncrun@hidden.service.d/see.conf",
                  f"[Service]\nBindReadOnlyPaths={folder}/pull\n{more}\n")
    machine.run("systemctl", "daemon-reload")
    assert machine.output(*verify).endswith(": good")
    assert syncrun.wait_end(syncrun.start("hidden"))["outcome"] == "succeeded"
    machine.shell("rm -r /etc/systemd/system/syncrun@hidden.service.d; systemctl daemon-reload")
    syncrun.remove("hidden")


def test_what_a_run_may_write(machine, syncrun):
    syncrun.add("elsewhere", "/bin/true", pipeline="[Destination]\nPath=/srv/elsewhere/items.db")
    verify = ["syncrunctl", "verify", "/etc/syncrun/connectors/elsewhere.connector"]
    assert "Path=: '/srv/elsewhere/items.db' cannot be written by syncrun@elsewhere.service" in machine.output(*verify)
    machine.write("/etc/systemd/system/syncrun@elsewhere.service.d/write.conf", "[Service]\nReadWritePaths=-/srv/elsewhere\n")
    machine.run("systemctl", "daemon-reload")
    assert machine.output(*verify).endswith(": good")
    machine.shell("rm -r /etc/systemd/system/syncrun@elsewhere.service.d; systemctl daemon-reload")
    syncrun.remove("elsewhere")
