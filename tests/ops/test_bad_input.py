# SPDX-License-Identifier: Apache-2.0
"""Every family of ops says what it needed and what it got instead: one table, exact texts. Start at ROWS."""

import numpy as np
import pytest

import nyala
from nyala import ops
from nyala.core.errors import DTypeError, NyalaError
from tests.layers.tools import raises

X, SQUARE = np.arange(6.0, dtype="float32").reshape(2, 3), np.arange(9.0, dtype="float32").reshape(3, 3)
IMAGES, SEQUENCE = np.zeros((2, 7, 8, 3), "float32"), np.zeros((2, 7, 3), "float32")

ROWS = [
    (lambda: ops.matmul(X, X), "matmul needs the last axis of x1 (3) equal to the last but one axis of x2 (2), got (2, 3) and (2, 3)."),
    (lambda: ops.dot(X, X), "dot needs axis 1 of x1 (3) equal to axis 0 of x2 (2), got (2, 3) and (2, 3)."),
    (lambda: ops.einsum("ij,jk->ik", X, X), "einsum('ij,jk->ik') needs one size for 'j', got 3 and 2, in shapes (2, 3) and (2, 3)."),
    (lambda: ops.einsum("ij,j", X, X), "einsum('ij,j') needs 1 axes in operand 1, as 'j' says, got 2 axes."),
    (lambda: ops.einsum("i->", X), "einsum('i->') needs 1 axes in operand 0, as 'i' says, got 2 axes."),
    (lambda: ops.tensordot(X, X, axes=1), "tensordot needs axis 1 of x1 (3) equal to axis 0 of x2 (2), got (2, 3) and (2, 3)."),
    (
        lambda: ops.add(X, SQUARE[:2, :2]),
        "add needs shapes that broadcast: sizes equal or 1, aligned at the last axis, got shapes (2, 3) and (2, 2).",
    ),
    (lambda: ops.add(X, [1.0, 2.0]), "add needs shapes that broadcast: sizes equal or 1, aligned at the last axis, got shapes (2, 3) and (2,)."),
    (lambda: ops.array([[1], [2, 3]], "float32"), "a tensor needs lists of equal length, got a ragged list."),
    (lambda: ops.ptp([True, False]), "ptp needs numbers, got bool."),
    (lambda: ops.segment_sum(X, [0.0, 1.0], 2), "segment_sum(segment_ids) needs integers, got float32."),
    (lambda: ops.view_as_complex(np.asarray([[1j, 2j]], "complex64")), "view_as_complex needs real numbers, got complex64."),
    (lambda: nyala.tree.map_structure(len), "map_structure needs at least one structure, got none."),
    (lambda: ops.rfft(X, 0), "rfft(fft_length) needs an integer of at least 1, got 0."),
    (lambda: ops.irfft((X[:, :1], X[:, :1])), "irfft(fft_length) needs an integer of at least 1, got 0."),
    (lambda: ops.concatenate([X, SQUARE[:, :2]], 0), "concatenate needs shapes that are equal but for axis 0, got (2, 3) and (3, 2)."),
    (lambda: ops.stack([X, SQUARE]), "stack needs tensors of one shape, got (2, 3) and (3, 3)."),
    (lambda: ops.reshape(X, (4,)), "reshape needs a new shape of 6 elements, as (2, 3) has, got (4,)."),
    (lambda: ops.reshape(X, (-1, -1)), "reshape(newshape) needs sizes of at least 0, and -1 at most once, got (-1, -1)."),
    (lambda: ops.reshape(X, (2, -3)), "reshape(newshape) needs sizes of at least 0, and -1 at most once, got (2, -3)."),
    (lambda: ops.broadcast_to(X, (5, 3)), "broadcast_to needs a shape that (2, 3) broadcasts to, got (5, 3)."),
    (lambda: ops.transpose(X, (0, 0)), "transpose(axes) needs each of the 2 axes once, got (0, 0)."),
    (lambda: ops.split(X, 2, axis=1), "split needs a number of sections that divides the size 3 of axis 1, got 2."),
    (lambda: ops.split(X, -1), "split needs a number of sections that divides the size 2 of axis 0, got -1."),
    (lambda: ops.repeat(X, -1), "repeat(repeats) needs integers from 0, got -1."),
    (lambda: ops.tile(X, -1), "tile(repeats) needs numbers of at least 0, got -1."),
    (lambda: ops.pad(X, ((1,), (2,), (3,))), "pad(pad_width) needs n, (before, after), or 2 such pairs, as x has 2 axes, got ((1,), (2,), (3,))."),
    (lambda: ops.pad(X, -1), "pad(pad_width) needs widths of at least 0, got -1."),
    (lambda: ops.squeeze(X, 0), "squeeze(axis) needs axes of size 1, got axis 0 of shape (2, 3)."),
    (lambda: ops.zeros((-1, 2)), "zeros(shape) needs sizes of at least 0, got (-1, 2)."),
    (lambda: ops.ones("x"), "ones(shape) needs known sizes, got ('x',)."),
    (lambda: ops.full((2, -2), 1), "full(shape) needs sizes of at least 0, got (2, -2)."),
    (lambda: ops.eye(-2), "eye(shape) needs sizes of at least 0, got (-2, -2)."),
    (lambda: ops.arange(0, 5, 0), "arange(step) needs a step other than 0, got 0."),
    (lambda: ops.linspace(0, 1, -1), "linspace(num) needs an integer of at least 0, got -1."),
    (lambda: ops.one_hot([0, 1], -1), "one_hot(num_classes) needs an integer from 0, got -1."),
    (lambda: ops.take(X, X), "take(indices) needs integers, got float32."),
    (lambda: ops.take_along_axis(X, np.array([0]), axis=1), "take_along_axis(indices) needs as many axes as x of shape (2, 3), got shape (1,)."),
    (lambda: ops.slice(X, (0, 0), (5, 5)), "slice(shape) needs sizes from 0 to those of the input, (2, 3), or -1 after a fixed start, got (5, 5)."),
    (lambda: ops.slice_update(X, (0, 0), SQUARE), "slice_update(updates) needs a block that fits into shape (2, 3), got shape (3, 3)."),
    (lambda: ops.scatter(np.array([[0]]), X, (3,)), "scatter(updates) needs shape (1,), got shape (2, 3)."),
    (
        lambda: ops.segment_sum(X, np.array([0])),
        "segment_sum(segment_ids) needs a vector with one id for each of the rows of data, shape (2, 3), got shape (1,).",
    ),
    (lambda: ops.segment_sum(X, np.array([0, 1]), num_segments=-1), "segment_sum(num_segments) needs an integer from 0, got -1."),
    (lambda: ops.top_k(X, 9), "top_k(k) needs an integer from 0 to the size of the last axis of shape (2, 3), got 9."),
    (lambda: ops.top_k(X, -1), "top_k(k) needs an integer from 0 to the size of the last axis of shape (2, 3), got -1."),
    (lambda: ops.in_top_k(np.array([0]), X, 1), "in_top_k needs targets (b,) and predictions (b, c), got (1,) and (2, 3)."),
    (lambda: ops.cholesky(X), "cholesky needs square matrices (..., n, n), got shape (2, 3)."),
    (lambda: ops.inv(X), "inv needs square matrices (..., n, n), got shape (2, 3)."),
    (lambda: ops.det(X), "det needs square matrices (..., n, n), got shape (2, 3)."),
    (lambda: ops.solve(SQUARE, X), "solve needs b with 3 rows, as a has, got (3, 3) and (2, 3)."),
    (lambda: ops.eigh(X), "eigh needs square matrices (..., n, n), got shape (2, 3)."),
    (lambda: ops.qr(SQUARE, mode="zz"), "qr(mode) needs 'reduced' or 'complete', got 'zz'."),
    (lambda: ops.svd(X[0]), "svd needs matrices (..., m, n), got shape (3,)."),
    (lambda: ops.norm(X, ord=7.5, axis=(0, 1)), "norm(ord) needs None, 'fro', 'nuc', 1, -1, 2, -2, inf or -inf for matrices, got 7.5."),
    (lambda: ops.lstsq(SQUARE, X), "lstsq needs a (m, n) and b (m,) or (m, k), got (3, 3) and (2, 3)."),
    (
        lambda: ops.conv(IMAGES, np.ones((2, 2, 4, 5))),
        "conv(kernel) needs shape (*k, c / groups, o) of rank 4 for 3 input channels, got shape (2, 2, 4, 5).",
    ),
    (
        lambda: ops.conv(IMAGES, np.ones((2, 3, 5))),
        "conv(kernel) needs shape (*k, c / groups, o) of rank 4 for 3 input channels, got shape (2, 3, 5).",
    ),
    (
        lambda: ops.conv(IMAGES, np.ones((2, 2, 3, 5)), strides=-1),
        "conv(strides) needs a positive integer, or 2 of them, one per spatial axis, got -1.",
    ),
    (lambda: ops.conv(IMAGES, np.ones((9, 9, 3, 5))), "conv needs a window that fits into the input, got size 7 for a window of 9."),
    (lambda: ops.conv_transpose(IMAGES, np.ones((2, 2, 3, 5))), "conv_transpose(kernel) needs shape (*k, o, 3) of rank 4, got shape (2, 2, 3, 5)."),
    (lambda: ops.depthwise_conv(IMAGES, np.ones((2, 2, 4, 1))), "depthwise_conv(kernel) needs shape (*k, 3, m) of rank 4, got shape (2, 2, 4, 1)."),
    (
        lambda: ops.separable_conv(IMAGES, np.ones((2, 2, 3, 1)), np.ones((1, 1, 4, 2))),
        "conv(kernel) needs shape (*k, c / groups, o) of rank 4 for 3 input channels, got shape (1, 1, 4, 2).",
    ),
    (lambda: ops.max_pool(IMAGES, 0), "max_pool(pool_size) needs a positive integer, or 2 of them, one per spatial axis, got 0."),
    (lambda: ops.max_pool(IMAGES, (2, 2, 2)), "max_pool(pool_size) needs a positive integer, or 2 of them, one per spatial axis, got (2, 2, 2)."),
    (lambda: ops.average_pool(IMAGES, 20), "average_pool needs a window that fits into the input, got size 7 for a window of 20."),
    (
        lambda: ops.adaptive_average_pool(IMAGES, -1),
        "adaptive_average_pool(output_size) needs a positive integer, or 2 of them, one per spatial axis, got -1.",
    ),
    (lambda: ops.fft(X), "fft needs a pair (real, imaginary), got one tensor."),
    (lambda: ops.stft(SEQUENCE, 0, 1, 4), "stft needs 1 <= sequence_length <= fft_length, and a positive stride, got 0, 4 and 1."),
    (lambda: ops.istft(X, 1, 1, 1), "irfft needs a pair (real, imaginary), got one tensor."),
    (lambda: ops.categorical_crossentropy(X, SQUARE), "categorical_crossentropy needs target and output of one shape, got (2, 3) and (3, 3)."),
    (
        lambda: ops.sparse_categorical_crossentropy(np.array([0]), X),
        "sparse_categorical_crossentropy needs one integer for each row of classes, shape (2,), got target of shape (1,).",
    ),
    (lambda: ops.binary_crossentropy(X, SQUARE), "binary_crossentropy needs target and output of one shape, got (2, 3) and (3, 3)."),
    (lambda: ops.image.resize(IMAGES, (0, 3)), "resize(size) needs a positive integer, or 2 of them, got (0, 3)."),
    (lambda: ops.image.resize(X, (2, 2)), "resize needs one image (h, w, c), or a batch (b, h, w, c), got shape (2, 3)."),
    (
        lambda: ops.image.crop_images(IMAGES, top_cropping=9, target_height=3, target_width=3),
        "crop_images needs top_cropping, bottom_cropping, target_height that leave none below 0, as height is 7, got 9, None, 3.",
    ),
    (lambda: ops.image.rgb_to_grayscale(IMAGES[..., :2]), "rgb_to_grayscale needs 3 channels, got 2."),
    (
        lambda: ops.image.affine_transform(IMAGES, np.zeros((2, 7))),
        "affine_transform(transform) needs shape (b, 8) for b images, or (8,) for one, got shape (2, 7) for images of shape (2, 7, 8, 3).",
    ),
    (lambda: ops.image.extract_patches(IMAGES, 0), "extract_patches(size) needs a positive integer, or 2 of them, got 0."),
    (lambda: ops.image.rgb_to_hsv(np.ones((2, 2, 3), "int32")), "rgb_to_hsv needs a float dtype, got int32."),
    (lambda: ops.image.gaussian_blur(IMAGES, (-1, 3)), "gaussian_blur(kernel_size) needs a positive integer, or 2 of them, got (-1, 3)."),
    (
        lambda: ops.image.map_coordinates(X, [X], 1),
        "map_coordinates(coordinates) needs shape (2, *out), one row per axis of inputs, got shape (1, 2, 3).",
    ),
    (
        lambda: ops.image.perspective_transform(IMAGES, np.ones((2, 3, 2)), np.ones((2, 4, 2))),
        "perspective_transform(start_points) needs shape (b, 4, 2) for b images, or (4, 2) for one, got shape "
        "(2, 3, 2) for images of shape (2, 7, 8, 3).",
    ),
    (lambda: ops.scan(lambda c, v: (c, v), 0, {}), "scan needs xs or length, got neither."),
    (lambda: ops.cond(X, lambda: 1, lambda: 2), "cond(pred) needs one truth value, got shape (2, 3)."),
    (lambda: ops.while_loop(1, 2, 3), "while_loop needs a function, got 1."),
    (lambda: ops.fori_loop(0, "x", lambda i, v: v, 0), "a tensor needs numbers, got 'x'."),
    (lambda: ops.vectorized_map(3, X), "vectorized_map(function) needs a function, got 3."),
    (
        lambda: ops.batch_normalization(X, np.ones(2), np.ones(2), axis=-1),
        "batch_normalization(mean) needs shape (3,), as x has along axis 1, got shape (2,).",
    ),
    (lambda: ops.layer_normalization(X, np.ones(2)), "layer_normalization(gamma) needs shape (3,), as x has along axis 1, got shape (2,)."),
    (
        lambda: ops.dot_product_attention(SEQUENCE, SEQUENCE, SEQUENCE),
        "dot_product_attention needs query (b, t, n, d), key (b, s, m, d) and value (b, s, m, e) where m divides "
        "n, got (2, 7, 3), (2, 7, 3) and (2, 7, 3).",
    ),
    (
        lambda: ops.dot_product_attention(np.ones((2, 3, 4, 5)), np.ones((2, 3, 4, 6)), np.ones((2, 3, 4, 6))),
        "dot_product_attention needs query (b, t, n, d), key (b, s, m, d) and value (b, s, m, e) where m divides "
        "n, got (2, 3, 4, 5), (2, 3, 4, 6) and (2, 3, 4, 6).",
    ),
    (lambda: ops.ctc_loss(X, X, X, X), "ctc_loss(output) needs shape (batch, time, classes), got shape (2, 3)."),
    (lambda: ops.unfold(IMAGES, 0), "unfold(kernel_size) needs a positive integer, or 2 of them, one per spatial axis, got 0."),
    (lambda: ops.fold(X, (2, 2), (2, 2)), "fold(x) needs shape (b, c * 4, 1), got shape (2, 3)."),
    (lambda: ops.depth_to_space(IMAGES, 2), "depth_to_space(x) needs a multiple of 4 channels, got 3 (shape (2, 7, 8, 3))."),
    (lambda: ops.rearrange(X, "a b c -> a b c"), "rearrange needs 3 axes, as 'a b c -> a b c' begins with, got shape (2, 3)."),
    (lambda: ops.histogram(X, bins=0), "histogram(bins) needs a positive integer, got 0."),
    (lambda: ops.digitize(X, X), "digitize(bins) needs a vector, got shape (2, 3)."),
    (lambda: ops.searchsorted(X, X), "searchsorted(sorted_sequence) needs a vector, got shape (2, 3)."),
    (lambda: ops.quantile(X, 1.5), "quantile(q) needs a part from 0 to 1, or a percentage, got 1.5 as a part."),
    (lambda: ops.cross(np.ones((2, 4)), np.ones((2, 4))), "cross needs vectors of 2 or 3 components, got 4 along axis -1 of shape (2, 4)."),
    (lambda: ops.vander(X), "vander needs a vector, got shape (2, 3)."),
    (lambda: ops.correlate(X, X), "correlate needs two vectors that are not empty, got (2, 3) and (2, 3)."),
    (lambda: ops.diag(SEQUENCE), "diag needs a vector or a matrix, got shape (2, 7, 3)."),
    (lambda: ops.trace(X[0]), "axis2 needs an axis in [-1, 1), got 1."),
    (lambda: ops.tri(-1), "tri(shape) needs sizes of at least 0, got (-1, -1)."),
    (lambda: ops.meshgrid(X[0], X[0], indexing="zz"), "meshgrid(indexing) needs 'xy' or 'ij', got 'zz'."),
    (lambda: ops.roll(X, 1, 5), "axis needs an axis in [-2, 2), got 5."),
    (lambda: ops.moveaxis(X, 0, 7), "moveaxis(destination) needs an axis in [-2, 2), got 7."),
    (lambda: ops.swapaxes(X, 0, 5), "axis2 needs an axis in [-2, 2), got 5."),
    (lambda: ops.rot90(X[0]), "rot90(axes) needs an axis in [-1, 1), got 1."),
    (lambda: ops.bitwise_and(X, X), "bitwise_and needs integers or bools, got float32."),
    (lambda: ops.left_shift(X, 1), "left_shift needs integers or bools, got float32."),
    (lambda: nyala.random.normal((-1, 2)), "normal(shape) needs sizes from 0, got (-1, 2)."),
    (lambda: nyala.random.uniform((2,), minval="x"), "a tensor needs numbers, got 'x'."),
    (lambda: nyala.random.categorical(X[0], 2), "categorical(logits) needs shape (b, c), got shape (3,)."),
    (lambda: nyala.random.dropout(X, 1.5), "dropout(rate) needs a number from 0 to 1, got 1.5."),
    (lambda: nyala.random.shuffle(X, axis=4), "shuffle(axis) needs an axis in [-2, 2), got 4."),
    (lambda: nyala.random.normal((2,), seed="a"), "seed needs an integer from 0, a SeedGenerator, a key of two uint32, or None, got 'a'."),
    (lambda: nyala.random.gamma((2,), "x"), "a tensor needs numbers, got 'x'."),
    (lambda: nyala.random.truncated_normal((2,), stddev="x"), "a tensor needs numbers, got 'x'."),
]


@pytest.mark.parametrize("engine", ["numpy", "jax"])
def test_bad_input(engine):
    """The first line of each error; a wrong one names its op."""
    with nyala.backend(engine):
        for call, text in ROWS:
            with pytest.raises(NyalaError) as info:
                call()
            assert str(info.value).splitlines()[0] == text


def test_no_tensor():
    for name in ("relu", "softmax", "add", "matmul", "reshape", "sum", "one_hot", "conv"):
        arguments = {"add": [1], "matmul": [1], "reshape": [(2,)], "one_hot": [3], "conv": [1]}.get(name, [])
        parameter = {"add": "x1", "matmul": "x1", "conv": "inputs"}.get(name, "x")
        with raises(DTypeError, f"{name}({parameter}) needs a tensor, got None."):
            getattr(ops, name)(None, *arguments)
    with raises(DTypeError, "a tensor needs numbers, got 'abc'.\n  fix: encode strings as integers first, and pass arrays of one numeric dtype"):
        ops.relu("abc")


def test_unknown_names():
    for call, fix in [
        (lambda: ops.cast(X, "flaot32"), "did you mean 'float32'?"),
        (lambda: ops.zeros((2,), dtype="int3"), "did you mean 'int32'?"),
        (lambda: ops.conv(IMAGES, np.ones((2, 2, 3, 5)), data_format="chanels_last"), "did you mean 'channels_last'?"),
    ]:
        with pytest.raises(NyalaError) as info:
            call()
        assert info.value.fix == fix


def test_axes():
    """Every op with an axis says which ones there are."""
    for name in ("sum", "mean", "argmax", "softmax", "cumsum", "sort", "unique", "flip", "roll", "quantile", "concatenate", "stack", "split"):
        value = [X, X] if name in ("concatenate", "stack") else X
        more = {"roll": [1], "quantile": [0.5], "split": [1]}.get(name, [])
        with pytest.raises(NyalaError) as info:
            getattr(ops, name)(value, *more, axis=7)
        bounds = "[-3, 3)" if name == "stack" else "[-2, 2)"
        assert (info.value.need, info.value.got) == (f"an axis in {bounds}", "7")
