# SPDX-License-Identifier: Apache-2.0
"""Layers, metrics, regularizers and initial values that only Keras 1 had, and views of other classes that take its words.

Models with these layers are loaded when the layers are passed as custom_objects.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from nyala import callbacks, constraints, initializers, layers, ops, optimizers, regularizers
from nyala.core.config import epsilon
from nyala.core.symbolic import Symbolic
from nyala.engines.protocol import Tensor
from nyala.layers import Layer
from nyala.legacy import spelling

# Layers -----------------------------------------------------------------------------------------------------------------------------


class ParametricSoftplus(Layer):
    """alpha * log(1 + exp(beta * x)), with a learned alpha and beta for each feature.

    Args:
        alpha_init, beta_init: first values.
        shared_axes: along which they are the same.

    >>> float(ParametricSoftplus(1.0, 1.0)(np.zeros((1, 1), "float32"))[0, 0])
    0.6931471824645996
    """

    def __init__(self, alpha_init: float = 0.2, beta_init: float = 5.0, shared_axes: Any = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.alpha_init, self.beta_init, self.shared_axes = alpha_init, beta_init, shared_axes
        self.supports_masking = True

    def build(self, input_shape: Any) -> None:
        shape = _shared(input_shape, self.shared_axes)
        self.alphas = self.add_weight(shape=shape, initializer=initializers.Constant(self.alpha_init), name="alphas")
        self.betas = self.add_weight(shape=shape, initializer=initializers.Constant(self.beta_init), name="betas")

    def call(self, x: Tensor) -> Tensor:
        return ops.multiply(ops.softplus(ops.multiply(self.betas, x)), self.alphas)


class SReLU(Layer):
    """A line through the middle and one of another slope at each side, all four numbers learned: t_l + a_l (x - t_l) below t_l, and so above t_r.

    Args:
        t_left_init, a_left_init, t_right_init, a_right_init: initializers.
        shared_axes: along which they are the same.

    Source: Jin, Xu, Feng, Wei, Xiong, Yan 2016, Deep learning with S-shaped rectified linear activation units.
    """

    def __init__(
        self,
        t_left_init: Any = "zero",
        a_left_init: Any = "glorot_uniform",
        t_right_init: Any = "glorot_uniform",
        a_right_init: Any = "one",
        shared_axes: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.t_left_init, self.a_left_init, self.t_right_init, self.a_right_init = t_left_init, a_left_init, t_right_init, a_right_init
        self.shared_axes, self.supports_masking = shared_axes, True

    def build(self, input_shape: Any) -> None:
        shape = _shared(input_shape, self.shared_axes)
        for name in ("t_left", "a_left", "t_right", "a_right"):
            setattr(self, name, self.add_weight(shape=shape, initializer=getattr(self, f"{name}_init"), name=name))

    def call(self, x: Tensor) -> Tensor:
        left: Any = self.t_left
        right = ops.add(left, ops.abs(self.t_right))
        below = ops.add(left, ops.multiply(ops.subtract(x, left), self.a_left))
        above = ops.add(right, ops.multiply(ops.subtract(x, right), self.a_right))
        return ops.where(ops.less(x, left), below, ops.where(ops.greater(x, right), above, x))


def _shared(input_shape: Any, axes: Any) -> tuple[int, ...]:
    shape = list(input_shape[1:])
    for axis in [axes] if isinstance(axes, int) else axes or ():
        shape[axis - 1] = 1
    return tuple(shape)


def ConvRecurrent2D(*args: Any, **kwargs: Any) -> Any:
    """The base of ConvLSTM2D, which is no layer of its own."""
    from nyala.core.errors import missing_method

    raise missing_method(layers.ConvLSTM2D(1, 1), "step(self, x, states)")


def input_tensor(shape: Any = None, batch_shape: Any = None, name: str | None = None, dtype: Any = None, sparse: bool = False, tensor: Any = None,
                 batch_size: int | None = None, ragged: bool | None = None, **kwargs: Any) -> Any:  # fmt: skip
    """Input, as Keras 1 and 2 had its places: (shape, batch_shape, name, dtype); a whole number in the second place is a batch size."""
    if isinstance(batch_shape, (int, np.integer)):
        batch_shape, batch_size = None, int(batch_shape)
    for word in ("batch_input_shape", "input_shape"):
        if word in kwargs:
            given = kwargs.pop(word)
            shape, batch_shape = (given, batch_shape) if word == "input_shape" else (shape, given)
    kwargs.pop("type_spec", None)
    if isinstance(tensor, Symbolic) and tensor.node is not None:  # a tensor that is computed from others was an input, too
        return tensor
    return layers.Input(shape, batch_size, dtype, sparse, ragged, batch_shape, name, tensor, **kwargs)


InputLayer = spelling.view(
    layers.InputLayer, "InputLayer", spelling.renaming({"input_dtype": "dtype", "batch_input_shape": "batch_shape", "input_shape": "shape"})
)


# Regularizers and constraints -------------------------------------------------------------------------------------------------------

l1 = spelling.view(regularizers.L1, "l1", spelling.renaming({"l": "l1"}))
l2 = spelling.view(regularizers.L2, "l2", spelling.renaming({"l": "l2"}))
activity_l1, activity_l2 = l1, l2


def l1l2(l1: float = 0.01, l2: float = 0.01) -> Any:
    """l1 * sum(|x|) + l2 * sum(x ** 2), both 0.01 by default."""
    return regularizers.L1L2(l1, l2)


activity_l1l2 = l1l2
maxnorm = spelling.view(constraints.MaxNorm, "maxnorm", spelling.renaming({"m": "max_value"}))
MinMaxNorm = spelling.view(constraints.MinMaxNorm, "MinMaxNorm", spelling.renaming({"low": "min_value", "high": "max_value"}))
LayerConstraint = constraints.Constraint


class RadialConstraint(constraints.Constraint):
    """Kernels of convolutions (n, n, in, out) that are the same at all places of each square ring around their middle.

    The numbers come from the diagonal: for the middle from n // 2 - 1, for ring r behind it from r further on, one more where n is even.

    >>> RadialConstraint()(np.arange(9.0).reshape((3, 3, 1, 1)))[:, :, 0, 0].tolist()
    [[4.0, 4.0, 4.0], [4.0, 0.0, 4.0], [4.0, 4.0, 4.0]]
    """

    def __call__(self, w: Tensor) -> Tensor:
        n = w.shape[0]
        middle, even = (n - 1) / 2, n % 2 == 0
        rings = [int(max(abs(i - middle), abs(j - middle))) for i in range(n) for j in range(n)]
        places = np.array([n // 2 - 1 + ring + (even and ring > 0) for ring in rings])
        return ops.reshape(ops.take(ops.reshape(w, (n * n, *w.shape[2:])), places * (n + 1) % (n * n), axis=0), w.shape)


radial_constraint = RadialConstraint


# Initial values ---------------------------------------------------------------------------------------------------------------------


def _first(make: Any) -> Any:
    """A function (shape, ..., name) -> variable, as initializations of Keras 1 were."""

    def initial(shape: Any, scale: float | None = None, name: str | None = None, dim_ordering: str = "th", **kwargs: Any) -> Any:
        from nyala.core.variable import Variable

        return Variable(make(scale), tuple(shape), kwargs.get("dtype"), name=name)

    return initial


def _scaled(scale: float, mode: str, distribution: str) -> Any:
    return _first(lambda _: initializers.VarianceScaling(scale, mode, distribution))


uniform = _first(lambda scale: initializers.RandomUniform(-(scale or 0.05), scale or 0.05))
normal = _first(lambda scale: initializers.RandomNormal(0.0, scale or 0.05))
lecun_uniform = _scaled(1.0, "fan_in", "uniform")
glorot_uniform = _scaled(1.0, "fan_avg", "uniform")
glorot_normal = _scaled(1.0, "fan_avg", "untruncated_normal")
he_uniform = _scaled(2.0, "fan_in", "uniform")
he_normal = _scaled(2.0, "fan_in", "untruncated_normal")
orthogonal = _first(lambda scale: initializers.Orthogonal(scale or 1.1))
identity = _first(lambda scale: initializers.Identity(scale or 1.0))
zero = _first(lambda _: initializers.Zeros())
one = _first(lambda _: initializers.Ones())


def get_fans(shape: Any, dim_ordering: str = "th") -> tuple[float, float]:
    """How many numbers go into one of a kernel, and how many come out of it.

    >>> get_fans((3, 4)), get_fans((8, 2, 3, 3))
    ((3, 4), (18, 72))
    """
    if len(shape) == 2:
        return shape[0], shape[1]
    if len(shape) in (4, 5):
        places, ends = (shape[2:], (shape[1], shape[0])) if dim_ordering == "th" else (shape[:-2], shape[-2:])
        return int(np.prod(places)) * ends[0], int(np.prod(places)) * ends[1]
    side = float(np.sqrt(np.prod(shape)))
    return side, side


# Metrics of one batch ---------------------------------------------------------------------------------------------------------------


def _counts(y_true: Tensor, y_pred: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """True positives, predicted positives and positives, each a number."""
    found, there = ops.round(ops.clip(y_pred, 0.0, 1.0)), ops.round(ops.clip(y_true, 0.0, 1.0))
    return ops.sum(ops.multiply(found, there)), ops.sum(found), ops.sum(there)


def precision(y_true: Tensor, y_pred: Tensor) -> Tensor:
    """The share of what was found that is there, in one batch."""
    right, found, _ = _counts(y_true, y_pred)
    return ops.divide(right, ops.add(found, epsilon()))


def recall(y_true: Tensor, y_pred: Tensor) -> Tensor:
    """The share of what is there that was found, in one batch."""
    right, _, there = _counts(y_true, y_pred)
    return ops.divide(right, ops.add(there, epsilon()))


def fbeta_score(y_true: Tensor, y_pred: Tensor, beta: float = 1) -> Tensor:
    """The harmonic mean of precision and recall, which weighs beta, in one batch."""
    p, r = precision(y_true, y_pred), recall(y_true, y_pred)
    return ops.divide(ops.multiply(1 + beta**2, ops.multiply(p, r)), ops.add(ops.add(ops.multiply(beta**2, p), r), epsilon()))


def fmeasure(y_true: Tensor, y_pred: Tensor) -> Tensor:
    return fbeta_score(y_true, y_pred, beta=1)


fscore = f1score = fmeasure


def matthews_correlation(y_true: Tensor, y_pred: Tensor) -> Tensor:
    """The correlation of what is there and what was found, in one batch."""
    found, there = ops.round(ops.clip(y_pred, 0.0, 1.0)), ops.round(ops.clip(y_true, 0.0, 1.0))
    not_found, not_there = ops.subtract(1.0, found), ops.subtract(1.0, there)
    tp, tn = ops.sum(ops.multiply(there, found)), ops.sum(ops.multiply(not_there, not_found))
    fp, fn = ops.sum(ops.multiply(not_there, found)), ops.sum(ops.multiply(there, not_found))
    below = ops.sqrt(ops.multiply(ops.multiply(ops.add(tp, fp), ops.add(tp, fn)), ops.multiply(ops.add(tn, fp), ops.add(tn, fn))))
    return ops.divide(ops.subtract(ops.multiply(tp, tn), ops.multiply(fp, fn)), ops.add(below, epsilon()))


class MeanRelativeError:
    """The metric of tf.keras: the mean of |y_true - y_pred| / normalizer, as a function.

    Args:
        normalizer: what the differences are divided by.
    """

    def __new__(cls, normalizer: Any, name: str = "mean_relative_error", dtype: Any = None) -> Any:
        from nyala import metrics

        scale = np.asarray(normalizer, "float32")

        def relative_error(y_true: Tensor, y_pred: Tensor) -> Tensor:
            return ops.divide(ops.abs(ops.subtract(y_true, y_pred)), scale)

        return metrics.MeanMetricWrapper(relative_error, name=name, dtype=dtype)


class Reduction:
    """Words for the reduction of losses."""

    AUTO = "sum_over_batch_size"
    NONE = "none"
    SUM = "sum"
    SUM_OVER_BATCH_SIZE = "sum_over_batch_size"

    @classmethod
    def all(cls) -> tuple[str, ...]:
        return (cls.AUTO, cls.NONE, cls.SUM, cls.SUM_OVER_BATCH_SIZE)

    @classmethod
    def validate(cls, key: str) -> None:
        from nyala.core.errors import ArgumentError

        if key not in cls.all():
            raise ArgumentError("Reduction", need=f"one of {cls.all()}", got=repr(key))


# Callbacks --------------------------------------------------------------------------------------------------------------------------


class BaseLogger(callbacks.Callback):
    """Means of logs over an epoch: those of fit are means already."""

    def __init__(self, stateful_metrics: Any = None) -> None:
        super().__init__()
        self.stateful_metrics = set(stateful_metrics or ())


_TENSORBOARD = frozenset({
    "batch_size", "write_grads", "embeddings_layer_names", "embeddings_data", "write_steps_per_second",
})  # fmt: skip
TensorBoard = spelling.view(callbacks.TensorBoard, "TensorBoard", spelling.renaming({}, _TENSORBOARD))
ProgbarLogger = spelling.view(callbacks.ProgbarLogger, "ProgbarLogger", lambda args, kwargs: ((), {}))


# Optimizers -------------------------------------------------------------------------------------------------------------------------


def optimizer(name: str) -> Any:
    """The view of an optimizer: epsilon=None and words that say how are left out.

    >>> float(optimizer("Adam")(lr=0.5, epsilon=None).learning_rate)
    0.5
    """
    from nyala.legacy.tables import OPTIMIZER_HARMLESS

    translate = spelling.renaming({}, OPTIMIZER_HARMLESS, frozenset({"epsilon"}))
    return spelling.view(getattr(optimizers, name), name, translate)


def _own(args: tuple, kwargs: dict[str, Any]) -> tuple[tuple, dict[str, Any]]:
    """The base of optimizers of one's own needs no learning rate, and may get its name in front."""
    if args and isinstance(args[0], str):
        args, kwargs = args[1:], {"name": args[0], **kwargs}
    return args, kwargs if args or "lr" in kwargs else {"learning_rate": 0.01, **kwargs}


Optimizer = spelling.view(optimizers.Optimizer, "Optimizer", _own)
Adadelta, Adagrad, Adam, Adamax = (optimizer(name) for name in ("Adadelta", "Adagrad", "Adam", "Adamax"))
AdamW, Ftrl, Nadam, RMSprop, SGD = (optimizer(name) for name in ("AdamW", "Ftrl", "Nadam", "RMSprop", "SGD"))


# Data -------------------------------------------------------------------------------------------------------------------------------


def _data_format(args: tuple, kwargs: dict[str, Any]) -> Any:
    from nyala.legacy.tables import DATA_FORMATS

    if "dim_ordering" in kwargs:
        kwargs = {**kwargs, "data_format": DATA_FORMATS.get(kwargs["dim_ordering"], kwargs["dim_ordering"])}
        del kwargs["dim_ordering"]
    return args, kwargs


def with_data_format(function: Any) -> Any:
    """The function, which takes dim_ordering as well."""
    import functools

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        args, kwargs = _data_format(args, kwargs)
        return function(*args, **kwargs)

    return call


def words(function: Any) -> Any:
    """The function, which takes nb_words as well."""
    import functools

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        if "nb_words" in kwargs:
            kwargs["num_words"] = kwargs.pop("nb_words")
        return function(*args, **kwargs)

    return call


def __getattr__(name: str) -> Any:
    if name.startswith("_"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from nyala.preprocessing import image, text

    made: Any
    if name == "Tokenizer":
        made = spelling.view(text.Tokenizer, "Tokenizer", spelling.renaming({"nb_words": "num_words"}))
    elif name in ("ImageDataGenerator", "NumpyArrayIterator", "DirectoryIterator"):
        made = spelling.view(getattr(image, name), name, _data_format)
    elif name in ("img_to_array", "array_to_img"):
        made = with_data_format(getattr(image, name))
    elif name in ("imdb", "reuters"):
        from nyala import datasets

        made = words(getattr(datasets, name).load_data)
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = made
    return made
