# SPDX-License-Identifier: LGPL-2.1-or-later
"""What becomes of records: counts, keys, content, cursors."""

import json

from harness import counts, record, schema, state


def test_first_run(bench):
    end = bench.pull([schema(), record(1, amount="4.20"), record(2), state({"since": 2})])
    assert end["outcome"] == "succeeded", bench.last.stderr
    assert counts(end) == (2, 2, 0, 0)
    assert bench.items() == [("tx", "1", '{"id": 1, "amount": "4.20"}'), ("tx", "2", '{"id": 2}')]
    assert json.loads(bench.daemon.cursor) == {"since": 2}
