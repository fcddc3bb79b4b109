# SPDX-License-Identifier: Apache-2.0
"""Tensors and meshes on eight devices."""

import jax
import numpy as np
import pytest

import nyala
from nyala import distribution
from nyala.core.errors import ArgumentError, ShapeError
from nyala.distribution import DeviceMesh, TensorLayout, distribute_tensor


@pytest.fixture
def mesh():
    return DeviceMesh((2, 4), ["data", "model"])


def test_meshes_are_those_of_jax(mesh):
    assert dict(mesh.backend_mesh.shape) == {"data": 2, "model": 4}
    assert [device.id for device in mesh.backend_mesh.devices.reshape(-1)] == list(range(8)) and mesh.backend_mesh is mesh.backend_mesh
    some = DeviceMesh((2,), ["x"], ["cpu:5", "cpu:2"])
    assert [device.id for device in some.backend_mesh.devices] == [5, 2]
    assert isinstance(TensorLayout(["data", None], mesh).backend_layout, jax.sharding.NamedSharding)
    with pytest.raises(ArgumentError, match=r"needs devices among \['cpu:0', .*\], got \['cpu:9'\]"):
        _ = DeviceMesh((2,), ["x"], ["cpu:0", "cpu:9"]).backend_mesh


@pytest.mark.parametrize("axes", [("data", "model"), ("model", None), (None, "data"), (None, None), ("model", "data")])
def test_tensors_are_divided(mesh, axes):
    array = np.random.default_rng(1).normal(size=(8, 12)).astype("float32")
    tensor = distribute_tensor(array, TensorLayout(axes, mesh))
    sizes = tuple(size // (1 if axis is None else mesh.size_of(axis)) for size, axis in zip(array.shape, axes, strict=True))
    assert {shard.data.shape for shard in tensor.addressable_shards} == {sizes} and len(tensor.addressable_shards) == 8
    np.testing.assert_array_equal(tensor, array)
    for shard in tensor.addressable_shards:
        np.testing.assert_array_equal(shard.data, array[shard.index])
    moved = distribute_tensor(tensor, TensorLayout(axes[::-1], mesh))
    np.testing.assert_array_equal(nyala.ops.convert_to_numpy(moved), array)
    inside = nyala.jit(lambda x: distribute_tensor(x * 2, TensorLayout(axes, mesh)))(array)
    assert {shard.data.shape for shard in inside.addressable_shards} == {sizes}
    np.testing.assert_array_equal(inside, array * 2)


def test_layers_of_ones_own_divide_what_they_return(mesh):
    class Divide(nyala.layers.Layer):
        def call(self, x):
            return distribute_tensor(x * 2, TensorLayout(["data", None], mesh))

    inputs = nyala.Input((3,))
    model = nyala.Model(inputs, Divide()(inputs))
    x = np.random.default_rng(2).normal(size=(8, 3)).astype("float32")
    np.testing.assert_array_equal(model.predict(x), x * 2)
    assert {shard.data.shape for shard in model(x).addressable_shards} == {(4, 3)}


def test_tensors_that_cannot_be_divided(mesh):
    with pytest.raises(ShapeError, match=r"distribute_tensor needs a size that is a multiple of 4 in axis 1.*got shape \(8, 6\)"):
        distribute_tensor(np.zeros((8, 6)), TensorLayout(["data", "model"], mesh))
    with pytest.raises(ShapeError, match="distribute_tensor needs a layout of 1 axes"):
        distribute_tensor(np.zeros(8), TensorLayout(["data", "model"], mesh))


def test_variables_lie_where_their_layout_says(mesh):
    v = nyala.Variable(np.arange(16.0, dtype="float32").reshape(4, 4), layout=TensorLayout(["model", None], mesh))
    assert {shard.data.shape for shard in v.value.addressable_shards} == {(1, 4)}
    v.assign_add(np.ones((4, 4)))
    v.assign(nyala.ops.transpose(v))
    assert {shard.data.shape for shard in v.value.addressable_shards} == {(1, 4)}
    np.testing.assert_array_equal(v.numpy(), np.arange(16.0).reshape(4, 4).T + 1)

    @nyala.jit
    def turn():
        v.assign(nyala.ops.transpose(v))

    @nyala.jit
    def reset():
        v.assign(nyala.ops.full((4, 4), 3.0))

    for function in (turn, reset, turn):
        function()
        assert {shard.data.shape for shard in v.value.addressable_shards} == {(1, 4)}, function


def test_the_numpy_engine_takes_over_what_is_divided(mesh):
    with distribution.DataParallel().scope():
        v = nyala.Variable(np.arange(8.0, dtype="float32"))
        _ = v.value
        with nyala.backend("numpy"):
            np.testing.assert_array_equal(v + 1, np.arange(8.0) + 1)
