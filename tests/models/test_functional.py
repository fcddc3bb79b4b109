# SPDX-License-Identifier: Apache-2.0
"""Functional models: structures of inputs and outputs, shared layers, nested models, ops in the graph."""

import copy
import pickle

import numpy as np
import pytest

import nyala
from nyala import layers, ops
from nyala.core.errors import ArgumentError, ShapeError, StateError, StructureError
from tests.models.tools import array, close, dense, raises, randomize


def two_inputs(structure=list):
    """left (3) and right (5) to left @ a - right @ b."""
    left, right = nyala.Input((3,), name="left"), nyala.Input((5,), name="right")
    a, b = layers.Dense(2, name="a"), layers.Dense(2, name="b")
    inputs = [left, right] if structure is list else {"p": left, "q": right}
    return randomize(nyala.Model(inputs, layers.Subtract(name="difference")([a(left), b(right)]), name="two"))


def expected_of(model, left, right):
    return dense(model.get_layer("a"), left) - dense(model.get_layer("b"), right)


# Inputs


def test_lists_by_position_and_dicts_by_name(normal):
    model, left, right = two_inputs(), normal(7, 3), normal(7, 5)
    for inputs in ([left, right], (left, right), {"left": left, "right": right}, {"right": right, "left": left}):
        close(model(inputs), expected_of(model, left, right))


def test_a_model_of_a_dict_takes_dicts_by_key_and_leaves_other_keys_out(normal):
    model, left, right = two_inputs(dict), normal(7, 3), normal(7, 5)
    for inputs in ({"p": left, "q": right}, {"q": right, "p": left}, {"p": left, "q": right, "id": normal(7)}):
        close(model(inputs), expected_of(model, left, right))
    assert model.input_shape == {"p": (None, 3), "q": (None, 5)}


def test_keys_bind_although_the_same_shapes_would_fit_the_other_way_round(normal):
    z, a = nyala.Input((3,), name="z"), nyala.Input((3,), name="a")
    model = nyala.Model({"second": z, "first": a}, z * 2.0 - a)
    first, second = normal(2, 3), normal(2, 3)
    close(model({"first": first, "second": second}), 2.0 * second - first)
    flat = nyala.Model([z, a], z * 2.0 - a)
    close(flat({"a": first, "z": second}), 2.0 * second - first)


@pytest.mark.parametrize("structure", [list, dict])
def test_more_keys_than_inputs_are_left_alone(structure, normal):
    """Batches of loaders hold whatever columns there are."""
    model, left, right = two_inputs(structure), normal(7, 3), normal(7, 5)
    names = ("left", "right") if structure is list else ("p", "q")
    close(model({"more": right, names[1]: right, names[0]: left}), expected_of(model, left, right))


def test_nested_structures(normal):
    p, q, r = (nyala.Input((n,), name=name) for n, name in ((2, "p"), (3, "q"), (5, "r")))
    model = nyala.Model({"x": p, "y": [q, {"z": r}]}, {"u": [p + 1.0, q * 2.0], "v": r - 3.0})
    values = normal(7, 2), normal(7, 3), normal(7, 5)
    outputs = model({"y": [values[1], {"z": values[2]}], "x": values[0]})
    assert set(outputs) == {"u", "v"}
    close(outputs["u"][0], values[0] + 1.0)
    close(outputs["u"][1], values[1] * 2.0)
    close(outputs["v"], values[2] - 3.0)
    assert model.output_shape == {"u": [(None, 2), (None, 3)], "v": (None, 5)}
    assert [t.name for t in model.inputs] == ["p", "q", "r"]


@pytest.mark.parametrize(
    ("structure", "inputs", "kind", "text"),
    [
        (list, {"left": (7, 3)}, StructureError,
         "Model 'two' needs inputs named ['left', 'right'], got ['left'].\n"
         "  why: dicts are bound by name, and 'right' is missing\n"
         "  fix: rename the keys to these"),
        (list, {"x": (7, 3), "y": (7, 5)}, StructureError,
         "Model 'two' needs inputs named ['left', 'right'], got ['x', 'y'].\n"
         "  why: dicts are bound by name, and 'left', 'right' are missing\n"
         "  fix: rename the keys to these"),
        (dict, {"p": (7, 3), "right": (7, 5)}, StructureError,
         "Model 'two' needs inputs named ['p', 'q'], got ['p', 'right'].\n"
         "  why: dicts are bound by name, and 'q' is missing\n"
         "  fix: rename the keys to these"),
        (list, [(7, 3)], StructureError,
         "Model 'two' needs 2 inputs ['left', 'right'], got 1.\n  fix: pass them in the order ['left', 'right'], or in a dict by these names"),
        (list, [(7, 3), (7, 5), (7, 5)], StructureError,
         "Model 'two' needs 2 inputs ['left', 'right'], got 3.\n  fix: pass them in the order ['left', 'right'], or in a dict by these names"),
        (list, [(7, 5), (7, 3)], ShapeError,
         "Model 'two' needs shape (None, 3) for its input 'left', got (7, 5).\n"
         "  fix: pass them in the order ['left', 'right'], or in a dict by these names"),
    ],
)  # fmt: skip
def test_inputs_that_do_not_fit(structure, inputs, kind, text):
    model = two_inputs(structure)
    with raises(kind, text):
        model({k: np.zeros(s) for k, s in inputs.items()} if isinstance(inputs, dict) else [np.zeros(s) for s in inputs])


@pytest.mark.parametrize(
    ("shape", "fix"),
    [
        ((7, 5, 3), "this is one sample without the batch axis: pass x[None]"),
        ((2, 7, 5), "add the missing axis: x[None] for a single sample, x[..., None] for grey images or one feature"),
        ((2, 7, 5, 4), "these look like RGBA images where colour (RGB) ones are wanted: convert them"),
        ((2, 7, 5, 1), "these look like grey images where colour (RGB) ones are wanted: convert them"),
        ((2, 5, 7, 3), "reshape the data, or declare nyala.Input with this shape"),
        ((1, 2, 7, 5, 3), "reshape or flatten the data, or declare nyala.Input with this shape"),
    ],
)
def test_shapes_that_do_not_fit_say_what_to_do(shape, fix):
    image = nyala.Input((7, 5, 3), name="image")
    model = nyala.Model(image, image + 1.0, name="m")
    with raises(ShapeError, f"Model 'm' needs shape (None, 7, 5, 3) for its input 'image', got {shape}.\n  fix: {fix}"):
        model(np.zeros(shape))


def test_a_last_axis_of_one_comes_and_goes(normal):
    x = nyala.Input((3, 1))
    values = normal(2, 3)
    close(nyala.Model(x, x * 2.0)(values), 2.0 * values[..., None])
    y = nyala.Input((3,))
    close(nyala.Model(y, y * 2.0)(values[..., None]), 2.0 * values)


def test_none_is_for_optional_inputs():
    x = nyala.Input((3,), name="x")
    with raises(StructureError, "Model 'm' needs a tensor for its input 'x', got None.\n  fix: pass it, or declare nyala.Input(..., optional=True)"):
        nyala.Model(x, x + 1.0, name="m")(None)


def test_dtypes_are_those_of_the_inputs():
    ids = nyala.Input((3,), dtype="int32")
    model = nyala.Model(ids, ids + 1)
    assert array(model(np.array([[1.0, 2.0, 3.0]]))).dtype == "int32"


# What cannot be a model


def test_an_orphan_input_is_named_with_the_way_to_it():
    left, right = nyala.Input((3,), name="left"), nyala.Input((5,), name="right")
    hidden = layers.Dense(2, name="of_right")(right)
    output = layers.Dense(1, name="out")(layers.Add(name="sum")([layers.Dense(2, name="of_left")(left), hidden]))
    with raises(
        StateError,
        "Model 'm' needs outputs that are computed from its inputs, got an output that depends on 'right' (None, 5), which is not among the inputs.\n"
        "  why: the way back from the output is out <- sum <- of_right <- right\n"
        "  fix: add that Input to inputs=, or connect 'of_right' to an input of this model",
    ):
        nyala.Model(left, output, name="m")


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda x: nyala.Model([x, x], x + 1.0), "Model(inputs) needs each input once, got one of them twice."),
        (lambda x: nyala.Model(x, np.zeros(3)), "Model(outputs) needs symbolic tensors, from nyala.Input and calls on it, got ndarray.\n"
        "  fix: start with x = nyala.Input(shape) and call layers on x"),
        (lambda x: nyala.Model(np.zeros(3), x), "Model(inputs) needs symbolic tensors, from nyala.Input and calls on it, got ndarray.\n"
        "  fix: start with x = nyala.Input(shape) and call layers on x"),
        (lambda x: nyala.Model(x, None), "Model(outputs) needs symbolic tensors, from nyala.Input and calls on it, got NoneType.\n"
        "  fix: let the layer's call, or the function that gave it, end with return"),
        (lambda x: nyala.Model(x, [layers.Dense(3)]), "Model(outputs) needs symbolic tensors, from nyala.Input and calls on it, got Dense.\n"
        "  fix: call the layer on a tensor: Dense(...)(x)"),
        (lambda x: nyala.Model(x, []), "Model(outputs) needs at least one symbolic tensor, got []."),
        (lambda x: nyala.Model(inputs=x), "Model(...) needs both inputs and outputs, symbolic tensors, or keyword arguments only, got inputs."),
        (lambda x: nyala.Model(x),
         "Model(...) needs both inputs and outputs, symbolic tensors, or keyword arguments only, got 1 positional argument."),
        (lambda x: nyala.Model(x, layers.Dense(3, name="d")(layers.Dense(3, name="d")(x)), name="m"),
         "Model 'm' needs layers with names that differ, got ['d'] more than once.\n  fix: pass name= to these layers"),
    ],
)  # fmt: skip
def test_what_cannot_be_a_model(make, text):
    with raises(ArgumentError, text):
        make(nyala.Input((3,)))


# Graphs


def test_shared_layers_and_several_calls(normal):
    x, y = nyala.Input((3,)), nyala.Input((3,))
    shared, once = layers.Dense(3, name="shared"), layers.Dense(2, name="once")
    model = randomize(nyala.Model([x, y], once(shared(shared(x)) - shared(y))))
    a, b = normal(7, 3), normal(7, 3)
    close(model([a, b]), dense(once, dense(shared, dense(shared, a)) - dense(shared, b)))
    assert len(model.weights) == 4
    assert len(shared.inbound_nodes) == 3


def test_ops_in_the_graph(normal):
    x = nyala.Input((5,))
    joined = ops.concatenate([x * 2 + 1, x[:, 1:3], ops.expand_dims(ops.mean(x, axis=1), -1), 1 / (1 + ops.exp(-x))], axis=-1)
    model = nyala.Model(x, [joined, x @ ops.transpose(x)])
    a = normal(3, 5)
    outputs = model(a)
    close(outputs[0], np.concatenate([a * 2 + 1, a[:, 1:3], a.mean(1, keepdims=True), 1 / (1 + np.exp(-a))], -1))
    close(outputs[1], a @ a.T)
    assert model.output_shape == [(None, 13), (None, None)]


def test_intermediate_outputs_share_the_layers(normal):
    model = randomize(nyala.Sequential([nyala.Input((3,)), layers.Dense(5, name="h"), layers.Dense(2, name="o")]))
    features = nyala.Model(model.inputs, model.get_layer("h").output)
    a = normal(7, 3)
    close(features(a), dense(model.get_layer("h"), a))
    assert features.layers[-1] is model.get_layer("h")
    between = nyala.Model(model.get_layer("h").output, model.output)  # from a tensor inside
    close(between(array(features(a))), array(model(a)))


def test_models_between_tensors_have_only_what_they_use(normal, tmp_path):
    x = nyala.Input((3,), name="x")
    a = layers.Dense(5, name="a")(x)
    b = layers.Dense(7, activation="tanh", name="b")(a)
    whole = randomize(nyala.Model(x, layers.Dense(2, name="c")(layers.Concatenate(name="join")([a, b * 2.0]))))
    half = nyala.Model(a, whole.output, name="half")
    assert [layer.name for layer in half.layers] == [a.name, "b", "join", "c"]
    assert [weight.path for weight in half.weights] == ["b/kernel", "b/bias", "c/kernel", "c/bias"]
    assert half.get_layer("b") is whole.get_layer("b") and whole.get_layer("b").output is b
    assert (half.input_names, half.inputs[0].shape, half.count_params()) == ([a.name], (None, 5), 42 + 26)
    data = normal(11, 3)
    inner = dense(whole.get_layer("a"), data)
    close(half(array(inner)), array(whole(data)))
    half.save(tmp_path / "half.keras")
    loaded = nyala.models.load_model(tmp_path / "half.keras")
    assert loaded.count_params() == half.count_params()
    close(loaded(array(inner)), array(whole(data)))
    two = nyala.Model([b, a], [whole.output, b])  # the one is computed from the other
    assert [layer.name for layer in two.layers if layer.weights] == ["c"]
    assert two([normal(11, 7), array(inner)])[0].shape == (11, 2)
    assert nyala.models.model_from_json(two.to_json()).output_shape == [(None, 2), (None, 7)]


def test_inputs_that_nothing_needs(normal):
    x, y, z = (nyala.Input((n,), name=name) for name, n in (("x", 3), ("y", 5), ("z", 7)))
    model = nyala.Model([y, x, z], layers.Dense(2, name="b")(layers.Dense(11, name="a")(x)))
    assert [layer.name for layer in model.layers] == ["x", "a", "y", "z", "b"]
    copy = nyala.models.model_from_json(model.to_json())
    copy.set_weights(model.get_weights())
    data = {"x": normal(13, 3), "y": normal(13, 5), "z": normal(13, 7)}
    close(copy(data), array(model([data["y"], data["x"], data["z"]])))


def test_models_are_layers(normal):
    inner = randomize(two_inputs())
    x = nyala.Input((3,), name="x")
    wide = layers.Dense(5, name="wide")
    outer = nyala.Model(x, layers.Dense(1, name="end")(inner([x, wide(x)])), name="outer")
    a = normal(7, 3)
    close(outer(a), dense(outer.get_layer("end"), expected_of(inner, a, dense(wide, a))))
    assert outer.get_layer("two") is inner
    assert outer.count_params() == inner.count_params() + 20 + 3


def test_calls_on_symbols_and_shapes():
    model = two_inputs()
    x, y = nyala.Input((3,)), nyala.Input((5,))
    assert model([x, y]).shape == (None, 2)
    assert model({"right": y, "left": x}).shape == (None, 2)
    assert model.compute_output_shape([(7, 3), (7, 5)]) == (7, 2)
    assert model.compute_output_shape([(None, 3), (None, 5)]) == (None, 2)


def test_training_and_masks_reach_the_layers(normal):
    class Seen(layers.Layer):
        def call(self, x, training=None, mask=None):
            return x + (100.0 if training else 0.0) + (10.0 if mask is not None else 0.0)

    x = nyala.Input((3, 2))
    model = nyala.Model(x, Seen()(layers.Masking()(x)))
    a = np.abs(normal(2, 3, 2))
    close(model(a), a + 10.0)
    close(model(a, training=True), a + 110.0)
    fixed = nyala.Model(x, Seen()(x, training=False))  # said in the graph: stays
    close(fixed(a, training=True), a)


def test_a_mask_is_lent_to_the_inputs_for_one_call(normal):
    x, mask = nyala.ops.convert_to_tensor(normal(2, 3, 5)), np.array([[True, True, False], [True, False, False]])
    inputs = nyala.Input((3, 5))
    whole, masked = array(x).mean(axis=1), np.stack([array(x)[0, :2].mean(axis=0), array(x)[1, 0]])
    for model in (
        nyala.Model(inputs, layers.GlobalAveragePooling1D()(inputs)),
        nyala.Sequential([layers.Dropout(0.5), layers.GlobalAveragePooling1D()]),
    ):
        close(model(x, mask=mask), masked)
        close(model(x), whole)


def test_names_of_outputs():
    x = nyala.Input((3,))
    a, b = layers.Dense(1, name="a")(x), layers.Dense(1, name="b")(x)
    assert nyala.Model(x, [b, a]).output_names == ["b", "a"]
    assert nyala.Model(x, {"second": a, "first": b}).output_names == ["first", "second"]


def test_order_of_layers_and_weights_is_by_depth():
    """As Keras orders them: farthest from the outputs first, ties as found on the way back from the outputs."""
    i, j = nyala.Input((4,), name="i"), nyala.Input((4,), name="j")
    shared = layers.Dense(4, name="shared")
    a, b = shared(i), layers.Dense(4, name="b")(j)
    c, d = shared(b), layers.Dense(4, name="d")(a)
    f, g = shared(layers.Add(name="e")([c, d])), layers.Dense(2, name="g")(i)
    model = nyala.Model([i, j], {"z": f, "a": g})
    assert [layer.name for layer in model.layers] == ["j", "i", "b", "shared", "d", "e", "g"]
    assert [w.path for w in model.weights] == [f"{n}/{w}" for n in ("b", "shared", "d", "g") for w in ("kernel", "bias")]
    x = nyala.Input((4,), name="x")
    a = layers.Dense(4, name="a")(x)
    c = layers.Dense(4, name="c")(x)
    model = nyala.Model(x, [layers.Concatenate(name="d")([layers.Dense(4, name="b")(a), c, x]), layers.Dense(3, name="e")(c) * 2 + 1])
    assert [op.name for op in model.operations] == ["x", "c", "a", "e", "b", "multiply", "d", "add"]


# Copies and depth


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))], ids=["deepcopy", "pickle"])
def test_copies_are_equal_and_independent(duplicate, normal):
    model, left, right = two_inputs(), normal(7, 3), normal(7, 5)
    twin = duplicate(model)
    before = array(model([left, right]))
    close(twin([left, right]), before)
    assert twin.get_config() == model.get_config()
    assert twin.get_layer("a").output.shape == (None, 2)
    twin.set_weights([2.0 * w for w in twin.get_weights()])
    close(model([left, right]), before)
    close(nyala.Model(twin.inputs, twin.get_layer("a").output)([left, right]), dense(twin.get_layer("a"), left))


def test_a_thousand_layers(normal):
    x = first = nyala.Input((3,))
    for _ in range(1000):
        x = layers.Activation("linear")(x)
    model = nyala.Model(first, x + 1.0)
    a = normal(2, 3)
    for twin in (
        model,
        copy.deepcopy(model),
        pickle.loads(pickle.dumps(model)),
        nyala.models.clone_model(model),
        nyala.models.model_from_json(model.to_json()),
    ):
        assert len(twin.layers) == 1001
        with nyala.backend("numpy"):
            close(twin(a), a + 1.0)


@pytest.mark.parametrize("kind", [list, tuple])
def test_an_output_alone_in_a_list_comes_without_it(kind, normal):
    x, data = nyala.Input((3,)), normal(7, 3)
    dense = layers.Dense(2, name="d")
    model = nyala.Model(kind([x]), kind([dense(x)]))
    expected = array(dense(data))
    for result in (model(data), model([data]), model.predict(data, verbose=0), model.predict_on_batch(data), nyala.Model(x, model(x))(data)):
        np.testing.assert_allclose(array(result), expected, rtol=1e-5)
    assert (model.input_shape, model.output_shape) == ((None, 3), (None, 2))
    assert type(model(x)) is kind and model(x)[0].shape == (None, 2)
    assert model.compute_output_shape((7, 3)) == kind([(7, 2)])
    model.compile("sgd", "mse")
    targets = np.zeros((7, 2))
    histories = [model.fit(data, y, epochs=1, verbose=0).history for y in (targets, [targets], {"d": targets})]
    assert [list(h) for h in histories] == [["loss"]] * 3
    again = nyala.Model.from_config(model.get_config())
    again.set_weights(model.get_weights())
    np.testing.assert_allclose(array(again(data)), array(model(data)), rtol=1e-5)


def test_only_the_outer_list_of_one_is_taken_away(normal):
    x, data = nyala.Input((3,)), normal(7, 3)
    a, b = layers.Dense(2)(x), layers.Dense(5)(x)
    assert [tuple(y.shape) for y in nyala.Model(x, [[a, b]])(data)] == [(7, 2), (7, 5)]
    assert [tuple(y.shape) for y in nyala.Model(x, [[a]])(data)] == [(7, 2)]
    assert list(nyala.Model(x, {"k": [a]})(data)) == ["k"] and tuple(nyala.Model(x, {"k": [a]})(data)["k"][0].shape) == (7, 2)


def test_a_call_of_ones_own_keeps_its_structure(normal):
    class Twice(nyala.Model):
        def call(self, inputs):
            y = super().call(inputs)
            return [y, y * 2]

    x = nyala.Input((3,))
    model = Twice([x], [layers.Dense(2)(x)])
    assert [y.shape for y in model(x)] == [(None, 2)] * 2
    assert [tuple(y.shape) for y in model(normal(7, 3))] == [(7, 2)] * 2
