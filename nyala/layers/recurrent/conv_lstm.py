# SPDX-License-Identifier: Apache-2.0
"""ConvLSTM1D, ConvLSTM2D, ConvLSTM3D: an LSTM over images, whose matrix products are convolutions. Start at ConvLSTMCell.advance."""

from __future__ import annotations

from typing import Any

from nyala import ops
from nyala.core.config import standardize_data_format
from nyala.core.errors import ShapeError, StateError
from nyala.engines.protocol import Tensor
from nyala.layers.arguments import as_count
from nyala.layers.convolutional.conv import Sizes, check_padding, check_windows
from nyala.layers.input_spec import InputSpec
from nyala.layers.recurrent.lstm import LSTMCell
from nyala.layers.recurrent.rnn import KnownRNN
from nyala.ops.nn_recurrence import recurrent
from nyala.ops.nn_windows import paddings


class ConvLSTMCell(LSTMCell):
    """One step of an LSTM over images: the arguments of Conv for the convolution of inputs, then those of LSTMCell.

    The states h and c have `filters` channels, and the places of the convolved inputs. The kernels (*kernel_size, c, 4 filters)
    and (*kernel_size, filters, 4 filters) have their output channels in the order i, f, candidate, o.
    """

    _shown = ("filters", "kernel_size", "strides", "padding", "data_format", "dilation_rate", *LSTMCell._shown[1:])

    def __init__(
        self,
        filters: int,
        kernel_size: tuple[int, ...],
        strides: tuple[int, ...],
        padding: str,
        data_format: str,
        dilation_rate: tuple[int, ...],
        *others: Any,
        **kwargs: Any,
    ) -> None:
        super().__init__(filters, *others, **kwargs)
        self.filters, self.kernel_size, self.strides, self.padding = filters, kernel_size, strides, padding
        self.data_format, self.dilation_rate = data_format, dilation_rate
        self.channel_axis = 1 if data_format == "channels_first" else len(kernel_size) + 1

    def kernel_shapes(self, input_shape: tuple[int | None, ...]) -> tuple[tuple[int, ...], tuple[int, ...]]:
        channels = input_shape[self.channel_axis]
        if channels is None:
            raise ShapeError(self.name, need="a known number of channels", got=f"shape {tuple(input_shape)}", why="its kernel has weights for each")
        return (*self.kernel_size, channels, 4 * self.filters), (*self.kernel_size, self.filters, 4 * self.filters)

    def state_shape(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        """Shape of each state, for inputs of this shape, both without the batch."""
        sizes = input_shape[1:] if self.channel_axis == 1 else input_shape[:-1]
        pairs = paddings(self.name, self.padding, sizes, self.kernel_size, self.strides, self.dilation_rate)
        windows = zip(sizes, pairs, self.kernel_size, self.strides, self.dilation_rate, strict=True)
        places = [(size + sum(pair) - gap * (k - 1) - 1) // step + 1 for size, pair, k, step, gap in windows]
        return (self.filters, *places) if self.channel_axis == 1 else (*places, self.filters)

    def project(self, x: Tensor) -> Tensor:
        """What the inputs give to the gates."""
        z = ops.conv(x, self.kernel, self.strides, self.padding, self.data_format, self.dilation_rate)
        if self.bias is None:
            return z
        return ops.add(z, ops.reshape(self.bias, (-1, *(1,) * len(self.kernel_size))) if self.channel_axis == 1 else self.bias)

    def advance(self, z: Tensor, states: Any) -> tuple[Tensor, list[Tensor]]:
        """The step that follows on `project`."""
        h, c = states
        dropped = self._masks[1]
        kept = h if dropped is None else ops.multiply(h, dropped)
        z = ops.add(z, ops.conv(kept, self.recurrent_kernel, 1, "same", self.data_format))
        i, f, candidate, o = ops.split(z, 4, axis=self.channel_axis)
        gate = self.recurrent_activation
        c = ops.add(ops.multiply(gate(f), c), ops.multiply(gate(i), self.activation(candidate)))
        h = ops.multiply(gate(o), self.activation(c))
        return h, [h, c]

    def call(self, inputs: Tensor, states: Any, training: bool | None = None) -> tuple[Tensor, list[Tensor]]:
        x, _ = self.dropped(inputs, states[0])
        return self.advance(self.project(x), states)


class ConvLSTM(KnownRNN):
    """The layer of all ranks. Subclasses set `rank`, the number of spatial axes."""

    rank: int

    def __init__(
        self,
        filters: int,
        kernel_size: Sizes,
        strides: Sizes = 1,
        padding: str = "valid",
        data_format: str | None = None,
        dilation_rate: Sizes = 1,
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
        **kwargs: Any,
    ) -> None:
        kind, rank = type(self).__name__, self.rank
        filters = as_count(f"{kind}(filters)", filters)
        kernel_size, strides, dilation_rate = check_windows(kind, rank, kernel_size, strides, dilation_rate, strides_or_dilation=True)
        padding, data_format = check_padding(kind, rank, padding, causal=False), standardize_data_format(data_format)
        cell = ConvLSTMCell(
            filters, kernel_size, strides, padding, data_format, dilation_rate, activation, recurrent_activation, use_bias,
            kernel_initializer, recurrent_initializer, bias_initializer, unit_forget_bias,
            kernel_regularizer, recurrent_regularizer, bias_regularizer, kernel_constraint, recurrent_constraint, bias_constraint,
            dropout, recurrent_dropout, seed, dtype=kwargs.get("dtype"), trainable=kwargs.get("trainable", True), name="conv_lstm_cell",
        )  # fmt: skip
        unroll = kwargs.pop("unroll", False)
        super().__init__(cell, return_sequences, return_state, go_backwards, stateful, unroll, activity_regularizer=activity_regularizer, **kwargs)
        self.input_spec = InputSpec(ndim=rank + 3)

    def build(self, sequences_shape: Any, initial_state_shape: Any = None) -> None:
        super().build(sequences_shape, initial_state_shape)
        axis = self.cell.channel_axis + 1
        self.input_spec = InputSpec(ndim=self.rank + 3, axes={axis: sequences_shape[axis]})

    def _state_shapes(self, sequences_shape: tuple[int | None, ...]) -> list[tuple[int, ...]]:
        shape = tuple(sequences_shape[2:])
        if None in shape:
            why = "its states have as many places as its convolved inputs"
            raise ShapeError(f"{type(self).__name__} {self.name!r}", need="images of known sizes", got=f"shape {tuple(sequences_shape)}", why=why)
        return [self.cell.state_shape(shape)] * 2

    def _first_states(self, sequences_shape: tuple[int | None, ...]) -> list[Tensor]:
        return [ops.zeros((sequences_shape[0], *shape), dtype=self.compute_dtype) for shape in self._state_shapes(sequences_shape)]

    def get_initial_state(self, batch_size: int | None) -> list[Tensor]:
        """Zeros for h and c, of the image sizes that the layer was built with."""
        if not self.built:
            where = f"{type(self).__name__} {self.name!r}.get_initial_state()"
            raise StateError(where, need="a built layer", got="one without image sizes yet", fix="call build(sequences_shape) first")
        return self._first_states((batch_size, *self._build_shapes["sequences_shape"][1:]))

    def inner_loop(self, sequences: Tensor, initial_state: Any, mask: Tensor | None, training: bool | None = None) -> Any:
        """As that of RNN, with the convolutions of all inputs at once."""
        cell, (batch, length, *sizes) = self.cell, sequences.shape
        cell.draw_masks(sequences[:, 0], initial_state, training)
        dropped = cell._masks[0]
        x = sequences if dropped is None else ops.multiply(sequences, ops.expand_dims(dropped, 1))
        z = cell.project(ops.reshape(x, (batch * length, *sizes)))
        z = ops.reshape(z, (batch, length, *z.shape[1:]))
        result = recurrent(
            cell.advance, z, initial_state, mask, self.go_backwards, self.return_sequences, self.unroll,
            self.zero_output_for_mask and self.return_sequences,
        )  # fmt: skip
        cell.forget_masks()
        return result

    def _config_of_arguments(self) -> dict[str, Any]:
        return {**super()._config_of_arguments(), "unroll": self.unroll}


class ConvLSTM1D(ConvLSTM):
    """A long short-term memory along the time axis of sequences of sequences: (b, t, l, c) to (b, l', f), or (b, t, l', f) with return_sequences.

    Args:
        filters: channels of the output and of each state.
        kernel_size: how many places the kernels cover, that for inputs and that for states.
        strides, padding, data_format, dilation_rate: of the convolution of inputs, as in Conv1D without "causal"; that of states keeps their sizes.
        activation: of the candidate and of c.
        recurrent_activation: of the gates.
        use_bias: whether there is a bias.
        kernel_initializer, recurrent_initializer, bias_initializer, and regularizers and constraints likewise: of the weights,
            kernel (*kernel_size, c, 4 f), recurrent_kernel (*kernel_size, f, 4 f), bias (4 f,), columns i, f, g, o.
        unit_forget_bias: begin with a bias of 1 for the gate f, so that it begins open.
        activity_regularizer: of the outputs, added to the loss.
        dropout, recurrent_dropout: shares of inputs and of h that are dropped while training.
        seed: of the dropout.
        return_sequences, return_state, go_backwards, stateful, unroll: as in RNN. The states are h and c.

    Call arguments: sequences (b, t, l, c), initial_state [h, c], mask (b, t), training.

    Source: Shi and others 2015, Convolutional LSTM network: a machine learning approach for precipitation nowcasting.
    Differs: from Keras, which needs known image sizes (here only stateful does) and takes a mask of time for one of width.

    >>> import nyala
    >>> nyala.layers.ConvLSTM1D(4, 3, padding="same")(nyala.ops.ones((2, 3, 7, 5))).shape
    (2, 7, 4)
    """

    rank = 1


class ConvLSTM2D(ConvLSTM):
    """A long short-term memory along the time axis of videos: (b, t, h, w, c) to (b, h', w', f), or (b, t, h', w', f) with return_sequences.

    Args:
        kernel_size, strides, dilation_rate: one integer, or two, for height and width.
        data_format: "channels_last" (b, t, h, w, c) or "channels_first" (b, t, c, h, w); None means the default.
        all others: as ConvLSTM1D.

    >>> import nyala
    >>> nyala.layers.ConvLSTM2D(4, 3, return_sequences=True)(nyala.ops.ones((2, 3, 7, 5, 1))).shape
    (2, 3, 5, 3, 4)
    """

    rank = 2


class ConvLSTM3D(ConvLSTM):
    """A long short-term memory along the time axis of volumes: (b, t, d, h, w, c) to (b, d', h', w', f), or with t in return_sequences.

    Args:
        kernel_size, strides, dilation_rate: one integer, or three.
        data_format: "channels_last" (b, t, d, h, w, c) or "channels_first" (b, t, c, d, h, w); None means the default.
        all others: as ConvLSTM1D.
    """

    rank = 3
