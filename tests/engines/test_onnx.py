# SPDX-License-Identifier: Apache-2.0
"""Models as ONNX files: each primitive, all recorded layers of Keras, whole models, open sizes and what is refused, as onnxruntime computes it."""

import os
import pathlib
import re
import subprocess
import sys

import numpy as np
import pytest

import nyala
from nyala import layers, ops
from nyala.core.errors import ArgumentError, ArgumentTypeError, StateError
from nyala.core.symbolic import Symbolic
from nyala.engines import PRIMITIVES
from nyala.testing import check_engine
from tests.test_golden import CASES, leaves, made_layer, map_tree, tolerance_of

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from nyala.engines._onnx_export import as_onnx  # noqa: E402  they need onnx
from tests.engines.onnx_runtime import ComputingEngine, run  # noqa: E402

RANDOM = np.random.default_rng(31)
NO_OPERATION = {  # what ONNX has no operation for
    *("erfinv", "lgamma", "digamma", "conv_kernel_gradient", "cholesky", "solve", "triangular_solve", "qr", "svd", "eigh", "eig", "lu"),
    *("complex", "real", "imag", "fft", "ifft", "random_bits", "nonzero"),
}
OF_THE_RUNTIME = {  # what is its choice: nan in extremes, indices out of range, a scan over nothing, the sign of a zero
    *("max-conventions", "min-conventions", "argmax-conventions", "argmin-conventions", "argmax-edges", "argmin-edges", "max_pool-conventions"),
    *("searchsorted-conventions", "take-conventions", "scan-scan_is_a_loop", "arctan2-edges"),
    *("abs-conventions", "cast-values", "conv-adjoints_of_conv"),  # of complex numbers, and of gradients
}


def numbers(*shape):
    return RANDOM.normal(size=shape).astype("float32")


def raises(kind, text):
    return pytest.raises(kind, match=re.escape(text))


def test_primitives_keep_the_contract():
    failures = set(check_engine(ComputingEngine(), only=[*PRIMITIVES, "transform"]).failures)
    assert {check for check in failures if check.split("-")[0] not in NO_OPERATION} <= OF_THE_RUNTIME
    assert {check.split("-")[0] for check in failures} >= NO_OPERATION - {"nonzero"}


def exports(case):
    """Whether a recorded call can be one of a file: it predicts, with numbers."""
    arrays = [leaf for leaf in leaves(case["calls"][0]) if isinstance(leaf, np.ndarray)]
    return not case["calls"][0]["kwargs"].get("training") and not case["losses"] and not any(a.dtype.kind in "US" for a in arrays)


REFUSED = {"SimpleRNN/stateful", "LSTM/stateful", "GRU/stateful"}
WRONG = {"ConvLSTM2D/mask"}  # there Keras lays the mask over the wrong axes


@pytest.mark.parametrize("name", [name for name, case in CASES["layers"].items() if exports(case) and name not in WRONG])
def test_layers_give_what_keras_gave(name):
    """For any number of rows."""
    case = CASES["layers"][name]
    layer, one = made_layer(case), case["calls"][0]
    arrays = [leaf for leaf in leaves(one) if isinstance(leaf, np.ndarray)]

    def call(values):
        given = iter(values)
        filled = map_tree(lambda leaf: next(given) if isinstance(leaf, np.ndarray) else leaf, one)
        return layer(*filled["args"], **filled["kwargs"])

    signature = [[Symbolic((None, *a.shape[1:]) if a.ndim and name not in REFUSED else a.shape, a.dtype.name) for a in arrays]]
    if name in REFUSED:
        with raises(ArgumentError, "here, format 'onnx' needs a model that changes none of its variables, got one that assigns"):
            as_onnx(call, signature, layer.variables, "here")
        return
    model = as_onnx(call, signature, layer.variables, "here")
    results = run(model, {value.name: array for value, array in zip(model.graph.input, arrays, strict=True)})
    for result, expected in zip(results, leaves(case["outputs"][0]), strict=True):
        expected, tolerance = np.asarray(expected), max(tolerance_of(f"layers/{name}"), 1e-5)
        assert (result.shape, result.dtype) == (expected.shape, expected.dtype)
        largest = np.abs(expected[np.isfinite(expected)].astype("float64")).max(initial=1.0)
        np.testing.assert_allclose(result.astype("float64"), expected.astype("float64"), rtol=tolerance, atol=tolerance * largest)


# Whole models ---------------------------------------------------------------------------------------------------------------------------


def scattered(model):
    """The model with weights that are far from zero and moments that are no defaults."""
    model.set_weights([RANDOM.uniform(0.2, 0.9, w.shape).astype(w.dtype) - (0.5 if w.ndim > 1 else 0.0) for w in model.get_weights()])
    return model


def images():
    x = nyala.Input((None, None, 3), name="image")
    first = layers.Conv2D(4, 3, strides=2, padding="same", activation="relu")(x)
    second = layers.BatchNormalization()(layers.DepthwiseConv2D(3, padding="same")(first))
    first = layers.AveragePooling2D(3, 1, padding="same")(first)
    merged = layers.UpSampling2D()(layers.Add()([first, second]))
    wide = layers.Conv2DTranspose(3, 3, strides=2, padding="same")(layers.MaxPooling2D(3, 2, padding="same")(merged))
    return nyala.Model(x, {"map": wide, "mean": layers.Dense(2, name="mean")(layers.GlobalAveragePooling2D()(merged))}), [numbers(3, 21, 34, 3)]


def words():
    x = nyala.Input((None,), dtype="int32", name="words")
    y = layers.Embedding(40, 8, mask_zero=True)(x)
    y = layers.LayerNormalization()(layers.Add()([y, layers.MultiHeadAttention(2, 4)(y, y)]))
    y = layers.Bidirectional(layers.LSTM(5, return_sequences=True))(y)
    y = layers.GRU(4)(layers.Dense(6, activation="gelu")(y))
    return nyala.Model(x, layers.Dense(3, activation="softmax")(y)), [RANDOM.integers(0, 40, (5, 9)).astype("int32")]


def two_inputs():
    first, second = nyala.Input((6, 4), name="first"), nyala.Input((4,), name="second")
    y = layers.Conv1D(5, 3, padding="causal", activation="silu")(first)
    y = layers.Concatenate()([layers.Flatten()(layers.AveragePooling1D(2)(y)), second])
    return nyala.Model([first, second], [layers.Dense(2)(y), ops.softmax(second * 2.0)]), [numbers(5, 6, 4), numbers(5, 4)]


def own_ops():
    x = nyala.Input((6,))
    y = ops.where(x > 0, ops.log1p(ops.abs(x)), ops.expm1(x) + ops.cumsum(x, axis=1))
    top, place = ops.top_k(y, 3)
    return nyala.Model(x, [top, place, ops.argmax(y, axis=1), ops.sort(y), ops.logsumexp(y, axis=1), ops.flip(y, axis=1)]), [numbers(7, 6)]


@pytest.mark.parametrize("make", [images, words, two_inputs, own_ops])
def test_models_of_open_sizes(make, tmp_path):
    model, inputs = make()
    scattered(model)
    path = tmp_path / "model.onnx"
    model.export(path, "onnx", verbose=False)
    file = onnx.load(path)
    onnx.checker.check_model(file, full_check=True)
    feed = {value.name: x for value, x in zip(file.graph.input, inputs, strict=True)}
    expected = model.predict(inputs if len(inputs) > 1 else inputs[0])
    expected = list(expected.values()) if isinstance(expected, dict) else expected if isinstance(expected, list) else [expected]
    for result, known in zip(run(file, feed), expected, strict=True):
        np.testing.assert_allclose(result, known, rtol=2e-5, atol=2e-5 * np.abs(known).max())
    one = run(file, {name: x[:1] for name, x in feed.items()})
    for result, known in zip(one, expected, strict=True):
        np.testing.assert_allclose(result, known[:1], rtol=2e-5, atol=2e-5 * np.abs(known).max())


def test_a_famous_network():
    model = scattered(nyala.applications.MobileNetV2(weights=None, input_shape=(64, 64, 3), alpha=0.35, classes=7))
    file = as_onnx(lambda x: model(x, training=False), [model.input], model.variables, "here")
    x = numbers(3, 64, 64, 3)
    (result,) = run(file, {file.graph.input[0].name: x})
    np.testing.assert_allclose(result, model.predict(x), rtol=1e-3, atol=1e-4)
    kinds = [node.op_type for node in file.graph.node]
    assert kinds.count("Conv") == 52 and "Scan" not in kinds


def test_names_shapes_and_what_is_said(tmp_path, capsys):
    model, _ = two_inputs()
    path = tmp_path / "new.onnx"
    model.export(path, format="onnx")
    file = onnx.load(path)
    assert [value.name for value in file.graph.input] == ["first", "second"]
    assert [value.name for value in file.graph.output] == model.output_names
    said = capsys.readouterr().out
    assert said.startswith(f"Saved {str(path)!r}: first (batch, 6, 4), second (batch, 4) -> ") and said.endswith(" MiB.\n")
    assert {tensor.name for tensor in file.graph.initializer} >= {weight.path for weight in model.weights if weight.ndim < 3}
    assert file.opset_import[0].version == 18 and file.producer_name == "nyala"
    model.export(path, format="onnx", opset_version=21, verbose=False)
    assert onnx.load(path).opset_import[0].version == 21


def test_names_that_values_might_have():
    x = nyala.Input((3,), name="v1")
    variable = nyala.Variable(numbers(3), name="v0")
    file = as_onnx(lambda x: ops.tanh(ops.exp(x) * variable.value), [x], [variable], "here", ["v1"], ["v2"])
    given = numbers(4, 3)
    np.testing.assert_allclose(run(file, {"v1": given})[0], np.tanh(np.exp(given) * variable.numpy()), rtol=1e-5)
    names = [name for node in file.graph.node for name in node.output]
    assert len({*names, "v0", "v1"}) == len(names) + 2 and names[-1] == "v2"


def test_the_file_does_not_depend_on_the_engine():
    model, _ = words()
    files = []
    for engine in ("numpy", *(e.name for e in nyala.testing.installed_engines() if e.name in ("jax", "torch"))):
        with nyala.backend(engine):
            files.append(as_onnx(lambda x: model(x, training=False), [model.input], model.variables, "here").SerializeToString())
    assert len(set(files)) == 1


def test_a_file_runs_without_nyala(tmp_path):
    model, (x,) = images()
    model.export(tmp_path / "m.onnx", "onnx", verbose=False)
    np.save(tmp_path / "x.npy", x)
    code = (
        "import sys, numpy, onnxruntime\n"
        "session = onnxruntime.InferenceSession('m.onnx', providers=['CPUExecutionProvider'])\n"
        "numpy.savez('y.npz', *session.run(None, {'image': numpy.load('x.npy')}))\nassert 'nyala' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True)
    found, expected = np.load(tmp_path / "y.npz"), model.predict(x)
    for result, known in zip(found.values(), expected.values(), strict=True):
        np.testing.assert_allclose(result, known, rtol=1e-4, atol=1e-5)


def test_a_signature_states_sizes():
    model, _ = images()
    file = as_onnx(lambda x: model(x, training=False), [nyala.KerasTensor((3, 21, 34, 3), "float32")], model.variables, "here")
    assert [d.dim_value for d in file.graph.input[0].type.tensor_type.shape.dim] == [3, 21, 34, 3]
    assert all(d.HasField("dim_value") for value in file.graph.output for d in value.type.tensor_type.shape.dim)
    assert not any(node.op_type == "Shape" for node in file.graph.node)


def test_weights_of_other_dtypes():
    for dtype in ("mixed_float16", "float16", "bfloat16", "float64"):
        model = nyala.Sequential([nyala.Input((4,)), layers.Dense(3, activation="tanh", dtype=dtype), layers.Dense(2, dtype="float32")])
        file = as_onnx(lambda x, model=model: model(x, training=False), [model.input], model.variables, "here")
        x = numbers(6, 4)
        np.testing.assert_allclose(run(file, {file.graph.input[0].name: x})[0], model.predict(x), rtol=2e-2, atol=2e-2)


def test_quantized_weights_stay_integers():
    for mode in ("int8", "int4"):
        model = nyala.Sequential([nyala.Input((12,)), layers.Dense(10, activation="relu"), layers.Dense(4)])
        model.quantize(mode)
        file = as_onnx(lambda x, model=model: model(x, training=False), [model.input], model.variables, "here")
        x = numbers(6, 12)
        np.testing.assert_allclose(run(file, {file.graph.input[0].name: x})[0], model.predict(x), rtol=1e-4, atol=1e-5)
        largest = max(file.graph.initializer, key=lambda tensor: int(np.prod(tensor.dims)))
        assert largest.data_type == onnx.TensorProto.INT8 and list(largest.dims) == [12, 10 if mode == "int8" else 5]


# What is refused --------------------------------------------------------------------------------------------------------------------------------


class Batched(layers.Layer):
    def call(self, x):
        return ops.concatenate([x, ops.convert_to_tensor(np.linspace(0.0, 1.0, x.shape[0], dtype="float32")[:, None])], axis=1)


class Looking(layers.Layer):
    def call(self, x):
        return x * float(nyala.ops.convert_to_numpy(x).max()) if not isinstance(x, Symbolic) else x

    def compute_output_spec(self, x):
        return x


class Drawing(layers.Layer):
    def call(self, x):
        return x + nyala.random.normal(x.shape)


CALLS = {
    "sizes": (Batched, "needs a model that computes alike for every size that is left open, got open sizes on axis 0 of"),
    "values": (Looking, "needs a model whose operations follow from shapes, got one that looks at the values of a tensor."),
    "random": (Drawing, "needs a model that computes the same each time, got one that draws random numbers."),
}


@pytest.mark.parametrize("name", CALLS)
def test_what_a_graph_cannot_say_is_refused_and_nothing_written(name, tmp_path):
    kind, text = CALLS[name]
    model = nyala.Sequential([nyala.Input((3,)), layers.Dense(2), kind()])
    with raises(ArgumentError, text):
        model.export(tmp_path / "m.onnx", "onnx")
    assert list(tmp_path.iterdir()) == []


def test_other_refusals(tmp_path):
    model = nyala.Sequential([nyala.Input((3,)), layers.Dense(2)])
    with raises(ArgumentTypeError, "Model.export needs filepath, format, verbose and input_signature, opset_version, got also optset."):
        model.export(tmp_path / "m", "onnx", optset=18)
    with raises(ArgumentTypeError, "Model.export needs filepath, format, verbose and input_signature, got also opset_version."):
        model.export(tmp_path / "m", "tf_saved_model", opset_version=18)
    for version in (11, "18", True, 10**6):
        with raises(ArgumentError, "Model.export(opset_version) needs a number from 18 to"):
            model.export(tmp_path / "m", "onnx", opset_version=version)
    with raises(ArgumentError, f"Model.export(filepath) needs the name of a file, got {str(tmp_path)!r}, which is a folder."):
        model.export(tmp_path, "onnx")
    with raises(StateError, "needs to know the shapes of the inputs, got a model that is not built."):
        nyala.Sequential([layers.Dense(2)]).export(tmp_path / "m", "onnx")
    with raises(ArgumentError, "needs inputs that are numbers, got string"):
        nyala.Sequential([nyala.Input((1,), dtype="string"), layers.StringLookup(vocabulary=["a"])]).export(tmp_path / "m", "onnx")
    assert list(tmp_path.iterdir()) == []


def test_a_file_is_replaced_as_a_whole(tmp_path, monkeypatch):
    first, second = (nyala.Sequential([nyala.Input((3,)), layers.Dense(2)]) for _ in range(2))
    path = tmp_path / "m.onnx"
    first.export(path, "onnx", verbose=False)
    before = path.read_bytes()
    monkeypatch.setattr("nyala.files.atomic.put", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(OSError, match="No space left"):
        second.export(path, "onnx", verbose=False)
    assert path.read_bytes() == before and [file.name for file in tmp_path.iterdir()] == ["m.onnx"]


def test_without_the_package(tmp_path):
    code = (
        "import sys, importlib.util, nyala\nfind = importlib.util.find_spec\n"
        "importlib.util.find_spec = lambda name, *a: None if name == 'onnx' else find(name, *a)\n"
        "nyala.Sequential([nyala.Input((3,)), nyala.layers.Dense(2)]).export('m.onnx', 'onnx')\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(pathlib.Path(__file__).parents[2])}
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "ImportError: the format 'onnx' needs the package onnx, which is not installed here." in done.stderr
    assert done.stderr.rstrip().endswith("fix: pip install 'nyala[onnx]'")
