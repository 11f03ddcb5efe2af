# SPDX-License-Identifier: LGPL-2.1-or-later
"""Every view, light and dark, wide and narrow: what axe says, and a picture of each for people to look at. Keys alone."""

import pytest
from browser import NARROW, WIDE, Keys

VIEWS = {
    "syncs": ("#/", ".cell-name"),
    "sync": ("#/syncs/giro-account", ".entry"),
    "sync-good": ("#/syncs/watch", ".entry"),
    "connections": ("#/connections", ".connection"),
    "nowhere": ("#/no/such/place", ".emptiness"),
}


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("size", [WIDE, NARROW], ids=["wide", "narrow"])
def test_views(browser, site, keys, theme, size):
    browser.look(theme, size)
    browser.open(site.address)
    browser.find("#key")
    name = f"{theme}-{'wide' if size == WIDE else 'narrow'}"
    assert browser.violations() == []
    browser.shot(f"sign-in-{name}")
    browser.find("#key").send_keys(keys["all"], Keys.ENTER)
    for view, (fragment, css) in VIEWS.items():
        browser.find(".top")
        browser.go(fragment)
        browser.find(css)
        browser.find(".is-live")
        # Half of them see each theme, each size and each view: axe takes its time.
        assert (theme == "light") != (size == WIDE) or browser.violations() == [], view
        assert browser.script("return document.documentElement.scrollWidth <= innerWidth"), f"{view} is wider than the window"
        browser.shot(f"{view}-{name}")
    browser.look()
    assert browser.console() == []


def test_by_keys_alone(browser, site, keys):
    browser.look()
    browser.open(site.address)
    browser.find("#key")
    browser.press(keys["all"], Keys.TAB)
    assert browser.focused() == "Sign in"
    browser.press(Keys.ENTER)
    browser.find(".cell-name", "watch")
    browser.driver.refresh()
    browser.find(".cell-name", "watch")
    seen = []
    for _ in range(6):
        browser.press(Keys.TAB)
        seen.append(browser.focused())
    assert seen == ["Skip to content", "syncrun", "Syncs", "Connections", "Sign out", "All 15"]
    browser.script("document.activeElement.blur()")
    browser.driver.refresh()
    browser.find(".cell-name", "watch")
    browser.press(Keys.TAB, Keys.ENTER)
    assert browser.script("return document.activeElement.id") == "main"
    browser.press("/")
    browser.until(lambda: browser.focused() == "search", "the search")
    browser.press("savi")
    browser.until(lambda: browser.texts(".cell-name a") == ["savings"], "one row")
    browser.press(Keys.ARROW_DOWN)
    browser.until(lambda: browser.focused() == "savings", "the row")
    browser.press(Keys.ENTER)
    browser.find("h1", "savings")
    browser.find(".entry")
    for _ in range(40):
        browser.press(Keys.TAB)
        if browser.focused() == "Events":
            break
    browser.press(Keys.ENTER)
    browser.find("[data-more=events]", "no longer kept")
    outline = browser.script("return getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid"  # one sees where one is
    browser.driver.back()
    browser.until(lambda: browser.texts(".cell-name a") == ["savings"], "the list as it was left")
    assert browser.console() == []


def test_landmarks_and_headings(page):
    page.go("#/syncs/giro-account")
    page.find("h1", "giro-account")
    page.find(".entry")
    assert [len(page.all(css)) for css in ("header", "main", "nav[aria-label=Main]", "h1")] == [1, 1, 1, 1]
    assert page.script("return document.documentElement.lang") == "en" and page.driver.title == "giro-account · syncrun"
    assert len(page.all("[aria-live=polite]")) == 1


def test_little_moves_for_those_who_want_it_so(browser, site, keys):
    browser.look(motion="reduce")
    browser.sign_in(site, keys["all"], "#/syncs/live-one")
    browser.find("h1", "live-one")
    worker = site.run("live-one")
    browser.find(".running")
    assert browser.script("return document.getAnimations().filter((a) => a.playState === 'running').length") == 0
    browser.look()
    browser.until(lambda: browser.script("return document.getAnimations().length"), "what moves for others")
    worker.finish(1, outcome="succeeded")
    worker.exit()
    browser.gone(".running")


def test_narrow_targets(browser, site, keys):
    """What one taps is large enough."""
    browser.look("light", NARROW)
    browser.sign_in(site, keys["all"])
    browser.find(".cell-name")
    small = browser.script("""return [...document.querySelectorAll("button, select, input, .top nav a")]
        .map((e) => [e.textContent.trim().slice(0, 20), e.getBoundingClientRect()]).filter(([, r]) => r.height && r.height < 30).map(([t]) => t)""")
    assert small == []
    browser.look()
