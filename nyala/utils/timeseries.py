# SPDX-License-Identifier: Apache-2.0
"""timeseries_dataset_from_array: windows of a series, as a Dataset."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from nyala.core import seeds
from nyala.core.errors import ArgumentError
from nyala.layers.arguments import as_choice, as_count, is_int
from nyala.utils.batches import Dataset


def timeseries_dataset_from_array(
    data: Any,
    targets: Any,
    sequence_length: int,
    sequence_stride: int = 1,
    sampling_rate: int = 1,
    batch_size: int | None = 128,
    shuffle: bool = False,
    seed: int | None = None,
    start_index: int | None = None,
    end_index: int | None = None,
    format: str = "tf",
) -> Dataset:
    """Windows of a series as batches: (windows, targets), or windows alone.

    Args:
        data: (time, ...).
        targets: those of the windows: targets[i] belongs to the window that starts at data[i]. None for none.
        sequence_length: samples of a window.
        sequence_stride: samples from the start of a window to that of the next.
        sampling_rate: samples from one of a window to the next.
        batch_size: None gives single windows.
        shuffle, seed: another order of windows each epoch.
        start_index, end_index: the part of data to use; end_index is not in it.
        format: accepted for Keras's sake.

    >>> windows = timeseries_dataset_from_array(np.arange(7), np.arange(10, 17), 3, sequence_stride=2)
    >>> [(x.tolist(), y.tolist()) for x, y in windows]
    [([[0, 1, 2], [2, 3, 4], [4, 5, 6]], [10, 12, 14])]
    """
    where = "timeseries_dataset_from_array"
    as_choice(f"{where}(format)", format, ("tf", "grain"))
    data, targets = np.asarray(data), None if targets is None else np.asarray(targets)
    if batch_size is not None:
        as_count(f"{where}(batch_size)", batch_size)
    _check(where, len(data), sequence_length, sequence_stride, sampling_rate, start_index, end_index)
    begin, end = start_index or 0, len(data) if end_index is None else end_index
    last = end - (sequence_length - 1) * sampling_rate - 1  # where the last window may start
    if targets is not None:
        last = min(last, len(targets) - 1)
    starts = np.arange(begin, last + 1, sequence_stride)
    if not len(starts):
        raise ArgumentError(
            f"{where}(sequence_length)",
            need=f"a window that fits into the {end - begin} samples",
            got=f"{sequence_length} samples, {sampling_rate} apart",
            fix="pass more data, or a shorter window",
        )
    offsets = np.arange(sequence_length) * sampling_rate

    def window(places: Any) -> Any:
        rows = data[np.expand_dims(places, -1) + offsets]
        return rows if targets is None else (rows, targets[places])

    seed = seeds.draw_seed() if seed is None else seed
    size = batch_size or 1

    def loads(epoch: int) -> list[Any]:
        order = starts[seeds.host_generator(seed + (epoch << 64)).permutation(len(starts))] if shuffle else starts
        if batch_size is None:
            return [functools.partial(window, place) for place in order]
        return [functools.partial(window, order[i : i + size]) for i in range(0, len(order), size)]

    return Dataset(loads, -(-len(starts) // size), batched=batch_size is not None)


def _check(
    where: str, length: int, sequence_length: int, sequence_stride: int, sampling_rate: int, start_index: int | None, end_index: int | None
) -> None:
    for name, value in (("sequence_length", sequence_length), ("sequence_stride", sequence_stride), ("sampling_rate", sampling_rate)):
        if not is_int(value) or value < 1 or (name != "sequence_length" and value >= max(length, 2)):
            raise ArgumentError(f"{where}({name})", need=f"a positive integer below the length of the data, {length}", got=repr(value))
    begin = start_index or 0
    if not is_int(begin) or not 0 <= begin < length:
        raise ArgumentError(f"{where}(start_index)", need=f"an integer from 0 to {length - 1}", got=repr(start_index))
    if end_index is not None and (not is_int(end_index) or not begin < end_index <= length):
        raise ArgumentError(f"{where}(end_index)", need=f"an integer from {begin + 1} to {length}", got=repr(end_index))
