# SPDX-License-Identifier: LGPL-2.1-or-later
"""What happens is seen at once, over whatever happens to the server."""

import itertools
import os
import signal
import statistics
import subprocess
import time

import pytest
from browser import TIME_ZONE, WAIT_SEC, Keys
from npm import HERE
from sites import PULL, finish

AT_ONCE_SEC = 1
# What a browser says of requests that do not arrive, or arrive where there is no daemon.
REFUSED = ("net::ERR_", "503 (Service Unavailable)")
LOOKS = 7

# How long the page takes from an event's arrival to what it shows of it: no other's business slows that down much.
WATCH = """
    window.took = [];
    const due = [], shown = () => parseInt(document.querySelector(".percent")?.textContent ?? "-1");
    const Plain = EventSource;
    window.EventSource = class extends Plain {
      addEventListener(type, listener) {
        super.addEventListener(type, (message) => {
          const event = type === "sync.status" ? JSON.parse(message.data) : {}, percent = Math.floor(100 * event.items_processed / event.items_total);
          if (percent > shown()) due.push({at: performance.now(), percent});
          listener(message);
        });
      }
    };
    new MutationObserver(() => {
      while (due[0]?.percent <= shown()) window.took.push(performance.now() - due.shift().at);
    }).observe(document, {subtree: true, childList: true, characterData: true});"""


def test_a_run_from_beginning_to_end(page, site):
    page.go("#/syncs/live-two")
    with page.beforehand(WATCH):
        page.refresh()
    page.find(".is-live", "Live")
    worker = site.run("live-two")
    page.find(".running")
    sequence, took = itertools.count(1), []
    worker.report(next(sequence), stage="fetching", processed=0, total=800)
    page.find(".steps .here", "Fetching")
    page.find(".percent", "0 %")
    for percent in range(1, LOOKS + 1):
        begun = time.monotonic()  # a worker reports again and again, and of what comes too soon there is no event
        page.until(lambda: worker.report(n := next(sequence), processed=8 * percent, total=800, message=f"Page {n} of many")
                   or page.has(".percent", f"{percent} %"), "the progress")
        took.append(time.monotonic() - begun)
    shown = [ms / 1000 for ms in page.script("return window.took")]
    for what, times in (("from the report to the look", took), ("from the event to the page", shown)):
        print(what, " ".join(f"{sec:.3f}" for sec in times), "s")
    assert len(shown) >= LOOKS // 2 and statistics.median(took) < AT_ONCE_SEC  # single ones may have met a busy machine
    done = itertools.count(500)
    page.until(lambda: worker.report(next(sequence), processed=next(done), total=800)
               or page.script("return document.querySelector('progress').value > 0.6 && document.querySelector('.facts').innerText.includes('items/s')"), "the rate")
    facts = page.text(".facts")
    assert "of 800 items" in facts and "left" in facts and "running for" in facts
    page.find(".running", "of many")
    page.state("running")
    worker.report(next(sequence), accounts=[{"account": "one", "status": "success", "discovered": 700, "added": 640, "updated": 60, "deduped": 0},
                                            {"account": "two", "status": "failed", "error": "no such account"}, {"account": "three"}])
    page.becomes(".entry.busy .accounts tbody .mark", "all.map((e) => e.textContent)", ["Success", "Failed", "Running"])
    finish(worker, next(sequence), outcome="partial", error="two: no such account", discovered=700, added=640, updated=60)
    page.gone(".running")
    page.find(".pill", "Needs attention")
    page.find(".banner", "Account two failed: no such account")
    page.find(".entry.warn", "Partial")
    page.find(".entry.warn", "no such account")
    page.find("#said", "Run of live-two: Partial")


@pytest.mark.parametrize("what", ["api", "deliveries", "feed", "overtaken", "progress", "storm", "words"])
def test_without_a_browser(what):
    done = subprocess.run(["node", HERE / f"{what}.mjs"], capture_output=True, text=True, timeout=WAIT_SEC, env={**os.environ, "TZ": TIME_ZONE})
    assert done.returncode == 0, done.stderr


def test_in_the_list(page, site):
    page.find(".is-live")
    row = ".row[data-key=live-one]"
    page.find(row)
    worker = site.run("live-one")
    page.find(f"{row} .pill", "Syncing")
    worker.report(1, stage="saving", processed=5, total=10)
    page.find(f"{row} .cell-last", "Saving50 %")
    worker.finish(2, outcome="failed", error="No", attention="data_error")
    worker.exit()
    page.find(f"{row} .pill", "Needs attention")
    page.find(f"{row} svg.strip .bad")
    worker = site.run("live-one")
    finish(worker, 1, outcome="succeeded")
    page.find(f"{row} .pill", "Active")


def test_what_a_person_does_is_left_alone(page, site):
    """Focus, an opened part, and what is being typed outlive the news."""
    page.go("#/syncs/invoices")
    page.click(".entry [data-more=log] summary")
    page.find(".entry [data-more=log][open] .log p")
    page.focus(".entry [data-more=log] summary")
    page.script("window.mark = document.querySelector('.entry')")
    worker = site.run("invoices")
    page.find(".running")
    worker.report(1, stage="fetching", processed=1)
    finish(worker, 2, outcome="succeeded")
    page.gone(".running")
    page.when("""const entries = all(".entry"); return entries.length === 25 && entries[0].matches(".good") && entries[1] === window.mark""", what="the new entry before the known one")
    assert page.script("return window.mark.querySelector('[data-more=log]').open && window.mark.contains(document.activeElement)")
    page.go("#/")
    page.focus("[name=search]")
    page.press("live")
    worker = site.run("live-one")
    page.find(".row .pill", "Syncing")
    page.press("-on")
    page.becomes(".cell-name a", "all.map((a) => a.textContent)", ["live-one"])
    assert page.get("[name=search]", "e.value") == "live-on"
    finish(worker, 1, outcome="succeeded")
    page.find(".row .pill", "Active")


def test_what_one_clicks_stays_what_it_is(page, site):
    """A run begins between the press of the mouse's button and its release, and puts another button where this one was."""
    page.go("#/syncs/live-one")
    where = page.middle("[data-action=full-resync]:enabled")
    page.script("window.pressed = document.querySelector('[data-action=full-resync]')")
    page.mouse("mousePressed", where)
    worker = site.run("live-one")
    page.when("return (window.seen ??= fetch('v1/connectors/live-one').then((r) => r.json()).then((c) => { window.status = c.connector.status; })) && window.status === 'Syncing'")
    page.mouse("mouseReleased", where)
    page.find("dialog[open]")  # its click was not lost
    page.find(".running")
    assert page.script("return window.pressed.isConnected && window.pressed.dataset.action === 'full-resync'")
    page.press(Keys.ESCAPE)
    page.gone("dialog[open]")
    finish(worker, 1, outcome="succeeded")
    page.gone(".running")
    # The order of the rows changes: the one with the focus keeps it.
    page.go("#/?order=last")
    page.focus(".row[data-key=live-one] a")
    worker = site.run("hooks")
    finish(worker, 1, outcome="succeeded")
    page.becomes(".cell-name a", "all[0].textContent", "hooks")
    assert page.focused() == "live-one"


def test_the_server_restarts(page, site):
    page.go("#/syncs/live-two")
    page.find(".is-live")
    worker = site.run("live-two")
    page.find(".running")
    site.shim.stop()
    page.find(".is-lost", "Not live")
    page.find("#said", "Not live")
    page.state("not-live", whole=False)
    worker.report(1, stage="processing", processed=7, message="While nobody looked")
    site.shim.start()
    page.find(".is-live", "Live")
    page.find(".running", "While nobody looked")
    page.find("#said", "Live again")
    site.shim.kill9()
    page.find(".is-lost")
    worker.finish(2, outcome="succeeded")
    worker.exit()
    site.shim.start()
    page.find(".is-live")
    page.gone(".running")
    assert page.console_but(*REFUSED) == []


def test_the_daemon_restarts(page, site):
    page.go("#/syncs/live-two")
    page.find("[data-action=sync-now]:enabled")
    worker = site.run("live-two")
    page.find(".running")
    site.daemon.restart()
    worker.report(1, stage="saving", processed=3, message="After the restart")
    page.find(".running", "After the restart")
    finish(worker, 2, outcome="succeeded")
    page.gone(".running")
    page.find(".is-live")
    assert page.console_but(*REFUSED) == []


def test_what_changes_without_a_run(page, site):
    """Who is switched off, comes or goes is seen at once, too."""
    set_active = lambda active: site.client.call("/org/syncrun1/connector/hooks", "org.syncrun1.Connector", "SetActive", "(b)", active)  # noqa: E731
    page.go("#/syncs/hooks")
    page.find(".is-live")
    page.find("[data-action=sync-now]:enabled")
    set_active(False)
    page.find(".heading .pill", "Inactive")
    page.find("[data-action=sync-now]:disabled")
    page.go("#/")
    page.find(".row[data-key=hooks] .pill", "Inactive")
    set_active(True)
    page.find(".row[data-key=hooks] .pill", "Active")
    site.daemon.add("newcomer", PULL)
    site.client.manager("Reload")
    page.find(".row[data-key=newcomer]")
    (site.daemon.connectors / "newcomer.connector").unlink()
    site.client.manager("Reload")
    page.gone(".row[data-key=newcomer]")


def test_while_the_daemon_is_away(page, site):
    """The server is there, and hears of nothing: that is not live. Nobody asks it for what it cannot know."""
    page.find(".is-live", "Live")
    assert site.daemon.stop() == 0
    page.find(".is-lost", "Not live")
    page.find("#said", "Not live: nothing is heard of the syncs")
    site.daemon.start()
    page.find(".is-live", "Live")
    page.find("#said", "Live again")
    assert page.console_but(*REFUSED) == []


def test_without_a_stream(browser, site, keys):
    """What no event tells of is asked for again and again."""
    worker = site.run("live-two")
    browser.cdp("Network.enable", {})
    browser.cdp("Network.setBlockedURLs", {"urls": ["*/sync/stream*"]})
    try:
        browser.who = None
        with browser.hurry():
            browser.sign_in(site, keys["all"])
        browser.find(".is-lost", "Not live")
        worker.report(1, stage="fetching", processed=3, total=10)
        browser.find(".row[data-key=live-two] .cell-last", "Fetching30 %")
        browser.go("#/syncs/live-two")
        browser.find(".percent", "30 %")
        worker.report(2, stage="saving", processed=9, total=10)
        browser.find(".percent", "90 %")
        finish(worker, 3, outcome="succeeded")
        browser.gone(".running")
    finally:
        browser.cdp("Network.setBlockedURLs", {"urls": []})
    browser.find(".is-live")
    assert browser.console_but("net::ERR_BLOCKED_BY_CLIENT") == []
    browser.who = None


def test_resumed_after_the_last_event(page, site):
    """Each connection but the first asks for what came after the last event that was seen."""
    page.find(".is-live")
    worker = site.run("live-one")
    worker.report(1, stage="fetching")
    page.find(".row .mark", "Fetching")  # which only an event says
    page.script("""
        window.asked = [];
        const Plain = EventSource;
        window.EventSource = class extends Plain { constructor(url) { super(url); window.asked.push(url); } };""")
    site.shim.stop()
    page.find(".is-lost")
    site.shim.start()
    page.find(".is-live")
    asked = page.script("return window.asked")
    assert asked and all("last_event_id=" in url and "replay" not in url for url in asked)
    finish(worker, 2, outcome="succeeded")
    page.gone(".row .pill", "Syncing")
    assert page.console_but(*REFUSED) == []
    page.who = None  # the page has what the test put into it


# A clock that the test sets forward, and the stream that is open.
CLOCK = """
    const now = Date.now, Plain = EventSource;
    window.later = 0;
    Date.now = () => now() + window.later;
    window.EventSource = class extends Plain { constructor(url) { super(url); window.stream = this; } };"""


def test_a_connection_that_is_dead(page, site):
    """The server is not heard of for longer than any heartbeat takes: that is seen, and it is asked anew."""
    page.find(".is-live")
    page.script(CLOCK)
    pass_by = "window.later += arguments[0]; dispatchEvent(new Event('online'))"
    page.script(pass_by, 60000)  # as after a sleep
    page.when("return window.stream?.readyState === 1", what="a new stream")
    page.find(".is-live")
    assert "heartbeat=event" in page.script("return window.stream.url")
    page.script("window.first = window.stream")
    os.kill(site.shim.process.pid, signal.SIGSTOP)
    try:
        for ms in (12000, 12000):
            page.script(pass_by, ms)
        page.script("window.stream.dispatchEvent(new MessageEvent('heartbeat', {data: '{\"available\":true}'}))")
        page.script(pass_by, 12000)  # 36 seconds since the stream began, 12 since it was heard of
        assert page.has(".is-live") and page.script("return window.stream === window.first")
        for ms in (12000, 12000):
            page.script(pass_by, ms)
        page.find(".is-lost", "Not live")
        assert page.script("return window.stream !== window.first && window.first.readyState === 2")
    finally:
        os.kill(site.shim.process.pid, signal.SIGCONT)
    page.find(".is-live", "Live")
    page.who = None


def run_until_its_rate_is_known(page, site):
    """The worker, and the number of its next report. What it has told is all shown: nothing comes later by itself."""
    page.go("#/syncs/live-two")
    page.find("[data-action=sync-now]:enabled")
    worker = site.run("live-two")
    page.find(".steps .here", "Starting")
    told = []

    def tell():
        told.append(len(told) + 1)
        worker.report(told[-1], stage="fetching", processed=told[-1], total=4000)
        return "items/s" in page.text(".facts")

    page.until(tell, "the rate")
    page.find(".facts", f"{told[-1]} of 4,000 items")
    return worker, told[-1] + 1


def test_a_reload_during_a_run(page, site):
    """What was known of it is known again: its rate, and what is left."""
    worker, sequence = run_until_its_rate_is_known(page, site)
    page.refresh()
    page.find(".running .facts", "items/s")  # without a further event
    page.find(".running .facts", "left")
    finish(worker, sequence, outcome="succeeded")
    page.gone(".running")
    page.who = None


def test_a_run_that_stalls(page, site):
    """The rate of a run that is not heard of is no rate."""
    worker, sequence = run_until_its_rate_is_known(page, site)
    page.script(CLOCK)
    rate = "parseFloat(all('.facts')[0].innerText.match(/([0-9.]+) items.s/)?.[1] ?? 0)"
    before = page.when(f"return {rate}")
    page.script("window.later = 20000")
    page.when(f"return {rate} < given[0]", before, what="the rate to become less")
    page.script("window.later = 40000")
    page.find(".facts .warn", "no news for")
    assert "items/s" not in page.text(".facts")
    page.state("stalled")
    finish(worker, sequence, outcome="succeeded")
    page.gone(".running")
    page.who = None


def test_pages_that_one_has_left(page, site, keys):
    """A browser has six connections to a server: a page that it keeps to come back to holds none of them."""
    for _ in range(7):
        page.driver.get("about:blank")
        page.driver.get(site.address)
        page.find(".is-live")
    page.driver.back()
    page.driver.back()
    page.find(".is-live")
    page.find(".cell-name", "watch")


def test_times(page):
    """In the person's zone, and exact where one points at."""
    page.go("#/syncs/savings")
    page.find(".entry time")
    assert page.script("return Intl.DateTimeFormat().resolvedOptions().timeZone") in (TIME_ZONE, "Asia/Katmandu")
    iso, title, text = page.script("const t = document.querySelector('.entry .at time'); return [t.dateTime, t.title, t.textContent]")
    assert iso.endswith("Z") and "5:45" in title and "ago" in text
    hour, minute = int(iso[11:13]), int(iso[14:16])
    local = (hour * 60 + minute + 345) % 1440
    assert f"{local // 60 % 12 or 12}:{local % 60:02}" in title or f"{local // 60:02}:{local % 60:02}" in title
