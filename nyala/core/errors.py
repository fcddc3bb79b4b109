# SPDX-License-Identifier: Apache-2.0
"""Errors that teach: where it happened, what was needed, what was got, why, and how to fix it.

>>> raise ShapeError("Dense 'logits'", need="an input whose last axis is 64", got="shape (32, 10)",
...                  why="its kernel was built with shape (64, 5) at the first call", fix="feed it 64 features")
Traceback (most recent call last):
    ...
nyala.core.errors.ShapeError: Dense 'logits' needs an input whose last axis is 64, got shape (32, 10).
  why: its kernel was built with shape (64, 5) at the first call
  fix: feed it 64 features
"""

from __future__ import annotations


class NyalaError(Exception):
    """Base of the errors Nyala raises for input it cannot use.

    Args:
        where: the function or object that refuses, as its user knows it.
        need: what it needed, a phrase.
        got: what it got instead, a phrase with plain tuples and names.
        why: the reason for the need, if it is not plain.
        fix: what to do.
    """

    def __init__(self, where: str, *, need: str, got: str, why: str = "", fix: str = "") -> None:
        self.where, self.need, self.got, self.why, self.fix = where, need, got, why, fix
        lines = [f"{where} needs {need}, got {got}."]
        lines += [f"  why: {why}"] if why else []
        lines += [f"  fix: {fix}"] if fix else []
        super().__init__("\n".join(lines))

    def __reduce__(self) -> tuple:
        return _rebuild, (type(self), self.where, self.need, self.got, self.why, self.fix)


def _rebuild(kind: type[NyalaError], where: str, need: str, got: str, why: str, fix: str) -> NyalaError:
    return kind(where, need=need, got=got, why=why, fix=fix)


class ArgumentError(NyalaError, ValueError):
    """An argument has a value that its function cannot use."""


class ArgumentTypeError(NyalaError, TypeError):
    """An argument has a type that its function cannot use, or a name that it does not know."""


class ShapeError(NyalaError, ValueError):
    """A tensor has a shape that does not fit."""


class AxisError(NyalaError, ValueError, IndexError):
    """An axis does not exist."""


class DTypeError(NyalaError, TypeError, ValueError):
    """A dtype is unknown or does not fit."""


class StructureError(NyalaError, ValueError):
    """A tree of inputs, targets or states does not have the structure that was declared."""


class StateError(NyalaError, RuntimeError, ValueError):
    """An object is not in the state that a call needs: not built, not compiled, used up."""


class LookupFailed(NyalaError, ValueError, KeyError):
    """A name, class or key was not found."""

    __str__ = Exception.__str__  # KeyError would show the repr
