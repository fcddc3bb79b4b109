# SPDX-License-Identifier: Apache-2.0
"""What all networks share: their arguments, the input, the top and the files of trained weights. Knows no architecture. Start at Frame."""

from __future__ import annotations

import functools
import inspect
import os
import pathlib
import sys
from collections.abc import Callable, Collection, Sequence
from typing import Any, Concatenate, NamedTuple, ParamSpec

from nyala import layers
from nyala.applications.imagenet_utils import CLASSES, MIRROR
from nyala.core.config import image_data_format
from nyala.core.errors import ArgumentError, ShapeError
from nyala.core.symbolic import Symbolic
from nyala.core.variable import Plan
from nyala.files import published
from nyala.layers.arguments import as_choice, as_count
from nyala.layers.layer import Layer
from nyala.models import Model
from nyala.models.functional import Functional

ORIGIN = "https://storage.googleapis.com/"
KERNELS = "tensorflow/keras-applications/{}_weights_tf_dim_ordering_tf_kernels"

Arguments = ParamSpec("Arguments")
Shape = Sequence[int | None]
ARGUMENTS = """
    The arguments of all networks:
        include_top: whether the layers that name the class are there; without them the network makes features.
        weights: "imagenet" gets the trained ones, None draws new ones, a path reads a file.
        input_tensor: a symbolic tensor to begin with, in the place of an Input.
        input_shape: of one image, with its channels; sizes may be None without the top. The trained top takes one size only.
        pooling: without the top: "avg" or "max" over all places, or None for feature maps.
        classes: how many, with the top.
        classifier_activation: of the last layer; None for logits.
        name: of the model.
    Returns: a functional model. Its layers have the names that weight files know them by.
    """


class Frame:
    """One network in the making. A family begins with `begin`, adds its layers, and ends with `top` and `model`.

    Args: those that all networks take.
    """

    def __init__(
        self,
        include_top: bool,
        weights: Any,
        input_tensor: Any,
        input_shape: Shape | None,
        pooling: str | None,
        classes: int,
        classifier_activation: Any,
        name: str | None,
    ) -> None:
        where = f"{name or 'the network'}"
        is_path = isinstance(weights, (str, os.PathLike))
        if weights is not None and weights != "imagenet" and not (is_path and pathlib.Path(weights).exists()):
            raise ArgumentError(
                f"{where}(weights)",
                need="None, 'imagenet' or the path of a file",
                got=f"{os.fspath(weights)!r}, where no file is" if is_path else type(weights).__name__,
                fix="'imagenet' gets the trained weights, None draws new ones" if is_path else "",
            )
        if pooling is not None:
            as_choice(f"{where}(pooling)", pooling, ("avg", "max"))
        self.where, self.include_top, self.weights, self.name = where, include_top, weights, name
        self.input_tensor, self.input_shape, self.pooling = input_tensor, input_shape, pooling
        self.classes, self.classifier_activation = as_count(f"{where}(classes)", classes), classifier_activation
        self.trained = weights == "imagenet"
        if self.trained and include_top:
            why = "the trained top knows the classes of ImageNet"
            if classes != CLASSES:
                raise ArgumentError(f"{where}(classes)", need=f"{CLASSES}", got=f"{classes}", why=why, fix="pass include_top=False and add a top")
            if classifier_activation not in (None, "softmax", _softmax()):
                raise ArgumentError(f"{where}(classifier_activation)", need="'softmax' or None", got=repr(classifier_activation), why=why)

    def check_trained(self, argument: str, value: Any, trained: Collection[Any]) -> None:
        """Refuse a value with which no trained weights are."""
        if self.trained and value not in trained:
            got, fix = f"{value!r} with weights='imagenet'", "pass weights=None"
            raise ArgumentError(f"{self.where}({argument})", need=f"one of {', '.join(map(str, trained))}", got=got, fix=fix)

    @property
    def rows(self) -> int | None:
        """The height of the images that were asked for."""
        return self.shape[0 if image_data_format() == "channels_last" else 1]

    def channels_last(self) -> None:
        """Refuse channels_first."""
        if image_data_format() != "channels_last":
            fix = "nyala.config.set_image_data_format('channels_last')"
            raise ArgumentError(self.where, need="image_data_format() 'channels_last'", got=repr(image_data_format()), fix=fix)

    def begin(self, size: int | None, minimum: int = 32, known: bool = False) -> Any:
        """The tensor with which the network begins.

        size: of the images it was trained on, if its trained top needs just that. minimum: of others.
        known: whether it needs sizes without the top, too."""
        self.shape = self._shape(size, minimum, known)
        if self.input_tensor is None:
            x = self.inputs = layers.Input(shape=self.shape)
            return x
        from nyala.utils import get_source_inputs

        if not isinstance(self.input_tensor, Symbolic):
            raise ArgumentError(
                f"{self.where}(input_tensor)", need="a symbolic tensor", got=type(self.input_tensor).__name__, fix="call the model on it"
            )
        sources = get_source_inputs(self.input_tensor)
        self.inputs = sources[0] if len(sources) == 1 else sources
        return self.input_tensor

    def _shape(self, size: int | None, minimum: int, known: bool) -> tuple[int | None, ...]:
        where, last = f"{self.where}(input_shape)", image_data_format() == "channels_last"
        given = None if self.input_shape is None else tuple(self.input_shape)
        side = size if self.include_top or known else None
        usual = (side, side, 3) if last else (3, side, side)
        if given is None:
            return usual
        if len(given) != 3:
            raise ShapeError(where, need="three sizes, without the batch axis", got=f"{given}")
        channels, sides = (given[2], given[:2]) if last else (given[0], given[1:])
        if self.trained and self.include_top and side and given != usual:
            why = "with the trained top the network takes images of this size"
            raise ShapeError(where, need=f"{usual}", got=f"{given}", why=why, fix="leave it out, or pass include_top=False")
        if self.trained and channels != 3:
            raise ShapeError(where, need="3 channels", got=f"{given}", why="the trained weights are for RGB images")
        if any(n is not None and n < minimum for n in sides):
            raise ShapeError(where, need=f"at least {minimum} x {minimum} places", got=f"{given}")
        if side and None in sides:
            raise ShapeError(where, need="known sizes", got=f"{given}")
        return given

    def top(self, x: Any, *before: Layer, names: tuple[str | None, str | None] = ("avg_pool", "max_pool"), **options: Any) -> Any:
        """Pool over all places and name the class; without the top only pool, if asked for.

        before: layers between pooling and classifier. names: of the pooling layers without the top. options: of the classifier."""
        if not self.include_top:
            return self.pooled(x, *names)
        return chain(x, layers.GlobalAveragePooling2D(name="avg_pool"), *before, self.classifier(**options))

    def classifier(self, name: str = "predictions", **options: Any) -> Layer:
        """The last layer."""
        return layers.Dense(self.classes, activation=self.classifier_activation, name=name, **options)

    def pooled(self, x: Any, avg: str | None = None, max: str | None = None) -> Any:
        """What a network without its top returns; avg and max are the names of the pooling layers."""
        if self.pooling is None:
            return x
        return layers.GlobalAveragePooling2D(name=avg)(x) if self.pooling == "avg" else layers.GlobalMaxPooling2D(name=max)(x)

    def model(self, x: Any, files: Files) -> Functional:
        """The finished network, with the weights that were asked for."""
        model: Any = Model(self.inputs, x, name=self.name)
        if self.weights is not None:
            file = files[0 if self.include_top else 1]
            model.load_weights(file.get(self.where, model.count_params()) if self.trained else self.weights)
        return model


class WeightFile(NamedTuple):
    """A published file of trained weights: its place below ORIGIN, its MD5 or SHA-256 (those of MobileNet and MobileNetV2 have none), its name in
    the folder of downloads (if it is another)."""

    place: str
    digest: str | None = None
    saved_as: str | None = None

    def get(self, network: str, weights: int) -> str:
        """The path of the file here; it is got the first time. No file of this number of weights is larger than the bound, with all its names."""
        name = self.saved_as or self.place.rpartition("/")[2]
        what, bound = f"The trained weights of {network}", 5 * weights + (16 << 20)
        return published.fetch(what, ORIGIN + self.place, published.place_of("models", name), self.digest, MIRROR, bound)


Files = tuple[WeightFile, WeightFile]  # with the top, and without


def files(place: str, with_top: str, without: str) -> Files:
    """The two files of a network, named after place; with_top and without are their hashes."""
    return WeightFile(f"{place}.h5", with_top), WeightFile(f"{place}_notop.h5", without)


def kernels(place: str, with_top: str, without: str) -> Files:
    """As files, with the long names of the older networks."""
    return files(KERNELS.format(place), with_top, without)


def variant(
    family: Callable[Concatenate[Any, Any, Arguments], Functional], title: str, name: str | None, table: Any, files: Any
) -> Callable[Arguments, Functional]:
    """A row of a family's table as a public function: the family with its first two arguments given, and a name.

    Args:
        family: a function of (table, files, and the arguments of the public function).
        title: of the public function.
        name: default for the model.
        table: what makes this network differ from others of its family.
        files: of its trained weights; a function or a table of them, if several were trained.
    """
    parameters = list(inspect.signature(family).parameters.values())[2:]
    parameters = [p.replace(default=name) if p.name == "name" else p for p in parameters]
    signature = inspect.Signature(parameters)

    @functools.wraps(family)
    def build(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Functional:
        bound = signature.bind(*args, **kwargs)
        bound.apply_defaults()
        with Plan() as plan:  # a network whose weights come from a file draws none
            model = family(table, files, *bound.args, **bound.kwargs)
        plan.fill()
        return model

    del build.__wrapped__
    build.__name__ = build.__qualname__ = title
    build.__module__ = sys._getframe(1).f_globals["__name__"]  # where the row is, so that it can be pickled
    build.__signature__ = signature  # pyright: ignore[reportAttributeAccessIssue]  it is how a function says its signature
    build.__doc__ = f"{title}: {(family.__doc__ or '').rstrip()}\n{ARGUMENTS}"
    return build


def chain(x: Any, *steps: Callable[[Any], Any]) -> Any:
    """One layer after the other."""
    for step in steps:
        x = step(x)
    return x


def norm(name: str | None = None, last: int = 3, **options: Any) -> Layer:
    """Batch normalization of the channels. last: how a config names the last axis, 3 or -1."""
    return layers.BatchNormalization(axis=channel_axis(last), name=name, **options)


def channel_axis(last: int = 3) -> int:
    """The axis of channels."""
    return last if image_data_format() == "channels_last" else 1


def halving_pad(x: Any, size: int, name: str) -> Layer:
    """Zeros around x, so that windows of this size and strides 2, without padding, halve it; more at the end where x has an even size."""
    first = 1 if image_data_format() == "channels_last" else 2
    odd = [n is not None and n % 2 for n in x.shape[first : first + 2]]
    return layers.ZeroPadding2D([(size // 2 if n else size // 2 - 1, size // 2) for n in odd], name=name)


def divisible(number: float, least: float = 0.9) -> int:
    """The multiple of 8 nearest to number, but not less than this share of it."""
    nearest = max(8, int(number + 4) // 8 * 8)
    return nearest if nearest >= least * number else nearest + 8


def _softmax() -> Any:
    from nyala import activations

    return activations.softmax
