# SPDX-License-Identifier: Apache-2.0
"""Layers that read features and texts: contract, laws, streams, threads, files, errors. Numbers against Keras: test_features_golden.py."""

import copy
import json
import pickle
import threading

import numpy as np
import pytest

import nyala
from nyala import layers, ops
from nyala.core.errors import ArgumentError, ArgumentTypeError, ShapeError, StateError
from nyala.layers.preprocessing.discretization import Summary
from nyala.layers.preprocessing.fingerprint import fingerprints_of_bytes
from nyala.testing import check_layer
from tests.layers.tools import array, close, normals, raises

RANDOM = np.random.default_rng(3)
IDS = RANDOM.integers(-3, 9, size=(5, 3)).astype("int32")


@pytest.mark.parametrize(
    ("kind", "arguments", "inputs", "options"),
    [
        ("Normalization", {"mean": [1.0, 2.0, 3.0], "variance": [4.0, 0.5, 2.0]}, normals(1, (5, 2, 3)), {"unknown": (1,)}),
        ("Normalization", {}, normals(1, (5, 3)), {}),
        ("Normalization", {"axis": (1, 2), "invert": True}, normals(1, (5, 2, 3)), {}),
        ("Normalization", {"axis": None, "mean": 0.5, "variance": 2.0}, normals(1, (5, 2)), {}),
        ("Discretization", {"bin_boundaries": [-0.5, 0.0, 0.7]}, normals(2, (5, 3)), {"unknown": (1,), "mixed": False}),
        ("Discretization", {"bin_boundaries": [0.0], "output_mode": "one_hot"}, normals(2, (5, 1)), {"gradients": False}),
        ("Discretization", {"bin_boundaries": [0.0], "output_mode": "count"}, normals(2, (5, 3)), {"gradients": False}),
        ("CategoryEncoding", {"num_tokens": 7}, IDS, {"unknown": (1,)}),
        ("CategoryEncoding", {"num_tokens": 7, "output_mode": "one_hot"}, IDS, {}),
        ("CategoryEncoding", {"num_tokens": 7, "output_mode": "count"}, IDS, {"call": {"count_weights": normals(4, (5, 3))}}),
        ("Hashing", {"num_bins": 11}, IDS, {"unknown": (1,), "mixed": False}),
        ("Hashing", {"num_bins": 11, "salt": 3, "mask_value": 2, "output_mode": "multi_hot"}, IDS, {}),
        ("HashedCrossing", {"num_bins": 11}, (IDS[:, :1], IDS[:, 1:2]), {"mixed": False}),
        ("HashedCrossing", {"num_bins": 11, "output_mode": "one_hot"}, [IDS[:, 0], IDS[:, 1]], {}),
        ("IntegerLookup", {"vocabulary": [5, 1, 7]}, IDS, {"unknown": (1,), "mixed": False}),
        ("IntegerLookup", {"vocabulary": [5, 1, 7], "mask_token": 0, "output_mode": "multi_hot", "num_oov_indices": 2}, IDS, {}),
        ("IntegerLookup", {"vocabulary": [5, 1, 7], "invert": True}, IDS, {"mixed": False}),
    ],
)
def test_contract(kind, arguments, inputs, options):
    check_layer(getattr(layers, kind), arguments, inputs, **options)


class Column:
    """What a column of a data frame looks like from here."""

    def __init__(self, values):
        self.values = values

    def to_numpy(self):
        return np.array(self.values, dtype=object)


class Batches:
    """Batches that can be read again, of (x, y)."""

    def __init__(self, rows, sizes):
        self.rows, self.cuts = rows, np.cumsum([0, *sizes])

    def __iter__(self):
        for start, stop in zip(self.cuts, self.cuts[1:], strict=False):
            yield self.rows[start:stop], None


def test_normalization_does_not_depend_on_batches(each_engine, normal):
    x = (1e3 + 3 * normal(31, 2, 3)).astype("float32")
    results = []
    for data in (x, x.tolist(), Batches(x, (1, 7, 23)), (x[i : i + 1] for i in range(31)), ops.convert_to_tensor(x), Column(x)):
        layer = layers.Normalization()
        layer.adapt(data if not isinstance(data, Column) else x)
        results.append(layer.get_weights()[:2])
    wide = x.astype("float64").reshape(-1, 3)
    for mean, variance in results:
        np.testing.assert_allclose(mean, wide.mean(axis=0), rtol=1e-6)
        np.testing.assert_allclose(variance, wide.var(axis=0), rtol=1e-6)
    close(layer(x), (x - wide.mean(axis=0)) / wide.std(axis=0), 1e-3)
    assert layer.mean.shape == layer.variance.shape == (1, 1, 3)


def test_invert_undoes_normalization(each_engine, normal):
    x = normal(7, 3)
    there, back = layers.Normalization(), layers.Normalization(invert=True)
    for layer in (there, back):
        layer.adapt(x)
    close(back(there(x)), x)


def test_normalization_in_a_model_and_after_loading(normal):
    x = normal(11, 3)
    layer = layers.Normalization()
    layer.adapt(x)
    model = nyala.Sequential([nyala.Input((3,)), layer, layers.Dense(2)])
    expected = (x - x.mean(axis=0)) / x.std(axis=0) @ model.layers[1].kernel.numpy()
    np.testing.assert_allclose(model.predict(x), expected, rtol=1e-4, atol=1e-4)
    again = nyala.Sequential.from_config(json.loads(json.dumps(model.get_config())))
    again.set_weights(model.get_weights())
    np.testing.assert_allclose(again.predict(x), expected, rtol=1e-4, atol=1e-4)


def test_quantiles_do_not_depend_on_batches(monkeypatch):
    monkeypatch.setattr(Summary, "portion", 64)
    x = np.random.default_rng(0).normal(size=5000)
    found = []
    for sizes in ((5000,), (1, 63, 64, 65, 4807), (17,) * 294 + (2,)):
        layer = layers.Discretization(num_bins=5)
        layer.adapt(Batches(x, sizes))
        found.append(layer.bin_boundaries)
    assert found[0] == found[1] == found[2]
    ranks = [np.mean(x <= edge) for edge in found[0]]
    np.testing.assert_allclose(ranks, [0.2, 0.4, 0.6, 0.8], atol=0.02)


def test_quantiles_of_few_values_are_exact(normal):
    x = normal(997)
    layer = layers.Discretization(num_bins=7)
    layer.adapt(x)
    expected = np.quantile(x.astype("float64"), np.arange(1, 7) / 7, method="interpolated_inverted_cdf")
    np.testing.assert_allclose(layer.bin_boundaries, expected, rtol=1e-6)


def test_hashes_are_those_of_the_paper():
    vector = bytes(range(15))
    key = [int.from_bytes(bytes(range(8)), "little"), int.from_bytes(bytes(range(8, 16)), "little")]
    assert fingerprints_of_bytes([vector], key).tolist() == [0xA129CA6149BE45E5]  # appendix A of SipHash


def test_a_hash_does_not_depend_on_its_neighbours():
    texts = [bytes([65 + i % 26]) * i for i in range(200)]
    for salt in (None, [1, 2]):
        together = fingerprints_of_bytes(texts, salt)
        assert together.tolist() == [fingerprints_of_bytes([text], salt)[0] for text in texts]
        assert len(set(together.tolist())) == 200


def test_lookups_read_all_that_users_have(each_engine):
    layer = layers.StringLookup(vocabulary=["a", "b", "ü"])
    words = ["b", "ü", "?"]
    for data in (words, np.array(words), np.array(words, dtype=object), Column(words), np.array([w.encode() for w in words]), tuple(words)):
        assert array(layer(data)).tolist() == [2, 3, 0]
    assert array(layer("b")).tolist() == 2
    assert array(layer([])).shape == (0,)


@pytest.mark.parametrize("kind", ["StringLookup", "IntegerLookup"])
def test_lookup_and_back(kind, each_engine):
    tokens = ["a", "b", "c"] if kind == "StringLookup" else [5, 7, -2]
    there, back = (getattr(layers, kind)(vocabulary=tokens, invert=invert) for invert in (False, True))
    result = back(there([tokens]))
    assert (result if kind == "StringLookup" else array(result)).tolist() == [tokens]


@pytest.mark.parametrize("mode", ["int", "tf_idf"])
def test_vocabularies_do_not_depend_on_batches(mode):
    texts = [" ".join(RANDOM.choice(list("abcdefgh"), size=RANDOM.integers(1, 9))) for _ in range(29)]
    found = []
    for data in (texts, Batches(np.array(texts), (1, 11, 17)), (text for text in np.array(texts)), np.array(texts)[:, None]):
        layer = layers.TextVectorization(output_mode=mode)
        layer.adapt(data)
        found.append((layer.get_vocabulary(), array(layer(texts)).tolist()))
    assert all(one == found[0] for one in found)


def test_steps_bound_what_adapt_reads():
    layer = layers.TextVectorization()
    layer.adapt((np.array([word]) for word in "abc"), steps=2)
    assert layer.get_vocabulary(include_special_tokens=False) == ["b", "a"]
    layer.adapt(["a", "b", "c", "d"], batch_size=1, steps=3)
    assert layer.get_vocabulary(include_special_tokens=False) == ["c", "b", "a"]
    layer.update_state(["d d"])
    layer.finalize_state()
    assert layer.get_vocabulary(include_special_tokens=False) == ["d", "c", "b", "a"]


def test_threads_share_a_layer():
    layer = layers.TextVectorization(vocabulary=list("abcdefgh"), output_sequence_length=5)
    texts = [" ".join(RANDOM.choice(list("abcxyz"), size=5)) for _ in range(64)]
    expected = array(layer(texts))
    results = {}

    def work(number):
        results[number] = [array(layer(texts[i : i + 8])) for i in range(0, 64, 8)]

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for parts in results.values():
        np.testing.assert_array_equal(np.concatenate(parts), expected)


def test_a_text_layer_feeds_fit():
    texts, y = np.array(["good day", "bad day", "good", "bad"] * 4), np.array([1.0, 0.0, 1.0, 0.0] * 4)
    words = layers.TextVectorization(output_mode="multi_hot")
    words.adapt(texts)
    model = nyala.Sequential([nyala.Input((words.vocabulary_size(),)), layers.Dense(1, activation="sigmoid")])
    model.compile(nyala.optimizers.Adam(0.3), "binary_crossentropy")
    model.fit(((words(texts[i : i + 4]), y[i : i + 4]) for _ in range(20) for i in range(0, 16, 4)), steps_per_epoch=4, epochs=20, verbose=0)
    assert model.predict(words(["good", "bad"]), verbose=0).round().ravel().tolist() == [1.0, 0.0]


def test_functions_of_users_and_their_configs():
    @nyala.saving.register_keras_serializable("tests")
    def without_digits(texts):
        return np.char.translate(texts, str.maketrans("", "", "0123456789"))

    @nyala.saving.register_keras_serializable("tests")
    def at_commas(texts):
        return [text.split(",") for text in texts]

    layer = layers.TextVectorization(standardize=without_digits, split=at_commas, vocabulary=["a b", "c"])
    for one in (layer, layers.TextVectorization.from_config(json.loads(json.dumps(layer.get_config()))), pickle.loads(pickle.dumps(words_layer()))):
        assert array(one(["a b,c1"])).tolist() == [[2, 3]] if one.split is at_commas else one.get_vocabulary()
    assert array(copy.deepcopy(layer)(["c,c"])).tolist() == [[3, 3]]


def test_unsplit_texts_are_documents_of_one_word():
    texts = np.array(["red cat", "dog", "dog", "red cat", "red cat"])
    layer = layers.TextVectorization(split=None, ngrams=2, output_mode="tf_idf")
    layer.adapt(texts)
    assert layer.get_vocabulary() == ["[UNK]", "red cat", "dog"]  # no run from one text into the next
    same = layers.TextVectorization(split=None, output_mode="tf_idf")
    same.adapt(texts[:, None])
    weights = np.log(1 + 5 / (1 + np.array([3, 2])))
    for each in (layer, same):
        close(each([["red cat"], ["dog"]]), [[0, weights[0], 0], [0, 0, weights[1]]])
    for mode, row in (("multi_hot", [0, 1, 0]), ("count", [0, 1, 0]), ("int", 2)):
        one = layers.TextVectorization(split=None, output_mode=mode, vocabulary=["red cat", "dog"])
        close(one("Red cat!"), row)


def words_layer():
    layer = layers.TextVectorization(output_mode="tf_idf")
    layer.adapt(["a b", "b"])
    return layer


@pytest.mark.parametrize(
    "make",
    [
        lambda: layers.StringLookup(output_mode="tf_idf"),
        lambda: layers.IntegerLookup(mask_token=0),
        lambda: layers.TextVectorization(encoding="latin-1"),
    ],
)
def test_files_carry_what_was_learnt(make, tmp_path):
    learner, reader = make(), make()
    data = [[1, 2], [2, 0]] if isinstance(learner, layers.IntegerLookup) else ["äh b", "b", "c"]
    learner.adapt(data)
    learner.save_assets(tmp_path)
    store = {}
    learner.save_own_variables(store)
    reader.load_assets(tmp_path)
    reader.load_own_variables(store)
    assert reader.get_vocabulary() == learner.get_vocabulary()
    np.testing.assert_array_equal(array(reader(data)), array(learner(data)))
    path = tmp_path / "vocabulary.txt"
    assert getattr(layers, type(learner).__name__)(
        vocabulary=path, **{k: v for k, v in learner.get_config().items() if k in ("encoding", "mask_token")}
    ).get_vocabulary(False) == learner.get_vocabulary(False)


def test_pipeline(each_engine, normal):
    x = normal(5, 3)
    layer = layers.Pipeline([layers.Normalization(mean=1.0, variance=4.0), layers.Activation("relu")])
    close(layer(x), np.maximum((x - 1) / 2, 0))
    close(nyala.jit(layer)(ops.convert_to_tensor(x)), np.maximum((x - 1) / 2, 0))
    assert layer(nyala.Input((3,))).shape == (None, 3)
    assert set(layer.get_config()) == {"layers", "name"}
    close(layers.Pipeline.from_config(json.loads(json.dumps(layer.get_config())))(x), np.maximum((x - 1) / 2, 0))


def test_symbolic_strings():
    x = nyala.Input((1,), dtype="string")
    assert layers.StringLookup(vocabulary=["a"])(x).shape == (None, 1)
    assert layers.StringLookup(vocabulary=["a"], output_mode="count")(x).shape == (None, 2)
    assert layers.Hashing(5, output_mode="one_hot")(x).shape == (None, 5)
    assert layers.TextVectorization(vocabulary=["a"])(x).shape == (None, None)
    assert layers.TextVectorization(vocabulary=["a"], output_mode="count")(x).dtype == "float32"


IN_FRONT = "\n  fix: strings are encoded on the host: call the layer on the data in front of the model, or of its compiled function"


@pytest.mark.parametrize(
    ("make", "kind", "text"),
    [
        (lambda: layers.Normalization(mean=1.0), ArgumentError,
         "Normalization needs both mean and variance, or neither, got no variance.\n  fix: pass variance, too"),
        (lambda: layers.Normalization(axis="x"), ArgumentError, "Normalization(axis) needs an integer, several, or None, got 'x'."),
        (lambda: layers.Normalization(mean=[1.0, 2.0], variance=1.0, name="n")(np.ones((2, 3))), ShapeError,
         "Normalization 'n' (mean) needs a shape that broadcasts to (3,), got (2,)."),
        (lambda: layers.Normalization(mean=1.0, variance=1.0, name="n").adapt([[1.0]]), StateError,
         "Normalization 'n'.adapt needs a layer that learns its mean, got one with a given mean and variance.\n  fix: leave mean and variance out"),
        (lambda: layers.Normalization(name="n").adapt([["a"]]), ArgumentTypeError,
         "Normalization 'n'.adapt(data) needs numbers, got an array of <U1."),
        (lambda: layers.Normalization(name="n")(nyala.Input((None,))), ShapeError,
         "Normalization 'n' needs known sizes of axis (-1,), got shape (None, None).\n  why: there is one mean for each place there"),
        (lambda: layers.Normalization(name="n").adapt(iter(())), ArgumentError, "Normalization 'n'.adapt(data) needs at least one sample, got none."),
        (lambda: layers.Discretization(), ArgumentError, "Discretization needs bin_boundaries or num_bins, got neither."),
        (lambda: layers.Discretization([1.0, 0.0]), ArgumentError,
         "Discretization(bin_boundaries) needs ascending numbers, got [1.0, 0.0]."),
        (lambda: layers.Discretization(num_bins=3, name="d")([[1.0]]), StateError,
         "Discretization 'd' needs boundaries, got none yet.\n  fix: call adapt(data) first, or pass bin_boundaries"),
        (lambda: layers.CategoryEncoding(), ArgumentError,
         "CategoryEncoding(num_tokens) needs a positive integer, got None.\n  fix: let IntegerLookup find the integers"),
        (lambda: layers.CategoryEncoding(3, "int"), ArgumentError,
         "CategoryEncoding(output_mode) needs one of 'multi_hot', 'one_hot', 'count', got 'int'."),
        (lambda: layers.CategoryEncoding(3, name="c")([[1]], count_weights=[[1.0]]), ArgumentError,
         "CategoryEncoding 'c' (count_weights) needs None unless output_mode is 'count', got weights with 'multi_hot'."),
        (lambda: layers.Hashing(0), ArgumentError, "Hashing(num_bins) needs a positive integer, got 0."),
        (lambda: layers.Hashing(3, salt="a"), ArgumentError, "Hashing(salt) needs an integer, two, or None, got 'a'."),
        (lambda: layers.Hashing(2**40, name="h")(ops.convert_to_tensor([1, 2])), ArgumentError,
         f"Hashing 'h' needs fewer than 2**31 bins in a model, got {2**40}.\n  fix: call it in front of the model"),
        (lambda: layers.HashedCrossing(3, name="x")((np.ones((2, 2), int), np.ones((2, 2), int))), ShapeError,
         "HashedCrossing 'x' needs features of one shape, (b,) or (b, 1), got (2, 2) and (2, 2)."),
        (lambda: layers.HashedCrossing(3, name="x")((["a"], [0.5])), ArgumentTypeError,
         "HashedCrossing 'x' needs strings or integers, got an array of float64.\n  fix: put floats into bins first, with Discretization"),
        (lambda: layers.HashedCrossing(3, name="x")((["a"],)), ArgumentError,
         "HashedCrossing 'x' needs a tuple of at least two features, got 1."),
        (lambda: layers.StringLookup(name="s")(["a"]), StateError,
         "StringLookup 's' needs a vocabulary, got none yet.\n  fix: call adapt(data) first, or pass vocabulary"),
        (lambda: layers.StringLookup(vocabulary=["a", "a"], name="s"), ArgumentError,
         "StringLookup 's'.set_vocabulary(vocabulary) needs tokens that differ, got ['a'] more than once."),
        (lambda: layers.StringLookup(vocabulary=["", "a"], mask_token="", name="s"), ArgumentError,
         "StringLookup 's'.set_vocabulary(vocabulary) needs to begin with ['', '[UNK]'], or to hold none of these, "
         "got the mask token '' at place 0."),
        (lambda: layers.StringLookup(vocabulary=["a", "b"], max_tokens=2, name="s"), ArgumentError,
         "StringLookup 's'.set_vocabulary(vocabulary) needs at most max_tokens=2 tokens, with 1 for masks and unknown ones, got 3."),
        (lambda: layers.StringLookup(vocabulary=["a"], num_oov_indices=0, name="s")(["z"]), ArgumentError,
         "StringLookup 's' needs tokens of its vocabulary, as num_oov_indices is 0, got ['z'].\n  fix: set num_oov_indices=1"),
        (lambda: layers.StringLookup(vocabulary=["a"], name="s")([[1]]), ArgumentTypeError,
         "StringLookup 's' needs strings, got an array of int64.\n  fix: use IntegerLookup for integers"),
        (lambda: layers.StringLookup(vocabulary=["a"], name="s")(np.array(["a", None], dtype=object)), ArgumentTypeError,
         "StringLookup 's' needs strings, got None (NoneType).\n  fix: fill missing values first, for example with ''"),
        (lambda: layers.StringLookup(vocabulary=["a"], name="s")([["a"], ["b", "c"]]), ArgumentError,
         "StringLookup 's' needs rows of equal length, got a ragged list.\n  fix: pad the rows, or pass them one by one"),
        (lambda: layers.StringLookup(vocabulary="no such file", name="s"), ArgumentError,
         "StringLookup 's'.set_vocabulary(vocabulary) needs tokens, or the path of a file of them, got 'no such file', no file."),
        (lambda: layers.StringLookup(vocabulary=["a"], name="s").adapt(["b"]), StateError,
         "StringLookup 's'.adapt needs a layer without a given vocabulary, got one with a given vocabulary."
         "\n  fix: leave vocabulary out, and do not call set_vocabulary"),
        (lambda: layers.StringLookup(vocabulary=["a"], output_mode="tf_idf", name="s"), ArgumentError,
         "StringLookup 's'.set_vocabulary(idf_weights) needs a weight for each token, as output_mode is 'tf_idf', got None."),
        (lambda: layers.StringLookup(pad_to_max_tokens=True), ArgumentError,
         "StringLookup(pad_to_max_tokens) needs max_tokens, too, got max_tokens=None."),
        (lambda: layers.StringLookup(vocabulary=["a"], name="s")(ops.convert_to_tensor([1])), ArgumentTypeError,
         "StringLookup 's' needs strings, got a tensor of numbers.\n  why: an engine has no strings" + IN_FRONT),
        (lambda: layers.IntegerLookup(oov_method="x"), ArgumentError,
         "IntegerLookup(oov_method) needs one of 'floormod', 'farmhash', got 'x'."),
        (lambda: layers.IntegerLookup(vocabulary=[1], name="i")([["a"]]), ArgumentTypeError,
         "IntegerLookup 'i' needs integers, got an array of <U1.\n  fix: use StringLookup for strings"),
        (lambda: layers.TextVectorization(split="x"), ArgumentError,
         "TextVectorization(split) needs one of 'whitespace', 'character', got 'x'."),
        (lambda: layers.TextVectorization(output_mode="count", ragged=True), ArgumentError,
         "TextVectorization(ragged) needs output_mode='int', got True with 'count'."),
        (lambda: layers.TextVectorization(vocabulary=["a"], name="t")([["a", "b"]]), ShapeError,
         "TextVectorization 't' needs texts of shape (b,) or (b, 1), got (1, 2).\n  fix: split=None takes split words"),
        (lambda: layers.TextVectorization(vocabulary=["a"], name="t")([[1]]), ArgumentTypeError,
         "TextVectorization 't' needs texts, got an array of int64."),
        (lambda: layers.TextVectorization(name="t").adapt(["a"], steps=0), ArgumentError,
         "TextVectorization 't'.adapt(steps) needs an integer of at least 1, or None, got 0."),
        (lambda: layers.Pipeline([layers.Dense]), ArgumentTypeError,
         "Pipeline(layers) needs layers, got <class 'nyala.layers.core.dense.Dense'>.\n  fix: pass objects, Rescaling(2.0), not Rescaling"),
    ],
)  # fmt: skip
def test_errors(make, kind, text):
    with nyala.backend("jax"), raises(kind, text):
        make()


def test_strings_beside_tensors_of_a_step():
    layer = layers.HashedCrossing(5, name="x")
    text = "HashedCrossing 'x' needs data with values, got a tensor of a compiled step." + IN_FRONT
    with nyala.backend("jax"), raises(StateError, text):
        nyala.jit(lambda x: layer((["a", "b"], x)))(ops.convert_to_tensor([1, 2]))
