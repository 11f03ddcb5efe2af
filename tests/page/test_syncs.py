# SPDX-License-Identifier: LGPL-2.1-or-later
"""The list of syncs, and what stands in its place."""

import os
import re
import signal
import time

from browser import Keys
from sites import N_SYNCS, PULL, finish


NAMES, TEXTS = ".cell-name a", "all.map((e) => e.textContent)"


def row(page, name):
    cells = page.script("""
        const row = document.querySelector(`.rows .row[data-key="${arguments[0]}"]`);
        return Object.fromEntries([...row.children].map((cell) => [cell.className.slice(5), cell.textContent.trim().replace(/\\s+/g, " ")]))""", name)
    cells["label"] = page.script("return document.querySelector(`.row[data-key='${arguments[0]}'] svg.strip`)?.getAttribute('aria-label')", name)
    return cells


def names(page):
    return page.texts(".cell-name a")


def test_rows(page):
    page.find(".cell-name", "watch")
    giro = row(page, "giro-account")
    assert (giro["name"], giro["provider"], giro["user"], giro["status"]) == (
        "giro-accountTransactions of the household accounts", "finbridge", "a11ce000", "Needs attention")
    assert giro["last"].startswith("Failed") and giro["last"].endswith("ago") and giro["next"].startswith("in ")
    assert re.fullmatch(r"Last 30 runs: [34] failed, 2[56] success, 1 partial", giro["label"])
    heights = page.script("return [...document.querySelectorAll('[data-key=giro-account] .mark-bar')].map((e) => Math.round(10 * e.getBBox().height) / 10)")
    assert len(heights) == 30 and len(set(heights)) > 20 and max(heights) == 28
    assert row(page, "quiet")["last"] == "Never" and row(page, "quiet")["next"] == "On demand" and row(page, "quiet")["strip"] == "No runs yet"
    assert row(page, "old-mail")["status"] == "Inactive" and row(page, "old-mail")["next"] == "Off"
    assert row(page, "broken")["status"] == "Needs attention" and row(page, "broken")["next"] == "Cannot run"
    assert row(page, "watch")["last"].startswith("Partial")


def test_what_cannot_be_started(browser, new_site):
    """That a sync needs attention does not keep it from running; a file with a mistake does, and one that says nothing of what to run."""
    site = new_site()
    site.daemon.add("one", PULL)
    site.daemon.add("app", "[Run]\n", Source="sdk")
    site.start()
    finish(site.run("one"), 1, outcome="failed", attention="configuration_error", error="The path is wrong")
    browser.sign_in(site, site.key("key", "read", "write", "admin"))
    next_of = ".row[data-key={}] .cell-next"
    browser.find(".row[data-key=one] .pill", "Needs attention")
    browser.find(next_of.format("one"), "On demand")
    browser.find(next_of.format("app"), "Elsewhere")
    browser.go("#/syncs/one")
    browser.find("[data-action=sync-now]:enabled")
    browser.find("[aria-label=Schedule] dd", "On demand")
    finish(site.run("one"), 1, outcome="failed", attention="data_error", error="No")
    browser.find(".banner", "Data error")
    site.daemon.add("one", "[Pipeline]\nExecPull=relative/path\n")
    site.client.manager("Reload")
    browser.find("[aria-label=Schedule] dd", "Cannot run")
    assert browser.count("[data-action=sync-now]:enabled") == 0
    browser.go("#/")
    browser.find(next_of.format("one"), "Cannot run")
    browser.go("#/syncs/app")
    assert "not started here" in browser.get("[data-action=sync-now]:disabled", "e.title")
    browser.find("[aria-label=Schedule] dd", "Elsewhere")
    assert browser.console() == []


def test_filter_search_and_order(page, site, keys):
    page.find(".cell-name", "watch")
    statuses = {c["name"]: c["status"] for c in site.shim.get("/v1/connectors", keys["all"]).json()["connectors"]}
    broken = sorted(name for name, status in statuses.items() if status == "Needs attention")
    assert {"broken", "giro-account", "ledger"} <= set(broken)
    n = [list(statuses.values()).count(word) for word in ("Needs attention", "Syncing", "Active", "Inactive")]
    page.becomes(".chip", TEXTS, [f"All {N_SYNCS}", f"Needs attention {n[0]}", f"Syncing {n[1]}", f"Active {n[2]}", f"Inactive {n[3]}"])
    assert names(page)[:n[0]] == broken  # first what needs something
    page.click(".chip", "Needs attention")
    page.becomes(NAMES, TEXTS, broken)
    assert page.script("return location.hash") == "#/?status=Needs+attention"
    page.focus("[name=search]")
    page.press("finbridge HOUSEHOLD")
    page.becomes(NAMES, TEXTS, ["giro-account"])
    page.find("#said", "1 sync shown")
    page.refresh()  # the address has it all
    page.becomes(NAMES, TEXTS, ["giro-account"])
    page.focus("[name=search]")
    page.press(Keys.END, "nothing like it")
    page.find("h2", "No sync fits")
    page.click("[data-action=clear]")
    page.becomes(NAMES, "all.length", N_SYNCS)
    page.choose("order", "name")
    page.when("const names = all(given[0]).map((e) => e.textContent); return String(names) === String(names.toSorted())", NAMES)
    page.choose("order", "next")
    nexts = {c["name"]: c["active"] and c["nextRunAt"] or "~" for c in site.shim.get("/v1/connectors", keys["all"]).json()["connectors"]}
    page.becomes(NAMES, TEXTS, sorted(nexts, key=lambda name: (nexts[name], name)))
    page.choose("provider", "github")
    page.becomes(NAMES, TEXTS, ["issues"])
    page.driver.back()  # each step is one
    page.becomes(NAMES, "all.length", N_SYNCS)
    assert page.get("[name=provider]", "e.value") == "" and page.get("[name=order]", "e.value") == "next"
    page.driver.back()
    page.becomes("[name=order]", "all[0].value", "name")
    page.driver.forward()
    page.driver.forward()
    page.becomes(NAMES, TEXTS, ["issues"])
    page.click(".cell-name a", "issues")
    page.click(".crumbs a")
    page.becomes(NAMES, TEXTS, ["issues"])
    page.click(".top nav a", "Syncs")
    page.becomes(NAMES, "all.length", N_SYNCS)


def test_none_and_not_yet(browser, new_site):
    site = new_site().start()
    key = site.key("key", "read", "write", "admin")
    browser.sign_in(site, key)
    browser.find("h2", "No syncs yet")
    browser.state("no-syncs", whole=False)
    browser.go("#/connections")
    browser.find("h2", "No connections")
    browser.state("no-connections", whole=False)
    os.kill(site.daemon.process.pid, signal.SIGSTOP)
    try:
        browser.go("#/syncs/anything")
        browser.find(".waiting", "Loading")
        browser.state("waiting", whole=False)
    finally:
        os.kill(site.daemon.process.pid, signal.SIGCONT)
    browser.find("h2", "There is no such sync")
    browser.state("no-such-sync", whole=False)
    browser.go("#/syncs/a/b/c")
    browser.find("h2", "nothing at this address")
    browser.go("#/")
    site.daemon.add("first")
    site.client.manager("Reload")
    worker = site.run("first")
    browser.find(".cell-name", "first")  # its first event tells of it
    finish(worker, 1, outcome="succeeded")
    assert browser.console_but("404 (Not Found)") == []


def test_errors(browser, site, keys):
    browser.cdp("Network.enable", {})
    browser.cdp("Network.setBlockedURLs", {"urls": ["*v1/connectors*"]})
    try:
        browser.who = None
        browser.sign_in(site, keys["all"])
        browser.find("[role=alert]", "The server cannot be reached")
        browser.state("error", whole=False)
        browser.go("#/syncs/savings")
        browser.find("[role=alert]", "This sync cannot be read")
    finally:
        browser.cdp("Network.setBlockedURLs", {"urls": []})
    browser.click("[data-action=again]")
    browser.find(".entry")
    assert browser.console_but("net::ERR_BLOCKED_BY_CLIENT") == []


# What is drawn, and how much of it is made and changed.
WORK = """
    window.work = {drawn: 0, made: 0, changed: 0};
    const html = document.createElement.bind(document), svg = document.createElementNS.bind(document);
    document.createElement = (tag) => { window.work.made++; window.work.drawn += tag === "main"; return html(tag); };
    document.createElementNS = (space, tag) => { window.work.made++; return svg(space, tag); };
    new MutationObserver((list) => { window.work.changed += list.length; }).observe(document.body, {subtree: true, childList: true, attributes: true, characterData: true});"""


def test_thousands(browser, new_site):
    """Five thousand syncs: few of them are in the page at a time, and each of them is found at once."""
    site = new_site()
    for i in range(5000):
        (site.daemon.connectors / f"sync-{i:04}.connector").write_text(f"[Connector]\nProvider=p{i % 7}\nDescription=Number {i}\n{PULL}")
    site.start()
    key = site.key("key", "read", "admin")
    browser.sign_in(site, key)
    browser.find(".cell-name", "sync-0000")
    browser.find(".chip", "All 5,000")
    took = browser.script("""
        const frames = () => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
        const rows = () => [...document.querySelectorAll(".cell-name a")].map((a) => a.textContent);
        const until = async (condition) => { while (!condition()) await frames(); };
        return (async () => {
          const took = {};
          const measure = async (what, act, condition) => { const t = performance.now(); act(); await until(condition); took[what] = performance.now() - t; };
          await measure("end", () => scrollTo(0, document.body.scrollHeight), () => rows().includes("sync-4999"));
          await measure("middle", () => scrollTo(0, document.body.scrollHeight / 2), () => rows().includes("sync-2500"));
          const search = document.querySelector("[name=search]");
          await measure("search", () => { search.value = "number 4321"; search.dispatchEvent(new Event("input", {bubbles: true})); }, () => rows().join() === "sync-4321");
          await measure("all", () => { search.value = ""; search.dispatchEvent(new Event("input", {bubbles: true})); }, () => rows().length > 5);
          return {...took, elements: document.querySelectorAll("*").length};
        })()""")
    # And while a run tells of itself again and again.
    browser.script(WORK)
    worker = site.run("sync-0000")
    browser.find(".row[data-key=sync-0000] .pill", "Syncing")
    for i in range(1, 41):
        worker.report(i, stage=("fetching", "processing")[i % 2], processed=i, total=40)
    browser.find(".row[data-key=sync-0000] .cell-last", "100 %")
    finish(worker, 41, outcome="succeeded")
    browser.find(".row[data-key=sync-0000] .pill", "Active")
    took |= browser.script("return window.work")
    print(took)
    (browser.shots.parent / "thousands.txt").write_text(f"{took}\n")
    assert took["elements"] < 2500
    assert 0 < took["made"] / took["drawn"] < 2500  # each time it is drawn, as many as can be seen are made
    assert took["changed"] / took["drawn"] < 250  # and few of them are new
    browser.focus("[name=search]")
    browser.press(Keys.ARROW_DOWN)
    browser.has_focus("sync-0000")
    browser.press(Keys.END)
    browser.has_focus("sync-4999")
    assert browser.script("return document.activeElement.closest('[role=row]').getAttribute('aria-rowindex')") == "5001"
    browser.press(Keys.PAGE_UP)
    browser.when("const name = document.activeElement.textContent; return name < 'sync-4999' && name > 'sync-4900'", what="a page up")
    assert browser.violations() == [] and browser.console() == []
