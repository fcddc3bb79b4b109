# SPDX-License-Identifier: Apache-2.0
"""Models as estimators of scikit-learn, the extra "sklearn"."""

from nyala.core.lazy import lazy

__getattr__, __dir__, __all__ = lazy(
    __name__,
    {
        "SKLearnClassifier": "nyala.wrappers.estimators:",
        "SKLearnRegressor": "nyala.wrappers.estimators:",
        "SKLearnTransformer": "nyala.wrappers.estimators:",
    },
)
