# SPDX-License-Identifier: Apache-2.0
"""Losses: functions of targets and predictions, and classes of the same names that reduce them over a batch. Start at loss.py."""

from nyala.core.lazy import lazy

_FILES = {
    "loss": "Loss LossFunctionWrapper",
    "margin": "CategoricalHinge Circle Hinge SquaredHinge categorical_hinge circle hinge squared_hinge",
    "overlap": "Dice Tversky dice tversky",
    "probabilistic": """
        BinaryCrossentropy BinaryFocalCrossentropy CategoricalCrossentropy CategoricalFocalCrossentropy CategoricalGeneralizedCrossEntropy
        KLDivergence Poisson SparseCategoricalCrossentropy binary_crossentropy binary_focal_crossentropy categorical_crossentropy
        categorical_focal_crossentropy categorical_generalized_cross_entropy kl_divergence poisson sparse_categorical_crossentropy""",
    "regression": """
        CosineSimilarity Huber LogCosh MeanAbsoluteError MeanAbsolutePercentageError MeanSquaredError MeanSquaredLogarithmicError
        cosine_similarity huber log_cosh mean_absolute_error mean_absolute_percentage_error mean_squared_error mean_squared_logarithmic_error""",
    "serialization": "deserialize get serialize",
    "temporal": "CTC ctc",
}

# Short names, and those of Keras 1 and 2.
ALIASES = {
    "BCE": "binary_crossentropy", "KLD": "kl_divergence", "MAE": "mean_absolute_error", "MAPE": "mean_absolute_percentage_error",
    "MSE": "mean_squared_error", "MSLE": "mean_squared_logarithmic_error", "bce": "binary_crossentropy", "cosine": "cosine_similarity",
    "cosine_proximity": "cosine_similarity", "huber_loss": "huber", "kld": "kl_divergence", "kullback_leibler_divergence": "kl_divergence",
    "logcosh": "log_cosh", "mae": "mean_absolute_error", "mape": "mean_absolute_percentage_error", "mse": "mean_squared_error",
    "msle": "mean_squared_logarithmic_error",
}  # fmt: skip

_PLACES = {name: f"{__name__}.{file}:{name}" for file, names in _FILES.items() for name in names.split()}

__getattr__, __dir__, __all__ = lazy(__name__, {**_PLACES, **{alias: _PLACES[name] for alias, name in ALIASES.items()}})
