# SPDX-License-Identifier: Apache-2.0
"""Adaptable: layers whose main weight can be frozen beside a low-rank one, or kept in few bits. The work is in nyala/lora.py and nyala/quantizers."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Any

from nyala import lora
from nyala.core.errors import missing_method
from nyala.core.names import name_scope
from nyala.core.variable import Variable
from nyala.engines.protocol import Tensor
from nyala.layers.arguments import as_count
from nyala.layers.layer import Layer, context


def main_weight(name: str) -> property:
    """The attribute `name` of an Adaptable: the variable itself; with LoRA frozen + low-rank part; of a quantized layer the integers."""

    def read(self: Any) -> Any:
        if self.__dict__["_layouts"].get(name):
            from nyala.quantizers.layers import integers

            return self.__dict__[f"_{name}"] if self.quantization_mode == "int8" else integers(self, name)
        weight = getattr(self, f"_{name}")
        return weight + lora.delta(self, name) if self.lora_enabled else weight

    def write(self: Any, value: Any) -> None:
        self.__dict__[f"_{name}"] = value

    return property(read, write)


class Adaptable(Layer):
    """A layer with a main weight, named `_adapted`, that LoRA and quantization change. It calls `adapt` at the end of its build."""

    _adapted = "kernel"
    _modes: tuple[str, ...] = ()  # of quantization
    lora_enabled = False
    lora_rank: int | None = None
    lora_alpha: float | None = None
    inputs_quantizer: Any = None

    def __init__(
        self, *args: Any, lora_rank: int | None = None, lora_alpha: float | None = None, quantization_config: Any = None, **kwargs: Any
    ) -> None:
        rank = None if lora_rank is None else as_count(f"{type(self).__name__}(lora_rank)", lora_rank)
        super().__init__(*args, **kwargs)
        if rank is not None:
            self.lora_rank, self.lora_alpha = rank, lora_alpha
        self.quantization_config = quantization_config
        self._layouts: dict[str, Any] = {}

    @property
    def full_shape(self) -> tuple[int, ...]:
        """The shape of the floats of the main weight."""
        layout = self._layouts.get(self._adapted)
        return layout.shape if layout else getattr(self, f"_{self._adapted}").shape

    def weight_scope(self) -> Any:
        """Inside, new weights get the path of the main one."""
        if getattr(self, "_building", False):
            return contextlib.nullcontext()
        return name_scope(getattr(self, f"_{self._adapted}").path.rpartition("/")[0])

    def adapt(self) -> None:
        """At the end of build: quantize if the dtype policy says so, and add low-rank weights if the constructor did."""
        mode = self.dtype_policy.quantization_mode
        if mode is not None:
            from nyala.quantizers.configs import resolve, usual

            config = resolve(f"{type(self).__name__} {self.name!r}", mode, self.quantization_config or usual(self.dtype_policy), self._modes)
            self.quantized_build(self.full_shape, mode, config)
        if self.lora_rank is not None:
            self.enable_lora(self.lora_rank, self.lora_alpha)

    def enable_lora(self, rank: int, lora_alpha: float | None = None, a_initializer: Any = "he_uniform", b_initializer: Any = "zeros") -> None:
        """Freeze the main weight, and train the product of two thin ones beside it.

        Args:
            rank: columns of the first, rows of the second.
            lora_alpha: the product counts lora_alpha / rank; None means rank.
            a_initializer, b_initializer: of the two.
        Raises: StateError if it is not built, has a constraint on the weight, or has low-rank weights already.
        """
        lora.enable(self, self._adapted, rank, lora_alpha, a_initializer, b_initializer)

    def own_saved_variables(self) -> list[tuple[str, Variable]]:
        """(attribute, weight) of what is saved: the main weight first, without the low-rank ones, which are merged into it."""
        named = {id(v): k for k, v in self.__dict__.items() if isinstance(v, Variable)}
        pairs = [(named.get(id(v), v.name), v) for v in self._own_variables() if not v.name.startswith("lora_")]
        return sorted(pairs, key=lambda pair: pair[0] != f"_{self._adapted}")

    def _saved_variables(self) -> list[Variable]:
        return [variable for _, variable in self.own_saved_variables()]

    def save_own_variables(self, store: Any) -> None:
        super().save_own_variables(store)
        if self.lora_enabled and self._saved_variables():
            store.update({str(i): merged for i, merged in self._merged().items()})

    def _merged(self) -> dict[int, Any]:
        """Main weight and low-rank part as one, quantized anew if it was, by place in the store."""
        from nyala import ops

        if not self._layouts:
            return {0: ops.convert_to_numpy(ops.convert_to_tensor(getattr(self, self._adapted)))}
        from nyala.quantizers.layers import folded, unfold

        name, places = self._adapted, {k: i for i, (k, _) in enumerate(self.own_saved_variables())}
        whole = ops.convert_to_numpy(ops.add(unfold(self, name), lora.delta(self, name)))
        spelled = {"": f"_{name}", "scale": f"{name}_scale", "zero": f"{name}_zero", "index": "g_idx"}
        return {places[spelled[part]]: value for part, value in folded(whole, self._layouts[name], self.quantization_config).items()}

    def load_own_variables(self, store: Mapping[str, Any]) -> None:
        super().load_own_variables(store)
        if self.lora_enabled:  # what was loaded is the whole; the product of the thin ones becomes 0, and can still learn
            thin = getattr(self, f"lora_{self._adapted}_b")
            thin.assign(thin.numpy() * 0)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        for name in ("lora_rank", "lora_alpha"):
            config.pop(name, None)
        return config if self.lora_rank is None else {**config, "lora_rank": self.lora_rank, "lora_alpha": self.lora_alpha}


class Quantizable(Adaptable):
    """An Adaptable that can be quantized: it says in `layouts` how its weights lie, and computes in `product` and `finish`."""

    _modes = ("int8", "int4", "float8")
    bias: Variable | None
    activation: Any

    def layouts(self) -> dict[str, Any]:
        """The Layout of each weight that is quantized, by name."""
        raise missing_method(self, "layouts(self)")

    def quantize(self, mode: str | None = None, type_check: bool = True, config: Any = None) -> None:
        """Keep the main weight in few bits from now on; its floats are gone.

        Args:
            mode: "int8", "int4" or, for products while training, "float8".
            type_check: refuse subclasses, which may use the weight in other ways.
            config: a QuantizationConfig; by default the usual one of the mode.
        Raises: StateError unless the layer is built, and not quantized yet.
        """
        from nyala.quantizers.layers import quantize

        quantize(self, mode, type_check, config, self._modes)

    def quantized_build(self, kernel_shape: Any, mode: str, config: Any = None) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]  Keras's names
        """Make the weights of this mode from the float ones."""
        from nyala.quantizers.configs import resolve
        from nyala.quantizers.layers import add_float8_state, fold

        config = resolve(f"{type(self).__name__} {self.name!r}.quantized_build", mode, config, self._modes)
        if mode == "float8":
            add_float8_state(self, getattr(self.dtype_policy, "amax_history_length", 1024))
            return
        for name, layout in self.layouts().items():
            fold(self, name, layout, config)
        self.quantization_config = self.quantization_config or config
        self.inputs_quantizer = config.activation_quantizer

    def quantized_call(self, inputs: Tensor, training: bool | None = None) -> Tensor:
        """`call` with the quantized weights."""
        from nyala import ops
        from nyala.quantizers.layers import float8_product, quantized_inputs, unfold

        if self.quantization_mode == "float8":
            x = float8_product(self, inputs, bool(context.training if training is None else training))
            if self.bias is not None:  # as in Keras in 16 bits, so that it can be added within the product
                x = ops.add(x, ops.cast(ops.cast(self.bias, "bfloat16"), self.compute_dtype))
            return x if self.activation is None else self.activation(x)
        x = self.product(quantized_inputs(self, inputs, self.summed_inputs()), unfold(self, "kernel"))
        if self.lora_enabled:
            x = ops.add(x, self.product(inputs, lora.delta(self, "kernel")))
        return self.finish(x)

    def summed_inputs(self) -> Any:
        """The axes of the input that the product sums over."""
        return -1

    def product(self, inputs: Tensor, kernel: Any) -> Tensor:
        """Inputs and kernel, multiplied."""
        raise missing_method(self, "product(self, inputs, kernel)")

    def finish(self, x: Tensor) -> Tensor:
        """What follows the product."""
        raise missing_method(self, "finish(self, x)")


__all__ = ["Adaptable", "Quantizable", "main_weight"]
