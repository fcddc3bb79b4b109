# SPDX-License-Identifier: Apache-2.0
"""SKLearnClassifier, SKLearnRegressor, SKLearnTransformer: models with scikit-learn's fit, predict and transform.

Importing this file imports scikit-learn. Start at _Estimator.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from nyala.core.errors import ArgumentError, ArgumentTypeError, StateError
from nyala.utils.extras import need

need("sklearn", "sklearn", "nyala.wrappers")

from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin, TransformerMixin  # noqa: E402  after the error that explains
from sklearn.utils.multiclass import check_classification_targets  # noqa: E402
from sklearn.utils.validation import check_is_fitted, column_or_1d, validate_data  # noqa: E402


class _Estimator(BaseEstimator):
    """A model between scikit-learn's checks of what goes in and what comes out.

    Args:
        model: a compiled model, or a function (X, y, **model_kwargs) that makes one for the data.
        warm_start: go on from the weights of the fit before.
        model_kwargs: for the function.
        fit_kwargs: for the model's fit, such as {"epochs": 5}.

    Attributes:
        model_: the trained model, a copy of the one given.
        history_: the History of its last fit.
        n_features_in_: columns of X.
    """

    def __init__(self, model: Any, warm_start: bool = False, model_kwargs: dict[str, Any] | None = None, fit_kwargs: dict[str, Any] | None = None):
        self.model, self.warm_start, self.model_kwargs, self.fit_kwargs = model, warm_start, model_kwargs, fit_kwargs

    @property
    def epoch_(self) -> int:
        """Epochs of the last fit."""
        return len(self.history_.epoch)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.non_deterministic = True  # weights are drawn anew
        return tags

    def _train(self, X: np.ndarray, y: np.ndarray, fit_kwargs: dict[str, Any]) -> Any:
        if not self.warm_start or not hasattr(self, "model_"):
            self.model_ = self._made(X, y)
        self.history_ = self.model_.fit(X, y, **{**(self.fit_kwargs or {}), **fit_kwargs})
        return self

    def _made(self, X: np.ndarray, y: np.ndarray) -> Any:
        """A new compiled model: what the function makes, or a copy of the model with weights of its own."""
        from nyala.models import Model, clone_model

        name = type(self).__name__
        made: Any
        if isinstance(self.model, Model):
            config = self.model.get_compile_config()
            if config is not None:
                copy = clone_model(self.model)
                copy.compile_from_config(config)
                return copy
            made = self.model
        elif callable(self.model):
            made = self.model(X, y, **(self.model_kwargs or {}))
        else:
            raise ArgumentTypeError(f"{name}(model)", need="a compiled model, or a function that makes one", got=repr(self.model))
        if not issubclass(type(made), Model):
            raise ArgumentTypeError(f"{name}(model)", need="a function that returns a model", got=type(made).__name__)
        if not getattr(made, "compiled", False) or made.optimizer is None:
            raise StateError(f"{name}(model)", need="a compiled model", got=f"{made.name!r}, which is not", fix="call compile(optimizer, loss) first")
        return made

    def _outputs(self, X: Any) -> np.ndarray:
        """What the model says to checked data."""
        check_is_fitted(self, "model_")
        X = validate_data(self, X, reset=False, allow_nd=True)
        outputs = self.model_.predict(X, verbose=0)
        if not isinstance(outputs, np.ndarray):
            raise ArgumentError(type(self).__name__, need="a model with one output", got=f"{len(outputs)} outputs")
        return outputs


class SKLearnClassifier(ClassifierMixin, _Estimator):
    """A classifier. The model gets labels as one-hot rows and gives one number per class, as with a softmax and categorical_crossentropy.

    Args:
        model: a compiled model, or a function (X, y, **model_kwargs) that makes one for the data; y is then one-hot.
        warm_start: go on from the weights of the fit before.
        model_kwargs: for the function.
        fit_kwargs: for the model's fit, such as {"epochs": 5}.

    Attributes:
        classes_: the labels, in the order of the columns.
        model_, history_, n_features_in_: the trained model, what its last fit recorded, columns of X.

    Differs from Keras: for two classes decision_function gives one number per sample, as scikit-learn's scores need; has predict_proba.
    """

    def fit(self, X: Any, y: Any, **kwargs: Any) -> SKLearnClassifier:
        """Train on samples and their labels; kwargs are for the model's fit."""
        X, y = validate_data(self, X, y, allow_nd=True)
        y = column_or_1d(y, warn=True)
        check_classification_targets(y)
        classes, numbers = np.unique(y, return_inverse=True)
        if len(classes) < 2:
            raise ArgumentError("SKLearnClassifier.fit(y)", need="at least 2 classes", got="1 class", why="there is nothing to tell apart")
        if self.warm_start and hasattr(self, "classes_") and not np.array_equal(classes, self.classes_):
            raise ArgumentError("SKLearnClassifier.fit(y)", need=f"the classes of the fit before, {self.classes_}", got=str(classes))
        self.classes_ = classes
        return self._train(X, np.eye(len(classes), dtype=np.float32)[numbers.reshape(-1)], kwargs)

    def predict_proba(self, X: Any) -> np.ndarray:
        """What the model gives for each class: probabilities if it ends in a softmax."""
        return self._outputs(X)

    def predict(self, X: Any) -> np.ndarray:
        """The label of each sample."""
        numbers = self._outputs(X).argmax(-1)
        return self.classes_[numbers]

    def decision_function(self, X: Any) -> np.ndarray:
        """What the model gives for each class; for two, how much more the second one gets."""
        outputs = self._outputs(X)
        return outputs[:, 1] - outputs[:, 0] if outputs.shape[1] == 2 else outputs


class SKLearnRegressor(RegressorMixin, _Estimator):
    """A regressor, of one target or of several.

    Args:
        model: a compiled model, or a function (X, y, **model_kwargs) that makes one for the data; y then has two axes.
        warm_start: go on from the weights of the fit before.
        model_kwargs: for the function.
        fit_kwargs: for the model's fit, such as {"epochs": 5}.

    Attributes:
        model_, history_, n_features_in_: the trained model, what its last fit recorded, columns of X.

    Differs from Keras: takes several targets.
    """

    def fit(self, X: Any, y: Any, **kwargs: Any) -> SKLearnRegressor:
        """Train on samples and their targets; kwargs are for the model's fit."""
        X, y = validate_data(self, X, y, allow_nd=True, multi_output=True, y_numeric=True)
        self._one_target = y.ndim == 1
        return self._train(X, y.reshape(len(y), -1), kwargs)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags

    def predict(self, X: Any) -> np.ndarray:
        """The target of each sample."""
        outputs = self._outputs(X)
        return outputs.reshape(len(outputs)) if self._one_target else outputs


class SKLearnTransformer(TransformerMixin, _Estimator):
    """A transformer: what the model gives for the samples, such as the code of an autoencoder.

    Args:
        model: a compiled model, or a function (X, y, **model_kwargs) that makes one for the data.
        warm_start: go on from the weights of the fit before.
        model_kwargs: for the function.
        fit_kwargs: for the model's fit, such as {"epochs": 5}.

    Attributes:
        model_, history_, n_features_in_: the trained model, what its last fit recorded, columns of X.

    Differs from Keras: without y the model learns to give back X; y may have any number of axes.
    """

    def fit(self, X: Any, y: Any = None, **kwargs: Any) -> SKLearnTransformer:
        """Train on samples and targets, by default the samples themselves; kwargs are for the model's fit."""
        if y is None:
            X = validate_data(self, X, allow_nd=True)
            return self._train(X, X, kwargs)
        X, y = validate_data(self, X, y, allow_nd=True, multi_output=True, y_numeric=True)
        return self._train(X, y.reshape(len(y), 1) if y.ndim == 1 else y, kwargs)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags

    def transform(self, X: Any) -> np.ndarray:
        """What the model gives for the samples."""
        return self._outputs(X)

    def predict(self, X: Any) -> np.ndarray:
        """As transform."""
        return self._outputs(X)
