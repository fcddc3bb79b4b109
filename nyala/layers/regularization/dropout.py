# SPDX-License-Identifier: Apache-2.0
"""Dropout of single numbers, and of whole channels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nyala import random
from nyala.core.config import standardize_data_format
from nyala.core.errors import ArgumentError
from nyala.engines.protocol import Tensor
from nyala.layers.arguments import as_fraction, is_int
from nyala.layers.input_spec import InputSpec
from nyala.layers.layer import Layer


class Dropout(Layer):
    """In training each number is 0 with probability rate, else x / (1 - rate); otherwise x.

    Args:
        rate: probability of 0, from 0 to 1.
        noise_shape: shape of the coin tosses, 1 where an axis shares them, None for the size of the input there; None: one toss a number.
        seed: makes the tosses repeat from one run to the next.
    Source: Srivastava, Hinton, Krizhevsky, Sutskever, Salakhutdinov 2014, Dropout: a simple way to prevent neural networks from overfitting.

    >>> import nyala
    >>> x = nyala.layers.Dropout(0.5, seed=3)(nyala.ops.ones((1, 1000)), training=True)
    >>> sorted(set(nyala.ops.convert_to_numpy(x)[0].tolist()))
    [0.0, 2.0]
    """

    def __init__(self, rate: float, noise_shape: Sequence[int | None] | None = None, seed: int | None = None, **kwargs: Any) -> None:
        rate = as_fraction(f"{type(self).__name__}(rate)", rate)
        if noise_shape is not None and not (isinstance(noise_shape, (list, tuple)) and all(n is None or (is_int(n) and n > 0) for n in noise_shape)):
            raise ArgumentError("Dropout(noise_shape)", need="a tuple of positive integers and None", got=repr(noise_shape))
        super().__init__(**kwargs)
        self.rate, self.seed = rate, seed
        self.noise_shape = None if noise_shape is None else tuple(noise_shape)
        if rate > 0:
            self.seed_generator = random.SeedGenerator(seed)
        self.supports_masking = True

    def call(self, inputs: Tensor, training: bool = False) -> Tensor:
        if not training or self.rate == 0:
            return inputs
        return random.dropout(inputs, self.rate, noise_shape=self._noise_shape(inputs.shape), seed=self.seed_generator)

    def _noise_shape(self, shape: tuple[int, ...]) -> tuple[int, ...] | None:
        if self.noise_shape is None:
            return None
        if len(self.noise_shape) != len(shape):
            raise ArgumentError(
                f"Dropout {self.name!r}",
                need=f"an input with {len(self.noise_shape)} axes, as noise_shape {self.noise_shape}",
                got=f"{len(shape)} axes",
            )
        return tuple(size if noise is None else noise for size, noise in zip(shape, self.noise_shape, strict=True))


class _SpatialDropout(Dropout):
    """Dropout that tosses one coin per sample and channel, for all places together. Subclasses say how many spatial axes there are."""

    rank: int

    def __init__(
        self, rate: float, data_format: str | None = None, seed: int | None = None, name: str | None = None, dtype: Any = None, **kwargs: Any
    ) -> None:
        data_format = standardize_data_format(data_format)
        super().__init__(rate, seed=seed, name=name, dtype=dtype, **kwargs)
        self.data_format = data_format
        self.input_spec = InputSpec(ndim=self.rank + 2)

    def _noise_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        ones = (1,) * self.rank
        return (shape[0], *ones, shape[-1]) if self.data_format == "channels_last" else (shape[0], shape[1], *ones)

    def get_config(self) -> dict[str, Any]:
        config = {"rate": self.rate, "seed": self.seed, "name": self.name, "dtype": self.dtype_policy.name}
        return config if self.rank == 1 else {**config, "data_format": self.data_format}


class SpatialDropout1D(_SpatialDropout):
    """In training, whole channels of a sequence (b, t, c) are 0 with probability rate, the others divided by 1 - rate.

    Args:
        rate: probability of 0, from 0 to 1.
        seed: makes the tosses repeat from one run to the next.
    Source: Tompson, Goroshin, Jain, LeCun, Bregler 2015, Efficient object localization using convolutional networks.
    """

    rank = 1

    def __init__(self, rate: float, seed: int | None = None, name: str | None = None, dtype: Any = None, **kwargs: Any) -> None:
        super().__init__(rate, "channels_last", seed, name, dtype, **kwargs)


class SpatialDropout2D(_SpatialDropout):
    """In training, whole channels of an image are 0 with probability rate, the others divided by 1 - rate.

    Args:
        rate: probability of 0, from 0 to 1.
        data_format: "channels_last" (b, h, w, c), "channels_first" (b, c, h, w); None means the default.
        seed: makes the tosses repeat from one run to the next.
    Source: as SpatialDropout1D.
    """

    rank = 2


class SpatialDropout3D(_SpatialDropout):
    """In training, whole channels of a volume are 0 with probability rate, the others divided by 1 - rate.

    Args: as SpatialDropout2D, for (b, d, h, w, c) or (b, c, d, h, w).
    Source: as SpatialDropout1D.
    """

    rank = 3
