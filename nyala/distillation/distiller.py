# SPDX-License-Identifier: Apache-2.0
"""Distiller: a student that is trained on its targets and on what a frozen teacher says. Start at Distiller.compute_loss."""

from __future__ import annotations

from typing import Any

from nyala import ops
from nyala.core import tree
from nyala.core.audit import looks_through
from nyala.core.errors import ArgumentError, ArgumentTypeError, ShapeError
from nyala.core.serialization import deserialize_keras_object, serialize_keras_object
from nyala.core.symbolic import plain_shape
from nyala.distillation.losses import DistillationLoss, known
from nyala.metrics import Mean
from nyala.models.functional import alone
from nyala.models.model import Model


class Distiller(Model):
    """student_loss_weight * loss(y, student) + (1 - student_loss_weight) * sum of weighted distillation losses(teacher, student).

    Args:
        teacher: a trained Model; it is frozen, and runs as in prediction.
        student: the Model to train; calling the distiller calls it.
        distillation_losses: a DistillationLoss, or a list.
        distillation_loss_weights: one number for each, ones by default.
        student_loss_weight: from 0 to 1.
        name: of this model.

    Compile it with the loss and metrics of the student; logs also have student_loss, distillation_loss and total_loss. Afterwards take `student`.

    >>> import nyala
    >>> teacher, student = (nyala.Sequential([nyala.Input((3,)), nyala.layers.Dense(2)]) for _ in range(2))
    >>> model = Distiller(teacher, student, nyala.distillation.LogitsDistillation(temperature=2.0))
    >>> model.compile("sgd", "mse")
    >>> list(model.fit(nyala.ops.ones((4, 3)), nyala.ops.ones((4, 2)), verbose=0).history)
    ['loss', 'student_loss', 'distillation_loss', 'total_loss']
    """

    def __init__(
        self,
        teacher: Model,
        student: Model,
        distillation_losses: Any,
        distillation_loss_weights: Any = None,
        student_loss_weight: float = 0.5,
        name: str = "distiller",
        **kwargs: Any,
    ) -> None:
        for role, model in (("teacher", teacher), ("student", student)):
            if not isinstance(model, Model):
                raise ArgumentTypeError(f"Distiller({role})", need="a Model", got=f"{type(model).__name__} {model!r:.60}")
        losses = list(distillation_losses) if isinstance(distillation_losses, (list, tuple)) else [distillation_losses]
        if not losses or not all(isinstance(loss, DistillationLoss) for loss in losses):
            fix = "use LogitsDistillation() or FeatureDistillation()"
            raise ArgumentTypeError(
                "Distiller(distillation_losses)", need="a DistillationLoss or a list of them", got=repr(distillation_losses), fix=fix
            )
        given = [1.0] * len(losses) if distillation_loss_weights is None else distillation_loss_weights
        weights = list(given) if isinstance(given, (list, tuple)) else [given]
        if len(weights) != len(losses):
            need = f"{len(losses)} numbers, one for each distillation loss"
            raise ArgumentError("Distiller(distillation_loss_weights)", need=need, got=f"{len(weights)}")
        if not 0 <= student_loss_weight <= 1:
            raise ArgumentError("Distiller(student_loss_weight)", need="a number from 0 to 1", got=repr(student_loss_weight))
        _check_inputs(teacher, student)
        for loss in losses:
            loss.validate_model_compatibility(teacher, student)
        super().__init__(name=name, **kwargs)
        self.teacher, self.student = teacher, student
        self.distillation_losses, self.distillation_loss_weights, self.student_loss_weight = losses, weights, student_loss_weight
        self.teacher.trainable = False
        self._teacher_tap = _Tap(teacher, [getattr(loss, "teacher_layer_name", None) for loss in losses])
        self._student_tap = _Tap(student, [getattr(loss, "student_layer_name", None) for loss in losses])
        self._seen: list[Any] = []  # what the taps of the student gave in the call that compute_loss judges
        self.student_loss_tracker = Mean(name="student_loss")
        self.distillation_loss_tracker = Mean(name="distillation_loss")
        self.total_loss_tracker = Mean(name="total_loss")

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        outputs, self._seen = self._student_tap(inputs, bool(training))
        return outputs

    def predict_step(self, data: Any) -> Any:
        outputs = super().predict_step(data)
        self._seen = []
        return outputs

    def compute_loss(self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None, training: bool = True) -> Any:
        """The weighted sum of both kinds of losses; compiled without a loss that of distillation alone."""
        student_features, self._seen = self._seen, []
        _, teacher_features = self._teacher_tap(x, training=False)
        values = [
            ops.multiply(loss.compute_loss(theirs, ours), weight)
            for loss, weight, theirs, ours in zip(
                self.distillation_losses, self.distillation_loss_weights, teacher_features, student_features, strict=True
            )
        ]
        distillation = values[0]
        for value in values[1:]:
            distillation = ops.add(distillation, value)
        total, rows = ops.multiply(distillation, 1.0 - self.student_loss_weight), _rows(x)
        if self.loss is not None:
            student = super().compute_loss(x=x, y=y, y_pred=y_pred, sample_weight=sample_weight, training=training)
            self.student_loss_tracker.update_state(ops.stop_gradient(student), sample_weight=rows)
            total = ops.add(ops.multiply(student, self.student_loss_weight), total)
        self.distillation_loss_tracker.update_state(ops.stop_gradient(distillation), sample_weight=rows)
        self.total_loss_tracker.update_state(ops.stop_gradient(total), sample_weight=rows)
        return total

    def get_config(self) -> dict[str, Any]:
        parts = {
            "teacher": serialize_keras_object(self.teacher),
            "student": serialize_keras_object(self.student),
            "distillation_losses": [serialize_keras_object(loss) for loss in self.distillation_losses],
            "distillation_loss_weights": list(self.distillation_loss_weights),
            "student_loss_weight": self.student_loss_weight,
        }
        return {"name": self.name, "trainable": self.trainable, "dtype": serialize_keras_object(self.dtype_policy), **parts}

    @classmethod
    @looks_through
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Any:
        revive = lambda value: deserialize_keras_object(value, custom_objects)  # noqa: E731
        parts = {name: revive(config[name]) for name in ("teacher", "student", "dtype") if name in config}
        return cls(**{**config, **parts, "distillation_losses": [revive(loss) for loss in config["distillation_losses"]]})


class _Tap:
    """A model that gives its outputs, and with them what layers inside made, by one run of its graph. None as a name stands for the outputs.

    The model within is not a sublayer of whoever holds the tap: its weights are those of the original."""

    def __init__(self, model: Model, names: list[str | None]) -> None:
        self._model, self._names = model, names
        inside: dict[str, Any] = {name: model.get_layer(name).output for name in names if name is not None}
        graph: Any = model
        self._graph = Model(inputs=graph.input, outputs={"outputs": alone(graph.output), "inside": inside}) if inside else None

    def __call__(self, inputs: Any, training: bool) -> tuple[Any, list[Any]]:
        """(outputs, what each name stands for)."""
        if self._graph is None:
            outputs = self._model(inputs, training=training)
            return outputs, [outputs] * len(self._names)
        found = self._graph(inputs, training=training)
        return found["outputs"], [found["outputs"] if name is None else found["inside"][name] for name in self._names]


def _check_inputs(teacher: Any, student: Any) -> None:
    """Raise ShapeError where both take known inputs, and not the same."""
    shapes = [[plain_shape(x.shape) for x in model.inputs] for model in (teacher, student) if known(model)]
    if len(shapes) == 2 and shapes[0] != shapes[1]:
        shown = [", ".join(map(str, one)) for one in shapes]
        raise ShapeError("Distiller", need=f"inputs of the student like those of the teacher, {shown[0]}", got=shown[1])


def _rows(x: Any) -> int:
    return next(leaf for leaf in tree.flatten(x) if leaf is not None).shape[0]
