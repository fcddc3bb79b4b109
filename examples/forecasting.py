# SPDX-License-Identifier: Apache-2.0
"""Forecasting: a GRU looks at the last 48 values of a chaotic series and says the next 24. Windows by timeseries_dataset_from_array.

    python examples/forecasting.py [--quick] [--picture forecasting.png]

Its errors stand beside those of the same window's best linear forecast, and of no change at all. Start at network.
Source: Mackey, Glass 1977, Oscillation and chaos in physiological control systems (the series: how the number of blood cells goes up and down);
Cho et al. 2014, Learning phrase representations using RNN encoder-decoder (the GRU).
"""

import numpy as np
from drawing import arguments, pyplot, save

import nyala
from nyala import layers

PAST, AHEAD, NOISE = 48, 24, 0.01


def blood_cells(number, delay=25.0, every=4.0, tick=0.1):
    """Numbers of cells, which are made by how many there were a while ago and die at a constant rate; observed with a little noise."""
    back, step = round(delay / tick), round(every / tick)
    values = np.full(back + number * step + 1, 1.2)
    for now in range(back, len(values) - 1):
        old = values[now - back]
        values[now + 1] = values[now] + tick * (0.2 * old / (1 + old**10) - 0.1 * values[now])
    seen = values[-number * step :: step]
    return (seen + NOISE * np.random.default_rng(0).normal(size=number)).astype("float32")


def windows(series, batch_size=64, shuffle=False):
    """Batches of (the last PAST values, the next AHEAD ones)."""
    targets = np.lib.stride_tricks.sliding_window_view(series[PAST:], AHEAD)
    return nyala.utils.timeseries_dataset_from_array(series[:, None], targets, PAST, batch_size=batch_size, shuffle=shuffle, seed=0)


def together(dataset):
    """All windows of a data set as two arrays."""
    return tuple(np.concatenate(parts) for parts in zip(*dataset, strict=True))


def network(series):
    """What the next values differ from the last one, in units of the series."""
    scale = layers.Normalization()
    scale.adapt(series[:, None])
    inputs = nyala.Input((PAST, 1))
    x = layers.GRU(64)(scale(inputs))
    x = layers.Dense(64, activation="relu")(x)
    change = layers.Dense(AHEAD)(x)
    return nyala.Model(inputs, inputs[:, -1] + change)


def linear(past, future, asked):
    """Each of the next values as the best fixed mixture of the last ones."""
    past, asked = (np.column_stack([np.ones(len(each)), each[:, :, 0]]) for each in (past, asked))
    return asked @ np.linalg.lstsq(past, future, rcond=None)[0]


def draw(series, forecasts, errors, path):
    figure = pyplot.figure(figsize=(14, 5), layout="constrained")
    left, right = figure.subfigures(1, 2, width_ratios=(1, 1.8))
    axis = left.subplots()
    for name, error in errors.items():
        axis.plot(range(1, AHEAD + 1), error, label=name)
    axis.axhline(NOISE * np.sqrt(2 / np.pi), color="gray", linestyle=":", label="noise of the series")
    axis.set(xlabel="steps ahead", ylabel="mean absolute error", ylim=(0, None), title="The further, the harder")
    axis.legend()
    axes = right.subplots(3, 1, sharex=True)
    for axis, start in zip(axes, np.linspace(0, len(series) - PAST - AHEAD, 5).astype(int)[1:4], strict=True):
        seen, ahead = np.arange(PAST), np.arange(PAST, PAST + AHEAD)
        axis.plot(seen, series[start : start + PAST], color="gray")
        axis.plot(ahead, series[start + PAST : start + PAST + AHEAD], "o", markersize=3, color="black", label="truth")
        for name in ("network", "linear"):
            axis.plot(ahead, forecasts[name][start], label=name)
        axis.axvline(PAST - 0.5, color="gray", linewidth=0.5)
        axis.set_ylabel("cells")
    axes[0].legend(loc="lower left", ncols=3)
    axes[0].set_title("What was seen, what came, and what was said")
    axes[-1].set_xlabel("step")
    save(figure, path)


def main(options=None):
    options = arguments(__doc__, "forecasting.png", options)
    nyala.utils.set_random_seed(0)
    series = blood_cells(500 if options.quick else 4000)
    first, second = int(0.7 * len(series)), int(0.85 * len(series))
    train, validation, test = series[:first], series[first:second], series[second:]
    if options.quick:
        validation = test = train
    model = network(train)
    model.compile(nyala.optimizers.Adam(2e-3, clipnorm=1.0), loss="mae")
    stop = nyala.callbacks.EarlyStopping(patience=8, restore_best_weights=True)
    slower = nyala.callbacks.ReduceLROnPlateau(factor=0.4, patience=3)
    epochs = 1 if options.quick else 50
    model.fit(windows(train, shuffle=True), validation_data=windows(validation), epochs=epochs, callbacks=[stop, slower], verbose=0)

    past, future = together(windows(test))
    forecasts = {"network": model.predict(past), "linear": linear(*together(windows(train)), past), "no change": np.repeat(past[:, -1], AHEAD, 1)}
    errors = {name: np.abs(said - future).mean(0) for name, said in forecasts.items()}
    draw(test, forecasts, errors, options.picture)
    print(f"mean error {AHEAD} steps ahead:", ", ".join(f"{name} {error.mean():.3f}" for name, error in errors.items()), f"-> {options.picture}")
    return errors


if __name__ == "__main__":
    main()
