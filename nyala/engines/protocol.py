# SPDX-License-Identifier: Apache-2.0
"""What an engine must do: the frozen list of primitives and transforms, each with its contract in one docstring.

An engine subclasses `Engine` in one file and answers every primitive for its own tensors; it computes and never decides.
Everything else of Nyala (every op, layer, loss, optimizer) is composed from these names and does not know which engine runs.
`nyala.testing.check_engine(name)` turns the contracts below into tests.

Rules that hold for every primitive
    tensors   of this engine (what `asarray` returns). `spec` tensors have a shape and a dtype and no values.
    dtypes    are strings ("float32"). Operands of one call have equal dtypes, or are Python scalars that the dtype of the tensor
              operands can hold; the result has that dtype unless the contract says otherwise. Nothing promotes: ops did that.
              An engine computes in the dtype it is given; it may accumulate 16-bit sums, products and contractions in 32 bits.
    shapes    elementwise operands broadcast as in NumPy. Axes are non-negative ints, tuples of axes are sorted and free of repeats;
              shapes, sizes and axes are Python ints known at trace time.
    values    follow IEEE 754 and NumPy: nan propagates, also through maximum, minimum, max, min and sort (last).
    gradients are those of the mathematical function where it is differentiable; at kinks and ties as the contract says.
              A primitive that says "No gradient" has derivative zero everywhere.
    conventions at kinks and ties, for nan and infinity, integers and bools, and for nothing at all are rows of `nyala.testing.rules`, each with
              its reason; docs/engines.md shows them. The contracts below only name the most important ones.
    purity    no primitive changes its arguments; results may share memory with them.
"""

from __future__ import annotations

# A primitive is its contract, and `refuse` stands in for its body:
# pyright: reportReturnType=false
import contextlib
import functools
from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np

Tensor = Any
Tree = Any
Shape = tuple[int, ...]

KINDS = ("unary", "binary", "compare", "logic", "bits", "select", "reduce", "cumulative", "shape", "index", "sort", "contract", "window", "linalg",
         "complex", "random", "create", "control")  # fmt: skip
_NOTHING = contextlib.nullcontext()
PRIMITIVES: dict[str, str] = {}  # name -> kind, in the order of this file


def primitive(kind: str) -> Callable[[Callable], Callable]:
    """Mark a method of `Engine` as a primitive of this kind; the list is frozen by a test. Here the method only says so and refuses."""

    def mark(method: Callable) -> Callable:
        name = method.__name__
        PRIMITIVES[name] = kind

        @functools.wraps(method)
        def refuse(self: Engine, *args: Any, **kwargs: Any) -> Any:
            raise NotImplementedError(f"engine {self.name!r} does not implement the primitive {name!r}")

        return refuse

    return mark


class Engine:
    """The contract. Subclass it as `class <Name>Engine(Engine)` in one file, and set `name`.

    Attributes:
        name: how users select the engine.
        differentiable: whether value_and_grad works.
        abstract: whether tensors have shapes and dtypes but no values.
        compiles: whether `compile` traces (side effects of Python code then happen once per shape).
        shards: whether tensors can be divided among devices.
        lends: whether its library has tapes and graphs of its own that programs use: `seen`, `in_graph` and `lend` then say what it wants.
        has_backward: whether its tensors have a backward() that programs call: `leaves` is what it starts from.
        runs_ahead: whether compiled programs are queued, any number of them, and `block` waits for the tensors it is given alone.
        fast: shortcuts for composed ops, `{"layer_normalization": function}`. A shortcut takes the very arguments of the body it
            replaces (after conversion and promotion) and returns the same values, gradients and dtypes; it may return
            NotImplemented to leave a case to the composed body. The check suite compares the two.
        together: makes one object of a list of tensors of one dtype, on which arithmetic and elementwise primitives act tensor by tensor, and
            which gives them when iterated; None where calls cost nothing. Optimizers update many variables at once with it.
        records: whether `record` may make something.
        rules: shortcuts for the rules of optimizers on such objects, `{"adam": function}`, with the rule's own arguments; a shortcut may
            write into tensors that nothing but their variable holds, or return NotImplemented.
        excused: checks of `check_engine` that the engine is known to fail, `{"eig-gradient": "why"}`. One that passes all the same is a failure.
    """

    name: str = ""
    differentiable: bool = True
    abstract: bool = False
    compiles: bool = False
    runs_ahead: bool = False
    shards: bool = False
    lends: bool = False
    has_backward: bool = False
    fast: dict[str, Callable] = {}
    together: Callable[[list[Tensor]], Any] | None = None
    records = False
    rules: dict[str, Callable] = {}
    excused: dict[str, str] = {}

    # Tensors and the host ---------------------------------------------------------------------------------------------------

    def asarray(self, value: Any, dtype: str | None = None) -> Tensor:
        """A tensor with the values of an array, a nested list, a scalar or a tensor, in `dtype`, or in `canonical_dtype` of its own.

        Never shares memory that the caller may change later. Accepts bfloat16 and float8 NumPy arrays (ml_dtypes) where dtypes allows."""
        raise NotImplementedError

    def adopt(self, array: np.ndarray, dtype: str) -> Tensor:
        """As asarray, of an array that nobody else holds: its memory may become the tensor's."""
        return self.asarray(array, dtype)

    def to_numpy(self, x: Tensor) -> np.ndarray:
        """The values of x on the host, as a new array that the caller owns (bfloat16 as the ml_dtypes type). Waits for the device."""
        raise NotImplementedError

    def borrow(self, x: Tensor) -> np.ndarray:
        """As to_numpy, to be read at once and then dropped, and never written to: it may be the memory of the tensor itself."""
        return self.to_numpy(x)

    def arranged(self, kernel: Tensor) -> Tensor:
        """The kernel of a convolution, (*k, c / groups, o), with its values in the order of memory that `conv` reads without a copy."""
        return kernel

    # Tapes and graphs that programs make with the engine's library. Only an engine that `lends` is asked.

    def seen(self, variable: Any) -> None:
        """Tell tapes that a variable is about to be read: one that has .trainable and .handle, by which a tape knows it."""

    def in_graph(self) -> bool:
        """Whether a graph is being made now, so that values read from variables would be constants of it."""
        return False

    def outside_graphs(self) -> contextlib.AbstractContextManager:
        """Inside, tensors have values, also where a graph is being made. Asked of every engine."""
        return _NOTHING

    def lend(self, value: Tensor | np.ndarray, name: str) -> Any:
        """A place for the value of a variable, which graphs read when they run: .handle, .read(), .write(value), .numpy(), and .empty(), after
        which they cannot until .fill(array)."""
        raise NotImplementedError

    def place_of(self, value: Any) -> Any:
        """Such a place, with .name, a .key that is its own and .ours False, of a variable of the engine's library; None of anything else."""
        return None

    def known_value(self, x: Tensor) -> np.ndarray:
        """The values of a tensor, of one in a graph, too, if they are the same whenever it runs. Asked of every engine."""
        return self.to_numpy(x)

    def traced_as(self, variable: Any) -> Any:
        """What the library's graphs take a variable for among the arguments of a function: itself."""
        raise NotImplementedError

    def rewritten(self, function: Callable) -> Callable:
        """A function of the user's as the library's own rewriting of `if` and `for` makes it, where the graph around it asks for that."""
        return function

    def taped(self, function: Callable) -> tuple[Any, Any]:
        """The result of a function, and a tape of the library's that has followed it: .gradient(target, sources)."""
        raise NotImplementedError

    def leaves(self, values: Sequence[Tensor]) -> contextlib.AbstractContextManager[list[Tensor]]:
        """Inside, tensors with these values, on which the library's own backward() puts gradients as `.grad`. Only an engine that `has_backward`."""
        raise NotImplementedError

    def leaf(self, value: Tensor, leaf: Tensor | None = None) -> Tensor:
        """A tensor in the memory of this one on which backward() puts gradients; `leaf` itself, if given, in that memory from now on. Only an
        engine that `has_backward`."""
        raise NotImplementedError

    def settled(self, value: Tensor) -> Tensor:
        """The value without the graph that it may carry for a backward()."""
        return value

    # Several devices. layout: .axes, for each axis of the tensor the name of an axis of its .device_mesh, or None. Engines that do not divide tensors
    # (shards is False) are given no layouts.

    def native_mesh(self, device_mesh: Any) -> Any:
        """The engine's own mesh: .shape, .axis_names, .devices (names as of `devices`)."""
        raise NotImplementedError

    def native_layout(self, layout: Any) -> Any:
        """The engine's own layout."""
        raise NotImplementedError

    def place(self, array: np.ndarray, layout: Any) -> Tensor:
        """As asarray, of an array that every process has, each device given the part that the layout says."""
        return self.asarray(array)

    def place_part(self, array: np.ndarray, layout: Any) -> Tensor:
        """As place, of an array of which each process has its part."""
        return self.asarray(array)

    def laid_out(self, x: Tensor, layout: Any) -> Tensor:
        """x with this layout; inside compile a promise that the compiler keeps."""
        return x

    def process(self) -> tuple[int, int]:
        """The number of this process, from 0, and how many work together."""
        return 0, 1

    def join_processes(self, address: str | None, count: int | None, number: int | None) -> None:
        """Work together with other processes: address of the first ("host:port"), how many there are and the number of this one."""
        raise NotImplementedError

    def from_all_processes(self, value: np.ndarray) -> np.ndarray:
        """The values that all processes have, along a new first axis; all must ask."""
        return value[None]

    def is_tensor(self, value: Any) -> bool:
        """Whether value is a tensor of this engine (tracers included)."""
        raise NotImplementedError

    def shape(self, x: Tensor) -> Shape:
        """Shape as a tuple of ints."""
        return tuple(x.shape)

    def dtype(self, x: Tensor) -> str:
        """Name of the dtype of x: "float32", "bfloat16", "bool", ..."""
        return str(x.dtype)

    def canonical_dtype(self, dtype: str) -> str:
        """The dtype this engine really uses when asked for `dtype` ("float64" may become "float32" on an engine without 64 bits)."""
        return dtype

    def enable_64_bits(self) -> None:
        """Called when a user asks for float64 as floatx or policy: from now on canonical_dtype is the identity."""

    def block(self, tree: Tree) -> Tree:
        """Wait until all tensors of the tree are computed; returns the tree."""
        return tree

    def devices(self) -> list[str]:
        """Devices this engine can use, the default first, as in Keras: "cpu:0", "gpu:0", ..."""
        return ["cpu:0"]

    def reserved_memory(self) -> str:
        """What the engine keeps of a GPU's memory whether it needs it or not, and how to change that, as the end of a sentence; "" for nothing."""
        return ""

    def remark(self) -> str:
        """What `nyala info` should say besides: what this engine does without here, and why; "" for nothing."""
        return ""

    # Transforms -------------------------------------------------------------------------------------------------------------

    def compile(self, function: Callable, donate: Sequence[int] = ()) -> Callable:
        """The pure function, compiled and cached by shapes and dtypes. Arguments and results are trees (list, tuple, dict) of tensors.

        Memory of the arguments numbered in `donate` may be reused: the caller must not read them again. Eager engines return it as is,
        run without recording gradients."""
        return function

    def record(self, function: Callable, written: Sequence[Any], only_read: Sequence[Any], args: Tree) -> Callable | None:
        """For eager engines: a function of a tree like args, of tensors or arrays, that does what `function` would, at less cost, and returns
        arrays; None if there is none. The function must do nothing but assign the variables `written`, read those and `only_read`, and return.

        What is returned has a method holds(function, args): whether the function would still do the same."""
        return None

    def eval_shape(self, function: Callable, *args: Tree) -> Tree:
        """Run function on abstract values only, for its Python side effects and the shapes: tensors in args and results have .shape and .dtype.

        Arguments may be tensors or anything with .shape and .dtype (strings). Engines that do not trace raise NotImplementedError."""
        raise NotImplementedError

    def value_and_grad(self, function: Callable) -> Callable:
        """function(values: list) -> (scalar loss, aux tree)  becomes  values -> ((loss, aux), gradients: list).

        Gradients have the shape and dtype of their value; zeros where the loss does not depend on it. aux comes out without gradient history.
        Works inside compile, and nests."""
        raise NotImplementedError

    def vmap(self, function: Callable, in_axes: Any = 0, out_axes: Any = 0) -> Callable:
        """Vectorize a function of tensors over one axis of each argument (None: not mapped)."""
        raise NotImplementedError

    def make_deterministic(self, wanted: bool) -> None:
        """Take, or no longer take, only algorithms that give equal bits for equal inputs on the same machine. Nothing to do where all do."""

    def profiler(self, folder: str) -> Any:
        """A context in which the engine records what it does to a folder, for TensorBoard; None if it cannot."""
        return None

    def remat(self, function: Callable) -> Callable:
        """The same function, whose intermediate values are recomputed for the gradient instead of stored."""
        return function

    def stop_gradient(self, x: Tensor) -> Tensor:
        """x, whose derivative is taken as zero."""
        return x

    def custom_gradient(self, function: Callable) -> Callable:
        """function(*tensors) -> (output tree, gradient) with gradient(upstream tree) -> one tensor per argument; returns tensors -> output tree."""
        raise NotImplementedError

    # Elementwise, one operand, floats (negative, abs, sign, floor, ceil, round also integers) ------------------------------------

    @primitive("unary")
    def negative(self, x: Tensor) -> Tensor:
        """-x. Unsigned integers wrap."""

    @primitive("unary")
    def abs(self, x: Tensor) -> Tensor:
        """|x|; of a complex x the modulus, a float of half its size. Gradient sign(x), so 0 at 0."""

    @primitive("unary")
    def sign(self, x: Tensor) -> Tensor:
        """-1, 0 or 1; nan of nan. No gradient."""

    @primitive("unary")
    def exp(self, x: Tensor) -> Tensor:
        """e**x; exp(-inf) = 0, exp(inf) = inf."""

    @primitive("unary")
    def expm1(self, x: Tensor) -> Tensor:
        """e**x - 1, exact near 0."""

    @primitive("unary")
    def log(self, x: Tensor) -> Tensor:
        """Natural logarithm; log(0) = -inf, nan below 0."""

    @primitive("unary")
    def log1p(self, x: Tensor) -> Tensor:
        """log(1 + x), exact near 0; log1p(-1) = -inf, nan below -1."""

    @primitive("unary")
    def sqrt(self, x: Tensor) -> Tensor:
        """Square root; nan below 0. Gradient inf at 0."""

    @primitive("unary")
    def rsqrt(self, x: Tensor) -> Tensor:
        """1 / sqrt(x); inf at 0."""

    @primitive("unary")
    def sin(self, x: Tensor) -> Tensor:
        """Sine of x in radians; nan at +-inf."""

    @primitive("unary")
    def cos(self, x: Tensor) -> Tensor:
        """Cosine of x in radians; nan at +-inf."""

    @primitive("unary")
    def tan(self, x: Tensor) -> Tensor:
        """Tangent of x in radians; nan at +-inf."""

    @primitive("unary")
    def arcsin(self, x: Tensor) -> Tensor:
        """Inverse sine in [-pi/2, pi/2]; nan outside [-1, 1]."""

    @primitive("unary")
    def arccos(self, x: Tensor) -> Tensor:
        """Inverse cosine in [0, pi]; nan outside [-1, 1]."""

    @primitive("unary")
    def arctan(self, x: Tensor) -> Tensor:
        """Inverse tangent in [-pi/2, pi/2]."""

    @primitive("unary")
    def sinh(self, x: Tensor) -> Tensor:
        """Hyperbolic sine."""

    @primitive("unary")
    def cosh(self, x: Tensor) -> Tensor:
        """Hyperbolic cosine."""

    @primitive("unary")
    def tanh(self, x: Tensor) -> Tensor:
        """Hyperbolic tangent; +-1 at +-inf."""

    @primitive("unary")
    def arcsinh(self, x: Tensor) -> Tensor:
        """Inverse hyperbolic sine."""

    @primitive("unary")
    def arccosh(self, x: Tensor) -> Tensor:
        """Inverse hyperbolic cosine; nan below 1."""

    @primitive("unary")
    def arctanh(self, x: Tensor) -> Tensor:
        """Inverse hyperbolic tangent; +-inf at +-1, nan beyond."""

    @primitive("unary")
    def sigmoid(self, x: Tensor) -> Tensor:
        """1 / (1 + e**-x), without overflow at either end; 0 at -inf, 1 at inf."""

    @primitive("unary")
    def erf(self, x: Tensor) -> Tensor:
        """Error function; +-1 at +-inf."""

    @primitive("unary")
    def erfinv(self, x: Tensor) -> Tensor:
        """Inverse error function on [-1, 1]; +-inf at +-1, nan beyond."""

    @primitive("unary")
    def lgamma(self, x: Tensor) -> Tensor:
        """log |gamma(x)|; inf at 0 and the negative integers. Gradient digamma(x)."""

    @primitive("unary")
    def digamma(self, x: Tensor) -> Tensor:
        """Derivative of lgamma for x > 0. Its own gradient may be unsupported."""

    @primitive("unary")
    def floor(self, x: Tensor) -> Tensor:
        """Largest integer not above x, same dtype. No gradient."""

    @primitive("unary")
    def ceil(self, x: Tensor) -> Tensor:
        """Smallest integer not below x, same dtype. No gradient."""

    @primitive("unary")
    def round(self, x: Tensor) -> Tensor:
        """Nearest integer, halves to even, same dtype. No gradient."""

    @primitive("logic")
    def isfinite(self, x: Tensor) -> Tensor:
        """bool: neither infinite nor nan; True for integers."""

    @primitive("logic")
    def isnan(self, x: Tensor) -> Tensor:
        """bool: nan; False for integers."""

    # Elementwise, two operands ----------------------------------------------------------------------------------------------------

    @primitive("binary")
    def add(self, x: Tensor, y: Tensor) -> Tensor:
        """x + y; integers wrap; of bools the logical or."""

    @primitive("binary")
    def subtract(self, x: Tensor, y: Tensor) -> Tensor:
        """x - y; integers wrap; bools are refused by ops."""

    @primitive("binary")
    def multiply(self, x: Tensor, y: Tensor) -> Tensor:
        """x * y; integers wrap; of bools the logical and."""

    @primitive("binary")
    def divide(self, x: Tensor, y: Tensor) -> Tensor:
        """x / y of floats; IEEE at zero."""

    @primitive("binary")
    def floor_divide(self, x: Tensor, y: Tensor) -> Tensor:
        """Quotient rounded down, integers and floats; 0 for an integer zero. No gradient."""

    @primitive("binary")
    def remainder(self, x: Tensor, y: Tensor) -> Tensor:
        """x - y * floor(x / y): the sign of y; nan for a float zero, 0 for an integer zero. Gradient 1 in x, -floor(x / y) in y."""

    @primitive("binary")
    def power(self, x: Tensor, y: Tensor) -> Tensor:
        """x ** y; 0**0 = 1; nan for a negative float base with a fractional exponent; integers with exponents >= 0.

        A Python number as y is exact for small integers (x**2 = x * x), and gives the gradient y * x**(y - 1) also at x <= 0."""

    @primitive("binary")
    def maximum(self, x: Tensor, y: Tensor) -> Tensor:
        """Larger of both; nan if either is. At a tie each side gets half of the gradient."""

    @primitive("binary")
    def minimum(self, x: Tensor, y: Tensor) -> Tensor:
        """Smaller of both; nan if either is. At a tie each side gets half of the gradient."""

    @primitive("binary")
    def arctan2(self, y: Tensor, x: Tensor) -> Tensor:
        """Angle of the point (x, y) in [-pi, pi], quadrants and signed zeros as in C."""

    @primitive("compare")
    def equal(self, x: Tensor, y: Tensor) -> Tensor:
        """bool: x == y; False where either is nan."""

    @primitive("compare")
    def not_equal(self, x: Tensor, y: Tensor) -> Tensor:
        """bool: x != y; True where either is nan."""

    @primitive("compare")
    def less(self, x: Tensor, y: Tensor) -> Tensor:
        """bool: x < y; False where either is nan."""

    @primitive("compare")
    def less_equal(self, x: Tensor, y: Tensor) -> Tensor:
        """bool: x <= y; False where either is nan."""

    @primitive("compare")
    def greater(self, x: Tensor, y: Tensor) -> Tensor:
        """bool: x > y; False where either is nan."""

    @primitive("compare")
    def greater_equal(self, x: Tensor, y: Tensor) -> Tensor:
        """bool: x >= y; False where either is nan."""

    @primitive("logic")
    def logical_not(self, x: Tensor) -> Tensor:
        """not x, of bools."""

    @primitive("logic")
    def logical_and(self, x: Tensor, y: Tensor) -> Tensor:
        """x and y, of bools."""

    @primitive("logic")
    def logical_or(self, x: Tensor, y: Tensor) -> Tensor:
        """x or y, of bools."""

    @primitive("bits")
    def bitwise_not(self, x: Tensor) -> Tensor:
        """All bits flipped, of integers."""

    @primitive("bits")
    def bitwise_and(self, x: Tensor, y: Tensor) -> Tensor:
        """Bits set in both, of integers."""

    @primitive("bits")
    def bitwise_or(self, x: Tensor, y: Tensor) -> Tensor:
        """Bits set in either, of integers."""

    @primitive("bits")
    def bitwise_xor(self, x: Tensor, y: Tensor) -> Tensor:
        """Bits set in one of both, of integers."""

    @primitive("bits")
    def left_shift(self, x: Tensor, y: Tensor) -> Tensor:
        """x * 2**y, bits beyond the width lost, so 0 for y >= width; unspecified for y < 0."""

    @primitive("bits")
    def right_shift(self, x: Tensor, y: Tensor) -> Tensor:
        """x // 2**y: arithmetic for signed, logical for unsigned, also for y >= width; unspecified for y < 0."""

    @primitive("select")
    def where(self, condition: Tensor, x: Tensor, y: Tensor) -> Tensor:
        """x where the bool condition holds, else y; all three broadcast. The gradient goes to the chosen side, zero to the other."""

    @primitive("select")
    def cast(self, x: Tensor, dtype: str) -> Tensor:
        """x in another dtype. Floats to integers towards zero (unspecified beyond the range and for nan); to bool: x != 0; complex to real drops
        the imaginary part. The gradient is cast back; none through integers."""

    # Reductions: axes is a sorted tuple of axes; () reduces nothing. The dtype stays. -------------------------------------------------

    @primitive("reduce")
    def sum(self, x: Tensor, axes: Shape, keepdims: bool) -> Tensor:
        """Sum over axes; 0 over an empty axis."""

    @primitive("reduce")
    def prod(self, x: Tensor, axes: Shape, keepdims: bool) -> Tensor:
        """Product over axes; 1 over an empty axis. The gradient is right with zeros among the factors."""

    @primitive("reduce")
    def max(self, x: Tensor, axes: Shape, keepdims: bool) -> Tensor:
        """Largest over axes; ops refuse an empty axis. Ties share the gradient equally."""

    @primitive("reduce")
    def min(self, x: Tensor, axes: Shape, keepdims: bool) -> Tensor:
        """Smallest over axes; ops refuse an empty axis. Ties share the gradient equally."""

    @primitive("reduce")
    def any(self, x: Tensor, axes: Shape, keepdims: bool) -> Tensor:
        """bool of bools: whether one is True; False over an empty axis."""

    @primitive("reduce")
    def all(self, x: Tensor, axes: Shape, keepdims: bool) -> Tensor:
        """bool of bools: whether all are True; True over an empty axis."""

    @primitive("reduce")
    def argmax(self, x: Tensor, axis: int) -> Tensor:
        """int32: index of the first largest along axis, which goes; a nan counts as largest."""

    @primitive("reduce")
    def argmin(self, x: Tensor, axis: int) -> Tensor:
        """int32: index of the first smallest along axis, which goes; a nan counts as smallest."""

    @primitive("cumulative")
    def cumsum(self, x: Tensor, axis: int) -> Tensor:
        """Running sum along axis."""

    @primitive("cumulative")
    def cumprod(self, x: Tensor, axis: int) -> Tensor:
        """Running product along axis."""

    @primitive("cumulative")
    def cummax(self, x: Tensor, axis: int) -> Tensor:
        """Running maximum along axis. How ties share the gradient is the engine's choice."""

    # Shape moves ----------------------------------------------------------------------------------------------------------------------

    @primitive("shape")
    def reshape(self, x: Tensor, shape: Shape) -> Tensor:
        """The same values in row-major order under another shape without -1."""

    @primitive("shape")
    def transpose(self, x: Tensor, axes: Shape) -> Tensor:
        """Axes permuted: axis i of the result is axis axes[i] of x."""

    @primitive("shape")
    def broadcast_to(self, x: Tensor, shape: Shape) -> Tensor:
        """x repeated to shape by NumPy's rules."""

    @primitive("shape")
    def concatenate(self, xs: Sequence[Tensor], axis: int) -> Tensor:
        """Tensors joined along axis; at least one; other sizes equal."""

    @primitive("shape")
    def pad(self, x: Tensor, widths: Sequence[tuple[int, int]], value: float) -> Tensor:
        """x with value before and after each axis; widths >= 0."""

    @primitive("shape")
    def slice(self, x: Tensor, starts: Shape, stops: Shape, steps: Shape) -> Tensor:
        """x[start:stop:step, ...], one entry per axis, 0 <= start <= stop <= size, step >= 1."""

    @primitive("shape")
    def flip(self, x: Tensor, axes: Shape) -> Tensor:
        """Order reversed along axes."""

    # Indexing: indices are int32 or int64; below 0 they count from the end. ---------------------------------------------------------------

    @primitive("index")
    def take(self, x: Tensor, indices: Tensor, axis: int) -> Tensor:
        """Slices of x along axis: shape x.shape[:axis] + indices.shape + x.shape[axis+1:]. An index out of range raises IndexError where the engine
        can see values, else gives nan (floats) or an unspecified value (integers). The gradient adds up where an index repeats."""

    @primitive("index")
    def take_along_axis(self, x: Tensor, indices: Tensor, axis: int) -> Tensor:
        """Element by element along axis; indices has the rank of x and, elsewhere, sizes that broadcast with those of x."""

    @primitive("index")
    def scatter(self, x: Tensor, indices: Tensor, updates: Tensor, mode: str) -> Tensor:
        """A copy of x, changed at indices (n, k), which name positions in its first k axes, by updates (n, *x.shape[k:]).

        mode "set" (of repeats one wins), "add", "multiply", "max" or "min". Gradients in x and updates for set and add."""

    @primitive("index")
    def dynamic_slice(self, x: Tensor, starts: Sequence[Tensor | int], sizes: Shape) -> Tensor:
        """Block of the given sizes that begins at starts (scalars, may be computed), moved inside x where it would reach beyond."""

    @primitive("index")
    def dynamic_update_slice(self, x: Tensor, update: Tensor, starts: Sequence[Tensor | int]) -> Tensor:
        """A copy of x with update written at starts, moved inside x where it would reach beyond."""

    @primitive("index")
    def nonzero(self, x: Tensor) -> tuple[Tensor, ...]:
        """One int32 vector of indices per axis, in row-major order, of what is not zero. Needs values: refused while tracing."""

    # Order: nan sorts last. -------------------------------------------------------------------------------------------------------------------

    @primitive("sort")
    def sort(self, x: Tensor, axis: int) -> Tensor:
        """Ascending along axis."""

    @primitive("sort")
    def argsort(self, x: Tensor, axis: int) -> Tensor:
        """int32: the stable order that sorts ascending along axis."""

    @primitive("sort")
    def top_k(self, x: Tensor, k: int) -> tuple[Tensor, Tensor]:
        """The k largest along the last axis in descending order, and their int32 indices; of equals the lower index first. 0 < k <= size."""

    @primitive("sort")
    def searchsorted(self, sequence: Tensor, values: Tensor, side: Literal["left", "right"]) -> Tensor:
        """int32: where values would go into an ascending vector, "left" or "right" of equals."""

    # Contractions -----------------------------------------------------------------------------------------------------------------------------

    @primitive("contract")
    def matmul(self, x: Tensor, y: Tensor) -> Tensor:
        """Matrix product over the last two axes, both of rank >= 2, leading axes broadcast; also integers."""

    @primitive("contract")
    def einsum(self, equation: str, *operands: Tensor) -> Tensor:
        """Einstein summation with explicit output ("ab,bc->ac"); letters only, no ellipsis, no repeats within an operand of the output."""

    # Windows: channels last. x is (b, *s, c), one to three spatial axes; strides, dilation, window: one int each; padding: (before, after) each. ----

    @primitive("window")
    def conv(self, x: Tensor, kernel: Tensor, strides: Shape, padding: Sequence[tuple[int, int]], dilation: Shape, groups: int) -> Tensor:
        """Cross-correlation with zero padding: kernel (*k, c // groups, o) gives (b, *s', o),
        s' = (s + before + after - dilation * (k - 1) - 1) // stride + 1."""

    @primitive("window")
    def conv_input_gradient(
        self, g: Tensor, kernel: Tensor, input_shape: Shape, strides: Shape, padding: Sequence[tuple[int, int]], dilation: Shape, groups: int
    ) -> Tensor:
        """The adjoint of conv in x: what the transposed convolution computes. g has the shape of conv's result; the result has input_shape."""

    @primitive("window")
    def conv_kernel_gradient(
        self, x: Tensor, g: Tensor, kernel_shape: Shape, strides: Shape, padding: Sequence[tuple[int, int]], dilation: Shape, groups: int
    ) -> Tensor:
        """The adjoint of conv in kernel. Its own gradient may be unsupported."""

    @primitive("window")
    def max_pool(self, x: Tensor, window: Shape, strides: Shape, padding: Sequence[tuple[int, int]]) -> Tensor:
        """Largest in each window; padding counts as -inf (the lowest integer). How ties share the gradient is the engine's choice."""

    @primitive("window")
    def sum_pool(self, x: Tensor, window: Shape, strides: Shape, padding: Sequence[tuple[int, int]]) -> Tensor:
        """Sum in each window; padding counts as 0."""

    # Linear algebra over the last two axes, leading axes are batches; float32 and float64 ----------------------------------------------------------

    @primitive("linalg")
    def cholesky(self, x: Tensor) -> Tensor:
        """Lower L with L @ L.T = x for symmetric positive definite x; LinAlgError or nan otherwise."""

    @primitive("linalg")
    def solve(self, a: Tensor, b: Tensor) -> Tensor:
        """x with a @ x = b; a (*, n, n), b (*, n, m). LinAlgError, inf or nan for a singular a."""

    @primitive("linalg")
    def triangular_solve(self, a: Tensor, b: Tensor, lower: bool) -> Tensor:
        """x with a @ x = b for triangular a; the other triangle is not read."""

    @primitive("linalg")
    def qr(self, x: Tensor, mode: str) -> tuple[Tensor, Tensor]:
        """(q, r), mode "reduced" or "complete". Signs of the columns are the engine's choice."""

    @primitive("linalg")
    def svd(self, x: Tensor, full_matrices: bool) -> tuple[Tensor, Tensor, Tensor]:
        """(u, s, vh) with s descending. Signs are the engine's choice."""

    @primitive("linalg")
    def eigh(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Ascending eigenvalues and the eigenvectors as columns, of a symmetric x (both triangles are given). Signs are the engine's choice."""

    @primitive("linalg")
    def eig(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Eigenvalues and right eigenvectors, both complex, in any order. May have no gradient, and may need the CPU."""

    @primitive("linalg")
    def lu(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(packed, pivots): unit lower and upper factors in one matrix, and int32 row swaps from 0, as LAPACK's getrf."""

    # Complex numbers and Fourier transforms -----------------------------------------------------------------------------------------------

    @primitive("complex")
    def complex(self, real: Tensor, imaginary: Tensor) -> Tensor:
        """complex64 of two float32, complex128 of two float64."""

    @primitive("complex")
    def real(self, x: Tensor) -> Tensor:
        """Real part of a complex tensor, as a float."""

    @primitive("complex")
    def imag(self, x: Tensor) -> Tensor:
        """Imaginary part of a complex tensor, as a float."""

    @primitive("complex")
    def fft(self, x: Tensor, axis: int) -> Tensor:
        """Discrete Fourier transform of a complex tensor along axis, unscaled."""

    @primitive("complex")
    def ifft(self, x: Tensor, axis: int) -> Tensor:
        """Inverse of fft: scaled by 1 / n."""

    # Random bits --------------------------------------------------------------------------------------------------------------------------

    @primitive("random")
    def random_bits(self, key: Tensor, shape: Shape) -> Tensor:
        """uint32 of the given shape, the same on every engine: with n = its row-major number (64 bits), (a, b) = Threefry-2x32 with 20 rounds of
        the counter
        (n >> 32, n & 0xffffffff) under key (2,) uint32, the element is a ^ b.
        Source: Salmon, Moraes, Dror, Shaw 2011, Parallel random numbers: as easy as 1, 2, 3."""

    # Creation -----------------------------------------------------------------------------------------------------------------------------

    @primitive("create")
    def full(self, shape: Shape, value: Any, dtype: str) -> Tensor:
        """Every element value, a Python scalar."""

    @primitive("create")
    def arange(self, size: int, dtype: str) -> Tensor:
        """0, 1, ..., size - 1."""

    # Control flow: state, carry, operands and xs are flat tuples of tensors ---------------------------------------------------------------

    @primitive("control")
    def cond(self, predicate: Tensor, true_fn: Callable, false_fn: Callable, operands: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """true_fn(*operands) or false_fn(*operands), by a scalar bool; both return tuples of equal shapes and dtypes."""

    @primitive("control")
    def while_loop(self, condition: Callable, body: Callable, state: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """state = body(*state) while condition(*state); shapes and dtypes of the state stay. Need not be differentiable."""

    @primitive("control")
    def scan(
        self, body: Callable, carry: tuple[Tensor, ...], xs: tuple[Tensor, ...], length: int, reverse: bool, unroll: int | bool
    ) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
        """carry, y = body(carry, x) along the first axis of xs (of size length; xs may be ()), or from its end if reverse; returns the last carry
        and the ys,
        stacked in the order of xs. Differentiable. unroll: steps per turn of a compiled loop, or True for all."""
