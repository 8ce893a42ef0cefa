"""What each feature is worth, out of the full set and into the bare one.

A bar of the waterfall is what the feature's paired ratio makes of the cost that the chart begins
with. The rounds' differences in µs are not used: where the machine changes between rounds, their
median and that of the ratios may have different signs, and the tables have the ratios.
"""

from __future__ import annotations

from typing import Any, Mapping, NamedTuple, Sequence

from .. import ablate, features, results
from . import numbers, plots, svg
from .kind_compare import measured
from .render import Table, toned

WORDS = {"none": "not detectable", "unmeasured": "not measured"}
TONES = {"saves": "good", "costs": "bad"}
MOVED = {"bare": ablate.INTO, "full": ablate.OUT}
Figure = Mapping[str, float]


class Effect(NamedTuple):
    """What a feature does in one context."""

    feature: str
    context: str
    ratio: Figure | None
    verdict: str
    about: str
    text: str
    hidden_by: str | None  # the feature of the full set that the engine runs instead of this one


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
    """The effects that the run wrote down. To take a hidden feature out of the full set does nothing:
    its pair stands on another set, and what that says is among all comparisons."""
    found = []
    for row in extra.get("effects") or []:
        other = features.HIDDEN_BY.get(row["feature"])
        hidden = other if row["context"] == ablate.OUT and other in (extra.get("full") or []) else None
        about = "; ".join(filter(None, (row.get("title"), row.get("note"))))
        text = (row.get("text") or "") + (f" In the full set {hidden} hides it." if hidden else "")
        found.append(Effect(row["feature"], row["context"], row["ratio"], row["verdict"], about, text, hidden))
    return found


def whole_cell(run: results.Run) -> results.Cell | None:
    """The comparison of the full set with the bare one."""
    name = (run.extra.get("total") or {}).get("cell")
    return next((cell for cell in measured(run) if cell.id == name), None)


def steps(extra: Mapping[str, Any], start: str) -> list[Step]:
    """The rows from start, bare or full, to the other; none where the total or an effect was not
    measured."""
    total = extra.get("total") or {}
    first, whole = total.get(f"{start}_us"), total.get("ratio")
    found = [one for one in effects(extra) if one.context == MOVED[start]]
    shown = [(one, one.ratio) for one in found if one.ratio and not one.hidden_by]
    if not first or not whole or not shown or not all(one.ratio or one.hidden_by for one in found):
        return []
    at = base = first["median"]
    power, sign = (1, "×") if start == "bare" else (-1, "÷")
    made = [Step(start, "total", at, at, first["low"], first["high"], f"{numbers.number(base, 3)} µs")]
    for effect, ratio in sorted(shown, key=lambda one: one[1]["median"]):
        median, one, other = (base * (ratio[key] ** power - 1) for key in ("median", "low", "high"))
        words = f"{sign} {ratio['median']:.3f}, {numbers.signed(median, 3)} µs"
        low, high = at + min(one, other), at + max(one, other)
        made.append(Step(effect.feature, effect.verdict, at, at + median, low, high, words))
        at += median
    for effect in found:
        if effect.hidden_by:
            made.append(Step(effect.feature, "hidden", at, at, at, at, f"hidden by {effect.hidden_by}"))
    last, one, other = (base * whole[key] ** power for key in ("median", "low", "high"))
    made.append(Step("beyond the sum", "rest", at, last, last, last, f"{numbers.signed(last - at, 3)} µs"))
    words = f"{sign} {whole['median']:.3f}, {numbers.number(last, 3)} µs"
    end = "full" if start == "bare" else "bare"
    return [*made, Step(end, "total", last, last, min(one, other), max(one, other), words)]


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
    for one in effects(extra):
        if one.context == MOVED[start] and one.hidden_by:
            hidden.append(plots.Bar(one.feature, 1, 1, 1, instead=f"hidden by {one.hidden_by}"))
        elif one.context == MOVED[start] and one.ratio:
            rows.append(plots.figure_bar(one.feature, one.ratio, svg.COLOUR[TONES.get(one.verdict, "soft")]))
    return [*sorted(rows, key=lambda row: row.median), *hidden]


def table(extra: Mapping[str, Any]) -> Table:
    """Every effect as a row."""
    rows = []
    for one in effects(extra):
        figures: list[Any] = [None, None, None]
        if one.ratio and not one.hidden_by:
            change, low, high = (numbers.signed_percent(one.ratio[key]) for key in ("median", "low", "high"))
            figures = [change, f"{low} to {high}", one.ratio.get("pairs")]
        word = f"hidden by {one.hidden_by}" if one.hidden_by else WORDS.get(one.verdict, one.verdict)
        tone = "note" if one.hidden_by else TONES.get(one.verdict, "note")
        rows.append([one.feature, one.context, *figures, toned(word, tone), one.about])
    heads = ["Feature", "Moved", "Change", "95 % interval", "Pairs", "The feature", "About"]
    return Table("CPU per request with the feature against without it, paired by round", heads, rows)
