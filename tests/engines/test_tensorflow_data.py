# SPDX-License-Identifier: Apache-2.0
"""Batches of tf.data: on the TensorFlow engine steps get the very tensors, other engines their memory, and results are those from arrays."""

import numpy as np
import pytest

import nyala
from nyala.core import tree
from nyala.engines import get_engine
from nyala.training.data import Padded, as_data
from nyala.training.loop import to_device
from tests.usual import every_engine

tf = pytest.importorskip("tensorflow")
OTHERS = [engine.name for engine in every_engine() if engine.name != "tensorflow"]
X, Y = np.random.default_rng(0).normal(size=(23, 5)).astype("float32"), np.random.default_rng(1).integers(0, 3, 23)
WEIGHTS = np.random.default_rng(2).uniform(0.5, 2, 23).astype("float32")
TRIPLES = tf.data.Dataset.from_tensor_slices((X, Y, WEIGHTS))
RAGGED = tf.data.Dataset.from_tensor_slices((tf.RaggedTensor.from_row_lengths(np.arange(1.0, 12, dtype="float32"), [2, 3, 1, 4, 1]), Y[:5]))


@pytest.fixture(autouse=True)
def engine():
    with nyala.backend("tensorflow"):
        nyala.utils.set_random_seed(3)
        yield get_engine("tensorflow")


class Watched:
    """A data set that keeps the tensors it gave."""

    def __init__(self, dataset):
        self.dataset, self.given = dataset, []

    def __iter__(self):
        for batch in self.dataset:
            self.given += tf.nest.flatten(batch, expand_composites=False)
            yield batch


class AsArrays:
    """The same batches as arrays of NumPy; ragged ones as lists."""

    def __init__(self, dataset):
        self.dataset = dataset

    def __iter__(self):
        for batch in self.dataset:
            yield tf.nest.map_structure(lambda x: x.to_list() if isinstance(x, tf.RaggedTensor) else x.numpy(), batch)


def classifier(**options):
    model = nyala.Sequential([nyala.Input((5,)), nyala.layers.Dense(3, "softmax")])
    model.compile("adam", "sparse_categorical_crossentropy", **options)
    return model


# Without copies -------------------------------------------------------------------------------------------------------------------


@pytest.fixture
def fed(monkeypatch):
    """The tensors that compiled functions were called with."""
    from nyala.engines import _tensorflow_tracing as tracing

    tensors, plain = [], tracing._Graph.__call__
    monkeypatch.setattr(tracing._Graph, "__call__", lambda graph, leaves: [tensors.extend(leaves), plain(graph, leaves)][1])
    return tensors


def are_among(tensors, fed):
    return [any(tensor is other for other in fed) for tensor in tensors]


def test_programs_get_the_very_tensors(fed):
    model = classifier()
    for method, used in ((model.fit, 3), (model.evaluate, 3), (model.predict, 1)):
        data = Watched(TRIPLES.batch(5).prefetch(2))
        method(data, verbose=0)
        assert len(data.given) == 15
        assert are_among(data.given, fed) == [i % 3 < used for i in range(15)]
    x, y, weights = next(iter(TRIPLES.skip(1).batch(7)))
    for method, given in ((model.train_on_batch, (x, y, weights)), (model.test_on_batch, (x, y, weights)), (model.predict_on_batch, (x,))):
        fed.clear()
        method(*given)
        assert are_among(given, fed) == [True] * len(given)


def test_steps_of_users_get_the_very_tensors():
    class Own(nyala.Sequential):
        def train_step(self, data):
            seen.append(data)
            return super().train_step(data)

    seen, data = [], Watched(TRIPLES.take(7).batch(5))
    model = Own([nyala.Input((5,)), nyala.layers.Dense(3)])
    model.compile("sgd", "sparse_categorical_crossentropy", run_eagerly=True)
    model.fit(data, verbose=0)
    assert are_among(data.given, [tensor for batch in seen for tensor in batch]) == [True] * 6


@pytest.mark.parametrize("name", OTHERS)
def test_other_engines_copy_once_or_not_at_all(name):
    data = Watched(tf.data.Dataset.from_tensor_slices(np.random.default_rng(5).normal(size=(160, 60, 50)).astype("float32")).batch(128))
    with nyala.backend(name):
        batches = list(as_data(data, where="predict").batches(to_device))
        for (x,), given in zip(batches, data.given, strict=True):
            view = np.asarray(given)
            np.testing.assert_array_equal(np.asarray(x), view)
            if name == "jax" and len(view) == 128:  # small ones are copied; tensors of the others might be written to
                assert np.asarray(x).ctypes.data == view.ctypes.data


# The same as from arrays ----------------------------------------------------------------------------------------------------------


def dataset(function):
    return TRIPLES.map(function, num_parallel_calls=2)


BATCHES = {
    "triples": TRIPLES.batch(5),
    "alone": dataset(lambda x, y, w: x).batch(5),
    "pairs of two": dataset(lambda x, y, w: ((x, x[:2]), y)).batch(5),
    "dicts": dataset(lambda x, y, w: ({"a": x, "b": (x[:2], y)}, {"c": y, "d": x}, {"c": w, "d": w})).batch(4, drop_remainder=True),
    "doubles, bytes": dataset(lambda x, y, w: (tf.cast(x, tf.float64), tf.cast(y, tf.uint8), tf.cast(w, tf.float64))).batch(4),
    "halves, bools": dataset(lambda x, y, w: (tf.cast(x, tf.float16), y > 1, w)).batch(4),
    "brains": dataset(lambda x, y, w: (tf.cast(x, tf.bfloat16), tf.cast(y, tf.int8))).batch(4),
    "unknown size": TRIPLES.filter(lambda x, y, w: y < 2).shuffle(5, seed=1, reshuffle_each_iteration=False).batch(4),
    "ragged": RAGGED.batch(3),
    "padded": RAGGED.map(lambda x, y: (x[None].to_tensor()[0] if isinstance(x, tf.RaggedTensor) else x, y)).padded_batch(3),
}


@pytest.mark.parametrize("kind", BATCHES)
def test_batches(engine, kind):
    weights = {0: 2.0, 2: 0.3} if kind in ("triples", "ragged") else None
    found, expected = (list(as_data(data, class_weight=weights).batches()) for data in (BATCHES[kind], AsArrays(BATCHES[kind])))
    assert len(found) == len(expected) > 1
    for ours, theirs in zip(found, expected, strict=True):
        assert [path for path, _ in tree.flatten_with_path(ours)] == [path for path, _ in tree.flatten_with_path(theirs)]
        for a, b in zip(tree.flatten(ours), tree.flatten(theirs), strict=True):
            a = engine.to_numpy(a) if engine.is_tensor(a) else a
            assert a.dtype == b.dtype
            np.testing.assert_array_equal(a, b)
    assert isinstance(found[0][0], Padded) == (kind == "ragged")


def test_sparse_batches_become_dense():
    eyes = tf.data.Dataset.from_tensor_slices(tf.sparse.eye(6, 5)).batch(4)
    batches = [x for (x,) in as_data(eyes, where="predict").batches()]
    np.testing.assert_array_equal(np.concatenate(batches), np.eye(6, 5))


def two_headed():
    a, b = nyala.Input((5,), name="a"), nyala.Input((2,), name="b")
    hidden = nyala.layers.concatenate([nyala.layers.Dense(4, "tanh")(a), b])
    model = nyala.Model({"a": a, "b": b}, {"c": nyala.layers.Dense(3, "softmax", name="c")(hidden), "d": nyala.layers.Dense(5, name="d")(hidden)})
    model.compile("adam", {"c": "sparse_categorical_crossentropy", "d": "mse"}, metrics={"c": ["accuracy"]})
    return model


def test_training_is_that_from_arrays():
    data = dataset(lambda x, y, w: ({"a": x, "b": x[:2]}, {"c": y, "d": x}, {"c": w, "d": w}))
    endless, last = data.repeat().batch(4).prefetch(1), data.batch(9)
    histories = []
    for form in (lambda given: given, AsArrays):
        nyala.utils.set_random_seed(4)
        model = two_headed()
        history = model.fit(form(endless), steps_per_epoch=7, epochs=2, validation_data=form(last), verbose=0).history
        histories.append((history, model.evaluate(form(last), verbose=0), model.predict(form(last))["c"].tolist()))
    assert histories[0] == histories[1]


def test_texts_are_encoded_on_the_host():
    words = tf.data.Dataset.from_tensor_slices((["a", "b", "c", "b", "a"], [[1.0], [2.0], [3.0], [2.0], [1.0]]))
    inputs = nyala.Input((1,), dtype="string")
    encoded = nyala.layers.StringLookup(vocabulary=["a", "b"], output_mode="one_hot")(inputs)
    model = nyala.Model(inputs, nyala.layers.Dense(1)(encoded))
    model.compile("sgd", "mse")
    texts = words.map(lambda word, y: (tf.reshape(word, (1,)), y)).batch(2)
    found = model.evaluate(texts, verbose=0), model.predict(texts).tolist()
    assert found == (model.evaluate(AsArrays(texts), verbose=0), model.predict(AsArrays(texts)).tolist())
    assert np.isfinite(model.fit(texts, verbose=0).history["loss"]).all()


WRONG = {
    "another size": dataset(lambda x, y, w: (x[:3], y)).batch(4),
    "one-hot targets": dataset(lambda x, y, w: (x, tf.one_hot(y, 3))).batch(4),
    "texts": dataset(lambda x, y, w: (tf.strings.as_string(x), y)).batch(4),
    "texts as targets": dataset(lambda x, y, w: (x, tf.strings.as_string(y))).batch(4),
    "not in batches": TRIPLES,
    "numbers": dataset(lambda x, y, w: y),
    "four parts": dataset(lambda x, y, w: (x, y, w, w)).batch(4),
    "weights of another shape": dataset(lambda x, y, w: (x, y, tf.stack([w, w]))).batch(4),
}


@pytest.mark.parametrize("kind", WRONG)
def test_errors_are_those_of_arrays(kind):
    texts = []
    for data in (WRONG[kind], AsArrays(WRONG[kind])):
        nyala.utils.clear_session()
        with pytest.raises((ValueError, TypeError)) as raised:
            classifier().fit(data, verbose=0)
        texts.append((raised.type, str(raised.value)))
    assert texts[0] == texts[1]


def test_endless_data_need_steps():
    with pytest.raises(ValueError, match=r"fit\(steps_per_epoch\) needs a number of steps, got None.\n  why: this _BatchDataset never ends"):
        classifier().fit(TRIPLES.repeat().batch(4), verbose=0)
