# SPDX-License-Identifier: Apache-2.0
"""Convolutions and pooling against loops over windows, in one to three axes, and the laws that join them."""

import itertools

import numpy as np
import pytest

from nyala import ops
from nyala.core.symbolic import Symbolic
from nyala.engines import backend
from tests.ops.table import Row, checks, different, engines, normal


def several(value, n):
    return tuple(value) if isinstance(value, tuple) else (value,) * n


def padding_of(name, size, span, stride):
    if name == "causal":
        return span - 1, 0
    total = 0 if name == "valid" else max((-(-size // stride) - 1) * stride + span - size, 0)
    return total // 2, total - total // 2


def last(x, data_format):
    return np.moveaxis(x, 1, -1) if data_format == "channels_first" else x


def unlast(x, data_format):
    return np.moveaxis(x, -1, 1) if data_format == "channels_first" else x


def windows(x, window, strides, padding, dilation, fill):
    """Yields (position, (b, *window, c)), for x with channels last."""
    n = x.ndim - 2
    spans = [d * (k - 1) + 1 for k, d in zip(window, dilation, strict=True)]
    pads = [padding_of(padding, s, span, step) for s, span, step in zip(x.shape[1:-1], spans, strides, strict=True)]
    x = np.pad(x, [(0, 0), *pads, (0, 0)], constant_values=fill)
    counts = [(s - span) // step + 1 for s, span, step in zip(x.shape[1:-1], spans, strides, strict=True)]
    for position in itertools.product(*map(range, counts)):
        block = tuple(slice(p * step, p * step + span, d) for p, step, span, d in zip(position, strides, spans, dilation, strict=True))
        yield position, x[(slice(None), *block)], counts
    assert n


def conv(x, kernel, strides=1, padding="valid", data_format="channels_last", dilation_rate=1):
    x = last(x, data_format)
    n, (*window, depth, outputs) = x.ndim - 2, kernel.shape
    groups, result = x.shape[-1] // depth, None
    for position, block, counts in windows(x, tuple(window), several(strides, n), padding, several(dilation_rate, n), 0):
        if result is None:
            result = np.zeros((x.shape[0], *counts, outputs))
        for g in range(groups):
            share = slice(g * outputs // groups, (g + 1) * outputs // groups)
            part = block[..., g * depth : (g + 1) * depth].reshape(x.shape[0], -1) @ kernel[..., share].reshape(-1, outputs // groups)
            result[(slice(None), *position, share)] = part
    return unlast(result, data_format)


def depthwise_conv(x, kernel, **options):
    *window, channels, multiplier = kernel.shape
    return conv(x, kernel.reshape(*window, 1, channels * multiplier), **options)


def separable_conv(x, depthwise, pointwise, **options):
    return conv(depthwise_conv(x, depthwise, **options), pointwise, data_format=options.get("data_format", "channels_last"))


def conv_transpose(x, kernel, strides=1, padding="valid", output_padding=None, data_format="channels_last", dilation_rate=1):
    x = last(x, data_format)
    n = x.ndim - 2
    strides, dilation, extra = several(strides, n), several(dilation_rate, n), several(output_padding, n)
    spans = [d * (k - 1) + 1 for k, d in zip(kernel.shape[:-2], dilation, strict=True)]
    whole = [(s - 1) * step + span for s, step, span in zip(x.shape[1:-1], strides, spans, strict=True)]
    sizes, cut = [], []
    for s, step, span, all_of_it, e in zip(x.shape[1:-1], strides, spans, whole, extra, strict=True):
        if padding == "valid":
            sizes.append(s * step + max(span - step, 0) if e is None else all_of_it + e)
            cut.append(0)
        else:
            sizes.append(s * step if e is None else all_of_it - 2 * (span // 2) + e)
            cut.append(max((all_of_it - sizes[-1]) // 2, 0))
    result = np.zeros((x.shape[0], *(max(w, c + s) for w, c, s in zip(whole, cut, sizes, strict=True)), kernel.shape[-2]))
    for position in itertools.product(*map(range, x.shape[1:-1])):
        for tap in itertools.product(*map(range, kernel.shape[:-2])):
            place = tuple(p * s + t * d for p, s, t, d in zip(position, strides, tap, dilation, strict=True))
            result[(slice(None), *place)] += x[(slice(None), *position)] @ kernel[tap].T
    kept = tuple(slice(c, c + s) for c, s in zip(cut, sizes, strict=True))
    return unlast(result[(slice(None), *kept)], data_format)


def pool(reduce, fill):
    def run(x, pool_size, strides=None, padding="valid", data_format="channels_last"):
        x = last(x, data_format)
        n, result = x.ndim - 2, None
        window = several(pool_size, n)
        for position, block, counts in windows(x.astype(float), window, window if strides is None else several(strides, n), padding, (1,) * n, fill):
            if result is None:
                result = np.zeros((x.shape[0], *counts, x.shape[-1]))
            result[(slice(None), *position)] = reduce(block, tuple(range(1, n + 1)))
        return unlast(result, data_format)

    return run


def adaptive_pool(reduce):
    def run(x, output_size, data_format="channels_last"):
        x = last(x, data_format)
        n = x.ndim - 2
        counts = several(output_size, n)
        result = np.zeros((x.shape[0], *counts, x.shape[-1]))
        for position in itertools.product(*map(range, counts)):
            window = (slice(int(np.floor(i * s / o)), int(np.ceil((i + 1) * s / o))) for i, s, o in zip(position, x.shape[1:-1], counts, strict=True))
            result[(slice(None), *position)] = reduce(x[(slice(None), *window)], tuple(range(1, n + 1)))
        return unlast(result, data_format)

    return run


def first_3d(data_format):
    return {"data_format": data_format, "padding": "same", "strides": (1, 2, 1)}


ROWS = [
    Row(
        "conv",
        conv,
        [normal(2, 7, 3), normal(3, 3, 5)],
        [
            {},
            {"strides": 2, "padding": "same"},
            {"padding": "causal"},
            {"dilation_rate": 2},
            {"padding": "same", "strides": 2, "dilation_rate": 2},
            {"strides": (3,)},
        ],
        dtype="float",
        takes="float",
        more=[
            ([normal(2, 7, 5, 4), normal(3, 2, 2, 6)], {"strides": (2, 1), "padding": "same"}),
            ([normal(2, 3, 7, 5), normal(3, 2, 3, 4)], {"data_format": "channels_first"}),
            ([normal(2, 3, 5, 4, 2), normal(2, 3, 1, 2, 3)], {"padding": "same"}),
            ([normal(2, 2, 5, 3, 4), normal(1, 3, 2, 2, 3)], first_3d("channels_first")),
            ([normal(2, 5, 6, 3), normal(1, 1, 3, 4)], {"strides": 2}),
        ],
        errors=[
            (
                [normal(2, 7, 3), normal(3, 2, 5)],
                {},
                "conv(kernel) needs shape (*k, c / groups, o) of rank 3 for 3 input channels, got shape (3, 2, 5).\n"
                "  why: the groups share the input channels and the outputs evenly",
            ),
            (
                [normal(2, 3, 3), normal(5, 3, 2)],
                {},
                "conv needs a window that fits into the input, got size 3 for a window of 5.\n  why: with padding='valid' nothing would be left\n"
                "  fix: use padding='same', a smaller window or a larger input",
            ),
            (
                [normal(2, 7, 3), normal(3, 3, 5)],
                {"padding": "full"},
                "conv(padding) needs 'valid', 'same' or, with one spatial axis, 'causal', got 'full'.",
            ),
            (
                [normal(2, 7, 3), normal(3, 3, 5)],
                {"strides": 0},
                "conv(strides) needs a positive integer, or 1 of them, one per spatial axis, got 0.",
            ),
            ([normal(2, 7, 3), normal(3, 3, 5)], {"data_format": "NCHW"}, "conv(data_format) needs 'channels_first' or 'channels_last', got 'NCHW'."),
        ],
    ),
    Row(
        "depthwise_conv",
        depthwise_conv,
        [normal(2, 7, 3), normal(3, 3, 2)],
        [{}, {"strides": 2, "padding": "same"}, {"dilation_rate": 2}],
        dtype="float",
        takes="float",
        more=[
            ([normal(2, 5, 7, 3), normal(2, 3, 3, 1)], {"padding": "same"}),
            ([normal(2, 3, 5, 7), normal(3, 2, 3, 2)], {"data_format": "channels_first"}),
        ],
        errors=[([normal(2, 7, 3), normal(3, 2, 2)], {}, "depthwise_conv(kernel) needs shape (*k, 3, m) of rank 3, got shape (3, 2, 2).")],
    ),
    Row(
        "separable_conv",
        separable_conv,
        [normal(2, 7, 3), normal(3, 3, 2), normal(1, 6, 5)],
        [{}, {"strides": 2, "padding": "same"}],
        dtype="float",
        takes="float",
        more=[([normal(2, 3, 5, 7), normal(3, 2, 3, 2), normal(1, 1, 6, 4)], {"data_format": "channels_first"})],
    ),
    Row(
        "conv_transpose",
        conv_transpose,
        [normal(2, 5, 3), normal(3, 2, 3)],
        [{"strides": s, "padding": p, "output_padding": e} for s, p, e in itertools.product((1, 2, 4), ("valid", "same"), (None, 0, 1))]
        + [{"dilation_rate": 2, "padding": "same"}],
        dtype="float",
        takes="float",
        more=[
            ([normal(2, 3, 5, 3), normal(2, 3, 4, 3)], {"strides": (2, 3), "padding": "same"}),
            ([normal(2, 3, 5, 4), normal(4, 2, 5, 3)], {"strides": 2, "padding": "same", "data_format": "channels_first", "output_padding": (1, 0)}),
            ([normal(2, 2, 3, 2, 3), normal(2, 1, 3, 2, 3)], {"strides": (1, 2, 2)}),
        ],
        errors=[
            ([normal(2, 5, 3), normal(3, 3, 2)], {}, "conv_transpose(kernel) needs shape (*k, o, 3) of rank 3, got shape (3, 3, 2)."),
            ([normal(2, 5, 3), normal(3, 2, 3)], {"padding": "causal"}, "conv_transpose(padding) needs 'valid' or 'same', got 'causal'."),
            (
                [normal(2, 5, 3), normal(3, 2, 3)],
                {"output_padding": -1},
                "conv_transpose(output_padding) needs None, an integer from 0, or 1 of them, got -1.",
            ),
        ],
    ),
    Row(
        "max_pool",
        pool(np.max, -np.inf),
        [different(2, 7, 3), 2],
        [{}, {"strides": 1, "padding": "same"}, {"strides": 3}, {"strides": 2, "padding": "same"}],
        takes="float integer",
        more=[
            ([different(2, 5, 7, 3), (2, 3)], {"padding": "same"}),
            ([different(2, 3, 5, 7), 3], {"data_format": "channels_first", "strides": 1}),
            ([different(2, 3, 4, 5, 2), (2, 1, 3)], {"padding": "same", "strides": 2}),
        ],
        errors=[
            ([normal(2, 7, 3), (2, 2)], {}, "max_pool(pool_size) needs a positive integer, or 1 of them, one per spatial axis, got (2, 2)."),
            (
                [normal(7, 3), 2],
                {},
                "max_pool(inputs) needs a tensor with a batch axis, one to three spatial axes and a channel axis, got shape (7, 3).",
            ),
        ],
    ),
    Row(
        "average_pool",
        pool(np.nanmean, np.nan),
        [normal(2, 7, 3), 3],
        [{}, {"strides": 1, "padding": "same"}, {"strides": 2, "padding": "same"}],
        dtype="float",
        takes="float integer",
        more=[
            ([normal(2, 5, 7, 3), (2, 3)], {"padding": "same"}),
            ([normal(2, 3, 5, 7), 3], {"data_format": "channels_first", "strides": 1}),
            ([normal(2, 3, 4, 5, 2), (2, 1, 3)], {"padding": "same", "strides": 2}),
        ],
    ),
    *(
        Row(
            name,
            adaptive_pool(reduce),
            [different(2, 7, 3), 3],
            dtype="float" if reduce is np.mean else "same",
            takes="float integer",
            more=[
                ([different(2, 7, 5, 3), (2, 4)], {}),
                ([different(2, 3, 7, 5), (3, 1)], {"data_format": "channels_first"}),
                ([different(2, 6, 5, 3, 2), (3, 7, 2)], {}),  # halves, more windows than places, and windows that overlap
            ],
            errors=[
                (
                    [normal(2, 7, 5, 3), (2, 0)],
                    {},
                    f"{name}(output_size) needs a positive integer, or 2 of them, one per spatial axis, got (2, 0).",
                ),
                ([normal(2, 0, 3), 2], {}, f"{name}(inputs) needs places to pool, got shape (2, 0, 3)."),
            ],
        )
        for name, reduce in (("adaptive_average_pool", np.mean), ("adaptive_max_pool", np.max))
    ),
]

globals().update(checks(ROWS))


@pytest.mark.parametrize("name", engines())
@pytest.mark.parametrize(("stride", "window"), [(1, 3), (2, 3), (3, 2), (2, 1)])
def test_transposed_convolution_is_the_adjoint(name, stride, window):
    """<conv(x), y> = <x, conv_transpose(y)> where the convolution reaches all of x."""
    g = np.random.default_rng(stride)
    y, kernel = g.normal(size=(2, 5, 4)).astype("float32"), g.normal(size=(window, 3, 4)).astype("float32")
    x = g.normal(size=(2, 4 * stride + window, 3)).astype("float32")
    with backend(name):
        forward = ops.convert_to_numpy(ops.conv(x, kernel, stride))
        back = ops.convert_to_numpy(ops.conv_transpose(y, kernel, stride, output_padding=0))
    np.testing.assert_allclose((forward * y).sum(), (x * back).sum(), rtol=2e-5, atol=1e-4)


@pytest.mark.parametrize("name", engines())
def test_causal_convolution_does_not_look_ahead(name):
    g = np.random.default_rng(0)
    x, kernel = g.normal(size=(1, 7, 2)).astype("float32"), g.normal(size=(3, 2, 2)).astype("float32")
    changed = x.copy()
    changed[:, 4:] += 1.0
    with backend(name):
        a, b = (ops.convert_to_numpy(ops.conv(v, kernel, padding="causal", dilation_rate=2)) for v in (x, changed))
    np.testing.assert_array_equal(a[:, :4], b[:, :4])
    assert (a[:, 4:] != b[:, 4:]).any()


def test_unknown_spatial_sizes_stay_unknown():
    assert ops.conv(Symbolic((None, None, 3)), Symbolic((3, 3, 5)), padding="same").shape == (None, None, 5)
    assert ops.max_pool(Symbolic((None, None, 7, 3)), 2).shape == (None, None, 3, 3)
    assert ops.conv_transpose(Symbolic((None, 4, None, 3)), Symbolic((3, 3, 5, 3)), 2, "same").shape == (None, 8, None, 5)


def test_the_largest_of_bools():
    x = np.zeros((1, 4, 5, 1), bool)
    x[0, 1, 3] = True
    for engine in engines():
        with backend(engine):
            result = ops.convert_to_numpy(ops.max_pool(x, 2))
        assert (result.dtype, result[0, :, :, 0].tolist()) == (bool, [[False, True], [False, False]])
    assert ops.max_pool(Symbolic((None, 4, 5, 1), "bool"), 2).dtype == "bool"
