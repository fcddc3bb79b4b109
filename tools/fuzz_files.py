# SPDX-License-Identifier: Apache-2.0
"""Open damaged files for a while: configs, zip files and HDF5 files with random damage, each in the limited process of the table of attacks.

    python tools/fuzz_files.py --minutes 10 --seed 3
    python tools/fuzz_files.py --kind hdf5 --cases 500 --out failures

Each file must load or be refused by an error of this package, do nothing else, and stay within its bounds. What does not is made smaller, by leaving
out edits while it still fails the same way, and is kept with its seed. Exits with 1 if anything was found. Start at main.
"""

from __future__ import annotations

import argparse
import collections
import json
import pathlib
import shutil
import sys
import tempfile
import time
from typing import Any

sys.path.insert(0, str(pathlib.Path(__file__).absolute().parent.parent))
from tests.files.attacks import mutations, packing
from tests.files.attacks.trial import Trial

MEMORY = 200 << 20  # bytes that the process may grow by for one file
SECONDS = 10.0  # that it may compute


class Fuzzer:
    """Tries cases, counts what came of them, and keeps what should not have."""

    def __init__(self, folder: pathlib.Path, out: pathlib.Path | None = None) -> None:
        self.folder, self.out = folder, out
        targets = {name: packing.pack("config", "keras", name, None, folder / "targets" / name, folder) for name in packing.MAKERS}
        self.trial = Trial(folder / "trial", targets)
        self.counts: collections.Counter[str] = collections.Counter()
        self.rules: collections.Counter[str] = collections.Counter()
        self.failures: dict[str, tuple[mutations.Case, str]] = {}
        self.number = 0

    def problem(self, case: mutations.Case, count: bool = False) -> str:
        """What is wrong with how a case was taken; "" if nothing is."""
        self.number += 1
        place = self.folder / "cases" / str(self.number)
        place.mkdir(parents=True)
        try:
            path, doors = mutations.make(case, place)
            for door in doors:
                twin = ("mlp", "nested", "words")[case.base % 3] if case.kind == "keras" else "mlp"
                answer = self.trial.run({"id": f"{case}", "door": f"fuzz:{door}", "path": str(path), "twin": twin, "folder": str(place)})
                if count:
                    self.counts[f"{case.kind}: {answer['kind']}"] += 1
                    self.rules.update(answer.get("rules", ()))
                if wrong := _wrong(answer, door):
                    return f"{door}: {wrong}"
        finally:
            shutil.rmtree(place)
        return ""

    def run(self, cases: list[mutations.Case]) -> None:
        """Try cases; the first of each kind of failure is made smaller and kept."""
        for case in cases:
            wrong = self.problem(case, count=True)
            if wrong and (kind := _kind(wrong)) not in self.failures:
                small = self.smaller(case, kind)
                self.failures[kind] = small, self.problem(small) or wrong
                self.keep(kind)

    def smaller(self, case: mutations.Case, kind: str) -> mutations.Case:
        """The case with as few of its edits as fail the same way."""
        i = 0
        while i < len(case.edits) and len(case.edits) > 1:
            shorter = case._replace(edits=case.edits[:i] + case.edits[i + 1 :])
            if _kind(self.problem(shorter)) == kind:
                case = shorter
            else:
                i += 1
        return case

    def keep(self, kind: str) -> None:
        """Write a failure to the folder for them."""
        case, wrong = self.failures[kind]
        print(f"{case}\n  {wrong}", flush=True)
        if self.out is not None:
            place = self.out / f"{case.kind}-{case.edits[0]}"
            place.mkdir(parents=True, exist_ok=True)
            mutations.make(case, place)
            (place / "case.json").write_text(json.dumps({"case": case._asdict(), "problem": wrong}, indent=1), encoding="utf-8")


def _wrong(answer: dict[str, Any], door: str) -> str:
    if answer["kind"] == "loaded" and door in ("load_model", "load_weights") and answer["numbers"] is None:
        return "no model"
    if answer["kind"] not in ("loaded", "refused"):
        return f"{answer['kind']} {answer.get('error', '')}: {answer.get('text', '')}"
    if answer["seen"] or answer.get("left"):
        return f"did {answer['seen']}, left {answer.get('left')}"
    if answer.get("grown", 0) > MEMORY:
        return f"took memory: {answer['grown']:,} bytes"
    return f"took time: {answer['seconds']} seconds" if answer.get("seconds", 0) > SECONDS else ""


def _kind(wrong: str) -> str:
    """What failures have in common: what was raised, and where."""
    return f"{wrong[:60]}|{wrong.rpartition(' at ')[2][:120]}" if wrong else ""


def main(arguments: list[str] | None = None) -> int:
    """Read the command line and run until the time, or the number of cases, is over."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=10.0, help="how long to go on (default: 10)")
    parser.add_argument("--cases", type=int, default=0, help="how many cases of each kind instead")
    parser.add_argument("--seed", type=int, default=0, help="another seed, other files (default: 0)")
    parser.add_argument("--kind", choices=sorted(mutations.KINDS), help="one kind of damage alone")
    parser.add_argument("--out", type=pathlib.Path, help="folder for the files that failed")
    options = parser.parse_args(arguments)
    kinds = [options.kind] if options.kind else sorted(mutations.KINDS)
    until, part = time.monotonic() + 60 * options.minutes, 0
    with tempfile.TemporaryDirectory() as folder:
        fuzzer = Fuzzer(pathlib.Path(folder), options.out)
        try:
            while time.monotonic() < until if not options.cases else part == 0:
                for kind in kinds:
                    fuzzer.run(mutations.cases(kind, options.seed * 100_000 + part, options.cases or 50))
                part += 1
        finally:
            fuzzer.trial.stop()
            print(", ".join(f"{count:,} {name}" for name, count in sorted(fuzzer.counts.items())))
            print("rules:", ", ".join(f"{name or 'none'} {count}" for name, count in fuzzer.rules.most_common(60)))
    print(f"{len(fuzzer.failures)} kinds of failures")
    return int(bool(fuzzer.failures))


if __name__ == "__main__":
    sys.exit(main())
