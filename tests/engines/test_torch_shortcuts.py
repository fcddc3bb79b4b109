# SPDX-License-Identifier: Apache-2.0
"""PyTorch's shortcuts beyond values and first gradients, which `nyala.testing` compares: lists of tensors, memory in place, second gradients."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import nyala  # noqa: E402  after the skip
from nyala.engines import get_engine  # noqa: E402
from nyala.engines._torch_lists import RULES, TensorList  # noqa: E402
from nyala.ops import nn  # noqa: E402

engine = get_engine("torch")
RANDOM = np.random.default_rng(3)


def tensor(*shape):
    return engine.asarray(RANDOM.normal(size=shape).astype("float32"))


# Lists ----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "function",
    [
        lambda x, y, n: x * 0.5 + y / 3 - 2.0 * y,
        lambda x, y, n: 1.0 - x - (-y) + n * x,
        lambda x, y, n: n / (engine.abs(x) + 1.5) - 2.0 / (y * y + n),
        lambda x, y, n: engine.maximum(x, y) + engine.minimum(x, 0.25) + engine.maximum(-0.25, y),
        lambda x, y, n: engine.sqrt(x * x) * engine.rsqrt(y * y + 1.0) + engine.sign(x) + engine.where(engine.less(n, 0.0), x, y),
        lambda x, y, n: (x * x) ** 1.5 + engine.power(engine.abs(y), 0.5),
    ],
)
def test_a_list_computes_as_its_tensors_do(function):
    xs, ys, number = [tensor(2, 3), tensor(5), tensor()], [tensor(2, 3), tensor(5), tensor()], engine.asarray(np.float32(0.7))
    together = list(function(TensorList(xs), TensorList(ys), number))
    assert len(together) == 3
    for value, x, y in zip(together, xs, ys, strict=True):
        np.testing.assert_allclose(value, function(x, y, number), rtol=1e-6)


# Memory ---------------------------------------------------------------------------------------------------------------------


@pytest.fixture
def trained():
    """Two variables after one step of Adam, and a function that makes another step."""
    with nyala.backend("torch"):
        variables = [nyala.Variable(RANDOM.normal(size=shape).astype("float32")) for shape in ((2, 3), (5,))]
        optimizer = nyala.optimizers.Adam(0.1)
        gradients = [tensor(2, 3), tensor(5)]
        optimizer.apply(gradients, variables)
        yield *variables, lambda: optimizer.apply(gradients, variables)


def test_adam_writes_into_memory_that_nobody_else_sees(trained):
    a, b, step = trained
    places, before = [v.value.data_ptr() for v in (a, b)], a.numpy()
    step()
    assert [v.value.data_ptr() for v in (a, b)] == places
    assert np.abs(a.numpy() - before).min() > 1e-3


@pytest.mark.skipif("adam" not in RULES, reason="this PyTorch has no fused kernel")
@pytest.mark.parametrize(
    "look", [lambda v: v.value, lambda v: v.value[1:], lambda v: v.value.numpy(), lambda v: v.value.detach(), lambda v: v.value.t()]
)
def test_values_that_someone_holds_stay(trained, look):
    a, _, step = trained
    held = look(a)
    copy = lambda: held.copy() if isinstance(held, np.ndarray) else engine.to_numpy(held)  # noqa: E731
    before, place = copy(), a.value.data_ptr()
    step()
    np.testing.assert_array_equal(copy(), before)
    assert a.value.data_ptr() != place


def test_variables_of_one_memory_come_apart(trained):
    a, _, step = trained
    c = nyala.Variable(np.zeros((2, 3), "float32"))
    c.assign(a.value)
    before = c.numpy()
    step()
    np.testing.assert_array_equal(c.numpy(), before)
    assert np.abs(a.numpy() - before).min() > 1e-3


def test_gradients_in_any_order_of_memory():
    """The kernel runs along the memory of all its tensors."""
    value, gradient = RANDOM.normal(size=(3, 5)).astype("float32"), RANDOM.normal(size=(5, 3)).astype("float32")
    results = []
    with nyala.backend("torch"):
        for given in (engine.asarray(gradient).t(), engine.asarray(np.ascontiguousarray(gradient.T))):
            variable = nyala.Variable(value)
            nyala.optimizers.Adam(0.1, epsilon=1.0).apply([given], [variable])
            results.append(variable.numpy())
    np.testing.assert_array_equal(*results)


def test_a_step_inside_of_a_gradient_leaves_the_variables_alone():
    """How the loss after one step of Adam depends on the loss before."""
    with nyala.backend("torch"):
        w, optimizer = nyala.Variable(np.float32(2.0)), nyala.optimizers.Adam(0.1, epsilon=1.0)
        optimizer.build([w])

        def after(scale):
            optimizer.apply([2.0 * w.value * scale], [w])
            return w.value * w.value, ()

        (loss, _), (slope,) = engine.value_and_grad(
            lambda values: nyala.core.variable.purify(lambda: after(values[0])[0], [w, *optimizer.variables])(
                [v.value for v in (w, *optimizer.variables)]
            )
        )([engine.asarray(np.float32(1.0))])
        assert float(w) == 2.0 and int(optimizer.iterations) == 0
        assert float(slope) < -0.01 and float(loss) < 4.0


# Second gradients and vectorizing -------------------------------------------------------------------------------------------


def sequence(gates, states):
    return (tensor(2, 5, 3), *(tensor(2, 4) for _ in range(states)), tensor(3, 4 * gates), tensor(4, 4 * gates), tensor(4 * gates))


CALLS = {
    "attend": ((tensor(2, 6, 5, 7), tensor(2, 6, 11, 7), tensor(2, 6, 11, 3)), 0),
    "dot_product_attention": ((tensor(2, 5, 3, 7), tensor(2, 11, 3, 7), tensor(2, 11, 3, 7)), 1),
    "binary_crossentropy": ((engine.asarray(np.float32([0, 1, 1])), engine.asarray(np.float32([0.2, 0.3, 0.9]))), 1),
    "layer_normalization": ((tensor(3, 5), tensor(5), tensor(5), -1, 1e-3), 0),
    "batch_normalization": ((tensor(4, 5, 3), tensor(3), tensor(3).abs() + 0.5, 2, tensor(3), tensor(3)), 0),
    "normalize_batch": ((tensor(4, 5, 3), -1, tensor(3), tensor(3)), 0),
    "lstm_sequence": (sequence(4, 2), 3),
    "gru_sequence": (sequence(3, 1), 0),
}


def first(result):
    return result[0] if isinstance(result, tuple) else result


@pytest.mark.parametrize("name", CALLS)
def test_second_gradients(name):
    args, place = CALLS[name]
    op, results = getattr(nn, name), []

    def slope_of_slope(function):
        def loss(values):
            result = first(function(*args[:place], values[0], *args[place + 1 :]))
            return (result * result * torch.linspace(0.5, 1.5, result.numel()).reshape(result.shape)).sum(), ()

        def size_of_slope(values):
            _, (slope,) = engine.value_and_grad(loss)(values)
            return (slope * slope).sum(), ()

        return engine.value_and_grad(size_of_slope)([args[place]])[1][0]

    with nyala.backend("torch"):
        results = [engine.to_numpy(slope_of_slope(function)) for function in (op, op.composed)]
    assert np.abs(results[1]).max() > 1e-3
    np.testing.assert_allclose(*results, rtol=1e-3, atol=1e-4 * np.abs(results[1]).max())


@pytest.mark.filterwarnings("ignore:There is a performance drop")
@pytest.mark.parametrize("name", CALLS)
def test_vectorized(name):
    args, place = CALLS[name]
    with nyala.backend("torch"):
        several = torch.stack([args[place], args[place] * 0.5])
        call = lambda x: first(getattr(nn, name)(*args[:place], x, *args[place + 1 :]))  # noqa: E731
        np.testing.assert_allclose(engine.vmap(call)(several), torch.stack([call(x) for x in several]), rtol=1e-5, atol=1e-6)


def test_wrong_shapes_of_a_sequence_are_refused():
    """PyTorch's own would read beyond the memory of its arguments."""
    _, *others = sequence(4, 2)
    with nyala.backend("torch"), pytest.raises(RuntimeError):
        nn.lstm_sequence(tensor(2, 5, 4), *others)
