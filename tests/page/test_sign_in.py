# SPDX-License-Identifier: LGPL-2.1-or-later
"""The way in and out, and what a key may not do."""

import json

from browser import Keys
from sites import ALICE, BOB


def test_a_wrong_key_and_a_right_one(browser, site, keys):
    browser.look()
    browser.open(site.address)
    browser.find("h1", "Sign in")
    assert browser.focused() == "key" and browser.console() == []
    browser.press(Keys.ENTER)
    browser.find("[role=alert]", "Enter a key")
    browser.press("sk-00000000000000000000000000000000", Keys.ENTER)
    browser.find("[role=alert]", "not valid")
    assert browser.focused() == "key"
    browser.press(keys["all"], Keys.ENTER)
    browser.find(".cell-name", "giro-account")
    browser.console()  # it tells of the 401
    browser.driver.refresh()
    browser.find(".cell-name", "giro-account")
    kept = browser.script("return JSON.stringify([location.href, localStorage, sessionStorage, document.cookie, document.body.outerHTML])")
    assert keys["all"] not in kept and json.loads(kept)[3] == ""  # the cookie is not for scripts
    browser.click("[data-action=sign-out]")
    browser.find("h1", "Sign in")
    browser.driver.refresh()
    browser.find("h1", "Sign in")
    assert browser.script("return fetch('v1/session').then((r) => r.status)") == 401


def test_a_session_that_ends(browser, site):
    key = site.key("passing", "read", "write", "admin")
    browser.sign_in(site, key)
    browser.find(".is-live")
    site.client.manager("RevokeApiKey", "(s)", "passing")
    browser.find("[role=status]", "Your session has ended")
    browser.find("#key")
    browser.console()


def test_where_one_wanted_to_go(browser, site, keys):
    browser.sign_in(site, keys["all"], "#/syncs/savings")
    browser.find("h1", "savings")


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
    assert browser.violations() == []
    browser.shot("no-permission")
    assert browser.console() == []


def test_a_key_of_a_user(browser, site, keys):
    browser.sign_in(site, keys["alice"])
    browser.find(".is-live")
    browser.until(lambda: browser.texts(".cell-name a") == ["giro-account", "live-one", "savings"], "Alice's syncs")
    assert set(browser.texts(".cell-user")) == {ALICE[:8]} and BOB[:8] not in browser.text()
    browser.go("#/syncs/watch")
    browser.find("h2", "There is no such sync")
    browser.console()
    worker = site.run("live-one")
    browser.go("#/")
    browser.find(".row .pill", "Syncing")
    worker.finish(1, outcome="succeeded")
    worker.exit()
    browser.gone(".row .pill", "Syncing")
    assert browser.console() == []
