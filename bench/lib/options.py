"""The options that all measuring subcommands have, and what they take."""

import argparse
from pathlib import Path
from typing import Any, Sequence

from . import workloads
from .subjects import user_command, words

TOP = Path(__file__).resolve().parents[2]
DEFAULT_BUILD = TOP / "build/release"
MOST = 1_000_000  # of anything that is counted: no machine has more, and no day is so long


def positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"takes a whole number above 0, not {text!r}")
    if int(text) > MOST:
        raise argparse.ArgumentTypeError(f"takes a whole number up to {MOST:,}, not {text!r}")
    return int(text)


def seconds(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0.1 <= number <= 3600:
        raise argparse.ArgumentTypeError(f"takes seconds from 0.1 to 3600, not {text!r}")
    return number


def directory(text: str) -> Path:
    path = Path(text)
    if not path.is_dir():
        raise argparse.ArgumentTypeError(f"takes a directory that exists, not {text!r}")
    return path.resolve()


def workload_names(text: str) -> list[str]:
    """Workloads by name; "static-small" stands for all that begin so, "all" for every one."""
    chosen: list[str] = []
    for word in text.split(","):
        names = [name for name in workloads.WORKLOADS if word in ("all", name) or name.startswith(word + "-")]
        if not names:
            raise argparse.ArgumentTypeError(f"takes names of {', '.join(workloads.WORKLOADS)} or all, not {word!r}")
        chosen += names
    return list(dict.fromkeys(chosen))


class Commands(argparse.Action):
    """Keeps every --command; each has a name of its own."""

    def __call__(self, parser: argparse.ArgumentParser, options: argparse.Namespace, one: Any, _: Any = None) -> None:
        kept = getattr(options, self.dest)
        if one.name in [other.name for other in kept]:
            raise argparse.ArgumentError(self, f"{one.name} is named twice: each needs a name of its own")
        setattr(options, self.dest, [*kept, one])


def add_options(parser: argparse.ArgumentParser, skip: Sequence[str] = ()) -> None:
    """The options that every measuring subcommand has, but for those it defines otherwise."""

    def add(name: str, **more: Any) -> None:
        if name not in skip:
            parser.add_argument(name, **more)

    add("--quick", action="store_true", help="fewer and shorter samples")
    add("--pairs", type=positive, metavar="N", help="rounds of each cell (10, or less with --quick)")
    add("--seconds", type=seconds, metavar="S", help="length of each sample")
    add("--connections", type=positive, metavar="N", help="connections of every workload, instead of its own number")
    add("--cores", type=positive, metavar="N", default=1, help="cores of each server (1)")
    add("--server-args", type=words, metavar="ARGS", default=[], help="more options for every torc, as one argument")
    text = "a server of your own, called NAME from then on, with {port} where its port goes (or NAME:PORT=COMMAND); "
    more = {"metavar": "NAME=COMMAND", "action": Commands, "default": [], "help": text + "{cores} and {www} too"}
    add("--command", type=user_command, dest="commands", **more)
    text = "the build directory to measure (build/release)"
    add("--build", type=directory, metavar="DIR", default=DEFAULT_BUILD, help=text)
    add("--json", type=Path, metavar="FILE", help="the result file (bench/results/KIND-TIME.json)")
    add("--resume", type=Path, metavar="FILE", help="go on with a run that was interrupted; its options are in FILE")
