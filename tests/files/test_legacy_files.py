# SPDX-License-Identifier: Apache-2.0
"""Files of Keras 0.3, 1.2, 2.2, tf.keras 2.15 and 3.15, written by these: equal outputs, equal next training step.

The script that made them is tests/golden/make_legacy_files.py.
"""

import io
import json
import pathlib
import warnings
import zipfile

import h5py
import numpy as np
import pytest

import nyala
from nyala.core.errors import ArgumentError, ShapeError, StateError
from nyala.files.errors import CorruptFileError, FileError, ResourceLimitError, UnsafeObjectError
from nyala.files.hdf5 import reading, writing
from nyala.files.legacy_hdf5 import load_model_hdf5, load_weights_hdf5, save_model_hdf5, save_weights_hdf5
from nyala.models import model_from_json

DATA = pathlib.Path(__file__).parents[1] / "golden" / "data"
ERAS = ("zero", "one", "two", "flips", "tf", "zipped", "three")  # zipped: .keras files of tf.keras


def names_in(era):
    with zipfile.ZipFile(DATA / f"legacy_{era}.zip") as archive:
        return sorted({name.rpartition(".")[0] for name in archive.namelist() if name.endswith(".npz")})


def members(era, name):
    """The files of one case, and its arrays."""
    with zipfile.ZipFile(DATA / f"legacy_{era}.zip") as archive:
        files = {end: archive.read(f"{name}.{end}") for end in ("h5", "json", "keras") if f"{name}.{end}" in archive.namelist()}
        with np.load(io.BytesIO(archive.read(f"{name}.npz"))) as arrays:
            return files, {key: arrays[key] for key in arrays.files}


def numbered(arrays, letter):
    return [arrays[f"{letter}{i}"] for i in range(9) if f"{letter}{i}" in arrays]


def feed(model, arrays):
    if isinstance(getattr(model, "_inputs_struct", None), dict):
        return dict(zip(model._inputs_struct, arrays, strict=True))
    return arrays if len(arrays) > 1 else arrays[0]


def outputs(model, arrays):
    with nyala.backend("numpy"):
        found = model(feed(model, arrays), training=False)
    return [np.asarray(y) for y in (found.values() if isinstance(found, dict) else found if isinstance(found, (list, tuple)) else [found])]


def assert_equal(found, wanted, tolerance=1e-6):
    assert len(found) == len(wanted)
    for a, b in zip(found, wanted, strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=tolerance * max(1.0, float(abs(b).max())))


def load(files):
    if "keras" in files:
        return nyala.saving.load_model(io.BytesIO(files["keras"]))
    if "json" not in files:
        return load_model_hdf5(io.BytesIO(files["h5"]))
    model = model_from_json(files["json"].decode())
    load_weights_hdf5(model, io.BytesIO(files["h5"]))
    return model


# RMSprop of Keras 1 and 2 adds epsilon to the root, that of Keras 3 to the number under it.
STEP = {("one", "lstm_trained"): 1e-3, ("two", "recurrent_trained_2"): 5e-3}
# Keras 2.2 on TensorFlow 1 corrects the averages of BatchNormalization by numbers that its files leave out.
NOT_REPEATABLE = [("two", name) for name in ("sgd_trained_2", "nested_2", "frozen_2")]
NOT_REPEATABLE += [("zipped", "old_optimizer_tf")]  # tf-keras leaves the state of its old optimizers out of .keras files
WEIGHTS_ALONE = ("weights_only_2", "many_layers")
CASES = [(era, name) for era in ERAS for name in names_in(era)]


def test_the_zoo_is_large_enough():
    assert len(CASES) >= 60


@pytest.mark.parametrize("era, name", [case for case in CASES if case[1] not in WEIGHTS_ALONE], ids=str)
def test_loads_with_equal_outputs(era, name):
    files, arrays = members(era, name)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = load(files)
    assert_equal(outputs(model, numbered(arrays, "x")), numbered(arrays, "y"))


TRAINED = [(era, name) for era, name in CASES if "t0" in members(era, name)[1]]


@pytest.mark.parametrize("era, name", [case for case in TRAINED if case not in NOT_REPEATABLE], ids=str)
def test_trains_on_with_an_equal_step(era, name):
    files, arrays = members(era, name)
    model = load(files)
    inputs, targets = numbered(arrays, "x"), numbered(arrays, "t")
    assert model.compiled and int(model.optimizer.iterations) == steps_in(era, model)
    if era == "two" and isinstance(model.optimizer, nyala.optimizers.Adam):
        model.optimizer.iterations = 4  # TensorFlow 1 read the number of the step after it had been raised
    model.train_on_batch(feed(model, inputs), targets if len(targets) > 1 else targets[0])
    moved = max(float(abs(a - b).max()) for a, b in zip(numbered(arrays, "y"), numbered(arrays, "z"), strict=True))
    assert moved > 1e-4  # else the comparison would say nothing
    assert_equal(outputs(model, inputs), numbered(arrays, "z"), STEP.get((era, name), 5e-6))


def steps_in(era, model):
    """The number of steps in the file: Keras 1 and 2.2 wrote it for some optimizers only."""
    kind = type(model.optimizer).__name__
    return 3 if era in ("tf", "zipped", "three") or kind == "Adam" or (era == "two" and kind == "SGD") else 0


@pytest.mark.parametrize("era, name", [case for case in TRAINED if case[0] not in ("one", "zipped")], ids=str)
def test_each_slot_is_an_array_of_the_file(era, name):
    files, _ = members(era, name)
    model = load(files)
    with reading(io.BytesIO(files["h5"])) as root:
        stored = [dataset.read() for dataset in root.groups["optimizer_weights"].walk()]
    slots = [slot.numpy() for slots in model.optimizer._slots.values() for slot in slots.values()]
    assert slots and int(model.optimizer.iterations) == steps_in(era, model)
    for slot in slots:
        assert any(slot.shape == array.shape and np.array_equal(slot, array) for array in stored)


@pytest.mark.parametrize("era", ["two", "tf"])
def test_weights_alone_go_by_order_and_by_name(era):
    files, arrays = members(era, "weights_only_2")
    layers = nyala.layers
    model = nyala.Sequential([nyala.Input((4,)), layers.Dense(3), layers.Dense(2)])
    load_weights_hdf5(model, io.BytesIO(files["h5"]))
    assert_equal(outputs(model, numbered(arrays, "x")), numbered(arrays, "y"))
    other = nyala.Sequential([nyala.Input((4,)), layers.Dense(3, name="a"), layers.Dense(3), layers.Dense(5, name="c")])
    before = other.get_weights()
    load_weights_hdf5(other, io.BytesIO(files["h5"]), by_name=True)
    np.testing.assert_array_equal(other.get_weights()[0], model.get_weights()[0])
    for now, then in zip(other.get_weights()[2:], before[2:], strict=True):
        np.testing.assert_array_equal(now, then)


def test_names_spread_over_several_attributes():
    files, arrays = members("two", "many_layers")
    model = nyala.Sequential([nyala.Input((2,))] + [nyala.layers.Dense(2) for _ in range(25)])
    with reading(io.BytesIO(files["h5"])) as root:
        assert "layer_names0" in root.attributes and "layer_names" not in root.attributes
    load_weights_hdf5(model, io.BytesIO(files["h5"]))
    assert_equal(outputs(model, numbered(arrays, "x")), numbered(arrays, "y"))


def test_mismatch_changes_nothing_or_is_skipped():
    files, _ = members("two", "weights_only_2")
    model = nyala.Sequential([nyala.Input((4,), name="in"), nyala.layers.Dense(3, name="a"), nyala.layers.Dense(5, name="b")])
    before = model.get_weights()
    with pytest.raises(ShapeError) as caught:
        load_weights_hdf5(model, io.BytesIO(files["h5"]))
    assert str(caught.value) == (
        "load_weights(file) needs 2 arrays of shapes [(3, 5), (5,)] for layer 'b', got 2 of shapes [(3, 2), (2,)], stored as 'b'.\n"
        "  why: they differ first at 'b/kernel:0'\n"
        "  fix: no weight was changed; skip_mismatch=True leaves such layers alone, by_name=True goes by the names of layers\n"
        "  rule: weights-mismatch"
    )
    for now, then in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(now, then)
    with pytest.warns(UserWarning, match="layer 'b' was skipped"):
        load_weights_hdf5(model, io.BytesIO(files["h5"]), skip_mismatch=True)
    assert not np.array_equal(model.get_weights()[0], before[0])
    np.testing.assert_array_equal(model.get_weights()[2], before[2])


def test_a_damaged_chunk_of_the_last_layer_changes_nothing(tmp_path):
    model = nyala.Sequential([nyala.Input((4,)), nyala.layers.Dense(3, name="a"), nyala.layers.Dense(50, name="b")])
    before = [np.array(value) for value in model.get_weights()]
    new = [np.random.default_rng(3).normal(size=value.shape).astype("float32") for value in before]
    path = tmp_path / "w.h5"
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = [b"a", b"b"]
        for i, name in enumerate("ab"):
            group = file.create_group(name)
            group.attrs["weight_names"] = [b"kernel:0", b"bias:0"]
            group.create_dataset("kernel:0", data=new[2 * i], compression="gzip")
            group.create_dataset("bias:0", data=new[2 * i + 1])
        chunk = file["b/kernel:0"].id.get_chunk_info(0)
    whole = path.read_bytes()
    damaged = bytearray(whole)
    damaged[chunk.byte_offset + chunk.size // 2] ^= 4
    path.write_bytes(bytes(damaged))
    with pytest.raises(CorruptFileError):
        model.load_weights(path)
    for now, then in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(now, then)
    path.write_bytes(whole)
    model.load_weights(path)
    for now, then in zip(model.get_weights(), new, strict=True):
        np.testing.assert_array_equal(now, then)


def test_another_number_of_layers_says_where_they_differ():
    files, _ = members("two", "weights_only_2")
    model = nyala.Sequential([nyala.Input((4,)), nyala.layers.Dense(3, name="p"), nyala.layers.Dense(7, name="q"), nyala.layers.Dense(2)])
    with pytest.raises(ArgumentError, match=r"they differ first at layer 1: the model has 'q' with shapes .*, the file 'b'"):
        load_weights_hdf5(model, io.BytesIO(files["h5"]))
    with pytest.raises(StateError, match=r"one whose layer .* is not built"):
        load_weights_hdf5(nyala.Sequential([nyala.layers.Dense(3)]), io.BytesIO(files["h5"]))


def test_weights_are_no_model_and_keras_0_has_no_names():
    with pytest.raises(CorruptFileError, match="needs a whole model, got weights alone"):
        load_model_hdf5(io.BytesIO(members("two", "weights_only_2")[0]["h5"]))
    files, _ = members("zero", "words")
    with pytest.raises(ArgumentError, match="Keras 0, which numbers them"):
        load_weights_hdf5(model_from_json(files["json"].decode()), io.BytesIO(files["h5"]), by_name=True)


# Compile information ------------------------------------------------------------------------------------------------------------


def rewritten(content, **attributes):
    """A copy of a file with other attributes at its root; None takes one away."""
    file = io.BytesIO()
    with reading(io.BytesIO(content)) as tree, writing(file) as root:
        _copy(tree, root, attributes)
    return file


def _copy(group, target, attributes=()):
    for name, value in {**group.attributes, **dict(attributes)}.items():
        if value is not None:
            target.attributes[name] = [one.encode() for one in value] if isinstance(value, list) else value
    for name, dataset in group.datasets.items():
        target.dataset(name, dataset.read())
    for name, inner in group.groups.items():
        _copy(inner, target.group(name))


@pytest.mark.parametrize(
    "training, why",
    [
        ({"optimizer_config": {"class_name": "Adam", "config": {}}, "loss": "a_loss_of_my_own"}, "a_loss_of_my_own"),
        ({"optimizer_config": {"class_name": "TFOptimizer", "config": {}}, "loss": "mse"}, "one of TensorFlow"),
        ({"optimizer_config": {"class_name": "SGD", "config": {}}, "loss": "mse", "metrics": ["fmeasure"]}, "fmeasure"),
        ({"loss": "mse"}, "optimizer_config"),
    ],
)
def test_compile_information_never_blocks_the_weights(training, why):
    files, arrays = members("two", "dense_trained_2")
    with pytest.warns(UserWarning, match=f"not compiled.*{why}"):
        model = load_model_hdf5(rewritten(files["h5"], training_config=json.dumps(training)))
    assert not getattr(model, "compiled", False)
    assert_equal(outputs(model, numbered(arrays, "x")), numbered(arrays, "y"))


def test_an_optimizer_that_does_not_fit_begins_anew():
    files, _ = members("two", "dense_trained_2")
    training = {"optimizer_config": {"class_name": "Nadam", "config": {"lr": 0.1, "schedule_decay": 0.004}}, "loss": "mse"}
    with pytest.warns(UserWarning, match="the optimizer begins anew"):
        model = load_model_hdf5(rewritten(files["h5"], training_config=json.dumps(training)))
    assert model.compiled and int(model.optimizer.iterations) == 0


def test_compile_false_leaves_the_model_uncompiled():
    assert not getattr(load_model_hdf5(io.BytesIO(members("two", "dense_trained_2")[0]["h5"]), compile=False), "compiled", False)


# What a file may not do ---------------------------------------------------------------------------------------------------------


def config_of(content):
    with reading(io.BytesIO(content)) as root:
        return json.loads(root.attributes["model_config"])


def test_lambda_code_is_refused_and_given_functions_are_used():
    content = members("two", "architecture_2")[0]["h5"]
    content = members("two", "special_2")[0]["h5"] if b"model_config" not in content else content
    config = config_of(content)
    code = ["4wEAAAABAAAAAQAAAEMAAABzCAAAAHwAZAEUAFMAKQJOZwAAAAAAAABAqQApAdoBeHICAAAAcgIAAAB6BzxzdGRpbj7aCDxsYW1iZGE+AQAAAPMAAAAA\n", None, None]
    config["config"]["layers"].append({"class_name": "Lambda", "config": {"name": "twice", "function": code, "function_type": "lambda"}})
    file = rewritten(content, model_config=json.dumps(config))
    with pytest.raises(UnsafeObjectError, match="needs its function from you, got the bytes of a lambda") as caught:
        load_model_hdf5(file)
    assert caught.value.rule == "object-lambda"
    model = load_model_hdf5(file, custom_objects={"twice": lambda x: x * 2.0})
    plain = load_model_hdf5(io.BytesIO(content))
    x = np.random.default_rng(0).normal(size=(3, *plain.input_shape[1:])).astype("float32")
    assert_equal(outputs(model, [x]), [2 * y for y in outputs(plain, [x])])


@pytest.mark.parametrize("name", ["os.system", "keras.utils>get_file", "eval", "Lambda2"])
def test_unknown_classes_are_refused(name):
    content = members("two", "special_2")[0]["h5"]
    config = config_of(content)
    config["config"]["layers"].append({"class_name": name, "config": {"name": "x"}})
    with pytest.raises(ValueError, match=r"public, registered or given|a layer|a class"):
        load_model_hdf5(rewritten(content, model_config=json.dumps(config)))


def test_code_in_the_words_of_compile_is_refused():
    files, _ = members("two", "dense_trained_2")
    loss = {"class_name": "__lambda__", "config": {"code": "4wEAAAA=", "defaults": None, "closure": None}}
    training = {"optimizer_config": {"class_name": "SGD", "config": {}}, "loss": loss}
    with pytest.raises(FileError):
        load_model_hdf5(rewritten(files["h5"], training_config=json.dumps(training)))


def test_weights_that_are_declared_must_be_there():
    content = members("two", "dense_trained_2")[0]["h5"]
    config = config_of(content)
    config["config"]["layers"][1]["config"]["units"] = 10**11
    with pytest.raises(ResourceLimitError):
        load_model_hdf5(rewritten(content, model_config=json.dumps(config)))


# Writing ------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["nested_2", "attention_three", "operations_three", "recurrent_trained_2", "images_2", "schedule_three"])
def test_written_models_come_back_whole(name, tmp_path):
    files, arrays = members("three", name)
    model = load(files)
    save_model_hdf5(model, tmp_path / "model.h5")
    again = load_model_hdf5(tmp_path / "model.h5")
    assert_equal(outputs(again, numbered(arrays, "x")), numbered(arrays, "y"))
    for ours, theirs in zip(again.weights, model.weights, strict=True):
        np.testing.assert_array_equal(ours.numpy(), theirs.numpy())
    assert getattr(again, "compiled", False) == getattr(model, "compiled", False)
    if getattr(model, "compiled", False):
        for ours, theirs in zip(again.optimizer.variables, model.optimizer.variables, strict=True):
            np.testing.assert_array_equal(ours.numpy(), theirs.numpy())
    save_model_hdf5(model, tmp_path / "model.h5", include_optimizer=False)
    assert not getattr(load_model_hdf5(tmp_path / "model.h5"), "compiled", False)


def test_layout_is_that_of_keras_3(tmp_path):
    files, _ = members("three", "sgd_trained_2")
    save_model_hdf5(load(files), tmp_path / "model.h5")
    with reading(io.BytesIO(files["h5"])) as theirs, reading(tmp_path / "model.h5") as ours:
        assert {d.path: d.shape for d in ours.walk()} == {d.path: d.shape for d in theirs.walk()}
        assert {k: type(v) for k, v in ours.attributes.items()} == {k: type(v) for k, v in theirs.attributes.items()}
        for a, b in (
            (ours.groups["model_weights"], theirs.groups["model_weights"]),
            (ours.groups["optimizer_weights"], theirs.groups["optimizer_weights"]),
        ):
            for key in ("layer_names", "weight_names"):
                assert list(a.attributes.get(key, ())) == list(b.attributes.get(key, ()))
        mine, other = (json.loads(root.attributes["model_config"]) for root in (ours, theirs))
        assert [e["config"]["name"] for e in mine["config"]["layers"]] == [e["config"]["name"] for e in other["config"]["layers"]]
        assert set(mine["config"]["layers"][1]) == set(other["config"]["layers"][1])


def test_weights_alone_are_written_with_long_lists_of_names(tmp_path):
    layers = [nyala.layers.Dense(2, name=f"{'x' * 700}_{i}") for i in range(100)]
    model = nyala.Sequential([nyala.Input((2,)), *layers])
    save_weights_hdf5(model, tmp_path / "w.hdf5")
    with reading(tmp_path / "w.hdf5") as root:
        assert "layer_names1" in root.attributes
    other = nyala.Sequential([nyala.Input((2,))] + [nyala.layers.Dense(2) for _ in range(100)])
    load_weights_hdf5(other, tmp_path / "w.hdf5")
    for ours, theirs in zip(other.weights, model.weights, strict=True):
        np.testing.assert_array_equal(ours.numpy(), theirs.numpy())


@nyala.saving.register_keras_serializable("tests of files")
class Doubled(nyala.layers.Layer):
    def call(self, x):
        return x * 2.0


@pytest.mark.parametrize("custom_objects", [None, {"Other": Doubled}])
def test_registered_layers_come_back(custom_objects, tmp_path):
    x = nyala.Input((3,))
    dense = nyala.layers.Dense(5)
    for number, model in enumerate((nyala.Sequential([nyala.Input((3,)), dense, Doubled()]), nyala.Model(x, Doubled()(dense(x))))):
        path = tmp_path / f"{number}.h5"
        model.save(path)
        again = nyala.models.load_model(path, custom_objects=custom_objects)
        assert type(again.layers[-1]) is Doubled
        for old, new in zip(model.get_weights(), again.get_weights(), strict=True):
            np.testing.assert_array_equal(old, new)
    entry = nyala.layers.serialize(Doubled(name="d"))
    assert type(nyala.layers.deserialize({key: entry[key] for key in ("class_name", "config")} | {"class_name": "tests of files>Doubled"})) is Doubled
