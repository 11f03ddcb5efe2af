# SPDX-License-Identifier: LGPL-2.1-or-later

import os
from pathlib import Path

import pytest
from sites import ALICE, CAROL, Site, full_site
from browser import Browser


@pytest.fixture(scope="session")
def one_browser():
    instance = Browser(Path(os.environ["SYNCRUN_PAGE_BUILD"]))
    yield instance
    instance.close()


@pytest.fixture
def browser(one_browser):
    """As every test finds it: wide, light, and with nothing to say."""
    one_browser.look()
    one_browser.console()
    return one_browser


@pytest.fixture(scope="session")
def site():
    instance = full_site()
    yield instance
    instance.close()


@pytest.fixture(scope="session")
def keys(site):
    return {
        "all": site.key("all", "read", "write", "admin"),
        "reader": site.key("reader", "read"),
        "writer": site.key("writer", "write"),
        "alice": site.key("alice", "read", "write", user=ALICE),
        "carol": site.key("carol", "read", "write", user=CAROL),
    }


@pytest.fixture
def new_site(browser):
    sites = []

    def make():
        sites.append(Site())
        return sites[-1]

    yield make
    browser.leave()
    for instance in sites:
        instance.close()


@pytest.fixture
def page(browser, site, keys):
    """Signed in with a key that may do everything; at its end the console has said nothing."""
    browser.sign_in(site, keys["all"])
    yield browser
    assert browser.console() == []
