# SPDX-License-Identifier: Apache-2.0
"""Shortcuts of the PyTorch engine: its own kernels for ops that are composed elsewhere.

A shortcut gets the arguments of the op's body, converted and promoted, and returns NotImplemented for what its kernel does otherwise:
other axes, wrong shapes (whose errors the body words), 16-bit floats that the body widens. Start at FAST.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from nyala.engines import _torch_recurrence as recurrence
from nyala.engines import _torch_windows as windows
from nyala.engines._torch_recording import recording

WIDE = (torch.float32, torch.float64)


def _relu(x: Tensor) -> Any:
    return NotImplemented if x.dtype == torch.bool else functional.relu(x)


def _softplus(x: Tensor) -> Tensor:
    return functional.softplus(x, threshold=40.0)


def _elu(x: Tensor, alpha: float = 1.0) -> Tensor:
    return functional.elu(x, alpha)


def _gelu(x: Tensor, approximate: bool = True) -> Any:
    return functional.gelu(x, approximate="tanh") if approximate else NotImplemented  # the other kernel is exact to 1e-4 only, and nan at infinity


def _along_one_axis(kernel: Callable) -> Callable:
    def shortcut(x: Tensor, axis: Any = -1) -> Any:
        return kernel(x, axis) if type(axis) is int and -x.ndim <= axis < x.ndim else NotImplemented

    return shortcut


def _trailing(x: Tensor, axis: Any, weights: tuple[Tensor | None, ...]) -> list[int] | None:
    """Sizes of x along axis, if that is its last axes in 32 bits or more and the weights fit; else None."""
    try:
        axes = sorted(a + x.ndim if a < 0 else a for a in (axis if isinstance(axis, (list, tuple)) else (axis,)))
    except TypeError:
        return None
    if x.dtype not in WIDE or not axes or axes != list(range(x.ndim - len(axes), x.ndim)) or 0 in x.shape:
        return None
    sizes = list(x.shape[axes[0] :])
    return sizes if all(w is None or (list(w.shape) == sizes and w.dtype == x.dtype) for w in weights) else None


def _layer_normalization(x: Tensor, gamma: Any = None, beta: Any = None, axis: Any = -1, epsilon: float | None = None, **kwargs: Any) -> Any:
    if any(kwargs.values()) or kwargs.keys() - {"rms_scaling"} or epsilon is None:
        return NotImplemented
    sizes = _trailing(x, axis, (gamma, beta))
    return NotImplemented if sizes is None else functional.layer_norm(x, sizes, gamma, beta, epsilon)


def _rms_normalization(x: Tensor, scale: Any = None, axis: Any = -1, epsilon: float | None = None) -> Any:
    sizes = None if epsilon is None else _trailing(x, axis, (scale,))
    return NotImplemented if sizes is None else functional.rms_norm(x, sizes, scale, epsilon)


def _windows_with_bias(x: Tensor, kernel: Tensor, bias: Tensor, *geometry: Any) -> Any:
    if recording.depth or x.dtype not in WIDE or not x.dtype == kernel.dtype == bias.dtype:
        return NotImplemented  # the convolution takes longer for the gradient of its bias than a sum of its own does
    return windows.conv_with_bias(x, kernel, bias, *geometry)


def _channels_second(x: Tensor, axis: Any, *weights: Tensor | None) -> Tensor | None:
    """x as the kernels of batch normalization take it, (b, c, ...), on the same memory; None if it or the weights are not for them.

    What has its channels last is shown with two axes after them: the kernels are quick where they know such memory.
    """
    if type(axis) is not int or not -x.ndim <= axis < x.ndim or x.ndim < 2 or x.dtype not in WIDE or 0 in x.shape:
        return None
    sizes = (x.shape[axis],)
    if any(w is not None and (w.shape != sizes or w.dtype != x.dtype) for w in weights):
        return None
    if axis % x.ndim == x.ndim - 1:
        return (x if x.ndim == 4 else x.reshape(1, -1, 1, *sizes)).permute(0, 3, 1, 2)
    return x if axis % x.ndim == 1 else None


def _batch_normalization(
    x: Tensor, mean: Tensor, variance: Tensor, axis: int, offset: Tensor | None = None, scale: Tensor | None = None, epsilon: float = 1e-3
) -> Any:
    if mean.requires_grad or variance.requires_grad:
        return NotImplemented  # constants to the kernel
    wide = _channels_second(x, axis, mean, variance, offset, scale)
    if wide is None:
        return NotImplemented
    result = torch.native_batch_norm(wide, scale, offset, mean, variance, False, 0.0, epsilon)[0]
    return result if wide is x else result.permute(0, 2, 3, 1).reshape(x.shape)


def _normalize_batch(x: Tensor, axis: int, offset: Tensor | None = None, scale: Tensor | None = None, epsilon: float = 1e-3) -> Any:
    wide = _channels_second(x, axis, offset, scale)
    if wide is None:
        return NotImplemented
    result, mean, factor = torch.native_batch_norm(wide, scale, offset, None, None, True, 0.0, epsilon)
    variance = factor.detach().pow(-2).sub_(epsilon).clamp_(min=0.0)
    return result if wide is x else result.permute(0, 2, 3, 1).reshape(x.shape), mean.detach(), variance


def _dot_product_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    bias: Tensor | None = None,
    mask: Tensor | None = None,
    scale: float | None = None,
    is_causal: bool = False,
    flash_attention: bool | None = None,
    attn_logits_soft_cap: float | None = None,
) -> Any:
    fits = query.ndim == key.ndim == value.ndim == 4 and key.shape[:3] == value.shape[:3] and query.shape[::2] == key.shape[::2]
    if not fits or query.shape[3] != key.shape[3] or attn_logits_soft_cap is not None or (mask is not None and mask.ndim != 4):
        return NotImplemented
    if query.dtype not in WIDE or not query.dtype == key.dtype == value.dtype or recording.order > 1:
        return NotImplemented  # the kernel has no second gradient
    query, key, value = (x.transpose(1, 2) for x in (query, key, value))  # b n t d
    terms = None if bias is None else bias.to(query.dtype)
    if mask is not None or (bias is not None and is_causal):
        seen = torch.ones(query.shape[2], key.shape[2], dtype=torch.bool, device=query.device)
        seen = seen.tril() if is_causal else seen
        seen = seen if mask is None else seen & mask.bool()
        some = seen.any(-1, keepdim=True)  # a row that sees nothing takes the mean: it sees all, with logits of 0
        query, seen, is_causal = torch.where(some, query, 0.0), seen | ~some, False
        terms = seen if terms is None else torch.where(seen, torch.where(some, terms, 0.0), -torch.inf)
    return functional.scaled_dot_product_attention(query, key, value, terms, is_causal=is_causal, scale=scale).transpose(1, 2)


def _attend(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None = None) -> Any:
    if query.dtype not in WIDE or recording.order > 1 or not query.shape[-3] == key.shape[-3] == value.shape[-3]:
        return NotImplemented  # the kernel has no second gradient
    if mask is None:
        return functional.scaled_dot_product_attention(query, key, value)
    some = mask.any(-1, keepdim=True)  # a row that sees nothing sees all for the kernel, and takes zeros afterwards
    return torch.where(some, functional.scaled_dot_product_attention(query, key, value, mask | ~some), 0.0)


class _BinaryCrossentropy(torch.autograd.Function):
    """PyTorch's own takes its logarithms one at a time; its gradient is in one pass."""

    generate_vmap_rule = True

    @staticmethod
    def forward(target: Tensor, x: Tensor, epsilon: float) -> tuple[Tensor, Tensor]:
        p = x.clamp(epsilon, 1.0 - epsilon)
        return torch.log(1.0 - p).mul_(1.0 - target).addcmul_(target, torch.log(p)).neg_(), p

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple, output: tuple) -> None:
        target, x, _ = inputs
        ctx.mark_non_differentiable(output[1])
        ctx.save_for_backward(target, x, output[1])

    @staticmethod
    def backward(ctx: Any, upstream: Tensor, _: Any) -> tuple:  # pyright: ignore[reportIncompatibleMethodOverride]  # as PyTorch shows it to be done
        target, x, p = ctx.saved_tensors
        gradient = torch.ops.aten.binary_cross_entropy_backward(upstream, p, target, None, 0)
        return None, torch.where(p == x, gradient, 0.0), None


def _binary_crossentropy_within(target: Tensor, output: Tensor, epsilon: float) -> Any:
    if output.dtype not in WIDE or target.dtype != output.dtype or target.shape != output.shape or target.requires_grad or recording.order > 1:
        return NotImplemented  # what is kept has no history for a second gradient
    return _BinaryCrossentropy.apply(target, output, epsilon)[0]


def _binary_crossentropy_of_logits(target: Tensor, x: Tensor) -> Any:
    if x.dtype not in WIDE or target.dtype != x.dtype or target.shape != x.shape or target.requires_grad:
        return NotImplemented
    return functional.binary_cross_entropy_with_logits(x, target, reduction="none")


def _chosen_class(target: Tensor, x: Tensor, axis: int) -> Any:
    if target.dtype not in (torch.int32, torch.int64) or not x.shape[axis]:
        return NotImplemented
    named = (target >= 0) & (target < x.shape[axis])
    index = torch.where(named, target, 0).to(torch.int64).unsqueeze(axis)
    return torch.where(named, torch.gather(x, axis, index).squeeze(axis), 0.0)


FAST: dict[str, Callable] = {
    "relu": _relu,
    "relu6": functional.relu6,
    "silu": functional.silu,
    "selu": functional.selu,
    "elu": _elu,
    "gelu": _gelu,
    "softplus": _softplus,
    "log_sigmoid": functional.logsigmoid,
    "hard_sigmoid": functional.hardsigmoid,
    "softmax": _along_one_axis(torch.softmax),
    "log_softmax": _along_one_axis(torch.log_softmax),
    "layer_normalization": _layer_normalization,
    "rms_normalization": _rms_normalization,
    "batch_normalization": _batch_normalization,
    "normalize_batch": _normalize_batch,
    "windows_with_bias": _windows_with_bias,
    "attend": _attend,
    "binary_crossentropy_of_logits": _binary_crossentropy_of_logits,
    "chosen_class": _chosen_class,
    "binary_crossentropy_within": _binary_crossentropy_within,
    "dot_product_attention": _dot_product_attention,
    "lstm_sequence": recurrence.lstm,
    "gru_sequence": recurrence.gru,
}
