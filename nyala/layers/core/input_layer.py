# SPDX-License-Identifier: Apache-2.0
"""Input: the symbolic tensor with which a functional model begins, and the InputLayer that stands for it in the model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nyala.core import dtypes
from nyala.core.errors import ArgumentError
from nyala.core.symbolic import Node, Symbolic, plain_shape
from nyala.engines import start_if_imported
from nyala.layers.arguments import refuse
from nyala.layers.layer import Layer, is_shape


class InputLayer(Layer):
    """The place where data enters a model.

    Args:
        shape: of one sample, None where the size is unknown.
        batch_size: None for any.
        dtype: of the data; floatx by default.
        sparse, ragged: False; the tensors here are dense.
        batch_shape: of a batch, in place of shape and batch_size.
        input_tensor: a symbolic tensor without history that becomes this input.
        optional: whether None may be given for it.
        name: of the layer and of its tensor.

    >>> import nyala
    >>> nyala.layers.InputLayer((None, 3), name="words").output
    <KerasTensor shape=(None, None, 3), dtype=float32, name=words>
    """

    def __init__(
        self,
        shape: Sequence[int | None] | int | None = None,
        batch_size: int | None = None,
        dtype: Any = None,
        sparse: bool | None = None,
        ragged: bool | None = None,
        batch_shape: Sequence[int | None] | None = None,
        input_tensor: Symbolic | None = None,
        optional: bool = False,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        start_if_imported()
        refuse("Input", "pass dense arrays", sparse=sparse, ragged=ragged)
        shape = kwargs.pop("input_shape", shape)
        batch_shape = kwargs.pop("batch_input_shape", batch_shape)
        batch_shape = _batch_shape(shape, batch_size, batch_shape, input_tensor)
        dtype = dtypes.standardize_dtype(input_tensor.dtype if dtype is None and input_tensor is not None else dtype)
        super().__init__(name=name, **kwargs)
        self.batch_shape, self._dtype, self.optional = batch_shape, dtype, bool(optional)
        self.sparse = self.ragged = False
        self.supports_masking = self.built = True
        output = input_tensor if input_tensor is not None else Symbolic(self.batch_shape, self._dtype, name=self.name)
        Node(self, (), {}, output)

    @property
    def dtype(self) -> str:
        """Dtype of the data."""
        return self._dtype

    def call(self, inputs: Any = None) -> Any:
        return inputs

    def get_config(self) -> dict[str, Any]:
        return {"batch_shape": self.batch_shape, "dtype": self._dtype, "sparse": False, "ragged": False, "name": self.name, "optional": self.optional}


def _batch_shape(shape: Any, batch_size: int | None, batch_shape: Any, tensor: Any) -> tuple[int | None, ...]:
    """The shape of a batch, from those arguments that were given."""
    if tensor is not None:
        if not isinstance(tensor, Symbolic) or tensor.node is not None:
            made = isinstance(tensor, Symbolic) and tensor.node
            got = f"the output of {made.operation.name!r}" if made else type(tensor).__name__
            raise ArgumentError(
                "Input(tensor)", need="a symbolic tensor without history", got=got, fix="make an Input(shape), and call the model on the tensor"
            )
        return tensor.shape
    if batch_shape is not None and (shape is not None or batch_size is not None):
        raise ArgumentError(
            "Input", need="either shape (with batch_size) or batch_shape", got="both", fix="batch_shape=(batch_size, *shape) says it all"
        )
    if batch_shape is None and shape is not None:
        shape = (shape,) if isinstance(shape, int) and not isinstance(shape, bool) else shape
        batch_shape = (batch_size, *shape) if is_shape(shape) else shape
    if not is_shape(batch_shape) or any(n is not None and n < 0 for n in batch_shape):
        fix = "Input(shape=(28, 28, 1)) for grey images, Input(shape=(None, 8)) for sequences of any length"
        raise ArgumentError("Input(shape)", need="the sizes of one sample, without the batch axis", got=repr(batch_shape), fix=fix)
    return plain_shape(batch_shape)


def Input(
    shape: Sequence[int | None] | int | None = None,
    batch_size: int | None = None,
    dtype: Any = None,
    sparse: bool | None = None,
    ragged: bool | None = None,
    batch_shape: Sequence[int | None] | None = None,
    name: str | None = None,
    tensor: Symbolic | None = None,
    optional: bool = False,
) -> Symbolic:
    """A symbolic tensor with which a functional model begins.

    Args: as InputLayer; tensor is its input_tensor.

    >>> import nyala
    >>> x = nyala.Input((5,), name="features")
    >>> nyala.layers.Dense(3)(x).shape
    (None, 3)
    """
    layer = InputLayer(shape, batch_size, dtype, sparse, ragged, batch_shape, tensor, optional, name)
    return layer.output
