# SPDX-License-Identifier: Apache-2.0
"""How many gradients PyTorch is recording for this thread, one inside the other: kernels without a second gradient must know."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator


class _Recording(threading.local):
    depth = 0  # of gradients and of functions whose values are computed again for one
    order = 0  # of gradients alone
    owned = False  # whether nobody looks at the tensors of this step: a step that is written down (see _torch_replay.py)

    @contextlib.contextmanager
    def deeper(self, order: int) -> Iterator[None]:
        before = self.depth, self.order
        self.depth, self.order = self.depth + 1, order
        try:
            yield
        finally:
            self.depth, self.order = before

    @contextlib.contextmanager
    def owning(self) -> Iterator[None]:
        self.owned = True
        try:
            yield
        finally:
            self.owned = False


recording = _Recording()
