"""The body of a comparison: all workloads at a glance, then each one."""

from __future__ import annotations

import dataclasses
from functools import partial
from typing import Any, Sequence

from .. import compare, results
from . import plots, scatter, tables
from .figures import Figures
from .figures import plots as side_by_side
from .html import Markup, details, items, join, section, tag
from .look import Looks, cut, legend_of

COST = "cpu_ns_per_request"
BELOW = "ratio (below 1: the first costs less)"


SIDE = ("A/A", "capacity")  # purposes of cells that are no answers themselves


def measured(run: results.Run) -> list[results.Cell]:
    """The cells that answer the question: neither the A/A run nor a search for the capacity."""
    return [cell for cell in run.cells if not is_noise(cell) and cell.factors.get("purpose") not in SIDE]


def is_noise(cell: results.Cell) -> bool:
    """Whether a cell is the A/A run."""
    return cell.id == "noise" or cell.factors.get("purpose") == "A/A"


def first_metric(cell: results.Cell) -> str:
    """The first figure of a cell: what its first ratio is of."""
    return cell.ratios[0].metric if cell.ratios else COST


def spoken(cell: results.Cell) -> list[results.Ratio]:
    """The leading ratios worth a sentence: engines, each with its floor, and peers."""
    pairs = compare.interesting(cell)
    mine = [one for one in cell.ratios if compare.leads(cell, one)]
    return [one for one in mine if (one.numerator, one.denominator) in pairs] or mine


def body(run: results.Run, looks: Looks, figures: Figures) -> Markup:
    """At a glance, then a section for each workload."""
    cells = measured(run)
    probes = [cell for cell in run.cells if cell.factors.get("purpose") == "capacity"]
    return join(
        [
            glance(run, cells, looks, figures),
            *(workload(run, cell, looks, figures) for cell in cells),
            *(folded(cell, looks) for cell in probes),
        ]
    )


def folded(cell: results.Cell, looks: Looks) -> Markup:
    """A cell's figures without plots, folded."""
    parts = [alarm(cell, looks), tables.figures(cell, looks), tables.ratios(cell.ratios, looks)]
    names = cell.names
    what = f"{len(names)} variants" if len(names) > 3 else ", ".join(looks.label(n) for n in names)
    return details(f"{cell.id}: {what}", *parts)


def headlines(run: results.Run) -> list[str]:
    """All workloads in one sentence, for each pair that several of them have."""
    found: dict[tuple[str, str], list[tuple[results.Cell, results.Ratio]]] = {}
    for cell in measured(run):
        for one in spoken(cell):
            if one.metric == COST and one.pairs > 1:  # one round says nothing
                found.setdefault((one.numerator, one.denominator), []).append((cell, one))
    return [_headline(mine, run.noise) + dropped(run, *pair) for pair, mine in found.items() if len(mine) > 1]


def dropped(run: results.Run, one: str, other: str) -> str:
    """Which workloads of both sides are not counted, and why; empty where all are."""
    away = []
    for cell in measured(run):
        metrics = results.metrics(str(cell.workload.get("name")))
        if COST not in metrics or not {one, other} <= set(cell.names):
            continue
        mine = next((r for r in cell.ratios if (r.numerator, r.denominator, r.metric) == (one, other, COST)), None)
        if mine is None or mine.pairs < plots.FEW:
            away.append(f"{cell.id} ({'one pair' if mine else 'no pair'} that counts)")
    return f" Not counted: {', '.join(away)}." if away else ""


def _headline(mine: Sequence[tuple[results.Cell, results.Ratio]], noise: dict[str, Any] | None) -> str:
    cell, first = mine[0]
    pair = f"{cell.label(first.numerator)} against {cell.label(first.denominator)}"
    small = [one for _, one in mine if results.not_above_noise(one.metric, one.low, one.high, noise)]
    less = [(c.id, one) for c, one in mine if one.high < 1 and one not in small]
    more = [(c.id, one) for c, one in mine if one.low > 1 and one not in small]
    parts = [
        f"{word} in {len(some)} of {len(mine)} workloads ({_sizes(some)})"
        for word, some in (("less CPU per request", less), ("more", more))
        if some
    ]
    within = (
        (
            f"a difference within what a server set against itself differs here "
            f"({results.noise_band(noise)}) in {len(small)}"
        )
        if noise and small
        else ""
    )
    if not parts and not small:
        return f"{pair}: no difference in CPU per request detectable in any workload."
    if parts and not less:
        parts[0] = parts[0].replace("more", "more CPU per request", 1)
    same = len(mine) - len(less) - len(more) - len(small)
    none = f"no difference detectable in {same}" if same else ""
    nothing = f"in {len(mine)} workloads no difference in CPU per request to rely on"
    lead = ", ".join(parts) or nothing
    return f"{pair}: {'; '.join(filter(None, (lead, within, none)))}."


def _sizes(some: Sequence[tuple[str, results.Ratio]]) -> str:
    """Names where they are few, and how large the differences are."""
    ratios = sorted((one.median for _, one in some), key=lambda ratio: abs(ratio - 1))
    least, most = results.size(ratios[0]), results.size(ratios[-1])
    least = least.removesuffix(" %") if most.endswith("%") else least
    span = most if len(ratios) == 1 else f"{least} to {most}"
    return f"{' and '.join(name for name, _ in some)}, {span}" if len(some) < 3 else span


def leading(cells: Sequence[results.Cell]) -> list[tuple[results.Cell, results.Ratio]]:
    """The cost ratio of a cell's first two variants, where it has one."""
    found = []
    for cell in cells:
        mine = [one for one in cell.ratios if one.metric == COST]
        first = [one for one in mine if [one.numerator, one.denominator] == cell.names[:2]]
        found += [(cell, one) for one in (first or mine)[:1]]
    return found


def glance(run: results.Run, cells: Sequence[results.Cell], looks: Looks, figures: Figures) -> Markup:
    """The leading ratio of every workload, and that ratio against what a wait returns."""
    lead = leading(cells)
    if len(lead) < 2:
        return Markup("")
    same = len({(one.numerator, one.denominator) for _, one in lead}) == 1
    rows = [named(one, looks, cell.id if same else f"{cell.id} · {looks.pair(one)}") for cell, one in lead]
    what = f"{looks.pair(lead[0][1])}, CPU per request" if same else "CPU per request, ratios"
    overview = figures.add(
        what,
        partial(plots.forest, rows, BELOW, run.noise),
        "Median and 95 % interval; green: detectably less, red: detectably more"
        + plots.hollow(rows)
        + ("; band: the A/A run." if run.noise else "."),
    )
    cause = (
        figures.add(
            "Ratio against completions per wait",
            partial(scatter.batches, lead, looks),
            "What one wait returns is what io_uring can save on: a workload without "
            f"batches has nothing to gain{plots.hollow(rows)}.",
        )
        if same
        else Markup("")
    )
    return section(
        "glance",
        "All workloads at a glance",
        side_by_side(overview, cause),
        tables.ratios([one for _, one in lead], looks, "Each workload's leading ratio")
        if not same
        else _glance_table(lead, looks),
    )


def named(one: results.Ratio, looks: Looks, name: str) -> plots.Bar:
    """A ratio as a row of that name."""
    return dataclasses.replace(plots.bars([one], looks)[0], name=cut(name, 44))


def _glance_table(lead: Sequence[tuple[results.Cell, results.Ratio]], looks: Looks) -> Markup:
    rows = [tables.ratio_row(one, looks, cell.id) for cell, one in lead]
    return tables.table(
        f"{looks.pair(lead[0][1])}, CPU per request, paired by round",
        [tables.Column("Workload"), *tables.RATIO_COLUMNS[2:]],
        [[first, *others] for first, _, *others in rows],
    )


def workload(
    run: results.Run,
    cell: results.Cell,
    looks: Looks,
    figures: Figures,
    level: int = 2,
    lead: Sequence[results.Ratio] = (),
) -> Markup:
    """Verdicts, figures, ratios and plots of one cell; lead: what to speak of, if not its own."""
    costs = list(lead) or spoken(cell)
    others = [one for one in cell.ratios if one not in costs]
    title = cell.workload.get("title") or cell.id
    return section(
        anchor(cell.id),
        cell.id,
        tag("p", f"{title}; {tables.loop(cell.workload)}.", class_="meta"),
        alarm(cell, looks),
        items([one.verdict for one in costs if one.verdict], class_="verdicts"),
        items(cell.notes, class_="soft"),
        tables.figures(cell, looks),
        tables.raw_latency(cell, looks),
        tables.memory(cell, looks),
        side_by_side(*drawn(run, cell, costs, looks, figures)),
        tables.ratios(costs, looks),
        details(
            f"{len(others)} more ratios: other figures, other pairs",
            _others(cell, others, looks, figures),
            tables.ratios(others, looks),
        )
        if others
        else "",
        level=level,
    )


def drawn(
    run: results.Run, cell: results.Cell, costs: Sequence[results.Ratio], looks: Looks, figures: Figures
) -> list[Markup]:
    """The four plots of a cell."""
    names = [name for name in cell.names if cell.valid(name)]
    raw = any(s.latency_raw_us for s in cell.samples)
    metric = first_metric(cell)
    title = results.metric_title(metric)
    same = [one for one in costs if one.metric == metric] or costs
    crosses = "; crosses: invalid samples" if cell.invalid else ""
    noise = run.noise if run.noise and run.noise.get("metric") == metric else None
    band = "; band: the A/A run" if noise else ""
    rows = plots.bars(same, looks)
    return [
        figures.add(
            f"{_capital(title)}, every sample",
            partial(plots.strip, cell, looks, metric),
            "A dot for each round, the first on top; bar: median" + crosses + ". The axis does not begin at 0.",
        ),
        figures.add(
            f"Ratios of {title}",
            partial(plots.forest, rows, BELOW, noise),
            "Median, 95 % interval; green: detectably less, red: detectably more" f"{plots.hollow(rows)}{band}.",
        ),
        figures.add(
            "Latency by percentile",
            partial(plots.percentiles, cell, looks),
            "At each percentile the median of the rounds, as in the table; "
            + (
                "from the intended send time; thin, hollow marks: raw, from the actual one."
                if raw
                else "closed loop: this compares servers, it is not what users see."
                if not cell.workload.get("rate")
                else "from the intended send time."
            ),
            legend_of(looks, names),
        ),
        figures.add(
            f"{_capital(title)} over the rounds",
            partial(plots.drift, cell, looks, metric),
            "Each round against its subject's median: what moves all lines is the machine.",
            legend_of(looks, names),
        ),
    ]


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _others(cell: results.Cell, others: Sequence[results.Ratio], looks: Looks, figures: Figures) -> Markup:
    """The first two subjects in everything else."""
    mine = [one for one in others if [one.numerator, one.denominator] == cell.names[:2]]
    if not mine:
        return Markup("")
    rows = [named(one, looks, results.metric_title(one.metric)) for one in mine]
    return side_by_side(
        figures.add(
            f"{looks.pair(mine[0])}, everything else",
            partial(plots.forest, rows, "ratio"),
            "Median and 95 % interval; green: detectably better, red: detectably worse" f"{plots.hollow(rows)}.",
        )
    )


def alarm(cell: results.Cell, looks: Looks) -> Markup:
    """Invalid samples and unlike answers of a cell, before anything else."""
    lines = [f"Round {s.round + 1}, {looks.label(s.variant)}: {s.invalid}" for s in cell.invalid]
    if cell.answers not in (None, "alike"):
        lines.insert(0, f"Answers are not alike: {cell.answers}")
    if not cell.complete:
        lines.append("This cell was interrupted: rounds are missing.")
    if not lines:
        return Markup("")
    lead = tag("p", tag("strong", "Not all of this counts."))
    return tag("div", lead, items(lines), class_="alarm")


def anchor(name: str) -> str:
    """A cell's name as the target of a link."""
    return "cell-" + "".join(c if c.isalnum() else "-" for c in name).lower()
