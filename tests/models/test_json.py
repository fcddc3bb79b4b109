# SPDX-License-Identifier: Apache-2.0
"""Architectures as configs and JSON and back; in Keras's format."""

import json

import numpy as np
import pytest

import nyala
from nyala import layers, ops
from nyala.core.errors import ArgumentError, LookupFailed, StructureError
from nyala.models import model_from_json
from nyala.models.serialization import class_name
from tests.models.tools import array, close, raises, randomize


def plain():
    return nyala.Sequential([nyala.Input((3,)), layers.Dense(5, activation="relu"), layers.Dropout(0.3), layers.Dense(2)], name="plain"), [(3,)]


def deferred():
    return nyala.Sequential([layers.Dense(2)], name="deferred"), [(3,)]


def nested():
    inner = nyala.Sequential([nyala.Input((5,)), layers.Dense(3, name="a")], name="inner")
    inner.trainable = False
    x = nyala.Input((5,), name="x")
    y = inner(x)
    return nyala.Model(x, [y, layers.Add()([y, inner(x * 2.0)])], name="nested"), [(5,)]


def structured():
    p, q = nyala.Input((3,), name="p"), nyala.Input((3,), name="q")
    shared = layers.Dense(3, name="shared")
    return nyala.Model({"u": p, "v": q}, {"d": layers.Subtract()([shared(p), shared(shared(q))]), "l": [p, q]}, name="structured"), {
        "u": (3,),
        "v": (3,),
    }


def recurrent():
    x, h = nyala.Input((7, 5), name="x"), nyala.Input((3,), name="h")
    y, state = layers.GRU(3, return_sequences=True, return_state=True, name="g")(x, initial_state=h)
    y = layers.Bidirectional(layers.LSTM(2, return_sequences=True), name="b")(y)
    y = layers.RNN([layers.GRUCell(2), layers.LSTMCell(3)], name="r")(y)
    return nyala.Model([x, h], [y, state], name="recurrent"), [(7, 5), (3,)]


def attention():
    x, z = nyala.Input((None, 5), name="x"), nyala.Input((3, 5), name="z")
    y, scores = layers.MultiHeadAttention(2, 3, value_dim=7, name="m")(x, z, use_causal_mask=True, return_attention_scores=True)
    return nyala.Model([x, z], [y, scores], name="attention"), [(7, 5), (3, 5)]


def with_ops():
    x = nyala.Input((4,), name="x")
    parts = [
        x * 2 + 1,
        x[:, 1:3],
        x[..., None][:, 0],
        ops.expand_dims(ops.mean(x, axis=1), -1),
        ops.reshape(x, (-1, 4)),
        ops.relu(x),
        1.0 / (2.0 - x),
        x**2,
    ]
    return nyala.Model(x, ops.concatenate(parts, axis=-1), name="ops"), [(4,)]


@pytest.mark.parametrize("make", [plain, deferred, nested, structured, recurrent, attention, with_ops])
def test_round_trips(make, normal):
    model, shapes = make()
    x = {k: normal(2, *s) for k, s in shapes.items()} if isinstance(shapes, dict) else [normal(2, *s) for s in shapes]
    before = [array(t) for t in nyala.tree.flatten(model(x))]
    for twin in (
        model_from_json(model.to_json()),
        type(model).from_config(model.get_config()),
        type(model).from_config(json.loads(json.dumps(model.get_config()))),
    ):
        assert twin.get_config() == model.get_config()
        twin(x)
        twin.set_weights(model.get_weights())
        for a, b in zip(nyala.tree.flatten(twin(x)), before, strict=True):
            close(a, b)
        assert [w.trainable for w in twin.weights] == [w.trainable for w in model.weights]


def test_the_document_around_the_config():
    document = json.loads(nested()[0].to_json())
    assert sorted(document) == ["build_config", "class_name", "compile_config", "config", "module", "registered_name"]
    assert (document["module"], document["class_name"], document["registered_name"]) == ("keras.src.models.functional", "Functional", "Functional")
    inner = next(entry for entry in document["config"]["layers"] if entry["name"] == "inner")
    assert (inner["module"], inner["class_name"], inner["build_config"]) == ("keras", "Sequential", {"input_shape": [None, 5]})
    assert model_from_json(json.dumps(document)).to_json(indent=1).startswith("{\n ")


def test_ops_are_written_as_keras_writes_them():
    entries = {entry["name"]: entry for entry in with_ops()[0].get_config()["layers"]}
    reshape = entries["reshape"]
    assert (reshape["module"], reshape["class_name"], reshape["config"]) == (
        "keras.src.ops.numpy",
        "Reshape",
        {"name": "reshape", "newshape": [-1, 4]},
    )
    assert [argument["class_name"] for argument in reshape["inbound_nodes"][0]["args"]] == ["__keras_tensor__"]
    assert (entries["relu"]["module"], entries["relu"]["class_name"]) == ("keras.src.ops.nn", "Relu")
    assert entries["mean"]["config"] == {"name": "mean", "axis": 1, "keepdims": False}
    assert entries["multiply"]["inbound_nodes"][0]["args"][1] == 2
    assert entries["get_item"]["class_name"] == "GetItem"
    assert class_name("log_softmax") == "LogSoftmax"


TYPED = {
    "cast": lambda x: ops.cast(x, "int32"),
    "saturate_cast": lambda x: ops.saturate_cast(x, "uint8"),
    "zeros_like": lambda x: ops.zeros_like(x, dtype="int32"),
    "ones_like": lambda x: ops.ones_like(x),
    "full_like": lambda x: ops.full_like(x, 2, dtype="int32"),
    "cumsum": lambda x: ops.cumsum(x, axis=1, dtype="float16"),
    "one_hot": lambda x: ops.one_hot(ops.cast(x, "int32"), 3, dtype="int32"),
    "convert_to_tensor": lambda x: ops.convert_to_tensor(x, dtype="int32"),
}


@pytest.mark.parametrize("suffix", ["json", "keras", "h5"])
@pytest.mark.parametrize("name", TYPED)
def test_a_dtype_that_an_op_was_told_is_kept(name, suffix, tmp_path):
    x = nyala.Input((3,))
    model = nyala.Model(x, TYPED[name](x))
    if suffix == "json":
        twin = model_from_json(model.to_json())
    else:
        model.save(tmp_path / f"model.{suffix}")
        twin = nyala.models.load_model(tmp_path / f"model.{suffix}")
    data = np.array([[0.0, 1.0, 2.0], [2.0, 2.0, 1.0]], "float32")
    result, expected = array(twin(data)), array(model(data))
    assert (twin.output.dtype, result.dtype) == (model.output.dtype, expected.dtype)
    np.testing.assert_array_equal(result, expected)


def test_convert_to_tensor_of_keras_is_a_cast():
    """Keras has an op of that name in its graphs."""
    x = nyala.Input((3,))
    config = nyala.Model(x, ops.cast(x, "int32")).get_config()
    config["layers"][1] |= {"class_name": "ConvertToTensor", "config": {"name": "cast", "dtype": "int32", "sparse": None, "ragged": None}}
    twin = nyala.Model.from_config(config)
    assert array(twin(np.array([[1.5, 2.5, -3.5]], "float32"))).tolist() == [[1, 2, -3]]


def test_ops_without_a_module_are_known_by_name():
    """As in the .h5 files of Keras 3."""
    from nyala.legacy.graphs import _with_modules

    x = nyala.Input((3,))
    config = nyala.Model(x, ops.zeros_like(x, dtype="int32")).get_config()
    bare = [{k: v for k, v in layer.items() if k != "module"} for layer in config["layers"]]
    made = _with_modules({"class_name": "Functional", "config": {**config, "layers": bare}})
    assert [layer.get("module") for layer in made["config"]["layers"]] == [None, "keras.src.ops.numpy"]


def test_training_said_in_the_graph_survives_and_what_keras_writes_does_not_count(normal):
    x = nyala.Input((100,))
    a = np.abs(normal(5, 100)) + 1.0
    said = model_from_json(nyala.Model(x, layers.Dropout(0.5)(x, training=False)).to_json())
    close(said(a, training=True), a)
    open_ = json.loads(nyala.Model(x, layers.Dropout(0.5)(x)).to_json())
    open_["config"]["layers"][1]["inbound_nodes"][0]["kwargs"] = {"training": False, "mask": None}  # as Keras does
    assert (array(model_from_json(json.dumps(open_))(a, training=True)) == 0).any()


def test_what_compile_was_told_goes_along():
    model = plain()[0]
    model.compile(nyala.optimizers.SGD(0.25), "mse", metrics=["mae"])
    twin = model_from_json(model.to_json())
    assert float(array(twin.optimizer.learning_rate)) == 0.25
    assert twin.loss == "mse"
    model.compile("sgd", lambda y_true, y_pred: ops.mean(y_true - y_pred))  # no config can say this
    assert json.loads(model.to_json())["compile_config"] == {}


class Twice(layers.Layer):
    """A layer of a user."""

    def __init__(self, factor=2.0, **kwargs):
        super().__init__(**kwargs)
        self.factor = factor

    def call(self, x):
        return x * self.factor

    def get_config(self):
        return {**super().get_config(), "factor": self.factor}


def test_layers_of_users(normal):
    x = nyala.Input((3,))
    text = nyala.Model(x, Twice(3.0)(x)).to_json()
    a = normal(2, 3)
    close(model_from_json(text, custom_objects={"Twice": Twice})(a), 3.0 * a)
    with pytest.raises(
        LookupFailed, match=r"at /config/layers/1: the config of .Twice. needs a class or function that is public as .layers., registered"
    ):
        model_from_json(text)


def test_what_is_no_architecture():
    with raises(
        ArgumentError,
        "model_from_json(json_string) needs JSON text, as model.to_json() returns it, got 'model.keras' (Expecting value: line 1 column 1 (char 0))."
        "\n  rule: json-text",
    ):
        model_from_json("model.keras")
    config = structured()[0].get_config()
    lost = {**config, "layers": [entry for entry in config["layers"] if entry["name"] != "q"]}
    text = "Functional.from_config needs layers whose inputs are among the layers, got calls on ['q'], which are not."
    with raises(StructureError, f"{text}\n  in: Functional.from_config(config)\n  rule: config-argument"):
        type(structured()[0]).from_config(lost)
    model, _ = with_ops()
    config = json.loads(json.dumps(model.get_config()))
    next(entry for entry in config["layers"] if entry["class_name"] == "Relu")["class_name"] = "Relux"
    text = "Functional.from_config(config) at /layers/10: a functional config needs ops that are in nyala.ops, got 'Relux'; near: Relu, Relu6, Selu."
    with raises(LookupFailed, f"{text}\n  fix: correct its name, or pass it in custom_objects\n  rule: object-op"):
        type(model).from_config(config)


def test_weights_are_new():
    model = randomize(plain()[0])
    assert not np.allclose(model_from_json(model.to_json()).get_weights()[0], model.get_weights()[0])


def test_an_input_that_nothing_reads_is_kept(normal):
    a, b = nyala.Input((3,), name="a"), nyala.Input((5,), name="b")
    model = nyala.Model([a, b], layers.Dense(2, name="d")(a))
    assert [layer.name for layer in model.layers] == ["a", "b", "d"]
    config = model.get_config()
    assert (config["input_layers"], config["output_layers"]) == ([["a", 0, 0], ["b", 0, 0]], ["d", 0, 0])
    twin = nyala.Model.from_config(config)
    twin.set_weights(model.get_weights())
    x = [normal(7, 3), normal(7, 5)]
    np.testing.assert_array_equal(np.asarray(twin(x)), np.asarray(model(x)))
