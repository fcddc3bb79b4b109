# SPDX-License-Identifier: Apache-2.0
"""LSTM: long short-term memory."""

from __future__ import annotations

from typing import Any

from nyala import activations, ops
from nyala.engines.protocol import Tensor
from nyala.layers.recurrent.cells import GatedCell
from nyala.layers.recurrent.rnn import KnownRNN, known
from nyala.ops.nn_recurrence import lstm_sequence


class LSTMCell(GatedCell):
    """One step of an LSTM: c = f c + i g, h = o tanh(c), with the gates i, f, o and the candidate g computed from x and h.

    Args:
        units: size of h and c.
        activation: of the candidate and of c.
        recurrent_activation: of the gates.
        use_bias: whether there is a bias.
        unit_forget_bias: begin with a bias of 1 for the gate f, so that it begins open.
        dropout, recurrent_dropout: shares of inputs and of h that are dropped while training.
        seed: of the dropout.
        kernel_initializer, recurrent_initializer, bias_initializer, and regularizers and constraints likewise: of the weights,
            kernel (d, 4 u), recurrent_kernel (u, 4 u), bias (4 u,), columns i, f, g, o.

    Source: Hochreiter, Schmidhuber 1997, Long short-term memory; Gers, Schmidhuber, Cummins 2000 for the gate f.

    >>> import nyala
    >>> h, (_, c) = LSTMCell(3)(nyala.ops.ones((2, 5)), [nyala.ops.zeros((2, 3)), nyala.ops.zeros((2, 3))])
    >>> h.shape, c.shape
    ((2, 3), (2, 3))
    """

    gates = 4
    _shown = (
        "units", "activation", "recurrent_activation", "use_bias", "kernel_initializer", "recurrent_initializer", "bias_initializer",
        "unit_forget_bias",
        "kernel_regularizer", "recurrent_regularizer", "bias_regularizer", "kernel_constraint", "recurrent_constraint", "bias_constraint",
        "dropout", "recurrent_dropout", "seed",
    )  # fmt: skip

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
        recurrent_activation: Any = "sigmoid",
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros",
        unit_forget_bias: bool = True,
        kernel_regularizer: Any = None,
        recurrent_regularizer: Any = None,
        bias_regularizer: Any = None,
        kernel_constraint: Any = None,
        recurrent_constraint: Any = None,
        bias_constraint: Any = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            units, activation, use_bias, kernel_initializer, recurrent_initializer, bias_initializer, kernel_regularizer,
            recurrent_regularizer, bias_regularizer,
            kernel_constraint, recurrent_constraint, bias_constraint, dropout, recurrent_dropout, seed, **kwargs,
        )  # fmt: skip
        self.recurrent_activation = activations.get(recurrent_activation)
        self.unit_forget_bias = unit_forget_bias
        self.state_size = [units, units]

    def first_bias(self, shape: Any, dtype: Any = None) -> Tensor:
        if not self.unit_forget_bias:
            return super().first_bias(shape, dtype)
        first, ones, last = (
            self.bias_initializer((self.units,), dtype=dtype),
            ops.ones((self.units,), dtype=dtype),
            self.bias_initializer((2 * self.units,), dtype=dtype),
        )
        return ops.concatenate([first, ones, last], axis=0)

    def call(self, inputs: Tensor, states: Any, training: bool | None = None) -> tuple[Tensor, list[Tensor]]:
        x, h = self.dropped(inputs, states[0])
        z = ops.add(ops.matmul(x, self.kernel), ops.matmul(h, self.recurrent_kernel))  # b 4u
        z = z if self.bias is None else ops.add(z, self.bias)
        i, f, candidate, o = ops.split(z, 4, axis=-1)
        gate = self.recurrent_activation
        c = ops.add(ops.multiply(gate(f), states[1]), ops.multiply(gate(i), self.activation(candidate)))
        h = ops.multiply(gate(o), self.activation(c))
        return h, [h, c]


class LSTM(KnownRNN):
    """A long short-term memory along the time axis: (b, t, d) to (b, u), or (b, t, u) with return_sequences.

    Args:
        units to seed: as in LSTMCell.
        return_sequences, return_state, go_backwards, stateful, unroll: as in RNN. The states are h and c.
        use_cudnn: accepted for Keras's sake; engines choose.

    Call arguments: sequences (b, t, d), initial_state [h, c], mask (b, t), training.

    >>> import nyala
    >>> LSTM(4)(nyala.ops.ones((2, 3, 5))).shape
    (2, 4)
    """

    _ndim = 3

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
        recurrent_activation: Any = "sigmoid",
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros",
        unit_forget_bias: bool = True,
        kernel_regularizer: Any = None,
        recurrent_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        recurrent_constraint: Any = None,
        bias_constraint: Any = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        seed: int | None = None,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        unroll: bool = False,
        use_cudnn: Any = "auto",
        **kwargs: Any,
    ) -> None:
        cell = LSTMCell(
            units, activation, recurrent_activation, use_bias, kernel_initializer, recurrent_initializer, bias_initializer, unit_forget_bias,
            kernel_regularizer, recurrent_regularizer, bias_regularizer, kernel_constraint, recurrent_constraint, bias_constraint,
            dropout, recurrent_dropout, seed, dtype=kwargs.get("dtype"), trainable=kwargs.get("trainable", True), name="lstm_cell",
        )  # fmt: skip
        super().__init__(
            cell, return_sequences, return_state, go_backwards, stateful, unroll, use_cudnn, activity_regularizer=activity_regularizer, **kwargs
        )

    def inner_loop(self, sequences: Tensor, initial_state: Any, mask: Tensor | None, training: bool | None = None) -> Any:
        cell = self.cell
        x = self.fused_inputs(sequences, initial_state, training)
        if x is None:
            return super().inner_loop(sequences, initial_state, mask, training)
        outputs, h, c = lstm_sequence(
            x, *initial_state, cell.kernel, cell.recurrent_kernel, cell.bias, mask, self.go_backwards,
            known(cell.activation), known(cell.recurrent_activation),
        )  # fmt: skip
        return h, self._finish(outputs, _along(mask, self.go_backwards)), [h, c]


def _along(mask: Tensor | None, go_backwards: bool) -> Tensor | None:
    """The mask in the order of the outputs."""
    return ops.flip(mask, axis=1) if mask is not None and go_backwards else mask
