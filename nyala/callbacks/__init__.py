# SPDX-License-Identifier: Apache-2.0
"""Callbacks: code that fit, evaluate and predict call between steps."""

from nyala.core.lazy import lazy

__getattr__, __dir__, __all__ = lazy(
    __name__,
    {
        "CSVLogger": "nyala.callbacks.csv_logger:",
        "Callback": "nyala.callbacks.callback:",
        "CallbackList": "nyala.callbacks.callback_list:",
        "EarlyStopping": "nyala.callbacks.early_stopping:",
        "History": "nyala.callbacks.history:",
        "LambdaCallback": "nyala.callbacks.lambda_callback:",
        "LearningRateScheduler": "nyala.callbacks.learning_rate:",
        "ModelCheckpoint": "nyala.callbacks.model_checkpoint:",
        "ProgbarLogger": "nyala.callbacks.progbar_logger:",
        "ReduceLROnPlateau": "nyala.callbacks.learning_rate:",
        "RemoteMonitor": "nyala.callbacks.remote_monitor:",
        "SwapEMAWeights": "nyala.callbacks.swap_ema_weights:",
        "TensorBoard": "nyala.callbacks.tensorboard:",
        "TerminateOnNaN": "nyala.callbacks.terminate_on_nan:",
    },
)
