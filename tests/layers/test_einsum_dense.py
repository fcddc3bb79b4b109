# SPDX-License-Identifier: Apache-2.0
"""EinsumDense: contract, einsum in float64, shapes of weights, fans, errors."""

import numpy as np
import pytest

import nyala
from nyala import layers
from nyala.core.errors import ArgumentError, ShapeError
from nyala.testing import check_layer
from tests.layers.tools import array, close, normals, raises

CASES = [  # equation, output_shape, bias_axes, shape of the input, kernel, bias
    ("ab,bc->ac", 7, "c", (3, 5), (5, 7), (7,)),
    ("abc,cd->abd", (None, 7), None, (2, 3, 5), (5, 7), None),
    ("abc,dce->abde", (None, 2, 7), "d", (2, 3, 5), (2, 5, 7), (2, 1)),
    ("abc,bcd->adb", (7, 3), "db", (2, 3, 5), (3, 5, 7), (7, 3)),
    ("btd,dhk->bhtk", (3, None, 2), "hk", (2, 5, 7), (7, 3, 2), (3, 1, 2)),
    ("...x,xy->...y", 7, "y", (2, 3, 5), (5, 7), (7,)),
    ("...x,xy->...y", (None, 7), "y", (2, 3, 5), (5, 7), (7,)),
    ("ab...,bc->ac...", (7, None), "c", (2, 3, 5), (3, 7), (7, 1)),
    ("ab,bc->abc", (None, 7), "bc", (2, 5), (5, 7), (5, 7)),
]


@pytest.mark.parametrize("case", [CASES[0], CASES[4], CASES[7]], ids=lambda case: case[0])
def test_contract(case):
    equation, sizes, bias, shape, _, _ = case
    arguments = {"equation": equation, "output_shape": sizes, "bias_axes": bias, "activation": "tanh", "kernel_regularizer": "l2"}
    check_layer(layers.EinsumDense, arguments, normals(7, shape), unknown=(1,) if equation == "btd,dhk->bhtk" else ())


@pytest.mark.parametrize("case", CASES, ids=lambda case: case[0])
def test_numbers(each_engine, case):
    equation, sizes, bias_axes, shape, kernel_shape, bias_shape = case
    x, layer = normals(3, shape), layers.EinsumDense(equation, sizes, bias_axes=bias_axes)
    layer(x)
    assert [w.shape for w in layer.weights] == [kernel_shape] + ([] if bias_shape is None else [bias_shape])
    weights = [normals(5 + i, w.shape) for i, w in enumerate(layer.weights)]
    layer.set_weights(weights)
    kernel, bias = (*weights, np.float32(0.0))[:2]
    close(layer(x), np.einsum(equation, x.astype("float64"), kernel.astype("float64")) + bias)


def test_symbols():
    layer = layers.EinsumDense("abc,cd->abd", (None, 7))
    assert layer(nyala.Input((None, 5))).shape == (None, None, 7)
    assert layers.EinsumDense("abc,cd->abd", (None, 7)).compute_output_shape((None, 3, 5)) == (None, 3, 7)
    assert layer.get_config()["output_shape"] == [None, 7]
    assert layers.EinsumDense("ab,bc->ac", 7).get_config()["output_shape"] == [7]


@pytest.mark.parametrize(
    ("equation", "sizes", "shape", "fans"),
    [
        ("abc,cde->abde", (None, 20, 70), (2, 3, 50), (50, 1400)),
        ("abc,dce->abde", (None, 20, 70), (2, 3, 50), (50, 1400)),
        ("abc,bcd->abd", (30, 70), (2, 30, 50), (50, 2100)),
        ("abcd,cde->abe", (None, 70), (2, 3, 20, 50), (1000, 70)),
    ],
)
def test_the_width_of_the_first_kernel(equation, sizes, shape, fans):
    """The inputs of a unit are the axes that the sum runs over, wherever they stand in the kernel."""
    layer = layers.EinsumDense(equation, sizes)
    layer.build(shape)
    limit = np.sqrt(6 / sum(fans))
    assert 0.99 * limit < np.abs(array(layer.kernel.value)).max() <= limit
    assert layer.get_config()["kernel_initializer"]["config"]["input_axes"] is None
    normal = layers.EinsumDense(equation, sizes, kernel_initializer="lecun_normal")
    normal.build(shape)
    assert array(normal.kernel.value).std() == pytest.approx(fans[0] ** -0.5, rel=0.03)
    other = layers.EinsumDense(equation, sizes, kernel_initializer="ones")
    other.build(shape)
    assert (array(other.kernel.value) == 1).all()


FORM = "letters as 'ab,bc->ac', '...b,bc->...c' or 'ab...,bc->ac...'"


@pytest.mark.parametrize(
    ("make", "kind", "text"),
    [
        (lambda: layers.EinsumDense("ab,bc", 7), ArgumentError, f"EinsumDense(equation) needs {FORM}, got 'ab,bc'."),
        (lambda: layers.EinsumDense("...b,bc->c", 7), ArgumentError, f"EinsumDense(equation) needs {FORM}, got '...b,bc->c'."),
        (lambda: layers.EinsumDense("ab,cb->ad", 7), ArgumentError,
         "EinsumDense(equation) needs each letter of the kernel in the input or the result, and each of the result in the input or the kernel, "
         "got 'ab,cb->ad', where 'c' stands alone."),
        (lambda: layers.EinsumDense("ab,bc->ac", (7, 8)), ArgumentError,
         "EinsumDense(output_shape) needs 1 sizes, as 'ab,bc->ac' has behind the batch, got (7, 8)."),
        (lambda: layers.EinsumDense("ab,bc->ac", -1), ArgumentError,
         "EinsumDense(output_shape) needs positive integers, None where the input decides, got -1."),
        (lambda: layers.EinsumDense("ab,bc->ac", 7, bias_axes="d"), ArgumentError,
         "EinsumDense(bias_axes) needs letters of the result 'ac', or None, got 'd'."),
        (lambda: layers.EinsumDense("abc,cd->abd", (4, 7), name="e")(np.ones((2, 3, 5), "float32")), ShapeError,
         "EinsumDense 'e' needs size 4 of axis 'b', as output_shape says, got 3 (shape (2, 3, 5))."),
        (lambda: layers.EinsumDense("abc,cd->abd", (None, 7), name="e").build((2, 3)), ShapeError,
         "EinsumDense 'e' needs an input with 3 axes, 'abc', got 2 (shape (2, 3))."),
        (lambda: layers.EinsumDense("abc,cd->abd", (None, 7), bias_axes="bd", name="e")(nyala.Input((None, 5))), ShapeError,
         "EinsumDense 'e' needs known sizes of all axes of its weights, got shape (None, None, 5) and output_shape (None, 7)."),
    ],
)  # fmt: skip
def test_errors(make, kind, text):
    with raises(kind, text):
        make()


def test_the_wrong_number_of_features():
    layer = layers.EinsumDense("...x,xy->...y", 7, name="e")
    layer(np.ones((2, 5), "float32"))
    with pytest.raises(ShapeError, match=r"EinsumDense 'e' needs an input whose last axis is 5, got shape \(2, 3\)"):
        layer(np.ones((2, 3), "float32"))
