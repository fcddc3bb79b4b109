# SPDX-License-Identifier: Apache-2.0
"""Distributions: DataParallel divides batches, ModelParallel weights, too. Training, prediction and files are written as for one device.

The numbers are those of one device, but for the order in which sums are rounded. Start at Distribution.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

from nyala.core import sharding
from nyala.core.errors import ArgumentError, ArgumentTypeError, missing_method
from nyala.distribution.mesh import DeviceMesh, LayoutMap, TensorLayout, _checked_mesh
from nyala.engines import real_engine


class Distribution:
    """How arrays lie over devices. Base of DataParallel and ModelParallel, and of those that users write.

    Args:
        device_mesh: the devices.
        batch_dim_name: the axis of the mesh along which samples are divided; the first by default.
        auto_shard_dataset: where several processes train together, whether each is given all data and takes its part of each batch (True), or each
            is given data of its own, whose batches are the parts of one (False).
    """

    def __init__(self, device_mesh: DeviceMesh, batch_dim_name: str | None = None, auto_shard_dataset: bool = True) -> None:
        if not isinstance(device_mesh, DeviceMesh):
            raise ArgumentTypeError(f"{type(self).__name__}(device_mesh)", need="a DeviceMesh", got=repr(device_mesh))
        name = device_mesh.axis_names[0] if batch_dim_name is None else batch_dim_name
        if name not in device_mesh.axis_names:
            raise ArgumentError(f"{type(self).__name__}(batch_dim_name)", need=f"one of {device_mesh.axis_names}", got=repr(name))
        self._device_mesh, self._batch_dim_name, self._auto_shard_dataset = device_mesh, name, bool(auto_shard_dataset)
        self._process, self._num_processes = real_engine().process()

    @property
    def device_mesh(self) -> DeviceMesh:
        return self._device_mesh

    @property
    def batch_dim_name(self) -> str:
        return self._batch_dim_name

    @property
    def auto_shard_dataset(self) -> bool:
        return self._auto_shard_dataset

    @property
    def num_processes(self) -> int:
        """How many processes train together."""
        return self._num_processes

    @property
    def num_model_replicas(self) -> int:
        """Into how many parts a batch is divided."""
        return self._device_mesh.size_of(self._batch_dim_name)

    @property
    def data_shard_id(self) -> int:
        """Which part of the data this process takes; 0 where each takes all."""
        return self._process * min(self.num_model_replicas, self._num_processes) // self._num_processes

    def get_data_layout(self, data_shape: Sequence[int]) -> TensorLayout:
        """The layout of a batch of this shape, its samples first."""
        axes = [self._batch_dim_name, *[None] * (len(data_shape) - 1)][: len(data_shape)]
        return TensorLayout(axes, self._device_mesh)

    def get_variable_layout(self, variable: Any) -> TensorLayout | None:
        """The layout of a variable."""
        raise missing_method(self, "get_variable_layout(self, variable)")

    def get_tensor_layout(self, path: str) -> TensorLayout | None:
        """The layout of what a layer returns, by its path and "/output"; None where the compiler is to choose."""
        return None

    def distribute_dataset(self, dataset: Any) -> Any:
        """The dataset as it is: fit, evaluate and predict take this process's part of each batch themselves."""
        return dataset

    distribute_tf_dataset = distribute_dataset

    @contextlib.contextmanager
    def scope(self) -> Iterator[None]:
        """Inside, this distribution is in force."""
        from nyala.distribution.places import set_distribution

        before = sharding.current
        set_distribution(self)
        try:
            yield
        finally:
            sharding.put_in_force(before)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} device_mesh={self._device_mesh!r}>"


class DataParallel(Distribution):
    """Each device has all weights and takes its share of each batch; gradients are those of the whole batch.

    Args:
        device_mesh: the devices; a mesh with one axis, or its first axis is taken.
        devices: names of devices, instead of a mesh; all by default.
        auto_shard_dataset: as in Distribution.

    `batch_size` is that of all devices together. Samples that cannot be divided evenly (of a last, smaller batch) go to each device: nothing is lost
    or counted twice. Statistics of BatchNormalization are those of the whole batch.

    >>> import nyala
    >>> nyala.distribution.DataParallel(devices=["cpu:0"])
    <DataParallel device_mesh=<DeviceMesh shape=(1,), axis_names=['batch']>>
    """

    def __init__(self, device_mesh: DeviceMesh | None = None, devices: Sequence[str] | None = None, auto_shard_dataset: bool = True) -> None:
        if device_mesh is None:
            from nyala.distribution.places import list_devices

            devices = list(devices) if devices is not None else list_devices()
            device_mesh = DeviceMesh((len(devices),), ["batch"], devices)
        elif devices is not None:
            raise ArgumentError("DataParallel", need="a mesh or devices", got="both", fix="leave one of them out")
        super().__init__(device_mesh, None, auto_shard_dataset)

    def get_variable_layout(self, variable: Any) -> TensorLayout:
        return variable.layout or TensorLayout([None] * len(variable.shape), self._device_mesh)


class ModelParallel(Distribution):
    """Weights are divided among devices by a LayoutMap, and batches along another axis of the mesh, if it has one.

    Args:
        layout_map: layouts of variables and of what layers return, by their paths; variables it does not name are whole on each device.
        batch_dim_name: the axis of the mesh along which samples are divided; the first by default.
        auto_shard_dataset: as in Distribution.

    >>> import nyala
    >>> mesh = nyala.distribution.DeviceMesh((1, 1), ["batch", "model"])
    >>> layouts = nyala.distribution.LayoutMap(mesh)
    >>> layouts[".*kernel"] = (None, "model")
    >>> nyala.distribution.ModelParallel(layout_map=layouts, batch_dim_name="batch").num_model_replicas
    1
    """

    def __init__(
        self, *, layout_map: LayoutMap | None = None, batch_dim_name: str | None = None, auto_shard_dataset: bool = True, **kwargs: Any
    ) -> None:
        mesh = _checked_mesh(kwargs.pop("device_mesh", None), "ModelParallel(device_mesh)")
        if kwargs:
            raise ArgumentTypeError("ModelParallel", need="layout_map, batch_dim_name and auto_shard_dataset", got=f"{sorted(kwargs)}")
        if not isinstance(layout_map, LayoutMap):
            raise ArgumentTypeError("ModelParallel(layout_map)", need="a LayoutMap", got=repr(layout_map))
        if layout_map.device_mesh is None or mesh not in (None, layout_map.device_mesh):
            raise ArgumentError("ModelParallel(layout_map)", need="a LayoutMap with the mesh of this distribution", got=repr(layout_map.device_mesh))
        super().__init__(layout_map.device_mesh, batch_dim_name, auto_shard_dataset)
        self._layout_map = layout_map

    def get_variable_layout(self, variable: Any) -> TensorLayout:
        return variable.layout or self._layout_map[variable.path] or TensorLayout([None] * len(variable.shape), self._device_mesh)

    def get_tensor_layout(self, path: str) -> TensorLayout | None:
        return self._layout_map[path]
