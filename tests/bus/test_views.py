# SPDX-License-Identifier: LGPL-2.1-or-later
"""The option `view`: bulk reads in the words of the three documents, whole as HTTP sends them; and ListEvents()."""

import json
import sqlite3
import time
import uuid

import pytest
from harness import CONNECTOR, MANAGER, RUN, TIMEOUT_SEC, CallError, connector_path, options, run_path, wait_for

USER = "7f9c0d5e-1111-4222-8333-444455556666"
OTHER = "7f9c0d5e-1111-4222-8333-444455557777"
NOBODY = "7f9c0d5e-1111-4222-8333-444455558888"

B2_KEYS = ["id", "connectorId", "status", "fullResync", "startedAt", "finishedAt", "itemsDiscovered", "itemsIngested",
           "errorMessage", "createdAt"]
B8_KEYS = ["id", "connectorId", "status", "fullResync", "createdAt"]
C11_KEYS = ["event_id", "run_id", "user_id", "provider", "source", "stage", "status", "message", "progress",
            "items_processed", "items_total", "error", "primary_user_id", "metadata", "started_at", "ended_at", "timestamp"]
C27_KEYS = ["run_id", "user_id", "provider", "source", "stage", "status", "message", "progress", "items_processed",
            "items_total", "error", "primary_user_id", "started_at", "ended_at", "last_update"]


def refusal(call, *args, **kwargs):
    with pytest.raises(CallError) as caught:
        call(*args, **kwargs)
    return caught.value


def finish_run(daemon, client, connector, **report):
    run = client.start(connector)[0]
    worker = daemon.worker()
    worker.attach()
    worker.finish(1, **{"outcome": "succeeded", **report})
    worker.exit()
    wait_for(lambda: client.get(run_path(run), RUN, "State") == "finished", "the end")
    return run


def report(client, run_id, stage="fetching", status="in_progress", user=USER, provider="garmin", source="sdk", **more):
    client.manager("ReportEvent", "(a{sv})", options(run_id=run_id, user_id=user, provider=provider, source=source,
                                                      stage=stage, status=status, **more))


def repo(client, **values):
    return client.describe("DescribeRuns", view="repo", **values)


def wearables(client, method, **values):
    return client.describe(method, view="open-wearables", **values)


def list_events(client, **values):
    """The numbers; from which on nothing is lost; up to which all are in it; and the last."""
    events, whole_from, following, last = client.manager("ListEvents", "(a{sv})", options(**values))
    return [event[0] for event in events], whole_from, following, last


def connector_id(client, name):
    return client.get(connector_path(name), CONNECTOR, "Id")


# ---- The option itself


@pytest.mark.parametrize("method, values, named", [
    ("DescribeRuns", {"view": "repository"}, "view: there is no 'repository'"),
    ("DescribeEvents", {"view": "repo"}, "view: 'repo'"),
    ("DescribeRuns", {"view": "repo", "outcome": "failed"}, "outcome: does not go with the view 'repo'"),
    ("DescribeRuns", {"status": "failed"}, "status: does not go with the view 'syncrun'"),
    ("DescribeRuns", {"view": "open-wearables", "page": "x"}, "page: "),
    ("DescribeRuns", {"view": "repo", "status": "partial"}, "status: there is no 'partial'"),
    ("DescribeRuns", {"view": "open-wearables", "status": "succeeded"}, "status: there is no 'succeeded'"),
    ("DescribeRuns", {"view": "repo", "page": "x"}, "cursor: "),
    ("DescribeRuns", {"view": "repo", "user": "x"}, "user: 'x'"),
])
def test_what_does_not_go_together_is_refused_by_name(daemon, client, method, values, named):
    refused = refusal(client.describe, method, **values)
    assert refused.name == "InvalidArgument"
    assert named in refused.message


@pytest.mark.parametrize("method, values, most", [
    ("DescribeRuns", {"view": "repo"}, 200),  # REPO_RUNS_MAX
    ("DescribeRuns", {"view": "open-wearables", "user": USER}, 200),  # WEARABLES_RUNS_MAX
    ("DescribeRuns", {"view": "open-wearables", "user": USER, "check_user": False}, 10000),
    ("DescribeRuns", {"view": "open-wearables"}, 10000),  # WEARABLES_ALL_RUNS_MAX
    ("DescribeEvents", {"view": "open-wearables", "user": USER}, 200),  # WEARABLES_EVENTS_MAX
    ("ListEvents", {"user": USER}, 10000),  # EVENTS_PAGE_MAX
    ("DescribeConnectors", {"view": "redbark", "user": USER}, 200),  # REDBARK_CONNECTORS_MAX
    ("DescribeDeliveries", {"connector": "limits"}, 200),  # DELIVERIES_PAGE_MAX
])
def test_limits_of_each_view(daemon, client, method, values, most):
    daemon.add("limits")
    client.manager("Reload")
    report(client, "r1")
    for limit in (1, most):
        client.manager(method, "(a{sv})", options(**values, limit=limit))
    for limit in (0, most + 1, 2**32 - 2, 2**40):
        refused = refusal(client.manager, method, "(a{sv})", options(**values, limit=limit))
        assert refused.name == "InvalidArgument"
        assert "limit" in refused.message


# ---- Repo


def test_b2_keys_and_order(daemon, client):
    run = finish_run(daemon, client, "bank", discovered=18, added=2, updated=1, deduped=15)
    answer = repo(client)
    assert list(answer) == ["syncRuns", "nextCursor"]
    assert answer["nextCursor"] is None
    [one] = answer["syncRuns"]
    assert list(one) == [*B2_KEYS, "outcome"]
    assert (one["id"], one["connectorId"]) == (run, connector_id(client, "bank"))
    assert (one["status"], one["outcome"], one["errorMessage"]) == ("succeeded", "succeeded", None)
    assert (one["itemsDiscovered"], one["itemsIngested"]) == (18, 3)


def test_b3_states_fold_into_four_and_are_filtered_by(daemon, client):
    runs = {
        "succeeded": finish_run(daemon, client, "bank"),
        "partial": finish_run(daemon, client, "bank", outcome="partial", error="one account"),
        "failed": finish_run(daemon, client, "bank", outcome="failed", error="no such host", retry=False),
    }
    cancelled = client.start("books")[0]
    worker = daemon.worker()
    worker.attach()
    client.manager("CancelRun", "(s)", cancelled)
    wait_for(lambda: client.get(run_path(cancelled), RUN, "State") == "finished", "the end")
    running = client.start("mail")[0]

    def ids(**values):
        return [run["id"] for run in repo(client, **values)["syncRuns"]]

    # Until its worker says that it runs it is queued, as its stage is.
    mail = daemon.worker()
    [waiting] = repo(client, status="queued")["syncRuns"]
    assert (waiting["id"], waiting["status"], waiting["startedAt"]) == (running, "queued", None)
    assert ids(status="running") == []
    mail.attach()
    wait_for(lambda: client.get(run_path(running), RUN, "State") == "running", "the start")
    assert ids(status="succeeded") == [runs["partial"], runs["succeeded"]]
    assert ids(status="failed") == [cancelled, runs["failed"]]
    assert ids(status="running") == [running]
    assert ids(status="queued") == []
    assert ids(status="failed", connector=connector_id(client, "bank")) == [runs["failed"]]
    assert ids(status="failed", connector="books") == [cancelled]
    errors = {run["id"]: run["errorMessage"] for run in repo(client)["syncRuns"]}
    assert errors[runs["failed"]] == "no such host"
    assert errors[runs["partial"]] == "one account"
    assert errors[cancelled] and errors[running] is None
    mail.exit()


def test_b12_pages_and_since(daemon, client):
    runs = [finish_run(daemon, client, "bank") for _ in range(3)]
    first = repo(client, limit=2, status="succeeded")
    assert [run["id"] for run in first["syncRuns"]] == runs[:0:-1]
    second = repo(client, limit=2, status="succeeded", page=first["nextCursor"])
    assert [run["id"] for run in second["syncRuns"]] == runs[:1]
    assert second["nextCursor"] is None
    created = client.get(run_path(runs[1]), RUN, "CreatedUSec")
    assert [run["id"] for run in repo(client, since=created)["syncRuns"]] == runs[:0:-1]


def test_b8_answer_to_a_post(daemon, client):
    bank = connector_id(client, "bank")
    run, _, active, result = client.start(bank, view="repo", trigger="remote", full_resync=True)
    body = json.loads(result["body"])
    assert list(body) == ["syncRun", "alreadyActive"]
    assert list(body["syncRun"]) == B8_KEYS
    assert body["syncRun"] | {"createdAt": 0} == {"id": run, "connectorId": bank, "status": "queued", "fullResync": True,
                                                  "createdAt": 0}
    assert (active, body["alreadyActive"]) == (False, False)
    worker = daemon.worker()
    worker.attach()
    again = client.start("bank", view="repo")
    assert again[0] == run
    assert json.loads(again[3]["body"]) == body | {"alreadyActive": True,
                                                   "syncRun": body["syncRun"] | {"status": "running"}}
    assert refusal(client.start, "bank", view="redbark").name == "InvalidArgument"
    worker.exit()


def test_start_of_somebody_elses_connector(daemon, client):
    daemon.add("mine", User=USER)
    client.manager("Reload")
    assert refusal(client.start, "mine", user=OTHER).name == "NoSuchConnector"
    assert refusal(client.start, "bank", user=USER).name == "NoSuchConnector"
    assert refusal(client.start, str(uuid.uuid4())).name == "NoSuchConnector"
    client.start("mine", user=USER.upper())
    daemon.worker().exit()


def test_one_run_with_its_accounts_and_events(daemon, client):
    run = client.start("bank")[0]
    worker = daemon.worker()
    worker.attach()
    worker.report(1, accounts=[{"account": "checking", "status": "success", "discovered": 3, "added": 2, "deduped": 1}])
    worker.finish(2, outcome="succeeded")
    worker.exit()
    wait_for(lambda: client.get(run_path(run), RUN, "State") == "finished", "the end")
    one = repo(client, id=run)["syncRun"]
    assert list(one) == [*B2_KEYS, "outcome", "accounts", "events"]
    assert [account["account"] for account in one["accounts"]] == ["checking"]
    assert one["accounts"][0]["itemsAdded"] == 2
    assert [event["stage"] for event in one["events"]][::len(one["events"]) - 1] == ["queued", "completed"]
    assert all(list(event) == C11_KEYS for event in one["events"])
    assert refusal(repo, client, id="nothing").name == "NoSuchRun"
    assert refusal(repo, client, id=run, user=USER).name == "NoSuchRun"


# ---- Open Wearables


def test_c2_recent_is_a_bare_array_newest_first(daemon, client):
    for n in range(3):
        report(client, "r1", items_processed=n)
    report(client, "r2", user=OTHER)
    events = wearables(client, "DescribeEvents", user=USER)
    assert [event["items_processed"] for event in events] == [2, 1, 0]
    assert all(list(event) == C11_KEYS for event in events)
    assert [event["items_processed"] for event in wearables(client, "DescribeEvents", user=USER, limit=2)] == [2, 1]


def test_c8_unknown_user(daemon, client):
    report(client, "r1")
    assert refusal(wearables, client, "DescribeEvents", user=NOBODY).name == "NoSuchUser"
    assert refusal(wearables, client, "DescribeRuns", user=NOBODY).name == "NoSuchUser"


def test_c4_unknown_user_among_all_runs(daemon, client):
    report(client, "r1")
    assert wearables(client, "DescribeRuns", user=NOBODY, check_user=False) == []


def test_c27_newest_event_of_each_run(daemon, client):
    report(client, "r1", stage="started", started_at="2026-05-30T20:00:00Z")
    report(client, "r2", source="backfill")
    report(client, "r3", user=OTHER, provider="oura")
    report(client, "r1", items_processed=7)
    report(client, "r2", stage="failed", status="failed", error="timeout", source="backfill")
    report(client, "r1", items_processed=8)
    runs = wearables(client, "DescribeRuns", user=USER)
    assert all(list(run) == C27_KEYS for run in runs)
    assert [run["run_id"] for run in runs] == ["r1", "r2"]
    newest = wearables(client, "DescribeEvents", user=USER)
    for run, event in zip(runs, newest):
        assert run["last_update"] == event["timestamp"]
        assert all(run[key] == event[key] for key in C27_KEYS if key not in ("started_at", "last_update"))
    assert runs[0]["started_at"] == "2026-05-30T20:00:00Z"
    assert [run["run_id"] for run in wearables(client, "DescribeRuns", user=USER, limit=1)] == ["r1"]

    def ids(**values):
        return [run["run_id"] for run in wearables(client, "DescribeRuns", **values)]

    assert ids() == ["r1", "r2", "r3"]
    assert ids(provider="oura") == ["r3"]
    assert ids(status="failed") == ["r2"]
    assert ids(status="in_progress") == ["r1", "r3"]
    assert ids(source="backfill") == ["r2"]
    assert ids(user=OTHER) == ["r3"]
    assert ids(user=OTHER, status="failed") == []


# ---- ListEvents


def test_list_events_are_those_that_were_told(daemon, client):
    told = client.signals(MANAGER, "EventsCommitted")
    for n in range(3):
        report(client, "r1", items_processed=n)
    report(client, "r2", user=OTHER)
    events, whole_from, following, last = client.manager("ListEvents", "(a{sv})", {})
    signalled = [event for _, _, (batch,) in told for event in batch]  # all up to `last`, by now
    assert events == signalled
    assert (whole_from, following, last) == (1, events[-1][0], events[-1][0])
    own = [event for event in signalled if event[1] == USER]
    assert client.manager("ListEvents", "(a{sv})", options(user=USER))[0] == own


def test_c22_the_newest_oldest_first(daemon, client):
    for n in range(5):
        report(client, "r1", items_processed=n)
    everything, _, following, last = list_events(client, user=USER)
    assert last == following == everything[-1]
    assert list_events(client, user=USER, limit=2)[2] == everything[1]
    assert list_events(client, user=USER, newest=True, limit=2)[2] == last
    assert list_events(client, user=USER, newest=True, limit=2)[0] == everything[-2:]
    assert list_events(client, user=USER, limit=2)[0] == everything[:2]
    assert list_events(client, user=USER, after=everything[1])[0] == everything[2:]
    assert list_events(client, user=USER, after=last)[0] == []


def retained(daemon, client, history, n_left):
    """Restarts the daemon with such a [History]; what is too much is deleted at its start."""
    daemon.write("syncrun.conf", f"[History]\n{history}")
    daemon.restart()
    until = time.monotonic() + TIMEOUT_SEC
    while len(list_events(client)[0]) != n_left:
        assert time.monotonic() < until


def test_whole_from_is_about_whom_it_is_asked(daemon, client):
    """Runs that go by quota leave gaps in the middle, which only those are told of who would have had the events."""
    end = {"stage": "completed", "status": "success"}
    for n in range(3):
        report(client, f"garmin{n}", **(end if n < 2 else {}))
        report(client, f"polar{n}", provider="polar")
        report(client, f"other{n}", user=OTHER)
    seqs, whole_from, _, last = list_events(client)
    first = seqs[0]
    assert whole_from == 1
    retained(daemon, client, "RunsMaxPerConnector=1\n", 8)
    left, whole_from, following, _ = list_events(client)
    assert set(seqs) - set(left) == {first} and whole_from == first + 1 and following == last
    assert list_events(client, user=USER)[1] == first + 1
    assert list_events(client, user=OTHER)[1] == 1
    assert list_events(client, provider="garmin")[1] == first + 1
    assert list_events(client, provider="polar")[1] == 1
    # A later reader is told the same: what was lost stands in the history.
    for n in range(3):
        report(client, f"polar{n}", provider="polar", **end)
    newest = list_events(client)[3]
    retained(daemon, client, "RunsMaxPerConnector=1\n", 6)
    assert list_events(client, user=USER)[1] == list_events(client, provider="polar")[1] == newest
    assert list_events(client, user=USER, provider="garmin")[1] == first + 4
    assert list_events(client, user=OTHER)[1] == 1
    assert list_events(client, user=NOBODY)[1] == 1


def test_the_same_as_bytes(daemon, client):
    """What is passed on comes with a byte that ends it, and is no text for the bus."""
    report(client, "r1", message="grüße \\ \" \n")
    views = {"DescribeRuns": ("syncrun", "repo", "open-wearables"), "DescribeEvents": ("syncrun", "open-wearables"),
             "DescribeConnectors": ("syncrun", "redbark"), "DescribeConnections": ("syncrun", "redbark")}
    for method, words in views.items():
        for view in words:
            text = client.manager(method, "(a{sv})", options(view=view, limit=5))
            assert bytes(client.manager("DescribeBytes", "(sa{sv})", method, options(view=view, limit=5))) == text.encode() + b"\0"
        with pytest.raises(CallError, match="limit: 1 to"):
            client.manager("DescribeBytes", "(sa{sv})", method, options(limit=0))
    for method in ("DescribeApiKeys", "DescribeUsers", "DescribeBytes", "ListEvents", ""):
        with pytest.raises(CallError, match="method: DescribeRuns, "):
            client.manager("DescribeBytes", "(sa{sv})", method, {})


def test_numbers_of_another_history(daemon, client):
    """A start goes on from the time of day: whoever knows a number that was not given here has lost something."""
    begun = time.time_ns() // 1000
    report(client, "r1")
    report(client, "r1")
    daemon.restart()
    report(client, "r1")
    first, second, third = list_events(client)[0]
    assert second == first + 1 and first < begun < third
    for after, has_lost in ((0, False), (first - 1, False), (second, False), (third - 1, False), (third, False),
                            (1, True), (first - 2, True), (second + 1, True), (third - 2, True)):
        seqs, whole_from, following, last = list_events(client, after=after)
        assert (whole_from > after + 1) == has_lost, after
        assert seqs == [seq for seq in (first, second, third) if seq > after]
        assert following == last == third
    assert list_events(client, after=third + 1)[1:] == (1, third, third)


def test_an_answer_that_looked_far_says_where_it_stopped(daemon, client):
    """Nothing that fits within 5000 events is no end."""
    for begin in range(0, 5000, 50):
        client.manager("ReportEvents", "(s)", json.dumps(
            [{"run_id": "r1", "user_id": USER, "provider": "garmin", "source": "sdk", "stage": "fetching",
              "status": "in_progress", "items_processed": begin + i} for i in range(50)]))
    report(client, "r2", user=USER, provider="polar")
    last = client.get("/org/syncrun1", MANAGER, "LastSequence")
    answer = client.describe("DescribeEvents", user=USER, provider="polar")
    assert (answer["events"], answer["next"], answer["last"]) == ([], last - 1, last)
    answer = client.describe("DescribeEvents", user=USER, provider="polar", after=answer["next"])
    assert ([event["seq"] for event in answer["events"]], answer["next"]) == ([last], None)
    report(client, "r1")
    answer = client.describe("DescribeEvents", provider="garmin", newest_first=True, limit=1)
    assert ([event["seq"] for event in answer["events"]], answer["next"]) == ([last + 1], last + 1)
    answer = client.describe("DescribeEvents", newest_first=True, limit=1, before=answer["next"])
    assert ([event["seq"] for event in answer["events"]], answer["next"]) == ([last], last)
    assert list_events(client, user=USER, limit=10000)[2] == last - 1


def test_an_answer_of_list_events_ends_at_so_many_bytes(daemon, client):
    metadata = json.dumps({"pad": "x" * 16000})
    for n in range(0, 300, 50):
        client.manager("ReportEvents", "(s)", json.dumps(
            [{"run_id": "r1", "user_id": USER, "provider": "garmin", "source": "sdk", "stage": "fetching",
              "status": "in_progress", "items_processed": n + i, "metadata": {"pad": "x" * 16000}} for i in range(50)]))
    assert len(metadata) < 16384
    seen, after = [], 0
    while page := client.manager("ListEvents", "(a{sv})", options(user=USER, after=after))[0]:
        assert sum(len(event[3]) for event in page) <= 4 * 1024 * 1024  # LIST_EVENTS_BYTES_MAX
        seen += [event[0] for event in page]
        after = seen[-1]
        pages = len(seen)
    assert len(seen) == 300 == pages
    newest = list_events(client, user=USER, newest=True)[0]
    assert newest == seen[-len(newest):] and 200 < len(newest) < 300


# ---- Redbark


def redbark(client, method, **values):
    return client.describe(method, view="redbark", **values)


def test_a10_list_of_connectors(daemon, client):
    run = finish_run(daemon, client, "bank", outcome="failed", attention="consent_expired", attention_message="ITEM_EXPIRED")
    client.call(connector_path("books"), CONNECTOR, "SetActive", "(b)", False)
    active = client.start("mail")[0]
    mail = daemon.worker()
    mail.attach()
    answer = redbark(client, "DescribeConnectors")
    assert list(answer) == ["connectors", "nextCursor"] and answer["nextCursor"] is None
    bank, books, mail_entry = answer["connectors"]
    assert [c["name"] for c in answer["connectors"]] == ["bank", "books", "mail"]
    assert (bank["status"], books["status"], mail_entry["status"]) == ("Needs attention", "Inactive", "Syncing")
    assert bank["attention"] == {
        "category": "consent_expired", "title": "Bank consent expired or withdrawn",
        "advice": client.get(connector_path("bank"), CONNECTOR, "AttentionAdvice"),
        "since": bank["attention"]["since"], "message": "ITEM_EXPIRED", "runId": run}
    assert bank["attention"]["since"] == bank["lastRun"]["finishedAt"]
    assert bank["lastRun"]["status"] == "Failed"
    assert mail_entry["activeRunId"] == active
    assert "outcomes" not in bank
    assert [c["name"] for c in redbark(client, "DescribeConnectors", attention=True)["connectors"]] == ["bank"]
    mail.exit()


def test_strip_of_outcomes(daemon, client):
    runs = [finish_run(daemon, client, "bank"), finish_run(daemon, client, "bank", outcome="partial")]
    bank, books, _ = redbark(client, "DescribeConnectors", outcomes=30)["connectors"]
    assert [mark["id"] for mark in bank["outcomes"]] == runs[::-1]
    assert [(mark["status"], mark["outcome"]) for mark in bank["outcomes"]] == [("Success", "partial"),
                                                                               ("Success", "succeeded")]
    assert all(mark["durationMs"] >= 0 for mark in bank["outcomes"])
    assert books["outcomes"] == []
    one = redbark(client, "DescribeConnectors", name="bank", outcomes=1)["connector"]
    assert [mark["id"] for mark in one["outcomes"]] == runs[1:]
    assert refusal(redbark, client, "DescribeConnectors", outcomes=31).name == "InvalidArgument"  # REDBARK_OUTCOMES_MAX


def test_pages_of_connectors(daemon, client):
    for n in range(7):
        daemon.add(f"x{n}", User=USER if n % 2 else OTHER)
    client.manager("Reload")
    seen, page = [], {}
    while True:
        answer = redbark(client, "DescribeConnectors", limit=3, **page)
        seen += [c["name"] for c in answer["connectors"]]
        if not answer["nextCursor"]:
            break
        page = {"page": answer["nextCursor"]}
    assert seen == ["bank", "books", "mail"] + [f"x{n}" for n in range(7)]
    assert [c["name"] for c in redbark(client, "DescribeConnectors", user=USER)["connectors"]] == ["x1", "x3", "x5"]
    for limit in (0, 201):
        assert refusal(redbark, client, "DescribeConnectors", limit=limit).name == "InvalidArgument"
    assert len(redbark(client, "DescribeConnectors", limit=200)["connectors"]) == 10
    assert refusal(redbark, client, "DescribeConnectors", page="No Such").name == "InvalidArgument"


def test_a8_one_connector_with_its_connection_and_destination(daemon, client):
    daemon.add("mine", """
        [Schedule]
        OnCalendar=hourly
        [Pipeline]
        ExecPull=/bin/true
    """, User=USER, Connection="login")
    daemon.add("theirs", User=OTHER, Connection="login")
    client.manager("Reload")
    finish_run(daemon, client, "theirs", outcome="failed", attention="connection_lost", attention_message="theirs alone")
    finish_run(daemon, client, "mine", outcome="failed", attention="connection_lost", attention_message="LOST")
    one = redbark(client, "DescribeConnectors", name="mine")["connector"]
    assert one == redbark(client, "DescribeConnectors", name=one["id"], user=USER)["connector"]
    assert one["destination"] == {"type": "sqlite", "target": "%S/items.db", "state": "active", "failures": 0}
    assert one["schedule"] == ["hourly"] and one["nextRunAt"]
    assert one["consecutiveFailures"] == 1
    [login] = one["connections"]
    assert (login["name"], login["status"], login["reason"], login["connectors"]) == ("login", "Lost", "LOST", ["mine"])
    assert refusal(redbark, client, "DescribeConnectors", name="nothing").name == "NoSuchConnector"
    assert refusal(redbark, client, "DescribeConnectors", name="mine", user=OTHER).name == "NoSuchConnector"


def test_connector_whose_file_is_wrong_needs_attention(daemon, client):
    daemon.add("wrong", "[Schedule]\nOnCalendar=never ever\n[Pipeline]\nExecPull=/bin/true\n")
    client.manager("Reload")
    wrong = redbark(client, "DescribeConnectors", name="wrong")["connector"]
    assert (wrong["status"], wrong["loadState"], wrong["runnable"]) == ("Needs attention", "bad-setting", False)
    assert wrong["attention"]["category"] == "configuration_error"
    assert wrong["attention"]["message"] == wrong["loadError"]


def test_connections(daemon, client):
    daemon.add("one", User=USER, Connection="login")
    daemon.add("two", User=OTHER, Connection="login")
    daemon.add("three", User=OTHER, Connection="another")
    client.manager("Reload")
    finish_run(daemon, client, "two", outcome="failed", attention="consent_withdrawn", attention_message="gone")
    connections = redbark(client, "DescribeConnections")["connections"]
    assert [(c["name"], c["status"], c["connectors"]) for c in connections] == [
        ("another", "Active", ["three"]), ("login", "Withdrawn", ["one", "two"])]
    [own] = redbark(client, "DescribeConnections", user=USER)["connections"]
    assert (own["name"], own["status"], own["reason"], own["connectors"]) == ("login", "Active", None, ["one"])
    assert redbark(client, "DescribeConnections", name="login", user=USER) == {"connection": own}
    assert refusal(redbark, client, "DescribeConnections", name="nothing").name == "NoSuchConnection"
    assert refusal(redbark, client, "DescribeConnections", name="another", user=USER).name == "NoSuchConnection"


def finish_with_accounts(daemon, client, n):
    run = client.start("bank")[0]
    worker = daemon.worker()
    worker.attach()
    worker.report(1, accounts=[{"account": f"a{i}", "status": "success", "discovered": 1, "added": 1} for i in range(n)])
    worker.finish(2, outcome="succeeded")
    worker.exit()
    wait_for(lambda: client.get(run_path(run), RUN, "State") == "finished", "the end")
    return run


def activity(client, **values):
    return [(run["id"], len(run["accounts"]), run["accountsOmitted"])
            for run in redbark(client, "DescribeRuns", connector="bank", **values)["activity"]]


def test_a4_feed_within_its_runs_and_rows(new_daemon, client):
    new_daemon.add("bank", User=USER)
    new_daemon.write("syncrun.conf", "[Activity]\nMaxRuns=3\nMaxAccountRows=5\n")
    daemon = new_daemon.start()
    first = finish_with_accounts(daemon, client, 2)
    second = finish_with_accounts(daemon, client, 3)
    assert activity(client) == [(second, 3, 0), (first, 2, 0)]
    third = finish_with_accounts(daemon, client, 1)
    assert activity(client) == [(third, 1, 0), (second, 3, 0)]
    fourth = finish_with_accounts(daemon, client, 6)
    assert activity(client) == [(fourth, 5, 1)]
    none = [finish_with_accounts(daemon, client, 0) for _ in range(4)]
    assert activity(client) == [(run, 0, 0) for run in none[:0:-1]]
    assert activity(client, limit=2) == [(run, 0, 0) for run in none[:1:-1]]
    assert refusal(activity, client, limit=4).name == "InvalidArgument"
    assert refusal(redbark, client, "DescribeRuns").name == "InvalidArgument"
    assert refusal(redbark, client, "DescribeRuns", connector="nothing").name == "NoSuchConnector"
    assert refusal(redbark, client, "DescribeRuns", connector="bank", user=OTHER).name == "NoSuchConnector"
    assert activity(client, user=USER) == activity(client)


# ---- Age


def test_c26_age_counts_for_each_event_before_it_is_deleted(new_daemon, client):
    """What is too old is not told, whether it has been deleted or not: retention never comes to it here."""
    new_daemon.add("bank")
    daemon = new_daemon.start()
    report(client, "old")
    report(client, "both", items_processed=1)
    expired = client.get("/org/syncrun1", MANAGER, "LastSequence")
    daemon.stop()
    database = sqlite3.connect(daemon.state / "history.db")
    database.execute("UPDATE events SET time_usec = time_usec - 86400 * 1000000")
    database.execute("UPDATE runs SET updated_usec = updated_usec - 86400 * 1000000")
    database.commit()
    database.close()
    daemon.start()
    report(client, "both", items_processed=2)
    assert [event["items_processed"] for event in wearables(client, "DescribeEvents", user=USER)] == [2]
    assert [run["run_id"] for run in wearables(client, "DescribeRuns", user=USER)] == ["both"]
    assert [event["event"]["items_processed"] for event in client.describe("DescribeEvents")["events"]] == [2]
    [kept], whole_from, following, last = list_events(client, user=USER)
    assert whole_from == expired + 1 and kept == following == last
