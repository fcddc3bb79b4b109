# SPDX-License-Identifier: Apache-2.0
"""What the cells of recurrent layers share, and cells on top of one another. A cell computes one time step: (input, states) -> (output, states)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nyala import activations, constraints, initializers, ops, random, regularizers
from nyala.core import tree
from nyala.core.errors import ArgumentError, ArgumentTypeError, ShapeError
from nyala.core.seeds import SeedGenerator
from nyala.core.serialization import custom_object_scope
from nyala.engines.protocol import Tensor
from nyala.layers.layer import Layer


class GatedCell(Layer):
    """A cell with a kernel for inputs, one for states and a bias, each for `gates` blocks of units. Subclasses say how many and write `call`.

    The dropout masks of a sequence are drawn once, by `draw_masks`, and hold for all its steps.
    """

    gates = 1

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
        kernel_constraint: Any = None,
        recurrent_constraint: Any = None,
        bias_constraint: Any = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        kwargs.pop("implementation", None)  # of Keras 2: how, not what
        super().__init__(**kwargs)
        kind = type(self).__name__
        if not isinstance(units, int) or units < 1:
            raise ArgumentError(f"{kind}(units)", need="an integer of at least 1", got=repr(units))
        for name, share in (("dropout", dropout), ("recurrent_dropout", recurrent_dropout)):
            if not isinstance(share, (int, float)) or not 0 <= share <= 1:
                raise ArgumentError(f"{kind}({name})", need="a share from 0 to 1", got=repr(share))
        self.units, self.activation, self.use_bias = units, activations.get(activation), use_bias
        self.kernel_initializer, self.recurrent_initializer = initializers.get(kernel_initializer), initializers.get(recurrent_initializer)
        self.bias_initializer = initializers.get(bias_initializer)
        self.kernel_regularizer, self.recurrent_regularizer = regularizers.get(kernel_regularizer), regularizers.get(recurrent_regularizer)
        self.bias_regularizer = regularizers.get(bias_regularizer)
        self.kernel_constraint, self.recurrent_constraint = constraints.get(kernel_constraint), constraints.get(recurrent_constraint)
        self.bias_constraint = constraints.get(bias_constraint)
        self.dropout, self.recurrent_dropout, self.seed = float(dropout), float(recurrent_dropout), seed
        if dropout > 0 or recurrent_dropout > 0:
            self.seed_generator = SeedGenerator(seed)
        self.state_size: Any = units
        self.output_size = units
        self._masks: tuple[Tensor | None, Tensor | None] = (None, None)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        shape, recurrent_shape = self.kernel_shapes(input_shape)
        self.kernel = self.add_weight(
            name="kernel",
            shape=shape,
            initializer=self.kernel_initializer,
            regularizer=self.kernel_regularizer,
            constraint=self.kernel_constraint,
        )
        self.recurrent_kernel = self.add_weight(
            name="recurrent_kernel", shape=recurrent_shape, initializer=self.recurrent_initializer,
            regularizer=self.recurrent_regularizer, constraint=self.recurrent_constraint,
        )  # fmt: skip
        self.bias = (
            self.add_weight(
                name="bias", shape=self.bias_shape(), initializer=self.first_bias, regularizer=self.bias_regularizer, constraint=self.bias_constraint
            )
            if self.use_bias
            else None
        )

    def kernel_shapes(self, input_shape: tuple[int | None, ...]) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Shapes of the kernel for inputs and of that for states."""
        if input_shape[-1] is None:
            raise ShapeError(
                f"{type(self).__name__} {self.name!r}", need="an input whose last axis has a known size", got=f"shape {tuple(input_shape)}"
            )
        return (input_shape[-1], self.units * self.gates), (self.units, self.units * self.gates)

    def bias_shape(self) -> tuple[int, ...]:
        """Shape of the bias."""
        return (self.units * self.gates,)

    def first_bias(self, shape: Sequence[int], dtype: Any = None) -> Tensor:
        """First value of the bias."""
        return self.bias_initializer(shape, dtype=dtype)

    def draw_masks(self, x: Tensor, states: Any, training: bool | None) -> None:
        """Choose what is dropped from inputs (b, d) and states (b, u) for the whole of a sequence."""
        inputs = recurrent = None
        if training and self.dropout > 0:
            inputs = random.dropout(ops.ones_like(x), self.dropout, seed=self.seed_generator)
        if training and self.recurrent_dropout > 0:
            recurrent = random.dropout(ops.ones_like(tree.flatten(states)[0]), self.recurrent_dropout, seed=self.seed_generator)
        self._masks = (inputs, recurrent)

    def forget_masks(self) -> None:
        """Drop nothing from here on."""
        self._masks = (None, None)

    def dropped(self, x: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        """Input and state without what is dropped."""
        inputs, recurrent = self._masks
        return x if inputs is None else ops.multiply(x, inputs), h if recurrent is None else ops.multiply(h, recurrent)

    def get_initial_state(self, batch_size: int | None = None) -> list[Tensor]:
        """Zeros, one tensor (batch_size, size) for each state."""
        return [ops.zeros((batch_size, size), dtype=self.compute_dtype) for size in tree.flatten(self.state_size)]


class StackedRNNCells(Layer):
    """Cells on top of one another, as one cell.

    Args:
        cells: each takes the output of the one before.

    >>> import nyala
    >>> layer = nyala.layers.RNN(StackedRNNCells([nyala.layers.GRUCell(3), nyala.layers.GRUCell(2)]))
    >>> layer(nyala.ops.ones((4, 5, 6))).shape
    (4, 2)
    """

    def __init__(self, cells: Sequence[Any], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not isinstance(cells, (list, tuple)) or not cells:
            raise ArgumentTypeError("StackedRNNCells(cells)", need="a list of at least one cell", got=repr(cells))
        for cell in cells:
            if not hasattr(cell, "call") or not hasattr(cell, "state_size"):
                raise ArgumentTypeError("StackedRNNCells(cells)", need="cells with call and state_size", got=type(cell).__name__)
        self.cells = list(cells)

    @property
    def state_size(self) -> list[Any]:
        return [cell.state_size for cell in self.cells]

    @property
    def output_size(self) -> Any:
        return output_size(self.cells[-1])

    def get_initial_state(self, batch_size: int | None = None) -> list[Any]:
        return [initial_state(cell, batch_size, self.compute_dtype) for cell in self.cells]

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        for cell in self.cells:
            if isinstance(cell, Layer) and not cell.built:
                cell.build(input_shape)
            input_shape = (input_shape[0], output_size(cell))

    def draw_masks(self, x: Tensor, states: Any, training: bool | None) -> None:
        for cell, state in zip(self.cells, states, strict=True):
            if hasattr(cell, "draw_masks"):
                cell.draw_masks(x, state, training)
            x = ops.zeros((x.shape[0], output_size(cell)), dtype=self.compute_dtype)

    def forget_masks(self) -> None:
        for cell in self.cells:
            if hasattr(cell, "forget_masks"):
                cell.forget_masks()

    def call(self, inputs: Tensor, states: Any, training: bool | None = None) -> tuple[Tensor, list[Any]]:
        new = []
        for cell, state in zip(self.cells, states, strict=True):
            inputs, after = call_cell(cell, inputs, state, training)
            new.append(after)
        return inputs, new

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Layer:
        with custom_object_scope(custom_objects):
            return super().from_config(config)


def call_cell(cell: Any, inputs: Tensor, states: Any, training: bool | None) -> tuple[Tensor, Any]:
    """One step of any cell. It is given its states as a list; those it returns come back in the structure of its state_size."""
    states = list(states) if isinstance(states, (list, tuple)) else [states]
    like = cell.state_size
    output, after = cell(inputs, states, training=training) if isinstance(cell, Layer) else cell.call(inputs, states)
    return output, tree.pack_sequence_as(like, tree.flatten(after))


def output_size(cell: Any) -> Any:
    """Size of the output of a cell: said by it, or that of its first state."""
    return getattr(cell, "output_size", None) or tree.flatten(cell.state_size)[0]


def initial_state(cell: Any, batch_size: int | None, dtype: str) -> Any:
    """The first states of a cell: its own, or zeros of its state sizes."""
    if hasattr(cell, "get_initial_state"):
        states = cell.get_initial_state(batch_size=batch_size)
    else:
        states = [
            ops.zeros((batch_size, *((size,) if isinstance(size, int) else tuple(size))), dtype=dtype) for size in tree.flatten(cell.state_size)
        ]
    return tree.pack_sequence_as(cell.state_size, tree.flatten(states))


def _first(states: Any) -> Tensor:
    """The one state of a cell that was given it alone or in a list."""
    return states[0] if isinstance(states, (list, tuple)) else states


def _as_given(state: Tensor, states: Any) -> Tensor | list[Tensor]:
    """The new state of a cell with one, alone or in a list as the old one was."""
    return [state] if isinstance(states, (list, tuple)) else state
