# SPDX-License-Identifier: Apache-2.0
"""Nyala against recorded answers of Keras: forward values, gradients, states, configs, names, shapes, trainings.

Uses public names alone and knows no engine: NYALA_BACKEND chooses it. The answers come from tests/golden. Start at close.
"""

import json
import re

import numpy as np
import pytest

import nyala
from tests.golden.model_cases import FITS, MODELS, fit
from tests.golden.store import build, leaves, map_tree, read

KINDS = ["layers", "activations", "losses", "metrics", "optimizers", "initializers", "regularizers", "dtypes", "models"]
CASES = {kind: read(kind) for kind in KINDS}
TOLERANCE = 1e-5
LOOSER = {  # pattern of the case: (tolerance, why float32 asks for it)
    r"layers/BatchNormalization/.*renorm": (1e-4, "a division by the deviation of five numbers, twice"),
    r"layers/SpectralNormalization": (1e-4, "power iteration multiplies rounding"),
    r"layers/(ConvLSTM|RNN|LSTM|GRU|SimpleRNN|Bidirectional)": (3e-5, "seven steps feed rounding back"),
    r"losses/(MeanAbsolutePercentageError|Circle|CosineSimilarity|LogCosh)": (3e-5, "divides by, or subtracts, nearly equal numbers"),
    r"optimizers/(Muon|Adafactor|Lamb)": (1e-4, "twenty steps through normalized matrices"),
    r"optimizers/": (2e-5, "twenty steps add up"),
    r"models/fit/convolution": (1e-3, "the gradient of the first bias nearly cancels, and Adam divides it by its own size"),
    r"models/fit": (1e-4, "a dozen steps through the whole model"),
}

# Symbolic attention scores of Keras do not have the shape of its real ones; here they do.
MISSHAPEN = {"MultiHeadAttention/scores", "MultiHeadAttention/value_dim", "MultiHeadAttention/axes_1_2"}
# Keras forgets sizes of the input that output_shape leaves open; here they are known.
MISSHAPEN |= {"EinsumDense/abc,cd->abd", "EinsumDense/abc,cde->abde", "EinsumDense/btd,dhk->bhtk"}


def tolerance_of(name):
    return next((tolerance for pattern, (tolerance, _) in LOOSER.items() if re.match(pattern, name)), TOLERANCE)


def as_array(tensor):
    return np.asarray(nyala.ops.convert_to_numpy(tensor))


def close(actual, expected, name, what):
    """Same shape; equal within the tolerance of the case, relative to each number and to the largest of the array."""
    actual, expected = as_array(actual), np.asarray(expected)
    assert actual.shape == expected.shape, f"{name}: {what}"
    finite = expected[np.isfinite(expected)] if np.issubdtype(expected.dtype, np.floating) else expected.ravel()
    largest = float(np.max(np.abs(finite.astype("float64")), initial=1.0))
    tolerance = tolerance_of(name)
    np.testing.assert_allclose(
        actual.astype("float64"), expected.astype("float64"), rtol=tolerance, atol=tolerance * largest, equal_nan=True, err_msg=f"{name}: {what}"
    )


def all_close(actual, expected, name, what):
    actual, expected = leaves(actual), leaves(expected)
    assert len(actual) == len(expected), f"{name}: number of {what}"
    for i, (a, e) in enumerate(zip(actual, expected, strict=True)):
        close(a, e, name, f"{what} {i}")


def unnumbered(text):
    """A name or path without the numbers that make automatic names unique."""
    return re.sub(r"_\d+(?=/|$)", "", text)


def plain(value):
    """A config as JSON would carry it."""
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, (np.generic, np.ndarray)):
        return value.tolist()
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    return plain(nyala.saving.serialize_keras_object(value))


RICHER = {"Huber/delta": {"delta"}, "CosineSimilarity/axis_1": {"axis"}}  # what Keras forgets to write, so that a reload changes the object


def same_config(actual, expected, where):
    """Same keys, same plain values; of a serialized thing the class and its own config, of a serialized tensor the values."""
    if isinstance(expected, dict) and expected.get("class_name") == "__tensor__" and isinstance(actual, list):
        actual, expected = actual, expected["config"]["value"]
    if isinstance(expected, dict) and {"class_name", "config"} <= set(expected):
        assert isinstance(actual, dict), where
        assert actual.get("class_name") == expected["class_name"], where
        return same_config(actual.get("config"), expected["config"], f"{where}.{expected['class_name']}")
    if isinstance(expected, dict):
        assert isinstance(actual, dict), where
        richer = next((keys for case, keys in RICHER.items() if where.startswith(case)), set())
        assert set(actual) == set(expected) | richer, where
        for key, value in expected.items():
            same_config(actual[key], value, f"{where}.{key}")
    elif isinstance(expected, list):
        assert isinstance(actual, list), where
        assert len(actual) == len(expected), where
        for i, (a, e) in enumerate(zip(actual, expected, strict=True)):
            same_config(a, e, f"{where}[{i}]")
    elif isinstance(expected, float):
        assert actual == pytest.approx(expected, rel=1e-6), where
    elif isinstance(expected, str):
        assert isinstance(actual, str), where
        assert unnumbered(actual) == unnumbered(expected), where
    else:
        assert actual == expected, where


def check_config(thing, expected, name):
    same_config(json.loads(json.dumps(plain(thing.get_config()))), expected, f"{name} config")


def gradients_of(loss, variables):
    """Gradients of a loss of no arguments, or a skip where the engine has none."""
    try:
        return nyala.jit(lambda: nyala.value_and_grad(lambda: (loss(), ()), variables)()[1])()
    except NotImplementedError as error:
        pytest.skip(str(error).splitlines()[0])


NOT_YET: set[str] = set()  # recorded already, to come


WRONG = {"ConvLSTM2D/mask"}  # there Keras lays the mask (b, 1) of a step over the last two axes of images, width and channels


def parametrize(kind, wanted=lambda case: True):
    names = [name for name, case in CASES[kind].items() if wanted(case) and name.split("/")[0] not in NOT_YET and name not in WRONG]
    return pytest.mark.parametrize("name", names)


def test_what_is_there_is_compared():
    assert sorted(NOT_YET & set(nyala.layers.__all__)) == []


@pytest.fixture(autouse=True)
def fresh_names():
    nyala.utils.clear_session(free_memory=False)  # a collection per test would take most of the time


# Layers


def is_float(leaf):
    return isinstance(leaf, np.ndarray) and np.issubdtype(leaf.dtype, np.floating)


def made_layer(case):
    """The layer of a case, built by its first call, with the recorded weights and clean states."""
    layer = build(nyala, case["layer"])
    with nyala.backend("numpy"):
        layer(*case["calls"][0]["args"], **case["calls"][0]["kwargs"])
    if getattr(layer, "stateful", False):
        layer.reset_state()
    layer.set_weights(case["weights"])
    return layer


@parametrize("layers")
def test_layer_outputs(name):
    case = CASES["layers"][name]
    layer = made_layer(case)
    for i, (one, expected) in enumerate(zip(case["calls"], case["outputs"], strict=True)):
        call = (
            (lambda one=one: layer(*one["args"], **one["kwargs"]))
            if case["losses"]
            else nyala.jit(lambda one=one: layer(*one["args"], **one["kwargs"]))
        )
        outputs = call()
        all_close(outputs, expected, f"layers/{name}", f"outputs of call {i}")
        assert [as_array(o).dtype for o in leaves(outputs)] == [e.dtype for e in leaves(expected)]
    if case["weights_after"] is not None:
        all_close(layer.get_weights(), case["weights_after"], f"layers/{name}", "weights after the calls")
    all_close(list(layer.losses), [np.float32(loss) for loss in case["losses"]], f"layers/{name}", "losses")


@parametrize("layers", lambda case: case["cotangents"] is not None)
def test_layer_gradients(name):
    case = CASES["layers"][name]
    layer, one = made_layer(case), case["calls"][0]
    inputs = [nyala.Variable(leaf) for leaf in leaves(one) if is_float(leaf)]

    def loss():
        values = iter(inputs)
        filled = map_tree(lambda leaf: next(values).value if is_float(leaf) else leaf, one)
        outputs = leaves(layer(*filled["args"], **filled["kwargs"]))
        floats = [o for o in outputs if "float" in nyala.backend.standardize_dtype(o.dtype)]
        return sum(nyala.ops.sum(nyala.ops.multiply(o, c)) for o, c in zip(floats, case["cotangents"], strict=True))

    weights = list(layer.trainable_variables)
    gradients = gradients_of(loss, weights + inputs)
    all_close(gradients[: len(weights)], case["weight_gradients"], f"layers/{name}", "gradients of weights")
    all_close(gradients[len(weights) :], case["input_gradients"], f"layers/{name}", "gradients of inputs")


@parametrize("layers")
def test_layer_contract(name):
    """Names, shapes, config, mask and symbolic outputs."""
    case = CASES["layers"][name]
    layer, one = made_layer(case), case["calls"][0]
    variables = [{"name": v.name, "path": unnumbered(v.path), "shape": list(v.shape), "trainable": v.trainable} for v in layer.weights]
    assert variables == [v | {"path": unnumbered(v["path"])} for v in case["variables"]]
    check_config(layer, case["config"], name)
    if case["output_shape"] is not None and name not in MISSHAPEN:
        shapes = [map_tree(lambda a: (None, *a.shape[1:]), argument) for argument in one["args"]]
        assert plain(layer.compute_output_shape(*shapes)) == case["output_shape"]
    if case["output_mask"] is not None:
        inputs, given = (map_tree(nyala.ops.convert_to_tensor, tree) for tree in (one["args"][0], one["kwargs"].get("mask")))
        mask = layer.compute_mask(inputs, given)
        all_close(mask, case["output_mask"], f"layers/{name}", "masks")
    if case["symbolic"] is not None:

        def symbol(leaf):
            return nyala.KerasTensor((None, *leaf.shape[1:]), leaf.dtype.name) if isinstance(leaf, np.ndarray) else leaf

        spec = map_tree(symbol, one)
        output = layer(*spec["args"], **spec["kwargs"])
        described = map_tree(lambda t: {"shape": list(t.shape), "dtype": nyala.backend.standardize_dtype(t.dtype)}, output)
        real = [{"shape": [None, *o.shape[1:]], "dtype": o.dtype.name} for o in leaves(case["outputs"][0])]
        real = real[0] if isinstance(described, dict) else real
        assert plain(described) == (real if name in MISSHAPEN else case["symbolic"])


# Functions and their classes


@parametrize("activations")
def test_activation(name):
    case = CASES["activations"][name]
    function = getattr(nyala.activations, case["name"])
    close(function(nyala.ops.convert_to_tensor(case["x"]), **case["arguments"]), case["y"], f"activations/{name}", "values")
    if case["edge_values"] is not None:
        close(function(nyala.ops.convert_to_tensor(case["edges"]), **case["arguments"]), case["edge_values"], f"activations/{name}", "edges")


@parametrize("activations")
def test_activation_gradient(name):
    case = CASES["activations"][name]
    function, x = getattr(nyala.activations, case["name"]), nyala.Variable(case["x"])
    (gradient,) = gradients_of(lambda: nyala.ops.sum(nyala.ops.multiply(function(x.value, **case["arguments"]), case["cotangent"])), [x])
    close(gradient, case["gradient"], f"activations/{name}", "gradient")


@parametrize("losses")
def test_loss(name):
    case = CASES["losses"][name]
    for key, expected in case["values"].items():
        reduction, weight = key.split("/")
        reduction = None if reduction == "None" else reduction
        loss = getattr(nyala.losses, case["loss"])(reduction=reduction, **case["arguments"])
        close(loss(case["y_true"], case["y_pred"], case["weights"][weight]), expected, f"losses/{name}", key)
    check_config(getattr(nyala.losses, case["loss"])(**case["arguments"]), case["config"], name)
    if case["function_value"] is not None:
        function = getattr(nyala.losses, case["function"])
        close(function(case["y_true"], case["y_pred"], **case["arguments"]), case["function_value"], f"losses/{name}", "function")


@parametrize("losses")
def test_loss_gradient(name):
    case = CASES["losses"][name]
    for key, expected in case["gradients"].items():
        reduction, weight = key.split("/")
        loss = getattr(nyala.losses, case["loss"])(reduction=reduction, **case["arguments"])
        y_pred = nyala.Variable(case["y_pred"])
        (gradient,) = gradients_of(lambda loss=loss, y=y_pred, w=case["weights"][weight]: loss(case["y_true"], y.value, w), [y_pred])
        close(gradient, expected, f"losses/{name}", key)


@parametrize("metrics")
def test_metric(name):
    case = CASES["metrics"][name]
    metric = build(nyala, case["metric"])
    for i, (update, expected) in enumerate(zip(case["updates"], case["results"], strict=True)):
        metric.update_state(*update["args"], **update["kwargs"])
        all_close(metric.result(), expected, f"metrics/{name}", f"result after update {i}")
    if case["config"] is not None:
        check_config(metric, case["config"], name)
    assert sorted((v.name, tuple(v.shape)) for v in metric.variables) == sorted((v["name"], tuple(v["shape"])) for v in case["variables"])
    metric.reset_state()
    metric.update_state(*case["updates"][0]["args"], **case["updates"][0]["kwargs"])
    all_close(metric.result(), case["results"][0], f"metrics/{name}", "result after a reset")


# Optimizers


@parametrize("optimizers", lambda case: "optimizer" in case)
def test_optimizer(name):
    case = CASES["optimizers"][name]
    variables = [nyala.Variable(value, name=label) for value, label in zip(case["start"], ["matrix", "vector", "scalar"], strict=True)]
    optimizer = build(nyala, case["optimizer"])
    for i, gradients in enumerate(case["gradients"]):
        optimizer.apply([nyala.ops.convert_to_tensor(g) for g in gradients], variables)
        all_close([v.value for v in variables], [steps[i] for steps in case["steps"]], f"optimizers/{name}", f"variables after step {i + 1}")
    assert int(optimizer.iterations) == case["iterations"]
    assert float(as_array(optimizer.learning_rate)) == pytest.approx(case["learning_rate"], rel=1e-5)
    all_close([v.value for v in optimizer.variables], case["state_values"], f"optimizers/{name}", "states")
    optimizer.finalize_variable_values(variables)
    all_close([v.value for v in variables], case["final"], f"optimizers/{name}", "finalized variables")


@parametrize("optimizers", lambda case: "optimizer" in case)
def test_optimizer_contract(name):
    case = CASES["optimizers"][name]
    variables = [nyala.Variable(value, name=label) for value, label in zip(case["start"], ["matrix", "vector", "scalar"], strict=True)]
    optimizer = build(nyala, case["optimizer"])
    optimizer.apply([nyala.ops.convert_to_tensor(g) for g in case["gradients"][0]], variables)
    state = [{"name": v.name, "path": unnumbered(v.path), "shape": list(v.shape)} for v in optimizer.variables]
    assert state == [{"name": v["name"], "path": unnumbered(v["path"]), "shape": v["shape"]} for v in case["state"]]
    check_config(optimizer, case["config"], name)


@parametrize("optimizers", lambda case: "schedule" in case)
def test_schedule(name):
    case = CASES["optimizers"][name]
    schedule = build(nyala, case["schedule"])
    all_close([schedule(step) for step in case["steps"]], list(case["values"]), f"optimizers/{name}", "rates")
    check_config(schedule, case["config"], name)


# Initializers, regularizers, constraints, dtypes


@parametrize("initializers")
def test_initializer(name):
    case = CASES["initializers"][name]
    thing, shape = build(nyala, case["thing"]), tuple(case["shape"])
    x = as_array(thing(shape))
    assert x.shape == shape
    assert x.dtype == np.float32
    if not name.startswith("Identity/"):  # the config of Keras loses the gain; one that keeps it is better
        check_config(thing, case["config"], name)
    if "exact" in case:
        close(x, case["exact"], f"initializers/{name}", "values")
    elif "orthogonal" in case:
        flat = x.astype("float64").reshape(-1, shape[-1])
        product = flat.T @ flat if flat.shape[0] >= flat.shape[1] else flat @ flat.T
        np.testing.assert_allclose(product, case["orthogonal"] ** 2 * np.eye(len(product)), atol=1e-5)
    else:
        law = case["law"]
        if x.size > 30_000:  # five deviations of the mean; the spread of a sample deviation is below 0.5 % here
            assert abs(x.mean(dtype="float64") - law["mean"]) < 5 * law["deviation"] / x.size**0.5
            assert x.std(dtype="float64") == pytest.approx(law["deviation"], rel=0.02)
        if law["low"] is not None:
            assert law["low"] - 1e-6 <= x.min()
            assert x.max() <= law["high"] + 1e-6


@parametrize("regularizers")
def test_regularizer_or_constraint(name):
    case = CASES["regularizers"][name]
    thing = build(nyala, case["thing"])
    close(thing(nyala.ops.convert_to_tensor(case["x"])), case["value"], f"regularizers/{name}", "value")
    check_config(thing, case["config"], name)


def test_result_type():
    """All pairs and some triples. Keras narrows 64 bits here (not in its ops); Nyala keeps them."""
    weak = {"python int": int, "python float": float, "none": None}
    table = CASES["dtypes"]["result_type"]["table"]
    wrong = []
    for names, expected in table.items():
        if expected is not None:
            answer = nyala.backend.result_type(*[weak.get(name, name) for name in names.split(", ")])
            narrow = {"int64": "int32", "uint64": "uint32", "float64": "float32", "complex128": "complex64"}
            if narrow.get(answer, answer) != expected:
                wrong.append(f"{names}: {answer}, Keras {expected}")
    assert wrong == []


# Models


@parametrize("models", lambda case: "lines" in case)
def test_summary(name):
    case, lines = CASES["models"][name], []
    MODELS[case["model"]](nyala).summary(print_fn=lambda line, line_break=True: lines.append(line), line_length=80, **case["options"])
    assert [line.rstrip() for line in "\n".join(lines).splitlines()] == [line.rstrip() for line in case["lines"]]


@parametrize("models", lambda case: "json" in case)
def test_model_config(name):
    case = CASES["models"][name]
    model = MODELS[case["model"]](nyala)
    assert [unnumbered(layer.name) for layer in model.layers] == [unnumbered(layer) for layer in case["layers"]]
    variables = [{"name": v.name, "path": unnumbered(v.path), "shape": list(v.shape)} for v in model.weights]
    assert variables == [v | {"path": unnumbered(v["path"])} for v in case["variables"]]
    check_config(model, case["config"], name)
    document, expected = json.loads(model.to_json()), case["json"]
    same_config(document, expected, name)
    assert document["module"] == expected["module"]


def numbers_close(actual, expected, name, what):
    """Trees of floats: same keys, close numbers."""
    if isinstance(expected, dict):
        assert sorted(actual) == sorted(expected), f"{name}: {what}"
        for key, value in expected.items():
            numbers_close(actual[key], value, name, f"{what} {key}")
    else:
        close(np.asarray(actual, "float32"), np.asarray(expected, "float32"), name, what)


@pytest.mark.parametrize("name", FITS)
def test_fit(name):
    case = CASES["models"][f"fit/{name}"]
    try:
        answer = fit(nyala, name)
    except NotImplementedError as error:
        pytest.skip(str(error).splitlines()[0])
    all_close(answer["start"], case["start"], f"models/fit/{name}", "first weights")
    for what in ["before", "history", "after", "train_on_batch", "test_on_batch"]:
        numbers_close(answer[what], case[what], f"models/fit/{name}", what)
    close(answer["prediction"], case["prediction"], f"models/fit/{name}", "prediction")
    all_close(answer["weights"], case["weights"], f"models/fit/{name}", "final weights")
    assert (answer["epochs"], answer["iterations"]) == (case["epochs"], case["iterations"])
