# SPDX-License-Identifier: Apache-2.0
"""Questions about graphs of symbolic tensors."""

from __future__ import annotations

from nyala.core.symbolic import Symbolic


def get_source_inputs(tensor: Symbolic) -> list[Symbolic]:
    """The Inputs that a symbolic tensor is computed from.

    >>> import nyala
    >>> x = nyala.Input((2,), name="x")
    >>> [t.node.operation.name for t in get_source_inputs(x + 1)]
    ['x']
    """
    found: dict[int, Symbolic] = {}
    seen: set[int] = set()
    stack = [tensor]
    while stack:
        tensor = stack.pop()
        if tensor.node is None or not tensor.node.input_tensors:
            found.setdefault(id(tensor), tensor)
        elif id(tensor.node) not in seen:
            seen.add(id(tensor.node))
            stack.extend(reversed(tensor.node.input_tensors))
    return list(found.values())
