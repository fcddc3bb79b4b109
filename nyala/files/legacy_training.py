# SPDX-License-Identifier: Apache-2.0
"""Compiling a model as an old file says it was. What is not understood leaves a warning and a model that is not compiled; code is refused."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator
from typing import Any

from nyala.core.audit import problems_of_compiling
from nyala.core.dtypes import numpy_dtype
from nyala.core.errors import ResourceLimitError
from nyala.core.variable import Plan as Blank
from nyala.files.loading import ALLOWANCE
from nyala.legacy import modernize_training
from nyala.legacy.era import Era


def training_of(stored: Any, era: Era, where: str) -> dict[str, Any] | None:
    """A training_config as arguments of compile; None if it cannot be understood. Nothing is made of it yet.

    Raises: UnsafeObjectError if it holds code.
    """
    if (problem := problems_of_compiling(stored, where)) is not None:
        raise problem
    try:
        return modernize_training(stored, era)
    except Exception as error:  # whatever is wrong here, the weights are what counts
        _not_compiled(where, error)
        return None


def compile_as(model: Any, training: dict[str, Any], where: str) -> bool:
    """Compile a model with these arguments; False if that is not possible."""
    try:
        with within_bounds(where):
            model.compile_from_config(training)
    except Exception as error:
        model.compiled = False
        _not_compiled(where, error)
        return False
    return True


@contextlib.contextmanager
def within_bounds(where: str) -> Iterator[None]:
    """Inside, metrics and optimizers are made as a file says; what their variables need is asked first, as nothing is stored for metrics."""
    with Blank() as blank:
        yield
    needed = sum(variable.size * numpy_dtype(variable._dtype).itemsize for variable in blank.unfilled())
    if needed > ALLOWANCE:
        need, why = f"metrics of at most {ALLOWANCE:,} bytes", "a file holds nothing of them"
        raise ResourceLimitError(where, need=need, got=f"{needed:,}", why=why, rule="weights-declared")
    blank.fill()


def _not_compiled(where: str, error: Exception) -> None:
    warnings.warn(f"{where}: the model is not compiled, as its training_config is not understood: {error}. Call compile yourself", stacklevel=5)
