# SPDX-License-Identifier: Apache-2.0
"""What to quantize to, as arguments and configs of layers: one class for each mode. Start at QuantizationConfig and resolve."""

from __future__ import annotations

from typing import Any

from nyala.core.configurable import Configurable
from nyala.core.errors import ArgumentError, ArgumentTypeError, NyalaError
from nyala.core.serialization import serialize_keras_object
from nyala.layers.arguments import as_choice, as_count, is_int
from nyala.quantizers.quantizer import AbsMaxQuantizer, get

MODES = ("int8", "float8", "int4", "gptq", "awq")
UNSUPPORTED = ("gptq", "awq")


class UnsupportedMode(NyalaError, NotImplementedError):
    """A mode of quantization, or a layer, that is not supported here."""


class QuantizationConfig(Configurable):
    """How weights and inputs of layers become small numbers. Made as one of its subclasses.

    Args:
        weight_quantizer: of the weights; None means the usual one of the mode.
        activation_quantizer: of the inputs; None leaves them as they are.
    """

    mode: str = ""

    def __init__(self, weight_quantizer: Any = None, activation_quantizer: Any = None) -> None:
        self.weight_quantizer, self.activation_quantizer = get(weight_quantizer), get(activation_quantizer)

    def weight_quantizer_or_default(self: Any, config: QuantizationConfig | None, default: Any) -> Any:
        """The weight quantizer of config, or default."""
        return default if config is None or config.weight_quantizer is None else config.weight_quantizer

    def activation_quantizer_or_default(self: Any, config: QuantizationConfig | None, default: Any) -> Any:
        """The activation quantizer of config, which may be None; default without a config."""
        return default if config is None else config.activation_quantizer


class Int8QuantizationConfig(QuantizationConfig):
    """Weights in 8 bits with a scale for each output; inputs, by default, too.

    >>> Int8QuantizationConfig(activation_quantizer=None).get_config()
    {'weight_quantizer': None, 'activation_quantizer': None}
    """

    mode = "int8"

    def __init__(self, weight_quantizer: Any = None, activation_quantizer: Any = "default") -> None:
        super().__init__(weight_quantizer, AbsMaxQuantizer() if activation_quantizer == "default" else activation_quantizer)
        _check_dtype("Int8QuantizationConfig(weight_quantizer)", self.weight_quantizer)


class Int4QuantizationConfig(QuantizationConfig):
    """Weights in 4 bits, two to a byte; inputs, by default, as they are.

    Args:
        weight_quantizer, activation_quantizer: only with a scale for each output.
        block_size: how many inputs of an output share a scale and a zero; None or -1 means all, without a zero.
    """

    mode = "int4"

    def __init__(self, weight_quantizer: Any = None, activation_quantizer: Any = "default", block_size: int | None = 128) -> None:
        where = "Int4QuantizationConfig"
        if block_size is not None and not (is_int(block_size) and (block_size == -1 or block_size > 0)):
            raise ArgumentError(f"{where}(block_size)", need="a positive integer, -1 or None", got=repr(block_size))
        super().__init__(weight_quantizer, None if activation_quantizer == "default" else activation_quantizer)
        _check_dtype(f"{where}(weight_quantizer)", self.weight_quantizer)
        if block_size not in (None, -1) and (self.weight_quantizer is not None or self.activation_quantizer is not None):
            why = "blocks are quantized in one way only, with a zero point"
            raise ArgumentError(where, need="no quantizers beside blocks", got=f"block_size={block_size}", why=why, fix="pass block_size=None")
        self.block_size = block_size


class Float8QuantizationConfig(QuantizationConfig):
    """Products in 8-bit floats while training: inputs and weights in e4m3, gradients of outputs in e5m2."""

    mode = "float8"

    def __init__(self) -> None:
        super().__init__()

    def get_config(self) -> dict[str, Any]:
        return {}


class AWQConfig(QuantizationConfig):
    """The arguments of activation-aware weight quantization, kept so that configs that hold them load.

    Nyala does not calibrate on text: quantize("awq") refuses, and says what to use instead.

    Args:
        dataset, tokenizer: the text and what splits it; configs leave them out.
        weight_bits: 4.
        num_samples, sequence_length: how much text.
        group_size: weights that share a scale; -1 for all of an output.
        num_grid_points: scales that are tried.
        quantization_layer_structure: which layers come before, and which make up the blocks.
    """

    mode, allowed = "awq", (4,)

    def __init__(
        self,
        dataset: Any,
        tokenizer: Any,
        *,
        weight_bits: int = 4,
        num_samples: int = 128,
        sequence_length: int = 512,
        group_size: int = 128,
        num_grid_points: int = 20,
        quantization_layer_structure: dict | None = None,
    ) -> None:
        super().__init__()
        check_bits(f"{type(self).__name__}(weight_bits)", weight_bits, self.allowed)
        check_group(f"{type(self).__name__}(group_size)", group_size)
        self.dataset, self.tokenizer, self.weight_bits, self.group_size = dataset, tokenizer, weight_bits, group_size
        self.num_samples = as_count("AWQConfig(num_samples)", num_samples)
        self.sequence_length = as_count("AWQConfig(sequence_length)", sequence_length)
        self.num_grid_points = as_count("AWQConfig(num_grid_points)", num_grid_points)
        self.quantization_layer_structure = quantization_layer_structure

    def dtype_policy_string(self) -> str:
        """The name of the dtype policy, before "_from_...": "awq/4/128"."""
        return f"{self.mode}/{self.weight_bits}/{self.group_size}"

    def get_config(self) -> dict[str, Any]:
        names = ("weight_bits", "num_samples", "sequence_length", "group_size", "num_grid_points", "quantization_layer_structure")
        return {"dataset": None, "tokenizer": None, **{name: getattr(self, name) for name in names}}


class GPTQConfig(QuantizationConfig):
    """The arguments of GPTQ, kept so that configs that hold them load.

    Nyala does not calibrate on text: quantize("gptq") refuses, and says what to use instead.

    Args:
        dataset, tokenizer: the text and what splits it; configs leave them out.
        weight_bits: 2, 3, 4 or 8.
        num_samples, sequence_length: how much text.
        per_channel, symmetric: how scales are shared, and whether there is no zero point.
        hessian_damping: from 0 to 1, of the mean of the diagonal.
        group_size: weights that share a scale; -1 for all.
        activation_order: most important inputs first.
        quantization_layer_structure: which layers come before, and which make up the blocks.
    """

    mode, allowed = "gptq", (2, 3, 4, 8)

    def __init__(
        self,
        dataset: Any,
        tokenizer: Any,
        *,
        weight_bits: int = 4,
        num_samples: int = 128,
        per_channel: bool = True,
        sequence_length: int = 512,
        hessian_damping: float = 0.01,
        group_size: int = 128,
        symmetric: bool = False,
        activation_order: bool = False,
        quantization_layer_structure: dict | None = None,
    ) -> None:
        super().__init__()
        check_bits("GPTQConfig(weight_bits)", weight_bits, self.allowed)
        check_group("GPTQConfig(group_size)", group_size)
        if not isinstance(hessian_damping, (int, float)) or not 0 <= hessian_damping <= 1:
            raise ArgumentError("GPTQConfig(hessian_damping)", need="a number from 0 to 1", got=repr(hessian_damping))
        self.dataset, self.tokenizer, self.weight_bits, self.group_size = dataset, tokenizer, weight_bits, group_size
        self.num_samples = as_count("GPTQConfig(num_samples)", num_samples)
        self.sequence_length = as_count("GPTQConfig(sequence_length)", sequence_length)
        self.per_channel, self.hessian_damping, self.symmetric, self.activation_order = per_channel, hessian_damping, symmetric, activation_order
        self.quantization_layer_structure = quantization_layer_structure

    dtype_policy_string = AWQConfig.dtype_policy_string

    def get_config(self) -> dict[str, Any]:
        names = ("weight_bits", "num_samples", "per_channel", "sequence_length", "hessian_damping", "group_size", "symmetric", "activation_order",
                 "quantization_layer_structure")  # fmt: skip
        return {"dataset": None, "tokenizer": None, **{name: getattr(self, name) for name in names}}


CONFIGS = {kind.mode: kind for kind in (Int8QuantizationConfig, Int4QuantizationConfig, Float8QuantizationConfig)}


def resolve(where: str, mode: str | None, config: Any, supported: tuple[str, ...] = tuple(CONFIGS)) -> QuantizationConfig:
    """The config of quantize(mode, config): given, or the usual one of the mode. Refuses modes that are not supported."""
    if config is not None and not isinstance(config, QuantizationConfig):
        raise ArgumentTypeError(f"{where}(config)", need="a QuantizationConfig", got=repr(config), fix="pass the mode by name, and no config")
    if mode is not None:
        as_choice(f"{where}(mode)", mode, MODES)
        if config is not None and mode != config.mode:
            raise ArgumentError(where, need="a config of the mode", got=f"mode {mode!r} and a config of {config.mode!r}", fix="leave the mode out")
    elif config is None:
        raise ArgumentError(where, need="a mode or a config", got="neither", fix='say quantize("int8")')
    else:
        mode = config.mode
    if mode in UNSUPPORTED:
        why = "it calibrates on text, layer by layer, which is not part of this library"
        raise UnsupportedMode(where, need=_listed(supported), got=repr(mode), why=why, fix='use quantize("int4"), whose blocks need no text')
    if mode not in supported:
        raise UnsupportedMode(where, need=_listed(supported), got=repr(mode), why="8-bit floats are for products, and this layer looks rows up")
    return config if config is not None else CONFIGS[mode]()


def usual(policy: Any) -> QuantizationConfig | None:
    """The config of a quantized dtype policy where nothing else is said; None: resolve chooses."""
    return Int4QuantizationConfig(block_size=getattr(policy, "block_size", None)) if policy.quantization_mode == "int4" else None


def is_usual(config: QuantizationConfig | None, policy: Any) -> bool:
    """Whether the policy alone says what config says."""
    expected = resolve("", policy.quantization_mode, usual(policy))
    return config is None or (type(config) is type(expected) and serialize_keras_object(config) == serialize_keras_object(expected))


def check_bits(where: str, bits: Any, allowed: tuple[int, ...]) -> None:
    """Raise unless bits is one of the numbers allowed."""
    if bits not in allowed:
        raise ArgumentError(where, need="one of " * (len(allowed) > 1) + ", ".join(map(str, allowed)), got=repr(bits))


def check_group(where: str, size: Any) -> None:
    """Raise unless size is positive, or -1 for all."""
    if not is_int(size) or (size != -1 and size <= 0):
        raise ArgumentError(where, need="a positive integer, or -1 for all", got=repr(size))


def _check_dtype(where: str, quantizer: Any) -> None:
    if quantizer is not None and getattr(quantizer, "output_dtype", "int8") != "int8":
        raise ArgumentError(where, need='a quantizer with output_dtype="int8"', got=repr(quantizer.output_dtype), why="weights are kept in bytes")


def _listed(modes: tuple[str, ...]) -> str:
    return "one of " + ", ".join(map(repr, modes))
