# SPDX-License-Identifier: Apache-2.0
"""Small functions that old programs import from `keras.utils` and its modules, and that have another name or no place today."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from nyala.core.errors import ArgumentError, LookupFailed, StateError

# Labels and scores ------------------------------------------------------------------------------------------------------------------


def to_categorical(y: Any, num_classes: int | None = None, dtype: str = "float32", *, nb_classes: int | None = None) -> Any:
    """Class ids as one-hot rows.

    Args:
        y: integers from 0.
        num_classes, nb_classes: length of the rows.
        dtype: of an array.

    >>> to_categorical([2, 0], nb_classes=3).tolist()
    [[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]
    """
    from nyala.utils import to_categorical as today

    rows = today(y, num_classes if nb_classes is None else nb_classes)
    return rows.astype(dtype) if isinstance(rows, np.ndarray) else rows


def probas_to_classes(y_pred: np.ndarray) -> np.ndarray:
    """Class ids: the largest of a row, or whether a single number is above 1/2."""
    return np.argmax(y_pred, axis=1) if y_pred.ndim > 1 and y_pred.shape[1] > 1 else np.array([float(p > 0.5) for p in y_pred.ravel()])


def categorical_probas_to_classes(p: np.ndarray) -> np.ndarray:
    return np.argmax(p, axis=1)


def accuracy(p: np.ndarray, y: np.ndarray) -> float:
    """The share of equal entries."""
    return float(np.mean(np.equal(p, y)))


def binary_logloss(p: Any, y: Any) -> float:
    """Mean cross-entropy of probabilities and labels 0 and 1."""
    p, y = np.clip(np.asarray(p, "float64"), 1e-15, 1 - 1e-15), np.asarray(y)
    return float(-np.mean(y * np.log(p) + (1 - y) * np.log(1 - p)))


def multiclass_logloss(P: Any, Y: Any) -> float:
    """Mean cross-entropy of rows of probabilities and class ids."""
    rows = np.asarray(P)
    return float(np.mean([-np.log(row[int(label)]) for row, label in zip(rows, np.ravel(Y), strict=False)]))


# Lists and functions ----------------------------------------------------------------------------------------------------------------


def to_list(x: Any, allow_tuple: bool = False) -> list:
    """x as a list: itself, or with x in it."""
    if isinstance(x, list):
        return x
    return list(x) if allow_tuple and isinstance(x, tuple) else [x]


def unpack_singleton(x: Any) -> Any:
    """The only entry of a list of one."""
    return x[0] if isinstance(x, (list, tuple)) and len(x) == 1 else x


def is_all_none(iterable_or_element: Any) -> bool:
    return all(value is None for value in to_list(iterable_or_element, allow_tuple=True))


def object_list_uid(object_list: Any) -> str:
    """Objects as a text that tells them from others."""
    return ", ".join(str(abs(id(x))) for x in to_list(object_list, allow_tuple=True))


def slice_arrays(arrays: Any, start: Any = None, stop: int | None = None) -> Any:
    """Rows of each array: from start to stop, or those of a list of numbers."""
    if arrays is None:
        return [None]
    rows = start if hasattr(start, "__len__") else slice(start, stop)
    rows = rows.tolist() if isinstance(rows, np.ndarray) else rows
    return [None if x is None else x[rows] for x in arrays] if isinstance(arrays, list) else arrays[rows]


slice_X = slice_arrays  # noqa: N816  its name


def make_batches(size: int, batch_size: int) -> list[tuple[int, int]]:
    """Where batches begin and end.

    >>> make_batches(5, 2)
    [(0, 2), (2, 4), (4, 5)]
    """
    return [(i, min(size, i + batch_size)) for i in range(0, size, batch_size)]


def batch_shuffle(index_array: np.ndarray, batch_size: int) -> np.ndarray:
    """Batches in a random order, each with its rows together."""
    whole = len(index_array) // batch_size * batch_size
    groups = index_array[:whole].reshape((-1, batch_size)).copy()
    np.random.shuffle(groups)
    return np.append(groups.flatten(), index_array[whole:])


def has_arg(fn: Callable, name: str, accept_all: bool = False) -> bool:
    """Whether a function takes an argument of this name.

    >>> has_arg(len, "obj"), has_arg(print, "sep")
    (False, True)
    """
    parameters = inspect.signature(fn).parameters
    if name not in parameters:
        return accept_all and any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    return parameters[name].kind in (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


def getargspec(fn: Callable) -> Any:
    return inspect.getfullargspec(fn)


def check_for_unexpected_keys(name: str, input_dict: Mapping, expected_values: Sequence[str]) -> None:
    """Raises if a dict has other keys."""
    if unknown := set(input_dict) - set(expected_values):
        raise ArgumentError(name, need=f"keys among {list(expected_values)}", got=f"{sorted(unknown)}")


def get_from_module(
    identifier: Any, module_params: Mapping[str, Any], module_name: str, instantiate: bool = False, kwargs: Mapping[str, Any] | None = None
) -> Any:
    """The object of a name among those of a module; other things as they are."""
    from nyala.core.serialization import get_registered_object

    if isinstance(identifier, dict):
        identifier, kwargs = identifier["name"], {k: v for k, v in identifier.items() if k != "name"}
        instantiate = True
    if not isinstance(identifier, str):
        return identifier
    found = get_registered_object(identifier) or module_params.get(identifier)
    if found is None:
        raise LookupFailed(f"keras.{module_name}", need="a name that it has", got=repr(identifier))
    return found(**(kwargs or {})) if instantiate or kwargs else found


def make_tuple(*args: Any) -> tuple:
    return args


def func_dump(func: Callable) -> Any:
    """Refused: code is not stored."""
    raise StateError("func_dump", need="a function that is named", got="one to be stored as code", fix="register it, and store its name")


def func_load(code: Any, defaults: Any = None, closure: Any = None, globs: Any = None) -> Any:
    """Refused: code from a file is never run."""
    raise StateError("func_load", need="a function that is named", got="code", why="code from a file is never run", fix="import the function")


def disable_tracking(func: Callable) -> Callable:
    return func


def normalize_padding(value: str) -> str:
    if value.lower() not in ("valid", "same", "causal"):
        raise ArgumentError("padding", need="'valid', 'same' or 'causal'", got=repr(value))
    return value.lower()


def normalize_tuple(value: Any, n: int, name: str) -> tuple[int, ...]:
    """n whole numbers: one for all, or each."""
    values = (value,) * n if isinstance(value, int) else tuple(value)
    if len(values) != n or not all(isinstance(v, (int, np.integer)) for v in values):
        raise ArgumentError(name, need=f"a whole number, or {n} of them", got=repr(value))
    return values


# Sizes and kernels of convolutions --------------------------------------------------------------------------------------------------


def conv_output_length(
    input_length: int | None, filter_size: int, padding: str | None = None, stride: int = 1, dilation: int = 1, *, border_mode: str | None = None
) -> int | None:
    """How long the result of a convolution is.

    >>> conv_output_length(10, 3, "valid", 2), conv_output_length(10, 3, "same", 2)
    (4, 5)
    """
    if input_length is None:
        return None
    reach = (filter_size - 1) * dilation
    length = {"same": input_length, "causal": input_length, "valid": input_length - reach, "full": input_length + reach}[
        padding or border_mode or "valid"
    ]
    return (length + stride - 1) // stride


def conv_input_length(output_length: int | None, filter_size: int, padding: str, stride: int) -> int | None:
    """How long the input of a convolution is that gives a result of this length."""
    if output_length is None:
        return None
    around = {"same": filter_size // 2, "valid": 0, "full": filter_size - 1}[padding]
    return (output_length - 1) * stride - 2 * around + filter_size


def deconv_length(
    dim_size: int | None, stride_size: int, kernel_size: int, padding: str, output_padding: int | None = None, dilation: int = 1
) -> int | None:
    """How long the result of a transposed convolution is."""
    if dim_size is None:
        return None
    reach = kernel_size + (kernel_size - 1) * (dilation - 1)
    if output_padding is None:
        further = {"valid": max(reach - stride_size, 0), "full": -(stride_size + reach - 2), "same": 0}[padding]
        return dim_size * stride_size + further
    around = {"same": reach // 2, "valid": 0, "full": reach - 1}[padding]
    return (dim_size - 1) * stride_size + reach - 2 * around + output_padding


def convert_kernel(kernel: Any, dim_ordering: Any = None) -> np.ndarray:
    """A kernel turned round along its spatial axes: that of Theano for the others, and back."""
    kernel = np.asarray(kernel)
    first = dim_ordering == "th" and kernel.ndim in (4, 5)
    flips = (slice(None), slice(None), *(slice(None, None, -1),) * (kernel.ndim - 2)) if first else (slice(None, None, -1),) * (kernel.ndim - 2)
    return np.copy(kernel[flips])


def convert_all_kernels_in_model(model: Any) -> None:
    """Turn the kernels of all convolutions of a model round."""
    for layer in model._flatten_layers(include_self=False):
        if type(layer).__name__ in ("Conv1D", "Conv2D", "Conv3D", "Conv2DTranspose", "SeparableConv2D") and hasattr(layer, "kernel"):
            layer.kernel.assign(convert_kernel(layer.kernel.numpy()))


def convert_dense_weights_data_format(dense: Any, previous_feature_map_shape: Sequence[int], target_data_format: str = "channels_first") -> None:
    """Sort the rows of a Dense behind a Flatten for the other order of channels."""
    kernel, *others = dense.get_weights()
    shape = tuple(previous_feature_map_shape)  # as it lies in the kernel
    if target_data_format == "channels_first":
        kernel = kernel.reshape((*shape, -1)).transpose(2, 0, 1, 3).reshape(kernel.shape)
    else:
        kernel = kernel.reshape((*shape, -1)).transpose(1, 2, 0, 3).reshape(kernel.shape)
    dense.set_weights([kernel, *others])


# Models -----------------------------------------------------------------------------------------------------------------------------


def count_params(weights: Any) -> int:
    """The number of numbers in weights."""
    return sum(math.prod(weight.shape) for weight in {id(w): w for w in weights}.values())


def count_total_params(layers: Any, layer_set: Any = None) -> tuple[int, int]:
    """Numbers that are trained, and others, in layers."""
    trained = [w for layer in layers for w in layer.trainable_weights]
    kept = [w for layer in layers for w in layer.non_trainable_weights]
    return count_params(trained), count_params(kept)


def print_summary(model: Any, line_length: int | None = None, positions: Any = None, print_fn: Callable | None = None) -> None:
    model.summary(line_length=line_length, positions=positions, print_fn=print_fn)


def plot(model: Any, to_file: str = "model.png", show_shapes: bool = False, show_layer_names: bool = True) -> Any:
    """Draw a model."""
    from nyala.utils import plot_model

    return plot_model(model, to_file=to_file, show_shapes=show_shapes, show_layer_names=show_layer_names)


def model_from_config(config: Any, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """A model from its config, of any generation."""
    from nyala.legacy.graphs import build

    return build(config, custom_objects=custom_objects)


def layer_from_config(config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None) -> Any:
    """A layer, or a model, from {"class_name", "config"}, of any generation."""
    from nyala import layers
    from nyala.legacy.era import Era
    from nyala.legacy.layers import modern_layer
    from nyala.legacy.tables import MODELS

    if config["class_name"] in MODELS:
        return model_from_config(config, custom_objects)
    return layers.deserialize(modern_layer(config, Era.of(config, custom=custom_objects)), custom_objects=custom_objects)


def optimizer_from_config(config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None) -> Any:
    """An optimizer from {"class_name", "config"}."""
    from nyala import optimizers

    return optimizers.deserialize(dict(config), custom_objects)


def model_from_yaml(yaml_string: str, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """Refused: YAML can hold code."""
    raise StateError("model_from_yaml", need="JSON", got="YAML", why="YAML can hold code", fix="use model.to_json() and model_from_json")


def multi_gpu_model(model: Any, gpus: Any = None, cpu_merge: bool = True, cpu_relocation: bool = False) -> Any:
    """The model itself: how many devices compute is said elsewhere."""
    return model


def ask_to_proceed_with_overwrite(filepath: Any) -> bool:
    """Ask on the terminal whether a file may be replaced."""
    return input(f"{filepath} is there already. Replace it? [y/n] ").strip().lower() in ("y", "yes")


def clip_norm(g: Any, c: float, n: Any) -> Any:
    """g, shortened to length c if its length n is larger."""
    from nyala import ops

    return g if c <= 0 else ops.where(ops.greater_equal(n, c), ops.multiply(g, ops.divide(c, n)), g)


def time_distributed_dense(
    x: Any, w: Any, b: Any = None, dropout: Any = None, input_dim: Any = None, output_dim: Any = None, timesteps: Any = None
) -> Any:
    """x @ w + b for each time."""
    from nyala import ops

    result = ops.matmul(x, w)
    return result if b is None else ops.add(result, b)


def get_test_data(
    num_train: int = 1000, num_test: int = 500, input_shape: Any = (10,), output_shape: Any = (2,), classification: bool = True, num_classes: int = 2,
    *, nb_train: int | None = None, nb_test: int | None = None, nb_class: int | None = None,
) -> Any:  # fmt: skip
    """Random samples that can be told apart, or that are near to their targets: (x, y) for training, and for testing."""
    train, test = nb_train or num_train, nb_test or num_test
    count, classes = train + test, nb_class or num_classes
    if classification:
        y = np.random.randint(0, classes, size=(count,))
        x = np.stack([np.random.normal(loc=label, scale=0.7, size=input_shape) for label in y])
    else:
        near = np.random.normal(loc=0, scale=0.7, size=(count,))
        x = np.stack([np.full(input_shape, n) for n in near]).astype("float32")
        y = np.stack([np.full(output_shape, n) for n in near]).astype("float32")
    return (x[:train], y[:train]), (x[train:], y[train:])


# Data -------------------------------------------------------------------------------------------------------------------------------


class Enqueuer:
    """Batches of a generator or Sequence, one after the other. fit and its kin read ahead by themselves.

    Args:
        generator: of batches, or a Sequence.
    """

    def __init__(self, generator: Any, use_multiprocessing: bool = False, shuffle: bool = False, **kwargs: Any) -> None:
        self.generator, self.shuffle, self._runs = generator, shuffle, False

    def start(self, workers: int = 1, max_queue_size: int = 10, **kwargs: Any) -> None:
        self._runs = True

    def is_running(self) -> bool:
        return self._runs

    def stop(self, timeout: float | None = None) -> None:
        self._runs = False

    def get(self) -> Iterator[Any]:
        """An endless iterator of batches."""
        if hasattr(self.generator, "__getitem__"):
            while self._runs:
                order = np.random.permutation(len(self.generator)) if self.shuffle else range(len(self.generator))
                for i in order:
                    yield self.generator[int(i)]
        else:
            yield from self.generator


def iter_sequence_infinite(seq: Any) -> Iterator[Any]:
    """The batches of a Sequence, again and again."""
    while True:
        for i in range(len(seq)):
            yield seq[i]


def is_sequence(seq: Any) -> bool:
    return hasattr(seq, "__getitem__") and hasattr(seq, "__len__")


def is_generator_or_sequence(x: Any) -> bool:
    return inspect.isgenerator(x) or (is_sequence(x) and not isinstance(x, (np.ndarray, list, tuple, dict)))


def should_run_validation(validation_freq: Any, epoch: int) -> bool:
    """Whether an epoch, counted from 0, ends with a validation."""
    return (epoch + 1) % validation_freq == 0 if isinstance(validation_freq, int) else epoch + 1 in validation_freq


# Images -----------------------------------------------------------------------------------------------------------------------------


def flip_axis(x: np.ndarray, axis: int) -> np.ndarray:
    return np.flip(np.asarray(x), axis)


def list_pictures(directory: Any, ext: Any = "jpg|jpeg|bmp|png|ppm") -> list[str]:
    """Paths of the pictures below a folder."""
    import os
    import re

    pattern = re.compile(rf"\w+\.(?:{'|'.join(ext) if isinstance(ext, (list, tuple)) else ext})", re.IGNORECASE)
    return [os.path.join(root, name) for root, _, names in os.walk(directory) for name in names if pattern.match(name)]


def transform_matrix_offset_center(matrix: Any, x: int, y: int) -> np.ndarray:
    """An affine map of the plane (3, 3), about the middle of an image of x rows and y columns."""
    middle = np.array([[1, 0, x / 2 + 0.5], [0, 1, y / 2 + 0.5], [0, 0, 1]])
    back = np.array([[1, 0, -x / 2 - 0.5], [0, 1, -y / 2 - 0.5], [0, 0, 1]])
    return middle @ np.asarray(matrix) @ back


def apply_transform(x: np.ndarray, transform_matrix: Any, channel_axis: int = 0, fill_mode: str = "nearest", cval: float = 0.0) -> np.ndarray:
    """An image (channels along channel_axis) through an affine map (3, 3) of its rows and columns."""
    from scipy import ndimage

    matrix: Any = np.asarray(transform_matrix)
    channels = np.moveaxis(x, channel_axis, 0)
    moved = [ndimage.affine_transform(c, matrix[:2, :2], matrix[:2, 2], order=0, mode=fill_mode, cval=cval) for c in channels]
    return np.moveaxis(np.stack(moved), 0, channel_axis)


# Data and weights, as the methods of models took them ---------------------------------------------------------------------------------


def standardize_input_data(
    data: Any, names: Sequence[str], shapes: Any = None, check_batch_axis: bool = True, exception_prefix: str = ""
) -> list[Any]:
    """Arrays in the order of names, from one array, a list or a dict; one axis becomes two."""
    if not names:
        return []
    if data is None:
        return [None] * len(names)
    found = [data[name] for name in names] if isinstance(data, dict) else list(data) if isinstance(data, (list, tuple)) else [data]
    arrays = [None if x is None else np.expand_dims(x, 1) if np.ndim(x) == 1 else np.asarray(x) for x in found]
    if len(arrays) != len(names):
        raise ArgumentError(exception_prefix or "data", need=f"{len(names)} arrays: {list(names)}", got=f"{len(arrays)}")
    for name, array, shape in zip(names, arrays, shapes or [None] * len(names), strict=True):
        start = 0 if check_batch_axis else 1
        if shape is not None and array is not None:
            fits = array.ndim == len(shape) and all(w in (None, n) for n, w in zip(array.shape[start:], shape[start:], strict=True))
            if not fits:
                raise ArgumentError(f"{exception_prefix or 'data'} {name!r}", need=f"shape {tuple(shape)}", got=f"{array.shape}")
    return arrays


def standardize_single_array(x: Any) -> Any:
    return None if x is None else np.expand_dims(x, 1) if np.ndim(x) == 1 else x


def standardize_sample_or_class_weights(x_weight: Any, output_names: Sequence[str], weight_type: str) -> list[Any]:
    """Weights for each output, from one, a list or a dict by name."""
    if x_weight is None or (isinstance(x_weight, (list, dict)) and not x_weight):
        return [None] * len(output_names)
    if len(output_names) == 1:
        one = x_weight[0] if isinstance(x_weight, list) and len(x_weight) == 1 else x_weight
        return [one[output_names[0]] if isinstance(one, dict) and output_names[0] in one else one]
    if isinstance(x_weight, dict):
        return [x_weight.get(name) for name in output_names]
    if not isinstance(x_weight, list) or len(x_weight) != len(output_names):
        raise ArgumentError(weight_type, need=f"a list of {len(output_names)}, or a dict by output name", got=f"{type(x_weight).__name__}")
    return x_weight


def standardize_class_weights(class_weight: Any, output_names: Sequence[str]) -> list[Any]:
    return standardize_sample_or_class_weights(class_weight, output_names, "class_weight")


def standardize_sample_weights(sample_weight: Any, output_names: Sequence[str]) -> list[Any]:
    return standardize_sample_or_class_weights(sample_weight, output_names, "sample_weight")


def standardize_weights(y: np.ndarray, sample_weight: Any = None, class_weight: Any = None, sample_weight_mode: Any = None) -> np.ndarray:
    """Weights of samples: those given times those of their classes; 1 without any."""
    weights = np.ones(y.shape[:2] if sample_weight_mode == "temporal" else y.shape[:1], "float32")
    if sample_weight is not None:
        weights = weights * np.asarray(sample_weight, "float32")
    if isinstance(class_weight, dict):
        labels = y.argmax(axis=1) if y.ndim == 2 and y.shape[1] > 1 else y.reshape(-1)
        weights = weights * np.array([class_weight[int(label)] for label in labels], "float32")
    return weights


def check_array_length_consistency(inputs: Any, targets: Any, weights: Any = None) -> None:
    """Raises if arrays have other numbers of samples."""
    counts = {len(x) for group in (inputs, targets, weights) for x in group or () if x is not None}
    if len(counts) > 1:
        raise ArgumentError("data", need="arrays with the same number of samples", got=f"{sorted(counts)}")


check_array_lengths = check_array_length_consistency


def check_num_samples(ins: Any, batch_size: int | None = None, steps: int | None = None, steps_name: str = "steps") -> int | None:
    """The number of samples; None where the number of steps counts."""
    if steps is not None and batch_size is not None:
        raise ArgumentError(steps_name, need="no batch_size beside it", got=f"batch_size={batch_size}")
    return None if steps is not None or not ins else len(ins[0])


def collect_metrics(metrics: Any, output_names: Sequence[str]) -> list[list[Any]]:
    """Metrics for each output: a list counts for all, a dict goes by name."""
    if isinstance(metrics, dict):
        return [to_list(metrics.get(name, []), allow_tuple=True) for name in output_names]
    return [list(metrics or ()) for _ in output_names]


def check_loss_and_target_compatibility(targets: Any, loss_fns: Any, output_shapes: Any) -> None:
    """Nothing: fit, evaluate and predict look at shapes themselves."""


def weighted_masked_objective(fn: Callable) -> Callable:
    """A loss as a function (y_true, y_pred, weights, mask) -> scalar."""

    def weighted(y_true: Any, y_pred: Any, weights: Any = None, mask: Any = None) -> Any:
        from nyala import ops

        scores = fn(y_true, y_pred)
        if mask is not None:
            mask = ops.cast(mask, scores.dtype)
            scores = ops.divide(ops.multiply(scores, mask), ops.mean(mask))
        if weights is not None:
            scores = ops.mean(scores, axis=tuple(range(len(weights.shape), len(scores.shape)))) if len(scores.shape) > len(weights.shape) else scores
            scores = ops.divide(ops.multiply(scores, weights), ops.mean(ops.cast(ops.not_equal(weights, 0), scores.dtype)))
        return ops.mean(scores)

    return weighted


weighted_objective = weighted_masked_objective


def is_categorical_crossentropy(loss: Any) -> bool:
    return getattr(loss, "__name__", getattr(loss, "name", loss)) == "categorical_crossentropy"


def clone_metric(metric: Any) -> Any:
    """A metric of the same settings."""
    return type(metric).from_config(metric.get_config()) if hasattr(metric, "get_config") else metric


def clone_metrics(metrics: Any) -> Any:
    return [clone_metric(metric) for metric in metrics]


def to_ordinal(y: Any, num_classes: int | None = None, dtype: str = "float32") -> np.ndarray:
    """Class ids as rows of as many ones as classes are below, out of num_classes - 1.

    >>> to_ordinal([0, 2], 3).tolist()
    [[0.0, 0.0], [1.0, 1.0]]
    """
    ids = np.asarray(y, "int64")
    ids = ids[..., 0] if ids.ndim > 1 and ids.shape[-1] == 1 else ids
    return (ids[..., None] > np.arange((num_classes or int(ids.max()) + 1) - 1)).astype(dtype)


def keras_modules_injection(base_fun: Callable) -> Callable:
    """The function itself: networks are built of Nyala's layers."""
    return base_fun


def is_model(layer: Any) -> bool:
    from nyala.models import Model

    return isinstance(layer, Model)


def is_wrapped_model(layer: Any) -> bool:
    from nyala.layers import Wrapper

    return isinstance(layer, Wrapper) and is_model(layer.layer)


def keras_test(func: Callable) -> Callable:
    """A test, after which automatic names begin anew."""
    import functools

    @functools.wraps(func)
    def call(*args: Any, **kwargs: Any) -> Any:
        result = func(*args, **kwargs)
        from nyala.backend import clear_session

        clear_session()
        return result

    return call


def disable_tf_random_generator() -> None:
    """Nothing: numbers come from one generator."""


enable_tf_random_generator = disable_tf_random_generator


def is_tf_random_generator_enabled() -> bool:
    return True


def get_static_batch_size(layer: Any) -> int | None:
    """The number of samples that the inputs of a layer were made for."""
    shape = getattr(layer, "_declared_input_shape", None)
    return shape[0] if shape else None


def get_loss_function(loss: Any) -> Any:
    from nyala import losses

    return losses.get(loss)


def check_generator_arguments(y: Any = None, sample_weight: Any = None, validation_split: Any = None) -> None:
    """Raises for arguments that cannot stand beside a generator."""
    for name, value in (("y", y), ("sample_weight", sample_weight), ("validation_split", validation_split)):
        if value is not None and not (isinstance(value, float) and value == 0):
            raise ArgumentError(name, need="None beside a generator", got=f"{type(value).__name__}", fix="let the generator give it")


def prepare_loss_weights(output_names: Sequence[str], loss_weights: Any = None) -> list[float]:
    """One factor for each output."""
    if isinstance(loss_weights, dict):
        return [loss_weights.get(name, 1.0) for name in output_names]
    return list(loss_weights) if loss_weights is not None else [1.0] * len(output_names)


def get_input_shape_and_dtype(layer: Any) -> tuple[Any, Any]:
    """Shape and dtype that the first layer says its inputs have; None if it does not."""
    shape = getattr(layer, "_declared_input_shape", None)
    return (shape, layer.dtype) if shape else (None, None)


def assert_thresholds_range(thresholds: Any) -> None:
    """Raises for thresholds outside [0, 1]."""
    if wrong := [t for t in thresholds or () if t is None or not 0 <= t <= 1]:
        raise ArgumentError("thresholds", need="numbers from 0 to 1", got=f"{wrong}")
