# SPDX-License-Identifier: Apache-2.0
"""What array library an engine needs, in which version, and what to say if it is missing, too old or broken.

Knows no library: what this package's own metadata require is the only list. Start at check_version.
"""

from __future__ import annotations

import re
from importlib.metadata import PackageNotFoundError, requires, version

REQUIREMENT = re.compile(r"""([\w.-]+) *\(?([^;)]*)\)? *(?:;.*extra *== *['"]([\w-]+)['"])?""")


def requirement(engine: str) -> tuple[str, str, str] | None:
    """(package, versions, what to install) for an engine, such as ("torch", ">=2.4", "nyala[torch]"); None if nothing says so."""
    try:
        lines = requires("nyala") or []
    except PackageNotFoundError:  # run from a folder of sources
        return None
    found = [match.groups() for match in map(REQUIREMENT.match, lines) if match]
    chosen = next((one for one in found if one[2] == engine), None) or next((one for one in found if one[0] == engine and not one[2]), None)
    if chosen is None:
        return None
    package, versions, extra = chosen
    return package, versions.strip(), f"nyala[{extra}]" if extra else "nyala"


def check_version(engine: str) -> None:
    """Raise ImportError if the library of an engine is installed in a version that is too old."""
    needed = requirement(engine)
    if needed is None:
        return
    package, versions, target = needed
    try:
        installed = version(package)
    except PackageNotFoundError:  # missing, or under another name such as tensorflow-cpu; importing it will tell
        return
    least = re.search(r"[>=]= *([\d.]+)", versions)
    if least and _numbers(installed) < _numbers(least[1]):
        raise ImportError(
            f"engine {engine!r} needs {package}{versions}, got {package} {installed}.\n"
            f"  fix: pip install --upgrade {package!r} {target!r}, or choose another engine"
        )


def _numbers(release: str) -> list[int]:
    """The leading numbers of a version.

    >>> _numbers("2.13.0+cpu"), _numbers("2.4")
    ([2, 13], [2, 4])
    """
    parts = re.match(r"\d+(\.\d+)*", release)
    numbers = [int(part) for part in parts[0].split(".")] if parts else []
    while numbers and numbers[-1] == 0:
        numbers.pop()
    return numbers


def explain(engine: str, error: Exception) -> str:
    """What to say when the file of an engine could not be imported."""
    needed = requirement(engine)
    target = needed[2] if needed else f"nyala[{engine}]"
    if isinstance(error, ModuleNotFoundError) and error.name and "." not in error.name:
        missing = f"engine {engine!r} needs the package {error.name!r}, which is not installed here."
        return f"{missing}\n  fix: pip install {target!r}, or choose another engine"
    package = needed[0] if needed else engine
    return (
        f"engine {engine!r} needs the package {package!r} in working order, got {type(error).__name__} when it was imported.\n"
        f"  why: {' '.join(str(error).split())}\n"
        f"  fix: pip install --force-reinstall {package!r}, or choose another engine"
    )
