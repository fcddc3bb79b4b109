# SPDX-License-Identifier: Apache-2.0
"""Arrays over several devices on JAX: layouts become NamedShardings, and XLA divides the programs. Processes join by jax.distributed."""

from __future__ import annotations

import functools
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from nyala.core.errors import ArgumentError, StateError

_several = False


def mesh(device_mesh: Any) -> Mesh:
    """The jax.sharding.Mesh of a DeviceMesh."""
    return _mesh(device_mesh.shape, tuple(device_mesh.axis_names), tuple(device_mesh.devices.reshape(-1).tolist()))


def divides() -> bool:
    """Whether a mesh of several devices was made."""
    return _several


def sharding(layout: Any) -> NamedSharding:
    """The NamedSharding of a TensorLayout, without the last axes if they are not divided: XLA writes it so, and JAX compiles anew for another."""
    axes = list(layout.axes)
    while axes and axes[-1] is None:
        axes.pop()
    return NamedSharding(mesh(layout.device_mesh), PartitionSpec(*axes))


@functools.lru_cache(maxsize=64)
def _mesh(shape: tuple[int, ...], names: tuple[str, ...], devices: tuple[str, ...]) -> Mesh:
    known = {f"{kind(device)}:{device.id}": device for device in [*jax.devices("cpu"), *jax.devices()]}
    unknown = [name for name in devices if name not in known]
    if unknown:
        raise ArgumentError("DeviceMesh(devices)", need=f"devices among {sorted(known)}", got=f"{unknown}")
    global _several
    _several = _several or len(devices) > 1
    return Mesh(np.array([known[name] for name in devices], dtype=object).reshape(shape), names)


def kind(device: Any) -> str:
    """Of a jax.Device, as in names of devices."""
    return "gpu" if device.platform in ("cuda", "rocm") else device.platform


def as_shape(leaf: Any) -> jax.ShapeDtypeStruct:
    """Shape and dtype of what has them, and how it is divided: JAX keeps a trace for the first call only if that is the same."""
    found = getattr(leaf, "sharding", None) if _several and isinstance(leaf, jax.Array) else None
    return jax.ShapeDtypeStruct(tuple(leaf.shape), jax.numpy.dtype(leaf.dtype), sharding=found if isinstance(found, NamedSharding) else None)


def place(value: np.ndarray, layout: Any) -> jax.Array:
    """An array of the host, each device given its part; each process has all of it."""
    target = sharding(layout)
    if jax.process_count() == 1:
        return jax.device_put(value, target)
    return jax.make_array_from_callback(value.shape, target, lambda index: value[index])


def place_part(value: np.ndarray, layout: Any) -> jax.Array:
    """An array of which each process has its part."""
    return jax.make_array_from_process_local_data(sharding(layout), value)


def moved(x: jax.Array, target: NamedSharding) -> jax.Array:
    """An array that lies elsewhere, or elsewise."""
    if target.is_fully_addressable or not x.is_fully_addressable:
        return jax.device_put(x, target)
    host = np.asarray(x)  # each process has all of it
    return jax.make_array_from_callback(host.shape, target, lambda index: host[index])


def whole(x: jax.Array) -> np.ndarray:
    """The values of an array that lies with several processes, all of which must ask for it."""
    from jax.experimental import multihost_utils

    return np.asarray(multihost_utils.process_allgather(x, tiled=True))


def join(address: str | None, count: int | None, number: int | None) -> None:
    """Start jax.distributed. On CPUs, processes exchange sums through Gloo."""
    try:
        jax.config.update("jax_cpu_collectives_implementation", "gloo")
        jax.distributed.initialize(address, count, number)
    except (RuntimeError, ValueError) as error:
        if "before any JAX" not in str(error) and "only be called once" not in str(error):
            raise StateError("initialize", need="processes that find each other", got=str(error).splitlines()[0]) from error
        raise StateError(
            "initialize",
            need="to be called before anything is computed, and once",
            got="a process whose engine has begun to work",
            why="devices of other processes can only be found as it starts",
            fix="call nyala.distribution.initialize() at the beginning of the program",
        ) from error


def from_all(value: np.ndarray) -> np.ndarray:
    """The values that all processes have, along a new first axis."""
    from jax.experimental import multihost_utils

    return np.asarray(multihost_utils.process_allgather(value[None], tiled=True))
