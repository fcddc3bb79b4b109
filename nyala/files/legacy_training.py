# SPDX-License-Identifier: Apache-2.0
"""Compiling a model as an old file says it was. What is not understood leaves a warning and a model that is not compiled; code is refused."""

from __future__ import annotations

import warnings
from typing import Any

from nyala.core.audit import problems_of_compiling
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
        model.compile_from_config(training)
    except Exception as error:
        model.compiled = False
        _not_compiled(where, error)
        return False
    return True


def _not_compiled(where: str, error: Exception) -> None:
    warnings.warn(f"{where}: the model is not compiled, as its training_config is not understood: {error}. Call compile yourself", stacklevel=5)
