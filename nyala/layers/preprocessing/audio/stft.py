# SPDX-License-Identifier: Apache-2.0
"""STFTSpectrogram: the frequencies of each moment of a sound, by two convolutions whose kernels begin as waves and may be trained."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from nyala import ops
from nyala.core.config import standardize_data_format
from nyala.core.errors import ArgumentError
from nyala.engines.protocol import Tensor
from nyala.layers.arguments import as_choice, as_count
from nyala.layers.input_spec import InputSpec
from nyala.layers.layer import Layer

MODES = ("log", "magnitude", "psd", "real", "imag", "angle", "stft")


class STFTSpectrogram(Layer):
    """Sound (b, t, c) as (b, frames, c * frequencies).

    Args:
        mode: "magnitude" |X|, "log" its logarithm, "psd" |X|**2 of both sides, "real" and "imag" parts, "angle", or "stft" (real, then imaginary).
        frame_length: values per frame.
        frame_step: values from one frame to the next; None: half a frame.
        fft_length: a power of two from frame_length on, the smallest by default.
        window: "hann", "hamming", None, an array of frame_length, or what scipy.signal.get_window knows.
        periodic: whether the window repeats with frame_length rather than frame_length - 1.
        scaling: "density", "spectrum" or None.
        padding: "valid", or "same" for t / frame_step frames.
        expand_dims: give channels an axis of their own: (b, frames, frequencies, c).
        data_format: "channels_last", or "channels_first": (b, c, t) becomes (b, c * frequencies, frames), or (b, c, frames, frequencies).

    >>> import nyala
    >>> nyala.layers.STFTSpectrogram("magnitude", frame_length=64)(nyala.ops.ones((2, 300, 1))).shape
    (2, 8, 33)
    """

    def __init__(
        self,
        mode: str = "log",
        frame_length: int = 256,
        frame_step: int | None = None,
        fft_length: int | None = None,
        window: Any = "hann",
        periodic: bool = False,
        scaling: str | None = "density",
        padding: str = "valid",
        expand_dims: bool = False,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        as_choice("STFTSpectrogram(mode)", mode, MODES)
        as_choice("STFTSpectrogram(padding)", padding, ("valid", "same"))
        as_count("STFTSpectrogram(frame_length)", frame_length)
        step = as_count("STFTSpectrogram(frame_step)", max(frame_length // 2, 1) if frame_step is None else frame_step)
        if step > frame_length:
            raise ArgumentError("STFTSpectrogram(frame_step)", need=f"at most frame_length={frame_length}", got=repr(frame_step))
        if scaling not in ("density", "spectrum", None):
            raise ArgumentError("STFTSpectrogram(scaling)", need="'density', 'spectrum' or None", got=repr(scaling))
        whole = 2 ** math.ceil(math.log2(frame_length)) if fft_length is None else as_count("STFTSpectrogram(fft_length)", fft_length)
        if whole < frame_length or whole & (whole - 1):
            raise ArgumentError("STFTSpectrogram(fft_length)", need=f"a power of two from frame_length={frame_length} on", got=repr(fft_length))
        data_format = standardize_data_format(data_format)
        super().__init__(**kwargs)
        self.mode, self.frame_length, self.frame_step, self.fft_length = mode, frame_length, frame_step, fft_length
        self.window, self.periodic, self.scaling, self.padding = window, periodic, scaling, padding
        self.expand_dims, self.data_format = expand_dims, data_format
        self._step, self._whole = step, whole
        self.input_spec = InputSpec(ndim=3)

    def build(self, input_shape: Any) -> None:
        angles = 2 * math.pi / self._whole * np.outer(np.arange(self.frame_length), np.arange(self._whole // 2 + 1))
        weight = self._window()[:, None]
        weight = weight / {"density": np.sqrt(np.sum(weight**2)), "spectrum": np.sum(weight), None: 1.0}[self.scaling]
        shape = (self.frame_length, 1, self._whole // 2 + 1)
        self.real_kernel = self.imag_kernel = None
        if self.mode != "imag":
            self.real_kernel = self._kernel("real_kernel", np.cos(angles) * weight, shape)
        if self.mode != "real":
            self.imag_kernel = self._kernel("imag_kernel", -np.sin(angles) * weight, shape)

    def _kernel(self, name: str, values: np.ndarray, shape: tuple[int, ...]) -> Any:
        return self.add_weight(shape, lambda shape, dtype=None: values.reshape(shape).astype(dtype or "float32"), name=name)

    def _window(self) -> np.ndarray:
        length = self.frame_length
        if self.window is None:
            return np.ones(length)
        if isinstance(self.window, (list, np.ndarray)):
            values = np.asarray(self.window, "float64")
            if values.shape != (length,):
                raise ArgumentError("STFTSpectrogram(window)", need=f"an array of frame_length={length}", got=f"shape {values.shape}")
            return values
        if self.window in ("hann", "hamming"):
            turn = 2 * math.pi * np.arange(length) / max(length if self.periodic else length - 1, 1)
            return 0.5 - 0.5 * np.cos(turn) if self.window == "hann" else 0.54 - 0.46 * np.cos(turn)
        try:
            from scipy.signal import get_window
        except ImportError as error:
            raise ArgumentError(
                "STFTSpectrogram(window)", need="'hann', 'hamming', None or an array", got=repr(self.window), fix="pip install scipy knows more"
            ) from error
        return np.asarray(get_window(self.window, length, fftbins=self.periodic))

    def _part(self, x: Tensor, kernel: Any) -> Tensor:
        """(n, t, 1) correlated with waves: (n, frames, frequencies)."""
        return ops.conv(x, kernel, self._step, self.padding, "channels_last")

    def call(self, inputs: Tensor) -> Tensor:
        first = self.data_format == "channels_first"
        x = inputs if first else ops.swapaxes(inputs, 1, 2)  # b c t
        batch, channels, length = x.shape
        x = ops.reshape(x, (batch * channels, length, 1))
        real, imaginary = (None if kernel is None else self._part(x, kernel) for kernel in (self.real_kernel, self.imag_kernel))
        x = self._values(real, imaginary)
        x = ops.reshape(x, (batch, channels, *x.shape[1:]))  # b c frames frequencies
        frames, frequencies = x.shape[2:]
        if self.expand_dims:
            return x if first else ops.moveaxis(x, 1, -1)
        x = ops.transpose(x, (0, 1, 3, 2) if first else (0, 2, 1, 3))
        return ops.reshape(x, (batch, channels * frequencies, frames) if first else (batch, frames, channels * frequencies))

    def _values(self, real: Any, imaginary: Any) -> Tensor:
        if self.mode in ("real", "imag"):
            return real if self.mode == "real" else imaginary
        if self.mode == "angle":
            return ops.arctan2(imaginary, real)
        if self.mode == "stft":
            return ops.concatenate([real, imaginary], axis=-1)
        energy = ops.square(real) + ops.square(imaginary)
        if self.mode == "psd":
            sides = np.full(energy.shape[-1], 2.0, "float32")  # frequencies below 0 count where they are others
            sides[0] = sides[-1] = 1.0
            return energy * ops.cast(ops.convert_to_tensor(sides), energy.dtype)
        magnitude = ops.sqrt(ops.maximum(energy, 1e-7))
        return ops.log(magnitude + 1e-7) if self.mode == "log" else magnitude
