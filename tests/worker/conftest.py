# SPDX-License-Identifier: LGPL-2.1-or-later

import pytest
from harness import Bench, PrivateBus


@pytest.fixture
def bus():
    private_bus = PrivateBus()
    yield private_bus
    private_bus.close()


@pytest.fixture
def bench(bus, tmp_path):
    instance = Bench(bus, tmp_path)
    yield instance
    instance.close()
