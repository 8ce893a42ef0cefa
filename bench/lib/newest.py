"""Which result files an answer rests on: the newest finished run of every kind, of one machine.

The machine is that of the newest finished run. Runs of another CPU or kernel are left out; a run of
another commit is used where the newest commit has none, and named.
"""

import functools
import os
from pathlib import Path
from typing import Any, Callable, NamedTuple, Sequence

from . import ending, env, remarks, results
from .results import Run
from .words import say

RESULTS = Path(__file__).resolve().parents[1] / "results"
SPOILED = 0.30  # CPUs' worth of other programs from which on a run gives no plain answer

File = tuple[Path, Run]
Useful = Callable[[Run], Any]
Says = Callable[[Run], str]


class Line(NamedTuple):
    """Sentences from one result file; without a path they say what is missing. The word is the
    answer to the question, and remark what a reader must know of the file."""

    text: str
    path: Path | None = None
    word: str = ""
    remark: str = ""


def newest_first(files: Sequence[File]) -> list[File]:
    return sorted(files, key=lambda one: (one[1].instant, one[0].name), reverse=True)


class Files:
    """Which of some result files, at least one, an answer may rest on."""

    def __init__(self, files: Sequence[File]) -> None:
        ordered = newest_first(files)
        finished = [one for one in ordered if one[1].finished is not None]
        self.newest = (finished or ordered)[0]
        self.here = [one for one in ordered if machine(one[1]) == machine(self.newest[1])]
        self.away = [one for one in finished if one not in self.here]

    def pick(self, kind: str, useful: Useful) -> File | None:
        """The newest useful run of that kind, one of the newest commit before all others."""
        mine = [(path, run) for path, run in self.here if run.finished and run.kind == kind and useful(run)]
        same = [one for one in mine if not self.remark(one)]
        return (same or mine or [None])[0]

    def remark(self, file: File) -> str:
        """That a run is of another commit than the newest."""
        mine, newest = commit(file[1]), commit(self.newest[1])
        return "" if mine == newest else f"at {mine}, not {newest}"

    def line(self, file: File, text: str, word: str = "") -> Line:
        """A line that rests on that file; a run that other programs disturbed gives no plain answer."""
        others = remarks.others(file[1])
        said = [self.remark(file)]
        if others > remarks.NOISY_OTHERS:
            said.append(f"while {say('others_used', others)}")
        if word and others > SPOILED:
            word = say("uncertain", word)
        return Line(text, file[0], word, ", ".join(filter(None, said)))

    def tell(self, kind: str, useful: Useful, text: Says, what: str, words: str = "", word: Says | None = None) -> Line:
        """What the newest useful run of that kind says; without one what is missing, and the words of
        the command that answers it."""
        file = self.pick(kind, useful)
        if file:
            return self.line(file, text(file[1]), word(file[1]) if word else "")
        started = next((path for path, run in self.here if not run.finished and run.kind == kind), None)
        return Line(say("missing", what, kind, words, shown(started) if started and not words else None))


def machine(run: Run) -> tuple[Any, Any]:
    """What two runs of one machine have in common."""
    return run.environment.get("kernel"), (run.environment.get("cpu") or {}).get("model")


def commit(run: Run) -> str:
    known = env.short_commit(run.environment)
    return f"commit {known}" if known else "no commit"


def shown(path: Path) -> str:
    """A path as the user would write it."""
    return min(str(path), os.path.relpath(path), key=len)


def runs_in(directory: Path) -> tuple[list[File], list[str]]:
    """The result files of a directory that can be read, newest first, and what is wrong with the
    others, which is also said once."""
    found, damaged = [], []
    for path in sorted(directory.glob("*.json")):
        try:
            found.append((path, results.load(path)))
        except results.ResultsError as error:
            damaged.append(str(error))
            left_out(str(error))
    return newest_first(found), damaged


@functools.cache
def left_out(why: str) -> None:
    """Says once that a file among others was passed over."""
    ending.tell(f"left out: {why}")


def none_in(place: str) -> int:
    """Says that there is nothing to read; the exit status."""
    ending.tell(f"no result file in {place}: bench/torc-bench compare io_uring epoll makes one")
    return 1
