# SPDX-License-Identifier: Apache-2.0
"""Trainings on eight devices: the numbers are Keras's, and those of one device, and the work is really divided."""

import pathlib
import re
import warnings

import numpy as np
import pytest

import nyala
from nyala import distribution, layers
from nyala.core.errors import ShapeError
from tests.golden.distribution_cases import strategies, trained
from tests.golden.store import read

CASES = {name: case for name, case in read("distribution").items() if not name.startswith("map: ")}
RANDOM = np.random.default_rng(0)


def grid(**layouts):
    mesh = distribution.DeviceMesh((2, 4), ["data", "model"])
    found = distribution.LayoutMap(mesh)
    for path, axes in layouts.items():
        found[f".*{path.replace('_', '/')}"] = axes
    return distribution.ModelParallel(layout_map=found)


def network(dropout=0.0, units=8):
    model = nyala.Sequential(
        [
            nyala.Input((10,)),
            layers.Dense(16, "relu", name="wide"),
            layers.BatchNormalization(),
            layers.Dropout(dropout),
            layers.Dense(units, name="narrow"),
        ]
    )
    model.compile("sgd", "mse", metrics=["mae"])
    return model


def samples(rows, units=8):
    return RANDOM.normal(size=(rows, 10)).astype("float32"), RANDOM.normal(size=(rows, units)).astype("float32")


@pytest.mark.parametrize("name", CASES)
def test_as_in_keras(name):
    case = CASES[name]
    found = trained(nyala, case["network"], case["optimizer"], strategies(nyala)[case["strategy"]])
    alone = trained(nyala, case["network"], case["optimizer"], None)
    for other in (case, alone):
        np.testing.assert_allclose(found["losses"], other["losses"], rtol=2e-5)
        np.testing.assert_allclose(found["predictions"], other["predictions"], rtol=2e-4, atol=2e-5)
        for one, two in zip(found["weights"], other["weights"], strict=True):
            np.testing.assert_allclose(one, two, rtol=2e-4, atol=2e-5)
    assert {re.sub(r"^(adam|sgd)_\d+/", r"\1/", path): axes for path, axes in found["layouts"].items()} == case["layouts"]


@pytest.mark.parametrize("kind", ["arrays", "generator", "steps by hand", "custom loop", "eager"])
@pytest.mark.parametrize("rows", [64, 50])
def test_every_way_to_train_gives_the_numbers_of_one_device(kind, rows):
    x, y = samples(rows)

    def train(strategy):
        distribution.set_distribution(strategy)
        nyala.utils.set_random_seed(8)
        model = network(dropout=0.4)
        if kind == "arrays":
            logs = model.fit(x, y, batch_size=16, epochs=3, validation_split=0.25, verbose=0).history
        elif kind == "generator":
            stream = lambda: ((x[i : i + 16], y[i : i + 16]) for i in range(0, rows, 16))  # noqa: E731
            logs = [model.fit(stream(), verbose=0).history["loss"] for _ in range(2)]
        elif kind == "steps by hand":
            logs = [model.train_on_batch(x[i : i + 16], y[i : i + 16]) for i in range(0, rows, 16)]
        elif kind == "eager":
            model.run_eagerly = True
            logs = model.fit(x, y, batch_size=16, verbose=0, shuffle=False).history
        else:
            optimizer = nyala.optimizers.Adam()
            loss = nyala.value_and_grad(lambda a, b: (nyala.ops.mean((model(a, training=True) - b) ** 2), None), model.trainable_variables)

            @nyala.jit
            def step(a, b):
                (value, _), gradients = loss(a, b)
                optimizer.apply(gradients, model.trainable_variables)
                return value

            logs = [float(step(x[i : i + 16], y[i : i + 16])) for i in range(0, 48, 16)]
        return logs, [model.evaluate(x, y, batch_size=16, verbose=0), model.predict(x, batch_size=16), model.predict(x[:3]), *model.get_weights()]

    logs, found = train(None)
    for strategy in (distribution.DataParallel(), grid(wide_kernel=(None, "model"), wide_bias=("model",), narrow_kernel=("model", None))):
        others, again = train(strategy)
        np.testing.assert_allclose(*(list(each.values()) if isinstance(each, dict) else each for each in (others, logs)), rtol=2e-5)
        for one, two in zip(again, found, strict=True):
            np.testing.assert_allclose(one, two, rtol=1e-4, atol=1e-5)


def test_accumulated_gradients_and_padded_rows():
    x, y = samples(64)
    words = [RANDOM.integers(1, 20, RANDOM.integers(2, 9)) for _ in range(32)]
    labels = RANDOM.normal(size=(32, 1)).astype("float32")

    def train(strategy):
        distribution.set_distribution(strategy)
        nyala.utils.set_random_seed(8)
        model = network()
        losses = model.fit(x, y, batch_size=16, accumulate=2, epochs=2, verbose=0).history["loss"]
        reader = nyala.Sequential([layers.Embedding(20, 8, mask_zero=True), layers.GRU(8), layers.Dense(1)])
        reader.compile("adam", "mse")
        return losses, reader.fit(words, labels, batch_size=8, epochs=2, verbose=0).history["loss"]

    for one, two in zip(train(None), train(distribution.DataParallel()), strict=True):
        np.testing.assert_allclose(one, two, rtol=2e-5)


def compiled_text(model, tmp_path, monkeypatch):
    """The step of a model as XLA compiled it for each device."""
    import jax

    texts = []
    plain = jax.jit

    def noting(function, **options):
        compiled = plain(function, **options)

        def call(*args):
            texts.append(compiled.lower(*args).compile().as_text())
            return compiled(*args)

        call.eval_shape = compiled.eval_shape
        return call

    monkeypatch.setattr(jax, "jit", noting)
    x, y = samples(32)
    model.fit(x, y, batch_size=16, verbose=0)
    return max(texts, key=len)


def test_each_device_takes_its_share_of_the_batch(tmp_path, monkeypatch):
    distribution.set_distribution(distribution.DataParallel())
    text = compiled_text(network(), tmp_path, monkeypatch)
    products = re.findall(r"= f32\[(\d+),(\d+)\]\S* dot\(", text)
    assert (
        products and ("2", "16") in products and not any(rows == "16" and columns in ("8", "16") for rows, columns in products if rows != columns)
    ), products
    assert "all-reduce" in text and "all-gather" not in text


def test_each_device_takes_its_share_of_the_weights(tmp_path, monkeypatch):
    distribution.set_distribution(grid(wide_kernel=(None, "model"), wide_bias=("model",), narrow_kernel=("model", None)))
    model = network()
    text = compiled_text(model, tmp_path, monkeypatch)
    assert re.search(r"f32\[8,4\]\S* dot\(", text), "8 samples of 16 by 4 units of 16"
    wide = model.layers[0]
    shards = {shard.data.shape for shard in wide.kernel.value.addressable_shards}
    assert shards == {(10, 4)} and len(wide.kernel.value.addressable_shards) == 8
    assert {shard.data.shape for shard in model.layers[-1].kernel.value.addressable_shards} == {(4, 8)}


def test_slots_lie_like_their_weights():
    distribution.set_distribution(grid(wide_kernel=(None, "model")))
    model = network()
    model.compile("adam", "mse")
    x, y = samples(32)
    model.fit(x, y, batch_size=16, verbose=0)
    slots = [v for v in model.optimizer.variables if "wide_kernel" in v.path]
    assert [v.layout.axes for v in slots] == [(None, "model")] * 2
    assert {shard.data.shape for v in slots for shard in v.value.addressable_shards} == {(10, 4)}


def test_models_made_before_are_taken_along_and_back():
    x, y = samples(48)
    model, twin = network(), network()
    twin.set_weights(model.get_weights())
    fit = lambda which: which.fit(x, y, batch_size=16, shuffle=False, verbose=0).history["loss"]  # noqa: E731
    expected = [fit(twin) for _ in range(4)]
    losses = [fit(model)]
    for strategy in (distribution.DataParallel(), grid(wide_kernel=(None, "model")), None):
        distribution.set_distribution(strategy)
        losses += [fit(model)]
    np.testing.assert_allclose(losses, expected, rtol=2e-5)


def test_steps_compile_once():
    distribution.set_distribution(distribution.DataParallel())
    x, y = samples(64)
    model = network()
    for _ in range(3):
        model.fit(x, y, batch_size=16, epochs=2, verbose=0)
    programs = [program for key, program in model._programs.table.items() if "train" in key]
    assert len(programs) == 1 and programs[0].traces == 1


def test_files_of_divided_models(tmp_path):
    distribution.set_distribution(grid(wide_kernel=(None, "model"), narrow_kernel=("model", None)))
    x, y = samples(32)
    model = network()
    model.fit(x, y, batch_size=16, verbose=0)
    for name in ("whole.keras", "whole.h5"):
        model.save(tmp_path / name)
        divided = nyala.saving.load_model(tmp_path / name)
        assert divided.layers[0].kernel.layout.axes == (None, "model")
        np.testing.assert_array_equal(divided.predict(x), model.predict(x))
    distribution.set_distribution(None)
    for name in ("whole.keras", "whole.h5"):
        alone = nyala.saving.load_model(tmp_path / name)
        assert alone.layers[0].kernel.layout is None
        np.testing.assert_allclose(alone.predict(x), model.predict(x), rtol=1e-5, atol=1e-6)
    model.load_weights(tmp_path / "whole.keras")
    assert {shard.data.shape for shard in model.layers[0].kernel.value.addressable_shards} == {(10, 4)}


def test_batches_that_cannot_be_divided():
    distribution.set_distribution(distribution.DataParallel())
    x, y = samples(30)
    with pytest.warns(
        UserWarning, match="batches of 10 samples cannot be divided evenly among 8 devices: each of them computes all samples. Choose a mul"
    ):
        network().fit(x, y, batch_size=10, verbose=0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = network()
        model.fit(x, y, batch_size=16, verbose=0)  # 16 and 14
        assert model.predict(x).shape == (30, 8) and model.predict(x[:1]).shape == (1, 8)


def test_weights_that_cannot_be_divided_are_refused_by_name():
    distribution.set_distribution(grid(narrow_kernel=(None, "model"), wide_kernel=("model",)))
    with pytest.raises(ShapeError) as caught:
        layers.Dense(6, name="narrow").build((None, 4))
    assert str(caught.value) == (
        "the layout of variable 'narrow/kernel' needs a size that is a multiple of 4 in axis 1, which lies along 'model' of the mesh, "
        "got shape (4, 6).\n"
        "  why: each of the 4 devices there takes an equal part\n"
        "  fix: choose such a size, or let its layout have None there"
    )
    with pytest.raises(ShapeError, match=r"needs a layout of 2 axes, one for each axis of shape \(4, 16\), got \('model',\)"):
        layers.Dense(16, name="wide").build((None, 4))


def test_layouts_of_what_layers_return():
    distribution.set_distribution(grid(wide_output=("data", "model")))
    model = network()
    x, _ = samples(16)
    seen = {}

    class Look(layers.Layer):
        def call(self, inputs):
            if hasattr(inputs, "sharding"):  # not where shapes are found out
                seen["layout"] = inputs.sharding.spec
            return inputs

    nyala.Sequential([nyala.Input((10,)), layers.Dense(16, name="wide"), Look()])(x)
    assert tuple(seen["layout"]) == ("data", "model")
    assert model.predict(x).shape == (16, 8)
    with pytest.raises(ShapeError, match=r"sequential\w*/wide/output needs a layout of 3 axes"):
        nyala.Sequential([nyala.Input((3, 10)), layers.Dense(16, name="wide")])(np.zeros((2, 3, 10), "float32"))


def test_the_page_runs():
    page = (pathlib.Path(nyala.__file__).parents[1] / "docs" / "distribution.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    assert len(blocks) == 3
    space = {}
    for block in blocks[:2]:  # the third one is for several processes
        exec(block, space)
    model = nyala.Sequential(
        [
            layers.Embedding(20, 8, name="embedding"),
            layers.Dense(16, name="up"),
            layers.Dense(8, name="down"),
        ]
    )
    model.compile("adam", "mse")
    x = RANDOM.integers(0, 20, (16, 5))
    model.fit(x, RANDOM.normal(size=(16, 5, 8)).astype("float32"), batch_size=8, verbose=0)
    assert [v.layout.axes for v in model.weights] == [(None, "model"), (None, "model"), ("model",), ("model", None), (None,)]
