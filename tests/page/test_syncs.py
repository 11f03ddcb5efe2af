# SPDX-License-Identifier: LGPL-2.1-or-later
"""The list of syncs, and what stands in its place."""

import os
import re
import signal
import time

from browser import Keys
from sites import PULL

N_SYNCS = 15


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
    heights = page.script("return [...document.querySelectorAll('[data-key=giro-account] rect:not(.none)')].map((e) => Number(e.getAttribute('height')))")
    assert len(heights) == 30 and len(set(heights)) > 20 and max(heights) == 28
    assert row(page, "quiet")["last"] == "Never" and row(page, "quiet")["next"] == "On demand" and row(page, "quiet")["strip"] == "No runs yet"
    assert row(page, "old-mail")["status"] == "Inactive" and row(page, "old-mail")["next"] == "Off"
    assert row(page, "broken")["status"] == "Needs attention"
    assert row(page, "watch")["last"].startswith("Partial")


def test_filter_search_and_order(page, site, keys):
    page.find(".cell-name", "watch")
    statuses = {c["name"]: c["status"] for c in site.shim.get("/v1/connectors", keys["all"]).json()["connectors"]}
    broken = sorted(name for name, status in statuses.items() if status == "Needs attention")
    assert {"broken", "giro-account", "ledger"} <= set(broken)
    n = [list(statuses.values()).count(word) for word in ("Needs attention", "Syncing", "Active", "Inactive")]
    page.until(lambda: page.texts(".chip") == [f"All {N_SYNCS}", f"Needs attention {n[0]}", f"Syncing {n[1]}", f"Active {n[2]}", f"Inactive {n[3]}"], "the numbers")
    assert names(page)[:n[0]] == broken  # first what needs something
    page.click(".chip", "Needs attention")
    page.until(lambda: names(page) == broken, "the filter")
    assert page.script("return location.hash") == "#/?status=Needs+attention"
    page.script("document.body.focus()")
    page.press("/")
    page.until(lambda: page.focused() == "search", "the search to have the focus")
    page.press("finbridge HOUSE")
    page.until(lambda: names(page) == ["giro-account"], "what was searched for")
    page.until(lambda: page.text("#said") == "1 sync shown", "what is said")
    page.driver.refresh()  # the address has it all
    page.until(lambda: names(page) == ["giro-account"], "the same")
    page.find("[name=search]").send_keys("nothing like it")
    page.find("h2", "No sync fits")
    page.click("[data-action=clear]")
    page.until(lambda: len(names(page)) == N_SYNCS, "all of them")
    page.script("const s = document.querySelector('[name=order]'); s.value = 'name'; s.dispatchEvent(new Event('input', {bubbles: true}))")
    page.until(lambda: names(page) == sorted(names(page)), "the order")
    page.script("const s = document.querySelector('[name=provider]'); s.value = 'github'; s.dispatchEvent(new Event('input', {bubbles: true}))")
    page.until(lambda: names(page) == ["issues"], "the provider")


def test_none_and_not_yet(browser, new_site):
    site = new_site().start()
    key = site.key("key", "read", "write", "admin")
    browser.sign_in(site, key)
    browser.find("h2", "No syncs yet")
    assert browser.violations() == []
    browser.shot("no-syncs")
    browser.go("#/connections")
    browser.find("h2", "No connections")
    os.kill(site.daemon.process.pid, signal.SIGSTOP)
    try:
        browser.go("#/syncs/anything")
        browser.find(".waiting", "Loading")
        assert browser.violations() == []
        browser.shot("waiting")
    finally:
        os.kill(site.daemon.process.pid, signal.SIGCONT)
    browser.find("h2", "There is no such sync")
    browser.shot("no-such-sync")
    browser.console()
    browser.go("#/syncs/a/b/c")
    browser.find("h2", "nothing at this address")
    browser.go("#/")
    site.daemon.add("first")
    site.client.manager("Reload")
    worker = site.run("first")
    browser.find(".cell-name", "first")  # its first event tells of it
    worker.finish(1, outcome="succeeded")
    worker.exit()
    assert browser.console() == []


def test_errors(browser, site, keys):
    browser.open(site.address)
    browser.cdp("Network.enable", {})
    browser.cdp("Network.setBlockedURLs", {"urls": ["*v1/connectors*"]})
    try:
        browser.find("#key").send_keys(keys["all"], Keys.ENTER)
        browser.find("[role=alert]", "The server cannot be reached")
        assert browser.violations() == []
        browser.shot("error")
        browser.go("#/syncs/savings")
        browser.find("[role=alert]", "This sync cannot be read")
    finally:
        browser.cdp("Network.setBlockedURLs", {"urls": []})
    browser.click("[data-action=again]")
    browser.find(".entry")
    browser.console()


def test_thousands(browser, new_site):
    """Five thousand syncs: few of them are in the page at a time, and each of them is found at once."""
    site = new_site()
    for i in range(5000):
        (site.daemon.connectors / f"sync-{i:04}.connector").write_text(f"[Connector]\nProvider=p{i % 7}\nDescription=Number {i}\n{PULL}")
    site.start()
    key = site.key("key", "read", "admin")
    browser.look()
    begun = time.monotonic()
    browser.sign_in(site, key)
    browser.find(".cell-name", "sync-0000")
    assert time.monotonic() - begun < 5
    browser.until(lambda: "5,000" in browser.texts(".chip")[0], "all of them", 30)
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
    print(took)
    (browser.shots.parent / "thousands.txt").write_text(f"{took}\n")
    assert took["elements"] < 2500
    assert max(took[what] for what in ("end", "middle", "search", "all")) < 1000
    browser.find("[name=search]").send_keys(Keys.ARROW_DOWN)
    browser.until(lambda: browser.focused() == "sync-0000", "the first row")
    browser.press(Keys.END)
    browser.until(lambda: browser.focused() == "sync-4999", "the last row")
    assert browser.script("return document.activeElement.closest('[role=row]').getAttribute('aria-rowindex')") == "5001"
    browser.press(Keys.PAGE_UP)
    browser.until(lambda: browser.focused() < "sync-4999" and browser.focused() > "sync-4900", "a page up")
    assert browser.violations() == [] and browser.console() == []
