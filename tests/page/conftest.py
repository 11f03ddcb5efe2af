# SPDX-License-Identifier: LGPL-2.1-or-later

import os
from pathlib import Path

import pytest
from sites import ALICE, Site, full_site
from browser import Browser


@pytest.fixture(scope="session")
def browser():
    instance = Browser(Path(os.environ["SYNCRUN_PAGE_BUILD"]))
    yield instance
    instance.close()


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
    }


@pytest.fixture
def new_site():
    sites = []

    def make():
        sites.append(Site())
        return sites[-1]

    yield make
    for instance in sites:
        instance.close()


@pytest.fixture
def page(browser, site, keys):
    """Signed in with a key that may do everything, wide and light; at its end the console has said nothing."""
    browser.look()
    browser.sign_in(site, keys["all"])
    browser.console()
    yield browser
    assert browser.console() == []
