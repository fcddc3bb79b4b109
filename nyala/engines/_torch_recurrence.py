# SPDX-License-Identifier: Apache-2.0
"""LSTM and GRU over time for the PyTorch engine: PyTorch's own, where the activations are the usual ones and no mask is given.

PyTorch has one row of weights per gate and unit, and the gates of a GRU in another order. Start at lstm.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from nyala.engines._torch_recording import recording


def lstm(
    inputs: Tensor,
    hidden: Tensor,
    cell: Tensor,
    kernel: Tensor,
    recurrent_kernel: Tensor,
    bias: Tensor | None = None,
    mask: Tensor | None = None,
    go_backwards: bool = False,
    activation: Any = "tanh",
    recurrent_activation: Any = "sigmoid",
) -> Any:
    """The shortcut for lstm_sequence."""
    given = (inputs, kernel, recurrent_kernel, bias, hidden, cell)
    if mask is not None or not _is_usual(activation, recurrent_activation) or not _fits(4, *given):
        return NotImplemented
    weights = [kernel.t().contiguous(), recurrent_kernel.t().contiguous()]
    if bias is not None:
        weights += [bias, torch.zeros_like(bias)]
    found = _run(torch.lstm, inputs, (hidden[None], cell[None]), weights, go_backwards)
    return found if found is NotImplemented else (found[0], found[1][0], found[2][0])


def gru(
    inputs: Tensor,
    hidden: Tensor,
    kernel: Tensor,
    recurrent_kernel: Tensor,
    bias: Tensor | None = None,
    recurrent_bias: Tensor | None = None,
    mask: Tensor | None = None,
    go_backwards: bool = False,
    reset_after: bool = True,
    activation: Any = "tanh",
    recurrent_activation: Any = "sigmoid",
) -> Any:
    """The shortcut for gru_sequence."""
    biases = [b for b in (bias, recurrent_bias) if b is not None]
    fits = reset_after and _is_usual(activation, recurrent_activation)
    if mask is not None or not fits or not all(_fits(3, inputs, kernel, recurrent_kernel, b, hidden) for b in biases or [None]):
        return NotImplemented
    weights = [_reset_first(kernel.t()), _reset_first(recurrent_kernel.t())]
    if biases:
        weights += [torch.zeros_like(biases[0]) if b is None else _reset_first(b) for b in (bias, recurrent_bias)]
    found = _run(torch.gru, inputs, hidden[None], weights, go_backwards)
    return found if found is NotImplemented else (found[0], found[1][0])


def _reset_first(weights: Tensor) -> Tensor:
    """Rows of the gates z, r and the candidate, as r, z and the candidate."""
    z, r, candidate = weights.tensor_split(3)
    return torch.cat((r, z, candidate))


def _is_usual(activation: Any, recurrent_activation: Any) -> bool:
    return activation == "tanh" and recurrent_activation == "sigmoid"


def _fits(gates: int, inputs: Tensor, kernel: Tensor, recurrent_kernel: Tensor, bias: Tensor | None, *states: Tensor) -> bool:
    """Whether all are of one dtype in 32 bits or more and of the right shapes: PyTorch does not look at every one of these before it reads memory."""
    units = recurrent_kernel.shape[0]
    if inputs.ndim != 3 or kernel.shape != (inputs.shape[2], gates * units) or recurrent_kernel.shape != (units, gates * units):
        return False
    if any(state.shape != (inputs.shape[0], units) for state in states) or (bias is not None and bias.shape != (gates * units,)):
        return False
    if inputs.is_cuda and recording.order > 1:  # cuDNN has no second gradient
        return False
    dtypes = {x.dtype for x in (inputs, kernel, recurrent_kernel, bias, *states) if x is not None}
    return inputs.numel() > 0 and (dtypes == {torch.float32} or dtypes == {torch.float64})


def _run(function: Callable, inputs: Tensor, states: Any, weights: list[Tensor], go_backwards: bool) -> Any:
    """One layer in one direction, without dropout, on (b, t, d)."""
    try:
        return function(inputs.flip(1) if go_backwards else inputs, states, weights, len(weights) == 4, 1, 0.0, torch.is_grad_enabled(), False, True)
    except RuntimeError:  # vmap has no rule for it
        return NotImplemented
