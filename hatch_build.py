# SPDX-License-Identifier: Apache-2.0
"""Wheels bring the kernels for CPUs, compiled for each level of processors, where there is a C++ compiler as they are built; else none.

Whoever installs such a wheel needs no compiler, and no program waits for one. Editable installs compile as programs need it.
"""

from __future__ import annotations

import pathlib
import runpy
import subprocess
import sysconfig
import tempfile
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

# The module of Nyala that compiles them, alone.
_kernels = runpy.run_path(str(pathlib.Path(__file__).parent / "nyala" / "engines" / "_cpu_kernels.py"))


class KernelHook(BuildHookInterface):
    """Adds the libraries to a wheel, which is then one for this kind of machine."""

    def dependencies(self) -> list[str]:
        """The headers of XLA, where there is something to compile."""
        return ["jaxlib>=0.8"] if _kernels["can_make"]() else []

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if version == "editable":
            return
        self.folder = tempfile.TemporaryDirectory(prefix="nyala-kernels-")
        try:
            made = _kernels["make_installed"](pathlib.Path(self.folder.name))
        except (ValueError, OSError, subprocess.SubprocessError) as error:
            self.app.display_warning(f"a wheel without kernels: {error}")
            return
        for path in made:
            build_data["force_include"][str(path)] = f"nyala/engines/_kernels/{path.name}"
        if made:
            platform = sysconfig.get_platform().replace("-", "_").replace(".", "_")
            build_data["pure_python"] = False
            build_data["tag"] = f"py3-none-{platform}"

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        if version != "editable":
            self.folder.cleanup()
