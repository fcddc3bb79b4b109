# SPDX-License-Identifier: Apache-2.0
"""Writes the generated parts of docs/engines.md: what each engine can do, its size, its step times, and the conventions all of them keep.

    python tools/engines_page.py              ask every engine that is installed here, then write
    python tools/engines_page.py torch jax    ask these only
    python tools/engines_page.py --write      write from what is known
    python tools/engines_page.py --check      exit 1 if the page is not what would be written

What engines answer is kept in docs/engines.json, so an engine that is not installed keeps what it answered last; step times there ("steps", in
milliseconds) are filled in by hand from benchmarks/RESULTS.md. Each engine is asked in a process of its own. Start at write.
"""

from __future__ import annotations

import argparse
import json
import pathlib
import re
import subprocess
import sys
from typing import Any

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
PAGE, FACTS = ROOT / "docs" / "engines.md", ROOT / "docs" / "engines.json"

from nyala.engines import DEFAULT  # noqa: E402  the path above leads to it
from nyala.testing.rules import KINDS, Rule, all_rules  # noqa: E402  the path above leads to it


def facts(name: str) -> dict[str, Any]:
    """What an engine answers, and how large it is."""
    from nyala.engines import get_engine
    from nyala.testing import engine_checks
    from nyala.testing.features import features

    engine = get_engine(name)
    release = getattr(sys.modules.get(name), "__version__", "")
    return {
        "library": f"{name} {release}".strip(),
        "lines": lines_of(name),
        "checks": sum(1 for _ in engine_checks(engine)),
        "excused": dict(engine.excused),
        "features": {title: [found.answer, found.note] for title, found in features(engine).items()},
    }


def lines_of(name: str) -> int:
    """Lines of the files of an engine."""
    folder = ROOT / "nyala" / "engines"
    return sum(len(path.read_text(encoding="utf-8").splitlines()) for path in (folder / f"{name}.py", *folder.glob(f"_{name}_*.py")))


# The parts of the page ----------------------------------------------------------------------------------------------------------------------------


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---", *["--:" if all(re.fullmatch(r"[\d,.\-]+", row[i]) for row in rows) else "---" for i in range(1, len(head))]], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def matrix(known: dict) -> str:
    """Features by engines."""
    engines = known["engines"]
    titles = list(dict.fromkeys(title for facts in engines.values() for title in facts["features"]))
    rows = [[title, *(facts["features"].get(title, ["-"])[0] for facts in engines.values())] for title in titles]
    return _table(["", *engines], rows)


def reasons(known: dict) -> str:
    """Engine by engine, what it cannot do and why, and details of what it can."""
    lines = []
    for name, facts in known["engines"].items():
        same: dict[tuple, list[str]] = {}
        for title, (answer, note) in facts["features"].items():
            if note:
                same.setdefault((answer, note.rstrip(".")), []).append(title)
        lines += ["", f"**{name}** (asked: {facts['library']})", ""]
        lines += [f"- {'; '.join(titles)}: **{answer}**, {note}." for (answer, note), titles in same.items()]
    return "\n".join(lines[1:])


def excuses(known: dict) -> str:
    """Checks of the contract that an engine is known to fail."""
    lines = []
    for name, facts in known["engines"].items():
        lines += [f"- **{name}**: all {facts['checks']:,} checks."] if not facts["excused"] else []
        lines += [f"- **{name}**: {facts['checks']:,} checks, without these:"] if facts["excused"] else []
        lines += [f"    - `{id}`: {why}" for id, why in facts["excused"].items()]
    return "\n".join(lines)


def sizes(known: dict) -> str:
    rows = [
        [name, f"{facts['lines']:,}", f"{known['keras_lines'][name]:,}" if name in known["keras_lines"] else "-"]
        for name, facts in known["engines"].items()
    ]
    return _table(["engine", "lines here", "lines in Keras"], rows)


def steps(known: dict) -> str:
    """Step times, one column an engine."""
    names = list(known["engines"])
    rows = [[workload, *(f"{times[name]:g}" if name in times else "-" for name in names)] for workload, times in known["steps"].items()]
    return _table(["training step, ms", *names], rows)


def conventions(known: dict) -> str:
    """The rules, those of several primitives that say the same in one line."""
    parts = []
    for kind, title in KINDS.items():
        same: dict[tuple, list[str]] = {}
        for rule in all_rules():
            if rule.kind == kind:
                same.setdefault(_said(rule), []).append(rule.of)
        rows = [[", ".join(f"`{of}`" for of in dict.fromkeys(names)), *said] for said, names in same.items()]
        parts.append(f"### {title}\n\n{_table(['of', 'where', 'rule', 'because'], rows)}")
    return "\n\n".join(parts)


def _said(rule: Rule) -> tuple[str, ...]:
    return tuple(text.replace("*", r"\*") for text in (rule.situation, rule.rule, rule.why))


PARTS = {part.__name__: part for part in (matrix, reasons, excuses, sizes, steps, conventions)}


def page(text: str, known: dict) -> str:
    """The page with its generated parts made anew: what stands between <!-- name --> and <!-- end -->."""
    for name, part in PARTS.items():
        pattern = re.compile(rf"(<!-- {name} -->\n).*?(\n<!-- end -->)", re.DOTALL)
        if len(pattern.findall(text)) != 1:
            raise SystemExit(f"{PAGE.name} needs exactly one part between <!-- {name} --> and <!-- end -->")
        text = pattern.sub(lambda found, part=part: f"{found[1]}{part(known)}{found[2]}", text)
    return text


# Asking and writing -------------------------------------------------------------------------------------------------------------------------------


def ask(names: list[str]) -> dict:
    """What is known, brought up to date with the engines of these names that can be asked here."""
    known = json.loads(FACTS.read_text(encoding="utf-8"))
    for name in names:
        done = subprocess.run([sys.executable, __file__, "--facts", name], capture_output=True, text=True, encoding="utf-8", check=False)
        if done.returncode == 0:
            known["engines"][name] = json.loads(done.stdout.splitlines()[-1])
            print(f"{name}: asked")
        else:
            kept = "keeps what it answered last" if name in known["engines"] else "is left out"
            said = [line for line in done.stderr.splitlines() if re.match(r"[\w.]+(Error|Exception|Exit): ", line)]
            print(f"{name}: {kept}; {said[-1] if said else 'it ended without an error'}")
    known["engines"] = dict(sorted(known["engines"].items(), key=lambda item: _place(*item)))
    return known


def _place(name: str, facts: dict) -> tuple:
    """The default engine first, then those that can do the most."""
    return name != DEFAULT, -sum(answer == "yes" for answer, _ in facts["features"].values()), name


def write(known: dict) -> None:
    FACTS.write_text(json.dumps(known, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8"), known), encoding="utf-8")


def is_current() -> bool:
    """Whether the page is what would be written from what is known."""
    text = PAGE.read_text(encoding="utf-8")
    return text == page(text, json.loads(FACTS.read_text(encoding="utf-8")))


def main() -> int:
    from nyala.engines import available_engines

    parser = argparse.ArgumentParser(description="Write the generated parts of docs/engines.md.")
    parser.add_argument("engines", nargs="*", help="which to ask (default: all but spec)")
    way = parser.add_mutually_exclusive_group()
    way.add_argument("--write", action="store_true", help="ask nobody")
    way.add_argument("--check", action="store_true", help="write nothing; exit 1 if the page is out of date")
    way.add_argument("--facts", metavar="ENGINE", help="print what this engine answers, as JSON")
    arguments = parser.parse_args()
    if arguments.facts:
        print(json.dumps(facts(arguments.facts), ensure_ascii=False))
        return 0
    if arguments.check:
        return 0 if is_current() else 1
    names = [] if arguments.write else arguments.engines or [name for name in available_engines() if name != "spec"]
    write(ask(names))
    return 0


if __name__ == "__main__":
    sys.exit(main())
