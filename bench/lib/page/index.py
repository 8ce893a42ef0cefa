"""The index of runs: what they answer together, then each, newest first, in one line."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import quote

from .. import answer, env, newest, results
from . import kind_compare, page
from .html import Markup, document, join, section, tag
from .style import CSS

EMPTY = "No run yet: bench/torc-bench compare io_uring epoll makes one."


def link(path: Path, name: str) -> Any:
    """The name, as a link to the page of a result file where it has one."""
    target = path.with_suffix(".html")
    return tag("a", name, href=quote(target.name)) if target.exists() else name


def answered(line: newest.Line) -> Markup:
    """What one run says to a question."""
    source: list[Any] = []
    if line.path:
        remark = f", {line.remark}" if line.remark else ""
        name = link(line.path, line.path.stem)
        source = [" ", tag("span", "(", name, f"{remark})", class_="soft")]
    return join(
        [
            tag("p", line.text, *([] if line.word else source)),
            tag("p", tag("strong", line.word), *source) if line.word else "",
        ]
    )


def together(runs: list[tuple[Path, results.Run]]) -> Markup:
    """The answer of all runs."""
    found = answer.answer(runs)
    if found is None:
        return Markup("")
    parts = [join([tag("h3", question), *map(answered, lines)]) for question, lines in found.parts.items()]
    notes = [tag("p", text, class_="meta") for text in (found.about, *found.notes)]
    return section("answer", "Is io_uring worth it here?", *notes, *parts)


def entry(path: Path, run: results.Run) -> Markup:
    """One run."""
    lines = page.conclusions(run)
    invalid = sum(len(cell.invalid) for cell in run.cells)
    commit = env.short_commit(run.environment)
    facts = [page.when(run), f"commit {commit}" if commit else "", env.machine(run.environment)]
    cells = kind_compare.measured(run) if run.kind == "compare" else []
    workloads = ", ".join(dict.fromkeys(cell.id for cell in cells))
    return tag(
        "li",
        tag("p", run.kind, class_="kind"),
        tag("p", link(path, page.title(run)), class_="name"),
        tag("p", lines[0] if lines else "Nothing was concluded."),
        tag("p", f"{invalid} samples are invalid.", class_="bad") if invalid else "",
        tag("p", "Ended early.", class_="warn") if run.finished is None else "",
        tag("p", "Noisy.", class_="warn") if page.is_noisy(run) else "",
        tag("p", ", ".join(fact for fact in facts if fact), class_="meta"),
        tag("p", workloads, class_="meta") if workloads else "",
    )


def index(directory: Path) -> str:
    """The document."""
    runs, damaged = newest.runs_in(directory)
    count = f"{len(runs)} run{'s' if len(runs) != 1 else ''}, newest first."
    body = tag(
        "main",
        tag("p", "torc-bench", class_="kind"),
        tag("h1", "Results"),
        together(runs),
        tag("h2", "Runs"),
        tag("p", count if runs else EMPTY, class_="meta"),
        *(tag("p", f"Left out: {why}", class_="warn") for why in damaged),
        tag("ol", *(entry(path, run) for path, run in runs), class_="runs"),
    )
    return document("torc-bench: runs", CSS, body)
