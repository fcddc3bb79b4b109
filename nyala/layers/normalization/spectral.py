# SPDX-License-Identifier: Apache-2.0
"""SpectralNormalization: a layer whose kernel is kept at spectral norm 1."""

from __future__ import annotations

from typing import Any

from nyala import initializers, ops
from nyala.core.errors import ArgumentTypeError
from nyala.core.variable import autocast
from nyala.engines.protocol import Tensor
from nyala.layers.arguments import as_count
from nyala.layers.core.wrapper import Wrapper
from nyala.layers.layer import Layer


class SpectralNormalization(Wrapper):
    """The layer inside, whose kernel each call in training first divides by its largest singular value.

    The kernel counts as a matrix (all other axes, last axis). The singular value comes from the power method, which goes on from call to call.

    Args:
        layer: the layer inside, with a `kernel` or `embeddings`.
        power_iterations: steps of the power method in a call.
    Source: Miyato, Kataoka, Koyama, Yoshida 2018, Spectral normalization for generative adversarial networks.

    >>> import nyala
    >>> layer = nyala.layers.SpectralNormalization(nyala.layers.Dense(2, kernel_initializer="ones"), power_iterations=9)
    >>> nyala.ops.convert_to_numpy(layer([[1.0, 1.0]], training=True)).round(4).tolist()  # sqrt(2) is the norm of [1, 1]
    [[1.0, 1.0]]
    """

    def __init__(self, layer: Layer, power_iterations: int = 1, **kwargs: Any) -> None:
        power_iterations = as_count("SpectralNormalization(power_iterations)", power_iterations)
        super().__init__(layer, **kwargs)
        self.power_iterations = power_iterations

    def build(self, input_shape: Any = None) -> None:
        super().build(input_shape)
        kernel = getattr(self.layer, "kernel", getattr(self.layer, "embeddings", None))
        if kernel is None:
            got = f"{type(self.layer).__name__} {self.layer.name!r}, which has neither"
            raise ArgumentTypeError(f"SpectralNormalization {self.name!r}", need="a layer with a kernel or embeddings", got=got)
        self.kernel = kernel
        self.vector_u = self.add_weight(
            name="vector_u", shape=(1, kernel.shape[-1]), initializer=initializers.TruncatedNormal(stddev=0.02), trainable=False
        )

    def call(self, inputs: Tensor, training: bool = False) -> Tensor:
        if training:
            with autocast(None):  # what is stored keeps all its bits
                vector, kernel = self.normalized_weights()
                self.vector_u.assign(vector)
                self.kernel.assign(kernel)
        return self.layer(inputs)

    def normalized_weights(self) -> tuple[Tensor, Tensor]:
        """The next vector u of the power method, and the kernel divided by the singular value that it finds."""
        matrix = ops.reshape(self.kernel, (-1, self.kernel.shape[-1]))
        u = v = self.vector_u.value
        for _ in range(self.power_iterations):
            v = ops.normalize(ops.matmul(u, ops.transpose(matrix)), axis=None, epsilon=1e-12)
            u = ops.normalize(ops.matmul(v, matrix), axis=None, epsilon=1e-12)
        u, v = ops.stop_gradient(u), ops.stop_gradient(v)
        sigma = ops.matmul(ops.matmul(v, matrix), ops.transpose(u))  # 1 1
        return u, ops.reshape(ops.divide(matrix, sigma), self.kernel.shape)
