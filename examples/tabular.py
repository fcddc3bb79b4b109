# SPDX-License-Identifier: Apache-2.0
"""Regression on a table: how far a disease gets in a year, from ten columns, and how sure the network is. FeatureSpace, a loss of one's own.

    python examples/tabular.py [--quick] [--picture tabular.png]

The preprocessing is part of the model, so it answers raw records; it gives a mean and a spread, and the spread is checked. Start at space_of.
Source: the table, which ships with scikit-learn: Efron, Hastie, Johnstone, Tibshirani 2004, Least Angle Regression;
Nix, Weigend 1994, Estimating the mean and variance of the target probability distribution.
"""

import numpy as np
from drawing import arguments, pyplot, save
from sklearn.datasets import load_diabetes

import nyala
from nyala import layers, ops

WIDE = 1.2816  # standard deviations on both sides of the mean of a normal distribution: 80% of it
TEST = 110


def table():
    """The columns as a dict, and the target: progression of diabetes one year later, from 25 to 346."""
    loaded = load_diabetes(scaled=False)
    columns = dict(zip(loaded.feature_names, loaded.data.T.astype("float32"), strict=True))
    columns["sex"] = columns["sex"].astype("int32")
    return columns, loaded.target.astype("float32")[:, None]


def space_of(columns):
    """Numbers are normalized; age goes into steps, too, which are crossed with sex."""
    space = nyala.utils.FeatureSpace
    features = {name: space.float_normalized() for name in columns if name not in ("age", "sex")}
    features |= {"age": space.float_discretized(num_bins=5, output_mode="one_hot"), "sex": space.integer_categorical(num_oov_indices=0)}
    crosses = [space.cross(("age", "sex"), crossing_dim=16)]
    return nyala.utils.FeatureSpace(features, crosses=crosses, output_mode="concat")


def surprise(y_true, y_pred):
    """Minus the logarithm of the normal density with the mean and the log of the spread that were predicted."""
    mean, log_spread = ops.split(y_pred, 2, axis=-1)
    return ops.mean(log_spread + 0.5 * ops.square((y_true - mean) / ops.exp(log_spread)), axis=-1)


def error(y_true, y_pred):
    return ops.mean(ops.absolute(y_true - y_pred[:, :1]), axis=-1)


def network(space, target):
    """Raw columns in; mean and log spread out, in the units of the target."""
    x = layers.Dense(24, activation="silu", kernel_regularizer="l2")(space.get_encoded_features())
    x = layers.Dropout(0.2)(x)
    mean, log_spread = layers.Dense(1)(x), layers.Dense(1)(x)
    mean = layers.Rescaling(target.std(), target.mean(), name="mean")(mean)
    log_spread = layers.Rescaling(1.0, np.log(target.std()), name="log_spread")(log_spread)
    return nyala.Model(space.get_inputs(), layers.Concatenate()([mean, log_spread]))


def least_squares(train, target, asked):
    """A linear fit to the same columns."""
    train, asked = (np.column_stack([np.ones(len(columns["age"])), *columns.values()]) for columns in (train, asked))
    return asked @ np.linalg.lstsq(train, target, rcond=None)[0]


def draw(truth, mean, spread, inside, history, path):
    figure, (left, right) = pyplot.subplots(1, 2, figsize=(12, 5), width_ratios=(1, 1.3), layout="constrained")
    left.plot(history["loss"], label="training")
    left.plot(history["val_loss"], label="validation")
    left.set(xlabel="epoch", ylabel="surprise (nats)", title="Training")
    left.legend()
    order = np.argsort(mean)
    for those, colour, name in ((inside, "tab:blue", "inside the 80% interval"), (~inside, "tab:red", "outside")):
        places, where = np.flatnonzero(those[order]), order[those[order]]
        right.errorbar(places, mean[where], WIDE * spread[where], fmt="none", color=colour, alpha=0.25)
        right.plot(places, truth[where], "o", color=colour, markersize=4, label=f"truth, {name}")
    right.plot(mean[order], color="black", label="predicted mean")
    right.set(xlabel="test patients, by prediction", ylabel="progression in a year", title=f"{inside.mean():.0%} of the truth in 80% intervals")
    right.legend(loc="upper left")
    save(figure, path)


def main(options=None):
    options = arguments(__doc__, "tabular.png", options)
    nyala.utils.set_random_seed(0)
    columns, target = table()
    order = np.random.default_rng(0).permutation(len(target))
    test, train = ({name: column[part] for name, column in columns.items()} for part in (order[:TEST], order[TEST:]))
    known, truth = target[order[TEST:]], target[order[:TEST], 0]
    space = space_of(columns)
    space.adapt(train)
    model = network(space, known)
    model.compile(nyala.optimizers.Adam(5e-3), loss=surprise, metrics=[error])
    stop = nyala.callbacks.EarlyStopping(patience=20, restore_best_weights=True)
    history = model.fit(train, known, batch_size=32, epochs=2 if options.quick else 150, validation_split=0.15, callbacks=[stop], verbose=0).history

    mean, log_spread = model.predict(test).T
    spread = np.exp(log_spread)
    inside = np.abs(truth - mean) < WIDE * spread
    draw(truth, mean, spread, inside, history, options.picture)
    errors = {"network": mean, "least squares": least_squares(train, known, test)[:, 0], "always the mean": known.mean()}
    errors = {name: float(np.mean(np.abs(truth - guess))) for name, guess in errors.items()}
    print("mean error:", ", ".join(f"{name} {value:.1f}" for name, value in errors.items()), end="")
    print(f"; {inside.mean():.0%} of the truth lies in the 80% intervals -> {options.picture}")
    return {**errors, "inside": float(inside.mean())}


if __name__ == "__main__":
    main()
