# SPDX-License-Identifier: Apache-2.0
"""RNN: a cell along the time axis. LSTM, GRU and SimpleRNN are RNNs of their cells. Start at RNN.call."""

from __future__ import annotations

from typing import Any

from nyala import ops
from nyala.core import tree
from nyala.core.errors import ArgumentError, ArgumentTypeError, ShapeError, StateError
from nyala.core.serialization import custom_object_scope
from nyala.core.symbolic import plain_shape
from nyala.core.variable import Variable
from nyala.engines.protocol import Tensor
from nyala.layers.input_spec import InputSpec
from nyala.layers.layer import Layer, shapes_of
from nyala.layers.recurrent.cells import StackedRNNCells, call_cell, initial_state
from nyala.ops.nn_recurrence import recurrent


class RNN(Layer):
    """A cell along the time axis of (b, t, ...).

    Args:
        cell: an object with state_size and call(input, states) -> (output, states), or a list of such, which are stacked.
        return_sequences: the outputs of all steps (b, t, u), not only the last (b, u).
        return_state: also return the last states.
        go_backwards: from the last step to the first; outputs come in that order.
        stateful: begin each batch with the states the batch before ended with; needs a fixed batch size.
        unroll: as many copies of the step as times, in place of a loop: faster for short sequences, more memory.
        zero_output_for_mask: outputs are 0 where the mask is False, instead of the output before.

    Call arguments:
        sequences: (b, t, ...).
        initial_state: first states; zeros by default.
        mask: (b, t) bool; where it is False the states stay.

    >>> import nyala
    >>> nyala.layers.RNN(nyala.layers.LSTMCell(4), return_sequences=True)(nyala.ops.ones((2, 3, 5))).shape
    (2, 3, 4)
    """

    _ndim: int | None = None  # axes of the input, where the cell takes no others

    def __init__(
        self,
        cell: Any,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        unroll: bool = False,
        zero_output_for_mask: bool = False,
        **kwargs: Any,
    ) -> None:
        kwargs.pop("implementation", None)  # of Keras 2: how, not what
        super().__init__(**kwargs)
        cell = StackedRNNCells(cell) if isinstance(cell, (list, tuple)) else cell
        if not callable(getattr(cell, "call", None)) or not hasattr(cell, "state_size"):
            raise ArgumentTypeError(
                "RNN(cell)", need="an object with call(input, states) and state_size", got=type(cell).__name__, fix="see nyala.layers.LSTMCell"
            )
        self.cell = cell
        self.return_sequences, self.return_state, self.go_backwards = bool(return_sequences), bool(return_state), bool(go_backwards)
        self.stateful, self.unroll, self.zero_output_for_mask = bool(stateful), bool(unroll), bool(zero_output_for_mask)
        self.supports_masking = True
        self._held = _Held()

    @property
    def states(self) -> Any:
        """The states between batches, as variables in the structure of cell.state_size; None unless stateful and built."""
        return self._held.states

    def _other_variables(self) -> list[Variable]:
        return [*super()._other_variables(), *(tree.flatten(self.states) if self.states is not None else [])]

    def build(self, sequences_shape: Any, initial_state_shape: Any = None) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]  Keras's names
        shape = tuple(sequences_shape)
        if len(shape) < 3 or (self._ndim is not None and len(shape) != self._ndim):
            raise ShapeError(
                f"{type(self).__name__} {self.name!r}",
                need="an input with 3 axes (batch, time, features)",
                got=f"shape {shape}",
                fix="add the missing axis: x[..., None] for one feature" if len(shape) < 3 else "reshape it: one vector of features for each time",
            )
        self.input_spec = InputSpec(ndim=len(shape), axes={-1: shape[-1]} if shape[-1] is not None else None)
        if isinstance(self.cell, Layer) and not self.cell.built:
            self.cell.build((shape[0], *shape[2:]))
        if self.stateful:
            self._make_states(shape)

    def _state_shapes(self, sequences_shape: tuple[int | None, ...]) -> list[tuple[int, ...]]:
        """Shapes of the states without the batch, for sequences of this shape."""
        return [(size,) for size in tree.flatten(self.cell.state_size)]

    def _make_states(self, sequences_shape: tuple[int | None, ...]) -> None:
        if self.states is not None:
            return
        batch_size = sequences_shape[0]
        if batch_size is None:
            raise StateError(
                f"{type(self).__name__} {self.name!r} with stateful=True",
                need="a fixed batch size",
                got="an unknown one",
                fix="nyala.Input(batch_shape=(n, t, d)) or batch_input_shape=(n, t, d)",
            )
        make = lambda shape: Variable(ops.zeros, (batch_size, *shape), self.variable_dtype, trainable=False, name="rnn_state")  # noqa: E731
        states = [make(shape) for shape in self._state_shapes(sequences_shape)]
        self._held.states = _as_list(tree.pack_sequence_as(self.cell.state_size, states))

    def get_initial_state(self, batch_size: int | None) -> Any:
        """First states of a batch, zeros unless the cell says otherwise."""
        return _as_list(initial_state(self.cell, batch_size, self.compute_dtype))

    def _first_states(self, sequences_shape: tuple[int | None, ...]) -> Any:
        return self.get_initial_state(sequences_shape[0])

    def call(self, sequences: Tensor, initial_state: Any = None, mask: Tensor | None = None, training: bool | None = None) -> Any:
        remembers = self.stateful and plain_shape(sequences.shape)[0] is not None  # shapes of a batch of any size have no states
        if initial_state is None:
            initial_state = self.states if remembers else self._first_states(sequences.shape)
        dtype = getattr(self.cell, "compute_dtype", self.compute_dtype)
        states = [ops.cast(s, dtype) for s in tree.flatten(initial_state)]
        self._check_states(states, sequences.shape)
        if isinstance(mask, (list, tuple)):
            mask = mask[0]
        last, outputs, states = self.inner_loop(sequences, tree.pack_sequence_as(self.cell.state_size, states), mask, training)
        if remembers:
            for variable, state in zip(tree.flatten(self.states), tree.flatten(states), strict=True):
                variable.assign(state)
        result = outputs if self.return_sequences else last
        return (result, *_as_list(states)) if self.return_state else result

    def _check_states(self, states: list[Tensor], sequences_shape: tuple[int, ...]) -> None:
        where, batch_size = f"{type(self).__name__} {self.name!r}(initial_state)", sequences_shape[0]
        shapes = self._state_shapes(sequences_shape)
        if len(states) != len(shapes):
            sizes = [shape[0] if len(shape) == 1 else shape for shape in shapes]
            raise ArgumentError(
                where, need=f"{len(sizes)} state{'s' * (len(sizes) != 1)}", got=f"{len(states)}", fix=f"pass tensors (batch, size) of sizes {sizes}"
            )
        for state, shape in zip(states, shapes, strict=True):
            if state.ndim <= len(shape) or tuple(state.shape[-len(shape) :]) != shape:
                raise ShapeError(where, need=f"states of shapes {[(None, *shape) for shape in shapes]}", got=f"{shapes_of(states)}")
            if self.stateful and state.shape[0] != batch_size and plain_shape((batch_size,))[0] is not None:
                raise ShapeError(
                    f"{type(self).__name__} {self.name!r} with stateful=True", need=f"batches of {state.shape[0]} samples", got=f"{batch_size}",
                    why="its states go from batch to batch", fix="leave out the last, smaller batch",
                )  # fmt: skip

    def inner_loop(
        self, sequences: Tensor, initial_state: Any, mask: Tensor | None, training: bool | None = None
    ) -> tuple[Tensor, Tensor, list[Any]]:
        """(last output, all outputs, last states) by running the cell step by step."""
        cell = self.cell
        if hasattr(cell, "draw_masks"):
            cell.draw_masks(sequences[:, 0], initial_state, training)
        step = lambda x, states: call_cell(cell, x, states, training)  # noqa: E731
        last, outputs, states = recurrent(
            step,
            sequences,
            initial_state,
            mask,
            self.go_backwards,
            self.return_sequences,
            self.unroll,
            self.zero_output_for_mask and self.return_sequences,
        )
        if hasattr(cell, "forget_masks"):
            cell.forget_masks()
        return last, outputs, states  # type: ignore[return-value]

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        previous_mask = tree.flatten(previous_mask)[0] if isinstance(previous_mask, (list, tuple)) else previous_mask
        own = previous_mask if self.return_sequences else None
        return [own] + [None] * len(_as_list(self.cell.state_size)) if self.return_state else own

    def reset_state(self) -> None:
        """Set the states to zero; for stateful layers."""
        if self.states is not None:
            for variable in tree.flatten(self.states):
                variable.assign(ops.zeros(variable.shape, variable.dtype))

    def reset_states(self) -> None:
        """Set the states to zero; the name of Keras 1 and 2."""
        self.reset_state()

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Layer:
        with custom_object_scope(custom_objects):
            return super().from_config(config)


def _as_list(states: Any) -> Any:
    return list(states) if isinstance(states, (list, tuple)) else [states]


class _Held:
    """Keeps the states of a stateful layer where nobody looks for weights."""

    states: Any = None


class KnownRNN(RNN):
    """An RNN of one of the built-in cells: takes the arguments of the cell, and offers its attributes."""

    def __init__(
        self,
        cell: Any,
        return_sequences: bool,
        return_state: bool,
        go_backwards: bool,
        stateful: bool,
        unroll: bool,
        use_cudnn: Any = "auto",
        **kwargs: Any,
    ) -> None:
        if use_cudnn not in ("auto", True, False, None):
            raise ArgumentError(f"{type(self).__name__}(use_cudnn)", need="'auto', True or False", got=repr(use_cudnn))
        super().__init__(cell, return_sequences, return_state, go_backwards, stateful, unroll, **kwargs)
        self.use_cudnn = use_cudnn
        self.zero_output_for_mask = bool(kwargs.get("zero_output_for_mask", False))

    def __getattr__(self, name: str) -> Any:
        """The cell's arguments: units, activation, kernel_initializer, dropout, ..."""
        cell = self.__dict__.get("cell")
        if cell is not None and not name.startswith("_") and name in type(cell)._shown:
            return getattr(cell, name)
        return object.__getattribute__(self, name)  # raises what there is to say

    def fused_inputs(self, sequences: Tensor, initial_state: Any, training: bool | None) -> Tensor | None:
        """Inputs with their dropout, for cells that run as one op; None where the step by step loop is needed."""
        cell = self.cell
        if self.unroll or (training and cell.recurrent_dropout > 0) or sequences.ndim != 3:
            return None
        cell.draw_masks(sequences[:, 0], initial_state, training)
        mask, _ = cell._masks
        cell.forget_masks()
        return sequences if mask is None else ops.multiply(sequences, ops.expand_dims(mask, 1))

    def _finish(self, outputs: Tensor, mask: Tensor | None) -> Tensor:
        return ops.where(ops.expand_dims(mask, -1), outputs, 0.0) if mask is not None and self.zero_output_for_mask else outputs

    def _config_of_arguments(self) -> dict[str, Any]:
        config = super()._config_of_arguments()
        config.pop("use_cudnn", None)
        config["zero_output_for_mask"] = self.zero_output_for_mask
        return config


def known(function: Any, names: tuple[str, ...] = ("tanh", "sigmoid")) -> Any:
    """The name of an activation that ops know by name, else the function."""
    return function.__name__ if getattr(function, "__name__", "") in names and function.__module__.startswith("nyala.") else function
