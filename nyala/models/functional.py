# SPDX-License-Identifier: Apache-2.0
"""Functional: a model that is a graph of layers between symbolic inputs and outputs."""

from __future__ import annotations

from typing import Any

from nyala.core import dtypes, tree
from nyala.core.audit import looks_through
from nyala.core.errors import ArgumentError, ShapeError, StructureError
from nyala.core.masks import carry_mask, masked
from nyala.core.op import convert
from nyala.core.symbolic import Operation, Symbolic
from nyala.engines import current
from nyala.layers.calling import infer_without_losses
from nyala.layers.layer import Layer
from nyala.models.graph import Graph, beginning_at_inputs
from nyala.models.model import Model
from nyala.models.strings import HostPart, in_places, on_host


class Function(Operation):
    """The computation between symbolic inputs and outputs, callable on tensors.

    Args:
        inputs, outputs: trees of symbolic tensors.

    >>> import nyala
    >>> x = nyala.Input((3,))
    >>> double = nyala.Function(x, x * 2)
    >>> float(nyala.ops.sum(double(nyala.ops.ones((1, 3)))))
    6.0
    """

    def __init__(self, inputs: Any, outputs: Any, name: str | None = None) -> None:
        super().__init__(name)
        self._inputs_struct, self._outputs_struct = inputs, outputs
        self.graph = Graph(tree.flatten(inputs), tree.flatten(outputs), f"Function {self.name!r}")

    def call(self, inputs: Any) -> Any:
        return tree.pack_sequence_as(self._outputs_struct, self.graph.run(tree.flatten(inputs)))


class Functional(Model):
    """A graph of layers. `nyala.Model(inputs, outputs)` makes one.

    Args:
        inputs: an Input, or a list or dict of them; a dict names the arrays that the model takes. A tensor inside another model will do, too:
            an Input of its name, shape and dtype takes its place.
        outputs: a symbolic tensor computed from them, or a list or dict; the keys of a dict name losses and metrics.
            Called on tensors, and in predict, a list of one gives that one; called on symbolic tensors it gives the list.
        name: of the model.
    """

    def __init__(self, inputs: Any, outputs: Any, name: str | None = None, **kwargs: Any) -> None:
        Layer.__init__(self, name=name, **kwargs)
        self._check_ends(inputs, outputs)
        inputs, outputs = beginning_at_inputs(inputs, outputs, f"Model {self.name!r}")
        self._inputs_struct, self._outputs_struct = inputs, outputs
        self.inputs, self.outputs = tree.flatten(inputs), tree.flatten(outputs)
        self.graph = Graph(self.inputs, self.outputs, f"Model {self.name!r}")
        self._layers = [op for op in self.graph.operations if isinstance(op, Layer)]
        names = [layer.name for layer in self._layers]
        if len(set(names)) != len(names):
            twice = sorted({n for n in names if names.count(n) > 1})
            raise ArgumentError(
                f"Model {self.name!r}", need="layers with names that differ", got=f"{twice} more than once", fix="pass name= to these layers"
            )
        self.built = True
        self._host_part = HostPart(self.graph, self.input_names, f"Model {self.name!r}") if _reads_strings(self.inputs) else None

    def _check_ends(self, inputs: Any, outputs: Any) -> None:
        for what, structure in (("inputs", inputs), ("outputs", outputs)):
            if not tree.flatten(structure):
                raise ArgumentError(f"Model({what})", need="at least one symbolic tensor", got=f"{structure!r}")
            for leaf in tree.flatten(structure):
                if not isinstance(leaf, Symbolic):
                    fix = "start with x = nyala.Input(shape) and call layers on x"
                    if leaf is None:
                        fix = "let the layer's call, or the function that gave it, end with return"
                    elif isinstance(leaf, Operation):
                        fix = f"call the layer on a tensor: {type(leaf).__name__}(...)(x)"
                    raise ArgumentError(
                        f"Model({what})",
                        need="symbolic tensors, from nyala.Input and calls on it",
                        got=f"{type(leaf).__name__}",
                        fix=fix,
                    )
        flat = tree.flatten(inputs)
        if len(set(map(id, flat))) != len(flat):
            raise ArgumentError("Model(inputs)", need="each input once", got="one of them twice")

    @property
    def operations(self) -> list[Operation]:
        """Layers and ops of the graph, from the inputs down."""
        return list(self.graph.operations)

    @property
    def input_names(self) -> list[str]:
        return [_input_name(tensor) for tensor in self.inputs]

    @property
    def output_names(self) -> list[str]:
        """Names of the outputs: the keys of a dict, else the names of the layers that make them."""
        if isinstance(self._outputs_struct, dict) and all(isinstance(v, Symbolic) for v in self._outputs_struct.values()):
            return sorted(self._outputs_struct)
        return [tensor.node.operation.name if tensor.node else tensor.name for tensor in self.outputs]

    @property
    def input(self) -> Any:
        return self._inputs_struct

    @property
    def output(self) -> Any:
        return self._outputs_struct

    @property
    def input_shape(self) -> Any:
        return tree.map_structure(lambda t: t.shape, alone(self._inputs_struct))

    @property
    def output_shape(self) -> Any:
        return tree.map_structure(lambda t: t.shape, alone(self._outputs_struct))

    def build(self, input_shape: Any) -> None:
        """Nothing to do: the graph is built."""

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "_host_part": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._host_part = HostPart(self.graph, self.input_names, f"Model {self.name!r}") if _reads_strings(self.inputs) else None

    def _on_host(self, x: Any, batches: bool = False) -> Any:
        return x if self._host_part is None else on_host(x, self._encoded, batches)

    def _encoded(self, inputs: Any) -> Any:
        """Strings among the inputs as numbers, by the names of the layers that read them."""
        part: Any = self._host_part
        if isinstance(inputs, dict) and set(inputs) == set(part.numbers):
            return inputs
        return part.encode(in_places(inputs, self._inputs_struct, self.input_names, part.where))

    def _run(self, args: tuple, kwargs: dict) -> Any:
        return super()._run(args if self._host_part is None or not args else (self._encoded(args[0]), *args[1:]), kwargs)

    def _run_on(self, inputs: Any) -> Any:
        return self._run((inputs,), {})

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        if self._host_part is not None:
            return self._results(self._host_part.run(inputs, self._fit))
        values = self._bind(inputs)
        with masked(values, tree.flatten(mask)):
            return self._results(self.graph.run(values))

    def _results(self, values: list[Any]) -> Any:
        """Outputs in their structure; what stands alone in a list or tuple comes without it."""
        return alone(tree.pack_sequence_as(self._outputs_struct, values))

    def compute_output_spec(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        own = type(self).compute_output_shape is not Functional.compute_output_shape
        return self._listed(super().compute_output_spec(inputs) if own else infer_without_losses(self._run_on, inputs))

    def compute_output_shape(self, *args: Any, **kwargs: Any) -> Any:
        return self._listed(super().compute_output_shape(*args, **kwargs))

    def _listed(self, results: Any) -> Any:
        """What call gave, in the list or tuple of one that it was taken out of."""
        if type(self).call is not Functional.call or alone(self._outputs_struct) is self._outputs_struct:
            return results
        return [results] if isinstance(self._outputs_struct, list) else (results,)

    def _bind(self, inputs: Any) -> list[Any]:
        """Tensors in the order of the inputs: dicts by name, lists by position; then checked and fitted one by one."""
        names = self.input_names
        if isinstance(inputs, dict) and not isinstance(self._inputs_struct, dict):
            if any(name not in inputs for name in names):
                raise self._unnamed(names, inputs, "")
            given = [inputs[name] for name in names]
        else:
            given = tree.flatten(self._matching(self._inputs_struct, inputs, ""))
        if len(given) != len(names):
            raise StructureError(
                f"Model {self.name!r}", need=f"{len(names)} input{'s' * (len(names) > 1)} {names}", got=f"{len(given)}", fix=self._order_hint()
            )
        return [self._fit(value, tensor) for value, tensor in zip(given, self.inputs, strict=True)]

    def _matching(self, expected: Any, given: Any, where: str) -> Any:
        """What was given in the places of the inputs: of a dict the keys that the model has, others are left out; a list for a dict where both
        orders of its keys, as written and sorted, agree."""
        if isinstance(expected, dict) and isinstance(given, (list, tuple)) and len(given) == len(expected) and list(expected) == sorted(expected):
            given = dict(zip(expected, given, strict=True))
        if isinstance(expected, dict):
            if not isinstance(given, dict) or any(key not in given for key in expected):
                raise self._unnamed(list(expected), given, where)
            return {key: self._matching(value, given[key], f"{where}[{key!r}]") for key, value in expected.items()}
        if isinstance(expected, (list, tuple)) and isinstance(given, (list, tuple)) and len(given) == len(expected):
            return [self._matching(e, g, f"{where}[{i}]") for i, (e, g) in enumerate(zip(expected, given, strict=True))]
        if isinstance(given, dict):
            inside = [_input_name(tensor) for tensor in tree.flatten(expected)]
            if any(name not in given for name in inside):
                raise self._unnamed(inside, given, where)
            return [given[name] for name in inside]
        return given

    def _unnamed(self, names: list[str], given: Any, where: str) -> StructureError:
        got = f"{list(given)}" if isinstance(given, dict) else type(given).__name__
        missing = [name for name in names if name not in given] if isinstance(given, dict) else []
        why = "dicts are bound by name" + (f", and {', '.join(map(repr, missing))} {'is' if len(missing) == 1 else 'are'} missing" if missing else "")
        return StructureError(
            f"Model {self.name!r}",
            need=f"inputs{where} named {names}",
            got=got,
            why=why,
            fix="rename the keys to these" if isinstance(given, dict) else "pass a dict with these keys",
        )

    def _order_hint(self) -> str:
        return f"pass them in the order {self.input_names}, or in a dict by these names" if len(self.inputs) > 1 else ""

    def _fit(self, value: Any, tensor: Symbolic) -> Any:
        """A tensor as an input declared it: dtype cast, a last axis of 1 added or dropped; other shapes are refused."""
        if value is None:
            if not getattr(tensor.node and tensor.node.operation, "optional", False):
                raise StructureError(
                    f"Model {self.name!r}",
                    need=f"a tensor for its input {_input_name(tensor)!r}",
                    got="None",
                    fix="pass it, or declare nyala.Input(..., optional=True)",
                )
            return None
        given = value = convert(value)
        shape, wanted = tuple(value.shape), tensor.shape
        if len(shape) == len(wanted) - 1 and wanted[-1] == 1:
            value = current().reshape(value, (*shape, 1))
        elif len(shape) == len(wanted) + 1 and shape[-1] == 1:
            value = current().reshape(value, shape[:-1])
        shape = tuple(value.shape)
        if len(shape) != len(wanted) or any(w is not None and n != w and type(n) is int for n, w in zip(shape, wanted, strict=True)):
            raise _misfit(self.name, _input_name(tensor), wanted, shape, self._order_hint())
        dtype = current().dtype(value)
        target = current().canonical_dtype(tensor.dtype)
        if dtype == target or (dtypes.is_float(dtype) and dtypes.is_float(target)):  # layers cast floats to the dtype they compute in
            return value
        return carry_mask(given, current().cast(value, target))

    def get_build_config(self) -> dict[str, Any]:
        return {"input_shape": None}

    def get_config(self) -> dict[str, Any]:
        from nyala.models.serialization import functional_config

        if type(self) is not Functional and type(self).__init__ is not Functional.__init__:
            return Layer.get_config(self)
        return functional_config(self)

    @classmethod
    @looks_through
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Any:
        from nyala.models.serialization import functional_from_config

        return functional_from_config(cls, config)


def alone(structure: Any) -> Any:
    """The only member of a list or tuple of one; anything else as it is."""
    return structure[0] if isinstance(structure, (list, tuple)) and len(structure) == 1 else structure


def _reads_strings(inputs: list[Symbolic]) -> bool:
    return any(tensor.dtype == "string" for tensor in inputs)


def _input_name(tensor: Symbolic) -> str:
    return tensor.node.operation.name if tensor.node is not None and not tensor.node.input_tensors else tensor.name


def _misfit(model: str, name: str, wanted: tuple, shape: tuple, order: str) -> ShapeError:
    from nyala.core.symbolic import plain_shape

    shape = plain_shape(shape)
    fix = ""
    if len(shape) == len(wanted) - 1 and all(w is None or n == w for n, w in zip(shape, wanted[1:], strict=True)):
        fix = "this is one sample without the batch axis: pass x[None]"
    elif len(shape) == len(wanted) - 1:
        fix = "add the missing axis: x[None] for a single sample, x[..., None] for grey images or one feature"
    elif len(shape) == len(wanted) == 4 and {shape[-1], wanted[-1]} <= {1, 3, 4} and shape[-1] != wanted[-1]:
        kind = {1: "grey", 3: "colour (RGB)", 4: "RGBA"}
        fix = f"these look like {kind[shape[-1]]} images where {kind[wanted[-1]]} ones are wanted: convert them"
    elif len(shape) > len(wanted):
        fix = "reshape or flatten the data, or declare nyala.Input with this shape"
    return ShapeError(
        f"Model {model!r}",
        need=f"shape {wanted} for its input {name!r}",
        got=f"{shape}",
        fix=fix or order or "reshape the data, or declare nyala.Input with this shape",
    )
