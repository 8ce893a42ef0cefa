"""torc-bench report: a page for each result file, and an index of them."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from . import page, results
from .page import svg, write, write_index

__all__ = ["add_options", "run", "write", "write_index"]

SUMMARY = "write an HTML page for each result file, and an index of them"
RESULTS = Path(__file__).resolve().parents[1] / "results"


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options of report."""
    add = parser.add_argument
    add(
        "files",
        type=Path,
        nargs="*",
        metavar="FILE",
        help="result files (all in bench/results); each gets a page beside it",
    )
    add("--output", type=Path, metavar="DIR", help="write the pages there instead")


def run(options: argparse.Namespace) -> int:
    """Writes the pages and the indexes of their directories; 1 where a file could not be read."""
    files = list(options.files)
    asked = bool(files)
    if not asked:
        files = sorted(RESULTS.glob("*.json"))
        if not files:
            print(f"no result file in {RESULTS}: bench/torc-bench compare io_uring epoll makes one", file=sys.stderr)
            return 1
    failed, directories = False, []
    if not svg.available():
        print(f"note: {svg.MISSING}", file=sys.stderr)
    for path in files:
        directory = options.output or path.parent
        try:
            found = results.load(path)
            directory.mkdir(parents=True, exist_ok=True)
            if options.output:
                _beside(path, options.output)
            made = page.write(found, directory / path.with_suffix(".html").name)
        except results.ResultsError as error:
            if asked:
                print(error, file=sys.stderr)
                failed = True
            else:
                results.left_out(str(error))
            continue
        except OSError as error:
            print(_why(error, directory), file=sys.stderr)
            failed = True
            continue
        print(made)
        if directory not in directories:
            directories.append(directory)
    for directory in directories:
        try:
            made = page.write_index(directory)
        except OSError as error:
            print(_why(error, directory), file=sys.stderr)
            failed = True
            continue
        print(made)
    return 1 if failed or not directories else 0


def _why(error: OSError, directory: Path) -> str:
    """A full disk names no file, so the directory is named."""
    return f"{error.filename or directory}: {error.strerror or error}"


def _beside(path: Path, directory: Path) -> None:
    """Copies the raw data next to its page, so that the page's link to it holds."""
    target = directory / path.name
    if target.resolve() != path.resolve():
        target.write_bytes(path.read_bytes())
