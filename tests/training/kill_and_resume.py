# SPDX-License-Identifier: Apache-2.0
"""A training that is killed at random moments and started again, beside one that is not: they must end with the same bits.

Run it with `python tests/training/kill_and_resume.py --kills 50`; the suite calls `kill_and_compare` with few kills. The same file is the program
that is killed: it trains, and writes what came out as JSON.
"""

import argparse
import hashlib
import json
import os
import pathlib
import random
import signal
import subprocess
import sys
import threading
import time

KINDS = ("arrays", "groups", "accumulation", "gathered", "sequence")
EPOCHS, ROWS, BATCH = 10, 300, 16
REPOSITORY = pathlib.Path(__file__).parents[2]


# The program that is killed -------------------------------------------------------------------------------------------------------------


def train(kind, folder, resumes, delay):
    import numpy as np

    import nyala
    from nyala import callbacks, layers

    def die():
        os.kill(os.getpid(), signal.SIGKILL)

    class Killer(callbacks.Callback):
        def on_train_begin(self, logs=None):
            if delay is not None:
                timer = threading.Timer(delay, die)
                timer.daemon = True
                timer.start()

    class Batches(callbacks.Callback):
        """Sees batches, and has a state."""

        total = 0

        def on_train_batch_end(self, batch, logs=None):
            self.total += logs["loss"] * (batch + 1)

        def get_state(self):
            return {"total": self.total}

        def set_state(self, state):
            self.total = state["total"]

    nyala.utils.set_random_seed(11)
    random_numbers = np.random.default_rng(0)
    x = random_numbers.normal(size=(ROWS, 6)).astype("float32")
    y = (x[:, :1] * 2 - np.abs(x[:, 1:2]) + random_numbers.normal(size=(ROWS, 1)) * 0.3).astype("float32")
    model = nyala.Sequential([
        nyala.Input((6,)), layers.GaussianNoise(0.1), layers.Dense(13, "relu"), layers.BatchNormalization(), layers.Dropout(0.3), layers.Dense(1)
    ])  # fmt: skip
    accumulation = 3 if kind == "accumulation" else None
    optimizer = nyala.optimizers.Adam(0.02, gradient_accumulation_steps=accumulation, use_ema=kind == "accumulation")
    model.compile(optimizer, "mse", metrics=["mae"], steps_per_execution=3 if kind == "groups" else 1)
    batches = Batches()
    used = [
        Killer(),
        callbacks.CSVLogger(folder / "log.csv"),
        callbacks.ModelCheckpoint(folder / "best.npz", save_best_only=True),
        callbacks.ReduceLROnPlateau(patience=1, factor=0.5, min_delta=0.02),
        callbacks.EarlyStopping(patience=6, restore_best_weights=True),
        *([batches] if kind in ("groups", "sequence") else []),
    ]
    data = {"x": x, "y": y, "batch_size": BATCH, "validation_split": 0.2}
    if kind == "sequence":

        class Rows(nyala.utils.PyDataset):
            def __len__(self):
                return 15

            def __getitem__(self, i):
                return x[i * BATCH : (i + 1) * BATCH], y[i * BATCH : (i + 1) * BATCH]

        data = {"x": Rows(), "validation_data": (x[240:], y[240:])}
    arguments = {"resume": callbacks.Resume(folder / "run", steps=4, background=kind == "groups")} if resumes else {}
    history = model.fit(**data, epochs=EPOCHS, verbose=0, callbacks=used, accumulate=2 if kind == "gathered" else 1, **arguments)
    values = [*model.get_weights(), *(v.numpy() for v in model.optimizer.variables)]
    result = {
        "weights": [hashlib.sha256(v.tobytes()).hexdigest()[:16] for v in values],
        "history": {name: [float(v).hex() for v in values] for name, values in history.history.items()},
        "batches": float(batches.total).hex(),
        "log": (folder / "log.csv").read_text(),
        "best": hashlib.sha256((folder / "best.npz").read_bytes()).hexdigest()[:16],
    }
    (folder / "result.json").write_text(json.dumps(result))


# The one who kills ----------------------------------------------------------------------------------------------------------------------


def start(kind, folder, resumes, delay=None, engine="jax"):
    """Run the program to its end, or to its death; returns what came out, None if it was killed."""
    folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, __file__, "--child", kind, str(folder), *(["--resume"] if resumes else [])]
    command += ["--delay", str(delay)] if delay is not None else []
    environment = {**os.environ, "NYALA_BACKEND": engine, "PYTHONPATH": str(REPOSITORY)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=900)
    if done.returncode == -signal.SIGKILL:
        return None
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads((folder / "result.json").read_text())


def kill_and_compare(kinds, kills, seed, folder, engine="jax", longest=2.0, say=lambda text: None):
    """Kill runs of these kinds so many times in all; AssertionError if one of them ends otherwise than a run that nobody killed."""
    moments, done, number = random.Random(seed), 0, 0
    expected = {}
    while done < kills:
        kind = kinds[number % len(kinds)]
        if kind not in expected:
            expected[kind] = start(kind, folder / f"{kind}-whole", False, engine=engine)
        number += 1
        place, deaths, result = folder / f"{kind}-{number}", 0, None
        while result is None:
            most = -(-kills // len(kinds))
            delay = moments.uniform(0, longest) if done < kills and deaths < most else None
            result = start(kind, place, True, delay, engine)
            deaths += result is None
            done += result is None
        assert result == expected[kind], f"{kind}: a run that was killed {deaths} times is another one: {place}"
        say(f"{kind}: killed {deaths} times, equal in all bits ({done} kills so far)")
    return done


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--engine", default="jax")
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS))
    parser.add_argument("--longest", type=float, default=2.0, help="seconds after the start of training, at most, until a kill")
    parser.add_argument("--folder", type=pathlib.Path)
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("--resume", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--delay", type=float, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        train(given.child[0], pathlib.Path(given.child[1]), given.resume, given.delay)
        return
    import tempfile

    began = time.perf_counter()
    folder = given.folder or pathlib.Path(tempfile.mkdtemp(prefix="kill_and_resume-"))
    done = kill_and_compare(given.kinds, given.kills, given.seed, folder, given.engine, given.longest, lambda text: print(text, flush=True))
    print(f"{done} kills on {given.engine}, all runs equal to the last bit, in {time.perf_counter() - began:.0f} s", flush=True)


if __name__ == "__main__":
    main()
