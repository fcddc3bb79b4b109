# SPDX-License-Identifier: Apache-2.0
"""Kernels of convolutions in PyTorch's own order of memory: nothing copies them at each step, and nobody else can tell."""

import pickle

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import nyala  # noqa: E402  after the skip
from nyala import layers  # noqa: E402
from nyala.engines import _torch_windows as windows  # noqa: E402
from nyala.engines import get_engine  # noqa: E402
from nyala.engines._torch_lists import like  # noqa: E402

RANDOM = np.random.default_rng(4)
X, Y = RANDOM.normal(size=(12, 9, 8, 3)).astype("float32"), RANDOM.normal(size=(12, 2)).astype("float32")
OPTIMIZERS = {
    "adam": lambda: nyala.optimizers.Adam(0.01),
    "amsgrad": lambda: nyala.optimizers.Adam(0.01, amsgrad=True),
    "momentum": lambda: nyala.optimizers.SGD(0.05, momentum=0.9),
    "rmsprop": lambda: nyala.optimizers.RMSprop(0.01, use_ema=True),
    "fused": lambda: nyala.optimizers.NativeOptimizer(fused),
}


def fused(parameters):
    return torch.optim.Adam(parameters, lr=0.01, fused=True)


@pytest.fixture(autouse=True)
def on_torch():
    with nyala.backend("torch"):
        yield


def made(optimizer="adam"):
    nyala.utils.set_random_seed(6)
    model = nyala.Sequential([
        nyala.Input((9, 8, 3)), layers.Conv2D(5, (3, 2), activation="tanh", name="a"),
        layers.Conv2DTranspose(4, 3, activation="tanh", name="t"), layers.DepthwiseConv2D(3, padding="same", activation="tanh", name="d"),
        layers.Conv2D(6, 1, use_bias=False, name="b"),
        layers.BatchNormalization(), layers.GlobalAveragePooling2D(), layers.Dense(2)])  # fmt: skip
    model.compile(OPTIMIZERS[optimizer](), "mse")
    return model


def kernels(model):
    return [model.get_layer(name).kernel for name in "atb"]


def fitted(model, epochs=3):
    history = model.fit(X, Y, batch_size=4, epochs=epochs, shuffle=False, verbose=0)
    return np.concatenate([history.history["loss"], *map(np.ravel, model.get_weights()), *(np.ravel(v) for v in model.optimizer.variables)])


def as_ever(monkeypatch):
    monkeypatch.setattr(get_engine("torch"), "arranged", lambda kernel: kernel)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_training_is_the_same_in_either_order(optimizer, monkeypatch):
    model = made(optimizer)
    found = fitted(model)
    assert all(windows.is_arranged(v.value) and not v.value.is_contiguous() for v in kernels(model))
    as_ever(monkeypatch)
    other = made(optimizer)
    expected = fitted(other)
    assert all(v.value.is_contiguous() for v in kernels(other))
    np.testing.assert_allclose(found, expected, rtol=2e-4, atol=2e-6)


@pytest.mark.parametrize("optimizer", ["adam", "momentum"])
def test_slots_lie_as_their_kernels(optimizer):
    model = made(optimizer)
    fitted(model)
    slots = [v for v in model.optimizer.variables if len(v.shape) == 4]
    assert len(slots) == (8 if optimizer == "adam" else 4)
    assert all(windows.is_arranged(v.value) for v in slots if "_d_" not in v.name)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_values_that_come_from_outside_in_the_midst_of_training(optimizer, monkeypatch):
    """Whoever sets a kernel or the state of an optimizer gives arrays in the usual order; a step that is written down counts on one."""

    def result():
        model = made(optimizer)
        fitted(model)
        model.set_weights([w * 0.5 for w in model.get_weights()])
        for v in model.optimizer.variables:
            v.assign(np.array(v) if v.dtype.startswith("int") else np.array(v) * 0.25)
        for layer, order in (("a", np.array), ("d", lambda x: windows.arranged(x.value * 0.5))):
            kernel = model.get_layer(layer).kernel
            kernel.assign(get_engine("torch").asarray(order(kernel)))
        return fitted(model)

    found = result()
    as_ever(monkeypatch)
    np.testing.assert_allclose(found, result(), rtol=2e-4, atol=2e-6)


def test_arrays_of_the_host_are_in_order(tmp_path):
    model = made()
    fitted(model)
    kernel = kernels(model)[0]
    for array in (kernel.numpy(), kernel.borrow(), np.asarray(kernel), model.get_weights()[0]):
        assert array.flags.c_contiguous
        np.testing.assert_array_equal(array, kernel.value.numpy(force=True))
    model.save(tmp_path / "m.keras")
    with nyala.backend("numpy"):
        there = nyala.saving.load_model(tmp_path / "m.keras")
        np.testing.assert_array_equal(there.get_weights()[0], kernel.numpy())
    again = nyala.saving.load_model(tmp_path / "m.keras")
    np.testing.assert_allclose(fitted(again), fitted(model), rtol=2e-5, atol=1e-7)
    copy = pickle.loads(pickle.dumps(kernel))
    np.testing.assert_array_equal(copy, kernel)
    assert windows.is_arranged(copy.value)


@pytest.mark.parametrize("shape", [(3, 2, 4, 5), (1, 1, 4, 5), (3, 2, 1, 5), (3, 2, 4, 1), (1, 1, 1, 1), (2, 3, 2, 4, 5), (3, 4, 5), (0, 2, 4, 5)])
def test_an_order_of_memory(shape):
    engine = get_engine("torch")
    x = engine.asarray(RANDOM.normal(size=shape).astype("float32"))
    turned = engine.arranged(x)
    assert turned.shape == x.shape
    assert torch.equal(turned, x)
    assert windows.is_arranged(turned) or len(shape) == 3
    assert engine.arranged(turned) is turned
    for one, other in ((x, turned), (turned, x), (x.flip(0), turned), (turned * 2, turned)):
        found = like(one, other)
        assert torch.equal(found, one)
        assert torch.equal(torch.as_strided(found, (x.numel(),), (1,)), torch.as_strided(like(one, turned), (x.numel(),), (1,))) or other is x


def test_no_kernel_is_copied_in_a_step():
    model = made()
    model.train_on_batch(X[:4], Y[:4])
    shapes = {tuple(v.shape) for v in kernels(model)}
    shapes |= {(shape[3], shape[2], *shape[:2]) for shape in shapes}
    places = [v.value.data_ptr() for v in kernels(model)]
    with torch.profiler.profile(record_shapes=True) as profile:
        model.train_on_batch(X[:4], Y[:4])
    assert [v.value.data_ptr() for v in kernels(model)] == places
    assert [event.input_shapes[0] for event in profile.events() if event.name == "aten::clone" and tuple(event.input_shapes[0]) in shapes] == []


@pytest.mark.parametrize("begins", [False, True], ids=["contiguous", "arranged"])
def test_a_step_that_is_written_down_counts_on_one_order(begins):
    """Someone may set a variable between two steps to a tensor of the other order."""
    from nyala.engines._torch_replay import record

    values, gradient = RANDOM.normal(size=(2, 3, 2, 4, 5)).astype("float32")
    results = []
    for turns in (False, True):
        variable, optimizer = nyala.Variable(windows.arranged(torch.tensor(values)) if begins else values), nyala.optimizers.Adam(0.1)
        optimizer.build([variable])
        if begins:
            variable.assign(windows.arranged(torch.tensor(values)))
        run = record(
            lambda args, v=variable, o=optimizer: o.apply([args[0] * v.value], [v]), [variable, *optimizer.variables], [], (torch.tensor(gradient),)
        )
        run((torch.tensor(gradient),))
        other = torch.tensor(variable.numpy() * 0.5)
        variable.assign(other if begins == turns else windows.arranged(other))
        run((torch.tensor(gradient),))
        results.append(variable.numpy())
    np.testing.assert_array_equal(*results)
