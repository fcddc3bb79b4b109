# SPDX-License-Identifier: Apache-2.0
"""Damaged configs, zip files and HDF5 files, with fixed seeds: each loads or is refused by an error of this package, and does nothing else.

The long run is tools/fuzz_files.py; what it found is in FOUND, so that it stays found.
"""

import sys

import pytest

from tests.files.attacks import mutations
from tests.files.attacks.mutations import Case

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the limited process makes pipes and links")
COUNTS = {"json": 150, "keras": 120, "zip": 200, "hdf5": 250, "others": 120}
# Cases that once failed.
FOUND = (
    Case("hdf5", 714764987, (228649072942, 1088662298354, 291594042388, 117516926142)),  # ended the process: a chunk of no bytes
    Case("hdf5", 1055022432, (334153134829, 457636587769)),  # changed half a model: chunks without filters
    Case("keras", 635871033, (878223593933,)),  # an optimizer that is none
    Case("keras", 29664497, (333163553351, 579655964725)),  # the name of an encoding, which Python looks for as a module
)


@pytest.fixture(scope="module")
def fuzzer(tmp_path_factory):
    from tools.fuzz_files import Fuzzer

    made = Fuzzer(tmp_path_factory.mktemp("fuzz"))
    yield made
    made.trial.stop()
    assert not made.trial.marker.exists(), "a payload ran"


@pytest.mark.parametrize("kind", sorted(mutations.KINDS))
def test_damaged_files_load_or_are_refused(kind, fuzzer):
    wrong = {case: problem for case in mutations.cases(kind, 7, COUNTS[kind]) if (problem := fuzzer.problem(case, count=True))}
    assert not wrong
    refused, loaded = fuzzer.counts[f"{kind}: refused"], fuzzer.counts[f"{kind}: loaded"]
    assert refused > COUNTS[kind] // 5, "the damage does nothing"
    assert loaded > COUNTS[kind] // 50, "nothing is ever loaded"


def test_what_was_found_stays_found(fuzzer):
    assert not {case: problem for case in FOUND if (problem := fuzzer.problem(case))}


@pytest.mark.parametrize("kind", sorted(mutations.KINDS))
def test_equal_seeds_make_equal_files(kind, tmp_path):
    made = []
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        path, _ = mutations.make(mutations.cases(kind, 1, 3)[2], tmp_path / folder)
        found = sorted(one for one in path.rglob("*") if one.is_file()) if path.is_dir() else [path]
        made.append([one.read_bytes() for one in found])
    assert made[0] == made[1]
