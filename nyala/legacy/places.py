# SPDX-License-Identifier: Apache-2.0
"""Which module of `keras` held what, in any generation, and where that is in Nyala. Data, and the look-up.

PLACES maps the path of a module below `keras` to the sources of its names: a dict {name: "module:attribute"}, or a module of Nyala. The first
source that has a name counts. Start at find.
"""

from __future__ import annotations

import functools
import importlib
from typing import Any

Source = dict[str, str] | str

_HELPERS = "nyala.legacy.helpers:"
_THEN = "nyala.legacy.then:"


def _from(module: str, *names: str) -> dict[str, str]:
    return {name: f"{module}:{name}" for name in names}


VERSION = "3.15.1"  # what keras.__version__ says: the Keras whose names all of Nyala's are

# Sources --------------------------------------------------------------------------------------------------------------------------------

_MODELS = {
    "Container": "nyala.legacy.places:Model", "Functional": "nyala.models:", "Graph": "nyala.legacy.places:Graph",
    "Model": "nyala.legacy.places:", "Network": "nyala.legacy.places:Model", "Sequential": "nyala.models:",
}  # fmt: skip
_CORE = {
    "Input": f"{_THEN}input_tensor", "InputLayer": _THEN, "InputSpec": "nyala.layers:", "KerasTensor": "nyala.core.symbolic:Symbolic",
    "Layer": "nyala.layers:", "Merge": "nyala.legacy.merging:", "Node": "nyala.core.symbolic:", "get_source_inputs": "nyala.utils:",
    "merge": "nyala.legacy.merging:",
}  # fmt: skip
_SMALL = _from(
    "nyala.legacy.helpers",
    "Enqueuer", "ask_to_proceed_with_overwrite", "batch_shuffle", "check_for_unexpected_keys", "conv_input_length", "conv_output_length",
    "convert_all_kernels_in_model", "convert_dense_weights_data_format", "convert_kernel", "deconv_length", "disable_tracking",
    "func_dump", "func_load", "get_from_module", "getargspec", "has_arg", "is_all_none", "is_generator_or_sequence", "is_sequence",
    "iter_sequence_infinite", "layer_from_config", "make_batches", "make_tuple", "multi_gpu_model", "normalize_padding", "normalize_tuple",
    "assert_thresholds_range", "check_array_length_consistency", "check_generator_arguments", "get_input_shape_and_dtype", "get_loss_function",
    "get_static_batch_size",
    "prepare_loss_weights", "check_array_lengths", "check_loss_and_target_compatibility", "check_num_samples", "clone_metric",
    "clone_metrics", "collect_metrics", "is_categorical_crossentropy", "is_model", "is_wrapped_model", "keras_modules_injection", "keras_test",
    "standardize_class_weights", "standardize_input_data", "standardize_sample_or_class_weights", "standardize_sample_weights",
    "standardize_single_array", "standardize_weights", "to_ordinal", "weighted_masked_objective", "weighted_objective",
    "object_list_uid", "print_summary", "should_run_validation", "slice_X", "slice_arrays", "to_list", "unpack_singleton",
)  # fmt: skip
_SMALL |= {
    "CustomObjectScope": "nyala.utils:",
    "GeneratorEnqueuer": f"{_HELPERS}Enqueuer", "OrderedEnqueuer": f"{_HELPERS}Enqueuer", "Progbar": "nyala.utils:",
    "Sequence": "nyala.utils:", "SequenceEnqueuer": f"{_HELPERS}Enqueuer", "custom_object_scope": "nyala.utils:",
    "deserialize_keras_object": "nyala.utils:", "get_custom_objects": "nyala.utils:", "get_file": "nyala.utils:",
    "model_to_dot": "nyala.utils:", "normalize": "nyala.utils:", "plot": _HELPERS,
    "plot_model": "nyala.utils:", "serialize_keras_object": "nyala.utils:", "to_categorical": _HELPERS, "transpose_shape": "nyala.legacy.k:",
    "validate_file": "nyala.files.downloads:validate_file",
    "Wrapper": "nyala.layers:", "Lambda": "nyala.layers:", "Input": f"{_THEN}input_tensor", "getargspec": _HELPERS,
}  # fmt: skip
_LEAKS = {  # what modules of old imported, and programs took from there
    "K": "nyala.legacy.k", "activations": "nyala.activations", "constraints": "nyala.legacy.places:constraints",
    "initializers": "nyala.initializers", "initializations": "nyala.legacy.then", "losses": "nyala.losses", "metrics": "nyala.metrics",
    "np": "numpy", "regularizers": "nyala.legacy.places:regularizers", "warnings": "warnings", "os": "os", "copy": "copy", "json": "json",
}  # fmt: skip
_LAYERS: tuple[Source, ...] = (
    _CORE,
    {"ParametricSoftplus": _THEN, "SReLU": _THEN, "ConvRecurrent2D": _THEN, "Recurrent": "nyala.layers:RNN", "ConvRNN2D": "nyala.layers:RNN",
     "AbstractRNNCell": "nyala.layers:Layer", "PreprocessingLayer": "nyala.layers:Layer", "time_distributed_dense": _HELPERS,
     "count_params": _HELPERS, "DenseFeatures": "nyala.utils:FeatureSpace", "_Merge": "nyala.legacy.merging:"},
    "nyala.legacy.spelled",
    "nyala.layers",
    _SMALL,
    _LEAKS,
)  # fmt: skip
_ENGINE: tuple[Source, ...] = (
    _from("nyala.legacy.methods", "evaluate_generator", "fit_generator", "predict_generator"),
    _MODELS, _CORE, _SMALL, {"count_params": _HELPERS, "load_model": "nyala.models:", "save_model": "nyala.models:",
                             "model_from_config": _HELPERS, "model_from_json": "nyala.models:", "model_from_yaml": _HELPERS}, _LEAKS,
)  # fmt: skip
_MODELS_MODULE: tuple[Source, ...] = (
    _MODELS, {"model_from_config": _HELPERS, "model_from_yaml": _HELPERS, "optimizer_from_config": _HELPERS}, "nyala.models", _CORE, _SMALL, _LEAKS,
)  # fmt: skip
_LOSSES: tuple[Source, ...] = (
    {"Reduction": _THEN, "get_from_module": _HELPERS}, "nyala.losses", _SMALL, _LEAKS,
)  # fmt: skip
_METRICS: tuple[Source, ...] = (
    _from("nyala.legacy.then", "precision", "recall", "fbeta_score", "fmeasure", "fscore", "f1score", "matthews_correlation", "MeanRelativeError"),
    {"Layer": "nyala.layers:", "accuracy": "nyala.metrics:binary_accuracy", "get_from_module": _HELPERS, "Reduce": "nyala.metrics:Mean"},
    "nyala.metrics", _SMALL, _LEAKS,
)  # fmt: skip
_OPTIMIZER_NAMES = ("Adadelta", "Adagrad", "Adam", "AdamW", "Adamax", "Ftrl", "Nadam", "RMSprop", "SGD")
_OPTIMIZERS: tuple[Source, ...] = (
    {**dict.fromkeys((*_OPTIMIZER_NAMES, "Optimizer"), _THEN), **{name.lower(): f"{_THEN}{name}" for name in _OPTIMIZER_NAMES},
     "clip_norm": _HELPERS, "optimizer_from_config": _HELPERS, "get_from_module": _HELPERS},
    "nyala.optimizers", _SMALL, _LEAKS,
)  # fmt: skip
_REGULARIZERS: tuple[Source, ...] = (
    {**dict.fromkeys(("l1", "l2", "l1l2", "activity_l1", "activity_l2", "activity_l1l2"), _THEN),
     "WeightRegularizer": "nyala.regularizers:L1L2", "ActivityRegularizer": "nyala.regularizers:L1L2", "L1L2Regularizer": "nyala.regularizers:L1L2",
     "get_from_module": _HELPERS},
    "nyala.regularizers", _SMALL, _LEAKS,
)  # fmt: skip
_CONSTRAINTS: tuple[Source, ...] = (
    {"maxnorm": _THEN, "MaxNorm": f"{_THEN}maxnorm", "max_norm": f"{_THEN}maxnorm", "MinMaxNorm": _THEN, "min_max_norm": f"{_THEN}MinMaxNorm",
     "RadialConstraint": _THEN, "radial_constraint": _THEN, "get_from_module": _HELPERS},
    "nyala.constraints", _SMALL, _LEAKS,
)  # fmt: skip
_ACTIVATIONS: tuple[Source, ...] = ({"get_from_module": _HELPERS, "Layer": "nyala.layers:"}, "nyala.activations", _SMALL, _LEAKS)
_INITIALIZERS: tuple[Source, ...] = ("nyala.initializers", _SMALL, _LEAKS)
_INITIALIZATIONS: tuple[Source, ...] = (
    _from("nyala.legacy.then", "get_fans", "glorot_normal", "glorot_uniform", "he_normal", "he_uniform", "identity", "lecun_uniform", "normal",
          "one", "orthogonal", "uniform", "zero"), {"get": "nyala.initializers:", "get_from_module": _HELPERS}, _LEAKS,
)  # fmt: skip
_CALLBACKS: tuple[Source, ...] = (
    {"BaseLogger": _THEN, "TensorBoard": _THEN, "ProgbarLogger": _THEN}, "nyala.callbacks", _SMALL, _LEAKS,
)  # fmt: skip
_UTILS: tuple[Source, ...] = (
    _SMALL, {"count_params": _HELPERS, "count_total_params": _HELPERS,
             **_from("nyala.legacy.helpers", "probas_to_classes", "categorical_probas_to_classes", "binary_logloss", "multiclass_logloss",
                     "accuracy", "get_test_data", "model_from_config"),
             "Reduction": _THEN, "model_from_json": "nyala.models:", "clone_model": "nyala.models:", "concatenate": "nyala.layers:"},
    "nyala.utils", _MODELS, _LEAKS,
)  # fmt: skip
_BACKEND: tuple[Source, ...] = ("nyala.legacy.k", "nyala.backend")
_SCIKIT: tuple[Source, ...] = (
    _from("nyala.legacy.estimators", "BaseWrapper", "KerasClassifier", "KerasRegressor"), _MODELS, _SMALL, _LEAKS,
)  # fmt: skip
_IMAGE: tuple[Source, ...] = (
    {**dict.fromkeys(("DirectoryIterator", "ImageDataGenerator", "NumpyArrayIterator", "array_to_img", "img_to_array"), _THEN),
     **dict.fromkeys(("apply_transform", "flip_axis", "list_pictures", "transform_matrix_offset_center"), _HELPERS)},
    "nyala.preprocessing.image", _LEAKS,
)  # fmt: skip
_DATA: dict[str, str] = {"get_file": "nyala.utils:", "np": "numpy", "K": "nyala.legacy.k"}
_PREPROCESSING_LAYERS: tuple[Source, ...] = ({"PreprocessingLayer": "nyala.layers:Layer"}, "nyala.layers")

_EXPERIMENTAL_LAYERS = {"SyncBatchNormalization": "nyala.legacy.spelled:", "EinsumDense": "nyala.layers:", "RandomFourierFeatures": "nyala.layers:"}

_APPLICATIONS = (
    "convnext", "densenet", "efficientnet", "efficientnet_v2", "inception_resnet_v2", "inception_v3", "mobilenet", "mobilenet_v2", "mobilenet_v3",
    "nasnet", "resnet", "resnet50", "resnet_v2", "vgg16", "vgg19", "xception",
)  # fmt: skip
_IN_APPLICATIONS: tuple[Source, ...] = (
    {"get_file": "nyala.utils:", "get_source_inputs": "nyala.utils:", "Model": "nyala.legacy.places:", "merge": "nyala.legacy.merging:",
     "keras_modules_injection": _HELPERS, "Input": f"{_THEN}input_tensor", "convert_all_kernels_in_model": _HELPERS,
     "decode_predictions": "nyala.applications.imagenet_utils:",
     "preprocess_input": "nyala.applications.imagenet_utils:"},
    "nyala.legacy.spelled", "nyala.layers",
)  # fmt: skip

PLACES: dict[str, tuple[Source, ...]] = {
    "": (_MODELS, {"Input": f"{_THEN}input_tensor"}, "nyala"),
    "activations": _ACTIVATIONS,
    "applications": ("nyala.applications", {"keras_modules_injection": _HELPERS}),
    **{f"applications.{name}": (f"nyala.applications.{name}", *_IN_APPLICATIONS) for name in _APPLICATIONS},
    "applications.imagenet_utils": ("nyala.applications.imagenet_utils", *_IN_APPLICATIONS),
    "applications.music_tagger_crnn": _IN_APPLICATIONS,
    "applications.mobilenetv2": ("nyala.applications.mobilenet_v2", *_IN_APPLICATIONS),
    "backend": _BACKEND,
    "backend.experimental": (_from("nyala.legacy.helpers", "disable_tf_random_generator", "enable_tf_random_generator",
                                   "is_tf_random_generator_enabled"),),
    **{f"backend.{name}": _BACKEND for name in ("cntk_backend", "common", "load_backend", "numpy_backend", "tensorflow_backend", "theano_backend")},
    "callbacks": _CALLBACKS,
    "callbacks.callbacks": _CALLBACKS,
    "callbacks.tensorboard_v1": _CALLBACKS,
    "callbacks.tensorboard_v2": _CALLBACKS,
    "callbacks.experimental": _CALLBACKS,
    "config": ("nyala.config",),
    "constraints": _CONSTRAINTS,
    "datasets": ("nyala.datasets",),
    **{f"datasets.{name}": (f"nyala.datasets.{name}", _DATA) for name in ("boston_housing", "california_housing", "cifar", "cifar10", "cifar100",
                                                                          "fashion_mnist", "mnist")},
    "datasets.imdb": ({"load_data": f"{_THEN}imdb"}, "nyala.datasets.imdb", _DATA),
    "datasets.reuters": ({"load_data": f"{_THEN}reuters"}, "nyala.datasets.reuters", _DATA),
    "datasets.data_utils": _UTILS,
    "distribution": ("nyala.distribution",),
    "dtype_policies": ("nyala.dtype_policies",),
    "engine": _ENGINE,
    **{f"engine.{name}": _ENGINE for name in ("base_layer", "compile_utils", "functional", "input_layer", "input_spec",
                                              "keras_tensor", "network", "node",
                                              "saving", "sequential", "topology", "training", "training_arrays", "training_generator",
                                              "training_utils", "training_v1", "data_adapter")},
    "experimental": (_from("nyala.optimizers.schedules", "CosineDecay", "CosineDecayRestarts"),),
    "export": ("nyala.export",),
    "initializations": _INITIALIZATIONS,
    "initializers": _INITIALIZERS,
    "layers": _LAYERS,
    **{f"layers.{name}": _LAYERS for name in ("advanced_activations", "containers", "convolutional", "convolutional_recurrent", "core",
                                              "cudnn_recurrent", "embeddings", "local", "merge", "noise", "normalization", "pooling",
                                              "recurrent", "wrappers", "dense_attention", "einsum_dense", "kernelized", "attention",
                                              "regularization", "reshaping", "merging", "activation", "rnn", "serialization")},
    "layers.experimental": (_EXPERIMENTAL_LAYERS, *_PREPROCESSING_LAYERS),
    "layers.experimental.preprocessing": _PREPROCESSING_LAYERS,
    "layers.normalization.batch_normalization": _LAYERS,
    "layers.preprocessing": _PREPROCESSING_LAYERS,
    "legacy": ({},),
    "legacy.interfaces": ("nyala.legacy.interfaces",),
    "legacy.layers": _LAYERS,
    "legacy.models": _MODELS_MODULE,
    "legacy.saving": ("nyala.utils.legacy",),
    "losses": _LOSSES,
    "metrics": _METRICS,
    "mixed_precision": ({"global_policy": "nyala.mixed_precision:"}, "nyala.mixed_precision"),
    "mixed_precision.experimental": ("nyala.mixed_precision", {"set_policy": "nyala.mixed_precision:set_global_policy"}),
    "models": _MODELS_MODULE,
    "objectives": _LOSSES,
    "ops": ("nyala.ops",),
    "ops.image": ("nyala.ops.image",),
    "ops.linalg": ("nyala.ops.linalg",),
    "ops.nn": ("nyala.ops.nn",),
    "ops.numpy": ("nyala.ops.numpy",),
    "optimizers": _OPTIMIZERS,
    "optimizers.experimental": _OPTIMIZERS,
    "optimizers.legacy": ("nyala.optimizers.legacy",),
    "optimizers.schedules": ("nyala.optimizers.schedules",),
    "preprocessing": ("nyala.preprocessing",),
    "preprocessing.image": _IMAGE,
    "preprocessing.sequence": ("nyala.preprocessing.sequence", _LEAKS),
    "preprocessing.text": ({"Tokenizer": _THEN}, "nyala.preprocessing.text", _LEAKS),
    "quantizers": ("nyala.quantizers",),
    "random": ("nyala.random",),
    "regularizers": _REGULARIZERS,
    "saving": ("nyala.saving",),
    "saving.legacy": ("nyala.saving",),
    "tree": ("nyala.tree",),
    "utils": _UTILS,
    "utils.layer_utils": (*_UTILS[:-1], *_LAYERS),
    "utils.experimental": _UTILS,
    **{f"utils.{name}": _UTILS for name in ("conv_utils", "data_utils", "generic_utils", "io_utils", "losses_utils", "metrics_utils",
                                            "multi_gpu_utils", "np_utils", "test_utils", "tf_utils", "training_utils", "vis_utils",
                                            "visualize_util", "all_utils", "image_utils", "dataset_utils", "object_identity")},
    "utils.legacy": ("nyala.utils.legacy",),
    "utils.bounding_boxes": ("nyala.utils.bounding_boxes",),
    "visualization": ("nyala.visualization",),
    "wrappers": ("nyala.wrappers",),
    "wrappers.scikit_learn": _SCIKIT,
}  # fmt: skip

# Names of old that nothing stands for, and what to do.
GONE = {
    "TFOptimizer": "use an optimizer of keras.optimizers, or one of optax or PyTorch",
    "EigenvalueRegularizer": "write it as a function of the weight: any function that returns a scalar is a regularizer",
    "MusicTaggerCRNN": "its weights are published nowhere; build it with Conv2D, GRU and Dense",
    "model_to_estimator": "there are no estimators; train the model itself",
    "DatasetCreator": "pass a tf.data.Dataset, or any iterable of batches",
    "pickle_model": "pickle the model itself",
    "unpickle_model": "pickle the model itself",
    "HDF5Matrix": "pass the data set of h5py itself: fit reads its rows batch by batch",
    "save_array": "use numpy.save",
    "load_array": "use numpy.load",
}


# Look-up ----------------------------------------------------------------------------------------------------------------------------------


def find(place: str, name: str, module: str) -> Any:
    """The object of a name in a module of old.

    Args:
        place: path of the module below `keras`.
        name: what is looked for.
        module: whole name of the module, for errors.
    Raises: AttributeError, with near names.

    >>> find("layers.core", "Flatten", "keras.layers.core").__module__
    'nyala.layers.reshaping.reshape'
    """
    for source in PLACES[place]:
        value = _look(source, name)
        if value is not _NOTHING:
            return value
    import difflib

    near = difflib.get_close_matches(name, names(place), n=3)
    hint = f"\n  fix: {GONE[name]}" if name in GONE else f"; did you mean {' or '.join(map(repr, near))}?" if near else ""
    raise AttributeError(f"module {module!r}, a view of Nyala, has no attribute {name!r}{hint}")


_NOTHING = object()


def _look(source: Source, name: str) -> Any:
    if isinstance(source, dict):
        if name not in source:
            return _NOTHING
        module, colon, attribute = source[name].partition(":")
        loaded = importlib.import_module(module)
        return getattr(loaded, attribute or name) if colon else loaded
    loaded = importlib.import_module(source)
    public = getattr(loaded, "__all__", None)
    if name.startswith("_") or (public is not None and name not in public):
        return _NOTHING
    return getattr(loaded, name, _NOTHING)


@functools.cache
def names(place: str) -> list[str]:
    """All names of a module of old."""
    found: set[str] = set()
    for source in PLACES[place]:
        if source is _LEAKS or source is _SMALL:
            continue
        if isinstance(source, dict):
            found |= {name for name in source if not name.startswith("_")}
        else:
            loaded = importlib.import_module(source)
            found |= set(getattr(loaded, "__all__", [n for n in vars(loaded) if not n.startswith("_")]))
    return sorted(found)


def is_name(place: str, name: str) -> bool:
    """Whether a name of a module is no module below it: keras.layers.merge is both, in two generations."""
    return (place, name) in {("layers", "merge")}


# Views that need nothing but a name ---------------------------------------------------------------------------------------------------------


def __getattr__(name: str) -> Any:
    made: Any
    if name == "Model":
        from nyala.legacy import spelling, tables
        from nyala.models import Model

        made = spelling.view(Model, "Model", spelling.renaming(tables.MODEL_ARGUMENTS))
    elif name in ("constraints", "regularizers"):
        made = importlib.import_module(f"nyala.{name}")
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = made
    return made


class Graph:
    """The model of Keras 0 whose parts had names."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        from nyala.core.errors import StateError

        raise StateError(
            "Graph()", need="the functional API", got="the model of Keras before 1.0", fix="x = Input(...); y = Dense(...)(x); Model(x, y)"
        )
