# SPDX-License-Identifier: LGPL-2.1-or-later
"""docs/LIMITS.md beside the sources: every limit is there with its value, and the test that it names knows it."""

import re

from source import TOP, files

DEFINED = re.compile(r"^#define +([A-Z][A-Z0-9_]*_MAX|[A-Z][A-Z0-9_]*_LIMIT(?:_[A-Z]+)?)[ \t]+([^\n]+?)[ \t]*$", re.M)
ROW = re.compile(r"^\| `(\w+)` \| `([^`]+)` \| ([^|]+) \| `(\S+)` \| (?:`(\S+)`|–) \|$", re.M)

SETTING_ROW = re.compile(r"^\| `(\w+)=` \| `(\S+)` \| ([^|]+) \| `(\S+)` \|$", re.M)
SETTINGS = {"syncrun.conf": "model/settings.c", "syncrun-http.conf": "http/http-settings.c"}

# Sizes of our own buffers and tables, turns of our own, and ends of ranges of numbers: nothing that somebody could make grow.
INNER = {
    "LOG_FIELDS_MAX", "SHA256_HEX_MAX", "PROC_NAME_MAX", "TIMESPAN_TEXT_MAX", "TIMESTAMP_TEXT_MAX", "UUID_TEXT_MAX",
    "ERROR_NAME_MAX", "PROPERTIES_MAX", "OBJECT_INTERFACES_MAX", "WEBHOOK_WORDS_MAX", "OPTION_ROWS_MAX",
    "CANCELLATION_ID_MAX", "REQUESTED_BY_MAX", "ASK_OPTIONS_MAX", "TABLE_COLUMNS_MAX", "WISHES_MAX", "STATUS_TEXT_MAX",
    "ADDRESS_TEXT_MAX", "NUMBER_TEXT_MAX", "RUN_FIELDS_MAX", "INVOCATION_TEXT_MAX", "FAREWELL_BODY_MAX", "PEER_TEXT_MAX",
    "ETAG_TEXT_MAX", "SESSION_TEXT_MAX", "SECONDS_MAX", "API_KEY_TEXT_MAX", "CALENDAR_YEAR_MAX",
    "CALENDAR_DAYS_FROM_END_MAX", "HTTP_STATUS_MAX", "REPORT_BYTES_MAX", "SHOWN_VALUE_MAX", "RUN_STORED_ID_MAX",
    "OFFSET_LIMIT_SEC", "CHANGE_HOURS_MAX", "OFFSET_HOURS_MAX", "PAGE_TOKEN_TEXT_MAX", "PLAIN_DIGITS_MAX",
    "PROC_FD_PATH_MAX", "TYPE_WORD_MAX", "BUFFER_BYTES_MAX", "LISTENERS_MAX", "PAGE_FILES_MAX", "ANSWER_HEADERS_MAX",
    "REQUEST_ARGUMENTS_MAX", "CONFIG_WATCH_LIMIT_USEC", "NSSWITCH_MAX", "SIGNATURE_SECRET_TEXT_MAX", "ATTENTION_ADVICE_MAX",
    "ITERATOR_MAX", "NAME_CURSOR_TEXT_MAX", "HTTP_DATE_TEXT_MAX", "SESSION_ID_TEXT_MAX", "COMPLAINT_MAX",
    "MHD_TURNS_MAX", "TURNS_SHARE_MAX",
}  # fmt: skip


def defined():
    """(name, file) → value"""
    return {(name, file.name): value for file in files() for name, value in DEFINED.findall(file.no_comments)}


def rows():
    return ROW.findall((TOP / "docs" / "LIMITS.md").read_text())


def test_table_is_read():
    text = (TOP / "docs" / "LIMITS.md").read_text()
    assert len(rows()) + len(SETTING_ROW.findall(text)) == text.count("\n| `") > 100


def test_all_limits_are_in_the_table():
    here = {key: value for key, value in defined().items() if key[0] not in INNER}
    told = {(name, file): value for name, value, _, file, _ in rows()}
    wrong = sorted(key for key in told.keys() | here.keys() if told.get(key) != here.get(key))
    assert not wrong, f"rows of docs/LIMITS.md that are missing, have another value, or are of nothing: {wrong}"
    assert not INNER - {name for name, _ in defined()}


def test_tests_know_their_limits():
    for name, _, _, _, test in rows():
        if test:
            assert re.search(rf"\b{name}\b", (TOP / "tests" / test).read_text()), f"{name} is not in {test}"


def test_all_settings_that_are_limits_are_in_the_table():
    told = {(name, file): test for name, file, _, test in SETTING_ROW.findall((TOP / "docs" / "LIMITS.md").read_text())}
    found = {(name, file): field for file, source in SETTINGS.items()
             for name, field in re.findall(r'ITEM\("\w+", "(\w+)", (?:conf_parse_count|parse_bytes), (\w+)\)', (TOP / "src" / source).read_text())}
    assert told.keys() == found.keys() and len(told) > 20
    for (name, file), test in told.items():
        text = (TOP / "tests" / test).read_text()
        assert re.search(rf"(?:\b|\\n)(?:{name}|{found[name, file]})\b", text), f"{name} is not in {test}"


def test_what_is_not_tested_says_why():
    _, reasons = (TOP / "docs" / "LIMITS.md").read_text().split("\n## Not tested at their size\n")
    assert re.findall(r"^- `(\w+)`: ", reasons, re.M) == [name for name, _, _, _, test in rows() if not test]
