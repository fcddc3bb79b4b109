# SPDX-License-Identifier: Apache-2.0
"""Optimizers of one's own as Keras 1 and 2 wrote them, with get_updates."""

from __future__ import annotations

import numpy as np
import pytest

import nyala
from nyala.core.errors import ArgumentError


@pytest.fixture
def keras(installed):
    import keras

    return keras


def losses(optimizer, epochs=3):
    rng = np.random.default_rng(5)
    x = rng.normal(size=(17, 5)).astype("float32")
    model = nyala.Sequential(
        [
            nyala.layers.Dense(3, kernel_initializer="ones", kernel_constraint=nyala.constraints.MaxNorm(2.0)),
            nyala.layers.Dense(1, kernel_initializer="ones"),
        ]
    )
    model.compile(optimizer, "mse")
    return model.fit(x, x.sum(1, keepdims=True) + 1, epochs=epochs, batch_size=4, shuffle=False, verbose=0).history["loss"]


def momentum(keras):
    from keras import backend as K
    from keras.legacy import interfaces

    class Own(keras.optimizers.Optimizer):
        def __init__(self, lr=0.01, momentum=0.0, decay=0.0, **kwargs):
            super().__init__(**kwargs)
            with K.name_scope(self.__class__.__name__):
                self.iterations = K.variable(0, dtype="int64", name="iterations")
                self.lr = K.variable(lr, name="lr")
                self.momentum = K.variable(momentum, name="momentum")
                self.decay = K.variable(decay, name="decay")
            self.initial_decay = decay

        @interfaces.legacy_get_updates_support
        def get_updates(self, loss, params):
            grads = self.get_gradients(loss, params)
            self.updates = [K.update_add(self.iterations, 1)]
            lr = self.lr
            if self.initial_decay > 0:
                lr = lr * (1.0 / (1.0 + self.decay * K.cast(self.iterations, K.dtype(self.decay))))
            moments = [K.zeros(K.int_shape(p)) for p in params]
            self.weights = [self.iterations, *moments]
            for p, g, m in zip(params, grads, moments, strict=True):
                v = self.momentum * m - lr * g
                self.updates.append(K.update(m, v))
                new_p = p + v
                if getattr(p, "constraint", None) is not None:
                    new_p = p.constraint(new_p)
                self.updates.append(K.update(p, new_p))
            return self.updates

        def get_config(self):
            return {**super().get_config(), "lr": float(K.get_value(self.lr)), "momentum": float(K.get_value(self.momentum))}

    return Own


@pytest.mark.parametrize("settings", [{}, {"clipnorm": 0.5}, {"clipvalue": 0.1}], ids=str)
def test_what_it_describes_is_done_at_each_step(keras, settings):
    """Momentum as Keras 2 wrote it is SGD: the same losses, and a rate that can be set between."""
    own = momentum(keras)(lr=0.005, momentum=0.9, decay=0.01, **settings)
    assert losses(own) == pytest.approx(losses(keras.optimizers.SGD(lr=0.005, momentum=0.9, decay=0.01, **settings)), rel=1e-4)
    assert int(keras.backend.get_value(own.iterations)) == 15
    assert len(own.variables) == 2 + 4  # step, rate, and what K.zeros made, once
    keras.backend.set_value(own.lr, 0.001)
    assert own.get_config()["lr"] == pytest.approx(0.001)


def test_the_order_of_keras_1_and_pairs(keras):
    from keras import backend as K

    class Own(keras.optimizers.Optimizer):
        def __init__(self, lr=0.01, **kwargs):
            super().__init__(**kwargs)
            self.__dict__.update(locals())
            self.lr = K.variable(lr)

        def get_updates(self, params, constraints, loss):
            pairs = []
            for p, g in zip(params, K.gradients(loss, params), strict=True):
                new = p - self.lr * g
                pairs.append((p, constraints[p](new) if p in constraints else new))
            return pairs

    assert losses(Own(lr=0.05)) == pytest.approx(losses(keras.optimizers.SGD(lr=0.05)), rel=1e-4)


def test_derived_from_one_of_keras(keras):
    class Own(keras.optimizers.Adam):
        def __init__(self, lr=0.001, **kwargs):
            super().__init__(lr=lr, **kwargs)

        def get_updates(self, loss, params):
            self.seen = len(params)
            return super().get_updates(loss, params)

    own = Own(lr=0.02)
    assert losses(own) == pytest.approx(losses(keras.optimizers.Adam(0.02)), rel=1e-5)
    assert own.seen == 4


def test_gradients_of_another_loss_are_refused(keras):
    message = (
        r"Optimizer.get_gradients\(loss\) needs the loss that get_updates was given, got int.\n"
        r"  fix: for gradients of a symbolic tensor use K.gradients"
    )
    with pytest.raises(ArgumentError, match=message):
        keras.optimizers.SGD().get_gradients(3, [])


def test_zeros_and_ones(keras):
    from keras import backend as K

    assert K.eval(K.zeros((2, 3))).tolist() == [[0.0] * 3] * 2
    assert K.eval(K.ones(2, dtype="int32")).tolist() == [1, 1]
    x = keras.Input((3,))
    y = keras.layers.Lambda(lambda x: K.zeros((K.shape(x)[0], 2)) + x[:, :1])(x)
    assert keras.Model(x, y).predict(np.ones((5, 3)), verbose=0).tolist() == [[1.0, 1.0]] * 5


def test_functions_from_the_first_layer_on(keras):
    """The tensor of an InputLayer is its input, too; a list of inputs stands for all of them."""
    from keras import backend as K

    x = keras.Input((3,))
    model = keras.Model([x], keras.layers.Dense(2, kernel_initializer="ones")(x))
    values = np.ones((4, 3), "float32")
    for function in (
        K.function([model.layers[0].input, K.learning_phase()], [model.layers[1].output]),
        K.function([[x], K.learning_phase()], [model.output]),
    ):
        assert function([values, 0])[0].tolist() == [[3.0, 3.0]] * 4


def test_places_of_compile_and_initial_values_without_a_dtype(keras):
    """compile(optimizer, loss, metrics), and kernel_initializer=f(shape, name=None) of Keras 2.0 to 2.2."""
    from keras import backend as K

    def first(shape, name=None):
        return K.variable(np.full(shape, 2.0), name=name)

    model = keras.models.Sequential([keras.layers.Dense(1, input_dim=3, kernel_initializer=first, bias_initializer=first)])
    assert [w.tolist() for w in model.get_weights()] == [[[2.0]] * 3, [2.0]]
    model.compile("sgd", "binary_crossentropy", ["accuracy"])
    assert len(model.evaluate(np.ones((2, 3)), np.ones((2, 1)), verbose=0)) == 2
