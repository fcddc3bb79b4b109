# SPDX-License-Identifier: Apache-2.0
"""Callbacks: code that fit, evaluate and predict call between steps."""

from nyala.core.lazy import lazy

__getattr__, __dir__, __all__ = lazy(
    __name__,
    {
        "BackupAndRestore": "nyala.callbacks.backup_and_restore:",
        "CSVLogger": "nyala.callbacks.csv_logger:",
        "Callback": "nyala.callbacks.callback:",
        "CallbackList": "nyala.callbacks.callback_list:",
        "EarlyStopping": "nyala.callbacks.early_stopping:",
        "History": "nyala.callbacks.history:",
        "LambdaCallback": "nyala.callbacks.lambda_callback:",
        "LearningRateFinder": "nyala.callbacks.learning_rate_finder:",
        "LearningRateScheduler": "nyala.callbacks.learning_rate:",
        "ModelCheckpoint": "nyala.callbacks.model_checkpoint:",
        "OrbaxCheckpoint": "nyala.callbacks.orbax_checkpoint:",
        "PlotHistory": "nyala.callbacks.plot_history:",
        "Preempted": "nyala.training.resume:",
        "ProgbarLogger": "nyala.callbacks.progbar_logger:",
        "ReduceLROnPlateau": "nyala.callbacks.learning_rate:",
        "RemoteMonitor": "nyala.callbacks.remote_monitor:",
        "Resume": "nyala.training.resume:",
        "SwapEMAWeights": "nyala.callbacks.swap_ema_weights:",
        "TensorBoard": "nyala.callbacks.tensorboard:",
        "TerminateOnNaN": "nyala.callbacks.terminate_on_nan:",
        "Timer": "nyala.callbacks.timer:",
    },
)
