# SPDX-License-Identifier: Apache-2.0
"""Fourier transforms over the last axis; complex numbers are pairs (real, imaginary) of float tensors, in and out. Start at fft."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from nyala.core.errors import ArgumentError, DTypeError, ShapeError
from nyala.core.op import convert, engine, normalize_axis, op
from nyala.engines.protocol import Tensor
from nyala.ops.shaping import part_of

Pair = tuple[Tensor, Tensor]


def _complex(name: str, x: Sequence[Tensor], ndim: int = 1) -> Tensor:
    """A pair as one complex tensor of at least so many axes."""
    if not isinstance(x, (list, tuple)) or len(x) != 2:
        raise ArgumentError(name, need="a pair (real, imaginary)", got="one tensor", fix="pass (x, ops.zeros_like(x)) for real x")
    if tuple(x[0].shape) != tuple(x[1].shape) or x[0].ndim < ndim:
        raise ShapeError(name, need=f"two parts of one shape, of at least {ndim} axes", got=f"{tuple(x[0].shape)} and {tuple(x[1].shape)}")
    if engine.dtype(x[0]) not in ("float32", "float64"):
        raise DTypeError(name, need="float32 or float64", got=engine.dtype(x[0]), fix='cast first: ops.cast(x, "float32")')
    return engine.complex(x[0], x[1])


def _pair(x: Tensor) -> Pair:
    return engine.real(x), engine.imag(x)


@op(promote="same")
def fft(x: Sequence[Tensor]) -> Pair:
    """Discrete Fourier transform over the last axis.

    >>> [part.tolist() for part in fft(([1.0, 2.0], [0.0, 0.0]))]
    [[3.0, -1.0], [0.0, 0.0]]
    """
    z = _complex("fft", x)
    return _pair(engine.fft(z, z.ndim - 1))


@op(promote="same")
def fft2(x: Sequence[Tensor]) -> Pair:
    """Discrete Fourier transform over the last two axes."""
    z = _complex("fft2", x, 2)
    return _pair(engine.fft(engine.fft(z, z.ndim - 1), z.ndim - 2))


@op(promote="same")
def ifft2(x: Sequence[Tensor]) -> Pair:
    """Inverse of fft2."""
    z = _complex("ifft2", x, 2)
    return _pair(engine.ifft(engine.ifft(z, z.ndim - 1), z.ndim - 2))


def _fitted(x: Tensor, length: int) -> Tensor:
    """x cut, or filled up with zeros, to this length of its last axis."""
    size = x.shape[-1]
    if size >= length:
        return part_of(x, x.ndim - 1, 0, length)
    return engine.pad(x, [(0, 0)] * (x.ndim - 1) + [(0, length - size)], 0)


@op(promote="float")
def rfft(x: Tensor, fft_length: int | None = None) -> Pair:
    """The first fft_length // 2 + 1 values of the transform of a real x; the others are their conjugates.

    Args:
        fft_length: x is cut or filled up with zeros to this; by default its own length.
    """
    length = _length("rfft", x.shape[-1] if fft_length is None else fft_length)
    x = _fitted(x, length)
    found = engine.fft(_complex("rfft", (x, engine.full(tuple(x.shape), 0, engine.dtype(x)))), x.ndim - 1)
    return _pair(part_of(found, x.ndim - 1, 0, length // 2 + 1))


@op(promote="same")
def irfft(x: Sequence[Tensor], fft_length: int | None = None) -> Tensor:
    """Inverse of rfft: a real tensor of length fft_length, by default twice the size of the last axis less two."""
    _complex("irfft", x)
    axis = x[0].ndim - 1
    length = _length("irfft", 2 * (x[0].shape[-1] - 1) if fft_length is None else fft_length)
    half = length // 2 + 1
    real, imaginary = (_fitted(part, half) for part in x)
    mirror = lambda part: engine.flip(part_of(part, axis, 1, (length + 1) // 2), (axis,))  # noqa: E731
    edge = np.ones(half)  # the imaginary parts at frequency 0, and at the last one of an even length, do not count
    edge[0] = 0
    if length % 2 == 0:
        edge[-1] = 0
    imaginary = engine.multiply(imaginary, engine.asarray(edge, engine.dtype(imaginary)))
    whole = engine.complex(engine.concatenate([real, mirror(real)], axis), engine.concatenate([imaginary, engine.negative(mirror(imaginary))], axis))
    return engine.real(engine.ifft(whole, axis))


def _length(where: str, length: Any) -> int:
    if not isinstance(length, (int, np.integer)) or length < 1:
        raise ArgumentError(f"{where}(fft_length)", need="an integer of at least 1", got=repr(length))
    return length if isinstance(length, int) else int(length)  # an unknown size stays one


# Frames -------------------------------------------------------------------------------------------------------------------------------------


@op
def extract_sequences(x: Tensor, sequence_length: int, sequence_stride: int) -> Tensor:
    """Frames of the last axis, one every sequence_stride: (..., n) becomes (..., frames, sequence_length).

    >>> extract_sequences([1, 2, 3, 4, 5], 3, 2).tolist()
    [[1, 2, 3], [3, 4, 5]]
    """
    if x.ndim < 1 or sequence_length < 1 or sequence_stride < 1:
        raise ArgumentError(
            "extract_sequences",
            need="a last axis, and a positive length and stride",
            got=f"shape {tuple(x.shape)}, {sequence_length} and {sequence_stride}",
        )
    frames = max(0, (x.shape[-1] - sequence_length) // sequence_stride + 1)
    index = np.arange(frames)[:, None] * sequence_stride + np.arange(sequence_length)
    return engine.take(x, engine.asarray(index, "int32"), normalize_axis(-1, x.ndim))


def _window(name: str, window: Any, length: int, whole: int, dtype: str) -> Tensor:
    """The window, by name, as a tensor, or ones; with zeros on both sides up to the length of the transform."""
    if isinstance(window, str) or window is None:
        if window not in ("hann", "hamming", None):
            raise ArgumentError(f"{name}(window)", need="'hann', 'hamming', None or a tensor", got=repr(window))
        angle = 2 * math.pi * np.arange(length) / length
        values = np.ones(length) if window is None else 0.5 - 0.5 * np.cos(angle) if window == "hann" else 0.54 - 0.46 * np.cos(angle)
        taper = engine.asarray(values, dtype)
    else:
        taper = convert(window, dtype)
        if tuple(taper.shape) != (length,):
            raise ShapeError(f"{name}(window)", need=f"a vector of sequence_length = {length}", got=f"shape {tuple(taper.shape)}")
    before = (whole - length) // 2
    return engine.pad(taper, [(before, whole - length - before)], 0)


def _check_frames(name: str, length: int, stride: int, whole: int) -> None:
    if not stride >= 1 or not 1 <= length <= whole:
        raise ArgumentError(name, need="1 <= sequence_length <= fft_length, and a positive stride", got=f"{length}, {whole} and {stride}")


@op(promote="float")
def stft(x: Tensor, sequence_length: int, sequence_stride: int, fft_length: int, window: Any = "hann", center: bool = True) -> Pair:
    """Short-time Fourier transform: rfft of each frame times the window.

    Args:
        x: (..., n). center: mirror half a frame at both ends first, so that frame i is centered at i * sequence_stride.
    Returns: pair of (..., frames, fft_length // 2 + 1).
    """
    _check_frames("stft", sequence_length, sequence_stride, fft_length)
    if center:
        half, size, axis = fft_length // 2, x.shape[-1], x.ndim - 1
        if half >= size:
            raise ShapeError(
                "stft", need=f"more than fft_length // 2 = {half} values to mirror", got=f"shape {tuple(x.shape)}", fix="pass center=False"
            )
        x = engine.take(x, engine.asarray(np.pad(np.arange(size), half, mode="reflect"), "int32"), axis)
    frames = extract_sequences.function(x, fft_length, sequence_stride)
    return rfft.function(engine.multiply(frames, _window("stft", window, sequence_length, fft_length, engine.dtype(x))))


@op(promote="same")
def istft(
    x: Sequence[Tensor],
    sequence_length: int,
    sequence_stride: int,
    fft_length: int,
    length: int | None = None,
    window: Any = "hann",
    center: bool = True,
) -> Tensor:
    """Inverse of stft: frames times the window, added up where they overlap, divided by the sum of squared windows there."""
    _check_frames("istft", sequence_length, sequence_stride, fft_length)
    taper = _window("istft", window, sequence_length, fft_length, engine.dtype(x[0]))
    frames = engine.multiply(irfft.function(x, fft_length), taper)  # ... f n
    count = frames.shape[-2]
    added = _overlapped(frames, sequence_stride)
    weight = _overlapped(engine.broadcast_to(engine.multiply(taper, taper), (count, fft_length)), sequence_stride)
    heard = engine.greater(weight, 1e-10)
    added = engine.where(heard, engine.divide(added, engine.where(heard, weight, 1.0)), added)
    start = fft_length // 2 if center else 0
    stop = added.shape[-1] - start if length is None else start + length
    stop, missing = min(stop, added.shape[-1]), max(0, stop - added.shape[-1])
    result = part_of(added, added.ndim - 1, start, stop)
    return engine.pad(result, [(0, 0)] * (result.ndim - 1) + [(0, missing)], 0) if missing else result


def _overlapped(frames: Tensor, stride: int) -> Tensor:
    """Frames (..., f, n) added up, each `stride` after the one before."""
    *batch, count, length = frames.shape
    size = (count - 1) * stride + length
    places = (np.arange(count)[:, None] * stride + np.arange(length)).reshape(-1, 1)
    flat = engine.transpose(engine.reshape(frames, (math.prod(batch), count * length)), (1, 0))
    added = engine.scatter(engine.full((size, math.prod(batch)), 0, engine.dtype(frames)), engine.asarray(places, "int32"), flat, "add")
    return engine.reshape(engine.transpose(added, (1, 0)), (*batch, size))
