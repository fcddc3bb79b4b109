# SPDX-License-Identifier: Apache-2.0
"""Every kind of data trains as the same numbers in NumPy arrays do: frames, sparse and mapped files, tables, ragged lists, other libraries' loaders.

Libraries that are installed are used; each kind has a stand-in as well, with the methods by which the kind is recognised.
"""

import collections
import importlib.util
import itertools

import numpy as np
import pytest

import nyala
from nyala import layers, ops
from nyala.core.errors import ArgumentError, ArgumentTypeError, ShapeError
from nyala.training import loop
from nyala.training.data import LazyRows, as_array, as_data, is_stream
from nyala.utils.batches import Dataset
from tests.training.tools import IDS, X, Y, linear, numbers, raises

# Stand-ins ----------------------------------------------------------------------------------------------------------------------------


class Column:
    """A series of a data frame."""

    def __init__(self, values):
        self.values = values

    def to_numpy(self):
        return self.values

    def __len__(self):
        return len(self.values)


class Frame:
    """A data frame whose columns have dtypes of their own."""

    def __init__(self, table):
        self.table = table
        self.columns, self.dtypes = list(table), [v.dtype for v in table.values()]

    def __getitem__(self, name):
        return Column(self.table[name])

    def __len__(self):
        return len(next(iter(self.table.values())))

    def to_dict(self):
        raise AssertionError("a frame is read column by column")

    def to_numpy(self):
        return np.array(list(self.table.values()), object).T


class Query:
    """A lazy frame: asking for its columns would run it."""

    def collect(self): ...

    def collect_schema(self): ...

    @property
    def columns(self):
        raise AssertionError


class Sparse:
    """A matrix that is not dense; notes how many rows were made dense at once."""

    def __init__(self, dense):
        self.dense, self.shape, self.dtype, self.asked = dense, dense.shape, dense.dtype, []

    def tocsr(self):
        return self

    def toarray(self):
        return self.dense

    def __getitem__(self, index):
        part = Sparse(self.dense[index])
        self.asked.append(part.shape[0])
        return part

    def __len__(self):
        raise TypeError("sparse matrices have no length")


class OnDisk:
    """A data set in a file: rows in rising order only, each once."""

    __module__ = "h5py.stand_in"

    def __init__(self, array):
        self.array, self.shape, self.dtype = array, array.shape, array.dtype

    def __getitem__(self, index):
        if not isinstance(index, slice):
            assert all(a < b for a, b in itertools.pairwise(index))
        return self.array[index]

    def __len__(self):
        return len(self.array)


class TableOfRows:
    """Rows by number, as dicts of columns."""

    __module__ = "datasets.stand_in"

    def __init__(self, **columns):
        self.table, self.column_names = columns, list(columns)

    def with_format(self, kind):
        assert kind == "numpy"
        return self

    def __getitem__(self, index):
        return {name: column[index] for name, column in self.table.items()}

    def __len__(self):
        return len(next(iter(self.table.values())))


class StreamOfRows:
    """Rows one after the other, as dicts of columns, so many at a time."""

    __module__ = "datasets.stand_in"

    def __init__(self, **columns):
        self.table, self.column_names = columns, list(columns)

    def with_format(self, kind):
        raise AssertionError

    def iter(self, batch_size):
        for i in range(0, len(X), batch_size):
            yield {name: column[i : i + batch_size].tolist() for name, column in self.table.items()}

    def __iter__(self):
        raise AssertionError


class TensorElsewhere:
    """A tensor of a library that is not the engine: an array when asked."""

    def __init__(self, array):
        self.array, self.shape, self.dtype = array, array.shape, array.dtype

    def __array__(self, dtype=None, copy=None):
        return self.array


class Graph:
    """Like tf.data: a length that raises, a cardinality that says it."""

    def __init__(self, batches, count):
        self.batches, self.count = batches, count

    def __iter__(self):
        return iter(self.batches)

    def __len__(self):
        raise TypeError("the length is unknown")

    def cardinality(self):
        return np.int64(self.count)


def in_batches():
    return [(TensorElsewhere(X[i : i + 4]), TensorElsewhere(Y[i : i + 4])) for i in range(0, 11, 4)]


def frame_of(kind):
    columns = {"a": X[:, 0], "b": X[:, 1].astype("float64"), "c": X[:, 2]}
    if kind is Frame:
        return Frame(columns), Column(Y[:, 0])
    library = pytest.importorskip(kind)
    table = library.table if kind == "pyarrow" else library.DataFrame
    target = {
        "pandas": lambda: library.Series(Y[:, 0]),
        "polars": lambda: library.Series(Y[:, 0]),
        "pyarrow": lambda: library.chunked_array([Y[:, 0]]),
    }
    return table(columns), target[kind]()


def file_of(tmp_path, dtype):
    np.save(tmp_path / "x.npy", X.astype(dtype))
    return np.load(tmp_path / "x.npy", mmap_mode="r")


def hdf5_of(tmp_path):
    file = pytest.importorskip("h5py").File(tmp_path / "x.h5", "w")
    file["x"] = X.astype("float64")
    return file["x"]


def torch_loader():
    data = pytest.importorskip("torch").utils.data
    import torch

    return data.DataLoader(data.TensorDataset(torch.tensor(X), torch.tensor(Y)), batch_size=4)


# name -> (tmp_path) -> (x, y), which mean X and Y; y is None where batches of 4 come
KINDS = {
    "frame": lambda path: frame_of(Frame),
    "pandas": lambda path: frame_of("pandas"),
    "polars": lambda path: frame_of("polars"),
    "pyarrow": lambda path: frame_of("pyarrow"),
    "mapped file": lambda path: (file_of(path, "float32"), Y),
    "mapped file of float64": lambda path: (file_of(path, "float64"), Y),
    "sparse": lambda path: (Sparse(X), Y),
    "scipy": lambda path: (pytest.importorskip("scipy.sparse").coo_matrix(X), Y),
    "scipy array": lambda path: (pytest.importorskip("scipy.sparse").csc_array(X.astype("float64")), Y),
    "on disk": lambda path: (OnDisk(X), OnDisk(Y)),
    "h5py": lambda path: (hdf5_of(path), Y),
    "table of rows": lambda path: (TableOfRows(x=X, label=Y), None),
    "column of lists": lambda path: (Column(np.array([None, *map(list, X.astype(float))], object)[1:]), Y),
    "tensors of another library": lambda path: (TensorElsewhere(X), TensorElsewhere(Y)),
    "graph of batches": lambda path: (Graph(in_batches(), 3), None),
    "graph that does not know": lambda path: (Graph(in_batches(), -2), None),
    "torch loader": lambda path: (torch_loader(), None),
    "stream of rows": lambda path: (StreamOfRows(x=X, labels=Y), None),
    "nyala data set": lambda path: (Dataset.from_arrays((X, Y)).batch(4), None),
}


@pytest.mark.parametrize("whole", [True, False], ids=["whole", "by batches"])
@pytest.mark.parametrize("kind", KINDS)
def test_kinds_are_equal_to_arrays(kind, whole, eager, tmp_path, monkeypatch):
    x, y = KINDS[kind](tmp_path)
    if not whole:
        monkeypatch.setattr(loop, "RESIDENT_BYTES", 0)
    results = []
    for data in ((X, Y), (x, y)):
        nyala.utils.set_random_seed(3)
        model = linear()
        model.compile("sgd", "mse", metrics=["mae"])
        shuffled = (y is not None or kind == "table of rows") and not whole
        history = model.fit(*data, epochs=2, batch_size=4, verbose=0, shuffle=shuffled).history
        results.append([*history.values(), *model.get_weights(), model.evaluate(*data, batch_size=4, verbose=0)])
        results[-1].append(model.predict(data[0], batch_size=4))
    for want, got in zip(*results, strict=True):
        np.testing.assert_allclose(got, want, rtol=2e-5, atol=1e-6)


LABELS = (IDS > 1)[:, None].astype("float32")


@pytest.mark.parametrize("kind", ["frame", "mapped file of float64", "sparse", "on disk", "table of rows"])
def test_weights_and_splits_of_lazy_data(kind, eager, tmp_path):
    x, y = (TableOfRows(x=X, label=LABELS), None) if kind == "table of rows" else (KINDS[kind](tmp_path)[0], OnDisk(LABELS))
    weights = {} if y is None else {"sample_weight": np.linspace(0.5, 2, 11)}
    histories = []
    for data in ((X, LABELS), (x, y)):
        nyala.utils.set_random_seed(3)
        model = linear()
        model.compile("sgd", "mse")
        histories.append(model.fit(*data, batch_size=4, verbose=0, validation_split=0.3, class_weight={0: 0.5, 1: 3.0}, **weights).history)
    for name, want in histories[0].items():
        np.testing.assert_allclose(histories[1][name], want, rtol=1e-5, err_msg=name)


def test_sparse_rows_are_made_dense_batch_by_batch(eager, monkeypatch):
    monkeypatch.setattr(loop, "READ_WHOLE_BYTES", 0)
    x = Sparse(X)
    model = linear()
    model.compile("sgd", "mse")
    model.fit(x, Y, batch_size=4, verbose=0)
    model.evaluate(x, Y, batch_size=4, verbose=0)
    model.predict(x, batch_size=4)
    assert max(x.asked) == 4


def test_one_batch_of_sparse_rows(eager):
    model, x = linear(), Sparse(X)
    model.compile("sgd", "mse")
    np.testing.assert_allclose(model.predict_on_batch(x), model.predict_on_batch(X))
    assert model.test_on_batch(x, Y) == model.test_on_batch(X, Y)


def test_data_sets_of_rows_bring_their_labels(eager):
    table = TableOfRows(x=X, label=Y)
    assert not is_stream(table)
    assert sorted(as_data(TableOfRows(a=X, b=Y, labels=IDS), batch_size=4).parts[0]) == ["a", "b"]
    a, b = nyala.Input((3,), name="a"), nyala.Input((1,), name="b")
    model = nyala.Model([a, b], layers.Dense(1)(layers.Concatenate()([a, b])))
    model.compile("sgd", "mse")
    losses = [model.evaluate(data, y, verbose=0) for data, y in ((TableOfRows(b=Y, a=X, label=Y), None), ([X, Y], Y))]
    assert losses[0] == pytest.approx(losses[1])
    words = TableOfRows(text=np.array(["a", "b"]), label=np.arange(2))
    text = "the column 'text' needs numbers, the same count in each row, got strings.\n"
    with raises(ArgumentTypeError, text + "  fix: encode them as numbers with map(), or remove_columns('text')"):
        as_data(words)


def test_columns_that_hold_no_numbers_are_named():
    table = {"n": np.arange(3), "city": np.array(["a", "b", "c"], object), "when": np.array(["2020-01-01"] * 3, "datetime64[D]")}
    text = "x needs columns of numbers, got 'city' (strings), 'when' (dates).\n"
    text += "  fix: encode them as numbers (StringLookup, FeatureSpace, one column per class), or leave them out"
    frames = [Frame(table)]
    for library in filter(importlib.util.find_spec, ("pandas", "polars")):
        frames.append(importlib.import_module(library).DataFrame(table))
    for frame in frames:
        with raises(ArgumentTypeError, text):
            as_array(frame, "x")
    with raises(ArgumentTypeError, "x needs a data frame with its values, got a query that did not run yet (Query).\n  fix: call its collect()"):
        as_data(Query(), Y)
    with raises(ArgumentTypeError, "x needs numbers, got an array of dates.\n  fix: encode them as numbers first"):
        as_array(table["when"], "x")


def test_missing_values_and_flags_of_columns():
    gaps = Frame({"a": np.array([1, None, 3], object), "b": np.array([True, False, True])})
    np.testing.assert_array_equal(as_array(gaps, "x"), [[1, 1], [np.nan, 0], [3, 1]])
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"a": pandas.array([1, None, 3], "Int64"), "b": [True, False, True]})
    np.testing.assert_array_equal(as_array(frame, "x"), [[1, 1], [np.nan, 0], [3, 1]])
    arrow = pytest.importorskip("pyarrow")
    np.testing.assert_array_equal(as_array(arrow.table({"a": [1, None, 3], "b": [True, False, True]}), "x"), [[1, 1], [np.nan, 0], [3, 1]])


def test_samples_instead_of_batches(eager):
    data = pytest.importorskip("torch").utils.data
    import torch

    model = linear()
    model.compile("sgd", "mse")
    text = "fit(x) needs batches, got TensorDataset, a torch Dataset of single samples.\n"
    with raises(ArgumentTypeError, text + "  fix: pass torch.utils.data.DataLoader(dataset, batch_size=32, shuffle=True)"):
        model.fit(data.TensorDataset(torch.tensor(X), torch.tensor(Y)), verbose=0)


def test_lazy_rows():
    rows = LazyRows(lambda index: X[index], X.shape, "float64")
    assert (rows.dtype, rows.ndim, rows.nbytes, len(rows)) == (np.float32, 2, X.size * 4, 11)
    np.testing.assert_array_equal(rows.part(slice(3, 9)).part(slice(2, None))[np.array([3, 0])], X[[8, 5]])
    for kind in (OnDisk(X), Sparse(X), TableOfRows(x=X, label=Y)):
        lazy = as_data(kind, None if isinstance(kind, TableOfRows) else Y).parts[0]
        np.testing.assert_array_equal(lazy[np.array([5, 2, 9, 2])], X[[5, 2, 9, 2]])
    np.testing.assert_array_equal(np.asarray(rows.mapped(lambda a: a[:, 0] * 2).part(slice(1, 4))), X[1:4, 0] * 2)


# Samples of different lengths --------------------------------------------------------------------------------------------------------------

LENGTHS = np.array([3, 1, 5, 2, 4, 1, 2])
SEQUENCES = [numbers(n, 2, seed=i) for i, n in enumerate(LENGTHS)]
PADDED = np.zeros((7, 5, 2), "float32")
for _i, _sequence in enumerate(SEQUENCES):
    PADDED[_i, : len(_sequence)] = _sequence
MASK = np.arange(5) < LENGTHS[:, None]
SUMS = np.array([sequence.sum() for sequence in SEQUENCES], "float32")[:, None]


def recurrent():
    """A network that skips masked steps."""
    model = nyala.Sequential([nyala.Input((None, 2)), layers.SimpleRNN(3), layers.Dense(1)])
    shapes = [w.shape for w in model.get_weights()]
    model.set_weights([numbers(*shape, seed=i) for i, shape in enumerate(shapes)])
    return model


def with_mask_by_hand():
    """The same with a Masking layer, for padding with a value that is not among the data."""
    model = nyala.Sequential([nyala.Input((None, 2)), layers.Masking(-99.0), *recurrent().layers])
    return model, np.where(MASK[..., None], PADDED, -99.0).astype("float32")


@pytest.mark.parametrize("form", ["arrays", "lists", "objects"])
def test_ragged_inputs_are_masked(form, each_engine):
    boxed = np.empty(7, object)
    boxed[:] = SEQUENCES
    x = {"arrays": SEQUENCES, "lists": [s.tolist() for s in SEQUENCES], "objects": boxed}[form]
    model = recurrent()
    one_by_one = np.concatenate([model.predict(s[None]) for s in SEQUENCES])
    np.testing.assert_allclose(model.predict(x), one_by_one, rtol=2e-5, atol=1e-6)
    if form != "arrays":
        return
    np.testing.assert_allclose(model.predict(x, batch_size=2), one_by_one, rtol=2e-5, atol=1e-6)
    other, filled = with_mask_by_hand()
    histories = []
    for net, data in ((recurrent(), x), (other, filled)):
        net.compile("sgd", "mse")
        histories.append(net.fit(data, SUMS, batch_size=3, epochs=2, shuffle=False, verbose=0, validation_data=(data, SUMS)).history)
    for name, want in histories[1].items():
        np.testing.assert_allclose(histories[0][name], want, rtol=1e-5, err_msg=name)
    stream = recurrent()
    stream.compile("sgd", "mse")
    batches = [(x[i : i + 3], SUMS[i : i + 3]) for i in (0, 3, 6)]
    got = stream.fit((b for b in batches * 2), steps_per_epoch=3, epochs=2, verbose=0).history["loss"]
    np.testing.assert_allclose(got, histories[1]["loss"], rtol=1e-5)
    np.testing.assert_allclose(stream.predict(iter([(x[:3],)])), stream.predict(x[:3]), rtol=1e-5)


def test_masks_reach_the_losses_of_steps(each_engine):
    """Sequences in, sequences out: padded steps count nowhere, whether x or y says so."""
    model = nyala.Sequential([nyala.Input((None, 2)), layers.Dense(1)])
    targets = [numbers(n, 1, seed=20 + i) for i, n in enumerate(LENGTHS)]
    errors = [np.mean((model.predict(s[None])[0] - t) ** 2, -1) for s, t in zip(SEQUENCES, targets, strict=True)]
    model.compile("sgd", "mse")
    assert model.evaluate(SEQUENCES, targets, verbose=0) == pytest.approx(np.mean(np.concatenate(errors)), rel=1e-5)
    weights = np.linspace(1, 2, 7)
    want = np.sum(np.concatenate([w * e for w, e in zip(weights, errors, strict=True)])) / LENGTHS.sum()
    assert model.evaluate(SEQUENCES, targets, sample_weight=weights, verbose=0) == pytest.approx(want, rel=1e-5)
    y_alone = model.evaluate(PADDED, targets, verbose=0)
    assert y_alone == pytest.approx(np.sum(np.concatenate(errors)) / MASK.size, rel=1e-5)


def test_masks_pass_embeddings_and_casts(each_engine):
    words = [[1, 2, 3], [4], [5, 1]]
    for policy in ("float32", "mixed_bfloat16"):
        model = nyala.Sequential([nyala.Input((None,), dtype="int32"), layers.Embedding(6, 3), layers.GRU(2)])
        floats = nyala.Sequential([nyala.Input((None, 2)), layers.GRU(2, dtype=policy)])
        tolerance = 2e-5 if policy == "float32" else 5e-2
        np.testing.assert_allclose(model.predict(words), np.concatenate([model.predict(np.array([w])) for w in words]), rtol=2e-5, atol=1e-6)
        got, want = floats.predict(SEQUENCES), np.concatenate([floats.predict(s[None]) for s in SEQUENCES])
        np.testing.assert_allclose(got.astype("float32"), want.astype("float32"), rtol=tolerance, atol=tolerance)


def test_ragged_among_several_inputs(eager):
    a, b = nyala.Input((None, 2), name="a"), nyala.Input((1,), name="b")
    model = nyala.Model({"a": a, "b": b}, layers.Dense(1)(layers.Concatenate()([layers.SimpleRNN(3)(a), b])))
    model.compile("sgd", "mse")
    ragged = model.predict({"b": SUMS, "a": SEQUENCES})
    np.testing.assert_allclose(
        ragged, np.concatenate([model.predict({"a": s[None], "b": t[None]}) for s, t in zip(SEQUENCES, SUMS, strict=True)]), rtol=1e-5
    )
    model.fit({"a": SEQUENCES, "b": SUMS}, SUMS, batch_size=3, validation_split=0.4, accumulate=2, verbose=0)


def test_lists_of_samples_of_one_shape(eager):
    np.testing.assert_array_equal(as_data(list(X), Y).parts[0], X)
    parts = as_data(SEQUENCES, [s[:, :1] for s in SEQUENCES]).parts
    assert parts[1].shape == (7, 5, 1) and parts[2].tolist() == MASK.tolist()
    assert as_data([X, X], [Y, Y]).parts[1][1].shape == (11, 1)


def test_what_is_not_ragged():
    several = [X, X, X[:9]]
    text = "fit needs arrays of equal length, got x[0]: 11, x[1]: 11, x[2]: 9, y: 11.\n"
    text += "  why: a list of arrays as x means several of them, one array each\n  fix: np.asarray(x) makes one array of a list of samples"
    with raises(ShapeError, text):
        as_data(several, Y)
    text = "x needs samples that differ in their first axis only, got a ragged list of another kind.\n"
    with raises(ArgumentError, text + "  fix: pad them to one shape, for example with nyala.utils.pad_sequences"):
        as_data([[[1, 2], [3]], [[4]]], [1, 2])


def test_named_tuples_and_dicts_keep_their_names(eager):
    pair = collections.namedtuple("pair", ["b", "a"])
    parts = as_data(pair(X, Y)).parts[0]
    assert type(parts) is pair and parts.a.shape == (11, 1)
    a, b = nyala.Input((3,), name="z"), nyala.Input((1,), name="a")
    model = nyala.Model([a, b], layers.Dense(1)(layers.Concatenate()([a, b])))
    named = model.predict({"a": Y, "z": X})
    np.testing.assert_array_equal(named, model.predict([X, Y]))
    batches = [{"a": Y[i : i + 4], "z": X[i : i + 4]} for i in (0, 4, 8)]
    np.testing.assert_allclose(model.predict(iter(batches)), named, rtol=1e-6)
    assert ops.shape(named) == (11, 1)
