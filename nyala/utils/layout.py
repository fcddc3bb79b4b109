# SPDX-License-Identifier: Apache-2.0
"""Where the boxes of a diagram stand: in rows by their distance from the inputs, with few crossings and short arrows.

Knows sizes and arrows, nothing of models or pictures. Everything runs downwards; who wants another direction turns the result.
Source: Sugiyama, Tagawa, Toda 1981, Methods for visual understanding of hierarchical system structures. Start at place.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections import defaultdict
from collections.abc import Sequence

GAP = 28.0  # between neighbours of a row
ROW_GAP = 44.0  # between rows
SWEEPS = 12


@dataclasses.dataclass
class Placed:
    """Centres of the items, bends of the arrows between them, and the size of all."""

    centres: list[tuple[float, float]]
    bends: dict[tuple[int, int], list[tuple[float, float]]]
    width: float
    height: float


def place(sizes: Sequence[tuple[float, float]], arrows: Sequence[tuple[int, int]]) -> Placed:
    """Place items of given (width, height), so that each arrow (from, to) leads down.

    Args:
        arrows: from smaller to larger numbers, as the parts of a model are ordered anyway.

    >>> place([(10, 10), (10, 10)], [(0, 1)]).centres
    [(5.0, 5.0), (5.0, 59.0)]
    """
    if not sizes:
        return Placed([], {}, 0.0, 0.0)
    rank = _ranks(len(sizes), arrows)
    widths = [width for width, _ in sizes]
    chains: dict[tuple[int, int], list[int]] = {}
    below: dict[int, list[int]] = defaultdict(list)
    above: dict[int, list[int]] = defaultdict(list)
    for a, b in arrows:
        chain = [a]
        for level in range(rank[a] + 1, rank[b]):  # a long arrow passes each row at a point of its own
            rank.append(level)
            widths.append(6.0)
            chain.append(len(rank) - 1)
        chain.append(b)
        chains[a, b] = chain[1:-1]
        for upper, lower in itertools.pairwise(chain):
            below[upper].append(lower)
            above[lower].append(upper)
    rows: list[list[int]] = [[] for _ in range(max(rank) + 1)]
    for item, level in enumerate(rank):
        rows[level].append(item)
    _order(rows, above, below)
    x = _across(rows, widths, above, below)
    heights = [max((sizes[i][1] for i in row if i < len(sizes)), default=0.0) for row in rows]
    middles = [sum(heights[:level]) + ROW_GAP * level + heights[level] / 2 for level in range(len(rows))]
    left = min(x[i] - widths[i] / 2 for i in range(len(widths)))
    right = max(x[i] + widths[i] / 2 for i in range(len(widths)))
    points = [(x[i] - left, middles[rank[i]]) for i in range(len(rank))]
    bends = {
        arrow: [(points[i][0], middles[rank[i]] + side * heights[rank[i]] / 2) for i in chain for side in (-1, 1)] for arrow, chain in chains.items()
    }
    return Placed(points[: len(sizes)], bends, right - left, sum(heights) + ROW_GAP * (len(rows) - 1))


def _ranks(count: int, arrows: Sequence[tuple[int, int]]) -> list[int]:
    """Row of each item: below all it comes from; items that come from nothing stand just above what they lead to."""
    rank = [0] * count
    for a, b in sorted(arrows):
        rank[b] = max(rank[b], rank[a] + 1)
    for item in range(count):
        leads = [rank[b] for a, b in arrows if a == item]
        if leads and not any(b == item for _, b in arrows):
            rank[item] = min(leads) - 1
    return rank


def _order(rows: list[list[int]], above: dict[int, list[int]], below: dict[int, list[int]]) -> None:
    """Sort each row by the mean place of its neighbours in the row before, down and up again, and keep the best."""
    best, fewest = [list(row) for row in rows], _crossings(rows, below)
    for sweep in range(SWEEPS):
        down = sweep % 2 == 0
        neighbours = above if down else below
        for level in range(1, len(rows)) if down else range(len(rows) - 2, -1, -1):
            place = {item: i for i, item in enumerate(rows[level - 1 if down else level + 1])}
            own = {item: i for i, item in enumerate(rows[level])}
            mean = {i: [place[n] for n in neighbours[i]] for i in rows[level]}
            rows[level].sort(key=lambda i, mean=mean, own=own: sum(mean[i]) / len(mean[i]) if mean[i] else own[i])
        crossings = _crossings(rows, below)
        if crossings < fewest:
            best, fewest = [list(row) for row in rows], crossings
    rows[:] = best


def _crossings(rows: list[list[int]], below: dict[int, list[int]]) -> int:
    """How many pairs of arrows between neighbouring rows cross."""
    total = 0
    for upper, lower in itertools.pairwise(rows):
        place = {item: i for i, item in enumerate(lower)}
        ends = [place[b] for a in upper for b in sorted(below[a], key=place.__getitem__)]
        total += sum(ends[i] > ends[j] for i in range(len(ends)) for j in range(i + 1, len(ends)))
    return total


def _across(rows: list[list[int]], widths: list[float], above: dict[int, list[int]], below: dict[int, list[int]]) -> list[float]:
    """Centres along the rows: near those of their neighbours, never overlapping."""
    x = [0.0] * len(widths)
    for row in rows:
        _spread(row, [0.0] * len(row), widths, x)
    for sweep in range(SWEEPS):
        levels = range(len(rows)) if sweep % 2 == 0 else range(len(rows) - 1, -1, -1)
        for level in levels:
            wanted = []
            for item in rows[level]:
                near = (above if sweep % 2 == 0 else below)[item] or [*above[item], *below[item]]
                wanted.append(sum(x[n] for n in near) / len(near) if near else x[item])
            _spread(rows[level], wanted, widths, x)
    return x


def _spread(row: list[int], wanted: list[float], widths: list[float], x: list[float]) -> None:
    """The centres nearest to the wanted ones, in least squares, that keep the order and the gaps: pool adjacent violators."""
    offsets = [0.0]
    for a, b in itertools.pairwise(row):
        offsets.append(offsets[-1] + (widths[a] + widths[b]) / 2 + GAP)
    pools: list[tuple[float, int]] = []  # (mean, count)
    for want, offset in zip(wanted, offsets, strict=True):
        pools.append((want - offset, 1))
        while len(pools) > 1 and pools[-2][0] > pools[-1][0]:
            (mean, count), (other, more) = pools.pop(), pools.pop()
            pools.append(((mean * count + other * more) / (count + more), count + more))
    means = [mean for mean, count in pools for _ in range(count)]
    for item, mean, offset in zip(row, means, offsets, strict=True):
        x[item] = mean + offset
