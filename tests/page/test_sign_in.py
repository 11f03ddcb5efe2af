# SPDX-License-Identifier: LGPL-2.1-or-later
"""The way in and out, and what a key may not do."""

import json
import re
from pathlib import Path

from browser import Keys
from sites import ALICE, BOB, finish

WEB = Path(__file__).resolve().parents[2] / "src" / "web"


def test_a_wrong_key_and_a_right_one(browser, site, keys):
    browser.look()
    browser.open(site.address)
    browser.find("h1", "Sign in")
    browser.has_focus("key")
    assert browser.console() == []
    browser.press(Keys.ENTER)
    browser.find("[role=alert]", "Enter a key")
    assert "sync:read,sync:write,sync:admin" in browser.text(".hint") and "--user" in browser.text(".hint")
    browser.press("sk-00000000000000000000000000000000", Keys.ENTER)
    browser.find("[role=alert]", "not valid")
    browser.has_focus("key")
    browser.state("sign-in-refused", whole=False)
    browser.press(keys["all"], Keys.ENTER)
    browser.find(".cell-name", "giro-account")
    assert browser.console_but("401 (Unauthorized)") == []
    browser.refresh()
    browser.find(".cell-name", "giro-account")
    kept = browser.script("return JSON.stringify([location.href, localStorage, sessionStorage, document.cookie, document.body.outerHTML])")
    assert keys["all"] not in kept and json.loads(kept)[3] == ""  # the cookie is not for scripts
    browser.click("[data-action=sign-out]")
    browser.find("h1", "Sign in")
    browser.refresh()
    browser.find("h1", "Sign in")
    assert browser.script("return fetch('v1/session').then((r) => r.status)") == 401


def test_a_sign_out_that_fails(browser, site, keys):
    """Nobody is told that a session is over which is not."""
    browser.sign_in(site, keys["all"])
    browser.find(".cell-name", "watch")
    browser.cdp("Network.enable", {})
    browser.cdp("Network.setBlockedURLs", {"urls": ["*v1/session"]})
    try:
        browser.click("[data-action=sign-out]")
        browser.find("[role=alert]", "Not signed out: The server cannot be reached")
    finally:
        browser.cdp("Network.setBlockedURLs", {"urls": []})
    browser.find(".cell-name", "watch")
    browser.state("not-signed-out", whole=False)
    browser.click("[data-action=sign-out]")
    browser.find("#key")
    assert browser.script("return fetch('v1/session').then((r) => r.status)") == 401
    assert browser.console_but("net::ERR_BLOCKED_BY_CLIENT", "401 (Unauthorized)") == []


# Which intervals go on.
INTERVALS = """
    window.ticking = new Set();
    const begin = setInterval, endInterval = clearInterval, endTimeout = clearTimeout;
    window.setInterval = (...given) => { const id = begin(...given); window.ticking.add(id); return id; };
    window.clearInterval = (id) => { window.ticking.delete(id); endInterval(id); };
    window.clearTimeout = (id) => { window.ticking.delete(id); endTimeout(id); };"""


def test_nothing_goes_on_after_it(browser, site, keys):
    browser.open(site.address)
    browser.find("#key")
    browser.script(INTERVALS)
    for name, mark, n in (("reader", ".is-polling", 3), ("all", ".is-live", 4)):
        browser.focus("#key")
        browser.press(keys[name], Keys.ENTER)
        browser.find(mark)
        assert browser.script("return window.ticking.size") == n
        browser.click("[data-action=sign-out]")
        browser.find("#key")
        assert browser.script("return window.ticking.size") == 0
    assert browser.console() == []  # nor does it ask for what it knows to be over


def test_two_tabs(browser, site, keys):
    """They have one session: each of them shows whose it is, and ends with it."""
    browser.sign_in(site, keys["all"])
    browser.find(".is-live")
    first = browser.driver.current_window_handle
    browser.driver.switch_to.new_window("tab")
    second = browser.driver.current_window_handle
    try:
        browser.driver.get(site.address)
        browser.find(".who-name", "all")
        browser.click("[data-action=sign-out]")
        browser.find("#key")
        browser.driver.switch_to.window(first)
        browser.when("return /signed out in another tab|session has ended/.test(all('.sign-in [role=status]')[0]?.textContent)", what="its end")  # whoever tells it first
        browser.driver.switch_to.window(second)
        browser.focus("#key")
        browser.press(keys["alice"], Keys.ENTER)
        browser.find(".who-name", "alice")
        browser.driver.switch_to.window(first)
        browser.find(".who-name", "alice")
        browser.becomes(".cell-name a", "all.map((a) => a.textContent)", ["giro-account", "live-one", "savings"])
        # Another one in its place, without a sign-out between.
        name, value = site.session(keys["reader"])
        browser.cdp("Network.setCookie", {"name": name, "value": value, "url": site.address, "httpOnly": True, "sameSite": "Strict"})
        browser.driver.switch_to.window(second)
        browser.refresh()
        browser.find(".who-name", "reader")
        browser.driver.switch_to.window(first)
        browser.find(".who-name", "reader")
        browser.find(".is-polling")
        browser.find(".cell-name", "watch")
    finally:
        browser.driver.switch_to.window(second)
        browser.driver.close()
        browser.driver.switch_to.window(first)
        browser.who = None
    assert browser.console_but("401 (Unauthorized)") == []


def test_a_part_of_the_page_that_does_not_come(browser, site):
    """That is no blank page, and all its parts are asked for at once."""
    browser.open(site.address)
    browser.open("about:blank")
    browser.cdp("Network.enable", {})
    browser.cdp("Network.setBlockedURLs", {"urls": ["*/web/views/deliveries.js"]})
    try:
        browser.driver.get(site.address)
        browser.when("const e = all('.late a')[0]; return e && e.checkVisibility({visibilityProperty: true})", what="a word of it")
        browser.look(motion="no-preference")
        assert browser.get(".late", "getComputedStyle(e).visibility") == "hidden"  # for a while
    finally:
        browser.look()
        browser.cdp("Network.setBlockedURLs", {"urls": []})
    browser.click(".late a", "Try again")
    browser.find("#key")
    named = set(browser.script("return [...document.querySelectorAll('link[rel=modulepreload]')].map((e) => e.getAttribute('href').slice(4))"))
    assert named == {str(path.relative_to(WEB)) for path in WEB.rglob("*.js")}
    assert browser.console_but("net::ERR_BLOCKED_BY_CLIENT") == []


def test_a_session_that_ends(browser, site):
    """In all tabs, none of which says that somebody has signed out."""
    key = site.key("passing", "read", "write", "admin")
    browser.sign_in(site, key)
    browser.find(".is-live")
    first = browser.driver.current_window_handle
    browser.driver.switch_to.new_window("tab")
    try:
        browser.driver.get(site.address)
        browser.find(".is-live")
        browser.cdp("Network.enable", {})
        browser.cdp("Network.setBlockedURLs", {"urls": ["*v1/*"]})  # it hears of it from the other one alone
        second = browser.driver.current_window_handle
        browser.driver.switch_to.window(first)
        site.client.manager("RevokeApiKey", "(s)", "passing")
        browser.find("[role=status]", "Your session has ended")
        browser.find("#key")
        browser.driver.switch_to.window(second)
        browser.find(".is-lost")
        browser.cdp("Network.setBlockedURLs", {"urls": []})
        browser.find("[role=status]", "Your session has ended")
        browser.find("#key")
        asked = "return performance.getEntriesByType('resource').filter((e) => e.name.includes('v1/')).length"
        browser.refresh()
        browser.find("#key")
        assert browser.script(asked) == 0  # nor is it asked for again
    finally:
        browser.driver.close()
        browser.driver.switch_to.window(first)
        browser.who = None
    assert browser.console_but("401 (Unauthorized)", "net::ERR_BLOCKED_BY_CLIENT") == []


def test_a_session_as_old_as_it_gets(browser, site, keys):
    """Who is told by no answer is told by the clock."""
    with browser.beforehand("""
            const begin = window.setTimeout;
            window.setTimeout = (callback, ms) => {
              if (ms > 3600000) [window.atItsEnd, window.lasts] = [callback, ms];
              return begin(callback, ms);
            };"""):
        browser.who = None
        browser.sign_in(site, keys["all"])
        browser.find(".is-live")
    assert 11.9 < browser.script("return window.lasts") / 3600000 <= 12
    browser.script("window.atItsEnd()")
    browser.find("[role=status]", "Your session has ended")
    browser.find("#key")
    browser.who = None
    assert browser.console() == []


def test_a_clock_that_is_wrong(browser, site, keys):
    """How long a session lasts, and how long ago something was, is told by the server's time, whatever time it is here."""
    with browser.beforehand("const now = Date.now; Date.now = () => now() + 400 * 86400000;"):
        browser.who = None
        browser.sign_in(site, keys["all"])
        browser.find(".is-live")
    browser.find(".cell-name", "watch")
    assert not browser.has("#key")
    browser.find(".row[data-key=watch] .cell-last time", "min. ago")
    browser.find(".row[data-key=savings] .cell-next", "in ")
    worker = site.run("live-one")
    browser.go("#/syncs/live-one")
    browser.find(".running .facts", "running for")
    assert not re.search(r"running for \d+ [hd]", browser.text(".running"))
    browser.when("return /just now|(sec|min)\\.? ago/.test(all('.entry.busy .at')[0]?.textContent)", what="when it began")
    finish(worker, 1, outcome="succeeded")
    browser.gone(".running")
    browser.who = None


def test_a_reload_while_the_daemon_restarts(browser, site, keys):
    """Only a server that says so ends a session."""
    browser.sign_in(site, keys["all"])
    browser.find(".cell-name", "watch")
    assert site.daemon.stop() == 0
    try:
        assert site.shim.get("/v1/session", keys["all"]).status == 503
        with browser.hurry():
            browser.refresh()
        browser.find("h2", "Trying again")
        browser.state("trying-again", whole=False)
    finally:
        site.daemon.start()
    browser.find(".cell-name", "watch")
    assert browser.console_but("503 (Service Unavailable)", "net::ERR_") == []
    browser.who = None


def test_where_one_wanted_to_go(browser, site, keys):
    browser.open(site.address, "#/syncs/savings")
    browser.focus("#key")
    browser.press(keys["all"], Keys.ENTER)
    browser.find("h1", "savings")
    browser.when("return document.activeElement.tagName === 'H1'")


def test_a_key_that_may_only_read(browser, site, keys):
    with browser.hurry():
        browser.sign_in(site, keys["reader"], "#/syncs/giro-account")
    browser.find(".is-polling", "Every 5 s")
    browser.find(".banner")
    browser.find(".entry")
    browser.go("#/connections")
    browser.find(".connection")
    browser.go("#/syncs/hooks/deliveries")
    browser.find(".deliveries, .emptiness")
    assert not browser.has("[data-action=sync-now], [data-action=full-resync], [data-action=reconnect], [data-action=cancel], [data-action=resend]")
    worker = site.run("live-one")
    browser.go("#/syncs/live-one")
    browser.find(".running")
    assert not browser.has("[data-action=cancel]")
    for sequence, (stage, words) in enumerate((("fetching", "Fetching"), ("processing", "Processing"), ("saving", "Saving")), 1):
        worker.report(sequence, stage=stage, processed=100 * sequence, total=1000)  # how far it is, at each look
        browser.find(".steps .here", words)
        browser.find(".percent", f"{10 * sequence} %")
    browser.go("#/")
    worker.report(4, stage="processing", processed=700, total=1000)
    browser.find(".row[data-key=live-one] .cell-last", "Processing70 %")
    browser.go("#/syncs/live-one")
    browser.find(".percent", "70 %")
    worker.finish(5, outcome="succeeded")
    worker.exit()
    browser.gone(".running")  # it asks by itself
    assert browser.console() == []
    browser.who = None


def test_a_key_that_polls_without_a_server(browser, site, keys):
    browser.who = None
    with browser.hurry():
        browser.sign_in(site, keys["reader"], "#/connections")
    browser.find(".is-polling")
    browser.find(".connection")
    site.shim.stop()  # what is asked meanwhile waits for an answer
    browser.find(".is-lost", "Not live")
    site.shim.start()
    browser.find(".is-polling")
    browser.cdp("Network.enable", {})
    browser.cdp("Network.setBlockedURLs", {"urls": ["*v1/*"]})
    try:
        browser.find(".is-lost", "Not live")
        browser.find("[role=alert]", "What is shown may be old: The server cannot be reached")
        browser.find(".connection")
        browser.go("#/")
        browser.find("[role=alert]", "The list may be old")
    finally:
        browser.cdp("Network.setBlockedURLs", {"urls": []})
    browser.find(".is-polling")
    browser.gone("[role=alert]", "old")
    assert browser.console_but("503 (Service Unavailable)", "net::ERR_") == []
    browser.who = None


def test_a_key_that_may_not_read(browser, site, keys):
    browser.sign_in(site, keys["writer"])
    browser.find("h2", "may not look at syncs")
    assert not browser.has(".live") and not browser.has(".top nav a")
    browser.state("no-permission", whole=False)
    assert browser.console() == []


def test_a_key_of_a_user(browser, site, keys):
    browser.sign_in(site, keys["alice"])
    browser.find(".is-live")
    browser.becomes(".cell-name a", "all.map((a) => a.textContent)", ["giro-account", "live-one", "savings"])
    assert set(browser.texts(".cell-user")) == {ALICE[:8]} and BOB[:8] not in browser.text()
    browser.go("#/syncs/watch")
    browser.find("h2", "There is no such sync")
    worker = site.run("live-one")
    browser.go("#/")
    browser.find(".row .pill", "Syncing")
    worker.finish(1, outcome="succeeded")
    worker.exit()
    browser.gone(".row .pill", "Syncing")
    assert browser.console_but("404 (Not Found)") == []
