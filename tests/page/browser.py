# SPDX-License-Identifier: LGPL-2.1-or-later
"""One headless Chromium for all tests, and what they do with it."""

import base64
import json
import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

HERE = Path(__file__).resolve().parent
WAIT_SEC = 15
WIDE, NARROW = (1360, 900), (390, 844)
TIME_ZONE = "Asia/Kathmandu"  # +05:45: nobody has it by chance

ARGUMENTS = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
             "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage", "--hide-scrollbars", "--force-color-profile=srgb",
             "--disable-extensions", "--lang=en-GB", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"]

# What axe shall not say: nothing is left out.
AXE_TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


def install_axe(folder):
    """The package of the lock file, installed into the build folder once."""
    lock = (HERE / "package-lock.json").read_bytes()
    if not (folder / "installed").exists() or (folder / "installed").read_bytes() != lock:
        folder.mkdir(parents=True, exist_ok=True)
        for name in ("package.json", "package-lock.json"):
            shutil.copy(HERE / name, folder)
        subprocess.run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"], cwd=folder, check=True, stdout=subprocess.DEVNULL)
        (folder / "installed").write_bytes(lock)
    return (folder / "node_modules" / "axe-core" / "axe.min.js").read_text()


# Until something in the page changes, or a time has passed: not all that is waited for is in the page.
LOOK_AGAIN_MS = 100
CHANGE = """
    const [ms, done] = arguments;
    const end = () => { observer.disconnect(); clearTimeout(timer); done(); };
    const observer = new MutationObserver(end), timer = setTimeout(end, ms);
    observer.observe(document, {subtree: true, childList: true, attributes: true, characterData: true});"""


class Browser:
    def __init__(self, build):
        self.axe = install_axe(build / "npm")
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
        self.origin = ""

    def close(self):
        self.driver.quit()
        self.profile.cleanup()

    # ---- Where

    def open(self, address, fragment=""):
        """A page without a past: no cookie, nothing kept."""
        self.origin = address
        self.cdp("Network.clearBrowserCookies", {})
        self.cdp("Storage.clearDataForOrigin", {"origin": address.rstrip("/"), "storageTypes": "all"})
        self.driver.get("about:blank")
        self.driver.get(address + fragment)

    def sign_in(self, site, key, fragment=""):
        self.open(site.address, fragment)
        self.find("#key").send_keys(key, Keys.ENTER)
        self.find(".top")

    def go(self, fragment):
        self.driver.execute_script("location.hash = arguments[0]", fragment)

    def look(self, theme="light", size=WIDE, motion="no-preference"):
        self.cdp("Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": theme},
                                                             {"name": "prefers-reduced-motion", "value": motion}]})
        self.cdp("Emulation.setDeviceMetricsOverride", {"width": size[0], "height": size[1], "deviceScaleFactor": 1, "mobile": False})

    # ---- What there is

    def all(self, css):
        return self.driver.find_elements(By.CSS_SELECTOR, css)

    def until(self, condition, what, seconds=WAIT_SEC):
        """The first value of the condition that is true; looked at again when something in the page has changed."""
        end = time.monotonic() + seconds
        while not (value := condition()):
            assert time.monotonic() < end, f"waited in vain for {what}\n{self.text()[:600]}\n{self.console()}"
            self.driver.execute_async_script(CHANGE, LOOK_AGAIN_MS)
        return value

    def find(self, css, text=""):
        """The first such element with this text in it, as soon as there is one."""
        found = self.until(lambda: self.script("""
            return [...document.querySelectorAll(arguments[0])].find((e) => e.textContent.includes(arguments[1]))""", css, text), f"{css} {text!r}")
        return found

    def gone(self, css, text=""):
        self.until(lambda: not self.has(css, text), f"no {css} {text!r}")

    def has(self, css, text=""):
        return self.script("return [...document.querySelectorAll(arguments[0])].some((e) => e.textContent.includes(arguments[1]))", css, text)

    def click(self, css, text=""):
        """On the element itself, wherever news from above may have moved it meanwhile."""
        self.script("arguments[0].click()", self.find(css, text))

    def texts(self, css):
        return self.script("return [...document.querySelectorAll(arguments[0])].map((e) => e.textContent.trim().replace(/\\s+/g, ' '))", css)

    def text(self, css="body"):
        return self.script("return document.querySelector(arguments[0])?.innerText ?? ''", css)

    def script(self, text, *arguments):
        return self.driver.execute_script(text, *arguments)

    def press(self, *keys):
        self.driver.switch_to.active_element.send_keys(*keys)

    def focused(self):
        return self.script("const e = document.activeElement; return e.getAttribute('aria-label') || e.textContent.trim() || e.name || e.id || e.tagName")

    def console(self):
        """What the browser's console said since it was last looked at."""
        return [entry["message"] for entry in self.driver.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")]

    # ---- How it is

    def violations(self):
        """What axe finds, in a line each."""
        if not self.script("return Boolean(window.axe)"):
            self.script(self.axe)
        result = self.driver.execute_async_script("""
            const [tags, done] = arguments;
            axe.run(document, {runOnly: tags, resultTypes: ["violations"]}).then(done, (error) => done({error: String(error)}))""", AXE_TAGS)
        assert "error" not in result, result
        return [f"{v['id']}: {node['target']} {node['failureSummary']}" for v in result["violations"] for node in v["nodes"]]

    def shot(self, name, whole=True):
        """Kept in the build folder for people to look at."""
        options = {"format": "png", "captureBeyondViewport": whole}
        if whole:
            size = self.cdp("Page.getLayoutMetrics", {})["cssContentSize"]
            options["clip"] = {"x": 0, "y": 0, "width": size["width"], "height": min(size["height"], 2600), "scale": 1}
        data = self.cdp("Page.captureScreenshot", options)["data"]
        (self.shots / f"{name}.png").write_bytes(base64.b64decode(data))
