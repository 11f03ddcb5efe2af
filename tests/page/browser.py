# SPDX-License-Identifier: LGPL-2.1-or-later
"""One headless Chromium for all tests, and what they do with it."""

import base64
import contextlib
import os
import shutil
import tempfile
import time
from pathlib import Path

from npm import modules
from selenium import webdriver
from selenium.common.exceptions import JavascriptException
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.keys import Keys

WAIT_SEC = 30
WIDE, NARROW = (1360, 900), (390, 844)
TIME_ZONE = "Asia/Kathmandu"  # +05:45: nobody has it by chance

ARGUMENTS = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
             "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage", "--hide-scrollbars", "--force-color-profile=srgb",
             "--disable-extensions", "--disable-features=SpareRendererForSitePerProcess", "--lang=en-GB", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"]

LOOKS = [("light", WIDE, "light-wide"), ("dark", WIDE, "dark-wide"), ("dark", NARROW, "dark-narrow"), ("light", NARROW, "light-narrow")]
HEIGHT_MAX = 1800  # of a picture

FOCUSED = """((e) => e.getAttribute("aria-label") || e.textContent.trim() || e.name || e.id || e.tagName)(document.activeElement)"""

# What axe shall not say: nothing is left out.
AXE_TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]

# Of what is there many times, in one way, the first ones are enough for axe, which takes its time.
AXE_EXCLUDES = [[".rows .row:nth-child(n + 6)"], [".entry:nth-of-type(n + 5)"], [".entry tr:nth-child(n + 6)"], [".as-table tr:nth-child(n + 4)"]]


# The body is tried until its value is true: each time something in the page has changed, and now and then, since not all
# is in the page. It finds and acts in one step, between which and the next nothing can be drawn.
LOOK_AGAIN_MS = 100
WHEN = """
    const given = [...arguments], done = given.pop(), ms = given.pop(), options = {subtree: true, childList: true, attributes: true, characterData: true};
    const all = (css, text = "") => [...document.querySelectorAll(css)].filter((e) => e.textContent.includes(text));
    const body = (...given) => {%s};
    let observer, again, end;
    const close = (answer) => { observer?.disconnect(); clearInterval(again); clearTimeout(end); done(answer); return true; };
    const look = () => {
      try {
        const value = body(...given);
        return Boolean(value) && close({value: value instanceof Node ? true : value});
      } catch (error) {
        return close({error: `${error}`});
      }
    };
    if (look()) return;
    observer = new MutationObserver(look);
    observer.observe(document, options);
    again = setInterval(look, %d);
    end = setTimeout(() => close({late: true}), ms);"""


class Browser:
    def __init__(self, build):
        self.axe = (modules(build) / "axe-core" / "axe.min.js").read_text()
        self.shots = build / "screenshots"
        self.shots.mkdir(parents=True, exist_ok=True)
        self.profile = tempfile.TemporaryDirectory(prefix="syncrun-chromium-", ignore_cleanup_errors=True)
        options = webdriver.ChromeOptions()
        options.binary_location = shutil.which("chromium")
        for argument in [*ARGUMENTS, f"--user-data-dir={self.profile.name}", f"--window-size={WIDE[0]},{WIDE[1]}"]:
            options.add_argument(argument)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        self.driver = webdriver.Chrome(service=Service(shutil.which("chromedriver"), env={**os.environ, "TZ": TIME_ZONE}), options=options)
        self.cdp = self.driver.execute_cdp_cmd
        self.driver.set_script_timeout(2 * WAIT_SEC)
        self.who = self.looks_like = None

    def close(self):
        self.driver.quit()
        self.profile.cleanup()

    # ---- Where

    def open(self, address, fragment=""):
        """A page without a past: no cookie, nothing kept."""
        self.leave()
        self.cdp("Network.clearBrowserCookies", {})
        if address != "about:blank":
            self.cdp("Storage.clearDataForOrigin", {"origin": address.rstrip("/"), "storageTypes": "all"})
            self.driver.get(address + fragment)

    def hurry(self):
        """Pages that are loaded within do ten times as often what they do again and again."""
        return self.beforehand("""
            for (const name of ["setTimeout", "setInterval"]) {
              const begin = window[name];
              window[name] = (callback, ms) => begin(callback, ms / 10);
            }""")

    def leave(self):
        self.who = None
        self.driver.get("about:blank")

    def sign_in(self, site, key, fragment="#/"):
        """With a session that has been made without the page; where it is signed in so already, only to the place."""
        if self.who == (site.address, key) and self.has(".top"):
            self.go(fragment)
            return
        is_there = self.driver.current_url.startswith(site.address)
        if is_there:  # to load it anew costs much less than to come from elsewhere; the old one asks for nothing more
            self.script("for (let id = setTimeout(() => {}); id > 0; id--) clearTimeout(id); history.replaceState(null, '', arguments[0])", fragment)
        else:
            self.open("about:blank")
        name, value = site.session(key)
        self.cdp("Network.setCookie", {"name": name, "value": value, "url": site.address, "httpOnly": True, "sameSite": "Strict"})
        with self.beforehand("localStorage.setItem('signed-in', '1')"):
            self.refresh() if is_there else self.driver.get(site.address + fragment)
        self.find(".top")
        self.who = (site.address, key)

    @contextlib.contextmanager
    def beforehand(self, source):
        """Each page that is loaded within begins with this script."""
        script = self.cdp("Page.addScriptToEvaluateOnNewDocument", {"source": source})
        try:
            yield
        finally:
            self.cdp("Page.removeScriptToEvaluateOnNewDocument", script)

    def go(self, fragment):
        """To another place of the page; its view is there when this returns, if not what it shows."""
        self.driver.execute_async_script("""
            const [fragment, done] = arguments;
            if (location.hash === fragment) return done();
            addEventListener("hashchange", () => done(), {once: true});
            location.hash = fragment;""", fragment)

    def refresh(self):
        self.driver.refresh()

    def look(self, theme="light", size=WIDE, motion="reduce"):
        if self.looks_like == (theme, size, motion):
            return
        self.cdp("Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": theme},
                                                             {"name": "prefers-reduced-motion", "value": motion}]})
        self.cdp("Emulation.setDeviceMetricsOverride", {"width": size[0], "height": size[1], "deviceScaleFactor": 1, "mobile": False})
        self.looks_like = (theme, size, motion)

    # ---- What there is

    def when(self, body, *given, what="", seconds=WAIT_SEC):
        """The value of this JavaScript as soon as it is true. It has all(css, text), and what is given as given[i]."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            try:
                answer = self.driver.execute_async_script(WHEN % (body, LOOK_AGAIN_MS), *given, int(left * 1000))
            except JavascriptException as error:  # another page has come
                if "unloaded" not in str(error):
                    raise
                continue
            assert "error" not in answer, f"{what or body}: {answer['error']}\n{self.text()[:600]}"
            if "value" in answer:
                return answer["value"]
        raise AssertionError(f"waited in vain for {what or body} {given}\n{self.text()[:600]}\n{self.console()}")

    def until(self, condition, what, seconds=WAIT_SEC):
        """The same for what is not of the page alone, or of more than one look at it."""
        end = time.monotonic() + seconds
        while not (value := condition()):
            assert time.monotonic() < end, f"waited in vain for {what}\n{self.text()[:600]}\n{self.console()}"
            self.script("return new Promise((done) => setTimeout(done, arguments[0]))", LOOK_AGAIN_MS / 2)
        return value

    def find(self, css, text=""):
        """Until there is such an element with this text in it."""
        return self.when("return all(...given)[0]", css, text, what=f"{css} {text!r}")

    def gone(self, css, text=""):
        self.when("return !all(...given)[0]", css, text, what=f"no {css} {text!r}")

    def get(self, css, what, text=""):
        """What this JavaScript says of the first such element `e`, as soon as there is one."""
        return self.when(f"const e = all(...given)[0]; return e && {{is: {what}}}", css, text, what=f"{what} of {css} {text!r}")["is"]

    def becomes(self, css, what, wanted):
        """Until this JavaScript says it of the elements `all`."""
        self.when(f"const all = [...document.querySelectorAll(given[0])]; return JSON.stringify({what}) === JSON.stringify(given[1])", css, wanted,
                  what=f"{css}: {what} to become {wanted}")

    def has(self, css, text=""):
        return self.script("return [...document.querySelectorAll(arguments[0])].some((e) => e.textContent.includes(arguments[1]))", css, text)

    def click(self, css, text=""):
        """As soon as it is there and may be clicked."""
        self.when("const e = all(...given).find((e) => !e.disabled && e.ariaDisabled !== 'true'); e?.click(); return e", css, text, what=f"{css} {text!r} to click")

    def focus(self, css, text=""):
        self.when("const e = all(...given)[0]; e?.focus(); return e && document.activeElement === e", css, text, what=f"{css} {text!r} to have the focus")

    def choose(self, name, value):
        """In a field of the page."""
        self.when("const e = all(`main [name=${given[0]}]`)[0]; if (e) { e.value = given[1]; e.dispatchEvent(new Event('input', {bubbles: true})); } return e", name, value)

    def count(self, css):
        return self.script("return document.querySelectorAll(arguments[0]).length", css)

    def texts(self, css):
        return self.script("return [...document.querySelectorAll(arguments[0])].map((e) => e.textContent.trim().replace(/\\s+/g, ' '))", css)

    def text(self, css="body"):
        return self.script("return document.querySelector(arguments[0])?.innerText ?? ''", css)

    def script(self, text, *arguments):
        return self.driver.execute_script(text, *arguments)

    def press(self, *keys):
        """Whatever has the focus gets them."""
        ActionChains(self.driver, duration=0).send_keys(*keys).perform()

    def middle(self, css):
        return self.get(css, "(({x, y, width, height}) => ({x: x + width / 2, y: y + height / 2}))(e.getBoundingClientRect())")

    def mouse(self, what, where):
        self.cdp("Input.dispatchMouseEvent", {"type": what, **where, "button": "left", "buttons": 1 if what == "mousePressed" else 0, "clickCount": 1})

    def focused(self):
        return self.script(f"return {FOCUSED}")

    def has_focus(self, name):
        self.when(f"return {FOCUSED} === given[0]", name, what=f"the focus on {name}")

    def console(self):
        """What the browser's console said since it was last looked at."""
        return [entry["message"] for entry in self.driver.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")]

    def console_but(self, *expected):
        """The same, without what a test has brought about: parts of messages, each of which may be there any number of times."""
        return [message for message in self.console() if not any(part in message for part in expected)]

    # ---- How it is

    def violations(self):
        """What axe finds, in a line each."""
        if not self.script("return Boolean(window.axe)"):
            self.script(self.axe)
        result = self.driver.execute_async_script("""
            const [exclude, tags, done] = arguments;
            axe.run({exclude}, {runOnly: tags, resultTypes: ["violations"]}).then(done, (error) => done({error: String(error)}))""", AXE_EXCLUDES, AXE_TAGS)
        assert "error" not in result, result
        return [f"{v['id']}: {node['target']} {node['failureSummary']}" for v in result["violations"] for node in v["nodes"]]

    def shot(self, name, whole=True):
        """Kept in the build folder for people to look at."""
        options = {"format": "png", "captureBeyondViewport": whole, "optimizeForSpeed": True}
        if whole:
            size = self.cdp("Page.getLayoutMetrics", {})["cssContentSize"]
            options["clip"] = {"x": 0, "y": 0, "width": size["width"], "height": min(size["height"], HEIGHT_MAX), "scale": 1}
        data = self.cdp("Page.captureScreenshot", options)["data"]
        (self.shots / f"{name}.png").write_bytes(base64.b64decode(data))

    def state(self, name, whole=True):
        """One state of the page in all its looks: a picture of each, and what axe says of a light wide and a dark narrow one,
        which have each theme and each width between them."""
        for theme, size, word in LOOKS:
            self.look(theme, size)
            self.script("return new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
            assert self.script("return document.documentElement.scrollWidth <= innerWidth"), f"{name} is wider than the window ({word})"
            found = self.violations() if word in ("light-wide", "dark-narrow") else []
            assert found == [], "\n".join([f"{name} ({word})", *found])
            self.shot(f"{name}-{word}", whole)
        self.look()
