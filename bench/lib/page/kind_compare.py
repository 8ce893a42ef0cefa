"""What the page of a comparison says of its workloads: which ratios lead, and all in a sentence."""

from typing import Sequence

from .. import compare, results, words
from ..verdict import Noise
from ..words import CEILING_SHARE, COST
from . import plots, tables
from .looks import Looks
from .render import Table

Lead = tuple[results.Cell, results.Ratio]


def purpose(cell: results.Cell) -> str | None:
    """What a cell is for."""
    return "A/A" if cell.id == "noise" else cell.factors.get("purpose")


def measured(run: results.Run) -> list[results.Cell]:
    """The cells that answer the question: neither the A/A run nor a search for the capacity."""
    return [cell for cell in run.cells if purpose(cell) not in ("A/A", "capacity")]


def first_metric(cell: results.Cell) -> str:
    """The metric of a cell's first ratio."""
    return cell.ratios[0].metric if cell.ratios else COST


def spoken(cell: results.Cell) -> list[results.Ratio]:
    """The leading ratios worth a sentence: engines, each with its floor, and peers."""
    pairs = compare.interesting(cell)
    mine = [one for one in cell.ratios if compare.leads(cell, one)]
    return [one for one in mine if (one.numerator, one.denominator) in pairs] or mine


def first_pair(cell: results.Cell, ratios: Sequence[results.Ratio]) -> list[results.Ratio]:
    """Those of the first two subjects."""
    return [one for one in ratios if [one.numerator, one.denominator] == cell.names[:2]]


def leading(cells: Sequence[results.Cell]) -> list[Lead]:
    """The cost ratio of each cell's first two variants, or else its first cost ratio."""
    found = []
    for cell in cells:
        mine = [one for one in cell.ratios if one.metric == COST]
        found += [(cell, one) for one in (first_pair(cell, mine) or mine)[:1]]
    return found


def same_pair(lead: Sequence[Lead]) -> bool:
    """Whether all ratios are of the same two subjects."""
    return len({(one.numerator, one.denominator) for _, one in lead}) == 1


def bars(lead: Sequence[Lead], looks: Looks) -> list[plots.Bar]:
    """The leading ratio of each workload as a row of a plot."""
    same = same_pair(lead)
    return [plots.bar(one, cell.id if same else f"{cell.id} · {looks.pair(one)}") for cell, one in lead]


def glance(lead: Sequence[Lead], looks: Looks) -> Table:
    """The same as a table."""
    rows = [[row.name, *tables.ratio_row(one, looks)[2:]] for row, (_, one) in zip(bars(lead, looks), lead)]
    what = f"{looks.pair(lead[0][1])}, CPU per request" if same_pair(lead) else "CPU per request"
    return Table(f"{what}, paired by round", ["Workload", *tables.RATIO_HEADS[2:]], rows)


def headlines(run: results.Run) -> list[str]:
    """All workloads of a comparison in one sentence, for each pair that several of them have."""
    found: dict[tuple[str, str], list[Lead]] = {}
    for cell in measured(run) if run.kind == "compare" else []:
        for one in spoken(cell):
            if one.metric == COST and one.pairs >= plots.FEW:
                found.setdefault((one.numerator, one.denominator), []).append((cell, one))
    several = [_headline(mine, run.noise) + _left_out(run, *pair) for pair, mine in found.items() if len(mine) > 1]
    return several + _beside(run)


def _beside(run: results.Run) -> list[str]:
    """Of the first two subjects, what CPU per request does not tell: the share of a ceiling that they reach where that
    differs, and latency where the rate is given."""
    cells = measured(run) if run.kind == "compare" else []
    mine = [(cell, one) for cell in cells for one in first_pair(cell, cell.ratios) if one.pairs >= plots.FEW]
    shares = [(cell, one) for cell, one in mine if one.metric == CEILING_SHARE]
    found = [f"{cell.id}: {one.verdict}" for cell, one in shares if one.judge(run.noise).kind != "none"]
    for metric in ("latency_us.p50", "latency_us.p99"):
        opened = [(cell, one) for cell, one in mine if one.metric == metric and cell.workload.get("rate")]
        found += [_headline(opened, run.noise)] if len(opened) > 1 and same_pair(opened) else []
    return found


def _left_out(run: results.Run, *pair: str) -> str:
    """Which workloads of both sides are not counted, and why; empty if all are."""
    away = []
    for cell in measured(run):
        pairs = [one.pairs for one in cell.ratios if (one.numerator, one.denominator, one.metric) == (*pair, COST)]
        if COST in results.metrics(cell.workload["name"]) and {*pair} <= {*cell.names} and max(pairs, default=0) < 2:
            away.append(f"{cell.id} ({'one valid pair' if pairs else 'no valid pair'})")
    return f" Not counted: {', '.join(away)}." if away else ""


def _headline(mine: Sequence[Lead], noise: Noise | None) -> str:
    kinds: dict[str, list[Lead]] = {"less": [], "more": [], "none": [], "noise": []}
    for cell, one in mine:
        verdict = one.judge(noise)
        kinds["noise" if verdict.within_noise else verdict.kind].append((cell, one))
    cell, first = mine[0]
    pair, count = f"{cell.label(first.numerator)} against {cell.label(first.denominator)}", len(mine)
    title, said = words.metric_title(first.metric), words.words_of(first.metric)
    if len(kinds["none"]) == count:
        return f"{pair}: no difference in {title} detectable in any workload."
    lead: list[str] = []
    for kind, word in (("less", said.less), ("more", said.more)):
        if some := kinds[kind]:
            what = word if lead else f"{word} {title}"
            lead.append(f"{what} in {len(some)} of {count} workloads ({_sizes(some)})")
    parts = [", ".join(lead) or f"no reliable difference in {title} in {count} workloads"]
    if small := len(kinds["noise"]):
        parts.append(f"a difference within the noise of the A/A run ({words.noise_band(noise)}) in {small}")
    if same := len(kinds["none"]):
        parts.append(f"no difference detectable in {same}")
    return f"{pair}: {'; '.join(parts)}."


def _sizes(some: Sequence[Lead]) -> str:
    """How large the differences are, with the workloads' names where they are few."""
    ratios = sorted((one.median for _, one in some), key=lambda ratio: abs(ratio - 1))
    least, most = words.size(ratios[0]), words.size(ratios[-1])
    least = least.removesuffix(" %") if most.endswith("%") else least
    span = most if len(ratios) == 1 else f"{least} to {most}"
    return f"{' and '.join(cell.id for cell, _ in some)}, {span}" if len(some) < 3 else span
