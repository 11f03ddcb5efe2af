# SPDX-License-Identifier: LGPL-2.1-or-later
"""syncrun-csv-bank, on the sample that is installed with it and on changes made to a copy of it."""

import json
import os
import shutil

import pytest
from harness import CONNECTORS, Connector

CHECKING_ROWS = 3 * 28
SAVINGS_ROWS = 11
CREDIT_CARD_ROWS = 10


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "bank"
    shutil.copytree(CONNECTORS / "sample" / "bank", path)
    return path


@pytest.fixture
def bank(folder, tmp_path):
    return Connector("syncrun-csv-bank", "--folder", folder, state=tmp_path / "state")


def repair(folder):
    path = folder / "credit-card_2026-10.csv"
    path.write_text(path.read_text().replace('"-18,9O"', "-18.90"))


def test_sample_has_two_good_accounts_and_one_broken(bank):
    outcome = bank.run()
    assert outcome.status == os.EX_OK
    assert {name: message["status"] for name, message in outcome.accounts.items()} == {
        "checking": "success", "savings": "success", "credit-card": "failed"}
    assert outcome.accounts["credit-card"]["category"] == "data_error"
    assert outcome.accounts["credit-card"]["error"] == 'credit-card_2026-10.csv, line 8: "-18,9O" is not an amount'
    by_account = [message["account"] for message in outcome.of("RECORD")]
    assert (by_account.count("checking"), by_account.count("savings")) == (CHECKING_ROWS, SAVINGS_ROWS)
    assert by_account.count("credit-card") == 0
    last = outcome.of("PROGRESS")[-1]
    assert last["processed"] == last["total"] == CHECKING_ROWS + SAVINGS_ROWS


def test_repaired_account_is_sent_whole(bank, folder):
    bank.run()
    repair(folder)
    outcome = bank.run()
    assert {message["status"] for message in outcome.accounts.values()} == {"success"}
    assert [message["account"] for message in outcome.of("RECORD")].count("credit-card") == CREDIT_CARD_ROWS


def test_second_run_sends_only_the_overlap_with_the_same_ids(bank):
    first = {record["id"]: record for record in bank.run().records}
    second = bank.run().records
    assert 0 < len(second) < len(first)
    assert all(first[record["id"]] == record for record in second)
    assert min(record["date"] for record in second if record["account"] == "checking") >= "2026-10-14"


def test_full_resync_sends_all_with_the_same_ids(bank):
    first = bank.run().records
    assert bank.run(full_resync=True).records == first


def test_equal_bookings_without_reference_are_two(bank):
    rolls = [record for record in bank.run().records
             if record["date"] == "2026-10-28" and record["amount"] == "-2.80"]
    assert len(rolls) == 2 and rolls[0]["id"] != rolls[1]["id"]


def test_correction_keeps_the_id_where_there_is_a_reference(bank, folder):
    before = {record["id"]: record for record in bank.run().records}
    path = folder / "checking_2026-10.csv"
    path.write_text(path.read_text().replace("Kino Monopol,TX100023", "Kino Monopol (2 tickets),TX100023"))
    changed = [record for record in bank.run().records if before.get(record["id"]) != record]
    assert [record["description"] for record in changed] == ["Kino Monopol (2 tickets)"]
    assert changed[0]["id"] in before


def test_new_statement_is_sent(bank, folder):
    bank.run()
    (folder / "checking_2026-11.csv").write_text("date,amount,currency,description\n2026-11-02,-5,EUR,Kiosk\n")
    assert "Kiosk" in [record["description"] for record in bank.run().records]


def test_statements_may_overlap(bank, folder):
    """The same lines in two files are the same transactions."""
    lines = (folder / "savings.csv").read_text().splitlines(keepends=True)
    (folder / "savings_again.csv").write_text("".join([lines[0], *lines[-3:]]))
    ids = [record["id"] for record in bank.run(may_repeat=True).records if record["account"] == "savings"]
    assert len(ids) == SAVINGS_ROWS + 3
    assert len(set(ids)) == SAVINGS_ROWS


def test_only_the_accounts_that_were_asked_for(bank):
    outcome = bank.run(accounts=["savings", "unheard of"])
    assert list(outcome.accounts) == ["savings"]
    assert list(outcome.of("STATE")[-1]["value"]["newest"]) == ["savings"]


@pytest.mark.parametrize("consent, category", [
    (None, "consent_expired"),
    ({"expires": "2020-01-01"}, "consent_expired"),
    ({"expires": "2099-12-31", "withdrawn": "2026-10-01"}, "consent_withdrawn"),
])
def test_without_consent_nothing_is_read(bank, folder, consent, category):
    path = folder / "consent.json"
    if consent is None:
        path.unlink()
    else:
        path.write_text(json.dumps(consent))
    outcome = bank.run()
    assert outcome.status == os.EX_NOPERM
    assert [message["type"] for message in outcome.messages] == ["ATTENTION"]
    assert outcome.messages[0]["category"] == category


@pytest.mark.parametrize("text", ["{}", '{"expires": "soon"}', '{"expires": 3}', "{"])
def test_consent_that_does_not_read_is_a_configuration_error(bank, folder, text):
    (folder / "consent.json").write_text(text)
    outcome = bank.run()
    assert outcome.status == os.EX_CONFIG
    assert outcome.messages[0]["category"] == "configuration_error"


def test_all_accounts_broken_fails_the_run(bank, folder):
    for path in folder.glob("*.csv"):
        path.write_text("date,amount\n")
    outcome = bank.run()
    assert outcome.status == os.EX_DATAERR
    assert outcome.accounts["savings"]["error"] == "savings.csv, line 1: the header does not name currency, description"
    assert outcome.of("STATE") == []
    assert outcome.of("ATTENTION")[0]["category"] == "data_error"


@pytest.mark.parametrize("line, error", [
    ("2026-13-01,1,EUR,x", '"2026-13-01" is not a date'),
    ("2026-10-01,NaN,EUR,x", '"NaN" is not an amount'),
    ("2026-10-01,,EUR,x", "no amount"),
    ("2026-10-01", "no amount and no currency and no description"),
    ("2026-10-01,1,EUR,x,y", "more fields than the header names"),
])
def test_broken_line_is_named(bank, folder, line, error):
    (folder / "savings.csv").write_text(f"date,amount,currency,description\n{line}\n")
    assert bank.run().accounts["savings"]["error"] == f"savings.csv, line 2: {error}"


def test_file_that_is_not_text_is_named(bank, folder):
    (folder / "savings.csv").write_bytes(b"\xff\xfe\x00")
    assert bank.run().accounts["savings"]["error"].startswith("savings.csv, line 1: ")


def test_account_without_lines_has_no_data(bank, folder):
    (folder / "savings.csv").write_text("date,amount,currency,description\n")
    outcome = bank.run()
    assert outcome.accounts["savings"]["status"] == "no_data"
    assert "savings" not in outcome.of("STATE")[-1]["value"]["newest"]


def test_no_such_folder_asks_for_attention(tmp_path):
    outcome = Connector("syncrun-csv-bank", "--folder", tmp_path / "none", state=tmp_path / "state").run()
    assert outcome.status == os.EX_CONFIG
    assert outcome.messages[0]["category"] == "configuration_error"
