# SPDX-License-Identifier: LGPL-2.1-or-later
"""Every view, light and dark, wide and narrow: what axe says, and a picture of each for people to look at. Keys alone."""

import re

from browser import NARROW, Keys
from sites import ALICE, N_SYNCS, PULL, finish

VIEWS = {
    "syncs": ("#/", ".cell-name"),
    "sync": ("#/syncs/giro-account", ".entry"),
    "sync-good": ("#/syncs/watch", ".entry"),
    "settings": ("#/syncs/broken", ".banner"),
    "connections": ("#/connections", ".connection"),
}
SMALL_VIEWS = {
    "few-syncs": ("#/", ".cell-name"),
    "small-sync": ("#/syncs/loan", ".entry"),
    "nothing-fits": ("#/?q=nothing", ".emptiness"),
    "never-run": ("#/syncs/cellar", ".feed, .emptiness"),
    "nothing-sent": ("#/syncs/cellar/deliveries", ".emptiness"),
    "nowhere": ("#/no/such/place", ".emptiness"),
}


def test_sign_in(browser, site):
    browser.open(site.address)
    browser.find("#key")
    browser.state("sign-in", whole=False)


def test_views(page):
    for view, (fragment, css) in VIEWS.items():
        page.go(fragment)
        page.find(css)
        page.find(".is-live")
        page.state(view)


def test_small_views(browser, site, keys):
    browser.sign_in(site, keys["carol"])
    for view, (fragment, css) in SMALL_VIEWS.items():
        browser.go(fragment)
        browser.find(css)
        browser.find(".is-live")
        browser.state(view)
    assert browser.console() == []


CONTRAST = """
    const luminance = (color) => {
      const [r, g, b] = color.match(/[0-9.]+/g).slice(0, 3).map((n) => n / 255).map((x) => (x <= 0.03928 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4));
      return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const contrast = (a, b) => { const [l, d] = [luminance(a), luminance(b)].sort((x, y) => y - x); return (l + 0.05) / (d + 0.05); };
    const ground = (e) => { while (getComputedStyle(e).backgroundColor === "rgba(0, 0, 0, 0)") e = e.parentElement; return getComputedStyle(e).backgroundColor; };
    return arguments[0].flatMap(([css, what]) => {
      const found = [...document.querySelectorAll(css)];
      return found.length === 0 ? [`no ${css}`] : found.map((e) => contrast(getComputedStyle(e)[what], ground(e.parentElement))).filter((c) => c < 3).map((c) => `${css} ${c}`);
    })"""


def test_contrast_of_what_is_no_text(page, site):
    """Three at least, also of bars and of the edges of fields (WCAG 1.4.11), which axe does not look at."""
    for theme in ("light", "dark"):
        page.look(theme)
        page.go("#/")
        page.find(".cell-strip .mark-bar")
        assert page.script(CONTRAST, [["main input", "borderTopColor"], ["main select", "borderTopColor"], [".chip[aria-pressed=false]", "borderTopColor"], [".mark-bar", "fill"]]) == []
        page.go("#/syncs/loan")
        page.find(".chart .mark-bar")
        assert page.script(CONTRAST, [[".mark-bar", "fill"], ["rect.added", "fill"], ["rect.updated", "fill"], ["rect.deduped", "fill"], [".acts .button:enabled:not(.primary)", "borderTopColor"]]) == []


def test_outcomes_without_colours(page):
    """Each has a shape of its own."""
    page.go("#/syncs/loan")
    page.find(".chart .mark-bar")
    shapes = page.script("""return Object.fromEntries([...document.querySelectorAll(".legend li:has(.sample)")].map((e) => [e.textContent, e.querySelector("path").getAttribute("d")]))""")
    assert set(shapes) == {"Success", "Partial", "Cancelled", "Failed", "Skipped"} and len(set(shapes.values())) == 5


def test_few_colours(page, site):
    """What grounds tell is there also where the person's own colours are all there are."""
    page.find(".chip")
    worker = site.run("live-two")
    page.cdp("Emulation.setEmulatedMedia", {"features": [{"name": "forced-colors", "value": "active"}, {"name": "prefers-reduced-motion", "value": "reduce"}]})
    page.looks_like = None
    try:
        differ = "return new Set([...document.querySelectorAll(arguments[0])].map((e) => getComputedStyle(e, arguments[2])[arguments[1]])).size"
        assert page.script(differ, ".chip", "backgroundColor", None) == 2 and page.script(differ, ".top nav a", "borderBottomColor", None) == 2
        page.shot("forced-list", whole=False)
        page.go("#/syncs/live-two")
        page.find(".running")
        worker.report(1, stage="processing", processed=4, total=10)
        page.find(".percent", "40 %")
        page.find(".chart")
        page.find(".steps .here", "Processing")
        assert page.script(differ, ".steps li", "backgroundColor", "::before") == 3 and page.script(differ, ".legend li:not(:has(svg))", "backgroundColor", "::before") == 3
        assert page.get("progress", "getComputedStyle(e).forcedColorAdjust") == "none"
        page.shot("forced-sync", whole=False)
    finally:
        page.look()
        finish(worker, 2, outcome="succeeded")
    page.gone(".running")


def test_many_connections(browser, new_site):
    """Few of them are in the page at a time, and each of them is found."""
    site = new_site()
    for i in range(500):
        site.daemon.add(f"sync-{i:03}", PULL, Connection=f"bank-{i // 2:03}" if i < 300 else "shared")
    site.start()
    browser.sign_in(site, site.key("key", "read", "write"), "#/connections")
    browser.find(".toolbar", "151 connections")
    assert browser.count(".connection") == 60 and browser.count(".connection .rest a") == 0
    browser.click("[data-action=more]", "Show 60 more of 91")
    browser.becomes(".connection", "all.length", 120)
    browser.focus("[name=search]")
    browser.press("sync-42")
    browser.becomes(".connection h2", "all.map((e) => e.textContent)", ["shared"])
    browser.find(".toolbar [role=status]", "1 of 151 connections")
    browser.click(".rest summary", "and 188 more")
    browser.becomes(".rest[open] a", "all.length", 188)
    browser.press("nothing")
    browser.find("h2", "No connection fits")
    assert browser.violations() == [] and browser.console() == []


def test_words_of_others(browser, new_site):
    """Long ones, in any direction, and large numbers have their room, also where there is little of it."""
    site = new_site()
    site.daemon.add("one", PULL)
    site.start()
    browser.sign_in(site, site.key("key", "read", "write", "admin"), "#/syncs/one")
    browser.find("[data-action=sync-now]:enabled")
    finish(site.run("one"), 1, outcome="succeeded")
    finish(site.run("one"), 1, outcome="succeeded", discovered=9007199254740992, added=9007199254740992,
           accounts=[{"account": "\u05d0\u202ea", "status": "success", "discovered": 9007199254740992, "added": 9007199254740992}])
    worker = site.run("one")
    worker.report(1, stage="fetching", processed=3, total=9, message="\u202e" + "a" * 238 + "\U0001f600" * 180)
    browser.find(".running .message summary", "a…")  # no half of a letter
    browser.find(".entry.busy .message summary")
    browser.click(".entry.busy [data-more=events] summary")
    browser.becomes(".events li:first-child bdi", "all.length", 1)
    browser.look("light", (320, 900))
    browser.when("return all('.chart .grid text').length && all('.chart .grid text').every((e) => e.getBoundingClientRect().height >= 10)", what="labels that can be read")
    browser.when("return all('td.number').length && all('td.number').every((e) => { const text = document.createRange(); text.selectNodeContents(e); return text.getClientRects().length === 1; })", what="numbers in one line")
    browser.state("words-of-others")
    finish(worker, 2, outcome="succeeded")
    browser.gone(".running")
    assert browser.console() == []


def test_by_keys_alone(browser, site, keys):
    browser.open(site.address)
    browser.focus("#key")
    browser.press(keys["all"], Keys.TAB)
    browser.has_focus("Sign in")
    browser.press(Keys.ENTER)
    browser.find(".cell-name", "watch")
    browser.refresh()
    browser.find(".cell-name", "watch")
    for name in ("Skip to content", "syncrun", "Syncs", "Connections", "Sign out", f"All {N_SYNCS}"):
        browser.press(Keys.TAB)
        browser.has_focus(name)
    browser.refresh()
    browser.find(".cell-name", "watch")
    browser.press(Keys.TAB)
    browser.has_focus("Skip to content")
    browser.press(Keys.ENTER)
    browser.when("return document.activeElement.id === 'main'")
    browser.press("/")  # no single letter does anything
    browser.when("return document.activeElement.id === 'main'")
    browser.focus("[name=search]")
    browser.press("savi")
    browser.becomes(".cell-name a", "all.map((a) => a.textContent)", ["savings"])
    browser.press(Keys.ARROW_DOWN)
    browser.has_focus("savings")
    browser.press(Keys.ENTER)
    browser.find("h1", "savings")
    browser.find(".entry")
    browser.when("return document.activeElement.tagName === 'H1'", what="the focus on the heading of the view")
    for _ in range(40):
        browser.press(Keys.TAB)
        if browser.focused() == "Events":
            break
    browser.press(Keys.ENTER)
    browser.find("[data-more=events][open]", "no longer kept")
    assert browser.script("return getComputedStyle(document.activeElement).outlineStyle") == "solid"  # one sees where one is
    browser.driver.back()
    browser.becomes(".cell-name a", "all.map((a) => a.textContent)", ["savings"])  # the list as it was left
    browser.when("return document.activeElement.tagName === 'H1'")
    assert browser.console() == []


def test_landmarks_and_headings(page):
    page.go("#/syncs/giro-account")
    page.find(".entry")
    assert [page.count(css) for css in ("header", "main", "nav[aria-label=Main]", "h1")] == [1, 1, 1, 1]
    assert page.script("return document.documentElement.lang") == "en" and page.driver.title == "giro-account · syncrun"
    assert page.count("[aria-live=polite]") == 1


def test_little_moves_for_those_who_want_it_so(page, site):
    page.go("#/syncs/live-one")
    page.find("[data-action=sync-now]:enabled")
    worker = site.run("live-one")
    page.find(".running")
    assert page.script("return document.getAnimations().filter((a) => a.playState === 'running').length") == 0
    page.look(motion="no-preference")
    page.when("return document.getAnimations().length", what="what moves for others")
    page.look()
    finish(worker, 1, outcome="succeeded")
    page.gone(".running")


# All cells of each row: in it, apart from each other, and so is what can be seen of what they say; each id in one line.
ROWS = """
    const seen = (cell) => {
      const text = document.createRange();
      text.selectNodeContents(cell);
      const [a, b] = [cell.getBoundingClientRect(), text.getBoundingClientRect()], hides = getComputedStyle(cell).overflowX === "hidden";
      return hides || b.width === 0 ? a : {left: Math.min(a.left, b.left), right: Math.max(a.right, b.right), top: Math.min(a.top, b.top), bottom: Math.max(a.bottom, b.bottom), width: a.width};
    };
    const apart = (a, b) => a.right <= b.left + 1 || b.right <= a.left + 1 || a.bottom <= b.top + 1 || b.bottom <= a.top + 1;
    const stands = (row) => {
      const within = row.getBoundingClientRect(), boxes = [...row.children].map((cell) => (cell.matches(".cell-name") ? cell.getBoundingClientRect() : seen(cell)));
      return boxes.length === 7 && boxes.every((box) => box.width > 20 && box.top >= within.top - 1 && box.bottom <= within.bottom + 1 && box.right <= within.right)
          && boxes.every((a, i) => boxes.slice(i + 1).every((b) => apart(a, b)));
    };
    const rows = given[0].map((name) => all(`.rows .row[data-key="${name}"]`)[0]), table = all(".table")[0]?.getBoundingClientRect();
    return rows.every((row) => row && stands(row)) && all(".row .id").every((id) => id.getClientRects().length === 1 && id.getBoundingClientRect().height < 30)
        && all(".toolbar, .fields > *").every((e) => e.getBoundingClientRect().bottom <= table.top && e.getBoundingClientRect().right <= innerWidth);"""
WIDTHS = (1360, 1100, 900, 680, 641, 640, 390, 320)


def test_long_names(browser, new_site):
    """As long as the daemon takes them, beside a user, and in a sync that needs attention."""
    site = new_site()
    providers = {"a" * 28: "p" * 64, "bank": "gocardless-bank-account-data", "money": "gocardless", "health": "apple-health-export",
                 "lloyds": "open-banking-lloyds", "mail": "microsoft-365-mail", "long-words": "-".join(["provider"] * 7)}
    for name, provider in providers.items():
        site.daemon.add(name, ("" if name == "money" else "[Schedule]\nOnCalendar=yearly\n") + PULL, Description="What it is about, in very many words, " * 3, Provider=provider, User=ALICE)
    site.start()
    for name in providers:
        if name != "money":
            finish(site.run(name), 1, **({"outcome": "succeeded"} if name == "mail" else {"outcome": "failed", "error": "no", "attention": "destination_auth_expired"}))
    browser.sign_in(site, site.key("key", "read", "write", "admin"))
    browser.becomes(".row .pill", "all.filter((e) => e.textContent === 'Needs attention').length", len(providers) - 2)
    browser.becomes(".row svg.strip", "all.length", len(providers) - 1)
    for width in WIDTHS:
        browser.look("light", (width, 900))
        browser.when(f"return document.documentElement.scrollWidth <= innerWidth && (() => {{{ROWS}}})()", list(providers), what=f"all cells at {width}")
    browser.look()
    browser.state("long-names", whole=False)
    browser.go(f"#/syncs/{'a' * 28}")
    browser.find(".entry")
    browser.state("long-name")
    assert browser.console() == []


def test_nothing_is_left_out(page):
    """Where there is little room, also on a wide screen that is magnified."""
    page.find("[data-key=giro-account] svg.strip")
    for width in WIDTHS:
        page.look("light", (width, 900))
        page.when(ROWS, ["giro-account", "watch"], what=f"all cells at {width}")
    page.look()
    page.go("#/syncs/giro-account")
    page.find(".entry")
    assert page.script("return document.querySelectorAll('.scroller[tabindex]').length") == 0  # what does not scroll is no stop
    names = page.script("return [...document.querySelectorAll('article')].map((a) => a.ariaLabel)")
    assert len(set(names)) == 25 and all(re.fullmatch(r"(Success|Partial|Failed), .* 20\d\d, \d\d:\d\d", name) for name in names)
    for fragment, css in VIEWS.values():
        page.go(fragment)
        page.find(css)
        page.look("light", (320, 900))  # as 1280 magnified four times (WCAG 1.4.10)
        page.when("return innerWidth === 320 && document.documentElement.scrollWidth <= 320", what=f"{fragment} within 320")
    page.go("#/syncs/giro-account")
    page.find(".entry")
    page.look("light", NARROW)
    page.when("return all('.entry .scroller').length && all('.entry .scroller').every((e) => e.scrollWidth <= e.clientWidth)", what="accounts that are as narrow")
    page.look()


def test_narrow_targets(browser, site, keys):
    """What one taps is large enough."""
    browser.look("light", NARROW)
    browser.sign_in(site, keys["all"])
    browser.find(".cell-name")
    small = browser.script("""return [...document.querySelectorAll("button, select, input, .top nav a")]
        .map((e) => [e.textContent.trim().slice(0, 20), e.getBoundingClientRect()]).filter(([, r]) => r.height && r.height < 30).map(([t]) => t)""")
    assert small == []
    browser.look()
