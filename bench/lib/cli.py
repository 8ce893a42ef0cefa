"""The command line of torc-bench: its subcommands, and how each of them ends."""

import argparse
import difflib
import os
from typing import Any, NoReturn, Sequence

from . import ablate, alone, answer, answers, compare, diff, doctor, ending, explain, generators
from . import proc, report, results, scale, subject, sweep, tune
from .labpage import lab

SUBCOMMANDS = (compare, sweep, ablate, tune, scale, generators, explain, lab, answer, report, diff, doctor)
PLACES = ("--build", "--config-file")  # options that --resume reads again, maybe elsewhere


class Parser(argparse.ArgumentParser):
    """Wrong options: one line and exit 2."""

    def __init__(self, *words: Any, **more: Any) -> None:
        self.names: list[str] = []  # of its options
        self.commands: dict[str, Parser] = {}
        super().__init__(*words, **more)

    def add_argument(self, *words: Any, **more: Any) -> argparse.Action:
        self.names += [word for word in words if word.startswith("--")]
        return super().add_argument(*words, **more)

    def error(self, message: str) -> NoReturn:
        message = message.removeprefix("argument ")
        if message == "--server-args: expected one argument":  # '--depth 64' is one, --no-direct an option
            message += ", as in --server-args=--no-direct"
        ending.say(message)
        self.exit(2)

    def unknown(self, words: Sequence[str]) -> str:
        """What is said of arguments that it does not take."""
        given = next((word.partition("=")[0] for word in words if word.startswith("--")), "")
        nearest = difflib.get_close_matches(given, self.names, 1)
        return f"unrecognized arguments: {' '.join(words)}" + (f", did you mean {nearest[0]}?" if nearest else "")


def build_parser() -> Parser:
    text = "Measures what io_uring is worth on this machine."
    parser = Parser(prog="torc-bench", allow_abbrev=False, description=text)
    subparsers = parser.add_subparsers(dest="kind", metavar="COMMAND", required=True)
    for module in SUBCOMMANDS:
        name = module.__name__.rpartition(".")[2]
        sub = subparsers.add_parser(name, help=module.SUMMARY, description=module.SUMMARY, allow_abbrev=False)
        module.add_options(sub)
        sub.set_defaults(run=module.run)
        parser.commands[name] = sub
    return parser


def anywhere(words: Sequence[str]) -> list[str]:
    """A command line that means the same in every directory."""
    found = []
    for before, word in zip(["", *words], words):
        name, given, value = word.partition("=")
        if before in PLACES:
            word = os.path.abspath(word)
        elif name in PLACES and given:
            word = f"{name}={os.path.abspath(value)}"
        found.append(word)
    return found


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """The options; those of an interrupted run come from its file."""
    parser = build_parser()
    options, unknown = parser.parse_known_args(arguments)
    if unknown:
        parser.error(parser.commands[options.kind].unknown(unknown))
    options.argv = anywhere(arguments)
    file = getattr(options, "resume", None)
    if file is None:
        return options
    try:
        run = results.load(file)
    except results.ResultsError as error:
        parser.error(f"--resume: takes a result file: {error}")
    if not file.is_file():
        parser.error(f"--resume: takes a result file: {file}: no regular file")
    if run.kind != options.kind:
        parser.error(f"--resume: {file} is of torc-bench {run.kind}, not {options.kind}")
    words = arguments[1:]
    if not (len(words) == 1 or len(words) == 2 and words[0] == "--resume"):
        parser.error("--resume: goes alone, for the other options come from its file")
    options = parser.parse_args(run.command[1:])
    options.argv, options.resume, options.resumed = run.command[1:], file, run
    return options


def main(arguments: Sequence[str]) -> int:
    """0 good, 1 failed or invalid samples, 2 wrong options, 3 another one measures, 128 and the
    signal's number."""
    ending.expect()
    try:
        status = _run(arguments)
    finally:
        if proc.Child.living:
            proc.Child.stop_all()
        written = ending.flush()
    return status if written else status or 1


def _run(arguments: Sequence[str]) -> int:
    try:
        options = parse(arguments)
        return int(options.run(options))
    except (subject.SubjectError, proc.ProcessError, answers.AnswerError, results.ResultsError) as error:
        ending.say(str(error))
        return {alone.Busy: 3, subject.SubjectError: 2}.get(type(error), 1)
    except ending.Ended as end:
        return end.status()
    except SystemExit as end:  # of the parser: what it printed may still have to be written
        return int(end.code or 0)
    except BrokenPipeError:
        return 1
    except OSError as error:
        ending.failed(error)
        return 1
