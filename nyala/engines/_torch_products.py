# SPDX-License-Identifier: Apache-2.0
"""Products of float32 matrices by oneDNN, on processors of AMD with AVX-512.

PyTorch asks MKL for them, which uses half the width of such a processor; oneDNN, which PyTorch brings for convolutions, uses it all.
Its kernel reads the left factor row by row, so a transposed one is copied first. Which library computes depends on sizes and the processor
alone, never on a measurement: the same numbers come out each time. Start at suits and matmul.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd import forward_ad

LEAST = 2**21  # multiplications; the call itself costs some microseconds more than MKL's
LEAST_ROWS = 4  # below, what counts is reading the right factor
WORTH_A_COPY = 100  # multiplications for each number that is copied


def _find() -> Any:
    """oneDNN's kernel as a function of (x, transposed y), or None where it does not help or is not there."""
    about = getattr(torch.cpu, "get_capabilities", dict)()
    amd = "AMD" in about.get("cpu_name", "") and about.get("avx512_f", False)
    if not amd or not torch.backends.mkl.is_available() or not torch.backends.mkldnn.is_available():
        return None
    kernel = getattr(torch.ops.mkldnn, "_linear_pointwise", None)
    x, y = torch.arange(6.0).reshape(2, 3), torch.arange(12.0).reshape(3, 4)
    try:
        return kernel.default if kernel is not None and torch.equal(kernel.default(x, y.t(), None, "none", [], ""), x @ y) else None
    except (RuntimeError, TypeError):  # another signature
        return None


_kernel = _find()


def suits(x: Tensor, y: Tensor) -> bool:
    """Whether this is a large product of plain float32 tensors on the host, y of two axes, that nobody but autograd looks at."""
    if _kernel is None or type(x) is not Tensor or type(y) is not Tensor or y.ndim != 2 or x.ndim < 2:
        return False
    rows = x.numel() // max(y.shape[0], 1)
    if rows < LEAST_ROWS or rows * y.numel() < LEAST or x.shape[-1] != y.shape[0]:
        return False
    if not x.dtype == y.dtype == torch.float32 or not x.device.type == y.device.type == "cpu":
        return False
    watched = torch._C._are_functorch_transforms_active() or forward_ad._current_level >= 0 or torch.compiler.is_compiling()
    return not watched and torch._C._get_mkldnn_enabled() and not torch.is_autocast_enabled("cpu")


def matmul(x: Tensor, y: Tensor) -> Tensor:
    """x y of tensors that suit."""
    return _product(x.reshape(-1, x.shape[-1]), y).reshape(*x.shape[:-1], y.shape[1])


def _product(x: Tensor, y: Tensor) -> Tensor:
    if torch.is_grad_enabled() and (x.requires_grad or y.requires_grad):
        return _Product.apply(x, y)
    if torch._C._are_functorch_transforms_active():  # many gradients at once
        return torch.mm(x, y)
    dense = y.is_contiguous() or y.t().is_contiguous()
    return _kernel(x, (y if dense else y.contiguous()).t(), None, "none", [], "")


def _transposed_product(x: Tensor, y: Tensor) -> Tensor:
    """x' y, by the way that copies least."""
    result = x.shape[1] * y.shape[1]
    left, right = x.numel(), y.numel() + result  # whoever reads a transposed result copies it, too
    if result * x.shape[0] < WORTH_A_COPY * min(left, right):
        return torch.mm(x.t(), y)
    return _product(x.t(), y) if left <= right else _product(y.t(), x).t()


class _Product(torch.autograd.Function):
    @staticmethod
    def forward(x: Tensor, y: Tensor) -> Tensor:
        return _product(x, y)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple, output: Tensor) -> None:
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx: Any, upstream: Tensor) -> tuple:  # pyright: ignore[reportIncompatibleMethodOverride]  # as PyTorch shows it to be done
        x, y = ctx.saved_tensors
        wanted_x, wanted_y = ctx.needs_input_grad
        return _product(upstream, y.t()) if wanted_x else None, _transposed_product(x, upstream) if wanted_y else None
