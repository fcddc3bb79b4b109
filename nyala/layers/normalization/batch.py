# SPDX-License-Identifier: Apache-2.0
"""BatchNormalization: each channel with the mean and variance of the batch while training, with their running averages afterwards."""

from __future__ import annotations

from typing import Any

from nyala import constraints, initializers, ops, regularizers
from nyala.core import dtypes
from nyala.core.errors import ArgumentError, ShapeError
from nyala.core.op import normalize_axis
from nyala.engines import engine
from nyala.engines.protocol import Tensor
from nyala.layers.arguments import as_fraction, as_number, is_int
from nyala.layers.input_spec import InputSpec
from nyala.layers.layer import Layer

CLIPPING = ("rmax", "rmin", "dmax")


class BatchNormalization(Layer):
    """gamma * (x - mean) / sqrt(variance + epsilon) + beta, for each channel.

    In training mean and variance are those of the batch over all other axes (the variance divided by n), and
    moving = momentum * moving + (1 - momentum) * batch. In inference, and when the layer is frozen (trainable = False), they are the moving ones.
    Positions that a mask excludes do not count. 16-bit inputs are computed in 32 bits.

    Args:
        axis: the axis of channels; 1 for channels_first.
        momentum: of the moving averages, from 0 to 1.
        epsilon: added to the variance.
        center, scale: whether there is a beta, a gamma.
        beta_initializer, gamma_initializer, moving_mean_initializer, moving_variance_initializer: of the weights, each (channels,).
        beta_regularizer, gamma_regularizer: added to the loss.
        beta_constraint, gamma_constraint: applied after each update.
        renorm: correct each batch by the moving statistics: y = (x - mean) / stddev * r + d, r and d without gradient.
        renorm_clipping: {"rmax": , "rmin": , "dmax": }, bounds of r and of |d|; absent ones do not bind.
        renorm_momentum: of the statistics that give r and d.
        synchronized: kept for its config; statistics are always those of the whole batch.
    Source: Ioffe, Szegedy 2015, Batch normalization; Ioffe 2017, Batch renormalization.

    >>> import nyala
    >>> x = nyala.layers.BatchNormalization()([[1.0], [3.0]], training=True)
    >>> nyala.ops.convert_to_numpy(x).round(2).tolist()
    [[-1.0], [1.0]]
    """

    def __init__(
        self,
        axis: int = -1,
        momentum: float = 0.99,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        beta_initializer: Any = "zeros",
        gamma_initializer: Any = "ones",
        moving_mean_initializer: Any = "zeros",
        moving_variance_initializer: Any = "ones",
        beta_regularizer: Any = None,
        gamma_regularizer: Any = None,
        beta_constraint: Any = None,
        gamma_constraint: Any = None,
        renorm: bool = False,
        renorm_clipping: dict[str, float] | None = None,
        renorm_momentum: float = 0.99,
        synchronized: bool = False,
        **kwargs: Any,
    ) -> None:
        axis = axis[0] if isinstance(axis, (list, tuple)) and len(axis) == 1 else axis  # configs of Keras 2
        if not is_int(axis):
            raise ArgumentError(
                "BatchNormalization(axis)", need="one integer", got=repr(axis), fix="the axis of the channels: -1, or 1 for channels_first"
            )
        unknown = sorted(set(renorm_clipping or {}) - set(CLIPPING))
        if unknown:
            raise ArgumentError("BatchNormalization(renorm_clipping)", need=f"keys among {CLIPPING}", got=f"{unknown}")
        for name, value in (("momentum", momentum), ("renorm_momentum", renorm_momentum)):
            as_fraction(f"BatchNormalization({name})", value)
        as_number("BatchNormalization(epsilon)", epsilon, 0)
        super().__init__(**kwargs)
        self.axis, self.momentum, self.epsilon, self.center, self.scale = int(axis), float(momentum), float(epsilon), center, scale
        self.beta_initializer = initializers.get(beta_initializer)
        self.gamma_initializer = initializers.get(gamma_initializer)
        self.moving_mean_initializer = initializers.get(moving_mean_initializer)
        self.moving_variance_initializer = initializers.get(moving_variance_initializer)
        self.beta_regularizer = regularizers.get(beta_regularizer)
        self.gamma_regularizer = regularizers.get(gamma_regularizer)
        self.beta_constraint = constraints.get(beta_constraint)
        self.gamma_constraint = constraints.get(gamma_constraint)
        self.renorm, self.renorm_momentum, self.synchronized = renorm, renorm_momentum, synchronized
        self.renorm_clipping = dict(renorm_clipping or {}) if renorm else renorm_clipping
        self.supports_masking = True

    def build(self, input_shape: Any) -> None:
        where = f"BatchNormalization {self.name!r}"
        channels = input_shape[normalize_axis(self.axis, len(input_shape), f"{where} (axis)")]
        if channels is None:
            raise ShapeError(where, need=f"a known size of axis {self.axis}", got=f"shape {tuple(input_shape)}", why="it has one scale per channel")
        shape = (channels,)
        self.gamma = self.beta = None
        if self.scale:
            self.gamma = self.add_weight(
                name="gamma", shape=shape, initializer=self.gamma_initializer, regularizer=self.gamma_regularizer, constraint=self.gamma_constraint
            )
        if self.center:
            self.beta = self.add_weight(
                name="beta", shape=shape, initializer=self.beta_initializer, regularizer=self.beta_regularizer, constraint=self.beta_constraint
            )
        self.moving_mean = self._statistic("moving_mean", shape, self.moving_mean_initializer)
        self.moving_variance = self._statistic("moving_variance", shape, self.moving_variance_initializer)
        if self.renorm:

            def root(shape: Any, dtype: Any = None) -> Tensor:
                return ops.sqrt(self.moving_variance_initializer(shape, dtype=dtype))

            self.moving_stddev = self._statistic("moving_stddev", shape, root)
            self.renorm_mean = self._statistic("renorm_mean", shape, self.moving_mean_initializer)
            self.renorm_stddev = self._statistic("renorm_stddev", shape, root)
        self.input_spec = InputSpec(ndim=len(input_shape), axes={normalize_axis(self.axis, len(input_shape)): channels})

    def _statistic(self, name: str, shape: tuple[int, ...], initializer: Any) -> Any:
        return self.add_weight(name=name, shape=shape, initializer=initializer, trainable=False, autocast=False)

    def call(self, inputs: Tensor, training: bool = False, mask: Tensor | None = None) -> Tensor:
        x = _widen(inputs, self.compute_dtype)
        axis = normalize_axis(self.axis, len(x.shape))
        if not (training and self.trainable):
            return self._normalize(x, self.moving_mean.value, self.moving_variance.value, axis)
        if mask is None and not self.renorm:
            y, mean, variance = ops.nn.normalize_batch(x, axis, offset=self.beta, scale=self.gamma, epsilon=self.epsilon)
            y = ops.cast(y, self.compute_dtype)
        else:
            mean, variance = _moments(x, tuple(i for i in range(len(x.shape)) if i != axis), mask)
            if self.renorm:
                return self._renormalize(x, mean, variance, axis)
            y = self._normalize(x, mean, variance, axis)
        _move(self.moving_mean, mean, self.momentum)
        _move(self.moving_variance, variance, self.momentum)
        return y

    def _normalize(self, x: Tensor, mean: Tensor, variance: Tensor, axis: int) -> Tensor:
        y = ops.batch_normalization(x, mean, variance, axis, offset=self.beta, scale=self.gamma, epsilon=self.epsilon)
        return ops.cast(y, self.compute_dtype)

    def _renormalize(self, x: Tensor, mean: Tensor, variance: Tensor, axis: int) -> Tensor:
        stddev, clipping = ops.sqrt(variance + self.epsilon), self.renorm_clipping or {}
        r = engine.stop_gradient(stddev) / self.renorm_stddev
        d = (engine.stop_gradient(mean) - self.renorm_mean) / self.renorm_stddev
        if "rmax" in clipping:
            r = ops.minimum(r, clipping["rmax"])
        if "rmin" in clipping:
            r = ops.maximum(r, clipping["rmin"])
        if "dmax" in clipping:
            d = ops.clip(d, -clipping["dmax"], clipping["dmax"])
        _move(self.moving_mean, mean, self.momentum)
        _move(self.moving_stddev, stddev, self.momentum)
        _move(self.renorm_mean, mean, self.renorm_momentum)
        _move(self.renorm_stddev, stddev, self.renorm_momentum)
        self.moving_variance.assign(self.moving_stddev * self.moving_stddev - self.epsilon)
        shape = tuple(n if i == axis else 1 for i, n in enumerate(x.shape))
        y = ops.batch_normalization(x, mean, variance, axis, epsilon=self.epsilon) * ops.reshape(r, shape) + ops.reshape(d, shape)
        if self.gamma is not None:
            y = ops.multiply(y, ops.reshape(self.gamma, shape))
        if self.beta is not None:
            y = ops.add(y, ops.reshape(self.beta, shape))
        return ops.cast(y, self.compute_dtype)


def _widen(x: Tensor, dtype: str) -> Tensor:
    """Integers as floats, 16-bit floats in 32 bits, in which sums of squares do not overflow."""
    own = dtypes.standardize_dtype(x.dtype)
    own = own if dtypes.is_float(own) else dtype
    return ops.cast(x, "float32" if own in ("float16", "bfloat16") else own)


def _moments(x: Tensor, axes: tuple[int, ...], mask: Tensor | None) -> tuple[Tensor, Tensor]:
    """Mean and variance over axes, of the positions that count."""
    if mask is None:
        return ops.moments(x, axes)
    weights = ops.cast(ops.reshape(mask, (*mask.shape, *(1,) * (len(x.shape) - len(mask.shape)))), x.dtype)
    weights = ops.broadcast_to(weights, x.shape)
    total = ops.maximum(ops.sum(weights, axes, keepdims=True), 1e-7)
    mean = ops.sum(x * weights, axes, keepdims=True) / total
    variance = ops.sum(ops.square(x - mean) * weights, axes, keepdims=True) / total
    return ops.squeeze(mean, axes), ops.squeeze(variance, axes)


def _move(average: Any, value: Tensor, momentum: float) -> None:
    average.assign(average * momentum + engine.stop_gradient(value) * (1 - momentum))
