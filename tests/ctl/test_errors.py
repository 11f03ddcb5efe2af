# SPDX-License-Identifier: LGPL-2.1-or-later
"""What goes wrong, and what the command line says to do about it."""

import json
import os
import subprocess

import pytest
from conftest import record, schema
from harness import frozen

TALKS = [["list"], ["status"], ["status", "bank"], ["start", "bank"], ["start", "--wait", "bank"], ["cancel", "bank"],
         ["runs"], ["show", "x"], ["watch"], ["enable", "bank"], ["disable", "bank"], ["connections"],
         ["reconnect", "home"], ["users"], ["reload"],
         ["key", "add", "x", "--scope=sync:read"], ["key", "list"], ["key", "revoke", "x"]]

by_words = pytest.mark.parametrize("words", TALKS, ids="-".join)


@by_words
def test_no_bus(ctl, words):
    status, out, err = ctl.both(*words, SYNCRUN_BUS_ADDRESS="unix:path=/nonexistent/bus")
    assert (status, out) == (69, "")
    assert err == ("syncrunctl: Could not connect to the bus at unix:path=/nonexistent/bus: No such file or directory. "
                   "Is D-Bus running?\n")


def test_an_empty_host(ctl):
    status, out, err = ctl.both("list", "--host=")
    assert (status, out) == (2, "") and "[USER@]HOST" in err


def test_an_empty_address_is_none(ctl):
    """As the daemon takes it: the system bus is meant."""
    status, out, err = ctl.both("list", SYNCRUN_BUS_ADDRESS="", DBUS_SYSTEM_BUS_ADDRESS="unix:path=/nonexistent/bus")
    assert (status, out) == (69, "") and err.startswith("syncrunctl: Could not connect to the system bus: No such file")


@by_words
def test_no_daemon(ctl, words):
    status, out, err = ctl.both(*words)
    assert (status, out) == (69, "")
    assert err.startswith("syncrunctl: ") and err.count("\n") == 1 and "systemctl start syncrund" in err


@pytest.fixture
def daemon(world):
    world.script("bank", "exit 0")
    world.script("off", "exit 0", Enabled="no")
    world.daemon.write("connectors/wrong.connector", "[Connector]\nProvider=No Slug\n[Pipeline]\nExecPull=/bin/true\n")
    return world.start()


@pytest.mark.parametrize("words", [["list"], ["start", "--wait", "bank"], ["watch"], ["reload"]], ids="-".join)
def test_daemon_hangs(daemon, ctl, words):
    with frozen(daemon.daemon.process):
        status, out, err = ctl.both(*words, SYSTEMD_BUS_TIMEOUT="2s")
    assert (status, out) == (69, "")
    assert err.count("\n") == 1 and "does not answer" in err and "systemctl restart syncrund" in err


def refused(ctl, expected, *words):
    status, out, err = ctl.both(*words)
    assert (status, out) == (expected, ""), (status, out, err)
    assert err.startswith("syncrunctl: ") and err.count("\n") == 1
    return err


def test_refusals_say_what_to_do(daemon, ctl):
    assert "syncrunctl list" in refused(ctl, 4, "start", "nobody")
    assert "syncrunctl enable" in refused(ctl, 5, "start", "off")
    assert "syncrunctl verify" in refused(ctl, 6, "start", "wrong")
    assert "syncrunctl runs" in refused(ctl, 4, "show", "nothing")
    assert "syncrunctl list" in refused(ctl, 4, "enable", "nobody")
    assert "syncrunctl list" in refused(ctl, 4, "enable", "No Name")
    assert "syncrunctl connections" in refused(ctl, 4, "reconnect", "nowhere")
    assert "page" in refused(ctl, 2, "runs", "--page=nonsense")


def test_usage(ctl):
    assert "no command \"lst\"" in refused(ctl, 2, "lst")
    assert refused(ctl, 2, "start") == "syncrunctl: Usage: syncrunctl start CONNECTOR...\n"
    assert refused(ctl, 2, "key", "add") == "syncrunctl: Usage: syncrunctl key add NAME\n"
    known = "Behind \"key\" comes one of add, list, revoke."
    assert f"no command \"key\". {known}" in refused(ctl, 2, "key")
    assert f"no command \"key lost\". {known}" in refused(ctl, 2, "key", "lost")
    assert "comes one of add, list, show, update, remove, secret, rotate, test, messages, attempts, resend, recover." in \
        refused(ctl, 2, "webhook")
    assert "no command \"ke\"" in refused(ctl, 2, "ke", "add")
    assert refused(ctl, 2, "reload", "now") == "syncrunctl: Usage: syncrunctl reload\n"
    assert "short, pretty or off" in refused(ctl, 2, "--json=long", "list")
    assert "succeeded, partial" in refused(ctl, 2, "runs", "--outcome=fine")
    assert "xml_import" in refused(ctl, 2, "runs", "--source=fax")
    assert "UUID" in refused(ctl, 2, "list", "--user=me")
    assert "UUID" in refused(ctl, 2, "list", "--user=")
    assert "2h ago" in refused(ctl, 2, "runs", "--since=lately")
    assert "out of range" in refused(ctl, 2, "runs", "--since=@99999999999999999")
    status, _, err = ctl.both("--nonsense")
    assert status == 2 and "syncrunctl --help" in err


# LINES_MAX, ITERATIONS_MAX
@pytest.mark.parametrize("n", ["0", "10001", "-5", "many", ""])
def test_lines_have_limits(ctl, n):
    assert "1 to 10000" in refused(ctl, 2, "runs", f"--lines={n}")


def test_lines_at_the_limit(daemon, ctl):
    ctl.run("runs", "--lines=10000")
    ctl.run("users", "--lines=10000")
    ctl.run("status", "bank", "--lines=10000")
    # The daemon refuses to list more at a time than DELIVERIES_MAX and PAGE_MAX, and is not asked for more.
    ctl.run("deliveries", "bank", "--lines=10000")
    ctl.run("webhook", "messages", "--lines=10000")


@pytest.mark.parametrize("n", ["0", "1001"])
def test_iterations_have_limits(ctl, n):
    assert "1 to 1000" in refused(ctl, 2, "calendar", f"--iterations={n}", "hourly")


def test_iterations_at_the_limit(ctl):
    assert ctl.run("calendar", "--iterations=1000", "hourly").count("\n") >= 1000


NOT_TAKEN = [("list", "--wait"), ("list", "--lines=1"), ("start x", "--outcome=failed"), ("cancel x", "--full"),
             ("show x", "--page=1"), ("verify x", "--host=h"),
             ("calendar x", "--since=1h"), ("reload", "--active"), ("watch", "--since=1h"), ("users", "--user=" + "0" * 8 +
              "-0000-4000-8000-" + "0" * 12), ("connections", "--attention"), ("runs", "--attention")]


@pytest.mark.parametrize("words, option", NOT_TAKEN)
def test_options_that_a_verb_does_not_take(ctl, words, option):
    err = refused(ctl, 2, *words.split(), option)
    assert f"'{words.split()[0]}' does not take {option.split('=')[0]}" in err


def test_how_an_answer_looks_may_be_said_to_any_verb(daemon, ctl):
    for words in (["reload"], ["enable", "bank"], ["cancel", "bank"]):
        assert ctl.both(*words, "--json=short", "--no-pager", "--no-legend", "-q")[1] == ""


def test_a_full_disk_is_told(daemon, ctl):
    with open("/dev/full", "w") as full:
        result = subprocess.run(ctl.words(["list"]), env=ctl.environment, stdout=full, stderr=subprocess.PIPE, text=True)
    assert result.returncode == 1 and "No space left" in result.stderr


def test_control_characters_do_not_reach_the_terminal(daemon, ctl):
    err = refused(ctl, 4, "show", "a\x1b[2Jb\nc")
    assert "\x1b" not in err


def test_not_permitted(world, ctl):
    """No polkit on this bus: whoever is not root is refused, as a policy would."""
    world.script("bank", "exit 0")
    world.bus.folder.chmod(0o755)
    world.start()
    result = subprocess.run(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", *ctl.words(["start", "bank"])],
                            env=ctl.environment, capture_output=True, text=True, cwd="/")
    assert result.returncode == 77, result.stderr


# ---- another machine


@pytest.fixture
def ssh(tmp_path):
    """An ssh that stays here: the bridge to the bus is systemd's own; what else is to run is given to a shell, as ssh does."""
    path = tmp_path / "bin" / "ssh"
    path.parent.mkdir()
    path.write_text("#!/bin/sh\necho \"$@\" >>%s/calls\ncase \"$*\" in *nowhere*) exit 255;; esac\n"
                    "for last; do :; done\ncase \"$last\" in syncrunctl*) exec /bin/sh -c \"$last\";; esac\n"
                    "exec systemd-stdio-bridge --bus-path=\"$SYNCRUN_BUS_ADDRESS\"\n" % tmp_path)
    path.chmod(0o755)
    (path.parent / "syncrunctl").symlink_to(os.environ["SYNCRUNCTL"])
    return {"PATH": f"{path.parent}:{os.environ['PATH']}"}


def test_host(daemon, ctl, ssh, tmp_path):
    for option in (["-H", "me@there"], ["--host=me@there"]):
        assert "bank" in ctl.run(*option, "list", **ssh)
    assert "me@there" in (tmp_path / "calls").read_text()
    assert ctl.run("-H", "there", "start", "--wait", "-q", "bank", **ssh) == ""
    out = ctl.run("-H", "there", "status", "bank", **ssh)
    assert "Run " in out and "'syncrunctl -H there log " in out
    for verb in (["verify"], ["calendar", "daily"], ["doctor"]):
        status, out, err = ctl.both("-H", "there", *verb)
        assert (status, out) == (2, "") and f"'ssh there syncrunctl {verb[0]}'" in err


def test_files_of_another_machine(world, ctl, ssh, tmp_path):
    """syncrunctl runs there, with the same words; what a shell makes of them is the same."""
    world.script("bank", schema("it's", "id"), record("it's", id=1), record("it's", id=2))
    world.start()
    ctl.run("start", "--wait", "-q", "bank")
    here = ctl.run("items", "bank", "it's", "--json=short", "-n1", "-q")
    assert json.loads(here.splitlines()[0])["record"] == {"id": 2}
    for words in (["-H", "me@there:22", "items", "bank", "it's", "--json=short", "-n1", "-q"],
                  ["-qn1", "items", "--json", "short", "--host=me@there:22", "--", "bank", "it's"]):
        assert ctl.run(*words, **ssh) == here
    assert (tmp_path / "calls").read_text().splitlines()[0].startswith("-xT -p 22 -- me@there syncrunctl '--")
    assert ctl.run("-H", "there", "items", "bank", "none", status=0, **ssh)
    status, out, err = ctl.both("-H", "there", "log", "none", **ssh)
    assert (status, out) == (4, "") and "none" in err
    assert ctl.both("-H", "there", "items", "No Name", **ssh)[0] == 2
    assert "'log'" in (tmp_path / "calls").read_text()


def test_files_of_a_machine_that_cannot_be_reached(daemon, ctl, ssh, tmp_path):
    status, out, err = ctl.both("-H", "nowhere", "log", "bank", **ssh)
    assert (status, out) == (69, "") and "ssh nowhere" in err
    (tmp_path / "bin" / "syncrunctl").unlink()
    status, out, err = ctl.both("-H", "there", "items", "bank", PATH=f"{tmp_path}/bin")
    assert (status, out) == (69, "") and "no syncrunctl on there" in err


def test_host_that_cannot_be_reached(ctl, ssh):
    status, out, err = ctl.both("-H", "nowhere", "list", **ssh)
    assert (status, out) == (69, "") and "ssh nowhere" in err
