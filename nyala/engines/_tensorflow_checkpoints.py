# SPDX-License-Identifier: Apache-2.0
"""Models, layers, optimizers and metrics in tf.train.Checkpoint and tf.saved_model.save, which take trackable objects of TensorFlow only.

In a checkpoint each of them is one string: its arrays under the names that .weights.h5 files have, as safetensors, so that reading it runs nothing.
Layers that are not built yet, and optimizers before their first step, get what was restored when they are. Start at Checkpoint.
"""

from __future__ import annotations

# The stubs that checkers have for TensorFlow know half of it:
# pyright: reportMissingImports=false, reportMissingModuleSource=false, reportAttributeAccessIssue=false, reportGeneralTypeIssues=false
import functools
import io
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from nyala.core.errors import ArgumentError, ShapeError, StateError
from nyala.core.variable import Variable
from nyala.engines import current

WHERE = "tf.train.Checkpoint.restore"
_of_tensorflow = tf.train.Checkpoint


class Checkpoint(_of_tensorflow):
    """tf.train.Checkpoint, which takes what is built on Nyala, too.

    Args:
        root: a trackable object, or a model, layer, optimizer, metric or variable.
        kwargs: such objects by name; lists, tuples and dicts of them.
    """

    def __init__(self, root: Any = None, **kwargs: Any) -> None:
        children = {name: _trackable(value) for name, value in kwargs.items()}
        root = _trackable(root)
        object.__setattr__(self, "_ours", [name for name, value in {"": root, **children}.items() if _has_state(value)])
        super().__init__(*([] if root is None else [root]), **children)

    def read(self, save_path: str, options: Any = None) -> Any:
        """As in TensorFlow. A checkpoint that holds weights one by one, as those of models of TensorFlow do, is refused rather than passed over."""
        keys = list(tf.train.load_checkpoint(save_path).get_variable_to_shape_map()) if self._ours else []
        for name in self._ours:
            below = [key for key in keys if key.startswith(f"{name}/") or not name]
            if below and not any(key.endswith("/.ATTRIBUTES/py_state") or key == ".ATTRIBUTES/py_state" for key in below):
                raise StateError(
                    WHERE,
                    need=f"a checkpoint in which {name or 'the object itself'!r} was saved by Nyala",
                    got=f"one with {len(below)} variables of TensorFlow, as {below[0]!r}, in {save_path!r}",
                    fix="have Keras write the model as .keras or .weights.h5, which Nyala reads; nothing was changed",
                )
        return super().read(save_path, options)


def take_checkpoints() -> None:
    """Let tf.train.Checkpoint take models, and tf.saved_model.save."""
    if tf.train.Checkpoint is not Checkpoint:
        tf.train.Checkpoint = Checkpoint
        tf.saved_model.save = _saving(tf.saved_model.save)


class State(tf.train.experimental.PythonState):
    """One object of a checkpoint. It can be used as the object itself.

    Args:
        owner: a layer, a model, an optimizer, or anything with variables.
    """

    def __init__(self, owner: Any) -> None:
        self.owner = owner

    def __getattr__(self, name: str) -> Any:
        if name == "owner" or name.startswith("_"):
            raise AttributeError(name)
        return getattr(self.owner, name)

    def __repr__(self) -> str:
        return f"<state of {self.owner!r}>"

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.owner(*args, **kwargs)

    def serialize(self) -> bytes:
        """The numbers of the object."""
        from nyala.files import safetensors
        from nyala.files.stores import Owned, sum_of

        file, arrays = io.BytesIO(), _arrays(self.owner) if (found := _places(self.owner)) is None else Owned(found)
        safetensors.write(file, arrays, {"format": "nyala", "crc32": sum_of(arrays)})
        return file.getvalue()

    def deserialize(self, string_value: bytes) -> None:
        """Give the object its numbers, or raise and change nothing of it."""
        from nyala.optimizers.optimizer import Optimizer

        if isinstance(self.owner, Optimizer) and not self.owner.built:
            _when_built(self.owner, functools.partial(_restore, self.owner, string_value))
        else:
            _restore(self.owner, string_value)


def _trackable(value: Any) -> Any:
    """The value with a State for each object of ours in it."""
    if type(value) is dict:
        return {key: _trackable(item) for key, item in value.items()}
    if type(value) in (list, tuple):
        return type(value)(map(_trackable, value))
    return State(value) if _is_ours(value) else value


def _has_state(value: Any) -> bool:
    if isinstance(value, (dict, list, tuple)):
        return any(map(_has_state, value.values() if isinstance(value, dict) else value))
    return isinstance(value, State)


def _is_ours(value: Any) -> bool:
    """Whether an object keeps its state in variables of ours."""
    if isinstance(value, Variable):
        return True
    held = getattr(value, "variables", None)
    return not isinstance(value, tf.Module) and isinstance(held, (list, tuple)) and hasattr(value, "get_config")


def _places(owner: Any) -> list[Any] | None:
    """Where the objects below a layer, model or optimizer have their numbers; None for others."""
    from nyala.files.places import places
    from nyala.layers.layer import Layer
    from nyala.optimizers.optimizer import Optimizer

    return places(owner) if isinstance(owner, (Layer, Optimizer)) else None


def _variables(owner: Any) -> Sequence[Variable]:
    return [owner] if isinstance(owner, Variable) else owner.variables


def _arrays(owner: Any) -> dict[str, np.ndarray]:
    return {f"vars/{number}": variable.numpy() for number, variable in enumerate(_variables(owner))}


def _restore(owner: Any, data: bytes) -> None:
    from nyala.files import weights
    from nyala.files.loading import plan
    from nyala.layers.layer import Layer

    where = f"{WHERE}, {getattr(owner, 'name', type(owner).__name__)!r}"
    if isinstance(owner, Layer):
        weights.set_stored(owner, io.BytesIO(data), "safetensors", where, skip_mismatch=None)
        return
    with weights.reading_stored(io.BytesIO(data), "safetensors", where) as stored:
        if (found := _places(owner)) is not None:
            planned = plan(found, stored, where)
            planned.check(skip_mismatch=None)
            planned.carry_out()
            return
        arrays = {int(key): source.read() for key, source in stored.get("", {}).items()}
    variables, values = _variables(owner), [arrays[number] for number in sorted(arrays)]
    shapes, needed = [value.shape for value in values], [variable.shape for variable in variables]
    if shapes != needed:
        raise ShapeError(where, need=f"arrays of shapes {needed}", got=f"{shapes}", fix="restore what was saved of the same object")
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)


def _when_built(optimizer: Any, restore: Callable[[], None]) -> None:
    """Do this as soon as an optimizer has its slots."""

    def build(variables: Sequence[Variable]) -> None:
        optimizer.__dict__.pop("build", None)
        optimizer.build(variables)
        with current().outside_graphs():  # it may be in the first step of one: what is set there would be set in each step
            restore()

    optimizer.__dict__["build"] = build


def _saving(save: Callable) -> Callable:
    """tf.saved_model.save, of models of ours by their export."""

    @functools.wraps(save)
    def wrapped(obj: Any, export_dir: Any, signatures: Any = None, options: Any = None) -> None:
        from nyala.models.model import Model

        if not isinstance(obj, Model):
            return save(obj, export_dir, signatures, options)
        if signatures is not None or options is not None:
            name = "options" if signatures is None else "signatures"
            fix = "nyala.export.ExportArchive writes endpoints of your own"
            raise ArgumentError(f"tf.saved_model.save(model, {name})", need=f"no {name} for a model", got=f"some for {obj.name!r}", fix=fix)
        obj.export(export_dir, verbose=False)

    return wrapped
