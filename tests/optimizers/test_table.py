# SPDX-License-Identifier: Apache-2.0
"""Every optimizer on a parabola, on Rosenbrock's valley and in a small network: it gets down, and compiles once. Start at TABLE."""

import numpy as np
import pytest

import nyala
from nyala import ops, optimizers
from nyala.core.transforms import repeat

COMPILING = [engine.name for engine in nyala.testing.installed_engines() if engine.compiles and engine.differentiable]
TABLE = {  # learning rate on the functions, in the network
    "SGD": (0.002, 0.1),
    "RMSprop": (0.01, 0.01),
    "Adam": (0.05, 0.02),
    "AdamW": (0.05, 0.02),
    "Adagrad": (0.5, 0.2),
    "Adadelta": (10.0, 10.0),
    "Adamax": (0.1, 0.05),
    "Nadam": (0.05, 0.02),
    "Ftrl": (0.5, 0.2),
    "Lion": (0.01, 0.005),
    "Lamb": (0.02, 0.02),
    "Adafactor": (0.05, 0.05),
    "Muon": (0.05, 0.02),
    "ScheduleFreeAdamW": (0.05, 0.05),
}
PARABOLA, VALLEY, NETWORK = 0.01, 0.15, 0.2  # what is left of the loss; the floor of the valley begins at 0.17
STEPS = 600


@pytest.fixture(autouse=True)
def engine():
    if not COMPILING:
        pytest.skip("no engine that compiles and has gradients is installed")
    with nyala.backend(COMPILING[0]):
        yield


def test_the_table_is_complete():
    assert sorted(TABLE) == optimizers.CLASSES


def losses(matrix, place):
    """An elliptic parabola of a matrix, and Rosenbrock's valley."""
    steep = np.linspace(1, 10, 12, dtype="float32").reshape(3, 4)
    x, y = place[0], place[1]
    return ops.sum(steep * ops.square(matrix - 0.5)), ops.square(1 - x) + 100 * ops.square(y - ops.square(x))


@pytest.mark.parametrize("name", TABLE)
def test_functions(name):
    rate, _ = TABLE[name]
    matrix, place = nyala.Variable(np.linspace(-2, 2, 12, dtype="float32").reshape(3, 4)), nyala.Variable([-1.2, 1.0])
    optimizer = getattr(optimizers, name)(rate)

    @nyala.jit
    def descend(count):
        def step(i):
            both = nyala.value_and_grad(lambda: sum(losses(matrix, place)), [matrix, place], has_aux=False)
            optimizer.apply(both()[1], [matrix, place])

        repeat(step, ops.convert_to_tensor(0), count)

    before = [float(loss) for loss in losses(matrix, place)]
    optimizer.build([matrix, place])
    for part in range(3):
        optimizer.learning_rate = rate / (1 + part)
        descend(np.int32(STEPS // 3))
    left = [float(loss) / first for loss, first in zip(losses(matrix, place), before, strict=True)]
    assert int(optimizer.iterations) == STEPS and descend.traces == 1
    assert left[0] < PARABOLA and left[1] < VALLEY, left


@pytest.mark.parametrize("name", TABLE)
def test_small_network(name):
    _, rate = TABLE[name]
    random = np.random.default_rng(3)
    x = random.normal(size=(256, 3)).astype("float32")
    y = np.sin(x @ random.normal(size=(3, 2))).astype("float32")
    nyala.utils.set_random_seed(1)
    model = nyala.Sequential([nyala.layers.Dense(16, activation="tanh"), nyala.layers.Dense(2)])
    model.compile(getattr(optimizers, name)(rate), "mse")
    history = model.fit(x, y, batch_size=32, epochs=40, verbose=0).history["loss"]
    programs = [program for key, program in model._programs.table.items() if key[1] == "train"]
    assert [program.traces for program in programs] == [1]
    assert history[-1] < NETWORK * history[0], history[-1] / history[0]
