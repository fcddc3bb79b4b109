# SPDX-License-Identifier: Apache-2.0
"""What optimizers refuse: arguments they do not know, values that cannot be meant, lists of the wrong length."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from nyala.core.errors import ArgumentError, ArgumentTypeError
from nyala.core.variable import Variable


def check_arguments(kind: type, unknown: Mapping[str, Any], given: Mapping[str, Any]) -> None:
    """Refuse arguments that no optimizer knows, and values that cannot be meant."""
    where = kind.__name__
    if unknown:
        known = [*inspect.signature(kind).parameters, "lr", "decay"]
        near = [match for name in unknown for match in difflib.get_close_matches(name, known, n=1)]
        raise ArgumentTypeError(
            where,
            need="arguments that it knows",
            got=", ".join(f"{k}={v!r}" for k, v in unknown.items()),
            fix=f"did you mean {', '.join(near)}?" if near else "",
        )
    clips = {name: given[name] for name in ("clipnorm", "clipvalue", "global_clipnorm") if given[name] is not None}
    if len(clips) > 1:
        raise ArgumentError(where, need="at most one of clipnorm, clipvalue and global_clipnorm", got=", ".join(f"{k}={v}" for k, v in clips.items()))
    for name, value in clips.items():
        if not value > 0:
            raise ArgumentError(f"{where}({name})", need="a number above 0", got=repr(value))
    if given["use_ema"] and not 0 <= given["ema_momentum"] <= 1:
        raise ArgumentError(f"{where}(ema_momentum)", need="a number from 0 to 1", got=repr(given["ema_momentum"]))
    frequency, every = given["ema_overwrite_frequency"], given["gradient_accumulation_steps"]
    if given["use_ema"] and frequency is not None and not (isinstance(frequency, int) and frequency >= 1):
        raise ArgumentError(f"{where}(ema_overwrite_frequency)", need="a number of steps from 1, or None", got=repr(frequency))
    if every is not None and not (isinstance(every, int) and every >= 2):
        raise ArgumentError(f"{where}(gradient_accumulation_steps)", need="a number of steps from 2, or None", got=repr(every))


def check_count(where: str, noun: str, got: Sequence, known: Sequence[Variable], fix: str = "") -> None:
    if len(got) != len(known):
        raise ArgumentError(where, need=f"{len(known)} {noun}, one per variable", got=f"{len(got)}", fix=fix)


def takes_step(function: Callable) -> bool:
    """Whether a learning rate function asks for the step."""
    try:
        return any(
            p.default is p.empty and p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD) for p in inspect.signature(function).parameters.values()
        )
    except ValueError:  # a function without a signature
        return False
