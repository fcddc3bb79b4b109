# SPDX-License-Identifier: Apache-2.0
"""Largest values and means over windows, in one to three spatial axes. Start at Pooling, of which all others are parameters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nyala import ops
from nyala.core.config import standardize_data_format
from nyala.engines.protocol import Tensor
from nyala.layers.arguments import as_choice, as_sizes
from nyala.layers.input_spec import InputSpec
from nyala.layers.layer import Layer


class Pooling(Layer):
    """One number for each window and channel. Subclasses set `rank`, the number of spatial axes, and `pool`, the name of the op.

    Args:
        pool_size: size of the window, one integer or one per spatial axis.
        strides: places from one window to the next; None means pool_size.
        padding: "valid" leaves out windows that reach beyond the input; "same" gives ceil(size / strides) windows, padding does not count.
        data_format: "channels_last" or "channels_first"; None means the default.
    """

    rank: int
    pool: str

    def __init__(
        self,
        pool_size: int | Sequence[int] = 2,
        strides: int | Sequence[int] | None = None,
        padding: str = "valid",
        data_format: str | None = None,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        kind, rank = type(self).__name__, self.rank
        pool_size = as_sizes(f"{kind}(pool_size)", pool_size, rank)
        strides = pool_size if strides is None else as_sizes(f"{kind}(strides)", strides, rank)
        padding = as_choice(f"{kind}(padding)", padding.lower() if isinstance(padding, str) else padding, ("valid", "same"))
        data_format = standardize_data_format(data_format)
        super().__init__(name=name, **kwargs)
        self.pool_size, self.strides, self.padding, self.data_format = pool_size, strides, padding, data_format
        self.input_spec = InputSpec(ndim=rank + 2)

    def call(self, inputs: Tensor) -> Tensor:
        return getattr(ops, self.pool)(inputs, self.pool_size, self.strides, self.padding, self.data_format)


class MaxPooling1D(Pooling):
    """The largest value of each window of a sequence (b, t, c).

    Args: as Pooling.

    >>> import nyala
    >>> nyala.layers.MaxPooling1D(2)(nyala.ops.zeros((2, 7, 3))).shape
    (2, 3, 3)
    """

    rank, pool = 1, "max_pool"


class MaxPooling2D(Pooling):
    """The largest value of each window of an image (b, h, w, c).

    Args: as Pooling.

    >>> import nyala
    >>> x = nyala.ops.reshape(nyala.ops.arange(16.0), (1, 4, 4, 1))
    >>> nyala.ops.convert_to_numpy(nyala.layers.MaxPooling2D()(x)).ravel().tolist()
    [5.0, 7.0, 13.0, 15.0]
    """

    rank, pool = 2, "max_pool"


class MaxPooling3D(Pooling):
    """The largest value of each window of a volume (b, d, h, w, c).

    Args: as Pooling.
    """

    rank, pool = 3, "max_pool"


class AveragePooling1D(Pooling):
    """The mean of each window of a sequence (b, t, c).

    Args: as Pooling.

    >>> import nyala
    >>> nyala.ops.convert_to_numpy(nyala.layers.AveragePooling1D(2)([[[1.0], [3.0], [7.0]]])).ravel().tolist()
    [2.0]
    """

    rank, pool = 1, "average_pool"


class AveragePooling2D(Pooling):
    """The mean of each window of an image (b, h, w, c).

    Args: as Pooling.
    """

    rank, pool = 2, "average_pool"


class AveragePooling3D(Pooling):
    """The mean of each window of a volume (b, d, h, w, c).

    Args: as Pooling.
    """

    rank, pool = 3, "average_pool"


MaxPool1D, MaxPool2D, MaxPool3D = MaxPooling1D, MaxPooling2D, MaxPooling3D
AvgPool1D, AvgPool2D, AvgPool3D = AveragePooling1D, AveragePooling2D, AveragePooling3D
