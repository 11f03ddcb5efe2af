# SPDX-License-Identifier: LGPL-2.1-or-later
"""org.syncrun1.Worker: what the worker of a run may say, and that nobody else may."""

import json

import pytest
from harness import RUN, WORKER, CallError, Client, connector_path, run_path, wait_for

CURSOR_MAX = 4 * 1024 * 1024
REPORT_MAX = 4 * 1024 * 1024


def refusal(call, *args, **kwargs):
    with pytest.raises(CallError) as caught:
        call(*args, **kwargs)
    return caught.value


@pytest.fixture
def worker(daemon, client):
    client.start("bank")
    return daemon.worker()


def test_attach_gives_what_the_run_began_with(daemon, client):
    daemon.add("bank", "[Pipeline]\nExecPull=/bin/true\nEnvironment=A=1\nEnvironment=B=2\n")
    client.manager("Reload")
    run = client.start("bank", accounts=["checking", "savings"])[0]
    worker = daemon.worker()
    assert worker.attach() == [run, 0, False, [["Connector", "Provider", "test"], ["Pipeline", "ExecPull", "/bin/true"],
                                               ["Pipeline", "Environment", "A=1"], ["Pipeline", "Environment", "B=2"]],
                               "", {"accounts": ["checking", "savings"]}]
    worker.exit()


@pytest.mark.parametrize("goes", [True, False])
def test_no_retry_is_promised_without_the_file(daemon, client, worker, goes):
    worker.attach()
    if goes:
        (daemon.connectors / "bank.connector").unlink()
        client.manager("Reload")
    worker.finish(1, outcome="failed", error="HTTP 503", retry=True)
    worker.exit()
    wait_for(lambda: "bank: run " in daemon.log() and "failed" in daemon.log(), "the end")
    wait_for(lambda: ("connector removed" if goes else "will be tried again") in daemon.log(), "what comes of it")
    assert ("will be tried again" in daemon.log()) is not goes


def test_cursor_is_kept_and_left_out_of_a_full_resync(daemon, client, worker):
    worker.attach()
    worker.save_cursor(1, '{"at":5}')
    worker.finish(2, outcome="succeeded")
    worker.exit()
    for full, cursor in ((False, '{"at":5}'), (True, "")):
        wait_for(lambda: client.get(connector_path("bank"), "org.syncrun1.Connector", "ActiveRun") == "/", "the end")
        client.start("bank", full_resync=full)
        worker = daemon.worker()
        assert worker.attach()[2] is full
        assert worker.attach()[4] == cursor
        worker.finish(1, outcome="succeeded")
        worker.exit()


def test_repeated_call_is_answered_and_changes_nothing(daemon, client, worker):
    worker.attach()
    worker.report(3, processed=30)
    worker.report(3, processed=99)
    worker.report(2, processed=98)
    assert worker.attach()[1] == 3
    assert client.get(run_path(worker.run), RUN, "ItemsProcessed") == 30
    worker.finish(4, outcome="succeeded")
    worker.finish(4, outcome="failed", error="no")
    worker.exit()
    wait_for(lambda: client.get(run_path(worker.run), RUN, "State") == "finished", "the end")
    assert client.get(run_path(worker.run), RUN, "Outcome") == "succeeded"


def test_nobody_else_may(daemon, client, worker):
    """The test itself has the worker's uid, as root even every uid; it is not that process."""
    run = worker.attach()[0]
    for method, signature, arguments in (("Attach", "()", ()), ("Report", "(sts)", (run, 1, "{}")),
                                         ("SaveCursor", "(sts)", (run, 1, "{}")),
                                         ("Finish", "(sts)", (run, 1, '{"outcome":"failed"}')),
                                         ("Settle", "(ss)", (run, "{}")),
                                         ("ReportDeliveries", "(sts)", (run, 1, "[]"))):
        error = refusal(client.call, connector_path("bank"), WORKER, method, signature, *arguments)
        assert error.name == "NotAllowed"
    assert client.get(run_path(run), RUN, "State") == "running"
    worker.exit()


def test_worker_speaks_for_its_own_connector_alone(daemon, client, worker):
    worker.attach()
    client.start("mail")
    other = daemon.worker()
    other.attach()
    assert refusal(worker.call, "Attach", connector="mail").name == "NotAllowed"
    assert refusal(worker.call, "Report", "(sts)", other.run, 1, "{}", connector="mail").name == "NotAllowed"
    assert refusal(worker.call, "Attach", connector="books").name in ("NotAllowed", "NoSuchRun")
    worker.exit()
    other.exit()


def test_worker_speaks_for_its_own_run_alone(daemon, client, worker):
    worker.attach()
    assert refusal(worker.call, "Report", "(sts)", "nothing", 1, "{}").name == "NoSuchRun"
    assert refusal(worker.call, "Finish", "(sts)", "nothing", 1, '{"outcome":"failed"}').name == "NoSuchRun"
    worker.exit()


def test_worker_of_an_ended_run_has_nothing_to_say(daemon, client, worker):
    """Its connection is still there, and what was known of it is not true for the next run."""
    worker.attach()
    first = worker.run
    worker.finish(1, outcome="succeeded")
    late = Client(daemon.address)
    worker.exit()
    wait_for(lambda: client.get(run_path(first), RUN, "State") == "finished", "the end")
    client.start("bank")
    second = daemon.worker()
    second.attach()
    assert refusal(late.call, connector_path("bank"), WORKER, "Report", "(sts)", second.run, 1, "{}").name == "NotAllowed"
    late.close()
    second.exit()


@pytest.mark.parametrize("report, error", [
    ("", "InvalidMessage"),
    ("[]", "InvalidMessage"),
    ('{"stage":"dancing"}', "InvalidMessage"),
    ('{"processed":"many"}', "InvalidMessage"),
    ("{", "InvalidMessage"),
])
def test_reports_that_are_none(daemon, worker, report, error):
    worker.attach()
    assert refusal(worker.call, "Report", "(sts)", worker.run, 1, report).name == error
    assert worker.attach()[1] == 0
    worker.exit()


def test_finish_without_outcome(daemon, worker):
    worker.attach()
    assert refusal(worker.call, "Finish", "(sts)", worker.run, 1, "{}").name in ("InvalidMessage", "InvalidArgument")
    worker.exit()


@pytest.mark.parametrize("excess, allowed", [(0, True), (1, False)])
def test_limit_of_cursors(daemon, worker, excess, allowed):
    worker.attach()
    cursor = json.dumps("x" * (CURSOR_MAX + excess - 2))
    if allowed:
        worker.save_cursor(1, cursor)
        assert worker.attach()[4] == cursor
    else:
        assert refusal(worker.save_cursor, 1, cursor).name == "LimitExceeded"
    worker.exit()


@pytest.mark.parametrize("excess, allowed", [(0, True), (1, False)])
def test_limit_of_reports(daemon, worker, excess, allowed):
    worker.attach()
    report = json.dumps({"stage": "fetching"})
    report = report + " " * (REPORT_MAX + excess - len(report))
    if allowed:
        worker.call("Report", "(sts)", worker.run, 1, report)
    else:
        assert refusal(worker.call, "Report", "(sts)", worker.run, 1, report).name == "LimitExceeded"
    worker.exit()


def test_daemon_that_dies_is_waited_for(daemon, client, worker):
    """The worker goes on by its sequence number: nothing is lost, nothing counts twice."""
    worker.attach()
    run = worker.run
    worker.report(1, processed=10, total=20, discovered=10, added=10, updated=0, deduped=0)
    daemon.kill9()
    daemon.start()
    worker.report(1, processed=10, total=20, discovered=10, added=10, updated=0, deduped=0)
    worker.report(2, processed=20, total=20, discovered=20, added=20, updated=0, deduped=0)
    assert worker.attach()[:2] == [run, 2]
    worker.finish(3, outcome="succeeded")
    worker.exit()
    wait_for(lambda: client.get(run_path(run), RUN, "State") == "finished", "the end")
    properties = client.get_all(run_path(run), RUN)
    assert (properties["Outcome"], properties["Added"]) == ("succeeded", 20)
    stages = [entry["event"]["stage"] for entry in client.describe("DescribeEvents", run=run)["events"]]
    assert stages.count("completed") == 1


def test_worker_that_dies_ends_its_run(daemon, client, worker):
    worker.attach()
    run = worker.run
    worker.exit(3)
    wait_for(lambda: client.get(run_path(run), RUN, "State") == "finished", "the end")
    assert client.get(run_path(run), RUN, "Outcome") == "failed"
    assert "3" in client.get(run_path(run), RUN, "Error")


def test_worker_that_cannot_be_started(new_daemon, client):
    new_daemon.add("bank")
    new_daemon.start(SYNCRUN_WORKER="/nothing/here")
    run = client.start("bank")[0]
    wait_for(lambda: client.get(run_path(run), RUN, "State") == "finished", "the end")
    assert client.get(run_path(run), RUN, "Outcome") == "failed"
    assert client.get(run_path(run), RUN, "Error")


def test_senders_beyond_the_limit_are_forgotten_and_asked_for_anew(daemon, client, worker):
    """512 are remembered; the worker, known from its first call, is still taken at its word after that."""
    worker.attach()
    callers = [Client(daemon.address) for _ in range(10)]
    for i in range(530):
        caller = callers[i % 10]
        if i % 10 == 0 and i:
            for old in callers:
                old.close()
            callers = [Client(daemon.address) for _ in range(10)]
            caller = callers[0]
        assert refusal(caller.call, connector_path("bank"), WORKER, "Attach").name == "NotAllowed"
    for old in callers:
        old.close()
    worker.report(1, processed=1)
    assert worker.attach()[1] == 1
    worker.exit()


def test_all_workers_come_back_at_once(new_daemon, client):
    """After a restart each is a stranger: more of them than are asked about at a time, and none is turned away."""
    number = 40
    new_daemon.write("syncrun.conf", "[Daemon]\nMaxConcurrentRuns=100\nMaxConcurrentRunsPerProvider=100\n")
    for i in range(number):
        new_daemon.add(f"c{i}")
    new_daemon.start()
    for i in range(number):
        client.start(f"c{i}")
    workers = [new_daemon.worker() for _ in range(number)]
    for worker in workers:
        worker.attach()
    new_daemon.stop()
    for worker in workers:
        worker.send(method="Report", signature="(sts)", args=[worker.run, 1, '{"processed":1}'])
    new_daemon.start()
    for worker in workers:
        assert worker.receive() is None
    for worker in workers:
        worker.exit()
