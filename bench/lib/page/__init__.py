"""Result files as HTML pages that need nothing but themselves.

page.py chooses what a page says, one kind_*.py for each kind of run prepares its data, plots draw,
and the templates beside them lay it out.
"""

import os
from pathlib import Path

from .. import results
from . import page


def write(run: results.Run, path: Path) -> Path:
    """Writes a run's page; the result file is taken to be beside it under the same name."""
    source = path.with_suffix(".json")
    return _replace(path, page.page(run, source.name if source.exists() else None))


def write_index(directory: Path) -> Path:
    """Writes index.html over the result files in a directory."""
    return _replace(directory / "index.html", page.index(directory))


def _replace(path: Path, content: str) -> Path:
    """Writes a file whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        part.write_text(content, encoding="utf-8", errors="replace")
        return part.replace(path)
    finally:
        part.unlink(missing_ok=True)
