# SPDX-License-Identifier: Apache-2.0
"""predict: rows filled up where that changes nothing, few programs, and the same numbers as one call of the model."""

import numpy as np
import pytest

import nyala
from nyala import layers
from nyala.training import prediction
from nyala.training.prediction import is_row_wise

RANDOM = np.random.default_rng(3)
X = RANDOM.normal(size=(37, 5)).astype("float32")


def dense():
    return nyala.Sequential([nyala.Input((5,)), layers.Dense(7, activation="tanh"), layers.Dense(3, activation="softmax")])


@pytest.mark.parametrize("rows", [1, 2, 3, 8, 31, 32, 33, 37])
@pytest.mark.parametrize("batch_size", [None, 1, 4, 64])
def test_every_number_of_rows(rows, batch_size):
    model = dense()
    got = model.predict(X[:rows], batch_size=batch_size)
    assert got.shape == (rows, 3) and got.flags.writeable
    np.testing.assert_allclose(got, np.asarray(model(X[:rows])), rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(model.predict(X[:rows], batch_size=batch_size), got)


def test_few_programs():
    model = dense()
    for rows in range(1, 33):
        model.predict(X[:rows])
    programs = [program for key, program in model._programs.table.items() if key[1] == "predict"]
    assert len(programs) == 6  # 1, 2, 4, 8, 16 and 32 rows
    assert {program.traces for program in programs} <= {0, 1}  # none where an equal model was compiled before
    model.predict(X, batch_size=32)
    assert len([key for key in model._programs.table if key[1] == "predict"]) == 6


def test_weights_that_change_are_seen_by_the_direct_look_up():
    model = dense()
    first = model.predict(X[:1])
    assert model._programs.direct
    model.set_weights([w * 2 for w in model.get_weights()])
    assert np.abs(model.predict(X[:1]) - first).max() > 1e-3
    np.testing.assert_allclose(model.predict(X[:1]), np.asarray(model(X[:1])), rtol=1e-5)
    x = X[:1].copy()
    kept = model.predict(x)
    x += 1.0
    assert not np.allclose(model.predict(x), kept)


@pytest.mark.parametrize(
    "layer",
    [
        layers.Lambda(lambda x: x - nyala.ops.mean(x, axis=0), output_shape=(5,)),
        layers.Softmax(axis=0),
        layers.Activation(lambda x: x / nyala.ops.sum(x * x)),
    ],
)
def test_models_whose_rows_see_each_other_get_them_as_they_are(layer):
    model = nyala.Sequential([nyala.Input((5,)), layer])
    assert not is_row_wise_after_predict(model)
    np.testing.assert_allclose(model.predict(X[:3]), np.asarray(model(X[:3])), rtol=1e-5, atol=1e-6)
    got = model.predict(X[:7], batch_size=4)
    np.testing.assert_allclose(got, np.concatenate([np.asarray(model(X[:4])), np.asarray(model(X[4:7]))]), rtol=1e-5, atol=1e-6)


def is_row_wise_after_predict(model):
    model.predict(X[:1])
    return is_row_wise(model)


def test_what_is_row_wise():
    inputs = nyala.Input((5,))
    assert is_row_wise_after_predict(nyala.Model(inputs, layers.Dense(2)(inputs)))
    assert not is_row_wise_after_predict(nyala.Model(inputs, nyala.ops.subtract(inputs, nyala.ops.mean(inputs, axis=0))))
    nested = nyala.Model(inputs, nyala.ops.relu(layers.Dense(2)(inputs)))
    assert not is_row_wise_after_predict(nyala.Sequential([nyala.Input((5,)), nested]))  # ops may do anything

    class Own(nyala.Model):
        def call(self, x):
            return x * 2.0

    assert not is_row_wise_after_predict(Own())

    class Step(nyala.Sequential):
        def predict_step(self, data):
            return super().predict_step(data)

    assert not is_row_wise_after_predict(Step([nyala.Input((5,)), layers.Dense(2)]))


def test_several_inputs_and_outputs_are_cut():
    a, b = nyala.Input((5,), name="a"), nyala.Input((5,), name="b")
    both = layers.Concatenate()([a, b])
    model = nyala.Model({"a": a, "b": b}, {"sum": layers.Dense(1)(both), "all": layers.Dense(4)(both)})
    got = model.predict({"a": X[:11], "b": -X[:11]}, batch_size=4)
    assert {name: value.shape for name, value in got.items()} == {"sum": (11, 1), "all": (11, 4)}
    want = model({"a": X[:11], "b": -X[:11]})
    for name in got:
        np.testing.assert_allclose(got[name], np.asarray(want[name]), rtol=1e-5, atol=1e-6)


def test_stateful_layers_keep_one_row_per_state():
    model = nyala.Sequential([nyala.Input((4, 5), batch_size=3), layers.LSTM(2, stateful=True)])
    x = RANDOM.normal(size=(3, 4, 5)).astype("float32")
    first, second = model.predict(x, batch_size=3), model.predict(x, batch_size=3)
    assert first.shape == (3, 2) and np.abs(first - second).max() > 1e-4


@pytest.mark.parametrize("kind", ["generator", "sequence"])
def test_streams_build_what_is_not_built(kind):
    class Batches(nyala.utils.PyDataset):
        def __len__(self):
            return 3

        def __getitem__(self, index):
            return X[index * 4 : index * 4 + 4], X[index * 4 : index * 4 + 4, :1]

    model = nyala.Sequential([layers.Dense(7, activation="relu"), layers.Dense(1)])
    model.compile("adam", "mse", metrics=["mae"])
    source = Batches() if kind == "sequence" else (Batches()[i % 3] for i in range(100))
    history = model.fit(source, steps_per_epoch=3, epochs=2, verbose=0)
    assert sorted(history.history) == ["loss", "mae"] and len(model.weights) == 4
    assert len(model.optimizer.variables) > 8
    assert model.evaluate(Batches(), verbose=0)[0] >= 0


def rows_of_programs(model):
    """How many rows the programs take that predictions ran."""
    return sorted(key[2][0][1][0][0] for key in model._programs.table if key[1] == "predict")


@pytest.mark.parametrize(("batches", "together"), [(7, 1), (8, 2), (15, 2), (16, 4), (61, 8), (64, 16), (200, 16)])
def test_many_small_batches_are_predicted_together(batches, together):
    model = dense()
    x = RANDOM.normal(size=(4 * batches - 1, 5)).astype("float32")
    got = model.predict(x, batch_size=4)
    np.testing.assert_allclose(got, np.asarray(model(x)), rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(model.predict(x, batch_size=4), got)  # the same program each time, however long it takes
    assert rows_of_programs(model) == [4 * together]
    model.set_weights([w * 0.5 for w in model.get_weights()])
    np.testing.assert_allclose(model.predict(x, batch_size=4), np.asarray(model(x)), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("bytes_of_row", "together"), [(4, 16), (4 * 30, 16), (4 * 31, 8), (4 * 240, 2), (4 * 241, 1)])
def test_the_largest_tensor_of_a_group_stays_small(bytes_of_row, together, monkeypatch):
    monkeypatch.setattr(prediction, "GROUP_BYTES", 4 * 30 * 4 * 16)  # 30 numbers, 4 rows, 16 batches
    inputs = nyala.Input((None, 5))  # as many as the input has
    wide = layers.Dense(bytes_of_row // 4, activation="tanh")(layers.GlobalAveragePooling1D()(layers.Dense(3)(inputs)))
    model = nyala.Model(inputs, layers.Dense(2)(wide))
    x = RANDOM.normal(size=(4 * 70, 2, 5)).astype("float32")
    np.testing.assert_allclose(model.predict(x, batch_size=4), np.asarray(model(x)), rtol=1e-5, atol=1e-6)
    assert rows_of_programs(model) == [4 * together]


@pytest.mark.parametrize(
    ("batches", "size", "programs"),
    [(79, 4, [64]), (70, 4, [4, 64]), (68, 32, [32, 256]), (70, 128, [256]), (69, 128, [128, 256]), (70, 300, [300]), (3, 4, [4])],
)
def test_recurrent_layers_take_up_to_256_rows(batches, size, programs):
    model = nyala.Sequential([nyala.Input((3, 5)), layers.Bidirectional(layers.LSTM(2)), layers.Dense(2)])
    x = RANDOM.normal(size=(size * batches - 1, 3, 5)).astype("float32")
    got = model.predict(x, batch_size=size)
    np.testing.assert_allclose(got, np.asarray(model(x)), rtol=1e-5, atol=1e-6)
    assert rows_of_programs(model) == programs


def test_long_sequences_are_not_predicted_together(monkeypatch):
    monkeypatch.setattr(prediction, "LOOP_BYTES", 4 * 3 * 5 * 4 * 8)  # 3 times 5 numbers, 4 rows, 8 batches
    model = nyala.Sequential([nyala.Input((3, 5)), layers.GRU(2)])
    x = RANDOM.normal(size=(4 * 70, 3, 5)).astype("float32")
    np.testing.assert_allclose(model.predict(x, batch_size=4), np.asarray(model(x)), rtol=1e-5, atol=1e-6)
    assert rows_of_programs(model) == [32]


@pytest.mark.parametrize(("also", "together"), [(False, 4), (True, 1)])
def test_what_only_pooling_reads_does_not_count(also, together, monkeypatch):
    monkeypatch.setattr(prediction, "GROUP_BYTES", 4 * 6 * 6 * 8 * 4)  # one batch of 4 rows of the convolution's result, 4 of the input
    inputs = nyala.Input((8, 8, 1))
    wide = layers.Conv2D(8, 3, activation="relu")(inputs)
    small = layers.Flatten()(layers.MaxPooling2D(3)(wide))
    model = nyala.Model(inputs, [small, layers.GlobalAveragePooling2D()(layers.Activation("tanh")(wide))] if also else small)
    x = RANDOM.normal(size=(4 * 70, 8, 8, 1)).astype("float32")
    got, want = model.predict(x, batch_size=4), model(x)
    for a, b in zip(got if also else [got], want if also else [want], strict=True):
        np.testing.assert_allclose(a, np.asarray(b), rtol=1e-5, atol=1e-5)
    assert rows_of_programs(model) == [4 * together]


def test_a_model_that_is_not_built_is_predicted_batch_by_batch():
    model = nyala.Sequential([layers.Dense(3)])
    x = RANDOM.normal(size=(4 * 70, 5)).astype("float32")
    first, second = model.predict(x, batch_size=4), model.predict(x, batch_size=4)
    assert rows_of_programs(model) == [4, 64]
    np.testing.assert_allclose(first, second, rtol=1e-5, atol=1e-6)


def test_a_model_that_says_how_many_rows_it_takes_gets_so_many():
    model = nyala.Sequential([nyala.Input((5,), batch_size=4), layers.Dense(3), layers.Flatten()])
    x = RANDOM.normal(size=(4 * 70, 5)).astype("float32")
    got = model.predict(x, batch_size=4)
    assert rows_of_programs(model) == [4]
    np.testing.assert_allclose(got, np.concatenate([np.asarray(model(x[i : i + 4])) for i in range(0, 280, 4)]), rtol=1e-5, atol=1e-6)


def test_steps_say_how_many_batches_are_predicted():
    model = dense()
    x = RANDOM.normal(size=(4 * 70, 5)).astype("float32")
    np.testing.assert_allclose(model.predict(x, batch_size=4, steps=19), np.asarray(model(x[: 4 * 19])), rtol=1e-5, atol=1e-6)
    assert rows_of_programs(model) == [16]


def test_groups_of_several_inputs_and_outputs():
    a, b = nyala.Input((5,), name="a"), nyala.Input((5,), name="b")
    both = layers.Concatenate()([a, b])
    model = nyala.Model({"a": a, "b": b}, {"sum": layers.Dense(1)(both), "all": [layers.Dense(4)(both)]})
    x = RANDOM.normal(size=(2 * 70 + 1, 5)).astype("float32")
    got, want = model.predict({"a": x, "b": -x}, batch_size=2), model({"a": x, "b": -x})
    assert rows_of_programs(model) == [32]
    np.testing.assert_allclose(got["sum"], np.asarray(want["sum"]), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(got["all"][0], np.asarray(want["all"][0]), rtol=1e-5, atol=1e-6)


def test_a_wrong_shape_is_told_as_it_was_given():
    model = dense()
    with pytest.raises(ValueError, match=r"\(4, 6\)"):
        model.predict(RANDOM.normal(size=(4 * 70, 6)).astype("float32"), batch_size=4)
