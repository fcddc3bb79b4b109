# SPDX-License-Identifier: Apache-2.0
"""FeatureSpace: the columns of a table as numbers a model can learn from. Start there.

A `Feature` is a dtype, the layer that preprocesses it and how the result is encoded; a `Cross` is several features as one.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from nyala import layers, ops
from nyala.core import dtypes, names, tree
from nyala.core.audit import looks_through
from nyala.core.errors import ArgumentError, ArgumentTypeError, LookupFailed, StateError
from nyala.core.serialization import deserialize_keras_object, serialize_keras_object
from nyala.core.symbolic import Symbolic, contains_symbolic
from nyala.layers.arguments import as_choice, as_count
from nyala.layers.layer import Layer
from nyala.layers.pipelines import in_pipeline, mapped
from nyala.layers.preprocessing.host import as_array, is_native

__all__ = ["Cross", "Feature", "FeatureSpace"]


class Feature:
    """A column of a table.

    Args:
        dtype: of the column: "float32", "int32", "string", ...
        preprocessor: the layer that reads it.
        output_mode: "float" as it comes; "int" indices; "one_hot" rows for indices.
    """

    def __init__(self, dtype: str, preprocessor: Any, output_mode: str) -> None:
        self.dtype = dtypes.standardize_dtype(dtype)
        preprocessor = deserialize_keras_object(preprocessor) if isinstance(preprocessor, dict) else preprocessor
        if not callable(preprocessor):
            raise ArgumentTypeError("Feature(preprocessor)", need="a layer or a function", got=repr(preprocessor))
        self.preprocessor: Any = preprocessor
        self.output_mode = as_choice("Feature(output_mode)", output_mode, ("float", "int", "one_hot"))

    def get_config(self) -> dict[str, Any]:
        preprocessor = serialize_keras_object(self.preprocessor)
        if type(self.preprocessor) is layers.Identity:
            preprocessor |= {"module": PLACE, "class_name": "TFDIdentity", "registered_name": "TFDIdentity"}
        return {"dtype": self.dtype, "preprocessor": preprocessor, "output_mode": self.output_mode}

    @classmethod
    @looks_through
    def from_config(cls, config: dict[str, Any]) -> Feature:
        preprocessor = config["preprocessor"]
        if preprocessor["class_name"] == "TFDIdentity":
            preprocessor = {**preprocessor, "module": "keras.layers", "class_name": "Identity", "registered_name": None}
        return cls(config["dtype"], deserialize_keras_object(preprocessor), config["output_mode"])


class Cross:
    """Several columns as one.

    Args:
        feature_names: of the columns, two or more.
        crossing_dim: number of buckets that their combinations fall into.
        output_mode: "int" the bucket, or "one_hot" a row.
    """

    def __init__(self, feature_names: Sequence[str], crossing_dim: int, output_mode: str = "one_hot") -> None:
        if isinstance(feature_names, str) or len(feature_names) < 2:
            raise ArgumentError("Cross(feature_names)", need="at least two names", got=repr(feature_names))
        self.feature_names, self.crossing_dim = tuple(feature_names), as_count("Cross(crossing_dim)", crossing_dim)
        self.output_mode = as_choice("Cross(output_mode)", output_mode, ("int", "one_hot"))

    @property
    def name(self) -> str:
        return "_X_".join(self.feature_names)

    def get_config(self) -> dict[str, Any]:
        return {"feature_names": self.feature_names, "crossing_dim": self.crossing_dim, "output_mode": self.output_mode}

    @classmethod
    @looks_through
    def from_config(cls, config: dict[str, Any]) -> Cross:
        return cls(**config)


PLACE = "keras.src.layers.preprocessing.feature_space"  # where configs of Keras say that these classes are


def _entry(value: Feature | Cross) -> dict[str, Any]:
    kind = type(value).__name__
    return {"module": PLACE, "class_name": kind, "config": value.get_config(), "registered_name": kind}


class FeatureSpace(Layer):
    """Columns by name in, one row of numbers per sample out, or a dict of them.

    Args:
        features: {name: feature}. A feature comes from FeatureSpace.float(), float_rescaled(), float_normalized(), float_discretized(),
            string_categorical(), string_hashed(), integer_categorical(), integer_hashed() or feature(); or is one of these names.
        output_mode: "concat" one row, of the features by name and then the crosses by name; "dict" each by itself.
        crosses: tuples of names, or results of FeatureSpace.cross(), of features that are crossed.
        crossing_dim: number of buckets of crosses given as tuples.
        hashing_dim: number of buckets of features given as "string_hashed" or "integer_hashed".
        num_discretization_bins: number of bins of features given as "float_discretized".

    Call adapt first if a feature learns from the data; then call the space on dicts of columns, or of single values, in front of the model.
    Differs from Keras: adapt reads the data once, so that a generator will do, and takes a dict of whole columns, too.

    >>> import nyala
    >>> space = nyala.utils.FeatureSpace({"size": "float", "kind": "string_categorical"})
    >>> table = {"size": [1.5, 2.0], "kind": ["cat", "dog"]}
    >>> space.adapt(table)
    >>> nyala.ops.convert_to_numpy(space(table)).tolist()
    [[0.0, 0.0, 1.0, 1.5], [0.0, 1.0, 0.0, 2.0]]
    """

    def __init__(
        self,
        features: Mapping[str, Any],
        output_mode: str = "concat",
        crosses: Sequence[Any] | None = None,
        crossing_dim: int = 32,
        hashing_dim: int = 32,
        num_discretization_bins: int = 32,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        if not isinstance(features, Mapping) or not features:
            raise ArgumentError("FeatureSpace(features)", need="a dict of at least one feature", got=repr(features))
        as_choice("FeatureSpace(output_mode)", output_mode, ("concat", "dict"))
        super().__init__(name=name, **kwargs)
        self.output_mode, self.crossing_dim = output_mode, crossing_dim
        self.hashing_dim, self.num_discretization_bins = hashing_dim, num_discretization_bins
        self.features = {key: self._feature(key, value) for key, value in features.items()}
        self.crosses = [self._cross(value) for value in crosses or []]
        self.preprocessors: dict[str, Any] = {key: feature.preprocessor for key, feature in self.features.items()}
        self.crossers = {cross.name: layers.HashedCrossing(cross.crossing_dim, name=cross.name) for cross in self.crosses}
        self.encoders: dict[str, Layer] = {}
        self.inputs = {key: layers.Input((1,), dtype=feature.dtype, name=key) for key, feature in self.features.items()}
        self.encoded_features: Any = None
        self._learners = [key for key, layer in self.preprocessors.items() if _learns(layer)]
        self._is_adapted = self.built = not self._learners

    # Features

    @classmethod
    def feature(cls, dtype: str, preprocessor: Any, output_mode: str) -> Feature:
        """A feature with a layer of your own."""
        return Feature(dtype, preprocessor, output_mode)

    @classmethod
    def float(cls, name: str | None = None) -> Feature:
        """Numbers as they are."""
        return Feature("float32", layers.Identity(dtype="float32", name=_named(name, "float")), "float")

    @classmethod
    def float_rescaled(cls, scale: float = 1.0, offset: float = 0.0, name: str | None = None) -> Feature:
        """Numbers times scale, plus offset."""
        return Feature("float32", layers.Rescaling(scale, offset, name=_named(name, "float_rescaled")), "float")

    @classmethod
    def float_normalized(cls, name: str | None = None) -> Feature:
        """Numbers with mean 0 and variance 1."""
        return Feature("float32", layers.Normalization(axis=-1, name=_named(name, "float_normalized")), "float")

    @classmethod
    def float_discretized(cls, num_bins: int, bin_boundaries: Any = None, output_mode: str = "one_hot", name: str | None = None) -> Feature:
        """Numbers by the bin they fall into."""
        bins = {"num_bins": num_bins} if bin_boundaries is None else {"bin_boundaries": bin_boundaries}
        return Feature("float32", layers.Discretization(**bins, name=_named(name, "float_discretized")), output_mode)

    @classmethod
    def integer_categorical(
        cls, max_tokens: int | None = None, num_oov_indices: int = 1, output_mode: str = "one_hot", name: str | None = None
    ) -> Feature:
        """Integers by their index in a vocabulary."""
        return Feature("int32", layers.IntegerLookup(max_tokens, num_oov_indices, name=_named(name, "integer_categorical")), output_mode)

    @classmethod
    def string_categorical(
        cls, max_tokens: int | None = None, num_oov_indices: int = 1, output_mode: str = "one_hot", name: str | None = None
    ) -> Feature:
        """Strings by their index in a vocabulary."""
        return Feature("string", layers.StringLookup(max_tokens, num_oov_indices, name=_named(name, "string_categorical")), output_mode)

    @classmethod
    def string_hashed(cls, num_bins: int, output_mode: str = "one_hot", name: str | None = None) -> Feature:
        """Strings by the bucket of their hash."""
        return Feature("string", layers.Hashing(num_bins, name=_named(name, "string_hashed")), output_mode)

    @classmethod
    def integer_hashed(cls, num_bins: int, output_mode: str = "one_hot", name: str | None = None) -> Feature:
        """Integers by the bucket of their hash."""
        return Feature("int32", layers.Hashing(num_bins, name=_named(name, "integer_hashed")), output_mode)

    @classmethod
    def cross(cls, feature_names: Sequence[str], crossing_dim: int, output_mode: str = "one_hot") -> Cross:
        """Several features as one."""
        return Cross(feature_names, crossing_dim, output_mode)

    def _feature(self, name: str, value: Any) -> Feature:
        if isinstance(value, Feature):
            return value
        if isinstance(value, dict):
            return Feature.from_config(value.get("config", value))
        options = {
            **{kind: {} for kind in ("float", "float_rescaled", "float_normalized", "integer_categorical", "string_categorical")},
            **{kind: {"num_bins": self.hashing_dim} for kind in ("string_hashed", "integer_hashed")},
            "float_discretized": {"num_bins": self.num_discretization_bins},
        }
        if value not in options:
            near = difflib.get_close_matches(str(value), options, n=2)
            fix = f"did you mean {' or '.join(map(repr, near))}?" if near else ""
            raise ArgumentError(f"FeatureSpace(features[{name!r}])", need="one of " + ", ".join(map(repr, options)), got=repr(value), fix=fix)
        return getattr(type(self), value)(name=name, **options[value])

    def _cross(self, value: Any) -> Cross:
        if isinstance(value, dict):
            value = Cross.from_config(value.get("config", value))
        cross = value if isinstance(value, Cross) else Cross(value, self.crossing_dim)
        unknown = [name for name in cross.feature_names if name not in self.features]
        if unknown:
            raise LookupFailed("FeatureSpace(crosses)", need=f"names among {list(self.features)}", got=f"{unknown}")
        for name in cross.feature_names:
            if self.features[name].output_mode == "float":
                got = f"{name!r}, which stays a float"
                raise ArgumentError("FeatureSpace(crosses)", need="features that have indices", got=got, fix="put it into bins: float_discretized")
        return cross

    # Data

    def adapt(self, dataset: Any) -> None:
        """Let the features that learn see the data, once: an iterable of dicts of columns or single values, or one dict of columns."""
        where = f"FeatureSpace {self.name!r}.adapt"
        if not isinstance(dataset, Iterable):
            raise ArgumentTypeError(f"{where}(dataset)", need="dicts of columns", got=type(dataset).__name__)
        for key in self._learners:
            self.preprocessors[key].reset_state()
        for element in (dataset,) if isinstance(dataset, Mapping) else dataset:
            batch: Any = element[0] if isinstance(element, tuple) and element else element
            self._check(batch, where, self._learners)
            for key in self._learners:
                self.preprocessors[key].update_state(_column(as_array(batch[key], f"{where} ({key!r})")))
        for key in self._learners:
            self.preprocessors[key].finalize_state()
        self._is_adapted = self.built = True
        self.encoders.clear()
        self.encoded_features = None

    def __call__(self, data: Any) -> Any:
        """The encoded features of a dict of columns, of single values, or of symbolic tensors."""
        self._check(data, f"FeatureSpace {self.name!r}", self.features)
        self._check_adapted()
        columns = {key: data[key] for key in self.features}
        if contains_symbolic(columns):
            return self._encoded(columns)
        if in_pipeline(columns):
            return mapped(self._of_elements, columns)
        columns = {key: value if is_native(value) else as_array(value, f"FeatureSpace {self.name!r} ({key!r})") for key, value in columns.items()}
        single = all(len(value.shape) == 0 for value in columns.values())
        encoded = self._encoded({key: _column(value) for key, value in columns.items()})
        if not single:
            return encoded
        return {key: ops.squeeze(value, 0) for key, value in encoded.items()} if isinstance(encoded, dict) else ops.squeeze(encoded, 0)

    def _of_elements(self, columns: dict[str, Any]) -> Any:
        """The encoded features of columns or single values, which may be symbolic."""
        if not contains_symbolic(columns):
            return self(columns)
        single = all(len(value.shape) == 0 for value in columns.values())
        encoded = self._encoded({key: Symbolic((1 if single else value.shape[0], 1), value.dtype) for key, value in columns.items()})
        return tree.map_structure(lambda value: Symbolic(value.shape[1:], value.dtype), encoded) if single else encoded

    def call(self, data: Any) -> Any:
        return self(data)

    def _encoded(self, columns: dict[str, Any]) -> Any:
        """All features of columns of shape (b, 1)."""
        results = {key: self.preprocessors[key](column) for key, column in columns.items()}
        crossed = {cross.name: self.crossers[cross.name](tuple(results[name] for name in cross.feature_names)) for cross in self.crosses}
        modes = {key: feature.output_mode for key, feature in self.features.items()} | {cross.name: cross.output_mode for cross in self.crosses}
        encoded = {key: self._rows(key, value) if modes[key] == "one_hot" else value for key, value in {**results, **crossed}.items()}
        if self.output_mode == "dict":
            return encoded
        order = [*sorted(results), *sorted(crossed)]
        for key in order:
            dtype = dtypes.standardize_dtype(encoded[key].dtype)
            if not dtypes.is_float(dtype):
                fix = "give it output_mode='one_hot', or the space output_mode='dict'"
                raise ArgumentError(f"FeatureSpace {self.name!r}", need="features that are rows of floats", got=f"{key!r} of {dtype}", fix=fix)
        return ops.concatenate([encoded[key] for key in order], -1)

    def _rows(self, key: str, ids: Any) -> Any:
        if key not in self.encoders:
            self.encoders[key] = layers.CategoryEncoding(self._num_ids(key), "one_hot")
        return self.encoders[key](ids)

    def _num_ids(self, key: str) -> int:
        layer: Any = self.crossers.get(key) or self.preprocessors[key]
        if isinstance(layer, layers.Discretization):
            return len(layer.bin_boundaries or ()) + 1
        for size in ("num_bins", "num_tokens"):
            if hasattr(layer, size):
                return getattr(layer, size)
        if hasattr(layer, "vocabulary_size"):
            return layer.vocabulary_size()
        raise ArgumentError(
            f"FeatureSpace(features[{key!r}])",
            need="a preprocessor with num_bins, num_tokens or vocabulary_size()",
            got=type(layer).__name__,
            why="rows need a length",
            fix="let it make rows itself, with output_mode='float'",
        )

    # The functional side

    def get_inputs(self) -> dict[str, Symbolic]:
        """Inputs of a model that takes raw features, by name."""
        self._check_adapted()
        return self.inputs

    def get_encoded_features(self) -> Any:
        """What the inputs become: a symbolic tensor, or a dict of them."""
        self._check_adapted()
        if self.encoded_features is None:
            self.encoded_features = self._encoded(self.inputs)
        return self.encoded_features

    def _check_adapted(self) -> None:
        if not self._is_adapted:
            where, got = f"FeatureSpace {self.name!r}", f"{self._learners} that have not seen any"
            raise StateError(where, need="features that know the data", got=got, fix="call adapt(dataset) first")

    def _check(self, data: Any, where: str, wanted: Iterable[str]) -> None:
        if not isinstance(data, Mapping):
            raise ArgumentTypeError(where, need="a dict of columns by name", got=type(data).__name__)
        missing = [key for key in wanted if key not in data]
        if missing:
            raise LookupFailed(where, need=f"columns {list(self.features)}", got=f"{list(data)}", fix=f"add {missing}")

    # Configs and files

    def get_config(self) -> dict[str, Any]:
        return {
            "features": {key: _entry(feature) for key, feature in self.features.items()},
            "output_mode": self.output_mode,
            "crosses": [_entry(cross) for cross in self.crosses],
            "crossing_dim": self.crossing_dim,
            "hashing_dim": self.hashing_dim,
            "num_discretization_bins": self.num_discretization_bins,
        }

    @classmethod
    @looks_through
    def from_config(cls, config: dict[str, Any]) -> Layer:
        return cls(**config)

    def get_build_config(self) -> dict[str, Any]:
        """What the preprocessors were built with, by feature."""
        return {key: layer.get_build_config() for key, layer in self.preprocessors.items() if isinstance(layer, Layer)}

    def build_from_config(self, config: dict[str, Any]) -> None:
        """Build the preprocessors; what they have learned comes from the file."""
        for key, build_config in config.items():
            if build_config:
                self.preprocessors[key].build_from_config(build_config)
        self._is_adapted = self.built = True

    def save(self, filepath: Any) -> None:
        """Write it to a .keras file, as a model is."""
        from nyala import saving

        saving.save_model(self, filepath)


def _named(name: str | None, kind: str) -> str:
    return f"{name or names.auto_name(kind)}_preprocessor"


def _learns(layer: Any) -> bool:
    """Whether a preprocessor has yet to see data."""
    if isinstance(layer, layers.Normalization):
        return layer.input_mean is None
    if isinstance(layer, layers.Discretization):
        return layer.bin_boundaries is None
    return hasattr(layer, "adapt") and getattr(layer, "vocabulary", None) is None and not getattr(layer, "_given", False)


def _column(value: Any) -> Any:
    """A column, or a single value, as an array of shape (b, 1)."""
    if len(value.shape) == 0:
        return value.reshape(1, 1)
    if len(value.shape) == 1:
        return np.expand_dims(value, -1) if isinstance(value, np.ndarray) else ops.expand_dims(value, -1)
    return value
