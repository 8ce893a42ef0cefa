"""From bare up to full and from full down to bare, feature by feature.

A bar is what the feature's paired ratio makes of the cost that the chart begins with. The rounds'
differences in µs are not used: where the machine changes between rounds, their median and that of
the ratios may have different signs, and the tables have the ratios.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Mapping, Sequence

from .. import ablate, features
from . import numbers, plots, svg
from .look import cut

TONES = {"saves": "good", "costs": "bad"}


@dataclass(frozen=True)
class Step:
    """A row: where it begins and ends, its interval, and its figures in words, all in µs."""

    label: str
    kind: str  # total, rest, hidden, or an effect's verdict
    start: float
    end: float
    low: float
    high: float
    words: str


def hider(row: Mapping[str, Any], full: Sequence[str]) -> str | None:
    """The feature of the full set that the engine runs instead of this one, so that taking this one
    out of full does nothing."""
    other = features.HIDDEN_BY.get(str(row.get("feature")))
    return other if row.get("context") == ablate.OUT and other in full else None


def steps(extra: Mapping[str, Any], start: str) -> list[Step]:
    """The rows from start, bare or full, to the other; none where the total or an effect was not
    measured."""
    up = start == "bare"
    context, end = (ablate.INTO, "full") if up else (ablate.OUT, "bare")
    total = extra.get("total") or {}
    first, whole = total.get(f"{start}_us"), total.get("ratio")
    rows = [row for row in extra.get("effects") or [] if row.get("context") == context]
    hidden = [row for row in rows if hider(row, extra.get("full") or [])]
    rows = [row for row in rows if row not in hidden]
    if not first or not whole or not rows or any(not row.get("ratio") for row in rows):
        return []
    base = first["median"]

    def cost(ratio: Mapping[str, float], key: str) -> float:
        """What the reference becomes with the feature put in, or taken out."""
        return base * ratio[key] if up else base / ratio[key]

    def figures(ratio: Mapping[str, float], text: str) -> str:
        return f"{'×' if up else '÷'} {ratio['median']:.3f}, {text} µs"

    at = base
    made = [Step(start, "total", at, at, first["low"], first["high"], f"{numbers.number(base, 3)} µs")]
    for row in sorted(rows, key=lambda row: float(row["ratio"]["median"])):
        ratio = row["ratio"]
        more, *ends = (cost(ratio, key) - base for key in ("median", "low", "high"))
        made.append(
            Step(
                str(row["feature"]),
                str(row["verdict"]),
                at,
                at + more,
                at + min(ends),
                at + max(ends),
                figures(ratio, signed(more)),
            )
        )
        at += more
    made += [
        Step(str(row["feature"]), "hidden", at, at, at, at, f"hidden by {hider(row, extra['full'])}") for row in hidden
    ]
    last, *ends = (cost(whole, key) for key in ("median", "low", "high"))
    made.append(Step("beyond the sum", "rest", at, last, last, last, f"{signed(last - at)} µs"))
    made.append(Step(end, "total", last, last, min(ends), max(ends), figures(whole, numbers.number(last, 3))))
    return made


def tone(verdict: str) -> str:
    """The colour of an effect."""
    return svg.COLOUR[TONES.get(verdict, "soft")]


def signed(value: float) -> str:
    """Three decimals with a sign."""
    return f"{value:+.3f}".replace("-", "−")


def draw(rows: Sequence[Step], width: float = svg.WIDTH) -> Any:
    """A bar for each, which begins where the one above it ends."""
    if len(rows) < 3:
        return None
    made, axes = plots.rows_figure(len(rows), width)
    plots.fit(axes, [one for row in rows for one in (row.start, row.end, row.low, row.high)])
    for number, row in enumerate(rows):
        plots.row_text(axes, number, cut(row.label), row.words)
    for number, row in enumerate(rows):
        y = plots.middle(number)
        if row.kind == "total":
            svg.mark(axes.plot([row.end], [y], "D", color=plots.INK, markersize=6))
        elif row.kind != "hidden":
            svg.mark(
                axes.barh(
                    y,
                    row.end - row.start,
                    left=row.start,
                    height=0.32,
                    color=tone(row.kind),
                    alpha=0.3 if row.kind == "rest" else 0.6,
                ).patches
            )
        if row.kind not in ("rest", "hidden"):
            svg.mark(axes.plot([row.low, row.high], [y, y], color=plots.INK, linewidth=1.3))
        if number + 1 < len(rows):  # to where the next bar begins
            plots.upright(axes, row.end, y - 0.16, plots.middle(number + 1) + 0.16, color=plots.SOFT, linewidth=0.7)
    axes.set_xlabel("server CPU per request, µs (not from 0)")
    return made
