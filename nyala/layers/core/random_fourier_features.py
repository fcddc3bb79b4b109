# SPDX-License-Identifier: Apache-2.0
"""RandomFourierFeatures: features whose dot products stand for a kernel. A layer of tf.keras 2, in its experimental package."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from nyala import initializers, ops
from nyala.core.errors import ArgumentError
from nyala.engines.protocol import Tensor
from nyala.initializers.initializer import RandomInitializer
from nyala.initializers.random import uniform
from nyala.layers.arguments import as_choice, as_count
from nyala.layers.input_spec import InputSpec
from nyala.layers.layer import Layer


class _Cauchy(RandomInitializer):
    """Draws from the Cauchy distribution, of which the Laplacian kernel is the Fourier transform."""

    def values(self, shape: tuple[int, ...], dtype: str) -> np.ndarray:
        return np.tan(np.pi * uniform(self.generator(dtype), shape, -0.5, 0.5, "float64"))


class RandomFourierFeatures(Layer):
    """cos(x @ unscaled_kernel / kernel_scale + bias), random: the mean of z(x) * z(y) over many features is half the kernel of x - y.

    Args:
        output_dim: number of features.
        kernel_initializer: "gaussian" for exp(-|x - y|^2 / (2 scale^2)), "laplacian" for exp(-|x - y|_1 / scale), or an initializer of
            unscaled_kernel (d, output_dim). bias (output_dim,) is uniform in [0, 2 pi).
        scale: first value of kernel_scale (1,); None means sqrt(d / 2) for "gaussian", else 1.
        trainable: whether kernel_scale learns; the others never do.
    Source: Rahimi, Recht 2007, Random features for large-scale kernel machines.

    >>> import nyala
    >>> nyala.layers.RandomFourierFeatures(7)(nyala.ops.ones((2, 5))).shape
    (2, 7)
    """

    def __init__(
        self,
        output_dim: int,
        kernel_initializer: Any = "gaussian",
        scale: float | None = None,
        trainable: bool = False,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        output_dim = as_count("RandomFourierFeatures(output_dim)", output_dim)
        if isinstance(kernel_initializer, str):
            kernel_initializer = kernel_initializer.lower()
            as_choice("RandomFourierFeatures(kernel_initializer)", kernel_initializer, ("gaussian", "laplacian"), "pass an initializer for others")
        else:
            kernel_initializer = initializers.get(kernel_initializer)
        if scale is not None and not scale > 0:
            raise ArgumentError("RandomFourierFeatures(scale)", need="a number above 0, or None", got=repr(scale))
        super().__init__(trainable=trainable, name=name, **kwargs)
        self.output_dim, self.kernel_initializer, self.scale = output_dim, kernel_initializer, scale
        self.input_spec = InputSpec(ndim=2)

    def build(self, input_shape: Any) -> None:
        size, kind = input_shape[-1], self.kernel_initializer
        scale = self.scale or (math.sqrt(size / 2) if kind == "gaussian" else 1.0)
        draw = initializers.RandomNormal(stddev=1.0) if kind == "gaussian" else _Cauchy() if kind == "laplacian" else kind
        circle = initializers.RandomUniform(0.0, 2 * math.pi)
        self.unscaled_kernel = self.add_weight(name="unscaled_kernel", shape=(size, self.output_dim), initializer=draw, trainable=False)
        self.bias = self.add_weight(name="bias", shape=(self.output_dim,), initializer=circle, trainable=False)
        self.kernel_scale = self.add_weight(name="kernel_scale", shape=(1,), initializer=initializers.Constant(scale))
        self.input_spec = InputSpec(ndim=2, axes={-1: size})

    def call(self, inputs: Tensor) -> Tensor:
        return ops.cos(ops.add(ops.divide(ops.matmul(inputs, self.unscaled_kernel), self.kernel_scale), self.bias))
