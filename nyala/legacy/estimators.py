# SPDX-License-Identifier: Apache-2.0
"""KerasClassifier and KerasRegressor of Keras 1, 2 and tf.keras: estimators of scikit-learn made from a function that builds a model.

Arguments of that function and of the model's methods are arguments of the estimator. Start at BaseWrapper. Needs nothing of scikit-learn but what
calls it.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from nyala.core.errors import ArgumentError, ArgumentTypeError, StateError
from nyala.legacy.tables import FIT_ARGUMENTS

_METHODS = ("fit", "predict", "evaluate")


class BaseWrapper:
    """An estimator around a function that builds a model.

    Args:
        build_fn: a function that returns a compiled model, or None in a subclass with __call__.
        sk_params: its arguments, and those of fit and predict (epochs, batch_size, verbose, ...).
    """

    def __init__(self, build_fn: Callable | None = None, **sk_params: Any) -> None:
        self.build_fn, self.sk_params = build_fn, sk_params
        self.check_params(sk_params)

    def _builder(self) -> Callable:
        return self.build_fn if self.build_fn is not None else self.__call__  # type: ignore[attr-defined]

    def check_params(self, params: dict[str, Any]) -> None:
        """Raises for an argument that neither the function nor the model's methods take."""
        from nyala.models import Model

        known = {name for method in _METHODS for name in inspect.signature(getattr(Model, method)).parameters} | set(FIT_ARGUMENTS)
        built = inspect.signature(self._builder()).parameters
        if any(p.kind is p.VAR_KEYWORD for p in built.values()):
            return
        if unknown := [name for name in params if name not in known and name not in built and name != "nb_epoch"]:
            raise ArgumentTypeError(type(self).__name__, need=f"arguments of the function ({', '.join(built) or 'none'}) or of fit", got=f"{unknown}")

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Its arguments, for scikit-learn."""
        return {**copy.deepcopy(self.sk_params), "build_fn": self.build_fn}

    def set_params(self, **params: Any) -> BaseWrapper:
        """Other arguments, for scikit-learn."""
        self.check_params({k: v for k, v in params.items() if k != "build_fn"})
        self.build_fn = params.pop("build_fn", self.build_fn)
        self.sk_params.update(params)
        return self

    def filter_sk_params(self, fn: Callable, override: dict[str, Any] | None = None) -> dict[str, Any]:
        """Those of its arguments that a function takes."""
        taken = inspect.signature(fn).parameters
        words = {FIT_ARGUMENTS.get(k, k) if k not in taken else k: v for k, v in self.sk_params.items()}
        return {**{k: v for k, v in words.items() if k in taken}, **(override or {})}

    def fit(self, x: Any, y: Any, **kwargs: Any) -> Any:
        """Build a model and train it."""
        from nyala.models import Model

        self.model = self._builder()(**self.filter_sk_params(self._builder()))
        targets = np.asarray(y)
        if str(self.model.loss) == "categorical_crossentropy" and targets.ndim != 2:
            targets = np.eye(int(targets.max()) + 1, dtype="float32")[targets.astype(int)]
        kwargs = {FIT_ARGUMENTS.get(k, k): v for k, v in kwargs.items()}
        self._history = self.model.fit(np.asarray(x), targets, **{**self.filter_sk_params(Model.fit), **kwargs})
        return self._history

    def _outputs(self, x: Any, kwargs: dict[str, Any]) -> np.ndarray:
        from nyala.models import Model

        if not hasattr(self, "model"):
            raise StateError(type(self).__name__, need="to be trained", got="no model yet", fix="call fit(x, y) first")
        return self.model.predict(np.asarray(x), **self.filter_sk_params(Model.predict, kwargs))

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "model")


class KerasClassifier(BaseWrapper):
    """A classifier: KerasClassifier(build_fn=make, epochs=5, batch_size=8)."""

    _estimator_type = "classifier"

    def fit(self, x: Any, y: Any, sample_weight: Any = None, **kwargs: Any) -> Any:
        """Build a model and train it on labels, or on one-hot rows."""
        y = np.asarray(y)
        if y.ndim == 2 and y.shape[1] > 1:
            self.classes_ = np.arange(y.shape[1])
        else:
            self.classes_, y = np.unique(y, return_inverse=True)
            y = y.reshape(len(x))
        self.n_classes_ = len(self.classes_)
        return super().fit(x, y, **({"sample_weight": sample_weight} if sample_weight is not None else {}), **kwargs)

    def predict(self, x: Any, **kwargs: Any) -> np.ndarray:
        """The label of each sample."""
        rows = self._outputs(x, kwargs)
        return self.classes_[rows.argmax(-1) if rows.shape[-1] > 1 else (rows > 0.5).astype(int).reshape(-1)]

    def predict_proba(self, x: Any, **kwargs: Any) -> np.ndarray:
        """Probabilities of the classes; two columns for one unit."""
        rows = self._outputs(x, kwargs)
        return np.hstack([1 - rows, rows]) if rows.shape[1] == 1 else rows

    def score(self, x: Any, y: Any, **kwargs: Any) -> float:
        """The share of labels that are right."""
        y = np.asarray(y)
        labels = self.classes_[y.argmax(-1)] if y.ndim == 2 and y.shape[1] > 1 else y.reshape(-1)
        return float(np.mean(self.predict(x, **kwargs) == labels))

    def __sklearn_tags__(self) -> Any:
        from sklearn.base import BaseEstimator, ClassifierMixin

        return type("Tags", (ClassifierMixin, BaseEstimator), {})().__sklearn_tags__()


class KerasRegressor(BaseWrapper):
    """A regressor: KerasRegressor(build_fn=make, epochs=5, batch_size=8)."""

    _estimator_type = "regressor"

    def predict(self, x: Any, **kwargs: Any) -> np.ndarray:
        """The target of each sample."""
        return np.squeeze(self._outputs(x, kwargs), -1)

    def score(self, x: Any, y: Any, **kwargs: Any) -> float:
        """Minus the loss: more is better."""
        from nyala.models import Model

        loss = self.model.evaluate(np.asarray(x), np.asarray(y), **self.filter_sk_params(Model.evaluate, kwargs))
        value = float(loss[0] if isinstance(loss, list) else loss)
        if not np.isfinite(value):
            raise ArgumentError("KerasRegressor.score", need="a finite loss", got=f"{value}")
        return -value

    def __sklearn_tags__(self) -> Any:
        from sklearn.base import BaseEstimator, RegressorMixin

        return type("Tags", (RegressorMixin, BaseEstimator), {})().__sklearn_tags__()
