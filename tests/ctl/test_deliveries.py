# SPDX-License-Identifier: LGPL-2.1-or-later
"""syncrunctl deliveries and redeliver, with news of a run that an endpoint of the test's own does not take at first."""

import pytest
from harness import wait_for
from receiver import Receiver, answer

LOCAL = "[Webhooks]\nAllowHTTP=yes\nAllowAddressLiterals=yes\nAllowPrivateAddresses=yes\nRetrySec=1h\n"


@pytest.fixture
def receiver():
    instance = Receiver(script=[answer(503)])
    yield instance
    instance.close()


def test_list_and_once_more(world, ctl, receiver):
    world.daemon.write("syncrun.conf", LOCAL)
    world.script("bank")
    world.start()
    assert "Nothing of bank" in ctl.both("deliveries", "bank")[1]
    ctl.run("webhook", "add", receiver.url(path="/secret"), "--types=sync.completed", "-q")
    ctl.run("start", "--wait", "bank", "-q")
    (first,) = wait_for(lambda: ctl.json("deliveries", "bank")["deliveries"], "the attempt")
    (row,) = ctl.rows("deliveries", "bank")
    at = row.index(first["id"])
    assert row[at + 1:at + 4] == ["lifecycle", "sync.completed", "503"]
    assert row[at + 5:] == ["0", "-", "HTTP", "status", "503."]
    ctl.run("redeliver", "bank", first["id"])
    wait_for(lambda: len(ctl.json("deliveries", "bank")["deliveries"]) == 2, "the other attempt")
    newest = ctl.rows("deliveries", "bank")[0]
    assert "200" in newest and newest[-1] == "delivered"
    assert len(ctl.json("deliveries", "bank", "-n1")["deliveries"]) == 1
    status, _, err = ctl.both("redeliver", "bank", "datt_none")
    assert status == 4 and "no such delivery" in err
