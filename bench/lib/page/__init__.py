"""Result files as HTML pages that need nothing but themselves.

The parts: html (elements), style (colours), svg (matplotlib to inline SVG), look (colours of
variants), plots, tables, one kind_*.py for each kind of run, threats, checklist, environment, page
and index.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from .. import results
from . import index, page


def write(run: results.Run, path: Path) -> Path:
    """Writes a run's page; the result file is taken to be beside it under the same name."""
    source = path.with_suffix(".json").name
    return _replace(path, page.page(run, source if path.with_suffix(".json").exists() else None))


def write_index(directory: Path) -> Path:
    """Writes index.html over the result files in a directory."""
    return _replace(directory / "index.html", index.index(directory))


def _replace(path: Path, content: str) -> Path:
    """Writes a file whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as out:
            os.fchmod(out.fileno(), 0o644)
            out.write(content)
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    return path
