# SPDX-License-Identifier: Apache-2.0
"""The graph between symbolic inputs and outputs: which nodes compute it, in what order, and a flat plan that runs them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nyala.core import tree
from nyala.core.errors import StateError
from nyala.core.symbolic import Node, Operation, Symbolic
from nyala.layers.core.input_layer import InputLayer


class Graph:
    """What leads from inputs to outputs.

    Attributes:
        nodes: the calls needed, each after those it depends on; of equal depth, as the walk back from the last output meets them.
        operations: the operations called, each once, from the inputs down: by longest distance to an output, ties as found from the outputs.

    An Input that no output needs is one of both, at distance 1.
    """

    def __init__(self, inputs: list[Symbolic], outputs: list[Symbolic], where: str = "Model") -> None:
        self.inputs, self.outputs = inputs, outputs
        found = nodes_between(inputs, outputs, where)
        depth = _depths(found, outputs)
        needed = set(depth)
        unused = [t.node for t in inputs if t.node is not None and id(t.node) not in needed and not t.node.input_tensors]
        depth.update((id(node), 1) for node in unused)
        found += unused
        order = {id(op): i for i, op in enumerate([*_discovered(inputs, outputs), *(node.operation for node in unused)])}
        deepest: dict[int, int] = {}
        for node in found:
            deepest[id(node.operation)] = max(deepest.get(id(node.operation), 0), depth[id(node)])
        operations = list({id(node.operation): node.operation for node in found}.values())
        self.operations: list[Operation] = sorted(operations, key=lambda op: (-deepest[id(op)], order[id(op)]))
        met = {number: i for i, number in enumerate(depth)}  # a shared layer with a state sees its inputs in Keras's order
        self.nodes = sorted(found, key=lambda node: (-depth[id(node)], met[id(node)]))
        self._compile()

    def __getstate__(self) -> dict[str, Any]:
        nodes = [(node.operation, node.args, node.kwargs, node.outputs) for node in self.nodes]
        return {"inputs": self.inputs, "outputs": self.outputs, "operations": self.operations, "nodes": nodes}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self.nodes = [known_node(*call) for call in state["nodes"]]
        self._compile()

    def _compile(self) -> None:
        """Number the tensors, so that a run is a loop over (operation, arguments, result numbers)."""
        slots = {id(tensor): i for i, tensor in enumerate(self.inputs)}
        for node in self.nodes:
            for tensor in node.output_tensors:
                slots.setdefault(id(tensor), len(slots))
        self._size = len(slots)
        given = set(map(id, self.inputs))
        self._steps = []
        for node in self.nodes:
            if not all(id(tensor) in given for tensor in node.output_tensors):
                self._steps.append((node.operation, _filler(node, slots), [slots[id(t)] for t in node.output_tensors]))
        self._results = [slots[id(tensor)] for tensor in self.outputs]

    def run(self, values: list[Any]) -> list[Any]:
        """The outputs for tensors in the places of the inputs."""
        known: list[Any] = [None] * self._size
        known[: len(values)] = values
        for operation, fill, places in self._steps:
            args, kwargs = fill(known)
            result = operation(*args, **kwargs)
            if len(places) == 1 and not tree.is_nested(result):
                known[places[0]] = result
            else:
                for place, value in zip(places, tree.flatten(result), strict=True):
                    known[place] = value
        return [known[place] for place in self._results]


def beginning_at_inputs(inputs: Any, outputs: Any, where: str) -> tuple[Any, Any]:
    """The ends of a model: each of its inputs that an operation makes becomes an Input, and what is computed from it is called anew."""
    flat = tree.flatten(inputs)
    inside = [tensor for tensor in flat if tensor.node is not None and tensor.node.input_tensors]
    if not inside:
        return inputs, outputs
    new: dict[int, Symbolic] = {id(tensor): tensor for tensor in flat}
    new.update({id(t): InputLayer(batch_shape=t.shape, dtype=t.dtype, name=t.name).output for t in inside})

    def renewed(structure: Any) -> Any:
        return tree.map_structure(lambda leaf: new.get(id(leaf), leaf) if isinstance(leaf, Symbolic) else leaf, structure)

    for node in nodes_between(flat, tree.flatten(outputs), where):
        made = [tensor for tensor in node.output_tensors if id(tensor) not in new]
        if made and any(new.get(id(tensor), tensor) is not tensor for tensor in node.input_tensors):
            new.update({id(tensor): Symbolic(tensor.shape, tensor.dtype, name=tensor.name) for tensor in made})
            args, kwargs = renewed([list(node.args), dict(node.kwargs)])
            Node(node.operation, tuple(args), kwargs, renewed(node.outputs))
    return renewed(inputs), renewed(outputs)


def known_node(operation: Operation, args: tuple, kwargs: dict, outputs: Any) -> Node:
    """The node of a call that is being copied: made once, also where several graphs have it."""
    tensor = next(leaf for leaf in tree.flatten(outputs) if isinstance(leaf, Symbolic))
    return tensor.node if tensor.node is not None else Node(operation, args, kwargs, outputs)


def _filler(node: Node, slots: dict[int, int]) -> Callable[[list], tuple[tuple, dict]]:
    """A function that puts values in the places of the symbolic arguments of a node."""
    if len(node.args) == 1 and isinstance(node.args[0], Symbolic) and not node.kwargs:
        slot = slots[id(node.args[0])]
        return lambda known: ((known[slot],), {})

    def fill(known: list) -> tuple[tuple, dict]:
        args, kwargs = tree.map_structure(
            lambda leaf: known[slots[id(leaf)]] if isinstance(leaf, Symbolic) else leaf, [list(node.args), dict(node.kwargs)]
        )
        return tuple(args), kwargs

    return fill


def nodes_between(inputs: list[Symbolic], outputs: list[Symbolic], where: str) -> list[Node]:
    """Nodes that the outputs need, dependencies first. Raises StateError where the way back misses the inputs."""
    given = set(map(id, inputs))
    done: dict[int, Node] = {}
    stack: list[tuple[Symbolic, bool, tuple[str, ...]]] = [(tensor, False, ()) for tensor in reversed(outputs)]
    while stack:  # an explicit stack, for models deeper than Python's
        tensor, expanded, way = stack.pop()
        node = tensor.node
        if node is None:
            raise _disconnected(where, tensor, way)
        if id(node) in done:
            continue
        if expanded:
            done[id(node)] = node
            continue
        if not node.input_tensors and id(tensor) not in given:
            raise _disconnected(where, tensor, (*way, node.operation.name))
        stack.append((tensor, True, way))
        if id(tensor) not in given:
            stack.extend((parent, False, (*way, node.operation.name)) for parent in reversed(node.input_tensors))
    return list(done.values())


def _disconnected(where: str, tensor: Symbolic, way: tuple[str, ...]) -> StateError:
    return StateError(
        where,
        need="outputs that are computed from its inputs",
        got=f"an output that depends on {tensor.name!r} {tensor.shape}, which is not among the inputs",
        why=f"the way back from the output is {' <- '.join(way) or tensor.name}",
        fix=f"add that Input to inputs=, or connect {way[-2] if len(way) > 1 else 'the output'!r} to an input of this model",
    )


def _discovered(inputs: list[Symbolic], outputs: list[Symbolic]) -> list[Operation]:
    """Operations in the order in which a walk back from the outputs meets them."""
    given = set(map(id, inputs))
    seen: dict[int, Operation] = {}
    visited: set[int] = set()
    stack = list(reversed(outputs))
    while stack:
        tensor = stack.pop()
        node = tensor.node
        if node is None or id(node) in visited:
            continue
        visited.add(id(node))
        seen.setdefault(id(node.operation), node.operation)
        if id(tensor) not in given:
            stack.extend(reversed(node.input_tensors))
    return list(seen.values())


def _depths(nodes: list[Node], outputs: list[Symbolic]) -> dict[int, int]:
    """Longest distance of each node to an output; all nodes of a shared operation count as deep as its deepest so far."""
    depth: dict[int, int] = {}
    of_operation: dict[int, int] = {}
    inside = {id(node) for node in nodes}
    for node in reversed(nodes):
        own = max(depth.get(id(node), 0), of_operation.get(id(node.operation), 0))
        depth[id(node)] = of_operation[id(node.operation)] = own
        for parent in node.parents:
            if id(parent) in inside:
                depth[id(parent)] = max(depth.get(id(parent), 0), own + 1)
    return depth
