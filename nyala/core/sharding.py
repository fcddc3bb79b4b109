# SPDX-License-Identifier: Apache-2.0
"""Which distribution is in force, and what follows from it for variables, batches and outputs of layers.

A distribution (nyala/distribution) says how arrays lie over several devices, as layouts; the engine's own compiler divides the work accordingly.
Nothing here computes. Where no distribution is in force, `current` is None and that is all anyone asks. Start at put_in_force.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from typing import Any

import numpy as np

from nyala.core import names, tree
from nyala.core.errors import ShapeError
from nyala.engines import real_engine
from nyala.engines.protocol import Tensor

current: Any = None  # the distribution in force, of the whole process


def put_in_force(distribution: Any) -> None:
    """From now on new variables, batches and programs are laid out by this distribution; None ends that."""
    global current
    current = distribution


def fits(shape: tuple[int, ...], layout: Any) -> bool:
    """Whether each axis that the layout divides can be divided evenly."""
    return all(axis is None or size % layout.device_mesh.size_of(axis) == 0 for size, axis in zip(shape, layout.axes, strict=True))


def check(shape: tuple[int, ...], layout: Any, where: str) -> None:
    """Raise ShapeError unless an array of this shape can be laid out so."""
    if len(layout.axes) != len(shape):
        need = f"a layout of {len(shape)} axes, one for each axis of shape {shape}"
        raise ShapeError(where, need=need, got=f"{layout.axes}", fix="write None for axes that are not divided")
    for place, (size, axis) in enumerate(zip(shape, layout.axes, strict=True)):
        count = 1 if axis is None else layout.device_mesh.size_of(axis)
        if size % count:
            raise ShapeError(
                where,
                need=f"a size that is a multiple of {count} in axis {place}, which lies along {axis!r} of the mesh",
                got=f"shape {shape}",
                why=f"each of the {count} devices there takes an equal part",
                fix="choose such a size, or let its layout have None there",
            )


# Variables ------------------------------------------------------------------------------------------------------------------------------------


def layout_for(variable: Any) -> Any:
    """How the distribution in force lays a variable out; None without one."""
    if current is None:
        return None
    layout = current.get_variable_layout(variable)
    if layout is not None:
        check(variable.shape, layout, f"the layout of variable {variable.path!r}")
    return layout


def adopt(variables: Iterable[Any]) -> None:
    """Lay variables out anew that were made before this distribution was in force."""
    if current is None:
        return
    for variable in variables:
        if variable.layout is None or variable.layout.device_mesh is not current.device_mesh:
            variable.layout = None
            variable.layout = layout_for(variable)
            variable.store(variable.stored())


# Batches --------------------------------------------------------------------------------------------------------------------------------------


def batch_layout(shape: tuple[int, ...]) -> Any:
    """How samples of a batch are divided; each device gets all of those that cannot be divided evenly."""
    layout = current.get_data_layout(shape)
    return layout if fits(shape, layout) else layout.undivided()


def warn_of_uneven(batch_size: int) -> None:
    """Say so if batches of this size cannot be divided among the devices."""
    parts = current.num_model_replicas if current.auto_shard_dataset else 1
    if batch_size % parts:
        warnings.warn(
            f"batches of {batch_size} samples cannot be divided evenly among {parts} devices: each of them computes all samples. "
            f"Choose a multiple of {parts} as batch_size",
            stacklevel=4,
        )


def placed(leaf: Any) -> Tensor:
    """An array of a batch, or a tensor, where the distribution in force wants it."""
    here = real_engine()
    if not isinstance(leaf, np.ndarray):
        return here.laid_out(leaf, batch_layout(tuple(leaf.shape))) if here.is_tensor(leaf) and len(leaf.shape) else leaf
    if not leaf.ndim:
        return here.asarray(leaf)
    if current.num_processes > 1 and not current.auto_shard_dataset:
        shape = (leaf.shape[0] * min(current.num_processes, current.num_model_replicas), *leaf.shape[1:])
        check(shape, current.get_data_layout(shape), "a batch of several processes")
        return here.place_part(leaf, current.get_data_layout(shape))
    return here.place(leaf, batch_layout(leaf.shape))


def everywhere(leaf: np.ndarray) -> Tensor:
    """A whole array on each device: rows of batches are taken from it by number."""
    return real_engine().place(leaf, current.get_data_layout(leaf.shape).undivided())


def divided(batch: Any) -> Any:
    """A batch of tensors inside of a step, its samples divided among the devices."""
    here = real_engine()
    return tree.map_structure(lambda leaf: here.laid_out(leaf, batch_layout(tuple(leaf.shape))) if _is_laid_out(leaf, here) else leaf, batch)


def _is_laid_out(leaf: Any, here: Any) -> bool:
    return leaf is not None and here.is_tensor(leaf) and len(leaf.shape) > 0


def output(outputs: Any) -> Any:
    """What a layer returns, as the distribution in force wants it: by the path of the layer and "/output"."""
    path, here = f"{names.current_path()}/output", real_engine()
    layout = current.get_tensor_layout(path)
    if layout is None:
        return outputs

    def lay_out(leaf: Any) -> Any:
        if not _is_laid_out(leaf, here):
            return leaf
        check(tuple(leaf.shape), layout, path)
        return here.laid_out(leaf, layout)

    return tree.map_structure(lay_out, outputs)


def copies() -> int:
    """How many copies of data that lie on each device the memory of one device must hold: devices of CPUs share theirs."""
    if current is None:
        return 1
    devices = current.device_mesh.devices.reshape(-1)
    return max(len(devices) // current.num_processes, 1) if str(devices[0]).startswith("cpu") else 1


# Processes ------------------------------------------------------------------------------------------------------------------------------------


def processes() -> int:
    """How many processes train together: 1 without a distribution."""
    return 1 if current is None else current.num_processes


def process_number() -> int:
    """The number of this process, from 0."""
    return real_engine().process()[0]


def from_all(number: int) -> list[int]:
    """What each process says here, in their order; all must ask."""
    return [number] if processes() == 1 else [int(n) for n in real_engine().from_all_processes(np.array(number, np.int32))]


def agreed(number: int) -> int:
    """The smallest of the numbers that the processes have here."""
    return number if current is None else min(from_all(number))


def own_rows(rows: np.ndarray) -> np.ndarray:
    """Of outputs for a batch of all processes, those for the samples that this process gave."""
    if current is None or current.num_processes == 1 or current.auto_shard_dataset or not rows.ndim:
        return rows
    share = len(rows) // min(current.num_processes, current.num_model_replicas)
    return rows[share * current.data_shard_id : share * (current.data_shard_id + 1)]
