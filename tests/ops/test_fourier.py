# SPDX-License-Identifier: Apache-2.0
"""Fourier transforms against NumPy, and the round trip of frames."""

import numpy as np
import pytest

from nyala import ops
from nyala.engines import backend
from tests.ops.table import Row, checks, engines, host, normal


def parts(function):
    def transform(x, **options):
        found = function(x[0] + 1j * x[1] if isinstance(x, list) else x, **options)
        return found.real, found.imag

    return transform


def irfft(x, fft_length=None):
    return np.fft.irfft(x[0] + 1j * x[1], fft_length)


def frames(x, sequence_length, sequence_stride):
    return np.lib.stride_tricks.sliding_window_view(x, sequence_length, axis=-1)[..., ::sequence_stride, :]


def stft(x, sequence_length, sequence_stride, fft_length, center=True):
    if center:
        x = np.pad(x, [(0, 0)] * (x.ndim - 1) + [(fft_length // 2,) * 2], mode="reflect")
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(sequence_length) / sequence_length)
    before = (fft_length - sequence_length) // 2
    found = np.fft.rfft(frames(x, fft_length, sequence_stride) * np.pad(window, (before, fft_length - sequence_length - before)))
    return found.real, found.imag


PAIR = [[normal(2, 3, 5), normal(2, 3, 5)]]
SIZES = {"sequence_length": 5, "sequence_stride": 2, "fft_length": 8}
ROWS = [
    Row("fft", parts(np.fft.fft), PAIR, takes=""),
    Row("fft2", parts(np.fft.fft2), PAIR, takes="", tolerance=2),
    Row("ifft2", parts(np.fft.ifft2), PAIR, takes=""),
    Row(
        "rfft",
        lambda x, fft_length=None: parts(np.fft.rfft)(x, n=fft_length),
        [normal(2, 7)],
        [{}, {"fft_length": 4}, {"fft_length": 11}],
        dtype="float",
        takes="",
    ),
    Row("irfft", irfft, PAIR, [{}, {"fft_length": 9}, {"fft_length": 4}, {"fft_length": 12}], takes=""),
    Row("extract_sequences", frames, [normal(2, 11)], [{"sequence_length": 4, "sequence_stride": 3}]),
    Row("stft", stft, [normal(2, 31)], [SIZES, {**SIZES, "center": False}], dtype="float", takes=""),
]
globals().update(checks(ROWS))


@pytest.mark.parametrize("name", engines())
@pytest.mark.parametrize(("window", "center"), [("hann", True), ("hamming", False), (None, True)])
def test_istft_undoes_stft(name, window, center):
    x = np.random.default_rng(2).normal(size=(3, 64)).astype(np.float32)
    with backend(name):
        found = host(ops.istft(ops.stft(x, 8, 2, 12, window, center), 8, 2, 12, 64, window, center))
    middle = slice(6, -6)
    assert found.shape == x.shape
    np.testing.assert_allclose(found[:, middle], x[:, middle], atol=1e-5)


@pytest.mark.parametrize("name", engines())
def test_pairs_of_narrow_floats_and_integers_are_complex_numbers(name):
    with backend(name):
        for kind in ("float16", "bfloat16", "int32"):
            found = ops.view_as_complex(ops.cast([[1.0, -2.0], [3.0, 4.0]], kind))
            assert (ops.convert_to_numpy(found).tolist(), ops.dtype(found)) == ([1 - 2j, 3 + 4j], "complex64")
