# SPDX-License-Identifier: Apache-2.0
"""Hands files to the limited child process one after the other, and knows which one it did not survive.

Start at Trial; `run` answers for every job, whatever happens to the process.
"""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import queue
import subprocess
import sys
import threading
from typing import Any

ROOT = pathlib.Path(__file__).parents[3]
SECONDS = 240.0  # of waiting, on a machine that others use, too; the child counts the seconds that it computes itself


class Trial:
    """A scratch folder with canaries in it, and a child process that is started again when a file has ended it."""

    def __init__(self, folder: pathlib.Path, targets: dict[str, str]) -> None:
        self.folder, self.canary, self.planted = folder / "work", folder / "canary", folder / "planted"
        self.temporary = folder / "temporary"
        self.begin = {
            "folder": str(self.folder), "canary": str(self.canary), "temporary": str(self.temporary), "planted": str(self.planted),
            "targets": targets,
        }  # fmt: skip
        for path in (self.folder / "out", self.canary, self.planted, self.temporary):
            path.mkdir(parents=True)
        self.marker = folder / "MARKER"
        plant(self.canary, self.planted, self.marker)
        self.process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        environment = {
            **os.environ, "NYALA_BACKEND": "numpy", "PYTHONPATH": str(ROOT), "HOME": str(self.folder), "NYALA_HOME": str(self.folder / "out"),
            "TMPDIR": str(self.temporary),
        }  # fmt: skip
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.files.attacks.child"], cwd=ROOT, env=environment, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL if not os.environ.get("NYALA_TRIAL") else None,
        )  # fmt: skip
        self.lines: queue.Queue[str | None] = queue.Queue()
        threading.Thread(target=_pump, args=(self.process.stdout, self.lines), daemon=True).start()
        self._send(self.begin)

    def run(self, job: dict[str, Any]) -> dict[str, Any]:
        """What came of one job: "loaded", "refused", "raised", "hung" or "died"."""
        if self.process is None or self.process.poll() is not None:
            self.start()
        with contextlib.suppress(OSError):  # it died before, as the answer will say
            self._send(job)
        return self._answer(job, SECONDS)

    def _send(self, value: Any) -> None:
        assert self.process is not None and self.process.stdin is not None
        self.process.stdin.write(json.dumps(value) + "\n")
        self.process.stdin.flush()

    def _answer(self, job: dict[str, Any], seconds: float) -> dict[str, Any]:
        assert self.process is not None
        while True:
            try:
                line = self.lines.get(timeout=seconds)
            except queue.Empty:
                self.stop()
                return {"id": job["id"], "kind": "hung", "seen": [], "text": f"no answer in {seconds:.0f} seconds"}
            if line is None:
                status = self.process.wait()
                self.stop()
                return {"id": job["id"], "kind": "died", "seen": [], "text": f"the process ended with {status}"}
            if line.startswith('{"id"'):
                return json.loads(line)

    def stop(self) -> None:
        """End the child, if there is one."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            for stream in (self.process.stdin, self.process.stdout):
                if stream is not None:
                    with contextlib.suppress(OSError):
                        stream.close()
            self.process = None


def _pump(stream: Any, lines: queue.Queue[str | None]) -> None:
    """Lines as they come; None when there will be no more."""
    try:
        for line in stream:
            lines.put(line)
    except ValueError:
        pass
    lines.put(None)


def plant(canary: pathlib.Path, planted: pathlib.Path, marker: pathlib.Path) -> None:
    """Files that nobody may open, a pipe that holds whoever does, and modules that leave a mark when they are imported."""
    import h5py

    (canary / "secret.txt").write_text("blue\nsecret\n", encoding="utf-8")
    with h5py.File(canary / "secret.h5", "w") as file:
        file["x"] = [[7.0, 7.0, 7.0]] * 5
        file["layers/x"] = [7.0]
    if hasattr(os, "mkfifo"):
        os.mkfifo(canary / "pipe")
    for name in ("planted_module", "evil"):
        (planted / f"{name}.py").write_text(
            f"open({str(marker)!r}, 'w').close()\ndef run(*a, **k): open({str(marker)!r}, 'w').close()\nRun = run\n", encoding="utf-8"
        )
