# SPDX-License-Identifier: Apache-2.0
"""Input, Dense, Embedding, Lambda, Masking, Identity, Wrapper: contract, numbers, errors."""

import numpy as np
import pytest

import nyala
from nyala import layers, ops
from nyala.core.errors import ArgumentError, ArgumentTypeError, ShapeError, UnsafeObjectError
from nyala.testing import check_layer
from tests.layers.tools import array, close, mask_of, normals, raises

RANDOM = np.random.default_rng(3)
IDS = RANDOM.integers(0, 7, (2, 5)).astype("int32")


@pytest.mark.parametrize(
    ("kind", "arguments", "inputs", "unknown"),
    [
        ("Dense", {"units": 3, "activation": "tanh"}, [normals(0, (2, 5))], ()),
        ("Dense", {"units": 3, "use_bias": False, "kernel_regularizer": "l2", "bias_constraint": "non_neg"}, [normals(1, (2, 3, 5, 7))], (1, 2)),
        ("Embedding", {"input_dim": 7, "output_dim": 3, "mask_zero": True}, [IDS], (1,)),
        ("Identity", {}, [[*normals(2, (2, 5), (2, 3))]], (1,)),
    ],
)
def test_contract(kind, arguments, inputs, unknown):
    check_layer(getattr(layers, kind), arguments, *inputs, unknown=unknown)


def test_dense_is_a_weighted_sum(each_engine, normal):
    layer, x = layers.Dense(3, activation="relu"), normal(2, 5, 7)
    layer(x)
    kernel, bias = normal(7, 3), normal(3)
    layer.set_weights([kernel, bias])
    expected = np.einsum("btc,cu->btu", x.astype("float64"), kernel) + bias
    close(layer(x), np.maximum(expected, 0))


def test_dense_first_weights(normal):
    kernel, bias = normal(5, 3), normal(3)
    layer = layers.Dense(3, weights=[kernel, bias])
    layer.build((None, 5))
    np.testing.assert_array_equal(layer.get_weights()[0], kernel)
    np.testing.assert_array_equal(layer.get_weights()[1], bias)


def test_config_keeps_activity_regularizer():
    layer = layers.Dense(3, activity_regularizer="l2")
    copy = layers.Dense.from_config(layer.get_config())
    copy(np.full((2, 5), 2.0, "float32"))
    assert len(copy.losses) == 1
    assert "activity_regularizer" not in layers.Dense(3).get_config()
    assert layers.Flatten.from_config(layers.Flatten(activity_regularizer="l1").get_config()).activity_regularizer is not None


def test_config_of_a_users_subclass():
    class Scaled(layers.Dense):
        def __init__(self, units, scale=2.0, **kwargs):
            super().__init__(units, **kwargs)
            self.scale = scale

        def get_config(self):
            return {**super().get_config(), "scale": self.scale}

    config = Scaled(3, scale=5.0, activation="tanh").get_config()
    assert (config["units"], config["scale"], config["activation"]) == (3, 5.0, "tanh")
    assert Scaled.from_config(config).get_config() == config


def test_dense_errors(normal):
    with raises(ArgumentError, "Dense(units) needs a positive integer, got 3.5."):
        layers.Dense(3.5)
    with raises(ArgumentTypeError, "Dense needs arguments that it knows, got unit=3.\n  fix: for 'unit' did you mean 'units'?"):
        layers.Dense(units=3, unit=3)
    with raises(ArgumentError, "Dense(lora_rank) needs a positive integer, got 0."):
        layers.Dense(3, lora_rank=0)
    row = "the first axis is the batch\n  fix: add the missing axis: x[None] for a single sample, x[..., None] for one feature"
    with raises(ShapeError, f"Dense 'logits' needs an input with at least 2 axes, got 1 (shape (5,)).\n  why: {row}"):
        layers.Dense(3, name="logits")(normal(5))
    layer = layers.Dense(3, name="logits")
    layer(normal(2, 5))
    why = "its kernel was built with shape (5, 3) at the first call\n  fix: feed it 5 features, or make a new Dense for 7"
    with raises(ShapeError, f"Dense 'logits' needs an input whose last axis is 5, got shape (2, 7).\n  why: {why}"):
        layer(normal(2, 7))


def test_input():
    x = layers.Input((None, 3), batch_size=2, dtype="int32", name="words")
    assert (x.shape, x.dtype, x.name) == ((2, None, 3), "int32", "words")
    assert x.node.operation.get_config() == {
        "batch_shape": (2, None, 3),
        "dtype": "int32",
        "sparse": False,
        "ragged": False,
        "name": "words",
        "optional": False,
    }
    copy = layers.InputLayer.from_config(x.node.operation.get_config())
    assert copy.output.shape == x.shape
    assert layers.Input(5).shape == (None, 5)
    assert layers.InputLayer(input_shape=(5,)).batch_shape == layers.InputLayer(batch_input_shape=(None, 5)).batch_shape == (None, 5)
    tensor = nyala.KerasTensor((None, 5), name="given")
    assert layers.Input(tensor=tensor) is tensor


def test_input_errors():
    fix = "Input(shape=(28, 28, 1)) for grey images, Input(shape=(None, 8)) for sequences of any length"
    with raises(ArgumentError, f"Input(shape) needs the sizes of one sample, without the batch axis, got None.\n  fix: {fix}"):
        layers.Input()
    with raises(
        ArgumentError, "Input needs either shape (with batch_size) or batch_shape, got both.\n  fix: batch_shape=(batch_size, *shape) says it all"
    ):
        layers.Input((3,), batch_shape=(2, 3))
    with raises(ArgumentError, "Input(sparse) needs None, got True.\n  why: it is no argument of the layer here\n  fix: pass dense arrays"):
        layers.Input((3,), sparse=True)
    with raises(
        ArgumentError,
        "Input(tensor) needs a symbolic tensor without history, got ndarray.\n  fix: make an Input(shape), and call the model on the tensor",
    ):
        layers.Input(tensor=np.zeros(3))


def test_embedding(each_engine, normal):
    rows = normal(7, 3)
    layer = layers.Embedding(7, 3, weights=[rows], mask_zero=True, input_length=5)
    y = layer(IDS)
    close(y, rows[IDS])
    np.testing.assert_array_equal(mask_of(y), IDS != 0)
    close(layer(IDS.astype("float32")), rows[IDS])
    assert layer._declared_input_shape == (None, 5)
    close(layers.Embedding(7, 3, weights=rows)(IDS), rows[IDS])


def test_embedding_keeps_large_float_ids_under_mixed_precision(normal):
    rows = normal(263, 2)
    layer = layers.Embedding(263, 2, weights=[rows], dtype="mixed_bfloat16")
    np.testing.assert_allclose(array(layer(np.array([[257.0, 259.0]], "float32")))[0], rows[[257, 259]], rtol=0.01)


def test_embedding_id_out_of_range():
    with nyala.backend("numpy"):
        layer = layers.Embedding(7, 3, name="words")
        text = (
            "Embedding 'words' needs ids from 0 to 6, got 7.\n  why: input_dim is 7\n"
            "  fix: make it Embedding(12, 3), or map rare ids to one that it has"
        )
        with raises(IndexError, text):
            layer(np.array([[1, 7], [11, 2]]))


def test_masking(each_engine):
    x = np.array([[[2.0, 2.0], [2.0, 5.0], [3.0, 7.0]], [[1.0, 2.0], [2.0, 2.0], [2.0, 2.0]]], "float32")
    y = layers.Masking(2.0)(x)
    counts = np.array([[False, True, True], [True, False, False]])
    np.testing.assert_array_equal(mask_of(y), counts)
    close(y, x * counts[..., None])


def test_masks_pass_through_dense_and_end_in_pooling(normal):
    x = np.concatenate([normal(2, 3, 5), np.zeros((2, 2, 5), "float32")], axis=1)
    y = layers.Dense(3)(layers.Masking()(x))
    np.testing.assert_array_equal(mask_of(y), [[True, True, True, False, False]] * 2)
    pooled = layers.GlobalAveragePooling1D()(y)
    assert mask_of(pooled) is None
    close(pooled, array(y)[:, :3].mean(axis=1))


@pytest.mark.parametrize("symbolic", [False, True], ids=["tensors", "graph"])
def test_a_mask_that_is_given_goes_on_with_the_result(each_engine, normal, symbolic):
    x, mask = normal(2, 3, 5), np.array([[True, True, False], [True, False, False]])
    rnn, pool = layers.SimpleRNN(7, return_sequences=True), layers.GlobalAveragePooling1D()
    if symbolic:
        inputs = nyala.Input((3, 5)), nyala.Input((3,), dtype="bool")
        y = nyala.Model(inputs, pool(rnn(inputs[0], mask=inputs[1])))([x, mask])
    else:
        y = pool(rnn(x, mask=mask))
    rows = array(rnn(x, mask=mask))
    close(y, np.stack([rows[0, :2].mean(axis=0), rows[1, 0]]))


def test_a_mask_that_is_given_counts_in_place_of_the_one_that_came_along(normal):
    class Doubled(layers.Layer):
        def __init__(self):
            super().__init__()
            self.supports_masking = True

        def call(self, x, mask=None):
            return 2.0 * x

    x, mask = layers.Masking()(np.abs(normal(2, 3, 5)) + 1.0), np.array([[True, True, False], [True, False, False]])
    np.testing.assert_array_equal(mask_of(Doubled()(x, mask=mask)), mask)
    assert mask_of(Doubled()(x)).all()
    assert mask_of(Doubled()(x=x)).all()
    np.testing.assert_array_equal(mask_of(layers.BatchNormalization()(array(x), mask=mask)), mask)
    np.testing.assert_array_equal(mask_of(layers.Attention()([array(x), array(x)], mask=[mask, None])), mask)


@nyala.saving.register_keras_serializable("tests")
def scaled(x, factor=1.0):
    return x * factor


def test_lambda(each_engine, normal):
    x = normal(2, 3)
    layer = layers.Lambda(scaled, arguments={"factor": 5.0})
    close(layer(x), x.astype("float64") * 5)
    copy = layers.Lambda.from_config(layer.get_config())
    assert copy.get_config() == layer.get_config()
    close(copy(x), x.astype("float64") * 5)
    assert layer(layers.Input((None, 3))).shape == (None, None, 3)
    assert layers.Lambda(lambda x: ops.sum(x, axis=1))(layers.Input((5, 3))).shape == (None, 3)


def test_lambda_passes_mask_and_training(normal):
    x = normal(2, 3, 5)
    x[:, 2] = 0
    seen = {}

    def look(inputs, mask=None, training=None):
        seen.update(mask=array(mask), training=training)
        return inputs

    layers.Lambda(look)(layers.Masking()(x), training=True)
    assert seen["training"] is True
    np.testing.assert_array_equal(seen["mask"], [[True, True, False]] * 2)
    y = layers.Lambda(lambda x: x * 2.0, mask=lambda x, mask: ops.logical_not(mask))(layers.Masking()(x))
    np.testing.assert_array_equal(mask_of(y), [[False, False, True]] * 2)
    assert mask_of(layers.Lambda(lambda x: x * 2.0)(layers.Masking()(x))) is None


def test_lambda_output_shape_where_the_function_cannot_run_on_shapes():
    def host(x):
        return ops.convert_to_tensor(np.linalg.norm(ops.convert_to_numpy(x), axis=1, keepdims=True))

    with nyala.backend("numpy"):
        layer = layers.Lambda(host, output_shape=(1,))
        assert layer(layers.Input((5,))).shape == (None, 1)


def test_lambda_errors():
    layer = layers.Lambda(lambda x: x + 1, name="shift")
    with pytest.raises(ArgumentTypeError) as info:
        layer.get_config()
    lines = str(info.value).splitlines()
    assert lines[0].startswith("the config of Lambda 'shift' needs a function with a name, got a lambda (line ")
    assert lines[1:] == [
        "  why: a config holds no code",
        "  fix: write it with def, above it @nyala.saving.register_keras_serializable(), and pass its name to Lambda",
    ]
    config = {"name": "shift", "function": {"class_name": "__lambda__", "config": {"code": "4wEA"}}}
    why = "running code from a file is not safe\n  fix: write it with def again, and pass it by the name of the layer: "
    why += "custom_objects={'shift': function}\n  rule: object-lambda"
    with raises(UnsafeObjectError, f"Lambda.from_config(function) needs the name of a function, got the bytes of a lambda.\n  why: {why}"):
        layers.Lambda.from_config(config)
    with raises(ArgumentTypeError, "Lambda(function) needs a function, got 3."):
        layers.Lambda(3)


def test_wrapper(normal):
    class Twice(layers.Wrapper):
        def call(self, inputs):
            return self.layer(inputs) * 2.0

    x, layer = normal(2, 5), Twice(layers.Dense(3))
    y = layer(x)
    close(y, 2 * array(layer.layer(x)))
    copy = Twice.from_config(layer.get_config())
    assert copy.get_config() == layer.get_config()
    assert [w.shape for w in layer.weights] == [(5, 3), (3,)]
    with raises(ArgumentTypeError, "Twice(layer) needs a layer, got <class 'nyala.layers.core.dense.Dense'>.\n  fix: make one: Dense(3), not Dense"):
        Twice(layers.Dense)


@pytest.mark.parametrize(
    "layer",
    [
        layers.Dense(3, activation="softmax"),
        layers.EinsumDense("bhwc,cd->bhwd", (5, 5, 3), bias_axes="d", activation="softmax"),
        layers.Conv2D(3, 2, activation="softmax"),
        layers.SeparableConv2D(3, 2, activation="softmax"),
        layers.Conv2DTranspose(3, 2, activation="softmax"),
        layers.LocallyConnected2D(3, 2, activation="softmax"),
    ],
    ids=lambda layer: type(layer).__name__,
)
def test_an_activation_may_be_taken_off(layer, normal, tmp_path):
    """To see logits: `model.layers[-1].activation = None`, as maps of what a network looks at do."""
    model, x = nyala.Sequential([nyala.Input((5, 5, 2)), layer]), normal(2, 5, 5, 2)
    layer.set_weights([normal(*weight.shape) for weight in layer.weights])
    probabilities = array(model(x))
    layer.activation = None
    logits = array(model(x))
    exponentials = np.exp(logits - logits.max(-1, keepdims=True))
    close(probabilities, exponentials / exponentials.sum(-1, keepdims=True))
    assert not np.allclose(probabilities, logits)
    model.save(tmp_path / "m.keras")
    close(nyala.saving.load_model(tmp_path / "m.keras").predict(x), logits)
