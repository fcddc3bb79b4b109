# SPDX-License-Identifier: Apache-2.0
"""Devices as a grid with named axes, and how arrays lie on it: DeviceMesh, TensorLayout and LayoutMap, which says so by the paths of variables."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, MutableMapping, Sequence
from typing import Any

import numpy as np

from nyala.core.errors import ArgumentError, ArgumentTypeError
from nyala.engines import real_engine


class DeviceMesh:
    """Devices, arranged as a grid.

    Args:
        shape: number of devices along each axis, such as (2, 4).
        axis_names: a name for each axis, such as ["batch", "model"].
        devices: names of devices as list_devices gives them, as many as the grid has places, in any shape; all of them by default.

    >>> import nyala
    >>> nyala.distribution.DeviceMesh((1,), ["batch"])
    <DeviceMesh shape=(1,), axis_names=['batch']>
    """

    def __init__(self, shape: Sequence[int], axis_names: Sequence[str], devices: Any = None) -> None:
        if not shape or not axis_names:
            raise ArgumentError("DeviceMesh", need="a shape and names of its axes", got=f"shape={shape!r}, axis_names={axis_names!r}")
        shape = tuple(shape)
        if not all(isinstance(size, (int, np.integer)) and not isinstance(size, bool) and size > 0 for size in shape):
            raise ArgumentError("DeviceMesh(shape)", need="numbers of devices, each at least 1", got=repr(shape))
        names = list(axis_names)
        if len(names) != len(shape) or not all(isinstance(name, str) and name for name in names) or len(set(names)) != len(names):
            raise ArgumentError("DeviceMesh(axis_names)", need=f"{len(shape)} different names, one for each axis of {shape}", got=repr(names))
        if devices is None:
            from nyala.distribution.places import list_devices

            devices = list_devices()
        found = np.array(devices, dtype=object).reshape(-1)
        if math.prod(shape) != found.size:
            need = f"{math.prod(shape)} devices, as many as shape {shape} has places"
            raise ArgumentError(
                "DeviceMesh(devices)", need=need, got=f"{found.size}: {_shown(found)}", fix="choose another shape, or name the devices"
            )
        if len(set(found.tolist())) != found.size:
            raise ArgumentError("DeviceMesh(devices)", need="each device once", got=_shown(found))
        self._shape, self._axis_names, self._devices = tuple(map(int, shape)), names, found.reshape(shape)

    @property
    def shape(self) -> tuple[int, ...]:
        return self._shape

    @property
    def axis_names(self) -> list[str]:
        return self._axis_names

    @property
    def devices(self) -> np.ndarray:
        """Names of the devices, an array of the shape of the grid."""
        return self._devices

    @property
    def backend_mesh(self) -> Any:
        """The engine's own mesh: a jax.sharding.Mesh."""
        return real_engine().native_mesh(self)

    def size_of(self, axis: str) -> int:
        """How many devices lie along an axis."""
        return self._shape[self._axis_names.index(axis)]

    def __repr__(self) -> str:
        return f"<DeviceMesh shape={self._shape}, axis_names={self._axis_names}>"


class TensorLayout:
    """How an array lies on a mesh: for each of its axes the axis of the mesh along which it is divided, or None.

    Args:
        axes: such as ("batch", None): rows divided along "batch", each part whole in its columns. A device that differs from another in axes that
            are not named holds the same part.
        device_mesh: may be left out where a LayoutMap or a distribution has one.

    >>> import nyala
    >>> mesh = nyala.distribution.DeviceMesh((1,), ["model"])
    >>> nyala.distribution.TensorLayout([None, "model"], mesh).axes
    (None, 'model')
    """

    def __init__(self, axes: Sequence[str | None], device_mesh: DeviceMesh | None = None) -> None:
        if isinstance(axes, str) or not isinstance(axes, Sequence) or not all(axis is None or isinstance(axis, str) for axis in axes):
            raise ArgumentTypeError("TensorLayout(axes)", need="names of axes of a mesh, or None, for each axis of an array", got=repr(axes))
        self._axes = tuple(axes)
        self._device_mesh = _checked_mesh(device_mesh, "TensorLayout(device_mesh)")
        self._check()

    @property
    def axes(self) -> tuple[str | None, ...]:
        return self._axes

    @property
    def device_mesh(self) -> DeviceMesh | None:
        return self._device_mesh

    @device_mesh.setter
    def device_mesh(self, device_mesh: DeviceMesh) -> None:
        if self._device_mesh is not None:
            raise ArgumentError("TensorLayout.device_mesh", need="a layout that has no mesh yet", got=f"one on {self._device_mesh}")
        self._device_mesh = _checked_mesh(device_mesh, "TensorLayout.device_mesh")
        try:
            self._check()
        except ValueError:
            self._device_mesh = None
            raise

    @property
    def backend_layout(self) -> Any:
        """The engine's own layout: a jax.sharding.NamedSharding."""
        if self._device_mesh is None:
            raise ArgumentError("TensorLayout.backend_layout", need="a device mesh", got="None", fix="pass device_mesh=")
        return real_engine().native_layout(self)

    def undivided(self) -> TensorLayout:
        """The layout of an array that is whole on each device of this mesh."""
        return TensorLayout([None] * len(self._axes), self._device_mesh)

    def _check(self) -> None:
        used = [axis for axis in self._axes if axis is not None]
        if len(set(used)) != len(used):
            raise ArgumentError("TensorLayout(axes)", need="each axis of the mesh at most once", got=repr(self._axes))
        if self._device_mesh is None:
            return
        unknown = sorted(set(used) - set(self._device_mesh.axis_names))
        if unknown:
            raise ArgumentError("TensorLayout(axes)", need=f"axes of the mesh, {self._device_mesh.axis_names}, or None", got=repr(unknown))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, TensorLayout) and (self._axes, self._device_mesh) == (other._axes, other._device_mesh)

    def __hash__(self) -> int:
        return hash((self._axes, id(self._device_mesh)))

    def __repr__(self) -> str:
        return f"<TensorLayout axes={self._axes}, device_mesh={self._device_mesh!r}>"


class LayoutMap(MutableMapping):
    """Layouts by regular expressions for paths: of variables ("dense/kernel") and of what layers return ("dense/output").

    An expression must match the whole path: ".*dense.*kernel", not "dense". A path that is a key itself has that layout; one that several other
    keys match is an error. A tuple of axes stands for its TensorLayout. Paths without a layout are not divided.

    Args:
        device_mesh: of the layouts that have none.

    >>> import nyala
    >>> layouts = nyala.distribution.LayoutMap(nyala.distribution.DeviceMesh((1, 1), ["batch", "model"]))
    >>> layouts[".*dense.*kernel"] = (None, "model")
    >>> layouts["sequential/dense_1/kernel"].axes
    (None, 'model')
    """

    def __init__(self, device_mesh: DeviceMesh) -> None:
        self._device_mesh = _checked_mesh(device_mesh, "LayoutMap(device_mesh)")
        self._layouts: dict[str, TensorLayout] = {}

    @property
    def device_mesh(self) -> DeviceMesh | None:
        return self._device_mesh

    def __getitem__(self, key: str) -> Any:
        """The layout of a path; None if there is none."""
        if key in self._layouts:
            return self._layouts[key]
        found = [pattern for pattern in self._layouts if re.fullmatch(pattern, key)]
        if len(found) > 1:
            fix = "write expressions that share no path, or the path itself as a key"
            raise ArgumentError("LayoutMap", need=f"one expression at most for {key!r}", got=f"{len(found)}: {found}", fix=fix)
        return self._layouts[found[0]] if found else None

    def __setitem__(self, key: str, layout: Any) -> None:
        where = f"LayoutMap[{key!r}]"
        if not isinstance(key, str):
            raise ArgumentTypeError(where, need="a path, or a regular expression for paths", got=type(key).__name__)
        if key in self._layouts:
            raise ArgumentError(where, need="a new key", got=f"one that has {self._layouts[key]}", fix="delete it first")
        try:
            re.compile(key)
        except re.error as error:
            raise ArgumentError(where, need="a regular expression", got=f"one that does not compile: {error}") from error
        if isinstance(layout, (tuple, list)):
            layout = TensorLayout(layout)
        if not isinstance(layout, TensorLayout):
            raise ArgumentTypeError(where, need="a TensorLayout, or a tuple of axes", got=repr(layout))
        if layout.device_mesh is None and self._device_mesh is not None:
            layout = TensorLayout(layout.axes, self._device_mesh)
        self._layouts[key] = layout

    def __delitem__(self, key: str) -> None:
        del self._layouts[key]

    def __contains__(self, key: object) -> bool:
        return key in self._layouts

    def get(self, key: str, default: Any = None) -> Any:
        """The layout of a path, by what __getitem__ does."""
        found = self[key]
        return default if found is None else found

    def pop(self, key: str, *default: Any) -> Any:
        """Take a key itself out, and return its layout."""
        return self._layouts.pop(key, *default)

    def __len__(self) -> int:
        return len(self._layouts)

    def __iter__(self) -> Iterator[str]:
        return iter(self._layouts)


def _checked_mesh(mesh: Any, where: str) -> DeviceMesh | None:
    if mesh is not None and not isinstance(mesh, DeviceMesh):
        raise ArgumentTypeError(where, need="a DeviceMesh", got=repr(mesh))
    return mesh


def _shown(devices: np.ndarray) -> str:
    names = [str(name) for name in devices[:4]]
    return ", ".join(names) + (", ..." if devices.size > 4 else "")
