# SPDX-License-Identifier: LGPL-2.1-or-later
"""Server-Sent Events: frames byte for byte, replay, resume, many readers, and the ends of either side."""

import json
import re
import select
import socket
import sqlite3
import time

import pytest
from harness import options
from server import ALICE, BOB, NOBODY, add_key, deadline, read_to_end

PATH = f"/api/v1/users/{ALICE}/sync/stream"
ALL = "/api/v1/sync/stream"

GAP = ": gap: some of the events since then are no longer kept"

EVENT_KEYS = ["event_id", "run_id", "user_id", "provider", "source", "stage", "status", "message", "progress",
              "items_processed", "items_total", "error", "primary_user_id", "metadata", "started_at", "ended_at",
              "timestamp"]


def test_headers(shim, key, reporter):
    with shim.stream(PATH, key) as stream:
        assert stream.status == 200
        assert stream.headers["Content-Type"] == "text/event-stream; charset=utf-8"
        assert stream.headers["Cache-Control"] == "no-cache, no-transform"
        assert stream.headers["X-Accel-Buffering"] == "no"
        assert stream.headers["Connection"] == "keep-alive"
        assert stream.headers["Transfer-Encoding"] == "chunked"
        assert stream.block() == ": connected"


def test_a_client_that_asks_for_the_end(shim, key, reporter):
    """Of its connection; and one that says that it sends nothing more has a whole body."""
    for wish in ("close", "Keep-Alive, CLOSE"):
        with shim.stream(PATH, key, {"Connection": wish}) as stream:
            assert (stream.headers["Connection"], stream.headers["Transfer-Encoding"]) == ("close", "chunked")
            assert stream.messages(1) == ["first"]
            stream.end.shutdown(socket.SHUT_WR)
            assert stream.rest() == [] and stream.ended


def test_frames(shim, key, reporter, client):
    (told,) = client.describe("DescribeEvents", user=ALICE)["events"]
    with shim.stream(PATH, key) as stream:
        stream.read_more()
        assert stream.buffer.startswith(b": connected\n\nevent: sync.status\nid: %d\ndata: {" % told["seq"])
        assert stream.buffer.endswith(b"}\n\n") and stream.buffer.count(b"\n\n") == 2
        seq, event = stream.event()
        assert (seq, event) == (told["seq"], told["event"])
        assert list(event) == EVENT_KEYS
        reporter.say("grüße \n   \" \\", user=ALICE)
        block = stream.block()
        lines = block.split("\n")
        assert lines[0] == "event: sync.status" and lines[1].startswith("id: ") and lines[2].startswith("data: {")
        assert len(lines) == 3
        assert json.loads(lines[2][6:])["message"] == "grüße \n   \" \\"
        assert "grüße" in lines[2]


def test_http_1_0(shim, key, reporter):
    with shim.stream(PATH, key, version="1.0") as stream:
        assert stream.headers["Transfer-Encoding"] is None and stream.headers["Connection"] == "close"
        assert stream.block() == ": connected"
        assert stream.messages(1) == ["first"]
        reporter.say("more")
        assert stream.messages(1) == ["more"]


def test_over_unix_socket(shim, key, reporter):
    with shim.stream(PATH, key, local=True) as stream:
        assert stream.messages(1) == ["first"]
        reporter.say("more")
        assert stream.messages(1) == ["more"]


def test_replay(shim, key, reporter):
    reporter.say(*(f"e{i}" for i in range(250)))
    expected = ["first", *(f"e{i}" for i in range(250))]
    for query, n in (("", 20), ("?replay=1", 1), ("?replay=200", 200), ("?replay=7", 7)):
        with shim.stream(PATH + query, key) as stream:
            assert stream.messages(n) == expected[-n:]
            reporter.say("live")
            assert stream.messages(1) == ["live"]
        expected.append("live")


@pytest.mark.parametrize("query, words", [
    ("replay=0", "greater than or equal to 1"),
    ("replay=201", "less than or equal to 200"),  # SSE_REPLAY_MAX
    ("replay=-1", "greater than or equal to 1"),
    ("replay=x", "a valid integer, unable to parse string as an integer"),
    ("replay=", "a valid integer, unable to parse string as an integer"),
    ("last_event_id=x", "a valid integer, unable to parse string as an integer"),
    ("last_event_id=9223372036854775808", "less than or equal to 9223372036854775807"),
    ("heartbeat=never", "'comment' or 'event'"),
    ("heartbeat=", "'comment' or 'event'"),
])
def test_wrong_queries(shim, key, reporter, query, words):
    answer = shim.get(f"{PATH}?{query}", key)
    assert answer.status == 422
    # C9: the words alone.
    assert answer.json()["detail"].startswith("Input should be ") and answer.json()["detail"].endswith(words)


def test_unknown_users(shim, key, reporter):
    answer = shim.get(f"/api/v1/users/{NOBODY}/sync/stream", key)
    assert (answer.status, answer.json()) == (404, {"detail": "User not found"})
    assert shim.get("/api/v1/users/alice/sync/stream", key).status == 422
    # 401 comes before 422, 422 before 404.
    assert shim.get("/api/v1/users/alice/sync/stream").status == 401
    assert shim.get(f"/api/v1/users/{NOBODY}/sync/stream?replay=0", key).status == 422


def test_user_in_capitals(shim, key, reporter):
    with shim.stream(PATH.replace(ALICE, ALICE.upper()), key) as stream:
        assert stream.messages(1) == ["first"]
        reporter.say("more")
        assert stream.messages(1) == ["more"]


def test_each_user_has_its_own(shim, key, reporter):
    with shim.stream(PATH, key) as alice, shim.stream(PATH.replace(ALICE, BOB), key) as bob:
        assert alice.messages(1) == bob.messages(1) == ["first"]
        reporter.report(*(reporter.event(user, f"{name}{i}") for i in range(50)
                          for user, name in ((ALICE, "a"), (BOB, "b"))))
        assert alice.messages(50) == [f"a{i}" for i in range(50)]
        assert bob.messages(50) == [f"b{i}" for i in range(50)]


def test_all_users_and_filters(shim, key, reporter):
    queries = {"": "a1 b1 a2 b2", f"user_id={BOB}": "b1 b2", "provider=oura": "a2 b2",
               f"provider=oura&user_id={ALICE}": "a2", "provider=none": ""}
    streams = {query: shim.stream(f"{ALL}?{query}&replay=1", key) for query in queries}
    for stream in streams.values():
        assert stream.block() == ": connected"
    reporter.report(*(reporter.event(user, f"{name}{i}", provider=provider, run=f"r{i}")
                      for i, provider in ((1, "garmin"), (2, "oura"))
                      for user, name in ((ALICE, "a"), (BOB, "b"))))
    reporter.say("end", user=ALICE, provider="none", run="end")
    reporter.say("end", user=BOB, provider="none", run="end")
    reporter.say("end", user=ALICE, provider="oura", run="end2")
    reporter.say("end", user=BOB, provider="oura", run="end2")
    for query, stream in streams.items():
        seen = []
        while (message := stream.event()[1]["message"]) != "end":
            seen.append(message)
        assert " ".join(message for message in seen if message != "first") == queries[query], query
        stream.close()


def test_by_connector(shim, key, daemon, client):
    streams = [shim.stream(f"{ALL}?connector={name}", key) for name in ("bank", "mail")]
    client.start("bank")
    worker = daemon.worker()
    worker.attach()
    worker.finish(1, outcome="succeeded")
    worker.exit()
    client.start("mail")
    worker = daemon.worker()
    worker.attach()
    for stream, user in zip(streams, (ALICE, BOB)):
        assert stream.event()[1]["user_id"] == user
        stream.close()
    worker.finish(1, outcome="succeeded")
    worker.exit()


def test_the_stream_of_all_needs_the_scope(shim, client, reporter):
    key = add_key(client, scopes=["sync:read", "sync:write"])
    answer = shim.get(ALL, key)
    assert (answer.status, answer.json()["detail"]) == (403, "API key not allowed to perform 'sync:admin' action")


def test_a_bound_key_has_its_user_alone(shim, client, reporter):
    key = add_key(client, user=ALICE)
    assert shim.get(PATH.replace(ALICE, BOB), key).status == 404
    assert shim.get(f"{ALL}?user_id={BOB}", key).status == 404
    with shim.stream(ALL, key) as stream:
        assert stream.messages(1) == ["first"]
        reporter.say("his", user=BOB)
        reporter.say("hers", user=ALICE)
        assert stream.messages(1) == ["hers"]


# ---- Resuming


def test_a_star_is_a_word_like_any_other(shim, key, reporter):
    with shim.stream(ALL + "?provider=*", key) as star, shim.stream(ALL, key) as plain:
        assert star.block() == plain.block() == ": connected"
        plain.messages(2)
        reporter.say("new")
        assert plain.messages(1) == ["new"]


def ids(stream, n):
    return [stream.event()[0] for _ in range(n)]


def test_resume(shim, key, reporter):
    reporter.say(*(f"e{i}" for i in range(500)))
    with shim.stream(PATH + "?replay=200", key) as stream:
        all_ids = ids(stream, 200)
    expected = [f"e{i}" for i in range(300, 500)]
    for n in (0, 1, 100, 199):
        for headers, query in (({"Last-Event-ID": str(all_ids[n])}, ""), ({}, f"?last_event_id={all_ids[n]}")):
            with shim.stream(PATH + query, key, headers=headers) as stream:
                assert stream.block() == ": connected"
                assert stream.messages(len(expected) - n - 1) == expected[n + 1:]
                reporter.say("live")
                assert stream.messages(1) == ["live"]
            expected.append("live")


def test_resume_from_far_behind(shim, key, reporter):
    """Page after page, while events go on coming."""
    last = reporter.last_id()
    for begin in (0, 900):
        reporter.say(*(f"e{i}" for i in range(begin, begin + 900)))
    with shim.stream(f"{PATH}?last_event_id={last}", key) as stream:
        reporter.say(*(f"e{i}" for i in range(1800, 1900)))
        assert stream.block() == ": connected"
        assert stream.messages(1900) == [f"e{i}" for i in range(1900)]
        reporter.say("live")
        assert stream.messages(1) == ["live"]


def test_resume_header_wins_and_nonsense_is_none(shim, key, reporter):
    reporter.say("second")
    with shim.stream(PATH, key, headers={"Last-Event-ID": "abc"}) as stream:
        assert stream.messages(2) == ["first", "second"]


def test_resume_after_another_history(shim, key, reporter):
    """The client's number is not of this history, and lower or higher than all here: it is told so, and gets all."""
    for last in (1, reporter.last_id() + 10 ** 15):
        with shim.stream(PATH, key, headers={"Last-Event-ID": str(last)}) as stream:
            assert stream.block() == ": connected"
            assert stream.block() == GAP
            assert stream.messages(1) == ["first"]
    with shim.stream(PATH, key, headers={"Last-Event-ID": str(last)}) as stream:
        assert stream.messages(1) == ["first"]
        reporter.say("live")
        assert stream.messages(1) == ["live"]


def test_resume_over_a_gap(shim, key, reporter, daemon, client):
    reporter.say(*(f"e{i}" for i in range(200)))
    # What is too much is deleted at the daemon's start.
    daemon.write("syncrun.conf", "[History]\nEventsMaxPerUser=5\n")
    daemon.restart()
    until = deadline()
    while True:
        events, first, _, _ = client.manager("ListEvents", "(a{sv})", options(user=ALICE))
        if len(events) == 5:
            break
        assert time.monotonic() < until
    with shim.stream(PATH, key, headers={"Last-Event-ID": "1"}) as stream:
        assert stream.block() == ": connected"
        assert stream.block() == GAP
        assert ids(stream, len(events)) == [event[0] for event in events]
        assert events[0][0] == first


def retain(daemon, client, history, n_left, **filter):
    """What is too much is deleted at the daemon's start."""
    daemon.write("syncrun.conf", f"[History]\n{history}\n")
    daemon.restart()
    until = deadline()
    while len(client.manager("ListEvents", "(a{sv})", options(**filter))[0]) != n_left:
        assert time.monotonic() < until


def test_a_gap_in_the_middle_is_told_to_those_who_miss_it(shim, key, reporter, daemon, client):
    """Runs that go by quota: told to readers who have not had their events, and to nobody else."""
    ends = {"stage": "completed"}
    for run in "abc":
        reporter.say(f"{run}1", run=run)
        reporter.say(f"{run}2", run=run, **ends if run != "c" else {})
        reporter.say(f"bob {run}", run="other", user=BOB, provider="other")
    (first, *_), *_ = client.manager("ListEvents", "(a{sv})", options(user=ALICE))
    seqs = [event[0] for event in client.manager("ListEvents", "(a{sv})", options(user=ALICE))[0]]
    lost = 2  # numbers of Alice's that go: those of her first ended run
    left = len(seqs) - lost
    retain(daemon, client, "RunsMaxPerConnector=1", left, user=ALICE)
    kept = [event[0] for event in client.manager("ListEvents", "(a{sv})", options(user=ALICE))[0]]
    gone = sorted(set(seqs) - set(kept))
    assert len(gone) == lost and kept[0] == first[0] < gone[0]
    for after in seqs:
        with shim.stream(PATH, key, headers={"Last-Event-ID": str(after)}) as stream:
            assert stream.block() == ": connected"
            if after < gone[-1]:
                assert stream.block() == GAP
            following = [seq for seq in kept if seq > after]
            assert ids(stream, len(following)) == following
            reporter.say("live")
            assert stream.messages(1) == ["live"]
            kept.append(client.manager("ListEvents", "(a{sv})", options(user=ALICE))[0][-1][0])
    everybody = f"{ALL}?last_event_id=0"
    for path, told in ((everybody, True), (f"{everybody}&provider=test", True), (f"{everybody}&provider=other", False),
                       (f"{everybody}&user_id={BOB}", False), (f"{everybody}&user_id={ALICE}", True)):
        with shim.stream(path, key) as stream:
            assert stream.block() == ": connected"
            assert (stream.block() == GAP) == told


def test_a_later_gap_of_a_stream_is_told(shim, key, reporter, daemon, client):
    """A reader that takes its time: what is deleted before it came to it is told where it would have been, once for each
    time that its reading meets such a place: deleting goes in steps, too."""
    last = reporter.last_id()
    for _ in range(40):
        reporter.say(*(f"e{i}" + "x" * 900 for i in range(50)))
    written = list(range(last + 1, reporter.last_id() + 1))
    with shim.stream(PATH, key, headers={"Last-Event-ID": str(last)}, local=True) as stream:
        assert stream.block() == ": connected"
        retain(daemon, client, "EventsMaxPerUser=5", 5, user=ALICE)
        kept = [event[0] for event in client.manager("ListEvents", "(a{sv})", options(user=ALICE))[0]]
        reporter.say("live")
        blocks = []
        while not blocks or '"live"' not in blocks[-1]:
            blocks.append(stream.block())
        told, expected = [], written[0]
        for before, block in zip([None] + blocks, blocks[:-1]):
            if block == GAP:
                assert before != GAP
                continue
            told.append(int(block.split("\n")[1][4:]))
            assert told[-1] == expected or (before == GAP and told[-1] > expected)
            expected = told[-1] + 1
        assert GAP in blocks and len(told) < len(written)
        assert told[-5:] == kept == written[-5:]


def test_what_was_lost_while_the_daemon_was_away(shim, key, reporter, daemon, client):
    """Committed and deleted before the server could hear of it: each stream is told of its own."""
    with shim.stream(PATH, key) as alice, shim.stream(PATH.replace(ALICE, BOB), key) as bob, \
            shim.stream(ALL, key) as everybody:
        for stream, n in ((alice, 1), (bob, 1), (everybody, 2)):
            assert stream.messages(n) == ["first"] * n
        last = reporter.last_id()
        daemon.stop()
        history = sqlite3.connect(daemon.state / "history.db")
        history.execute("INSERT INTO events SELECT ?, run, user, time_usec, replace(json, 'first', 'second') FROM events"
                        " WHERE user = (SELECT key FROM users WHERE id = ?)", (last + 1, ALICE))
        history.execute("INSERT INTO lost_events SELECT key, 'test', '', ? FROM users WHERE id = ?", (last + 2, BOB))
        history.execute("UPDATE meta SET value = ? WHERE name = 'last_seq'", (last + 2,))
        history.commit()
        history.close()
        daemon.start()
        assert alice.block().startswith(f"event: sync.status\nid: {last + 1}\n")
        assert bob.block() == GAP
        assert everybody.block() == GAP
        assert everybody.messages(1) == ["second"]
        for user, stream in ((ALICE, alice), (BOB, bob)):
            reporter.say("live", user=user)
            assert stream.block().startswith(f"event: sync.status\nid: {reporter.last_id()}\n")
        assert everybody.messages(2) == ["live", "live"]


# ---- Many readers, and slow ones


def test_many_readers_get_the_same(shim, key, reporter):
    streams = [shim.stream(PATH, key) for _ in range(50)]
    for stream in streams:
        assert stream.messages(1) == ["first"]
    for i in range(20):
        reporter.say(*(f"{i}.{j}" for j in range(10)))
    expected = [f"{i}.{j}" for i in range(20) for j in range(10)]
    for stream in streams:
        assert stream.messages(200) == expected
        stream.close()


def test_events_of_one_commit_come_in_few_chunks(shim, key, reporter):
    with shim.stream(PATH, key) as stream:
        assert stream.messages(1) == ["first"]
        n = len(stream.chunks)
        reporter.say(*(f"e{i}" for i in range(160)))
        assert stream.messages(160) == [f"e{i}" for i in range(160)]
        assert len(stream.chunks) - n <= 11


def test_a_reader_that_does_not_read_is_cut(new_shim, client, key, reporter):
    shim = new_shim("[Streams]\nBacklogMaxBytes=65536\n")
    slow = shim.stream(PATH, key, receive_buffer=4096)
    seq, _ = slow.event()
    with shim.stream(PATH, key) as quick:
        assert quick.messages(1) == ["first"]
        sent = []
        big = "x" * 900
        while shim.metric(key, "syncrun_http_streams_cut_total") == 0:
            batch = [f"{len(sent) + i} {big}" for i in range(100)]
            reporter.say(*batch)
            assert quick.messages(100) == batch
            sent += batch
        # It got a part of it, in order and whole, and then the end of the connection.
        seen = []
        try:
            while event := slow.event():
                seq = event[0]
                seen.append(event[1]["message"])
        except (ConnectionResetError, AssertionError, ValueError):
            pass
        assert 0 < len(seen) < len(sent)
        assert seen == sent[: len(seen)]
        assert not slow.ended
        slow.close()
        # And can resume.
        with shim.stream(PATH, key, headers={"Last-Event-ID": str(seq)}) as again:
            assert again.messages(len(sent) - len(seen)) == sent[len(seen):]
        reporter.say("on")
        assert quick.messages(1) == ["on"]


def test_a_large_replay_comes_in_pages(shim, key, reporter):
    """What is asked for comes whole, however large, and no more of it at once than a client has taken."""
    messages = reporter.big(120)
    for query in ("?replay=100", "?last_event_id=0"):
        with shim.stream(PATH + query, key) as stream:
            assert stream.block() == ": connected"
            expected = messages[-100:] if "replay" in query else ["first", *messages]
            assert stream.messages(len(expected)) == expected
            assert 1 < len([chunk for chunk in stream.chunks if chunk]) and max(map(len, stream.chunks)) < 300 * 1024
            live = reporter.big(1, len(messages))
            assert stream.messages(1) == live
            messages += live


def test_all_backlogs_together(new_shim, key, reporter):
    """Each is within its own, and together they are too much: who comes to it is cut, and the others are served."""
    shim = new_shim("[Streams]\nBacklogMaxBytes=16777216\nBacklogsMaxBytes=1048576\n")
    slow = [shim.stream(f"{ALL}?provider={name}&replay=1", key, receive_buffer=4096) for name in ("test", "other")]
    with shim.stream(PATH, key) as quick:
        assert quick.messages(1) == ["first"]
        n = 0
        while shim.metric(key, "syncrun_http_streams_cut_total") == 0:
            messages = reporter.big(10, n)
            n += 10
            assert quick.messages(10) == messages
        assert n * 16000 < 16777216
    for stream in slow:
        stream.close()


def test_a_slow_reader_gets_all(shim, key, reporter):
    """Within the backlog nothing is lost: the rest is sent when there is room again."""
    with shim.stream(PATH, key, receive_buffer=4096) as slow:
        assert slow.messages(1) == ["first"]
        sent = []
        for _ in range(4):
            batch = [f"{len(sent) + i} {'y' * 500}" for i in range(60)]
            reporter.say(*batch)
            sent += batch
        assert slow.messages(len(sent)) == sent


def test_slow_readers_of_the_past_are_waited_for(new_shim, key, reporter):
    """What they have asked for comes as they take it, though all together would be too much to keep; live events too."""
    shim = new_shim("[Streams]\nBacklogMaxBytes=65536\nBacklogsMaxBytes=1048576\n")
    past = ["first", *reporter.big(120)]
    slow = [shim.stream(f"{PATH}?{query}", key, local=True)
            for query in (*["last_event_id=0"] * 6, *["replay=121"] * 2)]
    with shim.stream(PATH, key) as quick:
        assert quick.messages(20) == past[-20:]
        live = reporter.big(20, 120)
        assert quick.messages(20) == live
        for stream in slow:
            assert stream.messages(141) == [*past, *live]
        reporter.say("end")
        for stream in (quick, *slow):
            assert stream.messages(1) == ["end"]
        assert shim.metric(key, "syncrun_http_streams_cut_total") == 0
    for stream in slow:
        stream.close()


def test_more_streams_than_may_ask_at_once(new_shim, daemon, key, reporter):
    """64 (ASKING_MAX) ask for what comes behind their first page; one more waits for its turn, and has all of it, too."""
    shim = new_shim("[Streams]\nStreamsPerKeyMax=100\n")
    assert shim.get("/v1/sync-runs", key).status == 200
    last, expected = reporter.last_id(), [f"e{i}" for i in range(501)]
    reporter.say(*expected)
    daemon.process.send_signal(19)
    ends = [shim.connect(local=True) for _ in range(65)]
    for end in ends:
        end.sendall(f"GET {PATH}?last_event_id={last} HTTP/1.0\r\nX-API-Key: {key}\r\n\r\n".encode())
    daemon.process.send_signal(18)
    reporter.say("end")
    for end in ends:
        data = b""
        while b'"message":"end"' not in data:
            data += end.recv(1 << 20)
        assert re.findall(r'"message":"(.*?)"', data.decode()) == [*expected, "end"]
        end.close()


# ---- Ends


def wait_streams(shim, key, n):
    while shim.metric(key, "syncrun_http_streams") != n:
        pass


def test_a_client_that_goes_is_forgotten(shim, key, reporter):
    streams = [shim.stream(PATH, key) for _ in range(5)]
    assert shim.metric(key, "syncrun_http_streams") == 5
    for stream in streams:
        stream.close()
    wait_streams(shim, key, 0)
    reporter.say("nobody hears")
    with shim.stream(PATH + "?replay=1", key) as stream:
        assert stream.messages(1) == ["nobody hears"]


def test_a_client_that_closes_for_writing_is_gone(shim, key, reporter):
    with shim.stream(PATH, key) as stream:
        assert stream.messages(1) == ["first"]
        stream.end.shutdown(socket.SHUT_WR)
        assert read_to_end(stream.end) == b"0\r\n\r\n"
    wait_streams(shim, key, 0)


def test_the_end_is_told(shim, key, reporter):
    with shim.stream(PATH, key) as stream:
        assert stream.messages(1) == ["first"]
        assert shim.stop() == 0
        assert stream.rest() == []
        assert stream.ended


def test_a_revoked_key_ends_its_streams(shim, client, key, reporter):
    other = add_key(client, "other")
    with shim.stream(PATH, other) as stream, shim.stream(ALL, other) as wide, shim.stream(PATH, key) as stays:
        for each in (stream, wide, stays):
            assert each.messages(1) == ["first"]
        client.manager("RevokeApiKey", "(s)", "other")
        assert stream.rest() == []
        assert stream.ended
        wide.rest()
        assert wide.ended
        reporter.say("more")
        assert stays.messages(1) == ["more"]
    assert shim.get(PATH, other).status == 401


def test_head(shim, key, reporter):
    answer = shim.request("HEAD", PATH, key)
    assert (answer.status, answer.body) == (200, b"")
    assert answer.headers["Content-Type"] == "text/event-stream; charset=utf-8"
    assert not {"Content-Length", "ETag"} & set(answer.headers)
    assert shim.request("HEAD", PATH, key, headers={"If-None-Match": "*"}).status == 200
    assert shim.request("HEAD", PATH.replace(ALICE, NOBODY), key).status == 404


def test_limits_of_streams(new_shim, client, reporter):
    shim = new_shim("[Streams]\nStreamsMax=3\nStreamsPerKeyMax=2\n")
    one, two = add_key(client, "one"), add_key(client, "two")
    streams = [shim.stream(PATH, one) for _ in range(2)]
    answer = shim.get(PATH, one)
    assert (answer.status, answer.headers["Retry-After"]) == (429, "30")
    assert shim.request("HEAD", PATH, one).status == 429
    streams.append(shim.stream(PATH, two))
    answer = shim.get(PATH, two)
    assert (answer.status, answer.headers["Retry-After"]) == (503, "30")
    assert [stream.status for stream in streams] == [200] * 3
    streams[0].close()
    wait_streams(shim, two, 2)
    with shim.stream(PATH, one) as stream:
        assert stream.status == 200
    for stream in streams:
        stream.close()


def test_heartbeat(new_shim, key, reporter):
    """A comment, byte for byte (C23); and an event for those who asked, since an EventSource hides comments. A client
    that takes nothing is found then."""
    shim = new_shim("[Limits]\nSendTimeoutSec=10\n")
    past = ["first", *reporter.big(60)]
    begun = time.monotonic()
    stuck = shim.stream(PATH + "?replay=61", key, local=True)
    with shim.stream(PATH, key) as stream, shim.stream(ALL + "?replay=1&heartbeat=comment", key) as wide, \
            shim.stream(PATH + "?replay=1&heartbeat=event", key) as page:
        for each in (stream, wide, page):
            assert each.messages(20 if each is stream else 1)[-1] == past[-1]
        readable, _, _ = select.select([stream.end, wide.end, page.end], [], [], max(0, begun + 14.9 - time.monotonic()))
        assert not readable or time.monotonic() > begun + 15
        for each in (stream, wide):
            assert each.block() == ": heartbeat"
        assert page.block() == "event: heartbeat\ndata: {\"available\":true}"
        assert page.chunks[-1] == b"event: heartbeat\ndata: {\"available\":true}\n\n"
        assert shim.metric(key, "syncrun_http_streams_cut_total") == 1
        assert b"id: " in read_to_end(stuck.end)
    stuck.close()
