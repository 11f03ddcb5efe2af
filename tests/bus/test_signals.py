# SPDX-License-Identifier: LGPL-2.1-or-later
"""Signals of the manager, and how often changes of a run are told."""

import json
import time

from gi.repository import GLib
from harness import MANAGER, PATH, RUN, connector_path, path_of, run_path, wait_for

USER = "7f9c0d5e-1111-4222-8333-444455556666"
EVENTS_SIGNAL_BYTES_MAX = 256 * 1024


def test_run_new_comes_with_its_object(daemon, client):
    new = client.signals(MANAGER, "RunNew")
    added = client.signals("org.freedesktop.DBus.ObjectManager", "InterfacesAdded")
    run = client.start("bank")[0]
    wait_for(lambda: new, "RunNew")
    assert new == [(PATH, "RunNew", (run, run_path(run)))]
    mine = wait_for(lambda: [arguments for _, _, arguments in added if arguments[0] == run_path(run)], "its object")
    assert len(mine) == 1
    assert mine[0][1][RUN]["State"] in ("queued", "starting")
    daemon.worker().exit()


def test_events_are_told_in_order_with_their_numbers(daemon, client):
    signals = client.signals(MANAGER, "EventsCommitted")
    run = client.start("bank")[0]
    worker = daemon.worker()
    worker.attach()
    worker.report(1, stage="fetching")
    worker.finish(2, outcome="succeeded")
    worker.exit()
    wait_for(lambda: any('"completed"' in event[3] for _, _, arguments in signals for event in arguments[0]), "the end")
    told = [event for _, _, arguments in signals for event in arguments[0]]
    assert [user for _, user, _, _ in told] == [""] * len(told)
    assert {event_run for _, _, event_run, _ in told} == {run}
    stages = [json.loads(event)["stage"] for _, _, _, event in told]
    assert stages[0] == "queued" and "fetching" in stages and stages[-1] == "completed"
    stored = client.describe("DescribeEvents", run=run)["events"]
    assert [(seq, json.loads(event)) for seq, _, _, event in told] == [
        (entry["seq"], entry["event"]) for entry in stored]


def reported(i, size, run="r"):
    return {"run_id": f"{run}{i}", "user_id": USER, "provider": "garmin", "source": "sdk", "stage": "fetching",
            "status": "in_progress", "metadata": {"x": "y" * size}}


def test_events_of_one_commit_are_one_signal(daemon, client):
    signals = client.signals(MANAGER, "EventsCommitted")
    client.manager("ReportEvents", "(s)", json.dumps([reported(i, 10) for i in range(50)]))
    wait_for(lambda: sum(len(arguments[0]) for _, _, arguments in signals) == 50, "all events")
    assert len(signals) == 1
    assert {user for _, user, _, _ in signals[0][2][0]} == {USER}


def test_large_commits_are_split_at_the_documented_bytes(daemon, client):
    signals = client.signals(MANAGER, "EventsCommitted")
    client.manager("ReportEvents", "(s)", json.dumps([reported(i, 16000) for i in range(60)]))
    wait_for(lambda: sum(len(arguments[0]) for _, _, arguments in signals) == 60, "all events")
    sizes = [sum(len(event[3]) for event in arguments[0]) for _, _, arguments in signals]
    assert len(sizes) == 4
    assert max(sizes) <= EVENTS_SIGNAL_BYTES_MAX
    # Nothing is split earlier than it must be.
    assert all(size > EVENTS_SIGNAL_BYTES_MAX - 17000 for size in sizes[:-1])
    numbers = [event[0] for _, _, arguments in signals for event in arguments[0]]
    assert numbers == sorted(numbers)


def test_progress_is_told_four_times_a_second_and_stages_at_once(daemon, client):
    _, path, *_ = client.start("bank")
    worker = daemon.worker()
    worker.attach()
    changes = client.property_changes(path, RUN)
    began = time.monotonic()
    sequence = 0
    while sequence <= 20 or sum("ItemsProcessed" in change for change in changes) < 4:
        sequence += 1
        worker.report(sequence, processed=sequence, total=10**9)
        GLib.MainContext.default().iteration(False)
    wait_for(lambda: any(change.get("ItemsProcessed") == sequence for change in changes), "the last progress")
    took = time.monotonic() - began
    told = [change for change in changes if "ItemsProcessed" in change]
    assert len(told) <= took * 4 + 2
    stages = ["processing", "saving", "fetching"]
    del changes[:]
    for i, stage in enumerate(stages):
        worker.report(sequence + 1 + i, stage=stage)
    wait_for(lambda: sum("Stage" in change for change in changes) == len(stages), "each stage")
    assert [change["Stage"] for change in changes if "Stage" in change] == stages
    worker.exit()


def test_attention_is_told_and_cleared(daemon, client):
    signals = client.signals(MANAGER, "AttentionChanged")
    for outcome in ({"outcome": "failed", "attention": "consent_expired", "attention_message": "ask again"},
                    {"outcome": "succeeded"}):
        run = client.start("bank")[0]
        worker = daemon.worker()
        worker.attach()
        worker.finish(1, **outcome)
        worker.exit()
        wait_for(lambda: client.get(run_path(run), RUN, "State") == "finished", "the end")
    wait_for(lambda: len(signals) == 2, "both")
    assert [arguments for _, _, arguments in signals] == [
        ("bank", connector_path("bank"), "consent_expired", "ask again"),
        ("bank", connector_path("bank"), "", ""),
    ]


def test_unchanged_properties_are_not_told(daemon, client):
    """A reload that changes one connector tells of that one, and of what differs."""
    changes = []
    for name in ("bank", "books", "mail"):
        changes.append(client.property_changes(connector_path(name), "org.syncrun1.Connector"))
    daemon.add("bank", Description="Other words")
    client.manager("Reload")
    wait_for(lambda: changes[0], "the change")
    assert changes == [[{"Description": "Other words"}], [], []]


def test_settings_are_told_of_together(daemon, client):
    """Once for all that came with one Reload(), and for who is switched off; not for what a run changes."""
    signals = client.signals(MANAGER, "ConnectorsChanged")
    for act in (lambda: [daemon.add(name, Description="Another") for name in ("bank", "books", "mail", "new")],
                lambda: (daemon.connectors / "new.connector").unlink()):
        act()
        client.manager("Reload")
        wait_for(lambda: signals, "the change")
        assert len(signals) == 1
        del signals[:]
    client.start("bank")
    worker = daemon.worker()
    worker.attach()
    worker.finish(1, outcome="failed", attention="data_error")
    worker.exit()
    wait_for(lambda: client.get(connector_path("bank"), "org.syncrun1.Connector", "AttentionCategory"), "the end")
    client.call(connector_path("bank"), "org.syncrun1.Connector", "SetActive", "(b)", False)
    wait_for(lambda: signals, "the change")
    assert len(signals) == 1


def test_last_run_leaves_its_connection_alone(daemon, client):
    daemon.add("bank", Connection="shared")
    client.manager("Reload")
    changes = client.property_changes(path_of("connection", "shared"), "org.syncrun1.Connection")
    daemon.add("mail", Connection="shared")
    client.manager("Reload")
    wait_for(lambda: changes, "the change")
    assert changes == [{"Connectors": ["bank", "mail"]}]
