"""Result files as HTML pages that need nothing but themselves.

page.py chooses what a page says, one kind_*.py for each kind of run prepares its data, plots draw,
and the templates beside them lay it out.
"""

from pathlib import Path

from .. import results
from . import page

INDEX = "index.html"


def beside(source: Path) -> Path:
    """Where the page of a result file goes: beside it, under its name. Refuses a name that leaves no place for one."""
    target = source.with_suffix(".html")
    if target.resolve() == source.resolve():
        raise results.ResultsError(f"{source} would be its own page: name it otherwise, as {source.stem}.json")
    if target.name == INDEX:
        raise results.ResultsError(f"{source}: its page would be the index of the pages, {target}: name it otherwise")
    results.refuse_too_long(target)
    return target


def write(run: results.Run, path: Path) -> Path:
    """Writes a run's page; the result file is taken to be beside it under the same name."""
    source = path.with_suffix(".json")
    return _written(path, page.page(run, source.name if source.exists() else None))


def write_index(directory: Path) -> Path:
    """Writes index.html over the result files in a directory."""
    return _written(directory / INDEX, page.index(directory))


def _written(path: Path, content: str) -> Path:
    results.write(content.encode("utf-8", errors="replace"), path)
    return path
