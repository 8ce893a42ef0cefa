"""torc-bench report: a page for each result file, and an index of them."""

import argparse
import os
from pathlib import Path
from typing import Sequence

from . import ending, newest, page, results
from .page import svg

SUMMARY = "write an HTML page for each result file, and an index of them"


def add_options(parser: argparse.ArgumentParser) -> None:
    help_text = "result files (all in bench/results); each gets a page beside it"
    parser.add_argument("files", type=Path, nargs="*", metavar="FILE", help=help_text)
    parser.add_argument("--output", type=Path, metavar="DIR", help="write the pages there instead")


def run(options: argparse.Namespace) -> int:
    """Writes the pages and the indexes of their directories; 1 where a file could not be read or has no page."""
    files = options.files or sorted(newest.RESULTS.glob("*.json"))
    if not files:
        return newest.none_in(str(newest.RESULTS))
    if not svg.available():
        ending.tell(f"note: {svg.MISSING}")
    failed, directories, places = False, {}, Places(files)
    for path in places.sources:
        directory = options.output or path.parent
        try:
            print(_page(path, directory, places))
            directories[directory] = True
        except results.ResultsError as error:
            if options.files:
                ending.tell(str(error))
                failed = True
            else:
                newest.left_out(str(error))
        except OSError as error:
            failed = _failed(error, directory)
    for directory in directories:
        try:
            print(page.write_index(directory))
        except OSError as error:
            failed = _failed(error, directory)
    return 1 if failed or not directories else 0


class Places:
    """Files of one call, of which none may be written over another."""

    def __init__(self, files: Sequence[Path]) -> None:
        self.sources = list({os.path.abspath(path): path for path in files}.values())  # each once
        self.taken = {path.resolve(): path for path in self.sources}  # and what is, or will be, in it

    def take(self, target: Path, source: Path) -> Path:
        """The target is of that source from now on."""
        where = target.resolve()
        other = self.taken.setdefault(where, source)
        if other is not source and where != source.resolve():
            what = "one of the files" if where == other.resolve() else f"of {other}"
            raise results.ResultsError(f"{source}: no page of it: {target} is {what}: give it another --output")
        return target


def _page(path: Path, directory: Path, places: Places) -> Path:
    """Writes the page of a file, with the raw data beside it, so that the page's link to it holds."""
    data = results.read(path)
    found = results.parsed(data, path)
    target = places.take(directory / path.name, path)
    place = places.take(page.beside(target), path)
    directory.mkdir(parents=True, exist_ok=True)
    if target.resolve() != path.resolve():
        results.write(data, target)
    return page.write(found, place)


def _failed(error: OSError, directory: Path) -> bool:
    """Says why; a full disk names no file, so the directory is named."""
    ending.tell(f"{error.filename or directory}: {error.strerror or error}")
    return True
