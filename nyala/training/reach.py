# SPDX-License-Identifier: Apache-2.0
"""Which weights a loss can reach by its gradient, from shapes alone: `Reach` computes shapes as the spec engine does, and notes for each result
which variables a derivative can get to. Knows no layer and no loss. Start at Reach.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from nyala.core import tree
from nyala.core.variable import Variable, state
from nyala.engines import PRIMITIVES
from nyala.engines.spec import SpecEngine, SpecTensor

FLAT = {"stop_gradient", "sign", "floor", "ceil", "round", "floor_divide", "argmax", "argmin", "argsort", "searchsorted"}  # derivative zero
MAKERS = ("value_and_grad", "vmap", "custom_gradient")  # of functions: what those return, too, is followed
OTHERS = ("asarray", "stop_gradient", "eval_shape")
Reached = frozenset[Variable]
NOTHING: Reached = frozenset()


class Followed(SpecTensor):
    """A SpecTensor with the variables that a derivative of it can get to, and those that it depends on in some other way. Python operators carry
    both along."""

    __slots__ = ("behind", "reached")

    def __init__(self, x: SpecTensor, reached: Reached, behind: Reached = NOTHING) -> None:
        super().__init__(x.shape, x.dtype)
        self.reached, self.behind = reached, behind

    @property
    def T(self) -> SpecTensor:
        return Followed(super().T, self.reached, self.behind)


def _carrying(name: str) -> Callable:
    plain = getattr(SpecTensor, name)

    def operator(self: Followed, *others: Any) -> Any:
        result = plain(self, *others)
        if not isinstance(result, SpecTensor):
            return result
        reached, behind = _union((self, *others)), _union((self, *others), "behind")
        return Followed(result, reached, behind) if _is_smooth(result) else Followed(result, NOTHING, behind | reached)

    return operator


OPERATORS = (
    *("add", "sub", "mul", "truediv", "pow", "matmul", "mod"),
    *("radd", "rsub", "rmul", "rtruediv", "rpow", "rmatmul", "rmod"),
    *("neg", "abs", "getitem"),
)
for _name in OPERATORS:
    setattr(Followed, f"__{_name}__", _carrying(f"__{_name}__"))


def _union(values: Iterable[Any], which: str = "reached") -> Reached:
    """The variables that any leaf of the values reaches, or has behind it."""
    found = [getattr(leaf, which) for value in values for leaf in tree.flatten(value) if isinstance(leaf, Followed)]
    return frozenset().union(*found) if found else NOTHING


def _is_smooth(x: SpecTensor) -> bool:
    return "float" in x.dtype or "complex" in x.dtype


class Reach(SpecEngine):
    """The spec engine, following variables.

    Attributes:
        read: the variables that were read.
        cut: variable -> name of the op behind which no derivative gets to it, as far as was seen.

    >>> import nyala
    >>> from nyala.engines import using
    >>> a, b = nyala.Variable(1.0, name="a"), nyala.Variable(1.0, name="b")
    >>> reach = Reach()
    >>> with using(reach):
    ...     loss = nyala.ops.stop_gradient(a * 2.0) * b
    >>> [v.name for v in reach.of(loss)], {v.name: op for v, op in reach.cut.items()}
    (['b'], {'a': 'stop_gradient'})
    """

    def __init__(self) -> None:
        self.read: set[Variable] = set()
        self.cut: dict[Variable, str] = {}

    def of(self, *values: Any) -> Reached:
        """The variables that derivatives of these trees of tensors can get to."""
        return _union(values)

    def cut_off_from(self, *values: Any) -> Reached:
        """The variables that these trees of tensors depend on, but not by a derivative."""
        return _union(values, "behind") - _union(values)

    def placeholder(self, variable: Any, dtype: str) -> SpecTensor:
        """The variable as a tensor; one that was assigned may also reach what its new value reaches."""
        self.read.add(variable)
        assigned = [inside.values[id(variable)] for inside in state.scopes if id(variable) in inside.values]
        return Followed(super().placeholder(variable, dtype), _union(assigned) | {variable}, _union(assigned, "behind"))

    def _follow(self, name: str, result: Any, sources: Sequence[Any]) -> Any:
        """The result, its tensors with what they reach, and what is behind them."""
        reached, behind = (_union([*sources, result], which) for which in ("reached", "behind"))

        def followed(leaf: Any) -> Any:
            if not isinstance(leaf, SpecTensor):
                return leaf
            if name in FLAT or not _is_smooth(leaf):
                for variable in reached:
                    self.cut.setdefault(variable, name)
                return Followed(leaf, NOTHING, behind | reached)
            return Followed(leaf, reached, behind)

        return tree.map_structure(followed, result)


def _following(name: str) -> Callable:
    plain = getattr(SpecEngine, name)

    def primitive(self: Reach, *args: Any, **kwargs: Any) -> Any:
        inside: list[Any] = []  # what functions among the arguments return
        ready = [_noting(arg, inside) if callable(arg) else arg for arg in args]
        result = plain(self, *ready, **kwargs)
        if name not in MAKERS:
            return self._follow(name, result, [*args, *kwargs.values(), *inside])

        def made(*args: Any) -> Any:
            return self._follow(name, result(*args), [*args, *inside])

        return made

    return primitive


def _noting(function: Callable, returned: list[Any]) -> Callable:
    """The same function; what it returns is noted."""

    def call(*args: Any) -> Any:
        result = function(*args)
        returned.append(result)
        return result

    return call


for _name in (*PRIMITIVES, *MAKERS, *OTHERS):
    setattr(Reach, _name, _following(_name))
