# SPDX-License-Identifier: LGPL-2.1-or-later
"""The daemon as a service: readiness, status, watchdog, reload, signals, watched files, its end and its start."""

import os
import re
import signal
import subprocess
from pathlib import Path

import pytest
from harness import (CONNECTOR, MANAGER, NAME, PATH, PROPERTIES, RUN, TIMEOUT_SEC, CallError, Daemon, connector_path, run_path,
                     wait_for)

DAEMON = os.environ["SYNCRUND"]
OPEN_FILES_MAX = 16384


def names(client):
    return [connector["name"] for connector in client.describe("DescribeConnectors")["connectors"]]


# ---- Command line


def test_help_names_all_options():
    result = subprocess.run([DAEMON, "--help"], capture_output=True, text=True, check=True)
    assert set(re.findall(r"--[a-z-]+", result.stdout)) == {"--help", "--version", "--config-dir"}
    assert max(map(len, result.stdout.splitlines())) <= 100
    assert subprocess.run([DAEMON, "-h"], capture_output=True, text=True, check=True).stdout == result.stdout


def test_version(daemon, client):
    result = subprocess.run([DAEMON, "--version"], capture_output=True, text=True, check=True)
    assert result.stdout == f"syncrund {client.get(PATH, MANAGER, 'Version')}\n"


@pytest.mark.parametrize("arguments", [["--nothing"], ["bank"], ["--config-dir=relative"], ["--config-dir"]])
def test_wrong_arguments(arguments):
    result = subprocess.run([DAEMON, *arguments], capture_output=True, text=True)
    assert result.returncode == 1
    assert arguments[0].lstrip("-").split("=")[0] in result.stderr


def test_config_dir_is_looked_into_and_no_other(new_daemon, client, tmp_path):
    new_daemon.add("bank")
    other = tmp_path / "other" / "connectors"
    other.mkdir(parents=True)
    (other / "mail.connector").write_text("[Pipeline]\nExecPull=/bin/true\n")
    new_daemon.start(f"--config-dir={other.parent}")
    assert names(client) == ["mail"]


# ---- Start


def test_ready_means_that_calls_are_answered(new_daemon, client):
    new_daemon.add("bank")
    new_daemon.start()
    assert names(client) == ["bank"]


@pytest.mark.parametrize("soft, hard, expected", [
    (1024, OPEN_FILES_MAX + 1, OPEN_FILES_MAX), (1024, OPEN_FILES_MAX - 1, OPEN_FILES_MAX - 1),
    (OPEN_FILES_MAX + 1, OPEN_FILES_MAX + 1, OPEN_FILES_MAX + 1)])
def test_open_files(new_daemon, client, soft, hard, expected):
    """As many as it needs, where it may; more, only where it was given more."""
    new_daemon.program = "prlimit"
    new_daemon.start(f"--nofile={soft}:{hard}", DAEMON)
    limits = Path(f"/proc/{new_daemon.process.pid}/limits").read_text()
    assert int(re.search(r"Max open files +(\d+)", limits)[1]) == expected


def test_second_daemon_says_why_it_ends(daemon, bus, tmp_path):
    second = Daemon(bus, tmp_path / "second")
    second.spawn()
    assert second.process.wait(TIMEOUT_SEC) == 1
    assert "Another syncrund" in second.log()
    second.close()


def test_second_daemon_on_the_same_history_says_why_it_ends(daemon, bus):
    second = subprocess.run([DAEMON], env={**daemon.environment, "NOTIFY_SOCKET": ""}, capture_output=True, text=True)
    assert second.returncode == 1
    assert "history.db" in second.stderr


def test_no_bus_is_an_error_in_words(tmp_path):
    environment = {**os.environ, "SYNCRUN_BUS_ADDRESS": f"unix:path={tmp_path}/nothing",
                   "SYNCRUN_CONFIG_DIRS": str(tmp_path), "STATE_DIRECTORY": str(tmp_path)}
    result = subprocess.run([DAEMON], env=environment, capture_output=True, text=True)
    assert result.returncode == 1
    assert "bus" in result.stderr


def test_wrong_settings_are_warned_of_and_passed_over(new_daemon, client):
    new_daemon.write("syncrun.conf", "[Daemon]\nMaxConcurrentRuns=many\nColour=red\n")
    new_daemon.start()
    assert "syncrun.conf:2" in new_daemon.log()
    assert "syncrun.conf:3" in new_daemon.log()
    assert names(client) == []


# ---- Status and watchdog


def test_status_is_in_words(daemon, client):
    daemon.wait_status("Idle, 3 connectors")
    client.start("bank")
    daemon.wait_status("1 run active")
    worker = daemon.worker()
    worker.attach()
    worker.finish(1, outcome="failed", error="no", attention="connection_lost")
    worker.exit()
    daemon.wait_status("1 needs attention")


def test_watchdog_is_fed(new_daemon):
    new_daemon.spawn(WATCHDOG_USEC="200000")
    for _ in range(3):
        new_daemon.wait_notification(lambda message: "WATCHDOG=1" in message)


# ---- Reload


def test_reload_tells_the_service_manager(daemon, client):
    daemon.add("fourth")
    client.manager("Reload")
    message = daemon.wait_notification(lambda message: "RELOADING=1" in message)
    assert any(re.fullmatch(r"MONOTONIC_USEC=\d+", line) for line in message)
    daemon.wait_notification(lambda message: "READY=1" in message)
    assert "fourth" in names(client)


def test_hangup_reloads(daemon, client):
    added = client.signals("org.freedesktop.DBus.ObjectManager", "InterfacesAdded")
    daemon.add("fourth")
    daemon.process.send_signal(signal.SIGHUP)
    wait_for(lambda: any(arguments[0] == connector_path("fourth") for _, _, arguments in added), "the connector")


def test_run_keeps_the_definition_that_it_began_with(daemon, client):
    client.start("bank")
    daemon.add("bank", "[Pipeline]\nExecPull=/bin/false\n")
    client.manager("Reload")
    worker = daemon.worker()
    settings = worker.attach()[3]
    assert ["Pipeline", "ExecPull", "/bin/true"] in settings
    worker.finish(1, outcome="succeeded")
    worker.exit()
    wait_for(lambda: client.get(connector_path("bank"), CONNECTOR, "ActiveRun") == "/", "the end")
    client.start("bank")
    worker = daemon.worker()
    assert ["Pipeline", "ExecPull", "/bin/false"] in worker.attach()[3]
    worker.exit()


# ---- Watched files: nobody calls Reload() here


@pytest.fixture
def watched(daemon, client):
    """Waits until the connectors are those that are said."""

    def wait(*wanted):
        wait_for(lambda: names(client) == sorted(wanted), f"connectors {wanted}")

    wait("bank", "books", "mail")
    return wait


def test_new_changed_and_removed_files_are_noticed(daemon, client, watched):
    daemon.add("fourth")
    watched("bank", "books", "fourth", "mail")
    daemon.add("fourth", Description="changed")
    wait_for(lambda: client.get(connector_path("fourth"), CONNECTOR, "Description") == "changed", "the change")
    (daemon.connectors / "fourth.connector").unlink()
    watched("bank", "books", "mail")


def test_files_written_in_place_are_noticed_when_closed(daemon, client, watched):
    with open(daemon.connectors / "slow.connector", "w") as file:
        file.write("[Pipeline]\nExecPull=/bin/tr")
        file.flush()
        file.write("ue\n")
    watched("bank", "books", "mail", "slow")
    wait_for(lambda: client.get(connector_path("slow"), CONNECTOR, "LoadState") == "loaded", "all of the file")


def test_links_are_noticed(daemon, client, watched, tmp_path):
    (tmp_path / "real").write_text("[Pipeline]\nExecPull=/bin/true\n")
    (daemon.connectors / "link.connector").symlink_to(tmp_path / "real")
    watched("bank", "books", "link", "mail")
    (daemon.connectors / "bank.connector").unlink()
    (daemon.connectors / "bank.connector").symlink_to("/dev/null")
    watched("books", "link", "mail")


def test_drop_ins_are_noticed(daemon, client, watched):
    path = connector_path("bank")
    for text in ("first", "second"):
        daemon.write("connectors/bank.connector.d/10-words.conf", f"[Connector]\nDescription={text}\n")
        wait_for(lambda: client.get(path, CONNECTOR, "Description") == text, text)
    (daemon.connectors / "bank.connector.d" / "10-words.conf").unlink()
    wait_for(lambda: client.get(path, CONNECTOR, "Description") == "", "no description")


def test_folder_that_appears_later_is_noticed(new_daemon, client):
    new_daemon.connectors.rmdir()
    new_daemon.config.rmdir()
    new_daemon.start()
    assert names(client) == []
    new_daemon.add("late")
    wait_for(lambda: names(client) == ["late"], "the connector")


def test_settings_are_noticed(new_daemon, client):
    for name in ("bank", "mail", "books"):
        new_daemon.add(name, Provider=name)
    new_daemon.write("syncrun.conf.d/one.conf", "[Daemon]\nMaxConcurrentRuns=2\n")
    new_daemon.start()
    for name in ("bank", "mail", "books"):
        client.start(name)
    wait_for(lambda: client.get(PATH, MANAGER, "NQueuedRuns") == 1, "a run that waits")
    new_daemon.write("syncrun.conf.d/one.conf", "[Daemon]\nMaxConcurrentRuns=3\n")
    wait_for(lambda: client.get(PATH, MANAGER, "NQueuedRuns") == 0, "the run that waited")


# ---- Ends


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_orderly_end_leaves_workers_alone(daemon, client, number):
    run = client.start("bank")[0]
    worker = daemon.worker()
    worker.attach()
    daemon.process.send_signal(number)
    assert daemon.process.wait(TIMEOUT_SEC) == 0
    daemon.wait_notification(lambda message: "STOPPING=1" in message)
    os.kill(worker.pid, 0)
    daemon.start()
    worker.report(1, processed=5)
    assert client.get(run_path(run), RUN, "State") == "running"
    worker.finish(2, outcome="succeeded")
    worker.exit()
    wait_for(lambda: client.get(run_path(run), RUN, "State") == "finished", "the end")
    assert client.get(run_path(run), RUN, "Outcome") == "succeeded"


def test_history_is_there_after_a_kill(daemon, client):
    runs = [client.start(name)[0] for name in ("bank", "mail")]
    daemon.kill9()
    daemon.start()
    assert {run["id"] for run in client.describe("DescribeRuns")["runs"]} == set(runs)


def test_lost_bus_is_a_failure(daemon, bus):
    bus.process.kill()
    assert daemon.process.wait(TIMEOUT_SEC) == 1
    assert "The connection to the bus is lost" in daemon.log()


def test_calls_that_wait_are_answered_at_the_end(daemon, client):
    """None is left without an answer: it was done, or refused as the service is stopping, or the bus says it has gone."""
    calls = [client.start_call(PATH, MANAGER, "StartRun", "(sa{sv})", name, {}) for name in ("bank", "mail", "books")]
    daemon.process.terminate()
    wait_for(lambda: all(calls), "all answers")
    for (answer,) in calls:
        assert not isinstance(answer, CallError) or answer.name in (
            "ShuttingDown", "org.freedesktop.DBus.Error.NoReply", "org.freedesktop.DBus.Error.ServiceUnknown")


# ---- Logs


def test_log_control(daemon, client):
    path, interface = "/org/freedesktop/LogControl1", "org.freedesktop.LogControl1"
    assert client.get_all(path, interface) == {"LogLevel": "debug", "LogTarget": "console",
                                               "SyslogIdentifier": "syncrund"}
    client.set(path, interface, "LogLevel", "warning")
    assert client.get(path, interface, "LogLevel") == "warning"
    before = daemon.log()
    run = client.start("bank")[0]
    worker = daemon.worker()  # lives for as long as somebody has it
    worker.attach()
    assert run not in daemon.log()[len(before):]
    client.set(path, interface, "LogLevel", "info")
    client.manager("CancelRun", "(s)", run)
    wait_for(lambda: client.get(run_path(run), RUN, "State") == "finished", "the end")
    assert run in daemon.log()[len(before):]
    client.set(path, interface, "LogTarget", "null")
    assert client.get(path, interface, "LogTarget") == "null"
    for name, value in (("LogLevel", "loud"), ("LogTarget", "wall")):
        with pytest.raises(CallError) as caught:
            client.set(path, interface, name, value)
        assert caught.value.name == "InvalidArgument"


def test_log_control_is_not_for_everyone(daemon, client, bus):
    def busctl(*arguments):
        return subprocess.run(["busctl", f"--address={bus.address}", *arguments], user=65534, group=65534,
                              capture_output=True, text=True)

    words = [NAME, "/org/freedesktop/LogControl1", "org.freedesktop.LogControl1", "LogLevel"]
    assert busctl("get-property", *words).stdout == 's "debug"\n'
    assert "Access denied" in busctl("set-property", *words, "s", "info").stderr
    assert client.call("/org/freedesktop/LogControl1", PROPERTIES, "Get", "(ss)", words[2], "LogLevel") == "debug"
