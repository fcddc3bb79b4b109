# SPDX-License-Identifier: Apache-2.0
"""One call of a rule for many variables, on engines where every call costs. Start at update_together."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from nyala.core.variable import Variable, state, values_of
from nyala.engines import current
from nyala.engines.protocol import Tensor

LARGEST = 2**22  # entries in one call, unless one variable has more: what a rule computes on the way takes as much memory again


def works_together(rule: type) -> bool:
    """Whether the rule of this optimizer class may run on many variables at once.

    The class that wrote `update` must say that it is elementwise, and the engine must have lists of tensors. Not inside scopes."""
    author = next(kind for kind in rule.__mro__ if "update" in vars(kind))
    return bool(vars(author).get("elementwise", False)) and current().together is not None and not state.scopes


def update_together(
    update: Callable,
    gradients: Sequence[Tensor],
    variables: Sequence[Variable],
    slots: Mapping[Variable, Mapping[str, Variable]],
    scalars_as: Callable[[str], dict[str, Tensor]],
) -> None:
    """Assign what `update` makes of the gradients, values and slots of the variables; scalars_as gives its further arguments for a dtype."""
    here: Any = current()
    for dtype, places in _groups(variables):
        chosen = [variables[i] for i in places]
        given = [gradients[i] if here.dtype(gradients[i]) == dtype else here.cast(gradients[i], dtype) for i in places]
        kept = {name: [slots[variable][name] for variable in chosen] for name in slots[chosen[0]]}
        values, old = values_of(chosen), {name: values_of(slot) for name, slot in kept.items()}
        together = {name: here.together(parts) for name, parts in old.items()}
        new, found = update(here.together(given), here.together(values), together, **scalars_as(dtype))
        assign_changed(chosen, values, new)
        for name, slot in kept.items():
            assign_changed(slot, old[name], found[name])


def assign_changed(variables: list[Variable], old: list[Tensor], new: Any) -> None:
    """Assign the tensors that are others than before: a rule may have written into those it was given."""
    for variable, before, value in zip(variables, old, new, strict=True):
        if value is not before:
            variable.assign(value)


def _groups(variables: Sequence[Variable]) -> Iterator[tuple[str, list[int]]]:
    """(dtype, positions) of variables of one dtype that go in one call."""
    here, sizes = current(), dict[str, int]()
    places: dict[str, list[int]] = {}
    for i, variable in enumerate(variables):
        dtype = here.canonical_dtype(variable._dtype)
        if places.get(dtype) and sizes[dtype] + variable.size > LARGEST:
            yield dtype, places.pop(dtype)
        places.setdefault(dtype, []).append(i)
        sizes[dtype] = (sizes[dtype] if len(places[dtype]) > 1 else 0) + variable.size
    yield from places.items()
