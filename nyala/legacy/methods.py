# SPDX-License-Identifier: Apache-2.0
"""What models, layers and callbacks have while old programs run: fit_generator, predict_classes, get_output_shape_for, layer.W and the like.

A table of additions to classes of today, put in place by `add` and taken away by `take_away`. Start at ADDITIONS, at the end.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from nyala import ops
from nyala.callbacks import Callback
from nyala.callbacks.callback_list import CallbackList
from nyala.callbacks.history import History
from nyala.core import tree
from nyala.core.errors import ArgumentError, StateError
from nyala.core.symbolic import Symbolic
from nyala.core.transforms import value_and_grad
from nyala.core.variable import Variable, as_variable
from nyala.engines import real_engine
from nyala.layers.calling import context
from nyala.layers.core.input_layer import InputLayer
from nyala.layers.layer import Layer, shapes_of
from nyala.legacy import chains, own_optimizers, tables
from nyala.legacy.closures import watching
from nyala.legacy.shapes import Shape, shape_of
from nyala.metrics import Mean, Metric
from nyala.models.functional import Functional
from nyala.models.model import Model
from nyala.models.sequential import Sequential
from nyala.optimizers.optimizer import Optimizer

# Logs under both of their names -------------------------------------------------------------------------------------------------------


class Logs(dict):
    """Logs, or a history, whose accuracy is found as "acc" and "accuracy", and whose learning rate as "lr" and "learning_rate".

    >>> logs = Logs(val_accuracy=0.5)
    >>> logs["val_acc"], logs.get("val_acc"), "val_acc" in logs, list(logs)
    (0.5, 0.5, True, ['val_accuracy'])
    """

    def _other(self, key: Any) -> Any:
        if not isinstance(key, str):
            return None
        front, stem = ("val_", key[4:]) if key.startswith("val_") else ("", key)
        for old, new in tables.LOGS.items():
            if stem == old or stem.endswith(f"_{old}"):
                name = f"{front}{stem[: len(stem) - len(old)]}{new}"
                if dict.__contains__(self, name):
                    return name
        return None

    def __missing__(self, key: Any) -> Any:
        name = self._other(key)
        if name is None:
            raise KeyError(key)
        return self[name]

    def __contains__(self, key: Any) -> bool:
        return dict.__contains__(self, key) or self._other(key) is not None

    def get(self, key: Any, default: Any = None) -> Any:
        return self[key] if key in self else default  # noqa: SIM401  dict.get does not know the other names


def _with_logs(hook: Callable) -> Callable:
    """A hook of CallbackList that hands logs on as Logs."""

    @functools.wraps(hook)
    def call(self: Any, *args: Any) -> None:
        hook(self, *(Logs(a) if type(a) is dict and i == len(args) - 1 else a for i, a in enumerate(args)))

    return call


def _on_train_begin(self: Any, logs: Any = None) -> None:
    self.epoch, self.history = [], Logs()


# Models: training and prediction ----------------------------------------------------------------------------------------------------


def _words(kwargs: dict[str, Any]) -> dict[str, Any]:
    return {tables.FIT_ARGUMENTS.get(k, k): v for k, v in kwargs.items() if k not in tables.FIT_HARMLESS}


def _fit(fit: Callable) -> Callable:
    @functools.wraps(fit)
    def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        if kwargs.get("show_accuracy") and self._objectives.metrics is None:
            self._objectives.metrics = ["accuracy"]
            self._forget_programs()
        kwargs = _words(kwargs)
        validation = kwargs.get("validation_data")
        if isinstance(validation, (tuple, list)) and len(validation) in (2, 3) and all(v is not None for v in validation):
            _show_validation(kwargs.get("callbacks"), validation)
        with _as_compiled(self):
            return fit(self, *args, **kwargs)

    return call


def _show_validation(callbacks: Any, validation: Any) -> None:
    """callback.validation_data, which Keras 1 and 2 set: inputs, targets and weights in one list."""
    for callback in callbacks if isinstance(callbacks, (list, tuple)) else ():
        if isinstance(callback, Callback) and getattr(callback, "validation_data", None) is None:
            inputs, targets = (value if isinstance(value, list) else [value] for value in validation[:2])
            weights = [np.ones(len(target), "float32") for target in targets if hasattr(target, "__len__")]
            callback.validation_data = [*inputs, *targets, *(weights if len(validation) == 2 else [validation[2]])]


def _evaluate(evaluate: Callable) -> Callable:
    @functools.wraps(evaluate)
    def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        return evaluate(self, *args, **_words(kwargs))

    return call


def _compile(compile: Callable) -> Callable:
    """compile, which takes words of old, metrics of one batch by their names, and losses that read symbolic tensors of the model."""

    @functools.wraps(compile)
    def call(self: Any, *args: Any, **kwargs: Any) -> None:
        kwargs = {k: v for k, v in kwargs.items() if k not in tables.COMPILE_HARMLESS}
        if kwargs.get("metrics"):
            kwargs["metrics"] = watching(self, tree.map_structure(_metric, kwargs["metrics"]))
        if kwargs.get("loss") is not None:
            kwargs["loss"] = watching(self, kwargs["loss"])
        if len(args) > 1:  # the optimizer, the loss, and what is not the same in all generations
            args = (args[0], watching(self, args[1]), *args[2:])
        compile(self, *args, **kwargs)
        _flags[self] = [(weakref.ref(layer), layer._trainable) for layer in self._flatten_layers()]

    return call


# Which layers a model trains: as it was when compile was called, whatever was set afterwards.
_flags: weakref.WeakKeyDictionary[Any, list[tuple[weakref.ref, bool]]] = weakref.WeakKeyDictionary()


@contextlib.contextmanager
def _as_compiled(model: Any) -> Iterator[None]:
    """For a while every layer is trained, or is not, as when the model was compiled."""
    flags = [(layer, flag) for ref, flag in _flags.get(model, []) if (layer := ref()) is not None]
    if all(layer._trainable == flag for layer, flag in flags):
        yield
        return
    now = [(layer, layer._trainable) for layer, _ in flags]
    kept = [(v, v.trainable) for layer, _ in flags for v in layer._own_variables()]
    for layer, flag in flags:
        layer._trainable = flag
        for variable in layer._own_variables():
            if variable.made_trainable and not variable.held:
                variable.trainable = flag
    try:
        yield
    finally:
        for layer, flag in now:
            layer._trainable = flag
        for variable, flag in kept:
            variable.trainable = flag


class SymbolicLoss(Layer):
    """Passes its first input on, and adds the others to the loss: what add_loss of a symbolic tensor leaves in a model."""

    def call(self, inputs: Any) -> Any:
        for loss in inputs[1:]:
            self.add_loss(ops.mean(loss))
        return inputs[0]


def _add_loss(add_loss: Callable) -> Callable:
    """add_loss, which takes symbolic tensors computed from the inputs of a functional model."""

    @functools.wraps(add_loss)
    def call(self: Any, loss: Any, inputs: Any = None) -> None:
        given = loss if isinstance(loss, list) else [loss]
        symbolic = [one for one in given if isinstance(one, Symbolic)]
        if not symbolic:
            add_loss(self, loss)
            return
        if not isinstance(self, Functional):
            raise ArgumentError(f"{type(self).__name__}.add_loss", need="a functional model", got="a symbolic loss", fix="Model(inputs, outputs)")
        ends = tree.flatten(self._outputs_struct)
        ends[0] = SymbolicLoss(name=f"{self.name}_loss")([ends[0], *symbolic])
        Functional.__init__(self, self._inputs_struct, tree.pack_sequence_as(self._outputs_struct, ends), name=self.name)

    return call


class SymbolicMetric(Layer):
    """Passes its first input on, and counts the second: what add_metric of a symbolic tensor leaves in a model."""

    def __init__(self, metric: Metric, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.metric = metric

    def call(self, inputs: Any) -> Any:
        self.metric.update_state(ops.stop_gradient(inputs[1]))
        return inputs[0]


def add_metric(self: Any, value: Any, name: str | None = None, aggregation: str | None = None, **kwargs: Any) -> None:
    """Have the mean of a tensor among the metrics: in `call`, or of a symbolic tensor of a functional model."""
    if isinstance(value, Symbolic):
        if not isinstance(self, Functional):
            raise ArgumentError(f"{type(self).__name__}.add_metric", need="a functional model", got="a symbolic tensor", fix="Model(inputs, outputs)")
        ends = tree.flatten(self._outputs_struct)
        name = name or value.name
        ends[0] = SymbolicMetric(Mean(name=name), name=f"{self.name}_{name}")([ends[0], value])
        Functional.__init__(self, self._inputs_struct, tree.pack_sequence_as(self._outputs_struct, ends), name=self.name)
        return
    kept = self.__dict__.setdefault("_metrics_of_call", {})
    name = name or f"{self.name}_metric"
    if name not in kept:
        kept[name] = Mean(name=name)
    kept[name].update_state(ops.stop_gradient(ops.convert_to_tensor(value)))


def _metric(metric: Any) -> Any:
    if isinstance(metric, str) and metric in tables.METRICS_1:
        from nyala.core.serialization import get_registered_object
        from nyala.legacy import then

        return get_registered_object(metric) or getattr(then, metric)
    return metric


def _steps(generator: Any, samples: int | None, batch: int | None = None) -> tuple[Any, int | None]:
    """Batches for a number of samples, counted by the first batch, and the generator with that batch again."""
    if samples is None:
        return generator, None
    size = batch or getattr(generator, "batch_size", None)
    if not size:
        generator = iter(generator)
        first = next(generator)
        data = first[0] if isinstance(first, (tuple, list)) else first
        size = len(tree.flatten(data)[0])
        generator = itertools.chain([first], generator)
    return generator, -(-int(samples) // int(size))


def fit_generator(self: Any, generator: Any, steps_per_epoch: Any = None, epochs: Any = None, *args: Any, **kwargs: Any) -> Any:
    """fit of a generator.

    Args:
        generator: of batches.
        steps_per_epoch: batches; samples beside words that only Keras 1 had (nb_epoch, nb_val_samples, ...), or as samples_per_epoch.
        epochs, nb_epoch: the number of the last epoch.
        args: verbose, callbacks, validation_data, validation_steps, class_weight.
        kwargs: of fit, in words of any generation.
    """
    places = ("verbose", "callbacks", "validation_data", "validation_steps", "class_weight")
    kwargs = {**dict(zip(places, args, strict=False)), **kwargs}
    counts_samples = bool(tables.GENERATOR_WORDS_1 & set(kwargs)) or "samples_per_epoch" in kwargs
    steps = kwargs.pop("samples_per_epoch", steps_per_epoch)
    if counts_samples:
        generator, steps = _steps(generator, steps)
    validation_steps = kwargs.pop("validation_steps", None)
    samples = kwargs.pop("nb_val_samples", None)
    if samples is not None and not isinstance(kwargs.get("validation_data"), (tuple, list, type(None))):  # arrays count in full
        kwargs["validation_data"], validation_steps = _steps(kwargs["validation_data"], samples)
    kwargs = _words(kwargs)
    if epochs is not None:
        kwargs["epochs"] = epochs
    valid = kwargs.get("validation_data")
    if valid is not None and not isinstance(valid, (tuple, list)) and validation_steps is not None:
        kwargs["validation_steps"] = validation_steps
    return self.fit(_batches(generator), steps_per_epoch=steps, **kwargs)


def _batches(generator: Any) -> Any:
    """The generator: lists [x, y] as pairs, as batches of today are."""
    if hasattr(generator, "__getitem__") or not hasattr(generator, "__next__"):
        return generator
    return _Paired(generator)


class _Paired:
    """An iterator of batches that were written as lists."""

    def __init__(self, generator: Iterator[Any]) -> None:
        self.generator = generator

    def __iter__(self) -> _Paired:
        return self

    def __next__(self) -> Any:
        batch = next(self.generator)
        return tuple(batch) if isinstance(batch, list) and len(batch) in (2, 3) else batch


def _counted(generator: Any, steps: Any, kwargs: dict[str, Any]) -> tuple[Any, Any, dict[str, Any]]:
    words = {k: v for k, v in kwargs.items() if k not in ("val_samples",)}
    if "val_samples" in kwargs or tables.GENERATOR_WORDS_1 & set(kwargs):
        generator, steps = _steps(generator, kwargs.get("val_samples", steps))
    return generator, steps, _words(words)


def evaluate_generator(self: Any, generator: Any, steps: Any = None, callbacks: Any = None, **kwargs: Any) -> Any:
    """evaluate of a generator: steps batches, or val_samples samples."""
    generator, steps, kwargs = _counted(generator, steps, kwargs)
    callbacks = None if isinstance(callbacks, int) else callbacks  # in Keras 1 the length of the queue stood there
    return self.evaluate(_batches(generator), steps=steps, callbacks=callbacks, **{"verbose": 0, **kwargs})


def predict_generator(self: Any, generator: Any, steps: Any = None, callbacks: Any = None, **kwargs: Any) -> Any:
    """predict of a generator: steps batches, or val_samples samples."""
    samples = kwargs.get("val_samples")
    generator, steps, kwargs = _counted(generator, steps, kwargs)
    callbacks = None if isinstance(callbacks, int) else callbacks
    outputs = self.predict(_batches(generator), steps=steps, callbacks=callbacks, **{"verbose": 0, **kwargs})
    return outputs if samples is None else tree.map_structure(lambda rows: rows[:samples], outputs)


def predict_proba(self: Any, x: Any, batch_size: int | None = None, verbose: Any = 0, steps: int | None = None) -> Any:
    """predict."""
    return self.predict(x, batch_size=batch_size, verbose=verbose, steps=steps)


def predict_classes(self: Any, x: Any, batch_size: int | None = None, verbose: Any = 0, steps: int | None = None) -> Any:
    """Class ids: the largest of a row; of a single number whether it is above 1/2."""
    rows = self.predict(x, batch_size=batch_size, verbose=verbose, steps=steps)
    return rows.argmax(axis=-1) if rows.shape[-1] > 1 else (rows > 0.5).astype("int32")


def _on_batch(method: Callable) -> Callable:
    @functools.wraps(method)
    def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        kwargs.pop("reset_metrics", None)
        kwargs.pop("accuracy", None)
        with _as_compiled(self):
            return method(self, *args, **kwargs)

    return call


def to_yaml(self: Any, **kwargs: Any) -> str:
    """Refused: YAML can hold code."""
    raise StateError("to_yaml", need="JSON", got="YAML", why="YAML can hold code", fix="use model.to_json()")


def _nothing(self: Any, *args: Any, **kwargs: Any) -> None:
    """Nothing: functions are compiled when they are first called."""


# Layers ----------------------------------------------------------------------------------------------------------------------------


def _layer_init(init: Callable) -> Callable:
    @functools.wraps(init)
    def call(self: Any, *args: Any, **kwargs: Any) -> None:
        for word in tables.SAID_HOW:
            kwargs.pop(word, None)
        init(self, *args, **kwargs)

    return call


def _model_init(init: Callable) -> Callable:
    @functools.wraps(init)
    def call(self: Any, *args: Any, **kwargs: Any) -> None:
        own = len(args) == 1 and args[0] is self  # super().__init__(self), which tf.keras let pass
        init(self, *(() if own else args), **kwargs)

    return call


def _attribute(self: Any, name: str) -> Any:
    """An attribute of a layer by its name of old."""
    today = tables.ATTRIBUTES.get(name)
    if today is not None and (today in self.__dict__ or hasattr(type(self), today)):
        return getattr(self, today)
    if name in ("nb_row", "nb_col") and "kernel_size" in self.__dict__:
        return self.kernel_size[("nb_row", "nb_col").index(name)]
    if name == "dim_ordering" and "data_format" in self.__dict__:
        return "th" if self.data_format == "channels_first" else "tf"
    raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}", name=name, obj=self)


def get_output_shape_for(self: Any, input_shape: Any) -> Any:
    """compute_output_shape."""
    return self.compute_output_shape(input_shape)


def _ends(which: str, shapes: bool) -> Callable:
    def get(self: Any, node_index: int) -> Any:
        """The symbolic tensors of one of its calls, or their shapes."""
        node = self.inbound_nodes[node_index]
        tensors = node.outputs if which == "output" else node.input_tensors
        tensors = tensors[0] if which == "input" and len(tensors) == 1 else tensors
        return shapes_of(tensors) if shapes else tensors

    return get


def add_update(self: Any, updates: Any, inputs: Any = None) -> None:
    """Assign the new values of pairs (variable, value), while the model trains. K.update and its kin have done it themselves."""
    for pair in updates if isinstance(updates, list) else [updates]:
        if isinstance(pair, tuple) and len(pair) == 2 and context.training:
            pair[0].assign(pair[1])


_WEIGHT_PLACES = ("name", "shape", "dtype", "initializer", "regularizer", "trainable", "constraint")
_METRIC_PLACES = ("name", "shape", "aggregation", "synchronization", "initializer", "dtype")


def _named_first(places: tuple[str, ...]) -> Callable:
    """add_weight, which takes a name in front, and then the arguments in the order of Keras 2 and tf.keras."""

    def wrap(add_weight: Callable) -> Callable:
        @functools.wraps(add_weight)
        def call(self: Any, *args: Any, **kwargs: Any) -> Any:
            if args and (isinstance(args[0], str) or args[0] is None):
                args, kwargs = (), {**dict(zip(places, args, strict=False)), **kwargs}
            kwargs = {k: v for k, v in kwargs.items() if k not in tables.WEIGHT_HARMLESS and not (k in ("trainable", "aggregation") and not _says(v))}
            return add_weight(self, *args, **kwargs)

        return call

    return wrap


def _says(value: Any) -> bool:
    """Whether an argument says anything here: trainable=None and places of TensorFlow do not."""
    return isinstance(value, (bool, str, int))


def _settable(found: Any, trained: bool) -> property:
    """A list of weights that a layer of one's own may set."""

    def set_list(self: Any, weights: Any) -> None:
        for weight in weights:
            if not any(weight is known for known in self._own_variables()):
                self._weights.append(weight)
            weight.trainable = trained

    return property(found.fget, set_list)


def _updates(self: Any) -> list[Any]:
    """None: updates are carried out where they are written."""
    return []


def _set_attribute(self: Any, name: str, value: Any) -> None:
    """Layers of tf.keras have the tf.Variables that are stored in them as weights."""
    object.__setattr__(self, name, as_variable(value) if hasattr(type(value), "assign") else value)


# Steps of tf.keras -----------------------------------------------------------------------------------------------------------------


class _Compiled:
    """A part of what a model was compiled with."""

    metrics: Any

    def __init__(self, model: Any) -> None:
        self._model = model

    def reset_state(self) -> None:
        """Count from nothing again."""
        for metric in self.metrics:
            metric.reset_state()

    reset_states = reset_state


class CompiledLoss(_Compiled):
    """`model.compiled_loss` of tf.keras: the compiled loss as a function, which counts what it returns."""

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None, regularization_losses: Any = None) -> Any:
        objectives = _bound(self._model, y_true, y_pred)
        total = objectives.total(y_true, y_pred, sample_weight) if any(objectives.losses) else None
        for loss in regularization_losses or ():
            total = loss if total is None else ops.add(total, loss)
        if total is None:
            return ops.zeros(())
        rows = tree.flatten(y_true)[0].shape
        objectives.loss_tracker.update_state(ops.stop_gradient(total), sample_weight=rows[0] if rows else 1)
        return total

    @property
    def metrics(self) -> list[Any]:
        """The means of the losses."""
        objectives = self._model._objectives
        return [objectives.loss_tracker, *(t for t in objectives.trackers if t is not None)]


class CompiledMetrics(_Compiled):
    """`model.compiled_metrics` of tf.keras: the compiled metrics as one."""

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Count a batch."""
        _bound(self._model, y_true, y_pred).update(y_true, y_pred, sample_weight)

    @property
    def metrics(self) -> list[Any]:
        """The metrics, once a batch has been seen."""
        return [metric for _, metric, _ in self._model._objectives.bound]


def _bound(model: Any, y_true: Any, y_pred: Any) -> Any:
    """What compile was told, bound to the outputs."""
    model._require_compiled("compiled_loss")
    if not model._objectives.ready:
        model._objectives.build(model, y_true, y_pred)
    return model._objectives


def minimize(self: Any, loss: Any, var_list: Any, tape: Any = None, name: str | None = None) -> Any:
    """Optimizer.minimize of tf.keras: one update that makes a loss smaller, given as a function, or as a tensor and the tape that followed it."""
    here = real_engine()
    variables = list(var_list() if isinstance(var_list, Callable) else var_list)
    if callable(loss) and not here.lends:
        gradients = value_and_grad(loss, variables, has_aux=False)()[1]
        return self.apply_gradients(zip(gradients, variables, strict=True))
    if callable(loss):
        loss, tape = here.taped(loss)
    if tape is None:
        fix = "pass tape=, or the loss as a function"
        raise ArgumentError("Optimizer.minimize", need="a tape beside a loss that is a tensor", got="tape=None", fix=fix)
    return self.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))


# ------------------------------------------------------------------------------------------------------------------------------------

_GENERATORS = {"fit_generator": fit_generator, "evaluate_generator": evaluate_generator, "predict_generator": predict_generator}
_HOOKS = ("on_epoch_begin", "on_epoch_end", "on_train_batch_end", "on_train_end", "on_test_end", "on_test_batch_end")

# Class -> what it gets. A function of one argument that wraps is marked by _Around.


class _Around:
    """What an attribute becomes: a function of what it was."""

    def __init__(self, wrap: Callable) -> None:
        self.wrap = wrap


ADDITIONS: list[tuple[Any, dict[str, Any]]] = [
    (Model, {
        "__init__": _Around(_model_init), **_GENERATORS, "predict_proba": predict_proba, "predict_classes": predict_classes, "to_yaml": to_yaml,
        **dict.fromkeys(("_make_predict_function", "_make_train_function", "_make_test_function"), _nothing),
        "fit": _Around(_fit), "evaluate": _Around(_evaluate), "predict": _Around(_evaluate), "compile": _Around(_compile),
        **dict.fromkeys(("train_on_batch", "test_on_batch"), _Around(_on_batch)),
        "state_updates": property(_updates),
        "compiled_loss": property(CompiledLoss), "compiled_metrics": property(CompiledMetrics),
    }),
    (Sequential, {
        "add": _Around(chains.add), "model": property(lambda self: self), "layers": _Around(chains.live),
        **{name: _Around(functools.partial(chains.end, name)) for name in chains.ENDS},
    }),
    (Functional, {"layers": _Around(chains.live), "outputs": chains.OUTPUTS}),
    (Layer, {
        "__init__": _Around(_layer_init), "__getattr__": _attribute, "__setattr__": _set_attribute,
        "get_output_shape_for": get_output_shape_for, "add_update": add_update,
        "add_loss": _Around(_add_loss), "add_metric": add_metric,
        "add_weight": _Around(_named_first(_WEIGHT_PLACES)), "updates": property(_updates),
        "get_input_at": _ends("input", False), "get_output_at": _ends("output", False),
        "get_input_shape_at": _ends("input", True), "get_output_shape_at": _ends("output", True),
        "trainable_weights": _Around(lambda found: _settable(found, True)),
        "non_trainable_weights": _Around(lambda found: _settable(found, False)),
    }),
    (Optimizer, {
        "minimize": minimize, "get_updates": own_optimizers.get_updates, "get_gradients": own_optimizers.get_gradients,
        "_update": _Around(own_optimizers.update), "_add_slots": _Around(own_optimizers.add_slots),
    }),
    (InputLayer, {"input": property(lambda self: self.output)}),
    (Symbolic, {
        "shape_type": staticmethod(shape_of), "get_shape": lambda self: Shape(self.shape), "_keras_shape": property(lambda self: tuple(self.shape)),
    }),
    (Variable, {"get_shape": lambda self: Shape(self.shape), "read_value": lambda self: self.value}),
    (Metric, {"add_weight": _Around(_named_first(_METRIC_PLACES))}),
    (CallbackList, {name: _Around(_with_logs) for name in _HOOKS}),
    (History, {"on_train_begin": _on_train_begin}),
]  # fmt: skip

_before: list[tuple[Any, str, Any]] = []
_MISSING = object()


def add() -> None:
    """Give the classes what the table says."""
    if _before:
        return
    for kind, additions in ADDITIONS:
        for name, addition in additions.items():
            _before.append((kind, name, kind.__dict__.get(name, _MISSING)))
            found = next((k.__dict__[name] for k in kind.__mro__ if name in k.__dict__), None)
            if isinstance(addition, _Around) and found is None:
                raise ArgumentError(f"{kind.__name__}.{name}", need="something to wrap", got="nothing of this name")
            setattr(kind, name, addition.wrap(found) if isinstance(addition, _Around) else addition)


def take_away() -> None:
    """Leave the classes as they were."""
    while _before:
        kind, name, value = _before.pop()
        delattr(kind, name) if value is _MISSING else setattr(kind, name, value)
