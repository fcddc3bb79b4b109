# SPDX-License-Identifier: Apache-2.0
"""TorchModuleWrapper: a module of PyTorch as a layer."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from typing import Any

from nyala.core.audit import looks_through
from nyala.core.errors import ArgumentTypeError, UnsafeObjectError
from nyala.core.serialization import deserialize_keras_object, serialize_keras_object
from nyala.engines._interop import interop
from nyala.layers.layer import Layer


class TorchModuleWrapper(Layer):
    """A torch.nn.Module whose parameters are trainable weights, and whose buffers are weights that no gradient updates. Needs the engine torch.

    Args:
        module: the module, or a function without arguments that makes it. A config names that function, and so can be saved; the code of a module
            itself, which a config would have to hold, it cannot.
        output_shape: accepted; shapes come from running the module on PyTorch's tensors without values.

    Differs from Keras: buffers, such as the averages of batch normalization, are weights; a config holds no pickled module.

    >>> import nyala, torch
    >>> with nyala.backend("torch"):
    ...     layer = TorchModuleWrapper(torch.nn.Linear(5, 3))
    ...     shape = layer(nyala.ops.ones((2, 5))).shape
    >>> tuple(shape), [w.name for w in layer.weights]
    ((2, 3), ['weight', 'bias'])
    """

    def __init__(self, module: Any, name: str | None = None, output_shape: Any = None, **kwargs: Any) -> None:
        library = interop("torch", "TorchModuleWrapper")
        make = module if inspect.isroutine(module) or inspect.isclass(module) else None
        made = make() if make is not None else module
        if not library.is_module(made):
            raise ArgumentTypeError("TorchModuleWrapper(module)", need="a torch.nn.Module, or a function that makes one", got=repr(made))
        super().__init__(name=name, **kwargs)
        self._make: Callable | None = make
        self._module, self._output_shape = made, output_shape
        self._names: list[str] = []
        for path, (value, is_trained) in library.tensors_of(made).items():
            self.add_weight(
                name=path.replace(".", "_"),
                shape=value.shape,
                dtype=value.dtype,
                initializer=lambda shape, dtype=None, value=value: value,
                trainable=is_trained,
                autocast=False,
            )
            self._names.append(path)
        self.built = True

    @property
    def module(self) -> Any:
        """The module, with the values that the weights have now."""
        return self._library().load(self._module, self._values())

    def parameters(self, recurse: bool = True) -> Iterator[Any]:
        """The parameters of the module, with the values that the weights have now."""
        return self.module.parameters(recurse)

    def call(self, *args: Any, training: bool = False, **kwargs: Any) -> Any:
        outputs, after = self._library().run(self._module, self._values(), args, kwargs, training)
        for path, weight in zip(self._names, self._weights, strict=True):
            if not weight.made_trainable:
                weight.assign(after[path])
        return outputs

    def _values(self) -> dict[str, Any]:
        return {path: weight.value for path, weight in zip(self._names, self._weights, strict=True)}

    def _library(self) -> Any:
        return interop("torch", f"TorchModuleWrapper {self.name!r}")

    def _config_of_arguments(self) -> dict[str, Any]:
        if self._make is None:
            raise ArgumentTypeError(
                f"the config of TorchModuleWrapper {self.name!r}",
                need="a function that makes the module",
                got=f"the module itself, {type(self._module).__name__}",
                why="a config holds no code",
                fix="write a function that returns the module, above it @nyala.saving.register_keras_serializable(), and pass that; "
                "or save the weights alone",
            )
        return {"module": serialize_keras_object(self._make), "output_shape": self._output_shape}

    @classmethod
    @looks_through
    def from_config(cls, config: dict[str, Any]) -> Layer:
        module = config["module"]
        if isinstance(module, str):
            raise UnsafeObjectError(
                "TorchModuleWrapper.from_config",
                need="the name of a function that makes the module",
                got="text, as Keras stores the bytes of a pickle",
                why="a pickle can run any code; none is read here",
                fix="make the module in code, and put TorchModuleWrapper(module) into the model yourself",
                rule="object-pickle",
            )
        return super().from_config({**config, "module": deserialize_keras_object(module) if isinstance(module, dict) else module})
