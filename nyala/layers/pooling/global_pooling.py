# SPDX-License-Identifier: Apache-2.0
"""Mean and largest value of each channel over all places, in one to three spatial axes. Start at GlobalPooling."""

from __future__ import annotations

from typing import Any

from nyala import ops
from nyala.core.config import standardize_data_format
from nyala.engines.protocol import Tensor
from nyala.layers.input_spec import InputSpec
from nyala.layers.layer import Layer


class GlobalPooling(Layer):
    """One number for each channel. Subclasses set `rank`, the number of spatial axes, and write `call`.

    Args:
        data_format: "channels_last" or "channels_first"; None means the default.
        keepdims: keep the spatial axes with size 1.
    """

    rank: int

    def __init__(self, data_format: str | None = None, keepdims: bool = False, **kwargs: Any) -> None:
        data_format = standardize_data_format(data_format)
        super().__init__(**kwargs)
        self.data_format, self.keepdims = data_format, keepdims
        self.input_spec = InputSpec(ndim=self.rank + 2)

    @property
    def axes(self) -> tuple[int, ...]:
        """The spatial axes."""
        first = 1 if self.data_format == "channels_last" else 2
        return tuple(range(first, first + self.rank))


class _GlobalAverage(GlobalPooling):
    def call(self, inputs: Tensor) -> Tensor:
        return ops.mean(inputs, self.axes, keepdims=self.keepdims)


class _GlobalMax(GlobalPooling):
    def call(self, inputs: Tensor) -> Tensor:
        return ops.max(inputs, self.axes, keepdims=self.keepdims)


class GlobalAveragePooling1D(GlobalPooling):
    """The mean of each channel of a sequence (b, t, c) over time, of the steps that a mask lets count.

    Args: as GlobalPooling.
    Differs: from Keras where a mask excludes all steps of a sample: the mean is then 0, not nan.

    >>> import nyala
    >>> x, mask = [[[1.0], [3.0], [9.0]]], [[True, True, False]]
    >>> nyala.ops.convert_to_numpy(nyala.layers.GlobalAveragePooling1D()(x, mask=mask)).tolist()
    [[2.0]]
    """

    rank = 1

    def __init__(self, data_format: str | None = None, keepdims: bool = False, **kwargs: Any) -> None:
        super().__init__(data_format, keepdims, **kwargs)
        self.supports_masking = True

    def call(self, inputs: Tensor, mask: Tensor | None = None) -> Tensor:
        (axis,) = self.axes
        if mask is None:
            return ops.mean(inputs, axis, keepdims=self.keepdims)
        weights = ops.expand_dims(ops.cast(mask, inputs.dtype), 3 - axis)  # b t 1, or b 1 t
        total = ops.maximum(ops.sum(weights, axis, keepdims=self.keepdims), 1)
        return ops.sum(inputs * weights, axis, keepdims=self.keepdims) / total

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> None:
        return None


class GlobalAveragePooling2D(_GlobalAverage):
    """The mean of each channel of an image (b, h, w, c) over all places.

    Args: as GlobalPooling.

    >>> import nyala
    >>> nyala.layers.GlobalAveragePooling2D()(nyala.ops.zeros((2, 5, 7, 3))).shape
    (2, 3)
    """

    rank = 2


class GlobalAveragePooling3D(_GlobalAverage):
    """The mean of each channel of a volume (b, d, h, w, c) over all places.

    Args: as GlobalPooling.
    """

    rank = 3


class GlobalMaxPooling1D(_GlobalMax):
    """The largest value of each channel of a sequence (b, t, c).

    Args: as GlobalPooling.
    """

    rank = 1


class GlobalMaxPooling2D(_GlobalMax):
    """The largest value of each channel of an image (b, h, w, c).

    Args: as GlobalPooling.

    >>> import nyala
    >>> nyala.layers.GlobalMaxPooling2D(keepdims=True)(nyala.ops.zeros((2, 5, 7, 3))).shape
    (2, 1, 1, 3)
    """

    rank = 2


class GlobalMaxPooling3D(_GlobalMax):
    """The largest value of each channel of a volume (b, d, h, w, c).

    Args: as GlobalPooling.
    """

    rank = 3


GlobalAvgPool1D, GlobalAvgPool2D, GlobalAvgPool3D = GlobalAveragePooling1D, GlobalAveragePooling2D, GlobalAveragePooling3D
GlobalMaxPool1D, GlobalMaxPool2D, GlobalMaxPool3D = GlobalMaxPooling1D, GlobalMaxPooling2D, GlobalMaxPooling3D
