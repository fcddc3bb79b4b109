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

    `rule` is the stable name of the rule that a file or config breaks; "" where there was none.
    """

    rule = ""

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


class NotYetError(StateError, AttributeError):
    """An attribute that an object will have later, so that `hasattr` says no."""


class MissingMethod(NyalaError, NotImplementedError):
    """A class lacks a method that its base asks its subclasses for."""


def missing_method(owner: object, method: str) -> MissingMethod:
    """The error of a base class whose subclass did not write `method`, given with its arguments."""
    kind = type(owner).__name__
    return MissingMethod(kind, need=f"a method {method}", got="none", why="its base class leaves it to subclasses", fix=f"write it in {kind}")


class LookupFailed(NyalaError, ValueError, KeyError):
    """A name, class or key was not found."""

    __str__ = Exception.__str__  # KeyError would show the repr


def placed(error: NyalaError, place: str, rule: str) -> NyalaError:
    """The same error, which happened while a file or config was read, with its place and a rule.

    >>> print(placed(ArgumentError("Dense(units)", need="a positive integer", got="-3"), "model.keras", "config-argument"))
    Dense(units) needs a positive integer, got -3.
      in: model.keras
      rule: config-argument
    """
    text = str(error.args[0]).partition("\n  rule: ")[0]
    error.rule = error.rule or rule
    error.args = (f"{text}{'' if place in text else f'{chr(10)}  in: {place}'}\n  rule: {error.rule}",)
    return error


# What reading a file, or a config, can raise. Each names its rule: a short stable word to search for.


class FileError(NyalaError, ValueError):
    """A file cannot be used. `rule` is a stable name of the rule that it breaks, `way` what to do where the error does not say it better."""

    way = ""
    __str__ = Exception.__str__  # subclasses of OSError would show its own fields

    def __init__(self, where: str, *, need: str, got: str, why: str = "", fix: str = "", rule: str = "") -> None:
        super().__init__(where, need=need, got=got, why=why, fix=fix or self.way)
        self.rule = rule
        if rule:
            self.args = (f"{self.args[0]}\n  rule: {rule}",)

    def __reduce__(self) -> tuple:
        return _rebuild_with_rule, (type(self), self.where, self.need, self.got, self.why, self.fix, self.rule)


def _rebuild_with_rule(kind: type[FileError], where: str, need: str, got: str, why: str, fix: str, rule: str) -> FileError:
    return kind(where, need=need, got=got, why=why, fix=fix, rule=rule)


class CorruptFileError(FileError, OSError):
    """A file that is cut off, damaged, or of another kind than its name says."""

    way = "get the file again"


class UnsafeFileError(FileError):
    """A file that would run, read or write what it has no business with, or that grows beyond its bounds."""

    way = "use a file or config as Keras, or this library, writes it"


class UnsafeObjectError(UnsafeFileError):
    """A file that names an object that no file may name."""

    way = "make that object in code, or leave it out of the config"


class UnsafePathError(UnsafeFileError):
    """A file that points at another file or place."""

    way = "put what it points at in its place yourself, if you trust it"


class ResourceLimitError(UnsafeFileError):
    """A file that asks for more memory, depth or time than its own size warrants."""

    way = "if it is meant so, make the model in code and load its weights"


class UnknownObjectError(UnsafeObjectError, LookupFailed):
    """A file or config that names a class or function which is neither public, nor registered, nor given by the caller."""

    way = "correct its name, or pass it in custom_objects"


class WeightsMismatchError(FileError, ShapeError):
    """Stored weights are not those of the model: some are missing, left over, or of other shapes."""
