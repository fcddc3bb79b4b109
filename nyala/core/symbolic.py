# SPDX-License-Identifier: Apache-2.0
"""Symbolic tensors and the graph that calls on them leave behind: what functional models are made of.

A `Symbolic` (public name KerasTensor) has a shape, with None for unknown sizes, a dtype and a name. An `Operation` called on one records a `Node`;
shapes come from running the same body on the spec engine. Start at Operation.symbolic_call.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from nyala.core import dtypes, names, tree
from nyala.core.errors import ArgumentError, ArgumentTypeError, NotYetError, StateError, missing_method
from nyala.core.op import install_operators
from nyala.core.variable import Scope
from nyala.engines import real_engine

Shape = tuple[int | None, ...]


class Symbolic:
    """A tensor to be: shape and dtype now, values when the model runs. Public as nyala.KerasTensor.

    Args:
        shape: sizes, None where unknown.
        dtype: name of the dtype.
        name: by default "keras_tensor", "keras_tensor_1", ...
    """

    __array_priority__ = 1000
    shape_type: Callable[[Iterable[int | None]], Shape] = tuple  # of shapes that layers and programs see

    def __init__(
        self,
        shape: Sequence[int | None],
        dtype: Any = "float32",
        sparse: bool = False,
        ragged: bool = False,
        record_history: bool = True,
        name: str | None = None,
    ) -> None:
        self._shape: Shape = self.shape_type(shape)
        self._dtype = dtypes.standardize_dtype(dtype)
        self.sparse, self.ragged = bool(sparse), bool(ragged)
        self.name = name or names.auto_name("keras_tensor")
        self.node: Node | None = None  # the call that makes it
        self.tensor_index = 0

    @property
    def shape(self) -> Shape:
        return self._shape

    @property
    def dtype(self) -> str:
        return self._dtype

    @property
    def ndim(self) -> int:
        return len(self._shape)

    @property
    def size(self) -> int | None:
        """Number of elements, None if unknown."""
        if None in self._shape:
            return None
        total = 1
        for size in self._shape:
            total *= size  # type: ignore[operator]
        return total

    @property
    def T(self) -> Symbolic:
        from nyala import ops

        return ops.transpose(self)

    def reshape(self, *newshape: Any) -> Symbolic:
        from nyala import ops

        return ops.reshape(self, newshape[0] if len(newshape) == 1 and isinstance(newshape[0], (tuple, list)) else newshape)

    def squeeze(self, axis: Any = None) -> Symbolic:
        from nyala import ops

        return ops.squeeze(self, axis)

    def __repr__(self) -> str:
        return f"<KerasTensor shape={self._shape}, dtype={self._dtype}, name={self.name}>"

    def _no_value(self, what: str) -> Any:
        raise StateError(
            f"{what} of the symbolic tensor {self.name!r}",
            need="a tensor with values",
            got=f"shape {self._shape}, dtype {self._dtype}, and no values: it stands for the data a model will get",
            fix="use nyala.ops in the model, or make a Model and call it on data",
        )

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        self._no_value("numpy.array")

    def __jax_array__(self) -> Any:
        self._no_value("a JAX function")

    @classmethod
    def __torch_function__(cls, function: Callable, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        shown = getattr(function, "__name__", str(function))
        raise StateError(
            f"torch function {shown!r}",
            need="tensors with values",
            got="a symbolic tensor",
            fix=f"use nyala.ops.{shown} if there is one, or put the call in a layer or Lambda",
        )

    def __bool__(self) -> bool:
        return self._no_value("bool()")

    def __float__(self) -> float:
        return self._no_value("float()")

    def __int__(self) -> int:
        return self._no_value("int()")

    def __len__(self) -> int:
        if not self._shape or self._shape[0] is None:
            self._no_value("len()")
        return self._shape[0]  # type: ignore[return-value]

    def __iter__(self) -> Any:
        if not self._shape or self._shape[0] is None:
            self._no_value("iteration")
        return iter([self[i] for i in range(self._shape[0])])  # type: ignore[index, arg-type]

    def __hash__(self) -> int:
        return id(self)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "node": None}  # graphs copy their nodes themselves, not by recursion from tensor to tensor


class Node:
    """One call of an operation on symbolic tensors.

    Attributes:
        operation: what was called.
        args, kwargs: with what, symbolic tensors inside.
        outputs: tree of symbolic tensors it gave.
    """

    def __init__(self, operation: Operation, args: tuple, kwargs: dict, outputs: Any) -> None:
        self.operation, self.args, self.kwargs, self.outputs = operation, args, kwargs, outputs
        self.input_tensors: list[Symbolic] = [leaf for leaf in tree.flatten([args, kwargs]) if isinstance(leaf, Symbolic)]
        self.output_tensors: list[Symbolic] = [leaf for leaf in tree.flatten(outputs) if isinstance(leaf, Symbolic)]
        self.index = len(operation.inbound_nodes)
        operation.inbound_nodes.append(self)
        for i, tensor in enumerate(self.output_tensors):
            tensor.node, tensor.tensor_index = self, i

    @property
    def parents(self) -> list[Node]:
        """Nodes that make the inputs."""
        return [tensor.node for tensor in self.input_tensors if tensor.node is not None]

    def __repr__(self) -> str:
        return f"<Node {self.index} of {self.operation.name}>"


class Operation:
    """Something that can be called on tensors and on symbolic tensors: every layer, and every op in a functional model.

    Args:
        name: by default the class name in snake case, numbered.
    """

    def __init__(self, name: str | None = None) -> None:
        if name is None:
            name = names.auto_name(names.to_snake_case(type(self).__name__))
        if not isinstance(name, str) or "/" in name:
            raise ArgumentError(f"{type(self).__name__}(name)", need="a string without '/'", got=repr(name), fix="use '_' instead")
        self.name = name
        self.inbound_nodes: list[Node] = []

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "inbound_nodes": []}  # a copy has been called nowhere yet; graphs copy their nodes

    def call(self, *args: Any, **kwargs: Any) -> Any:
        """The mathematics. Subclasses write this."""
        raise missing_method(self, "call(self, ...)")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if contains_symbolic([args, kwargs]):
            return self.symbolic_call(*args, **kwargs)
        return self.call(*args, **kwargs)

    def symbolic_call(self, *args: Any, **kwargs: Any) -> Any:
        """Record a node; returns symbolic outputs."""
        outputs = self.compute_output_spec(*args, **kwargs)
        Node(self, args, kwargs, outputs)
        return outputs

    def compute_output_spec(self, *args: Any, **kwargs: Any) -> Any:
        """Symbolic outputs for symbolic inputs, from running `call` on shapes."""
        return infer_symbolic(self.call, *args, **kwargs)

    def get_config(self) -> dict[str, Any]:
        """Arguments from which from_config makes an equal object."""
        return {"name": self.name}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Operation:
        """Make an object from what get_config returned."""
        return cls(**config)

    def _first_node(self, what: str) -> Node:
        if not self.inbound_nodes:
            raise NotYetError(
                f"{type(self).__name__} {self.name!r}.{what}", need="a call on symbolic tensors", got="none", fix="call it on an Input first"
            )
        return self.inbound_nodes[0]

    @property
    def input(self) -> Any:
        """The symbolic inputs of its first call."""
        tensors = self._first_node("input").input_tensors
        return tensors[0] if len(tensors) == 1 else tensors

    @property
    def output(self) -> Any:
        """The symbolic outputs of its first call."""
        return self._first_node("output").outputs


class Function(Operation):
    """A public op inside a graph.

    Args:
        op: the op, a function made by @op.
    """

    def __init__(self, op: Callable, name: str | None = None) -> None:
        self.op = op
        super().__init__(name or names.auto_name(op.__name__))

    def call(self, *args: Any, **kwargs: Any) -> Any:
        return self.op(*args, **kwargs)

    def compute_output_spec(self, *args: Any, **kwargs: Any) -> Any:
        """Symbolic outputs for symbolic inputs; an unknown size is taken to fit the known one that it meets."""
        from nyala.engines.spec import infer_fitting

        return _infer_symbolic(infer_fitting, self.call, args, kwargs)

    def get_config(self) -> dict[str, Any]:
        return {"name": self.name, "op": self.op.__name__}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Function:
        from nyala import ops

        return cls(getattr(ops, config["op"]), config.get("name"))


def plain_shape(shape: Sequence[Any]) -> Shape:
    """A shape with None for unknown sizes and plain ints else."""
    from nyala.engines.spec import UnknownSize

    return Symbolic.shape_type(None if n is None or isinstance(n, UnknownSize) else int(n) for n in shape)


def record(op: Callable, args: tuple, kwargs: dict) -> Any:
    """Call an op on symbolic tensors: a node of the graph."""
    return Function(op).symbolic_call(*args, **kwargs)


def contains_symbolic(value: Any) -> bool:
    """Whether a tree has a symbolic tensor among its leaves."""
    if isinstance(value, Symbolic):
        return True
    if isinstance(value, (list, tuple)):
        return any(map(contains_symbolic, value))
    return isinstance(value, dict) and any(map(contains_symbolic, value.values()))


def is_keras_tensor(x: Any) -> bool:
    """Whether x is a symbolic tensor.

    >>> import nyala
    >>> is_keras_tensor(nyala.Input((3,))), is_keras_tensor(nyala.ops.zeros(3))
    (True, False)
    """
    return isinstance(x, Symbolic)


def infer_symbolic(function: Callable, *args: Any, **kwargs: Any) -> Any:
    """Run function on the shapes of symbolic arguments; its results as symbolic tensors.

    Code that calls into the array library of the engine itself cannot run on shapes alone: it is then traced by the engine."""
    from nyala.engines.spec import infer

    return _infer_symbolic(infer, function, args, kwargs)


def _infer_symbolic(infer: Callable, function: Callable, args: tuple, kwargs: dict) -> Any:
    from nyala.engines.spec import Spec

    def to_spec(leaf: Any) -> Any:
        if isinstance(leaf, Symbolic) and leaf.dtype == "string":
            fix = "put StringLookup, Hashing or TextVectorization between them"
            raise ArgumentTypeError("a model", need="a layer that reads strings", got=f"another on {leaf.name!r}, a string input", fix=fix)
        return Spec(leaf.shape, leaf.dtype) if isinstance(leaf, Symbolic) else leaf

    to_symbolic = lambda leaf: Symbolic(leaf.shape, leaf.dtype) if isinstance(leaf, Spec) else leaf  # noqa: E731
    specs = tree.map_structure(to_spec, [list(args), kwargs])
    with Scope() as inside:  # what is assigned meanwhile is dropped
        try:
            result = infer(function, *specs[0], **specs[1])
        except (TypeError, AttributeError) as error:
            inside.values.clear()
            try:
                result = _infer_by_engine(function, specs)
            except Exception:  # the first error says more about the code of the user
                if "does not support ufuncs" in str(error):
                    raise ArgumentTypeError(
                        "a function on symbolic tensors",
                        need="functions of nyala.ops",
                        got="one of NumPy",
                        why="NumPy computes on arrays, and these tensors have no values yet",
                        fix="write nyala.ops.log for np.log, and the like",
                    ) from error
                raise error from None
    return tree.map_structure(to_symbolic, result)


def _infer_by_engine(function: Callable, specs: Any) -> Any:
    """Shapes from the engine's own abstract evaluation, unknown sizes by comparing two; eager engines run on zeros."""
    from nyala.engines.spec import Spec

    engine = real_engine()
    is_spec = lambda leaf: isinstance(leaf, Spec)  # noqa: E731
    leaves = tree.flatten(specs)
    outputs: list[Any] = []

    def run(size: int) -> Any:
        sizes = [tuple(size if n is None else n for n in leaf.shape) for leaf in leaves if is_spec(leaf)]
        kinds = [leaf.dtype for leaf in leaves if is_spec(leaf)]

        def on_tensors(*tensors: Any) -> Any:
            supply = iter(tensors)
            args, kwargs = tree.map_structure(lambda leaf: next(supply) if is_spec(leaf) else leaf, specs)
            result = function(*args, **kwargs)
            outputs.append(tree.map_structure(lambda leaf: None if engine.is_tensor(leaf) else leaf, result))
            return [leaf for leaf in tree.flatten(result) if engine.is_tensor(leaf)]

        if engine.compiles:
            return engine.eval_shape(on_tensors, *(Spec(s, k) for s, k in zip(sizes, kinds, strict=True)))
        return on_tensors(*(engine.full(s, 0, k) for s, k in zip(sizes, kinds, strict=True)))

    first, second = run(8), run(16)
    merged = iter(
        [
            Spec(tuple(m if m == n else None for m, n in zip(a.shape, b.shape, strict=True)), dtypes.standardize_dtype(a.dtype))
            for a, b in zip(first, second, strict=True)
        ]
    )
    return tree.map_structure(lambda leaf: next(merged) if leaf is None else leaf, outputs[0])


install_operators(Symbolic)
