"""A run's page: the answer first, then what it rests on."""

from __future__ import annotations

from functools import partial

from .. import env, remarks, results
from . import (
    checklist,
    environment,
    kind_ablate,
    kind_compare,
    kind_scale,
    kind_sweep,
    kind_tune,
    numbers,
    plots,
    svg,
    tables,
    threats,
)
from .figures import Figures
from .figures import plots as side_by_side
from .html import Markup, details, document, items, join, section, tag
from .look import Looks
from .style import CSS

BODIES = {
    "compare": kind_compare.body,
    "sweep": kind_sweep.body,
    "ablate": kind_ablate.body,
    "tune": kind_tune.body,
    "scale": kind_scale.body,
}


MOST = 6  # conclusions that are shown unfolded


def conclusions(run: results.Run) -> list[str]:
    """The answer in words: for a comparison each pair in a sentence first, then the run's own.

    Where it has none, the verdict that leads each cell.
    """
    own = list(run.conclusions)
    if not own:
        lead = kind_compare.leading(kind_compare.measured(run))
        own = [f"{cell.id}: {one.verdict}" for cell, one in lead if one.verdict]
    first = kind_compare.headlines(run) if run.kind == "compare" else []
    return [*first, *own]


def page(run: results.Run, source: str | None = None) -> str:
    """The whole document; source names the result file beside it."""
    looks, figures = Looks(run), Figures()
    found = threats.find(run)
    body = BODIES.get(run.kind, kind_compare.body)(run, looks, figures)
    parts = [
        ("noise", "Noise floor", noise(run, looks, figures)),
        ("threats", "Threats to validity", threats.listed(found)),
        ("checklist", "Checklist", checklist.listed(run, found)),
        ("notes", "Notes", items(run.notes) + items(_skipped(run))),
        ("environment", "Environment", environment.described(run) + environment.findings(run)),
        ("commands", "Commands to repeat it", environment.commands(run)),
    ]
    there = [part for part in parts if part[2]]
    sections = [section(ident, name, Markup(content)) for ident, name, content in there]
    links = [(ident, name) for ident, name, _ in there]
    whole = join(
        [
            head(run),
            alarm(run, looks),
            noisy(run),
            answer(run),
            contents(run, links),
            "" if figures.enabled else tag("p", svg.MISSING, class_="alarm"),
            tag("main", body, *sections),
            foot(run, source),
        ]
    )
    return document(f"{title(run)}: torc-bench {run.kind}", CSS, whole)


def head(run: results.Run) -> Markup:
    """What was run, when, of what, and where."""
    commit = env.short_commit(run.environment)
    minutes = f"{run.seconds / 60:.0f} min" if run.seconds >= 90 else f"{run.seconds:.0f} s"
    return tag(
        "header",
        tag("p", f"torc-bench {run.kind}", class_="kind"),
        tag("h1", title(run)),
        tag("p", f"{when(run)}, {minutes}{f', commit {commit}' if commit else ''}", class_="meta"),
        tag("p", env.machine(run.environment), class_="meta"),
    )


def title(run: results.Run) -> str:
    """Its title, beginning as a heading does unless it begins with a name such as io_uring."""
    text = run.title or run.kind
    return text[0].upper() + text[1:] if text.split(" ")[0].isalpha() else text


def when(run: results.Run) -> str:
    """Its start without the T in the middle."""
    return run.started.replace("T", " ")[:16]


def alarm(run: results.Run, looks: Looks) -> Markup:
    """What does not count, named before any figure."""
    lines = tables.invalid(run, looks)
    unlike = [cell.id for cell in run.cells if cell.answers not in (None, "alike")]
    parts = []
    if lines:
        total = sum(len(cell.samples) for cell in run.cells)
        parts.append(
            tag("p", tag("strong", f"{len(lines)} of {total} samples are invalid"), " and left out of every figure:")
        )
        parts.append(items(lines))
    if unlike:
        parts.append(tag("p", tag("strong", "Answers differ between subjects"), ": ", ", ".join(unlike), "."))
    if run.finished is None:
        parts.append(
            tag(
                "p",
                tag("strong", "This run ended early"),
                ": what is here is what was " "measured until then; go on with --resume.",
            )
        )
    return tag("div", *parts, class_="alarm", role="alert") if parts else Markup("")


def is_noisy(run: results.Run) -> bool:
    """Whether something is known to have disturbed the run."""
    return any(line.startswith("noisy: ") for line in remarks.run_warnings(run))


def noisy(run: results.Run) -> Markup:
    """What makes all figures worth less, before any of them."""
    lines = remarks.run_warnings(run)
    if not lines:
        return Markup("")
    lead = "This run was noisy" if is_noisy(run) else "How noisy this run was is not known"
    return tag(
        "div",
        tag("p", tag("strong", lead), ":"),
        items(line.removeprefix("noisy: ") for line in lines),
        class_="alarm caution",
        role="alert",
    )


def answer(run: results.Run) -> Markup:
    """The conclusions, the first one large, those beyond a few folded."""
    lines = conclusions(run) or ["Nothing was concluded: no cell is complete."]
    # A comparison's own list has every workload: where it is summed up, the sum is what is shown.
    first = len(kind_compare.headlines(run)) if run.kind == "compare" else 0
    shown, more = lines[: first or MOST], lines[first or MOST :]
    shown = tag("ol", *(tag("li", line) for line in shown), class_="answer", id="answer")
    return join([shown, details(f"{len(more)} more conclusions", items(more)) if more else ""])


def contents(run: results.Run, links: list[tuple[str, str]]) -> Markup:
    """Links to every section."""
    if run.kind == "compare":
        cells = kind_compare.measured(run)
        links = [(kind_compare.anchor(cell.id), cell.id) for cell in cells] + links
    return tag(
        "nav",
        tag("ul", *(tag("li", tag("a", title, href=f"#{ident}")) for ident, title in links)),
        aria_label="Contents",
    )


def _skipped(run: results.Run) -> list[str]:
    """What a run of some kinds left out, and what its author adds."""
    lines = []
    for row in run.extra.get("skipped") or []:
        if isinstance(row, dict):
            where = ", ".join(f"{key} {value}" for key, value in row.items() if key != "why")
            lines.append(f"Not measured: {where}: {row.get('why')}")
    note = run.extra.get("note")
    return lines + ([note] if isinstance(note, str) and note not in run.notes else [])


def noise(run: results.Run, looks: Looks, figures: Figures) -> Markup:
    """The A/A run in words and dots."""
    cells = [cell for cell in run.cells if kind_compare.is_noise(cell)]
    if not run.noise and not cells:
        return tag("p", "No A/A run was made, so how far two runs of one program differ here is " "not known.")
    parts = []
    if run.noise:
        low, high = run.noise["low"], run.noise["high"]
        reach = max(abs(low - 1), abs(high - 1)) * 100
        inside = low <= 1 <= high
        parts.append(
            tag(
                "p",
                "One program against itself, as if they were two: the ratio of CPU per request "
                f"was {numbers.number(run.noise['median'], 3)}, 95 % interval {numbers.number(low, 3)} "
                f"to {numbers.number(high, 3)}, over {run.noise['pairs']} pairs. "
                + (
                    f"Differences within ±{reach:.1f} % are not told from none here."
                    if inside
                    else "That interval does not contain 1: take differences of this size for none."
                ),
            )
        )
    for cell in cells:
        metric = kind_compare.first_metric(cell)
        parts.append(
            side_by_side(
                figures.add(
                    "The A/A run, every sample",
                    partial(plots.strip, cell, looks, metric),
                    "The same program on both rows.",
                ),
                figures.add(
                    "The A/A run over its rounds",
                    partial(plots.drift, cell, looks, metric),
                    "Each round against its own median.",
                ),
            )
        )
        parts.append(tables.figures(cell, looks))
        parts.append(tables.ratios(cell.ratios, looks))
    return join(parts)


def foot(run: results.Run, source: str | None) -> Markup:
    """Where the raw data is."""
    raw = tag("a", source, href=source) if source else "the result file"
    return tag(
        "footer",
        tag("p", "Every sample: ", raw, ". Written by torc-bench report; this " "page loads nothing and runs nothing."),
    )
