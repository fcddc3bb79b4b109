# SPDX-License-Identifier: Apache-2.0
"""Merging layers: contract, numbers, masks, unknown sizes, errors."""

import functools

import numpy as np
import pytest

import nyala
from nyala import layers
from nyala.core.errors import ArgumentError, ArgumentTypeError, ShapeError
from nyala.core.masks import set_mask
from nyala.testing import check_layer
from tests.layers.tools import array, close, mask_of, normals, raises

ELEMENTWISE = {
    "Add": sum,
    "Multiply": np.prod,
    "Average": lambda xs: sum(xs) / len(xs),
    "Maximum": lambda xs: np.maximum.reduce(xs),
    "Minimum": lambda xs: np.minimum.reduce(xs),
}


@pytest.mark.parametrize(
    ("kind", "arguments", "shapes", "unknown"),
    [
        ("Add", {}, [(2, 5, 3), (2, 3)], ()),
        ("Subtract", {}, [(2, 5, 3), (2, 5, 3)], (1,)),
        ("Multiply", {}, [(2, 5, 3), (2, 1, 3), (2, 5, 3)], ()),
        ("Average", {}, [(2, 5, 3), (2, 5, 3)], (1,)),
        ("Maximum", {}, [(2, 5, 3), (2, 5, 3)], (1,)),
        ("Concatenate", {"axis": 1}, [(2, 5, 3), (2, 2, 3)], (1,)),
        ("Dot", {"axes": (2, 1), "normalize": True}, [(2, 5, 3), (2, 3, 7)], (1,)),
    ],
)
def test_contract(kind, arguments, shapes, unknown):
    check_layer(getattr(layers, kind), arguments, normals(13, *shapes), unknown=unknown)


@pytest.mark.parametrize("kind", ELEMENTWISE)
def test_elementwise(each_engine, normal, kind):
    xs = [normal(2, 3, 5), normal(2, 1, 5), normal(2, 5)]
    aligned = [x.astype("float64") for x in np.broadcast_arrays(xs[0], xs[1], xs[2][:, None])]
    expected = np.prod(aligned, axis=0) if kind == "Multiply" else ELEMENTWISE[kind](aligned)
    close(getattr(layers, kind)()(xs), expected)
    close(getattr(layers, kind.lower())(xs), expected)


def test_subtract_and_concatenate(each_engine, normal):
    a, b, c = normal(2, 3, 5), normal(2, 3, 5), normal(2, 7, 5)
    close(layers.subtract([a, b]), a.astype("float64") - b)
    close(layers.concatenate([a, b, c], axis=1), np.concatenate([a, b, c], axis=1))
    close(layers.Concatenate()([a, b]), np.concatenate([a, b], axis=-1))


@pytest.mark.parametrize(
    ("shapes", "axes", "equation"),
    [
        ([(2, 3), (2, 3)], 1, "bi,bi->b"),
        ([(2, 3, 5), (2, 7, 5)], -1, "bik,bjk->bij"),
        ([(2, 3, 5), (2, 5)], (2, 1), "bik,bk->bi"),
        ([(2, 3, 5), (2, 7, 3)], (1, 2), "bki,bjk->bij"),
    ],
)
@pytest.mark.parametrize("normalize", [False, True])
def test_dot(each_engine, normal, shapes, axes, equation, normalize):
    x, y = (normal(*shape) for shape in shapes)
    a, b = (x.astype("float64"), y.astype("float64"))
    if normalize:
        first, second = (axes, axes) if isinstance(axes, int) else axes
        a, b = a / np.linalg.norm(a, axis=first, keepdims=True), b / np.linalg.norm(b, axis=second, keepdims=True)
    expected = np.einsum(equation, a, b)
    close(layers.dot([x, y], axes=axes, normalize=normalize), expected[:, None] if expected.ndim == 1 else expected)


def masked(x, mask):
    from nyala import ops

    x = ops.convert_to_tensor(x.copy())
    if mask is not None:
        set_mask(x, ops.convert_to_tensor(mask))
    return x


def test_masks(each_engine, normal):
    a, b = normal(2, 3, 5), normal(2, 3, 5)
    one, other = np.array([[True, False, False], [True, True, False]]), np.array([[True, True, False], [False, True, False]])
    both = [masked(a, one), masked(b, other)]
    np.testing.assert_array_equal(mask_of(layers.Add()(both)), one | other)
    np.testing.assert_array_equal(mask_of(layers.Concatenate(axis=1)(both)), np.concatenate([one, other], axis=1))
    np.testing.assert_array_equal(mask_of(layers.Concatenate()(both)), one | other)
    assert mask_of(layers.Dot(2)(both)) is None
    half = [masked(a, one), masked(b, None)]
    assert mask_of(layers.Add()(half)) is None
    np.testing.assert_array_equal(mask_of(layers.Concatenate(axis=1)(half)), np.concatenate([one, np.ones_like(one)], axis=1))


def test_sizes_known_from_the_other_input():
    some, known = layers.Input((None, 3)), layers.Input((5, 3), batch_size=2)
    assert layers.Add()([some, known]).shape == (2, 5, 3)
    assert layers.Concatenate()([some, known]).shape == (2, 5, 6)
    assert layers.Concatenate(axis=1)([some, layers.Input((5, 3))]).shape == (None, None, 3)
    assert layers.Dot((1, 1))([some, known]).shape == (2, 3, 3)


def test_dtypes():
    whole = np.array([[1, 2]], "int32")
    close(layers.Average()([whole, whole + 1]), [[1.5, 2.5]])
    assert array(layers.Add()([whole, whole])).tolist() == [[2.0, 4.0]]


def test_errors(normal):
    a, b = normal(2, 3), normal(2, 5)
    with raises(ArgumentError, "Add 'sum' needs a list of tensors, got one, of shape (2, 3).\n  fix: Add()([a, b])"):
        layers.Add(name="sum")(a)
    with raises(ArgumentError, "Subtract 'difference' needs a list of 2 tensors, got 3.\n  fix: Subtract()([a, b])"):
        layers.Subtract(name="difference")([a, a, a])
    fix = "bring them to one size first, with a Dense for example"
    with raises(
        ShapeError, f"Add 'sum' needs shapes that broadcast: sizes equal or 1, aligned at the last axis, got shapes (2, 3) and (2, 5).\n  fix: {fix}"
    ):
        layers.Add(name="sum")([a, b])
    with raises(
        ShapeError, "Add 'sum' needs inputs with the same number of samples, got shapes (2, 3) and (7, 3).\n  why: the first axis is the batch"
    ):
        layers.Add(name="sum")([a, normal(7, 3)])
    with raises(ShapeError, "Concatenate 'all' needs shapes that are equal but for axis 1, got shapes (2, 3, 5) and (2, 3, 7)."):
        layers.Concatenate(axis=1, name="all")([normal(2, 3, 5), normal(2, 3, 7)])
    with raises(
        ShapeError,
        "Dot 'product' needs equal sizes of axis 1 of the first and axis 1 of the second, and equal batches, got shapes (2, 3) and (2, 5).",
    ):
        layers.Dot(1, name="product")([a, b])
    with raises(
        ArgumentError, "Dot(axes) needs axes other than the batch, 0, got 0.\n  fix: tensors without a batch get one by ops.expand_dims(x, 0)"
    ):
        layers.Dot(0)
    with raises(ArgumentError, "Dot(axes) needs an integer or two, got (1, 2, 3)."):
        layers.Dot((1, 2, 3))
    with raises(ArgumentTypeError, "Dot(axes) needs an integer or two, got 'a'."):
        layers.Dot("a")
    with raises(ArgumentTypeError, "Concatenate(axis) needs an integer, got None."):
        layers.Concatenate(axis=None)


@pytest.mark.parametrize("kind", ["Multiply", "Maximum", "Minimum"])
@pytest.mark.parametrize("given", [(1, 1), (1, 0), (0, 1), (1, 0, 1), (1, 1, 1)])
def test_what_is_masked_is_left_out(kind, given, each_engine, normal):
    """The oracle goes from element to element; the last tensor has an axis less and so has its mask."""
    random = np.random.default_rng(3)
    values = [normal(6, 7, 3) for _ in given[:-1]] + [normal(6, 3)]
    masks = [random.random(x.shape[:-1]) < 0.5 if is_masked else None for x, is_masked in zip(values, given, strict=True)]
    expected = np.empty((6, 7, 3), "float32")
    for b, t in np.ndindex(6, 7):
        rows = [x[b, t] if x.ndim == 3 else x[b] for x in values]
        seen = [mask is None or mask[(b, t)[: mask.ndim]] for mask in masks]
        known = [row for row, is_seen in zip(rows, seen, strict=True) if is_seen]
        expected[b, t] = (
            ELEMENTWISE[kind](np.array(known), **({"axis": 0} if kind == "Multiply" else {})) if known else rows[0] * (kind != "Multiply")
        )
    merged = getattr(layers, kind)()([masked(x, mask) for x, mask in zip(values, masks, strict=True)])
    np.testing.assert_allclose(array(merged), expected, rtol=1e-6)
    if all(given):
        seen = functools.reduce(np.logical_or, [mask if mask.ndim == 2 else mask[:, None] for mask in masks])
        np.testing.assert_array_equal(mask_of(merged), np.broadcast_to(seen, mask_of(merged).shape))
        assert mask_of(layers.Add()([masked(x, mask) for x, mask in zip(values, masks, strict=True)])).shape == (6, 7)


def test_concatenate_leaves_masks_of_another_shape_alone(normal):
    """A layer that sums over time and hands on its mask, as many programs have, masks nothing behind."""
    summed, other = array(normal(2, 5)), array(normal(2, 3))
    summed = nyala.ops.convert_to_tensor(summed)
    set_mask(summed, nyala.ops.ones((2, 7), "bool"))
    joined = layers.Concatenate()([summed, other])
    assert joined.shape == (2, 8) and mask_of(joined) is None
