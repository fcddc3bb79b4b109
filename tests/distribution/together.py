# SPDX-License-Identifier: Apache-2.0
"""One of several processes that train together: python -m tests.distribution.together TASK NUMBER COUNT PORT FOLDER. Prints one line of JSON.

COUNT 0 means alone, without a distribution.
"""

import json
import os
import pathlib
import signal
import sys

import numpy as np

import nyala
from nyala import distribution, layers

ROWS, BATCH = 48, 8


def network(dropout=0.25):
    model = nyala.Sequential(
        [nyala.Input((6,)), layers.Dense(8, "relu", name="wide"), layers.Dropout(dropout), layers.Dense(4, name="narrow")], name="net"
    )
    model.compile("adam", "mse", metrics=["mae"])
    return model


def samples():
    random = np.random.default_rng(3)
    return random.normal(size=(ROWS, 6)).astype("float32"), random.normal(size=(ROWS, 4)).astype("float32")


def told(model, history, **more):
    x, y = samples()
    return {
        "losses": history.history["loss"],
        "weights": [w.tolist() for w in model.get_weights()],
        "predictions": model.predict(x, batch_size=BATCH).tolist(),
        "evaluation": model.evaluate(x, y, batch_size=BATCH, verbose=0),
        **more,
    }


def whole_data(number, count, folder):
    """Each process has all data; a hook of batches in one of them alone; a weight divided between the processes."""
    nyala.utils.set_random_seed(11)
    found = {}
    for name in ("data", "model"):
        if count:
            mesh = distribution.DeviceMesh((count, 1) if name == "data" else (1, count), ["batch", "model"])
            layouts = distribution.LayoutMap(mesh)
            layouts[".*wide/kernel"] = (None, "model")
            distribution.set_distribution(distribution.ModelParallel(layout_map=layouts))
        x, y = samples()
        model = network()
        watch = [nyala.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: None)] if number else []
        history = model.fit(x, y, batch_size=BATCH, epochs=3, validation_data=(x[:10], y[:10]), callbacks=watch, verbose=0)
        stream = ((x[i : i + BATCH], y[i : i + BATCH]) for i in range(0, ROWS, BATCH))
        history.history["loss"] += model.fit(stream, verbose=0).history["loss"]
        model.save(folder / f"{name}-{number}.keras")
        found[name] = told(model, history)
        if count:
            shard = model.layers[0].kernel.value.addressable_shards[0].data.shape
            found[name]["shard"] = list(shard)
    return found


def parts_of_data(number, count, folder):
    """Each process has data of its own, and nobody has set a seed."""
    x, y = samples()
    if count:
        distribution.set_distribution(distribution.DataParallel(auto_shard_dataset=False))
        mine = np.concatenate([np.arange(i + number * BATCH // count, i + (number + 1) * BATCH // count) for i in range(0, ROWS, BATCH)])
        x, y = x[mine], y[mine]
    model = network(dropout=0.0)
    first = [w.tolist() for w in model.get_weights()]
    if not count:
        saved = json.loads((folder / "first.json").read_text())
        model.set_weights([np.array(w, "float32") for w in saved])
    elif number == 0:
        (folder / "first.json").write_text(json.dumps(first))
    size = BATCH // (count or 1)
    history = model.fit(x, y, batch_size=size, epochs=2, shuffle=False, verbose=0)
    return {
        "losses": history.history["loss"],
        "first": first,
        "predictions": model.predict(x, batch_size=size).tolist(),
        "draw": nyala.random.randint((), 0, 2**30).item(),
    }


def interrupted(number, count, folder):
    """A run with checkpoints; NYALA_KILL_AT: the step at which process 1 kills itself."""
    nyala.utils.set_random_seed(12)
    if count:
        distribution.set_distribution(distribution.DataParallel())
    x, y = samples()
    model = network()
    kill_at = int(os.environ.get("NYALA_KILL_AT", "0")) if number == 1 else 0
    batches = lambda batch, logs: model.optimizer.iterations.numpy() == kill_at and os.kill(os.getpid(), signal.SIGKILL)  # noqa: E731
    callbacks = [nyala.callbacks.LambdaCallback(on_train_batch_end=batches)] if kill_at else []
    resume = nyala.callbacks.BackupAndRestore(folder / "run", save_freq=4, delete_checkpoint=False)
    history = model.fit(x, y, batch_size=BATCH, epochs=4, verbose=0, callbacks=[*callbacks, resume])
    return told(model, history)


if __name__ == "__main__":
    task, number, count, port, folder = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4], pathlib.Path(sys.argv[5])
    if count:
        distribution.initialize(f"127.0.0.1:{port}", count, number)
    print(json.dumps({"whole": whole_data, "parts": parts_of_data, "interrupted": interrupted}[task](number, count, folder)))
