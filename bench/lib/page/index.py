"""The index of runs: what they answer together, then each, newest first."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import quote

from .. import answer, env, newest, results
from . import kind_compare, page
from .render import template


def index(directory: Path) -> str:
    """The document."""
    runs, damaged = newest.runs_in(directory)
    together = answer.answer(runs)
    entries = [_entry(path, run) for path, run in runs]
    return template("index", title="torc-bench: runs", answer=together, runs=entries, damaged=damaged, link=_link)


def _link(path: Path) -> str | None:
    """The address of a result file's page, if it has one."""
    target = path.with_suffix(".html")
    return quote(target.name) if target.exists() else None


def _entry(path: Path, run: results.Run) -> dict[str, Any]:
    """One run."""
    lines = page.conclusions(run)
    commit = env.short_commit(run.environment)
    facts = [page.when(run), f"commit {commit}" if commit else "", env.machine(run.environment)]
    cells = kind_compare.measured(run) if run.kind == "compare" else []
    return {
        "path": path,
        "kind": run.kind,
        "title": page.title(run),
        "line": lines[0] if lines else "No conclusion.",
        "invalid": sum(len(cell.invalid) for cell in run.cells),
        "early": run.finished is None,
        "noisy": page.is_noisy(run),
        "facts": ", ".join(filter(None, facts)),
        "workloads": ", ".join(dict.fromkeys(cell.id for cell in cells)),
    }
