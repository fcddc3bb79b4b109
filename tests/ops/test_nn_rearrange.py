# SPDX-License-Identifier: Apache-2.0
"""Blocks as channels and windows as columns: against loops over places, and the laws that join each with its way back."""

import itertools

import numpy as np
import pytest

from nyala import ops
from nyala.core.symbolic import Symbolic
from nyala.engines import backend
from tests.ops.table import Row, argument_names, checks, engines, normal

FIRST = {"data_format": "channels_first"}


def pair(value):
    return tuple(value) if isinstance(value, (tuple, list)) else (value, value)


def space_to_depth(x, block_size, data_format="channels_last"):
    """Place by place of the result: the block it stands for."""
    first, n = data_format == "channels_first", block_size
    x = np.moveaxis(x, 1, -1) if first else x
    b, h, w, c = x.shape
    result = np.zeros((b, h // n, w // n, n * n * c), x.dtype)
    for i, j in itertools.product(range(h // n), range(w // n)):
        block = x[:, i * n : (i + 1) * n, j * n : (j + 1) * n]  # b n n c
        result[:, i, j] = (np.moveaxis(block, -1, 1) if first else block).reshape(b, -1)
    return np.moveaxis(result, -1, 1) if first else result


def depth_to_space(x, block_size, data_format="channels_last"):
    """By where space_to_depth takes each number from."""
    first, n = data_format == "channels_first", block_size
    b, *sizes, depth = np.moveaxis(x, 1, -1).shape if first else x.shape
    shape = (b, *(n * size for size in sizes), depth // n**2)
    shape = (b, shape[-1], *shape[1:-1]) if first else shape
    numbers = np.arange(x.size).reshape(shape)
    result = np.zeros(x.size, x.dtype)
    result[space_to_depth(numbers, n, data_format).ravel()] = x.ravel()
    return result.reshape(shape)


def windows(sizes, kernel_size, dilation, padding, stride):
    """(number of the window, number of the place in it, row and column in the image) of each place of each window."""
    counts = [
        (size + 2 * p - d * (k - 1) - 1) // s + 1
        for size, k, d, p, s in zip(sizes, *map(pair, (kernel_size, dilation, padding, stride)), strict=True)
    ]
    (kh, kw), (dh, dw), (ph, pw), (sh, sw) = map(pair, (kernel_size, dilation, padding, stride))
    for (i, j), (u, v) in itertools.product(itertools.product(*map(range, counts)), itertools.product(range(kh), range(kw))):
        yield i * counts[1] + j, u * kw + v, i * sh + u * dh - ph, j * sw + v * dw - pw


def unfold(x, kernel_size, dilation=1, padding=0, stride=1):
    b, c, *sizes = x.shape
    places = list(windows(sizes, kernel_size, dilation, padding, stride))
    result = np.zeros((b, c, 1 + max(p[1] for p in places), 1 + max(p[0] for p in places)), x.dtype)
    for window, place, row, column in places:
        if 0 <= row < sizes[0] and 0 <= column < sizes[1]:
            result[:, :, place, window] = x[:, :, row, column]
    return result.reshape(b, -1, result.shape[-1])


def fold(x, output_size, kernel_size, dilation=1, padding=0, stride=1):
    sizes = pair(output_size)
    columns = x.reshape(x.shape[0], -1, int(np.prod(pair(kernel_size))), x.shape[-1])
    result = np.zeros((*columns.shape[:2], *sizes), x.dtype)
    for window, place, row, column in windows(sizes, kernel_size, dilation, padding, stride):
        if 0 <= row < sizes[0] and 0 <= column < sizes[1]:
            result[:, :, row, column] += columns[:, :, place, window]
    return result


ROWS = [
    Row(
        "space_to_depth",
        space_to_depth,
        [normal(2, 6, 9, 5), 3],
        more=[([normal(3, 4, 10, 2), 2], {}), ([normal(2, 5, 9, 6), 3], FIRST)],
        errors=[
            ([normal(2, 6, 7, 5), 3], {}, "space_to_depth(x) needs a height and width that 3 divides, got 6 and 7."),
            ([normal(6, 9, 5), 3], {}, "space_to_depth(x) needs a tensor of images, with 4 axes, got shape (6, 9, 5)."),
            ([normal(2, 6, 9, 5), 1], {}, "space_to_depth(block_size) needs an integer of at least 2, got 1."),
            (
                [normal(2, 6, 9, 5), 3],
                {"data_format": "NCHW"},
                "space_to_depth(data_format) needs 'channels_first' or 'channels_last', got 'NCHW'.",
            ),
        ],
    ),
    Row(
        "depth_to_space",
        depth_to_space,
        [normal(2, 3, 5, 18), 3],
        more=[([normal(3, 2, 5, 8), 2], {}), ([normal(2, 12, 5, 3), 2], FIRST)],
        errors=[
            (
                [normal(2, 3, 5, 6), 2],
                {},
                "depth_to_space(x) needs a multiple of 4 channels, got 6 (shape (2, 3, 5, 6)).\n  why: each block has 2 by 2 places",
            ),
            ([normal(2, 3, 5, 8), 2.0], {}, "depth_to_space(block_size) needs an integer of at least 2, got 2.0."),
        ],
    ),
    Row(
        "unfold",
        unfold,
        [normal(2, 3, 7, 5), (2, 3)],
        [{}, {"stride": 2}, {"padding": (1, 2), "dilation": (3, 1)}, {"stride": (3, 1), "padding": 1}],
        more=[([normal(2, 2, 5, 3), 3], {"dilation": 2, "padding": 1})],
        errors=[
            ([normal(3, 7, 5), 2], {}, "unfold(x) needs a tensor of images (b, c, h, w), got shape (3, 7, 5)."),
            ([normal(2, 3, 7, 5), (3, 6)], {}, "unfold needs a window that fits into the image, got size 5 for a window of 6."),
            ([normal(2, 3, 7, 5), 2], {"padding": -1}, "unfold(padding) needs an integer from 0, or two of them, got -1."),
            ([normal(2, 3, 7, 5), 2], {"stride": 0}, "unfold(stride) needs a positive integer, or 2 of them, one per spatial axis, got 0."),
        ],
    ),
    Row(
        "fold",
        fold,
        [normal(2, 18, 18), (7, 5), (2, 3)],
        more=[
            ([normal(2, 12, 6), (7, 5), (2, 3)], {"stride": 2}),  # the last row of the image is in no window
            ([normal(2, 18, 42), (7, 5), (2, 3)], {"padding": (1, 2), "dilation": (3, 1)}),
            ([normal(2, 8, 25), 5, 2], {"dilation": 2, "padding": 1}),
        ],
        errors=[
            (
                [normal(2, 18, 17), (7, 5), (2, 3)],
                {},
                "fold(x) needs shape (b, c * 6, 18), got shape (2, 18, 17).\n  why: images of (7, 5) have 18 windows of 6 places",
            ),
            ([normal(2, 4, 6), (0, 5), 2], {}, "fold(output_size) needs a positive integer, or 2 of them, one per spatial axis, got (0, 5)."),
        ],
    ),
]

globals().update(checks(ROWS))


@pytest.mark.parametrize("name", engines())
@pytest.mark.parametrize("options", [{"kernel_size": (2, 3), "stride": (3, 2), "padding": 1}, {"kernel_size": 3, "dilation": 2}])
def test_fold_is_the_adjoint_of_unfold(name, options):
    g = np.random.default_rng(3)
    x = g.normal(size=(2, 3, 7, 5)).astype("float32")
    with backend(name):
        columns = ops.convert_to_numpy(ops.unfold(x, **options))
        y = g.normal(size=columns.shape).astype("float32")
        back = ops.convert_to_numpy(ops.fold(y, (7, 5), **options))
    np.testing.assert_allclose((columns * y).sum(), (x * back).sum(), rtol=2e-5, atol=1e-4)


@pytest.mark.parametrize("name", engines())
@pytest.mark.parametrize("data_format", ["channels_first", "channels_last"])
def test_depth_to_space_is_the_way_back(name, data_format):
    x = np.random.default_rng(4).normal(size=(2, 6, 4, 6)).astype("float32")
    with backend(name):
        there = ops.space_to_depth(x, 2, data_format)
        np.testing.assert_array_equal(ops.convert_to_numpy(ops.depth_to_space(there, 2, data_format)), x)


def test_windows_that_touch_fold_back_into_the_image():
    x = np.random.default_rng(5).normal(size=(2, 3, 6, 10)).astype("float32")
    columns = ops.unfold(x, (3, 5), stride=(3, 5))
    np.testing.assert_array_equal(ops.convert_to_numpy(ops.fold(columns, (6, 10), (3, 5), stride=(3, 5))), x)


def test_unknown_sizes_stay_unknown():
    assert ops.depth_to_space(Symbolic((None, None, 7, 8)), 2).shape == (None, None, 14, 2)
    assert ops.space_to_depth(Symbolic((None, 3, None, 4)), 2, "channels_first").shape == (None, 12, None, 2)
    assert ops.unfold(Symbolic((None, 3, 7, None)), 2).shape == (None, 12, None)
    assert ops.adaptive_max_pool(Symbolic((None, None, 7, None)), (2, 3)).shape == (None, 2, 3, None)


@pytest.mark.parametrize(
    "signature",
    [
        "adaptive_average_pool(inputs, output_size, data_format=None)",
        "adaptive_max_pool(inputs, output_size, data_format=None)",
        "depth_to_space(x, block_size, data_format='channels_last')",
        "fold(x, output_size, kernel_size, dilation=1, padding=0, stride=1)",
        "space_to_depth(x, block_size, data_format='channels_last')",
        "unfold(x, kernel_size, dilation=1, padding=0, stride=1)",
    ],
)
def test_arguments_and_defaults(signature):
    name, _, rest = signature.partition("(")
    assert argument_names(name) == rest.removesuffix(")")
    assert getattr(ops.nn, name) is getattr(ops, name)
