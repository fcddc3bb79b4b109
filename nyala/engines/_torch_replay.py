# SPDX-License-Identifier: Apache-2.0
"""A step of PyTorch's as the list of its kernels: written down once, then run without the Python between them.

A training step of a small network is mostly Python: layers, ops, the tape of the gradient. What reaches PyTorch's kernels is the same list each time,
so it is written down and run as one flat function. A step whose Python looks at numbers cannot be written down, and a recording that does not
make the very same bits as the step does, of other numbers, is thrown away. Start at record.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from nyala.core import tree
from nyala.core.variable import Variable
from nyala.engines import current
from nyala.engines._torch_lists import like, reusable
from nyala.engines._torch_recording import recording
from nyala.engines._torch_windows import FORMATS, is_arranged

LONGEST = 4000  # kernels: the time of longer steps is not Python's
SAME = (torch.ops.aten.detach.default, torch.ops.aten.alias.default)  # nothing to do where no gradient is recorded
NOT_OF_NUMPY = (torch.bfloat16, torch.float8_e4m3fn, torch.float8_e4m3fnuz, torch.float8_e5m2, torch.float8_e5m2fnuz)
REFUSED = (torch.Tag.data_dependent_output, torch.Tag.dynamic_output_shape, torch.Tag.nondeterministic_seeded)


def record(function: Callable, written: Sequence[Variable], only_read: Sequence[Variable], args: Any) -> Callable | None:
    """A function that does what `function` does with args like these, and returns arrays of the host; None if there can be none.

    Args:
        function: assigns variables and returns a tree of tensors or None, and does nothing else.
        written, only_read: all variables it assigns, and those it only reads.
        args: a tree of tensors, its one argument.
    """
    try:
        return Recording(function, written, only_read, args)
    except Exception:  # whatever stands in the way, the step itself goes on as it is, and reports what is wrong with it
        return None


class Unlike(Exception):
    """A step that no list of kernels can stand for."""


class Recording:
    """One step as a flat function of the values of variables and of its arguments."""

    def __init__(self, function: Callable, written: Sequence[Variable], only_read: Sequence[Variable], args: Any) -> None:
        self.written, self.variables = list(written), [*written, *only_read]
        self.kept: list[int] = []  # written variables whose tensor stays: its memory is written to
        self.structure: Any = None  # of what the function returns
        self.own: list[bool] = []  # whether each tensor that is returned may be handed out as it is
        values = self._values()
        ordered = [(i, x) for i, x in enumerate(values) if x.ndim in FORMATS and (x.is_contiguous() or is_arranged(x))]
        self.models = [(i, torch.empty_like(x, device="meta")) for i, x in ordered]  # the order of memory on which the kernels may count
        self.run, new = self._written_down(function, values, args)
        if not self._agrees(function, [*new, *values[len(new) :]], args):
            raise Unlike("other results than the step")

    def __call__(self, args: Any) -> Any:
        """args: a tree of tensors, or of arrays of the host."""
        values: list[Any] = [v.stored() for v in self.variables]
        kept = [values[i] for i in self.kept]
        for i in self.kept:
            values[i] = None  # only its variable and one list may hold what `reusable` shall give back as it is
        for i, value in zip(self.kept, reusable(kept), strict=True):
            values[i] = value
        for i, model in self.models:
            values[i] = like(values[i], model)
        found = self.run(*values, *map(_lent, tree.flatten(args)))
        for variable, value in zip(self.written, found, strict=False):
            variable._stored = value
        if not self.own:
            return None
        results = found[len(self.written) :]
        leaves = [x.numpy(force=True) if own else current().to_numpy(x) for x, own in zip(results, self.own, strict=True)]
        return tree.pack_sequence_as(self.structure, leaves)

    def holds(self, function: Callable, args: Any) -> bool:
        """Whether the function still does what was recorded, with the values of now and args like those."""
        try:
            return self._agrees(function, self._values(), args)
        except Exception:  # as in record
            return False

    def _values(self) -> list[Tensor]:
        """The values of the variables as tensors that nobody else holds, with memory of their own if anything is written."""
        return [v.stored().clone() if self.written else v.stored().detach() for v in self.variables]

    def _written_down(self, function: Callable, values: list[Tensor], args: Any) -> tuple[Callable, list[Tensor]]:
        """The kernels as a function, and the values of written variables after the step, which may have written into those before."""
        with torch.no_grad(), recording.owning(), _Kernels() as kernels:
            found = self._stepped(function, values, args)
        new, results, inputs = found[: len(self.written)], found[len(self.written) :], [*values, *tree.flatten(args)]
        self.kept = [i for i, (before, after) in enumerate(zip(values, new, strict=False)) if before is after]
        if not self.written and kernels.write_to(inputs):
            raise Unlike("it writes into what it was given")
        run = kernels.as_function(inputs, found)
        shared = {_memory(x) for x in (*inputs, *run.__globals__.values()) if isinstance(x, Tensor)}
        self.own = [_is_whole(x) and _memory(x) not in shared and [*map(_memory, results)].count(_memory(x)) == 1 for x in results]
        return run, new

    def _stepped(self, function: Callable, values: Sequence[Tensor], args: Any) -> list[Tensor]:
        """The values of written variables after a step from these values, and what it returned; the variables stay as they are."""
        before = [v._stored for v in self.variables]
        try:
            for variable, value in zip(self.variables, values, strict=True):
                variable._stored = value
            result = function(args)
            self.structure = None if result is None else tree.map_structure(lambda _: 0, result)
            return [*(v._stored for v in self.written), *([] if result is None else tree.flatten(result))]
        finally:
            for variable, value in zip(self.variables, before, strict=True):
                variable._stored = value

    def _agrees(self, function: Callable, start: list[Tensor], args: Any) -> bool:
        """Whether step and recording make the same bits of these values, and of the batch turned round."""
        turned, copy = tree.map_structure(_turned, args), Tensor.clone if self.written else Tensor.detach
        with torch.no_grad(), recording.owning():
            expected = self._stepped(function, [copy(x) for x in start], turned)
            got = self.run(*(copy(x) for x in start), *tree.flatten(turned))
        return len(expected) == len(got) and all(map(_same_bits, expected, got))


def _turned(leaf: Any) -> Any:
    """Other numbers of the same kind: the rows in reverse, or one row of the opposite or of zeros."""
    if not isinstance(leaf, Tensor) or not leaf.ndim:
        return leaf
    return torch.flip(leaf, (0,)) if len(leaf) > 1 else -leaf if leaf.is_floating_point() else torch.zeros_like(leaf)


def _lent(leaf: Any) -> Any:
    """An array of the host as a tensor, on its own memory where PyTorch can; nothing is written there."""
    if not isinstance(leaf, np.ndarray):
        return leaf
    here: Any = current()
    plain = leaf.flags.writeable and leaf.flags.c_contiguous and leaf.dtype.isnative and leaf.dtype.kind in "fiub"
    return torch.from_numpy(leaf) if plain and here._device.type == "cpu" else here.asarray(leaf)


def _memory(x: Tensor) -> int:
    return x.untyped_storage().data_ptr()


def _is_whole(x: Tensor) -> bool:
    """Whether x is all of its memory, in order, and of a dtype that NumPy knows."""
    return x.is_contiguous() and x.untyped_storage().nbytes() == x.nbytes and x.dtype not in NOT_OF_NUMPY


def _same_bits(x: Tensor, y: Tensor) -> bool:
    return x.dtype == y.dtype and x.shape == y.shape and bool(((x == y) | ((x != x) & (y != y))).all())


class _Kernels(TorchDispatchMode):
    """Writes down what is called below the gradient, with the tensors themselves, which so stay alive and keep their identity."""

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """PyTorch asks this; to skip its compiler here it would first import it, for a second."""
        return False

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[Any, Any, Any, Any]] = []

    def __torch_dispatch__(self, kernel: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if any(tag in REFUSED for tag in kernel.tags) and not (_drops_nothing(kernel, args) or _counts_places(kernel, args)):
            raise Unlike(f"{kernel} depends on numbers, or on a state of PyTorch's")
        if len(self.calls) > LONGEST:
            raise Unlike("too long")
        result = kernel(*args, **(kwargs or {}))
        self.calls.append((kernel, _copied(args), _copied(kwargs or {}), result))
        return result

    def write_to(self, inputs: list[Any]) -> bool:
        """Whether a kernel that writes was given memory of the inputs."""
        memory = {_memory(x) for x in inputs if isinstance(x, Tensor)}
        writing = [(args, list(kwargs.values())) for kernel, args, kwargs, _ in self.calls if kernel._schema.is_mutable]
        return any(_memory(x) in memory for x in _tensors(writing))

    def as_function(self, inputs: list[Tensor | None], outputs: list[Tensor]) -> Callable:
        """The calls as a function of inputs that returns outputs: a line for each, each tensor dropped after its last use."""
        names = {id(x): f"x{i}" for i, x in enumerate(inputs) if isinstance(x, Tensor)}
        known: dict[str, Any] = {}  # what is no result of a call: kernels, dtypes, numbers, tensors made elsewhere
        memory = {x.untyped_storage().data_ptr() for x in inputs if isinstance(x, Tensor)}

        def constant(value: Any) -> str:
            if isinstance(value, Tensor) and value.untyped_storage().data_ptr() in memory:
                raise Unlike("a view that no kernel made")
            known[f"c{len(known)}"] = value
            return f"c{len(known) - 1}"

        def text(value: Any) -> str:
            if isinstance(value, Tensor):
                if id(value) not in names:
                    names[id(value)] = constant(value)
                return names[id(value)]
            if isinstance(value, (list, tuple)):
                return f"[{', '.join(map(text, value))}]"
            return repr(value) if value is None or isinstance(value, (bool, int, str)) else constant(value)

        calls = self._needed(outputs)
        lines: list[tuple[str, str, list[str]]] = []  # target, call, names that occur
        for i, (kernel, args, kwargs, result) in enumerate(calls):
            if kernel in SAME:
                names[id(result)] = text(args[0])
                continue
            used = {text(x) for x in _tensors((args, list(kwargs.values())))}
            call = ", ".join([*map(text, args), *(f"{key}={text(value)}" for key, value in kwargs.items())])
            parts = list(result) if isinstance(result, (list, tuple)) else [result]
            fresh = [x for x in parts if isinstance(x, Tensor) and id(x) not in names]
            for j, part in enumerate(parts):
                if any(part is x for x in fresh):
                    names[id(part)] = f"y{i}_{j}"
                    memory.add(part.untyped_storage().data_ptr())
            target = ", ".join(f"y{i}_{j}" if any(part is x for x in fresh) else "_" for j, part in enumerate(parts))
            target += "," if isinstance(result, (list, tuple)) and parts else ""
            lines.append((f"{target} = " if fresh else "", f"{constant(getattr(kernel, '_op', kernel))}({call})", sorted(used)))
        source = [f"def run({', '.join(f'x{i}' for i in range(len(inputs)))}):"]
        result = f"return [{', '.join(map(text, outputs))}]"
        last: dict[str, int] = {}
        for i, (_, _, used) in enumerate(lines):
            last.update(dict.fromkeys(used, i))
        for i, (target, call, used) in enumerate(lines):
            done = [name for name in used if name[0] == "y" and last[name] == i and name not in result]
            source.append(f"{target}{call}" + (f"; del {', '.join(done)}" if done else ""))
        exec("\n ".join([*source, result]), known)
        return known["run"]

    def _needed(self, outputs: list[Tensor]) -> list[tuple[Any, Any, Any, Any]]:
        """The calls but those that write nowhere and whose result nobody wants."""
        wanted, found = {id(x) for x in outputs}, []
        for call in reversed(self.calls):
            kernel, args, kwargs, result = call
            if kernel._schema.is_mutable or any(id(x) in wanted for x in _tensors([result])):
                wanted.update(id(x) for x in _tensors((args, list(kwargs.values()))))
                found.append(call)
        return found[::-1]


def _drops_nothing(kernel: Any, args: Sequence[Any]) -> bool:
    """Whether this is attention without dropout, which needs no random numbers."""
    names = [argument.name for argument in kernel._schema.arguments]
    return "dropout_p" in names and dict(zip(names, args, strict=False)).get("dropout_p", 0.0) == 0.0


def _counts_places(kernel: Any, args: Sequence[Any]) -> bool:
    """Whether this is indexing by integers, whose result has a known shape."""
    return kernel is torch.ops.aten.index.Tensor and all(x is None or x.dtype in (torch.int32, torch.int64) for x in args[1])


def _tensors(value: Any) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, (list, tuple)):
        for part in value:
            yield from _tensors(part)


def _copied(value: Any) -> Any:
    """The same tensors in lists and dicts that nobody else can change."""
    if isinstance(value, dict):
        return {key: _copied(part) for key, part in value.items()}
    return [_copied(part) for part in value] if isinstance(value, (list, tuple)) else value
