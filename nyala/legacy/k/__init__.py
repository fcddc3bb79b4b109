# SPDX-License-Identifier: Apache-2.0
"""The functions of `keras.backend` as Keras 1, 2 and tf.keras had them, over nyala.ops: one file per kind.

Start at arrays.py; what belongs to graphs (functions, learning phases, placeholders) is in graphs.py.
"""

from nyala.core.lazy import lazy

_FILES = {
    "arrays": (
        "abs", "all", "any", "arange", "argmax", "argmin", "batch_dot", "batch_flatten", "bias_add", "cast", "cast_to_floatx", "clip", "concatenate",
        "cos", "count_params", "cumprod", "cumsum", "dot", "dtype", "elu", "equal", "exp", "expand_dims", "eye", "flatten", "foldl", "foldr",
        "gather",
        "greater", "greater_equal", "hard_sigmoid", "identity", "in_top_k", "int_shape", "is_sparse", "is_tensor", "is_variable", "l2_normalize",
        "less", "less_equal", "lesser", "lesser_equal", "log", "logsumexp", "map_fn", "max", "maximum", "mean", "min", "minimum", "ndim", "not_equal",
        "one_hot", "ones", "ones_like", "permute_dimensions", "pow", "prod", "relu", "repeat", "repeat_elements", "reshape", "reverse", "round",
        "shape", "sigmoid", "sign", "sin", "size", "slice", "softmax", "softplus", "softsign", "sqrt", "square", "squeeze", "stack", "std",
        "stop_gradient", "sum", "tanh", "tile", "to_dense", "transpose", "transpose_shape", "var", "zeros", "zeros_like",
    ),
    "graphs": (
        "Function", "batch_get_value", "batch_set_value", "constant", "control_dependencies", "eager", "eval", "function", "get_session", "get_value",
        "get_variable_shape", "gradients", "in_test_phase", "in_train_phase", "is_explicit_shape", "is_placeholder", "is_symbolic", "learning_phase",
        "learning_phase_scope", "legacy_weight_ordering", "manual_variable_initialization", "moving_average_update", "name_scope",
        "pattern_broadcast", "placeholder", "print_tensor", "reset_uids", "rnn", "set_learning_phase", "set_legacy_weight_ordering", "set_session",
        "set_value", "switch", "symbolic", "update", "update_add", "update_sub", "v1_variable_initialization", "variable",
    ),
    "losses": (
        "binary_crossentropy", "binary_focal_crossentropy", "categorical_crossentropy", "categorical_focal_crossentropy", "classification_error",
        "ctc_batch_cost", "ctc_decode", "ctc_label_dense_to_sparse", "sparse_categorical_crossentropy",
    ),
    "random": (
        "dropout", "random_bernoulli", "random_binomial", "random_normal", "random_normal_variable", "random_uniform", "random_uniform_variable",
        "truncated_normal",
    ),
    "windows": (
        "asymmetric_spatial_2d_padding", "asymmetric_temporal_padding", "atrous_conv2d", "batch_normalization", "conv1d", "conv2d",
        "conv2d_transpose", "conv3d", "conv3d_transpose", "deconv2d", "depthwise_conv2d", "image_dim_ordering", "local_conv1d", "local_conv2d",
        "normalize_batch_in_training", "normalize_data_format", "pool2d", "pool3d", "resize_images", "resize_volumes", "separable_conv1d",
        "separable_conv2d", "set_image_dim_ordering", "spatial_2d_padding", "spatial_3d_padding", "temporal_padding",
    ),
}  # fmt: skip
_SETTINGS = (
    "backend", "clear_session", "epsilon", "floatx", "get_uid", "image_data_format", "is_keras_tensor", "set_epsilon", "set_floatx",
    "set_image_data_format", "is_float_dtype", "is_int_dtype", "result_type", "standardize_dtype",
)  # fmt: skip

__getattr__, __dir__, __all__ = lazy(
    __name__,
    {
        **{name: f"nyala.legacy.k.{file}:" for file, names in _FILES.items() for name in names},
        **dict.fromkeys(_SETTINGS, "nyala.backend:"),
        **{f"py_{name}": f"builtins:{name}" for name in ("all", "any", "slice", "sum")},
        "has_arg": "nyala.legacy.helpers:",
        "np": "numpy",
    },
)
