# SPDX-License-Identifier: Apache-2.0
"""JaxLayer and FlaxLayer: a function of JAX, or a module of Flax, as a layer. Start at JaxLayer."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable
from typing import Any

from nyala.core import tree
from nyala.core.audit import looks_through
from nyala.core.errors import ArgumentError, ArgumentTypeError
from nyala.core.seeds import SeedGenerator, draw_key, draw_seed
from nyala.core.serialization import deserialize_keras_object, get_registered_name, get_registered_object, serialize_keras_object
from nyala.core.variable import Variable
from nyala.engines._interop import interop
from nyala.layers.layer import Layer

CALL, INIT = ("params", "state", "rng", "inputs", "training"), ("rng", "inputs", "training")


class JaxLayer(Layer):
    """call_fn(params, inputs), with params that gradients update. Needs the engine jax.

    Args:
        call_fn: takes arguments with names among params, state, rng, inputs, training, in any order; returns the outputs, or
            (outputs, new state) if it takes state.
        init_fn: takes arguments among rng, inputs, training; returns params, or (params, state) if call_fn takes state. Called once, with ones.
        params, state: first values instead of init_fn: trees of arrays.
        seed: of rng, a key of jax.random.
        native_serialization_platforms: accepted; it concerns exports.

    A config holds the names of the functions, never their code: to save them, register them.

    >>> import nyala, numpy as np
    >>> layer = JaxLayer(lambda params, inputs: inputs @ params["w"], lambda rng, inputs: {"w": np.ones((inputs.shape[-1], 3))})
    >>> layer(nyala.ops.ones((2, 5))).shape, layer.weights[0].name
    ((2, 3), 'w')
    """

    def __init__(
        self,
        call_fn: Callable,
        init_fn: Callable | None = None,
        params: Any = None,
        state: Any = None,
        seed: int | None = None,
        native_serialization_platforms: Any = None,
        **kwargs: Any,
    ) -> None:
        kind = type(self).__name__
        interop("jax", kind)
        self._takes = _names_of(f"{kind}(call_fn)", call_fn, CALL, ("inputs",))
        if init_fn is not None:
            self._makes = _names_of(f"{kind}(init_fn)", init_fn, INIT, ())
        elif params is None and state is None and {"params", "state"} & set(self._takes):
            need = "init_fn, or params and state"
            raise ArgumentError(kind, need=need, got="neither", why=f"call_fn takes {', '.join(self._takes)}")
        super().__init__(**kwargs)
        self.call_fn, self.init_fn, self.params, self.state, self.seed = call_fn, init_fn, params, state, seed
        self.native_serialization_platforms = native_serialization_platforms
        self._trees: dict[str, Any] = {}  # "params", "state" -> structure
        self._values: dict[str, list[Variable]] = {}
        if "rng" in self._takes:
            self.seed_generator = SeedGenerator(seed)

    def build(self, input_shape: Any) -> None:
        library = self._library()
        values = {"params": self.params, "state": self.state}
        if self.init_fn is not None:
            like = lambda shape: library.like(tuple(shape), self.compute_dtype)  # noqa: E731
            inputs = tree.map_shape_structure(like, input_shape)
            seed = draw_seed() if self.seed is None else self.seed
            made = library.first_values(self._initialized, seed, inputs)
            values.update(zip(values, made, strict=True) if "state" in self._takes else {"params": made})
        for kind in [name for name in values if name in self._takes]:
            leaves, self._trees[kind] = library.take_apart(values[kind])
            self._values[kind] = [self._weight(name, value, kind == "params") for name, value in leaves]

    def _initialized(self, key: Any, inputs: Any) -> Any:
        given = {"rng": key, "inputs": inputs, "training": True}
        return self.init_fn(*(given[name] for name in self._makes))  # pyright: ignore[reportOptionalCall]  # asked before

    def _weight(self, name: str, value: Any, is_trained: bool) -> Variable:
        trainable = is_trained and value.dtype.kind in "fV"  # V: bfloat16
        return self.add_weight(name=name, shape=value.shape, dtype=value.dtype, initializer=lambda shape, dtype=None: value, trainable=trainable)

    def call(self, inputs: Any, training: bool = False) -> Any:
        library, given = self._library(), {"inputs": inputs}
        for kind, structure in self._trees.items():
            given[kind] = library.put_together(structure, [variable.value for variable in self._values[kind]])
        if "rng" in self._takes:
            given["rng"] = draw_key(self.seed_generator)
        names = [name for name in self._takes if name != "training"]

        def function(*values: Any) -> Any:
            known = {**dict(zip(names, values, strict=True)), "training": training}
            return self.call_fn(*(known[name] for name in self._takes))

        result = library.run(function, *(given[name] for name in names))
        if "state" not in self._takes:
            return result
        outputs, state = result
        leaves = library.leaves(state, self._trees["state"], f"{type(self).__name__} {self.name!r}")
        for variable, value in zip(self._values["state"], leaves, strict=True):
            variable.assign(value)
        return outputs

    def _library(self) -> Any:
        return interop("jax", f"{type(self).__name__} {self.name!r}")

    def _config_of_arguments(self) -> dict[str, Any]:
        names = ("call_fn", "init_fn", "params", "state", "seed", "native_serialization_platforms")
        return {name: serialize_keras_object(getattr(self, name)) for name in names}

    @classmethod
    @looks_through
    def from_config(cls, config: dict[str, Any]) -> Layer:
        parts = {name: deserialize_keras_object(config[name]) for name in ("call_fn", "init_fn", "params", "state") if config.get(name) is not None}
        return super().from_config({**config, **parts})


class FlaxLayer(JaxLayer):
    """A flax.linen.Module as a layer: its "params" are updated by gradients, its other collections by its calls in training. Needs the engine jax.

    Args:
        module: the module; its __call__ takes inputs, and training if it wants to know.
        method: another method than __call__, by name or as a function.
        variables: first values, {"params": ..., other collections}; those of module.init by default.
        seed: of its first values and of dropout.

    A config holds the name of the module's class, which must be registered, and its fields.
    """

    def __init__(self, module: Any, method: Any = None, variables: Any = None, **kwargs: Any) -> None:
        if not dataclasses.is_dataclass(type(module)) or not callable(getattr(module, "apply", None)):
            raise ArgumentTypeError("FlaxLayer(module)", need="a flax.linen Module", got=repr(module))
        call_fn, init_fn = interop("jax", "FlaxLayer").flax_functions(module, method)
        variables = dict(variables) if variables is not None else None
        given = {"init_fn": init_fn} if variables is None else {"params": variables.pop("params", {}), "state": variables}
        super().__init__(call_fn, **given, **kwargs)
        self.module, self.method, self._given = module, method, variables is not None

    def _config_of_arguments(self) -> dict[str, Any]:
        kind = type(self.module)
        fields = {f.name: serialize_keras_object(getattr(self.module, f.name)) for f in dataclasses.fields(kind) if f.init and f.name != "parent"}
        variables = serialize_keras_object({"params": self.params, **(self.state or {})}) if self._given else None
        module = {"registered_name": get_registered_name(kind), "fields": fields}
        method = self.method if self.method is None or isinstance(self.method, str) else self.method.__name__
        return {"module": module, "method": method, "variables": variables, "seed": self.seed}

    @classmethod
    @looks_through
    def from_config(cls, config: dict[str, Any]) -> Layer:
        name, fields = config["module"]["registered_name"], config["module"]["fields"]
        kind = get_registered_object(name)
        if kind is None:
            fix = "put @nyala.saving.register_keras_serializable() above the class, or load with custom_objects"
            raise ArgumentTypeError("FlaxLayer.from_config", need=f"the class {name!r}", got="no class of this name", fix=fix)
        module = kind(**{k: deserialize_keras_object(v) for k, v in fields.items()})
        variables = deserialize_keras_object(config["variables"]) if config.get("variables") is not None else None
        return Layer.from_config.__func__(cls, {**config, "module": module, "variables": variables})  # pyright: ignore[reportFunctionMemberAccess]


def _names_of(where: str, function: Any, known: tuple[str, ...], needed: tuple[str, ...]) -> tuple[str, ...]:
    """Names of the arguments of a function, all known, in its order."""
    if not callable(function):
        raise ArgumentTypeError(where, need="a function", got=repr(function))
    names = tuple(inspect.signature(function).parameters)
    if not set(needed) <= set(names) <= set(known):
        raise ArgumentError(where, need=f"arguments with names among {', '.join(known)}", got=f"({', '.join(names)})")
    return names
