# SPDX-License-Identifier: Apache-2.0
"""Metrics: measures of predictions accumulated over batches, and the functions they average. Start at metric.py."""

from nyala.core.lazy import lazy

_FILES = {
    "accuracy": """
        Accuracy BinaryAccuracy CategoricalAccuracy SparseCategoricalAccuracy SparseTopKCategoricalAccuracy TopKCategoricalAccuracy
        binary_accuracy categorical_accuracy sparse_categorical_accuracy sparse_top_k_categorical_accuracy top_k_categorical_accuracy""",
    "confusion": "FalseNegatives FalsePositives Precision Recall TrueNegatives TruePositives",
    "curves": "AUC PrecisionAtRecall RecallAtPrecision SensitivityAtSpecificity SpecificityAtSensitivity",
    "f_score": "F1Score FBetaScore",
    "iou": "BinaryIoU IoU MeanIoU OneHotIoU OneHotMeanIoU",
    "metric": "Metric",
    "probabilistic": """
        BinaryCrossentropy CategoricalCrossentropy CategoricalHinge Hinge KLDivergence Poisson SparseCategoricalCrossentropy SquaredHinge""",
    "reduction": "Mean MeanMetricWrapper MeanTensor Sum",
    "regression": """
        ConcordanceCorrelation CosineSimilarity LogCoshError MeanAbsoluteError MeanAbsolutePercentageError MeanSquaredError
        MeanSquaredLogarithmicError PearsonCorrelation R2Score RootMeanSquaredError concordance_correlation cosine_similarity
        pearson_correlation""",
    "serialization": "deserialize get serialize",
}
_OF_LOSSES = """
    binary_crossentropy binary_focal_crossentropy categorical_crossentropy categorical_focal_crossentropy categorical_hinge hinge huber
    kl_divergence log_cosh mean_absolute_error mean_absolute_percentage_error mean_squared_error mean_squared_logarithmic_error poisson
    sparse_categorical_crossentropy squared_hinge"""

# Short names, and those of Keras 1 and 2, of functions.
ALIASES = {
    "BCE": "binary_crossentropy", "KLD": "kl_divergence", "MAE": "mean_absolute_error", "MAPE": "mean_absolute_percentage_error",
    "MSE": "mean_squared_error", "MSLE": "mean_squared_logarithmic_error", "bce": "binary_crossentropy", "cosine": "cosine_similarity",
    "cosine_proximity": "cosine_similarity", "huber_loss": "huber", "kld": "kl_divergence", "kullback_leibler_divergence": "kl_divergence",
    "logcosh": "log_cosh", "mae": "mean_absolute_error", "mape": "mean_absolute_percentage_error", "mse": "mean_squared_error",
    "msle": "mean_squared_logarithmic_error",
}  # fmt: skip

_PLACES = {
    **{name: f"{__name__}.{file}:{name}" for file, names in _FILES.items() for name in names.split()},
    **{name: f"nyala.losses:{name}" for name in _OF_LOSSES.split()},
}

__getattr__, __dir__, __all__ = lazy(__name__, {**_PLACES, **{alias: _PLACES[name] for alias, name in ALIASES.items()}})
