# SPDX-License-Identifier: Apache-2.0
"""The scopes that programs of Keras open themselves: StatelessScope, SymbolicScope, RematScope. Thin views of core/variable.py's Scope."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from typing import Any

from nyala.core.errors import ArgumentError, ArgumentTypeError, ShapeError
from nyala.core.op import convert
from nyala.core.variable import Scope, Variable, state
from nyala.engines import current
from nyala.engines.protocol import Tensor

MODES = ("full", "activations", "larger_than", "list_of_layers")


class StatelessScope(Scope):
    """Inside, the given variables have the given values, and what is assigned to any variable stays here, out of the variables.

    Args:
        state_mapping: pairs (variable, value).
        collect_losses: whether what layers add by add_loss comes to `losses` here instead of to the layers.
        initialize_variables: accepted; variables always have a first value here.
    Differs from Keras: a scope inside another one sees the values of the outer one.

    >>> import nyala
    >>> count = nyala.Variable(3.0)
    >>> with StatelessScope(state_mapping=[(count, 5.0)]) as scope:
    ...     _ = count.assign_add(1.0)
    >>> float(scope.get_current_value(count)), float(count)
    (6.0, 3.0)
    """

    def __init__(
        self, state_mapping: Iterable[tuple[Variable, Any]] | None = None, collect_losses: bool = False, initialize_variables: bool = True
    ) -> None:
        super().__init__()
        self.collect_losses, self.initialize_variables = collect_losses, initialize_variables
        self.losses: list[Tensor] = []
        for pair in state_mapping or ():
            self.add_update(pair)

    @property
    def state_mapping(self) -> dict[int, Tensor]:
        """id of a variable -> its value here."""
        return self.values

    def add_loss(self, loss: Any) -> None:
        self.losses.append(loss)

    def add_update(self, update: tuple[Variable, Any]) -> None:
        """Give a variable a value here: (variable, value)."""
        if not isinstance(update, (tuple, list)) or len(update) != 2 or not isinstance(update[0], Variable):
            raise ArgumentTypeError("StatelessScope", need="pairs (variable, value)", got=repr(update))
        variable, value = update[0], convert(update[1])
        if tuple(value.shape) != variable.shape:
            raise ShapeError(f"StatelessScope({variable.path!r})", need=f"a value of shape {variable.shape}", got=f"shape {tuple(value.shape)}")
        self.values[id(variable)] = current().cast(value, current().canonical_dtype(variable._dtype))
        self.touched[id(variable)] = variable

    def get_current_value(self, variable: Variable) -> Tensor | None:
        """The value of a variable here; None if it was neither given nor assigned."""
        return self.values.get(id(variable))


def collecting_losses() -> StatelessScope | None:
    """The innermost scope that collects what layers add by add_loss."""
    return next((scope for scope in reversed(state.scopes) if isinstance(scope, StatelessScope) and scope.collect_losses), None)


class SymbolicScope:
    """Inside, programs of Keras compute on shapes alone. Symbolic tensors do so anywhere here: nothing changes."""

    def __enter__(self) -> SymbolicScope:
        return self

    def __exit__(self, *_: object) -> None: ...


class _Open(threading.local):
    """The RematScopes of this thread, innermost last."""

    def __init__(self) -> None:
        self.scopes: list[RematScope] = []


_open = _Open()


class RematScope:
    """Layers made inside recompute what they compute for the gradient instead of storing it: less memory, more time.

    Args:
        mode: "full" all layers; "activations" their activation functions only; "larger_than" those with more than output_size_threshold numbers
            of output; "list_of_layers" those named; None none.
        output_size_threshold: numbers of output, all together.
        layer_names: of "list_of_layers".

    >>> import nyala
    >>> with nyala.RematScope("larger_than", output_size_threshold=100):
    ...     layer = nyala.layers.Dense(64)
    """

    def __init__(self, mode: str | None = "full", output_size_threshold: int = 1024, layer_names: Sequence[str] | None = None) -> None:
        if mode is not None and mode not in MODES:
            raise ArgumentError("RematScope(mode)", need="one of " + ", ".join(map(repr, MODES)) + ", or None", got=repr(mode))
        self.mode, self.output_size_threshold, self.layer_names = mode, output_size_threshold, list(layer_names or ())

    def __enter__(self) -> RematScope:
        _open.scopes.append(self)
        return self

    def __exit__(self, *_: object) -> None:
        _open.scopes.remove(self)


def remat_scope() -> RematScope | None:
    """The innermost RematScope, unless it changes nothing."""
    return _open.scopes[-1] if _open.scopes and _open.scopes[-1].mode is not None else None
