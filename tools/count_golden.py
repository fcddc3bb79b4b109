# SPDX-License-Identifier: Apache-2.0
"""How many recorded answers of Keras there are for each public layer and op, and who has too few: python tools/count_golden.py [--all].

A layer should have 3 configurations, an op 2 inputs. Names that need none stand in WITHOUT, with the reason. Exits with 1 if any other is short.
Reads tests/golden/data and the tables of names; computes nothing. Start at main.
"""

from __future__ import annotations

import argparse
import collections
import json
import pathlib
import sys
from collections.abc import Iterator
from typing import Any

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

DATA = pathlib.Path(__file__).resolve().parents[1] / "tests" / "golden" / "data"
LAYERS, OPS = 3, 2  # answers that each should have
WITHOUT = {
    "drawn by a generator of Nyala's own, tested by laws": """
        AugMix CutMix GaussianDropout GaussianNoise MixUp RandAugment RandomColorJitter RandomCrop RandomElasticTransform RandomErasing
        RandomGaussianBlur RandomHeight RandomPerspective RandomShear RandomTranslation RandomWidth RandomZoom elastic_transform""",
    "boxes only": "MaxNumBoundingBoxes",
    "of older Keras": "LocallyConnected1D LocallyConnected2D MaxoutDense Highway RandomFourierFeatures ThresholdedReLU",
    "a base, or a form of another layer": "Layer InputLayer Wrapper Pipeline StackedRNNCells Lambda",
    "code of another library": "TorchModuleWrapper JaxLayer FlaxLayer TFSMLayer",
    "takes functions": "associative_scan cond custom_gradient fori_loop jvp map scan switch vectorize vectorized_map while_loop stop_gradient",
    "makes, converts or describes": "convert_to_numpy convert_to_tensor dtype empty empty_like is_tensor view view_as_real get_item",
    "unique up to signs or order, and tested by laws": "argpartition eig lu_factor",
    "Keras answers wrongly": "sparsemax",
}


def names() -> tuple[set[str], set[str]]:
    """Public layers, aliases apart, and public ops that Keras has."""
    from nyala import layers, ops
    from nyala.layers.names import FILES

    kinds = {
        getattr(layers, name).__name__ for listed in FILES.values() for name in listed if name[0].isupper() and name not in ("Input", "InputSpec")
    }
    public = {name for name in dir(ops) if getattr(getattr(ops, name), "is_op", False)}
    return kinds, public


def counts() -> collections.Counter[str]:
    """Number of recorded cases by the name of the layer or op they ask about."""
    found: collections.Counter[str] = collections.Counter()
    for path in DATA.glob("*.json"):
        for key, case in json.loads(path.read_text(encoding="utf-8"))["cases"].items():
            found.update(set(_asked(path.stem, key, case)))
    return found


def _asked(kind: str, key: str, case: dict[str, Any]) -> Iterator[str]:
    """What a case asks about: the layer in its name, or the function that it says."""
    yield from key.split("/")[:2] if kind != "ops" else key.split("/")[:1]
    for part in ("op", "function", "name"):
        if isinstance(case.get(part), str):
            yield case[part].rpartition(".")[2]


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--all", action="store_true", help="also list those that have enough")
    show_all = parser.parse_args().all
    (layers, ops), found = names(), counts()
    excused = {name: reason for reason, listed in WITHOUT.items() for name in listed.split()}
    short = 0
    for what, group, enough in (("layers", layers, LAYERS), ("ops", ops, OPS)):
        few = {name: found[name] for name in sorted(group) if found[name] < enough and name not in excused}
        short += len(few)
        many, spared = sum(found[name] >= enough for name in group), len(group & set(excused))
        print(f"{what}: {len(group)}, with {enough} answers or more: {many}, excused: {spared}")
        for name in sorted(group if show_all else few):
            print(f"  {name:45s} {found[name]:3d}  {excused.get(name, '' if found[name] >= enough else 'too few')}")
    return 1 if short else 0


if __name__ == "__main__":
    sys.exit(main())
