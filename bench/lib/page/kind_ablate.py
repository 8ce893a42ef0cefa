"""What each feature is worth, out of the full set and into the bare one.

A bar of the waterfall is what the feature's paired ratio makes of the cost that the chart begins
with. The rounds' differences in µs are not used: where the machine changes between rounds, their
median and that of the ratios may have different signs, and the tables have the ratios.
"""

from typing import Any, Mapping, NamedTuple, Sequence

from .. import ablate, features, results
from . import numbers, plots, svg
from .kind_compare import measured
from .render import Table, toned
from .svg import INK, MARK, SOFT

WORDS = {"none": "not detectable", "unmeasured": "not measured"}
TONES = {"saves": "good", "costs": "bad"}
MOVED = {"bare": ablate.INTO, "full": ablate.OUT}
BOUNDS = ("median", "low", "high")
Effect = dict[str, Any]  # a row of the run's extra


class Step(NamedTuple):
    """A row: where it begins and ends, its interval, and its figures in words, all in µs."""

    label: str
    kind: str  # total, rest, hidden, or an effect's verdict
    start: float
    end: float
    low: float
    high: float
    words: str


def effects(extra: Mapping[str, Any]) -> list[Effect]:
    """The effects, each with the feature of the full set that the engine runs instead, if any: to
    take a hidden feature out of the full set does nothing, and its pair stands on another set."""
    found = []
    for row in extra["effects"]:
        other = features.HIDDEN_BY.get(row["feature"])
        hidden = row["context"] == ablate.OUT and other in extra["full"]
        found.append({**row, "hidden_by": other if hidden else None})
    return found


def divided(extra: Mapping[str, Any], start: str) -> tuple[list[Effect], list[Effect], bool]:
    """The measured effects of one direction, the smallest ratio first, the hidden ones, and whether
    that is all."""
    mine = [one for one in effects(extra) if one["context"] == MOVED[start]]
    hidden = [one for one in mine if one["hidden_by"]]
    shown = [one for one in mine if one["ratio"] and not one["hidden_by"]]
    shown.sort(key=lambda one: one["ratio"]["median"])
    return shown, hidden, len(shown) + len(hidden) == len(mine)


def whole_cell(run: results.Run) -> results.Cell | None:
    """The comparison of the full set with the bare one."""
    name = (run.extra["total"] or {}).get("cell")
    return next((cell for cell in measured(run) if cell.id == name), None)


def steps(extra: Mapping[str, Any], start: str) -> list[Step]:
    """The rows from start, bare or full, to the other; none where the total or an effect was not
    measured."""
    total = extra["total"] or {}
    first, whole = total.get(f"{start}_us"), total.get("ratio")
    shown, hidden, is_all = divided(extra, start)
    if not first or not whole or not shown or not is_all:
        return []
    at = base = first["median"]
    power, sign = (1, "×") if start == "bare" else (-1, "÷")
    made = [Step(start, "total", at, at, first["low"], first["high"], f"{numbers.number(base, 3)} µs")]
    for one in shown:
        median, *ends = (base * (one["ratio"][key] ** power - 1) for key in BOUNDS)
        text = f"{sign} {one['ratio']['median']:.3f}, {numbers.signed(median, 3)} µs"
        made.append(Step(one["feature"], one["verdict"], at, at + median, at + min(ends), at + max(ends), text))
        at += median
    made += [Step(one["feature"], "hidden", at, at, at, at, f"hidden by {one['hidden_by']}") for one in hidden]
    last, *ends = (base * whole[key] ** power for key in BOUNDS)
    made.append(Step("beyond the sum", "rest", at, last, last, last, f"{numbers.signed(last - at, 3)} µs"))
    text = f"{sign} {whole['median']:.3f}, {numbers.number(last, 3)} µs"
    end = "full" if start == "bare" else "bare"
    return [*made, Step(end, "total", last, last, min(ends), max(ends), text)]


def waterfall(axes: Any, rows: Sequence[Step]) -> None:
    """A bar for each, which begins where the one above it ends."""
    if not rows:
        return
    plots.set_rows(axes, len(rows))
    plots.fit(axes, [one for row in rows for one in (row.start, row.end, row.low, row.high)])
    for number, row in enumerate(rows):
        y = plots.middle(number)
        plots.row_text(axes, number, row.label, row.words)
        if row.kind == "total":
            axes.plot([row.end], [y], "D", color=INK, markersize=6, gid=MARK)
        elif row.kind != "hidden":
            colour, alpha = svg.COLOUR[TONES.get(row.kind, "soft")], 0.3 if row.kind == "rest" else 0.6
            axes.barh(y, row.end - row.start, left=row.start, height=0.32, color=colour, alpha=alpha, gid=MARK)
        if row.kind not in ("rest", "hidden"):
            axes.plot([row.low, row.high], [y, y], color=INK, linewidth=1.3, gid=MARK)
        if number + 1 < len(rows):  # to where the next bar begins
            ends = [y - 0.16, plots.middle(number + 1) + 0.16]
            axes.plot([row.end, row.end], ends, color=SOFT, linewidth=0.7)
    axes.set_xlabel("server CPU per request, µs (not from 0)")


def ratios(extra: Mapping[str, Any], start: str) -> list[plots.Bar]:
    """Each feature's ratio with its interval, then those that another hides."""
    shown, hidden, _ = divided(extra, start)
    tones = [svg.COLOUR[TONES.get(one["verdict"], "soft")] for one in shown]
    rows = [plots.figure_bar(one["feature"], one["ratio"], tone) for one, tone in zip(shown, tones)]
    return rows + [plots.Bar(one["feature"], 1, 1, 1, instead=f"hidden by {one['hidden_by']}") for one in hidden]


def table(extra: Mapping[str, Any]) -> Table:
    """Every effect as a row."""
    rows = []
    for one in effects(extra):
        other, figures = one["hidden_by"], [None] * 3
        if one["ratio"] and not other:
            change, low, high = (numbers.signed_percent(one["ratio"][key]) for key in BOUNDS)
            figures = [change, f"{low} to {high}", one["ratio"].get("pairs")]
        verdict = f"hidden by {other}" if other else WORDS.get(one["verdict"], one["verdict"])
        tone = "note" if other else TONES.get(one["verdict"], "note")
        about = "; ".join(filter(None, (one.get("title"), one.get("note"))))
        rows.append([one["feature"], one["context"], *figures, toned(verdict, tone), about])
    heads = ["Feature", "Moved", "Change", "95 % interval", "Pairs", "The feature", "About"]
    return Table("CPU per request with the feature against without it, paired by round", heads, rows)
