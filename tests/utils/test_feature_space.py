# SPDX-License-Identifier: Apache-2.0
"""FeatureSpace: data of all forms, threads, models, configs, errors. Numbers against Keras: tests/layers/test_features_golden.py."""

import json
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import nyala
from nyala import layers
from nyala.core.errors import ArgumentError, ArgumentTypeError, LookupFailed, StateError
from nyala.testing import installed_engines
from nyala.utils import FeatureSpace
from tests.layers.tools import array, raises

TABLE = {"size": [1.0, 2.0, 6.0], "kind": ["cat", "dog", "cat"], "code": [7, 5, 7], "kept": [0.5, 1.5, 2.5]}
FEATURES = {"size": "float_normalized", "kind": "string_categorical", "code": "integer_categorical", "kept": "float"}


@pytest.fixture(params=[engine.name for engine in installed_engines()])
def each_engine(request):
    """The test runs on each engine that is installed."""
    with nyala.backend(request.param):
        yield request.param


def made(**options):
    space = FeatureSpace(FEATURES, **options)
    space.adapt(TABLE)
    return space


def test_rows_in_the_order_of_names(each_engine):
    size = (np.array(TABLE["size"]) - 3) / np.sqrt(14 / 3)
    code, kind = np.eye(3)[[1, 2, 1]], np.eye(3)[[1, 2, 1]]  # unknown, the frequent one, the other
    expected = np.concatenate([code, np.array(TABLE["kept"])[:, None], kind, size[:, None]], axis=1)
    np.testing.assert_allclose(array(made()(TABLE)), expected, rtol=1e-5)


@pytest.mark.parametrize(
    "data",
    [
        [{key: value[:1] for key, value in TABLE.items()}, {key: value[1:] for key, value in TABLE.items()}],
        [{key: value[i] for key, value in TABLE.items()} for i in range(3)],
        [({key: np.array(value)[:, None] for key, value in TABLE.items()}, None)],
    ],
)
def test_adapt_reads_batches_samples_and_pairs_once(data):
    space = FeatureSpace(FEATURES)
    space.adapt(batch for batch in data)
    np.testing.assert_array_equal(array(space(TABLE)), array(made()(TABLE)))


def test_single_samples_are_rows():
    space, together = made(crosses=[("kind", "code")], crossing_dim=5), made(crosses=[("kind", "code")], crossing_dim=5)(TABLE)
    for i, row in enumerate(array(together)):
        np.testing.assert_array_equal(array(space({key: value[i] for key, value in TABLE.items()})), row)


def test_threads_share_a_space():
    space = made(crosses=[("kind", "code")])
    expected = array(space(TABLE))
    with ThreadPoolExecutor(4) as pool:
        for result in pool.map(lambda _: array(space(TABLE)), range(16)):
            np.testing.assert_array_equal(result, expected)


def test_a_model_of_encoded_features_learns():
    space = FeatureSpace({"kind": FeatureSpace.string_hashed(16), "size": FeatureSpace.float_discretized(3)})
    data = {"kind": ["cat", "dog"] * 8, "size": list(np.linspace(0, 1, 16))}
    space.adapt(data)
    encoded = space.get_encoded_features()
    assert encoded.shape == (None, 19)
    model = nyala.Model(encoded, layers.Dense(1, activation="sigmoid")(encoded))
    model.compile(nyala.optimizers.Adam(0.3), "binary_crossentropy")
    y = np.array([0.0, 1.0] * 8)
    model.fit(((space(data), y) for _ in range(40)), steps_per_epoch=1, epochs=40, verbose=0)
    np.testing.assert_array_equal(model.predict(space(data), verbose=0).round().ravel(), y)


def test_inputs_make_a_model_of_raw_numbers(each_engine):
    space = FeatureSpace({"size": "float_normalized", "code": "integer_hashed"}, hashing_dim=4, output_mode="dict", crosses=[])
    data = {key: np.array(TABLE[key])[:, None] for key in ("size", "code")}
    space.adapt(data)
    assert {key: (x.shape, x.dtype) for key, x in space.get_inputs().items()} == {"size": ((None, 1), "float32"), "code": ((None, 1), "int32")}
    model = nyala.Model(space.get_inputs(), space.get_encoded_features())
    results, expected = model.predict(data, verbose=0), space(data)
    for key in ("size", "code"):
        np.testing.assert_allclose(results[key], array(expected[key]), rtol=1e-5)


def test_config_round_trip():
    space = FeatureSpace(
        {"kind": FeatureSpace.string_hashed(5), "code": FeatureSpace.integer_hashed(4), "kept": "float"},
        crosses=[FeatureSpace.cross(("kind", "code"), 3)],
    )
    config = json.loads(json.dumps(space.get_config()))
    again = FeatureSpace.from_config(config)
    assert json.loads(json.dumps(again.get_config())) == config
    np.testing.assert_array_equal(array(again(TABLE)), array(space(TABLE)))
    whole = json.loads(json.dumps(nyala.saving.serialize_keras_object(space)))
    np.testing.assert_array_equal(array(nyala.saving.deserialize_keras_object(whole)(TABLE)), array(space(TABLE)))


def test_a_preprocessor_of_ones_own():
    class Half(layers.Layer):
        def call(self, x):
            return x / 2

    space = FeatureSpace({"size": FeatureSpace.feature("float32", Half(), "float")})
    assert array(space({"size": [3.0]})).tolist() == [[1.5]]


@pytest.mark.parametrize(
    ("make", "kind", "text"),
    [
        (lambda: FeatureSpace({}), ArgumentError, "FeatureSpace(features) needs a dict of at least one feature, got {}."),
        (lambda: FeatureSpace({"a": "float"}, output_mode="x"), ArgumentError,
         "FeatureSpace(output_mode) needs one of 'concat', 'dict', got 'x'."),
        (lambda: FeatureSpace({"a": "string_hash"}), ArgumentError,
         "FeatureSpace(features['a']) needs one of 'float', 'float_rescaled', 'float_normalized', 'integer_categorical', 'string_categorical', "
         "'string_hashed', 'integer_hashed', 'float_discretized', got 'string_hash'.\n  fix: did you mean 'string_hashed' or 'integer_hashed'?"),
        (lambda: FeatureSpace({"a": "float"}, crosses=[("a", "b")]), LookupFailed,
         "FeatureSpace(crosses) needs names among ['a'], got ['b']."),
        (lambda: FeatureSpace({"a": "float", "b": "string_hashed"}, crosses=[("a", "b")]), ArgumentError,
         "FeatureSpace(crosses) needs features that have indices, got 'a', which stays a float.\n  fix: put it into bins: float_discretized"),
        (lambda: FeatureSpace({"a": "string_categorical"}, name="f")({"a": ["x"]}), StateError,
         "FeatureSpace 'f' needs features that know the data, got ['a'] that have not seen any.\n  fix: call adapt(dataset) first"),
        (lambda: FeatureSpace({"a": "float"}, name="f")([1.0]), ArgumentTypeError,
         "FeatureSpace 'f' needs a dict of columns by name, got list."),
        (lambda: FeatureSpace({"a": "float"}, name="f")({"b": [1.0]}), LookupFailed,
         "FeatureSpace 'f' needs columns ['a'], got ['b'].\n  fix: add ['a']"),
        (lambda: FeatureSpace({"a": FeatureSpace.integer_hashed(3, output_mode="int")}, name="f")({"a": [1]}), ArgumentError,
         "FeatureSpace 'f' needs features that are rows of floats, got 'a' of int32."
         "\n  fix: give it output_mode='one_hot', or the space output_mode='dict'"),
    ],
)  # fmt: skip
def test_errors(make, kind, text):
    with nyala.backend("jax"), raises(kind, text):
        make()


def test_it_saves_and_loads_on_every_engine(tmp_path):
    kind = nyala.utils.FeatureSpace
    table = {
        "plain": np.array([1.0, -2.0, 3.5]), "scaled": np.array([3.0, 5.0, 9.0]), "word": np.array(["x", "y", "x"]), "number": np.array([1, 2, 5]),
        "bins": np.array([0.1, 0.5, 0.9]), "hashed": np.array(["p", "q", "r"]),
    }  # fmt: skip
    features = {
        "plain": kind.float(), "scaled": kind.float_normalized(), "word": kind.string_categorical(), "number": kind.integer_categorical(),
        "bins": kind.float_discretized(3), "hashed": kind.string_hashed(5),
    }  # fmt: skip
    space = kind(features=features, crosses=[kind.cross(("word", "number"), 7)])
    with pytest.raises(StateError, match="needs a built model"):
        space.save(tmp_path / "early.keras")
    space.adapt(table)
    expected = nyala.ops.convert_to_numpy(space(table))
    space.save(tmp_path / "space.keras")
    for engine in ("jax", "torch", "numpy"):
        with nyala.backend(engine):
            again = nyala.saving.load_model(tmp_path / "space.keras")
            np.testing.assert_allclose(nyala.ops.convert_to_numpy(again(table)), expected, rtol=1e-6)
