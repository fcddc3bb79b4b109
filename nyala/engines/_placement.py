# SPDX-License-Identifier: Apache-2.0
"""device: where new tensors are put, for a block of code. Each engine's own machinery does it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from nyala.core.errors import ArgumentError, ArgumentTypeError
from nyala.engines import real_engine


@contextlib.contextmanager
def device(device_name: str) -> Iterator[None]:
    """Inside, the engine in force puts new tensors on this device: "cpu", "gpu", "gpu:1", ...

    >>> with device("cpu:0"):
    ...     pass
    """
    if not isinstance(device_name, str):
        raise ArgumentTypeError("device(device_name)", need="a name such as 'cpu:0' or 'gpu:1'", got=repr(device_name))
    engine: Any = real_engine()
    kind, _, number = device_name.lower().replace("cuda", "gpu").partition(":")
    name = f"{kind}:{number or 0}"
    if name not in engine.devices():
        raise ArgumentError("device(device_name)", need=f"one of {', '.join(engine.devices())}", got=repr(device_name))
    if engine.name == "jax":
        import jax

        platform = "cuda" if kind == "gpu" and any(found.platform == "cuda" for found in jax.devices()) else kind
        with jax.default_device(jax.devices(platform)[int(number or 0)]):
            yield
    elif engine.name == "torch":
        import torch

        before, engine._device = engine._device, torch.device(name.replace("gpu", "cuda") if kind != "cpu" else "cpu")
        try:
            yield
        finally:
            engine._device = before
    elif engine.name == "tensorflow":
        import tensorflow as tf  # pyright: ignore[reportMissingModuleSource]

        with tf.device(f"/{name}"):
            yield
    else:
        yield
