# SPDX-License-Identifier: Apache-2.0
"""GRU: gated recurrent unit."""

from __future__ import annotations

from typing import Any

from nyala import activations, ops
from nyala.engines.protocol import Tensor
from nyala.layers.recurrent.cells import GatedCell, _as_given, _first
from nyala.layers.recurrent.lstm import _along
from nyala.layers.recurrent.rnn import KnownRNN, known
from nyala.ops.nn_recurrence import gru_sequence


class GRUCell(GatedCell):
    """One step of a GRU: h = z h + (1 - z) g, with the gates z and r and the candidate g computed from x and h.

    Args:
        units: size of h.
        activation: of the candidate.
        recurrent_activation: of the gates.
        use_bias: whether there is a bias.
        reset_after: apply the gate r after the product of h with the recurrent kernel (one bias for each product), or before.
        dropout, recurrent_dropout: shares of inputs and of h that are dropped while training.
        seed: of the dropout.
        kernel_initializer, recurrent_initializer, bias_initializer, and regularizers and constraints likewise: of the weights,
            kernel (d, 3 u), recurrent_kernel (u, 3 u), bias (3 u,), or (2, 3 u) with reset_after; columns z, r, g.

    Source: Cho and others 2014, Learning phrase representations using RNN encoder-decoder for statistical machine translation.

    >>> import nyala
    >>> GRUCell(3)(nyala.ops.ones((2, 5)), [nyala.ops.zeros((2, 3))])[0].shape
    (2, 3)
    """

    gates = 3
    _shown = (
        "units", "activation", "recurrent_activation", "use_bias", "kernel_initializer", "recurrent_initializer", "bias_initializer",
        "kernel_regularizer", "recurrent_regularizer", "bias_regularizer", "kernel_constraint", "recurrent_constraint", "bias_constraint",
        "dropout", "recurrent_dropout", "seed", "reset_after",
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
        kernel_regularizer: Any = None,
        recurrent_regularizer: Any = None,
        bias_regularizer: Any = None,
        kernel_constraint: Any = None,
        recurrent_constraint: Any = None,
        bias_constraint: Any = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        reset_after: bool = True,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            units, activation, use_bias, kernel_initializer, recurrent_initializer, bias_initializer, kernel_regularizer,
            recurrent_regularizer, bias_regularizer,
            kernel_constraint, recurrent_constraint, bias_constraint, dropout, recurrent_dropout, seed, **kwargs,
        )  # fmt: skip
        self.recurrent_activation = activations.get(recurrent_activation)
        self.reset_after = bool(reset_after)

    def bias_shape(self) -> tuple[int, ...]:
        return (2, 3 * self.units) if self.reset_after else (3 * self.units,)

    def biases(self) -> tuple[Any, Any]:
        """The bias of the inputs and that of the recurrent product, None without."""
        if self.bias is None:
            return None, None
        return (self.bias[0], self.bias[1]) if self.reset_after else (self.bias, None)

    def call(self, inputs: Tensor, states: Any, training: bool | None = None) -> tuple[Tensor, Tensor | list[Tensor]]:
        old = _first(states)
        x, h = self.dropped(inputs, old)
        input_bias, recurrent_bias = self.biases()
        x = ops.matmul(x, self.kernel)  # b 3u
        x_z, x_r, x_g = ops.split(x if input_bias is None else ops.add(x, input_bias), 3, axis=-1)
        gate, units = self.recurrent_activation, self.units
        if self.reset_after:
            inner = ops.matmul(h, self.recurrent_kernel)
            h_z, h_r, h_g = ops.split(inner if recurrent_bias is None else ops.add(inner, recurrent_bias), 3, axis=-1)
            z, r = gate(ops.add(x_z, h_z)), gate(ops.add(x_r, h_r))
            candidate = self.activation(ops.add(x_g, ops.multiply(r, h_g)))
        else:
            h_z, h_r = ops.split(ops.matmul(h, self.recurrent_kernel[:, : 2 * units]), 2, axis=-1)
            z, r = gate(ops.add(x_z, h_z)), gate(ops.add(x_r, h_r))
            candidate = self.activation(ops.add(x_g, ops.matmul(ops.multiply(r, h), self.recurrent_kernel[:, 2 * units :])))
        new = ops.add(ops.multiply(z, old), ops.multiply(ops.subtract(1.0, z), candidate))
        return new, _as_given(new, states)


class GRU(KnownRNN):
    """Gated recurrent units along the time axis: (b, t, d) to (b, u), or (b, t, u) with return_sequences.

    Args:
        units to seed, reset_after: as in GRUCell.
        return_sequences, return_state, go_backwards, stateful, unroll: as in RNN. The state is h.
        use_cudnn: accepted for Keras's sake; engines choose.

    Call arguments: sequences (b, t, d), initial_state h, mask (b, t), training.

    >>> import nyala
    >>> GRU(4, return_sequences=True)(nyala.ops.ones((2, 3, 5))).shape
    (2, 3, 4)
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
        reset_after: bool = True,
        use_cudnn: Any = "auto",
        **kwargs: Any,
    ) -> None:
        cell = GRUCell(
            units, activation, recurrent_activation, use_bias, kernel_initializer, recurrent_initializer, bias_initializer,
            kernel_regularizer, recurrent_regularizer, bias_regularizer, kernel_constraint, recurrent_constraint, bias_constraint,
            dropout, recurrent_dropout, reset_after, seed, dtype=kwargs.get("dtype"), trainable=kwargs.get("trainable", True), name="gru_cell",
        )  # fmt: skip
        super().__init__(
            cell, return_sequences, return_state, go_backwards, stateful, unroll, use_cudnn, activity_regularizer=activity_regularizer, **kwargs
        )

    def inner_loop(self, sequences: Tensor, initial_state: Any, mask: Tensor | None, training: bool | None = None) -> Any:
        cell = self.cell
        x = self.fused_inputs(sequences, initial_state, training)
        if x is None:
            return super().inner_loop(sequences, initial_state, mask, training)
        input_bias, recurrent_bias = cell.biases()
        outputs, h = gru_sequence(
            x, initial_state, cell.kernel, cell.recurrent_kernel, input_bias, recurrent_bias, mask, self.go_backwards, cell.reset_after,
            known(cell.activation), known(cell.recurrent_activation),
        )  # fmt: skip
        return h, self._finish(outputs, _along(mask, self.go_backwards)), h
