# SPDX-License-Identifier: Apache-2.0
"""Eight devices, and no distribution left behind."""

import pytest

from nyala import distribution


@pytest.fixture(autouse=True)
def eight_devices_without_distribution():
    assert distribution.get_device_count() == 8
    yield
    distribution.set_distribution(None)
