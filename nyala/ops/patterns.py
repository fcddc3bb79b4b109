# SPDX-License-Identifier: Apache-2.0
"""rearrange: axes split, merged and moved as a pattern of names says."""

from __future__ import annotations

import math
import re

from nyala.core.errors import ArgumentError, ShapeError
from nyala.core.op import engine, op
from nyala.engines.protocol import Tensor

AXIS = r"\.{3}|(?:1|[A-Za-z_]\w*)(?!\w)"
SIDE = re.compile(rf"\s*(?:(?:{AXIS}|\(\s*(?:(?:{AXIS})\s*)*\))\s*)*")
Side = list[list[str] | str]  # of each axis its names; "..." outside of parentheses stands by itself


@op
def rearrange(tensor: Tensor, pattern: str, **axes_lengths: int) -> Tensor:
    """x with its axes split, merged and moved: "b (h p) c -> b h (p c)".

    Args:
        pattern: names of axes before and after. Parentheses hold names whose axes are one; "..." stands for any axes; 1 or () for one of size 1.
        axes_lengths: sizes of names; in a pair of parentheses one name may do without.
    Source: Rogozhnikov 2022, Einops: clear and reliable tensor manipulations with Einstein-like notation.

    >>> rearrange([[1, 2, 3, 4], [5, 6, 7, 8]], "b (h w) -> h b w", w=2).tolist()
    [[[1, 2], [5, 6]], [[3, 4], [7, 8]]]
    """
    before, after = _read(pattern)
    number = tensor.ndim - len(before) + 1 if "..." in before else 0
    before, after = _spelled(before, number), _spelled(after, number)
    if number < 0 or len(before) != tensor.ndim:
        need = f"{'at least ' * (number < 0)}{len(before)} axes, as {pattern!r} begins with"
        raise ShapeError("rearrange", need=need, got=f"shape {tuple(tensor.shape)}")
    sizes = _sizes(before, tensor.shape, pattern, axes_lengths)
    names = [name for group in before for name in group]
    x = engine.reshape(tensor, tuple(sizes[name] for name in names))
    x = engine.transpose(x, tuple(names.index(name) for group in after for name in group))
    return engine.reshape(x, tuple(math.prod(sizes[name] for name in group) for group in after))


def _read(pattern: str) -> tuple[Side, Side]:
    """Both sides of the pattern."""
    sides = pattern.split("->") if isinstance(pattern, str) else []
    if len(sides) == 2 and all(map(SIDE.fullmatch, sides)):
        before, after = ([part if part == "..." else _names(part) for part in re.findall(rf"\(.*?\)|{AXIS}", side)] for side in sides)
        flat = [sorted(name for part in side for name in ([part] if part == "..." else part)) for side in (before, after)]
        if flat[0] == flat[1] and len(set(flat[0])) == len(flat[0]) and not any("..." in part for part in before if part != "..."):
            return before, after
    need = "two sides with the same names, each once, as in 'b (h w) c -> b h w c'"
    raise ArgumentError("rearrange(pattern)", need=need, got=repr(pattern), fix="use mean, max or repeat to drop or add axes")


def _names(part: str) -> list[str]:
    return [name for name in re.findall(AXIS, part) if name != "1"]


def _spelled(side: Side, number: int) -> list[list[str]]:
    """The side with names for the axes under the ellipsis."""
    dots = [f"...{i}" for i in range(number)]
    result: list[list[str]] = []
    for group in side:
        if group == "...":
            result += [[name] for name in dots]
        else:
            result.append([name for part in group for name in (dots if part == "..." else [part])])
    return result


def _sizes(side: list[list[str]], shape: tuple[int, ...], pattern: str, given: dict[str, int]) -> dict[str, int]:
    """The size of each name."""
    if not all(isinstance(size, int) and size > 0 for size in given.values()):
        raise ArgumentError(f"rearrange({pattern!r})", need="positive integers as sizes", got=f"{given}")
    sizes = dict(given)
    for group, size in zip(side, shape, strict=True):
        open_ = [name for name in group if name not in given]
        if len(open_) > 1:
            need = f"sizes of all but one of {', '.join(group)}"
            raise ArgumentError(f"rearrange({pattern!r})", need=need, got=f"none of {', '.join(open_)}", fix=f"pass {open_[-1]}=...")
        known = math.prod(given[name] for name in group if name in given)
        if size % known if open_ and known else size != known:
            raise ShapeError(f"rearrange({pattern!r})", need=f"{' * '.join(group) or '1'} = {size}, as in shape {tuple(shape)}", got=f"{given}")
        sizes.update(dict.fromkeys(open_, size // known))
    return sizes
