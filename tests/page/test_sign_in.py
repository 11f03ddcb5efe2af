# SPDX-License-Identifier: LGPL-2.1-or-later
"""The way in and out, and what a key may not do."""

import json

from browser import Keys
from sites import ALICE, BOB


def test_a_wrong_key_and_a_right_one(browser, site, keys):
    browser.look()
    browser.open(site.address)
    browser.find("h1", "Sign in")
    browser.has_focus("key")
    assert browser.console() == []
    browser.press(Keys.ENTER)
    browser.find("[role=alert]", "Enter a key")
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


def test_a_session_that_ends(browser, site):
    key = site.key("passing", "read", "write", "admin")
    browser.sign_in(site, key)
    browser.find(".is-live")
    site.client.manager("RevokeApiKey", "(s)", "passing")
    browser.find("[role=status]", "Your session has ended")
    browser.find("#key")
    assert browser.console_but("401 (Unauthorized)") == []


def test_a_reload_while_the_daemon_restarts(browser, site, keys):
    """Only a server that says so ends a session."""
    browser.sign_in(site, keys["all"])
    browser.find(".cell-name", "watch")
    assert site.daemon.stop() == 0
    try:
        assert site.shim.get("/v1/session", keys["all"]).status == 503
        browser.refresh()
        browser.find("h2", "Trying again")
        browser.state("trying-again", whole=False)
    finally:
        site.daemon.start()
    browser.find(".cell-name", "watch")
    assert browser.console_but("503 (Service Unavailable)", "net::ERR_") == []


def test_where_one_wanted_to_go(browser, site, keys):
    browser.open(site.address, "#/syncs/savings")
    browser.focus("#key")
    browser.press(keys["all"], Keys.ENTER)
    browser.find("h1", "savings")
    browser.when("return document.activeElement.tagName === 'H1'")


def test_a_key_that_may_only_read(browser, site, keys):
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
    worker.finish(1, outcome="succeeded")
    worker.exit()
    browser.gone(".running")  # it asks by itself
    assert browser.console() == []


def test_a_key_that_may_not_read(browser, site, keys):
    browser.sign_in(site, keys["writer"])
    browser.find("h2", "may not look at syncs")
    assert not browser.has(".live")
    browser.state("no-permission", whole=False)
    assert browser.console() == []


def test_a_key_of_a_user(browser, site, keys):
    browser.sign_in(site, keys["alice"])
    browser.find(".is-live")
    browser.becomes(".cell-name a", "all.map((a) => a.textContent)", ["giro-account", "live-one", "savings"])
    assert set(browser.texts(".cell-user")) == {ALICE[:8]} and BOB[:8] not in browser.text()
    browser.go("#/syncs/watch")
    browser.find("h2", "There is no such sync")
    assert browser.console_but("404 (Not Found)") == []
    worker = site.run("live-one")
    browser.go("#/")
    browser.find(".row .pill", "Syncing")
    worker.finish(1, outcome="succeeded")
    worker.exit()
    browser.gone(".row .pill", "Syncing")
    assert browser.console() == []
