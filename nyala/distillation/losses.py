# SPDX-License-Identifier: Apache-2.0
"""How far a student is from its teacher: by their logits, or by features of layers inside. Knows no training. Start at LogitsDistillation."""

from __future__ import annotations

from typing import Any

from nyala import losses, ops
from nyala.core import tree
from nyala.core.audit import looks_through
from nyala.core.errors import ArgumentError, ArgumentTypeError, LookupFailed, ShapeError, StructureError, missing_method
from nyala.core.serialization import deserialize_keras_object, serialize_keras_object
from nyala.core.symbolic import plain_shape
from nyala.engines.protocol import Tensor


class DistillationLoss:
    """Base of distillation losses: subclasses write `compute_loss`."""

    def compute_loss(self, teacher_outputs: Any, student_outputs: Any, **kwargs: Any) -> Tensor:
        """A scalar, from trees of outputs of the two models."""
        raise missing_method(self, "compute_loss(self, teacher_outputs, student_outputs, **kwargs)")

    def validate_outputs(self, teacher_outputs: Any, student_outputs: Any) -> None:
        """Raise StructureError unless the two have outputs in the same structure."""
        teacher, student = ([path for path, _ in tree.flatten_with_path(outputs)] for outputs in (teacher_outputs, student_outputs))
        if teacher != student:
            shown = [", ".join("".join(f"[{key!r}]" for key in path) or "one" for path in paths) for paths in (teacher, student)]
            raise StructureError(type(self).__name__, need=f"outputs of the student like those of the teacher, {shown[0]}", got=shown[1])

    def validate_model_compatibility(self, teacher: Any, student: Any) -> None:
        """Raise where the two models cannot be compared in this way, as far as that is known before data come."""


class _OfOutputs(DistillationLoss):
    """The sum of losses, one for each output or a structure of them."""

    def __init__(self, loss: Any) -> None:
        self.loss = tree.map_structure(losses.get, loss) if isinstance(loss, (list, tuple)) or _is_structure(loss) else losses.get(loss)
        for item in tree.flatten(self.loss):
            if item is not None and not callable(item):
                raise ArgumentTypeError(
                    f"{type(self).__name__}(loss)", need="a loss, or a structure of losses like the outputs", got=f"{type(item).__name__} {item!r}"
                )
        if not any(tree.flatten(self.loss)):
            raise ArgumentError(f"{type(self).__name__}(loss)", need="a loss", got=repr(loss))

    def compute_loss(self, teacher_outputs: Any, student_outputs: Any, **kwargs: Any) -> Tensor:
        """The sum over the outputs of the losses of the student against the teacher; a loss of None leaves its output out."""
        self.validate_outputs(teacher_outputs, student_outputs)
        teacher, student = tree.flatten(teacher_outputs), tree.flatten(student_outputs)
        items = tree.flatten(self.loss) if tree.is_nested(self.loss) else [self.loss] * len(teacher)
        if len(items) != len(teacher):
            raise StructureError(f"{type(self).__name__}(loss)", need=f"{len(teacher)} losses, one for each output", got=f"{len(items)}")
        rows = [(loss, t, s) for loss, t, s in zip(items, teacher, student, strict=True) if loss is not None]
        for loss, t, s in rows:
            _check_shapes(type(self).__name__, loss, t, s)
        total, *more = [self._compare(loss, t, s) for loss, t, s in rows]
        for value in more:
            total = ops.add(total, value)
        return total

    def _compare(self, loss: Any, teacher: Any, student: Any) -> Tensor:
        return ops.mean(loss(teacher, student))

    def get_config(self) -> dict[str, Any]:
        """Arguments from which from_config makes an equal loss."""
        return {"loss": tree.map_structure(serialize_keras_object, self.loss) if tree.is_nested(self.loss) else serialize_keras_object(self.loss)}

    @classmethod
    @looks_through
    def from_config(cls, config: dict[str, Any]) -> Any:
        """Make a loss from what get_config returned."""
        return cls(**{**config, "loss": _revived(config["loss"])})


class LogitsDistillation(_OfOutputs):
    """The student's outputs against the teacher's, both logits, divided by a temperature.

    With the Kullback-Leibler divergence: T**2 KL(softmax(teacher / T), softmax(student / T)); with another loss: loss(teacher / T, student / T).

    Args:
        temperature: T, above 0; the higher, the more the small probabilities count.
        loss: a name, a Loss or a function (teacher, student) -> values; for several outputs one for all, or a structure like theirs, with None for
            those that do not count.
    Source: Hinton, Vinyals, Dean 2015, Distilling the knowledge in a neural network.
    Differs from Keras: the default is the divergence of the softened probabilities; there, "kl_divergence" by name compares raw logits.

    >>> float(LogitsDistillation(temperature=2.0).compute_loss(ops.array([[1.0, 3.0]]), ops.array([[3.0, 1.0]])))
    1.84846...
    """

    def __init__(self, temperature: float = 3.0, loss: Any = "kl_divergence") -> None:
        if not isinstance(temperature, (int, float)) or not temperature > 0:
            raise ArgumentError("LogitsDistillation(temperature)", need="a number above 0", got=repr(temperature))
        super().__init__(loss)
        self.temperature = temperature

    def _compare(self, loss: Any, teacher: Any, student: Any) -> Tensor:
        teacher, student = (ops.divide(ops.convert_to_tensor(x), self.temperature) for x in (teacher, student))
        if loss is not losses.kl_divergence and not isinstance(loss, losses.KLDivergence):
            return super()._compare(loss, teacher, student)
        return ops.multiply(super()._compare(loss, ops.softmax(teacher), ops.softmax(student)), self.temperature**2)

    def validate_model_compatibility(self, teacher: Any, student: Any) -> None:
        outputs = [tree.flatten(getattr(model, "output", None) if known(model) else None) for model in (teacher, student)]
        shapes = [[plain_shape(x.shape) for x in found if x is not None] for found in outputs]
        if all(shapes) and shapes[0] != shapes[1]:
            raise ShapeError(
                "LogitsDistillation", need=f"outputs of the student like those of the teacher, {_shown(shapes[0])}", got=_shown(shapes[1])
            )

    def get_config(self) -> dict[str, Any]:
        return {"temperature": self.temperature, **super().get_config()}


class FeatureDistillation(_OfOutputs):
    """What a layer of the student makes against what one of the teacher makes.

    Args:
        loss: as in LogitsDistillation.
        teacher_layer_name, student_layer_name: layers directly in models that are graphs (Functional, Sequential); None for the models' outputs.
    Source: Romero et al. 2014, FitNets: hints for thin deep nets.
    Differs from Keras: features of different shapes are refused unless the loss is a function of one's own.

    >>> float(FeatureDistillation("mae").compute_loss(ops.array([[1.0, 3.0]]), ops.array([[2.0, 1.0]])))
    1.5
    """

    def __init__(self, loss: Any = "mse", teacher_layer_name: str | None = None, student_layer_name: str | None = None) -> None:
        super().__init__(loss)
        self.teacher_layer_name, self.student_layer_name = teacher_layer_name, student_layer_name

    def validate_model_compatibility(self, teacher: Any, student: Any) -> None:
        for role, model, name in (("teacher", teacher, self.teacher_layer_name), ("student", student, self.student_layer_name)):
            if name is None:
                continue
            if not known(model):
                raise ArgumentError(
                    f"FeatureDistillation({role}_layer_name)",
                    need="a Functional model, or a Sequential one with known inputs",
                    got=f"{type(model).__name__} {model.name!r}",
                    why="layers inside other models cannot be tapped",
                    fix="leave the names out to compare outputs",
                )
            names = [layer.name for layer in model.layers]
            if name not in names:
                raise LookupFailed(f"FeatureDistillation({role}_layer_name)", need=f"a layer of the {role}: {', '.join(names)}", got=repr(name))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "teacher_layer_name": self.teacher_layer_name, "student_layer_name": self.student_layer_name}


def known(model: Any) -> bool:
    """Whether a model is a graph whose inputs and outputs are known."""
    return bool(getattr(model, "inputs", None)) and bool(getattr(model, "outputs", None))


def _is_structure(loss: Any) -> bool:
    return isinstance(loss, dict) and "class_name" not in loss


def _revived(loss: Any) -> Any:
    """Losses of a config, in its structure."""
    if isinstance(loss, (list, tuple)):
        return [_revived(item) for item in loss]
    return {key: _revived(item) for key, item in loss.items()} if _is_structure(loss) else deserialize_keras_object(loss)


def _check_shapes(where: str, loss: Any, teacher: Any, student: Any) -> None:
    """Raise ShapeError where a loss of this package would compare by broadcasting."""
    shapes = [plain_shape(tuple(ops.shape(x))) for x in (teacher, student)]
    is_ours = (getattr(loss, "__module__", None) or "").startswith("nyala.")
    if is_ours and shapes[0] != shapes[1]:
        raise ShapeError(
            where,
            need=f"values of the student in the shape of the teacher's, {shapes[0]}",
            got=f"{shapes[1]}",
            fix="choose layers of equal shapes, or pass a function (teacher, student) -> values that brings them together",
        )


def _shown(shapes: list[tuple]) -> str:
    return ", ".join(map(str, shapes))
