# SPDX-License-Identifier: Apache-2.0
"""Runs eight_devices/ in a process that has eight devices: JAX divides a CPU only if it is told so before it starts."""

import os
import pathlib
import subprocess
import sys

FOLDER = pathlib.Path(__file__).parent / "eight_devices"


def test_all_that_takes_eight_devices():
    env = {**os.environ, "XLA_FLAGS": "--xla_force_host_platform_device_count=8", "NYALA_BACKEND": "jax", "JAX_PLATFORMS": "cpu"}
    files = sorted(map(str, FOLDER.glob("check_*.py")))
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", "no:xdist", "-q", *files]
    done = subprocess.run(command, env=env, cwd=FOLDER.parents[2], capture_output=True, text=True, timeout=600)
    assert done.returncode == 0 and len(files) == 2, done.stdout[-6000:] + done.stderr[-2000:]
    assert " skipped" not in done.stdout.splitlines()[-1]
