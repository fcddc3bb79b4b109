# SPDX-License-Identifier: Apache-2.0
"""Updates of many variables at once: a list of tensors that computes as one, and Adam as one kernel that works in place.

An optimizer's rule costs PyTorch some microseconds per operation and variable. On a TensorList it runs once, by PyTorch's operations on lists.
Start at TensorList; `reusable` says when memory may be written to.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor

from nyala.engines._torch_recording import recording
from nyala.engines._torch_windows import as_it_lies, is_arranged

WIDE = (torch.float32, torch.float64)


class TensorList:
    """Tensors of one dtype on which arithmetic and PyTorch's elementwise functions act one by one; iterating gives them."""

    __slots__ = ("parts",)

    def __init__(self, parts: list[Tensor]) -> None:
        self.parts = parts

    def __iter__(self) -> Iterator[Tensor]:
        return iter(self.parts)

    @property
    def dtype(self) -> torch.dtype:
        return self.parts[0].dtype

    @property
    def device(self) -> torch.device:
        return self.parts[0].device

    @classmethod
    def __torch_function__(cls, function: Callable, types: Any, args: Sequence = (), kwargs: dict | None = None) -> TensorList:
        return _apply(function, *args, **kwargs or {})

    def __neg__(self) -> TensorList:
        return _apply(torch.neg, self)

    def __add__(self, other: Any) -> TensorList:
        return _apply(torch.add, self, other)

    def __sub__(self, other: Any) -> TensorList:
        return _apply(torch.sub, self, other)

    def __mul__(self, other: Any) -> TensorList:
        return _apply(torch.mul, self, other)

    def __truediv__(self, other: Any) -> TensorList:
        return _apply(torch.div, self, other)

    def __pow__(self, other: Any) -> TensorList:
        return _apply(torch.pow, self, other)

    def __rsub__(self, other: Any) -> TensorList:
        return -self + other

    def __rtruediv__(self, other: Any) -> TensorList:
        return _apply(torch.reciprocal, self) * other

    __radd__, __rmul__ = __add__, __mul__


def _apply(function: Callable, *args: Any, **kwargs: Any) -> TensorList:
    """function of each part, by PyTorch's function for lists where it takes such operands."""
    first, *others = args
    on_lists = getattr(torch, f"_foreach_{function.__name__}", None)
    if on_lists is not None and isinstance(first, TensorList) and not kwargs and all(isinstance(x, (TensorList, int, float)) for x in others):
        return TensorList(list(on_lists(first.parts, *(x.parts if isinstance(x, TensorList) else x for x in others))))
    number = next(len(x.parts) for x in args if isinstance(x, TensorList))
    rows = ((x.parts[i] if isinstance(x, TensorList) else x for x in args) for i in range(number))
    return TensorList([function(*row, **kwargs) for row in rows])


# Memory that nobody else can see ------------------------------------------------------------------------------------------------


def _holders(parts: list[Tensor]) -> list[tuple[int, int]]:
    """How often Python holds each tensor of the list, and PyTorch its memory (views, arrays, history)."""
    return [(sys.getrefcount(x), torch._C._storage_Use_Count(x.untyped_storage()._cdata)) for x in parts]


def _holders_of_own() -> tuple[int, int]:
    """`_holders` of a tensor that one attribute and the list hold, and nothing else."""
    owner = SimpleNamespace(value=torch.zeros(2))
    return _holders([owner.value])[0]


_OWN = _holders_of_own()


def reusable(parts: list[Tensor]) -> list[Tensor]:
    """The tensors, each held by one attribute and this list; those that someone else may look at as copies."""
    return [
        x if (held == _OWN or recording.owned) and (x.is_contiguous() or is_arranged(x)) else _copy(x)
        for x, held in zip(parts, _holders(parts), strict=True)
    ]


def _copy(x: Tensor) -> Tensor:
    return x.clone(memory_format=torch.preserve_format if is_arranged(x) else torch.contiguous_format)


def like(x: Tensor, other: Tensor) -> Tensor:
    """x with its values in the order of memory of another tensor of its shape: kernels that go from one end to the other ask for that."""
    if x.shape != other.shape or (x.is_contiguous() and other.is_contiguous()) or (is_arranged(x) and is_arranged(other)):
        return x
    return torch.empty_strided(other.shape, other.stride(), dtype=x.dtype, device=x.device).copy_(x)


# Rules --------------------------------------------------------------------------------------------------------------------------


def adam(
    gradient: Any, value: Any, slots: dict[str, Any], rate: Tensor, *, beta_1: float, beta_2: float, epsilon: float, amsgrad: bool = False
) -> Any:
    """The shortcut for the rule of Adam: one kernel, which writes into the variables where nobody would notice.

    The kernel's own correction of the first steps is turned off by a step count of infinity: the rate has it already."""
    if not isinstance(value, TensorList) or value.parts[0].dtype not in WIDE or value.parts[0].device.type not in ("cpu", "cuda"):
        return NotImplemented
    gradients = gradient.parts
    names = ("momentum", "velocity", "velocity_hat") if amsgrad else ("momentum", "velocity")
    before = [value.parts, *(slots[name].parts for name in names)]
    if any(x.requires_grad for parts in (gradients, *before) for x in parts):
        return NotImplemented
    values, *states = map(reusable, before)
    gradients, m, v, *rest = ([like(x, value) for x, value in zip(parts, values, strict=True)] for parts in (gradients, *states))
    step = torch.full((), torch.inf, device=values[0].device)
    highest = rest[0] if amsgrad else []
    flat = [list(map(as_it_lies, parts)) for parts in (values, gradients, m, v, highest)]  # of what is not contiguous, the kernel would take a copy
    kernel: Any = torch._fused_adam_  # pyright: ignore[reportPrivateImportUsage]  # there where RULES says so
    kernel(
        *flat, [step] * len(values),
        lr=rate, beta1=beta_1, beta2=beta_2, weight_decay=0.0, eps=epsilon, amsgrad=amsgrad, maximize=False,
    )  # fmt: skip
    return TensorList(values), dict(zip(names, map(TensorList, (m, v, *rest)), strict=True))


RULES: dict[str, Callable] = {"adam": adam} if hasattr(torch, "_fused_adam_") else {}
