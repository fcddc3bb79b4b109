# SPDX-License-Identifier: Apache-2.0
"""Every hostile file of the table through every door that can reach it, in a process that can do little and is watched; and every good twin.

A file must be refused by its rule, or, where a door has nothing to do with the poison, give what the twin gives. Nothing else may happen: no code, no
import, no other file, no connection, no change of a setting or of a model, nothing left behind, no more memory than its bound.
"""

import ast
import collections
import math
import pathlib
import sys

import pytest

from tests.files.attacks import packing
from tests.files.attacks.attack import ANY, LOADS
from tests.files.attacks.table import ATTACKS, ELSEWHERE, ROWS, doors_of
from tests.files.attacks.trial import Trial

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="files of the table have pipes, links and names that Windows has not")
ROOT = pathlib.Path(__file__).parents[2]


class Matrix:
    """The child process and the files made so far."""

    def __init__(self, folder):
        self.folder = folder
        targets = {name: packing.pack("config", "keras", name, None, folder / "targets" / name, folder) for name in packing.MAKERS}
        self.trial = Trial(folder / "trial", targets)
        self.count = 0

    def try_(self, name, door, path, twin, folder):
        job = {"id": f"{name} @ {door}", "door": door, "path": path, "twin": twin, "folder": str(folder), "writes": door == "checkpoint:newest"}
        return self.trial.run(job)

    def files(self, carrier, twin, poison, doors):
        """(door, path, folder) of each door, with one file for each kind."""
        made = {}
        for door in doors:
            kind = door.partition(":")[0]
            if kind not in made:
                self.count += 1
                folder = self.folder / "files" / str(self.count)
                made[kind] = packing.pack(carrier, kind, twin, poison, folder, self.trial.canary), folder
            yield door, *made[kind]
        for _, folder in made.values():
            packing.clear(folder)

    def attack(self, attack):
        """What is wrong, one line for each door."""
        wrong = []
        for door, path, folder in self.files(attack.carrier, attack.twin, attack.poison, doors_of(attack)):
            answer = self.try_(attack.id, door, path, attack.twin, folder)
            rules = attack.rules_at(door)
            fine = answer["kind"] == "refused" and set(answer["rules"]) & set(rules)
            fine = fine or (answer["kind"] == "loaded" and (LOADS in rules or ANY in rules))
            if not fine:
                wrong.append(f"{answer['id']}: {answer['kind']} {answer.get('rules', '')}, not {rules}: {answer.get('text', '')[:300]}")
            if answer["seen"] or answer.get("left"):
                wrong.append(f"{answer['id']}: did {answer['seen']}, left {answer.get('left')}")
            if answer.get("grown", 0) > attack.memory:
                wrong.append(f"{answer['id']}: took {answer['grown']:,} bytes")
        return wrong


@pytest.fixture(scope="module")
def matrix(tmp_path_factory):
    made = Matrix(tmp_path_factory.mktemp("attacks"))
    yield made
    made.trial.stop()
    assert not made.trial.marker.exists(), "a payload ran"


BY_ROW = collections.defaultdict(list)
for _attack in ATTACKS:
    BY_ROW[_attack.row].append(_attack)


def test_each_row_is_here_or_proved_elsewhere():
    assert set(ROWS) == set(BY_ROW) | set(ELSEWHERE)
    assert len({attack.id for attack in ATTACKS}) == len(ATTACKS)
    for places in ELSEWHERE.values():
        for place in places:
            file, _, name = place.partition("::")
            tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
            assert any(isinstance(node, ast.FunctionDef) and node.name == name for node in tree.body), place


@pytest.mark.parametrize("row", [row for row in ROWS if row in BY_ROW])
def test_hostile_files_are_refused(row, matrix):
    wrong = [line for attack in BY_ROW[row] for line in matrix.attack(attack)]
    assert not wrong, "\n".join(wrong)


TWINS = sorted({(attack.carrier, attack.twin) for attack in ATTACKS if attack.carrier != "raw"})


@pytest.mark.parametrize("carrier, twin", TWINS, ids=str)
def test_good_twins_load(carrier, twin, matrix):
    good = packing.twin(twin) if twin in packing.MAKERS else None
    doors = sorted({door for attack in ATTACKS if (attack.carrier, attack.twin) == (carrier, twin) for door in doors_of(attack)})
    for door, path, folder in matrix.files(carrier, twin, None, doors):
        answer = matrix.try_(f"the twin {twin}", door, path, twin, folder)
        assert answer["kind"] == "loaded" and not answer["seen"] and not answer["left"], answer
        expected = expected_numbers(carrier, door, good)
        assert all(math.isclose(a, b, rel_tol=1e-5, abs_tol=1e-6) for a, b in zip(answer["numbers"], expected, strict=True)), answer


def expected_numbers(carrier, door, good):
    """What a door gives for a twin."""
    kind, _, function = door.partition(":")
    if function in ("inspect", "save_and_load", "save_weights_and_load", "save_h5_and_load"):
        return [0.0]
    fixed = {"saved_model": [4.0], "checkpoint": [15.0], "archive": [2.0], "url": [4.0], "pickle": [3.0]}
    if carrier in fixed:
        return fixed[carrier]
    alone = kind in ("json", "object") or function == "editor"  # no weights, or no model
    return [float(good.count)] if alone else good.outputs


def test_the_watch_sees(matrix):
    """A hook that sees nothing would prove nothing."""
    import json

    matrix.trial.stop()
    answers = {}
    for door in ("opens", "imports", "runs", "connects", "pickles", "writes", "sets", "hangs on memory"):
        answers[door] = matrix.trial.run(
            {"id": door, "door": f"watched:{door}", "path": json.dumps(str(matrix.trial.canary)), "twin": "mlp", "folder": str(ROOT)}
        )
    for door in ("opens", "imports", "runs", "connects", "pickles", "writes", "sets"):
        assert answers[door]["seen"], answers[door]
    assert answers["hangs on memory"]["kind"] in ("raised", "died"), answers["hangs on memory"]
    assert not matrix.trial.marker.exists()
