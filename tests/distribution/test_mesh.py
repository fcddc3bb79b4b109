# SPDX-License-Identifier: Apache-2.0
"""Meshes, layouts and maps of layouts, on the one device that there is. What several devices do with them is in eight_devices/."""

import copy
import pickle

import numpy as np
import pytest

import nyala
from nyala import distribution, layers
from nyala.core.errors import ArgumentError, ArgumentTypeError, StateError
from nyala.distribution import DataParallel, DeviceMesh, LayoutMap, ModelParallel, TensorLayout
from tests.golden.store import read

GRID = [f"cpu:{i}" for i in range(8)]  # names only: nothing here computes


@pytest.fixture(autouse=True)
def jax_without_distribution():
    with nyala.backend("jax"):
        yield
        distribution.set_distribution(None)


@pytest.fixture
def mesh():
    return DeviceMesh((2, 4), ["batch", "model"], GRID)


def test_a_mesh_is_a_grid_of_names(mesh):
    assert (mesh.shape, mesh.axis_names, mesh.devices.shape) == ((2, 4), ["batch", "model"], (2, 4))
    assert mesh.devices[1, 2] == "cpu:6" and (mesh.size_of("batch"), mesh.size_of("model")) == (2, 4)
    assert repr(mesh) == "<DeviceMesh shape=(2, 4), axis_names=['batch', 'model']>"
    square = DeviceMesh((2, 2), ["a", "b"], np.array([["cpu:3", "cpu:1"], ["cpu:0", "cpu:2"]]))
    assert square.devices.tolist() == [["cpu:3", "cpu:1"], ["cpu:0", "cpu:2"]]


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ((None, None), "DeviceMesh needs a shape and names of its axes, got shape=None, axis_names=None."),
        (((2, 0), ["a", "b"]), "DeviceMesh(shape) needs numbers of devices, each at least 1, got (2, 0)."),
        (((2, True), ["a", "b"]), "DeviceMesh(shape) needs numbers of devices, each at least 1, got (2, True)."),
        (((2, 4), ["a"]), "DeviceMesh(axis_names) needs 2 different names, one for each axis of (2, 4), got ['a']."),
        (((2, 4), ["a", "a"]), "DeviceMesh(axis_names) needs 2 different names, one for each axis of (2, 4), got ['a', 'a']."),
        (((2, 3), ["a", "b"], GRID), "DeviceMesh(devices) needs 6 devices, as many as shape (2, 3) has places, "
         "got 8: cpu:0, cpu:1, cpu:2, cpu:3, ....\n  fix: choose another shape, or name the devices"),
        (((2,), ["a"], ["cpu:0", "cpu:0"]), "DeviceMesh(devices) needs each device once, got cpu:0, cpu:0."),
    ],
)  # fmt: skip
def test_meshes_that_cannot_be(arguments, text):
    with pytest.raises(ArgumentError) as caught:
        DeviceMesh(*arguments)
    assert str(caught.value) == text


def test_a_layout_says_where_each_axis_lies(mesh):
    layout = TensorLayout(["batch", None], mesh)
    assert layout.axes == ("batch", None) and layout.device_mesh is mesh
    assert (
        layout == TensorLayout(("batch", None), mesh) != TensorLayout((None, "batch"), mesh)
        and len({layout, TensorLayout(("batch", None), mesh)}) == 1
    )
    assert layout.undivided().axes == (None, None)
    later = TensorLayout(["model"])
    later.device_mesh = mesh
    assert later.device_mesh is mesh
    with pytest.raises(ArgumentError, match="needs a layout that has no mesh yet"):
        later.device_mesh = mesh
    wrong = TensorLayout(["pipeline"])
    with pytest.raises(ArgumentError, match=r"TensorLayout\(axes\) needs axes of the mesh, \['batch', 'model'\], or None, got \['pipeline'\]"):
        wrong.device_mesh = mesh
    assert wrong.device_mesh is None


def test_layouts_that_cannot_be(mesh):
    with pytest.raises(ArgumentTypeError, match="needs names of axes of a mesh, or None, for each axis of an array, got 'batch'"):
        TensorLayout("batch", mesh)
    with pytest.raises(ArgumentError, match="needs each axis of the mesh at most once"):
        TensorLayout(["batch", "batch"], mesh)
    with pytest.raises(ArgumentTypeError, match=r"TensorLayout\(device_mesh\) needs a DeviceMesh, got 3"):
        TensorLayout(["batch"], 3)
    with pytest.raises(ArgumentError, match=r"TensorLayout\.backend_layout needs a device mesh, got None"):
        _ = TensorLayout(["batch"]).backend_layout


def test_a_map_finds_layouts_by_paths(mesh):
    layouts = LayoutMap(mesh)
    layouts[".*dense.*kernel"] = (None, "model")
    layouts[".*bias"] = TensorLayout(["model"])
    layouts["special/bias"] = (None,)
    assert layouts["sequential/dense_1/kernel"].axes == (None, "model") and layouts["sequential/dense_1/kernel"].device_mesh is mesh
    assert layouts["special/bias"].axes == (None,)  # the path itself wins over expressions
    assert layouts["sequential/conv/kernel"] is None and layouts.get("conv/kernel", "none") == "none"
    assert (
        len(layouts) == 3 and list(layouts) == [".*dense.*kernel", ".*bias", "special/bias"] and ".*bias" in layouts and "dense/bias" not in layouts
    )
    assert layouts.pop(".*bias").axes == ("model",) and layouts["dense/bias"] is None
    del layouts["special/bias"]
    assert layouts.device_mesh is mesh and len(layouts) == 1


def test_maps_refuse_what_is_ambiguous(mesh):
    layouts = LayoutMap(mesh)
    layouts[".*kernel"] = (None, "model")
    with pytest.raises(ArgumentError, match=r"LayoutMap\['\.\*kernel'\] needs a new key"):
        layouts[".*kernel"] = (None, None)
    layouts["dense.*"] = (None, "batch")
    with pytest.raises(ArgumentError, match=r"needs one expression at most for 'dense/kernel', got 2: \['\.\*kernel', 'dense\.\*'\]"):
        _ = layouts["dense/kernel"]
    with pytest.raises(ArgumentTypeError, match="needs a TensorLayout, or a tuple of axes, got 3"):
        layouts["other"] = 3
    with pytest.raises(ArgumentError, match="needs a regular expression, got one that does not compile"):
        layouts["("] = (None,)
    with pytest.raises(ArgumentError, match="needs axes of the mesh"):
        layouts["other"] = ("pipeline",)
    with pytest.raises(ArgumentTypeError, match="needs a path, or a regular expression"):
        layouts[3] = (None,)
    assert list(layouts) == [".*kernel", "dense.*"]


def test_maps_match_as_those_of_keras_do():
    mesh, maps = DeviceMesh((2, 4), ["batch", "model"], GRID), [case for name, case in read("distribution").items() if name.startswith("map: ")]
    for case in maps:
        layouts = LayoutMap(mesh)
        for key, axes in case["keys"].items():
            layouts[key] = tuple(axes)
        for path, expected in case["paths"].items():
            if expected == "refused":
                with pytest.raises(ArgumentError, match="needs one expression at most"):
                    _ = layouts[path]
            else:
                found = layouts[path]
                assert (None if found is None else list(found.axes)) == expected, (case["keys"], path)
    assert len(maps) == 4


def test_strategies_describe_themselves(mesh):
    data = DataParallel(device_mesh=mesh)
    assert (data.batch_dim_name, data.num_model_replicas, data.num_processes, data.data_shard_id, data.auto_shard_dataset) == ("batch", 2, 1, 0, True)
    assert data.get_data_layout((6, 3, 2)).axes == ("batch", None, None) and data.get_data_layout(()).axes == ()
    assert data.get_tensor_layout("dense/output") is None and data.distribute_dataset(data) is data
    assert repr(data) == f"<DataParallel device_mesh={mesh!r}>"
    layouts = LayoutMap(mesh)
    layouts["dense/output"] = ("batch", "model")
    layouts[".*kernel"] = (None, "model")
    both = ModelParallel(layout_map=layouts, batch_dim_name="batch", auto_shard_dataset=False)
    assert both.get_tensor_layout("dense/output").axes == ("batch", "model") and both.device_mesh is mesh and not both.auto_shard_dataset
    kernel = nyala.Variable(np.zeros((3, 8)), name="a_kernel")
    assert both.get_variable_layout(kernel).axes == (None, "model") and both.get_variable_layout(nyala.Variable(np.zeros(2))).axes == (None,)
    own = TensorLayout(("batch", None), mesh)
    assert both.get_variable_layout(nyala.Variable(np.zeros((4, 2)), name="b_kernel", layout=own)) is own
    assert ModelParallel(device_mesh=mesh, layout_map=layouts).batch_dim_name == "batch"


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda mesh: DataParallel(mesh, ["cpu:0"]), "DataParallel needs a mesh or devices, got both."),
        (lambda mesh: DataParallel("cpu"), "DataParallel(device_mesh) needs a DeviceMesh, got 'cpu'."),
        (lambda mesh: ModelParallel(), "ModelParallel(layout_map) needs a LayoutMap, got None."),
        (lambda mesh: ModelParallel(layout_map={}), "ModelParallel(layout_map) needs a LayoutMap, got {}."),
        (lambda mesh: ModelParallel(layout_map=LayoutMap(mesh), batch_dim_name="data"),
         "ModelParallel(batch_dim_name) needs one of ['batch', 'model'], got 'data'."),
        (lambda mesh: ModelParallel(layout_map=LayoutMap(mesh), mesh=mesh),
         "ModelParallel needs layout_map, batch_dim_name and auto_shard_dataset, got ['mesh']."),
        (lambda mesh: distribution.set_distribution(3), "set_distribution(value) needs a distribution, such as DataParallel(), or None, got 3."),
        (lambda mesh: distribution.distribute_tensor(np.zeros(2), ("batch",)),
         "distribute_tensor(layout) needs a TensorLayout with a device mesh, got ('batch',)."),
        (lambda mesh: distribution.list_devices("abacus"), "list_devices(device_type) needs 'cpu', 'gpu', 'tpu' or None, got 'abacus'."),
        (lambda mesh: distribution.initialize("here"), "initialize(job_addresses) needs host:port of the first process, got 'here'."),
        (lambda mesh: distribution.initialize("a:1", 2), "initialize needs num_processes and process_id beside an address, got 2 and None."),
        (lambda mesh: distribution.initialize("a:1,b:1", 3, 0), "initialize(num_processes) needs 2, as many as there are addresses, got 3."),
        (lambda mesh: distribution.initialize("a:1,b:1", None, 2), "initialize(process_id) needs a number from 0 to 1, got 2."),
        (lambda mesh: distribution.initialize("a:1", "two", 0), "initialize(num_processes) needs an integer, got 'two'."),
    ],
)  # fmt: skip
def test_what_is_refused(make, text, mesh):
    with pytest.raises((ArgumentError, ArgumentTypeError)) as caught:
        make(mesh)
    assert str(caught.value).splitlines()[0] == text


def test_processes_must_join_before_anything_is_computed(monkeypatch):
    nyala.ops.ones(2)
    monkeypatch.setenv("KERAS_DISTRIBUTION_JOB_ADDRESSES", "127.0.0.1:1")
    monkeypatch.setenv("KERAS_DISTRIBUTION_NUM_PROCESSES", "1")
    monkeypatch.setenv("KERAS_DISTRIBUTION_PROCESS_ID", "0")
    with pytest.raises(StateError) as caught:
        distribution.initialize()
    assert str(caught.value) == (
        "initialize needs to be called before anything is computed, and once, got a process whose engine has begun to work.\n"
        "  why: devices of other processes can only be found as it starts\n"
        "  fix: call nyala.distribution.initialize() at the beginning of the program"
    )


def test_devices_are_counted_by_kind():
    assert distribution.list_devices()[0] == distribution.list_devices("CPU")[0] == "cpu:0"
    assert distribution.get_device_count("cpu") == len(distribution.list_devices("cpu")) and distribution.list_devices("tpu") == []


def test_engines_that_do_not_divide_say_so():
    with nyala.backend("numpy"), pytest.raises(StateError) as caught:
        DataParallel(devices=["cpu:0"]).scope().__enter__()
    assert str(caught.value) == (
        "nyala.distribution.set_distribution needs an engine that divides arrays among devices, got the engine 'numpy'.\n"
        '  fix: nyala.set_backend("jax") before anything is computed'
    )
    assert distribution.distribution() is None


def test_a_distribution_is_in_force_inside_of_its_scope():
    one = DataParallel(devices=["cpu:0"])
    with one.scope():
        assert distribution.distribution() is one
        inside = nyala.Variable(np.zeros((2, 3)))
        with DataParallel(devices=["cpu:0"]).scope():
            assert distribution.distribution() is not one
        assert distribution.distribution() is one
    assert distribution.distribution() is None
    assert inside.layout.axes == (None, None) and nyala.Variable(np.zeros(2)).layout is None
    assert pickle.loads(pickle.dumps(inside)).layout is None and copy.deepcopy(inside).layout == inside.layout


def test_one_device_changes_no_bit():
    def train():
        nyala.utils.set_random_seed(4)
        model = nyala.Sequential([nyala.Input((6,)), layers.Dense(5, "relu"), layers.Dropout(0.3), layers.Dense(2)])
        model.compile("adam", "mse")
        x = np.random.default_rng(0).normal(size=(21, 6)).astype("float32")
        losses = model.fit(x, x[:, :2], batch_size=4, epochs=2, verbose=0).history["loss"]
        return losses, model.predict(x, batch_size=4), model.get_weights()

    losses, predictions, weights = train()
    with DataParallel(devices=["cpu:0"]).scope():
        again, same, others = train()
    assert again == losses
    np.testing.assert_array_equal(same, predictions)
    for one, other in zip(weights, others, strict=True):
        np.testing.assert_array_equal(one, other)


def test_strategies_of_ones_own_need_a_method(mesh):
    class Mine(distribution.Distribution):
        pass

    with pytest.raises(NotImplementedError, match="Mine needs a method get_variable_layout"):
        Mine(mesh).get_variable_layout(None)
