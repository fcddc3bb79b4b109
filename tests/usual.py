# SPDX-License-Identifier: Apache-2.0
"""On which engines the tests run: most of them on USUAL, what is about engines on every one that is installed.

NYALA_TEST_ENGINES=numpy,tensorflow in the environment runs all of them on others. Start at every_engine.
"""

import importlib.util
import os

import pytest

from nyala.engines.protocol import Engine
from nyala.testing import installed_engines

USUAL = ",".join(name for name in ("jax", "numpy", "torch") if importlib.util.find_spec(name))


def every_engine() -> list[Engine]:
    """The engines that can compute values here, or those that were asked for."""
    with pytest.MonkeyPatch.context() as patch:
        if os.environ.get("NYALA_TEST_ENGINES") == USUAL:
            patch.delenv("NYALA_TEST_ENGINES")
        return installed_engines()
