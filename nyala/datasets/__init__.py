# SPDX-License-Identifier: Apache-2.0
"""Small data sets, one module each with a `load_data()`.

Nothing here knows an engine or a layer: data sets are NumPy arrays.
Start at digits, which ships inside the package.
"""

from nyala.core.lazy import lazy

__getattr__, __dir__, __all__ = lazy(__name__, {"digits": "nyala.datasets.digits"})
