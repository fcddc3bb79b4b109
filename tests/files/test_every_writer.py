# SPDX-License-Identifier: Apache-2.0
"""Old or new, never half: everything that writes files fails, and its process dies, at its n-th write, flush and rename, for every n.

The writers are in writers/points.py. Checkpoints and downloads have tests of their own (test_checkpoints.py, downloads/test_resumed.py).
"""

import json
import os
import pathlib
import subprocess
import sys

import pytest

from nyala.callbacks import CSVLogger
from tests.files.writers.points import WRITERS

ROOT = pathlib.Path(__file__).parents[2]
NAMES = list(WRITERS)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.parametrize("names", [NAMES[0::3], NAMES[1::3], NAMES[2::3]], ids=", ".join)
def test_old_or_new_at_every_point(names, tmp_path):
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "NYALA_BACKEND": "numpy"}
    arguments = [sys.executable, str(ROOT / "tests/files/writers/points.py"), str(tmp_path), *names]
    done = subprocess.run(arguments, env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr[-3000:]
    found = dict(json.loads(line) for line in done.stdout.splitlines())
    assert list(found) == names
    assert all(points["raise"] >= 1 and points.get("die", points["raise"]) == points["raise"] for points in found.values()), found


def test_half_a_row_of_a_log_is_taken_back(tmp_path, monkeypatch):
    logger = CSVLogger(tmp_path / "log.csv")
    logger.on_train_begin()
    logger.on_epoch_end(0, {"loss": 1.5})
    before, real = (tmp_path / "log.csv").read_text(), open

    class Full:
        """A file on a disk that has room for half of what comes."""

        def __init__(self, *arguments, **options):
            self.file = real(*arguments, **options)

        def __enter__(self):
            return self

        def __exit__(self, *error):
            self.file.close()

        def write(self, text):
            self.file.write(text[: len(text) // 2])
            self.file.flush()
            raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("builtins.open", Full)
        with pytest.raises(OSError, match="No space left"):
            logger.on_epoch_end(1, {"loss": 1.25})
    assert (tmp_path / "log.csv").read_text() == before
    logger.on_epoch_end(1, {"loss": 1.25})
    assert (tmp_path / "log.csv").read_text() == before + "1,1.25\n"
