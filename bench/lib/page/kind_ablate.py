"""What each feature is worth, out of the full set and into the bare one.

A bar of the waterfall is what the feature's paired ratio makes of the cost that the chart begins
with. The rounds' differences in µs are not used: where the machine changes between rounds, their
median and that of the ratios may have different signs, and the tables have the ratios.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Mapping, Sequence

from .. import ablate, features, results
from . import numbers, plots, svg
from .kind_compare import measured
from .render import Table, toned

WORDS = {"none": "not detectable", "unmeasured": "not measured"}
TONES = {"saves": "good", "costs": "bad"}
MOVED = {"bare": ablate.INTO, "full": ablate.OUT}
Effect = Mapping[str, Any]


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


def whole_cell(run: results.Run) -> results.Cell | None:
    """The comparison of the full set with the bare one."""
    name = (run.extra.get("total") or {}).get("cell")
    return next((cell for cell in measured(run) if cell.id == name), None)


def hider(effect: Effect, full: Sequence[str]) -> str | None:
    """The feature of the full set that the engine runs instead of this one, so that taking this one
    out of full does nothing."""
    other = features.HIDDEN_BY.get(effect["feature"])
    return other if effect["context"] == ablate.OUT and other in full else None


def costing(extra: Mapping[str, Any]) -> list[str]:
    """The features that cost rather than save."""
    effects = [one for one in extra["effects"] if one["verdict"] == "costs" and not hider(one, extra["full"])]
    return list(dict.fromkeys(one["feature"] for one in effects))


def steps(extra: Mapping[str, Any], start: str) -> list[Step]:
    """The rows from start, bare or full, to the other; none where the total or an effect was not
    measured."""
    total = extra.get("total") or {}
    first, whole = total.get(f"{start}_us"), total.get("ratio")
    rows = [row for row in extra["effects"] if row["context"] == MOVED[start]]
    hidden = [row for row in rows if hider(row, extra["full"])]
    rows = [row for row in rows if row not in hidden]
    if not first or not whole or not rows or not all(row["ratio"] for row in rows):
        return []
    at = base = first["median"]
    power, sign = (1, "×") if start == "bare" else (-1, "÷")
    made = [Step(start, "total", at, at, first["low"], first["high"], f"{numbers.number(base, 3)} µs")]
    for row in sorted(rows, key=lambda row: float(row["ratio"]["median"])):
        median, one, other = (base * (row["ratio"][key] ** power - 1) for key in ("median", "low", "high"))
        words = f"{sign} {row['ratio']['median']:.3f}, {signed(median)} µs"
        low, high = at + min(one, other), at + max(one, other)
        made.append(Step(row["feature"], row["verdict"], at, at + median, low, high, words))
        at += median
    for row in hidden:
        made.append(Step(row["feature"], "hidden", at, at, at, at, f"hidden by {hider(row, extra['full'])}"))
    last, one, other = (base * whole[key] ** power for key in ("median", "low", "high"))
    made.append(Step("beyond the sum", "rest", at, last, last, last, f"{signed(last - at)} µs"))
    words = f"{sign} {whole['median']:.3f}, {numbers.number(last, 3)} µs"
    end = "full" if start == "bare" else "bare"
    return [*made, Step(end, "total", last, last, min(one, other), max(one, other), words)]


def signed(value: float) -> str:
    """µs with a sign."""
    return f"{value:+.3f}".replace("-", "−")


def waterfall(rows: Sequence[Step], width: float = svg.WIDTH) -> Any:
    """A bar for each, which begins where the one above it ends."""
    if len(rows) < 3:
        return None
    made, axes = plots.rows_figure(len(rows), width)
    plots.fit(axes, [one for row in rows for one in (row.start, row.end, row.low, row.high)])
    for number, row in enumerate(rows):
        y = plots.middle(number)
        plots.row_text(axes, number, row.label, row.words)
        if row.kind == "total":
            axes.plot([row.end], [y], "D", color=svg.INK, markersize=6, gid="mark")
        elif row.kind != "hidden":
            colour, alpha = svg.COLOUR[TONES.get(row.kind, "soft")], 0.3 if row.kind == "rest" else 0.6
            axes.barh(y, row.end - row.start, left=row.start, height=0.32, color=colour, alpha=alpha, gid="mark")
        if row.kind not in ("rest", "hidden"):
            axes.plot([row.low, row.high], [y, y], color=svg.INK, linewidth=1.3, gid="mark")
        if number + 1 < len(rows):  # to where the next bar begins
            ends = [y - 0.16, plots.middle(number + 1) + 0.16]
            axes.plot([row.end, row.end], ends, color=svg.SOFT, linewidth=0.7)
    axes.set_xlabel("server CPU per request, µs (not from 0)")
    return made


def ratios(extra: Mapping[str, Any], start: str) -> list[plots.Bar]:
    """Each feature's ratio with its interval, then those that another hides."""
    rows, hidden = [], []
    for one in extra["effects"]:
        if one["context"] != MOVED[start]:
            continue
        if other := hider(one, extra["full"]):
            hidden.append(plots.Bar(one["feature"], 1, 1, 1, instead=f"hidden by {other}"))
        elif found := one["ratio"]:
            colour = svg.COLOUR[TONES.get(one["verdict"], "soft")]
            pairs = found.get("pairs", plots.FEW)
            rows.append(plots.Bar(one["feature"], found["median"], found["low"], found["high"], colour, pairs))
    return [*sorted(rows, key=lambda row: row.median), *hidden]


def in_words(extra: Mapping[str, Any]) -> list[str]:
    """Every effect as a sentence, with why it is none in the full set itself."""
    lines = []
    for one in extra["effects"]:
        other = hider(one, extra["full"])
        if one.get("text"):
            lines.append(one["text"] + (f" In the full set {other} hides it." if other else ""))
    return lines


def table(extra: Mapping[str, Any]) -> Table:
    """Every effect as a row. A hidden one has no figures: its pair stands on another set, and what it
    says is among all comparisons."""
    rows = []
    for one in extra["effects"]:
        other, found, verdict = hider(one, extra["full"]), one["ratio"], one["verdict"]
        about = "; ".join(filter(None, (one.get("title"), one.get("note"))))
        if other or not found:
            word = toned(f"hidden by {other}" if other else WORDS.get(verdict, verdict), "note")
            rows.append([one["feature"], one["context"], None, None, None, word, about])
            continue
        change, low, high = (numbers.signed_percent(found[key]) for key in ("median", "low", "high"))
        word = toned(WORDS.get(verdict, verdict), TONES.get(verdict, "note"))
        rows.append([one["feature"], one["context"], change, f"{low} to {high}", found.get("pairs"), word, about])
    heads = ["Feature", "Moved", "Change", "95 % interval", "Pairs", "The feature", "About"]
    return Table("CPU per request with the feature against without it, paired by round", heads, rows)
