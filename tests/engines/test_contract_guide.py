# SPDX-License-Identifier: Apache-2.0
"""The page about writing an engine is run as it stands, and what it counts is so."""

import pathlib
import re

import numpy as np
import pytest

from nyala.engines import PRIMITIVES

pytest.importorskip("scipy", reason="the oracles need SciPy")
PAGE = pathlib.Path(__file__).parents[2] / "docs" / "new-engine.md"
TEXT = PAGE.read_text(encoding="utf-8")


def test_the_page_runs():
    space = {"__name__": "the_page"}
    with np.errstate(all="ignore"):  # of which NumPy warns, and pytest makes errors
        exec(compile("\n".join(re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)), str(PAGE), "exec"), space)
    assert space["predicted"].shape == (16, 1) and np.isfinite(space["losses"]).all()


def test_the_page_counts_primitives_right():
    assert f"It answers {len(PRIMITIVES)} primitives" in TEXT
    kinds = list(PRIMITIVES.values())
    count = lambda *names: sum(kind in names for kind in kinds)  # noqa: E731
    rows = dict(re.findall(r"^\| (\d) \|.*?\| (\d+)(?: of them primitives)? \|", TEXT, re.MULTILINE))
    # where is with the elementwise ones, cast with those that make tensors
    assert int(rows["2"]) == count("unary", "binary", "compare", "logic", "bits", "select") - 1
    assert int(rows["3"]) == count("reduce", "cumulative")
    assert int(rows["4"]) == count("shape", "index")
    assert int(rows["5"]) == count("sort")
    assert int(rows["6"]) == count("contract", "window")
    assert int(rows["7"]) == count("linalg", "complex")
    assert int(rows["8"]) == count("random")
    assert int(rows["9"]) == count("control")
    assert sum(int(rows[str(i)]) for i in range(2, 10)) + count("create") + 1 == len(PRIMITIVES)
