# SPDX-License-Identifier: Apache-2.0
"""SimpleRNN: the output of a step is an input of the next."""

from __future__ import annotations

from typing import Any

from nyala import ops
from nyala.engines.protocol import Tensor
from nyala.layers.recurrent.cells import GatedCell, _as_given, _first
from nyala.layers.recurrent.rnn import KnownRNN


class SimpleRNNCell(GatedCell):
    """One step: h = activation(x kernel + h recurrent_kernel + bias).

    Args:
        units: size of h.
        activation: of the sum.
        use_bias: whether there is a bias.
        dropout, recurrent_dropout: shares of inputs and of h that are dropped while training.
        seed: of the dropout.
        kernel_initializer, recurrent_initializer, bias_initializer, and regularizers and constraints likewise: of the weights,
            kernel (d, u), recurrent_kernel (u, u), bias (u,).

    >>> import nyala
    >>> SimpleRNNCell(3)(nyala.ops.ones((2, 5)), [nyala.ops.zeros((2, 3))])[0].shape
    (2, 3)
    """

    _shown = (
        "units", "activation", "use_bias", "kernel_initializer", "recurrent_initializer", "bias_initializer", "kernel_regularizer",
        "recurrent_regularizer",
        "bias_regularizer", "kernel_constraint", "recurrent_constraint", "bias_constraint", "dropout", "recurrent_dropout", "seed",
    )  # fmt: skip

    def call(self, sequence: Tensor, states: Any, training: bool | None = None) -> tuple[Tensor, Tensor | list[Tensor]]:
        x, h = self.dropped(sequence, _first(states))
        x = ops.add(ops.matmul(x, self.kernel), ops.matmul(h, self.recurrent_kernel))
        h = self.activation(x if self.bias is None else ops.add(x, self.bias))
        return h, _as_given(h, states)


class SimpleRNN(KnownRNN):
    """A fully connected recurrent layer: (b, t, d) to (b, u), or (b, t, u) with return_sequences.

    Args:
        units to seed: as in SimpleRNNCell.
        return_sequences, return_state, go_backwards, stateful, unroll: as in RNN. The state is h.

    >>> import nyala
    >>> SimpleRNN(4)(nyala.ops.ones((2, 3, 5))).shape
    (2, 4)
    """

    _ndim = 3

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
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
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        unroll: bool = False,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        cell = SimpleRNNCell(
            units, activation, use_bias, kernel_initializer, recurrent_initializer, bias_initializer, kernel_regularizer,
            recurrent_regularizer, bias_regularizer,
            kernel_constraint, recurrent_constraint, bias_constraint, dropout, recurrent_dropout, seed,
            dtype=kwargs.get("dtype"), trainable=kwargs.get("trainable", True), name="simple_rnn_cell",
        )  # fmt: skip
        super().__init__(cell, return_sequences, return_state, go_backwards, stateful, unroll, activity_regularizer=activity_regularizer, **kwargs)

    def _config_of_arguments(self) -> dict[str, Any]:
        config = super()._config_of_arguments()
        if self.seed is None:  # Keras writes none
            del config["seed"]
        return config
