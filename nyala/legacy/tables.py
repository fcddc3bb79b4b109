# SPDX-License-Identifier: Apache-2.0
"""The words of Keras 0, 1, 2 and tf.keras and what Keras 3 calls the same things. Data only; layers.py and objects.py apply it."""

from typing import Any

DATA_FORMATS = {"tf": "channels_last", "th": "channels_first", "default": None}

# Classes ------------------------------------------------------------------------------------------------------------------------

CLASSES = {
    "AtrousConv1D": "Conv1D", "AtrousConv2D": "Conv2D", "AtrousConvolution1D": "Conv1D", "AtrousConvolution2D": "Conv2D",
    "BatchNormalizationV1": "BatchNormalization", "BatchNormalizationV2": "BatchNormalization", "Convolution1D": "Conv1D",
    "Convolution2D": "Conv2D", "Convolution3D": "Conv3D", "Convolution2DTranspose": "Conv2DTranspose",
    "Convolution3DTranspose": "Conv3DTranspose", "CuDNNGRU": "GRU", "CuDNNLSTM": "LSTM", "Deconv2D": "Conv2DTranspose",
    "Deconv3D": "Conv3DTranspose", "Deconvolution2D": "Conv2DTranspose", "Deconvolution3D": "Conv3DTranspose", "GRUV1": "GRU", "GRUV2": "GRU",
    "LSTMV1": "LSTM", "LSTMV2": "LSTM", "LayerNormalizationV2": "LayerNormalization", "SeparableConvolution1D": "SeparableConv1D",
    "SeparableConvolution2D": "SeparableConv2D", "SyncBatchNormalization": "BatchNormalization", "SyncBatchNormalizationV2": "BatchNormalization",
    "TimeDistributedDense": "Dense",
}  # fmt: skip

# What the old class did that the new one does only when told.
IMPLIED: dict[str, dict[str, Any]] = {
    "CuDNNGRU": {"reset_after": True, "recurrent_activation": "sigmoid", "activation": "tanh"},
    "CuDNNLSTM": {"recurrent_activation": "sigmoid", "activation": "tanh"},
    "SyncBatchNormalization": {"synchronized": True},
    "SyncBatchNormalizationV2": {"synchronized": True},
}

MODELS = ("Container", "Functional", "Graph", "Model", "Network", "Sequential")

# Layers of old that have no counterpart, and what to do instead.
GONE = {
    "ParametricSoftplus": "alpha * softplus(beta * x), with alpha and beta as weights",
    "SReLU": "a layer with the four weights t_left, a_left, t_right, a_right",
    "LRN2D": "BatchNormalization",
    "LambdaMerge": "a Lambda on a list of tensors",
    "AutoEncoder": "two models",
    "DenseFeatures": "nyala.utils.FeatureSpace",
    "ConvRecurrent2D": "ConvLSTM2D",
}

# Arguments ------------------------------------------------------------------------------------------------------------------------

_BIAS = {"b_regularizer": "bias_regularizer", "b_constraint": "bias_constraint", "bias": "use_bias"}
_KERNEL = {"init": "kernel_initializer", "W_regularizer": "kernel_regularizer", "W_constraint": "kernel_constraint", **_BIAS}
_FORMAT = {"dim_ordering": "data_format"}
_WINDOWS = {"border_mode": "padding", **_FORMAT}
_CONV = {**_KERNEL, **_WINDOWS, "nb_filter": "filters", "subsample": "strides", "atrous_rate": "dilation_rate"}
_CONV1D = {**_CONV, "filter_length": "kernel_size", "subsample_length": "strides"}
_RECURRENT = {
    **_KERNEL, "output_dim": "units", "inner_init": "recurrent_initializer", "inner_activation": "recurrent_activation",
    "U_regularizer": "recurrent_regularizer", "dropout_W": "dropout", "dropout_U": "recurrent_dropout",
}  # fmt: skip
_POOL1D = {"pool_length": "pool_size", "stride": "strides", "border_mode": "padding"}

ARGUMENTS: dict[str, dict[str, str]] = {
    "AveragePooling1D": _POOL1D,
    "AveragePooling2D": _WINDOWS,
    "AveragePooling3D": _WINDOWS,
    "BatchNormalization": {"beta_init": "beta_initializer", "gamma_init": "gamma_initializer"},
    "Conv1D": _CONV1D,
    "Conv2D": _CONV,
    "Conv2DTranspose": _CONV,
    "Conv3D": _CONV,
    "Conv3DTranspose": _CONV,
    "ConvLSTM2D": {**_RECURRENT, **_CONV},
    "Cropping2D": _FORMAT,
    "Cropping3D": _FORMAT,
    "Dense": {**_KERNEL, "output_dim": "units"},
    "Dropout": {"p": "rate"},
    "Embedding": {"init": "embeddings_initializer", "W_regularizer": "embeddings_regularizer", "W_constraint": "embeddings_constraint"},
    "GRU": _RECURRENT,
    "GaussianDropout": {"p": "rate"},
    "GaussianNoise": {"sigma": "stddev"},
    "GlobalAveragePooling2D": _FORMAT,
    "GlobalAveragePooling3D": _FORMAT,
    "GlobalMaxPooling2D": _FORMAT,
    "GlobalMaxPooling3D": _FORMAT,
    "LSTM": _RECURRENT,
    "LeakyReLU": {"alpha": "negative_slope"},
    "LocallyConnected1D": _CONV1D,
    "LocallyConnected2D": _CONV,
    "MaxPooling1D": _POOL1D,
    "MaxPooling2D": _WINDOWS,
    "MaxPooling3D": _WINDOWS,
    "PReLU": {"init": "alpha_initializer"},
    "SeparableConv2D": {**_CONV, "init": "depthwise_initializer"},
    "SimpleRNN": _RECURRENT,
    "SpatialDropout1D": {"p": "rate"},
    "SpatialDropout2D": {"p": "rate", **_FORMAT},
    "SpatialDropout3D": {"p": "rate", **_FORMAT},
    "UpSampling1D": {"length": "size"},
    "UpSampling2D": _FORMAT,
    "UpSampling3D": _FORMAT,
    "ZeroPadding2D": _FORMAT,
    "ZeroPadding3D": _FORMAT,
}

MODEL_ARGUMENTS = {"input": "inputs", "output": "outputs"}

# Several old arguments that are one new one.
JOINED = {"kernel_size": (("nb_row", "nb_col"), ("kernel_dim1", "kernel_dim2", "kernel_dim3")), "size": (("size1", "size2"),)}

# What an argument was where the config does not name it.
MISSING: dict[str, dict[str, Any]] = {
    "GRU": {"reset_after": False},
    "GRUCell": {"reset_after": False},
}

# Arguments that said how to compute, not what: left out without a word.
HARMLESS = frozenset({
    "cache_enabled", "consume_less", "dynamic", "fused", "implementation", "input_dim", "input_dtype", "input_length", "name_scope", "num_constants",
    "output_mask_type", "output_shape_type", "query_shape", "key_shape", "value_shape", "transform_bias", "vocabulary_size", "weights",
})  # fmt: skip

# Arguments that are gone, and the values at which nothing is lost.
DEFAULTS: dict[str, tuple[Any, ...]] = {
    "adjustment": (None,),
    "causal": (False,),
    "groups": (1,),
    "kernel_constraint": (None,),
    "kernel_initializer": ("glorot_uniform", "GlorotUniform", "VarianceScaling"),
    "kernel_regularizer": (None,),
    "mode": (0,),
    "ragged": (False,),
    "return_runtime": (False,),
    "sparse": (False,),
    "time_major": (False,),
    "virtual_batch_size": (None,),
    "zero_output_for_mask": (False,),
}

# Values of arguments.
VALUES: dict[str, dict[Any, Any]] = {
    "output_mode": {"binary": "multi_hot", "tf-idf": "tf_idf"},
}

MERGE_MODES = {"sum": "Add", "mul": "Multiply", "ave": "Average", "max": "Maximum", "concat": "Concatenate", "dot": "Dot", "cos": "Dot"}
TIME_MERGES = {"sum": "Sum", "ave": "Mean", "mul": "Prod"}  # of TimeDistributedMerge: ops along the axis of time

# Initializers, regularizers, constraints, activations ----------------------------------------------------------------------------


def _config(kind: str, **config: Any) -> dict[str, Any]:
    return {"class_name": kind, "config": config}


# Keras 1 meant other numbers by these names.
INITIALIZERS_1: dict[str, dict[str, Any]] = {
    "glorot_normal": _config("VarianceScaling", scale=1.0, mode="fan_avg", distribution="untruncated_normal"),
    "he_normal": _config("VarianceScaling", scale=2.0, mode="fan_in", distribution="untruncated_normal"),
    "orthogonal": _config("Orthogonal", gain=1.1),
}
INITIALIZERS = {"Initializer": "Zeros", "ConstantV2": "Constant", "IdentityInitializer": "Identity", "OrthogonalInitializer": "Orthogonal"}
DISTRIBUTIONS = {"normal": "truncated_normal"}  # of VarianceScaling

REGULARIZERS = {
    "ActivityRegularizer": "L1L2", "L1L2Regularizer": "L1L2", "WeightRegularizer": "L1L2", "l1": "L1", "l1_l2": "L1L2", "l1l2": "L1L2", "l2": "L2",
    "activity_l1": "L1", "activity_l1l2": "L1L2", "activity_l2": "L2",
}  # fmt: skip
CONSTRAINTS = {
    "maxnorm": "MaxNorm", "max_norm": "MaxNorm", "min_max_norm": "MinMaxNorm", "nonneg": "NonNeg", "non_neg": "NonNeg", "unitnorm": "UnitNorm",
    "unit_norm": "UnitNorm",
}  # fmt: skip
CONSTRAINT_ARGUMENTS = {"m": "max_value", "low": "min_value", "high": "max_value"}
ACTIVATIONS = {"softmax_v2": "softmax", "swish": "silu"}
OTHER_ACTIVATIONS = ("hard_sigmoid",)  # of the same name in Keras 3, where it is another function

# Which kind of object an argument holds, by the end of its name.
KINDS = {
    "_initializer": "initializers", "_regularizer": "regularizers", "_constraint": "constraints", "activation": "activations",
    "init": "initializers",
}  # fmt: skip

# Training -------------------------------------------------------------------------------------------------------------------------

OPTIMIZER_ARGUMENTS = {"lr": "learning_rate"}
OPTIMIZER_HARMLESS = frozenset({"jit_compile", "is_legacy_optimizer", "schedule_decay", "use_locking"})
LOSSES = {
    "cosine": "cosine_similarity", "cosine_proximity": "cosine_similarity", "huber_loss": "huber", "kullback_leibler_divergence": "kl_divergence",
    "logcosh": "log_cosh",
}  # fmt: skip
LOSS_CLASSES = {"CosineProximity": "CosineSimilarity", "KLDivergence": "KLDivergence", "Logcosh": "LogCosh"}
REDUCTIONS = {"auto": "sum_over_batch_size"}
METRICS_1 = ("matthews_correlation", "precision", "recall", "fbeta_score", "fmeasure", "f1score", "fscore")  # of one batch: no metric of today

# Programs -------------------------------------------------------------------------------------------------------------------------

# Names of layers that count rows and columns one by one, as Keras 1 did, where they are followed by numbers.
NAMES_1 = frozenset({
    "AtrousConv2D", "AtrousConvolution2D", "Convolution2D", "Convolution3D", "Deconv2D", "Deconvolution2D", "Deconvolution3D",
    "SeparableConvolution2D",
})  # fmt: skip

_AFTER_FILTERS = (
    "init", "activation", "weights", "border_mode", "subsample", "dim_ordering", "W_regularizer", "b_regularizer", "activity_regularizer",
    "W_constraint", "b_constraint", "bias",
)  # fmt: skip
_RECURRENT_PLACES = ("output_dim", "init", "inner_init")
_POOL_PLACES = ("pool_size", "strides", "border_mode", "dim_ordering")

# Arguments of Keras 1 by their places.
PLACES_1: dict[str, tuple[str, ...]] = {
    "AtrousConv2D": ("nb_filter", "nb_row", "nb_col", *_AFTER_FILTERS[:5], "atrous_rate", *_AFTER_FILTERS[5:]),
    "AtrousConvolution2D": ("nb_filter", "nb_row", "nb_col", *_AFTER_FILTERS[:5], "atrous_rate", *_AFTER_FILTERS[5:]),
    "AtrousConvolution1D": ("nb_filter", "filter_length", "init", "activation", "weights", "border_mode", "subsample_length", "atrous_rate"),
    "AveragePooling1D": ("pool_length", "stride", "border_mode"),
    "AveragePooling2D": _POOL_PLACES,
    "AveragePooling3D": _POOL_PLACES,
    "BatchNormalization": ("epsilon", "mode", "axis", "momentum", "weights", "beta_init", "gamma_init", "gamma_regularizer", "beta_regularizer"),
    "Conv1D": ("nb_filter", "filter_length", "init", "activation", "weights", "border_mode", "subsample_length", *_AFTER_FILTERS[6:]),
    "Conv2D": ("nb_filter", "nb_row", "nb_col", *_AFTER_FILTERS),
    "Conv2DTranspose": ("nb_filter", "nb_row", "nb_col", "output_shape", *_AFTER_FILTERS),
    "Conv3D": ("nb_filter", "kernel_dim1", "kernel_dim2", "kernel_dim3", *_AFTER_FILTERS),
    "ConvLSTM2D": ("nb_filter", "nb_row", "nb_col", "init", "inner_init", "forget_bias_init", "activation", "inner_activation"),
    "Cropping2D": ("cropping", "dim_ordering"),
    "Cropping3D": ("cropping", "dim_ordering"),
    "Dense": ("output_dim", "init", "activation", "weights", *_AFTER_FILTERS[6:], "input_dim"),
    "Dropout": ("p", "noise_shape", "seed"),
    "Embedding": ("input_dim", "output_dim", "init", "input_length", "W_regularizer", "activity_regularizer", "W_constraint", "mask_zero", "weights"),
    "GRU": (*_RECURRENT_PLACES, "activation", "inner_activation"),
    "GaussianDropout": ("p",),
    "GaussianNoise": ("sigma",),
    "LSTM": (*_RECURRENT_PLACES, "forget_bias_init", "activation", "inner_activation"),
    "LocallyConnected1D": ("nb_filter", "filter_length", "init", "activation", "weights", "border_mode", "subsample_length", *_AFTER_FILTERS[6:]),
    "LocallyConnected2D": ("nb_filter", "nb_row", "nb_col", *_AFTER_FILTERS),
    "MaxPooling1D": ("pool_length", "stride", "border_mode"),
    "MaxPooling2D": _POOL_PLACES,
    "MaxPooling3D": _POOL_PLACES,
    "PReLU": ("init", "weights", "shared_axes"),
    "SeparableConv2D": ("nb_filter", "nb_row", "nb_col", *_AFTER_FILTERS[:5], "depth_multiplier", "dim_ordering"),
    "SimpleRNN": (*_RECURRENT_PLACES, "activation"),
    "SpatialDropout1D": ("p",),
    "SpatialDropout2D": ("p", "dim_ordering"),
    "SpatialDropout3D": ("p", "dim_ordering"),
    "TimeDistributedDense": ("output_dim", "init", "activation", "weights", *_AFTER_FILTERS[6:], "input_dim", "input_length"),
    "UpSampling1D": ("length",),
    "UpSampling2D": ("size", "dim_ordering"),
    "UpSampling3D": ("size", "dim_ordering"),
    "ZeroPadding2D": ("padding", "dim_ordering"),
    "ZeroPadding3D": ("padding", "dim_ordering"),
}
# More words that only Keras 1 had.
ONLY_1: dict[str, frozenset[str]] = {
    "BatchNormalization": frozenset({"mode"}),
    "ConvLSTM2D": frozenset({"forget_bias_init"}),
    "Embedding": frozenset({"dropout"}),
    "GRU": frozenset({"consume_less"}),
    "LSTM": frozenset({"consume_less", "forget_bias_init"}),
    "SimpleRNN": frozenset({"consume_less"}),
}
# Words of old for arguments that are the same in Keras 1, 2 and tf.keras: they say nothing about the generation.
SAME_MEANING: dict[str, dict[str, str]] = {"LeakyReLU": {"alpha": "negative_slope"}}
HARD_SIGMOID_1 = ("ConvLSTM2D", "GRU", "LSTM")  # the default of their inner_activation
INITIALIZERS_OF_1: dict[str, dict[str, Any]] = {
    kind: {"recurrent_initializer": _config("Orthogonal", gain=1.1)} for kind in ("ConvLSTM2D", "GRU", "LSTM", "SimpleRNN")
}
# Arguments that said how to compute, of layers that do not know them today.
SAID_HOW = frozenset({
    "cache_enabled", "dynamic", "fused", "implementation", "input_dtype", "ragged", "time_major", "virtual_batch_size", "adjustment",
    "experimental_autocast", "zero_output_for_mask",
})  # fmt: skip
# Attributes of layers.
ATTRIBUTES = {
    "W": "kernel", "U": "recurrent_kernel", "b": "bias", "nb_filter": "filters", "border_mode": "padding", "subsample": "strides",
    "output_dim": "units", "p": "rate", "sigma": "stddev", "running_mean": "moving_mean", "running_std": "moving_variance",
    "init": "kernel_initializer",
    "inner_init": "recurrent_initializer", "inner_activation": "recurrent_activation", "pool_length": "pool_size", "_inbound_nodes": "inbound_nodes",
}  # fmt: skip

FIT_ARGUMENTS = {
    "nb_epoch": "epochs",
    "X": "x",
    "Y": "y",
    "nb_worker": "workers",
    "pickle_safe": "use_multiprocessing",
    "max_q_size": "max_queue_size",
}
FIT_HARMLESS = frozenset({"show_accuracy", "class_mode", "reset_metrics"})
COMPILE_HARMLESS = frozenset({
    "class_mode", "theano_mode", "sample_weight_mode", "target_tensors", "experimental_run_tf_function", "distribute", "cloning", "options",
    "run_metadata", "feed_dict", "fetches",
})  # fmt: skip
WEIGHT_HARMLESS = frozenset({"collections", "experimental_autocast", "getter", "partitioner", "synchronization", "use_resource"})
GENERATOR_WORDS_1 = frozenset({"samples_per_epoch", "nb_epoch", "nb_val_samples", "val_samples", "max_q_size", "nb_worker", "pickle_safe"})
LOGS = {"acc": "accuracy", "accuracy": "acc", "lr": "learning_rate", "learning_rate": "lr"}
