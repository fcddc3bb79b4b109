# SPDX-License-Identifier: Apache-2.0
"""Means and largest values over a given number of windows, whatever the size of the input. Start at AdaptivePooling."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nyala import ops
from nyala.core.config import standardize_data_format
from nyala.engines.protocol import Tensor
from nyala.layers.arguments import as_sizes
from nyala.layers.input_spec import InputSpec
from nyala.layers.layer import Layer


class AdaptivePooling(Layer):
    """output_size numbers for each channel. Subclasses set `rank`, the number of spatial axes, and `pool`, the name of the op.

    Args:
        output_size: number of windows, one integer or one per spatial axis. They cover the input evenly and overlap where it does not divide.
        data_format: "channels_last" or "channels_first"; None means the default.
    """

    rank: int
    pool: str

    def __init__(self, output_size: int | Sequence[int], data_format: str | None = None, **kwargs: Any) -> None:
        output_size = as_sizes(f"{type(self).__name__}(output_size)", output_size, self.rank)
        data_format = standardize_data_format(data_format)
        super().__init__(**kwargs)
        self.output_size, self.data_format = output_size, data_format
        self.input_spec = InputSpec(ndim=self.rank + 2)

    def call(self, inputs: Tensor) -> Tensor:
        return getattr(ops, self.pool)(inputs, self.output_size, self.data_format)


class AdaptiveAveragePooling1D(AdaptivePooling):
    """The mean of each of output_size windows of a sequence (b, t, c).

    Args: as AdaptivePooling.

    >>> import nyala
    >>> x = [[[1.0], [3.0], [2.0], [0.0], [5.0]]]
    >>> nyala.ops.convert_to_numpy(nyala.layers.AdaptiveAveragePooling1D(5)(x)).ravel().tolist()
    [1.0, 3.0, 2.0, 0.0, 5.0]
    """

    rank, pool = 1, "adaptive_average_pool"


class AdaptiveAveragePooling2D(AdaptivePooling):
    """The mean of each of output_size windows of an image (b, h, w, c).

    Args: as AdaptivePooling.

    >>> import nyala
    >>> nyala.layers.AdaptiveAveragePooling2D((2, 3))(nyala.ops.zeros((2, 7, 5, 4))).shape
    (2, 2, 3, 4)
    """

    rank, pool = 2, "adaptive_average_pool"


class AdaptiveAveragePooling3D(AdaptivePooling):
    """The mean of each of output_size windows of a volume (b, d, h, w, c).

    Args: as AdaptivePooling.
    """

    rank, pool = 3, "adaptive_average_pool"


class AdaptiveMaxPooling1D(AdaptivePooling):
    """The largest value of each of output_size windows of a sequence (b, t, c).

    Args: as AdaptivePooling.

    >>> import nyala
    >>> x = [[[1.0], [3.0], [2.0], [0.0], [5.0]]]
    >>> nyala.ops.convert_to_numpy(nyala.layers.AdaptiveMaxPooling1D(2)(x)).ravel().tolist()
    [3.0, 5.0]
    """

    rank, pool = 1, "adaptive_max_pool"


class AdaptiveMaxPooling2D(AdaptivePooling):
    """The largest value of each of output_size windows of an image (b, h, w, c).

    Args: as AdaptivePooling.
    """

    rank, pool = 2, "adaptive_max_pool"


class AdaptiveMaxPooling3D(AdaptivePooling):
    """The largest value of each of output_size windows of a volume (b, d, h, w, c).

    Args: as AdaptivePooling.
    """

    rank, pool = 3, "adaptive_max_pool"
