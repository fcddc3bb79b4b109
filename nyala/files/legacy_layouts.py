# SPDX-License-Identifier: Apache-2.0
"""Arrays as Keras 0, 1 and 2 stored them, in the layout of today's weights: kernels turned, gates joined. Start at converted."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from nyala.legacy.era import Era

Arrays = list[np.ndarray]


def weights_of(layer: Any) -> list[Any]:
    """The weights of a layer in the order of .h5 files: trainable ones of all sublayers first, then the others."""
    return sorted(layer.weights, key=lambda weight: not weight.made_trainable)


def converted(layer: Any, arrays: Arrays, era: Era) -> Arrays:
    """The arrays of one layer as its weights have them; what needs no change, or is not understood, stays."""
    kind = type(layer).__name__
    if kind == "Bidirectional":
        half = len(arrays) // 2
        return converted(layer.forward_layer, arrays[:half], era) + converted(layer.backward_layer, arrays[half:], era)
    if kind in ("TimeDistributed", "SpectralNormalization") and era.generation < 3:
        inner = layer.layer
        return converted(inner, arrays, era) if kind == "TimeDistributed" else arrays
    convert = CONVERSIONS.get(kind)
    return convert(layer, list(arrays), era) if convert is not None and era.generation < 3 else arrays


def _conv(layer: Any, arrays: Arrays, era: Era) -> Arrays:
    wanted = tuple(weights_of(layer)[0].shape)
    arrays[0] = _kernel(arrays[0], wanted, layer.data_format == "channels_first", era)
    return arrays


def _transposed(layer: Any, arrays: Arrays, era: Era) -> Arrays:
    """Kernels (*spatial, out, in); those of Keras 1 were (*spatial, in, out), or (out, in, *spatial) with channels_first."""
    kernel, rank = arrays[0], arrays[0].ndim - 2
    if era.generation < 2:
        kernel = kernel.transpose(*range(2, rank + 2), 0, 1) if layer.data_format == "channels_first" else kernel.swapaxes(-1, -2)
    arrays[0] = kernel[(slice(None, None, -1),) * rank] if era.backend == "theano" else kernel
    return arrays


def _kernel(kernel: np.ndarray, wanted: Sequence[int], channels_first: bool, era: Era) -> np.ndarray:
    """A kernel as (*spatial, in, out); Theano convolved with kernels the other way round."""
    rank = len(wanted) - 2
    if era.generation < 2:
        if rank == 1 and kernel.ndim == 4:  # (length, 1, in, out), before 1.2 (out, in, length, 1)
            old = (kernel.shape[3] == 1 and kernel.shape[1] != 1) or tuple(kernel[:, 0].shape) != tuple(wanted)
            kernel = kernel[..., 0].transpose(2, 1, 0) if old else kernel[:, 0]
        elif rank > 1 and kernel.ndim == rank + 2 and _turned_fits(kernel, wanted, channels_first):
            kernel = kernel.transpose(*range(2, rank + 2), 1, 0)
    return kernel[(slice(None, None, -1),) * rank] if era.backend == "theano" and kernel.ndim == rank + 2 else kernel


def _turned_fits(kernel: np.ndarray, wanted: Sequence[int], channels_first: bool) -> bool:
    """Whether a kernel lies as (out, in, *spatial): as channels_first layers of Keras 1 have it, unless only the other way fits."""
    turned = (*kernel.shape[2:], kernel.shape[1], kernel.shape[0])
    return turned == tuple(wanted) and (channels_first or tuple(kernel.shape) != tuple(wanted))


def _separable(layer: Any, arrays: Arrays, era: Era) -> Arrays:
    weights = weights_of(layer)
    if era.generation < 2 and layer.data_format == "channels_first":
        depthwise, pointwise = arrays[:2]
        arrays[0] = depthwise.transpose(2, 3, 1, 0) if depthwise.ndim == 4 else depthwise
        arrays[1] = pointwise.transpose(2, 3, 1, 0) if pointwise.ndim == 4 and tuple(pointwise.shape) != tuple(weights[1].shape) else pointwise
    return arrays


def _lstm(layer: Any, arrays: Arrays, era: Era) -> Arrays:
    if len(arrays) == 12:  # kernel, recurrent kernel and bias of the gates i, c, f, o
        i, c, f, o = (arrays[k : k + 3] for k in range(0, 12, 3))
        return _joined(i, f, c, o)
    return _from_cudnn(arrays, 4, lambda bias: bias[: bias.size // 2] + bias[bias.size // 2 :]) if _is_cudnn(layer, arrays, 8) else arrays


def _gru(layer: Any, arrays: Arrays, era: Era) -> Arrays:
    if len(arrays) == 9:  # z, r, h
        return _joined(*(arrays[k : k + 3] for k in range(0, 9, 3)))
    return _from_cudnn(arrays, 3, lambda bias: bias.reshape(2, -1)) if _is_cudnn(layer, arrays, 6) else arrays


def _joined(*gates: Arrays) -> Arrays:
    return [np.concatenate(parts, axis=-1) for parts in zip(*gates, strict=True)]


def _is_cudnn(layer: Any, arrays: Arrays, biases: int) -> bool:
    return len(arrays) == 3 and arrays[2].ndim == 1 and arrays[2].size == biases * layer.units


def _from_cudnn(arrays: Arrays, gates: int, bias: Callable[[np.ndarray], np.ndarray]) -> Arrays:
    """cuDNN keeps the matrix of each gate transposed, kernels in the memory order of the one that is not."""
    kernel = [part.T.reshape(part.shape, order="F") for part in np.split(arrays[0], gates, axis=1)]
    recurrent = [part.T for part in np.split(arrays[1], gates, axis=1)]
    return [np.concatenate(kernel, axis=1), np.concatenate(recurrent, axis=1), bias(arrays[2])]


def _conv_lstm(layer: Any, arrays: Arrays, era: Era) -> Arrays:
    kernel, recurrent, *_ = (tuple(weight.shape) for weight in weights_of(layer))
    first = layer.data_format == "channels_first"
    if len(arrays) == 12:
        units = kernel[-1] // 4
        shapes = [(*kernel[:-1], units), (*recurrent[:-1], units)]
        parts = [[_kernel(gate[0], shapes[0], first, era), _kernel(gate[1], shapes[1], first, era), gate[2]]
                 for gate in (arrays[k : k + 3] for k in range(0, 12, 3))]  # fmt: skip
        i, c, f, o = parts
        return _joined(i, f, c, o)
    return [_kernel(arrays[0], kernel, first, era), _kernel(arrays[1], recurrent, first, era), *arrays[2:]]


def _locally_connected(layer: Any, arrays: Arrays, era: Era) -> Arrays:
    wanted = tuple(weights_of(layer)[0].shape)
    if arrays[0].shape != wanted and arrays[0].size == math.prod(wanted):
        arrays[0] = arrays[0].reshape(wanted)
    return arrays


def _batch_normalization(layer: Any, arrays: Arrays, era: Era) -> Arrays:
    """Keras 0 kept the deviation in the place of the variance, and added epsilon to that."""
    if era.generation == 0 and len(arrays) == 4:
        arrays[3] = np.square(arrays[3] + np.asarray(layer.epsilon, arrays[3].dtype)) - np.asarray(layer.epsilon, arrays[3].dtype)
    return arrays


def _highway(layer: Any, arrays: Arrays, era: Era) -> Arrays:
    """Keras 0 had each bias behind its matrix."""
    return [arrays[0], arrays[2], arrays[1], arrays[3]] if era.generation == 0 and len(arrays) == 4 else arrays


def _normalization(layer: Any, arrays: Arrays, era: Era) -> Arrays:
    """Mean, variance and a count of samples, which today's layer does not keep."""
    wanted = [tuple(weight.shape) for weight in weights_of(layer)]
    if len(arrays) == len(wanted) + 1 and arrays[-1].ndim == 0:
        return [array.reshape(shape) if array.size == math.prod(shape) else array for array, shape in zip(arrays[:-1], wanted, strict=True)]
    return arrays


CONVERSIONS: dict[str, Callable[[Any, Arrays, Era], Arrays]] = {
    "BatchNormalization": _batch_normalization,
    "Conv1D": _conv,
    "Conv2D": _conv,
    "Conv2DTranspose": _transposed,
    "Conv3D": _conv,
    "Conv3DTranspose": _transposed,
    "ConvLSTM2D": _conv_lstm,
    "GRU": _gru,
    "Highway": _highway,
    "LSTM": _lstm,
    "LocallyConnected1D": _locally_connected,
    "LocallyConnected2D": _locally_connected,
    "Normalization": _normalization,
    "SeparableConv2D": _separable,
}
