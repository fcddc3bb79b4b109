# SPDX-License-Identifier: Apache-2.0
"""install and uninstall: modules of old as views, beside and without the real ones. Each program runs in a process of its own."""

import importlib.util
import os
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[2]


def run(code, **settings):
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1", "TF_CPP_MIN_LOG_LEVEL": "3", **settings}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


WITHOUT_TENSORFLOW = "import nyala.legacy.imports as imports\nimports._real = lambda name: None\n"


def test_views_are_modules_and_load_no_engine():
    run(
        WITHOUT_TENSORFLOW
        + """
import importlib, pickle, sys, types
imports.install()
imports.install()
import keras, keras.layers.core, keras.backend as K, keras.engine.topology as topology, tensorflow.keras.utils, tensorflow.python.keras.layers
import tensorflow.compat.v1.keras.backend, tensorflow.contrib.keras.layers, keras.utils.np_utils as np_utils
from keras.layers import *
from keras.models import Sequential, Model
from keras import backend, layers, optimizers, regularizers, callbacks, losses, metrics, initializers, datasets, utils
for name, module in list(sys.modules.items()):
    if name.partition(".")[0] in ("keras", "tensorflow"):
        assert isinstance(module, types.ModuleType) and module.__name__ == name and module.__spec__.name == name
assert keras.layers.core is sys.modules["keras.layers.core"] and pickle.loads(pickle.dumps(np_utils.to_categorical)) is np_utils.to_categorical
assert "Dense" in dir(keras.layers) and "Dense" in keras.layers.__all__ and keras.__version__
layer = Dense(output_dim=3, input_dim=2, init="one")
model = Sequential([layer, Dropout(p=0.5)])
assert importlib.reload is not None and not {"jax", "torch"} & set(sys.modules)
try:
    from keras.layers import Densse
except ImportError:
    pass
else:
    raise AssertionError
try:
    keras.layers.Densse
except AttributeError as error:
    assert "did you mean 'Dense'" in str(error), error
try:
    import keras.layers.nothing
except ModuleNotFoundError:
    pass
else:
    raise AssertionError
"""
    )


def test_a_real_keras_that_was_there_first_is_refused():
    run("""
import sys, types
sys.modules["keras"] = types.ModuleType("keras")
import nyala.legacy
try:
    nyala.legacy.install()
except RuntimeError as error:
    assert str(error).startswith("nyala.legacy.install() needs to come before the first import of Keras, got a program that has imported 'keras'.")
    assert "nyala run program.py" in str(error)
else:
    raise AssertionError
assert not nyala.legacy.installed()
""")


def test_uninstall_leaves_everything_as_it_was():
    run(
        WITHOUT_TENSORFLOW
        + """
import sys
import nyala
from nyala.legacy import methods
before = [dict(vars(kind)) for kind, _ in methods.ADDITIONS]
for _ in range(2):
    imports.install()
    import keras.layers
    assert hasattr(nyala.Model, "fit_generator") and imports.installed()
    imports.uninstall()
    imports.uninstall()
    assert not imports.installed() and not [name for name in sys.modules if name.partition(".")[0] in ("keras", "tensorflow")]
    assert [dict(vars(kind)) for kind, _ in methods.ADDITIONS] == before
try:
    import tensorflow
except ImportError:
    pass
"""
    )


def test_without_tensorflow_there_is_tf_keras():
    run(
        WITHOUT_TENSORFLOW
        + """
imports.install()
import tensorflow as tf
from tensorflow.keras.layers import Dense
model = tf.keras.Sequential([tf.keras.layers.Dense(2, input_shape=(3,))])
assert model.output_shape == (None, 2) and tf.__version__ and isinstance(model.layers[0], Dense)
assert tf.compat.v1.keras.layers.Dense == Dense and not hasattr(tf, "GradientTape")
try:
    tf.reduce_mean
except AttributeError as error:
    assert str(error).startswith("tensorflow.reduce_mean needs TensorFlow, which is not installed here.") and "nyala.ops" in str(error)
else:
    raise AssertionError
import nyala
try:
    nyala.set_backend("tensorflow")
except ImportError as error:
    assert "tensorflow" in str(error).lower()
else:
    raise AssertionError
"""
    )


@pytest.mark.skipif(importlib.util.find_spec("tensorflow") is None, reason="needs TensorFlow")
def test_an_installed_tensorflow_stays_but_for_keras():
    run("""
import nyala.legacy
nyala.legacy.install()
import tensorflow as tf
import nyala
from tensorflow import keras
from tensorflow.keras.models import Model
assert tf.keras is keras and tf.keras.layers.Flatten is nyala.layers.Flatten
assert float(tf.reduce_sum(tf.constant([1.0, 2.0]))) == 3.0
x = tf.keras.Input((3,))
assert tf.keras.Model(x, tf.keras.layers.Dense(2)(x)).predict(__import__("numpy").ones((1, 3))).shape == (1, 2)
""")


def test_classes_of_ones_own_and_plain_objects():
    run(
        WITHOUT_TENSORFLOW
        + """
import copy, pickle
imports.install()
import nyala
from keras.layers import Dense, LSTM, Convolution2D, Layer
from keras.models import Model, Sequential

class Mine(Dense):
    pass

class Named(Dense):
    def __init__(self, output_dim, **kwargs):
        super().__init__(output_dim=output_dim, init="one", **kwargs)

assert Mine(output_dim=3, bias=False).use_bias is False and Named(4).units == 4
assert issubclass(Mine, Dense) and issubclass(Mine, nyala.layers.Dense) and not issubclass(nyala.layers.Dense, Mine)
assert isinstance(Mine(2), Dense) and isinstance(nyala.layers.Dense(2), Dense) and not isinstance(nyala.layers.Flatten(), Dense)
assert issubclass(nyala.layers.Dense, Dense) and type(Dense(2)) == Dense and {Dense: 1}[type(Dense(2))] == 1
assert Dense != LSTM and Convolution2D == nyala.layers.Conv2D and pickle.loads(pickle.dumps(Dense)) is nyala.layers.Dense
assert pickle.loads(pickle.dumps(Dense(output_dim=2))).units == 2 and copy.deepcopy(Dense(2)).units == 2
plain, old = nyala.layers.Dense(3, kernel_initializer="ones", name="d"), Dense(output_dim=3, init="one", name="d")
assert plain.get_config() == old.get_config() and type(old).__module__.startswith("nyala.layers")

class Net(Model):
    def __init__(self):
        super().__init__()
        self.dense = Dense(output_dim=2, init="one")
    def call(self, x):
        return self.dense(x)

assert Net()(nyala.ops.ones((1, 3))).shape == (1, 2) and isinstance(Net(), nyala.Model)
"""
    )


def test_what_cannot_be_known_means_what_it_means_today():
    run(
        WITHOUT_TENSORFLOW
        + """
imports.install()
from keras import layers
from nyala.legacy.functions import hard_sigmoid_of_keras_2
assert layers.LSTM(3).recurrent_activation.__name__ == "sigmoid" and layers.GRU(3).reset_after is True
assert layers.LSTM(output_dim=3).recurrent_activation is hard_sigmoid_of_keras_2 and layers.GRU(output_dim=3).reset_after is False
assert layers.Conv2D(8, 3, 3).strides == (3, 3) and layers.Conv2D(8, 3, 3, border_mode="same").kernel_size == (3, 3)
assert layers.Convolution2D(8, 3, 3).kernel_size == (3, 3) and layers.Convolution2D(8, 3, strides=3).strides == (3, 3)
assert layers.Dense(output_dim=2, init="he_normal").kernel_initializer.distribution == "untruncated_normal"
assert layers.Dense(2, kernel_initializer="he_normal").kernel_initializer.__class__.__name__ == "HeNormal"
"""
    )


def test_errors_teach():
    run(
        WITHOUT_TENSORFLOW
        + """
imports.install()
from keras import backend as K
from keras.layers import BatchNormalization, Convolution2D, merge
from keras.models import Sequential
for make, text in [
    (lambda: BatchNormalization(mode=1), "mode 0"),
    (lambda: Convolution2D(8, 3, 3, border_mode="full"), "border_mode 'valid' or 'same'"),
    (lambda: merge([], mode="join"), "merge(mode) needs one of"),
    (lambda: K.get_session(), "K.get_session() needs an engine with sessions"),
    (lambda: K.set_image_dim_ordering("first"), "'th' or 'tf'"),
    (lambda: Sequential().to_yaml(), "to_yaml needs JSON, got YAML"),
]:
    try:
        make()
    except Exception as error:
        assert text in str(error), error
    else:
        raise AssertionError(text)
"""
    )
