# SPDX-License-Identifier: Apache-2.0
"""Normalization: contract, numbers, state, errors."""

import numpy as np
import pytest

import nyala
from nyala import layers
from nyala.core.errors import ArgumentError, ArgumentTypeError, AxisError, ShapeError
from nyala.testing import check_layer
from tests.layers.tools import array, close, normals, raises

MASK = np.array([[1, 1, 0], [1, 0, 1], [1, 1, 1], [0, 1, 0], [1, 0, 0]], bool)
TRAINING = {"call": {"training": True}, "batch_independent": False}


@pytest.mark.parametrize(
    ("kind", "arguments", "shape", "options"),
    [
        ("BatchNormalization", {"gamma_regularizer": "l2"}, (5, 3), TRAINING),
        ("BatchNormalization", {"axis": 1, "momentum": 0.7}, (5, 3, 2), TRAINING),
        ("BatchNormalization", {"renorm": True, "renorm_clipping": {"rmax": 1.5, "dmax": 0.5}}, (5, 3, 2), {**TRAINING, "gradients": False}),
        ("BatchNormalization", {"scale": False}, (5, 3, 2), {"call": {"training": True, "mask": MASK}, "batch_independent": False}),
        ("BatchNormalization", {"axis": 1, "center": False}, (5, 3, 2), {"unknown": (2,)}),
        ("LayerNormalization", {}, (2, 5, 3), {"unknown": (1,)}),
        ("LayerNormalization", {"axis": [1, 3], "beta_initializer": "ones"}, (2, 5, 3, 2), {"unknown": (2,)}),
        ("LayerNormalization", {"rms_scaling": True}, (2, 5, 3), {}),
    ],
)
def test_contract(kind, arguments, shape, options):
    check_layer(getattr(layers, kind), arguments, normals(7, shape), **options)


def made(layer, x, weights):
    layer(x)
    layer.set_weights(weights)
    return layer


@pytest.mark.parametrize(("axis", "mask"), [(-1, None), (1, None), (-1, MASK)])
def test_batch_normalization(each_engine, normal, axis, mask):
    x = 3 * normal(5, 3, 2) + 2
    channels = x.shape[axis]
    gamma, beta, mean, variance = normal(channels), normal(channels), normal(channels), np.abs(normal(channels)) + 0.5
    layer = made(layers.BatchNormalization(axis=axis, momentum=0.7, epsilon=0.1), x, [gamma, beta, mean, variance])
    wide = np.moveaxis(x.astype("float64"), axis, -1)
    counted = wide.reshape(-1, channels) if mask is None else wide[mask]
    batch_mean, batch_variance = counted.mean(axis=0), counted.var(axis=0)
    back = lambda y: np.moveaxis(y, -1, axis)  # noqa: E731
    close(layer(x, mask=mask), back((wide - mean) / np.sqrt(variance + 0.1) * gamma + beta))
    close(layer(x, training=True, mask=mask), back((wide - batch_mean) / np.sqrt(batch_variance + 0.1) * gamma + beta))
    np.testing.assert_allclose(layer.get_weights()[2], 0.7 * mean + 0.3 * batch_mean, rtol=1e-5)
    np.testing.assert_allclose(layer.get_weights()[3], 0.7 * variance + 0.3 * batch_variance, rtol=1e-5)


def test_frozen_batch_normalization_infers(normal):
    x, layer = normal(5, 3), layers.BatchNormalization()
    layer(x, training=True)
    layer.trainable = False
    before = layer.get_weights()
    np.testing.assert_array_equal(array(layer(x, training=True)), array(layer(x, training=False)))
    for old, new in zip(before, layer.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_renormalization(each_engine, normal):
    """r and d correct the batch by the statistics before it; moving_variance follows moving_stddev."""
    x, clipping = 2 * normal(5, 3) + 1, {"rmax": 1.6, "rmin": 0.9, "dmax": 0.4}
    layer = layers.BatchNormalization(renorm=True, renorm_clipping=clipping, renorm_momentum=0.6, momentum=0.8, epsilon=0.1)
    layer(x)
    names = [w.name for w in layer.weights]
    assert names == ["gamma", "beta", "moving_mean", "moving_variance", "moving_stddev", "renorm_mean", "renorm_stddev"]
    gamma, beta, mean, mean_for_d = (normal(3) for _ in range(4))
    variance, stddev = (np.abs(normal(3)) + 0.5 for _ in range(2))
    stddev_for_r = np.array([0.5, 9.0, 1.6], "float32")  # so that rmax and rmin bind
    layer.set_weights([gamma, beta, mean, variance, stddev, mean_for_d, stddev_for_r])
    batch_mean, batch_stddev = x.astype("float64").mean(0), np.sqrt(x.astype("float64").var(0) + 0.1)
    r = np.clip(batch_stddev / stddev_for_r, 0.9, 1.6)
    assert {0.9, 1.6} <= set(r)
    d = np.clip((batch_mean - mean_for_d) / stddev_for_r, -0.4, 0.4)
    close(layer(x, training=True), ((x - batch_mean) / batch_stddev * r + d) * gamma + beta)
    moved = 0.8 * stddev + 0.2 * batch_stddev
    after = [0.8 * mean + 0.2 * batch_mean, moved**2 - 0.1, moved, 0.6 * mean_for_d + 0.4 * batch_mean, 0.6 * stddev_for_r + 0.4 * batch_stddev]
    for value, expected in zip(layer.get_weights()[2:], after, strict=True):
        np.testing.assert_allclose(value, expected, rtol=1e-4, atol=1e-5)


def test_float16_does_not_overflow(each_engine, normal):
    x = (1000 * normal(7, 3)).astype("float32")
    for layer in (layers.BatchNormalization(dtype="mixed_float16"), layers.LayerNormalization(dtype="mixed_float16", axis=0)):
        y = array(layer(x, training=True) if isinstance(layer, layers.BatchNormalization) else layer(x))
        np.testing.assert_allclose(y, (x - x.mean(0)) / x.std(0), atol=5e-3)
        assert {w.dtype for w in layer.weights} == {"float32"}


@pytest.mark.parametrize("axis", [-1, 1, [1, 2], [1, 3]])
@pytest.mark.parametrize("rms_scaling", [False, True])
def test_layer_normalization(each_engine, normal, axis, rms_scaling):
    x = normal(2, 3, 5, 7)
    axes = tuple(a % 4 for a in ([axis] if isinstance(axis, int) else axis))
    shape = [x.shape[a] for a in axes]
    weights = [normal(*shape)] if rms_scaling else [normal(*shape), normal(*shape)]
    layer = made(layers.LayerNormalization(axis=axis, epsilon=0.1, rms_scaling=rms_scaling), x, weights)
    wide = x.astype("float64")
    gamma, beta = (np.reshape(w, [n if i in axes else 1 for i, n in enumerate(x.shape)]) for w in (weights[0], weights[-1]))
    variance = wide.var(axes, keepdims=True) + 0.1
    close(layer(x), wide / np.sqrt(variance) * gamma if rms_scaling else (wide - wide.mean(axes, keepdims=True)) / np.sqrt(variance) * gamma + beta)


def test_errors(normal):
    fix = "the axis of the channels: -1, or 1 for channels_first"
    with raises(ArgumentError, f"BatchNormalization(axis) needs one integer, got [1, 2].\n  fix: {fix}"):
        layers.BatchNormalization(axis=[1, 2])
    with raises(ArgumentError, "BatchNormalization(renorm_clipping) needs keys among ('rmax', 'rmin', 'dmax'), got ['max']."):
        layers.BatchNormalization(renorm=True, renorm_clipping={"max": 2.0})
    with raises(
        ShapeError, "BatchNormalization 'norm' needs a known size of axis -1, got shape (None, 3, None).\n  why: it has one scale per channel"
    ):
        layers.BatchNormalization(name="norm")(layers.Input((3, None)))
    with raises(ArgumentError, "LayerNormalization(axis) needs an integer or several, got 1.5."):
        layers.LayerNormalization(axis=1.5)
    with raises(IndexError, "LayerNormalization 'norm' (axis) needs an axis in [-3, 3), got 3.\n  why: the tensor has 3 axes"):
        layers.LayerNormalization(axis=3, name="norm")(normal(2, 3, 5))
    why = "its weights have one number for each place there"
    with raises(ShapeError, f"LayerNormalization 'norm' needs known sizes of axis [1], got shape (None, None, 3).\n  why: {why}"):
        layers.LayerNormalization(axis=1, name="norm")(layers.Input((None, 3)))


# Groups, lengths, root mean squares, spectral norms


@pytest.mark.parametrize(
    ("kind", "arguments", "shape", "options"),
    [
        ("GroupNormalization", {"groups": 3}, (2, 5, 6), {"unknown": (1,)}),
        ("GroupNormalization", {"groups": 2, "axis": 1, "scale": False}, (2, 6, 5, 3), {"unknown": (2,)}),
        ("GroupNormalization", {"groups": -1, "center": False}, (2, 5, 3, 4), {}),
        ("UnitNormalization", {}, (2, 3, 5), {"unknown": (1, 2)}),
        ("UnitNormalization", {"axis": [1, 2]}, (2, 3, 5), {}),
        ("RMSNormalization", {}, (2, 3, 5), {"unknown": (1,)}),
        ("RMSNormalization", {"axis": 1, "epsilon": 0.1}, (2, 3, 5), {"unknown": (2,)}),
        ("SpectralNormalization", {"layer": layers.Dense(3)}, (5, 7), {"mixed": False, "gradients": False}),  # the layer inside keeps its dtype
    ],
)
def test_contract_of_the_others(kind, arguments, shape, options):
    check_layer(getattr(layers, kind), arguments, normals(7, shape), **options)


@pytest.mark.parametrize(("groups", "axis"), [(1, -1), (2, -1), (6, -1), (-1, -1), (3, 1)])
def test_group_normalization(each_engine, normal, groups, axis):
    x = 3 * normal(2, *((6, 3, 5) if axis == 1 else (3, 5, 6))) + 2
    gamma, beta = normal(6), normal(6)
    layer = made(layers.GroupNormalization(groups, axis=axis, epsilon=0.1), x, [gamma, beta])
    wide, size = np.moveaxis(x.astype("float64"), axis, -1), 6 // (groups if groups > 0 else 6)
    parts = [wide[..., i : i + size] for i in range(0, 6, size)]
    means = [part.mean(axis=(1, 2, 3), keepdims=True) for part in parts]
    expected = [(p - m) / np.sqrt(((p - m) ** 2).mean(axis=(1, 2, 3), keepdims=True) + 0.1) for p, m in zip(parts, means, strict=True)]
    close(layer(x), np.moveaxis(np.concatenate(expected, axis=-1) * gamma + beta, -1, axis))


def test_one_group_is_layer_normalization_of_the_sample(normal):
    x = normal(2, 3, 5)
    close(layers.GroupNormalization(1)(x), array(layers.LayerNormalization(axis=[1, 2])(x)))


def test_half_precision_group_normalization(normal):
    x = (300 * normal(2, 5, 4)).astype("float16")  # the squares are beyond float16
    close(layers.GroupNormalization(2, dtype="float16")(x), array(layers.GroupNormalization(2)(x.astype("float32"))), 2e-3)


@pytest.mark.parametrize("axis", [-1, 1, (1, 2)])
def test_unit_and_rms_normalization(each_engine, normal, axis):
    x = normal(2, 3, 5)
    wide, axes = x.astype("float64"), tuple(np.atleast_1d(axis))
    close(layers.UnitNormalization(axis=axis)(x), wide / np.sqrt((wide**2).sum(axis=axes, keepdims=True)))
    scale = normal(*(n for i, n in enumerate(x.shape) if i in axes or i - 3 in axes))
    layer = made(layers.RMSNormalization(axis=axis, epsilon=0.1), x, [scale])
    along = [n if i in axes or i - 3 in axes else 1 for i, n in enumerate(x.shape)]
    close(layer(x), wide / np.sqrt((wide**2).mean(axis=axes, keepdims=True) + 0.1) * scale.reshape(along))


def test_unit_normalization_of_nothing_and_of_little(each_engine):
    close(layers.UnitNormalization()(np.array([[0, 0], [1e-8, 0]], "float32")), [[0, 0], [1, 0]])


@pytest.mark.parametrize("make", [lambda: layers.Dense(3), lambda: layers.Conv1D(3, 2), lambda: layers.Embedding(11, 3)])
def test_spectral_normalization(each_engine, normal, make):
    nyala.utils.set_random_seed(3)
    inner = make()
    x = np.array([[1, 10, 2]]) if isinstance(inner, layers.Embedding) else normal(5, 7, 2)
    layer = layers.SpectralNormalization(inner, power_iterations=100)
    layer(x)
    kernel = array(layer.kernel.value)
    close(layer(x), array(inner(x)))
    np.testing.assert_array_equal(array(layer.kernel.value), kernel)  # inference changes nothing
    outputs = layer(x, training=True)
    size = np.linalg.norm(kernel.reshape(-1, 3), 2)
    close(layer.kernel.value, kernel / size, 1e-4)
    close(np.linalg.norm(array(layer.vector_u.value)), 1.0)
    close(outputs, array(inner(x)))


def test_spectral_normalization_keeps_its_bits():
    """Under mixed precision the stored kernel is not rounded to 16 bits."""
    layer = layers.SpectralNormalization(layers.Dense(3, dtype="mixed_bfloat16"), dtype="mixed_bfloat16")
    layer(np.ones((2, 5), "float32"), training=True)
    kernel = layer.kernel.numpy()
    assert np.abs(kernel - kernel.astype(nyala.ops.convert_to_numpy(layer(np.ones((2, 5), "float32"))).dtype).astype("float32")).max() > 0


def test_spectral_normalization_trains():
    nyala.utils.set_random_seed(3)
    model = nyala.Sequential([layers.SpectralNormalization(layers.Dense(3)), layers.Dense(1)])
    model.compile("sgd", "mse")
    x = normals(3, (32, 5))
    before = None
    for _ in range(2):
        model.fit(x, x[:, :1], epochs=15, verbose=0)
        loss = model.evaluate(x, x[:, :1], verbose=0)
        assert before is None or loss < before
        before = loss
    model(x, training=True)
    assert np.linalg.norm(model.layers[0].kernel.numpy(), 2) == pytest.approx(1.0, abs=0.02)


@pytest.mark.parametrize(
    ("make", "kind", "text"),
    [
        (lambda: layers.GroupNormalization(0), ArgumentError,
         "GroupNormalization(groups) needs a positive integer, or -1 for one group per channel, got 0."),
        (lambda: layers.GroupNormalization(2, axis=[1, 2]), ArgumentError,
         "GroupNormalization(axis) needs the axis of the channels, not 0, got [1, 2].\n  why: axis 0 is the batch"),
        (lambda: layers.GroupNormalization(3, name="g")(np.ones((2, 5), "float32")), ShapeError,
         "GroupNormalization 'g' needs a number of channels that its 3 groups divide, got 5 (shape (2, 5))."),
        (lambda: layers.GroupNormalization(2, axis=-2, name="g")(np.ones((2, 4), "float32")), AxisError,
         "GroupNormalization 'g' (axis) needs an axis of channels behind the batch, got -2 of shape (2, 4)."),
        (lambda: layers.GroupNormalization(3, name="g").build((2, 5, None)), ShapeError,
         "GroupNormalization 'g' needs a known size of axis -1, got shape (2, 5, None).\n  why: it has one scale per channel"),
        (lambda: layers.UnitNormalization("last"), ArgumentTypeError, "UnitNormalization(axis) needs an integer or several, got 'last'."),
        (lambda: layers.RMSNormalization([0.5]), ArgumentTypeError, "RMSNormalization(axis) needs an integer or several, got [0.5]."),
        (lambda: layers.RMSNormalization(name="r").build((2, None)), ShapeError,
         "RMSNormalization 'r' needs known sizes of axis [-1], got shape (2, None).\n  why: its scale has one number for each place there"),
        (lambda: layers.SpectralNormalization(layers.Dense(3), 0), ArgumentError,
         "SpectralNormalization(power_iterations) needs a positive integer, got 0."),
        (lambda: layers.SpectralNormalization(layers.Flatten(name="f"), name="s").build((2, 3)), ArgumentTypeError,
         "SpectralNormalization 's' needs a layer with a kernel or embeddings, got Flatten 'f', which has neither."),
    ],
)  # fmt: skip
def test_errors_of_the_others(make, kind, text):
    with raises(kind, text):
        make()
