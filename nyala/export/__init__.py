# SPDX-License-Identifier: Apache-2.0
"""Models as files that run without Nyala. Start at export_model; ExportArchive takes functions and variables one by one."""

from nyala.core.lazy import lazy

__getattr__, __dir__, __all__ = lazy("nyala.export", {"ExportArchive": "nyala.export.archive:", "export_model": "nyala.export.archive:"})
