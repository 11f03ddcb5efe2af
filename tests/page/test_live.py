# SPDX-License-Identifier: LGPL-2.1-or-later
"""What happens is seen at once, over whatever happens to the server."""

import time

from browser import TIME_ZONE
from sites import finish

AT_ONCE_SEC = 1


def seen_within(page, condition, what, act):
    """What the page makes of it, and how long that took; one look takes milliseconds."""
    begun = time.monotonic()
    act()
    page.until(condition, what, AT_ONCE_SEC)
    return time.monotonic() - begun


def test_a_run_from_beginning_to_end(page, site):
    page.go("#/syncs/live-two")
    page.find("h1", "live-two")
    page.find(".is-live", "Live")
    worker = site.run("live-two")
    page.find(".running")
    seen_within(page, lambda: page.has(".steps .here", "Fetching"), "the stage", lambda: worker.report(1, stage="fetching", processed=0, total=400))
    assert page.text(".percent") == "0 %"
    time_passes = time.monotonic() + 1.1
    page.until(lambda: time.monotonic() > time_passes, "a second, which a rate needs")
    seen_within(page, lambda: page.text(".percent") == "25 %", "the progress", lambda: worker.report(2, processed=100, total=400, message="Page 1 of 4"))
    page.until(lambda: "items/s" in page.text(".facts"), "the rate")
    assert "100 of 400 items" in page.text(".facts") and "left" in page.text(".facts") and "running for" in page.text(".facts")
    assert "Page 1 of 4" in page.text(".running")
    assert float(page.script("return document.querySelector('progress').value")) == 0.25
    page.shot("running")
    worker.report(3, accounts=[{"account": "one", "status": "success", "discovered": 4, "added": 3, "updated": 1, "deduped": 0},
                               {"account": "two", "status": "failed", "error": "no such account"}])
    took = seen_within(page, lambda: page.has(".pill", "Active") and not page.has(".running"), "the end",
                       lambda: finish(worker, 4, outcome="partial", error="two: no such account", counts={"discovered": 4, "added": 3, "updated": 1}))
    print(f"seen within {took:.3f} s")
    page.find(".entry.warn", "Partial")
    assert "no such account" in page.text(".entry")
    page.until(lambda: "Run of live-two: Partial" in page.text("#said"), "what is said")


def test_in_the_list(page, site):
    page.find(".is-live")
    page.find(".cell-name", "live-one")
    worker = site.run("live-one")
    row = ".row[data-key=live-one]"
    page.find(f"{row} .pill", "Syncing")
    seen_within(page, lambda: page.has(f"{row} .cell-last", "Saving") and page.has(f"{row} .cell-last", "50 %"), "the stage", lambda: worker.report(1, stage="saving", processed=5, total=10))
    strips = page.script(f"return document.querySelectorAll('{row} svg.strip rect:not(.none)').length")
    worker.finish(2, outcome="failed", error="No", category="data_error")
    worker.exit()
    page.find(f"{row} .pill", "Needs attention")
    page.until(lambda: page.script(f"return document.querySelectorAll('{row} svg.strip rect.bad').length") > 0, "the strip")
    assert page.script(f"return document.querySelectorAll('{row} svg.strip rect:not(.none)').length") >= strips
    worker = site.run("live-one")
    finish(worker, 1, outcome="succeeded")
    page.find(f"{row} .pill", "Active")


def test_what_a_person_does_is_left_alone(page, site):
    """Focus, an opened part, and what is being typed outlive the news."""
    page.go("#/syncs/invoices")
    page.find("h1", "invoices")
    page.click(".entry [data-more=log] summary")
    page.find(".log p")
    page.script("document.querySelector('.entry [data-more=log] summary').focus(); window.mark = document.querySelector('.entry')")
    worker = site.run("invoices")
    page.find(".running")
    worker.report(1, stage="fetching", processed=1)
    finish(worker, 2, outcome="succeeded")
    page.gone(".running")
    page.until(lambda: len(page.all(".entry")) == 25 and page.texts(".entry")[0].startswith("Success"), "the new entry")
    assert page.script("return document.querySelectorAll('.entry')[1] === window.mark && window.mark.querySelector('[data-more=log]').open && window.mark.contains(document.activeElement)")
    page.go("#/")
    search = page.find("[name=search]")
    search.send_keys("live")
    worker = site.run("live-one")
    page.find(".row .pill", "Syncing")
    search.send_keys("-on")
    page.until(lambda: page.texts(".cell-name a") == ["live-one"], "what was typed")
    assert search.get_attribute("value") == "live-on"
    finish(worker, 1, outcome="succeeded")
    page.find(".row .pill", "Active")


def test_the_server_restarts(page, site):
    page.go("#/syncs/live-two")
    page.find("h1", "live-two")
    page.find(".is-live")
    worker = site.run("live-two")
    page.find(".running")
    site.shim.stop()
    page.find(".is-lost", "Not live")
    assert "Not live" in page.text("#said")
    page.shot("not-live", whole=False)
    worker.report(1, stage="processing", processed=7, message="While nobody looked")
    site.shim.start()
    page.find(".is-live", "Live")
    page.find(".running", "While nobody looked")
    assert "Live again" in page.text("#said")
    site.shim.kill9()
    page.find(".is-lost")
    worker.finish(2, outcome="succeeded")
    worker.exit()
    site.shim.start()
    page.find(".is-live")
    page.gone(".running")
    page.console()  # of connections that were refused


def test_the_daemon_restarts(page, site):
    page.go("#/syncs/live-two")
    page.find("h1", "live-two")
    worker = site.run("live-two")
    page.find(".running")
    site.daemon.restart()
    worker.report(1, stage="saving", processed=3, message="After the restart")
    page.find(".running", "After the restart")
    finish(worker, 2, outcome="succeeded")
    page.gone(".running")
    page.find(".is-live")
    page.console()


def test_resumed_after_the_last_event(page, site):
    """Each connection but the first asks for what came after the last event that was seen."""
    page.find(".is-live")
    worker = site.run("live-one")
    page.find(".row .pill", "Syncing")
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
    finish(worker, 1, outcome="succeeded")
    page.gone(".row .pill", "Syncing")
    page.console()


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
    page.find("h1", "savings")
    page.find(".entry time")
    assert page.script("return Intl.DateTimeFormat().resolvedOptions().timeZone") in (TIME_ZONE, "Asia/Katmandu")
    iso, title, text = page.script("const t = document.querySelector('.entry .at time'); return [t.dateTime, t.title, t.textContent]")
    assert iso.endswith("Z") and "5:45" in title and "ago" in text
    hour, minute = int(iso[11:13]), int(iso[14:16])
    local = (hour * 60 + minute + 345) % 1440
    assert f"{local // 60 % 12 or 12}:{local % 60:02}" in title or f"{local // 60:02}:{local % 60:02}" in title
