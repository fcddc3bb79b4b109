# SPDX-License-Identifier: Apache-2.0
"""Logic: what is not zero counts as True. Also the choice between tensors. Start at logical_and and where."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nyala.core.errors import ArgumentError
from nyala.core.op import convert, engine, op
from nyala.engines.protocol import Tensor
from nyala.ops._dtypes import together


def truth(x: Tensor) -> Tensor:
    """x as bool: whether it is not zero."""
    return x if engine.dtype(x) == "bool" else engine.cast(x, "bool")


@op
def logical_not(x: Tensor) -> Tensor:
    """not x."""
    return engine.logical_not(truth(x))


@op
def logical_and(x1: Tensor, x2: Tensor) -> Tensor:
    """x1 and x2.

    >>> logical_and([True, True], [0.0, 2.0]).tolist()
    [False, True]
    """
    return engine.logical_and(truth(x1), truth(x2))


@op
def logical_or(x1: Tensor, x2: Tensor) -> Tensor:
    """x1 or x2."""
    return engine.logical_or(truth(x1), truth(x2))


@op
def logical_xor(x1: Tensor, x2: Tensor) -> Tensor:
    """Either x1 or x2."""
    return engine.not_equal(truth(x1), truth(x2))


@op
def where(condition: Tensor, x1: Any = None, x2: Any = None) -> Tensor:
    """x1 where the condition holds, else x2; all three broadcast. Without x1 and x2: nonzero(condition).

    The gradient goes to the chosen side only: mask what feeds a function outside of its domain before, not after it.

    >>> where([True, False], 1.0, [2.0, 3.0]).tolist()
    [1.0, 3.0]
    """
    if x1 is None and x2 is None:
        return engine.nonzero(condition)
    if x1 is None or x2 is None:
        raise ArgumentError("where", need="both x1 and x2, or neither", got=f"only {'x2' if x1 is None else 'x1'}")
    x1, x2 = together(x1, x2)
    return engine.where(truth(condition), x1, x2)


@op
def select(condlist: Sequence[Tensor], choicelist: Sequence[Any], default: Any = 0) -> Tensor:
    """The choice of the first condition that holds, else default.

    >>> select([[True, False], [True, True]], [[1, 2], [3, 4]]).tolist()
    [1, 4]
    """
    if len(condlist) != len(choicelist) or not len(condlist):
        raise ArgumentError(
            "select", need="as many choices as conditions, and at least one", got=f"{len(condlist)} conditions and {len(choicelist)} choices"
        )
    *choices, result = together(*choicelist, default)
    for condition, choice in zip(reversed(condlist), reversed(choices), strict=True):
        result = engine.where(truth(convert(condition)), choice, result)
    return result
