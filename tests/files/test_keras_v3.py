# SPDX-License-Identifier: Apache-2.0
"""Files that Keras 3.15.1 wrote, and what of them comes back; files of our own; and files that want what no file may."""

import functools
import io
import json
import warnings
import zipfile

import h5py
import numpy as np
import pytest

import nyala
from nyala import layers
from nyala.core import known
from nyala.core.errors import ArgumentError
from nyala.files.errors import (
    CorruptFileError,
    ResourceLimitError,
    UnknownObjectError,
    UnsafeFileError,
    UnsafeObjectError,
    UnsafePathError,
    WeightsMismatchError,
)
from nyala.saving import load_model
from tests.golden import file_cases
from tests.golden.store import FOLDER
from tests.training.tools import numbers

# Where a step is not Keras's to the last digit: dropout and new low-rank weights draw other numbers; and where `call` takes no `training`, as in
# the subclassed model, Keras runs the normalizations inside as in inference.
OTHER_STEPS = ("mlp", "recurrent", "attention", "low_rank", "subclassed")


@functools.cache
def zoo():
    with zipfile.ZipFile(FOLDER / "files.zip") as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    with np.load(io.BytesIO(files.pop("numbers.npz"))) as numbers_of:
        return files, {name: numbers_of[name] for name in numbers_of.files}


def recorded(name, what):
    numbers_of = zoo()[1]
    found = [key for key in numbers_of if key.startswith(f"{name}/{what}/")]
    return [numbers_of[f"{name}/{what}/{i}"] for i in range(len(found))]


def flat(outputs):
    if isinstance(outputs, dict):
        return [array for key in sorted(outputs) for array in flat(outputs[key])]
    return [array for value in outputs for array in flat(value)] if isinstance(outputs, (list, tuple)) else [outputs]


def close(got, expected, tolerance):
    for a, b in zip(got, expected, strict=True):
        np.testing.assert_allclose(a, b, atol=tolerance * (1 + np.abs(b).max(initial=0)), rtol=0)


@pytest.fixture(autouse=True)
def own_classes():
    file_cases.kinds(nyala)


@pytest.mark.filterwarnings("ignore:Flatten .* does not support masking")
@pytest.mark.parametrize("name", file_cases.MODELS)
def test_models_of_keras(name):
    """Equal outputs, and where it was being trained an equal next step, the state of the optimizer included."""
    model = load_model(io.BytesIO(zoo()[0][f"{name}.keras"]))
    x = file_cases.inputs_of(name, model)
    close(flat(model.predict_on_batch(x)), recorded(name, "out"), 1e-6)
    if name in file_cases.TRAINED:
        assert model.compiled
        assert int(model.optimizer.iterations) == (0 if name == "recurrent" else 1)  # which gathers two steps
        if name not in OTHER_STEPS:
            targets = file_cases.targets_of(name, model, x)
            model.train_on_batch(x, targets)
            close(model.get_weights(), recorded(name, "after"), 2e-5)


@pytest.mark.parametrize(
    "name", ["mlp", "subclassed", "nested", "shared_between_models", "ops_in_graph", "int8", "bfloat16", "custom_function", "branches"]
)
def test_what_is_read_is_written_again(name, tmp_path):
    model = load_model(io.BytesIO(zoo()[0][f"{name}.keras"]))
    model.save(tmp_path / "again.keras")
    again = load_model(tmp_path / "again.keras")
    for one, other in zip(model.weights, again.weights, strict=True):
        assert one.numpy().tobytes() == other.numpy().tobytes()
    assert again.get_config() == model.get_config()
    if getattr(model, "compiled", False):
        for one, other in zip(model.optimizer.variables, again.optimizer.variables, strict=True):
            np.testing.assert_array_equal(one.numpy(), other.numpy())
    x = file_cases.inputs_of(name, model)
    for a, b in zip(flat(model.predict_on_batch(x)), flat(again.predict_on_batch(x)), strict=True):
        np.testing.assert_array_equal(a, b)


def test_paths_are_those_of_keras():
    """The groups of a file of ours are those of Keras's, name by name."""
    from nyala.files.places import places

    for name in ("subclassed", "attention", "recurrent", "nested"):
        model = load_model(io.BytesIO(zoo()[0][f"{name}.keras"]))
        own = {f"{place.path}/vars/{key}".lstrip("/") for place in places(model) for key in _stored(place.target)}
        with zipfile.ZipFile(io.BytesIO(zoo()[0][f"{name}.keras"])) as archive, h5py.File(io.BytesIO(archive.read("model.weights.h5"))) as file:
            theirs = set()
            file.visititems(lambda path, item, theirs=theirs: theirs.add(path) if isinstance(item, h5py.Dataset) else None)
        assert own == theirs


def _stored(target):
    store = {}
    target.save_own_variables(store)
    return store


# Files of our own ----------------------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def small():
    model = nyala.Sequential([nyala.Input((5,)), layers.Dense(3, activation="relu", name="a"), layers.Dense(2, name="b")], name="m")
    model.compile("adam", "mse")
    model.train_on_batch(numbers(4, 5), numbers(4, 2))
    file = io.BytesIO()
    model.save(file)
    return model, file.getvalue()


def changed(data, member, change):
    """The same file with one member changed, and without sums."""
    file = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(file, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            if name == "metadata.json":
                content = json.dumps({k: v for k, v in json.loads(content).items() if k != "sha256"}).encode()
            new.writestr(name, change(content) if name == member else content)
    return io.BytesIO(file.getvalue())


def with_config(data, change):
    def edit(content):
        config = json.loads(content)
        return json.dumps(change(config) or config).encode()

    return changed(data, "config.json", edit)


def with_layer(data, **entry):
    """The file with another activation layer's config in the place of its second layer's."""

    def edit(config):
        config["config"]["layers"][1].update(entry)

    return with_config(data, edit)


def refusal(file, kind=UnsafeFileError, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(kind) as info:
            load_model(file, **options)
    return info.value.rule


def test_metadata_and_sums(small, tmp_path):
    _, data = small
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.namelist() == ["config.json", "model.weights.h5", "metadata.json"]
        metadata = json.loads(archive.read("metadata.json"))
    assert metadata["keras_version"] == "3.15.1"
    assert sorted(metadata["sha256"]) == ["config.json", "model.weights.h5"]
    file = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(file, "w") as new:  # checksums of zip right, sums wrong
        for name in old.namelist():
            content = bytearray(old.read(name))
            if name == "model.weights.h5":
                content[-9] ^= 1
            new.writestr(name, bytes(content))
    assert refusal(file, CorruptFileError) == "file-sum"


def test_a_twin_loads(small):
    model, data = small
    again = load_model(with_config(data, lambda config: None))
    np.testing.assert_array_equal(again.predict_on_batch(numbers(2, 5)), model.predict_on_batch(numbers(2, 5)))


LAMBDA = {"class_name": "__lambda__", "config": {"code": "4wEA", "defaults": None, "closure": None}}
DENSE = {"units": 3, "name": "a"}


@pytest.mark.parametrize(
    ("entry", "rule"),
    [
        ({"class_name": "Lambda", "config": {"name": "a", "function": LAMBDA}}, "object-lambda"),
        ({"config": {**DENSE, "activation": LAMBDA}}, "object-lambda"),
        ({"config": {**DENSE, "kernel_initializer": LAMBDA}}, "object-lambda"),
        ({"build_config": {"input_shape": [LAMBDA]}}, "object-shapes"),
        ({"module": "os", "class_name": "system"}, "object-unknown"),
        ({"module": "builtins", "class_name": "eval"}, "object-unknown"),
        ({"module": "keras.src.utils", "class_name": "get_file"}, "object-unknown"),
        ({"module": "keras.utils", "class_name": "get_file"}, "object-unknown"),
        ({"module": "keras.config", "class_name": "enable_unsafe_deserialization"}, "object-unknown"),
        ({"module": "keras..layers", "class_name": "Dense"}, "object-unknown"),
        ({"module": "Keras.layers", "class_name": "Dense"}, "object-unknown"),
        ({"module": "k\u0435ras.layers", "class_name": "Dense"}, "object-unknown"),
        ({"module": ["keras.layers"], "class_name": "Dense"}, "object-name"),
        ({"module": "keras.layers", "class_name": "Layer.__init__"}, "object-unknown"),
        ({"module": "keras.layers", "class_name": "deserialize"}, "object-unknown"),
        ({"module": "keras.optimizers", "class_name": "Adam"}, "object-unknown"),
        ({"module": "keras.layers", "class_name": "TFSMLayer", "config": {"filepath": "/etc"}}, "path-savedmodel"),
        ({"config": {**DENSE, "activation": {"module": "builtins", "class_name": "function", "config": "get_file"}}}, "object-unknown"),
        ({"config": {**DENSE, "activation": {"module": "keras.utils", "class_name": "function", "config": "get_file"}}}, "object-unknown"),
        ({"config": {**DENSE, "kernel_initializer": {"module": "builtins", "class_name": "function", "config": "relu"}}}, "object-unknown"),
        ({"config": {**DENSE, "activation": {"class_name": "__typespec__", "spec_name": "os", "config": []}}}, "object-special"),
        ({"class_name": "StringLookup", "config": {"name": "a", "vocabulary": "/etc/passwd"}}, "path-vocabulary"),
        ({"class_name": "TextVectorization", "config": {"name": "a", "vocabulary": "http://127.0.0.1:1/"}}, "path-vocabulary"),
    ],
)
def test_what_no_file_may_name(small, entry, rule):
    file = with_layer(small[1], **entry)
    assert refusal(file) == rule
    with pytest.raises(UnsafeFileError) as info:
        load_model(file, safe_mode=False)  # adds no powers
    assert info.value.rule == rule
    assert "at /config/layers/1" in str(info.value) or rule == "path-vocabulary"


def test_code_among_the_words_of_compile(small):
    def edit(config):
        config["compile_config"]["loss"] = LAMBDA

    assert refusal(with_config(small[1], edit), UnsafeObjectError) == "object-lambda"


def test_compile_never_blocks_the_weights(small):
    model, data = small

    def edit(config):
        config["compile_config"]["loss"] = {"module": "builtins", "class_name": "function", "config": "my_loss", "registered_name": "function"}

    with pytest.warns(UserWarning, match=r"was loaded, but not compiled, .*the config of 'my_loss' needs a class or function"):
        again = load_model(with_config(data, edit))
    np.testing.assert_array_equal(again.get_weights()[0], model.get_weights()[0])
    assert not again.compiled
    again = load_model(with_config(data, edit), custom_objects={"my_loss": nyala.losses.mean_absolute_error})
    assert again.compiled
    assert int(again.optimizer.iterations) == 1
    assert not getattr(load_model(with_config(data, edit), compile=False), "compiled", False)


def test_memory_is_given_for_what_is_there(small):
    data = small[1]

    def wide(config):
        config["config"]["layers"][1]["config"]["units"] = 10**12
        del config["config"]["layers"][2]

    assert refusal(with_config(data, wide), ResourceLimitError) == "weights-declared"

    def other(config):
        config["config"]["layers"][1]["config"]["units"] = 4

    with pytest.raises(WeightsMismatchError) as info:
        load_model(with_config(data, other))
    assert "first difference: 'm/a/kernel' has shape (5, 4), the file has (5, 3) at 'layers/dense'" in str(info.value)


def test_calls_that_multiply(small):
    def edit(config):
        inner = config["config"]["layers"][1]
        for i in range(40):
            node = {"args": [], "kwargs": {}}
            inner = {
                "module": "keras.src.models.functional", "class_name": "Functional", "name": f"f{i}", "inbound_nodes": [node, node],
                "config": {"name": f"f{i}", "layers": [{**inner, "inbound_nodes": [node, node]}], "input_layers": [], "output_layers": []},
            }  # fmt: skip
        return inner

    assert refusal(with_config(small[1], edit), ResourceLimitError) == "config-work"


@pytest.mark.parametrize("inner", [None, [], 3, "x", {}, {"layers": 3}, {"layers": [3]}, {"layers": [{"class_name": 3, "config": {}}]}])
def test_configs_that_are_none(small, inner):
    refusal(with_config(small[1], lambda config: {**config, "config": inner}), ValueError)


def test_members(small):
    _, data = small
    for missing, kind in (("config.json", CorruptFileError), ("model.weights.h5", CorruptFileError)):
        file = io.BytesIO()
        with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(file, "w") as new:
            for name in old.namelist():
                if name not in (missing, "metadata.json"):
                    new.writestr(name, old.read(name))
        assert refusal(file, kind) == "keras-member"
    assert refusal(changed(data, "config.json", lambda _: b"[" * 100_000), ResourceLimitError) == "json-depth"
    assert refusal(changed(data, "model.weights.h5", lambda content: content[:-40]), CorruptFileError) == "hdf5-size"
    assert refusal(io.BytesIO(b""), CorruptFileError) == "file-unknown"
    assert refusal(io.BytesIO(b"hello there"), CorruptFileError) == "file-unknown"


def test_links_in_the_weights(small, tmp_path):
    def edit(content):
        (tmp_path / "w.h5").write_bytes(content)
        with h5py.File(tmp_path / "w.h5", "a") as file:
            del file["layers/dense/vars/0"]
            file["layers/dense/vars/0"] = h5py.ExternalLink(str(tmp_path / "secret.h5"), "/x")
        return (tmp_path / "w.h5").read_bytes()

    assert refusal(changed(small[1], "model.weights.h5", edit), UnsafePathError) == "hdf5-link"


def test_own_objects_come_from_the_caller(tmp_path):
    class Twice(layers.Layer):
        def call(self, x):
            return 2 * x

    model = nyala.Sequential([nyala.Input((3,)), Twice()])
    model.save(tmp_path / "m.keras")
    with pytest.raises(UnknownObjectError) as info:
        load_model(tmp_path / "m.keras")
    assert "pass custom_objects={'Twice': Twice}" in str(info.value)
    for options in ({"custom_objects": {"Twice": Twice}}, {"trusted": [Twice]}):
        assert isinstance(load_model(tmp_path / "m.keras", **options).layers[0], Twice)
    with pytest.raises(TypeError, match="needs classes and functions, got 'Twice'"):
        load_model(tmp_path / "m.keras", trusted=["Twice"])


def test_a_function_takes_the_place_of_a_lambda(small):
    file = with_layer(small[1], class_name="Lambda", config={"name": "a", "function": LAMBDA})
    stored = with_config(file.getvalue(), lambda config: config["config"]["layers"].pop())  # the file has weights that are left over then
    with pytest.raises(WeightsMismatchError, match=r"unexpected \('layers/dense"):
        load_model(stored, custom_objects={"a": lambda x: 2 * x})


def test_builtins_are_not_replaced_by_what_was_registered(small):
    @nyala.saving.register_keras_serializable("evil", "Dense")
    class Dense(layers.Dense):
        pass

    try:
        assert type(load_model(io.BytesIO(small[1])).layers[0]) is layers.Dense
        assert refusal(with_layer(small[1], registered_name="evil>Dense"), UnsafeObjectError) == "object-confusion"
        assert type(load_model(io.BytesIO(small[1]), custom_objects={"Dense": Dense}).layers[0]) is Dense
    finally:
        nyala.saving.get_custom_objects().pop("evil>Dense")


def test_folders(small, tmp_path):
    model, _ = small
    model.save(tmp_path / "folder", zipped=False)
    np.testing.assert_array_equal(load_model(tmp_path / "folder").get_weights()[0], model.get_weights()[0])
    model.save(tmp_path / "folder")  # again
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("years of work")
    with pytest.raises(ArgumentError, match=r"needs the path of a file, or of a folder that holds a model alone, got .*, which holds 'thesis.tex'"):
        model.save(tmp_path / "mine")
    target = tmp_path / "elsewhere"
    (tmp_path / "folder" / "config.json").rename(target)
    (tmp_path / "folder" / "config.json").symlink_to(target)
    assert refusal(tmp_path / "folder", UnsafePathError) == "folder-kind"


def test_vocabularies_go_along(tmp_path):
    layer = layers.StringLookup(output_mode="one_hot", num_oov_indices=1)
    layer.adapt(np.array([["blue"], ["red"], ["blue"]]))
    model = nyala.Sequential([nyala.Input((1,), dtype="string"), layer])
    model.save(tmp_path / "m.keras")
    with zipfile.ZipFile(tmp_path / "m.keras") as archive:
        assert archive.read("assets/layers/string_lookup/vocabulary.txt") == b"[UNK]\nblue\nred"
    again = load_model(tmp_path / "m.keras")
    assert again.layers[0].get_vocabulary() == ["[UNK]", "blue", "red"]


def test_the_state_of_the_optimizer_is_restored_or_begins_anew_aloud(small):
    def edit(config):
        config["compile_config"]["optimizer"] = "sgd"

    with pytest.warns(UserWarning, match=r"the optimizer begins anew, since what is stored is not its state: .* unexpected"):
        assert load_model(with_config(small[1], edit)).compiled


# The closed list -----------------------------------------------------------------------------------------------------------------------------


def test_only_these_can_be_named():
    """Whoever adds a kind of object that files can reach sees it here."""
    counts = {kind: len(known.known_names(kind)) for kind in ("activation", "constraint", "loss", "metric", "seed", "scale", "schedule")}
    assert counts["activation"] == 32
    assert counts["seed"] == 1
    assert counts["scale"] == 2
    assert "get_file" not in {name for kind in known.KINDS for name in known.known_names(kind)}
    for kind in known.KINDS:
        for name in known.known_names(kind):
            assert not {"open", "load", "save", "read", "write", "download", "exec", "eval"} & set(name.lower().split("_")), name


def test_every_public_name_as_a_function_of_a_layer():
    """Gadgets: of all public names, only activations and ops of tensors resolve where a function belongs."""
    packages = ("activations", "applications", "callbacks", "config", "constraints", "datasets", "losses", "metrics", "models", "saving", "utils")
    for package in packages:
        module = getattr(nyala, package, None)
        for name in dir(module) if module is not None else ():
            entry = {"module": f"keras.{package}", "class_name": "function", "config": name, "registered_name": "function"}
            if name in nyala.activations.FUNCTIONS and package == "activations":
                assert known.find(name, entry["module"], None, "function", function=True) is getattr(nyala.activations, name)
            else:
                with pytest.raises((UnsafeObjectError, UnknownObjectError)):
                    known.find(name, entry["module"], None, "function", function=True)
