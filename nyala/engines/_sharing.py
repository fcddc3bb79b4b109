# SPDX-License-Identifier: Apache-2.0
"""Several engines of one process on one GPU. Knows no array library. Start at warn_of_reserved_memory."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Sequence

from nyala.engines.protocol import Engine


def uses_gpu(engine: Engine) -> bool:
    return not engine.abstract and any(device.startswith("gpu") for device in engine.devices())


def others_use_gpu() -> bool:
    """Whether an engine of this process computes on a GPU already."""
    engines = sys.modules["nyala.engines"]
    return any(map(uses_gpu, list(engines._loaded.values())))


def warn_of_reserved_memory(engine: Engine, loaded: Sequence[Engine]) -> None:
    """Say it if an engine that has just been loaded finds a GPU whose memory another one keeps."""
    for other in loaded:
        if other is not engine and (reserved := other.reserved_memory()) and uses_gpu(engine):
            warnings.warn(f"engine {engine.name!r} shares the GPU with engine {other.name!r}, which keeps {reserved}", stacklevel=4)
