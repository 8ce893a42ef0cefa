"""The file of a run: made before anything is measured, never in place of another run's, and kept
only with samples in it."""

import itertools
import os
import shlex
from pathlib import Path
from typing import Callable

from . import results
from .results import Run
from .subject import SubjectError

Beside = Callable[[Path], object]  # refuses a result file whose name leaves no place for what is written beside it


def refuse_to_replace(path: Path) -> None:
    """Refuses a file that holds more than a run which ended before its first sample."""
    if not path.is_file():
        raise SubjectError(f"--json: {path} is no regular file")
    try:
        run = results.load(path)
    except results.ResultsError as error:
        raise SubjectError(f"--json: {error}, and is not written over") from error
    if run.measured:
        again = f"go on with that by --resume {shlex.quote(str(path))}, or name another file"
        raise SubjectError(f"--json: {path} has the samples of another run: {again}")


class Record:
    """Where a run is written: a file that goes on (resumed), one that the user chose, or else the
    path with the first number that is free."""

    def __init__(self, run: Run, path: Path, chosen: bool, resumed: bool, beside: Beside | None = None) -> None:
        self.run, self.path, self.beside = run, path, beside
        self.chosen, self.resumed = chosen, resumed
        self.made = self.kept = False  # whether the file is of this run, and has samples of it

    def make(self) -> None:
        """Makes the file: a place where none can be written is refused, and of runs that begin in
        the same second each has its own."""
        option = "--resume" if self.resumed else "--json"
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._claim()
            results.save(self.run, self.path)
        except OSError as error:
            raise SubjectError(f"{option}: {self.path} cannot be written: {error.strerror or error}") from error
        except results.ResultsError as error:
            raise SubjectError(f"{option}: {error}") from error

    def _claim(self) -> None:
        first = self.path
        for number in itertools.count(2):
            if self.beside and self.path.name:
                self.beside(self.path)
            try:
                os.close(os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644))
                self.made = True
                return
            except FileExistsError:
                if self.resumed:
                    return
                if self.chosen:
                    return refuse_to_replace(self.path)
                self.path = first.with_stem(f"{first.stem}-{number}")

    def save(self) -> None:
        results.save(self.run, self.path)
        self.kept = self.run.finished is not None or self.run.measured

    def drop_empty(self) -> None:
        if self.made and not self.kept:
            self.path.unlink(missing_ok=True)
