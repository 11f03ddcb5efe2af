# SPDX-License-Identifier: LGPL-2.1-or-later
"""One sync: what it needs, what it did, and what one may do with it."""

import re

from browser import NARROW, WIDE, Keys
from sites import ALICE, LONG_TEXT, PULL, deliver, finish
from webhooks import LOCAL, Webhooks


def test_what_needs_attention(page, site):
    page.go("#/syncs/giro-account")
    page.find(".banner", "Bank consent expired or withdrawn")
    banner = page.text(".banner")
    assert "Reconnect and give a fresh consent" in banner and "HTTP 401: consent_expired" in banner and "with failures in 2 runs in a row" in banner
    assert page.script("return document.querySelector('.banner button').textContent") == "Reconnect" and "syncrunctl" not in banner
    page.click(".banner summary", "On the machine")
    page.becomes(".banner [open] code", "all.map((e) => e.textContent)", ["syncrunctl reconnect first-bank"])
    page.click(".banner [data-action=reconnect]")
    worker = site.worker("giro-account")
    worker.attach()
    page.find(".connection .told", "1 sync started")
    finish(worker, 1, outcome="failed", error="The consent ended", attention="consent_expired")
    page.gone(".running")
    page.go("#/syncs/ledger")
    page.find(".banner", "Destination resource deleted")
    assert re.search(r"Settings: \S+/connectors/ledger\.connector", page.text(".banner"))
    assert page.has(".banner [data-action=sync-now]", "Retry now")
    page.go("#/syncs/broken")
    page.find(".banner", "Sync configuration error")
    assert "Since" not in page.text(".banner") and "Cannot run" in page.text("[aria-label=Schedule]")
    assert "cannot be used" in page.get("[data-action=sync-now]:disabled", "e.title")
    assert "ExecPull" in page.text(".banner") and not page.has(".banner [data-action=sync-now]")
    page.find("[data-action=sync-now]:disabled")


# What is said in each category, and what can be done about it: by hand on the spot, or in the settings.
ATTENTION = {
    "destination_auth_expired": ("Destination authentication expired", "Re-authorize the destination.", False, True),
    "destination_deleted": ("Destination resource deleted", "The destination was removed", False, True),
    "data_error": ("Data error", "failed validation", False, False),
    "configuration_error": ("Sync configuration error", "Open the connector's settings", False, True),
    "connection_lost": ("Bank connection lost", "Reconnect the connection", True, False),
    "consent_expired": ("Bank consent expired or withdrawn", "give a fresh consent; the syncs", True, False),
    "consent_withdrawn": ("Bank consent expired or withdrawn", "give a fresh consent if the sync", True, False),
}


def test_each_category(browser, new_site):
    site = new_site()
    for name in ("one", *(f"other-{i:02}" for i in range(14))):
        site.daemon.add(name, PULL, Provider="test", Connection="bank")
    site.daemon.add("alone", PULL)
    site.start()
    browser.sign_in(site, site.key("key", "read", "write", "admin"), "#/syncs/one")
    browser.find("[data-action=sync-now]:enabled")
    for category, (title, advice, reconnects, settings) in ATTENTION.items():
        finish(site.run("one"), 1, outcome="failed", error=f"Because of {category}", attention=category)
        browser.find(".banner .words", f"Because of {category}")
        text = browser.text(".banner")
        assert title in text and advice in text and ("connectors/one.connector" in text) is settings, category
        assert browser.texts(".banner button") == (["Reconnect"] if reconnects else []) + ["Retry now"], category
    finish(site.run("alone"), 1, outcome="failed", attention="connection_lost")
    browser.go("#/syncs/alone")  # there is nothing to reconnect, and who looks has perhaps no command line
    browser.find(".banner", "Look at the log of the last run, mend what it says")
    browser.find(".banner h2", "The sync fails")
    assert browser.texts(".banner button") == ["Retry now"] and "syncrunctl" not in browser.text(".banner")
    browser.becomes(".banner .machine code", "all.map((e) => e.textContent)", ["syncrunctl log alone", "syncrunctl start alone"])
    browser.go("#/syncs/one")
    finish(site.run("one"), 1, outcome="succeeded", discovered=450_000_000, added=450_000_000)
    browser.gone(".banner")
    browser.click(".connection .rest summary", "and 2 more")
    browser.becomes(".connection .rest[open] a", "all.map((a) => a.textContent)", ["other-12", "other-13"])
    # Numbers that are long stand whole beside the chart.
    browser.find(".chart[aria-label=Items] .grid text", "500M")
    for size in (WIDE, NARROW):
        browser.look(size=size)
        browser.when("return all('.chart .grid text').every((e) => e.getBBox().x >= 0)", what="whole labels")
    browser.look()
    assert browser.console() == []


def test_the_next_run(page, site):
    """While one runs it is not known when the next one will."""
    for name, words in (("invoices", "After this run"), ("live-one", "On demand")):
        page.go(f"#/syncs/{name}")
        page.find("[data-action=sync-now]:enabled")
        worker = site.run(name)
        page.find(".running")
        page.find("[aria-label=Schedule] dd", words)
        page.go("#/")
        page.find(f".row[data-key={name}] .cell-next", "Known after this run")
        finish(worker, 1, outcome="succeeded")
        page.find(f".row[data-key={name}] .cell-next", "On demand" if name == "live-one" else "in ")


def test_cards_and_charts(page):
    page.go("#/syncs/ledger")
    page.find("[aria-label=Destination] .pill", "Failing")
    assert "2 runs in a row could not deliver" in page.text("[aria-label=Destination]")
    assert "Program" in page.text("[aria-label=Destination]") and "/usr/bin/store-ledger" in page.text("[aria-label=Destination]")
    assert "every 2 h" in page.text("[aria-label=Schedule]") and "finbridge" in page.text("[aria-label=Schedule]")
    page.go("#/syncs/savings")
    page.becomes(".chart", "all.map((c) => [c.getAttribute('aria-label'), c.querySelectorAll('.bar').length])", [["Duration", 25], ["Items", 25]])
    page.click(".chart summary")
    table = page.script("""return [...document.querySelectorAll(".chart[aria-label=Duration] tbody tr")].map((r) => r.innerText.split("\\t"))""")
    assert len(table) == 25 and table[0][1] == "Success" and re.fullmatch(r"\d+(\.\d)? s", table[0][2])
    assert page.texts(".legend li") == ["Added", "Updated", "Deduped"]
    page.go("#/syncs/photos")  # of which the feed has not all runs: its rows of accounts are too many
    page.becomes(".chart", "all.map((c) => [c.getAttribute('aria-label'), c.querySelectorAll('.bar').length])", [["Duration", 9], ["Items", 1]])
    page.find(".chart[aria-label=Items]", "Of the newest run")
    page.find(".feed > .omitted:last-child", "Older ones")
    page.go("#/syncs/notes")
    page.find(".entry")
    assert page.count(".entry") == 15 and not page.has(".feed > .omitted")  # all there are


def test_the_feed(page, site):
    page.go("#/syncs/giro-account")
    page.find(".entry.good")
    assert page.count(".entry") == 25
    page.find(".feed > .omitted:last-child", "Older ones are not shown here.")  # of 28
    texts = page.texts(".entry.good")
    assert "On schedule" in texts[0] and re.search(r"\d+ added ?\d+ updated ?\d+ deduped", texts[0])
    rows = page.script("return [...document.querySelector('.entry.good tbody').rows].map((r) => [...r.cells].map((c) => c.innerText))")
    assert [r[0] for r in rows] == ["Giro", "Joint account", "Credit card"] and {r[1] for r in rows} <= {"Success", "No data"}
    total = page.script("return [...document.querySelectorAll('.entry.good .totals b')].slice(0, 3).map((b) => Number(b.textContent))")
    assert [sum(int(r[i]) for r in rows) for i in (2, 3, 4)] == total
    assert any("ended on 21 November" in text for text in page.texts(".entry.bad"))
    page.click(".entry.good [data-more=events] summary")
    page.find(".entry.good [data-more=events]", "no longer kept")
    assert page.has(".entry .why", "Retry")


def test_names_like_others(page, site):
    """Accounts are named by connectors, as they like."""
    page.go("#/syncs/live-one")
    errors = {"a": "What the first says", "a error": "What the second says", "why a": "What the third says"}
    finish(site.run("live-one"), 1, outcome="failed", error="No", attention="data_error",
           accounts=[{"account": name, "status": "failed", "error": error} for name, error in errors.items()])
    shown = "all.map((e) => e.textContent)", [text for name, error in errors.items() for text in (name, error)]
    page.becomes(".entry:first-of-type tbody :is(th, .why-failed)", *shown)
    for _ in range(3):
        page.script("dispatchEvent(new HashChangeEvent('hashchange'))")  # it is drawn anew
        page.becomes(".entry:first-of-type tbody :is(th, .why-failed)", *shown)
    finish(site.run("live-one"), 1, outcome="succeeded")
    page.gone(".banner")


def test_events_and_log(page, site):
    page.go("#/syncs/hooks")
    worker = site.run("hooks")
    worker.report(1, stage="fetching", processed=150, total=300)
    finish(worker, 2, outcome="succeeded")
    page.find(".entry.good")
    page.gone(".running")
    page.click(".entry [data-more=events] summary")
    page.find(".events li", "Fetching")
    assert "150 of 300 items" in page.text(".events")
    page.click(".entry [data-more=log] summary")
    assert not page.has(".events", "Older ones")
    page.find(".log p", "HTTP 401")
    lines = page.texts(".log p")
    assert len(lines) == 3 and lines[0].endswith("started") and "<b>old</b>" in lines[1]
    page.becomes(".log p", "all.map((e) => e.className)", ["", "warn", "bad"])
    page.state("events-and-log")
    journalctl = site.folder / "journalctl"
    there = journalctl.read_text()
    for script, words in (("echo 'No journal files were found.' >&2; exit 1", "The journal cannot be read here: No journal files were found"),
                          ("exit 0", "The journal has no lines of this run")):
        journalctl.write_text(f"#!/bin/sh\n{script}\n")
        page.click(".entry [data-more=log] summary")
        page.gone("[data-more=log][open]")
        page.click(".entry [data-more=log] summary")  # it is asked for anew
        page.find(".entry [data-more=log][open]", words)
    journalctl.write_text(there)


def test_more_events_than_are_told(page, site):
    page.go("#/syncs/live-two")
    worker = site.run("live-two")
    for i in range(1, 211):  # a change of stage is an event each time
        worker.report(i, stage=("fetching", "processing")[i % 2])
    page.click(".entry.busy [data-more=events] summary")
    page.find(".events li:last-child", "Older ones are not shown here.")
    finish(worker, 211, outcome="succeeded")
    page.gone(".running")


def test_opened_while_it_runs(page, site):
    """Events and log of a run that ends while they are open are those of its end."""
    page.go("#/syncs/live-one")
    worker = site.run("live-one")
    page.click(".entry.busy [data-more=events] summary")
    page.click(".entry.busy [data-more=log] summary")
    page.find(".entry.busy .log p", "HTTP 401")
    worker.report(1, stage="fetching", message="Almost there")
    page.find(".entry.busy .events li", "Almost there")
    worker.report(2, stage="saving", message="Nearly done")
    page.becomes(".entry.busy .events .stage", "all.map((e) => e.textContent).slice(0, 2)", ["Saving", "Fetching"])  # the newest above
    shown = page.texts(".entry.busy .events li")
    page.refresh()
    page.click(".entry.busy [data-more=events] summary")
    page.becomes(".entry.busy .events li", "all.map((e) => e.textContent.trim().replace(/\\s+/g, ' '))", shown)
    page.click(".entry.busy [data-more=log] summary")
    page.find(".entry.busy .log p", "HTTP 401")
    finish(worker, 3, outcome="succeeded")
    page.find(".entry.good [data-more=events][open] .events li", "Completed")
    page.find(".entry.good [data-more=log][open] .log p", "HTTP 401")
    page.gone(".entry .waiting")
    page.becomes(".entry:first-of-type .events .stage", "all.map((e) => e.textContent).slice(0, 3)", ["Completed", "Saving", "Fetching"])


def test_very_long(page):
    page.go("#/syncs/many-accounts")
    page.find("summary", "40 accounts")
    assert LONG_TEXT not in page.text("main")
    page.click(".entry .words summary")
    page.find(".entry .words[open]", LONG_TEXT.strip()[-60:])
    assert page.text(".entry .words summary") == "Show less"
    page.click(".lead summary")
    page.find(".lead[open] .less", "Show less")
    page.click(".all-accounts > summary")
    page.becomes(".entry:first-of-type .accounts tbody tr", "all.length", 40)
    page.find(".all-accounts .mark", "1 failed")
    page.state("very-long")


def test_sync_now_and_cancel(page, site):
    page.go("#/syncs/live-one")
    page.focus("[data-action=sync-now]")
    page.press(Keys.ENTER)
    worker = site.worker("live-one")
    assert worker.attach()[2] is False
    page.find(".running")
    page.find(".pill", "Syncing")
    page.find("[data-action=sync-now][aria-disabled=true]")  # it keeps the focus
    page.has_focus("Sync now")
    page.press(Keys.ENTER)  # and does nothing
    page.find("[data-action=full-resync]:disabled")
    page.find(".entry.busy", "Started by all")
    worker.linger()
    page.focus("[data-action=cancel]")
    page.press(Keys.ENTER)
    page.when("""
        const asked = performance.getEntriesByType("resource"), cancelled = asked.findLast((e) => e.name.endsWith("/cancel"));
        return cancelled && asked.some((e) => e.name.includes("/v1/connectors/live-one?") && e.startTime >= cancelled.responseEnd)""", what="the look at what has come of it")
    page.find("[data-action=cancel][aria-disabled=true]", "Cancelling…")  # until it has ended
    worker.exit()
    page.gone(".running")
    page.find(".entry.idle", "Cancelled")
    page.find("#said", "Cancelled")
    page.find(".entry.idle .message", "Cancelled by all")
    page.find("[data-action=sync-now]:not(:disabled, [aria-disabled])")
    page.when("return document.activeElement.tagName === 'H1'", what="the focus on the heading: the button is gone")


def test_full_resync(page, site):
    page.go("#/syncs/live-one")
    page.focus("[data-action=full-resync]:enabled")
    page.press(Keys.ENTER)
    page.find("dialog[open]")
    page.has_focus("Keep as it is")
    page.state("full-resync", whole=False)
    page.press(Keys.ESCAPE)
    page.gone("dialog[open]")
    page.has_focus("Full resync…")
    assert not page.has(".running")
    page.press(Keys.ENTER)
    page.click("dialog[open] [data-action=dialog-yes]")
    worker = site.worker("live-one")
    assert worker.attach()[2] is True
    page.find(".entry.busy .tag", "Full resync")
    page.has_focus("Full resync…")
    finish(worker, 1, outcome="succeeded")
    page.gone(".running")


def test_inactive(page):
    page.go("#/syncs/old-mail")
    page.find(".pill", "Inactive")
    assert "not active" in page.get("[data-action=sync-now]:disabled", "e.title")
    assert "Off" in page.text("[aria-label=Schedule]")


def test_what_was_refused(page, site):
    """Between the look and the click the sync was switched off."""
    page.go("#/syncs/quiet")
    where = page.middle("[data-action=sync-now]:enabled")
    page.mouse("mousePressed", where)  # from now on the button stays as it is
    site.client.call("/org/syncrun1/connector/quiet", "org.syncrun1.Connector", "SetActive", "(b)", False)
    page.mouse("mouseReleased", where)
    page.find(".heading [role=alert]", "inactive")
    site.client.call("/org/syncrun1/connector/quiet", "org.syncrun1.Connector", "SetActive", "(b)", True)
    assert page.console_but("409 (Conflict)") == []


def test_deliveries(page, site):
    page.go("#/syncs/hooks")
    worker = site.run("hooks")
    page.find(".running")
    deliver(worker, 1, ("datt_1", 503, "HTTP status 503."), ("datt_2", 200, None), ("datt_3", 503, "HTTP status 503."), ("datt_4", None, "Could not connect: refused"))
    finish(worker, 2, outcome="failed", error="The webhook does not answer")
    page.gone(".running")
    page.click(".tabs a", "Deliveries")
    page.becomes(".deliveries tbody tr", "all.length", 4)
    rows = page.texts(".deliveries tbody tr")
    assert "No answer" in rows[0] and "503" in rows[1] and "200" in rows[2] and "503" in rows[3] and "183 ms" in rows[0]
    page.becomes(".deliveries tbody tr", "all.map((r) => r.cells[3].textContent)", ["3", "2", "1", "0"])
    assert "250 records" in rows[0] and "secret-path" not in page.text()
    page.becomes(".deliveries tbody tr", "all.map((r) => r.querySelectorAll('[data-action=resend]').length)", [1, 1, 0, 0])  # not what was taken since
    page.state("deliveries")
    page.cdp("Network.enable", {})
    page.cdp("Network.setBlockedURLs", {"urls": ["*/resend"]})
    page.click("[data-action=resend]")
    page.find(".deliveries [role=status]", "Not sent: The server cannot be reached")
    page.cdp("Network.setBlockedURLs", {"urls": []})
    assert page.count("[data-action=resend]") == 2  # one can try again
    assert page.console_but("net::ERR_BLOCKED_BY_CLIENT") == []
    page.focus("[data-action=resend]")
    page.press(Keys.ENTER)
    page.find(".deliveries [role=status]", "On its way")
    page.when("return document.activeElement.matches('tr:first-child .act')", what="the focus where the button was")
    worker = site.worker("hooks")
    worker.attach()
    deliver(worker, 1, ("datt_5", 200, None))
    finish(worker, 2, outcome="succeeded")
    page.find(".pill", "Active")
    page.becomes(".deliveries tbody tr", "all.length", 5)
    page.gone("[data-action=resend]")
    page.gone(".deliveries [role=status]")  # it has come
    page.refresh()
    page.find(".deliveries tbody tr")
    assert page.script("return location.hash") == "#/syncs/hooks/deliveries"


def test_resend_beside_a_run(page, site):
    """A run that has begun may have given up on it: it is the next one that sends it."""
    rows = ":is([data-key=datt_11], [data-key=datt_12])"
    worker = site.run("hooks")
    page.go("#/syncs/hooks/deliveries")
    page.find(".running")
    for i in (1, 2):
        deliver(worker, i, (f"datt_1{i}", 503, "HTTP status 503."))
        page.find(f"[data-key=datt_1{i}]")  # no event tells of it
    page.find("[aria-label=Schedule] dd", "On demand")
    page.becomes(f"{rows} [data-action=resend]", "all.length", 2)
    page.click("[data-key=datt_12] [data-action=resend]")
    page.becomes(f"{rows} .act", "all.map((e) => e.textContent)", ["After this run", "After this run"])
    page.find("#said", "The delivery is sent after this run")
    page.find("[aria-label=Schedule] dd", "After this run")
    page.state("resend-beside-a-run")
    finish(worker, 3, outcome="failed", error="The webhook does not answer")
    worker = site.worker("hooks")
    worker.attach()
    page.find("[data-key=datt_12] [role=status]", "On its way")
    deliver(worker, 1, ("datt_13", 200, None))
    finish(worker, 2, outcome="succeeded")
    page.gone(".running")
    page.find("[data-key=datt_13]", "200")
    page.becomes(f"{rows} .act", "all.map((e) => e.textContent)", ["", ""])
    page.click(".tabs a", "Activity")
    page.find(".entry:first-of-type", "a delivery is sent again")


def test_who_may_resend(browser, new_site):
    """News of runs: who manages webhooks. Records: who may start runs, where one can be."""
    site = new_site()
    site.daemon.write("syncrun.conf", LOCAL.format(retry="1h", more=""))
    site.daemon.add("hooks", PULL + "[Destination]\nType=webhook\nUrl=https://hooks.example.net/\nSecretFile=/dev/null\n", Provider="shop", User=ALICE)
    site.start()
    hooks = Webhooks(site.client)
    hooks.add("http://127.0.0.1:1/", types=["sync.started"])
    worker = site.run("hooks")
    deliver(worker, 1, ("datt_1", 503, "HTTP status 503."))
    finish(worker, 2, outcome="failed", error="The webhook does not answer")
    hooks.wait_attempts(1)
    everything, kinds = site.key("everything", "read", "write", "admin"), "all.map((e) => e.ariaLabel.split(' ')[1]).sort()"
    for key, may in ((site.key("reader", "read"), []), (site.key("writer", "read", "write"), ["records.synced"]),
                     (site.key("alice", "read", "write", "admin", user=ALICE), ["records.synced"]), (everything, ["records.synced", "sync.started"])):
        browser.sign_in(site, key, "#/syncs/hooks/deliveries")
        browser.becomes(".deliveries tbody tr", "all.length", 2)
        browser.becomes("[data-action=resend]", kinds, may)
    site.client.call("/org/syncrun1/connector/hooks", "org.syncrun1.Connector", "SetActive", "(b)", False)
    browser.refresh()
    browser.find(".pill", "Inactive")
    browser.becomes("[data-action=resend]", kinds, ["sync.started"])
    browser.click("[data-action=resend]")
    browser.find("#said", "The delivery is on its way")
    hooks.wait_attempts(2)
    browser.becomes(".deliveries tbody tr", "all.length", 3)
    browser.gone(".deliveries [role=status]")
    assert browser.console() == []


def test_connections(page, site):
    page.go("#/connections")
    page.find(".connection", "first-bank")
    assert sorted(page.texts(".connection h2")) == ["budget", "first-bank", "live-connection", "second-bank"]
    page.find("[aria-label='Connection first-bank'] a", "savings")
    page.find("[aria-label='Connection budget'] .pill", "Expiring")
    page.find("[aria-label='Connection budget']", "Consent ends in ")
    assert "Z." not in page.text("[aria-label='Connection budget']")  # not a second time, in another zone
    page.click("[data-name=live-connection]")
    page.find(".connection .told", "no sync had to be started")


def test_a_program_that_reconnects(browser, new_site):
    """The page says that it has begun, and how it ended, when it has; also where it was begun elsewhere."""
    site = new_site()
    site.daemon.add("mail", PULL, Connection="bank")
    site.daemon.write("connections/bank.connection", "[Connection]\nConsentExpires=2020-01-01T00:00:00Z\n[Reconnect]\nExecReconnect=/bin/true\n")
    site.start()
    with browser.hurry():
        browser.sign_in(site, site.key("key", "read", "write"), "#/connections")
        browser.click("[data-name=bank]")
        keeper = site.worker("bank")
        browser.find(".told", "The program that reconnects it has begun.")
        browser.find("[data-name=bank]:disabled", "Reconnecting…")
        keeper.exit(3, {"result": "failed", "message": "Your bank says no"})
        browser.becomes(".told", "all.map((e) => e.textContent)", ["Not reconnected: Your bank says no"])
        browser.find("#said", "Your bank says no")
        browser.find("[data-name=bank]:not(:disabled)", "Reconnect")
        browser.refresh()
        browser.find(".told", "Not reconnected: Your bank says no")
        site.client.manager("ReconnectConnection", "(sa{sv})", "bank", {})
        keeper = site.worker("bank")
        browser.go("#/syncs/mail")
        browser.find(".connection .told", "has begun")
        # The banner says it as well; and when the consent ended, in the person's own time, once.
        browser.find(".banner [data-action=reconnect]:disabled", "Reconnecting…")
        browser.find(".banner .told", "has begun")
        assert "2020-01" not in browser.text() and browser.text(".connection").count("2020") == 2
        assert re.search(r"Consent ended \S+ \S+ 2020, 05:45$", browser.text(".connection"), re.M), browser.text(".connection")
        keeper.exit(0, {"result": "success", "message": "Good until 2031"})
        browser.becomes(".connection .told", "all.map((e) => e.textContent)", ["Reconnected: Good until 2031"])
        browser.find(".connection .pill", "Active")
    assert browser.console() == []


def test_deliveries_beyond_the_list(page, site):
    worker = site.run("hooks")
    page.go("#/syncs/hooks/deliveries")
    page.find(".deliveries tbody tr")
    assert not page.has(".omitted")
    for n in range(1, 6):
        deliver(worker, n, *[(f"datt_{n}0{i}", 200, None) for i in range(10)])
    page.becomes(".deliveries tbody tr", "all.length", 50)
    page.find(".omitted", "Older ones are not shown here.")
    finish(worker, 6, outcome="succeeded")
    page.gone(".running")
