# SPDX-License-Identifier: Apache-2.0
"""Symbolic tensors: what they know, what they refuse, and the graph they leave."""

import numpy as np
import pytest

import nyala
from nyala import layers, ops
from nyala.core.errors import ArgumentError, NotYetError, StateError
from nyala.core.symbolic import Operation, infer_symbolic
from tests.training.tools import numbers, raises


def test_description():
    x = nyala.KerasTensor((None, 3), "int8", name="x")
    assert (x.shape, x.dtype, x.ndim, x.size, x.name, repr(x)) == (
        (None, 3),
        "int8",
        2,
        None,
        "x",
        "<KerasTensor shape=(None, 3), dtype=int8, name=x>",
    )
    assert nyala.KerasTensor((5, 3)).size == 15
    assert len(nyala.KerasTensor((5, 3))) == 5
    assert [row.shape for row in nyala.KerasTensor((2, 3))] == [(3,), (3,)]


def test_operators_record_ops(on_numpy):
    x = nyala.Input((3,), name="x")
    y = numbers(5, 3)
    for expression, want in [
        (x + 1.0, y + 1),
        (2.0 * x, 2 * y),
        (x[:, 1:], y[:, 1:]),
        (x**2, y**2),
        (-x, -y),
        (x > 0, y > 0),
        (x.reshape(-1, 1), y.reshape(-1, 1)),
        (x.T, y.T),
        (1.0 - x / 2.0, 1 - y / 2),
        (ops.mean(x, axis=1, keepdims=True), y.mean(1, keepdims=True)),
        (ops.concatenate([x, x * 2], axis=-1), np.concatenate([y, 2 * y], -1)),
    ]:
        model = nyala.Model(x, expression)
        np.testing.assert_allclose(ops.convert_to_numpy(model(y)), want, rtol=1e-5)
        assert tuple(n if n is not None else 5 for n in expression.shape)[1:] == want.shape[1:]


def test_nodes():
    x = nyala.Input((3,), name="x")
    dense = layers.Dense(2, name="d")
    y = dense(x)
    assert (y.node.operation, y.node.parents, dense.input, dense.output) == (dense, [x.node], x, y)
    assert (repr(y.node), y.node.index, y.tensor_index) == ("<Node 0 of d>", 0, 0)
    dense(x)
    assert (dense.input, dense.output) == (x, y)  # of its first call
    unused = layers.Dense(2, name="unused")
    assert not any(hasattr(unused, name) for name in ("input", "output", "input_shape", "output_shape"))
    with raises(NotYetError, "Dense 'unused'.output needs a call on symbolic tensors, got none.\n  fix: call it on an Input first"):
        unused.output  # noqa: B018


@pytest.mark.parametrize(
    ("what", "use"),
    [
        ("numpy.array", np.asarray),
        ("bool()", bool),
        ("float()", float),
        ("int()", int),
        ("len()", len),
        ("iteration", iter),
    ],
)
def test_no_values(what, use):
    text = (
        f"{what} of the symbolic tensor 'x' needs a tensor with values, "
        "got shape (None, 3), dtype float32, and no values: it stands for the data a model will get.\n"
        "  fix: use nyala.ops in the model, or make a Model and call it on data"
    )
    with raises(StateError, text):
        use(nyala.KerasTensor((None, 3), name="x"))


def test_names_of_operations():
    with raises(ArgumentError, "Dense(name) needs a string without '/', got 'a/b'.\n  fix: use '_' instead"):
        layers.Dense(1, name="a/b")


def test_operations_of_ones_own(on_numpy):
    class Twice(Operation):
        def call(self, x):
            return x * 2, x.shape[1]

    x = nyala.Input((3,))
    y, size = Twice()(x)
    assert (y.shape, size) == ((None, 3), 3)
    doubled, _ = Twice()(np.ones((2, 3)))
    assert doubled.sum() == 12
    with pytest.raises(NotImplementedError, match=r"^Operation needs a method call\(self, \.\.\.\)"):
        Operation()(1)


def test_unknown_sizes_follow_python_arithmetic():
    x = nyala.KerasTensor((None, 7, None))
    result = infer_symbolic(lambda t: {"a": ops.reshape(t, (t.shape[0], t.shape[1] * t.shape[2])), "b": t[:, ::2]}, x)
    assert (result["a"].shape, result["b"].shape) == ((None, None), (None, 4, None))


def test_state_is_untouched_by_inference(on_numpy):
    count = nyala.Variable(0)
    infer_symbolic(lambda x: (count.assign_add(1), x)[1], nyala.KerasTensor((2,)))
    assert int(count) == 0


def test_known_sizes_may_meet_unknown_ones_in_ops_and_layers_of_a_model():
    table = np.random.default_rng(0).standard_normal((5, 3), dtype="float32")

    class Positions(nyala.layers.Layer):
        def build(self, shape):
            self.table = self.add_weight(shape=(5, 3), initializer=nyala.initializers.Constant(table))

        def call(self, x):
            return x + self.table

    x = nyala.Input((None, 3))
    product = nyala.ops.matmul(nyala.ops.transpose(Positions()(x), (0, 2, 1)), table)
    assert Positions()(x).shape == (None, 5, 3) and product.shape == (None, 3, 3)
    model = nyala.Model(x, [product, nyala.ops.reshape(x, (-1, 7, 3))])
    values = np.random.default_rng(1).standard_normal((7, 5, 3), dtype="float32")
    found, rows = model.predict(values, verbose=0)
    np.testing.assert_allclose(found, np.swapaxes(values + table, 1, 2) @ table, rtol=1e-5, atol=1e-5)
    assert rows.shape == (5, 7, 3)


def test_unknown_leading_axes_meet_known_ones_in_products():
    a, b = nyala.KerasTensor((None, None, 2, 3)), nyala.KerasTensor((5, 3, 7))
    assert ops.matmul(a, b).shape == (None, 5, 2, 7)
    assert ops.reshape(nyala.KerasTensor((None,)), (-1, 13)).shape == (None, 13)  # any multiple fits
    assert ops.cross(nyala.KerasTensor((5, None)), nyala.KerasTensor((5, 3))).shape == (5, 3)
    vector = nyala.KerasTensor((None,))
    assert ops.layer_normalization(nyala.KerasTensor((None, 3)), vector, vector).shape == (None, 3)  # only the vectors must have 3 elements
    assert ops.conv(nyala.KerasTensor((None, 5, 3)), nyala.KerasTensor((None, 3, 7))).shape == (None, None, 7)  # any kernel up to 5 fits
