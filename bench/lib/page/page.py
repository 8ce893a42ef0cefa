"""A run's page, the answer first and then what it rests on, and the index of runs."""

import dataclasses
import os
import shlex
from pathlib import Path
from typing import Any, Iterator, Mapping
from urllib.parse import quote

from .. import answer, env, newest, remarks, results, words
from . import checklist, kind_ablate, kind_compare, kind_explain, kind_scale, kind_sweep, kind_tune
from . import numbers, plots, svg, tables, threats
from .looks import Looks
from .render import template

MOST = 6  # conclusions that are shown unfolded
KINDS = (kind_ablate, kind_compare, kind_scale, kind_sweep, kind_tune)
TOOLS = (numbers, plots, svg, tables, words)
LISTS = "cannot", "candidates", "effects", "engines", "full", "knees", "points", "rungs", "skipped", "steps"
REST = "basis", "basis_text", "config", "config_file", "confirmation", "note", "total", "winner", "workload"
EXTRA = {**dict.fromkeys(LISTS, ()), **dict.fromkeys(REST), "fits": {}}  # of a run that concluded nothing
UNKNOWN = "unknown"


def page(run: results.Run, source: str | None = None) -> str:
    """The whole document; source names the result file beside it."""
    return (explanation if run.kind == "explain" else comparison)(run, source)


def explanation(run: results.Run, source: str | None) -> str:
    """The page of experiments: the question, the answer, and each claim."""
    warnings = remarks.run_warnings(run)
    return template(
        "explain",
        kind_explain=kind_explain,
        remarks=remarks,
        svg=svg,
        words=words,
        run=run,
        experiments=kind_explain.ordered(run.extra.get("experiments", ()), run.extra.get("left_out", ())),
        draw=svg.Draw(),
        source=source,
        title=title(run),
        about=about(run),
        shown=conclusions(run),
        warnings=warnings,
        notes=[note for note in run.notes if note not in warnings],
        facts=facts(run),
        steps=steps(run),
    )


def comparison(run: results.Run, source: str | None) -> str:
    """The page of a run that compares subjects."""
    run = dataclasses.replace(run, extra=EXTRA | run.extra)
    found, lines = threats.find(run), conclusions(run)
    unknown = sum(value == UNKNOWN for _, value in flat(run.environment))
    # A comparison's own conclusions have every workload: its headlines sum them up.
    first = len(kind_compare.headlines(run)) or MOST
    return template(
        "page",
        **{module.__name__.rpartition(".")[2]: module for module in (*KINDS, *TOOLS)},
        run=run,
        extra=run.extra,
        cells=kind_compare.measured(run),
        noise_cells=[cell for cell in run.cells if kind_compare.purpose(cell) == "A/A"],
        looks=Looks(run),
        draw=svg.Draw(),
        source=source,
        title=title(run),
        about=about(run),
        shown=lines[:first],
        more=lines[first:],
        invalid=[(cell, one) for cell in run.cells for one in cell.invalid],
        unlike=[cell.id for cell in run.cells if cell.answers not in (None, "alike")],
        warnings=[line.removeprefix("noisy: ") for line in remarks.run_warnings(run)],
        noisy=is_noisy(run),
        threats=found,
        checklist=checklist.table(run, len(found), unknown),
        notes=[*run.notes, *_left_out(run)],
        facts=facts(run),
        steps=steps(run),
        join=shlex.join,
    )


def index(directory: Path) -> str:
    """The index of runs: what they answer together, then each, newest first."""
    runs, damaged = newest.runs_in(directory)
    told = {"answer": answer.answer(runs), "runs": runs, "damaged": damaged}
    tools = {"title_of": title, "about": about, "conclusions": conclusions, "is_noisy": is_noisy}
    return template("index", title="torc-bench: runs", link=_link, measured=kind_compare.measured, **told, **tools)


def _link(path: Path) -> str | None:
    """The address of a result file's page, if it has one."""
    target = path.with_suffix(".html")
    return quote(os.fsencode(target.name)) if target.exists() else None


def conclusions(run: results.Run) -> list[str]:
    """The answer in words: for a comparison each pair in a sentence first, then the run's own, or
    else the verdict that leads each cell."""
    lead = kind_compare.leading(kind_compare.measured(run))
    own = run.conclusions or [f"{cell.id}: {one.verdict}" for cell, one in lead if one.verdict]
    return [*kind_compare.headlines(run), *own]


def _left_out(run: results.Run) -> list[str]:
    """What a run skipped, and its own note."""
    lines, note = [], run.extra["note"]
    for row in run.extra["skipped"]:
        where = ", ".join(f"{key} {value}" for key, value in row.items() if key != "why")
        lines.append(f"Not measured: {where}: {row['why']}")
    return lines + ([note] if note and note not in run.notes else [])


def title(run: results.Run) -> str:
    """Its title with a capital, unless it begins with a name such as io_uring."""
    text = run.title or run.kind
    return text[0].upper() + text[1:] if text.split(" ")[0].isalpha() else text


def about(run: results.Run) -> list[str]:
    """When it was made, how long it took, of what commit, and on what machine."""
    commit = env.short_commit(run.environment)
    length = f"{run.seconds / 60:.0f} min" if run.seconds >= 90 else f"{run.seconds:.0f} s"
    when = f"{run.started.replace('T', ' ')[:16]}, {length}"
    return [f"{when}, commit {commit}" if commit else when, env.machine(run.environment)]


def is_noisy(run: results.Run) -> bool:
    """Whether something is known to have disturbed the run."""
    return any(line.startswith("noisy: ") for line in remarks.run_warnings(run))


def flat(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Everything in nested maps and lists as pairs of a name and a value."""
    if isinstance(value, Mapping) and value:
        for key, one in value.items():
            name = str(key) if "." in str(key) else str(key).replace("_", " ")
            yield from flat(one, f"{path} · {name}" if path else name)
    elif isinstance(value, list) and any(isinstance(one, (Mapping, list)) for one in value):
        for number, one in enumerate(value):
            yield from flat(one, f"{path} {number + 1}")
    elif isinstance(value, list) and value:
        yield path, ", ".join(text for one in value for _, text in flat(one))
    elif isinstance(value, bool):
        yield path, "yes" if value else "no"
    else:
        yield path, "none" if value in ([], {}) else UNKNOWN if value in (None, "") else str(value)


def facts(run: results.Run) -> dict[str, list[tuple[str, str]]]:
    """The environment and the options, by topic."""
    topics = {key: one for key, one in run.environment.items() if isinstance(one, Mapping)}
    plain = {key: one for key, one in run.environment.items() if key not in topics} | {"pinning": run.pinning}
    named = {"CPU" if key == "cpu" else key.replace("_", " ").capitalize(): one for key, one in topics.items()}
    found = {"Machine and kernel": plain, **named, "Options of this run": run.options}
    return {name: list(flat(one)) for name, one in found.items() if one}


def steps(run: results.Run) -> list[str]:
    """The commands that build and run the same again."""
    commit = (run.environment.get("git") or {}).get("commit")
    kind = ((run.environment.get("build") or {}).get("options") or {}).get("buildtype")
    build = [f"meson setup build/release --buildtype={kind}", "meson compile -C build/release"]
    start = [f"git checkout {commit}"] if commit else []
    return [*start, *(build if kind else []), *([shlex.join(run.command)] if run.command else [])]
