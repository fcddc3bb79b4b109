# SPDX-License-Identifier: Apache-2.0
"""Does the contract suite see a broken primitive? Damages one primitive of an engine at a time and looks for a check that turns red.

    python tools/sabotage.py numpy                  all primitives
    python tools/sabotage.py torch conv max_pool    some of them

Prints the damages that no check saw, and exits with 1 if there are any: then the table of the suite is what is broken.
Start at DAMAGES: each takes the whole engine and an output of the primitive and returns a wrong output, or None where it does not apply.
"""

from __future__ import annotations

import argparse
import copy
import pathlib
import sys
from collections.abc import Callable, Iterable
from typing import Any

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from nyala.engines import PRIMITIVES, Engine, get_engine
from nyala.testing import engine_checks
from nyala.testing.table import table


def _is_float(engine: Engine, x: Any) -> bool:
    return "float" in engine.dtype(x)


def value(engine: Engine, x: Any) -> Any:
    """Off by 1% and a little for floats, by one for integers; the opposite of a bool."""
    dtype = engine.dtype(x)
    if dtype == "bool":
        return engine.logical_not(x)
    return engine.add(x, 1) if "int" in dtype else engine.multiply(engine.add(x, 0.003), 1.01)


def order(engine: Engine, x: Any) -> Any:
    """The values in reverse order along the last axis."""
    rank = len(engine.shape(x))
    return engine.flip(x, (rank - 1,)) if rank else None


def dtype(engine: Engine, x: Any) -> Any:
    """A dtype that nobody asked for."""
    return engine.cast(x, "int16" if engine.dtype(x) in ("int32", "bool") else "int32")


def shape(engine: Engine, x: Any) -> Any:
    """One axis too many."""
    return engine.reshape(x, (1, *engine.shape(x)))


def nan(engine: Engine, x: Any) -> Any:
    """0 in the place of nan."""
    return engine.where(engine.isnan(x), engine.full((), 0.0, engine.dtype(x)), x) if _is_float(engine, x) else None


def gradient(engine: Engine, x: Any) -> Any:
    """The right value with 1.5 times its gradient."""
    if not _is_float(engine, x) or not engine.differentiable:
        return None
    return engine.add(x, engine.subtract(engine.multiply(x, 0.5), engine.stop_gradient(engine.multiply(x, 0.5))))


DAMAGES = (value, order, dtype, shape, nan, gradient)
HARMLESS = {  # damages that leave the primitive right
    "order": {"full", "eig"},  # all elements are equal; eigenvalues come in any order
    "nan": {"isfinite", "isnan", "argmax", "argmin", "argsort"},  # results that cannot be nan
}


def applies(name: str, damage: Callable) -> bool:
    """Whether the primitive promises what the damage breaks."""
    row = table()[name]
    if name in HARMLESS.get(damage.__name__, ()):
        return False
    if damage is gradient:
        return bool(row.gradient) and name not in ("sign", "floor", "ceil", "round", "floor_divide")
    return damage is not nan or (bool(row.edges) and PRIMITIVES[name] in ("unary", "binary", "reduce", "sort"))


def damaged(engine: Engine, name: str, damage: Callable) -> Engine:
    """A copy of the engine with one primitive broken."""
    broken, method = copy.copy(engine), getattr(engine, name)

    def spoil(tree: Any) -> Any:
        if isinstance(tree, list | tuple):
            return type(tree)(map(spoil, tree))
        wrong = damage(engine, tree)
        return tree if wrong is None else wrong

    setattr(broken, name, lambda *args, **kwargs: spoil(method(*args, **kwargs)))
    return broken


def survivors(engine: Engine, names: Iterable[str] = PRIMITIVES) -> list[str]:
    """Damages that no check of their primitive sees, as "primitive: damage"."""
    found = []
    for name in names:
        for damage in DAMAGES:
            if damage is gradient and not engine.differentiable:
                continue
            if applies(name, damage) and not _seen(damaged(engine, name, damage), name):
                found.append(f"{name}: {damage.__name__}")
    return found


def _seen(engine: Engine, name: str) -> bool:
    for check in engine_checks(engine):
        if check.primitive == name:
            try:
                check.run()
            except Exception:  # any failure will do
                return True
    return False


def main() -> int:
    parser = argparse.ArgumentParser(description="Damage primitives of an engine and see whether the contract suite notices.")
    parser.add_argument("engine")
    parser.add_argument("primitives", nargs="*", default=list(PRIMITIVES))
    arguments = parser.parse_args()
    found = survivors(get_engine(arguments.engine), arguments.primitives)
    for line in found:
        print("survived  ", line)
    print(f"{len(arguments.primitives)} primitives damaged, {len(found)} damages survived")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
