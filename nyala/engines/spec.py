# SPDX-License-Identifier: Apache-2.0
"""The engine that computes shapes and dtypes and nothing else: how the result of a function looks, before there is anything to compute.

Pure Python arithmetic on tuples; it allocates no tensor, and knows no array library and no op. Operands that a real engine would refuse,
or accept by luck (mixed dtypes, integers where floats belong), are refused here with the reason. Start at `infer`, then `SpecEngine`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import nyala.engines
from nyala.engines._spec_rules import (
    PARTS,
    WHOLES,
    SpecTensor,
    UnknownSize,
    as_indices,
    as_matrices,
    as_tensor,
    block_of,
    broadcast,
    common_dtype,
    elementwise,
    elementwise_rule,
    fourier,
    is_scalar,
    leaves,
    look,
    map_tree,
    need_alike,
    need_axes,
    need_choice,
    need_kind,
    need_length,
    need_predicate,
    need_shape,
    no_value,
    part_of,
    pooled,
    rebuild,
    reduced_shape,
    reduction_rule,
    refuse,
    running_rule,
    window_positions,
    with_axis,
    with_size,
    without_axis,
)
from nyala.engines.protocol import Engine, Tree

__all__ = ["Spec", "SpecEngine", "SpecTensor", "UnknownSize", "infer", "infer_fitting"]

STAND_INS = (240, 480)  # what an unknown size is taken for: many divisors, so that pooling, folding and splitting divide evenly
LARGE_STAND_INS = (55440, 110880)  # what is tried where these do not fit: all numbers up to 12 divide them
MOST_SIZES = 12  # that are tried in the place of an unknown one


@dataclass(frozen=True)
class Spec:
    """How a tensor looks: its shape, where None is a size not known yet, and its dtype."""

    shape: tuple[int | None, ...]
    dtype: str = "float32"


def infer(function: Callable, *args: Tree, **kwargs: Tree) -> Tree:
    """The result of `function(*args, **kwargs)` as a tree of `Spec`, computed without values.

    Where a size is None the function runs twice, with 240 and with 480 in the place of every None; a size of the result that differs between
    the two is None. So arithmetic on sizes in the function, Python's own (`size // 2`, `range(size)`), just works, which it would not
    on a symbol; both numbers have many divisors, so what must divide evenly does; and as nothing is allocated, their length costs nothing.

    Args:
        args, kwargs: trees (list, tuple, dict) in which a `Spec` stands for a tensor; other leaves pass through.
    Returns: the tree that the function returned, with a `Spec` for each tensor and None for each number that follows an unknown size.
    Raises: ValueError if the unknown sizes change the structure or the rank of the result; TypeError if the function asks for a value.

    Example:
    >>> from nyala.engines import engine
    >>> infer(lambda x: engine.reshape(x, (x.shape[0] * 3, 2)), Spec((None, 6)))
    Spec(shape=(None, 2), dtype='float32')
    """
    unknown = any(isinstance(leaf, Spec) and None in leaf.shape for leaf in leaves((args, kwargs)))
    results = [_run(function, args, kwargs, size, unknown) for size in (STAND_INS if unknown else STAND_INS[:1])]
    return _compare(results[0], results[-1])


def infer_fitting(function: Callable, *args: Tree, **kwargs: Tree) -> Tree:
    """As infer, for a function without side effects that may refuse the stand-ins though other sizes would fit.

    Then larger ones are tried, which more numbers divide, after them each known size among the arguments in the place of one unknown size, and each
    known shape in the place of all. What need not be known stays unknown, and sizes of the result that change with a size that fits, too, are None.

    >>> from nyala.engines import engine
    >>> infer_fitting(lambda x, y: engine.matmul(x, y), Spec((2, None)), Spec((3, 4)))
    Spec(shape=(2, 4), dtype='float32')
    """
    try:
        return infer(function, *args, **kwargs)
    except ValueError as refusal:
        specs = [leaf for leaf in leaves((args, kwargs)) if isinstance(leaf, Spec)]
        places = [(id(spec), axis - len(spec.shape)) for spec in specs for axis, n in enumerate(spec.shape) if n is None]
        if not places or str(refusal).startswith("shape inference needs"):
            raise
        sizes, shapes = _known_sizes(args, kwargs)
        one, other = ([{place: n} for place in places for n in some] for some in (sizes, (2, 3)))
        like = [{(id(spec), -i): n for spec in specs for i, n in enumerate(shape[::-1], 1)} for shape in shapes]  # aligned at the last axis
        fillings = [{}, *one, *like, *other, *(dict.fromkeys(places, n) for n in (2, 3))]
        attempt = lambda filling: _attempt(function, args, kwargs, filling)  # noqa: E731
        filling = next((filling for filling in fillings if attempt(filling) is not _REFUSED), None)
        if filling is None:
            raise
        for place in [place for place in places if place in filling]:
            fewer = {kept: n for kept, n in filling.items() if kept != place}
            filling = fewer if attempt(fewer) is not _REFUSED else filling  # what need not be known stays unknown
        near = [{**filling, place: m} for place, n in filling.items() if place in places for m in (n - 1, n + 1, 2 * n)]
        agreed = functools.reduce(_agreement, [result for result in map(attempt, (filling, *near)) if result is not _REFUSED])
        if agreed is _REFUSED:
            raise
        return agreed


_REFUSED = Spec((), "refused")


def _known_sizes(args: Tree, kwargs: Tree) -> tuple[list[int], list[tuple[int, ...]]]:
    """Sizes that an unknown one may have to equal, those of the other tensors and numbers given; and the shapes known."""
    given = [leaf for leaf in leaves((args, kwargs)) if not isinstance(leaf, bool)]
    shapes = [tuple(leaf.shape) for leaf in given if hasattr(leaf, "shape")]
    shapes += [tuple(leaf) for leaf in (*args, *kwargs.values()) if isinstance(leaf, list | tuple) and all(type(n) is int for n in leaf)]
    sizes = {int(n) for n in (*given, *(n for shape in shapes for n in shape)) if isinstance(n, int) and n > 1}
    return sorted(sizes)[:MOST_SIZES], [shape for shape in shapes if None not in shape]


def _attempt(function: Callable, args: Tree, kwargs: Tree, filling: dict[tuple[int, int], int]) -> Tree:
    """The result with these sizes in the places of unknown ones and larger stand-ins in the others, or _REFUSED."""

    def with_sizes(leaf: Any) -> Any:
        if not isinstance(leaf, Spec):
            return leaf
        axes = range(-len(leaf.shape), 0)
        return Spec(tuple(filling.get((id(leaf), axis)) if n is None else n for axis, n in zip(axes, leaf.shape, strict=True)), leaf.dtype)

    args, kwargs = map_tree(with_sizes, args), map_tree(with_sizes, kwargs)
    try:
        return _compare(*[_run(function, args, kwargs, stand_in, True) for stand_in in LARGE_STAND_INS])
    except Exception:  # an attempt: the first error is the one to tell
        return _REFUSED


def _agreement(first: Tree, second: Tree) -> Tree:
    """What two results agree on; _REFUSED where their structures or ranks differ."""
    ours, theirs = leaves(first), leaves(second)
    ranks = [[len(leaf.shape) if isinstance(leaf, Spec) else None for leaf in each] for each in (ours, theirs)]
    if ranks[0] != ranks[1]:
        return _REFUSED
    others = iter(theirs)

    def common(leaf: Any) -> Any:
        other = next(others)
        if not isinstance(leaf, Spec):
            return leaf
        return Spec(tuple(n if n == m else None for n, m in zip(leaf.shape, other.shape, strict=True)), leaf.dtype)

    return map_tree(common, first)


def _run(function: Callable, args: Tree, kwargs: Tree, size: int, unknown: bool) -> Tree:
    def stand_in(leaf: Any) -> Any:
        return SpecTensor([UnknownSize(size) if n is None else n for n in leaf.shape], leaf.dtype) if isinstance(leaf, Spec) else leaf

    try:
        with nyala.engines.using(_spec):
            return function(*map_tree(stand_in, args), **map_tree(stand_in, kwargs))
    except Exception as error:
        if unknown:
            error.add_note(f"  note: while shapes were inferred, with {size} in the place of each unknown size")
        raise


def _compare(first: Tree, second: Tree) -> Tree:
    """The tree both runs agree on."""
    if isinstance(first, SpecTensor) and isinstance(second, SpecTensor) and first.ndim == second.ndim and first.dtype == second.dtype:
        return Spec(tuple(int(n) if n == m else None for n, m in zip(first.shape, second.shape, strict=True)), first.dtype)
    if isinstance(first, dict) and isinstance(second, dict) and first.keys() == second.keys():
        return {key: _compare(value, second[key]) for key, value in first.items()}
    if isinstance(first, list | tuple) and type(first) is type(second) and len(first) == len(second):
        return rebuild(first, [_compare(a, b) for a, b in zip(first, second, strict=True)])
    if isinstance(first, SpecTensor | dict | list | tuple) or isinstance(second, SpecTensor | dict | list | tuple):
        refuse("shape inference", "a result whose structure, ranks and dtypes do not depend on an unknown size",
               f"{_describe(first)} for size {STAND_INS[0]} and {_describe(second)} for size {STAND_INS[1]}",
               "state the size when you declare the input")  # fmt: skip
    return None if isinstance(first, int) and isinstance(second, int) and first != second else first


def _describe(tree: Tree) -> str:
    return f"{type(tree).__name__} of length {len(tree)}" if isinstance(tree, dict | list | tuple) else repr(tree)


class SpecEngine(Engine):
    """Every primitive of the protocol on shapes and dtypes. The elementwise ones, which follow one rule per kind, are made below the class."""

    name = "spec"
    abstract = True

    def asarray(self, value, dtype=None):
        if isinstance(value, SpecTensor):
            return value if dtype is None else SpecTensor(value.shape, self.canonical_dtype(dtype))
        shape, own = look(value)
        return SpecTensor(shape, self.canonical_dtype(dtype or own))

    def to_numpy(self, x):
        no_value("to_numpy")

    def is_tensor(self, value):
        return isinstance(value, SpecTensor)

    def canonical_dtype(self, dtype):
        if dtype not in ("int64", "uint64", "float64", "complex128"):
            return dtype
        real = nyala.engines.real_engine()
        return dtype if real.abstract else real.canonical_dtype(dtype)

    def placeholder(self, variable, dtype):
        """How a variable looks that is read in this dtype."""
        return self.full(variable.shape, 0, dtype)

    # Transforms

    def eval_shape(self, function, *args):
        return function(*map_tree(lambda leaf: as_tensor("eval_shape", leaf), list(args)))

    def value_and_grad(self, function):
        def shapes(values):
            loss, aux = function(values)
            if loss.shape != ():
                refuse("value_and_grad", "a scalar loss", f"shape {loss.shape}", "take its mean or sum")
            return (loss, aux), [SpecTensor(x.shape, x.dtype) for x in values]

        return shapes

    def vmap(self, function, in_axes=0, out_axes=0):
        def mapped(*args):
            axes = list(in_axes) if isinstance(in_axes, list | tuple) else [in_axes] * len(args)
            need_length("vmap", "in_axes", axes, len(args))
            pairs = list(zip(args, axes, strict=True))
            sizes = {leaf.shape[axis] for arg, axis in pairs if axis is not None for leaf in leaves(arg)}
            if len(sizes) != 1:
                refuse("vmap", "one size along the mapped axes", sorted(sizes), "map at least one argument, over axes of equal size")
            size = sizes.pop()
            result = function(*[arg if axis is None else map_tree(lambda leaf, axis=axis: without_axis(leaf, axis), arg) for arg, axis in pairs])
            if not isinstance(out_axes, list | tuple):
                return map_tree(lambda leaf: with_axis(leaf, out_axes, size), result)
            pairs = list(zip(result, out_axes, strict=True))
            return rebuild(result, [map_tree(lambda leaf, axis=axis: with_axis(leaf, axis, size), item) for item, axis in pairs])

        return mapped

    def custom_gradient(self, function):
        return lambda *tensors: function(*tensors)[0]

    # Elementwise, what the rules below do not say

    def abs(self, x):
        x = as_tensor("abs", x)
        need_kind("abs", "int uint float complex", x)
        return SpecTensor(x.shape, PARTS.get(x.dtype, x.dtype))

    def where(self, condition, x, y):
        condition = self.asarray(condition) if is_scalar(condition) else as_tensor("where", condition)
        need_kind("where(condition)", "bool", condition)
        chosen = elementwise("where", (x, y), ANY)
        return SpecTensor(broadcast("where", condition.shape, chosen.shape), chosen.dtype)

    def cast(self, x, dtype):
        return SpecTensor(as_tensor("cast", x).shape, self.canonical_dtype(dtype))

    # Reductions along one axis

    def argmax(self, x, axis):
        return SpecTensor(reduced_shape("argmax", as_tensor("argmax", x), (axis,), False), "int32")

    def argmin(self, x, axis):
        return SpecTensor(reduced_shape("argmin", as_tensor("argmin", x), (axis,), False), "int32")

    # Shape moves

    def reshape(self, x, shape):
        x, result = as_tensor("reshape", x), SpecTensor(shape)
        if x.size != result.size:
            refuse("reshape", f"a shape of {x.size} elements, as {x.shape} has", f"{result.shape} of {result.size}")
        return SpecTensor(shape, x.dtype)

    def transpose(self, x, axes):
        x = as_tensor("transpose", x)
        if sorted(axes) != list(range(x.ndim)):
            refuse("transpose", f"each axis of shape {x.shape} once", f"axes {tuple(axes)}")
        return SpecTensor([x.shape[i] for i in axes], x.dtype)

    def broadcast_to(self, x, shape):
        x, shape = as_tensor("broadcast_to", x), tuple(shape)
        met = broadcast("broadcast_to", x.shape, shape)
        if len(met) != len(shape) or any(n != m and not isinstance(m, UnknownSize) for n, m in zip(met, shape, strict=True)):
            refuse("broadcast_to", f"a shape that {x.shape} broadcasts to", shape)
        return SpecTensor(shape, x.dtype)

    def concatenate(self, xs, axis):
        xs = [as_tensor("concatenate", x) for x in xs]
        dtype = common_dtype("concatenate", xs)
        need_axes("concatenate", xs[0], (axis,))
        if len({x.shape[:axis] + x.shape[axis + 1 :] for x in xs}) > 1 or len({x.ndim for x in xs}) > 1:
            refuse("concatenate", f"shapes equal but for axis {axis}", " and ".join(str(x.shape) for x in xs))
        return SpecTensor((*xs[0].shape[:axis], sum(x.shape[axis] for x in xs), *xs[0].shape[axis + 1 :]), dtype)

    def pad(self, x, widths, value):
        x = as_tensor("pad", x)
        if not is_scalar(value):
            refuse("pad(value)", "a Python number", repr(value))
        need_length("pad", "widths", widths, x.ndim)
        if any(min(pair) < 0 for pair in widths):
            refuse("pad", "widths of at least 0", tuple(widths))
        return SpecTensor([before + n + after for n, (before, after) in zip(x.shape, widths, strict=True)], x.dtype)

    def slice(self, x, starts, stops, steps):
        x = as_tensor("slice", x)
        for what, values in (("starts", starts), ("stops", stops), ("steps", steps)):
            need_length("slice", what, values, x.ndim)
        if not all(0 <= a <= b <= n and step >= 1 for n, a, b, step in zip(x.shape, starts, stops, steps, strict=True)):
            refuse("slice", f"0 <= start <= stop <= size and step >= 1 for shape {x.shape}", f"{tuple(starts)}, {tuple(stops)} and {tuple(steps)}")
        return SpecTensor([len(range(*bounds)) for bounds in zip(starts, stops, steps, strict=True)], x.dtype)

    def flip(self, x, axes):
        x = as_tensor("flip", x)
        need_axes("flip", x, axes)
        return SpecTensor(x.shape, x.dtype)

    # Indexing

    def take(self, x, indices, axis):
        x, indices = as_tensor("take", x), as_indices("take", indices)
        need_axes("take", x, (axis,))
        return SpecTensor(x.shape[:axis] + indices.shape + x.shape[axis + 1 :], x.dtype)

    def take_along_axis(self, x, indices, axis):
        x, indices = as_tensor("take_along_axis", x), as_indices("take_along_axis", indices)
        need_axes("take_along_axis", x, (axis,))
        if x.ndim != indices.ndim:
            refuse("take_along_axis", f"indices of rank {x.ndim}", f"shape {indices.shape}")
        others = broadcast("take_along_axis", with_size(x.shape, axis, 1), with_size(indices.shape, axis, 1))
        return SpecTensor(with_size(others, axis, indices.shape[axis]), x.dtype)

    def scatter(self, x, indices, updates, mode):
        x, indices, updates = as_tensor("scatter", x), as_indices("scatter", indices), as_tensor("scatter", updates)
        need_choice("scatter(mode)", mode, ("set", "add", "multiply", "max", "min"))
        common_dtype("scatter", (x, updates))
        if indices.ndim != 2 or indices.shape[1] > x.ndim:
            refuse("scatter", f"indices (n, k) with k <= {x.ndim}", f"shape {indices.shape}")
        need_shape("scatter(updates)", updates, (indices.shape[0], *x.shape[indices.shape[1] :]))
        return SpecTensor(x.shape, x.dtype)

    def dynamic_slice(self, x, starts, sizes):
        x = block_of("dynamic_slice", x, starts, sizes)
        return SpecTensor(sizes, x.dtype)

    def dynamic_update_slice(self, x, update, starts):
        update = as_tensor("dynamic_update_slice", update)
        x = block_of("dynamic_update_slice", x, starts, update.shape)
        return SpecTensor(x.shape, common_dtype("dynamic_update_slice", (x, update)))

    def nonzero(self, x):
        no_value("nonzero (the size of its result)")

    # Order

    def sort(self, x, axis):
        x = as_tensor("sort", x)
        need_axes("sort", x, (axis,))
        return SpecTensor(x.shape, x.dtype)

    def argsort(self, x, axis):
        return SpecTensor(self.sort(x, axis).shape, "int32")

    def top_k(self, x, k):
        x = as_tensor("top_k", x)
        if x.ndim == 0 or not 0 < k <= x.shape[-1]:
            refuse("top_k", f"0 < k <= the last size of shape {x.shape}", f"k={k}")
        shape = (*x.shape[:-1], k)
        return SpecTensor(shape, x.dtype), SpecTensor(shape, "int32")

    def searchsorted(self, sequence, values, side):
        sequence, values = as_tensor("searchsorted", sequence), as_tensor("searchsorted", values)
        need_choice("searchsorted(side)", side, ("left", "right"))
        common_dtype("searchsorted", (sequence, values))
        if sequence.ndim != 1:
            refuse("searchsorted", "a vector to search in", f"shape {sequence.shape}")
        return SpecTensor(values.shape, "int32")

    # Contractions

    def matmul(self, x, y):
        x, y = as_tensor("matmul", x), as_tensor("matmul", y)
        dtype = common_dtype("matmul", (x, y))
        if min(x.ndim, y.ndim) < 2:
            refuse("matmul", "matrices on the last two axes of both", f"{x.shape} and {y.shape}")
        if x.shape[-1] != y.shape[-2]:
            refuse("matmul", "equal inner sizes", f"{x.shape[-1]} and {y.shape[-2]}, of shapes {x.shape} and {y.shape}")
        return SpecTensor((*broadcast("matmul", x.shape[:-2], y.shape[:-2]), x.shape[-2], y.shape[-1]), dtype)

    def einsum(self, equation, *operands):
        operands = [as_tensor("einsum", x) for x in operands]
        inputs, arrow, output = equation.partition("->")
        terms = inputs.split(",")
        letters = "".join((*terms, output))
        if not arrow or (letters and not letters.isalpha()) or len(set(output)) < len(output) or not set(output) <= set(inputs):
            refuse("einsum", "letters with an explicit output of distinct letters of the inputs", repr(equation))
        shapes = " and ".join(str(x.shape) for x in operands)
        if [len(term) for term in terms] != [x.ndim for x in operands]:
            refuse("einsum", f"operands of the ranks that {equation!r} says", shapes)
        sizes: dict[str, int] = {}
        for letter, size in zip("".join(terms), (size for x in operands for size in x.shape), strict=True):
            if sizes.setdefault(letter, size) != size:
                refuse("einsum", f"one size for {letter!r} of {equation!r}", f"{sizes[letter]} and {size}, of shapes {shapes}")
        return SpecTensor([sizes[letter] for letter in output], common_dtype("einsum", operands))

    # Windows

    def conv(self, x, kernel, strides, padding, dilation, groups, where="conv"):
        x, kernel = as_tensor(where, x), as_tensor(where, kernel)
        dtype = common_dtype(where, (x, kernel))
        if not 3 <= x.ndim <= 5 or kernel.ndim != x.ndim:
            refuse(where, "x (b, *s, c) with one to three spatial axes and a kernel of its rank", f"{x.shape} and {kernel.shape}")
        if groups < 1 or kernel.shape[-2] * groups != x.shape[-1] or kernel.shape[-1] % groups:
            need = f"a kernel of {x.shape[-1]} / {groups} input channels, and output channels that {groups} divides"
            refuse(where, need, f"{x.shape} and {kernel.shape}")
        positions = window_positions(where, x.shape[1:-1], kernel.shape[:-2], strides, padding, dilation)
        return SpecTensor((x.shape[0], *positions, kernel.shape[-1]), dtype)

    def conv_input_gradient(self, g, kernel, input_shape, strides, padding, dilation, groups):
        g, x = as_tensor("conv_input_gradient", g), SpecTensor(input_shape, as_tensor("conv_input_gradient", g).dtype)
        need_shape("conv_input_gradient(g)", g, self.conv(x, kernel, strides, padding, dilation, groups, "conv_input_gradient").shape)
        return x

    def conv_kernel_gradient(self, x, g, kernel_shape, strides, padding, dilation, groups):
        g, kernel = as_tensor("conv_kernel_gradient", g), SpecTensor(kernel_shape, as_tensor("conv_kernel_gradient", g).dtype)
        need_shape("conv_kernel_gradient(g)", g, self.conv(x, kernel, strides, padding, dilation, groups, "conv_kernel_gradient").shape)
        return kernel

    def max_pool(self, x, window, strides, padding):
        return pooled("max_pool", x, window, strides, padding)

    def sum_pool(self, x, window, strides, padding):
        return pooled("sum_pool", x, window, strides, padding)

    # Linear algebra

    def cholesky(self, x):
        x = as_matrices("cholesky", x, square=True)
        return SpecTensor(x.shape, x.dtype)

    def solve(self, a, b, where="solve"):
        a, b = as_matrices(where, a, square=True), as_matrices(where, b)
        if a.shape[-1] != b.shape[-2]:
            refuse(where, "b with as many rows as a", f"{a.shape} and {b.shape}")
        return SpecTensor((*broadcast(where, a.shape[:-2], b.shape[:-2]), *b.shape[-2:]), common_dtype(where, (a, b)))

    def triangular_solve(self, a, b, lower):
        return self.solve(a, b, "triangular_solve")

    def qr(self, x, mode):
        x = as_matrices("qr", x)
        need_choice("qr(mode)", mode, ("reduced", "complete"))
        *batch, m, n = x.shape
        k = m if mode == "complete" else min(m, n)
        return SpecTensor((*batch, m, k), x.dtype), SpecTensor((*batch, k, n), x.dtype)

    def svd(self, x, full_matrices):
        x = as_matrices("svd", x)
        *batch, m, n = x.shape
        k = min(m, n)
        shapes = (*batch, m, m if full_matrices else k), (*batch, k), (*batch, n if full_matrices else k, n)
        return tuple(SpecTensor(shape, x.dtype) for shape in shapes)

    def eigh(self, x):
        x = as_matrices("eigh", x, square=True)
        return SpecTensor(x.shape[:-1], x.dtype), SpecTensor(x.shape, x.dtype)

    def eig(self, x):
        x = as_matrices("eig", x, square=True)
        return SpecTensor(x.shape[:-1], WHOLES[x.dtype]), SpecTensor(x.shape, WHOLES[x.dtype])

    def lu(self, x):
        x = as_matrices("lu", x)
        return SpecTensor(x.shape, x.dtype), SpecTensor((*x.shape[:-2], min(x.shape[-2:])), "int32")

    # Complex numbers and Fourier transforms

    def complex(self, real, imaginary):
        x = elementwise("complex", (real, imaginary), "float")
        return SpecTensor(x.shape, WHOLES[x.dtype]) if x.dtype in WHOLES else refuse("complex", "float32 or float64", x.dtype, "cast first")

    def real(self, x):
        return part_of("real", x)

    def imag(self, x):
        return part_of("imag", x)

    def fft(self, x, axis):
        return fourier("fft", x, axis)

    def ifft(self, x, axis):
        return fourier("ifft", x, axis)

    # Random bits and creation

    def random_bits(self, key, shape):
        key = as_tensor("random_bits", key)
        if (key.shape, key.dtype) != ((2,), "uint32"):
            refuse("random_bits", "a key of shape (2,) and dtype uint32", key)
        return SpecTensor(shape, "uint32")

    def full(self, shape, value, dtype):
        return SpecTensor(shape, self.canonical_dtype(dtype))

    def arange(self, size, dtype):
        return SpecTensor((size,), self.canonical_dtype(dtype))

    # Control flow

    def cond(self, predicate, true_fn, false_fn, operands):
        need_predicate("cond", self.asarray(predicate))
        first, second = true_fn(*operands), false_fn(*operands)
        need_alike("cond", "branches that return equal shapes and dtypes", first, second)
        return tuple(first)

    def while_loop(self, condition, body, state):
        need_predicate("while_loop", self.asarray(condition(*state)))
        after = body(*state)
        need_alike("while_loop", "a body that keeps the shapes and dtypes of the state", state, after)
        return tuple(after)

    def scan(self, body, carry, xs, length, reverse, unroll):
        for x in xs:
            if x.shape[:1] != (length,):
                refuse("scan", f"xs of first size {length}", f"shape {x.shape}")
        after, ys = body(carry, tuple(SpecTensor(x.shape[1:], x.dtype) for x in xs))
        need_alike("scan", "a body that keeps the shapes and dtypes of the carry", carry, after)
        return tuple(after), tuple(SpecTensor((length, *y.shape), y.dtype) for y in ys)


# The elementwise primitives, reductions and running sums: one rule per kind, a row per group of names with the kinds of dtype it takes -----------

ANY, NUMBERS, ORDERED = "bool uint int float complex", "uint int float complex", "uint int float"


def _install(names: str, rule: Callable, *settings: Any) -> None:
    for name in names.split():
        setattr(SpecEngine, name, rule(name, *settings))


_install("exp expm1 log log1p sqrt rsqrt sin cos tan arcsin arccos arctan", elementwise_rule, "float complex")
_install("sinh cosh tanh arcsinh arccosh arctanh sigmoid divide", elementwise_rule, "float complex")
_install("erf erfinv lgamma digamma arctan2", elementwise_rule, "float")
_install("negative sign subtract power", elementwise_rule, NUMBERS)
_install("floor ceil round floor_divide remainder", elementwise_rule, ORDERED)
_install("add multiply", elementwise_rule, ANY)
_install("maximum minimum", elementwise_rule, "bool " + ORDERED)
_install("isfinite isnan equal not_equal", elementwise_rule, ANY, "bool")
_install("less less_equal greater greater_equal", elementwise_rule, "bool " + ORDERED, "bool")
_install("logical_not logical_and logical_or", elementwise_rule, "bool")
_install("bitwise_not bitwise_and bitwise_or bitwise_xor left_shift right_shift", elementwise_rule, "uint int")
_install("sum prod", reduction_rule, NUMBERS)
_install("max min", reduction_rule, "bool " + ORDERED)
_install("any all", reduction_rule, "bool")
_install("cumsum cumprod", running_rule, NUMBERS)
_install("cummax", running_rule, "bool " + ORDERED)

_spec = SpecEngine()
