# SPDX-License-Identifier: Apache-2.0
"""Sound files: read_wav. Knows NumPy and the layout of RIFF/WAVE files, so that samples of any common width are read."""

from __future__ import annotations

import struct

import numpy as np

PCM, FLOAT, EXTENSIBLE = 1, 3, 0xFFFE


def read_wav(path: str) -> tuple[np.ndarray, int]:
    """Samples of a .wav file as float32 (samples, channels) from -1 to 1, and how many there are per second.

    Raises: ValueError, saying what is wrong with the file.
    """
    with open(path, "rb") as file:
        data = file.read()
    if len(data) < 12 or data[:4] != b"RIFF" or data[8:12] != b"WAVE":
        raise ValueError("it is no WAVE file")
    layout, place = None, 12
    while place + 8 <= len(data):
        name, size = struct.unpack_from("<4sI", data, place)
        place += 8
        if name == b"fmt " and size >= 16:
            layout = struct.unpack_from("<HHIIHH", data, place)
            if layout[0] == EXTENSIBLE and size >= 26:
                layout = (struct.unpack_from("<H", data, place + 24)[0], *layout[1:])
        elif name == b"data":
            if layout is None:
                raise ValueError("its samples come before their format")
            if place + size > len(data):
                raise ValueError(f"it should have {size} bytes of samples but ends after {len(data) - place}")
            return _samples(data[place : place + size], layout[0], layout[5], layout[1]), layout[2]
        place += size + size % 2
    raise ValueError("it has no samples")


def _samples(data: bytes, kind: int, bits: int, channels: int) -> np.ndarray:
    if (kind, bits) not in ((PCM, 8), (PCM, 16), (PCM, 24), (PCM, 32), (FLOAT, 32), (FLOAT, 64)) or channels < 1:
        raise ValueError(f"samples of format {kind} with {bits} bits in {channels} channels are not known; PCM and float are")
    width = bits // 8
    data = data[: len(data) // (width * channels) * width * channels]
    if kind == FLOAT:
        values = np.frombuffer(data, f"<f{width}").astype(np.float32)
    elif bits == 8:
        values = np.frombuffer(data, np.uint8).astype(np.float32) / 128 - 1
    else:
        wide = np.zeros((len(data) // width, 4), np.uint8)  # the high bytes of 32 bits
        wide[:, 4 - width :] = np.frombuffer(data, np.uint8).reshape(-1, width)
        values = (wide.view("<i4")[:, 0] / 2.0**31).astype(np.float32)
    return values.reshape(-1, channels)
