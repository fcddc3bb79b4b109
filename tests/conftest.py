# SPDX-License-Identifier: Apache-2.0
"""What holds for every test."""

import os

from tests.usual import USUAL

os.environ.setdefault("NYALA_TEST_ENGINES", USUAL)  # what is about engines takes all: tests.usual.every_engine
