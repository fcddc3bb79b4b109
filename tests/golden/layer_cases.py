# SPDX-License-Identifier: Apache-2.0
"""The layers to ask the oracle about: one row per case, inputs drawn by shape.

Knows no library: a row is a name, what to build, and the calls to make. Start at CASES.
"""

import numpy as np

from tests.golden.store import new

CASES = {}


def normal(*shape):
    """Floats of a normal distribution."""
    return lambda random: random.normal(size=shape).astype("float32")


def positive(*shape):
    """Floats of [0.1, 2)."""
    return lambda random: random.uniform(0.1, 2.0, size=shape).astype("float32")


def indices(high, *shape):
    """Integers of [0, high)."""
    return lambda random: random.integers(0, high, size=shape).astype("int32")


def mask(*rows):
    """A given boolean mask, one string of 0 and 1 per row."""
    return np.array([[character == "1" for character in row] for row in rows])


def coin(*shape):
    """A random boolean mask whose last axis always keeps its first entry."""

    def draw(random):
        bits = random.integers(0, 2, size=shape).astype(bool)
        bits[..., 0] = True
        return bits

    return draw


def call(*args, **kwargs):
    """One call of a layer."""
    return {"args": list(args), "kwargs": kwargs}


def case(name, label, arguments, *args, calls=None, **kwargs):
    """Add a row: layer name, what is special, constructor arguments, then the call."""
    CASES[f"{name}/{label}"] = {"layer": new(f"layers.{name}", **arguments), "calls": calls or [call(*args, **kwargs)]}


def grid(name, rows, *args, **kwargs):
    """Several rows on inputs of the same shape: {label: arguments}."""
    for label, arguments in rows.items():
        case(name, label, arguments, *args, **kwargs)


LAST, FIRST = "channels_last", "channels_first"

# Core
grid(
    "Dense",
    {
        "plain": {"units": 3},
        "relu_no_bias": {"units": 3, "activation": "relu", "use_bias": False},
        "tanh": {"units": 2, "activation": "tanh"},
        "softmax": {"units": 5, "activation": "softmax"},
        "regularized": {
            "units": 3,
            "kernel_regularizer": "l2",
            "bias_regularizer": new("regularizers.L1", l1=0.1),
            "kernel_constraint": "non_neg",
            "kernel_initializer": "he_normal",
        },
    },
    normal(5, 7),
)
case("Dense", "rank_1_units_1", {"units": 1}, normal(3, 2))
case("Dense", "rank_4", {"units": 3, "activation": "gelu"}, normal(2, 3, 5, 7))
for equation, shape, bias, data in [
    ("abc,cd->abd", [None, 11], "d", (2, 3, 5)),
    ("abc,cde->abde", [None, 7, 3], "de", (2, 5, 11)),
    ("...x,xy->...y", [7], None, (2, 3, 5)),
    ("btd,dhk->bhtk", [3, None, 2], "hk", (2, 5, 7)),
    ("ab,bc->ac", 7, "c", (3, 5)),
]:
    case("EinsumDense", equation, {"equation": equation, "output_shape": shape, "bias_axes": bias}, normal(*data))
case("EinsumDense", "activation", {"equation": "ab,bc->ac", "output_shape": [7], "activation": "tanh"}, normal(3, 5))
grid(
    "Embedding", {"plain": {"input_dim": 11, "output_dim": 3}, "mask_zero": {"input_dim": 11, "output_dim": 3, "mask_zero": True}}, indices(11, 2, 5)
)
case("Embedding", "rank_1", {"input_dim": 7, "output_dim": 5}, indices(7, 3))
case("Embedding", "rank_3_mask_zero", {"input_dim": 3, "output_dim": 2, "mask_zero": True}, indices(3, 2, 3, 5))
case("ReversibleEmbedding", "forward", {"input_dim": 11, "output_dim": 3}, indices(11, 2, 5))
case("ReversibleEmbedding", "reverse", {"input_dim": 11, "output_dim": 3}, normal(2, 5, 3), reverse=True)
case(
    "ReversibleEmbedding",
    "reverse_untied_capped",
    {"input_dim": 11, "output_dim": 3, "tie_weights": False, "logit_soft_cap": 2.0},
    normal(2, 5, 3),
    reverse=True,
)
case("Identity", "plain", {}, normal(2, 3))
case("Masking", "zero", {}, lambda random: random.integers(0, 2, size=(5, 7, 2)).astype("float32"))
case("Masking", "minus_one", {"mask_value": -1.0}, lambda random: random.integers(-1, 1, size=(5, 7, 2)).astype("float32"))

# Activation layers
for name in [
    "relu",
    "tanh",
    "sigmoid",
    "softmax",
    "gelu",
    "silu",
    "elu",
    "selu",
    "softplus",
    "softsign",
    "hard_sigmoid",
    "exponential",
    "linear",
    "leaky_relu",
    "mish",
    "log_softmax",
    "hard_silu",
    "relu6",
]:
    case("Activation", name, {"activation": name}, normal(3, 7))
grid(
    "ReLU",
    {"plain": {}, "all": {"max_value": 1.5, "negative_slope": 0.1, "threshold": 0.2}, "max": {"max_value": 0.7}, "threshold": {"threshold": 0.5}},
    normal(3, 7),
)
grid("LeakyReLU", {"plain": {}, "slope": {"negative_slope": 0.05}}, normal(3, 7))
grid("ELU", {"plain": {}, "alpha": {"alpha": 0.3}}, normal(3, 7))
grid("PReLU", {"plain": {}, "shared": {"shared_axes": [1]}, "shared_two": {"shared_axes": [1, 2]}}, normal(2, 3, 5, 2))
grid("Softmax", {"plain": {}, "axis_1": {"axis": 1}, "two_axes": {"axis": [1, 2]}}, normal(2, 3, 5))
case("Softmax", "mask", {}, normal(2, 3, 5), mask=coin(2, 3, 5))
case("Softmax", "mask_two_axes", {"axis": [-2, -1]}, normal(2, 3, 5), mask=coin(2, 3, 5))

# Dropout and noise without noise
for name, arguments in {
    "Dropout": {"rate": 0.5},
    "SpatialDropout1D": {"rate": 0.5},
    "GaussianDropout": {"rate": 0.5},
    "GaussianNoise": {"stddev": 0.5},
    "AlphaDropout": {"rate": 0.5},
}.items():
    case(name, "inference", arguments, normal(2, 3, 5), training=False)
    case(name, "rate_0", dict.fromkeys(arguments, 0.0), normal(2, 3, 5), training=True)
case("Dropout", "noise_shape", {"rate": 0.3, "noise_shape": [2, 1, 5], "seed": 7}, normal(2, 3, 5), training=False)
case("Dropout", "rate_1", {"rate": 1.0}, normal(2, 3, 5), training=True)
case("ActivityRegularization", "plain", {"l1": 0.1, "l2": 0.2}, normal(3, 5))

# Reshaping
grid("Flatten", {"plain": {}, "channels_first": {"data_format": FIRST}}, normal(2, 3, 5, 7))
case("Flatten", "rank_1", {}, normal(3))
case("Flatten", "channels_first_rank_3", {"data_format": FIRST}, normal(2, 3, 5))
grid("Reshape", {"plain": {"target_shape": [5, 6]}, "guess": {"target_shape": [-1, 3]}, "flat": {"target_shape": [30]}}, normal(7, 2, 3, 5))
grid("Permute", {"swap": {"dims": [2, 1]}}, normal(2, 3, 5))
case("Permute", "three", {"dims": [3, 1, 2]}, normal(2, 3, 5, 7))
case("RepeatVector", "plain", {"n": 3}, normal(2, 5))
grid(
    "ZeroPadding1D",
    {"plain": {}, "number": {"padding": 2}, "sides": {"padding": [1, 3]}, "channels_first": {"padding": [2, 1], "data_format": FIRST}},
    normal(2, 3, 5),
)
grid(
    "ZeroPadding2D",
    {
        "plain": {},
        "number": {"padding": 2},
        "axes": {"padding": [1, 2]},
        "sides": {"padding": [[1, 2], [3, 0]]},
        "channels_first": {"padding": [[1, 2], [3, 0]], "data_format": FIRST},
    },
    normal(2, 3, 5, 7),
)
grid(
    "ZeroPadding3D",
    {
        "plain": {},
        "number": {"padding": 1},
        "axes": {"padding": [0, 1, 2]},
        "sides": {"padding": [[1, 0], [0, 1], [2, 0]]},
        "channels_first": {"padding": [[1, 0], [0, 1], [2, 0]], "data_format": FIRST},
    },
    normal(2, 2, 3, 2, 3),
)
grid("Cropping1D", {"plain": {}, "number": {"cropping": 2}, "sides": {"cropping": [3, 1]}, "none": {"cropping": [0, 2]}}, normal(2, 7, 3))
grid(
    "Cropping2D", {"plain": {}, "number": {"cropping": 1}, "axes": {"cropping": [1, 2]}, "sides": {"cropping": [[1, 2], [0, 3]]}}, normal(2, 5, 7, 3)
)
case("Cropping2D", "channels_first", {"cropping": [[1, 2], [0, 3]], "data_format": FIRST}, normal(2, 3, 5, 7))
grid("Cropping3D", {"plain": {}, "sides": {"cropping": [[1, 0], [0, 2], [1, 1]]}}, normal(2, 3, 5, 3, 2))
case("Cropping3D", "channels_first", {"cropping": [[1, 0], [0, 2], [1, 1]], "data_format": FIRST}, normal(2, 2, 3, 5, 3))
grid("UpSampling1D", {"plain": {}, "three": {"size": 3}}, normal(2, 3, 5))
grid(
    "UpSampling2D",
    {
        "plain": {},
        "sizes": {"size": [2, 3]},
        "channels_first": {"size": [3, 2], "data_format": FIRST},
        "bilinear": {"size": [2, 3], "interpolation": "bilinear"},
        "bicubic": {"size": [2, 2], "interpolation": "bicubic"},
        "lanczos3": {"size": [2, 2], "interpolation": "lanczos3"},
        "bilinear_channels_first": {"size": [2, 3], "interpolation": "bilinear", "data_format": FIRST},
    },
    normal(2, 3, 5, 2),
)
grid("UpSampling3D", {"plain": {}, "sizes": {"size": [1, 2, 3]}, "channels_first": {"size": [3, 1, 2], "data_format": FIRST}}, normal(2, 2, 3, 2, 3))
grid(
    "Rescaling",
    {"plain": {"scale": 0.25}, "offset": {"scale": 2.0, "offset": -1.0}, "channels": {"scale": [1.0, 2.0, 3.0], "offset": [0.5, 0.0, 1.0]}},
    normal(2, 5, 3),
)

# Convolutions
CONV = {1: (7, (3,), (2,), (2,)), 2: ((7, 5), (3, 2), (2, 3), (2, 2)), 3: ((5, 4, 5), (2, 3, 2), (2, 1, 2), (2, 1, 2))}
for rank, (space, kernel, strides, dilation) in CONV.items():
    space = space if isinstance(space, tuple) else (space,)
    base = {"filters": 3, "kernel_size": list(kernel)}
    name, data, first = f"Conv{rank}D", normal(2, *space, 2), normal(2, 2, *space)
    grid(
        name,
        {
            "valid": base,
            "same": base | {"padding": "same"},
            "strides_valid": base | {"strides": list(strides)},
            "strides_same": base | {"strides": list(strides), "padding": "same"},
            "dilation": base | {"dilation_rate": list(dilation)},
            "dilation_same": base | {"dilation_rate": list(dilation), "padding": "same"},
            "even_kernel_same": base | {"kernel_size": 2, "padding": "same"},
            "one": base | {"kernel_size": 1},
            "relu_no_bias": base | {"activation": "relu", "use_bias": False},
            "groups": base | {"filters": 4, "groups": 2, "padding": "same"},
        },
        data,
    )
    grid(
        name,
        {
            "first_valid": base | {"data_format": FIRST},
            "first_strides_same": base | {"data_format": FIRST, "strides": list(strides), "padding": "same"},
            "first_groups": base | {"data_format": FIRST, "filters": 4, "groups": 2},
            "first_tanh": base | {"data_format": FIRST, "activation": "tanh"},
        },
        first,
    )
    for label, extra in {
        "valid": {},
        "same": {"padding": "same"},
        "strides": {"strides": list(strides)},
        "strides_same": {"strides": list(strides), "padding": "same"},
        "no_bias_relu": {"use_bias": False, "activation": "relu"},
    }.items():
        case(name + "Transpose", label, base | extra, data)
    case(name + "Transpose", "first_strides", base | {"strides": list(strides), "data_format": FIRST}, first)
case("Conv1DTranspose", "output_padding", {"filters": 3, "kernel_size": 3, "strides": 2, "padding": "same", "output_padding": 1}, normal(2, 5, 2))
case("Conv2DTranspose", "output_padding", {"filters": 3, "kernel_size": 3, "strides": 3, "output_padding": [1, 2]}, normal(2, 3, 5, 2))
case("Conv2DTranspose", "dilation", {"filters": 3, "kernel_size": 3, "dilation_rate": [2, 2]}, normal(2, 3, 5, 2))
grid(
    "Conv1D",
    {
        "causal": {"filters": 3, "kernel_size": 3, "padding": "causal"},
        "causal_dilation": {"filters": 3, "kernel_size": 2, "padding": "causal", "dilation_rate": 3},
        "causal_strides": {"filters": 3, "kernel_size": 4, "padding": "causal", "strides": 2},
    },
    normal(2, 7, 5),
)
case("Conv1D", "causal_first", {"filters": 3, "kernel_size": 3, "padding": "causal", "data_format": FIRST}, normal(2, 5, 7))
case("Conv2D", "one_strides", {"filters": 3, "kernel_size": 1, "strides": 2, "padding": "same"}, normal(2, 7, 5, 3))
case("Conv2D", "depthwise_groups", {"filters": 6, "kernel_size": 3, "groups": 3, "padding": "same"}, normal(2, 5, 7, 3))
case("Conv2D", "kernel_beyond_input_same", {"filters": 2, "kernel_size": [5, 7], "padding": "same"}, normal(2, 3, 2, 2))
for rank, space in {1: (7,), 2: (7, 5)}.items():
    for name, base in {"DepthwiseConv": {"kernel_size": 3}, "SeparableConv": {"filters": 5, "kernel_size": 3}}.items():
        grid(
            f"{name}{rank}D",
            {
                "valid": base,
                "same_multiplier": base | {"padding": "same", "depth_multiplier": 2},
                "strides": base | {"strides": 2, "padding": "same"},
                "dilation": base | {"dilation_rate": 2},
                "no_bias_relu": base | {"use_bias": False, "activation": "relu"},
            },
            normal(2, *space, 2),
        )
        case(f"{name}{rank}D", "first", base | {"data_format": FIRST, "depth_multiplier": 2}, normal(2, 2, *space))

# Pooling
for kind in ["Max", "Average"]:
    for rank, space, size, strides in [(1, (7,), [3], [2]), (2, (7, 5), [2, 3], [3, 2]), (3, (5, 3, 4), [2, 3, 2], [1, 2, 2])]:
        name, data, first = f"{kind}Pooling{rank}D", normal(2, *space, 3), normal(2, 3, *space)
        grid(
            name,
            {
                "two": {"pool_size": 2},
                "valid": {"pool_size": size},
                "same": {"pool_size": size, "padding": "same"},
                "strides_valid": {"pool_size": size, "strides": strides},
                "strides_same": {"pool_size": size, "strides": strides, "padding": "same"},
                "stride_1_same": {"pool_size": size, "strides": 1, "padding": "same"},
                "strides_beyond_size": {"pool_size": 1, "strides": 2},
            },
            data,
        )
        grid(
            name,
            {
                "first": {"pool_size": size, "data_format": FIRST},
                "first_same": {"pool_size": size, "strides": strides, "padding": "same", "data_format": FIRST},
            },
            first,
        )
    for rank, space in [(1, (5,)), (2, (5, 3)), (3, (2, 5, 3))]:
        grid(
            f"Global{kind}Pooling{rank}D",
            {
                "plain": {},
                "keepdims": {"keepdims": True},
                "first": {"data_format": FIRST},
                "first_keepdims": {"data_format": FIRST, "keepdims": True},
            },
            normal(2, *space, 7),
        )
        size = [3, 2, 4][:rank]
        grid(f"Adaptive{kind}Pooling{rank}D", {"plain": {"output_size": size}, "one": {"output_size": 1}}, normal(2, *[7, 5, 5][:rank], 3))
        case(f"Adaptive{kind}Pooling{rank}D", "first", {"output_size": size, "data_format": FIRST}, normal(2, 3, *[7, 5, 5][:rank]))
case("GlobalAveragePooling1D", "mask", {}, normal(3, 5, 2), mask=mask("11011", "10000", "01110"))
case("GlobalAveragePooling1D", "mask_keepdims", {"keepdims": True}, normal(3, 5, 2), mask=mask("11011", "10000", "01110"))
case("GlobalAveragePooling1D", "mask_first", {"data_format": FIRST}, normal(3, 2, 5), mask=mask("11011", "10000", "01110"))

# Normalization
for training in [True, False]:
    label = "training" if training else "inference"
    for extra, arguments in {
        "": {},
        "_axis_1": {"axis": 1},
        "_no_scale": {"scale": False},
        "_no_center": {"center": False},
        "_bare": {"scale": False, "center": False},
        "_momentum": {"momentum": 0.7, "epsilon": 0.1},
    }.items():
        case("BatchNormalization", label + extra, arguments, normal(5, 3, 2), training=training)
    case("BatchNormalization", label + "_rank_2", {}, normal(7, 3), training=training)
    case("BatchNormalization", label + "_rank_4", {}, normal(2, 3, 5, 3), training=training)
    case("BatchNormalization", label + "_rank_4_first", {"axis": 1}, normal(2, 3, 5, 3), training=training)
    case("BatchNormalization", label + "_mask", {}, normal(3, 5, 2), training=training, mask=mask("11011", "10000", "01110"))
    case("BatchNormalization", label + "_frozen", {"trainable": False}, normal(5, 3), training=training)
case("BatchNormalization", "two_calls", {}, calls=[call(normal(5, 3), training=True), call(normal(7, 3), training=True)])
case("BatchNormalization", "then_inference", {}, calls=[call(normal(5, 3), training=True), call(normal(7, 3), training=False)])
case("BatchNormalization", "renorm_training", {"renorm": True}, normal(5, 3), training=True)
case("BatchNormalization", "renorm_inference", {"renorm": True}, normal(5, 3), training=False)
grid(
    "LayerNormalization",
    {
        "plain": {},
        "axis_1": {"axis": 1},
        "axes": {"axis": [1, 2]},
        "axes_apart": {"axis": [1, 3]},
        "no_scale": {"scale": False},
        "no_center": {"center": False},
        "bare": {"scale": False, "center": False},
        "epsilon": {"epsilon": 0.5},
    },
    normal(2, 3, 5, 7),
)
case("LayerNormalization", "rank_2", {}, normal(3, 5))
grid(
    "GroupNormalization",
    {
        "plain": {"groups": 2},
        "instance": {"groups": -1},
        "one_group": {"groups": 1},
        "bare": {"groups": 3, "scale": False, "center": False},
        "epsilon": {"groups": 2, "epsilon": 0.3},
    },
    normal(2, 5, 3, 6),
)
case("GroupNormalization", "axis_1", {"groups": 2, "axis": 1}, normal(2, 6, 3, 5))
grid("UnitNormalization", {"plain": {}, "axis_1": {"axis": 1}, "axes": {"axis": [1, 2]}}, normal(2, 3, 5))
grid("RMSNormalization", {"plain": {}, "axes": {"axis": [1, 2]}, "epsilon": {"epsilon": 0.1}}, normal(2, 3, 5))
case("SpectralNormalization", "inference", {"layer": new("layers.Dense", units=3)}, normal(2, 5), training=False)
case("SpectralNormalization", "training", {"layer": new("layers.Dense", units=3), "power_iterations": 2}, normal(2, 5), training=True)
case("SpectralNormalization", "conv", {"layer": new("layers.Conv2D", filters=3, kernel_size=2)}, normal(2, 5, 3, 2), training=True)
case("Normalization", "given", {"mean": [1.0, 2.0, 3.0], "variance": [4.0, 0.5, 2.0]}, normal(2, 3))
case("Normalization", "invert", {"mean": [1.0, 2.0, 3.0], "variance": [4.0, 0.5, 2.0], "invert": True}, normal(2, 5, 3))
case("Normalization", "one_number", {"mean": 1.5, "variance": 4.0, "axis": None}, normal(2, 3))

# Merging
for name in ["Add", "Multiply", "Average", "Maximum", "Minimum"]:
    case(name, "two", {}, [normal(2, 3), normal(2, 3)])
    case(name, "three", {}, [normal(2, 3, 5), normal(2, 3, 5), normal(2, 3, 5)])
    case(name, "broadcast", {}, [normal(2, 3, 5), normal(2, 1, 5)])
    case(name, "ranks", {}, [normal(2, 3, 5), normal(2, 5)])
case("Subtract", "two", {}, [normal(2, 3), normal(2, 3)])
case("Subtract", "broadcast", {}, [normal(2, 3, 5), normal(2, 1, 5)])
case("Concatenate", "last", {}, [normal(2, 3), normal(2, 5)])
case("Concatenate", "axis_1", {"axis": 1}, [normal(2, 3, 5), normal(2, 2, 5), normal(2, 7, 5)])
case("Dot", "rank_2", {"axes": 1}, [normal(2, 3), normal(2, 3)])
case("Dot", "pair", {"axes": [1, 2]}, [normal(2, 3, 5), normal(2, 7, 3)])
case("Dot", "last", {"axes": -1}, [normal(2, 3, 5), normal(2, 7, 5)])
case("Dot", "axis_2_normalize", {"axes": 2, "normalize": True}, [normal(2, 3, 5), normal(2, 7, 5)])
case("Dot", "rank_2_normalize", {"axes": 1, "normalize": True}, [normal(2, 3), normal(2, 3)])
case("Dot", "ranks", {"axes": [2, 1]}, [normal(2, 3, 5), normal(2, 5)])

# Attention
case("Attention", "value", {}, [normal(2, 3, 5), normal(2, 7, 5)])
case("Attention", "key", {}, [normal(2, 3, 5), normal(2, 7, 2), normal(2, 7, 5)])
case("Attention", "scale", {"use_scale": True}, [normal(2, 3, 5), normal(2, 7, 5)])
case("Attention", "concat", {"score_mode": "concat", "use_scale": True}, [normal(2, 3, 5), normal(2, 7, 5)])
case("Attention", "causal_scores", {}, [normal(2, 5, 3), normal(2, 5, 3)], use_causal_mask=True, return_attention_scores=True)
case("Attention", "masks", {}, [normal(2, 3, 5), normal(2, 7, 5)], mask=[mask("110", "011"), mask("1101100", "0111110")])
case("AdditiveAttention", "value", {}, [normal(2, 3, 5), normal(2, 7, 5)])
case(
    "AdditiveAttention",
    "no_scale_masks",
    {"use_scale": False},
    [normal(2, 3, 5), normal(2, 7, 5)],
    mask=[mask("110", "011"), mask("1101100", "0111110")],
)
HEADS = {"num_heads": 2, "key_dim": 3}
case("MultiHeadAttention", "self", HEADS, normal(2, 5, 7), normal(2, 5, 7))
case("MultiHeadAttention", "cross", HEADS, normal(2, 5, 7), normal(2, 3, 11))
case("MultiHeadAttention", "key", HEADS, normal(2, 5, 7), normal(2, 3, 11), normal(2, 3, 2))
case("MultiHeadAttention", "value_dim", HEADS | {"value_dim": 5}, normal(2, 5, 7), normal(2, 3, 7), return_attention_scores=True)
case("MultiHeadAttention", "output_shape", HEADS | {"output_shape": 11}, normal(2, 5, 7), normal(2, 3, 7))
case("MultiHeadAttention", "output_shape_two", HEADS | {"output_shape": [3, 2]}, normal(2, 5, 7), normal(2, 3, 7))
case("MultiHeadAttention", "no_bias", HEADS | {"use_bias": False}, normal(2, 5, 7), normal(2, 3, 7))
case("MultiHeadAttention", "axes_2", HEADS | {"attention_axes": [2]}, normal(2, 3, 5, 7), normal(2, 3, 2, 7))
case("MultiHeadAttention", "axes_1_2", HEADS | {"attention_axes": [1, 2]}, normal(2, 3, 5, 7), normal(2, 2, 3, 7), return_attention_scores=True)
case("MultiHeadAttention", "scores", HEADS, normal(2, 5, 7), normal(2, 3, 7), return_attention_scores=True)
case("MultiHeadAttention", "causal", HEADS, normal(2, 5, 7), normal(2, 5, 7), use_causal_mask=True, return_attention_scores=True)
case("MultiHeadAttention", "attention_mask", HEADS, normal(2, 5, 7), normal(2, 3, 7), attention_mask=coin(2, 5, 3))
case("MultiHeadAttention", "attention_mask_broadcast", HEADS, normal(2, 5, 7), normal(2, 3, 7), attention_mask=coin(1, 5, 3))
case("MultiHeadAttention", "causal_and_mask", HEADS, normal(2, 5, 7), normal(2, 5, 7), attention_mask=coin(2, 5, 5), use_causal_mask=True)
case(
    "MultiHeadAttention",
    "query_and_value_mask",
    HEADS,
    normal(2, 5, 7),
    normal(2, 3, 7),
    query_mask=mask("11011", "01111"),
    value_mask=mask("101", "110"),
)
case("MultiHeadAttention", "key_mask", HEADS, normal(2, 5, 7), normal(2, 3, 7), normal(2, 3, 2), key_mask=mask("101", "110"))
case("MultiHeadAttention", "dropout_inference", HEADS | {"dropout": 0.5}, normal(2, 5, 7), normal(2, 3, 7), training=False)
case("MultiHeadAttention", "gate", HEADS | {"use_gate": True}, normal(2, 5, 7), normal(2, 3, 7))
case("MultiHeadAttention", "sliding_window", HEADS | {"sliding_window": 2}, normal(2, 7, 5), normal(2, 7, 5))
GROUPED = {"head_dim": 3, "num_query_heads": 4, "num_key_value_heads": 2}
case("GroupQueryAttention", "self", GROUPED, normal(2, 5, 7), normal(2, 5, 7))
case("GroupQueryAttention", "causal_no_bias", GROUPED | {"use_bias": False}, normal(2, 5, 7), normal(2, 5, 7), use_causal_mask=True)
case("GroupQueryAttention", "mask_scores", GROUPED, normal(2, 5, 7), normal(2, 3, 7), attention_mask=coin(2, 5, 3), return_attention_scores=True)

# Recurrent
HOLES = mask("1101011", "0011110", "1111111")
PREFIX = mask("1110000", "1111111", "1000000")
for name, states in {"SimpleRNN": 1, "LSTM": 2, "GRU": 1}.items():
    base, x = {"units": 5}, normal(3, 7, 2)
    grid(
        name,
        {
            "plain": base,
            "sequences": base | {"return_sequences": True},
            "state": base | {"return_state": True},
            "sequences_state": base | {"return_sequences": True, "return_state": True},
            "backwards": base | {"go_backwards": True},
            "backwards_sequences": base | {"go_backwards": True, "return_sequences": True, "return_state": True},
            "unroll": base | {"unroll": True, "return_sequences": True},
            "no_bias": base | {"use_bias": False, "return_sequences": True},
            "relu": base | {"activation": "relu", "return_sequences": True},
            "linear": base | {"activation": None},
        },
        x,
    )
    grid(
        name,
        {
            "mask": base,
            "mask_sequences": base | {"return_sequences": True, "return_state": True},
            "mask_backwards": base | {"go_backwards": True, "return_sequences": True, "return_state": True},
            "mask_unroll": base | {"unroll": True, "return_sequences": True},
        },
        x,
        mask=HOLES,
    )
    grid(name, {"prefix": base | {"return_state": True}, "prefix_sequences": base | {"return_sequences": True}}, x, mask=PREFIX)
    first = [normal(3, 5) for _ in range(states)]
    case(name, "initial_state", base | {"return_sequences": True, "return_state": True}, x, initial_state=first if states > 1 else first[0])
    case(name, "initial_state_mask", base, x, initial_state=first if states > 1 else first[0], mask=HOLES)
    case(name, "stateful", base | {"stateful": True, "return_sequences": True}, calls=[call(normal(3, 5, 2)), call(normal(3, 7, 2))])
    case(name, "one_step", base, normal(3, 1, 2))
    case(name, "dropout_inference", base | {"dropout": 0.3, "recurrent_dropout": 0.2}, x, training=False)
    cell = new(f"layers.{name}Cell", units=5)
    case("RNN", name, {"cell": cell, "return_sequences": True, "return_state": True}, x)
    case("RNN", name + "_mask", {"cell": cell, "return_sequences": True}, x, mask=HOLES)
    case("RNN", name + "_mask_zero_output", {"cell": cell, "return_sequences": True, "zero_output_for_mask": True}, x, mask=HOLES)
    case(name + "Cell", "plain", {"units": 5}, normal(3, 2), first)
    case("Bidirectional", name, {"layer": new(f"layers.{name}", units=3, return_sequences=True)}, x)
for name in ["LSTM", "GRU"]:
    case(name, "recurrent_activation", {"units": 5, "recurrent_activation": "hard_sigmoid", "activation": "softsign"}, normal(3, 7, 2))
case("LSTM", "no_forget_bias", {"units": 5, "unit_forget_bias": False}, normal(3, 7, 2))
for label, extra in {"": {}, "_mask": {"mask": HOLES}}.items():
    grid(
        "GRU",
        {
            "reset_before" + label: {"units": 5, "reset_after": False, "return_sequences": True},
            "reset_before_no_bias" + label: {"units": 5, "reset_after": False, "use_bias": False},
        },
        normal(3, 7, 2),
        **extra,
    )
case("GRUCell", "reset_before", {"units": 5, "reset_after": False}, normal(3, 2), [normal(3, 5)])
STACK = [new("layers.LSTMCell", units=3), new("layers.GRUCell", units=5), new("layers.SimpleRNNCell", units=2)]
case("RNN", "stacked", {"cell": new("layers.StackedRNNCells", cells=STACK), "return_sequences": True, "return_state": True}, normal(3, 7, 2))
case("RNN", "list_of_cells_mask", {"cell": STACK[:2]}, normal(3, 7, 2), mask=HOLES)
case("RNN", "backwards_unroll", {"cell": new("layers.GRUCell", units=3, reset_after=False), "go_backwards": True, "unroll": True}, normal(3, 5, 2))
for mode in ["concat", "sum", "mul", "ave", None]:
    label = str(mode).lower()
    for sequences in [True, False]:
        inner = new("layers.LSTM", units=3, return_sequences=sequences)
        case("Bidirectional", f"{label}_{'sequences' if sequences else 'last'}", {"layer": inner, "merge_mode": mode}, normal(2, 5, 3))
        case(
            "Bidirectional",
            f"{label}_{'sequences' if sequences else 'last'}_mask",
            {"layer": inner, "merge_mode": mode},
            normal(2, 5, 3),
            mask=mask("10110", "01111"),
        )
case("Bidirectional", "state", {"layer": new("layers.LSTM", units=3, return_state=True)}, normal(2, 5, 3))
case(
    "Bidirectional",
    "initial_state",
    {"layer": new("layers.GRU", units=3, return_sequences=True)},
    normal(2, 5, 3),
    initial_state=[normal(2, 3), normal(2, 3)],
)
case(
    "Bidirectional",
    "two_layers",
    {"layer": new("layers.LSTM", units=3), "backward_layer": new("layers.LSTM", units=3, activation="relu", go_backwards=True)},
    normal(2, 5, 3),
)
case("TimeDistributed", "dense", {"layer": new("layers.Dense", units=5, activation="tanh")}, normal(2, 3, 7))
case("TimeDistributed", "conv", {"layer": new("layers.Conv2D", filters=3, kernel_size=2)}, normal(2, 3, 5, 3, 2))
case("TimeDistributed", "mask", {"layer": new("layers.Dense", units=5)}, normal(2, 3, 7), mask=mask("101", "011"))
case("TimeDistributed", "batch_normalization", {"layer": new("layers.BatchNormalization")}, normal(2, 3, 7), training=True)
for rank, space in {1: (5,), 2: (5, 3), 3: (3, 3, 2)}.items():
    name, x, base = f"ConvLSTM{rank}D", normal(2, 3, *space, 2), {"filters": 3, "kernel_size": 2, "padding": "same"}
    grid(
        name,
        {
            "plain": base,
            "sequences_state": base | {"return_sequences": True, "return_state": True},
            "valid": base | {"padding": "valid"},
            "strides_no_bias": base | {"strides": 2, "use_bias": False},
        },
        x,
    )
case("ConvLSTM2D", "mask", {"filters": 3, "kernel_size": 2, "return_sequences": True}, normal(2, 5, 3, 3, 2), mask=mask("10110", "01111"))
case("ConvLSTM2D", "first", {"filters": 3, "kernel_size": [3, 2], "data_format": FIRST}, normal(2, 3, 2, 5, 3))

# Preprocessing that is plain arithmetic
grid("CategoryEncoding", {"multi_hot": {"num_tokens": 7}, "count": {"num_tokens": 7, "output_mode": "count"}}, indices(7, 3, 5))
case("CategoryEncoding", "one_hot", {"num_tokens": 7, "output_mode": "one_hot"}, indices(7, 5))
case("Discretization", "int", {"bin_boundaries": [-1.0, 0.0, 0.5]}, normal(3, 5))
case("Discretization", "one_hot", {"bin_boundaries": [-1.0, 0.0, 0.5], "output_mode": "one_hot"}, normal(5, 1))
case("Resizing", "bilinear", {"height": 3, "width": 11}, normal(2, 7, 5, 3))
case("Resizing", "nearest", {"height": 3, "width": 11, "interpolation": "nearest"}, normal(2, 7, 5, 3))
case("CenterCrop", "plain", {"height": 3, "width": 2}, normal(2, 7, 5, 3))
