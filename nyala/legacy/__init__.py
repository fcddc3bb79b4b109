# SPDX-License-Identifier: Apache-2.0
"""Keras 0, 1, 2 and tf.keras: what their files, configs and programs say, in the words of Keras 3. Layers know nothing of this.

`tables.py` has the old words, `layers.py` and `graphs.py` rewrite configs of layers and models, `objects.py` those of initializers and the like,
`training.py` those of optimizers, losses and metrics. Dicts go in and dicts come out; nothing is built. Start at modernize, in graphs.py.

For programs `install`, in imports.py, puts views of Nyala in the place of `keras` and `tensorflow.keras`: `places.py` says which module held what,
`spelling.py` makes classes that take words of old, `methods.py` adds to models and layers what they had, `k/` is `keras.backend`, and `then.py` has
what only Keras 1 had.
"""

from nyala.core.lazy import lazy

__getattr__, __dir__, __all__ = lazy(
    __name__,
    {
        "Era": "nyala.legacy.era:",
        "build": "nyala.legacy.graphs:",
        "install": "nyala.legacy.imports:",
        "installed": "nyala.legacy.imports:",
        "modernize": "nyala.legacy.graphs:",
        "modernize_training": "nyala.legacy.training:",
        "saving": "nyala.utils.legacy",
        "uninstall": "nyala.legacy.imports:",
    },
)
