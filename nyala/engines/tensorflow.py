# SPDX-License-Identifier: Apache-2.0
"""The TensorFlow engine: eager outside of compiled functions, graphs compiled by XLA inside.

Knows TensorFlow and NumPy only; the contract of each method stands in `protocol.py`. A primitive is TensorFlow's own operation wherever that keeps
the contract. Compiled functions are in `_tensorflow_tracing.py`, convolutions and pooling in `_tensorflow_windows.py`, indexing and order in
`_tensorflow_indexing.py`. Start at `_binary`, then at `value_and_grad`.
"""

from __future__ import annotations

# The stubs that checkers have for TensorFlow know half of it:
# pyright: reportArgumentType=false, reportCallIssue=false, reportGeneralTypeIssues=false, reportMissingImports=false, reportMissingModuleSource=false
import contextlib
import functools
import math
import os
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # else every start prints which instructions the processor has
import tensorflow as tf

from nyala.engines import _tensorflow_arithmetic as arithmetic
from nyala.engines import _tensorflow_indexing as indexing
from nyala.engines import _tensorflow_loops as loops
from nyala.engines import _tensorflow_tapes as tapes
from nyala.engines import _tensorflow_windows as windows
from nyala.engines._memory import keep_freed_memory
from nyala.engines._tensorflow_checkpoints import take_checkpoints
from nyala.engines._tensorflow_fast import FAST
from nyala.engines._tensorflow_loops import kept_apart
from nyala.engines._tensorflow_tracing import Compiled, by_xla, recorded, tracing, use_xla
from nyala.engines._trees import ShapeDtype, flatten, map_tree, rebuild
from nyala.engines.protocol import Engine, Shape, Tensor, Tree

__all__ = ["TensorFlowEngine"]

WORTH_COMPILING = 2**16  # so many random numbers
_SCALARS = (bool, int, float, np.generic)
_SIGNED = {tf.uint8: tf.int8, tf.uint16: tf.int16, tf.uint32: tf.int32, tf.uint64: tf.int64, tf.bool: tf.int32}


# Operands ---------------------------------------------------------------------------------------------------------------------


def _lifted(x: Any, y: Any) -> tuple[Tensor, Tensor]:
    """Both operands as tensors; a Python number takes the dtype of the other."""
    if isinstance(x, _SCALARS):
        return tf.constant(x, y.dtype) if type(x) is not bool or y.dtype == tf.bool else tf.constant(int(x), y.dtype), y
    if isinstance(y, _SCALARS):
        return x, tf.constant(y, x.dtype) if type(y) is not bool or x.dtype == tf.bool else tf.constant(int(y), x.dtype)
    return x, y


def _binary(function: Callable, of_bools: Callable | None = None) -> staticmethod:
    """An operation on two operands, one of which may be a Python number."""

    def primitive(x: Any, y: Any) -> Tensor:
        x, y = _lifted(x, y)
        return of_bools(x, y) if of_bools is not None and x.dtype == tf.bool else function(x, y)

    return staticmethod(primitive)


def _through_int32(function: Callable) -> Callable:
    """The same for bools, whose order is that of 0 and 1."""
    return lambda x, y: function(tf.cast(x, tf.int32), tf.cast(y, tf.int32))


def _in_signed(function: Callable) -> Callable:
    """The same for unsigned integers, on the signed ones with these bits."""

    @functools.wraps(function)
    def primitive(x: Tensor, *others: Tensor) -> Tensor:
        signed = _SIGNED.get(x.dtype)
        if signed is None:
            return function(x, *others)
        return tf.cast(function(*(tf.cast(operand, signed) for operand in (x, *others))), x.dtype)

    return primitive


def _in_float32(function: Callable, *dtypes: tf.DType) -> staticmethod:
    """The same for dtypes that have no kernel, by way of float32."""
    return staticmethod(lambda x: tf.cast(function(tf.cast(x, tf.float32)), x.dtype) if x.dtype in dtypes else function(x))


def _floats_only(function: Callable) -> staticmethod:
    """The function of floats; other numbers are what it would give."""
    return staticmethod(lambda x: function(x) if x.dtype.is_floating else x)


def _extreme(function: Callable, of_bools: Callable) -> staticmethod:
    return staticmethod(lambda x, axes, keepdims: (of_bools if x.dtype == tf.bool else function)(x, axes, keepdims))


def _halved(larger: Callable) -> Callable:
    """maximum or minimum, which share the gradient of a tie: the kernel gives all of it to its first operand."""

    def primitive(x: Tensor, y: Tensor) -> Tensor:
        if not tracing.gradients or not x.dtype.is_floating:
            return larger(x, y)
        half = tf.constant(0.5, x.dtype)
        return half * larger(x, y) + half * larger(y, x)

    return primitive


def _checked(function: Callable) -> staticmethod:
    """A routine of linear algebra, whose refusal of a matrix becomes NumPy's error."""

    @functools.wraps(function)
    def primitive(*args: Any) -> Any:
        try:
            return function(*args)
        except tf.errors.InvalidArgumentError as error:
            raise np.linalg.LinAlgError(error.message) from None

    return staticmethod(primitive)


class TensorFlowEngine(Engine):
    """See `Engine` for the contract of every method.

    Environment, read when the engine starts: NYALA_TENSORFLOW_XLA=off compiles to plain graphs, NYALA_MALLOC=default leaves the C library's memory
    settings alone, TF_CPP_MIN_LOG_LEVEL is 2 unless it is set.
    """

    name = "tensorflow"
    compiles = True
    lends = True
    fast: dict[str, Callable] = FAST

    def __init__(self) -> None:
        from nyala.engines._tensorflow_interop import take_calls  # here, because it knows what is built on engines

        keep_freed_memory()
        take_calls()
        tapes.leave_us_as_we_are()
        take_checkpoints()
        for device in tf.config.list_physical_devices("GPU"):
            with contextlib.suppress(RuntimeError):  # in use already
                tf.config.experimental.set_memory_growth(device, True)  # else it takes all memory of the device at once

    # Tensors and the host ---------------------------------------------------------------------------------------------------

    def asarray(self, value: Any, dtype: str | None = None) -> Tensor:
        if isinstance(value, tf.Tensor):
            return value if dtype is None or value.dtype.name == dtype else self.cast(value, dtype)
        if isinstance(value, (list, tuple)) and any(isinstance(leaf, tf.Tensor) for leaf in value):
            parts = tf.stack([self.asarray(part) for part in value])
            return parts if dtype is None else self.cast(parts, dtype)
        if isinstance(value, (tf.Variable, tf.IndexedSlices)):  # the second is what tapes make of the gradients of tables
            return self.asarray(tf.convert_to_tensor(value), dtype)
        host = np.asarray(value)
        if host.dtype.kind in "OSUMm":
            got = f"{type(value).__name__} with elements of dtype {host.dtype}"
            raise TypeError(f"asarray needs numbers, got {got}.\n  fix: turn them into numbers first")
        target = tf.as_dtype(dtype or host.dtype.name)
        _check_range(value, host, target)
        with np.errstate(all="ignore"):
            real = np.real(host) if host.dtype.kind == "c" and not target.is_complex else host
            return tf.constant(np.array(real, dtype=target.as_numpy_dtype, order="C"))  # TensorFlow may keep this very memory

    def to_numpy(self, x: Tensor) -> np.ndarray:
        if not hasattr(x, "numpy"):
            got = f"a traced tensor of shape {tuple(x.shape)}"
            raise TypeError(f"to_numpy needs known values, got {got}.\n  fix: call it outside of compiled functions")
        return x.numpy()  # a copy

    def borrow(self, x: Tensor) -> np.ndarray:
        return np.asarray(x) if hasattr(x, "numpy") else self.to_numpy(x)

    def is_tensor(self, value: Any) -> bool:
        return isinstance(value, tf.Tensor)

    def shape(self, x: Tensor) -> Shape:
        return tuple(x.shape)

    def dtype(self, x: Tensor) -> str:
        return x.dtype.name

    def block(self, tree: Tree) -> Tree:
        if tf.config.list_physical_devices("GPU"):
            tf.test.experimental.sync_devices()
        return tree

    def devices(self) -> list[str]:
        return [f"{kind.lower()}:{i}" for kind in ("GPU", "CPU") for i in range(len(tf.config.list_logical_devices(kind)))]

    seen = staticmethod(tapes.seen)  # pyright: ignore[reportAssignmentType]  # called on an engine, it takes the same
    in_graph = staticmethod(tapes.in_graph)  # pyright: ignore[reportAssignmentType]
    outside_graphs = staticmethod(tf.init_scope)  # pyright: ignore[reportAssignmentType]
    lend = staticmethod(tapes.lend)  # pyright: ignore[reportAssignmentType]
    known_value = staticmethod(tapes.known_value)  # pyright: ignore[reportAssignmentType]
    traced_as = staticmethod(tapes.Itself)  # pyright: ignore[reportAssignmentType]
    rewritten = staticmethod(tapes.rewritten)  # pyright: ignore[reportAssignmentType]
    taped = staticmethod(tapes.taped)  # pyright: ignore[reportAssignmentType]
    place_of = staticmethod(tapes.place_of)  # pyright: ignore[reportAssignmentType]

    # Transforms -------------------------------------------------------------------------------------------------------------

    def compile(self, function: Callable, donate: Sequence[int] = ()) -> Callable:
        return Compiled(function, self.asarray, use_xla())

    def eval_shape(self, function: Callable, *args: Tree) -> Tree:
        return (function if isinstance(function, Compiled) else Compiled(function, self.asarray, False)).eval_shape(*args)

    def value_and_grad(self, function: Callable) -> Callable:
        def run(values: Sequence[Tensor]) -> tuple[tuple[Tensor, Tree], list[Tensor]]:
            with tf.GradientTape(watch_accessed_variables=False) as tape, recorded():
                leaves = [tf.identity(x) for x in values]  # other uses of a value are constants here
                tape.watch([x for x in leaves if _has_gradient(x)])
                loss, aux = function(leaves)
            if not _has_gradient(loss):
                return (loss, aux), [tf.zeros_like(x) for x in values]
            gradients = tape.gradient(loss, leaves)
            return (loss, aux), [tf.zeros_like(x) if g is None else tf.convert_to_tensor(g) for x, g in zip(values, gradients, strict=True)]

        return run

    def vmap(self, function: Callable, in_axes: Any = 0, out_axes: Any = 0) -> Callable:
        def run(*args: Tensor) -> Tree:
            axes = in_axes if isinstance(in_axes, (list, tuple)) else (in_axes,) * len(args)
            mapped = [_to_front(x, axis) for x, axis in zip(args, axes, strict=True) if axis is not None]

            def one(rows: list[Tensor]) -> Tree:
                found = iter(rows)
                return function(*(x if axis is None else next(found) for x, axis in zip(args, axes, strict=True)))

            results = tf.vectorized_map(one, mapped)
            return results if out_axes == 0 else map_tree(lambda x: _from_front(x, out_axes), results)

        return run

    def make_deterministic(self, wanted: bool) -> None:
        if wanted and tf.config.list_physical_devices("GPU"):
            tf.config.experimental.enable_op_determinism()  # TensorFlow has no way back

    def profiler(self, folder: str) -> Any:
        return tf.profiler.experimental.Profile(folder)

    def remat(self, function: Callable) -> Callable:
        def run(*args: Tree) -> Tree:
            if not tracing.gradients:
                return function(*args)
            leaves: list = []
            structure, results = flatten(args, leaves), []

            def flat(*tensors: Tensor) -> list[Tensor]:
                found: list = []
                results[:] = [flatten(function(*rebuild(structure, iter(tensors))), found)]
                return found

            @tf.custom_gradient
            def recomputed(*tensors: Tensor) -> tuple[list[Tensor], Callable]:
                def gradient(*upstream: Tensor) -> list[Tensor | None]:
                    with tf.GradientTape(watch_accessed_variables=False) as tape, recorded():
                        again = kept_apart(*tensors)
                        tape.watch([x for x in again if _has_gradient(x)])
                        outputs = flat(*again)
                    pairs = [(y, u) for y, u in zip(outputs, upstream, strict=True) if _has_gradient(y)]
                    return tape.gradient([y for y, _ in pairs], again, [u for _, u in pairs])

                return flat(*tensors), gradient

            outputs = recomputed(*map(self.asarray, leaves))
            return rebuild(results[0], iter(outputs if isinstance(outputs, (list, tuple)) else [outputs]))

        return run

    stop_gradient = staticmethod(tf.stop_gradient)  # pyright: ignore[reportAssignmentType]  # called on an engine, it takes the same

    def custom_gradient(self, function: Callable) -> Callable:
        def run(*tensors: Tensor) -> Tree:
            if not tracing.gradients:
                return function(*tensors)[0]
            structure: list = []

            @tf.custom_gradient
            def flat(*tensors: Tensor) -> tuple[list[Tensor], Callable]:
                output, gradient = function(*tensors)
                leaves: list = []
                structure[:] = [flatten(output, leaves)]

                def backward(*upstream: Tensor) -> Any:
                    gradients = gradient(rebuild(structure[0], iter(upstream)))
                    return list(gradients) if isinstance(gradients, (list, tuple)) else [gradients]

                return [tf.identity(leaf) for leaf in leaves], backward

            outputs = flat(*tensors)
            return rebuild(structure[0], iter(outputs if isinstance(outputs, (list, tuple)) else [outputs]))

        return run

    # Elementwise ------------------------------------------------------------------------------------------------------------

    negative = staticmethod(_in_signed(tf.negative))
    exp, expm1, log, log1p = staticmethod(tf.exp), staticmethod(tf.math.expm1), staticmethod(tf.math.log), staticmethod(tf.math.log1p)
    sqrt, rsqrt = staticmethod(tf.sqrt), staticmethod(tf.math.rsqrt)
    sin, cos, tan = staticmethod(tf.sin), staticmethod(tf.cos), staticmethod(tf.tan)
    arcsin, arccos, arctan = staticmethod(tf.asin), staticmethod(tf.acos), staticmethod(tf.atan)
    sinh, cosh, tanh = staticmethod(tf.sinh), staticmethod(tf.cosh), staticmethod(tf.tanh)
    arcsinh, arccosh = staticmethod(tf.asinh), staticmethod(tf.acosh)
    sigmoid, erf = staticmethod(tf.sigmoid), staticmethod(tf.math.erf)
    erfinv = _in_float32(tf.math.erfinv, tf.float16, tf.bfloat16)
    lgamma, digamma = _in_float32(tf.math.lgamma, tf.bfloat16), _in_float32(tf.math.digamma, tf.bfloat16)
    floor, ceil, round = _floats_only(tf.floor), _floats_only(tf.math.ceil), _floats_only(tf.round)

    @staticmethod
    def abs(x: Tensor) -> Tensor:
        return x if x.dtype.is_unsigned else tf.abs(x)

    @staticmethod
    def sign(x: Tensor) -> Tensor:
        return tf.cast(tf.not_equal(x, 0), x.dtype) if x.dtype.is_unsigned else tf.where(tf.equal(x, x), tf.sign(x), x)

    @staticmethod
    def arctanh(x: Tensor) -> Tensor:
        near = tf.atanh(x)
        if x.dtype != tf.float64:
            return near
        return tf.where(tf.abs(x) < 0.25, near, tf.math.log((1 + x) / (1 - x)) / 2)  # XLA's is wrong in the last digits

    @staticmethod
    def isfinite(x: Tensor) -> Tensor:
        return tf.math.is_finite(x) if x.dtype.is_floating else tf.ones(x.shape, tf.bool)

    @staticmethod
    def isnan(x: Tensor) -> Tensor:
        return tf.math.is_nan(x) if x.dtype.is_floating else tf.zeros(x.shape, tf.bool)

    add, subtract, multiply = _binary(tf.add, tf.logical_or), _binary(tf.subtract), _binary(tf.multiply, tf.logical_and)
    divide, floor_divide, remainder = _binary(tf.divide), _binary(arithmetic.floor_divide), _binary(arithmetic.remainder)
    maximum, minimum, arctan2 = _binary(_halved(tf.maximum)), _binary(_halved(tf.minimum)), _binary(tf.atan2)
    equal, not_equal = _binary(tf.equal), _binary(tf.not_equal)
    less, less_equal = _binary(tf.less, _through_int32(tf.less)), _binary(tf.less_equal, _through_int32(tf.less_equal))
    greater, greater_equal = _binary(tf.greater, _through_int32(tf.greater)), _binary(tf.greater_equal, _through_int32(tf.greater_equal))
    logical_not, logical_and, logical_or = staticmethod(tf.logical_not), _binary(tf.logical_and), _binary(tf.logical_or)
    bitwise_not, bitwise_and = staticmethod(tf.bitwise.invert), _binary(tf.bitwise.bitwise_and)
    bitwise_or, bitwise_xor = _binary(tf.bitwise.bitwise_or), _binary(tf.bitwise.bitwise_xor)
    left_shift, right_shift = _binary(arithmetic.left_shift), _binary(tf.bitwise.right_shift)

    @staticmethod
    def power(x: Any, y: Any) -> Tensor:
        if isinstance(y, (int, float)) and y in (0, 1, 2, 3):
            return (tf.ones_like(x), x, tf.square(x) if not x.dtype.is_unsigned else x * x, x * x * x)[int(y)]
        x, y = _lifted(x, y)
        return arithmetic.power(x, y)

    @staticmethod
    def where(condition: Tensor, x: Any, y: Any) -> Tensor:
        return tf.where(condition, *_lifted(x, y))

    def cast(self, x: Tensor, dtype: str) -> Tensor:
        target = tf.as_dtype(dtype)
        if x.dtype.is_complex and not target.is_complex:
            return tf.not_equal(x, 0) if target == tf.bool else tf.cast(tf.math.real(x), target)
        return tf.cast(x, target)

    # Reductions: TensorFlow takes () for no axes ----------------------------------------------------------------------------

    sum, prod, any, all = (staticmethod(f) for f in (tf.reduce_sum, tf.reduce_prod, tf.reduce_any, tf.reduce_all))
    max, min = _extreme(tf.reduce_max, tf.reduce_any), _extreme(tf.reduce_min, tf.reduce_all)
    argmax, argmin = staticmethod(indexing.argmax), staticmethod(indexing.argmin)
    cumsum, cumprod, cummax = staticmethod(tf.cumsum), staticmethod(arithmetic.cumprod), staticmethod(indexing.cummax)

    # Shape moves ------------------------------------------------------------------------------------------------------------

    reshape, transpose, broadcast_to = staticmethod(tf.reshape), staticmethod(tf.transpose), staticmethod(tf.broadcast_to)
    slice, concatenate = staticmethod(tf.strided_slice), staticmethod(tf.concat)

    @staticmethod
    def pad(x: Tensor, widths: Sequence[tuple[int, int]], value: float) -> Tensor:
        return tf.pad(x, widths, constant_values=tf.cast(value, x.dtype)) if widths else x

    @staticmethod
    def flip(x: Tensor, axes: Shape) -> Tensor:
        return tf.reverse(x, axes) if axes else x

    # Indexing and order -----------------------------------------------------------------------------------------------------

    take, take_along_axis, scatter = staticmethod(indexing.take), staticmethod(indexing.take_along_axis), staticmethod(indexing.scatter)
    dynamic_slice, dynamic_update_slice = staticmethod(indexing.dynamic_slice), staticmethod(indexing.dynamic_update_slice)
    sort, argsort, top_k = staticmethod(indexing.sort), staticmethod(indexing.argsort), staticmethod(indexing.top_k)
    searchsorted = staticmethod(indexing.searchsorted)

    @staticmethod
    def nonzero(x: Tensor) -> tuple[Tensor, ...]:
        if not hasattr(x, "numpy"):
            raise TypeError(
                f"nonzero needs known values, got a traced tensor of shape {tuple(x.shape)}.\n"
                "  why: how many elements are not zero decides the shape of the result, and compiled code has no values yet\n"
                "  fix: call it outside of compiled functions, or use where(condition, x, y) there"
            )
        return tuple(tf.unstack(tf.cast(tf.where(tf.not_equal(x, tf.zeros([], x.dtype))), tf.int32), axis=1))

    # Contractions and windows -----------------------------------------------------------------------------------------------

    @staticmethod
    def matmul(x: Tensor, y: Tensor) -> Tensor:
        if x.dtype in (tf.bool, tf.int8, tf.int16, tf.uint8, tf.uint16, tf.uint32, tf.uint64):
            return tf.cast(tf.matmul(tf.cast(x, tf.int64), tf.cast(y, tf.int64)), x.dtype)
        if x.shape.rank > 2 and y.shape.rank == 2:  # one product of rows, whose gradients are such ones, too
            rows = tf.matmul(tf.reshape(x, (math.prod(x.shape[:-1]), x.shape[-1])), y)
            return tf.reshape(rows, (*x.shape[:-1], y.shape[1]))
        return tf.matmul(x, y)

    @staticmethod
    def einsum(equation: str, *operands: Tensor) -> Tensor:
        dtype = operands[0].dtype
        if dtype.is_integer and dtype not in (tf.int32, tf.int64):
            return tf.cast(tf.einsum(equation, *(tf.cast(x, tf.int64) for x in operands)), dtype)
        return tf.einsum(equation, *operands)

    conv, conv_input_gradient = staticmethod(windows.conv), staticmethod(windows.conv_input_gradient)
    conv_kernel_gradient, max_pool, sum_pool = (staticmethod(f) for f in (windows.conv_kernel_gradient, windows.max_pool, windows.sum_pool))

    # Linear algebra ---------------------------------------------------------------------------------------------------------

    cholesky, eigh, eig = _checked(tf.linalg.cholesky), staticmethod(tf.linalg.eigh), staticmethod(tf.linalg.eig)

    solve = _checked(lambda a, b: tf.linalg.solve(*_of_equal_batches(a, b)))
    triangular_solve = _checked(lambda a, b, lower: tf.linalg.triangular_solve(*_of_equal_batches(a, b), lower=lower))

    @staticmethod
    def qr(x: Tensor, mode: str) -> tuple[Tensor, Tensor]:
        q, r = tf.linalg.qr(x, full_matrices=mode == "complete")
        return q, r

    @staticmethod
    def svd(x: Tensor, full_matrices: bool) -> tuple[Tensor, Tensor, Tensor]:
        s, u, v = tf.linalg.svd(x, full_matrices=full_matrices)
        return u, s, tf.linalg.matrix_transpose(v)

    @staticmethod
    def lu(x: Tensor) -> tuple[Tensor, Tensor]:
        return _lu(x)  # TensorFlow's own takes regular square matrices only

    # Complex numbers and Fourier transforms ---------------------------------------------------------------------------------

    complex, real, imag = staticmethod(tf.complex), staticmethod(tf.math.real), staticmethod(tf.math.imag)

    @staticmethod
    def fft(x: Tensor, axis: int) -> Tensor:
        return _from_last(tf.signal.fft(_to_last(x, axis)), axis) if 0 not in x.shape else x

    @staticmethod
    def ifft(x: Tensor, axis: int) -> Tensor:
        return _from_last(tf.signal.ifft(_to_last(x, axis)), axis) if 0 not in x.shape else x

    # Random bits, creation --------------------------------------------------------------------------------------------------

    @staticmethod
    def random_bits(key: Tensor, shape: Shape) -> Tensor:
        return (_threefry if math.prod(shape) >= WORTH_COMPILING else indexing.threefry)(key, tuple(shape))

    def full(self, shape: Shape, value: Any, dtype: str) -> Tensor:
        return tf.broadcast_to(tf.cast(value, dtype), shape)

    def arange(self, size: int, dtype: str) -> Tensor:
        return tf.cast(tf.range(size), dtype)

    # Control flow: eager loops run in Python --------------------------------------------------------------------------------

    def cond(self, predicate: Tensor, true_fn: Callable, false_fn: Callable, operands: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        if hasattr(predicate, "numpy"):
            return tuple((true_fn if predicate else false_fn)(*operands))
        return tuple(tf.cond(predicate, lambda: tuple(true_fn(*operands)), lambda: tuple(false_fn(*operands))))

    def while_loop(self, condition: Callable, body: Callable, state: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        if tf.executing_eagerly():
            while condition(*state):
                state = body(*state)
            return tuple(state)
        return tuple(tf.while_loop(condition, lambda *xs: tuple(body(*xs)), tuple(state), parallel_iterations=1))

    def scan(
        self, body: Callable, carry: tuple[Tensor, ...], xs: tuple[Tensor, ...], length: int, reverse: bool, unroll: int | bool
    ) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
        if length == 0:  # one turn on zeros, only for the shapes of the ys
            _, y = body(tuple(carry), tuple(tf.zeros(x.shape[1:], x.dtype) for x in xs))
            return tuple(carry), tuple(tf.zeros((0, *part.shape), part.dtype) for part in y)
        if tf.executing_eagerly() or unroll is True or length <= unroll:
            return loops.unrolled(body, carry, xs, length, reverse)
        rows = tuple(ShapeDtype(tuple(x.shape)[1:], x.dtype.name) for x in xs)
        _, ys = self.eval_shape(body, tuple(ShapeDtype(tuple(x.shape), x.dtype.name) for x in carry), rows)
        return loops.scan(body, carry, xs, length, reverse, ys)


# Axes, gradients, factors --------------------------------------------------------------------------------------------------------


def _to_front(x: Tensor, axis: int) -> Tensor:
    return x if axis == 0 else tf.transpose(x, [axis % x.shape.rank, *(i for i in range(x.shape.rank) if i != axis % x.shape.rank)])


def _from_front(x: Tensor, axis: int) -> Tensor:
    order = list(range(1, x.shape.rank))
    order.insert(axis % x.shape.rank, 0)
    return tf.transpose(x, order)


def _to_last(x: Tensor, axis: int) -> Tensor:
    return x if axis == x.shape.rank - 1 else tf.transpose(x, [*(i for i in range(x.shape.rank) if i != axis), axis])


def _from_last(x: Tensor, axis: int) -> Tensor:
    last = x.shape.rank - 1
    return x if axis == last else tf.transpose(x, [*range(axis), last, *range(axis, last)])


def _has_gradient(x: Tensor) -> bool:
    return x.dtype.is_floating or x.dtype.is_complex


def _of_equal_batches(a: Tensor, b: Tensor) -> list[Tensor]:
    batch = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    return [tf.broadcast_to(x, (*batch, *x.shape[-2:])) for x in (a, b)]


def _lu(x: Tensor) -> tuple[Tensor, Tensor]:
    """Column by column: the largest element below the diagonal comes up, and its multiples leave the rows below."""
    *batch, rows, columns = x.shape
    count = min(rows, columns)
    row, column = tf.range(rows), tf.range(columns)

    def step(turn: Tensor, x: Tensor, pivots: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        sizes = tf.where(row < turn, tf.constant(-1, x.dtype), tf.abs(tf.gather(x, turn, axis=-1)))
        pivot = tf.argmax(sizes, -1, tf.int32)[..., None]
        order = tf.where(tf.equal(row, turn), pivot, tf.where(tf.equal(row, pivot), turn, row))
        x = tf.gather(x, order, axis=len(batch), batch_dims=len(batch))
        upper = tf.gather(x, turn, axis=-2)
        diagonal = tf.gather(upper, turn, axis=-1)[..., None]
        below = (row > turn) & tf.not_equal(diagonal, 0)
        factors = tf.where(below, tf.gather(x, turn, axis=-1) / tf.where(tf.equal(diagonal, 0), tf.ones_like(diagonal), diagonal), 0)
        x = x - factors[..., None] * tf.where(column > turn, upper, 0)[..., None, :]
        x = tf.where((row > turn)[:, None] & tf.equal(column, turn), factors[..., None], x)
        return turn + 1, x, tf.where(tf.equal(tf.range(count), turn), pivot, pivots)

    state = (tf.constant(0), x, tf.zeros((*batch, count), tf.int32))
    return tf.while_loop(lambda turn, *_: turn < count, step, state, parallel_iterations=1, maximum_iterations=count)[1:]


def _check_range(value: Any, host: np.ndarray, target: tf.DType) -> None:
    """Python integers that the target cannot hold are refused, as NumPy does; arrays wrap."""
    if isinstance(value, (np.ndarray, np.generic)) or host.dtype.kind not in "iu" or not target.is_integer or not host.size:
        return
    if host.min() < target.min or host.max() > target.max:
        got = f"{host.min()} to {host.max()}"
        raise OverflowError(f"asarray needs integers that {target.name} holds, got {got}.\n  fix: choose a wider dtype, or floats")


_threefry = by_xla(lambda key, shape: indexing.threefry(key, shape))
