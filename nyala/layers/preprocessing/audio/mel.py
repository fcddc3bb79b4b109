# SPDX-License-Identifier: Apache-2.0
"""MelSpectrogram: how loud each band of frequencies is over time, bands as wide as the ear's."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from nyala import ops
from nyala.core.errors import ArgumentError
from nyala.engines.protocol import Tensor
from nyala.layers.arguments import as_count, as_number
from nyala.layers.layer import Layer


class MelSpectrogram(Layer):
    """Sound (t,) or (b, t) as (bands, frames) or (b, bands, frames).

    Args:
        fft_length: values per transform.
        sequence_stride: values from one frame to the next.
        sequence_length: values per frame; None: fft_length.
        window: "hann", "hamming" or None.
        sampling_rate: values per second.
        num_mel_bins: number of bands.
        min_freq, max_freq: where the bands begin and end, in Hertz; None: half the sampling rate.
        power_to_db: whether the result is in decibels.
        top_db: in decibels, nothing is more than this below the loudest of all.
        mag_exp: power of the magnitudes, 1.0 for amplitudes and 2.0 for energy.
        min_power: smaller values count as this, in decibels.
        ref_power: what is 0 decibels.

    >>> import nyala
    >>> nyala.layers.MelSpectrogram(num_mel_bins=20, fft_length=128, sequence_stride=50)(nyala.ops.ones((2, 300))).shape
    (2, 20, 7)
    """

    def __init__(
        self,
        fft_length: int = 2048,
        sequence_stride: int = 512,
        sequence_length: int | None = None,
        window: Any = "hann",
        sampling_rate: int = 16000,
        num_mel_bins: int = 128,
        min_freq: float = 20.0,
        max_freq: float | None = None,
        power_to_db: bool = True,
        top_db: float = 80.0,
        mag_exp: float = 2.0,
        min_power: float = 1e-10,
        ref_power: float = 1.0,
        **kwargs: Any,
    ) -> None:
        sizes = {"fft_length": fft_length, "sequence_stride": sequence_stride, "num_mel_bins": num_mel_bins, "sampling_rate": sampling_rate}
        for name, value in sizes.items():
            as_count(f"MelSpectrogram({name})", value)
        for name, value in {"min_freq": min_freq, "top_db": top_db, "mag_exp": mag_exp, "ref_power": ref_power}.items():
            as_number(f"MelSpectrogram({name})", value)
        if as_number("MelSpectrogram(min_power)", min_power, 0) == 0:
            raise ArgumentError("MelSpectrogram(min_power)", need="a number above 0", got=repr(min_power), why="its logarithm is taken")
        top = max_freq or sampling_rate // 2
        if not 0 <= min_freq < top <= sampling_rate / 2:
            raise ArgumentError("MelSpectrogram", need="0 <= min_freq < max_freq <= sampling_rate / 2", got=f"{min_freq}, {top} and {sampling_rate}")
        super().__init__(**kwargs)
        self.fft_length, self.sequence_stride, self.sequence_length = fft_length, sequence_stride, sequence_length or fft_length
        self.window, self.sampling_rate, self.num_mel_bins = window, sampling_rate, num_mel_bins
        self.min_freq, self.max_freq = min_freq, top
        self.power_to_db, self.top_db, self.mag_exp, self.min_power, self.ref_power = power_to_db, top_db, mag_exp, min_power, ref_power

    def call(self, inputs: Tensor) -> Tensor:
        x = ops.cast(inputs, self.compute_dtype)
        wide = x if self.compute_dtype == "float64" else ops.cast(x, "float32")
        real, imaginary = ops.stft(wide, self.sequence_length, self.sequence_stride, self.fft_length, self.window)
        energy = ops.square(real) + ops.square(imaginary)  # *b frames frequencies
        strength = energy if self.mag_exp == 2 else ops.power(ops.maximum(energy, 1e-30), self.mag_exp / 2)
        bands = self.linear_to_mel_weight_matrix(self.num_mel_bins, self.fft_length // 2 + 1, self.sampling_rate, self.min_freq, self.max_freq)
        result = ops.swapaxes(ops.matmul(strength, ops.cast(bands, wide.dtype)), -1, -2)
        return ops.cast(self._decibels(result) if self.power_to_db else result, self.compute_dtype)

    def _decibels(self, x: Tensor) -> Tensor:
        zero = 10 * math.log10(max(abs(self.ref_power), self.min_power))
        loud = ops.log(ops.maximum(x, self.min_power)) * (10 / math.log(10)) - zero
        return ops.maximum(loud, ops.max(loud, initial=10 * math.log10(self.min_power) - zero) - self.top_db)

    def linear_to_mel_weight_matrix(
        self,
        num_mel_bins: int = 20,
        num_spectrogram_bins: int = 129,
        sampling_rate: int = 8000,
        lower_edge_hertz: float = 125.0,
        upper_edge_hertz: float = 3800.0,
        dtype: Any = "float32",
    ) -> np.ndarray:
        """How much each frequency counts in each band, (frequencies, bands): triangles that overlap by half, on the scale 1127 log(1 + f / 700)."""
        mel = lambda hertz: 1127.0 * np.log1p(np.asarray(hertz, "float64") / 700.0)  # noqa: E731
        edges = np.linspace(mel(lower_edge_hertz), mel(upper_edge_hertz), num_mel_bins + 2)
        places = mel(np.linspace(0.0, sampling_rate / 2, num_spectrogram_bins))[:, None]
        low, middle, high = edges[:-2], edges[1:-1], edges[2:]
        triangles = np.minimum((places - low) / (middle - low), (high - places) / (high - middle))
        triangles[0] = 0  # a constant is no sound
        return np.maximum(triangles, 0).astype(dtype)
