# SPDX-License-Identifier: Apache-2.0
"""The default engine: JAX.

It computes and never decides; the contract of each method stands in `protocol.py`. What is special to this engine is said here:
64-bit names mean 32 bits until `enable_64_bits`; control flow outside of any trace runs in Python for its first steps, which saves a compile;
compiled programs are kept on disk; convolutions and pooling are in `_jax_windows.py`, since CPUs want other forms than accelerators.
"""

from __future__ import annotations

import contextlib
import functools
import math
import os
import pathlib
import time
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.core
import jax.extend.core
import jax.numpy as jnp
import numpy as np
from jax import lax

from nyala.core.alignment import aligned
from nyala.engines import _jax_joined as joining
from nyala.engines import _jax_kernels as kernels
from nyala.engines import _jax_sharding as sharding
from nyala.engines import _jax_windows as windows
from nyala.engines._cpu_kernels import user_cache
from nyala.engines._jax_fast import FAST, position
from nyala.engines._memory import Leftovers, keep_freed_memory
from nyala.engines._sharing import others_use_gpu
from nyala.engines.protocol import Engine, Shape, Tensor, Tree

__all__ = ["JaxEngine"]

EAGER_STEPS = 128  # so many turns of a loop run in Python, where no trace is active, before one is compiled
CACHE_BYTES = 2**30  # of the compile cache on disk
CACHED_SECONDS = 0.1  # what compiles faster is not kept
TRIM_SECONDS = 24 * 60 * 60  # between two looks at the size of the cache
PREALLOCATE = "XLA_PYTHON_CLIENT_PREALLOCATE"  # read by JAX when it starts on a GPU
INTEGER_POWERS = 64  # up to here a whole exponent means repeated multiplication
LARGE = 1 << 18  # elements: from here on a copy less is worth looking at where memory lies
TENSORS = (jax.Array, jax.core.Tracer)
NARROW = {"int64": "int32", "uint64": "uint32", "float64": "float32", "complex128": "complex64"}


class _Names(dict):
    """dtype -> its name, computed once."""

    def __missing__(self, dtype: Any) -> str:
        name = self[dtype] = str(dtype)
        return name


_names = _Names()


class JaxEngine(Engine):
    """JAX on the CPU, GPU or TPU that it finds.

    Environment, read when the engine starts: NYALA_MALLOC=default leaves the C library's memory settings alone, NYALA_COMPILE_CACHE=off keeps
    no compiled programs on disk (JAX_COMPILATION_CACHE_DIR puts them elsewhere), NYALA_KERNELS=off leaves all products and convolutions to XLA.
    """

    name = "jax"
    compiles = True
    runs_ahead = True
    shards = True
    fast = FAST

    def __init__(self) -> None:
        keep_freed_memory()
        self._leftovers = Leftovers()
        _keep_compiled_programs()
        kernels.start()
        if others_use_gpu():  # leave them the rest: JAX would take most of the GPU's memory at once
            os.environ.setdefault(PREALLOCATE, "false")

    # Tensors and the host ---------------------------------------------------------------------------------------------------

    def asarray(self, value: Any, dtype: str | None = None) -> Tensor:
        if isinstance(value, TENSORS):
            same = (dtype is None or _names[value.dtype] == dtype) and not value.weak_type
            return value if same else self.cast(value, dtype or _names[value.dtype])
        if isinstance(value, (list, tuple)) and any(isinstance(leaf, TENSORS) for leaf in jax.tree.leaves(value)):
            return self.asarray(jnp.array(value), dtype)
        host = self._own(value, dtype)  # JAX may keep this very memory
        return jax.device_put(host) if _outside_traces() else jnp.asarray(host)  # jnp.asarray compiles a program for each new shape

    def adopt(self, array: np.ndarray, dtype: str) -> Tensor:
        whole = array.dtype.name == dtype == self.canonical_dtype(dtype) and array.size >= LARGE and _outside_traces()
        return jax.device_put(array) if whole else self.asarray(array, dtype)

    def _own(self, value: Any, dtype: str | None) -> np.ndarray:
        """A new array of the host with the values of an array, a scalar or nested lists."""
        host = np.asarray(value)
        if host.dtype.kind in "OSUMm":
            got = f"{type(value).__name__} with elements of dtype {host.dtype}"
            raise TypeError(f"asarray needs numbers, got {got}.\n  fix: turn them into numbers first")
        target = jnp.dtype(dtype or self.canonical_dtype(host.dtype.name))
        if host.dtype.kind in "iu" and not isinstance(value, (np.ndarray, np.generic)):
            _check_range(host, target)
        with np.errstate(all="ignore"):
            host = np.real(host) if host.dtype.kind == "c" and target.kind != "c" else host
            if host.size < LARGE:
                return np.array(host, dtype=target)
            made = aligned(host.shape, target)  # which JAX keeps, where it would copy others
            made[...] = host
            return made

    def to_numpy(self, x: Tensor) -> np.ndarray:
        return np.array(x) if _is_readable(x) else np.array(sharding.whole(x))

    def borrow(self, x: Tensor) -> np.ndarray:
        return np.asarray(x) if _is_readable(x) else sharding.whole(x)

    def is_tensor(self, value: Any) -> bool:
        return isinstance(value, TENSORS)

    def shape(self, x: Tensor) -> Shape:
        return x.shape

    def dtype(self, x: Tensor) -> str:
        return _names[x.dtype]

    def canonical_dtype(self, dtype: str) -> str:
        return dtype if jax.config.jax_enable_x64 else NARROW.get(dtype, dtype)  # pyright: ignore[reportAttributeAccessIssue]  # JAX makes its flags as it loads

    def enable_64_bits(self) -> None:
        jax.config.update("jax_enable_x64", True)

    def block(self, tree: Tree) -> Tree:
        first = next(iter(jax.tree.leaves(tree)), None)
        if isinstance(first, jax.Array) and jax.default_backend() == "cpu":  # elsewhere temporaries are not in the memory of the host
            with self._leftovers.watching():
                return jax.block_until_ready(tree)
        return jax.block_until_ready(tree)

    def devices(self) -> list[str]:
        found = list(jax.devices())
        if found[0].platform != "cpu":
            with contextlib.suppress(RuntimeError):  # JAX_PLATFORMS may leave the CPU out
                found += jax.devices("cpu")
        return [f"{sharding.kind(device)}:{device.id}" for device in found]

    def native_mesh(self, device_mesh: Any) -> Any:
        return sharding.mesh(device_mesh)

    def native_layout(self, layout: Any) -> Any:
        return sharding.sharding(layout)

    def place(self, array: np.ndarray, layout: Any) -> Tensor:
        return sharding.place(self._own(array, None), layout)

    def place_part(self, array: np.ndarray, layout: Any) -> Tensor:
        return sharding.place_part(self._own(array, None), layout)

    def laid_out(self, x: Tensor, layout: Any) -> Tensor:
        target = sharding.sharding(layout)
        if isinstance(x, jax.core.Tracer) or not _outside_traces():
            return lax.with_sharding_constraint(x, target)
        return x if x.sharding == target else sharding.moved(x, target)

    def process(self) -> tuple[int, int]:
        return jax.process_index(), jax.process_count()

    def join_processes(self, address: str | None, count: int | None, number: int | None) -> None:
        sharding.join(address, count, number)

    def from_all_processes(self, value: np.ndarray) -> np.ndarray:
        return sharding.from_all(value)

    def remark(self) -> str:
        problem = kernels.problem()
        return f"no kernels of its own ({problem})" if problem else ""

    def reserved_memory(self) -> str:
        taken = os.environ.get(PREALLOCATE, "true").lower() not in ("false", "0") and "XLA_PYTHON_CLIENT_ALLOCATOR" not in os.environ
        if not taken or jax.default_backend() not in ("gpu", "cuda"):
            return ""
        share = os.environ.get("XLA_PYTHON_CLIENT_MEM_FRACTION", "0.75")
        return f"{float(share):.0%} of its memory from the start; set {PREALLOCATE}=false in the environment before it starts"

    # Transforms -------------------------------------------------------------------------------------------------------------
    # JAX remembers by function what it traced. Ours may read variables, so control flow, eval_shape and remat hand it a fresh function each time.

    def compile(self, function: Callable, donate: Sequence[int] = ()) -> Callable:
        if donate:
            warnings.filterwarnings("ignore", message="Some donated buffers were not usable")
        options = _compiler_options()
        compiled = jax.jit(joining.joined(function), donate_argnums=tuple(donate), compiler_options=options)
        if options is None:
            return compiled
        inner = jax.jit(function)  # JAX takes options only where nothing else is being traced

        @functools.wraps(function)
        def call(*args: Tree) -> Tree:
            return (compiled if _outside_traces() else inner)(*args)

        setattr(call, "eval_shape", compiled.eval_shape)  # noqa: B010  a name the checker cannot know
        return call

    def eval_shape(self, function: Callable, *args: Tree) -> Tree:
        shapes = jax.tree.map(sharding.as_shape, args)
        traced = getattr(function, "eval_shape", None)
        if traced is not None:  # compiled; it keeps the trace for its first call
            return traced(*shapes)
        return jax.eval_shape(functools.partial(function), *shapes)

    def value_and_grad(self, function: Callable) -> Callable:
        return jax.value_and_grad(joining.differentiable(function), has_aux=True)

    def vmap(self, function: Callable, in_axes: Any = 0, out_axes: Any = 0) -> Callable:
        return jax.vmap(function, in_axes, out_axes)

    def make_deterministic(self, wanted: bool) -> None:
        global _deterministic
        _deterministic = wanted
        _compiler_options.cache_clear()

    def profiler(self, folder: str) -> Any:
        return jax.profiler.trace(folder)

    def remat(self, function: Callable) -> Callable:
        return lambda *args, **kwargs: jax.checkpoint(functools.partial(function))(*args, **kwargs)

    stop_gradient = staticmethod(lax.stop_gradient)  # pyright: ignore[reportAssignmentType]  # called on an engine, it takes the same

    def custom_gradient(self, function: Callable) -> Callable:
        return lambda *tensors: function(*tensors)[0] if _outside_traces() else _with_gradient(function, tensors)

    # Elementwise ------------------------------------------------------------------------------------------------------------

    negative = staticmethod(jnp.negative)

    @staticmethod
    @functools.partial(jax.jit, inline=True)
    def abs(x: Tensor) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]  # called on an engine, it takes the same
        return jnp.where(x == 0, 0, jnp.abs(x)) if jnp.issubdtype(x.dtype, np.floating) else jnp.abs(x)  # the gradient of jnp.abs at 0 is 1

    sign = staticmethod(jnp.sign)
    exp = staticmethod(jnp.exp)
    expm1 = staticmethod(jnp.expm1)
    log = staticmethod(jnp.log)
    log1p = staticmethod(jnp.log1p)
    sqrt = staticmethod(jnp.sqrt)
    rsqrt = staticmethod(lax.rsqrt)
    sin = staticmethod(jnp.sin)
    cos = staticmethod(jnp.cos)
    tan = staticmethod(jnp.tan)
    arcsin = staticmethod(jnp.arcsin)
    arccos = staticmethod(jnp.arccos)
    arctan = staticmethod(jnp.arctan)
    sinh = staticmethod(jnp.sinh)
    cosh = staticmethod(jnp.cosh)
    tanh = staticmethod(jnp.tanh)
    arcsinh = staticmethod(jnp.arcsinh)
    arccosh = staticmethod(jnp.arccosh)
    arctanh = staticmethod(jnp.arctanh)
    sigmoid = staticmethod(jax.nn.sigmoid)
    erf = staticmethod(lax.erf)
    erfinv = staticmethod(lax.erf_inv)
    lgamma = staticmethod(lax.lgamma)
    digamma = staticmethod(lax.digamma)

    def floor(self, x: Tensor) -> Tensor:
        return jnp.floor(x) if jnp.issubdtype(x.dtype, np.floating) else x

    def ceil(self, x: Tensor) -> Tensor:
        return jnp.ceil(x) if jnp.issubdtype(x.dtype, np.floating) else x

    def round(self, x: Tensor) -> Tensor:
        return lax.round(x, lax.RoundingMethod.TO_NEAREST_EVEN) if jnp.issubdtype(x.dtype, np.floating) else x

    isfinite = staticmethod(jnp.isfinite)
    isnan = staticmethod(jnp.isnan)

    add = staticmethod(jnp.add)
    subtract = staticmethod(jnp.subtract)
    multiply = staticmethod(jnp.multiply)
    divide = staticmethod(jnp.true_divide)
    remainder = staticmethod(jnp.remainder)

    def floor_divide(self, x: Tensor, y: Tensor) -> Tensor:
        quotient = jnp.floor_divide(x, y)
        if jnp.issubdtype(quotient.dtype, np.floating) or (isinstance(y, int) and y):
            return quotient
        return jnp.where(jnp.equal(y, 0), 0, quotient)  # XLA has -1

    def power(self, x: Tensor, y: Tensor) -> Tensor:
        if isinstance(y, (int, float)):
            return jnp.power(x, int(y) if abs(y) <= INTEGER_POWERS and y == int(y) else y)
        if isinstance(x, TENSORS) and jnp.issubdtype(x.dtype, np.floating):
            x = jnp.where(jnp.logical_and(jnp.equal(x, 0), jnp.equal(y, 0)), 1, x)  # the gradient of lax.pow at 0**0 is nan
        return jnp.power(x, y)

    maximum = staticmethod(jnp.maximum)
    minimum = staticmethod(jnp.minimum)
    arctan2 = staticmethod(jnp.arctan2)
    equal = staticmethod(jnp.equal)
    not_equal = staticmethod(jnp.not_equal)
    less = staticmethod(jnp.less)
    less_equal = staticmethod(jnp.less_equal)
    greater = staticmethod(jnp.greater)
    greater_equal = staticmethod(jnp.greater_equal)
    logical_not = staticmethod(jnp.logical_not)
    logical_and = staticmethod(jnp.logical_and)
    logical_or = staticmethod(jnp.logical_or)
    bitwise_not = staticmethod(jnp.bitwise_not)
    bitwise_and = staticmethod(jnp.bitwise_and)
    bitwise_or = staticmethod(jnp.bitwise_or)
    bitwise_xor = staticmethod(jnp.bitwise_xor)
    left_shift = staticmethod(jnp.left_shift)
    right_shift = staticmethod(jnp.right_shift)
    where = staticmethod(jnp.where)

    def cast(self, x: Tensor, dtype: str) -> Tensor:
        if jnp.issubdtype(x.dtype, np.complexfloating) and not jnp.issubdtype(dtype, np.complexfloating):
            x = jnp.not_equal(x, 0) if dtype == "bool" else lax.real(x)
        return lax.convert_element_type(x, jnp.dtype(dtype))

    # Reductions ---------------------------------------------------------------------------------------------------------------

    def sum(self, x: Tensor, axes: Shape, keepdims: bool) -> Tensor:
        return jnp.sum(x, axis=axes, keepdims=keepdims, dtype=x.dtype)

    def prod(self, x: Tensor, axes: Shape, keepdims: bool) -> Tensor:
        return jnp.prod(x, axis=axes, keepdims=keepdims, dtype=x.dtype)

    def max(self, x: Tensor, axes: Shape, keepdims: bool) -> Tensor:
        return jnp.max(x, axis=axes, keepdims=keepdims)

    def min(self, x: Tensor, axes: Shape, keepdims: bool) -> Tensor:
        return jnp.min(x, axis=axes, keepdims=keepdims)

    def any(self, x: Tensor, axes: Shape, keepdims: bool) -> Tensor:
        return jnp.any(x, axis=axes, keepdims=keepdims)

    def all(self, x: Tensor, axes: Shape, keepdims: bool) -> Tensor:
        return jnp.all(x, axis=axes, keepdims=keepdims)

    def argmax(self, x: Tensor, axis: int) -> Tensor:
        return position(x, axis, largest=True)

    def argmin(self, x: Tensor, axis: int) -> Tensor:
        return position(x, axis, largest=False)

    cumsum = staticmethod(lax.cumsum)
    cumprod = staticmethod(lax.cumprod)
    cummax = staticmethod(lax.cummax)

    # Shape moves --------------------------------------------------------------------------------------------------------------

    reshape = staticmethod(lax.reshape)
    transpose = staticmethod(lax.transpose)
    broadcast_to = staticmethod(jnp.broadcast_to)

    def concatenate(self, xs: Sequence[Tensor], axis: int) -> Tensor:
        return lax.concatenate(list(xs), axis)

    def pad(self, x: Tensor, widths: Sequence[tuple[int, int]], value: float) -> Tensor:
        return lax.pad(x, np.asarray(value, x.dtype), [(before, after, 0) for before, after in widths])

    slice = staticmethod(lax.slice)
    flip = staticmethod(lax.rev)

    # Indexing and order --------------------------------------------------------------------------------------------------------

    def take(self, x: Tensor, indices: Tensor, axis: int) -> Tensor:
        if x.shape[axis] == 0:  # jnp.take forgets the shape of the indices here
            shape = (*x.shape[:axis], *indices.shape, *x.shape[axis + 1 :])
            return jnp.full(shape, np.nan if jnp.issubdtype(x.dtype, np.inexact) else 0, x.dtype)
        return jnp.take(x, indices, axis=axis, mode="fill")

    def take_along_axis(self, x: Tensor, indices: Tensor, axis: int) -> Tensor:
        return jnp.take_along_axis(x, indices, axis=axis, mode="fill")

    def scatter(self, x: Tensor, indices: Tensor, updates: Tensor, mode: str) -> Tensor:
        count = indices.shape[1]
        sizes = np.asarray(x.shape[:count], indices.dtype)
        positions = jnp.where(indices < 0, indices + sizes, indices)
        axes = tuple(range(count))
        numbers = lax.ScatterDimensionNumbers(tuple(range(1, updates.ndim)), axes, axes)
        return _SCATTER[mode](x, positions, updates, numbers, mode=lax.GatherScatterMode.FILL_OR_DROP)

    def dynamic_slice(self, x: Tensor, starts: Sequence[Tensor | int], sizes: Shape) -> Tensor:
        return lax.dynamic_slice(x, _as_int32(starts), sizes)

    def dynamic_update_slice(self, x: Tensor, update: Tensor, starts: Sequence[Tensor | int]) -> Tensor:
        return lax.dynamic_update_slice(x, update, _as_int32(starts))

    def nonzero(self, x: Tensor) -> tuple[Tensor, ...]:
        if isinstance(x, jax.core.Tracer):
            raise TypeError(
                f"nonzero needs known values, got a traced tensor of shape {x.shape}.\n"
                "  why: how many elements are not zero decides the shape of the result, and compiled code has no values yet\n"
                "  fix: call it outside of compiled functions, or use where(condition, x, y) there"
            )
        return tuple(index.astype(np.int32) for index in jnp.nonzero(x))

    def sort(self, x: Tensor, axis: int) -> Tensor:
        return lax.sort(x, dimension=axis)

    def argsort(self, x: Tensor, axis: int) -> Tensor:
        return lax.sort((x, lax.broadcasted_iota(np.int32, x.shape, axis)), dimension=axis, is_stable=True, num_keys=1)[1]

    def top_k(self, x: Tensor, k: int) -> tuple[Tensor, Tensor]:
        values, indices = lax.top_k(x, k)
        return values, indices

    def searchsorted(self, sequence: Tensor, values: Tensor, side: str) -> Tensor:
        return jnp.searchsorted(sequence, values, side=side).astype(np.int32)

    # Contractions and windows -------------------------------------------------------------------------------------------------------

    def matmul(self, x: Tensor, y: Tensor) -> Tensor:
        if x.ndim > 2 and y.ndim == 2 and x.dtype == y.dtype and x.shape[-1] == y.shape[0]:  # one product of rows, whose gradients are such ones, too
            rows = lax.reshape(x, (math.prod(x.shape[:-1]), x.shape[-1]))
            return lax.reshape(kernels.product(rows, y), (*x.shape[:-1], y.shape[1]))
        return kernels.product(x, y)

    einsum = staticmethod(jnp.einsum)
    conv = staticmethod(windows.conv)
    conv_input_gradient = staticmethod(windows.conv_input_gradient)
    conv_kernel_gradient = staticmethod(windows.conv_kernel_gradient)
    max_pool = staticmethod(windows.max_pool)
    sum_pool = staticmethod(windows.sum_pool)

    # Linear algebra, complex numbers, random bits, creation -----------------------------------------------------------------------------

    cholesky = staticmethod(lax.linalg.cholesky)
    solve = staticmethod(jnp.linalg.solve)

    def triangular_solve(self, a: Tensor, b: Tensor, lower: bool) -> Tensor:
        batch = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
        a, b = (jnp.broadcast_to(x, (*batch, *x.shape[-2:])) for x in (a, b))
        return lax.linalg.triangular_solve(a, b, left_side=True, lower=lower)

    def qr(self, x: Tensor, mode: str) -> tuple[Tensor, Tensor]:
        q, r = jnp.linalg.qr(x, mode)
        return q, r

    def svd(self, x: Tensor, full_matrices: bool) -> tuple[Tensor, Tensor, Tensor]:
        return tuple(jnp.linalg.svd(x, full_matrices))

    def eigh(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return tuple(jnp.linalg.eigh(x))

    def eig(self, x: Tensor) -> tuple[Tensor, Tensor]:
        if jax.default_backend() == "cpu":
            values, vectors = jnp.linalg.eig(x)
            return values, vectors
        result = np.result_type(x.dtype, np.complex64)
        shapes = (jax.ShapeDtypeStruct(x.shape[:-1], result), jax.ShapeDtypeStruct(x.shape, result))
        return jax.pure_callback(lambda a: tuple(part.astype(result) for part in np.linalg.eig(np.asarray(a))), shapes, x, vmap_method="expand_dims")

    def lu(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return lax.linalg.lu(x)[:2]

    def complex(self, real: Tensor, imaginary: Tensor) -> Tensor:
        return lax.complex(*jnp.broadcast_arrays(real, imaginary))

    real = staticmethod(lax.real)
    imag = staticmethod(lax.imag)

    def fft(self, x: Tensor, axis: int) -> Tensor:
        return jnp.fft.fft(x, axis=axis)

    def ifft(self, x: Tensor, axis: int) -> Tensor:
        return jnp.fft.ifft(x, axis=axis)

    def random_bits(self, key: Tensor, shape: Shape) -> Tensor:
        with jax.threefry_partitionable(True):  # the layout of counters that the contract states
            return jax.random.bits(jax.random.wrap_key_data(key, impl="threefry2x32"), shape, np.uint32)

    def full(self, shape: Shape, value: Any, dtype: str) -> Tensor:
        return jnp.full(shape, value, dtype)

    def arange(self, size: int, dtype: str) -> Tensor:
        return jnp.arange(size, dtype=dtype)

    # Control flow -----------------------------------------------------------------------------------------------------------------------------

    def cond(self, predicate: Tensor, true_fn: Callable, false_fn: Callable, operands: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        if not isinstance(predicate, jax.core.Tracer):
            return tuple((true_fn if predicate else false_fn)(*operands))
        return lax.cond(predicate, lambda *xs: tuple(true_fn(*xs)), lambda *xs: tuple(false_fn(*xs)), *operands)

    def while_loop(self, condition: Callable, body: Callable, state: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        if _outside_traces():
            for _ in range(EAGER_STEPS):
                if not condition(*state):
                    return tuple(state)
                state = body(*state)
        return lax.while_loop(lambda xs: condition(*xs), lambda xs: tuple(body(*xs)), tuple(state))

    def scan(
        self, body: Callable, carry: tuple[Tensor, ...], xs: tuple[Tensor, ...], length: int, reverse: bool, unroll: int | bool
    ) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
        if 0 < length <= EAGER_STEPS and _outside_traces():
            columns = []
            for i in reversed(range(length)) if reverse else range(length):
                carry, ys = body(tuple(carry), tuple(x[i] for x in xs))
                columns.append(ys)
            return tuple(carry), tuple(jnp.stack(column[::-1] if reverse else column) for column in zip(*columns, strict=True))

        def step(carry: tuple[Tensor, ...], x: tuple[Tensor, ...]) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
            carry, ys = body(carry, x)
            return tuple(carry), tuple(ys)

        return lax.scan(step, tuple(carry), tuple(xs), length, reverse, unroll)


_SCATTER = {"set": lax.scatter, "add": lax.scatter_add, "multiply": lax.scatter_mul, "max": lax.scatter_max, "min": lax.scatter_min}


def _as_int32(starts: Sequence[Tensor | int]) -> list[Tensor]:
    """JAX wants all starts of one dtype."""
    return [np.int32(start) if isinstance(start, int) else start.astype(np.int32) for start in starts]


def _check_range(host: np.ndarray, target: np.dtype) -> None:
    """Python integers that the target cannot hold are refused, as NumPy does; arrays wrap."""
    if jnp.issubdtype(target, np.integer) and host.size:
        limits = jnp.iinfo(target)
        if host.min() < limits.min or host.max() > limits.max:
            got = f"{host.min()} to {host.max()}"
            raise OverflowError(f"asarray needs integers that {target.name} holds, got {got}.\n  fix: choose a wider dtype, or floats")


# Tracing -------------------------------------------------------------------------------------------------------------------------------------------


_trace_state: Callable[[], Any] = getattr(jax.extend.core, "get_opaque_trace_state", None) or jax.core.get_opaque_trace_state  # before 0.10
with jax.core.eval_context():
    _NO_TRACE = _trace_state()


def _is_readable(x: Tensor) -> bool:
    """Whether this process has all of x."""
    return not isinstance(x, jax.Array) or x.is_fully_addressable or x.is_fully_replicated


def _outside_traces() -> bool:
    """Whether nothing traces here: neither compile, nor gradients, nor vmap."""
    return _trace_state() == _NO_TRACE


def _with_gradient(function: Callable, tensors: tuple[Tensor, ...]) -> Tree:
    """function(*tensors)[0], with the gradient it gives along.

    Both are traced into jaxprs first, so that whatever they close over becomes an argument; JAX would refuse tracers in closures. What is closed over
    has no gradient: the rule has none to give.
    """
    rule: dict[str, Any] = {}

    def forward(*values: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        output, gradient = function(*values)
        leaves, rule["tree"] = jax.tree.flatten(output)

        def backward(*upstream: Tensor) -> tuple[Tensor, ...]:
            gradients = gradient(jax.tree.unflatten(rule["tree"], upstream))
            return tuple(gradients) if isinstance(gradients, (tuple, list)) else (gradients,)

        traced = jax.make_jaxpr(backward)(*leaves)
        rule["jaxpr"], rule["outputs"] = traced.jaxpr, len(leaves)
        return leaves, traced.consts

    traced = jax.make_jaxpr(forward)(*tensors)
    count = rule["outputs"]

    @jax.custom_vjp
    def run(constants: list[Tensor], *values: Tensor) -> list[Tensor]:
        return jax.core.eval_jaxpr(traced.jaxpr, constants, *values)[:count]

    def run_forward(constants: list[Tensor], *values: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        results = jax.core.eval_jaxpr(traced.jaxpr, constants, *values)
        return results[:count], results[count:]

    def run_backward(saved: list[Tensor], upstream: list[Tensor]) -> tuple[Any, ...]:
        upstream = [_known(u, variable.aval) for u, variable in zip(upstream, rule["jaxpr"].invars, strict=True)]
        gradients = jax.core.eval_jaxpr(rule["jaxpr"], saved, *upstream)
        floats = [jnp.issubdtype(tensor.dtype, np.inexact) for tensor in tensors]
        return None, *(gradient if ok else None for gradient, ok in zip(gradients, floats, strict=True))

    run.defvjp(run_forward, run_backward)
    return jax.tree.unflatten(rule["tree"], run(lax.stop_gradient(traced.consts), *tensors))


def _known(upstream: Tensor, aval: Any) -> Tensor:
    """Zeros instead of the placeholder that JAX passes for integer outputs."""
    return jnp.zeros(aval.shape, aval.dtype) if upstream.dtype == jax.dtypes.float0 else upstream


# The process ----------------------------------------------------------------------------------------------------------------------------------------


def _keep_compiled_programs() -> None:
    """Let JAX keep compiled programs under the user's cache folder, unless it was told where already; without a folder to write to, do nothing."""
    if os.environ.get("NYALA_COMPILE_CACHE") == "off" or jax.config.jax_compilation_cache_dir is not None:  # pyright: ignore[reportAttributeAccessIssue]  # as above
        return
    with contextlib.suppress(OSError, RuntimeError):  # RuntimeError: no home
        folder = user_cache() / "nyala" / "jax"
        folder.mkdir(parents=True, exist_ok=True)
        if os.access(folder, os.W_OK):
            jax.config.update("jax_compilation_cache_dir", str(folder))
            jax.config.update("jax_persistent_cache_min_compile_time_secs", CACHED_SECONDS)
            if _is_due(folder.parent / "trimmed"):
                _trim(folder, CACHE_BYTES)


_deterministic = False


@functools.cache
def _compiler_options() -> dict[str, str] | None:
    """What XLA is told for CPUs: leave convolutions that stand alone to Eigen, which runs them on all cores; XLA's other library for them,
    YNNPACK, runs most on one (a convolutional train step takes 1.6 times as long). And use vectors of 512 bits where they are not slow:
    LLVM uses half of them unless told. Versions of XLA that know no such option get none."""
    if jax.default_backend() != "cpu":
        return {"xla_gpu_deterministic_ops": "true"} if _deterministic and jax.default_backend() in ("gpu", "cuda", "rocm") else None
    kept = ("DOT", "REDUCE", "INDIVIDUAL_DOT")
    options = {"xla_cpu_experimental_ynn_fusion_type": ",".join(f"LIBRARY_FUSION_TYPE_{kind}" for kind in kept)}
    if _has_wide_vectors():
        options["xla_cpu_prefer_vector_width"] = "512"
    if jax.__version_info__ < (0, 10):  # 0.9 lets YNNPACK compute what it cannot
        return None
    if jax.__version_info__[:2] != (0, 10):  # not tried: ask
        try:
            jax.jit(lambda: np.int32(0), compiler_options=options).lower().compile()
        except Exception:
            return None
    return options


def _has_wide_vectors() -> bool:
    """Whether this CPU is of a generation that takes vectors of 512 bits at full clock (Ice Lake, Zen 4 and later). Known on Linux only."""
    with contextlib.suppress(OSError):
        return "avx512_vbmi2" in pathlib.Path("/proc/cpuinfo").read_text(errors="replace")
    return False


def _is_due(stamp: pathlib.Path) -> bool:
    """Whether the last call that said so was over a day ago: looking at ten thousand files takes longer than a small program."""
    due = not stamp.exists() or time.time() - stamp.stat().st_mtime > TRIM_SECONDS
    if due:
        stamp.touch()
    return due


def _trim(folder: pathlib.Path, limit: int) -> None:
    """Delete the oldest files until the rest fits. (JAX's own limit needs a package that is no dependency of ours.)"""
    files = []
    with os.scandir(folder) as entries:
        for entry in entries:
            with contextlib.suppress(FileNotFoundError):  # another process trims, too
                if entry.is_file():
                    files.append((entry.stat(), entry.path))
    files.sort(key=lambda file: file[0].st_mtime)
    excess = sum(status.st_size for status, _ in files) - limit
    for status, path in files:
        if excess <= 0:
            return
        pathlib.Path(path).unlink(missing_ok=True)
        excess -= status.st_size
