# SPDX-License-Identifier: Apache-2.0
"""Training on several devices and machines: the data divided, the weights divided, or both. Start at strategies.py.

import nyala as keras
keras.distribution.set_distribution(keras.distribution.DataParallel())
model = ...                 # made, compiled and trained as ever: each device takes its share of each batch
"""

from nyala.core.lazy import lazy

_FILES = {
    "mesh": "DeviceMesh LayoutMap TensorLayout",
    "places": "distribute_tensor distribution get_device_count initialize list_devices set_distribution",
    "strategies": "DataParallel Distribution ModelParallel",
}

__getattr__, __dir__, __all__ = lazy(__name__, {name: f"{__name__}.{file}:{name}" for file, names in _FILES.items() for name in names.split()})
