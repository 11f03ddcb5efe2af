# SPDX-License-Identifier: LGPL-2.1-or-later
"""On a terminal: colours, widths, the pager, and the live bar."""

import os
import signal

import pytest
from conftest import COLOURS, plain, record, schema


@pytest.fixture
def bank(world):
    world.script("bank", {"type": "ACCOUNT", "account": "a", "status": "failed", "error": "の" * 60}, "exit 1",
                 text="[Run]\nRetryMax=0\n")
    world.start()
    world.ctl.run("start", "--wait", "-q", "bank", status=1)
    return world


def shown(ctl, *words, **kwargs):
    screen = ctl.screen(*words, **kwargs)
    assert screen.wait() == 0, screen.text
    return screen.text.replace("\r\n", "\n")


# ---- colours


def test_colours_only_for_terminals_that_want_them(bank, ctl):
    assert "\x1b[1;31mfailed\x1b[0m" in shown(ctl, "list", "--no-pager")
    assert "\x1b" not in shown(ctl, "list", "--no-pager", NO_COLOR="1")
    assert "\x1b" not in shown(ctl, "list", "--no-pager", TERM="dumb")
    assert "\x1b[" in shown(ctl, "list", "--no-pager", NO_COLOR="")
    assert "\x1b" not in ctl.run("list")


def test_errors_are_red(bank, ctl):
    screen = ctl.screen("show", "nobody")
    assert screen.wait() == 4
    assert screen.text.startswith("\x1b[1;31msyncrunctl: ") and screen.text.endswith("\x1b[0m\r\n")
    screen = ctl.screen("show", "nobody", NO_COLOR="1")
    assert screen.wait() == 4 and "\x1b" not in screen.text


# ---- widths


def columns(line):
    """の takes two."""
    return sum(2 if c == "の" else 1 for c in line)


@pytest.mark.parametrize("width", [60, 80, 100, 200])
def test_tables_are_cut_where_the_terminal_ends(bank, ctl, width):
    for words in (["list"], ["runs"], ["connections"], ["users"]):
        table = plain(shown(ctl, *words, "--no-pager", columns=width)).split("\n\n")[0]
        for line in table.splitlines():
            assert columns(line) <= width, line


def test_list_keeps_what_matters_on_80_columns(world, ctl):
    world.script("a-name-of-28-letters-is-long", "exit 77", text="[Run]\nRetryMax=0\n[Schedule]\nEvery=90min\n")
    world.start()
    ctl.run("start", "--wait", "-q", "a-name-of-28-letters-is-long", status=1)
    titles, row = plain(shown(ctl, "list", "--no-pager", columns=80)).splitlines()[:2]
    assert "a-name-of-28-letters-is-long needs attention in 1h" in row and "failed" in row and row.endswith("connection_lost")
    assert "PROVIDER" not in titles and "LAST" not in titles
    assert "PROVIDER" in shown(ctl, "list", "--no-pager", columns=140)


def test_ids_are_whole_and_what_finds_no_room_is_left_out(bank, ctl):
    run = ctl.json("runs")["runs"][0]["id"]
    titles, row = plain(shown(ctl, "runs", "--no-pager", columns=60)).splitlines()
    assert row.startswith(f"{run} bank ") and "MESSAGE" not in titles
    assert "MESSAGE" in shown(ctl, "runs", "--no-pager", columns=140)


def test_wide_characters_keep_columns_straight(bank, ctl):
    run = ctl.rows("runs")[0][0]
    text = plain(shown(ctl, "show", run, "--no-pager", columns=80))
    title, row = text.splitlines()[-2:]
    assert title.startswith("ACCOUNT") and columns(row) in (79, 80) and row.endswith("…") and "の" in row
    assert title.index("ERROR") == row.index("の")


def test_no_cut_where_there_is_no_terminal(bank, ctl):
    run = ctl.rows("runs")[0][0]
    assert "の" * 60 in ctl.run("show", run)
    assert "の" * 60 not in ctl.run("show", run, COLUMNS="70")


def test_plain_letters_where_the_locale_has_no_others(bank, ctl):
    assert ctl.run("status", LANG="C", LC_ALL="C").startswith("* syncrun ")


# ---- the pager


def test_pager(bank, ctl):
    text = shown(ctl, "list", SYNCRUN_PAGER="sed s/CONNECTOR/PAGED/")
    assert "PAGED" in text
    assert "\x1b[1;31mfailed" in text, "colours go through the pager"
    assert "PAGED" in shown(ctl, "list", PAGER="sed s/CONNECTOR/PAGED/")
    for words, environment in ([["--no-pager"], {}], [[], {"PAGER": "cat"}], [[], {"SYNCRUN_PAGER": ""}]):
        assert "PAGED" not in shown(ctl, "list", *words, **{"PAGER": "sed s/CONNECTOR/PAGED/", **environment})
    assert "PAGED" not in ctl.run("list", PAGER="sed s/CONNECTOR/PAGED/")


def test_pager_that_is_not_there_loses_nothing(bank, ctl, tmp_path):
    (tmp_path / "no-program").write_text("")
    for pager in ("/nonexistent", "nosuch --quietly", str(tmp_path / "no-program")):
        assert "CONNECTOR" in shown(ctl, "list", PAGER=pager, LESS="FRSXMK")


def test_pager_knows_the_terminals_width(bank, ctl):
    text = plain(shown(ctl, "runs", columns=150, SYNCRUN_PAGER="sed s/x/x/"))
    assert max(columns(line) for line in text.splitlines()) > 80


def test_pager_is_not_started_for_errors(bank, ctl):
    screen = ctl.screen("show", "nobody", SYNCRUN_PAGER="echo PAGED")
    assert screen.wait() == 4 and "PAGED" not in screen.text


def test_exit_status_and_end_wait_for_the_pager(bank, ctl):
    screen = ctl.screen("status", "bank", SYNCRUN_PAGER="cat >/dev/null; echo at the end")
    assert screen.wait() == 0 and screen.text.strip().endswith("at the end")


def test_under_sudo_the_pager_is_safe(bank, ctl, tmp_path):
    less = tmp_path / "less"
    less.write_text("#!/bin/sh\necho secure=$LESSSECURE\ncat >/dev/null\n")
    less.chmod(0o755)
    text = shown(ctl, "list", SUDO_UID="1000", SYNCRUN_PAGER="echo MINE", PATH=f"{tmp_path}:/usr/bin:/bin")
    assert "secure=1" in text and "MINE" not in text


# ---- the live bar


@pytest.fixture
def puppets(world):
    world.puppet_connector("one")
    world.puppet_connector("second")
    return world.start()


def test_live_bar(puppets, ctl):
    screen = ctl.screen("start", "--wait", "one")
    puppet = puppets.puppet()
    puppet.say(type="PROGRESS", stage="fetching", processed=10, total=40)
    screen.wait_for(r"one\x1b\[0m fetching +\x1b\[34m█{6}░{18}\x1b\[0m  25% 10/40")
    screen.wait_for(r"10/40( · \d+/s)? · [\w ]+(?s:.*) 25% (?s:.*) 25% (?s:.*) 25% ")  # goes on without news
    puppet.say(type="PROGRESS", stage="fetching", processed=30, total=40)
    screen.wait_for(r"█{18}░{6}\x1b\[0m  75% 30/40 · \d+/s · [\w ]+ left")
    puppet.say(**schema("s", "id"))
    puppet.say(**record("s", id=1))
    puppet.exit()
    assert screen.wait() == 0
    last = plain(screen.text).removesuffix("\x1b[J").splitlines()[-1]
    assert "one success" in last and "1 added" in last
    assert "\x1b[1A\r\x1b[J" in screen.text, "the bar is wiped away at the end"


def test_live_bars_of_several(puppets, ctl):
    screen = ctl.screen("start", "--wait", "one", "second")
    both = {puppet.name: puppet for puppet in (puppets.puppet(), puppets.puppet())}
    both["one"].say(type="PROGRESS", stage="fetching", processed=1, total=2)
    both["second"].say(type="PROGRESS", stage="saving", processed=7)
    screen.wait_for(r"one   \x1b\[0m fetching .* 50% 1/2[^\n]*\n[^\n]*second\x1b\[0m saving +7")
    both["one"].exit()
    screen.wait_for("one\x1b\\[0m \x1b\\[32msuccess")
    both["second"].exit(1)
    assert screen.wait() == 1
    assert screen.text.count("success") == 1


def test_run_that_is_being_stopped(puppets, ctl):
    """Its worker does not hear it at once: all that show the run say what it waits for."""
    screen = ctl.screen("start", "--wait", "one")
    puppet = puppets.puppet()
    puppet.say(type="PROGRESS", stage="fetching", processed=10, total=40)
    screen.wait_for("fetching")
    worker = puppet.worker()
    os.kill(worker, signal.SIGSTOP)
    try:
        ctl.run("cancel", "one")
        screen.wait_for(r"one\x1b\[0m stopping ")
        assert [row[1] for row in ctl.rows("list")] == ["stopping", "active"]
        status, _, err = ctl.both("start", "one")
        assert status == 0 and err.startswith("one is stopping (") and "becomes its next run" in err
    finally:
        os.kill(worker, signal.SIGCONT)
    assert screen.wait() == 4
    puppet.connection.close()
    puppets.puppet().exit()  # which was asked for meanwhile


def live_lines(screen):
    text = COLOURS.sub("", screen.text).replace("\r", "\n").replace("\x1b[K", "").replace("\x1b[1A", "")
    return [part for part in text.split("\n") if "25%" in part]


def test_live_bar_gives_way_to_the_time_left(puppets, ctl):
    screen = ctl.screen("start", "--wait", "one", columns=60)
    puppet = puppets.puppet()
    puppet.say(type="PROGRESS", stage="fetching", processed=1, total=4000)
    screen.wait_for("1/4000")
    puppet.say(type="PROGRESS", stage="fetching", processed=1000, total=4000)
    screen.wait_for(r"█+░+\x1b\[0m  25% 1000/4000 · \d+/s · [\w ]+ left")
    puppet.exit()
    assert screen.wait() == 0
    assert all(len(line) < 60 for line in live_lines(screen))


def test_live_bar_fits_a_narrow_terminal(puppets, ctl):
    screen = ctl.screen("start", "--wait", "one", columns=30)
    puppet = puppets.puppet()
    puppet.say(type="PROGRESS", stage="fetching", processed=10, total=40)
    screen.wait_for("25% 10/40")
    puppet.exit()
    assert screen.wait() == 0
    assert all(len(line) < 30 for line in live_lines(screen))


def test_no_live_bar_without_the_sequences(puppets, ctl):
    screen = ctl.screen("start", "--wait", "one", TERM="dumb")
    puppet = puppets.puppet()
    puppet.say(type="PROGRESS", stage="fetching", processed=10, total=40)
    screen.wait_for("one fetching[ 0-9/]*\r\n")
    puppet.exit()
    assert screen.wait() == 0 and "\x1b" not in screen.text


def test_interrupt_at_the_keyboard(puppets, ctl):
    screen = ctl.screen("start", "--wait", "one")
    puppet = puppets.puppet()
    puppet.say(type="PROGRESS", stage="fetching", processed=10, total=40)
    screen.wait_for("25%")
    screen.type("\x03")
    assert screen.wait() == 130
    assert "goes on" in screen.text
    puppet.exit()


def test_help(world, ctl):
    assert ctl.run("--help").startswith("syncrunctl [OPTIONS...] COMMAND")
    assert "\x1b[1mCommands" in shown(ctl, "--help")
    assert all(len(line) <= 119 for line in ctl.run("-h").splitlines())
