"""The index of runs: newest first, each with its answer in one line."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import quote

from .. import results
from . import environment, kind_compare, page
from .html import Markup, document, tag
from .style import CSS

EMPTY = "No run yet: bench/torc-bench compare io_uring epoll makes one."


def runs_in(directory: Path) -> list[tuple[Path, results.Run]]:
    """The result files that can be read, newest first."""
    found = []
    for path in sorted(directory.glob("*.json")):
        try:
            found.append((path, results.load(path)))
        except results.ResultsError:
            continue
    return sorted(found, key=lambda one: (one[1].started, one[0].name), reverse=True)


def entry(path: Path, run: results.Run) -> Markup:
    """One run."""
    target = path.with_suffix(".html")
    name = page.title(run)
    title: Any = tag("a", name, href=quote(target.name)) if target.exists() else name
    lines = page.conclusions(run)
    invalid = sum(len(cell.invalid) for cell in run.cells)
    commit = environment.short_commit(run)
    facts = [page.when(run), f"commit {commit}" if commit else "", environment.machine(run)]
    cells = kind_compare.measured(run) if run.kind == "compare" else []
    workloads = ", ".join(dict.fromkeys(cell.id for cell in cells))
    return tag(
        "li",
        tag("p", run.kind, class_="kind"),
        tag("p", title, class_="name"),
        tag("p", lines[0] if lines else "Nothing was concluded."),
        tag("p", f"{invalid} samples are invalid.", class_="bad") if invalid else "",
        tag("p", "Ended early.", class_="warn") if run.finished is None else "",
        tag("p", ", ".join(fact for fact in facts if fact), class_="meta"),
        tag("p", workloads, class_="meta") if workloads else "",
    )


def index(directory: Path) -> str:
    """The document."""
    runs = runs_in(directory)
    count = f"{len(runs)} run{'s' if len(runs) != 1 else ''}, newest first."
    body = tag(
        "main",
        tag("p", "torc-bench", class_="kind"),
        tag("h1", "Runs"),
        tag("p", count if runs else EMPTY, class_="meta"),
        tag("ol", *(entry(path, run) for path, run in runs), class_="runs"),
    )  # fmt: skip
    return document("torc-bench: runs", CSS, body)
