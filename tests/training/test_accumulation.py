# SPDX-License-Identifier: Apache-2.0
"""fit(accumulate=n): the updates and logs of batches n times as large, for every kind of mean, with short last groups."""

import numpy as np
import pytest

import nyala
from nyala import layers, losses
from nyala.testing import installed_engines

ENGINES = [engine.name for engine in installed_engines() if engine.differentiable]
RANDOM = np.random.default_rng(8)
ROWS = 53  # in batches of 4, three of them an update: 4 full groups, then one of 4 and 1
X = RANDOM.normal(size=(ROWS, 5, 3)).astype("float32")
X[::3, 3:] = X[::5, 2:] = 0
Y = {"a": RANDOM.normal(size=(ROWS, 5, 2)).astype("float32"), "b": RANDOM.normal(size=(ROWS, 1)).astype("float32")}
WEIGHTS = {"a": RANDOM.uniform(0.2, 3, size=(ROWS, 5)).astype("float32"), "b": RANDOM.uniform(0.2, 3, size=ROWS).astype("float32")}


@pytest.fixture(params=ENGINES, autouse=True)
def engine(request):
    with nyala.backend(request.param):
        yield


def model(reductions, masked=False):
    """Two outputs, one for each step, under a mask, and one for all; a penalty on a kernel."""
    nyala.utils.set_random_seed(2)
    x = layers.Input((5, 3))
    steps = layers.Masking()(x) if masked else x
    h = layers.Dense(4, activation="tanh", kernel_regularizer=nyala.regularizers.L2(0.1))(steps)
    outputs = {"a": layers.Dense(2, name="a")(h), "b": layers.Dense(1, name="b")(layers.Flatten()(layers.Dense(2)(x)))}
    net = nyala.Model(x, outputs)
    loss = {name: losses.MeanSquaredError(reduction=reduction) for name, reduction in zip("ab", reductions, strict=True)}
    net.compile(nyala.optimizers.Adam(0.05), loss, {"a": 1.0, "b": 0.3}, metrics={"a": "mae"}, weighted_metrics={"b": "mse"})
    return net


class Batches(nyala.utils.PyDataset):
    def __len__(self):
        return -(-ROWS // 4)

    def __getitem__(self, i):
        rows = slice(4 * i, 4 * i + 4)
        return X[rows], *({k: v[rows] for k, v in part.items()} for part in (Y, WEIGHTS))


def assert_same(one, other, histories, skip=()):
    for a, b in zip(one.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-4, atol=2e-6)
    for name, values in histories[0].history.items():
        if name not in skip:
            np.testing.assert_allclose(values, histories[1].history[name], rtol=2e-4, err_msg=name)


@pytest.mark.parametrize(
    ("reductions", "masked", "stream"),
    [
        (("sum_over_batch_size", "sum_over_batch_size"), False, True),
        (("mean_with_sample_weight", "sum"), True, False),
    ],
)
def test_the_update_of_one_large_batch(reductions, masked, stream):
    large, parts = model(reductions, masked), model(reductions, masked)
    options = {"epochs": 2, "verbose": 0, "shuffle": False}
    first = large.fit(X, Y, batch_size=12, sample_weight=WEIGHTS, **options)
    if stream:
        second = parts.fit(Batches(), accumulate=3, **options)
    else:
        second = parts.fit(X, Y, batch_size=4, accumulate=3, sample_weight=WEIGHTS, **options)
    assert int(parts.optimizer.iterations) == int(large.optimizer.iterations) == 10
    # the log of one output's loss is a mean over batches, whatever its reduction: that of small batches is not that of large ones
    assert_same(large, parts, (first, second), skip=("a_loss", "b_loss") if masked else ())


def test_a_compute_loss_of_ones_own_and_plain_fits_afterwards():
    class Net(nyala.Model):
        def __init__(self):
            super().__init__()
            self.dense = layers.Dense(1)

        def call(self, x):
            return self.dense(x)

        def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
            return nyala.ops.mean(nyala.ops.abs(y - y_pred)) + 0.1 * nyala.ops.sum(nyala.ops.square(self.dense.kernel))

    nets, histories = [], []
    for size, accumulate in ((12, 1), (4, 3)):
        nyala.utils.set_random_seed(2)
        net = Net()
        net.compile(nyala.optimizers.SGD(0.1))
        histories.append(net.fit(X[:, 0], Y["b"], batch_size=size, accumulate=accumulate, epochs=2, shuffle=False, verbose=0))
        nets.append(net)
    assert_same(*nets, histories)
    histories = [net.fit(X[:, 0], Y["b"], batch_size=12, shuffle=False, verbose=0) for net in nets]
    assert_same(*nets, histories)


def test_batches_that_do_not_join_and_other_mistakes():
    class Own(nyala.Sequential):
        def train_step(self, data):
            return super().train_step(data)

    for net, x, accumulate, text in [
        (nyala.Sequential, X, 0, "fit(accumulate) needs an integer of at least 1, got 0."),
        (
            Own, X, 2,
            "fit(accumulate) needs the train_step and compute_metrics of Model, got methods of one's own.\n"
            "  why: it takes gradients of parts of a batch, which they do not know of\n"
            "  fix: use an optimizer with gradient_accumulation_steps",
        ),
        (
            nyala.Sequential, ((X[:2, :n], Y["a"][:2, :n]) for n in (2, 3)), 2,
            "fit(accumulate) needs batches of equal shapes but for the number of samples, got (2, 2, 3), (2, 3, 3).\n"
            "  fix: pad them to one length, or use an optimizer with gradient_accumulation_steps",
        ),
    ]:  # fmt: skip
        made = net([layers.Dense(2)])
        made.compile("sgd", "mse")
        with pytest.raises(ValueError) as error:
            made.fit(x, Y["a"] if x is X else None, accumulate=accumulate, verbose=0)
        assert str(error.value) == text
