# SPDX-License-Identifier: Apache-2.0
"""Models as estimators: scikit-learn's own checks, then what they do not say."""

import pickle

import numpy as np
import pytest

import nyala
from nyala import layers, utils
from nyala.core.errors import ArgumentError, ArgumentTypeError, StateError
from tests.training.tools import raises

sklearn = pytest.importorskip("sklearn")

from sklearn.base import clone  # noqa: E402  after the skip
from sklearn.model_selection import GridSearchCV, cross_val_score  # noqa: E402
from sklearn.pipeline import make_pipeline  # noqa: E402
from sklearn.preprocessing import StandardScaler  # noqa: E402
from sklearn.utils.estimator_checks import check_estimator  # noqa: E402

from nyala.wrappers import SKLearnClassifier, SKLearnRegressor, SKLearnTransformer  # noqa: E402

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(41, 3)).astype("float32")
Y = (X @ [1.0, -2.0, 0.5]).astype("float32")
NAMES = np.array(["no", "yes"])[(Y > 0).astype(int)]
QUIET = {"epochs": 30, "verbose": 0}


@pytest.fixture(autouse=True)
def torch():
    """Checks make hundreds of small models: on an engine that does not compile them."""
    pytest.importorskip("torch")
    with nyala.backend("torch"):
        yield


def network(X, y, last, loss, units=5):
    utils.set_random_seed(3)
    model = nyala.Sequential([nyala.Input(X.shape[1:]), layers.Dense(units, "relu"), layers.Dense(y.shape[1], last)])
    model.compile(nyala.optimizers.Adam(0.1), loss)
    return model


def classifier(X, y, units=5):
    return network(X, y, "softmax", "categorical_crossentropy", units)


def regressor(X, y):
    return network(X, y, None, "mse")


SHORT = {"epochs": 10, "batch_size": 64, "verbose": 0}
FLOAT32 = {"check_regressor_multioutput": "predictions are float32, as the model computes"}
CHECKED = [
    (SKLearnClassifier(classifier, fit_kwargs=SHORT), {}),
    (SKLearnRegressor(regressor, fit_kwargs=SHORT), FLOAT32),
    (SKLearnTransformer(regressor, fit_kwargs=SHORT), {}),
]


@pytest.mark.filterwarnings("ignore")  # of scikit-learn, about what its checks do
@pytest.mark.parametrize(("estimator", "expected"), CHECKED, ids=lambda value: type(value).__name__)
def test_the_checks_of_scikit_learn(estimator, expected):
    results = check_estimator(estimator, expected_failed_checks=expected, on_skip=None, on_fail=None)
    assert [(result["check_name"], result["exception"]) for result in results if result["status"] == "failed"] == []
    assert {result["check_name"] for result in results if result["status"] == "xfail"} == set(expected)


def test_classes():
    made = SKLearnClassifier(classifier, model_kwargs={"units": 7}, fit_kwargs=QUIET).fit(X, NAMES)
    assert made.classes_.tolist() == ["no", "yes"]
    assert (made.model_.layers[0].units, made.n_features_in_, made.epoch_, len(made.history_.history["loss"])) == (7, 3, 30, 30)
    assert made.score(X, NAMES) > 0.9
    probabilities = made.predict_proba(X)
    np.testing.assert_allclose(probabilities.sum(1), 1, rtol=1e-5)
    np.testing.assert_allclose(made.decision_function(X), probabilities[:, 1] - probabilities[:, 0])
    assert (made.predict(X) == made.classes_[probabilities.argmax(1)]).all()
    three = SKLearnClassifier(classifier, fit_kwargs={"verbose": 0}).fit(X, np.digitize(Y, [-1, 1]) + 5)
    assert (three.classes_.tolist(), three.decision_function(X).shape) == ([5, 6, 7], (41, 3))
    with raises(ArgumentError, "SKLearnClassifier.fit(y) needs at least 2 classes, got 1 class.\n  why: there is nothing to tell apart"):
        three.fit(X, np.zeros(41))


def test_one_target_or_several():
    made = SKLearnRegressor(regressor, fit_kwargs=QUIET).fit(X, Y, epochs=60)
    assert (made.predict(X).shape, made.epoch_) == ((41,), 60)
    assert made.score(X, Y) > 0.8
    assert made.fit(X, np.stack([Y, -Y], 1)).predict(X).shape == (41, 2)
    assert made.fit(X, Y[:, None]).predict(X).shape == (41, 1)


def test_an_autoencoder():
    made = SKLearnTransformer(regressor, fit_kwargs=QUIET)
    assert made.fit_transform(X).shape == (41, 3)
    np.testing.assert_array_equal(made.transform(X), made.predict(X))
    assert made.fit(X, Y).transform(X).shape == (41, 1)


def test_a_model_is_copied_and_its_weights_are_its_own():
    model = regressor(X, Y[:, None])
    before = model.get_weights()
    made = SKLearnRegressor(model, fit_kwargs=QUIET).fit(X, Y)
    assert made.model_ is not model
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))
    first = made.model_
    assert made.fit(X, Y).model_ is not first


def test_a_warm_start_goes_on():
    made = SKLearnRegressor(regressor, warm_start=True, fit_kwargs=QUIET).fit(X, Y)
    first, loss = made.model_, made.history_.history["loss"][-1]
    assert made.fit(X, Y).model_ is first
    assert made.history_.history["loss"][0] < 2 * loss
    warm = SKLearnClassifier(classifier, warm_start=True, fit_kwargs=QUIET).fit(X, NAMES)
    with raises(ArgumentError, "SKLearnClassifier.fit(y) needs the classes of the fit before, ['no' 'yes'], got ['no' 'other' 'yes']."):
        warm.fit(X, np.where(Y > 2, "other", NAMES))


def test_pipelines_searches_pickles_and_images():
    pipeline = make_pipeline(StandardScaler(), SKLearnClassifier(classifier, fit_kwargs=QUIET))
    assert cross_val_score(pipeline, X, NAMES, cv=2, scoring="roc_auc").shape == (2,)
    search = GridSearchCV(SKLearnClassifier(classifier, fit_kwargs=QUIET), {"model_kwargs": [{"units": 1}, {"units": 9}]}, cv=2).fit(X, NAMES)
    assert search.best_estimator_.model_.layers[0].units in (1, 9)
    made = pickle.loads(pickle.dumps(search.best_estimator_))
    np.testing.assert_allclose(made.predict_proba(X), search.best_estimator_.predict_proba(X), rtol=1e-6)
    assert clone(made).get_params()["model_kwargs"] == made.model_kwargs

    def flat(X, y):
        model = nyala.Sequential([nyala.Input(X.shape[1:]), layers.Flatten(), layers.Dense(y.shape[1])])
        model.compile("sgd", "mse")
        return model

    assert SKLearnRegressor(flat, fit_kwargs={"verbose": 0}).fit(X.reshape(41, 3, 1, 1), Y).predict(X.reshape(41, 3, 1, 1)).shape == (41,)


def test_errors():
    with raises(ArgumentTypeError, "SKLearnRegressor(model) needs a compiled model, or a function that makes one, got 3."):
        SKLearnRegressor(3).fit(X, Y)
    with raises(ArgumentTypeError, "SKLearnRegressor(model) needs a function that returns a model, got NoneType."):
        SKLearnRegressor(lambda X, y: None).fit(X, Y)
    model = nyala.Sequential([nyala.Input((3,)), layers.Dense(1)], name="net")
    for given in (model, lambda X, y: model):
        with raises(
            StateError, "SKLearnRegressor(model) needs a compiled model, got 'net', which is not.\n  fix: call compile(optimizer, loss) first"
        ):
            SKLearnRegressor(given).fit(X, Y)
    x = nyala.Input((3,))
    two = nyala.Model(x, [layers.Dense(1)(x), layers.Dense(1)(x)])
    two.compile("sgd", "mse")
    made = SKLearnRegressor(regressor, fit_kwargs=QUIET).fit(X, Y)
    made.model_ = two
    with raises(ArgumentError, "SKLearnRegressor needs a model with one output, got 2 outputs."):
        made.predict(X)
