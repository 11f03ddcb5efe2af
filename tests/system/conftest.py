# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the tests of the installed system share: what was built, installed once, and a machine that has it."""

import os
import signal
import tempfile
from pathlib import Path

import pytest
from machine import Machine, install_build, private_mounts

BUILD = Path(os.environ.get("SYNCRUN_BUILD", "build")).resolve()

# A test that takes too long is ended by SIGTERM, and the machines are to be put away all the same.
signal.signal(signal.SIGTERM, signal.default_int_handler)


@pytest.fixture(scope="session")
def installed():
    """The tree that `meson install` makes of the build."""
    private_mounts()
    with tempfile.TemporaryDirectory(prefix="syncrun-installed-") as folder:
        install_build(BUILD, folder)
        yield Path(folder)


@pytest.fixture(scope="module")
def machine(installed):
    """A machine that the tests of a file share: each leaves it as it found it."""
    with Machine(installed) as booted:
        yield booted.boot()
