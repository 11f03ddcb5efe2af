# SPDX-License-Identifier: LGPL-2.1-or-later
"""The server and the daemon are killed again and again under open streams and reports: clients that come back with their
last id have seen every event once, in order. Servers that replay wrongly show that it would be noticed."""

import os
import random
import threading

import pytest
from harness import wait_for
from server import ALICE, BOB

USER_STREAM = "/api/v1/users/{}/sync/stream"
ALL_STREAM = "/api/v1/sync/stream"
KILLS = 12


class Follower(threading.Thread):
    """A client that resumes by its last id until it is told of the end."""

    def __init__(self, shim, key, path, users, **more):
        super().__init__(daemon=True)
        self.arguments = (shim, key, path, more)
        self.users = users
        self.seen = []
        self.n_streams = 0
        self.start()

    def run(self):
        shim, key, path, more = self.arguments
        last = 0
        while True:
            try:
                with shim.stream(path, key, headers={"Last-Event-ID": str(last)}, **more) as stream:
                    self.n_streams += 1
                    while event := stream.event():
                        last, message = event[0], event[1]["message"]
                        if message == "the end":
                            return
                        self.seen.append(message)
            except (OSError, AssertionError, ValueError, IndexError):
                pass  # killed: in a head, in a chunk, or before either


def campaign(shim, daemon, reporter, key, seed):
    """Return: what was seen wrongly, and how often clients had to come back."""
    draw = random.Random(seed)
    followers = [Follower(shim, key, USER_STREAM.format(ALICE), [ALICE]) for _ in range(4)]
    followers += [Follower(shim, key, USER_STREAM.format(BOB), [BOB]), Follower(shim, key, ALL_STREAM, [ALICE, BOB]),
                  Follower(shim, key, f"{ALL_STREAM}?user_id={BOB}", [BOB], local=True),
                  Follower(shim, key, USER_STREAM.format(ALICE), [ALICE], receive_buffer=4096),
                  Follower(shim, key, ALL_STREAM, [ALICE, BOB], version="1.0")]
    said = [(ALICE, "first"), (BOB, "first")]
    wait_for(lambda: all(follower.n_streams for follower in followers), "everybody's first stream")
    for i in range(KILLS):
        for j in range(draw.randint(1, 4)):
            batch = [(draw.choice([ALICE, BOB]), f"{i}.{j}.{n}") for n in range(draw.randint(1, 40))]
            reporter.report(*(reporter.event(user, message) for user, message in batch))
            said += batch
        victims = draw.choice([[shim], [shim], [daemon], [daemon, shim]])
        for victim in victims:
            victim.kill9()
        if daemon not in victims:  # for all of them to miss
            batch = [(user, f"{i}.away.{n}") for n in range(10) for user in (ALICE, BOB)]
            reporter.report(*(reporter.event(user, message) for user, message in batch))
            said += batch
        for victim in victims:
            victim.start()
    # Also a client that is told nothing of the one end comes to another.
    while any(follower.is_alive() for follower in followers):
        reporter.report(*(reporter.event(user, "the end") for user in (ALICE, BOB)))
        for follower in followers:
            follower.join(0.2)
    wrong = [follower for follower in followers
             if follower.seen != [message for user, message in said if user in follower.users]]
    return wrong, sum(follower.n_streams for follower in followers)


@pytest.mark.parametrize("seed", [1, 2])
def test_every_event_once(shim, daemon, reporter, key, seed):
    wrong, n_streams = campaign(shim, daemon, reporter, key, seed)
    assert not wrong, [follower.seen for follower in wrong]
    assert n_streams >= 2 * 9


@pytest.mark.parametrize("mutant", ["FORGETS", "REPEATS"])
def test_it_would_be_noticed(shim, daemon, reporter, key, monkeypatch, mutant):
    shim.kill9()
    monkeypatch.setenv("SYNCRUN_HTTP", os.environ[f"SYNCRUN_HTTP_{mutant}"])
    shim.start()
    assert campaign(shim, daemon, reporter, key, 1)[0]
