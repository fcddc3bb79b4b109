# SPDX-License-Identifier: Apache-2.0
"""The PyTorch engine: eager, with PyTorch's autograd, on CUDA where there is one.

Knows PyTorch and NumPy only. A primitive is PyTorch's own function wherever that keeps the contract, without a layer in between.
Start at `_primitive`, which fills the gaps in PyTorch's tables of kernels, then at `value_and_grad`.
"""

from __future__ import annotations

import contextlib
import functools
import math
import operator
import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch.utils.checkpoint import checkpoint

from nyala.engines import _torch_products as products
from nyala.engines import _torch_windows as windows
from nyala.engines import using
from nyala.engines._memory import keep_freed_memory
from nyala.engines._torch_fast import FAST
from nyala.engines._torch_lists import RULES, TensorList
from nyala.engines._torch_recording import recording
from nyala.engines._torch_replay import record
from nyala.engines.protocol import Engine, Shape, Tensor, Tree

_NAMES = ("bool int8 int16 int32 int64 uint8 uint16 uint32 uint64 float16 bfloat16 float32 float64 complex64 complex128 "
          "float8_e4m3fn float8_e4m3fnuz float8_e5m2 float8_e5m2fnuz")  # fmt: skip
_DTYPES = {name: getattr(torch, name) for name in _NAMES.split()}
_NAME_OF = {dtype: name for name, dtype in _DTYPES.items()}
_UNSIGNED = (torch.uint16, torch.uint32, torch.uint64)
_WIDER = (
    dict.fromkeys(_UNSIGNED, torch.int64)
    | {dtype: torch.float32 for name, dtype in _DTYPES.items() if name in ("float16", "bfloat16") or name.startswith("float8")}
    | {torch.bool: torch.uint8}
)


def _is_foreign(name: str) -> bool:
    """Whether a dtype of this name is unknown to NumPy, so that its arrays are of ml_dtypes."""
    return name.startswith(("bfloat", "float8"))


# Where PyTorch has no kernel ------------------------------------------------------------------------------------------------


def _widened(function: Callable, args: tuple) -> Any:
    """function in a wider dtype and its results cast back, or None if no argument has one.

    uint64 passes through int64, so its order and quotients hold below 2**63."""
    narrow = next((x.dtype for x in args if isinstance(x, torch.Tensor) and x.dtype in _WIDER), None)
    if narrow is None:
        return None
    wide = _WIDER[narrow]
    result = function(*(x.to(wide) if isinstance(x, torch.Tensor) and x.dtype == narrow else x for x in args))
    return _map(lambda x: x.to(narrow) if x.dtype == wide else x, result)


def _primitive(function: Callable) -> Callable:
    """The function, and where PyTorch has no kernel for a dtype the same in a wider one."""

    @functools.wraps(function)
    def primitive(*args: Any, **options: Any) -> Any:
        try:
            return function(*args, **options)
        except NotImplementedError:
            result = _widened(functools.partial(function, **options), args)
            if result is None:
                raise
            return result

    return primitive


def _bound(function: Callable) -> staticmethod:
    """`_primitive`, as an attribute of the engine."""
    return staticmethod(_primitive(function))


def _binary(function: Callable) -> staticmethod:
    """`_primitive` of two operands, which may be Python scalars: the same with less to do per call."""

    def primitive(x: Any, y: Any) -> Tensor:
        try:
            return function(x, y)
        except NotImplementedError:
            result = _widened(function, (x, y))
            if result is None:
                raise
            return result

    return staticmethod(primitive)


def _binary_of_tensors(function: Callable) -> staticmethod:
    """`_binary` for a function that takes tensors only."""

    scalar: Any = torch.scalar_tensor

    def lifted(x: Any, y: Any) -> Tensor:
        if isinstance(x, (bool, int, float, np.generic)):
            x = scalar(x, dtype=y.dtype, device=y.device)
        elif isinstance(y, (bool, int, float, np.generic)):
            y = scalar(y, dtype=x.dtype, device=x.device)
        return function(x, y)

    return _binary(lifted)


def _divided_by_zero(function: Callable) -> Callable:
    """A division that gives 0 where an integer is divided by 0."""

    def divided(x: Any, y: Any) -> Tensor:
        if not isinstance(y, torch.Tensor):
            return function(x, y) if y or x.dtype.is_floating_point else torch.zeros_like(x)
        if y.dtype.is_floating_point:
            return function(x, y)
        zero = y == 0
        return torch.where(zero, 0, function(x, torch.where(zero, 1, y)))

    return divided


# Trees, recording -----------------------------------------------------------------------------------------------------------


def _map(function: Callable, tree: Tree) -> Tree:
    """function of every leaf of nested lists, tuples and dicts."""
    if isinstance(tree, dict):
        return {key: _map(function, value) for key, value in tree.items()}
    if isinstance(tree, (list, tuple)):
        parts = [_map(function, part) for part in tree]
        return parts if isinstance(tree, list) else tuple(parts)
    return function(tree)


def _plain_tuple(function: Callable) -> staticmethod:
    """The function, whose named tuple becomes a tuple."""
    return staticmethod(lambda *args: tuple(function(*args)))


def _detach(x: Any) -> Any:
    return x.detach() if isinstance(x, torch.Tensor) else x


class _CustomGradient(torch.autograd.Function):
    """One call of a function that brings its own gradient."""

    @staticmethod
    def forward(ctx: Any, engine: Engine, function: Callable, structure: list, *tensors: Tensor) -> tuple[Tensor, ...]:
        output, gradient = function(*tensors)
        leaves: list[Tensor] = []
        structure.append(_map(leaves.append, output))
        ctx.engine, ctx.function, ctx.gradient, ctx.structure = engine, function, gradient, structure[0]
        ctx.save_for_backward(*tensors)
        return tuple(leaf.detach() for leaf in leaves)  # new objects: `gradient` may hold the old ones without a cycle through the graph

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Tensor | None, ...]:
        parts = iter(upstream)
        with using(ctx.engine):  # PyTorch may call from a thread of its own
            gradient = ctx.gradient
            if torch.is_grad_enabled():  # inside another gradient what it keeps from the forward pass needs a history: make it again
                _, gradient = ctx.function(*ctx.saved_tensors)
            return None, None, None, *gradient(_map(lambda _: next(parts), ctx.structure))


class TorchEngine(Engine):
    """See `Engine` for the contract of every method.

    Environment, read when the engine starts: NYALA_MALLOC=default leaves the C library's memory settings alone.
    """

    name = "torch"
    fast: dict[str, Callable] = FAST
    together = TensorList
    records = True
    has_backward = True
    rules = RULES

    def __init__(self) -> None:
        keep_freed_memory()
        self._device = torch.device("cuda:0" if torch.cuda.is_available() else "mps:0" if torch.backends.mps.is_available() else "cpu")

    # Tensors and the host ---------------------------------------------------------------------------------------------------

    def asarray(self, value: Any, dtype: str | None = None) -> Tensor:
        if isinstance(value, torch.Tensor):
            target = self.canonical_dtype(dtype or _NAME_OF[value.dtype])
            return value.to(self._device, _DTYPES[target], copy=True)
        if isinstance(value, (list, tuple)) and any(isinstance(part, torch.Tensor) for part in value):
            parts = torch.stack([self.asarray(part) for part in value])
            return parts if dtype is None else self.cast(parts, dtype)
        return self.adopt(np.array(np.asarray(value), order="C"), dtype)  # a copy, which the tensor may keep

    @contextlib.contextmanager
    def leaves(self, values: Sequence[Tensor]) -> Iterator[list[Tensor]]:
        with torch.enable_grad():
            yield [x.detach().clone().requires_grad_(x.is_floating_point()) for x in values]

    def leaf(self, value: Tensor, leaf: Tensor | None = None) -> Tensor:
        if leaf is None:
            return value.detach().requires_grad_(value.is_floating_point())
        if leaf.data_ptr() != value.data_ptr():
            leaf.data = value.detach()
        return leaf

    def settled(self, value: Tensor) -> Tensor:
        return value.detach() if value.requires_grad else value

    def adopt(self, array: np.ndarray, dtype: str | None) -> Tensor:
        target = self.canonical_dtype(dtype or array.dtype.name)
        if _is_foreign(array.dtype.name):  # carried over as bits
            bits = torch.from_numpy(array.view(f"int{8 * array.itemsize}")).view(_DTYPES[array.dtype.name])
        else:
            bits = torch.from_numpy(array if array.dtype.isnative else array.astype(array.dtype.newbyteorder("=")))
        return bits.to(_DTYPES[target]).to(self._device)

    def to_numpy(self, x: Tensor) -> np.ndarray:
        return np.array(self.borrow(x), order="C")

    def borrow(self, x: Tensor) -> np.ndarray:
        name = _NAME_OF[x.dtype]
        if _is_foreign(name):
            import ml_dtypes  # only here, so that PyTorch and NumPy are enough for everybody else

            bits = x.detach().cpu().contiguous().view(torch.int16 if name == "bfloat16" else torch.int8)
            return bits.numpy().view(getattr(ml_dtypes, name))
        return np.asarray(x.numpy(force=True), order="C")

    def arranged(self, kernel: Tensor) -> Tensor:
        return windows.arranged(kernel)

    def is_tensor(self, value: Any) -> bool:
        return isinstance(value, torch.Tensor)

    def dtype(self, x: Tensor) -> str:
        return _NAME_OF[x.dtype]

    def canonical_dtype(self, dtype: str) -> str:
        return {"float64": "float32", "complex128": "complex64"}.get(dtype, dtype) if self._device.type == "mps" else dtype

    def block(self, tree: Tree) -> Tree:
        if self._device.type != "cpu":
            getattr(torch, self._device.type).synchronize()
        return tree

    def devices(self) -> list[str]:
        accelerators = torch.cuda.device_count() if self._device.type == "cuda" else int(self._device.type == "mps")
        return [*(f"gpu:{i}" for i in range(accelerators)), "cpu:0"]

    # Transforms -------------------------------------------------------------------------------------------------------------

    def compile(self, function: Callable, donate: Sequence[int] = ()) -> Callable:
        @functools.wraps(function)
        def run(*args: Tree) -> Tree:
            if recording.depth:  # part of a loss
                return function(*args)
            with torch.no_grad():
                return function(*args)

        return run

    def record(self, function: Callable, written: Sequence[Any], only_read: Sequence[Any], args: Tree) -> Callable | None:
        return record(function, written, only_read, args)

    def value_and_grad(self, function: Callable) -> Callable:
        def run(values: Sequence[Tensor]) -> tuple[tuple[Tensor, Tree], list[Tensor]]:
            nested = recording.depth > 0
            with torch.enable_grad(), recording.deeper(recording.order + 1):
                # Inside another gradient a value keeps its history, under a name of its own: other uses of it are constants here.
                leaves = [x.view_as(x) if nested and x.requires_grad else x.detach().requires_grad_() for x in values]
                loss, aux = function(leaves)
                if leaves and loss.requires_grad:
                    gradients = torch.autograd.grad(loss, leaves, create_graph=nested, allow_unused=True, materialize_grads=True)
                else:
                    gradients = [torch.zeros_like(x, requires_grad=False) for x in leaves]
            if not nested:
                loss, aux = loss.detach(), _map(_detach, aux)
            return (loss, aux), list(gradients)

        return run

    def vmap(self, function: Callable, in_axes: Any = 0, out_axes: Any = 0) -> Callable:
        return torch.func.vmap(function, tuple(in_axes) if isinstance(in_axes, list) else in_axes, out_axes)

    def make_deterministic(self, wanted: bool) -> None:
        if wanted:  # read when CUDA's library of products starts
            os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.use_deterministic_algorithms(wanted, warn_only=True)  # it warns of the few operations that have no such algorithm
        torch.backends.cudnn.deterministic = wanted
        setting: Any = torch.utils.deterministic
        setting.fill_uninitialized_memory = False  # no memory is read here before it is written

    def profiler(self, folder: str) -> Any:
        return torch.profiler.profile(on_trace_ready=torch.profiler.tensorboard_trace_handler(folder))

    def remat(self, function: Callable) -> Callable:
        def run(*args: Any) -> Any:
            if not torch.is_grad_enabled():
                return function(*args)
            order = recording.order

            def recorded(*args: Any) -> Any:
                with using(self), recording.deeper(order):  # PyTorch may call again from a thread of its own
                    return function(*args)

            return checkpoint(recorded, *args, use_reentrant=False, preserve_rng_state=False)

        return run

    stop_gradient = staticmethod(torch.detach)  # pyright: ignore[reportAssignmentType]  # called on an engine, it takes the same

    def custom_gradient(self, function: Callable) -> Callable:
        def run(*tensors: Tensor) -> Tree:
            if not torch.is_grad_enabled() or not any(x.requires_grad for x in tensors):
                return function(*tensors)[0]
            structure: list[Tree] = []
            leaves = iter(_CustomGradient.apply(self, function, structure, *tensors))
            return _map(lambda _: next(leaves), structure[0])

        return run

    # Elementwise ------------------------------------------------------------------------------------------------------------

    negative, abs = _bound(torch.neg), _bound(lambda x: x if x.dtype in _UNSIGNED else torch.abs(x))
    exp, expm1, log, log1p = staticmethod(torch.exp), staticmethod(torch.expm1), staticmethod(torch.log), staticmethod(torch.log1p)
    sqrt, rsqrt = staticmethod(torch.sqrt), staticmethod(torch.rsqrt)
    sin, cos, tan = staticmethod(torch.sin), staticmethod(torch.cos), staticmethod(torch.tan)
    arcsin, arccos, arctan = staticmethod(torch.asin), staticmethod(torch.acos), staticmethod(torch.atan)
    sinh, cosh, tanh = staticmethod(torch.sinh), staticmethod(torch.cosh), staticmethod(torch.tanh)
    arcsinh, arccosh, arctanh = staticmethod(torch.asinh), staticmethod(torch.acosh), staticmethod(torch.atanh)
    sigmoid, erf, erfinv = staticmethod(torch.sigmoid), staticmethod(torch.erf), staticmethod(torch.erfinv)
    lgamma, digamma = staticmethod(torch.lgamma), staticmethod(torch.digamma)
    floor, ceil, round = staticmethod(torch.floor), staticmethod(torch.ceil), staticmethod(torch.round)
    isfinite, isnan = staticmethod(torch.isfinite), staticmethod(torch.isnan)

    @staticmethod
    @_primitive
    def sign(x: Tensor) -> Tensor:
        x = torch.detach(x)
        return torch.where(torch.eq(x, x), torch.sign(x), x)  # torch.sign has 0 for nan

    add, subtract, multiply, divide = _binary(operator.add), _binary(operator.sub), _binary(operator.mul), _binary(operator.truediv)
    floor_divide = _binary(_divided_by_zero(lambda x, y: _detach(x) // _detach(y)))
    remainder = _binary_of_tensors(_divided_by_zero(torch.remainder))
    power, arctan2 = _binary(operator.pow), _binary_of_tensors(torch.atan2)
    maximum, minimum = _binary_of_tensors(torch.maximum), _binary_of_tensors(torch.minimum)
    equal, not_equal, less = _binary(operator.eq), _binary(operator.ne), _binary(operator.lt)
    less_equal, greater, greater_equal = _binary(operator.le), _binary(operator.gt), _binary(operator.ge)
    logical_not, logical_and, logical_or = staticmethod(operator.invert), staticmethod(operator.and_), staticmethod(operator.or_)
    bitwise_not, bitwise_and = _bound(operator.invert), staticmethod(operator.and_)
    bitwise_or, bitwise_xor = staticmethod(operator.or_), staticmethod(operator.xor)
    left_shift, right_shift, where = _binary(operator.lshift), _binary(operator.rshift), staticmethod(torch.where)

    def cast(self, x: Tensor, dtype: str) -> Tensor:
        target = _DTYPES[self.canonical_dtype(dtype)]
        return (x.real if x.is_complex() and not target.is_complex and target != torch.bool else x).to(target)

    # Reductions: PyTorch takes () for all axes ------------------------------------------------------------------------------

    @staticmethod
    @_primitive
    def sum(x: Tensor, axes: Shape, keepdims: bool) -> Tensor:
        return torch.sum(x, axes, keepdims, dtype=x.dtype) if axes else x

    @staticmethod
    @_primitive
    def prod(x: Tensor, axes: Shape, keepdims: bool) -> Tensor:
        for axis in reversed(axes):
            x = torch.prod(x, axis, keepdims, dtype=x.dtype)
        return x

    @staticmethod
    @_primitive
    def max(x: Tensor, axes: Shape, keepdims: bool) -> Tensor:
        return torch.amax(x, axes, keepdims) if axes else x

    @staticmethod
    @_primitive
    def min(x: Tensor, axes: Shape, keepdims: bool) -> Tensor:
        return torch.amin(x, axes, keepdims) if axes else x

    @staticmethod
    def any(x: Tensor, axes: Shape, keepdims: bool) -> Tensor:
        return torch.any(x, axes, keepdims) if axes else x

    @staticmethod
    def all(x: Tensor, axes: Shape, keepdims: bool) -> Tensor:
        return torch.all(x, axes, keepdims) if axes else x

    @staticmethod
    @_primitive
    def argmax(x: Tensor, axis: int) -> Tensor:
        return torch.argmax(x.byte() if x.dtype == torch.bool else x, axis).to(torch.int32)

    @staticmethod
    @_primitive
    def argmin(x: Tensor, axis: int) -> Tensor:
        return torch.argmin(x.byte() if x.dtype == torch.bool else x, axis).to(torch.int32)

    @staticmethod
    @_primitive
    def cumsum(x: Tensor, axis: int) -> Tensor:
        return torch.cumsum(x, axis, dtype=x.dtype)

    @staticmethod
    @_primitive
    def cumprod(x: Tensor, axis: int) -> Tensor:
        return torch.cumprod(x, axis, dtype=x.dtype)

    @staticmethod
    @_primitive
    def cummax(x: Tensor, axis: int) -> Tensor:
        return torch.cummax(x, axis)[0]

    # Shape moves ------------------------------------------------------------------------------------------------------------

    reshape, transpose = staticmethod(torch.reshape), staticmethod(torch.permute)
    broadcast_to, concatenate, flip = staticmethod(torch.broadcast_to), staticmethod(torch.cat), _bound(torch.flip)

    @staticmethod
    def slice(x: Tensor, starts: Shape, stops: Shape, steps: Shape) -> Tensor:
        return x[tuple(map(slice, starts, stops, steps))]

    # Indexing ---------------------------------------------------------------------------------------------------------------

    @staticmethod
    def take(x: Tensor, indices: Tensor, axis: int) -> Tensor:
        if x.requires_grad and x.ndim == 2 and axis == 0:  # its gradient is far faster than that of indexing
            return torch.nn.functional.embedding(_count_from_start(indices, x.shape[0]), x)
        return x[(slice(None),) * axis + (indices,)]

    @staticmethod
    @_primitive
    def take_along_axis(x: Tensor, indices: Tensor, axis: int) -> Tensor:
        sizes = [1 if i == axis else size for i, size in enumerate(torch.broadcast_shapes(*(_without(t.shape, axis) for t in (x, indices))))]
        indices = indices.expand([-1 if i == axis else size for i, size in enumerate(sizes)])
        x = x.expand([-1 if i == axis else size for i, size in enumerate(sizes)])
        try:
            return torch.gather(x, axis, _count_from_start(indices, x.shape[axis]).long())
        except RuntimeError as error:
            if "out of bounds" in str(error):
                raise IndexError(str(error)) from None
            raise

    @staticmethod
    @_primitive
    def scatter(x: Tensor, indices: Tensor, updates: Tensor, mode: str) -> Tensor:
        where = indices.unbind(1)
        if mode in ("set", "add"):
            return x.index_put(where, updates, accumulate=mode == "add")
        kept = x.shape[len(where) :]
        rows = torch.arange(math.prod(x.shape[: len(where)]), device=x.device).reshape(x.shape[: len(where)])[where]
        reduction = {"multiply": "prod", "max": "amax", "min": "amin"}[mode]
        rows = rows.reshape(-1, *(1,) * len(kept)).expand(updates.shape)
        return x.reshape(-1, *kept).scatter_reduce(0, rows, updates, reduction).reshape(x.shape)

    @staticmethod
    def dynamic_slice(x: Tensor, starts: Sequence[Tensor | int], sizes: Shape) -> Tensor:
        for axis, (start, size) in enumerate(zip(starts, sizes, strict=True)):
            last = x.shape[axis] - size
            if isinstance(start, torch.Tensor):  # without asking the device for its value
                x = x.index_select(axis, start.long().clamp(0, last) + torch.arange(size, device=x.device))
            else:
                x = x.narrow(axis, max(0, min(start, last)), size)
        return x

    @staticmethod
    @_primitive
    def dynamic_update_slice(x: Tensor, update: Tensor, starts: Sequence[Tensor | int]) -> Tensor:
        places = []
        for axis, start in enumerate(starts):
            size, last = update.shape[axis], x.shape[axis] - update.shape[axis]
            start = start.long().clamp(0, last) if isinstance(start, torch.Tensor) else max(0, min(start, last))
            places.append((torch.arange(size, device=x.device) + start).reshape(-1, *(1,) * (x.ndim - 1 - axis)))
        return x.index_put(tuple(places), update) if places else update

    @staticmethod
    @_primitive
    def nonzero(x: Tensor) -> tuple[Tensor, ...]:
        return torch.nonzero(x).to(torch.int32).unbind(1)

    # Order ------------------------------------------------------------------------------------------------------------------

    @staticmethod
    @_primitive
    def sort(x: Tensor, axis: int) -> Tensor:
        return torch.sort(x, axis)[0]

    @staticmethod
    @_primitive
    def argsort(x: Tensor, axis: int) -> Tensor:
        return torch.sort(x, dim=axis, stable=True)[1].to(torch.int32)

    @staticmethod
    @_primitive
    def top_k(x: Tensor, k: int) -> tuple[Tensor, Tensor]:
        values, indices = torch.sort(x, dim=-1, descending=True, stable=True)  # torch.topk promises no order among equals
        return values[..., :k], indices[..., :k].to(torch.int32)

    @staticmethod
    @_primitive
    def searchsorted(sequence: Tensor, values: Tensor, side: str) -> Tensor:
        return torch.searchsorted(sequence.contiguous(), values.contiguous(), side=side, out_int32=True)

    # Contractions -----------------------------------------------------------------------------------------------------------

    matmul = _bound(lambda x, y: products.matmul(x, y) if products.suits(x, y) else _contract(torch.matmul, x, y))
    einsum = _bound(lambda equation, *operands: _contract(functools.partial(torch.einsum, equation), *operands))

    # Windows ----------------------------------------------------------------------------------------------------------------

    pad, conv, conv_input_gradient = staticmethod(windows.pad), _bound(windows.conv), _bound(windows.conv_input_gradient)
    conv_kernel_gradient, max_pool, sum_pool = _bound(windows.conv_kernel_gradient), _bound(windows.max_pool), _bound(windows.sum_pool)

    # Linear algebra ---------------------------------------------------------------------------------------------------------

    cholesky = staticmethod(torch.linalg.cholesky)
    eigh, eig, qr, svd = (_plain_tuple(function) for function in (torch.linalg.eigh, torch.linalg.eig, torch.linalg.qr, torch.linalg.svd))

    @staticmethod
    def solve(a: Tensor, b: Tensor) -> Tensor:
        return torch.linalg.solve(a, b.expand(*a.shape[:-2], *b.shape[-2:]) if b.ndim < a.ndim else b)  # else b might pass for vectors

    @staticmethod
    def triangular_solve(a: Tensor, b: Tensor, lower: bool) -> Tensor:
        return torch.linalg.solve_triangular(a, b, upper=not lower)

    @staticmethod
    def lu(x: Tensor) -> tuple[Tensor, Tensor]:
        packed, pivots, _ = torch.linalg.lu_factor_ex(x)
        return packed, pivots - 1

    # Complex numbers and Fourier transforms ---------------------------------------------------------------------------------

    complex, real, imag = staticmethod(torch.complex), staticmethod(torch.real), staticmethod(torch.imag)

    @staticmethod
    def fft(x: Tensor, axis: int) -> Tensor:
        return torch.fft.fft(x, dim=axis) if x.numel() else x  # its library refuses nothing at all

    @staticmethod
    def ifft(x: Tensor, axis: int) -> Tensor:
        return torch.fft.ifft(x, dim=axis) if x.numel() else x

    # Random bits ------------------------------------------------------------------------------------------------------------

    @staticmethod
    def random_bits(key: Tensor, shape: Shape) -> Tensor:
        size, device = math.prod(shape), key.device
        step = 2**16 if device.type == "cpu" else 2**30  # on a CPU what stays in the cache; both divide 2**31
        parts = [_threefry(key.view(torch.int32), start, min(step, size - start)) for start in range(0, size, step)]
        bits = parts[0] if len(parts) == 1 else torch.cat(parts) if parts else torch.empty(0, dtype=torch.int32, device=device)
        return bits.view(torch.uint32).reshape(shape)

    # Creation ---------------------------------------------------------------------------------------------------------------

    def full(self, shape: Shape, value: Any, dtype: str) -> Tensor:
        return torch.full(shape, value, dtype=_DTYPES[self.canonical_dtype(dtype)], device=self._device)

    def arange(self, size: int, dtype: str) -> Tensor:
        return torch.arange(size, device=self._device).to(_DTYPES[self.canonical_dtype(dtype)])

    # Control flow -----------------------------------------------------------------------------------------------------------

    def cond(self, predicate: Tensor, true_fn: Callable, false_fn: Callable, operands: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        return (true_fn if predicate else false_fn)(*operands)

    def while_loop(self, condition: Callable, body: Callable, state: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        while condition(*state):
            state = body(*state)
        return state

    def scan(
        self, body: Callable, carry: tuple[Tensor, ...], xs: tuple[Tensor, ...], length: int, reverse: bool, unroll: int | bool
    ) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
        if length == 0:  # one turn on zeros, only for the shapes of the ys
            _, y = body(carry, tuple(x.new_zeros(x.shape[1:]) for x in xs))
            return carry, tuple(part.new_zeros((0, *part.shape)) for part in y)
        steps = list(zip(*(x.unbind(0) for x in xs), strict=True)) if xs else [()] * length
        ys = []
        for x in reversed(steps) if reverse else steps:
            carry, y = body(carry, x)
            ys.append(y)
        return carry, tuple(torch.stack(parts) for parts in zip(*(reversed(ys) if reverse else ys), strict=True))


# Indices, contractions, bits --------------------------------------------------------------------------------------------------


def _count_from_start(indices: Tensor, size: int) -> Tensor:
    """Indices without negative ones."""
    return torch.where(indices < 0, indices + size, indices)


def _without(shape: Shape, axis: int) -> Shape:
    """shape with size 1 at axis."""
    return (*shape[:axis], 1, *shape[axis + 1 :])


def _contract(function: Callable, *operands: Tensor) -> Tensor:
    """A contraction in the dtype of its operands; PyTorch sums integers in int64, and on an accelerator not at all."""
    dtype = operands[0].dtype
    if dtype.is_floating_point or dtype.is_complex:
        return function(*operands)
    if operands[0].device.type == "cpu":
        return function(*(x.long() for x in operands)).to(dtype)
    return function(*(x.double() for x in operands)).to(torch.int64).to(dtype)  # exact while sums stay below 2**53


def _threefry(key: Tensor, start: int, size: int) -> Tensor:
    """The bits of elements start, ..., start + size - 1, which share the upper half of their number. int32 wraps as uint32 does."""
    keys = (key[0], key[1], key[0] ^ key[1] ^ 0x1BD11BDA)
    low = (start & 0xFFFFFFFF) - ((start & 0x80000000) << 1)
    a, b = keys[0] + (start >> 32), torch.arange(size, dtype=torch.int32, device=key.device) + (keys[1] + low)
    for block in range(5):
        for rotation in ((13, 15, 26, 6), (17, 29, 16, 24))[block % 2]:
            a = a.add_(b) if a.ndim else a + b
            rotated = (b >> (32 - rotation)).bitwise_and_((1 << rotation) - 1).add_(b, alpha=1 << rotation)
            b = rotated.bitwise_xor_(a)
        a.add_(keys[(block + 1) % 3])
        b.add_(keys[(block + 2) % 3] + (block + 1))
    return a.bitwise_xor_(b)
