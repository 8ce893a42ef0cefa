"""The index of runs: what they answer together, then each, newest first."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import quote

from .. import answer, newest, results
from . import kind_compare, page
from .render import template


def index(directory: Path) -> str:
    """The document."""
    runs, damaged = newest.runs_in(directory)
    entries = [_entry(path, run) for path, run in runs]
    title = "torc-bench: runs"
    return template("index", title=title, answer=answer.answer(runs), runs=entries, damaged=damaged, link=_link)


def _link(path: Path) -> str | None:
    """The address of a result file's page, if it has one."""
    target = path.with_suffix(".html")
    return quote(target.name) if target.exists() else None


def _entry(path: Path, run: results.Run) -> dict[str, Any]:
    """One run."""
    cells = kind_compare.measured(run) if run.kind == "compare" else []
    return {
        "path": path,
        "kind": run.kind,
        "title": page.title(run),
        "line": next(iter(page.conclusions(run)), "No conclusion."),
        "invalid": sum(len(cell.invalid) for cell in run.cells),
        "early": run.finished is None,
        "noisy": page.is_noisy(run),
        "about": ", ".join(filter(None, page.about(run))),
        "workloads": ", ".join(dict.fromkeys(cell.id for cell in cells)),
    }
