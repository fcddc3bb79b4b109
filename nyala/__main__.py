# SPDX-License-Identifier: Apache-2.0
"""The command `nyala`, also `python -m nyala`: reads the command line, and hands over to the module that does the work.

Imports nothing heavy before a command is chosen, so that `nyala --help` is quick.
Start at main.
"""

import argparse
import difflib
import importlib.util
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from nyala.engines import Engine

__all__ = ["main"]

PICTURE = "nyala-demo.png"
MAX_SEED = 2**32 - 1


class Parser(argparse.ArgumentParser):
    """A parser that keeps the lines of its texts, and whose errors say where to read on."""

    def __init__(self, **options: Any) -> None:
        super().__init__(formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False, **options)

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}\nTry '{self.prog} --help'.\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command that the arguments name; returns the exit status (0 well, 1 failed, 2 called wrongly, 130 interrupted)."""
    parser, commands = make_parser()
    given = list(sys.argv[1:] if arguments is None else arguments)
    if not given:
        parser.print_help()
        return 0
    if not given[0].startswith("-") and given[0] not in commands:
        parser.error(f"there is no command {given[0]!r}{suggestion(given[0], list(commands))}")
    if given[0] == "run" and given[1:2] not in (["-h"], ["--help"]):  # what follows is for the program
        return run_program(given[1:], commands["run"])
    options = parser.parse_args(given)
    try:
        return options.run(options, commands[options.command])
    except KeyboardInterrupt:
        print("\nnyala: interrupted", file=sys.stderr)
        return 130


def suggestion(word: str, choices: list[str]) -> str:
    """What to say after an unknown word.

    >>> suggestion("dmeo", ["demo", "info"])
    "; did you mean 'demo'?"
    """
    close = difflib.get_close_matches(word, choices, n=1)
    return f"; did you mean {close[0]!r}?" if close else f"; the commands are {', '.join(choices)}"


def make_parser() -> tuple[Parser, dict[str, Parser]]:
    """The parser of the whole command line, and the parser of each command."""
    import nyala

    parser = Parser(
        prog="nyala",
        description="Nyala: deep learning with the Keras API, on the array engine of your choice.",
        epilog="examples:\n  nyala demo                   train a network on handwritten digits and look at the result\n"
        "  nyala demo --engine torch    the same, computed by PyTorch\n"
        "  nyala demo --help            all options of a command",
    )
    parser.add_argument("--version", action="version", version=f"nyala {nyala.__version__}")
    subparsers = parser.add_subparsers(title="commands", dest="command", metavar="COMMAND", required=True)

    demo = subparsers.add_parser(
        "demo",
        help="train a network on handwritten digits and show how well it reads",
        description="Train a small convolutional network on 1,437 handwritten digits that ship with Nyala, test it on 360 others, and\n"
        "show the accuracy, which digits it confuses and, with matplotlib, a picture of the learning curves and the digits.",
        epilog=f"examples:\n  nyala demo --epochs 5 --quiet\n  nyala demo --engine torch --output digits.png\n\n"
        f"An existing picture is never replaced: the next free name is used ({PICTURE}, nyala-demo-2.png, ...).",
    )
    demo.add_argument("--epochs", type=positive, default=20, metavar="N", help="passes over the training images (default: 20)")
    demo.add_argument("--seed", type=seed, default=0, metavar="N", help="for initial weights, shuffles and dropout (default: 0)")
    demo.add_argument("--engine", metavar="NAME", help="which engine computes: a name that 'nyala info' lists (default: the configured one)")
    demo.add_argument("--output", type=picture_path, metavar="PATH", help=f"the picture: a .png file or a folder (default: ./{PICTURE})")
    demo.add_argument("--quiet", action="store_true", help="print the result only")
    demo.set_defaults(run=run_demo)

    info = subparsers.add_parser(
        "info",
        help="show versions, engines with their devices, and settings",
        description="Show the versions of Nyala and what it stands on, which engines work here and on which devices, and the settings.\n"
        "Loads each engine to find out. Paste this into a bug report.",
    )
    info.set_defaults(run=run_info)

    inspect = subparsers.add_parser(
        "inspect",
        help="show what is in a file of a model or of weights",
        description="Show layers, arrays, named objects and origin of a .keras, .h5, .weights.h5, .npz, .safetensors or .json file, and the reasons\n"
        "for which it would be refused. Nothing in it is built or run. Exits with 1 if it would be refused.",
    )
    inspect.add_argument("file", metavar="FILE", help="the file, or the folder of a model")
    inspect.set_defaults(run=run_inspect)

    convert = subparsers.add_parser(
        "convert",
        help="write a model, its weights or its architecture in another format",
        description="Read a model that any Keras wrote and write it in the format that the suffix of the target says: .keras, .h5, its weights\n"
        "alone as .weights.h5, .weights.json (shards), .npz or .safetensors, its architecture as .json. Weights alone become .weights.h5,\n"
        ".weights.json or .safetensors, an architecture of any age one of today. The state of the optimizer goes along where both hold it.",
        epilog="examples:\n  nyala convert old.h5 new.keras\n  nyala convert model.keras weights.safetensors",
    )
    convert.add_argument("source", metavar="IN", help="a whole model, weights, or an architecture")
    convert.add_argument("target", metavar="OUT", help="where to write it")
    convert.add_argument("--force", action="store_true", help="replace OUT if it exists")
    convert.set_defaults(run=run_convert)

    run = subparsers.add_parser(
        "run",
        help="run a program that was written for Keras or tf.keras",
        usage="nyala run [-h] (PROGRAM | -m MODULE) [ARGUMENT ...]",
        description="Run a Python program, in which `import keras` and `import tensorflow.keras` mean Nyala: programs of Keras 1, 2, 3 and of\n"
        "tf.keras, unchanged. Everything behind the name is for the program. Errors and the exit status are those of Python.",
        epilog="examples:\n  nyala run train.py --epochs 3\n  nyala run -m project.train",
    )
    run.set_defaults(run=run_program)
    return parser, {"demo": demo, "info": info, "inspect": inspect, "convert": convert, "run": run}


def run_demo(options: argparse.Namespace, parser: Parser) -> int:
    """`nyala demo`: check everything that can go wrong first, then train."""
    has_matplotlib = importlib.util.find_spec("matplotlib") is not None
    if options.output and not has_matplotlib:
        parser.error("argument --output: a picture needs matplotlib, which is not installed here; install it: pip install matplotlib")

    from nyala import engines

    try:
        if options.engine is not None:
            engines.set_backend(options.engine)
        found = ability(engines.current())
    except (ValueError, ImportError) as error:
        parser.error(str(error))
    if found != "trains":
        able = next((name for name in (engines.DEFAULT, *engines.available_engines()) if can_train(name)), engines.DEFAULT)  # all would take seconds
        parser.error(f"engine {engines.current_name()!r} {found}, so it cannot train; choose one that does: --engine {able}")

    from nyala.demo import demo

    demo(options.epochs, options.seed, (options.output or Path(PICTURE)) if has_matplotlib else None, options.quiet)
    if not has_matplotlib:
        print("picture: none, since matplotlib is not installed (pip install matplotlib)")
    return 0


def ability(engine: "Engine") -> str:
    """What this engine can do, in two or three words."""
    try:
        engine.to_numpy(engine.asarray(1.0))
    except TypeError:
        return "computes shapes only"
    return "trains" if engine.differentiable else "computes no gradients"


def can_train(name: str) -> bool:
    """Whether the engine of this name is installed and trains."""
    from nyala import engines

    try:
        return ability(engines.get_engine(name)) == "trains"
    except ImportError:
        return False


def run_info(options: argparse.Namespace, parser: Parser) -> int:
    """`nyala info`: one fact a line."""
    import platform
    from importlib.metadata import PackageNotFoundError, version

    import nyala
    from nyala import engines

    def version_of(package: str) -> str:
        try:
            return version(package)
        except PackageNotFoundError:
            return "not installed"

    print(f"nyala {nyala.__version__}, Python {platform.python_version()}, {platform.platform()}")
    print("\npackages")
    for package in ("numpy", "jax", "torch", "h5py", "rich", "matplotlib"):
        print(f"  {package:<12} {version_of(package)}")
    print(f"\nengines (* is the one in force, default {engines.DEFAULT})")
    for name in engines.available_engines():
        mark = "*" if name == engines.current_name() else " "
        try:
            engine = engines.get_engine(name)
        except ImportError as error:
            print(f"{mark} {name:<12} not usable: {' '.join(str(error).split())}")
        else:
            print(f"{mark} {name:<12} {ability(engine)}; devices {', '.join(engine.devices())}")
            if engine.remark():
                print(f"  {'':<12} {engine.remark()}")
    print("\nsettings")
    for setting in ("floatx", "epsilon", "image_data_format"):
        print(f"  {setting:<18} {getattr(nyala.config, setting)()}")
    return 0


def run_inspect(options: argparse.Namespace, parser: Parser) -> int:
    """`nyala inspect`: what is in a file, and whether it would be opened."""
    from nyala.files.inspection import inspect

    summary = inspect(options.file)
    for line in summary.lines():
        print(line)
    return int(bool(summary.problems))


def run_convert(options: argparse.Namespace, parser: Parser) -> int:
    """`nyala convert`: read a file and write what is in it in another format."""
    from nyala.core.errors import NyalaError
    from nyala.files.conversion import convert

    try:
        count = convert(options.source, options.target, overwrite=options.force)
    except (NyalaError, OSError) as error:
        print(f"{parser.prog}: {error}", file=sys.stderr)
        return 1
    print(f"{options.target}: {count:,} parameters")
    return 0


def run_program(arguments: Sequence[str], parser: Parser) -> int:
    """`nyala run`: install the views of old, and run a program as Python does."""
    import runpy

    is_module, given = list(arguments[:1]) == ["-m"], list(arguments)
    given = given[1:] if is_module else given
    if not given or given[0].startswith("-"):
        parser.error("name a program, or -m and a module" if not given else f"there is no option {given[0]!r}")
    if not is_module and not Path(given[0]).exists():
        parser.error(f"can't open file {given[0]!r}: no such file")
    from nyala.legacy import install

    if not is_module:
        choose_engine(Path(given[0]))
    install()
    sys.argv[:] = given
    sys.path[:1] = [str(Path.cwd()) if is_module else str(Path(given[0]).resolve().parent)]
    try:
        if is_module:
            runpy.run_module(given[0], run_name="__main__", alter_sys=True)
        else:
            runpy.run_path(given[0], run_name="__main__")
    except Exception as error:  # shown as Python shows it: without what lies between it and the program
        trace = error.__traceback__
        while trace is not None and trace.tb_frame.f_code.co_filename in (__file__, runpy.__file__, "<frozen runpy>"):
            trace = trace.tb_next
        sys.excepthook(type(error), error.with_traceback(trace), trace)
        return 1
    return 0


def choose_engine(program: Path) -> None:
    """The engine 'tensorflow' for a program that computes with TensorFlow's own functions, if it is installed and nothing else was asked for."""
    from nyala import engines
    from nyala.legacy import programs

    found = programs.first_call(program.read_bytes())
    if found is None or engines.configured() is not None or not programs.is_installed():
        return
    os.environ["NYALA_BACKEND"] = "tensorflow"  # loaded when it is needed, behind the views, and in processes that the program starts
    print(
        f"nyala run: the engine is 'tensorflow', since {program.name} uses {found[0]} (line {found[1]}); NYALA_BACKEND chooses another",
        file=sys.stderr,
    )


def positive(text: str) -> int:
    """A whole number of at least 1."""
    return _integer(text, 1, None)


def seed(text: str) -> int:
    """A whole number that every generator takes as a seed."""
    return _integer(text, 0, MAX_SEED)


def _integer(text: str, low: int, high: int | None) -> int:
    wanted = f"a whole number of at least {low}" if high is None else f"a whole number from {low} to {high}"
    try:
        number = int(text)
    except ValueError:
        number = low - 1
    if number < low or (high is not None and number > high):
        raise argparse.ArgumentTypeError(f"needs {wanted}, got {text!r}")
    return number


def picture_path(text: str) -> Path:
    """Where to write the picture: a folder that exists, or a .png file in one."""
    path = Path(text)
    if path.is_dir():
        return path / PICTURE
    if path.suffix.lower() != ".png":
        raise argparse.ArgumentTypeError(f"needs a folder that exists or a file name ending in .png, got {text!r}")
    if not path.parent.is_dir():
        raise argparse.ArgumentTypeError(f"needs a folder that exists, got {str(path.parent)!r}; make it first")
    return path


if __name__ == "__main__":
    sys.exit(main())
